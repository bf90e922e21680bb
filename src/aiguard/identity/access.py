"""The lease: which actor may use which feature right now, and how long that stays true.

The lease travels in a :mod:`contextvars` variable, so threads, tasks and requests never see each other's. Work that
outlives the function it was granted to (a generator that streams after the view returned) runs each step inside
:class:`IterateWithin`, which sets the variable for that step only; the thread's next request inherits nothing.
"""

from __future__ import annotations

import contextlib
import inspect
import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from aiguard.types import Actor, Finding


class TokenVault(Protocol):
    """What a lease needs of a vault; ``redact.Vault`` is one."""

    def token(self, type: str, value: str) -> str:
        """The token that stands for ``value``."""
        ...

    def restore(self, text: str) -> Any:
        """``text`` with this vault's tokens turned back."""
        ...

    def literals(self, text: str) -> Sequence[Finding]:
        """Where ``text`` holds what looks like a token."""
        ...


@dataclass(frozen=True, kw_only=True, slots=True)
class Conversation:
    """A conversation of one actor in one tenant, with the vault its tokens live in."""

    id: str = field(repr=False)
    vault: TokenVault = field(repr=False)


class _Lease:
    """Whether an access is still alive, and what was restored under it (in memory only, gone at the end)."""

    __slots__ = ("_lock", "_restored", "alive", "stepping")

    def __init__(self) -> None:
        self.alive = True
        self.stepping = False
        """Whether one step of a generator is being run under this lease just now."""
        self._restored: set[str] = set()
        self._lock = threading.Lock()

    def note_restored(self, values: Iterable[str]) -> None:
        with self._lock:
            if self.alive:
                self._restored.update(values)

    def was_restored(self, value: str) -> bool:
        with self._lock:
            return value in self._restored

    def end(self) -> None:
        with self._lock:
            self.alive = False
            self._restored.clear()


@dataclass(frozen=True, kw_only=True, eq=False, slots=True)
class Access:
    """One actor's permission to use one AI feature, for as long as its lease lives.

    Attributes:
        subject: the id of the person the data is about; by default the actor's.
        decision_id: the id of the decision that granted it, which exchanges name as their parent.
        route: the route template it was granted at, or ``""``.
        realm: the guard that granted it; another guard does not accept it.
        recorded: the commit of the decision that granted it, where it was not waited for; nothing is sent before it is
            done, and no response is given.
        vault: where tokens live when there is no conversation: as long as the lease.
        names: the pseudonyms that every record under it carries; of people, bound to the keys that they had when it was granted.
    """

    actor: Actor
    feature: str
    scope: str
    subject: str = field(repr=False)
    decision_id: str
    realm: object = field(repr=False)
    vault: TokenVault = field(repr=False)
    route: str = ""
    recorded: Future[None] | None = field(default=None, repr=False)
    conversation: Conversation | None = field(default=None, repr=False)
    lease: _Lease = field(default_factory=_Lease, repr=False)
    names: Mapping[str, str] | None = field(default=None, repr=False)

    @property
    def alive(self) -> bool:
        """False once the response this was granted for is over."""
        return self.lease.alive

    @property
    def tokens(self) -> TokenVault:
        """The conversation's vault, or the lease's own."""
        return self.conversation.vault if self.conversation is not None else self.vault

    def within(self, conversation: Conversation) -> Access:
        """The same lease, inside a conversation."""
        return replace(self, conversation=conversation)

    def end(self) -> None:
        """End the lease; every reference to it becomes worthless."""
        self.lease.end()


_TRANSPARENT = frozenset({contextlib.__file__})

_current: ContextVar[Access | None] = ContextVar("aiguard_access", default=None)


def current_access() -> Access | None:
    """The living access of this context, or None."""
    access = _current.get()
    return access if access is not None and access.alive else None


def resume(access: Access | None) -> Access | None:
    """Make ``access`` current until something else is, and say what was; for doors whose connections have contexts of their own."""
    before = _current.get()
    _current.set(access)
    return before


@contextmanager
def hold(access: Access) -> Iterator[Access]:
    """Make ``access`` current for the block, without ending its lease afterwards.

    What was current before is put back by value: a generator's block may end in another context than it began in.
    """
    before = _current.get()
    _current.set(access)
    try:
        yield access
    finally:
        _current.set(before)


_GENERATORS = inspect.CO_GENERATOR | inspect.CO_ASYNC_GENERATOR


def inside_generator() -> bool:
    """Whether the ``with`` statement that is being entered stands in a generator that somebody else steps.

    Context variables are not a generator's own: what it sets stays set for whoever steps it, and what that one sets is what
    the generator finds at its next step. So identity must not be opened there. A generator that :mod:`contextlib` runs (an
    application's own ``@contextmanager``) is as good as the ``with`` statement around it.
    """
    frame = sys._getframe(1)  # noqa: SLF001 - there is no public way to ask
    while frame is not None:
        if frame.f_code.co_filename in _TRANSPARENT or frame.f_globals.get("__name__", "").startswith("aiguard."):
            frame = frame.f_back  # type: ignore[assignment]
            continue
        if not frame.f_code.co_flags & _GENERATORS:
            return False
        outer = frame.f_back
        if outer is None or outer.f_code.co_filename not in _TRANSPARENT:
            return True
        frame = outer
    return False


@contextmanager
def acting(access: Access) -> Iterator[Access]:
    """Make ``access`` current for the block and end its lease with it."""
    try:
        with hold(access):
            yield access
    finally:
        access.end()


class EndingWith:
    """Iterate over ``chunks`` unchanged; :meth:`close` closes them and then calls ``end``.

    A server closes what it iterates (PEP 3333), whatever has become of the response between a view and the wire.
    """

    def __init__(self, chunks: Iterable[Any], end: Callable[[], None]) -> None:
        self._chunks = chunks
        self._end = end

    def __iter__(self) -> Iterator[Any]:
        return iter(self._chunks)

    def close(self) -> None:
        """Close what is iterated, and end."""
        try:
            close = getattr(self._chunks, "close", None)
            if close is not None:
                close()
        finally:
            self._end()


class IterateWithin:
    """Iterate over ``chunks`` with ``access`` current during each step only; :meth:`close` ends the lease.

    The variable is reset before each chunk is handed out, so a thread that stops half-way and serves another request
    carries nothing over; a conversation that a step opened is open again in the next one. A server closes what it
    iterates (PEP 3333), also when the client went away or the request was a HEAD and no step was taken; a step that
    raises ends the lease at once.
    """

    def __init__(self, access: Access, chunks: Iterable[Any]) -> None:
        self._access = access
        self._inner = access
        self._chunks = chunks
        self._iterator: Iterator[Any] | None = None

    def __iter__(self) -> IterateWithin:
        return self

    def __next__(self) -> Any:
        lease = self._access.lease
        stepping = lease.stepping
        with hold(self._inner):
            lease.stepping = True
            try:
                if self._iterator is None:
                    self._iterator = iter(self._chunks)
                chunk = next(self._iterator)
                inner = _current.get()
                if inner is not None and inner.lease is lease:
                    self._inner = inner
                return chunk
            except StopIteration:
                raise
            except BaseException:
                self._access.end()
                raise
            finally:
                lease.stepping = stepping

    def close(self) -> None:
        """Close what is iterated, with the access still current, and end the lease."""
        try:
            close = getattr(self._chunks, "close", None)
            if close is not None:
                with hold(self._inner):
                    close()
        finally:
            self._access.end()
