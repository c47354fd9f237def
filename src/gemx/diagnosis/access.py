"""Keys and endpoints: where a key is, never what it is; and who answers.

An endpoint is asked for its list of models, which costs nothing and tells nothing of a patient.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING

from gemx import gateway, keys, system_keyring
from gemx.diagnosis.check import Case, Check, fail, isolated, ok, warn
from gemx.errors import AuthenticationError, ConfigError, GemxError, ModelNotFoundError, RateLimitError
from gemx.keys import Owner, Source
from gemx.models import registry
from gemx.providers import Reach
from gemx.providers.base import Probe

if TYPE_CHECKING:
    from gemx.providers.gemini import Gemini
    from gemx.providers.openai_compatible import Endpoint, OpenAICompatible

_SECONDS = 5.0
_AT_ONCE = 8
_SHOWN = 5


_Describe = Callable[[], "Endpoint | None"]


@dataclass(frozen=True)
class _Target:
    """An endpoint that can be asked; `model` is what config.json wants of it.

    `reach` raises where its description is wrong; `open` gives it with its key, None where it lacks one that it needs.
    """

    name: str
    reach: Callable[[], Reach]
    open: Callable[[], Gemini | OpenAICompatible | None]
    model: str | None = None


def keyring(_: Case) -> Iterator[Check]:
    """The system's keyring, asked as it is when a key is looked for."""
    answer = system_keyring.get(keys.GEMINI)
    if not answer.problem:
        yield ok("keyring", answer.backend)
    elif system_keyring.why_none() or answer.problem == system_keyring.NO_SERVICE:
        yield ok("keyring", f"none: {answer.problem}; keys are stored in files (mode 0600)")
    else:
        mend = "unlock or start it; or store keys in files: gemx config set-key NAME --file"
        yield warn("keyring", f"it cannot be used: {answer.problem}", mend)


def key(case: Case) -> Iterator[Check]:
    """Every key that could be needed."""
    config = case.settings.config
    missed = _needs_gemini(case)
    yield isolated("key.gemini", lambda: _key(keys.of_gemini(case.settings), "key.gemini", missed=missed))
    for name in config.endpoints:
        owner = keys.of_endpoint(name, case.settings)
        yield isolated(f"key.{name}", partial(_key, owner, f"key.{name}", missed=False))
    if os.environ.get("LLM_BASE_URL"):
        there = keys.from_variable("LLM_API_KEY")
        yield ok("key.LLM_BASE_URL", "in LLM_API_KEY" if there else "none: LLM_API_KEY is not set")


def endpoints(case: Case) -> Iterator[Check]:
    """Who answers, each within a few seconds."""
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        yield from pool.map(partial(_isolated, case), _targets(case))


def _needs_gemini(case: Case) -> bool:
    """Whether a key of Gemini is missed: a model asks for it, or nothing else could answer."""
    config = case.settings.config
    if str(config.model).startswith("gemini:"):
        return True
    others = registry.installed() or config.endpoints or os.environ.get("LLM_BASE_URL")
    return not others and config.network in (None, "any")


def _key(owner: Owner, name: str, *, missed: bool) -> Check:
    there: list[str] = []
    for source in keys.sources(owner):
        if there and source.kind == "command":
            # A command may ask or cost something: it is run where its key would be used.
            there.append(f"{source.label} (not run)")
            continue
        try:
            found = source.read()
        except ConfigError as exc:
            # What wins is used, whatever fails after it.
            return warn(name, exc.message, exc.hint) if there else fail(name, exc.message, exc.hint)
        if found and not there and (problem := keys.form_problem(found)):
            return fail(name, f"in {source.label}, but {problem}", f"set it again: gemx config set-key {owner.stored}")
        there += [source.label] if found else []
    if there:
        return ok(name, f"in {there[0]}" + (f", which wins; also in {', '.join(there[1:])}" if there[1:] else ""))
    return _no_key(owner, name, missed=missed)


