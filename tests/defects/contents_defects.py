"""Defects of accounts and contents: what lies in an image, and may not."""

from __future__ import annotations

from typing import Any

from tests.defects.defect import Defect

from seatrial.checks.model import Level


def as_root(*lines: str) -> str:
    """Return a Dockerfile whose lines root carries out, on the clean image."""
    return "\n".join(("FROM {clean}", "USER 0", *lines, "USER 10001:10001"))


def lying(name: str, *lines: str, finds: str, says: tuple[str, ...], twin: str = "FROM {clean}", **more: Any) -> Defect:
    """Return a defect that no start is needed to find."""
    return Defect(name=name, dockerfile=as_root(*lines), finds=finds, says=says, twin=twin, level=Level.QUICK, **more)


def capable(file: str, number: int) -> str:
    """Return what gives a file one capability, as setcap does with `+ep`."""
    value = f"bytes([1, 0, 0, 2]) + ({1 << number}).to_bytes(16, 'little')"
    return f"RUN python3 -c \"import os; os.setxattr('{file}', 'security.capability', {value})\""


KEY = "-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1rZXk\n-----END OPENSSH PRIVATE KEY-----\n"

ACCOUNTS = (
    lying(
        "an account with an empty password",
        "RUN passwd --delete games",
        finds="accounts/no-empty-passwords",
        says=("games has an empty password", "passwd --lock"),
        twin=as_root("RUN passwd --lock games"),
    ),
    lying(
        "an account with a password that is set",
        "RUN echo games:hunter2 | chpasswd",
        finds="accounts/no-empty-passwords",
        says=("games has a password",),
    ),
    lying(
        "two accounts of one number",
        "RUN useradd --no-log-init --non-unique --uid 10001 --gid app second",
        finds="accounts/unique-ids",
        says=("uid 10001 is that of app and second",),
        twin=as_root("RUN useradd --no-log-init --uid 10002 --gid app second"),
    ),
    lying(
        "two groups of one number",
        "RUN groupadd --non-unique --gid 10001 second",
        finds="accounts/unique-ids",
        says=("gid 10001 is that of app and second",),
    ),
    lying(
        "a login record of a high account number",
        "RUN truncate --size 30M /var/log/lastlog",
        finds="accounts/no-sparse-logs",
        says=("/var/log/lastlog has 31.5 MB", "--no-log-init"),
        twin=as_root("RUN truncate --size 3M /var/log/lastlog"),
    ),
)

PERMISSIONS = (
    lying(
        "a setuid program",
        "RUN chmod u+s /usr/bin/find",
        finds="files/setuid",
        says=("/usr/bin/find has mode 4755 and owner 0:0", "chmod a-s /usr/bin/find"),
    ),
    lying(
        "the base's setuid programs where the contract allows none",
        "RUN true",
        finds="files/setuid",
        says=("/usr/bin/passwd has mode 4755",),
        contract={"setuid": ()},
        twin=as_root("RUN find / -xdev -perm /6000 -type f -exec chmod a-s {} +"),
    ),
    lying(
        "a program that may make itself root by a file capability",
        capable("/usr/bin/find", 7),
        finds="files/setuid",
        says=("/usr/bin/find has the file capabilities SETUID", "setcap -r /usr/bin/find"),
        # A port below 1024 is no privilege in a container.
        twin=as_root(capable("/usr/bin/find", 10)),
    ),
    lying(
        "a setgid program where USER may not look",
        "RUN install -m 2755 -D /usr/bin/id /root/tools/id",
        finds="files/setuid",
        says=("/root/tools/id has mode 2755",),
    ),
    lying(
        "code that everybody may write, in a folder with the sticky bit",
        "RUN mkdir -m 1755 /app/lib && install -m 0666 /dev/null /app/lib/code.py",
        finds="files/world-writable",
        says=("/app/lib/code.py has mode 0666",),
    ),
    lying(
        "a folder that everybody may write",
        "RUN mkdir -m 0777 /app/state",
        finds="files/world-writable",
        says=("/app/state has mode 0777 and owner 0:0",),
        twin=as_root("RUN mkdir -m 1777 /app/state"),
    ),
    lying(
        "code that everybody may write",
        "RUN chmod 0666 /app/.venv/pyvenv.cfg",
        finds="files/world-writable",
        says=("/app/.venv/pyvenv.cfg has mode 0666",),
        also={"app/code-read-only"},
    ),
)

