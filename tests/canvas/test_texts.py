from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from canvas_app.canvas import texts


class TestMoment:
    @pytest.mark.parametrize(
        ("at", "zone", "shown"),
        [
            (datetime(2026, 11, 22, 12, 5, tzinfo=UTC), "Europe/Berlin", "Nov 22, 2026 at 1:05 PM CET"),
            (datetime(2026, 7, 1, 12, 5, tzinfo=UTC), "Europe/Berlin", "Jul 1, 2026 at 2:05 PM CEST"),
            (datetime(2026, 1, 1, 0, 0, tzinfo=UTC), "America/New_York", "Dec 31, 2025 at 7:00 PM EST"),
            (datetime(2026, 1, 1, 0, 0, tzinfo=UTC), "UTC", "Jan 1, 2026 at 12:00 AM UTC"),
            (datetime(2026, 1, 1, 12, 0, tzinfo=UTC), "UTC", "Jan 1, 2026 at 12:00 PM UTC"),
            (datetime(2026, 3, 9, 8, 30, tzinfo=UTC), "Asia/Dubai", "Mar 9, 2026 at 12:30 PM UTC+04"),
        ],
    )
    def test_is_called_as_in_the_zone(self, at: datetime, zone: str, shown: str) -> None:
        assert texts.moment(at, ZoneInfo(zone)) == shown

    def test_needs_an_aware_moment(self) -> None:
        with pytest.raises(ValueError, match="without a time zone"):
            texts.moment(datetime(2026, 1, 1), ZoneInfo("UTC"))  # noqa: DTZ001 - it is what must be refused.
