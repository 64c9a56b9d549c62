# /// script
# dependencies = ["nox[uv]>=2025.10.14", "seatrial"]
# ///
"""This project's own checks: `nox` runs lint, types, the tests and, with an engine, the engine tests."""

from __future__ import annotations

import os
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

# pyenv's shims answer only for the versions that are chosen: choose all that are there.
PYENV = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
if PYENV.is_dir():
    os.environ.setdefault("PYENV_VERSION", ":".join(sorted((one.name for one in PYENV.iterdir()), reverse=True)))

MANY = [f"tests/defects/test_{name}.py" for name in ("defects", "any_image", "contents", "odd_contents", "hostile")]
"""A test an image, each by itself: run in any order, several at once."""

sessions.image_smoke(HERE)


def sync(session: nox.Session, *options: str) -> None:
    """Install the project in the current folder as its lock says."""
    place = session.virtualenv.location
    session.run_install(
        "uv", "sync", "--locked", *options, env={"UV_PROJECT_ENVIRONMENT": place, "UV_PYTHON": place}, external=True
    )


def install(session: nox.Session, group: str) -> None:
    """Install this project with one of its dependency groups."""
    sync(session, "--extra=nox", "--no-default-groups", f"--group={group}")


@nox.session
def lint(session: nox.Session) -> None:
    """Check style, common faults, and that imports go one way."""
    install(session, "lint")
    session.run("ruff", "check")
    session.run("ruff", "format", "--check")
    session.run("lint-imports")


@nox.session
def types(session: nox.Session) -> None:
    """Check types, strictly."""
    install(session, "dev")
    session.run("mypy")


@nox.session(python=PYTHONS)
def tests(session: nox.Session) -> None:
    """Run the tests that need no engine, on each Python version that the host has."""
    install(session, "test")
    session.run("pytest", "--numprocesses=auto", "tests/unit", *session.posargs)


@nox.session
def engine_tests(session: nox.Session) -> None:
    """Run the tests that need a Docker engine: builds, smokes, broken images, stacks."""
    sessions.skip_without_engine(session)
    install(session, "test")
    # 5: what was asked for is not among these.
    codes = [0, 5] if session.posargs else [0]
    session.run("pytest", "--numprocesses=auto", *MANY, *session.posargs, success_codes=codes)
    rest = [f"--ignore={file}" for file in MANY]
    # Tests of one file may stand in each other's way, those of two files do not.
    files = ("--numprocesses=auto", "--dist=loadfile")
    session.run("pytest", *files, *rest, "tests/engine", "tests/defects", *session.posargs, success_codes=codes)


@nox.session(default=False)
def swarm(session: nox.Session) -> None:
    """Deploy to a real swarm of three engines on this machine; wants root, an engine's programs and iproute2."""
    sessions.skip_without_engine(session)
    install(session, "test")
    session.run("pytest", "tests/swarm", *session.posargs)


@nox.session(python="3.13", tags=["examples"])
def course_supporter(session: nox.Session) -> None:
    """Run the Course Supporter's own tests, on what its lock says."""
    session.chdir(HERE / "examples" / "course-supporter")
    sync(session)
    session.run("pytest", *session.posargs)


@nox.session(python="3.12", tags=["examples"])
def weather_agent(session: nox.Session) -> None:
    """Run the weather agent's own tests, on the exact versions of its image."""
    session.chdir(HERE / "examples" / "weather-agent")
    session.install("--requirement", "requirements.txt", ".[dev]")
    session.run("pytest", *session.posargs)


@nox.session
def wheel(session: nox.Session) -> None:
    """Build the wheel, and use it outside of the checkout in a new environment."""
    folder = Path(session.create_tmp()).resolve()
    session.run_install("uv", "build", "--quiet", "--wheel", f"--out-dir={folder}", external=True)
    built = max(folder.glob("*.whl"), key=lambda file: file.stat().st_mtime)
    session.install("--force-reinstall", str(built))
    session.chdir(folder)
    session.run("seatrial", "--version")
    session.run("seatrial", "--list")
    session.run(
        "python",
        "-c",
        "from seatrial.images.standins import table; assert all(row.recipe.is_file() for row in table(None).rows)",
    )
    session.run("seatrial", "explain", "boot/healthy")
    session.run(
        "python",
        "-c",
        "from seatrial.reports import schema, write; write.render([], 'html'); "
        "assert len(list(schema.SCHEMAS.glob('*.schema.json'))) == 2",
    )


@nox.session(default=False)
def bench(session: nox.Session) -> None:
    """Measure smokes beside the application's own start, and level quick beside its peers; wants the built images."""
    sessions.skip_without_engine(session)
    install(session, "bench")
    for name in ("quick", "smoke", "structure"):
        session.run("python", f"benchmarks/{name}.py", env={"PYTHONPATH": str(HERE)})


@nox.session(default=False)
def detection(session: nox.Session) -> None:
    """Print what is found of the catalogue's defects, by seatrial and by its peers; words choose defects."""
    sessions.skip_without_engine(session)
    install(session, "bench")
    session.run("python", "benchmarks/detection.py", *session.posargs, env={"PYTHONPATH": str(HERE)})


@nox.session(default=False)
def docs(session: nox.Session) -> None:
    """Make the reference pages anew from the code."""
    install(session, "test")
    session.run("python", "docs/reference.py")


@nox.session(default=False)
def picture(session: nox.Session) -> None:
    """Make the README's picture anew from a real smoke; wants the built image."""
    sessions.skip_without_engine(session)
    install(session, "test")
    session.run("python", "docs/picture.py")


if __name__ == "__main__":
    nox.main()
