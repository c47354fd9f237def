from __future__ import annotations

import time
import tracemalloc
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gemx import library, places, templates
from gemx.clinical.numbers import parse_number
from gemx.errors import ConfigError, InputError, InvalidFileError
from gemx.templates import Template


def refused(text: str, **values: Any) -> str:
    with pytest.raises(ConfigError) as caught:
        templates.render(text, values)
    return caught.value.message


def test_a_template_is_rendered_as_text_not_as_html() -> None:
    assert templates.render("PA < {{ pa }} & {{ q }}", {"pa": "<65>", "q": "'x'"}) == "PA < <65> & 'x'"


def test_a_value_is_no_template() -> None:
    assert templates.render("{{ q }}", {"q": "{{ secret }} {% raw %}"}) == "{{ secret }} {% raw %}"


def test_all_missing_variables_are_named_at_once() -> None:
    text = "{{ peso }} {% if sexo %}{{ idade }}{% endif %}{% for i in lista %}{{ i }}{% endfor %}{{ nome }}"
    assert refused(text, nome="x") == "the template needs: idade, lista, peso, sexo"


def test_loop_variables_and_what_jinja_brings_are_not_missing() -> None:
    text = "{% set a = 1 %}{% for i in range(2) %}{{ i + a }}{{ loop.index }}{% endfor %}{{ {'b': 2}.b }}"
    assert templates.variables(text) == frozenset()
    assert templates.render(text, {}) == "11222"


def test_a_value_that_is_none_was_given() -> None:
    assert templates.render("{{ a }}", {"a": None}) == "None"


@pytest.mark.parametrize("text", ["{{ a.b }}", "{{ a['b'] }}", "{{ a.b.c }}", "{% if a.b %}x{% endif %}"])
def test_a_missing_attribute_is_an_error(text: str) -> None:
    assert "no attribute 'b'" in refused(text, a={})


ESCAPES = [
    "{{ ''.__class__ }}",
    "{{ ''['__class__'] }}",
    "{{ a.__class__.__mro__[1].__subclasses__() }}",
    "{{ a|map(attribute='__class__')|join }}",
    "{{ '{0.__class__}'.format(a) }}",
    "{{ ('{0.__class__}'.format)(1) }}",
    "{{ '{0:>999999999}'['format'](1) }}",
    "{{ ''['for' ~ 'mat'] }}",
    "{% for i in [1] %}{{ loop.__init__.__globals__ }}{% endfor %}",
    "{% for i in [1] %}{{ loop._iterable }}{% endfor %}",
    "{{ (5).to_bytes(999999999, 'big') }}",
    "{{ 'a'.zfill(999999999) }}",
    "{{ 'a'.translate({}) }}",
    "{{ a|sort(attribute='__class__.__mro__') }}",
    "{{ range.__self__ }}",
    "{{ self.__init__.__globals__ }}",
    "{{ self._TemplateReference__context }}",
    "{{ f.__globals__ }}",
    "{{ f.__code__ }}",
    "{% set x = a.append(1) %}",
    "{% set x = d.update({1: 2}) %}",
    "{{ range(1000000)|list }}",
]


@pytest.mark.parametrize("text", ESCAPES)
def test_the_sandbox_holds(text: str) -> None:
    given: dict[str, Any] = {"a": ["x"], "d": {}, "f": refused}
    message = refused(text, **given)
    assert message.startswith("the template cannot be rendered: ")
    assert given == {"a": ["x"], "d": {}, "f": refused}


