"""Scrubbing whole HTTP bodies, with and without a model call: JSON, forms, forms with files, and text.

A body is laid open into parts, each part is looked at, and the body is written anew from what may stay. What cannot be read
here is refused: an unknown content type, another charset than UTF-8, an encoded body. Nothing is tokenised, since nobody
could turn it back.
"""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from aiguard.detect.parts import detect_parts
from aiguard.errors import ConfigurationError, MalformedInput
from aiguard.framing.forms import FormDocument
from aiguard.framing.jsontree import JsonDocument, NotJson
from aiguard.framing.multipart import Document, Files, MultipartDocument
from aiguard.policy.values import did_you_mean, parse_operator
from aiguard.redact import redact
from aiguard.types import Detector, Operator, Part

REPLACE_ALL: Mapping[str, Operator] = {"*": Operator(name="replace")}
"""The rules of a scrubbing hook that names none: whatever is found is replaced."""

SENT_ELSEWHERE: Final = frozenset(
    {"x-sendfile", "x-accel-redirect", "x-lighttpd-send-file", "x-litespeed-location", "x-reproxy-url"}
)
"""Response headers by which an application has the server in front answer with a file, or from another address, instead of the body."""


class UnreadableBody(MalformedInput):
    """A body of a type that cannot be looked at; ``status`` is 415."""

    status = 415


class BodyTooLarge(MalformedInput):
    """A body beyond the limit; ``status`` is 413."""

    status = 413


@dataclass(frozen=True, kw_only=True, slots=True)
class ScrubbedBody:
    """A body after scrubbing: the bytes to use, what was done, and the types that must stop it."""

    content: bytes
    counts: Mapping[tuple[str, str], int]
    blocked: tuple[str, ...]


def check_rules(
    rules: Mapping[str, Operator | str | Mapping[str, object]], known_types: Collection[str]
) -> Mapping[str, Operator]:
    """The rules of a scrubbing hook, written as in a policy; :class:`ConfigurationError` names what cannot work."""
    checked: dict[str, Operator] = {}
    for type, rule in rules.items():
        if type != "*" and type not in known_types:
            hint = did_you_mean(type, known_types)
            raise ConfigurationError(f"scrubbing names {type!r}, which is not an entity type; {hint}")
        try:
            operator = checked[type] = parse_operator(rule)
        except ValueError as error:
            raise ConfigurationError(f"scrubbing cannot be done by {rule!r} for {type}: {error}") from None
        if type == "*" and operator.name == "allow":
            raise ConfigurationError(
                '"*": "allow" would let through every type nobody thought of; name the types to allow'
            )
        if operator.name == "tokenize":
            raise ConfigurationError(
                f"a scrubbing hook cannot tokenize {type}: nothing would turn the token back; use replace, mask, hash or block"
            )
    return checked


def scrub_body(
    content: bytes,
    content_type: str,
    *,
    detector: Detector,
    rules: Mapping[str, Operator],
    pseudonym: Callable[[str, str], str],
    exempt: Callable[[str], bool] | None = None,
    max_bytes: int,
    files: Files | None = None,
    decoded: bool = False,
) -> ScrubbedBody:
    """Scrub one body.

    Args:
        content: the bytes, without a content encoding.
        content_type: the Content-Type header's value.
        detector: finds what is in the texts.
        rules: type to operator, ``"*"`` for the rest.
        pseudonym: the keyed hash that the operator ``hash`` writes.
        exempt: whether a found value may stay (it was restored for this very actor).
        max_bytes: the most that is read.
        files: what happens to files in a form of several parts; None where no such form is read.
        decoded: the bytes were characters before, so that nobody is left to guess how they are encoded.

    Raises:
        MalformedInput: the bytes are not what their type says; :class:`UnreadableBody` for a type not known here,
            :class:`BodyTooLarge` beyond ``max_bytes``.
    """
    if not content:
        return ScrubbedBody(content=content, counts={}, blocked=())
    if len(content) > max_bytes:
        raise BodyTooLarge(f"the body is {len(content)} bytes; at most {max_bytes} are read")
    document = _open(content, content_type, files, decoded=decoded)
    parts = document.parts()
    counts: Counter[tuple[str, str]] = Counter()
    blocked: set[str] = set()
    texts: list[str | None] = []
    for part, found in zip(parts, detect_parts(detector, parts), strict=True):
        kept = [finding for finding in found if exempt is None or not exempt(part.text[finding.start : finding.end])]
        if not kept:
            texts.append(None)
            continue
        redacted = redact(part.text, kept, rules, vault=None, pseudonym=pseudonym)
        counts.update(redacted.counts)
        blocked.update(redacted.blocked)
        texts.append(redacted.text)
    if isinstance(document, MultipartDocument) and document.dropped:
        counts["FILE", "drop"] += document.dropped
    changed = any(text is not None for text in texts)
    return ScrubbedBody(
        content=document.render(texts) if changed else document.render([None] * len(parts)),
        counts=dict(counts),
        blocked=tuple(sorted(blocked)),
    )


