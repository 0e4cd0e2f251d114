"""Metadata of the provider. This module imports nothing, since every Airflow command loads it."""

from __future__ import annotations

from typing import Any

__all__ = ["get_provider_info"]

_ASSET_URI = {
    "schemes": ["json2video"],
    "handler": "airflow_json2video.assets.sanitize_uri",
    "factory": "airflow_json2video.assets.create_asset",
    "to_openlineage_converter": "airflow_json2video.assets.convert_asset_to_openlineage",
}


def get_provider_info() -> dict[str, Any]:
    """Return the provider's metadata in Airflow's format."""
    return {
        "package-name": "airflow-json2video",
        "name": "JSON2Video",
        "description": "Renders videos with JSON2Video: submits once, waits without a worker slot, stores the video.",
        "integrations": [
            {
                "integration-name": "JSON2Video",
                "external-doc-url": "https://json2video.com/docs/v2/",
                "tags": ["service"],
            }
        ],
        "hooks": [
            {"integration-name": "JSON2Video", "python-modules": ["airflow_json2video.hooks.json2video"]},
        ],
        "operators": [
            {
                "integration-name": "JSON2Video",
                "python-modules": [
                    "airflow_json2video.operators.render",
                    "airflow_json2video.operators.batch",
                    "airflow_json2video.operators.template",
                    "airflow_json2video.operators.drive",
                    "airflow_json2video.operators.renders",
                ],
            },
        ],
        "sensors": [
            {"integration-name": "JSON2Video", "python-modules": ["airflow_json2video.sensors.render"]},
        ],
        "triggers": [
            {
                "integration-name": "JSON2Video",
                "python-modules": [
                    "airflow_json2video.triggers.render_event",
                    "airflow_json2video.triggers.render",
                    "airflow_json2video.triggers.batch",
                    "airflow_json2video.triggers.availability",
                    "airflow_json2video.triggers.credits",
                ],
            },
        ],
        "transfers": [
            {
                "source-integration-name": "JSON2Video",
                "target-integration-name": "JSON2Video",
                "python-module": "airflow_json2video.transfers.json2video_to_object_storage",
            },
            {
                "source-integration-name": "JSON2Video",
                "target-integration-name": "JSON2Video",
                "python-module": "airflow_json2video.transfers.object_storage_to_json2video",
            },
        ],
        "task-decorators": [
            {"name": "json2video", "class-name": "airflow_json2video.decorators.json2video.json2video_task"},
        ],
        "cli": ["airflow_json2video.commands.get_cli_commands"],
        "asset-uris": [_ASSET_URI],
        "dataset-uris": [_ASSET_URI],  # the name in Airflow 2.11
        "extra-links": ["airflow_json2video.links.Json2VideoRenderLink"],
        "connection-types": [
            {
                "connection-type": "json2video",
                "hook-class-name": "airflow_json2video.hooks.json2video.Json2VideoHook",
                "hook-name": "JSON2Video",
                # Airflow 3.2 and later; earlier versions use the hook. A test compares the two.
                "ui-field-behaviour": {
                    "hidden-fields": ["schema", "login", "port", "extra"],
                    "relabeling": {"password": "API key", "host": "Host (optional)"},
                    "placeholders": {
                        "password": "the API key of a JSON2Video project",
                        "host": "https://api.json2video.com/v2",
                    },
                },
                "conn-fields": {
                    "connect_timeout": {
                        "label": "Connect timeout",
                        "description": "Seconds to wait for a connection. Default 10.",
                        "schema": {"type": ["number", "null"], "minimum": 0},
                    },
                    "read_timeout": {
                        "label": "Read timeout",
                        "description": "Seconds to wait for more of a response. Default 30.",
                        "schema": {"type": ["number", "null"], "minimum": 0},
                    },
                    "retries": {
                        "label": "Retries",
                        "description": "Repeats of a call that is safe to repeat; never a submission. Default 4.",
                        "schema": {"type": ["integer", "null"], "minimum": 0},
                    },
                    "proxy": {
                        "label": "Proxy",
                        "description": "Address of an HTTP proxy, if the environment does not have one.",
                        "schema": {"type": ["string", "null"]},
                    },
                    "ca_file": {
                        "label": "CA file",
                        "description": "Path of a PEM file with the certificates to trust.",
                        "schema": {"type": ["string", "null"]},
                    },
                    "namespace": {
                        "label": "Namespace",
                        "description": "Name of this deployment, if several share the account. Default: the id of "
                        "its metadata database.",
                        "schema": {"type": ["string", "null"]},
                    },
                    "confirmation_time": {
                        "label": "Confirmation time",
                        "description": "Seconds until a submission whose response was lost is sent again, if the list "
                        "does not show it. Default 300.",
                        "schema": {"type": ["number", "null"], "minimum": 0},
                    },
                },
            }
        ],
    }
