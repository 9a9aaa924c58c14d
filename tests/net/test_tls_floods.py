"""
Peers that keep TLS busy, and handshakes that are too large or come in the smallest pieces, on both legs:
SECURITY case T-020. What has no use ends the session; memory and processor time stay bounded, and whoever
else is served goes on.
"""

import socket
import ssl
import subprocess
import threading
import time

import pytest

from peers import EHLO, OCTETS, RawClient
from tls_peers import Certificate, TlsClient, client_context, starttls_reply
from tls_records import (ALERT, HANDSHAKE, HELLO_REQUEST, KEY_UPDATE, KEY_UPDATE_ASKED, TICKET,
                         RecordPeer)

TLS = (*EHLO, "STARTTLS")
MANY = 16_384
MEMORY = 8 << 20  # octets of a worker, above what it had
CPU = 3.0  # seconds, of all processes
HELLO = b"\x01\x00\x00\x29\x03\x03" + b"r" * 32 + b"\x00\x00\x02\xc0\x2f\x01\x00"  # of a renegotiation
NO_CERTIFICATE = b"\x01\x29"  # a warning that means nothing any more


@pytest.fixture
def tls_gateway(gateway, ours):
    def start(to, **settings):
        return gateway(to, smtp={"starttls": "intercept"}, certificate={"mx": ours.section}, **settings)

    return start


@pytest.fixture
def server(fake, theirs):
    return fake(ehlo=TLS, replies={"STARTTLS": starttls_reply(theirs.server_context())})


class Bounds:
    """What a gateway took meanwhile."""

    def __init__(self, gate):
        self.gate = gate

    def __enter__(self):
        self.cpu, self.memory = self.gate.cpu(), self.gate.memory()

    def __exit__(self, kind, *_):
        if kind is None:
            assert self.gate.grew(self.memory) < MEMORY
            spent = self.gate.cpu() - self.cpu
            assert spent < CPU, spent


def flooder(gate, version):
    """A client behind STARTTLS, that can send any record."""
    client = gate.client()
    client.hello()
    assert client.cmd("STARTTLS").code == 220
    peer = RecordPeer(client.sock, version)
    peer.tls.write(b"NOOP\r\n")
    client.sock.sendall(peer.outgoing.read())
    peer.line()
    peer.keys.sequence += 1  # that NOOP
    return client, peer


def flood(gate, client, peer, send):
    """Sends until the gateway has ended it; it has to."""
    for _ in range(400):
        try:
            send(peer)
        except OSError:
            break
        try:
            client.sock.settimeout(0.001)
            if not client.sock.recv(65536):
                break
        except (socket.timeout, TimeoutError, BlockingIOError):
            pass
        except ConnectionError:
            break
        finally:
            client.sock.settimeout(10)
    else:
        pytest.fail("the flood was borne")
    client.close()


FLOODS = {
    "key-updates": ("1.3", lambda p: p.key_updates(1000)),
    "key-updates-to-be-answered": ("1.3", lambda p: p.key_updates(1000, KEY_UPDATE_ASKED)),
    "renegotiation": ("1.2", lambda p: p.records(*[HELLO] * 1000, kind=HANDSHAKE)),
    "empty-1.2": ("1.2", lambda p: p.records(*[b""] * MANY)),
    "empty-1.3": ("1.3", lambda p: p.records(*[b""] * MANY)),
    "warnings": ("1.2", lambda p: p.records(*[NO_CERTIFICATE] * 1000, kind=ALERT)),
}


@pytest.mark.parametrize("what", FLOODS)
def test_a_client_that_floods_T_020(server, tls_gateway, what):
    version, send = FLOODS[what]
    gate = tls_gateway(server)
    client, peer = flooder(gate, version)
    with Bounds(gate):
        flood(gate, client, peer, send)
        gate.record("tls", lambda r: r["tls"].get("failure") == "tls_flood")
    with gate.client(cls=TlsClient) as other:
        other.hello()
        assert other.cmd("NOOP").code == 250


@pytest.mark.parametrize("what", FLOODS)
def test_others_are_served_meanwhile_T_020(server, tls_gateway, what):
    """One worker; a client asks and is answered while others come and flood, again and again."""
    version, send = FLOODS[what]
    gate = tls_gateway(server)
    over = threading.Event()

    def flood_on():
        while not over.is_set():
            try:
                client, peer = flooder(gate, version)
                flood(gate, client, peer, send)
            except (OSError, AssertionError):
                pass

    thread = threading.Thread(target=flood_on)
    with gate.client(cls=TlsClient) as other:
        other.hello()
        thread.start()
        try:
            end = time.monotonic() + 2
            while time.monotonic() < end:
                began = time.monotonic()
                assert other.cmd("NOOP").code == 250
                assert time.monotonic() - began < 1
                time.sleep(0.05)
        finally:
            over.set()
            thread.join(30)


