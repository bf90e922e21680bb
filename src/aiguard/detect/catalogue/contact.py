"""How to reach a person: e-mail addresses and telephone numbers."""

from __future__ import annotations

from aiguard.detect import phones
from aiguard.scan import Recognizer

# Latin, Greek and Cyrillic letters; scripts that are written without spaces are left out, since there the words
# before an address would be taken for a part of it.
_LETTER = "A-Za-z0-9À-ÖØ-öø-ɏͰ-ϿЀ-ӿ"

_PHONE_CONTEXT = (
    "phone", "phone number", "telephone", "tel", "tel no", "mobile", "mob", "cell", "cellphone", "call", "calling",
    "called", "dial", "fax", "ring", "text", "sms", "whatsapp", "reach", "contact", "contact number", "hotline", "landline",
    "home number", "work number", "my number", "number is", "answering at", "messages to", "msisdn", "desk", "office",
    "telefon", "handy", "rufen", "anruf", "mobil", "téléphone", "telephone", "portable", "appeler", "appelez",
    "teléfono", "telefono", "móvil", "movil", "celular", "llamar", "llame", "llámame", "cellulare", "chiamare",
    "chiama", "telefone", "telemóvel", "ligar", "ligue", "telefoon", "mobiel", "bel", "telefonnummer", "puhelin",
    "telefonu", "тел", "телефон", "моб", "звоните", "電話", "电话", "手机", "휴대폰", "전화", "هاتف", "फोन", "โทร",
)  # fmt: skip

_PHONE_DENY = (
    "order", "order no", "order number", "order id", "invoice", "invoice no", "ticket", "case", "case number", "ref",
    "reference", "id", "serial", "isbn", "issn", "sku", "part", "version", "build", "tracking", "parcel", "batch",
    "account", "acct", "policy", "license", "licence", "passport", "zip", "postcode", "date", "bug", "issue", "pr",
    "port", "pid", "timestamp", "epoch", "commit", "bytes", "total", "amount", "price", "transaction", "iban", "vat",
)  # fmt: skip

RECOGNIZERS = (
    Recognizer(
        name="email_address",
        type="EMAIL_ADDRESS",
        pattern=(
            rf"[{_LETTER}!#$%&'*+/=?^_{{|}}~.\-`]{{1,64}}@"
            rf"(?:[{_LETTER}](?:[{_LETTER}\-]{{0,61}}[{_LETTER}])?\.){{1,8}}"
            rf"(?:[Xx][Nn]--[A-Za-z0-9\-]{{2,40}}|[A-Za-zÀ-ÖØ-öø-ɏͰ-ϿЀ-ӿ]{{2,24}})"
        ),
        validate=lambda text: _email(text),
        boundary=False,
        base_score=0.95,
        max_length=700,
        priority=60,
        source="RFC 5321, RFC 6531 (Latin, Greek and Cyrillic letters)",
        examples=(
            "write to jane.doe+news@mail.example.co.uk.",
            "<jürgen@exämple.de>",
            "user@xn--80ak6aa92e.com",
        ),
        counter_examples=(
            "info@presidio.",
            "user.@example.com",
            "a@b",
            "git@github.com:org/repo.git",
            "x@1.2.3",
        ),
    ),
    Recognizer(
        name="phone_international",
        type="PHONE_NUMBER",
        pattern=r"(?:\+|\b00)[ (]{0,2}[1-9](?:[ \t().\-/]{0,3}\d){6,15}(?:[ ,;]{0,2}(?:[xX]|[eE]xt\.?)[ ]?\d{1,6})?\b",
        validate=phones.international,
        shrink=True,
        base_score=0.9,
        max_length=80,
        priority=45,
        source="ITU-T E.164; validity by the phonenumbers metadata",
        examples=(
            "+44 20 7946 0958",
            "call 0049 (0)30 901820 now",
            "+1-743-438-6774x62406",
        ),
        counter_examples=("+1 2 3", "a + 1234567"),
    ),
    Recognizer(
        name="phone_nanp",
        type="PHONE_NUMBER",
        pattern=(
            r"(?:\b1[ .\-]?)?(?:\([2-9]\d{2}\)[ .\-]{0,2}|\b[2-9]\d{2}[ .\-])[2-9]\d{2}[ .\-]\d{4}"
            r"(?:[ ,;]{0,2}(?:[xX]|[eE]xt\.?)[ ]?\d{1,6})?\b"
        ),
        validate=phones.north_american,
        shrink=True,
        deny=_PHONE_DENY,
        context=_PHONE_CONTEXT,
        base_score=0.75,
        max_length=40,
        priority=44,
        source="North American Numbering Plan",
        examples=("(212) 555-0187", "call 202-555-0143 or 202.456.1111 x12"),
        counter_examples=("order 212-555-0187", "192.168.100.1000", "123-456-7890"),
    ),
    Recognizer(
        name="phone_national",
        type="PHONE_NUMBER",
        pattern=r"(?:\(0?\d{1,4}\)|\b\d)(?:[ \t().\-/]{0,2}\d){5,13}(?:[ ,;]{0,2}(?:[xX]|[eE]xt\.?)[ ]?\d{1,6})?\b",
        validate=phones.national,
        shrink=True,
        context=_PHONE_CONTEXT,
        deny=_PHONE_DENY,
        base_score=0.3,
        context_score=0.7,
        context_window=32,
        max_length=60,
        priority=20,
        source="phonenumbers metadata, and the words before the number",
        examples=("call 0341 8387176", "Telefon: 030 901820", "mobile 0688 777 97 84"),
        counter_examples=("0341 8387176", "phone order 2023-10-11", "in 2019 20 30"),
    ),
)


def _email(text: str) -> bool:
    local, _, domain = text.rpartition("@")
    if ".." in local or local[0] == "." or local[-1] == "." or "@" in local:
        return False
    if local[0] in "/=?&'`|{}":
        return False
    return not (local == "git" and domain.lower().startswith(("github.", "gitlab.", "bitbucket.", "ssh.")))
