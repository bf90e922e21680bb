"""A model server on a loopback socket that records what reached it, and handlers that stand in for the pipeline."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from aiguard.errors import Blocked, ContentBlocked
from aiguard.providers import RawRequest, RawResponse, wire_for
from aiguard.types import Decision, Effect, Reason

CHAT_ANSWER: dict[str, Any] = {
    "id": "chatcmpl-9",
    "object": "chat.completion",
    "created": 1_732_312_345,
    "model": "gpt-5-mini",
    "choices": [
        {
            "index": 0,
            "finish_reason": "stop",
            "message": {"role": "assistant", "content": "hello there", "refusal": None},
        }
    ],
    "usage": {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5},
}
RESPONSES_ANSWER: dict[str, Any] = {
    "id": "resp_9",
    "object": "response",
    "created_at": 1_732_312_345,
    "status": "completed",
    "model": "gpt-5-mini",
    "output": [
        {
            "type": "message",
            "id": "msg_1",
            "status": "completed",
            "role": "assistant",
            "content": [{"type": "output_text", "text": "hello there", "annotations": [], "logprobs": []}],
        },
        {
            "type": "function_call",
            "id": "fc_1",
            "call_id": "call_1",
            "status": "completed",
            "name": "mail",
            "arguments": '{"to":"alice@example.com","copies":2}',
        },
    ],
    "parallel_tool_calls": True,
    "tool_choice": "auto",
    "tools": [],
    "usage": {"input_tokens": 3, "output_tokens": 2, "total_tokens": 5},
}


@dataclass
class Received:
    method: str
    path: str
    headers: list[tuple[str, str]]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    def header(self, name: str) -> str | None:
        values = [value for key, value in self.headers if key.lower() == name]
        assert len(values) <= 1
        return values[0] if values else None


@dataclass
class Answer:
    """What the server answers with. ``pause`` seconds pass before each of the body's bytes when ``drip`` is set."""

    status: int = 200
    headers: dict[str, str] = field(default_factory=lambda: {"content-type": "application/json"})
    body: bytes = b""
    delay: float = 0.0
    drip: float = 0.0
    length: int | None = None

    @classmethod
    def of(cls, value: Any, **kwargs: Any) -> Answer:
        return cls(body=json.dumps(value).encode(), **kwargs)


class ModelServer:
    """Answers every request with ``answers[n]`` (the last one repeats), or by path when there are none."""

    def __init__(self) -> None:
        self.received: list[Received] = []
        self.answers: list[Answer] = []
        self.connections = 0
        outer = self

        class Served(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def setup(self) -> None:
                outer.connections += 1
                super().setup()

            def _serve(self) -> None:
                body = self.rfile.read(int(self.headers.get("content-length") or 0))
                outer.received.append(Received(self.command, self.path, list(self.headers.items()), body))
                outer.write(self, outer.next_answer(self.path))

            do_GET = do_POST = do_DELETE = do_PUT = _serve  # noqa: N815

            def log_message(self, *_args: Any) -> None:
                pass

        class Quiet(ThreadingHTTPServer):
            def handle_error(self, request: Any, client_address: Any) -> None:
                """Clients hang up in these tests."""

        self._server = Quiet(("127.0.0.1", 0), Served)
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()

    @property
    def origin(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    @property
    def base_url(self) -> str:
        return self.origin + "/v1"

    def next_answer(self, path: str) -> Answer:
        if self.answers:
            return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        return Answer.of(CHAT_ANSWER if path.endswith("/chat/completions") else RESPONSES_ANSWER)

    def write(self, served: BaseHTTPRequestHandler, answer: Answer) -> None:
        time.sleep(answer.delay)
        try:
            served.send_response(answer.status)
            for name, value in answer.headers.items():
                served.send_header(name, value)
            served.send_header("content-length", str(len(answer.body) if answer.length is None else answer.length))
            served.end_headers()
            if not answer.drip:
                served.wfile.write(answer.body)
                if answer.length is not None:
                    served.close_connection = True
                return
            for index in range(len(answer.body)):
                time.sleep(answer.drip)
                served.wfile.write(answer.body[index : index + 1])
                served.wfile.flush()
        except OSError:
            served.close_connection = True

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


def shout(text: str) -> str:
    return text.upper()


class Shouting:
    """Upper-cases all prose and tool arguments, on the way out and on the way back; records what it was asked."""

    def __init__(self, change: Callable[[str], str] = shout, *, limit: int | None = None) -> None:
        self.change = change
        self.limit = limit
        self.requests: list[RawRequest] = []
        self.failures: list[BaseException] = []
        self.refusals: list[Blocked] = []

    def _out(self, request: RawRequest) -> Any:
        self.requests.append(request)
        taken = wire_for(request.provider).request(request)
        return taken, taken.render(self._texts(taken.parts), max_output_tokens=self.limit or taken.max_output_tokens)

    def _texts(self, parts: Any) -> list[str | None]:
        return [None if part.channel == "meta" else self.change(part.text) for part in parts]

    def _back(self, taken: Any, answer: RawResponse, provider: str) -> RawResponse:
        read = wire_for(provider).response(taken, answer)
        return read.render(self._texts(read.parts))

    def handle(self, request: RawRequest, send: Any) -> RawResponse:
        taken, out = self._out(request)
        try:
            answer = send(out)
        except BaseException as error:
            self.failures.append(error)
            error.aiguard_decision_id = "agd_1"  # type: ignore[attr-defined]
            raise
        return self._back(taken, answer, request.provider)

    async def ahandle(self, request: RawRequest, send: Any) -> RawResponse:
        taken, out = self._out(request)
        try:
            answer = await send(out)
        except BaseException as error:
            self.failures.append(error)
            error.aiguard_decision_id = "agd_1"  # type: ignore[attr-defined]
            raise
        return self._back(taken, answer, request.provider)

    def refused(self, refusal: Blocked, *, provider: str) -> None:
        assert provider in {"anthropic", "openai"}
        self.refusals.append(refusal)


class Refusing(Shouting):
    """Blocks everything, as a control would."""

    def _block(self, request: RawRequest) -> ContentBlocked:
        self.requests.append(request)
        reason = Reason(code="test.blocked", detail="the test says no")
        return ContentBlocked(Decision(effect=Effect.BLOCK, reasons=(reason,)))

    def handle(self, request: RawRequest, send: Any) -> RawResponse:
        raise self._block(request)

    async def ahandle(self, request: RawRequest, send: Any) -> RawResponse:
        raise self._block(request)
