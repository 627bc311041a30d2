"""What can be told of the Dockerfile without building it; `make test-images` builds it."""

from __future__ import annotations

import re

import pytest

from entrypoints.dev.folders import REPOSITORY

TEXT = (REPOSITORY / "Dockerfile").read_text()
INSTRUCTIONS = [
    line
    for line in re.sub(r"\\\n\s*", "", re.sub(r"^#.*\n", "", TEXT, flags=re.MULTILINE)).split("\n")
    if line
]


def _stage(name: str) -> list[str]:
    """Return a stage's own instructions."""
    begins = [n for n, line in enumerate(INSTRUCTIONS) if line.startswith("FROM ")]
    ends = [*begins[1:], len(INSTRUCTIONS)]
    return next(
        INSTRUCTIONS[first:end]
        for first, end in zip(begins, ends, strict=True)
        if INSTRUCTIONS[first].endswith(f" AS {name}")
    )


def test_every_stage_is_of_the_one_base_image_and_no_frontend_is_pulled() -> None:
    bases = [line.split()[1] for line in INSTRUCTIONS if line.startswith("FROM ")]
    stages = [line.split()[3] for line in INSTRUCTIONS if line.startswith("FROM ")]

    assert INSTRUCTIONS[0] == "ARG PYTHON_IMAGE=python:3.13-slim"
    assert set(bases) - set(stages) == {"${PYTHON_IMAGE}"}
    assert "syntax=" not in TEXT


def test_packages_are_installed_by_their_hashes_alone() -> None:
    (install,) = [line for line in _stage("packages") if "pip" in line]

    assert "--require-hashes" in install
    assert "--no-deps" in install
    assert "requirements.lock" in install


@pytest.mark.parametrize("target", ["api", "relay", "worker"])
def test_a_target_is_not_root_and_can_be_asked_how_it_is(target: str) -> None:
    stage = _stage(target)

    assert stage.index("USER 10001:10001") < next(
        n for n, line in enumerate(stage) if line.startswith("CMD [")
    )
    (check,) = [line for line in stage if line.startswith("HEALTHCHECK ")]
    assert "/app/healthcheck.py" in check
    assert "curl" not in check
    # Known to engines since 25 only: an older one would refuse the whole file.
    assert "--start-interval" not in check


def test_only_the_worker_installs_a_docker_client_and_pins_it() -> None:
    (install,) = [line for line in INSTRUCTIONS if "docker" in line and "apt-get install" in line]

    assert install in _stage("worker")
    assert re.search(r"'docker-cli=\d[\d.]+\*' 'docker-buildx=\d[\d.]+\*'", install)


def test_compilers_stay_in_the_stage_that_is_left_behind() -> None:
    (install,) = [line for line in INSTRUCTIONS if re.search("apt-get .*gcc", line)]

    assert install in _stage("packages")
    assert "COPY --from=packages /opt/venv /opt/venv" in INSTRUCTIONS


def test_what_has_no_wheel_for_other_processors_alone_is_compiled_there() -> None:
    (install,) = [line for line in _stage("packages") if "pip" in line]

    assert '[ "$TARGETARCH" != amd64 ]; then COMPILED=streaming-form-data;' in install
    assert '--only-binary :all: ${COMPILED:+--no-binary "$COMPILED"}' in install


def test_the_relay_gets_nothing_of_the_service() -> None:
    copied = [line for line in _stage("relay") if line.startswith("COPY ")]

    assert copied == ["COPY relay /app/relay"]


def test_the_build_context_holds_what_is_copied_and_nothing_that_is_not_named() -> None:
    ignored = (REPOSITORY / ".dockerignore").read_text().splitlines()
    rules = [line for line in ignored if line and not line.startswith("#")]
    allowed = {line.removeprefix("!") for line in rules if line.startswith("!")}
    copied = {
        line.split()[1].split("/")[0]
        for line in INSTRUCTIONS
        if line.startswith("COPY ") and "--from=" not in line
    }

    assert rules[0] == "*"
    assert copied == allowed
    assert "entrypoints/dev" in rules
