#!/usr/bin/env bash
# Fuzzes the targets of the module one after the other:
#
#   deploy/fuzz.sh [--changed REVISION TIME] [--only TEXT] TIME [go test option...]
#
# Each runs for TIME (60s, 2m), one whose folder differs from a revision for the other TIME, and only those whose folder
# and name hold TEXT. An input that fails is written to testdata/fuzz/TARGET beside its target, where every later go test
# runs it: mend the code, keep the file as a seed, small and with its mending. What is merely new stays in go's cache.
#
# A failure doesn't keep the next target from running. The end lists inputs a second of each target; the exit status is 0
# when every target ran and none failed.
set -euo pipefail
cd "$(dirname "$0")/.."
revision='' longer='' only=''
while [[ ${1-} == --* ]]; do
	case $1 in
	--changed) revision=$2 longer=$3; shift 3 ;;
	--only) only=$2; shift 2 ;;
	*) echo "fuzz: $1 is no option" >&2; exit 2 ;;
	esac
done
time=${1:-60s}
shift || true
go=$(deploy/install.sh go)
log=$(mktemp)
child=
trap 'rm -f "$log"' EXIT
# A target is a group of processes of its own, which timeout ends as a whole.
trap '[ -z "$child" ] || { kill "$child"; wait "$child"; } 2>/dev/null || true; exit 130' INT TERM

seconds() { # 90s, 2m, 1h
	case $1 in
	*[0-9]s) echo "${1%s}" ;;
	*[0-9]m) echo $((${1%m} * 60)) ;;
	*[0-9]h) echo $((${1%h} * 3600)) ;;
	*) echo "fuzz: $1 is no time: write 60s, 2m or 1h" >&2; exit 2 ;;
	esac
}

# targets prints each target with its folder: verify/pades FuzzOpen.
targets() {
	grep -r --include='*_test.go' '^func Fuzz' cmd hsm internal pki verify vpn |
		sed -E 's#^(.*)/[^/]*:func (Fuzz[A-Za-z0-9_]*)\(.*#\1 \2#' | sort | grep -F -- "$only"
}

# time_of prints how long the targets of a folder run.
time_of() {
	if [ -n "$revision" ] && ! git diff --quiet "$revision" -- "$1"; then echo "$longer"; else echo "$time"; fi
}

# An input may take ten seconds, and building with the fuzzer's counters takes minutes the first time.
slack=600

# fuzz runs one target. That its time ends while an input runs is no failure, though go may say so.
fuzz() { # folder target time [go test option...]
	local folder=$1 target=$2 time=$3 status=0
	shift 3
	timeout --signal=TERM --kill-after=10s $(($(seconds "$time") + slack)) \
		"$go" test "$@" -run '^$' -fuzz "^$target\$" -fuzztime "$time" -fuzzminimizetime 1s "./$folder" </dev/null >"$log" 2>&1 &
	child=$!
	wait "$child" || status=$?
	child=
	[ "$status" != 0 ] || return 0
	if grep -q '^    context deadline exceeded$' "$log" && ! grep -q 'Failing input' "$log"; then return 0; fi
	grep -v '^fuzz: elapsed' "$log" || true
	return 1
}

# rate prints how many inputs ran, and how many a second.
rate() {
	sed -nE 's#^fuzz: elapsed: ([^,]*), execs: ([0-9]+) .*#\1 \2#p' "$log" | tail -n 1 | awk '
		{ n = $2; t = $1; s = 0
		  while (match(t, /^[0-9.]+[hms]/)) {
			u = substr(t, RLENGTH, 1); s += substr(t, 1, RLENGTH - 1) * (u == "h" ? 3600 : u == "m" ? 60 : 1)
			t = substr(t, RLENGTH + 1) } }
		END { printf "%d %d", n, (s > 0 ? n / s : n) }'
}

seconds "$time" >/dev/null
[ -z "$longer" ] || seconds "$longer" >/dev/null
[ -z "$revision" ] || git rev-parse --quiet --verify "$revision^{commit}" >/dev/null ||
	{ echo "fuzz: $revision is no revision" >&2; exit 2; }
table=()
failed=()
while read -r folder target; do
	for=$(time_of "$folder")
	echo "== $folder $target $for"
	status=0
	fuzz "$folder" "$target" "$for" "$@" || status=$?
	read -r inputs persecond <<<"$(rate)"
	if [ "$status" != 0 ]; then
		failed+=("$folder $target: mend the code, keep the new input in its testdata/fuzz as a seed")
	elif [ "$inputs" = 0 ]; then
		failed+=("$folder $target: ran no input")
	fi
	table+=("$(printf '%8d inputs/s %10d inputs  %s %s' "$persecond" "$inputs" "$folder" "$target")")
done < <(targets)
echo "fuzz: ${#table[@]} targets, ${#failed[@]} failures"
printf '%s\n' "${table[@]}"
if [ "${#failed[@]}" != 0 ]; then
	printf 'fuzz: %s\n' "${failed[@]}"
	exit 1
fi
[ "${#table[@]}" != 0 ] || { echo "fuzz: no target" >&2; exit 1; }
