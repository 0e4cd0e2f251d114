"""The calls of the drive, which stores files for movies. An upload takes two steps; the second one bypasses the API."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from airflow_json2video.api.calls.call import Call, drop_none, require_list, require_object
from airflow_json2video.api.config import check_upload_url
from airflow_json2video.api.responses import Acknowledged, DriveFile, Folder, FolderSummary, Storage, UploadTicket
from airflow_json2video.api.validation import check_folder, check_int, check_name, check_text
from airflow_json2video.exceptions import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from airflow_json2video.api.upload import FileContent

__all__ = [
    "MAX_FILE_SIZE",
    "create_folder",
    "delete_file",
    "delete_folder",
    "get_file",
    "get_folder",
    "get_storage",
    "list_folders",
    "move_file",
    "put_file",
    "start_upload",
]

MAX_FILE_SIZE = 524_288_000
"""Maximum size of a file in the drive, in bytes (500 MB)."""


def get_storage() -> Call[Storage]:
    """Read the usage of the drive and its price."""
    return Call(
        name="drive.storage",
        method="GET",
        path="/media",
        repeatable=True,
        parse=lambda response: Storage.model_validate(require_object(response, "storage")),
        expects="a 'storage'",
    )


def get_file(path: str) -> Call[DriveFile]:
    """Read the properties of one file.

    :param path: folder and name, such as ``videos/clip.mp4``.
    """
    path = check_folder(check_text(path, "path"), "path")
    return Call(
        name="drive.file",
        method="GET",
        path="/media/file",
        repeatable=True,
        query={"path": path},
        parse=lambda response: DriveFile.model_validate(require_object(response, "file")),
        expects="a 'file'",
        subject=path,
    )


def get_folder(
    path: str = "/",
    *,
    page: int = 0,
    page_size: int = 100,
    file_type: Literal["image", "video", "audio", "other"] | None = None,
    search: str | None = None,
) -> Call[Folder]:
    """List one page of a folder.

    :param page: counted from 0.
    :param file_type: only files of this type.
    :param search: only files whose name contains this.
    """
    path = check_folder(path, "path") or "/"
    if file_type not in (None, "image", "video", "audio", "other"):
        raise ConfigurationError(f"file_type must be image, video, audio or other, got {file_type!r}.")
    return Call(
        name="drive.folder",
        method="GET",
        path="/media/folder",
        repeatable=True,
        query=drop_none(
            path=path,
            page=str(check_int(page, "page", low=0)),
            page_size=str(check_int(page_size, "page_size", low=1)),
            type=file_type,
            q=search,
        ),
        parse=_folder,
        expects="lists of 'folders' and 'files'",
        subject=path,
    )


def _folder(response: Mapping[str, Any]) -> Folder:
    require_list(response, "files")
    return Folder.model_validate(response)


def list_folders() -> Call[list[FolderSummary]]:
    """List all folders with their sizes, ``temp`` included, as one flat list."""
    return Call(
        name="drive.folders",
        method="GET",
        path="/media/folder",
        repeatable=True,
        query={"tree": "true"},
        parse=lambda response: [FolderSummary.model_validate(entry) for entry in require_list(response, "tree")],
        expects="a 'tree'",
    )


def start_upload(content: FileContent, *, folder: str = "") -> Call[UploadTicket]:
    """Announce a file: the first of the two steps of an upload.

    From now on the service has a ``pending`` record, which blocks the name until the file has been received or the
    record is deleted.

    :param content: name, type and size; 1 to 524,288,000 bytes.
    :param folder: without a leading slash; the service deletes files in ``temp`` and does not count them.
    """
    if not 1 <= content.size <= MAX_FILE_SIZE:
        raise ConfigurationError(
            f"{content.name!r} must have from 1 to {MAX_FILE_SIZE} bytes (500 MB), got {content.size}."
        )
    body = {
        "name": check_name(content.name),
        "contentType": check_text(content.content_type, "content_type"),
        "size": content.size,
    }
    if folder := check_folder(folder):
        body["folder"] = folder

    def parse(response: Mapping[str, Any]) -> UploadTicket:
        ticket = UploadTicket.model_validate(response)
        check_upload_url(ticket.upload_url)
        return ticket

    return Call(
        name="drive.upload",
        method="POST",
        path="/media/file",
        repeatable=False,
        body=body,
        parse=parse,
        expects="an 'uploadUrl'",
        subject=content.name,
    )


def put_file(ticket: UploadTicket, content: FileContent) -> Call[None]:
    """Send the file to the URL of the ticket, which is valid for two minutes: the second step of an upload.

    The URL is not part of the API. The only headers that are sent are the type and the size, and not the API key.
    """
    return Call(
        name="drive.put",
        method="PUT",
        path="",
        url=ticket.upload_url,
        content=content,
        repeatable=False,
        parse=lambda response: None,  # noqa: ARG005 - the storage returns an empty body
        expects="success",
        subject=content.name,
    )


def move_file(name: str, *, folder: str, destination: str) -> Call[Acknowledged]:
    """Move a file to another folder; an empty string is the root.

    A file that is still ``pending`` may be lost; wait until it is ``uploaded``.
    """
    return Call(
        name="drive.move",
        method="PUT",
        path="/media/file",
        repeatable=False,
        body={
            "name": check_name(name),
            "folder": check_folder(folder),
            "destination": check_folder(destination, "destination"),
        },
        parse=Acknowledged.model_validate,
        expects="a confirmation",
        subject=name,
    )


def delete_file(name: str, *, folder: str = "") -> Call[Acknowledged]:
    """Delete a file, or the pending record of a failed upload."""
    return Call(
        name="drive.delete",
        method="DELETE",
        path="/media/file",
        repeatable=False,
        body={"name": check_name(name), "folder": check_folder(folder)},
        parse=Acknowledged.model_validate,
        expects="a confirmation",
        subject=name,
    )


def create_folder(folder: str) -> Call[Acknowledged]:
    """Create a folder; if it already exists, the call succeeds, and ``message`` says so."""
    return Call(
        name="drive.create_folder",
        method="POST",
        path="/media/folder",
        repeatable=True,
        body={"folder": check_text(check_folder(folder), "folder")},
        parse=Acknowledged.model_validate,
        expects="a confirmation",
        subject=folder,
    )


def delete_folder(folder: str) -> Call[Acknowledged]:
    """Delete an empty folder."""
    return Call(
        name="drive.delete_folder",
        method="DELETE",
        path="/media/folder",
        repeatable=False,
        body={"folder": check_text(check_folder(folder), "folder")},
        parse=Acknowledged.model_validate,
        expects="a confirmation",
        subject=folder,
    )
