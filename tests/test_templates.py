from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gemx import library, places, templates
from gemx.errors import ConfigError, InvalidFileError
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
    text = "{% set a = 1 %}{% for i in range(2) %}{{ i + a }}{{ loop.index }}{% endfor %}{{ dict(b=2).b }}"
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
    "{{ ''|attr('__class__') }}",
    "{{ a|map(attribute='__class__')|join }}",
    "{{ '{0.__class__}'.format(a) }}",
    "{{ '{0.__class__}'|format }}{{ ('{0.__class__}'.format)(1) }}",
    "{{ cycler.__init__.__globals__ }}",
    "{{ lipsum.__globals__['os'].popen('id').read() }}",
    "{{ joiner.__init__.__globals__ }}",
    "{{ namespace.__init__.__globals__ }}",
    "{{ range.__self__ }}",
    "{{ self.__init__.__globals__ }}",
    "{{ self._TemplateReference__context }}",
    "{{ f.__globals__ }}",
    "{{ f.__code__ }}",
    "{% set x = a.append(1) %}",
    "{% set x = d.update({1: 2}) %}",
    "{% include '/etc/passwd' %}",
    "{% import 'os' as os %}",
    "{% extends 'x' %}",
    "{{ range(1000000)|list }}",
]


@pytest.mark.parametrize("text", ESCAPES)
def test_the_sandbox_holds(text: str) -> None:
    given: dict[str, Any] = {"a": ["x"], "d": {}, "f": refused}
    message = refused(text, **given)
    assert message.startswith("the template cannot be rendered: ")
    assert given == {"a": ["x"], "d": {}, "f": refused}


@pytest.mark.parametrize("name", ["open", "exec", "__import__", "__builtins__", "os", "config"])
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
        "{{ 1|xmlattr }}",
        "{{ 'x'.encode('no-such') }}",
        "{{ '%d'|format('a') }}",
        "{{ none() }}",
        "{{ [1, 'a']|sort }}",
        "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}",
        "{{ 'a'.center(10**15) }}",
    ],
)
def test_whatever_an_expression_raises_is_an_error_of_the_template(text: str) -> None:
    assert refused(text).startswith("the template cannot be rendered: ")


def test_a_rendering_that_is_too_long_is_refused() -> None:
    assert "more than 1000000 characters" in refused("{{ 'a' * 1000001 }}")
    assert len(templates.render("{{ 'a' * 1000000 }}", {})) == 1_000_000


def test_templates_nested_too_deeply_are_an_error() -> None:
    assert refused("{{" + "(" * 5000 + ")" * 5000 + "}}") == "template nested too deeply"


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
