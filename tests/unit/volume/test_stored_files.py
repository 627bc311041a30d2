"""A sweep sees and removes what has exactly our shape, and follows no link."""

import os
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from adapters.volume.context_store import VolumeContextStore
from adapters.volume.stored_files import VolumeStoredFiles
from application.leftovers import BuildLogFile, ImageFolder, StoredFile, Upload

UPLOAD = Upload("0123456789abcdef" * 2)
FOLDER = ImageFolder("ada", 7)
LOG = BuildLogFile(FOLDER, 70)


@pytest.fixture
def base(tmp_path: Path) -> Path:
    base = tmp_path / "volume"
    VolumeContextStore(base).prepare()
    return base


@pytest.fixture
def files(base: Path) -> VolumeStoredFiles:
    return VolumeStoredFiles(base)


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    """A folder beside the volume that nothing may touch."""
    folder = tmp_path / "outside"
    (folder / "7" / "builds").mkdir(parents=True)
    (folder / "7" / "builds" / "70.log").write_text("precious")
    return folder


def make(base: Path, *files: str) -> None:
    for name in files:
        path = base / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("content")


def test_what_the_store_makes_is_found(base: Path, files: VolumeStoredFiles) -> None:
    store = VolumeContextStore(base)
    extracted = store.incoming()
    make(extracted, "Dockerfile")
    store.store(extracted, "ada", 7)
    store.path(store.log_path("ada", 7, 70)).touch()
    uploading = store.incoming()
    uploading.touch()

    assert files.found() == [Upload(uploading.name), FOLDER, LOG]


def test_an_extraction_that_was_cut_short_is_found(base: Path, files: VolumeStoredFiles) -> None:
    make(base, f".incoming/.{UPLOAD.name}.extracting/top/file")

    assert files.found() == [Upload(f".{UPLOAD.name}.extracting")]


def test_nothing_of_another_shape_is_found(base: Path, files: VolumeStoredFiles) -> None:
    make(
        base,
        "notes.txt",
        ".incoming/notes.txt",
        ".incoming/" + "F" * 32,
        "lost+found/7/context/file",
        "Ada/7/context/file",
        "ada/07/context/file",
        "ada/seven/context/file",
        "ada/notes",
        f"{'a' * 65}/7/context/file",
        f"ada/{'9' * 19}/context/file",
    )

    assert files.found() == []


@pytest.mark.parametrize(
    "stranger", ["notes.txt", "context-2/file", "builds/notes.txt", "builds/070.log"]
)
def test_a_folder_that_holds_what_is_not_ours_is_left_alone(
    base: Path, files: VolumeStoredFiles, stranger: str
) -> None:
    make(base, "ada/7/context/Dockerfile", f"ada/7/{stranger}")

    assert files.state(FOLDER) is None


def test_age_is_that_of_the_newest_thing_inside_and_size_that_of_all(
    base: Path, files: VolumeStoredFiles
) -> None:
    make(base, "ada/7/context/a", "ada/7/context/deep/er/b", "ada/7/builds/70.log")
    inside = [*(base / "ada/7").rglob("*"), base / "ada/7"]
    for path in inside:
        os.utime(path, (1_000, 1_000))
    os.utime(base / "ada/7/context/deep/er/b", (5_000, 5_000))

    state = files.state(FOLDER)

    assert state is not None
    assert state.changed_at == datetime.fromtimestamp(5_000, UTC)
    assert state.size_bytes == 3 * len("content")


@pytest.mark.parametrize("gone", [UPLOAD, LOG])
def test_what_is_gone_has_no_state_and_is_removed_without_complaint(
    files: VolumeStoredFiles, gone: Upload | BuildLogFile
) -> None:
    assert files.state(gone) is None
    files.remove(gone)


def test_an_upload_goes_as_a_file_and_as_a_folder(base: Path, files: VolumeStoredFiles) -> None:
    make(base, f".incoming/{UPLOAD.name}", f".incoming/.{UPLOAD.name}.extracting/top/file")

    for upload in files.found():
        assert isinstance(upload, Upload)
        files.remove(upload)

    assert list((base / ".incoming").iterdir()) == []


