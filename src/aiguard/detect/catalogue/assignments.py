"""Credentials that only their name gives away: ``api_key = …``, ``password: …``, ``Authorization: Bearer …``."""

from __future__ import annotations

from typing import Final

from aiguard.detect.entropy import password_value, placeholder, secret_value
from aiguard.scan import Recognizer

_KEYS: Final = (
    r"(?:secret|token|api[_\-. ]?(?:key|id)|apikey|auth[_\-. ]?key|"
    r"(?:access|private|secret|encryption|signing|account|master|session|shared|storage|service|license|admin|app|"
    r"client|consumer|deploy|webhook|sas|ssh|functions?|subscription|insert|user)[_\-. ]?key|"
    r"(?:artifactory|asana|bitbucket|discord|dropbox|etsy|facebook|fastly|finicity|flickr|heroku|hubspot|jfrog|linear|"
    r"linkedin|looker|mailchimp|okta|plaid|sendbird|snyk|sonar|square|sumo|travis|twilio|twitch|twitter|zendesk)"
    r"[_\-.]?(?:key|id|oauth|api|login))"
)
_PASSWORDS: Final = (
    r"(?:passw(?:or)?d|passwd|pwd|passphrase|passcode|password|kennwort|passwort|contraseña|mot de passe|senha|"
    r"wachtwoord|(?:[_\-]|\b)pass|[_\-]pw|[_\-](?:pass|pw)|lösenord|hasło|пароль|密码|密碼|パスワード|비밀번호)"
)
_SUFFIX: Final = (
    r"s?(?:[_\-.]?(?:token|key|id|secret|value|string|prod|dev|test|live))?(?:[_\-.][A-Za-z0-9]{1,12}){0,2}[0-9]{0,2}"
)
# What is kept under "credentials_id" names a credential in a store, and is none.
_NAMED: Final = rf"(?:{_KEYS}{_SUFFIX}|credentials?(?:[_\-.]?(?:token|key|secret|value|string))?[0-9]{{0,2}})"
_ASSIGN: Final = (
    r"(?:[\"'`\])]{0,2}[ \t]{0,4}(?:[ ]string[ ])?(?::=|=>|\?=|\.=|\+=|==|!=|[=:(])[ \t]{0,4}"
    r"|[\"'][ ]?,[ ]?|>[ \t\r\n]{0,12}|[ ])"
)
_QUOTED: Final = r"[\"'`]([^\s\"'`]{6,200})"
_BARE: Final = r"([^\s\"'`<>(){}\[\];,&|\\=]{6,200}={0,2})"

_SAMPLE_USERS: Final = frozenset(
    {"test:test", "user:password", "username:password", "username:token", "user:token", "name:password"}
)

