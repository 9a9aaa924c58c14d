"""STARTTLS in its four settings, and octets sent ahead of it: SECURITY cases N-001, N-005, N-006."""

import ssl
import time

import pytest

import lab as L
from peers import EHLO, OCTETS, WHOLE, Closed
from servers import make_certificate

TLS = (*EHLO, "STARTTLS")


def tls_server(lab):
    """A dialogue that really goes into TLS after 220 and then takes one mail."""
    key, certificate = make_certificate(lab)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)

    def start(conversation, line):
        conversation.send(b"220 2.0.0 go ahead\r\n")
        conversation.sock = context.wrap_socket(conversation.sock, server_side=True)
        return b""

    return start


def test_passed_and_opaque(lab, fake, gateway):
    server = fake(ehlo=TLS, replies={"STARTTLS": tls_server(lab)})
    gate = gateway(server, smtp={"starttls": "pass"})
    with gate.client() as client:
        assert "STARTTLS" in client.hello().text
        assert client.cmd("STARTTLS").code == 220
        client.start_tls()
        assert client.cmd("EHLO inside.example").code == 250
        client.envelope("s@good.example", "anybody@evil.example")  # nobody sees it
        assert client.data(b"Subject: secret\r\n\r\nx\r\n.\r\n").code == 250
        client.cmd("QUIT")
    server.ended()
    assert len(server.mails) == 1
    flow = gate.flow()
    assert flow["flow"]["reason"]
    assert "opaque" in str(flow)
    assert b"secret" not in gate.log.read_bytes()


def test_passed_before_postfix(campus, gateway):
    gate = gateway(campus, smtp={"starttls": "pass"})
    with gate.client() as client:
        client.hello()
        assert client.cmd("STARTTLS").code == 220
        client.start_tls()
        assert client.cmd("EHLO inside.example").code == 250
        client.envelope()
        assert client.data(b"Subject: under tls\r\n\r\nx\r\n.\r\n").code == 250
    assert campus.box.wait("under tls")


def test_server_refuses_tls(fake, gateway):
    server = fake(ehlo=TLS)  # its STARTTLS says 454
    gate = gateway(server, smtp={"starttls": "pass"})
    with gate.client() as client:
        client.hello()
        assert client.cmd("STARTTLS").is_(454, "4.7.0")
        client.envelope()
        assert client.data(b"Subject: x\r\n\r\nx\r\n.\r\n").code == 250
    assert len(server.mails) == 1


@pytest.mark.parametrize("setting,source,code,enhanced,offered", [
    ("refuse", L.CLIENT, 454, "4.7.0", True),
    ("refuse", L.CLIENT_INSIDE, 454, "4.7.0", True),
    ("hide", L.CLIENT, 502, "5.5.1", False),
    ("auto", L.CLIENT, 454, "4.7.0", True),
    ("auto", L.CLIENT_INSIDE, 220, None, True),
], ids=["refuse", "refuse-inside", "hide", "auto-outside", "auto-inside"])
def test_settings(lab, fake, gateway, setting, source, code, enhanced, offered):
    server = fake(ehlo=TLS, replies={"STARTTLS": tls_server(lab)})
    gate = gateway(server, smtp={"starttls": setting})
    with gate.client(source) as client:
        assert ("STARTTLS" in client.hello().text) == offered
        assert client.cmd("STARTTLS").is_(code, enhanced)
        if code != 220:
            assert client.cmd("NOOP").code == 250
    assert ("STARTTLS" in server.ended().verbs()) == (code == 220)


def test_auto_without_a_check_that_enforces(lab, fake, gateway):
    server = fake(ehlo=TLS, replies={"STARTTLS": tls_server(lab)})
    gate = gateway(server, smtp={"starttls": "auto", "relay": {"check": "report"},
                                 "sender_domain": {"check": "off"}})
    with gate.client() as client:
        client.hello()
        assert client.cmd("STARTTLS").code == 220


@pytest.mark.parametrize("how", [WHOLE, OCTETS])
@pytest.mark.parametrize("injected", [b"NOOP\r\n", b"EHLO x\r\n", b"MAIL FROM:<x@good.example>\r\n",
                                      b"!"])
