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
    :param home: folder for its state; a later service with the same folder continues with it. By default a temporary
        folder, deleted when the service stops.
    :param host: address to listen on; an address other than loopback requires *allow_remote*.
    :param port: 0 selects a free port.
    :param assets: folder of files that replace remote ones: ``<url>/assets/<path>``, and any
        ``http(s)://<host>/<path>`` for which ``<host>/<path>`` exists.
    :param templates: folder of ``<template id>.json`` files, each a Movie JSON, loaded at the start.
    :param clock: the service's time.
    :param settings: any other field of :class:`.Settings`, by its name.
    :raises ConfigurationError: the extra is missing, or *host* is not loopback.
    :raises ValueError: an unknown setting, or an invalid value.
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
                f"The local service accepts any key, so it does not listen on {host}.",
                advice="Use 127.0.0.1, or pass allow_remote (--allow-remote).",
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
        """The host for a connection: ``http://127.0.0.1:PORT/v2``."""
        return f"{self.url}/v2"

    def start(self) -> LocalService:
        """Start listening, resume unfinished renders, and return the service when it responds."""
        try:
            import uvicorn

            from airflow_json2video.local.app import build_app
            from airflow_json2video.local.backend import Backend
            from airflow_json2video.local.server import QuickServer
        except ImportError as error:
            raise ConfigurationError(f"{_EXTRA} ({error.name} missing).") from error
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
                f"Could not read the state of an earlier service in {self.home}: {error}",
                advice=f"Stop the service that uses it, or move {self.home / 'service.db'} away to start without it.",
            ) from error
        app = build_app(self._backend)
        config = uvicorn.Config(
            # With allow_remote, the names under which this machine is reached are unknown here.
            app if self._allow_remote else HostCheck(app, listening=self._address[0]),
            loop="asyncio",
            lifespan="off",
            log_config=None,  # logging is up to the caller
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
        """Stop serving and stop the workers. Unfinished renders stay in ``home`` for the next start."""
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
        """The service without its HTTP.

        :raises RuntimeError: the service is not running.
        """
        if self._backend is None:
            raise RuntimeError("the local service is not running")
        return self._backend

    @property
    def requests(self) -> list[JournalEntry]:
        """The calls so far, in order of arrival, without API keys."""
        return self.backend.journal.entries()

    @property
    def posts(self) -> int:
        """How many POST /v2/movies reached the application, whatever the response."""
        return self.backend.journal.count(method="POST", path="/v2/movies")

    @property
    def submitted(self) -> list[dict[str, Any]]:
        """The documents that were accepted, oldest first."""
        return [render.submitted() for render in self.backend.store.all()]

    @property
    def credits_left(self) -> float:
        """The credits of the account that are left."""
        return self.backend.remaining()

    def renders(self) -> list[dict[str, Any]]:
        """Return every render, oldest first, with its warnings and its file."""
        return [self.backend.describe_render(render) for render in self.backend.store.all()]

    def add_fault(self, kind: str, **rule: Any) -> str:
        """Add a fault rule and return its id; the fields are those of :class:`.faults.Fault`."""
        return str(self.backend.add_fault({"kind": kind, **rule})["id"])

    def clear_faults(self) -> None:
        """Clear every fault rule."""
        self.backend.faults.clear()

    def add_template(self, movie: dict[str, Any] | str, *, id: str, name: str = "template") -> str:  # noqa: A002
        """Store a template under an id of 20 characters and return the id."""
        from airflow_json2video.local.clock import iso

        now = iso(self.clock.now())
        facts: dict[str, Any] = {"id": id, "name": name, "tags": [], "movie": movie, "ai_prompt": None}
        self.backend.store.put_template({**facts, "created_at": now, "updated_at": now})
        return id

    def wait_idle(self, timeout: float = 60.0) -> bool:
        """Wait up to *timeout* real seconds for all renders to finish; return False if some have not."""
        return self.backend.queue.wait_idle(timeout)

    def reset(self) -> None:
        """Delete renders, templates, faults and journal."""
        self.backend.reset()


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    # asyncio disables Nagle's delay (40 ms per response) only if the protocol is given.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError:
        listener.close()
        raise
    return listener
