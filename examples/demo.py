"""The demo: sends sample messages through the guarded desk over real HTTP, then proves that nothing protected got out.

What runs, each in its own process on a free loopback port: the local model server, the support desk with production rules
(generated key, migrated SQLite, logs at DEBUG), and the desk's twin without the guard. After all messages were sent:

1. every labelled value is looked for in what the model server received, in the database's files, in the desk's logs;
2. every message that had to be stopped must have been, with a decision that is on record, and must not have been sent;
3. the same search over the twin's traces must find every value, and planted values must be found in the desk's own traces,
   or else "no leak" would mean nothing;
4. the time that the guard adds is measured against the twin, request by request, with logs at INFO as in service.
"""

from __future__ import annotations

import base64
import json
import secrets
import sqlite3
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

from examples import attacks, leaks, report
from examples.evidence import Evidence, Message, Places, holds_secret, load_messages
from examples.processes import ChildFailed, Children, run_module
from examples.traffic import Browser, Reply
from examples.verdict import judge

HERE = Path(__file__).parent
POLICY = HERE / "flask_app" / "aiguard.toml"
THREADS = 4
PAIRS = 80
"""Requests of each kind for the timing, alternating, one at a time."""
LONG = 1_500
"""Characters from which a message counts as long: the timing uses these, about two kilobytes each."""
PROVIDER_TIMEOUT = 1.0
STORE_TIMEOUT = 1.0


def run(keep: Path | None = None) -> dict[str, Any]:
    """Run everything and return the report. ``keep`` is a folder in which all evidence stays."""
    started = time.monotonic()
    messages = load_messages()
    with _folder(keep) as root:
        places = Places(root=root)
        evidence = Evidence()
        with Children() as children:
            env = _desk_environment(places, evidence)
            at = _start(children, places, env)
            _exercise(at["desk"], at["twin"], env, places, evidence, messages)
            for name in ("desk", "twin"):
                children.stop(name)
            _measure(at["desk-timed"], at["twin-timed"], env["EXAMPLE_AGENT_PASSWORD"], evidence, messages)
            evidence.stored = list(leaks.in_database(places.database))
        result = judge(places, evidence, messages)
    result["seconds"] = round(time.monotonic() - started, 1)
    return result


@contextmanager
def _folder(keep: Path | None) -> Iterator[Path]:
    if keep is not None:
        keep.mkdir(parents=True, exist_ok=True)
        yield keep
        return
    with tempfile.TemporaryDirectory(prefix="aiguard-demo-", ignore_cleanup_errors=True) as root:
        yield Path(root)


# Sending


def _start(children: Children, places: Places, env: Mapping[str, str]) -> dict[str, str]:
    """Everything at once, since starting is mostly importing: the desk and its twin, each with a model server, twice.

    The first pair logs at DEBUG and is searched; the second logs at INFO and is timed.
    """
    run_module(
        "aiguard", ["db", "upgrade"], {name: value for name, value in env.items() if name.startswith("AIGUARD_")}
    )
    plain = {name: value for name, value in env.items() if not name.startswith("AIGUARD_")}

    def pair(name: str, module: str, record: Path, level: str, env: Mapping[str, str]) -> str:
        log = places.logs / f"{name}-model-server.log"
        arguments = ("--port=0", f"--record={record}")
        model = children.start(f"model server of {name}", "examples.model_server", *arguments, env={}, log=log)
        env = {**env, "OPENAI_BASE_URL": model, "EXAMPLE_LOG_LEVEL": level}
        return children.start(name, module, "--port=0", env=env, log=places.logs / f"{name}.log")

    desk, twin = "examples.flask_app", "examples.unguarded_twin"
    rows = (
        ("desk", desk, places.record, "DEBUG", env),
        ("twin", twin, places.twin_record, "DEBUG", plain),
        ("desk-timed", desk, places.timing_record, "INFO", env),
        ("twin-timed", twin, places.root / "received-from-timed-twin.jsonl", "INFO", plain),
    )
    with ThreadPoolExecutor(len(rows)) as pool:
        addresses = pool.map(lambda row: pair(*row), rows)
        return {row[0]: address for row, address in zip(rows, addresses, strict=True)}


