"""Forms of several parts: every text is a part, and nothing can hide between the parts."""

from __future__ import annotations

import json
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiguard.bodies import ScrubbedBody, UnreadableBody, check_rules, scrub_body
from aiguard.detect import default_detector, known_types
from aiguard.errors import MalformedInput
from aiguard.framing.multipart import Files

TYPE = 'multipart/form-data; boundary="x"'


def part(disposition: str, content: bytes | str, kind: str = "") -> bytes:
    head = f"Content-Disposition: {disposition}\r\n" + (f"Content-Type: {kind}\r\n" if kind else "")
    return b"--x\r\n" + head.encode() + b"\r\n" + (content.encode() if isinstance(content, str) else content) + b"\r\n"


def form(*parts: bytes) -> bytes:
    return b"".join(parts) + b"--x--\r\n"


def scrub(body: bytes, *, files: Files | None = "scan", kind: str = TYPE) -> ScrubbedBody:
    rules = check_rules({"*": "replace"}, known_types())
    return scrub_body(
        body,
        kind,
        detector=default_detector(),
        rules=rules,
        pseudonym=lambda _, value: str(len(value)),
        max_bytes=1 << 20,
        files=files,
    )


def test_fields_file_names_and_text_files_are_scrubbed():
    body = form(
        part('form-data; name="note"', "write to jane.doe@example.org"),
        part('form-data; name="f"; filename="jane.doe@example.org.txt"', "call jane.doe@example.org", "text/plain"),
        part('form-data; name="j"', json.dumps({"mail": "jane.doe@example.org"}), "application/json"),
    )
    scrubbed = scrub(body)
    assert b"jane.doe" not in scrubbed.content
    assert scrubbed.content.count(b"[REDACTED_EMAIL]") == 4
    assert scrubbed.content.startswith(b'--x\r\nContent-Disposition: form-data; name="note"\r\n\r\nwrite to [REDACTED')


def test_a_field_name_is_looked_at_and_gives_its_value_context():
    scrubbed = scrub(form(part('form-data; name="jane.doe@example.org"', "x"), part('form-data; name="cvv"', "")))
    assert b"jane" not in scrubbed.content


def test_a_form_without_findings_comes_out_as_it_went_in():
    body = form(
        part('form-data; name="a"', "one\r\n\r\ntwo"), part('form-data; name="b"; filename=""', "", "image/png")
    )
    assert scrub(body).content == body


@given(
    st.lists(
        st.tuples(
            st.text(st.characters(categories=["L"]), min_size=1),
            st.text(st.characters(codec="utf-8", exclude_characters="\0")),
        )
    )
)
def test_any_form_is_rendered_to_something_that_reads_the_same(fields):
    body = form(*(part(f'form-data; name="{name}"', value) for name, value in fields))
    if fields:
        once = scrub(body).content
        assert scrub(once).content == once


def test_a_file_that_cannot_be_read_is_refused_dropped_or_no_file_may_come_at_all():
    binary = form(
        part('form-data; name="a"', "hi"), part('form-data; name="f"; filename="a.png"', b"\x89PNG", "image/png")
    )
    with pytest.raises(MalformedInput, match="cannot be looked at") as refused:
        scrub(binary)
    assert refused.value.status == 415  # type: ignore[attr-defined]
    dropped = scrub(binary, files="drop")
    assert b"PNG" not in dropped.content
    assert dropped.counts["FILE", "drop"] == 1
    text = form(part('form-data; name="f"; filename="a.txt"', "hi", "text/plain"))
    assert scrub(text).content == text
    with pytest.raises(MalformedInput, match="takes none"):
        scrub(text, files="refuse")


def test_nothing_is_said_in_the_type_of_a_part():
    kinds = ["text/plain; x=jane.doe@example.org", 'text/plain; charset=utf-8; name="jane.doe@example.org"']
    scrubbed = scrub(form(*(part('form-data; name="a"', "one", kind) for kind in kinds)))
    assert b"jane" not in scrubbed.content
    assert b"Content-Type: text/plain\r\n" in scrubbed.content
    assert b"Content-Type: text/plain; charset=utf-8\r\n" in scrubbed.content
    for kind in ("text/4111111111111111", "text/plain; charset*=utf-8''utf-7"):
        with pytest.raises(MalformedInput):
            scrub(form(part('form-data; name="a"', "one", kind)))


@pytest.mark.parametrize("name", ["_charset_", "%5Fcharset_"])
def test_a_form_may_name_no_other_charset(name):
    kind = "application/x-www-form-urlencoded"
    assert scrub(f"{name}=UTF-8&a=b".encode(), kind=kind).content == b"_charset_=UTF-8&a=b"
    with pytest.raises(UnreadableBody):
        scrub(f"{name}=utf-7&a=jane.doe%2BAEA-example.org".encode(), kind=kind)


