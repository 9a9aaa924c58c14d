"""Captures with faults that must not spread: to records of other sessions, to their times, to what is said of them."""

import os
import signal
import subprocess
import time

import pytest

import packets as P
import talks
from talks import FILE, FILE_SHA256

YEAR_US = 365 * 86400 * 1_000_000


def at_times(frames):
    return P.pcap_header() + b"".join(P.pcap_record(frame, at) for frame, at in frames)


def in_turn(talk, step=1000):
    return [(frame, P.BEGAN + i * step) for i, frame in enumerate(P.frames_of(talk))]


# ---- times ----


def test_one_damaged_time_misdates_no_record_X_006(read):
    """Nor does it make the others idle, which are evicted by the clock."""
    frames = in_turn(talks.mail(sport=40001))
    middle = len(frames) // 2
    frames[middle] = (frames[middle][0], frames[middle][1] + 10 * YEAR_US)
    said = read(at_times(frames))
    assert said.digests() == [FILE_SHA256]
    assert not said.of("anomaly"), said.of("anomaly")
    assert all(r["timestamp"].startswith("2023-11-14T") for r in said.records), said.records
    assert said.of("flow")[0]["flow"]["duration_ms"] < 60_000


def test_a_silence_is_believed_X_006(read):
    """Two sessions, hours apart: each has its own time, from its first packet on."""
    later = [(frame, at + 5 * 3600 * 1_000_000) for frame, at in in_turn(talks.mail(sport=40002))]
    said = read(at_times(in_turn(talks.mail(sport=40001)) + later))
    assert said.digests() == [FILE_SHA256] * 2
    starts = [r["flow"]["start"][:13] for r in said.of("flow")]
    assert starts == ["2023-11-14T22", "2023-11-15T03"]
    assert sorted(r["timestamp"][:13] for r in said.of("smtp")) == starts


# ---- FTP: what becomes of data when its session is over ----


def ftp_left(how, content, data_after=True):
    """A download whose control connection ends in the middle of it, by FINs or a reset, ahead of a 226."""
    control = talks.talk(talks.V4, 40004, 21)
    control.s(b"220 files\r\n").c(b"USER anna\r\n").s(b"230 in\r\n").c(b"EPSV\r\n")
    control.s(b"229 Extended Passive Mode (|||50001|)\r\n").c(b"RETR file.bin\r\n").s(b"150 here it comes\r\n")
    data = P.Talk((talks.V4["client"], 41004), (talks.V4["server"], 50001))
    half = len(content) // 2
    data.s(content[:half])
    begun = len(data.packets)
    if how == "226":
        control.s(b"226 done\r\n")
    control.reset() if how == "reset" else control.end()
    data.s(content[half:]).segment(False, P.FIN | P.ACK).segment(True, P.FIN | P.ACK)
    packets = control.packets[:]
    cut = len(packets) - (1 if how == "reset" else 3)
    rest = data.packets[begun:] if data_after else []
    return [P.ethernet(p) for _, p in packets[:cut] + data.packets[:begun] + packets[cut:] + rest]


@pytest.mark.parametrize("how", ["226", "fin", "reset"])
def test_data_that_outlives_its_session(read, how):
    said = read(P.pcap(ftp_left(how, FILE)))
    assert said.digests() == [FILE_SHA256], said.records
    record, = said.of("ftp_data")
    assert record["ftp_data"]["octets_out"] == len(FILE)
    assert record["ftp_data"]["outcome"] == ("complete" if how == "226" else "cut")
    assert [r["event_type"] for r in said.records[-1:]] == ["flow"]


@pytest.mark.parametrize("how", ["226", "fin", "reset"])
def test_data_that_the_capture_ends_within(read, how):
    """Nothing of it is lost, and it says why it is not whole."""
    said = read(P.pcap(ftp_left(how, FILE, data_after=False)))
    record, = said.of("ftp_data")
    assert record["ftp_data"]["octets_out"] == len(FILE) // 2
    assert record["ftp_data"]["outcome"] == "cut" and record["ftp_data"]["reason"] == "capture_end"
    assert len(said.of("flow")) == 1


