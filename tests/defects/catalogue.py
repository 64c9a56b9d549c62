"""The defects: each with the lines that make it, what must be found, and the image that has it right."""

from __future__ import annotations

from tests.defects.code_defects import CODE
from tests.defects.contents_defects import CONTENTS
from tests.defects.defect import NEVER_UP, PROBED, Defect, python_command
from tests.defects.environment_defects import ENVIRONMENT
from tests.defects.layer_defects import LAYERS
from tests.defects.start_defects import STARTS

from seatrial.checks.model import Level

__all__ = ["DEFECTS", "Defect"]

QUICK = {"healthy_within": 4.0, "stops_within": 4.0, "stays_up": 1.0}
NO_CHECK = {**QUICK, "stays_up": 3.0, "waive": {"health/declared": "a defect of its own"}}
WRITES = "import pathlib, shipapp.web; pathlib.Path('/app/state').write_text('1'); shipapp.web.main()"
EXTRA_PORT = python_command(
    "import http.server, shipapp.web",
    "extra = http.server.HTTPServer(('', {port}), shipapp.web.Handler)",
    "shipapp.web.main()",
)
READS_STATE = python_command("import os, shipapp.web", "os.listdir('/app/state')", "shipapp.web.main()")

CUDA = r"""
RUN set -eu; cd /app/.venv/lib/python3.*/site-packages; mkdir -p nvidia/cublas/lib nvidia_cublas_cu12-1.dist-info; \
    head -c 6000000 /dev/urandom > nvidia/cublas/lib/libcublas.so.12; \
    printf 'Name: nvidia-cublas-cu12\nVersion: 1\n' > nvidia_cublas_cu12-1.dist-info/METADATA; \
    printf 'nvidia/cublas/lib/libcublas.so.12,,\n' > nvidia_cublas_cu12-1.dist-info/RECORD
USER 10001:10001
"""

IDENTITY = (
    Defect(
        name="runs as root",
        dockerfile="FROM {clean}\nUSER root",
        finds="identity/non-root",
        says=("USER root is uid 0",),
    ),
    Defect(
        name="runs as root by number",
        dockerfile="FROM {clean}\nUSER 0:10001",
        finds="identity/non-root",
        says=("USER 0:10001 is uid 0",),
    ),
    Defect(
        name="runs as another account",
        dockerfile="FROM {clean}\nUSER nobody",
        finds="identity/expected-user",
        also={"identity/numeric-user"},
        says=("nobody, uid 65534", "whoami is 'nobody', not 'app'"),
        contract={"user": "app", "uid": 10001, "gid": 10001},
    ),
    Defect(
        name="account that the image does not hold",
        dockerfile="FROM {clean}\nUSER sailor",
        finds="identity/non-root",
        says=("USER sailor names no account of the image", "useradd"),
        also={"identity/numeric-user", "boot/healthy"},
        undecided={*PROBED, *NEVER_UP, "python/interpreter-reachable"},
        contract={"user": "app", "python": "3.13", "executables": ("python",)},
    ),
)

