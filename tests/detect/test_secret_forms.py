"""Keys and passwords in the forms that programs, files and people write them in, and what only looks like one."""

from __future__ import annotations

import random
import string
from typing import Any

import pytest

from aiguard.detect import default_detector, detect_parts
from aiguard.framing import JsonDocument

FORMS = (
    '{name} = "{value}"', "{name}: {value}", "{name}={value}", "export {name}='{value}'", '{{"{name}": "{value}"}}',
    '{{\n  "x": 1,\n  "{name}": "{value}"\n}}', "'{name}' => '{value}',", ':{name} => "{value}"', '{name} := "{value}"',
    'var {name} string = "{value}"', 'let {name}: &str = "{value}";', 'const {name}: string = "{value}";',
    'val {name}: String = "{value}"', 'String {name} = "{value}";', 'char *{name} = "{value}";', 'NSString *{name} = @"{value}";',
    "define('{name}', '{value}');", "<{name}>{value}</{name}>", '<add key="{name}" value="{value}" />',
    '<entry key="{name}">{value}</entry>', '- name: {name}\n  value: "{value}"', "- name: {name}\n  value: {value}",
    'config["{name}"] = "{value}"', 'System.setProperty("{name}", "{value}");', 'if {name} == "{value}":',
    "[section]\n{name} = {value}\nother = 1", 'set("{name}", "{value}")', r'"{{\"{name}\": \"{value}\"}}"', "| {name} | {value} |",
    '{name} <- "{value}"', 'os.environ["{name}"] = "{value}"', "ENV {name}={value}", '{name} ?= "{value}"', '${name} .= "{value}";',
    "https://example.org/v1?units=1&{name}={value}&x=2", '{name}=b"{value}"', "**{name}**: {value}", "`{name}`: `{value}`",
    '$env:{name} = "{value}"', "-D{name}={value} -jar app.jar", "{name}: '{value}' # rotate",
)  # fmt: skip

NAMES = {
    "key": ("api_key", "API_KEY", "apiKey", "STRIPE_SECRET", "auth_token", "clientSecret", "x.access.key", "datadog_api_key", "secret"),
    "password": ("password", "DB_PASSWORD", "dbPass", "admin_pwd", "smtp.passwd", "user-password", "passphrase"),
}  # fmt: skip


def _value(kind: str, chance: random.Random) -> str:
    if kind == "password":
        letters = "".join(chance.choices("abcdefghkmnpqrstuvwABCDEFGHKMNPQRSTUVW", k=chance.randint(5, 9)))
        return f"{letters}{chance.choice('!_-+')}{chance.randint(10, 9999)}"
    alphabet, size = chance.choice(
        [("0123456789abcdef", 32), ("0123456789abcdef", 40), (string.ascii_letters + string.digits, 24), (string.ascii_lowercase + string.digits, 36)]
    )  # fmt: skip
    return "".join(chance.choices(alphabet, k=size))


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("kind", sorted(NAMES))
def test_a_credential_under_its_name_is_found_whole_in_every_form(form: str, kind: str) -> None:
    chance = random.Random(form + kind)
    missed = []
    for name in NAMES[kind]:
        value = _value(kind, chance)
        text = form.format(name=name, value=value)
        at = text.index(value)
        found = [f for f in default_detector().detect(text) if f.type == "SECRET"]
        if not any(f.start <= at and f.end >= at + len(value) for f in found):
            missed.append(text)
    assert missed == []


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(
    "value",
    ["changeme", "your-api-key", "YOUR_TOKEN_HERE", "<password>", "${SECRET}", "{{ secret }}", "$(get_it)", "xxxxxxxxxxxxxxxx", "null",
     "string", "required", "process.env.TOKEN", "os.environ", "********", "my-secret-name", "%(password)s", "example-key-1234"],
)  # fmt: skip
def test_what_stands_for_a_credential_is_none(form: str, value: str) -> None:
    text = form.format(name="api_key", value=value) + "\n" + form.format(name="password", value=value)
    assert [(f.recognizer, text) for f in default_detector().detect(text) if f.type == "SECRET"] == []


