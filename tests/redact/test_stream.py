"""Law 3: however a text is cut, its streamed output is the output for the whole text."""

from __future__ import annotations

import random

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from aiguard.detect import catalogue, default_detector
from aiguard.errors import ConfigurationError, MalformedInput
from aiguard.redact import Chain, Redactor, Restorer, Vault, redact
from aiguard.scan import Engine, HeldTooLong, Recognizer, ScanFailed, segments
from aiguard.scan.holding import IN_RUN, MAX_PLANS, plan_of
from aiguard.scrubbing import StreamScrubber, scrub
from aiguard.types import Finding, Operator

SECRET = b"0123456789abcdef"


def pseudonym(kind: str, value: str) -> str:
    return f"{kind[:1]}{len(value):x}"


EXAMPLES = [text for recognizer in catalogue() for text in (*recognizer.examples, *recognizer.counter_examples)]
PEM = "-----BEGIN RSA PRIVATE KEY-----\nMIIEow\nIBAAKC\n-----END RSA PRIVATE KEY-----"
ENCODED = [
    "bWFpbCBqYW5lQGV4YW1wbGUuY29tIHBsZWFzZQ==",
    "q=a%20jane%40example.com",
    "6d61696c206a616e65406578616d706c652e636f6d",
]
HIDDEN = [
    "ja\u200bne@example.com",
    "ｊａｎｅ@example.com",
    "jаnе@example.com",
    "4111\u00a01111\u00a01111\u00a01111",
    "jane@exam\x00ple.com",
    "4111 1111\x07 1111 1111",
]
TAGGED = ["".join(chr(0xE0000 + ord(char)) for char in "call 0341 8387176"), "\U000e0067\U000e0062", "\U000e007f"]
WORDS = [
    "phone", "call ", "order ", "ssn ", "passport number ", "password is ", "password = ", "token: ", "curl -u ", "version ",
    "IBAN ", "+44", "12", "1111 ", "jane@", ".com", "é", "д", "日本", "ﬁ", "\u200b", "\ufeff", "\ud800", "\x00", "\x1f", "\x7f", "%", "%20", "==",
    "/", "-", ".", "(", ")", "[", "]", '"', "'", "\n", "\t", "\u2028", "https://", "eyJ", "-----BEGIN PRIVATE KEY-----", "-----END",
    "[EMAIL_X7K2M9QA4B]", r"\[EMAIL\_X7K2M9QA4B\]", "[EMAIL_", "\\",
]  # fmt: skip

fragments = st.one_of(
    st.sampled_from(EXAMPLES),
    st.builds(
        lambda text, start, end: text[start:end], st.sampled_from(EXAMPLES), st.integers(0, 20), st.integers(1, 40)
    ),
    st.sampled_from([PEM, *ENCODED, *HIDDEN, *TAGGED]),
    st.sampled_from(WORDS),
    st.integers(0, 10**17).map(str),
    st.sampled_from([" ", " ", "\n", ", "]),
    st.text(alphabet=st.characters(codec=None), max_size=6),
)
texts = st.lists(fragments, max_size=14).map("".join)


@st.composite
def cut(draw, source=texts):
    """A text and some way to cut it into chunks."""
    text = draw(source)
    generator = random.Random(draw(st.integers(0, 2**32)))
    longest = draw(st.sampled_from([1, 2, 4, 20, 300]))
    chunks, at = [], 0
    while at < len(text):
        size = generator.randint(1, longest)
        chunks.append(text[at : at + size])
        at += size
    return text, chunks


def through(stream, chunks):
    return "".join([*(stream.feed(chunk) for chunk in chunks), stream.finish()])


@settings(deadline=None, max_examples=120)
@given(cut())
def test_any_chunking_of_any_text_gives_what_the_whole_gives(sample) -> None:
    text, chunks = sample
    assert through(StreamScrubber(), chunks) == scrub(text)


@settings(deadline=None)
@given(texts)
def test_an_encoded_segment_never_reaches_beyond_its_run(text: str) -> None:
    assert all(set(text[segment.start : segment.end]) <= IN_RUN for segment in segments(text))


@pytest.mark.parametrize("example", EXAMPLES)
def test_every_example_of_the_catalogue_streams_as_the_whole_one_character_at_a_time(example: str) -> None:
    for text in (example, f"We write: {example} and go on.", f"{example}\n{example} {example}"):
        assert through(StreamScrubber(), text) == scrub(text)


