"""The service without its HTTP: what each call does to the store and the queue."""

from __future__ import annotations

import json
import random
import string
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from airflow_json2video.local import contract
from airflow_json2video.local.clock import Clock, iso
from airflow_json2video.local.contract import Refusal
from airflow_json2video.local.drive import Drive
from airflow_json2video.local.exports import Exporter, destinations_of
from airflow_json2video.local.fault_layer import Journal
from airflow_json2video.local.faults import Call, Faults, marker_text
from airflow_json2video.local.ledger import Ledger
from airflow_json2video.local.lifecycle import RenderState, state_at
from airflow_json2video.local.render_queue import RenderQueue, ServicePaths
from airflow_json2video.local.settings import Settings
from airflow_json2video.local.store import Render, Store
from airflow_json2video.local.templates import Templates
from airflow_json2video.movie.documents import merge_template

__all__ = ["Backend"]

_ALPHABET = string.ascii_letters + string.digits


class Backend:
    """Joins store, clock, faults, journal and queue. Raises :class:`.contract.Refusal` to refuse a call.

    :param home: folder of this service.
    :param origin: the service's own address.
    :param assets: folder served under ``/assets/``, if any.
    """

    def __init__(
        self, *, home: Path, origin: str, settings: Settings, clock: Clock, assets: Path | None = None
    ) -> None:
        self.settings = settings
        self.clock = clock
        self.origin = origin
        self.assets = assets
        self.store = Store(home)
        self.faults = Faults()
        self.journal = Journal()
        self.ledger = Ledger(held=lambda render: self.state_at(render).status != "done")
        self.ledger.rebuild(self.store.all())
        self.queue = RenderQueue(
            store=self.store,
            clock=clock,
            settings=settings,
            ledger=self.ledger,
            paths=ServicePaths(origin=origin, assets=assets, drive=home / "drive"),
        )
        self.templates = Templates(store=self.store, clock=clock, settings=settings)
        self.drive = Drive(store=self.store, clock=clock, settings=settings, remaining=self.remaining)
        self.exporter = Exporter(
            store=self.store,
            clock=clock,
            settings=settings,
            faults=self.faults,
            state_at=self.state_at,
            view=lambda render: self._view(render, base_url=origin),
            origin=origin,
        )
        self._lock = threading.Lock()
        self._random = random.Random(settings.seed)  # noqa: S311 - ids, not secrets

    def start(self) -> None:
        """Start rendering and running exports."""
        self.queue.start()
        self.exporter.start()

    def stop(self) -> None:
        """Stop the workers and close the store."""
        self.exporter.stop()
        self.queue.stop()
        self.store.close()

    # Movies

    def submit(self, body: bytes) -> dict[str, Any]:
        """Accept a movie. Nearly every object is accepted; an invalid one fails during the render."""
        document = contract.read_document(body)
        expanded = self._expanded(document)
        contract.check_frame(expanded, self.settings)
        contract.check_length(expanded, self.settings)
        contract.check_quota(remaining=self.remaining(), movies=len(self.store), settings=self.settings)
        now = self.clock.now()
        with self._lock:
            project = self._new_id(16)
            forced = self._forced(document, project)
            render = Render(
                project=project,
                created_at=now,
                document=json.dumps(document, ensure_ascii=False, separators=(",", ":")),
                queue_seconds=self.settings.queue_seconds,
                render_seconds=self.settings.render_seconds,
                mode=self.settings.mode,
                forced=forced,
                destinations=destinations_of(expanded),
            )
            if expanded is not document:
                folder = self.store.folder(project)
                folder.mkdir(parents=True, exist_ok=True)
                (folder / "movie.json").write_text(json.dumps(expanded))
            self.store.add(render)
        self.queue.submit(project)
        self.exporter.expect(render)
        return {"success": True, "project": project, "timestamp": iso(now)}

    def _expanded(self, document: dict[str, Any]) -> dict[str, Any]:
        """Return the document to render: merged with its template, and ``sd`` in the configured size."""
        if id_ := document.get("template"):
            try:
                template = self.templates.movie_of(str(id_))
            except Refusal as refusal:
                if self.settings.submit_missing_status == 404:
                    raise Refusal(404, "Template not found") from None
                raise Refusal(400, refusal.message) from None
            document = merge_template(document, template)
        if document.get("resolution") == "sd" and self.settings.sd_size != "640x360":
            width, height = self.settings.sd_size.split("x")
            document = {**document, "resolution": "custom", "width": int(width), "height": int(height)}
        return document

    def _forced(self, document: Mapping[str, Any], project: str) -> dict[str, Any] | None:
        call = Call(method="POST", path="/v2/movies", project=project, client_data=marker_text(document))
        for rule in self.faults.matching(call, kinds=("render",)):
            return {"rule": rule.id, "status": rule.status, "message": rule.message}
        return None

    def _new_id(self, length: int) -> str:
        while True:
            id_ = "".join(self._random.choices(_ALPHABET, k=length))
            if self.store.get(id_) is None and self.store.template(id_) is None:
                return id_

    def add_fault(self, rule: Mapping[str, Any]) -> dict[str, Any]:
        """Add a fault rule. A ``render`` rule with a project affects that render immediately."""
        fault = self.faults.add(rule)
        if fault.kind == "render" and fault.project and self.store.get(fault.project):
            fault.applied += 1
            forced = {"rule": fault.id, "status": fault.status, "message": fault.message}
            if fault.status == "error":
                now = self.clock.now()
                self.store.change(
                    fault.project, forced=forced, phase="finished", outcome="error", started_at=now, finished_at=now,
                    message=fault.message or "Error rendering movie", credits=0.0,
                )  # fmt: skip
            else:
                self.store.change(fault.project, forced=forced)
            self.ledger.rebuild(self.store.all())
        return fault.describe()

    def state_at(self, render: Render, *, ago: float = 0.0) -> RenderState:
        """Return the state of a render now, or *ago* seconds ago."""
        rule = (render.forced or {}).get("rule")
        now = self.clock.now() - ago
        return state_at(render, now=now, settings=self.settings, fault_active=self.faults.is_active(rule))

    def _view(self, render: Render, *, base_url: str, with_document: bool = True) -> dict[str, Any]:
        return contract.movie_view(render, self.state_at(render), base_url=base_url, with_document=with_document)

    def status(self, project: str, *, simple: bool, base_url: str) -> dict[str, Any]:
        """Answer GET /movies?project=."""
        render = self.store.get(project)
        if render is None or self.clock.now() < render.created_at + self.settings.status_delay:
            raise Refusal(400, contract.UNKNOWN_PROJECT)
        state = self._polled_state(render)
        view = contract.movie_view(render, state, base_url=base_url, with_document=not simple)
        return {"success": True, "movie": view, "remaining_quota": self.quota()}

    def _polled_state(self, render: Render) -> RenderState:
        """Return the state of a render that one call sees; a fault rule can falsify it."""
        if not self.faults.has_live_rules:
            return self.state_at(render)  # without reading the document, which may be large
        call = Call(
            method="GET", path="/v2/movies", project=render.project, client_data=marker_text(render.submitted())
        )
        for rule in self.faults.matching(call, kinds=("poll",)):
            if rule.status == "unknown":
                raise Refusal(400, contract.UNKNOWN_PROJECT)
            if rule.status == "late":
                return self.state_at(render, ago=rule.seconds)
            status: Any = rule.status
            return RenderState(status=status, message=rule.message or "", started_at=render.started_at)
        return self.state_at(render)

    def list_movies(self, params: Mapping[str, str], *, base_url: str) -> dict[str, Any]:
        """Answer GET /movies without a project; ``format=simple`` is ignored here, as observed."""
        now = self.clock.now()
        query = contract.list_query(params, now=now)
        renders = self.store.all()
        if self.settings.list_delay:
            renders = [r for r in renders if now >= r.created_at + self.settings.list_delay]
        page, more, token = contract.page_of(renders, query, settings=self.settings)
        views = [self._view(r, base_url=base_url) for r in page]
        return {
            "success": True,
            "from": iso(query.start),
            "to": iso(query.end),
            "count": len(views),
            "limit": query.limit,
            "has_next": more,
            "has_prev": query.after is not None,
            "next_token": token,
            "movies": views,
            "remaining_quota": self.quota(),
        }

    def delete(self, project: str | None) -> dict[str, Any]:
        """Answer DELETE /movies: the file goes, the entry stays, and a repeat succeeds.

        The effect on an unfinished render is not documented; here it keeps running and leaves no file.
        """
        if not project or len(project) != 16:
            raise Refusal(400, contract.BAD_PROJECT_ID)
        now = self.clock.now()
        render = self.store.get(project)
        if render is None:
            raise Refusal(400, contract.UNKNOWN_PROJECT)
        if render.deleted_at is None:
            render = self.store.change(project, deleted_at=now) or render
            self.store.video(project).unlink(missing_ok=True)
            self.store.subtitles(project).unlink(missing_ok=True)
        return {
            "success": True,
            "project": project,
            "deleted_at": iso(render.deleted_at or now),
            "timestamp": iso(now),
        }

    def remaining(self) -> float:
        """Return the credits left: renders that show as done and the drive are billed, failed renders are free."""
        return max(0.0, self.settings.credits - self.ledger.spent(self.clock.now()) - self.drive.spent())

    def quota(self) -> dict[str, Any]:
        """Return ``remaining_quota``."""
        return contract.quota_view(self.remaining(), movies=len(self.store), settings=self.settings)

    def file_of(self, project: str, *, subtitles: bool = False) -> Path | None:
        """Return the video of a render, or its subtitles, if they can be downloaded now."""
        render = self.store.get(project)
        if render is None or not self.state_at(render).available:
            return None
        path = self.store.subtitles(project) if subtitles else self.store.video(project)
        return path if path.is_file() else None

    # For tests and the control endpoints

    def describe_render(self, render: Render) -> dict[str, Any]:
        """Return what the control endpoint shows of a render, which is more than the API does."""
        state = self.state_at(render)
        return {
            "project": render.project,
            "status": state.status,
            "message": state.message,
            "phase": render.phase,
            "mode": render.mode,
            "created_at": iso(render.created_at),
            "width": render.width,
            "height": render.height,
            "fps": render.fps,
            "frames": render.frames,
            "duration": render.duration,
            "size": render.size,
            "credits": render.credits,
            "warnings": render.warnings,
            "deliveries": render.deliveries,
            "client-data": render.client_data,
            "file": str(self.store.video(render.project)) if self.store.video(render.project).is_file() else None,
        }

    def reset(self) -> None:
        """Delete renders, templates, the drive, faults and journal. Settings and clock stay."""
        self.exporter.clear()
        self.queue.drop()
        self.faults.clear()
        self.store.clear()
        self.drive.clear()
        self.ledger.rebuild(())
        self.journal.clear()
