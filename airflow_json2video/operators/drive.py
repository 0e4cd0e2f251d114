"""Operators for the drive: the files that movies use."""

from __future__ import annotations

import mimetypes
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

from airflow_json2video.exceptions import ConfigurationError, Json2VideoError, MediaNotFound
from airflow_json2video.operators.base import Json2VideoApiOperator

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context, ObjectStoragePath, XComArg

    from airflow_json2video.operators._templating import Fields

__all__ = [
    "Json2VideoCreateFolderOperator",
    "Json2VideoDeleteFileOperator",
    "Json2VideoDeleteFolderOperator",
    "Json2VideoListFilesOperator",
    "Json2VideoMoveFileOperator",
    "ObjectStorageToJson2VideoOperator",
]

FileType = Literal["image", "video", "audio", "other"]
_IF_EXISTS = ("keep", "replace", "fail")
_CONFIRMED_WITHIN = 60.0
"""Seconds for which a move waits for a file that the storage has not confirmed yet."""
_PAGE = 100


class ObjectStorageToJson2VideoOperator(Json2VideoApiOperator):
    """Uploads a file from object storage to the drive, and gives it as a dictionary: its ``url`` serves as ``src``.

    May be repeated: a file of the same name and size is kept and not sent again, and what an attempt that was
    broken off left behind is cleared away. The file is read piece by piece. The result has ``name``,
    ``folder``, ``url``, ``size`` (bytes), ``content_type`` and ``uploaded``, whether it was sent.

    :param source: address for Airflow's ``ObjectStoragePath``, as ``s3://aws_default@bucket/logo.png``, or a path of
        this machine; 1 byte to 500 MB (templated).
    :param folder: folder of the drive; the root is an empty text (templated).
    :param name: name in the drive; default: the source's own. The drive keeps letters, digits and ``._-`` (templated).
    :param if_exists: what to do about a file of the same name and *another size*: ``"fail"``, ``"replace"`` it, or
        ``"keep"`` it. The service tells no checksum, so one of the same size is taken for the same file.
    :param content_type: MIME type; default: guessed from the name (templated).
    :param json2video_conn_id: the connection that holds the API key (templated).
    """

    template_fields: Sequence[str] = ("source", "folder", "name", "content_type", "json2video_conn_id")

    def __init__(
        self,
        *,
        source: str | ObjectStoragePath | XComArg,
        folder: str = "",
        name: str | None = None,
        if_exists: Literal["keep", "replace", "fail"] = "fail",
        content_type: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.source: Any = source
        self.folder = folder
        self.name = name
        self.if_exists = if_exists
        self.content_type = content_type
        if if_exists not in _IF_EXISTS:
            raise ConfigurationError(
                f"Task {self.task_id!r}: if_exists must be one of {', '.join(map(repr, _IF_EXISTS))}, and not "
                f"{if_exists!r}."
            )

    def _fill_fields(self, fields: Fields) -> None:
        from airflow_json2video.operators._document import fill_source

        fields.fill(*(name for name in fields.names if name != "source"))
        fill_source(fields)

    def carry_out(self, context: Context) -> dict[str, Any]:  # noqa: ARG002
        """Check the file and its name, send it unless it is there, and tell where it is."""
        from airflow_json2video.api.calls.drive import MAX_FILE_SIZE
        from airflow_json2video.api.upload import FileContent
        from airflow_json2video.api.validation import check_stored_folder, check_stored_name
        from airflow_json2video.storage.drive_upload import DriveUpload

        source = str(self.source)
        name = check_stored_name(self.name or source.rpartition("/")[2])
        folder = check_stored_folder(self.folder)
        storage, path, size = _looked_at(source)
        if not 1 <= size <= MAX_FILE_SIZE:
            raise ConfigurationError(
                f"{source} has {size} bytes; a file of the drive has 1 to {MAX_FILE_SIZE} (500 MB).",
                advice="Nothing was sent.",
            )
        content_type = self.content_type or mimetypes.guess_type(name)[0]
        with storage.open(path, "rb") as opened:
            content = FileContent.from_source(opened, name=name, content_type=content_type, size=size)
            upload = DriveUpload(
                client=self.hook.client,
                content=content,
                folder=folder,
                if_exists=self.if_exists,
                log=self.log,
            )
            file, sent = upload.run()
        if sent:
            self.log.info("Uploaded %s to the drive: %d bytes. %s", source, size, file.url)
        return {**_facts(file), "uploaded": sent}


def _looked_at(source: str) -> tuple[Any, str, int]:
    """Give the file system (fsspec) that has the file, its path there, and its bytes."""
    from airflow_json2video.version_compat import object_storage

    try:
        storage, path = object_storage(source if "://" in source else f"file://{Path(source).absolute()}")
        size = int(storage.size(path)) if storage.isfile(path) else None
    except Exception as error:  # each storage has errors of its own
        raise Json2VideoError(
            f"{source} cannot be read: {type(error).__name__}: {error}",
            retryable=True,
            advice="Check the address and its connection. Nothing was sent.",
        ) from error
    if size is None:
        raise ConfigurationError(f"File not found: {source!r}.", advice="Nothing was sent.")
    return storage, path, size


class Json2VideoMoveFileOperator(Json2VideoApiOperator):
    """Moves a file of the drive to another folder. A file that was moved already is fine.

    A file that the storage has not confirmed yet can get lost by a move, so that is waited for, for a minute.

    :param name: of the file (templated).
    :param folder: where it is; the root is an empty text (templated).
    :param destination: where it goes; the root is an empty text (templated).
    :param json2video_conn_id: the connection that holds the API key (templated).
    """

    template_fields: Sequence[str] = ("name", "folder", "destination", "json2video_conn_id")

    def __init__(self, *, name: str, folder: str = "", destination: str = "", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.name = name
        self.folder = folder
        self.destination = destination

    def carry_out(self, context: Context) -> dict[str, Any]:  # noqa: ARG002
        """Move the file, and give it as it is now."""
        from airflow_json2video.api.validation import check_folder, check_stored_folder
        from airflow_json2video.storage.drive_upload import wait_until_uploaded

        folder, destination = check_folder(self.folder), check_stored_folder(self.destination, "destination")
        moved = _joined(destination, self.name)
        file = wait_until_uploaded(self.hook.client, _joined(folder, self.name), seconds=_CONFIRMED_WITHIN)
        if file is None:
            try:
                there = self.hook.get_file(moved)
            except MediaNotFound:
                raise MediaNotFound(
                    f"There is no {_joined(folder, self.name)!r} in the drive, and no {moved!r} either."
                ) from None
            self.log.info("%r is where it should be already.", moved)
            return _facts(there)
        if file.status == "pending":
            raise MediaNotFound(
                f"{_joined(folder, self.name)!r} is announced to the drive and has not arrived.",
                retryable=True,
                advice="A move now could lose it, so it was not moved. Upload it again if its upload has failed.",
            )
        self.hook.move_file(self.name, folder=folder, destination=destination)
        return _facts(self.hook.get_file(moved))


class Json2VideoDeleteFileOperator(Json2VideoApiOperator):
    """Deletes a file of the drive. One that is not there is fine, and the log says so.

    :param name: of the file (templated).
    :param folder: where it is; the root is an empty text (templated).
    :param json2video_conn_id: the connection that holds the API key (templated).
    """

    template_fields: Sequence[str] = ("name", "folder", "json2video_conn_id")

    def __init__(self, *, name: str, folder: str = "", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.name = name
        self.folder = folder

    def carry_out(self, context: Context) -> None:  # noqa: ARG002
        """Delete the file."""
        try:
            self.hook.delete_file(self.name, folder=self.folder)
        except MediaNotFound:
            self.log.warning("There is no %r in the drive: nothing to delete.", _joined(self.folder, self.name))


class Json2VideoCreateFolderOperator(Json2VideoApiOperator):
    """Creates a folder of the drive with those above it. One that is there already is fine.

    :param folder: as ``videos/2026``; the drive keeps letters, digits and ``_-`` (templated).
    :param json2video_conn_id: the connection that holds the API key (templated).
    """

    template_fields: Sequence[str] = ("folder", "json2video_conn_id")

    def __init__(self, *, folder: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.folder = folder

    def carry_out(self, context: Context) -> None:  # noqa: ARG002
        """Create the folder."""
        from airflow_json2video.api.validation import check_stored_folder

        self.hook.create_folder(check_stored_folder(self.folder))


class Json2VideoDeleteFolderOperator(Json2VideoApiOperator):
    """Deletes an empty folder of the drive; the service refuses one that holds files.

    :param folder: as ``videos/2026`` (templated).
    :param json2video_conn_id: the connection that holds the API key (templated).
    """

    template_fields: Sequence[str] = ("folder", "json2video_conn_id")

    def __init__(self, *, folder: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.folder = folder

    def carry_out(self, context: Context) -> None:  # noqa: ARG002
        """Delete the folder."""
        self.hook.delete_folder(self.folder)


class Json2VideoListFilesOperator(Json2VideoApiOperator):
    """Lists the files of one folder of the drive, all pages, as a list of dictionaries.

    Each has ``name``, ``folder``, ``url``, ``size`` (bytes), ``content_type`` and ``status``.

    :param folder: the root is an empty text (templated).
    :param file_type: only files of this type: ``image``, ``video``, ``audio`` or ``other``.
    :param search: only files whose name contains this (templated).
    :param json2video_conn_id: the connection that holds the API key (templated).
    """

    template_fields: Sequence[str] = ("folder", "search", "json2video_conn_id")

    def __init__(
        self, *, folder: str = "", file_type: FileType | None = None, search: str | None = None, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.folder = folder
        self.file_type = file_type
        self.search = search
        if file_type is not None and file_type not in get_args(FileType):
            raise ConfigurationError(
                f"Task {self.task_id!r}: file_type must be one of {', '.join(map(repr, get_args(FileType)))}."
            )

    def carry_out(self, context: Context) -> list[dict[str, Any]]:  # noqa: ARG002
        """Read the folder to its end."""
        found: list[dict[str, Any]] = []
        page = 0
        while True:
            folder = self.hook.get_folder(
                self.folder, page=page, page_size=_PAGE, file_type=self.file_type, search=self.search
            )
            found += [_facts(file) for file in folder.files]
            page += 1
            if len(folder.files) < _PAGE:
                return found


def _facts(file: Any) -> dict[str, Any]:
    return {
        "name": file.name,
        "folder": file.folder or "",
        "url": file.url,
        "size": file.size,
        "content_type": file.content_type,
        "status": file.status,
    }


def _joined(folder: str, name: str) -> str:
    folder = folder.strip("/")
    return f"{folder}/{name}" if folder else name
