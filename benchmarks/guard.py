"""What the whole guard adds to a call: all seven stages, the real detector, and SQLite forced to disk.

Two ways, interleaved call by call so that a drifting machine disturbs both sides alike: a model in this process, which costs
nothing, through ``guard.call``; and a local HTTP server in another process through the OpenAI SDK, bare and guarded.
"""

from __future__ import annotations

import json
import multiprocessing
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from openai import OpenAI

from aiguard import Actor, load_policy, open_guard
from aiguard.detect import known_types
from aiguard.settings import Settings

CALLS = 300
WARM_UP = 30

POLICY = """
[features.bench]
scope = "bench"
owner = "bench"
models = ["local:small", "openai:small"]
max_input_tokens = 8000
redact = { EMAIL_ADDRESS = "tokenize", PHONE_NUMBER = "tokenize", CREDIT_CARD = "mask" }
keep = { prompt = "redacted", output = "redacted" }

[retention.prompt]
duration = "30d"
basis = "bench"
mechanism = "delete"
owner = "bench"

[retention.output]
duration = "30d"
basis = "bench"
mechanism = "delete"
owner = "bench"
"""

PROMPT = (
    "Hello, my parcel with the blue kettle has not arrived although the carrier says that it was delivered on Monday. "
    "I was at home all day and nobody rang. Could you please look into it and tell me what happens next? "
) * 9 + "You can reach me at jane.doe@example.org or +44 20 7946 0958; I paid with 4111 1111 1111 1111."


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""

    def do_POST(self) -> None:
        """Answer any chat completion."""
        self.rfile.read(int(self.headers["content-length"]))
        message = {"role": "assistant", "content": "We have asked the carrier and will write to you tomorrow."}
        body = json.dumps(
            {
                "id": "chatcmpl-1",
                "object": "chat.completion",
                "created": 1,
                "model": "small",
                "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
                "usage": {"prompt_tokens": 500, "completion_tokens": 12, "total_tokens": 512},
            }
        ).encode()
        head = f"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
        self.wfile.write(head.encode() + body)


def _serve(ports: Any) -> None:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    ports.put(server.server_port)
    server.serve_forever()


@contextmanager
def _model_server() -> Iterator[str]:
    context = multiprocessing.get_context("spawn")
    ports = context.Queue()
    process = context.Process(target=_serve, args=(ports,), daemon=True)
    process.start()
    try:
        yield f"http://127.0.0.1:{ports.get(timeout=30)}/v1"
    finally:
        process.terminate()
        process.join()


def _timed(call: Callable[[], Any]) -> float:
    started = time.perf_counter()
    call()
    return (time.perf_counter() - started) * 1000


def _percentiles(name: str, times: list[float]) -> dict[str, float]:
    ordered = sorted(times)
    return {
        f"{name}_ms_p50": round(statistics.median(ordered), 2),
        f"{name}_ms_p99": round(ordered[int(len(ordered) * 0.99)], 2),
    }


def run() -> dict[str, float | int | str]:
    """Figures in milliseconds."""
    with tempfile.TemporaryDirectory() as folder, _model_server() as base_url:
        policy = Path(folder, "aiguard.toml")
        policy.write_text(POLICY)
        config = {
            "AIGUARD_ENVIRONMENT": "test",
            "AIGUARD_DATABASE_URL": f"sqlite:///{folder}/aiguard.db",
            "AIGUARD_KEY_FILE": f"{folder}/master.key",
            "AIGUARD_OPENAI_BASE_URL": base_url,
            "AIGUARD_OPENAI_API_KEY": "sk-bench",
        }
        guard = open_guard(Settings.load(config, {}), policy=load_policy(policy, known_types()))
        bare, guarded = OpenAI(base_url=base_url, api_key="sk-bench"), guard.client(OpenAI)
        messages: Any = [{"role": "user", "content": PROMPT}]
        inside, plain, through = [], [], []
        with guard.acting_as(Actor(id="bench", scopes=frozenset({"bench"})), scope="bench"):
            for number in range(WARM_UP + CALLS):
                one = _timed(lambda: guard.call(lambda _m, **_o: "Thank you.", messages, model="local:small"))
                two = _timed(lambda: bare.chat.completions.create(model="small", messages=messages))
                three = _timed(lambda: guarded.chat.completions.create(model="small", messages=messages))
                if number >= WARM_UP:
                    inside.append(one)
                    plain.append(two)
                    through.append(three)
        guard.close()
    added = [guarded_ms - bare_ms for guarded_ms, bare_ms in zip(through, plain, strict=True)]
    return {
        "guard_prompt_bytes": len(PROMPT.encode()),
        "guard_calls": CALLS,
        **_percentiles("guard_call", inside),
        **_percentiles("guard_sdk_bare", plain),
        **_percentiles("guard_sdk_guarded", through),
        **_percentiles("guard_added", added),
    }
