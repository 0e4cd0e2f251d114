"""The crash matrix: prove by breaking a real Airflow at every point that no render is paid for twice or lost.

::

    __main__       the command line: ``python -m tests.crash``
    soak           many renders with random faults and kills, under a seed
    run_rows       runs rows and collects their outcomes
    rows  actions  where the path is broken, and what the driver does in the meantime
    testbed        one Airflow and a few services
    table          the expected outcome, and the table of results
    markers        where to inject a fault; inject/sitecustomize.py does it in Airflow's processes
    dags           the DAGs

The product contains no code for this: Python lets ``sitecustomize`` wrap a few functions.
"""
