"""Seeded mutations of the shipped YAML and knowledge files: broken ones are refused at their place, sound ones are not.

A mutant is `broken` or `valid` by how it was made (or, for random edits of the text, where another reader finds no
YAML in it, or the same data as before). A random edit of which neither is sure may end either way, but never badly.
"""

from __future__ import annotations

import copy
import random
import re
import shutil
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gemx import library
from gemx.clinical import vocabulary

ROOT = Path(__file__).parents[1]
SECONDS = 2.0
LOADER: Any = getattr(yaml, "CBaseLoader", yaml.BaseLoader)
DUMPER: Any = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
PLACED = re.compile(r"^.+\.(?:yaml|md):\d+:\d+: \S", re.MULTILINE)

Verdict = Literal["broken", "valid", "either"]
Location = tuple[str | int, ...]
Edit = Callable[[Any], Any]


@dataclass(frozen=True)
class Mutant:
    """What `file` becomes, and what `auto validate` must say of it (or of `target`, the file that refers to it)."""

    name: str
    file: str
    data: bytes
    verdict: Verdict
    target: str = ""


@dataclass(frozen=True)
class Source:
    """A shipped file; `kind` is the first half of its header."""

    file: str

    @property
    def text(self) -> str:
        return (ROOT / self.file).read_text(encoding="utf-8")

    @property
    def kind(self) -> str:
        return self.data["gemx"].partition("/")[0]

    @property
    def data(self) -> Any:
        return _data(self.file)

    def random(self, purpose: str) -> random.Random:
        return random.Random(f"{self.file}:{purpose}")


@cache
def _read_otherwise(file: str) -> Any:
    return yaml.load((ROOT / file).read_text(encoding="utf-8"), Loader=LOADER)


@cache
def _data(file: str) -> Any:
    return library.read(ROOT / file).data


FILES = tuple(
    Source(str(path.relative_to(ROOT)))
    for folder in ("automations", "profiles", "templates")
    for path in sorted((ROOT / folder).rglob("*.yaml"))
)
KNOWLEDGE = {"sepse": "sepse_bundle", "hda": "hda_triage", "ira": "ira_aki"}

