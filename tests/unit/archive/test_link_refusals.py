"""Symbolic links that would lead outside, and entries that would pass through them."""

from __future__ import annotations

import gzip

import pytest

from tests.unit.archive.archives import TAR_END, tar_entry, tar_of
from tests.unit.archive.conftest import Refuse


@pytest.mark.parametrize(
    "first",
    [
        tar_entry(b"a", b"1"),
        tar_entry(b"a", kind=b"2", target=b"."),
        tar_entry(b"a", kind=b"2", target=b"/etc"),
    ],
)
@pytest.mark.parametrize("second", [tar_entry(b"a/b", b"1"), tar_entry(b"a", kind=b"5")])
def test_nothing_is_written_below_or_over_what_is_no_folder(
    refusal: Refuse, first: bytes, second: bytes
) -> None:
    text = refusal(tar_of(first, second))

    assert "needs a folder at 'a'" in text


@pytest.mark.parametrize(
    ("links", "why"),
    [
        ({b"l": b"/etc/passwd"}, "absolute"),
        ({b"l": b"../outside"}, "leads out"),
        ({b"l": b"a/../../outside"}, "leads out"),
        ({b"a": b"b", b"b": b"a"}, "circles"),
        ({b"a": b"a"}, "circles"),
        ({b"d/e/up": b"../..", b"l": b"d/e/up/../x"}, "leads out"),
        ({b"l": b"later/x", b"later": b"/etc"}, "out of the folder"),
        ({b"l": b"..\\x"}, "backslashes"),
        ({b"l": b"a\rb"}, "control characters"),
        ({b"l": b"\xff"}, "UTF-8"),
        ({b"l": b""}, "empty name or target"),
    ],
)
def test_a_link_that_does_not_stay_inside_is_refused(
    refusal: Refuse, links: dict[bytes, bytes], why: str
) -> None:
    entries = (tar_entry(name, kind=b"2", target=target) for name, target in links.items())

    text = refusal(tar_of(*entries))

    assert why in text


def test_a_link_out_of_a_stripped_top_folder_is_refused(refusal: Refuse) -> None:
    link = tar_entry(b"app/l", kind=b"2", target=b"../app/Dockerfile")

    text = refusal(tar_entry(b"app/Dockerfile", b"x") + link + TAR_END)

    assert "leads out" in text


def test_links_that_multiply_the_steps_to_follow_are_refused(refusal: Refuse) -> None:
    step = "/".join(["a", ".."] * 12)
    chain = [
        tar_entry(f"l{i:02}".encode(), kind=b"2", target=f"{step}/l{i + 1:02}".encode())
        for i in range(39)
    ]
    many = [tar_entry(f"m{i:05}".encode(), kind=b"2", target=b"l00") for i in range(2_000)]

    text = refusal(gzip.compress(tar_of(*chain, *many), 1))

    assert "one link too many" in text
