"""The places where a file can be kept, and how it gets there whole: never a part of it under its final name.

On a local disk a file is written next to its place and moved there. In an object store a file appears whole when
it is put. On any other file system it is put under a temporary name and moved. Before anything is paid for the same
steps are taken with a file of a few bytes.
"""

from __future__ import annotations

import errno
import inspect
import os
import secrets
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime, timezone
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, cast

from airflow_json2video.exceptions import Billing, ConfigurationError, DestinationFailed
from airflow_json2video.storage.temporary_files import temporary_file
from airflow_json2video.version_compat import object_storage

if TYPE_CHECKING:
    from airflow_json2video.task_log import TaskLog

__all__ = ["Destination", "StoredFile", "get_destination", "is_local"]

_OBJECT_STORES = frozenset(
    {"s3", "s3a", "gs", "gcs", "abfs", "abfss", "adl", "az", "wasb", "wasbs", "oss", "oci", "r2", "cos", "obs", "tos"}
)
"""Schemes of stores where a put is whole or not at all, and a rename is a copy."""
_NOT_THERE = (ValueError, ImportError, KeyError, TypeError, AttributeError, NotImplementedError)
"""What Airflow and fsspec raise for a scheme, a package or an option that is not there."""
_MAY_PASS = frozenset(
    {errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.ESTALE, errno.ETIMEDOUT, errno.EMFILE, errno.ENFILE}
)
"""Faults of a disk that a later attempt may find gone; any other is for the author of the path."""
_PROBE = b"JSON2Video for Apache Airflow checks that a video can be stored here. This file may be deleted.\n"
_PROBE_NAME = ".json2video-write-check"
"""Name of what is written to an object store to check that it can be; one name, so that never more than one is left."""
_PUT_OPTIONS = {"chunksize": 8 * 1024 * 1024, "max_concurrency": 2}
_NOTHING_SENT = "Nothing was submitted."


@dataclass(frozen=True)
class StoredFile:
    """A file that is there: its length in bytes, and when it was written (epoch seconds, if the store says)."""

    size: int | None
    modified: float | None


class Destination(ABC):
    """The final name of one file.

    :ivar path: as its author wrote it.
    """

    path: str

    @abstractmethod
    def check(self, log: TaskLog) -> None:
        """Check that a file can be written there, by writing, moving and removing a small one.

        :raises ConfigurationError: it cannot. :raises DestinationFailed: it cannot now; a later attempt may.
        """

    @abstractmethod
    def stat(self, *, project: str | None = None) -> StoredFile | None:
        """Return what is there now; None if nothing is.

        :param project: the render that it is asked for, if one is paid for.
        :raises DestinationFailed: it is not known.
        """

    @abstractmethod
    def open(self) -> BinaryIO:
        """Open what is there for reading, able to seek."""

    @abstractmethod
    @contextmanager
    def temporary(self) -> Iterator[Path]:
        """Give a local file to write to; whatever becomes of it, it is gone at the end."""

    @abstractmethod
    def commit(self, part: Path) -> None:
        """Put the whole *part* under the final name.

        :raises OSError: or whatever else the file system raises; nothing is under the final name then.
        """

    def failed(self, error: BaseException, doing: str, *, project: str | None = None) -> DestinationFailed:
        """Say in words what went wrong."""
        words = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
        remedy = advice = None
        if getattr(error, "errno", None) in (errno.ENOSPC, errno.EDQUOT):
            words = f"the disk is full ({error.strerror})" if isinstance(error, OSError) else words
            remedy = "Make room"
        elif isinstance(error, PermissionError):
            words = f"the worker has no permission: {error}"
            remedy = "Give it that permission"
        message = f"{self.path!r} {doing}: {words}."
        if project is None:
            nothing = f"{remedy}. {_NOTHING_SENT}" if remedy else _NOTHING_SENT
            return DestinationFailed(message, advice=nothing, billing=Billing.NOT_CHARGED)
        if remedy:
            advice = f"{remedy}; a retry stores the video without a new render."
        return DestinationFailed(message, project=project, advice=advice)


def is_local(path: str) -> bool:
    """Return whether a path or address is on a disk of this machine."""
    scheme, mark, _ = path.partition("://")
    return not mark or scheme in ("file", "local")


