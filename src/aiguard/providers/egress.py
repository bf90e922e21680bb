"""Where a guarded request may go and what its headers may say. Pure: values in, values or a refusal out.

Headers are not scanned, so only known ones pass, with values of a narrow charset. Everything else is dropped: what the
caller adds (``extra_headers``), what an SDK tells about the machine (``x-stainless-*``), cookies, and every credential. The
transport adds the one that settings name.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from aiguard.errors import SettingsError
from aiguard.providers.dialects import OPENAI, Dialect
from aiguard.providers.errors import refuse_answer, refuse_egress
from aiguard.providers.exchange import Headers

MAX_REQUEST_BYTES: Final = 10 * 1024 * 1024
"""Body of one request; the JSON reader has the same bound."""
MAX_RESPONSE_BYTES: Final = 16 * 1024 * 1024
"""Body of one answer once decoded; a model's longest answer is below 1 MB."""
MAX_RESPONSE_SECONDS: Final = 600.0
"""From the answer's first byte to its last, for servers that keep a read timeout from firing by sending a byte a second."""

_PORTS: Final = {"http": 80, "https": 443}
_PATH: Final = re.compile(r"(?:/[A-Za-z0-9_-][A-Za-z0-9_.-]{0,127})+\Z")
_VISIBLE: Final = re.compile(r"[!-~](?:[ -~]{0,510}[!-~])?\Z")
_REQUEST_HEADERS: Final[Mapping[str, re.Pattern[str]]] = {
    "content-type": re.compile(r"application/json(?:; ?charset=utf-8)?\Z", re.IGNORECASE),
    "accept": re.compile(r"(?:application/json|text/event-stream|\*/\*)\Z"),
}
"""What an SDK says that a provider needs."""
_RESPONSE_HEADERS: Final[Mapping[str, re.Pattern[str]]] = {
    "content-type": re.compile(r"[a-z]{1,20}/[a-z0-9.+-]{1,60}(?:; ?charset=[a-zA-Z0-9-]{1,20})?\Z"),
    "x-request-id": re.compile(r"[A-Za-z0-9_.-]{1,128}\Z"),
    "openai-processing-ms": re.compile(r"[0-9]{1,9}\Z"),
    "openai-version": re.compile(r"[0-9-]{1,20}\Z"),
    "retry-after": re.compile(r"(?:[0-9.]{1,9}|[A-Za-z]{3}, [0-9]{2} [A-Za-z]{3} [0-9]{4} [0-9:]{8} GMT)\Z"),
    "retry-after-ms": re.compile(r"[0-9.]{1,12}\Z"),
    "x-should-retry": re.compile(r"(?:true|false)\Z"),
    "x-ratelimit-limit-requests": re.compile(r"[0-9]{1,12}\Z"),
    "x-ratelimit-limit-tokens": re.compile(r"[0-9]{1,12}\Z"),
    "x-ratelimit-remaining-requests": re.compile(r"[0-9]{1,12}\Z"),
    "x-ratelimit-remaining-tokens": re.compile(r"[0-9]{1,12}\Z"),
    "x-ratelimit-reset-requests": re.compile(r"[0-9a-z.]{1,24}\Z"),
    "x-ratelimit-reset-tokens": re.compile(r"[0-9a-z.]{1,24}\Z"),
    "request-id": re.compile(r"[A-Za-z0-9_.-]{1,128}\Z"),
    **{
        f"anthropic-ratelimit-{what}{figure}": re.compile(
            r"[0-9]{1,12}\Z" if figure != "-reset" else r"[0-9TZ:+-]{1,30}\Z"
        )
        for what in ("requests", "tokens", "input-tokens", "output-tokens")
        for figure in ("-limit", "-remaining", "-reset")
    },
}
"""What an SDK acts on: retries, rate limits, the id to quote to the provider's support."""
_HANDLER_HEADERS: Final[Mapping[str, re.Pattern[str]]] = {
    **_RESPONSE_HEADERS,
    "x-aiguard-decision-id": re.compile(r"[a-z]{3}_[0-9A-Z]{26}\Z"),
}
"""What the handler may tell the caller; a model server's own header of that name was dropped on arrival."""
_ONCE: Final = frozenset({"host", "content-type", "content-length", "transfer-encoding", "authorization", "x-api-key"})


