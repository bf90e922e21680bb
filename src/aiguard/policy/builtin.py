"""What holds when a policy says nothing: every built-in default, with its unit and its reason.

A policy changes these in ``[defaults]`` for all features, or in one feature. They are part of the resolved policy, so
changing one here changes ``Policy.hash``.
"""

from __future__ import annotations

from typing import Final, Literal

from aiguard.types import Operator

DEFAULT_OPERATOR: Final = Operator(name="replace")
"""For every entity type that no rule names: irreversible, and the reader still sees that something was there."""

MAX_INPUT_TOKENS: Final = 8_000
"""Tokens of one request, by the upper bound of :func:`aiguard.injection.token_upper_bound`: room for a long letter,
too little to smuggle a whole table."""

MAX_OUTPUT_TOKENS: Final = 1_024
"""Tokens a model may generate for one answer: a page and a half, so a loop costs little."""

INJECTION_BLOCK: Final = 0.9
"""Score (0..1) from which an exchange is refused: only what hardly any honest text says."""

INJECTION_FLAG: Final = 0.5
"""Score (0..1) from which an exchange is recorded as suspicious."""

KEEP: Final[Literal["none", "redacted"]] = "none"
"""Nothing is stored unless the policy names it: data that was never kept needs no retention."""

RESTORE: Final = True
"""The person whose values were tokenised reads them again in the answer; nobody else does."""

DATA_CLASSES: Final = ("prompt", "output", "metadata")
"""What may be kept, and therefore what needs a ``[retention.<class>]`` rule."""

MAX_POLICY_BYTES: Final = 1 << 20
"""A policy is read by people: 1 MiB is far beyond one, and bounds what a wrong path can make us parse."""

MAX_DEPTH: Final = 32
"""Tables and arrays inside one another: the deepest useful thing is an inline JSON schema."""

MAX_TOKENS_LIMIT: Final = 10_000_000
"""No context window is larger; a larger number is a typing mistake."""

MAX_RETENTION_DAYS: Final = 36_525
"""100 years. "For ever" is not a retention rule."""
