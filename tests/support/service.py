"""The local JSON2Video service as a separate process, as a user runs it."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

import requests

from tests.support.processes import ROOT, ProcessSet

__all__ = ["ServiceProcess"]


class ServiceProcess:
    """``python -m airflow_json2video local serve`` on a free port of loopback.

    :param home: folder of its state and its videos.
    :param settings: settings of the service, such as ``{"render_seconds": 4}``; see ``/_control/settings``.
    """

    def __init__(self, home: Path, *, settings: Mapping[str, Any] | None = None) -> None:
        self.home = home.resolve()
        self.settings = dict(settings or {})
        self.processes = ProcessSet(self.home / "output", grace=2.0)
        self.url = ""
        self._port = 0  # any; after a restart the service has the same address
        self._session = requests.Session()
        self._session.trust_env = False  # no proxy on loopback

    def __enter__(self) -> ServiceProcess:
        try:
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.stop()

    def start(self, *, timeout: float = 30.0) -> None:
        """Start it and wait until it responds.

        :param timeout: seconds.
        :raises ChildEnded: it ended, with the tail of its log.
        :raises TimeoutError: it has not printed its port in time.
        """
        port_file = self.home / "port"
        port_file.unlink(missing_ok=True)
        env = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
        env["PYTHONPATH"] = os.pathsep.join(filter(None, [str(ROOT), env.get("PYTHONPATH")]))
        self.processes.start(
            "service",
            [
                *(sys.executable, "-m", "airflow_json2video", "local", "serve"),
                *("--port", str(self._port), "--port-file", str(port_file), "--home", str(self.home / "state")),
            ],
            env=env,
        )
        deadline = time.monotonic() + timeout
        while not (port_file.is_file() and port_file.read_text().strip()):
            self.processes.check()
            if time.monotonic() > deadline:
                msg = f"the local service has not printed its port within {timeout:.0f} s"
                raise TimeoutError(msg)
            time.sleep(0.05)
        self._port = int(port_file.read_text())
        self.url = f"http://127.0.0.1:{self._port}"
        if self.settings:
            self.set(**self.settings)

    def stop(self) -> None:
        """End it and its render workers. May be called twice."""
        self.processes.stop_all()

    @property
    def host(self) -> str:
        """Return the host for a connection."""
        return f"{self.url}/v2"

    @property
    def connection(self) -> str:
        """Return an Airflow connection to it, as JSON for ``AIRFLOW_CONN_JSON2VIDEO_DEFAULT``."""
        return json.dumps({"conn_type": "json2video", "host": self.host, "password": "any-key-will-do"})

    def control(self, method: str, path: str, body: object = None) -> Any:
        """Call ``/_control/<path>`` and return its JSON."""
        answer = self._session.request(method, f"{self.url}/_control/{path}", json=body, timeout=10)
        answer.raise_for_status()
        return answer.json()

    def call(self, method: str, path: str, body: object = None) -> Any:
        """Call the API, such as ``call("POST", "templates", {...})``, and return its JSON."""
        answer = self._session.request(
            method, f"{self.host}/{path}", json=body, headers={"x-api-key": "any-key-will-do"}, timeout=10
        )
        answer.raise_for_status()
        return answer.json()

    def set(self, **settings: Any) -> None:
        """Change settings of the running service."""
        self.control("POST", "settings", settings)

    def requests(self, *, method: str | None = None, path: str | None = None) -> list[dict[str, Any]]:
        """Return the requests that the service received, oldest first, filtered by method and path."""
        found: list[dict[str, Any]] = self.control("GET", "requests")["requests"]
        return [r for r in found if method in (None, r["method"]) and path in (None, r["path"])]

    def submissions(self) -> int:
        """Return how many movies were submitted; each would be billed."""
        return len(self.requests(method="POST", path="/v2/movies"))

    def renders(self) -> list[dict[str, Any]]:
        """Return every render with all its facts."""
        found: list[dict[str, Any]] = self.control("GET", "renders")["renders"]
        return found

    def reset(self) -> None:
        """Delete all renders, templates, faults and requests."""
        self.control("POST", "reset")
