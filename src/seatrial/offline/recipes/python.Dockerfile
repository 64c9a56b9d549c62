# python:X.Y-slim, with a CPython of the host.
#   rootfs: Debian with the libraries that CPython's C modules need
#   interpreter: CPython, laid out for /usr/local
ARG LOCALE=none

FROM rootfs AS made
COPY --from=interpreter / /usr/local/
RUN <<'SCRIPT'
set -eu
ldconfig
export PYTHONDONTWRITEBYTECODE=1
# An interpreter that was compiled elsewhere proves that it runs here.
python3 - <<'PYTHON'
import importlib
import sys

names = "bz2 ctypes curses dbm decimal hashlib lzma readline select socket sqlite3 ssl uuid zlib".split()
broken = []
for name in names:
    try:
        importlib.import_module(name)
    except ImportError as error:
        broken.append(f"{name}: {error}")
if broken:
    sys.exit("This interpreter cannot run on this root filesystem:\n" + "\n".join(broken))
PYTHON
# Up to 3.11 this brings setuptools too, as the official image does.
python3 -m ensurepip --default-pip
rm -rf /root/.cache
find /usr/local -depth -type d -name __pycache__ -exec rm -rf {} +
find /usr/local/lib/python3*/site-packages -depth -type d \( -name test -o -name tests \) -exec rm -rf {} +
pip --version
SCRIPT

# One layer for the interpreter: what was removed above takes no room below.
FROM rootfs AS base
COPY --from=made /usr/local/ /usr/local/
RUN ["ldconfig"]
ARG INTERPRETER_VERSION
ENV PATH=/usr/local/bin:/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin
ENV PYTHON_VERSION=${INTERPRETER_VERSION}
CMD ["python3"]

# The official image set a locale up to 3.12, and sets none from 3.13 on.
FROM base AS locale-utf8
ENV LANG=C.UTF-8
FROM base AS locale-none
FROM locale-${LOCALE}
