"""
postern read of captures made here: both formats, every link layer, fragments, extension headers, damage.
SECURITY cases X-001 to X-006; FIELD row L11.
"""

import struct

import pytest

import packets as P
import shuffle
import talks
from talks import FILE, FILE_SHA256, V4, V6

PROTOCOLS = list(talks.ALL)
HOSTS = {"v4": V4, "v6": V6}


def found(said, protocol, n=1):
    """The session of talks.ALL was understood: its file, its message, no complaint."""
    assert said.digests() == [FILE_SHA256] * n, said.records
    kinds = {"smtp": "smtp", "pop3": "email", "imap": "email", "ftp": "ftp_data"}
    records = said.of(kinds[protocol])
    assert len(records) == n
    if protocol != "ftp":
        assert all("file.bin" in r["email"]["attachment"] for r in records)
    assert not said.of("anomaly"), said.of("anomaly")
    flows = [r for r in said.of("flow") if r["app_proto"] == protocol]
    assert len(flows) == n and not any(f["flow"]["opaque"] for f in flows)


# ---- formats and link layers ----


@pytest.mark.parametrize("hosts", HOSTS.values(), ids=HOSTS.keys())
@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_each_protocol_L11(read, protocol, hosts):
    said = read(P.pcap(P.frames_of(talks.ALL[protocol](hosts))))
    found(said, protocol)
    assert {(r["src_ip"], r["dest_ip"]) for r in said.records} == {(hosts["client"], hosts["server"])}


@pytest.mark.parametrize("hosts", HOSTS.values(), ids=HOSTS.keys())
@pytest.mark.parametrize("link", P.LINKS)
def test_each_link_layer(read, link, hosts):
    talk = talks.mail(hosts)
    found(read(P.pcap(P.frames_of(talk, link), P.LINKS[link][0])), "smtp")
    found(read(P.pcapng(P.frames_of(talk, link), (P.LINKS[link][0],))), "smtp")


@pytest.mark.parametrize("order", ["<", ">"], ids=["little", "big"])
@pytest.mark.parametrize("nano", [False, True], ids=["micro", "nano"])
def test_orders_and_resolutions_X_001(read, order, nano):
    said = read(P.pcap(P.frames_of(talks.mail()), order=order, nano=nano))
    found(said, "smtp")
    assert all(r["timestamp"].startswith("2023-11-14T22:13:20.") for r in said.records), said.records


@pytest.mark.parametrize("order", ["<", ">"], ids=["little", "big"])
@pytest.mark.parametrize("resolution", [None, 3, 6, 9])
def test_pcapng_orders_and_resolutions_X_001(read, order, resolution):
    said = read(P.pcapng(P.frames_of(talks.mail()), order=order, resolution=resolution))
    found(said, "smtp")
    assert all(r["timestamp"].startswith("2023-11-14T22:13:20.") for r in said.records), said.records


def test_times_are_those_of_the_packets(read):
    talk = talks.mail()
    said = read(P.pcap(P.frames_of(talk), step=250_000))
    flow = said.of("flow")[0]["flow"]
    assert flow["start"].startswith("2023-11-14T22:13:20.0"), flow
    # from the client's last handshake packet on; it is over with the reply to QUIT, ahead of both FINs
    assert abs(flow["duration_ms"] - 250 * (len(talk.packets) - 4)) <= 750, flow
    times = [r["timestamp"] for r in said.records]
    assert times == sorted(times)


def test_interfaces_of_one_link_X_001(read):
    """Each packet of a session comes by another one."""
    frames = P.frames_of(talks.mail())
    found(read(P.pcapng([(i % 5, frame) for i, frame in enumerate(frames)], (1,) * 5)), "smtp")


def test_interfaces_of_different_links_X_001(read):
    """libpcap reads files of one link layer: what comes ahead of another one is read, and it is said."""
    frames = P.frames_of(talks.mail())
    octets = P.pcapng(frames) + P.interface(101) + P.enhanced(talks.mail().packets[0][1], P.BEGAN, device=1)
    said = read(octets, code=1)
    assert said.digests() == [FILE_SHA256]
    damaged(said, len(frames) + 1)
    assert len(said.messages) == 1 and "type" in said.messages[0]


