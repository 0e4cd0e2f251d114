"""Asking what a render will cost and whether the account may pay for it, right before it is submitted. Free calls."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from airflow_json2video.core.price import Price, check_max_credits, check_reserve
from airflow_json2video.movie.documents import merge_template

if TYPE_CHECKING:
    from airflow_json2video.api.client import Json2VideoClient
    from airflow_json2video.task_log import TaskLog

__all__ = ["Budget", "get_remaining_credits", "merge_stored_template"]


class Budget:
    """What one document will cost, and the limits that its author has set.

    :param max_credits: what the render may cost. :param min_remaining: what has to be left in the account.
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
        """Tell the task's log what the movie will cost, or why that is not known."""
        if self.price.credits is not None and self.price.seconds is not None:
            self._log.info("Estimated: %.1f s of video, about %d credits.", self.price.seconds, self.price.credits)
        else:
            self._log.info("The cost cannot be estimated beforehand (%s).", self.price.why_unknown)

    def check(self, client: Json2VideoClient) -> None:
        """Refuse a render that goes over a limit. To be asked right before each submission, and not to adopt one.

        The account is asked only where a limit needs it: for the movie of a stored template, and for its balance.
        Nothing reserves what the balance says; others may spend it meanwhile.

        :raises BudgetExceeded: it may cost more than it may. :raises CreditReserveReached: too little would be left.
        :raises Json2VideoError: the account could not be asked.
        """
        if self._max_credits is not None and self._document.get("template") is not None:
            self.price = Price.of(merge_stored_template(self._document, client))
            self.log_estimate()
        if refusal := check_max_credits(self.price, max_credits=self._max_credits):
            raise refusal
        if self.min_remaining is None:
            return
        if refused := check_reserve(get_remaining_credits(client), self.price, min_remaining=self.min_remaining):
            raise refused


def get_remaining_credits(client: Json2VideoClient) -> float | None:
    """Ask what the account has left, in credits; None if the service does not count them."""
    from airflow_json2video.api import calls

    quota = client.execute(calls.list_movies(limit=1)).remaining_quota
    return None if quota is None else quota.time


def merge_stored_template(document: Mapping[str, Any], client: Json2VideoClient) -> dict[str, Any]:
    """Put a document and the movie of its template together, as the service does."""
    from airflow_json2video.api import calls

    movie: Any = client.execute(calls.get_template(str(document["template"]))).movie
    if isinstance(movie, str):
        try:
            movie = json.loads(movie)
        except ValueError:
            return dict(document)
    if not isinstance(movie, Mapping) or movie.get("template") is not None:
        return dict(document)
    return merge_template(document, movie)
