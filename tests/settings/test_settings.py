"""Settings: production unless said otherwise, nothing misspelt goes unnoticed, nothing secret is printed."""

from __future__ import annotations

import base64
import copy
import os
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiguard.audit.keeper import signers_of
from aiguard.audit.note import make_signer
from aiguard.errors import SettingsError
from aiguard.settings import DOCUMENTED, Environment, Secret, Settings

ONE, TWO = (base64.b64encode(bytes([n]) * 32).decode() for n in (251, 252))
SECRET = "sk-not-a-real-key-0123456789"


def load(config: dict[str, Any] | None = None, /, **environ: str) -> Settings:
    return Settings.load(config, environ)


def refused(config: dict[str, Any] | None = None, /, **environ: str) -> str:
    with pytest.raises(SettingsError) as caught:
        load(config, **environ)
    return str(caught.value)


def test_nothing_said_means_production() -> None:
    assert load().environment is Environment.PRODUCTION
    assert load(AIGUARD_ENVIRONMENT=" ").environment is Environment.PRODUCTION
    assert load({"AIGUARD_ENVIRONMENT": None}).environment is Environment.PRODUCTION


@pytest.mark.parametrize("name", ["prod", "Production!", "dev", "debug", "\x00"])
def test_an_environment_we_do_not_know_is_refused(name: str) -> None:
    message = refused(AIGUARD_ENVIRONMENT=name)
    assert message.startswith("AIGUARD_ENVIRONMENT ")


def test_the_nearest_environment_is_suggested() -> None:
    assert 'did you mean "production"?' in refused(AIGUARD_ENVIRONMENT="prod")


@pytest.mark.parametrize("environment", ["production", "staging"])
def test_where_it_counts_nothing_is_made_up(environment: str) -> None:
    settings = load(AIGUARD_ENVIRONMENT=environment)
    assert settings.key_file is None
    with pytest.raises(SettingsError, match="AIGUARD_DATABASE_URL is not set"):
        _ = settings.database_url
    with pytest.raises(SettingsError, match="AIGUARD_DATABASE_URL is not set"):
        settings.check_ready()
    with_database = load(AIGUARD_ENVIRONMENT=environment, AIGUARD_DATABASE_URL="sqlite:///x.db")
    with pytest.raises(SettingsError, match="AIGUARD_KEYS is not set"):
        with_database.check_ready()
    load(AIGUARD_ENVIRONMENT=environment, AIGUARD_DATABASE_URL="sqlite:///x.db", AIGUARD_KEYS=ONE).check_ready()
    assert "for development" in refused(AIGUARD_ENVIRONMENT=environment, AIGUARD_KEY_FILE="master.key")


@pytest.mark.parametrize("environment", ["development", "test"])
def test_on_a_developers_machine_nothing_needs_to_be_set(environment: str) -> None:
    settings = load(AIGUARD_ENVIRONMENT=environment)
    settings.check_ready()
    assert settings.database_url == "sqlite:///.aiguard/aiguard.db"
    assert settings.key_file == Path(".aiguard/master.key")


def test_the_applications_configuration_wins_over_the_environment() -> None:
    settings = load(
        {"AIGUARD_ENVIRONMENT": "test", "AIGUARD_MAX_BODY_BYTES": 5, "AIGUARD_POLICY": Path("other.toml")},
        AIGUARD_ENVIRONMENT="development",
        AIGUARD_MAX_BODY_BYTES="7",
        AIGUARD_STORE_TIMEOUT_SECONDS="0.5",
    )
    assert settings.environment is Environment.TEST
    assert settings.max_body_bytes == 5
    assert settings.policy_path == Path("other.toml")
    assert settings.store_timeout_seconds == 0.5


def test_the_process_environment_is_read_when_none_is_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIGUARD_ENVIRONMENT", "test")
    assert Settings.load().environment is Environment.TEST


@pytest.mark.parametrize(
    ("name", "suggestion"),
    [
        ("AIGUARD_LOG_PROTECT", "AIGUARD_LOG_PROTECTION"),
        ("AIGUARD_ENVIROMENT", "AIGUARD_ENVIRONMENT"),
        ("AIGUARD_DATABASE_URI", "AIGUARD_DATABASE_URL"),
        ("aiguard_keys", "AIGUARD_KEYS"),
        ("AIGUARD_OPENAI_API_KEY_PROD", "configuration.md"),
        ("AIGUARD_API_KEY", ""),
        ("AIGUARD_", ""),
    ],
)
def test_a_misspelt_setting_is_refused_wherever_it_stands(name: str, suggestion: str) -> None:
    for message in (refused({name: SECRET}), refused(**{name: SECRET})):
        assert name in message
        assert suggestion in message
        assert SECRET not in message


