"""Numbers of people, companies, accounts and vehicles in Africa and Oceania."""

from __future__ import annotations

from typing import Final

from aiguard.detect.catalogue import checks
from aiguard.detect.catalogue.numbers import NumberRow, numbers

_ROWS: Final[tuple[NumberRow, ...]] = (
    ("DZ_NIF", r"\b\d{15}(?:\d{5})?\b", "dz.nif", ("nif", "رقم التعريف الجبائي", "identification fiscale", "numéro d'identification fiscale", "n i f"), 0.1, 0.0, "Algeria, DGI", "nif 416001000000007", "qty 416001000000007"),
    ("EG_NATIONAL_ID", r"\b[23]\d{2}[01]\d[0-3]\d\d{7}\b", checks.egyptian, ("الرقم القومي", "رقم قومي", "رقم البطاقة", "egyptian id"), 0.1, 0.55, "Egypt, Civil Status Organization", "الرقم القومي 29001011234567", "الرقم القومي 29001014234567"),
    ("EG_TAX_ID", r"\b\d{3}-?\d{3}-?\d{3}\b", "eg.tn", ("الرقم الضريبي", "رقم التسجيل الضريبي", "البطاقة الضريبية"), 0.1, 0.0, "Egypt, ETA", "الرقم الضريبي 100-531-385", "qty 100-531-385"),
    ("GH_TIN", r"(?i)\b[PCGQV]\d{10}\b", "gh.tin", ("tin", "tax identification", "gra"), 0.1, 0.55, "Ghana, GRA", "tin C0008012180", "tin C0008012181"),
    ("KE_PIN", r"(?i)\b[AP]\d{9}[A-Z]\b", "ke.pin", ("kra", "kra pin", "pin"), 0.45, 0.0, "Kenya, KRA", "kra P051365947M", "qty P051365947M"),
    ("MA_ICE", r"\b\d{15}\b", "ma.ice", ("ice", "identifiant commun", "identifiant commun de l'entreprise", "التعريف الموحد للمقاولة", "التعريف الموحد"), 0.1, 0.55, "Morocco, OMPIC", "ice 001570573100026", "ice 001570573100020"),
    ("MU_NATIONAL_ID", r"(?i)\b[A-Z]\d{12}[0-9A-Z]\b", "mu.nid", ("nic", "national identity", "nid", "mauritian national identifier", "national identifier", "id number"), 0.1, 0.55, "Mauritius, Civil Status Division", "nic A0101804667770", "nic A0101804667771"),
    ("MZ_NUIT", r"\b\d{3}[ ]?\d{3}[ ]?\d{3}\b", "mz.nuit", ("nuit", "número único de identificação tributária", "número único de identificação tributaria", "numero unico de identificacao tributaria", "identificação tributária"), 0.1, 0.0, "Mozambique, AT", "nuit 403510531", "nuit 403510530"),
    ("NG_NIN", r"\b[1-9]\d{10}\b", "", ("nin", "national identification number", "national identity number", "nimc"), 0.1, 0.0, "Nigeria, NIMC", "nin 68257394157", "qty 68257394157"),
    ("NG_BVN", r"\b22\d{9}\b", "", ("bvn", "bank verification"), 0.1, 0.0, "Nigeria, CBN", "bvn 22123456789", "qty 22123456789"),
    ("NG_TIN", r"\b\d{8}-\d{4}\b", "", ("tin", "tax identification", "firs"), 0.1, 0.0, "Nigeria, FIRS", "tin 12345678-0001", "qty 12345678-0001"),
    ("NG_VEHICLE_REGISTRATION", r"(?i)\b[A-Z]{3}[ \-]?\d{3}[ \-]?[A-Z]{2}\b", "", ("plate", "number plate", "vehicle", "registration", "plate number"), 0.1, 0.51, "Nigeria, FRSC", "plate ABC-123DE", "qty ABC-123DE"),
    ("SN_NINEA", r"(?i)\b\d{7}[ ]?\d?[ ]?[0-2][A-Z]\d\b", "sn.ninea", ("ninea", "identification nationale des entreprises"), 0.1, 0.55, "Senegal, ANSD", "ninea 30672212G2", "ninea 30672202G2"),
    ("TN_TAX_ID", r"(?i)\b\d{7}[ /]?[A-Z](?:[ /]?[ABDNP][ /]?[CMNP][ /]?\d{3})?\b", "tn.mf", ("matricule fiscal", "المعرف الجبائي", "mf", "identifiant fiscal"), 0.1, 0.0, "Tunisia", "matricule fiscal 1234567/M", "qty 1234567/M"),
    ("ZA_ID_NUMBER", r"\b\d{2}[01]\d[0-3]\d[ ]?\d{4}[ ]?[01]\d\d\b", "za.idnr", ("id number", "sa id", "south african id", "identity number", "rsa id", "id no", "identity document number", "identity document"), 0.1, 0.55, "South Africa, Identification Act", "id number 8001016976086", "id number 8001016976080"),
    ("ZA_INCOME_TAX_NUMBER", r"\b[01239]\d{3}/?\d{3}/?\d{3}\b", "za.tin", ("sars", "income tax", "tax reference", "tax number"), 0.1, 0.0, "South Africa, SARS", "sars 0720872654", "sars 0720872650"),
    ("ZA_VAT_NUMBER", r"\b4\d{9}\b", checks.south_african_tax, ("vat", "vat number", "vat no", "vat registration", "vat registration number", "sars", "btw nommer"), 0.1, 0.0, "South Africa, SARS, External BRS, modulus 10", "vat number 4230195937", "qty 4230195937"),
    ("ZA_PASSPORT", r"(?i)\b[ADMT]\d{8}\b", "", ("south african passport", "rsa passport", "sa passport", "paspoortnommer"), 0.1, 0.51, "South Africa, Department of Home Affairs", "south african passport A12345678", "qty A12345678"),
    ("ZA_COMPANY_REGISTRATION", r"\b(?:18|19|20)\d{2}/\d{6}/\d{2}\b", "", ("company registration", "company registration number", "registration number", "cipc", "company reg", "close corporation", "reg no"), 0.6, 0.0, "South Africa, CIPC", "2014/123456/07", "2014/1234/07"),
    ("ZA_LICENSE_PLATE", r"(?i)\b(?:[A-Z]{2}[ ]?\d{2}[ ]?[A-Z]{2}[ ]?(?:GP|ZN|EC|NC|FS|MP|NW|L)|[A-Z]{3}[ ]?\d{3}[ ]?(?:GP|ZN|EC|NC|FS|MP|NW|L|WP)|C[A-Z]{1,2}[ ]?\d{1,6}|N[A-Z]{1,2}[ ]?\d{1,6})\b", "", ("licence plate", "license plate", "number plate", "vehicle registration", "enatis", "natis"), 0.1, 0.0, "South Africa, National Road Traffic Act 93 of 1996", "number plate CA 123456", "qty CA 123456"),
    ("ZA_TRAFFIC_REGISTER_NUMBER", r"\b\d{13}\b", "", ("traffic register number", "traffic register", "trn", "enatis"), 0.1, 0.0, "South Africa, eNaTIS", "traffic register number 1234567890123", "qty 1234567890123"),
    ("ZA_DRIVER_LICENSE", r"(?i)\b\d{6,10}[A-Z0-9]{2,4}\b", checks.has_digits, ("enatis licence", "south african driving licence", "sa driving licence", "rybewys", "bestuurslisensie"), 0.1, 0.0, "South Africa, eNaTIS", "rybewys 702700057W0X", "qty 702700057W0X"),
    ("AO_BI", r"(?i)\b\d{9}[A-Z]{2}\d{3}\b", "", ("bilhete de identidade", "bi nº", "número de identificação fiscal", "nif", "angolan", "bi"), 0.1, 0.51, "Angola, Ministério da Justiça", "bilhete de identidade 005678901LA042", "qty 005678901LA042"),
    ("BW_OMANG", r"\b\d{4}[12]\d{4}\b", "", ("omang", "omang number", "botswana id"), 0.1, 0.0, "Botswana, National Registration Act", "omang 379219515", "qty 379219515"),
    ("ET_FAYDA", r"\b\d{4}[ \-]?\d{4}[ \-]?\d{4}(?:[ \-]?\d{4})?\b", "", ("fayda", "fayda id", "fayda number", "fan", "ethiopian id"), 0.1, 0.0, "Ethiopia, National ID Program", "fayda 6140798523917519", "qty 6140798523917519"),
    ("GH_CARD", r"(?i)\bGHA-?\d{9}-?\d\b", "", ("ghana card", "ghana card number"), 0.75, 0.0, "Ghana, National Identification Authority", "GHA-123456789-0", "GHA-12345-0"),
    ("KE_NATIONAL_ID", r"\b\d{7,8}\b", "", ("kenyan id", "kenya id", "kitambulisho", "huduma namba"), 0.1, 0.0, "Kenya, National Registration Bureau", "kitambulisho 27345619", "qty 27345619"),
    ("LY_NATIONAL_ID", r"\b[12](?:19|20)\d{9}\b", "", ("الرقم الوطني", "libyan id", "libyan national number"), 0.1, 0.52, "Libya, Civil Registry Authority", "الرقم الوطني 119880012345", "qty 119880012345"),
    ("MA_CNIE", r"(?i)\b[A-Z]{1,2}\d{5,6}\b", "", ("cnie", "carte nationale d'identité électronique", "البطاقة الوطنية", "البطاقة الوطنية للتعريف"), 0.1, 0.0, "Morocco, DGSN", "cnie BK123456", "qty BK123456"),
    ("MZ_BI", r"(?i)\b\d{4}[ ]?\d{4}[ ]?\d{4}[A-Z]\b", "", ("bilhete de identidade", "bi nº", "bi", "mozambican"), 0.1, 0.51, "Mozambique, DNIC", "bilhete de identidade 110100123456B", "qty 110100123456B"),
    ("RW_NATIONAL_ID", r"\b[1-3][ ]?(?:19|20)\d{2}[ ]?[78][ ]?\d{7}[ ]?\d[ ]?\d{2}\b", "", ("indangamuntu", "rwandan id", "national id", "national identity", "national identity number"), 0.1, 0.52, "Rwanda, NIDA", "indangamuntu 1198780012345678", "qty 1198780012345678"),
    ("TZ_NIDA", r"\b(?:19|20)\d{2}[01]\d[0-3]\d-?\d{5}-?\d{5}-?\d{2}\b", "", ("nida", "nida number", "kitambulisho cha taifa", "namba ya nida", "national id"), 0.1, 0.55, "Tanzania, NIDA", "nida 19900101-12345-00001-23", "qty 19900101-12345-00001-23"),
    ("UG_NIN", r"(?i)\bC[MF]\d{8}[A-Z0-9]{4}\b", checks.has_digits, ("nin", "national identification number", "ugandan id", "nira"), 0.1, 0.53, "Uganda, NIRA", "nin CM90012310ABCD", "qty CM90012310ABCD"),
    ("ZM_NRC", r"\b\d{6}/\d{2}/[1-3]\b", "", ("nrc", "national registration card", "zambian id"), 0.55, 0.0, "Zambia, National Registration Act", "nrc 123456/78/1", "123456/78/9"),
    ("ZW_NATIONAL_ID", r"(?i)\b\d{2}[ \-]?\d{6,7}[ \-]?[A-HJ-NP-TV-Z][ \-]?\d{2}\b", "", ("national id", "national registration number", "id number", "zimbabwean id", "zimbabwe id"), 0.1, 0.52, "Zimbabwe, Registrar General", "national id 50-025544-Q-12", "qty 50-025544-Q-12"),
    ("AU_ACN", r"\b\d{3}[ ]?\d{3}[ ]?\d{3}\b", "au.acn", ("acn", "australian company number"), 0.1, 0.0, "Australia, ASIC", "acn 996 093 951", "acn 996 093 950"),
    ("AU_MEDICARE", r"\b[2-6]\d{3} \d{5} \d(?:[ /]?\d)?\b", checks.australian_medicare, ("medicare", "medicare number"), 0.6, 0.0, "Australia, Services Australia", "2124 33131 1", "2124 33130 1"),
    ("AU_MEDICARE", r"\b[2-6]\d{3}[ \-]?\d{5}[ \-]?\d(?:[ \-/]?\d)?\b", checks.australian_medicare, ("medicare", "medicare number", "medicare card"), 0.1, 0.0, "Australia, Services Australia", "medicare 2637 89407 1", "medicare 2637 89400 1"),
    ("NZ_IRD", r"\b\d{2,3}-?\d{3}-?\d{3}\b", "nz.ird", ("ird", "ird number", "inland revenue", "nz tax number", "te tari taake", "te tari tāke"), 0.1, 0.0, "New Zealand, Inland Revenue", "ird 72-812-646", "ird 72-812-640"),
    ("NZ_BANK_ACCOUNT", r"\b\d{2}[ \-]\d{4}[ \-]\d{7}[ \-]\d{2,3}\b", "nz.bankaccount", ("account", "bank account"), 0.75, 0.0, "Payments NZ", "01-0242-1612621-00", "01-0242-1612620-00"),
    ("NZ_NHI", r"(?i)\b[A-HJ-NP-Z]{3}\d{4}\b", checks.new_zealand_health, ("nhi", "national health index", "nhi number"), 0.1, 0.0, "New Zealand, HISO 10046", "nhi ZAC6309", "nhi ZAC6300"),
    ("GN_NIFP", r"\b\d{3}[ \-]?\d{3}[ \-]?\d{3}\b", "gn.nifp", ("nifp", "numéro d'identification fiscale permanent", "identification fiscale permanent"), 0.1, 0.0, "Guinea, Direction nationale des impôts", "nifp 693770885", "nifp 693770880"),
)  # fmt: skip

RECOGNIZERS = numbers(_ROWS)
