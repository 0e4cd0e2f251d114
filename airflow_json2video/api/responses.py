"""The responses of the API as models. Unknown fields are preserved.

A field that is only informative (a duration, a size) never makes a response invalid: a value of another type becomes
None. A field that a decision depends on (project, status, the list of movies, the cursor) is required.
Sources: the API reference, and responses of the live service in July 2026.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime, timezone
from typing import Annotated, Any, cast

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PrivateAttr,
    ValidationError,
    ValidatorFunctionWrapHandler,
    WrapValidator,
    field_validator,
)
from typing_extensions import TypedDict

__all__ = [
    "Acknowledged",
    "DriveFile",
    "Folder",
    "FolderSummary",
    "MoviePage",
    "MovieResponse",
    "MovieStatus",
    "PolledMovie",
    "PolledPage",
    "PolledResponse",
    "RemainingQuota",
    "Storage",
    "SubmittedMovie",
    "Template",
    "TemplateSaved",
    "TemplateSummary",
    "UploadTicket",
    "UploadedFile",
    "normalize_movie",
]


def _none_if_invalid(value: object, handler: ValidatorFunctionWrapHandler) -> object:
    try:
        return handler(value)
    except ValidationError:
        return None


def _assume_utc(value: datetime | None) -> datetime | None:
    # All times of the service are in UTC.
    return value.replace(tzinfo=timezone.utc) if value is not None and value.tzinfo is None else value


def _none_if_empty(value: object) -> str | None:
    # ``ass`` is false if there are no subtitles, ``url`` is null before the render ends and after its file expired.
    return value if isinstance(value, str) and value else None


def _object(value: object) -> dict[str, Any]:
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except ValueError:
            return {}
    return dict(value) if isinstance(value, Mapping) else {}


def _tags(value: object) -> list[str]:
    if isinstance(value, str):
        return [tag.strip() for tag in value.split(",") if tag.strip()]
    return [str(tag) for tag in value] if isinstance(value, list) else []


def _int_to_str(value: object) -> object:
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


Number = Annotated[Annotated[float, Field(allow_inf_nan=False)] | None, WrapValidator(_none_if_invalid)]
Whole = Annotated[int | None, WrapValidator(_none_if_invalid)]
Timestamp = Annotated[datetime | None, AfterValidator(_assume_utc), WrapValidator(_none_if_invalid)]
Flag = Annotated[bool | None, WrapValidator(_none_if_invalid)]
Text = Annotated[str | None, BeforeValidator(_none_if_empty)]
Tags = Annotated[list[str], BeforeValidator(_tags)]
Word = Annotated[str, BeforeValidator(_int_to_str), Field(min_length=1)]
JsonObject = Annotated[dict[str, Any], BeforeValidator(_object)]


class _ResponseModel(BaseModel):
    model_config = ConfigDict(extra="allow", populate_by_name=True, frozen=True)


class Acknowledged(_ResponseModel):
    """The service confirmed a request without further data."""

    message: Text = None
    timestamp: Timestamp = None


class SubmittedMovie(_ResponseModel):
    """A render was accepted, and will be billed if it succeeds."""

    project: Word
    timestamp: Timestamp = None


class RemainingQuota(_ResponseModel):
    """The account's balance; the API has no other source for it.

    :ivar time: credits left (one credit is one second of video); None on plans without credits.
    :ivar movies: movies left, on legacy plans.
    :ivar drafts: drafts left, on legacy plans.
    """

    time: Number = None
    movies: Number = None
    drafts: Number = None


Quota = Annotated[RemainingQuota | None, WrapValidator(_none_if_invalid)]


class MovieStatus(_ResponseModel):
    """One render.

    :ivar project: the render's id.
    :ivar status: ``pending``, ``running``, ``done``, ``error`` or ``timeout``; an open set.
    :ivar success: outcome of the render; its meaning before the render ends is not documented.
    :ivar url: URL of the video; None before the render ends, after seven days, and after a deletion.
    :ivar ass: URL of the generated subtitles; None if there are none.
    :ivar thumbnail: URL of an image; documented in one example of the service's guides only.
    :ivar duration: seconds of video. :ivar size: bytes. :ivar rendering_time: seconds.
    :ivar client_data: the document's ``client-data``, verbatim.
    :ivar json_text: the submitted document as text (``json`` in the API's JSON); always present in a list.
    """

    project: Word
    status: str = ""
    success: Flag = None
    message: Text = None
    url: Text = None
    ass: Text = None
    thumbnail: Text = None
    created_at: Timestamp = None
    ended_at: Timestamp = None
    deleted_at: Timestamp = None
    duration: Number = None
    size: Whole = None
    width: Whole = None
    height: Whole = None
    rendering_time: Number = None
    progress: Number = None
    client_data: JsonObject = Field(default_factory=dict, alias="client-data")
    consumed_credits: Any = None
    json_text: str | None = Field(default=None, alias="json", repr=False)

    @field_validator("status", mode="before")
    @classmethod
    def _status(cls, value: object) -> object:
        return "" if value is None else value

    @field_validator("json_text", mode="before")
    @classmethod
    def _document(cls, value: object) -> str | None:
        return value if value is None or isinstance(value, str) else json.dumps(value, ensure_ascii=False)


class MovieResponse(_ResponseModel):
    """The response to a request for one render."""

    movie: MovieStatus
    remaining_quota: Quota = None


class MoviePage(_ResponseModel):
    """One page of the account's renders. The order of ``movies`` is not documented.

    :ivar start: beginning of the range (``from`` in the API's JSON). :ivar end: its end (``to``).
    """

    movies: list[MovieStatus]
    has_next: bool | None = None
    next_token: Text = None
    count: Whole = None
    limit: Whole = None
    start: Timestamp = Field(default=None, alias="from")
    end: Timestamp = Field(default=None, alias="to")
    remaining_quota: Quota = None


class PolledMovie(TypedDict, total=False):
    """The status of one render, without validation."""

    project: Any
    status: Any
    message: Any
    url: Any
    ass: Any
    thumbnail: Any
    created_at: Any
    ended_at: Any
    deleted_at: Any
    duration: Any
    size: Any
    width: Any
    height: Any
    rendering_time: Any
    warnings: Any  # sent by the local service only


def normalize_movie(movie: PolledMovie) -> PolledMovie:
    """Return *movie* with the values that :class:`MovieStatus` reads; a render in progress is returned unchanged.

    :raises ValueError: it is not a movie object.
    """
    if movie.get("status") in ("pending", "running"):  # most polls, and no other field matters
        return movie
    known = MovieStatus.model_validate(movie).model_dump(mode="json", by_alias=True, exclude_unset=True)
    return cast("PolledMovie", known)


class PolledResponse(BaseModel):
    """The response to a poll of one render, without validation of the movie."""

    model_config = ConfigDict(extra="ignore")

    movie: PolledMovie
    success: Any = None
    remaining_quota: Quota = None


class PolledPage(BaseModel):
    """One page of the account's renders, without their documents."""

    model_config = ConfigDict(extra="ignore")

    movies: list[PolledMovie]
    success: Any = None
    has_next: bool | None = None
    next_token: Text = None
    remaining_quota: Quota = None
    _bytes_read: int = PrivateAttr(default=0)

    @property
    def bytes_read(self) -> int:
        """Size of the page in bytes, documents included; 0 if unknown."""
        return self._bytes_read


class TemplateSummary(_ResponseModel):
    """A template in a list: without its movie. The library adds its size and preview URLs."""

    id: Word
    name: Text = None
    tags: Tags = Field(default_factory=list)
    created_at: Timestamp = None
    updated_at: Timestamp = None
    width: Whole = None
    height: Whole = None
    video_url: Text = None
    thumbnail_url: Text = None


class Template(TemplateSummary):
    """A stored template.

    :ivar movie: text or object, exactly as stored; write it back unchanged.
    :ivar owner: whether it belongs to this account. :ivar prompt: a flag, not the text of the prompt.
    """

    movie: Any = None
    variables: Any = None
    ai_prompt: Any = None
    owner: Flag = None
    prompt: Any = None


class TemplateSaved(_ResponseModel):
    """A template was created, changed or copied; ``id`` is ``templateId`` in the API's JSON."""

    id: Word = Field(alias="templateId")
    name: Text = None
    timestamp: Timestamp = None


class Storage(_ResponseModel):
    """The usage of the drive, in bytes.

    :ivar credits_per_week: price of the bytes above the allowance.
    """

    used_bytes: Whole = None
    free_allowance: Whole = None
    credits_per_week: Number = None
    blocked: Flag = None
    blocked_at: Timestamp = None


class DriveFile(_ResponseModel):
    """A file of the drive. :ivar status: ``pending`` until the storage has confirmed the upload, then ``uploaded``."""

    name: Word
    folder: str | None = None
    type: Text = None
    content_type: Text = Field(default=None, alias="contentType")
    size: Whole = None
    url: Text = None
    thumbnail_url: Text = Field(default=None, alias="thumbnailUrl")
    status: Text = None
    temporary: Flag = None
    created_at: Timestamp = None


class Folder(_ResponseModel):
    """One page of a folder. :ivar total: files after filters. :ivar total_files: files of the whole folder."""

    path: Text = None
    folders: list[str] = Field(default_factory=list)
    files: list[DriveFile] = Field(default_factory=list)
    total: Whole = None
    total_files: Whole = None
    total_size: Whole = None


class FolderSummary(_ResponseModel):
    """One folder in the flat list of all folders. :ivar size: bytes."""

    path: str
    files: Whole = None
    size: Whole = None


class UploadTicket(_ResponseModel):
    """The destination of an upload. ``upload_url`` contains a signature and is valid for ``expires_in`` seconds."""

    upload_url: Word = Field(alias="uploadUrl", repr=False)
    file_url: Text = Field(default=None, alias="fileUrl")
    expires_in: Number = Field(default=None, alias="expiresIn")


class UploadedFile(_ResponseModel):
    """A file that was uploaded to the drive. :ivar url: for ``src`` in a movie; the service may change the name."""

    name: str
    folder: str
    content_type: str
    size: int
    url: str | None
