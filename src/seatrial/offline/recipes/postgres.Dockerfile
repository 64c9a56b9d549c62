# postgres:N, with Debian's PostgreSQL.
#   rootfs: Debian with postgresql-N
FROM rootfs
ARG VERSION
ARG DATA=/var/lib/postgresql/data
ARG MOUNT=/var/lib/postgresql/data
ENV LANG=en_US.utf8 \
    PG_MAJOR=${VERSION} \
    PGDATA=${DATA} \
    PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:/usr/lib/postgresql/${VERSION}/bin
RUN <<'SCRIPT'
set -eu
localedef --inputfile=en_US --charmap=UTF-8 en_US.UTF-8
# The official image's account has this number; volumes made with it stay usable.
other=$(getent group 999 | cut -d: -f1)
if [ -n "${other}" ] && [ "${other}" != postgres ]; then
    find / -xdev -group "${other}" -exec chgrp --no-dereference 899 {} +
    groupmod --gid 899 "${other}"
fi
groupmod --gid 999 postgres
usermod --uid 999 --gid 999 --home /var/lib/postgresql postgres
find / -xdev \( -nouser -o -nogroup \) -exec chown --no-dereference postgres:postgres {} +
# Any account that `user:` names may make a database here, and its socket.
install --directory --owner=postgres --group=postgres --mode=1777 "${DATA}"
install --directory --owner=postgres --group=postgres --mode=3777 /var/run/postgresql
chown postgres:postgres /var/lib/postgresql
chmod 1777 /var/lib/postgresql
mkdir /docker-entrypoint-initdb.d
sample="/usr/share/postgresql/${VERSION}/postgresql.conf.sample"
sed -i "s/^#listen_addresses = 'localhost'/listen_addresses = '*'/" "${sample}"
grep -q "^listen_addresses = '\*'" "${sample}"
# Keys that the package made: each image would carry the same one.
rm -f /etc/ssl/private/ssl-cert-snakeoil.key /etc/ssl/certs/ssl-cert-snakeoil.pem
rm -rf /var/log/postgresql/*
SCRIPT
COPY --chmod=755 <<'SCRIPT' /usr/local/bin/docker-entrypoint.sh
#!/bin/bash
# Makes the database when the volume is empty, then becomes the server.
set -Eeuo pipefail
shopt -s nullglob

# The value of $NAME, of the file that $NAME_FILE names, or a default.
setting() {
    local name=$1 default=${2:-} file="${1}_FILE"
    if [ -n "${!name:-}" ] && [ -n "${!file:-}" ]; then
        echo "error: both ${name} and ${file} are set: set one of them" >&2
        exit 1
    fi
    if [ -n "${!file:-}" ]; then
        printf -v "${name}" '%s' "$(cat -- "${!file}")"
    else
        printf -v "${name}" '%s' "${!name:-${default}}"
    fi
    export "${name?}"
    unset "${file}"
}

# psql over the socket of the private server, as the first account.
run_sql() {
    PGHOST='' PGHOSTADDR='' psql --no-psqlrc --no-password --set=ON_ERROR_STOP=1 \
        --username "${POSTGRES_USER}" --dbname "${POSTGRES_DB}" "$@"
}

# An account that the image does not know, as `user:` may name, gets a name for as long as initdb runs.
name_account() {
    if getent passwd "$(id -u)" > /dev/null; then
        return
    fi
    NSS_WRAPPER_PASSWD=$(mktemp)
    NSS_WRAPPER_GROUP=$(mktemp)
    LD_PRELOAD=$(echo /usr/lib/*/libnss_wrapper.so)
    printf 'postgres:x:%s:%s::%s:/bin/false\n' "$(id -u)" "$(id -g)" "${PGDATA}" > "${NSS_WRAPPER_PASSWD}"
    printf 'postgres:x:%s:\n' "$(id -g)" > "${NSS_WRAPPER_GROUP}"
    export LD_PRELOAD NSS_WRAPPER_PASSWD NSS_WRAPPER_GROUP
}

require_password() {
    if [ -z "${POSTGRES_PASSWORD}" ] && [ "${POSTGRES_HOST_AUTH_METHOD}" != trust ]; then
        echo "error: the database is new and POSTGRES_PASSWORD is empty." >&2
        echo "Set POSTGRES_PASSWORD or POSTGRES_PASSWORD_FILE, or POSTGRES_HOST_AUTH_METHOD=trust" >&2
        echo "to let anybody in without a password." >&2
        exit 1
    fi
}

