"""What the guard lets through: its levels, how they merge, what it says, and what comes back of masked text."""

from __future__ import annotations

import json
from typing import Any

import pytest

from fake_gemini import FakeGemini
from fake_openai import FakeOpenAI
from gateway_calls import MODEL, ORIGIN, Listener, audit, policy, request
from gemx.documents import Media, Text
from gemx.errors import GemxError, PrivacyError
from gemx.gateway import Message, call, embed, guard, structured
from gemx.settings import Config, Profile, Settings

CPF, PHONE, MAIL = "529.982.247-25", "(11) 98765-4321", "maria@exemplo.com.br"
NOTE = f"Paciente estável.\nCPF {CPF}, tel {PHONE},\ne-mail {MAIL}; PAM 57, SpO2 93%."
VALUES = (CPF, PHONE, MAIL, "98765", "Maria", "Silva")


def level(
    flag: Any = None,
    profile: Any = None,
    config: Any = None,
    *,
    clinical: bool = False,
    reach: Any = "any",
    **more: Any,
) -> str:
    parsed = Profile.model_validate({"gemx": "profile/v1", "title": "x", "guard": profile}) if profile else None
    settings = Settings(Config.model_validate({"guard": config, **more}), parsed, "uti" if profile else None)
    return guard.level_of(settings, flag, clinical=clinical, reach=reach)


def test_the_default_warns_and_the_strictest_wins() -> None:
    assert level() == "warn"
    assert level("off") == "off"
    assert level("off", "warn") == "warn"
    assert level("off", "warn", "mask") == "mask"
    assert level("block", "off", "off") == "block"
    assert level("warn", config="block") == "block"


@pytest.mark.parametrize("flag", [None, "off", "warn", "mask", "block"])
def test_an_automation_is_blocked_towards_the_cloud_whatever_the_flag_says(flag: str | None) -> None:
    assert level(flag, clinical=True) == "block"


def test_masking_satisfies_an_automation_only_where_the_configuration_says_so() -> None:
    masked = {"automations": {"guard": "mask"}}
    assert level(clinical=True, **masked) == "mask"
    assert level("off", clinical=True, **masked) == "mask"
    assert level("block", clinical=True, **masked) == "block"
    assert level(config="mask", clinical=True) == "block"
    assert level(profile="mask", clinical=True) == "block"


def test_what_stays_on_the_machine_is_not_looked_at_and_the_site_has_no_floor() -> None:
    assert level("block", clinical=True, reach="machine") == "off"
    assert level(clinical=True, reach="site") == "warn"
    assert level("block", reach="site") == "block"


def no_value_in(*texts: object) -> bool:
    return not any(value in str(text) for text in texts for value in VALUES)


def test_block_refuses_and_names_kinds_and_places_but_no_value(fake_gemini: FakeGemini) -> None:
    file = Text(f'<document name="alta.txt">\nTelefone {PHONE}\n</document>', "alta.txt", lead=1)
    message = Message("user", (file, Text(NOTE)))
    with pytest.raises(PrivacyError) as caught:
        call(request(messages=(message,), system=f"Responda a {MAIL}"), policy(flags={"guard": "block"}))
    said = caught.value.message
    assert said == (
        "identifiers would leave this machine (guard: block): e-mail (system instruction, line 1, column 12); "
        "telephone (alta.txt, line 1, column 10); CPF (prompt, line 2, column 5); "
        "telephone (prompt, line 2, column 25); e-mail (prompt, line 3, column 8)"
    )
    assert (caught.value.exit_code, caught.value.code) == (10, "privacy")
    assert no_value_in(said, caught.value.hint)
    assert fake_gemini.requests == []
    (record,) = audit()
    assert (record["kind"], record["gemx.guard"], record["error.type"]) == ("refusal", "block", "privacy")
    assert record["gemx.guard_found"] == {"email": 2, "phone": 2, "cpf": 1}
    assert no_value_in(json.dumps(record))


def test_many_findings_are_counted_not_listed(fake_gemini: FakeGemini) -> None:
    with pytest.raises(PrivacyError, match=r"; and 12 more$"):
        call(request(f"CPF {CPF}\n" * 20), policy(flags={"guard": "block"}))


def test_warn_sends_and_tells_once(fake_gemini: FakeGemini) -> None:
    heard = Listener()
    fake_gemini.fault("unavailable")
    rules = {"initial": 0.001, "max_interval": 0.001}
    assert call(request(NOTE), policy(listener=heard, retry=rules)).text == "ok"
    assert fake_gemini.last.body["contents"][0]["parts"][0]["text"] == NOTE
    (said,) = heard.warnings
    assert said.startswith("identifiers leave this machine (guard: warn): CPF (prompt, line 2, column 5); ")
    assert no_value_in(said)
    assert [record["gemx.guard_found"] for record in audit()] == [{"cpf": 1, "phone": 1, "email": 1}] * 2


