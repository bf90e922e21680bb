"""Credentials in the places where programs and people keep them: configuration files, markup, declarations, sentences."""

from __future__ import annotations

import base64
import binascii
from typing import Final

from aiguard.detect.catalogue.naming import FORGERY
from aiguard.detect.entropy import argument, password_value, secret_value, strong_value
from aiguard.scan import Recognizer

_NAMES: Final = (
    r"(?:pass(?:word|wd|phrase|code)|pwd|secret|token|api[_\-.]?key|access[_\-.]?key|private[_\-.]?key|credentials?)"
)
_KEYS: Final = r"(?:api|access|secret|auth|app|client|service|license|encryption)[ _\-]?(?:key|token|secret)"
_PASSWORDS: Final = (
    r"(?:password|passcode|passphrase|passwd|pwd|pw|passwort|kennwort|wachtwoord|contraseña|senha|hasło|пароль)"
)
_COMMUNITIES: Final = frozenset({"public", "private", "community", "string", "read", "write"})


def _pair(text: str) -> bool:
    """Base64 of ``name:password``, as registries' clients keep it."""
    try:
        user, colon, password = base64.b64decode(text + "=" * (-len(text) % 4), validate=True).decode().partition(":")
    except (binascii.Error, ValueError):
        return False
    return bool(user) and bool(colon) and len(password) >= 3 and (user + password).isprintable()


def _random(text: str) -> bool:
    return secret_value(text) and any(map(str.isdigit, text)) and any(map(str.isalpha, text))


def _typed(text: str) -> bool:
    return secret_value(text) or (password_value(text) and any(map(str.isdigit, text)))


def _mixed(text: str) -> bool:
    """Small and capital letters, figures and a sign that names, paths and addresses do not have."""
    parts = (any(map(str.islower, text)), any(map(str.isupper, text)), any(map(str.isdigit, text)))
    return (
        all(parts) and any(sign in text[:-1] for sign in "!#$%^&*+=?~") and "://" not in text and password_value(text)
    )


