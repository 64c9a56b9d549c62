"""process/pid1-is-app and runtime/*: what runs in the container, and what else it can run."""

from __future__ import annotations

import posixpath
import re
import shlex
from typing import TYPE_CHECKING

from seatrial.checks.model import (
    Check,
    Level,
    Outcome,
    UndecidedError,
    deciding_boot,
    failed,
    passed,
    probe_of,
    skipped,
)
from seatrial.facts import ProcessList, ProcInfo, Unavailable

if TYPE_CHECKING:
    from seatrial.facts import Boot, Facts, Heartbeat
    from seatrial.settings.model import Contract


STAYING = {"sh", "bash", "dash", "ash", "zsh", "ksh", "busybox", "su", "sudo", "runuser", "make", "xargs", "script"}
"""Programs that start another one and stay in front of it."""
INITS = {"tini", "dumb-init", "catatonit", "docker-init", "s6-svscan"}
"""Programs that are made to be PID 1: they hand signals on and reap what has ended."""
GUNICORN = re.compile(r"(^|[/\s])gunicorn(\s|:|$)")
MEMORY_BACKED = {"tmpfs", "ramfs"}
SHARED_MEMORY = "/dev/shm"  # noqa: S108 - what every container has in memory


def pid1_is_app(facts: Facts, _: Contract) -> Outcome:
    """Look at PID 1 of the running container: the engine's list first, which an image cannot hide from."""
    boot = _up(facts)
    line = first_process(boot)
    words = line.split()
    name = posixpath.basename(words[0]).removeprefix("-")
    expected = "PID 1 is the application itself, or an init that the command names, such as tini"
    evidence = (
        tuple(f"runs: {one}" for one in boot.process_list.commands[:10])
        if isinstance(boot.process_list, ProcessList)
        else ()
    )
    if name in STAYING:
        return failed(
            f"PID 1 is `{line}`: it started the application and stays in front of it",
            expected=expected,
            fix='Use the exec form, and end an entrypoint script with `exec "$@"`; or start it under tini.',
            evidence=evidence,
        )
    if name in INITS:
        return passed(f"PID 1 is the init `{line}`", expected=expected, evidence=evidence)
    return passed(f"PID 1 is `{line}`", expected=expected)


def first_process(boot: Boot) -> str:
    """Return PID 1's command line.

    Raises:
        UndecidedError: neither the engine nor the image's interpreter could tell.

    """
    if isinstance(boot.process_list, ProcessList) and boot.process_list.first.strip():
        return boot.process_list.first
    if isinstance(boot.proc, ProcInfo) and any(boot.proc.command):
        return " ".join(boot.proc.command)
    missing = [one for one in (boot.process_list, boot.proc) if isinstance(one, Unavailable)]
    raise UndecidedError(
        missing[0].reason if missing else "nobody says what PID 1 is", *(one.detail for one in missing)
    )


def worker_heartbeat(facts: Facts, contract: Contract) -> Outcome:
    """Find gunicorn's heartbeat files, and the file system that they are on wherever the image runs."""
    boot = _up(facts)
    commands = boot.process_list.commands if isinstance(boot.process_list, ProcessList) else (first_process(boot),)
    line = next((one for one in commands if GUNICORN.search(one)), "")
    if not line:
        return skipped("gunicorn does not run in it")
    expected = "gunicorn's heartbeat files in memory, such as in /dev/shm, and not on the overlay file system"
    chosen = _chosen(facts, contract, line)
    files = boot.proc.heartbeats if isinstance(boot.proc, ProcInfo) else ()
    if not files and not chosen:
        reason = boot.proc.reason if isinstance(boot.proc, Unavailable) else "no heartbeat file of gunicorn was seen"
        raise UndecidedError(reason, f"gunicorn's command: {line}")
    folders = {posixpath.dirname(one.path) for one in files} or {chosen}
    kinds = {one.filesystem for one in files}
    bad = sorted(folder for folder in folders if not _in_memory(folder, chosen, files, contract))
    if bad:
        kind = "/".join(sorted(kinds)) or "not known"
        return failed(
            f"gunicorn's workers write their heartbeat to {', '.join(bad)}, which is on the overlay file system "
            f"wherever nothing is mounted there (here: {kind})",
            expected=expected,
            fix="Add `--worker-tmp-dir /dev/shm` to gunicorn's command.",
            evidence=(f"gunicorn's command: {line}", *(f"open: {one.path} on {one.filesystem}" for one in files)),
        )
    return passed(f"gunicorn's workers write their heartbeat to {', '.join(sorted(folders))}", expected=expected)


