"""Projects that mean harm, each with a command on it: what they try to run, to read or to use up of the host."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from tests.defects.commands import Ended, run

from seatrial import process

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from seatrial.engine.find import Engine

IMAGE = f"seatrial-test/hostile-{os.getpid()}"
"""Of this process: another one tries others of them at the same time, and removes its own at its end."""
SECRET = "s3ntinel-of-the-host"
SETTINGS = f"""\
[tool.seatrial.apps.ship]
image = "{IMAGE}"
compose = "compose.yaml"

[tool.seatrial.apps.ship.contract]
modules = ["shipapp.web:app"]
"""
DOCKERFILE = 'FROM scratch\nCOPY . /app\nCMD ["/app"]\n'
COMPOSE = f"services:\n  web:\n    image: {IMAGE}\n"
SMOKE = ("seatrial", "smoke", "--stack", "--app", "ship")
UP = ("seatrial", "up", "--app", "ship")
BUILD = ("seatrial", "build", "--app", "ship")
UNTRUSTED = "--untrusted"


@dataclass(frozen=True, kw_only=True)
class Project:
    """A project's files, a command on it, and what the command says.

    `{outside}` is a folder of the host's, beside the project. A file `-> x` is a link to x; `|` is a pipe.
    """

    name: str
    files: Mapping[str, str]
    words: tuple[str, ...]
    says: tuple[str, ...]
    code: int = 2
    within: float = 60
    environment: Mapping[str, str] = field(default_factory=dict)
    also: Callable[[Path, Path], object] | None = None
    """What else is made, of the project's folder and the folder outside."""


def service(*lines: str, top: str = "") -> dict[str, str]:
    """Return a compose file whose only service has some more lines."""
    return {"compose.yaml": COMPOSE + "".join(f"    {line}\n" for line in lines) + top}


def bomb(levels: int, width: int = 9) -> str:
    rows = ["x-0: &x0 [" + ", ".join(["lol"] * width) + "]"]
    rows += [f"x-{n}: &x{n} [" + ", ".join([f"*x{n - 1}"] * width) + "]" for n in range(1, levels)]
    return "\n".join(rows) + "\n"


