"""The template of `gemx gen` and of `gemx templates render`: what fills it, what it brings; a call as a new one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gemx.cli import door, options, output
from gemx.errors import ConfigError, GemxError, UsageError

if TYPE_CHECKING:
    from gemx.conversation import Prompt
    from gemx.gateway import Policy
    from gemx.templates import Named

_TRUSTED = ("user", "gemx")


@dataclass(frozen=True)
class Used:
    """A template and the values that were given for it."""

    named: Named
    given: Mapping[str, str]

    @property
    def takes_input(self) -> bool:
        """Whether what is on the command line or on stdin is one of its variables."""
        from gemx.templates import INPUT

        return INPUT in self.named.template.used() and INPUT not in self.given

    @property
    def waits_for_input(self) -> bool:
        """Whether it cannot be filled without that."""
        from gemx.templates import INPUT

        return self.takes_input and any(each.name == INPUT and each.needed for each in self.named.template.takes)


def used(name: str | None, param: list[str] | None) -> Used | None:
    """The template of -t with the values of -p; a note says where it comes from, if it does not ship."""
    if name is None:
        if param:
            raise UsageError("-p gives a value to a template's variable: it needs -t NAME")
        return None
    from gemx.templates import shelf

    named = shelf.load(name)
    if named.path:
        output.note(f"template: {named.name} (from {named.found.path})")
    return Used(named, options.pairs(param, "-p"))


def fill(asked: Prompt, used: Used | None) -> Prompt:
    """The prompt of a template in the place of what was asked; a system instruction of -s stays."""
    if used is None:
        return asked
    from gemx import conversation
    from gemx.templates import INPUT

    if INPUT in used.given and asked.text.strip() and INPUT in used.named.template.used():
        raise UsageError("the input is given twice: by -p input=… and as the prompt or on stdin")
    return conversation.filled(asked, used.named.template, used.given)


def flags(given: door.Flags, used: Used | None) -> door.Flags:
    """The flags with the model and the options that the template brings, where they say nothing of their own.

    Only one that ships, or that lies in the config directory, brings a model: what a folder holds must not choose one.
    """
    if used is None:
        return given
    template = used.named.template
    own = {name: str(value) for name, value in template.options.items()}
    model = template.model
    if used.named.found.origin not in _TRUSTED and model and not given.model:
        output.note(
            f"template: its model {model} is not used, as it does not lie in the config directory; -m chooses one"
        )
        model = None
    _check(used, model, own)
    asked = options.pairs(given.option, "-o")
    merged = [f"{name}={value}" for name, value in {**own, **asked}.items()]
    return replace(given, model=given.model or model, option=merged or None)


def explained(policy: Policy, given: door.Flags, used: Used | None) -> Policy:
    """The policy whose route says that the template chose it, where it did."""
    if used is None or given.model or not used.named.template.model or policy.route.reason != "chosen by flag":
        return policy
    first = replace(policy.route, reason=f"chosen by the template {used.named.name}")
    return replace(policy, route=first, routes=(first, *policy.routes[1:]))


def origin(used: Used | None) -> dict[str, str | None]:
    """The template as the audit names it."""
    return used.named.about if used else {}


def described(used: Used | None) -> dict[str, Any]:
    """The template as --json names it."""
    if used is None:
        return {"template": None}
    named = used.named
    path = str(named.path) if named.path else None
    said = {"name": named.name, "version": named.template.version, "sha256": named.sha256, "path": path}
    return {"template": said}


def _check(used: Used, model: str | None, own: Mapping[str, str]) -> None:
    from gemx import gateway

    try:
        gateway.check_flags(model, own, ())
    except UsageError as exc:
        raise ConfigError(f"the template {used.named.name}: {exc.message}", hint=exc.hint) from exc


@dataclass(frozen=True)
class Saving:
    """Where a call is to be kept as a template."""

    name: str
    path: Path


def saving(name: str | None, words: Sequence[str | None]) -> Saving | None:
    """Where --save keeps the call: asked before it is paid for. `words` are what would be kept.

    Raises UsageError where the name is taken, and where a key would be kept; what identifies somebody is warned of.
    """
    if name is None:
        return None
    from gemx import gateway, keys
    from gemx.templates import shelf

    kept = [each for each in words if each]
    if any(keys.redact(each) != each for each in kept):
        raise UsageError("--save would keep an API key", hint="leave it out: a template is no place for one")
    if kinds := sorted({found.kind for each in kept for found in gateway.identifiers.find(each)}):
        output.warning(
            f"gemx: the template {name} keeps what identifies somebody ({', '.join(kinds)}) until it is removed"
        )
    return Saving(name, shelf.new_file(name))


def save(
    target: Saving | None, text: str | None, system: str | None, given: door.Flags, used: Used | None
) -> list[GemxError]:
    """Keep a call: `text` is the prompt argument, `system` that of -s, as typed; no file and no stdin is kept.

    Returns why that failed, if it did: the answer is there all the same.
    """
    if target is None:
        return []
    try:
        _save(target, text, system, given, used)
    except GemxError as exc:
        return [exc]
    return []


def saved(target: Saving | None, failures: Sequence[GemxError]) -> None:
    """Say where the call was kept."""
    if target and not failures:
        output.note(f"the call is kept as the template {target.name}: {target.path}")


def _save(target: Saving, text: str | None, system: str | None, given: door.Flags, used: Used | None) -> None:
    from gemx import conversation
    from gemx.templates import shelf
    from gemx.templates.kept import kept

    prompt = None if text in (None, "-") else text
    asked = options.pairs(given.option, "-o")
    base = used.named.template if used else None
    values: dict[str, Any] = {}
    if used and base:
        bound = conversation.bound(base, used.given, waived=tuple(each.name for each in base.takes))
        values = {key: value for key, value in bound.items() if key in used.given}
    shelf.write(
        target.path,
        kept(target.name, base, values, prompt=prompt, system=system, model=given.model, options=asked),
        new=True,
    )
