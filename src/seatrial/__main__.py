"""The program `seatrial`, also as `python -m seatrial`."""

import signal


def main() -> None:
    """Run the command line. Ctrl-C ends it without a traceback also while its modules are loaded, and as it leaves."""
    # Where the parent ignores it, as for a program in the background of a script, it stays ignored.
    heeded = signal.getsignal(signal.SIGINT) is signal.default_int_handler
    if heeded:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    from seatrial.cli.collection import main as commands

    try:
        commands()
    finally:
        # Nothing is left to be removed.
        for end in (*([signal.SIGINT] if heeded else []), signal.SIGTERM, signal.SIGHUP):
            signal.signal(end, signal.SIG_DFL)


if __name__ == "__main__":
    main()
