"""Whose render is it: the submission key, the fingerprint, and the stamp that carries both.

The stamp travels in the movie's ``client-data``, which the service gives back in its list. So the
service itself is the journal: any attempt on any machine can find what an earlier one started.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

__all__ = [
    "NO_DEPLOYMENT",
    "STAMP_KEY",
    "Stamp",
    "TaskIdentity",
    "add_stamp",
    "deployment_from_id",
    "deployment_from_namespace",
    "deployment_id",
    "fingerprint",
    "format_deployment",
    "is_of_another_deployment",
    "read_stamp",
]

STAMP_KEY = "airflow_json2video"
"""The one key that is ours in ``client-data``; everything else there is the author's."""

STAMP_VERSION = 1
"""The form of the stamp. A stamp of a later form still has these fields, with this meaning, and more."""

NO_DEPLOYMENT = ""
"""The deployment of what no Airflow submitted: a render of the command line."""

_NAMESPACE, _ID = "namespace:", "id:"


def deployment_from_namespace(namespace: str) -> str:
    """Return the deployment that a connection's ``namespace`` names. It never equals one that has an id."""
    return f"{_NAMESPACE}{namespace}"


def deployment_from_id(value: str) -> str:
    """Return the deployment that has this id."""
    return f"{_ID}{value}"


def deployment_id(deployment: str) -> str | None:
    """Return the id of a deployment; None for one that is named otherwise."""
    return deployment.removeprefix(_ID) if deployment.startswith(_ID) else None


def format_deployment(deployment: str) -> str:
    """Return a deployment as a log line names it."""
    if deployment.startswith(_NAMESPACE):
        return f"namespace {deployment.removeprefix(_NAMESPACE)!r}"
    if not deployment:
        return "no deployment"
    name = deployment.removeprefix(_ID)
    return f"id {name if re.fullmatch(r'[A-Za-z0-9._-]+', name) else repr(name)}"


@dataclass(frozen=True)
class TaskIdentity:
    """One task instance of one deployment, or one item of its batch, and how often a person has cleared it.

    :param deployment: see :func:`deployment_from_namespace` and :func:`deployment_from_id`. Two deployments with one
        account run the same DAG with the same run id, and their renders are two.
    :param generation: the task instance's ``max_tries``. In every Airflow from 2.11 to 3.3 a retry
        leaves it alone and a clear of an ended task raises it; no state of our own is needed to
        tell the two apart.
    :param item: the key of the item, where the task renders many.
    """

    deployment: str
    dag_id: str
    run_id: str
    task_id: str
    map_index: int
    generation: int
    item: str | None = None

    @property
    def task_key(self) -> str:
        """The task instance of this deployment, or its item, whatever the generation."""
        return self._digest(self.deployment, *self._names)

    @property
    def name_key(self) -> str:
        """The same in every deployment that has a task instance, or an item, of these names."""
        return self._digest(*self._names)

    def name_keys(self, items: Iterable[str]) -> frozenset[str]:
        """Return the :attr:`name_key` of each of these items."""
        return frozenset(replace(self, item=item).name_key for item in items)

    @property
    def _names(self) -> tuple[str, ...]:
        item = () if self.item is None else ("item", self.item)
        return (self.dag_id, self.run_id, self.task_id, str(self.map_index), *item)

    @property
    def submission_key(self) -> str:
        """What ties a project to this task instance and generation. It never contains the try number."""
        readable = re.sub(r"[^A-Za-z0-9_.-]", "_", f"{self.dag_id}.{self.task_id}")[:60]
        return f"{readable}-{self._digest(self.task_key, str(self.generation))}"

    @staticmethod
    def _digest(*parts: str) -> str:
        return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:24]


