"""Images that want to use up the host, or the one who reads them: its disk, memory, time, terminal."""

from __future__ import annotations

from tests.defects.test_hostile import WRITERS, Hostile
from tests.defects.test_odd_contents import MAKES, ODD, SITE

ANY = ""
"""An image that may pass: it hides nothing, and is only much or odd."""
WORKS = 'modules = ["shipapp.web:app"]\ndependencies = ["shipapp"]\nbytecode = []\n'
PATIENT = f"{WORKS}healthy-within = 20\nstops-within = 2\n"
BRIEF = f"{WORKS}healthy-within = 4\nstays-up = 2\nstops-within = 2\n"


def made(name: str, *lines: str, finds: str = ANY, says: str = "", within: float = 90) -> Hostile:
    """Return an image of which a Python program, run by root, makes something."""
    return Hostile(
        name=name, dockerfile=MAKES, files={"make.py": "\n".join(("import os", *lines, ""))},
        finds=finds, says=says, within=within,
        contract=f'{PATIENT}max-unpacked = "500 MB"\n',
    )  # fmt: skip


def starts(
    name: str, *lines: str, finds: str = "boot/healthy", says: str = "", within: float = 60, patient: bool = False
) -> Hostile:
    """Return an image with lines of its own after the clean one's."""
    return Hostile(name=name, dockerfile="\n".join(("FROM {clean}", *lines)), finds=finds, says=says, within=within,
        contract=PATIENT if patient else BRIEF,
    )  # fmt: skip


def shell(line: str) -> str:
    """Return a CMD of a shell's line."""
    return f'CMD ["sh", "-c", "{line}"]'


OWN_VOLUME = "USER 0\nRUN mkdir -m 777 /data\nVOLUME /data\nUSER 10001"

STARTS = (
    starts(
        "writes to its volume without end",
        OWN_VOLUME,
        "HEALTHCHECK CMD test -e /tmp/full",
        shell("cat /dev/zero > /data/zeros; touch /tmp/full; sleep 600"),
        finds="boot/limits",
        says="filled its volume /data",
        patient=True,
    ),
    Hostile(
        name="writes to a volume that holds files, without end",
        dockerfile=WRITERS["in a volume with files of the image"].replace("sleep 0.05", "true"),
        finds="boot/healthy",
        says="",
        within=120,
        contract=PATIENT,
    ),
    starts("writes to /dev/shm without end", shell("while :; do cat /dev/zero > /dev/shm/$$; rm /dev/shm/$$; done")),
    starts("writes to /tmp without end", shell("while :; do cat /dev/zero > /tmp/$$; rm /tmp/$$; done")),
    starts(
        "takes memory without end",
        'CMD ["python", "-c", "x = []\\nwhile True: x.append(bytearray(10 ** 7))"]',
        finds="boot/healthy",
    ),
    starts("runs processors without end", shell("for n in 1 2 3 4 5 6 7 8; do (while :; do :; done) & done; wait")),
    starts(
        "ignores the stop signal",
        "HEALTHCHECK CMD true",
        shell("trap '' TERM INT HUP QUIT; while :; do sleep 1; done"),
        finds="process/graceful-stop",
    ),
    starts("a health check that never ends", "HEALTHCHECK --timeout=1h CMD sleep 3600", shell("sleep 3600")),
    starts(
        "a health check that forks without end",
        'HEALTHCHECK CMD ["sh", "-c", "f() { f | f & }; f; sleep 600"]',
        shell("sleep 3600"),
    ),
    starts(
        "leaves a thousand zombies",
        "HEALTHCHECK CMD test -e /tmp/full",
        'CMD ["python", "-c", "import os, time\\nwhile True:\\n  try:\\n    os.fork() or os._exit(0)\\n'
        "  except OSError:\\n    open('/tmp/full', 'w').close()\\n    time.sleep(1)\"]",
        finds="boot/limits",
    ),
    starts(
        "terminal codes in its title, its variables and its command",
        r'LABEL "\u001b]0;owned\u0007"="\u001b[2J" org.opencontainers.image.title="' + "\x1b[31m" + r'red"',
        'ENV WORD="\x1b[2J\x9b31m"',
        'CMD ["\x1b]0;owned\x07\x1b[2J", "[bold]x[/]"]',
    ),
)

