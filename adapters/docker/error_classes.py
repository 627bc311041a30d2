"""What Docker's error texts mean: the one place that reads them.

Only the last line that Docker itself wrote counts: a build's output stands in the same text, and
what a user's program prints must not decide what we do. Nor must what a user chose: in that line,
quoted parts are left out, and the texts that carry a user's command unquoted are asked first.

    a call   an unknown text leaves the outcome unknown: it is looked at, not repeated
    a build  an unknown text is the build's own failure: it ends, and is not repeated for ever
"""

from __future__ import annotations

import re

from application.errors import (
    BuildFailed,
    EngineError,
    EngineExhausted,
    EngineRefused,
    EngineTransient,
    EngineUnreachable,
    NameConflict,
    OutcomeUnknown,
    PortConflict,
    StartWedged,
)

REASON_CHARACTERS = 500


class Gone(EngineError):  # noqa: N818 - named by what happened
    """What was to be acted on does not exist (any more)."""


class AlreadyDone(EngineError):  # noqa: N818 - named by what happened
    """It is already as it was asked to be."""


class TlsRefused(EngineUnreachable):
    """Client and engine do not accept each other's certificate, or one cannot be read.

    No call was made. It heals when the files are replaced: the client reads them at each call.
    """


_Table = tuple[tuple[type[EngineError], re.Pattern[str]], ...]


def _texts(*alternatives: str) -> re.Pattern[str]:
    return re.compile("|".join(alternatives), re.IGNORECASE)


_NOBODY_THERE = _texts(
    r"^(ERROR: )?(got )?permission denied while trying to connect",
    r"^(ERROR: )?(error during connect: .*)?cannot connect to the docker daemon",
    r"^(ERROR: )?error during connect: .*\b(dial|lookup|server gave HTTP|malformed HTTP)\b",
    r"^docker: .*(buildx.* is not a docker command|unknown command: docker buildx)",
    r"^timeout: failed to run command",
)
# The client's own words, so that a registry's certificate is none of it.
_TLS_FAILED = _texts(
    r"^(ERROR: )?error during connect: .*\b(tls|x509): ",
    r"^(ERROR: )?the server probably has client authentication",
    r"^(ERROR: )?(failed to initialize: )?failed to retrieve context tls info",
    r"^(ERROR: )?(failed to initialize: )?unable to resolve docker endpoint: .*(\bopen|x509|tls)\b",
    r"^(ERROR: )?Error response from daemon: client sent an HTTP request to an HTTPS server",
)
_NO_ROOM = _texts(
    r"no space left on device|disk quota exceeded|cannot allocate memory",
    r"could not find an available|all predefined address pools",
)
_MAY_PASS = _texts(
    r"\bEOF$|connection (reset|refused)|broken pipe|deadline exceeded|context cancell?ed",
    r"tls handshake timeout|i/o timeout|no such host|temporary failure|try again",
    r"too ?many ?requests|\b50[0234] |transport is closing|server closed|closing transport",
    r"code = (Unavailable|Canceled|Aborted|DeadlineExceeded)|Unavailable: ",
    r"is locked|marked for removal|is being removed|removal of container \S+ is already in prog",
    r"did not receive an exit event|device or resource busy|cannot start a .*stopped",
    r"unable to (remove|delete) .*\b(container|image is) ",
)
# Texts of Engine 20.10 to 28; in order: the first that is found in the line decides.
_OF_CALLS: _Table = (
    (TlsRefused, _TLS_FAILED),
    (EngineUnreachable, _NOBODY_THERE),
    # The program's own start: these carry what the image names, so only their end counts.
    (EngineExhausted, _texts(r"OCI runtime .*(no space left on device|allocate memory)(: \w+)?$")),
    (EngineTransient, _texts(r"OCI runtime .*(deadline exceeded|that has stopped)(: \w+)?$")),
    (
        EngineRefused,
        _texts(
            r"OCI runtime (create|start) failed|unable to start container process",
            r"unable to find (user|group)|no matching entries in (passwd|group) file",
        ),
    ),
    (
        PortConflict,
        _texts(r"port is already allocated|address already in use|ports are not available"),
    ),
    (NameConflict, _texts(r"is already in use by container")),
    (StartWedged, _texts(r"daemon: (id already in use|task [0-9a-f]{64}: already exists)$")),
    (
        Gone,
        _texts(
            r"no such (container|image|object)|reference does not exist",
            r"unable to find image|pull access denied",
        ),
    ),
    (AlreadyDone, _texts(r"container \S+ is not running|is already (started|stopped)")),
    (EngineExhausted, _NO_ROOM),
    (EngineTransient, _MAY_PASS),
    (
        EngineRefused,
        _texts(
            r"invalid (tag|reference|argument|port|environment|containerport|mount|volume)",
            r"no command specified|is not a valid|minimum memory|range of cpus",
            r"executable file not found|exec format error",
        ),
    ),
)
_OF_BUILDS: _Table = (
    # A step of the Dockerfile, whatever its command or its output says.
    (BuildFailed, _texts(r": exit code: \d+$")),
    (TlsRefused, _TLS_FAILED),
    (EngineUnreachable, _NOBODY_THERE),
    (
        BuildFailed,
        _texts(
            r"dockerfile parse error|failed to read dockerfile|invalid (tag|ref)",
            r"denied by policy$",
        ),
    ),
    (EngineExhausted, _NO_ROOM),
    # A registry that the Dockerfile names and nobody knows.
    (BuildFailed, _texts(r"no such host")),
    (EngineTransient, _MAY_PASS),
)

