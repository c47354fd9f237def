"""The flow steps of plugins: each a function from a mapping of values to a mapping of outputs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, cast

from gemx import plugins
from gemx.plugins import Offer

FlowStep = Callable[[Mapping[str, Any]], Mapping[str, Any]]


def of(offer: Offer) -> FlowStep:
    """The function behind an entry point. Raises PluginError."""
    loaded = plugins.load(offer)
    if not callable(loaded):
        raise plugins.broken(offer, f"expected a function, not {type(loaded).__name__}")
    return cast("FlowStep", loaded)
