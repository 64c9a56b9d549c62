"""The files that a project without a Dockerfile gets: what is in them, and when there are none."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest
from tests.adopt.projects import FASTAPI, FLASK, LOOP, WITHOUT, Small, pyproject

from seatrial.adopt.dockerfile_words import as_pattern, copied, shell_word
from seatrial.adopt.proposal import answered, made_up
from seatrial.adopt.recipes import Written, write_missing
from seatrial.adopt.tree import Tree
from seatrial.adopt.understand import understand
from seatrial.dockerfile import parse
from seatrial.errors import SettingsError

LOCKS = {
    "adopt-flat": "uv.lock", "adopt-package": "uv.lock", "adopt-workspace": "uv.lock", "adopt-poetry": "poetry.lock",
    "adopt-pdm": "pdm.lock", "adopt-pipenv": "Pipfile.lock", "adopt-pylock": "pylock.toml",
    "adopt-wsgi": "requirements.txt",
}  # fmt: skip
INSTALLS = {
    "adopt-flat": "/opt/tool/bin/uv sync --locked --no-dev --no-install-project",
    "adopt-package": "/opt/tool/bin/uv sync --locked --no-dev --no-editable",
    "adopt-workspace": "/opt/tool/bin/uv sync --frozen --no-dev --package=adopt-workspace --no-editable",
    "adopt-poetry": "/opt/tool/bin/poetry install --no-interaction --only=main --no-root",
    "adopt-pdm": "/opt/tool/bin/pdm sync --prod --no-self --no-editable",
    "adopt-pipenv": "/opt/tool/bin/pipenv requirements --hash > /tmp/requirements.txt",
    "adopt-pylock": "/opt/tool/bin/uv pip sync --quiet --python /app/.venv pylock.toml",
    "adopt-wsgi": "python install --requirement requirements.txt",
    "adopt-asgi": "python install --requirement requirements.txt",
    "adopt-celery": "python install --requirement requirements.txt",
    "adopt-console": "python install .",
    "adopt-job": "python -m venv --without-pip /app/.venv",
    "adopt-odd-names": "python install --requirement 'requirements/all of it.txt'",
    "adopt-main": "python install .",
    "adopt-streamlit": "python install --requirement requirements.txt",
}
ANY = "0.0.0.0"  # noqa: S104 - in a container
GUNICORN = ("gunicorn", "--worker-tmp-dir", "/dev/shm")
STARTS = {
    "adopt-flat": ["uvicorn", "main:app", "--host", ANY, "--port", "8000"],
    "adopt-package": [*GUNICORN, "--bind", "0.0.0.0:8000", "ship.app:create_app()"],
    "adopt-pdm": ["python", "server.py"],
    "adopt-wsgi": [*GUNICORN, "--bind", "0.0.0.0:8000", "harbour.wsgi:application"],
    "adopt-asgi": ["uvicorn", "harbour.asgi:application", "--host", ANY, "--port", "8000"],
    "adopt-celery": ["celery", "-A", "tasks", "worker"],
    "adopt-console": ["adopt-console"],
    "adopt-job": ["python", "job.py"],
    "adopt-main": ["python", "-m", "ship"],
}


def written(project: Small, folder: Path) -> Written:
    project.write(folder, "index")
    if project.app in LOCKS and not (folder / LOCKS[project.app]).exists():
        (folder / LOCKS[project.app]).write_text("a==1\n" if project.app == "adopt-wsgi" else "", encoding="utf-8")
    (made,) = write_missing(Tree(folder), understand(folder))
    return made


@pytest.mark.parametrize("project", WITHOUT, ids=lambda project: project.app)
def test_each_installer_and_start_has_its_recipe(project: Small, tmp_path: Path) -> None:
    folder = tmp_path / project.app
    made = written(project, folder)
    assert made.app.dockerfile is not None
    text = made.files[made.app.dockerfile.value]
    stage = parse(text).stages[-1]
    words = {each.keyword: each.text for each in stage.instructions}
    assert words["USER"] == "10001:10001"
    assert INSTALLS[project.app] in text
    assert "PYTHONPATH=''" not in text
    if project.app in STARTS:
        assert f"CMD {STARTS[project.app]!r}".replace("'", '"') in text
    ignored = next(text for name, text in made.files.items() if name.endswith("ignore"))
    let_in = [line[1:].replace("\\", "") for line in ignored.splitlines() if line.startswith("!")]
    context = folder / made.app.context.value
    assert let_in
    assert all((context / name).exists() for name in let_in)
    assert made.app.compose[0] in made.files


@pytest.mark.parametrize(
    ("path", "copy", "word", "pattern"),
    [
        ("data", "data data", "data", "data"),
        ("a b", '["a b", "a b"]', "'a b'", "a b"),
        ("ä", '["ä", "ä"]', "'ä'", "ä"),
        ("-c", '["./-c", "-c"]', "./-c", "-c"),
        ("it's", '["it\\\\\'s", "it\\\\\'s"]', "'it'\"'\"'s'", "it's"),
        ("$x", r'["\\$x", "\\$x"]', "'$x'", "$x"),
        ("a[1]*", '["a[[]1][*]", "a[1]*"]', "'a[1]*'", r"a\[1\]\*"),
    ],
)
def test_a_name_is_written_as_it_is_meant(path: str, copy: str, word: str, pattern: str) -> None:
    assert (copied(path, path), shell_word(path), as_pattern(path)) == (copy, word, pattern)


def test_a_name_that_no_file_can_hold_is_left_out_and_told(tmp_path: Path) -> None:
    Small(app="ship", about="", files={"requirements.txt": "", "ship.py": LOOP, "a\nb.py": ""}).write(tmp_path, "")
    (Path(os.fsdecode(bytes(tmp_path) + b"/\xff")) / "c").mkdir(parents=True)
    found = understand(tmp_path)
    assert {note.where for note in found.notes} == {r"a\nb.py", r"\udcff"}
    (made,) = write_missing(Tree(tmp_path), found)
    assert "".join(made.files.values()).encode()


def test_services_are_brought_with_their_addresses(tmp_path: Path) -> None:
    code = 'import os\n\nURL = os.environ["DATABASE_URL"]\n' + FASTAPI
    project = Small(
        app="ship", about="", files={"requirements.txt": "fastapi\nuvicorn\npsycopg[binary]\nredis\n", "main.py": code}
    )
    compose = written(project, tmp_path / "ship").files["compose.yaml"]
    assert "image: postgres:17" in compose
    assert 'DATABASE_URL: "postgresql://app:${POSTGRES_PASSWORD:?' in compose
    assert "redis:\n        condition: service_healthy" in compose
    assert written(project, tmp_path / "ship").files[".env.example"] == "POSTGRES_PASSWORD=change-me\n"


def test_an_example_that_names_no_password_gets_no_default_of_one(tmp_path: Path) -> None:
    code = 'import os\n\nURL = os.environ["DATABASE_URL"]\n' + FASTAPI
    files = {"requirements.txt": "fastapi\nuvicorn\npsycopg[binary]\n", "main.py": code, ".env.example": "LEVEL=1\n"}
    made = written(Small(app="ship", about="", files=files), tmp_path / "ship").files
    assert 'POSTGRES_HOST_AUTH_METHOD: "trust"' in made["compose.yaml"]
    assert 'DATABASE_URL: "postgresql://app@postgres:5432/app"' in made["compose.yaml"]
    assert "PASSWORD" not in made["compose.yaml"]
    assert ".env.example" not in made


def test_each_part_of_a_services_address_is_that_of_the_service(tmp_path: Path) -> None:
    names = [
        "DB_NAME",
        "DB_USER",
        "DB_PASSWORD",
        "DB_HOST",
        "DB_PORT",
        "PGUSER",
        "REDIS_HOST",
        "REDIS_PORT",
        "POSTGRES_PASSWORD",
        "GPG_PASSWORD",
    ]
    reads = "".join(f'{name} = os.environ["{name}"]\n' for name in [*names, "EMAIL_PORT"])
    code = f'import os\n\n{reads}DB_USERNAME = os.getenv("DB_USERNAME", "shop")\n' + FASTAPI
    files = {"requirements.txt": "fastapi\nuvicorn\npsycopg[binary]\nredis\n", "main.py": code}
    made = written(Small(app="ship", about="", files=files), tmp_path / "ship").files
    given = dict(re.findall(r'^    (\w+): "(.*)"$', made["compose.yaml"], re.MULTILINE))
    password = "${POSTGRES_PASSWORD:?copy .env.example to .env and set POSTGRES_PASSWORD}"
    assert {name: given[name] for name in (*names[:-1], "DB_USERNAME")} == {
        "DB_NAME": "app", "DB_USER": "app", "DB_PASSWORD": password, "POSTGRES_PASSWORD": password,
        "DB_HOST": "postgres", "DB_PORT": "5432",
        "PGUSER": "app", "REDIS_HOST": "redis", "REDIS_PORT": "6379", "DB_USERNAME": "app",
    }  # fmt: skip
    assert [line.partition("=")[0] for line in made[".env.example"].splitlines() if line[0] != "#"] == [
        "POSTGRES_PASSWORD", "GPG_PASSWORD", "EMAIL_PORT",
    ]  # fmt: skip
    (project,) = understand(tmp_path / "ship").projects
    trial = {found.value.name: made_up(found.value, project) for found in project.variables}
    found = {name: trial[name] for name in ("DB_PORT", "REDIS_PORT", "REDIS_HOST", "EMAIL_PORT")}
    assert found == {"DB_PORT": "5432", "REDIS_PORT": "6379", "REDIS_HOST": "localhost", "EMAIL_PORT": "8000"}


def test_what_an_example_that_is_there_gives_no_value_is_told(tmp_path: Path) -> None:
    code = 'import os\n\nA = os.environ["A_KEY"]\nB = os.environ["B_KEY"]\nos.environ["C_KEY"]\n' + FASTAPI
    files = {"requirements.txt": "fastapi\nuvicorn\n", "main.py": code, ".env.example": "A_KEY=x\n# B_KEY=x\nC_KEY=\n"}
    text = written(Small(app="ship", about="", files=files), tmp_path / "ship").files["compose.yaml"]
    assert text.splitlines()[1] == "# and set there what it gives no value: B_KEY, C_KEY."
    assert '"${A_KEY:?read in main.py:3}"' in text
    assert '"${B_KEY:?copy .env.example to .env and set B_KEY, read in main.py:4}"' in text


REQUIRES = """\
import os

