"""Log protection: what is logged is scrubbed before any handler, formatter or shipper sees it.

A filter on the root logger is not asked for records of child loggers, and handlers come and go. What every record passes is
its creation, so the record factory is where this stands, with ``Logger.makeRecord`` around it: for ``extra=`` fields, which
are set after the factory has run, and for an application that has put another factory in its place. SDK debug loggers, the
web server's access log and exception texts are covered alike.

Not covered: ``print``, ``sys.stderr``, loggers that do not use :mod:`logging`, and records that another process made
(:func:`logging.makeLogRecord`).
"""

from __future__ import annotations

import io
import logging
import threading
import traceback
from collections.abc import Callable, Mapping, Sequence
from typing import Any

WITHHELD = "[log message withheld: it could not be scrubbed]"
"""Stands in for a message when scrubbing fails: a log line is never worth a leak."""

MISFIT = "[arguments withheld: they do not fit the message]"
"""Follows a message whose ``%`` arguments do not fit it; :mod:`logging` would print them raw on standard error."""

REMEMBERED = 4_096
"""Texts remembered as clean, so that what is logged again and again is scanned once."""

MAX_REMEMBERED = 120
"""Characters of a text that is remembered; longer ones are rarely the same twice."""

_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}
_MAX_DEPTH = 6

Scrub = Callable[[str], str]

_lock = threading.Lock()
_active: _Protection | None = None


class _Scrubbers:
    """What lines are scrubbed with, and what it found nothing in. Replaced as a whole, so that neither outlives the other."""

    def __init__(self, users: Sequence[Scrub]) -> None:
        self.users = tuple(users)
        """One for each :func:`install`, however many of them are the same."""
        self.each = tuple(dict.fromkeys(users))
        self.clean: set[str] = set()
        """Short texts in which nothing was found: templates, methods, status codes, logger arguments."""


class _Protection:
    """What was replaced for it, and by what lines are scrubbed. Installed once a process, counted by its users."""

    def __init__(self, scrub: Scrub) -> None:
        self.by = _Scrubbers([scrub])
        self.factory = logging.getLogRecordFactory()
        self.make_record = logging.Logger.makeRecord
        self.busy = threading.local()

    def text(self, text: str) -> str:
        """``text`` scrubbed; withheld when that fails, and while a scrub of this thread is itself logging."""
        by = self.by
        if text in by.clean:
            return text
        if getattr(self.busy, "on", False):
            return WITHHELD
        self.busy.on = True
        try:
            scrubbed = text
            for scrub in by.each:
                scrubbed = scrub(scrubbed)
            if scrubbed == text and len(text) <= MAX_REMEMBERED:
                if len(by.clean) >= REMEMBERED:
                    by.clean.clear()
                by.clean.add(text)
            return scrubbed
        except Exception:  # noqa: BLE001 - fail closed: the message is withheld, and the application's logging call goes on
            return WITHHELD
        finally:
            self.busy.on = False

    def value(self, value: Any, depth: int = 0) -> Any:
        """A value scrubbed: itself when nothing was found in how it prints."""
        if isinstance(value, bool) or value is None:
            return value
        if isinstance(value, (int, float)):
            printed = repr(value)
            return value if self.text(printed) == printed else self.text(printed)
        if isinstance(value, str):
            return self.text(value)
        if depth >= _MAX_DEPTH:
            return WITHHELD
        if isinstance(value, Mapping):
            pairs = [
                (key, item, self.value(key, depth + 1), self.value(item, depth + 1)) for key, item in value.items()
            ]
            if all(key is clean_key and item is clean_item for key, item, clean_key, clean_item in pairs):
                return value
            return {clean_key: clean_item for _, _, clean_key, clean_item in pairs}
        if type(value) in {list, tuple, set, frozenset}:
            items = [(item, self.value(item, depth + 1)) for item in value]
            if all(item is clean for item, clean in items):
                return value
            return type(value)(clean for _, clean in items)
        try:
            printed, shown = str(value), repr(value)
        except Exception:  # noqa: BLE001 - an object that cannot print itself cannot be scrubbed
            return WITHHELD
        if self.text(printed) == printed and self.text(shown) == shown:
            return value
        return self.text(printed)

    def field(self, value: Any) -> Any:
        """:meth:`value` of an ``extra=`` field; one that cannot be scrubbed is withheld, and logging goes on."""
        try:
            return self.value(value)
        except Exception:  # noqa: BLE001 - a container may do anything when it is looked through
            return WITHHELD

    def protect(self, record: logging.LogRecord) -> None:
        """Scrub what the factory set; a record that cannot be scrubbed is withheld, and logging goes on."""
        try:
            self._protect(record)
        except Exception:  # noqa: BLE001 - an argument may do anything when it is printed or compared
            record.msg, record.args, record.exc_info, record.exc_text, record.stack_info = (
                WITHHELD,
                (),
                None,
                None,
                None,
            )

    def _protect(self, record: logging.LogRecord) -> None:
        record.msg, record.args = self._message(record)
        if record.exc_info and record.exc_info != (None, None, None):
            printed = _printed(record.exc_info)
            clean = self.text(printed)
            record.exc_text = clean
            if clean != printed:
                record.exc_info = None  # the exception object still holds the text
        elif record.exc_text:
            record.exc_text = self.text(record.exc_text)
        if record.stack_info:
            record.stack_info = self.text(record.stack_info)

    def _message(self, record: logging.LogRecord) -> tuple[Any, Any]:
        template = record.msg if isinstance(record.msg, str) else self._printed_message(record.msg)
        if not record.args:
            return self.text(template), record.args
        try:
            message = template % record.args
        except Exception:  # noqa: BLE001 - the application's mistake; logging would print the raw arguments with it
            return f"{self.text(template)} {MISFIT}", ()
        args = self.value(record.args)
        if args is record.args:  # not ==: an argument's own comparison is the application's code
            clean = self.text(message)
            return (template, record.args) if clean == message else (clean, ())
        try:  # what was found in an argument by itself may be hidden in how the message prints it
            said = template % args
        except Exception:  # noqa: BLE001 - the scrubbed arguments no longer fit their format
            return f"{self.text(template)} {MISFIT}", ()
        clean = self.text(said)
        return (template, args) if clean == said else (clean, ())

    def _printed_message(self, message: Any) -> str:
        try:
            return str(message)
        except Exception:  # noqa: BLE001 - an object that cannot print itself cannot be scrubbed
            return WITHHELD