@pytest.mark.parametrize("order", ["<", ">"])
def test_sections_one_behind_another(read, order):
    first, second = talks.mail(sport=40001), talks.mail(sport=40002)
    found(read(P.pcapng(P.frames_of(first), order=order) + P.pcapng(P.frames_of(second), order=order)), "smtp", 2)


def test_a_link_layer_that_is_not_understood(read):
    said = read(P.pcap([b"\x80\0" * 20], link=105), code=1)
    assert len(said.messages) == 1 and "105" in said.messages[0] or "802_11" in said.messages[0], said.messages


def test_what_is_no_ip_is_passed_over(read):
    frames = P.frames_of(talks.mail())
    arp = P.ethernet(b"\0\1\x08\0\x06\x04\0\1" + bytes(20), kind=0x0806)
    lldp = P.ethernet(bytes(40), kind=0x88CC)
    mixed = [f for frame in frames for f in (arp, frame, lldp)]
    found(read(P.pcap(mixed)), "smtp")


# ---- IP ----


@pytest.mark.parametrize("how", ["in order", "backwards", "twice"])
@pytest.mark.parametrize("v6", [False, True], ids=["v4", "v6"])
def test_fragments(read, v6, how):
    cut = P.fragments6 if v6 else P.fragments4
    frames = []
    for i, (_, packet) in enumerate(talks.mail(V6 if v6 else V4).packets):
        pieces = cut(packet, 160, ident=i + 1) if len(packet) > 200 else [packet]
        if how == "backwards":
            pieces = pieces[::-1]
        elif how == "twice" and len(pieces) > 1:
            pieces = [p for p in pieces for _ in (0, 1)]
        frames += map(P.ethernet, pieces)
    found(read(P.pcap(frames)), "smtp")


def test_extension_headers(read):
    hop, destination, route = (0, b"\x01\x04" + bytes(4)), (60, b"\x01\x04" + bytes(4)), (43, bytes(6))
    frames = []
    for _, packet in talks.mail(V6).packets:
        frames.append(P.ethernet(P.ipv6(V6["client"] if packet[8:24] == P.packed(V6["client"]) else V6["server"],
                                        V6["server"] if packet[8:24] == P.packed(V6["client"]) else V6["client"],
                                        packet[40:], extensions=(hop, destination, route))))
    found(read(P.pcap(frames)), "smtp")


def test_options_of_IPv4(read):
    frames = []
    for from_client, packet in talks.mail().packets:
        a, b = (V4["client"], V4["server"]) if from_client else (V4["server"], V4["client"])
        frames.append(P.ethernet(P.ipv4(a, b, packet[20:], options=b"\x94\x04\0\0")))
    found(read(P.pcap(frames)), "smtp")


def test_a_length_of_zero_is_of_segmentation_offload(read):
    """What a host hands to its card to be cut into segments has a total length of 0."""
    frames = [P.ethernet(p[:2] + b"\0\0" + p[4:]) for _, p in talks.mail(mss=60_000).packets]
    found(read(P.pcap(frames)), "smtp")


# ---- TCP ----


def test_any_port(read):
    """What a server says first says what it speaks."""
    for protocol, make in talks.ALL.items():
        found(read(P.pcap(P.frames_of(make(port=7777)))), protocol)


def test_sequence_numbers_wrap(read):
    for isn in ((0xFFFFFF00, 0xFFFFFFF0), (0xFFFFFFFF, 0xFFFFFFFE), (0x7FFFFF00, 0x7FFFFFF0)):
        found(read(P.pcap(P.frames_of(talks.mail(isn=isn)))), "smtp")


def test_ports_used_again(read):
    """The same four numbers, twice: two sessions."""
    first, second = talks.mail(), talks.mail(isn=(900_000, 77_000_000))
    found(read(P.pcap(P.frames_of(first) + P.frames_of(second))), "smtp", 2)


