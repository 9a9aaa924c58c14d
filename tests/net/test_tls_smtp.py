"""
SMTP under TLS that ends at the gateway and begins anew towards the server: SECURITY cases N-001,
N-005, N-006, N-016 to N-021, T-010, T-018 to T-021; FIELD rows T1, T12, T16, T17.
"""

import random
import ssl
import subprocess
import threading
import time

import pytest

import lab as L
from peers import EHLO, OCTETS, RawClient
from test_clients import Smtp
from tls_peers import TlsClient, client_context, starttls_reply

MODES = ["forward", "tproxy"]
TLS = (*EHLO, "STARTTLS")


@pytest.fixture
def tls_gateway(gateway, ours):
    def start(to=None, **settings):
        smtp = {"starttls": "intercept", **settings.pop("smtp", {})}
        return gateway(to, smtp=smtp, certificate={"mx": ours.section}, **settings)

    return start


@pytest.fixture
def tls_fake(fake, theirs):
    def start(version=None, before=b"220 2.0.0 go ahead\r\n", **options):
        replies = {"STARTTLS": starttls_reply(theirs.server_context(version), before),
                   **options.pop("replies", {})}
        return fake(ehlo=options.pop("ehlo", TLS), replies=replies, **options)

    return start


def connect(gate, **options):
    return gate.client(cls=TlsClient, **options)


@pytest.mark.parametrize("version", ["1.2", "1.3"])
def test_a_mail_T1_T12(tls_fake, tls_gateway, ours, version):
    server = tls_fake(version)
    gate = tls_gateway(server)
    with connect(gate) as client:
        client.context = client_context(version, ours)
        client.hello()
        assert client.sock.version() == f"TLSv{version}"
        assert client.sock.getpeercert(True) == ours.fingerprint
        client.envelope()
        assert client.data(b"Subject: x\r\n\r\n..dot\r\n.\r\n").code == 250
        assert client.cmd("QUIT").code == 221
        assert client.closed()
    assert server.ended().verbs() == ["EHLO", "STARTTLS", "EHLO", "MAIL", "RCPT", "DATA", "QUIT"]
    assert server.mails[0].content == b"Subject: x\r\n\r\n.dot\r\n"


@pytest.mark.parametrize("version", ["1.2", "1.3"])
def test_each_leg_has_its_own_version_T2(tls_fake, tls_gateway, version):
    server = tls_fake({"1.2": "1.3", "1.3": "1.2"}[version])
    gate = tls_gateway(server)
    with connect(gate) as client:
        client.context = client_context(version)
        client.hello()
        assert client.sock.version() == f"TLSv{version}"
    assert server.ended().verbs()[-1] == "EHLO"


def test_a_large_message_in_both_directions(tls_fake, tls_gateway):
    """Larger than all buffers on the way; the reply is the longest that may be."""
    chance = random.Random(7)
    lines = (chance.randbytes(37).hex().encode() + b"\r\n" for _ in range(100_000))
    content = b"Subject: large\r\n\r\n" + b"".join(lines)
    help_text = b"".join(b"214-%04d%s\r\n" % (i, b"x" * 200) for i in range(200)) + b"214 end\r\n"
    server = tls_fake(replies={"HELP": help_text})
    gate = tls_gateway(server)
    with connect(gate) as client:
        client.hello()
        client.envelope()
        assert client.data(content + b".\r\n", timeout=60).code == 250
        assert client.cmd("HELP").octets == help_text
    assert server.mails[0].content == content


def test_octet_by_octet(tls_fake, tls_gateway):
    """Records of one octet each."""
    server = tls_fake()
    gate = tls_gateway(server)
    with connect(gate) as client:
        client.hello()
        client.envelope()
        assert client.data(b"Subject: slow\r\n\r\n..x\r\n.\r\n", OCTETS).code == 250
    assert server.mails[0].content == b"Subject: slow\r\n\r\n.x\r\n"


def test_many_commands_in_one_record(tls_fake, tls_gateway):
    """More in a record than is read at once: nothing is left lying in OpenSSL."""
    server = tls_fake()
    gate = tls_gateway(server, smtp={"junk_commands": 5000})
    with connect(gate) as client:
        client.hello()
        client.send(b"NOOP\r\n" * 2500 + b"QUIT\r\n")  # 15 kB
        assert client.rest(20).count(b"250 ") == 2500
    assert server.ended().verbs()[-1] == "QUIT"


