"""Messages in chunks (RFC 3030): SECURITY cases S-050 to S-063."""

import pytest

from peers import EHLO, OCTETS, WHOLE

BODY = b"Subject: chunks\r\n\r\nline one\r\nline two\r\n"


@pytest.fixture
def chunking(fake, gateway):
    """(server that offers CHUNKING, gateway before it)"""
    server = fake()
    return server, gateway(server)


def chunk(octets, last=False):
    return b"BDAT %d%s\r\n" % (len(octets), b" LAST" if last else b"") + octets


def test_bdat_where_it_was_not_offered_S_050(fake, gateway):
    server = fake(ehlo=("PIPELINING", "8BITMIME"))
    gate = gateway(server)
    with gate.client() as client:
        client.hello()
        client.envelope()
        client.send(b"BDAT 10\r\nNOOP\r\nNOOP\r\n")
        assert client.reply().is_(521, "5.5.1")
        assert client.rest(5) == b""
    assert set(server.ended().verbs()) <= {"EHLO", "MAIL", "RCPT", "QUIT"}


@pytest.mark.parametrize("line", ["BDAT", "BDAT x", "BDAT -1", "BDAT 5 X", "BDAT 5 LAST LAST",
                                  "BDAT +5", "BDAT 0x10", "BDAT 05", "BDAT  ",
                                  "BDAT 18446744073709551616 LAST", "BDAT 9223372036854775808",
                                  "BDAT 18446744073709551617"])
def test_bad_bdat_line_S_051_S_052(chunking, line):
    server, gate = chunking
    with gate.client() as client:
        client.hello()
        client.envelope()
        client.send(line + "\r\nhello")
        assert client.reply().is_(521, "5.5.4")
        assert client.rest(5) == b""
    assert "BDAT" not in server.ended().verbs()
    gate.record("anomaly", lambda r: r["anomaly"]["event"] == "invalid_bdat")


def test_null_chunks_S_053(chunking):
    server, gate = chunking
    with gate.client() as client:
        client.hello()
        client.envelope()
        assert client.cmd("BDAT 0").is_(551, "5.7.1")
        for _ in range(30):
            answer = client.cmd("BDAT 0")
            if answer.code == 421:
                break
            assert answer.code == 551, answer
        assert answer.is_(421, "4.7.0"), answer
        assert client.closed()
    assert not server.mails


def test_null_chunks_in_a_flood_S_053(chunking):
    _, gate = chunking
    with gate.client() as client:
        client.hello()
        client.envelope()
        try:
            client.send(b"BDAT 0\r\n" * 100_000)
        except OSError:  # closed in the middle of it
            pass
        client.rest(5)
    assert gate.memory() < 64 << 20


def test_empty_message_S_054(chunking):
    server, gate = chunking
    with gate.client() as client:
        client.hello()
        client.envelope()
        assert client.cmd("BDAT 0 LAST").code == 250
        client.envelope("bert@aonly.example", "emma@campus.example")
        client.send(chunk(BODY, last=True))
        assert client.reply().code == 250
    assert [(m.sender, m.content) for m in server.mails] == [
        ("anna@good.example", b""), ("bert@aonly.example", BODY)]


@pytest.mark.parametrize("how", [WHOLE, OCTETS])
def test_chunks_and_the_next_mail_in_one_segment_S_055(chunking, how):
    server, gate = chunking
    with gate.client() as client:
        client.hello()
        client.envelope()
        client.send(chunk(BODY[:7]) + chunk(BODY[7:8]) + chunk(BODY[8:], last=True) +
                    b"MAIL FROM:<bert@aonly.example>\r\nRCPT TO:<emma@campus.example>\r\n" +
                    chunk(BODY, last=True) + b"QUIT\r\n", how)
        assert [client.reply().code for _ in range(7)] == [250] * 6 + [221]
    got = server.ended()
    assert [(m.sender, m.content) for m in server.mails] == [
        ("anna@good.example", BODY), ("bert@aonly.example", BODY)]
    # LAST is the end mark: it goes alone, after the verdict
    assert [c for c in got.commands if b"LAST" in c] == [b"BDAT 0 LAST\r\n"] * 2


def test_chunks_before_postfix_S_055(campus, gateway):
    gate = gateway(campus)
    with gate.client() as client:
        assert "CHUNKING" in client.hello().text
        client.envelope()
        client.send(chunk(BODY[:20]) + chunk(BODY[20:]) + chunk(b"", last=True))
        assert [client.reply().code for _ in range(3)] == [250, 250, 250]
    assert campus.settle()[0].endswith(b"\n\nline one\nline two\n")


@pytest.mark.parametrize("how", [WHOLE, OCTETS])
def test_content_that_looks_like_an_end_S_056(chunking, how):
    server, gate = chunking
    body = BODY + b".\r\n..\r\nQUIT\r\nMAIL FROM:<x@evil.example>\r\n.\r\n"
    with gate.client() as client:
        client.hello()
        client.envelope()
        client.send(chunk(body, last=True), how)
        assert client.reply().code == 250
    assert [m.content for m in server.mails] == [body]