CONTENTS = (
    *(
        Hostile(
            name=odd.name,
            dockerfile=MAKES,
            files={"make.py": f"import os\n{odd.makes}"},
            finds=ANY,
            says="",
            within=3 * odd.within,
            contract=PATIENT,
        )
        for odd in ODD
    ),
    made(
        "2,000 folders in each other",
        "os.chdir('/app')",
        "for _ in range(2000):\n    os.mkdir('d')\n    os.chdir('d')",
        "open('x.so', 'w').close()",
    ),
    made(
        "a file of 2 GB of nothing",
        "os.truncate(os.open('/app/big', os.O_CREAT | os.O_RDWR), 2 ** 31)",
        finds="size/unpacked",
        says="GB",
        within=180,
    ),
    made(
        "a line of 100 MB in what describes a package",
        f"os.mkdir('{SITE}/long-1.0.dist-info')",
        f"open('{SITE}/long-1.0.dist-info/METADATA', 'w').write('Name: ' + 'x' * 10 ** 8)",
    ),
    made(
        "a package that is named after 100 MB of something else",
        f"os.mkdir('{SITE}/pytest-8.4.0.dist-info')",
        f"with open('{SITE}/pytest-8.4.0.dist-info/METADATA', 'w') as file:",
        "    file.write('X: ' + 'x' * 10 ** 8 + '\\nName: pytest\\nVersion: 8.4.0\\n')",
        finds="packages/forbidden",
    ),
    made("a .pth file of 100 MB", f"open('{SITE}/long.pth', 'w').write('x' * 10 ** 8)", finds="boot/limits"),
    made(
        "20,000 packages",
        "for n in range(20000):",
        f"    os.mkdir(f'{SITE}/p{{n}}-1.0.dist-info')",
        f"    with open(f'{SITE}/p{{n}}-1.0.dist-info/METADATA', 'w') as file:",
        "        file.write(f'Metadata-Version: 2.1\\nName: p{n}\\nVersion: 1\\n')",
    ),
    made(
        "a million accounts",
        "with open('/etc/passwd', 'a') as file:",
        "    for n in range(10 ** 6): file.write(f'a{n}:x:{20000 + n}:0::/:/bin/sh\\n')",
        finds="accounts/no-empty-passwords",
    ),
    made("accounts on a line of 100 MB", "open('/etc/passwd', 'a').write('x' * 10 ** 8)"),
    made(
        "an interpreter that is a link to itself",
        "os.remove('/app/.venv/bin/python')",
        "os.symlink('python', '/app/.venv/bin/python')",
        finds="process/command-resolves",
    ),
    made(
        "libraries whose headers promise gigabytes",
        "head = open('/bin/sh', 'rb').read(64)",
        "for n in range(200):",
        f"    open(f'{SITE}/x{{n}}.so', 'wb').write(head[:32] + b'\\xff' * (32 + n * 8))",
        finds=ANY,
    ),
    made(
        "60,000 links to one file",
        "open('/app/first', 'w').write('x')",
        "for n in range(60000): os.link('/app/first', f'/app/l{n}')",
    ),
)

CONFIGURATIONS = (
    Hostile(
        name="a PATH of 300,000 folders",
        dockerfile="FROM {clean}\nLABEL a=path",
        path="/app/.venv/bin:" + ":".join(f"/{number:x}" for number in range(300_000)),
        finds="boot/healthy",
        says="",
        within=120,
        contract=BRIEF,
    ),
    starts("3,000 variables", *(f"ENV V{n}={n}" for n in range(120)), finds=ANY),
    starts("all ports", "EXPOSE 1-65535", finds="network/exposed-ports"),
)


def imports(name: str, text: str) -> Hostile:
    """Return an application whose module does something at its import."""
    return Hostile(
        name=name, dockerfile=f"FROM {{clean}}\nUSER 0\nCOPY app.py {SITE}/app.py\nUSER 10001:10001",
        files={"app.py": text}, finds="app/imports", says="", within=150,
        contract=BRIEF.replace("shipapp.web:app", "app"),
    )  # fmt: skip


IMPORTS = (
    imports("an import that never ends", "while True: pass\n"),
    imports("an import that takes memory without end", "x = []\nwhile True: x.append(bytearray(10 ** 7))\n"),
    imports("an import that prints gigabytes", "while True: print('x' * 10 ** 6)\n"),
    imports(
        "an import that forks without end", "import os\nwhile True:\n    try: os.fork()\n    except OSError: pass\n"
    ),
)

BOMBS = (*STARTS, *CONTENTS, *CONFIGURATIONS, *IMPORTS)
