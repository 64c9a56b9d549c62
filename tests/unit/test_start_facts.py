from __future__ import annotations

import pytest
from tests.unit.factories import Tree, boot, configuration, start, trail

from seatrial.facts import Account, ProcessList
from seatrial.observe.command.application import application, application_of
from seatrial.observe.command.launch import Launch, unwrapped
from seatrial.observe.command.resolve import Python, find_python, launched, resolve_command, running_application

ELF = b"\x7fELF"
WHO = Account(name="app", uid=10001, gids=(10001,), home="/app")
PATH = "/venv/bin:/usr/local/bin"


def sh(line: str) -> tuple[str, ...]:
    return ("/bin/sh", "-c", line)


SCRIPTS: dict[str, str | bytes | int | None] = {
    "/boot.sh": b"#!/bin/bash\nset -e\nflask db upgrade\nexec gunicorn -b :5000 --access-logfile - microblog:app\n",
    "/start": b"#!/usr/bin/env sh\ncd src\npython -m alembic upgrade head\nuvicorn shop.api:app --port ${PORT:-8000}\n",
    "/entrypoint": b'#!/bin/sh\n# what it is given\n[ -f .env ] && . ./.env\nexec "$@"\n',
    "/module": b"#!/bin/sh\nexport APP_MODULE=${APP_MODULE:-shop.main:app}\n"
    b'exec gunicorn -c /gunicorn.py "$APP_MODULE"\n',
    "/either": b'#!/bin/sh\nif [ "$1" = web ]; then exec uvicorn a:b; else exec celery -A c worker; fi\n',
    "/opaque": b'#!/bin/sh\nif [ -n "$X" ]; then\n  uvicorn a:b\nfi\n',
    "/loop": b"#!/bin/sh\nexec /loop\n",
    "/away": b'#!/bin/sh\ncd "$HOME_OF_SHOP"\ncd\nexec uvicorn a:b\n',
    "/odd": b"#!/bin/sh\necho it's\n",
    "/usr/bin/shop": b"#!/app/.venv/bin/python\nimport sys\nfrom shop.cli import main\n"
    b"if __name__ == '__main__':\n    sys.exit(main())\n",
    "/app/.venv/bin/shop": b"#!/app/.venv/bin/python\nimport sys\nfrom shop.own import main\nsys.exit(main())\n",
    "/etc/supervisord.conf": b"[supervisord]\nnodaemon=true\n"
    b"[program:web]\ncommand=gunicorn shop.wsgi\ndirectory=/srv\n"
    b"[program:jobs]\ncommand=celery -A shop.jobs worker ; a comment\n[program:odd]\ncommand=%(ENV_X)s\n",
    "/bin/sh": ELF,
    "/bin/bash": ELF,
    "/usr/bin/env": ELF,
    "/app/main.py": None,
    "/app/api/__init__.py": None,
    "/app/api/app.py": None,
    "/app/web/wsgi.py": None,
}


@pytest.mark.parametrize(
    ("words", "modules", "root"),
    [
        (("/boot.sh",), ("microblog:app",), "/app"),
        (("bash", "/boot.sh"), ("microblog:app",), "/app"),
        (("/start",), ("shop.api:app",), "/app/src"),
        (("/entrypoint", "fastapi", "run", "api"), ("api.app",), "/app"),
        (
            ("tini", "--", "/entrypoint", "gosu", "app", "daphne", "shop.asgi:application"),
            ("shop.asgi:application",),
            "/app",
        ),
        (("/module",), ("shop.main:app",), "/app"),
        (("/either",), (), ""),
        (("/opaque",), (), ""),
        (("/loop",), (), ""),
        (("/away",), ("a:b",), "/app"),
        (("/odd",), (), ""),
        (("shop",), ("shop.cli:main",), ""),
        (("uv", "run", "--no-sync", "--package", "x", "shop"), ("shop.own:main",), ""),
        (("uv", "run", "main.py"), (), "/app"),
        (("poetry", "run", "python", "-m", "shop"), ("shop",), "/app"),
        (("supervisord", "-c", "/etc/supervisord.conf"), ("shop.wsgi", "shop.jobs"), "/srv"),
        (
            sh("alembic upgrade head && cd web && exec gunicorn -k uvicorn.workers.UvicornWorker wsgi:app"),
            ("wsgi:app",),
            "/app/web",
        ),
        (sh("PORT=80 uvicorn a.b:c >> /log 2>&1"), ("a.b:c",), "/app"),
        (("fastapi", "run", "--workers", "4"), ("main",), "/app"),
        (("flask", "--app", "hello:create_app('x')", "run"), ("hello:create_app",), "/app"),
        (("flask", "run"), ("shop",), "/app"),
        (("gunicorn", "-c", "python:config.gunicorn", "hello.app:create_app()"), ("hello.app:create_app",), "/app"),
        (("celery", "--app=shop", "worker"), ("shop",), "/app"),
        (("arq", "shop.jobs.WorkerSettings"), ("shop.jobs:WorkerSettings",), "/app"),
        (("dramatiq", "shop.tasks"), ("shop.tasks",), "/app"),
        (("streamlit", "run", "main.py"), (), "/app"),
        (("/usr/bin/python3", "/usr/bin/gunicorn", "shop.wsgi:app"), ("shop.wsgi:app",), "/app"),
        (("ddtrace-run", "uvicorn", "a:b"), ("a:b",), "/app"),
    ],
)
def test_what_a_command_becomes_and_imports(words: tuple[str, ...], modules: tuple[str, ...], root: str) -> None:
    environment = {"PATH": "/usr/bin:/bin", "FLASK_APP": "shop"}
    made = configuration(entrypoint=words, command=(), environment=environment, working_directory="/app")
    files = Tree(SCRIPTS)
    found = application_of(launched(made, files), files)
    assert (found.modules, found.import_root) == (modules, root)


