"""Exports: where a movie is sent after its render has finished.

Webhooks are sent, by default only to this machine. FTP, SFTP and email are not sent; a warning of the render says what
would be sent.
"""

from __future__ import annotations

import contextlib
import http.client
import ipaddress
import json
import socket
import ssl
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode, urlsplit

from airflow_json2video.local.faults import Call, Faults, marker_text
from airflow_json2video.local.planning.resolve import MovieFault, resolve

if TYPE_CHECKING:
    from airflow_json2video.local.clock import Clock
    from airflow_json2video.local.lifecycle import RenderState
    from airflow_json2video.local.settings import Settings
    from airflow_json2video.local.store import Render, Store

__all__ = ["Exporter", "describe_unserved", "destinations_of", "payload_of"]

RESPONSE_TIMEOUT_S = 5.0
"""Timeout for the response of a webhook, in real seconds; the guide requires 5."""
_TICK = 0.02
_URLENCODED = "application/x-www-form-urlencoded"


def destinations_of(document: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the destinations of a movie in order, with expressions filled in and the path as ``where``.

    Several items of ``exports`` run one after another (an archived page of the docs allows only one).
    """
    exports = document.get("exports")
    if not isinstance(exports, list):
        return []
    with contextlib.suppress(MovieFault):
        exports = resolve({"variables": document.get("variables"), "exports": exports})["exports"]
    found = []
    for i, export in enumerate(exports):
        destinations = export.get("destinations") if isinstance(export, Mapping) else None
        for j, destination in enumerate(destinations if isinstance(destinations, list) else []):
            if isinstance(destination, Mapping):
                found.append({**destination, "where": f"exports[{i}].destinations[{j}]"})
    return found


def describe_unserved(destinations: Sequence[Mapping[str, Any]], *, allow_webhooks: bool) -> list[str]:
    """Return a warning for each destination that is not served here, without user names and passwords."""
    said = []
    for one in destinations:
        where, kind = one["where"], one.get("type")
        if kind in ("ftp", "sftp"):
            path = f"{one.get('remote-path') or './'}".rstrip("/") + f"/{one.get('file') or '(generated name)'}"
            said.append(f"{where}: would send the video by {kind} to {one.get('host')}:{one.get('port')} as {path}")
        elif kind == "email":
            said.append(f"{where}: would send an email to {one.get('to')}, subject {one.get('subject')!r}")
        elif kind is None and one.get("id"):
            said.append(f"{where}: would use the connection {one['id']!r} of the dashboard, which is unknown here")
        elif kind != "webhook":
            said.append(f"{where}: unknown destination type {kind!r}; use webhook, ftp, sftp or email")
        elif not allow_webhooks and not _is_here(host := urlsplit(str(one.get("endpoint") or "")).hostname or ""):
            said.append(f"{where}: would call a webhook at {host or 'no address'}; set allow_webhooks to send it")
    return said


def _is_here(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


def payload_of(view: Mapping[str, Any], *, movie_id: Any, shape: str, thumbnail: str) -> dict[str, Any]:
    """Return the payload of a webhook, in one of the three published shapes.

    The reference's sample shows only a success and has neither ``success`` nor ``status``, although its text refers to
    them; here a failure has both.

    :param view: the movie object of GET /movies.
    :param thumbnail: address of the video's thumbnail, which the production guide's sample contains.
    """
    failed = view["status"] == "error"
    if shape == "envelope":
        return {"success": True, "movie": {**view, **({"thumbnail": thumbnail} if view["url"] else {})}}
    if shape == "tutorial":
        common = {"project": view["project"], "status": view["status"]}
        if failed:
            return {**common, "message": view["message"], "client-data": view["client-data"]}
        facts = {name: view.get(name) for name in ("url", "duration", "size", "client-data")}
        return {**common, **facts}
    texts = {name: _text(view.get(name)) for name in ("width", "height", "duration", "size")}
    flat = {**texts, "url": view["url"], "project": view["project"], "id": movie_id, "client-data": view["client-data"]}
    if failed:
        flat |= {"success": False, "status": "error", "message": view["message"]}
    return flat


def _text(value: Any) -> str:
    return "" if value is None else f"{value:g}" if isinstance(value, float) else str(value)


def encoded(payload: Mapping[str, Any], content_type: Any, *, types: str) -> tuple[bytes, str]:
    """Return body and MIME type of a call. Objects in a form are JSON texts, which is not documented."""
    wanted = str(content_type or "json").strip().lower()
    forms = {"both": ("urlencoded", _URLENCODED), "short": ("urlencoded",), "mime": (_URLENCODED,)}[types]
    if wanted not in forms:
        return json.dumps(payload, ensure_ascii=False).encode(), "application/json"
    flat = {k: v if isinstance(v, str) else "" if v is None else json.dumps(v) for k, v in payload.items()}
    return urlencode(flat).encode(), _URLENCODED


class Exporter:
    """Runs the exports of each render once, after it shows as finished.

    A fault rule of the kind ``webhook`` sends the call twice, late, or not at all.

    :param state_at: returns the current state of a render.
    :param view: returns the movie object of a render.
    :param origin: the service's own address, which a webhook is not allowed to call.
    """

    def __init__(
        self,
        *,
        store: Store,
        clock: Clock,
        settings: Settings,
        faults: Faults,
        state_at: Callable[[Render], RenderState],
        view: Callable[[Render], dict[str, Any]],
        origin: str,
    ) -> None:
        self._store = store
        self._clock = clock
        self._settings = settings
        self._faults = faults
        self._state_at = state_at
        self._view = view
        self._origin = origin
        self._own = urlsplit(origin).port
        self._change = threading.Condition()
        self._waiting: dict[str, float | None] = {}
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name="json2video-exports", daemon=True)

    def start(self) -> None:
        """Start, with the exports that were not sent before a restart."""
        for render in self._store.all():
            self.expect(render)
        self._thread.start()

    def expect(self, render: Render) -> None:
        """Watch for the end of a render that has exports."""
        if render.destinations and render.exported_at is None:
            with self._change:
                self._waiting[render.project] = None
                self._change.notify()

    def stop(self) -> None:
        """Stop sending. Unsent exports stay in the store for the next start."""
        with self._change:
            self._stopping = True
            self._change.notify()
        if self._thread.is_alive():
            self._thread.join(timeout=RESPONSE_TIMEOUT_S)

    def clear(self) -> None:
        """Forget the renders that have not finished."""
        with self._change:
            self._waiting.clear()

    def _run(self) -> None:
        while True:
            with self._change:
                self._change.wait_for(lambda: self._waiting or self._stopping)
                if self._stopping:
                    return
                waiting = dict(self._waiting)
            for project, due in waiting.items():
                self._check(project, due)
            with self._change:
                # The service's clock can be moved at any time, so the end of a wait cannot be computed.
                self._change.wait_for(lambda: self._stopping, timeout=max(_TICK, len(waiting) * _TICK / 20))

    def _check(self, project: str, due: float | None) -> None:
        render = self._store.get(project)
        if render is None or render.exported_at is not None:
            self._forget(project)
            return
        if due is not None:
            if self._clock.now() >= due:
                self._export(render, times=1)
            return
        state = self._state_at(render)
        if state.status not in ("done", "error"):
            return
        call = Call(method="POST", path="/webhook", project=project, client_data=marker_text(render.submitted()))
        rule = next(iter(self._faults.matching(call, kinds=("webhook",))), None)
        if rule is not None and rule.status == "late":
            with self._change:
                self._waiting[project] = (state.ended_at or self._clock.now()) + rule.seconds
            return
        missing = rule is not None and rule.status == "missing"
        self._export(render, times=0 if missing else 2 if rule is not None else 1)

    def _forget(self, project: str) -> None:
        with self._change:
            self._waiting.pop(project, None)

    def _export(self, render: Render, *, times: int) -> None:
        # Recorded before anything is sent, so that a service that is killed here does not send it twice.
        self._forget(render.project)
        if self._store.change(render.project, exported_at=self._clock.now()) is None:
            return
        threading.Thread(
            target=self._deliver, args=(render, times), name=f"json2video-export-{render.project}", daemon=True
        ).start()

    def _deliver(self, render: Render, times: int) -> None:
        deliveries: list[dict[str, Any]] = []
        for destination in render.destinations:
            if destination.get("type") != "webhook":
                deliveries.append({"where": destination["where"], "outcome": "not sent: described in the warnings"})
                continue
            for _ in range(times):
                outcome = self._post(render, destination)
                deliveries.append({"where": destination["where"], "outcome": outcome})
            if times == 0:
                deliveries.append({"where": destination["where"], "outcome": "not sent: suppressed by a fault rule"})
        with self._change:
            if not self._stopping:  # otherwise the store is closed
                self._store.change(render.project, deliveries=deliveries)

    def _post(self, render: Render, destination: Mapping[str, Any]) -> str:
        payload = payload_of(
            self._view(render),
            movie_id=render.submitted().get("id"),
            shape=self._settings.webhook_shape,
            thumbnail=f"{self._origin}/thumbnails/{render.project}",
        )
        body, content_type = encoded(payload, destination.get("content-type"), types=self._settings.webhook_types)
        try:
            status = post(
                str(destination.get("endpoint") or ""),
                body,
                content_type=content_type,
                allow_any=self._settings.allow_webhooks,
                own_port=self._own,
            )
        except (OSError, ValueError, http.client.HTTPException) as error:
            return f"failed: {error}"
        return f"answered {status}"


def post(url: str, body: bytes, *, content_type: str, allow_any: bool, own_port: int | None) -> int:
    """Send one webhook and return the HTTP status. Redirects are not followed.

    The name is resolved once, and the connection is made to the address that was checked.

    :raises ValueError: the address is not allowed.
    :raises OSError: the address is unreachable.
    """
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError(f"{url!r} is not an http or https address")
    port = parts.port or (443 if parts.scheme == "https" else 80)
    address = str(socket.getaddrinfo(parts.hostname, port, type=socket.SOCK_STREAM)[0][4][0])
    found = ipaddress.ip_address(address.split("%")[0])
    found = getattr(found, "ipv4_mapped", None) or found
    local = found.is_loopback or found.is_unspecified
    if not local and not allow_any:
        raise ValueError(f"{parts.hostname} is not this machine; set allow_webhooks to call it")
    if local and port == own_port:
        raise ValueError("a webhook cannot call the service itself")
    plain = socket.create_connection((address, port), timeout=RESPONSE_TIMEOUT_S)
    connection = http.client.HTTPConnection(parts.hostname, port, timeout=RESPONSE_TIMEOUT_S)
    connection.sock = plain
    try:
        if parts.scheme == "https":
            connection.sock = ssl.create_default_context().wrap_socket(plain, server_hostname=parts.hostname)
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
        connection.request("POST", target, body=body, headers={"Content-Type": content_type, "Host": f"{host}:{port}"})
        answer = connection.getresponse()
        answer.read(65536)
        return answer.status
    finally:
        connection.close()