RECOGNIZERS = (
    Recognizer(
        name="secret_named_key",
        type="SECRET",
        pattern=(
            r"(?i)[A-Za-z][_\-](?:key|oauth)[\"'`]{0,2}[ \t]{0,3}(?::=|=>|[=: ])[ \t]{0,3}[\"'`]{0,1}([A-Za-z0-9+/_\-]{20,200}=?=?)"
        ),
        validate=lambda text: secret_value(text) and text.count("-") + text.count("_") < 4,
        deny=("public key", "primary key", "foreign key", "cache key", "sort key", "partition key"),
        context_window=24,
        boundary=False,
        base_score=0.6,
        priority=78,
        source="names that keys are kept under, and the entropy of the value",
        examples=(
            "softlayer-key: 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b",
            "--my-key 9f86d081884c7d659a2feaa0c55ad015a3bf",
        ),
        counter_examples=(
            "cache_key = user_profile_settings_v2",
            "primary-key: id",
            'public_key = "9f86d081884c7d659a2feaa0c55ad015a3bf"',
        ),
    ),
    Recognizer(
        name="secret_assignment_quoted",
        type="SECRET",
        pattern=rf"(?i){_NAMED}{_ASSIGN}{_QUOTED}",
        validate=secret_value,
        boundary=False,
        base_score=0.7,
        priority=80,
        source="names that credentials are kept under, and the entropy of the value",
        examples=('api_key = "9f86d081884c7d659a2feaa0c55ad015"', 'setProperty("X_TOKEN", "g5er872qyq7hszlae27h")'),
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
        pattern=rf"(?i){_NAMED}(?:[\"'`\])]{{0,2}}[ \t]{{0,4}}(?::=|=>|\?=|==|[=:])[ \t]{{0,4}}|>[ \t\r\n]{{0,12}}){_BARE}",
        validate=secret_value,
        boundary=False,
        base_score=0.7,
        priority=79,
        source="names that credentials are kept under, and the entropy of the value",
        examples=("API_TOKEN=9f86d081884c7d659a2feaa0c55ad015", "<slackToken>\n  f0e4c2f76c58916ec25\n</slackToken>"),
        counter_examples=("token: $API_TOKEN", "secret=os.environ.get", "token = get_token(user)", "secret: null"),
    ),
    Recognizer(
        name="password_assignment_quoted",
        type="SECRET",
        pattern=rf"(?i){_PASSWORDS}{_SUFFIX}{_ASSIGN}{_QUOTED}",
        validate=password_value,
        boundary=False,
        base_score=0.7,
        priority=80,
        source="names that passwords are kept under",
        examples=('password = "hunter2!"', "'db_password': 'S3cure-pass'"),
        counter_examples=('password = "changeme"', 'password = "${PASSWORD}"', 'label_password = "Password"'),
    ),
    Recognizer(
        name="password_assignment",
        type="SECRET",
        pattern=rf"(?i){_PASSWORDS}{_SUFFIX}(?:[\"'`\])]{{0,2}}[ \t]{{0,4}}(?::=|=>|==|[=:：])[ \t]{{0,4}}|[ ]{{1,2}}(?:is|was|ist|est|es|è|é)[ ]{{1,2}}){_BARE}",
        validate=password_value,
        boundary=False,
        base_score=0.7,
        priority=79,
        source="names that passwords are kept under",
        examples=("Password: Tr0ub4dor3", "my password is hunter22", "пароль: qwe12345"),
        counter_examples=("password: required", "password is incorrect", "password = getpass.getpass()"),
    ),
    Recognizer(
        name="authorization_header",
        type="SECRET",
        pattern=(
            r"(?i)\b(?:authorization|x-api-key|x-auth-token|private-token|apikey|x-jfrog-art-api)[\"']?[ ]{0,2}[:=][ ]{0,2}[\"']?"
            r"(?:(?:basic|bearer|token|apikey|digest)[ ]{1,2})?([A-Za-z0-9+/=_\-.~]{8,400})"
        ),
        validate=lambda text: not placeholder(text) and (len(text) >= 20 or secret_value(text) or text.endswith("=")),
        boundary=False,
        base_score=0.8,
        priority=85,
        source="RFC 9110, section 11.6.2",
        examples=("Authorization: Basic YnJvd3Nlcjo=", "X-Api-Key: 3f2a91bc77de"),
        counter_examples=("Authorization: Bearer XXXXXXXXXXXX", "Authorization: $TOKEN", "Authorization: Bearer ..."),
    ),
    Recognizer(
        name="curl_user",
        type="SECRET",
        pattern=r"(?s)\bcurl\b.{0,300}?[ ](?:-u|--user|--proxy-user)[ =]{0,2}[\"']?([^\s\"':<$\[{]{1,64}:[^\s\"'<$\[{][^\s\"']{2,100})",
        validate=lambda text: text.lower() not in _SAMPLE_USERS and "user:pass" not in text and not placeholder(text),
        boundary=False,
        base_score=0.8,
        priority=85,
        source="curl(1)",
        examples=("curl -u elastic:P@ssw0rd$1 https://localhost:9200",),
        counter_examples=("curl -u <user:password> https://x", 'curl --user "$1:$2"', "curl -u 'test:test'"),
    ),
)
