"""The kinds of database, and marks for tests that run on one, where the other would show nothing more."""

from __future__ import annotations

from typing import Final

import pytest

_POSTGRESQL: Final = pytest.param("postgresql", marks=pytest.mark.postgres)
# The parameters of a fixture whose tests run on each kind.
BOTH: Final = ("sqlite", _POSTGRESQL)

on_sqlite = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
on_postgresql = pytest.mark.parametrize("database_url", [_POSTGRESQL], indirect=True)