# ---- what is sent ahead of the handshake ----


@pytest.mark.parametrize("injected", [b"NOOP\r\n", b"EHLO x\r\n", b"MAIL FROM:<x@good.example>\r\n",
                                      b"!"])
def test_client_ahead_in_one_segment_N_001(tls_fake, tls_gateway, injected):
    server = tls_fake()
    gate = tls_gateway(server)
    with gate.client() as client:
        client.hello()
        client.send(b"STARTTLS\r\n" + injected)
        assert client.rest(5).startswith(b"554 5.5.0")
    assert server.ended().verbs() == ["EHLO"]
    gate.record("anomaly", lambda r: r["anomaly"]["event"] == "failed_protocol_change")


def test_client_ahead_while_the_server_shakes_hands_N_005(fake, theirs, tls_gateway):
    """It lies in the socket, is taken for a part of the handshake, and breaks it."""
    said = threading.Event()

    def slow(conversation, line):
        conversation.send(b"220 go\r\n")
        said.set()
        time.sleep(0.5)
        conversation.sock = theirs.server_context().wrap_socket(conversation.sock, server_side=True)
        return b""

    server = fake(ehlo=TLS, replies={"STARTTLS": slow})
    gate = tls_gateway(server)
    with gate.client() as client:
        client.hello()
        client.send(b"STARTTLS\r\n")
        assert said.wait(5)
        time.sleep(0.1)
        client.send(b"MAIL FROM:<injected@good.example>\r\n")
        assert client.reply().code == 220
        assert b"250" not in client.rest(5)
    assert b"injected" not in server.ended().received
    assert gate.flow()["flow"]["reason"] == "tls_plain"


@pytest.mark.parametrize("injected", [b"250-x\r\n250 AUTH LOGIN\r\n", b"250 ok\r\n", b"hello"])
@pytest.mark.parametrize("late", [False, True], ids=["at-once", "late"])
def test_server_ahead_N_006(fake, tls_gateway, injected, late):
    def start(conversation, line):
        if not late:
            return b"220 Ready\r\n" + injected
        conversation.send(b"220 Ready\r\n")
        time.sleep(0.2)
        return injected

    server = fake(ehlo=TLS, replies={"STARTTLS": start})
    gate = tls_gateway(server)
    with gate.client() as client:
        client.hello()
        assert client.cmd("STARTTLS").is_(454, "4.7.0")
        if late:
            client.send(b"NOOP\r\n")
        assert injected not in client.rest(5)
    server.ended()


# ---- the order of things ----


def test_the_client_hears_220_when_the_server_leg_is_secure_N_016(fake, theirs, tls_gateway):
    go = threading.Event()

    def slow(conversation, line):
        conversation.send(b"220 go\r\n")
        go.wait(10)
        conversation.sock = theirs.server_context().wrap_socket(conversation.sock, server_side=True)
        return b""

    server = fake(ehlo=TLS, replies={"STARTTLS": slow})
    gate = tls_gateway(server)
    with connect(gate) as client:
        RawClient.hello(client)
        client.send(b"STARTTLS\r\n")
        assert client.silent(0.5)
        go.set()
        assert client.reply().code == 220
        client.wrap()
        assert client.cmd("EHLO x.example").code == 250


def no_tls_after_all(conversation, line):
    conversation.send(b"220 go\r\n")
    conversation.close()


@pytest.mark.parametrize("reply,reason", [(no_tls_after_all, "tls_cut"),
                                          (b"220 go\r\n250 not TLS at all\r\n", None)])
def test_454_where_the_server_has_no_tls_after_all_N_016(fake, tls_gateway, reply, reason):
    server = fake(ehlo=TLS, replies={"STARTTLS": reply})
    gate = tls_gateway(server)
    with gate.client() as client:
        client.hello()
        assert client.cmd("STARTTLS").is_(454, "4.7.0")
        if reason is not None:  # the session goes on, but there is no server any more
            assert client.cmd("NOOP").code == 421
        assert client.closed()
    if reason is not None:
        gate.record("smtp", lambda r: reason in str(r))


