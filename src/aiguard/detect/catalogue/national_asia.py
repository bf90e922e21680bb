"""Numbers of people, companies, accounts and vehicles in Asia."""

from __future__ import annotations

from typing import Final

from aiguard.detect.catalogue import checks
from aiguard.detect.catalogue.numbers import NumberRow, numbers

_ROWS: Final[tuple[NumberRow, ...]] = (
    ("AE_EMIRATES_ID", r"\b784[ \-]?\d{4}[ \-]?\d{7}[ \-]?\d\b", checks.luhn, ("emirates id", "الهوية", "رقم الهوية"), 0.75, 0.0, "UAE, ICP", "784-1980-2277727-4", "784-1980-2277727-0"),
    ("CN_RESIDENT_ID", r"(?i)\b[1-9]\d{5}(?:18|19|20)\d{2}[01]\d[0-3]\d{4}[0-9X]\b", "cn.ric", ("身份证", "身份证号", "身份證", "居民身份证"), 0.85, 0.0, "China, GB 11643-1999", "110101198001011080", "110101198001011081"),
    ("CN_CREDIT_CODE", r"\b[159ANY][1239]\d{6}[0-9A-HJ-NPQRTUWXY]{10}\b", "cn.uscc", ("统一社会信用代码", "信用代码", "税号"), 0.6, 0.0, "China, GB 32100-2015", "911100002662330348", "911100002662330340"),
    ("HK_ID_CARD", r"(?i)\b[A-Z]{1,2}\d{6}[ ]?[(\[][0-9A][)\]]", checks.hong_kong, ("hkid", "身份證", "身份证", "香港身份證", "hong kong identity card"), 0.8, 0.0, "Hong Kong, Immigration Department", "A365481(0)", "A365481(1)"),
    ("HK_ID_CARD", r"(?i)\b[A-Z]{1,2}\d{6}[0-9A]\b", checks.hong_kong, ("hkid", "身份證", "身份证", "香港身份證", "hong kong id", "id card", "id number", "identity card", "id no", "hong kong identity card"), 0.1, 0.0, "Hong Kong, Immigration Department", "hkid A9730551", "hkid A9730550"),
    ("ID_NIK", r"\b\d{16}\b", "id.nik", ("nik", "nomor induk kependudukan", "ktp", "no ktp"), 0.1, 0.0, "Indonesia, UU 24/2013", "nik 3171010101805518", "nik 3171010100805518"),
    ("ID_NPWP", r"\b\d{2}\.\d{3}\.\d{3}\.\d-\d{3}\.\d{3}\b", "id.npwp", ("npwp", "nomor pokok wajib pajak"), 0.85, 0.0, "Indonesia, Direktorat Jenderal Pajak", "01.978.014.7-091.000", "01.978.014.0-091.000"),
    ("IL_ID", r"\b\d{9}\b", "il.idnr", ("teudat zehut", "תעודת זהות", "ת.ז", "ת ז", "מספר זהות", "israeli id", "mispar zehut", "מס׳ זהות"), 0.1, 0.0, "Israel, Population Registry", "teudat zehut 075064840", "teudat zehut 075064841"),
    ("IL_COMPANY", r"\b5\d{8}\b", "il.hp", ("ח.פ", "ח פ", "חברה", "hp", "מספר חברה", "company number"), 0.1, 0.55, "Israel, Registrar of Companies", "ח.פ 512821950", "ח.פ 512821951"),
    ("IN_GSTIN", r"(?i)\b[0-3]\d[A-Z]{5}\d{4}[A-Z][1-9A-Z]Z[0-9A-Z]\b", "", ("gst", "gstin"), 0.75, 0.0, "India, GSTN", "27AAPFU0939F1ZV", "27AAPFU0939F1"),
    ("IN_VOTER", r"(?i)\b[A-Z]{3}\d{7}\b", "", ("voter", "voter id", "epic", "election card", "elector", "elector photo", "electoral photo identity card", "vote", "voting"), 0.1, 0.51, "India, Election Commission", "voter ABC8384700", "qty ABC8384700"),
    ("IN_VID", r"\b[2-9]\d{3}[ ]?\d{4}[ ]?\d{4}[ ]?\d{4}\b", "in_.vid", ("virtual id", "vid", "aadhaar"), 0.1, 0.0, "India, UIDAI", "virtual id 2584069198372969", "virtual id 2584069198372960"),
    ("IN_PASSPORT", r"(?i)\b[A-PR-WY][1-9]\d[ ]?\d{4}[1-9]\b", "", ("indian passport", "passport", "पासपोर्ट"), 0.1, 0.53, "India, Ministry of External Affairs", "indian passport A2345678", "qty A2345678"),
    ("IN_VEHICLE_REGISTRATION", r"(?i)\b(?:A[NPRS]|BR|C[GH]|D[DLN]|G[AJ]|H[PR]|J[HK]|K[AL]|L[AD]|M[HLNPZ]|NL|O[DR]|P[BY]|RJ|SK|T[GNRS]|U[APK]|WB)[ \-]?\d{1,2}[ \-]?[A-Z]{1,3}[ \-]?\d{4}\b", "", ("vehicle", "vehicles", "registration", "rto", "car number", "number plate", "rc"), 0.45, 0.55, "India, Central Motor Vehicles Rules", "vehicle KA01AB1234", "qty KA01AB1234"),
    ("IR_NATIONAL_ID", r"\b\d{10}\b", checks.iranian, ("کد ملی", "کدملی", "شماره ملی", "code melli"), 0.1, 0.0, "Iran, ثبت احوال", "کد ملی 0889420270", "کد ملی 0889420271"),
    ("JP_MY_NUMBER", r"\b\d{4}[ \-]?\d{4}[ \-]?\d{4}\b", "jp.in_", ("マイナンバー", "個人番号", "my number", "kojin bango", "individual number"), 0.1, 0.0, "Japan, マイナンバー法", "マイナンバー 3082 4078 3724", "マイナンバー 3082 4078 3720"),
    ("JP_CORPORATE_NUMBER", r"\b[1-9]\d{12}\b", "jp.cn", ("法人番号", "corporate number", "hojin bango"), 0.1, 0.0, "Japan, 国税庁", "法人番号 3438754539775", "法人番号 3438754539770"),
    ("KR_BRN", r"\b\d{3}-\d{2}-\d{5}\b", "kr.brn", ("사업자등록번호", "사업자번호", "사업자", "business registration", "brn"), 0.45, 0.55, "Korea, 국세청", "사업자등록번호 134-49-65033", "사업자등록번호 034-49-65033"),
    ("KR_DRIVER_LICENSE", r"\b(?:1[1-9]|2[0-8])-\d{2}-\d{6}-\d{2}\b", "", ("운전면허", "운전면허번호", "면허", "driver license"), 0.6, 0.0, "Korea, 도로교통법", "11-18-123456-12", "11-18-123456-"),
    ("KR_PASSPORT", r"(?i)\b[MSRODG](?:\d{8}|\d{3}[A-Z]\d{4})\b", "", ("여권", "여권번호", "passport", "korean passport"), 0.1, 0.51, "Korea, 여권법", "여권 M12345678", "qty M12345678"),
    ("KZ_IIN", r"\b\d{2}[01]\d[0-3]\d{7}\b", checks.kazakh, ("иин", "жсн", "iin", "бин", "bin"), 0.1, 0.55, "Kazakhstan", "иин 800101830109", "иин 800101830100"),
    ("LK_NIC", r"(?i)\b(?:\d{9}[VX]|(?:19|20)\d{10})\b", "", ("nic", "national identity card", "identity card"), 0.1, 0.0, "Sri Lanka, Department for Registration of Persons", "nic 801234567V", "qty 801234567V"),
    ("MY_NRIC", r"\b\d{2}[01]\d[0-3]\d-\d{2}-\d{4}\b", "my.nric", ("nric", "mykad", "ic", "no kp", "kad pengenalan", "no ic"), 0.75, 0.0, "Malaysia, JPN", "800101-01-0736", "800101-00-0736"),
    ("MY_NRIC", r"\b\d{2}[01]\d[0-3]\d{7}\b", "my.nric", ("nric", "mykad", "ic", "no kp", "kad pengenalan", "no ic"), 0.1, 0.0, "Malaysia, JPN", "nric 800101018001", "nric 800101008001"),
    ("PH_TIN", r"\b\d{3}-?\d{3}-?\d{3}(?:-?\d{3}|-?\d{5})?\b", "", ("tin", "taxpayer identification", "bir"), 0.1, 0.0, "Philippines, BIR", "tin 123-456-789-000", "qty 123-456-789-000"),
    ("PH_TIN", r"\b\d{3}-\d{3}-\d{3}-(?:\d{3}|\d{5})\b", "", ("tax id", "tax id number", "tax identification number", "taxpayer id"), 0.1, 0.0, "Philippines, BIR", "tax id 123-456-789-000", "qty 123-456-789-000"),
    ("PH_SSS", r"\b\d{2}-\d{7}-\d\b", "", ("sss", "social security system"), 0.1, 0.0, "Philippines, SSS", "sss 34-1234567-8", "qty 34-1234567-8"),
    ("PH_UMID", r"\b\d{4}-\d{7}-\d\b", "", ("umid", "crn", "common reference"), 0.1, 0.0, "Philippines, UMID", "umid 0111-1234567-8", "qty 0111-1234567-8"),
    ("PH_PHILHEALTH", r"\b\d{2}-\d{9}-\d\b", "", ("philhealth",), 0.1, 0.0, "Philippines, PhilHealth", "philhealth 12-123456789-1", "qty 12-123456789-1"),
    ("PK_CNIC", r"\b[1-7]\d{4}-\d{7}-[1-9]\b", "pk.cnic", ("cnic", "nicop", "شناختی کارڈ", "nadra"), 0.65, 0.0, "Pakistan, NADRA", "34201-0891231-8", "34201-089123"),
    ("PK_CNIC", r"\b[1-7]\d{12}\b", "pk.cnic", ("cnic", "nicop", "شناختی کارڈ", "nadra"), 0.1, 0.0, "Pakistan, NADRA", "cnic 3420108912318", "cnic 3420108912310"),
    ("SA_NATIONAL_ID", r"\b[12]\d{9}\b", checks.luhn, ("هوية", "الهوية", "رقم الهوية", "iqama", "إقامة", "رقم الإقامة", "saudi id"), 0.1, 0.55, "Saudi Arabia, MOI", "هوية 1100089174", "هوية 1100089170"),
    ("SG_NRIC_FIN", r"(?i)\b[STFGM]\d{7}[A-Z]\b", checks.singapore, ("nric", "fin", "nric no"), 0.75, 0.0, "Singapore, ICA", "S6398027G", "S6398020G"),
    ("SG_UEN", r"\b(?:\d{8}[A-Z]|(?:19|20)\d{2}\d{5}[A-Z]|[TSR]\d{2}[A-Z]{2}\d{4}[A-Z])\b", "sg.uen", ("uen", "unique entity number", "acra", "gst", "registration"), 0.6, 0.0, "Singapore, ACRA", "200214853C", "200214850C"),
    ("TH_TNIN", r"\b[1-8]-\d{4}-\d{5}-\d{2}-\d\b", "th.pin", ("เลขประจำตัวประชาชน", "บัตรประชาชน", "thai id", "personal identification number", "taxpayer identification number", "เลขประจำตัวผู้เสียภาษี", "เลขทะเบียนนิติบุคคล", "memorandum of association"), 0.85, 0.0, "Thailand, Department of Provincial Administration", "1-3905-36405-95-1", "1-3905-36405-95-0"),
    ("TH_TNIN", r"\b[1-8]\d{12}\b", "th.pin", ("เลขประจำตัวประชาชน", "บัตรประชาชน", "เลขบัตรประชาชน", "เลขประจำตัว", "thai id", "thai national id", "tnin", "personal identification number", "taxpayer identification number", "เลขประจำตัวผู้เสียภาษี", "เลขทะเบียนนิติบุคคล", "memorandum of association"), 0.1, 0.0, "Thailand, Department of Provincial Administration", "เลขประจำตัวประชาชน 1839016232398", "เลขประจำตัวประชาชน 1839016232390"),
    ("TR_NATIONAL_ID", r"\b[1-9]\d{10}\b", "tr.tckimlik", ("tc kimlik", "t.c. kimlik", "kimlik no", "kimlik numarası", "tckn", "tc no", "kimlik", "tc", "türkiye cumhuriyeti kimlik"), 0.1, 0.55, "Türkiye, Nüfus Hizmetleri Kanunu", "tc kimlik 17634819212", "tc kimlik 17634819210"),
    ("TR_VKN", r"\b\d{10}\b", "tr.vkn", ("vkn", "vergi no", "vergi kimlik", "vergi numarası", "vergi kimlik no"), 0.1, 0.0, "Türkiye, Gelir İdaresi", "vkn 3330758528", "vkn 3330758520"),
    ("TR_LICENSE_PLATE", r"(?i)\b(?:0[1-9]|[1-7]\d|8[01])[ ]?[A-PR-VYZ]{1,3}[ ]?\d{2,5}\b", checks.turkish_plate, ("plaka", "plakalı", "araç", "license plate", "plate"), 0.1, 0.0, "Türkiye, Karayolları Trafik Yönetmeliği", "plaka 34 ABC 123", "qty 34 ABC 123"),
    ("TW_NATIONAL_ID", r"\b[A-Z][1289]\d{8}\b", checks.taiwanese, ("身分證", "身分證字號", "統一證號", "居留證", "id card", "id number", "identity card"), 0.45, 0.55, "Taiwan, 戶籍法", "身分證 A141846183", "身分證 A141846180"),
    ("TW_UBN", r"\b\d{8}\b", "tw.ubn", ("統一編號", "統編", "ubn"), 0.1, 0.0, "Taiwan, 財政部", "統一編號 20309239", "統一編號 20309230"),
    ("VN_CITIZEN_ID", r"\b0\d{11}\b", "", ("cccd", "căn cước", "căn cước công dân", "số cccd"), 0.1, 0.0, "Vietnam, Luật Căn cước", "cccd 001080012345", "qty 001080012345"),
    ("VN_TAX_ID", r"\b\d{10}(?:[ \-]?\d{3})?\b", "vn.mst", ("mst", "mã số thuế", "ma so thue"), 0.1, 0.0, "Vietnam, Tổng cục Thuế", "mst 0171298259", "mst 0171298250"),
    ("TH_COMPANY_ID", r"\b0\d{12}\b", "th.moa", ("moa", "เลขทะเบียนนิติบุคคล", "เลขนิติบุคคล", "juristic person", "เลขประจำตัวผู้เสียภาษี"), 0.1, 0.55, "Thailand, Department of Business Development", "moa 0105536112014", "moa 0105536112013"),
)  # fmt: skip

RECOGNIZERS = numbers(_ROWS)
