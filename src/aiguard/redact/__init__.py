"""Stage 3: what must be masked, tokenised or stopped before it leaves?

Law of this room: ``restore(redact(x)) == x`` inside one vault when every rule is reversible, whatever ``x`` is,
token-like text included; and restoring never touches text that is not a token of that vault.
"""

from __future__ import annotations

from aiguard.redact.kept import KeptVault, Noting, Tokenised
from aiguard.redact.operators import Redacted, redact
from aiguard.redact.stream import Chain, Redactor, Restorer, TextStream
from aiguard.redact.vault import TOKEN_LITERAL, Restored, Vault, VaultFull

__all__ = [
    "TOKEN_LITERAL",
    "Chain",
    "KeptVault",
    "Noting",
    "Redacted",
    "Redactor",
    "Restored",
    "Restorer",
    "TextStream",
    "Tokenised",
    "Vault",
    "VaultFull",
    "redact",
]
