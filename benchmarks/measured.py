"""``python -m benchmarks.measured FILE…``: score detection on labelled files and write down how well each type is found.

The result is ``src/aiguard/detect/measured.json``, which ``aiguard types`` shows. Files are in the format of ``aiguard eval``; rows
name their ``source``. A file whose labels are ``SECRET`` is scored as ``aiguard eval secrets`` does, any other as ``aiguard eval pii``.
"""

from __future__ import annotations

import gzip
import json
import sys
from collections import Counter
from pathlib import Path
from typing import Final

from aiguard.cli.evaluate import scores_of
from aiguard.detect import default_detector
from aiguard.evals import Tally, read_rows

OUT: Final = Path(__file__).parent.parent / "src" / "aiguard" / "detect" / "measured.json"


def main(files: list[str]) -> int:
    """Measure, and write."""
    if not files:
        print(__doc__, file=sys.stderr)
        return 2
    total, sources = Tally(), Counter[str]()
    for file in map(Path, files):
        rows = list(read_rows(file))
        kind = "secrets" if any(label.type == "SECRET" for row in rows for label in row.labels) else "pii"
        total.add(scores_of(kind).tally(rows, default_detector()))
        raw = file.read_bytes()
        lines = (gzip.decompress(raw) if raw[:2] == b"\x1f\x8b" else raw).splitlines()
        sources.update(json.loads(line).get("source", file.name) for line in lines if line.strip())
    types = {
        name: {
            "precision": counts["precision"],
            "recall": counts["recall"],
            "f1": counts["f1"],
            "support": counts["support"],
        }
        for name, counts in total.as_dict()["types"].items()
        if counts["support"]
    }
    command = "python -m benchmarks.measured " + " ".join(Path(file).name for file in files)
    OUT.write_text(
        json.dumps({"command": command, "sources": dict(sorted(sources.items())), "types": types}, indent=1) + "\n",
        encoding="utf-8",
    )
    print(f"{len(types)} types, {sum(sources.values())} rows: {OUT}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
