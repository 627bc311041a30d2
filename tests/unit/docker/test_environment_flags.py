"""A user's variables on their way to `docker create`."""

import os
from pathlib import Path

import pytest

from adapters.docker.environment_flags import environment_flags


def test_values_stand_in_the_file_and_not_in_the_flags() -> None:
    env = {"A": "one", "B": " two  ", "C": "", "D": "a=b#c", "E": "ü$(x)\t"}

    with environment_flags(env) as handed:
        content = Path(f"/dev/fd/{handed.descriptor}").read_text(encoding="utf-8")

    assert content == "A=one\nB= two  \nC=\nD=a=b#c\nE=ü$(x)\t\n"
    assert handed.flags == ["--env-file", f"/dev/fd/{handed.descriptor}"]
    assert handed.environment == {}


@pytest.mark.parametrize(
    "name",
    ["PATH", "LD_PRELOAD", "DOCKER_HOST", "HOME", "https_proxy", "OPTIND", "MAIL", "BASH_COMPAT"],
)
def test_a_name_that_programs_obey_never_enters_the_clients_environment(name: str) -> None:
    with environment_flags({name: "x"}) as handed:
        assert handed.environment == {}

    with environment_flags({name: "x\ny"}) as handed:
        assert handed.environment == {}
        assert handed.flags[2:] == ["--env", f"{name}=x\ny"]


@pytest.mark.parametrize(
    "name", ["SSH_PRIVATE_KEY", "SSL_KEY", "GOOGLE_CREDENTIALS", "DOCKER_TLS_KEY", "CI_CERT"]
)
def test_a_credential_may_have_line_breaks(name: str) -> None:
    with environment_flags({name: "x\ny"}) as handed:
        assert handed.environment == {name: "x\ny"}


@pytest.mark.parametrize("value", ["a\nb", "a\r", "\n", "KEY\r\nEND"])
def test_a_value_with_a_line_break_is_named_and_not_written(value: str) -> None:
    with environment_flags({"A": "one", "CERT": value}) as handed:
        content = Path(f"/dev/fd/{handed.descriptor}").read_text(encoding="utf-8")

    assert content == "A=one\n"
    assert handed.flags[2:] == ["--env", "CERT"]
    assert handed.environment == {"CERT": value}


def test_nothing_is_left_even_after_a_failure() -> None:
    def failing() -> None:
        with environment_flags({"A": "one"}) as handed:
            descriptors.append(handed.descriptor)
            raise LookupError

    descriptors: list[int] = []

    with pytest.raises(LookupError):
        failing()

    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(descriptors[0])
