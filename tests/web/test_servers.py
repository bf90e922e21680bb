"""Bad input over real sockets: uvicorn, hypercorn and gunicorn with the middleware refuse it and go on serving."""

from __future__ import annotations

import contextlib
import gzip
import json
import os
import socket
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import websockets
from websockets.sync.client import connect

ROOT = Path(__file__).parents[2]
MAIL = "jane.doe@example.org"
GONE = "[REDACTED_EMAIL]"
POLICY = '[[routes]]\npath = "/policy/*"\n'


@dataclass(frozen=True)
class Served:
    name: str
    port: int
    calls: Path

    def send(self, *pieces: bytes, pause: float = 0.0, patience: float = 10.0) -> bytes:
        """Send raw bytes, and read until the server closes or nothing more comes."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=patience) as wire:
            got = b""
            with contextlib.suppress(ConnectionError):
                for piece in pieces:
                    wire.sendall(piece)
                    time.sleep(pause)
            with contextlib.suppress(ConnectionError, TimeoutError):
                while data := wire.recv(65536):
                    got += data
            return got

    def ask(
        self, path: str, body: bytes = b"", *, method: str = "POST", headers: str = "", kind: str = "application/json"
    ) -> Reply:
        about = f"Content-Type: {kind}\r\nContent-Length: {len(body)}\r\n" if body or method == "POST" else ""
        head = f"{method} {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{about}{headers}\r\n"
        return Reply.of(self.send(head.encode() + body))

    def recorded(self) -> Counter[str]:
        """Types of the events in the audit log, each of which has a decision's id."""
        with contextlib.closing(sqlite3.connect(self.calls.parent / ".aiguard" / "aiguard.db")) as log:
            return Counter(type for (type,) in log.execute("SELECT type FROM aiguard_audit_events"))

    def alive(self) -> bool:
        return self.ask("/open", method="GET").status == 200


@dataclass(frozen=True)
class Reply:
    status: int
    headers: str
    body: bytes
    whole: bool

    @classmethod
    def of(cls, data: bytes) -> Reply:
        head, _, body = data.partition(b"\r\n\r\n")
        lines = head.decode("latin-1").lower()
        whole = True
        if "transfer-encoding: chunked" in lines:
            out, whole, rest = b"", False, body
            while rest:
                size, _, rest = rest.partition(b"\r\n")
                if not size.strip() or not rest:
                    break
                count = int(size, 16)
                if count == 0:
                    whole = True
                    break
                out, rest = out + rest[:count], rest[count + 2 :]
            body = out
        elif "content-length: " in lines:
            whole = len(body) == int(lines.partition("content-length: ")[2].split("\r\n")[0])
        return cls(int(head.split(b" ", 2)[1]), lines, body, whole)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


COMMANDS: dict[str, Callable[[int], list[str]]] = {
    "uvicorn": lambda port: [
        "uvicorn",
        "tests.web.served:asgi",
        "--port",
        str(port),
        "--http",
        "h11",
        "--log-level",
        "error",
    ],
    "hypercorn": lambda port: ["hypercorn", "tests.web.served:asgi", "-b", f"127.0.0.1:{port}", "--log-level", "error"],
    "gunicorn": lambda port: [
        *("gunicorn", "tests.web.served:wsgi", "-b", f"127.0.0.1:{port}", "--threads", "4", "--log-level", "critical"),
        *("--no-control-socket",),
    ],
}


def stop(process: subprocess.Popen[bytes], *, stubborn: bool) -> None:
    """End a server. One that is ``stubborn`` need not be asked for long.

    From Python 3.12 on, hypercorn does not end while it has a connection whose request it never read to the end, and a refused
    body leaves one (any application that answers before it has read everything does).
    """
    process.terminate()
    try:
        process.wait(3 if stubborn else 20)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
        if not stubborn:
            raise


@pytest.fixture(scope="module", params=sorted(COMMANDS))
def served(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp(request.param)
    (folder / "aiguard.toml").write_text(POLICY, encoding="utf-8")
    (folder / "calls").touch()
    port = free_port()
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("AIGUARD_")},
        "AIGUARD_ENVIRONMENT": "test",
        "PYTHONPATH": f"{ROOT}:{ROOT / 'src'}",
        "SERVED_CALLS": str(folder / "calls"),
    }
    with (folder / "errors").open("wb") as errors:
        process = subprocess.Popen(
            [sys.executable, "-m", *COMMANDS[request.param](port)], cwd=folder, env=environment, stderr=errors
        )
    server = Served(request.param, port, folder / "calls")
    try:
        for _ in range(200):
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
                break
            assert process.poll() is None, (folder / "errors").read_text(encoding="utf-8")
            time.sleep(0.1)
        yield server
        assert process.poll() is None, "the server went on to the end"
        assert MAIL not in (folder / "errors").read_text(encoding="utf-8")
    finally:
        stop(process, stubborn=request.param == "hypercorn")