from fastapi import FastAPI
from openai import OpenAI

DEBUG = os.getenv("DEBUG") == "1"
TOKEN = os.getenv("TOKEN")
SOFT = os.getenv("SOFT")
if not DEBUG:
    SECRET_KEY = os.environ["SECRET_KEY"]
if not TOKEN or SOFT is None:
    raise SystemExit("no token")
if "PERHAPS" in os.environ:
    PERHAPS = os.environ["PERHAPS"]
try:
    TRIED = os.environ["TRIED"]
except KeyError:
    TRIED = ""
if not SOFT:
    print("no")
app = FastAPI()
client = OpenAI()


def pay() -> str:
    return os.environ["SHOP_URL"]
"""


def test_what_the_code_cannot_do_without_is_asked_for_by_name(tmp_path: Path) -> None:
    files = {"requirements.txt": "fastapi\nuvicorn\nopenai\n", "main.py": REQUIRES}
    made = written(Small(app="ship", about="", files=files), tmp_path / "ship").files
    asked = dict(re.findall(r'^    (\w+): "\$\{\w+:\?(.*)\}"$', made["compose.yaml"], re.MULTILINE))
    assert asked == {
        "SECRET_KEY": "read in main.py:10",
        "TOKEN": "read in main.py:7",
        "SOFT": "read in main.py:8",
        "OPENAI_API_KEY": "read in main.py:22",
        "SHOP_URL": "read in main.py:26",
    }
    example = made[".env.example"]
    assert "# read in main.py:10\nSECRET_KEY=change-me\n" in example
    assert "# read in main.py:26\nSHOP_URL=http://localhost\n" in example
    required = {
        found.value.name for found in understand(tmp_path / "ship").projects[0].variables if found.value.required
    }
    assert required == {"TOKEN", "SOFT", "OPENAI_API_KEY"}


@pytest.mark.parametrize(
    ("code", "required", "strict"),
    [
        ('from aiogram import Bot\nbot = Bot(token=os.getenv("T_TOKEN"))', True, True),
        ('from aiogram import Bot\nbot = Bot(os.getenv("T_TOKEN", "x"))', False, False),
        ('T = os.getenv("T_TOKEN")\ndef main():\n    ApplicationBuilder().token(T).build()', False, True),
        ('def main():\n    t = os.environ.get("T_TOKEN")\n    if t is None:\n        sys.exit("no")', False, True),
        ('t = os.environ.get("T_TOKEN")\nif t:\n    print(t)', False, False),
        ('from .base import *\nT = env("T_TOKEN")', True, True),
        ('from .base import *\nT = env.list("T_TOKEN", default=[])', False, False),
        ('t = os.environ.get("T_TOKEN")\nt = 5\nif not t:\n    raise ValueError', False, False),
        ('def main():\n    os.environ["T_TOKEN"]\n    os.getenv("T_TOKEN")', False, False),
        # The project gives it a value itself.
        ('os.environ.setdefault("T_TOKEN", "x")\nos.environ["T_TOKEN"]', False, False),
        ('def main():\n    os.environ["T_TOKEN"] = "x"\nos.environ["T_TOKEN"]', False, False),
        ('if not os.getenv("T_TOKEN"):\n    os.environ["T_TOKEN"] = "x"\nos.environ["T_TOKEN"]', False, False),
        ('os.environ.update({"T_TOKEN": "x"}, A="y")\nos.environ["T_TOKEN"]', False, False),
        ('os.environ["T_TOKEN"] = os.environ["T_TOKEN"].strip()', True, True),
        ('if os.getenv("DEBUG"):\n    os.environ["T_TOKEN"] = "x"\nos.environ["T_TOKEN"]', True, True),
        # Conditions.
        ('T = os.getenv("T_TOKEN")\nA = os.getenv("AA")\nif not T and not A:\n    raise ValueError', False, False),
        ('T = os.getenv("T_TOKEN")\nA = os.getenv("AA")\nif not T or not A:\n    raise ValueError', True, True),
        ('T = os.getenv("T_TOKEN")\nif not settings.DEBUG and not T:\n    raise ValueError', True, True),
        ('DEBUG = os.getenv("T_TOKEN")\nif not DEBUG and not X:\n    raise ValueError', False, False),
        ('T = os.getenv("T_TOKEN")\nif os.getenv("USE_T") and not T:\n    raise ValueError', False, False),
        ('T = os.getenv("T_TOKEN")\nif os.getenv("USE_T"):\n    if not T:\n        raise ValueError', False, False),
        ('from aiogram import Bot\nT = os.getenv("T_TOKEN")\nb = Bot(T) if T else None', False, False),
        ('from aiogram import Bot\nT = os.getenv("T_TOKEN")\nb = T and Bot(T)', False, False),
        ('from aiogram import Bot\nT = os.getenv("T_TOKEN")\nif T:\n    b = Bot(T)', False, False),
        ('from aiogram import Bot\nT = os.getenv("T_TOKEN")\nb = Bot(T)', True, True),
        # What a name holds.
        ('import subprocess\nt = os.getenv("T_TOKEN")\nif t != 1:\n    subprocess.run(t)', False, False),
        ('import discord\nclient = discord.Client()\nT = os.getenv("T_TOKEN")\nclient.run(T)', True, True),
        ('from .made import bot\nT = os.getenv("T_TOKEN")\nbot.run(T)', True, True),
        ('def a():\n    t = os.getenv("T_TOKEN")\ndef b(x):\n    if not t:\n        raise ValueError', False, False),
        ('t = os.getenv("T_TOKEN")\ndef b(t):\n    if not t:\n        raise ValueError', False, False),
        ('t = os.getenv("T_TOKEN")\nfor t in "a":\n    if not t:\n        raise ValueError', False, False),
        ('t = os.getenv("T_TOKEN") or read()\nif not t:\n    raise ValueError', False, False),
        ('t = os.getenv("T_TOKEN")\nd[t] = 1\nif not t:\n    raise ValueError', True, True),
        ('t = os.getenv("T_TOKEN") or ""\nif not t:\n    raise ValueError', True, True),
    ],
)
def test_what_must_have_a_value(tmp_path: Path, code: str, required: bool, strict: bool) -> None:
    text = f"import os, sys\nfrom telegram.ext import ApplicationBuilder\n{code}\n"
    Small(app="ship", about="", files={"requirements.txt": "aiogram\n", "bot.py": text}).write(tmp_path, "")
    found = {each.value.name: each.value for each in understand(tmp_path).projects[0].variables}["T_TOKEN"]
    assert (found.required, found.strict) == (required, strict)


@pytest.mark.parametrize(("code", "strict"), [("", True), ("if os.getenv('USE_OPENAI'):\n    ", False)])
def test_a_client_that_something_switches_on_needs_no_key(tmp_path: Path, code: str, strict: bool) -> None:
    text = f"import os\nfrom openai import OpenAI\n{code}client = OpenAI()\n"
    Small(app="ship", about="", files={"requirements.txt": "openai\n", "bot.py": text}).write(tmp_path, "")
    found = {each.value.name: each.value for each in understand(tmp_path).projects[0].variables}
    assert found["OPENAI_API_KEY"].strict is strict


def test_what_starts_in_a_project_below_starts_from_its_own_folder(tmp_path: Path) -> None:
    files = {
        "apps/api/pyproject.toml": pyproject("fastapi", "uvicorn", name="api"),
        "apps/api/src/main.py": FASTAPI,
        "apps/worker/pyproject.toml": pyproject("apscheduler", name="worker"),
        "apps/worker/run.py": "from apscheduler.schedulers.blocking import BlockingScheduler\n\n"
        "scheduler = BlockingScheduler()\nif __name__ == '__main__':\n    scheduler.start()\n",
    }
    Small(app="ship", about="", files=files).write(tmp_path, "")
    made = {each.app.name.value: each for each in write_missing(Tree(tmp_path), understand(tmp_path))}
    assert "PYTHONPATH=/app/src " in made["api"].files["apps/api/Dockerfile"]
    assert 'CMD ["python", "run.py"]' in made["worker"].files["apps/worker/Dockerfile"]
    assert "PYTHONPATH=/app " in made["worker"].files["apps/worker/Dockerfile"]
    assert not made["worker"].app.job


def test_a_workspace_whose_root_is_the_application_takes_its_code_along(tmp_path: Path) -> None:
    files = {
        "pyproject.toml": pyproject(
            "core",
            "starlette",
            "uvicorn",
            name="ship",
            more='[tool.uv.workspace]\nmembers = ["libs/*"]\n[build-system]\n',
        ),
        "uv.lock": "",
        "src/ship/__init__.py": "",
        "src/ship/main.py": "import core\n" + FASTAPI,
        "libs/core/pyproject.toml": pyproject(name="core"),
        "libs/core/core.py": "",
    }
    made = written(Small(app="ship", about="", files=files), tmp_path / "ship")
    assert {"!src", "!libs", "!uv.lock"} <= set(made.files[".dockerignore"].splitlines())


def test_django_is_served_with_its_own_settings_and_its_static_files(tmp_path: Path) -> None:
    sets = 'import os\n\nos.environ.setdefault("DJANGO_SETTINGS_MODULE", "site.settings.{}")\n'
    files = {
        "requirements.txt": "django\ngunicorn\npsycopg[binary]\n",
        "manage.py": sets.format("local") + "from django.core.management import execute_from_command_line\n",
        "site/__init__.py": "",
        "site/settings/__init__.py": "",
        "site/settings/base.py": 'import environ\n\nenv = environ.Env()\nSTATIC_ROOT = "static"\n',
        "site/settings/local.py": "from .base import *\n",
        "site/settings/production.py": 'from .base import *\n\nSECRET_KEY = env("SECRET_KEY")\nDB = env("DB_URL")\n',
        "site/wsgi.py": sets.format("production")
        + "from django.core.wsgi import get_wsgi_application\n\napplication = get_wsgi_application()\n",
    }
    text = written(Small(app="ship", about="", files=files), tmp_path / "ship").files["Dockerfile"]
    assert "    DJANGO_SETTINGS_MODULE=site.settings.production \\\n" in text
    collect = next(each.text for each in parse(text).stages[1].instructions if "collectstatic" in each.text)
    assert collect == (
        "SECRET_KEY=made-up DB_URL=postgresql://localhost:5432/app DJANGO_SETTINGS_MODULE=site.settings.production "
        ".venv/bin/python manage.py collectstatic --no-input"
    )


SETS = 'import os\n\nos.environ.setdefault("DJANGO_SETTINGS_MODULE", "{}")\n'
SERVES = "from django.core.wsgi import get_wsgi_application\n\napplication = get_wsgi_application()\n"
SITE = {
    "requirements.txt": "django\ngunicorn\npsycopg\n", "manage.py": SETS.format("site.settings"),
    "site/__init__.py": "", "site/wsgi.py": SETS.format("site.settings") + SERVES,
}  # fmt: skip


@pytest.mark.parametrize(
    ("files", "collects"),
    [
        ({"site/settings.py": "STATIC_ROOT = 'x'\n"}, True),
        ({"site/settings.py": "from .parts.base import *\n", "site/parts/base.py": "STATIC_ROOT = 'x'\n"}, True),
        ({"site/settings.py": "from .settings import *\nfrom site.a import *\n", "site/a.py": "A = 1\n"}, False),
        ({"site/settings.py": "A = 1\n", "site/settings_prod.py": "STATIC_ROOT = 'x'\n"}, False),
        ({"site/settings.py": "A = 1\n", "other/settings.py": "STATIC_ROOT = 'x'\n"}, False),
        (
            {
                "site/settings.py": "import os\nA = os.environ['DJANGO_SETTINGS_MODULE']\nSTATIC_ROOT = 'x'\n",
                "site/wsgi.py": f"import os\nos.environ['DJANGO_SETTINGS_MODULE'] = 'site.settings'\n{SERVES}",
            },
            True,
        ),
    ],
)
def test_static_files_are_collected_where_the_served_settings_say_so(
    tmp_path: Path, files: dict[str, str], collects: bool
) -> None:
    made = written(Small(app="ship", about="", files=SITE | files), tmp_path / "ship").files
    assert ("collectstatic" in made["Dockerfile"]) is collects
    assert "DJANGO_SETTINGS_MODULE" not in "".join(made.values())
    # The command loads the dependencies, and these their libraries.
    base, _, last = parse(made["Dockerfile"]).stages
    found = [any("libpq5" in each.text for each in stage.instructions) for stage in (base, last)]
    assert found == [collects, not collects]


def test_what_a_person_says_comes_first(tmp_path: Path) -> None:
    Small(app="ship", about="", files={"requirements.txt": "flask\n", "app.py": FLASK}).write(tmp_path, "")
    found = understand(tmp_path)
    (made,) = write_missing(Tree(tmp_path), answered(found, {("--server", ""): "waitress"}))
    text = made.files["Dockerfile"]
    assert "/opt/tool/bin/pip --python /app/.venv/bin/python install waitress==3.0.2" in text
    assert 'CMD ["waitress-serve", "--listen=0.0.0.0:8000", "app:app"]' in text
    assert "STOPSIGNAL SIGINT" in text
    (made,) = write_missing(Tree(tmp_path), answered(found, {("--command", ""): "ship serve --port 7000"}))
    assert 'CMD ["ship", "serve", "--port", "7000"]' in made.files["Dockerfile"]
    assert "create_connection(('127.0.0.1', 7000)" in made.files["Dockerfile"]
    assert made.app.command is None


@pytest.mark.parametrize(
    ("option", "value", "says"),
    [
        ("--server", "apache", "apache is none of gunicorn, waitress"),
        ("--module", "app:other", "app:other is no application that its code makes"),
        ("--command", "'", "is no command: No closing quotation"),
        ("--port", "0", "'0' is no port"),
    ],
)
def test_an_answer_that_cannot_be_taken_is_told(option: str, value: str, says: str, tmp_path: Path) -> None:
    Small(app="ship", about="", files={"requirements.txt": "flask\n", "app.py": FLASK}).write(tmp_path, "")
    with pytest.raises(SettingsError, match=re.escape(says)):
        write_missing(Tree(tmp_path), answered(understand(tmp_path), {(option, ""): value}))


@pytest.mark.parametrize(
    ("files", "says", "fix"),
    [
        (
            {"requirements.txt": "flask\n", "app.py": FLASK},
            "no WSGI server is among its dependencies",
            "requirements.txt",
        ),
        ({"pyproject.toml": pyproject("fastapi"), "main.py": FASTAPI}, "no ASGI server", "uvicorn"),
        (
            {"pyproject.toml": pyproject("a", more="[tool.uv.sources]\na = {workspace = true}\n"), "ship.py": LOOP},
            "it needs another member of its workspace",
            "`uv lock`",
        ),
        ({"pyproject.toml": pyproject(), "shop/__init__.py": ""}, "how it starts cannot be told", "--module"),
        (
            {"pyproject.toml": pyproject("uvicorn", "fastapi").replace(">=3.11", "<3.9"), "main.py": FASTAPI},
            "there is no image of a Python that '<3.9' allows",
            "Allow one of these",
        ),
        (
            {
                "environment.yml": "name: ship\ndependencies:\n  - python=3.12\n  - fastapi\n  - uvicorn\n",
                "main.py": FASTAPI,
            },
            "there is no recipe for conda",
            "Write a Dockerfile",
        ),
    ],
)
def test_what_nobody_can_write_is_told(files: dict[str, str], says: str, fix: str, tmp_path: Path) -> None:
    with pytest.raises(SettingsError) as caught:
        written(Small(app="ship", about="", files=files), tmp_path)
    assert says in caught.value.what
    assert fix in caught.value.fix
    assert caught.value.where


def test_pinned_requirements_in_a_folder_below_are_built_from_the_project(tmp_path: Path) -> None:
    for name, text in {
        "pyproject.toml": pyproject("uvicorn", name="ship"),
        "ship.py": FASTAPI,
        "requirements/all.txt": "a==1\n",
    }.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text, encoding="utf-8")
    (made,) = write_missing(Tree(tmp_path), understand(tmp_path))
    assert made.app.context.value == "."
    assert "--requirement requirements/all.txt" in made.files["Dockerfile"]
    assert ".dockerignore" in made.files