# Keys without which a file of that kind is broken, and keys that it can do without; `*` is any index or name.
REQUIRED = {
    "automation": """gemx prompt output title guideline maintenance summary inputs calculators knowledge assessment
        criteria checklist guideline.name guideline.version guideline.date maintenance.author maintenance.reviewed
        maintenance.next_review calculators.*.id calculators.*.as calculators.*.label calculators.*.inputs
        calculators.0.inputs.sbp calculators.0.inputs.dbp assessment.*.finding assessment.*.interpretation
        assessment.*.sources regimens.*.id regimens.*.drug regimens.*.indication regimens.*.mode regimens.*.presentation
        regimens.*.dose regimens.*.route regimens.*.sources regimens.*.interval_h regimens.*.dilution.diluent
        regimens.*.dilution.volume criteria.*.if criteria.*.then criteria.*.sources checklist.*.item checklist.*.sources
        avoid.*.item avoid.*.sources disposition.*.place disposition.*.reason disposition.*.sources *.*.sources.*.id
        *.*.sources.*.quote output.contract""",
    "case": "gemx title automation inputs inputs.idade inputs.sexo inputs.peso inputs.pas inputs.pad",
    "inputs": """gemx inputs inputs.*.id inputs.*.label inputs.*.kind inputs.*.hard inputs.*.choices
        inputs.*.absent.value inputs.*.absent.when""",
    "drug": """gemx id name class presentations sources presentations.*.id presentations.*.text presentations.*.source
        presentations.*.reconstitution.diluent presentations.*.reconstitution.volume salt.name salt.base salt.salt
        salt.doses_in salt.source diluents.*.*.name diluents.*.*.source routes.*.*.name routes.*.*.source
        concentration.*.source doses.*.indication doses.*.modes doses.*.usual.*.low doses.*.usual.*.high
        doses.*.daily_usual.*.low doses.*.daily_usual.*.high doses.*.interval_h.*.low doses.*.interval_h.*.high
        doses.*.max.*.value doses.*.daily_max.*.value doses.*.*.*.source speed.*.max speed.*.source infusion.*.manner
        infusion.*.min infusion.*.source renal.none renal.none.source renal.bands renal.bands.*.when renal.bands.*.text
        renal.bands.*.source pregnancy.*.risk pregnancy.*.text pregnancy.*.source allergy.*.to allergy.*.severity
        allergy.*.text allergy.*.source contraindications.*.text contraindications.*.source interactions.*.with
        interactions.*.kind interactions.*.text interactions.*.source notes.*.text notes.*.source sources.*.title
        sources.*.kind sources.*.date sources.*.read sources.*.url_or_id""",
    "vocabulary": """gemx routes diluents allergens routes.*.name routes.*.words diluents.*.name diluents.*.words
        allergens.*.id allergens.*.label allergens.*.words""",
    "rules": """gemx automation case rules rules.* rules.*.code rules.*.title rules.*.severities rules.*.why rules.*.bad
        rules.*.good rules.*.bad.said rules.*.good.said""",
    "profile": "gemx title",
    "template": "gemx title prompt",
}
OPTIONAL = {
    "automation": """version language persona guideline.doi assessment.*.when criteria.*.when regimens.*.when
        regimens.*.phase regimens.*.access regimens.*.duration regimens.*.titration regimens.*.renal
        regimens.*.monitoring regimens.*.infusion_time checklist.*.deadline_min checklist.*.when avoid disposition
        output.sections calculators.*.digits""",
    "case": "inputs.fc inputs.ureia inputs.ph inputs.alergias inputs.melena inputs.nome",
    "inputs": """inputs.*.plausible inputs.*.units inputs.*.short inputs.*.calculator inputs.*.local inputs.*.absent
        inputs.*.unit""",
    "drug": """synonyms combinable group salt diluents concentration doses routes speed infusion renal pregnancy allergy
        contraindications interactions notes salt.text diluents.allowed diluents.forbidden routes.*.*.text
        presentations.*.multidose concentration.*.text concentration.*.when doses.*.words doses.*.phases doses.*.routes
        doses.*.usual doses.*.max doses.*.daily_max doses.*.interval_h doses.*.max.*.text contraindications.*.when
        sources.*.publisher sources.*.weak""",
    "vocabulary": "allergens.*.source",
    "rules": "rules.*.bad.set rules.*.bad.add rules.*.bad.patient rules.*.bad.case rules.*.bad.text",
    "profile": "temperature system",
    "template": "language system",
}
OPEN_MAPPINGS = ("inputs.*.choices", "inputs.*.units", "sources")
# Below these anything may stand: an example of a rule is a change of an answer, right or wrong.
OPEN_BELOW = tuple(f"rules.*.{example}.{part}" for example in ("bad", "good") for part in ("set", "add", "patient"))
BROKEN_QUANTITIES = (
    *(
        "0,1 mcg/kg/mim",
        "1.000 mg",
        "mg",
        "10",
        "-5 mg",
        "0 mg",
        "1e3 mg",
        "1 mg/kg/min/h",
        "dez mg",
        "10 Mg",
        "4 mg/mg",
    ),
    *(
        "9999999999999999 mg",
        "4 mg 4 mL",
        "4mg;",
        ",5 mg",
        "1,234.5 mg",
        "٤ mg",
        "4 a" + " " * 200_000 + "b",
        ".inf mg",
    ),
)
BROKEN_EXPRESSIONS = (
    *("idade <", "(idade > 1", "idade > 1)", "idade = 1", "1 < idade < 9", "idade & peso", "'aberta", "&& idade", "! "),
    *("idade > 1 &&", "idade > 'a'", "peso > 1 || peso > 'a'", "idade.anos > 1", "__import__('os')", "idade > 1; peso"),
    *("idade > 1 " + "|| idade > 1 " * 60, "(" * 60 + "idade" + ")" * 60, "idade", "nao_existe > 1", "sexo == 'X'"),
)
BROKEN_TEXTS = (
    *(
        "{{ peso",
        "{ peso }}",
        "{{ peso }",
        "peso }}",
        "{{ peso }} {{",
        "{{ peso|nada }}",
        "{{ 1/0 }}",
        "{{ peso.real }}",
    ),
    *(
        "{% for x in y %}",
        "{% if peso %}x{% endif %}",
        "{# nota #}",
        "{{ pesoo }}",
        "{{ nome }}",
        "{{ }}",
        "{{ {{ peso }} }}",
    ),
    *("{{ ''.__class__ }}", "{{ " + "(" * 500 + "peso" + ")" * 500 + " }}", " ", ""),
)
BROKEN_DATES = ("2026-13-01", "20/11/2026", "ontem", "2026-02-30", "2026", "")
BROKEN_YAML = {
    "empty": b"",
    "white space": b"  \n\n",
    "a comment": b"# nada\n",
    "no document": b"---\n",
    "a scalar": b"gemx\n",
    "a list": b"- gemx: profile/v1\n",
    "another file's header": b"gemx: flow/v9\ntitle: x\n",
    "a header that is a list": b"gemx: [profile/v1]\ntitle: x\n",
    "a header that is a mapping": b"gemx: {profile/v1: 1}\ntitle: x\n",
    "no header": b"title: x\n",
    "NUL": b"gemx: profile/v1\ntitle: a\0b\n",
    "bytes of an image": b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR",
    "a directive of the future": b"%YAML 3.0\n---\ngemx: profile/v1\ntitle: x\n",
    "a key that is a list": b"gemx: profile/v1\ntitle: x\n? [a, b]\n: c\n",
    "a key that is an alias": b"gemx: &a profile/v1\ntitle: x\n*a : c\n",
    "an alias of itself": b"gemx: profile/v1\ntitle: x\nsystem: &a [*a]\n",
    "too large": b"gemx: profile/v1\ntitle: x\n#" + b"x" * 2_000_000,
    "deep flow": b"gemx: profile/v1\ntitle: " + b"[" * 100_000,
    "deep and closed": b"gemx: profile/v1\ntitle: " + b"[" * 5_000 + b"]" * 5_000,
    "deep mappings": b"gemx: profile/v1\n" + b"\n".join(b" " * depth + b"a:" for depth in range(1_000)),
    "20 000 unknown keys": b"gemx: profile/v1\ntitle: x\n" + b"".join(b"k%d: 1\n" % key for key in range(20_000)),
    "20 000 equal keys": b"gemx: profile/v1\n" + b"title: x\n" * 20_000,
    "200 000 values": b"gemx: profile/v1\ntitle: [" + b"1," * 200_000 + b"]\n",
}
# What is put at the top of a sound file; each makes it broken.
BROKEN_PROLOGUES = {
    "alias bomb": "a: &a [x, x, x, x, x, x, x, x, x]\n"
    + "".join(f"{name}: &{name} [{', '.join([f'*{before}'] * 9)}]\n" for before, name in pairwise("abcdefghi")),
    "an alias without anchor": "a: *b\n",
    "a tag that makes objects": "a: !!python/object/apply:os.system [id]\n",
    "a local tag": "a: !local x\n",
    "a tag on a key": "!!python/none a: x\n",
    "a merge key": "<<: {a: 1}\n",
    "not a number": "a: .nan\n",
    "infinite": "a: -.inf\n",
    "a number of 400 digits": f"a: {'9' * 400}\n",
    "a number beyond floats": "a: 1e999\n",
    "an open quote": 'a: "x\n',
    "an open bracket": "a: [x\n",
    "a tab": "a:\n\tb: c\n",
    "an unknown key": "chave: valor\n",
    "an escape sequence": 'a: "\\e[31m"\n',
    "an escaped NUL": 'a: "\\0"\n',
    "text that turns around": "a: x\u202ey\n",
    "a document before": "a: 1\n---\n",
    "a key of 5000 characters": f"{'k' * 5000}: 1\n",
}


