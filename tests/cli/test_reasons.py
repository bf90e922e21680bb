"""``aiguard explain`` has a sentence for every reason that can be on record."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import aiguard
from aiguard.cli.reasons import REASONS, sentence
from aiguard.flask.failures import DETAILS

SOURCE = Path(aiguard.__file__).parent
ELSEWHERE = {"cli", "inventory", "migrations"}
"""What makes no reasons of decisions: problems of ``aiguard routes`` and exit codes have codes as well."""
SHARED = {"allow", "deny", "blocked_decision", "refuse_egress", "refuse_answer"}
FAMILIES = {"f'request.{status}'": {f"request.{status}" for status in DETAILS}}


def trees() -> Iterator[tuple[Path, ast.Module]]:
    for path in sorted(SOURCE.rglob("*.py")):
        if not ELSEWHERE & set(path.relative_to(SOURCE).parts):
            yield path, ast.parse(path.read_text())


def name_of(call: ast.Call) -> str:
    return call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")


def place_of_code(function: ast.FunctionDef, known: dict[str, int]) -> int | None:
    """Where a function that hands its ``code`` to one of ``known`` takes it: the index in a call, -1 for a keyword only."""
    hands_on = any(
        isinstance(call, ast.Call)
        and name_of(call) in known
        and any(ast.unparse(each) == "code" for each in (*call.args, *(keyword.value for keyword in call.keywords)))
        for call in ast.walk(function)
    )
    if not hands_on:
        return None
    names = [each.arg for each in function.args.args]
    if "code" in names:
        return names.index("code") - (names[0] in {"self", "cls"})
    return -1 if any(each.arg == "code" for each in function.args.kwonlyargs) else None


def makers(tree: ast.Module, known: dict[str, int]) -> dict[str, int]:
    """The functions of a module that make reasons of a code that they are given, by way of one another, too."""
    found = dict(known)
    functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]
    while True:
        more = {each.name: place for each in functions if (place := place_of_code(each, found)) is not None}
        if more.keys() <= found.keys():
            return found
        found |= more


def spelled(value: ast.expr) -> set[str]:
    """The codes that an expression may be; what is handed on from a ``code`` of the caller's is found at the caller."""
    if isinstance(value, ast.IfExp):
        return spelled(value.body) | spelled(value.orelse)
    if isinstance(value, ast.Constant) and isinstance(value.value, str):
        return {value.value} - {""}
    told = ast.unparse(value)
    assert told == "code" or told.endswith(".code") or told in FAMILIES, f"a code that cannot be read: {told}"
    return FAMILIES.get(told, set())


def codes() -> set[str]:
    rooms = list(trees())
    shared: dict[str, int] = {"Reason": -1}
    for _, tree in rooms:  # what other modules call as well has names of its own
        shared |= {name: place for name, place in makers(tree, {"Reason": -1}).items() if name in SHARED}
    said: set[str] = set()
    for _, tree in rooms:
        here = makers(tree, shared)
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef) and node.name in {"allow", "deny"}:
                said |= {code for each in node.args.kw_defaults if each is not None for code in spelled(each)}
            if isinstance(node, ast.Dict):
                for key, value in zip(node.keys, node.values, strict=True):
                    if isinstance(key, ast.Constant) and key.value == "reasons" and isinstance(value, ast.List):
                        said |= {code for each in value.elts for code in spelled(each)}
            if not isinstance(node, ast.Call):
                continue
            name = name_of(node)
            if name not in here:
                continue
            given = [each.value for each in node.keywords if each.arg == "code"]
            if 0 <= here[name] < len(node.args):
                given.append(node.args[here[name]])
            said |= {code for each in given for code in spelled(each)}
    return said | {"provider.status"}  # in the event of an error answer it is no reason, but told as one


def test_every_code_that_can_be_on_record_has_a_sentence_and_no_other() -> None:
    found = codes()
    assert {"scope.missing", "egress.path", "approval.forged", "request.413", "token.accepted", "denied"} <= found
    assert sorted(found - set(REASONS)) == []
    assert sorted(set(REASONS) - found) == []


def test_a_sentence_comes_with_its_code_and_an_applications_own_code_stands_for_itself() -> None:
    assert sentence("scope.missing") == "the caller lacks the scope (scope.missing)"
    assert sentence("trial.closed") == "trial.closed"
    assert all(not text.endswith(".") and text[0].islower() for text in REASONS.values())
