# mariadb:N, with Debian's MariaDB.
#   rootfs: Debian with mariadb-server-core and mariadb-client
FROM rootfs
ARG VERSION
ENV LANG=C.UTF-8 \
    MARIADB_VERSION=${VERSION}
RUN <<'SCRIPT'
set -eu
# The official image's account has this number; volumes made with it stay usable.
other=$(getent group 999 | cut -d: -f1)
if [ -n "${other}" ]; then
    find / -xdev -group "${other}" -exec chgrp --no-dereference 899 {} +
    groupmod --gid 899 "${other}"
fi
groupadd --system --gid 999 mysql
useradd --system --uid 999 --gid 999 --home-dir /var/lib/mysql --no-create-home --shell /usr/sbin/nologin mysql
# Any account that `user:` names may make a database here, and its socket.
install --directory --owner=mysql --group=mysql --mode=1777 /var/lib/mysql /run/mysqld
mkdir /docker-entrypoint-initdb.d
# Since 11 the official image has no program that is called mysql.
case "${VERSION}" in
    10.*) ;;
    *) rm -f /usr/bin/mysql* /usr/sbin/mysqld ;;
esac
cat > /etc/mysql/mariadb.conf.d/05-image.cnf <<'SETTINGS'
[mariadbd]
host-cache-size=0
skip-name-resolve
character-set-server=utf8mb4
SETTINGS
mariadbd --version
SCRIPT
COPY --chmod=755 <<'SCRIPT' /usr/local/bin/docker-entrypoint.sh
#!/bin/bash
# Makes the database when the volume is empty, then becomes the server.
set -Eeuo pipefail
shopt -s nullglob
data=/var/lib/mysql
socket=/run/mysqld/mysqld.sock

# Sets MARIADB_$1 to the value of it, of MYSQL_$1, of the file that either of them names with _FILE, or to a default.
setting() {
    local key file value=${2:-}
    for key in "MARIADB_$1" "MYSQL_$1"; do
        file="${key}_FILE"
        if [ -n "${!key:-}" ] && [ -n "${!file:-}" ]; then
            echo "error: both ${key} and ${file} are set: set one of them" >&2
            exit 1
        fi
        if [ -n "${!file:-}" ]; then
            value=$(cat -- "${!file}")
            break
        elif [ -n "${!key:-}" ]; then
            value=${!key}
            break
        fi
    done
    printf -v "MARIADB_$1" '%s' "${value}"
}

