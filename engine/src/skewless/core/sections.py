"""What config.yaml may hold: a model per section, with types, ranges and meanings."""

from itertools import pairwise
from typing import (
    Annotated,
    Any,
    Final,
    Generic,
    Literal,
    Self,
    TypeVar,
    get_args,
)

from pydantic import (
    BaseModel,
    Field,
    ValidationInfo,
    model_validator,
)

from skewless.core.contract import Contract
from skewless.core.url import Url

Probability = Annotated[float, Field(ge=0, le=1)]


class Section(BaseModel, frozen=True, strict=True, extra="forbid", allow_inf_nan=False):
    """A part of config.yaml: no unknown key, no silent conversion."""


VERSION_NUMBER = r"^[0-9]{1,5}\.[0-9]{1,5}\.[0-9]{1,5}$"


class SampleConfig(Section):
    """The simulated table that `sample` writes."""

    rows: Annotated[
        int, Field(ge=1, le=100_000_000, description="Records to simulate; rows")
    ] = 10_000
    random_state: Annotated[
        int, Field(ge=0, le=2**32 - 1, description="Seed of the simulator")
    ] = 42


class FormatConfig(Section):
    """How tables are written: the training table, and what is scored.

    Parquet needs only the last two keys.
    """

    delimiter: Annotated[
        str, Field(min_length=1, max_length=1, description="Between cells, as tab is")
    ] = ","
    encoding: Annotated[
        str, Field(description="utf-8, with or without a byte order mark, cp1252, …")
    ] = "utf-8"
    decimal: Annotated[
        Literal[".", ","], Field(description="Before the fraction of a number")
    ] = "."
    thousands: Annotated[
        str | None,
        Field(
            min_length=1,
            max_length=1,
            description="Between groups of three digits; null: none",
        ),
    ] = None
    missing: Annotated[
        tuple[str, ...],
        Field(description="Cells that mean missing; without blanks around"),
    ] = ("",)
    row_ids: Annotated[
        bool,
        Field(description="Make an id of what a row holds, where no column is one"),
    ] = False


PLAIN: Final = FormatConfig()
"""How a table is written unless somebody says otherwise."""


class Split(BaseModel, frozen=True, extra="ignore"):
    """How a table is split into what is trained on and what is held out."""

    fraction: float
    salt: str
    group: str | None = None
    """Column whose value keeps rows on one side."""
    together: bool = False
    """Whether equal rows without ids are on one side; earlier versions split them."""


class DataConfig(Section):
    """Where the training table is and how it is split."""

    path: Annotated[
        str,
        Field(
            min_length=1, description="Training table: CSV or other text, or Parquet"
        ),
    ]
    holdout_fraction: Annotated[
        float, Field(gt=0, lt=1, description="Share of records held out")
    ]
    holdout_salt: Annotated[
        str,
        Field(
            min_length=1,
            max_length=64,
            pattern="^[ -~]+$",
            description="Key of the split, ASCII",
        ),
    ]
    group: Annotated[
        str | None,
        Field(
            min_length=1,
            description="Column of the table whose rows of one value, a household or "
            "a machine, stay on one side of the split; null: none",
        ),
    ] = None
    format: FormatConfig = FormatConfig()
    sample: SampleConfig = SampleConfig()

    @property
    def split(self) -> Split:
        """How the table is split, as a version keeps it."""
        return Split(
            fraction=self.holdout_fraction,
            salt=self.holdout_salt,
            group=self.group,
            together=True,
        )


class ModelSection(Section):
    """What the section of every estimator holds; the project adds its knobs."""

    version: Annotated[
        str,
        Field(
            pattern=VERSION_NUMBER,
            description="MAJOR.MINOR.PATCH; raise it when the model changes",
        ),
    ]


class DecisionConfig(Section):
    """From a probability to a decision."""

    threshold: Annotated[
        Probability, Field(description="decision is true from this probability on")
    ]
    medium_risk: Annotated[
        Probability, Field(description="tier MEDIUM from this probability on")
    ]
    high_risk: Annotated[
        Probability, Field(description="tier HIGH from this probability on")
    ]

    @model_validator(mode="after")
    def _tiers_rise(self) -> Self:
        if self.medium_risk > self.high_risk:
            msg = (
                f"medium_risk {self.medium_risk} must be at most "
                f"high_risk {self.high_risk}"
            )
            raise ValueError(msg)
        return self


class DecisionSection(DecisionConfig):
    """The `decision` section: from a probability to a decision and a tier."""

    allow_low_tier_positive: Annotated[
        bool,
        Field(
            description="Whether the decision may be true in the tier LOW, which a "
            "threshold below medium_risk means"
        ),
    ] = False

    @property
    def decided(self) -> DecisionConfig:
        """What of it decides an answer, as a version keeps it."""
        return DecisionConfig(
            threshold=self.threshold,
            medium_risk=self.medium_risk,
            high_risk=self.high_risk,
        )

    @model_validator(mode="after")
    def _agrees_with_tiers(self) -> Self:
        if self.threshold < self.medium_risk and not self.allow_low_tier_positive:
            msg = (
                f"from threshold {self.threshold} on the decision is true, and below "
                f"medium_risk {self.medium_risk} the tier is LOW, so answers would say "
                "both. Lower medium_risk, or say allow_low_tier_positive: true"
            )
            raise ValueError(msg)
        return self


