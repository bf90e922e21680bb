from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aiguard.detect import default_detector
from aiguard.errors import ConfigurationError
from aiguard.redact import TOKEN_LITERAL, Vault, VaultFull, redact
from aiguard.scrubbing import scrub
from aiguard.types import Finding, Operator

SECRET = b"0123456789abcdef"
TOKENIZE = {"*": Operator(name="tokenize")}


def at(text: str, value: str, type: str = "EMAIL_ADDRESS") -> Finding:
    start = text.index(value)
    return Finding(type=type, start=start, end=start + len(value), score=0.9, recognizer="test")


def apply(operator: Operator, value: str = "jane@example.com") -> str:
    text = f"to {value}."
    return redact(text, [at(text, value)], {"EMAIL_ADDRESS": operator}, pseudonym=lambda t, v: "f00").text


def test_each_operator_writes_what_it_says() -> None:
    assert apply(Operator(name="replace")) == "to [REDACTED_EMAIL]."
    assert apply(Operator(name="drop")) == "to ."
    assert apply(Operator(name="allow")) == "to jane@example.com."
    assert apply(Operator(name="hash")) == "to [EMAIL:f00]."
    assert apply(Operator(name="block")) == "to [REDACTED_EMAIL]."
    assert apply(Operator(name="mask", keep_last=4), "4111 1111 1111 1234") == "to **** **** **** 1234."


def test_a_mask_covers_at_least_half_of_a_value() -> None:
    assert apply(Operator(name="mask", keep_last=10), "abcd") == "to **cd."


def test_a_type_that_no_rule_names_is_replaced_unless_the_star_says_otherwise() -> None:
    text = "a jane@example.com"
    assert redact(text, [at(text, "jane@example.com")], {}).text == "a [REDACTED_EMAIL]"
    assert redact(text, [at(text, "jane@example.com")], {"*": Operator(name="allow")}).text == text


def test_overlapping_findings_redact_their_union_by_the_strictest_operator() -> None:
    text = "abcdefgh"
    findings = [at(text, "abcd", "A"), at(text, "cdef", "B")]
    rules = {"A": Operator(name="tokenize"), "B": Operator(name="replace")}
    result = redact(text, findings, rules, vault=Vault(SECRET))
    assert result.text == "[REDACTED_B]gh"
    assert result.counts == {("A", "replace"): 1, ("B", "replace"): 1}


def test_what_policy_allows_does_not_shield_what_it_does_not() -> None:
    text = "abcdefgh"
    findings = [at(text, "abcdef", "A"), at(text, "cd", "B")]
    assert redact(text, findings, {"A": Operator(name="allow")}).text == "ab[REDACTED_B]efgh"


def test_blocked_types_are_named_and_spans_point_at_the_replacements() -> None:
    text = "a jane@example.com b"
    result = redact(text, [at(text, "jane@example.com")], {"*": Operator(name="block")})
    assert result.blocked == ("EMAIL_ADDRESS",)
    assert [result.text[start:end] for start, end in result.spans] == ["[REDACTED_EMAIL]"]


def test_of_overlapping_blocked_types_each_is_named() -> None:
    text = "abcdefgh"
    findings = [at(text, "abcd", "A"), at(text, "cdef", "B"), at(text, "ef", "C")]
    rules = {"A": Operator(name="block"), "B": Operator(name="block"), "C": Operator(name="mask")}
    assert redact(text, findings, rules).blocked == ("A", "B")


@pytest.mark.parametrize("type", ["2FA_CODE", "9", "A" * 40, "_".join("ABCDEFGHIJKLM"), "x-" * 60, "名前", "_"])
def test_a_token_of_any_type_comes_back_and_is_known_in_the_input(type: str) -> None:
    vault = Vault(SECRET)
    token = vault.token(type, "value")
    assert vault.restore(f"a {token} b").text == "a value b"
    assert len(Vault(b"another sixteen.").literals(f"a {token} b")) == 1


