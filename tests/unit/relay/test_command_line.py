"""What may be typed, and the one line with which everything else is refused."""

import uuid
from datetime import UTC, datetime, timedelta

import pytest

from relay.command_line import parse, run_command
from relay.commands.blocked import Blocked
from relay.commands.errors import Refused
from relay.commands.prune import Prune
from relay.commands.release import Release
from relay.commands.replay import Replay
from relay.commands.selection import Selection
from relay.commands.skip import Skip
from relay.commands.status import Status

EVENT_ID = "0193a1b2-c3d4-7e5f-8a9b-0c1d2e3f4a5b"
NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)


def test_each_command_is_read() -> None:
    assert parse(["status"]) == Status()
    assert parse(["blocked"]) == Blocked()
    assert parse(["release", "container/7"]) == Release("container/7")
    assert parse(["skip", EVENT_ID, "--reason", " too large "]) == Skip(EVENT_ID, "too large")
    assert parse(["prune", "--before", "2026-01-31T12:00:00Z"]) == Prune(NOON, dry_run=False)
    assert parse(["prune", "--dry-run", "--before", "2026-01-31T12:00:00Z"]) == Prune(
        NOON, dry_run=True
    )


def test_the_conditions_of_a_replay_can_be_combined() -> None:
    typed = ["--container", "7", "--image", "2", "--user", "user-1", "--to-topic", "again"]
    times = ["--since", "2026-01-31T12:00:00Z", "--until", "2026-01-31T14:00:00+01:00"]

    command = parse(["replay", *typed, *times])

    selection = Selection(
        container=7, image=2, user="user-1", since=NOON, until=NOON + timedelta(hours=1)
    )
    assert command == Replay(selection, "again")


@pytest.mark.parametrize(
    "text",
    [
        "2026-01-31T12:00:00Z",
        "2026-01-31t12:00:00z",
        "2026-01-31 12:00:00Z",
        "2026-01-31T12:00:00.000000000Z",
        "2026-01-31T13:00:00+01:00",
        "2026-01-31T07:30:00.0-04:30",
    ],
)
def test_a_time_is_rfc_3339(text: str) -> None:
    assert parse(["prune", "--before", text]) == Prune(NOON, dry_run=False)


@pytest.mark.parametrize(
    "text",
    [
        "2026-01-31",
        "2026-01-31T12:00:00",
        "2026-01-31T12:00Z",
        "2026-01-31T12:00:00+01",
        "2026-01-31T12:00:00+0100",
        "20260131T120000Z",
        "2026-W05-6T12:00:00Z",
        "2026-02-30T12:00:00Z",
        "2026-01-31T12:00:60Z",
        "2026-01-31T12:00:00+24:00",
        "2026-01-31T12:00:00Z\n",
        "\uff12026-01-31T12:00:00Z",
        "now",
        "",
    ],
)
def test_any_other_time_is_refused(text: str) -> None:
    with pytest.raises(Refused, match="is not a time with an offset"):
        parse(["prune", "--before", text])


@pytest.mark.parametrize("option", ["--container", "--image"])
@pytest.mark.parametrize(
    "text",
    ["0", "-1", "+1", "1.0", "01", "x", "", "1 ", "\u0661", "9223372036854775808", "1" * 400],
)
def test_what_cannot_be_an_id_is_refused(option: str, text: str) -> None:
    with pytest.raises(Refused, match=f"{option}.*is not an id"):
        parse(["replay", f"{option}={text}", "--to-topic", "again"])


def test_the_largest_id_is_one() -> None:
    command = parse(["replay", "--container", "9223372036854775807", "--to-topic", "again"])

    assert command == Replay(Selection(container=2**63 - 1), "again")


@pytest.mark.parametrize("text", ["", "User", "a--b", "-a", "a" * 65, "a\n"])
def test_what_cannot_be_a_users_id_is_refused(text: str) -> None:
    with pytest.raises(Refused, match="is not a user's id"):
        parse(["replay", f"--user={text}", "--to-topic", "again"])


@pytest.mark.parametrize("text", ["", "a b", "a/b", "a" * 250, "again\n", "é"])
def test_what_cannot_be_a_topic_is_refused(text: str) -> None:
    with pytest.raises(Refused, match="is not a topic's name"):
        parse(["replay", "--container", "1", "--to-topic", text])


def test_a_replay_of_everything_is_refused() -> None:
    with pytest.raises(Refused, match="needs one of"):
        parse(["replay", "--to-topic", "again"])


def test_an_empty_interval_is_refused() -> None:
    with pytest.raises(Refused, match="--since is not before --until"):
        parse(
            [
                *("replay", "--to-topic", "again"),
                *("--since", "2026-01-31T12:00:00Z", "--until", "2026-01-31T13:00:00+01:00"),
            ]
        )


@pytest.mark.parametrize(
    "text", ["", "1", EVENT_ID.replace("-", ""), f"{{{EVENT_ID}}}", f"urn:uuid:{EVENT_ID}"]
)
def test_what_cannot_be_an_event_id_is_refused(text: str) -> None:
    with pytest.raises(Refused, match="is not an event id"):
        parse(["skip", text, "--reason", "why"])


def test_an_event_id_may_be_typed_in_capitals() -> None:
    assert parse(["skip", EVENT_ID.upper(), "--reason", "why"]) == Skip(EVENT_ID, "why")


@pytest.mark.parametrize("text", ["", "  ", "x" * 1_001])
def test_a_reason_has_to_be_given(text: str) -> None:
    with pytest.raises(Refused, match="--reason"):
        parse(["skip", EVENT_ID, "--reason", text])


@pytest.mark.parametrize(
    ("arguments", "option"),
    [
        (["replay", "--container", "1", "--container", "2", "--to-topic", "again"], "--container"),
        (["replay", "--user", "a", "--user", "a", "--to-topic", "again"], "--user"),
        (["replay", "--image", "1", "--to-topic", "one", "--to-topic", "two"], "--to-topic"),
        (["skip", EVENT_ID, "--reason", "one", "--reason", "two"], "--reason"),
    ],
)
def test_an_option_that_is_given_twice_is_refused(arguments: list[str], option: str) -> None:
    with pytest.raises(Refused, match=f"{option}: may be given once only"):
        parse(arguments)


@pytest.mark.parametrize("option", ["--version", "-v", "--verbose"])
def test_an_option_without_a_command_is_told_from_a_missing_command(option: str) -> None:
    with pytest.raises(Refused, match=f"^there is no option {option}: expected a command"):
        parse([option])


@pytest.mark.parametrize(
    "arguments",
    [
        ["unknown"],
        [""],
        ["status", "extra"],
        ["status", "two\nlines"],
        ["--verbose"],
        ["release"],
        ["release", "one", "two"],
        ["release", "container/\udcff"],
        ["skip", str(uuid.uuid4())],
        ["skip", str(uuid.uuid4()), "--reason"],
        ["skip", str(uuid.uuid4()), "--rea", "abbreviated"],
        ["skip", str(uuid.uuid4()), "--reason", "\udcff"],
        ["replay", "--container", "1"],
        ["prune"],
        ["prune", "--dry-run"],
        ["prune", "--before"],
    ],
)
def test_whatever_is_wrong_is_one_line_and_exit_code_2(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    code = run_command(arguments, {"DATABASE_URL": "postgresql://nobody@127.0.0.1:1/none"})

    written = capsys.readouterr()
    assert (code, written.out) == (2, "")
    assert written.err.startswith("relay: ")
    assert written.err.count("\n") == 1