START = (
    Defect(
        name="environment copied to another path",
        dockerfile="""
FROM {builder} AS builder
RUN python3 -m venv --without-pip /build/.venv && \\
    python3 -m pip --python /build/.venv/bin/python install --quiet --no-index --no-deps /wheels/shipapp-*.whl
FROM {runtime}
COPY --from=builder /build/.venv /app/.venv
""",
        finds="process/command-resolves",
        says=("/app/.venv/bin/shipapp", "#!/build/.venv/bin/python"),
        also={"python/script-interpreters", "health/command-exists", "boot/healthy"},
        undecided=NEVER_UP,
    ),
    Defect(
        name="program not installed",
        dockerfile='FROM {clean}\nCMD ["gunicorn", "shipapp.web:app"]',
        finds="process/command-resolves",
        says=("no program 'gunicorn' in any folder of PATH", "looked in /app/.venv/bin"),
        also={"boot/healthy"},
        undecided=NEVER_UP,
    ),
    Defect(
        name="entrypoint script not executable",
        dockerfile='FROM {clean}\nCOPY --chmod=0644 start.sh /start.sh\nENTRYPOINT ["/start.sh"]',
        files={"start.sh": '#!/bin/sh\nexec "$@"\n'},
        finds="process/command-resolves",
        says=("/start.sh", "mode 0644"),
        also={"boot/healthy"},
        undecided=NEVER_UP,
        twin='FROM {clean}\nCOPY --chmod=0755 start.sh /start.sh\nENTRYPOINT ["/start.sh"]\nCMD ["shipapp"]',
    ),
    Defect(
        name="entrypoint script with Windows line ends",
        dockerfile='FROM {clean}\nCOPY crlf.sh /start.sh\nENTRYPOINT ["/start.sh"]',
        files={"crlf.sh": '#!/bin/sh\r\nexec "$@"\r\n'},
        finds="process/command-resolves",
        says=("/start.sh", "carriage return"),
        also={"boot/healthy"},
        undecided=NEVER_UP,
    ),
    Defect(
        name="entrypoint script without a first line",
        dockerfile='FROM {clean}\nCOPY bare.sh /start.sh\nENTRYPOINT ["/start.sh"]',
        files={"bare.sh": 'exec "$@"\n'},
        finds="process/command-resolves",
        says=("/start.sh", "`#!`"),
        also={"boot/healthy"},
        undecided=NEVER_UP,
    ),
    Defect(
        name="program in a folder that USER may not enter",
        dockerfile="""
FROM {clean}
USER 0
RUN mkdir -m 0700 /root/tools && cp -L /usr/bin/env /root/tools/env
USER 10001:10001
ENTRYPOINT ["/root/tools/env"]
""",
        finds="process/command-resolves",
        says=("/root", "uid 10001"),
        also={"boot/healthy"},
        undecided=NEVER_UP,
        twin='FROM {clean}\nENTRYPOINT ["/usr/bin/env"]\nCMD ["shipapp"]',
    ),
    Defect(
        name="program for another C library",
        dockerfile="""
FROM {clean}
USER 0
RUN sed 's|ld-linux|ld-nosea|g' /usr/bin/env > /usr/bin/sailor && \\
    chmod 0755 /usr/bin/sailor
USER 10001:10001
ENTRYPOINT ["sailor"]
""",
        finds="process/command-resolves",
        says=("/usr/bin/sailor needs the loader", "ld-nosea"),
        also={"boot/healthy"},
        undecided=NEVER_UP,
    ),
    Defect(
        name="entrypoint script for an interpreter that is not on PATH",
        dockerfile='FROM {clean}\nCOPY node.js /start.js\nENTRYPOINT ["/start.js"]',
        files={"node.js": "#!/usr/bin/env node\n"},
        finds="process/command-resolves",
        says=("/start.js starts with `#!/usr/bin/env node`, and node is not on PATH", "Install node"),
        also={"boot/healthy"},
        undecided=NEVER_UP,
    ),
    Defect(
        name="links that go round in a circle",
        dockerfile="""
FROM {clean}
USER 0
RUN ln -s two /usr/local/bin/one && ln -s one /usr/local/bin/two
USER 10001:10001
CMD ["one"]
""",
        finds="process/command-resolves",
        says=("the links go round in a circle",),
        also={"boot/healthy"},
        undecided=NEVER_UP,
    ),
    Defect(
        name="no command at all",
        dockerfile="FROM {clean}\nENTRYPOINT []\nCMD []",
        finds="process/command-resolves",
        says=("no ENTRYPOINT and no CMD",),
        also={"boot/healthy"},
        undecided=NEVER_UP,
    ),
    Defect(
        name="ignores its stop signal",
        dockerfile="FROM {clean}\n"
        + python_command("import shipapp.web, threading", "threading.Thread(target=shipapp.web.serve).start()"),
        finds="process/graceful-stop",
        says=("did not exit within", "SIGTERM", "killed"),
        contract=QUICK,
    ),
    Defect(
        name="takes its stop signal for an error",
        dockerfile="FROM {clean}\n"
        + python_command(
            "import signal, sys, threading, shipapp.web",
            "signal.signal(signal.SIGTERM, lambda *_: sys.exit(3))",
            "threading.Thread(target=shipapp.web.serve, daemon=True).start()",
            "signal.pause()",
        ),
        finds="process/graceful-stop",
        says=("exit code 3", "as if by an error"),
        contract=QUICK,
    ),
    Defect(
        name="a wrapper that is not installed",
        dockerfile='FROM {clean}\nENTRYPOINT ["tini", "--"]\nCMD ["shipapp"]',
        finds="process/command-resolves",
        says=("no program 'tini' in any folder of PATH",),
        also={"boot/healthy"},
        undecided=NEVER_UP,
        contract=QUICK,
        twin='FROM {clean}\nENTRYPOINT ["env", "A=1"]\nCMD ["shipapp"]',
    ),
    Defect(
        name="a list with a comma too many",
        dockerfile='FROM {clean}\nCMD ["shipapp",]',
        finds="process/command-resolves",
        says=("looks like a list, but is not JSON",),
        also={"process/exec-form", "boot/healthy"},
        undecided=NEVER_UP,
        contract=QUICK,
    ),
    Defect(
        name="a shell that keeps the stop signal to itself",
        dockerfile="FROM {clean}\nCMD shipapp; true",
        finds="process/graceful-stop",
        also={"process/pid1-is-app", "process/exec-form"},
        says=("did not exit within",),
        contract=QUICK,
        twin="FROM {clean}\nCMD exec shipapp",
    ),
)

