"""What a batch costs, whole and beside ``.expand()`` on the operator for one render.

``python -m benchmarks.batch`` renders two thousand rows in a real Airflow against the local service, with one answer
in twenty broken and two workers killed, and fails if anything was paid for twice or is missing.
``python -m benchmarks.batch border`` measures both ways of rendering 10 to 100 rows.
"""
