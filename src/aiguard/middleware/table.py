"""Which rule is for a request: the policy's first, then those given in Python; of each direction the first that fits."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

from pydantic import ValidationError

from aiguard.detect import known_types
from aiguard.errors import ConfigurationError
from aiguard.guard import Guard
from aiguard.policy.paths import readings
from aiguard.policy.routes import RouteRule
from aiguard.policy.values import did_you_mean

CACHED_PATHS: Final = 4096
"""Paths whose rules are remembered: an application's own, and not all that a scanner of the net asks for."""
MAX_CACHED: Final = 1024
"""Characters of a path that is remembered: a server takes paths of 64 KB, and thousands of those would fill the memory."""
OVERRIDES: Final = frozenset({b"x-http-method-override", b"x-http-method", b"x-method-override"})
"""Headers by which some applications let a request name another method than it has."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Plan:
    """The rules of one request."""

    request: RouteRule | None
    response: RouteRule | None

    @property
    def rule(self) -> RouteRule:
        """The rule that names the route, for what is about neither direction."""
        rule = self.request or self.response
        assert rule is not None
        return rule


class RouteTable:
    """All rules of one middleware.

    Args:
        guard: whose policy's routes come first, and whose detector says which types there are.
        rules: further ones, as :class:`RouteRule` or as tables like those of the policy.

    Raises:
        ConfigurationError: a rule cannot work, or there is none.
    """

    def __init__(self, guard: Guard, rules: Sequence[RouteRule | Mapping[str, Any]]) -> None:
        self.rules: tuple[RouteRule, ...] = (*guard.policy.routes, *(checked_rule(rule) for rule in rules))
        if not self.rules:
            raise ConfigurationError(
                "no route rule was given, so this middleware would guard nothing; add [[routes]] to the policy, or rules="
            )
        known = {*known_types(), *guard.detector.types}
        for rule in self.rules:
            for entity in rule.redact:
                if entity != "*" and entity not in known:
                    hint = did_you_mean(entity, known)
                    raise ConfigurationError(
                        f"the rule for {rule.path} names {entity!r}, which is not an entity type; {hint}".rstrip("; ")
                    )
        self._cached = lru_cache(maxsize=CACHED_PATHS)(self._at)

    def at(self, path: str, raw: str, mount: str) -> tuple[RouteRule, ...]:
        """The rules whose path fits, in their order: of a path, the path as it was sent, and the mount before it."""
        find = self._cached if len(path) + len(raw) + len(mount) <= MAX_CACHED else self._at
        return find(path, raw, mount)

    def _at(self, path: str, raw: str, mount: str) -> tuple[RouteRule, ...]:
        texts = readings(path, raw=raw, mount=mount)
        return tuple(rule for rule in self.rules if any(rule.pattern.found(text) for text in texts))

    @staticmethod
    def plan(rules: Sequence[RouteRule], method: str, headers: Iterable[tuple[bytes, bytes]]) -> Plan | None:
        """What a request with that method and those headers needs, of the rules for its path."""
        if any(rule.methods for rule in rules):
            methods = {
                method,
                *(value.decode("latin-1").strip() for name, value in headers if name.lower() in OVERRIDES),
            }
            rules = [rule for rule in rules if any(rule.is_for(each) for each in methods)]
        request = next((rule for rule in rules if rule.on_request), None)
        response = next((rule for rule in rules if rule.on_response), None)
        return Plan(request=request, response=response) if request or response else None


def checked_rule(rule: RouteRule | Mapping[str, Any]) -> RouteRule:
    """A rule given in Python; :class:`ConfigurationError` says what is wrong with it."""
    if isinstance(rule, RouteRule):
        return rule
    if not isinstance(rule, Mapping):
        raise ConfigurationError('a route rule is a RouteRule or a mapping like {"path": "/api/*"}')
    try:
        return RouteRule.model_validate(dict(rule))
    except ValidationError as error:
        problems = [
            f"{'.'.join(str(step) for step in each['loc']) or 'rule'}: {each['msg'].removeprefix('Value error, ')}"
            for each in error.errors(include_url=False, include_input=False, include_context=False)
        ]
    raise ConfigurationError("a route rule cannot be used: " + "; ".join(problems))
