"""Which routes the web middleware guards, and how: ``[[routes]]`` of the policy, or rules given in Python.

Middleware runs before anybody is signed in, so there is nobody to whom a token could be turned back: a rule masks,
replaces, hashes, drops or blocks, and never tokenises.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cached_property
from types import MappingProxyType
from typing import Annotated, Any, Final, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, PlainValidator

from aiguard.policy import builtin, values
from aiguard.policy.paths import pattern_source
from aiguard.scan.patterns import Pattern, compile_pattern
from aiguard.types import Operator

Direction = Literal["request", "response", "both"]

_METHOD: Final = re.compile(r"[A-Za-z]{1,20}")
_POINTER: Final = re.compile(r"(?:/(?:[^~/]|~[01])*){1,16}")
_READABLE: Final = re.compile(
    r"text/[a-z0-9.+-]+|application/(?:json|x-www-form-urlencoded|x-ndjson|ndjson|jsonl|[a-z0-9.+-]+\+json)|multipart/form-data"
)


def _route(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError('is a path as it is registered, for example "/tickets/{id}" or "/api/*"')
    pattern_source(value)
    return value


def _method(value: object) -> str:
    if not isinstance(value, str) or not _METHOD.fullmatch(value):
        raise ValueError('is not an HTTP method; write for example "POST"')
    return value.upper()


def _content_type(value: object) -> str:
    if not isinstance(value, str) or not _READABLE.fullmatch(value.lower()):
        raise ValueError(
            'is not a content type that can be looked at; write one without parameters, for example "application/json"'
        )
    return value.lower()


def _pointer(value: object) -> str:
    if not isinstance(value, str) or not _POINTER.fullmatch(value):
        raise ValueError('is a JSON pointer to a text, for example "/choices/*/delta/content"')
    return value


def _rules(rules: Mapping[str, Operator]) -> Mapping[str, Operator]:
    if rules.get("*", builtin.DEFAULT_OPERATOR).name == "allow":
        raise ValueError('"*" = "allow" would let through every type nobody thought of; name the types to allow')
    for entity, operator in rules.items():
        if operator.name == "tokenize":
            raise ValueError(
                f"cannot tokenize {entity}: before sign-in there is nobody to turn it back to; use replace, mask, hash, drop or block"
            )
    return MappingProxyType({"*": builtin.DEFAULT_OPERATOR, **rules})


class RouteRule(BaseModel):
    """One rule: which requests and responses it is for, what may be in them, and what happens to what is found."""

    model_config = ConfigDict(frozen=True, extra="forbid", arbitrary_types_allowed=True, hide_input_in_errors=True)

    path: Annotated[str, PlainValidator(_route)]
    """A route's template. ``{name}`` is one step; ``*`` is anything, so ``/api/*`` is all of ``/api``."""
    methods: tuple[Annotated[str, PlainValidator(_method)], ...] = ()
    """None means every method. ``GET`` includes ``HEAD``."""
    direction: Direction = "both"
    content_types: tuple[Annotated[str, PlainValidator(_content_type)], ...] = ()
    """What bodies may be; any other is refused. None means every type that can be looked at."""
    redact: Annotated[
        Mapping[
            Annotated[str, PlainValidator(values.parse_type)],
            Annotated[Operator, PlainValidator(values.parse_operator)],
        ],
        AfterValidator(_rules),
    ] = Field(default_factory=lambda: _rules({}))
    query: Literal["scan", "pass"] = "scan"
    """Whether the query string is scrubbed with the request."""
    files: Literal["scan", "drop", "refuse"] = "scan"
    """Files in a form: all must be readable; those that are not are left out; or there may be none."""
    websocket: Literal["refuse", "scan"] = "refuse"
    deltas: tuple[Annotated[str, PlainValidator(_pointer)], ...] | None = None
    """Where in the JSON of events and lines the texts stand that run on from one to the next, as RFC 6901 pointers with ``*`` for any one
    step; empty where each event stands by itself. None goes by the usual names."""
    max_body_bytes: Annotated[int, Field(strict=True, ge=1, le=1 << 30)] | None = None
    """Of a request, content codings taken off; by default ``AIGUARD_MAX_BODY_BYTES``."""
    max_body_seconds: Annotated[int, Field(strict=True, ge=1, le=3600)] = builtin.BODY_SECONDS
    """From the first byte of a request's body to its last."""

    def __deepcopy__(self, memo: dict[int, Any] | None = None) -> RouteRule:
        """Itself: nothing in it can change."""
        return self

    @cached_property
    def pattern(self) -> Pattern:
        """The path's pattern, for :func:`aiguard.policy.paths.readings`."""
        return compile_pattern(pattern_source(self.path))

    def is_for(self, method: str) -> bool:
        """Whether requests with that method are meant."""
        method = method.upper()
        return not self.methods or method in self.methods or (method == "HEAD" and "GET" in self.methods)

    @property
    def on_request(self) -> bool:
        """Whether what comes in is looked at."""
        return self.direction != "response"

    @property
    def on_response(self) -> bool:
        """Whether what goes out is looked at."""
        return self.direction != "request"