def _fits(location: Location, patterns: Iterable[str]) -> bool:
    parts = [str(part) for part in location]
    return any(
        len(parts) == len(wanted) and all(name in ("*", part) for name, part in zip(wanted, parts, strict=True))
        for wanted in (pattern.split(".") for pattern in patterns)
    )


def _is_free(location: Location) -> bool:
    """Whether the place is below one where anything may stand."""
    return any(_fits(location[:depth], OPEN_BELOW) for depth in range(len(location)))


def _nodes(data: Any, location: Location = ()) -> Iterator[tuple[Location, Any]]:
    if location:
        yield location, data
    children = data.items() if isinstance(data, dict) else enumerate(data) if isinstance(data, list) else ()
    for key, value in children:
        yield from _nodes(value, (*location, key))


def _edited(source: Source, purpose: str, location: Location, edit: Edit, verdict: Verdict) -> Mutant:
    """The file with `edit` applied to the mapping or list that holds `location`."""
    data = copy.deepcopy(source.data)
    holder = data
    for part in location[:-1]:
        holder = holder[part]
    edit(holder)
    text = yaml.dump(data, Dumper=DUMPER, allow_unicode=True, sort_keys=False, width=10_000)
    where = ".".join(str(part) for part in location)
    return Mutant(f"{source.file}: {purpose}: {where}", source.file, text.encode("utf-8", "surrogatepass"), verdict)


def _replaced(source: Source, purpose: str, location: Location, value: Any, verdict: Verdict = "broken") -> Mutant:
    return _edited(source, f"{purpose} ({str(value)[:30]!r})", location, _setting(location[-1], value), verdict)


def _setting(key: Any, value: Any) -> Edit:
    return lambda holder: holder.__setitem__(key, value)


