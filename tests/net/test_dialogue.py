"""Commands and replies: SECURITY cases S-019 to S-041."""

import base64
import threading
import time

import pytest

from lab import wait_for
from peers import EHLO, OCTETS, WHOLE, Closed


def ends(client):
    """What the client still gets, up to the end of the connection."""
    return client.rest(5)


@pytest.mark.parametrize("how", [WHOLE, OCTETS])
@pytest.mark.parametrize("line", [b"MAIL FROM:<anna@good.example>\n", b"NOOP\rRSET\r\n"],
                         ids=["bare-LF", "bare-CR"])
def test_stray_newline_in_a_command_S_019(fake, gateway, line, how):
    server = fake()
    gate = gateway(server)
    with gate.client() as client:
        client.hello()
        client.send(line, how)
        assert client.reply().is_(550, "5.5.2")
        ends(client)
    assert set(server.ended().verbs()) <= {"EHLO", "QUIT"}


def test_nul_in_a_command_S_020(fake, gateway):
    server = fake()
    gate = gateway(server)
    with gate.client() as client:
        client.hello()
        assert client.cmd(b"MAIL FROM:<a\0b@good.example>").is_(500, "5.5.2")
        assert client.cmd("NOOP").code == 250
    assert b"\0" not in server.ended().received


@pytest.mark.parametrize("length", [512, 513, 1000, 2048, 2049, 4096])
def test_long_command_passes_S_021(fake, gateway, length):
    server = fake()
    gate = gateway(server)
    with gate.client() as client:
        client.hello()
        assert client.cmd("NOOP " + "x" * (length - 7)).code == 250


@pytest.mark.parametrize("length", [4097, 8192, 60000])
def test_longer_command_refused_S_021(fake, gateway, length):
    server = fake()
    gate = gateway(server)
    with gate.client() as client:
        client.hello()
        assert client.cmd("NOOP " + "x" * (length - 7)).is_(500, "5.5.2")
        assert client.cmd("NOOP").code == 250
    assert len(server.ended().received) < 4096


def test_endless_command_S_021(fake, gateway):
    server = fake()
    gate = gateway(server)
    with gate.client() as client:
        client.hello()
        stop = threading.Event()

        def flood():
            try:
                while not stop.is_set():
                    client.sock.sendall(b"x" * 8192)
            except OSError:  # the gateway has had enough
                pass

        sender = threading.Thread(target=flood)
        sender.start()
        try:
            answer = client.reply()
        except Closed as closed:  # the reset that follows may overtake the reply
            answer = closed
        stop.set()
        client.sock.settimeout(0.1)
        sender.join(5)
        assert not sender.is_alive()
        assert isinstance(answer, Closed) or answer.code == 421, answer
    server.ended()
    assert gate.memory() < 64 << 20


@pytest.mark.parametrize("length", [998, 1000, 1001, 100_000, 5_000_000])
def test_long_line_in_a_message_S_022(fake, gateway, length):
    server = fake()
    gate = gateway(server)
    body = b"Subject: x\r\n\r\n" + b"y" * (length - 2) + b"\r\n"
    with gate.client() as client:
        client.hello()
        client.envelope()
        assert client.data(body + b".\r\n").code == 250
    assert [m.wire for m in server.mails] == [body]
    gate.flow()
    assert ("mime_long_line" in gate.anomalies()) == (length > 1000)


def test_long_line_refused_when_told_so_S_022(fake, gateway):
    server = fake()
    gate = gateway(server, smtp={"body_line": 1000})
    with gate.client() as client:
        client.hello()
        client.envelope()
        answer = client.data(b"Subject: x\r\n\r\n" + b"y" * 1200 + b"\r\n.\r\n")
        assert answer.is_(550, "5.6.0"), answer
    server.ended()
    assert not server.mails


def test_undeclared_8bit_passes_S_023(fake, gateway):
    server = fake()
    gate = gateway(server)
    body = "Subject: x\r\n\r\nGrüße\r\n".encode("latin-1")
    with gate.client() as client:
        client.hello()
        client.envelope()
        assert client.data(body + b".\r\n").code == 250
    assert [m.wire for m in server.mails] == [body]
    gate.record("anomaly", lambda r: r["anomaly"]["event"] == "undeclared_8bit")


