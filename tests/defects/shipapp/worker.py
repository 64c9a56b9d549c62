"""Does what a gunicorn worker does with its heartbeat file: opens it, takes its name away, keeps it open."""

import sys
import tempfile
from pathlib import Path

from . import web


def main() -> None:
    folder = sys.argv[sys.argv.index("--worker-tmp-dir") + 1] if "--worker-tmp-dir" in sys.argv else None
    _, name = tempfile.mkstemp(prefix="wgunicorn-", dir=folder)
    Path(name).unlink()
    web.main()
