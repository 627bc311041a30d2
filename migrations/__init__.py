"""The schema as numbered SQL files, and the runner that applies each of them once."""
