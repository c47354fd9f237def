"""What plugins offer is read without importing them, and whatever is wrong with one costs its own feature."""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Callable
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import pytest

import made_plugins
import planted_keys
from gemx import places, plugins
from gemx.documents import Text
from gemx.errors import (
    AuthenticationError,
    EmptyReplyError,
    InvalidFileError,
    NotFoundError,
    PluginError,
    ProviderError,
)
from gemx.gateway import Message, Origin, Request
from gemx.plugins import Offer, calculators
from gemx.providers import plugin
from gemx.providers.base import Embeddings, Options, Reply, Usage

QUESTION = Request((Message("user", (Text("oi"),)),), Origin("gen", "run-1"))


@pytest.fixture
def shelf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "packages"
    folder.mkdir()
    monkeypatch.syspath_prepend(str(folder))
    return folder


@pytest.fixture
def enable(gemx_home: Path) -> Callable[..., None]:
    def write(*names: str) -> None:
        places.config_file().parent.mkdir(parents=True, exist_ok=True)
        places.config_file().write_text(json.dumps({"version": 1, "plugins": names}))

    return write


@pytest.fixture
def offering(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Offer]:
    """An offer that leads to a value."""

    def make(value: Any, kind: plugins.Kind = "provider", name: str = "made") -> Offer:
        monkeypatch.setattr(sys.modules[__name__], "OFFERED", value, raising=False)
        monkeypatch.setitem(sys.modules, "offered_here", sys.modules[__name__])
        monkeypatch.setattr(plugins, "_loaded", {})
        return Offer(kind, name, "made-plugin", "0.1", EntryPoint(name, "offered_here:OFFERED", f"gemx.{kind}s"))

    return make


class Good:
    name, system, honoured = "good", "good", frozenset[str]()
    reach = "machine"
    reply: Any = Reply("sim", "m")
    error: BaseException | None = None

    def generate(self, request: Any, model: str, options: Any, on_text: Any = None) -> Any:
        if self.error:
            raise self.error
        if on_text:
            on_text("sim")
        return self.reply

    def close(self) -> None:
        raise OSError("closing failed")


def _made() -> Good:
    return Good()


def ask(provider: plugin.PluginProvider, on_text: Any = None) -> Reply:
    return provider.generate(QUESTION, "m", Options(), on_text)


@pytest.mark.parametrize("spelling", ["gemx-example", "Gemx_Example", "gemx.example", "GEMX--example"])
def test_every_spelling_of_a_name_is_one(spelling: str) -> None:
    assert plugins.normalized(spelling) == "gemx-example"


def test_without_a_configuration_there_is_none() -> None:
    assert plugins.enabled() == ()
    assert plugins.offers("command") == []


@pytest.mark.parametrize("text", ['{"plugins": "a"}', '{"plugins": [1]}', '{"plugins": ["a b"]', "[]", "{"])
def test_a_list_that_cannot_be_read_is_an_error_with_its_place(text: str, gemx_home: Path) -> None:
    places.config_file().parent.mkdir(parents=True)
    places.config_file().write_text(text)
    with pytest.raises(InvalidFileError, match=r"config\.json"):
        plugins.enabled()


def test_what_is_offered_is_read_and_not_imported(shelf: Path, enable: Callable[..., None]) -> None:
    module = made_plugins.write(
        shelf, "read-only", {"commands": {"eins": "read_only:x"}, "other": {"no": "x:y"}}, "1/0"
    )
    made_plugins.write(shelf, "left-off", {"commands": {"zwei": "left_off:x"}}, "1/0")
    enable("read-only", "not-there")
    assert [str(offer) for offer in plugins.offers("command")] == ["command eins"]
    assert plugins.find("command", "zwei") is None
    assert "gemx plugins enable left-off" in (plugins.not_enabled("command", "zwei") or "")
    assert plugins.not_enabled("command", "eins") is None
    assert module not in sys.modules


def test_of_two_with_a_name_the_first_of_the_configuration_is_used(shelf: Path, enable: Callable[..., None]) -> None:
    for name in ("aa-first", "zz-second"):
        made_plugins.write(shelf, name, {"commands": {"same": f"{name}:x"}})
    enable("zz-second", "aa-first")
    found = plugins.find("command", "same")
    assert found
    assert found.plugin == "zz-second"


