"""The database: one engine, one schema, one writer per process.

Law of this folder: nothing here knows what a record means. Rooms own their tables (``tables.py``) and hand the writer a
*mapper* for each kind of record; this folder only makes sure that a batch is committed whole or not at all, that the
caller learns which, and that no error carries a value from a row.

``base`` is what tables are made of, ``engine`` opens SQLite or PostgreSQL safely, ``wal`` keeps SQLite's write-ahead log short,
``schema`` upgrades and checks the revision, ``failures`` turns driver errors into ours, ``mapping`` says how records become rows,
``writer`` commits.
"""

from __future__ import annotations

from aiguard.db.engine import adopt, make_engine, reading, writing
from aiguard.db.mapping import Mapper
from aiguard.db.schema import check, upgrade
from aiguard.db.writer import Writer

__all__ = ["Mapper", "Writer", "adopt", "check", "make_engine", "reading", "upgrade", "writing"]
