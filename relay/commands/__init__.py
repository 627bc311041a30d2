"""What an operator does: look, decide about blocked streams, send again, remove what is over.

Each command is a frozen dataclass of its arguments with a ``run``. It tells its outcome on standard
output in lines of ``name=value``, how far it came on standard error, and what kept it from its end
as one of the errors of ``errors.py``. All of them work on the database alone, whoever leads, and
none has to be told to the leader: what it acts on are rows.
"""
