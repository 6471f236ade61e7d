"""Metadata → the model card as one HTML page, with its pictures inside."""

import inspect
from typing import Any, Final

from skewless.core.metrics import SCORES, Metrics
from skewless.core.project import Project
from skewless.models import card_words
from skewless.models.card_charts import (
    benefit_chart,
    calibration_chart,
    importances_chart,
    ranking_chart,
    rates_chart,
    roc_chart,
    scores_chart,
)
from skewless.models.metadata import Metadata
from skewless.models.page import render_page
from skewless.models.quality import Segment

MOST_IMPORTANCES: Final = 15  # in picture and table; card.md has all
MOST_SEGMENTS: Final = 40  # in picture and table; card.md has all


def render_card_page(metadata: Metadata, project: Project[Any, Any]) -> str:
    """Render the card as a page; it holds no record, and loads nothing.

    Of a version from before a figure was measured, the page leaves that figure out.
    """
    contract = project.contract
    model = Metrics.model_validate(metadata.metrics["model"])
    importances = card_words.importance_of(metadata)
    segments = _most_telling(metadata.segments)
    return render_page(
        "models/card.html.jinja",
        m=metadata,
        words=card_words,
        verdict=card_words.verdict(metadata),
        model=model,
        metrics=SCORES,
        meanings={name: Metrics.model_fields[name].description for name in SCORES},
        descriptions={
            each.name: each.description for each in metadata.identity.columns
        },
        intended_use=_paragraphs(project.intended_use),
        target=contract.target,
        id=contract.id,
        id_length=contract.id_length,
        record=inspect.getdoc(contract.record) or "",
        importances=importances,
        most_importances=MOST_IMPORTANCES,
        segments=segments,
        left_out=len(metadata.segments) - len(segments),
        pictures=_pictures(metadata, importances, segments),
    )


def _pictures(
    metadata: Metadata,
    importances: list[tuple[str, float]],
    segments: list[Segment],
) -> dict[str, str]:
    model = Metrics.model_validate(metadata.metrics["model"])
    pictures = {"calibration": calibration_chart(model.calibration)}
    decision = metadata.identity.decision
    if metadata.scores is not None:
        baseline = metadata.metrics.get("baseline", {}).get("confusion")
        pictures["scores"] = scores_chart(metadata.scores, decision)
        pictures["roc"] = roc_chart(metadata.scores, model.confusion, baseline)
        pictures["benefit"] = benefit_chart(metadata.scores, decision.threshold)
    if importances:
        pictures["importances"] = importances_chart(importances[:MOST_IMPORTANCES])
    drawn = [each for each in segments if each.state == "measured"]
    if drawn:
        pictures["rates"] = rates_chart(drawn)
        pictures["ranking"] = ranking_chart(drawn, model.roc_auc)
    return pictures


def _most_telling(segments: tuple[Segment, ...]) -> list[Segment]:
    """Keep `MOST_SEGMENTS`, in the order of the contract.

    First the values of choices, then of each column the smaller part of the records
    with and without a value, as the larger part is nearly all records; among alike
    those of the most records.
    """
    smaller: dict[str, Segment] = {}
    for each in segments:
        known = smaller.get(each.column)
        if each.kind != "value" and (known is None or each.rows < known.rows):
            smaller[each.column] = each

    def rank(place: int) -> tuple[bool, bool, int]:
        each = segments[place]
        is_value = each.kind == "value"
        return not is_value, each is not smaller.get(each.column), -each.rows

    places = sorted(range(len(segments)), key=rank)
    return [segments[place] for place in sorted(places[:MOST_SEGMENTS])]


def _paragraphs(text: str) -> list[str]:
    """Split a text where it has empty lines."""
    return [part.strip() for part in text.split("\n\n") if part.strip()]
