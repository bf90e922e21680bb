"""Law 6: the same corpus through every door gives the same decisions and the same bytes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack

import pytest
from tests.contract import doors
from tests.contract.corpus import WRITTEN, Outcome, expected, pieces, texts

TEXTS = texts()
MODELS = ["openai", "openai, async", "anthropic", "anthropic, async"]


@pytest.fixture(scope="module")
def every(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, doors.Door]]:
    with ExitStack() as stack:
        found = [
            *stack.enter_context(doors.web_servers(tmp_path_factory.mktemp("served"))),
            *stack.enter_context(doors.in_process(tmp_path_factory.mktemp("here"))),
            *stack.enter_context(doors.models()),
            doors.command_line(),
        ]
        yield {door.name: door for door in found}


NAMES = [
    *doors.COMMANDS,
    *("starlette", "fastapi", "flask", *MODELS, "command line"),
]


def test_the_corpus_is_worth_its_name() -> None:
    outcomes = [expected(text) for text in TEXTS]
    assert len(TEXTS) > 200
    assert sum(bool(outcome.blocked) for outcome in outcomes) >= 2
    assert sum(outcome.text == text for text, outcome in zip(TEXTS, outcomes, strict=True)) >= 4


def corpus(name: str) -> list[str]:
    """All of it through what costs little; what people write and some of the rest through clients of models."""
    texts = TEXTS if name not in MODELS else [*WRITTEN, *TEXTS[len(WRITTEN) :: 4 if name in MODELS[::2] else 9]]
    return [text for text in texts if text.strip() or name not in MODELS]


@pytest.mark.parametrize("name", NAMES)
def test_what_comes_in_is_decided_alike_and_becomes_the_same_bytes(every: dict[str, doors.Door], name: str) -> None:
    into = every[name].into
    assert into is not None
    for text in corpus(name):
        assert (text, into(text)) == (text, expected(text))


@pytest.mark.parametrize("name", NAMES[:-1])
def test_what_goes_out_is_decided_alike_and_becomes_the_same_bytes(every: dict[str, doors.Door], name: str) -> None:
    out = every[name].out
    assert out is not None
    for text in corpus(name)[::2]:
        assert (text, out(text)) == (text, expected(text))


@pytest.mark.parametrize("name", NAMES[:-1])
def test_what_streams_out_becomes_the_same_bytes_or_ends_after_a_safe_beginning(
    every: dict[str, doors.Door], name: str
) -> None:
    ways = every[name].live
    assert ways
    for way, live in ways.items():
        for text in corpus(name)[:: 5 if len(ways) > 1 else 2]:
            outcome, wanted = live(pieces(text)), expected(text)
            if wanted.blocked:
                assert outcome.blocked, (way, text)
                assert text.startswith(outcome.text)
            else:
                assert (way, text, outcome) == (way, text, Outcome(text=wanted.text))