INTERPRETER = (
    Defect(
        name="linked environment whose target stays behind",
        dockerfile="""
FROM {builder} AS builder
RUN mkdir -p /opt/py/bin && cp -a /usr/local/bin/python3* /opt/py/bin/ && cp -a /usr/local/lib /opt/py/lib && \\
    LD_LIBRARY_PATH=/opt/py/lib /opt/py/bin/python3 -m venv --without-pip /app/.venv && \\
    LD_LIBRARY_PATH=/opt/py/lib python3 -m pip --python /app/.venv/bin/python install --quiet --no-index --no-deps \\
    /wheels/shipapp-*.whl
FROM {runtime}
COPY --from=builder /app/.venv /app/.venv
""",
        finds="python/interpreter-resolves",
        says=("/app/.venv/bin/python -> ", "/opt/py is not there"),
        also={"process/command-resolves", "health/command-exists", "boot/healthy"},
        undecided={*PROBED, *NEVER_UP, "python/interpreter-reachable", "native/no-musl"},
        contract={"user": "app", "python": "3.13", "executables": ("shipapp",)},
    ),
    Defect(
        name="a second script names the builder's interpreter",
        dockerfile="""
FROM {clean}
USER 0
RUN sed -i '1s|.*|#!/build/.venv/bin/python|' /app/.venv/bin/shipapp-migrate
USER 10001:10001
""",
        finds="python/script-interpreters",
        says=("/app/.venv/bin/shipapp-migrate", "/build/.venv/bin/python"),
    ),
    Defect(
        name="another Python version",
        dockerfile="FROM {clean}",
        finds="python/version",
        says=("is Python 3.13",),
        contract={"python": "3.12"},
        twin_contract={"python": "3.13"},
    ),
)

AN_EGG = """COPY --chmod=644 PKG-INFO /opt/pytest-8.4.0-py3.13.egg/EGG-INFO/PKG-INFO
RUN cd /opt && touch pytest-8.4.0-py3.13.egg/pytest.py && python -m compileall -q pytest-8.4.0-py3.13.egg && \\
    echo /opt/pytest-8.4.0-py3.13.egg > /app/.venv/lib/python3.13/site-packages/easy-install.pth"""
PACKAGES = (
    Defect(
        name="the command runs on the base's interpreter",
        dockerfile="FROM {clean}\nCOPY app.py /app/main.py\n" + 'CMD ["/usr/local/bin/python3", "/app/main.py"]',
        files={
            "app.py": "import sys; sys.path.append('/app/.venv/lib/python3.13/site-packages')\n"
            "from shipapp import web\nweb.main()\n"
        },
        finds="packages/evidence",
        says=("/usr/local/bin/python3",),
        also={"app/imports", "python/environment-first", "python/packages-on-path", "files/leftovers"},
        undecided={
            "packages/forbidden",
            "packages/not-editable",
            "packages/installed-files",
            "packages/requirements-met",
            "app/code-read-only",
        },
        contract={"dependencies": ("shipapp",), "modules": ("shipapp",)},
        twin="FROM {clean}\nCOPY app.py /app/main.py\n" + 'CMD ["/app/.venv/bin/python3", "/app/main.py"]',
    ),
    Defect(
        name="packages linked to a cache that stays behind",
        dockerfile="""
FROM {builder} AS builder
RUN python3 -m venv --without-pip /app/.venv && \\
    python3 -m pip --python /app/.venv/bin/python install --quiet --no-index --no-deps /wheels/shipapp-*.whl && \\
    cd /app/.venv/lib/python3.13/site-packages && mkdir /cache && \\
    for one in shipapp shipapp-1.0.dist-info; do mv $one /cache/$one; ln -s /cache/$one $one; done
FROM {runtime}
COPY --from=builder /app/.venv /app/.venv
""",
        finds="packages/evidence",
        says=("shipapp",),
        also={"app/imports", "boot/healthy"},
        undecided={
            "packages/forbidden",
            "packages/not-editable",
            "packages/installed-files",
            "packages/requirements-met",
            "app/code-read-only",
            *NEVER_UP,
        },
        contract={"dependencies": ("shipapp",)},
    ),
    Defect(
        name="a test tool in the image",
        dockerfile="""
FROM {builder} AS builder
COPY --from={clean} /app/.venv /app/.venv
RUN python3 -m pip --python /app/.venv/bin/python install --quiet --no-index --no-deps /wheels/pytest-*.whl
FROM {runtime}
COPY --from=builder /app/.venv /app/.venv
""",
        finds="packages/forbidden",
        says=("pytest 8.4.0", "/app/.venv/lib/python3.13/site-packages"),
        contract={"dependencies": ("shipapp",)},
    ),
    Defect(
        name="a test tool in an egg",
        dockerfile=f"FROM {{clean}}\nUSER 0\n{AN_EGG}\nUSER 10001:10001",
        files={"PKG-INFO": "Metadata-Version: 2.1\nName: pytest\nVersion: 8.4.0\n"},
        finds="packages/forbidden",
        says=("pytest 8.4.0", "in /opt/pytest-8.4.0-py3.13.egg"),
        contract={"dependencies": ("shipapp",)},
    ),
    Defect(
        name="pip left in the environment",
        dockerfile="""
FROM {builder} AS builder
COPY --from={clean} /app/.venv /app/.venv
RUN /app/.venv/bin/python -m ensurepip > /dev/null
FROM {runtime}
COPY --from=builder /app/.venv /app/.venv
""",
        finds="packages/no-installers",
        says=("pip", "/app/.venv/lib/python3.13/site-packages"),
    ),
    Defect(
        name="pip left below the environment",
        dockerfile="""
FROM {clean} AS clean
FROM {builder}
COPY --from=clean /app/.venv /app/.venv
ENV PATH=/app/.venv/bin:$PATH XDG_CACHE_HOME=/tmp/.cache PYTHONUNBUFFERED=1
USER 10001:10001
EXPOSE 8000
HEALTHCHECK CMD ["shipapp-health"]
CMD ["shipapp"]
LABEL org.opencontainers.image.title=shipapp org.opencontainers.image.version=1.0 \\
    org.opencontainers.image.revision=4d1f2aa org.opencontainers.image.source=https://example.org/shipapp \\
    org.opencontainers.image.created=2026-01-02T03:04:05Z
""",
        finds="packages/no-installers",
        says=("pip", "/usr/local/lib/python3.13/site-packages"),
    ),
    Defect(
        name="uv left as a program",
        dockerfile="FROM {clean}\nCOPY uv /usr/local/bin/uv",
        files={"uv": "#!/bin/sh\n"},
        finds="packages/no-installers",
        says=("/usr/local/bin/uv",),
    ),
)

