#!/bin/sh
# hardening.sh BINARY OBJECT... - V-012: looks for everything that makes a fault of ours harder to
# use, and names what is missing. The objects and libraries are those that the binary is made of:
# the marks of CET are looked for there, because Debian 12's own start files (crt1.o) have none, and
# the linker gives a binary only what all of its parts have.
set -eu
export LC_ALL=C

binary=$1
shift
faults=0

missing()
{
	echo "$binary: $*" >&2
	faults=$((faults + 1))
}

header=$(readelf -hW "$binary")
segments=$(readelf -lW "$binary")
dynamic=$(readelf -dW "$binary")
symbols=$(readelf --dyn-syms -W "$binary")

# has TEXT PATTERN
has()
{
	printf '%s\n' "$1" | grep -qE "$2"
}

{ has "$header" 'Type: +DYN' && has "$dynamic" 'FLAGS_1.*PIE'; } ||
	missing "no position-independent executable (-fPIE -pie)"
has "$segments" '^ +GNU_RELRO' || missing "no RELRO segment (-z relro)"
has "$dynamic" 'FLAGS_1.*NOW' || missing "symbols are bound late: RELRO is not full (-z now)"
has "$dynamic" 'TEXTREL' && missing "text that is written to at start (TEXTREL)"
has "$dynamic" 'R(UN)?PATH' && missing "libraries from a folder of its own (RPATH)"
has "$segments" '^ +GNU_STACK .* RW ' || missing "the stack can be executed (-z noexecstack)"
has "$segments" '^ +LOAD .* RWE ' && missing "a segment that can be written and executed"
has "$symbols" ' __stack_chk_fail(@| |$)' || missing "no stack protector (-fstack-protector-strong)"
has "$symbols" ' __(memcpy|memset|snprintf|vsnprintf|fprintf)_chk(@| |$)' ||
	missing "no checked calls (-D_FORTIFY_SOURCE)"
case $header in
*X86-64*)
	[ $# -gt 1 ] || missing "which objects is it made of?"
	unmarked=$(readelf -nW "$@" | awk '
		/^File:/ { if (file != "" && !marked) print file; file = $2; marked = 0 }
		/x86 feature: .*IBT, SHSTK/ { marked = 1 }
		END { if (file == "" || !marked) print file }')
	[ -z "$unmarked" ] || missing "no marks for jumps and returns (-fcf-protection):" "$unmarked"
	;;
esac

[ "$faults" -eq 0 ] || exit 1
echo "hardening: $binary has all of it"
