"""Apache Airflow provider for JSON2Video."""

__version__ = "0.1.0"
