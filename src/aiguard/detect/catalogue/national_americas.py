"""Numbers of people, companies, accounts and vehicles in the Americas."""

from __future__ import annotations

from typing import Final

from aiguard.detect.catalogue import checks
from aiguard.detect.catalogue.numbers import NumberRow, numbers

_ROWS: Final[tuple[NumberRow, ...]] = (
    ("AR_CUIT", r"\b(?:20|23|24|27|30|33|34|50|51|55)-\d{8}-\d\b", "ar.cuit", ("cuit", "cuil"), 0.8, 0.0, "Argentina, AFIP", "20-58649340-0", "20-58649340-1"),
    ("AR_CUIT", r"\b(?:20|23|24|27|30|33|34|50|51|55)\d{9}\b", "ar.cuit", ("cuit", "cuil"), 0.1, 0.55, "Argentina, AFIP", "cuit 20956630747", "cuit 20956630740"),
    ("AR_DNI", r"\b\d{1,2}\.?\d{3}\.?\d{3}\b", "ar.dni", ("dni", "documento nacional", "documento nacional de identidad", "documento de identidad"), 0.1, 0.0, "Argentina, RENAPER", "dni 20.123.456", "qty 20.123.456"),
    ("AR_CBU", r"\b\d{22}\b", "ar.cbu", ("cbu",), 0.75, 0.0, "Argentina, BCRA", "0977441274189250977467", "0977441274189250977460"),
    ("BR_CNPJ", r"\b\d{2}\.\d{3}\.\d{3}/\d{4}-\d{2}\b", "br.cnpj", ("cnpj",), 0.9, 0.0, "Brazil, Receita Federal", "11.200.702/0001-35", "11.200.702/0001-30"),
    ("BR_CNPJ", r"(?i)\b[0-9A-Z]{12}\d{2}\b", "br.cnpj", ("cnpj",), 0.1, 0.55, "Brazil, Receita Federal (with letters from 2026)", "cnpj 50835361000126", "cnpj 50835361000120"),
    ("CA_BUSINESS_NUMBER", r"(?i)\b\d{5}[ ]?\d{4}[ ]?R[CMPT][ ]?\d{4}\b", "ca.bn", ("business number", "gst", "hst", "bn"), 0.8, 0.0, "Canada Revenue Agency", "802727842RT0001", "802727840RT0001"),
    ("CA_BUSINESS_NUMBER", r"\b\d{5}[ ]?\d{4}\b", "ca.bn", ("business number", "gst number", "gst", "hst"), 0.1, 0.0, "Canada Revenue Agency", "business number 814318416", "business number 814318410"),
    ("CA_HEALTH_NUMBER", r"\b9\d{3}[ \-]?\d{3}[ \-]?\d{3}\b", "ca.bc_phn", ("phn", "personal health number", "health card", "health number"), 0.1, 0.55, "British Columbia, Personal Health Number", "phn 9023523511", "phn 9023523510"),
    ("CA_POSTAL_CODE", r"\b[ABCEGHJ-NPRSTVXY]\d[ABCEGHJ-NPRSTV-Z][ \-]\d[ABCEGHJ-NPRSTV-Z]\d\b", "", ("postal code", "code postal", "postcode"), 0.55, 0.0, "Canada Post", "to K1A 0B1", "qty K1A 0D1"),
    ("CA_POSTAL_CODE", r"(?i)\b[ABCEGHJ-NPRSTVXY]\d[ABCEGHJ-NPRSTV-Z]\d[ABCEGHJ-NPRSTV-Z]\d\b", "", ("postal code", "code postal", "postcode"), 0.1, 0.52, "Canada Post", "postal code k1a0b1", "qty K1A0B1"),
    ("CL_RUT", r"(?i)\b\d{1,2}\.\d{3}\.\d{3}-[0-9K]\b", "cl.rut", ("rut", "run:", "run no", "run nº", "rol único"), 0.85, 0.0, "Chile, Registro Civil", "06.622.373-6", "06.622.373-0"),
    ("CL_RUT", r"(?i)\b\d{7,8}-?[0-9K]\b", "cl.rut", ("rut", "run:", "run no", "run nº", "rol único", "rol único tributario"), 0.1, 0.0, "Chile, Registro Civil", "rut 14135441-8", "rut 14135441-0"),
    ("CO_NIT", r"\b\d{3}\.\d{3}\.\d{3}-\d\b", "co.nit", ("nit", "identificación tributaria"), 0.7, 0.0, "Colombia, DIAN", "264.470.278-4", "264.470.278-0"),
    ("CO_NIT", r"\b\d{8,10}-?\d\b", "co.nit", ("nit", "número de identificación tributaria", "identificación tributaria"), 0.1, 0.0, "Colombia, DIAN", "nit 825776070-9", "nit 825776070-0"),
    ("CO_CEDULA", r"\b(?:\d{1,3}(?:\.\d{3}){2,3}|\d{6,10})\b", "", ("cédula de ciudadanía", "cedula de ciudadania", "c c", "cédula"), 0.1, 0.0, "Colombia, Registraduría", "cédula de ciudadanía 1.032.456.789", "qty 1.032.456.789"),
    ("CR_CEDULA", r"\b\d{1,2}-?\d{3,4}-?\d{4}\b", "cr.cpf", ("cédula física", "cédula de identidad", "cedula", "cédula", "cédula de persona física", "cpf", "physical person"), 0.1, 0.0, "Costa Rica, TSE", "cédula física 1-0613-0584", "qty 1-0613-0584"),
    ("CU_IDENTITY", r"\b\d{11}\b", "cu.ni", ("carné de identidad", "carnet de identidad", "carné", "ci", "número de identidad", "ni"), 0.1, 0.0, "Cuba", "carné de identidad 80010112345", "carné de identidad 80010012345"),
    ("DO_CEDULA", r"\b\d{3}-\d{7}-\d\b", "do.cedula", ("cédula", "cedula"), 0.8, 0.0, "Dominican Republic, JCE", "001-9227472-8", "001-9227472-0"),
    ("DO_CEDULA", r"\b\d{11}\b", "do.cedula", ("cédula", "cedula"), 0.1, 0.0, "Dominican Republic, JCE", "cédula 00138586839", "cédula 00138586830"),
    ("DO_RNC", r"\b\d-?\d{2}-?\d{5}-?\d\b", "do.rnc", ("rnc", "registro nacional del contribuyente", "registro nacional de contribuyentes"), 0.1, 0.0, "Dominican Republic, DGII", "rnc 107921682", "rnc 107921680"),
    ("EC_CEDULA", r"\b[0-3]\d{8}-?\d\b", "ec.ci", ("cédula", "cedula", "ci"), 0.1, 0.55, "Ecuador, Registro Civil", "cédula 1731278691", "cédula 1731278690"),
    ("EC_RUC", r"\b[0-3]\d{9}0\d{2}\b", "ec.ruc", ("ruc", "registro único de contribuyentes", "registro unico de contribuyentes"), 0.1, 0.55, "Ecuador, SRI", "ruc 1726999863001", "ruc 1726999863000"),
    ("GT_NIT", r"(?i)\b\d{1,11}-?[0-9K]\b", "gt.nit", ("nit", "número de identificación tributaria"), 0.1, 0.0, "Guatemala, SAT", "nit 8875942-3", "nit 8875942-0"),
    ("MX_CURP", r"(?i)\b[A-Z][AEIOUX][A-Z]{2}\d{2}[01]\d[0-3]\d[HMX](?:AS|B[CS]|C[CLMSH]|D[FG]|G[TR]|HG|JC|M[CNS]|N[ETL]|OC|PL|Q[TR]|S[PLR]|T[CSL]|VZ|YN|ZS)[B-DF-HJ-NP-TV-Z]{3}[0-9A-Z]\d\b", "mx.curp", ("curp",), 0.9, 0.0, "Mexico, RENAPO", "GAPL800101HDFRRS03", "GAPL800101HDFRRS00"),
    ("MX_RFC", r"\b[A-ZÑ&]{3,4}[ \-]?\d{2}[01]\d[0-3]\d[ \-]?[0-9A-Z]{2}[0-9A]\b", "mx.rfc", ("rfc", "registro federal de contribuyentes"), 0.7, 0.0, "Mexico, SAT", "GAPY800101622", "GAPY800100622"),
    ("MX_CLABE", r"\b\d{3}[ ]?\d{3}[ ]?\d{11}[ ]?\d\b", checks.clabe, ("clabe", "clabe interbancaria", "cuenta clabe"), 0.1, 0.0, "Mexico, Banxico", "clabe 032180000118359133", "clabe 032180000118359130"),
    ("PE_DNI", r"(?i)\b\d{8}(?:-?[0-9A-K])?\b", "", ("dni", "documento nacional de identidad", "cédula única de identidad", "cui"), 0.1, 0.0, "Peru, RENIEC", "dni 10117410", "qty 10117410"),
    ("PE_RUC", r"\b(?:10|15|16|17|20)\d{9}\b", "pe.ruc", ("ruc", "registro único de contribuyentes", "registro unico de contribuyentes"), 0.1, 0.55, "Peru, SUNAT", "ruc 20391615056", "ruc 20391615050"),
    ("PY_RUC", r"\b\d{5,8}-\d\b", "py.ruc", ("ruc", "registro único de contribuyentes", "registro unico de contribuyentes"), 0.1, 0.0, "Paraguay, SET", "ruc 80402259-3", "ruc 80402259-0"),
    ("SV_NIT", r"\b\d{4}-\d{6}-\d{3}-\d\b", "sv.nit", ("nit", "número de identificación tributaria"), 0.8, 0.0, "El Salvador, Ministerio de Hacienda", "0614-010180-109-6", "0614-010180-109-0"),
    ("UY_RUT", r"\b\d{12}\b", "uy.rut", ("rut", "registro único tributario", "registro unico tributario"), 0.1, 0.55, "Uruguay, DGI", "rut 215519430019", "rut 215519430010"),
    ("VE_RIF", r"(?i)\b[VEJPGC]-?\d{8}-?\d\b", "ve.rif", ("rif", "registro de identificación fiscal", "registro de información fiscal", "registro único de información fiscal"), 0.1, 0.55, "Venezuela, SENIAT", "rif J-88008671-4", "rif J-88008671-0"),
    ("VE_RIF", r"\b[VEJPGC]-\d{8}-\d\b", "ve.rif", ("rif", "registro de identificación fiscal", "registro de información fiscal", "registro único de información fiscal"), 0.75, 0.0, "Venezuela, SENIAT", "J-06960464-0", "J-06960464-1"),
    ("US_EIN", r"\b\d{2}-\d{7}\b", "us.ein", ("ein", "fein", "employer identification", "employer id", "federal tax id", "tax id"), 0.1, 0.0, "US IRS", "ein 12-2932675", "ein 17-2932675"),
    ("US_ATIN", r"\b9\d{2}-93-\d{4}\b", "us.atin", ("atin", "adoption"), 0.1, 0.55, "US IRS", "atin 986-93-7824", "qty 986-93-7824"),
    ("US_PTIN", r"(?i)\bP-?\d{8}\b", "us.ptin", ("ptin", "preparer"), 0.1, 0.0, "US IRS", "ptin P76828380", "qty P76828380"),
    ("US_NPI", r"\b[12]\d{3}[ \-]?\d{3}[ \-]?\d{3}\b", checks.npi, ("npi", "national provider", "provider id", "provider identifier", "provider number", "prescriber", "nppes"), 0.1, 0.55, "US CMS, NPI check digit", "npi 1962716316", "npi 1962716310"),
    ("US_MBI", r"(?i)\b[1-9][AC-HJKMNP-RT-Y][AC-HJKMNP-RT-Y0-9]\d-?[AC-HJKMNP-RT-Y][AC-HJKMNP-RT-Y0-9]\d-?[AC-HJKMNP-RT-Y]{2}\d{2}\b", "", ("mbi", "medicare", "medicare beneficiary", "beneficiary"), 0.7, 0.0, "US CMS, Understanding the MBI", "1EG4-TE5-MK72", "1EG4-TE5-MK"),
    ("MEDICAL_LICENSE", r"\b[ABCDEFGHJKLMPRSTUX][A-Z9]\d{7}\b", checks.dea, ("dea", "dea number", "medical license", "medical licence", "prescriber", "medical certificate", "license"), 0.45, 0.55, "US DEA registration number", "dea AB2061101", "dea AB2061100"),
    ("US_BANK_NUMBER", r"\b\d{8,17}\b", "", ("bank account", "account number", "account no", "acct", "acct no", "acct number", "checking account", "savings account", "bank account number", "account#", "debit"), 0.1, 0.0, "US banks, and the words before it", "bank account 945456787654", "qty 945456787654"),
    ("CR_LEGAL_ID", r"\b[2-5]-?\d{3}-?\d{6}\b", "cr.cpj", ("cédula jurídica", "cedula juridica", "cédula de persona jurídica", "cpj"), 0.1, 0.0, "Costa Rica, Registro Nacional", "cédula jurídica 3-101-999999", "qty 3-101-999999"),
    ("CR_RESIDENT_ID", r"\b1\d{10,11}\b", "cr.cr", ("cédula de residencia", "cedula de residencia", "dimex", "cr"), 0.1, 0.0, "Costa Rica, Dirección General de Migración", "cédula de residencia 155812994816", "qty 155812994816"),
    ("PE_CUI", r"(?i)\b\d{8}-?[0-9A-K]\b", "pe.cui", ("cui", "cédula única de identidad", "dni", "documento nacional de identidad"), 0.1, 0.0, "Peru, RENIEC", "cui 10117410-2", "cui 10117410-3"),
)  # fmt: skip

RECOGNIZERS = numbers(_ROWS)
