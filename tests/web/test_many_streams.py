"""Many event streams at once in one process. ``make bench PART=sse`` runs a thousand."""

from __future__ import annotations

from benchmarks import sse


def test_streams_at_once_are_each_what_their_text_becomes_and_leave_nothing_behind() -> None:
    figures = sse.measure(streams=150, rounds=3)
    assert figures["sse_streams_identical_to_batch"] == 450
    grown = float(figures["sse_server_mib_after_last_round"]) - float(figures["sse_server_mib_after_first_round"])
    assert grown < 20
