"""A policy is enforced exactly as written or refused, with file, line, key and remedy."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from aiguard.errors import PolicyError
from aiguard.policy import InvalidPolicy, Policy, load_policy, parse_policy
from aiguard.types import Operator, Sensitivity

TYPES = frozenset({"EMAIL_ADDRESS", "PHONE_NUMBER", "CREDIT_CARD", "SECRET", "IP_ADDRESS"})
NOW = datetime(2030, 6, 1, tzinfo=UTC)

FULL = """\
# aiguard.toml
[features.support-reply]
scope = "support:reply"
owner = "support-platform"
models = ["openai:gpt-5-mini"]
max_input_tokens = 8000
max_output_tokens = 800
redact = { EMAIL_ADDRESS = "tokenize", CREDIT_CARD = { op = "mask", keep_last = 4 }, SECRET = "block" }
injection = { block = 0.9, flag = 0.5 }
keep = { prompt = "redacted" }

[retention.prompt]
duration = "30d"
basis = "GDPR Art. 6(1)(f)"
mechanism = "crypto-shred"
owner = "privacy-office"
"""


def read(text: str) -> Policy:
    return parse_policy(text, "aiguard.toml", TYPES)


def refused(text: str) -> str:
    with pytest.raises(PolicyError) as caught:
        read(text)
    return str(caught.value)


def feature(*lines: str) -> str:
    return "\n".join(["[features.chat]", 'scope = "chat"', 'owner = "platform"', *lines])


def test_a_policy_says_what_it_says() -> None:
    policy = read(FULL)
    reply = policy.features["support-reply"]
    assert reply.redact["CREDIT_CARD"] == Operator(name="mask", keep_last=4)
    assert reply.redact["*"] == Operator(name="replace")
    assert reply.allows_model("openai:gpt-5-mini")
    assert not reply.allows_model("openai:gpt-5-mini-2026-01-01")
    assert reply.keep.classes == ("prompt",)
    assert reply.output.redact == reply.redact
    assert policy.feature_for_scope("support:reply") is reply
    assert policy.feature_for_scope("support:Reply") is None
    rule = policy.retention["prompt"]
    assert (rule.duration, rule.written, rule.mechanism) == (timedelta(days=30), "30d", "crypto-shred")


def test_what_a_policy_leaves_out_is_the_safe_choice() -> None:
    chat = read(feature()).features["chat"]
    assert chat.mode == "enforce"
    assert chat.models == ()
    assert chat.keep.classes == ()
    assert dict(chat.redact) == {"*": Operator(name="replace")}
    assert chat.max_input_tokens > 0
    assert chat.max_output_tokens > 0


def test_an_empty_policy_admits_nobody() -> None:
    policy = read("")
    assert not policy.features
    assert policy.feature_for_scope("") is None


def test_a_feature_inherits_from_defaults_key_by_key() -> None:
    text = """
[defaults]
redact = { EMAIL_ADDRESS = "tokenize", "*" = "mask" }
injection = { block = 0.8 }
max_output_tokens = 5
output = { redact = { SECRET = "block" }, restore = false, block_patterns = ["a"] }

