"""What the pipeline runs: a call to a model whose texts are laid open. Wire formats and plain functions are both made to fit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from aiguard.types import Part


class Request(Protocol):
    """A request whose texts are laid open; what a wire format returns."""

    @property
    def endpoint(self) -> str:
        """The endpoint's name, for records."""
        ...

    @property
    def model(self) -> str:
        """The model that is asked for, without its provider."""
        ...

    @property
    def parts(self) -> Sequence[Part]:
        """Everything a stage has to look at, in document order."""
        ...

    @property
    def max_output_tokens(self) -> int | None:
        """The limit that the request sets itself."""
        ...

    def render(self, texts: Sequence[str | None], *, max_output_tokens: int | None) -> Any:
        """The request with each part's text replaced (None keeps it)."""


class Answer(Protocol):
    """An answer whose texts are laid open."""

    @property
    def parts(self) -> Sequence[Part]:
        """Everything a stage has to look at, in document order."""
        ...

    @property
    def usage(self) -> Mapping[str, int]:
        """Tokens as the provider counted them, by kind."""
        ...

    def render(self, texts: Sequence[str | None]) -> Any:
        """The answer with each part's text replaced (None keeps it)."""


class Call(Protocol):
    """One call to a model, of whatever kind. Both methods raise :class:`MalformedInput` for what they cannot read."""

    @property
    def provider(self) -> str:
        """The provider's name, as policy lists it."""
        ...

    def read(self) -> Request:
        """Lay the request's texts open."""

    def answer(self, request: Any, raw: Any) -> Answer:
        """Lay the answer's texts open."""

    def said(self, answer: Any, texts: Sequence[str]) -> Sequence[str]:
        """What an answer says once its parts read ``texts``: one text a message, as a schema applies to it."""

    def status(self, raw: Any) -> int:
        """The answer's HTTP status; 400 and above is an error answer. 200 where there is none."""

    def arriving(self, raw: Any) -> bool:
        """Whether ``raw`` is an answer that is still arriving, for the streaming stages to hand on."""
