"""The inventory of whole applications: every row, every problem, at both doors and through the command."""

from __future__ import annotations

import json
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest

POLICY = """
[features.support-reply]
scope = "support:reply"
owner = "support-platform"
models = ["openai:gpt-5-mini"]

[features.digest]
scope = "support:digest"
owner = "support-platform"
models = ["openai:gpt-5-mini"]

[features.acting]
scope = "support:acting"
owner = "support-platform"
models = ["openai:gpt-5-mini"]

[features.forgotten]
scope = "nobody:asks"
owner = "support-platform"
models = ["openai:gpt-5-mini"]

[[routes]]
path = "/notes/*"
direction = "request"
"""
START = """
    from openai import {client}
    from aiguard import Actor, require_ai_scope as job
    nobody = lambda *_: None
"""
FLASK = (
    START.format(client="OpenAI")
    + """
    from flask import Flask, current_app
    from flask.views import MethodView
    from aiguard.flask import AIGuard, require_ai_scope
    from aiguard.wsgi import AIGuardMiddleware

    app = Flask("shop")
    guard = AIGuard(app, actor=nobody)
    client = guard.client(OpenAI)
    app.extensions["shop"] = client
    guard.scrub_response("/open")

    @app.post("/reply")
    @require_ai_scope("support:reply")
    def reply(): return client.responses

    @app.get("/open")
    def free(): return str(current_app.config["DEBUG"])

    @app.post("/notes/<int:id>")
    def notes(id): return current_app.extensions["shop"]

    class View(MethodView):
        def get(self): return self.inner()
        def inner(self): return client.responses
    app.add_url_rule("/view", view_func=View.as_view("view"))

    @job("support:digest", guard=guard, actor=nobody)
    def digest(): ...

    def acting(): return guard.acting_as(None, scope="support:acting")

    app.wsgi_app = AIGuardMiddleware(app.wsgi_app, guard=guard.guard, rules=[{"path": "/nowhere"}])
    def make(): return app
"""
)
STARLETTE = (
    START.format(client="AsyncOpenAI")
    + """
    from typing import Annotated
    from fastapi import APIRouter, Depends, FastAPI, Request, WebSocket
    from starlette.endpoints import HTTPEndpoint
    from aiguard.asgi import AIGuardMiddleware
    from aiguard.starlette import AIGuard, ai_scope, require_ai_scope

    app = FastAPI(openapi_url=None)
    guard = AIGuard(app, actor=nobody)
    app.state.client = guard.client(AsyncOpenAI)

    def the_client(request: Request): return request.app.state.client

    @app.post("/reply")
    @require_ai_scope("support:reply")
    async def reply(request: Request): return the_client(request).responses

    @app.get("/open")
    async def free(): return hasattr(app.state, "unknown")

    @app.post("/notes/{id}")
    async def notes(id: int, client: Annotated[object, Depends(the_client)]): return client

    class View(HTTPEndpoint):
        async def get(self, request): return self.inner()
        def inner(self): return guard.call(None, "")
    app.add_route("/view", View)

    router = APIRouter(dependencies=[Depends(ai_scope("support:digest"))])
    @router.websocket("/socket")
    async def socket(s: WebSocket): return app.state.client
    app.include_router(router, prefix="/api")

    def acting(): return guard.acting_as(None, scope="support:acting")

    class Foreign:
        def __init__(self, client): self.client = client
        async def __call__(self, scope, receive, send): return self.client
    app.mount("/foreign", Foreign(app.state.client))

    app.add_middleware(AIGuardMiddleware, guard=guard.guard, rules=[{"path": "/nowhere"}])
    outer = AIGuardMiddleware(app, guard=guard.guard)
"""
)
WITHOUT_PROBLEMS = (
    START.format(client="OpenAI")
    + """
    from flask import Flask
    from aiguard.flask import AIGuard, require_ai_scope
    app = Flask("fine")
    guard = AIGuard(app, actor=nobody)
    client = guard.client(OpenAI)
    scopes = ["support:digest", "support:acting", "nobody:asks"]
    @app.post("/reply")
    @require_ai_scope("support:reply")
    def reply(): return client.responses
"""
)


