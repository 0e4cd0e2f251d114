"""The hook: turns an Airflow connection into a client, with one method for each call of the API."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress
from datetime import datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from airflow.providers.common.compat.sdk import AirflowNotFoundException, BaseHook

from airflow_json2video.api import calls
from airflow_json2video.api.client import Json2VideoClient
from airflow_json2video.api.clock import ServiceClock, get_clock
from airflow_json2video.exceptions import AuthenticationFailed, ConfigurationError, Json2VideoError, TransportError
from airflow_json2video.hooks.connection import CONN_FIELDS, ConnectionSettings, connection_settings
from airflow_json2video.supervisor_calls import connection_of
from airflow_json2video.version_compat import mask_secret

if TYPE_CHECKING:
    from pathlib import Path

    from airflow_json2video.api.async_client import AsyncJson2VideoClient
    from airflow_json2video.api.responses import (
        DriveFile,
        Folder,
        FolderSummary,
        MoviePage,
        MovieResponse,
        MovieStatus,
        RemainingQuota,
        Storage,
        SubmittedMovie,
        Template,
        TemplateSummary,
        UploadedFile,
    )

__all__ = ["Json2VideoHook"]


class Json2VideoHook(BaseHook):
    """Call JSON2Video with the API key of a connection.

    The key is the connection's password; ``host`` is optional (https, or a service on this machine);
    ``extra`` may contain ``connect_timeout``, ``read_timeout`` (seconds), ``retries``, ``proxy`` and
    ``ca_file``. Calls that are safe to repeat are repeated after network errors, 5xx and 429;
    :meth:`submit_movie` is sent once.

    Every method raises a :class:`~airflow_json2video.exceptions.Json2VideoError` that says whether a
    repeat can help and whether a render may be billed.

    :param json2video_conn_id: the Airflow connection to use.

    .. code-block:: python

        hook = Json2VideoHook("json2video_default")
        response = hook.get_movie("Qk3vT9zLm2XcB7wA")
        print(response.movie.status, response.remaining_quota.time)
    """

    conn_name_attr: ClassVar[str] = "json2video_conn_id"
    default_conn_name: ClassVar[str] = "json2video_default"
    conn_type: ClassVar[str] = "json2video"
    hook_name: ClassVar[str] = "JSON2Video"

    def __init__(self, json2video_conn_id: str = default_conn_name, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.json2video_conn_id = json2video_conn_id
        self._host: str | None = None

    # --- the connection -------------------------------------------------------------------------

    @classmethod
    def get_connection_form_widgets(cls) -> dict[str, Any]:
        """Return the extra fields of the connection form (Airflow 2.11 to 3.1; later ones read provider info)."""
        from flask_appbuilder.fieldwidgets import BS3TextFieldWidget
        from flask_babel import lazy_gettext
        from wtforms import IntegerField, StringField
        from wtforms.validators import NumberRange, Optional, Regexp

        # Airflow 2 drops a hook whose form has any field other than these, a password or a check box. So seconds with
        # a fraction are a text field there. The page of 3.0 and 3.1 accepts them in its replacement for an integer.
        is_wtforms = IntegerField.__module__.startswith("wtforms")
        fields: dict[type, tuple[Any, list[Any]]] = {
            str: (StringField, []),
            int: (IntegerField, [NumberRange(min=0)]),
            float: (StringField, [Regexp(r"\d+(\.\d+)?\s*$")]) if is_wtforms else (IntegerField, []),
        }
        widgets: dict[str, Any] = {}
        for name, (label, description, kind) in CONN_FIELDS.items():
            field, validators = fields[kind]
            widgets[name] = field(
                lazy_gettext(label),
                widget=BS3TextFieldWidget(),
                description=description,
                validators=[Optional(), *validators],
            )
        return widgets

    @classmethod
    def get_ui_field_behaviour(cls) -> dict[str, Any]:
        """Return which standard fields the connection form shows, and their labels."""
        return {
            "hidden_fields": ["schema", "login", "port", "extra"],
            "relabeling": {"password": "API key", "host": "Host (optional)"},
            "placeholders": {
                "password": "the API key of a JSON2Video project",
                "host": "https://api.json2video.com/v2",
            },
        }

    @cached_property
    def settings(self) -> ConnectionSettings:
        """The connection, read and validated.

        :raises ConfigurationError: the connection does not exist, the key is missing, the host is not allowed, or an
            option has the wrong type.
        """
        try:
            connection = self.get_connection(self.json2video_conn_id)
        except AirflowNotFoundException:
            raise self._no_connection() from None
        settings = connection_settings(connection)
        mask_secret(settings.api_key)
        return settings

    def get_conn(self) -> Json2VideoClient:
        """Return the synchronous client of this connection; created once per hook."""
        return self.client

    @cached_property
    def client(self) -> Json2VideoClient:
        """The synchronous client (``requests``) of this connection."""
        return Json2VideoClient(self.settings.api_key, **self.settings.kwargs)

    @property
    def clock(self) -> ServiceClock:
        """The service's clock, for times that other machines read: the clock of each machine may be wrong.

        Once this process has received a response of the service, it does not depend on this machine's clock.
        """
        return get_clock(self._host or self.settings.host)

    def forget_connection(self) -> None:
        """Discard the cached connection, so that it is read again when it is next needed; it may have changed.

        .. code-block:: python

            hook.forget_connection()
            hook.get_movie("Qk3vT9zLm2XcB7wA")  # with the key that the connection has now
        """
        self._host = self.settings.host if "settings" in self.__dict__ else self._host
        client = self.__dict__.pop("client", None)
        self.__dict__.pop("settings", None)
        if client is not None:
            client.close()

    def get_synchronized_clock(self) -> ServiceClock:
        """Return the service's clock; if this process has not received a response yet, send one free request.

        If that fails, the clock of this machine is used until a response arrives.

        .. code-block:: python

            submitted_at = hook.get_synchronized_clock().now()
        """
        if not self.clock.is_known:
            with (
                suppress(Json2VideoError),
                Json2VideoClient(self.settings.api_key, **{**self.settings.kwargs, "retries": 0}) as client,
            ):
                client.execute(calls.list_movies(limit=1))
        return self.clock

    async def get_async_client(self, **options: Any) -> AsyncJson2VideoClient:
        """Return a new asynchronous client (``aiohttp``); the caller closes it.

        :param options: arguments of the client that override those of the connection.
        """
        from airflow_json2video.api.async_client import AsyncJson2VideoClient  # aiohttp: only a trigger needs it

        settings = await self.aget_settings()
        return AsyncJson2VideoClient(settings.api_key, **{**settings.kwargs, **options})

    async def aget_settings(self) -> ConnectionSettings:
        """Read and validate the current connection without blocking the event loop, as a trigger requires.

        :raises ConfigurationError: see :attr:`settings`.

        .. code-block:: python

            settings = await hook.aget_settings()
        """
        try:
            connection = await connection_of(self.json2video_conn_id)
        except AirflowNotFoundException:
            raise self._no_connection() from None
        settings = connection_settings(connection)
        self.__dict__["settings"] = settings
        return settings

    def _no_connection(self) -> ConfigurationError:
        return ConfigurationError(
            f"Connection {self.json2video_conn_id!r} does not exist.",
            advice="Create it, or correct json2video_conn_id.",
        )

    def test_connection(self) -> tuple[bool, str]:
        """Send a free request and distinguish a wrong key from a network error; used by the form's Test button.

        .. code-block:: python

            ok, message = Json2VideoHook().test_connection()
        """
        try:
            quota = self.get_remaining_quota()
        except AuthenticationFailed as error:
            return False, f"The service responded and refused the API key. {error}"
        except TransportError as error:
            return False, f"The service could not be reached, so the key was not tested. {error}"
        except ConfigurationError as error:
            # Airflow's page tests under a generated connection id, which would mean nothing to the reader.
            return False, str(error).replace(f"Connection {self.json2video_conn_id!r}", "This connection")
        except Json2VideoError as error:
            return False, str(error)
        except Exception as error:  # the form shows a result, whatever happened
            return False, f"{type(error).__name__}: {error}"
        left = f" {quota.time:g} credits left." if quota is not None and quota.time is not None else ""
        return True, f"The API key is valid.{left} This test was free."

    # --- movies ---------------------------------------------------------------------------------

    def submit_movie(self, document: Mapping[str, Any]) -> SubmittedMovie:
        """Submit a Movie JSON (``POST /movies``). **This starts a render that is billed.** Sent once.

        :param document: the Movie JSON, or ``{"template": id, "variables": {...}}``.
        :raises Json2VideoError: ``error.billing`` says whether a render may have been started nevertheless.

        .. code-block:: python

            project = hook.submit_movie({"scenes": [{"duration": 2}]}).project
        """
        return self.client.execute(calls.submit_movie(document))

    def get_movie(self, project: str, *, with_document: bool = False) -> MovieResponse:
        """Return the status of one render (``GET /movies?project=``).

        :param project: 16-character project id.
        :param with_document: also return the submitted document.
        :raises ProjectNotFound: the account does not have a render with that id.

        .. code-block:: python

            if hook.get_movie(project).movie.status == "done": ...
        """
        return self.client.execute(calls.get_movie(project, simple=not with_document))

    def list_movies(
        self,
        *,
        date_start: datetime | None = None,
        date_end: datetime | None = None,
        limit: int = 100,
        next_token: str | None = None,
    ) -> MoviePage:
        """Return one page of the account's renders.

        :param date_start: default: the first of this month, which hides last month's renders.
        :param date_end: default: the end of today; the range is at most 93 days.
        :param limit: renders per page, 1 to 100.
        :param next_token: cursor of the previous page.

        .. code-block:: python

            page = hook.list_movies(limit=1)
        """
        return self.client.execute(
            calls.list_movies(date_start=date_start, date_end=date_end, limit=limit, next_token=next_token)
        )

    def iter_movies(self, *, date_start: datetime, date_end: datetime | None = None) -> Iterator[MovieStatus]:
        """Yield every render of a range of days, across all pages, in the service's own order.

        .. code-block:: python

            running = [m for m in hook.iter_movies(date_start=yesterday) if m.status == "running"]
        """
        return self.client.movies(date_start=date_start, date_end=date_end)

    def delete_movie(self, project: str) -> None:
        """Delete the file of a render instead of waiting seven days. No refund; safe to repeat.

        :raises ProjectNotFound: the account does not have a render with that id.

        .. code-block:: python

            hook.delete_movie(project)
        """
        self.client.execute(calls.delete_movie(project))

    def get_remaining_quota(self) -> RemainingQuota | None:
        """Return what is left in the account. Free. ``time`` is in credits.

        .. code-block:: python

            credits = hook.get_remaining_quota().time
        """
        return self.list_movies(limit=1).remaining_quota

    # --- templates ------------------------------------------------------------------------------

    def list_templates(self, *, tag: str | None = None) -> list[TemplateSummary]:
        """Return the account's templates, latest change first.

        :param tag: only templates with this tag.

        .. code-block:: python

            ids = {t.name: t.id for t in hook.list_templates()}
        """
        return self.client.execute(calls.list_templates(tag=tag))

    def get_template(self, template: str) -> Template:
        """Return one template with its movie.

        :param template: 20-character template id.
        :raises TemplateNotFound: the account does not have that template.

        .. code-block:: python

            movie = hook.get_template(template_id).movie
        """
        return self.client.execute(calls.get_template(template))

    def get_template_variables(self, template: str) -> dict[str, Any]:
        """Return the variables of a template as a JSON Schema.

        :raises TemplateNotFound: the account does not have that template.

        .. code-block:: python

            names = hook.get_template_variables(template_id)["properties"]
        """
        return self.client.execute(calls.get_template_variables(template))

    def list_template_library(self, *, tags: list[str] | None = None) -> list[TemplateSummary]:
        """Return the published template gallery. *tags* extend what is published; they do not filter it.

        .. code-block:: python

            gallery = hook.list_template_library()
        """
        return self.client.execute(calls.list_library(tags=tags or ()))

    def create_template(
        self,
        name: str,
        movie: Mapping[str, Any] | str,
        *,
        tags: list[str] | None = None,
        prompt: str | None = None,
    ) -> str:
        """Create a template and return its id. Not safe to repeat: list by name first. Needs role ``editor``.

        :param name: at most 100 characters.
        :param movie: the Movie JSON, as an object or a string.
        :param prompt: what the template makes, for the service's own AI features.

        .. code-block:: python

            template_id = hook.create_template("Product showcase", movie)
        """
        return self.client.execute(calls.create_template(name, movie=movie, tags=tags, prompt=prompt)).id

    def update_template(
        self,
        template: str,
        *,
        name: str | None = None,
        movie: Mapping[str, Any] | str | None = None,
        tags: list[str] | None = None,
        prompt: str | None = None,
    ) -> str:
        """Change the given parts of a template; ``movie`` is replaced as a whole. Needs role ``editor``.

        .. code-block:: python

            hook.update_template(template_id, movie=movie)
        """
        return self.client.execute(calls.update_template(template, name=name, movie=movie, tags=tags, prompt=prompt)).id

    def duplicate_template(
        self, template: str, *, name: str | None = None, variables: Mapping[str, Any] | None = None
    ) -> str:
        """Copy a template of the account or of the library, and return the copy's id. Needs role ``editor``.

        .. code-block:: python

            copy_id = hook.duplicate_template(template_id, name="Spring version")
        """
        return self.client.execute(calls.duplicate_template(template, name=name, variables=variables)).id

    def delete_template(self, template: str) -> None:
        """Delete a template; running renders are not affected. Needs role ``editor``.

        .. code-block:: python

            hook.delete_template(template_id)
        """
        self.client.execute(calls.delete_template(template))

    # --- drive ----------------------------------------------------------------------------------

    def get_storage(self) -> Storage:
        """Return how full the drive is, in bytes, and whether it is blocked.

        .. code-block:: python

            used = hook.get_storage().used_bytes
        """
        return self.client.execute(calls.get_storage())

    def get_file(self, path: str) -> DriveFile:
        """Return one file of the drive.

        :param path: such as ``videos/clip.mp4``, without a leading slash.
        :raises MediaNotFound: the file does not exist.

        .. code-block:: python

            url = hook.get_file("videos/clip.mp4").url
        """
        return self.client.execute(calls.get_file(path))

    def get_folder(
        self,
        path: str = "",
        *,
        page: int = 0,
        page_size: int = 100,
        file_type: Literal["image", "video", "audio", "other"] | None = None,
        search: str | None = None,
    ) -> Folder:
        """Return one page of a folder of the drive; the root is ``""``.

        :param page: from 0.
        :param file_type: only files of this type.
        :param search: only files whose name contains this.

        .. code-block:: python

            names = [f.name for f in hook.get_folder("videos").files]
        """
        return self.client.execute(
            calls.get_folder(path, page=page, page_size=page_size, file_type=file_type, search=search)
        )

    def list_folders(self) -> list[FolderSummary]:
        """Return all folders of the drive with their number of files and bytes.

        .. code-block:: python

            paths = [node.path for node in hook.list_folders()]
        """
        return self.client.execute(calls.list_folders())

    def upload_file(
        self,
        source: str | Path,
        *,
        name: str | None = None,
        folder: str = "",
        content_type: str | None = None,
    ) -> UploadedFile:
        """Upload a file of this machine; the ``url`` of the result can be used as ``src``.

        :param source: path of the file; at most 500 MB.
        :param name: name in the drive; default: the file's own.
        :param content_type: MIME type; default: guessed from the name.
        :raises AlreadyExists: the folder contains a file of that name.

        .. code-block:: python

            src = hook.upload_file("/data/logo.png", folder="brand").url
        """
        return self.client.upload_file(source, name=name, folder=folder, content_type=content_type)

    def move_file(self, name: str, *, folder: str = "", destination: str = "") -> None:
        """Move a file of the drive to another folder.

        .. code-block:: python

            hook.move_file("clip.mp4", folder="inbox", destination="videos")
        """
        self.client.execute(calls.move_file(name, folder=folder, destination=destination))

    def delete_file(self, name: str, *, folder: str = "") -> None:
        """Delete a file of the drive.

        .. code-block:: python

            hook.delete_file("clip.mp4", folder="videos")
        """
        self.client.execute(calls.delete_file(name, folder=folder))

    def create_folder(self, folder: str) -> None:
        """Create a folder of the drive, unless it exists.

        .. code-block:: python

            hook.create_folder("videos/2026")
        """
        self.client.execute(calls.create_folder(folder))

    def delete_folder(self, folder: str) -> None:
        """Delete an empty folder of the drive.

        .. code-block:: python

            hook.delete_folder("videos/2026")
        """
        self.client.execute(calls.delete_folder(folder))
