"""The sections of config.yaml that the service and its monitoring read."""

from typing import (
    Annotated,
    Literal,
    Self,
)

from pydantic import (
    Field,
    ValidationInfo,
    model_validator,
)

from skewless.core.contract import Contract
from skewless.core.section import (
    Probability,
    Section,
)


class ServingConfig(Section):
    """The HTTP service; nothing here changes an answer."""

    runtime: Annotated[Literal["onnx", "scikit-learn"], Field(description="What runs the model")] = "onnx"
    allow_pickle: Annotated[
        bool, Field(description="Accept model.joblib, which can run any code; scikit-learn only")
    ] = False
    fallback: Annotated[
        Literal["refuse", "baseline"], Field(description="What `serve` does while no model can be loaded")
    ] = "refuse"
    max_body_bytes: Annotated[int, Field(ge=1_024, le=2**30, description="Largest request body; bytes")] = (
        2**20
    )
    max_batch_rows: Annotated[
        int, Field(ge=1, le=50_000, description="Records in one batch request; rows")
    ] = 1_000
    max_connections: Annotated[int, Field(ge=1, le=100_000, description="Open at once, per process")] = 2_000
    max_in_flight: Annotated[
        int, Field(ge=1, le=100_000, description="Requests that may wait, per process; more are 503")
    ] = 512
    slow_client_seconds: Annotated[
        float,
        Field(gt=0, le=3_600, description="For a caller to send a request, or read an answer; seconds"),
    ] = 10
    keep_alive_seconds: Annotated[
        int,
        Field(
            ge=1,
            le=3_600,
            description="A connection without a request stays open so long; more than the proxy's; seconds",
        ),
    ] = 75
    pool_threads: Annotated[
        int, Field(ge=1, le=64, description="Large batches and loads of other versions at once, per process")
    ] = 4
    deadline_seconds: Annotated[
        float, Field(gt=0, le=3_600, description="A large batch or a load that takes longer is 503; seconds")
    ] = 10
    models_megabytes: Annotated[
        int,
        Field(
            ge=0,
            le=2**20,
            description="Memory for other versions than the one that serves, per process; megabytes",
        ),
    ] = 64
    drain_seconds: Annotated[
        float, Field(ge=0, le=3_600, description="Answering goes on so long after SIGTERM; seconds")
    ] = 5
    rate_limit_per_minute: Annotated[int, Field(ge=1, le=10**9, description="Of a caller with a key")] = 100
    rate_limit_anonymous: Annotated[
        int | None,
        Field(ge=1, le=10**9, description="Of all callers without one; null: no limit"),
    ] = None
    rate_limit_by: Annotated[Literal["request", "row"], Field(description="What a batch counts as")] = (
        "request"
    )
    cors_origins: Annotated[
        tuple[str, ...], Field(description="Web origins whose pages may call, such as https://crm.example")
    ] = ()
    shadow: Annotated[
        Literal["staging"] | None, Field(description="A challenger that is asked the same; null: none")
    ] = None
    poll_seconds: Annotated[
        float, Field(gt=0, le=3_600, description="Between two looks at what is in production; seconds")
    ] = 10
    expected_per_second: Annotated[
        int, Field(ge=1, le=100_000, description="Expected peak that `make load` tries; requests per second")
    ] = 200


class GateConfig(Section):
    """What a version has to show before it is promoted to production."""

    margin: Annotated[
        float, Field(ge=0, le=10, description="Log loss that it may be worse than production; nats")
    ] = 0.005
    replay_requests: Annotated[
        int, Field(ge=1, le=1_000_000, description="Logged requests of production to repeat")
    ] = 500
    max_flip_share: Annotated[Probability, Field(description="Share of their decisions that may change")] = (
        0.05
    )
    max_psi: Annotated[float, Field(ge=0, le=10, description="Shift of their scores, as PSI")] = 0.25
    max_latency_ratio: Annotated[
        float, Field(gt=0, le=1_000, description="Its time for one of them over production's")
    ] = 3


Privacy = Literal["keep", "drop", "hash", "bucket"]


class MonitoringConfig(Section):
    """What is remembered of the answers."""

    prediction_log: Annotated[
        str | None, Field(min_length=1, description="Folder of the prediction log; null: no log")
    ] = None
    flush_seconds: Annotated[
        float, Field(gt=0, le=60, description="What a killed process may lose of the log; seconds")
    ] = 0.5
    privacy: dict[str, Privacy] = Field(
        default_factory=dict,
        description="Column → how it is kept; hash needs …_HASH_KEY, bucket keeps a digit, or the year",
    )
    outcome_days: Annotated[
        int,
        Field(
            ge=1,
            le=3_650,
            description="An outcome reported by a record's id counts for predictions so long before; days",
        ),
    ] = 90

    @property
    def hidden(self) -> tuple[str, ...]:
        """Name the columns that the log does not hold as they were asked."""
        return tuple(sorted(name for name, way in self.privacy.items() if way != "keep"))

    @model_validator(mode="after")
    def _fits_the_record(self, info: ValidationInfo) -> Self:
        contract: Contract | None = info.context
        if contract is None:  # the section alone, of no project
            return self
        kinds = {contract.id: "id", **{column.name: column.kind for column in contract.columns}}
        for name, privacy in self.privacy.items():
            if name not in kinds:
                msg = f"privacy names {name}, which is no column; there are {', '.join(kinds)}"
                raise ValueError(msg)
            if privacy == "bucket" and kinds[name] not in {"integer", "number", "date"}:
                msg = f"privacy: {name} is no number or date, so it cannot be bucketed; hash or drop it"
                raise ValueError(msg)
        return self


class RetrainConfig(Section):
    """When `retrain` trains again, and what it does with the version."""

    window_days: Annotated[
        float, Field(gt=0, le=366, description="Each of the two windows that must both show drift; days")
    ] = 7
    max_age_days: Annotated[
        float, Field(gt=0, le=36_500, description="Age at which a version is trained again anyway; days")
    ] = 180
    min_new_outcomes: Annotated[
        int, Field(ge=1, le=10**9, description="Records whose outcome came after it was trained, at least")
    ] = 200
    cool_down_days: Annotated[
        float, Field(gt=0, le=366, description="After a retraining, before the next; days")
    ] = 7
    promote: Annotated[
        Literal["staging", "production"], Field(description="Where the version goes; production by the gate")
    ] = "staging"
