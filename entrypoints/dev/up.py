"""`make up`: serve on embedded defaults until Ctrl-C; data is kept until the next time.

A part that dies is told, and the others go on: what happens then is what one may want to see. The
exit code is 1 afterwards.
"""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable

from entrypoints.dev.engine_packages import EngineMissingError
from entrypoints.dev.folders import REPOSITORY
from entrypoints.dev.guarded_process import ServerStartError
from entrypoints.dev.home_folder import FolderInUseError
from entrypoints.dev.kafka_mock import DESIGNED_TOPICS
from entrypoints.dev.postgres_programs import PostgresMissingError
from entrypoints.dev.stack import Stack, running_stack

_LOOK_SECONDS = 0.5


def main() -> int:
    ends = {signal.SIGTERM, signal.SIGINT, signal.SIGHUP}
    try:
        with running_stack("up", say=_say) as stack:
            _tell(stack)
            signal.pthread_sigmask(signal.SIG_BLOCK, ends)
            ended = watch(stack, lambda: signal.sigtimedwait(ends, _LOOK_SECONDS) is not None, _say)
            _say("ending")
    except FolderInUseError as exc:
        return _refuse(f"make up already runs here: {exc}")
    except (EngineMissingError, PostgresMissingError, ServerStartError) as exc:
        return _refuse(str(exc))
    except KeyboardInterrupt:
        return 130
    return 1 if ended else 0


def watch(stack: Stack, is_over: Callable[[], bool], say: Callable[[str], None]) -> set[str]:
    """Tell of each part that ends by itself; return their names.

    Args:
        is_over: Asked again and again, and waits a little itself.
        say: Is told one line a part.
    """
    ended: set[str] = set()
    while not is_over():
        for name, process in stack.ended().items():
            if name not in ended:
                ended.add(name)
                say(f"{name} ended with {process.exit_code}, see {process.log}; the rest goes on")
    return ended


def _tell(stack: Stack) -> None:
    topics = " ".join(DESIGNED_TOPICS)
    store = stack.folder / "consumer.db"
    _say("")
    _say(f"Serving at {stack.api.url} as user {stack.settings['DEV_USER_ID']}:")
    _say(f"  curl {stack.api.url}/api/images")
    _say(f"Events: Kafka at {stack.bootstrap_servers}, topics {topics}")
    _say("In another terminal, operators' commands and a consumer of the events:")
    _say(f"  cd '{REPOSITORY}'")
    for name in ("DATABASE_URL", "KAFKA_BOOTSTRAP_SERVERS"):
        _say(f"  export {name}='{stack.settings[name]}'")
    _say(f"  export ORCHESTRATOR_URL='{stack.api.url}'")
    _say("  .venv/bin/python -m relay status")
    _say("  .venv/bin/python entrypoints/dev/examples/consumer.py --group example \\")
    _say(f"    --store '{store}' {topics}")
    _say("Ctrl-C ends it.")


def _refuse(reason: str) -> int:
    print(reason, file=sys.stderr)  # noqa: T201 - a command's one line
    return 1


def _say(line: str) -> None:
    print(line, flush=True)  # noqa: T201 - a command


if __name__ == "__main__":
    sys.exit(main())
