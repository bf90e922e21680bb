"""How files, programs and people write ``name = value``: the pieces that patterns for named credentials are put together from."""

from __future__ import annotations

from typing import Final

_CLOSE: Final = r"[\"'`\]}*\\]{0,4}[ \t]{0,8}"
# Go's `token string =`, Rust's `: &str =`, TypeScript's and Kotlin's `: String =`
_TYPE: Final = r"(?:(?:[ ]?:)?[ ](?:&'?(?:static[ ])?)?[A-Za-z][A-Za-z0-9_<>?.\[\]]{0,20}[ ]{0,2})?"
_OPERATOR: Final = r"(?::{1,3}=|[?.+|&]{1,2}=|={1,3}>?|!={1,2}|<-|->|:|：)"
# String::from("…"), b64decode("…")
_WRAPPED: Final = (
    r"(?:String::from|(?:base64\.)?b64decode|bytes|str|SecretStr(?:ing)?(?:::new|::from)?|new[ ]String|Buffer\.from)"
)
# os.environ.get("PASSWORD") or "…", process.env.PASSWORD || "…"
_OTHERWISE: Final = r"\)?[ ]{0,2}(?:or[ ]|\|\||\?\?|\?:)[ ]{0,2}"
# <add key="…" value="…"/>, `- name: …` with `value: …` on the next line
_VALUE_OF: Final = r"[\"']?,?[ \t\r\n]{1,24}[\"']?(?:value|default|content)[\"']?[ \t]?[:=][ \t]?"

_OPENING: Final = r"[bBruULf@$]{0,2}(?:\\{0,2}(?:'[\"`]|\"['`]|[\"'`])|(?:\"\"\"|''\')(?:\\?\r?\n)?)"

QUOTED_LINK: Final = (
    rf"(?:{_CLOSE}(?:{_TYPE}{_OPERATOR}[ \t\r\n\\]{{0,12}}|\([ ]?|\|[ \t]{{0,4}}|{_OTHERWISE})|[ \t]{{1,4}}|[\"'][ ]{{0,2}},[ ]{{0,2}}"
    rf"|\\?[\"']?>[ \t\r\n]{{0,12}}|\\?[\"'];s:\d{{1,4}}:|{_VALUE_OF})(?:{_WRAPPED}\([ ]?)?{_OPENING}"
)
"""Between a name and the quoted value, the opening quotes included."""

BARE_LINK: Final = (
    rf"(?:{_CLOSE}(?:{_TYPE}{_OPERATOR}\*{{0,2}}[ \t]{{0,8}}|\|[ \t]{{1,8}})|\\?[\"']?>[ \t\r\n]{{0,12}}|{_VALUE_OF})"
)
"""Between a name and a value without quotes."""

QUOTED: Final = r"((?:[^\s\"'`\\]|\\[^\s\"'`]){5,200})"
"""A value up to the closing quote; an escaped character belongs to it."""

BARE: Final = r"([^\s\"'`<>(){}\[\];,&|\\]{6,200})"
"""A value up to a space or a sign that ends one."""

ALPHABET: Final = r"([A-Za-z0-9+/_\-.~]{10,160}={0,2})"
"""A value in the alphabet that keys are written in."""

FORGERY: Final = (
    "csrf", "xsrf", "csrf token", "xsrf token", "csrfmiddlewaretoken", "authenticity token", "verification token",
    "requestverificationtoken", "nonce",
)  # fmt: skip
"""Names of what a page carries against forged requests, and gives to everybody who opens it."""
