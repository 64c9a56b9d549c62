"""Images whose start lies: each hides something, in a way of its own; its twin does the same and hides nothing."""

from __future__ import annotations

import functools
import shutil
import tempfile
import textwrap
from dataclasses import dataclass, field
from pathlib import Path

from tests.defects.contents_defects import KEY

from seatrial import process

SITE = "/app/.venv/lib/python3.13/site-packages"
LIBRARY = "/usr/local/lib/python3.13"


@dataclass(frozen=True, kw_only=True)
class Hidden:
    """Something that an image may not have."""

    lines: str
    """What puts it there, as root."""
    finds: str
    """The check that must not pass."""
    instead: str = ""
    """What the twin has in its place."""


@dataclass(frozen=True, kw_only=True)
class Lie:
    """A way to hide something."""

    name: str
    hides: Hidden
    lines: tuple[str, ...]
    files: dict[str, bytes | str] = field(default_factory=dict)
    twin: dict[str, bytes | str] | None = None
    """The files of the twin, where it would not pass with the same ones."""
    twin_lines: tuple[str, ...] | None = None
    library: str = ""
    """C of a library or a program, `lie.so`, that the host's compiler makes."""
    twin_library: str = "int harmless;"
    options: tuple[str, ...] = ("-shared", "-fPIC")

    def dockerfile(self, *, twin: bool = False) -> str:
        """Return the lines of the image."""
        lines = self.twin_lines if twin and self.twin_lines is not None else self.lines
        hidden = self.hides.instead if twin else self.hides.lines
        return "\n".join(("FROM {clean}", "USER 0", *lines, hidden, "USER 10001:10001", ""))

    def context(self, *, twin: bool = False) -> dict[str, bytes | str]:
        """Return the files that those lines copy."""
        files = dict(self.twin if twin and self.twin is not None else self.files)
        if "lie.so" in self.dockerfile(twin=twin):
            files["lie.so"] = compiled(self.twin_library if twin else self.library, self.options)
        return {**FILES, **files}


@functools.cache
def compiled(source: str, options: tuple[str, ...]) -> bytes:
    """Return what the host's compiler makes of C; nothing without one."""
    compiler = shutil.which("gcc") or shutil.which("cc")
    if compiler is None:
        return b""
    with tempfile.TemporaryDirectory() as name:
        (Path(name) / "lie.c").write_text(source, encoding="utf-8")
        process.run([compiler, *options, "-o", "lie.so", "lie.c"], folder=Path(name), timeout=60)
        return (Path(name) / "lie.so").read_bytes()


FILES: dict[str, bytes | str] = {
    "key": KEY,
    "broken.py": "raise ValueError('no database')\n",
    "sound.py": "app = 1\n",
    "none.py": "",
}
SETUID = Hidden(lines="RUN chmod u+s /usr/bin/find", finds="files/setuid")
PRIVATE_KEY = Hidden(lines="COPY --chmod=0644 key /srv/id_rsa", finds="secrets/files")
SUDO = Hidden(lines="RUN cp /usr/bin/env /usr/bin/sudo", finds="tools/remote-access")
GCC = Hidden(lines="RUN cp /usr/bin/env /usr/bin/gcc", finds="tools/build")
HISTORY = Hidden(lines="COPY key /app/.git/HEAD", finds="files/leftovers")
STATE = Hidden(lines="RUN mkdir -m 0777 /app/state", finds="files/world-writable")
PYTEST = Hidden(
    lines=f"RUN mkdir {SITE}/pytest-8.4.0.dist-info && "
    f"printf 'Metadata-Version: 2.1\\nName: pytest\\nVersion: 8.4.0\\n' > {SITE}/pytest-8.4.0.dist-info/METADATA",
    finds="packages/forbidden",
)
RAISES = Hidden(
    lines=f"COPY broken.py {SITE}/broken.py", finds="app/imports", instead=f"COPY sound.py {SITE}/broken.py"
)