BY_HAND = (
    Project(
        name="a service that is root on the host",
        files=service("privileged: true", "pid: host", "ipc: host"),
        words=(*SMOKE, UNTRUSTED),
        says=("compose.yaml:4", "privileged", "compose.yaml:5", "pid", "compose.yaml:6", "ipc"),
    ),
    Project(
        name="a service that is root on the host in a trusted project",
        files=service("privileged: true"),
        words=SMOKE,
        says=("compose.yaml:4", "privileged", "--trust host"),
    ),
    Project(
        name="the whole host, to be read",
        files=service("volumes: ['/:/host:ro']"),
        words=(*SMOKE, UNTRUSTED),
        says=("compose.yaml:4", "/"),
    ),
    Project(
        name="the engine's socket, to be read",
        files=service("volumes: ['/var/run/docker.sock:/run/docker.sock:ro']"),
        words=SMOKE,
        says=("compose.yaml:4", "docker.sock"),
    ),
    Project(
        name="capabilities and devices",
        files=service("cap_add: [SYS_ADMIN]", "devices: ['/dev/kmsg:/dev/kmsg']"),
        words=(*UP, UNTRUSTED),
        says=("compose.yaml:4", "SYS_ADMIN", "compose.yaml:5", "/dev/kmsg"),
    ),
    Project(
        name="a secret from elsewhere",
        files=service("secrets: [it]", top="secrets:\n  it:\n    file: {outside}/secret\n"),
        words=(*SMOKE, UNTRUSTED),
        says=("compose.yaml", "secret"),
    ),
    Project(
        name="an env file from elsewhere",
        files=service("env_file: ['{outside}/secret']"),
        words=(*UP, UNTRUSTED),
        says=("compose.yaml:4", "secret"),
    ),
    Project(
        name="another compose file from elsewhere",
        files=service(top="include: ['{outside}/other.yaml']\n"),
        words=(*UP, UNTRUSTED),
        says=("compose.yaml:4", "other.yaml"),
    ),
    Project(
        name="a variable of the host's",
        files=service("environment: ['TOKEN=${AWS_SECRET_ACCESS_KEY}']"),
        words=(*UP, UNTRUSTED),
        says=("compose.yaml:4", "AWS_SECRET_ACCESS_KEY"),
        environment={"AWS_SECRET_ACCESS_KEY": SECRET},
    ),
    Project(
        name="a program of the host's as a provider",
        files=service("provider: {type: harm}"),
        words=(*UP, UNTRUSTED),
        says=("compose.yaml:4", "provider"),
    ),
    Project(
        name="aliases of aliases in the compose file",
        files=service(top=bomb(9)),
        words=UP,
        says=("compose.yaml",),
        within=20,
    ),
    Project(
        name="a compose file that is the host's own file",
        files={"compose.yaml": "-> {outside}/secret"},
        words=(*UP, UNTRUSTED),
        says=("outside of the project", "not trusted"),
    ),
    Project(
        name="the folder above as its context",
        files={"pyproject.toml": SETTINGS.replace("image =", 'context = ".."\nimage =')},
        words=(*BUILD, UNTRUSTED),
        says=("context",),
    ),
    Project(
        name="all capabilities in the contract",
        files={"pyproject.toml": f'{SETTINGS}capabilities = ["ALL"]\n'},
        words=("seatrial", "smoke", "--app", "ship"),
        says=("ALL", "--trust host"),
    ),
    Project(
        name="a module of checks",
        files={
            "pyproject.toml": f'[tool.seatrial]\nchecks = ["harm"]\n{SETTINGS}',
            "harm.py": "import pathlib\npathlib.Path('{outside}/ran').write_text('x')\n",
        },
        words=("seatrial", "smoke", "--app", "ship", "--fail-on", "note", UNTRUSTED),
        # The rest of the smoke is made, and fails for this project's other faults.
        says=("the checks of harm are not asked",),
        code=1,
    ),
    Project(
        name="stars in the ignore file",
        files={".dockerignore": f"{'*a' * 40}b\n", "a" * 120: ""},
        words=("seatrial", "smoke", "--app", "ship", "--level", "quick", "--fail-on", "note"),
        says=(),
        code=1,
        within=60,
    ),
    Project(
        name="a netrc in a layer",
        files={
            "pyproject.toml": SETTINGS.replace(IMAGE, f"{IMAGE}-netrc"),
            "Dockerfile": f"FROM {IMAGE}\nUSER 0\n"
            "RUN --mount=type=secret,id=netrc,target=/run/netrc cp /run/netrc /netrc; exit 1\n",
        },
        words=(*BUILD, UNTRUSTED),
        says=("not trusted", "not netrc"),
        code=1,
    ),
    Project(
        name="a tag of somebody else",
        files={},
        words=(*BUILD, UNTRUSTED),
        says=(f"{IMAGE}:latest", "did not build", "not trusted"),
    ),
    Project(
        name="a frontend of its own",
        files={"Dockerfile": f"#!/bin/false\n# syntax=seatrial-test/frontend\n{DOCKERFILE}"},
        words=(*BUILD, UNTRUSTED),
        says=("Dockerfile:2", "seatrial-test/frontend", "not trusted"),
    ),
    Project(
        name="a link that a service makes for another one",
        files={
            "compose.yaml": f"services:\n  maker:\n    image: {IMAGE}\n    volumes: ['./data:/d']\n"
            f"  user:\n    image: {IMAGE}\n    volumes: ['./data/link:/host']\n"
            "    depends_on: {maker: {condition: service_completed_successfully}}\n"
        },
        words=(*UP, UNTRUSTED),
        says=("compose.yaml:7", "data/link", "by a link", "not trusted"),
    ),
)


