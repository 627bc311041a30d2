"""``python -m relay``: publish the outbox; with arguments, one operator's command instead."""

import os
import sys

from relay.command_line import run_command
from relay.serve import serve


def main() -> int:
    arguments = sys.argv[1:]
    return run_command(arguments, os.environ) if arguments else serve(os.environ)


if __name__ == "__main__":
    sys.exit(main())
