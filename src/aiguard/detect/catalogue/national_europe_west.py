"""Numbers of people, companies, accounts and vehicles in western Europe."""

from __future__ import annotations

from typing import Final

from aiguard.detect.catalogue import checks
from aiguard.detect.catalogue.numbers import NumberRow, numbers

_ROWS: Final[tuple[NumberRow, ...]] = (
    ("AT_SOCIAL_SECURITY", r"\b\d{4}[ \-]?\d{6}\b", "at.vnr", ("sozialversicherungsnummer", "sv nummer", "svnr", "versicherungsnummer", "sozialversicherung", "vnr", "vsnr", "social security number"), 0.1, 0.0, "Austria, § 31 ASVG", "sozialversicherungsnummer 6281 010180", "sozialversicherungsnummer 6281 010181"),
    ("AT_TAX_NUMBER", r"\b\d{2}[ \-/]?\d{3}/?\d{4}\b", "at.tin", ("steuernummer", "abgabenkontonummer", "finanzamt"), 0.1, 0.0, "Austria, Bundesministerium für Finanzen", "steuernummer 03-289/2184", "steuernummer 03-289/2180"),
    ("EU_OSS", r"(?i)\b(?:EU[ ]?\d{9}|IM[ ]?\d{10})\b", "eu.oss", ("oss", "one stop shop", "moss", "vat", "ust id"), 0.1, 0.55, "EU, Council Directive 2006/112/EC, art. 358 ff.", "OSS EU372022452", "qty EU372022452"),
    ("AT_VAT", r"(?i)\bATU[ ]?\d{8}\b", "at.uid", ("uid", "ust id", "umsatzsteuer", "umsatzsteuer identifikationsnummer"), 0.8, 0.0, "Austria, Art. 28 UStG", "ATU24319422", "ATU24319420"),
    ("BE_NATIONAL_NUMBER", r"\b\d{2}[. ]?\d{2}[. ]?\d{2}[ \-]?\d{3}[. ]?\d{2}\b", "be.nn", ("rijksregisternummer", "rijksregister", "insz", "registre national", "numéro national", "niss", "national number", "nationalregisternummer", "bis", "bis number", "ssn", "social security number", "inss"), 0.1, 0.55, "Belgium, Rijksregister", "rijksregisternummer 84010156908", "rijksregisternummer 84010156900"),
    ("BE_NATIONAL_NUMBER", r"\b\d{2}\.\d{2}\.\d{2}-\d{3}\.\d{2}\b", "be.nn", ("rijksregisternummer", "registre national", "bis", "bis number", "ssn", "social security number", "inss"), 0.8, 0.0, "Belgium, Rijksregister", "84.01.01-598.76", "84.01.01-598.70"),
    ("BE_VAT", r"(?i)\bBE[ ]?[01]?\d{3}[. ]?\d{3}[. ]?\d{3}\b", "be.vat", ("btw", "tva", "enterprise number", "nwst"), 0.8, 0.0, "Belgium, Kruispuntbank van Ondernemingen", "BE0468268092", "BE0468268090"),
    ("BE_VAT", r"\b[01]\d{3}\.\d{3}\.\d{3}\b", "be.vat", ("btw nummer", "btw", "tva", "ondernemingsnummer", "numéro d'entreprise", "kbo", "bce", "enterprise number", "nwst"), 0.45, 0.55, "Belgium, Kruispuntbank van Ondernemingen", "btw nummer 0435.746.863", "btw nummer 0435.746.860"),
    ("CH_AHV", r"\b756[. ]?\d{4}[. ]?\d{4}[. ]?\d{2}\b", "ch.ssn", ("ahv", "avs", "ahv nummer"), 0.75, 0.0, "Switzerland, AHVG Art. 50c", "756.8673.3629.91", "756.8673.3629.90"),
    ("CH_UID", r"(?i)\bCHE[ \-]?\d{3}[. ]?\d{3}[. ]?\d{3}\b", "ch.uid", ("uid", "mwst", "tva", "iva"), 0.85, 0.0, "Switzerland, UIDG", "CHE-992.542.118", "CHE-992.542.110"),
    ("CH_VAT", r"(?i)\bCHE[ \-]?\d{3}[. ]?\d{3}[. ]?\d{3}[ ]?(?:MWST|TVA|IVA|TPV)\b", "ch.vat", ("mwst", "tva", "iva"), 0.9, 0.0, "Switzerland, MWSTG", "CHE-204.906.840 MWST", "CHE-204.906.841 MWST"),
    ("DE_TAX_NUMBER", r"\b\d{2,3}[/ ]\d{3,4}[/ ]\d{4,5}\b", "de.stnr", ("steuernummer", "steuer nr", "steuernr", "st nr", "finanzamt", "st. nr"), 0.1, 0.0, "Germany, § 139a AO and the Länder's schemes", "steuernummer 401/392/16815", "qty 401/392/16815"),
    ("DE_VAT_ID", r"(?i)\bDE[ ]?\d{3}[ ]?\d{3}[ ]?\d{3}\b", "de.vat", ("ust id", "ust idnr", "umsatzsteuer", "vat", "umsatzsteuer identifikationsnummer"), 0.75, 0.0, "Germany, § 27a UStG", "DE812415868", "DE812415860"),
    ("DE_SOCIAL_SECURITY", r"(?i)\b\d{2}[ ]?[0-3]\d[01]\d\d{2}[ ]?[A-Z][ ]?\d{3}\b", checks.german_pension, ("rentenversicherungsnummer", "sozialversicherungsnummer", "sv nummer", "rvnr", "versicherungsnummer"), 0.7, 0.0, "Germany, § 147 SGB VI", "12010180F968", "12010180F960"),
    ("DE_HEALTH_INSURANCE", r"\b[A-Z]\d{9}\b", checks.german_health_card, ("krankenversichertennummer", "versichertennummer", "krankenversicherung", "kvnr", "gesundheitskarte", "krankenkasse", "egk", "egk nummer", "versicherten nr", "versichertennr"), 0.1, 0.55, "Germany, § 290 SGB V", "krankenversichertennummer G105508860", "krankenversichertennummer G105508861"),
    ("DE_ID_CARD", r"(?i)\b[CFGHJKLMNPRTVWXYZ][CFGHJKLMNPRTVWXYZ0-9]{8}\d?D?\b", checks.travel_document, ("personalausweis", "personalausweisnummer", "ausweisnummer", "ausweis", "identity card"), 0.1, 0.0, "Germany, § 5 PAuswG; ICAO 9303", "personalausweis K17647689", "qty K17647689"),
    ("DE_PASSPORT", r"(?i)\b[CFGHJK][CFGHJKLMNPRTVWXYZ0-9]{8}\d?D?\b", checks.travel_document, ("reisepass", "reisepassnummer", "passnummer", "pass nr"), 0.1, 0.0, "Germany, § 4 PassG; ICAO 9303", "reisepass C42697933", "qty C42697933"),
    ("DE_FUEHRERSCHEIN", r"(?i)\b[A-Z0-9]\d{2}[A-Z0-9]{6}\d[A-Z0-9]\b", checks.has_digits, ("führerschein", "führerscheinnummer", "fahrerlaubnis", "fahrerlaubnisnummer", "führerschein nr"), 0.1, 0.0, "Germany, FeV, Anlage 8", "Führerschein B072RRE2I55", "qty B072RRE2I55"),
    ("DE_KFZ", r"\b[A-ZÄÖÜ]{1,3}[ \-][A-Z]{1,2}[ \-]?[1-9]\d{0,3}[EH]?\b", "", ("kennzeichen", "kfz kennzeichen", "amtliches kennzeichen", "nummernschild", "autokennzeichen", "kfz"), 0.1, 0.51, "Germany, FZV, Anlage 1", "Kennzeichen B-AB 1234", "qty B-AB 1234"),
    ("DE_PLZ", r"\b(?:0[1-9]|[1-9]\d)\d{3}\b", "", ("plz", "postleitzahl"), 0.1, 0.0, "Germany, Deutsche Post", "PLZ 10115", "qty 10115"),
    ("DE_LANR", r"\b\d{9}\b", checks.german_doctor, ("lanr", "lebenslange arztnummer", "arztnummer"), 0.1, 0.0, "Germany, KBV Arztnummern-Richtlinie", "lanr 734500497", "lanr 734500097"),
    ("DE_BSNR", r"\b\d{9}\b", "", ("bsnr", "betriebsstättennummer", "betriebsstaettennummer", "betriebsstätte"), 0.1, 0.0, "Germany, KBV", "bsnr 021234568", "qty 021234568"),
    ("FR_VAT", r"(?i)\bFR[ ]?[0-9A-HJ-NP-Z]{2}[ ]?\d{3}[ ]?\d{3}[ ]?\d{3}\b", "fr.tva", ("tva", "taxe sur la valeur ajoutée", "n° tva"), 0.8, 0.0, "France, CGI art. 286 ter", "FR96834662330", "FR96834662331"),
    ("FR_SIREN", r"\b\d{3}[ ]?\d{3}[ ]?\d{3}\b", "fr.siren", ("siren", "rcs", "répertoire des entreprises"), 0.1, 0.0, "France, INSEE", "siren 711 426 056", "siren 711 426 050"),
    ("FR_SIRET", r"\b\d{3}[ ]?\d{3}[ ]?\d{3}[ ]?\d{5}\b", "fr.siret", ("siret", "establishment"), 0.1, 0.55, "France, INSEE", "siret 668 635 600 39796", "siret 668 635 600 39790"),
    ("FR_TAX_ID", r"\b[0-3]\d[ ]?\d{2}[ ]?\d{3}[ ]?\d{3}[ ]?\d{3}\b", "fr.nif", ("numéro fiscal", "numero fiscal", "spi", "référence fiscale", "nif", "numéro d'immatriculation fiscale"), 0.1, 0.55, "France, DGFiP", "numéro fiscal 3051511897280", "numéro fiscal 3051511897281"),
    ("FR_NATIONAL_ID", r"\b(?:\d{12}|[0-9A-Z]{9})\b", checks.has_digits, ("carte d'identité", "carte nationale d'identité", "cni", "carte d'identite"), 0.1, 0.0, "France, décret 55-1397", "carte d'identité 880692310285", "qty 880692310285"),
    ("IE_PPS", r"(?i)\b\d{7}[ ]?[A-W][A-IW]?\b", "ie.pps", ("pps", "ppsn", "pps number", "personal public service"), 0.1, 0.55, "Ireland, Social Welfare Consolidation Act 2005", "pps 4955320G", "pps 4955321G"),
    ("IE_VAT", r"(?i)\bIE[ ]?\d[0-9A-Z+*]\d{5}[A-W][A-IW]?\b", "ie.vat", ("vat",), 0.8, 0.0, "Ireland, Revenue", "IE1962252F", "IE1962250F"),
    ("LU_VAT", r"(?i)\bLU[ ]?\d{8}\b", "lu.tva", ("tva", "vat", "taxe sur la valeur ajoutée"), 0.75, 0.0, "Luxembourg, AED", "LU97228751", "LU97228750"),
    ("MC_VAT", r"(?i)\bFR[ ]?\d{2}[ ]?000[ ]?\d{3}[ ]?\d{3}\b", "mc.tva", ("tva", "taxe sur la valeur ajoutée"), 0.85, 0.0, "Monaco", "FR40000577030", "FR40000577031"),
    ("NL_VAT", r"(?i)\bNL[ ]?\d{9}[ ]?B[ ]?\d{2}\b", "nl.btw", ("btw", "omzetbelasting", "omzetbelastingnummer", "btw identificatienummer"), 0.85, 0.0, "Netherlands, Belastingdienst", "NL072904677B06", "NL072904677B00"),
    ("NL_ID_CARD", r"\b[A-NP-Z]{2}[A-NP-Z0-9]{6}\d\b", "nl.identiteitskaartnummer", ("identiteitskaart", "id kaart", "documentnummer", "paspoort", "paspoortnummer"), 0.1, 0.0, "Netherlands, Paspoortwet", "identiteitskaart NWR1B2C36", "qty NWR1B2C36"),
    ("NL_EDUCATION_NUMBER", r"\b10\d{7}\b", "nl.onderwijsnummer", ("onderwijsnummer", "pgn"), 0.1, 0.55, "Netherlands, DUO", "onderwijsnummer 107629295", "onderwijsnummer 107629290"),
    ("UK_UTR", r"(?i)\b\d{10}\b", "gb.utr", ("utr", "unique taxpayer reference", "unique taxpayer"), 0.1, 0.0, "UK, HMRC", "utr 2688887979", "utr 2688887970"),
    ("UK_VAT", r"(?i)\bGB[ ]?\d{3}[ ]?\d{4}[ ]?\d{2}(?:[ ]?\d{3})?\b", "gb.vat", ("vat",), 0.8, 0.0, "UK, HMRC", "GB737642849", "GB737642840"),
    ("UK_PUPIL_NUMBER", r"\b[A-HJ-NP-RT-Z]\d{11}[0-9A-HJ-NP-RT-Z]\b", "gb.upn", ("upn", "unique pupil number", "pupil number"), 0.45, 0.55, "UK, Department for Education", "upn Z811319953950", "upn Z811319953951"),
    ("UK_DRIVING_LICENCE", r"(?i)\b[A-Z][A-Z9]{4}[ ]?\d[0156]\d[0-3]\d\d[ ]?[A-Z9]{2}[ ]?[A-Z0-9][A-Z]{2}\b", checks.british_driver, ("driving licence", "driver licence", "dvla"), 0.75, 0.0, "UK, DVLA", "MORGA657054SM9IJ", "MORGA657004SM9IJ"),
    ("UK_PASSPORT", r"\b\d{9}\b", "", ("uk passport", "british passport", "passport uk"), 0.1, 0.0, "UK, HM Passport Office", "uk passport 925665416", "qty 925665416"),
    ("UK_PASSPORT", r"(?i)\b[A-Z]{2}\d{7}\b", "", ("uk passport", "british passport", "passport uk", "hm passport office"), 0.1, 0.51, "UK, HM Passport Office, passports before and beside the numeric ones", "uk passport AB1234567", "qty AB1234567"),
    ("UK_POSTCODE", r"(?i)\b(?:GIR[ ]?0AA|[A-PR-UWYZ][A-HK-Y]?\d[A-HJKMNPR-Y\d]?[ ]?\d[ABD-HJLN-UW-Z]{2})\b", "", ("postcode", "post code", "postal code"), 0.1, 0.55, "UK, Royal Mail PAF", "postcode SW1A 1AA", "qty SW1A 1AA"),
    ("UK_POSTCODE", r"\b[A-PR-UWYZ][A-HK-Y]?\d[A-HJKMNPR-Y\d]?[ ]\d[ABD-HJLN-UW-Z]{2}\b", checks.british_postcode, ("postcode", "post code", "postal code"), 0.55, 0.0, "UK, Royal Mail PAF, in capitals and with its space", "to SW1A 1AA", "M2 8GB"),
    ("UK_VEHICLE_REGISTRATION", r"(?i)\b(?:[A-HJ-PR-Y]{2}(?:0[2-9]|[12]\d|5[1-9]|[67]\d)[ ]?[A-HJ-PR-Z]{3}|[A-HJ-NPR-TV-Y]\d{1,3}[ ]?[A-HJ-PR-Y]{3}|[A-HJ-PR-Y]{3}[ ]?\d{1,3}[A-HJ-NPR-TV-Y])\b", "", ("registration", "registration number", "number plate", "vehicle", "car reg", "vrm", "vehicles", "reg", "reg no"), 0.1, 0.55, "UK, DVLA INF104", "registration AB51 ABC", "qty AB51 ABC"),
    ("UK_SORT_CODE", r"\b\d{2}[ \-]\d{2}[ \-]\d{2}\b", "", ("sort code",), 0.1, 0.0, "UK, Pay.UK", "sort code 20-00-00", "qty 20-00-00"),
    ("AT_COMPANY_REGISTER", r"(?i)\bFN[ ]?\d{5,6}[ ]?[A-Z]\b", "at.businessid", ("firmenbuchnummer", "firmenbuch"), 0.7, 0.0, "Austria, Firmenbuchgesetz", "FN 122119m", "FN 12211"),
    ("AT_COMPANY_REGISTER", r"(?i)\b\d{5,6}[ ]?[A-Z]\b", "at.businessid", ("firmenbuchnummer", "firmenbuch", "fn", "company register number"), 0.1, 0.0, "Austria, Firmenbuchgesetz", "firmenbuchnummer 122119m", "qty 122119m"),
    ("BE_BIS_NUMBER", r"\b\d{2}[. ]?\d{2}[. ]?\d{2}[ \-]?\d{3}[. ]?\d{2}\b", "be.bis", ("bis", "bis nummer", "numéro bis", "bisnummer", "bis number", "registre bis", "niss", "insz"), 0.1, 0.55, "Belgium, Koninklijk Besluit van 8 februari 1991", "bisnummer 98472899765", "bisnummer 98472899766"),
    ("BE_EID_CARD", r"\b\d{3}-?\d{7}-?\d{2}\b", "be.eid", ("identiteitskaart", "identiteitskaartnummer", "carte d'identité", "eid", "eid number", "kaartnummer", "identity card"), 0.1, 0.55, "Belgium, FOD Binnenlandse Zaken", "eid 591-2010999-97", "eid 591-2010999-98"),
    ("DE_HANDELSREGISTER", r"\bHR[AB][ ]?(?:Nr\.?[ ])?\d{1,6}(?:[ ][A-Z]{1,2})?\b", "", ("handelsregister", "amtsgericht", "registergericht", "ag"), 0.7, 0.0, "Germany, Handelsregisterverordnung § 13", "Amtsgericht Jena HRB 106960", "HRB ist das Register"),
    ("DE_LEITWEG_ID", r"(?i)\b\d{2,12}-[A-Z0-9]{1,30}-\d{2}\b", "de.leitweg", ("leitweg id", "leitweg", "buyerreference"), 0.45, 0.55, "Germany, KoSIT, Formatspezifikation Leitweg-ID", "Leitweg-ID 09274154-NFH-05", "Leitweg-ID 09274154-NFH-06"),
    ("FR_TRADE_REGISTER", r"(?i)\bRCS[ ][A-ZÀ-Ý][\w'\- ]{1,30}[ ][ABCD]?[ ]?\d{3}[ ]?\d{3}[ ]?\d{3}\b", "fr.rcs", ("immatriculée", "registre du commerce"), 0.8, 0.0, "France, Code de commerce art. R123-237", "RCS Nancy B 323 159 715", "RCS Nancy B 323 159 716"),
    ("LI_PEID", r"\b0{0,5}\d{4,9}\b", "li.peid", ("peid", "personen identifikationsnummer", "liechtenstein tax"), 0.1, 0.0, "Liechtenstein, Steuerverwaltung", "peid 1234567", "qty 1234567"),
)  # fmt: skip

RECOGNIZERS = numbers(_ROWS)
