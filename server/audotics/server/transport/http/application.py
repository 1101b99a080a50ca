"""What is answered over HTTP: metrics and readiness go in, an ASGI application with their routes comes out.

Every error is JSON, `{"error": {"code": 404, "message": "…", "status": "NOT_FOUND"}}`, as Google's APIs write it.
"""

from __future__ import annotations

from http import HTTPStatus

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from audotics.server.telemetry.metrics import ANY_FORMAT, Metrics
from audotics.server.telemetry.readiness import Readiness


def application(*, metrics: Metrics, readiness: Readiness) -> Starlette:
    """The routes `/metrics`, `/health/live` and `/health/ready`."""

    async def show_metrics(request: Request) -> Response:
        content, content_type = metrics.render(request.headers.get("accept", ANY_FORMAT))
        return Response(content, headers={"content-type": content_type})

    async def live(_: Request) -> Response:
        return JSONResponse({"status": "live"})

    async def ready(_: Request) -> Response:
        if readiness.reason:
            return _error(HTTPStatus.SERVICE_UNAVAILABLE, readiness.reason, status="UNAVAILABLE")
        return JSONResponse({"status": "ready"})

    routes = [Route("/metrics", show_metrics), Route("/health/live", live), Route("/health/ready", ready)]
    known = ", ".join(route.path for route in routes)

    async def refused(request: Request, error: Exception) -> Response:
        code = HTTPStatus(error.status_code if isinstance(error, HTTPException) else HTTPStatus.INTERNAL_SERVER_ERROR)
        headers = dict(error.headers or {}) if isinstance(error, HTTPException) else {}
        match code:
            case HTTPStatus.NOT_FOUND:
                message = f"there is nothing at {request.url.path!r}; there are {known}"
            case HTTPStatus.METHOD_NOT_ALLOWED:
                headers["Allow"] = ", ".join(sorted(headers.get("Allow", "GET").split(", ")))  # in no order else
                message = f"{request.url.path} does not take {request.method}; send {headers['Allow']}"
            case _:
                message = code.phrase
        return _error(code, message, status=code.name, headers=headers)

    return Starlette(routes=routes, exception_handlers={HTTPException: refused})


def _error(code: HTTPStatus, message: str, *, status: str, headers: dict[str, str] | None = None) -> JSONResponse:
    return JSONResponse({"error": {"code": code, "message": message, "status": status}}, code, headers)
