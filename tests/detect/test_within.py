"""Stepping over what lies within a finding of a more specific kind leaves nothing open that a search that looks at all hides."""

from __future__ import annotations

from collections.abc import Sequence
from unittest import mock

from hypothesis import given, settings
from hypothesis import strategies as st

from aiguard.detect import catalogue, default_detector
from aiguard.scan import places
from aiguard.types import Finding

EXAMPLES = sorted({example for recognizer in catalogue() for example in recognizer.examples})
SEPARATORS = (" ", "\n", ", ", "; ", "|", "-", ".", "", " 4111 1111 1111 1111 ", " +44 20 7946 0958 ")


def hidden(findings: Sequence[Finding]) -> set[int]:
    return {place for finding in findings for place in range(finding.start, finding.end)}


@settings(deadline=None, max_examples=100)
@given(st.lists(st.tuples(st.sampled_from(EXAMPLES), st.sampled_from(SEPARATORS)), min_size=1, max_size=5))
def test_what_a_search_that_looks_at_all_hides_is_hidden(pieces: list[tuple[str, str]]) -> None:
    text = "".join(part for piece in pieces for part in piece)
    found = default_detector().detect(text)
    with mock.patch.object(places.Within, "holds", return_value=False):
        every = default_detector().detect(text)
    # A value that begins within another one and ends beyond it is none, and may be cut otherwise.
    apart = [one for one in every if not any(one is not other and hidden([one]) & hidden([other]) for other in every)]
    assert hidden(apart) <= hidden(found)
