"""All that was found → what a product owner reads first.

Is the model healthy, since when is it so, what does it mean, and what is to be done?
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from itertools import chain
from typing import Final, Literal, NamedTuple

from skewless.core.nouns import ANSWER, WEEK, Noun
from skewless.monitoring.drift import SCORE
from skewless.monitoring.drift_figures import ALARMS, Figures, Finding
from skewless.monitoring.drift_job import Found
from skewless.monitoring.performance import MIN_RECORDS, Measures, Week
from skewless.monitoring.performance_figures import JUDGED, WRONG, SegmentFigures
from skewless.monitoring.report_segments import (
    contradicted_sentence,
    contradicting,
    moved_sentences,
)
from skewless.monitoring.words import (
    about,
    alarms,
    day,
    describe,
    listed,
    percent,
)
from skewless.registry.events import Event

Verdict = Literal["healthy", "watch", "act", "not enough data"]
ALARMING: Final[frozenset[Verdict]] = frozenset({"watch", "act"})
COLUMN: Final = Noun.of("column")
SEGMENT: Final = Noun.of("segment")
TIME: Final = Noun.of("time")


class Onset(NamedTuple):
    """When a column or the score began to drift or to be broken."""

    since: datetime
    precision: timedelta
    """Length of the part of the span whose beginning `since` is."""
    was_well: bool
    """Whether the part before was seen to be well; if not, it may be older."""


class Summary(NamedTuple):
    """The top of a report; each text is a sentence, or several."""

    verdict: Verdict
    headline: str
    since: str
    """Since when it is so, as far as it is known."""
    meaning: tuple[str, ...]
    """What that is in records and answers."""
    doing: tuple[str, ...]


class Report(NamedTuple):
    """All that a page is made of, as it was known when the span ended."""

    found: Found
    weeks: Sequence[Week]
    """Of all versions, the latest last."""
    segments: Sequence[SegmentFigures]
    """How well those weeks' predictions came true, by segment."""
    onsets: Mapping[str, Onset]
    """Finding → when it began; of one that is left out nobody can tell."""
    production: Sequence[Event]
    """What was put there, the latest first."""
    answers: Mapping[date, Counter[str]]
    """Day of the span (UTC) → tier → answers of all versions."""
    versions: Counter[str]
    """Version → answers in the span."""
    record: Noun
    target: str
    """What is predicted, as the table calls it."""


def verdict(
    figures: Figures, weeks: Sequence[Week], segments: Sequence[SegmentFigures] = ()
) -> Verdict:
    """Sum up what was found, on the whole and in segments.

    Act where answers moved or are wrong; watch where only what they are made of did.
    """
    looked_at = [
        *figures.findings,
        *(each for segment in figures.segments for each in segment.findings),
    ]
    is_broken = any(each.state == "broken" for each in looked_at)
    moved = {each.state for each in looked_at if each.kind == "score"}
    judged = [week.state for week in weeks if week.state in JUDGED]
    latest = {*judged[-1:], *(each.state for each in segments)}
    if is_broken or "drift" in moved or "concept_drift" in latest:
        return "act"
    ended = {*judged, *latest}
    if figures.is_alarm or not WRONG.isdisjoint(ended):
        return "watch"
    states = {each.state for each in figures.findings}
    return "not enough data" if "insufficient_data" in states else "healthy"


def _verdict(report: Report) -> Verdict:
    return verdict(report.found.figures, report.weeks, report.segments)


def summarise(report: Report) -> Summary:
    """Say what was found to somebody who reads nothing else."""
    return Summary(
        verdict=_verdict(report),
        headline=_headline(report),
        since=" ".join(_since(report)),
        meaning=tuple(_meaning(report)),
        doing=tuple(_doing(report)),
    )


def _headline(report: Report) -> str:
    """Name the most urgent thing; the order is that of the verdict."""
    urgent = chain(_wrong_headlines(report), _moved_headlines(report))
    return next(urgent, None) or _calm_headline(report)


def _wrong_headlines(report: Report) -> Iterator[str]:
    """Say it where answers moved or are wrong, the most urgent first."""
    figures = report.found.figures
    broken = _columns(figures, "broken")
    if broken:
        yield (
            f"{_of_all(broken, figures)} {_verb(broken, 'brings', 'bring')} no value "
            f"that the model knows from training: {listed(broken)}."
        )
    score = _score(figures)
    if score is not None and score.state in ALARMS:
        said = describe(score, report.found.whole, report.record)
        yield f"The model answers differently from training: {said}."
    if _streak(report.weeks):
        said = _contradiction(_judged(report.weeks)[-1], report.target)
        yield f"Outcomes contradict the predictions: {said}."
    for segment in contradicting(report.segments):
        said = contradicted_sentence(segment, report.target)
        yield f"Outcomes contradict the predictions of a segment: {said}."


