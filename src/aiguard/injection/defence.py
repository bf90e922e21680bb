"""Texts against signatures."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Final, Protocol

from aiguard.injection import english, languages
from aiguard.injection.signatures import Signature
from aiguard.scan import PatternSet, despaced, readings, segments
from aiguard.types import Verdict

BUILTIN: Final[tuple[Signature, ...]] = (*english.SIGNATURES, *languages.SIGNATURES)
"""The signatures that every defence starts with."""


class SignatureLike(Protocol):
    """What a policy's signature rule offers."""

    @property
    def name(self) -> str:
        """Unique among the policy's signatures."""

    @property
    def pattern(self) -> str:
        """RE2 syntax."""

    @property
    def score(self) -> float:
        """0..1."""


class Defence:
    """Built-in and policy signatures as one set. Immutable after construction, so thread-safe.

    Raises :class:`~aiguard.scan.RecognizerError` naming a signature that RE2 refuses or that matches the empty string.
    """

    def __init__(self, signatures: Sequence[Signature] = (), *, builtin: bool = True) -> None:
        self._signatures = (*(BUILTIN if builtin else ()), *signatures)
        self._set = PatternSet({signature.name: signature.pattern for signature in self._signatures})

    @classmethod
    def for_policy(cls, rules: Iterable[SignatureLike]) -> Defence:
        """The built-in signatures and a policy's own."""
        return cls([Signature(name=rule.name, pattern=rule.pattern, score=rule.score) for rule in rules])

    @property
    def signatures(self) -> tuple[Signature, ...]:
        """What it looks for."""
        return self._signatures

    def assess(self, texts: Iterable[str]) -> Verdict:
        """The verdict on the untrusted texts of one exchange, over every reading of each.

        Of signatures that say the same thing (one prefix) the strongest counts; different ones add up as independent
        signs do, ``1 - (1-a)(1-b)``, so that two weak ones outweigh each of them.
        """
        fired: set[int] = set()
        for text in texts:
            for reading in _readings(text):
                fired.update(self._set.match(reading))
        if not fired:
            return Verdict()
        strongest: dict[str, float] = {}
        for index in fired:
            signature = self._signatures[index]
            kind = signature.name.partition(".")[0]
            strongest[kind] = max(strongest.get(kind, 0.0), signature.score)
        doubt = 1.0
        for score in strongest.values():
            doubt *= 1.0 - score
        return Verdict(
            score=round(1.0 - doubt, 4),
            signatures=tuple(sorted(self._signatures[index].name for index in fired)),
        )


def _readings(text: str) -> Iterator[str]:
    """How a model may read ``text``: as it stands, normalised, put together again, and decoded."""
    for view in readings(text):
        yield view.text
    joined = despaced(text)
    if joined is not None:
        yield joined
    for segment in segments(text):
        yield segment.text
