"""What differs between Airflow 2.11 and 3.3, in one place. Names that do not differ come from common-compat."""

from __future__ import annotations

__all__ = ["context_names", "mask_secret"]


def context_names() -> frozenset[str]:
    """Names that this Airflow's task context may offer to a template."""
    try:
        from airflow.sdk.definitions.context import KNOWN_CONTEXT_KEYS
    except ImportError:  # Airflow 2
        from airflow.utils.context import KNOWN_CONTEXT_KEYS
    return frozenset(KNOWN_CONTEXT_KEYS)


def mask_secret(secret: str) -> None:
    """Have Airflow replace *secret* by ``***`` in this process's logs."""
    try:
        from airflow.sdk.log import mask_secret as mask
    except ImportError:  # Airflow 2
        from airflow.utils.log.secrets_masker import mask_secret as mask
    mask(secret)
