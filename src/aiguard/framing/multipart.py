"""``multipart/form-data`` bodies (RFC 7578) taken apart into parts and written anew.

Parsers of this format differ in what they forgive, and each difference is a place to hide a text. So nothing is forgiven
here: text before the first and behind the last boundary, folded or unknown transfer encodings, escapes in names and
``filename*`` are refused; headers of a part that carry no meaning in a form are not passed on.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final, Literal, Protocol

from aiguard.errors import MalformedInput
from aiguard.framing.jsontree import TooLarge
from aiguard.types import Part, PartKind

Files = Literal["scan", "drop", "refuse"]
"""What happens to files: all must be readable; those that are not are left out; or there may be none."""

MAX_FIELDS: Final = 1000
"""Parts of one body, as for forms."""
MAX_HEAD: Final = 4096
"""Bytes of one part's headers."""

MAX_DIGITS: Final = 5
"""Digits in the type of a part, at most: it goes on as it is, and more could be a number that is somebody's."""

_BOUNDARY: Final = re.compile(r"[0-9A-Za-z'()+_,./:=?-]{1,70}")
_PARAMETER: Final = re.compile(r';\s*([!#$%&*+.^_`|~0-9A-Za-z-]+)=(?:"([^"\\\x00-\x1f\x7f]*)"|([^\s";\\]+))\s*')
_TYPE: Final = re.compile(r"[!#$&^_.+0-9A-Za-z-]{1,64}/[!#$&^_.+0-9A-Za-z-]{1,64}\s*")
_HEADER: Final = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*([^\x00-\x08\x0a-\x1f\x7f]*)")


class Document(Protocol):
    """What a part's content is opened as: texts out, and the same content with other texts back in."""

    def parts(self) -> list[Part]:
        """The texts, in their order."""
        ...

    def render(self, texts: Sequence[str | None], /) -> bytes:
        """The content with some of them replaced; ``None`` means unchanged."""
        ...


class UnreadablePart(MalformedInput):
    """A part that no control can read; ``status`` is 415."""

    status = 415


@dataclass(frozen=True, kw_only=True, slots=True)
class _Field:
    name: str
    filename: str | None
    type: str
    document: Document


