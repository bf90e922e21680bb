"""Guards for tests: real policy, detector and keys; a recorder that keeps what it was given, or fails as told."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import Any

from aiguard.detect import default_detector, known_types
from aiguard.errors import StoreError
from aiguard.guard import Guard
from aiguard.policy import parse_policy
from aiguard.settings import Environment, Settings
from aiguard.store import MasterKeyRing
from aiguard.types import Actor, ArtifactRecord, AuditRecord, Record

POLICY = """
[features.support-reply]
scope = "support:reply"
owner = "support-platform"
models = ["local:small"]
max_input_tokens = 4000
max_output_tokens = 500
redact = { EMAIL_ADDRESS = "tokenize", CREDIT_CARD = "mask", SECRET = "block" }
keep = { prompt = "redacted", output = "redacted" }

[retention.prompt]
duration = "30d"
basis = "GDPR Art. 6(1)(f)"
mechanism = "delete"
owner = "privacy-office"

[retention.output]
duration = "7d"
basis = "GDPR Art. 6(1)(f)"
mechanism = "delete"
owner = "privacy-office"
"""

JANE = Actor(id="jane", scopes=frozenset({"support:reply"}), tenant="acme")


class MemoryRecorder:
    """Keeps records in memory. ``fail_from`` is the number of the commit from which every commit fails."""

    def __init__(self, fail_from: int | None = None, error: Exception | None = None) -> None:
        self.commits: list[list[Record]] = []
        self.fail_from = fail_from
        self.error = error or StoreError("the test's store is broken")

    def commit(self, records: Sequence[Record]) -> Future[None]:
        future: Future[None] = Future()
        self.commits.append(list(records))
        if self.fail_from is not None and len(self.commits) >= self.fail_from:
            self.commits.pop()
            self.commits.append([])
            future.set_exception(self.error)
        else:
            future.set_result(None)
        return future

    @property
    def records(self) -> list[Record]:
        return [record for records in self.commits for record in records]

    @property
    def events(self) -> list[AuditRecord]:
        return [record for record in self.records if isinstance(record, AuditRecord)]

    @property
    def artifacts(self) -> list[ArtifactRecord]:
        return [record for record in self.records if isinstance(record, ArtifactRecord)]

    def types(self) -> list[str]:
        return [event.type for event in self.events]


def make_guard(
    policy: str = POLICY,
    *,
    recorder: MemoryRecorder | None = None,
    environment: Environment = Environment.TEST,
    **options: Any,
) -> tuple[Guard, MemoryRecorder]:
    recorder = recorder or MemoryRecorder()
    guard = Guard(
        policy=parse_policy(policy, "test policy", known_types()),
        settings=options.pop("settings", None) or Settings(environment=environment),
        detector=options.pop("detector", None) or default_detector(),
        recorder=recorder,
        keys=options.pop("keys", None) or MasterKeyRing([b"k" * 32]),
        **options,
    )
    return guard, recorder


class Model:
    """A model in this process: answers with ``answer`` (a value, or a function of what it was sent) and remembers."""

    def __init__(self, answer: Any = "fine") -> None:
        self.answer: Any = answer
        self.received: list[tuple[Any, dict[str, Any]]] = []

    def __call__(self, messages: Any, **options: Any) -> Any:
        self.received.append((messages, options))
        if isinstance(self.answer, BaseException):
            raise self.answer
        return self.answer(messages) if isinstance(self.answer, Callable) else self.answer  # type: ignore[arg-type]

    async def asynchronously(self, messages: Any, **options: Any) -> Any:
        return self(messages, **options)


def user(text: str) -> list[dict[str, str]]:
    return [{"role": "user", "content": text}]
