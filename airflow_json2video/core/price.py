"""What a render will cost, whether that may be spent, and what it did cost. Pure; used by tasks and batches."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, time, timedelta, timezone
from typing import Any, TypedDict

from airflow_json2video.core.result import credits_of
from airflow_json2video.exceptions import BudgetExceeded, ConfigurationError, CreditReserveReached
from airflow_json2video.movie.estimation import estimate
from airflow_json2video.movie.evaluator import UnknownValue
from airflow_json2video.movie.frames import frame_size
from airflow_json2video.movie.pricing import render_credits

__all__ = [
    "Cost",
    "Price",
    "QuotaWait",
    "check_max_credits",
    "check_reserve",
    "compute_cost",
    "format_cost",
    "is_sufficient",
    "required_credits",
    "total_price",
    "wait_deadline",
]

QuotaWait = timedelta | datetime | time | str
_MAX_REASONS = 3


@dataclass(frozen=True)
class Price:
    """What a document will cost, as far as that can be estimated.

    :ivar seconds: of video; None if unknown. :ivar credits: in total; None if unknown.
    :ivar at_least: minimum credits. :ivar at_most: maximum credits; None if unbounded.
    :ivar reasons: why there is no exact figure, each with its path in the document.
    """

    seconds: float | None
    credits: int | None
    at_least: int
    at_most: int | None
    reasons: tuple[str, ...] = ()

    @classmethod
    def of(cls, document: Mapping[str, Any]) -> Price:
        """Estimate *document* (:func:`~airflow_json2video.movie.estimation.estimate`)."""
        guess = estimate(document)
        most = None
        try:
            width, height = frame_size(document)
            least = render_credits(guess.at_least, width=width, height=height)
            if guess.asset_credits is not None:
                least += guess.asset_credits
                if not math.isinf(guess.at_most):
                    most = render_credits(guess.at_most, width=width, height=height) + guess.asset_credits
        except UnknownValue:
            least = math.ceil(guess.at_least)
        reasons = tuple(f"{path}: {reason}" for path, reason in guess.unknown)
        return cls(seconds=guess.duration, credits=guess.credits, at_least=least, at_most=most, reasons=reasons)

    @property
    def billable_credits(self) -> int:
        """The credits that count against a balance: the estimate, or the minimum if there is none."""
        return self.credits if self.credits is not None else self.at_least

    def __str__(self) -> str:
        if self.credits is not None:
            return f"about {self.credits} credits"
        if self.at_most is not None:
            return f"{self.at_least} to {self.at_most} credits"
        return f"at least {self.at_least} credits" if self.at_least else "an unknown number of credits"

    @property
    def why_unknown(self) -> str:
        """Why there is no exact figure."""
        return "; ".join(self.reasons[:_MAX_REASONS]) or "length unknown"


def total_price(prices: Iterable[Price]) -> Price:
    """Return the total price of several renders; what is unknown for one is unknown for the total."""
    listed = list(prices)
    seconds = [price.seconds for price in listed]
    known = [price.credits for price in listed]
    most = [price.at_most for price in listed]
    return Price(
        seconds=None if None in seconds else sum(value for value in seconds if value is not None),
        credits=None if None in known else sum(value for value in known if value is not None),
        at_least=sum(price.at_least for price in listed),
        at_most=None if None in most else sum(value for value in most if value is not None),
        reasons=tuple(dict.fromkeys(reason for price in listed for reason in price.reasons)),
    )


def check_max_credits(price: Price, *, max_credits: float | None) -> BudgetExceeded | None:
    """Return the error of a render that may cost more than *max_credits*; None if it certainly does not.

    A render that cannot be estimated is refused too: otherwise the limit would not be reliable.
    """
    if max_credits is None or (price.at_most is not None and price.at_most <= max_credits):
        return None
    if price.at_least > max_credits or price.credits is not None:
        return BudgetExceeded(
            f"This would cost {price}, and max_credits is {max_credits:g}.",
            advice="Nothing was submitted. Shorten the movie, or raise max_credits.",
        )
    return BudgetExceeded(
        f"max_credits is {max_credits:g}, and the cost cannot be estimated in advance ({price}; {price.why_unknown}).",
        advice="Nothing was submitted. Add the missing durations ('duration' of a scene or an element), "
        "or use min_remaining_credits instead of max_credits.",
    )


def check_reserve(
    left: float | None,
    price: Price,
    *,
    min_remaining: float | None,
    committed: float = 0.0,
    nothing: str = "Nothing was submitted.",
) -> ConfigurationError | CreditReserveReached | None:
    """Return the error of a render that would leave fewer than *min_remaining* credits; None if it would not.

    If the price is unknown, its minimum counts.

    :param left: credits that the account has now; None if the service does not count them.
    :param committed: credits that renders in progress will still cost, as far as the caller knows.
    :param nothing: the sentence of the advice that says what was submitted.
    """
    if min_remaining is None:
        return None
    if left is None:
        return ConfigurationError(
            "min_remaining_credits is set, but the service does not report how many credits this account has left.",
            advice=f"{nothing} It works only on plans that count credits.",
        )
    if left - committed - price.billable_credits >= min_remaining:
        return None
    in_progress = f" and {committed:g} for renders in progress" if committed else ""
    return CreditReserveReached(
        f"The account has {left:g} credits left, and this render ({price}{in_progress}) would leave fewer than "
        f"the {min_remaining:g} of min_remaining_credits.",
        advice=f"{nothing} Add credits, or lower min_remaining_credits.",
    )


def required_credits(price: Price, *, min_remaining: float | None, left: float | None) -> float:
    """Return how many credits the account must have before a render that it could not pay for is tried again.

    :param left: the balance when the render was refused: with no more than that it is refused again.
    """
    needed = float(price.billable_credits + (min_remaining or 0))
    return max(needed, 1.0 if left is None or needed > left else left + 1.0)


def is_sufficient(quota: Mapping[str, Any], *, needed: float) -> bool:
    """Return whether an account with this quota may be able to pay.

    :param quota: the service's ``remaining_quota``. If it does not count credits, it counts movies, or contains
        neither: then submitting is the only way to find out.
    """
    left = quota.get("time")
    if isinstance(left, (int, float)):
        return left >= needed
    movies = quota.get("movies")
    return movies > 0 if isinstance(movies, (int, float)) else True


def wait_deadline(until: QuotaWait | None, *, now: float) -> float:
    """Return the end of the wait for credits, in epoch seconds.

    :param until: a duration from *now*; or a date and time; or a time of day, meaning its next occurrence; or either as
        ISO text. Without a time zone it is UTC.
    :param now: epoch seconds.
    :raises ConfigurationError: the value is of another kind.
    """
    if isinstance(until, str):
        until = _from_text(until.strip())
    if isinstance(until, timedelta):
        return now + until.total_seconds()
    if isinstance(until, datetime):
        return (until if until.tzinfo else until.replace(tzinfo=timezone.utc)).timestamp()
    if isinstance(until, time):
        zone = until.tzinfo or timezone.utc
        today = datetime.fromtimestamp(now, zone)
        moment = datetime.combine(today.date(), until.replace(tzinfo=zone))
        return (moment if moment > today else moment + timedelta(days=1)).timestamp()
    raise ConfigurationError(f"wait_for_credits must be a time or a timedelta, got {until!r}.")


def _from_text(text: str) -> datetime | time:
    whole = text.replace("Z", "+00:00")  # Python 3.10 does not read the Z
    for read in (time.fromisoformat, datetime.fromisoformat):
        try:
            return read(whole)
        except ValueError:
            continue
    raise ConfigurationError(
        f"wait_for_credits {text!r} is not a time.", advice="Write it as 06:00 or 2026-05-12T06:00:00+00:00."
    )


class Cost(TypedDict):
    """The estimated and the actual cost of a render: the XCom ``json2video_cost``.

    ``charged_seconds`` is the duration of the finished video, for which the service charges. ``charged_credits`` is its
    price by the published list, without generated assets. ``remaining_credits`` is the last balance that the service
    reported.
    """

    project: str
    estimated_credits: int | None
    charged_seconds: float | None
    charged_credits: int | None
    remaining_credits: float | None


def compute_cost(result: Mapping[str, Any], *, estimated: int | None) -> Cost:
    """Return the cost of a finished render, or of one that was only submitted: then nothing is charged yet.

    :param result: the result of a render task.
    """
    seconds, left = result.get("duration"), (result.get("remaining_quota") or {}).get("time")
    return Cost(
        project=str(result["project"]),
        estimated_credits=estimated,
        charged_seconds=seconds,
        charged_credits=credits_of(result),
        remaining_credits=float(left) if isinstance(left, (int, float)) else None,
    )


def format_cost(cost: Cost) -> str:
    """Return a cost as a line for the log."""

    def known(value: float | None) -> str:
        return "unknown" if value is None else f"{value:g}"

    return (
        f"Cost of render {cost['project']}: {known(cost['charged_credits'])} credits for "
        f"{known(cost['charged_seconds'])} s of video, without generated assets (estimated: "
        f"{known(cost['estimated_credits'])}). Credits left: {known(cost['remaining_credits'])}."
    )