class MultipartDocument:
    """A form of several parts. ``parts()`` gives each one's name, its file name if there is one, and its texts."""

    __slots__ = ("_boundary", "_fields", "dropped")

    def __init__(self, boundary: bytes, fields: Sequence[_Field], *, dropped: int = 0) -> None:
        self._boundary = boundary
        self._fields = tuple(fields)
        self.dropped = dropped

    @classmethod
    def parse(
        cls,
        data: bytes,
        content_type: str,
        *,
        open_part: Callable[[bytes, str], Document],
        files: Files = "scan",
        max_fields: int = MAX_FIELDS,
    ) -> MultipartDocument:
        """Parse strictly.

        Args:
            data: the body.
            content_type: the Content-Type header's value; it names the boundary.
            open_part: opens one part's content by its type; raises :class:`~aiguard.errors.MalformedInput`, with a
                ``status`` of 415 for what it cannot read.
            files: what happens to parts that have a file name.
            max_fields: the most parts that are read.

        Raises:
            MalformedInput: the body is not strictly what its type says; :class:`UnreadablePart` for a part that cannot be
                looked at, :class:`~aiguard.framing.TooLarge` beyond a limit.
        """
        boundary = _boundary(content_type)
        fields: list[_Field] = []
        dropped = 0
        for number, (head, content) in enumerate(_split(data, boundary, max_fields)):
            name, filename, kind = _headers(head, number)
            if filename and files == "refuse":
                raise UnreadablePart(f"part {number} of the form is a file, and this route takes none")
            try:
                if kind.lower().startswith("multipart/"):
                    raise UnreadablePart(f"part {number} of the form is a form itself, which is not read")
                document = open_part(content, kind or "text/plain") if content else _Empty()
            except MalformedInput as error:
                if getattr(error, "status", None) != 415:
                    raise
                if filename is not None and files == "drop":
                    dropped += 1
                    continue
                unreadable = True
            else:
                unreadable = False
            if unreadable:
                what = "file" if filename is not None else "field"
                raise UnreadablePart(f"part {number} of the form is a {what} of a type that cannot be looked at")
            if name == "_charset_" and content.lower() not in (b"utf-8", b"us-ascii"):
                raise UnreadablePart("the form names another charset than UTF-8")
            fields.append(_Field(name=name, filename=filename, type=kind, document=document))
        return cls(boundary, fields, dropped=dropped)

    def parts(self) -> list[Part]:
        """For each part of the form: its name (a key), its file name, and what its content holds, in their order."""
        found: list[Part] = []
        for number, each in enumerate(self._fields):
            found.append(Part(text=each.name, pointer=f"/{number}", kind=PartKind.KEY))
            if each.filename is not None:
                found.append(Part(text=each.filename, pointer=f"/{number}", context="filename"))
            found += [
                replace(part, pointer=f"/{number}-{part.pointer[1:]}", context=part.context or each.name)
                for part in each.document.parts()
            ]
        return found

    def render(self, texts: Sequence[str | None]) -> bytes:
        """The form with some texts replaced, aligned to :meth:`parts`; ``None`` means unchanged.

        Raises:
            MalformedInput: a text holds a lone surrogate, or the boundary.
            ValueError: ``texts`` is not as long as ``parts()``.
        """
        given = iter(texts)
        out: list[bytes] = []
        for each in self._fields:
            name = _first(given, each.name)
            filename = None if each.filename is None else _first(given, each.filename)
            content = each.document.render([next(given, None) for _ in each.document.parts()])
            if b"--" + self._boundary in content:
                raise MalformedInput("a part of the form holds the form's boundary")
            head = f'Content-Disposition: form-data; name="{_escaped(name)}"'
            if filename is not None:
                head += f'; filename="{_escaped(filename)}"'
            if each.type:
                head += f"\r\nContent-Type: {each.type}"
            out += (b"--", self._boundary, b"\r\n", _bytes(head), b"\r\n\r\n", content, b"\r\n")
        if next(given, _END) is not _END:
            raise ValueError("render needs one text for each part")
        return b"".join((*out, b"--", self._boundary, b"--\r\n"))

    def __repr__(self) -> str:
        return f"MultipartDocument(fields={len(self._fields)})"


_END: Final = object()


class _Empty:
    def parts(self) -> list[Part]:
        return []

    def render(self, texts: Sequence[str | None], /) -> bytes:
        del texts
        return b""


def _first(texts: Iterator[str | None], old: str) -> str:
    try:
        new = next(texts)
    except StopIteration:
        raise ValueError("render needs one text for each part") from None
    return old if new is None else new


def _boundary(content_type: str) -> bytes:
    _, parameters = _parameters(content_type, "the form's Content-Type")
    boundary = parameters.get("boundary", "")
    if not _BOUNDARY.fullmatch(boundary):
        raise MalformedInput("the form's Content-Type names no boundary that can be one")
    return boundary.encode("ascii")


def _split(data: bytes, boundary: bytes, max_fields: int) -> list[tuple[bytes, bytes]]:
    """Head and content of each part."""
    line = b"\r\n--" + boundary
    pieces = (data if data.startswith(b"\r\n") else b"\r\n" + data).split(line, max_fields + 2)
    if len(pieces) > max_fields + 2:
        raise TooLarge(f"the form has more than {max_fields} parts")
    if len(pieces) < 2 or pieces[0]:
        raise MalformedInput("the form does not begin with its boundary")
    if pieces[-1] not in (b"--", b"--\r\n"):
        raise MalformedInput("the form does not end with its boundary")
    found: list[tuple[bytes, bytes]] = []
    for number, piece in enumerate(pieces[1:-1]):
        head, blank, content = piece.partition(b"\r\n\r\n")
        if not blank or not head.startswith(b"\r\n"):
            raise MalformedInput(f"part {number} of the form has no headers, or its boundary line goes on")
        if len(head) > MAX_HEAD:
            raise TooLarge(f"the headers of part {number} of the form are longer than {MAX_HEAD} bytes")
        if b"--" + boundary in content:
            raise MalformedInput(f"part {number} of the form holds the form's boundary")
        found.append((head[2:], content))
    return found


