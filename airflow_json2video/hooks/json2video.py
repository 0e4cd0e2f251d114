"""The hook: an Airflow connection becomes a client, and every call of the API a method."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress
from datetime import datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from airflow.providers.common.compat.sdk import AirflowNotFoundException, BaseHook

from airflow_json2video.exceptions import ConfigurationError, Json2VideoError
from airflow_json2video.hooks.connection import CONN_FIELDS, ConnectionSettings, connection_settings
from airflow_json2video.version_compat import mask_secret

if TYPE_CHECKING:
    from pathlib import Path

    from airflow_json2video.api.async_client import AsyncJson2VideoClient
    from airflow_json2video.api.client import Json2VideoClient
    from airflow_json2video.api.clock import ServiceClock
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
    """Calls JSON2Video with the API key of a connection.

    The key is the connection's password; ``host`` is optional (https, or a service on this machine);
    ``extra`` may hold ``connect_timeout``, ``read_timeout`` (seconds), ``retries``, ``proxy`` and
    ``ca_file``. Calls that are safe to repeat are repeated on network trouble, 5xx and 429;
    :meth:`submit_movie` is sent once.

    Every method raises a :class:`~airflow_json2video.exceptions.Json2VideoError` that says whether a
    repeat can help and whether money may have been spent.

    :param json2video_conn_id: the Airflow connection to use.

    .. code-block:: python

        hook = Json2VideoHook("json2video_default")
        answer = hook.get_movie("Qk3vT9zLm2XcB7wA")
        print(answer.movie.status, answer.remaining_quota.time)
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
        """Give the extra fields of the connection form (Airflow 2.11 to 3.1; later ones read provider info)."""
        from flask_appbuilder.fieldwidgets import BS3TextFieldWidget
        from flask_babel import lazy_gettext
        from wtforms import IntegerField, StringField
        from wtforms.validators import NumberRange, Optional, Regexp

        # Airflow 2 drops a hook whose form has any field but these, a password or a check box. So seconds with
        # a fraction are a text there. The page of 3.0 and 3.1 takes them in its stand-in for a whole number.
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
        """Say which standard fields the connection form shows, and under which name."""
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
        """The connection, read and checked.

        :raises ConfigurationError: no such connection, no key, a host that is refused, or an option of the wrong type.
        """
        try:
            connection = self.get_connection(self.json2video_conn_id)
        except AirflowNotFoundException:
            raise self._no_connection() from None
        settings = connection_settings(connection)
        mask_secret(settings.api_key)
        return settings

    def get_conn(self) -> Json2VideoClient:
        """Give the synchronous client of this connection; made once per hook."""
        return self.client

    @cached_property
    def client(self) -> Json2VideoClient:
        """The synchronous client (``requests``) of this connection."""
        from airflow_json2video.api.client import Json2VideoClient

        return Json2VideoClient(self.settings.api_key, **self.settings.kwargs)

    @property
    def clock(self) -> ServiceClock:
        """The service's clock, for moments that other machines read: each of them may have a wrong clock of its own.

        Once this process has seen an answer of the service, it is right whatever the clock of this machine says.
        """
        from airflow_json2video.api.clock import get_clock

        return get_clock(self._host or self.settings.host)

    def forget_connection(self) -> None:
        """Read the connection again when it is next needed; it may have changed.

        .. code-block:: python

            hook.forget_connection()
            hook.get_movie("Qk3vT9zLm2XcB7wA")  # with the key that the connection has now
        """
        self._host = self.settings.host if "settings" in self.__dict__ else self._host
        client = self.__dict__.pop("client", None)
        self.__dict__.pop("settings", None)
        if client is not None:
            client.close()

    def learn_time(self) -> ServiceClock:
        """Return the service's clock; if no response in this process has shown its time, ask for it: one free request.

        If that fails, the clock of this machine is used until an answer comes.

        .. code-block:: python

            submitted_at = hook.learn_time().now()
        """
        from airflow_json2video.api.calls import list_movies
        from airflow_json2video.api.client import Json2VideoClient

        if not self.clock.is_known:
            with (
                suppress(Json2VideoError),
                Json2VideoClient(self.settings.api_key, **{**self.settings.kwargs, "retries": 0}) as client,
            ):
                client.execute(list_movies(limit=1))
        return self.clock

    async def get_async_client(self, **options: Any) -> AsyncJson2VideoClient:
        """Give a new asynchronous client (``aiohttp``); the caller closes it.

        :param options: arguments of the client that go before the connection's.
        """
        from airflow_json2video.api.async_client import AsyncJson2VideoClient

        settings = await self.look_up()
        return AsyncJson2VideoClient(settings.api_key, **{**settings.kwargs, **options})

    async def look_up(self) -> ConnectionSettings:
        """Read and check the connection as it is now, without blocking the event loop, as a trigger needs.

        :raises ConfigurationError: as of :attr:`settings`.

        .. code-block:: python

            settings = await hook.look_up()
        """
        from airflow_json2video.supervisor_calls import connection_of

        try:
            connection = await connection_of(self.json2video_conn_id)
        except AirflowNotFoundException:
            raise self._no_connection() from None
        settings = connection_settings(connection)
        self.__dict__["settings"] = settings
        return settings

    def _no_connection(self) -> ConfigurationError:
        return ConfigurationError(
            f"There is no connection {self.json2video_conn_id!r}.", advice="Create it, or correct json2video_conn_id."
        )

    def test_connection(self) -> tuple[bool, str]:
        """Make a free call and tell a wrong key from a network fault; used by the form's Test button.

        .. code-block:: python

            ok, message = Json2VideoHook().test_connection()
        """
        from airflow_json2video.exceptions import (
            AuthenticationFailed,
            ConfigurationError,
            Json2VideoError,
            TransportError,
        )

        try:
            quota = self.get_remaining_quota()
        except AuthenticationFailed as error:
            return False, f"The service answers, and refuses the API key. {error}"
        except TransportError as error:
            return False, f"The service could not be reached, so the key was not tested. {error}"
        except ConfigurationError as error:
            # Airflow's page tests under a made-up id, which nobody would know again.
            return False, str(error).replace(f"Connection {self.json2video_conn_id!r}", "This connection")
        except Json2VideoError as error:
            return False, str(error)
        except Exception as error:  # the form wants an answer, whatever happened
            return False, f"{type(error).__name__}: {error}"
        left = f" {quota.time:g} credits left." if quota is not None and quota.time is not None else ""
        return True, f"The API key is valid.{left} This test cost nothing."

    # --- movies ---------------------------------------------------------------------------------

    def submit_movie(self, document: Mapping[str, Any]) -> SubmittedMovie:
        """Submit a Movie JSON (``POST /movies``). **This starts a render that is paid for.** Sent once.

        :param document: the Movie JSON, or ``{"template": id, "variables": {...}}``.
        :raises Json2VideoError: ``error.billing`` says whether a render may have been started all the same.

        .. code-block:: python

            project = hook.submit_movie({"scenes": [{"duration": 2}]}).project
        """
        from airflow_json2video.api import calls

        return self.client.execute(calls.submit_movie(document))

    def get_movie(self, project: str, *, with_document: bool = False) -> MovieResponse:
        """Ask for the status of one render (``GET /movies?project=``).

        :param project: 16-character project id.
        :param with_document: also return the submitted document.
        :raises ProjectNotFound: no render of this account has that id.

        .. code-block:: python

            if hook.get_movie(project).movie.status == "done": ...
        """
        from airflow_json2video.api import calls

        return self.client.execute(calls.get_movie(project, simple=not with_document))

    def list_movies(
        self,
        *,
        date_start: datetime | None = None,
        date_end: datetime | None = None,
        limit: int = 100,
        next_token: str | None = None,
    ) -> MoviePage:
        """Read one page of the account's renders.

        :param date_start: default: the first of this month, which hides last month's renders.
        :param date_end: default: the end of today; the range is at most 93 days.
        :param limit: renders per page, 1 to 100.
        :param next_token: cursor of the page before.

        .. code-block:: python

            page = hook.list_movies(limit=1)
        """
        from airflow_json2video.api import calls

        return self.client.execute(
            calls.list_movies(date_start=date_start, date_end=date_end, limit=limit, next_token=next_token)
        )

    def iter_movies(self, *, date_start: datetime, date_end: datetime | None = None) -> Iterator[MovieStatus]:
        """Give every render of a range of days, all pages, in the service's own order.

        .. code-block:: python

            running = [m for m in hook.iter_movies(date_start=yesterday) if m.status == "running"]
        """
        return self.client.movies(date_start=date_start, date_end=date_end)

    def delete_movie(self, project: str) -> None:
        """Delete the file of a render now and not after seven days. No refund; safe to repeat.

        :raises ProjectNotFound: no render of this account has that id.

        .. code-block:: python

            hook.delete_movie(project)
        """
        from airflow_json2video.api import calls

        self.client.execute(calls.delete_movie(project))

    def get_remaining_quota(self) -> RemainingQuota | None:
        """Ask what is left in the account. Free. ``time`` is in credits.

        .. code-block:: python

            credits = hook.get_remaining_quota().time
        """
        return self.list_movies(limit=1).remaining_quota

    # --- templates ------------------------------------------------------------------------------

    def list_templates(self, *, tag: str | None = None) -> list[TemplateSummary]:
        """List the account's templates, newest change first.

        :param tag: only templates with this tag.

        .. code-block:: python

            ids = {t.name: t.id for t in hook.list_templates()}
        """
        from airflow_json2video.api import calls

        return self.client.execute(calls.list_templates(tag=tag))

    def get_template(self, template: str) -> Template:
        """Read one template with its movie.

        :param template: 20-character template id.
        :raises TemplateNotFound: the account has no such template.

        .. code-block:: python

            movie = hook.get_template(template_id).movie
        """
        from airflow_json2video.api import calls

        return self.client.execute(calls.get_template(template))

    def get_template_variables(self, template: str) -> dict[str, Any]:
        """Read the variables of a template as a JSON Schema.

        :raises TemplateNotFound: the account has no such template.

        .. code-block:: python

            names = hook.get_template_variables(template_id)["properties"]
        """
        from airflow_json2video.api import calls

        return self.client.execute(calls.get_template_variables(template))

    def list_template_library(self, *, tags: list[str] | None = None) -> list[TemplateSummary]:
        """List the published template gallery. *tags* add to what is published, they do not narrow it.

        .. code-block:: python

            gallery = hook.list_template_library()
        """
        from airflow_json2video.api import calls

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
        from airflow_json2video.api import calls

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
        """Change what is given of a template; ``movie`` is replaced whole. Needs role ``editor``.

        .. code-block:: python

            hook.update_template(template_id, movie=movie)
        """
        from airflow_json2video.api import calls

        return self.client.execute(calls.update_template(template, name=name, movie=movie, tags=tags, prompt=prompt)).id

    def duplicate_template(
        self, template: str, *, name: str | None = None, variables: Mapping[str, Any] | None = None
    ) -> str:
        """Copy a template, one's own or of the library, and return the copy's id. Needs role ``editor``.

        .. code-block:: python

            copy_id = hook.duplicate_template(template_id, name="Spring version")
        """
        from airflow_json2video.api import calls

        return self.client.execute(calls.duplicate_template(template, name=name, variables=variables)).id

    def delete_template(self, template: str) -> None:
        """Delete a template; renders that are running are not affected. Needs role ``editor``.

        .. code-block:: python

            hook.delete_template(template_id)
        """
        from airflow_json2video.api import calls

        self.client.execute(calls.delete_template(template))

    # --- drive ----------------------------------------------------------------------------------

    def get_storage(self) -> Storage:
        """Ask how full the drive is, in bytes, and whether it is blocked.

        .. code-block:: python

            used = hook.get_storage().used_bytes
        """
        from airflow_json2video.api import calls

        return self.client.execute(calls.get_storage())

    def get_file(self, path: str) -> DriveFile:
        """Look at one file of the drive.

        :param path: as ``videos/clip.mp4``, without a leading slash.
        :raises MediaNotFound: there is no such file.

        .. code-block:: python

            url = hook.get_file("videos/clip.mp4").url
        """
        from airflow_json2video.api import calls

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
        """List one page of a folder of the drive; the root is ``""``.

        :param page: from 0.
        :param file_type: only files of this type.
        :param search: only files whose name contains this.

        .. code-block:: python

            names = [f.name for f in hook.get_folder("videos").files]
        """
        from airflow_json2video.api import calls

        return self.client.execute(
            calls.get_folder(path, page=page, page_size=page_size, file_type=file_type, search=search)
        )

    def list_folders(self) -> list[FolderSummary]:
        """List all folders of the drive with their number of files and bytes.

        .. code-block:: python

            paths = [node.path for node in hook.list_folders()]
        """
        from airflow_json2video.api import calls

        return self.client.execute(calls.list_folders())

    def upload_file(
        self,
        source: str | Path,
        *,
        name: str | None = None,
        folder: str = "",
        content_type: str | None = None,
    ) -> UploadedFile:
        """Upload a file of this machine in two steps; the result's ``url`` serves as ``src``.

        :param source: path of the file; at most 500 MB.
        :param name: name in the drive; default: the file's own.
        :param content_type: MIME type; default: guessed from the name.
        :raises AlreadyExists: a file of that name is in the folder.

        .. code-block:: python

            src = hook.upload_file("/data/logo.png", folder="brand").url
        """
        return self.client.upload_file(source, name=name, folder=folder, content_type=content_type)

    def move_file(self, name: str, *, folder: str = "", destination: str = "") -> None:
        """Move a file of the drive to another folder.

        .. code-block:: python

            hook.move_file("clip.mp4", folder="inbox", destination="videos")
        """
        from airflow_json2video.api import calls

        self.client.execute(calls.move_file(name, folder=folder, destination=destination))

    def delete_file(self, name: str, *, folder: str = "") -> None:
        """Delete a file of the drive.

        .. code-block:: python

            hook.delete_file("clip.mp4", folder="videos")
        """
        from airflow_json2video.api import calls

        self.client.execute(calls.delete_file(name, folder=folder))

    def create_folder(self, folder: str) -> None:
        """Create a folder of the drive; one that is there already is fine.

        .. code-block:: python

            hook.create_folder("videos/2026")
        """
        from airflow_json2video.api import calls

        self.client.execute(calls.create_folder(folder))

    def delete_folder(self, folder: str) -> None:
        """Delete an empty folder of the drive.

        .. code-block:: python

            hook.delete_folder("videos/2026")
        """
        from airflow_json2video.api import calls

        self.client.execute(calls.delete_folder(folder))
