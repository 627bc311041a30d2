"""Use cases: one a file, each a command carried out in transactions over the ports."""
