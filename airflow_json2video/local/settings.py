"""The settings of the local service, which can change while it runs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any, Literal, get_args

from airflow_json2video.local.limits import LIMITS

__all__ = ["ErrorShape", "ListOrder", "Mode", "QuotaShape", "Role", "Settings", "WebhookShape", "WebhookTypes"]

Mode = Literal["instant", "slate", "preview", "full"]
ListOrder = Literal["newest", "oldest", "shuffled"]
QuotaShape = Literal["time", "movies"]
Role = Literal["none", "render", "editor", "manager", "admin"]
ErrorShape = Literal["usual", "message", "error"]
WebhookShape = Literal["reference", "tutorial", "envelope"]
WebhookTypes = Literal["both", "short", "mime"]


@dataclass(kw_only=True)
class Settings:
    """The settings of the service. Mutable, so that a change takes effect with the next request.

    Times are seconds on the service's clock, unless stated otherwise.
    """

    mode: Mode = "preview"
    """``instant`` (right size, length and scene colors, nothing drawn), ``slate``, ``preview`` or ``full``."""
    queue_seconds: float = 0.0
    """Minimum time that a render is ``pending``. Read when the movie is submitted."""
    render_seconds: float = 0.0
    """Minimum time that a render is ``running``. Read when the movie is submitted."""
    timeout_after: float | None = None
    """A render that is ``running`` for longer shows as ``timeout``; it can still become ``done``."""
    credits: float = 600.0
    """Initial credits of the account; a new account of the real service has 600."""
    quota_shape: QuotaShape = "time"
    """``time``: current plans. ``movies``: legacy plans, which also count movies and drafts."""
    api_keys: tuple[str, ...] = ()
    """The valid API keys. Empty: any key except one that starts with ``invalid``."""
    roles: dict[str, str] = field(default_factory=dict)
    """The role of each key: ``render`` (movies, drive, reading templates), ``editor`` (and writing templates),
    ``manager`` and ``admin`` (everything), or ``none``. A key that is not listed is an ``admin``."""
    key_status: int = 400
    """HTTP status for an invalid key: 400 as observed, 401 in older pages, 403 in the endpoint index."""
    role_status: int = 403
    """HTTP status for an insufficient role: 403 in the tables, 400 in the page on deleting a movie."""
    suspended: bool = False
    """The account is suspended: every call returns 403 ``account_suspended``."""
    error_shape: ErrorShape = "usual"
    """``usual``: ``success`` and ``message``. ``message``: only that. ``error``: the text under ``error``."""
    movie_quota: int = 1000
    """Movies that a legacy plan includes (``quota_shape="movies"``); further submissions are refused with 401."""
    large_frame_price: int = 4
    """Credits per second above 1920x1080 pixels: 4 in the pricing page, 1 in the page on limits."""
    sd_size: str = "640x360"
    """Size of ``sd``: ``640x360`` in most sources, ``640x480`` in one live render."""
    list_order: ListOrder = "newest"
    """The real order is not documented."""
    list_delay: float = 0.0
    """Delay until a new project appears in the list."""
    status_delay: float = 0.0
    """Delay until a new project can be polled; until then it is unknown."""
    expire_after: float = 7 * 86400.0
    """Retention of the file after the end of the render."""
    missing_status: int = 400
    """HTTP status for a missing template or file: 400 as observed, or 404 as documented."""
    submit_missing_status: int = 404
    """HTTP status for a submission with an unknown template: 404 ``Template not found`` as documented, or 400 as
    observed for other calls."""
    conflict_status: int = 409
    """HTTP status for an existing file name; the live notes have only the text."""
    upload_expires: float = 120.0
    """Validity of an upload address."""
    upload_confirm: float = 3.0
    """How long a file stays ``pending`` after its upload."""
    lose_moved_pending: bool = True
    """Whether a file that is moved while ``pending`` is lost, as observed."""
    temp_expire_after: float = 86400.0
    """Retention of files in the folder ``temp``; the real time is not documented."""
    free_storage: int = 50 * 1024 * 1024
    """Bytes of the drive that are free."""
    storage_blocked: bool = False
    """Blocks the storage. It is also blocked when it costs credits and none are left."""
    webhook_shape: WebhookShape = "reference"
    """Which of the three published payloads a webhook sends: flat with numbers as texts (``reference``), flat
    with numbers (``tutorial``), or the response of GET /movies (``envelope``)."""
    webhook_types: WebhookTypes = "both"
    """Which values of ``content-type`` are accepted: short (``urlencoded``), full MIME types, or both."""
    allow_webhooks: bool = False
    """Send webhooks to any address, not only to loopback."""
    cache: bool = False
    """Reuse the file of an unchanged movie, as the real service does. Off by default, because it would hide a
    change of a media file."""
    max_width: int = 3840
    max_height: int = 3840
    """Largest frame of the plan; a larger one is refused with 401."""
    max_movie_seconds: float | None = None
    """Longest movie of the plan; None: no limit. A longer one is refused with 401 if its length is known at submission,
    and otherwise fails during the render. The text of the refusal is not published."""
    workers: int = 1
    """Number of renders in parallel, each in its own process. Read at start."""
    render_limit: float = LIMITS.render_seconds
    """Real seconds after which a worker process is killed and its render fails."""
    fetch_assets: bool = True
    """Download media files. If False, a placeholder is drawn for a missing one. ``instant`` never downloads."""
    allow_private: bool = False
    """Allow downloads from private and loopback addresses."""
    html: bool = False
    """Draw ``html`` elements as stills with an installed Chromium. Scripts run without network access."""
    max_asset_bytes: int = LIMITS.asset_bytes
    """Maximum bytes of one download."""
    max_job_bytes: int = LIMITS.job_bytes
    """Maximum bytes of all downloads of one render."""
    asset_timeout: float = LIMITS.download_seconds
    """Maximum real seconds of one download."""
    max_worker_bytes: int = LIMITS.worker_bytes
    """Maximum memory of a worker process, if the system supports such a limit."""
    seed: int | None = None
    """Seed of project ids and of the shuffled order, to make them repeatable."""

    def update(self, changes: Mapping[str, Any]) -> None:
        """Change several settings, or none if one of them is invalid.

        :raises ValueError: an unknown name, or an invalid value.
        """
        known = {f.name for f in fields(self)}
        if unknown := sorted(set(changes) - known):
            raise ValueError(f"unknown setting: {', '.join(unknown)}. Available: {', '.join(sorted(known))}")
        checked = {name: _checked(name, value) for name, value in changes.items()}
        for name, value in checked.items():
            setattr(self, name, value)

    def describe(self) -> dict[str, Any]:
        """Return the settings as JSON, for the control endpoints, with only the number of API keys."""
        return {**asdict(self), "api_keys": len(self.api_keys), "roles": sorted(self.roles.values())}


_CHOICES: dict[str, tuple[Any, ...]] = {
    "mode": get_args(Mode),
    "list_order": get_args(ListOrder),
    "quota_shape": get_args(QuotaShape),
    "missing_status": (400, 404),
    "submit_missing_status": (404, 400),
    "conflict_status": (409, 400),
    "key_status": (400, 401, 403),
    "role_status": (403, 400),
    "error_shape": get_args(ErrorShape),
    "large_frame_price": (4, 1),
    "sd_size": ("640x360", "640x480"),
    "webhook_shape": get_args(WebhookShape),
    "webhook_types": get_args(WebhookTypes),
}
_OPTIONAL = {"timeout_after", "seed", "max_movie_seconds"}
_SWITCHES = {
    "fetch_assets",
    "allow_private",
    "html",
    "suspended",
    "lose_moved_pending",
    "storage_blocked",
    "allow_webhooks",
    "cache",
}


def _checked(name: str, value: Any) -> Any:
    if name in _CHOICES:
        if value not in _CHOICES[name]:
            raise ValueError(f"{name} must be one of {', '.join(map(str, _CHOICES[name]))}, got {value!r}")
        return value
    if name == "api_keys":
        return (value,) if isinstance(value, str) else tuple(map(str, value))
    if name == "roles":
        if not isinstance(value, Mapping) or any(role not in get_args(Role) for role in value.values()):
            raise ValueError(f"roles must map each key to one of {', '.join(get_args(Role))}")
        return {str(key): role for key, role in value.items()}
    if name in _SWITCHES:
        if not isinstance(value, bool):
            raise ValueError(f"{name} must be true or false, got {value!r}")
        return value
    if value is None and name in _OPTIONAL:
        return None
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise ValueError(f"{name} must be a number, got {value!r}")
    return value
