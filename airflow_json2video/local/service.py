"""The service as an object: for tests, for the command line, for a notebook."""

from __future__ import annotations

import json
import shutil
import socket
import sqlite3
import tempfile
import threading
import time
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow_json2video.exceptions import ConfigurationError
from airflow_json2video.local.clock import Clock
from airflow_json2video.local.hosts import HostCheck, is_local_name
from airflow_json2video.local.settings import Settings

if TYPE_CHECKING:
    from types import TracebackType

    import uvicorn

    from airflow_json2video.local.backend import Backend
    from airflow_json2video.local.fault_layer import JournalEntry

__all__ = ["LocalService", "require_extra", "require_renderer"]

_EXTRA = "The local service requires an extra: pip install 'airflow-json2video[local]'"
_FOR_DRAWING = ("av", "PIL", "numpy")
_FOR_SERVING = ("starlette", "uvicorn")


def require_renderer() -> None:
    """Check that the packages for drawing are installed, without importing them.

    :raises ConfigurationError: PyAV, Pillow or NumPy is missing.
    """
    _require(_FOR_DRAWING)


def require_extra() -> None:
    """Check that all packages of the extra ``[local]`` are installed, without importing them.

    :raises ConfigurationError: one of them is missing.
    """
    _require(_FOR_DRAWING + _FOR_SERVING)


def _require(packages: tuple[str, ...]) -> None:
    missing = [name for name in packages if find_spec(name) is None]
    if missing:
        raise ConfigurationError(f"{_EXTRA} ({', '.join(missing)} missing).")


