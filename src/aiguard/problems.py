"""Refusals as RFC 9457 problem details, the same at every web door."""

from __future__ import annotations

import json
from dataclasses import dataclass

from aiguard.errors import AIGuardError, Blocked, ProviderFailed, RateLimited
from aiguard.types import Decision, Effect, Reason, Stage

MEDIA_TYPE = "application/problem+json"

DECISION_HEADER = "x-aiguard-decision-id"
"""The response header under which an SDK's raw response carries the exchange's id."""


_SCOPE = "_aiguard_scope"

_MAX_CHAIN = 8
"""Causes of an exception that are looked at; SDKs wrap once or twice."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Problem:
    """A refusal ready to be sent: status, headers and the JSON body."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes


def name_scope(refusal: Blocked, scope: str) -> None:
    """Say on the refusal which scope it is about; the innermost guard that it passed names it."""
    if not hasattr(refusal, _SCOPE):
        setattr(refusal, _SCOPE, scope)


def scope_of(refusal: Blocked) -> str | None:
    """The scope that :func:`name_scope` named."""
    return getattr(refusal, _SCOPE, None)


def problem(blocked: Blocked, *, scope: str | None = None) -> Problem:
    """The problem details of a refusal: title, status, reasons and the decision's id; never anything of the input."""
    status = blocked.http_status
    document = {
        "type": f"urn:aiguard:problem:{_slug(type(blocked).__name__)}",
        "title": blocked.title,
        "status": status,
        "detail": "; ".join(reason.detail for reason in blocked.reasons) or blocked.title,
        "instance": f"urn:aiguard:decision:{blocked.decision_id}",
        "decision_id": blocked.decision_id,
        "reasons": [{"code": reason.code, "detail": reason.detail} for reason in blocked.reasons],
    }
    if scope is not None:
        document["scope"] = scope
    headers = [("Content-Type", MEDIA_TYPE), ("Cache-Control", "no-store")]
    headers += _challenge(blocked, status)
    if isinstance(blocked, RateLimited):
        headers += _rate_headers(blocked)
    return Problem(status=status, headers=tuple(headers), body=json.dumps(document).encode())


def _challenge(blocked: Blocked, status: int) -> list[tuple[str, str]]:
    """How to sign in: RFC 9110 wants a 401 to name a scheme, RFC 6750 wants to know what is wrong with a token."""
    codes = {reason.code for reason in blocked.reasons}
    if "actor.ambiguous" in codes:
        return [("WWW-Authenticate", 'Bearer realm="ai", error="invalid_request"')]
    if status != 401:
        return []
    if any(code.startswith("token.") for code in codes):
        return [("WWW-Authenticate", 'Bearer realm="ai", error="invalid_token"')]
    return [("WWW-Authenticate", 'Session realm="ai"')]


def _rate_headers(limited: RateLimited) -> list[tuple[str, str]]:
    """``Retry-After`` (RFC 9110) and what was used up (IETF draft "RateLimit header fields for HTTP")."""
    return [
        ("Retry-After", str(limited.retry_after)),
        ("RateLimit-Policy", f'"ai";q={limited.limit};w={limited.window}'),
        ("RateLimit", f'"ai";r=0;t={limited.retry_after}'),
    ]


_HTTP_LIBRARIES = frozenset({"openai", "anthropic", "httpx", "httpx2", "httpcore", "httpcore2"})


def provider_failure(error: BaseException, *, policy_hash: str) -> ProviderFailed | None:
    """What a door answers for an SDK's exception about an exchange: 504 for a timeout, else 502; None for any other.

    The exchange's id comes from the exception that sending raised, or from the response that an SDK's error carries. An error
    of ours (a setting that is missing) is nobody else's failure, so it gives None too.
    """
    chain = _chain(error)
    if not any(_about_the_server(each) for each in chain):
        return None  # a mistake in the application's own model function: not for us to explain
    found = next((id for id in map(_decision_id, chain) if id is not None), None)
    if found is None or any(isinstance(each, AIGuardError) for each in chain):
        return None
    status = getattr(error, "status_code", None)
    kind = f"status {status}" if isinstance(status, int) else type(error).__name__
    if any("Timeout" in type(each).__name__ for each in chain):
        reason = Reason(code="provider.timeout", detail="the model server did not answer in time", status=504)
    else:
        reason = Reason(code="provider.failed", detail=f"the model server failed ({kind})", status=502)
    decision = Decision(effect=Effect.BLOCK, reasons=(reason,), stage=Stage.SEND, id=found, policy_hash=policy_hash)
    return ProviderFailed(decision)


def unreadable_text(error: BaseException) -> str | None:
    """Why an exception of a view says that the request's text cannot be read, as a sentence; None for any other.

    Nesting beyond what Python's JSON parser can follow, and half of a surrogate pair, which no UTF-8 can carry, are
    properties of the request that frameworks report as a programming error.
    """
    if isinstance(error, RecursionError) and {"json.decoder", "json"} & _modules(error):
        return "the body nests too deeply"
    if isinstance(error, UnicodeEncodeError) and error.reason == "surrogates not allowed":
        return "the body holds half of a surrogate pair, which is not text"
    return None


def raised_in(error: BaseException) -> str:
    """The name of the module whose code raised ``error``, or ``""``."""
    frame = error.__traceback__
    while frame is not None and frame.tb_next is not None:
        frame = frame.tb_next
    return str(frame.tb_frame.f_globals.get("__name__", "")) if frame is not None else ""


def _modules(error: BaseException) -> set[str]:
    frame, names = error.__traceback__, set()
    while frame is not None:
        names.add(str(frame.tb_frame.f_globals.get("__name__", "")))
        frame = frame.tb_next
    return names


def _about_the_server(error: BaseException) -> bool:
    """Whether an exception says that a model server could not be reached or did not answer well."""
    library = type(error).__module__.partition(".")[0]
    return library in _HTTP_LIBRARIES or isinstance(error, (TimeoutError, ConnectionError))


def _chain(error: BaseException) -> list[BaseException]:
    chain: list[BaseException] = []
    seen: BaseException | None = error
    while seen is not None and len(chain) < _MAX_CHAIN:
        chain.append(seen)
        seen = seen.__cause__ or seen.__context__
    return chain


def _decision_id(error: BaseException) -> str | None:
    found = getattr(error, "aiguard_decision_id", None)
    if found is None:
        headers = getattr(getattr(error, "response", None), "headers", None)
        found = headers.get(DECISION_HEADER) if headers is not None else None
    return found if isinstance(found, str) else None


def _slug(name: str) -> str:
    return "".join("-" + c.lower() if c.isupper() and i else c.lower() for i, c in enumerate(name))
