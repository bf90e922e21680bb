"""Bodies in which one value is another, for the tests that nothing of a body goes unseen."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

MARKER = "zzMARKERzz"
CARD = 4111111111111111


def variants(value: Any) -> Iterator[tuple[str, Any]]:
    """Every copy of ``value`` in which one string, key or number is a marker, JSON inside strings included."""
    if isinstance(value, str):
        yield "text", MARKER
        if value[:1] in ("[", "{"):
            for kind, inner in variants(json.loads(value)):
                yield kind, json.dumps(inner)
    elif isinstance(value, bool) or value is None:
        yield "text", MARKER
        yield "number", CARD
    elif isinstance(value, int | float):
        yield "number", CARD
        yield "text", MARKER
    elif isinstance(value, dict):
        for key, inner in value.items():
            yield "key", {(MARKER if name == key else name): item for name, item in value.items()}
            for kind, changed in variants(inner):
                yield kind, {**value, key: changed}
        yield "extra", {**value, "extra": MARKER}
        yield "extra", {**value, MARKER: 1}
    else:
        for index, inner in enumerate(value):
            for kind, changed in variants(inner):
                yield kind, [*value[:index], changed, *value[index + 1 :]]
        yield "extra", [*value, MARKER]
