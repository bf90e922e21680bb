"""What a function can reach, as its code shows: followed from name to name, through the application's own functions.

Bytecode says exactly which names a function loads (``dis``, which knows every version of Python), so that no source is needed. Each
is looked up where the function would look it up, and never called: attributes are read with :func:`inspect.getattr_static`.
"""

from __future__ import annotations

import dis
import functools
import inspect
import logging
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from types import CodeType, FunctionType, MethodType, ModuleType
from typing import Any, Final, Literal

from aiguard.guard import Guard
from aiguard.identity import marker_of
from aiguard.inventory.clients import is_applications, is_guarded, is_model_client, module_of

logger = logging.getLogger("aiguard")

MAX_FUNCTIONS: Final = 2_000
"""Functions followed from one route; that there are more is logged."""

MAX_ITEMS: Final = 200
"""Entries of a dictionary, list or tuple that are looked at."""

_NAMES: Final = frozenset(
    {
        "LOAD_GLOBAL",
        "LOAD_NAME",
        "LOAD_DEREF",
        "LOAD_CLASSDEREF",
        "LOAD_FROM_DICT_OR_GLOBALS",
        "LOAD_FROM_DICT_OR_DEREF",
    }
)
_ATTRIBUTES: Final = frozenset({"LOAD_ATTR", "LOAD_METHOD"})
_SILENT: Final = frozenset({"PUSH_NULL", "CACHE", "EXTENDED_ARG", "NOP", "COPY_FREE_VARS", "RESUME", "PRECALL"})
_CALLS: Final = frozenset({"call", "acall", "stream", "astream", "client"})
"""What a guard is asked for to reach a model."""
_UNKNOWN: Final = object()


@dataclass(frozen=True, kw_only=True, slots=True, order=True)
class Hit:
    """A function that names a way to a model. ``kind``: a guarded client or call, an unguarded client, or an identity of its own."""

    kind: Literal["guarded", "unguarded", "acting"]
    name: str
    """As the code writes it."""
    where: str
    """``module.function``."""


def reach(functions: Iterable[Any], *, app: Any = None) -> frozenset[Hit]:
    """Everything that ``functions``, and what they call, name on the way to a model.

    ``app`` is the application, which code finds at ``request.app`` and ``current_app``. A function that has a guard of its
    own is not followed: whoever calls it passes that guard.
    """
    search = _Search(app)
    for function in functions:
        search.add(function, None)
    search.run()
    if not search.complete:
        logger.warning(
            "more than %d functions hang together from one route; what lies beyond was not looked at", MAX_FUNCTIONS
        )
    return frozenset(search.hits)


