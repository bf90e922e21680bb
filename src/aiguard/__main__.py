"""``python -m aiguard``."""

from __future__ import annotations

from aiguard.cli import main

if __name__ == "__main__":
    main(prog_name="aiguard")
