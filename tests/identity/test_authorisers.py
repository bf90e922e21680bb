"""What an application's authoriser answers, and what is made of it."""

from __future__ import annotations

from typing import Any

import pytest

from aiguard.identity import decide_access
from aiguard.types import Actor, Decision, Effect

JANE = Actor(id="jane", scopes=frozenset({"support:reply"}))


def decide(answer: Any) -> Decision:
    return decide_access(JANE, "support:reply", lambda _actor, _scope: answer(), policy_hash="sha256:0")


@pytest.mark.parametrize("spelled", ["block", Effect.BLOCK])
def test_a_refusal_is_one_however_its_effect_is_spelled(spelled: Any) -> None:
    assert not decide(lambda: Decision(effect=spelled)).allowed
    assert decide(lambda: Decision(effect=spelled)).effect is Effect.BLOCK


@pytest.mark.parametrize("effect", ["BLOCK", "deny", "no", "", True, None])
def test_an_effect_that_there_is_not_is_no_yes(effect: Any) -> None:
    decision = decide(lambda: Decision(effect=effect))
    assert not decision.allowed
    assert decision.reasons[0].code == "authoriser.failed"


def test_an_answer_that_is_given_again_and_again_is_a_decision_of_its_own_each_time() -> None:
    yes = Decision.allow("support is open")
    first, second = decide(lambda: yes), decide(lambda: yes)
    assert first.id != second.id
    assert first.reasons == second.reasons == yes.reasons