def is_json(essence: str) -> bool:
    """Whether a media type without parameters, in lower case, is one JSON document (RFC 8259, RFC 6839)."""
    return essence == "application/json" or (essence.startswith("application/") and essence.endswith("+json"))


class _TextDocument:
    def __init__(self, text: str) -> None:
        self._text = text

    def parts(self) -> list[Part]:
        return [Part(text=self._text)]

    def render(self, texts: Sequence[str | None]) -> bytes:
        text = texts[0]
        return (self._text if text is None else text).encode("utf-8")


def _open(content: bytes, content_type: str, files: Files | None = None, *, decoded: bool = False) -> Document:
    kind = content_type.partition(";")[0].strip().lower()
    check_charset(content_type)
    if is_json(kind):
        return JsonDocument.parse(content)
    if kind == "application/x-www-form-urlencoded":
        form = FormDocument.parse(content)
        if any(name == "_charset_" and value.lower() not in ("utf-8", "us-ascii") for name, value in form.fields):
            raise UnreadableBody("the form names another charset than UTF-8")
        return form
    if kind == "multipart/form-data" and files is not None:
        return MultipartDocument.parse(content, content_type, open_part=_open, files=files)
    if kind.startswith("text/") and kind != "text/event-stream":
        if not decoded:
            check_encoding(content)
        return _open_text(content)
    raise UnreadableBody("a body of this content type cannot be looked at; send JSON, a form or text")


def _open_text(content: bytes) -> Document:
    """Text; but JSON whose escapes hide characters is read as what it is, whatever it is called."""
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError:
        pass
    else:
        if "\\u" in text and text.lstrip()[:1] in ("{", "[", '"'):
            with contextlib.suppress(NotJson):
                return JsonDocument.parse(text)
        return _TextDocument(text)
    raise MalformedInput("the body is not valid UTF-8")


def check_sender(names: Iterable[str]) -> None:
    """Refuse a response whose header ``names`` say that its body is another one: :class:`~aiguard.errors.MalformedInput`."""
    if not SENT_ELSEWHERE.isdisjoint(name.lower() for name in names):
        raise MalformedInput("it has the server in front send something else in its place, which cannot be looked at")


def check_encoding(content: bytes) -> None:
    """Refuse a text that readers of JSON take for UTF-16 or UTF-32: :class:`UnreadableBody`.

    They do not ask how it is called. What they go by (RFC 4627, section 3) is a byte order mark, which is no UTF-8, or a NUL.
    """
    if b"\0" in content:
        raise UnreadableBody("the text holds NUL characters, as UTF-16 does; send UTF-8")


def check_charset(content_type: str) -> None:
    """Refuse a body that is not UTF-8 by its own account: :class:`UnreadableBody`.

    Some readers know the extended form ``charset*=`` (RFC 2231) and its pieces ``charset*0=``, which nobody needs for a charset.
    """
    for parameter in content_type.split(";")[1:]:
        name, _, value = parameter.partition("=")
        name = name.strip().lower()
        if name.startswith("charset*"):
            raise UnreadableBody("the charset is given in the extended form; send charset=utf-8")
        if name == "charset" and value.strip().strip('"').lower() not in ("", "utf-8", "utf8", "us-ascii"):
            raise UnreadableBody("only UTF-8 bodies can be looked at; send charset=utf-8")
