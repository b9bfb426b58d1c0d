#!/usr/bin/env bash
# Takes each check named in deploy/mutants.txt out, one at a time, and demands that the test beside it fails for the
# reason beside it. The sources stay as they are.
#
#   deploy/mutants.sh [--only TEXT] [go test option...]     those whose file or test holds TEXT
set -euo pipefail
cd "$(dirname "$0")/.."
only=
if [ "${1-}" = --only ]; then
	only=$2
	shift 2
fi
go=$(deploy/install.sh go)
PATH=$(dirname "$go"):$PATH TRUSTCORE_MUTANTS="$*" TRUSTCORE_MUTANTS_ONLY=$only \
	"$go" test -v "$@" -count=1 -timeout 6h -run '^TestMutants$' ./cmd