def test_a_rule_that_needs_what_is_not_there_says_so_without_the_value() -> None:
    text = "jane@example.com"
    for name in ("tokenize", "hash"):
        with pytest.raises(ConfigurationError) as error:
            redact(text, [at(text, text)], {"*": Operator(name=name)})
        assert "jane" not in str(error.value)


@pytest.mark.parametrize("wrong", [{"name": "hide"}, {"name": {"op": "mask"}}, {"name": "mask", "keep_last": -1},
    {"name": "mask", "keep_last": 2.5}, {"name": "mask", "keep_last": "4"}])  # fmt: skip
def test_what_is_no_operator_is_refused_where_it_is_made(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"not an operator|keep_last is a whole number"):
        Operator(**wrong)


def test_scrub_says_what_it_cannot_use() -> None:
    with pytest.raises(ValueError, match="'hide' is not an operator; known are mask, replace"):
        scrub("jane@example.com", {"EMAIL_ADDRESS": "hide"})
    with pytest.raises(TypeError, match="takes a str, not bytes"):
        scrub(b"jane@example.com")  # type: ignore[arg-type]


def test_a_finding_outside_the_text_is_an_error() -> None:
    with pytest.raises(ValueError, match="beyond"):
        redact("ab", [Finding(type="A", start=0, end=3, score=1, recognizer="r")], {})


def test_nothing_of_a_vault_or_a_result_is_printed() -> None:
    vault = Vault(SECRET)
    text = "jane@example.com"
    result = redact(text, [at(text, text)], TOKENIZE, vault=vault)
    assert "jane" not in repr(vault) + repr(result) + repr(vault.restore(result.text))


# ---------------------------------------------------------------- the vault

LITERALS = [
    "[EMAIL_X7K2M9QA4B]",
    r"\[EMAIL\_X7K2M9QA4B\]",
    "[email_x7k2m9qa4b]",
    "[EMAIL _ X7K2M9QA4B]",
    "[EMAIL X7K2M9QA4B]",
    "[EMAIL-X7K2M9QA4B ]",
    "[A_",
    "]",
    "\\",
    "[",
]
VALUES = ["jane@example.com", "4111 1111 1111 1111", "+44 20 7946 0958"]
texts = st.lists(st.one_of(st.text(max_size=8), st.sampled_from(LITERALS + VALUES)), max_size=12).map("".join)


def tokenised(text: str, vault: Vault) -> str:
    findings = [*default_detector().detect(text), *vault.literals(text)]
    return redact(text, findings, TOKENIZE, vault=vault).text


@settings(deadline=None)
@given(texts)
def test_what_was_hidden_comes_back_whatever_the_text_is(text: str) -> None:
    vault = Vault(SECRET)
    assert vault.restore(tokenised(text, vault)).text == text


@settings(deadline=None)
@given(texts)
def test_what_was_hidden_comes_back_when_the_vault_already_holds_other_values(text: str) -> None:
    vault = Vault(SECRET)
    known = vault.token("EMAIL_ADDRESS", "someone@else.example")
    text = f"{text}{known}{text}"
    hidden = tokenised(text, vault)
    assert vault.restore(hidden).text == text
    assert "someone@else.example" not in vault.restore(hidden).text


@given(texts)
def test_a_vault_never_touches_text_without_tokens_of_its_own(text: str) -> None:
    vault = Vault(SECRET)
    vault.token("EMAIL_ADDRESS", "someone@else.example")
    assert vault.restore(text).text == text


@settings(deadline=None)
@given(texts)
def test_no_other_vault_can_restore(text: str) -> None:
    hidden = tokenised(text, Vault(SECRET))
    other = Vault(b"another secret..")
    tokenised(text, other)
    assert other.restore(hidden).text == hidden