APPLICATION = (
    Defect(
        name="the project was never installed",
        dockerfile="""
FROM {clean}
COPY api.py /app/src/course/api.py
""",
        files={"api.py": "app = 1\n"},
        finds="app/imports",
        says=("course.api:app", "No module named 'course'"),
        undecided={"app/code-read-only"},
        contract={"modules": ("shipapp.web", "course.api:app")},
        twin="FROM {clean}\nCOPY api.py /app/src/course/api.py\nENV PYTHONPATH=/app/src",
    ),
    Defect(
        name="a dependency is missing",
        dockerfile="FROM {clean}\nCOPY api.py /app/src/course/api.py\nENV PYTHONPATH=/app/src",
        files={"api.py": "import sqlalchemy\n"},
        finds="app/imports",
        says=("No module named 'sqlalchemy'", "/app/src/course/api.py"),
        contract={"modules": ("course.api",)},
        twin="FROM {clean}\nCOPY api.py /app/src/course/api.py\nCOPY api.py /app/src/sqlalchemy.py\n"
        "ENV PYTHONPATH=/app/src",
    ),
    Defect(
        name="an attribute that is not there",
        dockerfile="FROM {clean}",
        finds="app/imports",
        says=("shipapp.web:application", "has no attribute 'application'"),
        contract={"modules": ("shipapp.web:application",)},
        twin_contract={"modules": ("shipapp.web:app",)},
    ),
    Defect(
        name="an import that looks up another machine",
        dockerfile="FROM {clean}\nCOPY api.py /app/src/course.py\nENV PYTHONPATH=/app/src MACHINE=db.invalid",
        files={"api.py": "import os, socket as s\ns.gethostbyname(os.environ.get('MACHINE') or s.gethostname())\n"},
        finds="app/imports",
        says=("course", "gaierror"),
        contract={"modules": ("course", "shipapp.web")},
        # Its own name leads somewhere, as in a start.
        twin="FROM {clean}\nCOPY api.py /app/src/course.py\nENV PYTHONPATH=/app/src",
    ),
    Defect(
        name="an import that ends the process",
        dockerfile="FROM {clean}\nCOPY api.py /app/src/course.py\nENV PYTHONPATH=/app/src",
        files={"api.py": "import os, signal\nos.kill(os.getpid(), signal.SIGSEGV)\n"},
        finds="app/imports",
        says=("course", "SIGSEGV"),
        contract={"modules": ("course", "shipapp.web")},
        twin="FROM {clean}",
        twin_contract={"modules": ("shipapp.web",)},
    ),
    Defect(
        name="a program that the code calls is missing",
        dockerfile="FROM {clean}",
        finds="app/executables",
        says=("not on PATH: ffmpeg",),
        contract={"executables": ("python", "ffmpeg")},
        twin="FROM {clean}\nCOPY ffmpeg /usr/local/bin/ffmpeg",
        files={"ffmpeg": "#!/bin/sh\n"},
    ),
    Defect(
        name="a cache folder that the user may not make",
        dockerfile="FROM {clean}\nENV XDG_CACHE_HOME=",
        finds="app/writable-paths",
        says=("/app/.cache is not there", "/app above it has mode 0755 and owner 0:0"),
    ),
    Defect(
        name="a home that does not exist",
        dockerfile="FROM {clean}\nENV XDG_CACHE_HOME= HOME=/home/app",
        finds="app/writable-paths",
        says=("/home/app/.cache is not there", "/home above it"),
    ),
    Defect(
        name="a data folder of another owner",
        dockerfile="FROM {clean}\nUSER 0\nRUN mkdir /data\nUSER 10001:10001",
        finds="app/writable-paths",
        says=("/data has mode 0755 and owner 0:0",),
        contract={"writable_paths": ("/data",)},
        twin="FROM {clean}\nUSER 0\nRUN install -d -o 10001 -g 10001 /data\nUSER 10001:10001",
    ),
    Defect(
        name="a shared library stayed in the builder",
        dockerfile="""
FROM {builder} AS builder
COPY --from={clean} /app/.venv /app/.venv
RUN python3 -m pip --python /app/.venv/bin/python install --quiet --no-index --no-deps /wheels/shiplib-*.whl
FROM {runtime}
COPY --from=builder /app/.venv /app/.venv
""",
        finds="native/libraries-resolve",
        says=("libtide.so.9", "/app/.venv/lib/python3.13/site-packages/shiplib_native.so"),
        twin="""
FROM {builder} AS builder
COPY --from={clean} /app/.venv /app/.venv
RUN python3 -m pip --python /app/.venv/bin/python install --quiet --no-index --no-deps /wheels/shiplib-*.whl
FROM {runtime}
COPY --from=builder /app/.venv /app/.venv
COPY --from=builder /app/.venv/lib/python3.13/site-packages/shiplib_native.so /lib/libtide.so.9
""",
    ),
)

