"""The one door: every model call, from every command, passes `call`, `structured` or `embed`."""

from __future__ import annotations

from gemx.audit.record import new_run_id
from gemx.gateway.call import call, embed, estimate_tokens, structured, substitution
from gemx.gateway.policy import Policy, make
from gemx.gateway.route import Route
from gemx.providers.base import Message, Options, Origin, Reply, Request, Usage

__all__ = [
    "Message",
    "Options",
    "Origin",
    "Policy",
    "Reply",
    "Request",
    "Route",
    "Usage",
    "call",
    "embed",
    "estimate_tokens",
    "make",
    "new_run_id",
    "structured",
    "substitution",
]
