"""A loopback server that speaks the Gemini wire format, faults included.

`with FakeGemini() as server:` then `server.reply_text("…")`, `server.reply_json({…})` or `server.fault("cut")` for one
call each, in order; otherwise every call gets `answer`, which may be a function of the recorded request. The faults are
the keys of `FAULTS`; `always("…")` makes one the answer to every call.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from functools import partial
from hashlib import sha256
from typing import Any

from loopback import Behaviour, Exchange, Loopback, Recorded

Answer = str | Callable[[Recorded], str]
USAGE = {"promptTokenCount": 12, "candidatesTokenCount": 7, "thoughtsTokenCount": 5, "totalTokenCount": 24}
MODEL_VERSION = "gemini-fake-001"
CUT_JSON = '{"resumo": "PAM 57", "avaliacao": [{"achado": "hipot'
DIMENSIONS = 8


class FakeGemini(Loopback):
    """The fake: give `url` to the adapter as base_url, or to a process in GOOGLE_GEMINI_BASE_URL."""

    def __init__(self, answer: Answer = "ok") -> None:
        super().__init__()
        self.answer = answer
        self._always: Behaviour | None = None

    def reply_text(self, text: str, **chunk: Any) -> None:
        """Answer one call with this text; `chunk` overrides fields of the last chunk (usageMetadata, modelVersion…)."""
        self.queue(partial(_text, text=text, extra=chunk))

    def reply_json(self, value: Any, **chunk: Any) -> None:
        """Answer one call with this value as JSON."""
        self.reply_text(json.dumps(value, ensure_ascii=False), **chunk)

    def fault(self, name: str, /, **details: Any) -> None:
        """Answer one call with a fault of FAULTS; `details` are its parameters."""
        self.queue(partial(FAULTS[name], **details))

    def always(self, name: str, /, **details: Any) -> None:
        """Answer every call with this fault."""
        self._always = partial(FAULTS[name], **details)

    def default(self, exchange: Exchange) -> None:
        if self._always:
            self._always(exchange)
        else:
            _text(exchange, text=self.answer(exchange.request) if callable(self.answer) else self.answer)


LISTED = ("gemini-3.8-flash", "gemini-embedding-2")


def candidate(text: str | None, reason: str | None = None, **fields: Any) -> dict[str, Any]:
    """One chunk, or a whole response, with one candidate."""
    content = {"content": {"role": "model", "parts": [{"text": text}]}} if text is not None else {}
    finish = {"finishReason": reason} if reason else {}
    return {
        "candidates": [{"index": 0, **content, **finish}],
        "modelVersion": MODEL_VERSION,
        "responseId": "response-1",
        **fields,
    }


def error(status: int, name: str, message: str, *details: dict[str, Any]) -> dict[str, Any]:
    """An error body as Google writes it."""
    return {"error": {"code": status, "message": message, "status": name, "details": list(details)}}


def _streams(exchange: Exchange) -> bool:
    return ":streamGenerateContent" in exchange.request.path


def _send(exchange: Exchange, *chunks: dict[str, Any]) -> None:
    """The chunks as a stream, or the last one where the call is plain."""
    if not _streams(exchange):
        exchange.json(chunks[-1])
        return
    exchange.start()
    for chunk in chunks:
        exchange.event(chunk)
    exchange.finish()


def _text(exchange: Exchange, *, text: str = "ok", reason: str = "STOP", extra: dict[str, Any] | None = None) -> None:
    if exchange.request.method == "GET":
        exchange.json({"models": [{"name": f"models/{name}"} for name in LISTED]})
    elif "mbedContent" in exchange.request.path:
        _embed(exchange)
    elif ":countTokens" in exchange.request.path:
        exchange.json({"totalTokens": max(1, len(json.dumps(exchange.request.body)) // 4)})
    else:
        _generate(exchange, text, reason, {"usageMetadata": USAGE, **(extra or {})})


def _generate(exchange: Exchange, text: str, reason: str, extra: dict[str, Any]) -> None:
    if not _streams(exchange):
        exchange.json(candidate(text, reason, **extra))
        return
    half = len(text) // 2
    _send(exchange, candidate(text[:half]), candidate(text[half:]), candidate("", reason, **extra))


def _vector(text: str) -> list[float]:
    raw = [byte - 127.5 for byte in sha256(text.encode()).digest()[:DIMENSIONS]]
    return [value / math.hypot(*raw) for value in raw]


def _embedded(content: dict[str, Any]) -> dict[str, Any]:
    # one vector a content, however many parts it has: as gemini-embedding-2 does
    return {"values": _vector("".join(part["text"] for part in content["parts"]))}


def _embed(exchange: Exchange) -> None:
    body = exchange.request.body
    if ":batchEmbedContents" in exchange.request.path:
        exchange.json({"embeddings": [_embedded(item["content"]) for item in body["requests"]]})
    else:
        exchange.json({"embedding": _embedded(body["content"])})


def _error(exchange: Exchange, *, status: int, name: str, message: str, details: tuple[Any, ...] = ()) -> None:
    exchange.json(error(status, name, message, *details), status)


def _rate_limit(
    exchange: Exchange, *, delay: str | None = "53.5s", status: int = 429, header: str | None = None
) -> None:
    details = [{"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": delay}] if delay else []
    body = error(status, "RESOURCE_EXHAUSTED", "You exceeded your current quota.", *details)
    exchange.json(body, status, {"Retry-After": header} if header else None)


def _daily_quota(exchange: Exchange) -> None:
    quota = {
        "@type": "type.googleapis.com/google.rpc.QuotaFailure",
        "violations": [{"quotaId": "GenerateRequestsPerDayPerProjectPerModel-FreeTier", "quotaValue": "50"}],
    }
    retry = {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "27s"}
    exchange.json(error(429, "RESOURCE_EXHAUSTED", "You exceeded your current quota.", quota, retry), 429)


def _no_quota(exchange: Exchange) -> None:
    exchange.json(error(429, "RESOURCE_EXHAUSTED", "Quota exceeded for metric: requests, limit: 0"), 429)


def _cut(exchange: Exchange, *, text: str = "the first half") -> None:
    exchange.start("text/event-stream" if _streams(exchange) else "application/json")
    exchange.event(candidate(text))
    exchange.cut()


def _reset(exchange: Exchange) -> None:
    exchange.reset()


def _hang(exchange: Exchange) -> None:
    exchange.hang()


def _half_closed(exchange: Exchange, *, text: str = "the first half") -> None:
    exchange.start()
    exchange.event(candidate(text))
    exchange.hang()


def _drip(exchange: Exchange, *, every: float = 0.05) -> None:
    exchange.start("text/event-stream" if _streams(exchange) else "application/json")
    exchange.drip(b"data: " + json.dumps(candidate("a")).encode() + b"\n\n" if _streams(exchange) else b" ", every)


def _drip_bytes(exchange: Exchange, *, every: float = 0.05) -> None:
    exchange.start()
    exchange.write(b"data: ")
    exchange.drip(b" ", every)


def _blocked_prompt(exchange: Exchange, *, reason: str = "PROHIBITED_CONTENT") -> None:
    _send(exchange, {"promptFeedback": {"blockReason": reason}, "modelVersion": MODEL_VERSION})


def _blocked(exchange: Exchange, *, reason: str = "SAFETY") -> None:
    _send(exchange, candidate(None, reason, usageMetadata={"promptTokenCount": 12, "totalTokenCount": 12}))


def _max_tokens_no_text(exchange: Exchange) -> None:
    usage = {"promptTokenCount": 12, "thoughtsTokenCount": 64, "totalTokenCount": 76}
    _send(exchange, candidate(None, "MAX_TOKENS", usageMetadata=usage))


def _no_candidates(exchange: Exchange) -> None:
    _send(exchange, {"modelVersion": MODEL_VERSION, "usageMetadata": USAGE})


def _error_in_stream(exchange: Exchange, *, status: int = 503, text: str | None = "the first half") -> None:
    body = error(status, "UNAVAILABLE", "The model is overloaded.")
    _send(exchange, *([candidate(text)] if text else []), body)


def _no_finish(exchange: Exchange) -> None:
    _send(exchange, candidate("the first half"))


def _invalid_body(exchange: Exchange, *, body: bytes = b'{"candidates": [') -> None:
    if not _streams(exchange):
        exchange.raw(body)
        return
    exchange.start()
    exchange.write(b"data: " + body + b"\n\n")
    exchange.finish()


def _html(exchange: Exchange, *, status: int = 200) -> None:
    exchange.raw(b"<html><body>Hospital proxy: log in</body></html>", status, "text/html")


def _redirect(exchange: Exchange, *, to: str) -> None:
    exchange.raw(b"", 302, headers={"Location": to})


BAD_KEY = {"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "API_KEY_INVALID"}
TOO_LONG = "The input token count (1200000) exceeds the maximum number of tokens allowed (1048576)."
FAULTS: dict[str, Callable[..., None]] = {
    "ok": _text,
    "api_key_invalid": partial(
        _error, status=400, name="INVALID_ARGUMENT", message="API key not valid.", details=(BAD_KEY,)
    ),
    "unauthorized": partial(_error, status=401, name="UNAUTHENTICATED", message="Invalid credentials."),
    "forbidden": partial(_error, status=403, name="PERMISSION_DENIED", message="Permission denied."),
    "not_found": partial(_error, status=404, name="NOT_FOUND", message="models/x is not found for API version v1."),
    "bad_request": partial(_error, status=400, name="INVALID_ARGUMENT", message="Request contains an invalid value."),
    "too_long": partial(_error, status=400, name="INVALID_ARGUMENT", message=TOO_LONG),
    "rate_limit": _rate_limit,
    "daily_quota": _daily_quota,
    "no_quota": _no_quota,
    "internal": partial(_error, status=500, name="INTERNAL", message="An internal error has occurred."),
    "unavailable": partial(_error, status=503, name="UNAVAILABLE", message="The model is overloaded."),
    "deadline": partial(_error, status=504, name="DEADLINE_EXCEEDED", message="Deadline expired."),
    "error": _error,
    "cut": _cut,
    "reset": _reset,
    "hang": _hang,
    "half_closed": _half_closed,
    "drip": _drip,
    "drip_bytes": _drip_bytes,
    "blocked_prompt": _blocked_prompt,
    "blocked": _blocked,
    "max_tokens": partial(_text, text=CUT_JSON, reason="MAX_TOKENS"),
    "max_tokens_no_text": _max_tokens_no_text,
    "invalid_json": partial(_text, text='{"resumo": nada}'),
    "huge_number": partial(_text, text='{"valor": 1e999}'),
    "empty": partial(_text, text=""),
    "no_candidates": _no_candidates,
    "error_in_stream": _error_in_stream,
    "no_finish": _no_finish,
    "invalid_body": _invalid_body,
    "html": _html,
    "redirect": _redirect,
}