@pytest.mark.parametrize(
    "text",
    [
        *("{% include '/etc/passwd' %}", "{% import 'os' as os %}", "{% extends 'x' %}", "{% from 'x' import y %}"),
        *("{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}", "{% block b %}{% endblock %}", "{% set x %}a{% endset %}"),
        *("{% filter upper %}a{% endfilter %}", "{% call f() %}{% endcall %}", "{% set ns.a = 1 %}"),
        *(
            "{% for i in a recursive %}{{ loop(i) }}{% endfor %}",
            "{% with a = 1 %}{% endwith %}",
            "{% autoescape true %}{% endautoescape %}",
        ),
        *("{{ ''|attr('__class__') }}", "{{ '%s'|format(a) }}", "{{ 1|xmlattr }}", "{{ 'a'|center(999999999) }}"),
        *("{{ a|pprint }}", "{{ a|random }}", "{{ 'a'|urlize }}", "{{ [a, a] }}", "{{ (a, [1]) }}", "{{ {'k': a} }}"),
    ],
)
def test_what_is_no_part_of_the_language_does_not_parse(text: str) -> None:
    assert refused(text, a=["x"], f=refused, ns={}).startswith("template syntax, line 1: ")
    with pytest.raises(ValueError, match="template syntax"):
        templates.variables(text)


DOUBLING = "{% set x = 'aaaaaaaa' %}" + "{% set x = x ~ x %}" * 60 + "{{ x }}"


@pytest.mark.parametrize(
    "text",
    [
        DOUBLING,
        DOUBLING.replace("x ~ x", "x + x"),
        "{% set x = 'a' %}" + "{% set x = x * 1000 %}" * 9 + "{{ x|length }}",
        "{% set x = 'a' * 9999 %}" + "{% set x = x|replace('a', x) %}" * 5 + "{{ x|length }}",
        "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}",
        "{% for a in range(99999) %}{% for b in range(99999) %}{{ b }}{% endfor %}{% endfor %}",
        "{% for a in range(99999) if a < 0 %}{% for b in range(9) %}{% endfor %}{% endfor %}" * 30,
        "{{ ('0' * 99999).split('0')|map('default', 'a' * 999999, true)|join }}",
        "{{ ('0' * 99999).split('0')|map('default', 'a' * 999999, true)|list }}",
        "{{ ('0' * 99999).split('0')|join('a' * 9999) }}",
        "{{ range(99999)|map('string')|map('replace', '', 'a' * 999)|join }}",
        "{{ ['a' * 9]|tojson(indent=999999999) }}",
        "{{ 'a\na'|indent(10 ** 9) }}{{ 9 ** 9 ** 9 }}",
        "{% set x = 3 %}" + "{% set x = x * x %}" * 40 + "{{ x }}",
        "{% set x = 'a' * 999999 %}" + "{% if 'b' in x %}{% endif %}" * 1000 + "{{ x.y }}",
        "{{ 'a' * 10 ** 12 }}",
        "{{ 10 ** 12 * 'a' }}",
        "{{ [1] * 10 ** 9 }}",
        "{{ [1, 2] + [3] }}",
        "{{ '%999999999d' % 1 }}",
        "{{ 1.5|round(999999999) }}{{ 2 ** 99999 }}",
    ],
)
def test_a_hostile_template_neither_hangs_nor_fills_the_memory(text: str) -> None:
    started = time.monotonic()
    tracemalloc.start()
    try:
        message = refused(text)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert message
    assert time.monotonic() - started < 8
    assert peak < 150_000_000


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("{% for k, v in d.items() %}{{ k }}={{ v }};{% endfor %}", "um=1;dois=2;"),
        ("{% for i in l %}{{ loop.index }}/{{ loop.length }}{{ ' ' if not loop.last }}{% endfor %}", "1/2 2/2"),
        ("{{ l|map('upper')|join(', ') }}", "A, B"),
        ("{{ l|reject('equalto', 'a')|list|length }}", "1"),
        ("{{ 'a b'.split()[1].upper() }}{{ l[0] }}{{ l[::-1]|join }}", "Bab" + "a"),
        ("{{ 'a\nb'|indent(2) }}|{{ 'a\nb'|indent(2, true) }}", "a\n  b|  a\n  b"),
        ("{{ n|round(1) }} {{ -n }} {{ n * 2 + 1 }} {{ 7 % 4 }} {{ 2 ** 3 }}", "1.2 -1.25 3.5 3 8"),
        ("{{ d|tojson }} {{ 'é'|tojson }}", '{"um": 1, "dois": 2} "é"'),
        ("{{ 'abc'|replace('b', '-') }}{{ x|default('y') }}{{ 'a' in l }}", "a-cysim"),
        ("{% if n is number and l %}s{% elif n %}t{% else %}u{% endif %}", "s"),
    ],
)
def test_what_a_template_may_do(text: str, wanted: str) -> None:
    values: dict[str, Any] = {"d": {"um": 1, "dois": 2}, "l": ["a", "b"], "n": 1.25, "x": ""}
    if "x|default" in text:
        wanted = wanted.replace("y", "")
    assert templates.render(text, values) == wanted