class BaselineConfig(Section):
    """A scorecard on one model column: what a model must beat."""

    column: Annotated[str, Field(description="A key of add_features")]
    cuts: Annotated[
        tuple[float, ...],
        Field(min_length=1, description="Increasing; in the column's unit"),
    ]
    probabilities: Annotated[
        tuple[Probability, ...],
        Field(
            description="One per interval (one more than cuts), then one for missing"
        ),
    ]

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if any(low >= high for low, high in pairwise(self.cuts)):
            msg = f"cuts must increase; found {list(self.cuts)}"
            raise ValueError(msg)
        if len(self.probabilities) != len(self.cuts) + 2:
            msg = (
                f"{len(self.cuts)} cuts need {len(self.cuts) + 2} probabilities "
                "(one per interval, then one for missing); "
                f"found {len(self.probabilities)}"
            )
            raise ValueError(msg)
        return self


class RegistryConfig(Section):
    """Where model versions are kept."""

    path: Annotated[
        Url, Field(description="Folder of versions, or a URL such as s3://…")
    ] = Url("models")
    cache: Annotated[
        str, Field(min_length=1, description="Folder that mirrors a URL")
    ] = "models-cache"


class ServingConfig(Section):
    """The HTTP service; nothing here changes an answer."""

    runtime: Annotated[
        Literal["onnx", "scikit-learn"], Field(description="What runs the model")
    ] = "onnx"
    allow_pickle: Annotated[
        bool,
        Field(
            description="Accept model.joblib, which can run any code; scikit-learn only"
        ),
    ] = False
    fallback: Annotated[
        Literal["refuse", "baseline"],
        Field(description="What `serve` does while no model can be loaded"),
    ] = "refuse"
    max_body_bytes: Annotated[
        int, Field(ge=1_024, le=2**30, description="Largest request body; bytes")
    ] = 2**20
    max_batch_rows: Annotated[
        int, Field(ge=1, le=50_000, description="Records in one batch request; rows")
    ] = 1_000
    max_connections: Annotated[
        int, Field(ge=1, le=100_000, description="Open at once, per process")
    ] = 2_000
    max_in_flight: Annotated[
        int,
        Field(
            ge=1,
            le=100_000,
            description="Requests that may wait, per process; more are 503",
        ),
    ] = 512
    slow_client_seconds: Annotated[
        float,
        Field(
            gt=0,
            le=3_600,
            description="For a caller to send a request, or read an answer; seconds",
        ),
    ] = 10
    keep_alive_seconds: Annotated[
        int,
        Field(
            ge=1,
            le=3_600,
            description="A connection without a request stays open so long; "
            "more than the proxy's; seconds",
        ),
    ] = 75
    pool_threads: Annotated[
        int,
        Field(
            ge=1,
            le=64,
            description="Large batches and loads of other versions at once, "
            "per process",
        ),
    ] = 4
    deadline_seconds: Annotated[
        float,
        Field(
            gt=0,
            le=3_600,
            description="A large batch or a load that takes longer is 503; seconds",
        ),
    ] = 10
    models_megabytes: Annotated[
        int,
        Field(
            ge=0,
            le=2**20,
            description="Memory for other versions than the one that serves, "
            "per process; megabytes",
        ),
    ] = 64
    drain_seconds: Annotated[
        float,
        Field(
            ge=0,
            le=3_600,
            description="Answering goes on so long after SIGTERM; seconds",
        ),
    ] = 5
    rate_limit_per_minute: Annotated[
        int, Field(ge=1, le=10**9, description="Of a caller with a key")
    ] = 100
    rate_limit_anonymous: Annotated[
        int | None,
        Field(ge=1, le=10**9, description="Of all callers without one; null: no limit"),
    ] = None
    rate_limit_by: Annotated[
        Literal["request", "row"], Field(description="What a batch counts as")
    ] = "request"
    cors_origins: Annotated[
        tuple[str, ...],
        Field(
            description="Web origins whose pages may call, such as https://crm.example"
        ),
    ] = ()
    shadow: Annotated[
        Literal["staging"] | None,
        Field(description="A challenger that is asked the same; null: none"),
    ] = None
    poll_seconds: Annotated[
        float,
        Field(
            gt=0,
            le=3_600,
            description="Between two looks at what is in production; seconds",
        ),
    ] = 10
    expected_per_second: Annotated[
        int,
        Field(
            ge=1,
            le=100_000,
            description="Expected peak that `make load` tries; requests per second",
        ),
    ] = 200


