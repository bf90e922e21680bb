"""Bodies on their way in and out: bounded, read in full, and put back as if nothing else had ever been there."""

from __future__ import annotations

from io import BytesIO
from typing import Final

from flask import request
from flask.wrappers import Response
from werkzeug.exceptions import HTTPException, RequestEntityTooLarge

from aiguard.errors import Blocked, ConfigurationError
from aiguard.flask.failures import DETAILS, is_ours, refused_input
from aiguard.flask.state import current_state, grants_of_request, route_names
from aiguard.guard import Guard
from aiguard.hooks import ScrubRule, scrub_request_body, scrub_response_body

_READ: Final = "aiguard.body_read"


def limit_body() -> None:
    """Bound the body of a request: by its length where it says it, else by reading it here.

    Werkzeug's stream of a body without a length (in chunks) ends at the limit as if that were all, so that a view would take
    the beginning of a body for the whole.
    """
    if request.environ.get(_READ):
        return
    limit, own = current_state().guard.settings.max_body_bytes, request.max_content_length
    limit = limit if own is None else min(own, limit)
    request.max_content_length = limit
    if request.content_length is not None:
        if request.content_length > limit:
            raise RequestEntityTooLarge
    elif "wsgi.input_terminated" in request.environ and "form" not in request.__dict__:
        request.max_content_length = limit + 1
        content = request.get_data(cache=False)
        if len(content) > limit:
            raise RequestEntityTooLarge
        _put_body(content)


def _put_body(content: bytes) -> None:
    """Make ``content`` what the request's body is, however it is read from now on."""
    environ = request.environ
    environ["wsgi.input"] = BytesIO(content)
    environ["CONTENT_LENGTH"] = str(len(content))
    environ.pop("HTTP_TRANSFER_ENCODING", None)
    environ[_READ] = True
    request.max_content_length = len(content)
    for cached in ("stream", "data", "form", "files", "values", "content_length", "_cached_data", "_cached_json"):
        request.__dict__.pop(cached, None)


def replace_request_body(guard: Guard, rule: ScrubRule) -> None:
    """Scrub the body of the current request in place; a refusal (on record already) is raised."""
    route, _ = route_names()
    if "form" in request.__dict__:
        raise ConfigurationError(
            "the form was read before it could be scrubbed, by a URL value preprocessor or a session interface; "
            "read it in a before_request function or later"
        )
    refusal: Blocked | None = None
    content = b""
    try:
        limit_body()
        content = request.get_data(cache=False, parse_form_data=False)
    except HTTPException as error:
        status = error.code if error.code in DETAILS else 400
        refusal = refused_input(guard, status, DETAILS[status])
    if refusal is not None:
        raise refusal
    scrubbed = scrub_request_body(
        guard,
        rule,
        content,
        content_type=request.headers.get("Content-Type", ""),
        encoding=request.headers.get("Content-Encoding", ""),
        route=route,
    )
    _put_body(scrubbed.content)


def replace_response_body(guard: Guard, rule: ScrubRule, response: Response) -> Blocked | None:
    """Scrub a response in place, or give the refusal to answer instead."""
    if is_ours(response) or (request.method == "HEAD" and response.is_streamed):
        return None
    grants = list(grants_of_request())
    try:
        scrubbed = scrub_response_body(
            guard,
            rule,
            _whole(response, guard.settings.max_response_bytes),
            content_type=response.headers.get("Content-Type", ""),
            encoding="partial" if response.status_code == 206 else response.headers.get("Content-Encoding", ""),
            route=route_names()[0],
            exempt=lambda value: any(access.lease.was_restored(value) for access in grants),
            headers=response.headers.keys(),
        )
    except Blocked as blocked:
        return blocked
    if scrubbed.counts:
        for name in ("ETag", "Content-MD5", "Digest", "Content-Digest", "Repr-Digest", "Accept-Ranges"):
            response.headers.pop(name, None)
        response.set_data(scrubbed.content)
    return None


def _whole(response: Response, limit: int) -> bytes:
    """A response's body, read in full where it streams; only so far past ``limit`` that it is known to be too large."""
    if not response.is_streamed:
        return response.get_data()
    response.direct_passthrough = False
    body = bytearray()
    for chunk in response.iter_encoded():
        body += chunk
        if len(body) > limit:
            break
    close = getattr(response.response, "close", None)
    if close is not None:
        response.call_on_close(close)
    response.response = [bytes(body)]
    return bytes(body)