@pytest.mark.parametrize(
    ("text", "modules", "script"),
    [
        (b"import asyncio\nasyncio.run(serve())\n", (), "/app/shop/main.py"),
        (b"def main(): ...\nif __name__ == '__main__':\n    main()\n", ("shop.main",), ""),
        (None, ("shop.main",), ""),
    ],
    ids=["it-serves-wherever-it-is-loaded", "guarded", "not-there"],
)
def test_a_module_that_is_run_and_has_no_guard_is_not_imported(
    text: bytes | None, modules: tuple[str, ...], script: str
) -> None:
    files = Tree({**SCRIPTS, **({} if text is None else {"/app/shop/main.py": text})})
    made = configuration(entrypoint=("python", "-m", "shop.main"), command=(), working_directory="/app")
    found = application_of(launched(made, files), files)
    assert (found.modules, found.script, found.import_root) == (modules, script, "/app")


@pytest.mark.parametrize(
    ("lines", "python", "modules"),
    [
        (("/bin/sh /x", "/app/.venv/bin/python /app/.venv/bin/uvicorn a.b:c"), "/app/.venv/bin/python", ("a.b:c",)),
        (("gunicorn: master [a.b:c]", "gunicorn: worker [a.b:c]"), "/usr/bin/python3", ("a.b:c",)),
        (("/gone/python a.py",), "/usr/bin/python3", ()),
        (("python a.py", ""), "/usr/bin/python3", ()),
    ],
)
def test_what_the_processes_of_a_start_show(lines: tuple[str, ...], python: str, modules: tuple[str, ...]) -> None:
    files = Tree({"/app/.venv/bin/python": ELF, "/usr/bin/python3": ELF})
    guessed = start(python="/usr/bin/python3", python_why="first on the image's PATH", python_resolved=trail("/x"))
    seen = running_application(
        boot(process_list=ProcessList(first=lines[0], commands=lines)), guessed, files, "/app", {}
    )
    assert seen.python is not None
    assert (seen.python.path, seen.modules) == (python, modules)
    told = seen.told(guessed)
    assert (told.python, told.modules) == (python, modules)


@pytest.mark.parametrize(
    ("words", "development"),
    [
        (("fastapi", "dev", "main.py"), "fastapi dev"),
        (("flask", "--app", "x", "run", "--host=::"), "flask run"),
        (("python", "-m", "flask", "run"), "flask run"),
        (("uvicorn", "a:b", "--reload"), "uvicorn --reload"),
        (("python", "manage.py", "runserver", "0:80"), "manage.py runserver"),
        (("python", "-m", "http.server"), "-m http.server"),
        (("fastapi", "run", "main.py"), ""),
        (("uvicorn", "a:b", "--port", "80"), ""),
        (("python", "manage.py", "migrate"), ""),
    ],
)
def test_a_server_for_development_is_known_by_its_words(words: tuple[str, ...], development: str) -> None:
    assert application(Launch(words=words, directory="/app")).development == development


