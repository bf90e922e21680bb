"""How to reach a person: e-mail addresses and telephone numbers."""

from __future__ import annotations

import re
from typing import Final

from aiguard.detect import phone_groups, phones
from aiguard.detect.catalogue.phone_words import OTHER_NUMBERS, PHONE_CONTEXT, ROOMS
from aiguard.scan import Recognizer

# Latin, Greek and Cyrillic letters; scripts that are written without spaces are left out, since there the words
# before an address would be taken for a part of it.
_LETTER = "A-Za-z0-9À-ÖØ-öø-ɏͰ-ϿЀ-ӿ"

_EXTENSION = r"(?:[ ,;]{0,2}(?:[xX]|[eE]xt\.?)[ ]?\d{1,6})?"

NAMED: Final = 24
"""Characters before a number that is grouped as telephone numbers are, in which a name of some other number speaks against it."""


_LED_IN: Final = re.compile(
    r"""[=?&'`|{}*~#!$%^-]|_[_*]|[^/?#]*[/?#]|(?!prvs)[A-Za-z_][\w.]{0,30}={1,3}(?!.*=)|[A-Za-z_]\w{0,30}\("""
)
"""What leads up to an address and is no part of it, though RFC 5321 allows it there: Markdown, ``to=``, a path, an opening quote."""


_DOMAIN_ENDS: Final = re.compile(r"@[\w.\-]{1,63}\Z")
"""Before an address that begins where another ends: a letter before it is otherwise its own."""


def email(text: str) -> bool:
    """Dots where RFC 5321 allows them, and not the user of a Git remote."""
    local, _, domain = text.rpartition("@")
    if _LED_IN.match(local):
        return False
    if ".." in local or local[0] == "." or local[-1] == "." or "@" in local:
        return False
    return not (local == "git" and domain.lower().startswith(("github.", "gitlab.", "bitbucket.", "ssh.")))


