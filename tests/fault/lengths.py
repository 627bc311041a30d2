"""How long the faults last: short in `make test`, full with FAULT_LONG=1 (`make fault-long`)."""

import os

LONG = os.environ.get("FAULT_LONG") == "1"

# How long a server is away.
OUTAGE_SECONDS = 60.0 if LONG else 5.0
# For what follows a fault: everything pending published, everything consumed.
RECOVERY_SECONDS = 300.0 if LONG else 90.0
# The relay looks at everything every 30 s: what it finds only then, it has missed before.
PROMPTLY_SECONDS = 15.0
# pytest's own limit of one test.
TEST_SECONDS = 3_600 if LONG else 300
