"""Texts that engines have been seen to answer, and what each means."""

import pytest

from adapters.docker.error_classes import (
    REASON_CHARACTERS,
    AlreadyDone,
    Gone,
    TlsRefused,
    classified,
    classified_build,
)
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

DAEMON = "Error response from daemon: "
RUNC = (
    "failed to create shim task: OCI runtime create failed: runc create failed: "
    "unable to start container process: "
)
ENDPOINT = "driver failed programming external connectivity on endpoint web (583c8e): "

CALLS: list[tuple[type[EngineError], str]] = [
    (
        EngineUnreachable,
        "Cannot connect to the Docker daemon at unix:///x. Is the docker daemon running?",
    ),
    (
        EngineUnreachable,
        (
            "Cannot connect to the Docker daemon at tcp://127.0.0.1:1. "
            "Is the docker daemon running?\nError: failed to start containers: web"
        ),
    ),
    (
        EngineUnreachable,
        (
            'error during connect: Delete "http://h.invalid:2375/v1.50/containers/x?force=1": '
            "dial tcp: lookup h.invalid on 10.0.0.1:53: no such host"
        ),
    ),
    (
        EngineUnreachable,
        (
            "permission denied while trying to connect to the Docker daemon socket at unix:///x: "
            'Get "http://x/v1.24/info": dial unix /x: connect: permission denied'
        ),
    ),
    (
        TlsRefused,
        (
            'error during connect: Get "https://10.0.0.7:2376/v1.50/info": tls: failed to verify '
            "certificate: x509: certificate signed by unknown authority"
        ),
    ),
    (
        TlsRefused,
        (
            "the server probably has client authentication (--tlsverify) enabled; check your TLS "
            'client certification settings: Get "https://10.0.0.7:2376/v1.50/info": remote error: '
            "tls: bad certificate"
        ),
    ),
    (
        TlsRefused,
        (
            "The server probably has client authentication (--tlsverify) enabled; check your TLS "
            'client certification settings: Get "https://10.0.0.7:2376/v1.45/info": '
            "readLoopPeekFailLocked: remote error: tls: bad certificate"
        ),
    ),
    (
        TlsRefused,
        (
            "Failed to initialize: failed to retrieve context tls info: tls: private key does not "
            "match public key"
        ),
    ),
    (
        TlsRefused,
        (
            "Failed to initialize: unable to resolve docker endpoint: open /certs/ca.pem: "
            "no such file or directory"
        ),
    ),
    (TlsRefused, f"{DAEMON}Client sent an HTTP request to an HTTPS server."),
    (
        EngineTransient,
        'error during connect: Get "https://x/info": net/http: TLS handshake timeout',
    ),
    (EngineUnreachable, "timeout: failed to run command 'docker': No such file or directory"),
    (
        EngineTransient,
        'error during connect: Post "http://x/v1.41/containers/create": EOF',
    ),
    (PortConflict, f"{DAEMON}{ENDPOINT}Bind for 127.0.0.1:29871 failed: port is already allocated"),
    (
        PortConflict,
        (
            f"{DAEMON}{ENDPOINT}Error starting userland proxy: listen tcp4 127.0.0.1:29872: "
            "bind: address already in use\nError: failed to start containers: web"
        ),
    ),
    (
        PortConflict,
        (
            f"{DAEMON}{ENDPOINT}Bind for 127.0.0.1:29871 failed: port is already allocated\n"
            "failed to start containers: web"
        ),
    ),
    (
        NameConflict,
        (
            f'{DAEMON}Conflict. The container name "/web" is already in use by container "3052b3". '
            "You have to remove (or rename) that container to be able to reuse that name."
        ),
    ),
    (StartWedged, f"{DAEMON}id already in use\nError: failed to start containers: 4632d8d0ddbe"),
    (
        StartWedged,
        f"{DAEMON}task {64 * 'e'}: already exists\nError: failed to start containers: {64 * 'e'}",
    ),
    (Gone, f"{DAEMON}No such container: web"),
    (Gone, f"{DAEMON}No such container: web\nError: failed to start containers: web"),
    (Gone, "Error: No such container: web"),
    (Gone, f"{DAEMON}No such image: sha256:33"),
    (Gone, "Error: No such object: web"),
    (AlreadyDone, f"{DAEMON}cannot kill container: web: container 3052b3 is not running"),
    (EngineTransient, f"{DAEMON}removal of container web is already in progress"),
    (EngineTransient, f"{DAEMON}container is marked for removal and cannot be started"),
    (
        EngineTransient,
        (
            f'{DAEMON}conflict: unable to remove repository reference "web:b1" (must force) - '
            "container 3052b3 is using its referenced image 3677c4"
        ),
    ),
    (EngineTransient, f"{DAEMON}context deadline exceeded"),
    (
        EngineTransient,
        f"{DAEMON}dial unix /run/containerd/containerd.sock: connect: connection refused",
    ),
    (EngineExhausted, f"{DAEMON}mkdir /var/lib/docker/overlay2/x: no space left on device"),
    (
        EngineExhausted,
        f"{DAEMON}could not find an available, non-overlapping IPv4 address pool",
    ),
    (EngineExhausted, f"{DAEMON}{RUNC}can't start: cannot allocate memory: unknown"),
    (EngineRefused, f"{DAEMON}No command specified"),
    (EngineRefused, f"{DAEMON}Minimum memory limit allowed is 6MB"),
    (EngineRefused, f"{DAEMON}Range of CPUs is from 0.01 to 2.00, as there are only 2 CPUs"),
    (
        EngineRefused,
        'Error parsing reference: "B::x" is not a valid repository/tag: invalid reference format',
    ),
    (EngineRefused, f'{DAEMON}{RUNC}exec: "serve": executable file not found in $PATH: unknown'),
    (OutcomeUnknown, f"{DAEMON}something that nobody has seen yet"),
    (OutcomeUnknown, "no line of Docker at all"),
    (OutcomeUnknown, ""),
]

