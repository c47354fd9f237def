"""The documentation of the findings: every example of `automations/rules.yaml`, run through the checks."""

from __future__ import annotations

import copy
import json
import re
from decimal import Decimal
from functools import cache
from typing import Any

import pytest

from gemx import library, places, strict_json
from gemx.automation import draft, protocol, verification
from gemx.automation.facts import compute_facts
from gemx.clinical.findings import CODES, Finding
from gemx.clinical.inputs import read_patient
from gemx.clinical.rules import Example, Rule, load_rules

RULES = load_rules()
FILE = library.read(places.shipped("automations") / "rules.yaml").data
# What the door finds, before there is an answer to check.
OF_THE_DOOR = {"contract.cut"}


@cache
def loaded(name: str) -> protocol.Protocol:
    return protocol.load(name)


@cache
def inputs_of(case: str) -> Any:
    path = places.shipped("automations") / "cases" / f"{case}.yaml"
    return library.read(path, numbers_as_text=True).data["inputs"]


def put(value: Any, path: str, new: Any) -> None:
    steps: list[str | int] = [int(index) if index else name for name, index in re.findall(r"([a-z_]+)|\[(\d+)\]", path)]
    for step in steps[:-1]:
        value = value[step]
    value[steps[-1]] = new


def found(example: Example) -> list[Finding]:
    """What the checks say of an example."""
    automation = loaded(example.automation or FILE["automation"])
    raw = inputs_of(example.case or FILE["case"])
    clean = read_patient(raw, automation.inputs)
    patient = read_patient({**raw, **example.patient}, automation.inputs)
    # The answer was composed for the clean patient; what is known of the patient may differ.
    composed = draft.compose(automation, compute_facts(automation, clean))
    facts = compute_facts(automation, patient)
    case = verification.case_of(automation, facts, draft.compose(automation, facts))
    answer = copy.deepcopy(strict_json.loads(composed.to_json()))
    for path, new in example.set.items():
        put(answer, path, new)
    if example.add:
        answer["farmacoterapia"].append(example.add)
    text = example.text if example.text is not None else json.dumps(answer, default=_number)
    return list(verification.verify(text, case).findings)


def _number(value: Any) -> Any:
    assert isinstance(value, Decimal)
    return float(value)


@pytest.mark.parametrize("rule", [rule for rule in RULES if rule.code not in OF_THE_DOOR], ids=lambda rule: rule.code)
def test_the_bad_example_of_a_rule_has_its_finding_and_the_good_one_has_not(rule: Rule) -> None:
    bad = [each for each in found(rule.bad) if each.code == rule.code]
    assert bad, f"the bad example of {rule.code} is not found: {[each.code for each in found(rule.bad)]}"
    assert {each.severity for each in bad} <= set(rule.severities)
    assert rule.code not in {each.code for each in found(rule.good)}


def test_every_code_has_one_rule_in_the_order_of_the_codes() -> None:
    assert [rule.code for rule in RULES] == list(CODES)


def test_an_answer_that_code_composed_has_no_error() -> None:
    assert [each for each in found(Example(said="as it is")) if each.severity == "error"] == []
