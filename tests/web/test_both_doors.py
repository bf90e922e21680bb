"""One rule, both doors: whatever comes, ASGI and WSGI decide alike and give the same bytes."""

from __future__ import annotations

import contextlib
import gzip
import json
import zlib
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from tests.support.guards import make_guard
from tests.web.drive import CARD, MAIL, Echo, answering
from tests.web.drive import call as acall
from tests.web.test_wsgi import EchoApp
from tests.web.test_wsgi import answering as wanswering
from tests.web.test_wsgi import call as wcall

from aiguard.asgi import AIGuardMiddleware as Asgi
from aiguard.wsgi import AIGuardMiddleware as Wsgi

GUARD, RECORDER = make_guard()
RULES: list[dict[str, Any]] = [{"path": "/guarded/*", "redact": {"US_SSN": "block", "CREDIT_CARD": "hash"}}]
ASGI = Asgi(None, guard=GUARD, rules=RULES)  # type: ignore[arg-type]
WSGI = Wsgi(None, guard=GUARD, rules=RULES)  # type: ignore[arg-type]

texts = st.lists(
    st.sampled_from(
        [MAIL, CARD, "ssn 536-90-4399", "hello ", "\u00e9\u4e2d", "\\u0041", "\n", '"', "%40", "&a=", "\x00"]
    )
    | st.text(max_size=8),
    max_size=6,
).map(" ".join)
parts = texts.map(lambda text: f'--b\r\nContent-Disposition: form-data; name="a"\r\n\r\n{text}\r\n--b--\r\n')
bodies = st.one_of(
    st.tuples(texts.map(lambda text: json.dumps({"a": text, text: 1}).encode()), st.just("application/json")),
    st.tuples(
        texts.map(lambda text: text.encode("utf-8", "replace")),
        st.sampled_from(["text/plain", "text/html; charset=utf-8"]),
    ),
    st.tuples(parts.map(lambda text: text.encode("utf-8", "replace")), st.just("multipart/form-data; boundary=b")),
    st.tuples(
        st.binary(max_size=40),
        st.sampled_from(["application/x-www-form-urlencoded", "image/png", "", "application/json", "text/csv"]),
    ),
)
packers = st.sampled_from(
    [("", bytes), ("gzip", gzip.compress), ("deflate", zlib.compress), ("br", bytes), ("gzip", bytes)]
)


def recorded() -> list[tuple[str, str]]:
    events = [(event.type, json.dumps(dict(event.payload), sort_keys=True, default=list)) for event in RECORDER.events]
    RECORDER.commits.clear()
    return events


@given(bodies, packers)
@example((b'{"a":1e400}', "application/json"), ("", bytes))
def test_a_request_is_decided_alike(body, packer):
    content, kind = body
    coding, pack = packer
    sent = pack(content)
    ASGI.app = asgi = Echo()
    WSGI.app = wsgi = EchoApp()
    one = acall(ASGI, [sent], content_type=kind or None, headers=[("content-encoding", coding)] if coding else [])
    first = recorded()
    more: dict[str, Any] = {"CONTENT_TYPE": kind or None, "CONTENT_LENGTH": str(len(sent))}
    two = wcall(WSGI, sent, check=False, **more, **({"HTTP_CONTENT_ENCODING": coding} if coding else {}))
    assert first == recorded()
    assert str(one.status) == two.status[:3]
    assert asgi.body == wsgi.body
    if one.status == 200:
        assert one.body == two.body
    for seen in (asgi.body, one.body):
        assert MAIL.encode() not in seen
        assert b"536-90-4399" not in seen


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be", "utf-16", "utf-8"])
@pytest.mark.parametrize(
    "kind",
    [
        "text/plain",
        "text/json",
        "application/json",
        "multipart/form-data; boundary=b",
        "application/x-www-form-urlencoded",
    ],
)
@pytest.mark.parametrize("length", [True, False], ids=["whole", "arriving"])
def test_json_in_another_encoding_reaches_no_application_whatever_it_is_called(encoding, kind, length):
    sent = json.dumps({"note": f"write to {MAIL}"}).encode(encoding)
    if kind.startswith("multipart"):
        sent = b'--b\r\nContent-Disposition: form-data; name="f"; filename="f.txt"\r\n\r\n' + sent + b"\r\n--b--\r\n"
    ASGI.app = asgi = Echo()
    WSGI.app = wsgi = EchoApp()
    one = acall(ASGI, [sent], content_type=kind, length=length)
    about: dict[str, Any] = {"CONTENT_LENGTH": str(len(sent))} if length else {"wsgi.input_terminated": True}
    two = wcall(WSGI, sent, check=False, CONTENT_TYPE=kind, **about)
    RECORDER.commits.clear()
    assert str(one.status) == two.status[:3]
    for seen in (asgi.body, wsgi.body):
        with contextlib.suppress(ValueError):
            assert MAIL not in str(json.loads(seen))
        assert MAIL.encode(encoding) not in seen


@pytest.mark.parametrize(
    "parameter", ["charset*=utf-8''utf-7", "charset*0=utf-; charset*1=7", "charset=utf-7", "x=y; CHARSET*=a"]
)
@pytest.mark.parametrize("kind", ["text/plain", "application/json", "application/x-www-form-urlencoded"])
def test_a_charset_is_refused_however_it_is_written(parameter, kind):
    ASGI.app = asgi = Echo()
    one = acall(ASGI, [b"a=jane.doe+AEA-example.org"], content_type=f"{kind}; {parameter}")
    two = wcall(WSGI, b"a=b", check=False, CONTENT_TYPE=f"{kind}; {parameter}", CONTENT_LENGTH="3")
    RECORDER.commits.clear()
    assert (one.status, two.status[:3], asgi.body) == (415, "415", b"")


@given(bodies, packers, st.sampled_from([200, 404, 500]))
def test_a_response_is_decided_alike(body, packer, status):
    content, kind = body
    coding, pack = packer
    sent = pack(content)
    headers = [("Content-Encoding", coding)] if coding else []
    ASGI.app = answering(sent, kind or None, status=status, headers=headers)
    about = [*headers, *([("Content-Type", kind)] if kind else [])]
    WSGI.app = wanswering(sent, headers=about, status=f"{status} X")
    one = acall(ASGI, method="GET", content_type=None, length=False)
    first = recorded()
    two = wcall(WSGI, method="GET", check=False)
    assert first == recorded()
    assert str(one.status) == two.status[:3]
    assert one.error is None
    assert two.error is None
    if one.status == status:
        assert one.body == two.body
        assert {name.lower(): value for name, value in one.headers.items()} == two.headers
    assert MAIL.encode() not in one.body
    assert b"536-90-4399" not in one.body


@pytest.mark.parametrize(
    "name", ["X-Sendfile", "x-accel-redirect", "X-Lighttpd-Send-File", "X-LiteSpeed-Location", "X-Reproxy-URL"]
)
def test_a_response_in_whose_place_a_server_would_send_a_file_is_withheld(name):
    headers = [(name, "/srv/reports/7.txt")]
    ASGI.app = answering(b"", "text/plain", headers=headers)
    WSGI.app = wanswering(b"", headers=[*headers, ("Content-Type", "text/plain")])
    one = acall(ASGI, method="GET", content_type=None, length=False)
    two = wcall(WSGI, method="GET", check=False)
    assert [type for type, _ in recorded()] == ["response.refused"] * 2
    assert (one.status, two.status[:3]) == (502, "502")
    assert name.lower() not in {each.lower() for each in (*one.headers, *two.headers)}
