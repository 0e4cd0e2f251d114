"""Check a document before it is paid for."""

from airflow_json2video.movie import check

document = {
    "scenes": [
        {"duration": 2, "elements": [{"type": "video"}, {"type": "text", "text": "Hi", "z-index": 500}]},
    ],
}
for finding in check(document):
    print(finding.severity.value, finding)
