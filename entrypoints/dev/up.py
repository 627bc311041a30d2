"""`make up`: serve on embedded defaults until Ctrl-C; data is kept until the next time."""

from __future__ import annotations

import signal
import sys

from entrypoints.dev.engine_packages import EngineMissingError
from entrypoints.dev.guarded_process import ServerStartError
from entrypoints.dev.home_folder import FolderInUseError
from entrypoints.dev.postgres_programs import PostgresMissingError
from entrypoints.dev.stack import running_stack


def main() -> int:
    ends = {signal.SIGTERM, signal.SIGINT, signal.SIGHUP}
    try:
        with running_stack("up", say=_say) as stack:
            _say("")
            _say(f"Serving at {stack.api.url} as user {stack.settings['DEV_USER_ID']}:")
            _say(f"  curl {stack.api.url}/api/images")
            _say(f"Events: Kafka at {stack.bootstrap_servers}, topic container-lifecycle")
            _say("Operators' commands, in another terminal:")
            for name in ("DATABASE_URL", "KAFKA_BOOTSTRAP_SERVERS"):
                _say(f"  export {name}='{stack.settings[name]}'")
            _say(f"  {sys.executable} -m relay status")
            _say("Ctrl-C ends it.")
            signal.pthread_sigmask(signal.SIG_BLOCK, ends)
            signal.sigwait(ends)
            _say("ending")
    except (EngineMissingError, FolderInUseError, PostgresMissingError, ServerStartError) as exc:
        print(exc, file=sys.stderr)  # noqa: T201 - a command's one line
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


def _say(line: str) -> None:
    print(line, flush=True)  # noqa: T201 - a command


if __name__ == "__main__":
    sys.exit(main())