SERVER_FLOODS = {
    "key-updates": ("1.3", lambda p: p.key_updates(1000)),
    "renegotiation": ("1.2", lambda p: p.records(*[HELLO_REQUEST] * 1000, kind=HANDSHAKE)),
    "empty-1.2": ("1.2", lambda p: p.records(*[b""] * MANY)),
    "empty-1.3": ("1.3", lambda p: p.records(*[b""] * MANY)),
    "warnings": ("1.2", lambda p: p.records(*[NO_CERTIFICATE] * 1000, kind=ALERT)),
}


def flooding(certificate, version, send):
    """For the replies of a fake server: STARTTLS, a handshake, one flood, and then silence."""

    def start(conversation, line):
        conversation.send(b"220 go\r\n")
        conversation.sock.settimeout(10)
        peer = RecordPeer(conversation.sock, version, certificate)
        try:
            send(peer)
            conversation.how = peer.over()
        except ConnectionError:
            conversation.how = "reset"
        raise OSError("done")

    return start


@pytest.mark.parametrize("what", SERVER_FLOODS)
def test_a_server_that_floods_T_020(fake, theirs, tls_gateway, what):
    version, send = SERVER_FLOODS[what]
    server = fake(ehlo=TLS, replies={"STARTTLS": flooding(theirs, version, send)})
    gate = tls_gateway(server)
    with gate.client(cls=TlsClient) as client, Bounds(gate):
        RawClient.hello(client)
        client.upgrade()
        conversation = server.ended()
        assert conversation.how in ("closed", "reset")
        gate.record("tls", lambda r: r["tls"].get("failure") == "tls_flood")


def test_tickets_without_an_end_T_020(fake, theirs, server, tls_gateway):
    """They are allowed, and thrown away; they hold up nobody."""
    over = threading.Event()

    def send(peer):
        while not over.is_set():
            peer.records(*[TICKET] * 200, kind=HANDSHAKE)

    flooded = fake(ehlo=TLS, replies={"STARTTLS": flooding(theirs, "1.3", send)})
    gate = tls_gateway(flooded, forward={
        "other": {"listen": "10.25.0.1:2525", "to": f"{server.address}:{server.port}"}})
    with gate.client(cls=TlsClient) as client:
        RawClient.hello(client)
        client.upgrade()
        before = gate.memory()
        end = time.monotonic() + 2
        while time.monotonic() < end:
            began = time.monotonic()
            with gate.client(cls=RawClient) as other:
                assert other.reply().code == 220
            assert time.monotonic() - began < 1
        over.set()
        assert gate.grew(before) < MEMORY


# ---- small records ----


