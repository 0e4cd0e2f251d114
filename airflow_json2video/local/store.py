"""What the service remembers: SQLite, and one folder per render. A restart finds everything again."""

from __future__ import annotations

import json
import shutil
import sqlite3
import threading
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any, Literal

__all__ = ["Phase", "Render", "Store"]

Phase = Literal["queued", "working", "finished"]


@dataclass(frozen=True, kw_only=True)
class Render:
    """One project, as the queue and the worker know it; :mod:`.lifecycle` says what a client sees.

    Moments are epoch seconds on the service's clock.
    """

    project: str
    created_at: float
    document: str
    """The submitted JSON, compact."""
    queue_seconds: float = 0.0
    render_seconds: float = 0.0
    mode: str = "preview"
    phase: Phase = "queued"
    started_at: float | None = None
    finished_at: float | None = None
    outcome: Literal["done", "error"] | None = None
    message: str = ""
    width: int | None = None
    height: int | None = None
    fps: float | None = None
    frames: int | None = None
    duration: float | None = None
    size: int | None = None
    credits: float = 0.0
    deleted_at: float | None = None
    warnings: list[str] = field(default_factory=list)
    ass: bool = False
    """Whether subtitles lie beside the video."""
    forced: dict[str, Any] | None = None
    """What a fault rule makes of this render: ``rule``, ``status``, ``message``."""

    def submitted(self) -> dict[str, Any]:
        """Give the document that was submitted."""
        document = json.loads(self.document)
        return document if isinstance(document, dict) else {}

    @property
    def client_data(self) -> Any:
        """What the author put into ``client-data``, verbatim; ``{}`` if nothing."""
        return self.submitted().get("client-data", {})


class Store:
    """Renders and templates in memory, each change written through to ``home/service.db``.

    One process owns a home at a time. Safe to call from several threads.

    :param home: folder of this service; made if it is not there.
    """

    def __init__(self, home: Path) -> None:
        self.home = home
        self._lock = threading.RLock()
        (home / "jobs").mkdir(parents=True, exist_ok=True)
        self._db = sqlite3.connect(home / "service.db", check_same_thread=False, isolation_level=None)
        self._db.execute("PRAGMA journal_mode=WAL")
        # A power cut may lose the last moments; a killed process loses nothing.
        self._db.execute("PRAGMA synchronous=OFF")
        self._db.execute("CREATE TABLE IF NOT EXISTS renders (project TEXT PRIMARY KEY, facts TEXT NOT NULL)")
        self._db.execute("CREATE TABLE IF NOT EXISTS templates (id TEXT PRIMARY KEY, facts TEXT NOT NULL)")
        known = {f.name for f in fields(Render)}
        self._renders = {
            project: Render(**{k: v for k, v in json.loads(facts).items() if k in known})
            for project, facts in self._db.execute("SELECT project, facts FROM renders ORDER BY rowid")
        }
        self._templates: dict[str, dict[str, Any]] = {
            id_: json.loads(facts) for id_, facts in self._db.execute("SELECT id, facts FROM templates ORDER BY rowid")
        }

    def folder(self, project: str) -> Path:
        """Give the folder of a render: its job, plan, log and video."""
        return self.home / "jobs" / project

    def video(self, project: str) -> Path:
        """Give the place of the rendered file, whether or not it is there yet."""
        return self.folder(project) / "out.mp4"

    def subtitles(self, project: str) -> Path:
        """Give the place of the subtitles, whether or not there are any."""
        return self.video(project).with_suffix(".ass")

    def add(self, render: Render) -> None:
        """Remember a new render."""
        with self._lock:
            self._renders[render.project] = render
            self._write(render)

    def get(self, project: str) -> Render | None:
        """Give a render, or None."""
        return self._renders.get(project)

    def change(self, project: str, **facts: Any) -> Render | None:
        """Change facts of a render and give the new one; None if it is gone."""
        with self._lock:
            render = self._renders.get(project)
            if render is None:
                return None
            render = replace(render, **facts)
            self._renders[project] = render
            self._write(render)
            return render

    def _write(self, render: Render) -> None:
        facts = json.dumps(asdict(render), ensure_ascii=False)
        self._db.execute(
            "INSERT INTO renders VALUES (?, ?) ON CONFLICT(project) DO UPDATE SET facts = excluded.facts",
            (render.project, facts),
        )

    def all(self) -> list[Render]:
        """Give every render, oldest first."""
        with self._lock:
            return list(self._renders.values())

    def __len__(self) -> int:
        return len(self._renders)

    def template(self, id_: str) -> dict[str, Any] | None:
        """Give a stored template, or None."""
        return self._templates.get(id_)

    def templates(self) -> list[dict[str, Any]]:
        """Give every stored template, in the order of creation."""
        with self._lock:
            return list(self._templates.values())

    def put_template(self, template: dict[str, Any]) -> None:
        """Keep a template under its ``id``."""
        with self._lock:
            self._templates[template["id"]] = template
            self._db.execute(
                "INSERT INTO templates VALUES (?, ?) ON CONFLICT(id) DO UPDATE SET facts = excluded.facts",
                (template["id"], json.dumps(template, ensure_ascii=False)),
            )

    def drop_template(self, id_: str) -> bool:
        """Forget a template; False if there was none."""
        with self._lock:
            self._db.execute("DELETE FROM templates WHERE id = ?", (id_,))
            return self._templates.pop(id_, None) is not None

    def clear(self) -> None:
        """Forget everything, folders included."""
        with self._lock:
            self._db.execute("DELETE FROM renders")
            self._db.execute("DELETE FROM templates")
            projects = list(self._renders)
            self._renders.clear()
            self._templates.clear()
        for project in projects:
            shutil.rmtree(self.folder(project), ignore_errors=True)

    def close(self) -> None:
        """Close the database."""
        with self._lock:
            self._db.close()
