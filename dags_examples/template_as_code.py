"""Synchronize a template and a logo from the repository to JSON2Video, then render."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

from airflow.providers.common.compat.sdk import DAG

from airflow_json2video.operators.render import Json2VideoRenderOperator
from airflow_json2video.operators.template import Json2VideoSyncTemplateOperator
from airflow_json2video.transfers.object_storage_to_json2video import ObjectStorageToJson2VideoOperator

with DAG(
    "json2video_template_as_code",
    schedule=None,
    start_date=datetime(2026, 1, 1),
    catchup=False,
    params={"headline": "Spring sale"},
    tags=["json2video", "example"],
) as dag:
    # [START template_as_code]
    template = Json2VideoSyncTemplateOperator(
        task_id="template",
        name="rooms (from the DAG)",
        movie="movies/rooms_template.json",
        retries=2,
    )

    logo = ObjectStorageToJson2VideoOperator(
        task_id="logo",
        source=str(Path(__file__).parent / "data" / "logo.png"),  # or s3://conn@bucket/logo.png
        folder="brand",
        if_exists="replace",
        multiple_outputs=True,  # so that logo.output["url"] is only the address
        retries=2,
    )

    render = Json2VideoRenderOperator(
        task_id="render",
        template=template.output,
        variables={
            "headline": "{{ params.headline }}",
            "logo": logo.output["url"],
            "rooms": [{"name": "Loft"}, {"name": "Attic"}],
        },
        retries=2,
    )
    # [END template_as_code]
