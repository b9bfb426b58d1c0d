#!/usr/bin/env bash
# Builds the verifier for browsers into the folder from which verifyd's page takes it:
#
#   deploy/wasm.sh [go build option...]
#
# A verifyd that is built without it judges what is uploaded.
set -euo pipefail
cd "$(dirname "$0")/.."
page=cmd/verifyd/page/static
go=$(deploy/install.sh go)
most=4000000 # bytes that a clerk's line has to carry

if ! command -v brotli >/dev/null; then
	echo "wasm: brotli is not installed, so this verifyd will judge what is uploaded alone" >&2
	exit 0
fi
mkdir -p bin
# Without the commit, so that it is packed anew, which takes a minute, only when it is another one.
GOOS=js GOARCH=wasm "$go" build "$@" -buildvcs=false -ldflags='-s -w' -o bin/verify.wasm ./cmd/verifywasm
cp "$("$go" env GOROOT)/lib/wasm/wasm_exec.js" "$page/wasm_exec.js"
sum=$(sha256sum <bin/verify.wasm)
if [ ! -e "$page/verify.wasm.br" ] || [ "$sum" != "$(cat bin/verify.wasm.sum 2>/dev/null)" ]; then
	brotli --quality=11 --lgwin=24 --force --output="$page/verify.wasm.br" bin/verify.wasm
	echo "$sum" >bin/verify.wasm.sum
fi
size=$(stat -c %s "$page/verify.wasm.br")
[ "$size" -le "$most" ] || { echo "wasm: $page/verify.wasm.br has $size bytes, at most $most are right" >&2; exit 1; }
