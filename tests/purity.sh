#!/bin/sh
# purity.sh LIBANALYZERS LIBRULES - holds the two pure libraries to their word: octets in, events
# and verdicts out; no socket, no file, no clock, no logging.
#
#  - every symbol that a library does not define itself is in tests/purity/<library>.txt;
#  - no include goes against the arrows: analyzers/core sees only itself, analyzers/<proto> also
#    core and mime but never another protocol (tcp: net in place of mime), rules never sees proxy.
set -eu
export LC_ALL=C

here=$(dirname "$0")
libanalyzers=$1 librules=$2
faults=$(mktemp)
trap 'rm -f "$faults"' EXIT

# names FILE: the list without comments
names()
{
	sed -e 's/#.*//' -e 's/[[:space:]]*$//' -e '/^$/d' "$1" | sort -u
}

# symbols LIST LIB... : what the first LIB needs and no LIB has
symbols()
{
	list=$1 lib=$2
	shift
	allowed=$(mktemp) needed=$(mktemp)
	{ names "$list"; nm --defined-only -gP "$@" 2>/dev/null | cut -d' ' -f1; } | sort -u >"$allowed"
	nm -uP "$lib" | awk 'NF > 1 { print $1 }' | sort -u >"$needed"
	comm -23 "$needed" "$allowed" | sed "s|^|$lib uses a symbol that $list does not allow: |" >>"$faults"
	rm -f "$allowed" "$needed"
}

# includes FILE PATTERN: every #include "..." of FILE must match one of PATTERN
includes()
{
	sed -n 's/^#[[:space:]]*include[[:space:]]*"\(.*\)".*/\1/p' "$1" |
	grep -vE "^($2)\$" | sed "s|^|$1 must not include |" >>"$faults" || :
}

symbols "$here/purity/analyzers.txt" "$libanalyzers"
symbols "$here/purity/rules.txt" "$librules" "$libanalyzers"

for f in analyzers/*/*.[ch]; do
	proto=$(basename "$(dirname "$f")")
	case $proto in
	core) includes "$f" 'core/[a-z0-9_]+\.h' ;;
	tcp) includes "$f" '(core|net|tcp)/[a-z0-9_]+\.h' ;;
	*) includes "$f" "(core|mime|$proto)/[a-z0-9_]+\\.h" ;;
	esac
done
# an include without a folder is one of the room itself
for f in rules/*.[ch]; do
	includes "$f" '([a-z0-9_]+/)?[a-z0-9_]+\.h'
	sed -n 's/^#[[:space:]]*include[[:space:]]*"\([^"]*\)".*/\1/p' "$f" | while read -r name; do
		[ -e "rules/$name" ] || [ -e "analyzers/$name" ] || echo "$f must not include $name" >>"$faults"
	done
done

if [ -s "$faults" ]; then
	cat "$faults" >&2
	exit 1
fi
echo "purity: $(nm -uP "$libanalyzers" "$librules" | awk 'NF > 1 { print $1 }' | sort -u | wc -l) symbols, all allowed"
