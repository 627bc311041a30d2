"""Apache Kafka's jars, resolved once by Maven into the download cache."""

import hashlib
import os
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

from entrypoints.dev.folders import download_folder

_POM = Path(__file__).with_name("kafka") / "pom.xml"
_MINIMUM_JAVA = 17
_RESOLVE_TIMEOUT_SECONDS = 600


class BrokerUnavailableError(RuntimeError):
    """A real Kafka broker cannot be run here; the message is one line that says why."""


def java_program() -> str:
    """Return a Java of 17 or later: `JAVA_HOME`'s, else the one in PATH.

    Raises:
        BrokerUnavailableError: there is none.
    """
    home = os.environ.get("JAVA_HOME")
    candidates = [str(Path(home) / "bin" / "java")] if home else []
    candidates += [found] if (found := shutil.which("java")) else []
    for java in candidates:
        if _java_version(java) >= _MINIMUM_JAVA:
            return java
    raise BrokerUnavailableError(f"Apache Kafka needs Java {_MINIMUM_JAVA}: none was found")


def kafka_jars(say: Callable[[str], None]) -> Path:
    """Return the folder with the broker's jars; `say` is told if they must be fetched first.

    Raises:
        BrokerUnavailableError: Maven is missing, or could not resolve them.
    """
    folder = download_folder() / "kafka" / hashlib.sha256(_POM.read_bytes()).hexdigest()[:16]
    if folder.exists():
        return folder
    maven = shutil.which("mvn")
    if maven is None:
        raise BrokerUnavailableError("Apache Kafka is fetched by Maven: mvn was not found")
    say("resolving Apache Kafka with Maven …")
    unfinished = folder.with_name(f"{folder.name}.{os.getpid()}")
    try:
        _resolve(maven, unfinished)
        try:
            unfinished.rename(folder)
        except OSError:  # another process was faster
            if not folder.exists():
                raise
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
    return folder


def _resolve(maven: str, into: Path) -> None:
    try:
        done = subprocess.run(  # noqa: S603 - Maven and our own pom
            [
                *(maven, "--batch-mode", "--quiet", "--strict-checksums", "--file", str(_POM)),
                *("dependency:copy-dependencies", "-DincludeScope=runtime"),
                f"-DoutputDirectory={into}",
            ],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=_RESOLVE_TIMEOUT_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise BrokerUnavailableError("Maven did not resolve Apache Kafka in 10 minutes") from error
    if done.returncode:
        reasons = [line for line in done.stdout.splitlines() if "ERROR" in line]
        reason = reasons[0] if reasons else f"exit code {done.returncode}"
        raise BrokerUnavailableError(f"Maven could not resolve Apache Kafka: {reason[:300]}")


def _java_version(java: str) -> int:
    try:
        done = subprocess.run(  # noqa: S603 - a Java that was searched for
            [java, "-version"], capture_output=True, text=True, timeout=60, check=False
        )
    except OSError:
        return 0
    found = re.search(r'version "(\d+)', done.stderr)
    return int(found[1]) if found and done.returncode == 0 else 0
