"""What the service remembers: SQLite, and one folder per render. A restart finds everything again."""

from __future__ import annotations

import json
import shutil
import sqlite3
import threading
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any, Literal

__all__ = ["Phase", "Records", "Render", "Store"]

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
    destinations: list[dict[str, Any]] = field(default_factory=list)
    """Where the movie wants to be exported to, in order, its expressions computed."""
    exported_at: float | None = None
    deliveries: list[dict[str, Any]] = field(default_factory=list)
    """What became of each export."""

    def submitted(self) -> dict[str, Any]:
        """Give the document that was submitted."""
        document = json.loads(self.document)
        return document if isinstance(document, dict) else {}

    @property
    def client_data(self) -> Any:
        """What the author put into ``client-data``, verbatim; ``{}`` if nothing."""
        return self.submitted().get("client-data", {})


class Records:
    """Facts by key in memory, each change written through to one table. Safe to call from several threads."""

    def __init__(self, db: sqlite3.Connection, table: str, *, lock: threading.RLock) -> None:
        self._db, self._table, self._lock = db, table, lock
        db.execute(f"CREATE TABLE IF NOT EXISTS {table} (id TEXT PRIMARY KEY, facts TEXT NOT NULL)")
        rows = db.execute(f"SELECT id, facts FROM {table} ORDER BY rowid")  # noqa: S608 - the names are our own
        self._kept: dict[str, dict[str, Any]] = {id_: json.loads(facts) for id_, facts in rows}

    def get(self, id_: str) -> dict[str, Any] | None:
        """Give the facts under a key, or None."""
        return self._kept.get(id_)

    def all(self) -> list[dict[str, Any]]:
        """Give all facts, in the order in which their keys came."""
        with self._lock:
            return list(self._kept.values())

    def put(self, id_: str, facts: dict[str, Any]) -> None:
        """Keep facts under a key."""
        with self._lock:
            self._kept[id_] = facts
            self._db.execute(
                f"INSERT INTO {self._table} VALUES (?, ?) ON CONFLICT(id) DO UPDATE SET facts = excluded.facts",  # noqa: S608
                (id_, json.dumps(facts, ensure_ascii=False)),
            )

    def drop(self, id_: str) -> bool:
        """Forget a key; False if there was none."""
        with self._lock:
            self._db.execute(f"DELETE FROM {self._table} WHERE id = ?", (id_,))  # noqa: S608
            return self._kept.pop(id_, None) is not None

    def clear(self) -> None:
        """Forget every key."""
        with self._lock:
            self._db.execute(f"DELETE FROM {self._table}")  # noqa: S608
            self._kept.clear()


class Store:
    """Renders, templates and the drive in memory, each change written through to ``home/service.db``.

    One process owns a home at a time. Safe to call from several threads.

    :param home: folder of this service; made if it is not there.
    """

    def __init__(self, home: Path) -> None:
        self.home = home
        self._lock = threading.RLock()
        (home / "jobs").mkdir(parents=True, exist_ok=True)
        self._db = sqlite3.connect(home / "service.db", check_same_thread=False, isolation_level=None, timeout=1.0)
        # Two services on one home would render everything twice; the second is told that it is locked.
        self._db.execute("PRAGMA locking_mode=EXCLUSIVE")
        self._db.execute("PRAGMA journal_mode=WAL")
        # A power cut may lose the last moments; a killed process loses nothing.
        self._db.execute("PRAGMA synchronous=OFF")
        self._db.execute("CREATE TABLE IF NOT EXISTS renders (project TEXT PRIMARY KEY, facts TEXT NOT NULL)")
        known = {f.name for f in fields(Render)}
        self._renders = {
            project: Render(**{k: v for k, v in json.loads(facts).items() if k in known})
            for project, facts in self._db.execute("SELECT project, facts FROM renders ORDER BY rowid")
        }
        self._templates = Records(self._db, "templates", lock=self._lock)
        self.files = Records(self._db, "files", lock=self._lock)
        """The drive's files by their path."""
        self.folders = Records(self._db, "folders", lock=self._lock)
        """The folders that were made by name."""
        self.assets = Records(self._db, "assets", lock=self._lock)
        """What was generated and paid for, by its key: ``at`` and whether it is ``kept``."""
        self.bills = Records(self._db, "bills", lock=self._lock)
        """What the drive has cost."""

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
        return self._templates.all()

    def put_template(self, template: dict[str, Any]) -> None:
        """Keep a template under its ``id``."""
        self._templates.put(template["id"], template)

    def drop_template(self, id_: str) -> bool:
        """Forget a template; False if there was none."""
        return self._templates.drop(id_)

    def clear(self) -> None:
        """Forget everything, folders included."""
        with self._lock:
            self._db.execute("DELETE FROM renders")
            projects = list(self._renders)
            self._renders.clear()
            for records in (self._templates, self.files, self.folders, self.assets, self.bills):
                records.clear()
        for project in projects:
            shutil.rmtree(self.folder(project), ignore_errors=True)

    def close(self) -> None:
        """Close the database."""
        with self._lock:
            self._db.close()
