"""What an operator does with a worker's means: each command a frozen dataclass with a ``run``.

It tells its outcome on standard output in lines of ``name=value``, and what kept it from its end as
one of the errors of ``errors.py``.
"""
