#!/usr/bin/env bash
# Fuzzes every target of the module for the given time each (default 60s), one after the other.
set -euo pipefail
cd "$(dirname "$0")/.."
time=${1:-60s}
go=$(deploy/install.sh go)
grep -rl --include='*_test.go' '^func Fuzz' cmd hsm internal pki verify vpn | sort | while read -r file; do
	sed -n 's/^func \(Fuzz[A-Za-z0-9_]*\).*/\1/p' "$file" | while read -r target; do
		echo "== $(dirname "$file") $target"
		"$go" test -run '^$' -fuzz "^$target\$" -fuzztime "$time" "./$(dirname "$file")" </dev/null
	done
done
