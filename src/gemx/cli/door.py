"""What commands that call a model share: their flags as the door's policy, and what the door says meanwhile."""

from __future__ import annotations

import signal
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from gemx.cli import options, output
from gemx.errors import GemxError, UsageError

if TYPE_CHECKING:
    from gemx.gateway import Attempt, Policy, Request, Usage
    from gemx.settings import Setting, Settings

_GRACE = 0.5  # the door's own deadline comes first, and knows what it waited for


@dataclass(frozen=True)
class Flags:
    """The flags of a command that say where its calls go, and what they may send, cost and take."""

    model: str | None
    option: list[str] | None
    fallback: list[str] | None
    guard: Literal["off", "warn", "mask", "block"] | None
    network: Literal["machine", "site", "any"] | None
    local_only: bool
    max_cost: float | None
    timeout: float | None
    tries: int | None

    def check(self) -> None:
        """Refuse what makes no sense before anything is read, and start the clock of --timeout."""
        from gemx import gateway

        if self.local_only and self.network not in (None, "machine"):
            raise UsageError(f"--local-only and --network {self.network} contradict each other")
        gateway.check_flags(self.model, options.pairs(self.option, "-o"), self.fallback or ())
        if self.timeout is not None:
            _ring_after(self.timeout)

    def policy(
        self, settings: Settings, request: Request, *, clinical: bool = False, own: Setting | None = None
    ) -> Policy:
        """The policy for a command whose first call asks this, in a conversation that has a model of its `own`."""
        if self.timeout is None:
            # what a person may still have had to type before is not counted
            _ring_after(float(settings.resolve("timeout").value))
        return self._made(settings, request, self.model, clinical=clinical, own=own)

    def embedding(self, settings: Settings) -> Policy:
        """The policy for embeddings, before it is known whose: of all batches together only --timeout is a bound."""
        return self._made(settings, None, "extractive")

    def _made(
        self,
        settings: Settings,
        request: Request | None,
        model: str | None,
        *,
        clinical: bool = False,
        own: Setting | None = None,
    ) -> Policy:
        from gemx import gateway

        return gateway.make(
            settings,
            request=request,
            model=model,
            options=options.pairs(self.option, "-o"),
            fallback=self.fallback or (),
            guard=self.guard,
            network="machine" if self.local_only else self.network,
            max_cost=self.max_cost,
            timeout=self.timeout,
            tries=self.tries,
            clinical=clinical,
            listener=Progress(),
            own=own,
        )


def _ring_after(seconds: float) -> None:
    """The backstop for whatever is not a call: standard input that never ends, a key command that hangs."""
    signal.setitimer(signal.ITIMER_REAL, seconds + _GRACE)


@contextmanager
def alarmed(seconds: float) -> Generator[None]:
    """The same backstop for a part of a command alone; it replaces the one before, and after it there is none."""
    _ring_after(seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)


@contextmanager
def undisturbed() -> Generator[None]:
    """Let Ctrl-C wait until what is done inside is whole."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


class Progress:
    """Tells on stderr what the door says."""

    def note(self, text: str) -> None:
        """A remark."""
        output.note(text)

    def warn(self, text: str) -> None:
        """A remark that is told even with --quiet."""
        output.warning(f"gemx: {text}")

    def waiting(self, seconds: float, why: str) -> None:
        """A countdown on a terminal, one line elsewhere."""
        output.progress(f"waiting {seconds:.0f} s: {why}" if seconds >= 1 else f"waiting {seconds:.1f} s: {why}")

    def waited(self) -> None:
        """Take the countdown away."""
        output.progress_ended()


def announce(policy: Policy) -> None:
    """Say which model is used, why, and what was passed over."""
    for note in policy.route.notes:
        output.note(f"model: {note}")
    output.note(f"model: {policy.route} ({policy.route.reason})")


@contextmanager
def receipted() -> Generator[None]:
    """Say what a command took that fails inside."""
    try:
        yield
    except GemxError as exc:
        receipt(exc.attempts)
        raise


def receipt(attempts: Sequence[Attempt]) -> None:
    """Say what a command took: the tokens and the money of all its tries."""
    from gemx.gateway import bill

    parts = [_tokens(bill.usage(attempts)), _price(attempts)]
    if said := ", ".join(part for part in parts if part):
        output.note(f"used: {said}")


def _price(attempts: Sequence[Attempt]) -> str:
    from gemx.gateway import bill

    cost, known, table = bill.total(attempts), bill.at_least(attempts), bill.table(attempts)
    if table is None:
        return ""
    if cost is not None:
        return f"{bill.dollars(cost)} USD (prices {table})"
    if known:
        return f"at least {bill.dollars(known)} USD, the rest not known (prices {table})"
    # of a try that failed on the way nobody knows the bill, whatever its price
    failed = any(attempt.error and attempt.cost is None for attempt in attempts)
    return f"{'cost not known' if failed else 'unpriced'} (prices {table})"


def _tokens(usage: Usage) -> str:
    if usage.input_tokens is None or usage.output_tokens is None:
        return ""
    return f"{usage.input_tokens} tokens in, {usage.output_tokens} out"