def test_settings_of_others_are_not_ours() -> None:
    load({"SECRET_KEY": "x", "DEBUG": True}, PATH="/bin", AIGUARDIAN="x")


def test_what_kubernetes_invents_for_a_service_of_our_name_is_ignored_in_the_environment_only() -> None:
    invented = {
        "AIGUARD_SERVICE_HOST": "10.0.0.1",
        "AIGUARD_SERVICE_PORT": "80",
        "AIGUARD_PORT": "tcp://10.0.0.1:80",
        "AIGUARD_PORT_80_TCP_ADDR": "10.0.0.1",
    }
    load(**invented)
    for name in invented:
        assert name in refused({name: "x"})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("AIGUARD_MAX_BODY_BYTES", "0"),
        ("AIGUARD_MAX_BODY_BYTES", "-1"),
        ("AIGUARD_MAX_BODY_BYTES", "1MiB"),
        ("AIGUARD_MAX_BODY_BYTES", "9" * 5000),
        ("AIGUARD_MAX_BODY_BYTES", True),
        ("AIGUARD_MAX_BODY_BYTES", 1.5),
        ("AIGUARD_MAX_RESPONSE_BYTES", "inf"),
        ("AIGUARD_STORE_TIMEOUT_SECONDS", "nan"),
        ("AIGUARD_STORE_TIMEOUT_SECONDS", "inf"),
        ("AIGUARD_STORE_TIMEOUT_SECONDS", "0"),
        ("AIGUARD_PROVIDER_TIMEOUT_SECONDS", [1]),
        ("AIGUARD_LOG_PROTECTION", "maybe"),
        ("AIGUARD_ALLOW_PLAIN_HTTP", 2),
        ("AIGUARD_POLICY", "a\nb"),
        ("AIGUARD_DATABASE_URL", 5),
        ("AIGUARD_DATABASE_URL", "sqlite:///a\x00"),
        ("AIGUARD_OPENAI_API_KEY", "a\r\nX-Header: b"),
    ],
)
def test_a_value_that_cannot_be_meant_is_refused_by_name(name: str, value: object) -> None:
    message = refused({name: value})
    assert message.startswith(f"{name} ")
    assert len(message) < 300


@pytest.mark.parametrize(
    ("word", "expected"), [("true", True), ("Yes", True), ("0", False), ("OFF", False), (False, False)]
)
def test_switches_are_words(word: object, expected: bool) -> None:  # noqa: FBT001 - the expected value
    assert load({"AIGUARD_LOG_PROTECTION": word}).log_protection is expected


def test_keys_are_read_newest_last_in_either_alphabet() -> None:
    urlsafe = TWO.replace("+", "-").replace("/", "_")
    settings = load(AIGUARD_KEYS=f"{ONE}, {urlsafe}")
    assert settings.keys == (bytes([251]) * 32, bytes([252]) * 32)
    assert load({"AIGUARD_KEYS": [ONE, Secret(TWO), bytes(32)]}).keys == (*settings.keys, bytes(32))


def test_keys_are_read_from_a_file(tmp_path: Path) -> None:
    path = tmp_path / "keys"
    path.write_text(f"{ONE}\n{TWO}\n", encoding="ascii")
    path.chmod(0o600)
    assert load(AIGUARD_KEYS_FILE=str(path)).keys == load(AIGUARD_KEYS=f"{ONE},{TWO}").keys
    assert "both set" in refused(AIGUARD_KEYS_FILE=str(path), AIGUARD_KEYS=ONE)
    path.chmod(0o622)
    assert f"chmod o-w {path}" in refused(AIGUARD_KEYS_FILE=str(path))


def written(path: Path, line: str) -> None:
    if not path.read_text(encoding="ascii"):  # later its mode says that nobody writes to it
        path.write_text(f"{line}\n", encoding="ascii")


def master_keys_in(path: Path, environment: str) -> object:
    written(path, ONE)
    return load(AIGUARD_KEYS_FILE=str(path), AIGUARD_ENVIRONMENT=environment).keys


SIGNER = make_signer("example.com/ai-log").encode()


