"""A provider that a plugin brings, held to what the door expects of any: its own failures are ProviderErrors.

Its factory declares `reach`; what declares none may go anywhere. Knows no plugin by name.
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, cast

from gemx import plugins
from gemx.errors import EmptyReplyError, GemxError, ProviderError
from gemx.plugins import FAULTS, Offer
from gemx.providers.base import (
    Embedder,
    Embeddings,
    OnText,
    Options,
    Provider,
    Reach,
    Reply,
    Request,
    Usage,
    refuse_options,
)

_REACHES: tuple[Reach, ...] = ("machine", "site", "any")
_METHODS = ("generate", "close")
_ENDS = ("stop", "length")


class PluginProvider:
    """A plugin's own provider behind the name of its entry point."""

    def __init__(self, offer: Offer, inner: Provider, reach: Reach) -> None:
        self.name = offer.name
        self.system = inner.system
        self.reach: Reach = reach
        self.honoured = inner.honoured
        self._offer, self._inner = offer, inner

    def generate(self, request: Request, model: str, options: Options, on_text: OnText | None = None) -> Reply:
        """The plugin's answer. Raises ProviderError, also for what the plugin did not foresee."""
        refuse_options(self.name, options, self.honoured)
        shown = _Shown(on_text) if on_text else None
        try:
            reply = self._inner.generate(request, model, options, shown)
        except FAULTS as exc:
            if shown and shown.failure:
                raise shown.failure from None
            raise _as_provider_error(self._offer, exc) from exc
        if shown and shown.failure:
            # The plugin went on where it could not be heard any more.
            raise shown.failure
        return _checked(self._offer, reply)

    def close(self) -> None:
        """Let the plugin let go; what fails there comes after the answer, and takes nothing from it."""
        with contextlib.suppress(*FAULTS):
            self._inner.close()


class PluginEmbedder(PluginProvider):
    """One that turns texts into vectors, too."""

    def embed(self, texts: Sequence[str], model: str, options: Options) -> Embeddings:
        """One vector a text. Raises ProviderError."""
        try:
            found = cast("Embedder", self._inner).embed(texts, model, options)
        except FAULTS as exc:
            raise _as_provider_error(self._offer, exc) from exc
        if not isinstance(cast("Any", found), Embeddings) or len(found.vectors) != len(texts):
            raise _wrong(self._offer, "it did not give one vector a text")
        return found


def opened(offer: Offer) -> PluginProvider:
    """Make the provider of an entry point. Raises PluginError, or what the plugin itself says."""
    made = factory(offer)
    try:
        inner: Any = made()
    except GemxError:
        raise
    except FAULTS as exc:
        raise plugins.broken(offer, plugins.said(exc)) from exc
    if problem := _problem(inner, reach(offer)):
        raise plugins.broken(offer, problem)
    kind = PluginEmbedder if callable(getattr(inner, "embed", None)) else PluginProvider
    return kind(offer, inner, reach(offer))


def factory(offer: Offer) -> Any:
    """What makes the provider. Raises PluginError."""
    found = plugins.load(offer)
    if not callable(found):
        raise plugins.broken(offer, f"expected a class or function that makes a provider, not {type(found).__name__}")
    return found


def reach(offer: Offer) -> Reach:
    """How far its data go, by the word of its factory; anywhere without one. Raises PluginError."""
    said: Any = getattr(factory(offer), "reach", "any")
    found: list[Reach] = [each for each in _REACHES if each == said]
    return found[0] if found else "any"


def _problem(inner: Any, declared: Reach) -> str | None:
    """What keeps foreign data from being a provider."""
    missing = [name for name in _METHODS if not callable(getattr(inner, name, None))]
    if missing:
        return f"its provider has no {' and no '.join(missing)}"
    if not isinstance(getattr(inner, "system", None), str):
        return "its provider must say its system, as text"
    if not isinstance(getattr(inner, "honoured", None), frozenset):
        return "its provider must say which options it honours, as a frozenset"
    if declared != "any" and getattr(inner, "reach", None) != declared:
        return f"its factory says that data go to {declared!r}, and its provider does not"
    return None


class _Shown:
    """Where the text goes, with what failed there: a closed pipe is no fault of a plugin."""

    def __init__(self, on_text: OnText) -> None:
        self.failure: BaseException | None = None
        self._on_text = on_text

    def __call__(self, text: str) -> None:
        try:
            self._on_text(text)
        except BaseException as exc:
            self.failure = exc
            raise


def _checked(offer: Offer, reply: Any) -> Reply:
    if not isinstance(reply, Reply) or not isinstance(cast("Any", reply.text), str):
        raise _wrong(offer, "it gave no Reply with a text")
    if reply.finish_reason not in _ENDS or not _is_counted(reply.usage):
        raise _wrong(offer, "its Reply has no finish_reason or usage that can be used")
    if not reply.text.strip():
        raise EmptyReplyError(f"the plugin {offer.plugin} gave an answer without a word")
    return replace(reply, provider=offer.name, model=str(reply.model))


def _is_counted(usage: Any) -> bool:
    counts = vars(usage).values() if isinstance(usage, Usage) else ["none"]
    return all(count is None or (type(count) is int and count >= 0) for count in counts)


def _wrong(offer: Offer, problem: str) -> GemxError:
    return _as_provider_error(offer, TypeError(problem))


def _as_provider_error(offer: Offer, exc: BaseException) -> GemxError:
    if isinstance(exc, GemxError):
        return exc
    failed = plugins.failed(offer, exc)
    error = ProviderError(failed.message, hint=failed.hint)
    # How far it had come, nobody knows.
    error.may_be_billed = True
    return error
