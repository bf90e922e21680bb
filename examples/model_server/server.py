"""HTTP for the local model server, the record of what it received, and the faults a prompt can ask for.

Faults, for tests: ``#model:hang=SECONDS`` answers late, ``#model:garbage`` answers bytes that are not JSON,
``#model:shape`` answers JSON of no known shape, ``#model:empty`` answers nothing, ``#model:truncate`` closes the connection
in the middle of the body, ``#model:error=STATUS`` answers an error, ``#model:redirect`` answers a redirect,
``#model:tool`` calls the first tool, ``#model:say=some_words`` answers these words.
"""

from __future__ import annotations

import base64
import json
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import IO, ClassVar
from urllib.parse import urlsplit

from examples.model_server import messages, responder, wire

MAX_BODY = 64 * 1024 * 1024


class Record:
    """A JSON-lines file with every request: ``at``, ``method``, ``path``, ``headers``, ``body`` (base64 of the exact bytes)."""

    def __init__(self, path: Path | None) -> None:
        self._lock = threading.Lock()
        self._file: IO[str] | None = path.open("a", encoding="utf-8") if path else None

    def write(self, method: str, path: str, headers: list[tuple[str, str]], body: bytes) -> None:
        """Append one request and flush, before it is answered."""
        if self._file is None:
            return
        row = {
            "at": time.time(),
            "method": method,
            "path": path,
            "headers": headers,
            "body": base64.b64encode(body).decode("ascii"),
        }
        with self._lock:
            self._file.write(json.dumps(row) + "\n")
            self._file.flush()

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            if self._file is not None:
                self._file.close()
                self._file = None


class ModelServer(ThreadingHTTPServer):
    """Listens on the loopback interface; ``url`` is the base URL for an OpenAI client, ``origin`` for an Anthropic client."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, port: int = 0, record: Path | None = None, *, pace: float = 0.0) -> None:
        self.record = Record(record)
        self.pace = pace
        """Seconds between two frames of a stream."""
        super().__init__(("127.0.0.1", port), Handler)

    @property
    def url(self) -> str:
        """The base URL, ending in ``/v1``."""
        return f"{self.origin}/v1"

    @property
    def origin(self) -> str:
        """The base URL without a path."""
        return f"http://127.0.0.1:{self.server_address[1]}"

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that hangs up is not worth a traceback."""


