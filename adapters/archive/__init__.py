"""Build contexts out of uploaded archives: our own readers and our own extraction.

Neither `zipfile` nor `tarfile` extracts for us: the first drops executable bits and rewrites names
silently, the second was escaped through links more than once.
"""