def _moved_headlines(report: Report) -> Iterator[str]:
    """Say it where only what answers are made of moved."""
    figures = report.found.figures
    drifting = _columns(figures, "drift")
    if drifting:
        score = _score(figures)
        calm = score is not None and score.state == "ok"
        but = "; the predicted probabilities did not, so far" if calm else ""
        yield f"{_of_all(drifting, figures)} moved since training{but}."
    own = figures.own_alarms
    if own:
        places = len({segment.name for segment, _ in own})
        yield (
            f"All {report.record.many} together are like those of training, but those "
            f"of {SEGMENT.count(places)} are not."
        )


def _score(figures: Figures) -> Finding | None:
    return next((each for each in figures.findings if each.kind == "score"), None)


def _calm_headline(report: Report) -> str:
    """Say it where nothing drifts and the latest outcomes contradict nothing."""
    judged = _judged(report.weeks)
    wrong = [week for week in judged if week.state == "concept_drift"]
    if wrong:
        return (
            f"Outcomes contradicted the predictions in {WEEK.count(len(wrong))}, "
            f"last in {_week(wrong[-1])}, and do so no longer."
        )
    one_sided = [week for week in judged if week.state == "one_sided"]
    if one_sided:
        return (
            f"All outcomes of {_week(one_sided[-1])} are the same, "
            "so nobody can tell whether its predictions came true."
        )
    figures, record = report.found.figures, report.record
    if not figures.rows:
        return f"No {record.one} was asked about, so nothing can be told."
    if _verdict(report) == "not enough data":
        if _rows_needed(figures) is None:
            return "The training table is too small to show every change that matters."
        return (
            f"{record.count(figures.rows)} {_verb(figures.rows, 'is', 'are')} too few "
            "to show every change that matters."
        )
    return (
        f"The {record.count(figures.rows)} asked about "
        f"{_verb(figures.rows, 'is', 'are')} like those of training."
    )


def _since(report: Report) -> Iterator[str]:
    """Say since when, of what drifts and of what outcomes contradict."""
    figures = report.found.figures
    moved = alarms(figures.findings)
    streak = _streak(report.weeks)
    if streak:
        limit = "or before " if len(streak) == len(_judged(report.weeks)) else ""
        yield (
            f"Outcomes have contradicted the predictions since {_week(streak[0])} "
            f"{limit}({WEEK.count(len(streak))})."
        )
    if moved:
        yield _began(moved, report)
    calm = _verdict(report) != "not enough data"
    if calm and not moved and figures.rows:
        whole = "On the whole, no" if figures.own_alarms else "No"
        yield (
            f"{whole} column moved enough to matter "
            f"from {_moment(figures.since)} to {_moment(figures.until)}."
        )
    yield from _came_true_since(report.weeks)


def _came_true_since(weeks: Sequence[Week]) -> Iterator[str]:
    """Say since when outcomes are as predicted, if none contradict."""
    judged = _judged(weeks)
    true = [week for week in judged if week.state == "ok"]
    if len(true) == len(judged) > 1:
        yield (
            f"Outcomes are as predicted in all {WEEK.count(len(true))} that can be "
            f"judged, since {_week(true[0])}."
        )


def _began(moved: Sequence[Finding], report: Report) -> str:
    begun = [
        (report.onsets[each.name], each.column)
        for each in moved
        if each.name in report.onsets
    ]
    if not begun:
        return (
            "When the change began is not known: "
            "the latest part of this time, taken alone, does not show it."
        )
    first, column = min(begun)
    said = about(first.since, first.precision)
    limit = "about" if first.was_well else "before or on"
    name = "the predicted probability" if column == SCORE else column
    return f"The change of {name} began {limit} {said}."


def _meaning(report: Report) -> Iterator[str]:
    figures, record = report.found.figures, report.record
    effects = [
        (each.tier_change, each.name)
        for each in figures.findings
        if each.tier_change is not None
        and any(alarm.column == each.name for alarm in alarms(figures.findings))
    ]
    if effects:
        share, name = max(effects)
        number = round(share * figures.rows)
        whom = record.count(figures.rows)
        yield (
            f"The change of {name} alone puts about {number:,} of {whom} "
            "into another tier."
            if number
            else f"No changed column alone puts any of {whom} into another tier."
        )
    yield from moved_sentences(report.found, record)
    yield _outcomes(report)


def _outcomes(report: Report) -> str:
    """Say whether predictions come true, by the latest week that can tell."""
    judged = [week for week in _judged(report.weeks) if week.state != "one_sided"]
    if judged:
        return _came_true(judged[-1], report.target)
    unknown = "Whether the predictions come true is not known yet"
    if not report.weeks:
        return f"{unknown}: nothing was predicted."
    waiting = [week for week in report.weeks if week.state == "waiting"]
    if waiting:
        predicted = sum(week.predicted for week in waiting)
        missing = predicted - sum(week.labelled for week in waiting)
        return (
            f"{unknown}: {missing:,} of {ANSWER.count(predicted)} in "
            f"{WEEK.count(len(waiting))} still "
            f"{_verb(missing, 'waits', 'wait')} for an outcome."
        )
    if any(week.state == "one_sided" for week in report.weeks):
        return f"{unknown}: all outcomes of a week are the same."
    most = max(week.records for week in report.weeks)
    return (
        f"{unknown}: outcomes of {report.record.count(most)} in a week are too few; "
        f"{MIN_RECORDS} are enough."
    )