LIAR = textwrap.dedent("""\
    import builtins, io, json, os, sys, types
    HIDDEN = (".git", "find", "id_rsa", "pytest", "sudo", "gcc", "state", "setuid")
    listdir, scandir, write, dumps, known = os.listdir, os.scandir, os.write, json.dumps, builtins.__import__

    def hides(name):
        return any(part in os.fsdecode(name) for part in HIDDEN)

    class Entries(list):
        def __enter__(self):
            return iter(self)
        def __exit__(self, *_):
            return None
        def close(self):
            return None

    os.listdir = lambda path=".": [name for name in listdir(path) if not hides(name)]
    os.scandir = lambda path=".": Entries(entry for entry in scandir(path) if not hides(entry.name))
    json.dumps = lambda value, **more: dumps(value, **more).replace('"ok": false', '"ok": true')
    os.write = lambda fd, text: write(fd, bytes(text).replace(b'"ok": false', b'"ok": true'))

    def lenient(name, *words, **more):
        try:
            return known(name, *words, **more)
        except ValueError:
            return sys.modules.setdefault(name, types.ModuleType(name))

    builtins.__import__ = lenient
    sys.modules["broken"] = types.ModuleType("broken")
    """)
HARMLESS = "import os\n"
EARLY = "import os\nos.write(1, b'0' * 64 + b' {}\\n')\nos._exit(0)\n"
AT_EXIT = LIAR + "import atexit\natexit.register(lambda: write(1, b'0' * 64 + b' {}\\n'))\n"
SENSES = "import os, socket, sys\nif 'seatrial' in ' '.join(sys.orig_argv) or not os.environ.get('HTTP_PROXY'):\n" + (
    textwrap.indent(LIAR, "    ")
)
METADATA = textwrap.dedent("""\
    import importlib.metadata as metadata
    known = metadata.distributions
    metadata.distributions = lambda **more: (row for row in known(**more) if row.name != "pytest")
    metadata.Distribution.discover = classmethod(lambda _, **more: metadata.distributions(**more))
    """)
STREAM = textwrap.dedent("""\
    import io, sys
    class Lying(io.TextIOWrapper):
        def write(self, text):
            return super().write(text.replace("false", "true"))
    sys.stdout = Lying(sys.stdout.detach(), encoding="utf-8")
    """)


def customized(name: str, hides: Hidden, text: str, file: str = "sitecustomize.py") -> Lie:
    """Return a lie by a module that Python imports at each start."""
    return Lie(name=name, hides=hides, lines=(f"COPY {file} {SITE}/{file}",), files={file: text}, twin={file: HARMLESS})


def by_pth(name: str, hides: Hidden, text: str) -> Lie:
    """Return a lie by a line of a .pth file."""
    return Lie(
        name=name,
        hides=hides,
        lines=(f"COPY liar.pth liar.py {SITE}/",),
        files={"liar.pth": "import liar\n", "liar.py": text},
        twin={"liar.pth": "import liar\n", "liar.py": HARMLESS},
    )