CONFIGURATION = (
    Defect(
        name="no health check",
        dockerfile="FROM {clean}\nHEALTHCHECK NONE",
        finds="health/declared",
        says=("no HEALTHCHECK",),
        contract=QUICK,
    ),
    Defect(
        name="a secret by its name",
        dockerfile="FROM {clean}\nENV MODEL_API_KEY=sesame",
        finds="secrets/environment",
        says=("MODEL_API_KEY",),
        twin="FROM {clean}\nENV MODEL_API_KEY=",
    ),
    Defect(
        name="a secret by its value",
        dockerfile="FROM {clean}\nENV DATABASE_URL=postgresql://app:hunter2@db/app",
        finds="secrets/environment",
        says=("DATABASE_URL",),
        twin="FROM {clean}\nENV DATABASE_URL=postgresql://db/app",
    ),
    Defect(
        name="CUDA for an application that computes on no GPU",
        dockerfile=f"FROM {{clean}}\nUSER 0\n{CUDA}",
        finds="size/cuda",
        says=(" MB in nvidia-cublas-cu12", "gpu = true"),
        twin=f"FROM {{clean}}\nENV NVIDIA_VISIBLE_DEVICES=all\nUSER 0\n{CUDA}",
    ),
    Defect(
        name="a release that gets no fixes any more",
        dockerfile="FROM {clean}\nUSER 0\nRUN echo 'VERSION_ID=11' >> /usr/lib/os-release\nUSER 10001:10001",
        finds="supply/end-of-life",
        says=("has had none since 2026-08-31", "later release"),
        twin="FROM {clean}\nUSER 0\nRUN echo 'VERSION_ID=13' >> /usr/lib/os-release\nUSER 10001:10001",
    ),
    Defect(
        name="too large",
        dockerfile="FROM {clean}\nUSER 0\nRUN head -c 120000000 /dev/zero > /app/model.bin\nUSER 10001:10001",
        finds="size/unpacked",
        says=("MB over",),
        contract={"max_unpacked": "220 MB"},
    ),
)