# name, pattern, check, source, example, counter-example
_PLACES: Final = (
    (
        "secret_xml_element",
        rf"(?i)<[\w:.\-]{{0,40}}{_NAMES}[\w.\-]{{0,20}}(?:[ ][^<>]{{0,120}})?>[ \t\r\n]{{0,12}}(?:\{{(?:[^<>\s{{}}]{{1,40}}[ ]){{1,3}})?([^\s<>]{{6,200}})[ \t\r\n]{{0,12}}</",
        _typed, "XML: an element named after a credential", "<password>Gh7$kLp0</password>", "<password>changeme</password>",
    ),
    (
        "secret_xml_attributes",
        rf"(?i)(?:key|name)[ ]?=[ ]?[\"'][^\"'<>]{{0,60}}{_NAMES}[\"'][ \t\r\n]{{1,12}}value[ ]?=[ ]?[\"']([^\"'\s]{{6,200}})[\"']",
        _typed, "XML: a name and a value", '<add key="ApiSecret" value="7n1AyOHFRuT11NCue1cr" />', '<add key="ApiSecret" value="your-secret" />',
    ),
    (
        "netrc_password",
        r"\bmachine[ \t\r\n]{1,8}[^\s]{1,100}[ \t\r\n]{1,8}login[ \t\r\n]{1,8}[^\s]{1,100}[ \t\r\n]{1,8}password[ \t\r\n]{1,8}([^\s]{4,200})",
        argument, "netrc(5)", "machine example.org login joe password Gfc9vJAX", "machine example.org login joe password $PW",
    ),
    (
        "docker_auth",
        r"\"auth\"[ ]{0,2}:[ ]{0,2}\"([A-Za-z0-9+/]{8,400}={0,2})\"",
        _pair, "Docker's config.json", '{"auths": {"https://example.org": {"auth": "am9lOmh1bnRlcjIxMjM0NQ=="}}}', '"auth": "required"',
    ),
    (
        "powershell_secure_string",
        r"(?i)\bConvertTo-SecureString[ ]{1,4}(?:-String[ ]{1,4})?[\"']([^\"'\s$][^\"'\s]{4,200})[\"']",
        argument, "PowerShell, ConvertTo-SecureString", "ConvertTo-SecureString 'S3cretPw1!' -AsPlainText -Force", 'ConvertTo-SecureString "$Password" -AsPlainText',
    ),
    (
        "secret_typed_declaration",
        rf"(?i){_NAMES}[A-Za-z0-9_]{{0,20}}[ ]{{0,2}}:[ ]{{0,2}}&?(?:'static[ ])?[A-Za-z][\w.<>\[\]?]{{1,24}}[ ]{{0,2}}=[ ]{{0,2}}[\"'`]([^\s\"'`]{{6,200}})[\"'`]",
        _typed, "declarations with a type, as in Rust, TypeScript, Kotlin, Swift and Python",
        'let token: &str = "a4wO5Ndor89QtvnQzKlIeyGFPnShWzKb";', 'val token: String = "your-token-here"',
    ),
    (
        "secret_told",
        rf"(?i)\b(?:{_KEYS}|token|secret)[ ]{{1,2}}(?:is|was|ist|lautet|est|es|è|é)[ ]?:?[ \t]{{1,3}}[\"'`]?([A-Za-z0-9+/_\-=.]{{16,200}})",
        _random, "how people write keys to each other", "my api key is 2gOCZPeJMQW9cy78kyEk2FINMdB8FAsH", "the token is documented-elsewhere",
    ),
    (
        "password_told",
        rf"(?i)\b{_PASSWORDS}(?:[ ]{{1,2}}(?:is|was|ist|lautet|est|es|è|é))?[ ]?[:：][ \t]{{0,3}}[\"'`]?([^\s\"'`<>]{{6,100}})",
        password_value, "how people write passwords to each other", "PW: Zx81kk!2", "pw: required",
    ),
    (
        "password_told_east_asia",
        r"(?:비밀번호|비번|패스워드|암호|パスワード|暗証番号|密码|密碼|口令)[ ]?(?:는|은|가|이|は|が|是|为|為)[ ]{0,2}[\"'`「“]?([!#-&(-;=?-_a-~]{6,64})",
        password_value, "how people tell passwords in Chinese, Japanese and Korean", "密码是 Zx81kk!2", "密码是什么东西啊",
    ),
    (
        "password_beside",
        r"(?i)\b(?:password|passwort|passwd|pw|pwd|mot de passe|contraseña|senha|wachtwoord|hasło|heslo|пароль)[ ]([^\s\"'`<>]{8,64})",
        _mixed, "how people write a password behind the word and no sign", "user admin password Zx81kk!2", "password Reset-Link-2024",
    ),
    (
        "net_user",
        r"(?i)\bnet[ ]{1,4}user[ ]{1,4}[^\s/]{1,64}[ ]{1,4}([^\s/*]{6,64})",
        password_value, "Windows, net user", "net user bob P4ss!word /add", "net user bob /delete",
    ),
    (
        "key_told",
        (r"(?i)\b(?:api[ _\-]?key|access[ _\-]?(?:key|token)|auth(?:entication)?[ _\-]?token|client[ _\-]?secret|secret[ _\-]?key|bearer[ _\-]?token)"
        r"(?:[ ][a-z]{1,8}){0,3}[ ](?:is|was|are)[ ]?:?[ ][\"'`]?([A-Za-z0-9+/_\-.~]{16,160}={0,2})"),
        strong_value, "how people tell keys", "the API key we use is 7b52009b64fd0a2a49e6d8a939753077", "the api key is documented-in-chapter-12",
    ),
    (
        "password_column",
        rf"(?i)\b{_PASSWORDS}\t{{1,3}}([^\s\"'`<>]{{6,100}})",
        password_value, "tables whose columns tabs part", "password\tZx81kk!2", "password\tusername",
    ),
    (
        "secret_column",
        rf"(?i)\b[\w.\-]{{0,40}}{_NAMES}[\w.\-]{{0,20}}(?:\t{{1,3}}|[ ]?[,;][ ]?)([A-Za-z0-9+/_\-.~]{{14,160}}={{0,2}})",
        strong_value, "a name and a value in two columns", "looker_api_key\t9f86d081884c7d659a2feaa0c55ad015", "api_key, access_token_for_tests_2",
    ),
    (
        "secret_directive",
        rf"(?i)\b(?:ENV|ARG|SetEnv|setenv|setx|set -gx|fastcgi_param|config(?:ure)?[ ]set|secrets?[ ]set)[ \t]{{1,4}}[\w.\-]{{0,40}}(?:{_NAMES}|_pass|_key)[\w.\-]{{0,20}}[ \t]{{1,4}}[\"']?([^\s\"'`<>]{{6,200}})",
        _typed, "Dockerfiles, shells and web servers: a directive, a name and a value", "ENV SNYK_API_KEY 2ba7694a5f07802b24a2e88bbfa2895d", "ENV API_KEY $API_KEY",
    ),
    (
        "secret_default",
        (rf"(?i)(?:\bvariable[ ]\"[\w\-]{{0,40}}{_NAMES}[\w\-]{{0,20}}\"[ ]?\{{[^{{}}]{{0,200}}?\bdefault[ ]{{0,8}}=|\b[\w\-]{{0,40}}{_NAMES}[\w\-]{{0,20}}:[ ]?\r?\n"
        r"(?:[ ]{2,16}[A-Za-z]{1,20}:[^\n]{0,80}\n){0,4}[ ]{2,16}Default:)[ ]{0,8}[\"']?([^\s\"'<>{}$!]{6,200})"),
        _typed, "Terraform and CloudFormation: the default of a variable", 'variable "db_password" {\n  type = string\n  default = "Terra-f0rm"\n}', 'variable "db_password" {\n  default = "required"\n}',
    ),
    (
        "wordpress_key",
        r"(?i)\bdefine\([ ]?['\"](?:(?:secure_)?auth|logged_in|nonce)_(?:key|salt)['\"],[ ]{1,16}['\"]([^\r\n]{40,90}?)['\"][ ]?\)",
        lambda text: len(set(text)) > 16 and "unique phrase" not in text, "WordPress, wp-config.php", "define('AUTH_KEY', 't`DK%X:>xy|e-Z(BXb/f(Ur`8#~UzUQG-^_Cs_GHs5U-&Wb?pgn^p8(2@}IcnCa|');", "define('AUTH_KEY', 'put your unique phrase here, put your unique phrase here');",
    ),
    (
        "secret_listed",
        rf"(?i)\b[\w.\-]{{0,40}}{_NAMES}[\w.\-]{{0,20}}[\"']?[ ]?[:=][ ]?(?:\[[ \r\n]{{0,20}}|\r?\n[ \t]{{0,20}}-[ \t]{{1,4}})[\"']?([^\s\"'`<>\[\]{{}},]{{8,200}})",
        _random, "YAML and JSON: the first of a list under its name", "api_tokens:\n  - 2ba7694a5f07802b24a2e88bbfa2895d", "tokens:\n  - documentation-of-2024",
    ),
    (
        "login_pair",
        rf"(?i)\b(?:id|user(?:name)?|login|account)[ ]?[/&][ ]?{_PASSWORDS}[ ]?[:=：][ ]{{0,3}}[^\s/|,]{{1,64}}[ ]{{0,2}}[/|][ ]{{0,2}}([^\s/|,]{{5,100}})",
        password_value, "how people write a name and a password", "ID/PW: joe / Zx81kk!2", "login / password: see / intranet",
    ),
    (
        "secret_argument",
        (r"(?i)\b(?:client|connect|auth|authenticate|login|configure|openai|anthropic|cohere|mistral|groq|together|replicate|pinecone|set_?(?:api_?)?(?:key|token))"
        r"\([ ]?(?:[a-z_]{0,20}[ ]?=[ ]?)?[\"']([A-Za-z0-9_\-]{30,120})[\"']"),
        _random, "the first argument of a client of an API", "co = cohere.Client('s0gNTkqXI5tJowNGGjKTm7HTT17mK8bOQmXfipEK')", "client('documents-of-the-year-before-last')",
    ),
    (
        "session_cookie",
        r"(?i)\b(?:set-)?cookie[\"']?[ ]?:[ ]?[\"']?[^\n\"']{0,200}?(?:sess(?:ion)?|sid|auth|token|jwt)[A-Za-z_.\-]{0,20}=([A-Za-z0-9%_\-.+/=:]{16,400})",
        _random, "RFC 6265: a session's cookie lets whoever has it in", "Cookie: lang=en; sessionid=vqVNumVEJzd39iW5Fhol17PY8j1hZgGq", "Cookie: session=none",
    ),
    (
        "snmp_community",
        r"(?i)\bsnmp-server[ ]community[ ](?:\d[ ])?([^\s]{4,40})",
        lambda text: text.lower() not in _COMMUNITIES and argument(text), "RFC 1901, section 2; Cisco IOS", "snmp-server community Pr1v8str RO", "snmp-server community public RO",
    ),
    (
        "sentry_dsn",
        r"\bhttps?://([0-9a-f]{32}(?::[0-9a-f]{32})?)@[A-Za-z0-9.\-]{1,100}/\d{1,12}\b",
        lambda text: len(set(text)) > 6, "Sentry, client keys", "https://2ca5b04c16bed33ededc7c11ee911a4e@o1.ingest.example/2", "https://joe@example.org/2",
    ),
)  # fmt: skip

RECOGNIZERS = tuple(
    Recognizer(
        name=name,
        type="SECRET",
        pattern=pattern,
        validate=check,
        deny=FORGERY if name == "secret_xml_attributes" else (),
        boundary=False,
        base_score=0.7,
        priority=77,
        source=source,
        examples=(example,),
        counter_examples=(counter,),
    )
    for name, pattern, check, source, example, counter in _PLACES
)
