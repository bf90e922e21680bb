"""The conversations that a guard keeps in mind, each with the vault of its tokens."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict

from aiguard.errors import ConfigurationError
from aiguard.identity import Access, Conversation, named
from aiguard.redact import KeptVault, Vault
from aiguard.types import KeyRing

MAX_CONVERSATIONS = 10_000
"""Conversations whose tokens are kept in memory at once; the least recently used goes first (its tokens stay unrestored)."""

CONVERSATION_TTL = 3_600.0
"""Seconds since its last use after which a conversation's tokens are forgotten."""


class Conversations:
    """The vaults of conversations: bounded, forgotten when unused, keyed by tenant, actor and id."""

    def __init__(self, keys: KeyRing, *, kept: bool) -> None:
        self._keys = keys
        self._kept = kept
        self._lock = threading.Lock()
        self._vaults: OrderedDict[str, tuple[float, Vault]] = OrderedDict()

    def get(self, access: Access, id: str) -> Conversation:
        """The conversation of that id of this access's actor.

        Raises:
            ConfigurationError: the id is empty or too long.
        """
        if not id or len(id) > 512:
            raise ConfigurationError("a conversation id is a text of 1 to 512 characters")
        actor = access.actor
        tenant = "-" if actor.tenant is None else f"{len(actor.tenant)}:{actor.tenant}"
        owner = f"{tenant}:{actor.kind}:{len(actor.id)}:{actor.id}:{id}"
        name = self._keys.pseudonym("conversation", owner)
        now = time.monotonic()
        with self._lock:
            while self._vaults and next(iter(self._vaults.values()))[0] < now - CONVERSATION_TTL:
                self._vaults.popitem(last=False)
            _, vault = self._vaults.pop(name, (now, None))
            if vault is None:
                vault = self._new(access, name)
            self._vaults[name] = (now, vault)
            if len(self._vaults) > MAX_CONVERSATIONS:
                self._vaults.popitem(last=False)
        return Conversation(id=id, vault=vault)

    def _new(self, access: Access, name: str) -> Vault:
        if not self._kept:
            return Vault(name.encode())
        return KeptVault(actor=named(self._keys.pseudonym, access.actor, None)["actor"], conversation=name)
