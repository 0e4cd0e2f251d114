"""``check``: everything that is wrong or doubtful with a movie, at once, before a render is paid for."""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from airflow_json2video.exceptions import InvalidMovie
from airflow_json2video.local.cli.error_paths import fault_finding
from airflow_json2video.local.cli.options import movie_of, name_of, take_movie
from airflow_json2video.movie.findings import Finding, Severity

__all__ = ["add_to"]


def add_to(commands: Any) -> None:
    """Add the command to a parser."""
    check = commands.add_parser("check", help="say what is wrong with a movie", description=__doc__)
    take_movie(check)
    check.add_argument("more", type=Path, nargs="*", help="further movies")
    check.add_argument("--strict", action="store_true", help="count a warning as an error")
    check.add_argument("--json", action="store_true", help="give the findings as JSON")
    check.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> bool:
    answers = []
    for file in (options.movie, *options.more):
        one = argparse.Namespace(**{**vars(options), "movie": file})
        findings = _findings(one)
        errors = sum(finding.severity is Severity.ERROR for finding in findings)
        warnings = len(findings) - errors
        answers.append(
            {
                "movie": name_of(one),
                "valid": not errors and not (options.strict and warnings),
                "errors": errors,
                "warnings": warnings,
                "findings": [{**asdict(finding), "severity": finding.severity.value} for finding in findings],
            }
        )
        if not options.json:
            for finding in findings:
                print(f"{name_of(one)}: {finding.severity.value}: {finding} [{finding.code}]")
            print(f"{name_of(one)}: {_counted(errors, 'error')}, {_counted(warnings, 'warning')}")
    if options.json:
        print(json.dumps(answers, ensure_ascii=False, indent=2))
    return all(answer["valid"] for answer in answers)


def _findings(options: argparse.Namespace) -> list[Finding]:
    from airflow_json2video.local.planning.plan import plan
    from airflow_json2video.local.planning.resolve import MovieFault, resolve
    from airflow_json2video.movie.checks import check

    try:
        document = movie_of(options)
    except InvalidMovie as error:
        return [Finding(Severity.ERROR, "", error.message, "not-a-movie")]
    findings = check(document)
    # What only shows when variables are filled in. A stored template is not here to be laid out.
    if not document.get("template") and not any(finding.severity is Severity.ERROR for finding in findings):
        try:
            plan(resolve(document))
        except MovieFault as fault:
            findings.insert(0, fault_finding(str(fault), document))
    return findings


def _counted(number: int, word: str) -> str:
    return f"{number} {word}{'' if number == 1 else 's'}"