def _removing(key: Any) -> Edit:
    return lambda holder: holder.__delitem__(key)


def _some(source: Source, purpose: str, items: Iterable[Any], most: int) -> list[Any]:
    found = list(items)
    return source.random(purpose).sample(found, min(most, len(found)))


def _places(source: Source, patterns: str) -> list[Location]:
    return [location for location, _ in _nodes(source.data) if _fits(location, patterns.split())]


def keys_dropped(source: Source) -> Iterator[Mutant]:
    for location in _some(source, "dropped", _places(source, REQUIRED[source.kind]), 12):
        yield _edited(source, "dropped", location, _removing(location[-1]), "broken")


def optional_keys_dropped(source: Source) -> Iterator[Mutant]:
    for location in _some(source, "not needed", _places(source, OPTIONAL[source.kind]), 6):
        yield _edited(source, "not needed", location, _removing(location[-1]), "valid")


def required_keys_null(source: Source) -> Iterator[Mutant]:
    for location in _some(source, "null", _places(source, REQUIRED[source.kind]), 5):
        yield _replaced(source, "null", location, None)


def keys_misspelt(source: Source) -> Iterator[Mutant]:
    chance = source.random("misspelt letter")
    named = [place for place, _ in _nodes(source.data) if isinstance(place[-1], str)]
    closed = [place for place in named if not _fits(place[:-1], OPEN_MAPPINGS) and not _is_free(place)]
    for location in _some(source, "misspelt", closed, 8):
        key = str(location[-1])
        index = chance.randrange(len(key))
        edit = _renaming(key, key[:index] + key[index] + key[index:])
        yield _edited(source, "misspelt", location, edit, "broken")


def _renaming(old: str, new: str) -> Edit:
    def edit(holder: dict[str, Any]) -> None:
        items = [(new if key == old else key, value) for key, value in holder.items()]
        holder.clear()
        holder.update(items)

    return edit


def types_changed(source: Source) -> Iterator[Mutant]:
    held = [(location, value) for location, value in _nodes(source.data) if not _is_free(location)]
    for location, value in _some(source, "types", held, 5):
        for purpose, other in _other_types(source, location, value):
            yield _replaced(source, purpose, location, other)


def _other_types(source: Source, location: Location, value: Any) -> Iterator[tuple[str, Any]]:
    # The values of a patient are read from text, so a case may say the same in more ways than one.
    by_text = source.kind == "case" and location[0] == "inputs" and len(location) > 1
    if by_text and location[1] == "alergias":
        return
    if isinstance(value, (dict, list)):
        yield "made a scalar", "texto"
        yield "made a number", 7
        yield ("made a list", ["x"]) if isinstance(value, dict) else ("made a mapping", {"a": "b"})
        return
    yield "made a mapping", {"a": "b"}
    yield "made a list", ["x"]
    if isinstance(value, (int, float)):
        yield "made text", "muito"
    elif isinstance(value, str) and not by_text and not _fits(location, ["calculators.*.inputs.*"]):
        yield "made a number", 7
        yield "made a boolean", True


LINES = (
    "title name class id persona version system group rules.*.title routes.*.name doses.*.indication allergens.*.label"
)


def values_huge(source: Source) -> Iterator[Mutant]:
    limits = {
        "calculators.*.digits": (5, 10**9, -1),
        "checklist.*.deadline_min": (10**9, -1, 0.5),
        "regimens.*.quantity": (10**6, 0, -4),
        "regimens.*.interval_h": (10**6, 0),
        "doses.*.interval_h.*.low": (10**6, 0, -4, "8 h"),
        "renal.bands.*.interval_min_h": (10**6, 0, -4),
        "temperature": (2.1, 10**30, -1),
        "inputs.*.hard": ([2, 1], [1], [1, 2, 3]),
        "inputs.*.plausible": ([-1000, -999], [10**9, 10**10]),
    }
    for pattern, values in limits.items():
        for location in _some(source, pattern, _places(source, pattern), 1):
            yield from (_replaced(source, "huge", location, value) for value in values)
    for location in _some(source, "long", _places(source, LINES), 3):
        most = {"template": 2_000_000, "profile": 20_001}.get(source.kind, 1_100)
        yield _replaced(source, "long", location, "x" * most)
    for location in _places(source, "inputs.idade inputs.pas inputs.fc inputs.creatinina"):
        yield from (_replaced(source, "impossible", location, value) for value in (99_999, -1, "1.000", "7e", "64 kg"))