def test_message_before_354_S_024(fake, gateway):
    server = fake()
    gate = gateway(server)
    with gate.client() as client:
        client.hello()
        client.envelope()
        client.send(b"DATA\r\nSubject: early\r\n\r\nbird\r\n.\r\n")
        assert client.reply().is_(554, "5.5.0")
        ends(client)
    server.ended()
    assert not server.mails
    assert b"early" not in server.octets
    gate.record("anomaly", lambda r: r["anomaly"]["event"] == "invalid_pipelined_sequence")


def test_client_speaks_first_S_025(fake, gateway):
    go = threading.Event()

    def late(conversation, line):
        go.wait(5)

    server = fake(replies={"GREETING": late})
    gate = gateway(server)
    with gate.client() as client:
        client.send("EHLO early.example\r\n")
        conversation = server.conversation()
        time.sleep(0.3)
        assert conversation.received == b""
        go.set()
        got = ends(client)
        assert got.startswith((b"554 5.5.0", b"220 fake.campus.example")), got
        assert b"554 5.5.0" in got
    assert server.ended().verbs() in ([], ["QUIT"])


@pytest.mark.parametrize("request_", [b"GET / HTTP/1.1\r\nHost: evil-echo\r\n\r\n",
                                      b"POST /evil-echo HTTP/1.1\r\nHost: x\r\n\r\n",
                                      b"CONNECT evil-echo:25 HTTP/1.1\r\n\r\n",
                                      b"User-Agent: evil-echo\r\n"],
                         ids=["GET", "POST", "CONNECT", "header"])
def test_other_protocol_S_026(fake, gateway, request_):
    server = fake()
    gate = gateway(server)
    with gate.client() as client:
        assert client.reply().code == 220
        client.send(request_)
        assert client.reply().is_(221, "2.7.0")
        assert b"evil-echo" not in ends(client)
    assert b"evil-echo" not in server.ended().received


def test_pipelining_behind_an_unanswered_end_mark_S_027(fake, gateway):
    go = threading.Event()

    def late(conversation, line):
        if len(server.mails) == 1:
            go.wait(5)

    server = fake(replies={".": late})
    gate = gateway(server)
    with gate.client() as client:
        client.hello()
        client.envelope("anna@good.example", "one@campus.example")
        assert client.cmd("DATA").code == 354
        client.send(b"Subject: 1\r\n\r\none\r\n.\r\nRSET\r\nMAIL FROM:<bert@aonly.example>\r\n"
                    b"RCPT TO:<relay@evil.example>\r\nRCPT TO:<two@campus.example>\r\nDATA\r\n")
        wait_for(lambda: server.mails, what="the first message")
        assert client.silent(0.2)
        go.set()
        assert [client.reply().code for _ in range(6)] == [250, 250, 250, 550, 250, 354]
        client.send(b"Subject: 2\r\n\r\ntwo\r\n.\r\n")
        assert client.reply().code == 250
    assert [(m.sender, m.recipients) for m in server.mails] == [
        ("anna@good.example", ["one@campus.example"]),
        ("bert@aonly.example", ["two@campus.example"])]


def test_no_second_message_behind_a_refused_one_S_028(fake, gateway):
    server = fake(replies={".": b"550 5.7.1 no\r\n"})
    gate = gateway(server)
    with gate.client() as client:
        client.hello()
        client.envelope()
        assert client.data(b"Subject: x\r\n\r\nx\r\n.\r\n").text == "550 5.7.1 no"
        assert client.cmd("RCPT TO:<otto@campus.example>").is_(503, "5.5.1")
        assert client.cmd("DATA").is_(503, "5.5.1")
        client.envelope()  # a new transaction works
    assert server.ended().verbs().count("DATA") == 1


def test_ehlo_again_forgets_the_envelope_S_029(fake, gateway):
    server = fake()
    gate = gateway(server)
    with gate.client() as client:
        client.hello()
        client.envelope()
        assert client.cmd("EHLO again.example").code == 250
        assert client.cmd("DATA").is_(503, "5.5.1")
        assert client.cmd("RCPT TO:<otto@campus.example>").is_(503, "5.5.1")


def test_refused_ehlo_keeps_the_envelope_S_029(fake, gateway):
    server = fake(replies={"EHLO": lambda c, line: b"501 5.5.4 no\r\n" if b"again" in line else None})
    gate = gateway(server)
    with gate.client() as client:
        client.hello()
        client.envelope()
        assert client.cmd("EHLO again.example").code == 501
        assert client.data(b"Subject: x\r\n\r\nx\r\n.\r\n").code == 250
    assert [m.recipients for m in server.mails] == [["otto@campus.example"]]


