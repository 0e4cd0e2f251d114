"""Stored templates: enough of them to render from one. The rest comes with the drive."""

from __future__ import annotations

import json
import random
import string
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from airflow_json2video.local.clock import iso
from airflow_json2video.local.contract import Refusal
from airflow_json2video.local.documents import read_json

if TYPE_CHECKING:
    from airflow_json2video.local.clock import Clock
    from airflow_json2video.local.settings import Settings
    from airflow_json2video.local.store import Store

__all__ = ["Templates"]


class Templates:
    """GET, POST and DELETE /templates over the store."""

    def __init__(self, *, store: Store, clock: Clock, settings: Settings) -> None:
        self._store = store
        self._clock = clock
        self._settings = settings
        self._random = random.Random(settings.seed)  # noqa: S311 - names, no secrets

    def _found(self, id_: str | None) -> dict[str, Any]:
        template = self._store.template(id_ or "")
        if template is None:
            raise Refusal(self._settings.missing_status, f"Template {id_} not found")
        return template

    def read(self, params: Mapping[str, str]) -> dict[str, Any]:
        """Answer GET /templates[?id=]."""
        now = iso(self._clock.now())
        if "id" in params:
            return {"success": True, "template": _single(self._found(params["id"]), params), "timestamp": now}
        entries = [
            {k: t[k] for k in ("id", "name", "tags", "created_at", "updated_at")} for t in self._store.templates()
        ]
        if tag := params.get("tag"):
            entries = [e for e in entries if tag in e["tags"]]
        entries.sort(key=lambda e: e["updated_at"], reverse=True)
        return {"success": True, "count": len(entries), "templates": entries, "timestamp": now}

    def write(self, body: bytes, params: Mapping[str, str]) -> dict[str, Any]:
        """Answer POST /templates: create, update with ``id``, copy with ``action=duplicate``."""
        now = iso(self._clock.now())
        payload = _payload(body, required=params.get("action") != "duplicate")
        if params.get("action") == "duplicate":
            source = self._found(params.get("id"))
            name = str(payload.get("name") or f"{source['name']} (custom)")
            copy = {**source, "id": self._new_id(), "name": name, "created_at": now, "updated_at": now}
            self._store.put_template(copy)
            return {"success": True, "templateId": copy["id"], "name": name, "timestamp": now}
        fields = _fields(payload)
        if id_ := params.get("id"):
            self._store.put_template({**self._found(id_), **fields, "updated_at": now})
            return {"success": True, "templateId": id_, "timestamp": now}
        if not fields.get("name"):
            raise Refusal(400, "name is required")
        template = {
            "id": self._new_id(), "name": "", "tags": [], "movie": {}, "ai_prompt": None,
            "created_at": now, "updated_at": now, **fields,
        }  # fmt: skip
        self._store.put_template(template)
        return {"success": True, "templateId": template["id"], "timestamp": now}

    def delete(self, id_: str | None) -> dict[str, Any]:
        """Answer DELETE /templates?id=."""
        self._store.drop_template(self._found(id_)["id"])
        return {"success": True, "timestamp": iso(self._clock.now())}

    def _new_id(self) -> str:
        return "".join(self._random.choices(string.ascii_letters + string.digits, k=20))


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
        fields["name"] = str(payload["name"])[:100]
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


def _single(template: Mapping[str, Any], params: Mapping[str, str]) -> dict[str, Any]:
    view = {**template, "owner": True, "prompt": bool(template.get("ai_prompt"))}
    if params.get("format") == "jsonschema":
        view["variables"] = _schema(view.pop("movie"))
    return view


_JSON_TYPES = (
    (bool, "boolean"),
    (int, "number"),
    (float, "number"),
    (str, "string"),
    (list, "array"),
    (dict, "object"),
)


def _schema(movie: Any) -> dict[str, Any]:
    """Describe a template's variables by their default values."""
    if isinstance(movie, str):
        try:
            movie = json.loads(movie)
        except ValueError:
            movie = {}
    variables = movie.get("variables") if isinstance(movie, dict) else None
    properties = {}
    for name, value in (variables if isinstance(variables, dict) else {}).items():
        kind = next((label for type_, label in _JSON_TYPES if isinstance(value, type_)), None)
        properties[name] = {"type": kind, "default": value} if kind else {"default": value}
    return {"type": "object", "properties": properties}
