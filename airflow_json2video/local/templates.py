"""Stored templates, the account's own and the published ones."""

from __future__ import annotations

import random
import string
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from airflow_json2video.local.clock import iso
from airflow_json2video.local.contract import Refusal
from airflow_json2video.local.documents import read_json
from airflow_json2video.local.library import LIBRARY, TOOLS
from airflow_json2video.local.template_variables import json_schema, make_fields, movie_object
from airflow_json2video.movie.documents import deep_merge, merge_template

if TYPE_CHECKING:
    from airflow_json2video.local.clock import Clock
    from airflow_json2video.local.settings import Settings
    from airflow_json2video.local.store import Store

__all__ = ["Templates"]

MAX_NAME = 100


class Templates:
    """GET, POST and DELETE /templates over the store."""

    def __init__(self, *, store: Store, clock: Clock, settings: Settings) -> None:
        self._store = store
        self._clock = clock
        self._settings = settings
        self._random = random.Random(settings.seed)  # noqa: S311 - ids, not secrets

    def _own(self, id_: str | None) -> dict[str, Any]:
        template = self._store.template(id_ or "")
        if template is None:
            raise Refusal(self._settings.missing_status, f"Template {id_} not found")
        return template

    def _any(self, id_: str | None) -> dict[str, Any]:
        """Return a template of the account or of the library."""
        return LIBRARY.get(id_ or "") or TOOLS.get(id_ or "") or self._own(id_)

    def movie_of(self, id_: str) -> dict[str, Any]:
        """Return the movie of a template as an object; empty if the stored text is not an object."""
        return movie_object(self._any(id_).get("movie"))

    def read(self, params: Mapping[str, str]) -> dict[str, Any]:
        """Answer GET /templates[?id=]."""
        now = iso(self._clock.now())
        if "id" in params:
            return {"success": True, "template": self._single(params), "timestamp": now}
        # The shared library of Make.com; other values of "shared" are not documented and change nothing.
        templates = list(TOOLS.values()) if params.get("shared") == "tools" else self._store.templates()
        entries = [{k: t[k] for k in ("id", "name", "tags", "created_at", "updated_at")} for t in templates]
        if tag := params.get("tag"):
            entries = [e for e in entries if tag in e["tags"]]
        entries.sort(key=lambda e: e["updated_at"], reverse=True)
        return {"success": True, "count": len(entries), "templates": entries, "timestamp": now}

    def library(self, tags: str | None) -> dict[str, Any]:
        """Answer GET /templates/library: *tags* adds to the published templates and does not filter them."""
        wanted = {tag.strip() for tag in (tags or "").split(",") if tag.strip()}
        shown = [t for t in LIBRARY.values() if t["published"] or wanted & set(t["tags"])]
        names = ("id", "name", "tags", "width", "height", "video_url", "thumbnail_url", "updated_at")
        entries = [{name: t[name] for name in names} for t in shown]
        return {"success": True, "templates": entries, "timestamp": iso(self._clock.now())}

    def _single(self, params: Mapping[str, str]) -> dict[str, Any]:
        template = self._any(params.get("id"))
        scopes = {scope.strip() for scope in params.get("scopes", "movie").split(",")}
        names = ("id", "name", "tags", "movie", "ai_prompt", "created_at", "updated_at")
        view = {name: template.get(name) for name in names}
        view |= {"owner": self._store.template(template["id"]) is not None, "prompt": bool(template.get("ai_prompt"))}
        if "movie" not in scopes:
            view.pop("movie")
        if "prompt" not in scopes:
            view["ai_prompt"] = None
        if params.get("format") == "jsonschema":
            view.pop("movie", None)
            view["variables"] = json_schema(template.get("movie"))
        elif params.get("format") == "make":
            view["variables"] = make_fields(template.get("movie"))
        return view

    def write(self, body: bytes, params: Mapping[str, str]) -> dict[str, Any]:
        """Answer POST /templates: create, update with ``id``, copy with ``action=duplicate``."""
        now = iso(self._clock.now())
        payload = _payload(body, required=params.get("action") != "duplicate")
        if params.get("action") == "duplicate":
            return self._duplicate(self._any(params.get("id")), payload, now)
        fields = self._fields(payload)
        if id_ := params.get("id"):
            self._store.put_template({**self._own(id_), **fields, "updated_at": now})
            return {"success": True, "templateId": id_, "timestamp": now}
        if not fields.get("name"):
            raise Refusal(400, "name is required")
        template = {
            "id": self._new_id(), "name": "", "tags": [], "movie": {}, "ai_prompt": None,
            "created_at": now, "updated_at": now, **fields,
        }  # fmt: skip
        self._store.put_template(template)
        return {"success": True, "templateId": template["id"], "timestamp": now}

    def _duplicate(self, source: Mapping[str, Any], payload: Mapping[str, Any], now: str) -> dict[str, Any]:
        name = str(payload.get("name") or f"{source['name']} (custom)")[:MAX_NAME]
        movie = source["movie"]
        if isinstance(payload.get("variables"), dict):
            movie = movie_object(movie)
            movie = {**movie, "variables": deep_merge(movie.get("variables") or {}, payload["variables"])}
        copy = {
            "id": self._new_id(), "name": name, "tags": list(source["tags"]), "movie": movie,
            "ai_prompt": source.get("ai_prompt"), "created_at": now, "updated_at": now,
        }  # fmt: skip
        self._store.put_template(copy)
        return {"success": True, "templateId": copy["id"], "name": name, "timestamp": now}

    def _fields(self, payload: Mapping[str, Any]) -> dict[str, Any]:
        fields = _fields(payload)
        movie = fields.get("movie")
        # A movie that names a template is stored merged with that template.
        if isinstance(movie, dict) and movie.get("template"):
            fields["movie"] = merge_template(movie, self.movie_of(str(movie["template"])))
        return fields

    def delete(self, id_: str | None) -> dict[str, Any]:
        """Answer DELETE /templates?id=."""
        self._store.drop_template(self._own(id_)["id"])
        return {"success": True, "timestamp": iso(self._clock.now())}

    def _new_id(self) -> str:
        # A seed starts again after a restart, while the templates still exist.
        while True:
            id_ = "".join(self._random.choices(string.ascii_letters + string.digits, k=20))
            if self._store.template(id_) is None:
                return id_


def _payload(body: bytes, *, required: bool) -> dict[str, Any]:
    try:
        payload = read_json(body) if body.strip() else {}
    except ValueError:
        payload = None
    if not isinstance(payload, dict) or (required and not payload):
        raise Refusal(400, "No payload provided")
    return payload


def _fields(payload: Mapping[str, Any]) -> dict[str, Any]:
    fields: dict[str, Any] = {}
    if "name" in payload:
        fields["name"] = str(payload["name"])[:MAX_NAME]
    if "tags" in payload:
        tags = payload["tags"]
        if isinstance(tags, str):
            tags = [tag.strip() for tag in tags.split(",") if tag.strip()]
        if not isinstance(tags, list):
            raise Refusal(400, "Tags must be a string or an array")
        fields["tags"] = tags
    if "movie" in payload:
        movie = payload["movie"]
        if not isinstance(movie, (dict, str)):
            raise Refusal(400, "Payload movie must be a JSON string or JSON object")
        fields["movie"] = movie
    if "prompt" in payload:
        fields["ai_prompt"] = payload["prompt"]
    return fields