# ---- what is said of the capture itself ----


def counts(said):
    return {a["event"]: a["count"] for a in said.anomalies("decode") if "count" in a}


@pytest.mark.parametrize("cut", [P.fragments4, P.fragments6], ids=["v4", "v6"])
def test_fragments_that_never_became_whole_are_counted_X_006(read, cut):
    hosts = talks.V4 if cut is P.fragments4 else talks.V6
    frames = P.frames_of(talks.mail(hosts))
    packet = talks.mail(hosts, sport=40002).packets[3][1]
    early, late = ([P.ethernet(f) for f in cut(packet, 16, ident)[:-1]] for ident in (78, 79))
    began = [(f, P.BEGAN) for f in early]
    session = [(f, P.BEGAN + 60_000_000 + i * 1000) for i, f in enumerate(frames)]
    said = read(at_times(began + session + [(f, session[-1][1]) for f in late]))
    assert said.digests() == [FILE_SHA256]
    assert counts(said) == {"fragments_lost": 2}


def test_bad_frames_hide_no_damage_of_the_file_X_001(read):
    """Of frames only so many are named, and the others are counted."""
    frames = P.frames_of(talks.mail())
    octets = P.pcap(frames + [P.ethernet(b"\x45\0")] * 150) + P.pcap_record(b"", P.BEGAN, captured=2**30)
    said = read(octets, code=1)
    named = [a for a in said.anomalies("decode") if a["event"] == "packet_malformed"]
    assert [a["packet"] for a in named] == list(range(len(frames) + 1, len(frames) + 101))
    damage, = [a for a in said.anomalies("decode") if a["event"] == "capture_damaged"]
    assert damage["packet"] == len(frames) + 151
    assert counts(said) == {"more_frames_malformed": 50}


def test_segments_that_are_not_taken_are_counted(read):
    frames = P.frames_of(talks.mail())
    bad = bytearray(frames[5])
    bad[14 + 20 + 16] ^= 0xFF
    octets = P.pcap(frames[:5] + [bytes(bad)] + frames[5:])
    assert counts(read(octets)) == {}
    said = read("--checksums", octets)
    assert said.digests() == [FILE_SHA256]
    assert counts(said) == {"segment_checksum": 1}


# ---- memory ----


def peak_mib(read, octets, *options):
    """The most that a run had, and its records."""
    path = read.file(octets)
    with (read.folder / "out").open("wb") as out:
        child = subprocess.Popen([read.binary, "read", *options, path], stdout=out)
        _, status, usage = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
    assert child.returncode == 0
    return usage.ru_maxrss / 1024, (read.folder / "out").read_bytes().count(b'"event_type":"flow"')


def open_mails(n):
    """So many sessions, each in the middle of its message."""
    frames = []
    for i in range(n):
        t = P.Talk((f"10.0.{i >> 8}.{i & 255}", 40000), ("192.0.2.25", 25), acks=False)
        t.s(b"220 mx ESMTP\r\n").c(b"EHLO x\r\n").s(b"250 mx\r\n").c(b"MAIL FROM:<a@b.example>\r\n").s(b"250 ok\r\n")
        t.c(b"RCPT TO:<a@b.example>\r\n").s(b"250 ok\r\n").c(b"DATA\r\n").s(b"354 go on\r\n")
        frames += P.frames_of(t.c(b"From: a@b.example\r\n\r\nhello\r\n"))
    return P.pcap(frames, step=10)


def test_sessions_count_as_memory(measured):
    """What gates have of their sessions is bounded by --memory, too: whoever is silent longest goes."""
    few, flows = peak_mib(measured, open_mails(8), "--memory", "32")
    assert flows == 8
    many, flows = peak_mib(measured, open_mails(4000), "--memory", "32")
    assert flows == 4000
    assert many - few < 3 * 32, (few, many)


