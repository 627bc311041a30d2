"""A volume gets the mark of the installation whose files are on it, and nobody else's."""

from collections.abc import Collection

import pytest

from application.claim_volume import ClaimVolume, RecordedFolders
from application.errors import VolumeUntrusted
from application.leftovers import ImageFolder, StoredFile, Upload

OWN, OTHER = "5b0e", "9c4d"


def folders(*ids: int, user_id: str = "ada") -> list[ImageFolder]:
    return [ImageFolder(user_id, each) for each in ids]


class Mark:
    where = "/volume/.installation"

    def __init__(self, marked: str | None = None) -> None:
        self.marked = marked

    def read(self) -> str | None:
        return self.marked

    def write(self, installation_id: str) -> None:
        self.marked = self.marked or installation_id


class Record:
    """What the database knows: images, and folders that are not expected any more."""

    def __init__(self, *expected: ImageFolder, past: Collection[ImageFolder] = ()) -> None:
        self.expected = set(expected)
        self.past = set(past)

    def installation_id(self) -> str:
        return OWN

    def folders(self, found: Collection[ImageFolder]) -> RecordedFolders:
        return RecordedFolders((self.expected | self.past) & set(found), self.expected)


def claimed(mark: Mark, found: list[ImageFolder], record: Record) -> str | None:
    stored: list[StoredFile] = [Upload("f" * 32), *found]
    ClaimVolume(mark, lambda: stored, record).claim()
    return mark.marked


@pytest.mark.parametrize(
    ("found", "record"),
    [
        ([], Record()),
        (folders(1, 2), Record(*folders(1, 2))),
        # A crash left one behind, and one is gone.
        (folders(1, 2, 9), Record(*folders(1, 2, 3))),
        # All that was there is deleted but for what a crash left.
        (folders(7), Record(past=folders(7))),
        (folders(*range(1, 41)), Record(*folders(*range(1, 33)))),
    ],
)
def test_a_volume_from_before_there_were_marks_gets_one(
    found: list[ImageFolder], record: Record
) -> None:
    assert claimed(Mark(), found, record) == OWN


@pytest.mark.parametrize(
    ("found", "record"),
    [
        # A new database, or one that a backup has not filled yet.
        (folders(1), Record()),
        # Another installation's: the same ids of others.
        (folders(1, 2, user_id="bob"), Record(*folders(1, 2))),
        (folders(*range(1, 21)), Record(*folders(*range(1, 16)))),
        # A volume that is not mounted.
        ([], Record(*folders(1))),
    ],
)
def test_a_volume_that_does_not_match_what_is_recorded_is_refused_and_gets_none(
    found: list[ImageFolder], record: Record
) -> None:
    mark = Mark()

    with pytest.raises(VolumeUntrusted, match=f"write {OWN} into {mark.where}"):
        claimed(mark, found, record)

    assert mark.marked is None


def test_a_volume_that_bears_the_mark_is_not_looked_at() -> None:
    assert claimed(Mark(OWN), folders(1), Record()) == OWN


def test_anothers_volume_is_refused_and_keeps_its_mark() -> None:
    mark = Mark(OTHER)

    with pytest.raises(VolumeUntrusted, match=f"installation {OTHER}'s, the database {OWN}'s"):
        claimed(mark, [], Record())

    assert mark.marked == OTHER


def test_a_volume_that_lost_its_mark_is_not_trusted_any_more() -> None:
    claim = ClaimVolume(Mark(), list, Record())

    with pytest.raises(VolumeUntrusted, match="is it mounted"):
        claim.check()


@pytest.mark.parametrize(
    ("found", "record"),
    [
        ([], Record()),
        (folders(2), Record(*folders(1, 2))),
        (folders(7), Record(past=folders(7))),
    ],
)
def test_a_marked_volume_is_believed_while_anything_that_is_recorded_is_there(
    found: list[ImageFolder], record: Record
) -> None:
    ClaimVolume(Mark(OWN), lambda: found, record).check_contents()


@pytest.mark.parametrize("found", [[], folders(1, user_id="bob"), folders(7)])
def test_a_marked_volume_on_which_nothing_is_that_should_be_is_not_the_one(
    found: list[ImageFolder],
) -> None:
    claim = ClaimVolume(Mark(OWN), lambda: found, Record(*folders(1, 2), past=folders(7)))

    claim.check()
    with pytest.raises(VolumeUntrusted, match="of 2 recorded images none is on the volume"):
        claim.check_contents()


def test_the_contents_of_anothers_volume_are_not_looked_at() -> None:
    with pytest.raises(VolumeUntrusted, match=f"installation {OTHER}'s, the database {OWN}'s"):
        ClaimVolume(Mark(OTHER), lambda: folders(1), Record(*folders(1))).check_contents()
