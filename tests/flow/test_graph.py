"""The order of the steps, and the drawings of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from flow_runs import written
from gemx.flow import graph, shelf

FLOW = """
    inputs: {q: {}}
    steps:
      - {id: fim, write: {path: x, content: "${{ steps.a.outputs.text }} ${{ steps.b.status }}"}}
      - {id: a, prompt: {text: "${{ inputs.q }}"}}
      - {id: b, if: "steps.a.outputs.text == inputs.q", prompt: {text: b}, on_fail: continue}
      - {id: c, needs: [a], for_each: [1, 2], prompt: {text: "${{ item }}"}}
    outputs: {x: "${{ steps.fim.outputs.path }}"}
"""
DRAWING = """\
 1 ● a    prompt
   │
 2 ┌ b    prompt  ← a  if  on_fail: continue
   └ c    for_each prompt  ← a
   │
 3 ● fim  write   ← a, b"""
MERMAID = """\
flowchart TD
    s_fim["fim<br/>write"]
    s_a["a<br/>prompt"]
    s_b["b<br/>prompt"]
    s_c["c<br/>for_each prompt"]
    s_a --> s_fim
    s_b --> s_fim
    s_a -. if .-> s_b
    s_a --> s_c"""


def test_what_waits_for_what(workdir: Path) -> None:
    loaded = shelf.load(written(workdir, FLOW))
    assert loaded.needs == {"fim": {"a", "b"}, "a": set(), "b": {"a"}, "c": {"a"}}
    assert loaded.order == ("a", "b", "fim", "c")
    assert graph.levels(loaded.needs) == [("a",), ("b", "c"), ("fim",)]
    assert graph.drawing(loaded.flow, loaded.needs) == DRAWING
    assert graph.mermaid(loaded.flow, loaded.needs) == MERMAID


def test_a_cycle_is_named() -> None:
    needs = {"a": frozenset("b"), "b": frozenset("c"), "c": frozenset("bd"), "d": frozenset[str]()}
    with pytest.raises(graph.CycleError, match="b → c → b") as caught:
        graph.order(needs)
    assert caught.value.cycle == ("b", "c")
