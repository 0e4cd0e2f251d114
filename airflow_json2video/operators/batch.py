"""The operator that renders many movies in one task."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any, ClassVar, Literal, NoReturn

from airflow_json2video.exceptions import AttemptSuperseded, ConfigurationError, Json2VideoError
from airflow_json2video.links import Json2VideoRenderLink
from airflow_json2video.operators.base import (
    Json2VideoBaseOperator,
    fail_task,
    path_to_str,
    refuse_arguments,
    validate_choice,
    validate_credits,
    validate_store,
    validate_wait_for_credits,
)

if TYPE_CHECKING:
    import datetime as dt

    from airflow.providers.common.compat.sdk import Context, XComArg

    from airflow_json2video.core.batch import BatchResult
    from airflow_json2video.movie import Movie
    from airflow_json2video.operators._batch.settings import BatchSettings
    from airflow_json2video.operators._templating import Fields

__all__ = ["Json2VideoBatchRenderOperator"]

_MAX_IN_FLIGHT = 1000


class Json2VideoBatchRenderOperator(Json2VideoBaseOperator):
    """Renders up to 10,000 movies in one task. Each item is paid for once, and no worker slot is held while it renders.

    The rows come from *items* or *source*. With *movie* or *template*, each row is the variables of one render; without
    either, each row is a whole Movie JSON. All rows are read and checked before anything is submitted. Then the task
    runs in steps: a worker submits until *max_in_flight* renders are in flight, and the triggerer waits until enough
    of them have ended. A retry, or a run after a crash, finds the renders of earlier attempts and renders only what
    is missing.

    The result is a summary (:class:`~airflow_json2video.core.batch.BatchResult`); the report lists every item.

    The arguments you need:

    :param items: the rows: a list, any iterable, a function that returns one, or an XCom. It is not templated.
    :param source: instead of *items*, the path or address of a ``.csv``, ``.jsonl`` or ``.parquet`` file on object
        storage (templated).
    :param movie: Movie JSON that uses the rows' names as variables, in any of the forms that
        :class:`~airflow_json2video.operators.render.Json2VideoRenderOperator` accepts (templated).
    :param template: id of a stored template, instead of *movie* (templated).
    :param output_path: path of each video, such as ``s3://aws_default@videos/{{ run_id }}/{item}.mp4`` (templated). In
        single braces: ``item``, the key; ``row``, its number; ``project``. A video is stored completely or not at all.
    :param report_path: path or address on object storage of the report: JSON Lines, one line per item (templated).

    Rows:

    :param variables: variables that all items share; a row's own values take precedence (templated).
    :param item_key: name of the column that identifies a row across retries. Default: the row's number.

    Rate and failures:

    :param max_in_flight: renders in flight at a time, at most 1,000.
    :param submissions_per_minute: submissions within any minute.
    :param max_failures: how many items may fail without failing the task. With 0, the first failure stops the batch:
        nothing more is submitted, the renders in flight are waited for, and the task fails. With another number, a
        share below 1 of all items, or None for any number, all items are submitted.
    :param render_timeout: seconds, or a timedelta, from the submission of an item until it counts as failed.
    :param on_lost_response: when the response to the submission of an item was lost and the account's list has not
        shown the render for the connection's ``confirmation_time`` (five minutes): ``"resubmit"`` submits the item
        again, ``"fail"`` submits nothing more for it and fails the task without a retry.
    :param on_clear: when the task is cleared after it succeeded: ``"reuse"`` renders only what is missing or has
        changed, ``"resubmit"`` renders, and bills, everything again.

    Stored files:

    :param store: files to store for each render: ``"video"``, and with it ``"subtitles"`` (ASS) and ``"thumbnail"``.
    :param delete_remote: delete JSON2Video's copy after the stored file has been verified.

    Cost:

    :param max_credits: refuse to submit anything if the estimated cost of the whole batch is higher, or unknown.
    :param min_remaining_credits: submit nothing more if fewer credits would remain in the account after the renders in
        flight. The balance is read immediately before the submissions of each step, which is free.
    :param wait_for_credits: wait in the triggerer for credits when the account cannot pay, or has reached the reserve,
        and no render is in flight. It is the limit of the wait: a timedelta from the first refusal, a moment or a time
        of day (UTC without a time zone), or either as ISO text (templated). One limit holds for all waits of an
        attempt. Default: do not wait; a refusal by the service stops the submissions immediately.

    Connection:

    :param json2video_conn_id: the connection with the API key (templated).
    :param poll_interval: seconds; scales the intervals at which renders are polled.
    """

    template_fields: Sequence[str] = (
        *("items", "source", "movie", "template", "variables", "item_key"),
        *("output_path", "report_path", "json2video_conn_id", "wait_for_credits"),
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
        output_path: str | os.PathLike[str] | XComArg | None = None,
        report_path: str | os.PathLike[str] | XComArg | None = None,
        variables: Mapping[str, Any] | XComArg | None = None,
        item_key: str | None = None,
        max_in_flight: int = 100,
        submissions_per_minute: float = 300,
        max_failures: float | None = 0,
        render_timeout: float | timedelta = 3600.0,
        on_lost_response: Literal["resubmit", "fail"] = "resubmit",
        on_clear: Literal["reuse", "resubmit"] = "reuse",
        store: Sequence[str] = ("video",),
        delete_remote: bool = False,
        max_credits: float | None = None,
        min_remaining_credits: float | None = None,
        wait_for_credits: timedelta | dt.datetime | dt.time | str | XComArg | None = None,
        json2video_conn_id: str = "json2video_default",
        poll_interval: float = 10.0,
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
        self.max_in_flight = int(_number("max_in_flight", max_in_flight, 1, _MAX_IN_FLIGHT))
        self.submissions_per_minute = _number("submissions_per_minute", submissions_per_minute, 1, 60_000)
        self.max_failures = None if max_failures is None else _number("max_failures", max_failures, 0, 10_000)
        self.output_path: Any = path_to_str(output_path)
        self.store = validate_store(store, delete_remote=delete_remote, output_path=output_path)
        self.delete_remote = delete_remote
        self.max_credits = validate_credits("max_credits", max_credits)
        self.min_remaining_credits = validate_credits("min_remaining_credits", min_remaining_credits)
        self.wait_for_credits: Any = validate_wait_for_credits(wait_for_credits)
        self.report_path: Any = path_to_str(report_path)
        self.poll_interval = _number("poll_interval", poll_interval, 0.01, 86400)
        seconds = render_timeout.total_seconds() if isinstance(render_timeout, timedelta) else render_timeout
        self.render_timeout = _number("render_timeout", seconds, 0.01, 7 * 86400)
        self.on_lost_response = validate_choice("on_lost_response", on_lost_response, ("resubmit", "fail"))
        self.on_clear = validate_choice("on_clear", on_clear, ("resubmit", "reuse"))
        self._rows: list[dict[str, Any]] | None = None
        self._is_history_carried_over = False
        if (items is None) == (source is None):
            refuse_arguments(
                self,
                f"Task {self.task_id!r}: a batch needs either 'items' or 'source', got "
                f"{'neither' if items is None else 'both'}.",
            )
        if movie is not None and template is not None:
            raise ConfigurationError(f"Task {self.task_id!r}: a batch takes 'movie' or 'template', got both.")

    def _fill_fields(self, fields: Fields) -> None:
        from airflow_json2video.core.batch_items import columns_of
        from airflow_json2video.operators._document import fill_document, fill_source

        self._carry_over_history(fields.context)
        fields.fill(*(name for name in fields.names if name not in ("movie", "variables", "items", "source")))
        fill_source(fields)
        self.items = fields.given("items").value
        rows = self._read_rows(fields.context)
        if rows:  # without rows, the movie's expressions have no values, and the task is skipped
            fill_document(fields, columns=columns_of(rows) if self.movie is not None else ())
        # Airflow stores the rendered field only to show it.
        self.items = f"{len(rows):,} rows" if self.items is not None else None

    def execute(self, context: Context) -> BatchResult:
        """Check all items, find the renders of earlier attempts, and run the first step."""
        self._carry_over_history(context)
        self._skip_if_empty(context)
        return self._run_step(context, event=None, is_resumed=False)

    def resume_batch(self, context: Context, event: Any = None, **_: Any) -> BatchResult:
        """Run the next step after the trigger has fired."""
        return self._run_step(context, event=event, is_resumed=True)

    def resume_submission(self, context: Context, event: Any = None, **_: Any) -> BatchResult:
        """Run the next step after an outage, or after a wait for credits."""
        return self._run_step(context, event=event, is_resumed=True)

    def on_kill(self) -> None:
        """Log that the renders keep running when the task is ended on the worker, by a user or a timeout."""
        self.log.warning(
            "Submitted renders cannot be canceled: they keep running and will be billed. The next attempt of this "
            "task reattaches to them."
        )

    def _run_step(self, context: Context, *, event: Any, is_resumed: bool) -> BatchResult:
        from airflow_json2video.operators._batch.runner import BatchStep
        from airflow_json2video.version_compat import as_outputs

        try:
            step = BatchStep(self._settings(), task=self, context=context, rows=self._read_rows(context))
            return as_outputs(self, step.run(event, is_resumed=is_resumed))
        except Json2VideoError as error:
            self._fail(error, context)

    def _settings(self) -> BatchSettings:
        from airflow_json2video.operators._batch.settings import BatchSettings
        from airflow_json2video.version_compat import remote_executor

        return BatchSettings(
            source=None if self.source is None else str(self.source),
            movie=self.movie,
            template=self.template,
            variables=self.variables,
            item_key=self.item_key,
            max_in_flight=self.max_in_flight,
            submissions_per_minute=self.submissions_per_minute,
            max_failures=self.max_failures,
            output_path=None if self.output_path is None else str(self.output_path),
            store=self.store,
            delete_remote=self.delete_remote,
            max_credits=self.max_credits,
            min_remaining_credits=self.min_remaining_credits,
            wait_for_credits=self.wait_for_credits,
            report_path=str(self.report_path) if self.report_path else None,
            poll_interval=self.poll_interval,
            render_timeout=self.render_timeout,
            on_lost_response=self.on_lost_response,
            on_clear=self.on_clear,
            executor=remote_executor(self),
        )

    def _skip_if_empty(self, context: Context) -> None:
        """Skip a batch without rows, as Airflow skips a task that is mapped over an empty list."""
        from airflow.providers.common.compat.sdk import AirflowSkipException

        try:
            rows = self._read_rows(context)
        except Json2VideoError as error:
            self._fail(error, context)
        if not rows:
            raise AirflowSkipException(f"{self.source or 'items'} has no rows. Nothing was submitted.")

    def _read_rows(self, context: Context) -> list[dict[str, Any]]:
        if self._rows is None:
            from airflow_json2video.batch.rows import load_rows

            source = None if self.source is None else str(self.source)
            items = () if source is not None else _resolved(self.items, context)
            self._rows = load_rows(items, source=source, key=self.item_key)
        return self._rows

    def _carry_over_history(self, context: Context) -> None:
        ti = context.get("ti")  # fields are also rendered for display, outside of an attempt
        if self.on_clear == "resubmit" and ti is not None and not self._is_history_carried_over:
            from airflow_json2video.submission.attempt import carry_over_history

            carry_over_history(ti)
            self._is_history_carried_over = True

    def _fail(self, error: Json2VideoError, context: Context) -> NoReturn:
        """Fail the task: without a retry if that cannot help, else so that Airflow retries it."""
        from airflow_json2video.version_compat import end_superseded_attempt

        if isinstance(error, AttemptSuperseded):
            error.report(self.log)
            end_superseded_attempt()
        if error.retryable:
            attempt, attempts = context["ti"].try_number, context["ti"].max_tries + 1
            then = "Airflow will retry." if attempt < attempts else "No retries left."
            error = error.with_context(
                advice=f"{error.advice} This was attempt {attempt} of {attempts}. {then}".strip()
            )
        fail_task(error, log=self.log)


class _Rows:
    """Rows of an iterable or a function. Airflow stores and copies an operator's fields: the text of this one is the
    same whenever the DAG file is parsed, and a copy is the object itself.
    """

    def __init__(self, source: Iterable[Any] | Callable[[], Iterable[Any]]) -> None:
        self._source = source

    @classmethod
    def of(cls, items: Any) -> Any:
        """Wrap iterables and functions; return lists, XComs and values that are not rows unchanged."""
        if isinstance(items, (list, tuple, str, bytes, Mapping)) or hasattr(items, "resolve"):
            return items
        return cls(items) if callable(items) or isinstance(items, Iterable) else items

    def __iter__(self) -> Iterator[Any]:
        return iter(_iterable(self._source() if callable(self._source) else self._source))

    def __repr__(self) -> str:
        return f"<rows of {getattr(self._source, '__qualname__', type(self._source).__name__)}>"

    def __deepcopy__(self, memo: dict[int, Any]) -> _Rows:
        return self


def _resolved(items: Any, context: Context) -> Iterable[Any]:
    resolve = getattr(items, "resolve", None)
    return _iterable(resolve(context) if callable(resolve) else items)


def _iterable(items: Any) -> Iterable[Any]:
    if isinstance(items, (str, bytes, Mapping)) or not isinstance(items, Iterable):
        raise ConfigurationError(
            f"'items' must be a list of rows, got {type(items).__name__}.", advice="Nothing was submitted."
        )
    return items


def _number(name: str, value: Any, low: float, high: float) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not low <= value <= high:
        raise ConfigurationError(f"{name} must be a number from {low:,} to {high:,}, got {value!r}.")
    return float(value)