def python_of_image(words: tuple[str, ...], path: str, tree: Tree) -> Python | None:
    made = configuration(entrypoint=words, command=(), environment={"PATH": path}, working_directory="/app")
    return find_python(made, tree)


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("uvicorn", "a:b"), (("uvicorn", "a:b"), False)),
        (sh("uvicorn a:b --port '80 80'"), (("uvicorn", "a:b", "--port", "80 80"), True)),
        (sh("exec env A=1 python main.py"), (("env", "A=1", "python", "main.py"), True)),
        (sh("A=1 B=2 exec python main.py"), (("python", "main.py"), True)),
        (sh("cd /app && exec uvicorn a:b"), (("uvicorn", "a:b"), True)),
        (sh("set -eu; alembic upgrade head && uvicorn a:b"), (("alembic", "upgrade", "head"), True)),
        (sh(". /venv/bin/activate\npython main.py --colour=#fff"), (("python", "main.py", "--colour=#fff"), True)),
        (sh("uvicorn a:b \\\n --port 80"), (("uvicorn", "a:b", "--port", "80"), True)),
        (sh("if [ -f x ]; then python y; fi"), (sh("if [ -f x ]; then python y; fi"), True)),
        (sh('main() { exec "$@"; }; main x'), (sh('main() { exec "$@"; }; main x'), True)),
        (sh("f () { python x; }; f"), (sh("f () { python x; }; f"), True)),
        (sh('"$PYTHON" main.py'), (sh('"$PYTHON" main.py'), True)),
        (sh("it's"), (sh("it's"), True)),
        (sh("cd /app"), (sh("cd /app"), True)),
        (sh(""), (sh(""), True)),
        (("bash", "script.sh"), (("bash", "script.sh"), False)),
        ((), ((), False)),
    ],
)
def test_a_line_for_a_shell_is_taken_apart_where_that_is_sure(
    words: tuple[str, ...], expected: tuple[tuple[str, ...], bool]
) -> None:
    assert unwrapped(words) == expected


@pytest.mark.parametrize(
    ("words", "root"),
    [
        (("uvicorn", "a:b"), "/app"),
        (("uvicorn", "--app-dir", "src", "a:b"), "/app/src"),
        (("gunicorn", "--chdir", "/srv", "a:b"), "/srv"),
        (("python", "main.py"), "/app"),
        (("/usr/bin/python3.13", "-u", "bin/run.py"), "/app/bin"),
        (("python", "/srv/main.py"), "/srv"),
        (("python", "-m", "shop"), "/app"),
        (("python", "-c", "import x"), "/app"),
        (("python",), "/app"),
        (("tini", "-g", "--", "uvicorn", "a:b"), "/app"),
        (("gosu", "app", "uvicorn", "a:b"), "/app"),
        (("env", "A=1", "nice", "-n", "10", "python", "x/main.py"), "/app/x"),
        (("shop-server",), ""),
        (("tini",), ""),
        ((), ""),
    ],
)
def test_what_the_command_puts_first_on_the_import_path(words: tuple[str, ...], root: str) -> None:
    assert application(Launch(words=words, directory="/app")).import_root == root


@pytest.mark.parametrize(
    ("words", "modules"),
    [
        (("uvicorn", "shop.api:app", "--port", "80"), ("shop.api:app",)),
        (("gunicorn", "-b", "0.0.0.0:80", "shop.wsgi:make.app"), ("shop.wsgi:make.app",)),
        (("python", "-m", "shop.worker"), ("shop.worker",)),
        (("python", "-m", "uvicorn", "shop.api:app"), ("shop.api:app",)),
        (("tini", "--", "uvicorn", "shop.api:app"), ("shop.api:app",)),
        (("python", "main.py"), ()),
        (("python", "-m"), ()),
        ((), ()),
    ],
)
def test_the_modules_that_a_command_names(words: tuple[str, ...], modules: tuple[str, ...]) -> None:
    assert application(Launch(words=words, directory="/app")).modules == modules


@pytest.mark.parametrize(
    ("words", "environment", "root"),
    [
        (("/entrypoint.sh", "uvicorn", "a:b"), {}, "/app"),
        (("python", "main.py"), {"PYTHONSAFEPATH": "1"}, ""),
        (("python", "-I", "main.py"), {}, ""),
        (("python", "-u", "main.py"), {}, "/app"),
        (("python", "-P", "-m", "shop"), {}, ""),
        # Behind the file, the options are the application's.
        (("python", "main.py", "-P", "8000"), {}, "/app"),
    ],
)
def test_an_entrypoint_script_hands_on_and_a_safe_path_adds_nothing(
    words: tuple[str, ...], environment: dict[str, str], root: str
) -> None:
    assert application(Launch(words=words, directory="/app", environment=environment)).import_root == root


@pytest.mark.parametrize(
    ("words", "modules"),
    [
        (("python", "main.py", "-m", "polling"), ()),
        (("python", "-u", "-m", "package"), ("package",)),
        (("/entrypoint.sh", "uvicorn", "a.b:c"), ("a.b:c",)),
    ],
)
def test_words_behind_the_program_are_its_own(words: tuple[str, ...], modules: tuple[str, ...]) -> None:
    assert application(Launch(words=words, directory="/app")).modules == modules


