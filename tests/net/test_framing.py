"""Message framing and smuggling: SECURITY cases S-001 to S-018, and what real servers make of it."""

import re
import time

import pytest

from lab import wait_for
from peers import OCTETS, WHOLE

MODES = ["forward", "tproxy"]

SEQUENCES = {
    "S-001-LF-dot-LF": b"\n.\n",
    "S-002-LF-dot-CRLF": b"\n.\r\n",
    "S-003-LF-dot-CR": b"\n.\r",
    "S-004-CR-dot-LF": b"\r.\n",
    "S-005-CR-dot-CR": b"\r.\r",
    "S-006-CR-dot-CRLF": b"\r.\r\n",
    "S-007-CRLF-NUL-dot-CRLF": b"\r\n\0.\r\n",
    "S-008-CRLF-dot-CRCRLF": b"\r\n.\r\r\n",
    "S-009-CRCRLF-dot-CRCRLF": b"\r\r\n.\r\r\n",
    "S-010-CRLF-dot-LF": b"\r\n.\n",
}
each_sequence = pytest.mark.parametrize("sequence", SEQUENCES.values(), ids=SEQUENCES.keys())

# anything that some server has ever taken for the end of a message
END_MARK = re.compile(rb"(?:\r\n|\r|\n)\x00?\.(?:\r*\n|\r)")


def outer(sequence):
    """A message that hides another behind sequence."""
    return (b"Subject: outer\r\n\r\nbefore" + sequence + b"MAIL FROM:<smug@evil.example>\r\n"
            b"RCPT TO:<otto@campus.example>\r\nDATA\r\nSubject: SMUGGLED\r\n\r\nboo\r\n.\r\n")


@pytest.mark.parametrize("how", [WHOLE, OCTETS])
@each_sequence
def test_smuggling_refused(fake, gateway, sequence, how):
    server = fake()
    gate = gateway(server)
    with gate.client() as client:
        client.hello()
        client.envelope()
        answer = client.data(outer(sequence), how)
        assert answer.is_(550, "5.5.2"), answer
        # the server leg is gone: there is nobody to go on with
        assert client.cmd("NOOP").code == 421
        assert client.closed()
    got = server.ended()
    assert got.verbs() == ["EHLO", "MAIL", "RCPT", "DATA"]
    body = got.received.split(b"DATA\r\n", 1)[1]
    assert not END_MARK.search(body), body
    assert not server.mails
    record = gate.record("anomaly", lambda r: r["anomaly"]["event"] == "smuggling_sequence")
    assert record["app_proto"] == "smtp"


@pytest.mark.parametrize("cut", range(5))
def test_smuggling_cut_inside_the_sequence_S_001(fake, gateway, cut):
    server = fake()
    gate = gateway(server)
    wire = outer(b"\n.\n")
    with gate.client() as client:
        client.hello()
        client.envelope()
        answer = client.data(wire, wire.index(b"\n.\n") + cut - 1)
        assert answer.is_(550, "5.5.2"), answer
    server.ended()
    assert not server.mails


@each_sequence
def test_smuggling_before_postfix(campus, gateway, sequence):
    gate = gateway(campus)
    with gate.client() as client:
        client.hello()
        client.envelope()
        assert client.data(outer(sequence)).is_(550, "5.5.2")
    assert campus.settle() == []


def test_smuggling_works_without_a_gateway_S_002(campus, direct):
    """The attack is real and this Postfix falls for it: what the tests above show is the gateway."""
    client = direct(campus.address)
    client.hello()
    client.envelope()
    client.data(outer(b"\n.\r\n"))
    assert campus.box.wait("SMUGGLED")


@each_sequence
def test_smuggling_before_exim(exim, gateway, sequence):
    gate = gateway(exim)
    with gate.client() as client:
        client.hello()
        client.envelope()
        assert client.data(outer(sequence)).is_(550, "5.5.2")
    with gate.client() as client:  # what came in before would arrive before this
        client.hello()
        client.envelope()
        assert client.data(b"Subject: after\r\n\r\nx\r\n.\r\n").code == 250
    exim.box.wait("Subject: after")
    assert len(exim.box.messages()) == 1


@each_sequence
def test_bdat_content_is_counted_S_011(fake, gateway, sequence):
    """In a chunk the count is the end; no sequence of octets is. Either it passes as it is, or not."""
    server = fake()
    gate = gateway(server, smtp={"bare_newline": "reject"})
    body = outer(sequence)
    with gate.client() as client:
        client.hello()
        client.envelope(mail=" BODY=BINARYMIME")
        client.send(b"BDAT %d LAST\r\n" % len(body) + body)
        answer = client.reply()
        assert answer.code == 250 or answer.is_(550, "5.5.2"), answer
    server.ended()
    if answer.code == 250:
        assert [m.content for m in server.mails] == [body]
    else:
        assert not server.mails
    assert "SMUGGLED" not in " ".join(server.conversations[0].verbs())


@pytest.mark.parametrize("how", [WHOLE, OCTETS])
def test_normalize_makes_spaces_S_012(fake, gateway, how):
    """A stray LF becomes a space. As CR LF it would make the very end mark that is looked for."""
    server = fake()
    gate = gateway(server, smtp={"bare_newline": "normalize"})
    with gate.client() as client:
        client.hello()
        client.envelope()
        assert client.data(b"Subject: x\r\n\r\na\n.\nb\r\n.\r\n", how).code == 250
    assert [m.wire for m in server.mails] == [b"Subject: x\r\n\r\na . b\r\n"]