QUANTITIES = """regimens.*.dose regimens.*.dilution.volume presentations.*.mass presentations.*.volume
    presentations.*.reconstitution.volume salt.base salt.salt concentration.*.min concentration.*.max
    doses.*.usual.*.low doses.*.usual.*.high doses.*.max.*.value doses.*.daily_usual.*.low doses.*.daily_max.*.value
    speed.*.max infusion.*.min renal.bands.*.dose_max renal.bands.*.daily_max"""
OF_ANOTHER_KIND = {
    "regimens.*.dose": "4 mmHg",
    "regimens.*.dilution.volume": "4 mg",
    "presentations.*.mass": "4 mL",
    "presentations.*.volume": "4 mg",
    "presentations.*.reconstitution.volume": "4 mL/h",
    "salt.base": "4 mL",
    "salt.salt": "4 mg/mL",
    "concentration.*.max": "4 mg",
    "concentration.*.min": "4 mL/mg",
    "doses.*.usual.*.low": "4 mmHg",
    "doses.*.max.*.value": "4 h",
    "doses.*.daily_max.*.value": "4 g",
    "doses.*.daily_usual.*.high": "4 g/h",
    "speed.*.max": "4 mg",
    "infusion.*.min": "4 mg/min",
    "renal.bands.*.dose_max": "4 kg/mg",
    "renal.bands.*.daily_max": "4 g/h",
}


def quantities_broken(source: Source) -> Iterator[Mutant]:
    for location in _some(source, "quantity", _places(source, QUANTITIES), 4):
        for value in _some(source, f"quantities {location}", BROKEN_QUANTITIES, 5):
            yield _replaced(source, "quantity", location, value)
    for pattern, value in OF_ANOTHER_KIND.items():
        for location in _some(source, pattern, _places(source, pattern), 1):
            yield _replaced(source, "quantity of another kind", location, value)


def ranges_broken(source: Source) -> Iterator[Mutant]:
    """The bounds of a range the other way round, or in units that do not compare."""
    ranges = "doses.*.usual.* doses.*.daily_usual.* doses.*.interval_h.* concentration.*"
    found = [(location, _at(source.data, location)) for location in _places(source, ranges)]
    names = [("low", "high"), ("min", "max")]
    bounds = [
        (location, held, low, high)
        for location, held in found
        for low, high in names
        if low in held and high in held and held[low] != held[high]
    ]
    for location, held, low, high in _some(source, "ranges", bounds, 3):
        yield _replaced(source, "turned round", location, {**held, low: held[high], high: held[low]})
        other = "9 U/min" if "U" not in str(held[high]) else "9 mg/min"
        yield _replaced(source, "unlike", location, {**held, high: other})
    for location in _some(source, "no bound", _places(source, "concentration.*"), 1):
        held = {key: value for key, value in _at(source.data, location).items() if key not in ("min", "max")}
        yield _replaced(source, "no bound", location, held)
    for location in _places(source, "renal"):
        both = {"none": {"source": next(iter(source.data["sources"]))}, "bands": [_BAND], **_at(source.data, location)}
        yield _replaced(source, "both", location, both)


_BAND = {"when": "clcr < 30", "text": "x", "source": "x"}


def expressions_broken(source: Source) -> Iterator[Mutant]:
    conditions = _places(source, "*.*.when *.*.*.when *.*.*.*.when")
    for value in BROKEN_EXPRESSIONS:
        for location in _some(source, f"expression {value[:20]}", conditions, 1):
            # In inputs.yaml a lone name is the condition that there is such a value.
            if source.kind == "inputs" and (value == "idade" or len(value) > 500):
                continue
            yield _replaced(source, "expression", location, value)


def texts_broken(source: Source) -> Iterator[Mutant]:
    pattern = (
        "summary prompt assessment.*.finding regimens.*.indication criteria.*.then checklist.*.item disposition.*.place"
    )
    texts = _places(source, pattern) if source.kind == "automation" else []
    for value in BROKEN_TEXTS:
        for location in _some(source, f"text {value[:20]}", texts, 1):
            yield _replaced(source, "text", location, value)
    if source.kind == "template":
        for value in ("{{ peso", "{{ peso }", "{% for x in y %}", "{% endif %}", "{{ peso|nada }}", "{{ }}"):
            yield _replaced(source, "text", ("prompt",), value)


REFERENCES = """inputs.* calculators.*.id regimens.*.drug regimens.*.presentation *.*.sources.*.id knowledge.* id
    output.contract output.sections.* presentations.*.source *.*.source *.*.*.source *.*.*.*.source diluents.*.*.name
    routes.*.*.name doses.*.routes.* doses.*.modes.* doses.*.phases.* salt.source salt.doses_in infusion.*.manner
    pregnancy.*.risk allergy.*.to allergy.*.severity interactions.*.kind sources.*.kind rules.*.code
    rules.*.severities.*"""


