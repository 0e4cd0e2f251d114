"""The state of the service: SQLite, and one folder per render. It survives a restart."""

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
    """One render, as the queue and the worker see it; for what a client sees, see :mod:`.lifecycle`.

    Times are epoch seconds on the service's clock.
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
    """Whether there are subtitles next to the video."""
    forced: dict[str, Any] | None = None
    """The effect of a fault rule on this render: ``rule``, ``status``, ``message``."""
    destinations: list[dict[str, Any]] = field(default_factory=list)
    """The export destinations of the movie, in order, with expressions filled in."""
    exported_at: float | None = None
    deliveries: list[dict[str, Any]] = field(default_factory=list)
    """The outcome of each export."""

    def submitted(self) -> dict[str, Any]:
        """Return the document that was submitted."""
        document = json.loads(self.document)
        return document if isinstance(document, dict) else {}

    @property
    def client_data(self) -> Any:
        """The ``client-data`` of the movie, verbatim; ``{}`` if it has none."""
        return self.submitted().get("client-data", {})


class Records:
    """Records by key in memory, each change written to one table. Thread-safe."""

    def __init__(self, db: sqlite3.Connection, table: str, *, lock: threading.RLock) -> None:
        self._db, self._table, self._lock = db, table, lock
        db.execute(f"CREATE TABLE IF NOT EXISTS {table} (id TEXT PRIMARY KEY, facts TEXT NOT NULL)")
        rows = db.execute(f"SELECT id, facts FROM {table} ORDER BY rowid")  # noqa: S608 - the names are constants
        self._records: dict[str, dict[str, Any]] = {id_: json.loads(facts) for id_, facts in rows}

    def get(self, id_: str) -> dict[str, Any] | None:
        """Return the record of a key, or None."""
        return self._records.get(id_)

    def all(self) -> list[dict[str, Any]]:
        """Return all records, in the order of insertion."""
        with self._lock:
            return list(self._records.values())

    def put(self, id_: str, facts: dict[str, Any]) -> None:
        """Store a record."""
        with self._lock:
            self._records[id_] = facts
            self._db.execute(
                f"INSERT INTO {self._table} VALUES (?, ?) ON CONFLICT(id) DO UPDATE SET facts = excluded.facts",  # noqa: S608
                (id_, json.dumps(facts, ensure_ascii=False)),
            )

    def drop(self, id_: str) -> bool:
        """Delete a record; return False if there was none."""
        with self._lock:
            self._db.execute(f"DELETE FROM {self._table} WHERE id = ?", (id_,))  # noqa: S608
            return self._records.pop(id_, None) is not None

    def clear(self) -> None:
        """Delete all records."""
        with self._lock:
            self._db.execute(f"DELETE FROM {self._table}")  # noqa: S608
            self._records.clear()


class Store:
    """Renders, templates and the drive in memory, each change written to ``home/service.db``.

    Only one process can use a home at a time. Thread-safe.

    :param home: folder of this service; created if it does not exist.
    """

    def __init__(self, home: Path) -> None:
        self.home = home
        self._lock = threading.RLock()
        (home / "jobs").mkdir(parents=True, exist_ok=True)
        self._db = sqlite3.connect(home / "service.db", check_same_thread=False, isolation_level=None, timeout=1.0)
        # Two services on one home would render everything twice; the second one gets an error.
        self._db.execute("PRAGMA locking_mode=EXCLUSIVE")
        self._db.execute("PRAGMA journal_mode=WAL")
        # A power failure can lose the latest changes; a killed process loses nothing.
        self._db.execute("PRAGMA synchronous=OFF")
        self._db.execute("CREATE TABLE IF NOT EXISTS renders (project TEXT PRIMARY KEY, facts TEXT NOT NULL)")
        known = {f.name for f in fields(Render)}
        self._renders = {
            project: Render(**{k: v for k, v in json.loads(facts).items() if k in known})
            for project, facts in self._db.execute("SELECT project, facts FROM renders ORDER BY rowid")
        }
        self._templates = Records(self._db, "templates", lock=self._lock)
        self.files = Records(self._db, "files", lock=self._lock)
        """The drive's files by path."""
        self.folders = Records(self._db, "folders", lock=self._lock)
        """The folders that were created by name."""
        self.assets = Records(self._db, "assets", lock=self._lock)
        """The generated assets that have been paid for, by key: ``at``, and whether they are ``saved``."""
        self.bills = Records(self._db, "bills", lock=self._lock)
        """The cost of the drive."""

    def folder(self, project: str) -> Path:
        """Return the folder of a render, with its job, log and video."""
        return self.home / "jobs" / project

    def video(self, project: str) -> Path:
        """Return the path of the video, whether or not it exists."""
        return self.folder(project) / "out.mp4"

    def subtitles(self, project: str) -> Path:
        """Return the path of the subtitles, whether or not they exist."""
        return self.video(project).with_suffix(".ass")

    def add(self, render: Render) -> None:
        """Store a new render."""
        with self._lock:
            self._renders[render.project] = render
            self._write(render)

    def get(self, project: str) -> Render | None:
        """Return a render, or None."""
        return self._renders.get(project)

    def change(self, project: str, **facts: Any) -> Render | None:
        """Change fields of a render and return the new one; None if it was deleted."""
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
        """Return all renders, oldest first."""
        with self._lock:
            return list(self._renders.values())

    def __len__(self) -> int:
        return len(self._renders)

    def template(self, id_: str) -> dict[str, Any] | None:
        """Return a stored template, or None."""
        return self._templates.get(id_)

    def templates(self) -> list[dict[str, Any]]:
        """Return all stored templates, in the order of creation."""
        return self._templates.all()

    def put_template(self, template: dict[str, Any]) -> None:
        """Store a template under its ``id``."""
        self._templates.put(template["id"], template)

    def drop_template(self, id_: str) -> bool:
        """Delete a template; return False if there was none."""
        return self._templates.drop(id_)

    def clear(self) -> None:
        """Delete everything, including the folders."""
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
