# /// script
# dependencies = ["nox[uv]>=2025.10.14", "seatrial"]
# ///
"""This project's own checks.

`nox` runs lint, types, the unit tests and the core of the engine tests; `nox -t full` runs everything.
"""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

import nox

from seatrial import sessions

nox.needs_version = ">=2025.10.14"
# nox[uv], an extra of seatrial, brings uv along.
nox.options.default_venv_backend = "uv"
# A version that the host does not have is skipped, and said so; also where CI is set.
nox.options.error_on_missing_interpreters = False
nox.options.download_python = "never"

HERE = Path(__file__).parent
PYTHONS = nox.project.python_versions(nox.project.load_toml("pyproject.toml"))
NEWEST_ON = "3.13"
"""The Python on which the unit tests run with the newest dependencies; on the others they run with the locked ones."""
OTHER_PYTHONS = [version for version in PYTHONS if version not in {NEWEST_ON, "{}.{}".format(*sys.version_info)}]
"""All but that one and the one that runs nox: `tests` is for that."""

# pyenv's shims answer only for the versions that are chosen: choose all that are there.
PYENV = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
if PYENV.is_dir():
    os.environ.setdefault("PYENV_VERSION", ":".join(sorted((found.name for found in PYENV.iterdir()), reverse=True)))

GITHUB = {
    "github-workflows": "workflows/*.yml",
    "github-issue-forms": "ISSUE_TEMPLATE/[!c]*.yml",
    "github-issue-config": "ISSUE_TEMPLATE/config.yml",
    "dependabot": "dependabot.yml",
}
"""What check-jsonschema knows the files of GitHub's own as."""

FULL = "full"
AT_ONCE = "--numprocesses=auto"
BY_FILE = (AT_ONCE, "--dist=loadfile")
"""For tests of which those of one file may stand in each other's way, and those of two files do not."""
BY_IMAGE = [f"tests/defects/test_{name}.py" for name in ("defects", "any_image", "contents", "odd_contents", "hostile")]
"""A test an image, each by itself: in any order, several at once."""


def sync(session: nox.Session, *options: str) -> None:
    """Install the project in the current folder as its lock says."""
    place = session.virtualenv.location
    session.run_install(
        "uv", "sync", "--locked", *options, env={"UV_PROJECT_ENVIRONMENT": place, "UV_PYTHON": place}, external=True
    )


def install(session: nox.Session, group: str) -> None:
    """Install this project with one of its dependency groups."""
    sync(session, "--extra=nox", "--no-default-groups", f"--group={group}")


@nox.session(tags=[FULL])
def lint(session: nox.Session) -> None:
    """Check style, common faults, that imports go one way, and GitHub's workflows."""
    install(session, "lint")
    session.run("ruff", "check")
    session.run("ruff", "format", "--check")
    session.run("lint-imports")
    session.run("zizmor", "--offline", "--quiet", ".github")
    for schema, files in GITHUB.items():
        session.run("check-jsonschema", f"--builtin-schema=vendor.{schema}", *map(str, Path(".github").glob(files)))


@nox.session(tags=[FULL])
def types(session: nox.Session) -> None:
    """Check types, strictly."""
    install(session, "dev")
    session.run("mypy")
    # What runs inside images runs on older Pythons too; 3.10 is the oldest that mypy knows.
    session.run("mypy", "--python-version=3.10", "src/seatrial/inside")


@nox.session(tags=[FULL])
def tests(session: nox.Session) -> None:
    """Run the tests that are named after `--`, or else the unit tests, on one Python.

    Of any kind: `nox -s tests -- tests/unit/test_small.py`, `nox -s tests -- tests/engine/test_stack.py::test_name`.
    """
    install(session, "test")
    named = [word for word in session.posargs if word.startswith("tests")]
    session.run("pytest", *session.posargs, *([] if named else [AT_ONCE, "tests/unit"]))


@nox.session(python=OTHER_PYTHONS, default=False, tags=[FULL])
def unit(session: nox.Session) -> None:
    """Run the unit tests, which need no engine, on each other Python version that the host has."""
    install(session, "test")
    session.run("pytest", AT_ONCE, "tests/unit", *session.posargs)


@nox.session(default=False, tags=[FULL])
def lowest(session: nox.Session) -> None:
    """Run the unit tests with the lowest versions that pyproject.toml allows."""
    resolved(session, "lowest-direct")


@nox.session(python=NEWEST_ON, default=False, tags=[FULL])
def newest(session: nox.Session) -> None:
    """Run the unit tests with the newest versions that there are, whatever the lock says."""
    resolved(session, "highest")


def resolved(session: nox.Session, resolution: str) -> None:
    """Run the unit tests without the lock."""
    session.install(f"--resolution={resolution}", "--group=test", "--editable=.[hadolint,nox,structure]")
    session.run("pytest", AT_ONCE, "tests/unit", *session.posargs)


@nox.session
def engine_core(session: nox.Session) -> None:
    """Run the core of the engine tests: both systems built, smoked, up and down; a broken image of each family."""
    engine_tests(session, *BY_FILE, "-m", "core", "tests/engine", "tests/defects")


@nox.session(default=False, tags=[FULL])
def engine(session: nox.Session) -> None:
    """Run all tests that need a Docker engine but those of broken images: builds, smokes, stacks."""
    engine_tests(session, *BY_FILE, "tests/engine")


