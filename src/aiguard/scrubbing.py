"""The plain job, without a guard, an application or a policy file."""

from __future__ import annotations

from collections.abc import Mapping

from aiguard.detect import default_detector
from aiguard.redact import redact
from aiguard.types import Operator

_FOR_ALL = Operator(name="replace")


def scrub(text: str, rules: Mapping[str, Operator | str] | None = None) -> str:
    """``text`` with every finding replaced by ``[REDACTED_LABEL]``, or treated as ``rules`` say.

    ``rules`` maps an entity type (``"*"`` for the rest) to an operator or its name: ``replace``, ``mask``, ``drop`` or
    ``allow``. ``tokenize`` and ``hash`` need a conversation and a key; :class:`~aiguard.errors.ConfigurationError`
    says so.
    """
    operators = {
        type: rule if isinstance(rule, Operator) else Operator(name=rule)  # type: ignore[arg-type]
        for type, rule in ({"*": _FOR_ALL} if rules is None else rules).items()
    }
    return redact(text, default_detector().detect(text), operators).text
