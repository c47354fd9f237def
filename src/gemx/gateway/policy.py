"""What one command's calls may do and how: merged from flags, profile and config.json before the door is reached."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from decimal import Decimal
from typing import Any

from gemx import providers
from gemx.errors import ConfigError, UsageError
from gemx.gateway import clock, guard, route
from gemx.gateway.budget import Caps
from gemx.gateway.estimate import estimate_tokens
from gemx.gateway.limiter import Limits
from gemx.gateway.notices import Listener, Silent
from gemx.gateway.route import Route
from gemx.library import suggest
from gemx.providers import REACHES
from gemx.providers.base import Options, Reach, Request
from gemx.settings import Config, Guard, Network, RetryConfig, Setting, Settings

_CONFIGURABLE = ("temperature", "max_output_tokens", "thinking")
_LEVELS = ("minimal", "low", "medium", "high")
_TASKS = ("text", "image", "audio", "long")
_TIERS = ("standard", "flex", "priority")
_CHOICES = {"thinking": _LEVELS, "service_tier": _TIERS}
_DEFAULT_CONCURRENCY = 20
_SILENT = Silent()
_NO_LIMITS = Limits()


@dataclass(frozen=True)
class _Number:
    kind: type[int] | type[float]
    low: float
    high: float


_NUMBERS = {
    "temperature": _Number(float, 0, 2),
    "top_p": _Number(float, 0, 1),
    "seed": _Number(int, 0, 2**31 - 1),
    "max_output_tokens": _Number(int, 1, 10**6),
    "timeout": _Number(float, 0.001, 86_400),
    "context": _Number(int, 16, 10**8),
    "gpu_layers": _Number(int, -1, 10**4),
}


@dataclass(frozen=True)
class Policy:
    """Where a command's calls go, what they may send, cost and take, and who hears of it.

    `route` was chosen; `routes` are those to try, in order, which begin with it. `asked` comes from flags and is
    refused by a chosen provider that cannot honour it; `defaults` come from a profile or config.json, and concern the
    providers that have such an option. `attempt_timeout` (-o timeout) bounds one try in seconds, `timeout` all of them,
    until `deadline` in seconds of `clock.monotonic`. `max_cost` is in US dollars.
    `own_limits` and `most_at_once` are those of a flow.
    """

    route: Route
    routes: tuple[Route, ...]
    settings: Settings
    asked: Options
    defaults: Options
    timeout: float
    deadline: float
    retry: RetryConfig
    attempt_timeout: float | None = None
    clinical: bool = False
    guard: Guard | None = None
    network: Reach = "any"
    max_cost: Decimal | None = None
    own_limits: Limits = _NO_LIMITS
    most_at_once: int | None = None
    listener: Listener = _SILENT

    @property
    def caps(self) -> Caps:
        """What the calls of this command, and of all commands of this day and month, may cost."""
        budget = self.settings.config.budget
        zone = clock.zone(self.settings.config.timezone)
        return Caps(self.max_cost, _dollars(budget.daily), _dollars(budget.monthly), zone)

    @property
    def concurrency(self) -> int:
        """How many calls may be under way at once in this process, at most."""
        return _lowest(self.settings.config.concurrency, self.most_at_once) or _DEFAULT_CONCURRENCY

    def limits(self, called: Route) -> Limits:
        """What a minute allows of calls to a route: its own limits in config.json, else those of its provider.

        Those of a flow hold too: the lower one.
        """
        configured, own = self.settings.config.limits, self.own_limits
        found = configured.get(str(called)) or configured.get(called.provider)
        return Limits(_lowest(found.rpm, own.rpm), _lowest(found.tpm, own.tpm)) if found else own

    def guard_level(self, reach: Reach) -> Guard:
        """How strictly what goes so far is looked at."""
        return guard.level_of(self.settings, self.guard, clinical=self.clinical, reach=reach)

    def options(self, honoured: frozenset[str], *, chosen: bool = True) -> Options:
        """The options of one try at a provider that honours these; one that was not chosen gets what it honours."""
        held = {name: value for name, value in self.defaults.given().items() if name in honoured}
        asked = {name: value for name, value in self.asked.given().items() if chosen or name in honoured}
        return Options(**{**held, **asked})

    def try_seconds(self, *, more_routes: bool = False) -> float:
        """The seconds of one try: what is left, or half of it where another route must still have a chance.

        Not above 0 where the time is over.
        """
        left = self.deadline - clock.monotonic()
        return min(self.attempt_timeout or left, left / 2 if more_routes else left)

    def restarted(self) -> Policy:
        """The same policy with a clock that starts now: for the next of many calls."""
        return replace(self, deadline=clock.monotonic() + self.timeout)

    def towards(self, model: str, reason: str) -> Policy:
        """The same policy for another model alone, without what was asked of the one that was chosen.

        Raises UsageError on a name that says no known provider.
        """
        provider, name = route.parse(model)
        chosen = Route(provider, name, reason)
        return replace(self, route=chosen, routes=(chosen,), asked=Options(), defaults=Options())

    def renewed(self) -> Policy:
        """The same policy with all its time before it: for the next part of a work that may take long."""
        return replace(self, deadline=clock.monotonic() + self.timeout)

    def going_on_with(self, called: str) -> Policy:
        """The same policy from the route that answered: what failed before it is not asked again."""
        names = [str(each) for each in self.routes]
        return replace(self, routes=self.routes[names.index(called) :]) if called in names else self


def make(
    settings: Settings,
    *,
    request: Request | None = None,
    model: str | None = None,
    options: Mapping[str, str] | None = None,
    fallback: Sequence[str] = (),
    guard: Guard | None = None,
    network: Network | None = None,
    max_cost: float | None = None,
    timeout: float | None = None,
    tries: int | None = None,
    clinical: bool = False,
    listener: Listener | None = None,
    named: Setting | None = None,
    own: Setting | None = None,
    retry: RetryConfig | None = None,
    limits: Limits | None = None,
    concurrency: int | None = None,
) -> Policy:
    """The policy of a command whose clock starts now. The arguments are its flags, and what its first call asks.

    `own` is the model of the conversation that is continued, where it is one. The step of a flow brings the model that
    it has `named`, a `retry` in place of that of config.json, `limits`, and how many calls it makes at once.
    Where several say something of privacy or cost, the strictest holds. Raises UsageError or ConfigError.
    """
    given = options or {}
    asked = parse_options(given)
    _check_limits(settings)
    reach = network_of(settings, network)
    task = route.task_of(request, estimate_tokens(request), settings.config.routes) if request else "text"
    first = route.choose(settings, model, task=task, clinical=clinical, network=reach, named=named, own=own)
    others, notes = route.fallbacks(settings, fallback, first, clinical=clinical, network=reach)
    seconds = float(settings.resolve("timeout", timeout).value)
    first = replace(first, notes=(*first.notes, *notes))
    return Policy(
        route=first,
        routes=(first, *others),
        settings=settings,
        asked=asked,
        defaults=Options(**{name: settings.resolve(name).value for name in _CONFIGURABLE}),
        timeout=seconds,
        deadline=clock.monotonic() + seconds,
        retry=(retry or settings.config.retry).model_copy(update={"max_attempts": tries} if tries else {}),
        attempt_timeout=asked.timeout if "timeout" in given else None,
        clinical=clinical,
        guard=guard,
        network=reach,
        max_cost=_least(max_cost, settings.config.budget.command),
        own_limits=limits or _NO_LIMITS,
        most_at_once=concurrency,
        listener=listener or _SILENT,
    )


def network_of(settings: Settings, flag: Network | None = None) -> Network:
    """How far data may go: the narrowest of flag, profile and config.json."""
    given: set[Network | None] = {flag, settings.profile.network if settings.profile else None, settings.config.network}
    narrowest: list[Network] = [reach for reach in REACHES if reach in given]
    return narrowest[0] if narrowest else "any"


def check_flags(model: str | None, options: Mapping[str, str], fallback: Sequence[str]) -> None:
    """Raise UsageError where flags make no sense: asked before anything is read that takes time to give."""
    for name in (*([model] if model is not None else []), *fallback):
        route.parse(name)
    parse_options(options)


def parse_options(given: Mapping[str, str]) -> Options:
    """Model options from text. Raises UsageError that names the option, its form and its bounds."""
    known = [item.name for item in fields(Options)]
    for name in given:
        if name not in known:
            raise UsageError(f"unknown option {name!r}{suggest(name, known)}", hint=f"options: {', '.join(known)}")
    return Options(**{name: _option(name, text) for name, text in given.items()})


def _option(name: str, text: str) -> Any:
    if name in _CHOICES and text not in _CHOICES[name]:
        raise UsageError(f"-o {name}={text} is not known", hint=f"one of: {', '.join(_CHOICES[name])}")
    if name not in _NUMBERS:
        return text
    form = _NUMBERS[name]
    try:
        value = form.kind(text)
    except ValueError:
        value = None
    if value is None or not form.low <= value <= form.high:
        kind = "a whole number" if form.kind is int else "a number"
        raise UsageError(f"-o {name}={text}: expected {kind} from {form.low} to {form.high}")
    return value


def check_config(config: Config, file: str = "config.json") -> None:
    """Raise ConfigError where a configuration names a model that no call could reach, or a limit of none."""
    routes = config.routes
    named = [("model", config.model), *((f"routes.{task}", getattr(routes, task)) for task in _TASKS)]
    named += [("knowledge", config.knowledge.embedder)]
    named += [("fallback", name) for name in config.fallback or ()]
    named += [(f"limits.{name}", name) for name in config.limits if not providers.is_known(name)]
    for key, name in named:
        if name is not None:
            try:
                route.parse(name)
            except UsageError as exc:
                raise ConfigError(f"{file} {key.partition('.')[0]}: {exc.message}", hint=exc.hint) from exc


def _check_limits(settings: Settings) -> None:
    check_config(Config(limits=settings.config.limits))


def _least(*amounts: float | None) -> Decimal | None:
    return min((found for amount in amounts if (found := _dollars(amount)) is not None), default=None)


def _lowest(*counts: int | None) -> int | None:
    return min((count for count in counts if count is not None), default=None)


def _dollars(amount: float | None) -> Decimal | None:
    return None if amount is None else Decimal(str(amount))
