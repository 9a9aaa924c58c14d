"""
The streams that analyzers/tcp puts together, octet for octet beside tcpflow's of the same capture: a second
opinion of what stands ahead of every parser. Where both differ, it is a difference that is named here.
SECURITY cases X-001 to X-003.
"""

import random

import pytest

import packets as P
import shuffle
import streams
import talks
from test_shuffle import SEEDS, sessions

# Link layers of which tcpflow takes something else, or nothing, and why.
OTHERWISE = {
    "padded": "it takes the padding of short frames for octets of their streams",
    "802.3 with SNAP": "not understood by it",
    "mpls": "not understood by it",
    "mpls stack": "not understood by it",
    "pppoe": "not understood by it",
    "pppoe in a vlan": "not understood by it",
    "null of another order": "not understood by it",
    "loop": "not understood by it: it ends",
    "cooked v2": "not understood by it: it ends",
}


def capture(tmp_path, packets, link="ethernet"):
    number, wrap = P.LINKS[link]
    path = tmp_path / f"{len(packets)}.pcap"
    path.write_bytes(P.pcap([wrap(packet) for packet in packets], number))
    return path


def compare(tmp_path, packets, link="ethernet"):
    return streams.differences(capture(tmp_path, packets, link), tmp_path)


def packets_of(talk):
    return [packet for _, packet in talk.packets]


@pytest.mark.parametrize("hosts", [talks.V4, talks.V6], ids=["v4", "v6"])
@pytest.mark.parametrize("protocol", talks.ALL)
def test_of_each_protocol(tmp_path, protocol, hosts):
    found, odd, same = compare(tmp_path, packets_of(talks.ALL[protocol](hosts)))
    assert not found and not any(odd.values())
    assert same == (3 if protocol == "ftp" else 2)


@pytest.mark.parametrize("link", [link for link in P.LINKS if link not in OTHERWISE])
def test_in_each_link_layer_X_001(tmp_path, link):
    found, _, same = compare(tmp_path, packets_of(talks.ftp()), link)
    assert not found and same == 3


@pytest.mark.parametrize("link", OTHERWISE)
def test_in_link_layers_that_it_takes_otherwise(tmp_path, link):
    """Each exception has to be one still."""
    try:
        found, _, same = compare(tmp_path, packets_of(talks.ftp(acks=True)), link)
    except AssertionError as ended:
        assert "unknown datalink type" in str(ended)
    else:
        assert found and same < 3


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("together", [False, True], ids=["apart", "interleaved"])
@pytest.mark.parametrize("how", shuffle.HARMLESS)
def test_what_a_receiver_puts_in_order_again(tmp_path, how, together, seed):
    found, _, same = compare(tmp_path, shuffle.HARMLESS[how](sessions(together), random.Random(seed)))
    assert not found and same == 14


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("together", [False, True], ids=["apart", "interleaved"])
@pytest.mark.parametrize("how", shuffle.HARMFUL)
def test_what_nobody_can_X_003(tmp_path, how, together, seed):
    found, odd, _ = compare(tmp_path, shuffle.HARMFUL[how](sessions(together), random.Random(seed)))
    assert not streams.unexcused(found, odd)


def test_of_two_copies_the_first_stays_X_002(tmp_path):
    packets = packets_of(talks.mail(acks=False))
    at = next(i for i, packet in enumerate(packets) if b"RCPT TO:<otto" in packet)
    one = shuffle.Segment(packets[at])
    one.payload = one.payload.replace(b"otto", b"emma")
    packets.insert(at + 1, one.part(0, len(one.payload)))
    found, odd, same = compare(tmp_path, packets)
    assert same == 1 and len(found) == 1
    (ends, ((they,), (we,))), = found.items()
    assert "conflict" in odd[ends]
    assert we.replace(b"<otto@", b"<emma@") == they and b"<otto@" in we


def test_ports_that_are_used_again(tmp_path):
    """Two connections of the same ends are two; tcpflow has the octets of the first alone."""
    again = talks.mail(subject="the second", acks=False, isn=(900_000, 700_000))
    first = packets_of(talks.mail(acks=False))
    alone, _ = streams.ours(capture(tmp_path, first), tmp_path / "first")
    found, odd, _ = compare(tmp_path, first + packets_of(again))
    assert len(found) == 2 and not any(odd.values())
    for ends, (they, we) in found.items():
        assert they == alone[ends] == we[:1] and len(we) == 2
