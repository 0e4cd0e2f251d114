"""Every text and every shape of a response, in one place.

Based on the service's reference and the vendor's live notes of 2026-07-30. Where those do not say, a comment states
the choice. Independent of the HTTP server.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

from airflow_json2video.local.clock import from_iso, iso
from airflow_json2video.local.documents import read_json
from airflow_json2video.movie.estimation import estimate
from airflow_json2video.movie.frames import preset_size

if TYPE_CHECKING:
    from airflow_json2video.local.lifecycle import RenderState
    from airflow_json2video.local.settings import Role, Settings
    from airflow_json2video.local.store import Render

__all__ = [
    "MOVIE_QUOTA",
    "UNKNOWN_PROJECT",
    "ListQuery",
    "Refusal",
    "check_frame",
    "check_key",
    "check_length",
    "check_quota",
    "check_role",
    "length_problem",
    "list_query",
    "movie_view",
    "page_of",
    "quota_view",
    "read_document",
    "refusal_body",
]

MAX_RANGE = 93 * 86400.0
MAX_LIMIT = 100

UNKNOWN_PROJECT = "TypeError: Cannot read properties of null (reading 'success')"
BAD_PROJECT_ID = "A 16-character project ID must be provided in the 'project' query parameter"
MOVIE_QUOTA = "You exceeded the quota of movies in your plan. Please upgrade your plan to continue."
_ROLES = ("none", "render", "editor", "manager", "admin")


class Refusal(Exception):
    """A refused call: the response has *status* and *message*."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.message = message


def refusal_body(message: str, settings: Settings) -> dict[str, Any]:
    """Return the body of a refusal, in one of the three shapes that clients must understand."""
    if settings.error_shape == "error":
        return {"error": message}
    if settings.error_shape == "message":
        return {"message": message}
    return {"success": False, "message": message}


def check_key(key: str | None, settings: Settings) -> None:
    """Refuse a missing or invalid key, and every key of a suspended account."""
    if not key:
        raise Refusal(settings.key_status, "Error: API Key not provided")
    listed = key in settings.api_keys or key in settings.roles
    if not (listed if settings.api_keys else listed or not key.lower().startswith("invalid")):
        raise Refusal(settings.key_status, "Error: Invalid API Key")
    if settings.suspended:
        raise Refusal(403, "account_suspended")


def check_role(key: str | None, needed: Role, settings: Settings) -> None:
    """Refuse a key whose role is lower than *needed*."""
    role = settings.roles.get(key or "", "admin")
    if _ROLES.index(role) < _ROLES.index(needed):
        raise Refusal(settings.role_status, "Insufficient permissions")


def check_quota(*, remaining: float, movies: int, settings: Settings) -> None:
    """Refuse a submission if the account has no credits or movies left."""
    if settings.quota_shape == "movies" and movies >= settings.movie_quota:
        raise Refusal(401, MOVIE_QUOTA)
    if remaining <= 0:
        raise Refusal(400, "Insufficient credits")


def read_document(body: bytes) -> dict[str, Any]:
    """Read a submitted document, with the three documented refusals. Any non-empty object is accepted."""
    if not body.strip():
        raise Refusal(400, "No movie JSON received")
    try:
        document = read_json(body)
    except ValueError:
        raise Refusal(400, "Error parsing movie JSON or the movie was empty") from None
    if not isinstance(document, dict):
        raise Refusal(400, "No valid movie JSON received")
    if not document:
        raise Refusal(400, "Error parsing movie JSON or the movie was empty")
    return document


def check_frame(document: Mapping[str, Any], settings: Settings) -> None:
    """Refuse a frame larger than the plan allows (401), if the document gives its size as plain numbers."""
    custom = (_integer(document.get("width")), _integer(document.get("height")))
    width, height = preset_size(document.get("resolution")) or custom
    if width > settings.max_width or height > settings.max_height:
        allowance = f"{settings.max_width}x{settings.max_height}"
        raise Refusal(401, f"Movie is larger ({width}x{height}) than your plan allowance ({allowance})")


def check_length(document: Mapping[str, Any], settings: Settings) -> None:
    """Refuse a movie longer than the plan allows (401), if its length is known before it is rendered."""
    if settings.max_movie_seconds is None:
        return
    if problem := length_problem(estimate(document).at_least, settings):
        raise Refusal(401, problem)


def length_problem(seconds: float, settings: Settings) -> str | None:
    """Return the error for a movie longer than the plan allows, else None. The service's text is not published."""
    most = settings.max_movie_seconds
    if most is None or seconds <= most + 1e-6:
        return None
    return f"Movie is longer ({seconds:g}s) than your plan allowance ({most:g}s)"


