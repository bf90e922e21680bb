"""Law 3 over JSON: a document that arrives in any pieces becomes, byte for byte, what the whole one becomes."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import Phase, example, given, settings
from hypothesis import strategies as st
from tests.redact.test_stream import EXAMPLES, PEM, fragments
from tests.web.test_live_laws import ALLOWING, RULES, _Window, clean, pseudonym

from aiguard.bodies import ScrubbedBody, scrub_body
from aiguard.detect import default_detector
from aiguard.errors import MalformedInput
from aiguard.framing.jsonreader import Glue, JsonReader, Left, Piece, Whole
from aiguard.framing.jsontree import MAX_BYTES, JsonDocument, Leaf
from aiguard.middleware import documents
from aiguard.middleware.documents import DocumentStream
from aiguard.types import Finding, Operator, PartKind

BLOCKING = {**RULES, "EMAIL_ADDRESS": Operator(name="block")}

strings = st.lists(fragments, max_size=4).map("".join).map(clean)
keys = st.one_of(
    st.sampled_from(["text", "content", "name", "phone", "password", "id", "0", "a/b", "x" * 210, "messages", "choices"]), strings
)  # fmt: skip
numbers = st.one_of(
    st.integers(-(10**18), 10**18), st.floats(allow_nan=False, allow_infinity=False), st.just(4111111111111111.0)
)
plain = st.one_of(st.none(), st.booleans(), numbers, strings)
values = st.recursive(
    plain, lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(keys, inner, max_size=4)), max_leaves=12
)


def pieces_of(text: str, size: int) -> list[str]:
    return [text[at : at + size] for at in range(0, len(text), size)]


@st.composite
def messages(draw: Any) -> Any:
    """Texts that are read as one, among others."""
    parts = pieces_of(draw(strings), draw(st.sampled_from([1, 3, 9, 40])))[:12]
    nested = draw(st.booleans())
    content: list[Any] = [{"type": "text", "text": part} for part in parts]
    if nested:
        content = [{"inner": [each]} if at % 2 else each for at, each in enumerate(content)]
    return {"model": "m", "messages": [{"role": "user", "content": content}, {"content": draw(strings)}]}


@st.composite
def written(draw: Any, source: Any = None) -> bytes:
    value = draw(st.one_of(values, messages()) if source is None else source)
    indent = draw(st.sampled_from([None, None, 1]))
    return json.dumps(value, ensure_ascii=draw(st.booleans()), indent=indent).encode("utf-8", "replace")


sizes = st.sampled_from([1, 1, 2, 3, 7, 64, 1 << 20])


def chunked(data: bytes, size: int) -> list[bytes]:
    return [data[at : at + size] for at in range(0, len(data), size)]


def whole(data: bytes, rules: Any = RULES) -> ScrubbedBody:
    return scrub_body(
        data,
        "application/json",
        detector=default_detector(),
        rules=rules,
        pseudonym=pseudonym,
        max_bytes=MAX_BYTES,
    )


def stream(rules: Any = RULES, **more: Any) -> DocumentStream:
    return DocumentStream(
        detector=default_detector(), rules=rules, pseudonym=pseudonym, **{"max_bytes": MAX_BYTES, **more}
    )


def through(document: DocumentStream, chunks: Sequence[bytes]) -> bytes:
    return b"".join([*map(document.feed, chunks), document.finish()])


# --- reading ---------------------------------------------------------------------------------------------------------


def read(chunks: Sequence[str]) -> tuple[list[tuple[Leaf, str]], str]:
    """The leaves with their texts, and the document written from the tokens."""
    reader, leaves, out = JsonReader(), [], ""
    arriving = ""
    tokens = [token for chunk in chunks for token in reader.feed(chunk)] + list(reader.finish())
    for token in tokens:
        match token:
            case Glue(text):
                out += text
            case Piece(leaf, text, last):
                arriving += text
                if last:
                    leaves.append((leaf, arriving))
                    out, arriving = out + json.dumps(arriving, ensure_ascii=False), ""
            case Whole(leaf, text):
                leaves.append((leaf, text))
                out += text if leaf.kind is PartKind.NUMBER else json.dumps(text, ensure_ascii=False)
            case Left():
                pass
    return leaves, out


@settings(max_examples=120)
@given(written(), sizes)
def test_a_document_that_arrives_has_the_leaves_of_the_whole(data: bytes, size: int) -> None:
    document = JsonDocument.parse(data)
    text = data.decode()
    leaves, out = read(pieces_of(text, size))
    assert [(leaf.path, leaf.kind, each) for leaf, each in leaves] == [
        (leaf.path, leaf.kind, each) for leaf, each in zip(document.leaves, document.texts, strict=True)
    ]
    assert out.encode() == document.render([None] * len(leaves))


@settings(max_examples=200)
@given(
    written(),
    st.lists(
        st.tuples(st.integers(0), st.sampled_from([*'"\\,:[]{}0.-e \x00', "\\u", "\\ud800", "\\udc00", "tru", "NaN"])),
        max_size=3,
    ),
    sizes,
)
def test_what_the_whole_is_refused_for_ends_the_stream_too(data: bytes, changes: Any, size: int) -> None:
    text = data.decode()
    for at, put in changes:
        cut = at % (len(text) + 1)
        text = text[:cut] + put + text[cut + at % 2 :]
    try:
        expected = JsonDocument.parse(text)
    except MalformedInput:
        with pytest.raises(MalformedInput):
            read(pieces_of(text, size))
    else:
        assert read(pieces_of(text, size))[1].encode() == expected.render([None] * len(expected.texts))


@pytest.mark.parametrize(
    "text",
    [
        "", " ", "[", "{", "[1,]", "[,1]", "{,}", '{"a":1,}', '{"a"}', '{"a":}', '{"a" 1}', "{1:2}", "[1 2]", "[1}", '{"a":1]', "]", "1 2",
        "01", "1.", ".5", "+1", "-", "1e", "1e999", "-Infinity", "NaN", "nul", "nulll", "True", '"', '"\t"', r'"\q"', r'"\u12g4"', r'"\ud800"',
        r'"\udc00"', r'"\ud800\u0041"', r'"\ud800\ud800\udc00"', '{"a":1,"a":2}', r'{"a":1,"\u0061":2}', "\ufeff1", "9" * 309, "1" + "0" * 400 + ".5",
        "[" * 65 + "]" * 65, "[" * 100_000, "[" + "1," * 200_000 + "1]", "'a'", "[1]x", "//", "[\u00a01]",
    ],
)  # fmt: skip
def test_what_is_no_document_is_refused_however_it_is_cut(text: str) -> None:
    with pytest.raises(MalformedInput):
        JsonDocument.parse(text)
    for size in (1, 7, 1 << 20):
        if len(text) / size < 20_000:
            with pytest.raises(MalformedInput):
                read(pieces_of(text, size))


# --- scrubbing -------------------------------------------------------------------------------------------------------


@settings(max_examples=250)
@given(written(), sizes, st.sampled_from([RULES, RULES, ALLOWING, BLOCKING]))
@example(b'{"m":[{"c":[{"text":"4111 1111 "},{"text":"1111 1111"}]}]}', 1, RULES)
@example(b'{"m":[{"c":[{"text":"my password is"},{"text":" hunter2!x"},{"text":"."}]}]}', 3, RULES)
@example(b'{"a":{"b":{"text":"4111111111111111","phone":"4111 1111 1111 1111"}}}', 1, RULES)
@example(json.dumps({"key": PEM, "a": {"b": {"c": PEM}}}).encode(), 2, RULES)
@example(json.dumps({"a": [{"b": ["\U0001f600 jane@example.com \U0001f600"]}]}).encode(), 1, RULES)
@example(b'{"x":{"4111111111111111":4111111111111111.0,"y":4.111111111111111e15}}', 1, RULES)
def test_any_chunking_of_a_document_gives_what_the_whole_gives(data: bytes, size: int, rules: Any) -> None:
    expected: ScrubbedBody | None = None
    try:
        expected = whole(data, rules)
    except MalformedInput:
        with pytest.raises(MalformedInput):
            through(stream(rules), chunked(data, size))
    if expected is None:
        return
    document = stream(rules)
    out = through(document, chunked(data, size))
    if expected.blocked:
        assert document.blocked
        assert set(document.blocked) <= set(expected.blocked)
        assert expected.content.startswith(out)
        return
    assert out == expected.content
    assert document.counts == expected.counts
    assert document.blocked == ()


def test_a_fixed_window_over_strings_fails_the_same_law(monkeypatch: pytest.MonkeyPatch) -> None:
    class Window(_Window):
        def __init__(self, detector: Any, **_options: Any) -> None:
            super().__init__(detector)

    monkeypatch.setattr(documents, "PartScan", Window)

    @settings(deadline=None, database=None, phases=[Phase.generate])
    @given(st.sampled_from(EXAMPLES).map(lambda text: json.dumps({"a": f"{text} {'So it goes. ' * 9}"}).encode()))
    def law(data: bytes) -> None:
        assert through(stream(), chunked(data, 5)) == whole(data).content

    with pytest.raises(AssertionError):
        law()


class NeedsTheWhole:
    """A detector that cannot work on chunks."""

    types = frozenset({"EMAIL_ADDRESS"})

    def detect(self, text: str, *, context: str = "") -> list[Finding]:
        return list(default_detector().detect(text, context=context))


def test_a_detector_that_needs_the_whole_makes_each_string_wait_for_its_end() -> None:
    document = DocumentStream(detector=NeedsTheWhole(), rules=RULES, pseudonym=pseudonym, max_bytes=MAX_BYTES)
    assert document.feed(b'{"a":"so it goes on and on. ') == b""
    assert document.feed(b'to jane@example.com","b":"and ') == b'{"a":"so it goes on and on. to [REDACTED_EMAIL]","b":"'
    assert document.feed(b'on"}') + document.finish() == b'and on"}'


# --- what comes out when ---------------------------------------------------------------------------------------------


def test_a_string_comes_out_while_it_arrives() -> None:
    document = stream()
    assert document.feed(b'{"model": "m", "answer": "Thank you for writ') == b'{"model":"m","answer":"Thank you for '
    assert document.feed(b"ing to jane@exam") == b"writing to "
    assert document.feed(b'ple.com", "n": 12') == b'[REDACTED_EMAIL]","n":'
    assert document.feed(b"34}") == b"1234}"
    assert document.finish() == b""


def test_the_answer_of_a_model_comes_out_while_it_arrives_though_it_stands_deep() -> None:
    document = stream()
    document.feed(b'{"id":"x","choices":[{"index":0,"message":{"role":"assistant","content":"Hello, ')
    assert document.feed(b"It was delivered, and th").strip() == b"It was delivered, and"


def test_a_text_of_a_message_waits_only_until_the_message_goes_on_or_ends() -> None:
    document = stream()
    assert document.feed(b'{"messages":[{"content":[{"text":"one, two"},') == b""
    assert document.feed(b'{"text":" three"}') == b'{"messages":[{"content":[{"text":"one, two"},{"text":" '
    assert document.feed(b"]}") == b'three"}]}'


def test_rows_of_a_table_come_out_row_by_row() -> None:
    document = stream()
    document.feed(b'{"title":"All rows","data":[')
    for number in range(3):
        row = b'{"id":"row-%d","note":"by jane@example.com"}' % number
        shown = b'{"id":"row-%d","note":"by [REDACTED_EMAIL]"}' % number
        assert document.feed(row + b",") == shown + b","


def test_what_stands_before_the_first_text_waits_for_it() -> None:
    document = stream()
    assert document.feed(b'{"n": [1, 2, {"text":') == b""
    assert document.feed(b'"Hello, y') == b'{"n":[1,2,{"text":"Hello, '
    numbers = stream()
    assert len(numbers.feed(b'{"n": [' + b"1, " * 1000)) == 2006


def test_nothing_comes_out_once_a_type_was_found_that_is_blocked() -> None:
    document = stream(BLOCKING)
    assert document.feed(b'{"a":"seven, eight","b":"to jane@exam') == b'{"a":"seven, eight","b":"to '
    assert document.feed(b'ple.com","c":"') == b""
    assert document.blocked == ("EMAIL_ADDRESS",)
    assert document.feed(b'more"}') + document.finish() == b""


def test_keys_that_become_equal_are_refused_in_a_stream_too() -> None:
    document = stream()
    assert document.feed(b'{"a@example.com":"one",') == b'{"[REDACTED_EMAIL]":"one",'
    with pytest.raises(MalformedInput, match="two keys"):
        document.feed(b'"b@example.com":2}')


def test_of_a_string_of_ten_megabytes_no_more_is_held_than_of_a_short_one() -> None:
    """Fed and not yet shown, as ``é`` is two bytes in and out alike."""
    chunk = ("So it goes on and on, and so does the café. " * 1500 + "By jane@example.com. ").encode()
    shown = len(chunk) - len("jane@example.com") + len("[REDACTED_EMAIL]")
    document = stream()
    document.feed(b'{"a":{"b":{"c":"')
    size, out = 20, 0
    while size + len(chunk) < 10_000_000:
        size += len(chunk)
        out -= shown - len(document.feed(chunk))
        assert -100 < out <= 0
    assert document.feed(b'"}}}').endswith(b'"}}}')


def test_a_body_beyond_the_limit_ends_the_stream() -> None:
    document = stream(max_bytes=100)
    document.feed(b'{"a":"' + b"x " * 40)
    with pytest.raises(MalformedInput, match="more than 100 bytes"):
        document.feed(b"x " * 40)


def test_a_number_is_held_only_until_it_is_too_long() -> None:
    reader = JsonReader()
    assert [list(reader.feed(chunk)) for chunk in ("[1", *"1" * 307)][1:] == [[]] * 307
    with pytest.raises(MalformedInput, match="308"):
        list(reader.feed("1"))
