"""Redacting and restoring a text that is still arriving, byte for byte as if it had been there at once (law 3).

Both are ``feed(chunk) -> text`` / ``finish() -> text`` objects that hold back what could still become part of a value
or of a token and nothing else, so they can stand one behind the other (:class:`Chain`). They take ``str`` or UTF-8
``bytes``, cut anywhere, and give back what they were given.
"""

from __future__ import annotations

import codecs
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any, Final, Protocol, TypeVar

from aiguard.errors import ConfigurationError, MalformedInput
from aiguard.redact.operators import redact
from aiguard.redact.vault import TOKEN_PATTERN, Vault
from aiguard.scan.closure import Tails, closure
from aiguard.scan.incremental import MAX_HELD, IncrementalScan
from aiguard.scan.places import encode
from aiguard.types import Detector, Operator

Chunk = TypeVar("Chunk", str, bytes)

_TOKEN_PREFIXES: Final = closure(TOKEN_PATTERN)


class TextStream(Protocol):
    """A transform of a text that arrives in chunks."""

    def feed(self, chunk: Chunk) -> Chunk:
        """What can be let out now; may be empty."""
        ...

    def finish(self) -> Any:
        """The rest, of the kind that was fed (``str`` when nothing was)."""
        ...


class _Stream:
    """``str`` or ``bytes`` in, the same out; an exception ends the stream and nothing more comes out of it."""

    def __init__(self) -> None:
        self._kind: type[str | bytes] | None = None
        self._decoder = codecs.getincrementaldecoder("utf-8")()
        self._ended = False

    def feed(self, chunk: Chunk) -> Chunk:
        """The text that the chunk settled, often empty.

        Raises :class:`~aiguard.errors.MalformedInput` for bytes that are not UTF-8, :class:`TypeError` when text and
        bytes are mixed, and :class:`~aiguard.scan.ScanFailed` when the text could not be looked at or is held too long;
        after any of them the stream has ended, and what came out before is a safe beginning.
        """
        if type(chunk) is not self._kind or self._ended:
            self._enter(chunk)
        try:
            if isinstance(chunk, bytes):
                return self._transform(self._decode(chunk)).encode("utf-8", "replace")
            return self._transform(chunk)
        except BaseException:
            self._ended = True
            raise

    def finish(self) -> Any:
        """The rest of the text, of the kind that was fed (``str`` when nothing was). Nothing can be fed after it."""
        if self._ended:
            raise ValueError("this stream has ended; start a new one for another text")
        self._ended = True
        left = self._decode(b"", last=True) if self._kind is bytes else ""
        return _as(self._kind or str, (self._transform(left) if left else "") + self._rest())

    def _enter(self, chunk: object) -> type[str | bytes]:
        if self._ended:
            raise ValueError("this stream has ended; start a new one for another text")
        kind: type[str | bytes] | None = bytes if isinstance(chunk, bytes) else str if isinstance(chunk, str) else None
        if kind is None or self._kind not in {None, kind}:
            self._ended = True
            raise TypeError("a stream is fed str or bytes, and the same from beginning to end")
        self._kind = kind
        return kind

    def _decode(self, chunk: bytes, *, last: bool = False) -> str:
        try:
            return self._decoder.decode(chunk, last)
        except UnicodeDecodeError:
            raise MalformedInput("the stream is not UTF-8, so it cannot be read; it ends here") from None

    def _transform(self, text: str) -> str:
        raise NotImplementedError

    def _rest(self) -> str:
        raise NotImplementedError


def _as(kind: type[str | bytes], text: str) -> str | bytes:
    return text.encode("utf-8", "replace") if kind is bytes else text


