#!/usr/bin/python3
"""Compares what make has built with what others do: bench.py BUILD WHAT (mime).

Rounds are interleaved, so that whatever else the machine does meets all alike; what is shown is the
median, and how far apart the slowest and the fastest were.
"""

import argparse
import base64
import pathlib
import random
import statistics
import subprocess

ROUNDS = 7
SECONDS = 1  # of each measurement
MESSAGE = 50_000_000  # octets, about


def write_message(path):
    """A text and an attachment in base64, as mail programs write them."""
    octets = random.Random(7).randbytes(MESSAGE // 78 * 57)
    path.write_bytes(
        b"From: a@client.example\r\nTo: b@server.example\r\nSubject: =?utf-8?q?t=C3=A9st?=\r\n"
        b"Date: Mon, 1 Jan 2024 00:00:00 +0000\r\nMessage-ID: <1@client.example>\r\nMIME-Version: 1.0\r\n"
        b'Content-Type: multipart/mixed; boundary="outer"\r\n\r\n--outer\r\n'
        b"Content-Type: text/plain; charset=utf-8\r\n\r\nhello\r\n--outer\r\n"
        b'Content-Type: application/octet-stream; name="a.bin"\r\nContent-Transfer-Encoding: base64\r\n'
        b'Content-Disposition: attachment; filename="a.bin"\r\n\r\n'
        + base64.encodebytes(octets).replace(b"\n", b"\r\n") + b"--outer--\r\n")


def output_of(argv):
    return subprocess.run(argv, check=True, capture_output=True, text=True, timeout=300).stdout


def parsed(program, message, work):
    """MB/s, and what it found."""
    speed, *found = output_of([program, message, str(SECONDS), work]).split()
    return float(speed), tuple(found)


def sha256_speed():
    """openssl speed's last line: the digest, and thousands of octets a second."""
    text = output_of(["openssl", "speed", "-seconds", str(SECONDS), "-bytes", "16384", "-evp", "sha256"])
    return float(text.splitlines()[-1].split()[-1].rstrip("k")) / 1000, None


def mime(build):
    message = build / "bench" / "mime.eml"
    write_message(message)
    ours, gmime = build / "bench" / "bench_mime", build / "bench" / "gmime"
    runs = {
        "GMime 3, tree": lambda: parsed(gmime, message, "tree"),
        "Postern, tree": lambda: parsed(ours, message, "tree"),
        "GMime 3, tree and SHA-256": lambda: parsed(gmime, message, "sha256"),
        "Postern, tree and SHA-256": lambda: parsed(ours, message, "sha256"),
        "Postern, all that is recorded": lambda: parsed(ours, message, "all"),
        "openssl speed sha256": sha256_speed,
    }
    against = {
        "Postern, tree": "GMime 3, tree",
        "Postern, tree and SHA-256": "GMime 3, tree and SHA-256",
        "Postern, all that is recorded": "GMime 3, tree and SHA-256",
    }
    print(f"a message of {message.stat().st_size / 1e6:.0f} MB with an attachment in base64, {ROUNDS} rounds")
    return runs, against


def compare(runs, against):
    speeds, found = {name: [] for name in runs}, set()
    for _ in range(ROUNDS):
        for name, measure in runs.items():
            speed, what = measure()
            speeds[name].append(speed)
            found.add(what)
    if len(found - {None}) != 1:
        raise SystemExit(f"they did not do the same work: {found}")
    middle = {name: statistics.median(each) for name, each in speeds.items()}
    for name, each in speeds.items():
        line = f"{name:32} {middle[name]:8.0f} MB/s  {min(each):8.0f} to {max(each):.0f}"
        if name in against:
            line += f"  {middle[name] / middle[against[name]]:.1f} times {against[name]}"
        print(line)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("build", type=pathlib.Path)
    parser.add_argument("what", choices=["mime"])
    options = parser.parse_args()
    compare(*{"mime": mime}[options.what](options.build))


if __name__ == "__main__":
    main()
