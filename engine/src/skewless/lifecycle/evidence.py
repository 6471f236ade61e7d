"""Gather the evidence for putting one version in another's place, on one table."""

import json
from typing import Final, NamedTuple

import numpy as np
import pandas as pd

from skewless.core.arrays import to_arrays
from skewless.core.errors import ConfigError, TableError
from skewless.core.metrics import log_losses
from skewless.core.workspace import Workspace
from skewless.lifecycle.gate import (
    check_beats,
    check_contract,
    check_origin,
)
from skewless.lifecycle.replay import replay
from skewless.models.baseline import baseline_probability
from skewless.models.export import PARITY
from skewless.models.metadata import Metadata
from skewless.models.predict import Predictor
from skewless.monitoring.place import find_log
from skewless.registry.events import Check
from skewless.tables.split import ids_hash, read_split
from skewless.tables.table import data_hash
from skewless.training.proof import Features, prove_edges, prove_rows

OTHER_SPLIT: Final = (
    "the two were split by another holdout_fraction, holdout_salt or group, so each "
    "saw records that the other holds out; train the candidate with production's"
)


OTHER_TABLE: Final = "who knows whom it saw? Put that table back, or train on this one"
# Of either kind among those held out, for a bootstrap to mean anything.
LEAST_OUTCOMES: Final = 5


class Version(NamedTuple):
    """A version that this code can serve."""

    metadata: Metadata
    predictor: Predictor


def gather(
    candidate: Version, production: Version | None, work: Workspace
) -> list[Check]:
    """Check a candidate, alone or beside production.

    Parameters
    ----------
    candidate, production
        Two versions; None if nothing is in production, or it cannot be loaded.
    work
        The project, its configuration and where both are.
    """
    origin = check_origin(candidate.metadata)
    holdout = _holdout(candidate.metadata, work)
    proof = _proof(candidate, holdout, work)
    on_holdout = _on_holdout(candidate, production, holdout, work=work)
    if production is None:
        return [origin, proof, *on_holdout]
    contract = check_contract(
        candidate.metadata.identity.columns, production.metadata.identity.columns
    )
    replayed = replay(
        find_log(work),
        candidate.predictor,
        production.predictor,
        privacy=work.config.monitoring.privacy,
        gate=work.config.gate,
    )
    return [origin, proof, contract, *on_holdout, replayed]


def _proof(candidate: Version, holdout: pd.DataFrame | str, work: Workspace) -> Check:
    """Prove a version anew, by the present code, as it was when it was made.

    Its features are those of the record alone, at the contract's edges and for the rows
    held out, and it answers as the model that was trained did.
    """
    metadata = candidate.metadata
    proof = metadata.proof
    if proof is None:
        said = "the version is from before versions were proven: train it again"
        return Check(name="proof", passed=None, said=said)
    if isinstance(holdout, str):
        said = "it cannot be repeated without the rows held out, see holdout"
        return Check(name="proof", passed=None, said=said)
    project = work.project
    identity = metadata.identity
    knobs = project.features_config.model_validate_json(json.dumps(identity.features))
    features = Features(project, knobs, identity.feature_names)
    try:
        rows = prove_rows(features, holdout, features.matrix(holdout))
        prove_edges(features)
    except (ConfigError, TableError) as error:
        # The rest may name records, and events are for ever.
        fault = str(error).partition("\n")[0]
        return Check(name="proof", passed=False, said=fault)
    records = to_arrays(proof.edges.records, work.contract)
    answers = candidate.predictor.probabilities(records)
    difference = float(np.abs(answers - np.array(proof.edges.probabilities)).max())
    said = (
        f"features of {rows} rows held out and of {len(answers)} records at the "
        "contract's edges are the same alone; there it answers within "
        f"{difference:.2g} of the model that was trained, allowed {PARITY:g}"
    )
    return Check(name="proof", passed=difference <= PARITY, said=said)


def _on_holdout(
    candidate: Version,
    production: Version | None,
    holdout: pd.DataFrame | str,
    *,
    work: Workspace,
) -> list[Check]:
    if production is not None and _split(candidate.metadata) != _split(
        production.metadata
    ):
        return [Check(name="holdout", passed=False, said=OTHER_SPLIT)]
    if isinstance(holdout, str):
        return [Check(name="holdout", passed=None, said=holdout)]
    outcomes = holdout[work.contract.target].to_numpy()
    rarer = int(min(outcomes.sum(), len(outcomes) - outcomes.sum()))
    if rarer < LEAST_OUTCOMES:
        said = (
            f"{rarer} records held out with the rarer outcome; "
            f"{LEAST_OUTCOMES} are needed"
        )
        return [Check(name="holdout", passed=None, said=said)]
    losses = log_losses(candidate.predictor.probabilities(holdout), outcomes)
    config = work.config
    rule = baseline_probability(work.project, holdout, config)
    beats = check_beats("baseline", losses, log_losses(rule, outcomes), margin=0.0)
    facts = beats.facts | {"baseline": config.baseline.model_dump()}
    checks = [beats.model_copy(update={"facts": facts})]
    if production is not None:
        others = log_losses(production.predictor.probabilities(holdout), outcomes)
        checks.append(
            check_beats("production", losses, others, margin=config.gate.margin)
        )
    return checks


def _holdout(candidate: Metadata, work: Workspace) -> pd.DataFrame | str:
    """Return the records that were held out, or why there are none."""
    config = work.config
    path = work.root / config.data.path
    if not path.exists():
        return f"{config.data.path} is not here, so nothing can be compared"
    split = candidate.holdout
    try:
        table, is_held_out = read_split(
            path, work.contract, config.data.format, split=split
        )
    except TableError as error:
        # The rest names records, and events are for ever.
        fault = str(error).partition("\n")[0]
        return f"nothing can be compared with {config.data.path}: {fault}"
    if data_hash(table) != candidate.identity.data_sha256:
        return (
            f"{config.data.path} is not the table that {candidate.version} was trained "
            f"on; {OTHER_TABLE}"
        )
    holdout = table[is_held_out]
    known = split.ids_sha256
    if known is not None and known != ids_hash(holdout, work.contract):
        return (
            f"other rows than {candidate.version} held out would be: is {split.group} "
            "of the table what it was? Train on this one"
        )
    if holdout.empty:
        return "the table holds no record that was held out"
    return holdout


def _split(metadata: Metadata) -> tuple[float, str, str | None]:
    split = metadata.holdout
    return split.fraction, split.salt, split.group