def _integer(value: Any) -> int:
    try:
        return int(float(value))
    except (TypeError, ValueError, OverflowError):
        return 0


def quota_view(remaining: float, *, movies: int, settings: Settings) -> dict[str, Any]:
    """Return ``remaining_quota`` in the shape of the plan."""
    time = int(remaining) if float(remaining).is_integer() else round(remaining, 3)
    if settings.quota_shape == "movies":
        return {"movies": max(0, settings.movie_quota - movies), "drafts": 1000, "time": time}
    return {"time": time}


def movie_view(render: Render, state: RenderState, *, base_url: str, with_document: bool) -> dict[str, Any]:
    """Return the movie object of GET /movies.

    ``success`` of an unfinished render is not documented; here it is true unless the render failed.
    """
    done = state.status == "done"
    view: dict[str, Any] = {
        "success": state.status not in ("error", "timeout"),
        "status": state.status,
        "message": state.message,
        "project": render.project,
        "url": f"{base_url}/renders/{render.project}.mp4" if state.available else None,
        "ass": f"{base_url}/renders/{render.project}.ass" if state.available and render.ass else False,
        "created_at": iso(render.created_at),
        # null in the failure that was observed.
        "ended_at": iso(state.ended_at) if done and state.ended_at is not None else None,
    }
    if done:
        view |= {
            "duration": render.duration,
            "size": render.size,
            "width": render.width,
            "height": render.height,
        }
        # The real service has no such field. The operator logs its warnings.
        view |= {"warnings": render.warnings} if render.warnings else {}
    elapsed = (state.ended_at or 0.0) - (state.started_at or 0.0)
    view |= {
        "rendering_time": max(1, round(elapsed)) if done else None,
        "client-data": render.client_data,
        "consumed_credits": [],
    }
    if with_document:
        view["json"] = render.document
    if render.deleted_at is not None:
        view["deleted_at"] = iso(render.deleted_at)
    return view


@dataclass(frozen=True, kw_only=True)
class ListQuery:
    """The query of GET /movies without a project; times are epoch seconds."""

    start: float
    end: float
    limit: int
    after: tuple[Any, ...] | None


def list_query(params: Mapping[str, str], *, now: float) -> ListQuery:
    """Read the query of a list. It starts at the first of the current month by default."""
    today = datetime.fromtimestamp(now, timezone.utc).replace(hour=0, minute=0, second=0, microsecond=0)
    start = _date(params.get("date_start") or params.get("from"), default=today.replace(day=1).timestamp())
    end_of_day = today.timestamp() + 86400 - 0.001
    end = _date(params.get("date_end") or params.get("to"), default=end_of_day, end_of_day=True)
    # How the service refuses a longer range is not documented; a silent cut would hide renders.
    if end - start > MAX_RANGE + 86400:
        raise Refusal(400, "The date range cannot exceed 93 days")
    try:
        limit = min(MAX_LIMIT, max(1, int(params.get("limit") or MAX_LIMIT)))
    except ValueError:
        raise Refusal(400, "Invalid limit") from None
    token = params.get("next_token")
    return ListQuery(start=start, end=end, limit=limit, after=_read_token(token) if token else None)


def _date(text: str | None, *, default: float, end_of_day: bool = False) -> float:
    if not text:
        return default
    try:
        moment = from_iso(text)
    except ValueError:
        raise Refusal(400, f"Invalid date: {text}") from None
    return moment + 86400 - 0.001 if end_of_day and len(text.strip()) == 10 else moment


def page_of(
    renders: Sequence[Render], query: ListQuery, *, settings: Settings
) -> tuple[list[Render], bool, str | None]:
    """Return the renders of one page, whether more follow, and the cursor of the next page."""

    def key(render: Render) -> tuple[Any, ...]:
        if settings.list_order == "shuffled":
            return (hashlib.sha256(f"{settings.seed}:{render.project}".encode()).hexdigest(),)
        moment = render.created_at if settings.list_order == "oldest" else -render.created_at
        return (moment, render.project)

    rows = sorted((key(r), i) for i, r in enumerate(renders) if query.start <= r.created_at <= query.end)
    if query.after is not None:
        rows = [row for row in rows if row[0] > query.after]
    page = rows[: query.limit]
    more = len(rows) > len(page)
    return [renders[i] for _, i in page], more, _token(page[-1][0]) if more else None


def _token(key: tuple[Any, ...]) -> str:
    return base64.urlsafe_b64encode(json.dumps(key).encode()).decode().rstrip("=")


def _read_token(token: str) -> tuple[Any, ...]:
    try:
        key = json.loads(base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)))
        if not isinstance(key, list):
            raise ValueError
    except (ValueError, binascii.Error):
        raise Refusal(400, "Invalid next_token") from None
    return tuple(key)
