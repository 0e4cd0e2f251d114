"""Fill a stored template with the run's values."""

from __future__ import annotations

from datetime import datetime

from airflow.providers.common.compat.sdk import DAG

from airflow_json2video.operators.render import Json2VideoRenderOperator

with DAG(
    "json2video_template_with_variables",
    schedule=None,
    start_date=datetime(2026, 1, 1),
    catchup=False,
    params={"template": "abc123def456ghi789jk", "headline": "Spring sale"},
    tags=["json2video", "example"],
) as dag:
    # [START template_with_variables]
    render = Json2VideoRenderOperator(
        task_id="render",
        template="{{ params.template }}",
        variables={"headline": "{{ params.headline }}", "rooms": [{"name": "Loft"}, {"name": "Attic"}]},
    )
    # [END template_with_variables]
