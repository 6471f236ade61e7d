"""Read metrics as Prometheus does."""

from prometheus_client.parser import text_string_to_metric_families

Counted = dict[str, dict[tuple[str, ...], float]]


def read(text: str) -> Counted:
    """Parse metrics as Prometheus does.

    Returns sample → values of its labels, by the labels' names → value.
    """
    found: Counted = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            labels = tuple(sample.labels[name] for name in sorted(sample.labels))
            found.setdefault(sample.name, {})[labels] = sample.value
    return found