def signing_keys_in(path: Path, environment: str) -> object:
    written(path, SIGNER)
    return signers_of(load(AIGUARD_AUDIT_SIGNING_KEY_FILE=str(path), AIGUARD_ENVIRONMENT=environment))


FILES = pytest.mark.parametrize(
    ("keys_in", "name"),
    [(master_keys_in, "AIGUARD_KEYS_FILE"), (signing_keys_in, "AIGUARD_AUDIT_SIGNING_KEY_FILE")],
)


@FILES
@pytest.mark.parametrize("environment", ["", "production", "staging"])
def test_a_file_of_keys_that_everybody_may_read_is_refused(
    tmp_path: Path, environment: str, keys_in: Callable[[Path, str], object], name: str
) -> None:
    path = tmp_path / "keys"
    path.touch(0o600)
    assert keys_in(path, environment)
    for mode, remedy in ((0o644, "o-r"), (0o602, "o-w"), (0o666, "o-w")):
        path.chmod(mode)
        with pytest.raises(SettingsError) as raised:
            keys_in(path, environment)
        assert f"chmod {remedy} {path}" in str(raised.value)
        assert name in str(raised.value)
        assert ONE not in str(raised.value)
        assert SIGNER not in str(raised.value)
    path.chmod(0o640)
    assert keys_in(path, environment)
    path.chmod(0o440)  # as a secret is mounted for the group of a container
    assert keys_in(path, environment)