@settings(deadline=None, max_examples=50)
@given(texts, st.sampled_from([1, 2, 3, 7]))
def test_bytes_may_be_cut_inside_a_character(text: str, size: int) -> None:
    text = text.encode("utf-8", "replace").decode()
    data = text.encode()
    stream = StreamScrubber()
    out = b"".join(stream.feed(data[at : at + size]) for at in range(0, len(data), size)) + (stream.finish() or b"")
    assert out == scrub(text).encode()


@settings(deadline=None, max_examples=100)
@given(cut(), st.dictionaries(st.sampled_from(["*", "SECRET", "EMAIL_ADDRESS", "PHONE_NUMBER", "CREDIT_CARD"]),
                              st.sampled_from(["allow", "mask", "drop", "replace", "tokenize", "hash", "block"])))  # fmt: skip
def test_every_operator_streams_as_the_whole(sample, names) -> None:
    text, chunks = sample
    rules = {type: Operator(name=name, keep_last=2) for type, name in names.items()}
    vault = Vault(SECRET)
    stream = Redactor(default_detector(), rules, vault=vault, pseudonym=pseudonym)
    whole = redact(
        text, [*default_detector().detect(text), *vault.literals(text)], rules, vault=vault, pseudonym=pseudonym
    )
    assert through(stream, chunks) == whole.text
    assert stream.counts == whole.counts
    assert stream.blocked == whole.blocked


@settings(deadline=None, max_examples=50)
@given(cut(), st.sampled_from(["customerSSN", "phone_number", "order_number", "password"]))
def test_a_key_is_context_for_a_streamed_value(sample, key: str) -> None:
    text, chunks = sample
    whole = redact(text, default_detector().detect(text, context=key), {"*": Operator(name="replace")})
    assert through(StreamScrubber(context=key), chunks) == whole.text


class FixedWindow:
    """What must not pass for exact: the last characters are held and scrubbed again with every chunk."""

    def __init__(self, size: int) -> None:
        self.size, self.text = size, ""

    def feed(self, chunk: str) -> str:
        text = scrub(self.text + chunk)
        out, self.text = text[: -self.size], text[-self.size :]
        return out

    def finish(self) -> str:
        return scrub(self.text)


@pytest.mark.parametrize("size", [16, 256])
def test_a_scrubber_with_a_fixed_window_fails_the_same_law(size: int) -> None:
    seen = "So it goes. " * 30

    @settings(deadline=None, database=None, phases=[Phase.generate])
    @given(
        cut(
            st.sampled_from([*EXAMPLES, *ENCODED, f"eyJhbGciOiJIUzI1NiJ9.{'aB3dE5fG7h' * 60}.c2ln"]).map(
                lambda text: f"{text} {seen}"
            )
        )
    )
    def law(sample) -> None:
        text, chunks = sample
        assert through(FixedWindow(size), chunks) == scrub(text)

    with pytest.raises(AssertionError):
        law()


# ---------------------------------------------------------------- what is held, and for how long


def fed(*chunks: str) -> str:
    stream = StreamScrubber()
    return "".join(stream.feed(chunk) for chunk in chunks)


def test_ordinary_words_come_out_as_soon_as_the_next_one_begins() -> None:
    assert fed("The parcel has not yet arr") == "The parcel has not yet "
    assert fed("The parcel has not yet arrived ") == "The parcel has not yet "  # "arrived at example dot com"
    assert fed("The parcel has not yet arrived i") == "The parcel has not yet arrived "
    assert fed("荷物がまだ届いていません") == "荷物がまだ届いていません"


def test_a_value_is_held_until_it_is_complete_and_never_shown_in_part() -> None:
    assert fed("paid by card 4111 1111 1111 1") == "paid by card "
    assert fed("paid by card 4111 1111 1111 1111 and") == "paid by card [REDACTED_CARD] "


def test_a_private_key_in_small_chunks_never_escapes() -> None:
    key = "-----BEGIN PRIVATE KEY-----\n" + "MIIEowIBAAKCAQEA0Z3VS5JJcds3xfn\n" * 50 + "-----END PRIVATE KEY-----"
    stream, out = StreamScrubber(), []
    text = f"here: {key} bye now"
    for at in range(0, len(text), 7):
        out.append(stream.feed(text[at : at + 7]))
        assert "MIIE" not in "".join(out)
        assert "BEGIN" not in "".join(out)
    assert "".join(out) + stream.finish() == "here: [REDACTED_SECRET] bye now"


