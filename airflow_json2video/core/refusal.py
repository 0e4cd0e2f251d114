"""How long the service has to refuse requests before the refusal counts. Pure.

A refusal is a response such as an invalid key, a missing permission, or an unknown render or URL. Gateways and key
stores respond like that for seconds although nothing is wrong. So where money is at stake, one refusal is treated as an
outage, and it counts once the service still refuses about one and five minutes later.
"""

from __future__ import annotations

__all__ = ["CONFIRM_REFUSAL_AFTER", "seconds_to_confirmation"]

CONFIRM_REFUSAL_AFTER = (60.0, 300.0)
"""Seconds after the first refusal at which the request is repeated."""


def seconds_to_confirmation(refused_for: float) -> float | None:
    """Return the seconds until the request is to be repeated; None if the refusal has lasted long enough.

    :param refused_for: seconds since the first of the refusals in a row, at the moment of the last one.
    """
    return next((moment - refused_for for moment in CONFIRM_REFUSAL_AFTER if moment > refused_for), None)
