"""The destinations of a finished movie.

A password in a document is stored with it, and returned by the service's list of movies. Use the id of a dashboard
connection instead.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal, Union

from pydantic import ConfigDict, Field

from airflow_json2video.movie.base import ByType, DocumentModel, OrExpression, prop
from airflow_json2video.movie.scalars import Choice, Number
from airflow_json2video.movie.types import Credential, Source, String

__all__ = [
    "DESTINATION_TYPES",
    "AnyDestination",
    "Destination",
    "DestinationReference",
    "EmailDestination",
    "Export",
    "FtpDestination",
    "SftpDestination",
    "UnknownDestination",
    "WebhookDestination",
]

Port = Annotated[int | str, Number(at_least=1, at_most=65535, whole=True)]
ContentType = Annotated[
    str,
    Choice(words=("application/json", "application/x-www-form-urlencoded", "json", "urlencoded"), closed=False),
]


class Destination(DocumentModel):
    """A destination of a movie."""

    always_written: ClassVar[tuple[str, ...]] = ("type",)


class WebhookDestination(Destination):
    """A request to an HTTPS URL when the movie is ready. It may be late, repeated or lost: poll as well."""

    common_mistakes: ClassVar[Mapping[str, str]] = {"url": "The URL of a webhook is called 'endpoint', not 'url'."}
    type: Literal["webhook"] = "webhook"
    endpoint: Source = Field(description="Public HTTPS URL with a valid certificate.")
    content_type: ContentType | None = prop("Format of the request; the sources contradict each other, so omit it.")


class _FileServer(Destination):
    host: String = Field(description="Name of the server.")
    port: Port = Field(description="Usually 21 for FTP, 22 for SFTP.")
    username: String = Field(description="User name.")
    password: Credential = Field(description="Password; store it in a dashboard connection instead.")
    remote_path: String | None = prop("Folder on the server; macros such as __yyyy__.", default="./")
    file: String | None = prop("Name of the file; macros such as __random__.")


class FtpDestination(_FileServer):
    """An upload by FTP."""

    type: Literal["ftp"] = "ftp"


class SftpDestination(_FileServer):
    """An upload by SFTP."""

    type: Literal["sftp"] = "sftp"


class EmailDestination(Destination):
    """An email in plain text; it is sent once."""

    type: Literal["email"] = "email"
    to: String = Field(description="Address of the recipient.")
    subject: String = Field(description="Subject; macros such as __filename__.")
    message: String = Field(description="Text; macros such as __video_url__.")


class DestinationReference(DocumentModel):
    """A connection in the dashboard, by its id; everything except its type can be overridden."""

    id: String = Field(description="Id of the dashboard connection.")
    endpoint: Source | None = prop("Overrides the URL of a webhook.")
    content_type: ContentType | None = prop("Overrides the format of a webhook.")
    host: String | None = prop("Overrides the server.")
    port: Port | None = prop("Overrides the port.")
    username: String | None = prop("Overrides the user name.")
    password: Credential | None = prop("Overrides the password.")
    remote_path: String | None = prop("Overrides the folder.")
    file: String | None = prop("Overrides the name of the file.")
    to: String | None = prop("Overrides the recipient.")
    subject: String | None = prop("Overrides the subject.")
    message: String | None = prop("Overrides the text.")


class UnknownDestination(DocumentModel):
    """A destination of an unknown type, or without a type; it is preserved unchanged."""

    model_config = ConfigDict(
        json_schema_extra={
            "required": ["type"],
            "properties": {"type": {"type": "string", "not": {"enum": ["webhook", "ftp", "sftp", "email"]}}},
        }
    )
    type: Any = prop("An unknown type.")


DESTINATION_TYPES: Mapping[str, type[Destination]] = {
    "webhook": WebhookDestination,
    "ftp": FtpDestination,
    "sftp": SftpDestination,
    "email": EmailDestination,
}
"""Classes by the value of ``type``."""


def _destination_class(document: Mapping[str, Any]) -> type[DocumentModel]:
    if document.get("id") is not None:
        return DestinationReference
    name = document.get("type")
    return DESTINATION_TYPES.get(name, UnknownDestination) if isinstance(name, str) else UnknownDestination


AnyDestination = Annotated[
    Union[  # noqa: UP007 - one member to a line
        WebhookDestination,
        FtpDestination,
        SftpDestination,
        EmailDestination,
        DestinationReference,
        UnknownDestination,
    ],
    ByType(_destination_class),
]


class Export(DocumentModel):
    """Destinations that are processed in order, within five minutes in total."""

    destinations: Annotated[list[AnyDestination] | str, OrExpression()] | None = prop(
        "Processed in this order; a webhook at the end is called after the uploads."
    )
