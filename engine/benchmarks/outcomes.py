"""How often `churn-service performance` raises an alarm.

That is measured without concept drift and with it.

Usage: OMP_NUM_THREADS=1 python engine/benchmarks/outcomes.py [--weeks 1000]. Takes five
minutes.
"""

import argparse

import numpy as np
import pandas as pd

from skewless.monitoring.performance import weekly

CUSTOMERS = (100, 200, 300, 500, 1_000, 5_000)
AS_OF, HORIZON = pd.Timestamp("2026-06-01"), pd.Timedelta(days=90)


def worlds(chances: np.ndarray, random: np.random.Generator) -> dict[str, np.ndarray]:
    """Draw outcomes of the same customers as if they behaved in several ways."""
    uniform, odds = random.random(len(chances)), chances / (1 - chances)
    as_predicted = uniform < chances
    return {
        "no drift": as_predicted,
        "+0.05": uniform < np.clip(chances + 0.05, 0, 1),
        "odds x1.6": uniform < 1 - 1 / (1 + odds * np.exp(0.5)),
        "odds x2.7": uniform < 1 - 1 / (1 + odds * np.exp(1)),
        "third flipped": np.where(
            random.random(len(chances)) < 1 / 3, ~as_predicted, as_predicted
        ),
    }


def alarm(chances: np.ndarray, outcomes: np.ndarray) -> bool:
    """Judge a week of customers who were asked about once each."""
    rows = {
        "record": np.arange(len(chances), dtype=np.uint64),
        "time": pd.Timestamp("2026-01-05"),
        "probability": chances,
        "predicted": chances >= 0.5,
        "outcome": outcomes.astype(np.int8),
        "lag_days": 1.0,
    }
    (week,) = weekly(pd.DataFrame(rows), as_of=AS_OF, horizon=HORIZON)
    return week.state == "concept_drift"


def main() -> None:
    """Print a line per number of customers: the share of weeks with an alarm."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--weeks", type=int, default=1_000)
    weeks = parser.parse_args().weeks
    print(
        f"{'customers':>9}"
        + "".join(
            f"{name:>15}" for name in worlds(np.array([0.5]), np.random.default_rng())
        )
    )
    for customers in CUSTOMERS:
        random = np.random.default_rng(customers)
        found = []
        for _ in range(weeks):
            chances = random.beta(1.5, 2.5, customers)
            found.append(
                [
                    alarm(chances, outcomes)
                    for outcomes in worlds(chances, random).values()
                ]
            )
        print(
            f"{customers:9,}"
            + "".join(f"{share:15.1%}" for share in np.mean(found, axis=0)),
            flush=True,
        )


if __name__ == "__main__":
    main()
