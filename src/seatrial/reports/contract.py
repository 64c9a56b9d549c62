"""A drafted contract as TOML for a person to edit: what holds as keys, what is uncertain as comments."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from seatrial.checks.model import Result, Status
from seatrial.facts import Facts, ResolvedCommand, Unavailable
from seatrial.facts.boot import Restriction
from seatrial.settings.model import Contract
from seatrial.smoke.draft import wanted_variables, working_boot
from seatrial.text import plain_line, show_size, toml_value

LONGEST = 300
"""Characters of a comment that quotes an image."""
WIDTH = 100
"""Characters of a list that stay on one line."""

HEAD = """\
# The contract of {image}, drafted from what was seen of it. Read it, change it, keep it beside the Dockerfile.
#   seatrial smoke --image {image} --contract FILE
# For an app of a project, the same keys go into its settings: [apps.NAME.contract] of seatrial.toml.
# docs/settings.md explains each key; `seatrial smoke` runs all checks, also those not named here.
"""


def contract_text(facts: Facts, contract: Contract, results: Iterable[Result]) -> str:
    """Return the file; of the results by that contract, what does not hold becomes a commented waiver."""
    parts = (_who(contract), _holds(facts, contract), _runs(facts, contract), _waivers(facts, results))
    head = HEAD.format(image=_comment(facts.configuration.reference))
    return "\n".join((head, *("\n".join(part) + "\n" for part in parts)))


def _who(contract: Contract) -> Iterator[str]:
    yield "# Who it runs as."
    yield from _line("user", contract.user)
    yield from _line("uid", contract.uid)
    yield from _line("gid", contract.gid)


def _holds(facts: Facts, contract: Contract) -> Iterator[str]:
    yield "# What it holds."
    start = facts.command
    yield from _line("python", contract.python)
    if contract.interpreter is not None:
        yield from _line("interpreter", contract.interpreter)
    elif isinstance(start, ResolvedCommand) and start.python:
        yield f"# interpreter: {_comment(start.python)}, as {_comment(start.python_why)}"
    if isinstance(facts.probe, Unavailable):
        yield f"# Modules and packages are unknown: {_comment(facts.probe.reason)}"
    yield from _line("modules", contract.modules)
    yield from _line("dependencies", contract.dependencies)
    yield "# Add the programs that the code itself calls, such as ffmpeg."
    yield from _line("executables", contract.executables)
    yield f"# {show_size(facts.configuration.unpacked)} when this was written."
    yield from _line("max-unpacked", contract.max_unpacked)


def _runs(facts: Facts, contract: Contract) -> Iterator[str]:
    yield "# How it runs."
    yield from _environment(facts, contract)
    if more := [path for path in contract.tmpfs if path not in Contract().tmpfs]:
        yield f"# It writes below {_comment(', '.join(more))}: a tmpfs here, a volume where the data must last."
    yield from _line("tmpfs", contract.tmpfs)
    boot = working_boot(facts)
    if boot is None:
        yield "# It did not start, so times and capabilities are unknown."
        yield "# healthy-within = 30"
        yield "# stops-within = 10"
        return
    if Restriction.CAPABILITIES in boot.lifted:
        yield "# It started only with the capabilities that a plain `docker run` gives: name the ones that it needs."
        yield '# capabilities = ["NET_BIND_SERVICE"]'
    else:
        yield "# It started with all capabilities dropped."
        yield "capabilities = []"
    if boot.healthy_after is not None:
        yield f"# Seconds; it was healthy after {boot.healthy_after:.1f}."
        yield from _line("healthy-within", contract.healthy_within)
    if boot.stop is not None:
        ended = "was killed" if boot.stop.killed else "exited"
        yield f"# Seconds; it {ended} {boot.stop.seconds:.1f} after its signal."
        yield from _line("stops-within", contract.stops_within)


def _environment(facts: Facts, contract: Contract) -> Iterator[str]:
    if contract.environment:
        yield "# Values for a trial start; never real secrets."
        yield f"environment = {toml_value(contract.environment)}"
    elif working_boot(facts) is not None:
        yield "# It started without any variable of yours. What it needs to work goes here, with made-up values."
        yield '# environment = { NAME = "value" }'
    if working_boot(facts) is None:
        names = wanted_variables(facts) or ("NAME",)
        yield "# It did not start. Its last lines name these; set what it needs, with made-up values."
        yield f"# environment = {toml_value(dict.fromkeys(names, '...'))}"


def _waivers(facts: Facts, results: Iterable[Result]) -> Iterator[str]:
    # Where the application never started, undecided checks say only that.
    wanted = {Status.FAIL} if working_boot(facts) is None else {Status.FAIL, Status.ERROR}
    bad = [result for result in results if result.status in wanted]
    if not bad:
        yield "# Every check holds, as far as this was tried: nothing has to be waived."
        return
    if working_boot(facts) is None:
        yield "# It did not start: fix that first, then draft this file again."
    yield "# What does not hold today. Fix the image, or waive what is intended: replace the dots with your reason."
    for result in bad:
        yield f"# {result.id} ({result.severity.value}): {_comment(result.actual)}"
        if result.fix:
            yield f"#   {_comment(result.fix)}"
        yield f'# waive."{result.id}" = "..."'


def _line(key: str, value: object) -> Iterator[str]:
    if value is None or value == ():
        return
    if isinstance(value, tuple):
        words = [toml_value(word) for word in value]
        flat = ", ".join(words)
        yield f"{key} = [{flat}]" if len(flat) <= WIDTH else f"{key} = [\n    " + ",\n    ".join(words) + ",\n]"
    else:
        yield f"{key} = {toml_value(value)}"


def _comment(text: str) -> str:
    """Return outside text as part of one comment line."""
    line = plain_line(text)
    return line if len(line) <= LONGEST else f"{line[:LONGEST]}…"
