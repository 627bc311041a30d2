"""`python healthcheck.py PORT_VARIABLE DEFAULT_PORT`: the HEALTHCHECK of the images.

Asks /readyz of the process in the same container. Ready is silence and exit code 0; else it prints
the answer in one line, which `docker inspect` shows, and ends with 1. Standard library only: the
image of the relay holds nothing else of this package.
"""

import json
import os
import queue
import sys
import threading
from http.client import HTTPConnection, HTTPException

# For all of it. Docker's own limit is more than this, and would tell nothing.
_SECONDS = 4.0
# Of an answer: what tells how it is, and not what is wrong.
_NO_TROUBLE = {"status", "role", "engines"}
_EVERY_ADDRESS = {"", "0.0.0.0", "::"}  # noqa: S104 - what it is asked on instead is loopback


def main(variable: str, default: str) -> int:
    given = os.environ.get("BIND_HOST", "")
    host = "127.0.0.1" if given in _EVERY_ADDRESS else given
    port = os.environ.get(variable) or default
    line = _asked_in_time(host, int(port))
    if line:
        print(line)  # noqa: T201 - what it is for
    return 1 if line else 0


def _asked_in_time(host: str, port: int) -> str:
    """Return what is wrong in one line, nothing if it is ready.

    A socket's own time limit begins anew with each byte that comes.
    """
    answers: queue.SimpleQueue[str] = queue.SimpleQueue()
    asking = threading.Thread(target=lambda: answers.put(_asked(host, port)), daemon=True)
    asking.start()
    try:
        return answers.get(timeout=_SECONDS)
    except queue.Empty:
        return f"nobody answers at {host}:{port}: no answer within {_SECONDS:g} s"


def _asked(host: str, port: int) -> str:
    connection = HTTPConnection(host, port, timeout=_SECONDS)
    try:
        connection.request("GET", "/readyz")
        answer = connection.getresponse()
        body = " ".join(answer.read(4096).decode(errors="replace").split())
    except (OSError, HTTPException) as exc:
        return f"nobody answers at {host}:{port}: {str(exc) or type(exc).__name__}"
    return "" if answer.status == 200 else _readable(body) or "not ready"  # noqa: PLR2004 - no import for one number


def _readable(body: str) -> str:
    """Return what is wrong, each of it once, without what is not."""
    try:
        told = json.loads(body)
        parts = {**told.pop("needs", {}), **told}
    except (ValueError, AttributeError, TypeError):
        return body
    wrong = {
        text: name for name, text in reversed(parts.items()) if name not in _NO_TROUBLE and text
    }
    wrong.pop("ok", None)
    texts = [text if name == "detail" else f"{name}: {text}" for text, name in wrong.items()]
    return "not ready: " + "; ".join(reversed(texts))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2]))
