"""
What the gateway writes to capture files ("capture" in the configuration), as tshark shows it: SECURITY
case X-007, FIELD rows T13 and L9.
"""

import base64
import json
import os
import signal
import stat
import subprocess

import pytest

import lab as L
from captured import USER, Captures
from gateway import BINARY
from lab import wait_for
from peers import EHLO
from retrieval_peers import FakeImap, FakePop3
from tls_ftp_peers import TlsFtp, TlsFtpClient
from tls_peers import TlsClient, TlsImap, TlsPop3, starttls_reply

PASSWORD = b"correct-horse-battery"
MAIL = b"Subject: seen\r\n\r\nwhoever passes\r\n"
BODY = b"whoever passes"


@pytest.fixture
def captures(lab):
    return Captures(lab)


@pytest.fixture
def server(lab, theirs):
    """server(protocol, **options): a scripted one that has TLS, and takes any password."""
    made = []

    def make(protocol, **options):
        tls, replies = theirs.server_context(), options.pop("replies", {})
        if protocol == "ftp":
            made.append(TlsFtp(lab.server, L.FAKE, theirs, replies=replies, files={"down": BODY * 5000}, **options))
        elif protocol == "pop3":
            replies = {"STLS": starttls_reply(tls, b"+OK go\r\n"), **replies}
            made.append(FakePop3(lab.server, L.FAKE, messages=[MAIL], replies=replies, **options))
        else:
            replies = {"STARTTLS": starttls_reply(tls, b"<tag> OK go\r\n"), **replies}
            made.append(FakeImap(lab.server, L.FAKE, messages=[MAIL], replies=replies,
                                 capabilities=FakeImap.CAPABILITIES + " STARTTLS", **options))
        return made[-1]

    yield make
    for one in made:
        one.close()
        assert not one.errors, one.errors


@pytest.fixture
def smtp(fake, theirs):
    def start(**options):
        replies = {"STARTTLS": starttls_reply(theirs.server_context()), "AUTH": b"235 2.7.0 welcome\r\n",
                   **options.pop("replies", {})}
        return fake(ehlo=(*EHLO, "STARTTLS", "AUTH PLAIN"), replies=replies, **options)

    return start


@pytest.fixture
def started(gateway, ours, captures):
    """A gateway that intercepts TLS and captures."""

    def start(to, protocol="smtp", capture=None, **settings):
        own = {"starttls": "intercept", **settings.pop(protocol, {})}
        return gateway(to, protocol=protocol, certificate={"mx": ours.section}, **{protocol: own},
                       capture=capture or {"all": captures.section(**settings.pop("section", {}))}, **settings)

    return start


def plain(password=PASSWORD):
    return base64.b64encode(b"\0anna\0" + password).decode()


def mail(client, content=MAIL):
    client.envelope()
    return client.data(content + b".\r\n").code


def counted(gate):
    """What "postern status" says of captures."""
    done = subprocess.run(gate.command("status", "-c", gate.file, "--json"), check=True, capture_output=True)
    return json.loads(done.stdout)["capture"]


# ---- what tshark shows ----

def test_a_mail_in_the_clear_T13(smtp, started, captures):
    gate = started(smtp())
    with gate.client() as client:
        client.hello()
        assert mail(client) == 250
        assert client.cmd("QUIT").code == 221
    gate.stop()
    captures.sane()
    assert captures.column("smtp.req.command") == ["EHLO", "MAIL", "RCPT", "DATA", "QUIT"]
    assert captures.column("imf.subject") == ["seen"]
    rows = captures.tshark("ip.src", "ip.dst", "tcp.dstport", filter="smtp.req")
    assert {tuple(row) for row in rows} == {(L.CLIENT, L.GATEWAY, "25")}
    assert captures.column("tcp.stream", "tcp.flags.syn == 1 && tcp.flags.ack == 0") == ["0"]
    assert captures.column("tcp.stream", "tcp.flags.fin == 1") == ["0", "0"]
    flow = gate.records("flow")[0]
    comments = captures.column("frame.comment")
    assert len(comments) == 2 and all(f"flow_id={flow['flow_id']} capture=all" in c for c in comments)


