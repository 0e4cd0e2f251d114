"""``@task.json2video``: a function returns a movie, and the task renders it."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any, ClassVar, Literal, TypedDict, TypeVar, overload

from airflow.providers.common.compat.sdk import DecoratedOperator, determine_kwargs, task_decorator_factory

from airflow_json2video.exceptions import ConfigurationError, InvalidMovie, Json2VideoError
from airflow_json2video.operators.render import Json2VideoRenderOperator

if TYPE_CHECKING:
    import datetime as dt
    import os

    from airflow.providers.common.compat.sdk import Context, XComArg
    from airflow.sdk.bases.decorator import Task
    from typing_extensions import NotRequired, ParamSpec, Unpack

    from airflow_json2video.core.result import RenderResult
    from airflow_json2video.movie import Movie
    from airflow_json2video.operators._templating import Fields

    P = ParamSpec("P")

__all__ = ["RenderOptions", "TemplateRender", "json2video_task"]


class TemplateRender(TypedDict):
    """A stored template and its variables, as a function may return them.

    ::

        @task.json2video(retries=2)
        def greeting(name: str) -> TemplateRender:
            return {"template": "abc123def456ghi789jk", "variables": {"headline": f"Hello {name}"}}
    """

    template: str
    variables: NotRequired[Mapping[str, Any]]


class _TaskOptions(TypedDict, total=False):
    """The arguments of every Airflow operator, of 2.11 and of 3.0 to 3.3, that a decorator takes."""

    allow_nested_operators: bool
    default_args: dict[str, Any] | None
    depends_on_past: bool
    do_xcom_push: bool
    doc: str | None
    doc_json: str | None
    doc_md: str | None
    doc_rst: str | None
    doc_yaml: str | None
    email: str | Sequence[str] | None
    email_on_failure: bool
    email_on_retry: bool
    end_date: dt.datetime | None
    execution_timeout: timedelta | None
    executor: str | None
    executor_config: dict[str, Any] | None
    ignore_first_depends_on_past: bool
    inlets: Any
    logger_name: str | None
    map_index_template: str | None
    max_active_tis_per_dag: int | None
    max_active_tis_per_dagrun: int | None
    max_retry_delay: timedelta | float | None
    on_execute_callback: Any
    on_failure_callback: Any
    on_retry_callback: Any
    on_skipped_callback: Any
    on_success_callback: Any
    outlets: Any
    owner: str
    params: Mapping[str, Any] | None
    pool: str | None
    pool_slots: int
    post_execute: Any
    pre_execute: Any
    priority_weight: int
    queue: str
    render_template_as_native_obj: bool | None
    resources: dict[str, Any] | None
    retries: int | None
    retry_delay: timedelta | float
    retry_exponential_backoff: bool | float
    retry_policy: Any
    returns_dag_result: bool
    run_as_user: str | None
    sla: timedelta | None
    start_date: dt.datetime | None
    task_display_name: str | None
    task_group: Any
    task_id: str
    trigger_rule: str
    wait_for_downstream: bool
    wait_for_past_depends_before_skipping: bool
    weight_rule: Any


class RenderOptions(_TaskOptions, total=False):
    """The arguments of ``@task.json2video``: those of
    :class:`~airflow_json2video.operators.render.Json2VideoRenderOperator` without *movie* and *template*.
    """

    variables: Mapping[str, Any] | XComArg | None
    output_path: str | os.PathLike[str] | XComArg | None
    json2video_conn_id: str
    max_credits: float | None
    store: Sequence[Literal["video", "subtitles", "thumbnail"]]
    delete_remote: bool
    webhook: str | Mapping[str, Any] | XComArg | None
    min_remaining_credits: float | None
    wait_for_credits: timedelta | dt.datetime | dt.time | str | XComArg | None
    wait_for_completion: bool
    render_timeout: float | timedelta
    poll_interval: float
    deferrable: bool | None
    end_from_trigger: bool
    on_clear: Literal["reuse", "resubmit"]
    on_lost_response: Literal["resubmit", "fail"]
    durable: bool


if TYPE_CHECKING:
    R = TypeVar("R", bound=Movie | TemplateRender | Mapping[str, Any] | str)


class _Json2VideoDecoratedOperator(DecoratedOperator, Json2VideoRenderOperator):
    """Renders what a function returns.

    The function runs once per attempt, before the submission. After a deferral it does not run again: the deferral
    stores what it returned if the movie is not submitted yet.

    :param python_callable: returns Movie JSON as a mapping or text, a ``Movie``, or ``{"template", "variables"}``.
    :param op_args: positional arguments of the function (templated).
    :param op_kwargs: its named arguments (templated).
    """

    template_fields: Sequence[str] = (
        *DecoratedOperator.template_fields,
        *(name for name in Json2VideoRenderOperator.template_fields if name not in ("movie", "template")),
    )
    template_fields_renderers: ClassVar[dict[str, str]] = {
        **DecoratedOperator.template_fields_renderers,
        "variables": "json",
    }
    custom_operator_name: str = "@task.json2video"

    def __init__(
        self,
        *,
        python_callable: Callable[..., Any],
        op_args: Collection[Any] | None = None,
        op_kwargs: Mapping[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        for name in ("movie", "template"):
            if kwargs.pop(name, None) is not None:
                raise ConfigurationError(
                    f"@task.json2video does not accept {name!r}: the function {python_callable.__name__!r} returns "
                    "the movie.",
                    advice='Return it, for a stored template as {"template": ..., "variables": {...}}.',
                )
        super().__init__(
            python_callable=python_callable,
            op_args=op_args,
            op_kwargs=op_kwargs,
            movie={},  # until the function has run
            **kwargs,
        )

    @property
    def is_async(self) -> bool:
        """False: Airflow runs the task synchronously, and the task runs a coroutine function itself."""
        return False

    def _fill_fields(self, fields: Fields) -> None:
        from airflow_json2video.operators._document import fill_variables

        self._begin(fields.context).carry_over_history()
        fields.fill(*(name for name in fields.names if name not in ("op_kwargs", "variables")))
        fields.fill_arguments("op_kwargs")
        given = fields.given("variables")
        is_written = isinstance(given.value, Mapping) and not given.is_data
        self.variables = fill_variables(fields, given.value) if is_written else given.value

    def execute(self, context: Context) -> Any:
        """Run the function, submit the movie that it returns or reattach to its render, and wait for the video."""
        self._run_function(context)
        # Airflow 3.0's DecoratedOperator.execute() reads an attribute that its base no longer has.
        return Json2VideoRenderOperator.execute(self, context)

    def resume_submission(
        self,
        context: Context,
        event: Any = None,
        state: Mapping[str, Any] | None = None,
        document: Mapping[str, Any] | None = None,
        **_: Any,
    ) -> RenderResult:
        """Continue after a wait before the submission, with what the function returned before it."""
        if document is None:  # dag.test() does not pass the arguments on
            self._run_function(context)
        else:  # it includes the rendered variables
            self.movie, self.variables = document, None
        return super().resume_submission(context, event, state)

    def resume_arguments(self) -> dict[str, Any]:
        """Return what the function returned, since it does not run again."""
        return {"document": self.movie}

    def _run_function(self, context: Context) -> None:
        returned = self._call(context)
        try:
            self.movie, self.variables = self._as_document(returned), None
        except Json2VideoError as error:
            self._fail(error, context)

    def _call(self, context: Context) -> Any:
        # Not merged into the context, unlike other decorators: the function's names are not Airflow's.
        kwargs = {**determine_kwargs(self.python_callable, self.op_args, context), **self.op_kwargs}
        returned = self.python_callable(*self.op_args, **kwargs)
        return asyncio.run(_awaited(returned)) if inspect.iscoroutine(returned) else returned

    def _as_document(self, returned: Any) -> dict[str, Any]:
        from airflow_json2video.operators._document import build_document

        name = self.python_callable.__name__
        if not isinstance(returned, (Mapping, str, bytes)) and not hasattr(returned, "to_document"):
            raise InvalidMovie(
                f"The function {name!r} returned {type(returned).__name__}, which is not a movie.",
                advice='Return Movie JSON as a dictionary, a Movie, or {"template": ..., "variables": {...}}. '
                "Nothing was submitted.",
            )
        return build_document(
            movie=returned,
            template=None,
            variables=self.variables,
            from_json_file=f"What the function {name!r} returned",
        )


async def _awaited(coroutine: Any) -> Any:
    return await coroutine


if TYPE_CHECKING:

    @overload
    def json2video_task(python_callable: Callable[P, R]) -> Task[P, R]: ...

    @overload
    def json2video_task(
        *, multiple_outputs: bool = ..., **options: Unpack[RenderOptions]
    ) -> Callable[[Callable[P, R]], Task[P, R]]: ...


def json2video_task(
    python_callable: Callable[..., Any] | None = None, *, multiple_outputs: bool = False, **kwargs: Any
) -> Any:
    """Return a render task for a function that returns a movie. In a DAG file it is ``@task.json2video``.

    It accepts every argument of :class:`~airflow_json2video.operators.render.Json2VideoRenderOperator` except *movie*
    and *template*, which the function returns. As ``@json2video_task(...)``, type checkers check the arguments and
    what the function returns, which they cannot with Airflow's own ``task``.

    :param python_callable: the function.
    :param multiple_outputs: push each key of the *result* as a separate XCom. The function's annotation describes the
        movie, not the task's result, so it has no effect on this.
    :param kwargs: arguments of the operator.
    """
    return task_decorator_factory(
        python_callable=python_callable,
        multiple_outputs=multiple_outputs,
        decorated_operator_class=_Json2VideoDecoratedOperator,
        **kwargs,
    )