# A text as SQL writes it, and a name.
text() { local quote="'" value=${1//\\/\\\\}; printf "'%s'" "${value//${quote}/${quote}${quote}}"; }
name() { printf '`%s`' "${1//\`/\`\`}"; }

random() { head -c 24 /dev/urandom | base64 | tr '+/' '-_'; }

# The client over the socket of the private server, as root; once root has its password, with that.
run_sql() {
    MYSQL_PWD="${root_password}" mariadb --no-defaults --protocol=socket --socket="${socket}" --user=root \
        --default-character-set=utf8mb4 --comments --binary-mode "$@"
}

require_password() {
    if [ -n "${MARIADB_RANDOM_ROOT_PASSWORD}" ]; then
        MARIADB_ROOT_PASSWORD=$(random)
        echo "GENERATED ROOT PASSWORD: ${MARIADB_ROOT_PASSWORD}"
    fi
    if [ -z "${MARIADB_ROOT_PASSWORD}${MARIADB_ALLOW_EMPTY_ROOT_PASSWORD}" ]; then
        echo "error: the database is new and MARIADB_ROOT_PASSWORD is empty." >&2
        echo "Set MARIADB_ROOT_PASSWORD or MARIADB_ROOT_PASSWORD_FILE, or MARIADB_RANDOM_ROOT_PASSWORD=1," >&2
        echo "or MARIADB_ALLOW_EMPTY_ROOT_PASSWORD=1 to let anybody in without a password." >&2
        exit 1
    fi
    if [ -n "${MARIADB_USER}" ] && [ -z "${MARIADB_PASSWORD}" ]; then
        echo "error: MARIADB_USER is set, and MARIADB_PASSWORD is empty: set both." >&2
        exit 1
    fi
}

accounts() {
    local root user host
    root="IDENTIFIED BY $(text "${MARIADB_ROOT_PASSWORD}")"
    echo "SET @@SESSION.SQL_MODE=REPLACE(@@SESSION.SQL_MODE, 'NO_BACKSLASH_ESCAPES', '');"
    echo "DELETE FROM mysql.global_priv WHERE User = '' OR (User = 'root' AND Host <> 'localhost');"
    echo "DROP DATABASE IF EXISTS test; FLUSH PRIVILEGES;"
    for host in 127.0.0.1 ::1 localhost; do
        echo "CREATE USER healthcheck@'${host}' IDENTIFIED BY $(text "${health_password}");"
    done
    if [ -n "${MARIADB_DATABASE}" ]; then
        echo "CREATE DATABASE IF NOT EXISTS $(name "${MARIADB_DATABASE}");"
    fi
    if [ -n "${MARIADB_USER}" ]; then
        user="$(text "${MARIADB_USER}")@'%'"
        echo "CREATE USER ${user} IDENTIFIED BY $(text "${MARIADB_PASSWORD}");"
        if [ -n "${MARIADB_DATABASE}" ]; then
            # A grant reads _ as any character.
            echo "GRANT ALL ON $(name "${MARIADB_DATABASE//_/\\_}").* TO ${user};"
        fi
    fi
    if [ -n "${MARIADB_ROOT_HOST}" ] && [ "${MARIADB_ROOT_HOST}" != localhost ]; then
        user="root@$(text "${MARIADB_ROOT_HOST}")"
        echo "CREATE USER ${user} ${root}; GRANT ALL ON *.* TO ${user} WITH GRANT OPTION;"
    fi
    echo "ALTER USER root@localhost ${root};"
}

fill_database() {
    local file into=()
    if [ -n "${MARIADB_DATABASE}" ]; then into=(--database="${MARIADB_DATABASE}"); fi
    for file in /docker-entrypoint-initdb.d/*; do
        case "${file}" in
            *.sh)
                echo "running ${file}"
                if [ -x "${file}" ]; then "${file}"; else . "${file}"; fi
                ;;
            *.sql) echo "running ${file}"; run_sql "${into[@]}" < "${file}" ;;
            *.sql.gz) echo "running ${file}"; gunzip --stdout "${file}" | run_sql "${into[@]}" ;;
            *.sql.xz) echo "running ${file}"; xz --decompress --stdout "${file}" | run_sql "${into[@]}" ;;
            *) echo "leaving ${file} alone" ;;
        esac
    done
}

first_start() {
    local key server health_password
    for key in ROOT_PASSWORD RANDOM_ROOT_PASSWORD DATABASE USER PASSWORD INITDB_SKIP_TZINFO; do
        setting "${key}"
    done
    setting ALLOW_EMPTY_ROOT_PASSWORD "${MYSQL_ALLOW_EMPTY_PASSWORD:-}"
    setting ROOT_HOST %
    require_password
    health_password=$(random)
    mariadb-install-db --datadir="${data}" --auth-root-authentication-method=normal --skip-test-db > /dev/null
    # While it is being filled, the server answers on its socket only: nobody finds it half done.
    "$@" --skip-networking --socket="${socket}" --skip-log-bin --wsrep-on=OFF &
    server=$!
    root_password=
    until run_sql --execute='DO 1' 2> /dev/null; do
        if ! kill -0 "${server}" 2> /dev/null; then echo 'error: the server does not start' >&2; exit 1; fi
        sleep 0.1
    done
    if [ -z "${MARIADB_INITDB_SKIP_TZINFO}" ]; then
        mariadb-tzinfo-to-sql /usr/share/zoneinfo 2> /dev/null | run_sql --database=mysql
    fi
    accounts | run_sql --database=mysql
    root_password=${MARIADB_ROOT_PASSWORD}
    (umask 0077; printf '[mariadb-client]\nuser=healthcheck\npassword=%s\nprotocol=tcp\n' "${health_password}" \
        > "${data}/.my-healthcheck.cnf")
    fill_database
    kill "${server}"
    wait "${server}"
    echo 'the database is ready'
}

if [ "${1:0:1}" = '-' ]; then
    set -- mariadbd "$@"
fi

only_asks() {
    local word
    for word in "$@"; do
        case "${word}" in
            -'?' | --help | --print-defaults | -V | --version) return 0 ;;
        esac
    done
    return 1
}

case "${1:-}" in
    mariadbd | mysqld)
        shift
        set -- mariadbd "$@"
        if ! only_asks "$@"; then
            if [ "$(id -u)" = 0 ]; then
                find "${data}" /run/mysqld \! -user mysql -exec chown mysql: {} +
                exec setpriv --reuid=mysql --regid=mysql --init-groups -- "$0" "$@"
            fi
            if [ ! -d "${data}/mysql" ]; then
                first_start "$@"
            else
                echo 'the database is there already'
            fi
            # The passwords are in the database now.
            unset "${!MARIADB_@}" "${!MYSQL_@}"
        fi
        ;;
esac

exec "$@"
SCRIPT
COPY --chmod=755 <<'SCRIPT' /usr/local/bin/healthcheck.sh
#!/bin/bash
# `healthcheck.sh --connect --innodb_initialized`: each option is a question to the server, asked over TCP.
set -euo pipefail

ask() {
    mariadb --defaults-file=/var/lib/mysql/.my-healthcheck.cnf --host=127.0.0.1 --skip-column-names --batch \
        --execute="$1" 2> /dev/null
}

if [ $# = 0 ]; then
    echo 'error: nothing is asked: --connect, --innodb_initialized, --innodb_buffer_pool_loaded' >&2
    exit 1
fi
for option in "$@"; do
    case "${option}" in
        --connect) [ "$(ask 'SELECT 1')" = 1 ] ;;
        --innodb_initialized)
            [ "$(ask "SELECT COUNT(*) FROM information_schema.ENGINES
                WHERE engine = 'InnoDB' AND support IN ('YES', 'DEFAULT')")" = 1 ] ;;
        --innodb_buffer_pool_loaded)
            ask "SELECT variable_value FROM information_schema.GLOBAL_STATUS
                WHERE variable_name = 'Innodb_buffer_pool_load_status'" | grep --quiet 'load completed' ;;
        --su-mysql | --no-connect) ;;
        *) echo "error: ${option} is not known here" >&2; exit 1 ;;
    esac
done
SCRIPT
VOLUME /var/lib/mysql
EXPOSE 3306
ENTRYPOINT ["docker-entrypoint.sh"]
CMD ["mariadbd"]
