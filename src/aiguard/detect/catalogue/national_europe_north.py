"""Numbers of people, companies, accounts and vehicles in northern Europe and the Baltic."""

from __future__ import annotations

from typing import Final

from aiguard.detect.catalogue import checks
from aiguard.detect.catalogue.numbers import NumberRow, numbers

_ROWS: Final[tuple[NumberRow, ...]] = (
    ("DK_CPR", r"\b[0-3]\d[01]\d{3}[ \-]?\d{4}\b", checks.danish_cpr, ("cpr", "cpr nummer", "cprnr", "cpr nr", "personnummer", "citizen number"), 0.1, 0.0, "Denmark, Det Centrale Personregister", "cpr 010180-1238", "cpr 010080-1238"),
    ("DK_CVR", r"\b\d{2}[ ]?\d{2}[ ]?\d{2}[ ]?\d{2}\b", "dk.cvr", ("cvr", "cvr nr", "cvr nummer", "se nr", "moms", "momsregistreringsnummer", "virksomhedsnummer"), 0.1, 0.0, "Denmark, Erhvervsstyrelsen", "cvr 19237249", "cvr 19237240"),
    ("DK_VAT", r"(?i)\bDK[ ]?\d{2}[ ]?\d{2}[ ]?\d{2}[ ]?\d{2}\b", "dk.cvr", ("cvr", "moms", "vat"), 0.75, 0.0, "Denmark, Skattestyrelsen", "DK34497869", "DK34497860"),
    ("EE_PERSONAL_CODE", r"\b[1-8]\d{10}\b", "ee.ik", ("isikukood", "ik", "personal code"), 0.1, 0.55, "Estonia, rahvastikuregister", "isikukood 38001010990", "isikukood 38001010991"),
    ("EE_VAT", r"(?i)\bEE[ ]?\d{9}\b", "ee.kmkr", ("kmkr", "käibemaks", "vat", "käibemaksukohuslase", "käibemaksukohustuslase"), 0.8, 0.0, "Estonia, Maksu- ja Tolliamet", "EE663544466", "EE663544460"),
    ("EE_REGISTRY_CODE", r"\b[1-9]\d{7}\b", "ee.registrikood", ("registrikood", "rg kood", "reg kood", "registration code", "registry code"), 0.1, 0.0, "Estonia, äriregister", "registrikood 11425702", "registrikood 11425700"),
    ("FI_BUSINESS_ID", r"\b\d{7}-\d\b", "fi.ytunnus", ("y tunnus", "ytunnus", "business id", "fo nummer", "business identifier"), 0.45, 0.0, "Finland, PRH", "y tunnus 8100661-4", "y tunnus 8100661-0"),
    ("FI_VAT", r"(?i)\bFI[ ]?\d{8}\b", "fi.alv", ("alv", "vat", "arvonlisävero", "arvonlisäveronumero", "alv nro"), 0.75, 0.0, "Finland, Verohallinto", "FI35142252", "FI35142250"),
    ("IS_KENNITALA", r"\b[0-7]\d[01]\d{3}[ \-]?\d{4}\b", "is_.kennitala", ("kennitala", "kt", "icelandic id"), 0.1, 0.55, "Iceland, Þjóðskrá", "kennitala 010180-7759", "kennitala 010180-7751"),
    ("LT_PERSONAL_CODE", r"\b[1-6]\d{10}\b", "lt.asmens", ("asmens kodas", "asmens kodo", "a k", "personal code", "personal number"), 0.1, 0.55, "Lithuania, Gyventojų registras", "asmens kodas 38001010216", "asmens kodas 38001010210"),
    ("LT_VAT", r"(?i)\bLT[ ]?(?:\d{9}|\d{12})\b", "lt.pvm", ("pvm", "vat", "pridėtinės vertės mokesčio", "pridėtinės vertės mokestis"), 0.8, 0.0, "Lithuania, VMI", "LT366738811", "LT366738810"),
    ("LV_PERSONAL_CODE", r"\b\d{6}-?\d{5}\b", "lv.pvn", ("personas kods", "personas koda", "p k", "pvn", "pievienotās vērtības nodokļa"), 0.1, 0.0, "Latvia, Fizisko personu reģistrs", "personas kods 010180-16073", "personas kods 010180-16070"),
    ("LV_VAT", r"(?i)\bLV[ ]?\d{11}\b", "lv.pvn", ("pvn", "vat"), 0.8, 0.0, "Latvia, VID", "LV42399049866", "LV42399049860"),
    ("NO_FODSELSNUMMER", r"\b[0-7]\d[0-9]\d{3}[ ]?\d{5}\b", "no.fodselsnummer", ("fødselsnummer", "fodselsnummer", "personnummer", "fnr", "d nummer", "fødsels", "birth number"), 0.1, 0.55, "Norway, Folkeregisterloven", "fødselsnummer 01018055399", "fødselsnummer 01018055390"),
    ("NO_ORGANISATION_NUMBER", r"\b[89]\d{2}[ ]?\d{3}[ ]?\d{3}\b", "no.orgnr", ("org nr", "orgnr", "organisasjonsnummer", "org.nr", "organisation number"), 0.1, 0.55, "Norway, Brønnøysundregistrene", "org nr 959376166", "org nr 959376160"),
    ("NO_VAT", r"(?i)\b(?:NO[ ]?)?[89]\d{2}[ ]?\d{3}[ ]?\d{3}[ ]?MVA\b", "no.mva", ("mva", "org nr"), 0.85, 0.0, "Norway, Skatteetaten", "944325646MVA", "944325640MVA"),
    ("NO_BANK_ACCOUNT", r"\b\d{4}[. ]?\d{2}[. ]?\d{5}\b", "no.kontonr", ("kontonummer", "kontonr", "konto"), 0.1, 0.0, "Norway, Bits", "kontonummer 2316.47.99697", "kontonummer 2316.47.99690"),
    ("SE_ORGANISATIONSNUMMER", r"\b[125-9]\d[2-9]\d{3}-?\d{4}\b", "se.orgnr", ("organisationsnummer", "org nr", "orgnr", "org.nr", "orgnummer", "company identity code", "identity code", "bolagsnummer", "company number", "organisation number"), 0.1, 0.0, "Sweden, Bolagsverket", "organisationsnummer 556641-5682", "organisationsnummer 556641-5680"),
    ("SE_VAT", r"(?i)\bSE[ ]?\d{10}01\b", "se.vat", ("moms", "momsnummer", "vat", "mervärdesskatt"), 0.8, 0.0, "Sweden, Skatteverket", "SE556768818801", "SE556768818001"),
    ("FI_TAX_NUMBER", r"\b\d{12}\b", "fi.veronumero", ("veronumero", "tax number", "skattenummer"), 0.1, 0.0, "Finland, Verohallinto", "veronumero 123456789123", "qty 123456789123"),
    ("FI_ASSOCIATION_ID", r"\b\d{1,3}\.?\d{3}\b", "fi.associationid", ("yhdistysrekisteri", "rekisterinumero", "association identifier", "yhdistysrekisterinumero"), 0.1, 0.0, "Finland, PRH, Yhdistysrekisteri", "yhdistysrekisterinumero 123.123", "qty 123.123"),
    ("FO_TAX_ID", r"(?i)\b(?:FO[ ]?)?\d{3}[. ]?\d{3}\b", "fo.vn", ("vinnutal", "v tal", "v number", "mvg"), 0.1, 0.0, "Faroe Islands, TAKS", "vinnutal 623857", "qty 623857"),
    ("IS_VSK", r"(?i)\b(?:IS[ ]?)?\d{5,6}\b", "is_.vsk", ("vsk", "virðisaukaskattsnúmer", "virðisaukaskatt", "vat number"), 0.1, 0.0, "Iceland, Skatturinn", "vsk 00621", "qty 00621"),
)  # fmt: skip

RECOGNIZERS = numbers(_ROWS)