class _Search:
    def __init__(self, app: Any) -> None:
        self.app = app
        self.hits: set[Hit] = set()
        self.complete = True
        self._queue: list[tuple[FunctionType, Any]] = []
        self._seen: set[tuple[int, int]] = set()
        self._kept: list[Any] = []  # so that no id is used twice

    def run(self) -> None:
        while self._queue:
            function, bound = self._queue.pop()
            self._follow(function, bound)

    def add(self, value: Any, bound: Any) -> None:
        """Follow a callable, if it is the application's; of a class, its methods."""
        if isinstance(value, type):
            for base in value.__mro__:
                if is_applications(getattr(sys.modules.get(module_of(base)), "__file__", None) or "<>"):
                    for member in list(vars(base).values()):
                        self.add(member.fget if isinstance(member, property) else member, value)
            return
        if isinstance(value, staticmethod | classmethod):
            value = value.__func__
        if isinstance(value, MethodType):
            value, bound = value.__func__, value.__self__
        if isinstance(value, functools.partial):
            for each in (value.func, *value.args, *value.keywords.values()):
                self._look("partial", each, "functools.partial")
            return
        if not isinstance(value, FunctionType):
            if isinstance(call := inspect.getattr_static(type(value), "__call__", None), FunctionType):
                self.add(call, value)
            return
        inner = getattr(value, "__wrapped__", None)  # functools.wraps: the function below, whoever made the wrapper
        if isinstance(inner, FunctionType):
            self.add(inner, bound)
        key = (id(value), id(bound))
        if key in self._seen or not is_applications(value.__code__.co_filename):
            return
        if len(self._seen) >= MAX_FUNCTIONS:
            self.complete = False
            return
        self._seen.add(key)
        self._kept.append((value, bound))
        self._queue.append((value, bound))

    def _follow(self, function: FunctionType, bound: Any) -> None:
        where = f"{function.__module__}.{function.__qualname__}"
        cells = dict(zip(function.__code__.co_freevars, map(_content, function.__closure__ or ()), strict=False))
        for default in (*(function.__defaults__ or ()), *(function.__kwdefaults__ or {}).values()):
            self._look("default", default, where)
        first = function.__code__.co_varnames[0] if bound is not None and function.__code__.co_argcount else None
        for code in _codes(function.__code__):
            names = {first: bound} if first is not None and code is function.__code__ else {}
            self._read(code, function.__globals__, {**cells, **names}, where)

    def _read(self, code: CodeType, module: Mapping[str, Any], local: Mapping[str, Any], where: str) -> None:
        value: Any = _UNKNOWN
        name = ""
        imported: Any = _UNKNOWN
        for step in dis.get_instructions(code):
            what = step.opname
            if what in _SILENT:
                continue
            is_key = what == "LOAD_CONST" and isinstance(step.argval, str)
            if isinstance(value, dict) and not is_key and what not in _ATTRIBUTES:
                self._look_inside(name, value, where)  # whichever entry it takes
            if what in _NAMES or what.startswith("LOAD_FAST"):
                wanted = step.argval[-1] if isinstance(step.argval, tuple) else step.argval
                name = str(wanted)
                scope = local if what.startswith("LOAD_FAST") else {**module, **local}
                value = self._known(scope.get(name, _UNKNOWN), name)
            elif what == "IMPORT_NAME":
                name, value = str(step.argval), self._module(step.argval, module)
                imported = value
            elif what == "IMPORT_FROM":
                name, value = str(step.argval), _attribute(imported, step.argval)
                if value is _UNKNOWN and isinstance(imported, ModuleType):
                    value = sys.modules.get(f"{imported.__name__}.{step.argval}", _UNKNOWN)
            elif what in _ATTRIBUTES:
                wanted = str(step.argval)
                self._asked(value, wanted, f"{name}.{wanted}", where)
                owner, value = value, self._known(_attribute(value, wanted), wanted)
                name = f"{name}.{wanted}"
                if isinstance(value, property):
                    self.add(value.fget, owner)
                    value = _UNKNOWN
                elif isinstance(value, FunctionType):
                    self.add(value, None if isinstance(owner, type | ModuleType) else owner)
            elif is_key and isinstance(value, dict):
                name, value = f"{name}[{step.argval!r}]", value.get(step.argval, _UNKNOWN)
            else:
                value = _UNKNOWN
                continue
            if value is not _UNKNOWN:
                self._look(name, value, where)

    def _known(self, value: Any, name: str) -> Any:
        """The application, where code reaches for it."""
        proxy = module_of(type(value)) == "werkzeug.local"
        if self.app is not None and (name == "current_app" or (name == "app" and (value is _UNKNOWN or proxy))):
            return self.app
        return _UNKNOWN if proxy else value

    @staticmethod
    def _module(name: str, names: Mapping[str, Any]) -> Any:
        """A module that a function imports, if it is loaded."""
        found = sys.modules.get(name)
        if found is None and (package := names.get("__package__")):
            found = sys.modules.get(f"{package}.{name}" if name else package)
        return found if found is not None else _UNKNOWN

    def _asked(self, value: Any, attribute: str, name: str, where: str) -> None:
        """A guard that is asked for a way to a model."""
        if not (isinstance(value, Guard) or is_door(value)):
            return
        if attribute in _CALLS:
            self.hits.add(Hit(kind="guarded", name=name, where=where))
        elif attribute == "acting_as":
            self.hits.add(Hit(kind="acting", name=name, where=where))

    def _look(self, name: str, value: Any, where: str) -> None:
        """Note a client, and follow what can be followed."""
        if is_guarded(value):
            self.hits.add(Hit(kind="guarded", name=name, where=where))
        elif is_model_client(value):
            self.hits.add(Hit(kind="unguarded", name=name, where=where))
        elif isinstance(value, FunctionType | MethodType | functools.partial):
            if isinstance(value, functools.partial) or marker_of(value) is None:
                self.add(value, None)
        elif isinstance(value, type):
            self.add(value, None)
        elif isinstance(value, list | tuple | set | frozenset):
            self._look_inside(name, value, where)

    def _look_inside(self, name: str, value: Any, where: str) -> None:
        """Note the clients in a container."""
        for item in list(value.values() if isinstance(value, dict) else value)[:MAX_ITEMS]:
            if is_guarded(item) or is_model_client(item):
                self._look(name, item, where)


def is_door(value: Any) -> bool:
    """Whether ``value`` is an ``AIGuard`` of a web door."""
    return type(value).__name__ == "AIGuard" and module_of(type(value)).startswith("aiguard.")


def _codes(code: CodeType) -> Iterator[CodeType]:
    """A function's code, and that of the functions, lambdas and comprehensions inside it."""
    yield code
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _codes(constant)


def _content(cell: Any) -> Any:
    try:
        return cell.cell_contents
    except ValueError:  # a variable that was not assigned yet
        return _UNKNOWN


def _attribute(owner: Any, name: str) -> Any:
    if owner is _UNKNOWN:
        return _UNKNOWN
    if isinstance(owner, ModuleType):
        return vars(owner).get(name, _UNKNOWN)
    found = inspect.getattr_static(owner, name, _UNKNOWN)
    state = inspect.getattr_static(owner, "_state", None)
    if found is _UNKNOWN and isinstance(state, dict):  # Starlette keeps app.state.x there
        return state.get(name, _UNKNOWN)
    return found
