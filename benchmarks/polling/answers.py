"""The responses of the server about a render, in the format of each service. No I/O: a time in, bytes out.

JSON2Video's part follows its published reference: one movie, with ``format=simple`` or with its document; the list
with a date range, ``limit`` up to 100, ``next_token``, ``remaining_quota``, and always the documents. The list is
newest first, which the reference does not promise.

A *status* counts as delivered when a response contains a waiting render that has not been reported as done before. At
most one in 4.5 s counts for a render: the service's own limit is 5 s, and more is of no use.
"""

from __future__ import annotations

import json
import random
from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from statistics import fmean
from urllib.parse import parse_qs

from benchmarks.polling.mix import Plan, Render, make_plan, recorded

__all__ = ["ACCOUNTS", "Account", "Answer", "World", "project_of"]

_COUNTED_EVERY = 4.5
_HISTORY = 1800.0
"""Seconds back to which a busy account lists what has ended."""
_PENDING = 1.0
"""Seconds that a render is pending."""
_SUBMITTED = 20.0
"""Seconds that a render takes which is submitted in the run."""
_QUOTA = b'"remaining_quota":{"time":180700}'
_PLAIN = 1500
_HEAVY = 100_000

Answer = tuple[int, bytes]


@dataclass(frozen=True)
class Account:
    """What the list of an account shows in addition to the waiting renders.

    :ivar document: bytes of each submitted document.
    :ivar history: whether it shows renders that ended before the run or have no trigger yet. If not, a render is
        listed from the start of its trigger, as if it had been submitted by the task just before.
    """

    document: int = _PLAIN
    history: bool = False


ACCOUNTS = {"own": Account(), "busy": Account(history=True), "heavy": Account(document=_HEAVY)}


def project_of(number: int) -> str:
    """Return the id of a render: 16 characters, as in the service."""
    return f"Bench{number:011d}"


