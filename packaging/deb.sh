#!/bin/sh
# deb.sh VERSION - makes build/deb/postern_*.deb from a copy of the tree, so that the tree stays as
# it is, and lets lintian look at it: an error or a warning fails. No network.
set -eu
cd "$(dirname "$0")/.."
version=$1
copy=build/deb/postern-$version

rm -rf build/deb
mkdir -p "$copy"
tar -c --exclude=./build --exclude=./.git --exclude=__pycache__ . | tar -x -C "$copy"
cp -r "$copy/packaging/debian" "$copy/debian"
packaged=$(dpkg-parsechangelog -l "$copy/debian/changelog" -S Version)
if [ "$packaged" != "$version" ]; then
	echo "deb: packaging/debian/changelog is at $packaged, the Makefile at $version" >&2
	exit 1
fi
# what make hands down to its children is not meant for the package's own make
unset MAKEFLAGS MAKELEVEL MFLAGS BUILD CC SAN FUZZ
(cd "$copy" && dpkg-buildpackage --unsigned-source --unsigned-changes --jobs="$(nproc)") \
	>build/deb/build.log 2>&1 || {
	tail -40 build/deb/build.log >&2
	exit 1
}
rm -rf "$copy"
lintian --allow-root --no-cfg --fail-on error,warning build/deb/postern_*.changes
ls build/deb/postern_*.deb
