"""Law 3 over every framing: what a reader puts together from a stream is what the whole text becomes, whatever the cuts."""

from __future__ import annotations

import json
import random
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import Phase, example, given, settings
from hypothesis import strategies as st
from tests.redact.test_stream import EXAMPLES, PEM, cut, texts

from aiguard.bodies import BodyTooLarge, scrub_body
from aiguard.detect import default_detector
from aiguard.detect.parts import detect_text
from aiguard.errors import MalformedInput
from aiguard.framing import SseEvent, SseReader
from aiguard.middleware import channels, leaves
from aiguard.middleware.live import EventStream, LineStream
from aiguard.middleware.texts import TextStream
from aiguard.redact import redact
from aiguard.scan.incremental import Piece
from aiguard.types import Finding, Operator

RULES = {
    "*": Operator(name="replace"),
    "CREDIT_CARD": Operator(name="mask", keep_last=4),
    "IP_ADDRESS": Operator(name="drop"),
}
ALLOWING = {**RULES, "EMAIL_ADDRESS": Operator(name="allow"), "PHONE_NUMBER": Operator(name="hash")}
MAX = 4 << 20
JWT = f"eyJhbGciOiJSUzI1NiJ9.{'aB3dE5fG7h' * 370}.{'c2lnbmF0dXJl' * 20}"

chunk_sizes = st.sampled_from([1, 2, 3, 7, 64, 1 << 20])
rulebooks = st.sampled_from([RULES, ALLOWING])


def pseudonym(kind: str, value: str) -> str:
    return f"{kind[:1]}{len(value):x}"


def options(rules: Any = RULES) -> dict[str, Any]:
    return {"detector": default_detector(), "rules": rules, "pseudonym": pseudonym, "max_bytes": MAX}


def through(stream: Any, data: bytes, size: int) -> bytes:
    return b"".join([*(stream.feed(data[at : at + size]) for at in range(0, len(data), size)), stream.finish()])


def clean(text: str) -> str:
    return text.encode("utf-8", "replace").decode().replace("\r", " ")


def whole(text: str, rules: Any = RULES, *also: Finding) -> str:
    """What the whole text becomes."""
    return redact(text, [*detect_text(default_detector(), text), *also], rules, pseudonym=pseudonym).text


def rows(pieces: Sequence[str], context: str) -> list[Finding]:
    """What each piece holds by itself, in the text of all."""
    found: list[Finding] = []
    at = 0
    for piece in pieces:
        inside = detect_text(default_detector(), piece, context=context)
        found += [replace(one, start=one.start + at, end=one.end + at) for one in inside]
        at += len(piece)
    return found


# --- plain text ------------------------------------------------------------------------------------------------------


@settings(max_examples=80)
@given(texts, chunk_sizes, rulebooks)
def test_a_text_cut_anywhere_becomes_what_the_whole_body_becomes(text: str, size: int, rules: Any) -> None:
    data = clean(text).replace("\0", " ").encode()
    whole = scrub_body(data, "text/plain", detector=default_detector(), rules=rules, pseudonym=pseudonym, max_bytes=MAX)
    stream = TextStream(**options(rules))
    assert through(stream, data, size) == whole.content
    assert stream.counts == whole.counts


@given(texts, st.integers(min_value=0), chunk_sizes)
def test_a_text_that_may_be_utf16_is_refused_wherever_it_is_cut(text: str, at: int, size: int) -> None:
    data = clean(text).encode()
    data = data[: at % (len(data) + 1)] + b"\0" + data[at % (len(data) + 1) :]
    with pytest.raises(MalformedInput):
        through(TextStream(**options()), data, size)


# --- server-sent events ----------------------------------------------------------------------------------------------


