"""Odd servers: whatever a server says, the client gets whole replies, one a command, and an end."""

import json
import re

import pytest

from conftest import cases_folder
from dialogue import Server
from formats import Curl, Ron

CASES = cases_folder()
RONS = sorted((CASES / "attacks/starttls-client-tests/smtp").rglob("*.ron"))
CURLS = [e["test"] for e in json.loads((CASES / "dialogues/curl/INDEX.json").read_text())
         if "smtp" in e["server"] and (CASES / f"dialogues/curl/test{e['test']}.xmlish").exists()]


def closed(code):
    return code in (221, 421, None)


class Talk:
    """A client that asks, step by step, and holds the gateway to one reply for each command."""

    def __init__(self, client):
        self.client = client
        self.asked = 1  # the greeting counts
        self.code = self.listen()

    def listen(self):
        reply = self.client.reply()
        return reply[0] if reply else None

    def ask(self, line):
        if self.code is None:
            return None
        self.asked += 1
        self.client.send(line + b"\r\n")
        self.code = self.listen()
        return self.code

    def body(self, octets):
        self.asked += 1
        self.client.send(octets)
        self.code = self.listen()
        return self.code

    def end(self):
        """No reply may be left over but one that says that the session is over."""
        self.ask(b"QUIT")
        self.client.drain()
        extra = self.client.replies[self.asked :]
        assert all(closed(code) for code, _ in extra), f"unasked: {extra}"


@pytest.mark.parametrize("path", RONS, ids=[str(p.relative_to(CASES / "attacks/starttls-client-tests/smtp"))
                                            for p in RONS])
def test_server_of_ron(lab, path):
    case = Ron(path.read_text())
    server = Server(replies=case.replies, capabilities=case.capabilities)
    lab.start(server)
    talk = Talk(lab.client())
    if case.replies.get("GREETING", b"220")[:1] != b"2":
        assert talk.code is None or talk.code >= 400, talk.client.replies
    if talk.ask(b"EHLO client.example") not in (250, None):
        talk.ask(b"HELO client.example")
    if "STARTTLS" in case.capabilities or "STARTTLS" in case.replies:
        if talk.ask(b"STARTTLS") == 220:
            # in the clear where TLS was promised: an opaque relay that ends when one side does
            talk.client.close()
            lab.gateway.wait_flow()
            return
    talk.ask(b"RSET")
    talk.ask(b"NOOP")
    talk.ask(b"MAIL FROM:<sender@example.com>")
    talk.ask(b"RCPT TO:<recipient@example.com>")
    if talk.ask(b"DATA") == 354:
        talk.body(b"Subject: one\r\n\r\nbody\r\n.\r\n")
    talk.end()
    lab.gateway.wait_flow()
    mails = [code for code, _ in talk.client.replies if code == 250]
    assert len(server.mails) <= 1 and (mails or not server.mails)


def play_curl(talk, case):
    """curl's own lines, each after the reply to the one before."""
    lines = list(case.lines)
    while lines and talk.code is not None:
        line = lines.pop(0).rstrip(b"\r")
        if line == b"QUIT":
            return
        if talk.ask(line) == 354:
            talk.body(case.upload + b".\r\n")
        if talk.code == 221:
            return


@pytest.mark.parametrize("number", CURLS)
def test_server_of_curl(lab, number):
    # the tests of curl write raw octets into their files
    case = Curl(number, (CASES / f"dialogues/curl/test{number}.xmlish").read_text("latin-1"))
    server = Server(replies=case.replies, capabilities=case.capabilities)
    lab.start(server)
    talk = Talk(lab.client())
    assert talk.code == 220
    play_curl(talk, case)
    talk.end()
    lab.gateway.wait_flow()
    if b"DATA" in case.lines and 354 in [code for code, _ in talk.client.replies]:
        assert [re.sub(rb"(\A|\r\n)\.", rb"\1", case.upload)] == server.mails
    secrets = [line for line in case.lines if re.fullmatch(rb"[A-Za-z0-9+/]{16,}=*", line)]
    log = lab.gateway.log.read_bytes()
    assert not [s for s in secrets if s in log], "a SASL line is in a record"
