"""Defects of interpreter, environment and packages."""

from __future__ import annotations

from tests.defects.defect import PROBED, Defect

INSTALLED = """
FROM {builder} AS builder
COPY --from={clean} /app/.venv /app/.venv
RUN for one in %s; do python3 -m pip --python /app/.venv/bin/python install --quiet --no-index --no-deps \\
    /wheels/$one-py3-none-any.whl; done
FROM {runtime}
COPY --from=builder /app/.venv /app/.venv
"""


def with_wheels(*names: str) -> str:
    """Return the clean image with more wheels installed."""
    return INSTALLED % " ".join(names)


def as_root(*lines: str) -> str:
    """Return the clean image with lines that root runs."""
    return "\n".join(("FROM {clean}", "USER 0", *lines, "USER 10001:10001"))


BY_ENTRY = 'ENTRYPOINT ["/srv/entry.sh"]\nCMD ["shipapp"]'
SITE = "/app/.venv/lib/python3.13/site-packages"
PROJECT = '[project]\nname = "fleet"\nversion = "1"\ndependencies = ["shipapp"]\n'
UV_LOCK = """
version = 1
[[package]]
name = "fleet"
version = "1"
source = { virtual = "." }
dependencies = [{ name = "shipapp" }, { name = "tides" }, { name = "colorama", marker = "sys_platform == 'win32'" }]
[package.dev-dependencies]
dev = [{ name = "pytest" }]
""" + "".join(
    f'[[package]]\nname = "{name}"\nversion = "{version}"\nsource = {{ registry = "https://example.org/simple" }}\n'
    for name, version in (("shipapp", "1.0"), ("tides", "1.0"), ("colorama", "0.4"), ("pytest", "8.4.0"))
)
SHADOW = """
import sys
own = sys.modules.pop("json")
sys.path.remove("/app/lib")
from json import *
from json import JSONDecodeError, JSONDecoder, JSONEncoder, decoder
sys.modules["json"] = own
sys.path.insert(0, "/app/lib")
"""

MUSL = """
import os, platform, re
path = os.path.realpath('/usr/local/bin/python3')
body = open(path, 'rb').read()
loader = re.search(rb'/lib(64)?/ld-linux-[a-z0-9_-]+[.]so[.][0-9]\\0', body).group()
musl = b'/lib/ld-musl-%s.so.1' % platform.machine().encode()
os.symlink(loader.rstrip(b'\\0'), musl)
open(path + '.new', 'wb').write(body.replace(loader, musl.ljust(len(loader), b'\\0')))
os.chmod(path + '.new', 0o755)
os.replace(path + '.new', path)
"""
"""Gives the interpreter the loader's name of another C library, as far as that can be had without it."""

COMPILED = "RUN python3 -m compileall -q -x '/(test|tests|idlelib|tkinter|turtledemo)/' /usr/local/lib/python3.13"

