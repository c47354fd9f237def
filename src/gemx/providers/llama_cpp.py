"""The adapter to local GGUF models: starts engine processes, speaks JSON lines with them, and ends them.

An engine is kept warm for each file and way of loading, until `close`. It is a process of its own because llama.cpp
ends the process on damaged files and on some inputs, and because only a process can be stopped in time. Never imports
llama_cpp; knows nothing of where models are found or what fits in memory.
"""

from __future__ import annotations

import importlib.util
import json
import os
import selectors
import signal
import subprocess
import sys
import tempfile
import threading
import time
import weakref
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Any

from gemx.errors import (
    ContextLengthError,
    EmptyReplyError,
    EngineCrashError,
    InvalidRequestError,
    ModelNotFoundError,
    NotInstalledError,
    ProviderError,
    TimeoutExceededError,
    UnsupportedError,
)
from gemx.providers.base import Embeddings, OnText, Options, Reach, Reply, Request, Usage, refuse_options

ENGINE = "gemx.providers.llama_engine"
LIBRARIES = ("llama_cpp", "llguidance", "numpy")
LOADING = frozenset({"context", "gpu_layers", "lora"})
SAMPLING = frozenset({"temperature", "top_p", "seed", "max_output_tokens"})
MAX_SEED = 0xFFFFFFFE  # the next one means "random" to llama.cpp
READ_BYTES = 1 << 16
STDERR_BYTES = 4000
CLOSING_SECONDS = 2.0
ERRORS: dict[str, type[ProviderError]] = {
    error.code: error for error in (ContextLengthError, InvalidRequestError, UnsupportedError, ProviderError)
}
OnMessage = Callable[[dict[str, Any]], None]


@dataclass(frozen=True)
class Load:
    """What makes one engine differ from another."""

    path: str
    context: int | None
    gpu_layers: int | None
    lora: str | None
    embedding: bool


class LlamaCpp:
    """Local GGUF models; `model` is the path of a file."""

    name = "gguf"
    system = "llama_cpp"
    reach: Reach = "machine"
    honoured = LOADING | SAMPLING

    def __init__(self) -> None:
        self._engines: dict[Load, Engine] = {}
        self._lock = threading.Lock()
        self._end = weakref.finalize(self, _close_all, self._engines)  # at exit, too

    def generate(self, request: Request, model: str, options: Options, on_text: OnText | None = None) -> Reply:
        """Run one request on the model in that file; `on_text` gets the text as it comes."""
        start = time.monotonic()
        refuse_options(self.name, options, self.honoured)
        _check_sampling(options)
        if request.media:
            raise UnsupportedError("local models take text only", hint="give the file as text, or use -m gemini:…")
        engine = self._engine(model, options, embedding=False)
        pieces: list[str] = []
        first: list[float] = []

        def show(message: dict[str, Any]) -> None:
            if not first:
                first.append(time.monotonic() - start)
            pieces.append(message["text"])
            if on_text:
                on_text(message["text"])

        done = engine.ask(_generation(request, options), start + options.timeout, show)
        text = "".join(pieces)
        if not text.strip() and done["finish_reason"] == "stop":
            raise EmptyReplyError(f"{Path(model).name} ended its reply without a word")
        return Reply(
            text=text,
            model=Path(model).stem,
            finish_reason=done["finish_reason"],
            usage=Usage(**done["usage"]),
            first_text=first[0] if first else None,
            provider=self.name,
        )

    def embed(self, texts: Sequence[str], model: str, options: Options) -> Embeddings:
        """Embed the texts, in order, as vectors of length 1."""
        start = time.monotonic()
        refuse_options(self.name, options, LOADING)
        engine = self._engine(model, options, embedding=True)
        vectors: list[tuple[float, ...]] = []
        request = {"op": "embed", "texts": list(texts)}
        done = engine.ask(request, start + options.timeout, lambda message: vectors.append(tuple(message["vector"])))
        return Embeddings(tuple(vectors), Path(model).stem, normalized=True, usage=Usage(**done["usage"]))

    def close(self) -> None:
        """End every engine."""
        with self._lock:
            _close_all(self._engines)

    def _engine(self, model: str, options: Options, *, embedding: bool) -> Engine:
        _check_installed()
        path = _checked_path(model)
        lora = _checked_lora(options.lora) if options.lora is not None else None
        load = Load(path, options.context, options.gpu_layers, lora, embedding)
        with self._lock:
            return self._engines.setdefault(load, Engine(load))