def test_client_sends_ahead_of_the_handshake_N_001(lab, fake, gateway, injected, how):
    server = fake(ehlo=TLS, replies={"STARTTLS": tls_server(lab)})
    gate = gateway(server, smtp={"starttls": "pass"})
    with gate.client() as client:
        client.hello()
        got = b""
        try:
            client.send(b"STARTTLS\r\n" + injected, how)
            got = client.rest(5)
        except ConnectionError:
            assert how == OCTETS  # the first octet that is no TLS ends it, while others still come
        # In pieces the 220 may have left before the rest arrived; nothing may follow it then.
        assert got.startswith(b"554 5.5.0") or how == OCTETS and got.count(b"\r\n") <= 1, got
    conversation = server.ended()
    assert injected not in conversation.received
    gate.record("anomaly", lambda r: r["anomaly"]["event"] in (
        "failed_protocol_change", "invalid_pipelined_sequence"))


def test_client_sends_before_our_220_N_005(fake, gateway):
    """In a second segment, while the server still thinks about STARTTLS."""
    got = []

    def slow(conversation, line):
        time.sleep(0.5)
        conversation.send(b"220 go\r\n")
        try:
            got.append(conversation.rest(3))
        except (TimeoutError, Closed):
            pass
        return b""

    server = fake(ehlo=TLS, replies={"STARTTLS": slow})
    gate = gateway(server, smtp={"starttls": "pass"})
    with gate.client() as client:
        client.hello()
        client.send(b"STARTTLS\r\n")
        time.sleep(0.2)
        client.send(b"MAIL FROM:<injected@good.example>\r\n")
        answer = client.rest(5)
        assert b"250" not in answer
    server.ended()
    assert b"injected" not in server.octets
    gate.record("anomaly", lambda r: r["anomaly"]["event"] in (
        "failed_protocol_change", "invalid_pipelined_sequence"))


@pytest.mark.parametrize("injected", [b"250-x\r\n250 AUTH LOGIN\r\n", b"250 ok\r\n", b"hello"])
def test_server_sends_ahead_of_the_handshake_N_006(fake, gateway, injected):
    server = fake(ehlo=TLS, replies={"STARTTLS": b"220 Ready\r\n" + injected})
    gate = gateway(server, smtp={"starttls": "pass"})
    with gate.client() as client:
        client.hello()
        answer = client.cmd("STARTTLS")
        assert answer.is_(454, "4.7.0") or answer.code == 421, answer
        assert injected not in client.rest(5)
    server.ended()
    gate.record("anomaly", lambda r: r["anomaly"]["event"] == "failed_protocol_change")


def test_server_sends_later_but_ahead_of_the_handshake_N_006(fake, gateway):
    def late(conversation, line):
        conversation.send(b"220 Ready\r\n")
        time.sleep(0.3)
        return b"250 injected\r\n"

    server = fake(ehlo=TLS, replies={"STARTTLS": late})
    gate = gateway(server, smtp={"starttls": "pass"})
    with gate.client() as client:
        client.hello()
        client.cmd("STARTTLS")
        assert b"injected" not in client.rest(5)
    gate.record("anomaly", lambda r: r["anomaly"]["event"] == "failed_protocol_change")


def test_starttls_with_an_argument_N_019(fake, gateway):
    server = fake(ehlo=TLS)
    gate = gateway(server, smtp={"starttls": "pass"})
    with gate.client() as client:
        client.hello()
        assert client.cmd("STARTTLS now").is_(501, "5.5.4")
    assert "STARTTLS" not in server.ended().verbs()


def test_nothing_sensible_instead_of_a_handshake(lab, fake, gateway):
    server = fake(ehlo=TLS, replies={"STARTTLS": tls_server(lab)})
    gate = gateway(server, smtp={"starttls": "pass"})
    with gate.client() as client:
        client.hello()
        assert client.cmd("STARTTLS").code == 220
        client.send(b"MAIL FROM:<s@good.example>\r\n")
        client.rest(5)
    assert b"MAIL" not in server.ended().received
