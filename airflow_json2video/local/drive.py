"""The rules of the drive: files that movies use, uploaded in two steps. :mod:`.drive_routes` serves it."""

from __future__ import annotations

import hashlib
import math
import re
import secrets
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from airflow_json2video.local.clock import iso
from airflow_json2video.local.contract import Refusal
from airflow_json2video.local.storage_bill import StorageBill

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_json2video.local.clock import Clock
    from airflow_json2video.local.settings import Settings
    from airflow_json2video.local.store import Store

__all__ = ["FILES", "MAX_FILE", "UPLOADS", "Drive", "stored_name"]

MAX_FILE = 524_288_000
FILES = "/media/local/files/"
"""Path prefix of the files, before folder and name."""
UPLOADS = "/storage/"
_TEMP = "temp"
_GIB = 1024**3
_CREDITS_PER_GIB = 10


def stored_name(path: str) -> str:
    """Return the name on disk of the drive's file *path*. It contains no part of the name that a client chose."""
    return hashlib.sha256(path.encode()).hexdigest()


class Drive:
    """Implements the calls under ``/media``. Raises :class:`.contract.Refusal` to refuse a call.

    Folders are prefixes of paths, as in the storage of the real service: a folder exists while it contains a file,
    or if it was created by name.

    :param remaining: returns the credits left.
    """

    def __init__(self, *, store: Store, clock: Clock, settings: Settings, remaining: Callable[[], float]) -> None:
        self._store = store
        self._clock = clock
        self._settings = settings
        self._remaining = remaining
        self._lock = threading.RLock()
        self._blocked_at: float | None = None
        self._bill = StorageBill(store.bills)
        self.place = store.home / "drive"
        """Folder of the stored files, each under its :func:`stored_name`."""
        self.place.mkdir(exist_ok=True)

    # Storage

    def storage(self) -> dict[str, Any]:
        """Answer GET /media."""
        used = self._used()
        blocked = self._blocked()
        view = {
            "used_bytes": used,
            "free_allowance": int(self._settings.free_storage),
            "credits_per_week": self._price(used),
            "blocked": blocked,
            "blocked_at": iso(self._blocked_at) if blocked and self._blocked_at is not None else None,
        }
        return {"success": True, "storage": view}

    def _used(self) -> int:
        return sum(f["size"] for f in self._files() if not _temporary(f["folder"]))

    def _price(self, used: int) -> int:
        return math.ceil(max(0, used - self._settings.free_storage) * _CREDITS_PER_GIB / _GIB)

    def spent(self) -> float:
        """Return the credits that the storage has cost so far."""
        with self._lock:
            self._settle()
            return self._bill.spent(self._clock.now())

    def _settle(self) -> None:
        self._bill.settle(price=self._price(self._used()), now=self._clock.now())

    @contextmanager
    def _changing(self) -> Iterator[None]:
        """Hold the lock during a change of the files, and charge for the storage before and after it."""
        with self._lock:
            self._settle()
            yield
            self._settle()

    def _blocked(self) -> bool:
        unpaid = self._price(self._used()) > 0 and self._remaining() <= 0
        if not (self._settings.storage_blocked or unpaid):
            self._blocked_at = None
            return False
        if self._blocked_at is None:
            self._blocked_at = self._clock.now()
        return True

    # Files

    def file(self, path: str | None, *, base_url: str) -> dict[str, Any]:
        """Answer GET /media/file?path=."""
        return {"success": True, "file": self._view(self._require((path or "").strip("/")), base_url)}

    def start_upload(self, body: Mapping[str, Any], *, base_url: str) -> dict[str, Any]:
        """Answer POST /media/file: the first step of an upload."""
        name = file_name(body.get("name"))
        folder = folder_name(body.get("folder"))
        size = body.get("size")
        content_type = body.get("contentType")
        # The wording of these two is not documented.
        if not isinstance(content_type, str) or not content_type.strip():
            raise Refusal(400, "contentType is required")
        if isinstance(size, bool) or not isinstance(size, int) or size <= 0:
            raise Refusal(400, "size is required")
        if size > MAX_FILE:
            raise Refusal(413, "File exceeds maximum size of 500 MB")
        if self._blocked():
            raise Refusal(403, "Storage is blocked. Add credits to continue uploading.")
        path = _path(folder, name)
        with self._changing():
            if self._record(path) is not None:
                raise Refusal(self._settings.conflict_status, "A file with this name already exists. Delete it first.")
            token = secrets.token_urlsafe(24)
            self._store.files.put(
                path,
                {
                    "name": name, "folder": folder, "contentType": content_type.strip(), "size": size,
                    "created_at": self._clock.now(), "put_at": None, "token": token, "lost": False,
                },
            )  # fmt: skip
        return {
            "success": True,
            "uploadUrl": f"{base_url}{UPLOADS}{token}/{quote(path)}",
            "fileUrl": _url(path, base_url),
            "expiresIn": int(self._settings.upload_expires),
        }

    def move(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """Answer PUT /media/file."""
        name = file_name(body.get("name"))
        if not isinstance(body.get("destination"), str):
            raise Refusal(400, "destination is required")
        source, target = folder_name(body.get("folder")), folder_name(body["destination"])
        with self._changing():
            record = self._require(_path(source, name))
            if source != target:
                if self._record(_path(target, name)) is not None:
                    raise Refusal(
                        self._settings.conflict_status, "A file with this name already exists in the destination folder"
                    )
                lost = self._status(record) == "pending" and self._settings.lose_moved_pending
                self._store.files.drop(_path(source, name))
                self._store.files.put(_path(target, name), {**record, "folder": target, "lost": record["lost"] or lost})
                old = self.place / stored_name(_path(source, name))
                if lost:
                    old.unlink(missing_ok=True)
                elif old.is_file():
                    old.replace(self.place / stored_name(_path(target, name)))
        return self._done()

    def delete(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """Answer DELETE /media/file; also for a record that is still ``pending``."""
        path = _path(folder_name(body.get("folder")), file_name(body.get("name")))
        with self._changing():
            self._require(path)
            self._delete(path)
        return self._done()

    # Folders

    def folder(self, params: Mapping[str, str], *, base_url: str) -> dict[str, Any]:
        """Answer GET /media/folder: one page of a folder, or the ``tree`` of all."""
        if params.get("tree") == "true":
            return {"success": True, "tree": self._tree()}
        folder = folder_name(params.get("path") or params.get("folder"))
        inside = sorted((f for f in self._files() if f["folder"] == folder), key=lambda f: str(f["name"]))
        wanted = (params.get("q") or "").lower()
        found = [
            f
            for f in inside
            if wanted in f["name"].lower() and params.get("type") in (None, "", _type(f["contentType"]))
        ]
        page, size = _whole(params, "page", 0), max(1, _whole(params, "page_size", 100))
        prefix = f"{folder}/" if folder else ""
        below = {f[len(prefix) :].split("/")[0] for f in self._all_folders() if f.startswith(prefix) and f != folder}
        return {
            "success": True,
            "path": folder or "/",
            "total_size": sum(f["size"] for f in inside),
            "total_files": len(inside),
            "total": len(found),
            "folders": sorted(below - {""}),
            "files": [self._view(f, base_url) for f in found[page * size : (page + 1) * size]],
        }

    def _tree(self) -> list[dict[str, Any]]:
        files = self._files()
        return [
            {
                "path": folder or "/",
                "files": sum(f["folder"] == folder for f in files),
                "size": sum(f["size"] for f in files if f["folder"] == folder),
            }
            for folder in sorted({"", *self._all_folders()})
        ]

    def _all_folders(self) -> set[str]:
        """Return every folder with its parents, including ``temp``."""
        named = {_TEMP, *(f["folder"] for f in self._store.folders.all()), *(f["folder"] for f in self._files())}
        return {"/".join(parts[:n]) for parts in (f.split("/") for f in named if f) for n in range(1, len(parts) + 1)}

    def make_folder(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """Answer POST /media/folder; succeeds if the folder exists."""
        folder = _required_folder(body)
        if not folder:
            raise Refusal(400, "Invalid folder name")
        with self._lock:
            if folder in self._all_folders():
                return {**self._done(), "message": "Folder already exists"}
            self._store.folders.put(folder, {"folder": folder})
        return self._done()

    def delete_folder(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """Answer DELETE /media/folder; also deletes empty folders below it."""
        folder = _required_folder(body)
        if not folder:
            raise Refusal(400, "Cannot delete root folder")
        if folder == _TEMP:
            raise Refusal(400, "Cannot delete the temp folder")
        with self._lock:
            if any(_within(f["folder"], folder) for f in self._files()):
                raise Refusal(400, "Folder is not empty. Delete all files first.")
            # The response for a folder that does not exist is not documented; here it is a success.
            for name in [f["folder"] for f in self._store.folders.all() if _within(f["folder"], folder)]:
                self._store.folders.drop(name)
        return self._done()

    # The storage of the uploads

    def ticket(self, token: str) -> dict[str, Any] | None:
        """Return the record of an upload address, or None if it is unknown or expired."""
        now = self._clock.now()
        for record in self._files():
            if secrets.compare_digest(record["token"].encode(), token.encode()):
                return record if now <= record["created_at"] + self._settings.upload_expires else None
        return None

    def receive(self, token: str, partial: Path) -> bool:
        """Store an upload whose bytes are in *partial*; return False if its record was deleted meanwhile."""
        with self._lock:
            record = self.ticket(token)
            if record is None:
                return False
            if not record["lost"]:
                path = _path(record["folder"], record["name"])
                partial.replace(self.place / stored_name(path))
                self._store.files.put(path, {**record, "put_at": self._clock.now()})
            return True

    def served(self, path: str) -> tuple[Path, str] | None:
        """Return path and content type of a file that can be downloaded, or None."""
        record = self._record(path)
        place = self.place / stored_name(path)
        return (place, record["contentType"]) if record is not None and place.is_file() else None

    def clear(self) -> None:
        """Delete the bytes of every file."""
        for place in self.place.iterdir():
            place.unlink(missing_ok=True)
        self._blocked_at = None

    # Records

    def _files(self) -> list[dict[str, Any]]:
        """Return every file, after deleting expired ones in ``temp``."""
        now = self._clock.now()
        current = []
        for record in self._store.files.all():
            if _temporary(record["folder"]) and now > record["created_at"] + self._settings.temp_expire_after:
                self._delete(_path(record["folder"], record["name"]))
            else:
                current.append(record)
        return current

    def _record(self, path: str) -> dict[str, Any] | None:
        self._files()
        return self._store.files.get(path)

    def _require(self, path: str) -> dict[str, Any]:
        record = self._record(path)
        if record is None:
            raise Refusal(self._settings.missing_status, "File not found")
        return record

    def _delete(self, path: str) -> None:
        self._store.files.drop(path)
        (self.place / stored_name(path)).unlink(missing_ok=True)

    def _status(self, record: Mapping[str, Any]) -> str:
        put_at = record["put_at"]
        confirmed = put_at is not None and self._clock.now() >= put_at + self._settings.upload_confirm
        return "uploaded" if confirmed and not record["lost"] else "pending"

    def _view(self, record: Mapping[str, Any], base_url: str) -> dict[str, Any]:
        return {
            "name": record["name"],
            "folder": record["folder"],
            "type": _type(record["contentType"]),
            "contentType": record["contentType"],
            "size": record["size"],
            "url": _url(_path(record["folder"], record["name"]), base_url),
            "thumbnailUrl": None,
            "status": self._status(record),
            "temporary": _temporary(record["folder"]),
            "created_at": iso(record["created_at"]),
        }

    def _done(self) -> dict[str, Any]:
        return {"success": True, "timestamp": iso(self._clock.now())}


def file_name(name: Any) -> str:
    """Return a file name as the service writes it: each character but letters, digits and ``._-`` becomes ``_``."""
    if not isinstance(name, str) or not name.strip():
        raise Refusal(400, "name is required")
    written = re.sub(r"[^a-zA-Z0-9._-]", "_", name.strip())
    return written if written.strip(".") else written.replace(".", "_")


def folder_name(folder: Any) -> str:
    """Return a folder path as the service writes it: letters, digits and ``/_-``, without a slash at either end."""
    if folder is None:
        return ""
    if not isinstance(folder, str):
        raise Refusal(400, "Invalid folder name")
    written = re.sub(r"/{2,}", "/", re.sub(r"[^a-zA-Z0-9/_-]", "", folder)).strip("/")
    if folder.strip().strip("/") and not written:
        raise Refusal(400, "Invalid folder name")
    return written


def _required_folder(body: Mapping[str, Any]) -> str:
    if "folder" not in body:
        raise Refusal(400, "folder is required")
    return folder_name(body["folder"])


def _path(folder: str, name: str) -> str:
    return f"{folder}/{name}" if folder else name


def _url(path: str, base_url: str) -> str:
    return f"{base_url}{FILES}{quote(path)}"


def _within(folder: str, root: str) -> bool:
    return folder == root or folder.startswith(f"{root}/")


def _temporary(folder: str) -> bool:
    return _within(folder, _TEMP)


def _type(content_type: str) -> str:
    kind = content_type.split("/")[0].lower()
    return kind if kind in ("image", "video", "audio") else "other"


def _whole(params: Mapping[str, str], name: str, default: int) -> int:
    try:
        return max(0, int(params.get(name) or default))
    except ValueError:
        raise Refusal(400, f"Invalid {name}") from None
