"""
The wire and the gateway agree: a session goes through the gateway while it is recorded on the client's
side, and "postern read" of the capture says what the gateway wrote, field by field. SECURITY case X-009;
FIELD row L11, T13.
"""

import re

import pytest

import lab as L
import mails
from ftp_clients import PAIRS, pair_name
from lab import ROOT
from mail_clients import ALL, program_name
from wire_lab import ONE_SIDED, SOMETIMES, Wire, agree, look_up, run_read
from wire_sessions import APART, IMPLICIT_PORTS, SESSIONS, Visit, Way, server_for

# sender checks and by_mx ask the DNS: tests of their own, below
UNASKED = {"relay": {"by_mx": False}, "sender_domain": {"check": "off"}}
IN_THE_CLEAR = [Way("tproxy"), Way("forward", v6=True)]
OTHER_WAYS = [Way("tproxy", v6=True), Way("forward"), Way("tproxy", tls="1.3"), Way("forward", tls="1.2"),
              Way("forward", v6=True, tls="1.3"), Way("tproxy", tls="1.2", implicit=True),
              Way("forward", tls="1.3", implicit=True)]


def settings_for(way, protocol, settings, ours, key_log):
    """Of the gateway, in the clear or where TLS ends at it."""
    settings = {name: dict(value) for name, value in settings.items()}
    smtp = settings.setdefault("smtp", {})
    for name, value in UNASKED.items():
        smtp[name] = {**value, **smtp.get(name, {})}
    if not way.tls:
        return settings
    section = settings.setdefault(protocol, {})
    if protocol != "ftp":
        section.setdefault("starttls", "intercept")
    if way.implicit and way.mode == "tproxy":
        section["tls_ports"], section["ports"] = [IMPLICIT_PORTS[protocol]], [1]
    elif way.implicit:
        settings["forward"] = {"mx6" if way.v6 else "mx": {"implicit_tls": True}}
    return {**settings, "certificate": {"mx": ours.section}, "tls": {"key_log": str(key_log)}}


class Stage:
    """Server, gateway and wire of one test."""

    def __init__(self, lab, start, wires, ours, theirs, tmp_path):
        self.lab, self.start, self.wires = lab, start, wires
        self.ours, self.theirs, self.tmp = ours, theirs, tmp_path

    def play(self, way, *names):
        """These sessions, one after the other, through one gateway; then both are compared."""
        protocol, _, options, settings = SESSIONS[names[0]]
        key_log = self.tmp / "keys"
        address = L.FAKE6 if way.v6 else L.FAKE
        with server_for(self.lab, address, way, protocol, self.theirs, options) as server:
            there = (server.address, server.port)
            gate = self.start(None if way.v6 else there, to6=there if way.v6 else None, protocol=protocol,
                              mode=way.mode, **settings_for(way, protocol, settings, self.ours, key_log))
            wire = self.wires(self.lab.client)
            for name in names:
                SESSIONS[name][1](Visit(gate, way, protocol, server, self.lab))
            self.finish(gate, wire, *(["--keylog", key_log] if way.tls else []),
                        apart={k: why for name in names for k, why in APART[name].items()})

    @staticmethod
    def finish(gate, wire, *options, **more):
        gate.stop()  # so that every record is written
        assert gate.records("flow")
        return agree(gate, wire.stop(), *options, **more)


@pytest.fixture
def wires(tmp_path):
    """Records a namespace's device: wires(namespace)."""
    made = []

    def make(namespace, device="eth0"):
        made.append(Wire(namespace, tmp_path / f"wire{len(made)}.pcap", device))
        return made[-1]

    yield make
    for wire in made:
        wire.kill()


@pytest.fixture
def stage(lab, gateway, wires, ours, theirs, tmp_path):
    return Stage(lab, gateway, wires, ours, theirs, tmp_path)


@pytest.mark.parametrize("way", IN_THE_CLEAR, ids=str)
@pytest.mark.parametrize("name", SESSIONS)
def test_a_session_X_009_L11(stage, name, way):
    stage.play(way, name)


def plain_sessions(protocol):
    """Those that want neither a server nor a gateway of their own: one capture can have them all."""
    return [name for name, (p, _, server, settings) in SESSIONS.items()
            if p == protocol and not settings and not APART[name] and server in ({}, {"messages": mails.TAME})]


@pytest.mark.parametrize("way", OTHER_WAYS, ids=str)
@pytest.mark.parametrize("protocol", ["smtp", "ftp", "pop3", "imap"])
def test_many_sessions_X_009_T13(stage, protocol, way):
    names = plain_sessions(protocol)
    names.sort(key=lambda name: not SESSIONS[name][2])  # the server is made for the first
    names.sort(key=lambda name: SESSIONS[name][2] == {})
    assert len(names) >= 2
    stage.play(way, *names)


