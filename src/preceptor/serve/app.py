"""The addresses that the server answers at, and how it refuses."""

import asyncio
import os
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from functools import partial
from importlib import resources
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from preceptor.errors import UserError
from preceptor.serve.answer import Desk
from preceptor.serve.hands import Hands
from preceptor.serve.limits import MOST_PIXELS, Inbox, Limits, RefusedError, Turns

HEADERS = {
    "content-security-policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; connect-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cache-control": "no-store",
}
PAGES = {
    "/": ("index.html", "text/html"),
    "/page.css": ("page.css", "text/css"),
    "/page.js": ("page.js", "text/javascript"),
}
PATHS = "/ (the page), /predict, /health and /version"
_CHUNK = 1 << 18
_PARTING = 2.0  # seconds in which a refused sender may read why, before the connection is closed


class Parting(JSONResponse):
    """A refusal of what is still being sent: said at once, then the connection is closed without an answer unread."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = [*self.raw_headers, (b"connection", b"close")]
        await send({"type": "http.response.start", "status": self.status_code, "headers": headers})
        await send({"type": "http.response.body", "body": self.body, "more_body": True})
        try:
            async with asyncio.timeout(_PARTING):
                while (message := await receive())["type"] == "http.request" and message.get("more_body"):
                    pass
        except TimeoutError:
            pass
        await send({"type": "http.response.body", "body": b"", "more_body": False})


class Sent(JSONResponse):
    """An answer whose bytes are held, and counted, until they are sent."""

    def __init__(self, content: Any, inbox: Inbox) -> None:
        super().__init__(content)
        self._inbox = inbox

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        with self._inbox.sending(len(self.body)):
            await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
            for start in range(0, len(self.body), _CHUNK):  # each waits until those before it are sent
                part = self.body[start : start + _CHUNK]
                await send({"type": "http.response.body", "body": part, "more_body": True})
            await send({"type": "http.response.body", "body": b"", "more_body": False})


class Quiet:
    """Ends what is stopped together with the server without a word."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        with suppress(asyncio.CancelledError):
            await self._app(scope, receive, send)


class Gate:
    """Refuses whoever calls the server by another name, and puts :data:`HEADERS` on every answer."""

    def __init__(self, app: ASGIApp, hosts: frozenset[str] | None) -> None:
        self._app, self._hosts = app, hosts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_more(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(HEADERS)
            await send(message)

        app = self._app
        if self._hosts is not None and _called(Request(scope).headers.get("host", "")) not in self._hosts:
            app = refusal_response(421, f"this server is called {', '.join(sorted(self._hosts))}, and nothing else")
        await app(scope, receive, send_more)


def app_of(desk: Desk, limits: Limits, inbox: Inbox, hosts: frozenset[str] | None) -> FastAPI:
    """The application.

    Args:
        inbox: what holds images and answers.
        hosts: the names by which it may be called, so that no other site's page can take its name; None for any.
    """
    app = FastAPI(title="preceptor", docs_url=None, redoc_url=None, openapi_url=None)
    turns, hands = Turns(limits.rate), Hands(len(os.sched_getaffinity(0)))

    app.add_middleware(Gate, hosts=hosts)
    app.add_middleware(Quiet)

    @app.exception_handler(RefusedError)
    async def refused(request: Request, error: RefusedError) -> Response:
        more = {} if error.again is None else {"retry-after": str(error.again)}
        return refusal_response(error.status, error.reason, more)

    @app.exception_handler(UserError)
    async def no_answer(request: Request, error: UserError) -> Response:
        return JSONResponse({"error": str(error).splitlines()[0]}, 422)

    @app.exception_handler(RequestValidationError)
    async def no_option(request: Request, error: RequestValidationError) -> Response:
        return refusal_response(422, "; ".join(f"{one['loc'][-1]}: {one['msg']}" for one in error.errors()))

    @app.exception_handler(HTTPException)
    async def no_such(request: Request, error: HTTPException) -> Response:
        reason = {404: f"nothing is at this address; there are {PATHS}", 405: "this address has another method"}
        said = reason.get(error.status_code, str(error.detail))
        return refusal_response(error.status_code, said, error.headers or {})

    @app.post("/predict")
    async def predict(request: Request, pictures: bool = False) -> Response:
        turns.take(request.client.host if request.client else "")
        async with inbox.image(request) as image:
            said = await hands.do(partial(answered, image, pictures))
        return Sent(said, inbox)

    def answered(image: bytes, pictures: bool) -> dict[str, Any]:
        inbox.require_room()
        return desk.answer(image, with_pictures=pictures)

    @app.get("/health")
    async def health() -> dict[str, str]:
        return {"status": "ok"}

    @app.get("/version")
    async def version() -> dict[str, Any]:
        taken = {"bytes": limits.most_bytes, "pixels": MOST_PIXELS, "a_minute": limits.rate, "seconds": limits.seconds}
        return desk.about | {"limits": taken}

    for path, (file, kind) in PAGES.items():
        content = resources.files("preceptor.serve").joinpath("page", file).read_text(encoding="utf-8")
        app.get(path)(page_of(content, kind))
    return app


def page_of(content: str, kind: str) -> Callable[[], Awaitable[Response]]:
    """What answers with a file of the page."""

    async def answer() -> Response:
        return Response(content, media_type=kind)

    return answer


def _called(host: str) -> str:
    """The name in a ``Host`` header, without the port."""
    name = host.rpartition(":")[0] if host.rpartition(":")[2].isdigit() else host
    return name.removeprefix("[").removesuffix("]").lower()


def refusal_response(status: int, reason: str, headers: Mapping[str, str] | None = None) -> Response:
    """Why there is no answer."""
    return Parting({"error": reason}, status, dict(headers or {}))
