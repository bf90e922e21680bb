"""Numbers of papers, accounts and vehicles that only the words before them give away, whatever country they are from.

``My passport number is …``, ``VAT no. …``, ``Kennzeichen …``: no check digit can be known without the country, so the
words decide, in the languages that people write them in. Countries' own types, which can check, have priority.
"""

from __future__ import annotations

import re
from typing import Final

from aiguard.detect.catalogue import checks
from aiguard.detect.catalogue.financial import IBAN_LENGTHS
from aiguard.detect.catalogue.numbers import checked
from aiguard.detect.catalogue.phone_words import PHONE_CONTEXT
from aiguard.scan import Recognizer

_DATE: Final = re.compile(
    r"(?:(?:19|20)\d\d[-./](?:0?[1-9]|1[0-2])[-./](?:0?[1-9]|[12]\d|3[01])"
    r"|(?:0?[1-9]|[12]\d|3[01])[-./](?:0?[1-9]|[12]\d|3[01])[-./](?:19|20)?\d\d)"
)
_YEARS: Final = re.compile(r"(?:19|20)\d\d[-/](?:19|20)\d\d")
_YEAR_AND_NUMBER: Final = re.compile(r"(?:19|20)\d\d-\d{4}")
_AMOUNT: Final = re.compile(r"\d{1,3}(?:[.,' ]?\d{3}){0,2}[.,]\d\d")


_LETTER: Final = re.compile(r"[\-/][A-Z]\b|(?<=\d\.)[A-Z]\b|(?<=\A[A-Z]{2} )[A-Z][\-]")
"""A single letter that a hyphen or a stroke sets off: ``M-1234567-L``, ``576937-K``, ``ES B-58378431``."""


def _value(text: str) -> bool:
    """Four digits or more, or letters and two digits; each group but the first has a digit; not a date."""
    if _DATE.fullmatch(text) or _AMOUNT.fullmatch(text) or _YEARS.fullmatch(text):
        return False
    groups = re.split(r"[ .\-/]", _LETTER.sub("", text))
    digits = sum(char.isdigit() for char in text)
    if any(not any(char.isdigit() for char in group) for group in groups[1:]):
        return False
    return len(groups[0]) <= 4 if groups[0].isalpha() else digits >= 2


def _long(text: str) -> bool:
    return _value(text) and sum(char.isdigit() for char in text) >= 5


def _passport(text: str) -> bool:
    """At least three digits, and no year."""
    return checks.has_digits(text) and not (len(text) == 4 and text[:2] in ("19", "20"))


def _plate(text: str) -> bool:
    """Four to nine letters and digits, at least one digit, at most four groups."""
    letters = sum(char.isalpha() for char in text)
    digits = sum(char.isdigit() for char in text)
    return 4 <= letters + digits <= 9 and digits >= 1 and letters >= 1 and not text.isalpha()


def _postcode(text: str) -> bool:
    """Three to nine letters and digits with a digit, and no pattern of one: ``00000-000``, ``9XXX``."""
    written = [char for char in text if char.isalnum()]
    if _YEAR_AND_NUMBER.fullmatch(text):
        return False
    return any(map(str.isdigit, text)) and 3 <= len(written) <= 9 and len(set(written)) > 1 and "XX" not in text.upper()


_ANY: Final = r"\b[A-Z0-9]{1,20}(?:[.\-/ ][A-Z0-9]{1,15}){0,5}\b"

