#!/bin/sh
# Make what compose.yaml reads from secrets/: keys, passwords, and a certificate that this machine signs itself.
# Usage: [HOST=churn.example.com] deploy/compose/secrets.sh [FOLDER]. What is there already stays.
set -eu
folder=${1:-$(dirname "$0")/secrets}
host=${HOST:-localhost}
if [ -e "$folder" ]; then
    echo "secrets: $folder is there already"
    exit 0
fi
# Only you may enter the folder. The files can be read by all: in a container that is a user of its own.
mkdir -m 700 "$folder"
umask 022
cd "$folder"

# For others than yourself take a certificate that they trust: certificate, its chain and key in tls.pem.
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -noenc -days 365 -subj "/CN=$host" \
    -addext "subjectAltName=DNS:$host,IP:127.0.0.1" -keyout tls.key -out tls.crt 2>openssl.log
cat tls.crt tls.key >tls.pem
rm tls.key openssl.log

# As `churn-service keys new` makes them: the key for who calls, its hash for the service.
new_key() {
    openssl rand -hex 32 | tr -d '\n' >"$1.key"
    echo "$1:$(openssl dgst -sha256 -r <"$1.key" | cut -d ' ' -f 1):$2"
}
echo "CHURN_API_KEYS=$(new_key caller predict),$(new_key prometheus admin)" >service.env
openssl rand -hex 24 | tr -d '\n' >grafana-password
openssl rand -hex 24 | tr -d '\n' >postgres-password
echo "CHURN_LOG_URL=postgresql+psycopg://churn:$(cat postgres-password)@postgres:5432/churn" >>service.env
echo "CHURN_HASH_KEY=$(openssl rand -hex 24)" >>service.env
echo "secrets: made in $folder; send caller.key as X-API-Key"