RECOGNIZERS = (
    Recognizer(
        name="email_address",
        type="EMAIL_ADDRESS",
        pattern=(
            rf"[{_LETTER}!#$%&'*+/=?^_{{|}}~.\-`]{{1,128}}@"
            rf"(?:[{_LETTER}](?:[{_LETTER}\-]{{0,61}}[{_LETTER}])?\.){{1,8}}"
            rf"(?:[Xx][Nn]--[A-Za-z0-9\-]{{2,40}}|[A-Za-zÀ-ÖØ-öø-ɏͰ-ϿЀ-ӿ]{{2,24}})"
        ),
        validate=email,
        follows=lambda before: _DOMAIN_ENDS.search(before) is not None,
        open_end=True,
        base_score=0.95,
        max_length=750,
        priority=60,
        source="RFC 5321, RFC 6531 (Latin, Greek and Cyrillic letters)",
        examples=(
            "write to jane.doe+news@mail.example.co.uk.",
            "jane@example.com0john@example.com",
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
        name="email_quoted",
        type="EMAIL_ADDRESS",
        pattern=rf"\"[^\"\n@]{{1,64}}(?:\\.[^\"\n]{{0,32}})?\"@(?:[{_LETTER}\-]{{1,63}}\.){{1,8}}[A-Za-z]{{2,24}}",
        base_score=0.8,
        priority=59,
        source="RFC 5321, quoted local part",
        examples=('"jane doe"@example.com',),
        counter_examples=('"jane" <jane>',),
    ),
    Recognizer(
        name="email_spelled_out",
        type="EMAIL_ADDRESS",
        pattern=(
            r"(?i)\b[A-Z0-9][A-Z0-9._%+\-]{0,63}(?:[ ](?:dot|punkt|point|punto)[ ][A-Z0-9._%+\-]{1,40}){0,2}(?:"
            r"[ ]{0,2}(?:[(\[{<][ ]?(?:at|@|a)[ ]?[)\]}>]|@)[ ]{0,2}[A-Z0-9][A-Z0-9.\-]{0,62}"
            r"(?:[ ]{0,2}(?:[(\[{<][ ]?(?:dot|\.)[ ]?[)\]}>]|[ ]dot[ ])[ ]{0,2}[A-Z0-9\-]{2,40}){1,4}"
            r"|[ ]{0,2}[(\[{<][ ]?(?:at|@|a)[ ]?[)\]}>][ ]{0,2}[A-Z0-9][A-Z0-9\-]{0,62}(?:\.[A-Z0-9\-]{2,40}){1,4}"
            r"|[ ]at[ ][A-Z0-9][A-Z0-9\-]{0,62}(?:[ ]dot[ ][A-Z0-9\-]{2,40}){0,3}"
            r"[ ]dot[ ](?:com|org|net|edu|gov|info|biz|io|dev|de|fr|es|nl|pl|ch|jp|br|ru|ca|eu|(?:co[ ]dot[ ])?uk))\b"
        ),
        validate=lambda text: text[-2:].isalpha(),
        base_score=0.7,
        max_length=520,
        priority=58,
        source="how addresses are written so that harvesters do not find them",
        examples=(
            "jane (at) example dot com",
            "jane.doe[at]example[dot]org",
            "jane at example dot com",
            "jane dot doe at example dot com",
            "jane@example[DOT]com",
        ),
        counter_examples=("look at this dot product", "meet me at example.com", "f(a).value"),
    ),
    Recognizer(
        name="phone_international",
        type="PHONE_NUMBER",
        pattern=rf"\+[ (]{{0,2}}[1-9](?:[ \t().\-/]{{0,3}}\d){{6,15}}{_EXTENSION}\b",
        validate=phones.international,
        shrink=3,
        base_score=0.9,
        max_length=90,
        priority=45,
        source="ITU-T E.164; validity by the phonenumbers metadata",
        examples=("+44 20 7946 0958", "+1-743-438-6774x62406"),
        counter_examples=("+1 2 3", "a + 1234567"),
    ),
    Recognizer(
        name="phone_international_dialled",
        type="PHONE_NUMBER",
        pattern=rf"\b00[ (]{{0,2}}[1-9](?:[ \t().\-/]{{0,3}}\d){{6,15}}{_EXTENSION}\b",
        validate=phones.international,
        shrink=3,
        not_after=".",
        deny=(*OTHER_NUMBERS, "ean", "upc", "gtin", "barcode", "item"),
        context_window=24,
        base_score=0.9,
        max_length=90,
        priority=45,
        source="ITU-T E.164; validity by the phonenumbers metadata",
        examples=("now 0049 (0)30 901820",),
        counter_examples=("SKU 0012345678905", "0012"),
    ),
    Recognizer(
        name="phone_nanp",
        type="PHONE_NUMBER",
        pattern=rf"(?:\b1[ .\-]?)?\b\d{{3}}[.\-]\d{{3}}[.\-]\d{{4}}{_EXTENSION}\b",
        deny=OTHER_NUMBERS,
        context=PHONE_CONTEXT,
        not_after="+",
        base_score=0.75,
        context_window=32,
        max_length=40,
        priority=44,
        source="North American Numbering Plan, as written in figures of three, three and four",
        examples=("202-555-0187", "call 202-555-0143 or 202.456.1111 x12"),
        counter_examples=("order 212-555-0187", "192.168.1.1"),
    ),
    Recognizer(
        name="phone_nanp_bracketed",
        type="PHONE_NUMBER",
        pattern=rf"(?:\b1[ .\-]?)?\(\d{{3}}\)[ .\-]{{0,2}}\d{{3}}[ .\-]?\d{{4}}{_EXTENSION}\b",
        context=PHONE_CONTEXT,
        not_after="+",
        base_score=0.75,
        context_window=32,
        max_length=40,
        priority=44,
        source="North American Numbering Plan, with the area in brackets",
        examples=("(212) 555-0187", "id | (212) 555-0187"),
        counter_examples=("(212) 55-0187",),
    ),
    Recognizer(
        name="phone_nanp_spaced",
        type="PHONE_NUMBER",
        pattern=rf"\b(?:1[ ])?[2-9]\d{{2}}[ ][2-9]\d{{2}}[ \-]\d{{4}}{_EXTENSION}\b",
        validate=phones.north_american,
        deny=OTHER_NUMBERS,
        context=PHONE_CONTEXT,
        not_after="+",
        base_score=0.6,
        context_window=32,
        max_length=40,
        priority=43,
        source="North American Numbering Plan",
        examples=("212 555 0187",),
        counter_examples=("order 212 555 0187", "112 555 0187"),
    ),
    Recognizer(
        name="phone_national",
        type="PHONE_NUMBER",
        pattern=rf"\+?(?:\(0?\d{{1,4}}\)|\b\d)(?:[ \t().\-/]{{0,2}}\d){{5,14}}{_EXTENSION}\b",
        validate=phones.national,
        not_after="#",
        behind=phone_groups.begins,
        shrink=3,
        context=PHONE_CONTEXT,
        deny=OTHER_NUMBERS,
        base_score=0.3,
        context_score=0.7,
        context_window=80,
        max_length=66,
        priority=20,
        source="how numbers are grouped, and the words before the number",
        examples=("call 0341 8387176", "Telefon: 030 901820", "Tel. 20 20 12 34", "mobile 0688 777 97 84"),
        counter_examples=("got 0341 8387176", "phone order 2023-10-11", "in 2019 20 30"),
    ),
    Recognizer(
        name="phone_grouped",
        type="PHONE_NUMBER",
        pattern=r"(?:\(0[1-9]\d{0,4}\)[ ]?|\b0[1-9]\d{0,4}[ ]?[ /.\-][ ]?)\d{2,8}(?:[ .\-]\d{2,5}){0,6}\b",
        validate=phones.grouped,
        deny=OTHER_NUMBERS,
        not_after="+-./:,#$€£",
        not_before="-./:",
        base_score=0.55,
        context_window=NAMED,
        max_length=64,
        priority=42,
        source="how numbers are written from their trunk prefix on; phonenumbers metadata",
        examples=(
            "I sent it to 0341 838 7176",
            "under (0341) 8387176",
            "06 12 45 78 98",
            "0171/1234567",
            "got 01.42.68.53.00",
        ),
        counter_examples=(
            "on 01/02/2023 10",
            "01 02 03 04 05",
            "010 020 030",
            "00 12 34 56 78",
            "0-306-40615-2",
            "order 0341 838 7176",
        ),
    ),
    Recognizer(
        name="phone_local",
        type="PHONE_NUMBER",
        pattern=(
            r"\b[1-9]\d{0,3}(?:-\d{4,5}|(?:[ ]-?[A-Za-z]?\d[0-9A-Za-z]{0,9}){1,6}(?:[ \t]{0,8}\r?\n[ \t]{0,8}\d{1,9})?)\b"
        ),
        validate=phone_groups.local,
        behind=phone_groups.apart,
        deny=(*OTHER_NUMBERS, *ROOMS),
        not_before="-/:%@.",
        base_score=0.55,
        context_window=NAMED,
        max_length=120,
        priority=41,
        source="how numbers without a trunk prefix are grouped; phonenumbers metadata",
        examples=("come by or try 91 23 45 67 tonight", "Jane, 521 2345, High Street", "got 6123 4567"),
        counter_examples=(
            "row 91 23 45 67 88",
            "rows 91 23 45 67\n88 12 13 14",
            "from 1914 1918",
            "order 6123 4567",
            "drawn 12 23 34 48",
            "ISO 754 2219",
            "a 12 91 23 45 67",
            "dump 6123 4567 a9f3",
        ),
    ),
    Recognizer(
        name="phone_lettered",
        type="PHONE_NUMBER",
        pattern=r"[\n|•·](?:[ ]{0,2})(?:[TMPFDCHW]|Ph|Tf|Tlf)(?:[.:][ ]{0,2}|[ ]{1,2})(\(?\d(?:[ ().\-/]{0,2}\d){6,13})\b",
        validate=phones.anywhere,
        not_before="-/:%@",
        base_score=0.6,
        max_length=60,
        priority=41,
        source="signature blocks; phonenumbers metadata",
        examples=("Jane Doe\nT 71234567\nacme.example", "Jane | M: 521 2345"),
        counter_examples=("see T 71234567", "Jane\nT 1000000"),
    ),
    Recognizer(
        name="phone_bracketed",
        type="PHONE_NUMBER",
        pattern=r"\([1-9]\d{1,3}\)[ ]?\d{3,5}[ \-]\d{3,4}(?:[ \-]\d{2,4})?\b",
        validate=phones.bracketed,
        deny=OTHER_NUMBERS,
        not_after="+-./:,#$€£",
        not_before="-./:",
        base_score=0.55,
        context_window=NAMED,
        max_length=30,
        priority=42,
        source="how numbers are written with their area in brackets; phonenumbers metadata",
        examples=("I sent it to (11) 91234-5678",),
        counter_examples=("Journal (1999) 123 4567", "f(11) 12"),
    ),
    Recognizer(
        name="phone_eight",
        type="PHONE_NUMBER",
        pattern=r"\b8[ \-]?(?:\(\d{3,5}\)|[ \-]\d{3}[ \-])[ ]?\d{1,3}[ \-]\d{2}[ \-]\d{2}\b",
        validate=phones.eight,
        deny=OTHER_NUMBERS,
        context_window=NAMED,
        not_after="+-./:$€£",
        not_before="-./:",
        base_score=0.6,
        max_length=24,
        priority=42,
        source="how numbers are written in Russia and Kazakhstan; phonenumbers metadata",
        examples=("это 8 (912) 345-67-89", "8-912-345-67-89"),
        counter_examples=("8 (100) 345-67-89", "8 100 200 30 40"),
    ),
    Recognizer(
        name="phone_chinese",
        type="PHONE_NUMBER",
        pattern=r"\b1[3-9]\d(?:[ ]\d{4}[ ]|-\d{4}-)\d{4}\b",
        validate=phones.chinese,
        deny=OTHER_NUMBERS,
        context_window=NAMED,
        not_after="+-./:,#$€£",
        not_before="-./:",
        base_score=0.55,
        max_length=13,
        priority=42,
        source="how mobile numbers are grouped in China; phonenumbers metadata",
        examples=("给 138 1234 5678", "sent to 138-1234-5678"),
        counter_examples=("order 138 1234 5678", "118 1234 5678"),
    ),
    Recognizer(
        name="phone_short",
        type="PHONE_NUMBER",
        pattern=(
            r"(?i:(?:\b(?:phone|telephone|tel|telefon|mobile|cell|fax|téléphone|teléfono|telefono|telefone|telefoon|puhelin)"
            r"|тел|телефон|電話|電話番号|电话|전화)(?:[ _]?(?:number|nummer|no))?\.?(?:[ ](?:is|ist|est|es|è|é)|[\"']?[ ]?[:=])?[ ]?[\"']?)"
            r"(\d{5}|\d{2,3}[ \-]\d{3})\b"
        ),
        validate=phones.short,
        not_before="-./:,%",
        base_score=0.6,
        max_length=64,
        priority=20,
        source="numbers of small countries and of switchboards, right after the words for one",
        examples=("my phone number is 62889", "Tel. 20-123", '"phone": "62889"'),
        counter_examples=(
            "call on 62889 people",
            "call me on 62889 tomorrow",
            "phone: 10000",
            "phone-12345",
            "the phone was sold to 62889 people",
        ),
    ),
    Recognizer(
        name="phone_alone",
        type="PHONE_NUMBER",
        pattern=r"\+?\(?\b\d(?:[ ().\-/]{0,2}\d){6,14}\b",
        validate=phones.anywhere,
        base_score=0.2,
        context_score=0.2,
        alone_score=0.6,
        max_length=48,
        priority=31,  # before numbers that one in ten passes: of their kinds there are dozens, so chance says yes to most
        source="phonenumbers metadata of every region, for a text that is nothing but the number",
        examples=("0761-234567", "(0761) 234567"),
        counter_examples=("take 0761-234567", "0000000", "20231124", "16.954.231", "2000-366"),
    ),
    Recognizer(
        name="phone_dialled",
        type="PHONE_NUMBER",
        pattern=r"\(?\b\d(?:[ ().\-/]{0,2}\d){7,14}\b",
        validate=phones.dialled,
        base_score=0.2,
        context_score=0.2,
        alone_score=0.62,
        max_length=48,
        priority=31,  # before numbers that one in ten passes, after those with several check digits
        source="phonenumbers metadata of every region, for a text that is nothing but the number as it is dialled",
        examples=("0612457898", "061 123 456", "380771234567", "008613812345678"),
        counter_examples=("take 0612457898", "20231124", "0000000000"),
    ),
    Recognizer(
        name="phone_labelled",
        type="PHONE_NUMBER",
        pattern=(
            r"(?i)((?:\(0?\d{1,4}\)|\b\d)(?:[ ().\-/]{0,2}\d){5,13})"
            r"[ \-]{1,2}\(?(?:office|mobile|fax|cell|home|work|direct|main|landline|mobil|handy)\b"
        ),
        validate=phones.national,
        not_after="+",
        base_score=0.65,
        max_length=60,
        priority=21,
        source="signature blocks",
        examples=("022 498317 office", "06-10446904-Office"),
        counter_examples=("2019 office", "built 2023-10-11 office"),
    ),
)
