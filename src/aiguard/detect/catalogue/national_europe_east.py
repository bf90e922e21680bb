"""Numbers of people, companies, accounts and vehicles in eastern Europe."""

from __future__ import annotations

from typing import Final

from aiguard.detect.catalogue import checks
from aiguard.detect.catalogue.numbers import NumberRow, checked, numbers


def _hungarian(text: str) -> bool:
    """The check digit stands after the first seven; the tax office and the kind of taxation follow."""
    return checked("hu.anum")(text[:8])


_ROWS: Final[tuple[NumberRow, ...]] = (
    ("AZ_TAX_ID", r"\b\d{9}[12]\b", "az.voen", ("vöen", "voen", "vergi ödəyicisinin eyniləşdirmə nömrəsi", "eyniləşdirmə nömrəsi"), 0.1, 0.55, "Azerbaijan, DVX", "vöen 1409766051", "vöen 1409766001"),
    ("BG_EGN", r"\b\d{10}\b", "bg.egn", ("егн", "egn", "единен граждански номер", "единен граждански", "personal identity code"), 0.1, 0.55, "Bulgaria, ГРАО", "егн 8001012382", "егн 8001012380"),
    ("BG_PNF", r"\b\d{10}\b", "bg.pnf", ("лнч", "lnch", "личен номер на чужденец", "pnf"), 0.1, 0.0, "Bulgaria, МВР", "лнч 1584131652", "лнч 1584131650"),
    ("BG_VAT", r"(?i)\bBG[ ]?\d{9,10}\b", "bg.vat", ("ддс", "vat", "еик", "булстат"), 0.75, 0.0, "Bulgaria, НАП", "BG172442149", "BG172442140"),
    ("BY_TAX_ID", r"(?i)\b(?:\d{9}|[A-Z]{2}\d{7})\b", "by.unp", ("унп", "unp", "упп", "учетный номер плательщика", "учётный номер плательщика", "номер плательщика"), 0.1, 0.0, "Belarus", "унп 200468474", "унп 200468470"),
    ("CZ_BIRTH_NUMBER", r"\b\d{2}[0-8]\d[0-3]\d/\d{3,4}\b", "cz.rc", ("rodné číslo", "rodne cislo", "rč", "r č", "birth number", "personal number"), 0.65, 0.0, "Czechia and Slovakia, zákon č. 133/2000 Sb.", "800101/7310", "800101/7311"),
    ("CZ_BIRTH_NUMBER", r"\b\d{2}[0-8]\d[0-3]\d\d{4}\b", "cz.rc", ("rodné číslo", "rodné čislo", "rodne cislo", "rč", "birth number", "personal number"), 0.1, 0.55, "Czechia and Slovakia, zákon č. 133/2000 Sb.", "rodné číslo 8001019785", "rodné číslo 8001019780"),
    ("CZ_BIRTH_NUMBER", r"\b\d{2}[0-8]\d[0-3]\d\d{3}\b", "cz.rc", ("rodné číslo", "rodné čislo", "rodne cislo", "rč", "birth number", "personal number"), 0.1, 0.0, "Czechia and Slovakia, zákon č. 133/2000 Sb.", "rodné číslo 530101978", "rodné číslo 531301978"),
    ("CZ_VAT", r"(?i)\bCZ[ ]?\d{8,10}\b", "cz.dic", ("dič", "dic", "vat", "daňové identifikační číslo"), 0.75, 0.0, "Czechia, Finanční správa", "CZ22792368", "CZ22792360"),
    ("CZ_BANK_ACCOUNT", r"\b(?:\d{2,6}-)?\d{6,10}/\d{4}\b", "cz.bankaccount", ("účet", "ucet", "číslo účtu", "bankovní spojení"), 0.1, 0.55, "Czechia, ČNB", "účet 19-2000145399/0800", "účet 19-2000145399/0801"),
    ("HU_TAX_NUMBER", r"\b\d{8}-[1-5]-\d{2}\b", _hungarian, ("adószám", "adoszam"), 0.75, 0.0, "Hungary, NAV", "99569695-2-42", "99569690-2-42"),
    ("HU_VAT", r"(?i)\bHU[ \-]?\d{8}\b", "hu.anum", ("adószám", "áfa", "vat", "anum", "közösségi adószám", "adószáma"), 0.75, 0.0, "Hungary, NAV", "HU05215845", "HU05215840"),
    ("HU_SOCIAL_SECURITY", r"\b\d{3}[ \-]?\d{3}[ \-]?\d{3}\b", checks.hungarian_health, ("taj", "taj szám", "tajszám", "társadalombiztosítási"), 0.1, 0.0, "Hungary, 1996. évi XX. törvény", "taj 353 531 987", "taj 353 531 980"),
    ("MD_IDNO", r"\b\d{13}\b", "md.idno", ("idno", "cod fiscal", "idnp"), 0.1, 0.0, "Moldova", "idno 1003600594097", "idno 1003600594090"),
    ("PL_NIP", r"\b\d{3}-\d{3}-\d{2}-\d{2}\b|\b\d{3}-\d{2}-\d{2}-\d{3}\b", "pl.nip", ("nip",), 0.75, 0.0, "Poland, Ustawa o zasadach ewidencji podatników", "206-204-49-92", "206-204-49-90"),
    ("PL_NIP", r"\b[1-9]\d{9}\b", "pl.nip", ("nip", "numer identyfikacji podatkowej"), 0.1, 0.0, "Poland, Ustawa o zasadach ewidencji podatników", "nip 5438253473", "nip 5438253470"),
    ("PL_VAT", r"(?i)\bPL[ ]?\d{3}[ \-]?\d{3}[ \-]?\d{2}[ \-]?\d{2}\b", "pl.nip", ("nip", "vat"), 0.8, 0.0, "Poland, KAS", "PL5829794954", "PL5829794950"),
    ("PL_REGON", r"\b(?:\d{9}|\d{14})\b", "pl.regon", ("regon", "rejestr gospodarki narodowej", "rejestru gospodarki narodowej"), 0.1, 0.0, "Poland, GUS", "regon 462713699", "regon 462713690"),
    ("PL_ID_CARD", r"(?i)\b[A-Z]{3}[ ]?\d{6}\b", checks.polish_card, ("dowód osobisty", "dowodu osobistego", "nr dowodu", "dowód", "dowodu"), 0.1, 0.55, "Poland, ustawa o dowodach osobistych", "dowód osobisty AJY847796", "dowód osobisty AJY847790"),
    ("PL_PASSPORT", r"(?i)\b[A-Z]{2}[ ]?\d{7}\b", "", ("paszport", "paszportu", "numer paszportu"), 0.1, 0.51, "Poland, ustawa o dokumentach paszportowych", "paszport AA1234567", "qty AA1234567"),
    ("RO_CNP", r"\b[1-9]\d{12}\b", "ro.cnp", ("cnp", "cod numeric personal"), 0.1, 0.55, "Romania, Legea 105/1996", "cnp 1800101400390", "cnp 1800101400391"),
    ("RO_VAT", r"(?i)\bRO[ ]?\d{6,10}\b", "ro.cf", ("cui", "cif", "tva", "vat", "cod fiscal", "cod de înregistrare în scopuri de tva", "înregistrare în scopuri de tva", "cf"), 0.6, 0.0, "Romania, ANAF", "RO14637918", "RO14637910"),
    ("RO_CUI", r"\b\d{5,10}\b", "ro.cui", ("cui", "cif", "cod unic de înregistrare", "cod fiscal", "codul unic de înregistrare", "cod unic de inregistrare", "company identifier"), 0.1, 0.0, "Romania, ONRC", "cui 18223650", "cui 18223651"),
    ("RU_INN", r"\b(?:\d{10}|\d{12})\b", "ru.inn", ("инн", "inn", "идентификационный номер налогоплательщика"), 0.1, 0.0, "Russia, ФНС", "инн 7701589411", "инн 7701589410"),
    ("RU_OGRN", r"\b(?:\d{13}|\d{15})\b", "ru.ogrn", ("огрн", "огрнип", "ogrn", "psrn", "ogrnip", "основной государственный регистрационный номер", "primary state registration number"), 0.1, 0.0, "Russia, ФНС", "огрн 1027704584269", "огрн 1027704584260"),
    ("RU_SNILS", r"\b\d{3}-\d{3}-\d{3}[ \-]\d{2}\b", checks.snils, ("снилс", "snils"), 0.85, 0.0, "Russia, Федеральный закон 27-ФЗ", "381-829-614 14", "381-829-614 10"),
    ("RU_SNILS", r"\b\d{11}\b", checks.snils, ("снилс", "snils"), 0.1, 0.55, "Russia, Федеральный закон 27-ФЗ", "снилс 13155665753", "снилс 13155665750"),
    ("RU_PASSPORT", r"\b\d{2}[ ]?\d{2}[ ]?(?:№[ ]?)?\d{6}\b", "", ("паспорт", "паспорта", "паспорт серия", "серия"), 0.1, 0.0, "Russia, Положение о паспорте", "паспорт 45 08 123456", "qty 45 08 123456"),
    ("SK_VAT", r"(?i)\bSK[ ]?\d{10}\b", "sk.dph", ("ič dph", "dph", "dič", "vat", "daň z pridanej hodnoty"), 0.8, 0.0, "Slovakia, Finančná správa", "SK2374296573", "SK2374296570"),
    ("UA_TAX_ID", r"\b\d{10}\b", "ua.rntrc", ("іпн", "рнокпп", "ідентифікаційний код", "инн", "rntrc", "податковий номер", "індивідуальний податковий номер", "реєстраційний номер облікової картки"), 0.1, 0.0, "Ukraine, ДПС", "іпн 2925782999", "іпн 2925782990"),
    ("UA_EDRPOU", r"\b\d{8}\b", "ua.edrpou", ("єдрпоу", "едрпоу", "edrpou", "код юридичної особи", "код підприємства"), 0.1, 0.0, "Ukraine, ЄДРПОУ", "єдрпоу 38761984", "єдрпоу 38761980"),
    ("SK_BIRTH_NUMBER", r"\b\d{2}[0-8]\d[0-3]\d/?\d{3,4}\b", "sk.rc", ("rodné číslo", "rodne cislo", "rč", "birth number"), 0.1, 0.0, "Slovakia, zákon č. 301/1995 Z. z.", "rodné číslo 710319/2745", "rodné číslo 710319/2746"),
    ("RO_TRADE_REGISTER", r"(?i)\b[JFC][ ]?\d{1,2}[ /]\d{1,6}[ /](?:19|20)\d\d\b", "ro.onrc", ("registrul comerțului", "registrul comertului", "onrc", "nr. reg. com", "reg com", "trade register"), 0.7, 0.0, "Romania, ONRC, Ordinul 14/2015", "J52/750/2012", "qty J52/750/12"),
    ("RO_TRADE_REGISTER", r"(?i)\b[JFC](?:19|20)\d{11}\b", "ro.onrc", ("registrul comerțului", "registrul comertului", "onrc", "reg com", "trade register"), 0.45, 0.55, "Romania, ONRC, from July 2024", "onrc C2005000011220", "onrc J20120007"),
)  # fmt: skip

RECOGNIZERS = numbers(_ROWS)
