"""A scenario: the initial state of an account for a test, from a dictionary or a JSON file.

::

    {
      "settings": {"credits": 60},
      "clock": "frozen",
      "templates": {"abc123def456ghi789jk": {"scenes": [...]}},
      "renders": [{"project": "Qk3vT9zLm2XcB7wA", "movie": {...}, "status": "done", "age": 3600}],
      "faults": [{"kind": "lost", "method": "POST", "path": "/movies"}]
    }

Every part is optional. ``settings`` are those of :class:`.Settings`. ``clock`` is ``real``, ``frozen``, ``quick``
(a minute in 60 ms), or seconds per real second. ``faults`` are rules, see :mod:`.faults`. A render is ``done`` unless
its ``status`` says ``pending``, ``running`` or ``error`` (with a ``message``); ``age`` is how many seconds ago it was
submitted, ``took`` how long it took or takes (10). A ``pending`` or ``running`` render continues with the clock.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow_json2video.local.clock import Clock
from airflow_json2video.local.pricing import charge

if TYPE_CHECKING:
    from airflow_json2video.local.service import LocalService

__all__ = ["CLOCKS", "load_scenario", "set_clock"]

CLOCKS: Mapping[str, float] = {"real": 1.0, "frozen": 0.0, "quick": 1000.0}
"""Names of clocks, in simulated seconds per real second."""

_PARTS = ("settings", "clock", "templates", "renders", "faults")
_RENDER = ("project", "movie", "status", "message", "age", "took")
_STATUSES = ("done", "error", "pending", "running")


def load_scenario(service: LocalService, source: Mapping[str, Any] | str | Path) -> list[str]:
    """Load a scenario into a running service, in addition to its state, and return the project ids of its renders.

    :param source: a dictionary, or a JSON file.
    :raises ValueError: an unknown part or an invalid value; the parts before it have been loaded.
    :raises OSError: the file cannot be read.
    """
    scenario = source if isinstance(source, Mapping) else json.loads(Path(source).read_text(encoding="utf-8"))
    if not isinstance(scenario, Mapping):
        raise ValueError("a scenario must be an object")
    _check_keys(scenario, _PARTS, "a scenario")
    service.settings.update(scenario.get("settings") or {})
    if "clock" in scenario:
        set_clock(service.clock, scenario["clock"])
    for id_, movie in (scenario.get("templates") or {}).items():
        service.add_template(movie, id=id_, name=id_)
    projects = [_add_render(service, render) for render in scenario.get("renders") or ()]
    # Last, so that no rule applies to the scenario's own renders.
    for rule in scenario.get("faults") or ():
        service.backend.add_fault(rule)
    return projects


def set_clock(clock: Clock, speed: str | float) -> None:
    """Set the speed of a clock, as a name of :data:`CLOCKS` or a number.

    :raises ValueError: an unknown name.
    """
    if isinstance(speed, str) and speed not in CLOCKS:
        raise ValueError(f"clock must be {', '.join(CLOCKS)} or a number of seconds per second, got {speed!r}")
    clock.set_scale(CLOCKS[speed] if isinstance(speed, str) else speed)


def _add_render(service: LocalService, facts: Mapping[str, Any]) -> str:
    from airflow_json2video.local.drawing.instant import render_instantly
    from airflow_json2video.local.store import Render

    _check_keys(facts, _RENDER, "a render of a scenario")
    status = facts.get("status", "done")
    if status not in _STATUSES:
        raise ValueError(f"the status of a render must be one of {', '.join(_STATUSES)}, got {status!r}")
    backend = service.backend
    movie = facts.get("movie") or {"resolution": "sd", "scenes": [{"duration": 2}]}
    project = str(facts.get("project") or f"Scenario{len(backend.store) + 1:08d}")
    if backend.store.get(project) is not None:
        raise ValueError(f"render {project} exists already")
    took = float(facts.get("took", 10.0))
    created = service.clock.now() - float(facts.get("age", 0.0 if status in ("pending", "running") else took))
    render = Render(
        project=project,
        created_at=created,
        document=json.dumps(movie, ensure_ascii=False, separators=(",", ":")),
        mode="instant",
        queue_seconds=took if status == "pending" else 0.0,
        render_seconds=took,
    )
    backend.store.add(render)
    if status in ("pending", "running"):
        backend.queue.submit(project)
        return project
    result: dict[str, Any] = {"outcome": "error", "message": str(facts.get("message") or "Error rendering movie")}
    if status == "done":
        result = render_instantly(movie, backend.store.video(project))
        if result["outcome"] != "done":
            raise ValueError(f"render {project} of the scenario cannot be done: {result['message']}")
        result["credits"] = charge(result, store=backend.store, settings=service.settings, now=created + took)
        del result["generated"]
    backend.store.change(project, phase="finished", started_at=created, finished_at=created + took, **result)
    backend.ledger.rebuild(backend.store.all())
    return project


def _check_keys(given: Mapping[str, Any], names: tuple[str, ...], what: str) -> None:
    if unknown := sorted(set(given) - set(names)):
        raise ValueError(f"unknown key of {what}: {', '.join(map(repr, unknown))}. Available: {', '.join(names)}")
