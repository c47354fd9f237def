"""What every provider takes and gives back: Request, Options, Reply, Usage, and the Provider protocol.

Providers translate; they do not route, retry, price or audit. That is the door's work.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any, Literal, Protocol, runtime_checkable

from gemx.documents import Media, Part, Passage, Text

OnText = Callable[[str], None]
FinishReason = Literal["stop", "length"]
Thinking = Literal["minimal", "low", "medium", "high"]
Reach = Literal["machine", "site", "any"]
ServiceTier = Literal["standard", "flex", "priority"]


@dataclass(frozen=True)
class Message:
    """One turn of a conversation."""

    role: Literal["user", "assistant"]
    parts: tuple[Part, ...]

    @property
    def text(self) -> str:
        """The turn's text parts, blank lines between them."""
        return "\n\n".join(part.text for part in self.parts if isinstance(part, Text))


@dataclass(frozen=True)
class Origin:
    """Who asks: written to the audit record beside the call. `subject` is what `audit.record.subject` made of one."""

    command: str
    run_id: str
    automation: str | None = None
    automation_version: str | None = None
    automation_sha256: str | None = None
    automation_path: str | None = None
    formulary_path: str | None = None
    template: str | None = None
    template_version: str | None = None
    template_sha256: str | None = None
    template_path: str | None = None
    flow: str | None = None
    flow_sha256: str | None = None
    flow_path: str | None = None
    step: str | None = None
    item: str | None = None
    subject: str | None = None

    @property
    def about(self) -> dict[str, str | None]:
        """What was run, by the names that it has in the audit: `gemx.automation`, `gemx.flow`, …"""
        apart = ("command", "run_id", "subject")
        return {f"gemx.{name}": value for name, value in vars(self).items() if name not in apart}


@dataclass(frozen=True)
class Request:
    """One call to a model, whatever the provider.

    `schema` is a JSON Schema (draft 2020-12) that the reply must satisfy. `passages` are cited context. `draft` is an
    answer that code composed, which `extractive` returns and a model individualises. `private` holds what must not
    leave the machine, as (kind, value), the kinds being `name`, `bed` and `record`: for the guard, and no provider.
    """

    messages: tuple[Message, ...]
    origin: Origin
    system: str | None = None
    schema: Mapping[str, Any] | None = None
    passages: tuple[Passage, ...] = ()
    draft: str | None = None
    private: tuple[tuple[str, str], ...] = ()

    @property
    def media(self) -> tuple[Media, ...]:
        """Every part that is not text, in order."""
        return tuple(part for message in self.messages for part in message.parts if isinstance(part, Media))


@dataclass(frozen=True)
class Options:
    """How to generate; None leaves the choice to the model or its engine. `timeout` bounds this one call, in seconds.

    `context`, `gpu_layers` (-1: all) and `lora` (a path) concern local engines alone, `service_tier` Gemini. A provider
    refuses what it cannot honour with UnsupportedError, and never drops it.
    """

    temperature: float | None = None
    top_p: float | None = None
    seed: int | None = None
    max_output_tokens: int | None = None
    thinking: Thinking | None = None
    timeout: float = 300.0
    context: int | None = None
    gpu_layers: int | None = None
    lora: str | None = None
    service_tier: ServiceTier | None = None

    def given(self) -> dict[str, Any]:
        """The options that were set, by name, `timeout` aside."""
        return {name: value for name, value in vars(self).items() if value is not None and name != "timeout"}


@dataclass(frozen=True)
class Usage:
    """Tokens as the provider counted them; None where it did not say.

    `input_tokens` includes the cached ones and `output_tokens` the reasoning ones, as OpenTelemetry defines them.
    """

    input_tokens: int | None = None
    output_tokens: int | None = None
    cached_tokens: int | None = None
    reasoning_tokens: int | None = None


@dataclass(frozen=True)
class Attempt:
    """One try at a provider, as the audit has it.

    `error` is an error's code; `cost` is in US dollars, None where it is not known; `prices` is the version of the
    price table, None where a call costs nothing; `usage` is None where no tokens were counted.
    """

    provider: str
    model: str
    duration: float
    error: str | None = None
    cost: Decimal | None = None
    prices: str | None = None
    usage: Usage | None = None


@dataclass(frozen=True)
class Reply:
    """What came back. `model` is the model as the provider named it in its answer.

    The door adds `route` (what was called, as -m would name it), `attempts` and, for structured calls, `value` and
    `problems` (empty when it is valid). `first_text` is seconds from the call to the first text.
    """

    text: str
    model: str
    finish_reason: FinishReason = "stop"
    usage: Usage = field(default_factory=Usage)
    response_id: str | None = None
    first_text: float | None = None
    provider: str = ""
    route: str = ""
    attempts: tuple[Attempt, ...] = ()
    value: Any = None
    problems: tuple[object, ...] = ()


@dataclass(frozen=True)
class Embeddings:
    """One vector a text, in order, all of one dimension; not normalised unless `normalized`."""

    vectors: tuple[tuple[float, ...], ...]
    model: str
    normalized: bool
    usage: Usage = field(default_factory=Usage)
    route: str = ""
    attempts: tuple[Attempt, ...] = ()


class Provider(Protocol):
    """An adapter to one way of running models.

    `system` is OpenTelemetry's gen_ai.provider.name. `reach` says where the data goes: this machine, the site's own
    network, or anywhere. `honoured` names the options that it can take.
    """

    @property
    def name(self) -> str: ...  # noqa: D102
    @property
    def system(self) -> str: ...  # noqa: D102
    @property
    def reach(self) -> Reach: ...  # noqa: D102
    @property
    def honoured(self) -> frozenset[str]: ...  # noqa: D102

    def generate(self, request: Request, model: str, options: Options, on_text: OnText | None = None) -> Reply:
        """Run one request; `on_text` gets the text piece by piece, as it comes. Raises ProviderError."""
        ...

    def close(self) -> None:
        """Let go of connections and processes."""
        ...


@dataclass(frozen=True)
class Probe:
    """What a server said when it was asked for its models: their names, as many as it gave at once, and its time."""

    models: tuple[str, ...]
    date: datetime | None = None


@runtime_checkable
class Embedder(Protocol):
    """A provider that also turns texts into vectors."""

    def embed(self, texts: Sequence[str], model: str, options: Options) -> Embeddings:
        """Embed the texts, in order. Raises ProviderError."""
        ...


def refuse_options(provider: str, options: Options, honoured: frozenset[str]) -> None:
    """Raise UnsupportedError for the options that were set and that the provider does not honour."""
    from gemx.errors import UnsupportedError

    refused = sorted(set(options.given()) - honoured)
    if refused:
        raise UnsupportedError(
            f"{provider} does not take the option {', '.join(refused)}",
            hint=f"it takes: {', '.join(sorted(honoured)) or 'no option'}",
        )
