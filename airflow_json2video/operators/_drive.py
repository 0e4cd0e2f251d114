"""The work of the operators and the transfer for the drive. Loaded when a task runs."""

from __future__ import annotations

import mimetypes
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow_json2video.api.calls.drive import MAX_FILE_SIZE
from airflow_json2video.api.upload import FileContent
from airflow_json2video.api.validation import check_folder, check_stored_folder, check_stored_name
from airflow_json2video.exceptions import ConfigurationError, Json2VideoError, MediaNotFound
from airflow_json2video.storage.drive_upload import DriveUpload, IfExists, wait_until_uploaded
from airflow_json2video.version_compat import object_storage

if TYPE_CHECKING:
    from airflow_json2video.api.responses import DriveFile
    from airflow_json2video.hooks.json2video import Json2VideoHook
    from airflow_json2video.task_log import TaskLog

__all__ = ["file_to_dict", "join_path", "move_file", "upload_source"]

_MOVE_WAIT = 60.0
"""Seconds that a move waits for the storage to confirm the file."""


def upload_source(
    source: str,
    *,
    hook: Json2VideoHook,
    log: TaskLog,
    folder: str,
    name: str | None,
    if_exists: IfExists,
    content_type: str | None,
) -> dict[str, Any]:
    """Upload a file to the drive unless it is there, and return it as a dictionary.

    :raises ConfigurationError: the file or its name cannot be in the drive. :raises Json2VideoError: the upload failed.
    """
    name = check_stored_name(name or source.rpartition("/")[2])
    folder = check_stored_folder(folder)
    storage, path, size = _stat(source)
    if not 1 <= size <= MAX_FILE_SIZE:
        raise ConfigurationError(
            f"{source} has {size} bytes; a file of the drive has 1 to {MAX_FILE_SIZE} (500 MB).",
            advice="Nothing was sent.",
        )
    content_type = content_type or mimetypes.guess_type(name)[0]
    with storage.open(path, "rb") as opened:
        content = FileContent.from_source(opened, name=name, content_type=content_type, size=size)
        upload = DriveUpload(client=hook.client, content=content, folder=folder, if_exists=if_exists, log=log)
        file, sent = upload.run()
    if sent:
        log.info("Uploaded %s to the drive (%d bytes): %s", source, size, file.url)
    return {**file_to_dict(file), "uploaded": sent}


def _stat(source: str) -> tuple[Any, str, int]:
    """Return the file system (fsspec) of the file, its path there, and its size in bytes."""
    try:
        storage, path = object_storage(source if "://" in source else f"file://{Path(source).absolute()}")
        size = int(storage.size(path)) if storage.isfile(path) else None
    except Exception as error:  # each storage has exceptions of its own
        raise Json2VideoError(
            f"{source} cannot be read: {type(error).__name__}: {error}",
            retryable=True,
            advice="Check the path and its connection. Nothing was sent.",
        ) from error
    if size is None:
        raise ConfigurationError(f"File not found: {source!r}.", advice="Nothing was sent.")
    return storage, path, size


def move_file(name: str, *, folder: str, destination: str, hook: Json2VideoHook, log: TaskLog) -> dict[str, Any]:
    """Move a file of the drive unless it has been moved, and return it as a dictionary.

    :raises MediaNotFound: the file does not exist, or its upload has not arrived.
    """
    folder, destination = check_folder(folder), check_stored_folder(destination, "destination")
    source, target = join_path(folder, name), join_path(destination, name)
    file = wait_until_uploaded(hook.client, source, seconds=_MOVE_WAIT)
    if file is None:
        try:
            moved = hook.get_file(target)
        except MediaNotFound:
            raise MediaNotFound(f"The drive has neither {source!r} nor {target!r}.") from None
        log.info("%r has already been moved.", target)
        return file_to_dict(moved)
    if file.status == "pending":
        raise MediaNotFound(
            f"The upload of {source!r} is pending in the drive.",
            retryable=True,
            advice="A move now could lose the file, so it was not moved. If its upload has failed, upload it again.",
        )
    hook.move_file(name, folder=folder, destination=destination)
    return file_to_dict(hook.get_file(target))


def file_to_dict(file: DriveFile) -> dict[str, Any]:
    """Return a file of the drive as an operator's result."""
    return {
        "name": file.name,
        "folder": file.folder or "",
        "url": file.url,
        "size": file.size,
        "content_type": file.content_type,
        "status": file.status,
    }


def join_path(folder: str, name: str) -> str:
    """Return the path of a file in the drive."""
    folder = folder.strip("/")
    return f"{folder}/{name}" if folder else name
