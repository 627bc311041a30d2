"""Hand a user's variables to `docker create` without showing them, or obeying them.

They stand neither on a command line, where other users of the machine could read them, nor in a
file, which a killed worker would leave behind: the CLI reads them as its `--env-file` from memory
that ends with the last process that holds it. Nor are they the CLI's own environment, for a user's
LD_PRELOAD or DOCKER_HOST would then rule the worker.

Such a file knows no line breaks. The rare value that has one, a key or a certificate as a rule, is
handed over in the CLI's environment after all; unless its name is one that a program on the way
might obey: then its value, which is no secret, stands on the command line.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

# What the dynamic loader, the C library, the shell, Go's runtime and the Docker CLI look at; the
# names of credentials, which do have line breaks, are not among them.
_OBEYED = re.compile(
    r"(LD|MALLOC|LC|XDG|OTEL|DOCKER_CLI|DOCKER_CONTENT_TRUST)_[A-Z0-9_]+|GLIBC_TUNABLES|GCONV_PATH"
    r"|DOCKER_(HOST|CONFIG|CONTEXT|CERT_PATH|TLS|TLS_VERIFY|API_VERSION|AUTH_CONFIG)"
    r"|DOCKER_(DEFAULT_PLATFORM|CUSTOM_HEADERS|BUILDKIT)|SSL_CERT_(FILE|DIR)|SSH_AUTH_SOCK"
    r"|GO(DEBUG|GC|MAXPROCS|MEMLIMIT|TRACEBACK|COVERDIR|RACE)|(HTTP|HTTPS|ALL|NO|FTP)_PROXY"
    r"|PATH|HOME|USER|SHELL|ENV|IFS|PS[0-4]|PWD|OLDPWD|TERM|LANG|LANGUAGE|LOCPATH|NLSPATH|TMPDIR"
    r"|TZ|TZDIR|RES_OPTIONS|LOCALDOMAIN|HOSTALIASES|POSIXLY_CORRECT|BASH_[A-Z]+|SHELLOPTS"
    # A shell reads these as it starts; dash ends at an OPTIND that is no number.
    r"|OPTIND|MAIL|MAILPATH|HISTSIZE|ATTY",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class EnvironmentFlags:
    """How one `docker create` gets the variables.

    Attributes:
        flags: for the command line; names and a descriptor, values only of names that are obeyed.
        descriptor: is to be inherited by the CLI.
        environment: is to be added to the CLI's own.
    """

    flags: list[str]
    descriptor: int
    environment: dict[str, str]


@contextmanager
def environment_flags(env: Mapping[str, str]) -> Iterator[EnvironmentFlags]:
    """Yield the flags of `docker create` for `env`; nothing of it is left afterwards."""
    lines = {name: value for name, value in env.items() if not _breaks(value)}
    broken = {name: value for name, value in env.items() if _breaks(value)}
    obeyed = {name: value for name, value in broken.items() if _OBEYED.fullmatch(name)}
    others = {name: value for name, value in broken.items() if name not in obeyed}
    descriptor = os.memfd_create("env")
    try:
        with os.fdopen(descriptor, "wb", closefd=False) as file:
            file.writelines(f"{name}={value}\n".encode() for name, value in lines.items())
        shown = [f"{name}={value}" for name, value in obeyed.items()]
        named = [part for given in (*others, *shown) for part in ("--env", given)]
        yield EnvironmentFlags(["--env-file", f"/dev/fd/{descriptor}", *named], descriptor, others)
    finally:
        os.close(descriptor)


def _breaks(value: str) -> bool:
    return "\n" in value or "\r" in value
