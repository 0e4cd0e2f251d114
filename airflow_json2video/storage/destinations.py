"""Where a file can be stored, and how it is stored atomically: the final name never holds an incomplete file.

On a local disk a file is written next to its final name and renamed. In an object store a file appears complete when
it is uploaded. On any other file system it is uploaded under a temporary name and renamed. Before anything is paid for,
the same steps are tried with a file of a few bytes.
"""

from __future__ import annotations

import errno
import inspect
import os
import secrets
import tempfile
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime, timezone
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, cast

from airflow.providers.common.compat.sdk import AirflowNotFoundException

from airflow_json2video.exceptions import Billing, ConfigurationError, DestinationFailed
from airflow_json2video.storage.temporary_files import temporary_file
from airflow_json2video.version_compat import object_storage

if TYPE_CHECKING:
    from airflow_json2video.task_log import TaskLog

__all__ = ["Destination", "StoredFile", "get_destination", "is_local"]

_OBJECT_STORES = frozenset(
    {"s3", "s3a", "gs", "gcs", "abfs", "abfss", "adl", "az", "wasb", "wasbs", "oss", "oci", "r2", "cos", "obs", "tos"}
)
"""Schemes of stores where an upload is atomic, and a rename is a copy."""
_MISCONFIGURED = (ValueError, ImportError, KeyError, TypeError, AttributeError, NotImplementedError)
"""What Airflow and fsspec raise for an unknown scheme, a missing package or an unknown option."""
_TEMPORARY = frozenset(
    {errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.ESTALE, errno.ETIMEDOUT, errno.EMFILE, errno.ENFILE}
)
"""Errors of a disk that a later attempt may not meet; any other one is a mistake in the path."""
_PROBE = b"JSON2Video for Apache Airflow checks that a video can be stored here. This file may be deleted.\n"
_PROBE_NAME = ".json2video-write-check"
"""Name of the file that is written to an object store to check that it is writable; one name, so that at most one
remains."""
_UPLOAD_OPTIONS = {"chunksize": 8 * 1024 * 1024, "max_concurrency": 2}
_NOT_SUBMITTED = "Nothing was submitted."


@dataclass(frozen=True)
class StoredFile:
    """An existing file: its size in bytes, and when it was written (epoch seconds, if the store says)."""

    size: int | None
    modified: float | None


class Destination(ABC):
    """The final name of one file.

    :ivar path: as the DAG's author wrote it.
    """

    path: str

    @abstractmethod
    def check(self, log: TaskLog) -> None:
        """Check that a file can be stored there, by writing, renaming and removing a small one.

        :raises ConfigurationError: it cannot.
        :raises DestinationFailed: it cannot at the moment; a later attempt may succeed.
        """

    @abstractmethod
    def stat(self, *, project: str | None = None) -> StoredFile | None:
        """Return size and age of the file; None if it does not exist.

        :param project: the render that the file belongs to, if it is already paid for.
        :raises DestinationFailed: the file system did not respond.
        """

    @abstractmethod
    def open(self) -> BinaryIO:
        """Open the file for reading; it can seek."""

    @abstractmethod
    @contextmanager
    def temporary(self) -> Iterator[Path]:
        """Yield a local file to write to; it is removed at the end in any case."""

    @abstractmethod
    def commit(self, part: Path) -> None:
        """Store the complete file *part* under the final name.

        :raises OSError: or any other exception of the file system; nothing is stored under the final name then.
        """

    def failure(self, error: BaseException, what_failed: str, *, project: str | None = None) -> DestinationFailed:
        """Return an error that says what failed, why, and what to do."""
        cause = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
        remedy = advice = None
        if getattr(error, "errno", None) in (errno.ENOSPC, errno.EDQUOT):
            cause = f"the disk is full ({error.strerror})" if isinstance(error, OSError) else cause
            remedy = "Free some space"
        elif isinstance(error, PermissionError):
            cause = f"permission denied: {error}"
            remedy = "Grant the worker that permission"
        message = f"{self.path!r} {what_failed}: {cause}."
        if project is None:
            advice = f"{remedy}. {_NOT_SUBMITTED}" if remedy else _NOT_SUBMITTED
            return DestinationFailed(message, advice=advice, billing=Billing.NOT_CHARGED)
        if remedy:
            advice = f"{remedy}; a retry stores the video without a new render."
        return DestinationFailed(message, project=project, advice=advice)