class LocalService:
    """JSON2Video on a port of this machine, served by a thread of this process.

    ::

        with LocalService(mode="instant", home=tmp_path, queue_seconds=3) as service:
            service.clock.freeze()
            ...                                # submit to service.host
            service.clock.advance(10)
            assert service.posts == 1

    :param mode: ``instant``, ``slate``, ``preview`` or ``full``.
    :param home: folder for its state, which a later service on the same folder continues. By default a
        temporary one that goes with the service.
    :param host: address to listen on; anything but loopback needs *allow_remote*.
    :param port: 0 takes a free one.
    :param assets: folder whose files stand for remote ones: ``<url>/assets/<path>``, and any
        ``http(s)://<host>/<path>`` that is there as ``<host>/<path>``.
    :param templates: folder of ``<template id>.json`` files, each a Movie JSON, stored at the start.
    :param clock: the service's time.
    :param settings: any other field of :class:`.Settings`, by its name.
    :raises ConfigurationError: the extra is missing, or *host* is not loopback.
    :raises ValueError: a setting that does not exist, or a value it cannot have.
    """

    def __init__(
        self,
        *,
        mode: str = "preview",
        home: str | Path | None = None,
        host: str = "127.0.0.1",
        port: int = 0,
        assets: str | Path | None = None,
        templates: str | Path | None = None,
        clock: Clock | None = None,
        allow_remote: bool = False,
        **settings: Any,
    ) -> None:
        if not allow_remote and not is_local_name(host):
            raise ConfigurationError(
                f"The local service takes no key seriously, so it does not listen on {host}.",
                advice="Use 127.0.0.1, or pass allow_remote (--allow-remote) if you mean it.",
            )
        self.settings = Settings()
        self.settings.update({"mode": mode, **settings})
        self.clock = clock or Clock()
        self._address = (host, port)
        self._allow_remote = allow_remote
        self._own_home = home is None
        self.home = Path(tempfile.mkdtemp(prefix="json2video-")) if home is None else Path(home)
        self._assets = Path(assets) if assets is not None else None
        self._templates = Path(templates) if templates is not None else None
        self._backend: Backend | None = None
        self._server: uvicorn.Server | None = None
        self._thread: threading.Thread | None = None
        self._failure: BaseException | None = None
        self.url = ""

    @property
    def host(self) -> str:
        """The address to put into a connection: ``http://127.0.0.1:PORT/v2``."""
        return f"{self.url}/v2"

    def start(self) -> LocalService:
        """Listen, resume what an earlier life left pending, and give itself once it answers."""
        try:
            import uvicorn

            from airflow_json2video.local.app import build_app
            from airflow_json2video.local.backend import Backend
            from airflow_json2video.local.server import QuickServer
        except ImportError as error:
            raise ConfigurationError(f"{_EXTRA} ({error.name} is missing)") from error
        if self.settings.mode != "instant":
            require_renderer()
        listener = _listen(*self._address)
        address, port = listener.getsockname()[:2]
        self.url = f"http://[{address}]:{port}" if ":" in address else f"http://{address}:{port}"
        self.home.mkdir(parents=True, exist_ok=True)
        try:
            self._backend = Backend(
                home=self.home, origin=self.url, settings=self.settings, clock=self.clock, assets=self._assets
            )
        except (sqlite3.Error, ValueError, TypeError, LookupError, AttributeError) as error:
            listener.close()
            raise ConfigurationError(
                f"What an earlier service left in {self.home} cannot be read: {error}",
                advice=f"End the service that uses it, or move {self.home / 'service.db'} away and start with none.",
            ) from error
        app = build_app(self._backend)
        config = uvicorn.Config(
            # Whoever lets others in has names of their own for this machine, which cannot be known here.
            app if self._allow_remote else HostCheck(app, listening=self._address[0]),
            loop="asyncio",
            lifespan="off",
            log_config=None,  # the logging of whoever runs us is theirs
            access_log=False,
            server_header=False,
        )
        server = self._server = QuickServer(config)

        def serve() -> None:
            try:
                server.run(sockets=[listener])
            except BaseException as error:
                self._failure = error

        self._thread = threading.Thread(target=serve, name="json2video-service", daemon=True)
        self._thread.start()
        while not server.started and self._thread.is_alive():
            time.sleep(0.002)
        if not server.started:
            raise RuntimeError("the local service did not start") from self._failure
        for file in sorted(self._templates.glob("*.json")) if self._templates else ():
            self.add_template(json.loads(file.read_text(encoding="utf-8")), id=file.stem, name=file.stem)
        self._backend.start()
        return self

    def stop(self) -> None:
        """Stop answering and end the workers; unfinished renders stay in ``home`` for the next start."""
        if self._server is not None:
            self._server.should_exit = True
        if self._backend is not None:
            self._backend.queue.stop()
        if self._thread is not None:
            self._thread.join(timeout=10)
        if self._backend is not None:
            self._backend.stop()
            self._backend = None
        if self._own_home:
            shutil.rmtree(self.home, ignore_errors=True)

    def __enter__(self) -> LocalService:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def backend(self) -> Backend:
        """The rooms behind the HTTP.

        :raises RuntimeError: the service is not running.
        """
        if self._backend is None:
            raise RuntimeError("the local service is not running")
        return self._backend

    @property
    def requests(self) -> list[JournalEntry]:
        """The calls so far, in order of arrival; no entry holds a key."""
        return self.backend.journal.entries()

    @property
    def posts(self) -> int:
        """How many POST /v2/movies reached the application, whatever the client was answered."""
        return self.backend.journal.count(method="POST", path="/v2/movies")

    @property
    def submitted(self) -> list[dict[str, Any]]:
        """The documents that were accepted, oldest first."""
        return [render.submitted() for render in self.backend.store.all()]

    @property
    def credits_left(self) -> float:
        """What the account still has."""
        return self.backend.remaining()

    def renders(self) -> list[dict[str, Any]]:
        """Give every render, oldest first, with its warnings and its file."""
        return [self.backend.describe_render(render) for render in self.backend.store.all()]

    def add_fault(self, kind: str, **rule: Any) -> str:
        """Put a fault rule in force and give its id; the fields are those of :class:`.faults.Fault`."""
        return str(self.backend.add_fault({"kind": kind, **rule})["id"])

    def clear_faults(self) -> None:
        """Drop every fault rule."""
        self.backend.faults.clear()

    def add_template(self, movie: dict[str, Any] | str, *, id: str, name: str = "template") -> str:  # noqa: A002
        """Store a template under a given id of 20 characters and give the id."""
        from airflow_json2video.local.clock import iso

        now = iso(self.clock.now())
        facts: dict[str, Any] = {"id": id, "name": name, "tags": [], "movie": movie, "ai_prompt": None}
        self.backend.store.put_template({**facts, "created_at": now, "updated_at": now})
        return id

    def wait_idle(self, timeout: float = 60.0) -> bool:
        """Wait until no worker has anything left to do (real seconds); False if one still has."""
        return self.backend.queue.wait_idle(timeout)

    def reset(self) -> None:
        """Forget renders, templates, faults and journal."""
        self.backend.reset()


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    # asyncio switches Nagle's delay (40 ms an answer) off only where the protocol is named.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError:
        listener.close()
        raise
    return listener
