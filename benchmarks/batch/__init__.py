"""Measure what a batch costs, alone and compared with ``.expand()`` over the operator for one render.

``python -m benchmarks.batch`` renders two thousand rows in a real Airflow against the local service, with one response
in twenty broken and two workers killed, and fails if anything was paid for twice or is missing.
``python -m benchmarks.batch compare`` measures both ways of rendering 10 to 100 rows.
"""
