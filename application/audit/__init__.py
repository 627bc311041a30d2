"""The audit: ledger, state, engine and volume held against each other, and nothing changed.

Each `audit_*` module compares snapshots and is pure. `run_audit` takes the snapshots, and decides
what may be called a difference on a system that goes on working meanwhile.
"""
