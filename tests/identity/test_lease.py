from __future__ import annotations

import contextvars
from collections.abc import Iterator
from typing import Any

import pytest
from tests.support.guards import JANE

from aiguard.identity import Access, IterateWithin, acting, current_access, hold
from aiguard.redact import Vault


def lease() -> Access:
    return Access(
        actor=JANE, feature="f", scope="s", subject="jane", decision_id="agd_1", realm=object(), vault=Vault(b"x" * 16)
    )


def test_an_access_is_found_only_while_it_is_held() -> None:
    access = lease()
    assert current_access() is None
    with hold(access):
        assert current_access() is access
    assert current_access() is None
    assert access.alive


def test_an_access_dies_with_its_block_even_when_the_block_raises() -> None:
    access = lease()
    with pytest.raises(ZeroDivisionError), acting(access):
        raise ZeroDivisionError
    assert not access.alive
    with hold(access):
        assert current_access() is None


def test_each_step_of_an_iteration_has_the_access_and_nothing_in_between_has_it() -> None:
    access, seen = lease(), []

    def body() -> Iterator[str]:
        for number in range(3):
            seen.append(current_access())
            yield str(number)

    chunks = IterateWithin(access, body())
    for _ in chunks:
        assert current_access() is None
    chunks.close()
    assert seen == [access] * 3
    assert not access.alive


def test_closing_an_iteration_that_never_began_ends_the_lease_and_closes_what_is_iterated() -> None:
    access, closed = lease(), []

    class Body:
        def __iter__(self) -> Any:
            return iter([])

        def close(self) -> None:
            closed.append(current_access())

    IterateWithin(access, Body()).close()
    assert closed == [access]
    assert not access.alive


def test_a_step_that_raises_ends_the_lease() -> None:
    access = lease()

    def body() -> Iterator[str]:
        yield "one"
        raise ZeroDivisionError

    chunks = IterateWithin(access, body())
    next(chunks)
    with pytest.raises(ZeroDivisionError):
        next(chunks)
    assert not access.alive


def test_a_copied_context_keeps_nothing_alive() -> None:
    access = lease()
    with acting(access):
        kept = contextvars.copy_context()
    assert kept.run(current_access) is None


def test_what_was_restored_is_forgotten_at_the_end() -> None:
    access = lease()
    access.lease.note_restored(["jane@example.org"])
    assert access.lease.was_restored("jane@example.org")
    access.end()
    assert not access.lease.was_restored("jane@example.org")
    access.lease.note_restored(["jane@example.org"])
    assert not access.lease.was_restored("jane@example.org")


def test_an_access_does_not_print_whom_it_is_about() -> None:
    assert "jane" not in repr(lease())
    assert "acme" not in repr(lease())