MISTAKES = {
    "at the top": ("other = OpenAI(api_key='x')", "client.unguarded"),
    "by module": ("def late():\n    import openai as o\n    return o.OpenAI(api_key='x')", "client.unguarded"),
    "by alias": ("def late():\n    from openai import OpenAI as M\n    return M(api_key='x')", "client.unguarded"),
    "hidden": ("kept = [__import__('openai').OpenAI(api_key='x')]", "client.unguarded"),
    "above": ("@require_ai_scope('support:reply')\n@app.get('/x')\ndef wrong(): ...", "route.unguarded"),
    "scope": ("@app.get('/x')\n@require_ai_scope('support:unknown')\ndef wrong(): ...", "scope.unknown"),
    "feature": ("@app.get('/x')\n@require_ai_scope('support:reply', feature='none')\ndef f(): ...", "feature.unknown"),
    "used": ("other = OpenAI(api_key='x')\n@app.get('/x')\ndef wrong(): return other", "client.reached"),
}
UNREADABLE = {
    "raises": ("raise RuntimeError('boom')", "shop:app", "RuntimeError: boom"),
    "number": ("app = 3", "shop:app", "neither a Flask"),
    "flask": ("from flask import Flask\napp = Flask('x')", "shop:app", "has no AIGuard"),
    "starlette": ("from starlette.applications import Starlette\napp = Starlette()", "shop:app", "has no AIGuard"),
    "missing": ("", "shop:missing", "cannot be loaded"),
    "spec": ("", "shop", "MODULE:APP"),
    "setting": (WITHOUT_PROBLEMS.replace("AIGuard(app", 'AIGuard(app, count="x"'), "shop:app", "cannot be loaded"),
}
SERVE = {
    FLASK: "[app.test_client().get('/open').status_code for _ in range(2)]",
    STARLETTE: "[TestClient(app).get('/open').status_code for _ in range(2)]",
}
PLAIN_POLICY = POLICY.partition("[[routes]]")[0]

DRIVER = """
import gc, importlib, io, json, logging, os, pathlib, sys, textwrap
from click.testing import CliRunner
from starlette.testclient import TestClient
from aiguard.cli import main
sys.dont_write_bytecode = True
sys.path.insert(0, os.getcwd())
results = {}
for key, (source, policy, what) in json.load(sys.stdin).items():
    pathlib.Path("shop.py").write_text(textwrap.dedent(source), encoding="utf-8")
    pathlib.Path("aiguard.toml").write_text(policy, encoding="utf-8")
    importlib.invalidate_caches()
    if isinstance(what, list):
        done = CliRunner().invoke(main, what)
        results[key] = [done.exit_code, done.stdout, done.stderr]
    else:
        mode, _, served = what.partition(":")
        os.environ["AIGUARD_STARTUP_CHECK"] = mode
        heard = io.StringIO()
        handler = logging.StreamHandler(heard)
        logging.getLogger("aiguard").addHandler(handler)
        try:
            results[key] = [0, eval(served, {**vars(importlib.import_module("shop")), "TestClient": TestClient}), ""]
        except Exception as error:
            results[key] = [1, type(error).__name__, ""]
        results[key][2] = heard.getvalue()
        logging.getLogger("aiguard").removeHandler(handler)
        del os.environ["AIGUARD_STARTUP_CHECK"]
    module = sys.modules.pop("shop", None)
    guard = getattr(module, "guard", None)
    if guard is not None:
        guard.guard.close()
    del module, guard
    gc.collect()
print(json.dumps(results))
"""


