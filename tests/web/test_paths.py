"""No spelling of a path leads around a rule."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiguard.policy.paths import normalised, pattern_source, readings
from aiguard.scan.patterns import compile_pattern


def fits(pattern: str, path: str, *, raw: str = "", mount: str = "") -> bool:
    compiled = compile_pattern(pattern_source(pattern))
    return any(compiled.found(text) for text in readings(path, raw=raw, mount=mount))


SPELLINGS = [
    "/api/chat",
    "/api/chat/",
    "//api//chat",
    "/API/Chat",
    "/api/./chat",
    "/x/../api/chat",
    "/x/%2e%2e/api/chat",
    "/x/%252e%252E/api/chat",
    "/api%2Fchat",
    "/api%252fchat",
    "/api/%63hat",
    "/api\\chat",
    "/api%5cchat",
    "/api/chat\n",
    "/api/chat%0a",
    "/api/chat%00",
    "/api/chat%20",
    "/api/ chat",
    "/ap\u200bi/chat",
    "/\uff41pi/chat",
    "/api\uff0fchat",
    "api/chat",
    "/api/chat/x/..",
    "http://host.example/api/chat",
    "HTTP://host.example/%61pi/chat",
    "/../api/chat",
    "/api/chat;v=1",
    "/api;v=1/chat;w",
    "/api%3bv=1/chat",
    "/api/chat%3fx=1",
    "/api/chat%23x",
    "/api/chat;x%3f/../y",
    "/x;/..;/api/chat",
]


@pytest.mark.parametrize("path", SPELLINGS)
def test_a_rule_knows_its_route_however_the_path_is_spelt(path):
    assert fits("/api/chat", path)
    assert fits("/API/chat/", path)
    assert fits("/api/*", path)
    assert fits("/api/{name}", path)


@pytest.mark.parametrize(
    ("path", "raw", "mount"),
    [
        ("/mnt/api/chat", "", "/mnt"),
        ("/mnt/api/chat", "", "/mnt/"),
        ("/chat", "", "/api"),
        ("/mnt/api/chat", "/mnt/api%2Fchat", "/mnt"),
        ("/else", "/api/chat", ""),
    ],
)
def test_a_mount_is_counted_into_the_path_and_not(path, raw, mount):
    assert fits("/api/chat", path, raw=raw, mount=mount)


@pytest.mark.parametrize(
    ("pattern", "inside", "outside"),
    [
        ("/api/*", ["/api", "/api/a", "/api/a/b"], ["/apis", "/", "/x/api"]),
        ("*", ["/", "/a", "/a/b"], []),
        ("/", ["/"], ["/a"]),
        ("/t/{id}", ["/t/1", "/t/a.b"], ["/t/1/2", "/s/1", "/t"]),
        ("/t/<int:id>/x", ["/t/1/x"], ["/t/1/2/x", "/t/1"]),
        ("/f/{rest:path}", ["/f/a", "/f/a/b"], ["/g/a"]),
        ("/f/<path:rest>/end", ["/f/a/b/end"], ["/f/a/b"]),
        ("/v1.0/chat", ["/v1.0/chat"], ["/v1x0/chat"]),
        ("/a*b", ["/ab", "/a/x/b"], ["/a"]),
    ],
)
def test_a_pattern_means_what_the_documentation_says(pattern, inside, outside):
    assert [path for path in inside if not fits(pattern, path)] == []
    assert [path for path in outside if fits(pattern, path)] == []


@pytest.mark.parametrize(
    "pattern",
    [
        "",
        "api",
        "/a b",
        "/a?b",
        "/{a",
        "/a}",
        "/<a",
        "/{a b}",
        "/é",
        "/a%2fb",
        "/1234567",
        "/10.0.0.1",
        "/../a",
        "/" + "a" * 200,
    ],
)
def test_what_is_no_route_is_refused_with_what_to_write(pattern):
    with pytest.raises(ValueError, match=r"route|field|dot"):
        pattern_source(pattern)


@given(st.text(max_size=60), st.text(max_size=20), st.text(max_size=60))
def test_every_path_has_readings_and_each_is_normal(path, mount, raw):
    for text in readings(path, raw=raw, mount=mount):
        assert text.startswith("/")
        assert normalised(text) == text or "/." in text


@given(
    st.lists(
        st.sampled_from(["api", "chat", "%61pi", "ch%61t", "//", "/", "/", "/./", "/x/../", "%2f", "\\", "API"]),
        max_size=8,
    )
)
def test_a_path_that_a_server_would_resolve_to_the_route_is_known(steps):
    """A server that decodes twice, folds case, backslashes and slashes, and resolves dots, is not ahead of the rule."""
    path = "/" + "".join(steps)
    seen = path
    for _ in range(2):
        seen = seen.replace("%61", "a").replace("%2f", "/")
    resolved: list[str] = []
    for step in seen.lower().replace("\\", "/").split("/"):
        if step == "..":
            resolved = resolved[:-1]
        elif step not in ("", "."):
            resolved.append(step)
    if resolved == ["api", "chat"]:
        assert fits("/api/chat", path)


@pytest.mark.parametrize("piece", ["/", "/..", "%25", "/a", "\u200b", "/a/.", "/;", "/a;b"])
def test_a_long_path_is_read_in_linear_time(piece):
    def seconds(size):
        path = piece * size + "/.." * size
        started = time.process_time()
        assert len(readings(path, raw=path, mount="/a")) < 60
        return time.process_time() - started

    seconds(100)
    assert min(seconds(20_000) for _ in range(3)) < 20 * max(min(seconds(2_000) for _ in range(3)), 0.001)


def test_a_pattern_with_many_stars_costs_no_more():
    assert not fits("/a*b*c*d/x", "/" + "abc" * 20_000)