@nox.session(default=False, tags=[FULL])
def defects(session: nox.Session) -> None:
    """Smoke all broken images and projects, and their clean twins."""
    engine_tests(session, AT_ONCE, *BY_IMAGE)
    engine_tests(session, *BY_FILE, *(f"--ignore={file}" for file in BY_IMAGE), "tests/defects", installed=True)


@nox.session(default=False, tags=[FULL])
def adopt(session: nox.Session) -> None:
    """Adopt small projects of each shape without a hand edit: init, build, smoke."""
    engine_tests(session, AT_ONCE, "tests/adopt")


@nox.session(default=False, tags=[FULL])
def swarm(session: nox.Session) -> None:
    """Deploy to a real swarm of three engines on this machine; wants root, an engine's programs and iproute2."""
    engine_tests(session, "tests/swarm")


def engine_tests(session: nox.Session, *options: str, installed: bool = False) -> None:
    """Run tests that need an engine, or say loudly that there is none."""
    sessions.skip_without_engine(session)
    if not installed:
        install(session, "test")
    # 5: what was asked for, such as by -k, is not among these.
    session.run(
        "pytest", "--durations=12", *options, *session.posargs, success_codes=[0, 5] if session.posargs else [0]
    )


sessions.image_smoke(HERE, tags=[FULL])
sessions.image_scan(HERE)


@nox.session(python="3.13", default=False, tags=["examples", FULL])
def course_supporter(session: nox.Session) -> None:
    """Run the Course Supporter's own tests, on what its lock says."""
    session.chdir(HERE / "examples" / "course-supporter")
    sync(session)
    session.run("pytest", *session.posargs)


@nox.session(python="3.12", default=False, tags=["examples", FULL])
def weather_agent(session: nox.Session) -> None:
    """Run the weather agent's own tests, on the exact versions of its image."""
    session.chdir(HERE / "examples" / "weather-agent")
    session.install("--requirement", "requirements.txt", ".[dev]")
    session.run("pytest", *session.posargs)


@nox.session(default=False, tags=[FULL])
def wheel(session: nox.Session) -> None:
    """Build what is released, check its metadata, and use the wheel outside of the checkout."""
    sync(session, "--only-group=release")
    folder = Path(session.create_tmp()).resolve()
    shutil.rmtree(folder, ignore_errors=True)
    session.run("python", "-m", "build", "--installer=uv", f"--outdir={folder}")
    made = sorted(str(file) for file in folder.iterdir())
    session.run("twine", "check", "--strict", *made)
    session.run("check-wheel-contents", *(file for file in made if file.endswith(".whl")))
    session.install(*(file for file in made if file.endswith(".whl")), "pytest")
    shutil.copy(HERE / "tests" / "release" / "test_release.py", folder)
    session.chdir(folder)
    session.run("pytest", f"--config-file={os.devnull}", "--rootdir=.", "test_release.py")


@nox.session(default=False, tags=[FULL])
def hook(session: nox.Session) -> None:
    """Run the pre-commit hook in a repository of another project; it installs itself from the package index."""
    install(session, "dev")
    session.run("pytest", "tests/release/test_hook.py")


@nox.session(default=False, tags=[FULL])
def docs(session: nox.Session) -> None:
    """Check that the reference pages are what the code says, and build the site, strictly, into site/."""
    install(session, "docs")
    session.run("pytest", "--quiet", "tests/unit/test_docs.py")
    session.run("python", "docs/assemble.py")
    session.run("zensical", "build", "--clean", "--strict")


@nox.session(default=False)
def reference(session: nox.Session) -> None:
    """Make the reference pages and the JSON Schemas anew from the code."""
    install(session, "test")
    session.run("python", "docs/reference.py")


@nox.session(default=False)
def end_of_life(session: nox.Session) -> None:
    """Renew the table of how long Linux releases get fixes, from Debian's archive; wants a Debian host."""
    install(session, "test")
    session.run("python", "docs/end_of_life.py")


@nox.session(default=False)
def bench(session: nox.Session) -> None:
    """Measure smokes beside the application's own start, and level quick beside its peers; wants the built images."""
    sessions.skip_without_engine(session)
    install(session, "bench")
    for name in ("quick", "smoke", "structure", "layers"):
        session.run("python", f"benchmarks/{name}.py", env={"PYTHONPATH": str(HERE)})


@nox.session(default=False)
def detection(session: nox.Session) -> None:
    """Print what is found of the catalogue's defects, by seatrial and by its peers; words choose defects."""
    sessions.skip_without_engine(session)
    install(session, "bench")
    session.run("python", "benchmarks/detection.py", *session.posargs, env={"PYTHONPATH": str(HERE)})


@nox.session(default=False)
def hostile(session: nox.Session) -> None:
    """Print what hostile images and projects cost and leave, and how soon a signal ends each; words choose them."""
    sessions.skip_without_engine(session)
    install(session, "test")
    for name in ("hostile", "ending"):
        session.run("python", f"benchmarks/{name}.py", *session.posargs, env={"PYTHONPATH": str(HERE)})


@nox.session(default=False)
def mutation(session: nox.Session) -> None:
    """Change single places of the code, and print which changes no unit test notices; `-- --help` tells more."""
    install(session, "test")
    session.run("python", "benchmarks/mutation.py", *session.posargs)


@nox.session(default=False)
def picture(session: nox.Session) -> None:
    """Make the README's pictures anew from real smokes; wants the built image of the Course Supporter."""
    sessions.skip_without_engine(session)
    install(session, "test")
    session.run("python", "docs/picture.py")


if __name__ == "__main__":
    nox.main()
