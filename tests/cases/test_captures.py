"""Sessions that others captured, through the gateway once more: the same mails must arrive."""

import collections
import dataclasses
import hashlib
import json
import re
import socket

import pytest

import capture
from conftest import cases_folder
from dialogue import Server
from gate import SMTP

CASES = cases_folder()


# Sessions that need a setting, since they are outside what RFC 5321 or our defaults let through.
SETTINGS = {
    "suricata-verify/bug-6207-1/input.pcap": "lenient_paths = yes",
    "suricata-verify/issue-4220-01-ids/1flowB.pcap": "lenient_paths = yes",
    "zeek/smtp__rfc3030-bdat-nonascii/rfc3030-bdat-nonascii.pcap": "lenient_paths = yes",
    "zeek/smtp__smtp-many-addresses/smtp-many-addresses.pcap": "hops = 1000",  # it has 600
}
# Messages that a gateway must not pass on, with the reply that says why.
REFUSED = {
    "suricata-verify/bug-6207-1/input.pcap": b"550 5.5.2 Error: bare <LF>",
    "suricata-verify/smtp-extract-url-schemes/input.pcap": b"550 5.5.2 Error: bare <LF>",
    "suricata-verify/smtp-pipelined-rset-data-replies/input.pcap": b"503 5.5.1",  # DATA without MAIL
    # every line ends in a bare LF, the server's too
    "suricata-verify/smtp-url-base64/smtp-url-b64.pcap": b"421 4.3.0",
}


@dataclasses.dataclass
class Case:
    name: str
    path: str
    facts: dict  # of oracle.json: client, server, mails


def oracle_cases():
    for entry in json.loads((CASES / "oracle.json").read_text())["pcap"]:
        sessions = [s for s in entry.get("derived") or [] if s.get("proto") == "smtp"]
        for session in sessions:
            name = entry["file"].removeprefix("pcap/")
            if len(sessions) > 1:
                name += f" stream {session['stream']}"
            yield Case(name, entry["file"], session)


def replies_of(octets):
    """A server's stream in whole replies; the last may be what is none."""
    found = [m[0] for m in re.finditer(rb"(?:[0-9]{3}-[^\n]*\n)*[0-9]{3}(?:[ \r][^\n]*)?\n", octets)]
    rest = octets[sum(len(reply) for reply in found) :]
    return found + ([rest] if rest else [])


@dataclasses.dataclass
class Unit:
    """What a client sends before it waits for a reply."""

    octets: bytes
    verb: str  # "." for a body, "SASL" for a line of an exchange, "TLS" for what nobody reads


def units_of(client, replies):
    """A client's stream cut where it must wait for the server's word."""
    queue, at = collections.deque(replies[1:]), 0
    bodies = sum(reply[:3] == b"354" for reply in replies)  # not by turn: a capture may lack a reply
    units, state = [], ""
    while at < len(client):
        if state == "TLS":
            end = len(client)
            unit = Unit(client[at:], "TLS")
        elif state == ".":
            mark = client.find(b"\r\n.\r\n", at)
            end = mark + 5 if mark >= 0 else len(client)
            if client.startswith(b".\r\n", at):
                end = at + 3
            unit = Unit(client[at:end], ".")
        else:
            found = client.find(b"\n", at)
            end = found + 1 if found >= 0 else len(client)
            verb = client[at:end].split()[0].decode("latin-1").upper() if client[at:end].split() else ""
            unit = Unit(client[at:end], "SASL" if state == "SASL" else verb)
            size = re.match(rb"BDAT (\d+)", client[at:end], re.I)
            if size:
                end = min(len(client), end + int(size[1]))
                unit.octets = client[at:end]
        units.append(unit)
        at = end
        code = queue.popleft()[:3] if queue else b""
        if unit.verb == "DATA" and bodies:
            bodies, state = bodies - 1, "."
        elif unit.verb == "STARTTLS" and code == b"220":
            state = "TLS"
        else:
            state = "SASL" if code == b"334" else ""
    return units


def server_of(units, replies):
    """A server that gives every verb the replies that it got in the capture, in their order."""
    said = collections.defaultdict(list)
    if replies:
        said["GREETING"].append(replies[0])
    queue = collections.deque(replies[1:])
    for unit in units:
        # a capture may lack a reply: 354 belongs to DATA and to nothing else
        if queue and unit.verb != "DATA" and queue[0][:3] == b"354":
            continue
        if queue:
            last = unit.verb == "BDAT" and b"LAST" in unit.octets[:80]
            said["." if last else unit.verb].append(queue.popleft())
    return Server(replies=said)


def replay(client, units):
    """Sends them one by one, each when its turn has come, and reads to the end."""
    if client.reply() is None:
        return
    for unit in units:
        client.send(unit.octets)
        if unit.verb == "TLS" or client.reply() is None:
            break
    try:
        client.sock.shutdown(socket.SHUT_WR)
    except OSError:
        pass
    client.drain()


def fingerprint(mail):
    return len(mail), hashlib.sha256(mail).hexdigest()


@pytest.mark.parametrize("case", oracle_cases(), ids=lambda case: case.name)
def test_session_again(lab, case):
    facts = case.facts
    port = int(facts["server"].rsplit(":", 1)[1])
    ends = [re.sub(r"[\[\]]", "", facts[side]) for side in ("client", "server")]
    stream = next(s for s in capture.streams(CASES / case.path, {port}) if [s.client, s.server] == ends)
    replies = replies_of(stream.octets(False))
    units = units_of(stream.octets(True), replies)
    lab.start(server_of(units, replies), smtp=SMTP + SETTINGS.get(case.name, ""))
    client = lab.client()
    replay(client, units)
    lab.gateway.wait_flow()
    if case.name in REFUSED:
        assert lab.server.mails == []
        assert any(text.startswith(REFUSED[case.name]) for _, text in client.replies), client.replies
        return
    # without a final reply in the capture, the message is not known to have come to its end
    wanted = [(m["size"], m["sha256"]) for m in facts.get("mails", []) if m["final_reply"]]
    assert [fingerprint(mail) for mail in lab.server.mails] == wanted
