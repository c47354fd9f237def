from __future__ import annotations

import time
from datetime import date
from pathlib import Path
from typing import Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gemx import library
from gemx.errors import InvalidFileError, NotFoundError, StorageError
from gemx.library import Day, Identifier, YamlModel

HERE = Path("file.yaml")


class Inner(YamlModel):
    name: str
    dose: float = 1.0


class Outer(YamlModel):
    gemx: Literal["test/v1"]
    title: str
    answer: str | None = None
    rows: list[Inner] = []
    named: dict[str, Inner] = {}
    day: Day | None = None
    id: Identifier | None = None
    count: int = 0


def parse(text: str | bytes, **options: Any) -> Any:
    return library.parse(text.encode() if isinstance(text, str) else text, HERE, **options).data


def problems(text: str | bytes) -> list[tuple[int, int, str]]:
    """The problems of parsing alone."""
    with pytest.raises(InvalidFileError) as caught:
        parse(text)
    return [(problem.line, problem.column, problem.message) for problem in caught.value.problems]


def invalid(text: str) -> list[tuple[int, int, str]]:
    """The problems of a text under the model."""
    with pytest.raises(InvalidFileError) as caught:
        library.validate(library.parse(text.encode(), HERE), Outer, "test/v1")
    return [(problem.line, problem.column, problem.message) for problem in caught.value.problems]


def only(found: list[tuple[int, int, str]]) -> tuple[int, int, str]:
    assert len(found) == 1, found
    return found[0]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("no", "no"),
        ("yes", "yes"),
        ("on", "on"),
        ("Off", "Off"),
        ("true", True),
        ("False", False),
        ("~", None),
        ("null", None),
        ("", None),
        ("''", ""),
        ("'null'", "null"),
        ('"1"', "1"),
        ("012", 12),
        ("0o7", "0o7"),
        ("0x1F", "0x1F"),
        ("1_000", "1_000"),
        ("10:35", "10:35"),
        ("2026-11-20", "2026-11-20"),
        ("+5", 5),
        ("-.5", -0.5),
        ("5.", 5.0),
        ("1e3", 1000.0),
        ("1.5E-2", 0.015),
        ("!!str 3", "3"),
        ("! 3", "3"),
        ("=", "="),
        ("<<", "<<"),
    ],
)
def test_scalars_are_those_of_yaml_1_2(text: str, value: object) -> None:
    found = parse(f"a: {text}")["a"]
    assert found == value
    assert type(found) is type(value)


def test_a_yaml_directive_does_not_bring_1_1_back() -> None:
    assert parse("%YAML 1.1\n---\na: no") == {"a": "no"}


def test_keys_are_text_whatever_they_look_like() -> None:
    assert parse("1: a\ntrue: b\n~: c\nno: d") == {"1": "a", "true": "b", "~": "c", "no": "d"}


def test_numbers_as_text_keeps_what_was_written() -> None:
    found = parse("[1.000, 007, 1e3, -0, 12, true, ~, 4.60]", numbers_as_text=True)
    assert found == ["1.000", "007", "1e3", "-0", "12", True, None, "4.60"]


def test_numbers_as_text_still_refuses_what_is_not_finite() -> None:
    with pytest.raises(InvalidFileError, match=r"\.inf is not a finite number"):
        parse("a: .inf", numbers_as_text=True)


@pytest.mark.parametrize("text", [".inf", "-.INF", ".nan", ".NaN", "1e999", "-1e999", "9" * 41, "0." + "1" * 50])
def test_numbers_that_nothing_can_hold_are_refused(text: str) -> None:
    line, column, message = only(problems(f"a:\n  b: {text}"))
    assert (line, column) == (2, 6)
    assert "number" in message


def test_every_value_and_key_has_its_place() -> None:
    tree = library.parse(b"a: 1\nrows:\n  - name: x\n    dose: 2\n", HERE)
    assert tree.values[("a",)] == (1, 4)
    assert tree.values[("rows", 0)] == (3, 5)
    assert tree.values[("rows", 0, "dose")] == (4, 11)
    assert tree.keys[("rows", 0, "dose")] == (4, 5)


