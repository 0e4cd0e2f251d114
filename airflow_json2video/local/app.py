"""The HTTP of the service: routes, headers, statuses. The response bodies are in :mod:`.contract`."""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from airflow_json2video.local import contract
from airflow_json2video.local.contract import Refusal
from airflow_json2video.local.control import control_routes
from airflow_json2video.local.drive_routes import media, storage_routes
from airflow_json2video.local.fault_layer import App, FaultLayer
from airflow_json2video.local.faults import marker_text
from airflow_json2video.local.limits import LIMITS
from airflow_json2video.local.page import page_routes

if TYPE_CHECKING:
    from starlette.requests import Request

    from airflow_json2video.local.backend import Backend
    from airflow_json2video.local.settings import Role

__all__ = ["MAX_BODY", "build_app"]

MAX_BODY = LIMITS.body_bytes
_METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE"]


def build_app(backend: Backend) -> App:
    """Return the ASGI application of a backend, wrapped in the fault layer."""
    serve_media = media(backend.drive)
    routes: list[Route | Mount] = [
        Route("/v2/movies", _keyed(backend, _movies(backend)), methods=_METHODS),
        Route("/v2/templates", _keyed(backend, _templates(backend)), methods=_METHODS),
        Route("/v2/templates/library", _keyed(backend, _library(backend)), methods=_METHODS),
        Route("/v2/media", _keyed(backend, serve_media), methods=_METHODS),
        Route("/v2/media/{what}", _keyed(backend, serve_media), methods=_METHODS),
        Route("/v2/{rest:path}", _keyed(backend, _not_found), methods=_METHODS),
        Route("/renders/{name}", _video(backend), methods=["GET", "HEAD"]),
        *storage_routes(backend.drive),
        *control_routes(backend),
        *page_routes(backend),
    ]
    if backend.assets is not None:
        routes.append(Mount("/assets", _Assets(directory=backend.assets)))
    app = Starlette(routes=routes)

    def client_data_of(project: str) -> str:
        render = backend.store.get(project)
        return marker_text(render.submitted()) if render else ""

    return FaultLayer(
        app,
        faults=backend.faults,
        journal=backend.journal,
        now=backend.clock.now,
        client_data_of=client_data_of,
    )


class _Assets(StaticFiles):
    """A folder of files. A name with a NUL is not found; Python before 3.11 raises an error for it."""

    def lookup_path(self, path: str) -> tuple[str, os.stat_result | None]:
        return ("", None) if "\0" in path else super().lookup_path(path)


Handler = Callable[["Request"], Awaitable[Response]]


def _keyed(backend: Backend, handler: Handler) -> Handler:
    """Check key and role first, on every path, and turn refusals into responses."""

    async def handle(request: Request) -> Response:
        try:
            key = request.headers.get("x-api-key")
            contract.check_key(key, backend.settings)
            contract.check_role(key, _role_for(request), backend.settings)
            return await handler(request)
        except Refusal as refusal:
            body = contract.refusal_body(refusal.message, backend.settings)
            return JSONResponse(body, status_code=refusal.status)

    return handle


def _role_for(request: Request) -> Role:
    """Return the lowest role that is allowed to make a call: ``editor`` to write templates, else ``render``."""
    writes = request.method != "GET" and request.url.path.startswith("/v2/templates")
    return "editor" if writes else "render"


def _allow(request: Request, *methods: str) -> None:
    if request.method not in methods:
        raise Refusal(405, "Method not allowed")


async def _not_found(request: Request) -> Response:  # noqa: ARG001 - a handler takes a request
    raise Refusal(404, "Not found")


def _movies(backend: Backend) -> Handler:
    async def handle(request: Request) -> Response:
        _allow(request, "GET", "POST", "DELETE")
        params = dict(request.query_params)
        project = params.get("project") or params.get("id")
        base_url = str(request.base_url).rstrip("/")
        if request.method == "POST":
            body = await read_body(request)
            return JSONResponse(backend.submit(body))
        if request.method == "DELETE":
            return JSONResponse(backend.delete(project))
        if project is not None:
            simple = params.get("format") == "simple"
            return JSONResponse(backend.status(project, simple=simple, base_url=base_url))
        return JSONResponse(await run_in_threadpool(backend.list_movies, params, base_url=base_url))

    return handle


def _templates(backend: Backend) -> Handler:
    templates = backend.templates

    async def handle(request: Request) -> Response:
        _allow(request, "GET", "POST", "DELETE")
        params = dict(request.query_params)
        if request.method == "POST":
            return JSONResponse(templates.write(await read_body(request), params))
        if request.method == "DELETE":
            return JSONResponse(templates.delete(params.get("id")))
        return JSONResponse(templates.read(params))

    return handle


def _library(backend: Backend) -> Handler:
    async def handle(request: Request) -> Response:
        _allow(request, "GET")
        return JSONResponse(backend.templates.library(request.query_params.get("tags")))

    return handle


async def read_body(request: Request) -> bytes:
    """Read a body up to the limit. The limit of the real service is unknown."""
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_BODY:
            raise Refusal(413, "Request body is too large")
    return body


def _video(backend: Backend) -> Handler:
    async def handle(request: Request) -> Response:
        name = request.path_params["name"]
        subtitles = name.endswith(".ass")
        path = backend.file_of(name.removesuffix(".ass" if subtitles else ".mp4"), subtitles=subtitles)
        if path is None:
            return Response("Not found", status_code=404, media_type="text/plain")
        return FileResponse(path, media_type="text/x-ssa" if subtitles else "video/mp4")

    return handle
