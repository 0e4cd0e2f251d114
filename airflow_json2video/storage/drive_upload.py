"""An upload to the drive that may be repeated: what is there already is kept, what was left half done is cleared."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from airflow_json2video.exceptions import AlreadyExists, Json2VideoError, MediaNotFound

if TYPE_CHECKING:
    from airflow_json2video.api.client import Json2VideoClient
    from airflow_json2video.api.responses import DriveFile
    from airflow_json2video.api.upload import FileContent
    from airflow_json2video.task_log import TaskLog

__all__ = ["DriveUpload", "IfExists", "wait_until_uploaded"]

IfExists = Literal["keep", "replace", "fail"]

_CONFIRMED_WITHIN = 30.0
"""Seconds to wait for the storage to confirm a file; a few are usual."""

_ADDRESS_LASTS = 120.0
"""Seconds for which an upload address is good: a record that is pending for longer will stay so."""

_PAUSE = 2.0


@dataclass(kw_only=True)
class DriveUpload:
    """One file on its way to one place of the drive.

    :param content: the file, its size known.
    :param folder: without slashes around it; the root is an empty text.
    :param if_exists: what to do about a file of this name and *another size*: keep it, replace it, or fail. One of
        the same size is kept in any case, since the service tells nothing else by which to compare.
    """

    client: Json2VideoClient
    content: FileContent
    folder: str
    if_exists: IfExists
    log: TaskLog
    sleep: Callable[[float], None] = time.sleep
    clock: Callable[[], float] = time.time

    def run(self) -> tuple[DriveFile, bool]:
        """Bring the file there, and give it as the drive has it, and whether it was sent.

        :raises AlreadyExists: another file of this name is there, and ``if_exists`` is ``fail``; nothing was changed.
        :raises Json2VideoError: the service refused, or the file did not arrive.
        """
        there = self._there()
        if there is not None and there.status == "pending":
            there = self._settled(there)
        if there is not None:
            kept = self._kept(there)
            if kept is not None:
                return kept, False
            self._delete()
        return self._send(), True

    @property
    def _path(self) -> str:
        return f"{self.folder}/{self.content.name}" if self.folder else self.content.name

    def _there(self) -> DriveFile | None:
        from airflow_json2video.api import calls

        try:
            return self.client.execute(calls.get_file(self._path))
        except MediaNotFound:
            return None

    def _kept(self, there: DriveFile) -> DriveFile | None:
        """Give the file that is there if it stays."""
        if there.size == self.content.size:
            self.log.info("%r is in the drive already, with the same %d bytes: kept.", self._path, self.content.size)
            return there
        differ = f"{self._path!r} is in the drive with {there.size} bytes, and this file has {self.content.size}."
        if self.if_exists == "replace":
            self.log.info("%s It is replaced.", differ)
            return None
        if self.if_exists == "keep":
            self.log.warning("%s The one in the drive is kept (if_exists='keep').", differ)
            return there
        raise AlreadyExists(differ, advice="Nothing was changed. Give another name, or if_exists='replace' or 'keep'.")

    def _settled(self, there: DriveFile) -> DriveFile | None:
        """Wait for an upload that may be under way; one that was given up is deleted, and blocks the name no more."""
        begun = there.created_at.timestamp() if there.created_at is not None else self.clock()
        until = begun + _ADDRESS_LASTS + _CONFIRMED_WITHIN
        self.log.info("%r is announced to the drive and has not arrived yet: waiting for it.", self._path)
        settled = wait_until_uploaded(
            self.client, self._path, seconds=until - self.clock(), sleep=self.sleep, clock=self.clock
        )
        if settled is not None and settled.status == "pending":
            self.log.warning("The upload of %r was never finished. Its record is deleted.", self._path)
            self._delete()
            return None
        return settled

    def _delete(self) -> None:
        from airflow_json2video.api import calls

        with suppress(MediaNotFound):  # gone meanwhile, which is what was wanted
            self.client.execute(calls.delete_file(self.content.name, folder=self.folder))

    def _send(self) -> DriveFile:
        from airflow_json2video.api import calls

        ticket = self.client.execute(calls.start_upload(self.content, folder=self.folder))
        try:
            self.client.execute(calls.put_file(ticket, self.content))
        except Json2VideoError as error:
            # The bytes may have arrived although the answer did not.
            arrived = wait_until_uploaded(
                self.client, self._path, seconds=_PAUSE * 4, sleep=self.sleep, clock=self.clock
            )
            if arrived is None or arrived.status == "pending":
                self._delete()
                advice = "Its record was deleted, so the name is free. A retry sends the file again."
                raise error.with_context(retryable=True, advice=advice) from error
        uploaded = wait_until_uploaded(
            self.client, self._path, seconds=_CONFIRMED_WITHIN, sleep=self.sleep, clock=self.clock
        )
        if uploaded is None:
            raise MediaNotFound(f"{self._path!r} was sent, and the drive does not have it.", retryable=True)
        if uploaded.status == "pending":
            self.log.warning("%r was sent, and the storage has not confirmed it yet.", self._path)
        return uploaded


def wait_until_uploaded(
    client: Json2VideoClient,
    path: str,
    *,
    seconds: float,
    sleep: Callable[[float], None] = time.sleep,
    clock: Callable[[], float] = time.time,
) -> DriveFile | None:
    """Look at a file until the storage has confirmed it, at most so many seconds; None if there is none.

    :returns: what the last look saw; its ``status`` may still be ``pending``.
    """
    from airflow_json2video.api import calls

    until = clock() + seconds
    while True:
        try:
            file = client.execute(calls.get_file(path))
        except MediaNotFound:
            return None
        if file.status != "pending" or clock() >= until:
            return file
        sleep(_PAUSE)