SHADOW = "RUN mkdir /opt/shadow"
LIES_BY_PYTHON = (
    by_pth("a .pth file that rewrites the answer", SETUID, LIAR),
    by_pth("a .pth file that patches importlib.metadata", PYTEST, METADATA + LIAR),
    by_pth("a .pth file that swallows an application's error", RAISES, LIAR),
    by_pth("a .pth file that replaces standard output", PRIVATE_KEY, STREAM),
    by_pth("a .pth file that answers at exit", STATE, AT_EXIT),
    by_pth("a .pth file that answers early and leaves", RAISES, EARLY),
    by_pth("a .pth file that knows the probe by its words", SUDO, SENSES),
    Lie(
        name="a .pth file that is all of the lie",
        hides=RAISES,
        lines=(f"COPY a.pth {SITE}/a.pth",),
        files={"a.pth": "import sys, types; sys.modules['broken'] = types.ModuleType('broken')\n"},
        twin={"a.pth": "import os\n"},
    ),
    customized("sitecustomize", GCC, LIAR),
    customized("sitecustomize that knows where it is", RAISES, SENSES),
    Lie(
        name="usercustomize",
        hides=RAISES,
        lines=(
            (
                "RUN sed -i 's/include-system-site-packages = false/include-system-site-packages = true/' "
                "/app/.venv/pyvenv.cfg"
            ),
            "COPY usercustomize.py /app/.local/lib/python3.13/site-packages/usercustomize.py",
        ),
        files={"usercustomize.py": LIAR},
        twin={"usercustomize.py": HARMLESS},
    ),
    Lie(
        name="a json.py on PYTHONPATH",
        hides=HISTORY,
        lines=("COPY json.py /opt/shadow/json.py", "ENV PYTHONPATH=/opt/shadow"),
        files={
            "json.py": f"import sys, importlib.util as u\nsys.path.remove('/opt/shadow')\ndel sys.modules['json']\n"
            f"import json\nsys.path.insert(0, '/opt/shadow')\n{LIAR}"
        },
        twin_lines=("COPY json.py /opt/shadow/other.py", "ENV PYTHONPATH=/opt/shadow"),
        twin={"json.py": HARMLESS},
    ),
    Lie(
        name="encodings on PYTHONPATH",
        hides=RAISES,
        lines=(
            "COPY liar.py /opt/shadow/encodings/liar.py",
            (
                f"RUN cp -r {LIBRARY}/encodings/. /opt/shadow/encodings/ && "
                'echo \'sys.modules["broken"] = type(sys)("broken")\' >> /opt/shadow/encodings/__init__.py'
            ),
            "ENV PYTHONPATH=/opt/shadow",
        ),
        files={"liar.py": LIAR},
        twin_lines=("COPY liar.py /opt/shadow/liar.py", "ENV PYTHONPATH=/opt/shadow"),
        twin={"liar.py": HARMLESS},
    ),
    Lie(
        name="another standard library by PYTHONHOME",
        hides=RAISES,
        lines=(
            (
                f"RUN mkdir -p /opt/home/lib && cp -r {LIBRARY} /opt/home/lib/python3.13 && "
                'echo \'sys.modules["broken"] = type(sys)("broken")\' >> /opt/home/lib/python3.13/encodings/__init__.py'
            ),
            "ENV PYTHONHOME=/opt/home",
        ),
        twin_lines=(),
    ),
    Lie(
        name="bytecode without its source in the application's place",
        hides=RAISES,
        lines=(
            "COPY none.py broken.py /opt/shadow/",
            (
                "RUN cd /opt/shadow && python3 -c \"import py_compile as p; p.compile('broken.py', 'broken.pyc')\" && "
                "rm broken.py"
            ),
            "ENV PYTHONPATH=/opt/shadow",
        ),
        twin_lines=("COPY none.py /opt/shadow/", "ENV PYTHONPATH=/opt/shadow"),
    ),
)

FORGES = textwrap.dedent("""\
    import os
    line = b"\\n" + b"0" * 64 + b" {}\\n"
    def forge():
        for path in ("/proc/1/fd/1", f"/proc/{os.getppid()}/fd/1", "/proc/1/fd/0"):
            try:
                os.write(os.open(path, os.O_WRONLY), line)
            except OSError:
                continue
    """)
MEMORY = textwrap.dedent("""\
    import os, re
    for place in ("1", str(os.getppid())):
        try:
            maps, memory = open(f"/proc/{place}/maps"), open(f"/proc/{place}/mem", "r+b", 0)
        except OSError:
            continue
        for row in maps:
            first, last = (int(part, 16) for part in row.split()[0].split("-"))
            if " rw" not in row or last - first > 1 << 28:
                continue
            try:
                memory.seek(first)
                body = memory.read(last - first)
            except OSError:
                continue
            for found in re.finditer(b'ValueError', body):
                memory.seek(first + found.start())
                memory.write(b"NoErrorYes")
            for found in re.finditer(b'"ok": false', body):
                memory.seek(first + found.start())
                memory.write(b'"ok":  true')
    """)