@pytest.mark.parametrize("code", [503, 554, 451])
def test_refused_data_stays_in_command_mode_S_030(fake, gateway, code):
    answers = [b"%d 5.5.1 not now\r\n" % code]
    server = fake(replies={"DATA": lambda c, line: answers.pop() if answers else None})
    gate = gateway(server)
    with gate.client() as client:
        client.hello()
        client.envelope()
        assert client.cmd("DATA").code == code
        assert client.cmd("NOOP").code == 250
        assert client.cmd("RSET").code == 250
        client.envelope()
        assert client.data(b"Subject: x\r\n\r\nx\r\n.\r\n").code == 250
    assert len(server.mails) == 1


@pytest.mark.parametrize("answer", [b"250 ok\r\n", b"220 ok\r\n", b"355 go on\r\n"])
def test_data_answered_with_nonsense_S_031(fake, gateway, answer):
    server = fake(replies={"DATA": answer})
    gate = gateway(server)
    with gate.client() as client:
        client.hello()
        client.envelope()
        assert client.cmd("DATA").is_(421, "4.3.0")
        assert client.closed()
    assert server.ended().received.endswith(b"DATA\r\n")


BAD_REPLIES = {
    "no-code": b"hello there\r\n",
    "NUL-in-code": b"2\x000 ok\r\n",
    "four-digits": b"2500 ok\r\n",
    "endless-lines": b"250-more\r\n" * 10_000,
    "long-line": b"250 " + b"x" * 1_000_000 + b"\r\n",
    "no-line-end": b"250 " + b"x" * 100_000,
    "bare-LF": b"250 ok\n",
    "code-out-of-range": b"999 ok\r\n",
}


@pytest.mark.parametrize("answer", BAD_REPLIES.values(), ids=BAD_REPLIES.keys())
def test_bad_reply_S_032(fake, gateway, answer):
    server = fake(replies={"NOOP": answer})
    gate = gateway(server)
    with gate.client() as client:
        client.hello()
        assert client.cmd("NOOP").is_(421, "4.3.0")
        assert client.closed()
    server.ended()
    gate.record("anomaly", lambda r: r["anomaly"]["event"] in (
        "invalid_reply", "max_reply_line_len_exceeded", "max_reply_len_exceeded"))


def test_longest_good_reply_S_032(fake, gateway):
    answer = b"".join(b"214-line %d\r\n" % i for i in range(255)) + b"214 end\r\n"
    server = fake(replies={"HELP": answer})
    gate = gateway(server)
    with gate.client() as client:
        client.hello()
        assert client.cmd("HELP").octets == answer


def test_mixed_codes_S_033(fake, gateway):
    server = fake(replies={"RCPT": b"250-a\r\n550 b\r\n"})
    gate = gateway(server)
    with gate.client() as client:
        client.hello()
        assert client.cmd("MAIL FROM:<anna@good.example>").code == 250
        assert client.cmd("RCPT TO:<otto@campus.example>").code == 550
        assert client.cmd("DATA").is_(554, "5.5.1")
    gate.record("anomaly", lambda r: r["anomaly"]["event"] == "mixed_reply_codes")


def test_reply_nobody_asked_for_S_034(fake, gateway):
    server = fake(replies={"NOOP": b"250 ok\r\n250 another\r\n"})
    gate = gateway(server)
    with gate.client() as client:
        client.hello()
        client.send("NOOP\r\n")
        got = ends(client)
        assert b"another" not in got
    gate.record("anomaly",
                lambda r: r["anomaly"]["event"] == "unable_to_match_reply_with_request")


def test_bad_utf8_S_035(fake, gateway):
    server = fake()
    gate = gateway(server)
    with gate.client() as client:
        client.hello()
        assert client.cmd(b"MAIL FROM:<\xc3(@good.example>").is_(500, "5.5.2")
        assert client.cmd("NOOP").code == 250
    assert b"\xc3" not in server.ended().received


def test_utf8_without_smtputf8_S_036(fake, gateway):
    server = fake()
    gate = gateway(server)
    with gate.client() as client:
        client.hello()
        assert client.cmd("MAIL FROM:<ü@good.example>").is_(553, "5.6.7")
        assert client.cmd("VRFY otto").code in (250, 252)
        assert client.cmd("DATA").is_(503, "5.5.1")
        client.envelope()
    assert "DATA" not in server.ended().verbs()


