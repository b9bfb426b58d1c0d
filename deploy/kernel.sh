#!/usr/bin/env bash
# Runs the tests of the tunnel in a virtual machine whose kernel has WireGuard, as root of it: what this host's kernel
# lacks, or must not be tried on it, is tried there.
#
#   deploy/kernel.sh [--keep DIR] [--run REGEXP] [--bench] [go test -c option...]
#
# The kernel is Debian's for clouds, fetched by apt-get and unpacked, not installed (TRUSTCORE_KERNEL=FILE.deb names
# another). The machine has no network and no disk: all it needs is in its initial file system. With /dev/kvm it takes a
# minute or two, without it the processor is emulated, which is some ten times slower. --keep leaves what was built and the
# console's log.
#
# The exit status is 0 when every test passed, and the device of the kernel was tested at all.
set -euo pipefail
cd "$(dirname "$0")/.."
keep='' pattern=. bench=''
while [[ ${1-} == --* ]]; do
	case $1 in
	--keep) keep=$(realpath -m "$2"); shift 2 ;;
	--run) pattern=$2; shift 2 ;;
	--bench) bench=1; shift ;;
	*) echo "kernel: $1 is no option" >&2; exit 2 ;;
	esac
done

packages=(./vpn/hub ./vpn/failover ./vpn/internal/{device,fence,lock} ./vpn/namespace ./vpn/tunnel ./vpn/bench ./cmd/vpnd)
declare -A only=([./cmd/vpnd]='TestKilledGateway|TestPairOfGateways') # its other tests carry the tunnel by no interface
modules=(wireguard veth bridge dummy tun nf_tables nf_conntrack nf_conntrack_netlink nft_ct nft_limit nft_fib_inet)
tools=(nft ip wg unshare dash)
seconds=${TRUSTCORE_KERNEL_SECONDS:-3000}

die() { echo "kernel: $*" >&2; exit 1; }

[ "$(uname -sm)" = "Linux x86_64" ] || die "the machine's kernel is one for x86-64: run this on Linux of that kind"
for tool in qemu-system-x86_64 busybox cpio dpkg-deb "${tools[@]}"; do
	command -v "$tool" >/dev/null ||
		die "$tool is missing: run deploy/install.sh kernel (Debian), or install it by hand"
done
go=$(deploy/install.sh go)
work=${keep:-$(mktemp -d)}
mkdir -p "$work"
machine=
[ -n "$keep" ] || trap 'rm -rf "$work"' EXIT
trap '[ -z "$machine" ] || kill "$machine" 2>/dev/null || true; exit 130' INT TERM

fetch() { # brings the package of the kernel into $work
	local deb=${TRUSTCORE_KERNEL:-} name
	if [ -z "$deb" ]; then
		name=$(apt-cache depends linux-image-cloud-amd64 2>/dev/null |
			sed -n 's/^ *Depends: \(linux-image-[0-9].*\)$/\1/p' | sed -n 1p)
		[ -n "$name" ] || die "apt-get knows no linux-image-cloud-amd64: run apt-get update, or name a package of" \
			"Debian's kernel by TRUSTCORE_KERNEL=FILE.deb"
		(cd "$work" && apt-get download -q "$name" >apt.log 2>&1) ||
			die "the kernel could not be fetched: $(tail -n 1 "$work/apt.log")"
		deb=$(echo "$work/$name"_*.deb)
	fi
	rm -rf "$work/kernel"
	dpkg-deb -x "$deb" "$work/kernel"
	release=$(ls "$work/kernel/lib/modules")
	busybox depmod -b "$work/kernel" "$release"
}

# take copies a program and the libraries that it needs to where they are.
take() {
	local from
	from=$(realpath "$(command -v "$1")")
	install -D "$from" "$root/bin/$1"
	for library in $(ldd "$from" 2>/dev/null | grep -o '/[^ ]*' || true); do
		[ -e "$root$library" ] || install -D "$library" "$root$library"
	done
}

take_modules() { # copies the modules and what they need
	local from=$work/kernel/lib/modules/$release name path
	for name in "${modules[@]}"; do
		sed -n "s|^\(.*/$name\.ko[^:]*\):\(.*\)|\1\2|p" "$from/modules.dep"
	done | tr ' ' '\n' | sort -u | while read -r path; do
		[ -z "$path" ] || install -D "$from/$path" "$root/lib/modules/$release/$path"
	done
	busybox depmod -b "$root" "$release"
}

