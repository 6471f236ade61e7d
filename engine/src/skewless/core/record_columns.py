"""Records as columns: field → its values, one per record.

A batch is this inside, whichever way it was sent; `BatchReader` reads either.
"""

from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from functools import cached_property, partial
from types import GenericAlias
from typing import Annotated, Any, Final, Self, cast, overload

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    TypeAdapter,
    ValidationError,
    create_model,
)
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails, InitErrorDetails, PydanticCustomError

from skewless.core.record import WHOLE

MOST_FAULTS: Final = 100  # that an answer lists; a client has to mend those first
ABOUT_A_ROW: Final = ("json_schema_extra", "title")
"""Keys of a record's configuration that say nothing about its columns."""


class RecordColumns(Sequence[BaseModel]):
    """Validated records as columns; a record is built when somebody asks for one.

    Attributes
    ----------
    record
        Their class.
    lists
        Field → its values, in the order in which the class declares its fields.

    Parameters
    ----------
    record, lists
        The attributes.
    build
        Builds the records.
    """

    def __init__(
        self,
        record: type[BaseModel],
        lists: Mapping[str, list[Any]],
        *,
        build: Callable[[], Sequence[BaseModel]],
    ) -> None:
        self.record = record
        self.lists = lists
        self._build = build

    @classmethod
    def of(cls, records: Sequence[BaseModel]) -> Self:
        """Turn one or more records into columns; columns are returned as they are."""
        if isinstance(records, cls):
            return records
        record = type(records[0])
        rows = [each.__dict__ for each in records]
        lists = {name: [row[name] for row in rows] for name in record.model_fields}
        return cls(record, lists, build=lambda: records)

    def __len__(self) -> int:
        """Count the records."""
        return len(next(iter(self.lists.values())))

    @overload
    def __getitem__(self, place: int) -> BaseModel: ...
    @overload
    def __getitem__(self, place: slice) -> "RecordColumns": ...
    def __getitem__(self, place: int | slice) -> "BaseModel | RecordColumns":
        """Return a record, or some of them as columns."""
        if isinstance(place, int):
            return self._records[place]
        lists = {name: cells[place] for name, cells in self.lists.items()}
        return RecordColumns(self.record, lists, build=lambda: self._records[place])

    def __iter__(self) -> Iterator[BaseModel]:
        """Go through the records."""
        return iter(self._records)

    @cached_property
    def _records(self) -> Sequence[BaseModel]:
        return self._build()


class BatchReader:
    """What was sent as a batch, by the record's contract → `RecordColumns`.

    Each column is validated at once, as a list of what its field may hold; that takes
    a quarter of the time that as many records take. What it cannot do is done by
    records: telling faults, and validators of an owner's own.

    Parameters
    ----------
    record
        The class of a row.
    """

    def __init__(self, record: type[BaseModel]) -> None:
        self._record = record
        self._fields = record.model_fields
        self._names = frozenset(self._fields)
        self._list = TypeAdapter[list[BaseModel]](
            list[record]  # type: ignore[valid-type] # a class by value
        )
        self._forms: list[type[BaseModel]] = []
        self._shape = TypeAdapter[Any](dict[str, list[Any]])
        if _is_checked_by_field(record):
            # WHOLE asks Python about each cell, and few columns need it.
            self._forms = [_lists(record, but=WHOLE), _lists(record, but=None)]
            self._shape = TypeAdapter(_shape(record))

    def read_records(self, sent: Any) -> RecordColumns:
        """Validate a list of at least one record as JSON has them.

        Raises
        ------
        ValidationError
            They break the contract: the same as of ``list[record]``.
        """
        if isinstance(sent, list) and sent and self._forms:
            lists = self._read_lists(self._transposed(sent))
            if lists is not None:
                build = partial(self._list.validate_python, sent)
                return RecordColumns(self._record, lists, build=build)
        records = self._list.validate_python(sent)
        if not records:
            text = "List should have at least 1 item after validation, not 0"
            raise _invalid([_fault("too_short", text, place=(), found=sent)])
        return RecordColumns.of(records)

    def read_columns(self, sent: Any) -> RecordColumns:
        """Validate columns as JSON has them: name → list of values.

        Raises
        ------
        ValidationError
            The rows break the contract. A fault of a cell has the location (name, row),
            one of a whole column (name,); at most `MOST_FAULTS` of cells are told.
        """
        lists = self._read_lists(sent)
        if lists is None:
            return self._read_as_records(sent)
        build = partial(self._build, sent)
        return RecordColumns(self._record, lists, build=build)

    def _build(self, sent: Mapping[str, list[Any]]) -> Sequence[BaseModel]:
        return self._list.validate_python(_rows(sent))

    def _transposed(self, rows: Sequence[Any]) -> dict[str, list[Any]] | None:
        """Turn records with known fields alone into columns; None if there is other."""
        try:
            if not all(map(self._names.issuperset, map(dict.keys, rows))):
                return None
            return {
                name: [row[name] for row in rows]
                if field.is_required()
                else [row.get(name, field.default) for row in rows]
                for name, field in self._fields.items()
            }
        except (TypeError, KeyError):  # a row is no object, or lacks a field
            return None

    def _read_lists(self, sent: Any) -> dict[str, list[Any]] | None:
        """Validate columns quickly; None if that finds a fault."""
        for form in self._forms:
            try:
                found = form.model_validate(sent).__dict__
            except ValidationError:
                continue
            lengths = {len(cells) for cells in found.values() if cells is not None}
            if len(lengths) != 1 or lengths == {0}:
                return None
            (rows,) = lengths
            return {
                name: [self._fields[name].default] * rows if cells is None else cells
                for name, cells in found.items()
            }
        return None

    def _read_as_records(self, sent: Any) -> RecordColumns:
        faults = self._faults_of_columns(sent)
        if any(not fault["loc"] for fault in faults):  # there are no columns to look at
            raise _invalid(faults)
        known = {
            name: cells
            for name, cells in sent.items()
            if isinstance(cells, list) and not (self._forms and name not in self._names)
        }
        lengths = Counter(map(len, known.values()))
        if len(lengths) != 1 or 0 in lengths:
            raise _invalid(faults + _faults_of_lengths(known, lengths))
        try:
            records = self._list.validate_python(_rows(known))
        except ValidationError as error:
            told = {fault["loc"] for fault in faults}
            raise _invalid(faults + _faults_of_cells(error, told)) from None
        if faults:
            raise _invalid(faults)
        return RecordColumns.of(records)

    def _faults_of_columns(self, sent: Any) -> list[InitErrorDetails]:
        try:
            self._shape.validate_python(sent)
        except ValidationError as error:
            return [
                _again(each, each["loc"]) for each in error.errors(include_url=False)
            ]
        return []


