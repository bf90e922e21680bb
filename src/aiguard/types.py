"""The nouns that every room speaks in, and the protocols that rooms are given.

Nouns are frozen and keyword-only. None of them prints text that came from a person or a model: ``repr`` shows types,
counts and offsets. What everybody needs and nobody owns (recording, the clock, keys, detection) is a protocol here;
``runtime.py`` hands out the real thing.
"""

from __future__ import annotations

import enum
import hashlib
from collections.abc import Collection, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any, Final, Literal, Protocol, Self, get_args, get_type_hints, runtime_checkable

from aiguard.ids import new_id as new_id  # noqa: PLC0414 - everybody has it from here


class Sensitivity(enum.IntEnum):
    """How much harm disclosure does; ordered, so the highest of several findings counts."""

    PUBLIC = 0
    INTERNAL = 1
    CONFIDENTIAL = 2
    RESTRICTED = 3

    @classmethod
    def parse(cls, name: str) -> Sensitivity:
        """The member of that lower-case name; :class:`ValueError` names the choices."""
        try:
            return cls[name.upper()]
        except KeyError:
            raise ValueError(f"{name!r} is not one of public, internal, confidential, restricted") from None


class Stage(enum.StrEnum):
    """The seven stages of an exchange, in order."""

    ADMIT = "admit"
    CLASSIFY = "classify"
    REDACT = "redact"
    DEFEND = "defend"
    SEND = "send"
    VALIDATE = "validate"
    KEEP = "keep"


class Effect(enum.StrEnum):
    """What a decision does."""

    ALLOW = "allow"
    FLAG = "flag"
    BLOCK = "block"


@dataclass(frozen=True, kw_only=True, slots=True)
class Reason:
    """Why a control decided as it did.

    ``code`` is stable and dotted (``scope.missing``); ``detail`` is a sentence for people that never holds input.
    ``status`` is the HTTP status a door should answer with, where the code calls for a particular one.
    """

    code: str
    detail: str
    status: int | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Decision:
    """One answer of policy, with its id and its reasons (law 9)."""

    effect: Effect
    reasons: tuple[Reason, ...] = ()
    stage: Stage = Stage.ADMIT
    id: str = field(default_factory=lambda: new_id("agd"))
    policy_hash: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "effect", Effect(self.effect))  # "block" said as a text blocks too

    @classmethod
    def allow(cls, detail: str = "allowed", *, code: str = "allowed") -> Decision:
        """An authoriser's yes."""
        return cls(effect=Effect.ALLOW, reasons=(Reason(code=code, detail=detail),))

    @classmethod
    def deny(cls, detail: str, *, code: str = "denied") -> Decision:
        """An authoriser's no, with a sentence that may be shown to the caller."""
        return cls(effect=Effect.BLOCK, reasons=(Reason(code=code, detail=detail),))

    @property
    def allowed(self) -> bool:
        """True unless the effect is to block."""
        return self.effect is not Effect.BLOCK

    def with_(self, **changes: Any) -> Decision:
        """A copy with some fields changed."""
        return replace(self, **changes)


@dataclass(frozen=True, kw_only=True, slots=True)
class Actor:
    """Who is calling: a signed-in person or a service.

    ``id`` is whatever the application calls them (often an e-mail address), so ``repr`` leaves it out and records carry
    a keyed pseudonym of it.
    """

    id: str = field(repr=False)
    kind: Literal["user", "service"] = "user"
    scopes: frozenset[str] = frozenset()
    tenant: str | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        if not self.id:
            raise ValueError("an Actor needs a non-empty id")
        if self.tenant == "":
            raise ValueError("an Actor's tenant is None or a non-empty id: an empty one would be a tenant of its own")
        if isinstance(self.scopes, str):
            raise TypeError("Actor.scopes is a set of scope names, not one string")
        object.__setattr__(self, "scopes", frozenset(self.scopes))


@dataclass(frozen=True, kw_only=True, slots=True)
class Finding:
    """A span of one text that a recognizer reported. Offsets are characters of that text; the text itself is not kept."""

    type: str
    start: int
    end: int
    score: float
    recognizer: str

    def __post_init__(self) -> None:
        if not 0 <= self.start < self.end:
            raise ValueError(f"a finding needs 0 <= start < end, not {self.start}..{self.end}")


@dataclass(frozen=True, kw_only=True, slots=True)
class Operator:
    """What happens to a finding.

    ``mask`` covers every character but the last ``keep_last`` letters and digits; ``replace`` writes ``[REDACTED_LABEL]``;
    ``hash`` a keyed hash; ``tokenize`` a reversible token of the conversation's vault; ``drop`` removes it; ``block``
    stops the exchange; ``allow`` leaves it.
    """

    name: Literal["mask", "replace", "hash", "tokenize", "drop", "block", "allow"]
    keep_last: int = 0

    def __post_init__(self) -> None:
        if self.name not in _OPERATORS:
            raise ValueError(f"{self.name!r} is not an operator; known are {', '.join(_OPERATORS)}")
        if type(self.keep_last) is not int or self.keep_last < 0:
            raise ValueError("keep_last is a whole number of letters and digits to leave, from 0 on")


