"""What a policy says about detection: own types, thresholds, lists, regions; per feature, in calls, streams and hooks."""

from __future__ import annotations

import time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.support.guards import JANE, POLICY, Model, make_guard

from aiguard.detect import default_detector, known_types
from aiguard.detect.lists import hashed
from aiguard.detect.tuned import Detectors
from aiguard.errors import ConfigurationError, ContentBlocked, PolicyError
from aiguard.policy import parse_policy
from aiguard.scan import Engine, Recognizer

OWN = """
[recognizers.EMPLOYEE_ID]
pattern = 'EMP-[0-9]{6}'
sensitivity = "restricted"
examples = ["EMP-123456 called"]
counter_examples = ["EMP-12"]

[recognizers.ROOM]
pattern = '[A-Z][0-9]{2}'
context = ["room"]
score = 0.2
examples = ["in room B12"]
counter_examples = ["B12"]
"""


def sent(policy: str, text: str, **options: Any) -> str:
    """What the model is given for ``text``."""
    guard, _ = make_guard(POLICY + policy, **options)
    model = Model()
    with guard.acting_as(JANE, scope="support:reply"):
        guard.call(model, text, model="local:small")
    return str(model.received[0][0])


def problems(policy: str) -> str:
    with pytest.raises(PolicyError) as refused:
        parse_policy(POLICY + policy, "aiguard.toml", known_types())
    return str(refused.value)


def test_a_type_of_the_policys_own_is_found_named_and_rated() -> None:
    assert sent(OWN, "B13 asks EMP-123456 in room B12") == "B13 asks [REDACTED_EMPLOYEE_ID] in room [REDACTED_ROOM]"
    policy = parse_policy(POLICY + OWN, "aiguard.toml", known_types())
    assert policy.sensitivity["EMPLOYEE_ID"].name == "RESTRICTED"


def test_a_rule_may_name_it() -> None:
    rule = '[features.other]\nscope = "o"\nowner = "x"\nmodels = ["local:small"]\nredact = { EMPLOYEE_ID = "block" }\n'
    guard, _ = make_guard(POLICY + OWN + rule)
    jane = JANE.__class__(id="jane", scopes=frozenset({"o"}))
    with guard.acting_as(jane, scope="o"), pytest.raises(ContentBlocked):
        guard.call(Model(), "ask EMP-123456", model="local:small")


@pytest.mark.parametrize(
    ("table", "what"),
    [
        ("[recognizers.X]\npattern = 'a*'\nexamples = ['a']", "matches the empty string"),
        ("[recognizers.X]\npattern = '(?=a)b'\nexamples = ['b']", "does not compile in RE2"),
        ("[recognizers.X]\npattern = 'a+'\nexamples = ['a']", "bound its repeats"),
        ("[recognizers.X]\npattern = 'abc'\nexamples = ['abd']", "does not find its own example 1"),
        ("[recognizers.X]\npattern = 'abc'\nexamples = ['abc']\ncounter_examples = ['x abc']", "counter-example 1"),
        ("[recognizers.X]\npattern = 'abc'", "examples"),
        ("[recognizers.X]\npattern = 'abc'\nexamples = ['abc']\nscores = 1", "not a known key"),
        ("[recognizers.EMAIL_ADDRESS]\npattern = 'abc'\nexamples = ['abc']", "exists already"),
        ("[recognizers.lower]\npattern = 'abc'\nexamples = ['abc']", "not an entity type"),
        ("[defaults.detect]\nexclude = ['EMIAL_ADDRESS']", 'did you mean "EMAIL_ADDRESS"?'),
        ("[defaults.detect.scores]\nPHONE_NUMBE = 0.9", 'did you mean "PHONE_NUMBER"?'),
        ("[defaults.detect.deny]\npatterns = ['x*']", "matches the empty string"),
        ("[defaults.detect.deny]\npatterns = ['x+']", "bound its repeats"),
        ("[defaults.detect.deny.hashed]\nsalt = 'short'", "salt"),
        ("[defaults.detect]\nmin_score = 1.5", "at most 1"),
        ("[defaults.detect]\non_timeout = 'ignore'", "patterns-only"),
    ],
)
def test_what_cannot_be_enforced_is_named_with_its_place(table: str, what: str) -> None:
    said = problems(table + "\n")
    assert what in said
    assert "aiguard.toml:" in said


def test_a_region_that_is_none_is_named() -> None:
    with pytest.raises(PolicyError, match="phone_regions"):
        parse_policy('phone_regions = ["XX"]\n' + POLICY, "aiguard.toml", known_types())


