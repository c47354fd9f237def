"""The flags that the commands of `gemx kb` share."""

from __future__ import annotations

from typing import Annotated

import typer

from gemx.cli import completion, options

Base = Annotated[str, typer.Option("--kb", metavar="NAME", help="The knowledge base.", autocompletion=completion.bases)]
Embedder = Annotated[
    str | None,
    typer.Option(
        "--embedder",
        metavar="MODEL|none",
        help="The model that makes vectors: gguf:, gemini: or openai:. Default: knowledge.embedder of config.json.",
        autocompletion=completion.models,
        rich_help_panel=options.CALLS,
    ),
]
TopK = Annotated[int, typer.Option("-k", "--top-k", metavar="N", min=1, max=100, help="How many hits at most.")]
