"""What is understood of small projects, each of its own shape."""

from __future__ import annotations

import json
import re
import time
from pathlib import Path
from typing import Any

import invoke
import msgspec
import pytest
from tests.unit.project_shapes import DOCKERFILE, FASTAPI, SHAPES

from seatrial.adopt import tree
from seatrial.adopt.commands import Scripts, port_of, start_of
from seatrial.adopt.compose_calls import with_calls
from seatrial.adopt.dockerfiles import is_dockerfile, variant
from seatrial.adopt.model import Stack, Understanding
from seatrial.adopt.needs import is_example
from seatrial.adopt.stacks import container_port, read_stacks
from seatrial.adopt.understand import understand
from seatrial.cli.init import init
from seatrial.reports.understanding import sections, understanding_document
from seatrial.settings.read import read_project


def write(folder: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")
    return folder


def project(name: str = "shop", *dependencies: str, more: str = "") -> str:
    return f'[project]\nname = "{name}"\nversion = "1"\ndependencies = {json.dumps(dependencies)}\n{more}'


def summary(found: Understanding) -> dict[str, Any]:
    """Return what the cases compare: the first project, the apps, what is not known."""
    first = max(found.projects, key=lambda each: (bool(each.starts), -found.projects.index(each)), default=None)
    said: dict[str, Any] = {
        "name": found.name.value,
        "apps": [(app.name.value, app.context.value, app.dockerfile and app.dockerfile.value) for app in found.apps],
        "targets": [app.target for app in found.apps],
        "asks": sorted({each.ask.split()[0] if each.ask else each.what.partition(" of ")[0] for each in found.unknown}),
        "notes": " ".join(f"{note.where}: {note.what}" for note in found.notes),
    }
    if first is not None:
        start = first.starts[0] if first.starts else None
        said |= {
            "folder": first.folder,
            "installer": first.installer and first.installer.value,
            "lock": first.lock and first.lock.value,
            "python": first.python and first.python.value,
            "layout": first.layout and first.layout.value,
            "packages": [each.value for each in first.packages],
            "members": [each.value for each in first.members],
            "starts": [(each.value.kind, each.value.framework, each.value.reference) for each in first.starts],
            "start": start and (start.value.kind, start.value.framework, start.value.reference),
            "sure": start and start.sure,
            "server": start and start.value.server,
            "command": start and " ".join(start.value.command),
            "from": start and start.value.folder,
            "factory": start and start.value.factory,
            "port": first.port and (first.port.value, first.port.sure),
            "health": first.health and (first.health.value, first.health.sure),
            "services": [each.value for each in first.services],
            "service-sure": [each.sure for each in first.services],
            "migrations": [each.value for each in first.migrations],
            "data": [each.value for each in first.data],
            "programs": [each.value for each in first.programs],
            "libraries": [each.value for each in first.libraries],
            "variables": {each.value.name: each.value.required for each in first.variables},
            "requirements": [
                (each.value.file, each.value.pinned, each.value.hashed, each.value.development)
                for each in first.requirements
            ],
        }
    return said


@pytest.mark.parametrize("shape", SHAPES)
def test_a_project_of_this_shape(tmp_path: Path, shape: str) -> None:
    files, expected = SHAPES[shape]
    folder = tmp_path / "handmade"
    folder.mkdir()
    said = summary(understand(write(folder, files)))
    wanted = json.loads(msgspec.json.encode(expected).decode().replace("PROJECT", "handmade"))
    assert json.loads(msgspec.json.encode({key: said.get(key) for key in expected})) == wanted


def test_nothing_outside_of_the_project_is_read(tmp_path: Path) -> None:
    outside = write(
        tmp_path / "outside", {"compose.yaml": "services: {x: {build: .}}\n", "a/app.py": FASTAPI, "app.py": FASTAPI}
    )
    folder = write(
        tmp_path / "inside",
        {"pyproject.toml": project(), "compose.yml": "include: [../outside/compose.yaml]\nservices: {a: {image: b}}\n"},
    )
    (folder / "linked").symlink_to(outside / "a")
    (folder / "app.py").symlink_to(outside / "app.py")
    (folder / "own.py").symlink_to(folder / "pyproject.toml")
    found = understand(folder)
    assert [(start.value.reference) for each in found.projects for start in each.starts] == []
    assert [service.name for stack in found.stacks for service in stack.services] == ["a"]
    assert any("../outside/compose.yaml is not in the project" in note.what for note in found.notes)


def test_nothing_of_the_project_is_run(tmp_path: Path) -> None:
    made = tmp_path / "made"
    text = f"open({str(made)!r}, 'w').close()\nfrom setuptools import setup\nsetup(name='shop')\n"
    understand(write(tmp_path / "p", {"setup.py": text, "app.py": text + FASTAPI, "conftest.py": text}))
    assert not made.exists()


@pytest.mark.parametrize(
    "files",
    [
        {},
        {"pyproject.toml": "project = 3\n"},
        {
            "pyproject.toml": (
                "[project]\nname = 3\ndependencies = 'x'\nscripts = 3\n[tool.poetry]\npackages = 3\ndependencies = []\n"
            ),
        },
        {"pyproject.toml": "[tool.uv]\nworkspace = 3\n[tool.setuptools]\npackages = []\npackage-dir = 3\n"},
        {
            "setup.py": "from setuptools import setup\nsetup(**{'name': 'x'}, name=x, install_requires=y)\n",
            "setup.cfg": "[metadata\n",
        },
        {
            "setup.py": "import setuptools\ndef (:\n",
            "Pipfile": "packages = 3\n",
            "requirements.txt": "-r requirements.txt\n-r\n==\n",
        },
        {"compose.yaml": "services: [a]\n"},
        {
            "compose.yaml": (
                "services: {a: 3, b: {build: [], ports: {a: b}, command: {a: b}, environment: 3, depends_on: 3}}\n"
            ),
        },
        {
            "compose.yaml": (
                "services: {a: {extends: a}, b: {extends: {file: compose.yaml, service: b}}}\ninclude: compose.yaml\n"
            ),
        },
        {"compose.yaml": "a: &a [*a]\n"},
        {
            "compose.yaml": (
                "services: {a: {build: {context: 'https://example.org/x.git'}}, b: {build: ../..}, c: {build: /etc}}\n"
            ),
        },
        {"compose.yaml": "services: {a: {build: {context: ., target: gone}}}\n", "Dockerfile": "FROM python AS here\n"},
        {"Dockerfile": 'FROM\nENV\nEXPOSE a ${B} 99999999999\nCMD ["a\nHEALTHCHECK\nCOPY\nARG\n'},
        {"Dockerfile": "FROM a AS a\nFROM a AS b\nFROM b AS a\n"},
        {"app.py": "\x00", "b.py": "def (", "c.py": "(" * 5000, "d.py": "import os\n" + "a." * 3000 + "b"},
        {
            "app.py": (
                "import os\n"
                "os.environ[x]\n"
                "os.environ['a b']\n"
                "os.getenv()\n"
                "os.getenv(*a)\n"
                "os.getenv(**b)\n"
                "app = app()\n"
                "app = Flask()()\n"
            ),
        },
        {"Procfile": "web: 'x\nworker: \n", "uv.lock": "", "__main__.py": "", "__init__.py": ""},
        {".env.example": "=x\nA\nexport B=c\n#C=1\n\x1b[31mD=\x1b[0m\n", "manage.py": ""},
    ],
)
def test_whatever_the_files_say_there_is_an_answer(tmp_path: Path, files: dict[str, str]) -> None:
    found = understand(write(tmp_path, files))
    assert json.loads(understanding_document(found, {}))["files"] == len(files)
    assert all(row.what or row.value for _, rows in sections(found) for row in rows)


def test_each_thing_says_where_it_stands(tmp_path: Path) -> None:
    files, _ = SHAPES["compose names the context, Dockerfile, target and arguments"]
    found = understand(write(tmp_path, files))
    shop = found.projects[0]
    assert shop.starts[0].where == "deploy/prod.Dockerfile:3"
    assert shop.port is not None
    assert shop.health is not None
    assert (shop.port.where, shop.health.where) == ("deploy/prod.Dockerfile:3", "compose.yaml:11")
    assert [each.where for each in shop.services] == ["compose.yaml:15"]
    assert found.apps[0].dockerfile is not None
    assert found.apps[0].dockerfile.where == "compose.yaml:3"
    assert shop.dependencies == {"fastapi": "pyproject.toml:4", "uvicorn": "pyproject.toml:4"}


def test_values_of_secrets_stay_where_they_are(tmp_path: Path) -> None:
    files = {
        "pyproject.toml": project(),
        "compose.yaml": "services:\n  web:\n    build: .\n    environment: {API_KEY: hunter2, PORT: '80'}\n",
        ".env": "PASSWORD=hunter3\n",
        ".env.example": "TOKEN=hunter4\nURL=postgres://a:hunter5@db/x\n",
        "shop.py": "import os\nos.getenv('SECRET_KEY', 'hunter6')\n",
        "Dockerfile": "FROM python\nENV DB_PASSWORD=hunter7\n",
    }
    assert "hunter" not in understanding_document(understand(write(tmp_path, files)), {})


@pytest.mark.parametrize("volume", ["./src:/srv", "{type: bind, source: ., target: /srv}"])
def test_a_target_whose_code_is_mounted_is_told(volume: str, tmp_path: Path) -> None:
    files = {
        "src/shop.py": "print('ahoy')\n",
        "Dockerfile": "FROM python AS dev\nWORKDIR /srv\nFROM dev AS prod\nCOPY src /srv\n",
        "compose.yaml": f"services:\n  web:\n    build: {{context: ., target: dev}}\n    volumes: [d:/d, {volume}]\n",
    }
    (note,) = [note for note in understand(write(tmp_path, files)).notes if "mounts" in note.what]
    assert note.where == "compose.yaml:4"
    assert "its target dev" in note.what
    files["compose.yaml"] = files["compose.yaml"].replace(volume, "./more:/srv")
    assert not any("mounts" in note.what for note in understand(write(tmp_path, files)).notes)


@pytest.mark.parametrize(
    ("stages", "volume", "told"),
    [
        ("FROM python AS dev\nCOPY app app\n", "./data:/data", False),
        ("FROM python AS dev\nCOPY app app\n", ".:/srv", False),
        ("FROM python AS dev\nCOPY . .\n", "./app:/srv/app", False),
        ("FROM python AS dev\nCOPY app/*.py app/\n", ".:/srv", False),
        ("FROM python AS dev\nCOPY a?p app/\n", ".:/srv", False),
        ("FROM python AS base\nCOPY app app\nFROM base AS dev\n", ".:/srv", False),
        ("FROM python AS built\nCOPY app app\nFROM python AS dev\nCOPY --from=built /app /app\n", ".:/srv", False),
        ("FROM python AS dev\nARG SOURCE=app\nCOPY $SOURCE app\n", ".:/srv", False),
        ("FROM python AS dev\nCOPY pyproject.toml .\n", "./data:/data", False),
        ("FROM python AS dev\nCOPY pyproject.toml .\n", ".:/srv", True),
        ("FROM python AS dev\nCOPY pyproject.toml .\n", "./app:/srv/app", True),
        ("FROM python AS dev\nRUN true\nFROM dev AS other\nCOPY app app\n", ".:/srv", True),
        ("FROM python AS other\nCOPY app app\nFROM python AS dev\n", ".:/srv", True),
        ("FROM python AS dev\nCOPY apps apps\n", ".:/srv", True),
    ],
)
def test_only_code_that_is_mounted_and_not_copied_is_told(tmp_path: Path, stages: str, volume: str, told: bool) -> None:
    files = {
        "app/__init__.py": "",
        "app/main.py": "print('ahoy')\n",
        "pyproject.toml": "[project]\nname = 'shop'\nversion = '1'\n",
        "apps/readme.txt": "",
        "data/x.txt": "",
        "Dockerfile": stages,
        "compose.yaml": f"services:\n  web:\n    build: {{context: ., target: dev}}\n    volumes: [{volume}]\n",
    }
    notes = [note.what for note in understand(write(tmp_path, files)).notes]
    assert any("may hold no code" in what for what in notes) == told


def test_a_dry_run_prints_a_table_and_writes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    files, _ = SHAPES["compose names the context, Dockerfile, target and arguments"]
    monkeypatch.chdir(write(tmp_path, files))
    monkeypatch.setenv("COLUMNS", "200")
    init(invoke.Context(), dry_run=True)
    printed = capsys.readouterr().out
    rows = [tuple(re.split(r"\s{2,}", line.strip())) for line in printed.splitlines()]
    assert ("name", "shop", "pyproject.toml:2", "stated") in rows
    assert ("target", "app", "compose.yaml:3", "stated") in rows
    assert ("health route", "/up", "compose.yaml:11", "stated") in rows
    assert ("service", "postgres", "compose.yaml:15", "stated: the compose file's service db") in rows
    assert "[apps.shop]" in printed
    assert 'dockerfile = "deploy/prod.Dockerfile"' in printed
    assert (tmp_path / "pyproject.toml").read_text() == files["pyproject.toml"]
    assert not (tmp_path / "seatrial.toml").exists()
    assert not (tmp_path / "tasks.py").exists()


def test_a_dry_run_as_json_holds_what_would_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(
        write(tmp_path, {"Dockerfile.prod": DOCKERFILE, "pyproject.toml": project("shop"), "shop.py": ""})
    )
    init(invoke.Context(), dry_run=True, format="json")
    document = json.loads(capsys.readouterr().out)
    assert document["apps"][0]["dockerfile"] == {
        "value": "Dockerfile.prod",
        "where": "Dockerfile.prod",
        "sure": "stated",
        "why": "",
    }
    assert 'dockerfile = "Dockerfile.prod"' in document["writes"][str(tmp_path / "seatrial.toml")]
    with pytest.raises(invoke.Exit):
        init(invoke.Context(), format="json")
    assert "--dry-run" in capsys.readouterr().err


def test_what_cannot_be_known_names_the_option_that_answers_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    files, _ = SHAPES["two applications are not chosen between"]
    monkeypatch.chdir(write(tmp_path, files))
    monkeypatch.setenv("COLUMNS", "200")
    with pytest.raises(invoke.Exit):
        init(invoke.Context(), dry_run=True)
    printed = capsys.readouterr()
    assert "say it with --module" in printed.out
    assert "several could be served: one:app, two:app" in printed.out
    assert "Say which: --module one:app." in printed.err, "the table is printed, and then what keeps init from it"


def test_the_two_example_systems_are_understood_as_they_are_declared() -> None:
    root = Path(__file__).parents[2]
    apps = {app.name.value: app for app in understand(root).apps}
    declared = read_project(root).settings.apps
    for name, meant in declared.items():
        app = apps[name]
        assert app.dockerfile is not None
        assert (app.context.value, app.dockerfile.value, app.compose[0]) == (
            meant.context,
            meant.dockerfile,
            meant.compose,
        )


def test_a_project_of_5000_files_takes_two_seconds_at_most(tmp_path: Path) -> None:
    """Of processor time: another process may have the machine. The modules are those of this project, many times."""
    sources = [path.read_text() for path in sorted((Path(__file__).parents[2] / "src").rglob("*.py"))[:100]]
    for number in range(5000):
        folder = tmp_path / "shop" / f"part{number // 100}"
        folder.mkdir(parents=True, exist_ok=True)
        if number % 3 == 0:
            (folder / f"module{number}.py").write_text(sources[number % 100])
        else:
            (folder / f"data{number}.json").write_text("{}")
    write(tmp_path, {"pyproject.toml": project("shop", "fastapi"), "shop/__init__.py": "", "shop/api.py": FASTAPI})
    before = time.process_time()
    found = understand(tmp_path)
    assert time.process_time() - before <= 2
    assert found.files == 5003
    assert found.projects[0].starts[0].value.reference == "shop.api:app"
    assert any("too many modules" in note.what for note in found.notes), "what was left out is said"


def test_a_template_of_a_project_is_told_in_one_line(tmp_path: Path) -> None:
    broken = tmp_path / "{{cookiecutter.name}}" / "Dockerfile"
    broken.parent.mkdir()
    broken.write_text("{%- if cookiecutter.node %}\nFROM node\n{%- endif %}\n")
    (tmp_path / "Dockerfile").write_text('FROM python:3.13-slim\nCMD ["python"]\n')
    found = understand(tmp_path)
    assert [note.where for note in found.notes] == ["{{cookiecutter.name}}"]
    assert [app.dockerfile and app.dockerfile.value for app in found.apps] == ["Dockerfile"]


def test_a_tree_without_end_is_cut(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tree, "MOST_FILES", 10)
    write(tmp_path, {f"d{number}/x.txt": "" for number in range(20)} | {"app.py": FASTAPI})
    found = understand(tmp_path)
    assert found.files == 10
    assert [note.what for note in found.notes] == ["more than 10 files: those deep down were not searched"]
    assert found.projects[0].starts[0].value.reference == "app:app"


def test_a_module_that_is_not_parsed_still_tells_its_variables(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tree, "MOST_PARSED", 10)
    text = "import os\nA = os.environ['A_NAME']\nos.environ['B_NAME'] = 'x'\nos.getenv(\n'C_NAME')\n"
    found = understand(write(tmp_path, {"app.py": text}))
    assert [(each.value.name, each.where) for each in found.projects[0].variables] == [
        ("A_NAME", "app.py:2"),
        ("C_NAME", "app.py:4"),
    ]


@pytest.mark.parametrize(
    ("name", "is_one"),
    [
        *(
            (name, True)
            for name in (".env.example", ".env.sample", "env.dist", ".env.dist", ".env-template", ".env.prod.example")
        ),
        *(
            (name, True)
            for name in ("example.env", "sample.env", ".env.example.local", "dotenv.sample", ".env.defaults")
        ),
        *((name, False) for name in (".env", "environment.yml", "example.py", ".envrc", "env.py", "template.html")),
    ],
)
def test_example_files_have_many_names(name: str, is_one: bool) -> None:
    assert is_example(name) is is_one


@pytest.mark.parametrize(
    ("name", "is_one", "adds"),
    [
        ("Dockerfile", True, ""),
        ("Containerfile", True, ""),
        ("docker/Dockerfile.prod", True, "prod"),
        ("deploy/prod.Dockerfile", True, "prod"),
        (".docker/Dockerfile-worker", True, "worker"),
        ("a/api.dockerfile", True, "api"),
        ("Dockerfile.dockerignore", False, ""),
        ("Dockerfile.j2", False, ""),
        ("dockerfile.py", False, ""),
        ("a/b/c/d/e/f/Dockerfile", False, ""),
    ],
)
def test_dockerfiles_have_many_names(name: str, is_one: bool, adds: str) -> None:
    assert is_dockerfile(name) is is_one
    assert not is_one or variant(name) == adds


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        ("uvicorn shop.api:app --port 80", ("web", "shop.api:app", 80)),
        ("python -m uvicorn shop:app --host 0.0.0.0 --port=8001", ("web", "shop:app", 8001)),
        ("gunicorn -w 4 -b 0.0.0.0:${PORT:-9000} 'shop:create_app()'", ("web", "shop:create_app", 9000)),
        ("exec uv run --no-sync hypercorn --bind :8002 shop:app", ("web", "shop:app", 8002)),
        ("cd src && poetry run fastapi run main.py --port 8003", ("web", "main", 8003)),
        ("python -u manage.py runserver 0.0.0.0:8004", ("web", "manage.py", 8004)),
        ("celery -A shop.tasks worker -l info", ("worker", "shop.tasks", None)),
        ("celery -A shop flower --port=5555", ("web", "shop", 5555)),
        ("celery -A shop beat", ("command", "shop", None)),
        ("arq shop.worker.WorkerSettings", ("worker", "shop.worker:WorkerSettings", None)),
        ("streamlit run app.py --server.port 8501", ("web", "app.py", 8501)),
        ("tini -- python -m shop", ("command", "shop", None)),
        ("shop serve", ("command", "shop.cli:main", None)),
        ("nginx -g 'daemon off;'", None),
        ("sleep infinity", None),
    ],
)
def test_what_a_command_starts(tmp_path: Path, command: str, expected: tuple[str, str, int | None] | None) -> None:
    scripts = Scripts(tree.Tree(tmp_path), {"shop": "shop.cli:main"})
    start = start_of(("/bin/sh", "-c", command), {}, scripts)
    assert (start and (start.kind, start.reference, port_of(start.command, {}))) == expected


