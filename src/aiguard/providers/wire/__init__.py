"""Wire formats: where the texts are in a provider's requests and answers. One file a provider.

The law of this folder: **every string, key and number of a body is a part, unless the format checked it against a closed
set**. What a format does not know it refuses as :class:`~aiguard.providers.errors.UnknownShape`. A format says where texts
are, who wrote them and where they are headed; never what they mean.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from aiguard.errors import ConfigurationError
from aiguard.providers.exchange import RawRequest, RawResponse
from aiguard.providers.wire.streams import WireStream
from aiguard.types import Part


class WireRequest(Protocol):
    """A request taken apart."""

    @property
    def endpoint(self) -> str:
        """The endpoint's name, for records: ``chat.completions`` or ``responses``."""
        ...

    @property
    def model(self) -> str:
        """The model it asks for; checked against a charset, for the policy to allow or refuse."""
        ...

    @property
    def parts(self) -> tuple[Part, ...]:
        """Everything a stage has to look at, in document order."""
        ...

    @property
    def max_output_tokens(self) -> int | None:
        """The limit that the request sets itself."""
        ...

    @property
    def stream(self) -> bool:
        """Whether the answer is asked for as a stream."""
        ...

    def render(self, texts: Sequence[str | None], *, max_output_tokens: int | None) -> RawRequest:
        """The request with texts replaced (aligned to ``parts``, ``None`` is unchanged) and the output limit set."""
        ...


class WireResponse(Protocol):
    """An answer taken apart."""

    @property
    def parts(self) -> tuple[Part, ...]:
        """Everything a stage has to look at, in document order."""
        ...

    @property
    def usage(self) -> Mapping[str, int]:
        """``input_tokens``, ``output_tokens`` and ``total_tokens``, as far as the provider reported them."""
        ...

    def render(self, texts: Sequence[str | None]) -> RawResponse:
        """The answer with texts replaced, aligned to ``parts``."""
        ...


class WireFormat(Protocol):
    """Reads one provider's requests and answers."""

    @property
    def name(self) -> str:
        """The provider's name in policy and settings: ``openai`` or ``anthropic``."""
        ...

    def request(self, raw: RawRequest) -> WireRequest:
        """Take a request apart; :class:`~aiguard.errors.MalformedInput` when it cannot be read in full."""
        ...

    def stream(self, request: WireRequest) -> WireStream:
        """Reads the events of a streamed answer to ``request``."""
        ...

    def response(self, request: WireRequest, raw: RawResponse) -> WireResponse:
        """Take the answer to ``request`` apart; :class:`~aiguard.errors.MalformedInput` when it cannot be read."""
        ...


def wire_for(provider: str) -> WireFormat:
    """The wire format of a provider.

    Raises:
        ConfigurationError: no wire format knows that provider.
    """
    if provider == "openai":
        from aiguard.providers.wire.openai import OPENAI

        return OPENAI
    if provider == "anthropic":
        from aiguard.providers.wire.anthropic import ANTHROPIC

        return ANTHROPIC
    raise ConfigurationError("no wire format knows this provider; supported: anthropic, openai")


__all__ = ["WireFormat", "WireRequest", "WireResponse", "WireStream", "wire_for"]
