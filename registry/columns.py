"""What every table of Orbit has: time-ordered keys, timestamps, and columns that compare byte by byte.

It lives in registry because registry is the one package that all others may import.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Self
from uuid import UUID

import uuid_utils.compat
from django.db import DEFAULT_DB_ALIAS, connection, connections, models
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models.constants import OnConflict
from django.db.models.lookups import IContains
from django.utils import timezone


def new_id() -> Any:
    """A UUIDv7 (`uuid.UUID`). Random UUIDs scatter inserts over the whole index: 4 x slower at 100,000 rows."""
    return uuid_utils.compat.uuid7()


class Record(models.Model):
    """A row with a UUIDv7 key and the spec's timestamps."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        abstract = True

    @classmethod
    def id_by(cls, sql: str, params: Sequence[Any]) -> UUID | None:
        """The id that this SQL finds: Django takes longer to write the query than the database to answer it."""
        with connection.cursor() as cursor:
            cursor.execute(sql, params)
            row = cursor.fetchone()
        return row and UUID(str(row[0]))

    @classmethod
    def insert(cls, *, or_ignore: bool = False, **values: Any) -> Any:
        """Store a new row of these values, named as attributes are (`contact_id`), and else of the defaults. Its id.

        `save` takes a multiple of the time: it writes its SQL anew for every row, asks every field what it makes of its
        default, and looks around for what is none of a new row's business. No signals are sent. `or_ignore`: one that
        is there already, by any unique constraint, stays.
        """
        database: Any = connections[DEFAULT_DB_ALIAS]  # the name `connection` looks for the thread's at every mention
        table = _table(cls, database.vendor)
        row = dict(table.defaults)
        row["created_at"] = row["updated_at"] = table.moment.get_db_prep_save(timezone.now(), database)
        values.setdefault("id", new_id())
        for name, value in values.items():
            # A text goes as it is, and so does nothing: asking the field what it makes of it takes longer than sending.
            as_it_is = value is None or (type(value) is str and name in table.texts)
            row[name] = value if as_it_is else table.fields[name].get_db_prep_save(value, database)
        with database.cursor() as cursor:
            cursor.execute(table.insert_or_ignore if or_ignore else table.insert, list(row.values()))
        return values["id"]

    def as_stored(self) -> Self:
        """This object as the one of a row that `insert` stored. Its timestamps are read when they are asked for."""
        self._state.adding, self._state.db = False, DEFAULT_DB_ALIAS
        del self.created_at, self.updated_at
        return self


@dataclass(frozen=True, slots=True)
class _Table:
    """What an INSERT needs to know of a model, once for all rows. By attribute name, in the order of the columns."""

    fields: Mapping[str, Any]
    texts: frozenset[str]
    defaults: Mapping[str, Any]  # as the database takes them
    moment: models.DateTimeField
    insert: str
    insert_or_ignore: str


@cache
def _table(model: type[Record], vendor: str) -> _Table:
    fields = {field.attname: field for field in model._meta.local_concrete_fields}
    texts = (models.CharField, models.TextField)
    return _Table(
        fields=fields,
        texts=frozenset(name for name, field in fields.items() if isinstance(field, texts)),
        defaults={name: field.get_db_prep_save(field.get_default(), connection) for name, field in fields.items()},
        moment=model._meta.get_field("created_at"),
        insert=_insertion(model, None),
        insert_or_ignore=_insertion(model, OnConflict.IGNORE),
    )


def _insertion(model: type[models.Model], on_conflict: OnConflict | None) -> str:
    write, meta = connection.ops, model._meta
    verb = write.insert_statement(on_conflict=on_conflict)
    table, *columns = map(write.quote_name, [meta.db_table, *(field.column for field in meta.local_concrete_fields)])
    return f"{verb} {table} ({', '.join(columns)}) VALUES ({', '.join(['%s'] * len(columns))})"


class _CollatedCharField(models.CharField):
    """A CharField whose MySQL/MariaDB collation is fixed; SQLite compares byte by byte already."""

    mysql_collation = ""

    def db_parameters(self, connection: BaseDatabaseWrapper) -> Any:
        parameters = super().db_parameters(connection)
        if connection.vendor == "mysql":
            parameters["collation"] = self.mysql_collation
        return parameters


@_CollatedCharField.register_lookup
class Search(IContains):
    """`icontains` as on any other column. MySQL and MariaDB would go by these columns' collations: mind the case, and
    refuse to look for `é` in an ASCII column at all."""

    def process_lhs(self, compiler: Any, connection: BaseDatabaseWrapper, lhs: Any = None) -> Any:
        sql, params = super().process_lhs(compiler, connection, lhs)
        return (f"CONVERT({sql} USING utf8mb4)", params) if connection.vendor == "mysql" else (sql, params)


class AsciiCharField(_CollatedCharField):
    """Canonical domains and codes: one byte a character, and case counts.

    The default collation merges `é.com` with `e.com`; domains are stored as A-labels, so ASCII is enough.
    """

    mysql_collation = "ascii_bin"


class ExactCharField(_CollatedCharField):
    """E-mail addresses and foreign ids: any character, but `josé@x.com` is not `jose@x.com`."""

    mysql_collation = "utf8mb4_bin"
