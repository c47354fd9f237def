"""A loopback server that speaks OpenAI's chat completions and embeddings, faults included.

`with FakeOpenAI() as server:` then `server.reply_text("…")`, `server.reply_json({…})` or `server.fault("cut")` for one
call each, in order; otherwise every call gets `answer`, which may be a function of the recorded request. The faults are
the keys of `FAULTS`; `always("…")` makes one the answer to every call. `endpoint_url` is what a configuration holds.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from typing import Any

from loopback import Behaviour, Exchange, Loopback, Recorded

Answer = str | Callable[[Recorded], str]
USAGE = {
    "prompt_tokens": 12,
    "completion_tokens": 9,
    "total_tokens": 21,
    "prompt_tokens_details": {"cached_tokens": 4},
    "completion_tokens_details": {"reasoning_tokens": 5},
}
MODEL = "fake-model-001"
CUT_JSON = '{"resumo": "PAM 57", "avaliacao": [{"achado": "hipot'


class FakeOpenAI(Loopback):
    """The fake."""

    def __init__(self, answer: Answer = "ok") -> None:
        super().__init__()
        self.answer = answer
        self._always: Behaviour | None = None

    @property
    def endpoint_url(self) -> str:
        return f"{self.url}/v1"

    def reply_text(self, text: str, **details: Any) -> None:
        """Answer one call with this text; `details` are those of the fault "ok"."""
        self.fault("ok", text=text, **details)

    def reply_json(self, value: Any, **details: Any) -> None:
        """Answer one call with this value as JSON."""
        self.reply_text(json.dumps(value, ensure_ascii=False), **details)

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


def _streams(exchange: Exchange) -> bool:
    return bool((exchange.request.body or {}).get("stream"))


def chunk(text: str | None, reason: str | None = None, **fields: Any) -> dict[str, Any]:
    """One event of a stream."""
    delta = {"content": text} if text is not None else {}
    choice = {"index": 0, "delta": delta, "finish_reason": reason}
    return {"id": "chat-1", "object": "chat.completion.chunk", "model": MODEL, "choices": [choice], **fields}


def completion(text: str | None, reason: str | None = "stop", **fields: Any) -> dict[str, Any]:
    """The whole answer of a plain call."""
    message = {"role": "assistant", "content": text}
    choice = {"index": 0, "message": message, "finish_reason": reason}
    return {"id": "chat-1", "object": "chat.completion", "model": MODEL, "choices": [choice], "usage": USAGE, **fields}


def _stream(exchange: Exchange, *events: Any) -> None:
    exchange.start()
    for event in events:
        exchange.event(event)
    exchange.finish()


def _text(exchange: Exchange, *, text: str | None = "ok", reason: str | None = "stop", done: bool = True) -> None:
    if exchange.request.method == "GET":
        exchange.json({"object": "list", "data": [{"id": MODEL, "object": "model"}]})
        return
    if exchange.request.path.endswith("/embeddings"):
        _embed(exchange)
        return
    if not _streams(exchange):
        exchange.json(completion(text, reason))
        return
    half = len(text or "") // 2
    pieces = (
        [chunk((text or "")[:half]), chunk((text or "")[half:]), chunk(None, reason)] if text else [chunk(None, reason)]
    )
    usage = {"id": "chat-1", "model": MODEL, "choices": [], "usage": USAGE}
    _stream(exchange, *pieces, usage, *(["[DONE]"] if done else []))


def _embed(exchange: Exchange) -> None:
    rows = [{"index": index, "embedding": [0.6, 0.8, index]} for index, _ in enumerate(exchange.request.body["input"])]
    exchange.json({"model": MODEL, "data": rows[::-1], "usage": {"prompt_tokens": 6, "total_tokens": 6}})


def _error(
    exchange: Exchange,
    *,
    status: int,
    message: str = "it went wrong",
    code: str | None = None,
    header: str | None = None,
) -> None:
    body = {"error": {"message": message, "type": "error", "param": None, "code": code}}
    exchange.json(body, status, {"Retry-After": header} if header else None)


def _raw(exchange: Exchange, *, body: bytes, status: int = 200, mime_type: str = "application/json") -> None:
    exchange.raw(body, status, mime_type)


def _events(exchange: Exchange, *, data: bytes) -> None:
    exchange.start()
    exchange.write(data)
    exchange.finish()


def _cut(exchange: Exchange) -> None:
    exchange.start()
    exchange.event(chunk("the first half"))
    exchange.cut()


def _reset(exchange: Exchange) -> None:
    exchange.reset()


def _hang(exchange: Exchange) -> None:
    exchange.hang()


def _half_closed(exchange: Exchange) -> None:
    exchange.start()
    exchange.event(chunk("the first half"))
    exchange.hang()


def _drip(exchange: Exchange, *, every: float = 0.05) -> None:
    exchange.start()
    exchange.drip(b"data: " + json.dumps(chunk("a")).encode() + b"\n\n" if _streams(exchange) else b" ", every)


def _drip_bytes(exchange: Exchange, *, every: float = 0.05) -> None:
    exchange.start()
    exchange.write(b"data: ")
    exchange.drip(b" ", every)


def _refusal(exchange: Exchange) -> None:
    said = {"role": "assistant", "content": None, "refusal": "I cannot help with that."}
    if _streams(exchange):
        _stream(exchange, chunk(None, choices=[{"delta": said}]), chunk(None, "stop"), "[DONE]")
    else:
        exchange.json(completion(None, choices=[{"message": said, "finish_reason": "stop"}]))


def _thinking_only(exchange: Exchange, *, reason: str = "length") -> None:
    said = {"role": "assistant", "content": None, "reasoning_content": "hmm"}
    if _streams(exchange):
        _stream(exchange, chunk(None, choices=[{"delta": said}]), chunk(None, reason), "[DONE]")
    else:
        exchange.json(completion(None, choices=[{"message": said, "finish_reason": reason}]))


def _error_in_stream(exchange: Exchange, *, error: Any = None) -> None:
    body = {"error": error or {"message": "The engine is overloaded.", "code": 503}}
    if _streams(exchange):
        _stream(exchange, chunk("the first half"), body)
    else:
        exchange.json(body)


def _no_finish(exchange: Exchange) -> None:
    if _streams(exchange):
        _stream(exchange, chunk("the first half"))
    else:
        exchange.json(completion("the first half", None))


def _redirect(exchange: Exchange, *, to: str) -> None:
    exchange.raw(b"", 307, headers={"Location": to})


TOO_LONG = "This model's maximum context length is 1024 tokens. However, you requested 2000 tokens."
FAULTS: dict[str, Callable[..., None]] = {
    "ok": _text,
    "unauthorized": partial(_error, status=401, message="Incorrect API key provided."),
    "forbidden": partial(_error, status=403),
    "not_found": partial(_error, status=404, message="The model does not exist."),
    "model_not_found": partial(_error, status=400, message="The model `x` does not exist", code="model_not_found"),
    "bad_request": partial(_error, status=400),
    "unprocessable": partial(_raw, status=422, body=b'{"detail": [{"msg": "field required"}]}'),
    "too_long": partial(_error, status=400, message=TOO_LONG),
    "too_long_500": partial(_error, status=500, message="Requested tokens (9) exceed context window of 8"),
    "rate_limit": partial(_error, status=429, message="Rate limit reached.", header="7"),
    "no_credit": partial(_error, status=429, message="Check your plan.", code="insufficient_quota"),
    "internal": partial(_error, status=500),
    "unavailable": partial(_error, status=503),
    "error": _error,
    "raw": _raw,
    "events": _events,
    "html": partial(_raw, body=b"<html>Hospital proxy: log in</html>", mime_type="text/html"),
    "cut": _cut,
    "reset": _reset,
    "hang": _hang,
    "half_closed": _half_closed,
    "drip": _drip,
    "drip_bytes": _drip_bytes,
    "content_filter": partial(_text, text="the fi", reason="content_filter"),
    "refusal": _refusal,
    "thinking_only": _thinking_only,
    "max_tokens": partial(_text, text=CUT_JSON, reason="length"),
    "max_tokens_no_text": partial(_text, text=None, reason="length"),
    "invalid_json": partial(_text, text='{"resumo": nada}'),
    "huge_number": partial(_text, text='{"valor": 1e999}'),
    "empty": partial(_text, text=""),
    "no_choices": partial(_raw, body=b'{"choices": [], "model": "m"}'),
    "error_in_stream": _error_in_stream,
    "no_finish": _no_finish,
    "redirect": _redirect,
}