def framed(pieces: Sequence[str], end: str, style: str) -> bytes:
    """The pieces as events: raw text, JSON strings, or JSON as model servers send it, among others."""
    lines = ["\ufeff" if end == "\r\n" else "", f": hello{end}{end}"]
    for number, piece in enumerate(pieces):
        if style == "raw":
            data = piece
        elif style == "quoted":
            data = json.dumps(piece, ensure_ascii=number % 2 == 0)
        else:
            data = json.dumps(
                {"id": f"c-{number % 3}", "model": "small", "choices": [{"index": 0, "delta": {"content": piece}}]}
            )
        lines += [
            f"event: token{end}",
            f"id: {number}{end}",
            *(f"data:{' ' if number % 2 else ''}{line}{end}" for line in data.split("\n")),
            end,
        ]
        if number % 3 == 2:
            lines.append(f'event: usage{end}data: {{"tokens": {number}}}{end}{end}')
    return "".join(lines).encode()


def said(event: SseEvent, style: str) -> str:
    assert event.data is not None
    if style == "raw":
        return event.data
    value = json.loads(event.data)
    return str(value) if style == "quoted" else str(value["choices"][0]["delta"]["content"])


def fits_raw(piece: str) -> bool:
    """A piece that is a JSON document of its own, or begins with a blank that the format takes away (from any line), is read as that."""
    return not piece.startswith(" ") and not piece.lstrip().startswith(("{", "[", '"'))


@st.composite
def framings(draw: Any) -> tuple[list[str], str, str]:
    style = draw(st.sampled_from(["raw", "quoted", "json"]))
    pieces = [clean(piece) for piece in draw(cut())[1]]
    if style == "raw":
        pieces = [
            re.sub(r"^ ", "x ", piece if fits_raw(piece) else "x" + piece, flags=re.MULTILINE) for piece in pieces
        ]
    return pieces, draw(st.sampled_from(["\n", "\r", "\r\n"])), style


@settings(max_examples=120)
@given(framings(), chunk_sizes, rulebooks)
@example((["ja", "ne@exam", "ple.com ", "and 41", "11 1111 1111 1111"], "\n", "json"), 1, RULES)
@example((["4111 1111 ", "1111 1111"], "\r", "raw"), 2, RULES)
def test_what_is_cut_over_events_becomes_what_the_whole_text_becomes(sample: Any, size: int, rules: Any) -> None:
    pieces, end, style = sample
    out = through(EventStream(**options(rules)), framed(pieces, end, style), size)
    events = SseReader().feed(out)
    tokens = [event for event in events if event.event == "token"]
    assert "".join(said(event, style) for event in tokens) == whole("".join(pieces), rules)
    assert [event.id for event in tokens] == [str(number) for number in range(len(pieces))]
    sent = [event.event for event in SseReader().feed(framed(pieces, end, style)) if event.data is not None]
    assert [event.event for event in events if event.data is not None] == sent
    usage = [event.data for event in events if event.event == "usage"]
    assert usage == [f'{{"tokens":{number}}}' for number in range(len(pieces)) if number % 3 == 2]
    assert events[0].comments == ("hello",)


def test_the_key_above_a_piece_says_what_the_piece_is() -> None:
    data = b'data: {"customer": {"ssn": {"value": "it is 536904399."}}}\n\n'
    out = through(EventStream(**options()), data, 7)
    assert out == b'data: {"customer":{"ssn":{"value":"it is [REDACTED_SSN]."}}}\n\n'


@settings(max_examples=60)
@given(framings(), st.lists(st.integers(0), max_size=8))
def test_the_bytes_of_an_event_stream_do_not_depend_on_its_chunks(sample: Any, cuts: list[int]) -> None:
    data = framed(*sample)
    stream, at, out = EventStream(**options()), 0, b""
    for edge in [*sorted(one % (len(data) + 1) for one in cuts), len(data)]:
        out += stream.feed(data[at:edge])
        at = edge
    assert out + stream.finish() == through(EventStream(**options()), data, len(data))