def _in_memory(folder: str, chosen: str, files: tuple[Heartbeat, ...], contract: Contract) -> bool:
    """Tell whether a folder is in memory wherever the image runs; gunicorn's default, /tmp, is only where mounted."""
    if folder == SHARED_MEMORY or folder.startswith(f"{SHARED_MEMORY}/"):
        return True
    seen = {one.filesystem for one in files if posixpath.dirname(one.path) == folder}
    mounted = any(folder == top or folder.startswith(f"{top.rstrip('/')}/") for top in contract.tmpfs)
    return folder == chosen and (seen <= MEMORY_BACKED if seen else mounted)


def _chosen(facts: Facts, contract: Contract, line: str) -> str:
    """Return the folder that gunicorn was told to use; empty where it was told none."""
    more = {**facts.configuration.environment, **contract.environment}.get("GUNICORN_CMD_ARGS", "")
    try:
        words = [*shlex.split(more), *line.split(), *facts.configuration.words]
    except ValueError:
        words = line.split()
    for at, word in enumerate(words):
        option, equals, value = word.partition("=")
        if option == "--worker-tmp-dir":
            return value if equals else next(iter(words[at + 1 :]), "")
    return ""


def command_override(facts: Facts, _: Contract) -> Outcome:
    """Judge whether the image runs another command when it is given one.

    The catalogue says quick; it costs a container of its own beside a start that wants the processors, so it is deep.
    """
    expected = "runs another command than its own when given one"
    if not facts.configuration.entrypoint:
        python = probe_of(facts).interpreter.executable
        return passed(f"it has no ENTRYPOINT, and ran {python}", expected=expected)
    if facts.override is None:
        probe_of(facts)
        return skipped("its ENTRYPOINT is the application itself: CMD holds no program, but arguments or nothing")
    if isinstance(facts.override, Unavailable):
        raise UndecidedError(facts.override.reason, facts.override.detail)
    entrypoint = " ".join(facts.configuration.entrypoint)
    if facts.override.ran:
        return passed(f"`{entrypoint}` ran the command behind it", expected=expected)
    return failed(
        f"`{entrypoint}` did not run the command behind it: {facts.override.happened}",
        expected=expected,
        fix='Let the entrypoint end with the command that it is given: `exec "$@"` in a shell script.',
        evidence=tuple(f"it said: {line}" for line in facts.override.output.splitlines()[-10:]),
    )


def _up(facts: Facts) -> Boot:
    boot = deciding_boot(facts)
    if not boot.came_up:
        raise UndecidedError("it does not come up: boot/healthy or boot/stays-up tells why")
    return boot


CHECKS = (
    Check(
        id="process/pid1-is-app",
        title="Runs the application as PID 1",
        why="The stop signal goes to PID 1; a shell there keeps it to itself, and the application is killed instead.",
        source="Docker's build best practices, ENTRYPOINT: `exec` in a script",
        example="#!/bin/sh\nalembic upgrade head\nuvicorn shop:app",
        mend="#!/bin/sh\nalembic upgrade head\nexec uvicorn shop:app",
        level=Level.STANDARD,
        function=pid1_is_app,
    ),
    Check(
        id="runtime/worker-heartbeat",
        title="Keeps gunicorn's heartbeat in memory",
        why="A slow disk under the heartbeat file makes gunicorn kill workers that are well.",
        source="pythonspeed.com, Configuring Gunicorn for Docker; gunicorn's FAQ on worker_tmp_dir",
        example='CMD ["gunicorn", "shop:app"]',
        mend='CMD ["gunicorn", "--worker-tmp-dir", "/dev/shm", "shop:app"]',
        level=Level.STANDARD,
        function=worker_heartbeat,
    ),
    Check(
        id="runtime/command-override",
        title="Runs another command when given one",
        why="Migrations, a shell and a look around all run as another command of the same image.",
        source="docker-library, official images' tests: override-cmd",
        example='ENTRYPOINT ["/start.sh"]    # which ends with: exec uvicorn shop:app',
        mend='ENTRYPOINT ["/start.sh"]    # which ends with: exec "$@"\nCMD ["uvicorn", "shop:app"]',
        level=Level.DEEP,
        function=command_override,
    ),
)