class Handler(BaseHTTPRequestHandler):
    """One connection. HTTP/1.1 with keep-alive."""

    protocol_version = "HTTP/1.1"
    server_version = "local-model-server"
    sys_version = ""
    disable_nagle_algorithm = True
    wbufsize = -1
    server: ModelServer
    _endpoints: ClassVar[dict[str, bool]] = {"/v1/chat/completions": False, "/v1/responses": True}

    def log_message(self, format: str, *arguments: object) -> None:
        """Silence: the record says more."""

    def do_GET(self) -> None:
        """``/v1/models`` lists the models, ``/health`` says that the server is up."""
        path = urlsplit(self.path).path
        self.server.record.write("GET", self.path, self.headers.items(), b"")
        if path == "/health":
            self._json(200, {"status": "ok"})
        elif path == "/v1/models":
            self._json(200, wire.models())
        else:
            self._json(404, wire.error(f"Invalid URL (GET {path})"))

    def do_POST(self) -> None:
        """The two endpoints; everything else is an error as OpenAI words it."""
        body = self._read_body()
        if body is None:
            return
        self.server.record.write("POST", self.path, self.headers.items(), body)
        path = urlsplit(self.path).path
        if path in ("/v1/messages", "/v1/messages/count_tokens"):
            self._messages(body, counting=path != "/v1/messages")
            return
        if path not in self._endpoints:
            self._json(404, wire.error(f"Invalid URL (POST {path})"))
            return
        if not (self.headers.get("Authorization") or "").startswith("Bearer "):
            self._json(401, wire.error("You didn't provide an API key.", code="invalid_api_key"))
            return
        responses = self._endpoints[path]
        try:
            asked = wire.read(body, responses=responses)
        except wire.BadRequest as problem:
            self._json(400, wire.error(str(problem)))
            return
        if self._fault(asked, lambda text, _: wire.error(text, "server_error")):
            return
        said = wire.reply(asked)
        if asked.stream:
            frames = wire.response_stream(asked, said) if responses else wire.chat_stream(asked, said)
            self._stream(frames)
        else:
            self._json(200, wire.response(asked, said) if responses else wire.chat(asked, said))

    def _messages(self, body: bytes, *, counting: bool) -> None:
        """The two endpoints of Anthropic."""
        if not self.headers.get("x-api-key") or not self.headers.get("anthropic-version"):
            self._json(401, messages.error("x-api-key and anthropic-version headers are required", 401))
            return
        try:
            asked = messages.read(body, counting=counting)
        except wire.BadRequest as problem:
            self._json(400, messages.error(str(problem), 400))
            return
        if self._fault(asked, messages.error):
            return
        said = wire.reply(asked)
        if counting:
            self._json(200, messages.count(asked))
        elif asked.stream:
            self._stream(messages.message_stream(asked, said))
        else:
            self._json(200, messages.message(asked, said))

    def _read_body(self) -> bytes | None:
        """The body by its length; ``None`` when an error was answered instead."""
        try:
            length = int(self.headers.get("Content-Length") or "")
        except ValueError:
            length = -1
        if not 0 <= length <= MAX_BODY:
            self.close_connection = True
            self._json(411 if length < 0 else 413, wire.error("A Content-Length of at most 64 MiB is required."))
            return None
        return self.rfile.read(length)

    def _fault(self, asked: wire.Asked, failure: Callable[[str, int], wire.Json]) -> bool:
        """Do what the prompt asks for; True when that was the whole answer. ``failure`` words an error for its status."""
        wish = responder.directive(asked.text)
        if wish is None:
            return False
        if wish.name == "hang":
            time.sleep(wish.seconds(30.0))
        elif wish.name == "garbage":
            self._send(200, b"\x00\xff{not json at all", "application/json")
            return True
        elif wish.name == "shape":
            self._json(200, {"object": "surprise", "words": [asked.text]})
            return True
        elif wish.name == "empty":
            self._send(200, b"", "application/json")
            return True
        elif wish.name == "truncate":
            self._send(200, b'{"id": "chatcmpl-', "application/json", length=4096)
            self.close_connection = True
            return True
        elif wish.name == "error":
            status = int(wish.value) if wish.value.isdigit() and 400 <= int(wish.value) <= 599 else 500
            self._json(status, failure(f"The local model server failed as asked: {asked.text[:200]}", status))
            return True
        elif wish.name == "redirect":
            self._send(
                307, b"", "application/json", location=f"http://127.0.0.1:{self.server.server_address[1]}/elsewhere"
            )
            return True
        return False

    def _json(self, status: int, body: wire.Json) -> None:
        self._send(status, json.dumps(body, ensure_ascii=False).encode("utf-8", "replace"), "application/json")

    def _send(
        self, status: int, body: bytes, kind: str, *, length: int | None = None, location: str | None = None
    ) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body) if length is None else length))
        if location is not None:
            self.send_header("Location", location)
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(body)
        self.wfile.flush()

    def _stream(self, frames: Iterator[bytes]) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream; charset=utf-8")
        self.send_header("Cache-Control", "no-cache")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for frame in frames:
            self.wfile.write(f"{len(frame):x}\r\n".encode() + frame + b"\r\n")
            self.wfile.flush()
            if self.server.pace:
                time.sleep(self.server.pace)
        self.wfile.write(b"0\r\n\r\n")
        self.wfile.flush()


def start(port: int = 0, record: Path | None = None) -> ModelServer:
    """A server that answers in a background thread; ``shutdown()`` and ``server_close()`` end it."""
    server = ModelServer(port, record)
    threading.Thread(
        target=server.serve_forever, kwargs={"poll_interval": 0.05}, name="local-model-server", daemon=True
    ).start()
    return server
