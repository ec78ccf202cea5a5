"""Columns by which no index is searched, where SQLite would take the wrong one.

It keeps no figures about its tables. Where a query is about one contact or one interview, and names something
else that has an index, it may take that of the whole workspace, or of all that are in a state, instead of
theirs: the longer the history, the slower. PostgreSQL knows its tables, and is told nothing.

https://www.sqlite.org/optoverview.html#disqualifying_where_clause_terms_using_unary_
"""

from __future__ import annotations

from typing import Any, TypeVar

import sqlalchemy as sa
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement

T = TypeVar("T")


class _Unindexed(FunctionElement[Any]):
    name = "unindexed"
    inherit_cache = True


@compiles(_Unindexed)
def _as_it_is(element: _Unindexed, compiler: SQLCompiler, **options: Any) -> str:
    return compiler.process(element.clauses, **options)


@compiles(_Unindexed, "sqlite")
def _with_a_plus(element: _Unindexed, compiler: SQLCompiler, **options: Any) -> str:
    return f"+{compiler.process(element.clauses, **options)}"


def unindexed(column: sa.ColumnElement[T]) -> sa.ColumnElement[T]:
    """The column's own value."""
    return sa.type_coerce(_Unindexed(column), column.type)
