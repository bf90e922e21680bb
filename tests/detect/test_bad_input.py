"""Texts and bodies that are made to break a scanner: looked at to their end, or refused by name; never passed along unread."""

from __future__ import annotations

import json
import time

import pytest
from tests.support.guards import JANE, POLICY, Model, make_guard

from aiguard.detect import default_detector
from aiguard.errors import ControlFailed, InputRefused
from aiguard.handler import ExchangeHandler
from aiguard.providers import RawRequest, RawResponse
from aiguard.scan import Recognizer
from aiguard.scrubbing import scrub

CARD = "4111 1111 1111 1111"


@pytest.mark.parametrize("filling", ["the kettle is blue, ", "\0", "9", "é ", "\n"])
def test_fifty_megabytes_are_read_to_their_end_in_seconds(filling: str) -> None:
    text = filling * (50_000_000 // len(filling)) + f" card {CARD} "
    started = time.process_time()
    found = default_detector().detect(text)
    assert time.process_time() - started < 30
    assert [text[each.start : each.end] for each in found if each.type == "CREDIT_CARD"] == [CARD]


@pytest.mark.parametrize("strange", ["\0", "\ud800", "\udfff\ud83d", "\ufffe", "\U0010ffff", "\u202e"])
def test_strange_characters_beside_a_value_hide_nothing(strange: str) -> None:
    assert scrub(f"{strange}{CARD}{strange} {strange}jane@example.com{strange}") == (
        f"{strange}[REDACTED_CARD]{strange} {strange}[REDACTED_EMAIL]{strange}"
    )


def refused(content: bytes) -> None:
    """A request with that body is refused as malformed, nothing of it is said, and nothing is sent on."""
    guard, _ = make_guard(POLICY.replace("local:small", "openai:small"))
    sent: list[RawRequest] = []

    def send(raw: RawRequest) -> RawResponse:
        sent.append(raw)
        return RawResponse(status=500, headers=(), content=b"{}")

    raw = RawRequest(
        provider="openai",
        method="POST",
        url="http://127.0.0.1/v1/chat/completions",
        path="/chat/completions",
        headers=(("content-type", "application/json"),),
        content=content,
    )
    with guard.acting_as(JANE, scope="support:reply"), pytest.raises(InputRefused) as error:
        ExchangeHandler(lambda: guard).handle(raw, send)
    assert "4111" not in str(error.value) + repr(error.value)
    assert sent == []


MESSAGE = '{"model": "small", "messages": [{"role": "user", "content": %s}]}'


@pytest.mark.parametrize(
    "body",
    [
        MESSAGE % ("[" * 10_000 + "]" * 10_000),
        MESSAGE % ('{"a":' * 10_000 + f'"{CARD}"' + "}" * 10_000),
        '{"model": "small", "model": "small", "messages": [{"role": "user", "content": "hi"}]}',
        '{"model": "small", "messages": [{"role": "user", "content": "hi", "content": "' + CARD + '"}]}',
        MESSAGE % r'"\ud800"',
        MESSAGE % "NaN",
        MESSAGE % '"unfinished',
        "",
        "\0",
    ],
    ids=[
        "deep lists",
        "deep objects",
        "a key twice",
        "content twice",
        "half a character",
        "no number",
        "unfinished",
        "nothing",
        "nul",
    ],
)
def test_a_body_that_readers_could_read_differently_is_refused_and_not_sent(body: str) -> None:
    refused(body.encode())


@pytest.mark.parametrize("body", [b"\xff\xfe", MESSAGE.encode() % b'"\xed\xa0\x80"', MESSAGE.encode() % b'"\xc3"'])
def test_bytes_that_are_not_utf8_are_refused_and_not_sent(body: bytes) -> None:
    refused(body)


def test_a_check_that_fails_on_a_value_stops_the_exchange_and_names_no_value() -> None:
    def broken(text: str) -> bool:
        raise RuntimeError(text)

    badge = Recognizer(name="badge", type="BADGE", pattern=r"BDG[0-9]{4}", validate=broken)
    guard, recorder = make_guard(recognizers=[badge])
    model = Model()
    with guard.acting_as(JANE, scope="support:reply"), pytest.raises(ControlFailed) as failed:
        guard.call(model, "my BDG1234", model="local:small")
    assert model.received == []
    assert "BDG1234" not in str(failed.value) + repr(failed.value) + json.dumps(
        [dict(e.payload) for e in recorder.events]
    )
