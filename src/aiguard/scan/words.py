"""The words before a value, and in the key above it: how they are read, looked for and noticed in advance."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Final
from unicodedata import normalize

from aiguard.scan.views import FOLD

_CAMEL: Final = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z]{2})")  # but ``SSNs`` is one word
_Tree = dict[str, "_Tree"]
_SPECIAL: Final = frozenset(".^$*+?()[]{}|\\")


def spaced(text: str) -> str:
    """``customerSSN_no`` and ``CustomerSSNNumber`` -> ``customer ssn no`` and ``… number``: how text before a value and keys are read for context words."""
    if not text.islower():
        text = _CAMEL.sub(" ", text).lower()
    return text.replace("_", " ").replace("-", " ")


_OWN_KEY: Final = re.compile(r""",\s*(?:"([^"\n]{1,48})"\s*:|([a-z][a-z0-9]*(?: [a-z0-9]+){0,2})\s?[:=])\s*["']?\Z""")
_SAYS_NOTHING: Final = frozenset(
    (
        "value",
        "val",
        "number",
        "no",
        "nr",
        "num",
        "text",
        "data",
        "content",
        "id",
        "code",
        "nummer",
        "numero",
        "número",
        "numéro",
    )
)
"""Last words of keys that leave it to the keys beside them what a value is: ``{"type": "phone", "value": …}``."""


def under_its_key(said: str) -> str:
    """``said`` from the key on that a value stands under, where it has one: the keys before it are other values' names.

    >>> under_its_key('"phone": null, "created at": ')
    'created at": '
    """
    if ":" not in said[-4:] and "=" not in said[-3:]:
        return said
    key = _OWN_KEY.search(said)
    if key is None or _SAYS_NOTHING.intersection((key[1] or key[2]).split()[-1:]):
        return said
    return said[key.start(1 if key[1] else 2) :]


_LED: Final = re.compile(r"[A-Za-z]{2,4} ")
"""How a value begins that has brought its own name: ``BP 128/82``."""

_ANSWER: Final = re.compile(
    r"\d(?:[ .\-/]?\d){2,}[a-z]?(?:[.;|][ \t]|[ \t]*\r?\n|,[ \t]*(?:\"|[^\W\d_]))[^\d]*[^\W\d_][^\d]*\Z"
)


def answered(said: str, value: str) -> bool:
    """Whether a value has been given between a name and ``value``, and another sentence, line or column has begun.

    >>> answered(" 943 476 5919. bp ", "128/82"), answered("? [10:03] customer: ", "943"), answered(" 1234567, ", "B765")
    (True, False, False)
    """
    if _LED.match(value):
        said += value[:2]
    elif said.rstrip()[-1:] == ".":
        said += value[0]
    return _ANSWER.search(said) is not None


def preceding(text: str, start: int, window: int) -> str:
    """The ``window`` characters before ``start``, without a word that the window cuts: "phone" is not in "microphone"."""
    first = start - window
    if first <= 0:
        return text[:start]
    if text[first - 1].isalpha() and spelled(text[first - 1]):
        while first < start and text[first].isalpha() and spelled(text[first]):
            first += 1
    return text[first:start]


def spelled(char: str) -> bool:
    """Whether a letter is of an alphabet whose words stand apart.

    Letters from U+0590 on (Hebrew, Arabic, Indic scripts, CJK, Hangul …) glue particles to words or use no spaces, so a
    word may begin behind any of them.
    """
    return char < "\u0590" or "\u1e00" <= char < "\u2000"


@lru_cache(maxsize=4096)
def alike(char: str) -> str:
    """The small letters that a normalised text may have in place of ``char``: Latin for Cyrillic and Greek, kana without their marks."""
    if char.isascii():
        return ""
    read = {FOLD[ord(each)].lower() for each in (char, char.upper()) if len(each) == 1}
    parts = normalize("NFD", char)
    if parts[1:] in ("\u3099", "\u309a"):
        read.add(parts[0])
    return "".join(sorted(each for each in read if len(each) == 1 and each.isalnum() and each != char))


def in_ascii(word: str) -> bool:
    """Whether a text of ASCII can hold the word."""
    return word.isascii() or all(char.isascii() or any(map(str.isascii, alike(char))) for char in word)


