"""The doors of the contract. Each takes a text in, lets a text out, and lets a streamed text out; what it cannot do it lacks."""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import json
import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import anthropic
import openai
from click.testing import CliRunner
from starlette.testclient import TestClient
from tests.contract import served
from tests.contract.corpus import BLOCKED, RULES, Outcome
from tests.support.guards import JANE, POLICY, make_guard
from tests.support.messages import event, events, says
from tests.support.scripted import Script, ScriptedServer, chat_answer, chat_stream

from aiguard.cli import main
from aiguard.detect import known_types
from aiguard.errors import Blocked
from aiguard.flask import AIGuard
from aiguard.policy import parse_policy
from aiguard.settings import Environment, Settings

ROOT = Path(__file__).parents[2]
_TYPE = re.compile(r"holds an? (\w+)")

Into = Callable[[str], Outcome]
Live = Callable[[Sequence[str]], Outcome]


class Door:
    """A door: ``into``, ``out``, and the ways in which it streams."""

    def __init__(self, name: str, *, into: Into | None = None, out: Into | None = None, **live: Live) -> None:
        self.name = name
        self.into = into
        self.out = out
        self.live = live


def stopped(reasons: Sequence[str]) -> Outcome:
    types = tuple(sorted(found[1] for reason in reasons if (found := _TYPE.search(reason))))
    assert types, reasons
    return Outcome(blocked=types)


# --- web applications ------------------------------------------------------------------------------------------------

Post = Callable[[str, Any], tuple[int, bytes, bool]]
"""Path and body to status, body, and whether the answer came to its end."""


def _web(name: str, post: Post, *, streams: Sequence[str] = tuple(served.TYPES)) -> Door:
    def whole(path: str) -> Into:
        def ask(text: str) -> Outcome:
            status, body, ended = post(path, {"say": text})
            answer = json.loads(body)
            assert ended
            if status == 200:
                return Outcome(text=answer["say"])
            assert status == (422 if path == "/in" else 502), answer
            return stopped([reason["detail"] for reason in answer["reasons"]])

        return ask

    def live(path: str) -> Live:
        def ask(said: Sequence[str]) -> Outcome:
            status, body, ended = post(path, {"say": list(said)})
            if status == 502:
                return stopped([reason["detail"] for reason in json.loads(body)["reasons"]])
            assert status == 200
            text = _read(path, body)
            return Outcome(text=text) if ended else Outcome(text=text, blocked=("?",))

        return ask

    return Door(name, into=whole("/in"), out=whole("/out"), **{path[1:]: live(path) for path in streams})


def _read(path: str, body: bytes) -> str:
    if path == "/text":
        return body.decode()
    if path == "/document":  # of one that does not come to its end, what there is
        return str(json.loads(body if body.endswith(b'"}') else (body or b'{"delta":"') + b'"}')["delta"])
    if path == "/lines":
        return "".join(json.loads(line)["delta"] for line in body.decode().split("\n") if line)
    data = [each.removeprefix("data: ") for each in body.decode().split("\n\n") if each]
    return "".join(json.loads(each)["delta"] for each in data if each != "[DONE]")


COMMANDS: dict[str, Callable[[int], list[str]]] = {
    "asgi under uvicorn": lambda port: ["uvicorn", "tests.contract.served:asgi", "--port", str(port), "--log-level", "critical"],
    "asgi under hypercorn": lambda port: ["hypercorn", "tests.contract.served:asgi", "-b", f"127.0.0.1:{port}", "--log-level", "critical"],
    "wsgi under gunicorn": lambda port: [
        *("gunicorn", "tests.contract.served:wsgi", "-b", f"127.0.0.1:{port}", "--threads", "2", "--log-level", "critical"),
        "--no-control-socket",
    ],
}  # fmt: skip


@contextmanager
def web_servers(folder: Path) -> Iterator[list[Door]]:
    """Doors behind real servers, started together."""
    (folder / "aiguard.toml").write_text("", encoding="utf-8")
    kept = {name: value for name, value in os.environ.items() if not name.startswith("AIGUARD_")}
    environment = {
        **kept,
        "AIGUARD_ENVIRONMENT": "test",
        "PYTHONPATH": f"{ROOT}:{ROOT / 'src'}",
        "CONTRACT_SERVED": "1",
    }
    running: list[subprocess.Popen[bytes]] = []
    doors: list[Door] = []
    try:
        ports: list[int] = []
        for command in COMMANDS.values():
            with socket.socket() as probe:
                probe.bind(("127.0.0.1", 0))
                ports.append(int(probe.getsockname()[1]))
            running.append(subprocess.Popen([sys.executable, "-m", *command(ports[-1])], cwd=folder, env=environment))
        for name, port, process in zip(COMMANDS, ports, running, strict=True):
            for _ in range(600):
                with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
                    break
                assert process.poll() is None, name
                time.sleep(0.1)
            doors.append(_web(name, _over_the_wire(port)))
        yield doors
        assert all(process.poll() is None for process in running), "every server is still there"
    finally:
        for process in running:
            process.terminate()
        for process in running:
            process.wait(20)