class World:
    """The renders of one run, as every service would show them.

    :param at: epoch seconds of the plan's zero.
    """

    def __init__(self, plan: Plan, *, at: float, account: Account) -> None:
        self.plan = plan
        self.at = at
        self.requests: Counter[str] = Counter()
        self.statuses = 0
        self._renders = list(plan.renders)
        self._counted: dict[int, float] = {}
        self._told: set[int] = set()
        self._account = account
        self._document = _document(account.document)
        entries = [(render.start, render.number) for render in plan.renders]
        if account.history:
            entries += [(start, -1 - n) for n, start in enumerate(_history(plan.size))]
        entries.sort()
        self._starts = [start for start, _ in entries]
        self._numbers = [number for _, number in entries]
        self._routes: tuple[tuple[str, str, Callable[[str, bytes, float], Answer]], ...] = (
            ("/v2/movies", "json2video", self._movies),
            ("/api/2.2/jobs/runs/get", "databricks", self._databricks),
            ("/api/v2/accounts/", "dbt", self._dbt),
            ("/jobs/", "http", self._http),
            ("/v1/connectors/", "fivetran", self._fivetran),
            ("/v1/batches/", "openai", self._openai),
        )

    def finish(self, count: int, *, since: float, until: float) -> list[int]:
        """End *count* of the renders between two times, evenly, and return their numbers; epoch seconds."""
        step = len(self._renders) // count
        numbers = list(range(0, step * count, step))
        for place, number in enumerate(numbers):
            end = since + (until - since) * place / count - self.at
            self._renders[number] = replace(self._renders[number], end=end)
        return numbers

    def ends(self) -> list[float]:
        """Return when each render ends, in epoch seconds."""
        return [self.at + render.end for render in self._renders]

    def answer(self, target: str, body: bytes, *, now: float, method: str = "GET") -> Answer:
        """Return the response to a request.

        :param target: path and query. :param now: epoch seconds.
        """
        if method == "POST" and target.startswith("/v2/movies"):
            return self._submit(now)
        for path, kind, route in self._routes:
            if target.startswith(path):
                self.requests[kind] += 1
                try:
                    return route(target[len(path) :], body, now)
                except (KeyError, ValueError, IndexError) as error:
                    return _error(400, f"{type(error).__name__}: {error}")
        self.requests["unknown"] += 1
        return _error(404, f"no such path: {target}")

    @property
    def met(self) -> int:
        """How many renders have been in a response at least once."""
        return len(self._counted)

    def _look(self, number: int, now: float) -> tuple[Render, str]:
        """Return a render and its status, and count that it was delivered."""
        render = self._renders[number]
        second = now - self.at
        status = "done" if second >= render.end else "running" if second >= render.start + _PENDING else "pending"
        if second >= render.watched and number not in self._told:
            last = self._counted.get(number)
            if last is None or status == "done" or now - last >= _COUNTED_EVERY:
                self._counted[number] = now
                self.statuses += 1
            if status == "done":
                self._told.add(number)
        return render, status

    # --- JSON2Video -----------------------------------------------------------------------------

    def _submit(self, now: float) -> Answer:
        self.requests["json2video"] += 1
        self.requests["json2video.submit"] += 1
        second, number = now - self.at, len(self._renders)
        self._renders.append(Render(number, second, second + _SUBMITTED, second))
        place = bisect_right(self._starts, second)
        self._starts.insert(place, second)
        self._numbers.insert(place, number)
        answer = {"success": True, "project": project_of(number), "timestamp": _iso(now)}
        return 200, json.dumps(answer).encode()

    def _movies(self, rest: str, _: bytes, now: float) -> Answer:
        query = {name: values[-1] for name, values in parse_qs(rest.lstrip("?")).items()}
        project = query.get("project") or query.get("id")
        if project is None:
            self.requests["json2video.list"] += 1
            return self._list(query, now)
        self.requests["json2video.single"] += 1
        number = _number_of(project)
        if number is None or not 0 <= number < len(self._renders):
            return _error(400, "TypeError: Cannot read properties of null (reading 'success')")
        movie = self._movie(number, now, full=query.get("format") != "simple")
        return 200, b'{"success":true,"movie":' + movie + b"," + _QUOTA + b"}"

    def _list(self, query: dict[str, str], now: float) -> Answer:
        limit = int(query.get("limit", "100"))
        if not 1 <= limit <= 100:
            return _error(400, "limit must be between 1 and 100")
        start = _epoch(query.get("date_start") or query.get("from")) - self.at
        end = _epoch(query.get("date_end") or query.get("to")) - self.at
        if end - start > 93 * 86400:
            return _error(400, "The range is longer than 93 days")
        first = bisect_left(self._starts, start)
        # The cursor is the position at which the next page ends; renders submitted since the first page are not in it.
        until = (
            int(query["next_token"]) if "next_token" in query else bisect_right(self._starts, min(end, now - self.at))
        )
        movies: list[bytes] = []
        place = until
        while place > first and len(movies) < limit:
            place -= 1
            if self._is_listed(self._numbers[place], now):
                movies.append(self._movie(self._numbers[place], now, full=True))
        more = place > first
        head = {
            "success": True,
            "from": _iso(start + self.at),
            "to": _iso(end + self.at),
            "count": len(movies),
            "limit": limit,
            "has_next": more,
            "has_prev": "next_token" in query,
            "next_token": str(place) if more else None,
        }
        return 200, json.dumps(head).encode()[:-1] + b',"movies":[' + b",".join(movies) + b"]," + _QUOTA + b"}"

    def _is_listed(self, number: int, now: float) -> bool:
        return self._account.history or self._renders[number].watched <= now - self.at

    def _movie(self, number: int, now: float, *, full: bool) -> bytes:
        if number < 0:
            project, status, start, end = f"Other{-number:011d}", "done", self.at - _HISTORY, self.at
        else:
            render, status = self._look(number, now)
            project, start, end = project_of(number), self.at + render.start, self.at + render.end
        if status == "done":
            facts = (
                f'"success":true,"status":"done","message":"","url":"https://assets.json2video.com/clients/bench/'
                f'renders/{project}.mp4","ass":false,"ended_at":"{_iso(end)}","duration":12.4,"size":1876189,'
                f'"rendering_time":{round(end - start)}'
            )
        else:
            facts = (
                f'"success":false,"status":"{status}","message":"","url":null,"ass":false,"ended_at":null,'
                '"duration":null,"size":null,"rendering_time":null'
            )
        movie = (
            f'{{"project":"{project}",{facts},"created_at":"{_iso(start)}","width":1920,"height":1080,"client-data":'
            f'{{"airflow_json2video":{{"key":"bench.render-{project}","fingerprint":"b5bb9d8014a0f9b1d61e21e796d78dcc"}}}},'
            '"consumed_credits":[]'
        ).encode()
        return movie + (b',"json":' + self._document + b"}" if full else b"}")

    # --- the others -----------------------------------------------------------------------------

    def _databricks(self, rest: str, body: bytes, now: float) -> Answer:
        asked = json.loads(body) if body else {name: values[-1] for name, values in parse_qs(rest.lstrip("?")).items()}
        number = int(asked["run_id"])
        render, status = self._look(number, now)
        state = (
            {"life_cycle_state": "TERMINATED", "result_state": "SUCCESS", "state_message": ""}
            if status == "done"
            else {"life_cycle_state": "RUNNING", "state_message": "In run"}
        )
        task = {
            "run_id": number,
            "task_key": "render",
            "description": "Renders the weekly video",
            "notebook_task": {"notebook_path": "/Repos/reports/weekly/render", "source": "WORKSPACE"},
            "cluster_spec": {"existing_cluster_id": "1201-my-cluster"},
            "cluster_instance": {"cluster_id": "0923-164208-meows279", "spark_context_id": "4348585301701786933"},
            "state": state,
            "start_time": int((self.at + render.start) * 1000),
            "attempt_number": 0,
        }
        run = {
            "job_id": 11223344,
            "run_id": number,
            "number_in_job": number,
            "creator_user_name": "user.name@databricks.com",
            "state": state,
            "tasks": [task],
            "cluster_spec": task["cluster_spec"],
            "overriding_parameters": {"notebook_params": {"name": "john doe", "age": "35"}},
            "start_time": task["start_time"],
            "setup_duration": 1000,
            "execution_duration": 0,
            "cleanup_duration": 0,
            "run_name": "render",
            "run_page_url": f"https://my-workspace.cloud.databricks.com/#job/11223344/run/{number}",
            "run_type": "JOB_RUN",
            "format": "MULTI_TASK",
        }
        return 200, json.dumps(run).encode()

    def _dbt(self, rest: str, _: bytes, now: float) -> Answer:
        number = int(rest.split("/")[2])
        render, status = self._look(number, now)
        done = status == "done"
        data = {
            "id": number,
            "trigger_id": number,
            "account_id": 1,
            "environment_id": 7,
            "project_id": 3,
            "job_definition_id": 21,
            "status": 10 if done else 3,
            "status_message": None,
            "dbt_version": "versionless",
            "git_branch": "main",
            "git_sha": "d6f1e4d2ab9b1a3c4ef0d7c8b9a1e2f3d4c5b6a7",
            "created_at": _iso(self.at + render.start),
            "started_at": _iso(self.at + render.start),
            "finished_at": _iso(self.at + render.end) if done else None,
            "is_complete": done,
            "is_success": done,
            "is_error": False,
            "is_cancelled": False,
            "is_running": not done,
            "run_duration_humanized": "1 minute, 12 seconds",
            "href": f"https://cloud.getdbt.com/deploy/1/projects/3/runs/{number}/",
            "run_steps": [],
        }
        return 200, json.dumps({"status": {"code": 200, "is_success": True}, "data": data}).encode()

    def _http(self, rest: str, _: bytes, now: float) -> Answer:
        number = int(rest)
        _, status = self._look(number, now)
        if status != "done":
            return _error(404, "not there yet")
        return 200, json.dumps({"id": number, "status": "done"}).encode()

    def _fivetran(self, rest: str, _: bytes, now: float) -> Answer:
        number = int(rest)
        render, status = self._look(number, now)
        before = _iso(self.at - 86400)
        data = {
            "id": str(number),
            "service": "google_sheets",
            "schema": "reports.render",
            "paused": False,
            "pause_after_trial": False,
            "status": {
                "tasks": [],
                "warnings": [],
                "schema_status": "ready",
                "update_state": "on_schedule",
                "setup_state": "connected",
                "sync_state": "scheduled" if status == "done" else "syncing",
                "is_historical_sync": False,
            },
            "config": {"sheet_id": "1Rmq_FN2kTNwWiT4adZKBxHBRmvfeBTIfKWi5B8ii9qk", "named_range": "render"},
            "daily_sync_time": "03:00",
            "succeeded_at": _iso(self.at + render.end) if status == "done" else before,
            "failed_at": before,
            "sync_frequency": 1440,
            "connector_type_id": "google_sheets",
            "group_id": "projected_sickness",
            "connected_by": "interment_burdensome",
            "schedule_type": "auto",
            "created_at": before,
            "service_version": 1,
        }
        return 200, json.dumps({"code": "Success", "message": "Operation performed.", "data": data}).encode()

    def _openai(self, rest: str, _: bytes, now: float) -> Answer:
        number = int(rest.removeprefix("batch_"))
        render, status = self._look(number, now)
        done = status == "done"
        batch = {
            "id": f"batch_{number}",
            "object": "batch",
            "endpoint": "/v1/chat/completions",
            "errors": None,
            "input_file_id": "file-abc123",
            "completion_window": "24h",
            "status": "completed" if done else "in_progress",
            "output_file_id": "file-cvaTdG" if done else None,
            "error_file_id": None,
            "created_at": int(self.at + render.start),
            "in_progress_at": int(self.at + render.start),
            "expires_at": int(self.at + 86400),
            "finalizing_at": None,
            "completed_at": int(self.at + render.end) if done else None,
            "failed_at": None,
            "expired_at": None,
            "request_counts": {"total": 100, "completed": 100 if done else 40, "failed": 0},
            "metadata": {"customer_id": "user_123456789", "batch_description": "Nightly eval job"},
        }
        return 200, json.dumps(batch).encode()