_OPERATORS: Final[tuple[str, ...]] = get_args(get_type_hints(Operator)["name"])


@dataclass(frozen=True, kw_only=True, slots=True)
class Rate:
    """At most ``limit`` uses in any ``seconds`` on end."""

    limit: int
    seconds: int


class PartKind(enum.StrEnum):
    """What a part is in the body it came from."""

    TEXT = "text"
    KEY = "key"
    NUMBER = "number"


@dataclass(frozen=True, kw_only=True, slots=True)
class Part:
    """One piece of content in a body: a string leaf, a key or a number, with where it stands and who wrote it.

    ``pointer`` is a JSON pointer (RFC 6901) or a field name. ``role`` is the wire's role (``user``, ``system``, ``tool``,
    ``assistant``, ``developer``) or ``""``. ``trusted`` is True for text that the application's developer wrote (system
    and developer messages, tool declarations), which injection rules skip and token restoring never touches.
    ``context`` is the key or column head that the value stands under, which detection may use.
    ``channel`` says where an answer's part is headed: ``prose`` for what is shown, ``tool`` for tool arguments.
    """

    text: str = field(repr=False)
    pointer: str = field(default="", repr=False)
    kind: PartKind = PartKind.TEXT
    role: str = ""
    trusted: bool = False
    context: str = field(default="", repr=False)
    channel: Literal["prose", "tool", "meta"] = "prose"


@dataclass(frozen=True, kw_only=True, slots=True)
class Verdict:
    """What the injection defence thinks of one exchange: a score in 0..1 and the names of the signatures that fired."""

    score: float = 0.0
    signatures: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class AuditRecord:
    """One event for the audit log. ``payload`` is JSON-able and holds types, counts, offsets and keyed hashes only."""

    type: str
    decision_id: str
    actor: str = ""
    """Keyed pseudonym, never the id itself."""
    tenant: str = ""
    subject: str = ""
    resource: str = ""
    """Feature name or route template."""
    policy_hash: str = ""
    payload: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))
    at: datetime = field(default_factory=lambda: datetime.now(UTC))
    id: str = field(default_factory=lambda: new_id("evt"))


@dataclass(frozen=True, kw_only=True, slots=True)
class ArtifactRecord:
    """One piece of content that policy lets us keep, already redacted."""

    decision_id: str
    data_class: str
    """``prompt``, ``output`` or ``metadata``."""
    content: str = field(repr=False)
    feature: str
    actor: str
    """Keyed pseudonym."""
    subject: str
    """Keyed pseudonym of whom the data is about."""
    tenant: str
    sensitivity: Sensitivity
    policy_hash: str
    basis: str
    owner: str
    mechanism: str
    retention: str
    """The rule's duration as written, for example ``30d``."""
    expires_at: datetime
    retention_hash: str = ""
    """Hash of the retention rules that gave ``expires_at``; empty where an application said so itself."""
    created_at: datetime = field(default_factory=lambda: datetime.now(UTC))
    id: str = field(default_factory=lambda: new_id("art"))

    @property
    def hour_key(self) -> str:
        """The lookup of the key that opens it besides its person's and is destroyed with its time; empty where the row only goes."""
        return hour_key(self.mechanism, self.expires_at)


@dataclass(frozen=True, kw_only=True, slots=True)
class CredentialUse:
    """A service token was used. Kept as the time of its last use, to the minute; nothing waits for it."""

    credential: str
    """The token's public id."""
    at: datetime


@dataclass(frozen=True, kw_only=True, slots=True)
class VaultRecord:
    """A value that a token of a conversation stands for. Kept with the decision of the exchange that sent the token."""

    vault: str
    """The name of the conversation's rows."""
    code: str
    type: str
    value: str = field(repr=False)
    actor: str
    """Keyed pseudonym."""
    subject: str
    """Keyed pseudonym of whom the data is about."""
    tenant: str
    decision_id: str
    created_at: datetime
    expires_at: datetime


Record = AuditRecord | ArtifactRecord | CredentialUse | VaultRecord


HOUR_KEYS: Final = "hour/"
"""How the lookup of an hour's key begins; no person's does."""


def hour_key(mechanism: str, expires_at: datetime) -> str:
    """The lookup of the key of the hour (UTC) in which content expires that ends by crypto-shredding; else ``""``."""
    return f"{HOUR_KEYS}{expires_at.astimezone(UTC):%Y-%m-%dT%H}" if mechanism == "crypto-shred" else ""


