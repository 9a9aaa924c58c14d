"""N-001, N-005: what is said ahead of the handshake ends the session, whoever says it."""

import json
import time

import pytest

from conftest import cases_folder
from dialogue import Server
from formats import unescape

TABLE = json.loads((cases_folder() / "attacks/starttls-injection.json").read_text())
COMMANDS = [c for c in TABLE["command_injection"] if c["proto"] == "smtp"]
RESPONSES = [r for r in TABLE["response_injection"] if r["proto"] == "smtp"]


@pytest.mark.parametrize("case", COMMANDS, ids=[f"port {c['port']}" for c in COMMANDS])
def test_N_command_injection(lab, case):
    lab.start()
    client = lab.client()
    assert client.reply()[0] == 220
    hello, injection = (unescape(step) for step in case["steps"])
    client.send(hello)
    assert client.reply()[0] == 250
    before = len(client.replies)
    client.send(injection)
    client.drain()
    flow = lab.gateway.wait_flow()
    # not the octets behind STARTTLS, in whatever form, and no reply to them
    behind = injection.split(b"\r\n", 1)[1]
    for line in filter(None, behind.split(b"\r\n")):
        assert line not in lab.server.octets
    assert len(client.replies) <= before + 1
    events = [r["anomaly"]["event"] for r in lab.gateway.records("anomaly")]
    assert {"failed_protocol_change", "invalid_pipelined_sequence"} & set(events), events
    assert flow["flow"]["reason"] not in ("client_quit",), flow


@pytest.mark.parametrize("case", RESPONSES, ids=[r["source"].split("/")[-1] for r in RESPONSES])
def test_N_response_injection(lab, case):
    said = unescape(case["server_sends"])
    lab.start(Server(replies={"STARTTLS": said}))
    client = lab.client()
    assert client.reply()[0] == 220
    assert client.ask(b"EHLO x")[0] == 250
    client.send(b"STARTTLS\r\n")
    client.drain()
    lab.gateway.wait_flow()
    behind = said.split(b"\r\n", 1)[1]
    assert behind not in b"".join(octets for _, octets in client.replies) + client.waiting
    assert b"AUTH LOGIN" not in b"".join(octets for _, octets in client.replies[2:])
    events = [r["anomaly"]["event"] for r in lab.gateway.records("anomaly")]
    assert "failed_protocol_change" in events, events


def test_N_control_tls_passes(lab):
    """The same session with nothing injected: the octets behind the 220 pass both ways untouched."""
    hello, answer = b"\x16\x03\x01\x00\x05hello", b"\x16\x03\x03\x00\x06answer"
    server = Server()
    lab.start(server)
    client = lab.client()
    assert client.reply()[0] == 220
    assert client.ask(b"EHLO x")[0] == 250
    assert client.ask(b"STARTTLS")[0] == 220
    client.send(hello)
    session = server.sessions[0]
    poll(lambda: session.opaque == hello)
    session.sock.sendall(answer)
    while client.waiting != answer:
        assert client.fill()


def poll(condition):
    end = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < end, "never came true"
        time.sleep(0.01)
