"""From an Airflow connection to a client of the JSON2Video API."""
