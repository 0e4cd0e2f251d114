"""The operator: submits a movie, waits for its video, gives its facts to the next task."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any, ClassVar, Literal, NoReturn

from airflow_json2video.exceptions import ConfigurationError, Json2VideoError
from airflow_json2video.links import Json2VideoRenderLink, dashboard_url
from airflow_json2video.operators.base import (
    Json2VideoBaseOperator,
    fail_task,
    path_to_str,
    refuse_arguments,
    require_end_of_wait,
    to_seconds,
    validate_choice,
    validate_credits,
)

if TYPE_CHECKING:
    import datetime as dt

    from airflow.providers.common.compat.sdk import Context, XComArg

    from airflow_json2video.core.identity import TaskIdentity
    from airflow_json2video.core.render_status import RenderOutcome, RenderTracker
    from airflow_json2video.core.result import RenderResult
    from airflow_json2video.movie import Movie
    from airflow_json2video.operators._deferral import ResumeState
    from airflow_json2video.operators._storage import VideoStore
    from airflow_json2video.operators._templating import Fields
    from airflow_json2video.submission.budget import Budget
    from airflow_json2video.submission.submitter import SubmittedRender, Submitter

__all__ = ["Json2VideoRenderOperator"]

_LONGEST_HOLD = 15.0
"""Seconds that a deferrable task which has to wait holds its worker slot; for longer it defers."""


class Json2VideoRenderOperator(Json2VideoBaseOperator):
    """Renders a movie with JSON2Video, paid for once, and without holding a worker slot while it renders.

    The movie is checked, submitted once, and waited for in the triggerer. A retry, or a run after a
    crash, finds the render that an earlier attempt started and adopts it. The result is a plain
    dictionary (:class:`~airflow_json2video.core.result.RenderResult`).

    **Braces.** Movie JSON and Airflow both write ``{{ name }}``. An expression is Airflow's when every
    name in it is one of Airflow's context, JSON2Video's when every name is a variable of the movie;
    one that is both or neither fails the task and is shown with its place in the document.

    :param movie: Movie JSON as a dictionary, as text, as a :class:`~airflow_json2video.movie.Movie`, or as a
        path that ends in ``.json``, found like any template file (templated).
    :param template: id of a template stored at JSON2Video, instead of *movie* (templated).
    :param variables: laid over the variables of the movie, or handed to the template (templated).
    :param check_template_variables: read the JSON Schema of the stored template before a submission, and fail on
        variables that do not fit it. One request; a service that does not give it is a warning.
    :param webhook: https address that JSON2Video calls when the render has ended, or a whole webhook destination; it
        is put into the movie's ``exports`` (templated). The task waits all the same.
    :param json2video_conn_id: the connection that holds the API key (templated).
    :param poll_interval: seconds; scales the plan of looks, which follows the account's render times. Between two looks
        at JSON2Video there are never less than 5.
    :param render_timeout: seconds (or a timedelta) from the submission until the task gives up waiting.
        Absolute: no restart, resumption or retry extends it. The render itself cannot be cancelled.
    :param timeout_starts: what *render_timeout* counts from: the ``"submission"`` of the render, one deadline
        for all attempts that wait for it, or each ``"attempt"`` that waits.
    :param deferrable: wait in the triggerer (default), or on the worker with the same behaviour.
    :param end_from_trigger: let the trigger end the task when the render is done, so that no worker is needed for it;
        ignored, with a line in the log, where a worker has more to do (outlets, callbacks, listeners).
    :param wait: ``False`` ends the task at once after the submission; the result holds the project.
    :param durable: put a stamp into the movie's ``client-data`` by which a later attempt finds the render.
        ``False`` sends the document exactly as it is; a retry then pays again.
    :param on_lost_response: when the response to the submission was lost and the account's list has not shown the
        render for the connection's ``confirmation_time`` (five minutes): ``"resubmit"`` submits again, ``"fail"``
        submits nothing more and fails the task without a retry.
    :param on_clear: what clearing a task that had returned its result means: ``"reuse"`` returns the same render
        while its file exists and the document is the same, ``"resubmit"`` pays for a new one. A render that the task
        has not returned as its result yet is adopted in any case.
    :param output_path: where to keep the video, as ``s3://aws_default@videos/{{ run_id }}/{project}.mp4``: a local path
        or any that Airflow's ``ObjectStoragePath`` reads (templated). ``{project}`` in single braces is the render.
        It stands there whole or not at all; before the submission a small file is written there and deleted.
    :param store_subtitles: keep the render's ASS subtitles beside the video.
    :param store_thumbnail: keep the render's picture beside the video, where the service names one.
    :param delete_after_store: delete the file at JSON2Video, once what was stored has been checked. It is the only
        copy then: a path that another video stands at is refused before anything is paid for.
    :param max_credits: refuse to submit a movie that may cost more credits, by the estimate; one that cannot be
        estimated is refused too. A render that an earlier attempt paid for is adopted all the same.
    :param min_remaining_credits: refuse to submit if fewer credits would be left in the account. It is asked right
        before the submission, which is free.
    :param on_quota_exhausted: when the account cannot pay, or has come to that reserve: ``"fail"``, or ``"wait"`` in
        the triggerer until it can, at most until *quota_wait_until*.
    :param quota_wait_until: how long from the refusal (a timedelta), or until when: a moment, or a time of day; UTC
        where it names no zone. Also as ISO text (templated).
    """

    template_fields: Sequence[str] = (
        "movie",
        "template",
        "variables",
        "webhook",
        "json2video_conn_id",
        "output_path",
        "quota_wait_until",
    )
    template_fields_renderers: ClassVar[dict[str, str]] = {"movie": "json", "variables": "json"}
    operator_extra_links = (Json2VideoRenderLink(),)

    def __init__(
        self,
        *,
        movie: Movie | Mapping[str, Any] | str | XComArg | None = None,
        template: str | XComArg | None = None,
        variables: Mapping[str, Any] | XComArg | None = None,
        check_template_variables: bool = True,
        webhook: str | Mapping[str, Any] | XComArg | None = None,
        json2video_conn_id: str = "json2video_default",
        poll_interval: float = 10.0,
        render_timeout: float | timedelta = 3600.0,
        timeout_starts: Literal["submission", "attempt"] = "submission",
        deferrable: bool = True,
        end_from_trigger: bool = False,
        wait: bool = True,
        durable: bool = True,
        on_lost_response: Literal["resubmit", "fail"] = "resubmit",
        on_clear: Literal["reuse", "resubmit"] = "reuse",
        output_path: str | os.PathLike[str] | XComArg | None = None,
        store_subtitles: bool = False,
        store_thumbnail: bool = False,
        delete_after_store: bool = False,
        max_credits: float | None = None,
        min_remaining_credits: float | None = None,
        on_quota_exhausted: Literal["fail", "wait"] = "fail",
        quota_wait_until: timedelta | dt.datetime | dt.time | str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(json2video_conn_id=json2video_conn_id, **kwargs)
        # A model becomes its document here, so that Airflow can store and show the field.
        to_document = getattr(movie, "to_document", None)
        self.movie: Any = movie if to_document is None else to_document()
        self.template: Any = template
        self.variables: Any = variables
        self.check_template_variables = check_template_variables
        self.webhook: Any = webhook
        self.poll_interval = to_seconds("poll_interval", poll_interval)
        self.render_timeout = to_seconds("render_timeout", render_timeout)
        self.timeout_starts = validate_choice("timeout_starts", timeout_starts, ("submission", "attempt"))
        self.deferrable = deferrable
        self.end_from_trigger = end_from_trigger
        self.wait = wait
        self.durable = durable
        self.on_lost_response = validate_choice("on_lost_response", on_lost_response, ("resubmit", "fail"))
        self.on_clear = validate_choice("on_clear", on_clear, ("resubmit", "reuse"))
        self.output_path: Any = path_to_str(output_path)
        self.store_subtitles = store_subtitles
        self.store_thumbnail = store_thumbnail
        self.delete_after_store = delete_after_store
        self.max_credits = validate_credits("max_credits", max_credits)
        self.min_remaining_credits = validate_credits("min_remaining_credits", min_remaining_credits)
        self.on_quota_exhausted = validate_choice("on_quota_exhausted", on_quota_exhausted, ("fail", "wait"))
        self.quota_wait_until = quota_wait_until
        self._waiting_for: str | None = None
        self._handed_on = False
        self._video: dict[str, Any] | None = None
        if (movie is None) == (template is None):
            refuse_arguments(
                self,
                f"Task {self.task_id!r}: a render needs either 'movie' or 'template', got "
                f"{'neither' if movie is None else 'both'}.",
            )
        if output_path is None and (store_subtitles or store_thumbnail or delete_after_store):
            raise ConfigurationError(
                f"Task {self.task_id!r}: store_subtitles, store_thumbnail and delete_after_store need an output_path."
            )
        if output_path is not None and not wait:
            raise ConfigurationError(
                f"Task {self.task_id!r}: with wait=False there is no video yet that output_path could keep.",
                advice="Keep it in a task of its own: Json2VideoToObjectStorageOperator.",
            )
        require_end_of_wait(self.task_id, on_quota_exhausted=self.on_quota_exhausted, quota_wait_until=quota_wait_until)
        if on_quota_exhausted == "wait" and not deferrable:
            raise ConfigurationError(
                f"Task {self.task_id!r}: on_quota_exhausted='wait' waits in the triggerer, so it needs deferrable=True."
            )

    def _fill_fields(self, fields: Fields) -> None:
        from airflow_json2video.operators._document import fill_document

        self._hand_on(fields.context)  # what follows may fail, and the XComs of the attempt before are gone already
        fields.fill(*(name for name in fields.names if name not in ("movie", "variables")))
        fill_document(fields)

    def execute(self, context: Context) -> RenderResult:
        """Submit the movie, or adopt the render of an earlier attempt, and wait for its video."""
        from airflow_json2video.operators._deferral import ResumeState
        from airflow_json2video.submission.attempt import last_delivered_attempt
        from airflow_json2video.version_compat import execution_deadline

        ti, now = context["ti"], time.time()
        self._hand_on(context)
        hard_until = None
        if self.execution_timeout is not None:
            hard_until = execution_deadline(ti, self.execution_timeout, now=now)
        delivered = last_delivered_attempt(ti) if self._notes_delivery else 0
        pause = ResumeState(until=now + self.render_timeout, delivered=delivered, hard_until=hard_until)
        return self._submit_and_wait(context, pause)

    def resume_submission(
        self, context: Context, event: Any = None, outage: dict[str, Any] | None = None, **_: Any
    ) -> RenderResult:
        """Go on after a wait for the service, for the account's list or for credits."""
        from airflow_json2video.operators._deferral import ResumeState

        if outage is not None:
            pause = ResumeState.from_json(outage)
        else:  # lost by dag.test()
            pause = ResumeState.of_event(event, render_timeout=self.render_timeout)
        return self._submit_and_wait(context, pause)

    @property
    def _notes_delivery(self) -> bool:
        """Whether it matters which renders the task has returned as its result."""
        return self.durable and self.on_clear == "resubmit"

    def _hand_on(self, context: Context) -> None:
        ti = context.get("ti")  # fields are also rendered for show, by no attempt
        if self._notes_delivery and ti is not None and not self._handed_on:
            from airflow_json2video.submission.attempt import carry_over_history

            carry_over_history(ti)
            self._handed_on = True

    def _submit_and_wait(self, context: Context, pause: ResumeState) -> RenderResult:
        from airflow_json2video.core.result import render_result
        from airflow_json2video.core.submission_state import SubmissionPaused
        from airflow_json2video.deployment import require_unchanged_deployment
        from airflow_json2video.operators._deferral import defer_until_available, wait_for_credits
        from airflow_json2video.operators._outlets import emit_asset_event
        from airflow_json2video.submission.attempt import delivery_key, record_delivery, task_identity
        from airflow_json2video.triggers.render import defer_until_rendered
        from airflow_json2video.version_compat import as_outputs

        budget = identity = submission = None
        try:
            pause = pause.on_this_machine(self.hook)
            # First of all, whatever comes of the rest: a first attempt creates the id that later ones look for.
            if self.durable:
                resumed = pause.submission is not None
                identity = task_identity(context, self.hook, log=self.log, is_resumed=resumed)
                require_unchanged_deployment(identity.deployment, before=pause.deployment)
                pause = replace(pause, deployment=identity.deployment)
            document = self._checked_document()
            budget = self._budget(document)
            submission = self._submission(document, budget, context, pause, identity)
            render = self._submit(submission, budget)
        except SubmissionPaused as paused:
            defer_until_available(self, paused, pause, context)
        except Json2VideoError as error:
            if budget is not None and submission is not None:
                pause = replace(pause, submission=submission.progress.to_json())
                self._fail(wait_for_credits(self, error, budget, pause, context), context)
            self._fail(error, context)
        estimated = budget.price.credits
        key = identity.submission_key if identity is not None else None
        context["ti"].xcom_push(key="json2video_project", value=render.project)
        Json2VideoRenderLink.persist(context, dashboard_url(self.hook.settings.host, project=render.project))
        if not self.wait:
            self.log.info("Not waiting for render %s (wait=False).", render.project)
            if self._notes_delivery:
                record_delivery(context["ti"])
            result = render_result({"project": render.project}, remaining_quota=None, submission_key=key)
            self._tell_cost(result, estimated, context)
            self._video = emit_asset_event(self, context, result)
            return as_outputs(self, result)
        starts = render.submitted_at if self.timeout_starts == "submission" else self.hook.clock.now()
        deadline = starts + self.render_timeout
        ended = None
        if not self.deferrable:
            ended = self._wait_on_worker(render, deadline=deadline)
        elif render.adopted:
            # It may have ended long ago. Deferring would be a detour, and one that costs attempts: Airflow's
            # scheduler may take a task that resumes at once for one that was killed.
            ended = self._poll_on_worker(render, deadline=deadline)
        if ended is None:
            defer_until_rendered(
                self,
                context,
                project=render.project,
                submitted_at=render.submitted_at,
                deadline=deadline,
                poll_interval=self.poll_interval,
                submission_key=key,
                delivery_key=delivery_key(context["ti"]) if self._notes_delivery else None,
                estimated_credits=estimated,
                is_billed=True,
            )
        return self._finish(ended, key=key, estimated=estimated, context=context)

    def execute_complete(
        self,
        context: Context,
        event: Any = None,
        project: str = "",
        submission_key: str | None = None,
        estimated_credits: int | None = None,
        **_: Any,
    ) -> RenderResult:
        """Go on after the trigger has fired: give the result, or fail with the reason."""
        from airflow_json2video.triggers.render import outcome_from_event

        if submission_key is None and self.durable:  # lost by dag.test()
            from airflow_json2video.submission.attempt import task_identity

            submission_key = task_identity(context, self.hook, log=self.log).submission_key
        ended = outcome_from_event(event, project=project)
        return self._finish(ended, key=submission_key, estimated=estimated_credits, context=context)

    def get_openlineage_facets_on_complete(self, task_instance: Any) -> Any:  # noqa: ARG002
        """Give the files the movie was made of, the video, and what it was; for Airflow's OpenLineage provider."""
        from airflow_json2video.operators._lineage.extractor import lineage_of

        return lineage_of(self, self._video)

    def get_openlineage_facets_on_failure(self, task_instance: Any) -> Any:
        """Give the files that the movie would have been made of."""
        return self.get_openlineage_facets_on_complete(task_instance)

    def on_kill(self) -> None:
        """Say what becomes of the render when a person or a timeout ends the task on the worker."""
        self._log_still_running()

    def _checked_document(self) -> dict[str, Any]:
        from airflow_json2video.movie.checks import require_valid
        from airflow_json2video.operators._document import build_document, plain_document

        document = plain_document(build_document(movie=self.movie, template=self.template, variables=self.variables))
        if self.webhook is not None:
            from airflow_json2video.operators._webhook import with_webhook

            document = with_webhook(document, self.webhook)
        for finding in require_valid(document):
            self.log.warning("%s: %s", finding.path or "movie", finding.message)
        return document

    def _budget(self, document: dict[str, Any]) -> Budget:
        from airflow_json2video.submission.budget import Budget

        budget = Budget(document, max_credits=self.max_credits, min_remaining=self.min_remaining_credits, log=self.log)
        budget.log_estimate()
        return budget

    def _resume_kwargs(self) -> dict[str, Any]:
        """Give what ``resume_submission`` needs and cannot have anew. Of the fields, Airflow renders each again."""
        return {}

    def _submission(
        self,
        document: dict[str, Any],
        budget: Budget,
        context: Context,
        pause: ResumeState,
        identity: TaskIdentity | None,
    ) -> Submitter:
        from airflow_json2video.core.identity import Stamp, fingerprint
        from airflow_json2video.core.submission_state import SubmissionState
        from airflow_json2video.submission.attempt import attempt_before
        from airflow_json2video.submission.submitter import Submitter
        from airflow_json2video.submission.task_store import TaskStateStore
        from airflow_json2video.version_compat import (
            attempt_is_current,
            previous_attempt_ended_at,
            previous_attempt_had_project,
            run_began,
        )

        ti, stamp, keeping = context["ti"], None, self._keeping()
        if identity is not None:
            stamp = Stamp.of(identity, fingerprint(document), attempt=ti.try_number)
        before = attempt_before(context)
        return Submitter(
            client=self.hook.client,
            document=document,
            stamp=stamp,
            attempt_before=before,
            attempt_before_had_project=before is not None and previous_attempt_had_project(ti),
            attempt_before_ended_at=previous_attempt_ended_at(ti) if before not in (None, ti.try_number) else None,
            state=SubmissionState.from_json(pause.submission) if pause.submission is not None else None,
            last_delivered_attempt=pause.delivered,
            until=pause.until,
            hard_until=float("inf") if pause.hard_until is None else pause.hard_until,
            max_hold=_LONGEST_HOLD if self.deferrable else float("inf"),
            confirmation_time=self.hook.settings.confirmation_time,
            since=run_began(context),
            log=self.log,
            on_lost_response=self.on_lost_response,
            on_clear=self.on_clear,
            still_current=lambda: attempt_is_current(ti),
            before_submit=lambda: self._check_before_paying(document, budget, identity, keeping, context),
            is_stored=keeping.has if keeping else None,
            task_store=TaskStateStore.from_context(context),
        )

    def _submit(self, submission: Submitter, budget: Budget) -> SubmittedRender:
        from airflow_json2video import metrics

        render = submission.run()
        if render.adopted:
            metrics.render_adopted()
        else:
            metrics.render_submitted(estimated=budget.price.credits)
            key = f" with submission key {submission.stamp.submission_key}" if submission.stamp else ""
            self.log.info("Submitted render %s%s.", render.project, key)
            # By the service's clock, as for an adopted one: the triggerer's may be wrong, and this machine's too.
            render = replace(render, submitted_at=self.hook.clock.now())
        return render

    def _keeping(self) -> VideoStore | None:
        from airflow_json2video.operators._storage import VideoStore

        return VideoStore.of(self)

    def _check_before_paying(
        self,
        document: Mapping[str, Any],
        budget: Budget,
        identity: TaskIdentity | None,
        keeping: VideoStore | None,
        context: Context,
    ) -> None:
        if keeping is not None:
            keeping.check(context)
        # Not before: what an earlier attempt has paid for is adopted, however its template has changed since.
        if self.check_template_variables and document.get("template") is not None:
            from airflow_json2video.templates import check_variables_of_template

            check_variables_of_template(self.hook.client, document, log=self.log)
        budget.check(self.hook.client)
        if identity is not None:
            from airflow_json2video.deployment import require_same_deployment

            require_same_deployment(self.hook.settings.namespace, identity.deployment)

    def _watch(self, render: SubmittedRender, *, deadline: float) -> RenderTracker:
        from airflow_json2video.core.poll_schedule import poll_schedule
        from airflow_json2video.core.render_status import RenderTracker

        return RenderTracker(
            render.project,
            submitted_at=render.submitted_at,
            deadline=deadline,
            schedule=poll_schedule(self.poll_interval, is_loopback=self.hook.settings.is_loopback),
        )

    def _poll_on_worker(self, render: SubmittedRender, *, deadline: float) -> RenderOutcome | None:
        """Look once; None if the render goes on, or the look failed in a way that passes."""
        from airflow_json2video.core.render_status import RenderOutcome
        from airflow_json2video.polling.wait import poll_once

        step = poll_once(self.hook, self._watch(render, deadline=deadline))
        return step if isinstance(step, RenderOutcome) else None

    def _wait_on_worker(self, render: SubmittedRender, *, deadline: float) -> RenderOutcome:
        from airflow_json2video.polling.wait import wait_for_render

        watch = self._watch(render, deadline=deadline)
        self._waiting_for = render.project
        try:
            return wait_for_render(self.hook, watch, log=self.log)
        except BaseException:  # execution_timeout, a kill: the render itself goes on
            self._log_still_running()
            raise
        finally:
            self._waiting_for = None

    def _log_still_running(self) -> None:
        project, self._waiting_for = self._waiting_for, None
        if project is not None:
            then = (
                "The next attempt of this task adopts it." if self.durable else "With durable=False nothing adopts it."
            )
            self.log.warning("Render %s cannot be cancelled: it goes on and is billed. %s", project, then)

    def _tell_cost(self, result: RenderResult, estimated: int | None, context: Context) -> None:
        from airflow_json2video import metrics
        from airflow_json2video.core.price import cost_of, format_cost

        cost = cost_of(result, estimated=estimated)
        context["ti"].xcom_push(key="json2video_cost", value=dict(cost))
        if cost["charged_seconds"] is not None:
            self.log.info("%s", format_cost(cost))
            metrics.render_charged(cost["charged_seconds"], remaining=cost["remaining_credits"])

    def _finish(
        self, ended: RenderOutcome, *, key: str | None, estimated: int | None, context: Context
    ) -> RenderResult:
        from airflow_json2video.core.result import render_result
        from airflow_json2video.metrics import render_done
        from airflow_json2video.operators._outlets import emit_asset_event
        from airflow_json2video.operators._storage import warn_of_expiry
        from airflow_json2video.submission.attempt import record_delivery
        from airflow_json2video.task_log import log_finished
        from airflow_json2video.version_compat import as_outputs

        keeping = self._keeping()
        try:
            if keeping:
                ended = keeping.ended(ended)
            if ended.error is not None or ended.movie is None:
                raise ended.error or Json2VideoError("The render ended, and nothing says how.")
            result = render_result(ended.movie, remaining_quota=ended.remaining_quota, submission_key=key)
            if keeping:
                result = keeping.keep(ended.movie, result)
            else:
                warn_of_expiry(ended.movie, log=self.log)
        except Json2VideoError as error:
            self._fail(error, context)
        link = result["url"] or dashboard_url(self.hook.settings.host, project=result["project"])
        Json2VideoRenderLink.persist(context, link)
        if self._notes_delivery:
            record_delivery(context["ti"])
        render_done(result["rendering_time"])
        log_finished(result, ended.movie, log=self.log)
        self._tell_cost(result, estimated, context)
        self._video = emit_asset_event(self, context, result)
        return as_outputs(self, result)

    def _fail(self, error: Json2VideoError, context: Context) -> NoReturn:
        """Fail the task: for good where a retry cannot help, else so that Airflow retries it."""
        from airflow_json2video.exceptions import AttemptSuperseded, Billing, RenderFailed, StoreError
        from airflow_json2video.metrics import render_failed, video_not_stored
        from airflow_json2video.version_compat import end_superseded_attempt

        if isinstance(error, StoreError):
            video_not_stored()
        elif error.project:
            render_failed()
        attempt, attempts = context["ti"].try_number, context["ti"].max_tries + 1
        again = error.retryable and attempt < attempts
        if error.retryable or attempt < attempts:
            then = "Airflow tries again." if again else "No attempt is left."
            then = then if error.retryable else "A retry cannot help, so none is made."
            error = error.with_context(
                advice=f"{error.advice} This was attempt {attempt} of {attempts}. {then}".strip()
            )
        if error.project and error.billing is not Billing.NOT_CHARGED:
            error = error.with_context(advice=self._advice_on_what_goes_on(error, again=again))
        if isinstance(error, RenderFailed) and error.path and (there := self._what_is_there(error.path)):
            error = error.with_context(advice=f"In the document, {there}.\n{error.advice}")
        if isinstance(error, AttemptSuperseded):
            error.report(self.log)
            end_superseded_attempt()
        fail_task(error, log=self.log)

    def _what_is_there(self, path: str) -> str | None:
        from airflow_json2video.movie.findings import excerpt
        from airflow_json2video.operators._document import build_document

        try:
            return excerpt(build_document(movie=self.movie, template=self.template, variables=self.variables), path)
        except Json2VideoError:  # what is shown next to an error is never one of its own
            return None

    def _advice_on_what_goes_on(self, error: Json2VideoError, *, again: bool) -> str:
        from airflow_json2video.exceptions import ProjectNotFound, RenderExpired, RenderStalled

        if not self.durable:
            return (
                f"Render {error.project} is billed if it succeeds. With durable=False nothing adopts it: a retry or a "
                "clear pays for a new one."
            )
        if again or isinstance(error, (ProjectNotFound, RenderExpired, RenderStalled)):
            return error.advice
        return f"{error.advice} Clear the task to take this render: while its file is there, no new one is paid for."
