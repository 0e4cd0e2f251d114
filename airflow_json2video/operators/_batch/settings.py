"""What the runner of a batch gets from its operator: the rendered arguments, and the task that it defers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from airflow_json2video.core.batch import BatchRules
from airflow_json2video.core.submission import OnClear, OnLostResponse
from airflow_json2video.exceptions import ConfigurationError
from airflow_json2video.operators._document import build_document, plain_document
from airflow_json2video.triggers._protocols import DeferrableTask

if TYPE_CHECKING:
    from collections.abc import Iterable

    from airflow_json2video.task_log import BatchLog

__all__ = ["BatchSettings", "BatchTask"]


class BatchTask(DeferrableTask, Protocol):
    """What the runner needs of the operator itself."""

    @property
    def outlets(self) -> Iterable[Any]: ...

    @property
    def log(self) -> BatchLog: ...


@dataclass(frozen=True, kw_only=True)
class BatchSettings:
    """The rendered arguments of one batch; see the operator.

    :ivar executor: see :func:`.remote_executor`.
    """

    source: str | None
    movie: Any
    template: str | None
    variables: Mapping[str, Any] | None
    item_key: str | None
    max_in_flight: int
    submissions_per_minute: float
    max_failures: float | None
    output_path: str | None
    store: tuple[str, ...]
    delete_remote: bool
    max_credits: float | None
    min_remaining_credits: float | None
    wait_for_credits: Any
    report_path: str | None
    poll_interval: float
    render_timeout: float
    on_lost_response: OnLostResponse
    on_clear: OnClear
    executor: str | None

    @property
    def rules(self) -> BatchRules:
        """The limits of the batch."""
        return BatchRules(max_in_flight=self.max_in_flight, max_failures=self.max_failures)

    def base_document(self) -> dict[str, Any] | None:
        """Build the document that all items share; None if each row is a whole movie.

        :raises Json2VideoError: the arguments do not form a document.
        """
        if self.movie is None and self.template is None:
            return None
        base = plain_document(build_document(movie=self.movie, template=self.template, variables=self.variables))
        if base.get("variables") is not None and not isinstance(base["variables"], Mapping):
            raise ConfigurationError("The movie's 'variables' must be an object.", advice="Nothing was submitted.")
        return base
