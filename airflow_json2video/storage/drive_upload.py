"""Upload a file to the drive repeatably: an existing file is reused, and an unfinished upload is cleaned up."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from airflow_json2video.api import calls
from airflow_json2video.exceptions import AlreadyExists, Json2VideoError, MediaNotFound

if TYPE_CHECKING:
    from airflow_json2video.api.client import Json2VideoClient
    from airflow_json2video.api.responses import DriveFile
    from airflow_json2video.api.upload import FileContent
    from airflow_json2video.task_log import TaskLog

__all__ = ["DriveUpload", "IfExists", "wait_until_uploaded"]

IfExists = Literal["keep", "replace", "fail"]

_MAX_CONFIRMATION_WAIT = 30.0
"""Seconds to wait for the storage to confirm a file; it usually takes a few."""

_UPLOAD_URL_LIFETIME = 120.0
"""Seconds for which an upload URL is valid: a record that is pending for longer stays pending."""

_POLL_INTERVAL = 2.0


@dataclass(kw_only=True)
class DriveUpload:
    """The upload of one file to one folder of the drive.

    :param content: the file, with its size.
    :param folder: without slashes around it; the root is an empty string.
    :param if_exists: what to do about a file of this name and *another size*: keep it, replace it, or fail. A file of
        the same size is always reused, since the service returns nothing else to compare.
    """

    client: Json2VideoClient
    content: FileContent
    folder: str
    if_exists: IfExists
    log: TaskLog
    sleep: Callable[[float], None] = time.sleep
    clock: Callable[[], float] = time.time

    def run(self) -> tuple[DriveFile, bool]:
        """Upload the file; return it as the drive shows it, and whether it was sent.

        :raises AlreadyExists: another file of this name exists, and ``if_exists`` is ``fail``; nothing was changed.
        :raises Json2VideoError: the service refused, or the file did not arrive.
        """
        existing = self._find()
        if existing is not None and existing.status == "pending":
            existing = self._wait_for_pending(existing)
        if existing is not None:
            if self._is_kept(existing):
                return existing, False
            self._delete()
        return self._send(), True

    @property
    def _path(self) -> str:
        return f"{self.folder}/{self.content.name}" if self.folder else self.content.name

    def _find(self) -> DriveFile | None:
        try:
            return self.client.execute(calls.get_file(self._path))
        except MediaNotFound:
            return None

    def _is_kept(self, existing: DriveFile) -> bool:
        if existing.size == self.content.size:
            self.log.info("%r is already in the drive with the same size (%d bytes).", self._path, self.content.size)
            return True
        difference = f"{self._path!r} is in the drive with {existing.size} bytes; this file has {self.content.size}."
        if self.if_exists == "replace":
            self.log.info("%s Replacing it.", difference)
            return False
        if self.if_exists == "keep":
            self.log.warning("%s Keeping the one in the drive (if_exists='keep').", difference)
            return True
        raise AlreadyExists(
            difference, advice="Nothing was changed. Use another name, or if_exists='replace' or if_exists='keep'."
        )

    def _wait_for_pending(self, pending: DriveFile) -> DriveFile | None:
        """Wait for an upload that may be in progress; an abandoned one is deleted, so that the name is free."""
        started_at = pending.created_at.timestamp() if pending.created_at is not None else self.clock()
        until = started_at + _UPLOAD_URL_LIFETIME + _MAX_CONFIRMATION_WAIT
        self.log.info("Upload of %r is pending in the drive; waiting.", self._path)
        uploaded = wait_until_uploaded(
            self.client, self._path, seconds=until - self.clock(), sleep=self.sleep, clock=self.clock
        )
        if uploaded is not None and uploaded.status == "pending":
            self.log.warning("The upload of %r was never finished; deleting its record.", self._path)
            self._delete()
            return None
        return uploaded

    def _delete(self) -> None:
        with suppress(MediaNotFound):  # already deleted
            self.client.execute(calls.delete_file(self.content.name, folder=self.folder))

    def _send(self) -> DriveFile:
        ticket = self.client.execute(calls.start_upload(self.content, folder=self.folder))
        try:
            self.client.execute(calls.put_file(ticket, self.content))
        except Json2VideoError as error:
            # The file may have arrived although the response did not.
            arrived = wait_until_uploaded(
                self.client, self._path, seconds=_POLL_INTERVAL * 4, sleep=self.sleep, clock=self.clock
            )
            if arrived is None or arrived.status == "pending":
                self._delete()
                advice = "Its record was deleted, so the name is free. A retry sends the file again."
                raise error.with_context(retryable=True, advice=advice) from error
        uploaded = wait_until_uploaded(
            self.client, self._path, seconds=_MAX_CONFIRMATION_WAIT, sleep=self.sleep, clock=self.clock
        )
        if uploaded is None:
            raise MediaNotFound(f"{self._path!r} was sent, but does not exist in the drive.", retryable=True)
        if uploaded.status == "pending":
            self.log.warning("%r was sent; the storage has not confirmed it yet.", self._path)
        return uploaded


def wait_until_uploaded(
    client: Json2VideoClient,
    path: str,
    *,
    seconds: float,
    sleep: Callable[[float], None] = time.sleep,
    clock: Callable[[], float] = time.time,
) -> DriveFile | None:
    """Poll a file until the storage has confirmed it or *seconds* have passed.

    :returns: the file as last seen; its ``status`` may still be ``pending``. None if it does not exist.
    """
    until = clock() + seconds
    while True:
        try:
            file = client.execute(calls.get_file(path))
        except MediaNotFound:
            return None
        if file.status != "pending" or clock() >= until:
            return file
        sleep(_POLL_INTERVAL)
