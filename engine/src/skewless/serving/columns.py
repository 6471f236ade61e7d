"""Rows as columns in a request and in an answer: one list per field.

Both forms of a batch hold the same rows, by the same contract.
"""

from collections.abc import Mapping, Sequence
from dataclasses import fields, is_dataclass
from functools import partial
from operator import attrgetter
from types import GenericAlias
from typing import Any, Final, Self, cast, get_args, get_type_hints

from pydantic import (
    BaseModel,
    ConfigDict,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    SerializationInfo,
    model_validator,
)
from pydantic.fields import FieldInfo
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import PydanticCustomError, core_schema

from skewless.core.record_columns import BatchReader

EXAMPLE_ROWS: Final = 2
ONE_OF_FIELDS: Final = ("one_of_fields", "Exactly one of {names} is required")


class OneField(BaseModel):
    """A body that holds exactly one of its fields: different forms of the same."""

    model_config = ConfigDict(
        json_schema_extra=lambda schema: schema.update(
            oneOf=[{"required": [name]} for name in schema["properties"]]
        )
    )

    @model_validator(mode="after")
    def _holds_one(self) -> Self:
        if len(self.model_fields_set) != 1:
            names = ", ".join(type(self).model_fields)
            rule, text = ONE_OF_FIELDS
            raise PydanticCustomError(rule, text, {"names": names})
        return self


class FromRecords:
    """Mark of a field that is sent as records; see `FROM_RECORDS`."""

    def __get_pydantic_core_schema__(
        self, source: Any, handler: GetCoreSchemaHandler
    ) -> core_schema.CoreSchema:
        """Read records, and describe them."""
        (record,) = get_args(source)
        return core_schema.no_info_plain_validator_function(
            BatchReader(record).read_records,
            json_schema_input_schema=_listed(record, handler),
        )


class FromColumns:
    """Mark of a field that is sent as columns; see `FROM_COLUMNS`."""

    def __get_pydantic_core_schema__(
        self, source: Any, handler: GetCoreSchemaHandler
    ) -> core_schema.CoreSchema:
        """Read columns, and describe rows: the description follows from theirs."""
        (record,) = get_args(source)
        return core_schema.no_info_plain_validator_function(
            BatchReader(record).read_columns,
            json_schema_input_schema=_listed(record, handler),
        )

    def __get_pydantic_json_schema__(
        self, schema: core_schema.CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        """Describe columns."""
        return _columns_schema(handler(schema), handler)


def _listed(record: Any, handler: GetCoreSchemaHandler) -> core_schema.CoreSchema:
    return core_schema.list_schema(handler(record), min_length=1)


class ToColumns:
    """Mark of a field that is answered as columns; see `TO_COLUMNS`."""

    def __get_pydantic_core_schema__(
        self, source: Any, handler: GetCoreSchemaHandler
    ) -> core_schema.CoreSchema:
        """Write rows as they are declared, and describe rows as well."""
        rows = handler(source)
        (row,) = get_args(source)
        writing = core_schema.wrap_serializer_function_ser_schema(
            _write_rows, info_arg=True, schema=rows
        )
        if _is_written_by_field(row):
            lists = {n: GenericAlias(list, (kind,)) for n, kind in _kinds(row).items()}
            columns = {
                name: core_schema.typed_dict_field(handler.generate_schema(cells))
                for name, cells in lists.items()
            }
            writing["function"] = partial(_write_fields, names=list(columns))
            writing["return_schema"] = core_schema.typed_dict_schema(columns)
        return cast("core_schema.CoreSchema", {**rows, "serialization": writing})

    def __get_pydantic_json_schema__(
        self, schema: core_schema.CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        """Describe columns."""
        rows = {name: each for name, each in schema.items() if name != "serialization"}
        described = handler(cast("core_schema.CoreSchema", rows))
        return _columns_schema(described, handler)


FROM_RECORDS: Final = FromRecords()
"""Stands last in the annotation of a `Sequence` of records that is sent as a list.

The field takes what ``list[Record]`` takes if it has at least one, in a third of the
time: a record is built when one is asked for.
"""

FROM_COLUMNS: Final = FromColumns()
"""Stands last in the annotation of a `Sequence` of records that is sent as columns.

The field holds an object of lists, one per field of the record: ``{"size": [3, 4]}``.
It is checked by the record's contract, and its value is a sequence of records for
`ServedModel.predict_batch`; a record is built when one is asked for.
"""

TO_COLUMNS: Final = ToColumns()
"""Stands last in the annotation of a `list` of answers that is sent as columns.

Whatever is declared for a row holds: names, kinds, serializers, fields left out.
"""


def _is_written_by_field(row: Any) -> bool:
    """Tell whether a row is written field by field, each by its kind alone.

    That is known of a plain dataclass.
    """
    if not is_dataclass(row) or hasattr(row, "__pydantic_fields__"):
        return False
    declared = fields(row)
    marks = [mark for kind in _kinds(row).values() for mark in get_args(kind)[1:]]
    own = [mark for mark in marks if isinstance(mark, FieldInfo)]
    return (
        not any(isinstance(field.default, FieldInfo) for field in declared)
        and all(field.init for field in declared)
        and all(_is_merely_described(mark) for mark in own)
    )


def _is_merely_described(field: FieldInfo) -> bool:
    has_other_name = field.alias is not None or field.serialization_alias is not None
    return not has_other_name and field.exclude is None and field.exclude_if is None


def _kinds(row: Any) -> dict[str, Any]:
    hints = get_type_hints(row, include_extras=True)
    return {field.name: hints[field.name] for field in fields(row)}


def _write_fields(
    rows: Sequence[Any],
    write: core_schema.SerializerFunctionWrapHandler,
    info: SerializationInfo,
    *,
    names: Sequence[str],
) -> dict[str, list[Any]]:
    if info.include or info.exclude or info.exclude_defaults or info.exclude_unset:
        return _write_rows(rows, write, info)
    return {name: list(map(attrgetter(name), rows)) for name in names}


def _write_rows(
    rows: Sequence[Any],
    write: core_schema.SerializerFunctionWrapHandler,
    _info: SerializationInfo,
) -> dict[str, list[Any]]:
    """Write each row; what some do not have is missing there."""
    written: Sequence[Mapping[str, Any]] = write(rows)
    names = dict.fromkeys(name for row in written for name in row)
    return {name: [row.get(name) for row in written] for name in names}


def _columns_schema(
    rows: JsonSchemaValue, handler: GetJsonSchemaHandler
) -> JsonSchemaValue:
    """Turn the description of a list of rows into one of columns."""
    row = handler.resolve_ref_schema(rows["items"])
    columns = {
        name: {"type": "array", "minItems": 1, "items": cell}
        for name, cell in row.get("properties", {}).items()
    }
    schema: JsonSchemaValue = {
        "type": "object",
        "title": f"{row.get('title', 'Row')} columns",
        "description": "One list per field, with a value per row.",
        "properties": columns,
    }
    for kept in ("required", "additionalProperties"):
        if kept in row:
            schema[kept] = row[kept]
    if row.get("examples"):
        schema["examples"] = [
            {name: [cell] * EXAMPLE_ROWS for name, cell in row["examples"][0].items()}
        ]
    return schema