def test_a_mail_behind_STARTTLS_is_shown_plain_T13_X_007(smtp, started, captures):
    """Behind STARTTLS a new connection begins in the capture, with the greeting once more."""
    gate = started(smtp())
    with gate.client(cls=TlsClient) as client:
        client.hello()
        assert client.cmd(f"AUTH PLAIN {plain()}").code == 235
        assert mail(client) == 250
        assert client.cmd("QUIT").code == 221
    gate.stop()
    captures.sane()
    assert captures.column("smtp.req.command") == [
        "EHLO", "STAR", "EHLO", "AUTH", "MAIL", "RCPT", "DATA", "QUIT"]
    assert captures.column("imf.subject") == ["seen"]
    assert captures.column("tls.record.length") == []
    assert [c.endswith(" tls") for c in captures.column("frame.comment")] == [False, False, True, True]
    assert plain().encode() not in captures.octets() and b"AUTH PLAIN ****" in captures.octets()
    assert captures.column("smtp.response.code")[-3:] == ["354", "250", "221"]


@pytest.mark.parametrize("upgrade", [False, True], ids=["clear", "STLS"])
def test_pop3_T13_X_007(server, started, captures, upgrade):
    gate = started(server("pop3"), "pop3")
    with gate.client(cls=TlsPop3) as client:
        assert client.reply().ok
        if upgrade:
            assert client.cmd("STLS").ok
            client.wrap()
        assert client.cmd("USER anna").ok and client.cmd(b"PASS " + PASSWORD).ok
        assert client.retr(1) == MAIL
        client.quit()
    gate.stop()
    captures.sane()
    commands = ["USER", "PASS", "RETR", "QUIT"]
    assert captures.column("pop.request.command") == (["STLS", *commands] if upgrade else commands)
    assert MAIL + b".\r\n" in captures.stream(int(upgrade), 1)  # this server does not say how long it is
    assert PASSWORD not in captures.octets() and b"PASS " + b"*" * len(PASSWORD) in captures.octets()


@pytest.mark.parametrize("how", ["words", "quoted", "literals", "plain", "initial"])
def test_imap_T13_X_007(server, started, captures, how):
    gate = started(server("imap", replies={"AUTHENTICATE": _authenticate}), "imap")
    with gate.client(cls=TlsImap) as client:
        client.greeting()
        assert client.cmd("STARTTLS").ok
        client.wrap()
        _log_in(client, how)
        client.select()
        assert client.fetch("1", "BODY.PEEK[]") == [MAIL]
        client.logout()
    gate.stop()
    # tshark wants a user name where a literal is announced (RFC 9051 s4.3)
    captures.sane(but='imap.request.command == "LOGIN" && imap.request contains "{4}"' if how == "literals" else
                  "frame.number == 0")
    verb = "AUTHENTICATE" if how in ("plain", "initial") else "LOGIN"
    assert captures.column("imap.request.command") == ["STARTTLS", verb, "SELECT", "FETCH", "LOGOUT"]
    assert captures.column("imf.subject") == ["seen"]
    octets = captures.octets()
    assert PASSWORD not in octets and plain().encode() not in octets and b"*" * len(PASSWORD) in octets


def test_what_still_comes_of_a_login_that_was_refused_X_007(server, started, captures):
    """Its literals come without being asked for, and the server never sees them."""
    late = b"another secret"
    gate = started(server("imap"), "imap")
    with gate.client(cls=TlsImap) as client:
        client.greeting()
        assert client.cmd("STARTTLS").ok
        client.wrap()
        _log_in(client, "words")
        client.send(b"z9 LOGIN {4+}\r\nanna {%d+}\r\n%s\r\n" % (len(late), late))
        assert not client.tagged("z9").ok
        client.logout()
    gate.stop()
    octets = captures.octets()
    assert b"z9 LOGIN {4+}" in octets and late not in octets and b"*" * len(late) in octets


def _authenticate(c, line):
    if len(line.split()) == 2:
        c.send(b"+ \r\n")
        c.line()
    return b"<tag> OK in\r\n"