class GateConfig(Section):
    """What a version has to show before it is promoted to production."""

    margin: Annotated[
        float,
        Field(
            ge=0,
            le=10,
            description="Log loss that it may be worse than production; nats",
        ),
    ] = 0.005
    replay_requests: Annotated[
        int,
        Field(
            ge=1, le=1_000_000, description="Logged requests of production to repeat"
        ),
    ] = 500
    max_flip_share: Annotated[
        Probability, Field(description="Share of their decisions that may change")
    ] = 0.05
    max_psi: Annotated[
        float, Field(ge=0, le=10, description="Shift of their scores, as PSI")
    ] = 0.25
    max_latency_ratio: Annotated[
        float,
        Field(gt=0, le=1_000, description="Its time for one of them over production's"),
    ] = 3


Privacy = Literal["keep", "drop", "hash", "bucket"]


class MonitoringConfig(Section):
    """What is remembered of the answers."""

    prediction_log: Annotated[
        str | None,
        Field(min_length=1, description="Folder of the prediction log; null: no log"),
    ] = None
    flush_seconds: Annotated[
        float,
        Field(
            gt=0,
            le=60,
            description="What a killed process may lose of the log; seconds",
        ),
    ] = 0.5
    privacy: dict[str, Privacy] = Field(
        default_factory=dict,
        description="Column → how it is kept; hash needs …_HASH_KEY, "
        "bucket keeps a digit, or the year",
    )
    outcome_days: Annotated[
        int,
        Field(
            ge=1,
            le=3_650,
            description="An outcome reported by a record's id counts for "
            "predictions so long before; days",
        ),
    ] = 90
    memory_mb: Annotated[
        int,
        Field(
            ge=100,
            le=1_000_000,
            description="Memory that reading the log may take, besides Python's own; "
            "what needs more goes to a temporary folder; MB",
        ),
    ] = 500

    @property
    def hidden(self) -> tuple[str, ...]:
        """Name the columns that the log does not hold as they were asked."""
        return tuple(
            sorted(name for name, way in self.privacy.items() if way != "keep")
        )

    @model_validator(mode="after")
    def _fits_the_record(self, info: ValidationInfo) -> Self:
        contract: Contract | None = info.context
        if contract is None:  # validated without a project
            return self
        kinds = {
            contract.id: "id",
            **{column.name: column.kind for column in contract.columns},
        }
        for name, privacy in self.privacy.items():
            if name not in kinds:
                msg = (
                    f"privacy names {name}, which is no column; "
                    f"there are {', '.join(kinds)}"
                )
                raise ValueError(msg)
            if privacy == "bucket" and kinds[name] not in {"integer", "number", "date"}:
                msg = (
                    f"privacy: {name} is no number or date, so it cannot be bucketed; "
                    "hash or drop it"
                )
                raise ValueError(msg)
        return self


class RetrainConfig(Section):
    """When `retrain` trains again, and what it does with the version."""

    window_days: Annotated[
        float,
        Field(
            gt=0,
            le=366,
            description="Each of the two windows that must both show drift; days",
        ),
    ] = 7
    max_age_days: Annotated[
        float,
        Field(
            gt=0,
            le=36_500,
            description="Age at which a version is trained again anyway; days",
        ),
    ] = 180
    min_new_outcomes: Annotated[
        int,
        Field(
            ge=1,
            le=10**9,
            description="Records whose outcome came after it was trained, at least",
        ),
    ] = 200
    cool_down_days: Annotated[
        float,
        Field(gt=0, le=366, description="After a retraining, before the next; days"),
    ] = 7
    promote: Annotated[
        Literal["staging", "production"],
        Field(description="Where the version goes; production by the gate"),
    ] = "staging"


FeaturesT = TypeVar("FeaturesT", bound=Section)
ModelT = TypeVar("ModelT", bound=ModelSection)


class BaseConfig(Section, Generic[FeaturesT, ModelT]):
    """The whole of config.yaml, whatever the project's own two sections hold."""

    data: DataConfig
    features: FeaturesT
    model: ModelT
    decision: DecisionSection
    baseline: BaselineConfig
    registry: RegistryConfig = RegistryConfig()
    gate: GateConfig = GateConfig()
    serving: ServingConfig = ServingConfig()
    monitoring: MonitoringConfig = MonitoringConfig()
    retrain: RetrainConfig = RetrainConfig()


def choices(config: type[BaseModel], section: str) -> dict[str, type[Section]]:
    """List what a section may be, by the word in config.yaml that chooses.

    Empty if it may be one thing only.
    """
    field = config.model_fields[section]
    if not isinstance(field.discriminator, str):
        return {}
    found = {}
    for each in get_args(field.annotation):
        (word,) = get_args(each.model_fields[field.discriminator].annotation)
        found[word] = each
    return found


AnyConfig = BaseConfig[Any, Any]
"""The configuration of any project."""
