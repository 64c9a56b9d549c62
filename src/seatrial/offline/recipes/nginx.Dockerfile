# nginx:1, with Debian's server, laid out as the official image has it.
#   rootfs: Debian with nginx, curl and envsubst
FROM rootfs
RUN <<'SCRIPT'
set -eu
groupadd --system --gid 101 nginx
useradd --system --uid 101 --gid nginx --no-create-home --home-dir /nonexistent --shell /bin/false nginx
rm -rf /etc/nginx/sites-available /etc/nginx/sites-enabled /etc/nginx/modules-enabled /etc/nginx/snippets
mkdir -p /etc/nginx/conf.d /docker-entrypoint.d
ln -sf /dev/stdout /var/log/nginx/access.log
ln -sf /dev/stderr /var/log/nginx/error.log
echo 'The server had an error.' > /usr/share/nginx/html/50x.html
SCRIPT
COPY <<'CONFIGURATION' /etc/nginx/nginx.conf
user  nginx;
worker_processes  auto;
error_log  /var/log/nginx/error.log notice;
pid        /run/nginx.pid;

events {
    worker_connections  1024;
}

http {
    include       /etc/nginx/mime.types;
    default_type  application/octet-stream;
    log_format  main  '$remote_addr - $remote_user [$time_local] "$request" '
                      '$status $body_bytes_sent "$http_referer" "$http_user_agent" "$http_x_forwarded_for"';
    access_log  /var/log/nginx/access.log  main;
    sendfile        on;
    keepalive_timeout  65;
    include /etc/nginx/conf.d/*.conf;
}
CONFIGURATION
COPY <<'CONFIGURATION' /etc/nginx/conf.d/default.conf
server {
    listen       80;
    listen  [::]:80;
    server_name  localhost;
    root   /usr/share/nginx/html;
    index  index.html index.htm;
    error_page   500 502 503 504  /50x.html;
}
CONFIGURATION
COPY --chmod=755 <<'SCRIPT' /docker-entrypoint.d/20-envsubst-on-templates.sh
#!/bin/sh
# Writes a configuration file for each template, with the values of the variables that are set.
set -eu
templates=${NGINX_ENVSUBST_TEMPLATE_DIR:-/etc/nginx/templates}
suffix=${NGINX_ENVSUBST_TEMPLATE_SUFFIX:-.template}
output=${NGINX_ENVSUBST_OUTPUT_DIR:-/etc/nginx/conf.d}
[ -d "${templates}" ] || exit 0
names=$(env | sed -n 's/^\([A-Za-z_][A-Za-z0-9_]*\)=.*/${\1}/p' | grep -E "${NGINX_ENVSUBST_FILTER:-.}" | tr '\n' ' ')
find "${templates}" -follow -type f -name "*${suffix}" | while read -r template; do
    file="${output}/${template#"${templates}/"}"
    mkdir -p "$(dirname "${file}")"
    envsubst "${names}" < "${template}" > "${file%"${suffix}"}"
done
SCRIPT
COPY --chmod=755 <<'SCRIPT' /docker-entrypoint.sh
#!/bin/sh
# Runs what lies in /docker-entrypoint.d before the server starts.
set -eu
case "${1:-}" in
    nginx | nginx-debug)
        for file in /docker-entrypoint.d/*; do
            case "${file}" in
                *.envsh) if [ -x "${file}" ]; then . "${file}"; fi ;;
                *.sh) if [ -x "${file}" ]; then "${file}"; fi ;;
            esac
        done
        ;;
esac
exec "$@"
SCRIPT
RUN ["nginx", "-t"]
EXPOSE 80
STOPSIGNAL SIGQUIT
ENTRYPOINT ["/docker-entrypoint.sh"]
CMD ["nginx", "-g", "daemon off;"]