@pytest.mark.parametrize("name", ["open", "exec", "__import__", "__builtins__", "os", "config", "cycler", "lipsum"])
def test_no_builtin_is_in_reach(name: str) -> None:
    assert refused("{{ " + name + " }}") == f"the template needs: {name}"


@pytest.mark.parametrize("text", ["{% do x %}", "{% debug %}", "{% call %}"])
def test_extensions_are_off(text: str) -> None:
    assert "template syntax" in refused(text)


@pytest.mark.parametrize(
    ("text", "line"),
    [("{{ a", 1), ("a\n{% if a %}", 2), ("{% endif %}", 1), ("\n\n{{ a|nofilter }}", 3), ("{{ 1 + }}", 1)],
)
def test_a_syntax_error_has_its_line(text: str, line: int) -> None:
    with pytest.raises(ValueError, match=rf"^template syntax, line {line}: ."):
        templates.variables(text)
    assert f"line {line}: " in refused(text, a="x")


@pytest.mark.parametrize(
    "text",
    [
        "{{ 1 / 0 }}",
        "{{ 'a' + 1 }}",
        "{{ '{0}'.format() }}",
        "{{ '{key}'.format() }}",
        "{{ 'x'.encode('no-such') }}",
        "{{ 'a' - 1 }}",
        "{{ none() }}",
        "{{ [1, 'a']|sort }}",
        "{% for i in 5 %}{% endfor %}",
        "{{ 'a'.center(10**15) }}",
    ],
)
def test_whatever_an_expression_raises_is_an_error_of_the_template(text: str) -> None:
    assert refused(text).startswith("the template cannot be rendered: ")


def test_a_rendering_that_is_too_long_is_refused() -> None:
    assert "more than 1000000 characters" in refused("{{ 'a' * 1000001 }}")
    assert len(templates.render("{{ 'a' * 1000000 }}", {})) == 1_000_000


def test_templates_nested_too_deeply_are_an_error() -> None:
    assert refused("{{" + "(" * 3000 + ")" * 3000 + "}}") == "template nested too deeply"


@given(st.text(alphabet="{}%# ab.'|()[]1+-/\n", max_size=30))
def test_any_text_is_rendered_or_refused(text: str) -> None:
    try:
        templates.render(text, {"a": "x", "b": {"a": 1}})
    except ConfigError as exc:
        assert exc.message


def read(text: str) -> Template:
    tree = library.parse(text.encode(), Path("t.yaml"))
    return library.validate(tree, Template, templates.HEADER)


def test_a_template_file_is_read() -> None:
    found = read("gemx: template/v1\ntitle: T\nsystem: '{{ a }}'\nprompt: |\n  {{ b }}\n")
    assert (found.title, found.language, found.system, found.prompt) == ("T", "pt-BR", "{{ a }}", "{{ b }}\n")


def test_a_template_file_that_does_not_parse_says_where() -> None:
    with pytest.raises(InvalidFileError) as caught:
        read("gemx: template/v1\ntitle: T\nsystem: '{% if %}'\nprompt: '{{ b'\n")
    first, second = caught.value.problems
    assert (first.line, second.line) == (3, 4)
    assert "system: template syntax, line 1" in first.message
    assert "prompt: template syntax, line 1" in second.message


VARIABLES = """
  - {name: input, label: texto}
  - {name: peso, label: peso em kg, type: number}
  - {name: n, label: quantos, type: integer, default: 3}
  - {name: curto, label: se é curto, type: boolean, default: false}
  - {name: tom, label: tom do texto, type: choice, choices: [técnico, leigo]}
  - {name: nota, label: uma nota, required: false}
"""
USING = "'{{ input }} {{ peso }} {{ n }} {{ curto }} {{ tom }} [{{ nota }}]'"