def test_nested_mail_S_037(campus, gateway):
    gate = gateway(campus)
    with gate.client() as client:
        client.hello()
        client.envelope("first@good.example")
        assert client.cmd("MAIL FROM:<second@good.example>").is_(503, "5.5.1")
        assert client.data(b"Subject: nested\r\n\r\nx\r\n.\r\n").code == 250
    assert b"Return-Path: <first@good.example>" in campus.settle()[0]


def sasl(conversation, line):
    """A mechanism with three rounds; * cancels."""
    for _ in range(3):
        conversation.send(b"334 \r\n")
        answer = conversation.line()
        conversation.commands.append(b"SASL " + answer)
        if answer == b"*\r\n":
            return b"501 5.7.0 cancelled\r\n"
    return b"235 2.7.0 welcome\r\n"


@pytest.mark.parametrize("how", [WHOLE, OCTETS])
def test_sasl_lines_are_no_commands_S_038(fake, gateway, how):
    server = fake(ehlo=(*EHLO, "AUTH LOGIN PLAIN"), replies={"AUTH": sasl})
    gate = gateway(server)
    with gate.client() as client:
        client.hello()
        assert client.cmd("AUTH LOGIN", how).code == 334
        assert client.cmd("UVVJVA==", how).code == 334
        assert client.cmd("QUIT", how).code == 334
        assert client.cmd("RSET", how).code == 235
        assert client.cmd("NOOP", how).code == 250
    assert server.ended().commands[1:5] == [
        b"AUTH LOGIN\r\n", b"SASL UVVJVA==\r\n", b"SASL QUIT\r\n", b"SASL RSET\r\n"]


def test_sasl_cancelled_S_038(fake, gateway):
    server = fake(ehlo=(*EHLO, "AUTH LOGIN PLAIN"), replies={"AUTH": sasl})
    gate = gateway(server)
    with gate.client() as client:
        client.hello()
        assert client.cmd("AUTH LOGIN").code == 334
        assert client.cmd("*").code == 501
        assert client.cmd("NOOP").code == 250


@pytest.mark.parametrize("length", [12288, 12289])
def test_sasl_line_of_12288_octets_S12(fake, gateway, length):
    """RFC 4954 section 4: tokens of OAuth are long."""
    server = fake(ehlo=(*EHLO, "AUTH XOAUTH2"))
    gate = gateway(server)
    line = b"AUTH XOAUTH2 "
    line += b"A" * (length - 2 - len(line))
    with gate.client() as client:
        client.hello()
        answer = client.cmd(line)
        assert answer.code == (235 if length <= 12288 else 500), answer
    passed = line + b"\r\n" in server.ended().received
    assert passed == (length <= 12288)


def test_auth_needs_tls_when_told_so_S_039(fake, gateway):
    server = fake(ehlo=(*EHLO, "STARTTLS", "AUTH PLAIN"))
    gate = gateway(server, smtp={"auth_requires_tls": True, "starttls": "pass"})
    secret = base64.b64encode(b"\0anna\0open-sesame")
    with gate.client() as client:
        client.hello()
        assert client.cmd(b"AUTH PLAIN " + secret).is_(538, "5.7.11")
    assert "AUTH" not in server.ended().verbs()
    gate.flow()
    assert secret not in gate.log.read_bytes()
    assert b"sesame" not in gate.log.read_bytes()


@pytest.mark.parametrize("line", ["AUTH PLAIN {}", "AUTH LOGIN {}"])
def test_no_secret_in_a_record(fake, gateway, line):
    server = fake(ehlo=(*EHLO, "AUTH PLAIN LOGIN"))
    gate = gateway(server)
    secret = base64.b64encode(b"\0anna\0open-sesame").decode()
    with gate.client() as client:
        client.hello()
        assert client.cmd(line.format(secret)).code == 235
        client.envelope()
        assert client.data(b"Subject: x\r\n\r\nx\r\n.\r\n").code == 250
        client.cmd("QUIT")
    gate.flow()
    assert secret.encode() not in gate.log.read_bytes()
    assert b"sesame" not in gate.log.read_bytes()
    assert secret not in gate.stderr


