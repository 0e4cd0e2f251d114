"""What waiting costs: our trigger compared with those of other providers, on one machine, against one server.

``make bench`` runs it. The files:

- ``mix``: the render times, and the plan of the renders that follows from them;
- ``answers``: the responses of the server, in the format of each service;
- ``server``: the process that sends them, over TLS, after 50 ms;
- ``contenders``: the triggers;
- ``harness``: the process that runs one of them as a triggerer does, and measures itself;
- ``statistics``: delays of which some have not ended yet;
- ``triggerer``: the same in a real Airflow;
- ``report`` and ``plots``: the tables and figures.
"""
