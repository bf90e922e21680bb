"""``python -m benchmarks [--part NAME] [--json]``: measure, and print a table or one flat JSON object.

A part is a module of this package with ``run() -> dict[str, float | int | str]``; its keys say their unit.
"""

from __future__ import annotations

import argparse
import importlib
import json
import sys

PARTS = {
    "guard": "what the whole guard adds to a call with a 2 KB prompt (all stages, SQLite)",
    "stream": "what scrubbing a streamed answer costs, holds back and lets escape, beside simpler ways",
}


def main() -> int:
    """Run the parts that were asked for."""
    parser = argparse.ArgumentParser(prog="benchmarks", description=__doc__)
    parser.add_argument("--part", choices=sorted(PARTS), help="only this part")
    parser.add_argument("--json", action="store_true", help="one flat JSON object")
    options = parser.parse_args()
    figures: dict[str, float | int | str] = {}
    for name in [options.part] if options.part else sorted(PARTS):
        print(f"{name}: {PARTS[name]}", file=sys.stderr)
        found = importlib.import_module(f"benchmarks.{name}").run()
        figures.update(found)
        if not options.json:
            width = max(len(key) for key in found)
            for key, value in found.items():
                print(f"  {key:<{width}}  {value}")
    if options.json:
        print(json.dumps(figures))
    return 0


if __name__ == "__main__":
    sys.exit(main())