@pytest.mark.parametrize("line", ["XCLIENT ADDR=10.25.0.25 NAME=mx", "XFORWARD NAME=x ADDR=10.0.0.1"])
def test_xclient_is_refused_S_040(fake, gateway, line):
    server = fake(ehlo=(*EHLO, "XCLIENT NAME ADDR", "XFORWARD NAME ADDR"))
    gate = gateway(server)
    with gate.client() as client:
        assert "XCLIENT" not in client.hello().text
        assert client.cmd(line).is_(550, "5.7.0")
    assert server.ended().verbs() in (["EHLO"], ["EHLO", "QUIT"])


@pytest.mark.parametrize("header", [b"PROXY TCP4 10.25.0.9 10.25.0.25 1000 25\r\n",
                                    b"\r\n\r\n\0\r\nQUIT\n\x21\x11\x00\x0c" + b"\x0a\0\0\x01" * 3])
def test_proxy_header_is_refused_S_040(fake, gateway, header):
    server = fake()
    gate = gateway(server)
    with gate.client() as client:
        assert client.reply().code == 220
        client.send(header)
        assert client.reply().code in (500, 502, 550, 554, 221)
    assert server.ended().verbs() in ([], ["QUIT"])


UNKNOWN = ("XEXCH50", "X-LINK2STATE", "TURN", "ATRN", "BURL imap", "PIPECONNECT", "REQUIRETLS")


def test_keywords_by_allow_list_S_041(fake, gateway):
    server = fake(ehlo=(*EHLO, *UNKNOWN))
    gate = gateway(server)
    with gate.client() as client:
        offered = {line[4:].split()[0] for line in client.hello().lines[1:]}
        assert offered == {keyword.split()[0] for keyword in EHLO}
        for keyword in UNKNOWN:
            assert client.cmd(keyword.split()[0] + " x").is_(502, "5.5.1")
    assert set(server.ended().verbs()) <= {"EHLO", "QUIT"}


def test_keyword_with_equal_sign_S_041(fake, gateway):
    """Old clients know only 250-AUTH=LOGIN."""
    server = fake(ehlo=(*EHLO, "AUTH LOGIN", "AUTH=LOGIN"))
    gate = gateway(server)
    with gate.client() as client:
        lines = client.hello().lines
        assert any(line[4:] == "AUTH LOGIN" for line in lines)
        assert any(line[4:] == "AUTH=LOGIN" for line in lines)


def test_xtext_parameters_pass_as_written(fake, gateway):
    server = fake()
    gate = gateway(server)
    with gate.client() as client:
        client.hello()
        assert client.cmd("MAIL FROM:<anna@good.example> SIZE=100 BODY=8BITMIME RET=HDRS "
                          "ENVID=Q+2Bx").code == 250
        assert client.cmd("RCPT TO:<otto@campus.example> NOTIFY=SUCCESS,DELAY "
                          "ORCPT=rfc822;otto+40campus.example").code == 250
    assert server.ended().commands[1:3] == [
        b"MAIL FROM:<anna@good.example> SIZE=100 BODY=8BITMIME RET=HDRS ENVID=Q+2Bx\r\n",
        b"RCPT TO:<otto@campus.example> NOTIFY=SUCCESS,DELAY ORCPT=rfc822;otto+40campus.example\r\n"]


def test_parameter_that_was_not_offered(fake, gateway):
    server = fake(ehlo=("PIPELINING",))
    gate = gateway(server)
    with gate.client() as client:
        client.hello()
        assert client.cmd("MAIL FROM:<anna@good.example> SIZE=10").is_(555, "5.5.4")


def test_helo_only_client(fake, gateway):
    server = fake()
    gate = gateway(server)
    with gate.client() as client:
        assert client.hello(verb="HELO").lines == ["250 2.0.0 Ok"]
        client.envelope()
        assert client.data(b"Subject: x\r\n\r\nx\r\n.\r\n").code == 250
    assert len(server.mails) == 1


@pytest.mark.parametrize("how", [WHOLE, OCTETS])
def test_replies_as_the_server_wrote_them(fake, gateway, how):
    server = fake(replies={"GREETING": b"220-two\r\n220 lines\r\n",
                           "VRFY": b"250-a\r\n250-\r\n250\r\n", "NOOP": b"250\r\n"})
    gate = gateway(server)
    with gate.client() as client:
        assert client.reply().octets == b"220-two\r\n220 lines\r\n"
        assert client.cmd("EHLO x.example", how).code == 250
        assert client.cmd("NOOP", how).octets == b"250\r\n"