def test_bodies_are_scrubbed_both_ways(served):
    reply = served.ask("/guarded/echo", json.dumps({"mail": MAIL}).encode())
    assert reply.status == 200
    assert json.loads(reply.body) == {"mail": GONE}
    assert json.loads(served.ask("/policy/x", json.dumps({"mail": MAIL}).encode()).body) == {"mail": GONE}
    assert served.ask("/open", method="GET").body == MAIL.encode()
    reply = served.ask("/guarded/json", method="GET")
    assert json.loads(reply.body) == {"mail": GONE}
    assert "etag" not in reply.headers
    assert reply.whole


@pytest.mark.parametrize(
    "path",
    ["/guarded%2Fecho", "//guarded//echo", "/GUARDED/echo", "/x/../guarded/echo", "/%67uarded/echo", "/guarded/./echo"],
)
def test_no_spelling_of_the_path_goes_around_the_rule(served, path):
    assert MAIL.encode() not in served.ask(path, json.dumps({"mail": MAIL}).encode()).body


@pytest.mark.parametrize("coding", ["gzip"])
def test_a_bomb_is_refused(served, coding):
    reply = served.ask("/guarded/echo", gzip.compress(bytes(64 << 20)), headers=f"Content-Encoding: {coding}\r\n")
    assert reply.status == 413
    assert served.alive()


def test_a_body_that_says_it_is_too_long_is_refused_before_it_is_asked_for(served):
    head = b"POST /guarded/echo HTTP/1.1\r\nHost: x\r\nContent-Type: text/plain\r\nContent-Length: 99999999\r\n"
    got = served.send(head + b"Expect: 100-continue\r\nConnection: close\r\n\r\n", patience=3)
    if served.name == "uvicorn":  # the others ask for every body before the application runs
        assert b" 100 " not in got.split(b"\r\n")[0]
    assert b" 413 " in got
    assert served.alive()


def test_a_body_in_chunks_without_an_end_is_refused_at_the_limit(served):
    head = b"POST /guarded/echo HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
    chunk = b"10000\r\n" + b" " * 0x10000 + b"\r\n"
    assert b" 413 " in served.send(head, *[chunk] * 40, patience=5)
    assert served.alive()


def test_a_client_that_sends_a_byte_a_second_is_told_that_it_took_too_long(served):
    head = b"POST /guarded/slow HTTP/1.1\r\nHost: x\r\nContent-Type: text/plain\r\nContent-Length: 60\r\n\r\n"
    begun = time.monotonic()
    got = served.send(head, *[b"x"] * 6, pause=0.5)
    assert b" 408 " in got
    assert time.monotonic() - begun < 8
    assert served.alive()
    assert "/guarded/slow" not in served.calls.read_text(encoding="utf-8")


def test_a_client_that_hangs_up_in_its_request_costs_nothing(served):
    for _ in range(5):
        with socket.create_connection(("127.0.0.1", served.port)) as wire:
            wire.sendall(
                b"POST /guarded/gone HTTP/1.1\r\nHost: x\r\nContent-Length: 60\r\nContent-Type: text/plain\r\n\r\nhi"
            )
    assert served.alive()
    assert "/guarded/gone" not in served.calls.read_text(encoding="utf-8")


def test_a_client_that_hangs_up_in_its_response_costs_nothing(served):
    for _ in range(5):
        with socket.create_connection(("127.0.0.1", served.port)) as wire:
            wire.sendall(b"GET /guarded/lines HTTP/1.1\r\nHost: x\r\n\r\n")
    assert served.alive()


