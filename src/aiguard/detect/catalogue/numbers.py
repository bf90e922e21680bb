"""How a row of a country's table becomes a recognizer.

A number that ordinary figures could pass for scores nothing by itself: the words that people write before it decide.
Where chance is unlikely (letters, separators or several check digits: fewer than one in a hundred ordinary figures of
its length pass) it may stand without them. Where fewer than one in fifty pass, a text that is nothing but the number
is reported too.
"""

from __future__ import annotations

from functools import cache
from importlib import import_module
from typing import Final

from aiguard.scan import Recognizer
from aiguard.scan.recognizer import Validate

WINDOW: Final = 48
"""Characters before a number in which the words for it count."""

ALONE: Final = 0.55
"""Score of a number that is the whole text, where chance is unlikely."""

NumberRow = tuple[str, str, str | Validate, tuple[str, ...], float, float, str, str, str]
"""Type, pattern, ``python-stdnum`` module or check (``""``: none), words before it, score without them, score alone in a
text, source, example, counter-example."""


@cache
def checked(module: str) -> Validate:
    """The ``is_valid`` of a ``python-stdnum`` module, imported at the first candidate; runs of few digits are refused.

    A number on which the module itself stumbles (a district that its tables lack) counts as valid: what cannot be
    decided is hidden, not sent.
    """

    def valid(text: str) -> bool:
        if len({char for char in text if char.isalnum()}) < 3:
            return False
        is_valid = import_module(f"stdnum.{module}").is_valid
        try:
            return bool(is_valid(text))
        except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError):
            return True

    return valid


def numbers(rows: tuple[NumberRow, ...]) -> tuple[Recognizer, ...]:
    """The recognizers of a table. The second row of a type is named ``type_2``, and so on."""
    seen: dict[str, int] = {}
    made: list[Recognizer] = []
    for type, pattern, check, context, score, alone, source, example, counter in rows:
        seen[type] = seen.get(type, 0) + 1
        name = type.lower() if seen[type] == 1 else f"{type.lower()}_{seen[type]}"
        validate = (checked(check) if check else None) if isinstance(check, str) else check
        made.append(
            Recognizer(
                name=name,
                type=type,
                pattern=pattern,
                validate=validate,
                context=context,
                base_score=score,
                context_score=0.9 if validate else 0.75,
                context_window=WINDOW,
                alone_score=alone,
                max_length=64,
                priority=(58 if validate else 35) + (score >= 0.5) * 2,
                source=source,
                examples=(example,),
                counter_examples=(counter,),
            )
        )
    return tuple(made)
