"""Credentials that only their name gives away: ``api_key = …``, ``password: …``, ``Authorization: Bearer …``."""

from __future__ import annotations

from typing import Final

from aiguard.detect.catalogue import commands, providers
from aiguard.detect.catalogue.naming import ALPHABET, BARE, BARE_LINK, FORGERY, QUOTED, QUOTED_LINK
from aiguard.detect.entropy import password_value, secret_value, strong_value, word_password
from aiguard.scan import Recognizer

_KEYS: Final = (
    r"(?:secret|token|api[_\-. ]?(?:key|id)|apikey|auth[_\-. ]?key|"
    r"(?:access|private|pre[_\-.]?shared|secret|encryption|signing|account|master|session|shared|storage|service|license|admin|app|application|"
    r"client|consumer|deploy|webhook|sas|ssh|functions?|subscription|insert|user)[_\-. ]?key|"
    r"(?:artifactory|asana|bitbucket|discord|dropbox|etsy|facebook|fastly|finicity|flickr|heroku|hubspot|jfrog|linear|"
    r"linkedin|looker|mailchimp|okta|plaid|sendbird|snyk|sonar|square|sumo|travis|twilio|twitch|twitter|zendesk)"
    r"[_\-.]?(?:key|id|oauth|api|login))"
)
_PASSWORDS: Final = (
    r"(?:passw(?:or)?d|passwrd|passwd|pasword|paasword|passowrd|passwrod|pwd|pswd|passphrase|pass[_\- ]phrase|passcode|kennwort|passwort|contrase(?:ñ|n)a|"
    r"mot[_\- ]de[_\- ]passe|mdp|senha|wachtwoord|lösenord|losenord|adgangskode|salasana|jelszó|heslo|hasło|haslo|parola|şifre|"
    r"пароль|密码|密碼|パスワード|비밀번호|(?:[_\-]|\b)(?:pass|psw|pw|p/w|pword|psk|clave)|(?-i:[a-z]P(?:ass|w|W))"
    r"|\b(?:user|my|db|root|admin|login|ftp|smtp|mail|ssh|sql|mysql|redis|wifi|web|app|default|new|old|temp)(?:pass|pw|psw)|비번|패스워드)"
)
_SUFFIX: Final = (
    r"s?(?:[_\-.]?(?:token|key|id|secret|value|string|prod|dev|test|live))?(?:[_\-.][A-Za-z0-9]{1,12}){0,2}[0-9]{0,2}"
)
# What is kept under "credentials_id" names a credential in a store, and is none.
_NAMED: Final = rf"(?:{_KEYS}{_SUFFIX}|credentials?(?:[_\-.]?(?:token|key|secret|value|string))?[0-9]{{0,2}})"
_WIDE: Final = (
    r"(?:access|auth|api|cred(?:ential)?s?|key|secret|token|passw(?:or)?d|salt|cookie|session|\bsid|_sid|webhook|cert|sign|\bpat|_pat)"
    r"[A-Za-z0-9_ \t.\-]{0,24}"
)
# What is public by its name, or names something else than a secret.
_PUBLIC: Final = (
    "author",
    "public", "primary", "foreign", "cache", "sort", "partition", "integrity", "checksum", "hash", "sha",
    "sha1", "sha256", "sha512", "digest", "md5", "etag", "commit", "revision", "rev", "fingerprint", "thumbprint",
    *FORGERY, "signature", "signaturevalue", "x509 certificate", "x509certificate", "keyid", "key serial number", "secrets id", "secret name", "secret id", "key id", "object key", "song", "keyword", "idempotency", "tokenizer",
    "tokenization", "publishable", "site key", "sitekey",
    "name", "version", "url", "uri", "path", "file", "index", "accessor", "credential id", "oid", "image", "tag", "build", "branch",
)  # fmt: skip

