from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import planted_keys
from gemx import keys, places
from gemx.audit import chain, content, find, importing, old_names, record
from gemx.audit.find import Filter, Reader
from gemx.errors import InputError

SHELL = {
    "timestamp": "2025-11-20T11:22:33-03:00",
    "model": "models/gemini-1.5-pro",
    "prompt": "paciente João, PAM 57",
    "usage": {"promptTokenCount": 12, "candidatesTokenCount": 30, "cachedContentTokenCount": 4},
    "duration_ms": 1234,
    "status": "success",
    "turno": "noite",
}


def lines_file(tmp_path: Path, *lines: Any, name: str = "audit-2025.jsonl") -> Path:
    path = tmp_path / name
    path.write_text("".join(f"{line if isinstance(line, str) else json.dumps(line)}\n" for line in lines))
    return path


def take(*paths: Path) -> importing.Tally:
    return importing.take_over(paths, "run-1", keys.redact)


def records() -> list[find.Record]:
    return list(Reader().oldest(Filter()))


def test_a_line_is_mapped_and_kept_whole(tmp_path: Path) -> None:
    tally = take(lines_file(tmp_path, SHELL))
    assert (tally.mapped, tally.kept, tally.refused, tally.known) == (1, 0, 0, 0)
    (found,) = records()
    expected = {
        "kind": "import",
        "run_id": "run-1",
        "command": "logs import",
        "gemx.time": "2025-11-20T14:22:33.000Z",
        "gen_ai.request.model": "gemini-1.5-pro",
        "gen_ai.usage.input_tokens": 12,
        "gen_ai.usage.output_tokens": 30,
        "gen_ai.usage.cache_read.input_tokens": 4,
        "gemx.duration": 1.234,
        "gemx.status": "ok",
        "gemx.source": "audit-2025.jsonl:1",
        "gemx.unmapped": ["prompt", "turno"],
    }
    assert {name: found[name] for name in expected} == expected
    assert "João" not in json.dumps(found, ensure_ascii=False)
    kept = content.texts_of([found])[found["gemx.salt"]]["imported"]
    assert json.loads(kept) == SHELL
    assert content.proves(found, "imported", kept)
    assert chain.verify().breaks == ()


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ({"ts": 1763648553, "modelo": "m"}, {"gemx.time": "2025-11-20T14:22:33.000Z"}),
        ({"ts": 1763648553123, "llm": "m"}, {"gemx.time": "2025-11-20T14:22:33.123Z"}),
        ({"ts": "1763648553", "engine": "m"}, {"gemx.time": "2025-11-20T14:22:33.000Z"}),
        ({"data_hora": "20/11/2025 14:22", "modelo": "m"}, {"gemx.time": "2025-11-20T14:22:00.000Z"}),
        ({"date": "2025-11-20", "model": "m"}, {"gemx.time": "2025-11-20T00:00:00.000Z"}),
        ({"request": {"startTime": "2025-11-20T14:22:33Z", "modelName": "m"}}, {"gen_ai.request.model": "m"}),
        ({"tokens_in": "12", "tokens_out": 5.0}, {"gen_ai.usage.input_tokens": 12, "gen_ai.usage.output_tokens": 5}),
        ({"custo": "0,0012", "seconds": "1.5"}, {"gemx.cost_usd": 0.0012, "gemx.duration": 1.5}),
        ({"exit_code": 1, "error": "rate_limit"}, {"gemx.status": "error", "error.type": "rate_limit"}),
        ({"success": True, "usuario": "ana"}, {"gemx.status": "ok", "gemx.user": "ana"}),
        ({"finish_reason": "STOP"}, {"gen_ai.response.finish_reasons": ["stop"]}),
        ({"gen_ai.usage.input_tokens": 7, "gemx.duration": 2}, {"gen_ai.usage.input_tokens": 7, "gemx.duration": 2}),
    ],
)
def test_names_that_others_use(line: dict[str, Any], expected: dict[str, Any]) -> None:
    values, _ = old_names.mapped(old_names.flat(line))
    assert {name: values.get(name) for name in expected} == expected


@pytest.mark.parametrize(
    "line",
    [
        {"error": "o paciente João da Silva, 57 anos"},
        {"status": None, "user": "a b", "automation": "x" * 200, "command": "gemx 'paciente João'"},
        {"tokens_in": -1, "tokens_out": "muitos", "cost": "NaN", "duration": True, "ts": "ontem"},
        {"ts": -5, "time": 1e300, "model": {"name": []}, "date": "99/99/9999"},
    ],
)
def test_what_cannot_be_read_is_left_to_the_line(line: dict[str, Any]) -> None:
    values, used = old_names.mapped(old_names.flat(line))
    assert (values, used) == ({}, set())


