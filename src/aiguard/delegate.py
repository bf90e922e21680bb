"""What an extension of a framework hands on to its guard."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

from aiguard.guard import Guard
from aiguard.identity import Access, Conversation
from aiguard.pouring import AsyncPour, Pour
from aiguard.types import Actor


class GuardDelegate(ABC):
    """The guard's calls, for the guard that an extension says."""

    @property
    @abstractmethod
    def guard(self) -> Guard:
        """The guard that is meant."""

    def call(self, fn: Callable[..., Any], messages: Any, *, model: str, **options: Any) -> Any:
        """See :meth:`aiguard.guard.Guard.call`."""
        return self.guard.call(fn, messages, model=model, **options)

    async def acall(self, fn: Callable[..., Any], messages: Any, *, model: str, **options: Any) -> Any:
        """See :meth:`aiguard.guard.Guard.acall`."""
        return await self.guard.acall(fn, messages, model=model, **options)

    def stream(self, fn: Callable[..., Any], messages: Any, *, model: str, **options: Any) -> Pour[str]:
        """See :meth:`aiguard.guard.Guard.stream`."""
        return self.guard.stream(fn, messages, model=model, **options)

    async def astream(self, fn: Callable[..., Any], messages: Any, *, model: str, **options: Any) -> AsyncPour[str]:
        """See :meth:`aiguard.guard.Guard.astream`."""
        return await self.guard.astream(fn, messages, model=model, **options)

    def acting_as(self, actor: Actor, *, scope: str, **options: Any) -> AbstractContextManager[Access]:
        """See :meth:`aiguard.guard.Guard.acting_as`."""
        return self.guard.acting_as(actor, scope=scope, **options)

    def conversation(self, id: str) -> AbstractContextManager[Conversation]:
        """See :meth:`aiguard.guard.Guard.conversation`."""
        return self.guard.conversation(id)
