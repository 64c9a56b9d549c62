"""Small projects of the shapes that real ones have: each installer, several ways to start."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from seatrial.adopt.installers import PDM, PIPENV, POETRY

if TYPE_CHECKING:
    from pathlib import Path

FASTAPI = """\
from fastapi import FastAPI

app = FastAPI()


@app.get("/healthz")
def health() -> dict[str, str]:
    return {"status": "ok"}
"""
STARLETTE = """\
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route

app = Starlette(routes=[Route("/health", lambda request: PlainTextResponse("ok"))])
"""
LITESTAR = """\
from litestar import Litestar, get


@get("/health", sync_to_thread=False)
def health() -> str:
    return "ok"


app = Litestar([health])
"""
FLASK = """\
from flask import Flask

app = Flask(__name__)


@app.get("/")
def index() -> str:
    return "ahoy"
"""
FACTORY = """\
from flask import Flask


def create_app() -> Flask:
    app = Flask(__name__)
    app.add_url_rule("/health", view_func=lambda: "ok")
    return app
"""
AIOHTTP = """\
from aiohttp import web


async def health(request: web.Request) -> web.Response:
    return web.Response(text="ok")


app = web.Application()
app.router.add_get("/health", health)

if __name__ == "__main__":
    web.run_app(app, host="0.0.0.0", port=8080)
"""
SANIC = """\
from sanic import Sanic, text

app = Sanic("ship")


@app.get("/health")
async def health(request):
    return text("ok")
"""
STREAMLIT = """\
import streamlit as st

st.title("Ahoy")
"""
CELERY = """\
import os

from celery import Celery

app = Celery("ship", broker=os.environ.get("CELERY_BROKER_URL", "redis://localhost:6379/0"))


@app.task
def add(x: int, y: int) -> int:
    return x + y
"""
BATCH = """\
import json
from pathlib import Path


def main() -> None:
    print(json.loads(Path("data/ports.json").read_text())["home"])


if __name__ == "__main__":
    main()
"""
LOOP = """\
import signal
import sys
import time


def main() -> None:
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    print("watching", flush=True)
    while True:
        time.sleep(1)


if __name__ == "__main__":
    main()
"""
MANAGE = """\
import os
import sys

if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "harbour.settings")
    from django.core.management import execute_from_command_line

    execute_from_command_line(sys.argv)