def test_a_private_key_without_an_end_is_let_go_after_the_longest_key_there_is() -> None:
    text = "-----BEGIN PRIVATE KEY-----\n\u00bb prose follows. " + "So it goes on and on. " * 900
    stream = StreamScrubber()
    shown = "".join(stream.feed(text[at : at + 50]) for at in range(0, len(text), 50))
    assert len(shown) > 2000
    assert shown + stream.finish() == scrub(text)


def test_a_long_token_in_small_chunks_never_escapes() -> None:
    generator = random.Random(1)
    body = "".join(generator.choices("ABCDEFGHabcdefgh0123456789_-", k=4000))
    text = f"bearer eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0{body}.c2ln is all"
    assert through(StreamScrubber(), [text[at : at + 3] for at in range(0, len(text), 3)]) == scrub(text)
    assert body[:40] not in scrub(text)


def test_more_than_the_cap_is_refused_and_nothing_of_it_shown() -> None:
    stream = StreamScrubber(max_held=1000)
    assert stream.feed("hello, you: ") == "hello, you: "
    assert [stream.feed("abcd") for _ in range(250)] == [""] * 250
    with pytest.raises(HeldTooLong):
        stream.feed("abcd")
    with pytest.raises(ValueError, match="ended"):
        stream.feed("more")


def test_a_long_run_costs_as_much_as_it_is_long() -> None:
    stream = StreamScrubber()
    for _ in range(50_000):
        stream.feed("a1B2")
    assert stream.held == 200_000


def test_a_flag_spelled_in_tags_is_waited_for_at_a_cost_that_stays_small() -> None:
    flag = "\U0001f3f4\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f"
    text = f"Greetings to {flag} and more. " + "So it goes and goes. " * 300
    stream = StreamScrubber()
    assert "".join(stream.feed(text[at : at + 5]) for at in range(0, len(text), 5)).endswith("Greetings to \U0001f3f4")
    assert "Greetings to \U0001f3f4" + stream.finish() == scrub(text)


def test_a_scan_that_did_not_happen_ends_the_stream() -> None:
    class Broken:
        def Match(self, data: bytes) -> None:  # noqa: N802 - RE2's name
            return None

    engine = Engine([Recognizer(name="word", type="WORD", pattern=r"\bsecret thing\b")])
    engine.filters._patterns._parts[0][1]._set = Broken()
    stream = StreamScrubber(detector=engine)
    with pytest.raises(ScanFailed):
        stream.feed("some words ")
    with pytest.raises(ValueError, match="ended"):
        stream.finish()


# ---------------------------------------------------------------- recognizers of one's own

OWN = (
    Recognizer(name="spaced", type="SPACED", pattern=r"(?i)\bproject [a-z]{3,10} (?:alpha|beta)\b"),
    Recognizer(name="lines", type="LINES", pattern=r"(?s)<<.{1,40}?>>", boundary=False),
    Recognizer(name="ends", type="ENDS", pattern=r"x{2,5}y?$", boundary=False),
    Recognizer(name="begins", type="BEGINS", pattern=r"^# [a-z]{1,9}", boundary=False),
    Recognizer(name="stop", type="STOP", pattern=r"\d \d", not_before="."),
    Recognizer(name="alone", type="ALONE", pattern=r"[a-z]+ \d{1,4}", alone_score=0.9, base_score=0.1, context_score=0.1, max_length=20),
    Recognizer(name="mixed", type="MIXED", pattern=r"n\d{1,3}", alone_score=0.9, base_score=0.1, context=("id",), max_length=6),
    Recognizer(name="tail", type="TAIL", pattern=r"go:", boundary=False, extend=lambda text, start, end: min(len(text), end + 3)),
)  # fmt: skip

own = st.lists(
    st.sampled_from(["project ", "Foo ", "alpha", "beta", "<<", ">>", "xx", "y", "# ab", " ", "\n", ".", "1", "1 2", "id ", "n12", "go:", "abc 12", "é", "\u200b"]),
    max_size=14,
).map("".join)  # fmt: skip


@settings(deadline=None, max_examples=120)
@given(cut(own))
def test_recognizers_of_ones_own_stream_as_the_whole(sample) -> None:
    text, chunks = sample
    engine = Engine(OWN)
    stream = StreamScrubber(detector=engine)
    assert not stream.buffered
    assert through(stream, chunks) == redact(text, engine.detect(text), {}).text


@pytest.mark.parametrize("pattern", [r"\pL{3} x", r"[[:digit:]]{3} x", r"(?:ab){,3} x"])
def test_a_pattern_that_cannot_be_taken_apart_makes_the_stream_wait_visibly(pattern: str) -> None:
    engine = Engine([Recognizer(name="own", type="OWN", pattern=pattern, boundary=False)])
    stream = StreamScrubber(detector=engine)
    assert stream.buffered
    assert stream.feed("see abc x, 123 x ") == ""
    assert stream.finish() == redact("see abc x, 123 x ", engine.detect("see abc x, 123 x "), {}).text


