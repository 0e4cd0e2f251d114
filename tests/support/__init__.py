"""A real Airflow and the local service as processes, for the integration and crash tests, ``tools`` and ``benchmarks``.

::

    airflow          a whole Airflow in a temporary home, one class for 2.11 to 3.3
    airflow_api      queries to a running Airflow: REST on 3.x, the process of airflow2_orm on 2.11
    service          the local JSON2Video service as a process
    processes        process groups that end with their parent, however it ends
    timeline         what a run's log lines and the service's statuses add up to, for the demo
    video            the facts of a video file, by decoding it

None of this is part of the installed package.
"""
