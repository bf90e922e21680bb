"""Stage 7: what may be kept, encrypted.

Law of this folder: content is sealed before it reaches the database and its ciphertext is bound to the row it belongs
to, so a row that was moved, copied, or given to another subject, tenant, class or decision does not open. Nothing is kept without a data class, a legal basis, an
owner and a time to go.

``keys`` seals and names, ``tables`` is the artifact's row, ``read`` reads it back.
"""

from __future__ import annotations

from aiguard.store.keys import MasterKeyRing, load_or_create_key_file, parse_key
from aiguard.store.read import KeptArtifact, StoredArtifact, artifacts, kept
from aiguard.store.tables import MAPPERS, Artifact

__all__ = [
    "MAPPERS",
    "Artifact",
    "KeptArtifact",
    "MasterKeyRing",
    "StoredArtifact",
    "artifacts",
    "kept",
    "load_or_create_key_file",
    "parse_key",
]