DRY = (*UP, "--dry-run")
QUICK = ("seatrial", "smoke", "--app", "ship", "--level", "quick", "--fail-on", "note")
FROM_IMAGE = f"FROM {IMAGE}\n"


def dockerfile(*lines: str, name: str = "", settings: str = "") -> dict[str, str]:
    """Return a Dockerfile whose lines come after its FROM, and settings with an image name of its own."""
    named = SETTINGS.replace(IMAGE, f"{IMAGE}-{name}") if name else SETTINGS
    text = "\n".join((*lines, ""))
    return {
        "Dockerfile": text if text.startswith(("FROM", "#", "->", "|")) else FROM_IMAGE + text,
        "pyproject.toml": named.replace("compose =", f"{settings}\ncompose =") if settings else named,
    }


def repository(*configuration: str, hooks: bool = False) -> Callable[[Path, Path], None]:
    """Return what makes the project a git repository with that configuration, and hooks that harm."""

    def make(folder: Path, outside: Path) -> None:
        git = ("git", "-c", "user.name=a", "-c", "user.email=a@example.org", "-c", "init.defaultBranch=main")
        process.run([*git, "init", "--quiet", folder], timeout=20)
        process.run([*git, "commit", "--quiet", "--allow-empty", "--message=a"], folder=folder, timeout=20)
        harm = outside / "bin" / "harm"
        with (folder / ".git" / "config").open("a", encoding="utf-8") as config:
            config.write("".join(f"{line}\n" for line in configuration).replace("{harm}", str(harm)))
        for name in ("post-index-change", "pre-commit", "post-checkout", "reference-transaction", "fsmonitor-watchman"):
            if hooks:
                (folder / ".git" / "hooks" / name).unlink(missing_ok=True)
                (folder / ".git" / "hooks" / name).symlink_to(harm)

    return make


def partial_clone(folder: Path, outside: Path) -> None:
    """Make the project a repository without its commit: git fetches it when it is looked at."""
    lines = ("[extensions]", "partialClone = origin", '[remote "origin"]', "url = ssh://h/x", "promisor = true")
    repository("[core]", "repositoryFormatVersion = 1", 'sshCommand = "{harm}"', *lines)(folder, outside)
    (folder / ".git" / "refs" / "heads" / "main").write_text(f"{'1' * 40}\n", encoding="utf-8")


def many_filters(folder: Path, outside: Path) -> None:
    """Make the project a repository with a changed file, a filter for it, and too many more to be told of them all."""
    more = [line for number in range(9000) for line in (f'[filter "{"x" * 1900}{number}"]', "clean = cat")]
    repository('[filter "harm"]', 'clean = "{harm}"', *more)(folder, outside)
    git = ("git", "-c", "user.name=a", "-c", "user.email=a@example.org")
    off = ("-c", "filter.harm.clean=")
    process.run([*git, *off, "add", "Dockerfile"], folder=folder, timeout=20)
    process.run([*git, *off, "commit", "--quiet", "--message=b"], folder=folder, timeout=20)
    with (folder / "Dockerfile").open("a", encoding="utf-8") as file:
        file.write("# changed\n")


LABELLED = ("ARG REVISION", "LABEL org.opencontainers.image.revision=$REVISION", "COPY Dockerfile /x")
"""Has a build ask git."""


def deep(folder: Path, _outside: Path) -> None:
    """Make a context of many folders in each other."""
    place = folder
    for _ in range(200):
        place /= "deeper"
    place.mkdir(parents=True)


def inside_of(folder: Path, outside: Path) -> None:
    """Make links in the context that lead to the host's files."""
    (folder / "link").symlink_to(outside / "secret")
    (folder / "folder").symlink_to(outside)