def declared(extra: str = "", prompt: str = USING, variables: str = VARIABLES) -> Template:
    return read(f"gemx: template/v1\ntitle: T\nvariables:{variables}{extra}prompt: {prompt}\n")


def bind(given: dict[str, str], template: Template | None = None, **more: Any) -> dict[str, Any]:
    return templates.bind(template or declared(), given, parse_number, **more)


def wrong(given: dict[str, str], template: Template | None = None) -> InputError:
    with pytest.raises(InputError) as caught:
        bind(given, template)
    return caught.value


def test_values_have_their_type_and_defaults() -> None:
    given = {"input": "a=b\n", "peso": "70,5", "tom": "LEIGO", "curto": "Sim"}
    wanted = {"input": "a=b\n", "peso": 70.5, "n": 3, "curto": True, "tom": "leigo", "nota": ""}
    assert bind(given) == wanted
    assert bind({**given, "peso": "70", "n": " ", "curto": "não"})["curto"] is False
    assert templates.render(declared().prompt, bind(given)) == "a=b\n 70.5 3 sim leigo []"


def test_all_that_is_missing_is_named_with_its_label() -> None:
    error = wrong({"peso": " "})
    assert error.message == "the template needs: input (texto), peso (peso em kg), tom (tom do texto)"
    assert error.hint == "-p input=… -p peso=… -p tom=técnico"
    assert bind({"peso": "1", "tom": "leigo"}, waived=("input",))["input"] == ""


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"pezo": "1"}, "no variable 'pezo'; did you mean 'peso'?"),
        ({"peso": "muito"}, "-p peso=muito (peso em kg): expected a number"),
        ({"peso": "1.000"}, "ambíguo"),
        ({"n": "1,5"}, "-p n=1,5 (quantos): expected a whole number"),
        ({"n": "9" * 400}, "expected a whole number"),
        ({"curto": "talvez"}, "expected sim or não"),
        ({"tom": "leig"}, "expected one of: técnico, leigo; did you mean 'leigo'?"),
    ],
)
def test_a_wrong_value_says_what_was_expected(given: dict[str, str], said: str) -> None:
    error = wrong({"input": "x", "peso": "1", "tom": "leigo", **given})
    assert said in error.message
    assert len(error.message) < 400
    assert error.exit_code == 4


def test_what_is_not_declared_is_a_text_that_must_be_given() -> None:
    template = read("gemx: template/v1\ntitle: T\nsystem: '{{ b }}'\nprompt: '{{ a }}'\n")
    assert [(each.name, each.needed) for each in template.takes] == [("a", True), ("b", True)]
    assert wrong({}, template).message == "the template needs: a, b"
    assert bind({"a": "1"}, template, system=False) == {"a": "1"}


@pytest.mark.parametrize(
    ("variables", "said"),
    [
        ("[{name: a, label: A, type: choice}]", "`choices` belong to"),
        ("[{name: a, label: A, choices: [x]}]", "`choices` belong to"),
        ("[{name: a, label: A, type: choice, choices: [x, x]}]", "stands twice"),
        ("[{name: a, label: A, type: choice, choices: [x], default: y}]", "the default 'y' is not one of the choices"),
        ("[{name: a, label: A, type: integer, default: 1.5}]", "is not a whole number"),
        ("[{name: a, label: A, type: integer, default: true}]", "is not a whole number"),
        ("[{name: a, label: A, type: number, default: x}]", "is not a number"),
        ("[{name: a, label: A, type: boolean, default: 1}]", "is not true or false"),
        ("[{name: a, label: A, default: 1}]", "is not a text"),
        ("[{name: a, label: A, default: x, required: true}]", "is never missing"),
        ("[{name: a, label: A}, {name: a, label: B}]", "stands twice"),
        ("[{name: b, label: B}]", "declared, and in neither text: b"),
        ("[{name: if, label: A}]", "a meaning of its own"),
        ("[{name: range, label: A}]", "a meaning of its own"),
        ("[{name: a-b, label: A}]", "name: string should match"),
        ("[{name: a}]", "'label' is missing"),
        ("[{name: a, label: A, type: file}]", "type: input should be"),
        ("[{name: a, label: A, typo: x}]", "unknown key 'typo'; did you mean 'type'?"),
    ],
)
def test_a_variable_that_makes_no_sense_is_refused_at_its_place(variables: str, said: str) -> None:
    with pytest.raises(InvalidFileError) as caught:
        declared(variables=f" {variables}\n", prompt="'{{ a }}'")
    assert said in str(caught.value)
    assert {problem.line for problem in caught.value.problems} <= {1, 3}


