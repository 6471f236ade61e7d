#!/bin/sh
# Install the system programs that tests marked `needs` start. Debian or Ubuntu; asks for root only if needed.
set -eu
# Where there is an init system Debian starts the servers among them; the tests start their own, on free ports.
PATH="$PATH:$(echo /usr/lib/postgresql/*/bin | tr ' ' ':')" # where Debian keeps PostgreSQL's programs
packages=""
programs="sha256sum:coreutils openssl:openssl patch:patch"
programs="$programs curl:curl wrk:wrk h2load:nghttp2-client redis-server:redis-server"
programs="$programs prometheus:prometheus promtool:prometheus haproxy:haproxy nginx:nginx-light"
programs="$programs buildah:buildah mmdebstrap:mmdebstrap runc:runc"
programs="$programs postgres:postgresql chromium:chromium"
for pair in $programs; do
    command -v "${pair%%:*}" >/dev/null 2>&1 || packages="$packages ${pair#*:}"
done
[ -n "$packages" ] || { echo "services: everything is there"; exit 0; }
command -v apt-get >/dev/null 2>&1 || { echo "services: no apt-get; install by hand:$packages"; exit 1; }
root=""
[ "$(id -u)" = 0 ] || root=sudo
$root apt-get update -qq
# shellcheck disable=SC2086 # one word per package
$root apt-get install -qq --yes --no-install-recommends $packages
