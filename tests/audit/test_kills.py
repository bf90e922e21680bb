from __future__ import annotations

from tests.support.killing import kill_for

from aiguard.audit.verify import Status


def test_processes_killed_at_random_lose_no_acknowledged_event_and_leave_a_whole_log(database_url, tmp_path):
    """Seconds of it; ``make kills`` does it with 8 processes of 8 threads for minutes."""
    outcome = kill_for(database_url, tmp_path, processes=3, threads=6, seconds=8, seed=9)
    assert outcome.status is Status.OK, outcome
    assert (outcome.lost, outcome.repeated) == (0, 0), outcome
    assert outcome.once == outcome.acknowledged, outcome
    assert outcome.kills > 1, outcome
    assert outcome.events >= outcome.acknowledged > 0, outcome
    assert outcome.checkpoints > 0
