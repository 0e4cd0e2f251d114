"""What can be switched on the local service, while it runs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal, get_args

from airflow_json2video.local.limits import LIMITS

__all__ = ["ListOrder", "Mode", "QuotaShape", "Settings"]

Mode = Literal["instant", "preview", "full"]
ListOrder = Literal["newest", "oldest", "shuffled"]
QuotaShape = Literal["time", "movies"]


@dataclass(kw_only=True)
class Settings:
    """The service's switches. Mutable on purpose: a test changes one and the next request sees it.

    Times are seconds on the service's clock, unless they say otherwise.
    """

    mode: Mode = "preview"
    """``instant`` (right size, length and scene colours, nothing drawn), ``preview`` or ``full``."""
    queue_seconds: float = 0.0
    """A render stays ``pending`` for at least this long. Read when the movie is submitted."""
    render_seconds: float = 0.0
    """It stays ``running`` for at least this long. Read when the movie is submitted."""
    timeout_after: float | None = None
    """``running`` for longer than this is reported as ``timeout``, and may still become ``done``."""
    credits: float = 600.0
    """What the account had at the start; a new account of the real service has 600."""
    quota_shape: QuotaShape = "time"
    """``time``: current plans. ``movies``: legacy plans, which count movies and drafts too."""
    api_keys: tuple[str, ...] = ()
    """The keys that are valid. Empty: any key but one that starts with ``invalid``."""
    list_order: ListOrder = "newest"
    """The real order is not documented."""
    list_delay: float = 0.0
    """A new project shows in the list only after this long."""
    status_delay: float = 0.0
    """A new project can be looked at only after this long; until then it is unknown."""
    expire_after: float = 7 * 86400.0
    """The file disappears this long after the end of the render."""
    missing_status: int = 400
    """HTTP status of a missing template: 400 as observed, or 404 as documented."""
    max_width: int = 3840
    max_height: int = 3840
    """The plan's largest frame; above it a submission is refused with 401."""
    workers: int = 1
    """Renders at once, each in its own process. Read at start."""
    render_limit: float = LIMITS.render_seconds
    """Real seconds after which a worker process is ended and its render fails."""
    fetch_assets: bool = True
    """False: nothing is fetched, and a missing asset is drawn as a labelled card. ``instant`` never fetches."""
    allow_private: bool = False
    """Let assets come from private and loopback addresses."""
    max_asset_bytes: int = LIMITS.asset_bytes
    """Bytes of one download."""
    max_job_bytes: int = LIMITS.job_bytes
    """Bytes of all downloads of one render."""
    asset_timeout: float = LIMITS.download_seconds
    """Real seconds for one download."""
    max_worker_bytes: int = LIMITS.worker_bytes
    """Memory of a render's process, where the system keeps such a bound."""
    seed: int | None = None
    """Makes project ids and the shuffled order repeatable."""

    def update(self, changes: Mapping[str, Any]) -> None:
        """Change several settings, or none when one of them is wrong.

        :raises ValueError: an unknown name, or a value that the setting cannot have.
        """
        known = {f.name for f in fields(self)}
        if unknown := sorted(set(changes) - known):
            raise ValueError(f"no such setting: {', '.join(unknown)}. There are: {', '.join(sorted(known))}")
        checked = {name: _checked(name, value) for name, value in changes.items()}
        for name, value in checked.items():
            setattr(self, name, value)

    def describe(self) -> dict[str, Any]:
        """Give the settings as JSON, for the control endpoints; keys are counted and not shown."""
        return {**asdict(self), "api_keys": len(self.api_keys)}


_CHOICES: dict[str, tuple[Any, ...]] = {
    "mode": get_args(Mode),
    "list_order": get_args(ListOrder),
    "quota_shape": get_args(QuotaShape),
    "missing_status": (400, 404),
}
_MAY_BE_NONE = {"timeout_after", "seed"}
_SWITCHES = {"fetch_assets", "allow_private"}


def _checked(name: str, value: Any) -> Any:
    if name in _CHOICES:
        if value not in _CHOICES[name]:
            raise ValueError(f"{name} is one of {', '.join(map(str, _CHOICES[name]))}, not {value!r}")
        return value
    if name == "api_keys":
        return (value,) if isinstance(value, str) else tuple(map(str, value))
    if name in _SWITCHES:
        if not isinstance(value, bool):
            raise ValueError(f"{name} is true or false, not {value!r}")
        return value
    if value is None and name in _MAY_BE_NONE:
        return None
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise ValueError(f"{name} is a number, not {value!r}")
    return value