RECOGNIZERS = (
    Recognizer(
        name="secret_wide_quoted",
        type="SECRET",
        pattern=rf"(?i){_WIDE}{QUOTED_LINK}{ALPHABET}",
        validate=strong_value,
        deny=_PUBLIC,
        context_window=28,
        boundary=False,
        not_before="(",
        base_score=0.6,
        priority=78,
        source="names that keys are kept under, and how random the value is",
        examples=(
            'softlayer-key: "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b"',
            "user_auth_blob => 'Q7xk2mP9vT4nL8wR3zJ6'",
            '<add key="ServiceSigningKeyV2" value="Q7xk2mP9vT4nL8wR3zJ6" />',
        ),
        counter_examples=(
            'public_key = "9f86d081884c7d659a2feaa0c55ad015a3bf"',
            'cache_key = "user-profile-settings-v2-2024"',
            '"key": "com.example.product.settings2"',
            'keyName: "2024-10-11T12:00:00Z-report"',
        ),
    ),
    Recognizer(
        name="secret_wide",
        type="SECRET",
        pattern=rf"(?i){_WIDE}{BARE_LINK}{ALPHABET}",
        validate=strong_value,
        deny=_PUBLIC,
        context_window=28,
        boundary=False,
        not_before="(",
        base_score=0.6,
        priority=77,
        source="names that keys are kept under, and how random the value is",
        examples=("softlayer-key: 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b",),
        counter_examples=("cache_key = user_profile_settings_v2", "primary-key: id", "authors: 2b6c9f0 and 3d4e5f6"),
    ),
    Recognizer(
        name="secret_assignment_quoted",
        type="SECRET",
        pattern=rf"(?i){_NAMED}{QUOTED_LINK}{QUOTED}",
        validate=secret_value,
        deny=("secret name", "secrets id", "public", *FORGERY),
        context_window=30,
        boundary=False,
        not_before="(",
        base_score=0.7,
        priority=80,
        source="names that credentials are kept under, and the entropy of the value",
        examples=(
            'api_key = "9f86d081884c7d659a2feaa0c55ad015"',
            'setProperty("X_TOKEN", "g5er872qyq7hszlae27h")',
            r"{\"client_secret\": \"g5er872qyq7hszlae27h\"}",
        ),
        counter_examples=(
            'token = "your-token-here"',
            'secret_name = "database-password"',
            "max_tokens: 4096",
            "credentialsId: '29f63271-dc2f-4734-8221-5b31b5169bac'",
        ),
    ),
    Recognizer(
        name="secret_assignment",
        type="SECRET",
        pattern=rf"(?i){_NAMED}{BARE_LINK}{BARE}",
        validate=secret_value,
        deny=("secret name", "secrets id", "public", *FORGERY),
        context_window=30,
        boundary=False,
        not_before="(",
        base_score=0.7,
        priority=79,
        source="names that credentials are kept under, and the entropy of the value",
        examples=("API_TOKEN=9f86d081884c7d659a2feaa0c55ad015", "<slackToken>\n  f0e4c2f76c58916ec25\n</slackToken>"),
        counter_examples=("token: $API_TOKEN", "secret=os.environ.get", "token = get_token(user)", "secret: null"),
    ),
    Recognizer(
        name="password_assignment_quoted",
        type="SECRET",
        pattern=rf"(?i){_PASSWORDS}{_SUFFIX}{QUOTED_LINK}{QUOTED}",
        validate=password_value,
        boundary=False,
        base_score=0.7,
        priority=80,
        source="names that passwords are kept under",
        examples=(
            'password = "hunter2!"',
            "'db_password': 'S3cure-pass'",
            "define('DB_PASSWORD', 'S3cure-pass');",
            'conn.setPassword("S3cure-pass")',
            'let dbPass: &str = "S3cure-pass";',
        ),
        counter_examples=('password = "changeme"', 'password = "${PASSWORD}"', 'label_password = "Password"'),
    ),
    Recognizer(
        name="password_word_quoted",
        type="SECRET",
        pattern=(
            rf"(?i)(?:{_PASSWORDS}[0-9]{{0,2}}\\?[\"'`\]}}]{{0,3}}[ \t]{{0,8}}(?::{{1,2}}=|={{1,3}}>?|!={{1,2}}|:)|#define[ ][A-Z0-9_]{{0,30}}PASS(?:WORD)?)[ \t]{{0,8}}"
            r"[bru@]?\\?[\"'`]((?-i:[a-z][a-z_\-]{5,40}))\\?[\"'`]"
        ),
        validate=word_password,
        boundary=False,
        base_score=0.6,
        priority=78,
        source="names that passwords are kept under, and words that say nothing of passwords",
        examples=('"AdminPassword" : "bluegiraffe"', "db_password = 'vzihlaquknriqlht'"),
        counter_examples=(
            '"password": "required"',
            "password = 'username'",
            'FUNCTION_PASS("localstackalloc")',
            '"password": "wachtwoord"',
            "autocomplete: 'current-password'",
        ),
    ),
    Recognizer(
        name="password_word_environment",
        type="SECRET",
        pattern=r"\b(?:[A-Z][A-Z0-9]{0,20}_){0,6}(?:PASSWORD|PASSWD|PASSPHRASE|PASS|PWD)=([a-z][a-z_\-]{7,40})(?:[ \t]{0,8}[#\r\n]|[ \t]{0,8}$)",
        validate=word_password,
        boundary=False,
        base_score=0.6,
        priority=78,
        source="environment files: a name in capitals, and a word that says nothing of passwords",
        examples=("APP_DB_PASSWORD=bluegiraffe\nAPP_PORT=1", "SMTP_PASS=bluegiraffe # old"),
        counter_examples=("DB_PASSWORD=password\n", "DB_PASSWORD=value_from_vault\n", "db_password=giraffes\n"),
    ),
    Recognizer(
        name="password_assignment",
        type="SECRET",
        pattern=(
            rf"(?i){_PASSWORDS}{_SUFFIX}(?:{BARE_LINK}"
            rf"|(?:[ ](?:for|to|of|für|per|para|pour)[ ][^\s:=]{{1,40}}(?:[ ][^\s:=]{{1,20}})?)?[ ]{{1,2}}"
            rf"(?:is|was|now|ist|lautet|est|es|è|é|to)[ ]?:?[ ]{{1,2}}){BARE}"
        ),
        validate=password_value,
        boundary=False,
        not_before="(",
        base_score=0.7,
        priority=79,
        source="names that passwords are kept under",
        examples=(
            "Password: Tr0ub4dor3",
            "my password is hunter22",
            "пароль: qwe12345",
            "the password for staging is Tr0ub4dor3",
            "| password | Tr0ub4dor3 |",
        ),
        counter_examples=(
            "password: required",
            "password is incorrect",
            "password = getpass.getpass()",
            "password = hash256(value)",
        ),
    ),
    *providers.RECOGNIZERS,
    *commands.RECOGNIZERS,
)  # fmt: skip
