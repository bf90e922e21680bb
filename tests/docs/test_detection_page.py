"""The table of types on the detection page is the catalogue's."""

from __future__ import annotations

import re
from pathlib import Path

from aiguard.detect import known_types, types_table

PAGE = (Path(__file__).parents[2] / "docs" / "detection.md").read_text(encoding="utf-8")


def test_the_page_shows_the_table_of_today() -> None:
    shown = PAGE.split("<!-- types -->\n")[1].split("\n<!-- /types -->")[0]
    assert shown == types_table(), "put the output of aiguard.detect.types_table() into docs/detection.md"


def test_the_table_has_every_type_once() -> None:
    listed = re.findall(r"`([A-Z0-9_]+)`", types_table())
    assert sorted(listed) == sorted(known_types())