@pytest.mark.parametrize(
    "text",
    [
        '"integrity": "sha512-9XK8m3Zc7vB2nQ1wE5rT6yU8iO0pA4sD7fG9hJ2kL5zX8cV1bN3mQ6wE9rT2yU5iO8pA1sD4fG7hJ0kL3zX6cQ=="',
        "idna==3.7 --hash=sha256:82fee1fc78add43492d3a1898bfa6d8a904cc97d8427f683ed8e798d07761aa0",
        "commit 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b (HEAD -> main)",
        "request_id=123e4567-e89b-12d3-a456-426614174000 trace=9f86d081884c7d659a2feaa0c55ad015",
        "key={item.id} token={token} password={props.password}",
        'className="btn-primary-2 key-list-item-3" id="password-input-1" name="token-field"',
        "def check_password(password: str, token: str | None = None) -> bool:",
        'msgid "Password must be at least 8 characters"\nmsgstr "Das Passwort muss mindestens 8 Zeichen haben"',
        '<label for="password">Password:</label><input type="password" name="password" placeholder="Password">',
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGk5d3q2m8v7x1w4z6y9t3r5p8n2b4c6 user@host",
        "-----BEGIN CERTIFICATE-----\nMIIDdzCCAl+gAwIBAgIEAgAAuTANBgkqhkiG9w0BAQUFADBaMQswCQYDVQQGEwJJ\n-----END CERTIFICATE-----",
        "The key features of the token bucket: authorization, access control and a secret sauce of version 3.2.1.",
        "max_tokens: 4096, token_count=128, keyframes: 12, passes: 3, secretary: Jane",
        'import { token } from "./token-2.js"; const key = "user.settings.theme2";',
        "cache_key = f'user:{user_id}:v2', primary_key = 'id', sort_key: created_at_2024",
        "password = getpass.getpass('Password: '); token = request.headers['X-Token']",
        "docker pull alpine@sha256:c5b1261d6d3e43071626931fc004f70149baeba2c8ec672bd4f27761f8e1ad6b",
    ],
)  # fmt: skip
def test_hashes_identifiers_code_and_prose_are_no_secrets(text: str) -> None:
    assert [(f.recognizer, text[f.start : f.end]) for f in default_detector().detect(text) if f.type == "SECRET"] == []


@pytest.mark.parametrize(
    "document",
    [
        {"password": "hunter2secret"},
        {"db": {"api_key": "9f86d081884c7d659a2feaa0c55ad015"}},
        {"credentials": {"secret": {"value": "Q7xk2mP9vT4nL8wR3zJ6"}}},
        {"headers": [{"Authorization": "Bearer q7XkP2mNv9RtLw3Z"}]},
        {"arguments": {"dbPassword": "S3cr3t!&(pass)"}},
    ],
)
def test_a_credential_under_a_key_of_a_document_is_found_whole(document: dict[str, Any]) -> None:
    parts = JsonDocument.of(document).parts()
    found = detect_parts(default_detector(), parts)
    value = parts[-1].text
    assert [(each.type, value[each.start : each.end]) for each in found[-1]] == [("SECRET", value.split(" ")[-1])]


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("password", "is too short (minimum is 8 characters)"),
        ("password_changed_at", "2024-01-02T03:04:05Z"),
        ("passwordPolicy", "required|min:8|letters1"),
        ("next_page_token", "CAUQAA9f86d081884c7"),
        ("token_endpoint", "https://id.example/oauth2/v1/token"),
        ("csrf_token", "9f86d081884c7d659a2feaa0c55ad015"),
        ("api_key_id", "9f86d081884c7d65"),
        ("password", "[SECRET_X7K2M9QA4B]"),
        ("token", "changeme-your-token-1"),
    ],
)
def test_what_stands_under_a_key_about_credentials_is_none(key: str, value: str) -> None:
    assert default_detector().detect(value, context=key) == []


def test_words_for_credentials_in_a_text_do_not_make_one_of_what_follows() -> None:
    assert default_detector().detect("the pass rate20of our token2024 test") == []
