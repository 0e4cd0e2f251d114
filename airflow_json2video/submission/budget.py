"""Check what a render will cost and whether it may be paid for, right before it is submitted. The calls are free."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from airflow_json2video.api import calls
from airflow_json2video.core.price import Price, check_max_credits, check_reserve
from airflow_json2video.movie.documents import merge_template

if TYPE_CHECKING:
    from airflow_json2video.api.client import Json2VideoClient
    from airflow_json2video.task_log import TaskLog

__all__ = ["Budget", "get_remaining_credits", "merge_stored_template"]


class Budget:
    """The estimated price of one document, and the limits that the DAG's author has set.

    :param max_credits: what the render may cost. :param min_remaining: credits that must remain in the account.
    :ivar price: as far as it is known; that of a stored template only after :meth:`check`.
    """

    def __init__(
        self,
        document: Mapping[str, Any],
        *,
        max_credits: float | None,
        min_remaining: float | None,
        log: TaskLog,
    ) -> None:
        self.price = Price.of(document)
        self.min_remaining = min_remaining
        self._document = document
        self._max_credits = max_credits
        self._log = log

    def log_estimate(self) -> None:
        """Log what the movie will cost, or why that is unknown."""
        if self.price.credits is not None and self.price.seconds is not None:
            self._log.info("Estimated: %.1f s of video, about %d credits.", self.price.seconds, self.price.credits)
        else:
            self._log.info("The cost cannot be estimated in advance (%s).", self.price.why_unknown)

    def check(self, client: Json2VideoClient) -> None:
        """Raise if the render exceeds a limit. Call it right before each submission, and not before an adoption.

        Requests are sent only where a limit needs them: for the movie of a stored template, and for the balance.
        Nothing reserves the balance; others may spend it in the meantime.

        :raises BudgetExceeded: the render may cost more than the limit.
        :raises CreditReserveReached: too few credits would remain.
        :raises Json2VideoError: the service did not return the template or the balance.
        """
        if self._max_credits is not None and self._document.get("template") is not None:
            self.price = Price.of(merge_stored_template(self._document, client))
            self.log_estimate()
        if error := check_max_credits(self.price, max_credits=self._max_credits):
            raise error
        if self.min_remaining is None:
            return
        reserve_error = check_reserve(get_remaining_credits(client), self.price, min_remaining=self.min_remaining)
        if reserve_error is not None:
            raise reserve_error


def get_remaining_credits(client: Json2VideoClient) -> float | None:
    """Return the credits that the account has left; None if the service does not count them. A free request."""
    quota = client.execute(calls.list_movies(limit=1)).remaining_quota
    return None if quota is None else quota.time


def merge_stored_template(document: Mapping[str, Any], client: Json2VideoClient) -> dict[str, Any]:
    """Return a document merged with the movie of its stored template, as the service merges them."""
    movie: Any = client.execute(calls.get_template(str(document["template"]))).movie
    if isinstance(movie, str):
        try:
            movie = json.loads(movie)
        except ValueError:
            return dict(document)
    if not isinstance(movie, Mapping) or movie.get("template") is not None:
        return dict(document)
    return merge_template(document, movie)