def test_the_hash_is_that_of_the_bytes() -> None:
    assert library.parse(b"a: 1", HERE).sha256 != library.parse(b"a: 1\n", HERE).sha256


def test_a_byte_order_mark_is_read_past() -> None:
    assert parse(b"\xef\xbb\xbfa: 1") == {"a": 1}


@pytest.mark.parametrize("text", ["", "\n\n", "# only a comment\n"])
def test_an_empty_file_is_null_and_no_mapping(text: str) -> None:
    assert parse(text) is None
    assert only(invalid(text)) == (1, 1, "expected a mapping that starts with `gemx: test/v1`")


@pytest.mark.parametrize("text", ["- a\n- b", "just text", "3"])
def test_what_is_not_a_mapping_is_refused(text: str) -> None:
    assert "expected a mapping" in only(invalid(text))[2]


def test_a_wrong_or_missing_header_is_refused() -> None:
    assert only(invalid("title: x")) == (1, 1, "the key `gemx` is missing; expected `gemx: test/v1`")
    line, column, message = only(invalid("title: x\ngemx: flow/v1"))
    assert (line, column) == (2, 7)
    assert "flow/v1" in message
    assert "`gemx: [1]`" in only(invalid("gemx: [1]"))[2]


def test_a_header_of_several_says_which() -> None:
    tree = library.parse(b"gemx: b/v1", HERE)
    assert library.check_header(tree, "a/v1", "b/v1") == "b/v1"
    with pytest.raises(InvalidFileError, match="a/v1 or c/v1"):
        library.check_header(tree, "a/v1", "c/v1")


def test_duplicate_keys_are_all_named_with_the_first_place() -> None:
    found = problems("a: 1\nb: 2\na: 3\nc:\n  d: 1\n  d: 2\n")
    assert [(line, column) for line, column, _ in found] == [(3, 1), (6, 3)]
    assert "'a' stands twice; first at line 1" in found[0][2]
    assert "'d' stands twice; first at line 5" in found[1][2]


def test_quoting_does_not_hide_a_duplicate_key() -> None:
    assert "stands twice" in only(problems("a: 1\n'a': 2"))[2]


def test_an_alias_is_its_value() -> None:
    assert parse("a: &x {b: 1}\nc: *x") == {"a": {"b": 1}, "c": {"b": 1}}


def test_an_alias_bomb_is_refused_at_once() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 10)]
    started = time.monotonic()
    found = only(problems("\n".join(lines)))
    assert time.monotonic() - started < 5
    assert "more than 50000 values" in found[2]
    assert found[0] == 5


def test_aliases_within_the_limit_are_counted_once_each() -> None:
    # 1000 values, 40 times: under the limit; the bomb above is over it.
    text = f"a: &a [{', '.join('x' * 1000)}]\nb: [{', '.join(['*a'] * 40)}]"
    assert len(parse(text)["b"]) == 40


@pytest.mark.parametrize("text", ["a: *nothing", "a: &a [*a]", "b: *a\na: &a 1"])
def test_an_alias_needs_an_anchor_before_it(text: str) -> None:
    assert "names no anchor before it" in only(problems(text))[2]


@pytest.mark.parametrize("text", ["[" * 100_000, "- " * 30_000 + "a", "{a: " * 50 + "1" + "}" * 50])
def test_deep_nesting_is_refused_before_the_stack_is(text: str) -> None:
    assert "nested more than 40 levels deep" in only(problems(text))[2]


def test_forty_levels_are_read() -> None:
    value = parse("[" * 40 + "1" + "]" * 40)
    for _ in range(40):
        value = value[0]
    assert value == 1


def test_tags_are_all_refused() -> None:
    found = problems('a: !!int "3"\nb: !!python/object/apply:os.system [ls]\nc: !secret {a: 1}\nd: !!binary aGk=')
    assert [line for line, _, _ in found] == [1, 2, 3, 4]
    assert all("is not read" in message for _, _, message in found)
    assert "os.system" in found[1][2]


def test_a_second_document_is_refused() -> None:
    assert only(problems("a: 1\n---\nb: 2"))[0] == 2
    assert "second document" in only(problems("a: 1\n---\nb: 2"))[2]


