"""The api: REST over Starlette; it records what is desired and waits for outcomes."""