BOOT = (
    Defect(
        name="a health check that never passes",
        dockerfile='FROM {clean}\nHEALTHCHECK CMD ["sh", "-c", "echo tide is out; exit 3"]',
        finds="boot/healthy",
        says=("the health check ends with 3", "tide is out"),
        undecided=NEVER_UP,
        contract=QUICK,
    ),
    Defect(
        name="a health check whose program is missing",
        dockerfile='FROM {clean}\nHEALTHCHECK CMD ["curl", "-f", "http://localhost:8000/health"]',
        finds="boot/healthy",
        also={"health/command-exists"},
        says=("curl",),
        undecided=NEVER_UP,
        contract=QUICK,
    ),
    Defect(
        name="hangs at start",
        dockerfile="FROM {clean}\n" + python_command("import time", "time.sleep(600)"),
        finds="boot/healthy",
        says=("still starting after",),
        undecided=NEVER_UP,
        contract=QUICK,
    ),
    Defect(
        name="dies right after its first healthy answer",
        dockerfile='FROM {clean}\nHEALTHCHECK CMD ["python", "-c", "pass"]\n'
        + python_command("import time", "time.sleep(0.8)", "raise SystemExit(7)"),
        finds="boot/healthy",
        says=("became healthy after", "then exited by itself", "exit code 7"),
        undecided=NEVER_UP,
        contract={**QUICK, "stays_up": 3.0},
    ),
    Defect(
        name="crashes at start",
        dockerfile="FROM {clean}\n" + python_command("import os", "os.environ['DATABASE_URL']"),
        finds="boot/healthy",
        says=("exit code 1", "KeyError: 'DATABASE_URL'"),
        undecided=NEVER_UP,
        twin_contract={},
    ),
    Defect(
        name="a tmpfs that its user may not write",
        dockerfile="FROM {clean}\nUSER 0\nRUN mkdir -m 0750 /app/state\nUSER 10001:10001",
        finds="app/writable-paths",
        says=("/app/state is a tmpfs with mode 0750 and owner 0:0",),
        contract={"tmpfs": ("/tmp", "/app/state"), "writable_paths": ("/app/state",)},
        twin="FROM {clean}\nUSER 0\nRUN mkdir -m 1777 /app/state\nUSER 10001:10001",
    ),
    Defect(
        name="takes more memory than it may",
        dockerfile="FROM {clean}\n" + python_command("x = bytearray(400000000)"),
        finds="boot/healthy",
        says=("out of memory",),
        also={"boot/limits"},
        undecided=NEVER_UP - {"boot/limits"},
        contract={"memory": "64 MiB"},
    ),
    Defect(
        name="no health check, and it ends",
        dockerfile="FROM {clean}\nHEALTHCHECK NONE\n" + python_command("print('all done')"),
        finds="boot/stays-up",
        says=("exit code 0", "log: all done"),
        undecided=NEVER_UP - {"health/cheap"},
        contract=NO_CHECK,
        twin="FROM {clean}\nHEALTHCHECK NONE",
    ),
    Defect(
        name="no health check, and a traceback in its log",
        dockerfile="FROM {clean}\nHEALTHCHECK NONE\n"
        + python_command(
            "import shipapp.web, threading",
            "threading.Thread(target=lambda: 1 // 0).start()",
            "shipapp.web.main()",
        ),
        finds="boot/stays-up",
        says=("traceback", "ZeroDivisionError"),
        contract=NO_CHECK,
        twin="FROM {clean}\nHEALTHCHECK NONE",
    ),
    Defect(
        name="writes to its root",
        dockerfile="FROM {clean}\nUSER 0\nRUN install -d -o 10001 /app/state\nUSER 10001:10001\n"
        + python_command(
            "import pathlib, shipapp.web", "pathlib.Path('/app/state/now').write_text('1')", "shipapp.web.main()"
        ),
        finds="boot/read-only",
        says=("with a writable root it starts", "wrote /app/state/now"),
        contract=QUICK,
        twin_contract={**QUICK, "tmpfs": ("/tmp", "/app/state")},
        # The fix that is told: the tmpfs has the folder's owner and mode.
        twin="FROM {clean}\nUSER 0\nRUN install -d -o 10001 /app/state\nUSER 10001:10001\n"
        + python_command(
            "import pathlib, shipapp.web", "pathlib.Path('/app/state/now').write_text('1')", "shipapp.web.main()"
        ),
    ),
)

RESTRICTIONS = (
    Defect(
        name="changes an owner at its start",
        dockerfile="FROM {clean}\nUSER 0\n"
        + python_command(
            "import os, shipapp.web",
            "open('/tmp/mine', 'w').close()",
            "os.chown('/tmp/mine', 10001, 10001)",
            "shipapp.web.main()",
        ),
        finds="boot/drop-capabilities",
        says=("with the capabilities that the engine gives by default it starts", "Operation not permitted"),
        contract={**QUICK, "waive": {"identity/non-root": "a defect of its own"}},
    ),
    Defect(
        name="becomes root by a setuid program",
        dockerfile="FROM {clean}\nUSER 0\nRUN install -m 4755 /usr/bin/id /usr/local/bin/rank\nUSER 10001:10001\n"
        + python_command(
            "import subprocess, shipapp.web",
            "assert subprocess.check_output(['rank', '-u']).strip() == b'0', 'no captain'",
            "shipapp.web.main()",
        ),
        finds="boot/no-new-privileges",
        says=("without no-new-privileges it starts", "no captain"),
        contract={**QUICK, "waive": {"files/setuid": "a defect of its own"}},
    ),
    Defect(
        name="starts more threads than it may",
        dockerfile="FROM {clean}\n"
        + python_command(
            "import threading, time, shipapp.web",
            "for _ in range(50): threading.Thread(target=time.sleep, args=(600,), daemon=True).start()",
            "shipapp.web.main()",
        ),
        finds="boot/limits",
        says=("it is limited to 32 processes and threads", "can't start new thread"),
        contract={**QUICK, "processes": 32},
    ),
)

