"""
The same sessions with their packets in another order, twice, cut anew, or missing: the same records, or a
gap that is named, and never other octets. SECURITY cases X-002, X-003.
"""

import random

import pytest

import packets as P
import shuffle
import talks

SEEDS = range(3)


def sessions(together):
    """IP packets of one session of each protocol, one behind the other or interleaved."""
    made = [[packet for _, packet in talk.packets] for talk in (
        talks.mail(acks=False), talks.pop3(acks=False), talks.imap(acks=False), talks.ftp(acks=False),
        talks.ftp(way="PORT", upload=True, sport=40010, data_port=50002, acks=False),
        talks.mail(talks.V6, subject="by six", acks=False))]
    if not together:
        return [p for packets in made for p in packets]
    draw, out = random.Random(5), []
    while any(made):
        packets = draw.choice([m for m in made if m])
        out.append(packets.pop(0))
    return out


def capture(packets):
    return P.pcap(packets, link=101)


@pytest.fixture(scope="module")
def straight():
    return {}


def wanted(read, straight, together):
    """The records of the capture as it is."""
    key = (read.binary, together)
    if key not in straight:
        straight[key] = read(capture(sessions(together))).records
        assert shuffle.whole_files(straight[key]) and not shuffle.breaks(straight[key])
    return straight[key]


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("together", [False, True], ids=["apart", "interleaved"])
@pytest.mark.parametrize("how", shuffle.HARMLESS)
def test_what_a_receiver_puts_in_order_again(read, straight, how, together, seed):
    packets = shuffle.HARMLESS[how](sessions(together), random.Random(seed))
    assert packets != sessions(together)
    said = read(capture(packets))
    assert shuffle.facts(said.records) == shuffle.facts(wanted(read, straight, together))


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("together", [False, True], ids=["apart", "interleaved"])
@pytest.mark.parametrize("how", shuffle.HARMFUL)
def test_what_nobody_can_X_003(read, straight, how, together, seed):
    packets = shuffle.HARMFUL[how](sessions(together), random.Random(seed))
    said = read(capture(packets))
    ours, theirs = shuffle.whole_files(said.records), shuffle.whole_files(wanted(read, straight, together))
    assert ours <= theirs, "other octets than those that were said"
    if ours != theirs:
        assert shuffle.breaks(said.records)


@pytest.mark.parametrize("seed", SEEDS)
def test_octets_that_were_changed_X_002(read, straight, seed):
    """Retransmissions with other octets: what came first stays, and it is said."""
    draw, out = random.Random(seed), []
    for packet in sessions(False):
        out.append(packet)
        one = shuffle.Segment(packet)
        if one.plain and draw.random() < 0.3:
            one.payload = draw.randbytes(len(one.payload))
            out.append(one.part(0, len(one.payload)))
    said = read(capture(out))
    assert shuffle.whole_files(said.records) == shuffle.whole_files(wanted(read, straight, False))
    assert shuffle.breaks(said.records)
