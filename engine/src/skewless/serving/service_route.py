"""The application's route class: `JsonRoute`, with bounds on the body.

It refuses what would cost too much to validate.
"""

from collections.abc import Iterator, Mapping, Sequence
from itertools import chain, islice
from types import UnionType
from typing import Annotated, Any, Final, NamedTuple, Union, get_args, get_origin

from fastapi import HTTPException, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.params import Body, Form
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from skewless.core.errors import BatchTooLargeError
from skewless.serving.json_request import JsonRequest, is_json
from skewless.serving.json_route import Handler, JsonRoute
from skewless.serving.problems import MOST_FAULTS, UNKNOWN
from skewless.serving.state import service_state

FIELDS: Final = 100  # unknown ones that a body may have besides
# As pydantic has it.
EXTRA: Final = {"type": UNKNOWN, "msg": "Extra inputs are not permitted", "input": None}


class ServiceRoute(JsonRoute):
    """A route whose body is bounded before it is validated, whoever declared it.

    The arguments are those of `APIRoute`.
    """

    def get_route_handler(self) -> Handler:
        """Return what checks the body, and then answers."""
        answer, bounds = super().get_route_handler(), find_bounds(self.body_field)
        if bounds is None:
            return answer

        async def handle(request: Request) -> Response:
            parsing = JsonRequest(request.scope, request.receive)
            await bounds.check(parsing)
            return await answer(parsing)

        return handle


class BodyBounds(NamedTuple):
    """What a route's body may hold."""

    fields: int | None
    """At most so many in the body and in each row; None if it may hold any.

    Unknown fields count too.
    """
    rows: Mapping[str, frozenset[str] | None]
    """Field that lists rows → a row's fields; None if a row may have others."""

    async def check(self, request: JsonRequest) -> None:
        """Refuse a body that is no JSON, or that holds too much.

        Too much is too many fields or rows, or rows of too many fields.

        Raises
        ------
        HTTPException
            415: it is no JSON.
        BatchTooLargeError
            There are more rows than `serving.max_batch_rows`, or the body or a row has
            more than `fields`.
        RequestValidationError
            More fields of listed rows are unknown than an answer names. Nothing else is
            looked for: each fault costs as much as a good field.
        """
        if not request.is_evident and not is_json(
            request.headers.get("content-type", "")
        ):
            raise HTTPException(
                415, "send JSON, and say so: Content-Type: application/json"
            )
        body = await _document(request)
        if not isinstance(body, dict):
            return
        listed = {
            name: body[name] for name in self.rows if isinstance(body.get(name), list)
        }
        limit = service_state(request).serving.max_batch_rows
        if any(len(rows) > limit for rows in listed.values()):
            msg = f"a batch holds at most {limit} rows; send several"
            raise BatchTooLargeError(msg)
        most = self.fields
        if most is not None and any(
            _fields(each) > most for each in chain([body], *listed.values())
        ):
            msg = (
                f"the body and each row in it have at most {most} fields, "
                "unknown ones included"
            )
            raise BatchTooLargeError(msg)
        for name, rows in listed.items():
            self._refuse_unknown(name, rows)

    def _refuse_unknown(self, name: str, rows: Sequence[Any]) -> None:
        known = self.rows[name]
        if known is None:
            return
        unknown = list(islice(_unknown_fields(rows, known), MOST_FAULTS + 1))
        if len(unknown) > MOST_FAULTS:
            raise RequestValidationError(
                [
                    {**EXTRA, "loc": ("body", name, number, field)}
                    for number, field in unknown
                ]
            )


def find_bounds(field: Any) -> BodyBounds | None:
    """Derive the bounds from a route's body; None if the route has no JSON body."""
    body = None if field is None else field.field_info
    if (
        not isinstance(body, Body)
        or isinstance(body, Form)
        or not is_json(body.media_type)
    ):
        return None
    models = _models(body.annotation)
    if len(models) != 1:  # any JSON, or one of several models
        return BodyBounds(None, {})
    (model,) = models
    lists = {name: each for name, each in model.model_fields.items() if _is_list(each)}
    rows = {
        name: several
        for name, each in lists.items()
        if (several := _models(*get_args(each.annotation)))
    }
    known = {name: _known_fields(several) for name, several in rows.items()}
    if _known_fields(models) is None or None in known.values():
        return BodyBounds(None, known)
    everything = [model, *chain.from_iterable(rows.values())]
    return BodyBounds(
        2 * max(len(each.model_fields) for each in everything) + FIELDS, known
    )


def _is_list(field: FieldInfo) -> bool:
    return get_origin(field.annotation) is list


def _models(annotation: Any) -> list[type[BaseModel]]:
    """List the models that a row may be."""
    match get_origin(annotation):
        case origin if origin is Annotated:
            return _models(get_args(annotation)[0])
        case origin if origin in {Union, UnionType}:
            return [model for each in get_args(annotation) for model in _models(each)]
        case _:
            is_model = isinstance(annotation, type) and issubclass(
                annotation, BaseModel
            )
            return [annotation] if is_model else []


def _known_fields(models: Sequence[type[BaseModel]]) -> frozenset[str] | None:
    """Name what a row may hold; None if one of the models takes anything."""
    if any(model.model_config.get("extra") != "forbid" for model in models):
        return None
    fields = [each for model in models for each in model.model_fields.items()]
    return frozenset(field.alias or name for name, field in fields)


async def _document(request: JsonRequest) -> Any:
    """Parse the body; of what cannot be read FastAPI tells, when it reads it again."""
    try:
        return await request.json() if await request.body() else None
    except HTTPException:
        raise
    except Exception:  # noqa: BLE001 - whatever it is, it fails there in the same way
        return None


def _fields(value: Any) -> int:
    return len(value) if isinstance(value, dict) else 0


def _unknown_fields(
    rows: Sequence[Any], known: frozenset[str]
) -> Iterator[tuple[int, str]]:
    for number, row in enumerate(rows):
        if isinstance(row, dict) and not known.issuperset(row):
            yield from ((number, field) for field in row if field not in known)