RUNNING = (
    Defect(
        name="output is buffered",
        dockerfile="FROM {clean}\nENV PYTHONUNBUFFERED=",
        finds="boot/first-log",
        says=("its first line only at its stop signal: output is buffered", "log: listening"),
    ),
    Defect(
        name="logs nothing",
        dockerfile="FROM {clean}\n"
        + python_command("import sys, shipapp.web", "sys.stdout = open('/dev/null', 'w')", "shipapp.web.main()"),
        finds="boot/first-log",
        says=("it logged nothing at all",),
    ),
    Defect(
        name="a shell that stays in front",
        dockerfile='FROM {clean}\nCOPY stays.sh /start.sh\nENTRYPOINT ["/start.sh"]\nCMD ["shipapp"]',
        files={
            "stays.sh": "#!/bin/sh\ntrap 'kill $child; wait $child; exit 0' TERM\n\"$@\" &\nchild=$!\nwait $child\n",
            "becomes.sh": '#!/bin/sh\nexec "$@"\n',
        },
        finds="process/pid1-is-app",
        says=("PID 1 is `/bin/sh /start.sh shipapp`", 'exec "$@"'),
        twin='FROM {clean}\nCOPY becomes.sh /start.sh\nENTRYPOINT ["/start.sh"]\nCMD ["shipapp"]',
    ),
    Defect(
        name="gunicorn's heartbeat in its default folder",
        dockerfile="FROM {clean}\nUSER 0\nRUN cp /app/.venv/bin/shipapp-worker /app/.venv/bin/gunicorn\n"
        'USER 10001:10001\nCMD ["gunicorn", "shipapp.web:app"]',
        finds="runtime/worker-heartbeat",
        says=("write their heartbeat to /tmp", "open: /tmp/wgunicorn-"),
        twin="FROM {clean}\nUSER 0\nRUN cp /app/.venv/bin/shipapp-worker /app/.venv/bin/gunicorn\n"
        'USER 10001:10001\nCMD ["gunicorn", "--worker-tmp-dir", "/dev/shm", "shipapp.web:app"]',
    ),
    Defect(
        name="an entrypoint that runs one command only",
        dockerfile='FROM {clean}\nCOPY one.sh /start.sh\nENTRYPOINT ["/start.sh"]\nCMD ["shipapp"]',
        files={
            "one.sh": '#!/bin/sh\n[ "$1" = shipapp ] || { echo "only shipapp"; exit 64; }\nexec shipapp\n',
            "any.sh": '#!/bin/sh\nexec "$@"\n',
        },
        finds="runtime/command-override",
        says=("`/start.sh` did not run the command behind it: it ended with exit code 64", "it said: only shipapp"),
        twin='FROM {clean}\nCOPY any.sh /start.sh\nENTRYPOINT ["/start.sh"]\nCMD ["shipapp"]',
        level=Level.DEEP,
    ),
    Defect(
        name="listens inside the container only",
        dockerfile="FROM {clean}\n"
        + python_command("import shipapp.web", "shipapp.web.HOST = '127.0.0.1'", "shipapp.web.main()"),
        finds="network/exposed-ports",
        says=("127.0.0.1:8000/tcp answers inside the container only",),
    ),
    Defect(
        name="exposes a port that nothing listens on",
        dockerfile="FROM {clean}\nEXPOSE 9000",
        finds="network/exposed-ports",
        says=("EXPOSE names 9000/tcp, and nothing listens there", "listens on 0.0.0.0:8000/tcp"),
    ),
    Defect(
        name="listens on a port that it does not declare",
        dockerfile="FROM {clean}\n" + EXTRA_PORT.format(port=9000),
        finds="network/exposed-ports",
        says=("0.0.0.0:9000/tcp, which EXPOSE does not name",),
        twin="FROM {clean}\nEXPOSE 9000\n" + EXTRA_PORT.format(port=9000),
    ),
    Defect(
        name="listens on a low port",
        dockerfile="FROM {clean}\nEXPOSE 80\n" + EXTRA_PORT.format(port=80),
        finds="network/no-privileged-ports",
        says=("it listens on 0.0.0.0:80/tcp",),
    ),
    Defect(
        name="a health check that takes most of its timeout",
        dockerfile="FROM {clean}\n"
        'HEALTHCHECK --timeout=2s CMD ["python", "-I", "-S", "-c", "import time; time.sleep(1.2)"]',
        finds="health/cheap",
        says=("the quickest answer took", "half of its timeout of 2 s"),
    ),
)

