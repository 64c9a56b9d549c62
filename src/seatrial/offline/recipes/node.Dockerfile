# node:X, from packages of npm: the program, npm, and up to 24 yarn and corepack.
#   rootfs: Debian
#   packages: those packages
FROM rootfs AS made
RUN --mount=from=packages,target=/packages <<'SCRIPT'
set -eu
cd /packages
mkdir -p /made/usr/local/lib/node_modules /made/opt
# Its headers too: what compiles a module needs them.
cp -r node-linux-*/bin node-linux-*/include /made/usr/local/
chmod 755 /made/usr/local/bin/node
cp -r npm /made/usr/local/lib/node_modules/
cd /made/usr/local/bin
ln -s node nodejs
for name in npm npx; do
    ln -s "../lib/node_modules/npm/bin/${name}-cli.js" "${name}"
done
chmod 755 ../lib/node_modules/npm/bin/*.js
if [ -d /packages/yarn ]; then
    cp -r /packages/yarn /made/opt/yarn
    ln -s /opt/yarn/bin/yarn /opt/yarn/bin/yarnpkg .
    chmod 755 /made/opt/yarn/bin/*
    cp -r /packages/corepack /made/usr/local/lib/node_modules/
    ln -s ../lib/node_modules/corepack/dist/corepack.js corepack
    chmod 755 ../lib/node_modules/corepack/dist/*.js
fi
SCRIPT
COPY --chmod=755 <<'SCRIPT' /made/usr/local/bin/docker-entrypoint.sh
#!/bin/sh
# Runs what is a program; anything else is for node.
set -eu
case "${1:-}" in
    -* | "") set -- node "$@" ;;
    *) if ! command -v "$1" > /dev/null || { [ -f "$1" ] && [ ! -x "$1" ]; }; then set -- node "$@"; fi ;;
esac
exec "$@"
SCRIPT

FROM rootfs
COPY --from=made /made/ /
RUN <<'SCRIPT'
set -eu
groupadd --gid 1000 node
useradd --uid 1000 --gid node --shell /bin/bash --create-home node
# A program that was compiled elsewhere proves that it runs here.
node --version
npm --version
rm -rf /root/.npm
SCRIPT
ARG PACKAGES_VERSION
ENV NODE_VERSION=${PACKAGES_VERSION}
ENTRYPOINT ["docker-entrypoint.sh"]
CMD ["node"]
