"""Numbers of people, companies, accounts and vehicles in southern Europe."""

from __future__ import annotations

from typing import Final

from aiguard.detect.catalogue import checks
from aiguard.detect.catalogue.numbers import NumberRow, numbers

_ROWS: Final[tuple[NumberRow, ...]] = (
    ("AD_TAX_ID", r"(?i)\b[ACDEFGLOPU][ \-]?\d{6}[ \-]?[A-Z]\b", "ad.nrt", ("nrt", "número de registre tributari", "registre tributari"), 0.1, 0.0, "Andorra", "nrt U-132950-X", "qty U-132950-X"),
    ("AL_TAX_ID", r"(?i)\b(?:\(?AL\)?[ ]?)?[A-M][ ]?\d{8}[ ]?[A-W]\b", "al.nipt", ("nipt", "nuis", "numri i identifikimit", "identifikimit për personin e tatueshëm"), 0.1, 0.0, "Albania", "nipt K22218003V", "qty K22218003V"),
    ("CY_VAT", r"(?i)\bCY[ \-]?[013-59]\d{7}[A-Z]\b", "cy.vat", ("vat", "φπα", "αριθμός εγγραφής φ.π.α."), 0.85, 0.0, "Cyprus", "CY10320441Y", "CY10320440Y"),
    ("ES_CIF", r"(?i)\b(?:ES)?[ABCDEFGHJNPQRSUVW][ \-]?\d{2}[. ]?\d{3}[. ]?\d{2}\d?[ \-]?[0-9A-J]\b", "es.cif", ("cif", "nif", "código de identificación fiscal"), 0.1, 0.55, "Spain, Real Decreto 1065/2007", "cif B41405184", "cif B41405180"),
    ("ES_VAT", r"(?i)\bES[ \-]?[0-9A-Z]\d{7}[0-9A-Z]\b", "es.nif", ("nif", "iva", "vat", "número de identificación fiscal"), 0.8, 0.0, "Spain, AEAT", "ESB14233886", "ESB14233880"),
    ("ES_BANK_ACCOUNT", r"\b\d{4}[ \-]?\d{4}[ \-]?\d{2}[ \-]?\d{10}\b", "es.ccc", ("cuenta", "ccc", "código cuenta cliente", "cuenta bancaria", "código cuenta corriente"), 0.55, 0.0, "Spain, Código Cuenta Cliente", "6823-0677-92-8477946718", "6823-0677-92-8477946710"),
    ("ES_CUPS", r"(?i)\bES[ \-]?\d{4}[ \-]?\d{4}[ \-]?\d{4}[ \-]?\d{4}[ \-]?[A-Z]{2}(?:[ \-]?\d[FPRCXYZ])?\b", "es.cups", ("cups",), 0.85, 0.0, "Spain, Real Decreto 1435/2002", "ES1234123456789012JY", "ES1234123456789010JY"),
    ("ES_CADASTRE", r"(?i)\b[0-9A-Z]{7}[ ]?[0-9A-Z]{7}[ ]?\d{4}[ ]?[A-Z]{2}\b", "es.referenciacatastral", ("referencia catastral", "catastro", "real estate"), 0.1, 0.55, "Spain, Dirección General del Catastro", "referencia catastral 9872023 VH5797S 0001 WX", "referencia catastral 9872023 VH5797S 0000 WX"),
    ("ES_PASSPORT", r"(?i)\b[A-Z]{3}[ ]?\d{6}[A-Z]?\b", "", ("pasaporte", "passport"), 0.1, 0.51, "Spain, Dirección General de la Policía", "pasaporte AAA123456", "qty AAA123456"),
    ("GR_AMKA", r"\b\d{11}\b", "gr.amka", ("αμκα", "amka", "αριθμός μητρώου κοινωνικής ασφάλισης", "μητρώου κοινωνικής ασφάλισης", "social security number"), 0.1, 0.55, "Greece, law 3655/2008", "αμκα 01018005452", "αμκα 01018005450"),
    ("GR_VAT", r"(?i)\bEL[ ]?\d{9}\b", "gr.vat", ("αφμ", "afm", "vat", "φπα"), 0.8, 0.0, "Greece, AADE", "EL093358687", "EL093358680"),
    ("GR_TAX_ID", r"\b\d{9}\b", "gr.vat", ("αφμ", "α φ μ", "afm", "a f m", "αριθμός φορολογικού μητρώου", "φορολογικού μητρώου", "φπα"), 0.1, 0.0, "Greece, AADE", "αφμ 097609830", "αφμ 097609831"),
    ("GR_ID_CARD", r"(?i)[ABEZHIKMNOPTYXΑΒΕΖΗΙΚΜΝΟΡΤΥΧ]{1,2}[ \-]?\d{6}\b", "", ("αδτ", "ταυτότητα", "ταυτότητας", "αριθμός ταυτότητας"), 0.1, 0.0, "Greece, Hellenic Police", "αδτ ΑΒ 123456", "qty ΑΒ 123456"),
    ("HR_OIB", r"\b\d{11}\b", "hr.oib", ("oib", "osobni identifikacijski broj"), 0.1, 0.0, "Croatia, Zakon o osobnom identifikacijskom broju", "oib 69596363646", "oib 69596363640"),
    ("HR_VAT", r"(?i)\bHR[ ]?\d{11}\b", "hr.oib", ("pdv", "oib", "vat"), 0.8, 0.0, "Croatia, Porezna uprava", "HR42541126366", "HR42541126360"),
    ("IT_VAT_CODE", r"(?i)\bIT[ ]?\d{11}\b", "it.iva", ("partita iva", "p iva", "piva", "vat", "iva"), 0.8, 0.0, "Italy, Agenzia delle Entrate", "IT09000460015", "IT09000460010"),
    ("IT_VAT_CODE", r"\b\d{11}\b", "it.iva", ("partita iva", "p iva", "p.iva", "piva", "iva"), 0.1, 0.55, "Italy, Agenzia delle Entrate", "partita iva 58000490019", "partita iva 58000490010"),
    ("IT_DRIVER_LICENSE", r"(?i)\b(?:[A-Z]{2}\d{7}[A-Z]|U1[A-Z0-9]{7}[A-Z])\b", checks.has_digits, ("patente", "patente di guida", "numero patente", "driver license", "driving licence", "driving license", "license", "licence"), 0.1, 0.51, "Italy, Motorizzazione Civile", "patente AA0123456B", "qty AA0123456B"),
    ("IT_PASSPORT", r"(?i)\b[A-Z]{2}\d{7}\b", "", ("passaporto", "numero passaporto", "elettronico"), 0.1, 0.51, "Italy, Ministero degli Affari Esteri", "passaporto AA1234567", "qty AA1234567"),
    ("IT_IDENTITY_CARD", r"(?i)\b(?:[A-Z]{2}[ ]?\d{7}|\d{7}[A-Z]{2}|C[A-Z]\d{5}[A-Z]{2})\b", "", ("carta d'identità", "carta di identità", "carta identità", "carta d'identita", "documento d'identità", "cie"), 0.1, 0.51, "Italy, Ministero dell'Interno", "carta d'identità CA12345AA", "qty CA12345AA"),
    ("MK_TAX_ID", r"(?i)\b(?:(?:MK|МК)[ ]?)?\d{13}\b", "mk.edb", ("edb", "едб", "даночен број"), 0.1, 0.0, "North Macedonia", "edb 4030174185620", "edb 4030174185621"),
    ("MT_VAT", r"(?i)\bMT[ \-]?\d{4}[ \-]?\d{4}\b", "mt.vat", ("vat",), 0.8, 0.0, "Malta", "MT11911308", "MT11911300"),
    ("ME_TAX_ID", r"\b\d{8}\b", "me.pib", ("pib", "пиб", "poreski identifikacioni broj", "poreski broj"), 0.1, 0.0, "Montenegro", "pib 02716119", "pib 02716110"),
    ("PT_NIF", r"\b[1-9]\d{2}[ ]?\d{3}[ ]?\d{3}\b", "pt.nif", ("nif", "contribuinte", "número de contribuinte", "identificação fiscal", "número de identificação fiscal"), 0.1, 0.0, "Portugal, Autoridade Tributária", "nif 277605210", "nif 277605211"),
    ("PT_VAT", r"(?i)\bPT[ ]?\d{9}\b", "pt.nif", ("nif", "iva", "vat", "contribuinte"), 0.8, 0.0, "Portugal, Autoridade Tributária", "PT570463890", "PT570463891"),
    ("PT_CITIZEN_CARD", r"(?i)\b\d{8}[ \-]?\d[ \-]?[A-Z0-9]{2}\d\b", "pt.cc", ("cartão de cidadão", "cartao de cidadao", "cartão do cidadão", "cc", "documento"), 0.1, 0.0, "Portugal, Lei 7/2007", "cartão de cidadão 077996205 ZZ3", "cartão de cidadão 077996205 ZZ0"),
    ("PT_CITIZEN_CARD", r"\b\d{8}[ \-]\d[ \-]?[A-Z]{2}\d\b", "pt.cc", ("cartão de cidadão",), 0.75, 0.0, "Portugal, Lei 7/2007", "46737960 7 ZZ0", "46737960 7 ZZ1"),
    ("RS_PIB", r"\b\d{9}\b", "rs.pib", ("pib", "пиб", "poreski broj", "poreski identifikacioni broj"), 0.1, 0.0, "Serbia, Poreska uprava", "pib 100551277", "pib 100551270"),
    ("RS_JMBG", r"\b\d{13}\b", "si.emso", ("jmbg", "јмбг", "jedinstveni matični broj", "матични број"), 0.1, 0.55, "the Yugoslav JMBG, in use in Serbia, Bosnia, Montenegro and North Macedonia", "jmbg 0101980710352", "jmbg 0101980710350"),
    ("SI_EMSO", r"\b\d{7}50\d{4}\b", "si.emso", ("emšo", "emso", "enotna matična številka", "matična številka občana", "master citizen number"), 0.1, 0.55, "Slovenia, Zakon o centralnem registru prebivalstva", "emšo 0101980505490", "emšo 0101980505491"),
    ("SI_VAT", r"(?i)\bSI[ ]?\d{8}\b", "si.ddv", ("ddv", "davčna številka", "vat"), 0.75, 0.0, "Slovenia, FURS", "SI59750472", "SI59750470"),
    ("SI_TAX_ID", r"\b\d{8}\b", "si.ddv", ("davčna številka", "davcna stevilka", "davčna", "ddv"), 0.1, 0.0, "Slovenia, FURS", "davčna številka 19851588", "davčna številka 19851580"),
    ("SM_VAT", r"(?i)\bSM[ ]?\d{3,5}\b", "", ("coe", "iva", "codice operatore economico"), 0.1, 0.0, "San Marino", "coe SM24165", "qty SM24165"),
    ("ES_CAE", r"(?i)\bES\d{5}[A-Z0-9]{2}\d{2,3}[A-Z]\b", "es.cae", ("cae", "código de actividad y establecimiento", "código de actividad"), 0.7, 0.0, "Spain, Agencia Tributaria, impuestos especiales", "ES00008V1488Q", "ES00008V1488"),
    ("SI_REGISTRY_NUMBER", r"(?i)\b\d{7}(?:[0-9A-Z]\d{2})?\b", "si.maticna", ("matična številka", "maticna stevilka", "corporate registration number"), 0.1, 0.0, "Slovenia, AJPES, Poslovni register", "matična številka 9331310000", "matična številka 9331320000"),
)  # fmt: skip

RECOGNIZERS = numbers(_ROWS)
