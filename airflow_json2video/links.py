"""The button on a task's page that leads to its render."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from airflow.providers.common.compat.sdk import BaseOperatorLink

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import BaseOperator, TaskInstanceKey

__all__ = ["Json2VideoRenderLink"]

DASHBOARD = "https://json2video.com/dashboard/"


class Json2VideoRenderLink(BaseOperatorLink):
    """Leads to the service's pages while the render runs, and to the video when it is done."""

    name: ClassVar[str] = "JSON2Video render"
    key: ClassVar[str] = "json2video_link"

    @property
    def xcom_key(self) -> str:
        """The XCom that Airflow 3 reads the address from."""
        return self.key

    def get_link(self, operator: BaseOperator, *, ti_key: TaskInstanceKey) -> str:  # noqa: ARG002
        """Give the address that the task stored; Airflow 2 asks for it on the webserver."""
        from airflow.providers.common.compat.sdk import XCom

        return XCom.get_value(ti_key=ti_key, key=self.key) or ""

    @classmethod
    def persist(cls, context: Any, address: str) -> None:
        """Store where the button leads: before any waiting, so that it works while the render runs."""
        context["ti"].xcom_push(key=cls.key, value=address)


def dashboard_url(host: str, *, project: str = "") -> str:
    """Give where a person sees what renders: the dashboard, or the page of a service on this machine."""
    from urllib.parse import urlsplit

    from airflow_json2video.api.config import is_loopback

    if not is_loopback(urlsplit(host).hostname):
        return DASHBOARD  # also behind a gateway, which has no pages of its own
    return f"{host.removesuffix('/v2')}/#{project}".removesuffix("#")