COMPOSE_FILES = (
    Project(
        name="the host's accounts as an include",
        files=service(top="include: [/etc/passwd]\n"),
        words=(*DRY, UNTRUSTED),
        says=("compose.yaml:4", "/etc/passwd"),
    ),
    Project(
        name="a service of a file from elsewhere",
        files=service("extends: {file: '{outside}/other.yaml', service: web}"),
        words=(*DRY, UNTRUSTED),
        says=("compose.yaml:4", "other.yaml"),
    ),
    Project(
        name="build contexts from elsewhere",
        files=service("build: {context: '{outside}', additional_contexts: {more: '{outside}'}}"),
        words=(*SMOKE, UNTRUSTED),
        says=("compose.yaml:4", "outside"),
    ),
    Project(
        name="an env file that is a link to the host's",
        files={**service("env_file: [own.env]"), "own.env": "-> {outside}/secret"},
        words=(*DRY, UNTRUSTED),
        says=("compose.yaml:4", "own.env"),
    ),
    Project(
        name="labels from a file of the host's",
        files=service("label_file: '{outside}/secret'"),
        words=(*DRY, UNTRUSTED),
        says=("compose.yaml:4",),
    ),
    Project(
        name="a config from elsewhere",
        files=service("configs: [it]", top="configs:\n  it:\n    file: {outside}/secret\n"),
        words=(*SMOKE, UNTRUSTED),
        says=("compose.yaml:7", "secret"),
    ),
    Project(
        name="a volume that is a folder of the host's",
        files=service(
            "volumes: ['it:/it']",
            top="volumes:\n  it:\n    driver: local\n    driver_opts: {type: none, o: bind, device: '{outside}'}\n",
        ),
        words=(*SMOKE, UNTRUSTED),
        says=("compose.yaml", "outside"),
    ),
    Project(
        name="another container's network and volumes",
        files=service("network_mode: 'container:harm'", "volumes_from: ['container:harm']"),
        words=(*SMOKE, UNTRUSTED),
        says=("compose.yaml:4", "compose.yaml:5"),
    ),
    Project(
        name="a privileged hook after the start",
        files=service("post_start: [{command: [touch, /x], user: root, privileged: true}]"),
        words=(*SMOKE, UNTRUSTED),
        says=("compose.yaml:4", "privileged"),
    ),
    Project(
        name="an env file that steers compose",
        files={".env": "COMPOSE_FILE={outside}/other.yaml\nDOCKER_HOST=unix://{outside}/x\n"},
        words=(*DRY, UNTRUSTED),
        says=(".env", "COMPOSE_FILE"),
    ),
    Project(
        name="a compose file without end",
        files={"compose.yaml": "-> /dev/zero"},
        words=(*DRY, UNTRUSTED),
        says=("compose.yaml", "regular file"),
        within=20,
    ),
    Project(
        name="a compose file that is a pipe",
        files={"compose.yaml": "|"},
        words=DRY,
        says=("compose.yaml", "regular file"),
        within=20,
    ),
    Project(
        name="a compose file of 60 MB",
        files={"compose.yaml": COMPOSE + "# a line that says nothing at all\n" * 1_800_000},
        words=DRY,
        says=("compose.yaml", "larger than"),
        within=20,
    ),
    Project(
        name="a compose file of 100,000 brackets",
        files=service(top=f"x-deep: {'[' * 100_000}\n"),
        words=DRY,
        says=("compose.yaml",),
        within=20,
    ),
    Project(
        name="merge keys of merge keys in the compose file",
        files=service(
            top="x-0: &m0 {a: b}\n"
            + "".join(f"x-{n}: &m{n}\n  <<: [{', '.join([f'*m{n - 1}'] * 9)}]\n  k{n}: v\n" for n in range(1, 9))
        ),
        words=DRY,
        says=("compose.yaml", "aliases counted"),
        within=20,
    ),
)