def is_local(path: str) -> bool:
    """Return whether a path or address is on a disk of this machine."""
    scheme, mark, _ = path.partition("://")
    return not mark or scheme in ("file", "local")


def get_destination(path: str) -> Destination:
    """Return the destination for a path.

    :param path: an absolute local path, ``file://``, or any path that Airflow's ``ObjectStoragePath`` reads.
    :raises ConfigurationError: the file system is not installed here, or the connection does not exist.
    :raises DestinationFailed: the file system does not respond.
    """
    scheme, mark, rest = path.partition("://")
    if not mark:
        return _Local(path, path)
    if is_local(path):
        host, _, tail = rest.partition("/")
        if host and not host.endswith("@") and host != "localhost":
            raise ConfigurationError(f"{path!r} has a directory where a file URL has a host.", advice="Write file:///")
        return _Local(path, f"/{tail}")
    try:
        fs, inside = object_storage(path)
    except (*_MISCONFIGURED, AirflowNotFoundException) as error:
        raise ConfigurationError(
            f"{path!r} cannot be used here: {type(error).__name__}: {error}.",
            advice="Install the provider of this kind of storage, with its file system (such as "
            "apache-airflow-providers-amazon[s3fs]), and create the connection that the path names. "
            f"{_NOT_SUBMITTED}",
        ) from error
    except Exception as error:
        raise DestinationFailed(
            f"{path!r} could not be reached: {type(error).__name__}: {error}.",
            billing=Billing.NOT_CHARGED,
            advice=_NOT_SUBMITTED,
        ) from error
    return (_ObjectStore if scheme in _OBJECT_STORES else _Remote)(path, fs, inside)


