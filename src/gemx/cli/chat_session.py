"""A chat as it stands: its turns, what goes along with the next message, and what it took. Knows no terminal.

A turn goes through the door as one of `gen` does. One that fails leaves the conversation as it was.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import TYPE_CHECKING

from gemx.cli import door, gen_answer, gen_template, gen_thread, keeping
from gemx.errors import GemxError, NotFoundError, UsageError

if TYPE_CHECKING:
    from gemx.cli.gen_template import Used
    from gemx.conversation import Exchange, Prompt, Thread
    from gemx.documents import Part
    from gemx.gateway import Attempt, Policy, Reply, Request, Substitution
    from gemx.history import Entry
    from gemx.settings import Network as NetworkName
    from gemx.settings import Settings

COMMAND = "chat"
Ask = Callable[["Request", "Policy"], "Reply"]


@dataclass(frozen=True)
class Answered:
    """What came of a message: the reply, the model that stood in for the one that was asked, what went wrong after."""

    reply: Reply
    substitution: Substitution | None
    failures: Sequence[GemxError]


@dataclass
class Session:
    """The state of a chat. `instruction` is the one in force; `is_own` says that the user gave it, and no template may
    take its place. `files` and `used`, a template, go along with the next message that is answered.

    `subject` is whom the chat is about, as a keyed hash. `unanswered` is a message that got no answer, `route` the
    model that was asked last, `substituted` what was said of another in its place, and `switched` says that the user
    chose it in the chat. `attempts` are the tries of this chat; of `stopped` answers nobody knows the bill. `kept` are
    the turns that the history has. `spent` is what this chat may have cost, in US dollars, where a cap asks for it.
    """

    settings: Settings
    flags: door.Flags
    keeps: bool = True
    thread: Thread | None = None
    instruction: str | None = None
    is_own: bool = False
    files: list[Part] = field(default_factory=list["Part"])
    used: Used | None = None
    subject: str | None = None
    unanswered: str | None = None
    route: str | None = None
    substituted: str = ""
    switched: bool = False
    attempts: list[Attempt] = field(default_factory=list["Attempt"])
    stopped: int = 0
    kept: set[str] = field(default_factory=set[str])
    spent: Decimal = Decimal(0)

    def __post_init__(self) -> None:
        if self.thread:
            self.kept.update(turn.run_id for turn in self.thread.exchanges)

    @property
    def seconds(self) -> float:
        """The time of one answer."""
        return float(self.settings.resolve("timeout", self.flags.timeout).value)

    @property
    def network(self) -> NetworkName | None:
        """How far data may go, as the flags say."""
        return "machine" if self.flags.local_only else self.flags.network

    def instruct(self, text: str | None) -> None:
        """Give the conversation another system instruction, or none; a profile's persona and language go with one."""
        self.instruction = self.settings.instruction(text) if text else None
        self.is_own = bool(text)

    def take(self, used: Used) -> None:
        """Put the next message into a template. Raises InputError now on a value that is missing or wrong."""
        from gemx import conversation
        from gemx.templates import INPUT

        conversation.bound(used.named.template, used.given, system=not self.is_own, waived=(INPUT,))
        self.used = used

    def switch(self, model: str) -> None:
        """Ask another model from now on. Raises UsageError or ConfigError, and leaves the one that is asked."""
        flags, switched = self.flags, self.switched
        self.flags, self.switched = replace(flags, model=model), True
        try:
            self.next_policy()
        except GemxError:
            self.flags, self.switched = flags, switched
            raise

    def send(self, typed: str, ask: Ask) -> Answered:
        """One more turn, with the files and the template that wait. Raises GemxError; then they go on waiting."""
        from gemx import conversation

        self.unanswered = typed
        own = self.instruction if self.is_own else None
        asked = gen_template.fill(conversation.Prompt(typed, tuple(self.files), own), self.used)
        if not self.is_own:
            instruction = self.settings.instruction(asked.system) if asked.system else self.instruction
            asked = replace(asked, system=instruction)
        answered = self._turn(asked, typed, self.thread, self.used, ask)
        self.files, self.used, self.unanswered = [], None, None
        return answered

    def retry(self, ask: Ask) -> Answered:
        """Ask again what got no answer; else the last message, whose new answer takes the place of the old one."""
        if self.unanswered is not None:
            return self.send(self.unanswered, ask)
        thread, old = self._last("ask again")
        prompt = replace(old.prompt, system=self.instruction)
        answered = self._turn(prompt, old.typed, thread.shortened(), None, ask)
        return replace(answered, failures=(*answered.failures, *self._erase(old)))

    def undo(self) -> tuple[Exchange, Sequence[GemxError]]:
        """Take the last turn out, and erase it from the history; also why it could not be erased, if so."""
        thread, turn = self._last("take out")
        with door.undisturbed():
            failures = self._erase(turn)
            self.thread, self.unanswered = thread.shortened(), None
        return turn, failures

    def next_policy(self) -> Policy:
        """Where the next message goes, its words aside. Raises GemxError."""
        with door.alarmed(self.seconds):
            return self._policy(self.next_request(), self.used)

    def next_request(self) -> Request:
        """What the next message sends, its words and its template aside. Calls nothing."""
        from gemx import conversation, gateway

        prompt = conversation.Prompt("?", tuple(self.files), self.instruction)
        return conversation.request(prompt, gateway.Origin(COMMAND, ""), self.thread)

    def _turn(self, prompt: Prompt, typed: str, before: Thread | None, used: Used | None, ask: Ask) -> Answered:
        from gemx import conversation, gateway

        run_id, about = gateway.new_run_id(), gen_template.origin(used)
        origin = gateway.Origin(COMMAND, run_id, subject=self.subject, **about)
        request = conversation.request(prompt, origin, before)
        policy, reply = self._asked(request, used, ask)
        substitution = gateway.substitution(reply, policy)
        data = {**gen_answer.data(request, reply, substitution, before), **gen_template.described(used)}
        asked = substitution.asked if substitution else None
        with door.undisturbed():
            self.thread = conversation.extended(before, request, prompt, reply, typed=typed, model=asked)
            self.instruction = prompt.system
            unkept = self._keep(conversation.entry(request, reply, data, before, typed=typed))
        cut = gen_answer.failure(reply)
        return Answered(reply, substitution, [*([cut] if cut else []), *unkept])

    def _asked(self, request: Request, used: Used | None, ask: Ask) -> tuple[Policy, Reply]:
        try:
            with door.alarmed(self.seconds):
                policy = self._policy(request, used)
                reply = ask(request, policy)
        except GemxError as exc:
            self.attempts += exc.attempts
            raise
        except KeyboardInterrupt:
            self.stopped += 1
            raise
        finally:
            self._settle(request.origin.run_id)
        self.attempts += reply.attempts
        return policy, reply

    def _policy(self, request: Request, used: Used | None) -> Policy:
        """Where a message goes, and under which caps: what this chat may cost is what its turns have left of it."""
        cap = self._cap
        flags = gen_template.flags(self.flags, used)
        flags = flags if cap is None else replace(flags, max_cost=float(max(cap - self.spent, Decimal(0))))
        policy = flags.policy(self.settings, request, own=gen_thread.own_model(self.thread))
        if not self.switched:
            return gen_template.explained(policy, self.flags, used)
        first = replace(policy.route, reason="chosen by /model")
        return replace(policy, route=first, routes=(first, *policy.routes[1:]))

    @property
    def _cap(self) -> Decimal | None:
        """What the whole chat may cost: the less of --max-cost and budget.command."""
        caps = [each for each in (self.flags.max_cost, self.settings.config.budget.command) if each is not None]
        return Decimal(str(min(caps))) if caps else None

    def _settle(self, run_id: str) -> None:
        """Count what a turn may have cost, as the door has it: of one that was stopped, what was set aside."""
        from gemx.gateway import budget

        if self._cap is not None:
            most = Decimal(10**6)
            left = budget.left(run_id, budget.Caps(most, None, None, None))
            self.spent += most - (most if left is None else left)

    def _keep(self, entry: Entry) -> Sequence[GemxError]:
        days = self.settings.config.history.keep if self.keeps else 0
        if not days:
            return []
        failures = keeping.keep(entry, days)
        if not failures:
            self.kept.add(entry.run_id)
        return failures

    def _last(self, what: str) -> tuple[Thread, Exchange]:
        if self.thread is None:
            raise UsageError(f"there is nothing to {what}: the conversation has no turn yet")
        return self.thread, self.thread.exchanges[-1]

    def _erase(self, turn: Exchange) -> list[GemxError]:
        if turn.run_id not in self.kept:
            return []
        from gemx import history

        try:
            history.remove([turn.run_id])
        except NotFoundError:
            pass  # somebody else has erased it
        except GemxError as exc:
            return [exc]
        self.kept.discard(turn.run_id)
        return []
