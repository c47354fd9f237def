"""A free prompt as a request: text, files, a template, a system instruction, a schema, and the turns before it.

Calls nothing. Knows the history as where earlier turns come from, and makes the entry of a new one.
"""

from __future__ import annotations

from gemx.conversation.blocks import code_block
from gemx.conversation.prompt import Prompt, bound, filled
from gemx.conversation.thread import Exchange, Thread, earlier, entry, extended, last, request, typed_before

__all__ = [
    "Exchange",
    "Prompt",
    "Thread",
    "bound",
    "code_block",
    "earlier",
    "entry",
    "extended",
    "filled",
    "last",
    "request",
    "typed_before",
]