def _no_key(owner: Owner, name: str, *, missed: bool) -> Check:
    looked = ", ".join(_looked(source) for source in keys.sources(owner))
    if owner.configured is not None:
        return fail(name, f"{owner.where} names a source, and there is no key: {looked}", "give it one that has a key")
    if missed:
        return warn(name, f"none: {looked}", f"set {owner.variables[0]}, or: gemx config set-key {owner.stored}")
    return ok(name, "none" if owner.variables else "none: it is asked without one")


def _looked(source: Source) -> str:
    return f"{source.label} is not set" if source.kind == "environment" else f"nothing in {source.label}"


def _targets(case: Case) -> Iterator[_Target]:
    from gemx.providers import endpoints as described

    settings = case.settings
    yield _Target("gemini", lambda: "any", lambda: _gemini(keys.gemini(settings)))
    for name, configured in settings.config.endpoints.items():
        describe = partial(described.of_config, name, settings)
        yield _target(name, partial(describe, key=False), describe, configured.model)
    if os.environ.get("LLM_BASE_URL"):
        yield _target("LLM_BASE_URL", described.of_environment, described.of_environment)


def _target(name: str, keyless: _Describe, describe: _Describe, model: str | None = None) -> _Target:
    def reach() -> Reach:
        endpoint = keyless()
        return endpoint.reach if endpoint else "any"

    return _Target(name, reach, lambda: _compatible(describe()), model)


def _gemini(key: str | None) -> Gemini | None:
    from gemx.providers.gemini import Gemini

    return Gemini(key) if key else None


def _compatible(endpoint: Endpoint | None) -> OpenAICompatible | None:
    from gemx.providers.openai_compatible import OpenAICompatible

    return OpenAICompatible(endpoint) if endpoint else None


def _isolated(case: Case, target: _Target) -> Check:
    name = f"endpoint.{target.name}"
    return isolated(name, partial(_asked, case, name, target))


def _asked(case: Case, name: str, target: _Target) -> Check:
    if reason := _out_of_bounds(case, target.reach()):
        return ok(name, f"not asked: {reason}")
    return _probed(case, name, target)


def _probed(case: Case, name: str, target: _Target) -> Check:
    try:
        client = target.open()
    except ConfigError:
        return warn(name, "not asked: its key cannot be read", f"mend key.{target.name}")
    except GemxError as exc:
        return _unanswered(name, target, exc)
    if client is None:
        return ok(name, "not asked: there is no key")
    try:
        probe = client.probe(_SECONDS)
    except GemxError as exc:
        return _unanswered(name, target, exc)
    finally:
        client.close()
    if probe.date:
        case.clocks.append((target.name, probe.date, datetime.now(UTC)))
    return _answered(name, target, probe)


def _out_of_bounds(case: Case, reach: Reach) -> str:
    """Why what lies so far is not asked, or ""."""
    if case.offline and reach != "machine":
        return case.offline
    network = gateway.network_of(case.settings)
    return "" if gateway.is_within(reach, network) else f"network is {network}"


def _unanswered(name: str, target: _Target, exc: GemxError) -> Check:
    if isinstance(exc, AuthenticationError):
        how = f"see key.{target.name} for where its key is, and put the right one there"
        return fail(name, f"reached, and the key was refused: {exc.message}", how)
    if isinstance(exc, ModelNotFoundError):
        return warn(name, f"reached, and it lists no models: {exc.message}", "see that base_url ends in /v1")
    if isinstance(exc, RateLimitError):
        return warn(name, f"reached, and over a limit: {exc.message}", exc.hint)
    return fail(name, f"no answer: {exc.message}", "check its address, the network and the proxy")


def _answered(name: str, target: _Target, probe: Probe) -> Check:
    if target.model and probe.models and target.model not in probe.models:
        served = ", ".join(probe.models[:_SHOWN]) + ("…" if len(probe.models) > _SHOWN else "")
        return warn(name, f"reached, and it does not serve {target.model}", f"it serves: {served}")
    count = len(probe.models)
    return ok(name, f"reached: {count} {'model' if count == 1 else 'models'}")
