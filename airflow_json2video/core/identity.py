"""Identify the task that a render belongs to: the submission key, the fingerprint, and the stamp that carries both.

The stamp is stored in the movie's ``client-data``, which the service returns in its list. So the service itself is the
journal: any attempt on any machine can find what an earlier one started.
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
"""The only key in ``client-data`` that this package writes; everything else belongs to the author of the movie."""

STAMP_VERSION = 1
"""The version of the stamp's format. A later version still has these fields, with the same meaning, and more."""

NO_DEPLOYMENT = ""
"""The deployment of a render that was not submitted by Airflow but by the command line."""

_NAMESPACE, _ID = "namespace:", "id:"


def deployment_from_namespace(namespace: str) -> str:
    """Return the deployment that a connection's ``namespace`` names. It never equals one that has an id."""
    return f"{_NAMESPACE}{namespace}"


def deployment_from_id(value: str) -> str:
    """Return the deployment that has this id."""
    return f"{_ID}{value}"


def deployment_id(deployment: str) -> str | None:
    """Return the id of a deployment; None for one that has a name or is :data:`NO_DEPLOYMENT`."""
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
    """One task instance of one deployment, or one item of its batch, and how often it was cleared.

    :param deployment: see :func:`deployment_from_namespace` and :func:`deployment_from_id`. Two deployments with one
        account may run the same DAG with the same run id, and must not share their renders.
    :param generation: the task instance's ``max_tries``. In every Airflow from 2.11 to 3.3 a retry does not change it,
        and a clear of a finished task increases it, so no separate state is needed to distinguish the two.
    :param item: the key of the item, if the task renders many.
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
        """Identifies the task instance of this deployment, or its item, in every generation."""
        return self._digest(self.deployment, *self._names)

    @property
    def name_key(self) -> str:
        """The same in every deployment that has a task instance, or an item, with these names."""
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
        """Links a project to this task instance and generation. It never contains the try number."""
        readable = re.sub(r"[^A-Za-z0-9_.-]", "_", f"{self.dag_id}.{self.task_id}")[:60]
        return f"{readable}-{self._digest(self.task_key, str(self.generation))}"

    @staticmethod
    def _digest(*parts: str) -> str:
        return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:24]


@dataclass(frozen=True)
class Stamp:
    """What a submitted document says about the task that submitted it.

    :param attempt: the try number that sent it. It is not part of the key. After a lost response it distinguishes
        this attempt's own render from those of earlier attempts.
    :param name_key: see :attr:`TaskIdentity.name_key`. It never makes a render this task's own; it only
        shows that another deployment has the same task.
    """

    deployment: str
    submission_key: str
    task_key: str
    name_key: str
    generation: int
    attempt: int
    fingerprint: str

    @classmethod
    def of(cls, identity: TaskIdentity, document_fingerprint: str, *, attempt: int) -> Stamp:
        """Return the stamp of *identity* for the document with this fingerprint."""
        return cls(
            deployment=identity.deployment,
            submission_key=identity.submission_key,
            task_key=identity.task_key,
            name_key=identity.name_key,
            generation=identity.generation,
            attempt=attempt,
            fingerprint=document_fingerprint,
        )

    def is_same_task_elsewhere(self, mine: Stamp) -> bool:
        """Return whether this stamp belongs to the same task of another deployment."""
        return self.name_key == mine.name_key and self.deployment != mine.deployment


def fingerprint(document: Mapping[str, Any]) -> str:
    """Return a hash of the document without its stamp; the order of keys does not matter.

    The account is not part of the hash: a render is searched for in the list of the account that would pay for the
    new one, so a renamed connection still finds it.
    """
    bare = _without_stamp(document)
    try:
        canonical = json.dumps(bare, sort_keys=True, separators=(",", ":"), default=repr)
    except TypeError:  # keys that JSON does not allow: sending the document raises the error that says where
        canonical = repr(bare)
    return hashlib.sha256(canonical.encode()).hexdigest()[:32]


def add_stamp(document: Mapping[str, Any], stamp: Stamp) -> dict[str, Any]:
    """Return a copy of *document* with the stamp added to its ``client-data``."""
    stamped = dict(document)
    client_data = stamped.get("client-data")
    stamped["client-data"] = {
        **(client_data if isinstance(client_data, Mapping) else {}),
        STAMP_KEY: {
            "version": STAMP_VERSION,
            "deployment": stamp.deployment,
            "submission_key": stamp.submission_key,
            "task_key": stamp.task_key,
            "name_key": stamp.name_key,
            "generation": stamp.generation,
            "attempt": stamp.attempt,
            "fingerprint": stamp.fingerprint,
        },
    }
    return stamped


def read_stamp(client_data: Any, document: str | None = None) -> Stamp | None:
    """Read the stamp of a listed movie; None for documents of other users and tools.

    :param client_data: the movie's own ``client-data``, as the service returns it.
    :param document: the submitted document as the service returns it (a JSON string), read only if ``client_data``
        does not contain a stamp.
    """
    fields = client_data.get(STAMP_KEY) if isinstance(client_data, Mapping) else None
    if fields is None and document and STAMP_KEY in document:
        try:
            fields = json.loads(document)["client-data"][STAMP_KEY]
        except (ValueError, KeyError, TypeError, RecursionError):
            return None
    if not isinstance(fields, Mapping):
        return None
    try:
        return Stamp(
            deployment=str(fields["deployment"]),
            submission_key=str(fields["submission_key"]),
            task_key=str(fields["task_key"]),
            name_key=str(fields["name_key"]),
            generation=int(fields["generation"]),
            attempt=int(fields["attempt"]),
            fingerprint=str(fields["fingerprint"]),
        )
    except (KeyError, TypeError, ValueError, OverflowError):  # anyone with the account's key can write a stamp
        return None


def is_of_another_deployment(client_data: Any, document: str | None, *, ours: str | None) -> bool:
    """Return whether a render was submitted by another deployment of Airflow.

    :param client_data: see :func:`read_stamp`, also for *document*.
    :param ours: this deployment; None if it does not have an id, and so has submitted nothing.
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
