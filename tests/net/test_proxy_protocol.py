"""The PROXY header on the server's leg: FIELD rows S11 and P1, SECURITY cases R-030 and S-013."""

import re
import socket
import struct

import pytest

import lab as L
import servers
from lab import wait_for
from peers import RawClient

TRUSTING, TRUSTING6 = L.INSIDE4 + "31", L.INSIDE6 + "31"
STRANGER = "<otto@elsewhere.example>"
SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"


@pytest.fixture(scope="module")
def trusting(lab):
    """Postfix that relays for the gateway's own address, and expects to be told of another one."""
    lab.server.ip(f"addr add {TRUSTING}/24 dev eth0", f"addr add {TRUSTING6}/64 dev eth0 nodad")
    return servers.Postfix(lab, "trusting", [TRUSTING, TRUSTING6], {
        "myhostname": "trusting.campus.example",
        "mydestination": "campus.example",
        "mynetworks": f"{L.INSIDE4}1/32 [{L.INSIDE6}1]/128",
        "smtpd_relay_restrictions": "permit_mynetworks, reject_unauth_destination",
        "local_transport": "discard:",
        "default_transport": "discard:",
        "smtpd_upstream_proxy_protocol": "haproxy",
        "smtpd_upstream_proxy_timeout": "3s",
    })


def proxied(version):
    """The gateway without a relay check of its own: what the server decides is what counts."""
    forward = {"send_proxy": version}
    return {"forward": {"mx": forward, "mx6": forward},
            "smtp": {"relay": {"check": "off"}, "sender_domain": {"check": "off"}}}


@pytest.mark.parametrize("v6", [False, True], ids=["IPv4", "IPv6"])
@pytest.mark.parametrize("version", ["v1", "v2"])
def test_the_server_sees_the_client_S11_R_030(gateway, trusting, version, v6):
    gate = gateway(TRUSTING, to6=TRUSTING6, **proxied(version))
    with gate.client(v6=v6) as client:
        address, port = client.sock.getsockname()[:2]
        client.hello()
        assert client.cmd("MAIL FROM:<anna@good.example>").code == 250
        # the gateway's address would be let relay
        assert client.cmd(f"RCPT TO:{STRANGER}").is_(554, "5.7.1")
        assert client.cmd("RCPT TO:<otto@campus.example>").code == 250
        assert client.data("Subject: x\r\n\r\nx\r\n.\r\n").code == 250
        client.cmd("QUIT")
    wait_for(lambda: re.search(rf"reject: RCPT from unknown\[{address}\].*{STRANGER}",
                               trusting.log()), what="refusal with the client's address")
    assert re.search(rf"client=unknown\[{address}\]", trusting.log())
    assert f"connect from unknown[{L.INSIDE4}1]" not in trusting.log()
    record = gate.record("flow", lambda r: r["src_port"] == port)
    assert record["flow"]["reason"] == "client_quit"


@pytest.mark.parametrize("v6", [False, True], ids=["IPv4", "IPv6"])
def test_the_server_trusts_whom_it_trusts_S11(gateway, lab, trusting, v6):
    """The header is believed: who is in mynetworks may relay, through the gateway as well."""
    own = L.INSIDE6 + "1" if v6 else L.INSIDE4 + "1"
    gate = gateway(TRUSTING, to6=TRUSTING6, **proxied("v2"))
    with RawClient(lab.gateway, L.GATEWAY6 if v6 else L.GATEWAY, 25, own) as client:
        client.hello()
        assert client.cmd("MAIL FROM:<anna@good.example>").code == 250
        assert client.cmd(f"RCPT TO:{STRANGER}").code == 250
    assert gate.record("flow")["src_ip"] == own


def test_without_a_header_nothing_passes_S11(gateway, trusting):
    gate = gateway(TRUSTING, to6=TRUSTING6, **proxied("no"))
    with gate.client(timeout=20) as client:
        assert client.reply().code == 421


def header1(octets):
    """(address, port, address, port) of a line, and what follows it."""
    line, rest = octets.split(b"\r\n", 1)
    word, family, source, to, source_port, to_port = line.decode().split(" ")
    assert word == "PROXY"
    assert family == ("TCP6" if ":" in source else "TCP4")
    return (source, int(source_port), to, int(to_port)), rest


def header2(octets):
    assert octets[:13] == SIGNATURE + b"\x21"
    size, family = (4, socket.AF_INET) if octets[13] == 0x11 else (16, socket.AF_INET6)
    assert octets[13] in (0x11, 0x21)
    assert struct.unpack("!H", octets[14:16])[0] == 2 * size + 4
    source, to = octets[16:16 + size], octets[16 + size:16 + 2 * size]
    ports = struct.unpack("!HH", octets[16 + 2 * size:20 + 2 * size])
    return ((socket.inet_ntop(family, source), ports[0], socket.inet_ntop(family, to), ports[1]),
            octets[20 + 2 * size:])


@pytest.mark.parametrize("v6", [False, True], ids=["IPv4", "IPv6"])
@pytest.mark.parametrize("version, parse", [("v1", header1), ("v2", header2)])
def test_the_header_comes_first_and_alone_S11(fake, gateway, version, parse, v6):
    """Before the greeting, complete, with the addresses of the client's leg; then the dialogue."""

    def serve(c):
        while len(c.received) < 28:
            c.fill()
        c.header = c.received
        c.pending.clear()
        server.serve(c)

    server = fake(L.FAKE6 if v6 else L.FAKE, script=serve)
    gate = gateway((L.FAKE, server.port), to6=(L.FAKE6, server.port), **proxied(version))
    with gate.client(v6=v6) as client:
        local = client.sock.getsockname()[:2]
        client.hello()
        client.cmd("QUIT")
    c = server.ended()
    addresses, rest = parse(c.header)
    assert addresses == (*local, L.GATEWAY6 if v6 else L.GATEWAY, 25)
    assert rest == b""
    assert c.received[len(c.header):] == b"EHLO client.good.example\r\nQUIT\r\n"
    gate.record("flow")
