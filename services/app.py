"""The web application: every router, its errors and its headers."""

import time
from importlib.metadata import version

import structlog
from fastapi import FastAPI
from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from services import errors, health, metrics
from services.api_docs import router as docs
from services.audit.endpoints import router as audit
from services.context import Context
from services.identity.endpoints import router as identity
from services.intake.endpoints import router as intake
from services.intake.sender_endpoints import router as senders
from services.monitoring.endpoints import router as monitors
from services.review.endpoints import router as review
from services.review.reliance_endpoints import router as reliance

logger = structlog.get_logger(__name__)

HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
"""On every response that does not set its own: results of patients stay in no cache."""

TOO_LARGE = errors.problem(413)


def create_app(context: Context) -> FastAPI:
    """The API over an opened deployment."""
    app = _Api(
        title="MRI Guard",
        version=version("mri-guard"),
        description="Brain MRI studies in, a radiologist's worklist out. For research; not for "
        "diagnosis without a radiologist.",
        docs_url=None,  # the stock pages load scripts from elsewhere; ours stands in api_docs.py
        redoc_url=None,
        redirect_slashes=False,
        max_body_size=context.settings.max_upload_mb * 2**20,
    )
    app.state.context = context
    errors.install(app)
    for router in (intake, senders, review, reliance, audit, identity, monitors):
        app.include_router(router)
    for router in (health.router, metrics.router, docs):
        app.include_router(router)
    return app


class _Api(FastAPI):
    def build_middleware_stack(self) -> ASGIApp:
        """The edge outside everything, so that crashes and refused bodies pass it as well."""
        return _Edge(super().build_middleware_stack())


class _Edge:
    """Sets the headers of every response and logs its route, status and time."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        start = time.perf_counter()
        replace = False

        async def send_on(message: Message) -> None:
            nonlocal replace
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                # The limiter of bodies answers in plain text, past the exception handlers.
                replace = message["status"] == 413 and "problem" not in headers.get(
                    "content-type", ""
                )
                if replace:
                    message["headers"] = list(TOO_LARGE.raw_headers)
                    headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
                logger.info(
                    "http.request.answered",
                    method=scope["method"],
                    route=getattr(scope.get("route"), "path", "none"),
                    status=message["status"],
                    milliseconds=round((time.perf_counter() - start) * 1000, 1),
                )
            elif replace:
                message["body"] = TOO_LARGE.body
            await send(message)

        await self.app(scope, receive, send_on)
