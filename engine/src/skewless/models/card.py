"""Metadata → the model card as Markdown.

It says what the version is, what it is worth, and where it must not be used.
"""

import inspect
from importlib.resources import files
from typing import Any

from jinja2 import Environment, StrictUndefined

from skewless.core.escaping import Markdown, code, in_markdown
from skewless.core.metrics import SCORES
from skewless.core.project import Project
from skewless.models import card_words
from skewless.models.metadata import Metadata


def render_card(metadata: Metadata, project: Project[Any, Any]) -> str:
    """Render the card as Markdown beside its two pictures; it holds no record."""
    contract = project.contract
    template = (
        files("skewless.models").joinpath("card.md.jinja").read_text(encoding="utf-8")
    )
    environment = Environment(
        undefined=StrictUndefined,
        finalize=in_markdown,
        autoescape=False,  # noqa: S701 - Markdown
    )
    environment.filters["code"] = code
    return environment.from_string(template).render(
        m=metadata,
        words=card_words,
        verdict=card_words.verdict(metadata),
        intended_use=Markdown(project.intended_use),
        metrics=SCORES,
        confusion=metadata.metrics["model"]["confusion"],
        target=contract.target,
        id=contract.id,
        id_length=contract.id_length,
        record=inspect.getdoc(contract.record),
    )