build() { # makes the initial file system
	local package name run
	root=$work/root
	rm -rf "$root"
	mkdir -p "$root"/{bin,dev,proc,sys,tmp,run,etc,tests,root,usr,var}
	take busybox
	for name in $(busybox --list | grep -vx busybox); do
		ln -sf busybox "$root/bin/$name"
	done
	for name in "${tools[@]}"; do
		rm -f "$root/bin/$name" # busybox has some of its own, which know less
		take "$name"
	done
	take_modules
	ln -sf dash "$root/bin/sh" # that of busybox takes its own programs before those in PATH
	ln -s bin "$root/sbin"
	ln -s ../bin "$root/usr/bin"
	ln -s ../bin "$root/usr/sbin"
	ln -s ../run "$root/var/run"
	echo 'root:x:0:0:root:/root:/bin/sh' >"$root/etc/passwd"
	echo 'nobody:x:65534:65534:nobody:/:/bin/sh' >>"$root/etc/passwd"
	echo '127.0.0.1 localhost' >"$root/etc/hosts"
	for package in "${packages[@]}"; do
		name=$root/tests/$(echo "${package#./}" | tr / -)
		CGO_ENABLED=0 "$go" test -c "$@" -o "$name/${package##*/}.test" "$package"
		[ "$pattern" = . ] && run=${only[$package]:-.} || run=$pattern
		echo "$run" >"$name/run"
	done
	printf '%s\n' "${modules[@]}" >"$root/etc/modules"
	[ -z "$bench" ] || touch "$root/etc/bench"
	cp deploy/kernel.init "$root/init"
	chmod 755 "$root/init"
	(cd "$root" && find . | cpio -o -H newc --quiet) >"$work/initrd"
}

start() { # starts the machine; its console is the log
	timeout "$seconds" qemu-system-x86_64 -accel "$1" -cpu max -m 2048 -smp 2 -nographic -no-reboot -nic none \
		-monitor none -kernel "$work/kernel/boot/vmlinuz-$release" -initrd "$work/initrd" \
		-append "console=ttyS0 quiet panic=-1 mitigations=off" </dev/null >"$work/log" 2>&1 &
	machine=$!
}

# boot takes the processor's own virtualization where that works: a /dev/kvm inside a machine may be there and boot
# nothing.
boot() {
	if [ -w /dev/kvm ] && [ "${TRUSTCORE_KERNEL_ACCEL:-kvm}" = kvm ]; then
		start kvm
		for _ in $(seq 20); do
			! grep -qs '^kernel: up' "$work/log" && kill -0 "$machine" 2>/dev/null || break
			sleep 1
		done
		if ! grep -qs '^kernel: up' "$work/log"; then
			kill "$machine" 2>/dev/null || true
			wait "$machine" || true
			machine=
		fi
	fi
	if [ -z "$machine" ]; then
		echo "kernel: no virtualization by /dev/kvm: the machine is emulated, which takes long" >&2
		start tcg
	fi
	wait "$machine" || echo "kernel: the machine did not end by itself (within $seconds s)" >&2
	machine=
	sed -i 's/\r$//' "$work/log"
}

# tell shows what failed and what was left out, and says whether that will do.
tell() {
	local log=$work/log failed passed skipped
	if ! grep -q '^kernel: all ran$' "$log"; then
		tail -n 40 "$log" >&2
		die "the machine ended before the tests did"
	fi
	[ -z "$bench" ] || grep '^Benchmark' "$log" || true
	passed=$(grep -cE '^ *--- PASS' "$log" || true)
	skipped=$(grep -cE '^ *--- SKIP' "$log" || true)
	failed=$(grep -cE '^ *--- FAIL|^kernel: .* failed$' "$log" || true)
	if [ "$skipped" -gt 0 ]; then
		grep -E -A 1 '^ *--- SKIP' "$log" | grep -v '^--$' || true
	fi
	if [ "$failed" -gt 0 ]; then
		grep -vE '^ *(=== |--- (PASS|SKIP))' "$log" >&2
	fi
	echo "kernel $release: $passed passed, $failed failed, $skipped skipped, in $SECONDS s"
	[ "$failed" = 0 ] || return 1
	[ "$pattern" != . ] || grep -q -- '--- PASS: TestConformance/kernel' "$log" ||
		die "the kernel's device was not tested"
}

fetch
build "$@"
boot
tell
