"""``check``: check movies and estimate what they cost."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from airflow_json2video._command_line import (
    JSON,
    TEMPLATES,
    VARIABLES,
    Argument,
    Command,
    ExitCode,
    merge_stored_template,
    report,
    source_name,
)
from airflow_json2video.cli._common import ACCOUNT, PARAMS, connect, movie_document
from airflow_json2video.exceptions import InvalidMovie, Json2VideoError

if TYPE_CHECKING:
    from airflow_json2video.movie.findings import Finding

__all__ = ["FindLayoutErrors", "check_command"]

FindLayoutErrors = Callable[[Mapping[str, Any]], "list[Finding]"]
"""Returns what makes drawing a movie fail after its variables are filled in."""


def check_command(find_layout_errors: FindLayoutErrors) -> Command:
    """Build the command ``check``.

    :param find_layout_errors: called for a movie without errors.
    """
    return Command(
        name="check",
        help="check movies and estimate what they cost; free, needs no account",
        run=lambda options: _run(options, find_layout_errors),
        arguments=(
            Argument.of("movies", nargs="+", metavar="movie", help="a Movie JSON file, or - for standard input"),
            VARIABLES,
            PARAMS,
            TEMPLATES,
            Argument.of("--strict", action="store_true", help="treat warnings as errors"),
            Argument.of(
                "--online", action="store_true", help="check variables against the schema of the stored template"
            ),
            *ACCOUNT,
            JSON,
        ),
        description="Check movies before they are billed: all errors and warnings with their paths, the length of "
        "the video and its credits. Free; needs no account unless --online is set.",
    )


def _run(options: argparse.Namespace, find_layout_errors: FindLayoutErrors) -> ExitCode:
    results: list[dict[str, Any]] = []
    codes = [ExitCode.OK]
    for file in options.movies:
        try:
            result = _check(file, options, find_layout_errors)
        except (Json2VideoError, OSError) as error:
            codes.append(report(error, subject=source_name(file)))
            continue
        results.append(result)
        codes.append(ExitCode.OK if result["valid"] else ExitCode.FAILED)
        if not options.json:
            for line in _lines(result):
                print(f"{result['movie']}: {line}", file=options.out)
    if options.json:
        print(json.dumps(results, ensure_ascii=False, indent=2), file=options.out)
    return max(codes)


def _lines(result: Mapping[str, Any]) -> Iterator[str]:
    from airflow_json2video.movie.findings import Finding, Severity, count_noun

    for finding in result["findings"]:
        yield Finding(**{**finding, "severity": Severity(finding["severity"])}).line
    yield f"{count_noun(result['errors'], 'error')}, {count_noun(result['warnings'], 'warning')}"
    if result["credits"] is not None:
        yield f"{result['duration']:.1f} s of video, about {result['credits']} credits"


def _check(file: str, options: argparse.Namespace, find_layout_errors: FindLayoutErrors) -> dict[str, Any]:
    from airflow_json2video.movie.estimation import estimate
    from airflow_json2video.movie.findings import Finding, Severity

    duration = credits_ = None
    try:
        document = movie_document(file, options)
        findings = _findings(document, options)
        document = merge_stored_template(document, options.templates)
    except InvalidMovie as error:
        findings = [*error.findings] or [Finding(Severity.ERROR, "", error.message, "not-a-movie")]
    else:
        if not _has_errors(findings) and not document.get("template"):
            findings = [*find_layout_errors(document), *findings]
        if not _has_errors(findings):
            guess = estimate(document)
            duration, credits_ = (guess.duration, guess.credits) if guess.credits is not None else (None, None)
    errors = sum(finding.severity is Severity.ERROR for finding in findings)
    warnings = len(findings) - errors
    return {
        "movie": source_name(file),
        "valid": not errors and not (options.strict and warnings),
        "errors": errors,
        "warnings": warnings,
        "duration": duration,
        "credits": credits_,
        "findings": [{**asdict(finding), "severity": finding.severity.value} for finding in findings],
    }


def _findings(document: dict[str, Any], options: argparse.Namespace) -> list[Finding]:
    from airflow_json2video.movie.checks import check
    from airflow_json2video.movie.findings import Severity

    findings = check(merge_stored_template(document, options.templates))
    if options.online and document.get("template") is not None:
        findings = [*findings, *_variable_findings(document, options)]
    return sorted(findings, key=lambda finding: finding.severity is Severity.WARNING)


def _has_errors(findings: list[Finding]) -> bool:
    from airflow_json2video.movie.findings import Severity

    return any(finding.severity is Severity.ERROR for finding in findings)


def _variable_findings(document: dict[str, Any], options: argparse.Namespace) -> list[Finding]:
    from airflow_json2video.exceptions import InvalidResponse
    from airflow_json2video.movie.template_variables import check_template_variables

    schema = connect(options).get_template_variables(str(document["template"]))
    variables = document.get("variables")
    try:
        return list(check_template_variables(variables if isinstance(variables, dict) else {}, schema))
    except ValueError as error:
        raise InvalidResponse(f"Could not check the variables of template {document['template']}: {error}") from error
