"""`python -m course_supporter.entrypoint PROGRAM [ARGUMENT ...]`: check the configuration, become PROGRAM.

Under `uvicorn --workers N`, only the workers import the application. Each of them would report the same
mistake, and the parent would still end with status 0. So the check comes first, in one process. A program
other than uvicorn is started unchecked: an operator can look around in a container that cannot start.
"""

import os
import shutil
import sys
from pathlib import PurePath

USAGE = 64
CONFIGURATION = 78
NOT_FOUND = 127  # what a shell says


def main(argv: list[str]) -> int:
    """Does not return when PROGRAM starts."""
    if not argv:
        return _fail(USAGE, "no program was given")
    if PurePath(argv[0]).name == "uvicorn" and (problem := _configuration_problem()):
        return _fail(CONFIGURATION, problem)
    program = shutil.which(argv[0])
    if program is None:
        return _fail(NOT_FOUND, f"there is no program {argv[0]!r} on PATH")
    # In place of this process, so that signals reach PROGRAM and its exit status is the container's.
    return os.execv(program, argv)  # noqa: S606 - the container's own command


def _configuration_problem() -> str | None:
    # Imported here: another program than uvicorn starts without waiting for it.
    from course_supporter.config import load_config  # noqa: PLC0415
    from course_supporter.errors import ConfigurationError  # noqa: PLC0415
    from course_supporter.prompts import load_outline_prompt  # noqa: PLC0415
    from course_supporter.settings import load_settings  # noqa: PLC0415

    try:
        settings = load_settings()
        config = load_config(settings.home)
        load_outline_prompt(settings.home, config.outline.prompt_version)
    except ConfigurationError as error:
        return str(error)
    return None


def _fail(status: int, message: str) -> int:
    sys.stderr.write(f"course-supporter: {message}\n")
    return status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
