"""Checks of the destination before a render is paid for."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from airflow_json2video.core.storage_path import check_path_template, format_path, paths_written, placeholders
from airflow_json2video.exceptions import ConfigurationError
from airflow_json2video.storage.destinations import get_destination, is_local

if TYPE_CHECKING:
    from airflow_json2video.task_log import TaskLog

__all__ = ["check_destination", "require_unoccupied", "warn_of_local_path"]


def check_destination(output_path: str, *, log: TaskLog, known: Iterable[str] = (), deletes: bool = False) -> None:
    """Check before anything is paid for that a video can be stored there, by writing a small file and removing it.

    :param output_path: see :func:`.store_video`. :param known: names of the placeholders in addition to ``project``.
    :param deletes: whether the original is deleted afterwards, which requires reading what was stored.
    :raises ConfigurationError: the path cannot be formatted, or is not writable.
    :raises DestinationFailed: the destination does not respond; a later attempt may succeed.
    """
    check_path_template(output_path, known=known)
    destination = get_destination(format_path(output_path, dict.fromkeys(placeholders(output_path), "0" * 16)))
    destination.check(log)
    if deletes:
        destination.stat()


def require_unoccupied(
    output_path: str, *, fields: Mapping[str, str] | None = None, subtitles: bool = False, thumbnail: bool = False
) -> None:
    """Raise, before anything is paid for, if the path holds what may be the only copy of another video.

    Call it if the original at JSON2Video is deleted afterwards, so that there is one copy of each stored video. A path
    that contains the project never belongs to another video.

    :param output_path: see :func:`.store_video`. :param fields: values of the placeholders.
    :raises ConfigurationError: a file exists there. :raises DestinationFailed: the destination does not respond.
    """
    if "project" in placeholders(output_path):
        return
    for path in paths_written(format_path(output_path, fields or {}), subtitles=subtitles, thumbnail=thumbnail):
        if get_destination(path).stat() is not None:
            raise ConfigurationError(
                f"{path!r} already exists. With delete_remote it may be the only copy of another video, and this "
                "render would overwrite it.",
                advice="Add {project} to output_path, so that each video has its own name; or move the file; or "
                "remove delete_remote. Nothing was submitted.",
            )


def warn_of_local_path(output_path: str, *, executor: str | None, log: TaskLog) -> None:
    """Log a warning if the only copy of a video will be on the disk of one worker.

    :param output_path: see :func:`.store_video`.
    :param executor: name of an executor that runs tasks on several machines; None for a local one.
    """
    if executor is not None and is_local(output_path):
        log.warning(
            "output_path %s is on the disk of this worker (%s), and with delete_remote it is the only copy. If "
            "that disk is not shared and permanent (a pod's disk is not), the video is lost with it. Use object "
            "storage or a volume.",
            output_path,
            executor,
        )
