"""The relay: takes what the ledger recorded and Kafka has not acknowledged, and publishes it.

What it promises: every row of ``outbox`` reaches Kafka at least once, in the order of its stream,
whatever dies in between. A row is deleted only after the broker acknowledged it, so a crash at any
point leaves the row, and at worst a message is sent twice; consumers drop it by its sequence.

How a process lives (``process.py``): it opens a database session and stands by until the session's
advisory lock makes it the leader (``leadership.py``). A leader's term (``term.py``) is a circle:
the database's side (``intake.py``) deletes what was acknowledged and fetches what is pending
(``outbox.py``), above a proven floor (``floor.py``, ``frontier.py``); a producer sends it in order
(``publisher.py``). A message that seems to be at fault is tried alone (``suspects.py``,
``trial.py``), and a stream that holds one waits for an operator (``blocked.py``, ``commands/``). A
lost session ends the term and discards the producer; trouble with Kafka pauses it and loses
nothing.

It knows four tables: ``events`` and ``outbox``, which the service writes, ``blocked_streams`` and
``ledger_horizon``, which are its own. It imports nothing of the service.
"""