@pytest.mark.parametrize("verify,code", [("enforce", 454), ("report", 220), ("off", 220)])
def test_a_certificate_that_nobody_vouches_for_N_016(tls_fake, tls_gateway, verify, code):
    server = tls_fake()
    gate = tls_gateway(server, tls={"verify_inside": verify})
    with gate.client() as client:
        client.hello()
        assert client.cmd("STARTTLS").code == code
    if code == 454:
        gate.record("smtp", lambda r: "tls_verify" in str(r))
        assert server.ended().verbs() == ["EHLO", "STARTTLS"]


def test_a_server_that_refuses_N_013(fake, tls_gateway):
    server = fake(ehlo=TLS)  # its STARTTLS says 454
    gate = tls_gateway(server)
    with gate.client() as client:
        client.hello()
        assert client.cmd("STARTTLS").is_(454, "4.7.0")
        client.envelope()
        assert client.data(b"Subject: x\r\n\r\nx\r\n.\r\n").code == 250
    assert len(server.mails) == 1


def test_a_server_without_it(fake, tls_gateway):
    server = fake()
    gate = tls_gateway(server)
    with gate.client() as client:
        assert "STARTTLS" not in client.hello().text
        assert client.cmd("STARTTLS").code == 502
    assert "STARTTLS" not in server.ended().verbs()


def test_what_was_learnt_before_is_forgotten_N_017(tls_fake, tls_gateway):
    server = tls_fake(ehlo=(*TLS, "AUTH PLAIN"))
    gate = tls_gateway(server, smtp={"auth_requires_tls": False})
    with connect(gate) as client:
        RawClient.hello(client)
        assert client.cmd("AUTH PLAIN AGEAYg==").code == 235
        assert client.cmd("MAIL FROM:<s@good.example>").code == 250
        client.upgrade()
        # no keyword of the EHLO in the clear counts, no login, and no envelope
        assert client.cmd("AUTH PLAIN AGEAYg==").code == 503
        assert client.cmd("RCPT TO:<otto@campus.example>").code == 503
        answer = client.cmd("EHLO client.good.example")
        assert "CHUNKING" in answer.text and "STARTTLS" not in answer.text
        assert client.cmd("MAIL FROM:<s@good.example>").code == 250
        assert client.cmd("RCPT TO:<r@evil.example>").is_(550, "5.7.1")
    assert server.ended().verbs() == ["EHLO", "AUTH", "MAIL", "STARTTLS", "EHLO", "MAIL"]


def test_bdat_needs_an_ehlo_of_its_own_N_017(tls_fake, tls_gateway):
    server = tls_fake()
    gate = tls_gateway(server)
    with connect(gate) as client:
        RawClient.hello(client)
        client.upgrade()
        assert client.cmd("BDAT 3 LAST").code == 521
    assert "BDAT" not in server.ended().verbs()


def test_a_second_starttls_N_018(tls_fake, tls_gateway):
    server = tls_fake()
    gate = tls_gateway(server)
    with connect(gate) as client:
        client.hello()
        assert client.cmd("STARTTLS").is_(554, "5.5.1")
        assert client.cmd("NOOP").code == 250
    assert server.ended().verbs().count("STARTTLS") == 1


def test_starttls_with_an_argument_N_019(tls_fake, tls_gateway):
    server = tls_fake()
    gate = tls_gateway(server)
    with connect(gate) as client:
        RawClient.hello(client)
        assert client.cmd("STARTTLS now").is_(501, "5.5.4")
        client.upgrade()
        assert client.cmd("EHLO x.example").code == 250
    assert server.ended().verbs().count("STARTTLS") == 1


def test_in_the_middle_of_a_transaction_N_020(tls_fake, tls_gateway):
    server = tls_fake()
    gate = tls_gateway(server)
    with connect(gate) as client:
        RawClient.hello(client)
        client.envelope()
        client.upgrade()
        assert client.cmd("DATA").code == 503
        assert client.cmd("EHLO client.good.example").code == 250
        client.envelope("s@good.example", "second@campus.example")
        assert client.data(b"Subject: x\r\n\r\nx\r\n.\r\n").code == 250
    server.ended()
    assert [m.recipients for m in server.mails] == [["second@campus.example"]]


