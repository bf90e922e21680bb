"""What must hold for any bytes at all: detection, redaction, restoring and streaming, as text and as JSON.

:func:`look` is the target of the hypothesis test beside this file and of ``python -m tests.fuzz``, which runs it for as long as one likes.
"""

from __future__ import annotations

from typing import Final

from aiguard.detect import default_detector
from aiguard.detect.parts import detect_parts, detect_text
from aiguard.errors import MalformedInput
from aiguard.framing.jsontree import JsonDocument
from aiguard.redact import Restorer, Vault, redact
from aiguard.scrubbing import StreamScrubber, scrub
from aiguard.types import Operator

TOKENIZE: Final = {"*": Operator(name="tokenize")}
MASK: Final = {"*": Operator(name="mask", keep_last=4)}


def look(data: bytes) -> None:
    """Raise :class:`AssertionError` where a promise is broken, and whatever else is raised and should not be."""
    step = 1 + data[0] % 17 if data else 1
    for text in {
        data.decode("utf-8", "surrogateescape"),
        data.decode("utf-16-le", "surrogatepass" if len(data) % 2 == 0 else "replace"),
    }:
        _text(text, step)
    _bytes(data, step)
    _json(data)


def _text(text: str, step: int) -> None:
    detector = default_detector()
    found = detect_text(detector, text)
    assert all(0 <= each.start < each.end <= len(text) for each in found)
    assert found == detect_text(detector, text)
    masked = redact(text, found, MASK)
    assert len(masked.text) == len(text)
    vault, other = Vault(b"sixteen letters!"), Vault(b"other sixteen...")
    known = vault.token("EMAIL_ADDRESS", "somebody@else.example")
    hidden = redact(text, [*found, *vault.literals(text)], TOKENIZE, vault=vault).text
    assert vault.restore(hidden).text == text
    assert "somebody@else.example" not in vault.restore(hidden).text
    assert other.restore(hidden).text == hidden
    answer = f"{hidden}{known}{hidden[:step]}"
    restorer = Restorer(vault)
    pieces = [restorer.feed(answer[at : at + step]) for at in range(0, len(answer), step)]
    assert "".join(pieces) + restorer.finish() == vault.restore(answer).text
    scrubber = StreamScrubber()
    pieces = [scrubber.feed(text[at : at + step]) for at in range(0, len(text), step)]
    assert "".join(pieces) + scrubber.finish() == scrub(text)


def _bytes(data: bytes, step: int) -> None:
    scrubber = StreamScrubber()
    out = b""
    try:
        for at in range(0, len(data), step):
            out += scrubber.feed(data[at : at + step])
        rest = scrubber.finish()
        out += rest if isinstance(rest, bytes) else rest.encode()
    except MalformedInput:
        try:
            data.decode()
        except UnicodeDecodeError:
            return
        raise
    assert out == scrub(data.decode()).encode()


def _json(data: bytes) -> None:
    try:
        document = JsonDocument.parse(data)
    except MalformedInput:
        return
    parts = list(document.parts())
    found = detect_parts(default_detector(), parts)
    assert len(found) == len(parts)
    texts = [redact(part.text, each, {}).text if each else None for part, each in zip(parts, found, strict=True)]
    try:
        again = JsonDocument.parse(document.render(texts))
    except MalformedInput:  # two keys that have become one are refused
        return
    assert len(list(again.parts())) == len(parts)
