"""Metadata → the model card: what the version is, what it is worth, where it must not be used."""

from typing import Any, Final

from jinja2 import Environment, StrictUndefined

from churn_service.artifact import Metadata
from churn_service.schema import TARGET, Customer

METRICS: Final = ("roc_auc", "average_precision", "brier", "log_loss")

TEMPLATE: Final = """\
# Model card: {{ m.version }}

Trained {{ m.trained_at }}. Predicts `{{ target }}` for {{ purpose }}

## Intended use

Rank customers for a retention offer and tell how likely each is to leave. A person or a campaign decides what
follows. Not for pricing, credit, employment or any decision with legal effect on a person.

## Limits

- The probabilities hold for customers like those of the training table; a field outside its range is refused.
- A missing value is information to this model, not an error: do not fill it in before asking.
- Nothing here says *why* a customer leaves, nor that an offer would keep them.

## How good it is

{{ m.holdout.rows }} held-out customers ({{ "%.0f" % (100 * m.holdout.fraction) }} %, \
salt `{{ m.holdout.salt }}`), of whom {{ "%.1f" % (100 * m.metrics.model.churn_rate) }} % churned; \
{{ m.provenance.training_rows }} customers to train on.

| metric |{% for name in m.metrics %} {{ name.replace("_", " ") }} |{% endfor %}
|---|{% for name in m.metrics %}---|{% endfor %}
{% for metric in metrics -%}
| {{ metric.replace("_", " ") }} \
|{% for values in m.metrics.values() %} {{ "%.4f" % values[metric] }} |{% endfor %}
{% endfor %}
Decision from {{ m.identity.decision.threshold }} on: \
{{ confusion[3] }} churners found, {{ confusion[2] }} missed, \
{{ confusion[1] }} stayers contacted, {{ confusion[0] }} left alone. \
Tiers: MEDIUM from {{ m.identity.decision.medium_risk }}, HIGH from {{ m.identity.decision.high_risk }}.

![ROC curve of the model and the baseline](roc.svg)
![Observed against predicted churn, in tenths](calibration.svg)

## Data dictionary

| field | allowed | meaning |
|---|---|---|
{% for column in m.identity.columns -%}
| `{{ column.name }}` | {{ column.rule }} | {{ column.description }} |
{% endfor %}
Model columns, in order: \
{% for name in m.identity.feature_names %}`{{ name }}`{{ ", " if not loop.last }}{% endfor %}.

## Provenance

| | |
|---|---|
{% for name, value in m.provenance.items() -%}
| {{ name.replace("_", " ") }} | `{{ value }}` |
{% endfor -%}
| training data SHA-256 | `{{ m.identity.data_sha256 }}` |
| lock SHA-256 | `{{ m.identity.lock_sha256 }}` |
| features section | `{{ m.identity.features }}` |
"""


def render_card(metadata: Metadata) -> str:
    """Render the card as Markdown beside its two pictures; it holds no customer's record."""
    template = Environment(undefined=StrictUndefined, autoescape=False).from_string(TEMPLATE)  # noqa: S701 - Markdown, of our own numbers
    model: dict[str, Any] = metadata.metrics["model"]
    return template.render(
        m=metadata,
        metrics=METRICS,
        confusion=model["confusion"],
        target=TARGET,
        purpose=(Customer.__doc__ or "a customer.").strip().splitlines()[0][0].lower()
        + (Customer.__doc__ or "a customer.").strip().splitlines()[0][1:],
    )