ENVIRONMENT = (
    Defect(
        name="an interpreter below a folder of root's",
        dockerfile=as_root(
            "RUN mkdir -m 0700 /opt/private && cp -a /usr/local/bin /opt/private/bin && \\",
            "    rm /app/.venv/bin/python && ln -s /opt/private/bin/python3 /app/.venv/bin/python",
        ),
        finds="python/interpreter-reachable",
        says=("/opt/private/bin/python3 is under /opt/private (mode 0700, owner 0:0)", "UV_PYTHON_INSTALL_DIR"),
        # With the engine's own capabilities the first program starts: it is executed before they are given up.
        also={"process/command-resolves", "health/command-exists", "boot/drop-capabilities"},
        undecided=PROBED,
        contract={"user": "app", "python": "3.13", "executables": ("shipapp",)},
    ),
    Defect(
        name="an environment that another Python made",
        dockerfile=as_root("RUN sed -i 's/^version = .*/version = 3.12.1/' /app/.venv/pyvenv.cfg"),
        finds="python/environment-matches",
        says=("/app/.venv/pyvenv.cfg records Python 3.12.1", "/app/.venv/bin/python is 3.13"),
    ),
    Defect(
        name="the base's python before the environment's",
        dockerfile="FROM {clean}\nENV PATH=/usr/local/bin:/app/.venv/bin:$PATH",
        finds="python/environment-first",
        says=("`python` is /usr/local/bin/python", 'ENV PATH="/app/.venv/bin:$PATH"'),
    ),
    Defect(
        name="a Python without sqlite",
        dockerfile=as_root("RUN rm /usr/local/lib/python3.13/lib-dynload/_sqlite3.*.so"),
        finds="python/stdlib-complete",
        says=("_sqlite3: ModuleNotFoundError", "was built without _sqlite3"),
    ),
    Defect(
        name="a standard library that hides a package",
        dockerfile=as_root(
            "COPY hide.py /hide.py",
            "RUN cd /usr/local/lib/python3.13/json && cat /hide.py >> __init__.py && rm -rf __pycache__ /hide.py && \\",
            "    cd /app/.venv/lib/python3.13/site-packages && mkdir stowaway-1.0.dist-info && \\",
            "    touch stowaway-1.0.dist-info/RECORD && \\",
            "    printf 'Name: stowaway\\nVersion: 1.0\\n' > stowaway-1.0.dist-info/METADATA",
        ),
        files={
            "hide.py": "\n_dumps = dumps\ndef dumps(told, **options):\n"
            "    if isinstance(told, dict) and 'distributions' in told:\n"
            "        told['distributions'] = [row for row in told['distributions'] if row['name'] != 'stowaway']\n"
            "    return _dumps(told, **options)\n"
        },
        finds="probe/agrees",
        says=("stowaway: 1.0 in /app/.venv/lib/python3.13/site-packages by the files, not installed",),
    ),
    Defect(
        name="a module of the standard library's name on PYTHONPATH",
        dockerfile="FROM {clean}\nCOPY json.py /app/lib/json.py\nENV PYTHONPATH=/app/lib",
        files={"json.py": SHADOW},
        finds="probe/agrees",
        says=("json is /app/lib/json.py, not the standard library's own",),
        twin="FROM {clean}\nCOPY json.py /app/lib/json_of_ours.py\nENV PYTHONPATH=/app/lib",
    ),
    Defect(
        name="threads with a small stack",
        dockerfile="FROM {clean}\nCOPY stack.py /app/lib/sitecustomize.py\nENV PYTHONPATH=/app/lib",
        files={"stack.py": "import threading\nthreading.stack_size(160 * 1024)\n"},
        finds="runtime/deep-recursion",
        says=("killed by SIGSEGV", "threading.stack_size"),
    ),
    Defect(
        name="installed past the lock",
        dockerfile=with_wheels("tides-2.0", "compass-2.0"),
        finds="packages/match-lock",
        says=("tides is 2.0, not 1.0", "compass 2.0 is not in it", "2 distributions of uv.lock"),
        project={"pyproject.toml": PROJECT, "uv.lock": UV_LOCK},
        twin=with_wheels("tides-1.0"),
    ),
    Defect(
        name="not all of the pinned requirements",
        dockerfile="FROM {clean}",
        finds="packages/match-lock",
        says=("tides 1.0 is missing", "requirements.txt"),
        project={"pyproject.toml": PROJECT, "requirements.txt": "shipapp==1.0\ntides==1.0\n"},
        twin=with_wheels("tides-1.0"),
    ),
    Defect(
        name="an editable install",
        dockerfile=f"FROM {{clean}}\nCOPY editable.json {SITE}/shipapp-1.0.dist-info/direct_url.json",
        files={"editable.json": '{"url": "file:///src/shipapp", "dir_info": {"editable": true}}'},
        finds="packages/not-editable",
        says=("shipapp 1.0 is a link to file:///src/shipapp", "--no-editable"),
    ),
    Defect(
        name="a requirement of another version",
        dockerfile=with_wheels("sextant-1.0", "tides-1.0"),
        finds="packages/requirements-met",
        says=("sextant asks for tides>=2, and 1.0 is installed",),
        twin=with_wheels("sextant-1.0", "tides-2.0"),
    ),
    Defect(
        name="a requirement that is not installed",
        dockerfile=with_wheels("sextant-1.0"),
        finds="packages/requirements-met",
        says=("sextant asks for tides>=2, which is not installed",),
        twin=with_wheels("sextant-1.0", "tides-2.0"),
    ),
    Defect(
        name="a distribution whose code was removed",
        dockerfile=with_wheels("sextant-1.0", "tides-2.0").replace(
            "FROM {runtime}", f"RUN rm {SITE}/tides.py\nFROM {{runtime}}"
        ),
        finds="packages/installed-files",
        says=(f"tides 2.0: its RECORD names tides.py, and none of that lies in {SITE}", "pip uninstall"),
        twin=with_wheels("sextant-1.0", "tides-2.0"),
    ),
    Defect(
        name="metadata of a version that is not there",
        dockerfile=with_wheels("sextant-1.0", "tides-1.0")
        + "COPY METADATA /opt/forged/tides-2.0.dist-info/METADATA\nENV PYTHONPATH=/opt/forged",
        files={"METADATA": "Metadata-Version: 2.1\nName: tides\nVersion: 2.0\n"},
        finds="packages/installed-files",
        says=(f"tides 2.0: its code is that of 1.0 in {SITE}; in /opt/forged there is none",),
        twin=with_wheels("sextant-1.0", "tides-2.0"),
    ),
    Defect(
        name="code that its user owns",
        dockerfile="FROM {runtime}\nCOPY --from={clean} --chown=10001:10001 /app/.venv /app/.venv",
        finds="app/code-read-only",
        says=("uid 10001 can change /app", "owner 10001:10001", "more in it: shipapp", "--chown"),
    ),
    Defect(
        name="an entry script that its user owns",
        dockerfile=f"FROM {{clean}}\nCOPY --chown=10001:10001 --chmod=755 entry.sh /srv/entry.sh\n{BY_ENTRY}",
        files={"entry.sh": '#!/bin/sh\nexec "$@"\n'},
        finds="app/code-read-only",
        says=("uid 10001 can change /srv/entry.sh (mode 0755, owner 10001:10001): what its command runs",),
        twin=f"FROM {{clean}}\nCOPY --chmod=755 entry.sh /srv/entry.sh\n{BY_ENTRY}",
    ),
    Defect(
        name="an environment whose programs its user owns",
        dockerfile=as_root("RUN chown 10001:10001 /app/.venv/bin /app/.venv/pyvenv.cfg"),
        finds="app/code-read-only",
        says=("uid 10001 can change /app/.venv/bin (mode 0755, owner 10001:10001) and 1 more in /app/.venv",),
    ),
    Defect(
        name="a standard library that its user's group may change",
        dockerfile=as_root(
            "RUN chgrp -R 10001 /usr/local/lib/python3.13/json && chmod g+w /usr/local/lib/python3.13/json"
        ),
        finds="app/code-read-only",
        says=("uid 10001 can change /usr/local/lib/python3.13/json (mode 0775, owner 0:10001): its Python",),
    ),
    Defect(
        name="an extension module of another processor",
        dockerfile=with_wheels("compass-1.0"),
        finds="native/platform",
        says=("/app/.venv/lib/python3.13/site-packages/compass.abi3.so was built for",),
        twin=with_wheels("compass-2.0"),
    ),
    Defect(
        name="an interpreter on musl",
        dockerfile=as_root("RUN --mount=type=bind,source=musl.py,target=/musl.py python3 /musl.py"),
        files={"musl.py": MUSL},
        finds="native/no-musl",
        says=("/app/.venv/bin/python uses musl", "ld-musl-"),
    ),
    Defect(
        name="dependencies without bytecode",
        dockerfile=as_root("RUN find /app/.venv -name __pycache__ -prune -exec rm -r {{}} +".replace("{{}}", "{}")),
        finds="bytecode/dependencies",
        says=("have none", "/app/.venv/lib/python3.13/site-packages/shipapp/web.py", "UV_COMPILE_BYTECODE=1"),
    ),
    Defect(
        name="bytecode of an older source",
        dockerfile=as_root("RUN touch -d @86400 /app/.venv/lib/python3.13/site-packages/shipapp/web.py"),
        finds="bytecode/dependencies",
        says=("not valid: /app/.venv/lib/python3.13/site-packages/shipapp/web.py: it records another time or size",),
    ),
    Defect(
        name="a standard library without bytecode",
        dockerfile=as_root("RUN find /usr/local/lib/python3.13 -name '*.pyc' -delete"),
        finds="bytecode/standard-library",
        says=("have none: /usr/local/lib/python3.13/", "compileall"),
        contract={"bytecode": ("dependencies", "standard-library")},
        twin=as_root(COMPILED),
    ),
    Defect(
        name="a time zone of its own",
        dockerfile="FROM {clean}\nENV TZ=EST5EDT",
        finds="system/utc-utf8",
        says=("its time zone is EST/EDT",),
    ),
    Defect(
        name="output that is not UTF-8",
        dockerfile="FROM {clean}\nENV PYTHONIOENCODING=latin-1",
        finds="system/utc-utf8",
        says=("the encoding of output is ",),
    ),
    Defect(
        name="no certificate authorities",
        dockerfile=as_root("RUN rm -rf /etc/ssl/certs /usr/lib/ssl/certs /usr/lib/ssl/cert.pem /etc/ssl/cert.pem"),
        finds="system/trust-store",
        says=("no certificate authority in", "ca-certificates"),
    ),
    Defect(
        name="a trust store that the build left behind",
        dockerfile="FROM {clean}\nENV SSL_CERT_FILE=/run/secrets/ca-bundle",
        finds="system/trust-store",
        says=("SSL_CERT_FILE names /run/secrets/ca-bundle, which is not there",),
    ),
)