def test_excluded_types_stay_and_only_named_ones_are_looked_for() -> None:
    text = "jane@example.com 4111 1111 1111 1111"
    assert sent('[defaults.detect]\nexclude = ["EMAIL_ADDRESS"]\n', text).startswith("jane@example.com **** ")
    only = sent('[defaults.detect]\nonly = ["EMAIL_ADDRESS"]\n', text)
    assert only.endswith("4111 1111 1111 1111")
    assert "jane@" not in only


def test_leaving_a_type_out_does_not_hide_what_stands_within_its_values() -> None:
    outer = """
[recognizers.LETTER]
pattern = 'Dear [^\\n]{1,80}'
examples = ["Dear me"]
"""
    text = "Dear jane@example.com"
    assert sent(outer, text) == "[REDACTED_LETTER]"
    assert "jane@example.com" not in sent(outer + '[defaults.detect]\nexclude = ["LETTER"]\n', text)


def test_thresholds_hold_by_type_and_in_general_up_and_down() -> None:
    text = "in ROOM nothing, but B12"
    assert "B12" in sent(OWN, text.replace("ROOM ", ""))
    assert "B12" not in sent(OWN + "[defaults.detect.scores]\nROOM = 0.1\n", text)
    assert "EMP-123456" in sent(OWN + "[defaults.detect.scores]\nEMPLOYEE_ID = 0.99\n", "EMP-123456")
    assert "B12" not in sent(OWN + "[defaults.detect]\nmin_score = 0.15\n", text)


def test_allowed_values_stay_by_text_pattern_and_hash_but_only_whole() -> None:
    salt = "a salt of sixteen"
    lists = f"""
[defaults.detect.allow]
exact = ["Help@Example.com"]
patterns = ['[a-z]+@ours\\.example']
hashed = {{ salt = "{salt}", hmac_sha256 = ["{hashed("ceo@example.net", salt)}"] }}
"""
    kept = "help@example.com info@ours.example CEO@example.net"
    assert sent(lists, kept) == kept
    for other in ("xhelp@example.com", "help@example.com.evil.org", "info@ours.example.org", "ceo@example.nett"):
        assert other not in sent(lists, f"{kept} {other}")


def test_denied_texts_are_found_by_text_pattern_and_hash() -> None:
    salt = "a salt of sixteen"
    lists = f"""
[defaults.detect.deny]
exact = ["Project Bluebird"]
patterns = ['INC-[0-9]{{4}}']
hashed = {{ salt = "{salt}", hmac_sha256 = ["{hashed("operation night owl", salt)}"] }}
"""
    text = "the PROJECT\n  bluebird, INC-1234 and Operation Night  Owl; projects stay"
    assert (
        sent(lists, text)
        == "the [REDACTED_DENIED_TERM], [REDACTED_DENIED_TERM] and [REDACTED_DENIED_TERM]; projects stay"
    )


def test_a_features_hashed_list_adds_to_the_default_one_or_is_refused() -> None:
    salt, other = "a salt of sixteen", "another of sixteen"

    def lists(of_the_feature: str) -> str:
        return f"""
[defaults.detect.deny]
hashed = {{ salt = "{salt}", hmac_sha256 = ["{hashed("operation night owl", salt)}"] }}

[features.support-reply.detect.deny]
hashed = {{ salt = "{of_the_feature}", hmac_sha256 = ["{hashed("bluebird", of_the_feature)}"] }}
"""

    both = sent(lists(salt), "operation night owl and bluebird")
    assert both == "[REDACTED_DENIED_TERM] and [REDACTED_DENIED_TERM]"
    said = problems(lists(other))
    assert "features.support-reply.detect.deny.hashed.salt: differs from that of defaults.detect.deny" in said


@pytest.mark.parametrize(
    ("term", "texts"),
    [
        ("Straße 7", ["Straße 7", "STRASSE  7", "straße 7"]),
        ("İstanbul", ["İstanbul", "İSTANBUL"]),
        ("café au lait", ["cafe\u0301 au lait", "CAFÉ AU LAIT", "café\u00a0au lait"]),
        ("cafe\u0301", ["café", "Cafe\u0301"]),
        ("ﬁne", ["fine", "ﬁne"]),
        ("C++ (old) #1", ["c++ (old) #1"]),
        ("東京", ["東京"]),
    ],
)
def test_a_denied_text_is_found_in_whatever_way_it_is_written(term: str, texts: list[str]) -> None:
    policy = f'[features.support-reply.detect.deny]\nexact = ["{term}"]\n'
    for text in texts:
        assert sent(policy, f"the {text} here") == "the [REDACTED_DENIED_TERM] here"