_QUOTED = re.compile(r'"(?:[^"\\]|\\.)*"')
# BuildKit before 0.11 does not quote the command of a step.
_STEP = re.compile(r"executor failed running \[.*\]")
_OF_DOCKER = re.compile(
    r"^((ERROR|Error)\b|(docker: )?Error response from daemon|error during connect"
    r"|(docker: )?Cannot connect to the Docker|(Got )?permission denied while trying"
    r"|[Tt]he server probably has client auth|[Ff]ailed to initialize: )"
)
# The CLI's own last word, which tells nothing that the daemon has not told before.
_SUMMARY = re.compile(r"^(Error: )?failed to \w+ containers: |^Run 'docker .* --help'")
# Which part of BuildKit says it helps nobody, nor does where it keeps its files.
_NOISE = re.compile(
    r"^(?:(?:ERROR|Error|docker|Error response from daemon|failed to solve"
    r"|failed to solve with frontend [\w.]+|failed to create LLB definition): ?"
    r"|rpc error: code = Unknown desc = )+"
    r"|(?<= )/\S*/buildkit-mount\d+/"
)


def classified(stderr: str) -> EngineError:
    """Return the error that the text of a call means; OutcomeUnknown if it is not known."""
    line = last_error_line(stderr)
    return _error(_found(_OF_CALLS, line) or OutcomeUnknown, line)


def classified_build(output: str) -> EngineError:
    """Return the error that the output of a failed build means.

    BuildFailed unless it is known to be the engine's trouble; a build that ended without
    BuildKit's own last word was not ended by BuildKit: OutcomeUnknown.
    """
    line = last_error_line(output)
    unknown = BuildFailed if line.startswith("ERROR: ") else OutcomeUnknown
    return _error(_found(_OF_BUILDS, line) or unknown, line)


def last_error_line(text: str) -> str:
    """Return the last line that Docker itself wrote as an error, else the last line."""
    lines = [line.rstrip() for line in text.split("\n") if line.strip()]
    lines = [line for line in lines if not _SUMMARY.search(line)] or lines
    return next(
        (line for line in reversed(lines) if _OF_DOCKER.search(line)), lines[-1] if lines else ""
    )


def reason_of(line: str) -> str:
    """Shorten an error line to what a user should read."""
    printable = "".join(character for character in line if character.isprintable())
    return _NOISE.sub("", printable).strip()[:REASON_CHARACTERS] or "the engine gave no reason"


def _error(class_: type[EngineError], line: str) -> EngineError:
    if class_ is TlsRefused:
        return TlsRefused(f"DOCKER_CERT_PATH, DOCKER_TLS_VERIFY: {reason_of(line)}")
    return class_(reason_of(line))


def _found(table: _Table, line: str) -> type[EngineError] | None:
    bare = _STEP.sub("a step", _QUOTED.sub('""', line))
    return next((class_ for class_, text in table if text.search(bare)), None)
