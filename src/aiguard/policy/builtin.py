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

RETENTION_CLASSES: Final = (*DATA_CLASSES, "embedding", "eval", "audit_payload")
"""Every class that a retention rule may be about: what features keep, what an application keeps beside it, and what events say."""

HIGH_RISK_LOG_DAYS: Final = 183
"""Days that logs of a high-risk AI system are kept at least (Regulation (EU) 2024/1689, Art. 19 and 26: six months)."""

MAX_POLICY_BYTES: Final = 1 << 20
"""A policy is read by people: 1 MiB is far beyond one, and bounds what a wrong path can make us parse."""

MAX_DEPTH: Final = 32
"""Tables and arrays inside one another: the deepest useful thing is an inline JSON schema."""

MAX_TOKENS_LIMIT: Final = 10_000_000
"""No context window is larger; a larger number is a typing mistake."""

MAX_RETENTION_DAYS: Final = 36_525
"""100 years. "For ever" is not a retention rule."""

TOKEN_LIFETIME_DAYS: Final = 365
"""The longest a service token lives: rotating once a year is little, and one that was forgotten ends by itself."""

MAX_RATE: Final = 10_000
"""Uses of one window that are counted one by one, exactly. A higher limit is written over a shorter window."""

MAX_RATE_SECONDS: Final = 31 * 86_400
"""The longest window of a rate: what was used a month ago says nothing about now."""

MAX_RATES: Final = 8
"""Rates of one feature for one caller. Each is looked at for each use."""

DETECT_BUDGET_MS: Final = 2_000
"""Milliseconds a language model may take to look at one text: ten times what spaCy needs for a long one."""

MAX_BUDGET_MS: Final = 60_000
"""Nobody waits longer than a minute for a control."""

DENIED_TERM: Final = "DENIED_TERM"
"""The type under which what a feature's deny list names is found."""

VAULT_TTL_HOURS: Final = 24
"""Hours for which the value behind a token is kept after its last use: a conversation that is taken up the next day still has it."""

BODY_SECONDS: Final = 30
"""From the first byte of a request's body to its last, at a route that middleware guards: a megabyte over a slow line."""
