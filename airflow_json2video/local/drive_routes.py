"""The HTTP of the drive: the calls under ``/v2/media``, the storage for uploads, and the files themselves."""

from __future__ import annotations

import json
import secrets
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

from starlette.concurrency import run_in_threadpool
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import Route

from airflow_json2video.local.contract import Refusal
from airflow_json2video.local.drive import FILES, MAX_FILE, UPLOADS

if TYPE_CHECKING:
    from starlette.requests import Request

    from airflow_json2video.local.drive import Drive

__all__ = ["media", "storage_routes"]

MAX_BODY = 1024 * 1024
# Headers that every HTTP client sends. The signature of the real address covers only type and size; any other
# header, such as x-api-key, is answered with 403.
_STANDARD_HEADERS = {
    "accept", "accept-encoding", "accept-language", "connection", "content-length", "content-type", "expect", "host",
    "user-agent",
}  # fmt: skip


def media(drive: Drive) -> Callable[[Request], Awaitable[Response]]:
    """Return the handler of ``/v2/media``, ``/v2/media/file`` and ``/v2/media/folder``."""

    async def handle(request: Request) -> Response:
        what = (request.path_params.get("what") or "", request.method)
        base_url = str(request.base_url).rstrip("/")
        params = dict(request.query_params)
        if what == ("", "GET"):
            answer = drive.storage()
        elif what == ("file", "GET"):
            answer = drive.file(params.get("path"), base_url=base_url)
        elif what == ("folder", "GET"):
            answer = await run_in_threadpool(drive.folder, params, base_url=base_url)
        elif what == ("file", "POST"):
            answer = drive.start_upload(await _body(request), base_url=base_url)
        elif what == ("file", "PUT"):
            answer = drive.move(await _body(request))
        elif what == ("file", "DELETE"):
            answer = drive.delete(await _body(request))
        elif what == ("folder", "POST"):
            answer = drive.make_folder(await _body(request))
        elif what == ("folder", "DELETE"):
            answer = drive.delete_folder(await _body(request))
        else:
            known = what[0] in ("", "file", "folder")
            raise Refusal(405 if known else 404, "Method not allowed" if known else "Not found")
        return JSONResponse(answer)

    return handle


async def _body(request: Request) -> dict[str, Any]:
    raw = b""
    async for chunk in request.stream():
        raw += chunk
        if len(raw) > MAX_BODY:
            raise Refusal(413, "Request body is too large")
    try:
        body = json.loads(raw or b"{}")
    except (ValueError, RecursionError):
        body = None
    if not isinstance(body, dict):
        raise Refusal(400, "No payload provided")
    return body


def storage_routes(drive: Drive) -> list[Route]:
    """Return the routes outside of the API: for uploads and downloads. Neither needs a key."""

    async def put(request: Request) -> Response:
        token = request.path_params["token"]
        record = drive.ticket(token)
        if record is None:
            return _denied("AccessDenied", "Request has expired")
        headers = request.headers
        extra = sorted(set(headers.keys()) - _STANDARD_HEADERS)
        if extra:
            return _denied("SignatureDoesNotMatch", f"headers that were not signed: {', '.join(extra)}")
        if headers.get("content-type") != record["contentType"]:
            return _denied("SignatureDoesNotMatch", "Content-Type is not the one announced")
        if headers.get("content-length") != str(record["size"]):
            return _denied("SignatureDoesNotMatch", "Content-Length is not the size announced")
        partial = drive.place / f"{secrets.token_hex(8)}.part"
        try:
            size = 0
            with partial.open("wb") as out:
                async for chunk in request.stream():
                    size += len(chunk)
                    out.write(chunk)
            if size != record["size"] or size > MAX_FILE or not drive.receive(token, partial):
                return _denied("AccessDenied", "Request has expired")
        finally:
            partial.unlink(missing_ok=True)
        return Response(status_code=200)

    async def fetch(request: Request) -> Response:
        found = drive.served(request.path_params["path"])
        if found is None:
            return Response("Not found", status_code=404, media_type="text/plain")
        # An uploaded web page must not run with the origin of this service.
        guard = {"Content-Security-Policy": "sandbox", "X-Content-Type-Options": "nosniff"}
        return FileResponse(found[0], media_type=found[1], headers=guard)

    return [
        Route(f"{UPLOADS}{{token}}/{{path:path}}", put, methods=["PUT"]),
        Route(f"{FILES}{{path:path}}", fetch, methods=["GET", "HEAD"]),
    ]


def _denied(code: str, message: str) -> Response:
    body = f'<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>{code}</Code><Message>{message}</Message></Error>'
    return Response(body, status_code=403, media_type="application/xml")