def get_destination(path: str) -> Destination:
    """Give the destination for a path.

    :param path: a whole local path, ``file://``, or anything that Airflow's ``ObjectStoragePath`` reads.
    :raises ConfigurationError: there is no such file system here, or no such connection.
    :raises DestinationFailed: the file system does not answer.
    """
    scheme, mark, rest = path.partition("://")
    if not mark:
        return _Local(path, path)
    if is_local(path):
        host, _, tail = rest.partition("/")
        if host and not host.endswith("@") and host != "localhost":
            raise ConfigurationError(f"{path!r} names a folder where a machine's name stands.", advice="Write file:///")
        return _Local(path, f"/{tail}")
    from airflow.providers.common.compat.sdk import AirflowNotFoundException

    try:
        fs, inside = object_storage(path)
    except (*_NOT_THERE, AirflowNotFoundException) as error:
        raise ConfigurationError(
            f"{path!r} cannot be written to from here: {type(error).__name__}: {error}.",
            advice="Install the provider of this kind of storage, with its file system (as "
            f"apache-airflow-providers-amazon[s3fs]), and create the connection that the path names. {_NOTHING_SENT}",
        ) from error
    except Exception as error:
        raise DestinationFailed(
            f"{path!r} cannot be reached: {type(error).__name__}: {error}.",
            billing=Billing.NOT_CHARGED,
            advice=_NOTHING_SENT,
        ) from error
    return (_ObjectStore if scheme in _OBJECT_STORES else _Remote)(path, fs, inside)


class _Local(Destination):
    def __init__(self, path: str, inside: str) -> None:
        self.path = path
        self._final = Path(inside)

    def check(self, log: TaskLog) -> None:  # noqa: ARG002
        try:
            if self._final.is_dir():
                raise ConfigurationError(f"{self.path!r} is a folder.", advice=f"Name a file in it. {_NOTHING_SENT}")
            folder = self._final.parent
            while not folder.exists() and folder != folder.parent:
                folder = folder.parent
            if not folder.is_dir():
                raise ConfigurationError(f"{self.path!r}: {str(folder)!r} is not a folder.", advice=_NOTHING_SENT)
            # In the nearest folder that exists: making more of them takes the same right, and would leave them there.
            with temporary_file(folder, of="check") as first, temporary_file(folder, of="check") as second:
                first.write_bytes(_PROBE)
                os.replace(first, second)  # noqa: PTH105 - its name says what it does
        except OSError as error:
            if error.errno in _MAY_PASS:
                raise self.failed(error, "cannot be written to") from error
            raise ConfigurationError(
                f"{self.path!r}: the worker cannot write to {str(self._final.parent)!r}: {error.strerror or error}.",
                advice=f"Name another folder, or let the user that runs the worker write there. {_NOTHING_SENT}",
            ) from error

    def stat(self, *, project: str | None = None) -> StoredFile | None:
        try:
            found = self._final.stat()
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            raise self.failed(error, "could not be looked at", project=project) from error
        return StoredFile(size=found.st_size, modified=found.st_mtime)

    def open(self) -> BinaryIO:
        return self._final.open("rb")

    @contextmanager
    def temporary(self) -> Iterator[Path]:
        self._final.parent.mkdir(parents=True, exist_ok=True)
        with temporary_file(self._final.parent, of=self._final.name) as part:
            yield part

    def commit(self, part: Path) -> None:
        os.replace(part, self._final)  # noqa: PTH105 - its name says what it does
        with suppress(OSError):  # so that the name too outlives a power cut, where the system can promise that
            folder = os.open(self._final.parent, os.O_RDONLY)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)


