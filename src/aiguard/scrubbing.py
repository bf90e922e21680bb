"""The plain job, without a guard, an application or a policy file."""

from __future__ import annotations

from collections.abc import Mapping

from aiguard.detect import default_detector
from aiguard.redact import Redactor, redact
from aiguard.scan.incremental import MAX_HELD
from aiguard.types import Detector, Operator

_FOR_ALL = Operator(name="replace")


def scrub(text: str, rules: Mapping[str, Operator | str] | None = None) -> str:
    """``text`` with every finding replaced by ``[REDACTED_LABEL]``, or treated as ``rules`` say.

    ``rules`` maps an entity type (``"*"`` for the rest) to an operator or its name: ``replace``, ``mask``, ``drop`` or
    ``allow``. ``tokenize`` and ``hash`` need a conversation and a key; :class:`~aiguard.errors.ConfigurationError`
    says so, and :class:`ValueError` what is no operator.
    """
    if not isinstance(text, str):
        raise TypeError(f"scrub takes a str, not {type(text).__name__}")
    return redact(text, default_detector().detect(text), _operators(rules)).text


class StreamScrubber(Redactor):
    """:func:`scrub` for a text that arrives in chunks, cut anywhere: ``feed(chunk)`` for each, then ``finish()``.

    What comes out, put together, is ``scrub(whole, rules)`` whatever the chunks are; what is held back is only what
    could still become part of a value. Chunks are ``str`` or UTF-8 ``bytes``, and so is what comes out.

    Args:
        rules: as for :func:`scrub`.
        detector: the built-in one where None. One that cannot work on chunks makes the stream :attr:`buffered`.
        context: the key or column head that the text stands under.
        max_held: characters of one value or encoded segment; beyond it the stream ends with an exception.
    """

    def __init__(
        self,
        rules: Mapping[str, Operator | str] | None = None,
        *,
        detector: Detector | None = None,
        context: str = "",
        max_held: int = MAX_HELD,
    ) -> None:
        super().__init__(detector or default_detector(), _operators(rules), context=context, max_held=max_held)


def _operators(rules: Mapping[str, Operator | str] | None) -> dict[str, Operator]:
    return {
        name: rule if isinstance(rule, Operator) else Operator(name=rule)  # type: ignore[arg-type]
        for name, rule in ({"*": _FOR_ALL} if rules is None else rules).items()
    }
