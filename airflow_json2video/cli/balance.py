"""``balance``: the credits of the account."""

from __future__ import annotations

import argparse
import json

from airflow_json2video._command_line import JSON, Command, ExitCode
from airflow_json2video.cli._common import ACCOUNT, connect

__all__ = ["COMMAND"]


def _run(options: argparse.Namespace) -> ExitCode:
    quota = connect(options).get_remaining_quota()
    left = {"credits": quota.time, "movies": quota.movies, "drafts": quota.drafts} if quota else {}
    balance = {name: number for name, number in left.items() if number is not None}
    if options.json:
        print(json.dumps(balance), file=options.out)
    elif balance:
        print("\n".join(f"{name}: {number:,.12g}" for name, number in balance.items()), file=options.out)
    else:
        print("The service reports no balance for this account.", file=options.out)
    return ExitCode.OK


COMMAND = Command(
    name="balance",
    help="show how many credits the account has left",
    run=_run,
    arguments=(*ACCOUNT, JSON),
    description="Show how many credits the account has left; one credit is one second of video. On legacy plans: the "
    "movies and drafts that are left. Free.",
)