@pytest.mark.parametrize("way", [Way("forward", tls="1.3"), Way("tproxy", tls="1.2", implicit=True)], ids=str)
@pytest.mark.parametrize("name", [n for n, s in SESSIONS.items() if n not in plain_sessions(s[0])
                                  and n != "smtp-starttls_refused"])
def test_other_sessions_under_TLS_T13(stage, name, way):
    stage.play(way, name)


def test_without_keys_nothing_is_made_up_X_006(stage, fake, ours, theirs, lab, gateway, wires, tmp_path):
    """The dialogue ahead of TLS is there, what is inside is opaque, and says so."""
    way = Way("forward", tls="1.3")
    with server_for(lab, L.FAKE, way, "smtp", theirs, {}) as server:
        gate = gateway((server.address, server.port), **settings_for(way, "smtp", {}, ours, tmp_path / "keys"))
        wire = wires(lab.client)
        SESSIONS["smtp-one_mail"][1](Visit(gate, way, "smtp", server, lab))
        gate.stop()
    assert gate.records("smtp")
    read, _ = run_read("-c", gate.file, wire.stop().path)
    assert not [r for r in read if r["event_type"] in ("smtp", "email")]
    assert [r["flow"]["opaque"] for r in read if r["event_type"] == "flow"] == [True]


# ---- checks that ask the DNS ----

SENDERS = {"nosuch": "a@nosuch.example", "null-mx": "a@nullmx.example", "localhost": "a@localhostmx.example",
           "loopback": "a@loopbackmx.example", "address": "a@ipmx.example", "private": "a@privatemx.example",
           "dead": "a@deadmx.example", "good": "a@good.example", "a-only": "a@aonly.example",
           "aaaa-only": "a@aaaaonly.example", "empty": "a@empty.example", "none": "anna", "null": ""}
HOSTS = ["localhost", "mx.loopbackmx.example", "mx.privatemx.example", "gone.deadmx.example", "mx.good.example"]


def sends(gate, sender, recipient="otto@campus.example"):
    with gate.client() as client:
        client.hello()
        if client.cmd(f"MAIL FROM:<{sender}>").code == 250 and client.cmd(f"RCPT TO:<{recipient}>").code == 250:
            assert client.data(b"Subject: x\r\n\r\nx\r\n.\r\n").code == 250
        client.cmd("QUIT")


@pytest.mark.parametrize("sender", SENDERS.values(), ids=SENDERS.keys())
def test_senders_with_answers_in_the_capture(stage, fake, gateway, wires, lab, dns, sender):
    gate = gateway(fake(port=25))
    wire = wires(lab.client)
    look_up(lab.client, L.UNBOUND, *filter(None, [sender.partition("@")[2]]), *HOSTS)
    sends(gate, sender)
    stage.finish(gate, wire)


@pytest.mark.parametrize("sender", SENDERS.values(), ids=SENDERS.keys())
def test_senders_with_answers_of_today(stage, fake, gateway, wires, lab, dns, sender):
    gate = gateway(fake(port=25))
    wire = wires(lab.client)
    sends(gate, sender)
    stage.finish(gate, wire, "--resolve", namespace=lab.gateway)


def test_without_answers_it_is_left_undecided(fake, gateway, wires, lab, dns):
    gate = gateway(fake(port=25))
    wire = wires(lab.client)
    sends(gate, "a@nosuch.example")
    gate.stop()
    assert gate.records("smtp")[0]["verdict"]["action"] == "refuse"
    read, _ = run_read("-c", gate.file, wire.stop().path)
    verdicts = [r["verdict"] for r in read if r["event_type"] == "smtp"]
    assert [(v["rule"], v["action"]) for v in verdicts] == [("sender_domain", "undecided")]


@pytest.mark.parametrize("recipient", ["a@dept.example", "a@hosted.example", "a@evil.example"])
def test_by_mx_with_answers_in_the_capture(stage, fake, gateway, wires, lab, dns, recipient):
    gate = gateway(fake(port=25), smtp={"sender_domain": {"check": "off"}})
    wire = wires(lab.client)
    look_up(lab.client, L.UNBOUND, recipient.partition("@")[2], "relay.campus.example", "mx.good.example",
            "fake.hosted.example", "mx.evil.example")
    sends(gate, "a@good.example", recipient)
    stage.finish(gate, wire)


# ---- real programs, real servers ----


