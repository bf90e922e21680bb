"""``python -m benchmarks [--part NAME] [--json]``: measure, and print a table or one flat JSON object.

A part is a module of this package, or several, with ``run() -> dict[str, float | int | str]``; its keys say their unit.
"""

from __future__ import annotations

import argparse
import importlib
import json
import sys

PARTS = {
    "audit": "appending to the audit log beside plain inserts, verifying and proving it, long logs, tampering, killing its writers",
    "detect": "detection beside other detectors on the same texts: speed, memory, quality, and cost against length",
    "guard": "what the whole guard adds to a call with a 2 KB prompt (all stages, SQLite)",
    "store": "what keeping an exchange costs with 64 threads, and deleting what has expired, beside the raw drivers",
    "sse": "a thousand guarded event streams at once in one process: whether each is its own, and its memory",
    "web": "what the middleware adds to requests, under gunicorn and uvicorn, at guarded and unguarded routes",
    "stream": "what scrubbing a streamed answer costs, holds back and lets escape, beside simpler ways",
}

MORE = {"audit": ("audit_scale", "audit_kills"), "store": ("prune",)}
"""Further modules of a part."""


def main() -> int:
    """Run the parts that were asked for."""
    parser = argparse.ArgumentParser(prog="benchmarks", description=__doc__)
    parser.add_argument("--part", choices=sorted(PARTS), help="only this part")
    parser.add_argument("--json", action="store_true", help="one flat JSON object")
    options = parser.parse_args()
    figures: dict[str, float | int | str] = {}
    for name in [options.part] if options.part else sorted(PARTS):
        print(f"{name}: {PARTS[name]}", file=sys.stderr)
        part = importlib.import_module(f"benchmarks.{name}")
        found: dict[str, float | int | str] = part.run()
        for module in MORE.get(name, ()):
            found |= importlib.import_module(f"benchmarks.{module}").run()
        figures.update(found)
        if not options.json:
            if hasattr(part, "show"):
                print(part.show(found))
            width = max(len(key) for key in found)
            for key, value in found.items():
                print(f"  {key:<{width}}  {value}")
    if options.json:
        print(json.dumps(figures))
    return 0


if __name__ == "__main__":
    sys.exit(main())