def _is_checked_by_field(record: type[BaseModel]) -> bool:
    """Tell whether a row is right as soon as each of its cells is right by itself."""
    own = record.__pydantic_decorators__
    validators = (own.validators, own.field_validators, own.root_validators)
    is_watched = any(validators) or bool(own.model_validators)
    builds_itself = (
        record.model_post_init is not BaseModel.model_post_init
        or record.__init__ is not BaseModel.__init__
    )
    takes_others = record.model_config.get("extra") != "forbid"
    return (
        not (is_watched or builds_itself or takes_others)
        and not record.model_config.get("validate_default")
        and all(map(_is_plain, record.model_fields.values()))
    )


def _is_plain(field: FieldInfo) -> bool:
    has_other_name = field.alias is not None or field.validation_alias is not None
    return not (has_other_name or field.default_factory or field.validate_default)


def _lists(record: type[BaseModel], *, but: Any) -> type[BaseModel]:
    """Make a model of which each field is a list of what the record's field may hold.

    One kind of mark is left out. It tells no more than a list's first fault.
    """
    config = {
        name: value
        for name, value in record.model_config.items()
        if name not in ABOUT_A_ROW
    }
    fields: dict[str, Any] = {}
    for name, field in record.model_fields.items():
        marks = [mark for mark in field.metadata if mark is not but]
        cell = Annotated[(field.annotation, *marks)] if marks else field.annotation
        default = ... if field.is_required() else None
        fields[name] = (GenericAlias(list, (cell,)), Field(default, fail_fast=True))
    return create_model(
        f"{record.__name__}Lists", __config__=cast("ConfigDict", config), **fields
    )


def _shape(record: type[BaseModel]) -> type[BaseModel]:
    """Make a model that knows a record's names, and takes any list for a column."""
    fields: dict[str, Any] = {
        name: (list[Any], ... if field.is_required() else [])
        for name, field in record.model_fields.items()
    }
    config = ConfigDict(strict=True, extra="forbid")
    return create_model(f"{record.__name__}Columns", __config__=config, **fields)


def _rows(lists: Mapping[str, Sequence[Any]]) -> list[dict[str, Any]]:
    cells = zip(*lists.values(), strict=True)
    return [dict(zip(lists, row, strict=True)) for row in cells]


def _faults_of_lengths(
    lists: Mapping[str, Sequence[Any]], lengths: Counter[int]
) -> list[InitErrorDetails]:
    """Name the columns that are not as long as most; or say that there are no rows."""
    if not any(lengths):
        text = "Columns should have at least 1 row"
        return [_fault("too_short", text, place=(), found=lists)]
    [(usual, _)] = lengths.most_common(1)
    return [
        _fault(
            "row_count",
            f"Every column has one value per row: {usual} as in most, not {len(cells)}",
            place=(name,),
            found=cells,
        )
        for name, cells in lists.items()
        if len(cells) != usual
    ]


def _faults_of_cells(
    error: ValidationError, told: Collection[tuple[int | str, ...]]
) -> list[InitErrorDetails]:
    """Tell the first of rows' faults by column, but for columns that were told."""
    faults: list[InitErrorDetails] = []
    for each in error.errors(include_url=False):
        row, *rest = each["loc"]
        if len(faults) == MOST_FAULTS:
            break
        if tuple(rest[:1]) not in told:
            place = (*rest[:1], row, *rest[1:])
            faults.append(_again(each, place))
    return faults


def _again(fault: ErrorDetails, place: tuple[int | str, ...]) -> InitErrorDetails:
    """Tell a fault as it was told, with another place."""
    return _fault(fault["type"], fault["msg"], place=place, found=fault["input"])


def _fault(
    rule: str, text: str, *, place: tuple[int | str, ...], found: Any
) -> InitErrorDetails:
    kind = PydanticCustomError(rule, text)
    return InitErrorDetails(type=kind, loc=place, input=found)


def _invalid(faults: list[InitErrorDetails]) -> ValidationError:
    return ValidationError.from_exception_data("columns", faults)
