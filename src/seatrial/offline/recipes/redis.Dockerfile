# redis:N and valkey/valkey:N, with Debian's server.
#   rootfs: Debian with the server
# redis or valkey: the server's account, and what its programs' names begin with.
ARG NAME=redis

FROM rootfs AS server
ARG NAME
RUN <<'SCRIPT'
set -eu
# The official image's account has this number; volumes made with it stay usable.
other=$(getent group 999 | cut -d: -f1)
if [ -n "${other}" ] && [ "${other}" != "${NAME}" ]; then
    find / -xdev -group "${other}" -exec chgrp --no-dereference 899 {} +
    groupmod --gid 899 "${other}"
fi
groupmod --gid 999 "${NAME}"
usermod --uid 999 --gid 999 --home /data "${NAME}"
find / -xdev \( -nouser -o -nogroup \) -exec chown --no-dereference "${NAME}:${NAME}" {} +
install --directory --owner="${NAME}" --group="${NAME}" /data
# The official image has no configuration file: `CONFIG REWRITE` finds none.
rm -rf "/etc/${NAME}" "/var/lib/${NAME}" "/var/log/${NAME}"
"${NAME}-server" --version
SCRIPT
COPY --chmod=755 <<'SCRIPT' /usr/local/bin/docker-entrypoint.sh
#!/bin/bash
# Becomes the server, as its own account.
set -euo pipefail
name=@NAME@

case "${1:-}" in
    -* | *.conf) set -- "${name}-server" "$@" ;;
esac

# The official image is compiled without the protected mode, in which only the container itself could connect.
says_protected() {
    local word
    for word in "$@"; do
        case "${word}" in
            *protected-mode* | - | -v | --version | -h | --help | --test-memory | --check-system) return 0 ;;
            *.conf) if grep --quiet --ignore-case --extended-regexp '^\s*protected-mode\s' -- "${word}"; then return 0; fi ;;
        esac
    done
    return 1
}

if [ "${1:-}" = "${name}-server" ]; then
    if [ "$(id -u)" = 0 ]; then
        find . \! -user "${name}" -exec chown "${name}" {} +
        exec setpriv --reuid="${name}" --regid="${name}" --clear-groups -- "$0" "$@"
    fi
    # What it writes is for its own account alone.
    if [ "$(umask)" = 0022 ]; then umask 0077; fi
    if ! says_protected "$@"; then set -- "$@" --protected-mode no; fi
fi

exec "$@"
SCRIPT
RUN sed -i "s/@NAME@/${NAME}/" /usr/local/bin/docker-entrypoint.sh
VOLUME /data
WORKDIR /data
EXPOSE 6379
ENTRYPOINT ["docker-entrypoint.sh"]

FROM server AS server-redis
CMD ["redis-server"]
FROM server AS server-valkey
CMD ["valkey-server"]
FROM server-${NAME}
