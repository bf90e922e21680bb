"""The vault of a conversation that goes on in other processes, and after this one has ended.

It holds no connection: whoever drives the pipeline recalls what the archive knows before the first token is made
(:meth:`KeptVault.sync`), and commits what was tokenised together with the decision to send it.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from aiguard.errors import AIGuardError
from aiguard.redact.vault import Restored, Vault
from aiguard.types import Finding, Recalled


@dataclass(frozen=True, kw_only=True, slots=True)
class Tokenised:
    """A value that a token was made for."""

    code: str
    type: str
    value: str = field(repr=False)


class KeptVault(Vault):
    """A vault whose values an archive keeps. ``actor`` and ``conversation`` are keyed pseudonyms."""

    def __init__(self, *, actor: str, conversation: str) -> None:
        super().__init__()
        self.actor = actor
        self.conversation = conversation
        self.id = ""
        """The name that its rows carry; empty until it was recalled for the first time."""
        self._until: dict[str, datetime] = {}
        self.recalling = threading.Lock()
        """Held from before the archive is asked until its answer is taken over, so that an older answer never undoes a newer one."""

    @property
    def known(self) -> frozenset[str]:
        """The codes whose values are here."""
        with self._lock:
            return frozenset(self._values)

    def sync(self, recalled: Recalled) -> None:
        """Take over what the archive knows, and forget what it has forgotten.

        What was made here and is on its way to the archive stays.
        """
        with self._lock:
            if recalled.vault != self.id:  # the first time, or the person was erased and has a new key
                self._codes.clear()
                self._values.clear()
                self._until.clear()
                self.id, self._secret = recalled.vault, recalled.secret
            for code in [code for code in self._until if code not in recalled.live]:
                self._codes.pop(self._values.pop(code, ("", "")), None)
                del self._until[code]
            for code, key in recalled.values.items():
                self._values[code] = key
                self._codes[key] = code
            self._until.update((code, until) for code, until in recalled.live.items() if code in self._values)

    def token(self, type: str, value: str) -> str:
        """The token of ``value``; :class:`~aiguard.errors.AIGuardError` before the vault was recalled."""
        if not self.id:
            raise AIGuardError("the conversation's vault was not recalled from the archive, so it gives no tokens")
        return super().token(type, value)

    def code_of(self, type: str, value: str) -> str:
        """The code of a value that has a token."""
        with self._lock:
            return self._codes[type, value]

    def lasts(self, code: str, now: datetime, ttl: timedelta) -> bool:
        """Whether the archive has the value already, for most of the time it should have it."""
        until = self._until.get(code)
        return until is not None and until - now > ttl * 0.75


class Noting(Vault):
    """``vault``, noting what is tokenised: what an exchange has to commit."""

    def __init__(self, vault: KeptVault) -> None:
        super().__init__()
        self.vault = vault
        self.used: dict[str, Tokenised] = {}

    def token(self, type: str, value: str) -> str:
        """The vault's token, noted."""
        token = self.vault.token(type, value)
        code = self.vault.code_of(type, value)
        self.used[code] = Tokenised(code=code, type=type, value=value)
        return token

    def restore(self, text: str) -> Restored:
        """The vault's."""
        return self.vault.restore(text)

    def literals(self, text: str) -> Sequence[Finding]:
        """The vault's."""
        return self.vault.literals(text)

    def __len__(self) -> int:
        return len(self.vault)
