"""Write docs/images/sepse.svg: the first screen of a real run of sepse_bundle on the example patient."""

from __future__ import annotations

import io
import tempfile
from pathlib import Path

from rich.console import Console
from rich.text import Text

from gemx import gateway, settings
from gemx.automation import patient_file, protocol, render, runner, view
from gemx.clinical import inputs

ROOT = Path(__file__).parents[1]
CASE = "automations/cases/sepse_choque.yaml"
PICTURE = ROOT / "docs" / "images" / "sepse.svg"
COMMAND = f"$ gemx auto run sepse_bundle --input {CASE}"
COLUMNS, LINES = 80, 24
# Rich's own frame fetches a font from the network; this one uses what the reader has.
FRAME = """<svg class="rich-terminal" viewBox="0 0 {width} {height}" xmlns="http://www.w3.org/2000/svg">
<style>
.{unique_id}-matrix {{ font-family: Menlo, Consolas, "DejaVu Sans Mono", monospace; font-size: {char_height}px;
line-height: {line_height}px; font-variant-east-asian: full-width; }}
{styles}
</style>
<defs>
<clipPath id="{unique_id}-clip-terminal">
<rect x="0" y="0" width="{terminal_width}" height="{terminal_height}" />
</clipPath>
{lines}
</defs>
{chrome}
<g transform="translate({terminal_x}, {terminal_y})" clip-path="url(#{unique_id}-clip-terminal)">
{backgrounds}
<g class="{unique_id}-matrix">
{matrix}
</g>
</g>
</svg>
"""


def first_screen() -> list[Text]:
    """The lines of a run, as a terminal of 80 columns shows them."""
    loaded = protocol.load("sepse_bundle")
    patient = inputs.read_patient(patient_file.read(str(ROOT / CASE))[0], loaded.inputs)
    policy = gateway.make(settings.load(), model="extractive", clinical=True)
    result = runner.execute(runner.prepare(loaded, patient), policy)
    return list(render.to_rich(view.blocks(result), COLUMNS).renderables)[:LINES]  # type: ignore[arg-type]


def main() -> None:
    """Run, draw, write."""
    import os

    with tempfile.TemporaryDirectory() as home:
        os.environ["GEMX_HOME"] = home
        lines = first_screen()
    console = Console(record=True, width=COLUMNS, file=io.StringIO(), highlight=False)
    console.print(Text(COMMAND, style="bold green"))
    for line in lines:
        console.print(line, soft_wrap=True)
    PICTURE.parent.mkdir(exist_ok=True)
    svg = console.export_svg(title="gemx", code_format=FRAME, unique_id="gemx")
    PICTURE.write_text("\n".join(line.rstrip() for line in svg.splitlines()) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