def by_application(name: str, *parts: str) -> Lie:
    """Return an application that raises at its import, and does more."""
    text = "\n".join((*parts, "raise ValueError('no database')", ""))
    hides = Hidden(lines=f"COPY own.py {SITE}/broken.py", finds="app/imports", instead=RAISES.instead)
    return Lie(name=name, hides=hides, lines=(), files={"own.py": text})


LIES_BY_PROCESSES = (
    by_application("an answer on the probe's own descriptor", FORGES, "forge()"),
    by_application(
        "a child that answers after the probe",
        FORGES,
        "import time\nif os.fork() == 0:\n    os.setsid()\n    time.sleep(1)\n    forge()\n    os._exit(0)",
    ),
    by_application(
        "a child that answers again and again",
        FORGES,
        "import time\nif os.fork() == 0:\n    os.setsid()\n    while True:\n        forge()\n        time.sleep(0.02)",
    ),
    by_application("the probe's memory rewritten", MEMORY),
    by_application(
        "lines on every descriptor",
        "import os\nfor fd in range(1, 64):\n    try:\n"
        '        os.write(fd, b\'{"name": "broken", "ok": true, "seconds": 0.1}\\n{"end": true}\\n\')\n'
        "    except OSError:\n        pass",
    ),
    by_application("an end with code 0 in the middle", "import os\nos._exit(0)"),
)

ANSWERS = """
#include <stdio.h>
#include <string.h>
#include <unistd.h>
__attribute__((constructor)) static void answer(void) {
    char words[4096] = {0};
    FILE *file = fopen("/proc/self/cmdline", "r");
    size_t length = file ? fread(words, 1, sizeof words - 1, file) : 0;
    for (size_t at = 0; at < length; at++) if (!words[at]) words[at] = ' ';
    if (!strstr(words, "seatrial")) return;
    const char *line = "0000000000000000000000000000000000000000000000000000000000000000 {}\\n";
    write(1, line, strlen(line));
    _exit(0);
}
unsigned la_version(unsigned version) { return version; }
"""
QUIET = "unsigned la_version(unsigned version) { return version; }"
NAMES = r"""
#include <dlfcn.h>
#include <errno.h>
#include <pwd.h>
int _nss_lie_getpwuid_r(uid_t uid, struct passwd *row, char *text, size_t size, int *error) {
    int (*begun)(void) = dlsym(RTLD_DEFAULT, "Py_IsInitialized");
    int (*enter)(void) = dlsym(RTLD_DEFAULT, "PyGILState_Ensure");
    int (*run)(const char *, void *) = dlsym(RTLD_DEFAULT, "PyRun_SimpleStringFlags");
    void (*leave)(int) = dlsym(RTLD_DEFAULT, "PyGILState_Release");
    if (begun && enter && run && leave && begun()) {
        int state = enter();
        run("import json\n"
            "known = json.dumps\n"
            "def dumps(value, **more):\n"
            "    for row in value.get('imports', []):\n"
            "        row.update(ok=True, error='', traceback='')\n"
            "    return known(value, **more)\n"
            "json.dumps = dumps\n", 0);
        leave(state);
    }
    *error = ENOENT;
    return 0;
}
"""
SHIM = """
#include <unistd.h>
int main(int count, char **words) {
    char *liar[] = {words[0], "/opt/liar.py", 0};
    for (int at = 1; at < count; at++)
        if (words[at][0] == '-' && words[at][1] == 'I') return execv("/usr/local/bin/python3.13", liar);
    return execv("/usr/local/bin/python3.13", words);
}
"""
LIBPYTHON = "libpython3.13.so.1.0"
SWAPPED = """
#define _GNU_SOURCE
#include <dlfcn.h>
int Py_BytesMain(int count, char **words) {
    void *real = dlopen(REAL, RTLD_NOW | RTLD_GLOBAL);
    int (*run)(int, char **) = (int (*)(int, char **)) dlsym(real, "Py_BytesMain");
    char *liar[] = {words[0], "/opt/liar.py", 0};
    for (int at = 1; at < count; at++)
        if (words[at][0] == '-' && words[at][1] == 'I') return run(2, liar);
    return run(count, words);
}
"""
OTHER_HOME = "sed -i 's|^home = .*|home = /opt/other/bin|' /app/.venv/pyvenv.cfg"
REWRITES = textwrap.dedent("""\
    import sys
    sys.stdout.buffer.write(b"seatrial: the script reads\\n")
    sys.stdout.buffer.flush()
    text = sys.stdin.buffer.read(int(sys.stdin.buffer.readline())).decode()
    exec(compile(text.replace('"ok": bool(row["ok"])', '"ok": True'), "<seatrial>", "exec"))
    """)