def test_off_sends_and_says_nothing(fake_gemini: FakeGemini) -> None:
    heard = Listener()
    call(request(NOTE), policy(listener=heard, flags={"guard": "off"}))
    assert heard.warnings == []
    assert "gemx.guard_found" not in audit()[0]


@pytest.mark.parametrize("level", ["warn", "mask", "block"])
def test_a_text_without_identifiers_passes_at_every_level(level: str, fake_gemini: FakeGemini) -> None:
    heard = Listener()
    text = "PAM 57 mmHg, lactato 4,6, Na 135, K 7.5, noradrenalina 0,1 mcg/kg/min, D3 de 7, 14:35, 28/11/2026"
    assert call(request(text), policy(listener=heard, flags={"guard": level})).text == "ok"
    assert (heard.warnings, fake_gemini.last.body["contents"][0]["parts"][0]["text"]) == ([], text)


@pytest.mark.parametrize("stream", [False, True])
def test_masked_text_comes_back_whole(stream: bool, fake_gemini: FakeGemini) -> None:
    def echo(recorded: Any) -> str:
        return recorded.body["contents"][0]["parts"][0]["text"]

    fake_gemini.answer = echo
    shown: list[str] = []
    asked = request(NOTE + " Maria da Silva, leito 7.", private=(("name", "Maria da Silva"), ("bed", "7")))
    reply = call(asked, policy(flags={"guard": "mask"}), on_text=shown.append if stream else None)
    assert reply.text == asked.messages[0].text
    assert "".join(shown) == (reply.text if stream else "")
    assert no_value_in(json.dumps(fake_gemini.last.body, ensure_ascii=False))
    (record,) = audit()
    assert record["gemx.guard"] == "mask"
    assert record["gemx.guard_found"] == {"cpf": 1, "phone": 1, "email": 1, "name": 1, "bed": 1}


def test_masked_values_are_escaped_in_json(fake_gemini: FakeGemini) -> None:
    name = 'Maria "Mia" da Silva'

    def answer(recorded: Any) -> str:
        text = recorded.body["contents"][0]["parts"][0]["text"]
        assert "Silva" not in text
        return json.dumps({"nome": text}, ensure_ascii=False)

    fake_gemini.answer = answer
    asked = request(f"Para {name}", schema={"type": "object"}, private=(("name", name),))
    reply = structured(asked, policy(flags={"guard": "mask"}), lambda text: (json.loads(text), []))
    assert reply.value == {"nome": f"Para {name}"}


@pytest.mark.parametrize("level", ["mask", "block"])
def test_what_cannot_be_read_counts_as_identified(level: str, fake_gemini: FakeGemini) -> None:
    message = Message("user", (Media(b"\x89PNG", "image/png", "ecg.png"), Text("Laudo?")))
    with pytest.raises(PrivacyError, match=r"file that cannot be read as text \(ecg\.png\)"):
        call(request(messages=(message,)), policy(flags={"guard": level}))
    assert fake_gemini.requests == []
    heard = Listener()
    assert call(request(messages=(message,)), policy(listener=heard)).text == "ok"
    assert "file that cannot be read as text (ecg.png)" in heard.warnings[0]


def test_a_schema_cannot_be_masked(fake_gemini: FakeGemini) -> None:
    schema = {"type": "object", "description": f"do paciente de CPF {CPF}"}
    with pytest.raises(PrivacyError, match=r"what cannot be masked .*CPF \(schema, line 1, column \d+\)"):
        call(request(schema=schema), policy(flags={"guard": "mask"}))


@pytest.mark.parametrize("level", ["mask", "block"])
def test_embeddings_pass_the_guard(level: str, fake_gemini: FakeGemini) -> None:
    asked = policy("gemini:gemini-embedding-2", flags={"guard": level})
    if level == "block":
        with pytest.raises(PrivacyError, match=r"CPF \(text 2, line 1, column 5\)"):
            embed(["PAM 57", f"CPF {CPF}"], asked, ORIGIN)
        assert fake_gemini.requests == []
        return
    assert len(embed(["PAM 57", f"CPF {CPF}"], asked, ORIGIN).vectors) == 2
    assert no_value_in(json.dumps(fake_gemini.last.body))


def test_a_local_call_is_not_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    with FakeOpenAI() as server:
        monkeypatch.setenv("LLM_BASE_URL", server.endpoint_url)
        heard = Listener()
        call(request(NOTE), policy("openai:local", listener=heard, flags={"guard": "block", "clinical": True}))
        assert server.last.body["messages"][0]["content"] == NOTE
    assert heard.warnings == []
    assert "gemx.guard" not in audit()[0]