def _printed(exc_info: Any) -> str:
    out = io.StringIO()
    traceback.print_exception(*exc_info, file=out)
    return out.getvalue().rstrip("\n")


def install(scrub: Scrub) -> None:
    """Protect every logger of the process. What several users gave is applied one after the other, the same once."""
    global _active  # noqa: PLW0603 - there is one record factory in a process
    with _lock:
        if _active is not None:
            _active.by = _Scrubbers([*_active.by.users, scrub])
            return
        protection = _active = _Protection(scrub)
        factory, make_record = protection.factory, protection.make_record

        def protected_factory(*args: Any, **kwargs: Any) -> logging.LogRecord:
            record = factory(*args, **kwargs)
            protection.protect(record)
            protection.busy.made = record
            return record

        def protected_make_record(logger: logging.Logger, *args: Any, **kwargs: Any) -> logging.LogRecord:
            record = make_record(logger, *args, **kwargs)
            if getattr(protection.busy, "made", None) is not record:  # another factory made it, and ours was not asked
                protection.protect(record)
            protection.busy.made = None
            for name, value in list(vars(record).items()):
                if name not in _STANDARD:
                    setattr(record, name, protection.field(value))
            return record

        logging.setLogRecordFactory(protected_factory)
        logging.Logger.makeRecord = protected_make_record  # type: ignore[assignment,method-assign]


def uninstall(scrub: Scrub) -> None:
    """Give up one use of ``scrub``; the last one of all puts the record factory back."""
    global _active  # noqa: PLW0603 - there is one record factory in a process
    with _lock:
        if _active is None or scrub not in _active.by.users:
            return
        users = list(_active.by.users)
        users.remove(scrub)
        if users:
            _active.by = _Scrubbers(users)
            return
        logging.setLogRecordFactory(_active.factory)
        logging.Logger.makeRecord = _active.make_record  # type: ignore[method-assign]
        _active = None


def scrubbers() -> tuple[Scrub, ...]:
    """What every line is scrubbed with, in turn; none when log protection is off."""
    return _active.by.each if _active is not None else ()


def installed() -> bool:
    """Whether log protection is on."""
    return _active is not None
