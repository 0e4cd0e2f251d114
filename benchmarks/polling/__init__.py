"""What waiting costs: our trigger beside those of other providers, on one machine, against one server.

``make bench`` runs it. One idea to a file:

- ``mix``: the render times, and the plan of who renders when that follows from them;
- ``answers``: what the server says, in the shapes of each service;
- ``server``: the process that says it, over TLS, 50 ms late;
- ``contenders``: the triggers;
- ``harness``: the process that runs one of them as a triggerer would, and measures itself;
- ``statistics``: delays of which some have not ended yet;
- ``triggerer``: the same in a real Airflow;
- ``report`` and ``plots``: what a person reads.
"""
