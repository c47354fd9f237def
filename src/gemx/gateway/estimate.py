"""How many tokens a request is, made locally, so that nothing is sent to find out. Knows no model's tokenizer."""

from __future__ import annotations

import json
from collections.abc import Iterable

from gemx.documents import Media
from gemx.providers.base import Request

_BYTES_PER_TOKEN = 3.5
# Portuguese takes 3 to 4 bytes a token; digits and tables take fewer, and a cap must hold for them too.
_FEWEST_BYTES_PER_TOKEN = 2
_IMAGE_TOKENS = 3_000
_AUDIO_BYTES_PER_TOKEN = 30  # 32 tokens a second, of a sound of 8 kbit/s


def estimate_tokens(request: Request) -> int:
    """About how many tokens the text of a request is."""
    return text_tokens([prompt_text(request)])


def most_tokens(request: Request) -> int:
    """How many tokens a request is at most, its schema and files included: what a budget is asked for."""
    schema = json.dumps(dict(request.schema), ensure_ascii=False) if request.schema is not None else ""
    return most_text_tokens([prompt_text(request), schema]) + sum(_most_media_tokens(part) for part in request.media)


def text_tokens(texts: Iterable[str]) -> int:
    """About how many tokens some texts are."""
    return round(_bytes(texts) / _BYTES_PER_TOKEN)


def most_text_tokens(texts: Iterable[str]) -> int:
    """How many tokens some texts are at most."""
    return -(-_bytes(texts) // _FEWEST_BYTES_PER_TOKEN)


def prompt_text(request: Request) -> str:
    """All that a request says, the system instruction first; of a file that is no text, its kind and size."""
    texts = [request.system or "", *(message.text for message in request.messages)]
    media = [f"{part.mime_type}:{len(part.data)}" for part in request.media]
    return "\n\n".join(text for text in (*texts, *media) if text)


def _most_media_tokens(part: Media) -> int:
    if part.mime_type.startswith("image/"):
        return _IMAGE_TOKENS
    return len(part.data) // (_AUDIO_BYTES_PER_TOKEN if part.mime_type.startswith("audio/") else 1) + _IMAGE_TOKENS


def _bytes(texts: Iterable[str]) -> int:
    return sum(len(text.encode("utf-8", "surrogatepass")) for text in texts)
