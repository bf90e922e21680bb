"""Stage 7: what may be kept, encrypted.

Law of this folder: content is sealed before it reaches the database and its ciphertext is bound to the row it belongs
to, so a row that was moved, copied, or given to another subject, tenant, class or decision does not open. Nothing is kept without a data class, a legal basis, an
owner and a time to go.

What is about a person is sealed with that person's own key, and the key is kept where the data is not (or can be). Destroying
it is what erases.

``keys`` seals and names, ``datakeys`` are people's keys and ``keystore`` is where they are, ``belonging`` knows whether it is
the right one; ``tables`` is the artifact's
row, ``vault`` the token's, ``read`` reads them back.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from aiguard.db.mapping import Mapper
from aiguard.store import tables, vault
from aiguard.store.belonging import KnownKeyStore
from aiguard.store.datakeys import DataKey, DataKeyStore, KeyDestroyed, KeyWrapper, SubjectKeyRing
from aiguard.store.keys import MasterKeyRing, load_or_create_key_file, parse_key
from aiguard.store.keystore import DataKeyRow, KeyStore
from aiguard.store.read import ArtifactTable, KeptArtifact, SealedArtifact, StoredArtifact, artifacts, kept
from aiguard.store.requests import Request, RequestTable, RevealRequest
from aiguard.store.tables import Artifact
from aiguard.store.vault import OpenedEntry, VaultEntry, VaultTable

MAPPERS: Final[Mapping[type, Mapper]] = MappingProxyType({**tables.MAPPERS, **vault.MAPPERS})
"""What the writer has to be given to commit artifacts and the values of tokens."""

__all__ = [
    "MAPPERS",
    "Artifact",
    "ArtifactTable",
    "DataKey",
    "DataKeyRow",
    "DataKeyStore",
    "KeptArtifact",
    "KeyDestroyed",
    "KeyStore",
    "KeyWrapper",
    "KnownKeyStore",
    "MasterKeyRing",
    "OpenedEntry",
    "Request",
    "RequestTable",
    "RevealRequest",
    "SealedArtifact",
    "StoredArtifact",
    "SubjectKeyRing",
    "VaultEntry",
    "VaultTable",
    "artifacts",
    "kept",
    "load_or_create_key_file",
    "parse_key",
]
