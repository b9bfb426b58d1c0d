#!/usr/bin/env bash
# Runs the cases of every folder of DIR and holds what is right against deploy/cases.right, a list that may only grow:
#
#   deploy/cases.sh DIR          fails when a case of the list is wrong or not there, tells what could be added
#   deploy/cases.sh DIR --add    adds what is right and not in the list yet
#
# A line of the list is FOLDER/LIST/ID, LIST being cases or cases-NAME as the folder has them in LIST.jsonl. The script that
# judges lies beside the folder, in DIR/../judges. DIR isn't written to.
set -euo pipefail
cd "$(dirname "$0")/.."
die() { echo "cases: $*" >&2; exit 1; }

[ -d "${1-}" ] || { echo "cases: '${1-}' is no folder: say where the cases are, deploy/cases.sh DIR [--add]" >&2; exit 2; }
cases=$(cd "$1" && pwd)
judge=$cases/../judges/run_cases.py
program=$PWD/bin/trustctl
list=deploy/cases.right
[ -r "$judge" ] || die "$judge is not there"
[ -x "$program" ] || die "$program is not there: make build"
command -v python3 >/dev/null || die "the judge needs python3: apt-get install python3"

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export LC_ALL=C

# judge_list runs a list of a folder, or the cases whose id has a text in it, and prints FOLDER/LIST/ID, a tab and what is
# wrong, nothing where all is right. The folder is copied, since unpacking in it needs the write bits that DIR may lack.
judge_list() { # folder list [text]
	local status=0
	"$judge" "$program" "$work/$1" --cases "$2.jsonl" --only "${3-}" -v >"$work/answer" 2>"$work/errors" || status=$?
	if [ "$status" -gt 1 ] || ! tail -n 1 "$work/answer" | grep -q '^right [0-9]* of [0-9]*$'; then
		cat "$work/errors" >&2
		die "$1/$2: the judge came to no end"
	fi
	sed -nE "s#^WRONG  ([^:]*): *#$1/$2/\1\t#p; s#^right  ([^:]*): *\$#$1/$2/\1\t#p" "$work/answer"
}

# again judges a second time what was only too slow, since other work of the machine may be to blame.
again() {
	local name fault folder file id
	while IFS=$'\t' read -r name fault; do
		if [[ $fault =~ ^[0-9.]+\ s\ of\ processor\ time$ ]]; then
			IFS=/ read -r folder file id <<<"$name"
			judge_list "$folder" "$file" "$id" | grep -F "$name"$'\t' || die "$name: can't be judged again"
		else
			printf '%s\t%s\n' "$name" "$fault"
		fi
	done
}

# ever_listed prints what the list holds or held, as far as the history is known.
ever_listed() {
	cat "$list"
	git log -p --no-merges --format= -- "$list" 2>/dev/null | sed -n 's#^+\([^+].*\)#\1#p' || true
}

count() { wc -l <"$1" | tr -d ' '; }

for file in "$cases"/*/cases.jsonl "$cases"/*/cases-*.jsonl; do
	[ -e "$file" ] || continue
	folder=$(basename "$(dirname "$file")")
	name=$(basename "$file" .jsonl)
	[ -d "$work/$folder" ] || cp -R --no-preserve=mode "$cases/$folder" "$work/$folder"
	judge_list "$folder" "$name" | again >"$work/found"
	echo "cases: $folder/$name: $(grep -c $'\t$' "$work/found" || true) of $(count "$work/found") right"
	cat "$work/found" >>"$work/all"
done
[ -s "$work/all" ] || die "$cases holds no cases"

sort "$work/all" >"$work/judged"
cut -f 1 "$work/judged" >"$work/there"
sed -n 's#\t$##p' "$work/judged" >"$work/right"
if [ "${2-}" = --add ]; then
	touch "$list"
	sort -u "$list" "$work/right" >"$work/list"
	cp "$work/list" "$list"
fi
sort -c "$list" || die "$list is not sorted: LC_ALL=C sort -u -o $list $list"
ever_listed | sort -u >"$work/ever"

failed=0
complain() { # what, names on standard input
	local name
	while read -r name; do
		failed=1
		echo "cases: $name $1$(sed -n "s#^$name\t#: #p" "$work/judged")"
	done
}
complain "is in the list and wrong" < <(comm -12 "$list" <(comm -23 "$work/there" "$work/right"))
complain "is in the list and not among the cases" < <(comm -23 "$list" "$work/there")
complain "was taken out of the list" < <(comm -12 <(comm -23 "$work/ever" "$list") "$work/there")
comm -13 "$list" "$work/right" >"$work/new"
if [ -s "$work/new" ]; then
	sed 's#^#cases: right and not in the list: #' "$work/new"
	echo "cases: add it: deploy/cases.sh $1 --add"
fi
echo "cases: $(count "$work/right") of $(count "$work/there") right, $(count "$list") in the list"
[ "$failed" = 0 ] || die "what was right is wrong, or the list has shrunk: only mending the product helps"
