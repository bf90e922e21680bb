"""FastAPI's dependencies and WebSocket endpoints, and callers by Starlette's own authentication or by service token."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Annotated, Any

import pytest
from fastapi import APIRouter, Depends, FastAPI
from fastapi.responses import StreamingResponse
from pydantic import BaseModel
from starlette.applications import Starlette
from starlette.authentication import AuthCredentials, AuthenticationBackend, SimpleUser
from starlette.middleware import Middleware
from starlette.middleware.authentication import AuthenticationMiddleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Mount, Route, WebSocketRoute
from starlette.testclient import TestClient, WebSocketDenialResponse
from starlette.websockets import WebSocket, WebSocketDisconnect
from tests.starlette_door.conftest import NewDesk
from tests.starlette_door.starlette_support import JANE, KEY, echo, repeat

from aiguard.credentials import Credentials
from aiguard.db.engine import make_engine
from aiguard.errors import UnguardedRoute
from aiguard.identity import Access, current_access
from aiguard.settings import Environment
from aiguard.starlette import AIGuard, ai_scope, require_ai_scope
from aiguard.types import Actor, utc_now


class Question(BaseModel):
    q: str


def application() -> tuple[FastAPI, list[AIGuard]]:
    """An application with a route of every form; the guard is put into the list."""
    app = FastAPI()
    holder: list[AIGuard] = []
    router = APIRouter(prefix="/routed", dependencies=[Depends(ai_scope("support:reply"))])

    @app.post("/decorated/{ticket}")
    @require_ai_scope("support:reply")
    async def decorated(ticket: int, question: Question, style: str = "plain") -> dict[str, Any]:
        return {
            "ticket": ticket,
            "style": style,
            "answer": await holder[0].acall(echo, question.q, model="local:small"),
        }

    @app.post("/depends")
    def depends(question: Question, access: Annotated[Access, Depends(ai_scope("support:reply"))]) -> dict[str, str]:
        assert current_access() is access
        return {"actor": access.actor.id, "answer": holder[0].call(repeat, question.q, model="local:small")}

    @app.get("/streams", dependencies=[Depends(ai_scope("support:reply"))])
    async def streams() -> StreamingResponse:
        async def pieces() -> AsyncIterator[str]:
            for number in range(3):
                yield await holder[0].acall(echo, f"{number};", model="local:small")

        return StreamingResponse(pieces())

    @router.get("/x")
    def routed() -> Any:
        return holder[0].call(repeat, "hi", model="local:small")

    @app.get("/open")
    def free() -> str:
        return "open"

    app.include_router(router, prefix="/api")
    return app, holder


def serve(new_desk: NewDesk, **options: Any) -> Any:
    app, holder = application()
    desk = new_desk(app, **options)
    holder.append(desk.guard)
    return desk


def test_decorator_and_dependency_serve_alike(new_desk: NewDesk) -> None:
    client = serve(new_desk).client()
    asked = {"q": "I am jane@example.com"}
    decorated = client.post("/decorated/7?style=long", json=asked, headers=JANE).json()
    assert decorated == {"ticket": 7, "style": "long", "answer": "you said I am jane@example.com"}
    assert client.post("/depends", json=asked, headers=JANE).json()["actor"] == "jane"
    assert client.get("/streams", headers=JANE).text == "you said 0;you said 1;you said 2;"
    assert client.get("/api/routed/x", headers=JANE).json() == "you said hi"
    assert client.get("/open").json() == "open"


@pytest.mark.parametrize(
    ("method", "path"), [("post", "/decorated/7"), ("post", "/depends"), ("get", "/streams"), ("get", "/api/routed/x")]
)
def test_all_forms_refuse_alike(method: str, path: str, new_desk: NewDesk) -> None:
    client = serve(new_desk).client()
    body = {"json": {"q": "hello"}} if method == "post" else {}
    assert getattr(client, method)(path, **body).status_code == 401
    wrong = getattr(client, method)(path, headers={"x-user": "bob"}, **body)
    assert (wrong.status_code, wrong.json()["scope"]) == (403, "support:reply")


@pytest.mark.parametrize("path", ["/decorated/7", "/depends"])
def test_blocked_content_and_large_bodies_are_problems(path: str, new_desk: NewDesk) -> None:
    client = serve(new_desk, settings={"AIGUARD_MAX_BODY_BYTES": "500"}).client()
    blocked = client.post(path, json={"q": KEY}, headers=JANE)
    assert (blocked.status_code, blocked.headers["content-type"]) == (422, "application/problem+json")
    large = client.post(path, json={"q": "x" * 600}, headers=JANE)
    assert (large.status_code, large.headers["content-type"]) == (413, "application/problem+json")


def test_a_providers_failure_is_a_problem_under_a_dependency_too(new_desk: NewDesk) -> None:
    app = FastAPI()
    holder: list[AIGuard] = []

    def fails(*_: Any, **__: Any) -> Any:
        raise TimeoutError

    @app.get("/x", dependencies=[Depends(ai_scope("support:reply"))])
    def endpoint() -> Any:
        return holder[0].call(fails, "hi", model="local:small")

    desk = new_desk(app)
    holder.append(desk.guard)
    assert desk.client().get("/x", headers=JANE).status_code == 504


def test_the_document_names_scope_scheme_and_refusals(new_desk: NewDesk) -> None:
    document = serve(new_desk).client().get("/openapi.json").json()
    for path, method in (("/decorated/{ticket}", "post"), ("/depends", "post"), ("/api/routed/x", "get")):
        operation = document["paths"][path][method]
        assert operation["x-aiguard-scope"] == "support:reply"
        assert any("aiguard" in each for each in operation["security"])
        assert {"401", "403", "429", "503"} <= set(operation["responses"])
    assert "security" not in document["paths"]["/open"]["get"]
    assert document["components"]["securitySchemes"]["aiguard"]["scheme"] == "bearer"


def test_a_dependency_on_an_unknown_scope_stops_the_start(new_desk: NewDesk) -> None:
    app = FastAPI(dependencies=[Depends(ai_scope("support:replay"))])

    @app.get("/x")
    def endpoint() -> str:
        return "x"

    with pytest.raises(UnguardedRoute, match="support:replay"):
        TestClient(new_desk(app).app).__enter__()


# --- sockets ------------------------------------------------------------------------------------------------------


def sockets(new_desk: NewDesk) -> Any:
    kept: list[Any] = []

    @require_ai_scope("support:reply")
    async def talk(socket: WebSocket) -> None:
        await socket.accept()
        kept.append(current_access())
        async for text in socket.iter_text():
            await socket.send_text(await desk.guard.acall(echo, text, model="local:small"))

    desk: Any = new_desk(Starlette(routes=[WebSocketRoute("/talk", talk)]))
    desk.kept = kept
    return desk


def test_a_socket_is_opened_only_to_whom_policy_admits(new_desk: NewDesk) -> None:
    desk = sockets(new_desk)
    client = TestClient(desk.app)
    with client.websocket_connect("/talk", headers=JANE) as socket:
        socket.send_text("hello")
        assert socket.receive_text() == "you said hello"
        assert desk.kept[0].alive
    for headers, status in (({}, 401), ({"x-user": "bob"}, 403)):
        with pytest.raises(WebSocketDenialResponse) as denied, client.websocket_connect("/talk", headers=headers):
            pass
        assert denied.value.status_code == status
        assert denied.value.json()["decision_id"].startswith("agd_")
    assert not desk.kept[0].alive


def test_a_refusal_in_an_open_socket_closes_it_with_the_id(new_desk: NewDesk) -> None:
    desk = sockets(new_desk)
    with TestClient(desk.app).websocket_connect("/talk", headers=JANE) as socket:
        socket.send_text(KEY)
        with pytest.raises(WebSocketDisconnect) as closed:
            socket.receive_text()
    assert closed.value.code == 1008
    assert closed.value.reason in {event.decision_id for event in desk.events() if event.type == "exchange.blocked"}


# --- callers ------------------------------------------------------------------------------------------------------


class Signed(AuthenticationBackend):
    async def authenticate(self, conn: Any) -> tuple[AuthCredentials, SimpleUser] | None:
        name = conn.headers.get("x-signed")
        return (AuthCredentials(["authenticated", "support:reply"]), SimpleUser(name)) if name else None


def signed_in(new_desk: NewDesk) -> Any:
    @require_ai_scope("support:reply")
    async def who(_request: Request) -> Response:
        access = current_access()
        assert access is not None
        return PlainTextResponse(f"{access.actor.kind} {access.actor.id}")

    app = Starlette(routes=[Route("/who", who)], middleware=[Middleware(AuthenticationMiddleware, backend=Signed())])
    return new_desk(app, actor=None)


def test_starlettes_own_authentication_says_who_is_calling(new_desk: NewDesk) -> None:
    client = signed_in(new_desk).client()
    assert client.get("/who", headers={"x-signed": "jane"}).text == "user jane"
    assert client.get("/who").status_code == 401


def test_a_service_token_says_it_too_but_not_both_at_once(new_desk: NewDesk) -> None:
    desk = signed_in(new_desk)
    shown = make_token(desk)
    client = desk.client()
    bearer = {"authorization": f"Bearer {shown}"}
    assert client.get("/who", headers=bearer).text == "service nightly"
    assert client.get("/who", headers={**bearer, "x-signed": "jane"}).status_code == 400
    other = "y" if shown.endswith("x") else "x"
    wrong = client.get("/who", headers={"authorization": f"Bearer {shown[:-1]}{other}"})
    assert (wrong.status_code, "invalid_token" in wrong.headers["www-authenticate"]) == (401, True)
    for second in ("Bearer x", "Basic eDp5", f"Bearer {shown}"):
        for pair in ((bearer["authorization"], second), (second, bearer["authorization"])):
            assert client.get("/who", headers=[("authorization", each) for each in pair]).status_code == 401


def make_token(desk: Any) -> str:
    engine = make_engine(f"sqlite:///{desk.database}")
    try:
        guard = desk.guard.guard
        credentials = Credentials(engine=engine, keyring=guard.keys, policy=guard.policy, operator="root")
        return credentials.create(service="nightly", scopes=["support:reply"], now=utc_now()).token.reveal()
    finally:
        engine.dispose()


def test_a_rate_that_is_used_up_answers_429_with_when_to_come_back(new_desk: NewDesk) -> None:
    client = serve(new_desk).client()
    answers = [client.get("/api/routed/x", headers=JANE) for _ in range(51)]
    assert [answer.status_code for answer in answers] == [200] * 50 + [429]
    assert int(answers[-1].headers["retry-after"]) >= 1


def test_overriding_a_guard_is_for_development_only(new_desk: NewDesk) -> None:
    app = FastAPI()
    scope = ai_scope("support:reply")

    @app.get("/x", dependencies=[Depends(scope)])
    def endpoint() -> str:
        return "in"

    desk = new_desk(app)
    app.dependency_overrides[scope] = lambda: None
    assert desk.client().get("/x").json() == "in"
    object.__setattr__(desk.guard.guard.settings, "environment", Environment.STAGING)
    with pytest.raises(UnguardedRoute, match="dependency_overrides"):
        TestClient(app).get("/x")


def test_a_mounted_application_with_its_own_guard_is_its_own(new_desk: NewDesk) -> None:
    inner, outer = FastAPI(), FastAPI()

    @inner.get("/x", dependencies=[Depends(ai_scope("other:scope"))])
    def endpoint() -> str:
        return "in"

    @outer.get("/y", dependencies=[Depends(ai_scope("support:reply"))])
    def other() -> str:
        return "out"

    outer.mount("/inner", inner)
    new_desk(inner, policy='[features.other]\nscope = "other:scope"\nowner = "x"\nmodels = []\n', actor=_everything)
    client = new_desk(outer).client()
    assert client.get("/inner/x", headers=JANE).json() == "in"
    assert client.get("/y", headers=JANE).json() == "out"
    assert client.get("/inner/x").status_code == client.get("/y").status_code == 401


def _everything(connection: Any) -> Actor | None:
    name = connection.headers.get("x-user")
    return Actor(id=name, scopes=frozenset({"other:scope"})) if name else None


@pytest.mark.parametrize("inner_class", [FastAPI, Starlette])
@pytest.mark.parametrize("middleware", [[], [Middleware(GZipMiddleware)]])
def test_a_mounted_application_refuses_as_the_outer_one_does(
    inner_class: Any, middleware: list[Middleware], new_desk: NewDesk
) -> None:
    inner = inner_class()

    @require_ai_scope("support:reply")
    async def endpoint(request: Request) -> PlainTextResponse:
        desk.guard.call(repeat, (await request.body()).decode() or "hi", model="local:small")
        return PlainTextResponse("in")

    inner.add_route("/x", endpoint, methods=["POST"])
    outer = Starlette(routes=[Mount("/a", Starlette(routes=[Mount("/b", inner, middleware=middleware)]))])
    desk = new_desk(outer)
    client = desk.client()
    assert client.post("/a/b/x", headers=JANE).text == "in"
    for headers, body, status in (({}, "", 401), ({"x-user": "bob"}, "", 403), (JANE, KEY, 422)):
        refused = client.post("/a/b/x", headers=headers, content=body)
        assert (refused.status_code, refused.headers["content-type"]) == (status, "application/problem+json")


def test_overrides_of_a_mounted_application_are_seen_too(new_desk: NewDesk) -> None:
    inner, outer = FastAPI(), Starlette()
    scope = ai_scope("support:reply")

    @inner.get("/x", dependencies=[Depends(scope)])
    def endpoint() -> str:
        return "in"

    outer.mount("/inner", inner)
    desk = new_desk(outer)
    assert desk.client().get("/inner/x").status_code == 401
    inner.dependency_overrides[scope] = lambda: None
    object.__setattr__(desk.guard.guard.settings, "environment", Environment.PRODUCTION)
    with pytest.raises(UnguardedRoute, match="dependency_overrides"):
        TestClient(outer).get("/inner/x")


def test_a_refusal_with_fastapis_own_status_is_documented_beside_it(new_desk: NewDesk) -> None:
    app = FastAPI()

    @app.post("/x", dependencies=[Depends(ai_scope("support:reply"))])
    def endpoint(question: Question) -> str:
        return question.q

    new_desk(app)
    for _ in range(2):  # the document is made once, and looked at more often
        responses = app.openapi()["paths"]["/x"]["post"]["responses"]
        assert set(responses["422"]["content"]) == {"application/json", "application/problem+json"}
        assert set(responses) >= {"200", "400", "401", "403", "413", "429", "502", "503", "504"}


@pytest.mark.parametrize("place", ["parameter", "route", "router", "application"])
def test_a_socket_is_guarded_by_a_dependency_wherever_it_stands(place: str, new_desk: NewDesk) -> None:
    wanted = [Depends(ai_scope("support:reply"))]
    app = FastAPI(dependencies=wanted if place == "application" else [])
    router = APIRouter(dependencies=wanted if place == "router" else [])

    async def talk(socket: WebSocket) -> None:
        await socket.accept()
        await socket.send_text(str(await desk.guard.acall(echo, await socket.receive_text(), model="local:small")))

    if place == "parameter":

        @router.websocket("/talk")
        async def with_access(socket: WebSocket, access: Access = wanted[0]) -> None:
            assert current_access() is access
            await talk(socket)
    else:
        router.websocket("/talk", dependencies=wanted if place == "route" else [])(talk)
    app.include_router(router)
    desk = new_desk(app)
    with pytest.raises(WebSocketDenialResponse) as refused, desk.client().websocket_connect("/talk"):
        pass
    assert refused.value.status_code == 401
    with desk.client().websocket_connect("/talk", headers=JANE) as socket:
        socket.send_text("I am jane@example.com")
        assert socket.receive_text() == "you said I am jane@example.com"
    assert current_access() is None
