"""R: the sixteen forms in which relay testers disguise a foreign recipient."""

import json

import pytest

from conftest import cases_folder

TABLE = json.loads((cases_folder() / "attacks/open-relay-addresses.json").read_text())
# The client is 127.0.0.1 and outside; the server counts as inside because a forward section names it.
CAMPUS = """
    error_delay = 0
    sender_domain { check = off }
    relay { check = enforce  by_mx = no  local_domains = {"victim.example", ".victim.example"} }
"""


def greet(lab):
    client = lab.client()
    assert client.reply()[0] == 220
    assert client.ask(b"EHLO attacker.example")[0] == 250
    return client


@pytest.mark.parametrize("form", TABLE["tests"], ids=[f"{t['n']:02} {t['why']}" for t in TABLE["tests"]])
def test_R_open_relay_form(lab, form):
    lab.start(smtp=CAMPUS)
    client = greet(lab)
    mail = client.ask(f"MAIL FROM:{form['mail_from']}".encode())
    code, text = client.ask(f"RCPT TO:{form['rcpt_to']}".encode())
    assert 500 <= code <= 599, text
    # it was the recipient that was refused, not the sender
    assert mail[0] == 250, mail
    assert client.ask(b"QUIT")[0] == 221
    client.drain()
    lab.gateway.wait_flow()
    assert not [c for c in lab.server.sessions[0].commands if c.upper().startswith(b"RCPT")]


def test_R_control_local_recipient(lab):
    lab.start(smtp=CAMPUS)
    client = greet(lab)
    assert client.ask(b"MAIL FROM:<antispam@outside.example>")[0] == 250
    assert client.ask(b"RCPT TO:<someone@victim.example>")[0] == 250
    assert client.ask(b"RCPT TO:<someone@dept.victim.example>")[0] == 250
    assert client.ask(b"RCPT TO:<relaytest@outside.example>")[0] == 550
    assert client.ask(b"QUIT")[0] == 221
    client.drain()
    lab.gateway.wait_flow()
    rcpts = [c for c in lab.server.sessions[0].commands if c.upper().startswith(b"RCPT")]
    assert rcpts == [b"RCPT TO:<someone@victim.example>", b"RCPT TO:<someone@dept.victim.example>"]
