"""A knob declares the range that is searched, inside of what config.yaml may say."""

from typing import Annotated, Literal

import pytest
from pydantic import Field

from churn_service.config import Config
from skewless import ModelSection, Search
from skewless.core.errors import ConfigError
from skewless.core.search import Knob, searched_knobs
from skewless.core.sections import choices

Share = Annotated[float, Field(gt=0, le=1), Search(0.01, 0.5, log=True)]


class Section(ModelSection):
    estimator: Literal["some"]
    share: Share = 0.1
    other_share: Annotated[Share, Search(0.5, 1)] = 0.1
    trees: Annotated[int, Field(ge=1), Search(1, 50)] = 3
    left_alone: Annotated[int, Field(ge=1)] = 3


class Wrong(ModelSection):
    share: Annotated[float, Field(gt=0, le=1), Search(0, 3)] = 0.1
    trees: Annotated[int, Field(ge=1), Search(1.5, 50)] = 3


def test_the_knobs_that_declare_a_range_are_found_and_the_last_one_counts():
    assert searched_knobs(Section) == {
        "share": Knob(Search(0.01, 0.5, log=True), is_whole=False),
        "other_share": Knob(Search(0.5, 1), is_whole=False),
        "trees": Knob(Search(1, 50), is_whole=True),
    }


def test_every_range_beyond_what_config_yaml_may_say_is_named_with_what_may():
    with pytest.raises(ConfigError) as raised:
        searched_knobs(Wrong)

    said = str(raised.value).splitlines()
    assert [line.partition(" declares ")[0] for line in said] == [
        "config.py: Wrong.share",
        "config.py: Wrong.share",
        "config.py: Wrong.trees",
    ]
    assert said[0].endswith("0 is not allowed: Input should be greater than 0")
    assert said[1].endswith("3 is not allowed: Input should be less than or equal to 1")
    assert said[2].endswith("1.5 is not allowed: Input should be a valid integer")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ({"low": 2, "high": 2}, "low must be below high"),
        ({"low": 0, "high": 2, "log": True}, "low must be above 0 where log is set"),
    ],
)
def test_a_range_without_room_is_refused(words: dict[str, float], said: str):
    class Wrong(ModelSection):
        trees: Annotated[int, Search(**words)] = 3

    with pytest.raises(ConfigError, match=f"Wrong.trees declares .*, and {said}"):
        searched_knobs(Wrong)


@pytest.mark.parametrize("name", choices(Config, "model"))
def test_every_estimator_of_the_template_declares_ranges_that_hold_its_defaults(
    name: str,
):
    section = choices(Config, "model")[name]

    found = searched_knobs(section)

    assert found
    for key, knob in found.items():
        default = section.model_fields[key].default
        assert knob.search.low <= default <= knob.search.high