@pytest.mark.parametrize(
    "lengths",
    [
        "Content-Length: 2\r\nContent-Length: 40\r\n",
        "Content-Length: 2\r\nTransfer-Encoding: chunked\r\n",
        "Content-Length: +2\r\n",
        "Content-Length: 2, 40\r\n",
    ],
)
def test_conflicting_lengths_are_refused_and_nothing_is_smuggled_behind_them(served, lengths):
    smuggled = b"GET /guarded/smuggled HTTP/1.1\r\nHost: x\r\n\r\n"
    head = f"POST /guarded/echo HTTP/1.1\r\nHost: x\r\nContent-Type: text/plain\r\n{lengths}\r\n".encode()
    got = served.send(head + b"hi" + smuggled, patience=2)
    assert got.count(b"HTTP/1.1 2") == 0
    assert served.alive()
    assert "/guarded/smuggled" not in served.calls.read_text(encoding="utf-8")


def test_what_follows_a_refused_body_is_not_taken_for_a_request(served):
    inner = b"GET /guarded/smuggled HTTP/1.1\r\nHost: x\r\n\r\n"
    body = b"\x89PNG" + inner
    head = f"POST /guarded/echo HTTP/1.1\r\nHost: x\r\nContent-Type: image/png\r\nContent-Length: {len(body)}\r\n\r\n"
    got = served.send(head.encode() + body, patience=2)
    assert got.count(b"HTTP/1.1 ") == 1
    assert b" 415 " in got
    assert "/guarded/smuggled" not in served.calls.read_text(encoding="utf-8")


@pytest.mark.parametrize("path", ["/guarded/header", "/guarded/image", "/guarded/blocked"])
def test_a_response_that_cannot_be_let_out_is_withheld_or_ended_uncleanly(served, path):
    reply = served.ask(path, method="GET")
    assert b"536-90" not in reply.body
    assert b"PNG" not in reply.body
    assert "set-cookie" not in reply.headers
    assert b"never" not in reply.body
    assert reply.status == 502 or not reply.whole
    if reply.status == 502:
        assert json.loads(reply.body)["decision_id"].startswith("agd_")
    assert served.alive()


def test_a_response_without_a_body_stays_one(served):
    reply = served.ask("/guarded/empty", method="GET")
    assert reply.status == 204
    assert reply.body == b""
    head = served.ask("/guarded/json", method="HEAD")
    assert head.status == 200
    assert head.body == b""


def test_an_application_that_breaks_down_in_its_response_ends_it_uncleanly(served):
    if served.name == "gunicorn":  # which answers nothing where nothing went out
        path, kind = "/guarded/blocked", "text/plain"
    else:
        path, kind = "/guarded/dies", "application/json"
    reply = served.ask(path, b"{}", kind=kind)
    assert reply.status >= 500 or not reply.whole
    assert served.alive()


ENDED = {
    "/guarded/events/ambiguous": "response.refused",
    "/guarded/events/binary": "response.refused",
    "/guarded/events/endless": "response.refused",
    "/guarded/events/dies": "response.broken",
    "/guarded/document/malformed": "response.refused",
    "/guarded/document/dies": "response.broken",
}


def test_a_stream_that_is_malformed_or_dies_within_a_frame_ends_uncleanly_on_record_and_shows_nothing_raw(served):
    before = served.recorded()
    for path in ENDED:
        reply = served.ask(path, method="GET")
        assert reply.status == 200, path
        assert not reply.whole, path
        assert b"hello there" in reply.body, path
        for raw in (b"jane", b"example", b"never", b"xxx"):
            assert raw not in reply.body, path
    assert served.alive()
    wanted = Counter(ENDED.values())
    deadline = time.monotonic() + 30
    while (done := served.recorded() - before) & wanted != wanted and time.monotonic() < deadline:
        time.sleep(0.1)
    assert {type: done[type] for type in wanted} == wanted


def test_a_websocket_is_refused_closed_or_scrubbed(served):
    if served.name == "gunicorn":
        reply = served.ask("/guarded/socket", method="GET", headers="Connection: Upgrade\r\nUpgrade: websocket\r\n")
        assert reply.status == 403
        return
    with pytest.raises(websockets.exceptions.InvalidStatus) as refused:
        connect(f"ws://127.0.0.1:{served.port}/guarded/other").__enter__()
    assert refused.value.response.status_code == 403
    with connect(f"ws://127.0.0.1:{served.port}/guarded/socket") as wire:
        wire.send(f"write to {MAIL}")
        assert wire.recv(timeout=5) == f"write to {GONE}"
        wire.send(b"\x00")
        with pytest.raises(websockets.exceptions.ConnectionClosed):
            wire.recv(timeout=5)
        assert wire.close_code == 1003
    assert served.alive()
