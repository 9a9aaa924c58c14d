#!/bin/sh
# bare.sh KIND FOLDER - a bare Debian 12 in FOLDER, which must not be there.
#
# KIND is "minbase", what debootstrap calls so, or "systemd": the same with what boots it, and with
# what the package of Postern and its tests need already in apt's cache, so that it can be
# installed without a network. Comes from the mirrors that this machine's own apt uses; what was
# fetched stays in build/root-cache for a week.
set -eu

[ $# = 2 ] || { echo "usage: bare.sh minbase|systemd FOLDER" >&2; exit 2; }
kind=$1
folder=$2
top=$(cd "$(dirname "$0")/../.." && pwd)
cache=$top/build/root-cache
mirror=http://deb.debian.org/debian
security=http://deb.debian.org/debian-security

"$top/tests/need.sh" debootstrap unshare flock
if [ "$(id -u)" != 0 ]; then
	echo "bare.sh: only root can make a root" >&2
	exit 1
fi

depends=
if [ "$kind" = systemd ]; then
	set -- "$top"/build/deb/postern_*.deb
	[ -e "$1" ] || { echo "bare.sh: make deb comes first" >&2; exit 1; }
	depends=$(dpkg-deb -f "$1" Depends)
fi

# The first of our own apt's sources for a release, or $2.
source_of() # release default
{
	# shellcheck disable=SC2016 # apt's own
	apt-get indextargets --format '$(REPO_URI) $(RELEASE)' 'Created-By: Packages' |
		awk -v release="$1" -v uri="$2" '$2 == release { uri = $1; exit } END { print uri }'
}

# Runs a command in a root, with a network and nothing else of this machine; what it leaves behind
# ends with it.
inside() # root command...
{
	# shellcheck disable=SC2016 # the inner shell's own
	unshare --mount --pid --fork --kill-child sh -c '
		mount --bind "$1" "$1"
		mount -t proc proc "$1/proc"
		mount -t tmpfs tmpfs "$1/run"
		root=$1
		shift
		exec chroot "$root" env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root \
			DEBIAN_FRONTEND=noninteractive ${http_proxy+"http_proxy=$http_proxy"} "$@"' \
		sh "$@" </dev/null
}

make_minbase() # root
{
	mirror=$(source_of bookworm "$mirror")
	security=$(source_of bookworm-security "$security")
	debootstrap --variant=minbase bookworm "$1" "$mirror"
	cat >"$1/etc/apt/sources.list" <<-END
		deb $mirror bookworm main
		deb $mirror bookworm-updates main
		deb $security bookworm-security main
	END
	inside "$1" apt-get -q update
	inside "$1" apt-get -q -y dist-upgrade
	inside "$1" apt-get clean
}

make_systemd() # root
{
	tar -x -C "$1" -f "$cache/minbase.tar"
	inside "$1" apt-get -q -y install --no-install-recommends systemd-sysv
	inside "$1" apt-get clean
	# a package of no content that wants what ours wants: apt then fetches that, and no more
	mkdir -p "$1/want/DEBIAN"
	cat >"$1/want/DEBIAN/control" <<-END
		Package: want
		Version: 1
		Architecture: all
		Maintainer: nobody <nobody@example.org>
		Depends: $depends, logrotate, nftables
		Description: what the package of Postern and its tests need
	END
	dpkg-deb --build "$1/want" "$1/want.deb"
	inside "$1" apt-get -q -y install --download-only --no-install-recommends /want.deb
	rm -rf "$1/want" "$1/want.deb"
}

# In the cache, not a week old, and made for what the package depends on today?
fresh() # kind
{
	[ -n "$(find "$cache/$1.tar" -mtime -7 2>/dev/null)" ] || return 1
	[ "$1" != systemd ] || [ "$(cat "$cache/systemd.depends")" = "$depends" ]
}

keep() # kind
{
	! fresh "$1" || return 0
	[ "$1" = minbase ] || keep minbase
	rm -rf "$cache/new"
	mkdir -p "$cache/new"
	echo "bare.sh: making $1, which is kept for a week"
	if ! "make_$1" "$cache/new" >"$cache/$1.log" 2>&1; then
		tail -20 "$cache/$1.log" >&2
		echo "bare.sh: $1 could not be made, see $cache/$1.log" >&2
		exit 1
	fi
	tar -c -C "$cache/new" -f "$cache/$1.tar.new" .
	rm -rf "$cache/new"
	[ "$1" != systemd ] || echo "$depends" >"$cache/systemd.depends"
	mv "$cache/$1.tar.new" "$cache/$1.tar"
}

mkdir -p "$cache"
exec 9>"$cache/lock"
flock 9
keep "$kind"
flock -u 9
mkdir "$folder"
tar -x -C "$folder" -f "$cache/$kind.tar"
