"""``render``: render one movie with JSON2Video; this is billed."""

from __future__ import annotations

import argparse
import json
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from airflow_json2video._command_line import JSON, VARIABLES, Argument, Command, ExitCode, source_name
from airflow_json2video.cli._common import ACCOUNT, PARAMS, StderrLog, connect, movie_document
from airflow_json2video.cli.download import check_output, store
from airflow_json2video.exceptions import Billing, ConfigurationError, Json2VideoError

if TYPE_CHECKING:
    from airflow_json2video.core.render_status import RenderOutcome
    from airflow_json2video.hooks.json2video import Json2VideoHook

__all__ = ["COMMAND"]


@dataclass
class _Render:
    """What is known about the render, for the message when the command is interrupted."""

    key: str
    sent: bool = False
    project: str | None = None

    def __str__(self) -> str:
        """Return what still runs, what it costs, and how to resume."""
        if self.project is not None:
            return (
                f"Render {self.project} cannot be canceled: it keeps running and will be billed. "
                f"To show its status: json2video status {self.project}. "
                f"To wait for it again, run the same command with --resume {self.key}."
            )
        if self.sent:
            return (
                "A render may have been submitted; if so, it will be billed. "
                f"Run the same command with --resume {self.key}: it searches for the render, and submits the movie "
                "only if it is not found."
            )
        return "Nothing was submitted by this command."


def _run(options: argparse.Namespace) -> ExitCode:
    from airflow_json2video.movie.checks import require_valid

    log = StderrLog()
    document = movie_document(options.movie, options, template=options.template)
    source = f"Template {options.template}" if options.movie is None else source_name(options.movie)
    for finding in require_valid(document, source=source):
        log.warning("%s", finding)
    if options.output:
        if options.no_wait:
            raise ConfigurationError(
                "--no-wait cannot be combined with --output: the command ends before the video exists.",
                advice="Omit one of them; 'json2video download' stores the video later. Nothing was submitted.",
            )
        check_output(options.output)
    hook = connect(options)
    render = _Render(key=options.resume or f"{int(time.time()):x}-{secrets.token_hex(4)}")
    with _explain_interruption(render, log):
        outcome = _submit_and_wait(document, options, hook, render, log)
    if outcome is None:
        submitted = {"project": render.project, "key": render.key}
        print(json.dumps(submitted) if options.json else render.project, file=options.out)
        return ExitCode.OK
    if outcome.error is not None or outcome.movie is None:
        raise outcome.error or Json2VideoError("The render finished without a status.")
    _finish(outcome, options, hook, log)
    return ExitCode.OK


def _submit_and_wait(
    document: dict[str, Any],
    options: argparse.Namespace,
    hook: Json2VideoHook,
    render: _Render,
    log: StderrLog,
) -> RenderOutcome | None:
    from airflow_json2video.core.identity import NO_DEPLOYMENT, Stamp, TaskIdentity, fingerprint
    from airflow_json2video.core.poll_schedule import poll_schedule
    from airflow_json2video.core.render_status import RenderTracker
    from airflow_json2video.polling.wait import wait_for_render
    from airflow_json2video.progress import spinner
    from airflow_json2video.submission.submitter import Submitter

    identity = TaskIdentity(
        deployment=NO_DEPLOYMENT, dag_id="shell", run_id=render.key, task_id="render", map_index=-1, generation=0
    )

    def before_submit() -> None:
        if render.sent:
            return
        if document.get("template") is not None:
            from airflow_json2video.templates import check_stored_template_variables

            check_stored_template_variables(hook.client, document, log=log)
        log.info("Submitting. To resume after an interruption: --resume %s", render.key)
        render.sent = True

    submitted = Submitter(
        client=hook.client,
        document=document,
        # Each resume is an attempt of its own, numbered by the time, since no one counts them.
        stamp=Stamp.of(identity, fingerprint(document), attempt=int(time.time()) if options.resume else 1),
        previous_attempt=1 if options.resume else None,
        log=log,
        before_submit=before_submit,
        until=time.time() + options.timeout,
        confirmation_time=hook.settings.confirmation_time,
    ).run()
    render.project = submitted.project
    log.info("%s render %s.", "Reattached to" if submitted.adopted else "Submitted", submitted.project)
    if options.no_wait:
        return None
    tracker = RenderTracker(
        submitted.project,
        submitted_at=submitted.submitted_at,
        deadline=time.time() + options.timeout,
        schedule=poll_schedule(10.0, is_loopback=hook.settings.is_loopback),
    )
    with spinner(f"Render {submitted.project}"):
        return wait_for_render(hook, tracker, log=log)


def _finish(outcome: RenderOutcome, options: argparse.Namespace, hook: Json2VideoHook, log: StderrLog) -> None:
    from airflow_json2video.core.result import get_warnings, render_result, summarize

    movie = dict(outcome.movie or {})
    for text in get_warnings(movie):
        log.warning("%s", text)
    result = render_result(movie, remaining_quota=outcome.remaining_quota, submission_key=None)
    answer: dict[str, Any] = dict(result)
    if options.output:
        answer["stored_path"] = store(movie, options.output, hook=hook)
    if options.json:
        print(json.dumps(answer, ensure_ascii=False), file=options.out)
    else:
        print(answer.get("stored_path") or summarize(result), file=options.out)


@contextmanager
def _explain_interruption(render: _Render, log: StderrLog) -> Iterator[None]:
    try:
        yield
    except KeyboardInterrupt:
        log.info("\n%s", render)
        raise
    except Json2VideoError as error:
        if render.sent and render.project is None and error.billing is Billing.UNKNOWN:
            log.info("%s", render)
        raise


COMMAND = Command(
    name="render",
    help="render one movie with JSON2Video; this is billed",
    run=_run,
    arguments=(
        Argument.of("movie", nargs="?", help="a Movie JSON file, or - for standard input"),
        Argument.of("--template", metavar="ID", help="render a stored template instead of a file"),
        VARIABLES,
        PARAMS,
        Argument.of("-o", "--output", metavar="PATH", help="store the video here; {project} stands for the project id"),
        Argument.of("--timeout", type=float, default=3600.0, metavar="SECONDS", help="maximum wait (default: 3600)"),
        Argument.of("--no-wait", action="store_true", help="submit, print the project id, and exit"),
        Argument.of("--resume", metavar="KEY", help="resume an interrupted render; submit it only if it is not found"),
        *ACCOUNT,
        JSON,
    ),
    description="Render one movie with JSON2Video. It is submitted once, and it is billed. If the command is "
    "interrupted, the render keeps running; --resume with the key that was printed waits for it again.",
)