# What a user names stands in the engine's answer, and must not decide.
OF_USERS: list[tuple[type[EngineError], str]] = [
    (EngineRefused, f'{DAEMON}{RUNC}exec: "{chosen}": executable file not found in $PATH: unknown')
    for chosen in (
        "port is already allocated",
        "No such container",
        r"a \"quoted\" no space left on device",
        "Cannot connect to the Docker daemon",
    )
]
OF_USERS += [
    (
        EngineRefused,
        f"{DAEMON}{RUNC}exec: stat /no such container: no such file or directory: unknown",
    ),
    (
        EngineRefused,
        f"{DAEMON}unable to find user address already in use: no matching entries in passwd file",
    ),
]

SOLVE = "ERROR: failed to solve: "
FRONTEND = (
    f"{SOLVE}rpc error: code = Unknown desc = failed to solve with frontend dockerfile.v0: "
    "failed to create LLB definition: "
)

BUILDS: list[tuple[type[EngineError], str]] = [
    (
        BuildFailed,
        f'{SOLVE}process "/bin/sh -c exit 7" did not complete successfully: exit code: 7',
    ),
    (BuildFailed, f"{SOLVE}executor failed running [/bin/sh -c exit 7]: exit code: 7"),
    (BuildFailed, f"{FRONTEND}dockerfile parse error line 2: unknown instruction: EOF"),
    (BuildFailed, f"{SOLVE}failed to read dockerfile: open Dockerfile: no such file or directory"),
    (BuildFailed, f'{SOLVE}failed to compute cache key: "/nosuch" not found: not found'),
    (BuildFailed, f"{SOLVE}library/nosuch:1: not found"),
    (BuildFailed, 'ERROR: invalid tag "B::x": invalid reference format'),
    (BuildFailed, f"{SOLVE}something that nobody has seen yet"),
    (
        EngineTransient,
        (
            f'{FRONTEND}failed to do request: Head "https://registry.invalid/v2/x/manifests/1": '
            "dial tcp 192.0.2.1:443: i/o timeout"
        ),
    ),
    (
        BuildFailed,
        (
            f'{FRONTEND}failed to do request: Head "https://registry.invalid/v2/x/manifests/1": '
            "dial tcp: lookup registry.invalid on 10.0.0.1:53: no such host"
        ),
    ),
    (
        EngineTransient,
        (
            "ERROR: failed to receive status: rpc error: code = Unavailable desc = "
            "error reading from server: EOF"
        ),
    ),
    (EngineTransient, f"{SOLVE}Unavailable: error reading from server: EOF"),
    (EngineTransient, f"{SOLVE}Canceled: context canceled"),
    (EngineExhausted, f"{SOLVE}failed to copy files: write /x: no space left on device"),
    (
        EngineUnreachable,
        "ERROR: Cannot connect to the Docker daemon at unix:///x. Is the docker daemon running?",
    ),
    (
        TlsRefused,
        (
            'ERROR: error during connect: Head "https://10.0.0.7:2376/_ping": tls: failed to '
            "verify certificate: x509: certificate signed by unknown authority"
        ),
    ),
    (
        TlsRefused,
        "ERROR: failed to retrieve context tls info: tls: private key does not match public key",
    ),
    (
        BuildFailed,
        (
            f'{SOLVE}failed to do request: Head "https://registry.invalid/v2/x/manifests/1": '
            "tls: failed to verify certificate: x509: certificate signed by unknown authority"
        ),
    ),
    (EngineUnreachable, "docker: 'buildx' is not a docker command."),
    (OutcomeUnknown, "#5 [2/2] RUN make"),
    (OutcomeUnknown, ""),
]