def about(seconds: float) -> dict[str, Any]:
    """The `version` of the engine, and whether it can use a card (`gpu_offload`). Raises ProviderError."""
    _check_installed()
    channel = Channel()
    try:
        return channel.ask({"op": "about"}, time.monotonic() + seconds, _unexpected)
    finally:
        channel.close()


def _close_all(engines: dict[Load, Engine]) -> None:
    for engine in engines.values():
        engine.close()
    engines.clear()


def _check_installed() -> None:
    missing = [name for name in LIBRARIES if importlib.util.find_spec(name) is None]
    if missing:
        raise NotInstalledError(
            f"local models need {', '.join(missing)}: install them with pipx install 'gemx[local]'",
            hint="for an NVIDIA card: CMAKE_ARGS=\"-DGGML_CUDA=on\" pipx install --force 'gemx[local]'",
        )


def _checked_path(model: str) -> str:
    path = Path(model)
    try:
        with path.open("rb") as file:
            magic = file.read(4)
    except FileNotFoundError as error:
        raise ModelNotFoundError(f"no model file {model}") from error
    except OSError as error:
        raise ModelNotFoundError(f"the model file {model} cannot be read: {error.strerror}") from error
    if magic != b"GGUF":
        raise InvalidRequestError(f"{model} is not a GGUF file", hint="download it again, or convert it to GGUF")
    return str(path.resolve())


def _checked_lora(lora: str) -> str:
    if not Path(lora).is_file():
        raise InvalidRequestError(f"no LoRA adapter {lora}", hint="lora is the path of a GGUF adapter")
    return str(Path(lora).resolve())


def _check_sampling(options: Options) -> None:
    wrong = {
        "temperature (0 or more)": options.temperature is not None and not options.temperature >= 0,
        "top_p (above 0, up to 1)": options.top_p is not None and not 0 < options.top_p <= 1,
        f"seed (0 to {MAX_SEED})": options.seed is not None and not 0 <= options.seed <= MAX_SEED,
        "max_output_tokens (1 or more)": options.max_output_tokens is not None and options.max_output_tokens < 1,
    }
    names = [name for name, is_wrong in wrong.items() if is_wrong]
    if names:
        raise InvalidRequestError(f"out of range: {', '.join(names)}")


def _generation(request: Request, options: Options) -> dict[str, Any]:
    return {
        "op": "generate",
        "turns": [{"role": message.role, "content": message.text} for message in request.messages],
        "system": request.system,
        "schema": None if request.schema is None else dict(request.schema),
        "options": {name: value for name, value in options.given().items() if name in SAMPLING},
    }


class Engine:
    """One engine process, started when it is first asked, and again after it died; one question at a time."""

    def __init__(self, load: Load) -> None:
        self._load = load
        self._lock = threading.Lock()
        self._channel: Channel | None = None

    def ask(self, request: Mapping[str, Any], deadline: float, on_message: OnMessage) -> dict[str, Any]:
        """Send a request, hand on what comes, and return what comes last.

        However it is left (out of time, interrupted, `on_message` failed), no half-read answer stays behind: the
        process goes with it, unless it said itself that the request failed.
        """
        if not self._lock.acquire(timeout=max(0.0, deadline - time.monotonic())):
            raise TimeoutExceededError("the local model was busy with other requests until the time was up")
        try:
            channel = self._loaded(deadline)
            return channel.ask(request, deadline, on_message)
        except RefusedRequestError as refusal:
            raise refusal.error from None
        except BaseException:
            self._discard()
            raise
        finally:
            self._lock.release()

    def _loaded(self, deadline: float) -> Channel:
        if self._channel is not None and self._channel.alive:
            return self._channel
        self._discard()
        self._channel = Channel()
        try:
            self._channel.ask({"op": "load", **asdict(self._load)}, deadline, _unexpected)
        except RefusedRequestError:
            self._discard()
            raise
        return self._channel

    def close(self) -> None:
        """End the process, even under another thread that waits for its answer."""
        if (channel := self._channel) is not None:
            channel.kill()
        # the pipes are closed by whoever reads them: their numbers may already mean another file
        if self._lock.acquire(timeout=CLOSING_SECONDS):
            self._discard()
            self._lock.release()

    def _discard(self) -> None:
        channel, self._channel = self._channel, None
        if channel is not None:
            channel.close()


