#!/usr/bin/env bash
# Installs on Debian 12 what building, running or testing needs and is not there yet.
#
#   deploy/install.sh build|run|test|kernel|dll|wine   installs
#   deploy/install.sh go                       prints the go command to use
#   deploy/install.sh pyhanko                  installs pyHanko beside the house, and prints the python that has it
#
# Needs root or sudo only when something is missing.
set -euo pipefail

build="gcc libc6-dev git ca-certificates brotli"
run="softhsm2 wireguard-tools nftables iproute2 openssl p11-kit p11-kit-modules opensc xmlsec1 poppler-utils iputils-ping"
test="libxml2-utils qpdf postgresql chromium clamav-daemon libengine-pkcs11-openssl gnutls-bin libnss3-tools nginx-light curl jq python3 lego certbot libp11-kit-dev"
dll="gcc-mingw-w64-x86-64 gcc-mingw-w64-i686 libp11-kit-dev"
kernel="qemu-system-x86 busybox-static cpio wireguard-tools nftables iproute2 util-linux"

# The oldest go that fetches by itself the toolchain which go.mod names.
oldest_minor=21

die() { echo "install: $*" >&2; exit 1; }

# find_go prints a go command that is new enough, if there is one. It asks outside the module, where go tells its own
# version and fetches no other.
find_go() {
	local go minor
	for go in "$(command -v go || true)" /usr/local/go/bin/go /usr/lib/go-1.2?/bin/go; do
		[ -x "$go" ] || continue
		minor=$(cd / && GOTOOLCHAIN=local "$go" env GOVERSION 2>/dev/null | sed -n 's/^go1\.\([0-9]*\).*/\1/p')
		if [ -n "$minor" ] && [ "$minor" -ge "$oldest_minor" ]; then
			echo "$go"
			return 0
		fi
	done
	return 1
}

as_root() {
	if [ "$(id -u)" = 0 ]; then
		env DEBIAN_FRONTEND=noninteractive "$@"
	elif command -v sudo >/dev/null; then
		sudo env DEBIAN_FRONTEND=noninteractive "$@"
	else
		die "root is needed for '$*': run this as root once, or install sudo"
	fi
}

# missing prints those of its arguments that are not installed.
missing() {
	local p
	for p in "$@"; do
		dpkg-query -W -f='${Status}' "$p" 2>/dev/null | grep -q 'ok installed' || echo "$p"
	done
}

updated=
apt_update() {
	[ -z "$updated" ] || return 0
	as_root apt-get update -q || die "apt-get update failed: check sudo, the network and /etc/apt/sources.list, then run this again"
	updated=1
}

# apt_install leaves no service behind: what comes here are tools, which tests start by themselves. So packages neither start
# what they bring (policy-rc.d), nor have it start with the machine.
apt_install() {
	local policy=/usr/sbin/policy-rc.d made= failed= before unit
	apt_update
	before=$(enabled)
	if [ ! -e "$policy" ]; then
		printf '#!/bin/sh\nexit 101\n' | as_root tee "$policy" >/dev/null && as_root chmod 755 "$policy"
		made=1
	fi
	as_root apt-get install -q -y --no-install-recommends "$@" || failed=1
	[ -z "$made" ] || as_root rm -f "$policy"
	[ -z "$failed" ] || die "apt-get could not install $*: do what its message above says, then run this again"
	for unit in $(comm -13 <(echo "$before") <(enabled)); do
		as_root systemctl --quiet disable "$unit" || echo "install: $unit starts with the machine" >&2
	done
}

# enabled prints the units that start with the machine.
enabled() { find /etc/systemd/system -path '*.wants/*' -printf '%f\n' 2>/dev/null | sort -u; }

packages() {
	local wanted
	if ! command -v dpkg-query >/dev/null || ! command -v apt-get >/dev/null; then
		echo "install: this is not Debian, so nothing is installed; needed are: $*" >&2
		return 0
	fi
	mapfile -t wanted < <(missing "$@")
	[ "${#wanted[@]}" = 0 ] || apt_install "${wanted[@]}"
}

# mirror prints the Debian mirror that this machine uses.
mirror() {
	local found
	found=$(cat /etc/apt/sources.list /etc/apt/sources.list.d/*.list /etc/apt/sources.list.d/*.sources 2>/dev/null |
		sed -n 's/^ *deb  *\(\[[^]]*\] *\)\?\(http[^ ]*debian\/\?\) .*/\2/p; s/^URIs: *\(http[^ ]*debian\/\?\)\( .*\)\?$/\1/p' |
		sed -n 1p) || true
	echo "${found:-http://deb.debian.org/debian}"
}

# go_from_backports brings golang-1.23, which then fetches the toolchain of go.mod.
go_from_backports() {
	local list=/etc/apt/sources.list.d/trustcore-backports.list by_hand="install Go 1.26 from https://go.dev/dl by hand"
	find_go >/dev/null && return 0
	grep -qs '^VERSION_CODENAME=bookworm' /etc/os-release || die "go is older than 1.$oldest_minor: $by_hand"
	apt_update
	if ! apt-cache policy golang-1.23-go | grep -q 'Candidate: [0-9]'; then
		echo "deb $(mirror) bookworm-backports main" | as_root tee "$list" >/dev/null ||
			die "$list could not be written: $by_hand"
		updated=
	fi
	apt_install golang-1.23-go
	find_go >/dev/null || die "golang-1.23 is installed but does not run: $by_hand"
}

# toolchain lets go fetch the toolchain of go.mod, so that want of a network is told here and not in the midst of a build.
toolchain() {
	local go
	go=$(find_go)
	"$go" -C "$(dirname "$0")/.." version >/dev/null ||
		die "go could not bring the toolchain that go.mod names: check the network, GOPROXY and GOTOOLCHAIN, or install Go 1.26 from https://go.dev/dl by hand"
}

# pyhanko is the one that conformance runs as a client; nothing of the product needs it.
pyhanko() {
	local version=0.38.0 home=${XDG_CACHE_HOME:-$HOME/.cache}/trustcore
	local python=$home/pyhanko-$version/bin/python
	if ! [ -x "$python" ] || ! "$python" -c 'import pyhanko, aiohttp' 2>/dev/null; then
		packages python3 python3-venv >&2
		{ python3 -m venv "${python%/bin/python}" && "$python" -m pip install --quiet "pyHanko[async-http]==$version"; } >&2 ||
			die "pyHanko $version could not be installed from PyPI: check the network and pip's settings"
	fi
	echo "$python"
}

case "${1-}" in
pyhanko) pyhanko ;;
go) find_go || echo go ;;
build) packages $build; go_from_backports; toolchain ;;
run) packages $build $run; go_from_backports; toolchain ;;
test) packages $build $run $test; go_from_backports; toolchain ;;
dll) packages $dll ;;
wine) packages $dll wine64 ;;
kernel) packages $build $kernel; go_from_backports; toolchain ;;
*) die "usage: deploy/install.sh build|run|test|kernel|dll|wine|go|pyhanko" ;;
esac