@pytest.mark.parametrize(("class_", "text"), CALLS + OF_USERS)
def test_the_text_of_a_call_has_its_class(class_: type[EngineError], text: str) -> None:
    error = classified(text)

    assert type(error) is class_


@pytest.mark.parametrize(("class_", "text"), BUILDS)
def test_the_text_of_a_build_has_its_class(class_: type[EngineError], text: str) -> None:
    error = classified_build(text)

    assert type(error) is class_


@pytest.mark.parametrize(
    "printed",
    [
        "ERROR: no space left on device",
        "Error response from daemon: EOF",
        "Cannot connect to the Docker daemon",
        "x\rERROR: Unavailable: EOF",
        "x\x85ERROR: Unavailable: EOF",
    ],
)
def test_what_a_step_prints_or_is_called_decides_nothing(printed: str) -> None:
    output = (
        f"#5 [2/2] RUN echo {printed}; exit 7\n#5 0.145 {printed}\n{printed}\n------\n"
        f"{SOLVE}executor failed running [/bin/sh -c echo {printed}; exit 7]: exit code: 7\n"
    )

    error = classified_build(output)

    assert type(error) is BuildFailed


def test_a_reason_is_what_a_user_can_act_on() -> None:
    error = classified_build(f"{FRONTEND}dockerfile parse error line 2: unknown instruction: FOO")

    assert str(error) == "dockerfile parse error line 2: unknown instruction: FOO"


def test_a_reason_names_no_folder_of_the_engine() -> None:
    text = f"{SOLVE}failed to read dockerfile: open /x/tmp/buildkit-mount6060/Dockerfile: no such"

    error = classified_build(text)

    assert str(error) == "failed to read dockerfile: open Dockerfile: no such"


def test_a_reason_is_short_and_printable() -> None:
    error = classified(f"{DAEMON}\x1b[31mno such container\x07 {'x' * 2000}")

    assert str(error).startswith("[31mno such container x")
    assert len(str(error)) == REASON_CHARACTERS


def test_a_certificate_that_is_not_accepted_names_the_variables() -> None:
    error = classified(
        'error during connect: Get "https://10.0.0.7:2376/v1.50/info": tls: failed to verify '
        "certificate: x509: certificate is valid for docker, localhost, not engine"
    )

    assert str(error).startswith("DOCKER_CERT_PATH, DOCKER_TLS_VERIFY: error during connect: ")
    assert str(error).endswith("certificate is valid for docker, localhost, not engine")
