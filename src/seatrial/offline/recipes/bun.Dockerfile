# oven/bun:X, from the package of npm that holds the program.
#   rootfs: Debian
#   packages: that package
FROM rootfs
RUN --mount=from=packages,target=/packages <<'SCRIPT'
set -eu
install --mode=755 /packages/@oven/bun-linux-*/bin/bun /usr/local/bin/bun
ln -s bun /usr/local/bin/bunx
mkdir /usr/local/bun-node-fallback-bin
ln -s /usr/local/bin/bun /usr/local/bun-node-fallback-bin/node
groupadd --gid 1000 bun
useradd --uid 1000 --gid bun --shell /bin/sh --create-home bun
install --directory --owner=bun --group=bun /home/bun/app
# A program that was compiled elsewhere proves that it runs here.
bun --version
SCRIPT
COPY --chmod=755 <<'SCRIPT' /usr/local/bin/docker-entrypoint.sh
#!/bin/sh
# Runs what is a program; anything else is for bun.
set -eu
case "${1:-}" in
    -* | "") set -- bun "$@" ;;
    *) if ! command -v "$1" > /dev/null || { [ -f "$1" ] && [ ! -x "$1" ]; }; then set -- bun "$@"; fi ;;
esac
exec "$@"
SCRIPT
ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:/usr/local/bun-node-fallback-bin
ENV BUN_RUNTIME_TRANSPILER_CACHE_PATH=0
WORKDIR /home/bun/app
ENTRYPOINT ["docker-entrypoint.sh"]
CMD ["bun"]
