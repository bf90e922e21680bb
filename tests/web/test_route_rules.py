"""``[[routes]]`` of the policy: reviewed, hashed, and refused with file, line and remedy."""

from __future__ import annotations

import tracemalloc

import pytest
from tests.support.guards import make_guard

from aiguard.detect import known_types
from aiguard.errors import PolicyError
from aiguard.middleware.table import RouteTable
from aiguard.policy import Policy, parse_policy
from aiguard.policy.models import as_json

TWO = """
[[routes]]
path = "/tickets/{id}"
methods = ["post"]
direction = "request"
redact = { CREDIT_CARD = "mask" }

[[routes]]
path = "/*"
"""


def read(text: str) -> Policy:
    return parse_policy(text, "aiguard.toml", known_types())


def test_routes_are_read_with_every_default_filled_in():
    first, second = read(TWO).routes
    assert first.methods == ("POST",)
    assert first.redact["CREDIT_CARD"].name == "mask"
    assert first.redact["*"].name == "replace"
    assert (second.query, second.files, second.websocket, second.max_body_seconds) == ("scan", "scan", "refuse", 30)


def test_routes_are_part_of_what_is_hashed_and_shown():
    assert read(TWO).hash != read(TWO.replace("POST", "PUT").replace("post", "put")).hash
    assert read(TWO).hash != read("").hash
    assert read(TWO).hash == read("# a comment\n" + TWO).hash
    assert as_json(read(TWO))["routes"][0]["path"] == "/tickets/{id}"


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ('path = "/x"\nredact = { EMAIL_ADDRESS = "tokenize" }', "before sign-in there is nobody"),
        ('path = "/x"\nredact = { EMAIL_ADRESS = "mask" }', 'did you mean "EMAIL_ADDRESS"'),
        ('path = "/x"\nredact = { "*" = "allow" }', "nobody thought of"),
        ('path = "/x"\nmethod = ["GET"]', 'did you mean "methods"'),
        ('path = "x"', "is not a route"),
        ('path = "/x"\ncontent_types = ["image/png"]', "can be looked at"),
        ('path = "/x"\nmethods = ["GET /"]', "not an HTTP method"),
        ('path = "/x"\nwebsocket = "allow"', "must be 'refuse' or 'scan'"),
        ('path = "/x"\nmax_body_bytes = 0', "at least 1"),
        ('path = "/x"\nmax_body_seconds = 1.5', "whole number"),
        ('methods = ["GET"]', "is missing"),
    ],
)
def test_a_route_that_cannot_be_enforced_names_its_line_and_the_remedy(written, said):
    with pytest.raises(PolicyError, match=said) as refused:
        read("[[routes]]\n" + written)
    assert "aiguard.toml" in str(refused.value)


def test_the_policy_s_rules_come_before_those_in_python_and_the_first_of_each_direction_counts():
    guard, _ = make_guard(TWO)
    table = RouteTable(guard, [{"path": "/tickets/*", "redact": {"CREDIT_CARD": "allow"}}])
    plan = table.plan(table.at("/tickets/7", "", ""), "POST", [])
    assert plan is not None
    assert plan.request is guard.policy.routes[0]
    assert plan.response is guard.policy.routes[1]
    other = table.plan(table.at("/tickets/7", "", ""), "GET", [])
    assert other is not None
    assert other.request is guard.policy.routes[1]


def test_long_paths_do_not_fill_the_memory():
    guard, _ = make_guard('[[routes]]\npath = "/x/*"\n')
    table = RouteTable(guard, [])
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        for number in range(30):
            path = f"/x/{number}/{'a' * 50_000}"
            assert table.at(path, path + "?", "")
        after, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert after - before < 1_000_000


def test_get_includes_head_and_other_methods_are_left_out():
    guard, _ = make_guard('[[routes]]\npath = "/x"\nmethods = ["GET"]\n')
    table = RouteTable(guard, [])
    rules = table.at("/x", "", "")
    assert table.plan(rules, "HEAD", []) is not None
    assert table.plan(rules, "get", []) is not None
    assert table.plan(rules, "POST", []) is None
    assert table.plan(rules, "POST", [(b"X-HTTP-Method", b" get ")]) is not None
    assert table.at("/y", "", "") == ()