def test_a_folder_leaves_its_place_whole(
    base: Path, files: VolumeStoredFiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its upload, stopped for long, goes on and stores it while it is removed: all or nothing."""
    make(base, f".incoming/{UPLOAD.name}/Dockerfile", f".incoming/{UPLOAD.name}/app.py")
    store, unlink = VolumeContextStore(base), os.unlink
    refused = []

    def unlink_beside_the_upload(name: str, *, dir_fd: int) -> None:
        unlink(name, dir_fd=dir_fd)
        with pytest.raises(FileNotFoundError):
            store.store(base / ".incoming" / UPLOAD.name, "ada", 7)
        refused.append(name)

    with monkeypatch.context() as patch:
        patch.setattr(os, "unlink", unlink_beside_the_upload)
        files.remove(UPLOAD)

    assert sorted(refused) == ["Dockerfile", "app.py"]
    assert list((base / ".incoming").iterdir()) == []
    assert not (base / "ada" / "7").exists()


def test_an_image_goes_with_its_users_folder_once_that_is_empty(
    base: Path, files: VolumeStoredFiles
) -> None:
    make(base, "ada/7/context/file", "ada/7/builds/70.log", "ada/8/context/file")

    aside = files.set_aside(FOLDER)
    left = [path.name for path in (base / "ada").iterdir()]
    last = files.set_aside(ImageFolder("ada", 8))

    assert aside is not None
    assert last is not None
    assert left == ["8"]
    assert [path.name for path in base.iterdir()] == [".incoming"]
    assert set(files.found()) == {aside, last}
    for each in (aside, last):
        files.remove(each)
    assert files.found() == []


def test_what_was_set_aside_is_put_back_into_a_folder_that_is_gone(
    base: Path, files: VolumeStoredFiles
) -> None:
    make(base, "ada/7/context/file")
    aside = files.set_aside(FOLDER)
    assert aside is not None

    files.put_back(aside, FOLDER)

    assert (base / "ada/7/context/file").exists()
    assert list((base / ".incoming").iterdir()) == []


def test_an_image_that_is_gone_has_no_state_and_is_not_set_aside(files: VolumeStoredFiles) -> None:
    assert files.state(FOLDER) is None
    assert files.set_aside(FOLDER) is None
    assert files.found() == []


def test_an_image_is_not_taken_from_behind_a_link(
    base: Path, files: VolumeStoredFiles, outside: Path
) -> None:
    (base / "ada").symlink_to(outside)

    with pytest.raises(OSError, match="ada"):
        files.set_aside(FOLDER)

    assert (outside / "7" / "builds" / "70.log").read_text() == "precious"


def _link_upload(base: Path, outside: Path) -> StoredFile:
    (base / ".incoming" / UPLOAD.name).symlink_to(outside)
    return UPLOAD


def _link_incoming(base: Path, outside: Path) -> StoredFile:
    (base / ".incoming").rmdir()
    (base / ".incoming").symlink_to(outside)
    (outside / UPLOAD.name).touch()
    return UPLOAD


def _link_user(base: Path, outside: Path) -> StoredFile:
    (base / "ada").symlink_to(outside)
    return FOLDER


def _link_image(base: Path, outside: Path) -> StoredFile:
    (base / "ada").mkdir()
    (base / "ada" / "7").symlink_to(outside / "7")
    return FOLDER


def _link_builds(base: Path, outside: Path) -> StoredFile:
    (base / "ada" / "7").mkdir(parents=True)
    (base / "ada" / "7" / "builds").symlink_to(outside / "7" / "builds")
    return LOG


def _link_context(base: Path, outside: Path) -> StoredFile:
    (base / "ada" / "7").mkdir(parents=True)
    (base / "ada" / "7" / "context").symlink_to(outside)
    return FOLDER


@pytest.mark.parametrize(
    "link",
    [_link_upload, _link_incoming, _link_user, _link_image, _link_builds, _link_context],
)
def test_nothing_is_seen_through_a_link(
    base: Path,
    files: VolumeStoredFiles,
    outside: Path,
    link: Callable[[Path, Path], StoredFile],
) -> None:
    file = link(base, outside)
    before = sorted(outside.rglob("*"))

    assert LOG not in files.found()
    assert files.state(file) is None
    assert sorted(outside.rglob("*")) == before


def test_links_within_what_is_removed_are_not_followed(
    base: Path, files: VolumeStoredFiles, outside: Path
) -> None:
    make(base, "ada/7/context/file")
    (base / "ada/7/context/link").symlink_to(outside)

    aside = files.set_aside(FOLDER)
    assert aside is not None
    files.remove(aside)

    assert list(base.rglob("*")) == [base / ".incoming"]
    assert (outside / "7" / "builds" / "70.log").read_text() == "precious"


def test_a_volume_that_is_not_there_is_no_empty_one(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        VolumeStoredFiles(tmp_path / "nowhere").found()