def test_what_one_feature_denies_another_may_say() -> None:
    more = """
[features.support-reply.detect.deny]
exact = ["bluebird"]

[features.other]
scope = "o"
owner = "x"
models = ["local:small"]
"""
    guard, _ = make_guard(POLICY + more)
    model = Model()
    jane = JANE.__class__(id="jane", scopes=frozenset({"o", "support:reply"}))
    for scope in ("o", "support:reply"):
        with guard.acting_as(jane, scope=scope):
            guard.call(model, "a bluebird", model="local:small")
    assert [messages for messages, _ in model.received] == ["a bluebird", "a [REDACTED_DENIED_TERM]"]
    assert not guard.detector.detect("a bluebird")


def test_numbers_of_preferred_regions_need_no_words() -> None:
    guard, _ = make_guard('phone_regions = ["DE"]\n' + POLICY)
    assert [finding.type for finding in guard.detector.detect("0151 23456789")] == ["PHONE_NUMBER"]
    assert [finding.type for finding in guard.detector.detect("order 0301234567 of 12")] == ["PHONE_NUMBER"]
    assert guard.detector.detect("on 2024-11-03 at 12.50, 1.000.000") == []


def test_every_word_of_it_is_part_of_the_hash() -> None:
    plain = parse_policy(POLICY, "p", known_types()).hash
    hashes = {
        parse_policy(text, "p", known_types()).hash
        for text in (
            POLICY + OWN,
            POLICY + OWN.replace("{6}", "{5,6}"),
            POLICY + '[defaults.detect]\nexclude = ["PHONE_NUMBER"]\n',
            POLICY + '[defaults.detect.allow]\nexact = ["x"]\n',
            POLICY + '[defaults.detect.deny]\nexact = ["x"]\n',
            'phone_regions = ["DE"]\n' + POLICY,
        )
    }
    assert len(hashes | {plain}) == 7


def test_recognizers_in_python_are_checked_and_found() -> None:
    badge = Recognizer(name="badge", type="BADGE", pattern=r"BDG[0-9]{4}", examples=("BDG1234",))
    assert sent("", "my BDG1234", recognizers=[badge]) == "my [REDACTED_BADGE]"
    with pytest.raises(PolicyError, match="empty string"):
        make_guard(recognizers=[Recognizer(name="badge", type="BADGE", pattern="x?")])


def test_all_features_share_what_was_compiled() -> None:
    features = "".join(
        f'[features.f{n}]\nscope = "f{n}"\nowner = "x"\n[features.f{n}.detect]\nmin_score = 0.{n}\n'
        for n in range(6, 10)
    )
    policy = parse_policy(POLICY + features, "p", known_types())
    base = default_detector()
    started = time.perf_counter()
    detectors = Detectors(policy, base)
    assert time.perf_counter() - started < 0.25
    assert detectors.base is base
    tuned = [detectors.of(feature) for feature in policy.features.values()]
    assert isinstance(base, Engine)
    assert all(isinstance(each, Engine) and each.recognizers == base.recognizers for each in tuned)


def test_a_detector_that_cannot_be_tuned_is_not_silently_left_as_it_is() -> None:
    class Own:
        types = frozenset({"PERSON"})

        def detect(self, text: str, *, context: str = "") -> list[Any]:
            return []

    with pytest.raises(ConfigurationError, match="built-in engine"):
        make_guard(POLICY + OWN, detector=Own())


PIECES = [
    "EMP-123456",
    "EMP-",
    "12",
    "3456",
    " room ",
    "B12",
    "jane@example.com",
    "help@ours.example",
    "blue",
    "bird",
    " ",
    "INC-1",
    "234",
    "é",
    "\n",
]


@pytest.fixture(scope="module")
def tuned_guard() -> Any:
    tuned = """
[defaults.detect]
exclude = ["PHONE_NUMBER"]
[defaults.detect.scores]
EMAIL_ADDRESS = 0.6
[defaults.detect.allow]
patterns = ['[a-z]+@ours\\.example']
[defaults.detect.deny]
exact = ["bluebird"]
patterns = ['INC-[0-9]{4}']
"""
    return make_guard(POLICY + OWN + tuned)[0]


@settings(max_examples=80, deadline=None)
@given(text=st.lists(st.sampled_from(PIECES), max_size=10).map("".join), size=st.integers(1, 7))
def test_tuned_detection_streams_as_it_calls(tuned_guard: Any, text: str, size: int) -> None:
    pieces = [text[at : at + size] for at in range(0, len(text), size)]
    with tuned_guard.acting_as(JANE, scope="support:reply"):
        whole = tuned_guard.call(lambda *_, **__: text, "hi", model="local:small")
        assert "".join(tuned_guard.stream(lambda *_, **__: pieces, "hi", model="local:small")) == whole
