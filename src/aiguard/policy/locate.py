"""On which line a key of a TOML document stands. ``tomllib`` does not say, and an error without a line is half an error.

Only for text that ``tomllib`` has already accepted: the scanner trusts the syntax and looks only at structure (TOML 1.0:
tables, arrays of tables, dotted keys, inline tables, arrays, the four kinds of string).
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping

from aiguard.policy.problems import KeyPath

_BARE = re.compile(r"[A-Za-z0-9_-]+")
_SCALAR = re.compile(r"[^,\]}\s#][^,\]}\n#]*")
_STRING = re.compile(
    r'"""(?:[^"\\]|\\.|"(?!""))*"{3,5}'
    r"|'''(?:[^']|'(?!''))*'{3,5}"
    r'|"(?:[^"\\\n]|\\.)*"'
    r"|'[^'\n]*'",
    re.DOTALL,
)
_BLANK = re.compile(r"(?:[ \t\r\n]|#[^\n]*)*")
_INLINE_BLANK = re.compile(r"[ \t]*")


def key_lines(text: str) -> Mapping[KeyPath, int]:
    """The line (from 1) of every table, key and array element of ``text``; empty when the text defeats the scanner."""
    scanner = _Scanner(text.replace("\r\n", "\n"))
    try:
        scanner.document()
    except (RecursionError, IndexError, _Lost):
        return {}
    return scanner.lines


def line_of(lines: Mapping[KeyPath, int], path: KeyPath) -> int | None:
    """The line of ``path``, or of the nearest table around it that has one."""
    for length in range(len(path), 0, -1):
        if path[:length] in lines:
            return lines[path[:length]]
    return None


class _Lost(Exception):
    """The text is not what the scanner expects."""


class _Scanner:
    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0
        self.line = 1
        self.lines: dict[KeyPath, int] = {}
        self.arrays: dict[KeyPath, int] = {}
        """Arrays of tables, by path, with the index of their last element."""

    def document(self) -> None:
        table: KeyPath = ()
        while True:
            self._match(_BLANK)
            if self.at >= len(self.text):
                return
            if self.text.startswith("[[", self.at):
                self._skip(2)
                path = self._inside(self._key())
                self._skip(2)
                self.arrays[path] = self.arrays.get(path, -1) + 1
                self._note(path)
                table = (*path, self.arrays[path])
                self._note(table)
            elif self.text[self.at] == "[":
                self._skip(1)
                table = self._inside(self._key())
                self._skip(1)
                self._note(table)
            else:
                self._pair(table)

    def _inside(self, path: KeyPath) -> KeyPath:
        """The path with the index of the current element put in after every array of tables that it passes through."""
        resolved: KeyPath = ()
        for position, step in enumerate(path):
            resolved = (*resolved, step)
            if resolved in self.arrays and position < len(path) - 1:
                resolved = (*resolved, self.arrays[resolved])
        return resolved

    def _pair(self, table: KeyPath) -> None:
        key = self._key()
        self._note((*table, *key))
        if self.text[self.at] != "=":
            raise _Lost
        self._skip(1)
        self._match(_INLINE_BLANK)
        self._value((*table, *key))

    def _key(self) -> KeyPath:
        steps: list[str | int] = []
        while True:
            self._match(_INLINE_BLANK)
            if self.text[self.at] in "\"'":
                steps.append(_unquoted(self._match(_STRING)))
            else:
                steps.append(self._match(_BARE))
            self._match(_INLINE_BLANK)
            if self.text[self.at] != ".":
                return tuple(steps)
            self._skip(1)

    def _value(self, path: KeyPath) -> None:
        character = self.text[self.at]
        if character in "\"'":
            self._match(_STRING)
        elif character == "[":
            self._sequence(path, "]", keyed=False)
        elif character == "{":
            self._sequence(path, "}", keyed=True)
        else:
            self._match(_SCALAR)

    def _sequence(self, path: KeyPath, end: str, *, keyed: bool) -> None:
        self._skip(1)
        index = 0
        while True:
            self._match(_BLANK)
            if self.text[self.at] == end:
                self._skip(1)
                return
            if self.text[self.at] == ",":
                self._skip(1)
                continue
            if keyed:
                self._pair(path)
            else:
                self._note((*path, index))
                self._value((*path, index))
                index += 1

    def _note(self, path: KeyPath) -> None:
        """Remember where ``path`` and the tables around it are first seen."""
        for length in range(len(path), 0, -1):
            self.lines.setdefault(path[:length], self.line)

    def _skip(self, count: int) -> None:
        self.at += count

    def _match(self, pattern: re.Pattern[str]) -> str:
        found = pattern.match(self.text, self.at)
        if found is None:
            raise _Lost
        self.at = found.end()
        self.line += found.group().count("\n")
        return found.group()


def _unquoted(quoted: str) -> str:
    value = tomllib.loads(f"k = {quoted}")["k"]
    return str(value)