@pytest.mark.parametrize("name", ["No", "a b", "../x", "-x", "é", ""])
def test_a_feature_with_a_name_that_could_not_be_typed_is_not_found(
    name: str, shelf: Path, enable: Callable[..., None]
) -> None:
    made_plugins.write(shelf, "ill-named", {"commands": {name: "ill_named:x"}})
    enable("ill-named")
    assert plugins.find("command", name) is None


def test_one_with_wrong_metadata_hides_no_other(shelf: Path, enable: Callable[..., None]) -> None:
    made_plugins.write(shelf, "sound-one", {"commands": {"sound": "sound_one:x"}})
    made_plugins.write(shelf, "torn-one", {})
    (shelf / "torn_one-0.1.dist-info" / "entry_points.txt").write_text("[gemx.commands]\nno equals sign\n")
    (shelf / "empty-1.dist-info").mkdir()
    enable("torn-one", "sound-one")
    assert [each.name for each in plugins.available() if each.name.endswith("-one")] == ["sound-one"]
    assert plugins.find("command", "sound")
    torn = plugins.installed("torn-one")
    assert torn
    assert "metadata cannot be read" in (torn.problem or "")


BROKEN = {
    "an import": ("import there_is_no_such_module", "No module named 'there_is_no_such_module'"),
    "its syntax": ("def (", "SyntaxError"),
    "an exception": ("1/0", "ZeroDivisionError"),
    "an exit": ("import sys; sys.exit(0)", "SystemExit: 0"),
    "no such name": ("other = 1", "has no attribute 'x'"),
    "an error of gemx": ("from gemx.errors import UsageError; raise UsageError('mine')", "UsageError: mine"),
}


@pytest.mark.parametrize("how", BROKEN)
def test_what_does_not_load_is_one_error_that_names_the_plugin_and_the_way_out(how: str, shelf: Path) -> None:
    code, said = BROKEN[how]
    name = f"breaks-by-{how.replace(' ', '-')}"
    module = made_plugins.write(shelf, name, {"commands": {"x": f"{name.replace('-', '_')}:x"}}, code)
    offer = (plugins.installed(name) or pytest.fail(module)).offers[0]
    with pytest.raises(PluginError) as caught:
        plugins.load(offer)
    assert caught.value.exit_code == 3
    assert name in caught.value.message
    assert said in caught.value.message
    assert "\n" not in caught.value.message
    assert f"gemx plugins disable {name}" in (caught.value.hint or "")


def test_an_interrupt_is_no_fault_of_a_plugin(shelf: Path) -> None:
    made_plugins.write(shelf, "stopped-import", {"commands": {"x": "stopped_import:x"}}, "raise KeyboardInterrupt")
    with pytest.raises(KeyboardInterrupt):
        plugins.load((plugins.installed("stopped-import") or pytest.fail()).offers[0])


def test_what_an_import_prints_is_no_result(shelf: Path, capsys: pytest.CaptureFixture[str]) -> None:
    made_plugins.write(shelf, "talks-much", {"commands": {"x": "talks_much:x"}}, "print('loud'); x = 1")
    offer = (plugins.installed("talks-much") or pytest.fail()).offers[0]
    assert [plugins.load(offer), plugins.load(offer)] == [1, 1]
    assert tuple(capsys.readouterr()) == ("", "loud\n")