def stacks(folder: Path, files: dict[str, str]) -> dict[str, Stack]:
    found, _ = read_stacks(tree.Tree(write(folder, files)))
    return {stack.files[0]: stack for stack in found}


PAIR = ("compose.yaml", "compose.extra.yaml")
MORE = "docker compose -f compose.yaml -f compose.extra.yaml up -d"


@pytest.mark.parametrize(
    ("files", "expected", "note"),
    [
        ({"Makefile": "up:\n\tdocker compose -f compose.yaml \\\n\t  -f compose.extra.yaml up\n"}, PAIR, ""),
        ({"README.md": "`docker-compose --file=compose.yaml --file=compose.extra.yaml -p x up`"}, PAIR, ""),
        ({"run.sh": "docker compose --env-file prod.env -f compose.yaml up", "prod.env.example": ""}, PAIR[:1], ""),
        ({"run.sh": "docker compose --env-file gone.env -f compose.yaml up"}, None, ""),
        ({"run.sh": "docker compose -f compose.yaml -f $MORE up"}, None, ""),
        ({"run.sh": "docker compose up; tar -f compose.yaml -f compose.extra.yaml"}, None, ""),
        ({"run.sh": "docker compose -f compose.yaml -f compose.dev.yaml up"}, None, "run.sh:1"),
        ({"run.sh": "docker compose -f compose.yaml -f compose.prod.yaml up"}, None, "run.sh:1"),
        ({"README.md": "Run `docker compose up`.", "deploy.sh": MORE}, None, "deploy.sh:1"),
        ({"README.md": "docker-compose --profile all -p x up -d", "deploy.sh": MORE}, None, "deploy.sh:1"),
        ({"README.md": "COMPOSE_FILE=a.yaml docker compose up", "deploy.sh": MORE}, PAIR, ""),
        ({"README.md": "docker compose logs; docker compose down", "deploy.sh": MORE}, PAIR, ""),
        (
            {
                "Makefile": "a:\n\tdocker compose -f compose.yaml -f compose.extra.yaml up\n"
                "b:\n\tdocker compose -f compose.yaml up"
            },
            None,
            "Makefile:2",
        ),
    ],
)
def test_a_call_of_several_compose_files_counts_where_the_project_says_no_other(
    tmp_path: Path, files: dict[str, str], expected: tuple[str, ...] | None, note: str
) -> None:
    api = "services: {api: {build: .}}"
    more = {"compose.yaml": api, "compose.extra.yaml": api, "compose.dev.yaml": api, "compose.prod.yaml": api}
    seen = tree.Tree(write(tmp_path, {**more, **files}))
    found, notes = with_calls(seen, read_stacks(seen)[0])
    call = next(stack.call for stack in found if stack.files[0] == "compose.yaml")
    assert (call and call.files) == expected
    assert [each.where for each in notes] == ([note] if note else [])
    assert all('compose = ["compose.yaml", ' in each.what for each in notes)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("apiVersion: apps/v1\nkind: Deployment\n", "compose.yaml: it is written for Kubernetes, and is not used"),
        ("web:\n  image: a\ndb:\n  build: .\n", "compose.yaml: it is of compose's first version"),
        ("services: [a]\n", "compose.yaml: its `services:` is no table of services"),
        ("services:\n  web: nginx\n", "compose.yaml:2: the service web is no table of keys, and is left out"),
        ("- a\n", "compose.yaml: it has no `services:`, and is not used as a compose file"),
    ],
)
def test_a_file_of_another_dialect_is_told(tmp_path: Path, text: str, said: str) -> None:
    _, notes = read_stacks(tree.Tree(write(tmp_path, {"compose.yaml": text})))
    assert [f"{note.where}: {note.what}".startswith(said) for note in notes] == [True]


