# python:X.Y-slim, with Debian's own Python, found where the official image has it.
#   rootfs: Debian with libpythonX.Y, pythonX.Y-venv and the wheel of pip
#   headers: what libpythonX.Y-dev holds
ARG LOCALE=none

FROM rootfs AS base
ARG VERSION
ENV PATH=/usr/local/bin:/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin
ENV PYTHON_VERSION=${VERSION}
# Python's own headers, where the official image has them: what compiles an extension module needs them.
COPY --from=headers /usr/include/ /usr/local/include/
RUN <<'SCRIPT'
set -eu
export PYTHONDONTWRITEBYTECODE=1
sed -i 's#{installed_\(plat\)\?base}/include/python#/usr/local/include/python#' "/usr/lib/python${VERSION}"/sysconfig*.py \
    "/usr/lib/python${VERSION}"/sysconfig/__init__.py 2> /dev/null || true
sed -i 's#/usr/include/python#/usr/local/include/python#' "/usr/lib/python${VERSION}"/_sysconfigdata*.py
library=$(ls /usr/lib/*/"libpython${VERSION}.so.1.0")
ln -s "${library}" "/usr/local/lib/libpython${VERSION}.so"
# Up to trixie the C library's headers bring this link along; what is written for those suites links it.
library=$(ls /usr/lib/*/libcrypt.so.1)
ln -s "${library}" /usr/local/lib/libcrypt.so
rm -f "/usr/lib/python${VERSION}/EXTERNALLY-MANAGED"
for name in "python${VERSION}" python3 python; do
    ln -s "/usr/bin/python${VERSION}" "/usr/local/bin/${name}"
done
ln -s "/usr/bin/pydoc${VERSION}" /usr/local/bin/pydoc3
if [ -e "/usr/bin/python${VERSION}-config" ]; then
    # No link: it looks for the headers from where it is called.
    printf '#!/bin/sh\nexec %s "$@"\n' "/usr/bin/python${VERSION}-config" > /usr/local/bin/python3-config
    chmod 755 /usr/local/bin/python3-config
fi
# Debian calls the folder dist-packages; Dockerfiles that copy it know it by the usual name.
mkdir -p "/usr/local/lib/python${VERSION}/dist-packages"
ln -s dist-packages "/usr/local/lib/python${VERSION}/site-packages"
wheel=$(ls /usr/share/python-wheels/pip-*.whl)
python3 "${wheel}/pip" install --no-index --no-compile --no-cache-dir --root-user-action ignore "${wheel}"
rm -rf /root/.cache
python3 -c 'import bz2, ctypes, curses, dbm, lzma, readline, sqlite3, ssl, uuid, zlib'
python3 -m venv /tmp/trial
rm -rf /tmp/trial
headers=$(python3 -c 'import sysconfig; print(sysconfig.get_path("include"))')
ls "${headers}/Python.h"
pip --version
SCRIPT
CMD ["python3"]

# The official image set a locale up to 3.12, and sets none from 3.13 on.
FROM base AS locale-utf8
ENV LANG=C.UTF-8
FROM base AS locale-none
FROM locale-${LOCALE}
