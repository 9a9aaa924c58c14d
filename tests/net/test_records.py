"""What stands in the records: SECURITY case V-010, FIELD rows L1, L2, L3, L4, L6, L12, L15."""

import base64
import hashlib
import socket
import struct

import pytest

import lab as L
from peers import EHLO

MESSAGE = b"Subject: x\r\n\r\nx\r\n.\r\n"


def community_id(source, source_port, destination, destination_port):
    """community-id-spec version 1, seed 0, TCP; written from the specification."""
    family = socket.AF_INET6 if ":" in source else socket.AF_INET
    one = (socket.inet_pton(family, source), source_port)
    two = (socket.inet_pton(family, destination), destination_port)
    low, high = sorted((one, two))
    octets = (struct.pack("!H", 0) + low[0] + high[0] + struct.pack("!BB", 6, 0) +
              struct.pack("!HH", low[1], high[1]))
    return "1:" + base64.b64encode(hashlib.sha1(octets).digest()).decode()


@pytest.mark.parametrize("v6", [False, True], ids=["v4", "v6"])
def test_a_good_mail_L1_L6_L12(fake, gateway, v6):
    server, six = fake(), fake(L.FAKE6)
    gate = gateway(server, to6=(six.address, six.port))
    with gate.client(v6=v6) as client:
        port = client.sock.getsockname()[1]
        client.hello("me.good.example")
        client.envelope("anna@good.example", "otto@campus.example", "emma@campus.example")
        assert client.data(MESSAGE).code == 250
        assert client.cmd("QUIT").code == 221
    record = gate.record("smtp")
    here, there = (L.CLIENT6, L.GATEWAY6) if v6 else (L.CLIENT, L.GATEWAY)
    assert (record["src_ip"], record["src_port"]) == (here, port)
    assert (record["dest_ip"], record["dest_port"]) == (there, 25)
    assert record["proto"] == "TCP" and record["app_proto"] == "smtp"
    assert record["community_id"] == community_id(here, port, there, 25)
    up = record["upstream"]
    assert (up["dest_ip"], up["dest_port"]) == ((L.FAKE6, six.port) if v6 else
                                                (L.FAKE, server.port))
    assert up["community_id"] == community_id(up["src_ip"], up["src_port"], up["dest_ip"],
                                              up["dest_port"])
    assert record["smtp"]["helo"] == "me.good.example"
    assert "anna@good.example" in record["smtp"]["mail_from"]
    assert len(record["smtp"]["rcpt_to"]) == 2
    flow = gate.flow()
    assert flow["flow_id"] == record["flow_id"]
    assert flow["flow"]["bytes_toserver"] > len(MESSAGE)
    assert flow["flow"]["bytes_toclient"] > 100


def test_replies_and_who_said_them_L2_L3(fake, gateway):
    gate = gateway(fake())
    with gate.client() as client:
        client.hello()
        client.envelope()
        assert client.cmd("RCPT TO:<r@evil.example>").code == 550
        assert client.data(MESSAGE).code == 250
    replies = gate.record("smtp")["smtp"]["replies"]
    said = [(r["command"], r["code"], r["source"]) for r in replies]
    assert ("MAIL", 250, "server") in said
    assert ("RCPT", 250, "server") in said
    assert ("RCPT", 550, "gateway") in said
    refusal = next(r for r in replies if r["code"] == 550)
    assert refusal["enhanced"] == "5.7.1" and "r@evil.example" in refusal["rcpt"]


HOSTILE = {
    "escape": "a\x1b[2J\x1b[31m@good.example",
    "quote": '"a\\",\\"event_type\\":\\"forged"@good.example',
    "bidi": "a\u202egnp.exe@good.example",
    "json": '"{}[]\\\\"@good.example',
    "high": b"a\xff\xfe@good.example",
    "huge": "a" * 3000 + "@good.example",
}


@pytest.mark.parametrize("command", ["EHLO {}", "MAIL FROM:<{}>", "RCPT TO:<{}>", "{} x", "AUTH {}"])
@pytest.mark.parametrize("hostile", HOSTILE.values(), ids=HOSTILE.keys())
def test_no_forged_record_V_010_L15(fake, gateway, command, hostile):
    gate = gateway(fake())
    hostile = hostile.encode() if isinstance(hostile, str) else hostile
    before, after = (part.encode() for part in command.split("{}"))
    with gate.client() as client:
        client.hello()
        if "RCPT" in command:
            client.cmd("MAIL FROM:<anna@good.example> SMTPUTF8")
        client.cmd(before + hostile + after)
        client.cmd("QUIT")
    gate.flow()
    text = gate.log.read_bytes().decode("utf-8")  # raises when it is not UTF-8
    for line in text.split("\n"):
        assert not any(ord(c) < 0x20 or ord(c) == 0x7f for c in line), line
        assert "\u202e" not in line and len(line) < 16384
    assert {r["event_type"] for r in gate.records()} <= {"smtp", "flow", "anomaly", "stats"}


def test_reply_of_a_hostile_server_V_010(fake, gateway):
    hostile = b"550 5.1.1 \x1b[2Jno \xff\"}\x07\r\n"
    gate = gateway(fake(replies={"RCPT": hostile}))
    with gate.client() as client:
        client.hello()
        client.cmd("MAIL FROM:<anna@good.example>")
        assert client.cmd("RCPT TO:<otto@campus.example>").code == 550
    gate.flow()
    text = gate.log.read_bytes().decode("utf-8")
    assert "\x1b" not in text and "\x07" not in text
    assert any(r["code"] == 550 for r in gate.record("smtp")["smtp"]["replies"])


def test_user_but_not_the_password_L4(fake, gateway):
    gate = gateway(fake(ehlo=(*EHLO, "AUTH PLAIN")))
    secret = base64.b64encode(b"\0anna\0open-sesame").decode()
    with gate.client() as client:
        client.hello()
        assert client.cmd(f"AUTH PLAIN {secret}").code == 235
        client.envelope()
        assert client.data(MESSAGE).code == 250
    text = str(gate.record("smtp"))
    assert "PLAIN" in text and "anna" in text.replace("anna@good.example", "")
    assert "sesame" not in text and secret not in text
