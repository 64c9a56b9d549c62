"""What to do about an import or a start that failed, by what it said; and which package holds a shared library."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence

from packaging.utils import canonicalize_name

from seatrial.facts import Boot, LockFile, ProjectFacts
from seatrial.facts.boot import KILLED, REFUSED, TRACEBACK
from seatrial.requirements import names_of

NO_LIBRARY = re.compile(r"\b(lib[^\s:/]+\.so[\w.]*): cannot open shared object file")
"""What the loader says of a library that is not there: dlopen(3)."""
SONAME = re.compile(r"(lib.+?)\.so(?:\.([\w.]+))?")
LIBRARY_PACKAGES = {
    **dict.fromkeys(
        ("libglib-2.0.so.0", "libgobject-2.0.so.0", "libgthread-2.0.so.0", "libgio-2.0.so.0", "libgmodule-2.0.so.0"),
        "libglib2.0-0",
    ),
    "libcrypto.so.3": "libssl3",
    "libcurl-gnutls.so.4": "libcurl3-gnutls",
    "libgeos_c.so.1": "libgeos-c1v5",
    "libjpeg.so.62": "libjpeg62-turbo",
    "liblber-2.5.so.0": "libldap-2.5-0",
    "libsnappy.so.1": "libsnappy1v5",
    "libxml2.so.2": "libxml2",
    "libxslt.so.1": "libxslt1.1",
    "libexslt.so.0": "libxslt1.1",
}
"""The packages whose names do not follow from their library's."""
OF_A_DRIVER = re.compile(r"lib(?:cuda|nvidia|nvcuvid|nvrm|amdhip|ze_).*")
"""The host's driver brings these into a container: no package of an image does."""


def missing_library(error: str) -> str:
    """Return the library that an import's error names as missing; empty where it names none."""
    found = NO_LIBRARY.search(error)
    return found[1] if found else ""


def debian_package(library: str) -> str:
    """Return the Debian package that holds a library, by Debian's rule: its soname. Debian policy, 8.1."""
    if library in LIBRARY_PACKAGES:
        return LIBRARY_PACKAGES[library]
    found = SONAME.fullmatch(library)
    if found is None or OF_A_DRIVER.fullmatch(library):
        return ""
    name, version = found[1].lower().replace("_", "-"), found[2] or ""
    return f"{name}-{version}" if version and name[-1].isdigit() else f"{name}{version}"


def how_to_install(library: str) -> str:
    """Return what to do about a library that is missing."""
    package = debian_package(library)
    if not package:
        return f"Give the container what brings {library}; a driver's library comes from the host."
    return (
        f"Install the system library {library} in the final stage, not only in the builder. On Debian: `RUN apt-get "
        f"update && apt-get install --yes --no-install-recommends {package} && rm -rf /var/lib/apt/lists/*`."
    )


DISTRIBUTIONS = {
    "bs4": "beautifulsoup4",
    "Crypto": "pycryptodome",
    "cv2": "opencv-python-headless",
    "dateutil": "python-dateutil",
    "docx": "python-docx",
    "dotenv": "python-dotenv",
    "fitz": "pymupdf",
    "jose": "python-jose",
    "jwt": "PyJWT",
    "ldap": "python-ldap",
    "magic": "python-magic",
    "multipart": "python-multipart",
    "MySQLdb": "mysqlclient",
    "OpenSSL": "pyOpenSSL",
    "PIL": "pillow",
    "pptx": "python-pptx",
    "psycopg2": "psycopg2-binary",
    "rest_framework": "djangorestframework",
    "serial": "pyserial",
    "skimage": "scikit-image",
    "sklearn": "scikit-learn",
    "slugify": "python-slugify",
    "yaml": "PyYAML",
    "zmq": "pyzmq",
}
"""Distributions that bring a module of another name."""
NO_MODULE = re.compile(r"No module named '?([\w.]+)")
NO_NAME = re.compile(r"cannot import name '(\w+)' from '([\w.]+)'")
OTHER_BINARY = re.compile(
    r"\b(?P<library>\w+)\.\w+ size changed, may indicate binary incompatibility|compiled using NumPy 1\.x cannot be run"
)
"""How a compiled library ends that does not fit to another one."""
NO_VALUE = re.compile(
    r"KeyError: '(?P<key>[A-Z][A-Z0-9_]+)'|"
    r"(?:\b(?P<unset>[A-Z][A-Z0-9]*_[A-Z0-9_]+)\b|[`'\"](?P<quoted>[A-Z][A-Z0-9]{2,})(?=[`'\"]))[`'\"]?,?"
    r"(?: \w+){0,4}? (?:not set|unset|required|missing|must be set|not defined|undefined|not configured|empty)\b|"
    r"\b(?P<declared>[A-Z][A-Z0-9_]+) not found\. Declare it as envvar|"
    r"\b(?i:missing|requires?|set|setting|needs?|must not be empty|undefined)\b[^.]{0,40}?"
    r"[`'\" ](?P<wanted>(?-i:[A-Z][A-Z0-9]*_[A-Z0-9_]+))"
)
"""What says that a variable has no value, and its name."""
SETTING = re.compile(r"environment variable|field required", re.IGNORECASE)
"""Likewise, with the name elsewhere: pydantic's words, and those of many others."""
LAST_LINES = 15
"""Lines of a log that are shown, and read for what to do."""
MOST_RAISED = 3
"""Exceptions of a log before its last lines that are shown."""
NOT_TAKEN = re.compile(r"refused|couldn't connect|failed to connect|could not connect|curl: \(7\)", re.IGNORECASE)
"""What a health check says of an address where nothing listens."""
ANSWERED = re.compile(r"HTTP Error [45]\d\d|curl: \(22\)|returned error: [45]\d\d|\bHTTP/\S+ [45]\d\d", re.IGNORECASE)
"""What it says of an answer that is an error."""
TOO_LATE = re.compile(r"timed? ?out|exceeded timeout|curl: \(28\)", re.IGNORECASE)
UNREACHED = re.compile(
    r"connection refused|ECONNREFUSED|name resolution|name or service not known|could not translate host name|"
    r"network is unreachable|no route to host|\bENOTFOUND\b|EAI_AGAIN|could not connect|can't connect to|"
    r"connect call failed|all connection attempts failed|no such host|nodename nor servname",
    re.IGNORECASE,
)
"""What clients say where the other side is not there."""
WITHOUT_SERVICES = "It asks for another service: `invoke smoke --stack` starts it among those of its compose file."
WITHOUT_NETWORK = (
    "It asks for another machine, and this start has no network: let it start without an answer and ask again later, "
    "or describe what it needs in a compose file (`compose` of the app) and use `invoke smoke --stack`."
)
TELEGRAM = " python-telegram-bot asks again by itself with `run_polling(bootstrap_retries=-1)`."