[features.chat]
scope = "chat"
owner = "platform"
redact = { EMAIL_ADDRESS = "drop" }
injection = { flag = 0.2 }
output = { redact = { IP_ADDRESS = "allow" }, block_patterns = ["b"] }
"""
    chat = read(text).features["chat"]
    assert {name: operator.name for name, operator in chat.redact.items()} == {"*": "mask", "EMAIL_ADDRESS": "drop"}
    assert (chat.injection.block, chat.injection.flag) == (0.8, 0.2)
    assert chat.max_output_tokens == 5
    assert chat.output.block_patterns == ("b",)
    assert chat.output.restore is False
    assert {name: operator.name for name, operator in chat.output.redact.items()} == {
        "*": "mask",
        "EMAIL_ADDRESS": "drop",
        "SECRET": "block",
        "IP_ADDRESS": "allow",
    }


def test_sensitivity_and_signatures_are_read() -> None:
    policy = read(
        '[sensitivity]\nIP_ADDRESS = "restricted"\n'
        '[[injection.signatures]]\nname = "codename"\npattern = "(?i)nightingale"\nscore = 1\n'
    )
    assert dict(policy.sensitivity) == {"IP_ADDRESS": Sensitivity.RESTRICTED}
    assert [(rule.name, rule.score) for rule in policy.signatures] == [("codename", 1.0)]


@pytest.mark.parametrize(
    ("text", "line", "expected"),
    [
        (FULL.replace("models", "modles"), 5, 'modles: is not a known key; did you mean "models"?'),
        (
            FULL.replace("[retention.prompt]", "[retentoin.prompt]"),
            12,
            'retentoin: is not a known key; did you mean "reten',
        ),
        (
            FULL.replace("EMAIL_ADDRESS", "EMAIL_ADRESS"),
            8,
            "EMAIL_ADRESS: is not an entity type that a detector reports; di",
        ),
        (FULL.replace('"tokenize"', '"tokenise"'), 8, 'EMAIL_ADDRESS: is not an operator; did you mean "tokenize"?'),
        (FULL.replace("keep_last = 4", "keeplast = 4"), 8, 'no such key; did you mean "keep_last"?'),
        (FULL.replace("keep_last = 4", "keep_last = 9"), 8, "from 0 to 8"),
        (FULL.replace("keep_last = 4", "keep_last = true"), 8, "from 0 to 8"),
        (FULL.replace('scope = "support:reply"', ""), 2, "scope: is missing; name the scope"),
        (FULL.replace('owner = "support-platform"', ""), 2, "support-reply.owner: is missing; name who answers"),
        (FULL.replace('owner = "support-platform"', 'owner = " "'), 4, "owner: must be a text that is not empty"),
        (FULL.replace('owner = "privacy-office"', ""), 12, "retention.prompt.owner: is missing"),
        (
            FULL.replace('basis = "GDPR Art. 6(1)(f)"', ""),
            12,
            "retention.prompt.basis: is missing; name the legal basis",
        ),
        (FULL.replace('"crypto-shred"', '"shred"'), 15, "mechanism: must be 'delete', 'crypto-shred' or 'anonymise'"),
        (
            FULL.replace('"openai:gpt-5-mini"', '"gpt-5-mini"'),
            5,
            'models[0]: is not a model id; write "provider:model"',
        ),
        (FULL.replace('"openai:gpt-5-mini"', '"openai:*"'), 5, "name each model"),
        (FULL.replace('["openai:gpt-5-mini"]', '["openai:a", "openai:a"]'), 5, "models[1]: stands here twice"),
        (FULL.replace('["openai:gpt-5-mini"]', '"openai:a"'), 5, "models: must be a list"),
        (FULL.replace("= 800\n", "= -800\n"), 7, "max_output_tokens: must be at least 1"),
        (FULL.replace("= 800\n", "= 0\n"), 7, "max_output_tokens: must be at least 1"),
        (FULL.replace("= 800\n", "= 800.5\n"), 7, "max_output_tokens: must be a whole number"),
        (FULL.replace("= 800\n", '= "800"\n'), 7, "max_output_tokens: must be a whole number"),
        (FULL.replace("= 800\n", "= true\n"), 7, "max_output_tokens: must be a whole number"),
        (FULL.replace("= 800\n", "= 99999999999\n"), 7, "must be at most 10000000"),
        (FULL.replace("block = 0.9", "block = nan"), 9, "injection.block: must be"),
        (FULL.replace("block = 0.9", "block = inf"), 9, "injection.block: must be"),
        (FULL.replace("block = 0.9", "block = 90"), 9, "injection.block: must be at most 1"),
        (FULL.replace("block = 0.9", "block = 0"), 9, "injection.block: must be greater than 0"),
        (FULL.replace("block = 0.9", "block = 0.4"), 9, "flag (0.5) is above block (0.4)"),
        (FULL.replace('prompt = "redacted"', 'prompt = "raw"'), 10, "keep.prompt: must be 'none' or 'redacted'"),
        (FULL.replace('prompt = "redacted"', 'output = "redacted"'), 10, "there is no [retention.output] rule"),
        (FULL.replace("[retention.prompt]", "[retention.promt]"), 12, 'did you mean "prompt"?'),
        (FULL.replace('"30d"', '"30 days"'), 13, 'duration: write a duration as "30d"'),
        (FULL.replace('"30d"', '"6m"'), 13, 'duration: write a duration as "30d"'),
        (FULL.replace('"30d"', '"P1M"'), 13, 'duration: write a duration as "30d"'),
        (FULL.replace('"30d"', '"P"'), 13, 'duration: write a duration as "30d"'),
        (FULL.replace('"30d"', '"PT"'), 13, 'duration: write a duration as "30d"'),
        (FULL.replace('"30d"', '"P1DT"'), 13, 'duration: write a duration as "30d"'),
        (FULL.replace('"30d"', "30"), 13, 'duration: write a duration as "30d"'),
        (FULL.replace('"30d"', '"0d"'), 13, "duration: must be longer than nothing"),
        (FULL.replace('"30d"', '"999999999w"'), 13, "duration: is longer than 100 years"),
        (FULL.replace('"30d"', '"36526d"'), 13, "duration: is longer than 100 years"),
        (
            FULL + '\n[features.b]\nscope = "support:reply"\nowner = "x"\n',
            19,
            'already the scope of feature "support-reply"',
        ),
        (FULL + "\n[features.Support]\nscope = 'x'\nowner = 'x'\n", 18, "is not a name"),
        (feature("mode = 'observe'"), 4, "mode: must be 'enforce' or 'monitor'"),
        (feature("redact = { '*' = 'allow' }"), 4, "name the types to allow"),
        (feature("output.redact.'*' = 'allow'"), 4, "name the types to allow"),
        (feature("redact = 'mask'"), 4, "redact: must be a table"),
        (
            feature("redact = { SECRET = { op = 'block', reason = 'x' } }"),
            4,
            'reason only means something with op = "allow"',
        ),
        (
            feature("redact = { SECRET = { op = 'drop', keep_last = 1 } }"),
            4,
            'keep_last only means something with op = "mask"',
        ),
        (feature("output.restore = 'no'"), 4, "output.restore: must be true or false"),
        (feature("output.block_patterns = ['(?=x)']"), 4, "output.block_patterns[0]: cannot be used"),
        (feature("output.block_patterns = ['']"), 4, "output.block_patterns[0]: must not be empty"),
        (feature("output.block_patterns = ['a*']"), 4, "matches the empty string"),
        (feature("detect.deny.hashed = { salt = 'short' }"), 4, "salt: must have at least 16 characters"),
        (
            feature("detect.deny.hashed = { salt = '0123456789abcdef', hmac_sha256 = ['zz'] }"),
            4,
            "hmac_sha256[0]: is not a hash; `aiguard policy hash` makes them",
        ),
        (feature("output.json_schema = 3"), 4, "is a table with a JSON Schema"),
        (feature("output.json_schema = { type = 'strnig' }"), 4, "is not a JSON Schema (draft 2020-12): look at /type"),
        (feature("output.json_schema = { const = 2026-01-01 }"), 4, "holds a value that JSON cannot"),
        (feature("output.json_schema = { const = nan }"), 4, "holds a value that JSON cannot"),
        (feature("output.json_schema = { const = 99999999999999999999 }"), 4, "holds a value that JSON cannot"),
        (feature("output.json_schema = { '$ref' = 'https://x.example/s' }"), 4, "$ref leads out of the schema"),
        (feature("output.json_schema = { pattern = '(a)\\1' }"), 4, "json_schema: cannot be used"),
        (feature("output.json_schema = { patternProperties = { '(?!a)' = {} } }"), 4, "json_schema: cannot be used"),
        (
            feature(
                "output.json_schema = { patternProperties = { 'a+' = {} }, not = { unevaluatedProperties = false } }"
            ),
            4,
            "has patternProperties and unevaluatedProperties",
        ),
        (feature("output.json_schema = 'schema.json'"), 4, "the policy was not read from one"),
        ("[features.chat]\nscope = 'a b'\nowner = 'x'", 2, "is not a scope name"),
        ("[features.chat]\nscope = ''\nowner = 'x'", 2, "is not a scope name"),
        ("[features.chat]\nscope = 'a'\nowner = \"a\\nb\"", 3, "must be one line"),
        ("[[features]]\nscope = 'x'", 1, "features: must be a table"),
        ("features = 1", 1, "features: must be a table"),
        ("[sensitivity]\n'*' = 'public'", 2, "name the types"),
        ("[sensitivity]\nSECRET = 'secret'", 2, "is not a sensitivity; write one of public, internal"),
        ("[sensitivity]\nsecret = 'public'", 2, "types are written in capitals"),
        ("version = 2", 1, "version: must be 1"),
        (
            "[[injection.signatures]]\nname = 'a'\nscore = 1\npattern = 'a(?=b)'",
            4,
            "signatures[0].pattern: cannot be used",
        ),
        (
            "[[injection.signatures]]\nname='a'\nscore=1\npattern='x'\n[[injection.signatures]]\nname='a'\nscore=1\npattern='x'",
            6,
            "signatures[1].name: stands here twice",
        ),
    ],
)
def test_a_mistake_is_named_with_its_line_its_key_and_the_remedy(text: str, line: int, expected: str) -> None:
    message = refused(text)
    assert f"aiguard.toml:{line}: " in message
    assert expected in message


EXCEPTION = """
[[exceptions]]
id = "pilot"
feature = "chat"
control = "monitor-mode"
reason = "pilot"
approved_by = "privacy-office"
expires = 2030-07-01
"""


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ('"chat"', '"chta"', 'is not a feature of this policy; did you mean "chat"?'),
        ('"monitor-mode"', '"redact"', "control: must be 'monitor-mode'"),
        ('reason = "pilot"\n', "", "reason: is missing; say why"),
        ('approved_by = "privacy-office"\n', "", "approved_by: is missing; name who approved it"),
        ("expires = 2030-07-01\n", "", "expires: is missing; say when it ends"),
        ("2030-07-01", '"2030-07-01"', "write it without quotes"),
        ("2030-07-01", "2030-07-01T00:00:00", "needs a time zone"),
        ("2030-07-01", "0001-01-01T00:00:00+23:59", "is out of range"),
    ],
)
def test_an_exception_that_cannot_be_enforced_is_refused(old: str, new: str, expected: str) -> None:
    head, _, entry = (feature("mode = 'monitor'") + EXCEPTION).partition("[[exceptions]]")
    assert expected in refused(f"{head}[[exceptions]]{entry.replace(old, new)}")


def test_an_exception_id_stands_once() -> None:
    assert "exceptions[1].id: stands here twice" in refused(feature() + EXCEPTION + EXCEPTION)


def test_monitor_mode_needs_a_live_exception_in_production_only() -> None:
    policy = read(feature("mode = 'monitor'") + EXCEPTION)
    end = datetime(2030, 7, 1, tzinfo=UTC)
    assert policy.monitor_allowed("chat", "production", end - timedelta(microseconds=1))
    assert not policy.monitor_allowed("chat", "production", end)
    assert policy.monitor_allowed("chat", "development", end)
    assert not policy.monitor_allowed("chat", "an unknown environment", end)
    assert not policy.monitor_allowed("nobody", "development", end)


def test_monitor_mode_is_never_allowed_to_a_feature_that_enforces() -> None:
    policy = read(feature() + EXCEPTION)
    assert not policy.monitor_allowed("chat", "development", NOW)


def test_an_exception_opens_its_own_feature_only() -> None:
    other = '\n[features.other]\nscope = "other"\nowner = "x"\nmode = "monitor"\n'
    policy = read(feature("mode = 'monitor'") + other + EXCEPTION)
    assert policy.monitor_allowed(policy.features["chat"], "production", NOW)
    assert not policy.monitor_allowed(policy.features["other"], "production", NOW)


def test_all_problems_are_reported_at_once_in_the_order_of_the_file() -> None:
    text = FULL.replace("models", "modles").replace("= 800\n", "= 0\n").replace('"30d"', '"6m"')
    with pytest.raises(InvalidPolicy) as caught:
        read(text)
    assert [problem.line for problem in caught.value.problems] == [5, 7, 13]


def test_a_thousand_problems_do_not_make_a_thousand_lines() -> None:
    message = refused("\n".join(f"k{n} = 1" for n in range(1000)))
    assert len(message.splitlines()) == 21
    assert message.endswith("and 980 more")


def test_a_secret_in_the_wrong_place_is_not_echoed() -> None:
    secret = "sk-live-0123456789abcdef0123456789abcdef"
    for text in (
        feature(f'mode = "{secret}"'),
        feature(f'models = ["{secret}"]'),
        feature(f'redact = {{ SECRET = "{secret}" }}'),
        feature(f'keep = "{secret}"'),
        feature(f'max_input_tokens = "{secret}"'),
        feature(f'redact = {{ SECRET = {{ op = "{secret}" }} }}'),
        feature(f'output = {{ json_schema = "{secret}.json" }}'),
        f"{secret} {secret}",
        f"a = {secret}",
        f'a = "{secret}',
        f"[features.chat]\nscope = '{secret} x'\nowner = 'x'",
    ):
        assert secret not in refused(text)


def test_a_name_with_control_characters_is_shown_escaped() -> None:
    message = refused('"\\u001b[2J\\u202e" = 1')
    assert "\x1b" not in message
    assert "\u202e" not in message


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "a = 1\na = 2",
            "aiguard.toml:2: is not TOML: Cannot overwrite a value: a key or table stands here a second time",
        ),
        ("[a]\n[a]", "a key or table stands here a second time"),
        ("[features.chat]\nscope = ", "aiguard.toml:2: is not TOML"),
        ("a = [\n1,\n", "aiguard.toml:3: is not TOML"),
        ("a = " + "[" * 50_000, "nests tables or arrays too deeply"),
        ("a = " + "[" * 100 + "]" * 100, "nests tables or arrays more than 32 deep"),
        (".".join("a" * 100) + " = 1", "nests tables or arrays more than 32 deep"),
        ("a = 2026-13-45", "is not TOML"),
        ("a = " + "9" * 10_000, "holds a number"),
        ("\x00", "is not TOML"),
        ("#" * ((1 << 20) + 1), "larger than 1 MiB"),
    ],
    ids=range(11),
)
def test_what_is_not_a_policy_at_all_is_refused_with_a_reason(text: str, expected: str) -> None:
    message = refused(text)
    assert expected in message
    assert len(message) < 500


def test_a_file_that_is_missing_says_how_to_name_another(tmp_path: Path) -> None:
    with pytest.raises(PolicyError, match="there is no such file; write a policy there or set AIGUARD_POLICY"):
        load_policy(tmp_path / "aiguard.toml", TYPES)


def test_a_directory_is_not_a_policy(tmp_path: Path) -> None:
    with pytest.raises(PolicyError, match="is a directory"):
        load_policy(tmp_path, TYPES)


def test_a_path_that_cannot_be_opened_is_refused(tmp_path: Path) -> None:
    loop = tmp_path / "loop.toml"
    loop.symlink_to(loop)
    for path in (loop, tmp_path / ("x" * 5000), tmp_path / "a\0b"):
        with pytest.raises(PolicyError, match="cannot be read"):
            load_policy(path, TYPES)


def test_a_file_of_more_than_a_mebibyte_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "aiguard.toml"
    path.write_bytes(b"#" * ((1 << 20) + 1))
    with pytest.raises(PolicyError, match="larger than 1 MiB"):
        load_policy(path, TYPES)


def test_bytes_that_are_not_utf_8_are_refused_with_their_line(tmp_path: Path) -> None:
    path = tmp_path / "aiguard.toml"
    path.write_bytes(b"# one\n# two\n\xff\xfe")
    with pytest.raises(PolicyError, match=r"aiguard\.toml:3: is not UTF-8 \(byte 12\)"):
        load_policy(path, TYPES)


def test_a_byte_order_mark_is_tolerated(tmp_path: Path) -> None:
    path = tmp_path / "aiguard.toml"
    path.write_bytes(b"\xef\xbb\xbf" + FULL.encode())
    assert load_policy(path, TYPES).hash == read(FULL).hash


def test_a_schema_is_read_from_a_file_beside_the_policy_and_counts_in_the_hash(tmp_path: Path) -> None:
    path = tmp_path / "aiguard.toml"
    path.write_text(feature('output.json_schema = "answer.json"'), encoding="utf-8")
    schema = tmp_path / "answer.json"
    hashes = set()
    for kind in ("object", "array"):
        schema.write_text(f'{{"type": "{kind}"}}', encoding="utf-8")
        policy = load_policy(path, TYPES)
        assert policy.features["chat"].output.json_schema == {"type": kind}
        hashes.add(policy.hash)
    assert len(hashes) == 2


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("missing.json", None, "cannot be read"),
        ("s.json", b"{", "is not JSON"),
        ("s.json", b'{"type": "object", "type": "array"}', "is not JSON in UTF-8 with distinct keys"),
        ("s.json", b"\xff", "is not JSON in UTF-8"),
        ("s.json", b"[" * 100_000, "is not JSON"),
        ("s.json", b'{"const": ' + b"[" * 500 + b"]" * 500 + b"}", "nests more than 32 deep"),
        ("s.json", b'{"title": "\\ud800"}', "holds a value that JSON cannot"),
        ("s.json", b"true", "is an object"),
        ("s.json", b" " * (1 << 21), "more than 1 MiB"),
        ("../s.json", b"{}", "points outside the policy's folder"),
        ("/etc/hostname", None, "points outside the policy's folder"),
        ("a\\u0000b", None, "cannot be read"),
    ],
    ids=range(12),
)
def test_a_schema_file_that_cannot_be_used_is_refused(
    tmp_path: Path, name: str, content: bytes | None, expected: str
) -> None:
    folder = tmp_path / "policy"
    folder.mkdir()
    if content is not None:
        (folder / name).write_bytes(content)
    path = folder / "aiguard.toml"
    path.write_text(feature(f'output.json_schema = "{name}"'), encoding="utf-8")
    with pytest.raises(PolicyError) as caught:
        load_policy(path, TYPES)
    assert expected in str(caught.value)
    assert "aiguard.toml:4: features.chat.output.json_schema: " in str(caught.value)


def test_a_property_that_is_called_pattern_is_not_a_pattern() -> None:
    schema = "{ properties = { pattern = { type = 'string' } }, enum = [ { '$ref' = 'x', pattern = '(?=a)' } ] }"
    assert read(feature(f"output.json_schema = {schema}")).features["chat"].output.json_schema is not None


def test_nothing_in_a_policy_can_be_changed() -> None:
    policy = read(FULL)
    reply = policy.features["support-reply"]
    with pytest.raises(ValueError, match="frozen"):
        reply.mode = "monitor"
    for mapping in (policy.features, policy.retention, policy.sensitivity, reply.redact, reply.output.redact):
        with pytest.raises(TypeError):
            mapping["x"] = None  # type: ignore[index]