@pytest.mark.parametrize("mode", ["forward"])
@pytest.mark.parametrize("who", ["server", "client", "slow-client"])
def test_a_handshake_that_stalls_N_021(tls_fake, tls_gateway, who):
    go = threading.Event()

    def silent(conversation, line):
        conversation.send(b"220 go\r\n")
        go.wait(40)

    server = tls_fake(replies={"STARTTLS": silent} if who == "server" else {})
    gate = tls_gateway(server)
    with gate.client() as client:
        client.hello()
        began = time.monotonic()
        if who == "server":
            client.send(b"STARTTLS\r\n")
            assert client.reply(35).is_(454, "4.7.0")
            assert client.cmd("NOOP").code == 421
        else:
            assert client.cmd("STARTTLS").code == 220
            hello = b"\x16\x03\x01\x01\x00\x01\x00\x00\xfc\x03\x03" if who == "slow-client" else b""
            for octet in hello:
                client.send(bytes([octet]))
                time.sleep(1)
            assert client.closed(35)
        assert 25 < time.monotonic() - began < 34
    go.set()
    server.ended()
    assert "tls_timeout" in gate.log.read_text()


# ---- ends and cuts ----


@pytest.mark.parametrize("how", ["fin", "reset", "close_notify"])
def test_a_message_that_is_cut_is_never_complete_T_021_T16(tls_fake, tls_gateway, how):
    server = tls_fake()
    gate = tls_gateway(server)
    with connect(gate) as client:
        client.hello()
        client.envelope()
        assert client.cmd("DATA").code == 354
        client.send(b"Subject: cut\r\n\r\nhalf\r\n")
        time.sleep(0.1)
        if how == "close_notify":
            client.say_end()
        elif how == "fin":
            client.finish()
        else:
            client.reset()
    conversation = server.ended()
    assert not server.mails
    assert not conversation.heard_end  # the server was not told that this was all
    assert gate.record("smtp")["smtp"]["state"] == "aborted"


@pytest.mark.parametrize("version", ["1.2", "1.3"])
def test_orderly_ends_say_so_T_021(tls_fake, tls_gateway, version):
    """Both peers get close_notify, and then FIN."""
    server = tls_fake(version)
    gate = tls_gateway(server)
    with connect(gate) as client:
        client.context = client_context(version)
        client.hello()
        assert client.cmd("QUIT").code == 221
        assert client.closed() and client.heard_end


# ---- sessions that are resumed, and what is never done ----


def resumable(gate, version, session=None, **options):
    """A session for the next client, and whether this one resumed one."""
    with connect(gate, **options) as client:
        client.context = resumable.contexts[version]
        client.session = session
        client.hello()
        assert client.cmd("NOOP").code == 250  # tickets of TLS 1.3 have come by now
        return client.sock.session, client.sock.session_reused


resumable.contexts = {version: client_context(version) for version in ("1.2", "1.3")}


@pytest.mark.parametrize("version", ["1.2", "1.3"])
def test_clients_resume_their_own_sessions_alone_T_018_T17(tls_fake, tls_gateway, mode, version):
    server = tls_fake(port=25)
    gate = tls_gateway(server, workers=2)
    session, reused = resumable(gate, version)
    assert not reused
    for _ in range(6):  # whichever worker it comes to
        assert resumable(gate, version, session)[1]
    assert not resumable(gate, version, session, source=L.CLIENT_OTHER)[1]
    if mode == "tproxy":  # a ticket of one server is none of another's
        other = tls_fake(port=587)
        assert not resumable(gate, version, session, to=(other.address, 587))[1]


def test_a_resumed_session_brings_another_ticket_T17(tls_fake, tls_gateway):
    """A client of TLS 1.3 shows each ticket once (RFC 8446 C.4): without another one its third session is a full one."""
    gate = tls_gateway(tls_fake(port=25))
    session, _ = resumable(gate, "1.3")
    ids = {session.id}
    for _ in range(3):
        session, reused = resumable(gate, "1.3", session)
        assert reused
        ids.add(session.id)
    assert len(ids) == 4


def openssl(lab, *options, said="", timeout=15):
    """What openssl s_client prints that talks to the gateway, with what it is told to say."""
    command = ["openssl", "s_client", "-connect", f"{L.GATEWAY}:25", "-starttls", "smtp", "-crlf",
               *options]
    return lab.client.run(*command, input=said, timeout=timeout)


