"""Look for something in every column of every table that there is, the durable engine's included."""

from __future__ import annotations

from collections.abc import Iterable

import sqlalchemy as sa
from sqlalchemy.engine import Engine


def find_everywhere(engine: Engine, needles: Iterable[str]) -> list[str]:
    """Where one of these texts stands, in any case: ``table.column: needle``."""
    wanted = [needle.lower() for needle in needles]
    found = set()
    inspector = sa.inspect(engine)
    schemas = ["public", "dbos"] if engine.dialect.name == "postgresql" else [None]
    with engine.connect() as connection:
        for schema in schemas:
            for name in inspector.get_table_names(schema=schema):
                table = sa.Table(name, sa.MetaData(), schema=schema, autoload_with=connection)
                as_text = [sa.cast(column, sa.Text).label(column.name) for column in table.columns]
                for row in connection.execute(sa.select(*as_text)).mappings():
                    for column, value in row.items():
                        said = str(value).lower()
                        found |= {f"{name}.{column}: {needle}" for needle in wanted if needle in said}
    return sorted(found)
