"""Captures are made by the tests; the binaries under test come from POSTERN (paths)."""

import json
import os
import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
BINARIES = os.environ.get("POSTERN", f"{ROOT}/build/postern {ROOT}/build/san/postern").split()
SANITIZER = re.compile(r"ERROR: \w+Sanitizer|runtime error:|SUMMARY: \w+Sanitizer")
ENVIRONMENT = {**os.environ, "ASAN_OPTIONS": "exitcode=99", "LSAN_OPTIONS": "exitcode=99",
               "UBSAN_OPTIONS": "print_stacktrace=1"}


class Said:
    """What one run gave: exit code, records, and lines of messages."""

    def __init__(self, done):
        self.code, self.stderr = done.returncode, done.stderr.decode("utf-8", "replace")
        assert not SANITIZER.search(self.stderr), self.stderr
        assert self.code in (0, 1, 2), f"exit code {self.code}: {self.stderr}"
        self.messages = self.stderr.splitlines()
        lines = done.stdout.decode("utf-8").split("\n")  # strict: records are UTF-8
        assert lines.pop() == "", "the last line has no end"
        self.records = [json.loads(line) for line in lines]

    def of(self, kind):
        return [r for r in self.records if r["event_type"] == kind]

    def digests(self):
        """SHA-256 of all files."""
        return [r["fileinfo"].get("sha256") for r in self.of("fileinfo")]

    def anomalies(self, kind):
        return [r["anomaly"] for r in self.of("anomaly") if r["anomaly"]["type"] == kind]


class Reader:
    """postern read of files, which are given as octets or paths."""

    def __init__(self, binary, folder):
        self.binary, self.folder, self.n = binary, folder, 0

    def file(self, octets, name=None):
        self.n += 1
        path = self.folder / (name or f"{self.n}.pcap")
        path.write_bytes(octets)
        return path

    def __call__(self, *arguments, stdin=None, code=0):
        argv = [self.file(a) if isinstance(a, bytes) else a for a in arguments]
        done = subprocess.run([self.binary, "read", *map(str, argv)], input=stdin or b"", capture_output=True,
                              timeout=120, env=ENVIRONMENT)
        said = Said(done)
        assert code is None or said.code == code, (said.code, said.stderr)
        return said


@pytest.fixture(params=BINARIES, ids=lambda path: Path(path).parent.name)
def read(request, tmp_path):
    return Reader(request.param, tmp_path)


@pytest.fixture(params=[path for path in BINARIES if Path(path).parent.name != "san"],
                ids=lambda path: Path(path).parent.name)
def measured(request, tmp_path):
    """As read, of binaries whose memory is their own: the sanitizers' is many times that."""
    return Reader(request.param, tmp_path)