BUILDS = (
    Project(
        name="all secrets, of an untrusted build",
        files=dockerfile(
            "USER 0",
            *(
                f"RUN --mount=type=secret,id={name},target=/run/{name} cat /run/{name} > /{name}; true"
                for name in ("netrc", "pip-config", "uv-config", "AWS_SECRET_ACCESS_KEY")
            ),
            name="secrets",
        ),
        words=(*BUILD, UNTRUSTED),
        says=("not trusted",),
        code=0,
        environment={"AWS_SECRET_ACCESS_KEY": SECRET},
    ),
    Project(
        name="a RUN that never ends",
        files=dockerfile("RUN while :; do sleep 0.1; done", name="endless", settings="build-within = 6"),
        words=(*BUILD, UNTRUSTED),
        says=("build-within",),
        code=1,
        within=60,
    ),
    Project(
        name="a RUN that says gigabytes",
        files=dockerfile("RUN cat /dev/zero | tr '\\0' x", name="loud", settings="build-within = 10"),
        words=(*BUILD, UNTRUSTED),
        says=("build-within",),
        code=1,
        within=60,
    ),
    Project(
        name="links to the host in the context",
        files=dockerfile("COPY link /link", "ADD folder /folder", name="links"),
        words=(*BUILD, UNTRUSTED),
        says=("link",),
        code=1,
        also=inside_of,
    ),
    Project(
        name="a Dockerfile that is the host's own file",
        files={"Dockerfile": "-> {outside}/secret"},
        words=(*BUILD, UNTRUSTED),
        says=("Dockerfile", "outside of the project"),
    ),
    Project(
        name="a Dockerfile without end",
        files={"Dockerfile": "-> /dev/zero"},
        words=BUILD,
        says=("Dockerfile", "regular file"),
        within=20,
    ),
    Project(
        name="insecure entitlements",
        files=dockerfile("RUN --security=insecure touch /x", "RUN --network=host touch /y", name="insecure"),
        words=(*BUILD, UNTRUSTED),
        says=("Dockerfile",),
        code=2,
    ),
    Project(
        name="parents of the context",
        files=dockerfile("COPY ../outside/secret /secret", "ADD ../../../../etc/passwd /passwd", name="parents"),
        words=(*BUILD, UNTRUSTED),
        says=("secret",),
        code=1,
    ),
    Project(
        name="values that double 60 times",
        files=dockerfile(
            "FROM scratch",
            "ARG A0=xxxxxxxxxxxxxxxxxxxxxxxx",
            *(f"ARG A{n}=$A{n - 1}$A{n - 1}" for n in range(1, 60)),
            f"FROM {IMAGE}:$A59",
            name="doubles",
        ),
        words=(*BUILD, UNTRUSTED),
        says=("Dockerfile",),
        code=2,
        within=30,
    ),
    Project(
        name="an ignore file without end",
        files={**dockerfile("COPY Dockerfile /x", name="ignored"), ".dockerignore": "-> /dev/zero"},
        words=(*BUILD, UNTRUSTED),
        says=(),
        code=0,
        within=20,
    ),
    Project(
        name="an ignore file of stars and folders",
        files={".dockerignore": f"{'**/a*' * 60}/b\n{'**/' * 500}c\n", "a" * 100: ""},
        words=(*QUICK, UNTRUSTED),
        says=(),
        code=1,
        also=deep,
    ),
)

SETTINGS_FILES = (
    Project(
        name="settings of 60 MB",
        files={"pyproject.toml": SETTINGS + "# a line that says nothing at all\n" * 1_800_000},
        words=("seatrial", "smoke", "--app", "ship"),
        says=("pyproject.toml", "larger than"),
        within=20,
    ),
    Project(
        name="settings of 100,000 brackets",
        files={"pyproject.toml": f"{SETTINGS}files = {'[' * 100_000}"},
        words=("seatrial", "smoke", "--app", "ship", UNTRUSTED),
        says=("pyproject.toml",),
        within=20,
    ),
    Project(
        name="settings that are a pipe",
        files={"pyproject.toml": "|"},
        words=("seatrial", "smoke", "--app", "ship"),
        says=("no pyproject.toml and no seatrial.toml here",),
        within=20,
    ),
    Project(
        name="a pattern that never comes to an end",
        files={
            "bomb.yaml": "schemaVersion: 2.0.0\ncommandTests:\n- name: bomb\n  command: sh\n"
            f"  args: [-c, 'printf %01000d 0 | tr 0 a']\n  expectedOutput: ['^({'(a+)+' * 20})+b$']\n"
        },
        words=("seatrial", "smoke", "--app", "ship", "--structure-test", "bomb.yaml"),
        says=("bomb",),
        code=1,
    ),
    Project(
        name="an image name with words of a command",
        files={"pyproject.toml": SETTINGS.replace(IMAGE, "--output=type=local,dest={outside}/ran")},
        words=(*BUILD, UNTRUSTED),
        says=("image",),
    ),
    Project(
        name="waivers for all that it fails",
        files={"pyproject.toml": f'{SETTINGS}waive = {{ "files/leftovers" = "so", "dockerfile/lint" = "so" }}\n'},
        words=(*QUICK, UNTRUSTED),
        says=("the waiver of", "not trusted"),
        code=1,
    ),
)

