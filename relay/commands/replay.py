"""``replay``: send what the ledger holds again, to a topic of its own.

The bytes, keys and headers are those of the first time, so ``event_id`` and ``sequence`` are too; a
header ``replay`` marks every message of one replay. Never to a topic that is live, or ever was: its
consumers would take the past for news. Events that an operator left out stay left out.
"""

import uuid
from collections.abc import Mapping
from dataclasses import dataclass

import psycopg

from relay.client_options import check_client_options
from relay.commands.errors import CommandError, Failed, Refused
from relay.commands.interruption import Interruption
from relay.commands.output import say, tell
from relay.commands.selection import Selection, Survey, topics_of_ledger
from relay.commands.sender import Sender, muted_log
from relay.commands.session import command_session, database_errors
from relay.settings import KafkaSettings, read_only


@dataclass(frozen=True, slots=True)
class Replay:
    """Sends the selected events in the order of the ledger.

    Attributes:
        to_topic: Exists already, and nothing live goes there.
    """

    selection: Selection
    to_topic: str

    def run(self, environment: Mapping[str, str]) -> None:
        """Send them; at an error nothing more is sent, and the text tells how far it came.

        Raises:
            Refused: The topic does not exist, or is live; or nothing in the ledger is selected.
            Failed: Database or broker did not do their part; or all that is selected is newer than
                the horizon.
            Interrupted: A signal came.
            SettingsError: A variable is missing or malformed.
            ReaderGone: Nobody reads the outcome.
        """
        settings = read_only(KafkaSettings, environment)
        self._refuse_live(settings.topics)
        check_client_options(settings, muted_log())
        replay_id = str(uuid.uuid4())
        with Interruption() as interruption, command_session(settings.database_url) as session:
            sender = Sender(settings, self.to_topic, {"replay": replay_id})
            sender.require_topic()
            looking = interruption.between_steps(lambda: "replay: looking for the events")
            self._refuse_live(topics_of_ledger(session))
            survey = self.selection.survey(session, looking)
            _expect_anything(survey)
            tell(f"replay: {survey.events} events up to ledger id {survey.horizon} as {replay_id}")
            self._send(session, sender, survey, interruption)
        say(
            f"replayed events={sender.acknowledged} skipped={survey.skipped}"
            f" horizon={survey.horizon} topic={self.to_topic} replay={replay_id}"
        )

    def _refuse_live(self, live: frozenset[str]) -> None:
        if self.to_topic in live:
            raise Refused(f"topic {self.to_topic} is live: replays go to a topic of their own")

    def _send(
        self,
        session: psycopg.Connection,
        sender: Sender,
        survey: Survey,
        interruption: Interruption,
    ) -> None:
        def so_far() -> str:
            through = sender.acknowledged_through
            where = "" if through is None else f", all of them up to ledger id {through}"
            return f"{sender.acknowledged} of {survey.events} events were acknowledged{where}"

        between_steps = interruption.between_steps(lambda: f"replay: {so_far()}")
        try:
            with database_errors():
                for event in self.selection.read(session, survey):
                    between_steps()
                    sender.send(event, between_steps)
                sender.finish(between_steps)
        except CommandError as exc:
            sender.give_up()
            exc.add(so_far())
            raise


def _expect_anything(survey: Survey) -> None:
    if survey.events or survey.skipped:
        return
    if survey.above:
        raise Failed(
            f"all of it is above the ledger's horizon, {survey.horizon}, which a relay that leads"
            " moves on: try again"
        )
    raise Refused("nothing in the ledger is selected: unknown, or pruned")
