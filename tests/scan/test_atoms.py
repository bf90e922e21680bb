from __future__ import annotations

import pytest

from aiguard.detect import catalogue
from aiguard.scan import Recognizer
from aiguard.scan.atoms import atoms
from aiguard.scan.closure import parse
from aiguard.scan.compiled import Compiled
from aiguard.scan.filters import Filters
from aiguard.scan.named import before_value
from aiguard.scan.prefilter import coarse

RECOGNIZERS = catalogue()


@pytest.mark.parametrize(
    ("pattern", "needed"),
    [
        (r"\bcurl\b.{0,300} -u", {"curl"}),
        (r"(?i)(?:password|passwd|pw)=", {"password", "passwd", "pw"}),
        (r"(?:a|bc)?x{2,3}yz", {"yz"}),
        (r"(?:ab|c)d?", set()),
        (r"[Kk]ey", {"key"}),
        (r"(?:Api)Key", {"apikey"}),
        (r"[a-z]+", set()),
        (r"(?:ab)+", {"ab"}),
        (r"(?:ab)*", set()),
        (r"ab{2}", set()),
        (r"(?i)κωδικός", {"κωδικό"}),
    ],
)
def test_the_atoms_of_a_pattern(pattern: str, needed: set[str]) -> None:
    assert atoms(pattern) == needed


def test_what_stands_before_a_value_is_all_that_does() -> None:
    assert coarse(r"key=(\d{3})x", until_value=True) == rb"key\x{3D}(?:)"
    assert coarse(r"(?:key=(\d)|name: (?:\d))x", until_value=True) == rb"(?:key\x{3D}(?:)|name\x{3A}\x{20}[\d])"
    for short in (r"k(\d)", r"key=\d", r"(?:key=(\d))?"):
        assert (
            coarse(short, until_value=True) == coarse(short, until_value=False) or before_value(parse(short)[0]) == []
        )


@pytest.mark.parametrize("recognizer", RECOGNIZERS, ids=lambda recognizer: recognizer.name)
def test_every_match_has_an_atom_of_its_pattern_in_it(recognizer: Recognizer) -> None:
    compiled = Compiled(recognizer, lazy=True)
    needed = atoms(recognizer.pattern)
    for example in recognizer.examples:
        data = example.encode()
        start, end = compiled.search(data, 0, len(data))[0]
        found = data[start:end].decode().lower()
        assert start < 0 or not needed or any(atom in found for atom in needed)


@pytest.mark.parametrize("recognizer", RECOGNIZERS, ids=lambda recognizer: recognizer.name)
def test_the_filters_name_every_recognizer_whose_pattern_is_in_a_text(recognizer: Recognizer) -> None:
    compiled = Compiled(recognizer, lazy=True)
    filters = Filters([compiled], 0.0)
    for example in recognizer.examples:
        for text in (example, f"é {example}", example.upper()):
            data = text.encode()
            if compiled.search(data, 0, len(data))[0][0] >= 0:
                assert filters.in_text(data).shaped == [compiled]


@pytest.mark.parametrize("text", ["κωδικός=1", "ΚΩΔΙΚΌΣ=1", "κωδικόσ=1"])
def test_a_letter_of_three_forms_is_found_in_each(text: str) -> None:
    compiled = Compiled(Recognizer(name="own", type="OWN", pattern=r"(?i)κωδικός=(\d)", boundary=False), lazy=True)
    data = text.encode()
    assert compiled.search(data, 0, len(data))[0][0] == 0
    assert Filters([compiled], 0.0).in_text(data).shaped == [compiled]