def _log_in(client, how):
    if how == "words":
        client.did(b"LOGIN anna " + PASSWORD)
    elif how == "quoted":
        client.did(b'LOGIN "anna" "' + PASSWORD + b'"')
    elif how == "initial":
        client.did(f"AUTHENTICATE PLAIN {plain()}")
    else:
        tag = client.tag()
        steps = {"plain": [b"AUTHENTICATE PLAIN", plain().encode()],
                 "literals": [b"LOGIN {4}", b"anna {%d}" % len(PASSWORD), PASSWORD]}[how]
        client.send(tag.encode() + b" " + steps[0] + b"\r\n")
        for step in steps[1:]:
            assert client.tagged(tag).tag == "+"
            client.send(step + b"\r\n")
        assert client.tagged(tag).ok


@pytest.mark.parametrize("tls", [False, True], ids=["clear", "tls"])
@pytest.mark.parametrize("way", ["PASV", "EPSV", "PORT"])
def test_ftp_with_its_data_T13_X_007(server, started, captures, way, tls):
    gate = started(server("ftp"), "ftp")
    with gate.client(**({"cls": TlsFtpClient} if tls else {})) as client:
        client.way = way
        client.login(password=PASSWORD.decode())
        client.binary()
        assert client.get("RETR down") == BODY * 5000
        client.put("STOR up", BODY * 7000)
        client.quit()
    gate.stop()
    captures.sane()
    commands = captures.column("ftp.request.command")
    assert [c for c in commands if c in ("USER", "PASS", "RETR", "STOR", "QUIT")] == [
        "USER", "PASS", "RETR", "STOR", "QUIT"]
    assert PASSWORD not in captures.octets()
    assert captures.column("ftp.request.arg", 'ftp.request.command == "PASS"') == ["*" * len(PASSWORD)]
    streams = sorted(set(captures.column("tcp.stream", "tcp.len > 0 && !(tcp.port == 21)")), key=int)
    assert way == "PORT" or sorted(set(captures.column("tcp.stream", "ftp-data")), key=int) == streams
    content = [captures.stream(n, 0) + captures.stream(n, 1) for n in streams]
    assert content == [BODY * 5000, BODY * 7000]


def test_implicit_TLS_is_shown_by_the_port_of_the_clear_T13(lab, fake, gateway, ours, theirs, captures):
    """Which one it was stands in the comment."""
    from test_tls_implicit import Server

    script = Server(theirs)
    to = fake(script=script, ehlo=(*EHLO, "AUTH PLAIN"), port=465)
    script.dialogue = to.serve
    gate = gateway(to, mode="tproxy", smtp={"starttls": "intercept", "ports": [1], "tls_ports": [465]},
                   certificate={"mx": ours.section}, capture={"all": captures.section()})
    with gate.client(cls=TlsClient) as client:
        client.wrap()
        assert client.reply().code == 220
        assert client.cmd("EHLO client.good.example").code == 250
        assert mail(client) == 250
        assert client.cmd("QUIT").code == 221
    gate.stop()
    captures.sane()
    assert captures.column("smtp.req.command") == ["EHLO", "MAIL", "RCPT", "DATA", "QUIT"]
    assert captures.column("imf.subject") == ["seen"]
    assert set(captures.column("tcp.dstport", "smtp.req")) == {"25"}
    assert all(c.endswith(" port=465 tls") for c in captures.column("frame.comment"))


def test_TLS_that_passes_unread_is_TLS_there_too_T13(smtp, started, captures):
    gate = started(smtp(), smtp={"starttls": "pass"})
    with gate.client(cls=TlsClient) as client:
        client.hello()
        assert client.cmd("QUIT").code == 221
    gate.stop()
    captures.sane()
    assert captures.column("tls.handshake.type")[0] == "1"
    assert captures.column("smtp.req.command") == ["EHLO", "STAR"]


def test_both_legs_L7_T13(smtp, started, captures):
    gate = started(smtp(), section={"legs": "both"})
    with gate.client(cls=TlsClient) as client:
        client.hello()
        assert client.cmd(f"AUTH PLAIN {plain()}").code == 235
        assert mail(client) == 250
        client.cmd("QUIT")
    gate.stop()
    captures.sane()
    assert len(captures.column("imf.subject")) == 2
    legs = {row[0] for row in captures.tshark("ip.dst", filter="smtp.req.command == MAIL")}
    assert legs == {L.GATEWAY, L.FAKE}
    assert plain().encode() not in captures.octets()
    assert sum("leg=server" in c for c in captures.column("frame.comment")) == 4