# ---- peers that do not keep to the rules ----


def test_a_server_whose_lines_end_in_LF_alone(read):
    t = talks.talk(talks.V4, 40001, 25)
    t.s(b"220 mx\n").c(b"EHLO x\r\n").s(b"250-mx\n250 SIZE\n").c(b"MAIL FROM:<a@b.example>\r\n").s(b"250 ok\n")
    t.c(b"RCPT TO:<c@d.example>\r\n").s(b"250 ok\n").c(b"DATA\r\n").s(b"354 go on\n")
    t.c(talks.message() + b".\r\n").s(b"250 ok\n").c(b"QUIT\r\n").s(b"221 bye\n").end()
    said = read(P.pcap(P.frames_of(t)))
    assert said.digests() == [FILE_SHA256]
    assert said.of("smtp")[0]["smtp"]["state"] == "accepted"
    anomaly, = said.of("anomaly")
    assert (anomaly["direction"], anomaly["anomaly"]["event"]) == ("to_client", "bare_lf")
    assert anomaly["anomaly"]["offset"] == 0


# ---- files, many and slow ones ----


def test_many_files_share_their_buffers(measured):
    """Pieces of one night are read with about the memory that one of them takes."""
    filler = [P.ethernet(bytes(1400), kind=0x88CC)] * 1000
    octets = P.pcap(P.frames_of(talks.mail()) + filler)
    one, flows = peak_mib(measured, octets)
    assert flows == 1
    many, flows = peak_mib(measured, octets, *[measured.file(octets)] * 99)
    assert flows == 1  # the others are the same packets once more
    assert many - one < 45, (one, many)


def test_standard_input_is_read_once(read):
    said = read("-", "-", stdin=P.pcap(P.frames_of(talks.mail())), code=2)
    assert len(said.messages) == 1 and said.records == []


def test_a_pipe_that_says_nothing_more_can_be_left(read):
    """SIGTERM ends a run that waits for its input: records of what there was, and no damage."""
    octets = P.pcap(P.frames_of(talks.mail())[:-3])
    child = subprocess.Popen([read.binary, "read", "-"], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                             stderr=subprocess.PIPE)
    child.stdin.write(octets)
    child.stdin.flush()
    time.sleep(1)  # by then it waits in read(2)
    child.send_signal(signal.SIGTERM)
    try:
        code = child.wait(30)  # its records fit into a pipe
    finally:
        child.kill()
    out, err = child.stdout.read(), child.stderr.read()
    for stream in (child.stdin, child.stdout, child.stderr):
        stream.close()
    assert (code, err) == (0, b"")
    assert FILE_SHA256.encode() in out and b"capture_damaged" not in out


# ---- a beginning that the capture lost behind the handshake ----


def without_first(talk, from_client):
    """The first octets of one side are not in the capture."""
    lost = next(i for i, (side, p) in enumerate(talk.packets) if side == from_client and len(p) > 40 and p[33] & P.PSH)
    return P.pcap([P.ethernet(p) for i, (_, p) in enumerate(talk.packets) if i != lost])


@pytest.mark.parametrize("protocol", talks.ALL)
def test_a_greeting_that_is_lost_shifts_no_reply_X_003(read, protocol):
    said = read(without_first(talks.ALL[protocol](), False))
    events = [a["event"] for a in said.anomalies("stream")]
    assert events[:2] == ["stream_gap", "midstream"], said.of("anomaly")
    assert not said.anomalies("applayer"), said.of("anomaly")
    if protocol != "imap":  # tags without a digit may be text of a message
        assert said.digests() == [FILE_SHA256]
    if protocol == "ftp":
        replies = {r["ftp"]["command"]: r["ftp"]["completion_code"] for r in said.of("ftp") if "command" in r["ftp"]}
        assert replies == {"USER": ["331"], "PASS": ["230"], "TYPE": ["200"], "EPSV": ["229"],
                           "RETR": ["150", "226"], "QUIT": ["221"]}