@pytest.mark.parametrize("mode", ["forward"])
def test_openssl_T_019_T17(lab, tls_fake, tls_gateway):
    tls_gateway(tls_fake())
    done = openssl(lab, "-tls1_3", "-quiet", "-ign_eof",
                   said="EHLO client.good.example\nNOOP\nQUIT\n")
    assert done.stdout.count("250 ") >= 2 and "221 " in done.stdout, done.stdout + done.stderr
    done = openssl(lab, "-tls1_3", said="QUIT\n")
    assert "Max Early Data: 0" in done.stdout or "Early data was not sent" in done.stdout
    assert "Max Early Data: 1" not in done.stdout
    done = openssl(lab, "-tls1_2", said="QUIT\n")
    assert "Compression: NONE" in done.stdout and "Secure Renegotiation IS supported" in done.stdout


@pytest.mark.parametrize("mode", ["forward"])
@pytest.mark.parametrize("options", [
    ("-tls1_1",), ("-tls1",), ("-tls1_2", "-cipher", "AES128-SHA"),
    ("-tls1_2", "-cipher", "AES128-GCM-SHA256"), ("-tls1_2", "-cipher", "ECDHE+SHA1"),
    ("-tls1_2", "-cipher", "aNULL"), ("-tls1_2", "-cipher", "eNULL")], ids=" ".join)
def test_nothing_weak_T_007_T10(lab, tls_fake, tls_gateway, options):
    gate = tls_gateway(tls_fake())
    weak = [*options[:-1], options[-1] + ":@SECLEVEL=0"] if len(options) > 1 else \
        [*options, "-cipher", "ALL:@SECLEVEL=0"]
    done = openssl(lab, *weak, said="QUIT\n")
    assert "Cipher is (NONE)" in done.stdout, done.stdout
    reason = gate.flow()["flow"]["reason"]
    assert reason in ("tls_version", "tls_cipher", "tls_alert"), reason


def openssl_in_turn(lab, *options, lines=()):
    """Line by line: a line that is R or K alone, and read alone, is a command for s_client itself."""
    argv = lab.client.command("openssl", "s_client", "-connect", f"{L.GATEWAY}:25", "-starttls",
                              "smtp", "-crlf", *options)
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT) as process:
        time.sleep(0.5)
        for line in lines:
            process.stdin.write(line.encode() + b"\n")
            process.stdin.flush()
            time.sleep(0.1)
        return process.communicate(timeout=10)[0].decode()


@pytest.mark.parametrize("mode", ["forward"])
def test_renegotiation_is_refused_T_020(lab, tls_fake, tls_gateway):
    tls_gateway(tls_fake())
    said = openssl_in_turn(lab, "-tls1_2", lines=["EHLO client.good.example", "R"])
    assert "RENEGOTIATING" in said and "no renegotiation" in said, said


@pytest.mark.parametrize("mode", ["forward"])
def test_key_updates_T_020(lab, tls_fake, tls_gateway):
    """A few are done; OpenSSL ends a session that does nothing else."""
    tls_gateway(tls_fake())
    lines = ["EHLO client.good.example", *["K", "k"] * 4, "NOOP", "quit"]
    said = openssl_in_turn(lab, "-tls1_3", lines=lines)
    assert said.count("KEYUPDATE") == 8 and "221 " in said, said


@pytest.mark.parametrize("alpn,works", [(("smtp",), True), (("http/1.1", "smtp"), True),
                                        (("http/1.1",), False), ((), True)])
def test_alpn_of_another_protocol_T_010(tls_fake, tls_gateway, alpn, works):
    gate = tls_gateway(tls_fake())
    with connect(gate) as client:
        client.context = client_context("1.3", alpn=alpn)
        RawClient.hello(client)
        if works:
            client.upgrade()
            assert client.cmd("EHLO x.example").code == 250
        else:
            with pytest.raises(ssl.SSLError, match="no application protocol"):
                client.upgrade()


# ---- real clients, and a real server ----


