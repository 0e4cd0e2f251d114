"""Keeping the video from within a task: what an operator was told about it, and doing so.

Loaded when a task runs, not when its DAG file is parsed.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from airflow_json2video.exceptions import RenderExpired
from airflow_json2video.hooks.storing import check_destination, find_stored, store_video
from airflow_json2video.hooks.waiting import wire
from airflow_json2video.rendering.polling import Ended, seconds_in_words
from airflow_json2video.rendering.result import movie_facts
from airflow_json2video.rendering.storing import seconds_left

if TYPE_CHECKING:
    from airflow_json2video.api.responses import MovieStatus
    from airflow_json2video.hooks.json2video import Json2VideoHook
    from airflow_json2video.hooks.waiting import TaskLog
    from airflow_json2video.rendering.result import RenderResult

__all__ = ["Keeping", "warn_of_expiry"]

_SOON = 86400.0


@dataclass(frozen=True, kw_only=True)
class Keeping:
    """What is to be kept of a render, and where.

    :ivar template: see :func:`.store_video`. :ivar subtitles: the ASS file too. :ivar thumbnail: the picture too.
    :ivar delete: whether the service's file is deleted afterwards.
    """

    template: str
    subtitles: bool
    thumbnail: bool
    delete: bool
    hook: Json2VideoHook
    log: TaskLog

    @classmethod
    def of(cls, operator: Any) -> Keeping | None:
        """Read the arguments of *operator*; None if it is not to keep anything."""
        if operator.output_path is None:
            return None
        return cls(
            template=operator.output_path,
            subtitles=operator.store_subtitles,
            thumbnail=operator.store_thumbnail,
            delete=operator.delete_after_store,
            hook=operator.hook,
            log=operator.log,
        )

    def check(self) -> None:
        """Refuse a destination that a paid video could not be kept at."""
        check_destination(self.template, log=self.log)

    def has(self, movie: MovieStatus) -> bool:
        """Whether a render is kept already, though the service has lost its file."""
        return find_stored(wire(movie), template=self.template, log=self.log) is not None

    def ended(self, ended: Ended) -> Ended:
        """Take a render whose file the service has no more for finished, so that what is kept of it is found."""
        if not isinstance(ended.error, RenderExpired) or not ended.error.project:
            return ended
        answer = self.hook.get_movie(ended.error.project)
        quota = wire(answer.remaining_quota) if answer.remaining_quota is not None else {}
        return Ended(movie=movie_facts(wire(answer.movie)), remaining_quota=quota)

    def keep(self, movie: Mapping[str, Any], result: RenderResult) -> RenderResult:
        """Keep what is asked for and give the result with where it is.

        :raises Json2VideoError: as :func:`.store_video`.
        """
        from airflow_json2video.hooks.metrics import video_stored

        began = time.monotonic()
        stored = store_video(
            movie,
            template=self.template,
            hook=self.hook,
            log=self.log,
            subtitles=self.subtitles,
            thumbnail=self.thumbnail,
            delete=self.delete,
        )
        if stored.downloaded:
            video_stored(stored.bytes, seconds=time.monotonic() - began)
        return stored.added_to(result)


def warn_of_expiry(movie: Mapping[str, Any], *, log: TaskLog) -> None:
    """Say so when the service will delete the file of a render within a day, and nobody keeps it."""
    left = seconds_left(movie, now=time.time())
    if left is not None and left < _SOON:
        log.warning(
            "JSON2Video deletes the file of render %s in %s, seven days after its end. Nothing keeps it: set "
            "output_path, or get it before.",
            movie["project"],
            seconds_in_words(left),
        )