HARMLESS = re.compile(r"warn|default|deprecat", re.IGNORECASE)
RAISED = re.compile(r"\b\w*(?:Error|Exception): ")
NO_TOKEN = re.compile(
    r"InvalidToken: You must pass|TokenValidationError|expected token to be a str|Credentials are required"
)
"""What clients say of a token that is missing, or not of their form; they do not know its variable."""


def declared_by(project: ProjectFacts) -> frozenset[str]:
    """Return the distributions that a project asks for, by its requirements and its lock."""
    locked = (package.name for package in project.lock.packages) if isinstance(project.lock, LockFile) else ()
    return frozenset({*names_of(project.dependencies or ()), *locked})


def add_fix(module: str, declared: Collection[str], file: str, *, optional: bool = False) -> str:
    """Return what to do about a module of another distribution that is not there."""
    distribution = DISTRIBUTIONS.get(module, module)
    if canonicalize_name(distribution) in declared:
        return (
            f"{distribution} is among the project's dependencies, and not where the application's interpreter looks. "
            "Install them for that interpreter, into its environment; or start with the one that has them."
        )
    leave_out = " What the application can do without goes into an extra, or into `try: … except ImportError:`."
    brings = module if canonicalize_name(module) == canonicalize_name(distribution) else f"{module} ({distribution})"
    return f"Add what brings {brings} to {file}, lock and build again.{leave_out if optional else ''}"


def value_fix(lines: Sequence[str]) -> str:
    """Return what to do about a variable without a value, by the last line that tells of one; empty where none does."""
    for above, line in reversed([*zip(("", *lines), lines, strict=False)]):
        if HARMLESS.search(line) and not RAISED.search(line):
            continue
        if NO_TOKEN.search(line):
            return (
                "It gets no token, or none of the right form: give the variable that holds it a test value of that "
                "form in the contract's `environment`."
            )
        found = NO_VALUE.search(line)
        # pydantic names the setting on the line above.
        name = next(filter(None, found.groups())) if found else above.strip() if SETTING.search(line) else ""
        if found or SETTING.search(line):
            what = name if re.fullmatch(r"[\w.-]+", name) else "A setting that it needs"
            return (
                f"{what} has no value: give it a default, or, where the application cannot do without, a test value in "
                "the contract's `environment`."
            )
    return ""


def import_fix(name: str, error: str, *, traceback: bool, declared: Collection[str]) -> str:
    """Return what to do about a failed import; `declared` are the distributions that the project asks for."""
    if REFUSED in error.lower():
        return "Import without writing: log to standard output, or name the folder in the contract's `tmpfs`."
    own = name.partition(":")[0].partition(".")[0]
    if library := missing_library(error):
        return how_to_install(library)
    if found := NO_MODULE.search(error):
        return _module_fix(found[1], own, declared)
    return (
        _name_fix(error, own)
        or _binary_fix(error)
        or value_fix([error])
        or ("Correct what the traceback names." if traceback else f"Find out why it ends: `python -c 'import {own}'`.")
    )


def _binary_fix(error: str) -> str:
    """Return what to do about a library that was compiled for another version of one that it calls."""
    if (found := OTHER_BINARY.search(error)) is None:
        return ""
    library = (found["library"] or "numpy").lower()
    return (
        f"What is imported was built for another {library} than is installed: lock versions of both that go together."
    )