# type, pattern, check, words before it, words that speak against it, window, example, counter-example
_WORDED: Final = (
    (
        "ID_NUMBER", _ANY, _long,
        ("id number", "id no",
         "carné de extranjería", "carnet de extranjería", "identidad de extranjero", "personenidentifikationsnummer", "identificatienummer",
         "yhteisötunnus", "national identity document", "identity document", "statistical number", "registration card", "identity certificate",
         "número de registro", "sociale zekerheid", "ewidencji ludności", "державного реєстру", "state register", "bilhete de identidade nº",
         "cartão de identidade", "kartu tanda penduduk", "ktp", "szig", "numéro de carte d'identité", "n° de carte d'identité", "numéro cin",
         "jedinstveni matični broj", "matični broj građana", "јединствени матични број", "единствен матичен број", "матичен број",
         "единен граждански номер", "asmens kodas", "personas kods", "isikukood", "rodné číslo", "numer identyfikacyjny", "osobní číslo",
         "személyi szám", "személyi azonosító", "cod numeric personal", "código único de identificación", "documento nacional de identidad",
         "documento único de identidad", "cédula de identidad", "cédula de ciudadanía", "cédula de extranjería", "carné de identidad",
         "clave única de registro", "número de cédula", "número nacional", "numéro national", "registre national",
         "numéro d'identification nationale", "carte nationale", "rijksregisternummer", "persoonsnummer", "kennitala", "personnummer", "personnr",
         "fødselsnummer", "fødselsnr", "p tal", "henkilötunnus", "kimlik numaram", "fərdi identifikasiya nömrəsi", "identifikasiya nömrəsi",
         "индивидуальный идентификационный номер", "идентификационный номер", "личный номер", "персональный номер", "ідентифікаційний номер",
         "особовий номер", "מספר זהות", "ת.ז", "الرقم القومي", "الرقم الوطني", "رقم البطاقة", "الهوية الوطنية", "الرقم المدني", "شماره ملی",
         "شناسه ملی", "आधार", "आधार संख्या", "পরিচয়পত্র", "เลขประจำตัวประชาชน", "เลขประจำตัว", "căn cước công dân", "số định danh",
         "chứng minh nhân dân", "nomor induk kependudukan", "kad pengenalan", "居民身份证", "身份证号", "公民身份号码", "在留カード", "외국인등록번호", "individual number",
         "national register number", "national registry number", "resident registration number", "foreigner identification number",
         "number of a foreigner", "number for foreigners", "national number", "citizen code", "population register number", "civil number",
         "civil id", "identity document number", "employee identification number", "employer identification number", "business number",
         "business registration number", "organisation no", "registrikood", "reģistrācijas numurs", "įmonės kodas", "identifikačné číslo",
         "identifikační číslo", "matični broj", "матични број", "единен идентификационен код", "registrijska številka", "cégjegyzékszám",
         "ondernemingsnummer", "numéro d'entreprise", "organisationsnummer", "organisasjonsnummer", "y tunnus", "法人番号", "사업자등록번호", "법인등록번호",
         "统一社会信用代码", "id card", "id card number", "identity number", "identity card", "identity card number", "national id",
         "national id number", "national identification number", "national identity number", "identification number", "personal number", "identity nr", "identification nr", "citizen number", "citizen service number", "identity code", "birth number", "national identifier",
         "registration number", "organisation number", "organization number", "company number", "company register number", "corporate number", "enterprise number",
         "register number", "social security number", "social insurance number", "national insurance number",
         "personal identity code", "personal id", "personal code", "citizen id", "resident id", "ausweisnummer", "personalausweis", "identitätsnummer", "identifikationsnummer",
         "carte d'identité", "numéro d'identité", "número de identidad", "documento de identidad", "cédula", "número de documento", "carta d'identità",
         "numero di identità", "cartão de cidadão", "bilhete de identidade", "identiteitsnummer", "identiteitskaart", "numer dowodu", "dowód osobisty",
         "číslo občanského průkazu", "személyi igazolvány", "kimlik numarası", "kimlik no", "удостоверение личности", "номер паспорта", "身份证", "身份证号码",
         "身分證", "身分證字號", "身份證", "身分証番号", "주민등록번호", "신분증", "เลขบัตรประชาชน", "رقم الهوية", "بطاقة الهوية", "کد ملی", "पहचान पत्र", "תעודת זהות", "nomor ktp"),
        ("vehicle", "order", "transaction", "ticket", "device", "product", "case", "session", "build", "bestellung", "bestellnummer", "commande", "pedido", "ordine", "zamówienie",
         "заказ", "заказа", "订单", "訂單", "注文", "주문", "طلب"), 52,
        "My ID number is 54810-77", "the ID card office at 12 o'clock",
    ),
    (
        "PASSPORT", r"\b(?:[A-Z]{1,3}[ \-]?)?\d{4,9}[A-Z]{0,2}\b|\b\d{2}[A-Z]{2}\d{5}\b|\b[A-Z]{1,2}[0-9A-Z]{6,9}\b", _passport,
        ("passport", "passport number", "passport no", "passport id", "passeport", "reisepass", "reisepassnummer", "passnummer", "pasaporte", "passaporto",
         "passaporte", "paspoort", "paspoortnummer", "paszport", "paszportu", "pasnummer", "passnummer", "passi", "útlevél", "pașaport", "pasaport",
         "διαβατήριο", "διαβατηρίου", "паспорт", "паспорта", "护照", "护照号", "護照", "旅券", "旅券番号", "パスポート", "여권", "여권번호", "جواز السفر", "جواز سفر", "گذرنامه",
         "पासपोर्ट", "หนังสือเดินทาง", "דרכון", "hộ chiếu", "paspor"),
        ("expires", "issued"), 40,
        "passport no. XN1234567", "passport control opened at 10",
    ),
    (
        "DRIVER_LICENSE", _ANY, _long,
        ("driving license", "driving licence number", "licence number", "driving licence", "driver's licence", "drivers licence", "führerschein", "führerscheinnummer", "permis de conduire", "numéro de permis",
         "permiso de conducir", "carnet de conducir", "licencia de conducir", "patente di guida", "carta de condução", "cnh", "rijbewijs", "rijbewijsnummer",
         "körkort", "førerkort", "kørekort", "ajokortti", "prawo jazdy", "prawa jazdy", "řidičský průkaz", "permis auto", "sürücü belgesi", "ehliyet", "водительское удостоверение",
         "права", "驾驶证", "駕駛執照", "運転免許", "운전면허", "رخصة القيادة", "गवाहीनामा", "ใบขับขี่", "sim"),
        ("software", "product"), 48,
        "Führerschein B072RRE2I55", "Führerschein Klasse B",
    ),
    (
        "VAT_ID", _ANY, _long,
        ("vat", "vat number",
         "numéro d'identification à la taxe", "imposta sul valore aggiunto", "impuesto sobre el valor añadido", "value added tax",
         "umsatzsteuer identifikationsnummer", "mervärdesskattenummer", "momsregistreringsnummer", "momsregistreringsnr", "arvonlisäveronumero",
         "arvonlisäverotunnus", "käibemaks", "pievienotās vērtības nodokļa", "pridėtinės vertės mokesčio", "daň z pridanej hodnoty",
         "omzetbelastingnummer", "αριθμός εγγραφής φπα", "közösségi adószám", "налог на добавленную стоимость", "pdv id", "mva nummer", "vat no", "vat id", "vat reg", "vat registration number", "vat identification number", "ust id", "ust idnr", "ustid", "umsatzsteuer id",
         "umsatzsteueridentifikationsnummer", "numéro de tva", "tva", "partita iva", "numero iva", "número de iva", "taxe sur la valeur ajoutée", "btw nummer", "btw", "btw identificatienummer", "kmkr", "pvm kodas", "alv nro", "ič dph", "momsnummer", "moms nr", "mva",
         "alv numero", "nip", "dič", "ičo", "pdv broj", "áfa", "ддс", "ндс", "φπα", "kdv", "gst", "gst number", "gstin", "增值税号", "税号"),
        ("order",), 44,
        "Our VAT number is 1234567890123", "VAT of 19 percent",
    ),
    (
        "TAX_ID", _ANY, _long,
        ("tax id", "tax id number",
         "tax register number", "registro único del contribuyente", "registro único del contribuyentes", "mokėtojo kodas", "registrul comerțului",
         "registrul comerţului", "облікової картки", "st. nr", "st nr", "codice operatore", "tax registration", "taxpayer's registration",
         "numri i identifikimit", "vergi identifikasiya nömrəsi", "vergi kimlik numarası", "registro único de contribuyentes",
         "registro único de contribuyente", "registro único tributario", "registro único de información fiscal", "rol único tributario",
         "cédula jurídica", "cédula tributaria", "clave de identificación fiscal", "clave única de identificación tributaria",
         "código de identificación fiscal", "número de identificación tributaria", "registro federal de contribuyentes",
         "registro nacional del contribuyente", "registro nacional de contribuyentes", "registro tributario", "cadastro nacional da pessoa jurídica",
         "cadastro de pessoas físicas", "número de identificação fiscal", "número de identificação de pessoa coletiva", "identificação tributária",
         "identification fiscale", "matricule fiscal", "numéro d'identification fiscale", "numéro fiscal de référence",
         "cod de identificare fiscală", "codul de identificare fiscală", "cod unic de înregistrare", "codul unic de înregistrare",
         "codice operatore economico", "daňové číslo", "daňové identifikačné číslo", "porezni broj", "osobni identifikacijski broj",
         "порески идентификациони број", "poreski identifikacioni broj", "poreski broj", "davčna številka", "даночен број",
         "реєстраційний номер облікової картки", "рнокпп", "єдрпоу", "унп", "учётный номер плательщика", "учетный номер плательщика",
         "індивідуальний податковий номер", "mokesčių mokėtojo kodas", "nodokļu maksātāja", "maksukohustuslase", "käibemaksukohuslase", "adószám",
         "adóazonosító jel", "skatteregistreringsnummer", "vinnutal", "nomor pokok wajib pajak", "tax registration number", "tax registry number",
         "taxpayer number", "taxpayer identity", "tax account number", "income tax number", "sales tax number", "national tax number",
         "unified business number", "統一編號", "tax file number", "identificador tributario", "número de registre tributari",
         "αριθμός φορολογικού μητρώου", "tax identification number", "tax identification", "taxpayer identification number", "taxpayer id", "tax number", "tax no", "tax reference", "tin",
         "tax identifier", "tax code", "fiscal code", "fiscal number", "steuer id", "steuernummer", "steueridentifikationsnummer", "numéro fiscal", "identifiant fiscal", "número de identificación fiscal",
         "identificación tributaria", "codice fiscale", "número de contribuinte", "número fiscal", "belastingnummer", "fiscaal nummer", "skattenummer", "verotunnus", "numer podatkowy",
         "daňové identifikační číslo", "adóazonosító", "cod fiscal", "vergi numarası", "vergi no", "инн", "налоговый номер", "идентификационный номер налогоплательщика", "ідентифікаційний номер",
         "αφμ", "纳税人识别号", "统一编号", "納税者番号", "마이넘버", "납세자번호", "الرقم الضريبي", "מספר עוסק", "mã số thuế", "npwp", "เลขประจำตัวผู้เสียภาษี"),
        ("order",), 52,
        "My tax identification number is 160260323", "tax number crunching since 2010",
    ),
    (
        "HEALTH_ID", _ANY, _long,
        ("health insurance number", "seguridad social", "sécurité sociale", "segurança social", "previdenza sociale",
         "sozialversicherungsnummer", "numéro de sécurité sociale", "número de la seguridad social", "health id", "health identifier",
         "personal health number", "health service number", "assurance maladie", "insurance id", "insurance number", "health card", "health card number", "health number", "medical record number", "medical record", "mrn", "patient id", "patient number",
         "member id", "member number", "medicare number", "medicaid", "medicaid id", "versichertennummer", "krankenversicherungsnummer", "versicherungsnummer", "numéro d'assurance maladie", "carte vitale", "tarjeta sanitaria",
         "número de seguridad social", "número de afiliación", "tessera sanitaria", "número de utente", "cartão sus", "zorgnummer", "polisnummer", "numer ubezpieczenia", "номер полиса", "снилс", "полис омс",
         "医保卡", "健保卡", "保険証番号", "건강보험", "رقم التأمين"),
        ("car",), 48,
        "MRN 00451-882", "medical record of 2019",
    ),
    (
        "BANK_ACCOUNT", r"\b(?:[A-Z]{1,4}[ \-]?)?\d(?:[ .\-/]?\d){5,23}\b", _long,
        ("account number",
         "clave bancaria", "clave bancaria estandarizada", "clave bancaria uniforme", "clave interbancaria", "cuenta corriente", "numero de cuenta",
         "bank code", "bankkontonummer", "kontonumre", "broj računa", "žiro račun", "банкова сметка", "λογαριασμός", "חשבון בנק", "شماره حساب",
         "شماره شبا", "sort code", "routing number", "blz", "bankleitzahl", "konto", "bank account", "account no", "a/c no", "acct no", "acct", "kontonummer", "kontonr", "bankkonto", "numéro de compte", "compte bancaire", "rib", "número de cuenta", "cuenta bancaria", "numero di conto", "conto corrente",
         "número da conta", "conta bancária", "rekeningnummer", "bankrekening", "tilinumero", "bankgiro", "plusgiro", "numer konta", "nr konta", "rachunek", "číslo účtu", "bankszámlaszám", "hesap numarası", "номер счета", "расчетный счет", "р/с",
         "银行账号", "银行卡号", "銀行帳號", "口座番号", "계좌번호", "رقم الحساب", "खाता संख्या", "เลขที่บัญชี", "số tài khoản", "nomor rekening"),
        (), 48,
        "Kontonummer 0532013000", "Kontonummer fehlt seit 2019",
    ),
    (
        "LICENSE_PLATE",
        r"\b(?:[A-ZÄÖÜ]{1,3}[ .\-·]{1,3})?[A-Z0-9ÄÖÜ]{1,8}(?:[ .\-·][A-Z0-9]{1,6}){0,2}\b",
        _plate,
        ("license plate",
         "reg nr", "reg.nr", "regnr", "reg no", "reg.no", "registration mark", "reg plate", "nomor polisi", "регистрационен номер",
         "αριθμός κυκλοφορίας", "מספר רכב", "licence plate", "plate", "plates", "tag number", "number plate", "registration plate", "plate number", "plate no", "license plate number", "car plate", "vehicle registration", "kennzeichen", "nummernschild", "plaque d'immatriculation", "plaque",
         "immatriculation", "matrícula", "placa", "targa", "kenteken", "registreringsnummer", "registreringsskylt", "rekisterinumero", "rekisterikilpi", "tablica rejestracyjna", "nr rejestracyjny", "numer rejestracyjny", "spz", "rendszám",
         "număr de înmatriculare", "plaka", "номерной знак", "госномер", "гос номер", "车牌", "車牌", "ナンバープレート", "차량번호", "رقم اللوحة", "ทะเบียนรถ", "biển số", "plat nomor"),
        ("tectonic",), 28,
        "Kennzeichen B-AB 1234", "Kennzeichen der Zeit",
    ),
    (
        "POSTAL_CODE", r"\b(?:[A-Z]{1,2}[\- ]?)?\d[A-Z0-9]{1,6}(?:[ \-][A-Z0-9]{2,4})?\b|\b[A-Z]{1,2}\d[A-Z0-9]?[ ]?\d[A-Z]{2}\b|\b[A-Z]\d[A-Z][ ]?\d[A-Z]\d\b", _postcode,
        ("postal code", "postcode", "post code", "zip", "zip code", "zipcode", "plz", "postleitzahl", "code postal", "código postal", "codigo postal", "codice postale", "postnummer", "postinumero", "kod pocztowy", "psč", "irányítószám",
         "cod poștal", "posta kodu", "почтовый индекс", "индекс", "邮编", "邮政编码", "郵遞區號", "郵便番号", "우편번호", "الرمز البريدي", "पिन कोड", "pin code", "eircode"),
        ("file", "archive", "bomb"), 20,
        "postcode 10115", "zip archive",
    ),
)  # fmt: skip

