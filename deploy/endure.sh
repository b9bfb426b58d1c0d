#!/usr/bin/env bash
# Drives the whole appliance over ten years by a shifted clock: every 30 days a start, in which an order is carried out, an
# office enrols, seals, has time-stamps and OCSP answers made, documents are verified, an officer logs in, and what was
# announced is done as an administrator would. Nothing may stop, and nothing may be done by hand that was not announced.
#
#   deploy/endure.sh [--days DAYS] [--step DAYS] [--state DIR] [go build option...]
#
# The programs are built with a time.Now that adds TRUSTCORE_CLOCK_OFFSET seconds (go build -overlay); they are for this alone.
# Timers do not move with the clock, and the monotonic clock neither. openssl and xmlsec1 are told the time by wrappers.
set -euo pipefail
cd "$(dirname "$0")/.."
days=3660 step=30 state=
while [[ ${1-} == --* ]]; do
	case $1 in
	--days) days=$2; shift 2 ;;
	--step) step=$2; shift 2 ;;
	--state) state=$2; shift 2 ;;
	*) echo "endure: $1 is no option" >&2; exit 2 ;;
	esac
done
go=$(deploy/install.sh go)
work=$(mktemp -d)
up=
trap '[ -z "$up" ] || kill "$up" 2>/dev/null || true; wait 2>/dev/null; rm -rf "$work"' EXIT
state=${state:-$work/state}

shift_clock() { # writes the overlay that adds the offset to time.Now
	local source
	source=$("$go" env GOROOT)/src/time
	sed 's/^\tsec, nsec, mono := runtimeNow()$/&\n\tsec += clockOffset/' "$source/time.go" >"$work/time.go"
	grep -q 'sec += clockOffset' "$work/time.go" || { echo "endure: this Go's time.Now is written otherwise: mend deploy/endure.sh" >&2; exit 1; }
	cat >"$work/offset.go" <<-'GO'
		package time

		import "syscall"

		var clockOffset = readClockOffset()

		func readClockOffset() (seconds int64) {
			text, _ := syscall.Getenv("TRUSTCORE_CLOCK_OFFSET")
			for _, c := range text {
				seconds = 10*seconds + int64(c-'0')
			}
			return seconds
		}
	GO
	printf '{"Replace": {"%s": "%s", "%s": "%s"}}\n' "$source/time.go" "$work/time.go" "$source/clock_offset.go" "$work/offset.go" >"$work/overlay.json"
}

# The counterparts verify at the shifted time. openssl ocsp compares with its own clock, whatever it is told: its tolerance is
# made large; that answers are fresh is seen by verifyd and by /health.
wrap() { # program line
	local real
	real=$(command -v "$1") || return 0
	mkdir -p "$work/tools"
	printf '#!/bin/bash\nreal=%s now=$(($(date +%%s) + TRUSTCORE_CLOCK_OFFSET))\n%s\n' "$real" "$2" >"$work/tools/$1"
	chmod +x "$work/tools/$1"
}
wrap openssl 'case $1 in
verify | cms | ts) exec "$real" "$1" -attime "$now" "${@:2}" ;;
ocsp) exec "$real" ocsp -attime "$now" -validity_period 1000000000 "${@:2}" ;;
esac
exec "$real" "$@"'
wrap xmlsec1 'exec "$real" "$1" --verification-gmt-time "$(date -u -d "@$now" "+%Y-%m-%d %H:%M:%S")" "${@:2}"'
PATH=$work/tools:$PATH

shift_clock
bin=$work/bin
"$go" build -overlay "$work/overlay.json" "$@" -o "$bin/" ./cmd/trustd ./cmd/vpnd ./cmd/verifyd ./cmd/batchd ./cmd/trustctl ./cmd/trustlink

fail() { echo "endure: day $day: $1" >&2; tail -n 5 "$work/up.log" "$state"/log/*.log >&2 || true; exit 1; }

# officer runs trustctl as an officer.
officer() { "$bin/trustctl" "$@" --state "$state"; }

# due prints what people have to do, a line each: kind and subject.
due() { officer expiring --json | python3 -c '
import json, sys, datetime
now = datetime.datetime.fromtimestamp(int(sys.argv[1]), datetime.timezone.utc)
for e in json.load(sys.stdin):
    read = lambda t: datetime.datetime.fromisoformat(t.replace("Z", "+00:00"))
    if e["renewed"] == "by itself" and now > read(e["due"]) + datetime.timedelta(days=3):
        print("LATE", e["kind"], e["subject"])
    elif e["renewed"] == "by people" and now >= read(e["due"]):
        ceremony = e.get("remedy", "").startswith("hold a ceremony for a new issuing authority")
        print("succession" if ceremony else e["kind"], e["subject"])
' "$(($(date +%s) + TRUSTCORE_CLOCK_OFFSET))"; }

# administer does what was announced, and refuses to do anything else.
administer() {
	while read -r kind subject; do
		case $kind in
		officer) officer officer renew --as "$subject" >/dev/null || fail "the officer $subject can't renew" ;;
		authorisation) ;; # the demonstration's: a change order follows
		pin | lotl-signer) ;; # what came with the program: a newer version brings it
		succession) # once: the old authority is named to its last day
			[ "$day" -ge "$settled" ] || continue
			succession=$subject
			;;
		*) fail "unannounced or not renewed: $kind $subject" ;;
		esac
		echo "day $day: announced and done: $kind $subject"
	done < <(due)
}

# succeed holds the ceremony for a new issuing authority, while nothing runs; the old one goes on for its list and answers.
succeed() {
	officer ceremony succeed --print-plan >"$work/plan.yaml"
	officer ceremony succeed --plan "$work/plan.yaml" >"$work/ceremony.log" 2>&1 || fail "no succession: $(tail -n 1 "$work/ceremony.log")"
	settled=$((day + 400)) succession=
}

started=$(date +%s) succession= settled=0
for ((day = 0; day <= days; day += step)); do
	export TRUSTCORE_CLOCK_OFFSET=$((day * 86400))
	: >"$work/up.log" # the last one must not be read for this one
	"$bin/trustctl" up --demo --state "$state" >"$work/up.log" 2>&1 &
	up=$!
	until grep -q '^The appliance serves' "$work/up.log"; do
		kill -0 "$up" 2>/dev/null || fail "the appliance ended: $(tail -n 1 "$work/up.log")"
		sleep 0.2
	done
	officer console --as officer-1 >/dev/null || fail "no log-in"
	administer
	kill -INT "$up"
	wait "$up" || fail "the appliance did not end well"
	up=
	[ -z "$succession" ] || succeed
done
officer audit verify >/dev/null || fail "the audit log does not verify"
echo "endure: $((days / 365)) years in $(($(date +%s) - started)) s: nothing stopped"
