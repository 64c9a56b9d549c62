"""Start the weather agent: load `.env`, check the configuration, poll Telegram until told to stop.

`weather_agent` is found in the usual ways, and this file adds none: on a developer's machine the
package is installed in editable mode (`pip install -e '.[dev]'`), in the image `PYTHONPATH` names
`/app/src`. So `python -m weather_agent.liveness` and a plain `import weather_agent` work wherever
`python main.py` works, which a `sys.path` line in here would not give them.
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from dotenv import load_dotenv

from weather_agent.settings import ConfigurationError, Settings

if TYPE_CHECKING:
    from types import FrameType

CONFIGURATION_EXIT = 2


def main() -> int:
    """Run the bot; return the exit code: 0 after a stop signal, 2 for a wrong configuration."""
    # As PID 1 of a container this process ignores signals that it has no handler for, so a stop
    # during the imports below would be lost. The event loop installs its own handlers later.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _stop_at_once)
    # The real environment wins over the file. Beside an image there is no file.
    load_dotenv(Path.cwd() / ".env")
    try:
        settings = Settings.from_environment(os.environ)
        # Imported only now: a wrong configuration is reported at once, without loading Telegram.
        from weather_agent.runner import run  # noqa: PLC0415

        return run(settings)
    except ConfigurationError as error:
        print(f"weather-agent: {error}", file=sys.stderr)
        return CONFIGURATION_EXIT


def _stop_at_once(_number: int, _frame: FrameType | None) -> NoReturn:
    raise SystemExit(0)


if __name__ == "__main__":
    code = main()
    sys.stdout.flush()
    sys.stderr.flush()
    # Not sys.exit: the interpreter would first wait for every worker thread, and a thread inside
    # a name lookup that nobody answers cannot be interrupted. A stop must not take that long.
    os._exit(code)
