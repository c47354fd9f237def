"""Turn a collection of SMART's (NAME.ALL, NAME.QRY, NAME.REL: MED, Cranfield, CISI) into a folder in BEIR's layout.

python benchmarks/smart.py FOLDER NAME TARGET
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path

_ENTRY = re.compile(r"^\.I (\d+)\s*$(.*?)(?=^\.I \d|\Z)", re.MULTILINE | re.DOTALL)
_FIELD = re.compile(r"^\.([A-Z])\s*$(.*?)(?=^\.[A-Z]\s*$|\Z)", re.MULTILINE | re.DOTALL)


def main(folder: Path, name: str, target: Path) -> None:
    """Write corpus.jsonl, queries.jsonl and qrels/test.tsv."""
    (target / "qrels").mkdir(parents=True, exist_ok=True)
    for suffix, file in (("ALL", "corpus"), ("QRY", "queries")):
        lines = [json.dumps(entry) for entry in _entries(folder / f"{name}.{suffix}")]
        (target / f"{file}.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    judged = (line.split() for line in (folder / f"{name}.REL").read_text(encoding="latin-1").splitlines())
    rows = [f"{int(fields[0])}\t{fields[2]}\t1" for fields in judged if fields]
    (target / "qrels" / "test.tsv").write_text(
        "\n".join(["query-id\tcorpus-id\tscore", *rows]) + "\n", encoding="utf-8"
    )


def _entries(path: Path) -> Iterator[dict[str, str]]:
    text = path.read_text(encoding="latin-1").replace("\r", "")
    for match in _ENTRY.finditer(text):
        fields = {field[1]: " ".join(field[2].split()) for field in _FIELD.finditer(match[2])}
        yield {"_id": match[1], "title": fields.get("T", ""), "text": fields.get("W", "")}


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], Path(sys.argv[3]))
