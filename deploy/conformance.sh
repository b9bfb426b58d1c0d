#!/usr/bin/env bash
# Runs every test that needs a folder of public samples, then the modules of their own that hold public suites.
# A failing run does not keep the next from running; the last line says how many tests ran.
set -euo pipefail
cd "$(dirname "$0")/.."
[ -d "${1-}" ] || { echo "conformance: '${1-}' is no folder: say where the samples are, deploy/conformance.sh DIR [go test option...]" >&2; exit 2; }
TRUSTCORE_CORPUS=$(cd "$1" && pwd)
export TRUSTCORE_CORPUS TRUSTCORE_BIN=$PWD/bin
shift
options=("$@")
go=$(deploy/install.sh go)
record=$(mktemp)
trap 'rm -f "$record"' EXIT

# axe-core looks at the page for people, where npm is there to bring it.
if [ -z "${TRUSTCORE_AXE-}" ] && command -v npm >/dev/null; then
	axe=$(mktemp -d)
	trap 'rm -rf "$record" "$axe"' EXIT
	if npm install --silent --prefix "$axe" --ignore-scripts --no-audit --no-fund axe-core@4.14.1 >/dev/null; then
		export TRUSTCORE_AXE=$axe/node_modules/axe-core/axe.min.js
	fi
fi

# brief leaves out what only says that a test began or that one of many samples passed.
brief() {
	grep -v -E '^=== |^ +--- PASS|^PASS$|no test files|no tests to run|^testing: warning: no tests'
}

failed=0
run() { # module package...
	local module=$1
	shift
	"$go" -C "$module" test -v -count=1 -timeout 25m "${options[@]}" "$@" 2>&1 | tee -a "$record" | brief || failed=1
}

tests=$("$go" run "${options[@]}" ./deploy/samples TRUSTCORE_CORPUS TRUSTCORE_AXE)
run . -run "^($(cut -d' ' -f2 <<<"$tests" | sort -u | paste -sd'|'))\$" $(cut -d' ' -f1 <<<"$tests" | sort -u)

# pyHanko signs through the CSC API, as a client that knows nothing of the house.
if pyhanko=$(deploy/install.sh pyhanko); then
	TRUSTCORE_PYHANKO=$pyhanko run . -run '^TestPyHanko$' ./cmd/trustd
else
	failed=1
fi
for module in $(find verify -path '*/conformance/go.mod' -printf '%h\n' | sort); do
	run "$module" ./...
done

count() { grep -c -E "^ *--- $1" "$record" || true; }
echo "conformance: $(count PASS) tests passed, $(count FAIL) failed, $(count SKIP) skipped"
exit $failed