class Redactor(_Stream):
    """Redacts a stream by ``rules`` (see :func:`aiguard.redact.redact`), as the whole text would be.

    Args:
        detector: an :class:`aiguard.scan.Engine` streams exactly; any other detector needs the whole text, so that
            nothing comes out before :meth:`finish` (:attr:`buffered`).
        rules: entity type -> operator, ``"*"`` for the rest.
        context: the key or column head that the text stands under.
        vault: for ``tokenize``; token-like text of the stream is then tokenised itself.
        pseudonym: for ``hash``.
        max_held: characters that are held back before the stream refuses with
            :class:`~aiguard.scan.incremental.HeldTooLong`.
    """

    def __init__(
        self,
        detector: Detector,
        rules: Mapping[str, Operator],
        *,
        context: str = "",
        vault: Vault | None = None,
        pseudonym: Callable[[str, str], str] | None = None,
        max_held: int = MAX_HELD,
    ) -> None:
        super().__init__()
        self._rules = dict(rules)
        self._vault = vault
        self._pseudonym = pseudonym
        names = {operator.name for operator in self._rules.values()}
        if "tokenize" in names and vault is None:
            raise ConfigurationError("a rule is 'tokenize', which needs a vault; pass one, or use 'replace'")
        if "hash" in names and pseudonym is None:
            raise ConfigurationError("a rule is 'hash', which needs a key; pass pseudonym=, or use 'replace'")
        self._counts: dict[tuple[str, str], int] = {}
        self._blocked: set[str] = set()
        self._scan = IncrementalScan(
            detector,
            context=context,
            literals=None if vault is None else vault.literals,
            also=() if vault is None else (_TOKEN_PREFIXES,),
            max_held=max_held,
        )

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._scan!r})"

    @property
    def buffered(self) -> bool:
        """Whether nothing comes out before the end."""
        return self._scan.buffered

    @property
    def held(self) -> int:
        """Characters that are held back now (bytes of an unfinished character aside)."""
        return self._scan.held

    @property
    def counts(self) -> Mapping[tuple[str, str], int]:
        """How often each ``(type, operator)`` was applied so far."""
        return dict(self._counts)

    @property
    def blocked(self) -> tuple[str, ...]:
        """Types found so far whose operator is ``block``, sorted."""
        return tuple(sorted(self._blocked))

    def _transform(self, text: str) -> str:
        piece = self._scan.feed(text)
        return self._redact(piece.text, piece.findings) if piece.findings else piece.text

    def _rest(self) -> str:
        piece = self._scan.finish()
        return self._redact(piece.text, piece.findings) if piece.findings else piece.text

    def _redact(self, text: str, findings: Sequence[Any]) -> str:
        done = redact(text, findings, self._rules, vault=self._vault, pseudonym=self._pseudonym)
        for key, count in done.counts.items():
            self._counts[key] = self._counts.get(key, 0) + count
        self._blocked.update(done.blocked)
        return done.text


class Restorer(_Stream):
    """Turns a vault's tokens back while the text arrives, as :meth:`~aiguard.redact.Vault.restore` does of the whole.

    What is held back is the beginning of a token. Values that are tokenised while the stream runs count from then on.
    """

    def __init__(self, vault: Vault) -> None:
        super().__init__()
        self._vault = vault
        self._held = ""
        self._count = 0

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._count} restored, {len(self._held)} characters held)"

    @property
    def held(self) -> int:
        """Characters that are held back now."""
        return len(self._held)

    @property
    def count(self) -> int:
        """Tokens turned back so far."""
        return self._count

    def _transform(self, text: str) -> str:
        text = self._held + text
        cut = len(text)
        if "[" in text or "\\" in text:
            data = encode(text)
            at = _token_tails().start(data)
            cut = len(data[:at].decode())
            if text[-1:] == "]":  # nothing goes on a token that is closed
                cut = len(text)
        self._held = text[cut:]
        return self._restore(text[:cut])

    def _rest(self) -> str:
        held, self._held = self._held, ""
        return self._restore(held)

    def _restore(self, text: str) -> str:
        restored = self._vault.restore(text)
        self._count += restored.count
        return restored.text


@lru_cache(maxsize=1)
def _token_tails() -> Tails:
    return Tails([_TOKEN_PREFIXES])


class Chain:
    """Streams one behind the other, as one stream: ``Chain(Restorer(vault), Redactor(detector, rules))``."""

    def __init__(self, *streams: TextStream) -> None:
        self._streams = streams

    def feed(self, chunk: Chunk) -> Chunk:
        """What comes out of the last stream."""
        for stream in self._streams:
            chunk = stream.feed(chunk)
        return chunk

    def finish(self) -> Any:
        """The rest, each stream's rest having gone through those behind it."""
        rest: Any = None
        for stream in self._streams:
            before = stream.feed(rest) if rest else None
            end = stream.finish()
            rest = before + end if before else end
        return "" if rest is None else rest
