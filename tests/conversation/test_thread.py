"""A conversation as the history has it: its turns in order, their numbers, and what of it is no longer there."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from fake_gemini import FakeGemini
from gemx import conversation, history

MODEL = ("-m", "gemini:gemini-3.8-flash")
Run = Callable[..., Any]


def turn(name: str, number: int | None, **values: Any) -> history.Entry:
    data = {} if number is None else {"turn": number}
    time = f"2026-11-28T10:00:{int(name[1:]):02d}.000Z"
    given = {"prompt": f"pergunta {name}", "reply": f"resposta {name}", "model": MODEL[1], **values}
    return history.Entry(run_id=name, time=time, command="chat", conversation="r1", data=data, **given)


def kept(*entries: history.Entry) -> conversation.Thread:
    for entry in entries:
        history.add(entry)
    return conversation.earlier(entries[-1].run_id)


@pytest.mark.parametrize(
    ("numbers", "notes"),
    [
        ({"r1": 1, "r2": 2, "r3": 3}, []),
        ({"r1": 1, "r3": 3}, ["its turn 2 is no longer kept, and not sent"]),
        ({"r1": 1, "r4": 4, "r6": 6}, ["its turns 2 to 3 are no longer kept, and not sent", "its turn 5 is no"]),
        ({"r2": 2, "r4": 4}, ["its beginning is no longer kept, and not sent", "its turn 3 is no longer kept"]),
        ({"r1": None, "r2": None}, []),
        ({"r1": None, "r2": 2}, []),
        ({"r1": 1, "r2": 2, "r3": 2}, []),  # two commands went on at once
    ],
)
def test_what_is_gone_is_noted(numbers: dict[str, int | None], notes: list[str]) -> None:
    thread = kept(*(turn(name, number) for name, number in numbers.items()))
    assert len(thread.notes) == len(notes)
    assert all(found.startswith(note) for found, note in zip(thread.notes, notes, strict=True))
    assert [each.run_id for each in thread.exchanges] == list(numbers)


def test_gen_says_that_a_turn_in_the_middle_is_gone(run_gemx: Run, fake_gemini: FakeGemini) -> None:
    assert run_gemx("gen", "um", *MODEL).code == 0
    for prompt in ("dois", "três"):
        assert run_gemx("gen", "-c", prompt).code == 0
    entries = history.everything()
    assert [entry.data["turn"] for entry in entries] == [1, 2, 3]
    assert "no longer kept" not in run_gemx("gen", "-c", "quatro").err
    assert run_gemx("history", "remove", entries[1].run_id).code == 0
    done = run_gemx("gen", "-c", "cinco")
    assert "conversation: its turn 2 is no longer kept, and not sent" in done.err.splitlines()
    assert [each["parts"][0]["text"] for each in fake_gemini.last.body["contents"][::2]] == [
        "um",
        "três",
        "quatro",
        "cinco",
    ]
    assert history.everything()[-1].data["turn"] == 5


def test_a_conversation_loses_its_last_turn_and_with_the_only_one_ends() -> None:
    thread = kept(turn("r1", 1), turn("r2", 2))
    shorter = thread.shortened()
    assert shorter
    assert [message.text for message in shorter.turns] == ["pergunta r1", "resposta r1"]
    assert shorter.shortened() is None


def test_what_was_typed_comes_back_oldest_first() -> None:
    history.add(turn("r1", 1, prompt="<document>…</document>\n\nresuma"))
    history.add(
        history.Entry(run_id="r2", command="chat", prompt="laudo\n\nresuma", reply="r", data={"typed": "resuma"})
    )
    history.add(history.Entry(run_id="r3", command="gen", prompt="de gen", reply="r", data={}))
    assert conversation.typed_before("chat", 9) == ["<document>…</document>\n\nresuma", "resuma"]
    assert conversation.typed_before("chat", 1) == ["resuma"]
    assert conversation.typed_before("nada", 9) == []