def test_what_cannot_be_mapped_is_kept_and_what_is_no_object_refused(tmp_path: Path) -> None:
    path = lines_file(tmp_path, {"a": 1}, {"ts": 1763648553}, "no json", "[1]", "", '"x"', SHELL, '{"a":')
    tally = take(path)
    assert (tally.mapped, tally.kept, tally.refused) == (1, 2, 4)
    assert tally.refusals[0] == f"{path}:3: no JSON object"
    assert [record["gemx.source"] for record in records()] == [f"audit-2025.jsonl:{n}" for n in (1, 2, 7)]


def test_the_same_file_again_adds_nothing_and_the_same_line_twice_is_two_calls(tmp_path: Path) -> None:
    path = lines_file(tmp_path, SHELL, SHELL, {"a": 1})
    assert (take(path).mapped, take(path).known) == (2, 3)
    lines_file(tmp_path, SHELL, SHELL, SHELL, {"a": 1})
    tally = take(path)
    assert (tally.mapped, tally.kept, tally.known) == (1, 0, 3)
    copied = lines_file(tmp_path, SHELL, name="copy.jsonl")
    assert take(copied).known == 1
    assert len(records()) == 4


def test_many_lines_in_batches(tmp_path: Path) -> None:
    path = lines_file(tmp_path, *({**SHELL, "n": n} for n in range(1203)))
    assert take(path).mapped == 1203
    report = chain.verify()
    assert (report.records, report.breaks) == (1203, ())
    assert len(content.texts_of(records())) == 1203


def test_a_key_in_a_line_is_taken_out(tmp_path: Path, key_files: set[Path]) -> None:
    path = lines_file(tmp_path, {**SHELL, "key": planted_keys.GEMINI})
    key_files.add(path)
    take(path)
    (found,) = records()
    assert '"key": "[key]"' in content.texts_of([found])[found["gemx.salt"]]["imported"]


def test_a_line_that_names_a_patient_is_found_by_erase(tmp_path: Path) -> None:
    take(lines_file(tmp_path, {**SHELL, "paciente": "P-7"}, {**SHELL, "prontuario": 7, "n": 1}, SHELL))
    assert content.erase(record.subject("P-7")).texts == 1
    assert content.erase(record.subject("7")).texts == 1
    assert chain.verify().breaks == ()
    assert "P-7" not in "".join(path.read_text() for path in places.audit_dir().glob("audit-*"))


def test_no_text_and_no_key_of_a_line_gets_into_the_chain(tmp_path: Path, key_files: set[Path]) -> None:
    keyed = {**SHELL, "user": planted_keys.GEMINI, "model": planted_keys.GEMINI, planted_keys.GEMINI: 1}
    texts = {**SHELL, "cmd": "resuma o caso da Maria Silva", "pacientes": {"52998224725": 1}}
    path = lines_file(tmp_path, keyed, texts, {**SHELL, "cmd": "gemx.sh auto"})
    key_files.add(path)
    assert take(path).refused == 0
    written = "".join(each.read_text() for each in places.audit_dir().glob("audit-*"))
    assert not [text for text in (planted_keys.GEMINI, "Maria", "52998224725") if text in written]
    assert [each["command"] for each in records()] == ["logs import", "logs import", "gemx.sh auto"]


def test_a_patient_is_found_however_the_line_names_them(tmp_path: Path) -> None:
    named = ({"patientId": "P-7"}, {"meta": {"Paciente": "P-7"}}, {"patient": {"id": "P-7", "n": 1}})
    take(lines_file(tmp_path, *({**SHELL, **each} for each in named), {**SHELL, "nopatient": "P-7"}))
    assert content.erase(record.subject("P-7")).texts == 3


def test_files_that_are_none_are_refused_before_anything_is_written(tmp_path: Path) -> None:
    good = lines_file(tmp_path, SHELL)
    for wrong in (tmp_path / "nowhere", tmp_path):
        with pytest.raises(InputError, match="there is no file"):
            take(good, wrong)
    assert records() == []
    take(good)
    with pytest.raises(InputError, match="of this log itself"):
        take(next(places.audit_dir().glob("audit-*.jsonl")))


@pytest.mark.parametrize("junk", [b"\xff\xfe\x00", b'{"a":"\xff"}', b'{"a":NaN}', b"{" * 5000, b'{"a":"\\ud800"}'])
def test_no_line_is_a_traceback(tmp_path: Path, junk: bytes) -> None:
    path = tmp_path / "old.jsonl"
    path.write_bytes(junk + b"\n" + json.dumps(SHELL).encode() + b"\n")
    tally = take(path)
    assert (tally.mapped, tally.kept + tally.refused) == (1, 1)
    assert chain.verify().breaks == ()
