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
    ("MZ_NUIT", r"\b\d{3}[ ]?\d{3}[ ]?\d{3}\b", "mz.nuit", ("nuit", "número único de identificação tributária", "numero unico de identificacao tributaria", "identificação tributária"), 0.1, 0.0, "Mozambique, AT", "nuit 403510531", "nuit 403510530"),
    ("NG_NIN", r"\b[1-9]\d{10}\b", "", ("nin", "national identification number", "national identity number", "nimc"), 0.1, 0.0, "Nigeria, NIMC", "nin 68257394157", "qty 68257394157"),
    ("NG_BVN", r"\b22\d{9}\b", "", ("bvn", "bank verification"), 0.1, 0.0, "Nigeria, CBN", "bvn 22123456789", "qty 22123456789"),
    ("NG_TIN", r"\b\d{8}-\d{4}\b", "", ("tin", "tax identification", "firs"), 0.1, 0.0, "Nigeria, FIRS", "tin 12345678-0001", "qty 12345678-0001"),
    ("NG_VEHICLE_REGISTRATION", r"(?i)\b[A-Z]{3}[ \-]?\d{3}[ \-]?[A-Z]{2}\b", "", ("plate", "number plate", "vehicle", "registration", "plate number"), 0.1, 0.51, "Nigeria, FRSC", "plate ABC-123DE", "qty ABC-123DE"),
    ("SN_NINEA", r"(?i)\b\d{7}[ ]?\d?[ ]?[0-2][A-Z]\d\b", "sn.ninea", ("ninea", "identification nationale des entreprises"), 0.1, 0.55, "Senegal, ANSD", "ninea 30672212G2", "ninea 30672202G2"),
    ("TN_TAX_ID", r"(?i)\b\d{7}[ /]?[A-Z](?:[ /]?[ABDNP][ /]?[CMNP][ /]?\d{3})?\b", "tn.mf", ("matricule fiscal", "المعرف الجبائي", "mf", "identifiant fiscal"), 0.1, 0.0, "Tunisia", "matricule fiscal 1234567/M", "qty 1234567/M"),
    ("ZA_ID", r"\b\d{2}[01]\d[0-3]\d[ ]?\d{4}[ ]?[01]\d\d\b", "za.idnr", ("id number", "sa id", "south african id", "identity number", "rsa id", "id no", "identity document number", "identity document"), 0.1, 0.55, "South Africa, Identification Act", "id number 8001016976086", "id number 8001016976080"),
    ("ZA_TAX_ID", r"\b[01239]\d{3}/?\d{3}/?\d{3}\b", "za.tin", ("sars", "income tax", "tax reference", "tax number"), 0.1, 0.0, "South Africa, SARS", "sars 0720872654", "sars 0720872650"),
    ("AU_ACN", r"\b\d{3}[ ]?\d{3}[ ]?\d{3}\b", "au.acn", ("acn", "australian company number"), 0.1, 0.0, "Australia, ASIC", "acn 996 093 951", "acn 996 093 950"),
    ("AU_MEDICARE", r"\b[2-6]\d{3} \d{5} \d(?:[ /]?\d)?\b", checks.australian_medicare, ("medicare", "medicare number"), 0.6, 0.0, "Australia, Services Australia", "2124 33131 1", "2124 33130 1"),
    ("AU_MEDICARE", r"\b[2-6]\d{3}[ \-]?\d{5}[ \-]?\d(?:[ \-/]?\d)?\b", checks.australian_medicare, ("medicare", "medicare number", "medicare card"), 0.1, 0.0, "Australia, Services Australia", "medicare 2637 89407 1", "medicare 2637 89400 1"),
    ("NZ_IRD", r"\b\d{2,3}-?\d{3}-?\d{3}\b", "nz.ird", ("ird", "ird number", "inland revenue", "nz tax number"), 0.1, 0.0, "New Zealand, Inland Revenue", "ird 72-812-646", "ird 72-812-640"),
    ("NZ_BANK_ACCOUNT", r"\b\d{2}[ \-]\d{4}[ \-]\d{7}[ \-]\d{2,3}\b", "nz.bankaccount", ("account", "bank account"), 0.75, 0.0, "Payments NZ", "01-0242-1612621-00", "01-0242-1612620-00"),
    ("NZ_NHI", r"(?i)\b[A-HJ-NP-Z]{3}\d{4}\b", checks.new_zealand_health, ("nhi", "national health index", "nhi number"), 0.1, 0.0, "New Zealand, HISO 10046", "nhi ZAC6309", "nhi ZAC6300"),
    ("GN_NIFP", r"\b\d{3}[ \-]?\d{3}[ \-]?\d{3}\b", "gn.nifp", ("nifp", "numéro d'identification fiscale permanent", "identification fiscale permanent"), 0.1, 0.0, "Guinea, Direction nationale des impôts", "nifp 693770885", "nifp 693770880"),
)  # fmt: skip

RECOGNIZERS = numbers(_ROWS)