CHECK = "CMD curl http://localhost:8000/up"


def test_a_compose_file_is_read_with_its_lines(tmp_path: Path) -> None:
    text = """\
name: shop
services:
  api:
    image: registry/shop:1
    build:
      context: ..
      dockerfile: deploy/Dockerfile
      target: ${TARGET:-app}
      args: ["VERSION=${VERSION}", PLAIN=a=b]
    entrypoint: ["/entry", "--flag"]
    command: uvicorn 'shop api:app'
    environment:
      PORT: 8000
      API_KEY: hunter2
      URL: amqp://${HOST:-mq}/x
    env_file: [.env, {path: api.env, required: false}]
    ports: ["127.0.0.1:8080:8000/tcp", {target: 9000, published: "9001"}]
    healthcheck: {test: [CMD, curl, "http://localhost:8000/up"]}
    depends_on: {db: {condition: service_healthy}}
    profiles: [web]
  db: {image: "postgres:16", healthcheck: {disable: true, test: x}}
"""
    files = {"deploy/compose.yaml": text, "deploy/.env": "VERSION=7\n", "deploy/Dockerfile": DOCKERFILE}
    found = stacks(tmp_path, files)
    stack = found["deploy/compose.yaml"]
    api, db = stack.services
    assert (stack.name, stack.usual, [service.name for service in stack.built]) == ("shop", True, ["api"])
    assert (api.context, api.dockerfile, api.target) == (".", "deploy/Dockerfile", "app")
    assert api.arguments == {"VERSION": "7", "PLAIN": "a=b"}
    assert (api.entrypoint, api.command) == (("/entry", "--flag"), ("uvicorn", "shop api:app"))
    assert (api.environment, api.settings, api.urls) == (("PORT", "API_KEY", "URL"), {"PORT": "8000"}, ("amqp",))
    assert api.env_files == ("deploy/.env", "deploy/api.env")
    assert api.ports == ("127.0.0.1:8080:8000/tcp", "9001:9000")
    ports = (*api.ports, "80", "3000-3005", "${X}", "")
    assert [container_port(port) for port in ports] == [8000, 9000, 80, None, None, None]
    assert (api.health, api.depends_on, api.profiles) == (
        ("CMD", "curl", "http://localhost:8000/up"),
        ("db",),
        ("web",),
    )
    assert (api.where, api.lines["build"], api.lines["healthcheck"]) == tuple(
        f"deploy/compose.yaml:{line}" for line in (3, 5, 18)
    )
    assert (db.built, db.image, db.health) == (False, "postgres:16", ())


