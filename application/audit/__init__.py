"""The audit: ledger, state, engine and volume held against each other, and nothing changed.

Each `audit_*` module compares snapshots and is pure. `look` takes those before and after a look at
the engine and the volume; `run_audit` decides when to believe what differs on a system that goes on
working meanwhile.
"""