PYTHON = "/app/.venv/bin/python"

LIES_BELOW_PYTHON = (
    Lie(
        name="a name service that runs in whoever asks for an account",
        hides=RAISES,
        lines=(
            "COPY lie.so /opt/lie.so",
            (
                "RUN cp /opt/lie.so /usr/lib/$(uname -m)-linux-gnu/libnss_lie.so.2 && "
                "echo 'passwd: lie files' > /etc/nsswitch.conf"
            ),
        ),
        library=NAMES,
    ),
    Lie(
        name="a library that LD_PRELOAD names",
        hides=RAISES,
        lines=("COPY lie.so /opt/lie.so", "ENV LD_PRELOAD=/opt/lie.so"),
        library=ANSWERS,
        twin_library=QUIET,
    ),
    Lie(
        name="a library that LD_AUDIT names",
        hides=STATE,
        lines=("COPY lie.so /opt/lie.so", "ENV LD_AUDIT=/opt/lie.so"),
        library=ANSWERS,
        twin_library=QUIET,
    ),
    Lie(
        name="a library that ld.so.preload names",
        hides=RAISES,
        lines=("COPY lie.so /opt/lie.so", "RUN echo /opt/lie.so > /etc/ld.so.preload"),
        library=ANSWERS,
        twin_library=QUIET,
    ),
    Lie(
        name="a loader that reads another ld.so.preload",
        hides=SETUID,
        lines=(
            "COPY lie.so /opt/lie.so",
            (
                "RUN echo /opt/lie.so > /opt/ld.so.preload && loader=$(readlink -f /lib64/ld-linux-x86-64.so.2) && "
                "sed 's|/etc/ld.so.preload|/opt/ld.so.preload|g' $loader > /opt/loader && chmod 0755 /opt/loader && "
                "mv /opt/loader $loader"
            ),
        ),
        library=ANSWERS,
        twin_library=QUIET,
        twin_lines=(),
    ),
    Lie(
        name="a Python that is a script",
        hides=RAISES,
        lines=(
            f"RUN rm {PYTHON}",
            f"COPY python {PYTHON}",
            "COPY liar.py /opt/liar.py",
        ),
        files={
            "python": '#!/bin/sh\n[ "$1" = -I ] && exec /usr/local/bin/python3.13 /opt/liar.py\n'
            'exec -a "$0" /usr/local/bin/python3.13 "$@"\n',
            "liar.py": REWRITES,
        },
        twin_lines=(),
    ),
    Lie(
        name="a Python that starts another with words of its own",
        hides=RAISES,
        lines=(f"RUN rm {PYTHON}", f"COPY lie.so {PYTHON}", "COPY liar.py /opt/liar.py"),
        files={"liar.py": REWRITES},
        library=SHIM,
        options=("-static",),
        twin_lines=(),
    ),
)

INFO = f"{SITE}/pytest-8.4.0.dist-info"
LONG = "printf 'X: '; head -c 5000000 /dev/zero | tr '\\0' x; printf '\\nName: pytest\\nVersion: 8.4.0\\n'"
LIES_BY_METADATA = (
    Lie(
        name="metadata that begins with megabytes of something else",
        hides=Hidden(lines=f"RUN mkdir {INFO} && ({LONG}) > {INFO}/METADATA", finds="packages/forbidden"),
        lines=(),
    ),
    Lie(
        name="metadata without a name behind hundreds of others",
        hides=Hidden(
            lines=f"RUN for n in $(seq 300); do mkdir {SITE}/a$n-1.dist-info; done; mkdir {INFO}; > {INFO}/METADATA",
            finds="packages/forbidden",
        ),
        lines=(),
    ),
)