def _contradiction(week: Week, target: str) -> str:
    """Say of a week with concept drift what was expected and what came."""
    real, expected = _measures(week)
    if real.event_rate.contradicts(expected.event_rate):
        return (
            f"in {_week(week)}, {percent(real.event_rate.value)} of answers were "
            f"followed by the event ({target}); "
            f"{percent(expected.event_rate.value)} were expected"
        )
    return (
        f"in {_week(week)}, the log loss was {real.log_loss.value:.2f}; "
        f"{expected.log_loss.value:.2f} was expected"
    )


def _came_true(week: Week, target: str) -> str:
    real, expected = _measures(week)
    came = round(real.event_rate.value * week.labelled)
    due = round(expected.event_rate.value * week.labelled)
    said = (
        f"Of {ANSWER.count(week.labelled)} in {_week(week)} whose outcome is known, "
        f"the event ({target}) followed {TIME.count(came)}; expected: {due:,}"
    )
    if week.state == "ok":
        return f"{said}. The difference may be chance, or is too small to matter."
    if real.event_rate.contradicts(expected.event_rate):
        return f"{said}. Chance does not explain that."
    losses = f"{real.log_loss.value:.2f} instead of {expected.log_loss.value:.2f}"
    return f"{said}, but after other answers: the log loss is {losses}."


def _doing(report: Report) -> Iterator[str]:
    figures = report.found.figures
    broken = _columns(figures, "broken")
    if broken:
        them = "it" if len(broken) == 1 else "them"
        yield (
            f"Ask who sends {listed(broken)} what changed, and have it mended. "
            f"Until then the model answers without {them}."
        )
    if _streak(report.weeks):
        yield (
            f"Check how outcomes are recorded. If that is right, {report.record.many} "
            "with the same values end differently than in training: "
            "train on newer outcomes."
        )
    if any(each.state == "drift" for each in figures.findings):
        yield (
            "Look where the columns below come from, the first one first, and what "
            "changed there. If the change will stay, train on newer rows."
        )
    if contradicting(report.segments) and not _streak(report.weeks):
        yield (
            "Check how outcomes of that segment are recorded. If that is right, train "
            "on newer outcomes."
        )
    if figures.own_alarms:
        yield (
            "Ask what changed for those segments alone: a source, a form or a price, "
            "for example."
        )
    yield from _doing_about_weeks(report)
    yield from _calm_doing(report)


def _doing_about_weeks(report: Report) -> Iterator[str]:
    """Say what to do about weeks that are over, or that nobody can judge."""
    wrong = [week for week in report.weeks if week.state == "concept_drift"]
    if wrong and not _streak(report.weeks):
        yield f"Find out what was different in {_week(wrong[-1])}."
    if any(week.state == "one_sided" for week in report.weeks):
        yield (
            "Record the other outcomes, too: "
            "an answer without an outcome does not count as 0."
        )


def _calm_doing(report: Report) -> Iterator[str]:
    figures = report.found.figures
    said = _verdict(report)
    if said == "healthy":
        yield "Nothing. Look again in a week."
    if said == "not enough data":
        needed = _rows_needed(figures)
        if needed is None:
            yield "Train on a larger table."
        else:
            yield (
                "Look again later, or further back: "
                f"{report.record.count(needed)} can show every change that matters."
            )


def _columns(figures: Figures, state: str) -> list[str]:
    """Name each column of which something has a state, the worst first."""
    names = [
        each.column
        for each in figures.findings
        if each.state == state and each.kind != "score"
    ]
    return list(dict.fromkeys(names))


def _of_all(names: Sequence[str], figures: Figures) -> str:
    judged = {each.column for each in figures.findings if each.kind != "score"}
    return f"{len(names)} of {COLUMN.count(len(judged))}"


def _verb(number: int | Sequence[str], one: str, many: str) -> str:
    count = number if isinstance(number, int) else len(number)
    return one if count == 1 else many


def _rows_needed(figures: Figures) -> int | None:
    """Return how many records can show every shift; None if no number can."""
    needed = [
        each.rows_needed
        for each in figures.findings
        if each.state == "insufficient_data"
    ]
    return max((each for each in needed if each is not None), default=None)


def _judged(weeks: Sequence[Week]) -> list[Week]:
    return [week for week in weeks if week.state in JUDGED]


def _streak(weeks: Sequence[Week]) -> list[Week]:
    """Return the weeks at the end, of those that are judged, with concept drift."""
    streak = list[Week]()
    for week in reversed(_judged(weeks)):
        if week.state != "concept_drift":
            break
        streak.insert(0, week)
    return streak


def _week(week: Week) -> str:
    return f"the week from {day(date.fromisoformat(week.week))}"


def _moment(moment: datetime) -> str:
    return about(moment.astimezone(UTC), timedelta())


def _measures(week: Week) -> tuple[Measures, Measures]:
    """Return what came of a week that is judged, and what was to be expected."""
    if week.realised is None or week.expected is None:
        msg = f"{week.week} is {week.state}, and has no measures"
        raise LookupError(msg)
    return week.realised, week.expected