def test_threads_that_load_leave_the_standard_output_alone(shelf: Path) -> None:
    made_plugins.write(
        shelf, "slow-import", {"commands": {"x": "slow_import:x"}}, "import time; time.sleep(0.1); x = 1"
    )
    offer = (plugins.installed("slow-import") or pytest.fail()).offers[0]
    before = sys.stdout
    seen: list[Any] = []
    threads = [threading.Thread(target=lambda: seen.append((plugins.load(offer), sys.stdout))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert seen == [(1, before)] * 4


def test_what_foreign_code_says_is_a_line_without_a_key() -> None:
    said = plugins.said(ValueError(f"no entry for {planted_keys.GEMINI}\nsecond line"))
    assert said.startswith("ValueError: no entry for")
    assert "second" not in said
    assert planted_keys.GEMINI not in said
    assert plugins.said(ValueError()) == "ValueError"


def test_a_provider_is_known_by_the_name_of_its_entry_point(offering: Callable[..., Offer]) -> None:
    provider = plugin.opened(offering(Good))
    assert (provider.name, provider.system, provider.reach) == ("made", "good", "machine")
    pieces: list[str] = []
    reply = ask(provider, pieces.append)
    assert (reply.text, reply.provider, pieces) == ("sim", "made", ["sim"])
    provider.close()


@pytest.mark.parametrize("declared", [None, "everywhere", 3, "MACHINE", ["machine"]])
def test_a_provider_that_says_no_reach_may_go_anywhere(offering: Callable[..., Offer], declared: Any) -> None:
    kind = type("Far", (Good,), {"reach": declared})
    offer = offering(kind)
    assert plugin.reach(offer) == "any"
    assert plugin.opened(offer).reach == "any"


def test_a_factory_without_a_word_of_its_own_may_lead_anywhere(offering: Callable[..., Offer]) -> None:
    assert plugin.opened(offering(_made)).reach == "any"


def test_a_provider_that_contradicts_its_factory_is_refused(offering: Callable[..., Offer]) -> None:
    class Two(Good):
        def __init__(self) -> None:
            self.reach = "any"

    with pytest.raises(PluginError, match="and its provider does not"):
        plugin.opened(offering(Two))


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (3, "expected a class or function"),
        (lambda: None, "has no generate"),
        (type("NoClose", (), {"generate": print}), "has no close"),
        (type("NoSystem", (Good,), {"system": None}), "system"),
        (type("NoSet", (Good,), {"honoured": ["seed"]}), "frozenset"),
        (lambda: 1 // 0, "ZeroDivisionError"),
        (lambda: sys.exit(0), "SystemExit"),
    ],
)
def test_what_is_no_provider_is_said(offering: Callable[..., Offer], value: Any, said: str) -> None:
    with pytest.raises(PluginError, match=said):
        plugin.opened(offering(value))


def test_what_a_provider_says_itself_stays_as_it_is(offering: Callable[..., Offer]) -> None:
    def keyless() -> Any:
        raise AuthenticationError("there is no key for made")

    with pytest.raises(AuthenticationError, match="no key for made"):
        plugin.opened(offering(keyless))
    refusing = type("Refusing", (Good,), {"error": AuthenticationError("refused")})
    with pytest.raises(AuthenticationError, match=r"^refused$"):
        ask(plugin.opened(offering(refusing)))


@pytest.mark.parametrize("error", [KeyError("x"), SystemExit(0), BrokenPipeError("its own")])
def test_what_a_provider_did_not_foresee_is_an_error_of_the_provider(
    offering: Callable[..., Offer], error: BaseException
) -> None:
    provider = plugin.opened(offering(type("Failing", (Good,), {"error": error})))
    with pytest.raises(ProviderError, match="the plugin made-plugin failed") as caught:
        ask(provider)
    assert caught.value.exit_code == 5
    assert caught.value.may_be_billed


@pytest.mark.parametrize(
    ("reply", "said"),
    [
        (None, "no Reply"),
        ("sim", "no Reply"),
        (Reply(b"sim", "m"), "no Reply"),  # type: ignore[arg-type]
        (Reply("sim", "m", finish_reason="done"), "finish_reason or usage"),  # type: ignore[arg-type]
        (Reply("sim", "m", usage=None), "finish_reason or usage"),  # type: ignore[arg-type]
        (Reply("sim", "m", usage=Usage(1.5, True)), "finish_reason or usage"),  # type: ignore[arg-type]
        (Reply("sim", "m", usage=Usage(-1)), "finish_reason or usage"),
    ],
)
def test_an_answer_that_is_none_is_refused(offering: Callable[..., Offer], reply: Any, said: str) -> None:
    with pytest.raises(ProviderError, match=said):
        ask(plugin.opened(offering(type("Odd", (Good,), {"reply": reply}))))


def test_an_answer_without_a_word_is_an_error(offering: Callable[..., Offer]) -> None:
    with pytest.raises(EmptyReplyError):
        ask(plugin.opened(offering(type("Silent", (Good,), {"reply": Reply(" \n", "m")}))))


@pytest.mark.parametrize("swallows", [False, True])
@pytest.mark.parametrize("failure", [BrokenPipeError, KeyboardInterrupt])
def test_what_fails_where_the_text_goes_is_no_fault_of_the_plugin(
    offering: Callable[..., Offer], failure: type[BaseException], swallows: bool
) -> None:
    class Streams(Good):
        def generate(self, request: Any, model: str, options: Any, on_text: Any = None) -> Any:
            try:
                return super().generate(request, model, options, on_text)
            except BaseException as exc:
                if swallows:
                    return self.reply
                raise RuntimeError("something of its own") from exc

    def closed(_: str) -> None:
        raise failure

    with pytest.raises(failure):
        ask(plugin.opened(offering(Streams)), closed)


def test_vectors_are_as_many_as_the_texts(offering: Callable[..., Offer]) -> None:
    class Embeds(Good):
        def embed(self, texts: Any, model: str, options: Any) -> Any:
            return Embeddings(tuple((1.0,) for _ in texts[:2]), model, normalized=True)

    provider = plugin.opened(offering(Embeds))
    assert isinstance(provider, plugin.PluginEmbedder)
    assert len(provider.embed(["a", "b"], "m", Options()).vectors) == 2
    with pytest.raises(ProviderError, match="one vector a text"):
        provider.embed(["a", "b", "c"], "m", Options())
    assert not isinstance(plugin.opened(offering(Good)), plugin.PluginEmbedder)


def calculator_plugin(
    shelf: Path, name: str, id: str = "dobro", body: str = "return inputs.number('map') * 2", offer: str = "MADE"
) -> None:
    code = made_plugins.CALCULATOR.format(id=id, body=body)
    made_plugins.write(shelf, name, {"calculators": {"any": f"{name.replace('-', '_')}:{offer}"}}, code)


def test_a_calculator_of_a_plugin_computes_and_names_it(shelf: Path, enable: Callable[..., None]) -> None:
    calculator_plugin(shelf, "doubles")
    with pytest.raises(NotFoundError):
        calculators.get("dobro")
    enable("doubles")
    result = calculators.run("dobro", {"map": "60"})
    assert (result.value, result.source) == (120, "Fonte inventada 2026 (plugin doubles 0.1)")
    assert "dobro" in calculators.ids()


def test_a_calculator_that_ships_is_had_without_any_plugin(shelf: Path, enable: Callable[..., None]) -> None:
    made_plugins.write(shelf, "unused-calculator", {"calculators": {"a": "unused_calculator:x"}}, "1/0")
    enable("unused-calculator")
    assert calculators.get("qsofa").id == "qsofa"
    assert "unused_calculator" not in sys.modules
    with pytest.raises(PluginError, match="unused-calculator"):
        calculators.get("qsofa_of_it")


def test_the_one_that_ships_wins_and_the_clash_is_said(shelf: Path, enable: Callable[..., None]) -> None:
    calculator_plugin(shelf, "takes-a-name", id="qsofa")
    calculator_plugin(shelf, "comes-first", id="dobro")
    calculator_plugin(shelf, "comes-second", id="dobro")
    enable("takes-a-name", "comes-first", "comes-second")
    assert "plugin" not in calculators.get("qsofa").source
    assert calculators.get("dobro").source.endswith("(plugin comes-first 0.1)")
    assert calculators.foreign().remarks == [
        "takes-a-name: its calculator qsofa is not used: gemx itself has one of that name",
        "comes-second: its calculator dobro is not used: the plugin comes-first has one of that name",
    ]


def test_a_broken_one_costs_no_other(shelf: Path, enable: Callable[..., None]) -> None:
    made_plugins.write(shelf, "no-calculator", {"calculators": {"a": "no_calculator:x"}}, "1/0")
    calculator_plugin(shelf, "still-there")
    enable("no-calculator", "still-there")
    assert calculators.run("dobro", {"map": 60}).value == 120
    assert "no-calculator" in calculators.foreign().remarks[0]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("MADE = 3", "not int"),
        ("MADE = (MADE, 'x')", "not str"),
        ("from dataclasses import replace; MADE = replace(MADE, id='Não é id')", "the id"),
        ("from dataclasses import replace; MADE = replace(MADE, source=' ')", "names no source"),
        ("from dataclasses import replace; MADE = replace(MADE, title=None)", "title must be text"),
        ("from dataclasses import replace; MADE = replace(MADE, parameters=['map'])", "tuple of Parameter"),
    ],
)
def test_what_is_no_calculator_is_said(offering: Callable[..., Offer], change: str, said: str) -> None:
    made: dict[str, Any] = {}
    exec(made_plugins.CALCULATOR.format(id="dobro", body="return inputs.number('map')") + change, made)
    with pytest.raises(PluginError, match=said):
        calculators.of(offering(made["MADE"], "calculator"))


def test_a_calculator_that_fails_is_the_plugins_failure(shelf: Path, enable: Callable[..., None]) -> None:
    calculator_plugin(shelf, "divides-by-nought", body="return inputs.number('map') / 0")
    enable("divides-by-nought")
    with pytest.raises(PluginError, match="the plugin divides-by-nought failed"):
        calculators.run("dobro", {"map": 60})