FILES = (
    lying(
        "a file of the project that the contract does not name",
        "COPY Makefile /app/Makefile",
        files={"Makefile": "all:\n"},
        finds="files/expected",
        says=("/app/Makefile is not in the contract",),
        contract={"files": {"/app": (".venv",)}},
    ),
    lying(
        "a file of the project that is missing",
        "RUN true",
        finds="files/expected",
        says=("/app/alembic.ini is not there",),
        contract={"files": {"/app": (".venv", "alembic.ini")}},
        twin=as_root("COPY alembic.ini /app/"),
        files={"alembic.ini": "[alembic]\n"},
    ),
    lying(
        "the project's tests",
        "COPY test_api.py /app/tests/test_api.py",
        files={"test_api.py": "def test_it(): pass\n"},
        finds="files/expected",
        says=("/app/tests is a test", ".dockerignore"),
    ),
    lying(
        "tests inside the installed project",
        "COPY test_api.py /app/.venv/lib/python3.13/site-packages/shipapp/test_api.py",
        files={"test_api.py": "def test_it(): pass\n"},
        finds="files/expected",
        says=("/app/.venv/lib/python3.13/site-packages/shipapp/test_api.py is a test",),
        contract={"bytecode": ()},
        twin=as_root("COPY test_api.py /app/.venv/lib/python3.13/site-packages/other/test_api.py"),
    ),
    lying(
        "the checkout's history",
        "COPY HEAD /app/.git/HEAD",
        files={"HEAD": "ref: refs/heads/main\n"},
        finds="files/leftovers",
        says=("/app/.git (version control)", ".dockerignore"),
    ),
    lying(
        "the developer's environment file",
        "COPY dotenv /app/.env",
        files={"dotenv": "DEBUG=1\n"},
        finds="files/leftovers",
        says=("/app/.env (an environment file)",),
        twin=as_root("COPY dotenv /app/.env.example"),
    ),
    lying(
        "the developer's virtual environment",
        "RUN cp -a /app/.venv /app/venv",
        finds="files/leftovers",
        says=("/app/venv (an environment that the application does not use)",),
    ),
    lying(
        "a leftover below a tmpfs",
        "RUN touch /tmp/.DS_Store",
        finds="files/leftovers",
        says=("/tmp/.DS_Store",),
    ),
    lying(
        "package lists",
        "RUN install -d /var/lib/apt/lists && head -c 3000000 /dev/zero > /var/lib/apt/lists/example_InRelease",
        finds="files/package-lists",
        says=("/var/lib/apt/lists: 1 file, 3.0 MB", "rm -rf /var/lib/apt/lists"),
        twin=as_root("RUN install -d /var/lib/apt/lists && touch /var/lib/apt/lists/lock"),
    ),
    lying(
        "package archives where USER may not look",
        "RUN install -d -m 0700 /var/cache/apt/archives/partial && echo x > /var/cache/apt/archives/partial/a.deb",
        finds="files/package-lists",
        says=("/var/cache/apt: 1 file, 2 B",),
    ),
    lying(
        "pip's cache in root's home",
        "RUN mkdir -p /root/.cache/pip/http-v2/a && echo package > /root/.cache/pip/http-v2/a/body",
        finds="files/installer-caches",
        says=("/root/.cache/pip: 1 file", "--no-cache-dir"),
        twin=as_root("RUN mkdir -p /root/.cache/pip/http-v2"),
    ),
    lying(
        "uv's cache where UV_CACHE_DIR put it",
        "RUN mkdir -p /opt/uv/archive-v0/x && echo package > /opt/uv/archive-v0/x/body",
        finds="files/installer-caches",
        says=("/opt/uv/archive-v0: 1 file",),
    ),
    lying(
        "a working directory that was removed",
        "WORKDIR /srv/work",
        "RUN rmdir /srv/work",
        finds="config/workdir",
        says=("WORKDIR /srv/work: /srv/work is not there",),
        twin=as_root("WORKDIR /srv/work"),
    ),
)