@settings(max_examples=60)
@given(framings(), chunk_sizes)
def test_lines_of_json_become_what_their_text_becomes(sample: Any, size: int) -> None:
    pieces = sample[0]
    data = "".join(json.dumps({"model": "m", "response": piece, "done": False}) + "\n" for piece in pieces).encode()
    out = through(LineStream(**options()), data, size)
    lines = [json.loads(line) for line in out.decode().split("\n") if line]
    assert "".join(line["response"] for line in lines) == whole("".join(pieces), RULES, *rows(pieces, "response"))
    assert all(line.keys() == {"model", "response", "done"} for line in lines)


@pytest.mark.parametrize("value", [JWT, PEM.replace("MIIEow", "MIIEow" * 600)], ids=["token", "private key"])
@pytest.mark.parametrize("style", ["raw", "quoted", "json"])
def test_a_long_secret_in_small_events_never_escapes(value: str, style: str) -> None:
    generator, at, pieces = random.Random(style), 0, ["Here it is: "]
    while at < len(value):
        size = generator.randint(1, 20)
        pieces.append(value[at : at + size])
        at += size
    pieces = [piece if style != "raw" or fits_raw(piece) else "-" for piece in [*pieces, " and more"]]
    out = through(EventStream(**options()), framed(pieces, "\n", style), 512)
    shown = "".join(said(event, style) for event in SseReader().feed(out) if event.event == "token")
    assert shown == whole("".join(pieces))
    assert value[30:40] not in shown


class _Window:
    """What must not pass: it looks at the last characters and lets everything before them go."""

    def __init__(self, _detector: Any, **_options: Any) -> None:
        self._text = ""

    def feed(self, text: str) -> Piece:
        self._text += text
        return self._cut(max(0, len(self._text) - 16))

    def finish(self) -> Piece:
        return self._cut(len(self._text))

    def _cut(self, at: int) -> Piece:
        piece, self._text = self._text[:at], self._text[at:]
        return Piece(piece, detect_text(default_detector(), piece))