@dataclass(frozen=True)
class Stamp:
    """What a submitted document says about who asked for it and for what.

    :param attempt: the try number that sent it. It takes no part in the key: it tells, when an answer was
        lost, this attempt's own render from those of the attempts before.
    :param name_key: see :attr:`TaskIdentity.name_key`. It never makes a render this task's own: it only says
        that another deployment has the same task.
    """

    deployment: str
    submission_key: str
    task_key: str
    name_key: str
    generation: int
    attempt: int
    fingerprint: str

    @classmethod
    def of(cls, identity: TaskIdentity, asked_for: str, *, attempt: int) -> Stamp:
        """Make the stamp of *identity* asking for the document with this fingerprint."""
        return cls(
            deployment=identity.deployment,
            submission_key=identity.submission_key,
            task_key=identity.task_key,
            name_key=identity.name_key,
            generation=identity.generation,
            attempt=attempt,
            fingerprint=asked_for,
        )

    def is_same_task_elsewhere(self, mine: Stamp) -> bool:
        """Whether this stamp is of the same task in another deployment."""
        return self.name_key == mine.name_key and self.deployment != mine.deployment


def fingerprint(document: Mapping[str, Any]) -> str:
    """Give a hash of what is asked for. Our own stamp is left out, and the order of keys does not matter.

    The account takes no part: a render is looked for in the list of the account that would pay for the
    new one, so a connection that is only renamed still finds it.
    """
    bare = _without_stamp(document)
    try:
        canonical = json.dumps(bare, sort_keys=True, separators=(",", ":"), default=repr)
    except TypeError:  # keys that JSON has no place for: whoever sends the document says so, and where
        canonical = repr(bare)
    return hashlib.sha256(canonical.encode()).hexdigest()[:32]


def add_stamp(document: Mapping[str, Any], mark: Stamp) -> dict[str, Any]:
    """Give a copy of *document* that carries the stamp beside whatever the author put into ``client-data``."""
    stamped = dict(document)
    client_data = stamped.get("client-data")
    stamped["client-data"] = {
        **(client_data if isinstance(client_data, Mapping) else {}),
        STAMP_KEY: {
            "version": STAMP_VERSION,
            "deployment": mark.deployment,
            "submission_key": mark.submission_key,
            "task_key": mark.task_key,
            "name_key": mark.name_key,
            "generation": mark.generation,
            "attempt": mark.attempt,
            "fingerprint": mark.fingerprint,
        },
    }
    return stamped


def read_stamp(client_data: Any, document: str | None = None) -> Stamp | None:
    """Read the stamp of a listed movie; None for documents of other users and tools.

    :param client_data: the movie's own ``client-data``, which the service repeats.
    :param document: the submitted document as the service gives it back (a JSON string), looked
        into only when the movie's ``client-data`` has no stamp.
    """
    mark = client_data.get(STAMP_KEY) if isinstance(client_data, Mapping) else None
    if mark is None and document and STAMP_KEY in document:
        try:
            mark = json.loads(document)["client-data"][STAMP_KEY]
        except (ValueError, KeyError, TypeError, RecursionError):
            return None
    if not isinstance(mark, Mapping):
        return None
    try:
        return Stamp(
            deployment=str(mark["deployment"]),
            submission_key=str(mark["submission_key"]),
            task_key=str(mark["task_key"]),
            name_key=str(mark["name_key"]),
            generation=int(mark["generation"]),
            attempt=int(mark["attempt"]),
            fingerprint=str(mark["fingerprint"]),
        )
    except (KeyError, TypeError, ValueError, OverflowError):  # anyone who has the account's key can write one
        return None


def is_of_another_deployment(client_data: Any, document: str | None, *, ours: str | None) -> bool:
    """Whether a render was submitted by another deployment; not so if no Airflow submitted it.

    :param client_data: as of :func:`read_stamp`; so is *document*. :param ours: None if this one has no id, so that it
        has submitted nothing.
    """
    stamp = read_stamp(client_data, document)
    return stamp is not None and stamp.deployment not in (ours, NO_DEPLOYMENT)


def _without_stamp(document: Mapping[str, Any]) -> dict[str, Any]:
    bare = dict(document)
    client_data = bare.get("client-data")
    if isinstance(client_data, Mapping):
        rest = {k: v for k, v in client_data.items() if k != STAMP_KEY}
        if rest:
            bare["client-data"] = rest
        else:
            bare.pop("client-data")
    return bare
