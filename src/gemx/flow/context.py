"""What the items of one run share: where their calls go, what they may do, and where they write. Calls nothing."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from gemx import gateway
from gemx.errors import ConfigError, UsageError
from gemx.flow import hashes
from gemx.flow.output_folder import OutputFolder
from gemx.flow.schema import Retry, Step
from gemx.flow.shelf import Loaded
from gemx.gateway import Listener, Origin, Policy
from gemx.gateway.limiter import Limits
from gemx.gateway.notices import Silent
from gemx.settings import Guard, Network, RetryConfig, Setting, Settings

# Only a template of these brings a model: what a folder holds must not choose one.
_TRUSTED = ("user", "gemx")
_CALLING = ("prompt", "auto")


@dataclass(frozen=True)
class Asked:
    """The flags of a command for every call of a flow, as `gateway.make` takes them."""

    model: str | None = None
    options: Mapping[str, str] = field(default_factory=dict[str, str])
    fallback: Sequence[str] = ()
    guard: Guard | None = None
    network: Network | None = None
    max_cost: float | None = None
    timeout: float | None = None
    tries: int | None = None
    concurrency: int | None = None
    listener: Listener | None = None


@dataclass(frozen=True)
class Context:
    """What the items of one run share; safe for threads.

    `policies` are those of the steps that call a model, by id, and `searches` those of the steps that search, where a
    base may embed the query; `uses` are the hashes of what each step uses beside the flow. `origin` says who asks;
    `secrets` are the values by name.
    """

    settings: Settings
    origin: Origin
    policies: Mapping[str, Policy]
    searches: Mapping[str, Policy]
    folder: OutputFolder
    secrets: Mapping[str, str]
    uses: Mapping[str, str]
    asked: Asked = Asked()

    @property
    def listener(self) -> Listener:
        """Who hears of waits."""
        return self.asked.listener or Silent()

    @property
    def run_id(self) -> str:
        """The run's id."""
        return self.origin.run_id


def context(
    loaded: Loaded,
    settings: Settings,
    asked: Asked,
    *,
    command: str,
    run_id: str,
    out_dir: Path,
    allow_run: bool = False,
    started: float | None = None,
) -> Context:
    """What a run of this flow needs, checked before anything runs. Calls nothing, and makes no folder.

    `started` is when the run first began, in seconds since 1970, where it is resumed: what it has written since then is
    not replaced. Raises UsageError where it would run a command and may not, saying which; ConfigError where a secret
    is missing or a model cannot be had; NotFoundError where a knowledge base is absent.
    """
    if loaded.commands and not allow_run:
        raise _not_allowed(loaded)
    steps = loaded.flow.steps
    origin = Origin(
        command,
        run_id,
        flow=loaded.name,
        flow_sha256=loaded.sha256,
        flow_path=str(loaded.path) if loaded.path else None,
    )
    return Context(
        settings=settings,
        origin=origin,
        policies={step.id: policy(loaded, step, settings, asked) for step in steps if step.kind in _CALLING},
        searches={step.id: policy(loaded, step, settings, asked) for step in steps if step.rag is not None},
        folder=OutputFolder(out_dir, time.time() if started is None else started),
        secrets=_secrets(loaded.flow.secrets),
        uses=hashes.by_step(loaded),
        asked=asked,
    )


def policy(loaded: Loaded, step: Step, settings: Settings, asked: Asked) -> Policy:
    """The policy of a step that may call a model. Raises UsageError or ConfigError."""
    flow = loaded.flow
    limits, retry = flow.limits, retry_of(step.retry or flow.defaults.retry, settings.config.retry)
    caps = [cap for cap in (asked.max_cost, limits.max_cost_usd) if cap is not None]
    return gateway.make(
        settings,
        # What embeds a query is the base's own model, which no flag and no step names.
        model=asked.model if step.rag is None else None,
        named=_named(loaded, step) if step.rag is None else None,
        options=_options(loaded, step, asked),
        fallback=asked.fallback,
        guard=asked.guard,
        network=asked.network,
        max_cost=min(caps, default=None),
        timeout=asked.timeout,
        tries=asked.tries,
        clinical=step.auto is not None,
        listener=asked.listener,
        retry=retry,
        limits=Limits(limits.rpm, limits.tpm),
        concurrency=min((each for each in (limits.concurrency, asked.concurrency) if each), default=None),
    )


def retry_of(said: Retry | None, otherwise: RetryConfig) -> RetryConfig:
    """The rules of a flow, those of config.json where it says nothing."""
    return otherwise.model_copy(update=said.model_dump(exclude_none=True)) if said else otherwise


def _named(loaded: Loaded, step: Step) -> Setting | None:
    """The model that a step names, else its template, else the flow."""
    asked, template = step.prompt or step.auto, loaded.resources[step.id].template
    if asked is not None and asked.model is not None:
        return Setting(asked.model, f"step {step.id}")
    if template is not None and template.template.model and template.found.origin in _TRUSTED:
        return Setting(template.template.model, f"template {template.name}")
    default = loaded.flow.defaults.model
    return Setting(default, f"flow {loaded.name}") if default is not None else None


def _options(loaded: Loaded, step: Step, asked: Asked) -> Mapping[str, str]:
    """The options of a template, then those of the step, then those of flags; the later wins."""
    template, said = loaded.resources[step.id].template, step.prompt or step.auto
    merged = {**(template.template.options if template else {}), **(said.options if said else {})}
    seconds = step.timeout or loaded.flow.defaults.timeout
    timeout = {"timeout": f"{seconds:g}"} if seconds else {}
    own = {name: str(value) for name, value in merged.items()} if step.rag is None else {}
    flags = dict(asked.options) if step.rag is None else {}
    return {**timeout, **own, **flags}


def _secrets(names: Sequence[str]) -> Mapping[str, str]:
    found = {name: os.environ.get(name, "") for name in names}
    if missing := [name for name, value in found.items() if not value]:
        hint = "export each of them in the environment of gemx"
        raise ConfigError(f"the flow needs the secrets {', '.join(missing)}", hint=hint)
    return found


def _not_allowed(loaded: Loaded) -> UsageError:
    commands = "\n".join(f"  {id}: {shown(argv)}" for id, argv in loaded.commands)
    hint = "read them, and add --allow-run where they may run"
    return UsageError(f"the flow {loaded.name} would run commands:\n{commands}", hint=hint)


def shown(argv: Sequence[str]) -> str:
    """An argument list as a shell would be given it."""
    import shlex

    return shlex.join(argv)