def _over_the_wire(port: int) -> Post:
    def post(path: str, body: Any) -> tuple[int, bytes, bool]:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        connection.request("POST", path, json.dumps(body).encode(), {"Content-Type": "application/json"})
        response = connection.getresponse()
        try:
            data, ended = response.read(), True
        except http.client.IncompleteRead as error:
            data, ended = error.partial, False
        connection.close()
        return response.status, data, ended

    return post


@contextmanager
def in_process(folder: Path) -> Iterator[list[Door]]:
    """Frameworks through their own test clients."""
    doors: list[Door] = []
    for name, make in (("starlette", served.starlette_app), ("fastapi", served.fastapi_app)):
        guard, _ = make_guard()
        client = TestClient(make(guard=guard), raise_server_exceptions=False)
        doors.append(_web(name, _by_test_client(client), streams=["/live"]))
    app = served.flask_app()
    app.config |= {"AIGUARD_ENVIRONMENT": "test", "AIGUARD_DATABASE_URL": f"sqlite:///{folder / 'flask.db'}"}
    own = AIGuard(app, policy=parse_policy("", "test policy", known_types()))
    own.scrub_request("/in", rules=RULES)
    own.scrub_response("/out", "/<any(live, lines, text, document):path>", rules=RULES)
    browser = app.test_client()

    def post(path: str, body: Any) -> tuple[int, bytes, bool]:
        response = browser.post(path, json=body)
        return response.status_code, response.get_data(), True

    doors.append(_web("flask", post, streams=["/text"]))
    try:
        yield doors
    finally:
        own.guard.close()


def _by_test_client(client: TestClient) -> Post:
    def post(path: str, body: Any) -> tuple[int, bytes, bool]:
        seen = b""
        with client.stream("POST", path, json=body) as response:
            for chunk in response.iter_raw():
                seen += chunk
        ended = path != "/live" or response.status_code != 200 or seen.endswith(b"data: [DONE]\n\n")
        return response.status_code, seen, ended

    return post


# --- clients of models -----------------------------------------------------------------------------------------------

_OUTPUT = "[features.support-reply.output]\nredact = {rules}\n"


def _toml(rules: dict[str, str]) -> str:
    return "{ " + ", ".join(f'"{name}" = "{rule}"' for name, rule in rules.items()) + " }"


class Models:
    """Both SDKs behind a guard, and a server that remembers what reached it and says what it is told to."""

    def __init__(self) -> None:
        self.server = ScriptedServer(self._play)
        self.said: str = "fine"
        self.streamed: Sequence[str] = ()
        rules = _toml(RULES)
        policy = re.sub(r"redact = \{.*\}", lambda _: f"redact = {rules}", POLICY)
        policy = policy.replace('"local:small"', '"openai:small", "anthropic:small"')
        policy += _OUTPUT.replace("{rules}", rules)
        lookup = {
            "AIGUARD_OPENAI_BASE_URL": self.server.base_url,
            "AIGUARD_OPENAI_API_KEY": "sk-test",
            "AIGUARD_ANTHROPIC_BASE_URL": self.server.base_url.removesuffix("/v1"),
            "AIGUARD_ANTHROPIC_API_KEY": "sk-ant-test",
        }
        self.guard, _ = make_guard(policy, settings=Settings(environment=Environment.TEST, lookup=lookup))

    def _play(self, path: str, body: Any) -> Script:
        messages = path.endswith("/messages")
        if not body.get("stream"):
            return Script(body=says(self.said) if messages else chat_answer(self.said))
        return Script(chunks=_messages_stream(self.streamed) if messages else chat_stream(self.streamed))

    def received(self) -> str:
        """The text that reached the server last."""
        content = self.server.received[-1][1]["messages"][0]["content"]
        return str(content if isinstance(content, str) else content[0]["text"])


def _messages_stream(said: Sequence[str]) -> list[bytes]:
    whole = list(events(says("x")))
    at = next(number for number, each in enumerate(whole) if each["type"] == "content_block_delta")
    deltas = [{**whole[at], "delta": {"type": "text_delta", "text": piece}} for piece in said]
    return [event(each) for each in (*whole[:at], *deltas, *whole[at + 1 :])]


