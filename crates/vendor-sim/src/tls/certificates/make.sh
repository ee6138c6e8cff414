#!/usr/bin/env bash
# Makes what no library of today makes any more: a certificate signed with SHA-1, and keys of 1,024 bits.
# The files are kept; this says where they come from. Their names are 127.0.0.1 and vendor.test, until 2099.
set -euo pipefail
cd "$(dirname "$0")"
names="subjectAltName=IP:127.0.0.1,DNS:vendor.test"
dates=(-set_serial 7 -days 26000)

root() { # name, bits
    openssl req -x509 -newkey "rsa:$2" -nodes -keyout "$1-root.key" -out "$1-root.pem" -sha256 -subj "/CN=$1 root" \
        -days 26000 -addext basicConstraints=critical,CA:TRUE 2>/dev/null
}

leaf() { # name, digest, how the key is made
    local name=$1 digest=$2
    shift 2
    openssl genpkey "$@" -out "$name.key" 2>/dev/null
    openssl req -new -key "$name.key" -subj "/CN=$name" -out "$name.csr"
    openssl x509 -req -in "$name.csr" -CA "$name-root.pem" -CAkey "$name-root.key" "-$digest" "${dates[@]}" \
        -extfile <(printf '%s\nextendedKeyUsage=serverAuth\n' "$names") -out "$name.pem" 2>/dev/null
    rm "$name.csr" "$name-root.key"
}

root sha1 2048
leaf sha1 sha1 -algorithm EC -pkeyopt ec_paramgen_curve:P-256
root short-authority 1024
leaf short-authority sha256 -algorithm EC -pkeyopt ec_paramgen_curve:P-256
root short 2048
leaf short sha256 -algorithm RSA -pkeyopt rsa_keygen_bits:1024
rm short.key # a server that signs with it cannot be built; the simulated one lies
