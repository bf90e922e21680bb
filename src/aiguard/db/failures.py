"""Driver errors, told in our words.

A driver's message may quote a row ("Key (actor)=(…) already exists"), so only its *code* is kept: SQLite's result name
or PostgreSQL's SQLSTATE. The original exception is never chained.
"""

from __future__ import annotations

from sqlite3 import Error as SQLiteError

from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from aiguard.errors import StoreError, StoreUnavailable

_SQLITE_REMEDIES = {
    "SQLITE_BUSY": "it is locked by another connection; end the long transaction that holds it",
    "SQLITE_LOCKED": "it is locked by another connection; end the long transaction that holds it",
    "SQLITE_READONLY": "it is read-only; make the file and its directory writable for this process",
    "SQLITE_FULL": "there is no room left; free disk space or raise the size limit",
    "SQLITE_IOERR": "the file could not be read or written; check the disk, its quota and the file size limit",
    "SQLITE_CANTOPEN": "the file could not be opened; check the path and the permissions of its directory",
    "SQLITE_CORRUPT": "the file is damaged; restore it from a backup",
    "SQLITE_NOTADB": "the file is not a SQLite database; check the path",
}
_POSTGRES_REMEDIES = {
    "08": "the connection was lost; check that the server is up and reachable",
    "25006": "the transaction is read-only; connect to the primary server",
    "28": "the server refused the sign-in; check the user and its password",
    "3D": "the database does not exist; create it, then run `aiguard db upgrade`",
    "53": "the server is out of disk, memory or connections",
    "55P03": "a lock was not granted in time; end the transaction that holds it",
    "57": "the statement was cancelled or the server is shutting down",
    "58": "the server met an I/O error",
    "40": "the transaction lost against another one",
}
_NOT_PERMITTED = "42501"
_NOT_ALLOWED = "this account may not; `aiguard db roles` prints what each role may, and with --apply grants it"
_NO_SCHEMA = "the schema is missing or old; run `aiguard db upgrade`"


def code_of(error: BaseException) -> str:
    """SQLite's result name (``SQLITE_BUSY``), PostgreSQL's SQLSTATE (``55P03``), or the exception's class name."""
    origin = getattr(error, "orig", None) or error
    name = getattr(origin, "sqlite_errorname", None) or getattr(origin, "sqlstate", None)
    return str(name) if name else type(origin).__name__


def unavailable(error: BaseException) -> bool:
    """True when the database is the trouble, so that trying another record now is pointless."""
    if isinstance(error, (PoolTimeout, OSError)):
        return True
    kind = type(getattr(error, "orig", None) or error).__name__
    code = code_of(error)
    if code.startswith("SQLITE_"):
        return not code.startswith(("SQLITE_CONSTRAINT", "SQLITE_MISMATCH", "SQLITE_TOOBIG", "SQLITE_RANGE"))
    if isinstance(error, (DBAPIError, SQLiteError)):
        if any(code.startswith(prefix) for prefix in _POSTGRES_REMEDIES):
            return True
        return kind in {"OperationalError", "InterfaceError", "InternalError"} or code.startswith("42")
    return False


def garbled(error: BaseException) -> bool:
    """True when SQLite gave a text that is none, which it keeps for whoever writes past the code here."""
    origin = getattr(error, "orig", None) or error
    return isinstance(origin, SQLiteError) and not hasattr(origin, "sqlite_errorname") and "UTF-8" in str(origin)


def locked(error: BaseException) -> bool:
    """True when somebody else held a lock for too long, so that the same may work in a moment."""
    return code_of(error).startswith(("SQLITE_BUSY", "55P03", "57014", "40P01"))


def as_store_error(error: BaseException, doing: str = "written") -> StoreError:
    """The error to give to the caller: :class:`StoreUnavailable` or, for a record that can never fit, ``StoreError``."""
    if isinstance(error, StoreError):
        return error
    code = code_of(error)
    if unavailable(error):
        return StoreUnavailable(
            f"Nothing was {doing}: the database did not take part ({code}); {_remedy(error, code)}."
        )
    if isinstance(error, (SQLAlchemyError, SQLiteError)):
        return StoreError(f"Nothing was {doing}: the database refused the record ({code}).")
    return StoreError(f"Nothing was {doing}: the record could not be stored ({code}).")


def _remedy(error: BaseException, code: str) -> str:
    if isinstance(error, PoolTimeout):
        return "no connection was free in time"
    if code == _NOT_PERMITTED:
        return _NOT_ALLOWED
    if code == "SQLITE_ERROR" or code.startswith("42"):
        return _NO_SCHEMA
    for table in (_SQLITE_REMEDIES, _POSTGRES_REMEDIES):
        for prefix, remedy in table.items():
            if code.startswith(prefix):
                return remedy
    return "check the database URL and that the server is up"