def test_the_contract_may_name_the_interpreter() -> None:
    tree = Tree({"/opt/x/python": ELF, "/usr/bin/python3": ELF, "/bin/sh": ELF})
    found = resolve_command(configuration(command=("/bin/sh", "run")), tree, WHO, "/opt/x/python")
    assert (found.python, found.python_why) == ("/opt/x/python", "the contract names it")


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"#!/bin/sh\nexec python\n", "a script, which begins with #!/bin/sh"),
        (ELF + b"execv", "a program that is not Python: it names none of Python's own functions"),
        (ELF + b"\0Py_BytesMain\0", ""),
        (ELF + b"\0pypy_main_startup\0", ""),
    ],
)
def test_what_stands_in_an_interpreters_place_is_told(body: bytes, said: str) -> None:
    tree = Tree({"/usr/bin/python3": body})
    assert resolve_command(configuration(command=(), environment={}), tree, WHO).python_is == said


def test_wrappers_and_the_program_behind_them_are_both_followed() -> None:
    tree = Tree({"/usr/local/bin/app": ELF})
    found = resolve_command(configuration(command=("tini", "--", "app"), environment={"PATH": PATH}), tree, WHO)
    assert found.word == "app"
    assert found.program is not None
    assert found.starters == {"tini": None}


def test_a_sound_command_is_followed_to_its_interpreter() -> None:
    tree = Tree({"/venv/bin/uvicorn": b"#!/venv/bin/python\n", "/venv/bin/python": "/usr/local/bin/python3.13"})
    tree.table["/usr/local/bin/python3.13"] = ELF
    found = resolve_command(configuration(environment={"PATH": PATH}), tree, WHO)
    assert found.program is not None
    assert found.program.entry is not None
    assert [script.resolved.end for script in found.scripts] == ["/usr/local/bin/python3.13"]
    assert (found.python, found.python_why) == ("/venv/bin/python", "the first line of uvicorn names it")
    assert found.searched == ("/venv/bin", "/usr/local/bin")
    assert found.account == WHO


def test_a_moved_environment_is_looked_at_by_the_interpreter_beside_the_script() -> None:
    tree = Tree({"/venv/bin/uvicorn": b"#!/build/.venv/bin/python\n", "/venv/bin/python": ELF})
    found = resolve_command(configuration(environment={"PATH": PATH}), tree, WHO)
    assert found.scripts[0].resolved.missing == "/build"
    assert found.python == "/venv/bin/python"
    assert "names /build/.venv/bin/python, which is not there" in found.python_why


def test_an_environment_without_its_interpreter_says_which_one_was_meant() -> None:
    tree = Tree({"/venv/bin/uvicorn": b"#!/build/.venv/bin/python\n"})
    found = resolve_command(configuration(environment={"PATH": PATH}), tree, WHO)
    assert found.python == "/build/.venv/bin/python"
    assert found.python_resolved is not None
    assert found.python_resolved.entry is None


def test_without_a_command_or_path_the_defaults_hold() -> None:
    tree = Tree({"/usr/local/bin/python3": ELF})
    found = resolve_command(configuration(command=(), environment={}), tree, WHO)
    assert (found.words, found.program, found.python) == ((), None, "/usr/local/bin/python3")
    assert found.python_why == "first on the image's PATH"
    assert "/usr/local/bin" in found.searched


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (("python", "main.py"), "the command runs python"),
        (("tini", "-g", "--", "python", "main.py"), "the command runs python"),
        (("gosu", "app", "python"), "the command runs python"),
        (("/entrypoint.sh", "python", "main.py"), "the command runs python"),
        (("/bin/server",), "first on the image's PATH"),
        (("missing",), "first on the image's PATH"),
    ],
)
def test_the_applications_interpreter(words: tuple[str, ...], why: str) -> None:
    tree = Tree({"/venv/bin/python": ELF, "/entrypoint.sh": b"#!/bin/sh\n", "/bin/sh": ELF, "/bin/server": ELF})
    found = python_of_image(words, PATH, tree)
    assert found is not None
    assert (found.path, found.why) == ("/venv/bin/python", why)


def test_an_interpreter_off_path_is_found_in_a_usual_place_or_not_at_all() -> None:
    found = python_of_image(("/bin/server",), "/bin", Tree({"/app/.venv/bin/python": ELF}))
    assert found is not None
    assert (found.path, found.why) == ("/app/.venv/bin/python", "found in a usual place")
    assert python_of_image(("/bin/server",), "/bin", Tree({"/bin/server": ELF})) is None
