"""The crash matrix: prove by breaking a real Airflow at every point that no render is paid for twice or lost.

::

    __main__       the command line: ``python -m tests.crash``
    soak           many renders with random faults and kills, under a seed
    play           plays rows and collects their outcomes
    rows  acts     where the path is broken, and what the driver does in the meantime
    stage          one Airflow and a few services
    table          the expected outcome, and the table of results
    markers        where to strike; inject/sitecustomize.py does it in Airflow's processes
    dags           the DAGs

The product contains no code for this: Python lets ``sitecustomize`` wrap a few functions.
"""
