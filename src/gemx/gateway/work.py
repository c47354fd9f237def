"""What goes through the door: a request for text, or texts to embed; how each is searched, sent and recorded."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import replace
from typing import Generic, Self, TypeVar

from gemx.errors import UnsupportedError
from gemx.gateway import guard
from gemx.gateway.attempt import Trial
from gemx.gateway.estimate import estimate_tokens, most_text_tokens, most_tokens, prompt_text, text_tokens
from gemx.gateway.guard import Guarded
from gemx.gateway.masking import Masks
from gemx.gateway.policy import Policy
from gemx.gateway.route import Route
from gemx.providers.base import Embedder, Embeddings, OnText, Options, Origin, Provider, Reply, Request
from gemx.settings import Guard

Answer = TypeVar("Answer", Reply, Embeddings)


class Work(ABC, Generic[Answer]):
    """One thing that somebody asks of a model."""

    def __init__(self, origin: Origin) -> None:
        self.origin = origin
        self._guarded: dict[Guard, tuple[Self, Guarded]] = {}

    def guarded(self, level: Guard) -> tuple[Self, Guarded]:
        """What of it may be sent, searched once for each level. Raises PrivacyError."""
        if level not in self._guarded:
            self._guarded[level] = self.searched(level)
        return self._guarded[level]

    @property
    def shown(self) -> bool:
        """Whether anything of an answer has been shown already."""
        return False

    @property
    @abstractmethod
    def tokens(self) -> tuple[int, int]:
        """About how many tokens it is, and how many at most."""

    @abstractmethod
    def trial(self, policy: Policy, route: Route, number: int) -> Trial:
        """A try of it, for the record."""

    @abstractmethod
    def searched(self, level: Guard) -> tuple[Self, Guarded]:
        """What of it may be sent. Raises PrivacyError."""

    @abstractmethod
    def run(self, provider: Provider, model: str, options: Options) -> Answer:
        """Send it. Raises ProviderError."""


class Sink:
    """Where the text of an answer goes piece by piece."""

    def __init__(self, on_text: OnText) -> None:
        self.shown = False
        self._on_text = on_text

    def __call__(self, text: str) -> None:
        """Take a piece."""
        if text:
            self.shown = True
            self._on_text(text)


class Generation(Work[Reply]):
    """A request for text, which goes to `sink` as it comes."""

    def __init__(self, request: Request, sink: Sink | None, masks: Masks | None = None) -> None:
        super().__init__(request.origin)
        self.request, self.sink, self.masks = request, sink, masks

    @property
    def shown(self) -> bool:
        """Whether anything went to the sink."""
        return self.sink is not None and self.sink.shown

    @property
    def tokens(self) -> tuple[int, int]:
        """Of the text, and of text, schema and files at most."""
        return estimate_tokens(self.request), most_tokens(self.request)

    def trial(self, policy: Policy, route: Route, number: int) -> Trial:
        """A try, with what the user asked, and not what is sent of it."""
        trial = Trial("generate_content", policy, route, self.origin, number)
        trial.texts = {"prompt": prompt_text(self.request)}
        trial.output_type = "json" if self.request.schema is not None else "text"
        trial.stream = self.sink is not None
        trial.audio = any(part.mime_type.startswith("audio/") for part in self.request.media)
        return trial

    def searched(self, level: Guard) -> tuple[Self, Guarded]:
        """With the masks that put the values back into the answer."""
        request, guarded = guard.check(self.request, level)
        return type(self)(request, self.sink, guarded.masks), guarded

    def run(self, provider: Provider, model: str, options: Options) -> Reply:
        """The reply as the user should read it, streamed or not."""
        if self.masks is None:
            return provider.generate(self.request, model, options, self.sink)
        in_json = self.request.schema is not None
        restorer = self.masks.restorer(self.sink, in_json=in_json) if self.sink else None
        try:
            reply = provider.generate(self.request, model, options, restorer.feed if restorer else None)
        except BaseException:
            # what was held back goes with what is on the screen; alone it would forbid the next try
            if restorer and self.shown:
                restorer.flush()
            raise
        if restorer:
            restorer.flush()
        return replace(reply, text=self.masks.unmask(reply.text, in_json=in_json))


class Embedding(Work[Embeddings]):
    """Texts to embed."""

    def __init__(self, texts: Sequence[str], origin: Origin, private: Sequence[tuple[str, str]]) -> None:
        super().__init__(origin)
        self.texts, self.private = texts, private

    @property
    def tokens(self) -> tuple[int, int]:
        """Of all texts."""
        return text_tokens(self.texts), most_text_tokens(self.texts)

    def trial(self, policy: Policy, route: Route, number: int) -> Trial:
        """A try, with what the user asked."""
        trial = Trial("embeddings", policy, route, self.origin, number)
        trial.texts = {"prompt": "\n".join(self.texts)}
        return trial

    def searched(self, level: Guard) -> tuple[Self, Guarded]:
        """With nothing to put back: vectors hold no text."""
        texts, guarded = guard.check_texts(self.texts, self.private, level)
        return type(self)(texts, self.origin, self.private), guarded

    def run(self, provider: Provider, model: str, options: Options) -> Embeddings:
        """One vector a text."""
        if not isinstance(provider, Embedder):
            raise UnsupportedError(f"{provider.name} has no embeddings", hint="choose another model with -m")
        return provider.embed(self.texts, model, options)
