"""What is needed, by what is recorded; and whose a Docker tag is."""

from datetime import UTC, datetime

import pytest

from application.docker_names import DockerTag, ListedImage, UntaggedImage, docker_names
from application.leftovers import (
    BuildLogFile,
    ImageFolder,
    Recorded,
    RecordedBuild,
    RecordedImage,
    Upload,
)

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
DIGEST, OTHER = "sha256:" + "a" * 64, "sha256:" + "b" * 64

# Image 7 lives, with build 70 in use and 69 past; image 8 is deleted.
RECORDED = Recorded(
    images={7: RecordedImage("ada", "latest")},
    builds={
        69: RecordedBuild(7, OTHER, needed=False),
        70: RecordedBuild(7, DIGEST, needed=True),
        71: RecordedBuild(7, None, needed=True),
        80: RecordedBuild(8, OTHER, needed=False),
    },
)


def listed(*tags: str, image_id: int | None = 7, build_id: int | None = 70) -> ListedImage:
    return ListedImage(DIGEST, tags, image_id, build_id, NOON)


def tag(name: str) -> DockerTag:
    image_id = int(name.rpartition("-i")[2].partition(":")[0])
    (found,) = docker_names([listed(name, image_id=image_id)])
    assert isinstance(found, DockerTag)
    return found


def test_no_upload_is_needed_once_it_rests() -> None:
    assert not Upload("f" * 32).is_needed(RECORDED)


@pytest.mark.parametrize(
    ("folder", "needed"),
    [
        (ImageFolder("ada", 7), True),
        (ImageFolder("bob", 7), False),
        (ImageFolder("ada", 8), False),
        (ImageFolder("ada", 9), False),
    ],
)
def test_a_folder_is_needed_by_the_image_of_its_own_user(
    folder: ImageFolder, *, needed: bool
) -> None:
    assert folder.is_needed(RECORDED) is needed


@pytest.mark.parametrize(
    ("user", "image", "build", "needed"),
    [
        ("ada", 7, 69, True),
        ("ada", 7, 70, True),
        ("ada", 7, 99, False),
        ("ada", 7, 80, False),
        # These go with their folder, or not at all.
        ("ada", 8, 99, True),
    ],
)
def test_a_log_is_needed_as_long_as_its_build_is_recorded(
    user: str, image: int, build: int, *, needed: bool
) -> None:
    assert BuildLogFile(ImageFolder(user, image), build).is_needed(RECORDED) is needed


@pytest.mark.parametrize(
    ("name", "needed"),
    [
        ("nvidia-app-uada-i7:latest", True),
        ("nvidia-app-uada-i7:b70", True),
        ("nvidia-app-uada-i7:b71", True),
        ("nvidia-app-uada-i7:b69", False),
        ("nvidia-app-uada-i7:b99", False),
        ("nvidia-app-uada-i7:b80", False),
        # Somebody has set it on an image that lives.
        ("nvidia-app-uada-i7:mine", True),
        ("nvidia-app-ubob-i7:latest", False),
        ("nvidia-app-uada-i8:latest", False),
        ("nvidia-app-uada-i8:b80", False),
        ("nvidia-app-uada-i9:b90", False),
    ],
)
def test_a_tag_is_needed_by_its_image_and_by_its_build(name: str, *, needed: bool) -> None:
    assert tag(name).is_needed(RECORDED) is needed


def test_a_public_tag_that_looks_like_a_builds_stays() -> None:
    recorded = Recorded({7: RecordedImage("ada", "b69")}, RECORDED.builds)

    assert tag("nvidia-app-uada-i7:b69").is_needed(recorded)


@pytest.mark.parametrize(
    ("digest", "build_id", "needed"),
    [
        (DIGEST, 70, True),
        (DIGEST, 69, True),
        (OTHER, 70, False),
        (OTHER, 71, True),
        (OTHER, 69, False),
        (OTHER, 99, False),
    ],
)
def test_an_untagged_image_is_needed_as_the_result_of_a_build_or_while_one_runs(
    digest: str, build_id: int, *, needed: bool
) -> None:
    assert UntaggedImage(digest, 7, build_id, NOON).is_needed(RECORDED) is needed


@pytest.mark.parametrize(
    "name",
    [
        "web:latest",
        "nvidia-app-uada-i8:latest",
        "nvidia-app-uada-i07:latest",
        "nvidia-app-uAda-i7:latest",
        "nvidia-app-uada-i7-copy:latest",
        "registry:5000/nvidia-app-uada-i7:latest",
        "nvidia-app-u-i7:latest",
    ],
)
def test_a_tag_that_we_did_not_set_on_this_image_is_nobodys_business(name: str) -> None:
    assert docker_names([listed(name)]) == []


def test_a_user_whose_name_looks_like_ours_keeps_his_images() -> None:
    (found,) = docker_names([listed("nvidia-app-ua-i3-i7:b70")])

    assert isinstance(found, DockerTag)
    assert (found.user_id, found.image_id, found.build_id) == ("a-i3", 7, 70)


def test_an_image_without_tag_is_ours_with_both_labels_only() -> None:
    assert docker_names([listed(image_id=None), listed(build_id=None)]) == []
    assert docker_names([listed()]) == [UntaggedImage(DIGEST, 7, 70, NOON)]
