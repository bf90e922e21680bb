"""``aiguard.require_ai_scope`` on functions that no web framework calls."""

from __future__ import annotations

import asyncio
import contextvars
import functools
import inspect
from collections.abc import AsyncIterator, Callable, Generator, Iterator
from typing import Any

import pytest
from tests.support.guards import JANE, MemoryRecorder, make_guard

from aiguard import Actor, require_ai_scope
from aiguard.errors import (
    AccessDenied,
    ConfigurationError,
    ControlFailed,
    NotAuthenticated,
    RateLimited,
    UnguardedRoute,
)
from aiguard.guard import Guard
from aiguard.identity import Access, current_access

POLICY = """
[features.support-reply]
scope = "support:reply"
owner = "support-platform"
models = ["local:small"]
redact = { EMAIL_ADDRESS = "tokenize" }

[features.digest]
scope = "support:digest"
owner = "support-platform"
models = ["local:small"]
redact = { EMAIL_ADDRESS = "tokenize" }
rate = "3/minute"
"""
NIGHTLY = Actor(id="nightly", kind="service", scopes=frozenset({"support:digest"}))
BOTH = Actor(id="ada", scopes=frozenset({"support:reply", "support:digest"}), tenant="acme")


@pytest.fixture
def made() -> tuple[Guard, MemoryRecorder]:
    return make_guard(POLICY)


def asynchronous(test: Callable[..., Any]) -> Callable[..., None]:
    """Run an async test."""

    @functools.wraps(test)
    def run(**fixtures: Any) -> None:
        asyncio.run(test(**fixtures))

    return run


def ask(guard: Guard, text: str = "hello") -> Any:
    return guard.call(lambda messages, **_: f"re: {messages}", text, model="local:small")


def here() -> Access:
    access = current_access()
    assert access is not None
    return access


def nobody() -> bool:
    return current_access() is None


def test_a_job_acts_for_whom_it_says_and_only_while_it_runs(made: tuple[Guard, MemoryRecorder]) -> None:
    guard, recorder = made
    kept: list[Any] = []

    @require_ai_scope("support:digest", guard=guard, actor=NIGHTLY)
    def digest(count: int, *, note: str = "") -> str:
        """Sum up."""
        kept.extend([here(), contextvars.copy_context()])
        return f"{ask(guard, 'mail jane@example.org')} {count}{note}"

    assert digest(3, note="!") == "re: mail jane@example.org 3!"
    assert (digest.__name__, digest.__doc__) == ("digest", "Sum up.")
    assert nobody()
    assert not kept[0].alive
    with pytest.raises(AccessDenied):
        kept[1].run(ask, guard)
    allowed = recorder.events[0]
    assert (allowed.type, allowed.resource, allowed.payload["kind"]) == ("access.allowed", "digest", "service")


def test_the_actor_and_the_subject_can_come_from_the_arguments(made: tuple[Guard, MemoryRecorder]) -> None:
    guard, _ = made

    @require_ai_scope(
        "support:reply", guard=guard, actor=lambda actor, **_: actor, subject=lambda _actor, customer: customer
    )
    def job(actor: Actor | None, customer: str) -> tuple[str, str]:
        return here().actor.id, here().subject

    assert job(JANE, customer="c-17") == ("jane", "c-17")
    with pytest.raises(NotAuthenticated):
        job(None, customer="c-17")
    with pytest.raises(AccessDenied):
        job(NIGHTLY, customer="c-17")


@asynchronous
async def test_async_functions_and_async_resolvers_are_awaited(made: tuple[Guard, MemoryRecorder]) -> None:
    guard, _ = made

    async def who(name: str) -> Actor:
        await asyncio.sleep(0)
        return Actor(id=name, scopes=frozenset({"support:reply"}))

    @require_ai_scope("support:reply", guard=guard, actor=who, subject=who_about)
    async def job(name: str) -> str:
        before = here().actor.id
        await asyncio.sleep(0.001)
        return f"{before} {here().actor.id} {here().subject} {ask(guard, name)}"

    assert inspect.iscoroutinefunction(job)
    names = [f"n{number}" for number in range(40)]
    assert await asyncio.gather(*map(job, names)) == [f"{n} {n} about-{n} re: {n}" for n in names]
    assert nobody()


async def who_about(name: str) -> str:
    return f"about-{name}"