LINKS = tuple(
    Project(
        name=f"a link to the host's file as {file}",
        files={file: "-> {outside}/secret", **more},
        words=(*words, UNTRUSTED),
        says=says,
        code=code,
    )
    for file, words, says, code, more in (
        ("pyproject.toml", QUICK, ("pyproject.toml",), 2, {}),
        (".dockerignore", QUICK, (), 1, {}),
        (".hadolint.yaml", QUICK, (), 1, {}),
        ("uv.lock", QUICK, ("uv.lock: leads out",), 2, {}),
        ("requirements.txt", QUICK, ("requirements.txt",), 2, {}),
        (".env", DRY, (".env",), 2, service("environment: ['A=${A}']")),
        (".env.example", DRY, (), 2, service("environment: ['A=${A}']")),
        ("Dockerfile.dockerignore", QUICK, (), 1, {}),
    )
)

REPOSITORIES = (
    Project(
        name="hooks of the project's own repository",
        files=dockerfile(*LABELLED, name="hooks"),
        words=(*BUILD, UNTRUSTED),
        says=(),
        code=0,
        also=repository("[core]", '\tfsmonitor = "{harm}"', "[core]", "\thooksPath = hooks", hooks=True),
    ),
    Project(
        name="filters and drivers of the project's own repository",
        files={**dockerfile(*LABELLED, name="filters"), ".gitattributes": "* filter=harm diff=harm merge=harm\n"},
        words=(*BUILD, UNTRUSTED),
        says=(),
        code=0,
        also=repository(
            '[filter "harm"]',
            '\tclean = "{harm}"',
            '\tsmudge = "{harm}"',
            '\tprocess = "{harm}"',
            "\trequired = true",
            '[diff "harm"]',
            '\tcommand = "{harm}"',
            '\ttextconv = "{harm}"',
            "[diff]",
            '\texternal = "{harm}"',
            "[core]",
            '\tsshCommand = "{harm}"',
            '\tpager = "{harm}"',
            '\teditor = "{harm}"',
            '\taskPass = "{harm}"',
            "[gpg]",
            '\tprogram = "{harm}"',
            "[log]",
            "\tshowSignature = true",
            "[credential]",
            '\thelper = "{harm}"',
            "[include]",
            '\tpath = "{harm}"',
        ),
    ),
    Project(
        name="more filters than are listed",
        files={**dockerfile(*LABELLED, name="listed"), ".gitattributes": "* filter=harm\n"},
        words=(*BUILD, UNTRUSTED),
        says=(),
        code=0,
        also=many_filters,
    ),
    Project(
        name="a partial clone whose commit has to be fetched",
        files=dockerfile(*LABELLED, name="partial"),
        words=(*BUILD, UNTRUSTED),
        says=(),
        code=0,
        also=partial_clone,
    ),
    Project(
        name="a .git that leads elsewhere",
        files={**dockerfile(*LABELLED, name="elsewhere"), ".git": "gitdir: {outside}\n"},
        words=(*BUILD, UNTRUSTED),
        says=(),
        code=0,
    ),
)

PROJECTS = (*BY_HAND, *COMPOSE_FILES, *BUILDS, *SETTINGS_FILES, *LINKS, *REPOSITORIES)


