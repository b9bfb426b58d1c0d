#!/usr/bin/env bash
# Fuzzes every target of the module for the given time each (default 60s), one after the other: deploy/fuzz.sh [TIME [go test option...]]
# A finding does not keep the next target from running; the last line says how many failed.
set -euo pipefail
cd "$(dirname "$0")/.."
time=${1:-60s}
shift || true
go=$(deploy/install.sh go)
targets=0
failed=()
while IFS=: read -r file line; do
	folder=./$(dirname "$file")
	target=${line#func }
	target=${target%%(*}
	targets=$((targets + 1))
	echo "== $folder $target"
	"$go" test "$@" -run '^$' -fuzz "^$target\$" -fuzztime "$time" "$folder" </dev/null || failed+=("$folder $target")
done < <(grep -r --include='*_test.go' '^func Fuzz' cmd hsm internal pki verify vpn | sort)
echo "fuzz: $targets targets, ${#failed[@]} failed"
for target in "${failed[@]}"; do
	echo "  $target: fix the code; a new input lies in its testdata/fuzz, keep it as a seed"
done
[ "${#failed[@]}" = 0 ]
