"""Why a build failed: which step, which cause, what to do next."""

from __future__ import annotations

import base64
import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from seatrial.dockerfile import parse
from seatrial.errors import BuildError, BuildFailedError, EngineError
from seatrial.images.failure import BuildEnvironment, explain, failing_step
from seatrial.images.progress import Progress

if TYPE_CHECKING:
    from seatrial.errors import SeatrialError

DOCKERFILE = "FROM a:1\nCOPY a /a\nRUN <<EOF\nset -e\nmake it\nEOF\nRUN --network=none true\n"
ENVIRONMENT = BuildEnvironment(
    dockerfile="docker/Dockerfile", engine="Docker 1", data_folder=lambda: "/var/lib/docker", answers=lambda: True,
    syntax_left_out=None,
)  # fmt: skip
FULL = "write /x: No space left on device"
FAILED = "did not complete successfully: exit code: 1"


def vertex(name: str, error: str = "") -> dict[str, Any]:
    return {"digest": name, "name": name, "started": "2026-01-01T00:00:00Z", "error": error}


def progressed(*vertices: dict[str, Any], said: str = "", log: str = "") -> Progress:
    progress = Progress(parse(DOCKERFILE))
    report: dict[str, Any] = {"vertexes": vertices}
    if log:
        report["logs"] = [{"vertex": vertices[-1]["digest"], "data": base64.b64encode(log.encode()).decode()}]
    for line in (json.dumps(report), *said.splitlines()):
        progress.feed(f"{line}\n")
    return progress


def explained(
    *vertices: dict[str, Any], said: str = "", log: str = "", environment: BuildEnvironment = ENVIRONMENT
) -> SeatrialError:
    return explain(progressed(*vertices, said=said, log=log), environment)


def test_the_dockerfiles_own_step_goes_before_buildkits_work() -> None:
    progress = progressed(vertex("[internal] load build context", "gone"), vertex("[4/4] RUN true", "broken"))
    step = failing_step(progress)
    assert step is not None
    assert step.name == "[4/4] RUN true"
    assert failing_step(progressed(vertex("[4/4] RUN true"))) is None
    alone = failing_step(progressed(vertex("[internal] load build context", "gone")))
    assert alone is not None
    assert alone.error == "gone"


@pytest.mark.parametrize(
    ("name", "error", "helped"),
    [
        (
            "[2/4] COPY a /a",
            'failed to compute cache key: failed to calculate checksum of ref x::y: "/a": not found',
            True,
        ),
        ("[2/4] COPY a /a", "something else", False),
        ("[4/4] RUN true", "/bin/x: not found", False),
    ],
)
def test_what_a_copy_does_not_find_is_looked_for_in_the_context(name: str, error: str, helped: bool) -> None:
    failed = explained(vertex(name, error))
    assert isinstance(failed, BuildFailedError)
    assert ("in the build context" in failed.fix) is helped
    assert "cache key" not in failed.what
    assert "checksum" not in failed.what


def test_a_certificate_that_the_build_does_not_trust_names_the_secret() -> None:
    failed = explained(vertex("[4/4] RUN true", FAILED), log="x\nurllib3: CERTIFICATE_VERIFY_FAILED\ny\n")
    assert "ca-bundle" in failed.fix
    assert failed.detail.splitlines() == ["x", "urllib3: CERTIFICATE_VERIFY_FAILED", "y"]
    assert explained(vertex("[4/4] RUN true", FAILED), log="x\n").fix == ""


def test_only_the_last_lines_of_a_step_are_shown() -> None:
    failed = explained(vertex("[4/4] RUN true", FAILED), log="".join(f"{number}\n" for number in range(50)))
    assert failed.detail.splitlines() == [str(number) for number in range(30, 50)]