def references_broken(source: Source) -> Iterator[Mutant]:
    found = REFERENCES.split() if source.kind in ("automation", "drug", "rules") else []
    for location in _some(source, "reference", _places(source, " ".join(found)), 10):
        value = _at(source.data, location)
        if isinstance(value, str):
            yield _replaced(source, "reference", location, f"{value}x" if "?" not in value else "nada?")
    if source.kind == "case":
        yield _replaced(source, "reference", ("automation",), f"{source.data['automation']}x")
    names = "calculators.*.inputs.*"
    for location in _some(source, "parameter", _places(source, names), 5):
        yield _replaced(source, "name", location, "nao_existe")


def _at(data: Any, location: Location) -> Any:
    for part in location:
        data = data[part]
    return data


def quotes_changed(source: Source) -> Iterator[Mutant]:
    chance = source.random("letter")
    for location in _some(source, "quote", _places(source, "*.*.sources.*.quote"), 7):
        quote = _at(source.data, location)
        index = chance.choice([index for index, letter in enumerate(quote) if letter.isalpha()])
        other = "q" if quote[index] != "q" else "z"
        yield _replaced(source, f"quote at {index}", location, quote[:index] + other + quote[index + 1 :])


def dates_broken(source: Source) -> Iterator[Mutant]:
    pattern = "guideline.date maintenance.reviewed maintenance.next_review"
    for location in _places(source, pattern):
        yield from (_replaced(source, "date", location, value) for value in BROKEN_DATES)
    for location in _places(source, "maintenance.next_review"):
        yield _replaced(source, "reviewed later", location, "2001-01-01")
    for location in _places(source, "guideline.doi"):
        yield _replaced(source, "DOI", location, "doi:10.1097")


def items_doubled(source: Source) -> Iterator[Mutant]:
    """A list whose items have ids, with an item twice."""
    lists = "inputs calculators regimens presentations knowledge routes diluents allergens rules"
    for location in _places(source, lists):
        items = _at(source.data, location)
        if isinstance(items, list):
            for item in _some(source, "doubled", items, 3):
                yield _replaced(source, "doubled", location, [*items, item])


def bytes_broken(source: Source) -> Iterator[Mutant]:
    data = source.text.encode()
    chance = source.random("bytes")
    for bad in (b"\xff", b"\xc3(", b"\xed\xa0\x80", b"\xf8\x88\x80\x80\x80", b"\0", b"\x1b[2J", b"\x07", b"\x7f"):
        index = chance.choice([match.end() for match in re.finditer(rb": ", data)])
        yield Mutant(f"{source.file}: {bad!r} at {index}", source.file, data[:index] + bad + data[index:], "broken")
    for encoding in ("utf-16", "latin-1", "utf-32"):
        if encoding != "latin-1" or not source.text.isascii():
            recoded = source.text.encode(encoding, "replace")
            yield Mutant(f"{source.file}: {encoding}", source.file, recoded, "broken")
    yield Mutant(f"{source.file}: with a mark", source.file, b"\xef\xbb\xbf" + data, "valid")


def prologues(source: Source) -> Iterator[Mutant]:
    for name, prologue in BROKEN_PROLOGUES.items():
        yield Mutant(f"{source.file}: {name}", source.file, (prologue + source.text).encode(), "broken")


def epilogues(source: Source) -> Iterator[Mutant]:
    text = source.text
    first = next(line for line in text.splitlines() if line.startswith("gemx:"))
    for name, end in {"a second document": "---\na: 1\n", "the first key again": first, "loose text": "%\n"}.items():
        yield Mutant(f"{source.file}: {name}", source.file, f"{text.rstrip()}\n{end}".encode(), "broken")
    comment = f"{text.rstrip()}\n# {'x' * 50_000}\n".encode()
    yield Mutant(f"{source.file}: a long comment", source.file, comment, "valid")
    yield Mutant(f"{source.file}: CRLF", source.file, text.replace("\n", "\r\n").encode(), "valid")


def indentation_broken(source: Source) -> Iterator[Mutant]:
    lines = source.text.splitlines(keepends=True)
    indented = [index for index, line in enumerate(lines) if re.match(r" +(- )?[a-z_{]", line)]
    for index in _some(source, "indentation", indented, 5):
        for change in (" " + lines[index], lines[index][1:], "\t" + lines[index].lstrip(), lines[index].lstrip()):
            text = "".join([*lines[:index], change, *lines[index + 1 :]])
            yield from _judged(source, f"indentation at line {index + 1}", text)