def words(listed: Sequence[str]) -> re.Pattern[str] | None:
    """Any of ``listed`` as a word in text that was :func:`spaced`. A tree of literals: nothing to backtrack.

    Words are sorted into a tree by their letters, so that a place where none begins costs one look at its letter, however
    many words are listed.
    """
    if not listed:
        return None
    tree: _Tree = {}
    for word in listed:
        node = tree
        for char in word.lower():
            node = node.setdefault(char, {})
        node[""] = {}
    # That no letter stands before is asked after the first letter, which lets `re` leap to the next place it occurs at.
    begins = [
        re.escape(first)
        + (r"(?<![^\W\d_].)" if spelled(first) else "")
        + _branches(rest)
        + ("" if _inflected(char) else _END)
        for char, rest in tree.items()
        for first in (char, *alike(char))
    ]
    return re.compile(f"(?s:{'|'.join(begins)})")


_END: Final = r"s?(?![a-z]|(?<=[a-z])[ß-öø-ɏͰ-ϿЀ-ӿ])"
"""After a word of ours another Latin, Greek or Cyrillic letter makes it another word; particles of other scripts do not."""


def _inflected(char: str) -> bool:
    """Whether words that begin so have endings that lists leave out, of which some letters may read as Latin ones."""
    return "Ͱ" <= char < "԰"


def _branches(tree: _Tree) -> str:
    """The rest of the words in ``tree``, the longer before the shorter."""
    steps = [_either(char) + _branches(rest) for char, rest in tree.items() if char]
    if not steps:
        return ""
    if "" in tree:
        return f"(?:{'|'.join(steps)})?"
    return steps[0] if len(steps) == 1 else f"(?:{'|'.join(steps)})"


def _either(char: str) -> str:
    others = alike(char)
    return f"[{char}{others}]" if others else re.escape(char)


def last(wanted: re.Pattern[str] | None, text: str) -> int:
    """Where the last of the ``wanted`` words in ``text`` ends, or -1."""
    end = -1
    if wanted is not None and text:
        for match in wanted.finditer(text):
            end = match.end()
    return end


JOINED: Final = re.compile(
    r"(?:\s*(?:[:=#.,()\[\]\"'`*|>/→：（№]|(?:numbers?|num|no|nr|n[º°]|nummer|número|numero|numéro|numer|nº|code|id|is|was|ist|lautet|war"
    r"|es|est|è|é|jest|är|er)(?![a-z])))*\s*"
)
"""All that may stand between the name of a value and the value, once it is :func:`spaced`, for the name to be its label."""

JOINED_WITHIN: Final = 24
"""Characters between a label and its value at most."""

_PLAIN: Final = 3
"""Letters up to which a name is also an ordinary word (``sin``, ``ein``, ``ice``): without a sign it counts in capitals only."""


def labelled(wanted: re.Pattern[str], before: str) -> bool:
    """Whether the text ``before`` a value ends in one of the ``wanted`` words as its label: ``PESEL: ``, ``Medicare number is ``."""
    said = spaced(before)
    found = max(wanted.finditer(said), key=lambda match: match.end(), default=None)
    if found is None or len(said) - found.end() > JOINED_WITHIN or JOINED.fullmatch(said, found.end()) is None:
        return False
    if found.end() - found.start() > _PLAIN or not found[0].isascii() or said[found.end() :].strip():
        return True
    return before.rstrip()[-len(found[0]) :].isupper()


def spellings(char: str) -> list[str]:
    """The letter as it may stand in a text, capital or small."""
    upper = char.upper()
    forms = (char, upper if len(upper) == 1 else char, *alike(char), *alike(char).upper())
    return list(dict.fromkeys(forms))


def trigger(listed: Sequence[str]) -> str:
    """RE2 pattern that matches every text in which :func:`words` could find one of ``listed`` once it is spaced."""
    return "|".join(map(_noticed, sorted({word.lower() for word in listed})))


def _noticed(word: str) -> str:
    """One word, over-approximated with ASCII word boundaries: classes of other letters would make the set large."""
    first, rest = word[0], "".join(map(_letter, word[1:]))
    head = rf"(?:(?:\b|[0-9_]){first}|{first.upper()})" if "a" <= first <= "z" else _letter(first)
    return head + rest + (r"[sS]?(?:\b|[A-Z0-9_])" if word[-1].isascii() and word[-1].isalnum() else "")


def _letter(char: str) -> str:
    if char == " ":
        return r"[ _\-]?"
    if char in _SPECIAL:
        return "\\" + char
    forms = spellings(char)
    return f"[{''.join(forms)}]" if len(forms) > 1 else char
