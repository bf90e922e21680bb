"""Builds ``support_messages.jsonl``: our message templates with published test values in them.

    python -m examples.data.build FOLDER [--rows 336]

FOLDER holds ``pii.train.jsonl.gz``: rows ``{text, spans: [{start, end, type}], locale, source, license}`` made from the
test values of Presidio, presidio-research and validator.js (see ``README.md`` for where to get them). Values are taken
only if they are valid: Luhn for cards, ISO 7064 for IBANs, the numbering plan for phone numbers and social security
numbers. Secrets are not taken from anywhere: they are made here, have the shape of real ones, and all carry ``DEMO``.
The result depends on the folder and the seed only.
"""

from __future__ import annotations

import argparse
import base64
import gzip
import hashlib
import hmac
import ipaddress
import json
import random
import re
import string
import tomllib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TypedDict

import phonenumbers
import stdnum.iban
import stdnum.luhn
import stdnum.us.ssn

TEXTS = tomllib.loads(Path(__file__).with_name("templates.toml").read_text(encoding="utf-8"))
SEED = 20260101
SOURCES = (
    "microsoft/presidio",
    "microsoft/presidio-research",
    "validatorjs/validator.js",
)
TARGET = Path(__file__).with_name("support_messages.jsonl")
REGION_OF = {"de": ("DE", "AT", "CH"), "fr": ("FR", "BE"), "es": ("ES",)}
SECRET_SLOTS = frozenset(
    {
        "AWS",
        "AWS_SECRET",
        "GITHUB",
        "GITHUB_PAT",
        "OPENAI",
        "ANTHROPIC",
        "SLACK",
        "STRIPE",
        "JWT",
        "PEM",
    }
)
OURS = "made for this project"
_CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_SLOT = re.compile(r"\{([A-Z_]+)(\d?)\}")


def published_values(folder: Path) -> dict[str, list[tuple[str, str]]]:
    """Type to the distinct valid ``(value, source)`` pairs of the permitted sources, in a stable order."""
    accept: dict[str, Callable[[str], bool]] = {
        "EMAIL_ADDRESS": _is_plain_email,
        "PHONE_NUMBER": _is_plain_phone,
        "CREDIT_CARD": _is_card,
        "IBAN_CODE": stdnum.iban.is_valid,
        "US_SSN": _is_ssn,
        "IP_ADDRESS": _is_host_address,
    }
    found: dict[str, dict[str, str]] = {kind: {} for kind in accept}
    with gzip.open(folder / "pii.train.jsonl.gz", "rt", encoding="utf-8") as lines:
        for line in lines:
            row = json.loads(line)
            if row["source"] not in SOURCES or row["license"] != "MIT":
                continue
            for span in row["spans"]:
                value = row["text"][span["start"] : span["end"]]
                if span["type"] in accept and accept[span["type"]](value):
                    found[span["type"]].setdefault(value, row["source"])
    return {kind: sorted(values.items()) for kind, values in found.items()}


def _is_plain_email(value: str) -> bool:
    return re.fullmatch(r"[A-Za-z0-9._+-]{3,}@[A-Za-z0-9.-]{5,}\.[a-z]{2,}", value) is not None


def _is_plain_phone(value: str) -> bool:
    """International, or as written in the United States; without an extension; valid in its country's numbering plan."""
    if re.fullmatch(r"\+[\d ().-]{9,22}|\(?\d{3}\)? ?[-.]?\d{3}[-.]\d{4}", value) is None:
        return False
    try:
        return phonenumbers.is_valid_number(phonenumbers.parse(value, "US"))
    except phonenumbers.NumberParseException:
        return False


def _is_card(value: str) -> bool:
    digits = re.sub(r"[ -]", "", value)
    return re.fullmatch(
        r"(?:4\d{15}|5[1-5]\d{14}|3[47]\d{13}|6011\d{12})", digits
    ) is not None and stdnum.luhn.is_valid(digits)


def _is_ssn(value: str) -> bool:
    return re.fullmatch(r"\d{3}-\d{2}-\d{4}", value) is not None and stdnum.us.ssn.is_valid(value)


