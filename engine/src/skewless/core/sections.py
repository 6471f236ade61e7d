"""What config.yaml may hold: one model per section, with each key's type, range and meaning."""

from typing import Annotated, Any, Final, Generic, Literal, Self, TypeVar

from pydantic import Field, model_validator

from skewless.core import service_sections
from skewless.core.section import Probability, Section
from skewless.core.url import Url

VERSION_NUMBER = r"^[0-9]{1,5}\.[0-9]{1,5}\.[0-9]{1,5}$"


class SampleConfig(Section):
    """The simulated table that `sample` writes."""

    rows: Annotated[int, Field(ge=1, le=100_000_000, description="Records to simulate; rows")] = 10_000
    random_state: Annotated[int, Field(ge=0, le=2**32 - 1, description="Seed of the simulator")] = 42


class FormatConfig(Section):
    """How tables are written: the training table, and what is scored. Parquet needs only the last two."""

    delimiter: Annotated[str, Field(min_length=1, max_length=1, description="Between cells, as tab is")] = ","
    encoding: Annotated[str, Field(description="utf-8, with or without a byte order mark, cp1252, …")] = (
        "utf-8"
    )
    decimal: Annotated[Literal[".", ","], Field(description="Before the fraction of a number")] = "."
    thousands: Annotated[
        str | None,
        Field(min_length=1, max_length=1, description="Between groups of three digits; null: none"),
    ] = None
    missing: Annotated[
        tuple[str, ...], Field(description="Cells that mean missing; without blanks around")
    ] = ("",)
    row_ids: Annotated[bool, Field(description="Make an id of what a row holds, where no column is one")] = (
        False
    )


PLAIN: Final = FormatConfig()
"""How a table is written unless somebody says otherwise."""


class DataConfig(Section):
    """Where the training table is and how it is split."""

    path: Annotated[str, Field(min_length=1, description="Training table: CSV or other text, or Parquet")]
    holdout_fraction: Annotated[float, Field(gt=0, lt=1, description="Share of records held out")]
    holdout_salt: Annotated[
        str,
        Field(min_length=1, max_length=64, pattern="^[ -~]+$", description="Key of the split, ASCII"),
    ]
    format: FormatConfig = FormatConfig()
    sample: SampleConfig = SampleConfig()


class ModelSection(Section):
    """What the section of every estimator holds; the project adds its knobs."""

    version: Annotated[
        str, Field(pattern=VERSION_NUMBER, description="MAJOR.MINOR.PATCH; raise it when the model changes")
    ]


class DecisionConfig(Section):
    """From a probability to a decision."""

    threshold: Annotated[Probability, Field(description="decision is true from this probability on")]
    medium_risk: Annotated[Probability, Field(description="tier MEDIUM from this probability on")]
    high_risk: Annotated[Probability, Field(description="tier HIGH from this probability on")]

    @model_validator(mode="after")
    def _tiers_rise(self) -> Self:
        if self.medium_risk > self.high_risk:
            msg = f"medium_risk {self.medium_risk} must be at most high_risk {self.high_risk}"
            raise ValueError(msg)
        return self


class BaselineConfig(Section):
    """A scorecard on one model column: what a model must beat."""

    column: Annotated[str, Field(description="A key of add_features")]
    cuts: Annotated[tuple[float, ...], Field(min_length=1, description="Increasing; in the column's unit")]
    probabilities: Annotated[
        tuple[Probability, ...],
        Field(description="One per interval (one more than cuts), then one for missing"),
    ]

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if any(low >= high for low, high in zip(self.cuts, self.cuts[1:], strict=False)):
            msg = f"cuts must increase; found {list(self.cuts)}"
            raise ValueError(msg)
        if len(self.probabilities) != len(self.cuts) + 2:
            msg = (
                f"{len(self.cuts)} cuts need {len(self.cuts) + 2} probabilities "
                f"(one per interval, then one for missing); found {len(self.probabilities)}"
            )
            raise ValueError(msg)
        return self


class RegistryConfig(Section):
    """Where model versions are kept."""

    path: Annotated[Url, Field(description="Folder of versions, or a URL such as s3://…")] = Url("models")
    cache: Annotated[str, Field(min_length=1, description="Folder that mirrors a URL")] = "models-cache"


FeaturesT = TypeVar("FeaturesT", bound=Section)
ModelT = TypeVar("ModelT", bound=ModelSection)


class BaseConfig(Section, Generic[FeaturesT, ModelT]):
    """The whole of config.yaml, whatever the project's own two sections hold."""

    data: DataConfig
    features: FeaturesT
    model: ModelT
    decision: DecisionConfig
    baseline: BaselineConfig
    registry: RegistryConfig = RegistryConfig()
    gate: service_sections.GateConfig = service_sections.GateConfig()
    serving: service_sections.ServingConfig = service_sections.ServingConfig()
    monitoring: service_sections.MonitoringConfig = service_sections.MonitoringConfig()
    retrain: service_sections.RetrainConfig = service_sections.RetrainConfig()


AnyConfig = BaseConfig[Any, Any]
"""The configuration of any project."""
