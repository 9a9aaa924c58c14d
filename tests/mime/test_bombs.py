"""Messages that are made to eat memory or time: both stay within bounds, whatever their size.

Each goes through "postern mime --json -" on a pipe, once as it is and once at twice the size: peak
memory is below a number, and time grows as the input does. BOMBS=full: the sizes that the issue
names, which take minutes.
"""

import base64
import dataclasses
import gzip
import io
import json
import os
import pathlib
import subprocess
import sys
import tarfile
import threading
import time
import zipfile

import pytest

TOP = pathlib.Path(__file__).resolve().parents[2]
BINARY = TOP / os.environ.get("POSTERN", "build/postern").split()[0]
FULL = os.environ.get("BOMBS") == "full"
MIB = 1 << 20

MEMORY_MAX = 32 * MIB  # of the whole process, libraries and the database of types included
SLOWER_MAX = 3  # times, for twice the input
NOISE = 0.2  # seconds of CPU: what is below tells nothing about growth
PIECE = 256 << 10
LATE = 600  # seconds

MIXED = b"MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n"
BASE64 = b"MIME-Version: 1.0\r\nContent-Type: application/octet-stream\r\nContent-Transfer-Encoding: base64\r\n\r\n"


@dataclasses.dataclass
class Run:
    email: dict
    seconds: float  # of CPU
    memory: int  # octets, peak
    octets: int  # fed


def pieces(parts):
    """Joined to pieces that are worth a call."""
    held, n = [], 0
    for part in parts:
        held.append(part)
        n += len(part)
        if n >= PIECE:
            yield b"".join(held)
            held, n = [], 0
    yield b"".join(held)


def feed(pipe, parts, count):
    with pipe:
        for piece in pieces(parts):
            pipe.write(piece)
            count.append(len(piece))


# The kernel counts what was there before exec() too, and this process is large: a small one starts it.
STARTER = """
import json, os, sys
pid = os.posix_spawn(sys.argv[1], sys.argv[1:], os.environ)
_, status, used = os.wait4(pid, 0)
json.dump([os.waitstatus_to_exitcode(status), used.ru_utime + used.ru_stime, used.ru_maxrss << 10], sys.stderr)
"""