_BIC_OTHERS: Final = re.compile("AU|C[AN]|HK|I[DN]|JP|K[EHR]|M[XY]|N[GZ]|P[AEH]|SG|T[HWZ]|U[GSYZ]|V[EN]|Z[AMW]")
"""Countries with banks and without IBAN."""


def _bic(text: str) -> bool:
    """A country where banks are, and a sign that no word has: a figure, or the code of a head office."""
    return (text[4:6] in IBAN_LENGTHS or _BIC_OTHERS.fullmatch(text[4:6]) is not None) and (
        any(map(str.isdigit, text)) or text.endswith("XXX")
    )


RECOGNIZERS = (
    *(
        Recognizer(
            name=type.lower(),
            type=type,
            pattern=pattern,
            validate=check,
            first_only=type != "BANK_ACCOUNT",  # a sort code and an account are one
            context=context,
            deny=(*deny, *PHONE_CONTEXT),
            base_score=0.1,
            context_score=0.6,
            context_window=window,
            max_length=110,
            shrink=4,
            not_after="+@#$€£-/" if type in {"PASSPORT", "BANK_ACCOUNT"} else "+@#$€£",
            not_before="-/" if type == "PASSPORT" else "",
            priority=24 if type == "ID_NUMBER" else 25,  # "tax identification number" is both; the nearer name wins
            source="the words before it",
            examples=(example,),
            counter_examples=(counter,),
        )
        for type, pattern, check, context, deny, window, example, counter in _WORDED
    ),
    Recognizer(
        name="postal_code_brazil",
        type="POSTAL_CODE",
        pattern=r"\b\d{5}-?\d{3}\b",
        context=("cep", "código de endereçamento postal"),  # in Turkish a cep is a mobile phone
        base_score=0.1,
        context_score=0.6,
        context_window=20,
        max_length=9,
        priority=25,
        source="Brazil, Correios",
        examples=("CEP: 01310-100",),
        counter_examples=("cep 0 532 123 45 67", "qty 01310-100"),
    ),
    Recognizer(
        name="vin",
        type="VIN",
        pattern=r"\b[A-HJ-NPR-Z0-9]{17}\b",
        validate=checks.vin,
        context=(
            "vin",
            "vehicle identification number",
            "chassis",
            "fahrgestellnummer",
            "fin",
            "numéro de châssis",
            "bastidor",
            "telaio",
        ),
        base_score=0.55,
        max_length=17,
        priority=57,
        source="ISO 3779, 49 CFR 565",
        examples=("1M8GDM9AXKP042788",),
        counter_examples=("1M8GDM9A1KP042788",),
    ),
    Recognizer(
        name="vin_in_context",
        type="VIN",
        pattern=r"(?i)\b[A-HJ-NPR-Z0-9]{17}\b",
        validate=checks.has_digits,
        context=(
            "vin",
            "vehicle identification number",
            "chassis number",
            "fahrgestellnummer",
            "numéro de châssis",
            "bastidor",
            "telaio",
        ),
        base_score=0.1,
        max_length=17,
        priority=56,
        source="ISO 3779 (outside North America there is no check digit)",
        examples=("VIN: WVWZZZ1JZXW000001",),
        counter_examples=("build WVWZZZ1JZXW000001",),
    ),
    Recognizer(
        name="imei",
        type="IMEI",
        pattern=r"\b\d{2}[\- ]?\d{6}[\- ]?\d{6}[\- ]?\d(?:\d)?\b",
        validate=lambda text: sum(c.isdigit() for c in text) == 16 or checked("imei")(text),
        context=("imei", "imeisv", "device id", "equipment identity"),
        base_score=0.1,
        context_score=0.9,
        alone_score=0.0,
        max_length=20,
        priority=58,
        source="3GPP TS 23.003, section 6.2",
        examples=("IMEI 49-015420-323751-8", "imei: 490154203237518"),
        counter_examples=("qty 490154203237518", "IMEI 490154203237517"),
    ),
    Recognizer(
        name="imei_grouped",
        type="IMEI",
        pattern=r"\b\d{2}-\d{6}-\d{6}-\d\b",
        validate=checked("imei"),
        base_score=0.75,
        max_length=18,
        priority=59,
        source="3GPP TS 23.003, section 6.2, as printed on devices",
        examples=("49-015420-323751-8",),
        counter_examples=("49-015420-323751-7",),
    ),
    Recognizer(
        name="imsi",
        type="IMSI",
        pattern=r"\b\d{15}\b",
        context=("imsi", "subscriber identity"),
        base_score=0.1,
        context_score=0.8,
        max_length=15,
        priority=34,
        source="3GPP TS 23.003, section 2.2",
        examples=("IMSI 310150123456789",),
        counter_examples=("qty 310150123456789",),
    ),
    Recognizer(
        name="iccid",
        type="ICCID",
        pattern=r"\b89\d{17,18}\b",
        validate=checks.luhn,
        context=("iccid", "sim card", "sim"),
        base_score=0.55,
        max_length=20,
        priority=57,
        source="ITU-T E.118",
        examples=("8914800000000123451",),
        counter_examples=("8914800000000123452",),
    ),
    Recognizer(
        name="swift_code",
        type="SWIFT_CODE",
        pattern=r"\b[A-Z]{4}(?:A[DEFGILMOQRSTUWXZ]|B[ABDEFGHIJLMNOQRSTVWYZ]|C[ACDFGHIKLMNORUVWXYZ]|D[EJKMOZ]|E[CEGHRST]|F[IJKMOR]|G[ABDEFGHILMNPQRSTUWY]|H[KMNRTU]|I[DELMNOQRST]|J[EMOP]|K[EGHIMNPRWYZ]|L[ABCIKRSTUVY]|M[ACDEFGHKLMNOPQRSTUVWXYZ]|N[ACEFGILOPRUZ]|OM|P[AEFGHKLMNRSTWY]|QA|R[EOSUW]|S[ABCDEGHIJKLMNORSTVXYZ]|T[CDFGHJKLMNORTVWZ]|U[AGMSYZ]|V[ACEGINU]|W[FS]|XK|Y[ET]|Z[AMW])[A-Z2-9][A-NP-Z0-9](?:[A-Z0-9]{3})?\b",
        context=("swift", "bic", "swift code", "bic code", "swift bic", "bank identifier"),
        base_score=0.1,
        context_score=0.85,
        context_window=32,
        max_length=11,
        priority=40,
        source="ISO 9362",
        examples=("BIC: DEUTDEFF500", "SWIFT code NEDSZAJJ"),
        counter_examples=("word ABSOLUTE", "SWIFT is fast"),
    ),
    Recognizer(
        name="swift_code_alone",
        type="SWIFT_CODE",
        pattern=r"\b[A-Z]{4}[A-Z]{2}[A-Z2-9][A-NP-Z0-9](?:[A-Z0-9]{3})?\b",
        validate=_bic,
        base_score=0.1,
        context_score=0.1,
        alone_score=0.52,
        max_length=11,
        priority=39,
        source="ISO 9362, for a text that is nothing but the code",
        examples=("NEDSZAJJXXX", "SBICKEN1"),
        counter_examples=("ABSOLUTE", "see NEDSZAJJXXX", "SBICXXN1"),
    ),
    Recognizer(
        name="lei",
        type="LEI",
        pattern=r"\b[A-Z0-9]{4}00[A-Z0-9]{12}\d{2}\b",
        validate=checked("lei"),
        context=("lei", "legal entity identifier"),
        base_score=0.7,
        max_length=20,
        priority=56,
        source="ISO 17442",
        examples=("213800KUD8LAJWSQ9D15",),
        counter_examples=("213800KUD8LAJWSQ9D14",),
    ),
    Recognizer(
        name="lei_in_context",
        type="LEI",
        pattern=r"\b[A-Z0-9]{18}\d{2}\b",
        validate=checked("lei"),
        context=("lei", "legal entity identifier"),
        base_score=0.1,
        context_score=0.9,
        alone_score=0.55,
        max_length=20,
        priority=55,
        source="ISO 17442, identifiers given before 2014",
        examples=("LEI 0YPKKE5F0QW6RC51HE09", "1YTX3EVB2EG3PFFYOI09"),
        counter_examples=("build 0YPKKE5F0QW6RC51HE09", "0YPKKE5F0QW6RC51HE08"),
    ),
)