@each_sequence
def test_normalize_before_postfix_S_012(campus, gateway, sequence):
    gate = gateway(campus, smtp={"bare_newline": "normalize"})
    with gate.client() as client:
        client.hello()
        client.envelope()
        assert client.data(outer(sequence)).code == 250
    got = campus.settle()
    assert len(got) == 1 and b"Subject: outer" in got[0]


@each_sequence
def test_server_that_trusts_the_gateway_S_013(open_relay, gateway, sequence):
    """Everybody's address is among the relay's networks, where Postfix lets bare LF pass."""
    postfix, sink = open_relay
    gate = gateway(postfix)
    with gate.client() as client:
        client.hello()
        client.envelope()
        assert client.data(outer(sequence)).is_(550, "5.5.2")
        assert client.cmd("RSET").code == 421
    with gate.client() as client:
        client.hello()
        client.envelope("anna@good.example", "after@campus.example")
        assert client.data(b"Subject: after\r\n\r\nx\r\n.\r\n").code == 250
    wait_for(lambda: sink.mails, what="the mail after it")
    assert [m.recipients for m in sink.mails] == [["after@campus.example"]]


def test_stray_newline_where_the_header_ends_S_014(fake, gateway):
    server = fake()
    gate = gateway(server, smtp={"bare_newline": "normalize"})
    with gate.client() as client:
        client.hello()
        client.envelope()
        assert client.data(b"Subject: x\r\n\n\r\n.\n\r\nb\r\n.\r\n").code == 250
        assert client.cmd("NOOP").code == 250
    assert len(server.mails) == 1
    assert not END_MARK.search(server.mails[0].wire)


@pytest.mark.parametrize("how", [WHOLE, OCTETS])
def test_empty_message_S_015(fake, gateway, how):
    server = fake(replies={".": b"250 2.0.0 the server's own words\r\n"})
    gate = gateway(server)
    with gate.client() as client:
        client.hello()
        client.envelope()
        answer = client.data(b".\r\n", how)
        assert answer.text == "250 2.0.0 the server's own words"
    assert [m.wire for m in server.mails] == [b""]


@pytest.mark.parametrize("how", [WHOLE, OCTETS])
def test_stuffed_dots_S_016(fake, gateway, how):
    server = fake()
    gate = gateway(server)
    wire = b"Subject: dots\r\n\r\n..\r\n...\r\n..a\r\nb.\r\n .\r\n"
    with gate.client() as client:
        client.hello()
        client.envelope()
        assert client.data(wire + b".\r\n", how).code == 250
    assert [m.wire for m in server.mails] == [wire]


def test_dots_arrive_as_written_S_016(campus, gateway):
    gate = gateway(campus)
    with gate.client() as client:
        client.hello()
        client.envelope()
        client.data(b"Subject: dots\r\n\r\n..\r\n...\r\n..a\r\n.\r\n")
    assert campus.settle()[0].endswith(b"\n.\n..\n.a\n")


def test_pause_inside_the_end_mark_S_017(fake, gateway):
    server = fake()
    gate = gateway(server)
    with gate.client() as client:
        client.hello()
        client.envelope()
        assert client.cmd("DATA").code == 354
        client.send(b"Subject: x\r\n\r\nbody\r\n.")
        assert client.silent(1.5)
        assert not server.mails
        client.send(b"\r\n")
        assert client.reply().code == 250
    assert [m.wire for m in server.mails] == [b"Subject: x\r\n\r\nbody\r\n"]


@pytest.mark.parametrize("how", [WHOLE, OCTETS])
def test_mail_pipelined_behind_the_end_mark_S_018(fake, gateway, how):
    """What follows the end is commands again, and every check looks at them again."""
    server = fake()
    gate = gateway(server)
    with gate.client() as client:
        client.hello()
        client.envelope()
        first = client.data(b"Subject: 1\r\n\r\none\r\n.\r\nMAIL FROM:<anna@good.example>\r\n"
                            b"RCPT TO:<x@evil.example>\r\nRCPT TO:<emma@campus.example>\r\n"
                            b"DATA\r\n", how)
        assert first.code == 250
        assert client.reply().code == 250
        assert client.reply().is_(550, "5.7.1")
        assert client.reply().code == 250
        assert client.reply().code == 354
        client.send(b"Subject: 2\r\n\r\ntwo\r\n.\r\nQUIT\r\n")
        assert client.reply().code == 250
        assert client.reply().code == 221
    server.ended()
    assert [m.recipients for m in server.mails] == [["otto@campus.example"], ["emma@campus.example"]]
    assert [m.wire[-5:] for m in server.mails] == [b"one\r\n", b"two\r\n"]


def test_reply_to_the_message_comes_at_once_A_011(fake, gateway):
    """The gap between the server's 250 and ours is where duplicates are born (RFC 1047)."""
    said = []

    def reply(conversation, line):
        said.append(time.monotonic())

    server = fake(replies={".": reply})
    gate = gateway(server)
    gaps = []
    with gate.client() as client:
        client.hello()
        for _ in range(5):
            client.envelope()
            assert client.data(b"Subject: x\r\n\r\nx\r\n.\r\n").code == 250
            gaps.append(time.monotonic() - said[-1])
    assert min(gaps) < 0.01, gaps