class KnownName(str):
    """A pseudonym that comes from a person's own key already, as rows carry it: no key is looked up or made for it."""

    __slots__ = ()


class BoundName(str):
    """A lookup that means one and the same key for as long as it lives: that of the first record that was written with it.

    An admitted caller's records all carry it. Where the person is erased meanwhile, what is still to come is not kept as about somebody new.
    """

    __slots__ = ("bound_to",)

    bound_to: str
    """The name that comes from that key; empty before the first record."""

    def __new__(cls, lookup: str, bound_to: str = "") -> Self:
        """``lookup``, bound already or not yet."""
        made = super().__new__(cls, lookup)
        made.bound_to = bound_to
        return made


def bound(names: Mapping[str, str]) -> dict[str, str]:
    """The same names (``actor``, ``subject``, ``tenant``), those of people as a :class:`BoundName`."""
    return {role: BoundName(name) if name and role != "tenant" else name for role, name in names.items()}


@dataclass(frozen=True, kw_only=True, slots=True)
class Recalled:
    """What an archive knows about a conversation's vault."""

    vault: str
    """The name of its rows."""
    secret: bytes = field(repr=False)
    """From which its tokens are made."""
    live: Mapping[str, datetime]
    """Every code whose time is not over, and when it is."""
    values: Mapping[str, tuple[str, str]] = field(repr=False)
    """Type and value of the codes that were not known."""


@runtime_checkable
class VaultArchive(Protocol):
    """Where the values of conversations are, for all processes."""

    def recall(self, *, actor: str, conversation: str, known: Collection[str]) -> Recalled:
        """What is kept for a conversation of ``actor``; both are keyed pseudonyms. Asks the database.

        Raises:
            StoreError: it cannot be read.
            IntegrityError: a row was altered or moved.
        """
        ...


@runtime_checkable
class Recorder(Protocol):
    """Commits records durably. The future resolves after the commit, or raises :class:`~aiguard.errors.StoreError`."""

    def commit(self, records: Sequence[Record]) -> Future[None]:
        """Commit all of ``records`` in one transaction, or none."""
        ...


@runtime_checkable
class Detector(Protocol):
    """Finds spans. The built-in engine is one; an NER model is another."""

    @property
    def types(self) -> frozenset[str]:
        """The entity types this detector can report."""
        ...

    def detect(self, text: str, *, context: str = "") -> Sequence[Finding]:
        """Every finding in ``text``, sorted by start; ``context`` is the key or column head of the value."""
        ...


class Clock(Protocol):
    """Where time comes from."""

    def __call__(self) -> datetime:
        """Now, timezone-aware, in UTC."""
        ...


@runtime_checkable
class KeyRing(Protocol):
    """Keys by purpose. The newest key seals; every key opens."""

    def seal(self, plaintext: bytes, *, aad: bytes) -> bytes:
        """Authenticated encryption with the newest key; the result starts with a version marker and a key id."""
        ...

    def open(self, ciphertext: bytes, *, aad: bytes) -> bytes:
        """The plaintext, or :class:`~aiguard.errors.IntegrityError`."""
        ...

    def pseudonym(self, kind: str, value: str) -> str:
        """A keyed, stable, one-way name for ``value``, separated by ``kind`` (``actor``, ``tenant``, ``value`` …)."""
        ...


class SubjectKey(Protocol):
    """The key of one person: what is about them is sealed with it, and their name in records comes from it.

    When it is destroyed, neither can be brought back, in any copy of the data.
    """

    @property
    def name(self) -> str:
        """The pseudonym that records carry."""
        ...

    def seal(self, plaintext: bytes, *, aad: bytes) -> bytes:
        """Authenticated encryption that any :class:`SubjectKeys` with the same key store opens."""
        ...

    def seal_with(self, other: SubjectKey | None, plaintext: bytes, *, aad: bytes) -> bytes:
        """The same, but this key and ``other`` are both needed to open it."""
        ...

    def derive(self, purpose: str) -> bytes:
        """32 bytes that only this key and ``purpose`` give."""
        ...


@runtime_checkable
class SubjectKeys(KeyRing, Protocol):
    """A key ring that has a key for every person. ``lookups`` are pseudonyms of the ring, which only find the key."""

    def cached_keys(self, lookups: Collection[str]) -> Mapping[str, SubjectKey] | None:
        """The key of each, without any input or output; ``None`` when one is not at hand."""
        ...

    def subject_keys(self, lookups: Collection[str]) -> Mapping[str, SubjectKey]:
        """The key of each, made where there was none. Asks the key store; :class:`~aiguard.errors.StoreUnavailable`."""
        ...


def utc_now() -> datetime:
    """The default :class:`Clock`."""
    return datetime.now(UTC)


def digest(data: bytes) -> str:
    """``sha256:`` and the hex digest, as content hashes are written everywhere here."""
    return "sha256:" + hashlib.sha256(data).hexdigest()
