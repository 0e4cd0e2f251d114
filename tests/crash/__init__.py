"""The crash matrix: never pay twice, never lose a render, shown by breaking a real Airflow at every point.

::

    __main__       what a person runs: ``python -m tests.crash``
    soak           many renders with random faults and kills, under a seed
    play           plays rows, and looks at what became of them
    rows  acts     where the path is broken, and what the driver does meanwhile
    stage          one Airflow and a few services
    table          what must hold, and the table that shows it
    markers        where to strike; inject/sitecustomize.py is the end of it in Airflow's processes
    dags           what is run

The product has no hook for any of this: Python itself lets ``sitecustomize`` wrap a few functions.
"""
