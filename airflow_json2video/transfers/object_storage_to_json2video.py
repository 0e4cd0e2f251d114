"""The transfer that uploads a file from object storage to JSON2Video's drive."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

from airflow_json2video.operators.base import Json2VideoApiOperator, validate_choice

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context, ObjectStoragePath, XComArg

    from airflow_json2video.operators._templating import Fields

__all__ = ["ObjectStorageToJson2VideoOperator"]


class ObjectStorageToJson2VideoOperator(Json2VideoApiOperator):
    """Uploads a file from object storage to the drive, and returns it as a dictionary; use its ``url`` as a ``src``.

    It is safe to repeat: a file of the same name and size is not sent again, and the record of an interrupted upload is
    deleted. The file is read in chunks. The result has ``name``, ``folder``, ``url``, ``size`` (bytes),
    ``content_type``, ``status`` and ``uploaded``, which says whether the file was sent.

    :param source: path for Airflow's ``ObjectStoragePath``, such as ``s3://aws_default@bucket/logo.png``, or a local
        path; 1 byte to 500 MB (templated).
    :param folder: folder of the drive; empty for the root (templated).
    :param name: name in the drive; default: the name of the source. The drive allows letters, digits and ``._-``
        (templated).
    :param if_exists: what to do if the drive has a file of the same name and *another size*: ``"fail"``, ``"replace"``
        it, or ``"keep"`` it. The service has no checksum, so a file of the same size counts as the same file.
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
        self.if_exists = validate_choice("if_exists", if_exists, ("keep", "replace", "fail"))
        self.content_type = content_type

    def _fill_fields(self, fields: Fields) -> None:
        from airflow_json2video.operators._document import fill_source

        fields.fill(*(name for name in fields.names if name != "source"))
        fill_source(fields)

    def _run(self, context: Context) -> dict[str, Any]:  # noqa: ARG002
        from airflow_json2video.operators._drive import upload_source

        return upload_source(
            str(self.source),
            hook=self.hook,
            log=self.log,
            folder=self.folder,
            name=self.name,
            if_exists=self.if_exists,
            content_type=self.content_type,
        )
