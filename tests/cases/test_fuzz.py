"""Foreign streams as inputs of the dialogue's fuzz harness: the same events whole and in pieces."""

import os
import re
import struct
import subprocess

import pytest

import capture
from conftest import cases_folder
from formats import Curl, Ron
from gate import TOP
from make_corpus import smtp_records
from test_captures import oracle_cases
from test_replies import CURLS, RONS
from test_smuggling import VARIANTS, client_stream

CASES = cases_folder()
GREETING, OK = b"220 server.example ESMTP\r\n", b"250 2.0.0 ok\r\n"
HARNESSES = os.environ.get("REPLAY", "build/replay/fuzz_smtp build/san/replay/fuzz_smtp").split()


def captures():
    """The turns of every SMTP session that was captured, both sides as they followed each other."""
    for path, port in {(c.path, int(c.facts["server"].rsplit(":", 1)[1])) for c in oracle_cases()}:
        for n, stream in enumerate(capture.streams(CASES / path, {port})):
            turns = [("C" if from_client else "S", octets) for from_client, octets in stream.turns]
            yield f"{path}-{n}", turns


def seeds():
    """profuzzbench's: client streams, plain or as packets with their length; a server is invented."""
    for path in sorted((CASES / "fuzz/profuzzbench/SMTP").rglob("*.raw")):
        octets, lines = path.read_bytes(), []
        if "replay" in path.parent.name:
            while octets:
                size = struct.unpack_from("<I", octets)[0]
                lines.append(octets[4 : 4 + size])
                octets = octets[4 + size :]
        else:
            lines = octets.splitlines(keepends=True)
        yield f"{path.parent.name}-{path.name}", [("S", GREETING)] + [
            turn for line in lines for turn in (("C", line), ("S", OK))]


def attacks():
    for name, variant in VARIANTS.items():
        head, body = client_stream(variant).split(b"DATA\r\n", 1)
        yield name, [("S", GREETING), ("C", head), ("S", 3 * OK), ("C", b"DATA\r\n"),
                     ("S", b"354 go on\r\n"), ("C", body), ("S", OK + b"221 bye\r\n")]


def servers():
    """What odd servers say, in the order of an ordinary session."""
    lines = [b"EHLO c.example", b"STARTTLS", b"AUTH PLAIN", b"AAAA", b"MAIL FROM:<a@b.example>", b"VRFY a", b"QUIT"]
    cases = [(str(p), Ron(p.read_text())) for p in RONS]
    cases += [(str(n), Curl(n, (CASES / f"dialogues/curl/test{n}.xmlish").read_text("latin-1"))) for n in CURLS]
    for name, case in cases:
        said = {verb: reply if isinstance(reply, list) else [reply] for verb, reply in case.replies.items()}
        turns = [("S", b"".join(said.get("GREETING", [GREETING])))]
        for line in getattr(case, "lines", None) or lines:
            turns.append(("C", line + b"\r\n"))
            verb = line.split(b" ")[0].decode("latin-1").upper()
            turns.append(("S", said[verb].pop(0) if said.get(verb) else OK))
        yield name, turns


def write_inputs(folder):
    """Every stream with the harness's default options, with its small limits, and with lenient paths."""
    count = 0
    for source in (captures, seeds, attacks, servers):
        for _, turns in source():
            for options in (0, 1, 2):
                (folder / f"{source.__name__}-{count}").write_bytes(bytes([options, 0]) + smtp_records(turns))
                count += 1
    return count


@pytest.mark.parametrize("harness", HARNESSES)
def test_foreign_streams(harness, tmp_path):
    assert write_inputs(tmp_path) > 300
    done = subprocess.run([TOP / harness, tmp_path], capture_output=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr.decode(errors="replace")[-2000:]


# ---- messages ----

DECODERS = ["base64", "param", "qp", "tnef", "urls", "uu", "word", "zip", "tar", "gzip"]
INPUT_MAX = 1 << 16  # octets; fuzz_mime takes no more
TOKEN = re.compile(r'"((?:[^"\\]|\\.)*)"')


def unescaped(token):
    return token.encode("latin-1").decode("unicode_escape").encode("latin-1")


def tokens():
    """Dovecot's dictionaries: their words one behind the other, as fields and as a body."""
    for path in sorted((CASES / "fuzz/dovecot").glob("*.dict")):
        words = [unescaped(w) for w in TOKEN.findall(path.read_text("latin-1"))]
        for n in range(len(words)):
            turned = words[n:] + words[:n]
            yield b"".join(turned), b"\r\n".join(turned) + b"\r\n\r\n" + b"\r\n".join(words)


def write_messages(folder, prefix):
    count = 0
    for path in sorted((CASES / "mime").rglob("*")):
        if path.is_file():
            (folder / f"message-{count}").write_bytes(prefix + path.read_bytes()[: INPUT_MAX - 2])
            count += 1
    for pair in tokens():
        for octets in pair:
            (folder / f"tokens-{count}").write_bytes(prefix + octets[: INPUT_MAX - 2])
            count += 1
    return count


def replay_all(harness, folder):
    done = subprocess.run([TOP / harness, folder], capture_output=True, timeout=400, check=False)
    assert done.returncode == 0, (done.stdout[-200:] + done.stderr[-2000:]).decode(errors="replace")


# options, and octets of a piece: as they are, and with small limits
@pytest.mark.parametrize("prefix", [b"\0\7", b"\1\1"], ids=["default", "small limits"])
@pytest.mark.parametrize("build", ["build", "build/san"])
def test_messages(build, prefix, tmp_path):
    assert write_messages(tmp_path, prefix) > 1600
    replay_all(f"{build}/replay/fuzz_mime", tmp_path)


@pytest.mark.parametrize("name", DECODERS)
def test_messages_to_decoders(name, tmp_path):
    assert write_messages(tmp_path, b"\5") > 1600
    replay_all(f"build/san/replay/fuzz_{name}", tmp_path)
