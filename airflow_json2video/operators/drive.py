"""Operators for the drive, which holds the files that movies use."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal, get_args

from airflow_json2video.exceptions import MediaNotFound
from airflow_json2video.operators.base import Json2VideoApiOperator, validate_choice

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

__all__ = [
    "Json2VideoCreateFolderOperator",
    "Json2VideoDeleteFileOperator",
    "Json2VideoDeleteFolderOperator",
    "Json2VideoListFilesOperator",
    "Json2VideoMoveFileOperator",
]

FileType = Literal["image", "video", "audio", "other"]
_PAGE_SIZE = 100


class Json2VideoMoveFileOperator(Json2VideoApiOperator):
    """Moves a file of the drive to another folder. It is safe to repeat.

    A move can lose a file that the storage has not confirmed yet, so the task waits up to a minute for that.

    :param name: the name of the file (templated).
    :param folder: the folder of the file; empty for the root (templated).
    :param destination: the folder to move it to; empty for the root (templated).
    :param json2video_conn_id: the connection that holds the API key (templated).
    """

    template_fields: Sequence[str] = ("name", "folder", "destination", "json2video_conn_id")

    def __init__(self, *, name: str, folder: str = "", destination: str = "", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.name = name
        self.folder = folder
        self.destination = destination

    def _run(self, context: Context) -> dict[str, Any]:  # noqa: ARG002
        from airflow_json2video.operators._drive import move_file

        return move_file(self.name, folder=self.folder, destination=self.destination, hook=self.hook, log=self.log)


class Json2VideoDeleteFileOperator(Json2VideoApiOperator):
    """Deletes a file of the drive. A file that does not exist is logged and is not a failure.

    :param name: the name of the file (templated).
    :param folder: the folder of the file; empty for the root (templated).
    :param json2video_conn_id: the connection that holds the API key (templated).
    """

    template_fields: Sequence[str] = ("name", "folder", "json2video_conn_id")

    def __init__(self, *, name: str, folder: str = "", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.name = name
        self.folder = folder

    def _run(self, context: Context) -> None:  # noqa: ARG002
        from airflow_json2video.operators._drive import join_path

        try:
            self.hook.delete_file(self.name, folder=self.folder)
        except MediaNotFound:
            self.log.warning("The drive does not have %r; nothing to delete.", join_path(self.folder, self.name))


class Json2VideoCreateFolderOperator(Json2VideoApiOperator):
    """Creates a folder of the drive and its parents. It is safe to repeat.

    :param folder: such as ``videos/2026``; the drive allows letters, digits and ``_-`` (templated).
    :param json2video_conn_id: the connection that holds the API key (templated).
    """

    template_fields: Sequence[str] = ("folder", "json2video_conn_id")

    def __init__(self, *, folder: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.folder = folder

    def _run(self, context: Context) -> None:  # noqa: ARG002
        from airflow_json2video.api.validation import check_stored_folder

        self.hook.create_folder(check_stored_folder(self.folder))


class Json2VideoDeleteFolderOperator(Json2VideoApiOperator):
    """Deletes an empty folder of the drive. The service refuses to delete one that has files.

    :param folder: such as ``videos/2026`` (templated).
    :param json2video_conn_id: the connection that holds the API key (templated).
    """

    template_fields: Sequence[str] = ("folder", "json2video_conn_id")

    def __init__(self, *, folder: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.folder = folder

    def _run(self, context: Context) -> None:  # noqa: ARG002
        self.hook.delete_folder(self.folder)


class Json2VideoListFilesOperator(Json2VideoApiOperator):
    """Returns all files of one folder of the drive as a list of dictionaries.

    Each has ``name``, ``folder``, ``url``, ``size`` (bytes), ``content_type`` and ``status``.

    :param folder: empty for the root (templated).
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
        if file_type is not None:
            validate_choice("file_type", file_type, get_args(FileType))

    def _run(self, context: Context) -> list[dict[str, Any]]:  # noqa: ARG002
        from airflow_json2video.operators._drive import file_to_dict

        found: list[dict[str, Any]] = []
        page = 0
        while True:
            folder = self.hook.get_folder(
                self.folder, page=page, page_size=_PAGE_SIZE, file_type=self.file_type, search=self.search
            )
            found += [file_to_dict(file) for file in folder.files]
            page += 1
            if len(folder.files) < _PAGE_SIZE:
                return found