def test_a_merge_key_merges_nothing() -> None:
    assert parse("a: &a {b: 1}\nc:\n  <<: *a") == {"a": {"b": 1}, "c": {"<<": {"b": 1}}}
    assert "unknown key '<<'" in only(invalid("gemx: test/v1\ntitle: x\n<<: {count: 3}"))[2]


@pytest.mark.parametrize("text", ["? [a, b]\n: c", "? {a: b}\n: c", "a: &x k\n*x : c"])
def test_a_key_is_a_plain_name(text: str) -> None:
    assert "a key must be a plain name" in only(problems(text))[2]


@pytest.mark.parametrize(
    ("data", "place"),
    [
        (b"a: 1\nb: \xff", (2, 4)),
        ("a: ção".encode() + b"\xe9", (1, 7)),
        (b"\xef\xbb\xbfa: b\nc: \xff", (2, 4)),
        (b"\xff\xfea\x00", (1, 1)),
        (b"a: \xc3", (1, 4)),
    ],
)
def test_bad_utf_8_has_the_place_that_an_editor_shows(data: bytes, place: tuple[int, int]) -> None:
    line, column, message = only(problems(data))
    assert (line, column) == place
    assert "is not valid UTF-8" in message


def test_bad_utf_8_names_the_byte() -> None:
    assert "byte 0xff " in only(problems(b"\xef\xbb\xbfa: b\nc: \xff"))[2]


@pytest.mark.parametrize(
    ("text", "line"),
    [("a:\n\tb: 1", 2), ("a: [1, 2\n", 2), ("a: 'x", 1), ("a: 1\n b: 2", 2), ("a: b: c", 1), ('a: "\\ud800"', 1)],
)
def test_syntax_errors_have_their_line(text: str, line: int) -> None:
    assert only(problems(text))[0] == line


def test_control_characters_are_refused() -> None:
    assert "control characters" in only(problems(b"a: \x00"))[2]


def test_a_file_that_is_too_large_is_not_parsed() -> None:
    assert "at most" in only(problems(b"#" * 2_000_001))[2]


@given(st.binary(max_size=200) | st.text(alphabet="ab:-[]{}&*!'\"#|>?%,@ \n\t01.~<", max_size=60))
def test_any_bytes_are_read_or_refused(text: bytes | str) -> None:
    data = text if isinstance(text, bytes) else text.encode()
    try:
        library.parse(data, HERE)
    except InvalidFileError as exc:
        assert all(problem.line >= 1 and problem.column >= 1 for problem in exc.problems)


def test_all_problems_of_the_model_come_at_once_each_at_its_place() -> None:
    text = (
        "gemx: test/v1\ntitel: x\nrows:\n  - name: 3\n    doze: 1\n  - dose: x\ncount: '4'\nday: 20/11/2026\nid: Não\n"
    )
    found = {(line, column): message for line, column, message in invalid(text)}
    assert found[(1, 1)] == "the key 'title' is missing"
    assert found[(2, 1)] == "unknown key 'titel'; did you mean 'title'?"
    assert "not 3" in found[(4, 11)]
    assert found[(5, 5)] == "unknown key 'doze'; did you mean 'dose'?"
    assert found[(6, 5)] == "the key 'name' is missing"
    assert found[(6, 11)].startswith("dose: ")
    assert found[(7, 8)].startswith("count: ")
    assert found[(8, 6)] == "day: expected a date as 2026-11-20, not '20/11/2026'"
    assert found[(9, 5)].startswith("id: ")
    assert len(found) == 9


def test_a_key_that_resembles_none_gets_the_list() -> None:
    message = only(invalid("gemx: test/v1\ntitle: x\nnamed:\n  a: {name: x, zzzz: 1}"))[2]
    assert message == "unknown key 'zzzz'; expected one of: dose, name"


def test_a_problem_behind_an_alias_is_at_the_alias() -> None:
    text = "gemx: test/v1\ntitle: x\nrows:\n  - &a {name: x}\nnamed:\n  b: *a\n  c: &c {name: 1}\n  d: *c\n"
    places = [(line, column) for line, column, _ in invalid(text)]
    assert places == [(7, 16), (8, 6)]