def test_content_that_looks_like_an_end_before_postfix_S_056(campus, gateway):
    gate = gateway(campus)
    with gate.client() as client:
        client.hello()
        client.envelope()
        client.send(chunk(BODY + b".\r\nQUIT\r\n..\r\n", last=True))
        assert client.reply().code == 250
        assert client.cmd("NOOP").code == 250
    assert campus.settle()[0].endswith(b"line two\n.\nQUIT\n..\n")


def test_chunk_without_recipient_S_057(chunking):
    server, gate = chunking
    with gate.client() as client:
        client.hello()
        client.send(chunk(b"MAIL FROM:<x@y.example>\r\n", last=True) + b"NOOP\r\n")
        assert client.reply().is_(503, "5.5.1")
        assert client.reply().code == 250
        assert client.cmd("MAIL FROM:<anna@good.example>").code == 250
        assert client.cmd("RCPT TO:<x@evil.example>").code == 550
        client.send(chunk(b"RCPT TO:<otto@campus.example>\r\n", last=True) + b"NOOP\r\n")
        assert client.reply().code in (503, 554)
        assert client.reply().code == 250
    assert not server.mails
    assert "RCPT" not in server.ended().verbs()


def test_chunks_behind_a_refused_one_S_058(fake, gateway):
    def refuse(conversation, line):
        return b"452 4.3.1 disk full\r\n"

    server = fake(replies={"BDAT": refuse, ".": refuse})
    gate = gateway(server)
    with gate.client() as client:
        client.hello()
        client.envelope()
        client.send(chunk(BODY) + chunk(b"VRFY x\r\n") + chunk(BODY, last=True))
        codes = [client.reply().code for _ in range(3)]
        assert codes[0] == 452 and all(code >= 400 for code in codes), codes
        answer = client.cmd("NOOP")
        assert answer.code in (250, 421), answer
    assert "VRFY" not in server.ended().verbs()


def test_data_after_a_failed_chunk_S_059(chunking):
    server, gate = chunking
    with gate.client() as client:
        client.hello()
        client.send(chunk(BODY))
        assert client.reply().is_(503, "5.5.1")
        assert client.cmd("DATA").is_(503, "5.5.1")
        assert client.cmd("RSET").code == 250
        client.envelope()
    assert not server.mails


@pytest.mark.parametrize("line", ["DATA", "RCPT TO:<emma@campus.example>",
                                  "MAIL FROM:<bert@aonly.example>"])
def test_commands_between_chunks_S_060(chunking, line):
    server, gate = chunking
    with gate.client() as client:
        client.hello()
        client.envelope()
        client.send(chunk(BODY))
        assert client.reply().code == 250
        assert client.cmd(line).is_(503, "5.5.1")
        client.send(chunk(b"end\r\n", last=True))
        assert client.reply().code == 250
    assert [(m.recipients, m.content) for m in server.mails] == [
        (["otto@campus.example"], BODY + b"end\r\n")]


def test_chunk_beyond_the_size_limit_S_061(chunking):
    server, gate = chunking
    with gate.client() as client:
        client.hello()
        client.envelope()
        client.send(b"BDAT 1000000000000\r\ndrip")
        assert client.reply().is_(552, "5.3.4")
        assert client.rest(5) == b""
    assert not server.mails
    gate.record("anomaly", lambda r: r["anomaly"]["event"] == "bdat_chunk_len_exceeded")


@pytest.mark.parametrize("end", ["close", "reset"])
def test_client_gone_inside_a_chunk_S_062(chunking, end):
    server, gate = chunking
    client = gate.client()
    client.hello()
    client.envelope()
    client.send(b"BDAT 1000 LAST\r\n" + b"x" * 400)
    getattr(client, end)()
    got = server.ended()
    assert not server.mails
    assert not any(b"LAST" in command for command in got.commands)
    assert b"LAST" not in got.received


def test_client_gone_between_chunks_S_062(chunking):
    server, gate = chunking
    with gate.client() as client:
        client.hello()
        client.envelope()
        client.send(chunk(BODY))
        assert client.reply().code == 250
    assert b"LAST" not in server.ended().received
    assert not server.mails


def test_offered_only_where_the_server_offers_it_S_063(fake, gateway):
    server = fake(ehlo=[k for k in EHLO if k not in ("CHUNKING", "BINARYMIME")])
    gate = gateway(server)
    with gate.client() as client:
        text = client.hello().text
        assert "CHUNKING" not in text and "BINARYMIME" not in text


def test_binarymime(chunking):
    server, gate = chunking
    body = b"Subject: bin\r\n\r\n" + bytes(range(256)) * 40
    with gate.client() as client:
        client.hello()
        client.envelope(mail=" BODY=BINARYMIME")
        client.send(chunk(body[:100]) + chunk(body[100:], last=True))
        codes = [client.reply().code for _ in range(2)]
        assert codes in ([250, 250], [250, 550]), codes
    assert [m.content for m in server.mails] == ([body] if codes == [250, 250] else [])


def test_large_chunks_arrive_whole(chunking):
    server, gate = chunking
    part = b"\r\n" + b"0123456789abcdef" * 4095 + b"\r\n"
    with gate.client() as client:
        client.hello()
        client.envelope()
        for i in range(40):
            client.send(chunk(part, last=i == 39))
        assert [client.reply().code for _ in range(40)] == [250] * 40
    assert server.mails[0].content == part * 40
    assert gate.memory() < 64 << 20