def test_a_generator_has_its_identity_at_its_steps_and_its_reader_keeps_its_own(
    made: tuple[Guard, MemoryRecorder],
) -> None:
    guard, recorder = made
    kept: list[Access] = []

    @require_ai_scope("support:digest", guard=guard, actor=NIGHTLY)
    def pieces(count: int) -> Generator[str, None, str]:
        kept.append(here())
        with guard.conversation("c"):
            for number in range(count):
                got = yield f"{here().actor.id}{number}{here().conversation is not None}"
                assert got is None
        return "done"

    assert inspect.isgeneratorfunction(pieces)
    steps = pieces(2)
    assert recorder.events == []  # a generator does nothing before its first step
    with guard.acting_as(JANE, scope="support:reply"):
        assert next(steps) == "nightly0True"
        assert here().actor is JANE
    assert nobody()
    assert next(steps) == "nightly1True"
    with pytest.raises(StopIteration) as ended:
        next(steps)
    assert ended.value.value == "done"
    assert not kept[0].alive


def test_a_generator_may_open_a_conversation_after_it_stepped_another_one(made: tuple[Guard, MemoryRecorder]) -> None:
    guard, _ = made

    @require_ai_scope("support:reply")
    def inner() -> Iterator[str]:
        yield "a"
        yield "b"

    @require_ai_scope("support:reply")
    def outer() -> Iterator[str]:
        pieces = inner()
        yield next(pieces)
        first = next(pieces)
        with guard.conversation("c"):
            yield first

    with guard.acting_as(JANE, scope="support:reply"):
        assert list(outer()) == ["a", "b"]


def test_what_is_sent_and_thrown_into_a_generator_reaches_it_under_its_identity(
    made: tuple[Guard, MemoryRecorder],
) -> None:
    guard, _ = made
    closed: list[str] = []

    @require_ai_scope("support:digest", guard=guard, actor=NIGHTLY)
    def echo() -> Iterator[Any]:
        said: Any = None
        try:
            while True:
                try:
                    said = yield (said, here().actor.id)
                except KeyError as error:
                    said = type(error).__name__
        finally:
            closed.append(here().actor.id)

    steps: Any = echo()
    assert next(steps) == (None, "nightly")
    assert steps.send("a") == ("a", "nightly")
    assert steps.throw(KeyError("x")) == ("KeyError", "nightly")
    with pytest.raises(OSError, match="gone"):
        steps.throw(OSError("gone"))
    other: Any = echo()
    next(other)
    other.close()
    assert closed == ["nightly", "nightly"]
    assert nobody()


@asynchronous
async def test_an_async_generator_has_its_identity_at_its_steps(made: tuple[Guard, MemoryRecorder]) -> None:
    guard, _ = made
    closed: list[str] = []

    @require_ai_scope("support:reply", guard=guard, actor=lambda name: Actor(id=name, scopes={"support:reply"}))  # type: ignore[arg-type]
    async def pieces(name: str) -> AsyncIterator[str]:
        try:
            for number in range(3):
                await asyncio.sleep(0)
                try:
                    yield f"{here().actor.id}{number}"
                except KeyError:
                    yield f"{here().actor.id} caught"
        finally:
            await asyncio.sleep(0)
            closed.append(here().actor.id)

    assert inspect.isasyncgenfunction(pieces)
    seen = []
    async for piece in pieces("jane"):
        assert nobody()
        seen.append(piece)
    assert seen == ["jane0", "jane1", "jane2"]
    early: Any = pieces("tom")
    assert await anext(early) == "tom0"
    assert await early.athrow(KeyError()) == "tom caught"
    await early.aclose()
    assert closed == ["jane", "tom"]
    together = [[piece async for piece in each] for each in (pieces("a"), pieces("b"))]
    assert together == [["a0", "a1", "a2"], ["b0", "b1", "b2"]]


def test_below_somebody_admitted_it_is_them_in_their_conversation(made: tuple[Guard, MemoryRecorder]) -> None:
    guard, recorder = made
    seen: list[Any] = []

    @require_ai_scope("support:digest")
    def digest() -> str:
        seen.append(here())
        return str(ask(guard, "mail jane@example.org"))

    with guard.acting_as(BOTH, scope="support:reply", subject="c-9"), guard.conversation("t-1"):
        outer = here()
        assert digest() == "re: mail jane@example.org"
        assert here() is outer
    inner = seen[0]
    assert (inner.actor, inner.subject, inner.feature) == (BOTH, "c-9", "digest")
    assert inner.conversation is outer.conversation
    assert inner.decision_id != outer.decision_id
    assert [event.type for event in recorder.events if event.type.startswith("access.")] == ["access.allowed"] * 2
    with guard.acting_as(JANE, scope="support:reply"), pytest.raises(AccessDenied) as refused:
        digest()
    assert refused.value.reasons[0].code == "scope.missing"


