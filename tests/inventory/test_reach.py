"""What a function's code can reach: the ways that applications write it, and those that must not be taken for one."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import anthropic
import openai
import pytest
from openai import OpenAI
from tests.support.guards import JANE, make_guard

from aiguard import require_ai_scope
from aiguard.inventory import clients as clients_module
from aiguard.inventory import is_guarded, is_model_client, reach, unguarded_in_process
from aiguard.settings import Settings

SETTINGS = Settings.load(
    {"AIGUARD_ENVIRONMENT": "test"}, environ={"OPENAI_API_KEY": "sk-x", "ANTHROPIC_API_KEY": "sk-x"}
)
guard, _ = make_guard(settings=SETTINGS)
client = guard.client(OpenAI)
bare = OpenAI(api_key="sk-x")
reach_module = sys.modules["aiguard.inventory.reach"]  # the package's name for it is the function
clients = {"fast": client, "slow": None}
namespace = SimpleNamespace(deep=SimpleNamespace(client=client), other=3)


class Assistant:
    def __init__(self, inner: Any) -> None:
        self.inner = inner
        self.count = 1

    def ask(self) -> Any:
        return self.inner.responses.create(model="small", input="x")

    def counted(self) -> int:
        return self.count

    @property
    def lazily(self) -> Any:
        return self.inner


assistant = Assistant(client)


async def slowly(*_: Any, **__: Any) -> Any:
    return ""


def by_name() -> Any:
    return client.responses


def by_helper() -> Any:
    return [by_name() for _ in range(2)]


def by_attribute() -> Any:
    return namespace.deep.client


def by_lambda() -> Any:
    found = lambda: client  # noqa: E731 - as applications write it
    return found()


def by_comprehension() -> Any:
    return [client.responses for _ in "ab"]


def by_inner_function() -> Any:
    def inner() -> Any:
        return client

    return inner()


def by_key() -> Any:
    return clients["fast"]


def by_some_key(name: str) -> Any:
    return clients[name]


def by_instance() -> Any:
    return assistant.ask()


def by_property() -> Any:
    return assistant.lazily


def by_class() -> Any:
    return Assistant.lazily


def by_default(using: Any = client) -> Any:
    return using


def by_local_import() -> Any:
    from tests.inventory.test_reach import client as found

    return found


def by_partial() -> Any:
    return later()


def by_guard() -> Any:
    return guard.call(print, "x", model="local:small")


def by_making_one() -> Any:
    return guard.client(OpenAI)


async def by_awaiting() -> Any:
    return await guard.acall(slowly, "x", model="local:small")


async def by_generator() -> Any:
    async for piece in await guard.astream(slowly, "x", model="local:small"):
        yield piece


later = functools.partial(by_helper)


def closing_over(found: Any) -> Callable[[], Any]:
    def inner() -> Any:
        return found.responses

    return inner


WAYS = [value for name, value in list(globals().items()) if name.startswith("by_") and name != "by_class"]


@pytest.mark.parametrize("way", [*WAYS, later, assistant.ask, closing_over(client)], ids=str)
def test_a_way_to_a_guarded_model_is_found(way: Any) -> None:
    assert {hit.kind for hit in reach([way])} == {"guarded"}


def by_nothing() -> Any:
    return (namespace.other, clients["slow"], assistant.counted(), guard.policy.hash, bool(clients["slow"]))


def text_only() -> str:
    return "client.responses.create(model=...)"


@require_ai_scope("support:reply", guard=guard, actor=JANE)
def guarded_itself() -> Any:
    return client.responses


def calls_guarded() -> Any:
    return guarded_itself()


@pytest.mark.parametrize("way", [by_nothing, text_only, calls_guarded, len, closing_over(3), OpenAI], ids=str)
def test_what_leads_to_no_model_is_not_taken_for_one(way: Any) -> None:
    assert reach([way]) == frozenset()


def test_a_decorator_of_others_does_not_hide_what_is_below() -> None:
    cached = functools.lru_cache(by_helper)
    assert {hit.name for hit in reach([cached.__wrapped__, functools.wraps(by_name)(lambda: None)])} == {"client"}


def test_an_unguarded_client_is_told_from_a_guarded_one() -> None:
    def uses() -> Any:
        return bare.responses

    (hit,) = reach([uses])
    assert (hit.kind, hit.name) == ("unguarded", "bare")
    assert (is_model_client(bare), is_guarded(bare), is_model_client(client), is_guarded(client)) == (
        True,
        False,
        False,
        True,
    )


def test_an_identity_of_its_own_is_noted() -> None:
    def acts() -> Any:
        with guard.acting_as(JANE, scope="support:reply"):
            return guard.call(print, "x", model="local:small")

    assert {hit.kind for hit in reach([acts])} == {"acting", "guarded"}


def test_nothing_of_the_application_is_run() -> None:
    class Trap:
        def __getattr__(self, name: str) -> Any:
            raise AssertionError("it ran")

        @property
        def client(self) -> Any:
            raise AssertionError("it ran")

        def __eq__(self, other: object) -> bool:
            raise AssertionError("it ran")

        def __hash__(self) -> int:
            raise AssertionError("it ran")

    trap = Trap()

    def uses() -> Any:
        return trap.client, trap.anything, trap == 3

    assert reach([uses]) == frozenset()


def test_circles_and_deep_chains_end() -> None:
    def odd(number: int) -> Any:
        return even(number - 1)

    def even(number: int) -> Any:
        return odd(number - 1) or bare

    assert {hit.name for hit in reach([odd])} == {"bare"}


def test_living_clients_without_a_guard_are_counted_with_what_can_be_done() -> None:
    before = unguarded_in_process()
    kept = [
        anthropic.Anthropic(api_key="x"),
        openai.AzureOpenAI(api_key="x", azure_endpoint="https://x", api_version="1"),
    ]

    class Own(OpenAI):
        pass

    kept.append(Own(api_key="x"))
    found = unguarded_in_process() - before
    assert found == {("anthropic.Anthropic", True): 1, ("openai.AzureOpenAI", False): 1, ("openai.Own", True): 1}
    assert len(kept) == 3


def test_an_application_in_a_folder_whose_name_begins_as_one_of_ours_is_looked_at(monkeypatch):
    monkeypatch.setattr(clients_module, "_not_the_applications", lambda: ("/nowhere/src/aiguard",))
    assert clients_module.is_applications("/nowhere/src/aiguard_shop/views.py")
    assert not clients_module.is_applications("/nowhere/src/aiguard/views.py")


def test_a_search_that_is_given_up_is_said(caplog, monkeypatch):
    monkeypatch.setattr(reach_module, "MAX_FUNCTIONS", 2)

    def far():
        return bare.responses.create(model="small", input="x")

    def nearer():
        return far()

    def view():
        return nearer()

    assert reach([view]) == frozenset()
    assert "was not looked at" in caplog.text
