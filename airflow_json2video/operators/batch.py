"""The operator for many: a batch of renders is one task, each of them paid for once."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any, ClassVar, Literal, NoReturn

from airflow_json2video.exceptions import ConfigurationError, Json2VideoError
from airflow_json2video.links import Json2VideoRenderLink
from airflow_json2video.operators.base import (
    Json2VideoBaseOperator,
    fail_task,
    path_to_str,
    refuse_arguments,
    require_end_of_wait,
    validate_choice,
    validate_credits,
)

if TYPE_CHECKING:
    import datetime as dt

    from airflow.providers.common.compat.sdk import Context, XComArg

    from airflow_json2video.core.batch import BatchResult
    from airflow_json2video.movie import Movie
    from airflow_json2video.operators._templating import Fields

__all__ = ["Json2VideoBatchRenderOperator"]

_MOST_IN_FLIGHT = 1000


class Json2VideoBatchRenderOperator(Json2VideoBaseOperator):
    """Renders up to 10,000 movies in one task, each paid for once, and without holding a worker slot.

    The rows come from *items* or *source*. With *movie* or *template*, each row is the variables of one render; without
    either, each row is a whole Movie JSON. All of them are read and checked before anything is submitted. Then the
    task goes on in slices: a worker submits until *max_in_flight* renders are under way, and the triggerer waits until
    enough of them have ended. A retry, or a run after a crash, finds what earlier attempts started and renders only
    what is missing.

    The result is a summary (:class:`~airflow_json2video.core.batch.BatchResult`); how each item ended stands in
    the report.

    :param items: the rows: a list, any iterable, a function that gives one, or an XCom. Data, and no template.
    :param source: instead of *items*, the path or address of a ``.csv``, ``.jsonl`` or ``.parquet`` file on object
        storage (templated).
    :param movie: Movie JSON that uses the rows' names as variables, in any of the forms that
        :class:`~airflow_json2video.operators.render.Json2VideoRenderOperator` takes (templated).
    :param template: id of a stored template, instead of *movie* (templated).
    :param variables: variables that all items share; a row's own go before them (templated).
    :param item_key: the name under which a row has its key, by which a retry knows it. Default: the row's number.
    :param max_in_flight: renders under way at a time, at most 1,000.
    :param submissions_per_minute: submissions within any minute.
    :param on_item_failure: ``"fail"``: after the first failure nothing more is submitted, what is under way is waited
        for, and the task fails. ``"continue"``: all items are tried.
    :param max_failures: with ``"continue"``, how many may fail without the task failing: a number, or a share below 1
        of all items. Default: any number.
    :param output_path: where to keep each video, as ``s3://aws_default@videos/{{ run_id }}/{item}.mp4`` (templated). In
        single braces: ``item``, the key; ``row``, its number; ``project``. Each stands there whole or not at all.
    :param store_subtitles: keep each render's ASS subtitles beside its video.
    :param store_thumbnail: keep each render's picture beside its video, where the service names one.
    :param delete_after_store: delete each file at JSON2Video, once what was stored has been looked at.
    :param max_credits: refuse to submit anything if the whole batch may cost more credits, by the estimate; a batch
        that cannot be estimated is refused too.
    :param min_remaining_credits: submit nothing more if fewer credits would be left in the account after what is under
        way. It is asked right before the submissions of each slice, which is free.
    :param on_quota_exhausted: when the account cannot pay, or has come to that reserve, and nothing is under way any
        more: ``"fail"``, or ``"wait"`` in the triggerer until it can, at most until *quota_wait_until*. With
        ``"fail"`` a refusal of the service's own ends the submissions at once.
    :param quota_wait_until: how long from the first refusal (a timedelta), or until when: a moment, or a time of day;
        UTC where it names no zone. Also as ISO text (templated). One for all waits of an attempt.
    :param report_path: path or address on object storage for the report: JSON Lines, one line an item (templated).
    :param json2video_conn_id: the connection that holds the API key (templated).
    :param poll_interval: seconds; scales the plan of looks.
    :param render_timeout: seconds (or a timedelta) from the submission of an item until it counts as failed.
    :param on_lost_response: when the response to the submission of an item was lost and the account's list has not
        shown the render for the connection's ``confirmation_time`` (five minutes): ``"resubmit"`` submits the item
        again, ``"fail"`` submits nothing more for it and fails the task without a retry.
    :param on_clear: what a person's clearing of a batch that had given its result means: ``"reuse"`` renders only what
        is missing or has changed, ``"resubmit"`` pays for everything anew.
    """

    template_fields: Sequence[str] = (
        *("items", "source", "movie", "template", "variables", "item_key"),
        *("output_path", "report_path", "json2video_conn_id", "quota_wait_until"),
    )
    template_fields_renderers: ClassVar[dict[str, str]] = {"movie": "json", "variables": "json"}
    operator_extra_links = (Json2VideoRenderLink(),)

    def __init__(
        self,
        *,
        items: Iterable[Mapping[str, Any] | Movie] | Callable[[], Iterable[Any]] | XComArg | None = None,
        source: str | os.PathLike[str] | XComArg | None = None,
        movie: Movie | Mapping[str, Any] | str | XComArg | None = None,
        template: str | XComArg | None = None,
        variables: Mapping[str, Any] | XComArg | None = None,
        item_key: str | None = None,
        max_in_flight: int = 100,
        submissions_per_minute: float = 300,
        on_item_failure: Literal["fail", "continue"] = "fail",
        max_failures: float | None = None,
        output_path: str | os.PathLike[str] | XComArg | None = None,
        store_subtitles: bool = False,
        store_thumbnail: bool = False,
        delete_after_store: bool = False,
        max_credits: float | None = None,
        min_remaining_credits: float | None = None,
        on_quota_exhausted: Literal["fail", "wait"] = "fail",
        quota_wait_until: timedelta | dt.datetime | dt.time | str | None = None,
        report_path: str | os.PathLike[str] | XComArg | None = None,
        json2video_conn_id: str = "json2video_default",
        poll_interval: float = 10.0,
        render_timeout: float | timedelta = 3600.0,
        on_lost_response: Literal["resubmit", "fail"] = "resubmit",
        on_clear: Literal["reuse", "resubmit"] = "reuse",
        **kwargs: Any,
    ) -> None:
        super().__init__(json2video_conn_id=json2video_conn_id, **kwargs)
        to_document = getattr(movie, "to_document", None)
        self.items: Any = _Rows.of(items)
        self.source: Any = path_to_str(source)
        self.movie: Any = movie if to_document is None else to_document()
        self.template: Any = template
        self.variables: Any = variables
        self.item_key = item_key
        self.max_in_flight = int(_within("max_in_flight", max_in_flight, 1, _MOST_IN_FLIGHT))
        self.submissions_per_minute = _within("submissions_per_minute", submissions_per_minute, 1, 60_000)
        self.on_item_failure = validate_choice("on_item_failure", on_item_failure, ("fail", "continue"))
        self.max_failures = None if max_failures is None else _within("max_failures", max_failures, 0, 10_000)
        self.output_path: Any = path_to_str(output_path)
        self.store_subtitles = store_subtitles
        self.store_thumbnail = store_thumbnail
        self.delete_after_store = delete_after_store
        self.max_credits = validate_credits("max_credits", max_credits)
        self.min_remaining_credits = validate_credits("min_remaining_credits", min_remaining_credits)
        self.on_quota_exhausted = validate_choice("on_quota_exhausted", on_quota_exhausted, ("fail", "wait"))
        self.quota_wait_until = quota_wait_until
        self.report_path: Any = path_to_str(report_path)
        self.poll_interval = _within("poll_interval", poll_interval, 0.01, 86400)
        seconds = render_timeout.total_seconds() if isinstance(render_timeout, timedelta) else render_timeout
        self.render_timeout = _within("render_timeout", seconds, 0.01, 7 * 86400)
        self.on_lost_response = validate_choice("on_lost_response", on_lost_response, ("resubmit", "fail"))
        self.on_clear = validate_choice("on_clear", on_clear, ("resubmit", "reuse"))
        self._rows: list[dict[str, Any]] | None = None
        self._handed_on = False
        if (items is None) == (source is None):
            refuse_arguments(
                self,
                f"Task {self.task_id!r}: a batch needs either 'items' or 'source', got "
                f"{'neither' if items is None else 'both'}.",
            )
        if movie is not None and template is not None:
            raise ConfigurationError(f"Task {self.task_id!r}: a batch takes 'movie' or 'template', and got both.")
        require_end_of_wait(self.task_id, on_quota_exhausted=self.on_quota_exhausted, quota_wait_until=quota_wait_until)

    def _fill_fields(self, fields: Fields) -> None:
        from airflow_json2video.core.batch_items import columns_of
        from airflow_json2video.operators._document import fill_document, fill_source

        self._hand_on(fields.context)
        fields.fill(*(name for name in fields.names if name not in ("movie", "variables", "items", "source")))
        fill_source(fields)
        self.items = fields.given("items").value
        rows = self._read_rows(fields.context)
        if rows:  # without any, the movie's expressions belong to nobody, and the task is skipped
            fill_document(fields, columns=columns_of(rows) if self.movie is not None else ())
        # What Airflow stores of a rendered field is for people to see.
        self.items = f"{len(rows):,} rows" if self.items is not None else None

    def execute(self, context: Context) -> BatchResult:
        """Check all items, find what earlier attempts started, and do the first slice."""
        self._hand_on(context)
        self._skip_if_empty(context)
        return self._slice(context, event=None, is_resumed=False)

    def resume_batch(self, context: Context, event: Any = None, **_: Any) -> BatchResult:
        """Go on after the trigger has fired."""
        return self._slice(context, event=event, is_resumed=True)

    def resume_submission(self, context: Context, event: Any = None, **_: Any) -> BatchResult:
        """Go on after an outage, or a time without credits."""
        return self._slice(context, event=event, is_resumed=True)

    def on_kill(self) -> None:
        """Say what becomes of the renders when a person or a timeout ends the task on the worker."""
        self.log.warning(
            "Renders that were submitted cannot be cancelled: they go on and are billed. The next attempt of this task "
            "adopts them."
        )

    def _slice(self, context: Context, *, event: Any, is_resumed: bool) -> BatchResult:
        from airflow_json2video.operators._batch.runner import BatchStep
        from airflow_json2video.version_compat import as_outputs

        try:
            done = BatchStep(self, context, rows=self._read_rows(context)).run(event, is_resumed=is_resumed)
            return as_outputs(self, done)
        except Json2VideoError as error:
            self._fail(error, context)

    def _skip_if_empty(self, context: Context) -> None:
        """Skip a batch of no rows, as Airflow skips a task that is mapped over nothing."""
        from airflow.providers.common.compat.sdk import AirflowSkipException

        try:
            rows = self._read_rows(context)
        except Json2VideoError as error:
            self._fail(error, context)
        if not rows:
            raise AirflowSkipException(f"{self.source or 'items'} has no rows. Nothing was submitted.")

    def _read_rows(self, context: Context) -> list[dict[str, Any]]:
        if self._rows is None:
            from airflow_json2video.core.batch_items import rows_of

            if self.source is not None:
                from airflow_json2video.batch.rows import read_rows

                self._rows = rows_of(read_rows(str(self.source)), source=str(self.source), key=self.item_key)
            else:
                self._rows = rows_of(_resolved(self.items, context), source="items", key=self.item_key)
        return self._rows

    def _hand_on(self, context: Context) -> None:
        ti = context.get("ti")  # fields are also rendered for show, by no attempt
        if self.on_clear == "resubmit" and ti is not None and not self._handed_on:
            from airflow_json2video.submission.attempt import carry_over_history

            carry_over_history(ti)
            self._handed_on = True

    def _fail(self, error: Json2VideoError, context: Context) -> NoReturn:
        """Fail the task: for good where a retry cannot help, else so that Airflow retries it."""
        from airflow_json2video.exceptions import AttemptSuperseded
        from airflow_json2video.version_compat import end_superseded_attempt

        attempt, attempts = context["ti"].try_number, context["ti"].max_tries + 1
        if error.retryable:
            then = "Airflow tries again." if attempt < attempts else "No attempt is left."
            error = error.with_context(
                advice=f"{error.advice} This was attempt {attempt} of {attempts}. {then}".strip()
            )
        if isinstance(error, AttemptSuperseded):
            error.report(self.log)
            end_superseded_attempt()
        fail_task(error, log=self.log)


class _Rows:
    """Rows that are given one by one. Airflow stores and copies an operator's fields: this has the same text whenever
    the DAG file is parsed, and a copy is the thing itself.
    """

    def __init__(self, given: Iterable[Any] | Callable[[], Iterable[Any]]) -> None:
        self._given = given

    @classmethod
    def of(cls, items: Any) -> Any:
        """Wrap what gives rows one by one; leave lists, XComs and what is no source of rows at all."""
        if isinstance(items, (list, tuple, str, bytes, Mapping)) or hasattr(items, "resolve"):
            return items
        return cls(items) if callable(items) or isinstance(items, Iterable) else items

    def __iter__(self) -> Iterator[Any]:
        return iter(_iterable(self._given() if callable(self._given) else self._given))

    def __repr__(self) -> str:
        return f"<rows of {getattr(self._given, '__qualname__', type(self._given).__name__)}>"

    def __deepcopy__(self, memo: dict[int, Any]) -> _Rows:
        return self


def _resolved(items: Any, context: Context) -> Iterable[Any]:
    resolve = getattr(items, "resolve", None)
    return _iterable(resolve(context) if callable(resolve) else items)


def _iterable(items: Any) -> Iterable[Any]:
    if isinstance(items, (str, bytes, Mapping)) or not isinstance(items, Iterable):
        raise ConfigurationError(
            f"'items' must be a list of rows, and it is {type(items).__name__}.", advice="Nothing was submitted."
        )
    return items


def _within(name: str, value: Any, low: float, high: float) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not low <= value <= high:
        raise ConfigurationError(f"{name} must be a number from {low:,} to {high:,}, not {value!r}.")
    return float(value)