def test_a_date_and_a_number_are_read() -> None:
    parsed = library.validate(library.parse(b"gemx: test/v1\ntitle: x\nday: 2026-11-20", HERE), Outer, "test/v1")
    assert parsed.day == date(2026, 11, 20)


def test_a_file_that_is_not_there_is_a_storage_error(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match=r"cannot read .*none\.yaml"):
        library.read(tmp_path / "none.yaml")
    with pytest.raises(StorageError):
        library.read(tmp_path)


@pytest.fixture
def shelves(monkeypatch: pytest.MonkeyPatch, gemx_home: Path, workdir: Path, tmp_path: Path) -> dict[str, Path]:
    """The three places where files are looked for."""
    folders = {"gemx": tmp_path / "shipped", "user": gemx_home / "config", "folder": workdir}
    monkeypatch.setattr("gemx.places.shipped", lambda kind: tmp_path / "shipped" / kind)
    return folders


def put(shelf: Path, kind: str, name: str) -> Path:
    path = shelf / kind / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("a: 1")
    return path


@pytest.mark.parametrize("kind", ["automations", "templates", "flows"])
def test_the_current_folder_hides_the_users_and_that_the_shipped(kind: Any, shelves: dict[str, Path]) -> None:
    for origin in ("gemx", "user", "folder"):
        path = put(shelves[origin], kind, "sepse.yaml")
        found = library.find(kind, "sepse")
        assert found.origin == origin
        assert found.path.resolve() == path
        assert [item.origin for item in library.listing(kind)] == [origin]


def test_profiles_are_never_read_from_the_current_folder(shelves: dict[str, Path]) -> None:
    put(shelves["folder"], "profiles", "uti.yaml")
    assert library.listing("profiles") == []
    with pytest.raises(NotFoundError, match="no profile named 'uti'"):
        library.find("profiles", "uti")
    put(shelves["user"], "profiles", "uti.yaml")
    assert library.find("profiles", "uti").origin == "user"


def test_the_listing_is_sorted_and_leaves_out_what_is_no_file_of_its_kind(shelves: dict[str, Path]) -> None:
    for name in ("b.yaml", "a.yml", "inputs.yaml", "notes.md"):
        put(shelves["gemx"], "automations", name)
    put(shelves["user"], "automations", "c.yaml")
    (shelves["user"] / "automations" / "d.yaml").mkdir()
    assert [item.name for item in library.listing("automations")] == ["a", "b", "c"]


def test_a_name_that_is_near_is_offered(shelves: dict[str, Path]) -> None:
    put(shelves["gemx"], "automations", "sepse_bundle.yaml")
    with pytest.raises(NotFoundError) as caught:
        library.find("automations", "sepse_bundel")
    assert "did you mean 'sepse_bundle'?" in caught.value.message
    assert caught.value.hint == "there are: sepse_bundle"


def test_a_path_is_taken_as_it_is(shelves: dict[str, Path]) -> None:
    path = put(shelves["folder"], "elsewhere", "mine.yaml")
    assert library.find("flows", str(path)) == library.Found("mine", path, "path")
    assert library.find("flows", "elsewhere/mine.yaml").origin == "path"
    shipped = put(shelves["gemx"], "flows", "x.yaml")
    assert library.find("flows", str(shipped)).origin == "gemx"


@pytest.mark.parametrize("name", ["no/such.yaml", "~no-such-user/x.yaml", "a" * 300 + ".yaml", "./", "/"])
def test_a_path_that_leads_nowhere_is_not_found(name: str, shelves: dict[str, Path]) -> None:
    with pytest.raises(NotFoundError, match="no file"):
        library.find("templates", name)


@pytest.mark.parametrize("char", [r"\e", r"\a", r"\u202e", r"\u2066", r"\x9b", r"\r"])
def test_an_escaped_character_that_would_drive_a_terminal_is_refused(char: str) -> None:
    line, column, message = only(problems(f'a: 1\nb: "x{char}y"'))
    assert (line, column) == (2, 4)
    assert "control character" in message
    assert only(problems(f'a: 1\n"x{char}y": 1'))[0] == 2
