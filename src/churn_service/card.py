"""Metadata → the model card: what the version is, what it is worth, where it must not be used."""

import inspect
from importlib.resources import files

from jinja2 import Environment, StrictUndefined

from churn_service.contract import Contract
from churn_service.markup import code, in_markdown
from churn_service.metadata import Metadata
from churn_service.metrics import SCORES


def render_card(metadata: Metadata, contract: Contract) -> str:
    """Render the card as Markdown beside its two pictures; it holds no customer's record."""
    template = files("churn_service").joinpath("card.md.jinja").read_text(encoding="utf-8")
    environment = Environment(undefined=StrictUndefined, finalize=in_markdown, autoescape=False)  # noqa: S701 - Markdown
    environment.filters["code"] = code
    return environment.from_string(template).render(
        m=metadata,
        metrics=SCORES,
        confusion=metadata.metrics["model"]["confusion"],
        target=contract.target,
        id=contract.id,
        id_length=contract.id_length,
        record=inspect.getdoc(contract.record),
    )
