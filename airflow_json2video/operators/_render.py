"""The work of a render task: submit or reattach, wait, store the video, report it.

Loaded when a task runs, not when its DAG file is parsed.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, NoReturn

from airflow_json2video import metrics
from airflow_json2video.core.identity import Stamp, fingerprint
from airflow_json2video.core.poll_schedule import poll_schedule
from airflow_json2video.core.price import compute_cost, format_cost, wait_deadline
from airflow_json2video.core.render_status import RenderOutcome, RenderTracker
from airflow_json2video.core.result import RenderResult, render_result
from airflow_json2video.core.submission_state import SubmissionPaused, SubmissionState
from airflow_json2video.deployment import require_same_deployment, require_unchanged_deployment
from airflow_json2video.exceptions import AttemptSuperseded, Json2VideoError, RenderFailed, StoreError
from airflow_json2video.links import Json2VideoRenderLink, dashboard_url
from airflow_json2video.movie.checks import require_valid
from airflow_json2video.operators._deferral import (
    ResumeState,
    defer_until_affordable,
    defer_until_available,
)
from airflow_json2video.operators._document import add_webhook, build_document, fill_document, plain_document
from airflow_json2video.operators._failure import with_next_step
from airflow_json2video.operators._outlets import emit_asset_event
from airflow_json2video.operators._storage import VideoStore, warn_of_expiry
from airflow_json2video.operators.base import fail_task
from airflow_json2video.polling.wait import poll_once, wait_for_render
from airflow_json2video.submission.attempt import (
    carry_over_history,
    last_returned_attempt,
    previous_attempt,
    record_returned_result,
    returned_result_key,
    task_identity,
)
from airflow_json2video.submission.budget import Budget
from airflow_json2video.submission.submitter import SubmittedRender, Submitter
from airflow_json2video.submission.task_state_store import TaskStateStore
from airflow_json2video.task_log import log_finished
from airflow_json2video.templates import check_stored_template_variables
from airflow_json2video.triggers.render import defer_until_rendered, outcome_from_event
from airflow_json2video.version_compat import (
    as_outputs,
    attempt_is_current,
    earliest_submission_time,
    end_superseded_attempt,
    execution_deadline,
    previous_attempt_ended_at,
    previous_attempt_had_project,
    remote_executor,
)

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

    from airflow_json2video.core.identity import TaskIdentity
    from airflow_json2video.operators._protocols import RenderTask
    from airflow_json2video.operators._templating import Fields

__all__ = ["RenderAttempt"]

_MAX_HOLD = 15.0
"""Seconds that a deferrable task which has to wait holds its worker slot; for longer it defers."""


class RenderAttempt:
    """The work of one attempt in one process: from the template fields to a result, a deferral or an error.

    :ivar video: what the asset events say about the video; None until there is one.
    """

    def __init__(self, task: RenderTask, context: Context) -> None:
        self.video: dict[str, Any] | None = None
        self._task = task
        self._context = context
        self._log = task.log
        self._waiting_for: str | None = None

    def __reduce__(self) -> tuple[Any, ...]:
        """Belong to one process: a copy of the operator has no attempt, since a context cannot be copied."""
        return type(None), ()

    # --- the document ---------------------------------------------------------------------------

    def carry_over_history(self) -> None:
        """Copy the records of returned results forward; Airflow deletes a task's XComs when an attempt starts.

        To be called first: whatever follows may fail.
        """
        ti = self._context.get("ti")  # fields are also rendered to be shown, outside of any attempt
        if self._records_returned_result and ti is not None and not self._task.is_history_carried_over:
            carry_over_history(ti)
            self._task.is_history_carried_over = True

    def fill_fields(self, fields: Fields) -> None:
        """Fill the template fields of the operator."""
        self.carry_over_history()
        fields.fill(*(name for name in fields.names if name not in ("movie", "variables")))
        fill_document(fields)

    @cached_property
    def document(self) -> dict[str, Any]:
        """The document that the task's arguments describe, without a webhook.

        :raises Json2VideoError: they do not describe one.
        """
        return build_document(movie=self._task.movie, template=self._task.template, variables=self._task.variables)

    @property
    def document_or_none(self) -> dict[str, Any] | None:
        """The same; None where the arguments do not describe one, which ``execute()`` reports."""
        try:
            return self.document
        except Json2VideoError:
            return None

    def _checked_document(self) -> dict[str, Any]:
        document = plain_document(self.document)
        if self._task.webhook is not None:
            document = add_webhook(document, self._task.webhook)
        for finding in require_valid(document):
            self._log.warning("%s: %s", finding.path or "movie", finding.message)
        return document

    # --- the submission -------------------------------------------------------------------------

    def start(self) -> RenderResult:
        """Submit the movie, or reattach to the render of an earlier attempt, and wait for its video."""
        task, ti, now = self._task, self._context["ti"], time.time()
        self.carry_over_history()
        hard_until = None
        if task.execution_timeout is not None:
            hard_until = execution_deadline(ti, task.execution_timeout, now=now)
        returned = last_returned_attempt(ti) if self._records_returned_result else 0
        return self._submit(
            ResumeState(until=now + task.render_timeout, last_returned_attempt=returned, hard_until=hard_until)
        )

    def resume(self, event: Any, state: Mapping[str, Any] | None) -> RenderResult:
        """Continue after a wait for the service, for the account's list or for credits."""
        if state is not None:
            return self._submit(ResumeState.from_json(state))
        # dag.test() does not pass the arguments on.
        return self._submit(ResumeState.of_event(event, render_timeout=self._task.render_timeout))

    def _submit(self, state: ResumeState) -> RenderResult:
        task = self._task
        budget = identity = submission = None
        try:
            state = state.on_this_machine(task.hook)
            # Before anything that may fail: a first attempt creates the id that later attempts search for.
            if task.durable:
                identity = self._identity(is_resumed=state.submission is not None)
                require_unchanged_deployment(identity.deployment, before=state.deployment)
                state = replace(state, deployment=identity.deployment)
            document = self._checked_document()
            if task.wait_for_credits is not None:
                wait_deadline(task.wait_for_credits, now=time.time())  # an invalid limit fails before anything is paid
            budget = self._budget(document)
            submission = self._submission(document, budget, state, identity)
            render = self._run(submission, budget)
        except SubmissionPaused as paused:
            defer_until_available(task, paused, state, self._context, kwargs=task.resume_arguments())
        except Json2VideoError as error:
            if budget is not None and submission is not None and task.wait_for_credits is not None:
                error = defer_until_affordable(
                    task,
                    error,
                    limit=task.wait_for_credits,
                    price=budget.price,
                    min_remaining=task.min_remaining_credits,
                    render_timeout=task.render_timeout,
                    state=replace(state, submission=submission.progress.to_json()),
                    context=self._context,
                    kwargs=task.resume_arguments(),
                )
            self.fail(error)
        key = identity.submission_key if identity is not None else None
        return self._submitted(render, key=key, estimated=budget.price.credits)

    def _identity(self, *, is_resumed: bool = False) -> TaskIdentity:
        return task_identity(self._context, self._task.hook, log=self._log, is_resumed=is_resumed)

    def _budget(self, document: dict[str, Any]) -> Budget:
        task = self._task
        budget = Budget(document, max_credits=task.max_credits, min_remaining=task.min_remaining_credits, log=self._log)
        budget.log_estimate()
        return budget

    def _submission(
        self, document: dict[str, Any], budget: Budget, state: ResumeState, identity: TaskIdentity | None
    ) -> Submitter:
        task, ti, store = self._task, self._context["ti"], self._store()
        stamp = None if identity is None else Stamp.of(identity, fingerprint(document), attempt=ti.try_number)
        before = previous_attempt(self._context)
        return Submitter(
            client=task.hook.client,
            document=document,
            stamp=stamp,
            previous_attempt=before,
            previous_attempt_had_project=before is not None and previous_attempt_had_project(ti),
            previous_attempt_ended_at=previous_attempt_ended_at(ti) if before not in (None, ti.try_number) else None,
            state=SubmissionState.from_json(state.submission) if state.submission is not None else None,
            last_returned_attempt=state.last_returned_attempt,
            until=state.until,
            hard_until=float("inf") if state.hard_until is None else state.hard_until,
            max_hold=_MAX_HOLD if task.deferrable else float("inf"),
            confirmation_time=task.hook.settings.confirmation_time,
            since=earliest_submission_time(self._context),
            log=self._log,
            on_lost_response=task.on_lost_response,
            on_clear=task.on_clear,
            still_current=lambda: attempt_is_current(ti),
            before_submit=lambda: self._check_before_paying(document, budget, identity, store),
            is_stored=store.is_stored if store else None,
            task_state_store=TaskStateStore.from_context(self._context),
        )

    def _check_before_paying(
        self, document: Mapping[str, Any], budget: Budget, identity: TaskIdentity | None, store: VideoStore | None
    ) -> None:
        hook = self._task.hook
        if store is not None:
            store.check(self._context)
        # Not earlier: a render that an earlier attempt paid for is reused even if its template has changed since.
        if document.get("template") is not None:
            check_stored_template_variables(hook.client, document, log=self._log)
        budget.check(hook.client)
        if identity is not None:
            require_same_deployment(hook.settings.namespace, identity.deployment)

    def _run(self, submission: Submitter, budget: Budget) -> SubmittedRender:
        render = submission.run()
        if render.adopted:
            metrics.render_reattached()
            return render
        metrics.render_submitted(estimated=budget.price.credits)
        key = f" (submission key {submission.stamp.submission_key})" if submission.stamp else ""
        self._log.info("Submitted render %s%s.", render.project, key)
        # By the service's clock, as for a reused render: the clocks of this machine and the triggerer may be wrong.
        return replace(render, submitted_at=self._task.hook.clock.now())

    # --- the wait -------------------------------------------------------------------------------

    def _submitted(self, render: SubmittedRender, *, key: str | None, estimated: int | None) -> RenderResult:
        task, ti = self._task, self._context["ti"]
        ti.xcom_push(key="json2video_project", value=render.project)
        Json2VideoRenderLink.persist(self._context, dashboard_url(task.hook.settings.host, project=render.project))
        if not task.wait_for_completion:
            self._log.info("Not waiting for render %s (wait_for_completion=False).", render.project)
            result = render_result({"project": render.project}, remaining_quota=None, submission_key=key)
            return self._deliver(result, estimated=estimated)
        deadline = render.submitted_at + task.render_timeout
        outcome = None
        if not task.deferrable:
            outcome = self._wait_on_worker(render, deadline=deadline)
        elif render.adopted:
            # It may have ended long ago. A deferral would then only cost attempts: Airflow's scheduler may treat a
            # task that resumes immediately as one that was killed.
            outcome = self._poll_on_worker(render, deadline=deadline)
        if outcome is None:
            defer_until_rendered(
                task,
                self._context,
                project=render.project,
                submitted_at=render.submitted_at,
                deadline=deadline,
                poll_interval=task.poll_interval,
                submission_key=key,
                returned_result_key=returned_result_key(ti) if self._records_returned_result else None,
                estimated_credits=estimated,
                is_billed=True,
            )
        return self._finish(outcome, key=key, estimated=estimated)

    def _tracker(self, render: SubmittedRender, *, deadline: float) -> RenderTracker:
        return RenderTracker(
            render.project,
            submitted_at=render.submitted_at,
            deadline=deadline,
            schedule=poll_schedule(self._task.poll_interval, is_loopback=self._task.hook.settings.is_loopback),
        )

    def _poll_on_worker(self, render: SubmittedRender, *, deadline: float) -> RenderOutcome | None:
        """Poll once; return None if the render is in progress, or if the poll failed and may succeed later."""
        step = poll_once(self._task.hook, self._tracker(render, deadline=deadline))
        return step if isinstance(step, RenderOutcome) else None

    def _wait_on_worker(self, render: SubmittedRender, *, deadline: float) -> RenderOutcome:
        self._waiting_for = render.project
        try:
            return wait_for_render(self._task.hook, self._tracker(render, deadline=deadline), log=self._log)
        except BaseException:  # execution_timeout or a kill; the render itself keeps running
            self.log_still_running()
            raise
        finally:
            self._waiting_for = None

    def log_still_running(self) -> None:
        """Log once what happens to the render when a timeout, a kill or a mark ends the wait on the worker."""
        project, self._waiting_for = self._waiting_for, None
        if project is not None:
            then = (
                "The next attempt of this task reattaches to it."
                if self._task.durable
                else "With durable=False no later attempt reattaches to it."
            )
            self._log.warning("Render %s cannot be canceled: it keeps running and will be billed. %s", project, then)

    # --- the end --------------------------------------------------------------------------------

    def complete(
        self, event: Any, *, project: str, submission_key: str | None, estimated_credits: int | None
    ) -> RenderResult:
        """Return the result after the trigger has fired, or fail with the reason."""
        if submission_key is None and self._task.durable:  # dag.test() does not pass the arguments on
            submission_key = self._identity().submission_key
        outcome = outcome_from_event(event, project=project)
        return self._finish(outcome, key=submission_key, estimated=estimated_credits)

    def _finish(self, outcome: RenderOutcome, *, key: str | None, estimated: int | None) -> RenderResult:
        store = self._store()
        try:
            if store:
                outcome = store.recover_expired(outcome)
            if outcome.error is not None or outcome.movie is None:
                raise outcome.error or Json2VideoError("The render finished without a status.")
            result = render_result(outcome.movie, remaining_quota=outcome.remaining_quota, submission_key=key)
            if store:
                result = store.store(outcome.movie, result)
            else:
                warn_of_expiry(outcome.movie, log=self._log)
        except Json2VideoError as error:
            self.fail(error)
        link = result["url"] or dashboard_url(self._task.hook.settings.host, project=result["project"])
        Json2VideoRenderLink.persist(self._context, link)
        metrics.render_done(result["rendering_time"])
        log_finished(result, outcome.movie, log=self._log)
        return self._deliver(result, estimated=estimated)

    def _deliver(self, result: RenderResult, *, estimated: int | None) -> RenderResult:
        ti = self._context["ti"]
        if self._records_returned_result:
            record_returned_result(ti)
        cost = compute_cost(result, estimated=estimated)
        ti.xcom_push(key="json2video_cost", value=dict(cost))
        if cost["charged_seconds"] is not None:
            self._log.info("%s", format_cost(cost))
            metrics.render_charged(cost["charged_seconds"], remaining=cost["remaining_credits"])
        document = self.document_or_none
        self.video = emit_asset_event(
            result,
            outlets=self._task.outlets,
            movie_hash=None if document is None else fingerprint(document),
            account=self._task.json2video_conn_id,
            template=self._task.template,
            context=self._context,
            log=self._log,
        )
        return as_outputs(self._task, result)

    @property
    def _records_returned_result(self) -> bool:
        """Whether it matters which renders the task has returned as its result."""
        return self._task.durable and self._task.on_clear == "resubmit"

    def _store(self) -> VideoStore | None:
        task = self._task
        if task.output_path is None:
            return None
        return VideoStore(
            output_path=task.output_path,
            files=task.store,
            delete_remote=task.delete_remote,
            hook=task.hook,
            log=self._log,
            executor=remote_executor(task),
        )

    def fail(self, error: Json2VideoError) -> NoReturn:
        """Fail the task: without a retry where a retry cannot help, else so that Airflow retries it."""
        if isinstance(error, StoreError):
            metrics.video_not_stored()
        elif error.project:
            metrics.render_failed()
        document = self.document_or_none if isinstance(error, RenderFailed) else None
        error = with_next_step(error, ti=self._context["ti"], durable=self._task.durable, document=document)
        if isinstance(error, AttemptSuperseded):
            error.report(self._log)
            end_superseded_attempt()
        fail_task(error, log=self._log)