def run(parts):
    child = subprocess.Popen([sys.executable, "-ISc", STARTER, BINARY, "mime", "--json", "-"], stdin=subprocess.PIPE,
                             stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    count = []
    feeder = threading.Thread(target=feed, args=(child.stdin, parts, count))
    alarm = threading.Timer(LATE, child.kill)
    feeder.start()
    alarm.start()
    with child.stdout, child.stderr:
        said, used = child.stdout.read(), child.stderr.read()
    child.wait()
    alarm.cancel()
    feeder.join()
    code, seconds, memory = json.loads(used)
    assert code == 0
    lines = said.decode().splitlines()
    assert len(lines) == 1
    return Run(json.loads(lines[0])["email"], seconds, memory, sum(count))


def bounded(make, small, full):
    """make(n): pieces of a message of size n. What the message of the full size came to."""
    n = full if FULL else small
    one, two = run(make(n // 2)), run(make(n))
    print(f"{two.octets / MIB:.0f} MiB: {two.memory / MIB:.1f} MiB at most, {two.seconds:.2f} s of CPU; "
          f"half of it: {one.memory / MIB:.1f} MiB, {one.seconds:.2f} s")
    assert two.memory < MEMORY_MAX
    assert max(two.seconds, NOISE) < SLOWER_MAX * max(one.seconds, NOISE)
    assert two.email["status"] == "PARSE_DONE"
    return two


def events(email):
    return {a["event"] for p in email["parts"] for a in p.get("anomalies", [])}


def repeated(octets, n):
    """n octets of it, in pieces."""
    block = octets * (PIECE // len(octets) + 1)
    while n > 0:
        yield block[: min(n, len(block))]
        n -= len(block)


# ---- depth and number of parts ----


def test_M_019_nested_multiparts():
    def make(n):
        yield b"MIME-Version: 1.0\r\n"
        for i in range(n):
            yield b"Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d\r\n" % (i, i)
        yield b"\r\nthe innermost\r\n"

    email = bounded(make, 100_000, 100_000).email
    assert "mime_too_deep" in events(email)
    assert max(p["path"].count(".") for p in email["parts"]) >= 90


def test_M_019_M_027_nested_messages():
    def make(n):
        for _ in range(n):
            yield b"MIME-Version: 1.0\r\nContent-Type: message/rfc822\r\n\r\n"
        yield b"\r\nthe innermost\r\n"

    assert "mime_too_deep" in events(bounded(make, 100_000, 100_000).email)


def test_M_019_M_018_coded_in_coded():
    """Every level that is decoded is a fifth of the one that it is in."""

    def make(n):
        message = b"\r\nthe innermost\r\n" * (n // 1000)
        for _ in range(20):
            message = (b"MIME-Version: 1.0\r\nContent-Type: message/rfc822\r\nContent-Transfer-Encoding: base64\r\n\r\n"
                       + base64.encodebytes(message))
        yield message

    bounded(make, 400_000, 2_000_000)


@pytest.mark.parametrize("part", [b"--b\r\n\r\n", b"--b\r\n", b"--b\n\n"], ids=["empty", "no header end", "bare LF"])
def test_M_020_empty_parts(part):
    def make(n):
        yield MIXED
        yield from repeated(part, n * len(part))
        yield b"--b--\r\n"

    email = bounded(make, 1_000_000, 1_000_000).email
    assert "mime_too_many_parts" in events(email)
    assert len(email["parts"]) <= 1000 and len(email["parts"]) + email["parts_left_out"] <= 10_001


# ---- headers ----


@pytest.mark.parametrize(
    "line", [b"a", b"a\r\n ", b"a\r\n\t\r\n ", b"a\r\nX-Other: "], ids=["one line", "folds", "blank folds", "fields"]
)
def test_M_021_long_header(line):
    def make(n):
        yield b"Subject: "
        yield from repeated(line, n)
        yield b"\r\nContent-Type: text/html\r\n\r\nbody\r\n"

    email = bounded(make, 64 * MIB, 1024 * MIB).email
    assert events(email) & {"mime_long_header", "mime_too_many_fields"}
    assert email["parts"][0]["size"] == 6


def test_M_022_addresses():
    def make(n):
        yield b"To: a@b.example"
        for i in range(n):
            yield b",\r\n a%d@b.example" % i
        yield b"\r\n\r\nbody\r\n"

    email = bounded(make, 1_000_000, 1_000_000).email
    assert len(email["to"]) <= 1000


@pytest.mark.parametrize("parameter", [b"; p%d=v", b"; filename*%d=v", b"; filename*%d*=%%41", b";\r\n p%d=\"v\""],
                         ids=["plain", "sections", "percent", "folded"])
@pytest.mark.parametrize("field", [b"Content-Type: text/plain", b"Content-Disposition: attachment"],
                         ids=["type", "disposition"])
def test_M_023_parameters(field, parameter):
    def make(n):
        yield field
        for i in range(n):
            yield parameter % i
        yield b"\r\n\r\nbody\r\n"

    email = bounded(make, 200_000, 10_000_000).email
    assert events(email) & {"mime_long_header", "mime_too_many_parameters"}
    assert email["parts"][0]["size"] == 6


# ---- bodies ----


def test_M_016_M_039_one_base64_line():
    def make(n):
        yield BASE64
        yield from repeated(b"QUJD", n)

    done = bounded(make, 100 * MIB, 1024 * MIB)
    assert done.email["parts"][0]["size"] == (done.octets - len(BASE64)) // 4 * 3


@pytest.mark.parametrize("before", [b"\r\n", MIXED, MIXED + b"--b\r\n\r\n", BASE64],
                         ids=["text", "preamble", "part", "base64"])
@pytest.mark.parametrize("line", [b"\n", b"\r\n", b"\r", b"-\n", b"--\n", b"--b", b"=", b"begin 644 a\n"],
                         ids=["LF", "CRLF", "CR", "dash", "dashes", "delimiters", "equals", "begin"])
def test_M_039_lines(before, line):
    def make(n):
        yield before
        yield from repeated(line, n)

    size = 50 * MIB if line == b"\n" or FULL else 10 * MIB
    bounded(make, size, size)


def test_M_009_boundaries_that_begin_alike():
    """Every one of a hundred open multiparts has to be asked whether a line is its delimiter."""

    def make(n):
        yield b"MIME-Version: 1.0\r\n"
        for i in range(99):
            boundary = b"b" * (i + 1)
            yield b"Content-Type: multipart/mixed; boundary=%s\r\n\r\n--%s\r\n" % (boundary, boundary)
        yield b"\r\n"
        yield from repeated(b"--" + 200 * b"b" + b"c\r\n", n)

    bounded(make, 10 * MIB, 100 * MIB)


def test_urls():
    def make(n):
        yield b"MIME-Version: 1.0\r\nContent-Type: text/html\r\n\r\n<html>"
        for i in range(n):
            yield b"<a href='http://h%d.example/&amp;'>\n" % i

    email = bounded(make, 500_000, 5_000_000).email
    assert len(email["url"]) <= 1000 and email["url_left_out"] > 0


# ---- archives ----


def zipped(files):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for name, content in files:
            archive.writestr(name, content)
    return out.getvalue()


def attached(content, name):
    return BASE64.replace(b"\r\n\r\n", b"\r\nContent-Disposition: attachment; filename=%s\r\n\r\n" % name.encode()) + (
        base64.encodebytes(content))


def test_M_034_zip_of_zips():
    """As 42.zip: every level has sixteen of the one below."""
    inner = zipped([("0.dll", bytes(10 * MIB))])
    for level in range(4):
        inner = zipped([(f"{level}-{i}.zip", inner) for i in range(16)])
    done = run([attached(inner, "42.zip")])
    print(f"{done.memory / MIB:.1f} MiB at most, {done.seconds:.2f} s of CPU")
    part = done.email["parts"][0]
    assert done.memory < MEMORY_MAX and done.seconds < 2
    assert part["detected_type"] == "application/zip"
    assert [m["name"] for m in part["members"]] == [f"3-{i}.zip" for i in range(16)]


def test_M_034_zip_bomb():
    done = run([attached(zipped([("zeros", bytes(150 * MIB))]), "bomb.zip")])
    print(f"{done.memory / MIB:.1f} MiB at most, {done.seconds:.2f} s of CPU")
    assert done.email["parts"][0].get("bomb") is True
    assert done.memory < MEMORY_MAX and done.seconds < 2


def test_M_034_gzip_bomb():
    """A thousand to one, and a tar in it that nobody may unpack."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        entry = tarfile.TarInfo("zeros")
        entry.size = 200 * MIB
        archive.addfile(entry, io.BytesIO(bytes(entry.size)))
    done = run([attached(gzip.compress(out.getvalue()), "bomb.tar.gz")])
    print(f"{done.memory / MIB:.1f} MiB at most, {done.seconds:.2f} s of CPU")
    assert done.email["parts"][0].get("bomb") is True
    assert done.memory < MEMORY_MAX and done.seconds < 2


def test_M_034_overlapping_zip():
    """Every entry of the central directory is the same member."""
    one = zipped([("zeros", bytes(MIB))])
    start = one.index(b"PK\x01\x02")
    end = one.index(b"PK\x05\x06")
    entry, count = one[start:end], 20_000
    directory = b"".join(entry.replace(b"zeros", b"%05d" % i) for i in range(count))
    tail = bytearray(one[end:])
    tail[8:12] = count.to_bytes(2, "little") * 2
    tail[12:16] = len(directory).to_bytes(4, "little")
    done = run([attached(one[:start] + directory + bytes(tail), "overlap.zip")])
    print(f"{done.memory / MIB:.1f} MiB at most, {done.seconds:.2f} s of CPU")
    part = done.email["parts"][0]
    assert part.get("bomb") or part.get("ambiguous"), part
    assert len(part["members"]) <= 1000 and part["members_left_out"] > 0
    assert done.memory < MEMORY_MAX and done.seconds < 2


def test_many_archives():
    """The readers of archives are bounded by what one message may have."""
    small = zipped([("a.txt", b"a")])

    def make(n):
        yield MIXED
        for i in range(n):
            yield b"--b\r\n" + attached(small, f"{i}.zip") + b"\r\n"

    bounded(make, 5000, 9000)


def test_time_of_a_process_alone():
    """What the numbers above include."""
    start = time.monotonic()
    done = run([b"\r\n"])
    print(f"{done.memory / MIB:.1f} MiB, {time.monotonic() - start:.3f} s")
    assert done.memory < MEMORY_MAX
