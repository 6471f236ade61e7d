"""Production's answers → what a challenger would have answered.

The challenger is asked on spare capacity; its answers are kept beside the log.
"""

import asyncio
import contextlib
import os
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Final

from pydantic import TypeAdapter

from skewless.core.answer import Answered
from skewless.core.background import BackgroundWriter
from skewless.models.predict import Predictor
from skewless.monitoring.line_log import LineLog
from skewless.monitoring.prediction_log import Noted

MOST_WAITING = 2_000  # rows; what comes while they wait is not asked
SECONDS = 0.1
LEAST_URGENT = 19  # to the scheduler, of a thread
LINES: Final = TypeAdapter(dict[str, Any]).serializer


class Shadow:
    """Asks the challenger what production was asked.

    Parameters
    ----------
    wanted
        Names the challenger; raises if there is none.
    load
        Loads it.
    log
        Where its answers go, each with the id of production's.
    tell
        Told how many rows it was not asked, or failed on; and a function that warns.
    """

    def __init__(
        self,
        wanted: Callable[[], str],
        load: Callable[[str], Predictor],
        *,
        log: LineLog,
        tell: tuple[Callable[[int], None], Callable[..., Any]],
    ) -> None:
        self._wanted, self._load, self._log = wanted, load, log
        self._shed, self._warn = tell
        self._challenger: Predictor | None = None
        self._told = ""
        self._asked = BackgroundWriter[tuple[datetime, Answered]](
            self._ask, self._shed, most=MOST_WAITING, seconds=SECONDS
        )

    async def follow(self, seconds: float) -> None:
        """Look again and again who the challenger is."""
        while True:
            await self.look()
            await asyncio.sleep(seconds)

    async def look(self) -> None:
        """Change the challenger if there is another.

        If one may not be asked, say once why.
        """
        try:
            wanted = await asyncio.to_thread(self._wanted)
            if self._challenger is None or self._challenger.version != wanted:
                self._challenger = await asyncio.to_thread(self._load, wanted)
            self._told = ""
        except Exception as error:  # noqa: BLE001 - the looking goes on
            self._challenger = None
            if str(error) != self._told:
                self._told = str(error)
                self._warn("no challenger", reason=self._told)

    def observe(self, note: Noted, answer: Answered) -> None:
        """Let the challenger answer too, some time."""
        challenger = self._challenger
        if challenger is not None and challenger.version != answer.source.version:
            moment = datetime.fromtimestamp(note.time, UTC)
            self._asked.put((moment, answer), weight=len(answer.answers))

    def close(self) -> None:
        """Ask what waits, write what was answered."""
        self._asked.close()
        self._log.close()

    def _ask(self, items: list[tuple[datetime, Answered]]) -> None:
        # Not everywhere can a thread be less urgent.
        with contextlib.suppress(OSError, AttributeError):
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), LEAST_URGENT)
        for moment, answer in items:
            challenger = self._challenger
            if challenger is not None:
                self._log.put(
                    moment, _lines(moment, answer, challenger), len(answer.answers)
                )


def _lines(moment: datetime, answer: Answered, challenger: Predictor) -> bytes:
    decisions = challenger.predict(answer.records)
    return b"".join(
        LINES.to_json(
            {
                "time": moment,
                "prediction_id": given.prediction_id,
                "model_version": given.model_version,
                "probability": given.probability,
                "decision": given.decision,
                "challenger": {
                    "model_version": challenger.version,
                    **decision._asdict(),
                },
            }
        )
        + b"\n"
        for given, decision in zip(answer.answers, decisions, strict=True)
    )