@pytest.mark.parametrize("version", ["1_2", "1_3"])
def test_swaks_before_postfix(lab, campus, tls_gateway, mode, version):
    tls_gateway(campus)
    to = campus.address if mode == "tproxy" else L.GATEWAY
    done = lab.client.run("swaks", "--server", to, "--helo", "client.good.example", "--from",
                          "anna@good.example", "--to", "otto@campus.example", "--tls",
                          "--tls-protocol", f"tlsv{version}", "--header", "Subject: by swaks",
                          "--body", "hello\n.\n..dots\n")
    assert done.returncode == 0, done.stdout
    assert f"TLSv{version.replace('_', '.')}" in done.stdout
    assert b"hello\n.\n..dots\n" in campus.box.wait("Subject: by swaks")


@pytest.mark.parametrize("mode", ["forward"])
def test_swaks_is_told_why(lab, campus, tls_gateway):
    tls_gateway(campus)
    done = lab.client.run("swaks", "--server", L.GATEWAY, "--from", "anna@good.example", "--to",
                          "r@evil.example", "--tls")
    assert done.returncode == 24, done.stdout  # no recipient was taken
    assert "<~* 550 5.7.1" in done.stdout or "<~** 550 5.7.1" in done.stdout, done.stdout


@pytest.mark.parametrize("mode", ["forward"])
@pytest.mark.parametrize("version", ["1.2", "1.3"])
def test_smtplib_before_postfix(lab, campus, tls_gateway, ours, version):
    tls_gateway(campus)
    body = "".join(f"{i:06d} {'x' * 64}\r\n" for i in range(40_000))  # 2.9 MB
    client = Smtp(lab, L.GATEWAY)
    client._host = ours.name  # which is not in any DNS here
    client.starttls(context=client_context(version, ours))
    client.sendmail("anna@good.example", ["otto@campus.example"],
                    f"Subject: by smtplib\r\n\r\n{body}")
    client.quit()
    got = campus.box.wait("Subject: by smtplib")
    assert got.replace(b"\r\n", b"\n").endswith(body.replace("\r\n", "\n").encode())


# ---- records ----


def without_what_differs(record):
    differs = ("timestamp", "flow_id", "src_port", "community_id", "upstream")
    return {key: value for key, value in record.items() if key not in differs}


def test_records_say_what_they_say_in_the_clear(tls_fake, tls_gateway):
    said = {}
    server = tls_fake()
    for cls in (RawClient, TlsClient):
        gate = tls_gateway(server)
        with gate.client(cls=cls) as client:
            client.hello()
            client.envelope("anna@good.example", "otto@campus.example")
            assert client.cmd("RCPT TO:<r@evil.example>").code == 550
            assert client.data(b"Subject: x\r\nFrom: anna@good.example\r\n\r\nx\r\n.\r\n").code == 250
            assert client.cmd("QUIT").code == 221
        gate.flow()
        record = gate.record("smtp", lambda r: "mail_from" in r["smtp"])
        gate.stop()
        said[cls] = without_what_differs(record)
    clear, inside = said.values()
    for one in (clear, inside):  # the greeting, and what came before the mail, is said elsewhere
        one["smtp"]["replies"] = [r for r in one["smtp"]["replies"]
                                  if r["command"] in ("MAIL", "RCPT", "DATA", "MESSAGE")]
        one.pop("tx_id", None)
    assert inside == clear


# ---- memory ----

IDLE = 300  # sessions, with TLS on both legs
IDLE_MAX = 64 << 10  # octets of a worker's memory for each: two legs, the relay, the dialogue


@pytest.mark.parametrize("mode", ["forward"])
@pytest.mark.parametrize("version", ["1.2", "1.3"])
def test_memory_of_an_idle_session(tls_fake, tls_gateway, version):
    server = tls_fake(version)
    gate = tls_gateway(server, limits={"sessions_per_client": 1000})
    context = client_context(version)

    def one():
        client = connect(gate, timeout=30)
        client.context = context
        client.hello()
        return client

    held = [one() for _ in range(20)]  # what is allocated once is there then
    worker = gate.workers()[0]
    before = worker.own_memory("Pss_Anon")
    held += [one() for _ in range(IDLE)]
    each = (worker.own_memory("Pss_Anon") - before) / IDLE
    print(f"TLS {version}: {each / 1024:.1f} KiB a session")
    for client in held:
        client.close()
    assert each < IDLE_MAX
