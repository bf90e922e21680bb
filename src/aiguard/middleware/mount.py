"""What the two middlewares are, whatever interface they speak: an application, a guard, and the table of the rules."""

from __future__ import annotations

import atexit
from collections.abc import Mapping, Sequence
from typing import Any, Generic, TypeVar

from aiguard.detect.stream import PartScan
from aiguard.errors import ConfigurationError
from aiguard.guard import Guard
from aiguard.middleware.table import RouteTable
from aiguard.policy.routes import RouteRule
from aiguard.runtime import open_guard

ApplicationT = TypeVar("ApplicationT")


class Mount(Generic[ApplicationT]):
    """Stands before an application, with a guard of its own unless it is given one.

    Raises:
        ConfigurationError: there is no rule, a rule cannot work, or the guard cannot start.
    """

    def __init__(
        self,
        app: ApplicationT,
        /,
        *,
        guard: Guard | None = None,
        rules: Sequence[RouteRule | Mapping[str, Any]] = (),
        **options: Any,
    ) -> None:
        if guard is not None and options:
            raise ConfigurationError("give the middleware a guard, or what to open one with, but not both")
        self.app = app
        self._own = guard is None
        self.guard = open_guard(**options) if guard is None else guard
        try:
            self.table = RouteTable(self.guard, rules)
            PartScan(self.guard.detector)  # takes a second the first time, which no request should wait for
        except BaseException:
            self.close()
            raise
        self._at = self.table.at
        if self._own:
            atexit.register(self.close)  # not every application tells when it shuts down

    def close(self) -> None:
        """Close the guard, if it was opened here."""
        if self._own:
            atexit.unregister(self.close)
            self.guard.close()