def test_for_a_feature_that_was_admitted_already_nothing_is_decided_or_counted_again(
    made: tuple[Guard, MemoryRecorder],
) -> None:
    guard, _ = made

    @require_ai_scope("support:digest")
    def helper() -> Access:
        return here()

    @require_ai_scope("support:digest", guard=guard, actor=NIGHTLY)
    def job() -> bool:
        return all(helper() is here() for _ in range(10)) and here().alive

    assert [job(), job(), job()] == [True, True, True]
    with pytest.raises(RateLimited):
        job()


@pytest.mark.parametrize("failure", [RuntimeError("card 4111 1111 1111 1111"), "a text", True, 3])
def test_an_actor_who_cannot_be_told_refuses_and_is_on_record(failure: Any, made: tuple[Guard, MemoryRecorder]) -> None:
    guard, recorder = made

    def who() -> Any:
        if isinstance(failure, Exception):
            raise failure
        return failure

    @require_ai_scope("support:reply", guard=guard, actor=who)
    def job() -> None:
        raise AssertionError("it ran")

    with pytest.raises(ControlFailed) as refused:
        job()
    assert recorder.events[-1].decision_id == refused.value.decision_id
    assert recorder.events[-1].payload["reasons"] == ["actor.failed"]
    assert "4111" not in str(refused.value)


def test_without_a_guard_or_anybody_admitted_it_does_not_run() -> None:
    @require_ai_scope("support:reply")
    def job() -> None:
        raise AssertionError("it ran")

    with pytest.raises(ConfigurationError, match="guard=…"):
        job()


def test_a_guard_without_an_actor_knows_nobody(made: tuple[Guard, MemoryRecorder]) -> None:
    guard, recorder = made
    other, _ = make_guard(POLICY)

    @require_ai_scope("support:reply", guard=guard)
    def job() -> None:
        raise AssertionError("it ran")

    with pytest.raises(NotAuthenticated):
        job()
    with other.acting_as(JANE, scope="support:reply"), pytest.raises(NotAuthenticated):
        job()  # who another guard admitted is nobody to this one
    assert recorder.types() == ["access.denied", "access.denied"]


@pytest.mark.parametrize("options", [{"scope": "nobody:knows"}, {"scope": "support:reply", "feature": "nothing"}])
def test_a_scope_or_feature_that_policy_does_not_know_is_said_where_it_is_written(
    options: dict[str, Any], made: tuple[Guard, MemoryRecorder]
) -> None:
    with pytest.raises(UnguardedRoute, match="policy"):
        require_ai_scope(**options, guard=made[0], actor=NIGHTLY)


def test_misuse_is_named(made: tuple[Guard, MemoryRecorder]) -> None:
    wrong: list[Callable[[], Any]] = [
        lambda: require_ai_scope(test_misuse_is_named),  # type: ignore[arg-type]
        lambda: require_ai_scope("support:reply", guard=made[0], actor="jane"),  # type: ignore[arg-type]
        lambda: require_ai_scope("support:reply", guard="guard"),
        lambda: require_ai_scope("support:reply")(type("Job", (), {})),
    ]
    for each in wrong:
        with pytest.raises(TypeError):
            each()


def test_methods_are_guarded_too(made: tuple[Guard, MemoryRecorder]) -> None:
    guard, _ = made

    class Desk:
        agent = JANE

        @require_ai_scope("support:reply", guard=guard, actor=lambda self: self.agent)
        def answer(self) -> str:
            return here().actor.id

    assert Desk().answer() == "jane"


def test_a_refusal_that_cannot_be_recorded_is_a_refusal_all_the_same() -> None:
    guard, _ = make_guard(POLICY, recorder=MemoryRecorder(fail_from=1))

    @require_ai_scope("support:reply", guard=guard, actor=JANE)
    def job() -> None:
        raise AssertionError("it ran")

    with pytest.raises(ControlFailed):
        job()
