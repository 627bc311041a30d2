"""One profile for every property: no deadline on a slow machine, and a failure can be replayed.

With CI=true the examples are always the same; elsewhere each run looks at new ones, a failure is
kept in `.hypothesis` and printed as a blob for `@reproduce_failure`.
"""

import os

from hypothesis import HealthCheck, settings

settings.register_profile(
    "orchestrator",
    deadline=None,
    print_blob=True,
    derandomize=os.environ.get("CI") == "true",
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("orchestrator")