class _Remote(Destination):
    """Any fsspec file system, through a temporary name."""

    def __init__(self, path: str, fs: Any, inside: str) -> None:
        self.path = path
        self._fs = fs
        self._inside = inside

    def check(self, log: TaskLog) -> None:
        try:
            found = self._info(self._root())
        except PermissionError:
            found = {}  # it may be written to and not read
        except DestinationFailed:
            raise
        except Exception as error:
            raise self.failed(error, "cannot be reached") from error
        if found is None:
            raise self._missing()
        try:
            with self._probe() as probe:
                written = self._write_probe(probe)
        except FileNotFoundError as error:
            raise self._missing() from error
        except Exception as error:
            raise self.failed(error, "cannot be written to") from error
        try:
            self._fs.rm_file(written)
        except FileNotFoundError:
            pass  # another task checked the same place at the same time
        except Exception as error:
            log.warning(
                "%s can be written to, but %s, which was written to check that, cannot be deleted: %s.",
                self.path,
                written,
                error,
            )

    def _missing(self) -> ConfigurationError:
        return ConfigurationError(
            f"{self.path!r}: {self._root()!r} does not exist.",
            advice=f"Create it, or correct the path. {_NOTHING_SENT}",
        )

    @staticmethod
    @contextmanager
    def _probe() -> Iterator[Path]:
        import tempfile

        with temporary_file(Path(tempfile.gettempdir()), of="json2video") as probe:
            probe.write_bytes(_PROBE)
            yield probe

    def _write_probe(self, probe: Path) -> str:
        """Write a small file as the video will be written, and return its name."""
        folder = self._inside.rpartition("/")[0]
        while folder and self._info(folder) is None:
            folder = folder.rpartition("/")[0]
        first, second = (f"{folder}/{_PROBE_NAME}.{secrets.token_hex(6)}" for _ in range(2))
        self._fs.put_file(str(probe), first)
        try:
            self._move(first, second)
        except BaseException:
            with suppress(Exception):
                self._fs.rm_file(first)
            raise
        return second

    def stat(self, *, project: str | None = None) -> StoredFile | None:
        try:
            found = self._info(self._inside)
        except Exception as error:
            raise self.failed(error, "could not be looked at", project=project) from error
        if found is None or found.get("type") == "directory":
            return None
        size = found.get("size")
        return StoredFile(size=size if isinstance(size, int) else None, modified=self._modified(found))

    def open(self) -> BinaryIO:
        return cast("BinaryIO", self._fs.open(self._inside, "rb"))

    @contextmanager
    def temporary(self) -> Iterator[Path]:
        import tempfile

        # The name's ending tells a store what the content is.
        with temporary_file(Path(tempfile.gettempdir()), of="json2video", ending=Path(self._inside).suffix) as part:
            yield part

    def commit(self, part: Path) -> None:
        folder, _, name = self._inside.rpartition("/")
        temporary = f"{folder}/.{name[:80]}.{secrets.token_hex(6)}.part"
        if folder:
            self._fs.makedirs(folder, exist_ok=True)
        try:
            self._fs.put_file(str(part), temporary)
            self._require(temporary, part.stat().st_size)
            self._move(temporary, self._inside)
        except BaseException:
            with suppress(Exception):
                self._fs.rm_file(temporary)
            raise

    def _move(self, temporary: str, final: str) -> None:
        try:
            self._rename(temporary, final)
        except OSError:
            # Some move only to a free name. What stood there was another video: this one is whole and ready.
            if self._info(final) is None:
                raise
            self._fs.rm_file(final)
            self._rename(temporary, final)

    def _rename(self, old: str, new: str) -> None:
        generic: Any = import_module("fsspec").AbstractFileSystem
        if type(self._fs).mv is not generic.mv:
            self._fs.mv(old, new)
            return
        # fsspec's own copies and deletes, and takes [, ? and * in a name for a pattern.
        self._fs.cp_file(old, new)
        self._fs.rm_file(old)

    def _require(self, inside: str, size: int) -> None:
        found = self._info(inside)
        there = None if found is None else found.get("size")
        if there != size:
            raise OSError(f"{there} of {size} bytes are there after they were written")

    def _root(self) -> str:
        """Give what has to exist for a file to be written: the file system itself."""
        return "/"

    def _info(self, inside: str) -> dict[str, Any] | None:
        with suppress(Exception):
            self._fs.invalidate_cache()
        try:
            return dict(self._fs.info(inside))
        except FileNotFoundError:
            return None

    def _modified(self, found: dict[str, Any]) -> float | None:
        for name in ("LastModified", "last_modified", "mtime", "updated", "modified", "created"):
            value = found.get(name)
            if isinstance(value, (int, float)) and not isinstance(value, bool):
                return float(value)
            if isinstance(value, str):
                with suppress(ValueError):
                    value = datetime.fromisoformat(value.replace("Z", "+00:00"))
            if isinstance(value, datetime):
                return (value if value.tzinfo else value.replace(tzinfo=timezone.utc)).timestamp()
        return None


class _ObjectStore(_Remote):
    """A store where a file appears whole when it is put, and a rename would be a copy."""

    def commit(self, part: Path) -> None:
        self._fs.put_file(str(part), self._inside, **self._pieces())
        try:
            self._require(self._inside, part.stat().st_size)
        except PermissionError:
            return  # it may be written to and not be looked at

    def _write_probe(self, probe: Path) -> str:
        name = f"{self._inside.rpartition('/')[0]}/{_PROBE_NAME}"
        self._fs.put_file(str(probe), name, **self._pieces())
        return name

    def _pieces(self) -> dict[str, int]:
        """Give the options that keep a put small in memory: by default s3fs holds ten pieces of 50 MB at a time."""
        put = inspect.signature(getattr(self._fs, "_put_file", self._fs.put_file)).parameters
        return {name: value for name, value in _PUT_OPTIONS.items() if name in put}

    def _root(self) -> str:
        return self._inside.lstrip("/").partition("/")[0]
