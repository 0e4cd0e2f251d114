"""What differs between Airflow 2.11 and 3.3, in one place. Names that do not differ come from common-compat."""

from __future__ import annotations

from importlib import import_module

__all__ = ["context_names", "mask_secret"]


def context_names() -> frozenset[str]:
    """Names that this Airflow's task context may offer to a template."""
    for module in ("airflow.sdk.definitions.context", "airflow.utils.context"):  # 3.1 and later; 2.11 and 3.0
        try:
            return frozenset(import_module(module).KNOWN_CONTEXT_KEYS)
        except (ImportError, AttributeError):
            continue
    return frozenset()


def mask_secret(secret: str) -> None:
    """Have Airflow replace *secret* by ``***`` in this process's logs."""
    for module in ("airflow.sdk.log", "airflow.sdk.execution_time.secrets_masker", "airflow.utils.log.secrets_masker"):
        try:
            mask = import_module(module).mask_secret
        except (ImportError, AttributeError):
            continue
        mask(secret)
        return