def test_the_same_value_has_the_same_token_in_any_process_with_the_secret() -> None:
    assert Vault(SECRET).token("EMAIL_ADDRESS", "a@b.co") == Vault(SECRET).token("EMAIL_ADDRESS", "a@b.co")
    assert Vault(SECRET).token("EMAIL_ADDRESS", "a@b.co") != Vault().token("EMAIL_ADDRESS", "a@b.co")
    assert Vault(SECRET).token("EMAIL_ADDRESS", "a@b.co") != Vault(SECRET).token("PERSON", "a@b.co")


@pytest.mark.parametrize(
    "rewrite",
    [
        str.lower,
        str.title,
        lambda token: token.replace("_", r"\_"),
        lambda token: token.replace("[", r"\[").replace("]", r"\]").replace("_", r"\_"),
        lambda token: token.replace("_", " _ "),
        lambda token: token.replace("_", " "),
        lambda token: token.replace("_", "\u00a0"),
        lambda token: token.replace("_", "-"),
        lambda token: token.replace("[", "[  ").replace("]", " ]"),
        lambda token: f"`{token}`",
        lambda token: f"_{token}_",
        lambda token: f"| {token} |",
        lambda token: f'<b title="x">{token}</b>',
        lambda token: f"send(to='{token}')",
        lambda token: f"**{token}**",
        lambda token: f'{{"to": "{token}"}}',
    ],
)
def test_a_token_is_known_again_after_a_model_rewrote_it(rewrite) -> None:
    vault = Vault(SECRET)
    token = vault.token("CREDIT_CARD", "4111 1111 1111 1111")
    restored = vault.restore(f"see {rewrite(token)} ok")
    assert restored.count == 1
    assert [restored.text[start:end] for start, end in restored.spans] == ["4111 1111 1111 1111"]


@pytest.mark.parametrize(
    "text",
    ["[see our documentation]", "[click here for information]", "[Contact Us](/x)", "[1, 2, 3]", "[x](y)", "list[int]"],
)
def test_ordinary_text_in_brackets_is_no_token(text: str) -> None:
    assert not Vault(SECRET).literals(text)


def test_a_code_under_another_label_is_not_a_token() -> None:
    vault = Vault(SECRET)
    token = vault.token("EMAIL_ADDRESS", "a@b.co")
    forged = token.replace("EMAIL", "PHONE")
    assert vault.restore(forged).text == forged


def test_restored_text_is_not_restored_again() -> None:
    vault = Vault(SECRET)
    inner = vault.token("EMAIL_ADDRESS", "a@b.co")
    outer = vault.token(TOKEN_LITERAL, inner)
    assert vault.restore(outer).text == inner


def test_codes_that_collide_grow_instead(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("aiguard.redact.vault.CODE_LENGTH", 1)
    vault = Vault(SECRET)
    tokens = {vault.token("T", str(i)) for i in range(200)}
    assert len(tokens) == 200


def test_a_full_vault_refuses_new_values_and_still_knows_the_old() -> None:
    vault = Vault(SECRET, max_entries=1)
    token = vault.token("T", "one")
    with pytest.raises(VaultFull):
        vault.token("T", "two")
    assert vault.token("T", "one") == token


def test_a_short_secret_is_refused() -> None:
    with pytest.raises(ValueError, match="16 bytes"):
        Vault(b"short")


# ---------------------------------------------------------------- scrub


def test_scrub_replaces_every_finding() -> None:
    assert scrub("jane@example.com, 10.1.2.3") == "[REDACTED_EMAIL], [REDACTED_IP]"
    assert scrub("jane@example.com, 10.1.2.3", {"IP_ADDRESS": "allow"}) == "[REDACTED_EMAIL], 10.1.2.3"


@settings(deadline=None)
@given(texts)
def test_scrubbed_text_holds_none_of_the_values(text: str) -> None:
    scrubbed = scrub(f"{text}\njane@example.com\n{text}")
    assert "jane@example.com" not in scrubbed
