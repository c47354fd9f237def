"""What the two HTTP adapters share: one deadline for a whole call, and foreign values read with care.

Knows no provider, no SDK and no HTTP library. An HTTP client bounds each read, not the call, so a server that drips
would hold a caller for ever; and an error message may quote a key that must not reach a log.
"""

from __future__ import annotations

import math
import re
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from queue import Empty, SimpleQueue
from threading import Event, Thread
from typing import Any, TypeVar, cast

from gemx.errors import AuthenticationError, ProviderError, StoppedError, TimeoutExceededError
from gemx.providers.base import OnText

LONGEST_MESSAGE = 600
SECONDS = re.compile(r"\d+(\.\d+)?")
T = TypeVar("T")

_waiting: set[SimpleQueue[str | Exception | None]] = set()


def within(seconds: float, work: Callable[[OnText], T], on_text: OnText | None = None) -> T:
    """Run `work` in a thread and give `on_text` here what it emits; give up when `seconds` are over.

    A thread that is given up ends at its next text, or when its connection times out or is closed.
    """
    deadline = time.monotonic() + seconds
    texts: SimpleQueue[str | Exception | None] = SimpleQueue()
    outcome: Future[T] = Future()
    stopped = Event()

    def emit(text: str) -> None:
        if stopped.is_set() or time.monotonic() > deadline:
            raise _too_late(seconds)
        texts.put(text)

    def run() -> None:
        try:
            outcome.set_result(work(emit))
        except BaseException as exc:
            outcome.set_exception(exc)
        finally:
            texts.put(None)

    Thread(target=run, daemon=True, name="gemx-call").start()
    _waiting.add(texts)
    try:
        while (text := _next(texts, deadline, seconds)) is not None:
            if on_text and text:
                on_text(text)
    finally:
        _waiting.discard(texts)
        stopped.set()
    return outcome.result()


def abandon() -> None:
    """Give up every call that another thread waits for: it raises StoppedError there."""
    for texts in tuple(_waiting):
        texts.put(StoppedError("interrupted"))


def _next(texts: SimpleQueue[str | Exception | None], deadline: float, seconds: float) -> str | None:
    try:
        text = texts.get(timeout=max(0.0, deadline - time.monotonic()))
    except Empty:
        raise _too_late(seconds) from None
    if isinstance(text, Exception):
        raise text
    return text


def _too_late(seconds: float) -> TimeoutExceededError:
    return TimeoutExceededError(f"no complete answer within {seconds:g} s")


def checked_key(key: str) -> str:
    """The key without white space around it; AuthenticationError where no header could carry it."""
    stripped = key.strip()
    if not stripped or not stripped.isascii() or not stripped.isprintable():
        raise AuthenticationError("the API key is empty or holds characters that no key has")
    return stripped


def clean(text: str, secrets: Sequence[str]) -> str:
    """A foreign message on one line, without any of the secrets, and not too long."""
    for secret in secrets:
        text = text.replace(secret, "[key]") if secret else text
    return " ".join(text.split())[:LONGEST_MESSAGE]


def hinted_wait(headers: Mapping[str, str], details: Sequence[object] = ()) -> float | None:
    """The longest wait in seconds that a server asks for: in its headers, or as google.rpc.RetryInfo in its body."""
    delays = [str(mapping(detail).get("retryDelay", "")).removesuffix("s") for detail in details]
    waits = [float(delay) for delay in delays if SECONDS.fullmatch(delay)]
    if (seconds := _retry_after(headers.get("retry-after"))) is not None:
        waits.append(seconds)
    if SECONDS.fullmatch(milliseconds := headers.get("retry-after-ms") or ""):
        waits.append(float(milliseconds) / 1000)
    return max(waits, default=None)


def _retry_after(header: str | None) -> float | None:
    """Seconds of a Retry-After header, which holds a number or a date."""
    if not header:
        return None
    if SECONDS.fullmatch(header.strip()):
        return float(header)
    when = http_date(header)
    return max(0.0, (when - datetime.now(UTC)).total_seconds()) if when else None


def http_date(header: str | None) -> datetime | None:
    """The date of a header, or None where there is none, or none that makes sense."""
    try:
        when = parsedate_to_datetime(header or "")
    except ValueError:
        return None
    return when.replace(tzinfo=when.tzinfo or UTC)


def mapping(value: object) -> dict[str, Any]:
    """The value if it is a JSON object, else an empty one."""
    return cast("dict[str, Any]", value) if isinstance(value, dict) else {}


def items(value: object) -> list[Any]:
    """The value if it is a JSON array, else an empty one."""
    return cast("list[Any]", value) if isinstance(value, list) else []


def checked_vectors(vectors: Sequence[Sequence[Any]], expected: int) -> tuple[tuple[float, ...], ...]:
    """The vectors, one a text, of one dimension and finite; else ProviderError."""
    checked = tuple(tuple(vector) for vector in vectors)
    if len(checked) != expected:
        raise ProviderError(f"{len(checked)} vectors came back for {expected} texts")
    if len({len(vector) for vector in checked}) > 1 or not all(checked):
        raise ProviderError("the vectors that came back are not of one dimension")
    if not all(isinstance(value, int | float) and math.isfinite(value) for vector in checked for value in vector):
        raise ProviderError("a vector that came back holds something that is not a finite number")
    return checked


def unit_length(vectors: Sequence[Sequence[float]]) -> bool:
    """Whether every vector has length one."""
    return all(math.isclose(math.hypot(*vector), 1.0, abs_tol=1e-3) for vector in vectors)