def test_a_step_whose_program_found_no_space_is_no_failure_of_the_step() -> None:
    failed = explained(vertex("[4/4] RUN true", FAILED), log=f"{FULL}\n")
    assert type(failed) is BuildError
    assert failed.what == "this step found no space left: RUN --network=none true."
    assert failed.where == "docker/Dockerfile:7"
    assert failed.fix.endswith("The engine keeps its data in /var/lib/docker.")
    unknown = replace(ENVIRONMENT, data_folder=lambda: "")
    assert explained(vertex("[4/4] RUN true", FAILED), log=FULL, environment=unknown).fix.endswith("in its data root.")
    elsewhere = explained(
        vertex("[4/4] RUN true", FAILED), log=FULL, environment=replace(ENVIRONMENT, builder="'far' (remote)")
    )
    assert elsewhere.fix.endswith("unused images.")


def test_a_full_disk_without_a_known_folder_names_the_engine() -> None:
    error = explained(said=f"ERROR: {FULL}", environment=replace(ENVIRONMENT, data_folder=lambda: ""))
    assert error.where == "Docker 1"


def test_a_command_that_quotes_the_words_is_no_full_disk() -> None:
    failed = explained(vertex("[4/4] RUN true", f'process "echo {FULL}" {FAILED}'))
    assert isinstance(failed, BuildFailedError)


def test_a_syntax_that_was_replaced_may_be_the_cause() -> None:
    environment = replace(ENVIRONMENT, syntax_left_out="docker/dockerfile:1-labs")
    assert explained(said="ERROR: unknown flag", environment=ENVIRONMENT).fix == ""
    assert "the engine's own Dockerfile syntax" in explained(said="ERROR: unknown flag", environment=environment).fix
    elsewhere = replace(environment, builder="'far' (remote)")
    assert "the builder's own Dockerfile syntax" in explained(said="ERROR: unknown flag", environment=elsewhere).fix


def test_a_builder_that_answers_and_says_something_else_is_not_lost() -> None:
    environment = replace(ENVIRONMENT, builder="'far' (remote)")
    assert explained(said="ERROR: unknown flag", environment=environment).what == "unknown flag."
    assert isinstance(explained(said="ERROR: context deadline exceeded", environment=environment), EngineError)
    # In the middle of a message it is another's deadline.
    assert (
        explained(said="ERROR: context deadline exceeded by far", environment=environment).where == "docker/Dockerfile"
    )


def test_the_line_is_the_one_above_a_rule() -> None:
    rule = "-" * 20
    error = explained(said=f"near:7\nDockerfile:9\n{rule}\n   9 | >>> RUNN x\n  10 |\n{rule}\nERROR: no such thing\n")
    assert (error.where, error.detail) == ("docker/Dockerfile:9", "   9 | >>> RUNN x")
    assert explained(said="near:7\nERROR: no such thing\n").where == "docker/Dockerfile"


def test_a_step_is_shown_as_the_dockerfile_has_it_but_for_a_heredoc() -> None:
    assert "RUN --network=none true (" in explained(vertex("[4/4] RUN true", FAILED)).what
    heredoc = explained(vertex("[4/4] RUN true"), vertex("[3/4] RUN set -e", FAILED))
    assert heredoc.what == "this step failed: RUN set -e (exit code 1)."


def test_a_long_step_is_cut() -> None:
    name = f"[other 4/4] RUN {'x' * 200}"
    shown = explained(vertex(name, FAILED)).what.removeprefix("this step failed: ").removesuffix(" (exit code 1).")
    assert shown == f"RUN {'x' * 115}…"
    exact = explained(vertex(f"[other 4/4] RUN {'x' * 116}", FAILED)).what
    assert "…" not in exact


def test_a_builder_that_cannot_quote_the_line_is_told_with_what_to_look_for() -> None:
    error = explained(said="ERROR: Internal: stream terminated by RST_STREAM with error code: INTERNAL_ERROR\n")
    assert error.where == "docker/Dockerfile"
    assert "Save the Dockerfile as UTF-8" in error.fix