"""
DJANGO = {
    "manage.py": MANAGE,
    "harbour/__init__.py": "",
    "harbour/settings.py": (
        "import os\n\nSECRET_KEY = os.environ.get('SECRET_KEY', 'not-for-production')\nDEBUG = False\n"
        "ALLOWED_HOSTS = ['*']\nROOT_URLCONF = 'harbour.urls'\nWSGI_APPLICATION = 'harbour.wsgi.application'\n"
        "DATABASES = {}\nINSTALLED_APPS = []\n"
    ),
    "harbour/urls.py": (
        "from django.http import HttpResponse\nfrom django.urls import path\n\n"
        "urlpatterns = [path('health/', lambda request: HttpResponse('ok'))]\n"
    ),
    "harbour/wsgi.py": (
        "import os\n\nfrom django.core.wsgi import get_wsgi_application\n\n"
        "os.environ.setdefault('DJANGO_SETTINGS_MODULE', 'harbour.settings')\napplication = get_wsgi_application()\n"
    ),
    "harbour/asgi.py": (
        "import os\n\nfrom django.core.asgi import get_asgi_application\n\n"
        "os.environ.setdefault('DJANGO_SETTINGS_MODULE', 'harbour.settings')\napplication = get_asgi_application()\n"
    ),
}
HATCH = (
    '[build-system]\nrequires = ["hatchling"]\nbuild-backend = "hatchling.build"\n'
    '[tool.hatch.build.targets.wheel]\npackages = ["{package}"]\n'
)


def pyproject(*dependencies: str, more: str = "", name: str = "{app}") -> str:
    listed = ", ".join(f'"{each}"' for each in dependencies)
    return f'[project]\nname = "{name}"\nversion = "1.2"\nrequires-python = ">=3.11"\ndependencies = [{listed}]\n{more}'


POETRY_PROJECT = (
    '[tool.poetry]\nname = "{app}"\nversion = "1.2"\ndescription = ""\nauthors = []\n'
    'packages = [{include = "ship"}]\n\n'
    '[tool.poetry.dependencies]\npython = "^3.11"\nlitestar = "^2"\nuvicorn = "*"\n\n'
    '[[tool.poetry.source]]\nname = "index"\nurl = "{index}"\n\n'
    '[build-system]\nrequires = ["poetry-core"]\nbuild-backend = "poetry.core.masonry.api"\n'
)


@dataclass(frozen=True, kw_only=True)
class Small:
    """A project, and what makes its lock; in its texts, `{app}` is its name and `{index}` the package index."""

    app: str
    """Its name, as nothing else on the engine is called."""
    about: str
    files: dict[str, str]
    lock: str = ""
    """A command, run in its folder before it is adopted."""

    def write(self, folder: Path, index: str) -> None:
        """Write its files."""
        for name, text in self.files.items():
            file = folder / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text.replace("{app}", self.app).replace("{index}", index), encoding="utf-8")


UV_LOCK = "uv lock"
POETRY_LOCK, PDM_LOCK, PIPENV_LOCK = (
    f"uvx --from {tool} {' '.join(f'--with {each}' for each in more)} {tool.partition('==')[0]} lock"
    for tool, *more in (POETRY, PDM, PIPENV)
)

WITHOUT = (
    Small(
        app="adopt-flat",
        about="uv, FastAPI in a flat module",
        files={"pyproject.toml": pyproject("fastapi", "uvicorn"), "main.py": FASTAPI},
        lock=UV_LOCK,
    ),
    Small(
        app="adopt-package",
        about="uv, a package in src with a Flask factory",
        files={
            "pyproject.toml": pyproject("flask", "gunicorn", more=HATCH.format(package="src/ship")),
            "README.md": "# ship\n",
            "src/ship/__init__.py": "",
            "src/ship/app.py": FACTORY,
        },
        lock=UV_LOCK,
    ),
    Small(
        app="adopt-workspace",
        about="uv, a workspace",
        files={
            "pyproject.toml": '[tool.uv.workspace]\nmembers = ["packages/*"]\n',
            "packages/core/pyproject.toml": pyproject(name="core", more=HATCH.format(package="src/core")),
            "packages/core/src/core/__init__.py": "STATUS = 'ok'\n",
            "packages/web/pyproject.toml": pyproject(
                *("core", "starlette", "uvicorn"),
                more=HATCH.format(package="src/web") + "[tool.uv.sources]\ncore = {workspace = true}\n",
            ),
            "packages/web/src/web/__init__.py": "",
            "packages/web/src/web/main.py": "import core\n" + STARLETTE.replace('"ok"', "core.STATUS"),
        },
        lock=UV_LOCK,
    ),
    Small(
        app="adopt-poetry",
        about="Poetry, Litestar",
        files={
            "pyproject.toml": POETRY_PROJECT,
            "ship/__init__.py": "",
            "ship/app.py": LITESTAR,
        },
        lock=POETRY_LOCK,
    ),
    Small(
        app="adopt-pdm",
        about="PDM, aiohttp by a script",
        files={
            "pyproject.toml": pyproject("aiohttp", more="[tool.pdm]\ndistribution = false\n"),
            "server.py": AIOHTTP,
        },
        lock=PDM_LOCK,
    ),
    Small(
        app="adopt-pipenv",
        about="Pipenv, Flask",
        files={
            "Pipfile": '[[source]]\nurl = "{index}"\nverify_ssl = true\nname = "index"\n\n'
            '[packages]\nflask = "*"\ngunicorn = "*"\n\n[dev-packages]\npytest = "*"\n',
            "app.py": FLASK,
        },
        lock=PIPENV_LOCK,
    ),
    Small(
        app="adopt-pylock",
        about="pylock.toml, Sanic",
        files={"pyproject.toml": pyproject("sanic"), "app.py": SANIC},
        lock=f"{UV_LOCK} && uv export --quiet --no-emit-project --output-file pylock.toml && rm uv.lock",
    ),
    Small(
        app="adopt-wsgi",
        about="requirements with hashes, Django by WSGI",
        files={"requirements.in": "django\ngunicorn\n", **DJANGO},
        lock="uv pip compile --quiet --generate-hashes requirements.in --output-file requirements.txt",
    ),
    Small(
        app="adopt-asgi",
        about="requirements without pins, Django by ASGI",
        files={"requirements.txt": "django\nuvicorn\n", **DJANGO},
    ),
    Small(
        app="adopt-celery",
        about="requirements, a Celery worker",
        files={"requirements.txt": "celery[redis]\n", "tasks.py": CELERY},
    ),
    Small(
        app="adopt-console",
        about="setup.py, a console script that goes on",
        files={
            "setup.py": "from setuptools import find_packages, setup\n\nsetup(name='{app}', version='1', "
            "packages=find_packages(), entry_points={'console_scripts': ['{app}=ship.watch:main']})\n",
            "ship/__init__.py": "",
            "ship/watch.py": LOOP,
        },
    ),
    Small(
        app="adopt-job",
        about="plain pyproject, a batch job with data",
        files={"pyproject.toml": pyproject(), "job.py": BATCH, "data/ports.json": '{"home": "Hamburg"}\n'},
    ),
    Small(
        app="adopt-odd-names",
        about="a package that reads files of odd names, beside its pyproject",
        files={
            "pyproject.toml": pyproject("six==1.17.0", more=HATCH.format(package="ship")),
            "requirements/all of it.txt": "six==1.17.0\n",
            "ship/__init__.py": "import six\n",
            "ship/__main__.py": 'print(open("my data/ä b.txt").read(), open("it\'s $x [1]/-c.txt").read())\n' + LOOP,
            "my data/ä b.txt": "b",
            "it's $x [1]/-c.txt": "c",
            "-d/e.txt": "e",
        },
    ),
    Small(
        app="adopt-main",
        about="pyproject with a backend and no lock, __main__",
        files={
            "pyproject.toml": pyproject(more=HATCH.format(package="ship")),
            "ship/__init__.py": "",
            "ship/__main__.py": LOOP,
        },
    ),
    Small(
        app="adopt-streamlit",
        about="requirements, Streamlit",
        files={"requirements.txt": "streamlit\n", "app.py": STREAMLIT},
    ),
)

USER = "RUN useradd --uid 10001 --no-create-home ship\nUSER 10001\n"
ASKS = (
    "HEALTHCHECK --start-interval=1s --start-period=30s CMD "
    '["python", "-c", "import urllib.request as r; r.urlopen(\'http://127.0.0.1:8000{}\')"]\n'
)
PLAIN = (
    "FROM python:3.12-slim\nWORKDIR /srv\nCOPY requirements.txt .\nRUN pip install --no-cache-dir -r requirements.txt\n"
    f"COPY . .\n{USER}EXPOSE 8000\n{ASKS.format('/healthz')}"
)
UVICORN = 'CMD ["uvicorn", "main:app", "--host", "0.0.0.0", "--port", "8000"]\n'
READS = FASTAPI.replace("app = FastAPI()", 'import os\n\nGREETING = os.environ["GREETING"]\napp = FastAPI()')

WITH = (
    Small(
        app="adopt-own-plain",
        about="a Dockerfile and a compose file in the top folder",
        files={
            "requirements.txt": "fastapi\nuvicorn\n",
            "main.py": FASTAPI,
            "Dockerfile": PLAIN + UVICORN,
            "compose.yaml": "services:\n  web:\n    build: .\n    ports: ['8000:8000']\n",
        },
    ),
    Small(
        app="adopt-own-prod",
        about="Dockerfile.prod, which only the compose file names",
        files={
            "requirements.txt": "fastapi\nuvicorn\n",
            "main.py": FASTAPI,
            "Dockerfile": 'FROM python:3.12-slim\nCMD ["python", "-c", "raise SystemExit(1)"]\n',
            "Dockerfile.prod": PLAIN + UVICORN,
            "docker-compose.yml": "services:\n  web:\n    build: {context: ., dockerfile: Dockerfile.prod}\n",
        },
    ),
    Small(
        app="adopt-own-folder",
        about="a docker folder whose context is the one above",
        files={
            "requirements.txt": "fastapi\nuvicorn\n",
            "main.py": FASTAPI,
            "docker/Dockerfile": PLAIN + UVICORN,
            "docker/compose.yml": "services:\n  web:\n    build: {context: .., dockerfile: docker/Dockerfile}\n",
        },
    ),
    Small(
        app="adopt-own-target",
        about="a target that is not the last stage",
        files={
            "requirements.txt": "fastapi\nuvicorn\n",
            "main.py": FASTAPI,
            "Dockerfile": PLAIN.replace("FROM python:3.12-slim", "FROM python:3.12-slim AS prod")
            + UVICORN
            + 'FROM prod AS tests\nUSER root\nRUN pip install --no-cache-dir pytest==8.4.2\nCMD ["pytest"]\n',
            "compose.yaml": "services:\n  web:\n    build:\n      context: .\n      target: prod\n",
        },
    ),
    Small(
        app="adopt-own-argument",
        about="a build argument without a value, which the compose file gives",
        files={
            "requirements.txt": "fastapi\nuvicorn\n",
            "main.py": FASTAPI,
            "Dockerfile": "ARG BASE\n" + PLAIN.replace("FROM python:3.12-slim", "FROM python:${BASE}") + UVICORN,
            "compose.yaml": "services:\n  web:\n    build:\n      context: .\n      args:\n        BASE: 3.12-slim\n",
        },
    ),
    Small(
        app="adopt-own-override",
        about="an override for development",
        files={
            "requirements.txt": "fastapi\nuvicorn\n",
            "main.py": FASTAPI,
            "Dockerfile": PLAIN + UVICORN,
            "docker-compose.yml": "services:\n  web:\n    build: .\n",
            "docker-compose.override.yml": (
                "services:\n  web:\n    volumes: ['.:/srv']\n    command: uvicorn main:app --reload\n"
            ),
        },
    ),
    Small(
        app="adopt-own-two",
        about="two services of one image",
        files={
            "requirements.txt": "fastapi\nuvicorn\n",
            "main.py": FASTAPI,
            "watch.py": LOOP,
            "Dockerfile": PLAIN + UVICORN,
            "compose.yaml": (
                "services:\n  web:\n    build: .\n  watch:\n    build: .\n    command: python watch.py\n"
                "    healthcheck:\n      disable: true\n"
            ),
        },
    ),
    Small(
        app="adopt-own-below",
        about="a package in a folder below, beside a frontend",
        files={
            "frontend/package.json": "{}\n",
            "backend/requirements.txt": "fastapi\nuvicorn\n",
            "backend/main.py": FASTAPI,
            "backend/Dockerfile": PLAIN + UVICORN,
            "compose.yaml": "services:\n  backend:\n    build: ./backend\n",
        },
    ),
    Small(
        app="adopt-own-environment",
        about="a variable that it needs, in the compose file",
        files={
            "requirements.txt": "fastapi\nuvicorn\n",
            "main.py": READS,
            "Dockerfile": PLAIN + UVICORN,
            "compose.yaml": "services:\n  web:\n    build: .\n    environment:\n      GREETING: ahoy\n",
        },
    ),
    Small(
        app="adopt-own-gunicorn",
        about="gunicorn with a file of its own, and no compose file",
        files={
            "requirements.txt": "flask\ngunicorn\n",
            "app.py": FLASK,
            "gunicorn.conf.py": 'bind = "0.0.0.0:8000"\nworker_tmp_dir = "/dev/shm"\n',
            "Dockerfile": PLAIN.replace("/healthz", "/") + 'CMD ["gunicorn", "app:app"]\n',
        },
    ),
    Small(
        app="adopt-own-uv",
        about="uv's own image, and a file called web.Dockerfile",
        files={
            "pyproject.toml": pyproject("fastapi", "uvicorn"),
            "main.py": FASTAPI,
            "web.Dockerfile": (
                "FROM ghcr.io/astral-sh/uv:python3.12-bookworm-slim\nWORKDIR /srv\nCOPY pyproject.toml uv.lock ./\n"
                f"RUN uv sync --locked --no-dev --no-cache --compile-bytecode\nCOPY main.py .\n{USER}EXPOSE 8000\n"
                f'ENV PATH="/srv/.venv/bin:$PATH"\n{ASKS.format("/healthz")}{UVICORN}'
            ),
        },
        lock=UV_LOCK,
    ),
    Small(
        app="adopt-own-bot",
        about="a bot without a health check, by poetry in the full image",
        files={
            "pyproject.toml": POETRY_PROJECT.replace('litestar = "^2"\nuvicorn = "*"\n', 'six = "*"\n'),
            "ship/__init__.py": "",
            "ship/__main__.py": "import six\n\n" + LOOP,
            "Dockerfile": (
                "FROM python:3.12-slim\nENV POETRY_VIRTUALENVS_CREATE=false\nWORKDIR /srv\n"
                "RUN pip install --no-cache-dir poetry==2.5.1\nCOPY pyproject.toml poetry.lock ./\n"
                f"RUN poetry install --only main --no-root --no-interaction\nCOPY ship ship\n{USER}"
                'CMD ["python", "-m", "ship"]\n'
            ),
        },
        lock=POETRY_LOCK,
    ),
)
