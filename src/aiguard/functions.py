"""The door of plain functions: jobs, scripts, commands, library code below a view.

::

    nightly = Actor(id="nightly-digest", kind="service", scopes={"support:digest"})

    @require_ai_scope("support:digest", guard=guard, actor=nightly)
    def digest(tickets): ...                   # a job: says for whom it acts

    @require_ai_scope("support:summary")       # below a guarded view: for whoever is admitted there
    async def summarise(ticket): ...

The law of this module is every door's: the application says who acts, here it is checked, the decision is on record, and identity
ends with the call. A generator has its identity during its steps only; it ends with the generator.
"""

from __future__ import annotations

import asyncio
import functools
import inspect
import weakref
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar, cast

from aiguard.errors import AIGuardError, Blocked, ConfigurationError, UnguardedRoute
from aiguard.guard import Guard
from aiguard.hooks import unresolved
from aiguard.identity import Access, ScopeMarker, checked_actor, checked_subject, current_access, hold, mark
from aiguard.identity.access import resume
from aiguard.problems import name_scope
from aiguard.types import Actor

_plain: weakref.WeakKeyDictionary[Callable[..., Any], ScopeMarker] = weakref.WeakKeyDictionary()

FunctionT = TypeVar("FunctionT", bound=Callable[..., Any])


def require_ai_scope(
    scope: str,
    *,
    feature: str | None = None,
    guard: Any = None,
    actor: Actor | Callable[..., Any] | None = None,
    subject: Callable[..., Any] | None = None,
) -> Callable[[FunctionT], FunctionT]:
    """Let a plain function run only for an actor with ``scope``, and name the feature for everything below it.

    For sync and async functions, generators and async generators. Views of web applications have decorators of their own
    (``aiguard.flask``, ``aiguard.starlette``), which also answer the request.

    Args:
        scope: the scope that the actor needs; it names the one feature of policy that has it.
        feature: names the feature instead; the actor then needs its scope as well.
        guard: the :class:`~aiguard.guard.Guard`, or the ``AIGuard`` of a web door; by default the one that admitted whoever is
            admitted already.
        actor: for whom the function acts: an :class:`~aiguard.types.Actor`, or a function that is called with the same
            arguments and returns one, or None for nobody. By default whoever is admitted already, in their conversation.
        subject: called with the same arguments: the id of the person the data is about.

    Raises:
        UnguardedRoute: at decoration, when the policy of a ``guard`` that is ready knows no such scope or feature.
        Blocked: at the call (of a generator: at its first step), when the actor may not. On record.
        ConfigurationError: at the call, when there is neither a ``guard`` nor anybody admitted.
    """
    if not isinstance(scope, str):
        raise TypeError('write @require_ai_scope("the:scope"), with the scope in parentheses')
    if not (actor is None or isinstance(actor, Actor) or callable(actor)):
        raise TypeError("actor is an aiguard.Actor, or a function of the same arguments that returns one")
    gate = _Gate(marker=ScopeMarker(scope=scope, feature=feature), guard=guard, actor=actor, subject=subject)
    gate.check_policy()

    def decorate(function: FunctionT) -> FunctionT:
        if inspect.isclass(function) or not callable(function):
            raise TypeError("put require_ai_scope on functions and methods, not on a class")
        wrapper = _wrapped(function, gate)
        mark(wrapper, function, gate.marker)
        _plain[wrapper] = gate.marker
        return cast("FunctionT", wrapper)

    return decorate


def plain_functions() -> list[tuple[Callable[..., Any], ScopeMarker]]:
    """Every function that was guarded here and still exists, with what it needs."""
    return list(_plain.items())


def _wrapped(function: Callable[..., Any], gate: _Gate) -> Callable[..., Any]:
    wrapper: Callable[..., Any]
    if inspect.isasyncgenfunction(function):

        @functools.wraps(function)
        async def pieces_async(*args: Any, **kwargs: Any) -> AsyncGenerator[Any, Any]:
            with gate.entered(await gate.admit_async(args, kwargs)) as access:
                steps, inner = _Steps(access), function(*args, **kwargs)
                wish = inner.asend(None)
                while True:
                    try:
                        piece = await steps.arun(wish)
                    except StopAsyncIteration:
                        return
                    try:
                        wish = inner.asend((yield piece))
                    except GeneratorExit:
                        await steps.arun(inner.aclose())
                        raise
                    except BaseException as thrown:  # noqa: BLE001 - the function's own to handle
                        wish = inner.athrow(thrown)

        wrapper = pieces_async
    elif inspect.isgeneratorfunction(function):

        @functools.wraps(function)
        def pieces(*args: Any, **kwargs: Any) -> Generator[Any, Any, Any]:
            with gate.entered(gate.admit(args, kwargs)) as access:
                steps, inner = _Steps(access), function(*args, **kwargs)
                wish: Callable[[], Any] = functools.partial(next, inner)
                while True:
                    try:
                        piece = steps.run(wish)
                    except StopIteration as end:
                        return end.value
                    try:
                        wish = functools.partial(inner.send, (yield piece))
                    except GeneratorExit:
                        steps.run(inner.close)
                        raise
                    except BaseException as thrown:  # noqa: BLE001 - the function's own to handle
                        wish = functools.partial(inner.throw, thrown)

        wrapper = pieces
    elif inspect.iscoroutinefunction(function):

        @functools.wraps(function)
        async def called_async(*args: Any, **kwargs: Any) -> Any:
            with gate.entered(await gate.admit_async(args, kwargs)) as access, hold(access):
                return await function(*args, **kwargs)

        wrapper = called_async
    else:

        @functools.wraps(function)
        def called(*args: Any, **kwargs: Any) -> Any:
            with gate.entered(gate.admit(args, kwargs)) as access, hold(access):
                return function(*args, **kwargs)

        wrapper = called
    return wrapper