@pytest.mark.parametrize("version", ["1.2", "1.3"])
def test_records_of_one_octet_T_020(server, tls_gateway, version):
    """A message in 16384 of them is as good as any."""
    gate = tls_gateway(server)
    client, peer = flooder(gate, version)
    lines = (b"Subject: small\r\n\r\n" + b"x" * 62 + b"\r\n") * (MANY // 82)
    with Bounds(gate):
        for line in (b"EHLO x.example\r\n", b"MAIL FROM:<anna@good.example>\r\n",
                     b"RCPT TO:<otto@campus.example>\r\n", b"DATA\r\n"):
            peer.records(*[line[i:i + 1] for i in range(len(line))])
            while (said := peer.line())[3:4] == b"-":
                pass
            assert said[:1] in (b"2", b"3"), said
        wire = lines + b".\r\n"
        peer.records(*[wire[i:i + 1] for i in range(len(wire))])
        assert peer.line()[:3] == b"250"
    client.close()
    assert server.mails[0].content == lines


@pytest.mark.parametrize("version", ["1.2", "1.3"])
def test_replies_of_one_octet_a_record_T_020(fake, theirs, tls_gateway, version):
    def start(conversation, line):
        conversation.send(b"220 go\r\n")
        conversation.sock.settimeout(10)
        peer = RecordPeer(conversation.sock, version, theirs)
        assert peer.line().startswith(b"EHLO")
        wire = b"".join(b"250-X%04d\r\n" % i for i in range(200)) + b"250 HELP\r\n"
        peer.records(*[wire[i:i + 1] for i in range(len(wire))])
        assert peer.line().startswith(b"QUIT")
        raise OSError("done")

    gate = tls_gateway(fake(ehlo=TLS, replies={"STARTTLS": start}))
    with gate.client(cls=TlsClient) as client, Bounds(gate):
        client.hello()
        client.send(b"QUIT\r\n")
        client.rest(5)


# ---- handshakes ----


def a_hello(alpn=()):
    """A client's handshake that waits for the server's answer, and its first octets."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = client_context(alpn=alpn).wrap_bio(incoming, outgoing, server_hostname="mx.campus.example")
    with pytest.raises(ssl.SSLWantReadError):
        tls.do_handshake()
    return tls, incoming, outgoing


def as_records(hello, size):
    """The same message in records of that many octets."""
    body = hello[5:]
    assert len(body) == int.from_bytes(hello[3:5], "big")
    return b"".join(hello[:3] + len(body[i:i + size]).to_bytes(2, "big") + body[i:i + size]
                    for i in range(0, len(body), size))


@pytest.mark.parametrize("how", ["whole", OCTETS])
def test_a_hello_in_records_of_one_octet_T_020(server, tls_gateway, how):
    gate = tls_gateway(server)
    with gate.client() as client, Bounds(gate):
        client.hello()
        assert client.cmd("STARTTLS").code == 220
        tls, incoming, outgoing = a_hello()
        client.send(as_records(outgoing.read(), 1), how)
        while True:
            try:
                tls.do_handshake()
                break
            except ssl.SSLWantReadError:
                incoming.write(client.sock.recv(65536))
        client.send(outgoing.read())
        tls.write(b"NOOP\r\n")
        client.send(outgoing.read())
        while True:
            try:
                assert tls.read(3) == b"250"
                break
            except ssl.SSLWantReadError:
                incoming.write(client.sock.recv(65536))


@pytest.mark.parametrize("size", [64 << 10, 128 << 10])
def test_a_hello_of_64_KB_T_020(server, tls_gateway, size):
    """More than any client has to say: the session ends."""
    gate = tls_gateway(server)
    rest = b"\x03\x03" + b"r" * 32 + b"\x00" + b"\x00\x02\xc0\x2f" + b"\x01\x00"
    many = b"".join(b"\x5a" + bytes([i]) + (8000).to_bytes(2, "big") + b"x" * 8000
                    for i in range(min(size // 8004, 8)))
    body = rest + len(many[:65535]).to_bytes(2, "big") + many
    body += b"\0" * (size - len(body))
    message = b"\x01" + len(body).to_bytes(3, "big") + body
    with gate.client() as client, Bounds(gate):
        client.hello()
        assert client.cmd("STARTTLS").code == 220
        for at in range(0, len(message), 16384):
            piece = message[at:at + 16384]
            try:
                client.send(b"\x16\x03\x01" + len(piece).to_bytes(2, "big") + piece)
            except OSError:
                break
        assert b"250" not in client.rest(10)
    reason = gate.flow()["flow"]["reason"]
    assert reason in ("tls_refused", "tls_handshake", "tls_size"), reason


class Long(Certificate):
    """Its chain has more than 100 KB: no client reads that."""

    def __init__(self, lab, name):
        super().__init__(lab, name, rsa=True)
        extra = self.key.parent / "extra.pem"
        names = ",".join(f"DNS:{i:04d}.{'long-name.' * 4}campus.example" for i in range(500))
        subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj",
                        "/CN=extra", "-addext", f"subjectAltName={names}", "-keyout", "/dev/null", "-out",
                        extra], check=True, capture_output=True)
        text = extra.read_text()
        copies = 120_000 // len(ssl.PEM_cert_to_DER_cert(text)) + 1
        self.chain.write_text(self.chain.read_text() + text * copies)


@pytest.mark.parametrize("version", ["1.2", "1.3"])
def test_a_chain_of_100_KB_T_020(lab, fake, tls_gateway, version):
    long = Long(lab, "long.campus.example")
    server = fake(ehlo=TLS, replies={"STARTTLS": starttls_reply(long.server_context(version))})
    gate = tls_gateway(server)
    with gate.client() as client, Bounds(gate):
        client.hello()
        assert client.cmd("STARTTLS").code == 454
    assert gate.record("tls")["tls"]["failure"] == "tls_size"
