#!/usr/bin/env bash
# Builds trustlink-pkcs11.dll, the PKCS#11 module of Windows programs, into a folder, for programs of 64 bits and of 32:
#
#   deploy/dll.sh [DIR]
#
# DIR is bin. It is built without dates and paths: the same sources give the same octets.
set -euo pipefail
cd "$(dirname "$0")/.."
into=${1:-bin}
source=hsm/p11kit/module
header=/usr/include/p11-kit-1 # of PKCS #11 (libp11-kit-dev)
files=$(find "$source" -name '*.c' ! -name '*_unix.c' | sort)

mkdir -p "$into"
for machine in x86_64 i686; do
	gcc=$machine-w64-mingw32-gcc
	out=$into/trustlink-pkcs11.dll
	harden=-Wl,--dynamicbase,--nxcompat,--no-insert-timestamp,--disable-auto-image-base
	if [ "$machine" = i686 ]; then
		out=$into/trustlink-pkcs11-32.dll
	else
		harden+=,--high-entropy-va
	fi
	command -v "$gcc" >/dev/null || { echo "dll: $gcc is not installed: deploy/install.sh dll" >&2; exit 1; }
	# shellcheck disable=SC2086 # names without spaces
	"$gcc" -std=c2x -O2 -Wall -Wextra -Werror -I"$header" -shared -s -static-libgcc $harden -o "$out" $files -ladvapi32
	echo "$out"
done