class _Steps:
    """Runs the steps of a generator, each with its access current, and in the conversation that an earlier step opened."""

    def __init__(self, access: Access) -> None:
        self._lease = access.lease
        self._inner = access

    def run(self, step: Callable[[], Any]) -> Any:
        with self._step():
            return step()

    async def arun(self, step: Awaitable[Any]) -> Any:
        with self._step():
            return await step

    @contextmanager
    def _step(self) -> Iterator[None]:
        before, stepping = resume(self._inner), self._lease.stepping
        self._lease.stepping = True
        try:
            yield
        finally:
            self._lease.stepping = stepping  # a step may be taken within another one's
            inner = resume(before)
            if inner is not None and inner.lease is self._lease:
                self._inner = inner


@dataclass(frozen=True, kw_only=True, slots=True)
class _Gate:
    """Who may come in: what one decoration asked for."""

    marker: ScopeMarker
    guard: Any
    actor: Actor | Callable[..., Any] | None
    subject: Callable[..., Any] | None

    def check_policy(self) -> None:
        """Refuse a scope or feature that the policy of a given guard does not know."""
        try:
            guard = getattr(self.guard, "guard", self.guard)
        except ConfigurationError:  # an extension whose application comes later; then the call refuses
            return
        if guard is None:
            return
        if not isinstance(guard, Guard):
            raise TypeError("guard is an aiguard.Guard, or the AIGuard of a web door")
        scope, feature = self.marker.scope, self.marker.feature
        if feature is not None and feature not in guard.policy.features:
            raise UnguardedRoute(f"policy knows no feature {feature!r}; add it to the policy or correct the name")
        if feature is None and guard.policy.feature_for_scope(scope) is None:
            raise UnguardedRoute(
                f"policy has no feature for the scope {scope!r}; add one to the policy or correct the scope"
            )

    @contextmanager
    def entered(self, admitted: tuple[Access, bool]) -> Iterator[Access]:
        """The access, ended with the block if it was granted for it; a refusal inside names the scope."""
        access, granted = admitted
        try:
            yield access
        except Blocked as refusal:
            name_scope(refusal, self.marker.scope)
            raise
        finally:
            if granted:
                access.end()

    def admit(self, args: Any, kwargs: Any) -> tuple[Access, bool]:
        """The access for a call with these arguments, and whether it was granted here."""
        guard, outer = self._guard_in_charge()
        refusal: Blocked | None = None
        actor, subject = None, None
        try:
            actor = checked_actor(self._say_who(outer, args, kwargs))
            subject = checked_subject(self.subject(*args, **kwargs)) if self.subject and actor else None
        except AIGuardError:
            raise
        except Exception as error:  # noqa: BLE001 - fail closed: who acts, or about whom, is not known
            refusal = unresolved(guard, error, scope=self.marker.scope)
        if refusal is not None:
            raise refusal
        return self._access(guard, outer, actor, subject)

    async def admit_async(self, args: Any, kwargs: Any) -> tuple[Access, bool]:
        """:meth:`admit`, with resolvers awaited where they are awaitable and records waited for in a thread."""
        guard, outer = self._guard_in_charge()
        refusal: Blocked | None = None
        actor, subject = None, None
        try:
            actor = checked_actor(await _resolved(self._say_who(outer, args, kwargs)))
            if self.subject and actor:
                subject = checked_subject(await _resolved(self.subject(*args, **kwargs)))
        except AIGuardError:
            raise
        except Exception as error:  # noqa: BLE001 - fail closed: who acts, or about whom, is not known
            refusal = await asyncio.to_thread(unresolved, guard, error, scope=self.marker.scope)
        if refusal is not None:
            raise refusal
        return await asyncio.to_thread(self._access, guard, outer, actor, subject)

    def _guard_in_charge(self) -> tuple[Guard, Access | None]:
        """The guard, and whoever it has admitted already."""
        outer = current_access()
        if self.guard is None:
            if outer is None:
                raise ConfigurationError(
                    f"nobody is admitted here, and no guard was given: write @require_ai_scope({self.marker.scope!r}, guard=…, "
                    "actor=…) on a job, and the decorator of aiguard.flask or aiguard.starlette on a view"
                )
            return cast("Guard", outer.realm), outer
        guard = getattr(self.guard, "guard", self.guard)
        return guard, outer if outer is not None and outer.realm is guard else None

    def _say_who(self, outer: Access | None, args: Any, kwargs: Any) -> Any:
        if self.actor is None:
            return outer.actor if outer is not None else None
        return self.actor if isinstance(self.actor, Actor) else self.actor(*args, **kwargs)

    def _access(
        self, guard: Guard, outer: Access | None, actor: Actor | None, subject: str | None
    ) -> tuple[Access, bool]:
        if outer is None or self.actor is not None:
            return guard.admit(actor, self.marker.scope, feature=self.marker.feature, subject=subject), True
        wanted = self.marker.feature or getattr(guard.policy.feature_for_scope(self.marker.scope), "name", None)
        same = outer.feature == wanted and self.marker.scope in (outer.scope, guard.policy.features[wanted].scope)
        if same and subject in (None, outer.subject):
            return outer, False  # admitted already: nothing to decide, and nothing to count
        about = subject or outer.subject
        access = guard.admit(actor, self.marker.scope, feature=self.marker.feature, subject=about)
        return (access.within(outer.conversation) if outer.conversation is not None else access), True


async def _resolved(value: Any) -> Any:
    return await value if inspect.isawaitable(value) else value
