"""What an operator does: audit, sweep, look after engines, go on after a backup was restored.

Each command is a frozen dataclass of its arguments with a `run`. It tells its outcome on standard
output in lines of `name=value`, and what kept it from its end as one of the errors of `errors.py`.
"""
