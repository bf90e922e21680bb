"""Routes of Starlette applications under ``@require_ai_scope``: who gets in, what is answered, when identity ends."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.endpoints import HTTPEndpoint
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Host, Mount, Route, Router
from starlette.testclient import TestClient
from tests.starlette_door.conftest import NewDesk
from tests.starlette_door.starlette_support import ADA, JANE, KEY, echo, repeat

from aiguard import Blocked
from aiguard.errors import ConfigurationError, UnguardedRoute
from aiguard.identity import current_access
from aiguard.starlette import AIGuard, require_ai_scope

LIMIT = {"AIGUARD_MAX_BODY_BYTES": "1000"}


class Endpoints:
    """Endpoints of every kind; ``guard`` is set once there is an application."""

    guard: AIGuard

    def routes(self) -> list[Any]:
        @require_ai_scope("support:reply")
        async def reply(request: Request) -> Response:
            body = await request.json()
            return JSONResponse({"answer": await self.guard.acall(echo, body["q"], model="local:small")})

        @require_ai_scope("support:reply")
        def in_thread(_request: Request) -> Response:
            return PlainTextResponse(self.guard.call(repeat, "hi", model="local:small"))

        @require_ai_scope("support:reply")
        async def streamed(_request: Request) -> Response:
            async def pieces() -> AsyncIterator[str]:
                for number in range(3):
                    yield await self.guard.acall(echo, f"{number};", model="local:small")

            return StreamingResponse(pieces())

        @require_ai_scope("support:reply")
        def streamed_in_thread(_request: Request) -> Response:
            def pieces() -> Iterator[str]:
                with self.guard.conversation("c"):
                    for number in range(3):
                        yield self.guard.call(repeat, f"{number};", model="local:small")

            return StreamingResponse(pieces())

        @require_ai_scope("support:reply")
        async def outer(request: Request) -> Response:
            inner = await summary(request)
            assert current_access() is not None
            return PlainTextResponse(f"{inner.body.decode()} then {current_access().feature}")  # type: ignore[union-attr]

        @require_ai_scope("support:summary")
        async def summary(_request: Request) -> Response:
            access = current_access()
            return PlainTextResponse(access.feature if access else "nobody")

        class Whole(HTTPEndpoint):
            @require_ai_scope("support:reply")
            async def get(self, _request: Request) -> Response:
                return PlainTextResponse("got")

            async def post(self, _request: Request) -> Response:
                return PlainTextResponse("open")

        return [
            Route("/reply", reply, methods=["POST"]),
            Route("/thread", in_thread),
            Route("/streamed", streamed),
            Route("/streamed-thread", streamed_in_thread),
            Route("/outer", outer),
            Mount(
                "/mounted", routes=[Route("/class/{id}", Whole), Mount("/deep", app=Router([Route("/x", in_thread)]))]
            ),
            Host("ai.example.com", app=Router([Route("/hosted", in_thread)])),
        ]


@pytest.fixture
def endpoints() -> Endpoints:
    return Endpoints()


def serve(endpoints: Endpoints, new_desk: NewDesk, **options: Any) -> Any:
    desk = new_desk(Starlette(routes=endpoints.routes()), **options)
    endpoints.guard = desk.guard
    return desk


def test_every_kind_of_endpoint_is_reached_by_whom_policy_admits(endpoints: Endpoints, new_desk: NewDesk) -> None:
    client = serve(endpoints, new_desk).client()
    answer = client.post("/reply", json={"q": "I am jane@example.com"}, headers=JANE)
    assert answer.json() == {"answer": "you said I am jane@example.com"}
    assert client.get("/thread", headers=JANE).text == "you said hi"
    assert client.get("/streamed", headers=JANE).text == "you said 0;you said 1;you said 2;"
    assert client.get("/streamed-thread", headers=JANE).text == "you said 0;you said 1;you said 2;"
    assert client.get("/mounted/class/1", headers=JANE).text == "got"
    assert client.get("/mounted/deep/x", headers=JANE).text == "you said hi"
    assert client.get("/hosted", headers={**JANE, "host": "ai.example.com"}).text == "you said hi"
    assert client.post("/mounted/class/1").text == "open"


@pytest.mark.parametrize("path", ["/thread", "/streamed", "/streamed-thread", "/mounted/class/1", "/mounted/deep/x"])
def test_nobody_and_the_wrong_people_are_refused_with_the_id_on_record(
    path: str, endpoints: Endpoints, new_desk: NewDesk
) -> None:
    desk = serve(endpoints, new_desk)
    nobody = desk.client().get(path)
    assert (nobody.status_code, nobody.headers["content-type"]) == (401, "application/problem+json")
    assert nobody.headers["www-authenticate"].startswith("Session")
    wrong = desk.client().get(path, headers={"x-user": "bob"})
    assert (wrong.status_code, wrong.json()["scope"]) == (403, "support:reply")
    denied = [event for event in desk.events() if event.type == "access.denied"]
    assert [event.decision_id for event in denied] == [nobody.json()["decision_id"], wrong.json()["decision_id"]]
    assert {event.payload["route"] for event in denied} == {path.replace("/1", "/{id}")}


def test_content_that_policy_stops_is_refused_and_nothing_of_it_is_shown(
    endpoints: Endpoints, new_desk: NewDesk
) -> None:
    refused = serve(endpoints, new_desk).client().post("/reply", json={"q": f"my key is {KEY}"}, headers=JANE)
    assert (refused.status_code, refused.json()["scope"]) == (422, "support:reply")
    assert KEY not in refused.text


@pytest.mark.parametrize(("body", "status"), [(b"{", 400), (b"\xff\xfe", 400), (b"[" * 900, 400), (b"x" * 1_001, 413)])
def test_a_body_that_cannot_be_read_is_refused_by_name(
    body: bytes, status: int, endpoints: Endpoints, new_desk: NewDesk
) -> None:
    desk = serve(endpoints, new_desk, settings=LIMIT)
    refused = desk.client().post("/reply", content=body, headers=JANE)
    assert refused.status_code == status
    assert refused.json()["decision_id"] in {event.decision_id for event in desk.events()}


def test_a_chunked_body_is_bounded_too(endpoints: Endpoints, new_desk: NewDesk) -> None:
    client = serve(endpoints, new_desk, settings=LIMIT).client()
    assert client.post("/reply", content=iter([b"x" * 600, b"x" * 600]), headers=JANE).status_code == 413


def test_an_endpoint_that_calls_another_guarded_one_goes_on_as_itself(endpoints: Endpoints, new_desk: NewDesk) -> None:
    client = serve(endpoints, new_desk).client()
    assert client.get("/outer", headers=JANE).text == "summary then support-reply"
    assert client.get("/outer", headers=ADA).status_code == 403


def test_identity_ends_with_the_last_byte_so_background_work_needs_its_own(new_desk: NewDesk) -> None:
    seen: list[Any] = []

    def later() -> None:
        seen.append(current_access())

    kept: list[Any] = []

    @require_ai_scope("support:reply")
    async def endpoint(_request: Request) -> Response:
        kept.append(current_access())
        return PlainTextResponse("done", background=BackgroundTask(later))

    desk = new_desk(Starlette(routes=[Route("/", endpoint)]))
    assert desk.client().get("/", headers=JANE).text == "done"
    assert seen == [None]
    assert not kept[0].alive


def test_a_stream_that_its_reader_leaves_ends_the_identity_and_closes_the_generator(new_desk: NewDesk) -> None:
    closed: list[bool] = []
    kept: list[Any] = []

    @require_ai_scope("support:reply")
    async def endless(_request: Request) -> Response:
        async def pieces() -> AsyncIterator[bytes]:
            kept.append(current_access())
            try:
                while True:
                    yield b"x" * 1000
                    await asyncio.sleep(0)
            finally:
                closed.append(current_access() is not None)

        return StreamingResponse(pieces())

    desk = new_desk(Starlette(routes=[Route("/", endless)]))

    async def main() -> None:
        sent = 0

        async def receive() -> dict[str, Any]:
            if sent < 3:
                await asyncio.sleep(0.01)
                return {"type": "http.request", "body": b"", "more_body": False}
            return {"type": "http.disconnect"}

        async def send(message: dict[str, Any]) -> None:
            nonlocal sent
            sent += message["type"] == "http.response.body"
            if sent > 5:
                raise OSError("the client is gone")

        scope = {
            "type": "http", "asgi": {"version": "3.0", "spec_version": "2.4"}, "http_version": "1.1", "method": "GET", "path": "/",
            "raw_path": b"/", "root_path": "", "scheme": "http", "query_string": b"", "headers": [(b"x-user", b"jane")],
            "client": ("127.0.0.1", 1), "server": ("127.0.0.1", 2),
        }  # fmt: skip
        with pytest.raises(BaseException):  # noqa: B017 - whatever Starlette makes of a client that is gone
            await desk.app(scope, receive, send)

    asyncio.run(main())
    assert not kept[0].alive


def test_concurrent_requests_never_share_an_identity(new_desk: NewDesk) -> None:
    barrier = threading.Barrier(2, timeout=10)

    @require_ai_scope("support:reply")
    def who(request: Request) -> Response:
        barrier.wait()
        access = current_access()
        assert access is not None
        return PlainTextResponse(f"{request.headers['x-user']}={access.actor.id}")

    desk = new_desk(Starlette(routes=[Route("/", who)]))
    answers: list[str] = []
    with TestClient(desk.app) as client:
        threads = [
            threading.Thread(target=lambda name=name: answers.append(client.get("/", headers={"x-user": name}).text))
            for name in ("jane", "ada") * 4
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert sorted(answers) == sorted(["jane=jane", "ada=ada"] * 4)


def test_identity_reaches_through_a_base_http_middleware(endpoints: Endpoints, new_desk: NewDesk) -> None:
    class Passing(BaseHTTPMiddleware):
        async def dispatch(self, request: Request, call_next: Any) -> Any:
            response = await call_next(request)
            response.headers["x-passed"] = "yes"
            return response

    app = Starlette(routes=endpoints.routes())
    app.add_middleware(Passing)
    endpoints.guard = new_desk(app).guard
    client = TestClient(app)
    for path in ("/thread", "/streamed", "/streamed-thread"):
        answer = client.get(path, headers=JANE)
        assert answer.headers["x-passed"] == "yes"
        assert "you said" in answer.text


@pytest.mark.parametrize("when", ["first request", "lifespan"])
def test_a_route_that_registered_the_bare_function_is_found_before_the_first_request(
    when: str, new_desk: NewDesk
) -> None:
    async def bare(_request: Request) -> Response:
        return PlainTextResponse("open")

    require_ai_scope("support:reply")(bare)
    client = TestClient(new_desk(Starlette(routes=[Mount("/m", routes=[Route("/bare", bare)])])).app)
    begin: Any = client.__enter__ if when == "lifespan" else lambda: client.get("/other")
    with pytest.raises(UnguardedRoute, match="/m/bare"):
        begin()


@pytest.mark.parametrize(
    ("scope", "feature", "what"),
    [("support:replay", None, "scope 'support:replay'"), ("x", "nothing", "feature 'nothing'")],
)
def test_a_scope_or_feature_that_policy_does_not_know_stops_the_start(
    scope: str, feature: str | None, what: str, new_desk: NewDesk
) -> None:
    @require_ai_scope(scope, feature=feature)
    async def endpoint(_request: Request) -> Response:
        return PlainTextResponse("open")

    desk = new_desk(Starlette(routes=[Route("/x", endpoint)]))
    with pytest.raises(UnguardedRoute, match=what):
        TestClient(desk.app).__enter__()


def test_what_fails_in_a_resolver_refuses(new_desk: NewDesk) -> None:
    @require_ai_scope("support:reply")
    async def endpoint(_request: Request) -> Response:
        return PlainTextResponse("open")

    def broken(_connection: Any) -> Any:
        raise RuntimeError("secret detail")

    refused = new_desk(Starlette(routes=[Route("/x", endpoint)]), actor=broken).client().get("/x")
    assert refused.status_code == 503
    assert "secret detail" not in refused.text


def test_async_resolvers_and_subjects_are_asked(new_desk: NewDesk) -> None:
    from aiguard.types import Actor

    async def actor(_connection: Any) -> Actor:
        return Actor(id="jane", scopes=frozenset({"support:reply"}))

    async def subject(_connection: Any) -> str:
        return "customer-7"

    @require_ai_scope("support:reply", subject=subject)
    async def endpoint(_request: Request) -> Response:
        access = current_access()
        assert access is not None
        return PlainTextResponse(access.subject)

    assert new_desk(Starlette(routes=[Route("/x", endpoint)]), actor=actor).client().get("/x").text == "customer-7"


def test_the_applications_own_handler_answers_refusals(new_desk: NewDesk) -> None:
    async def own(_request: Request, _error: Exception) -> Response:
        return PlainTextResponse("no", status_code=418)

    @require_ai_scope("support:reply")
    async def endpoint(_request: Request) -> Response:
        return PlainTextResponse("open")

    app = Starlette(routes=[Route("/x", endpoint)], exception_handlers={Blocked: own})
    assert new_desk(app).client().get("/x").status_code == 418


def test_misuse_is_named(new_desk: NewDesk) -> None:
    with pytest.raises(TypeError, match="in parentheses"):
        require_ai_scope(lambda request: request)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="ai_scope"):

        @require_ai_scope("support:reply")
        async def pieces() -> AsyncIterator[str]:
            yield "x"

    with pytest.raises(ConfigurationError, match=r"aiguard\.asgi"):
        AIGuard(lambda scope, receive, send: None)
    app = Starlette()
    new_desk(app)
    with pytest.raises(ConfigurationError, match="already"):
        AIGuard(app)


def test_an_application_can_be_started_again(endpoints: Endpoints, new_desk: NewDesk) -> None:
    desk = serve(endpoints, new_desk)
    for _ in range(2):
        with TestClient(desk.app) as client:
            assert client.get("/thread", headers=JANE).text == "you said hi"
