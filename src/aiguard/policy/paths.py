"""Request paths as a rule sees them: every way in which an application, or a server before it, may read one.

A path can be spelt so that a rule does not recognise it and an application still does: ``/api//chat``, ``/api/%63hat``,
``/x/../api/chat``, ``/API/chat``, ``/api/chat%0A``. So a path stands for all its *readings*, and a rule applies where any
of them fits. A reading too many makes a rule apply where it need not; one too few would let a request go around it.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Final
from urllib.parse import unquote

MAX_ROUNDS: Final = 4
"""Times that percent escapes are read: servers do it once, proxies and applications at most once more each."""

PLAIN: Final = re.compile(r"/|(?:/[a-z0-9_~-][a-z0-9._~-]*)+")
"""Paths that can be read in one way only."""

_ABSOLUTE: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://[^/]*")
_MORE: Final = re.compile(r"[;?#]")
_QUERY: Final = re.compile(r"[?#]")
_STEPS: Final = re.compile(r";[^/]*")
_SLASHES: Final = re.compile(r"/+")
_PATTERN: Final = re.compile(r"(?:/[A-Za-z0-9._~{}<>:*-]*)+")
_FIELD: Final = re.compile(
    r"\{(?P<name>[A-Za-z_][A-Za-z0-9_]*)(?::(?P<kind>[a-z]+))?\}"
    r"|<(?:(?P<converter>[a-z]+):)?(?P<field>[A-Za-z_][A-Za-z0-9_]*)>"
)
_LONG_NUMBER: Final = re.compile(r"[0-9]{7}|[0-9]+(?:\.[0-9]+){3}|::")


def readings(path: str, *, raw: str = "", mount: str = "") -> tuple[str, ...]:
    """Every reading of a request's path, each normalised: lower case, one slash, no slash at the end.

    Args:
        path: the path as the server hands it on, percent escapes read.
        raw: the path as it was sent, if the server says so.
        mount: what the server says is in front of the application (``root_path``, ``SCRIPT_NAME``), which servers count
            into ``path`` or do not.
    """
    found: dict[str, None] = {}
    for start in dict.fromkeys((path, raw)) if raw else (path,):
        text = start
        for _ in range(MAX_ROUNDS + 1):
            for each in _places(text, mount):
                for normal in _without_more(normalised(each)):
                    found[normal] = None
                    if "/." in normal:
                        found[_resolved(normal)] = None
            decoded = unquote(text, errors="replace") if "%" in text else text
            if decoded == text:
                break
            text = decoded
    return tuple(found)


def normalised(path: str) -> str:
    """One reading of a path, in the form in which patterns are compared."""
    if not PLAIN.fullmatch(path):
        folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", path).casefold())
        shown = "".join(c for c in folded if unicodedata.category(c) not in ("Cc", "Cf", "Cs"))
        path = "/" + "/".join(step.strip() for step in shown.replace("\\", "/").split("/"))
        path = _SLASHES.sub("/", path)
    return path.rstrip("/") or "/"


def pattern_source(pattern: str) -> str:
    """A route pattern as a regular expression over readings.

    ``{name}`` and ``<name>`` stand for one step, ``*``, ``{name:path}`` and ``<path:name>`` for anything; ``/*`` at the end
    means what stands in front of it, too.

    Raises:
        ValueError: it is not a route pattern. The message says what to write.
    """
    if pattern == "*":
        pattern = "/*"
    if not _PATTERN.fullmatch(pattern) or len(pattern) > 200:
        raise ValueError(
            'is not a route; write a path as it is registered, for example "/tickets/{id}", "/tickets/<int:id>" or "/api/*"'
        )
    if _LONG_NUMBER.search(pattern):
        raise ValueError("holds a long number or an address; a route is a template, so write {id} for it")
    tail = ""
    if pattern.endswith("/*"):
        pattern, tail = pattern[:-2], "(?:/.*)?"
        if not pattern:
            return r"(?s)\A/.*\z"
    out: list[str] = []
    at = 0
    pattern = _SLASHES.sub("/", pattern).rstrip("/") or "/"
    for field in _FIELD.finditer(pattern):
        out += (
            _literal(pattern[at : field.start()]),
            ".*" if "path" in (field["kind"], field["converter"]) else "[^/]*",
        )
        at = field.end()
    out.append(_literal(pattern[at:]))
    return rf"(?s)\A{''.join(out)}{tail}\z"


def _literal(text: str) -> str:
    if any(c in text for c in "{}<>:"):
        raise ValueError("has a field that cannot be read; write {name}, {name:path}, <name> or <converter:name>")
    if "/." in text:
        raise ValueError("has a step that begins with a dot, which is read in several ways; name the route below it")
    return ".*".join(re.escape(piece.casefold()) for piece in text.split("*"))


def _without_more(path: str) -> tuple[str, ...]:
    """A normalised path, and without what some take for parameters of a step (RFC 3986, section 3.3), a query or a fragment."""
    if _MORE.search(path) is None:
        return (path,)
    cut = _QUERY.split(path, maxsplit=1)[0]
    return tuple(dict.fromkeys(map(normalised, (path, cut, _STEPS.sub("", path), _STEPS.sub("", cut)))))


def _places(text: str, mount: str) -> list[str]:
    places = [text]
    if absolute := _ABSOLUTE.match(text):
        places.append(text[absolute.end() :])
    if mount.strip("/"):
        for each in tuple(places):
            places.append(mount.rstrip("/") + "/" + each)
            if each.startswith(mount):
                places.append(each[len(mount) :])
    return places


def _resolved(path: str) -> str:
    steps: list[str] = []
    for step in path.split("/")[1:]:
        if step == "..":
            del steps[-1:]
        elif step != ".":
            steps.append(step)
    return "/" + "/".join(steps)
