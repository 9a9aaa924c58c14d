"""S-001 to S-010: no other sequence than CR LF . CR LF ends a message, here or at any server."""

import json
import re

import pytest

from conftest import cases_folder

CASES = cases_folder()
TABLE = json.loads((CASES / "attacks/smtp-smuggling.json").read_text())
VARIANTS = {v["id"]: v for v in TABLE["end_of_data_variants"]}
MODEL = (CASES / "attacks/smtp-smuggling/client-lf-dot-lf.bin").read_bytes()
STRAY = re.compile(rb"\r(?!\n)|(?<!\r)\n|\0")
CHECKS_OFF = "error_delay = 0 relay { check = off } sender_domain { check = off }"


def client_stream(variant):
    """The stream of the case, or, where it has none, the model's with its sequence."""
    path = CASES / "attacks" / variant["client_stream"]
    if path.exists():
        return path.read_bytes()
    assert MODEL.count(b"\n.\nMAIL FROM") == 1
    return MODEL.replace(b"\n.\nMAIL FROM", bytes.fromhex(variant["hex"]) + b"MAIL FROM").replace(
        b"lf-dot-lf", variant["id"].encode())


def play(client, stream, step=None):
    """Sends the stream as its client would: commands one by one, the body and the rest at once."""
    assert client.reply()[0] == 220
    head, body = stream.split(b"DATA\r\n", 1)
    for line in head.split(b"\r\n")[:-1]:
        assert client.ask(line)[0] == 250
    assert client.ask(b"DATA")[0] == 354
    client.send(body, step)
    client.drain()


@pytest.mark.parametrize("step", [None, 1], ids=["whole", "octets"])
@pytest.mark.parametrize("variant", VARIANTS)
def test_S_001_to_S_010_rejected(lab, variant, step):
    lab.start(smtp="bare_newline = reject " + CHECKS_OFF)
    client = lab.client()
    play(client, client_stream(VARIANTS[variant]), step)
    flow = lab.gateway.wait_flow()
    assert lab.server.mails == []
    assert b"ceo@victim.example" not in b"\n".join(lab.server.sessions[0].commands)
    assert any(code == 550 and b"5.5.2" in text for code, text in client.replies), client.replies
    record = lab.gateway.records("smtp")[0]
    assert record["verdict"]["action"] != "pass", record
    assert flow["flow_id"] == record["flow_id"]


@pytest.mark.parametrize("step", [None, 1], ids=["whole", "octets"])
@pytest.mark.parametrize("variant", VARIANTS)
def test_S_012_normalized(lab, variant, step):
    lab.start(smtp="bare_newline = normalize " + CHECKS_OFF)
    client = lab.client()
    play(client, client_stream(VARIANTS[variant]), step)
    lab.gateway.wait_flow()
    assert len(lab.server.mails) == 1
    assert not STRAY.search(lab.server.octets), "a stray octet reached the server"
    assert b"Subject: outer" in lab.server.mails[0] and b"Subject: SMUGGLED" in lab.server.mails[0]
    # the first line of the message that hides must not have come to stand behind an end mark
    assert b"\r\n.\r\n" not in lab.server.mails[0]


def test_control_two_real_mails(lab):
    stream = (CASES / "attacks/smtp-smuggling/control-two-real-mails.bin").read_bytes()
    lab.start(smtp="bare_newline = reject " + CHECKS_OFF)
    client = lab.client()
    assert client.reply()[0] == 220
    first, second = stream.split(b"\r\n.\r\n", 1)
    for part in (first + b"\r\n.\r\n", second):
        head, body = part.split(b"DATA\r\n", 1)
        for line in head.split(b"\r\n")[:-1]:
            assert client.ask(line)[0] == 250
        assert client.ask(b"DATA")[0] == 354
        client.send(body)
        assert client.reply()[0] == 250
    client.drain()
    assert [b"Subject: one" in m or b"Subject: two" in m for m in lab.server.mails] == [True, True]
    assert b"\r\n.dot-stuffed\r\n" in lab.server.mails[0]


def test_S_018_next_mail_in_the_same_segment(lab):
    stream = (CASES / "attacks/smtp-smuggling/control-two-real-mails.bin").read_bytes()
    lab.start(smtp="bare_newline = reject " + CHECKS_OFF)
    client = lab.client()
    assert client.reply()[0] == 220
    head, first, last = stream.split(b"DATA\r\n")
    for line in head.split(b"\r\n")[:-1]:
        assert client.ask(line)[0] == 250
    assert client.ask(b"DATA")[0] == 354
    client.send(first + b"DATA\r\n")
    assert [client.reply()[0] for _ in range(4)] == [250, 250, 250, 354]
    client.send(last)
    client.drain()
    assert len(lab.server.mails) == 2