def test_a_capture_that_begins_in_the_middle_X_004(read):
    talk = talks.mail()
    for skipped in (1, 3, 4):
        said = read(P.pcap(P.frames_of(talk)[skipped:]))
        assert said.digests() in ([FILE_SHA256], []), said.records
    said = read(P.pcap(P.frames_of(talk)[len(talk.packets) // 2:]))
    assert said.digests() == []
    assert len(said.of("flow")) == 1


@pytest.mark.parametrize("side", [True, False], ids=["client", "server"])
@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_one_side_alone_X_004(read, protocol, side):
    talk = talks.ALL[protocol]()
    said = read(P.pcap([P.ethernet(p) for from_client, p in talk.packets if from_client == side]))
    assert len([r for r in said.of("flow") if r["app_proto"] in (protocol, "failed")]) <= 1
    assert all(d in (FILE_SHA256, None) for d in said.digests())


def gapped(protocol="smtp", at=0.5):
    """Packets of a session without one that has octets of its message."""
    talk = talks.ALL[protocol]()
    long = [i for i, (_, packet) in enumerate(talk.packets) if len(packet) > 1000]
    frames = P.frames_of(talk)
    del frames[long[int(len(long) * at)]]
    return frames


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_gap_is_named_and_nothing_is_made_up_X_003(read, protocol):
    said = read(P.pcap(gapped(protocol)))
    assert FILE_SHA256 not in said.digests()
    assert shuffle.breaks(said.records), said.records
    for record in said.of("fileinfo"):
        assert record["fileinfo"]["state"] == "TRUNCATED" or record["fileinfo"]["gaps"], record


def test_what_follows_a_gap_is_attributed_to_nobody_else_X_003(read):
    """Within a message octets are missing that look like commands, and commands behind it are none."""
    trap = b"MAIL FROM:<trap@evil.example>\r\nRCPT TO:<trap@evil.example>\r\nDATA\r\n"
    text = talks.message(body=talks.BODY[:7000] + trap * 200 + talks.BODY[7000:])
    talk = talks.mail(text=text)
    long = [i for i, (_, packet) in enumerate(talk.packets) if len(packet) > 1000]
    for cut in (2, 4, 6):
        frames = P.frames_of(talk)
        del frames[long[cut]]
        said = read(P.pcap(frames))
        assert "trap@evil.example" not in str([r["smtp"] for r in said.of("smtp")])


def test_overlaps_that_say_the_same(read):
    frames = []
    for from_client, packet in talks.mail().packets:
        payload = packet[40:]
        frames.append(P.ethernet(packet))
        if len(payload) > 100:  # once more, beginning 50 octets later and ending 30 earlier
            seq = struct.unpack(">I", packet[24:28])[0]
            a, b = (V4["client"], V4["server"]) if from_client else (V4["server"], V4["client"])
            sport, dport = struct.unpack(">HH", packet[20:24])
            ack = struct.unpack(">I", packet[28:32])[0]
            frames.append(P.ethernet(P.ipv4(a, b, P.tcp(a, b, sport, dport, seq + 50, ack, P.ACK, payload[50:-30]))))
    found(read(P.pcap(frames)), "smtp")


def test_overlaps_that_differ_are_named_X_002(read):
    talk = talks.mail()
    frames, changed = [], False
    for from_client, packet in talk.packets:
        frames.append(P.ethernet(packet))
        if len(packet) > 1000 and not changed:
            changed = True
            other = packet[:-200] + b"X" * 200
            frames.append(P.ethernet(other))
    assert changed
    said = read(P.pcap(frames))
    assert said.digests() == [FILE_SHA256]  # what came first stays
    events = [a["event"] for a in said.anomalies("stream")]
    assert len(events) == 1, said.of("anomaly")


def test_a_reset_from_nowhere_ends_nothing_X_005(read):
    talk = talks.mail()
    frames = P.frames_of(talk)
    stray = talk.made(False, P.RST, seq=talk.seq[False] + 0x40000000)
    half = len(frames) // 2
    said = read(P.pcap(frames[:half] + [P.ethernet(stray)] + frames[half:]))
    assert said.digests() == [FILE_SHA256]


def test_a_reset_ends_a_message(read):
    talk = talks.mail()
    half = len(talk.packets) // 2
    frames = P.frames_of(talk)[:half]
    from_client, packet = talk.packets[half]
    sport, dport, seq, ack = struct.unpack(">HHII", packet[20:32])
    a, b = (V4["client"], V4["server"]) if from_client else (V4["server"], V4["client"])
    frames.append(P.ethernet(P.ipv4(a, b, P.tcp(a, b, sport, dport, seq, ack, P.RST | P.ACK))))
    said = read(P.pcap(frames))
    assert said.digests() in ([], [None]) or FILE_SHA256 not in said.digests()
    assert said.of("smtp")[0]["smtp"]["state"] == "aborted"


def test_bad_checksums_are_taken_unless_told_otherwise(read):
    """Cards compute them after a capture has seen the packet."""
    talk = talks.mail()
    frames = [P.ethernet(p[:36] + bytes([p[36] ^ 0x5A, p[37]]) + p[38:]) for _, p in talk.packets]
    found(read(P.pcap(frames)), "smtp")
    assert read("--checksums", P.pcap(frames)).of("smtp") == []
    found(read("--checksums", P.pcap(P.frames_of(talk))), "smtp")


def test_urgent_octets_stay_in_line_X_005(read):
    talk = talks.mail()
    frames = []
    for from_client, packet in talk.packets:
        if len(packet) > 1000:
            a, b = (V4["client"], V4["server"]) if from_client else (V4["server"], V4["client"])
            sport, dport, seq, ack = struct.unpack(">HHII", packet[20:32])
            packet = P.ipv4(a, b, P.tcp(a, b, sport, dport, seq, ack, P.ACK | P.URG, packet[40:], urgent=5))
        frames.append(P.ethernet(packet))
    said = read(P.pcap(frames))
    assert said.digests() == [FILE_SHA256]
    assert {a["event"] for a in said.anomalies("stream")} == {"stream_urgent"}


def test_a_SYN_with_octets(read):
    text = talks.message()
    t = P.Talk((V4["client"], 40001), (V4["server"], 25), open_=False)
    t.segment(True, P.SYN).segment(False, P.SYN | P.ACK, b"220 mx ESMTP\r\n").segment(True, P.ACK)
    t.c(b"HELO x\r\n").s(b"250 hi\r\n").c(b"MAIL FROM:<a@good.example>\r\n").s(b"250 ok\r\n")
    t.c(b"RCPT TO:<b@campus.example>\r\n").s(b"250 ok\r\n").c(b"DATA\r\n").s(b"354 go\r\n")
    t.c(text + b".\r\n").s(b"250 ok\r\n").c(b"QUIT\r\n").s(b"221 bye\r\n").end()
    assert read(P.pcap(P.frames_of(t))).digests() == [FILE_SHA256]


# ---- FTP's data connections ----


@pytest.mark.parametrize("upload", [False, True], ids=["download", "upload"])
@pytest.mark.parametrize("way,hosts", [("PORT", V4), ("PASV", V4), ("EPRT", V4), ("EPSV", V4), ("EPRT", V6), ("EPSV", V6)])
def test_data_connections(read, way, hosts, upload):
    said = read(P.pcap(P.frames_of(talks.ftp(hosts, way=way, upload=upload))))
    found(said, "ftp")
    data = said.of("ftp_data")[0]["ftp_data"]
    assert data["command"] == ("STOR" if upload else "RETR") and data["filename"] == "file.bin"
    assert data["outcome"] == "complete"
    assert data["client"]["mode"] == ("active" if way in ("PORT", "EPRT") else "passive")
    assert len(said.of("flow")) == 1  # a data connection is no session


@pytest.mark.parametrize("way", ["PASV", "PORT"])
def test_data_connections_on_both_sides_of_a_NAT(read, way):
    """The dialogue names addresses that the capture's packets do not have."""
    said = read(P.pcap(P.frames_of(talks.ftp(way=way, told="10.1.2.3"))))
    assert said.digests() == [FILE_SHA256], said.records


# ---- files that are none, and damage ----


def one_clear_line(said, path):
    assert said.records == []
    assert len(said.messages) == 1, said.stderr
    assert str(path) in said.messages[0]


BAD = {
    "empty": b"",
    "text": b"hello, this is a text\n" * 20,
    "bad magic": P.pcap_header(magic=0xDEADBEEF) + bytes(100),
    "half a header": P.pcap_header()[:20],
    "half a magic": b"\xd4\xc3",
    "gzip": bytes.fromhex("1f8b0800000000000003") + bytes(50),
    "a message": talks.message(),
    "version 9": P.pcap_header()[:4] + struct.pack("<HH", 9, 4) + P.pcap_header()[8:],
    "pcapng, block length 0": P.section()[:4] + struct.pack("<I", 0) + P.section()[8:],
    "pcapng, half a section": P.section()[:10],
    "pcapng, bad order magic": P.section()[:8] + b"abcd" + P.section()[12:],
}


@pytest.mark.parametrize("octets", BAD.values(), ids=BAD.keys())
def test_a_file_that_is_no_capture_X_001(read, octets):
    path = read.file(octets, "bad-file")
    one_clear_line(read(path, code=1), path)


def test_files_that_cannot_be_read(read, tmp_path):
    for path in (tmp_path / "there-is-none", tmp_path):
        one_clear_line(read(path, code=1), path)


def test_no_file_at_all_is_wrong_usage(read):
    assert read(code=2).messages
    assert read("--no-such-option", "x", code=2).messages


def damaged(said, packet):
    """Records of what is intact, and one anomaly that names the packet's number."""
    events = said.anomalies("decode")
    assert len(events) == 1, said.of("anomaly")
    assert events[0]["packet"] == packet, events
    return events[0]


def test_a_truncated_last_record_X_001(read):
    frames = P.frames_of(talks.mail())
    whole = P.pcap(frames)
    more = P.frames_of(talks.mail(sport=40009))[0]
    for n in (1, 15, 16, 30):
        said = read(whole + P.pcap_record(more, P.BEGAN)[:n], code=None)
        assert said.digests() == [FILE_SHA256]
        damaged(said, len(frames) + 1)


def test_a_record_beyond_all_bounds_X_001(read):
    """len 0xffffffff, and more captured than the file's snaplen: what is ahead of it is read."""
    frames = P.frames_of(talks.mail())
    for captured in (0xFFFFFFFF, 0x7FFFFFFF, 300_000_000):
        said = read(P.pcap(frames) + P.pcap_record(b"x" * 60, P.BEGAN, captured=captured), code=None)
        assert said.digests() == [FILE_SHA256]
        damaged(said, len(frames) + 1)


def test_more_captured_than_snaplen_X_001(read):
    """Some programs write such files: libpcap gives as much as the file says that there can be."""
    said = read(P.pcap(P.frames_of(talks.mail()), snaplen=96), code=None)
    assert said.digests() in ([], [None])
    assert said.anomalies("stream")


def test_packets_that_were_cut_are_gaps_X_001(read):
    """snaplen 200: of each packet the beginning is there."""
    rows = [P.pcap_record(f[:200], P.BEGAN + i * 1000, length=len(f)) for i, f in enumerate(P.frames_of(talks.mail()))]
    said = read(P.pcap_header(snaplen=200) + b"".join(rows), code=None)
    assert FILE_SHA256 not in said.digests()
    assert said.of("flow")
    assert said.of("anomaly")


@pytest.mark.parametrize("length", [0, 8, 13, 0xFFFFFFF0])
def test_a_block_of_senseless_length_X_001(read, length):
    frames = P.frames_of(talks.mail())
    bad = P.block(6, bytes(40), length=length)
    said = read(P.pcapng(frames) + bad + P.enhanced(frames[0], P.BEGAN), code=None)
    assert said.digests() == [FILE_SHA256]
    damaged(said, len(frames) + 1)


def test_a_packet_of_an_interface_that_is_not_there_X_001(read):
    frames = P.frames_of(talks.mail())
    said = read(P.pcapng(frames) + P.enhanced(frames[0], P.BEGAN, device=9), code=None)
    assert said.digests() == [FILE_SHA256]
    damaged(said, len(frames) + 1)


def test_frames_of_nonsense_hurt_nobody(read):
    frames = P.frames_of(talks.mail())
    junk = [b"", b"x", b"\0" * 13, P.ethernet(b"\x45"), P.ethernet(b"\x45\0\0\x14" + bytes(16)),
            P.ethernet(b"\x60" + bytes(10), kind=0x86DD), P.ethernet(b"", [(0x8100, 1)] * 20, kind=0x0800),
            P.mpls(b"\x45", tuple(range(30)))]
    said = read(P.pcap([f for i, frame in enumerate(frames) for f in (frame, junk[i % len(junk)])]))
    assert said.digests() == [FILE_SHA256]


# ---- several files, standard input ----


def test_standard_input(read):
    found(read("-", stdin=P.pcap(P.frames_of(talks.mail()))), "smtp")
    found(read("-", stdin=P.pcapng(P.frames_of(talks.mail()))), "smtp")
    said = read("-", stdin=b"nothing of the kind", code=1)
    assert len(said.messages) == 1


def test_several_files(read):
    said = read(*(P.pcap(P.frames_of(talks.ALL[p]())) for p in PROTOCOLS))
    assert said.digests() == [FILE_SHA256] * 4
    assert {r["app_proto"] for r in said.of("flow")} == set(PROTOCOLS)


def test_one_bad_file_hides_no_other(read):
    bad = read.file(b"nothing", "bad")
    said = read(P.pcap(P.frames_of(talks.mail())), bad, P.pcap(P.frames_of(talks.pop3())), code=1)
    assert said.digests() == [FILE_SHA256] * 2
    assert len(said.messages) == 1 and str(bad) in said.messages[0]


def test_a_session_in_two_files(read):
    """As tcpdump -C makes them."""
    frames = P.frames_of(talks.mail())
    half = len(frames) // 2
    found(read(P.pcap(frames[:half]), P.pcap(frames[half:], began=P.BEGAN + 3_600_000_000 // 2)), "smtp")


# ---- configuration ----


def test_without_a_configuration_nothing_is_judged(read):
    said = read(P.pcap(P.frames_of(talks.mail())))
    assert not [r for r in said.records if r.get("verdict", {}).get("action") in ("refuse", "report")]


def test_todays_policy_on_last_nights_traffic(read):
    conf = read.file(b'inside = {"10.0.0.0/8", "192.0.2.0/24"}\nsmtp { relay { local_domains = {"other.example"} by_mx = no }\n'
                     b'sender_domain { check = off } }\n', "postern.conf")
    said = read("-c", conf, P.pcap(P.frames_of(talks.mail())))
    verdict = said.of("smtp")[0]["verdict"]
    assert (verdict["action"], verdict["rule"]) == ("refuse", "relay")
    assert verdict["reply"].startswith("550 5.7.1 ")
    assert said.of("smtp")[0]["smtp"]["state"] == "accepted"  # what the server really said


def test_a_bad_configuration(read):
    conf = read.file(b"nonsense = 5\n", "postern.conf")
    said = read("-c", conf, P.pcap([]), code=2)
    assert said.records == [] and str(conf) in said.stderr


def test_passwords_are_in_no_record(read):
    said = read(*(P.pcap(P.frames_of(talks.ALL[p]())) for p in PROTOCOLS))
    assert "secret" not in str(said.records)


# ---- bounds ----


@pytest.mark.parametrize("dport", [25, 7777])
def test_sessions_that_never_came_about(read, dport):
    """20,000 SYNs, of which nothing comes: no record, and they do not stay."""
    source = ("198.51.100.2", "192.0.2.25")
    frames = [P.ethernet(P.ipv4(*source, P.tcp(*source, 1024 + i % 60_000, dport, i, 0, P.SYN))) for i in range(20_000)]
    said = read(P.pcap(frames))
    assert said.of("smtp") == []
