"""Examine an installation of gemx and its surroundings: what works, what does not, and how to mend it.

Prints nothing, changes nothing, and calls no model. No check can stop another: one that fails is a finding itself.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from gemx import keys, places, settings
from gemx.diagnosis import access, files, hardware, plugins, software
from gemx.diagnosis.check import Case, Check, Checks, failed
from gemx.errors import ConfigError, GemxError, StoppedError

__all__ = ["Check", "run"]

# The clock is compared with those of the endpoints and of the audit: after them.
_CHECKS: dict[str, Checks] = {
    "python": software.python,
    "gemx": software.version,
    "config": software.config,
    "profile": software.profile,
    "timezone": software.timezone,
    "plugin": plugins.enabled,
    "sdk": software.sdk,
    "local": software.local,
    "sqlite": software.sqlite,
    "keyring": access.keyring,
    "key": access.key,
    "endpoint": access.endpoints,
    "models": hardware.models,
    "gpu": hardware.gpu,
    "paths": files.paths,
    "disk": files.disk,
    "audit": files.audit,
    "clock": software.clock,
}


def run(*, offline: bool = False) -> Iterator[Check]:
    """Every check in its order, each as soon as it is done; `offline` asks nothing outside this machine."""
    case = _case(offline)
    for name, checks in _CHECKS.items():
        try:
            for check in checks(case):
                yield _redacted(check)
        except StoppedError:
            raise
        except Exception as exc:
            yield _redacted(failed(name, exc))


def _case(offline: bool) -> Case:
    reason = "--offline" if offline else ""
    try:
        config = settings.load_config(places.config_file())
    except ConfigError as exc:
        # What cannot be read may say that nothing outside is to be asked.
        return Case(settings.Settings(settings.Config(), None, None), exc, reason or "config.json is not valid")
    try:
        return Case(settings.load(), None, reason)
    except GemxError:
        return Case(settings.Settings(config, None, None), None, reason or "the profile is not valid")


def _redacted(check: Check) -> Check:
    mend = keys.redact(check.mend) if check.mend else None
    return replace(check, found=keys.redact(check.found), mend=mend)