def _unexpected(message: dict[str, Any]) -> None:
    raise ProviderError(f"the local engine sent {sorted(message)} while it loaded")


class RefusedRequestError(Exception):
    """The engine said no, and is well; `error` is what to raise."""

    def __init__(self, error: ProviderError) -> None:
        super().__init__(error.message)
        self.error = error


class Channel:
    """A running engine process and its three pipes; every wait has a deadline."""

    def __init__(self) -> None:
        # a file never blocks the engine, and keeps its last words
        self._stderr: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", ENGINE],  # -P: nothing is imported from the current folder
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._stderr,
            env={**os.environ, "GGML_NO_BACKTRACE": "1"},
            start_new_session=True,  # Ctrl-C is for gemx, which then ends the engine
        )
        self._stdin, self._stdout = _descriptor(self._process.stdin), _descriptor(self._process.stdout)
        os.set_blocking(self._stdin, False)
        self._lines: deque[bytes] = deque()
        self._partial: list[bytes] = []

    @property
    def alive(self) -> bool:
        """Whether the process runs."""
        return self._process.poll() is None

    def ask(self, request: Mapping[str, Any], deadline: float, on_message: OnMessage) -> dict[str, Any]:
        """Send one request; returns its last message, and hands on those before it."""
        self._send(json.dumps(request).encode() + b"\n", deadline)
        while True:
            message: dict[str, Any] = json.loads(self._line(deadline))
            if "done" in message:
                return message["done"]
            if "error" in message:
                raise RefusedRequestError(_error(**message["error"]))
            on_message(message)

    def _send(self, data: bytes, deadline: float) -> None:
        left = memoryview(data)
        while left:
            self._wait(self._stdin, selectors.EVENT_WRITE, deadline)
            try:
                left = left[os.write(self._stdin, left) :]
            except BrokenPipeError as error:
                raise self._crash() from error

    def _line(self, deadline: float) -> bytes:
        while not self._lines:
            self._wait(self._stdout, selectors.EVENT_READ, deadline)
            chunk = os.read(self._stdout, READ_BYTES)
            if not chunk:
                raise self._crash()
            head, *rest = chunk.split(b"\n")
            self._partial.append(head)
            if rest:
                self._lines += [b"".join(self._partial), *rest[:-1]]
                self._partial = [rest[-1]]
        return self._lines.popleft()

    def _wait(self, descriptor: int, event: int, deadline: float) -> None:
        with selectors.DefaultSelector() as selector:
            selector.register(descriptor, event)
            if not selector.select(max(0.0, deadline - time.monotonic())):
                raise TimeoutExceededError("the local model did not finish in the time allowed")

    def _crash(self) -> EngineCrashError:
        self._process.kill()  # a closed pipe without an exit is no life either
        code = self._process.wait()
        how = f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"
        words = self._last_words()
        message = f"the local engine {how}: {words}" if words else f"the local engine {how}"
        return EngineCrashError(message, hint=_crash_hint(code))

    def _last_words(self) -> str:
        size = self._stderr.seek(0, os.SEEK_END)
        self._stderr.seek(max(0, size - STDERR_BYTES))
        lines = self._stderr.read().decode("utf-8", "replace").split("\n")
        return " | ".join([line.strip() for line in lines if line.strip()][-3:])

    def kill(self) -> None:
        """End the process."""
        self._process.kill()
        self._process.wait()

    def close(self) -> None:
        """End the process and its pipes."""
        self.kill()
        for stream in (self._process.stdin, self._process.stdout, self._stderr):
            if stream is not None:
                stream.close()


def _descriptor(pipe: IO[bytes] | None) -> int:
    assert pipe is not None, "Popen makes every pipe that it is asked for"  # noqa: S101
    return pipe.fileno()


def _error(code: str, message: str, hint: str | None) -> ProviderError:
    return ERRORS.get(code, ProviderError)(message, hint=hint)


def _crash_hint(code: int) -> str | None:
    return {
        -signal.SIGKILL: "the system kills what takes too much memory: try a smaller model, context or gpu_layers",
        -signal.SIGILL: "this llama-cpp-python was built for another processor: reinstall gemx[local] on this machine",
    }.get(code)