def test_files_of_compose_are_put_together_as_compose_does(tmp_path: Path) -> None:
    files = {
        "compose.yaml": "include: [{path: more/cache.yaml, project_directory: .}]\n"
        "services:\n  web:\n    build: {context: a, args: {A: 1}}\n    ports: ['1:1']\n"
        "    environment: {X: 1}\n    command: one\n"
        "  job:\n    extends: {file: base.yaml, service: job}\n    ports: !override ['2:2']\n"
        "    environment: {Y: 2}\n    build: {target: dev, args: {B: 2}}\n"
        "  bought: {image: shop/bought, command: four}\n",
        "compose.override.yaml": "services:\n  web: {build: {target: dev}, command: two}\n"
        "  bought: {build: d, command: five}\n  more: {build: e}\n",
        "docker-compose.yml": "services: {old: {image: x}}\n",
        "base.yaml": "services:\n  job:\n    extends: root\n    command: three\n"
        "  root: {build: {context: b, args: {A: 1}}, environment: [Z=3], ports: ['1:1']}\n",
        "more/cache.yaml": "services: {cache: {build: c}}\n",
        "docker-compose.prod.yml": "services: {web: {restart: always}}\n",
        "local.yml": "services: {solo: {image: y}}\n",
        ".github/compose.yml": "services: {ci: {image: z}}\n",
        "mkdocs.yml": "site_name: x\n",
    }
    found = stacks(tmp_path, files)
    assert sorted(found) == ["compose.yaml", "docker-compose.prod.yml", "local.yml"]
    main = found["compose.yaml"]
    assert main.files == ("compose.yaml", "more/cache.yaml", "base.yaml", "compose.override.yaml")
    services = {service.name: service for service in main.services}
    web, job, bought = services["web"], services["job"], services["bought"]
    assert (job.context, job.target, job.arguments) == ("b", "dev", {"A": "1", "B": "2"})
    assert (job.ports, job.environment, job.command) == (("2:2",), ("Z", "Y"), ("three",))
    assert services["cache"].context == "c"
    # `up` leaves an override out: of it only a build counts that is nowhere else.
    assert (web.context, web.target, web.command) == ("a", "", ("one",))
    assert (bought.context, bought.command, bought.lines["build"]) == ("d", ("four",), "compose.override.yaml:3")
    assert "more" not in services
    assert found["docker-compose.prod.yml"].over == "compose.yaml"
    assert (found["local.yml"].over, found["local.yml"].usual) == ("", False)