def _name_fix(error: str, own: str) -> str:
    """Return what to do about a name that a module lacks; empty where none is."""
    if "circular import" in error:
        return "Two modules import each other: move one of the imports into the function that needs it."
    found = NO_NAME.search(error)
    if found is None:
        return ""
    if found[2].partition(".")[0] == own:
        return f"Correct the import: {found[2]} has no {found[1]}."
    return f"The installed {found[2]} has no {found[1]}: lock a version that has it, or correct the import."


def _module_fix(module: str, own: str, declared: Collection[str]) -> str:
    if module == own:
        return (
            "Install the project into the environment (`uv sync --no-editable`, `pip install .`), or put the folder "
            f"that holds {own} on PYTHONPATH."
        )
    if module.startswith(f"{own}."):
        return f"Correct the import, or see that the image gets {module}: what the Dockerfile takes along lacks it."
    top, _, inner = module.partition(".")
    if inner and canonicalize_name(DISTRIBUTIONS.get(top, top)) not in declared:
        # Python names the first part that it does not find: what is above it was found.
        return f"What the image has of {top} lacks {module}: install a version of {top} that has it, or what brings it."
    return add_fix(top, declared, "the project's dependencies")


def boot_fix(boot: Boot, *, services_left_out: bool) -> str:
    """Return what to do about a start that failed; `services_left_out`: its compose file has services beside it."""
    if boot.start_error:
        return "See process/command-resolves and identity/non-root: they follow command and USER to what is missing."
    if boot.exit is not None and (boot.exit.out_of_memory or boot.exit.code == KILLED):
        return "Raise the contract's `memory`, or find out what takes it."
    last = (*raised_before(boot.log), *boot.log[-LAST_LINES:])
    raised = any(TRACEBACK in line for line in last)
    if boot.exit is not None and boot.exit.code == 0 and not raised:
        return (
            "Let CMD start what keeps running: this command ends, as if its work were done. Where it is, write "
            "`job = true` in its contract."
        )
    if boot.exit is not None or raised:
        return _log_fix(last, services_left_out=services_left_out)
    if boot.answers and boot.answers[-1].exit_code:
        return _health_fix(boot.answers[-1].output)
    return "Read its last lines and health-check answers; a slow start needs a larger `healthy-within`."


def raised_before(log: Sequence[str]) -> tuple[str, ...]:
    """Return what the tracebacks of a log raise that its last lines do not show: often the cause of what they show."""
    return tuple(_raised(log[:-LAST_LINES]))[-MOST_RAISED:]


def tracebacks(log: Sequence[str]) -> list[str]:
    """Return the kinds of tracebacks that a log holds."""
    return [f"a traceback of {name}" for name in sorted({line.partition(":")[0] for line in _raised(log)})]


def broke(log: Sequence[str]) -> bool:
    """Tell whether a log holds a traceback, beside the one by which Python ends at SIGINT, such as a stop signal."""
    kinds = {line.partition(":")[0] for line in _raised(log)}
    interrupted = "KeyboardInterrupt" in kinds and kinds <= {"KeyboardInterrupt", "asyncio.exceptions.CancelledError"}
    return not interrupted and any(TRACEBACK in line for line in log)


def _raised(log: Sequence[str]) -> dict[str, None]:
    found: dict[str, None] = {}
    inside = False
    for line in log:
        if TRACEBACK in line:
            inside = True
        elif inside and line.strip() and not line[0].isspace():
            inside = False
            found[line] = None
    return found


def _log_fix(lines: Sequence[str], *, services_left_out: bool) -> str:
    if library := next(filter(None, map(missing_library, reversed(lines))), ""):
        return how_to_install(library)
    if told := value_fix(lines) or _binary_fix("\n".join(lines)):
        return told
    if module := next((found[1] for line in reversed(lines) if (found := NO_MODULE.search(line))), ""):
        return _module_fix(module, "", ())
    if any(UNREACHED.search(line) for line in lines):
        again = TELEGRAM if any("telegram.error.NetworkError" in line for line in lines) else ""
        return WITHOUT_SERVICES if services_left_out and not again else f"{WITHOUT_NETWORK}{again}"
    if not any(line.strip() for line in lines):
        return "It says nothing: start it by hand (`docker run --rm IMAGE`), and let it log why it ends."
    named = "the traceback names" if any(TRACEBACK in line for line in lines) else "its last lines name"
    services = "; if it needs the services of its compose file, `invoke smoke --stack` starts it among them"
    return f"Correct what {named}{services if services_left_out else ''}."


def _health_fix(said: str) -> str:
    if NOT_TAKEN.search(said):
        return (
            "Nothing takes the connection where the health check asks: compare its host and port with those that the "
            "command listens on. A start that is only slow needs a larger `healthy-within`."
        )
    last = next((line for line in reversed(said.splitlines()) if line.strip()), "")
    if ANSWERED.search(last):
        return "The application answers the health check with an error: its log tells why."
    if TOO_LATE.search(last):
        return "The health check gets no answer in its time: let it ask for less, or give it a longer `--timeout`."
    return "The health check reaches the application, or fails by itself: what it said and the log tell which."