def _headers(head: bytes, number: int) -> tuple[str, str | None, str]:
    """Name, file name and type of a part."""
    where = f"part {number} of the form"
    disposition: str | None = None
    kind = ""
    seen: set[bytes] = set()
    for line in head.split(b"\r\n"):
        header = _HEADER.fullmatch(line)
        if header is None:
            raise MalformedInput(f"{where} has a header that cannot be read")
        name = header[1].lower()
        value = _text(header[2].strip(), where)
        if name in seen:
            raise MalformedInput(f"{where} has a header twice")
        seen.add(name)
        if name == b"content-disposition":
            disposition = value
        elif name == b"content-type":
            kind = value
        elif name == b"content-transfer-encoding" and value.lower() not in ("7bit", "8bit", "binary"):
            raise UnreadablePart(f"{where} has a transfer encoding, which is not read")
        elif name == b"content-encoding":
            raise UnreadablePart(f"{where} has a content coding, which is not read")
    if disposition is None:
        raise MalformedInput(f"{where} has no Content-Disposition")
    essence, parameters = _parameters(disposition, where)
    if essence.lower() != "form-data" or "name" not in parameters:
        raise MalformedInput(f"{where} is not a field of a form")
    if set(parameters) - {"name", "filename"}:
        raise MalformedInput(f"{where} has a parameter that a form has not (filename* among them)")
    if kind and (not _TYPE.fullmatch(kind.partition(";")[0]) or not kind.isascii()):
        raise MalformedInput(f"{where} has no type that can be read")
    if kind:
        essence, about = _parameters(kind, where)
        if sum(map(str.isdigit, essence)) > MAX_DIGITS:
            raise MalformedInput(f"{where} has no type that can be read")
        kind = "; charset=".join((essence, about["charset"]) if "charset" in about else (essence,))
        if any(name.startswith("charset*") for name in about):
            raise UnreadablePart(f"{where} gives its charset in the extended form")
    return parameters["name"], parameters.get("filename"), kind


def _parameters(value: str, where: str) -> tuple[str, dict[str, str]]:
    """What stands before the first ``;``, and the parameters behind it, each once."""
    essence, semicolon, rest = value.partition(";")
    rest, at = semicolon + rest, 0
    parameters: dict[str, str] = {}
    while at < len(rest):
        found = _PARAMETER.match(rest, at)
        if found is None or found[1].lower() in parameters:
            raise MalformedInput(f"{where} has a parameter that cannot be read, or one twice")
        parameters[found[1].lower()] = found[2] if found[2] is not None else found[3]
        at = found.end()
    return essence.strip(), parameters


def _text(raw: bytes, where: str) -> str:
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        pass
    raise MalformedInput(f"the headers of {where} are not UTF-8")


def _escaped(text: str) -> str:
    """As browsers write a name (WHATWG HTML, multipart/form-data): three characters become percent escapes."""
    escaped = text.replace("\n", "%0A").replace("\r", "%0D").replace('"', "%22")
    if "\\" in escaped or any(ord(c) < 32 for c in escaped):
        raise MalformedInput("a name of the form cannot be written after replacement")
    return escaped


def _bytes(text: str) -> bytes:
    try:
        return text.encode("utf-8")
    except UnicodeEncodeError:
        pass
    raise MalformedInput("a text holds half of a surrogate pair, which no UTF-8 can carry")
