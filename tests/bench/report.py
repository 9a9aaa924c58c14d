#!/usr/bin/python3
"""One page of what was measured: report.py [--results FILE] BUILD WORKLOAD...

It shows which bars were reached; with --results it writes these, the tables of all the workloads, the
machine and the versions to FILE, if each of the workloads was measured to its end.
"""

import argparse
import datetime
import os
import pathlib
import platform
import re
import subprocess

import bars

ALL = ("mime", "ftp", "smtp", "pop3", "imap", "tls", "captures", "growth")
PACKAGES = ("haproxy", "nginx", "libnginx-mod-mail", "libnginx-mod-stream", "ftp-proxy", "sslsplit", "tcpflow", "tshark",
            "libgmime-3.0-0", "libssl3", "gcc", "python3")
ROOT = pathlib.Path(__file__).resolve().parents[2]


def output_of(*argv):
    return subprocess.run(argv, check=True, capture_output=True, text=True, timeout=30, cwd=ROOT).stdout.strip()


def version_of(package):
    done = subprocess.run(["dpkg-query", "-W", "-f=${Version}", package], capture_output=True, text=True, timeout=30)
    return f"{package} {done.stdout.strip() if done.returncode == 0 else 'is not installed'}"


def machine():
    model = re.search(r"^model name\s*: (.+)$", pathlib.Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    memory = re.search(r"^MemTotal:\s+(\d+)", pathlib.Path("/proc/meminfo").read_text(), re.MULTILINE)
    return (f"{os.cpu_count()} processors ({model.group(1) if model else platform.machine()}), "
            f"{int(memory.group(1)) / 2**20:.0f} GiB, Linux {platform.release().split('-')[0]}. Client, gateway and "
            "server share them.")


def page(folder, workloads):
    """Markdown."""
    tables = [(folder / f"{name}.md").read_text().strip() for name in workloads]
    missing = [name for name in ALL if name not in workloads]
    return "\n\n".join([
        "# What the last run of make bench measured" + (f" (without {', '.join(missing)})" if missing else ""),
        f"{datetime.date.today()}, Postern {output_of('git', 'describe', '--always', '--dirty')}. {machine()}",
        "Peers: " + ", ".join(map(version_of, PACKAGES)) + ".",
        "A row of rounds is a median, with the least and the most beside it; ratios are taken inside each round. "
        "“n of 5 disturbed” says in how many rounds somebody else worked meanwhile, for more than a quarter of the "
        "time. Each program has one thread or worker. README.md says how the gateways are set up.",
        "## The bars", bars.table(folder, workloads), *tables]) + "\n"


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("build", type=pathlib.Path)
    parser.add_argument("workloads", nargs="+")
    parser.add_argument("--results", type=pathlib.Path)
    parser.add_argument("--quick", action="store_true", help="what was measured was too short for a figure")
    options = parser.parse_args()
    folder = options.build / "bench"
    missing = [name for name in options.workloads if not (folder / f"{name}.json").exists()]
    if missing:
        raise SystemExit(f"not measured to the end: {', '.join(missing)}")
    if options.quick:
        return
    reached = bars.table(folder, options.workloads)
    if reached:
        print(f"\n## The bars\n\n{reached}")
    if options.results:
        options.results.write_text(page(folder, options.workloads))
        print(f"\nwritten to {options.results}")


if __name__ == "__main__":
    main()
