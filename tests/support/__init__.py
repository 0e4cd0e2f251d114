"""A real Airflow on this machine, for the demo, the integration tests and the version matrix.

::

    demo  matrix           what a person runs
    airflow                a whole Airflow in a throwaway home, one class for 2.11 to 3.3
    airflow_api            what can be asked of a running Airflow: REST on 3.x, an ORM helper on 2.11
    service                the local JSON2Video service as a process of its own
    processes              process groups that end with their parent, however it ends

None of this is part of the installed package.
"""
