"""A model server over a socket that plays scripted answers, streamed in whatever chunks a test wants."""

from __future__ import annotations

import json
import socketserver
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class Script:
    """One answer: a JSON ``body``, or server-sent events in ``chunks``. ``cut`` closes the connection before its end."""

    body: Any = None
    chunks: Sequence[bytes] = ()
    status: int = 200
    cut: bool = False
    pause: float = 0.0
    headers: dict[str, str] = field(default_factory=dict)


class ScriptedServer:
    """Answers each POST with what ``script(path, body)`` says, and remembers what it was sent."""

    def __init__(self, script: Callable[[str, Any], Script]) -> None:
        self.script = script
        self.received: list[tuple[str, Any, dict[str, str]]] = []
        self.closed_early = threading.Event()
        outer = self

        class Served(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                content = self.rfile.read(int(self.headers.get("content-length") or 0))
                body = json.loads(content)
                headers = {name.lower(): value for name, value in self.headers.items()}
                outer.received.append((self.path, body, headers))
                outer.play(self, outer.script(self.path, body))

            def log_message(self, *_args: Any) -> None:
                pass

        class Quiet(ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, request: Any, client_address: Any) -> None:
                """Clients hang up in these tests."""

        self._server: socketserver.BaseServer = Quiet(("127.0.0.1", 0), Served)
        self._port = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()

    @property
    def base_url(self) -> str:
        """Where the API is."""
        return f"http://127.0.0.1:{self._port!s}/v1"

    def play(self, served: BaseHTTPRequestHandler, script: Script) -> None:
        """Write one answer."""
        served.send_response(script.status)
        for name, value in script.headers.items():
            served.send_header(name, value)
        if script.body is not None:
            data = json.dumps(script.body).encode()
            served.send_header("content-type", "application/json")
            served.send_header("content-length", str(len(data)))
            served.end_headers()
            served.wfile.write(data)
            return
        served.send_header("content-type", "text/event-stream; charset=utf-8")
        served.send_header("transfer-encoding", "chunked")
        served.end_headers()
        try:
            for chunk in script.chunks:
                served.wfile.write(b"%x\r\n%s\r\n" % (len(chunk), chunk))
                served.wfile.flush()
                if script.pause:
                    time.sleep(script.pause)
            if script.cut:
                served.close_connection = True
                return
            served.wfile.write(b"0\r\n\r\n")
        except OSError:
            self.closed_early.set()
            served.close_connection = True

    def close(self) -> None:
        """Stop serving."""
        self._server.shutdown()
        self._server.server_close()


def sse(*values: Any) -> bytes:
    """Events of these values; a string stands as it is."""
    return b"".join(f"data: {value if isinstance(value, str) else json.dumps(value)}\n\n".encode() for value in values)


def chat_chunk(delta: dict[str, Any], *, finish: str | None = None, index: int = 0, **extra: Any) -> dict[str, Any]:
    """One chunk of a chat completion."""
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion.chunk",
        "created": 1_700_000_000,
        "model": "small",
        "choices": [{"index": index, "delta": delta, "finish_reason": finish, "logprobs": None}],
        **extra,
    }


def chat_stream(pieces: Sequence[str], **extra: Any) -> list[bytes]:
    """A whole chat completion in chunks, one event a piece."""
    return [
        sse(chat_chunk({"role": "assistant", "content": ""})),
        *(sse(chat_chunk({"content": piece})) for piece in pieces),
        sse(chat_chunk({}, finish="stop", **extra)),
        sse("[DONE]"),
    ]


def chat_answer(text: str) -> dict[str, Any]:
    """A whole chat completion."""
    message = {"role": "assistant", "content": text, "refusal": None}
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1_700_000_000,
        "model": "small",
        "choices": [{"index": 0, "message": message, "finish_reason": "stop", "logprobs": None}],
        "usage": {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5},
    }
