"""One turn of a chat on the screen: the model where it changes, the answer as it comes, what went wrong."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gemx.cli import door, gen_answer, output

if TYPE_CHECKING:
    from gemx.cli.chat_session import Answered, Ask, Session
    from gemx.gateway import Policy, Reply, Request


def send(session: Session, typed: str) -> None:
    """Send a message, and show the answer. Raises GemxError where there is none."""
    _told(session, session.send(typed, _asking(session)))


def retry(session: Session) -> None:
    """Ask the last message again, and show the answer. Raises GemxError where there is none."""
    _told(session, session.retry(_asking(session)))


def announce(session: Session, policy: Policy) -> None:
    """Say which model is asked, where it is another than before."""
    if str(policy.route) != session.route:
        door.announce(policy)
    session.route = str(policy.route)


def _asking(session: Session) -> Ask:
    def ask(request: Request, policy: Policy) -> Reply:
        announce(session, policy)
        return gen_answer.ask(request, policy, 0, stream=True)

    return ask


def _told(session: Session, answered: Answered) -> None:
    for failure in answered.failures:
        output.error(failure)
    said = str(answered.substitution or "")
    if said and said != session.substituted:
        output.note(f"model: {said}")
    session.substituted = said
    output.result("")
