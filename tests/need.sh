#!/bin/sh
# need.sh TOOL... - fails, and names them, when tools are missing: a check that skips itself
# because its tool is not there would look like one that passed.
missing=
for tool in "$@"; do
	command -v "$tool" >/dev/null || missing="$missing $tool"
done
[ -z "$missing" ] || { echo "not installed:$missing (make deps-test)" >&2; exit 1; }
