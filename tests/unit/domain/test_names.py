"""What users may call things: the edges of every grammar, and that a refusal names its field."""

from collections.abc import Callable

import pytest

from domain.errors import InvalidValue
from domain.names import (
    checked_container_name,
    checked_env,
    checked_hostname,
    checked_image_name,
    checked_tag,
    checked_user_id,
    sanitised_container_name,
)

ACCEPTED: list[tuple[Callable[[str], str], str]] = [
    (checked_user_id, "1"),
    (checked_user_id, "a-b-3"),
    (checked_user_id, "a" * 64),
    (checked_image_name, "x"),
    (checked_image_name, "Größe 3 / ü"),
    (checked_image_name, "n" * 100),
    (checked_tag, "latest"),
    (checked_tag, "_v1.0-rc"),
    (checked_tag, "t" * 128),
    (checked_tag, "b"),
    (checked_tag, "B7"),
    (checked_tag, "b7-rc"),
    (checked_tag, "v7"),
    (checked_hostname, "app"),
    (checked_hostname, "a.b-c.example"),
    (checked_hostname, "l" * 63 + ".example"),
    (checked_hostname, ".".join(["l" * 63] * 3 + ["l" * 61])),
    (checked_container_name, "a"),
    (checked_container_name, "9_a.B-"),
    (checked_container_name, "c" * 63),
]

REFUSED: list[tuple[Callable[[str], str], str, str]] = [
    (checked_user_id, "user_id", ""),
    (checked_user_id, "user_id", "A"),
    (checked_user_id, "user_id", "a--b"),
    (checked_user_id, "user_id", "-a"),
    (checked_user_id, "user_id", "a-"),
    (checked_user_id, "user_id", "a/../b"),
    (checked_user_id, "user_id", "a\n"),
    (checked_user_id, "user_id", "é"),
    (checked_user_id, "user_id", "a" * 65),
    (checked_image_name, "name", ""),
    (checked_image_name, "name", "   "),
    (checked_image_name, "name", "n" * 101),
    (checked_image_name, "name", "a\0b"),
    (checked_image_name, "name", "a\nb"),
    (checked_image_name, "name", "a\u202eb"),
    (checked_image_name, "name", "a\ud800"),
    (checked_tag, "tag", ""),
    (checked_tag, "tag", ".hidden"),
    (checked_tag, "tag", "-v"),
    (checked_tag, "tag", "a b"),
    (checked_tag, "tag", "a:b"),
    (checked_tag, "tag", "é"),
    (checked_tag, "tag", "v1\n"),
    (checked_tag, "tag", "t" * 129),
    # A build's own tag.
    (checked_tag, "tag", "b0"),
    (checked_tag, "tag", "b7"),
    (checked_tag, "tag", "b0071"),
    (checked_hostname, "app_hostname", ""),
    (checked_hostname, "app_hostname", "http://app"),
    (checked_hostname, "app_hostname", "app."),
    (checked_hostname, "app_hostname", ".app"),
    (checked_hostname, "app_hostname", "a..b"),
    (checked_hostname, "app_hostname", "-a.example"),
    (checked_hostname, "app_hostname", "a-.example"),
    (checked_hostname, "app_hostname", "a_b"),
    (checked_hostname, "app_hostname", "app:80"),
    (checked_hostname, "app_hostname", "app\n"),
    (checked_hostname, "app_hostname", "bücher.example"),
    (checked_hostname, "app_hostname", "l" * 64 + ".example"),
    (checked_hostname, "app_hostname", ".".join(["l" * 63] * 3 + ["l" * 62])),
    (checked_container_name, "name", ""),
    (checked_container_name, "name", "-a"),
    (checked_container_name, "name", ".a"),
    (checked_container_name, "name", "a/b"),
    (checked_container_name, "name", "a b"),
    (checked_container_name, "name", "a\n"),
    (checked_container_name, "name", "é"),
    (checked_container_name, "name", "c" * 64),
]


@pytest.mark.parametrize(("check", "value"), ACCEPTED)
def test_a_value_inside_its_grammar_is_taken_as_it_is(
    check: Callable[[str], str], value: str
) -> None:
    assert check(value) == value


@pytest.mark.parametrize(("check", "field", "value"), REFUSED)
def test_a_value_outside_its_grammar_is_refused_by_the_name_of_its_field(
    check: Callable[[str], str], field: str, value: str
) -> None:
    with pytest.raises(InvalidValue) as refusal:
        check(value)

    assert refusal.value.field == field
    assert refusal.value.message.startswith("must be ")


def test_an_image_name_loses_the_space_around_it() -> None:
    assert checked_image_name("  my app ") == "my app"


def test_a_hostname_is_compared_in_lower_case() -> None:
    assert checked_hostname("App.Example.COM") == "app.example.com"


@pytest.mark.parametrize(
    ("image_name", "container_name"),
    [
        ("My App", "my-app"),
        ("  über/größe  ", "ber-gr-e"),
        ("a___b", "a___b"),
        ("--.a.--", "a"),
        ("日本語", "app"),
        ("...", "app"),
        ("n" * 100, "n" * 63),
        ("n" * 62 + "!!x", "n" * 62),
    ],
)
def test_a_container_name_is_derived_from_any_image_name(
    image_name: str, container_name: str
) -> None:
    derived = sanitised_container_name(image_name)

    assert derived == container_name
    assert checked_container_name(derived) == derived


def test_variables_are_copied_so_that_a_later_change_does_not_reach_the_container() -> None:
    given = {"A": "1", "_b2": ""}

    checked = checked_env(given)
    given["A"] = "2"

    assert checked == {"A": "1", "_b2": ""}


@pytest.mark.parametrize(
    ("env", "message"),
    [
        ({"": "x"}, "names must be"),
        ({"1A": "x"}, "names must be"),
        ({"A-B": "x"}, "names must be"),
        ({"A=B": "x"}, "names must be"),
        ({"Ä": "x"}, "names must be"),
        ({"A\n": "x"}, "names must be"),
        ({"PORT": "80"}, "PORT is set by the service"),
        ({"A": "x\0y"}, "A holds a NUL character"),
    ],
)
def test_a_variable_that_a_process_cannot_be_given_is_refused(
    env: dict[str, str], message: str
) -> None:
    with pytest.raises(InvalidValue) as refusal:
        checked_env(env)

    assert refusal.value.field == "env"
    assert refusal.value.message.startswith(message)


def test_variables_may_fill_32_kib_to_the_last_byte_and_not_one_more() -> None:
    # A name of 1 byte, "=", and the NUL that ends it: 3 bytes beside the value. "é" takes two.
    full = {"A": "é" + "x" * (32 * 1024 - 3 - 2)}

    assert checked_env(full) == full
    with pytest.raises(InvalidValue, match="at most 32768 bytes"):
        checked_env({"A": full["A"] + "x"})
    with pytest.raises(InvalidValue, match="at most 32768 bytes"):
        checked_env({"A": full["A"], "B": ""})
