"""What is logged is scrubbed before any handler sees it, whoever logs and however."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from aiguard import logs, scrub

EMAIL = "jane.doe@example.org"


class Collector(logging.Handler):
    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.records: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append(record)

    def everything(self) -> str:
        lines = []
        for record in self.records:
            lines += [logging.Formatter().format(record), repr(vars(record)), str(record.args), str(record.msg)]
            if record.exc_info and record.exc_info[1] is not None:
                lines.append(repr(record.exc_info[1].args))
        return "\n".join(lines)


@pytest.fixture
def collected() -> Iterator[Collector]:
    logs.install(scrub)
    handler = Collector()
    logger = logging.getLogger("app")
    logger.addHandler(handler)
    logger.setLevel(logging.DEBUG)
    yield handler
    logger.removeHandler(handler)
    logs.uninstall(scrub)


def app() -> logging.Logger:
    return logging.getLogger("app.child")


class Customer:
    def __str__(self) -> str:
        return f"customer {EMAIL}"

    def __repr__(self) -> str:
        return f"<Customer {EMAIL}>"


class Unprintable:
    def __str__(self) -> str:
        raise RuntimeError(EMAIL)

    __repr__ = __str__


@pytest.mark.parametrize(
    ("message", "args"),
    [
        (f"hello {EMAIL}", ()),
        ("hello %s", (EMAIL,)),
        ("hello %s@%s", ("jane.doe", "example.org")),
        ("hello %r", (EMAIL,)),
        ("hello %(who)s", ({"who": EMAIL},)),
        ("hello %s", ({"who": [EMAIL]},)),
        ("hello %s", (Customer(),)),
        ("hello %r", (Customer(),)),
        ("hello %s", (ValueError(EMAIL),)),
        (Customer(), ()),
        ("card %d", (4111111111111111,)),
        ("wrong number of arguments %s", (EMAIL, EMAIL)),
        ("wrong kind of argument %d", (EMAIL,)),
        ("unprintable %s", (Unprintable(),)),
        (f"100% of {EMAIL}", ()),
    ],
)
def test_no_form_of_message_or_argument_gets_a_value_through(collected: Collector, message: Any, args: Any) -> None:
    app().warning(message, *args)
    record = collected.records[0]
    seen = record.getMessage() + repr(vars(record))
    assert EMAIL not in seen
    assert "jane.doe@" not in seen
    assert "4111111111111111" not in seen


def test_exception_text_cause_and_stack_are_scrubbed(collected: Collector) -> None:
    try:
        try:
            raise KeyError(EMAIL)
        except KeyError as cause:
            raise ValueError(f"bad customer {EMAIL}") from cause
    except ValueError:
        app().exception("failed")
    text = collected.everything()
    assert "ValueError" in text
    assert "Traceback" in text
    assert EMAIL not in text


def test_an_exception_without_findings_stays_an_exception(collected: Collector) -> None:
    try:
        raise ZeroDivisionError("by zero")
    except ZeroDivisionError:
        app().exception("failed")
    exc_info = collected.records[0].exc_info
    assert exc_info is not None
    assert exc_info[0] is ZeroDivisionError


def test_extra_fields_are_scrubbed_in_depth(collected: Collector) -> None:
    app().warning("x", extra={"customer": EMAIL, "nested": {"a": [EMAIL, {EMAIL}]}, "card": 4111111111111111, "n": 7})
    text = collected.everything()
    assert EMAIL not in text
    assert "4111111111111111" not in text
    assert vars(collected.records[0])["n"] == 7


def test_a_factory_that_takes_the_place_of_ours_takes_no_protection_away(collected: Collector) -> None:
    ours = logging.getLogRecordFactory()
    logging.setLogRecordFactory(logging.LogRecord)
    try:
        app().warning("write to %s", EMAIL, extra={"who": EMAIL})
    finally:
        logging.setLogRecordFactory(ours)
    assert collected.records[0].getMessage() == "write to [REDACTED_EMAIL]"
    assert EMAIL not in collected.everything()


class _Unreadable(Mapping[str, str]):
    """A container of the application's that is gone: a lazy one whose session has ended, say."""

    def __getitem__(self, key: str) -> str:
        raise RuntimeError(EMAIL)

    def __iter__(self) -> Iterator[str]:
        raise RuntimeError(EMAIL)

    def __len__(self) -> int:
        return 1


def test_an_extra_field_that_cannot_be_looked_through_is_withheld_and_the_line_is_logged(collected: Collector) -> None:
    app().warning("x", extra={"request": _Unreadable(), "n": 7})
    assert vars(collected.records[0])["request"] == logs.WITHHELD
    assert vars(collected.records[0])["n"] == 7


def test_arguments_that_hold_nothing_keep_their_types_for_structured_handlers(collected: Collector) -> None:
    app().warning("%s took %d ms", "job", 12)
    assert collected.records[0].args == ("job", 12)


def test_an_access_log_keeps_its_arguments_where_scrubbing_them_says_the_same(collected: Collector) -> None:
    app().info('%s - "%s %s" %d', "client", "GET", f"/find?q={EMAIL}", 200)
    record = collected.records[0]
    assert isinstance(record.args, tuple)
    assert len(record.args) == 4
    assert EMAIL not in record.getMessage()


def test_a_scrubber_that_throws_withholds_the_message_and_not_the_logging_call() -> None:
    def broken(_text: str) -> str:
        raise RuntimeError(EMAIL)

    logs.install(broken)
    handler = Collector()
    app().addHandler(handler)
    try:
        app().warning("hello %s", EMAIL)
    finally:
        app().removeHandler(handler)
        logs.uninstall(broken)
    assert handler.records[0].getMessage() == logs.WITHHELD


def test_protection_ends_with_its_last_user_and_puts_everything_back() -> None:
    factory, make = logging.getLogRecordFactory(), logging.Logger.makeRecord
    logs.install(scrub)
    logs.install(scrub)
    logs.uninstall(scrub)
    assert logs.installed()
    logs.uninstall(scrub)
    assert not logs.installed()
    assert logging.getLogRecordFactory() is factory
    assert logging.Logger.makeRecord is make


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(message=st.text(max_size=30), argument=st.one_of(st.text(max_size=30), st.integers(), st.none(), st.floats()))
def test_logging_never_raises_because_of_protection(collected: Collector, message: str, argument: Any) -> None:
    app().warning(message)
    app().warning("%s and " + message.replace("%", "%%"), argument)
    for record in collected.records[-2:]:
        assert isinstance(record.getMessage(), str)


class Hostile:
    def __eq__(self, other: object) -> bool:
        raise RuntimeError(EMAIL)

    __hash__ = None  # type: ignore[assignment]

    def __str__(self) -> str:
        return EMAIL


def test_an_argument_that_cannot_be_compared_is_scrubbed_all_the_same(collected: Collector) -> None:
    app().warning("got %s and %s", Hostile(), "x")
    assert collected.records[0].getMessage() == "got [REDACTED_EMAIL] and x"


def test_a_value_that_the_printed_argument_hides_is_still_scrubbed(collected: Collector) -> None:
    app().warning("got %s", {"a": "card:\n4111 1111 1111 1111"})
    app().warning("got %r", "card:\n4111 1111 1111 1111")
    assert "4111 1111" not in collected.everything()