def texts_cut(source: Source) -> Iterator[Mutant]:
    chance = source.random("cut")
    for _ in range(8):
        index = chance.randrange(1, len(source.text))
        yield from _judged(source, f"cut at {index}", source.text[:index])


def characters_changed(source: Source) -> Iterator[Mutant]:
    chance = source.random("characters")
    for _ in range(12):
        start = chance.randrange(len(source.text))
        end = start + chance.choice((0, 1, 1, 3, 40))
        put = chance.choice(("", "", ":", "- ", "{", "}", "[", '"', "'", "\n", "&a ", "*a", "!x ", "|", "\u2028", "é"))
        yield from _judged(source, f"{start} to {end} is {put!r}", source.text[:start] + put + source.text[end:])


def _judged(source: Source, purpose: str, text: str) -> Iterator[Mutant]:
    yield Mutant(f"{source.file}: {purpose}", source.file, text.encode(), _verdict(source, text))


def _verdict(source: Source, text: str) -> Verdict:
    """What another reader makes of the text: no YAML, the same data, or who knows."""
    try:
        data = yaml.load(text, Loader=LOADER)
    except yaml.YAMLError:
        return "broken"
    # That reader takes a tag or an anchor for nothing; gemx need not.
    return "valid" if data == _read_otherwise(source.file) and "&a" not in text and "!x" not in text else "either"


MUTATIONS: dict[str, Callable[[Source], Iterator[Mutant]]] = {
    mutation.__name__: mutation
    for mutation in (
        *(keys_dropped, optional_keys_dropped, required_keys_null, keys_misspelt, types_changed, values_huge),
        *(quantities_broken, ranges_broken, expressions_broken, texts_broken, references_broken, quotes_changed),
        *(
            dates_broken,
            items_doubled,
            bytes_broken,
            prologues,
            epilogues,
            indentation_broken,
            texts_cut,
            characters_changed,
        ),
    )
}


def _sources(mutation: str) -> list[Source]:
    """The files to mutate: of files that are alike two for each mutation, not always the same."""
    chance = random.Random(mutation)
    kinds = {kind: [source for source in FILES if source.kind == kind] for kind in REQUIRED}
    return [source for alike in kinds.values() for source in chance.sample(alike, min(2, len(alike)))]


def mutants(mutation: str) -> Iterator[Mutant]:
    for source in _sources(mutation):
        yield from MUTATIONS[mutation](source)


