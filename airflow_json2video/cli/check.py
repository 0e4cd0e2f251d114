"""``check``: everything that is wrong or doubtful with a movie, and what it would cost, before a render is paid for."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from airflow_json2video.cli._common import ACCOUNT, JSON, Argument, Command
from airflow_json2video.cli._documents import PARAMS, VARIABLES, document_from, name_of
from airflow_json2video.exceptions import InvalidMovie

__all__ = ["COMMAND"]


def _run(options: argparse.Namespace) -> bool:
    answers = [_checked(file, options) for file in options.movies]
    if options.json:
        print(json.dumps(answers, ensure_ascii=False, indent=2), file=options.out)
        return all(answer["valid"] for answer in answers)
    for answer in answers:
        for line in _in_words(answer):
            print(f"{answer['movie']}: {line}", file=options.out)
    return all(answer["valid"] for answer in answers)


def _in_words(answer: dict[str, Any]) -> Iterator[str]:
    from airflow_json2video.movie.findings import Finding, Severity, counted

    for each in answer["findings"]:
        yield Finding(**{**each, "severity": Severity(each["severity"])}).line
    yield f"{counted(answer['errors'], 'error')}, {counted(answer['warnings'], 'warning')}"
    if answer["credits"] is not None:
        yield f"{answer['duration']:.1f} s of video, about {answer['credits']} credits"


def _checked(file: str, options: argparse.Namespace) -> dict[str, Any]:
    from airflow_json2video.movie.checks import check
    from airflow_json2video.movie.estimation import estimate
    from airflow_json2video.movie.findings import Finding, Severity

    duration = credits_ = None
    try:
        document = document_from(file, options)
    except InvalidMovie as error:
        findings = [*error.findings] or [Finding(Severity.ERROR, "", error.message, "not-a-movie")]
    else:
        findings = check(document)
        if options.online and document.get("template") is not None:
            findings = sorted(
                [*findings, *_about_variables(document, options)], key=lambda found: found.severity is Severity.WARNING
            )
        if not any(finding.severity is Severity.ERROR for finding in findings):
            guess = estimate(document)
            duration, credits_ = (guess.duration, guess.credits) if guess.credits is not None else (None, None)
    errors = sum(finding.severity is Severity.ERROR for finding in findings)
    warnings = len(findings) - errors
    return {
        "movie": name_of(file),
        "valid": not errors and not (options.strict and warnings),
        "errors": errors,
        "warnings": warnings,
        "duration": duration,
        "credits": credits_,
        "findings": [{**asdict(finding), "severity": finding.severity.value} for finding in findings],
    }


def _about_variables(document: dict[str, Any], options: argparse.Namespace) -> list[Any]:
    from airflow_json2video.cli._account import connect
    from airflow_json2video.exceptions import InvalidResponse
    from airflow_json2video.movie.template_variables import check_template_variables

    schema = connect(options).get_template_variables(str(document["template"]))
    variables = document.get("variables")
    try:
        return list(check_template_variables(variables if isinstance(variables, dict) else {}, schema))
    except ValueError as error:
        raise InvalidResponse(f"The variables of template {document['template']} cannot be checked: {error}") from error


COMMAND = Command(
    name="check",
    help="say what is wrong with a movie, and what it would cost",
    run=_run,
    arguments=(
        Argument.of("movies", nargs="+", metavar="movie", help="a Movie JSON file, or - for standard input"),
        VARIABLES,
        PARAMS,
        Argument.of("--strict", action="store_true", help="count a warning as an error"),
        Argument.of("--online", action="store_true", help="hold variables against the stored template's own schema"),
        *ACCOUNT,
        JSON,
    ),
    description=__doc__,
)
