"""Plugins as they lie in a folder of installed packages, written by hand: metadata and a module."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

ROOT = Path(__file__).parents[1]
EXAMPLE = ROOT / "docs" / "example-plugin"

PROVIDER = """
from gemx.providers.base import Embeddings, Reply, Usage

class Made:
    name, system, honoured = "made", "made", frozenset()
    {reach}

    def generate(self, request, model, options, on_text=None):
        text = "reply to " + request.messages[-1].text
        if on_text:
            on_text(text)
        return Reply(text=text, model=model, usage=Usage(10, 5))

    def close(self):
        raise OSError("closing failed")
"""
CALCULATOR = """
from decimal import Decimal
from gemx.clinical.calculators import Calculator, Component, Parameter

def _double(inputs):
    {body}

MADE = Calculator(
    id="{id}", title="Dobro", unit="mmHg",
    parameters=(Parameter("map", "Pressão média", unit="mmHg", low=Decimal(10), high=Decimal(300)),),
    components=(Component(("map",), _double),), formula_version="v1", source="Fonte inventada 2026",
)
"""


def write(
    folder: Path, name: str, offers: Mapping[str, Mapping[str, str]], code: str = "", version: str = "0.1"
) -> str:
    """Install a distribution in a folder; `offers` has entry points by group. Returns its module's name."""
    module = name.replace("-", "_")
    metadata = folder / f"{module}-{version}.dist-info"
    metadata.mkdir(parents=True)
    (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n", encoding="utf-8")
    groups = (
        "\n".join([f"[gemx.{group}]", *(f"{key} = {value}" for key, value in entries.items())])
        for group, entries in offers.items()
    )
    (metadata / "entry_points.txt").write_text("\n".join(groups) + "\n", encoding="utf-8")
    (folder / f"{module}.py").write_text(code, encoding="utf-8")
    return module