# ---- what is left out ----

def test_secrets_that_are_asked_for_X_007(smtp, started, captures):
    gate = started(smtp(), section={"secrets": "keep"})
    with gate.client() as client:
        client.hello()
        assert client.cmd(f"AUTH PLAIN {plain()}").code == 235
    gate.stop()
    assert plain().encode() in captures.octets()
    assert "capture.secrets: whoever can read" in gate.stderr


def test_a_secret_that_a_server_quotes_X_007(server, started, captures):
    """Servers quote what they do not understand; and what comes too late is no command."""
    quoting = {"PASS": lambda c, line: b"-ERR no " + line.split(b" ", 1)[1].strip() + b" here\r\n"}
    gate = started(server("pop3", replies=quoting), "pop3")
    with gate.client() as client:
        assert client.reply().ok and client.cmd("USER anna").ok
        said = client.cmd(b"PASS " + PASSWORD)
        assert not said.ok and PASSWORD in said.octets
        client.cmd(plain())
        client.send(b"PASS " + PASSWORD[:7])  # and never its end
    gate.stop()
    assert PASSWORD[:7] not in captures.octets() and plain().encode() not in captures.octets()
    assert b"-ERR no " + b"*" * len(PASSWORD) + b" here" in captures.octets()


def test_without_content_the_lengths_stay_L9(smtp, started, captures):
    gate = started(smtp(), section={"content": False})
    with gate.client() as client:
        client.hello()
        assert mail(client, MAIL * 3000) == 250
        client.cmd("QUIT")
    gate.stop()
    assert BODY not in captures.octets() and captures.files()[0].stat().st_size < 8000
    assert captures.column("smtp.req.command") == ["EHLO", "MAIL", "RCPT", "DATA", "QUIT"]
    sizes = captures.tshark("frame.cap_len", "frame.len", "tcp.len", filter="frame.cap_len < frame.len")
    assert {row[0] for row in sizes} == {"40"}
    assert sum(int(row[2]) for row in sizes) == len(MAIL * 3000)
    assert captures.column("frame.number", "tcp.analysis.lost_segment || tcp.analysis.ack_lost_segment") == []


def test_files_without_content_L9(server, started, captures):
    gate = started(server("ftp"), "ftp", section={"content": False})
    with gate.client() as client:
        client.login()
        client.binary()
        assert client.get("RETR down") == BODY * 5000
        client.quit()
    gate.stop()
    assert BODY not in captures.octets()
    rows = captures.tshark("tcp.len", filter="frame.cap_len < frame.len")
    assert sum(int(row[0]) for row in rows) == len(BODY * 5000)


# ---- which sessions ----

def test_the_first_section_that_holds_decides_X_007(lab, smtp, started, captures):
    other = Captures(lab)
    gate = started(smtp(), capture={
        "other": other.section(clients=["203.0.113.99/32"]),
        "ftp": other.section(protocols=["ftp"]),
        "mine": captures.section(clients=[f"{L.CLIENT}/32"], protocols=["smtp"]),
        "rest": other.section(),
    })
    with gate.client() as client:
        client.hello()
        client.cmd("QUIT")
    gate.stop()
    assert [p.name.split("-")[1] for p in captures.files()] == ["mine"]
    assert other.files() == []


def test_refused_sessions_alone_from_their_beginning_X_007(smtp, started, captures):
    gate = started(smtp(), section={"what": "refused"})
    with gate.client() as client:
        client.hello("fine.good.example")
        assert mail(client) == 250
        client.cmd("QUIT")
    with gate.client() as client:
        client.hello("bad.good.example")
        assert client.cmd("MAIL FROM:<anna@good.example>").code == 250
        assert client.cmd("RCPT TO:<x@elsewhere.example>").code == 550
        client.cmd("QUIT")
    gate.stop()
    captures.sane()
    assert captures.column("smtp.req.command") == ["EHLO", "MAIL", "RCPT", "QUIT"]
    assert captures.column("smtp.req.parameter")[0] == "bad.good.example"
    assert "550" in captures.column("smtp.response.code")


