"""Both engines, each for the whole suite: images are built once."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.contracts.subjects import Subject, fake_subject, real_subject


@pytest.fixture(scope="module", params=["fake", pytest.param("docker", marks=pytest.mark.engine)])
def subject(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Subject]:
    """The engine that a promise is held against."""
    folder = tmp_path_factory.mktemp("subject")
    if request.param == "fake":
        with fake_subject(folder) as fake:
            yield fake
        return
    with real_subject(request.getfixturevalue("engine_host"), folder) as real:
        yield real
