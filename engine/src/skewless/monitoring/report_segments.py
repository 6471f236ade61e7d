"""What was found in segments and not on the whole → sentences of a report."""

from collections.abc import Iterator, Sequence
from typing import Final

from skewless.core.nouns import Noun
from skewless.monitoring.drift import SCORE
from skewless.monitoring.drift_job import Found
from skewless.monitoring.performance import MIN_DIFFERENCE
from skewless.monitoring.performance_figures import Measured, SegmentFigures
from skewless.monitoring.words import describe, percent

MOST: Final = 3  # that are told of; the page lists all


def contradicting(segments: Sequence[SegmentFigures]) -> list[SegmentFigures]:
    """Keep those whose outcomes contradict the predictions."""
    return [each for each in segments if each.state == "concept_drift"]


def moved_sentences(found: Found, record: Noun) -> Iterator[str]:
    """Say what moved in segments alone."""
    own = found.figures.own_alarms
    for segment, finding in own[:MOST]:
        said = describe(finding, found.segments[segment.name], record)
        name = finding.column
        if name == SCORE:
            name = "the predicted probability"
        yield f"Where {segment.name}, {name} moved: {said}."
    if len(own) > MOST:
        yield f"{len(own) - MOST:,} more changes are listed by segment below."


def contradicted_sentence(segment: SegmentFigures, target: str) -> str:
    """Say what came in a segment whose outcomes contradict, and what was expected."""
    rate, loss = segment.event_rate, segment.log_loss
    if rate is not None and _differs(rate):
        return (
            f"where {segment.name}, {percent(rate.realised)} of answers were followed "
            f"by the event ({target}); {percent(rate.expected)} were expected"
        )
    if loss is not None:
        return (
            f"where {segment.name}, the log loss was {loss.realised:.2f}; "
            f"{loss.expected:.2f} was expected"
        )
    msg = f"{segment.name} has no outcomes that could contradict anything"
    raise LookupError(msg)


def _differs(measured: Measured) -> bool:
    return abs(measured.realised - measured.expected) >= MIN_DIFFERENCE
