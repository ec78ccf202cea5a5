"""``python -m sandbox``: try the product on this machine, without an account anywhere."""

from __future__ import annotations

import argparse
import os
import signal
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from sandbox.processes import NotStartedError
from sandbox.running import everything

if TYPE_CHECKING:
    from sandbox.running import Running

DEFAULT_PORT = 5050
ANALYSIS_TAKES = 2.0
"""Seconds; the real one takes 2 to 5, and a demo in which it took none would show no step between."""


def main(arguments: list[str] | None = None) -> int:
    """Run until Ctrl-C; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m sandbox", description=__doc__)
    parser.add_argument("--port", type=int, default=DEFAULT_PORT, help="of the inbox (default: %(default)s)")
    parser.add_argument(
        "--second-study", action="store_true", help="with another study at Koji, which the card offers too"
    )
    chosen = parser.parse_args(arguments)
    # Said explicitly, because a shell that starts us in the background lets SIGINT be ignored.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.default_int_handler)
    print("Starting the stand-ins, the web and the worker …", flush=True)
    try:
        with everything(
            port=chosen.port,
            database_url=os.environ.get("DATABASE_URL"),
            analysis_takes=ANALYSIS_TAKES,
            second_study=chosen.second_study,
        ) as running:
            _tell(running)
            code = _watch(running)
    except KeyboardInterrupt:
        return 0
    except NotStartedError as error:
        print(f"The application did not start: {error}", file=sys.stderr)
        return 1
    return code


def _watch(running: Running) -> int:
    """Wait for Ctrl-C, or for a process that ends by itself."""
    try:
        while True:
            for name, process in running.app.processes.items():
                if process.poll() is not None:
                    print(f"\nThe {name} ended by itself.\n{running.app.tail(name)}", file=sys.stderr)
                    return 1
            time.sleep(0.5)
    except KeyboardInterrupt:
        print("\nStopping …", flush=True)
        return 0


def _tell(running: Running) -> None:
    sandbox = running.sandbox
    print(
        f"""
  Inbox (stand-in Intercom)  {sandbox.inbox_url}
  Koji (stand-in)            {sandbox.koji_url}
  The application            {running.app.url}/
  Logs                       {running.app.logs}

  1. Open the inbox: {sandbox.inbox_url}
  2. In the card on the right, tap "Send Koji interview".
  3. A message with a link appears in the conversation. Open the link.
  4. Answer the four questions and send them.
  5. Back in the inbox: a yellow note, attributes and tags appear within seconds; tap "Refresh" in the card.

  Below the conversation you play the others: close it, rate it, write as the customer. Beside it you tag,
  merge and delete the contact, and run a Series step or a data connector. The application's commands work in
  another terminal, here, once its settings are loaded:

    . {running.settings_file}
    {_python()} -m canvas_app doctor

  Ctrl-C stops everything and removes its data.
""",
        flush=True,
    )


def _python() -> str:
    """How this interpreter, which has what the application needs, is called from here."""
    python = Path(sys.executable)
    return str(python.relative_to(Path.cwd()) if python.is_relative_to(Path.cwd()) else python)


if __name__ == "__main__":
    sys.exit(main())