DEEP = (
    Defect(
        name="starts without what it needs",
        dockerfile="FROM {clean}",
        finds="boot/missing-environment",
        says=("without SHIP_KEY, it starts anyway",),
        contract={"environment": {"SHIP_KEY": "x"}, "required_environment": ("SHIP_KEY",)},
        twin="FROM {clean}\n"
        + python_command("import os, shipapp.web", "os.environ['SHIP_KEY']", "shipapp.web.main()"),
        level=Level.DEEP,
    ),
    Defect(
        name="counts on its own uid",
        dockerfile="FROM {clean}\nUSER 0\nRUN install -d -o 10001 -m 0700 /app/state\nUSER 10001:10001\n" + READS_STATE,
        finds="boot/arbitrary-uid",
        says=("as uid 1000620000 and gid 0: the container exited at start", "PermissionError"),
        contract={**QUICK, "arbitrary_uid": True},
        twin="FROM {clean}\nUSER 0\nRUN install -d -o 10001 -g 0 -m 0750 /app/state\nUSER 10001:10001\n" + READS_STATE,
        level=Level.DEEP,
    ),
    Defect(
        name="another port at each start",
        dockerfile="FROM {clean}\n" + EXTRA_PORT.format(port=0),
        finds="boot/recreate",
        says=("the first time it listened on", "the second time on"),
        also={"network/exposed-ports"},
        level=Level.DEEP,
    ),
    Defect(
        name="writes where it may, and says nothing where it may not",
        dockerfile="FROM {clean}\nUSER 0\nRUN install -d -o 10001 /app/state\nUSER 10001:10001\n"
        + python_command(
            "import contextlib, pathlib, shipapp.web",
            "with contextlib.suppress(OSError): pathlib.Path('/app/state/now').write_text('1')",
            "shipapp.web.main()",
        ),
        finds="boot/writes-declared",
        says=("wrote /app/state/now",),
        level=Level.DEEP,
    ),
    Defect(
        name="a health check that asks nobody",
        dockerfile='FROM {clean}\nHEALTHCHECK --timeout=1s CMD ["python", "-c", "pass"]',
        finds="health/detects-freeze",
        says=("with every process stopped, it was still healthy after",),
        contract={**QUICK, "unhealthy_within": 6.0},
        level=Level.DEEP,
        twin='FROM {clean}\nHEALTHCHECK --timeout=5s CMD ["shipapp-health"]',
    ),
)

DECLARED = (
    Defect(
        name="a USER by its name",
        dockerfile="FROM {clean}\nUSER app",
        finds="identity/numeric-user",
        says=("USER app is a name", "Write `USER 10001:10001`"),
    ),
    Defect(
        name="a command in shell form",
        dockerfile="FROM {clean}\nCMD shipapp",
        finds="process/exec-form",
        also={"process/pid1-is-app", "process/graceful-stop"},
        says=("CMD is in shell form, `shipapp`", 'Write `CMD ["shipapp"]`'),
        contract=QUICK,
        twin="FROM {clean}\nCMD exec shipapp",
    ),
    Defect(
        name="a health check whose script was not copied",
        dockerfile='FROM {clean}\nHEALTHCHECK CMD ["python", "-I", "/app/healthcheck.py"]',
        finds="health/command-exists",
        also={"boot/healthy"},
        says=("/app/healthcheck.py is not there",),
        undecided=NEVER_UP,
        contract=QUICK,
        twin='FROM {clean}\nCOPY healthcheck.py /app/\nHEALTHCHECK CMD ["python", "-I", "/app/healthcheck.py"]',
        files={"healthcheck.py": "import sys, shipapp.health\nsys.exit(shipapp.health.main())\n"},
    ),
    Defect(
        name="a health check by a program that a shell does not find",
        dockerfile="FROM {clean}\nHEALTHCHECK CMD curl -f http://localhost:8000/health || exit 1",
        finds="health/command-exists",
        also={"boot/healthy"},
        says=("no program 'curl' in any folder of PATH", "looked in /app/.venv/bin"),
        undecided=NEVER_UP,
        contract=QUICK,
        twin="FROM {clean}\nHEALTHCHECK CMD shipapp-health || exit 1",
    ),
    Defect(
        name="a volume over the system's settings",
        dockerfile="FROM {clean}\nVOLUME /etc",
        finds="config/volumes",
        says=("/etc is a volume",),
        twin="FROM {clean}\nVOLUME /data",
    ),
    Defect(
        name="a label whose date is none",
        dockerfile='FROM {clean}\nLABEL org.opencontainers.image.created="yesterday"',
        finds="config/labels",
        says=("org.opencontainers.image.created is 'yesterday'",),
        twin='FROM {clean}\nLABEL org.opencontainers.image.created="2026-02-03T04:05:06+01:00"',
    ),
    Defect(
        name="a label that the build was not told",
        dockerfile='FROM {clean}\nARG REVISION=""\nLABEL org.opencontainers.image.revision="${REVISION}"',
        finds="config/labels",
        says=("org.opencontainers.image.revision is empty (build argument not passed)",),
        twin='FROM {clean}\nARG REVISION="4d1f2aa"\nLABEL org.opencontainers.image.revision="${REVISION}"',
    ),
    Defect(
        name="a token as a build argument",
        dockerfile="FROM {clean}\nARG INDEX_TOKEN=tide-and-time\nRUN true",
        finds="secrets/history",
        says=("INDEX_TOKEN (secret-like name; 13 characters) in history line",),
        twin="FROM {clean}\nARG INDEX_HOST=packages.example.org\nRUN true",
    ),
)

DEFECTS = (
    *IDENTITY,
    *START,
    *INTERPRETER,
    *PACKAGES,
    *APPLICATION,
    *CODE,
    *CONTENTS,
    *LAYERS,
    *CONFIGURATION,
    *DECLARED,
    *BOOT,
    *RESTRICTIONS,
    *RUNNING,
    *DEEP,
    *ENVIRONMENT,
    *STARTS,
)
