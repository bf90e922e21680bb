"""What stands against an expiry of the audit log: a legal hold."""

from __future__ import annotations

from sqlalchemy import Connection

from aiguard.audit.expiry import ExpiryRefused
from aiguard.retention.holds import any_in_force, latch


def nothing_held(connection: Connection) -> None:
    """Raise :class:`~aiguard.audit.expiry.ExpiryRefused` while any legal hold is in force, and keep others from being placed.

    A hold names people, features and times, and an event may be evidence for any of them; so while there is one, the log stays.
    """
    latch(connection, alone=False)
    if any_in_force(connection):
        raise ExpiryRefused(
            "Legal holds are in force, and events may be evidence for them: the log stays as it is until they are released."
        )
