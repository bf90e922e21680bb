"""Values that a provider encrypted or signed for itself, and that go back to it as they came.

They are kilobytes of base64 in which chance spells the end of a storage key now and then, and a value that was changed is refused by
the provider. So what can be shown to be no text is not searched for text: it decodes to bytes that look random and hold no run of
readable characters. Whatever else stands in such a field is a part like any other.
"""

from __future__ import annotations

import base64
import binascii
import math
import re
from dataclasses import replace
from typing import Any, Final

from aiguard.framing.jsontree import Path
from aiguard.providers.errors import UnknownShape
from aiguard.providers.wire.shape import Mark, Reader
from aiguard.types import PartKind

_ALPHABET: Final = re.compile(r"[A-Za-z0-9+/=_-]{0,1000000}\Z")
"""Base64 of either alphabet."""
_SHORTEST: Final = 100
"""Characters. Credentials that are nothing but base64 are shorter: the longest kind in common use has 88."""
_MODEL: Final = re.compile(rb"claude-[a-z0-9.-]{1,40}")
"""The one readable thing that such values are known to hold."""
_READABLE: Final = re.compile(rb"[ -~]{12}")
"""As long as the shortest card number; among random bytes rare."""
_RANDOM: Final = 0.6
"""Of the distinct byte values that as many random bytes are expected to have."""


def is_sealed(value: str) -> bool:
    """Whether ``value`` is base64 of bytes that are no text."""
    if len(value) < _SHORTEST:
        return False
    try:
        content = base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError):
        return False
    expected = 256 * (1 - math.exp(-len(content) / 256))
    return len(set(content)) >= _RANDOM * expected and not _READABLE.search(_MODEL.sub(b"\0", content))


def sealed(reader: Reader, value: Any, path: Path, mark: Mark) -> None:
    """A sealed value of a request: structure. Other base64 is a part, and anything else is refused."""
    if not isinstance(value, str) or not _ALPHABET.match(value):
        raise UnknownShape(f"the field {path[-1]!r} holds characters that are not allowed there")
    maybe_sealed(reader, value, path, mark)


def maybe_sealed(reader: Reader, value: Any, path: Path, mark: Mark) -> None:
    """A sealed value of an answer: structure. Anything else is a part."""
    if isinstance(value, str) and is_sealed(value):
        reader.structure.add((path, PartKind.TEXT))
    else:
        reader.marks[path] = replace(mark, channel="meta")
