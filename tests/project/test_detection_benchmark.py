"""The detection benchmark compares what it says that it compares."""

from __future__ import annotations

from benchmarks.detect import _tally
from benchmarks.detect_texts import SIZE, TYPES, hostile, prompts
from benchmarks.peers.environments import Peer

from aiguard.detect import default_detector


def test_prompts_hold_labelled_values_of_every_type_and_are_the_same_each_time() -> None:
    rows = prompts(40, every=2, seed=1)
    assert rows == prompts(40, every=2, seed=1)
    assert {label.type for row in rows for label in row.labels} == set(TYPES)
    assert all(len(row.text) == SIZE for row in rows)
    for row in rows:
        for label in row.labels:
            value = row.text[label.start : label.end]
            assert value == value.strip()
            assert any(char.isdigit() for char in value)
    assert all(not row.labels and not default_detector().detect(row.text) for row in prompts(10, every=0, seed=1))


def test_a_detector_in_a_process_of_its_own_finds_what_it_finds_here() -> None:
    rows = prompts(3, every=2, seed=2)
    with Peer("aiguard") as peer:
        peer.ask("texts", texts=[row.text for row in rows])
        found = peer.ask("find")["found"]
        assert peer.ask("pass", seconds=0)["passes"] == 1
        assert peer.ask("memory")["rss_mb"] > 10
        assert peer.ready_ms > 0
    here = [[[each.start, each.end, each.type] for each in default_detector().detect(row.text)] for row in rows]
    assert found == here
    assert _tally(rows, found, TYPES).micro.recall > 0.9


def test_hostile_texts_have_the_length_that_was_asked_for() -> None:
    assert hostile("abc", 7) == "abcabca"