def _exercise(
    desk: str, twin: str, env: Mapping[str, str], places: Places, evidence: Evidence, messages: Sequence[Message]
) -> None:
    """Everything that the proof looks at."""
    password = env["EXAMPLE_AGENT_PASSWORD"]
    with_secrets = [message for message in messages if holds_secret(message)]
    evidence.replies = _send_all(desk, password, "/support/reply", "message", messages)
    evidence.summaries = _send_all(desk, password, "/support/summarize", "message", with_secrets)
    evidence.notes = _send_all(desk, password, "/tickets/{id}/notes", "note", messages[:20])
    agent = Browser(desk).sign_in("agent", password)
    viewer = Browser(desk).sign_in("viewer", env["EXAMPLE_VIEWER_PASSWORD"])
    people = {"agent": agent, "viewer": viewer, "stranger": Browser(desk)}
    evidence.credentials += [value for browser in (agent, viewer) for value in browser.cookies.values()]
    for attack in attacks.ATTACKS:
        if not attack.reaches_model:
            with _locked(places.database) if attack.lock_database else nullcontext():
                evidence.attacks.append((attack, attack.send(people[attack.caller])))
    with ThreadPoolExecutor() as pool:  # a failing model server is waited for; the twin has its turn meanwhile
        slow = [attack for attack in attacks.ATTACKS if attack.reaches_model]
        answers = [pool.submit(attack.send, Browser(desk).sign_in("agent", password)) for attack in slow]
        evidence.twin = _send_all(twin, password, "/support/reply", "message", messages)
        evidence.attacks += [(attack, answer.result()) for attack, answer in zip(slow, answers, strict=True)]


def _measure(desk: str, twin: str, password: str, evidence: Evidence, messages: Sequence[Message]) -> None:
    """Guarded and not, alternating, one request at a time: what differs is the guard."""
    long_messages = [m for m in messages if len(m["text"]) >= LONG and not holds_secret(m)]
    guarded, unguarded = Browser(desk).sign_in("agent", password), Browser(twin).sign_in("agent", password)
    for number in range(PAIRS + 10):
        message = long_messages[number % len(long_messages)]
        body = {"message": message["text"], "ticket": f"timing-{number}"}
        pair = [(guarded, evidence.guarded_seconds), (unguarded, evidence.twin_seconds)]
        for browser, seconds in pair if number % 2 else reversed(pair):
            reply = browser.post("/support/reply", body)
            if reply.status != 200:
                raise RuntimeError(f"a timed request answered {reply.status} ({', '.join(reply.codes)})")
            if number >= 10:  # the first ones warm both up
                seconds.append(reply.seconds)


def _desk_environment(places: Places, evidence: Evidence) -> dict[str, str]:
    """Production settings with everything secret made for this run."""
    env = {
        "AIGUARD_ENVIRONMENT": "production",
        "AIGUARD_POLICY": str(POLICY),
        "AIGUARD_DATABASE_URL": f"sqlite:///{places.database / 'aiguard.db'}",
        "AIGUARD_KEYS": base64.b64encode(secrets.token_bytes(32)).decode(),
        "AIGUARD_PROVIDER_TIMEOUT_SECONDS": str(PROVIDER_TIMEOUT),
        "AIGUARD_STORE_TIMEOUT_SECONDS": str(STORE_TIMEOUT),
        "OPENAI_API_KEY": "sk-demo-" + secrets.token_hex(20),
        "EXAMPLE_AGENT_PASSWORD": secrets.token_urlsafe(16),
        "EXAMPLE_VIEWER_PASSWORD": secrets.token_urlsafe(16),
        "EXAMPLE_SECRET_KEY": secrets.token_urlsafe(32),
    }
    secret_names = (
        "AIGUARD_KEYS",
        "OPENAI_API_KEY",
        "EXAMPLE_AGENT_PASSWORD",
        "EXAMPLE_VIEWER_PASSWORD",
        "EXAMPLE_SECRET_KEY",
    )
    evidence.credentials += [env[name] for name in secret_names]
    return env


def _send_all(
    address: str, password: str, path: str, key: str, messages: Sequence[Message]
) -> list[tuple[Message, Reply]]:
    """Each message once, by a few people at the same time, each with a session and a connection."""

    def work(share: Sequence[Message]) -> list[tuple[Message, Reply]]:
        browser = Browser(address).sign_in("agent", password)
        try:
            return [
                (message, browser.post(path.format(id=message["id"]), {key: message["text"], "ticket": message["id"]}))
                for message in share
            ]
        finally:
            browser.close()

    with ThreadPoolExecutor(THREADS) as pool:
        shares = [messages[start::THREADS] for start in range(THREADS)]
        return [item for done in pool.map(work, shares) for item in done]


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Hold the write lock of the desk's database, as a stuck backup would."""
    connection = sqlite3.connect(folder / "aiguard.db", isolation_level=None, timeout=5)
    try:
        connection.execute("BEGIN IMMEDIATE")
        yield
        connection.execute("ROLLBACK")
    finally:
        connection.close()


def main(*, as_json: bool = False, keep: Path | None = None) -> int:
    """Run, print the report, and return the exit code: 1 when anything got out or was not as expected."""
    print("sending the sample messages through the guarded support desk (about half a minute)", file=sys.stderr)
    try:
        result = run(keep)
    except ChildFailed as problem:
        print(f"the demo could not run: {problem}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("stopped; all processes of the demo have ended", file=sys.stderr)
        return 130
    print(json.dumps(result, ensure_ascii=False, indent=2) if as_json else "\n".join(report.lines(result)))
    return 1 if result["failures"] or result["leaks"] else 0
