"""Every error that aiguard raises.

::

    AIGuardError
    ├── ConfigurationError        the guard cannot start, or was used in a way that cannot work
    │   ├── PolicyError           aiguard.toml says something that cannot be enforced
    │   ├── SettingsError         a setting is missing or wrong (database, keys, credentials)
    │   ├── MissingExtra          an optional package is not installed
    │   ├── UnguardedRoute        a view was meant to be guarded and is not
    │   └── SchemaRevisionError   the database is at another schema revision than the code
    ├── StoreError                a record could not be written or read
    │   ├── StoreUnavailable      … because the database did not answer in time
    │   └── SubjectErased         … because the person whom it is about was erased since they were admitted
    ├── CredentialError           a service token cannot be made, rotated or revoked as asked
    ├── IntegrityError            a ciphertext, token or record is not what it claims to be
    │   └── EventAltered          … but an event of the log, whatever the keys are
    ├── MalformedInput            bytes that are not what their type says (JSON, UTF-8, form)
    └── Blocked                   a control refused; carries the decision
        ├── NotAuthenticated      401: nobody is signed in
        ├── AccessDenied          403: the actor, the feature or the credential may not
        ├── RateLimited           429: the actor or its tenant has called too often
        ├── ContentBlocked        422: what is in the request may not leave
        ├── InputRefused          400/413/415: a body that no control can read
        ├── OutputBlocked         502: the answer may not be delivered
        ├── ProviderFailed        502/504: the model server failed or answered garbage
        └── ControlFailed         503: a control could not decide, so nothing was sent

No message here, and no attribute, ever holds text that a detector found (law 5): reasons are codes and
sentences written by us or by the policy's author.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from aiguard.types import Decision, Reason


class AIGuardError(Exception):
    """Root of every error that aiguard raises."""


class ConfigurationError(AIGuardError):
    """The guard cannot start, or is used in a way that cannot work. The message names the remedy."""


class PolicyError(ConfigurationError):
    """The policy cannot be enforced as written. The message names the file, the key and the remedy."""


class SettingsError(ConfigurationError):
    """A setting is missing or wrong. The message names the setting and the remedy."""


class MissingExtra(ConfigurationError):
    """An optional package is missing. The message names the extra to install."""


class UnguardedRoute(ConfigurationError):
    """A view carries a guard that its route does not run, so the application refuses to serve."""


class SchemaRevisionError(ConfigurationError):
    """The database's schema revision differs from the code's. The message names the command to run."""


class StoreError(AIGuardError):
    """A record could not be written or read. Nothing of the batch was kept."""


class StoreUnavailable(StoreError):
    """The database could not be reached, is locked or read-only, or its queue is full."""


class SubjectErased(StoreError):
    """The person whom a record is about was erased since they were admitted: it would be about somebody new. Nothing was kept."""

    def __init__(self) -> None:
        super().__init__("Nothing was written: the person was erased since they were admitted; admit them again.")


class CredentialError(AIGuardError):
    """A service token cannot be made, rotated or revoked as asked. The message says what to ask instead."""


class IntegrityError(AIGuardError):
    """A ciphertext, token or record fails its check: wrong key, moved, or altered."""


class EventAltered(IntegrityError):
    """A row of the audit log is not what was recorded. ``aiguard audit verify`` tells which, and what else."""


class MalformedInput(AIGuardError):
    """Bytes are not what their type says. The message names what is wrong and where, never the content."""


class Blocked(AIGuardError):
    """A control refused.

    Attributes:
        decision: the :class:`aiguard.types.Decision`, whose ``id`` is on the audit event and the HTTP error.
        status: the HTTP status a door answers with.
    """

    status: ClassVar[int] = 403
    title: ClassVar[str] = "Refused by policy"

    def __init__(self, decision: Decision) -> None:
        self.decision = decision
        super().__init__(decision)

    @property
    def decision_id(self) -> str:
        """The id under which the decision is recorded."""
        return self.decision.id

    @property
    def reasons(self) -> tuple[Reason, ...]:
        """Why, most important first."""
        return self.decision.reasons

    @property
    def http_status(self) -> int:
        """The HTTP status of the first reason that names one, else the class's own."""
        for reason in self.decision.reasons:
            if reason.status is not None:
                return reason.status
        return self.status

    def __str__(self) -> str:
        why = "; ".join(reason.detail for reason in self.decision.reasons) or "no reason was recorded"
        return f"{self.title} at stage {self.decision.stage}: {why} (decision {self.decision.id})"


class NotAuthenticated(Blocked):
    """Nobody is signed in."""

    status = 401
    title = "Sign-in required"


class AccessDenied(Blocked):
    """The actor, the feature, the model or the credential is not allowed."""

    status = 403
    title = "Not allowed"


class RateLimited(Blocked):
    """The actor, or its tenant, has used the feature as often as policy allows for now.

    Attributes:
        limit: how many uses of ``window`` seconds are allowed.
        retry_after: whole seconds, at least 1, until another use may be allowed.
    """

    status = 429
    title = "Too many requests"

    def __init__(self, decision: Decision, *, limit: int = 0, window: int = 0, retry_after: int = 1) -> None:
        super().__init__(decision)
        self.limit = limit
        self.window = window
        self.retry_after = retry_after


class ContentBlocked(Blocked):
    """The request holds something that policy stops."""

    status = 422
    title = "Content refused"


class InputRefused(Blocked):
    """A body that no control can read, or that is too large."""

    status = 400
    title = "Input refused"


class OutputBlocked(Blocked):
    """The model's answer may not be delivered."""

    status = 502
    title = "Answer withheld"


class ProviderFailed(Blocked):
    """The model server failed, or its answer could not be read."""

    status = 502
    title = "Model server failed"


class ControlFailed(Blocked):
    """A control could not decide in time or at all, so nothing was sent (fail closed)."""

    status = 503
    title = "Control unavailable"
