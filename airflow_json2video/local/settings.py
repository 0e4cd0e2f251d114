"""What can be switched on the local service, while it runs."""

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
    """The service's switches. Mutable on purpose: a test changes one and the next request sees it.

    Times are seconds on the service's clock, unless they say otherwise.
    """

    mode: Mode = "preview"
    """``instant`` (right size, length and scene colors, nothing drawn), ``slate``, ``preview`` or ``full``."""
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
    roles: dict[str, str] = field(default_factory=dict)
    """What a key may do: ``render`` (movies, drive, reading templates), ``editor`` (and writing templates),
    ``manager`` and ``admin`` (everything), or ``none``. A key that is not named here is an ``admin``."""
    key_status: int = 400
    """HTTP status of a bad key: 400 as observed, 401 by older pages, 403 by the endpoint index."""
    role_status: int = 403
    """HTTP status of a role too low: 403 by the tables, 400 by the page on deleting a movie."""
    suspended: bool = False
    """The account is suspended: every call answers 403 ``account_suspended``."""
    error_shape: ErrorShape = "usual"
    """``usual``: ``success`` and ``message``. ``message``: that alone. ``error``: the text under ``error``."""
    movie_quota: int = 1000
    """Movies that a legacy plan includes (``quota_shape="movies"``); beyond them a submission is refused with 401."""
    large_frame_price: int = 4
    """Credits a second above 1920x1080 pixels: 4 by the pricing page, 1 by the page on limits."""
    sd_size: str = "640x360"
    """Size of ``sd``: ``640x360`` as most sources say, ``640x480`` as one live render had."""
    list_order: ListOrder = "newest"
    """The real order is not documented."""
    list_delay: float = 0.0
    """A new project shows in the list only after this long."""
    status_delay: float = 0.0
    """A new project can be looked at only after this long; until then it is unknown."""
    expire_after: float = 7 * 86400.0
    """The file disappears this long after the end of the render."""
    missing_status: int = 400
    """HTTP status of a missing template or file: 400 as observed, or 404 as documented."""
    submit_missing_status: int = 404
    """HTTP status of a submission that names a template which does not exist: 404 ``Template not found`` as its page
    documents, or 400 as was observed of other calls."""
    conflict_status: int = 409
    """HTTP status of a file name that is taken; live notes have the text and not the number."""
    upload_expires: float = 120.0
    """An upload address is good for this long."""
    upload_confirm: float = 3.0
    """A file is ``pending`` for this long after its bytes have come."""
    lose_moved_pending: bool = True
    """A file that is moved while it is ``pending`` is lost, as was observed."""
    temp_expire_after: float = 86400.0
    """Files of the folder ``temp`` go after this long; the real time is not documented."""
    free_storage: int = 50 * 1024 * 1024
    """Bytes of the drive that cost nothing."""
    storage_blocked: bool = False
    """The storage is blocked whatever it holds; it also is when it costs and no credits are left."""
    webhook_shape: WebhookShape = "reference"
    """Which of the three published payloads a webhook sends: flat with numbers as texts (``reference``), flat
    with numbers (``tutorial``), or as GET /movies answers (``envelope``)."""
    webhook_types: WebhookTypes = "both"
    """Which values of ``content-type`` are understood: short (``urlencoded``), full MIME types, or both."""
    allow_webhooks: bool = False
    """Send webhooks to other machines too, and not to loopback only."""
    cache: bool = False
    """Answer a movie that was rendered before with the same file, as the real service does. Off by default,
    because it would hide that a file of yours has changed behind its address."""
    max_width: int = 3840
    max_height: int = 3840
    """The plan's largest frame; above it a submission is refused with 401."""
    max_movie_seconds: float | None = None
    """The plan's longest movie; None: as long as the machine allows. A longer one is refused with 401 where its length
    is known at the submission, and fails in the render where it is not. The words of the refusal are not published."""
    workers: int = 1
    """Renders at once, each in its own process. Read at start."""
    render_limit: float = LIMITS.render_seconds
    """Real seconds after which a worker process is ended and its render fails."""
    fetch_assets: bool = True
    """False: nothing is fetched, and a missing asset is drawn as a labeled card. ``instant`` never fetches."""
    allow_private: bool = False
    """Let assets come from private and loopback addresses."""
    html: bool = False
    """Draw ``html`` elements as stills with a Chromium of this machine. They may run script, without any network."""
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
_MAY_BE_NONE = {"timeout_after", "seed", "max_movie_seconds"}
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
            raise ValueError(f"{name} is one of {', '.join(map(str, _CHOICES[name]))}, not {value!r}")
        return value
    if name == "api_keys":
        return (value,) if isinstance(value, str) else tuple(map(str, value))
    if name == "roles":
        if not isinstance(value, Mapping) or any(role not in get_args(Role) for role in value.values()):
            raise ValueError(f"roles gives each key one of {', '.join(get_args(Role))}")
        return {str(key): role for key, role in value.items()}
    if name in _SWITCHES:
        if not isinstance(value, bool):
            raise ValueError(f"{name} is true or false, not {value!r}")
        return value
    if value is None and name in _MAY_BE_NONE:
        return None
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise ValueError(f"{name} is a number, not {value!r}")
    return value