make_database() {
    local password_file
    password_file=$(mktemp)
    printf '%s\n' "${POSTGRES_PASSWORD}" > "${password_file}"
    # An empty password is none at all: initdb would refuse the empty file.
    local with_password=()
    if [ -n "${POSTGRES_PASSWORD}" ]; then
        with_password=(--pwfile="${password_file}")
    fi
    # Arguments in one variable are words, quoted as a shell reads them.
    eval 'initdb --username="${POSTGRES_USER}" "${with_password[@]}" --auth-local=trust' \
        '--auth-host=scram-sha-256' "${POSTGRES_INITDB_ARGS}"
    rm -f "${password_file}"
    printf '\nhost all all all %s\n' "${POSTGRES_HOST_AUTH_METHOD}" >> "${PGDATA}/pg_hba.conf"
}

fill_database() {
    if [ "${POSTGRES_DB}" != postgres ]; then
        POSTGRES_DB=postgres run_sql --set=name="${POSTGRES_DB}" --quiet <<< 'CREATE DATABASE :"name";'
    fi
    local file
    for file in /docker-entrypoint-initdb.d/*; do
        case "${file}" in
            *.sh)
                echo "running ${file}"
                if [ -x "${file}" ]; then "${file}"; else . "${file}"; fi
                ;;
            *.sql) echo "running ${file}"; run_sql --file="${file}" ;;
            *.sql.gz) echo "running ${file}"; gunzip --stdout "${file}" | run_sql ;;
            *) echo "leaving ${file} alone" ;;
        esac
    done
}

first_start() {
    setting POSTGRES_PASSWORD
    setting POSTGRES_USER postgres
    setting POSTGRES_DB "${POSTGRES_USER}"
    setting POSTGRES_INITDB_ARGS
    setting POSTGRES_HOST_AUTH_METHOD scram-sha-256
    require_password
    name_account
    make_database
    # While it is being filled, the server answers on its socket only: nobody finds it half done.
    pg_ctl --pgdata="${PGDATA}" --options="-c listen_addresses=''" --wait start
    fill_database
    pg_ctl --pgdata="${PGDATA}" --mode=fast --wait stop
    if [ -n "${NSS_WRAPPER_PASSWD:-}" ]; then
        rm -f "${NSS_WRAPPER_PASSWD}" "${NSS_WRAPPER_GROUP}"
        unset LD_PRELOAD NSS_WRAPPER_PASSWD NSS_WRAPPER_GROUP
    fi
    echo 'the database is ready'
}

if [ "${1:0:1}" = '-' ]; then
    set -- postgres "$@"
fi

only_asks() {
    local word
    for word in "$@"; do
        case "${word}" in
            -'?' | --help | --describe-config | -V | --version) return 0 ;;
        esac
    done
    return 1
}

# Since 18 the data is in a folder of the version: a mount at the old folder would stay empty, as in the official image.
refuse_unused_mount() {
    if [ "${PGDATA}" != "/var/lib/postgresql/${PG_MAJOR}/docker" ] || [ -s "${PGDATA}/PG_VERSION" ]; then
        return
    fi
    if [ -s /var/lib/postgresql/data/PG_VERSION ] || mountpoint -q /var/lib/postgresql/data; then
        echo "error: PostgreSQL ${PG_MAJOR} keeps its data in ${PGDATA}, and /var/lib/postgresql/data is a mount" >&2
        echo "that it does not use. Mount the volume at /var/lib/postgresql. Data of an older version there" >&2
        echo "has to be brought over first, by pg_upgrade or a dump." >&2
        exit 1
    fi
}

if [ "${1:-}" = postgres ] && ! only_asks "$@"; then
    refuse_unused_mount
    mkdir -p "${PGDATA}"
    if [ "$(id -u)" = 0 ]; then
        chmod 0700 "${PGDATA}"
        find "${PGDATA}" \! -user postgres -exec chown postgres {} +
        mkdir -p /var/run/postgresql
        chown postgres /var/run/postgresql || true
        export HOME=/var/lib/postgresql
        exec setpriv --reuid=postgres --regid=postgres --init-groups -- "$0" "$@"
    fi
    if [ ! -O "${PGDATA}" ]; then
        # The folder lets any account write, but only its owner may make it private, as the server demands.
        PGDATA="${PGDATA}/of-$(id -u)"
        export PGDATA
        mkdir -p "${PGDATA}"
    fi
    chmod 0700 "${PGDATA}"
    if [ ! -s "${PGDATA}/PG_VERSION" ]; then
        first_start
    else
        echo 'the database is there already'
    fi
fi

exec "$@"
SCRIPT
VOLUME ${MOUNT}
EXPOSE 5432
# The server's fast shutdown: sessions are ended, and everything is written.
STOPSIGNAL SIGINT
ENTRYPOINT ["docker-entrypoint.sh"]
CMD ["postgres"]