def test_a_fixed_window_over_events_fails_the_same_law(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(channels, "PartScan", _Window)

    @settings(deadline=None, database=None, phases=[Phase.generate])
    @given(cut(st.sampled_from([*EXAMPLES, JWT]).map(lambda text: f"{text} {'So it goes. ' * 9}")))
    def law(sample: Any) -> None:
        pieces = [clean(piece) for piece in sample[1]]
        out = through(EventStream(**options()), framed(pieces, "\n", "json"), 1 << 20)
        shown = "".join(said(event, "json") for event in SseReader().feed(out) if event.event == "token")
        assert shown == whole("".join(pieces))

    with pytest.raises(AssertionError):
        law()


# --- what runs on ----------------------------------------------------------------------------------------------------


def events(*documents: Any, name: str = "") -> bytes:
    head = f"event: {name}\n" if name else ""
    return "".join(f"{head}data: {json.dumps(each)}\n\n" for each in documents).encode()


def shown(data: bytes) -> list[Any]:
    return [json.loads(event.data) for event in SseReader().feed(data) if event.data not in (None, "[DONE]")]


def scrubbed(data: bytes, **more: Any) -> list[Any]:
    return shown(through(EventStream(**options(), **more), data, 1 << 20))


def fed_one_by_one(data: Sequence[bytes], **more: Any) -> Iterator[bytes]:
    stream = EventStream(**options(), **more)
    yield from (stream.feed(each) for each in data)


def test_a_value_under_a_key_that_nobody_knows_is_found_across_events() -> None:
    out = scrubbed(events({"zz": "write to jane."}, {"zz": "doe@exam"}, {"zz": "ple.com now"}))
    assert [each["zz"] for each in out] == ["write to [REDACTED_EMAIL]", "", " now"]


def test_what_is_the_same_in_every_event_does_not_hold_the_stream_up() -> None:
    sent = [events({"zz": "chunk", "tenant": "acme", "text": f"Hello {number}, "}) for number in range(4)]
    out = list(fed_one_by_one(sent))
    assert out[0] == b""
    assert [len(shown(each)) for each in out[1:]] == [2, 1, 1]


def test_facts_do_not_run_on() -> None:
    sent = [
        events({"id": f"a{n}", "ts": "2026-01-02T03:04:05Z", "type": "delta", "text": f"some words, number {n}, "})
        for n in range(3)
    ]
    assert all(len(shown(each)) == 1 for each in fed_one_by_one(sent))


def test_texts_of_several_choices_are_told_apart_by_their_numbers() -> None:
    def piece(index: int, text: str) -> Any:
        return {"choices": [{"index": index, "delta": {"content": text}}]}

    out = scrubbed(events(piece(0, "to jane."), piece(1, "one two"), piece(0, "doe@example.com "), piece(1, " three ")))
    texts = [each["choices"][0]["delta"]["content"] for each in out]
    assert texts == ["to [REDACTED_EMAIL]", "one two", " ", " three "]


@settings(max_examples=60)
@given(cut(), cut(), st.randoms(use_true_random=False))
@example(
    ("", ["jane.", "doe@example.com ", "x"]), ("", ["4111 1111 ", "1111 1111 ", "y"]), random.Random(0)
)  # fmt: skip
def test_choices_are_told_apart_wherever_they_stand_in_their_event(
    one: Any, two: Any, generator: random.Random
) -> None:
    waiting = [[clean(piece) for piece in each[1]] for each in (one, two)]
    whole_texts = ["".join(pieces) for pieces in waiting]
    sent = []
    while any(waiting):
        indexes = generator.sample(
            [index for index in (0, 1) if waiting[index]], k=generator.randint(1, 2) if all(waiting) else 1
        )
        sent.append({"choices": [{"index": n, "delta": {"content": waiting[n].pop(0)}} for n in indexes]})
    said = ["", ""]
    for each in scrubbed(events(*sent)):
        for choice in each["choices"]:
            said[choice["index"]] += choice["delta"]["content"]
    assert said == [whole(text) for text in whole_texts]


@settings(max_examples=60)
@given(cut(), st.integers(0, 2))
@example(("", ["jane.", "doe@exam", "ple.com now"]), 0)
def test_a_number_that_counts_tokens_tells_no_texts_apart(sample: Any, first: int) -> None:
    pieces = [clean(piece) for piece in sample[1]]
    sent = [{"index": number, "token": {"id": 7, "text": piece}} for number, piece in enumerate(pieces, first)]
    assert "".join(each["token"]["text"] for each in scrubbed(events(*sent))) == whole("".join(pieces))


@settings(max_examples=80)
@given(
    cut(st.sampled_from(["jane.doe@example.com", "5105 1051 0510 5100", JWT[:300]]).map("see {0} and so on, ".format)),
    st.lists(st.integers(0, 3), min_size=1, max_size=40),
    st.sampled_from([None, 0, 9]),
)
@example(("", ["see jane.", "doe@exam", "ple.com and so on, "]), [0, 1, 2], 0)
def test_whatever_the_numbers_of_events_are_what_they_say_together_holds_no_value(
    sample: Any, numbers: list[int], counted: int | None
) -> None:
    pieces = [clean(piece) for piece in sample[1]]
    value = "".join(pieces).removeprefix("see ").removesuffix(" and so on, ")
    sent = [
        {"index": numbers[at % len(numbers)] if counted is None else at + counted, "delta": piece}
        for at, piece in enumerate(pieces)
    ]
    said = "".join(each["delta"] for each in scrubbed(events(*sent)))
    assert not any(value[at : at + 6] in said for at in range(len(value) - 10))


def test_events_that_are_counted_are_held_for_a_round_at_most() -> None:
    sent = [events({"index": number, "delta": f"word{number} and "}) for number in range(40)]
    out = list(fed_one_by_one(sent))
    assert not any(out[: leaves.MAX_ROUND])
    assert [len(shown(each)) for each in out[leaves.MAX_ROUND + 1 :]] == [1] * (40 - leaves.MAX_ROUND - 1)
    tokens = [events({"index": number, "token": {"text": f"word{number} and "}}) for number in range(3)]
    assert [len(shown(each)) for each in fed_one_by_one(tokens)] == [0, 1, 1]


@pytest.mark.parametrize("rounds", [1, 3])
def test_texts_that_the_number_of_their_event_may_tell_apart_are_read_in_both_ways(rounds: int) -> None:
    first = [{"index": n, "delta": "some words, "} for _ in range(rounds) for n in (0, 1)]
    cases = [
        [{"index": 0, "delta": "jane."}, {"index": 1, "delta": "Hello, "}, {"index": 0, "delta": "doe@example.com, "}],
        [{"index": 0, "delta": "jane."}, {"index": 1, "delta": "doe@example.com, "}, {"index": 0, "delta": "hello, "}],
    ]
    for case in cases:
        out = scrubbed(events(*first, *case))
        text = "".join(each["delta"] for each in out)
        assert "jane" not in text
        assert "doe@" not in text


def test_a_value_that_only_one_way_of_reading_sees_is_blocked_too() -> None:
    stream = EventStream(**{**options(), "rules": {"EMAIL_ADDRESS": Operator(name="block")}})
    case = [{"index": n, "delta": text} for n, text in ((0, "4111 1111 jane."), (1, "x, "), (0, "doe@example.com, "))]
    assert b"x" not in stream.feed(events(*case))
    assert stream.finish() == b""
    assert stream.blocked == ("EMAIL_ADDRESS",)


def test_a_number_that_is_left_out_where_it_is_nought_changes_nothing() -> None:
    for first, second in [({}, {"index": 0}), ({"index": 0}, {})]:
        out = scrubbed(events({**first, "delta": "to jane."}, {**second, "delta": "doe@example.com now"}))
        assert [each["delta"] for each in out] == ["to [REDACTED_EMAIL]", " now"]
        sent = [
            {"candidates": [{**number, "text": text}]}
            for number, text in ((first, "jane."), (second, "doe@example.com"))
        ]
        assert [each["candidates"][0]["text"] for each in scrubbed(events(*sent))] == ["[REDACTED_EMAIL]", ""]


def test_an_event_without_a_name_is_a_message() -> None:
    data = b"data: to jane.\n\nevent: message\ndata: doe@example.com now\n\n"
    assert through(EventStream(**options()), data, 7) == (
        b"data: to [REDACTED_EMAIL]\n\nevent: message\ndata:  now\n\n"
    )


@settings(max_examples=60)
@given(
    cut(st.sampled_from(["jane.doe@example.com", "5105 1051 0510 5100", JWT[:300]]).map("see {0} and so on, ".format)),
    st.lists(st.sampled_from(["", "start", "delta", "end"]), min_size=1, max_size=6),
    st.booleans(),
)
@example(("", ["see jane.", "doe@exam", "ple.com and so on, "]), ["start", "delta", "end"], True)
def test_whatever_events_are_called_what_they_say_together_holds_no_value(
    sample: Any, names: list[str], as_json: Any
) -> None:
    pieces = [clean(piece) for piece in sample[1]]
    value = "".join(pieces).removeprefix("see ").removesuffix(" and so on, ")
    data = b"".join(
        events({"text": piece} if as_json else piece, name=names[at % len(names)]) for at, piece in enumerate(pieces)
    )
    out = shown(through(EventStream(**options()), data, 64))
    said = "".join(each["text"] if as_json else each for each in out)
    assert not any(value[at : at + 6] in said for at in range(len(value) - 10))


def test_a_rule_names_the_places_that_run_on_and_no_others_do() -> None:
    sent = events({"a": ["jane."], "text": "4111 1111 "}, {"a": ["doe@example.com"], "text": "1111 1111"})
    assert scrubbed(sent, deltas=("/a/*",)) == [
        {"a": ["[REDACTED_EMAIL]"], "text": "4111 1111 "},
        {"a": [""], "text": "1111 1111"},
    ]


def test_with_no_place_that_runs_on_each_event_goes_out_at_once() -> None:
    sent = [events({"text": "Your parcel is ready"}), b"data: by jane.doe@example.com\n\n", b"data: soon\n\n"]
    assert list(fed_one_by_one(sent, deltas=())) == [
        b'data: {"text":"Your parcel is ready"}\n\n',
        b"data: by [REDACTED_EMAIL]\n\n",
        b"data: soon\n\n",
    ]


def test_what_is_held_goes_out_before_the_event_that_ends_the_stream() -> None:
    stream = EventStream(**options())
    assert stream.feed(b"data: hello\n\n") == b""
    assert stream.feed(b"data: [DONE]\n\n") == b"data: hello\n\ndata: [DONE]\n\n"
    assert stream.feed(b"data: again\n\n") == b""
    assert stream.finish() == b"data: again\n\n"


def test_a_comment_that_keeps_the_connection_open_does_not_wait() -> None:
    stream = EventStream(**options())
    assert stream.feed(b"data: hello\n\n: ping jane@example.com\n\n") == b": ping [REDACTED_EMAIL]\n\n"
    assert stream.feed(b"retry: 10\n\n") == b""
    assert stream.finish() == b"data: hello\n\nretry: 10\n\n"


def test_names_and_ids_of_events_are_looked_at() -> None:
    data = b"event: jane@example.com\nid: 4111111111111111\n: by jane@example.com\ndata: x\n\n"
    out = through(EventStream(**options()), data, 3).decode()
    assert "jane" not in out
    assert "411111111111" not in out
    assert out.endswith("data: x\nid: ************1111\n\n")


def test_an_id_that_is_dropped_does_not_come_back() -> None:
    stream = EventStream(**{**options(), "rules": {"*": Operator(name="drop")}})
    assert stream.feed(b"id: jane@example.com\ndata: seven eight, \n\n") == b"data: seven eight, \nid: \n\n"


def test_keys_and_numbers_of_events_are_looked_at() -> None:
    assert scrubbed(events({"jane@example.com": 4111111111111111})) == [{"[REDACTED_EMAIL]": "************1111"}]


def test_an_event_that_the_end_cuts_off_is_left_out() -> None:
    stream = EventStream(**options())
    assert stream.feed(b'data: one two\n\ndata: {"a": "jane.doe@exam') + stream.finish() == b"data: one two\n\n"


def test_a_type_that_is_blocked_ends_the_stream_before_the_event_that_holds_it() -> None:
    stream = EventStream(**{**options(), "rules": {"*": Operator(name="block")}})
    assert stream.feed(b"data: seven and eight, \n\n") == b"data: seven and eight, \n\n"
    assert stream.feed(b"data: to jane@exam\n\ndata: ple.com\n\ndata: , more\n\n") == b""
    assert stream.blocked == ("EMAIL_ADDRESS",)
    assert stream.feed(b"data: more\n\n") == b""
    assert stream.finish() == b""


# --- limits ----------------------------------------------------------------------------------------------------------


def endless(piece: Callable[[int], bytes], stream: Any, most: int) -> int:
    """How many pieces a stream takes before it refuses."""
    for number in range(most):
        try:
            stream.feed(piece(number))
        except BodyTooLarge:
            return number
    return most


def test_what_is_held_is_bounded_in_bytes() -> None:
    stream = EventStream(**{**options(), "max_bytes": 20_000})
    taken = endless(lambda _: events({"text": "aB3" * 300}), stream, 1000)
    assert 10 < taken < 30


def test_a_guess_is_given_up_before_it_holds_for_ever() -> None:
    stream = EventStream(**options())
    out = b"".join(stream.feed(events({"trace": f"{number:x}aF" * 8})) for number in range(2000))
    assert len(shown(out)) > 1000


def test_texts_without_number_end_those_that_were_silent_longest() -> None:
    stream = LineStream(**options())
    for number in range(3 * channels.MAX_CHANNELS):
        stream.feed(b'{"k%d":{"text":"hello"}}\n' % number)
    assert stream.held < 60 * channels.MAX_CHANNELS
