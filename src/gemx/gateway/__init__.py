"""The one door: every model call, from every command, passes `call`, `structured` or `embed`."""

from __future__ import annotations

from gemx.audit.record import new_run_id
from gemx.gateway import bill, identifiers
from gemx.gateway.call import call, embed, foretell, warm_up
from gemx.gateway.estimate import estimate_tokens
from gemx.gateway.notices import Listener
from gemx.gateway.policy import Policy, check_config, check_flags, make, network_of
from gemx.gateway.prospect import Prospect, prospect
from gemx.gateway.repair import structured
from gemx.gateway.route import Route, is_within
from gemx.gateway.store import kept_open
from gemx.gateway.substitution import Substitution, substitution
from gemx.providers import NAMES as PROVIDERS
from gemx.providers import abandon_all, check_plugin
from gemx.providers.base import Attempt, Message, Options, Origin, Reply, Request, Usage

__all__ = [
    "PROVIDERS",
    "Attempt",
    "Listener",
    "Message",
    "Options",
    "Origin",
    "Policy",
    "Prospect",
    "Reply",
    "Request",
    "Route",
    "Substitution",
    "Usage",
    "abandon_all",
    "bill",
    "call",
    "check_config",
    "check_flags",
    "check_plugin",
    "embed",
    "estimate_tokens",
    "foretell",
    "identifiers",
    "is_within",
    "kept_open",
    "make",
    "network_of",
    "new_run_id",
    "prospect",
    "structured",
    "substitution",
    "warm_up",
]