class _Local(Destination):
    def __init__(self, path: str, inside: str) -> None:
        self.path = path
        self._final = Path(inside)

    def check(self, log: TaskLog) -> None:  # noqa: ARG002
        try:
            if self._final.is_dir():
                raise ConfigurationError(
                    f"{self.path!r} is a directory.", advice=f"Write the path of a file in it. {_NOT_SUBMITTED}"
                )
            folder = self._final.parent
            while not folder.exists() and folder != folder.parent:
                folder = folder.parent
            if not folder.is_dir():
                raise ConfigurationError(f"{self.path!r}: {str(folder)!r} is not a directory.", advice=_NOT_SUBMITTED)
            # In the nearest directory that exists: creating more takes the same permission, and would leave them there.
            with temporary_file(folder, of="check") as first, temporary_file(folder, of="check") as second:
                first.write_bytes(_PROBE)
                os.replace(first, second)  # noqa: PTH105 - its name says what it does
        except OSError as error:
            if error.errno in _TEMPORARY:
                raise self.failure(error, "is not writable") from error
            raise ConfigurationError(
                f"{self.path!r}: the worker cannot write to {str(self._final.parent)!r}: {error.strerror or error}.",
                advice=f"Use another directory, or grant the worker's user write permission. {_NOT_SUBMITTED}",
            ) from error

    def stat(self, *, project: str | None = None) -> StoredFile | None:
        try:
            found = self._final.stat()
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            raise self.failure(error, "could not be read", project=project) from error
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
        with suppress(OSError):  # so that the name survives a power failure too, where the system can guarantee that
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
            found = {}  # permission to write does not include permission to read
        except DestinationFailed:
            raise
        except Exception as error:
            raise self.failure(error, "could not be reached") from error
        if found is None:
            raise self._missing()
        try:
            with self._probe() as probe:
                written = self._write_probe(probe)
        except FileNotFoundError as error:
            raise self._missing() from error
        except Exception as error:
            raise self.failure(error, "is not writable") from error
        try:
            self._fs.rm_file(written)
        except FileNotFoundError:
            pass  # another task checked the same place at the same time
        except Exception as error:
            log.warning(
                "%s is writable, but the file %s, written to check that, could not be deleted: %s.",
                self.path,
                written,
                error,
            )

    def _missing(self) -> ConfigurationError:
        return ConfigurationError(
            f"{self.path!r}: {self._root()!r} does not exist.",
            advice=f"Create it, or correct the path. {_NOT_SUBMITTED}",
        )

    @staticmethod
    @contextmanager
    def _probe() -> Iterator[Path]:
        with temporary_file(Path(tempfile.gettempdir()), of="json2video") as probe:
            probe.write_bytes(_PROBE)
            yield probe

    def _write_probe(self, probe: Path) -> str:
        """Write a small file in the way the video will be written, and return its name."""
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
            raise self.failure(error, "could not be read", project=project) from error
        if found is None or found.get("type") == "directory":
            return None
        size = found.get("size")
        return StoredFile(size=size if isinstance(size, int) else None, modified=self._modified(found))

    def open(self) -> BinaryIO:
        return cast("BinaryIO", self._fs.open(self._inside, "rb"))

    @contextmanager
    def temporary(self) -> Iterator[Path]:
        # A store derives the content type from the suffix.
        with temporary_file(Path(tempfile.gettempdir()), of="json2video", ending=Path(self._inside).suffix) as part:
            yield part

    def commit(self, part: Path) -> None:
        folder, _, name = self._inside.rpartition("/")
        temporary = f"{folder}/.{name[:80]}.{secrets.token_hex(6)}.part"
        if folder:
            self._fs.makedirs(folder, exist_ok=True)
        try:
            self._fs.put_file(str(part), temporary)
            self._check_size(temporary, part.stat().st_size)
            self._move(temporary, self._inside)
        except BaseException:
            with suppress(Exception):
                self._fs.rm_file(temporary)
            raise

    def _move(self, temporary: str, final: str) -> None:
        try:
            self._rename(temporary, final)
        except OSError:
            # Some file systems rename only to a free name. The existing file is another video; this one is complete.
            if self._info(final) is None:
                raise
            self._fs.rm_file(final)
            self._rename(temporary, final)

    def _rename(self, old: str, new: str) -> None:
        generic: Any = import_module("fsspec").AbstractFileSystem
        if type(self._fs).mv is not generic.mv:
            self._fs.mv(old, new)
            return
        # fsspec's own mv() copies and deletes, and reads [, ? and * in a name as a pattern.
        self._fs.cp_file(old, new)
        self._fs.rm_file(old)

    def _check_size(self, inside: str, size: int) -> None:
        found = self._info(inside)
        actual = None if found is None else found.get("size")
        if actual != size:
            raise OSError(f"{actual} of {size} bytes are stored")

    def _root(self) -> str:
        """Return what has to exist before a file can be written: the file system itself."""
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
    """A store where a file appears complete when it is uploaded, and a rename would be a copy."""

    def commit(self, part: Path) -> None:
        self._fs.put_file(str(part), self._inside, **self._upload_options())
        try:
            self._check_size(self._inside, part.stat().st_size)
        except PermissionError:
            return  # permission to write does not include permission to read

    def _write_probe(self, probe: Path) -> str:
        name = f"{self._inside.rpartition('/')[0]}/{_PROBE_NAME}"
        self._fs.put_file(str(probe), name, **self._upload_options())
        return name

    def _upload_options(self) -> dict[str, int]:
        """Return options that limit the memory of an upload: by default s3fs holds ten parts of 50 MB at a time."""
        put = inspect.signature(getattr(self._fs, "_put_file", self._fs.put_file)).parameters
        return {name: value for name, value in _UPLOAD_OPTIONS.items() if name in put}

    def _root(self) -> str:
        return self._inside.lstrip("/").partition("/")[0]