@FILES
@pytest.mark.parametrize("environment", ["development", "test"])
def test_a_file_of_keys_that_everybody_may_read_is_pointed_out_to_a_developer(
    tmp_path: Path,
    environment: str,
    keys_in: Callable[[Path, str], object],
    name: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    path = tmp_path / "keys"
    path.touch(0o600)
    assert keys_in(path, environment)
    assert not caplog.records
    path.chmod(0o644)
    assert keys_in(path, environment)
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert f"chmod o-r {path}" in caplog.text
    assert name in caplog.text
    assert ONE not in caplog.text
    assert SIGNER not in caplog.text


def test_a_key_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    missing, binary, empty = tmp_path / "missing", tmp_path / "binary", tmp_path / "empty"
    binary.write_bytes(os.urandom(32) + b"\xff")
    empty.write_bytes(b"\n")
    for path in (binary, empty):
        path.chmod(0o600)
    assert "cannot be read (No such file or directory)" in refused(AIGUARD_KEYS_FILE=str(missing))
    assert "cannot be read" in refused(AIGUARD_KEYS_FILE=str(tmp_path))
    assert "is not a text file" in refused(AIGUARD_KEYS_FILE=str(binary))
    assert "holds no key" in refused(AIGUARD_KEYS_FILE=str(empty))


@pytest.mark.parametrize(
    "keys",
    [
        base64.b64encode(bytes(16)).decode(),
        base64.b64encode(bytes(33)).decode(),
        ONE[:-1],
        f"{ONE},",
        f"{ONE},{ONE}",
        "password",
        "é" * 44,
        ",",
    ],
)
def test_a_key_that_is_none_is_refused_by_its_position_and_not_shown(keys: str) -> None:
    message = refused(AIGUARD_KEYS=keys)
    assert message.startswith("AIGUARD_KEYS: key ")
    assert "openssl" in message or "twice" in message
    assert ONE not in message
    assert keys[:8] not in message


def test_the_credential_of_this_environment_comes_first() -> None:
    names = ["AIGUARD_OPENAI_API_KEY_STAGING", "AIGUARD_OPENAI_API_KEY", "OPENAI_API_KEY"]
    environ = {"AIGUARD_ENVIRONMENT": "staging", **{name: name.lower() for name in names}}
    for name in names:
        assert load(**environ).credential("openai").reveal() == name.lower()
        del environ[name]
    with pytest.raises(SettingsError, match=" or ".join(names)):
        load(**environ).credential("openai")


def test_production_never_takes_the_credential_of_another_environment() -> None:
    with pytest.raises(SettingsError, match="AIGUARD_OPENAI_API_KEY_PRODUCTION"):
        load(AIGUARD_OPENAI_API_KEY_DEVELOPMENT="x").credential("openai")


def test_any_provider_can_have_a_credential_but_only_two_have_a_vendors_name() -> None:
    settings = load(AIGUARD_MY_MODELS_API_KEY="k", MISTRAL_API_KEY="m", ANTHROPIC_API_KEY="a")
    assert settings.credential("my-models").reveal() == "k"
    assert settings.credential("anthropic").reveal() == "a"
    with pytest.raises(SettingsError, match=r"set AIGUARD_MISTRAL_API_KEY_PRODUCTION or AIGUARD_MISTRAL_API_KEY$"):
        settings.credential("mistral")


def test_a_base_url_is_ours_then_the_vendors_then_none() -> None:
    environ = {"AIGUARD_OPENAI_BASE_URL": "https://a.example/v1/", "OPENAI_BASE_URL": "http://127.0.0.1:8000/v1"}
    assert load(**environ).base_url("openai") == "https://a.example/v1"
    del environ["AIGUARD_OPENAI_BASE_URL"]
    assert load(**environ).base_url("openai") == "http://127.0.0.1:8000/v1"
    assert load().base_url("openai") is None


@pytest.mark.parametrize(
    "url", ["http://localhost:1/v1", "http://127.9.9.9", "http://[::1]:8080", "https://api.example.com"]
)
def test_loopback_and_tls_are_fine(url: str) -> None:
    assert load(OPENAI_BASE_URL=url).base_url("openai") == url


@pytest.mark.parametrize(
    "url",
    [
        "http://api.example.com/v1",
        "http://127.0.0.1.example.com",
        "http://localhost.example.com",
        "http://2130706433",
        "http://0.0.0.0:80",
        "http://10.0.0.1",
    ],
)
def test_plain_http_to_another_machine_needs_an_explicit_yes(url: str) -> None:
    with pytest.raises(SettingsError, match="OPENAI_BASE_URL is plain http"):
        load(OPENAI_BASE_URL=url).base_url("openai")
    assert load(OPENAI_BASE_URL=url, AIGUARD_ALLOW_PLAIN_HTTP="true").base_url("openai") == url


@pytest.mark.parametrize(
    "url",
    [
        "api.example.com",
        "ftp://api.example.com",
        "https://",
        "https://a b",
        "https://a:99999",
        "https://[::1",
        f"https://user:{SECRET}@a.example",
        f"https://a.example/?key={SECRET}",
        f"https://a.example/#{SECRET}",
        "file:///etc/passwd",
        "javascript:alert(1)",
    ],
)
def test_a_base_url_that_is_none_is_refused_and_not_shown(url: str) -> None:
    with pytest.raises(SettingsError) as caught:
        load(AIGUARD_OPENAI_BASE_URL=url).base_url("openai")
    assert str(caught.value).startswith("AIGUARD_OPENAI_BASE_URL ")
    assert SECRET not in str(caught.value)


def test_no_secret_is_ever_printed() -> None:
    settings = load(
        AIGUARD_KEYS=ONE,
        AIGUARD_OPENAI_API_KEY=SECRET,
        AIGUARD_DATABASE_URL=f"postgresql://aiguard:{SECRET}@db/aiguard",
    )
    for shown in (repr(settings), str(settings), f"{settings.credential('openai')!r}{settings.credential('openai')}"):
        assert SECRET not in shown
        assert ONE not in shown
        assert repr(settings.keys[0]) not in shown
    assert {doc.name for doc in DOCUMENTED if doc.secret} >= {"AIGUARD_KEYS", "AIGUARD_DATABASE_URL"}


def test_a_secret_compares_and_does_not_travel() -> None:
    assert Secret(SECRET) == Secret(SECRET)
    assert Secret(SECRET) != Secret("x")
    assert Secret(SECRET) != SECRET
    assert Secret("é") == Secret("é")
    assert f"{Secret(SECRET)}" == "Secret(***)"
    for carry in (pickle.dumps, copy.deepcopy):
        with pytest.raises(TypeError, match="not pickled"):
            carry(Secret(SECRET))


@given(
    st.dictionaries(
        st.sampled_from(
            [doc.name.replace("<PROVIDER>", "OPENAI").replace("<ENVIRONMENT>", "TEST") for doc in DOCUMENTED]
        )
        | st.text(max_size=8).map(lambda text: "AIGUARD_" + text),
        st.none() | st.text(max_size=20) | st.booleans() | st.integers() | st.floats() | st.binary(max_size=4),
        max_size=4,
    )
)
def test_any_mapping_loads_or_raises_a_settings_error_that_shows_no_value(config: dict[str, Any]) -> None:
    try:
        settings = Settings.load(config, environ={})
        assert settings.environment in Environment
    except SettingsError as error:
        shown = str(error)
        assert "AIGUARD_" in shown.upper()
