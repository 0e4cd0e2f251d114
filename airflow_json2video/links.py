"""The button on a task's page that opens its render."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from airflow.providers.common.compat.sdk import BaseOperatorLink

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import BaseOperator, TaskInstanceKey

__all__ = ["Json2VideoRenderLink"]

DASHBOARD = "https://json2video.com/dashboard/"


class Json2VideoRenderLink(BaseOperatorLink):
    """Opens the service's dashboard while the render runs, and the video when it is done."""

    name: ClassVar[str] = "JSON2Video render"
    key: ClassVar[str] = "json2video_link"

    @property
    def xcom_key(self) -> str:
        """The XCom that Airflow 3 reads the URL from."""
        return self.key

    def get_link(self, operator: BaseOperator, *, ti_key: TaskInstanceKey) -> str:  # noqa: ARG002
        """Return the URL that the task stored; Airflow 2 calls this on the webserver."""
        from airflow.providers.common.compat.sdk import XCom

        return XCom.get_value(ti_key=ti_key, key=self.key) or ""

    @classmethod
    def persist(cls, context: Any, address: str) -> None:
        """Store the URL that the button opens, before any waiting, so that it works while the render runs."""
        context["ti"].xcom_push(key=cls.key, value=address)


def dashboard_url(host: str, *, project: str = "") -> str:
    """Return the page that shows the renders: the dashboard, or the page of a local service."""
    from urllib.parse import urlsplit

    from airflow_json2video.api.config import is_loopback

    if not is_loopback(urlsplit(host).hostname):
        return DASHBOARD  # also for a gateway, which has no such page
    return f"{host.removesuffix('/v2')}/#{project}".removesuffix("#")