def _is_host_address(value: str) -> bool:
    """A host's address as a person would quote it: no loopback, network or broadcast address, no zone, no IPv4 in IPv6."""
    if not len(value) >= 9 or value.endswith((".0", ".255", "::")) or re.search(r"%|:.*\.", value):
        return False
    try:
        address = ipaddress.ip_address(value)
    except ValueError:
        return False
    return not (address.is_loopback or address.is_unspecified or address.is_multicast)


class Values:
    """Hands out values by slot, each pool in a shuffled round so that all of them get used."""

    def __init__(self, pools: dict[str, list[tuple[str, str]]], rng: random.Random) -> None:
        self._rng = rng
        self._pools = pools
        self._rounds: dict[str, Iterator[tuple[str, str]]] = {}

    def take(self, slot: str, language: str) -> tuple[str, str, str]:
        """``(type, value, source)`` for a slot name."""
        if slot in SECRET_SLOTS:
            return ("SECRET", str(getattr(self, f"_{slot.lower()}")()), OURS)
        kind = {
            "EMAIL": "EMAIL_ADDRESS",
            "PHONE": "PHONE_NUMBER",
            "CARD": "CREDIT_CARD",
            "IBAN": "IBAN_CODE",
        }.get(slot)
        if kind == "PHONE_NUMBER":
            value, source = self._phone(language)
        elif kind is not None:
            value, source = self._next(kind)
        elif slot == "SSN":
            kind, (value, source) = "US_SSN", self._next("US_SSN")
        else:
            kind = "IP_ADDRESS"
            value, source = self._next("IP_ADDRESS", lambda v: (":" in v) is (slot == "IP_SIX"), slot)
        if kind == "CREDIT_CARD":
            value = self._spelled(re.sub(r"[ -]", "", value))
        if kind == "IBAN_CODE":
            value = self._grouped(value.replace(" ", ""))
        return (kind, value, source)

    def _next(self, kind: str, keep: Callable[[str], bool] = lambda _: True, key: str = "") -> tuple[str, str]:
        name = f"{kind}/{key}"
        for _ in range(2):
            for item in self._rounds.get(name, iter(())):
                return item
            pool = [item for item in self._pools[kind] if keep(item[0])]
            self._rng.shuffle(pool)
            self._rounds[name] = iter(pool)
        raise ValueError(f"the folder has no usable value for {name}")

    def _phone(self, language: str) -> tuple[str, str]:
        """Half of them in international form, half as people of that country write them."""
        if self._rng.random() < 0.5:
            return self._next("PHONE_NUMBER", lambda value: value.startswith("+"), "international")

        def is_local(value: str) -> bool:
            if language == "en":
                return not value.startswith("+")
            number = phonenumbers.parse(value, "US")
            return phonenumbers.region_code_for_number(number) in REGION_OF[language]

        value, source = self._next("PHONE_NUMBER", is_local, language)
        if language == "en":
            return value, source
        number = phonenumbers.parse(value, "US")
        return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.NATIONAL), source

    def _spelled(self, digits: str) -> str:
        style = self._rng.randrange(3)
        groups = [digits[:4], digits[4:10], digits[10:]] if len(digits) == 15 else re.findall("....", digits)
        return digits if style == 0 else (" " if style == 1 else "-").join(groups)

    def _grouped(self, code: str) -> str:
        return " ".join(re.findall(".{1,4}", code)) if self._rng.random() < 0.5 else code

    def _letters(self, count: int, alphabet: str = string.ascii_letters + string.digits) -> str:
        return "".join(self._rng.choice(alphabet) for _ in range(count))

    def order(self) -> str:
        """An order number: allowed by policy, and the thread that ties a request to its record."""
        letters = "ABCDEFGHJKMNPQRSTVWXYZ"
        return "ORD-" + "".join(self._rng.choice(letters) + self._rng.choice(_CROCKFORD) for _ in range(4))

    def _aws(self) -> str:
        return "AKIADEMO" + self._letters(12, string.ascii_uppercase + "234567")

    def _aws_secret(self) -> str:
        return "DEMO" + self._letters(34) + "/" + self._letters(1)

    def _github(self) -> str:
        return "ghp_DEMO" + self._letters(32)

    def _github_pat(self) -> str:
        return "github_pat_11DEMO" + self._letters(16) + "_" + self._letters(59)

    def _openai(self) -> str:
        return "sk-proj-DEMO" + self._letters(70) + "T3BlbkFJ" + self._letters(74)

    def _anthropic(self) -> str:
        return "sk-ant-api03-DEMO" + self._letters(89, string.ascii_letters + string.digits + "-_") + "AA"

    def _slack(self) -> str:
        return f"xoxb-{self._letters(12, string.digits)}-{self._letters(13, string.digits)}-DEMO{self._letters(20)}"

    def _stripe(self) -> str:
        return "sk_live_DEMO" + self._letters(28)

    def _jwt(self) -> str:
        def part(value: object) -> str:
            return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()

        subject = {"sub": f"DEMO-{self._letters(8)}", "iss": "demo", "iat": 1735689600}
        signed = part({"alg": "HS256", "typ": "JWT"}) + "." + part(subject)
        digest = hmac.new(b"DEMO", signed.encode(), hashlib.sha256).digest()
        return signed + "." + base64.urlsafe_b64encode(digest).rstrip(b"=").decode()

    def _pem(self) -> str:
        """Shaped like a key, but its body is a sentence and random bytes, which no parser accepts as a key."""
        body = base64.b64encode(b"DEMO: this is not a key. " + self._rng.randbytes(311)).decode()
        lines = "\n".join(re.findall(".{1,64}", body))
        return f"-----BEGIN RSA PRIVATE KEY-----\n{lines}\n-----END RSA PRIVATE KEY-----"


