"""The content of an upload to the drive: its name, type and size, read in chunks."""

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
    """The file of an upload.

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
        """Build the content from a path or an open binary file.

        :param size: bytes; required only if the file is not seekable.
        :raises ConfigurationError: the file does not exist, or has no name, type or size.
        """
        if isinstance(source, (str, os.PathLike)):
            path = Path(source)
            if not path.is_file():
                raise ConfigurationError(f"File not found: {str(path)!r}.")
            name, size, opened = name or path.name, path.stat().st_size, path
            return cls._checked(name, content_type, size, opened)
        if not hasattr(source, "read"):
            raise ConfigurationError(f"The file must be a path or an open binary file, got {type(source).__name__}.")
        if name is None:
            name = Path(str(getattr(source, "name", ""))).name or None
        if size is None:
            try:
                position = source.tell()
                size = source.seek(0, os.SEEK_END) - position
                source.seek(position)
            except (OSError, AttributeError):
                raise ConfigurationError("The file is not seekable; pass its size.") from None
        return cls._checked(name, content_type, size, source)

    @classmethod
    def _checked(cls, name: str | None, content_type: str | None, size: int, source: Path | BinaryIO) -> FileContent:
        if not name:
            raise ConfigurationError("The file has no name; pass name.")
        content_type = content_type or mimetypes.guess_type(name)[0]
        if not content_type:
            raise ConfigurationError(f"The type of {name!r} cannot be derived from its name; pass content_type.")
        return cls(name=name, content_type=content_type, size=size, source=source)

    def uploaded(self, *, folder: str, url: str | None) -> UploadedFile:
        """Return the description of the file after the upload."""
        return UploadedFile(
            name=self.name, folder=folder.strip("/"), content_type=self.content_type, size=self.size, url=url
        )

    def chunks(self) -> Iterator[bytes]:
        """Read exactly ``size`` bytes.

        :raises ConfigurationError: the file ends before, which would stall the upload.
        """
        if isinstance(self.source, Path):
            with self.source.open("rb") as opened:
                yield from self._read(opened)
        else:
            yield from self._read(self.source)

    def _read(self, opened: BinaryIO) -> Iterator[bytes]:
        remaining = self.size
        while remaining:
            chunk = opened.read(min(_CHUNK_SIZE, remaining))
            if not chunk:
                raise ConfigurationError(f"{self.name!r} is {remaining} bytes shorter than announced ({self.size}).")
            remaining -= len(chunk)
            yield chunk
