#!/bin/sh
# readme.sh - what README.md promises: its two commands, in a clone of what is committed, in a bare
# Debian 12 that has make and nothing else. PATTERN=demo: only the commands that match.
#
# Everything happens in namespaces of its own: when this script ends, however that happens, nothing
# is left running and nothing is left mounted.
set -eu
cd "$(dirname "$0")/../.."
root=$PWD/build/root/readme
commands=$(sed -nE 's/^    (make (demo|test)) +#.*/\1/p' README.md)
child=

[ "$(echo "$commands" | wc -l)" = 2 ] || {
	echo "readme.sh: README.md does not begin with two commands" >&2
	exit 1
}
commands=$(echo "$commands" | grep -e "${PATTERN-}") || {
	echo "readme.sh: no command of README.md matches PATTERN=$PATTERN" >&2
	exit 2
}

clean_up()
{
	[ -z "$child" ] || kill -KILL "$child" 2>/dev/null || true
	rm -rf "$root"
}

mkdir -p build/root
exec 8>build/root/readme.lock
flock 8
rm -rf "$root"
trap clean_up EXIT
trap 'exit 1' HUP INT TERM
tests/root/bare.sh minbase "$root"
git clone --quiet . "$root/srv/postern"
[ -z "$(git status --porcelain)" ] || echo "readme.sh: what is not committed is not in it"

# As the two commands are typed by somebody new to the machine. The shell is the first process of
# its namespace: with it everything ends that was started.
cat >"$root/srv/as-a-new-user" <<'INSIDE'
set -eu
cd /srv/postern
apt-get -q update
apt-get -q -y install --no-install-recommends make
for target in "$@"; do
	echo "== make $target, in a bare Debian $(cat /etc/debian_version)"
	make "$target"
done
INSIDE
# shellcheck disable=SC2016,SC2046,SC2086 # the inner shell's own; a list of words
unshare --mount --pid --fork --kill-child sh -c '
	root=$1
	shift
	mount --bind "$root" "$root"
	mount -t proc proc "$root/proc"
	mount --rbind /sys "$root/sys"
	mount --rbind /dev "$root/dev"
	mount -t tmpfs tmpfs "$root/run"
	exec chroot "$root" env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root \
		DEBIAN_FRONTEND=noninteractive ${http_proxy+"http_proxy=$http_proxy"} \
		sh /srv/as-a-new-user "$@"' \
	sh "$root" $(echo "$commands" | cut -d ' ' -f 2) </dev/null 8>&- &
child=$!
wait "$child"
child=
echo "$commands" | sed 's/^/readme.sh: passed: /'
