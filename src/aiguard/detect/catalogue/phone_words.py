"""The words around telephone numbers: those that speak for one, and those that name some other number, in the languages people write them in."""

from __future__ import annotations

from typing import Final

PHONE_CONTEXT: Final = (
    "phone", "phone number", "telephone", "tel", "tel no", "mobile", "mob", "cell", "cellphone", "call", "calling",
    "called", "dial", "fax", "sms", "whatsapp", "reach", "hotline", "landline",
    "home number", "work number", "text me", "ring me", "contact me", "my number", "answering at", "messages to", "msisdn", "desk",
    "telefon", "telefonisch", "handy", "handynummer", "rückruf", "rufen", "anruf", "mobil", "rappeler", "rappelez", "joindre", "joignable", "téléphone", "telephone", "portable", "appeler", "appelez", "numéro est",
    "teléfono", "telefono", "móvil", "movil", "celular", "llamar", "llamarme", "llame", "llámame", "telèfon", "mòbil", "cellulare", "chiamare", "chiamatemi",
    "chiama", "telefone", "telemóvel", "contacto", "ligar", "ligue", "telefoon", "mobiel", "mobieltje", "gsm", "bel", "telefonnummer", "telefonnummeret", "mobilnummer", "tlf", "ring mig",
    "puhelin", "puhelinnumero", "puh", "matkapuhelin", "sími", "nomor hp", "no hp", "nomor telepon", "telepon", "telp", "hp",
    "telefonu", "telefonem", "komórka", "komórkowy", "telefonní číslo", "telefónne číslo", "telefonszám", "mobilszám", "telefonul", "mobilul", "mobitel", "broj telefona", "telefonas", "tālrunis",
    "telefoni", "telefonum", "telefon numarası", "cep", "cep telefonu", "điện thoại", "số điện thoại", "sđt", "simu",
    "тел", "телефон", "телефона", "телефону", "телефоном", "моб", "мобильный", "мобільний", "звоните", "звонить", "перезвоните", "номер телефона", "τηλέφωνο", "τηλεφώνου", "τηλ", "κινητό",
    "電話", "電話番号", "携帯", "电话", "手机", "手機", "휴대폰", "휴대전화", "핸드폰", "전화", "연락처", "هاتف", "جوال", "موبايل", "تلفن", "موبایل", "فون", "फोन", "फ़ोन", "मोबाइल", "ফোন", "மொபைல்", "โทร", "เบอร์", "טלפון", "נייד",
    "chiamami", "chiamateci", "chiamarmi", "llámanos", "llamadme", "llamadnos", "ligar para", "ligue para", "telefonar", "appelez moi",
    "appelez nous", "m'appeler", "anrufen", "rufnummer", "durchwahl", "festnetz", "telefonnr", "zavolejte", "zavolat", "volejte", "volat",
    "zavolajte", "volajte", "dzwonić", "zadzwoń", "numer telefonu", "kom.", "tfn", "ring til", "ring meg", "ringe", "ringa", "soita", "soittakaa", "soittaa",
    "hívjon", "hívj", "hívható", "sunați", "suna", "sunați mă", "καλέστε", "καλέσετε", "зателефонуйте", "дзвоніть", "дзвонити", "обадете се",
    "позвънете", "позвоните", "позвонить", "набирайте", "拨打", "请拨", "致电", "撥打", "お電話", "電話して", "連絡先", "연락 주세요", "전화 주세요", "اتصل", "اتصلوا", "الاتصال",
    "رقم الهاتف", "هاتفي", "تماس", "התקשרו", "תתקשר", "להתקשר", "โทรหา", "gọi", "gọi cho", "hubungi", "arayın", "arayabilirsiniz", "bellen",
    "nazovite", "pozovite", "pokličite", "telefonska številka", "helista", "helistage", "zvaniet", "skambinkite", "hringdu", "कॉल",
)  # fmt: skip
"""Words that speak for a telephone number."""

TELEPHONES: Final = (
    "phone", "phone number", "telephone", "tel", "mobile", "cell", "fax", "telefon", "handy", "téléphone", "portable", "teléfono", "telefono", "móvil", "celular",
    "cellulare", "telefone", "telemóvel", "telefoon", "tlf", "puhelin", "тел", "телефон", "τηλέφωνο", "電話", "电话", "手机", "전화", "휴대폰", "هاتف", "फोन", "โทร",
)  # fmt: skip
"""Names of telephone numbers that speak against a number of another kind which nothing but its shape tells."""

OTHER_NUMBERS: Final = (
    "order", "order no", "order number", "order id", "invoice", "invoice no", "ticket", "case", "case number", "ref",
    "reference", "id", "serial", "isbn", "issn", "doi", "sku", "part", "version", "build", "tracking", "parcel", "batch",
    "account", "acct", "driver's license number", "license number", "licence number", "card number", "social security number", "id number", "located at", "is at", "taxi to", "address", "policy", "license", "licence", "passport", "zip", "postcode", "date", "bug", "issue", "pr",
    "port", "pid", "timestamp", "epoch", "commit", "bytes", "total", "amount", "price", "transaction", "iban", "vat",
    "bestellung", "bestellnummer", "auftrag", "auftragsnummer", "rechnung", "rechnungsnummer", "kundennummer", "aktenzeichen", "vorgang", "betrag", "artikelnummer", "sendungsnummer",
    "commande", "facture", "dossier", "réservation", "montant", "colis", "pedido", "factura", "expediente", "importe", "reserva", "envío", "protocolo", "encomenda", "fatura", "nota fiscal", "valor",
    "ordine", "fattura", "pratica", "importo", "spedizione", "bestelling", "factuur", "zaaknummer", "bedrag", "ordernummer", "fakturanummer", "faktura", "ärende", "beställning", "bestilling", "ordre", "sagsnummer", "saksnummer", "tilaus", "tilausnumero", "lasku",
    "zamówienie", "zamówienia", "faktury", "kwota", "objednávka", "objednávky", "faktúra", "rendelés", "számla", "comanda", "factură", "narudžba", "račun", "sipariş", "fatura no", "tutar",
    "заказ", "заказа", "счет", "счёт", "накладная", "сумма", "договор", "артикул", "замовлення", "рахунок", "παραγγελία", "τιμολόγιο",
    "注文", "注文番号", "請求書", "品番", "予算", "订单", "訂單", "发票", "發票", "快递单号", "金额", "주문", "주문번호", "송장", "금액", "طلب", "فاتورة", "مبلغ", "הזמנה", "חשבונית", "đơn hàng", "hóa đơn", "pesanan", "faktur", "คำสั่งซื้อ", "ใบแจ้งหนี้", "ऑर्डर",
    "postal code", "post code", "code postal", "código postal", "codice postale", "plz", "postleitzahl", "postnummer", "kod pocztowy", "psč", "индекс", "郵便番号", "邮编", "郵遞區號", "우편번호", "póliza", "apólice", "polizza", "polis", "bankgiro", "plusgiro", "postgiro", "kontonummer", "dimensions", "resolution", "isin", "sedol",
)  # fmt: skip
"""Words that name some other number: they speak against a telephone number, where none of the others stands nearer."""

ROOMS: Final = (
    "suite",
    "ste",
    "apt",
    "apartment",
    "unit",
    "room",
    "flat",
    "box",
    "po box",
    "floor",
    "building",
    "postfach",
    "apartado",
    "route",
    "hwy",
)
"""Names of places in a house or on a map, which are numbered, and often stand before the number of a house."""
