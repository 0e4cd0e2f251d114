"""How long the service has to refuse before that is believed. Pure.

A refusal is an answer that says no: a key that is refused, a permission that is missing, a render or an address that
does not exist. Gateways and key stores answer like that for seconds while nothing is wrong. So where money is at
stake, one refusal is an outage, and it becomes a fact when the service still refuses about one and five minutes later.
"""

from __future__ import annotations

__all__ = ["CONFIRM_REFUSAL_AFTER", "seconds_to_confirmation"]

CONFIRM_REFUSAL_AFTER = (60.0, 300.0)
"""Seconds after the first refusal at which the service is asked again."""


def seconds_to_confirmation(refused_for: float) -> float | None:
    """Return the seconds until the service is to be asked again, or None if the refusal has lasted long enough.

    :param refused_for: seconds since the first of the refusals in a row, at the moment of the last one.
    """
    return next((moment - refused_for for moment in CONFIRM_REFUSAL_AFTER if moment > refused_for), None)
