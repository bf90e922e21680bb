"""The configuration page and the code say the same."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from aiguard.errors import SettingsError
from aiguard.settings import DOCUMENTED, SettingDoc, Settings

PAGE = (Path(__file__).parents[2] / "docs" / "configuration.md").read_text(encoding="utf-8")
ROWS = {
    cells[0].strip("` "): cells[1].replace("`", "")
    for line in PAGE.splitlines()
    if line.startswith("| `AIGUARD_")
    for cells in [[cell.strip() for cell in line.strip("|").split(" | ")]]
}


@pytest.mark.parametrize("doc", DOCUMENTED, ids=lambda doc: doc.name)
def test_a_setting_is_documented_with_its_default(doc: SettingDoc) -> None:
    assert doc.name in ROWS, f"add {doc.name} to docs/configuration.md"
    assert ROWS[doc.name].startswith(doc.default), f"docs/configuration.md gives another default for {doc.name}"


def test_the_page_lists_no_setting_that_does_not_exist() -> None:
    assert set(ROWS) == {doc.name for doc in DOCUMENTED}


def test_every_setting_of_a_fixed_name_is_read() -> None:
    """A value of no sensible type is refused by its name, so a setting that nobody reads would show here."""
    for doc in DOCUMENTED:
        if "<" in doc.name:
            continue
        with pytest.raises(SettingsError, match=re.escape(doc.name)):
            Settings.load({doc.name: object()}, environ={})
