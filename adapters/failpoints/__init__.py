"""Decorators of the ports that let a test end or stop this process at a named place.

In the object graph only of a process whose ORCHESTRATOR_FAILPOINTS is set.
"""
