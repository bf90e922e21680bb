"""Clients of model servers: which objects are one, which are guarded, and where the application's source builds others."""

from __future__ import annotations

import ast
import functools
import gc
import os
import site
import sys
import sysconfig
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any, Final

from aiguard.providers.sdks import SDKS

GUARDED_IN: Final = "aiguard.providers.clients"
"""The module in which the classes of guarded clients are made."""

OTHERS: Final[Mapping[str, frozenset[str]]] = {
    "cohere": frozenset({"Client", "ClientV2", "AsyncClient", "AsyncClientV2"}),
    "fireworks": frozenset({"Fireworks", "AsyncFireworks"}),
    "google": frozenset({"Client", "GenerativeModel", "PredictionServiceClient"}),
    "groq": frozenset({"Groq", "AsyncGroq"}),
    "huggingface_hub": frozenset({"InferenceClient", "AsyncInferenceClient"}),
    "langchain_anthropic": frozenset({"ChatAnthropic"}),
    "langchain_openai": frozenset({"ChatOpenAI", "AzureChatOpenAI", "OpenAIEmbeddings"}),
    "mistralai": frozenset({"Mistral"}),
    "ollama": frozenset({"Client", "AsyncClient"}),
    "replicate": frozenset({"Client"}),
    "together": frozenset({"Together", "AsyncTogether"}),
    "xai_sdk": frozenset({"Client", "AsyncClient"}),
}
"""Clients of other SDKs, by the package that defines them. None of them can be guarded itself, but a function that calls one can."""

_GOOGLE: Final = ("google.genai", "google.generativeai", "vertexai", "google.cloud.aiplatform")


@dataclass(frozen=True, kw_only=True, slots=True)
class Built:
    """A call in the application's source that builds a client around the guard."""

    module: str
    line: int
    kind: str
    guardable: bool


def module_of(cls: type) -> str:
    """The module of a class; some, made in C or by metaclasses, have none."""
    name = cls.__module__
    return name if isinstance(name, str) else ""


def kind_of(cls: Any) -> tuple[str, bool] | None:
    """The public name of a class of clients that are not guarded, and whether ``guard.client`` takes it; None for any other class."""
    mro = cls.__mro__ if isinstance(cls, type) else ()
    if any(module_of(base) == GUARDED_IN for base in mro):
        return None
    for base in mro:
        root = module_of(base).partition(".")[0]
        sdk = SDKS.get(root)
        if sdk is not None and base.__name__ in (sdk.sync, sdk.async_):
            own = module_of(cls).partition(".")[0] != root  # the application's own subclass is to be replaced as well
            return f"{root}.{cls.__name__}", own or cls is base
        if base.__name__ in OTHERS.get(root, ()) and (root != "google" or module_of(base).startswith(_GOOGLE)):
            return f"{root}.{cls.__name__}", False
    return None


def is_guarded(value: object) -> bool:
    """Whether ``value`` is a client that ``guard.client`` made."""
    return any(module_of(base) == GUARDED_IN for base in type(value).__mro__)


def is_model_client(value: object) -> bool:
    """Whether ``value`` is a client of a model server that is not guarded."""
    return kind_of(type(value)) is not None


def unguarded_in_process() -> Counter[tuple[str, bool]]:
    """How many clients of which class live in this process without a guard. Looks at every object: tens of milliseconds."""
    by_class = Counter(map(type, gc.get_objects()))
    found: Counter[tuple[str, bool]] = Counter()
    for cls, count in by_class.items():
        if (kind := kind_of(cls)) is not None:
            found[kind] += count
    return found


@functools.cache
def _not_the_applications() -> tuple[str, ...]:
    places = [*site.getsitepackages(), site.getusersitepackages(), str(Path(__file__).parents[1])]
    places += [path for name in ("stdlib", "platstdlib", "purelib", "platlib") if (path := sysconfig.get_path(name))]
    return tuple(str(Path(place).resolve()) for place in places)


@functools.cache
def is_applications(file: str) -> bool:
    """Whether a source file is the application's: neither of Python, nor of an installed package, nor of aiguard."""
    if file.startswith("<"):
        return False
    resolved = str(Path(file).resolve())
    return not any(resolved.startswith(place + os.sep) for place in _not_the_applications())


def application_modules() -> list[ModuleType]:
    """The application's modules that are loaded."""
    found = []
    for module in list(sys.modules.values()):
        file = getattr(module, "__file__", None) if isinstance(module, ModuleType) else None
        if isinstance(file, str) and file.endswith(".py") and is_applications(file):
            found.append(module)
    return found


def built_in_source(module: ModuleType) -> tuple[list[Built], frozenset[str]]:
    """Where a module builds clients without the guard, and every short text that stands in it (scopes are such texts)."""
    try:
        tree = ast.parse(Path(str(module.__file__)).read_bytes())
    except (OSError, SyntaxError, ValueError):
        return [], frozenset()
    built, texts = [], set()
    names = {**_imported(tree), **vars(module)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and len(node.value) <= 200:
            texts.add(node.value)
        kind = kind_of(_named(node.func, names)) if isinstance(node, ast.Call) else None
        if kind is not None and isinstance(node, ast.Call):
            built.append(Built(module=module.__name__, line=node.lineno, kind=kind[0], guardable=kind[1]))
    return built, frozenset(texts)


def _imported(tree: ast.AST) -> dict[str, Any]:
    """What the functions of a module import, of what is loaded, by the name that they give it."""
    found: dict[str, Any] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and not node.level:
            origin = vars(sys.modules[node.module]) if node.module in sys.modules else {}
            found |= {each.asname or each.name: origin[each.name] for each in node.names if each.name in origin}
        elif isinstance(node, ast.Import):
            found |= {
                each.asname or each.name: sys.modules[each.name] for each in node.names if each.name in sys.modules
            }
    return found


def _named(node: ast.expr, names: Mapping[str, Any]) -> Any:
    """What ``a.b.c`` is, as far as names of modules say."""
    steps = list(_steps(node))
    value: Any = names.get(steps[0]) if steps else None
    for step in steps[1:]:
        value = vars(value).get(step) if isinstance(value, ModuleType) else None
    return value


def _steps(node: ast.expr) -> Iterator[str]:
    if isinstance(node, ast.Attribute):
        inner = list(_steps(node.value))
        if inner:
            yield from inner
            yield node.attr
    elif isinstance(node, ast.Name):
        yield node.id
