"""The relay: takes what the ledger recorded and Kafka has not acknowledged, and publishes it.

What it promises: every row of ``outbox`` reaches Kafka at least once, in the order of its stream,
whatever dies in between. A row is deleted only after the broker acknowledged it, so a crash at any
point leaves the row, and at worst a message is sent twice; consumers drop it by its sequence.

How a process lives (``process.py``): it opens a database session and stands by until the session's
advisory lock makes it the leader (``leadership.py``). A leader's term (``term.py``) fetches pending
rows (``outbox.py``), sets aside streams whose rows cannot be published (``ordering.py``), produces
the rest and waits for acknowledgements (``publisher.py``), and deletes on the same session. A lost
session ends the term and discards the producer; trouble with Kafka pauses it and loses nothing.

It knows two tables, ``events`` and ``outbox``, and imports nothing of the service.
"""