# ---- files ----

def test_whose_the_files_are_X_007(smtp, started, captures):
    gate = started(smtp())
    with gate.client() as client:
        client.hello()
    gate.stop()
    for path in captures.files():
        found = path.stat()
        assert stat.S_IMODE(found.st_mode) == 0o600 and found.st_uid == USER.pw_uid, path


@pytest.mark.parametrize("fault", ["mode", "owner", "link"])
def test_a_directory_that_others_may_use_is_refused_X_007(smtp, started, captures, fault):
    if fault == "mode":
        os.chmod(captures.dir, 0o750)
    elif fault == "owner":
        os.chown(captures.dir, 0, 0)
    else:
        os.symlink(captures.dir, f"{captures.dir}.link")
        captures.dir = captures.dir.with_name(captures.dir.name + ".link")
    with pytest.raises(L.LabError, match=f"capture: {captures.dir}"):
        started(smtp())


def test_rotation_and_budget_X_007(smtp, started, captures):
    """The oldest go, and nobody else's."""
    for name in ("postern-all-1.pcapng", "notes", "postern-other-20200101T000000-000001.pcapng"):
        (captures.dir / name).write_bytes(bytes(1 << 20))
    gate = started(smtp(), section={"file_size": 1, "budget": 3})
    for i in range(8):
        with gate.client() as client:
            client.hello()
            assert mail(client, b"Subject: %d\r\n\r\n" % i + (b"x" * 70 + b"\r\n") * 10_000) == 250
    gate.stop()
    files = [p for p in captures.files() if p.name.startswith("postern-all-2")]
    assert len(files) >= 2
    assert all(p.stat().st_size <= 1 << 20 for p in files)
    assert sum(p.stat().st_size for p in files) <= 3 << 20
    assert (captures.dir / "notes").exists() and (captures.dir / "postern-all-1.pcapng").exists()
    assert (captures.dir / "postern-other-20200101T000000-000001.pcapng").exists()


def test_new_files_after_a_while_and_on_request_X_007(smtp, started, captures):
    gate = started(smtp(), section={"file_seconds": 1})
    with gate.client() as client:
        client.hello()
        captures.wait(lambda c: len(c.files()) == 1)
        wait_for(lambda: client.cmd("NOOP").code == 250 and len(captures.files()) >= 2, 10, "a second file",
                 interval=0.3)
    gate.configure(certificate=gate.settings["certificate"], capture={"all": captures.section()},
                   smtp={**gate.settings["smtp"]})
    gate.reload()
    with gate.client() as client:
        client.hello()
        before = len(captures.wait(lambda c: c.files()))
        gate.process.send_signal(signal.SIGUSR1)
        wait_for(lambda: client.cmd("NOOP").code == 250 and len(captures.files()) > before, 10, "a new file",
                 interval=0.3)
    gate.stop()
    captures.sane()


def test_the_process_dies_and_the_next_goes_on_X_007(smtp, started, captures):
    gate = started(smtp())
    with gate.client() as client:
        client.hello()
        captures.wait(lambda c: b"client.good.example" in c.octets())
        writer = gate.of_role("capture")[0]
        writer.signal(9)
        wait_for(lambda: [p for p in gate.of_role("capture") if p != writer], 10, "another one")
        assert mail(client) == 250
        assert client.cmd("QUIT").code == 221
    gate.stop()
    captures.sane()
    assert captures.column("imf.subject") == ["seen"]
    assert captures.column("smtp.req.command") == ["EHLO", "MAIL", "RCPT", "DATA", "QUIT"]
    assert [r["stats"] for r in gate.records("stats") if "capture_restarted" in r["stats"]]