def test_repair_rounds_are_masked_like_the_first(fake_gemini: FakeGemini) -> None:
    fake_gemini.answer = lambda recorded: recorded.body["contents"][0]["parts"][0]["text"]
    rounds = iter([["wrong", "wrong"], ["wrong"]])
    structured(request(NOTE), policy(MODEL, flags={"guard": "mask"}), lambda text: (text, next(rounds)), 1)
    assert len(fake_gemini.last.body["contents"]) == 3
    assert no_value_in(json.dumps(fake_gemini.last.body, ensure_ascii=False))


NAMED = "Nome: Zulmira Quadros Bento\nProntuário: 8837261\nDN: 12/03/1958\nZulmira Quadros refere dor. 8837261."


def sent(server: FakeGemini) -> str:
    return json.dumps([recorded.body for recorded in server.requests], ensure_ascii=False)


def test_what_a_label_names_once_is_masked_wherever_it_stands(fake_gemini: FakeGemini) -> None:
    fake_gemini.answer = lambda recorded: recorded.body["contents"][0]["parts"][0]["text"]
    reply = call(
        request(NAMED, system="A paciente Zulmira Bento nasceu em 12/03/1958."), policy(flags={"guard": "mask"})
    )
    assert reply.text == NAMED
    assert not any(value in sent(fake_gemini) for value in ("Zulmira", "Quadros", "8837261", "1958"))


def test_a_repair_turn_leaks_nothing_that_the_first_turn_masked(fake_gemini: FakeGemini) -> None:
    fake_gemini.reply_text("A paciente [NOME_1], prontuário [PRONTUARIO_1], de [NASCIMENTO_1], está bem.")
    fake_gemini.reply_text("ok")

    def validate(text: str) -> tuple[Any, list[str]]:
        return (text, []) if text == "ok" else (text, [f"'{text}' is not valid"])

    structured(request(NAMED), policy(flags={"guard": "mask"}), validate, 1)
    assert len(fake_gemini.requests) == 2
    assert "[NOME_1]" in json.dumps(fake_gemini.last.body["contents"][1:], ensure_ascii=False)
    assert not any(value in sent(fake_gemini) for value in ("Zulmira", "Quadros", "8837261", "1958"))


def test_the_name_of_a_file_is_not_told_where_it_says_who_the_patient_is(fake_gemini: FakeGemini) -> None:
    name = "zulmira_quadros_529.982.247-25.txt"
    file = Text(f'<document name="{name}">\nPAM 57\n</document>', name, lead=1)
    picture = Media(b"1", "image/png", "Maria_da_Silva.png")
    asked = request(messages=(Message("user", (file, picture)),), private=(("name", "Maria da Silva"),))
    with pytest.raises(PrivacyError) as caught:
        call(asked, policy(flags={"guard": "block"}))
    assert "CPF (file 1 of the prompt, its name)" in caught.value.message
    assert "file that cannot be read as text (file)" in caught.value.message
    assert not any(value in caught.value.message for value in ("529", "Maria", "Silva"))


def test_embeddings_look_for_the_name_that_they_are_told(fake_gemini: FakeGemini) -> None:
    asked = policy("gemini:gemini-embedding-2", flags={"guard": "block"})
    with pytest.raises(PrivacyError, match=r"name \(text 1, line 1, column 14\)"):
        embed(["PAM baixa de Zulmira Quadros"], asked, ORIGIN, private=(("name", "Zulmira Quadros"),))


def test_a_mask_that_was_held_back_does_not_forbid_the_next_try(fake_gemini: FakeGemini) -> None:
    fake_gemini.fault("error_in_stream", text="[NOM")
    fake_gemini.reply_text("ok")
    shown: list[str] = []
    rules = {"initial": 0.001, "max_interval": 0.001}
    reply = call(request(NAMED), policy(flags={"guard": "mask"}, retry=rules), on_text=shown.append)
    assert (reply.text, "".join(shown)) == ("ok", "ok")
    fake_gemini.fault("error_in_stream", text="Caso de [NOM")
    with pytest.raises(GemxError):
        call(request(NAMED), policy(flags={"guard": "mask"}, retry=rules), on_text=shown.append)
    assert "".join(shown) == "okCaso de [NOM"


def test_each_request_is_searched_once(fake_gemini: FakeGemini, monkeypatch: pytest.MonkeyPatch) -> None:
    searched: list[int] = []
    original = guard.search.find_everywhere
    monkeypatch.setattr(guard.search, "find_everywhere", lambda *args: searched.append(1) or original(*args))
    fake_gemini.fault("unavailable")
    fake_gemini.fault("unavailable")
    rules = {"initial": 0.001, "max_interval": 0.001}
    assert len(call(request(NOTE), policy(retry=rules)).attempts) == 3
    assert len(searched) == 1
