"""The code in an answer. Knows nothing of who asked for it."""

from __future__ import annotations


def code_block(text: str) -> str | None:
    """The inside of the first fenced code block of an answer; one that is not closed goes on to the end."""
    from markdown_it import MarkdownIt

    return next((token.content for token in MarkdownIt().parse(text) if token.type == "fence"), None)
