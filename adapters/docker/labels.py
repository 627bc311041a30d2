"""The labels by which we know what is ours in Docker."""

from __future__ import annotations

PREFIX = "orchestrator."

INSTALLATION_ID = PREFIX + "installation_id"
UID = PREFIX + "uid"
IMAGE_ID = PREFIX + "image_id"
BUILD_ID = PREFIX + "build_id"
SPEC_HASH = PREFIX + "spec_hash"