def written(folder: Path, files: Mapping[str, str], outside: Path) -> None:
    """Write a project's files; where it has none of its own, the usual ones."""
    for name, text in {"Dockerfile": DOCKERFILE, "pyproject.toml": SETTINGS, "compose.yaml": COMPOSE, **files}.items():
        body = text.replace("{outside}", str(outside))
        if body.startswith("-> "):
            (folder / name).symlink_to(body[3:])
        elif body == "|":
            os.mkfifo(folder / name)
        else:
            (folder / name).write_text(body, encoding="utf-8")


OLD = 10**9
"""A time of reading, in seconds, long before anything here was written: the next reading renews it (mount(8))."""


@dataclass(frozen=True)
class Host:
    """A folder beside the project, with files that it may not have and programs that leave a mark where one is run."""

    folder: Path

    def prepare(self) -> None:
        """Make the folder."""
        files = {
            "secret": f"TOKEN={SECRET}\n",
            "other.yaml": f"x-secret: {SECRET}\nservices: {{web: {{image: {SECRET}}}}}\n",
            "home/.netrc": f"machine example.org login a password {SECRET}\n",
            "HEAD": "ref: refs/heads/main\n",
            "config": f"[user]\n\tname = {SECRET}\n",
            **{f"bin/{name}": f"#!/bin/sh\ntouch {self.folder}/ran\n" for name in PROGRAMS},
        }
        for name, text in files.items():
            file = self.folder / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text, encoding="utf-8")
            file.chmod(0o755 if name.startswith("bin/") else 0o600)
            os.utime(file, (OLD, OLD))

    @property
    def environment(self) -> dict[str, str]:
        """The variables of a user of this host."""
        return {
            "NETRC": str(self.folder / "home" / ".netrc"),
            "PATH": f"{self.folder / 'bin'}:{os.environ['PATH']}",
            "AWS_SECRET_ACCESS_KEY": SECRET,
        }

    def touched(self) -> Iterator[str]:
        """Tell what was run, changed or read: but the netrc, which the user names."""
        for file in sorted(self.folder.rglob("*")):
            name = str(file.relative_to(self.folder))
            if name == "ran":
                yield "a program of the host was run"
            elif not file.is_dir():
                held = file.stat()
                if held.st_mtime != OLD:
                    yield f"{name} was changed"
                if held.st_atime != OLD and name != "home/.netrc":
                    yield f"{name} was read"


PROGRAMS = ("harm", "docker-harm", "docker-compose-harm", "docker-credential-harm")


def attempt(project: Project, folder: Path, host: Host, engine: Engine) -> tuple[Ended, list[str]]:
    """Run a project's command; return its end, and what should not have been."""
    folder.mkdir()
    host.prepare()
    written(folder, project.files, host.folder)
    if project.also is not None:
        project.also(folder, host.folder)
    environment = {**host.environment, **project.environment}
    ended = run(*project.words, folder=folder, within=project.within, environment=environment)
    wrong = [*_said(project, ended), *host.touched()]
    for image in engine.client.images.list(f"{IMAGE}-*"):
        if any(SECRET.encode() in piece for piece in image.save()):
            wrong.append(f"{image.tags[0]} holds what is the host's")
        for tag in image.tags:
            engine.client.images.remove(tag)
    if "up" in project.words and ended.code == 0 and "--dry-run" not in project.words:
        wrong.append("it came up")
        run("seatrial", "down", "--app", "ship", "--volumes", "--yes", folder=folder)
    return ended, wrong


def _said(project: Project, ended: Ended) -> Iterator[str]:
    said = ended.out + ended.errors
    if ended.code != project.code:
        yield f"it ended with {ended.code}, not {project.code}: {said[-2000:]}"
    yield from (f"it does not say {text!r}: {said[-2000:]}" for text in project.says if text not in said)
    yield from (f"it says {text!r}: {said[-2000:]}" for text in (SECRET, "Traceback", "bug in", "\x1b") if text in said)
