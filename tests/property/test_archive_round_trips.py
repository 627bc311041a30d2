"""Every tree comes out of every format as it went in."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.unit.archive.trees import FORMATS, Flat, contexts, extract_in, on_disk


@pytest.mark.parametrize("form", FORMATS)
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(content=contexts(), top=st.sampled_from(["", "./", "top/", "./top/"]))
def test_every_tree_comes_out_as_it_went_in(form: str, content: Flat, top: str) -> None:
    data = FORMATS[form](content, top)

    with tempfile.TemporaryDirectory() as box:
        destination = extract_in(Path(box), data)

        assert destination is not None
        assert on_disk(destination) == content
