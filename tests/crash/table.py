"""The outcome of a row, whether it is as expected, and the table of all rows. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

__all__ = ["Expected", "Outcome", "Unit", "as_table", "problems"]


@dataclass(frozen=True, kw_only=True)
class Expected:
    """The expected outcome of a row.

    :param state: final state of the render task instances.
    :param projects: renders that exist at the service in the end, for each task instance.
    :param paid: how many of them may have been paid for: one, and one more for each new render that a user ordered.
    """

    state: str = "success"
    projects: int = 1
    paid: int = 1


@dataclass(frozen=True, kw_only=True)
class Unit:
    """One task instance and its renders at the service.

    :param projects: every render of it, oldest first.
    :param paid: those of them that the account was charged for.
    :param result: the project that the task returned; None if it did not return one.
    :param stored: the project whose file the downstream task has stored; None if it has not.
    :param expected: the expected outcome, if it differs from that of the row.
    """

    name: str
    state: str | None
    attempts: int
    projects: tuple[str, ...]
    paid: tuple[str, ...]
    result: str | None
    stored: str | None
    expected: Expected | None = None


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """The outcome of a row.

    :param posts: ``POST /movies`` requests that the service received.
    :param credits: credits that the account was charged.
    :param seconds: from the (first) kill or fault to the end; None if nothing was injected.
    :param missed: injections and faults that did not happen, so that the row proves nothing.
    :param driver_error: an error of the driver itself.
    """

    point: str
    killed: str
    expected: Expected
    units: tuple[Unit, ...]
    posts: int
    credits: float
    seconds: float | None
    missed: tuple[str, ...] = ()
    driver_error: str | None = None
    notes: tuple[str, ...] = field(default=())


def problems(outcome: Outcome) -> list[str]:
    """Return the differences from the expected outcome."""
    found = [f"not injected: {what}" for what in outcome.missed]
    if outcome.driver_error:
        found.append(outcome.driver_error)
    for unit in outcome.units:
        expected = unit.expected or outcome.expected
        if len(unit.paid) > expected.paid:
            found.append(f"{unit.name}: paid {len(unit.paid)} times ({', '.join(unit.paid)})")
        if unit.state == "success" and unit.result not in unit.paid:
            found.append(f"{unit.name}: its result {unit.result} is not a render that was paid for")
        elif unit.state != "success" and unit.paid and expected.state == "success":
            found.append(f"{unit.name}: paid for and lost ({', '.join(unit.paid)}), the task is {unit.state}")
        if unit.state != expected.state:
            found.append(f"{unit.name}: ended {unit.state}, expected {expected.state}")
        elif len(unit.projects) != expected.projects and len(unit.paid) <= expected.paid:
            found.append(f"{unit.name}: {len(unit.projects)} projects, expected {expected.projects}")
        if unit.state == "success" and unit.stored != unit.result:
            found.append(f"{unit.name}: the downstream task stored {unit.stored}, not {unit.result}")
    return found


_HEADS = ("", "point", "killed", "attempts", "POSTs", "projects", "credits", "final state", "recovered")


def as_table(outcomes: Sequence[Outcome]) -> str:
    """Return the table, followed by the problems."""
    rows = [_HEADS, *(_cells(number, outcome) for number, outcome in enumerate(outcomes, start=1))]
    widths = [max(len(row[column]) for row in rows) for column in range(len(_HEADS))]
    right = {0, 3, 4, 5, 6, 8}
    lines = [
        "  ".join(
            cell.rjust(width) if column in right else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]
    lines.insert(1, "  ".join("-" * width for width in widths))
    for number, outcome in enumerate(outcomes, start=1):
        lines += [f"  row {number}: {problem}" for problem in problems(outcome)]
    return "\n".join(lines)


def _cells(number: int, outcome: Outcome) -> tuple[str, ...]:
    units = outcome.units
    states = Counter(str(unit.state) for unit in units)
    ended = ", ".join(f"{n} {state}" if len(states) > 1 else state for state, n in states.most_common())
    return (
        str(number),
        outcome.point,
        outcome.killed,
        str(sum(unit.attempts for unit in units)),
        str(outcome.posts),
        str(sum(len(unit.projects) for unit in units)),
        f"{outcome.credits:g}",
        ended + (" !" if problems(outcome) else ""),
        "-" if outcome.seconds is None else f"{outcome.seconds:.0f} s",
    )
