#!/bin/sh
# long.sh FOLDER SECONDS JOBS - every libFuzzer binary of FOLDER for so many seconds, JOBS at a time,
# starting from its corpus. What it finds new stays in FOLDER/found/<name>; an input that breaks
# the code in FOLDER/crash-<name>-*, and the exit code is 1.
set -eu

folder=$1 seconds=$2 jobs=$3

fuzz_one()
{
	name=${1##*/fuzz_}
	mkdir -p "$folder/found/$name"
	set -- "$1" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=1024 -print_final_stats=1 \
	    -artifact_prefix="$folder/crash-$name-" "$folder/found/$name"
	for known in "tests/fuzz/corpus/$name" "tests/fuzz/regress/$name"; do
		[ ! -d "$known" ] || set -- "$@" "$known"
	done
	[ ! -e "tests/fuzz/$name.dict" ] || set -- "$@" -dict="tests/fuzz/$name.dict"
	if "$@" >"$folder/$name.log" 2>&1; then
		echo "ok   $name: $(grep -c . "$folder/$name.log") lines in $folder/$name.log," \
		    "$(sed -n 's/^stat::number_of_executed_units: *//p' "$folder/$name.log") inputs"
	else
		echo "FAIL $name: $folder/$name.log"
		tail -n 40 "$folder/$name.log"
		return 1
	fi
}

if [ "${FUZZ_ONE:-}" ]; then
	fuzz_one "$FUZZ_ONE"
	exit
fi
find "$folder" -maxdepth 1 -type f -name 'fuzz_*' -print0 | sort -z |
    xargs -0 -P "$jobs" -I{} env FUZZ_ONE={} "$0" "$folder" "$seconds" "$jobs"
