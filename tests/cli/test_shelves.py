"""What lists and `show --path` say of named files, the same for every kind."""

from __future__ import annotations

from pathlib import Path

import pytest

from conftest import RunGemx
from gemx import places

SHIPPED = {"auto": ("automations", "sepse_bundle"), "flow": ("flows", "flow_example")}
GROUPS = {**SHIPPED, "templates": ("templates", "evolucao"), "profiles": ("profiles", "clinical")}


@pytest.mark.parametrize("group", GROUPS)
def test_a_path_is_printed_alone(group: str, run_gemx: RunGemx) -> None:
    kind, name = GROUPS[group]
    done = run_gemx(group, "show", name, "--path")
    assert (done.code, done.err) == (0, "")
    assert Path(done.out.strip()).parent == places.shipped(kind).absolute()
    assert Path(done.out.strip()).stem == name
    assert run_gemx(group, "show", "nada", "--path").code == 3


@pytest.mark.parametrize("group", SHIPPED)
def test_a_file_of_the_current_folder_shadows_and_says_where_it_is(
    group: str, run_gemx: RunGemx, workdir: Path
) -> None:
    kind, name = SHIPPED[group]
    own = workdir / kind / f"{name}.yaml"
    own.parent.mkdir()
    own.write_text("gemx: nada/v1\n")
    assert Path(run_gemx(group, "show", name, "--path").out.strip()) == own
    listed = run_gemx(group, "list").out
    assert f"INVALID: see gemx {group} validate {name}  ({Path(kind) / own.name})" in listed
    row = next(row for row in run_gemx(group, "list", "--json").json["data"] if row["name"] == name)
    assert row["from"] == str(Path(kind) / own.name)
    own.unlink()
    assert f"({kind}" not in run_gemx(group, "list").out