def test_swaks_and_curl_before_postfix(stage, campus, gateway, wires, lab, tmp_path):
    gate = gateway(campus, to6=L.MX6, smtp=UNASKED)
    wire = wires(lab.client)
    (tmp_path / "file.bin").write_bytes(mails.octets(200_000))
    for address in (L.GATEWAY, L.GATEWAY6):
        for more in ([], ["--pipeline"], ["--attach", f"@{tmp_path}/file.bin"]):
            done = lab.client.run("swaks", "--server", address, "--helo", "client.good.example", "--from",
                                  "anna@good.example", "--to", "otto@campus.example,emma@campus.example", *more)
            assert done.returncode == 0, done.stdout
        url = f"smtp://{f'[{address}]' if ':' in address else address}/client.good.example"
        done = lab.client.run("curl", "-sS", "--noproxy", "*", url, "--mail-from", "anna@good.example",
                              "--mail-rcpt", "otto@campus.example", "-T", "-", input="Subject: by curl\r\n\r\nx\r\n")
        assert done.returncode == 0, done.stderr
    stage.finish(gate, wire, at_least=8)


@pytest.mark.parametrize("mode", ["tproxy", "forward"])
def test_swaks_under_TLS_before_postfix_T13(stage, campus, gateway, wires, lab, ours, mode, tmp_path):
    keys = tmp_path / "keys"
    gate = gateway(campus, smtp={**UNASKED, "starttls": "intercept"}, certificate={"mx": ours.section},
                   tls={"key_log": str(keys)})
    wire = wires(lab.client)
    done = lab.client.run("swaks", "--server", L.MX if mode == "tproxy" else L.GATEWAY, "-tls", "--from",
                          "anna@good.example", "--to", "otto@campus.example", "--attach", f"@{__file__}")
    assert done.returncode == 0, done.stdout
    stage.finish(gate, wire, "--keylog", keys)


def before(gate, server, v6):
    if gate.transparent:
        return server.address6 if v6 else server.address
    return L.GATEWAY6 if v6 else L.GATEWAY


@pytest.mark.parametrize("mode,v6", [("tproxy", False), ("forward", True)])
@pytest.mark.parametrize("program", ALL, ids=program_name)
def test_mailboxes_by_real_programs(stage, gateway, wires, lab, mailbox_server, client_folder, program, mode, v6):
    account = mailbox_server.account(mails.TAME)
    gate = gateway(mailbox_server, protocol=program.protocol)
    wire = wires(lab.client)
    got, told = program.fetch(lab.client, before(gate, mailbox_server, v6), account, client_folder, len(mails.TAME))
    assert len(got) == len(mails.TAME), told
    stage.finish(gate, wire)


def test_imap_of_a_real_server_by_parts(stage, gateway, wires, lab, mailbox_server):
    account = mailbox_server.account([mails.nested(), mails.with_file(), mails.plain()])
    gate = gateway(mailbox_server, protocol="imap")
    wire = wires(lab.client)
    with gate.client() as client:
        client.login(account.user, account.password).select()
        for items in ("BODYSTRUCTURE", "ENVELOPE", "BODY.PEEK[HEADER]", "BODY.PEEK[1]", "BODY.PEEK[1.1]",
                      "(BODY.PEEK[1.MIME] BODY.PEEK[2])", "BODY.PEEK[3.HEADER]", "BODY.PEEK[3.1]", "RFC822.TEXT",
                      "(UID FLAGS RFC822.SIZE BODY[TEXT]<0.50>)", "BODY.PEEK[]<100.1000>", "RFC822"):
            client.cmd(f"FETCH 1 {items}")
        client.cmd("UID FETCH 1:* (BODY.PEEK[])")
        assert client.append(mails.nested("new")).ok
        client.logout()
    stage.finish(gate, wire)


@pytest.fixture
def files_stage(perimeter, ftp_gateway, wires, ours, theirs, tmp_path):
    return Stage(perimeter, ftp_gateway, wires, ours, theirs, tmp_path)


@pytest.mark.parametrize("mode", ["tproxy", "forward"])
@pytest.mark.parametrize("pair", PAIRS, ids=pair_name)
def test_files_by_real_programs(files_stage, ftp_server, mode, pair, tmp_path):
    program, way = pair
    server = ftp_server(("vsftpd", "pureftpd", "proftpd")[PAIRS.index(pair) % 3])
    gate = files_stage.start(server)
    wire = files_stage.wires(files_stage.lab.client)
    server.put("down", mails.octets(1 << 20))
    (tmp_path / "up").write_bytes(mails.octets(300_000, 2))
    told = program.run(files_stage.lab, before(gate, server, way.v6), way, tmp_path)
    assert (tmp_path / "got").read_bytes() == mails.octets(1 << 20), told
    read = files_stage.finish(gate, wire)
    assert {r["ftp_data"]["command"] for r in read if r["event_type"] == "ftp_data"} >= {"RETR", "STOR"}


# ---- the table of what only one can know ----


def test_the_documentation_has_the_same_table():
    text = (ROOT / "docs/captures.md").read_text()
    section = text.split("## What the gateway alone knows", 1)[1].split("\n##", 1)[0]
    named = re.findall(r"^\| `([^`]+)` \|", section, re.MULTILINE)
    assert sorted(named) == sorted([*ONE_SIDED, *SOMETIMES, "anomaly.event"])
