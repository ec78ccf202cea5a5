from __future__ import annotations

from canvas_app.cli import main

main()