def world(*, size: int, horizon: float, ramp: float, at: float, account: str, lasting: float = 0.0) -> World:
    """Build the world of a run.

    :param lasting: seconds that every render runs from *at*, instead of its own time.
    """
    plan = make_plan(size, horizon=horizon, ramp=ramp)
    if lasting:
        plan = replace(plan, renders=[replace(render, end=lasting) for render in plan.renders])
    return World(plan, at=at, account=ACCOUNTS[account])


def _number_of(project: str) -> int | None:
    return int(project[5:]) if len(project) == 16 and project.startswith("Bench") else None


def _history(size: int) -> list[float]:
    """Return the starts of renders that ended before a run of *size* renders: as many as in half an hour."""
    times = recorded()
    rng = random.Random(size)
    count = round(size / fmean(times) * _HISTORY)
    starts = [-_HISTORY * rng.random() for _ in range(count)]
    return [start for start in starts if start + rng.choice(times) < 0]


def _document(size: int) -> bytes:
    """Return a movie of about *size* bytes as in a response: a JSON text within a JSON string."""
    scenes: list[dict[str, object]] = []
    while True:
        scenes.append(
            {
                "comment": f"Scene {len(scenes) + 1}",
                "duration": 6,
                "background-color": "#102030",
                "transition": {"style": "fade", "duration": 0.5},
                "elements": [
                    {
                        "type": "image",
                        "src": f"https://media.example.com/reports/2026/week-47/picture-{len(scenes) + 1}.jpg",
                        "pan": "left",
                        "zoom": 2,
                    },
                    {
                        "type": "text",
                        "text": "Orders are up 4 % on last week, returns are down by a third",
                        "settings": {"font-family": "Roboto", "font-size": "64px", "vertical-position": "bottom"},
                    },
                    {"type": "voice", "text": "Orders are up four percent.", "voice": "en-GB-LibbyNeural"},
                ],
            }
        )
        movie = {"resolution": "full-hd", "quality": "high", "draft": False, "scenes": scenes}
        text = json.dumps(json.dumps(movie, separators=(",", ":"))).encode()
        if len(text) >= size * 0.8:
            return text


def _iso(epoch: float) -> str:
    return datetime.fromtimestamp(epoch, timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"


def _epoch(text: str | None) -> float:
    if text is None:
        raise ValueError("the benchmark's client always sends a range")
    moment = datetime.fromisoformat(text.replace("Z", "+00:00"))
    return (moment if moment.tzinfo else moment.replace(tzinfo=timezone.utc)).timestamp()


def _error(status: int, message: str) -> Answer:
    return status, json.dumps({"success": False, "message": message}).encode()