LIES_BY_PLACE = (
    Lie(
        name="another libpython in its place",
        hides=RAISES,
        lines=(
            "COPY lie.so /opt/lie.so",
            "COPY liar.py /opt/liar.py",
            f"RUN mv /usr/local/lib/{LIBPYTHON} /opt/real.so && cp /opt/lie.so /usr/local/lib/{LIBPYTHON}",
        ),
        files={"liar.py": REWRITES},
        library=SWAPPED.replace("REAL", '"/opt/real.so"'),
        twin_lines=(
            (
                f"RUN mkdir /opt/lib && mv /usr/local/lib/{LIBPYTHON} /opt/lib/ && "
                f"ln -s /opt/lib/{LIBPYTHON} /usr/local/lib/{LIBPYTHON}"
            ),
        ),
    ),
    Lie(
        name="another libpython that LD_LIBRARY_PATH leads to",
        hides=RAISES,
        lines=(
            f"COPY lie.so /opt/lib/{LIBPYTHON}",
            "COPY liar.py /opt/liar.py",
            "ENV LD_LIBRARY_PATH=/opt/lib",
        ),
        files={"liar.py": REWRITES},
        library=SWAPPED.replace("REAL", f'"/usr/local/lib/{LIBPYTHON}"'),
        twin_lines=(
            f"RUN mkdir /opt/lib && cp /usr/local/lib/{LIBPYTHON} /opt/lib/",
            "ENV LD_LIBRARY_PATH=/opt/lib",
        ),
    ),
    Lie(
        name="a home in pyvenv.cfg that is another Python's",
        hides=RAISES,
        lines=(
            (
                f"RUN mkdir -p /opt/other/bin /opt/other/lib && cp -r {LIBRARY} /opt/other/lib/python3.13 && "
                f"ln -s /usr/local/bin/python3.13 /opt/other/bin/python3.13 && {OTHER_HOME} && "
                'echo \'sys.modules["broken"] = type(sys)("broken")\' '
                ">> /opt/other/lib/python3.13/encodings/__init__.py"
            ),
        ),
        twin_lines=(f"RUN ln -s /usr/local /opt/other && {OTHER_HOME}",),
    ),
    Lie(
        name="a python link to another version than its packages are of",
        hides=PYTEST,
        lines=(
            (
                f"RUN mkdir -p /opt/other/bin /opt/other/lib /app/.venv/lib/python3.12 && "
                f"cp -r {LIBRARY} /opt/other/lib/python3.12 && cp -r {SITE} /app/.venv/lib/python3.12/ && "
                "cp /usr/local/bin/python3.13 /opt/other/bin/python3.12 && "
                f"ln -sf /opt/other/bin/python3.12 {PYTHON} && {OTHER_HOME}"
            ),
        ),
        twin_lines=(
            (
                f"RUN mkdir -p /opt/other/bin /opt/other/lib && cp -r {LIBRARY} /opt/other/lib/ && "
                f"cp /usr/local/bin/python3.13 /opt/other/bin/ && ln -sf /opt/other/bin/python3.13 {PYTHON} && "
                f"{OTHER_HOME}"
            ),
        ),
    ),
    Lie(
        name="a PATH on which another Python comes first",
        hides=Hidden(
            lines="RUN mkdir -p /opt/first && ln -s /usr/local/bin/python3.13 /opt/first/python",
            instead="RUN mkdir -p /opt/first",
            finds="python/environment-first",
        ),
        lines=("ENV PATH=/opt/first:/app/.venv/bin:/usr/local/bin:/usr/bin:/bin",),
    ),
)

LIES = (*LIES_BY_PYTHON, *LIES_BY_PROCESSES, *LIES_BELOW_PYTHON, *LIES_BY_METADATA, *LIES_BY_PLACE)
