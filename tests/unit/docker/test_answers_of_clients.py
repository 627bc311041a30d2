"""What the engine makes of a client that answers wrongly, fails, or is not there."""

from __future__ import annotations

from pathlib import Path

import pytest

from adapters.docker.error_classes import TlsRefused
from application.errors import (
    BuildFailed,
    EngineError,
    EngineRefused,
    EngineTransient,
    EngineUnreachable,
    OutcomeUnknown,
)
from tests.unit.docker.shims import BUILT, DOCKER_ID, Shim, build_order, container_order


@pytest.mark.parametrize("answer", ["", "garbage", "{}", "\\0377\\0376", "[]"])
def test_an_answer_that_is_no_answer_leaves_the_outcome_unknown(shim: Shim, answer: str) -> None:
    engine = shim(f"printf '%b' '{answer}'")

    with pytest.raises(OutcomeUnknown):
        engine.inspect("web")
    with pytest.raises(OutcomeUnknown):
        engine.create(container_order())


def test_an_engine_that_tells_no_id_is_unreachable(shim: Shim) -> None:
    engine = shim("echo; echo 'ERROR: Cannot connect to the Docker daemon' >&2")

    with pytest.raises(EngineUnreachable):
        engine.engine_id()


def test_a_client_that_fails_with_code_0_is_believed_by_what_it_tells(shim: Shim) -> None:
    """Seen with client 26.1.5."""
    engine = shim(
        """echo 'no id: error during connect: Get "https://10.0.0.7:2376/v1.24/info": tls:'"""
        "' failed to verify certificate: x509: certificate signed by unknown authority'"
    )

    with pytest.raises(TlsRefused, match="unknown authority"):
        engine.engine_id()


@pytest.mark.parametrize(
    ("script", "class_"),
    [
        ("echo 'Error response from daemon: unheard of' >&2; exit 1", OutcomeUnknown),
        ("exit 1", OutcomeUnknown),
        ("kill -9 $$", OutcomeUnknown),
        ("kill -TERM $$", OutcomeUnknown),
        ("kill -SEGV $$", OutcomeUnknown),
        ("printf '\\377\\376 No such container' >&2; exit 1", OutcomeUnknown),
        (
            (
                "echo 'Cannot connect to the Docker daemon at x. Is the docker daemon running?' >&2"
                "; exit 1"
            ),
            EngineUnreachable,
        ),
        ("echo 'Error response from daemon: EOF' >&2; exit 1", EngineTransient),
        ("echo 'Error response from daemon: No such container: x' >&2; exit 1", EngineTransient),
        ("echo 'Error response from daemon: No command specified' >&2; exit 1", EngineRefused),
    ],
)
def test_the_end_of_a_client_has_its_class(
    shim: Shim, script: str, class_: type[EngineError]
) -> None:
    engine = shim(script)

    with pytest.raises(EngineError) as raised:
        engine.start(DOCKER_ID)

    assert type(raised.value) is class_


def test_a_client_that_is_not_there_is_an_engine_that_is_not(
    shim: Shim, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = shim("exit 0")
    tools = tmp_path / "tools"
    tools.mkdir()
    for name in ("sh", "setpriv", "timeout"):
        (tools / name).symlink_to(f"/usr/bin/{name}")
    monkeypatch.setenv("PATH", str(tools))

    with pytest.raises(EngineUnreachable):
        engine.start(DOCKER_ID)


@pytest.mark.parametrize(
    ("said", "class_"),
    [
        (
            (
                "ERROR: failed to receive status: rpc error: code = Unavailable desc = "
                "error reading from server: EOF"
            ),
            EngineTransient,
        ),
        ("ERROR: failed to solve: executor failed running [make]: exit code: 2", BuildFailed),
        ("ERROR: failed to solve: unheard of", BuildFailed),
        (
            f'ERROR: failed to solve: process "{"broken pipe " * 2000}" did not do: unheard of',
            BuildFailed,
        ),
        ("#5 [2/2] RUN make", OutcomeUnknown),
    ],
)
def test_the_end_of_a_build_has_its_class(
    shim: Shim, tmp_path: Path, said: str, class_: type[EngineError]
) -> None:
    engine = shim(f"echo '#5 1.2 ERROR: no space left on device' >&2; echo '{said}' >&2; exit 1")

    with pytest.raises(EngineError) as raised:
        engine.build(build_order(tmp_path, seconds=20.0))

    assert type(raised.value) is class_


def test_a_build_may_write_what_is_no_text(shim: Shim, tmp_path: Path) -> None:
    script = "printf '#5 1.2 caf\\351\\000\\n#5 1.3 next\\n' >&2; echo 'ERROR: no' >&2; exit 1"
    engine = shim(script)

    with pytest.raises(BuildFailed, match=r"^no$"):
        engine.build(build_order(tmp_path, seconds=20.0))

    assert (tmp_path / "1.log").read_text() == "#5 1.2 caf\ufffd\n#5 1.3 next\nERROR: no\n"


def test_a_build_that_writes_without_end_takes_neither_memory_nor_disk(
    shim: Shim, tmp_path: Path
) -> None:
    script = "yes '' | head -n 300000 >&2; echo 'ERROR: failed to solve: no' >&2; exit 1"
    engine = shim(script)

    with pytest.raises(BuildFailed):
        engine.build(build_order(tmp_path, seconds=60.0))

    assert (tmp_path / "1.log").read_text().endswith("\nERROR: failed to solve: no\n")


def test_a_log_that_cannot_be_written_is_no_fault_of_the_build(shim: Shim, tmp_path: Path) -> None:
    engine = shim(f"echo '{BUILT}'")
    (tmp_path / "1.log").mkdir()

    assert engine.build(build_order(tmp_path)) == f"sha256:{DOCKER_ID}"


def test_values_stand_on_no_command_line_and_rule_no_client(shim: Shim, tmp_path: Path) -> None:
    told = tmp_path / "told"
    engine = shim(
        f'{{ tr "\\0" " " </proc/$PPID/cmdline; echo "$@"; tr "\\0" "\\n" </proc/$$/environ;'
        f" }} >{told}; echo {DOCKER_ID}"
    )
    env = {"SECRET": "s3cret", "LD_PRELOAD": "/s3cret", "DOCKER_HOST": "s3cret", "PATH": "s3cret"}

    docker_id = engine.create(container_order(env))

    assert docker_id == DOCKER_ID
    assert "--env-file" in told.read_text()
    assert "s3cret" not in told.read_text()
    assert not [path for path in (tmp_path / "scratch").rglob("*") if path.is_file()]


def test_a_name_that_ends_a_shell_does_not_end_the_wrapper(shim: Shim) -> None:
    engine = shim(f'case "$*" in *OPTIND=*) echo {DOCKER_ID} ;; *) exit 1 ;; esac')

    assert engine.create(container_order({"OPTIND": "1\n2"})) == DOCKER_ID


def test_what_users_programs_write_is_not_in_our_errors(shim: Shim, tmp_path: Path) -> None:
    engine = shim("echo 's3cret' >&2; echo 'Error response from daemon: EOF' >&2; exit 1")

    with pytest.raises(EngineTransient) as raised:
        engine.start(DOCKER_ID)

    assert "s3cret" not in str(raised.value)
    assert "s3cret" not in str(raised.value.__cause__)
