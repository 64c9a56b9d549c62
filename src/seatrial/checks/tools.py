"""tools/* and secrets/files: programs that a finished image has no use for, and files that give access."""

from __future__ import annotations

from typing import TYPE_CHECKING

from seatrial.checks.files import base_name, contents_of, heaps, kept, looked_at, named, refuse_partial, without
from seatrial.checks.model import Check, Level, Outcome, UndecidedError, failed, passed
from seatrial.facts import ContentKind

if TYPE_CHECKING:
    from seatrial.facts import Facts, FoundPath
    from seatrial.settings.model import Contract

ONLY_THIS = "a file that an earlier layer holds and a later one deletes is not seen here"


def build(facts: Facts, contract: Contract) -> Outcome:
    """Judge compilers, build tools and headers; what the contract says the code calls may be there."""
    contents = contents_of(facts)
    found = _undeclared(kept(contents, ContentKind.BUILD_TOOL), contract)
    headers = [one for one in found if one.files]
    tools = [one for one in found if not one.files]
    expected = "no compiler, make, git or header files"
    if found:
        told = [*(one.path for one in tools), *(heaps([one]) for one in headers)]
        return failed(
            "; ".join(told[:5]) + (f"; and {len(told) - 5} more" if len(told) > 5 else ""),  # noqa: PLR2004
            expected=expected,
            fix=(
                "Build in a stage of its own and COPY only what came of it. A tool that the code calls goes into "
                "the contract's `executables`."
            ),
            evidence=tuple(told),
        )
    refuse_partial(contents)
    return passed(looked_at(contents), expected=expected)


def remote_access(facts: Facts, contract: Contract) -> Outcome:
    """Judge programs that let somebody in, or that make one account another."""
    contents = contents_of(facts)
    found = _undeclared(kept(contents, ContentKind.REMOTE_ACCESS), contract)
    expected = "no sudo, and no server to log in at"
    if found:
        return failed(
            named(found, contents.counts.get(ContentKind.REMOTE_ACCESS, 0)),
            expected=expected,
            fix="Do not install it: `docker exec` leads into a container, and USER says who the process is.",
            evidence=tuple(one.path for one in found),
        )
    refuse_partial(contents)
    return passed(looked_at(contents), expected=expected)


def _undeclared(rows: list[FoundPath], contract: Contract) -> list[FoundPath]:
    declared = {base_name(name) for name in contract.executables}
    return [one for one in rows if base_name(one.path) not in declared]


def secret_files(facts: Facts, contract: Contract) -> Outcome:
    """Judge files that give access to something; nothing of what they hold is shown or kept."""
    contents = contents_of(facts)
    every = without(kept(contents, ContentKind.SECRET), contract.declared_secrets)
    found = [one for one in every if not one.unread]
    expected = "no private key and no file with credentials"
    if found:
        return failed(
            named(found),
            expected=expected,
            fix=(
                "Give it to the build with `RUN --mount=type=secret`, or to the container when it starts, and change "
                "the key or password, as the layer keeps it. If it is none, name its path in `declared-secrets`."
            ),
            evidence=tuple(str(one) for one in found),
        )
    if every:
        raise UndecidedError(f"{every[0]} could not be read", *(str(one) for one in every[1:]))
    refuse_partial(contents)
    return passed(f"{looked_at(contents)}; {ONLY_THIS}", expected=expected)


CHECKS = (
    Check(
        id="tools/build",
        title="Holds no build tools",
        why="A compiler in the image serves whoever breaks in, and makes it hundreds of megabytes larger.",
        source="Docker's build best practices, multi-stage builds; hynek.me; CIS Docker Benchmark 4.3",
        example="RUN apt-get install -y build-essential git && pip install -r requirements.txt",
        mend="COPY --from=builder /opt/venv /opt/venv",
        level=Level.QUICK,
        function=build,
    ),
    Check(
        id="tools/remote-access",
        title="Holds nothing to log in with",
        why="A second way into the container is one that the engine neither sees nor ends.",
        source="CIS Docker Benchmark 5.7 (no sshd); Docker's build best practices, USER (no sudo)",
        example="RUN apt-get install -y sudo openssh-server",
        mend="USER 10001:10001",
        level=Level.QUICK,
        function=remote_access,
    ),
    Check(
        id="secrets/files",
        title="Holds no key and no credentials",
        why="Whoever can pull the image can read its files.",
        source="CIS Docker Benchmark 4.10",
        example="COPY .netrc /root/.netrc\nRUN pip install -r requirements.txt",
        mend="RUN --mount=type=secret,id=netrc,target=/root/.netrc pip install -r requirements.txt",
        level=Level.QUICK,
        function=secret_files,
    ),
)