def knowledge_mutants(stem: str) -> Iterator[Mutant]:
    file, target = f"automations/knowledge/{stem}.md", f"automations/{KNOWLEDGE[stem]}.yaml"
    text = (ROOT / file).read_text(encoding="utf-8")
    cited = {quote["id"]: quote["quote"] for quote in _citations(_data(target))}
    chance = random.Random(stem)

    def mutant(name: str, data: str | bytes, verdict: Verdict = "broken") -> Mutant:
        return Mutant(f"{file}: {name}", file, data if isinstance(data, bytes) else data.encode(), verdict, target)

    for identifier in chance.sample(sorted(cited), 4):
        mark = "{#" + identifier.partition("#")[2] + "}"
        assert mark in text
        yield mutant(f"without the id {mark}", text.replace(f" {mark}", " - outro título"))
        yield mutant(f"with {mark} twice", f"{text}\n## Outro {mark}\n\nTexto.\nFonte: x.\n")
        quote = cited[identifier]
        yield mutant(f"without a word of {mark}", text.replace(quote, quote[: len(quote) // 2] + "…"))
    for start in chance.sample([match.start() for match in re.finditer("^Fonte: ", text, re.MULTILINE)], 4):
        yield mutant(f"without the source at {start}", text[:start] + text[start + len("Fonte: ") :])
    yield mutant("empty", "")
    yield mutant("in Latin-1", text.encode("latin-1", "replace"))
    yield mutant("cut in the middle", text[: len(text) // 2])
    yield mutant("with one passage more", f"{text}\n## Outro {{#outro}}\n\nTexto.\nFonte: x.\n", "valid")
    yield mutant("with other line ends", text.replace("\n", "\r\n"), "valid")


def _citations(data: Any) -> Iterator[dict[str, str]]:
    for location, value in _nodes(data):
        if _fits(location, ["*.*.sources.*"]):
            yield value


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the shipped folders, so that a mutant stands where it would stand."""
    root = tmp_path_factory.mktemp("house")
    for folder in ("automations", "profiles", "templates"):
        shutil.copytree(ROOT / folder, root / folder)
    return root


def _complaint(mutant: Mutant, house: Path, run_gemx: Callable[..., Any]) -> str | None:
    """What is wrong with how gemx takes a mutant; None where it is right."""
    path = house / mutant.file
    before = path.read_bytes()
    path.write_bytes(mutant.data)
    vocabulary.load_vocabulary.cache_clear()  # a process reads the words once
    started = time.perf_counter()
    try:
        result = run_gemx("auto", "validate", str(house / (mutant.target or mutant.file)))
    finally:
        path.write_bytes(before)
        vocabulary.load_vocabulary.cache_clear()
    seconds = time.perf_counter() - started
    codes = {"broken": (3,), "valid": (0,), "either": (0, 3)}[mutant.verdict]
    if result.code not in codes:
        return f"{mutant.verdict}, exit {result.code}: {mutant.name}\n    {result.err[:300]}"
    if "Traceback" in result.out + result.err or seconds > SECONDS:
        return f"{seconds:.1f} s: {mutant.name}\n    {result.err[:300]}"
    if result.code and not PLACED.search(result.err):
        return f"no place: {mutant.name}\n    {result.err[:300]}"
    return None


def _complaints(found: Iterable[Mutant], house: Path, run_gemx: Callable[..., Any]) -> str:
    return "\n".join(filter(None, (_complaint(mutant, house, run_gemx) for mutant in found)))


@pytest.mark.parametrize("mutation", MUTATIONS)
def test_mutants_of_the_yaml_files(mutation: str, house: Path, run_gemx: Callable[..., Any]) -> None:
    complaints = _complaints(mutants(mutation), house, run_gemx)
    assert not complaints, complaints


@pytest.mark.parametrize("stem", KNOWLEDGE)
def test_mutants_of_the_knowledge(stem: str, house: Path, run_gemx: Callable[..., Any]) -> None:
    complaints = _complaints(knowledge_mutants(stem), house, run_gemx)
    assert not complaints, complaints


@pytest.mark.parametrize("name", BROKEN_YAML)
def test_a_file_that_is_nothing_of_gemx(name: str, house: Path, run_gemx: Callable[..., Any]) -> None:
    mutant = Mutant(name, "profiles/clinical.yaml", BROKEN_YAML[name], "broken")
    complaint = _complaint(mutant, house, run_gemx)
    assert complaint is None, complaint


def test_the_mutants_are_many_and_the_same_every_time() -> None:
    found = [mutant for mutation in MUTATIONS for mutant in mutants(mutation)]
    counted = Counter(mutant.verdict for mutant in found)
    assert counted["broken"] >= 300
    assert counted["valid"] >= 50
    assert found[:200] == [mutant for mutation in [*MUTATIONS][:5] for mutant in mutants(mutation)][:200]


def test_a_file_rewritten_without_a_change_is_valid(house: Path, run_gemx: Callable[..., Any]) -> None:
    # The mutants of keys and values are written anew from the data: that alone must break nothing.
    same = (_edited(source, "nothing", (next(iter(source.data)),), lambda holder: None, "valid") for source in FILES)
    complaints = _complaints(same, house, run_gemx)
    assert not complaints, complaints


FUZZ = settings(
    deadline=None,
    derandomize=True,
    max_examples=80,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
HEADERS = st.sampled_from([b"", *(f"gemx: {name}/v1\n".encode() for name in REQUIRED)])


@FUZZ
@given(header=HEADERS, data=st.binary(max_size=400) | st.text(max_size=200).map(lambda text: text.encode()))
def test_arbitrary_bytes(header: bytes, data: bytes, house: Path, run_gemx: Callable[..., Any]) -> None:
    mutant = Mutant(repr(data), "profiles/clinical.yaml", header + data, "either")
    complaint = _complaint(mutant, house, run_gemx)
    assert complaint is None, complaint


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20) | st.sampled_from(BROKEN_TEXTS),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4),
    max_leaves=10,
)


@settings(FUZZ, max_examples=25)
@given(number=st.integers(min_value=0), value=VALUES)
@pytest.mark.parametrize("file", ["automations/hda_triage.yaml", "automations/cases/ira_hipercalemia.yaml"])
def test_an_arbitrary_value_anywhere(
    file: str, number: int, value: Any, house: Path, run_gemx: Callable[..., Any]
) -> None:
    source = Source(file)
    places = [location for location, _ in _nodes(source.data)]
    mutant = _replaced(source, "anything", places[number % len(places)], value, "either")
    complaint = _complaint(mutant, house, run_gemx)
    assert complaint is None, complaint
