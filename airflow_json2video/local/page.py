"""The page at ``/``: the renders with their thumbnails, for a browser on this machine.

It loads nothing from other servers, and lists everything without JavaScript. Every value of a movie is plain text:
Jinja escapes it, and the Content-Security-Policy allows only the page's own script.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import ipaddress
import json
import os
import subprocess
import sys
import zlib
from collections.abc import Awaitable, Callable
from datetime import datetime, timezone
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from starlette.concurrency import run_in_threadpool
from starlette.responses import FileResponse, HTMLResponse, PlainTextResponse, Response
from starlette.routing import Route

from airflow_json2video.local.clock import iso

if TYPE_CHECKING:
    import jinja2
    from starlette.requests import Request

    from airflow_json2video.local.backend import Backend
    from airflow_json2video.local.store import Render

__all__ = ["page_routes"]

_FILES = Path(__file__).parent / "page_files"
_PER_PAGE = 60
_MAX_TITLE = 90
_THUMBNAIL_LIMIT = 20.0
"""Real seconds for one thumbnail."""
_LOOPBACK = {"127.0.0.1", "::1", "::ffff:127.0.0.1", "testclient"}

Handler = Callable[["Request"], Awaitable[Response]]


def page_routes(backend: Backend) -> list[Route]:
    """Return the routes of the page and its thumbnails."""
    one_at_a_time = asyncio.Semaphore(1)

    async def page(request: Request) -> Response:
        try:
            number = max(1, int(request.query_params.get("page") or 1))
        except ValueError:
            number = 1
        text = await run_in_threadpool(_page, backend, number)
        return HTMLResponse(text, headers=_headers())

    async def thumbnail(request: Request) -> Response:
        render = backend.store.get(request.path_params["project"])
        video = backend.file_of(render.project) if render else None
        if render is None or video is None:
            return PlainTextResponse("Not found", status_code=404)
        picture = video.with_name("thumbnail.svg" if render.mode == "instant" else "thumbnail.jpg")
        if not picture.exists():
            async with one_at_a_time:  # opening a long list must not slow down the renders
                if not picture.exists():
                    await run_in_threadpool(_make_thumbnail, render, video, picture)
        if not picture.exists():
            return PlainTextResponse("No thumbnail could be made", status_code=404)
        headers = {"Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'"}
        return FileResponse(picture, headers={**headers, "X-Content-Type-Options": "nosniff"})

    return [
        Route("/", _local_only(page), methods=["GET", "HEAD"]),
        Route("/thumbnails/{project}", _local_only(thumbnail), methods=["GET", "HEAD"]),
    ]


def _local_only(handler: Handler) -> Handler:
    async def handle(request: Request) -> Response:
        if request.client is None or request.client.host not in _LOOPBACK:
            return PlainTextResponse("This page is available only on this machine.", status_code=403)
        # A foreign host name that resolves to this machine would let its web page read this one (DNS rebinding).
        if not _is_local_host(request.url.hostname or ""):
            return PlainTextResponse("This page is available only under localhost or an IP address.", status_code=403)
        return await handler(request)

    return handle


def _is_local_host(host: str) -> bool:
    if host == "localhost" or host.endswith(".localhost") or host == "testserver":
        return True
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _page(backend: Backend, number: int) -> str:
    renders = backend.store.all()
    newest = renders[::-1]
    start = (number - 1) * _PER_PAGE
    shown = [_card(backend, render) for render in newest[start : start + _PER_PAGE]]
    working = sum(render.phase != "finished" for render in renders)
    return _template().render(
        account=_with_version(_account(backend, renders=len(renders), working=working)),
        renders=[_with_version(card) for card in shown],
        page=number,
        more=len(newest) > start + _PER_PAGE,
    )


@cache
def _template() -> jinja2.Template:
    # Imported here because it takes longer than the start of a service. Airflow installs Jinja.
    import jinja2
    from markupsafe import Markup

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_FILES), autoescape=True, trim_blocks=True, lstrip_blocks=True
    )
    environment.globals |= {"style": Markup(_page_file("page.css")), "script": Markup(_page_file("page.js"))}  # noqa: S704 - our own files
    return environment.get_template("page.html")


@cache
def _page_file(name: str) -> str:
    return (_FILES / name).read_text(encoding="utf-8")


@cache
def _headers() -> dict[str, str]:
    def hashed(name: str) -> str:
        return f"'sha256-{base64.b64encode(hashlib.sha256(_page_file(name).encode()).digest()).decode()}'"

    policy = (
        f"default-src 'none'; script-src {hashed('page.js')}; style-src {hashed('page.css')}; img-src 'self' data:; "
        "media-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
    return {
        "Content-Security-Policy": policy,
        "Cache-Control": "no-store",
        "Referrer-Policy": "no-referrer",
        "X-Content-Type-Options": "nosniff",
    }


def _with_version(facts: dict[str, Any]) -> dict[str, Any]:
    """Add a value that changes with the content, so that the page updates only what has changed."""
    return {**facts, "version": f"{zlib.crc32(repr(sorted(facts.items())).encode()):08x}"}


def _account(backend: Backend, *, renders: int, working: int) -> dict[str, Any]:
    clock = backend.clock
    moment = "" if clock.scale == 1 else iso(clock.now())[:19].replace("T", " ")
    if clock.scale == 0:
        moment = f"frozen at {moment}"
    elif moment:
        moment = f"{clock.scale:g} times real time"
    return {
        "credits": f"{backend.remaining():g}",
        "renders": renders,
        "working": working,
        "mode": backend.settings.mode,
        "clock": moment,
    }


def _card(backend: Backend, render: Render) -> dict[str, Any]:
    state = backend.state_at(render)
    document = render.submitted()
    done = state.status == "done"
    video = backend.file_of(render.project) is not None
    submitted = datetime.fromtimestamp(render.created_at, timezone.utc)
    facts = []
    if done:
        facts = [_length(render.duration or 0.0), f"{render.width}x{render.height}", _bytes(render.size or 0)]
        facts.append(f"{render.credits:g} credit{'' if render.credits == 1 else 's'}")
    card: dict[str, Any] = {
        "project": render.project,
        "status": state.status,
        "title": _title(document),
        "submitted": iso(render.created_at),
        "submitted_in_words": submitted.strftime("%d %b %Y, %H:%M:%S UTC"),
        "facts": ", ".join(facts),
        "message": state.message if state.status in ("error", "timeout") else "",
        "warnings": render.warnings if done else [],
        "video": f"renders/{render.project}.mp4" if video else "",
        "thumbnail": f"thumbnails/{render.project}",
        "placeholder": _placeholder(render, status=state.status),
    }
    if state.status == "running":
        card |= _progress(backend.store.folder(render.project) / "progress.json")
    return card


def _title(document: dict[str, Any]) -> str:
    """Return the title of a movie: its comment, id, task or template."""
    data = document.get("client-data")
    stamp = data.get("airflow_json2video") if isinstance(data, dict) else None
    key = stamp.get("submission_key") if isinstance(stamp, dict) else None
    names = [
        document.get("comment"),
        document.get("id"),
        key.rpartition("-")[0] if isinstance(key, str) else None,
        f"template {document['template']}" if document.get("template") else None,
    ]
    title = " ".join(next((name for name in names if isinstance(name, str) and name.strip()), "Untitled movie").split())
    return title if len(title) <= _MAX_TITLE else f"{title[: _MAX_TITLE - 3]}..."


def _placeholder(render: Render, *, status: str) -> str:
    if status != "done":
        return {"pending": "Pending", "running": "Rendering"}.get(status, "No video")
    return "Video deleted" if render.deleted_at is not None else "Video expired"


def _progress(file: Path) -> dict[str, int]:
    try:
        progress = json.loads(file.read_text())
        return {"frames": int(progress["frames"]), "frames_done": int(progress["frames_done"])}
    except (OSError, ValueError, KeyError, TypeError):
        return {}


def _length(seconds: float) -> str:
    minutes, rest = divmod(round(seconds * 10), 600)
    return f"{minutes}:{rest / 10:04.1f}"


def _bytes(size: int) -> str:
    return f"{size / 1e6:.1f} MB" if size >= 1e6 else f"{size / 1e3:.0f} kB"


def _make_thumbnail(render: Render, video: Path, picture: Path) -> None:
    """Make the thumbnail next to the video, in a subprocess, since this process does not load the decoders."""
    if picture.suffix == ".svg":
        from airflow_json2video.local.drawing.instant import picture_of

        folder = video.parent
        expanded = folder / "movie.json"
        document = json.loads(expanded.read_text()) if expanded.exists() else render.submitted()
        _write(picture, picture_of(document))
        return
    try:
        subprocess.run(  # noqa: S603 - our own module, no shell
            [sys.executable, "-m", "airflow_json2video.local.drawing.thumbnail", str(video), str(picture)],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
            timeout=_THUMBNAIL_LIMIT,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return


def _write(path: Path, text: str) -> None:
    partial = path.with_suffix(".part")
    partial.write_text(text, encoding="utf-8")
    partial.replace(path)
