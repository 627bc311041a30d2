"""The worker: the only process that reaches Docker.

It claims what is due under leases, carries each step out on threads with a limit for each kind of
work, and holds no thread while it waits for a port to answer. Any number of workers may run.
"""