def test_who_writes_and_who_may_not_X_007(smtp, started):
    gate = started(smtp())
    writer = wait_for(lambda: gate.of_role("capture"), what="the process")[0]
    wait_for(lambda: writer.status().get("Seccomp") == "2", what="its filter")
    status = writer.status()
    assert status["Uid"].split() == [str(USER.pw_uid)] * 4
    assert {status[name] for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")} == {"0" * 16}
    assert status["NoNewPrivs"] == "1"
    assert not any("inet" in what or "eve.json" in what for what in writer.descriptors().values())


def test_what_overflows_is_counted_and_a_hole_X_007(smtp, started, captures):
    """Sessions go on while nobody takes what is captured."""
    gate = started(smtp())
    with gate.client() as client:
        client.hello()
        writer = wait_for(lambda: gate.of_role("capture"), what="the process")[0]
        captures.wait(lambda c: b"EHLO" in c.octets())
        writer.signal(signal.SIGSTOP)
        for _ in range(16):
            assert mail(client, b"\r\n" + (b"x" * 70 + b"\r\n") * 10_000) == 250
        dropped = wait_for(lambda: counted(gate)["dropped_by_workers"], 10, "a count")
        writer.signal(signal.SIGCONT)
        wait_for(lambda: [r for r in gate.records("stats") if "capture_dropped" in str(r)], 10, "its record")
        assert client.cmd("QUIT").code == 221
    gate.stop()
    assert dropped > 0
    assert captures.column("frame.number", "tcp.analysis.lost_segment") != []
    assert captures.column("frame.number", "tcp.analysis.retransmission || tcp.checksum.status == 0") == []
    assert captures.column("smtp.req.command")[-1] == "QUIT"


def test_a_disk_that_is_full_disturbs_nobody_X_007(lab, smtp, started, captures):
    """What cannot be written is counted; it goes on when there is room, in a file that is whole."""
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size=2m,mode=0700,uid={USER.pw_uid},gid={USER.pw_gid}",
                    "tmpfs", captures.dir], check=True)
    try:
        filler = captures.dir / "filler"
        filler.write_bytes(bytes((2 << 20) - 65536))
        gate = started(smtp())
        with gate.client() as client:
            client.hello()
            assert mail(client, b"\r\n" + (b"x" * 70 + b"\r\n") * 4000) == 250
            wait_for(lambda: counted(gate)["lost_frames"], 10, "a count")
            assert counted(gate)["trouble"] and "No space left" in gate.stderr
            filler.unlink()
            wait_for(lambda: client.cmd("NOOP").code == 250 and not counted(gate)["trouble"], 10,
                     "an end of the trouble", interval=0.3)
        with gate.client() as client:
            client.hello()
            assert mail(client) == 250
        gate.stop()
        assert captures.column("imf.subject") == ["seen"]
        assert [r for r in gate.records("stats") if "capture_lost" in str(r)]
    finally:
        subprocess.run(["umount", "-l", captures.dir], check=True)


# ---- what Postern itself reads in them ----

def read(captures):
    """The records that "postern read" writes of the files."""
    argv = [BINARY, "read", *captures.files()]
    done = subprocess.run(argv, check=True, capture_output=True, text=True, timeout=60)
    return [json.loads(line) for line in done.stdout.splitlines()]


def of(records, kind):
    """What does not depend on where somebody stood."""
    left_out = {"replies", "verdict"}
    return [{k: v for k, v in r[kind].items() if k not in left_out} for r in records if r["event_type"] == kind]


@pytest.mark.parametrize("tls", [False, True], ids=["clear", "STARTTLS"])
def test_read_gives_the_records_T13(smtp, started, captures, tls):
    gate = started(smtp())
    with gate.client(cls=TlsClient if tls else None) as client:
        client.hello()
        assert mail(client) == 250
        client.cmd("QUIT")
    gate.stop()
    there = read(captures)
    assert of(there, "smtp") == of(gate.records(), "smtp") and of(there, "smtp")
    assert [r["email"] for r in there if "email" in r] == [r["email"] for r in gate.records() if "email" in r]


def test_read_gives_the_records_of_files_T13(server, started, captures):
    gate = started(server("ftp"), "ftp")
    with gate.client() as client:
        client.login()
        client.binary()
        assert client.get("RETR down") == BODY * 5000
        client.quit()
    gate.stop()
    there = of(read(captures), "fileinfo")
    assert [f["sha256"] for f in there] == [f["sha256"] for f in of(gate.records(), "fileinfo")] and there