@dataclass(frozen=True, slots=True)
class Origin:
    """A provider's base URL, taken apart; the only place that its client may reach."""

    scheme: str
    host: str
    port: int
    path: str
    """Base path without a trailing slash: ``/v1``, or ``""``."""

    @classmethod
    def parse(cls, base_url: str) -> Origin:
        """Read a base URL from settings.

        Raises:
            SettingsError: it is not a plain ``http(s)://host[:port][/path]``.
        """
        problem = ""
        try:
            parts = urlsplit(base_url)
            port = parts.port
        except ValueError:
            problem = "it cannot be read as a URL"
        else:
            if parts.scheme not in _PORTS or not parts.hostname:
                problem = "it needs a scheme (https, or http for a server of your own) and a host"
            elif parts.username is not None or parts.password is not None:
                problem = "it holds a user name or password; set the credential in settings"
            elif "?" in base_url or "#" in base_url:
                problem = "it has a query or a fragment"
            elif not re.fullmatch(r"[a-z0-9._:-]{1,253}", parts.hostname):
                problem = "its host holds characters that are not allowed; write it in lower-case ASCII"
            elif parts.path.rstrip("/") and not _PATH.match(parts.path.rstrip("/")):
                problem = "its path holds characters that are not allowed"
            else:
                return cls(
                    parts.scheme,
                    parts.hostname,
                    port or _PORTS[parts.scheme],
                    parts.path.rstrip("/"),
                )
        raise SettingsError(f"the provider's base URL cannot be used: {problem}")

    def url(self, path: str) -> str:
        """The absolute URL of a path that :meth:`relative` or :func:`check_path` accepted."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        port = "" if self.port == _PORTS[self.scheme] else f":{self.port}"
        return f"{self.scheme}://{host}{port}{self.path}{path}"

    def relative(self, *, scheme: str, host: str, port: int | None, userinfo: bytes, target: str) -> str:
        """The path below the base path, for a request that stays inside it.

        ``target`` is the path and query as they would go on the wire.

        Raises:
            EgressRefused: it is another origin, leaves the base path, or has a query.
        """
        here = (scheme, host.strip("[]"), port or _PORTS.get(scheme, 0))
        if here != (self.scheme, self.host, self.port) or userinfo:
            raise refuse_egress(
                "egress.origin",
                "a guarded client may only call the provider's own base URL; change the base URL in settings, not on the client",
            )
        path, question, _query = target.partition("?")
        if question:
            raise refuse_egress(
                "egress.query",
                "a guarded request may not have a query string, which no control reads",
            )
        if not path.startswith(self.path + "/"):
            raise refuse_egress("egress.path", "the request leaves the provider's base path")
        relative = path[len(self.path) :]
        check_path(relative)
        return relative


def check_path(path: str) -> None:
    """Refuse a path with dot segments, escapes, doubled or trailing slashes.

    Raises:
        EgressRefused: it has any of these.
    """
    if not _PATH.match(path) or any(segment in (".", "..") for segment in path.split("/")):
        raise refuse_egress("egress.path", "the request's path is not a plain endpoint path")


def request_headers(pairs: Iterable[tuple[str, str]], dialect: Dialect = OPENAI) -> Headers:
    """The headers that may leave.

    Raises:
        EgressRefused: a framing header is there twice, the body is encoded, or the dialect refuses a header.
    """
    kept: list[tuple[str, str]] = []
    seen: set[str] = set()
    for raw_name, value in pairs:
        name = raw_name.lower()
        if name in _ONCE and name in seen:
            raise refuse_egress("egress.header", f"the header {name} is there twice")
        seen.add(name)
        if name == "content-encoding" and value.strip().lower() not in ("", "identity"):
            raise refuse_egress(
                "egress.encoding",
                "an encoded body cannot be read; send it without content-encoding",
                status=415,
            )
        if name == "content-type" and not _REQUEST_HEADERS[name].match(value):
            raise refuse_egress("egress.type", "only application/json bodies can be read", status=415)
        pattern = _REQUEST_HEADERS.get(name) or dialect.headers.get(name)
        if pattern is not None and pattern.match(value):
            kept.append((name, value))
        elif name in dialect.refused:
            raise refuse_egress("egress.header", f"the header {name} is refused: {dialect.refused[name]}")
    return tuple(kept)


def response_headers(pairs: Iterable[tuple[str, str]], *, from_handler: bool = False) -> Headers:
    """The headers that may be seen: the first of each known name, where its value has the expected form."""
    allowed = _HANDLER_HEADERS if from_handler else _RESPONSE_HEADERS
    kept: dict[str, str] = {}
    for raw_name, value in pairs:
        name = raw_name.lower()
        pattern = allowed.get(name)
        if pattern is not None and pattern.match(value):
            kept.setdefault(name, value)
    return tuple(kept.items())


def fixed_headers(headers: Mapping[str, str]) -> Headers:
    """Headers that settings add to every request (an organisation id, say).

    Raises:
        SettingsError: a name or value holds characters that a header may not.
    """
    for name, value in headers.items():
        if not re.fullmatch(r"[A-Za-z0-9-]{1,64}", name) or not _VISIBLE.match(value):
            raise SettingsError("a provider header in settings holds characters that are not allowed")
    return tuple((name.lower(), value) for name, value in headers.items())


def credential(secret: str, dialect: Dialect = OPENAI) -> tuple[str, str]:
    """The header that carries the credential.

    Raises:
        SettingsError: the credential is empty or holds characters that a header may not.
    """
    if not _VISIBLE.match(secret) or " " in secret:
        raise SettingsError(
            "the provider's credential is empty or holds characters that no API key has; check settings"
        )
    name, before = dialect.credential
    return name, before + secret


def check_status(status: int) -> None:
    """Refuse redirects and whatever is no final answer.

    Raises:
        AnswerRefused: the status is below 200 or 3xx.
    """
    if 300 <= status < 400:
        raise refuse_answer(
            "provider.redirect",
            "the model server redirects elsewhere; a guarded client never follows",
        )
    if not 200 <= status < 600:
        raise refuse_answer(
            "provider.status",
            "the model server answered with a status that is no answer",
        )


def check_plain(headers: Iterable[tuple[str, str]]) -> None:
    """Refuse an encoded stream: nothing but ``identity`` was asked for.

    Raises:
        AnswerRefused: it has a content encoding.
    """
    if any(
        name.lower() == "content-encoding" and value.strip().lower() not in {"", "identity"} for name, value in headers
    ):
        raise refuse_answer(
            "provider.encoding",
            "the model server encoded its stream in a way that was not asked for",
        )


class SizeLimit:
    """Counts the bytes of an answer that is handed on while it arrives."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._room = limit

    def take(self, size: int) -> None:
        """Count ``size`` more bytes.

        Raises:
            AnswerRefused: the answer is too large.
        """
        self._room -= size
        if self._room < 0:
            raise refuse_answer("provider.size", f"the model server's answer is larger than {self._limit} bytes")