def test_a_field_that_cannot_be_read_is_refused_even_where_files_are_dropped():
    with pytest.raises(MalformedInput, match="field"):
        scrub(form(part('form-data; name="a"', b"\x89PNG", "image/png")), files="drop")


def test_such_a_form_is_not_read_where_nothing_says_what_files_mean():
    with pytest.raises(UnreadableBody):
        scrub(form(part('form-data; name="a"', "hi")), files=None)


GOOD = part('form-data; name="a"', "hi")


@pytest.mark.parametrize(
    ("why", "body"),
    {
        "text before the first boundary": b"preamble\r\n" + form(GOOD),
        "text behind the last": form(GOOD) + b"epilogue",
        "no end": GOOD,
        "no beginning": b"hello",
        "empty": b"\r\n",
        "a boundary line that goes on": form(GOOD.replace(b"--x\r\n", b"--x \r\n")),
        "bare line feeds": form(GOOD).replace(b"\r\n", b"\n"),
        "a bare boundary inside": form(part('form-data; name="a"', "hi\n--x\n")),
        "no headers": form(b"--x\r\n\r\nhi\r\n"),
        "a folded header": form(GOOD.replace(b"form-data;", b"form-data;\r\n ")),
        "a header twice": form(GOOD.replace(b"\r\n\r\n", b"\r\nContent-Disposition: form-data; name=b\r\n\r\n")),
        "a name twice": form(part('form-data; name="a"; name="b"', "hi")),
        "filename*": form(part("form-data; name=\"a\"; filename*=utf-8''x", "hi")),
        "an escape in a name": form(part('form-data; name="a\\"b"', "hi")),
        "no name": form(part("form-data", "hi")),
        "an attachment": form(part('attachment; name="a"', "hi")),
        "a NUL in a name": form(part('form-data; name="a\x00"', "hi")),
        "a name that is not UTF-8": form(GOOD.replace(b'"a"', b'"\xff"')),
        "a value that is not UTF-8": form(part('form-data; name="a"', b"\xff\xfe")),
        "base64": form(part('form-data; name="a"\r\nContent-Transfer-Encoding: base64', "aGk=")),
        "a coded part": form(part('form-data; name="a"\r\nContent-Encoding: gzip', "aGk=")),
        "a form in a form": form(part('form-data; name="a"', "hi", "multipart/mixed; boundary=y")),
        "another charset": form(part('form-data; name="a"', "hi", "text/plain; charset=utf-16")),
        "another charset for all": form(part('form-data; name="_charset_"', "utf-7")),
        "a type that is none": form(part('form-data; name="a"', "hi", "text")),
        "JSON that is not": form(part('form-data; name="a"', '{"a":1,"a":2}', "application/json")),
        "too many parts": form(*[GOOD] * 1001),
        "headers without an end": form(part('form-data; name="' + "a" * 5000 + '"', "hi")),
    }.items(),
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_form_that_parsers_could_read_differently_is_refused(why, body):
    with pytest.raises(MalformedInput) as refused:
        scrub(body)
    assert "hi" not in str(refused.value).split()


@pytest.mark.parametrize(
    "kind", ["", "; boundary=", '; boundary="a b"', "; boundary=x; boundary=y", "; boundary=" + "x" * 71]
)
def test_a_boundary_that_is_none_is_refused(kind):
    with pytest.raises(MalformedInput):
        scrub(form(GOOD), kind="multipart/form-data" + kind)


@given(st.binary(max_size=400))
def test_any_bytes_are_a_form_or_refused(body):
    try:
        scrub(b"--x\r\n" + body + b"\r\n--x--")
    except MalformedInput:
        return


FIELD = "lorem ipsum " * 80


@pytest.mark.parametrize(
    "make",
    [
        lambda size: form(*[part(f'form-data; name="f{number}"', FIELD) for number in range(size)]),
        lambda size: form(part('form-data; name="f"', FIELD * size)),
        lambda size: form(part('form-data; name="f"', "\r\n--\r\n\r\n-x" * 60 * size)),
    ],
    ids=["many parts", "one large part", "what is nearly a boundary"],
)
def test_a_form_is_read_in_linear_time(make):
    """Ten times the bytes take some ten times as long; what is quadratic takes a hundred times."""

    def seconds(body):
        taken = []
        for _ in range(3):
            began = time.process_time()
            assert scrub(body).content == body
            taken.append(time.process_time() - began)
        return min(taken)

    little, much = make(90), make(900)
    seconds(little)  # the patterns are compiled, the words are met
    assert seconds(much) < 40 * seconds(little)
