"""Small projects, each of its own shape: their files, and what is to be understood of them.

`PROJECT` stands for the name of the folder.
"""

from __future__ import annotations

from typing import Any

from seatrial.adopt.model import Sure

FASTAPI = "from fastapi import FastAPI\n\napp = FastAPI()\n\n\n@app.get('/health')\ndef health(): ...\n"
FLASK_FACTORY = "from flask import Flask\n\n\ndef create_app():\n    app = Flask(__name__)\n    return app\n"
DOCKERFILE = "FROM python:3.12-slim\nWORKDIR /app\nCOPY . .\nRUN pip install .\n"

SHAPES: dict[str, tuple[dict[str, str], dict[str, Any]]] = {
    "uv and FastAPI in a src layout": (
        {
            "pyproject.toml": (
                "[project]\n"
                'name = "shop"\n'
                'version = "1"\n'
                'dependencies = ["fastapi", "uvicorn"]\n'
                'requires-python = ">=3.12"\n'
            ),
            "uv.lock": "version = 1\n",
            "src/shop/__init__.py": "",
            "src/shop/api.py": FASTAPI,
        },
        {
            "name": "shop",
            "installer": "uv",
            "lock": "uv.lock",
            "python": ">=3.12",
            "layout": "src",
            "packages": ["shop"],
            "start": ("web", "FastAPI", "shop.api:app"),
            "sure": Sure.INFERRED,
            "server": "uvicorn",
            "from": "src",
            "port": (8000, Sure.GUESSED),
            "health": ("/health", Sure.INFERRED),
            "asks": [],
            "apps": [("shop", ".", None)],
            "command": "uvicorn shop.api:app --host 0.0.0.0 --port 8000",
        },
    ),
    "poetry and a Flask factory that nothing calls": (
        {
            "pyproject.toml": (
                "[tool.poetry]\n"
                'name = "blog"\n'
                "[tool.poetry.dependencies]\n"
                'python = "^3.11"\n'
                'flask = "^3"\n'
                'gunicorn = "*"\n'
                'sentry = {version = "1", optional = true}\n'
            ),
            "poetry.lock": "",
            "blog/__init__.py": FLASK_FACTORY,
        },
        {
            "name": "blog",
            "installer": "poetry",
            "lock": "poetry.lock",
            "python": "^3.11",
            "layout": "flat",
            "start": ("web", "Flask", "blog:create_app"),
            "factory": True,
            "server": "gunicorn",
            "command": "gunicorn --bind 0.0.0.0:8000 blog:create_app()",
        },
    ),
    "a factory in another module that wsgi.py calls": (
        {
            "requirements.txt": "flask==3.0.0\nwaitress==3.0.0\n",
            "shop/__init__.py": FLASK_FACTORY,
            "wsgi.py": "from shop import create_app\n\napplication = create_app()\n",
        },
        {
            "installer": "pip",
            "lock": "requirements.txt",
            "start": ("web", "Flask", "wsgi:application"),
            "factory": False,
            "server": "waitress",
            "command": "waitress-serve --listen=0.0.0.0:8000 wsgi:application",
        },
    ),
    "pdm, Litestar, no server": (
        {
            "pyproject.toml": '[project]\nname = "shop"\nversion = "1"\ndependencies = ["litestar"]\n',
            "pdm.lock": "",
            "app.py": "from litestar import Litestar\n\napp = Litestar([])\n",
        },
        {
            "installer": "pdm",
            "layout": "scripts",
            "start": ("web", "Litestar", "app:app"),
            "server": "",
            "asks": ["--server", "Python version"],
        },
    ),
    "pipenv and Starlette": (
        {
            "Pipfile": '[packages]\nstarlette = "*"\nhypercorn = "*"\n[requires]\npython_version = "3.12"\n',
            "Pipfile.lock": "{}",
            "main.py": "import starlette.applications as s\n\napp = s.Starlette()\n",
        },
        {
            "installer": "pipenv",
            "lock": "Pipfile.lock",
            "python": "3.12",
            "start": ("web", "Starlette", "main:app"),
            "server": "hypercorn",
            "command": "hypercorn --bind 0.0.0.0:8000 main:app",
        },
    ),
    "pylock.toml": (
        {
            "pyproject.toml": '[project]\nname = "shop"\nversion = "1"\ndependencies = []\n',
            "pylock.toml": 'lock-version = "1.0"\ncreated-by = "uv"\n',
            "run.py": "print(1)\n",
        },
        {
            "installer": "uv",
            "lock": "pylock.toml",
        },
    ),
    "requirements with hashes, and one for development": (
        {
            "requirements.txt": "flask==3.0.0 \\\n    --hash=sha256:aa\n",
            "requirements-dev.txt": "-r requirements.txt\npytest\n",
            "app.py": (
                "from flask import Flask\napp = Flask(__name__)\nif __name__ == '__main__':\n    app.run(port=5001)\n"
            ),
        },
        {
            "requirements": [("requirements-dev.txt", False, False, True), ("requirements.txt", True, True, False)],
            "lock": "requirements.txt",
            "start": ("web", "Flask", "app:app"),
            "port": (5001, Sure.INFERRED),
        },
    ),
    "requirements without pins in a folder": (
        {
            "requirements/base.txt": "django>=5\n",
            "requirements/dev.txt": "pytest\n",
            "requirements/prod.txt": "-r base.txt\ngunicorn\n",
            "manage.py": ("import django, os\nos.environ.setdefault('DJANGO_SETTINGS_MODULE', 'site1.settings')\n"),
            "site1/__init__.py": "",
            "site1/settings.py": "import os\nSECRET_KEY = os.environ['SECRET_KEY']\n",
            "site1/urls.py": "from django.urls import path\nurlpatterns = [path('healthz/', lambda r: None)]\n",
            "site1/wsgi.py": (
                "from django.core.wsgi import get_wsgi_application\napplication = get_wsgi_application()\n"
            ),
            "site1/asgi.py": (
                "from django.core.asgi import get_asgi_application\napplication = get_asgi_application()\n"
            ),
        },
        {
            "installer": "pip",
            "lock": None,
            "start": ("web", "Django", "site1.wsgi:application"),
            "server": "gunicorn",
            "variables": {"SECRET_KEY": True},
            "migrations": ["python manage.py migrate"],
            "health": ("/healthz/", Sure.INFERRED),
        },
    ),
    "Django by ASGI, where the server says so": (
        {
            "pyproject.toml": '[project]\nname = "shop"\nversion = "1"\ndependencies = ["django", "daphne"]\n',
            "manage.py": "import django\n",
            "shop/__init__.py": "",
            "shop/wsgi.py": (
                "from django.core.wsgi import get_wsgi_application\napplication = get_wsgi_application()\n"
            ),
            "shop/asgi.py": (
                "from django.core.asgi import get_asgi_application\napplication = get_asgi_application()\n"
            ),
        },
        {
            "start": ("web", "Django", "shop.asgi:application"),
            "server": "daphne",
        },
    ),
    "setup.py": (
        {
            "setup.py": (
                "from setuptools import setup\n"
                "REQUIRES = ['aiohttp>=3', 'asyncpg']\n"
                "setup(name='poll', python_requires='>=3.10',\n"
                "      install_requires=REQUIRES, entry_points={'console_scripts': ['poll=poll.main:run']})\n"
            ),
            "poll/__init__.py": "",
            "poll/main.py": (
                "from aiohttp import web\napp = web.Application()\n\n\ndef run():\n    web.run_app(app, port=8090)\n"
            ),
        },
        {
            "name": "poll",
            "installer": "pip",
            "python": ">=3.10",
            "start": ("web", "aiohttp", "poll.main:run"),
            "command": "poll",
            "port": (8090, Sure.INFERRED),
            "services": ["postgres"],
        },
    ),
    "setup.cfg": (
        {
            "setup.cfg": (
                "[metadata]\n"
                "name = tool\n"
                "[options]\n"
                "python_requires = >=3.9\n"
                "package_dir =\n"
                "    =src\n"
                "install_requires =\n"
                "    click\n"
                "[options.entry_points]\n"
                "console_scripts =\n"
                "    tool = tool.cli:main\n"
            ),
            "setup.py": "from setuptools import setup\nsetup()\n",
            "src/tool/__init__.py": "",
            "src/tool/cli.py": "def main(): ...\n",
        },
        {
            "name": "tool",
            "python": ">=3.9",
            "layout": "src",
            "start": ("command", "", "tool.cli:main"),
            "command": "tool",
            "sure": Sure.STATED,
        },
    ),
    "plain pyproject, a batch job": (
        {
            "pyproject.toml": '[project]\nname = "report"\nversion = "1"\ndependencies = ["pandas"]\n',
            "report/__init__.py": "",
            "report/__main__.py": "print(1)\n",
        },
        {
            "installer": "pip",
            "lock": None,
            "start": ("command", "", "report"),
            "command": "python -m report",
        },
    ),
    "a script alone": (
        {
            "requirements.txt": "requests\n",
            "job.py": ("import subprocess\nif __name__ == '__main__':\n    subprocess.run(['ffmpeg', '-version'])\n"),
        },
        {
            "layout": "scripts",
            "start": ("command", "", "job"),
            "command": "python job.py",
            "programs": ["ffmpeg"],
        },
    ),
    "a workspace with members": (
        {
            "pyproject.toml": (
                '[tool.uv.workspace]\nmembers = ["packages/*", "services/*"]\nexclude = ["packages/old"]\n'
            ),
            "uv.lock": "",
            "packages/old/pyproject.toml": '[project]\nname = "old"\nversion = "1"\ndependencies = []\n',
            "packages/core/pyproject.toml": '[project]\nname = "core"\nversion = "1"\ndependencies = []\n',
            "packages/core/src/core/__init__.py": "",
            "services/api/pyproject.toml": (
                '[project]\nname = "api"\nversion = "1"\ndependencies = ["fastapi[standard]"]\n'
            ),
            "services/api/api/__init__.py": "",
            "services/api/api/main.py": FASTAPI,
        },
        {
            "folder": "services/api",
            "installer": "uv",
            "lock": "uv.lock",
            "start": ("web", "FastAPI", "api.main:app"),
            "server": "uvicorn",
            "apps": [("api", "services/api", None)],
        },
    ),
    "a package in a folder below": (
        {
            "README.md": "",
            "frontend/package.json": "{}",
            "backend/pyproject.toml": (
                '[project]\nname = "backend"\nversion = "1"\ndependencies = ["fastapi", "uvicorn"]\n'
            ),
            "backend/app/__init__.py": "",
            "backend/app/main.py": FASTAPI,
        },
        {
            "folder": "backend",
            "start": ("web", "FastAPI", "app.main:app"),
            "from": "backend",
        },
    ),
    "modules that import their neighbours run in their folder": (
        {
            "requirements.txt": "fastapi\nuvicorn\n",
            "app/main.py": ("import models\n" + FASTAPI),
            "app/models.py": "",
        },
        {
            "start": ("web", "FastAPI", "main:app"),
            "from": "app",
        },
    ),
    "src is itself the package": (
        {
            "requirements.txt": "fastapi\nuvicorn\n",
            "src/main.py": ("from src.config import x\n" + FASTAPI),
            "src/config.py": "x = 1\n",
        },
        {
            "start": ("web", "FastAPI", "src.main:app"),
            "from": ".",
        },
    ),
    "sanic": (
        {
            "requirements.txt": "sanic\n",
            "server.py": "from sanic import Sanic\napp = Sanic('shop')\n",
        },
        {
            "start": ("web", "Sanic", "server:app"),
            "command": "sanic server:app --host=0.0.0.0",
        },
    ),
    "streamlit": (
        {
            "requirements.txt": "streamlit\n",
            "streamlit_app.py": "import streamlit as st\nst.title('x')\n",
            ".streamlit/config.toml": "",
        },
        {
            "start": ("web", "Streamlit", "streamlit_app.py"),
            "command": "streamlit run streamlit_app.py",
            "port": (8501, Sure.GUESSED),
            "data": [".streamlit"],
        },
    ),
    "celery": (
        {
            "requirements.txt": "celery[redis]==5.4\n",
            "jobs/__init__.py": "",
            "jobs/tasks.py": "from celery import Celery\napp = Celery('jobs')\n",
        },
        {
            "start": ("worker", "Celery", "jobs.tasks:app"),
            "command": "celery -A jobs.tasks worker",
            "services": ["redis"],
        },
    ),
    "celery without a broker": (
        {
            "requirements.txt": "celery\n",
            "tasks.py": "from celery import Celery\napp = Celery('jobs')\n",
        },
        {
            "start": ("worker", "Celery", "tasks:app"),
            "services": [],
            "asks": ["--name", "Python version", "broker"],
        },
    ),
    "arq": (
        {
            "pyproject.toml": '[project]\nname = "jobs"\nversion = "1"\ndependencies = ["arq"]\n',
            "jobs/__init__.py": "",
            "jobs/worker.py": "class WorkerSettings:\n    functions = []\n",
        },
        {
            "start": ("worker", "arq", "jobs.worker:WorkerSettings"),
            "command": "arq jobs.worker.WorkerSettings",
            "services": ["redis"],
        },
    ),
    "dramatiq": (
        {
            "requirements.txt": "dramatiq[rabbitmq]\n",
            "work.py": "import dramatiq\n\n\n@dramatiq.actor\ndef count(): ...\n",
        },
        {
            "start": ("worker", "dramatiq", "work"),
            "command": "dramatiq work",
            "services": ["rabbitmq"],
        },
    ),
    "a Discord bot": (
        {
            "requirements.txt": "discord.py\n",
            "bot.py": (
                "import os\n"
                "import discord\n"
                "client = discord.Client(intents=None)\n"
                "client.run(os.environ['DISCORD_TOKEN'])\n"
            ),
        },
        {
            "start": ("bot", "discord.py", "bot"),
            "command": "python bot.py",
            "variables": {"DISCORD_TOKEN": True},
        },
    ),
    "an aiogram bot in a package": (
        {
            "pyproject.toml": '[project]\nname = "echo"\nversion = "1"\ndependencies = ["aiogram"]\n',
            "echo/__init__.py": "",
            "echo/__main__.py": (
                "from aiogram import Bot, Dispatcher\n"
                "\n"
                "\n"
                "async def main():\n"
                "    dp = Dispatcher()\n"
                "    await dp.start_polling(Bot('x'))\n"
            ),
        },
        {
            "start": ("bot", "aiogram", "echo"),
            "command": "python -m echo",
        },
    ),
    "a Telegram bot by its builder": (
        {
            "requirements.txt": "python-telegram-bot\n",
            "main.py": (
                "from telegram.ext import ApplicationBuilder\n"
                "\n"
                "\n"
                "def main():\n"
                "    app = ApplicationBuilder().token('x').build()\n"
                "    app.run_polling()\n"
                "\n"
                "\n"
                "if __name__ == '__main__':\n"
                "    main()\n"
            ),
        },
        {
            "start": ("bot", "python-telegram-bot", "main"),
            "command": "python main.py",
        },
    ),
    "compose names the context, Dockerfile, target and arguments": (
        {
            "compose.yaml": (
                "services:\n"
                "  api:\n"
                "    build:\n"
                "      context: .\n"
                "      dockerfile: deploy/prod.Dockerfile\n"
                "      target: app\n"
                "      args: {PYTHON: '3.12'}\n"
                "    ports: ['127.0.0.1:${PORT:-9000}:8080']\n"
                "    environment:\n"
                "      DATABASE_URL: postgresql://db/x\n"
                "    healthcheck:\n"
                "      test: curl -f http://localhost:8080/up\n"
                "    depends_on: [db]\n"
                "  db:\n"
                "    image: postgres:16\n"
            ),
            "deploy/prod.Dockerfile": (
                "ARG PYTHON\nFROM python:${PYTHON} AS app\nCMD uvicorn shop.api:app --port 8080\nFROM app AS dev\n"
            ),
            "pyproject.toml": '[project]\nname = "shop"\nversion = "1"\ndependencies = ["fastapi", "uvicorn"]\n',
            "shop/__init__.py": "",
            "shop/api.py": FASTAPI,
        },
        {
            "apps": [("shop", ".", "deploy/prod.Dockerfile")],
            "targets": ["app"],
            "start": ("web", "FastAPI", "shop.api:app"),
            "sure": Sure.STATED,
            "port": (8080, Sure.STATED),
            "health": ("/up", Sure.STATED),
            "services": ["postgres"],
            "service-sure": [Sure.STATED],
            "asks": [],
        },
    ),
    "an override, and a file that only adds": (
        {
            "docker-compose.yml": "services:\n  web:\n    build: .\n    command: gunicorn app:app\n",
            "docker-compose.override.yml": "services:\n  web:\n    command: flask run\n    ports: ['5000:5000']\n",
            "docker-compose.prod.yml": "services:\n  web:\n    restart: always\n",
            "Dockerfile": DOCKERFILE,
            "app.py": "from flask import Flask\napp = Flask(__name__)\n",
            "requirements.txt": "flask\n",
        },
        {
            "apps": [("PROJECT", ".", "Dockerfile")],
            "start": ("web", "Flask", "app:app"),
            "sure": Sure.STATED,
            "command": "gunicorn app:app",
            "port": (8000, Sure.GUESSED),
        },
    ),
    "anchors, include and extends": (
        {
            "compose.yml": (
                "include: [infra/db.yml]\n"
                "x-app: &app\n"
                "  build: {context: app}\n"
                "services:\n"
                "  web:\n"
                "    <<: *app\n"
                "  worker:\n"
                "    extends: {file: base.yml, service: base}\n"
                "    command: celery -A jobs worker\n"
            ),
            "base.yml": "services:\n  base:\n    build: app\n",
            "infra/db.yml": "services:\n  cache:\n    image: valkey/valkey:8\n",
            "app/Dockerfile": DOCKERFILE,
            "app/jobs.py": "from celery import Celery\napp = Celery('x')\n",
            "app/requirements.txt": "celery\n",
        },
        {
            "apps": [("PROJECT", "app", "app/Dockerfile")],
            "starts": [("worker", "Celery", "jobs:app")],
            "services": ["redis"],
        },
    ),
    "several images keep the services' names": (
        {
            "compose.yaml": (
                "services:\n  api:\n    build: ./api\n  bot:\n    build: ./bot\n  front:\n    build: ./front\n"
            ),
            "api/Dockerfile": DOCKERFILE,
            "api/main.py": FASTAPI,
            "bot/Dockerfile": DOCKERFILE,
            "bot/bot.py": "",
            "front/Dockerfile": "FROM node\n",
        },
        {
            "apps": [
                ("api", "api", "api/Dockerfile"),
                ("bot", "bot", "bot/Dockerfile"),
                ("front", "front", "front/Dockerfile"),
            ],
        },
    ),
    "a Dockerfile in docker/ builds the whole project": (
        {
            "docker/Dockerfile": 'FROM python:3.13\nCOPY pyproject.toml src ./\nCMD ["shop"]\n',
            "pyproject.toml": (
                "[project]\n"
                'name = "shop"\n'
                'version = "1"\n'
                "dependencies = []\n"
                "[project.scripts]\n"
                'shop = "shop.cli:main"\n'
            ),
            "src/shop/__init__.py": "",
            "src/shop/cli.py": "def main(): ...",
        },
        {
            "apps": [("shop", ".", "docker/Dockerfile")],
            "start": ("command", "", "shop.cli:main"),
            "python": "3.13",
            "sure": Sure.STATED,
        },
    ),
    "Dockerfiles of other names: that for production": (
        {
            "Dockerfile.dev": DOCKERFILE,
            "Dockerfile.prod": DOCKERFILE,
            "app.py": FASTAPI,
            "requirements.txt": "fastapi\n",
        },
        {
            "apps": [("PROJECT", ".", "Dockerfile.prod")],
        },
    ),
    "a base without a value is asked for": (
        {
            "Dockerfile": "ARG BASE\nFROM ${BASE}\nARG REVISION\nRUN pip install x\n",
            "app.py": "",
            "pyproject.toml": '[project]\nname = "shop"\nversion = "1"\ndependencies = []\n',
        },
        {
            "asks": ["--build-argument", "--module"],
        },
    ),
    "an entry point's script is followed": (
        {
            "Dockerfile": 'FROM python:3.12\nCOPY docker/start.sh /run\nENTRYPOINT ["/run"]\n',
            "docker/start.sh": (
                "#!/bin/sh\nset -e\npython manage.py migrate\nexec gunicorn --bind 0.0.0.0:8001 site1.wsgi\n"
            ),
            "site1/__init__.py": "",
            "site1/wsgi.py": (
                "from django.core.wsgi import get_wsgi_application\napplication = get_wsgi_application()\n"
            ),
            "requirements.txt": "django\n",
        },
        {
            "start": ("web", "Django", "site1.wsgi:application"),
            "sure": Sure.STATED,
            "port": (8001, Sure.STATED),
        },
    ),
    "a Procfile": (
        {
            "Procfile": "release: python manage.py migrate\nweb: gunicorn -b :$PORT shop:app\n",
            "requirements.txt": "bottle\ngunicorn\n",
            "shop.py": "from bottle import Bottle\napp = Bottle()\n",
        },
        {
            "start": ("web", "Bottle", "shop:app"),
            "sure": Sure.STATED,
        },
    ),
    "two applications are not chosen between": (
        {
            "requirements.txt": "fastapi\nuvicorn\n",
            "one.py": FASTAPI,
            "two.py": FASTAPI,
        },
        {
            "asks": ["--module", "--name", "Python version"],
        },
    ),
    "pydantic-settings, environs, decouple, helpers, examples": (
        {
            "requirements.txt": "pydantic-settings\nenvirons\npython-decouple\n",
            "pyproject.toml": '[project]\nname = "shop"\nversion = "1"\ndependencies = []\n',
            "shop/__init__.py": "",
            "shop/settings.py": (
                "from pydantic import Field\n"
                "from pydantic_settings import BaseSettings, SettingsConfigDict\n"
                "\n"
                "\n"
                "class Settings(BaseSettings):\n"
                "    model_config = SettingsConfigDict(env_prefix='shop_')\n"
                "    url: str\n"
                "    size: int = 3\n"
                "    key: str = Field(alias='API_KEY')\n"
                "class Base(BaseSettings, env_file='.env', env_prefix='j_'):\n"
                "    pass\n"
                "class Bot(Base, env_prefix='bot_'):\n"
                "    token: str\n"
                "class Job(Base):\n"
                "    name: str\n"
            ),
            "shop/a.py": ("from environs import Env\nenv = Env()\nA = env.str('A_NAME')\nB = env.int('B_NAME', 3)\n"),
            "shop/b.py": "from decouple import config\nC = config('C_NAME')\n",
            "shop/d.py": "import environ\ne = environ.Env(H_NAME=(bool, 0))\nH = e('H_NAME')\ne('I_NAME')\ne.db()\n",
            "shop/c.py": (
                "import os\n"
                "\n"
                "\n"
                "def read(key, default=None):\n"
                "    return os.getenv(key, default)\n"
                "\n"
                "\n"
                "D = read('D_NAME', '1')\n"
                "E = os.environ['E_NAME']\n"
                "\n"
                "\n"
                "def later():\n"
                "    return os.environ['F_NAME'], os.environ['PATH']\n"
            ),
            "env.dist": "# what G is\nG_NAME=7\nSECRET_TOKEN=abc\n",
        },
        {
            "variables": {
                "SHOP_URL": True,
                "BOT_TOKEN": True,
                "J_NAME": True,
                "API_KEY": True,
                "A_NAME": True,
                "C_NAME": True,
                "E_NAME": True,
                "H_NAME": False,
                "I_NAME": True,
                "DATABASE_URL": True,
                "SHOP_SIZE": False,
                "B_NAME": False,
                "D_NAME": False,
                "F_NAME": False,
                "G_NAME": False,
                "SECRET_TOKEN": False,
            },
        },
    ),
    "drivers, libraries, migrations, data": (
        {
            "pyproject.toml": (
                "[project]\n"
                'name = "shop"\n'
                'version = "1"\n'
                'dependencies = ["psycopg2", "redis", "pymongo", "weasyprint", "alembic"]\n'
            ),
            "alembic.ini": "[alembic]\n",
            "shop/__init__.py": "",
            "shop/main.py": (
                "import os\n"
                "from pathlib import Path\n"
                "TEXT = Path('prompts/a.txt').read_text()\n"
                "os.getenv('BROKER', 'amqp://localhost')\n"
                "open('other/missing.txt')\n"
            ),
            "prompts/a.txt": "",
            "unused/b.txt": "",
        },
        {
            "services": ["postgres", "redis", "mongo", "rabbitmq"],
            "migrations": ["alembic upgrade head"],
            "data": ["prompts"],
            "libraries": ["libpq5", "libpango-1.0-0", "libpangoft2-1.0-0", "libharfbuzz-subset0"],
        },
    ),
    "wheels that bring their libraries need no package": (
        {
            "pyproject.toml": (
                "[project]\n"
                'name = "shop"\n'
                'version = "1"\n'
                'dependencies = ["psycopg[binary]", "psycopg2-binary", "opencv-python-headless"]\n'
            ),
            "shop.py": "",
        },
        {
            "libraries": [],
            "services": ["postgres"],
        },
    ),
    "one of several databases is a guess": (
        {
            "pyproject.toml": (
                '[project]\nname = "shop"\nversion = "1"\ndependencies = ["psycopg2-binary", "mysqlclient"]\n'
            ),
            "shop.py": "",
        },
        {
            "service-sure": [Sure.GUESSED, Sure.GUESSED],
        },
    ),
    "not Python": (
        {
            "go.mod": "module x\n",
            "Dockerfile": "FROM golang\nRUN go build\n",
        },
        {
            "apps": [],
            "asks": ["--name", "Python project"],
        },
    ),
    "a syntax error in TOML is named with its line": (
        {
            "pyproject.toml": "[project]\nname = \n",
            "app.py": FASTAPI,
            "requirements.txt": "fastapi\n",
        },
        {
            "notes": "pyproject.toml:2:8: is not TOML: Invalid value",
        },
    ),
    "another tool's compose file is not used": (
        {
            "docker-compose.yml": "db:\n  image: postgres\n",
            "pyproject.toml": '[project]\nname = "shop"\nversion = "1"\ndependencies = []\n',
            "shop.py": "",
        },
        {
            "notes": "docker-compose.yml: it is of compose's first version, which compose takes no more (its services "
            "belong below `services:`), and is not used as a compose file",
            "services": [],
        },
    ),
    "tests, examples and tools are no part of it": (
        {
            "pyproject.toml": '[project]\nname = "lib"\nversion = "1"\ndependencies = []\n',
            "lib/__init__.py": "",
            "examples/app.py": FASTAPI,
            "tests/Dockerfile": DOCKERFILE,
            "scripts/release.py": "if __name__ == '__main__':\n    print(1)\n",
            "docs/requirements.txt": "sphinx\n",
        },
        {
            "starts": [],
            "apps": [("lib", ".", None)],
            "asks": ["--module", "Python version"],
        },
    ),
    "folders called docker and project name nothing": (
        {
            "project/docker/Dockerfile": DOCKERFILE,
            "project/requirements.txt": "flask\n",
            "project/app.py": "from flask import Flask\napp = Flask('x')\n",
        },
        {
            "name": "PROJECT",
            "apps": [("PROJECT", "project", "project/docker/Dockerfile")],
        },
    ),
    "a lock that does not hold what is declared": (
        {
            "pyproject.toml": '[project]\nname = "shop"\ndependencies = ["Flask", "redis"]\n',
            "uv.lock": '[[package]]\nname = "flask"\n',
            "shop.py": "",
        },
        {"notes": "pyproject.toml:3: uv.lock does not hold redis: run `uv lock`"},
    ),
    "a supervisor's configuration is followed": (
        {
            "Dockerfile": 'FROM python:3.12\nCOPY . /app\nCMD ["supervisord", "-c", "/app/etc/supervisord.conf"]\n',
            "etc/supervisord.conf": (
                "[program:nginx]\ncommand=nginx\n[program:web]\ncommand=gunicorn -b :8005 shop:app\n"
            ),
            "requirements.txt": "flask\n",
            "shop.py": "from flask import Flask\napp = Flask('x')\n",
        },
        {"start": ("web", "Flask", "shop:app"), "sure": Sure.STATED, "port": (8005, Sure.STATED)},
    ),
    "a Django by its development server": (
        {
            "compose.yaml": "services:\n  web:\n    build: .\n    command: python manage.py runserver 0.0.0.0:8000\n",
            "Dockerfile": DOCKERFILE,
            "requirements.txt": "django\n",
            "manage.py": "import django\n",
            "example/__init__.py": "",
            "example/wsgi.py": (
                "from django.core.wsgi import get_wsgi_application\napplication = get_wsgi_application()\n"
            ),
        },
        {"start": ("web", "Django", "example.wsgi:application"), "port": (8000, Sure.STATED)},
    ),
    "a Dockerfile apart from what it builds": (
        {
            "docker/api/Dockerfile": "FROM python:3.12\nCOPY pyproject.toml uv.lock ./\nCOPY shop shop\n",
            "examples/api/pyproject.toml": '[project]\nname = "api"\n',
            "examples/api/uv.lock": "",
            "examples/api/shop/__init__.py": FASTAPI,
        },
        {
            "apps": [("api", "examples/api", "docker/api/Dockerfile")],
            "folder": "examples/api",
            "start": ("web", "FastAPI", "shop:app"),
        },
    ),
    "a script that acts without a guard is a guess": (
        {
            "requirements.txt": "requests\n",
            "collect.py": "from job import main\n\nmain()\n",
            "job.py": "def main(): ...\n",
        },
        {"start": ("command", "", "collect"), "sure": Sure.GUESSED, "command": "python collect.py"},
    ),
    "a bot whose class is in another module": (
        {
            "pyproject.toml": (
                '[tool.poetry]\nname = "echo"\n[tool.poetry.dependencies]\n"discord.py" = "*"\n'
                '[tool.poetry.scripts]\necho = "echo.main:run"\n'
            ),
            "echo/__init__.py": "",
            "echo/client.py": "from discord.ext import commands\n\n\nclass Echo(commands.Bot): ...\n",
            "echo/main.py": "from echo.client import Echo\n\n\ndef run():\n    Echo().run('x')\n",
        },
        {"start": ("bot", "discord.py", "echo.main:run"), "sure": Sure.STATED, "command": "echo"},
    ),
    "Dash has a server to be served": (
        {
            "requirements.txt": "dash\ngunicorn\n",
            "app.py": "from dash import Dash\napp = Dash(__name__)\nserver = app.server\n",
        },
        {"start": ("web", "Dash", "app:server"), "server": "gunicorn"},
    ),
    "two compose files of one project, each with a Dockerfile whose scripts have the same names": (
        {
            "docker-compose.local.yml": (
                "services:\n  web:\n    build: {context: ., dockerfile: local/Dockerfile}\n    command: /start\n"
            ),
            "docker-compose.production.yml": (
                "services:\n  web:\n    build: {context: ., dockerfile: production/Dockerfile}\n    command: /start\n"
            ),
            "local/Dockerfile": "FROM python:3.12\nCOPY --chown=a:a ./local/start /start\n",
            "production/Dockerfile": "FROM python:3.12\nCOPY ./production/start /start\n",
            "local/start": "#!/bin/bash\nexec uvicorn config.asgi:application --reload\n",
            "production/start": (
                "#!/bin/bash\n"
                "python manage.py collectstatic\n"
                "exec gunicorn config.asgi -b 0.0.0.0:5000 -k uvicorn_worker.UvicornWorker\n"
            ),
            "requirements.txt": "django\n",
            "config/__init__.py": "",
            "config/asgi.py": (
                "from django.core.asgi import get_asgi_application\n"
                "django_application = get_asgi_application()\n"
                "async def application(scope, receive, send): ...\n"
            ),
        },
        {
            "start": ("web", "Django", "config.asgi"),
            "server": "gunicorn",
            "port": (5000, Sure.STATED),
            "apps": [("web", ".", "local/Dockerfile"), ("PROJECT-web", ".", "production/Dockerfile")],
        },
    ),
    "what stands in a compose file beside it is not stated to be needed": (
        {
            "compose.yaml": (
                "services:\n  api:\n    build: api\n    depends_on: [db]\n  worker:\n    build: worker\n"
                "  db: {image: 'postgres:16'}\n  cache: {image: redis}\n"
            ),
            "api/Dockerfile": DOCKERFILE,
            "api/main.py": FASTAPI,
            "worker/Dockerfile": DOCKERFILE,
            "worker/work.py": "",
        },
        {"services": ["postgres", "redis"], "service-sure": [Sure.STATED, Sure.INFERRED], "folder": "api"},
    ),
    "of two applications, the one of a usual name": (
        {
            "requirements.txt": "fastapi\nuvicorn\n",
            ".python-version": "3.12\n",
            "shop/__init__.py": "",
            "shop/admin.py": FASTAPI,
            "shop/main.py": FASTAPI,
        },
        {"start": ("web", "FastAPI", "shop.main:app"), "asks": ["--name"], "python": "3.12"},
    ),
    "a console script beside an application answers nothing": (
        {
            "pyproject.toml": (
                '[project]\nname = "shop"\nrequires-python = ">=3.12"\ndependencies = ["fastapi"]\n'
                '[project.scripts]\nshop = "shop.cli:main"\n'
            ),
            "shop/__init__.py": "",
            "shop/cli.py": "def main(): ...\n",
            "shop/main.py": FASTAPI,
        },
        {"start": ("web", "FastAPI", "shop.main:app"), "asks": ["--server"]},
    ),
    "a script that starts itself again as another account, and is renamed": (
        {
            "docker/Dockerfile": (
                "FROM python:3.12 AS base\n"
                "ENV APP_HOME=/app\n"
                "FROM base\n"
                "COPY --chown=app ./docker/entry.sh $APP_HOME/run.sh\n"
                'ENTRYPOINT ["/app/run.sh"]\n'
            ),
            "docker/entry.sh": (
                "#!/bin/bash\n"
                'if [ "$(id -u)" = 0 ]; then\n'
                '  exec gosu app "$BASH_SOURCE" "$@"\n'
                "fi\n"
                "exec gunicorn -b :8006 shop:app\n"
            ),
            "pyproject.toml": '[project]\nname = "shop"\n',
            "shop/__init__.py": "from shop.core import *\n",
            "shop/core.py": "from flask import Flask\napp = Flask('x')\n",
        },
        {"start": ("web", "Flask", "shop:app"), "sure": Sure.STATED, "port": (8006, Sure.STATED)},
    ),
}