def _asked(text: str, **more: Any) -> dict[str, Any]:
    return {"model": "small", "max_tokens": 50, "messages": [{"role": "user", "content": text}], **more}


@contextmanager
def models() -> Iterator[list[Door]]:
    """Guarded SDK clients, sync and async, streaming and not."""
    stage = Models()
    clients: list[Any] = []

    def door(name: str, ask: Callable[[str], str], read: Callable[[list[str]], None]) -> Door:
        def into(text: str) -> Outcome:
            stage.said = "fine"
            return _guarded(stage, lambda: ask(text) and stage.received())

        def out(text: str) -> Outcome:
            stage.said = text
            return _guarded(stage, lambda: ask("hello"))

        def live(said: Sequence[str]) -> Outcome:
            stage.streamed = said
            seen: list[str] = []

            def run() -> str:
                read(seen)
                return ""

            outcome = _guarded(stage, run)
            return Outcome(text="".join(seen), blocked=outcome.blocked)

        return Door(name, into=into, out=out, stream=live)

    def openai_sync() -> Door:
        client = stage.guard.client(openai.OpenAI, max_retries=0)
        clients.append(client.close)

        def read(seen: list[str]) -> None:
            for chunk in client.chat.completions.create(**_asked("hello"), stream=True):
                seen.extend(choice.delta.content or "" for choice in chunk.choices)

        return door(
            "openai", lambda text: client.chat.completions.create(**_asked(text)).choices[0].message.content or "", read
        )

    def openai_async() -> Door:
        def ask(text: str) -> str:
            async def run() -> str:
                async with stage.guard.client(openai.AsyncOpenAI, max_retries=0) as client:
                    return (await client.chat.completions.create(**_asked(text))).choices[0].message.content or ""

            return asyncio.run(run())

        def read(seen: list[str]) -> None:
            async def run() -> None:
                async with stage.guard.client(openai.AsyncOpenAI, max_retries=0) as client:
                    async for chunk in await client.chat.completions.create(**_asked("hello"), stream=True):
                        seen.extend(choice.delta.content or "" for choice in chunk.choices)

            asyncio.run(run())

        return door("openai, async", ask, read)

    def anthropic_sync() -> Door:
        client = stage.guard.client(anthropic.Anthropic, max_retries=0)
        clients.append(client.close)

        def read(seen: list[str]) -> None:
            for each in client.messages.create(**_asked("hello"), stream=True):
                seen.extend(_said(each))

        return door("anthropic", lambda text: client.messages.create(**_asked(text)).content[0].to_dict()["text"], read)

    def anthropic_async() -> Door:
        def ask(text: str) -> str:
            async def run() -> Any:
                async with stage.guard.client(anthropic.AsyncAnthropic, max_retries=0) as client:
                    return (await client.messages.create(**_asked(text))).content[0].to_dict()["text"]

            return str(asyncio.run(run()))

        def read(seen: list[str]) -> None:
            async def run() -> None:
                async with stage.guard.client(anthropic.AsyncAnthropic, max_retries=0) as client:
                    async for each in await client.messages.create(**_asked("hello"), stream=True):
                        seen.extend(_said(each))

            asyncio.run(run())

        return door("anthropic, async", ask, read)

    try:
        yield [openai_sync(), openai_async(), anthropic_sync(), anthropic_async()]
    finally:
        for close in clients:
            close()
        stage.server.close()


def _said(each: Any) -> list[str]:
    """What one of Anthropic's events says."""
    return [each.delta.text] if each.type == "content_block_delta" and each.delta.type == "text_delta" else []


def _guarded(stage: Models, run: Callable[[], str]) -> Outcome:
    try:
        with stage.guard.acting_as(JANE, scope="support:reply", conversation="c"):
            return Outcome(text=run())
    except Blocked as blocked:
        return stopped([reason.detail for reason in blocked.reasons])


# --- the command line ------------------------------------------------------------------------------------------------


def command_line() -> Door:
    """``aiguard scan``, which says what it would stop and has no rules to stop it by."""

    def into(text: str) -> Outcome:
        data = text.encode()
        found = CliRunner().invoke(main, ["scan", "--json", "-"], input=data)
        types = {each["type"] for each in json.loads(found.stdout)["findings"]}
        if types & set(BLOCKED):
            return Outcome(blocked=tuple(sorted(types & set(BLOCKED))))
        shown = CliRunner().invoke(main, ["scan", "--redact", "-"], input=data)
        assert shown.exit_code == found.exit_code == int(bool(types))
        return Outcome(text=shown.stdout_bytes.decode())

    return Door("command line", into=into)
