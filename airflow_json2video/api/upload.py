"""A file on its way to the drive: its name, type and size, read chunk by chunk and never whole."""

from __future__ import annotations

import mimetypes
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from airflow_json2video.api.responses import UploadedFile
from airflow_json2video.exceptions import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["FileContent"]

_CHUNK_SIZE = 256 * 1024


@dataclass(frozen=True, kw_only=True)
class FileContent:
    """What an upload sends.

    :param size: bytes, as announced to the service.
    :param content_type: MIME type, as announced to the service.
    """

    name: str
    content_type: str
    size: int
    source: Path | BinaryIO = field(repr=False)

    @classmethod
    def from_source(
        cls,
        source: str | os.PathLike[str] | BinaryIO,
        *,
        name: str | None = None,
        content_type: str | None = None,
        size: int | None = None,
    ) -> FileContent:
        """Look at a path or an open binary file.

        :param size: bytes; needed only for a file that cannot be measured by seeking.
        :raises ConfigurationError: when the file is missing, or has no name, type or size.
        """
        if isinstance(source, (str, os.PathLike)):
            path = Path(source)
            if not path.is_file():
                raise ConfigurationError(f"There is no file {str(path)!r} to upload.")
            name, size, opened = name or path.name, path.stat().st_size, path
            return cls._checked(name, content_type, size, opened)
        if not hasattr(source, "read"):
            raise ConfigurationError(f"Neither a path nor an open binary file: {type(source).__name__}.")
        if name is None:
            name = Path(str(getattr(source, "name", ""))).name or None
        if size is None:
            try:
                position = source.tell()
                size = source.seek(0, os.SEEK_END) - position
                source.seek(position)
            except (OSError, AttributeError):
                raise ConfigurationError("The size of this file cannot be found by seeking; give size.") from None
        return cls._checked(name, content_type, size, source)

    @classmethod
    def _checked(cls, name: str | None, content_type: str | None, size: int, source: Path | BinaryIO) -> FileContent:
        if not name:
            raise ConfigurationError("The file has no name of its own; give name.")
        content_type = content_type or mimetypes.guess_type(name)[0]
        if not content_type:
            raise ConfigurationError(f"The type of {name!r} cannot be told from its name; give content_type.")
        return cls(name=name, content_type=content_type, size=size, source=source)

    def uploaded(self, *, folder: str, url: str | None) -> UploadedFile:
        """Describe the file after it has been sent."""
        return UploadedFile(
            name=self.name, folder=folder.strip("/"), content_type=self.content_type, size=self.size, url=url
        )

    def chunks(self) -> Iterator[bytes]:
        """Read exactly ``size`` bytes.

        :raises ConfigurationError: when the file ends before, which would leave the upload hanging.
        """
        if isinstance(self.source, Path):
            with self.source.open("rb") as opened:
                yield from self._read(opened)
        else:
            yield from self._read(self.source)

    def _read(self, opened: BinaryIO) -> Iterator[bytes]:
        left = self.size
        while left:
            chunk = opened.read(min(_CHUNK_SIZE, left))
            if not chunk:
                raise ConfigurationError(f"{self.name!r} ended {left} bytes before the announced {self.size}.")
            left -= len(chunk)
            yield chunk
