"""What every table of Orbit has: time-ordered keys, timestamps, and columns that compare byte by byte.

It lives in registry because registry is the one package that all others may import.
"""

from collections.abc import Sequence
from functools import cache
from typing import Any
from uuid import UUID

import uuid_utils.compat
from django.db import DEFAULT_DB_ALIAS, connection, connections, models
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models.constants import OnConflict
from django.db.models.lookups import IContains


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

    def insert(self, *, or_ignore: bool = False) -> None:
        """Store this new row in a third of the time that `save` takes, which writes its SQL anew for every row and
        looks around for what is none of a new row's business. No signals are sent. `or_ignore`: one that is there
        already, by any unique constraint, stays."""
        database: Any = connections[DEFAULT_DB_ALIAS]  # the name `connection` looks for the thread's at every mention
        values = [_prepared(field, field.pre_save(self, True), database) for field in _columns(type(self))]
        with database.cursor() as cursor:
            cursor.execute(_insertion(type(self), database.vendor, or_ignore), values)
        self._state.adding, self._state.db = False, database.alias


def _columns(model: type[models.Model]) -> Sequence[Any]:
    return model._meta.local_concrete_fields


def _prepared(field: Any, value: Any, database: Any) -> Any:
    """Nothing, and a text for a column of texts, go as they are: most of a row's values, and asking the field what it
    makes of them takes longer than sending them."""
    if value is None or (type(value) is str and isinstance(field, models.CharField | models.TextField)):
        return value
    return field.get_db_prep_save(value, database)


@cache
def _insertion(model: type[models.Model], vendor: str, or_ignore: bool) -> str:
    write = connection.ops
    verb = write.insert_statement(on_conflict=OnConflict.IGNORE if or_ignore else None)
    table, *columns = map(write.quote_name, [model._meta.db_table, *(field.column for field in _columns(model))])
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
