"""What a run of the demo leaves behind: the answers, the files, and the messages they came from."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from examples import attacks
from examples.traffic import Reply

HERE = Path(__file__).parent
Message = dict[str, Any]


def load_messages() -> list[Message]:
    """The sample messages: see ``data/README.md``."""
    text = (HERE / "data" / "support_messages.jsonl").read_text(encoding="utf-8")
    return [json.loads(line) for line in text.splitlines()]


@dataclass(kw_only=True)
class Evidence:
    """Everything that happened, before it is judged."""

    replies: list[tuple[Message, Reply]] = field(default_factory=list)
    """Message and answer, of the desk's reply route."""
    summaries: list[tuple[Message, Reply]] = field(default_factory=list)
    """The messages with secrets again, on the route whose policy takes secrets out instead of refusing."""
    notes: list[tuple[Message, Reply]] = field(default_factory=list)
    attacks: list[tuple[attacks.Attack, Reply]] = field(default_factory=list)
    twin: list[tuple[Message, Reply]] = field(default_factory=list)
    guarded_seconds: list[float] = field(default_factory=list)
    twin_seconds: list[float] = field(default_factory=list)
    stored: list[tuple[str, bytes]] = field(default_factory=list)
    """The database's files, with write-ahead log and shared memory, while the desk was still running; and all cells."""
    credentials: list[str] = field(default_factory=list)
    """The desk's own secrets: never in its database or logs."""


@dataclass(frozen=True, kw_only=True)
class Places:
    """The files of one run."""

    root: Path

    def __post_init__(self) -> None:
        for folder in (self.database, self.logs):
            folder.mkdir(parents=True, exist_ok=True)

    @property
    def database(self) -> Path:
        """The folder of the desk's database; nothing else is in it."""
        return self.root / "database"

    @property
    def logs(self) -> Path:
        """The folder of all processes' output."""
        return self.root / "logs"

    @property
    def record(self) -> Path:
        """What the model server received from the desk."""
        return self.root / "received.jsonl"

    @property
    def timing_record(self) -> Path:
        """What the model server received from the desk while time was taken."""
        return self.root / "received-timing.jsonl"

    @property
    def twin_record(self) -> Path:
        """What the model server received from the twin."""
        return self.root / "received-from-twin.jsonl"


def holds_secret(message: Message) -> bool:
    """Whether the message holds a value of the type that the reply feature's policy blocks."""
    return any(value["type"] == "SECRET" for value in message["values"])
