"""Captures with faults that must not spread: to records of other sessions, to their times, to what is said of them."""

import packets as P
import talks
from talks import FILE_SHA256

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
