"""What a token is and when it is good: pure."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

import aiguard
from aiguard.base62 import ALPHABET, checksum
from aiguard.errors import MalformedInput
from aiguard.identity.tokens import (
    LENGTH,
    ServiceToken,
    carries_service_token,
    digest_of,
    is_service_name,
    is_token,
    judge,
    mint,
    read_header,
)

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
DAY = timedelta(days=1)
YEAR = timedelta(days=365)


def known(minted, **changes):
    fields = {
        "id": minted.id,
        "service": "nightly-batch",
        "scopes": frozenset({"support:reply"}),
        "created_at": NOW - DAY,
        "expires_at": NOW + 30 * DAY,
        "digest": minted.digest,
    }
    return ServiceToken(**{**fields, **changes})


def shown(minted):
    found = read_header(f"Bearer {minted.token.reveal()}")
    assert found is not None
    return found


def test_a_token_is_its_id_then_256_bits_then_a_checksum():
    minted = mint()
    token = minted.token.reveal()
    assert len(token) == LENGTH == 70
    assert token.startswith(f"{minted.id}_")
    assert 62**43 > 2**256
    assert token[-6:] == checksum(token[:-6])
    assert minted.digest == digest_of(token)


def test_no_two_tokens_share_an_id_or_a_secret():
    tokens = [mint().token.reveal() for _ in range(1000)]
    assert len({token[:20] for token in tokens}) == len({token[21:64] for token in tokens}) == 1000


def test_the_checksum_is_the_crc_32_in_base_62():
    # CRC-32 of "123456789" is 0xCBF43926, its published check value.
    number, digits = 0xCBF43926, ""
    for _ in range(6):
        number, digit = divmod(number, 62)
        digits = ALPHABET[digit] + digits
    assert checksum("123456789") == digits == "3jZRME"


@given(st.integers(0, LENGTH - 1), st.sampled_from(ALPHABET))
def test_a_token_with_one_character_changed_is_no_token(position, letter):
    token = mint().token.reveal()
    changed = token[:position] + letter + token[position + 1 :]
    assert is_token(changed) == (changed == token)


@given(st.text(max_size=200))
def test_whatever_else_a_bearer_credential_holds_is_refused_with_words_of_ours(text):
    with pytest.raises(MalformedInput, match=r"^the Bearer credential is not a whole service token$"):
        read_header(f"Bearer {text}")


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER"])
@pytest.mark.parametrize("gap", [" ", "   "])
def test_the_scheme_s_case_and_the_spaces_after_it_do_not_count(scheme, gap):
    minted = mint()
    found = read_header(f"{scheme}{gap}{minted.token.reveal()} ")
    assert found is not None
    assert found.id == minted.id
    assert carries_service_token(f"{scheme}{gap}{minted.token.reveal()}")


@pytest.mark.parametrize("header", [None, "", "  ", "Basic amFuZTpzZWNyZXQ=", "Digest username=x", "Bearertoken x"])
def test_a_header_without_a_bearer_credential_is_nobody_s_token(header):
    assert read_header(header) is None
    assert not carries_service_token(header)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda t: "",
        lambda t: t[:-1],
        lambda t: t + "x",
        lambda t: f"{t}, {t}",
        lambda t: f"{t} {t}",
        lambda t: f"{t}\n",
        lambda t: f"{t}\x00",
        lambda t: t.replace("aig_", "AIG_"),
        lambda t: t[:20] + "-" + t[21:],
        lambda t: "aig_" + "Ａ" * 66,
        lambda t: "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.x",
        lambda t: t * 10_000,
    ],
)
def test_a_bearer_credential_that_is_not_exactly_one_token_is_refused(spoil):
    with pytest.raises(MalformedInput):
        read_header(f"Bearer {spoil(mint().token.reveal())}")


def test_the_holder_of_a_token_is_its_service_with_its_scopes_and_tenant():
    actor = known(mint(), tenant="acme").actor
    assert (actor.id, actor.kind, actor.scopes, actor.tenant) == (
        "nightly-batch", "service", frozenset({"support:reply"}), "acme",
    )  # fmt: skip


def reason(token, minted, now=NOW, longest=YEAR):
    found = judge(token, shown(minted), now, longest)
    assert found is None or found.status == 401
    return found.code if found is not None else None


def test_a_token_is_good_from_its_beginning_until_just_before_its_end():
    minted = mint()
    token = known(minted, not_before=NOW, expires_at=NOW + DAY)
    instant = timedelta(microseconds=1)
    assert reason(token, minted, NOW - instant) == "token.not_yet_valid"
    assert reason(token, minted, NOW) is None
    assert reason(token, minted, NOW + DAY - instant) is None
    assert reason(token, minted, NOW + DAY) == "token.expired"


def test_a_token_ends_when_policy_comes_to_allow_it_less_time():
    minted = mint()
    assert reason(known(minted), minted, longest=2 * DAY) is None
    assert reason(known(minted), minted, longest=DAY) == "token.expired"


def test_what_became_of_a_token_is_told_only_to_who_holds_it():
    minted, guess = mint(), mint()
    for token in (known(minted, revoked_at=NOW), known(minted, expires_at=NOW), known(minted, not_before=NOW + DAY)):
        assert reason(token, minted) != "token.unknown"
        assert judge(token, shown(guess), NOW, YEAR) == judge(None, shown(guess), NOW, YEAR)
        assert reason(token, guess) == "token.unknown"


def test_nothing_that_prints_a_token_shows_its_secret():
    minted = mint()
    token = known(minted, tenant="acme-and-sons")
    secret, digest = minted.token.reveal()[21:], minted.digest.hex()
    for thing in (minted, token, shown(minted), token.actor):
        printed = f"{thing!r} {thing}"
        assert secret not in printed
        assert digest not in printed
        assert repr(minted.digest) not in printed
        assert "acme-and-sons" not in printed


@pytest.mark.parametrize("name", ["nightly-batch", "a1", "etl.v2_x", "a" * 64])
def test_a_service_is_named_like_a_machine(name):
    assert is_service_name(name)


@pytest.mark.parametrize("name", ["", "a", "A1", "1a", "-ab", "ab-", "a b", "a@b.example", "ä1", "a" * 65, "ab\n"])
def test_a_service_is_not_named_otherwise(name):
    assert not is_service_name(name)


def test_a_token_is_scrubbed_from_whatever_text_it_strays_into():
    token = mint().token.reveal()
    for text in (
        f"curl -H 'Authorization: Bearer {token}' https://api.example/reply",
        f'{{"token":"{token}"}}',
        f"AIGUARD={token}\n",
        f"see https://api.example/?key={token}&x=1",
        token,
    ):
        scrubbed = aiguard.scrub(text)
        assert token[21:40] not in scrubbed
        assert token[-20:] not in scrubbed