class Row(TypedDict):
    """One line of the file. Every value stands in ``text`` as written; ``order`` is allowed to leave."""

    id: str
    lang: str
    order: str
    text: str
    values: list[dict[str, str]]
    license: str
    source: str


def build(pools: dict[str, list[tuple[str, str]]], rows: int, seed: int = SEED) -> Iterator[Row]:
    """``rows`` messages, going round the templates."""
    rng = random.Random(seed)  # noqa: S311 - reproducible, not secret
    values = Values(pools, rng)
    orders: set[str] = set()
    templates = TEXTS["template"]
    for number in range(rows):
        language, template = templates[number % len(templates)]["lang"], templates[number % len(templates)]["text"]
        order = values.order()
        while order in orders:
            order = values.order()
        orders.add(order)
        plain = {"ORDER": order, "NAME": rng.choice(TEXTS["names"]), "MORE": _paragraphs(language, rng)}
        labels: list[dict[str, str]] = []
        sources: set[str] = set()
        parts: list[str] = []
        at = 0
        for slot in _SLOT.finditer(template):
            parts.append(template[at : slot.start()])
            at = slot.end()
            if slot[1] in plain:
                parts.append(plain[slot[1]])
                continue
            kind, value, source = values.take("IP_SIX" if slot[0] == "{IP6}" else slot[1], language)
            parts.append(value)
            labels.append({"type": kind, "value": value})
            if source != OURS:
                sources.add(source)
        yield {
            "id": f"msg-{number + 1:03d}",
            "lang": language,
            "order": order,
            "text": "".join([*parts, template[at:]]),
            "values": labels,
            "license": "Apache-2.0 (text), MIT (values)" if sources else "Apache-2.0",
            "source": "; ".join(["aiguard examples/data/templates.toml", *sorted(sources)]),
        }


def _paragraphs(language: str, rng: random.Random) -> str:
    chosen = [item["text"] for item in TEXTS["paragraph"] if item["lang"] == language]
    count = rng.randint(min(4, len(chosen)), len(chosen))
    return "\n\n".join(chosen[index] for index in sorted(rng.sample(range(len(chosen)), count)))


def main(arguments: Sequence[str] | None = None) -> None:
    """Write the file beside this script."""
    parser = argparse.ArgumentParser(description="Build support_messages.jsonl from a folder of labelled test values.")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--rows", type=int, default=336)
    options = parser.parse_args(arguments)
    rows = list(build(published_values(options.folder), options.rows))
    TARGET.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    print(f"{len(rows)} messages, {sum(len(row['values']) for row in rows)} labelled values -> {TARGET.name}")


if __name__ == "__main__":
    main()