def run(folder: Path, *program: str, given: str | None = None) -> Any:
    return subprocess.run(
        [sys.executable, *program],
        cwd=folder,
        env={"AIGUARD_ENVIRONMENT": "test", "OPENAI_API_KEY": "sk-x", "PATH": "/usr/bin:/bin"},
        input=given,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What the command answers for every application here: exit code, standard output and error. One process for all."""
    jobs: dict[str, Any] = {
        "flask": (FLASK, POLICY, ["routes", "--app", "shop:make()", "--json"]),
        "starlette": (STARLETTE, POLICY, ["routes", "--app", "shop:app", "--json"]),
        "wrapped": (STARLETTE, POLICY, ["routes", "--app", "shop:outer", "--json"]),
        "fine": (WITHOUT_PROBLEMS, PLAIN_POLICY, ["routes", "--app", "shop:app", "--strict"]),
        "warned": (WITHOUT_PROBLEMS, POLICY, ["routes", "--app", "shop:app"]),
        "strict": (WITHOUT_PROBLEMS, POLICY, ["routes", "--app", "shop:app", "--strict"]),
        "loud": (WITHOUT_PROBLEMS, POLICY, "loud:3"),
    }
    for name, (added, _) in MISTAKES.items():
        source = textwrap.dedent(WITHOUT_PROBLEMS) + added
        jobs[f"mistake {name}"] = (source, PLAIN_POLICY, ["routes", "--app", "shop:app", "--json"])
    for name, (source, spec, _) in UNREADABLE.items():
        jobs[f"unreadable {name}"] = (source, POLICY, ["routes", "--app", spec])
    for source, served in SERVE.items():
        for mode in ("warn", "refuse", "off"):
            jobs[f"{mode} {served}"] = (source, POLICY, f"{mode}:{served}")
    done = run(tmp_path_factory.mktemp("shops"), "-c", DRIVER, given=json.dumps(jobs))
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def table(done: list[Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    code, text, trouble = done
    assert code == 1, trouble
    document = json.loads(text)
    rows = {row["path"] or row["endpoint"]: row for row in document["rows"]}
    return rows, document


def codes(document: dict[str, Any]) -> set[tuple[str, str]]:
    return {(problem["code"], problem["where"]) for problem in document["problems"]}


def test_a_flask_applications_routes_and_problems_are_listed(results: dict[str, Any]) -> None:
    rows, document = table(results["flask"])
    assert rows["/reply"]["scopes"] == ["support:reply"]
    assert rows["/reply"]["features"] == ["support-reply"]
    assert rows["/reply"]["reaches"] == ["client"]
    assert rows["/open"]["rules"] == ["scrub_response"]
    assert rows["/notes/<int:id>"]["rules"] == ["/notes/* (request)"]
    assert rows["shop.digest"]["kind"] == "function"
    assert codes(document) == {
        ("route.without-scope", "POST /notes/<int:id>"),
        ("route.without-scope", "GET /view"),
        ("feature.unused", "forgotten"),
        ("rule.unused", "/nowhere"),
    }
    assert (document["errors"], document["warnings"]) == (2, 2)


@pytest.mark.parametrize("name", ["starlette", "wrapped"])
def test_a_fastapi_applications_routes_and_problems_are_listed(name: str, results: dict[str, Any]) -> None:
    rows, document = table(results[name])
    assert rows["/reply"]["scopes"] == ["support:reply"]
    assert rows["/reply"]["reaches"] == ["request.app.state.client"]
    assert (rows["/api/socket"]["kind"], rows["/api/socket"]["features"]) == ("websocket", ["digest"])
    assert rows["/notes/{id}"]["rules"] == ["/notes/* (request)"]
    assert codes(document) == {
        ("route.without-scope", "POST /notes/{id}"),
        ("route.without-scope", "/view"),
        ("route.without-scope", "/foreign/{path:path}"),
        ("feature.unused", "forgotten"),
        ("rule.unused", "/nowhere"),
    }


def test_an_application_without_problems_passes_and_says_so(results: dict[str, Any]) -> None:
    code, text, trouble = results["fine"]
    assert (code, trouble) == (0, "")
    assert "POST  /reply" in text
    assert text.endswith("2 routes, 0 functions, 0 errors, 0 warnings\n")


def test_warnings_fail_only_when_asked(results: dict[str, Any]) -> None:
    assert results["warned"][0] == 0
    assert "rule.nowhere" in results["warned"][2]
    assert results["strict"][0] == 1


@pytest.mark.parametrize("name", MISTAKES)
def test_each_mistake_has_its_code_and_fails(name: str, results: dict[str, Any]) -> None:
    _, document = table(results[f"mistake {name}"])
    assert MISTAKES[name][1] in {problem["code"] for problem in document["problems"]}


@pytest.mark.parametrize("name", UNREADABLE)
def test_what_cannot_be_looked_at_is_not_taken_for_fine(name: str, results: dict[str, Any]) -> None:
    code, _, trouble = results[f"unreadable {name}"]
    assert code == 2
    assert UNREADABLE[name][2] in trouble
    assert "Traceback" not in trouble


@pytest.mark.parametrize("served", SERVE.values(), ids=["flask", "fastapi"])
def test_the_start_does_with_errors_what_the_setting_says(served: str, results: dict[str, Any]) -> None:
    assert results[f"off {served}"] == [0, [200, 200], ""]
    code, statuses, heard = results[f"warn {served}"]
    assert (code, statuses, heard.count("route.without-scope")) == (0, [200, 200], 3 if "TestClient" in served else 2)
    assert results[f"refuse {served}"][:2] == [1, "UnguardedRoute"]


def test_a_startup_check_that_is_misspelt_is_an_error(results: dict[str, Any]) -> None:
    assert results["loud"][:2] == [1, "SettingsError"]


def test_flask_s_own_command_line_and_ours_list_the_same(tmp_path: Path, results: dict[str, Any]) -> None:
    (tmp_path / "shop.py").write_text(textwrap.dedent(WITHOUT_PROBLEMS), encoding="utf-8")
    (tmp_path / "aiguard.toml").write_text(PLAIN_POLICY, encoding="utf-8")
    done = run(tmp_path, "-m", "flask", "--app", "shop", "aiguard", "routes")
    assert [done.returncode, done.stdout] == results["fine"][:2]
