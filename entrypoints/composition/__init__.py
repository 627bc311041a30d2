"""The composition root: which adapter stands behind which port, one file a process.

The only package that knows dependency-injector. Its containers are synchronous and wire nothing:
pools and threads are opened and closed by the process that owns them (`entrypoints.http`,
`entrypoints.worker`), in an order that can be read there.
"""