TOOLS = (
    lying(
        "a compiler",
        "RUN cp /usr/bin/env /usr/bin/x86_64-linux-gnu-gcc-14 && ln -s x86_64-linux-gnu-gcc-14 /usr/bin/cc",
        finds="tools/build",
        says=("/usr/bin/cc; /usr/bin/x86_64-linux-gnu-gcc-14",),
    ),
    lying(
        "a compiler in a folder of PATH that is not called bin",
        "RUN install -D /usr/bin/env /opt/tools/gcc && mkdir /opt/links && ln -s /opt/tools /opt/links/bin",
        "ENV PATH=/opt/links/bin:$PATH",
        finds="tools/build",
        says=("/opt/tools/gcc",),
    ),
    lying(
        "header files",
        "RUN mkdir -p /usr/include/linux && echo x > /usr/include/linux/if.h",
        finds="tools/build",
        says=("/usr/include: 1 file",),
        twin=as_root("RUN mkdir -p /usr/local/include/python3.13 && echo x > /usr/local/include/python3.13/Python.h"),
    ),
    lying(
        "git that the code does not call",
        "RUN cp /usr/bin/env /usr/bin/git",
        finds="tools/build",
        says=("/usr/bin/git",),
        twin=as_root("RUN cp /usr/bin/env /usr/bin/git"),
        twin_contract={"executables": ("git",)},
    ),
    lying(
        "sudo",
        "RUN cp /usr/bin/env /usr/bin/sudo",
        finds="tools/remote-access",
        says=("/usr/bin/sudo",),
    ),
    lying(
        "a server to log in at",
        "RUN cp /usr/bin/env /usr/sbin/sshd",
        finds="tools/remote-access",
        says=("/usr/sbin/sshd", "docker exec"),
    ),
)

SECRETS = (
    lying(
        "a private key that USER may not read",
        "COPY --chmod=0600 key /app/server.key",
        files={"key": KEY, "certificate": "-----BEGIN CERTIFICATE-----\nMIIB\n"},
        finds="secrets/files",
        says=("/app/server.key (a private key)",),
        twin=as_root("COPY --chmod=0600 certificate /app/server.key"),
    ),
    lying(
        "a private key behind a chain of certificates",
        "COPY chain /srv/SITE.CRT",
        files={"chain": f"-----BEGIN CERTIFICATE-----\n{'A' * 70_000}\n-----END CERTIFICATE-----\n{KEY}"},
        finds="secrets/files",
        says=("/srv/SITE.CRT (a private key)",),
    ),
    lying(
        "a token in an environment file",
        "COPY dotenv /app/.env",
        files={"dotenv": "DEBUG=1\nBOT_TOKEN=6514:AAH-x9fQ\n"},
        finds="secrets/files",
        also={"files/leftovers"},
        says=("/app/.env (an environment file with a secret)", "when it starts"),
        twin=as_root("COPY dotenv /app/.env.example"),
    ),
    lying(
        "credentials in root's home",
        "COPY netrc /root/.netrc",
        files={"netrc": "machine example.org login me password hunter2\n"},
        finds="secrets/files",
        says=("/root/.netrc (credentials)", "--mount=type=secret"),
    ),
    lying(
        "an index with its password",
        "COPY pip.conf /etc/pip.conf",
        files={
            "pip.conf": "[global]\nindex-url = https://me:hunter2@packages.example.org/simple\n",
            "open.conf": "[global]\nindex-url = https://packages.example.org/simple\n",
        },
        finds="secrets/files",
        says=("/etc/pip.conf (an index with its password)",),
        twin=as_root("COPY open.conf /etc/pip.conf"),
    ),
    lying(
        "a key that is declared to be none",
        "COPY key /app/demo.pem",
        files={"key": KEY},
        finds="secrets/files",
        says=("/app/demo.pem (a private key)",),
        twin=as_root("COPY key /app/demo.pem"),
        twin_contract={"declared_secrets": ("/app/demo.pem",)},
    ),
)

CONTENTS = (*ACCOUNTS, *PERMISSIONS, *FILES, *TOOLS, *SECRETS)
