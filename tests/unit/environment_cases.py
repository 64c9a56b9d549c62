"""For each check of the environment, facts of an image that fails it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
from tests.unit.factories import REAL, distribution, environment, facts, probe, selftest, start, trail

from seatrial.facts import BlockingFolder, FileEntry, FileKind, Native
from seatrial.facts.probe import (
    Bytecode,
    Changeable,
    Code,
    ForeignModule,
    Locale,
    PathPython,
    Stale,
    StandardModule,
    TrustStore,
)

if TYPE_CHECKING:
    from seatrial.facts import Facts

HOME = FileEntry(kind=FileKind.FOLDER, mode=0o700, uid=0, gid=0)
PYTHONS = (PathPython(name="python", path="/usr/local/bin/python", real=REAL),)

FAILING: dict[str, Facts] = {
    "python/interpreter-reachable": facts(
        command=start(
            python_resolved=trail("/app/.venv/bin/python", "/root/uv/bin/python3.13"),
            python_blocked_by=BlockingFolder(path="/root", entry=HOME, on_the_way_to="/root/uv/bin/python3.13"),
        )
    ),
    "python/environment-matches": facts(
        probe=probe(
            interpreter=msgspec.structs.replace(
                probe().interpreter, settings={"home": "/usr/local/bin", "version_info": "3.12.1.final.0"}
            )
        )
    ),
    "python/environment-first": facts(probe=probe(environment=environment(pythons=PYTHONS))),
    "python/stdlib-complete": facts(
        probe=probe(
            selftest=selftest(
                modules=(
                    StandardModule(name="zlib", ok=True),
                    StandardModule(name="_sqlite3", ok=False, error="ImportError: libsqlite3.so.0: cannot open"),
                )
            )
        )
    ),
    "runtime/deep-recursion": facts(
        probe=probe(selftest=selftest(recursion=False, ended="the interpreter was killed by SIGSEGV"))
    ),
    "packages/match-lock": facts(
        probe=probe(distributions=(distribution("fastapi", "0.9"), distribution("starlette", "0.4")))
    ),
    "packages/not-editable": facts(
        probe=probe(distributions=(*probe().distributions, distribution("shop", editable="file:///src")))
    ),
    "packages/requirements-met": facts(
        probe=probe(
            distributions=(
                distribution(
                    "fastapi",
                    requires=("starlette>=0.4", "uvicorn<1"),
                ),
                distribution("uvicorn"),
            )
        )
    ),
    "packages/installed-files": facts(
        probe=probe(
            distributions=(
                distribution("fastapi", requires=("starlette",)),
                distribution("starlette", without_code="its RECORD names starlette, and none of that lies in /v"),
            )
        )
    ),
    "app/code-read-only": facts(
        probe=probe(
            code=(
                Code(
                    name="shop",
                    origin="/app/src/shop",
                    files=9,
                    changeable=(
                        Changeable(path="/app", owner="10001:10001", mode="0755"),
                        Changeable(path="/app/src/shop/api.py", owner="10001:10001", mode="0644"),
                    ),
                    count=2,
                ),
            )
        )
    ),
    "native/platform": facts(
        probe=probe(
            native=Native(
                modules=9, libc="glibc", foreign=(ForeignModule(path="/v/x.cpython-313.so", built_for="aarch64"),)
            )
        )
    ),
    "native/no-musl": facts(command=start(python_loader="/lib/ld-musl-x86_64.so.1")),
    "bytecode/dependencies": facts(
        probe=probe(bytecode=Bytecode(sources=900, missing=("/v/fastapi/app.py", "/v/x.py"), missing_count=2))
    ),
    "bytecode/standard-library": facts(
        probe=probe(
            standard_bytecode=Bytecode(
                sources=100,
                stale=(Stale(source="/usr/local/lib/python3.13/ssl.py", problem="it records another time"),),
                stale_count=1,
            )
        )
    ),
    "system/utc-utf8": facts(
        probe=probe(
            locale=Locale(zone="CET/CEST", utc=False, filesystem="iso8859-1", preferred="ISO-8859-1", output="utf-8")
        )
    ),
    "system/trust-store": facts(
        probe=probe(selftest=selftest(trust=TrustStore(file="/usr/lib/ssl/cert.pem", folder="/usr/lib/ssl/certs")))
    ),
}
