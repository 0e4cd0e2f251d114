"""``render``: one movie, paid for once, waited for, and stored if asked."""

from __future__ import annotations

import argparse
import json
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from airflow_json2video.cli._common import ACCOUNT, JSON, Argument, Command
from airflow_json2video.cli._documents import PARAMS, VARIABLES, document_from, name_of
from airflow_json2video.cli._stderr_log import StderrLog
from airflow_json2video.exceptions import Billing, ConfigurationError, Json2VideoError

if TYPE_CHECKING:
    from airflow_json2video.core.render_status import RenderOutcome
    from airflow_json2video.hooks.json2video import Json2VideoHook

__all__ = ["COMMAND"]


@dataclass
class _Render:
    """What is known of the render, for whoever breaks the command off."""

    key: str
    sent: bool = False
    project: str | None = None

    def in_words(self) -> str:
        """Say what goes on, and how to take it up again."""
        if self.project is not None:
            return (
                f"Render {self.project} cannot be cancelled: it goes on and is billed. "
                f"'status {self.project}' looks at it; the same command with --resume {self.key} waits for it again."
            )
        if self.sent:
            return (
                "A submission may have been sent, and then it is billed. "
                f"The same command with --resume {self.key} looks for it, and submits only if there is none."
            )
        return "Nothing was submitted by this command."


def _run(options: argparse.Namespace) -> bool:
    from airflow_json2video.cli._account import connect
    from airflow_json2video.movie.checks import require_valid

    log = StderrLog()
    document = document_from(options.movie, options, template=options.template)
    source = f"Template {options.template}" if options.movie is None else name_of(options.movie)
    for finding in require_valid(document, source=source):
        log.warning("%s", finding)
    if options.output:
        from airflow_json2video.cli.download import check

        if options.no_wait:
            raise ConfigurationError(
                "--no-wait ends before there is a video that --output could store.",
                advice="Leave one of them out; 'download' stores the video later. Nothing was submitted.",
            )
        check(options.output)
    hook = connect(options)
    render = _Render(key=options.resume or f"{int(time.time()):x}-{secrets.token_hex(4)}")
    with _told_if_broken_off(render, log):
        ended = _rendered(document, options, hook, render, log)
    if ended is None:
        facts = {"project": render.project, "key": render.key}
        print(json.dumps(facts) if options.json else render.project, file=options.out)
        return True
    if ended.error is not None or ended.movie is None:
        raise ended.error or Json2VideoError("The render ended, and nothing says how.")
    return _finish(ended, options, hook, log)


def _rendered(
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
    from airflow_json2video.progress import shown_waiting
    from airflow_json2video.submission.submitter import Submitter

    identity = TaskIdentity(
        deployment=NO_DEPLOYMENT, dag_id="shell", run_id=render.key, task_id="render", map_index=-1, generation=0
    )

    def before_submit() -> None:
        if render.sent:
            return
        if document.get("template") is not None:
            from airflow_json2video.templates import check_variables_of_template

            check_variables_of_template(hook.client, document, log=log)
        log.info("Submitting. If this is broken off, the same command with --resume %s takes it up.", render.key)
        render.sent = True

    submitted = Submitter(
        client=hook.client,
        document=document,
        # Nobody counts how often a command is resumed, and what one sent is never taken for what another did.
        stamp=Stamp.of(identity, fingerprint(document), attempt=int(time.time()) if options.resume else 1),
        attempt_before=1 if options.resume else None,
        log=log,
        before_submit=before_submit,
        until=time.time() + options.timeout,
        confirmation_time=hook.settings.confirmation_time,
    ).run()
    render.project = submitted.project
    log.info("Render %s is %s.", submitted.project, "adopted" if submitted.adopted else "submitted")
    if options.no_wait:
        return None
    watch = RenderTracker(
        submitted.project,
        submitted_at=submitted.submitted_at,
        deadline=time.time() + options.timeout,
        schedule=poll_schedule(10.0, is_loopback=hook.settings.is_loopback),
    )
    with shown_waiting(f"Render {submitted.project}"):
        return wait_for_render(hook, watch, log=log)


def _finish(ended: RenderOutcome, options: argparse.Namespace, hook: Json2VideoHook, log: StderrLog) -> bool:
    from airflow_json2video.cli.download import store
    from airflow_json2video.core.result import get_warnings, render_result, summarize

    movie = dict(ended.movie or {})
    for text in get_warnings(movie):
        log.warning("%s", text)
    result = render_result(movie, remaining_quota=ended.remaining_quota, submission_key=None)
    answer: dict[str, Any] = dict(result)
    if options.output:
        answer["stored_path"] = store(movie, options.output, hook=hook)
    if options.json:
        print(json.dumps(answer, ensure_ascii=False), file=options.out)
    else:
        print(answer.get("stored_path") or summarize(result), file=options.out)
    return True


@contextmanager
def _told_if_broken_off(render: _Render, log: StderrLog) -> Iterator[None]:
    try:
        yield
    except KeyboardInterrupt:
        log.info("\n%s", render.in_words())
        raise
    except Json2VideoError as error:
        if render.sent and render.project is None and error.billing is Billing.UNKNOWN:
            log.info("%s", render.in_words())
        raise


COMMAND = Command(
    name="render",
    help="render one movie with JSON2Video; this is paid for",
    run=_run,
    arguments=(
        Argument.of("movie", nargs="?", help="a Movie JSON file, or - for standard input"),
        Argument.of("--template", metavar="ID", help="render a stored template in place of a file"),
        VARIABLES,
        PARAMS,
        Argument.of("-o", "--output", metavar="PATH", help="store the video here; {project} in it is the render's id"),
        Argument.of("--timeout", type=float, default=3600.0, metavar="SECONDS", help="give up waiting (default: 3600)"),
        Argument.of("--no-wait", action="store_true", help="submit, print the project id, and end"),
        Argument.of("--resume", metavar="KEY", help="take up a render that was broken off, if it was submitted at all"),
        *ACCOUNT,
        JSON,
    ),
    description="Renders one movie with JSON2Video. It is submitted once, and is paid for. If the command is broken "
    "off, the render goes on; the key that it shows takes it up again.",
)
