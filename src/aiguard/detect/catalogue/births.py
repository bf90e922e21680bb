"""Dates of birth: days behind the words for one, in figures and with the names of months in some twenty languages."""

from __future__ import annotations

import re
from typing import Final

from aiguard.scan import Recognizer

_MONTH: Final = (
    r"(?:jan(?:uary|uar|vier)?|feb(?:ruary|ruar)?|f[ée]vrier|m[aä]r(?:ch|z|s|zo|ço)?|apr(?:il|ile)?|avril|abril|ma[yi]|mayo|maggio|maio"
    r"|june?|juni|juin|junio|giugno|junho|july?|juli|juillet|julio|luglio|julho|aug(?:ust)?|ao[uû]t|agosto|sep(?:t(?:ember)?)?|septembre"
    r"|septiembre|settembre|setembro|o[ck]t(?:ober|obre|ubre)?|ottobre|outubro|nov(?:ember|embre|iembre|embro)?|de[cz](?:ember|embre|embro)?"
    r"|d[ée]cembre|diciembre|dicembre|enero|gennaio|janeiro|febrero|febbraio|fevereiro"
    r"|januari|februari|maart|mei|augustus|augusti|marts|mars|ledna|února|března|dubna|května|června|července|srpna|září|října|listopadu|prosince"
    r"|stycznia|lutego|marca|kwietnia|czerwca|lipca|sierpnia|września|października|listopada|grudnia"
    r"|tammikuuta|helmikuuta|maaliskuuta|huhtikuuta|toukokuuta|kesäkuuta|heinäkuuta|elokuuta|syyskuuta|lokakuuta|marraskuuta|joulukuuta"
    r"|ocak|şubat|mart|nisan|mayıs|haziran|temmuz|ağustos|eylül|ekim|kasım|aralık"
    r"|января|февраля|марта|апреля|мая|июня|июля|августа|сентября|октября|ноября|декабря"
    r"|ianuarie|februarie|martie|aprilie|iunie|iulie|septembrie|octombrie|noiembrie|decembrie)"
)

_BIRTH: Final = (
    "date of birth", "birth date", "birthdate", "birthday", "dob", "d.o.b", "born on", "born", "geburtsdatum", "geboren am", "geb", "date de naissance",
    "geburtstag", "nací el", "nació el", "nacimiento", "cumpleaños", "data nasc", "compleanno", "verjaardag", "födelsedag",
    "né le", "née le", "fecha de nacimiento", "nacido el", "nacida el", "data di nascita", "nato il", "nata il", "data de nascimento", "nascido em", "nascida em",
    "geboortedatum", "geboren op", "fødselsdato", "födelsedatum", "syntymäaika", "data urodzenia", "datum narození", "születési idő", "data nașterii", "doğum tarihi",
    "дата рождения", "дата народження", "ημερομηνία γέννησης", "出生日期", "生日", "生年月日", "생년월일", "تاريخ الميلاد", "जन्म तिथि", "วันเกิด", "תאריך לידה", "ngày sinh", "tanggal lahir",
)  # fmt: skip


def _born(text: str) -> bool:
    """A day, a month and a year that a living person's date of birth can have, in any usual order."""
    figures = [int(figure) for figure in re.findall(r"\d+", text)]
    return all(1 <= figure <= 31 or 0 <= figure < 100 or 1890 <= figure <= 2100 for figure in figures)


RECOGNIZERS = (
    Recognizer(
        name="date_of_birth",
        type="DATE_OF_BIRTH",
        pattern=(
            rf"(?i)\b(?:\d{{4}}[-./年 ]{{1,2}}\d{{1,2}}[-./月 ]{{1,2}}\d{{1,2}}日?|\d{{1,2}}[-./ ]{{1,2}}\d{{1,2}}[-./ ]{{1,2}}(?:19|20)?\d\d"
            rf"|\d{{1,2}}(?:st|nd|rd|th|\.|º)?[ ](?:de[ ])?{_MONTH}\.?,?[ ](?:de[ ])?(?:19|20)\d\d|{_MONTH}\.?[ ]\d{{1,2}}(?:st|nd|rd|th)?,?[ ](?:19|20)\d\d)"
        ),
        validate=_born,
        open_end=True,
        context=_BIRTH,
        base_score=0.1,
        context_score=0.8,
        context_window=44,
        first_only=True,
        max_length=40,
        priority=30,
        source="dates after words for a birth",
        examples=("date of birth: 14/03/1979", "DOB 1979-03-14", "geboren am 14. März 1979", "born March 14, 1979"),
        counter_examples=("signed on 14/03/1979", "date of birth unknown since 2019"),
    ),
)