class BodyReader:
    """Collects an answer's body within a size limit, decoding gzip or deflate on the way.

    ``feed`` every chunk, then ``finish``. The limit holds for what comes in and for what it decodes to, so a small
    body cannot become a large one.
    """

    def __init__(self, headers: Iterable[tuple[str, str]], limit: int) -> None:
        encodings = [
            token.strip().lower()
            for name, value in headers
            if name.lower() == "content-encoding"
            for token in value.split(",")
            if token.strip() and token.strip().lower() != "identity"
        ]
        if len(encodings) > 1 or (encodings and encodings[0] not in ("gzip", "x-gzip", "deflate")):
            raise refuse_answer(
                "provider.encoding",
                "the model server encoded its answer in a way that was not asked for",
            )
        # 32 lets zlib tell gzip and zlib headers apart (zlib manual, inflateInit2).
        self._decoder = zlib.decompressobj(wbits=zlib.MAX_WBITS | 32) if encodings else None
        self._chunks: list[bytes] = []
        self._room = limit
        self._limit = limit

    def feed(self, chunk: bytes) -> None:
        """Take the next chunk.

        Raises:
            AnswerRefused: the body is too large or is not what its encoding says.
        """
        if self._decoder is None:
            self._keep(chunk)
            return
        broken = False
        try:
            while chunk and not broken:
                self._keep(self._decoder.decompress(chunk, self._room + 1))
                chunk = self._decoder.unconsumed_tail
                broken = bool(self._decoder.unused_data)
        except zlib.error:
            broken = True
        if broken:
            raise refuse_answer(
                "provider.encoding",
                "the model server's answer is not what its encoding says",
            )

    def finish(self) -> bytes:
        """The whole body.

        Raises:
            AnswerRefused: the encoded body was cut off.
        """
        if self._decoder is not None and not self._decoder.eof:
            raise refuse_answer("provider.encoding", "the model server's encoded answer was cut off")
        return b"".join(self._chunks)

    def _keep(self, chunk: bytes) -> None:
        self._room -= len(chunk)
        if self._room < 0:
            raise refuse_answer(
                "provider.size",
                f"the model server's answer is larger than {self._limit} bytes",
            )
        self._chunks.append(chunk)