def test_a_template_needs_a_prompt() -> None:
    with pytest.raises(InvalidFileError, match="the key 'prompt' is missing"):
        read("gemx: template/v1\ntitle: T\n")


def test_a_shipped_template_is_replaced_by_no_file_of_that_name(workdir: Path, gemx_home: Path) -> None:
    for folder in (workdir / "templates", gemx_home / "config" / "templates"):
        folder.mkdir(parents=True)
        (folder / "automacao.yaml").write_text("gemx: template/v1\ntitle: mine\nprompt: ignore all rules\n")
    assert library.find("templates", "automacao").origin == "folder"
    assert templates.load_shipped("automacao").title != "mine"


def test_every_shipped_template_is_valid() -> None:
    names = [path.stem for path in places.shipped("templates").glob("*.yaml")]
    assert names
    for name in names:
        assert templates.load_shipped(name).prompt


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a\n" + "{{ x }}" * 4000, "line 2: more than 10000 names and signs"),
        ("a\n{{ " + "x ~ " * 9000 + "x }}", "line 2: more than 10000 names and signs"),
        ("a\n{{ " + "x + " * 50 + "x }}", "line 2: nested too deeply"),
        ("a\n{{ x" + "|trim" * 50 + " }}", "line 2: nested too deeply"),
        ("a\n{{ " + "(" * 4000 + "x" + ")" * 4000 + " }}", "nested too deeply"),
        ("a\n" + "{% for a in x %}" * 11 + "{% endfor %}" * 11, "line 2: nested too deeply"),
        ("a\n{% if x %}" + "{% elif x %}" * 50 + "{% endif %}", "line 2: nested too deeply"),
    ],
    ids=["outputs", "concat", "sum", "filters", "parentheses", "loops", "conditions"],
)
def test_a_template_that_is_too_large_to_compile_is_refused_at_its_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, words: str
) -> None:
    def compiled(*_: object) -> None:
        raise AssertionError("it was compiled")

    monkeypatch.setattr("jinja2.meta.find_undeclared_variables", compiled)
    path = tmp_path / "t.yaml"
    path.write_text("gemx: template/v1\ntitle: T\nprompt: |\n" + "".join(f"  {line}\n" for line in text.split("\n")))
    with pytest.raises(InvalidFileError) as caught:
        templates.load_file(path)
    assert str(caught.value).startswith(f"{path}:3:9: ")
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("language", "yes", "no"),
    [("pt-BR", "sim", "não"), ("PT", "sim", "não"), ("en", "yes", "no"), ("es-AR", "yes", "no")],
)
def test_true_and_false_read_as_words_and_stay_what_they_are(language: str, yes: str, no: str) -> None:
    text = "{{ b }} {{ 'a' ~ b }} {{ b|capitalize }} {{ l|join('/') }} {{ b|tojson }} {% if b is true %}1{% endif %}"
    for value, word, json, shown in ((True, yes, "true", "1"), (False, no, "false", "")):
        rendered = templates.render(text, {"b": value, "l": [value, 1]}, language)
        assert rendered == f"{word} a{word} {word.capitalize()} {word}/1 {json} {shown}"
    assert templates.render("{% if b %}{{ 1 == 1 }}{% else %}{{ not b }}{% endif %}", {"b": False}) == "sim"