def test_engines_that_differ_in_nothing_that_streams_ask_share_what_was_worked_out() -> None:
    names = [recognizer.name for recognizer in catalogue()]
    engine = Engine([Recognizer(name=name, type="T", pattern=rf"\b{name}\b", base_score=0.6) for name in names[:80]])
    plans = [plan_of(engine.tuned({name: 0.55}), ()) for name in names[:80]]
    assert len({id(plan) for plan in plans}) == 1
    assert plan_of(engine.tuned({names[0]: 0.7}), ()) is not plans[0]
    for name in names[:80]:
        plan_of(engine.tuned({name: 0.7}), ())
    assert len(engine.plans) == MAX_PLANS


def test_a_detector_that_needs_the_whole_text_makes_the_stream_wait_visibly() -> None:
    class Names:
        types = frozenset({"PERSON"})

        def detect(self, text: str, *, context: str = "") -> list[Finding]:
            at = text.find("Jane Doe")
            return [Finding(type="PERSON", start=at, end=at + 8, score=1.0, recognizer="names")] if at >= 0 else []

    stream = StreamScrubber(detector=Names())
    assert stream.buffered
    assert "buffered" in repr(stream)
    assert through(stream, ["I am Ja", "ne Doe."]) == "I am [REDACTED_PERSON]."


# ---------------------------------------------------------------- bringing values back

VALUES = ["jane@example.com", "4111 1111 1111 1111", "[EMAIL_X7K2M9QA4B]"]


@settings(deadline=None, max_examples=120)
@given(st.data())
def test_tokens_split_over_chunks_come_back_as_in_the_whole(data) -> None:
    vault = Vault(SECRET)
    tokens = [vault.token("EMAIL_ADDRESS", value) for value in VALUES]
    tokens += [tokens[0].lower(), tokens[0].replace("_", r"\_").replace("[", r"\[").replace("]", r"\]"), "[ EMAIL _ "]
    pieces = st.lists(
        st.one_of(st.sampled_from([*tokens, *WORDS]), st.sampled_from(tokens).map(lambda t: t[:12])), max_size=8
    )
    text, chunks = data.draw(cut(pieces.map("".join)))
    assert through(Restorer(vault), chunks) == vault.restore(text).text


def test_a_token_comes_back_with_its_last_character() -> None:
    vault = Vault(SECRET)
    stream = Restorer(vault)
    token = vault.token("EMAIL_ADDRESS", "jane@example.com")
    assert stream.feed("to " + token[:-1]) == "to "
    assert stream.held == len(token) - 1
    assert stream.feed("]") == "jane@example.com"
    assert stream.count == 1


@settings(deadline=None, max_examples=50)
@given(cut())
def test_streams_one_behind_the_other_hide_and_bring_back(sample) -> None:
    text, chunks = sample
    vault = Vault(SECRET)
    chain = Chain(Redactor(default_detector(), {"*": Operator(name="tokenize")}, vault=vault), Restorer(vault))
    assert through(chain, chunks) == text


# ---------------------------------------------------------------- misuse


def test_bytes_that_are_not_utf8_end_the_stream_without_being_quoted() -> None:
    stream = StreamScrubber()
    with pytest.raises(MalformedInput) as error:
        stream.feed(b"jane\xff")
    assert "jane" not in str(error.value)
    unfinished = StreamScrubber()
    unfinished.feed("é".encode()[:1])
    with pytest.raises(MalformedInput):
        unfinished.finish()


def test_text_and_bytes_are_not_mixed() -> None:
    stream = StreamScrubber()
    stream.feed("a")
    with pytest.raises(TypeError):
        stream.feed(b"a")


def test_a_rule_that_needs_what_is_not_there_says_so_before_anything_is_fed() -> None:
    for name in ("tokenize", "hash"):
        with pytest.raises(ConfigurationError):
            StreamScrubber({"*": name})


def test_nothing_of_what_is_held_is_printed() -> None:
    stream = StreamScrubber()
    stream.feed("jane@example.com")
    assert "jane" not in repr(stream) + repr(stream._scan) + repr(stream._scan.finish())


def test_finishing_twice_is_an_error() -> None:
    stream = StreamScrubber()
    assert stream.finish() == ""
    with pytest.raises(ValueError, match="ended"):
        stream.finish()
