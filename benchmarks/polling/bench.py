"""The first part: every contender at every size, each in a fresh process, against one server."""

from __future__ import annotations

import contextlib
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from benchmarks.polling.certificate import ADDRESS, Certificate, make_certificate
from benchmarks.polling.contenders import CONTENDERS, Contender
from benchmarks.polling.harness import RAMP, Order
from tests.support.processes import ROOT, ProcessSet

__all__ = ["SIZES", "HarnessFailed", "Server", "run_all", "run_crowd", "run_one", "run_planned", "running_server"]

SIZES = (100, 500, 1000, 5000, 10000)


_PLANNED = ("ours-list", "ours-single", "bare")
_PLANNED_SIZE = 1000
_PLANNED_SETTLE, _PLANNED_SECONDS = 20.0, 30.0


class HarnessFailed(RuntimeError):
    """A contender could not be measured; the text is its last output."""


@dataclass(frozen=True)
class Server:
    """A running server.

    :ivar url: its address, with ``https``. :ivar control_port: see :mod:`benchmarks.polling.server`.
    """

    url: str
    control_port: int
    certificate: Certificate
    folder: Path

    @property
    def environment(self) -> dict[str, str]:
        """Return the environment of a client process, without the variables of this one that configure Airflow."""
        unwanted = re.compile(
            r"_?AIRFLOW_|PYTHONDONTWRITEBYTECODE$|PYTHONSTARTUP$|(https?|all|no)_proxy$", re.IGNORECASE
        )
        trusted = str(self.certificate.bundle)
        return {name: value for name, value in os.environ.items() if not unwanted.match(name)} | {
            "PYTHONPATH": str(ROOT),
            "SSL_CERT_FILE": trusted,
            "REQUESTS_CA_BUNDLE": trusted,
            "NO_PROXY": f"{ADDRESS},localhost",
        }


@contextlib.contextmanager
def running_server() -> Iterator[Server]:
    """Start the server with a new certificate on a free port, and stop it at the end."""
    with tempfile.TemporaryDirectory(prefix="bench-polling-") as name, ProcessSet(Path(name) / "logs") as processes:
        folder = Path(name)
        certificate = make_certificate(folder)
        port_file = folder / "ports"
        command = [sys.executable, "-m", "benchmarks.polling.server", str(certificate.chain), ADDRESS, str(port_file)]
        processes.start("server", command, env={**os.environ, "PYTHONPATH": str(ROOT)})
        deadline = time.monotonic() + 30
        while not (port_file.is_file() and port_file.read_text().endswith("}")):
            processes.check()
            if time.monotonic() > deadline:
                raise TimeoutError("the server has not started within 30 s")
            time.sleep(0.05)
        ports = json.loads(port_file.read_text())
        yield Server(
            url=f"https://{ADDRESS}:{ports['tls']}",
            control_port=ports["control"],
            certificate=certificate,
            folder=folder,
        )


def run_one(
    contender: Contender, size: int, server: Server, *, seconds: float, settle: float = 0.0, is_crowd: bool = False
) -> dict[str, Any]:
    """Measure one contender at one size, and return its ``harness.Result`` as JSON, or its ``harness.Crowd``.

    :param seconds: length of the window. :param settle: seconds between the last start and the window.
    :raises HarnessFailed: with the last output of the process.
    """
    home = server.folder / f"{contender.key}-{size}"
    home.mkdir(exist_ok=True)
    connection = contender.connection(server.url, str(server.certificate.bundle))
    order = Order(
        contender=contender.key,
        size=size,
        seconds=seconds,
        settle=settle,
        is_crowd=is_crowd,
        control_port=server.control_port,
        log=str(home / "triggerer.log"),
    )
    environment = server.environment | {
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__UNIT_TEST_MODE": "False",
        "AIRFLOW_CONN_BENCH": json.dumps(connection),
        # As the triggerer sets it: connections come through the task SDK.
        "_AIRFLOW_PROCESS_CONTEXT": "client",
    }
    command = [sys.executable, "-m", "benchmarks.polling.harness", json.dumps(asdict(order))]
    limit = 120 + 3 * (RAMP + settle + seconds)
    try:
        child = subprocess.run(
            command, env=environment, cwd=home, capture_output=True, text=True, timeout=limit, check=False
        )
    except subprocess.TimeoutExpired:
        raise HarnessFailed(f"no result in {limit:.0f} s") from None
    lines = child.stdout.strip().splitlines()
    if child.returncode != 0 or not lines:
        raise HarnessFailed((child.stderr.strip() or f"exit code {child.returncode}").splitlines()[-1])
    result: dict[str, Any] = json.loads(lines[-1])
    return result


def run_all(server: Server, *, keys: Sequence[str], sizes: Sequence[int], seconds: float) -> Iterator[dict[str, Any]]:
    """Measure every contender at every size, smallest first; failures are printed and left out."""
    for size in sizes:
        for key in keys:
            contender = CONTENDERS[key]
            if contender.version() is None:
                print(f"{contender.title} is not installed (benchmarks/peers.txt)", file=sys.stderr)
                continue
            try:
                yield run_one(contender, size, server, seconds=seconds)
            except HarnessFailed as error:
                print(f"{contender.title}, {size} renders: {error}", file=sys.stderr)
                yield {"contender": key, "size": size, "error": str(error)}


def run_planned(server: Server) -> Iterator[dict[str, Any]]:
    """Compare scheduled polls with a fixed interval: real triggers, real time, longer than in the other part.

    In a steady state the requests of a window by the renders that end in it are the requests per render. The time
    before the window lets the schedule learn from the renders that end.
    """
    for key in _PLANNED:
        try:
            yield run_one(CONTENDERS[key], _PLANNED_SIZE, server, seconds=_PLANNED_SECONDS, settle=_PLANNED_SETTLE)
        except HarnessFailed as error:
            print(f"{CONTENDERS[key].title}, planned: {error}", file=sys.stderr)


def run_crowd(server: Server, *, size: int) -> dict[str, Any]:
    """Start *size* of our triggers at the same time, and wait until all of them end."""
    return run_one(CONTENDERS["ours-list"], size, server, seconds=60.0, is_crowd=True)
