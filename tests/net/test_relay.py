"""The relay check before a host that relays for everybody: SECURITY cases R-001 to R-036."""

import pytest

import lab as L
from lab import wait_for
from peers import EHLO, OCTETS, WHOLE

MODES = ["forward", "tproxy"]

IP = L.OPEN_RELAY
NAME = "relay.campus.example"  # the relay's own name, one of campus.example's

# id: (MAIL FROM, RCPT TO). nmap's sixteen forms are.
FORMS = {
    "R-001-null-sender": ("<>", "<r@evil.example>"),
    "R-002-plain": ("<s@good.example>", "<r@evil.example>"),
    "R-003-forged-local-sender": (f"<s@{NAME}>", "<r@evil.example>"),
    "R-004-literal-sender": (f"<s@[{IP}]>", "<r@evil.example>"),
    "R-005-percent-at-literal": (f"<s@[{IP}]>", f"<r%evil.example@[{IP}]>"),
    "R-006-percent": (f"<s@{NAME}>", f"<r%evil.example@{NAME}>"),
    "R-007-quoted": (f"<s@{NAME}>", '<"r@evil.example">'),
    "R-008-quoted-percent": (f"<s@{NAME}>", '<"r%evil.example">'),
    "R-009-double-at-literal": (f"<s@{NAME}>", f"<r@evil.example@[{IP}]>"),
    "R-010-quoted-at-literal": (f"<s@{NAME}>", f'<"r@evil.example"@[{IP}]>'),
    "R-011-double-at": (f"<s@{NAME}>", f"<r@evil.example@{NAME}>"),
    "R-012-route-literal": (f"<s@{NAME}>", f"<@[{IP}]:r@evil.example>"),
    "R-013-route": (f"<s@{NAME}>", f"<@{NAME}:r@evil.example>"),
    "R-014-bang": (f"<s@{NAME}>", "<evil.example!r>"),
    "R-015-bang-at-literal": (f"<s@{NAME}>", f"<evil.example!r@[{IP}]>"),
    "R-016-bang-at-name": (f"<s@{NAME}>", f"<evil.example!r@{NAME}>"),
    "R-018-route-list": ("<s@good.example>", "<@campus.example,@evil.example:r@evil.example>"),
    "R-019-trailing-dot": ("<s@good.example>", "<r@evil.example.>"),
    "R-020-case": ("<s@good.example>", "<r@EVIL.Example>"),
    "R-021-quoted-pair": ("<s@good.example>", r'<"u\@evil.example"@campus.example>'),
    "R-022-percent-local": ("<s@good.example>", "<u%evil.example@campus.example>"),
    "R-022-bang-local": ("<s@good.example>", "<evil.example!u@campus.example>"),
    "R-022-both": ("<s@good.example>", "<evil.example!u%campus.example@campus.example>"),
    "R-022-nested": ("<s@good.example>", "<u%evil.example%campus.example@campus.example>"),
    "R-022-quoted-route": ("<s@good.example>", '<"@campus.example:u@evil.example"@campus.example>'),
    "R-027-foreign-literal": ("<s@good.example>", "<u@[203.0.113.66]>"),
    "R-027-loopback-literal": ("<s@good.example>", "<u@[127.0.0.1]>"),
    "R-027-own-literal": ("<s@good.example>", f"<u@[{IP}]>"),
    "R-027-loopback6-literal": ("<s@good.example>", "<u@[IPv6:::1]>"),
}

# id: (RCPT TO, codes that are right)
MALFORMED = {
    "R-018-route-with-colon": ("<@a:@b:r@evil.example>", (501, 550)),
    "R-021-quoted-pair-open": (r'<"u\"@evil.example>', (501, 550)),
    "R-023-two-readings": ("<u@campus.example@evil.example>", (501, 550)),
    "R-023-bracket-inside": ("<a@evil.example>u@campus.example", (501,)),
    "R-023-bracket-between": ("<a@b>x@y", (501,)),
    "R-024-encoded-word": ("<=?utf-8?q?r=40evil.example=3e?=@campus.example>", (501,)),
    "R-026-bad-punycode": ("<u@xn--\u00ad.example>".encode("ascii", "replace").decode(), (501,)),
    "R-026-xn-nothing": ("<u@xn--.campus.example>", (501,)),
    "R-026-label-64": (f"<u@{'d' * 64}.campus.example>", (501,)),
    "R-026-empty-label": ("<u@a..campus.example>", (501,)),
    "R-026-underscore": ("<u@a_b.campus.example>", (501,)),
    "R-026-leading-hyphen": ("<u@-a.campus.example>", (501,)),
    "R-027-mapped-literal": ("<u@[::ffff:192.0.2.25]>", (501,)),
    "R-027-number-literal": ("<u@[3221225985]>", (501,)),
    "R-027-bare-address": ("<u@192.0.2.25>", (501,)),
    "R-028-null": ("<>", (501,)),
    "R-028-no-domain": ("<u>", (501,)),
    "R-029-empty-quoted": ('<""@campus.example>', (501,)),
    "R-029-empty-domain": ("<u@>", (501,)),
    "R-029-comment": ("<u(c)@campus.example>", (501,)),
}


def nothing_left_the_host(sink, gate):
    """A mail to us through the same gateway arrives; whatever was taken before it has then gone."""
    with gate.client() as client:
        client.hello()
        client.envelope("anna@good.example", "last@campus.example")
        assert client.data(b"Subject: last\r\n\r\nx\r\n.\r\n").code == 250
    wait_for(lambda: any("last@campus.example" in m.recipients for m in sink.mails), what="mail")
    assert [m.recipients for m in sink.mails] == [["last@campus.example"]]


@pytest.mark.parametrize("sender,recipient", FORMS.values(), ids=FORMS.keys())
def test_relaying_denied(open_relay, gateway, sender, recipient):
    postfix, sink = open_relay
    gate = gateway(postfix)
    with gate.client() as client:
        client.hello()
        assert client.cmd(f"MAIL FROM:{sender}").code == 250
        answer = client.cmd(f"RCPT TO:{recipient}")
        assert answer.is_(550, "5.7.1"), answer
        assert "Relaying denied" in answer.text
        assert client.cmd("DATA").code in (503, 554)
    nothing_left_the_host(sink, gate)
    record = gate.record("smtp", lambda r: r.get("verdict", {}).get("action") == "refuse")
    assert record["verdict"]["rule"] == "relay"


@pytest.mark.parametrize("sender,recipient", FORMS.values(), ids=FORMS.keys())
def test_relaying_denied_with_starttls_in_between(open_relay, gateway, sender, recipient):
    """Under TLS nobody would see what follows; trying it opens no other way either."""
    postfix, sink = open_relay
    gate = gateway(postfix)
    with gate.client() as client:
        assert "STARTTLS" in client.hello().text
        assert client.cmd("STARTTLS").is_(454, "4.7.0")
        assert client.cmd(f"MAIL FROM:{sender}").code == 250
        assert client.cmd("STARTTLS").code in (454, 503)
        assert client.cmd(f"RCPT TO:{recipient}").is_(550, "5.7.1")
        assert client.cmd("STARTTLS").code in (454, 503)
        assert client.cmd("DATA").code in (503, 554)
    nothing_left_the_host(sink, gate)


OPEN = [n for n in FORMS if n.split("-")[1] in ("001", "002", "003", "006", "011", "013", "016",
                                                "020", "021", "022")]


@pytest.mark.parametrize("name", OPEN)
def test_the_host_relays_without_a_gateway(open_relay, direct, name):
    """It is an open relay, and the disguises work on it: what stops them above is the gateway."""
    postfix, sink = open_relay
    sender, recipient = FORMS[name]
    client = direct(postfix.address)
    client.hello()
    assert client.cmd(f"MAIL FROM:{sender}").code == 250
    assert client.cmd(f"RCPT TO:{recipient}").code == 250
    assert client.data(b"Subject: relayed\r\n\r\nx\r\n.\r\n").code == 250
    wait_for(lambda: sink.mails, what="the relayed mail")
    assert sink.mails[0].recipients[0].lower().endswith("@evil.example")


@pytest.mark.parametrize("recipient,codes", MALFORMED.values(), ids=MALFORMED.keys())
def test_malformed_recipient(open_relay, gateway, recipient, codes):
    postfix, sink = open_relay
    gate = gateway(postfix)
    with gate.client() as client:
        client.hello()
        assert client.cmd("MAIL FROM:<s@good.example>").code == 250
        answer = client.cmd(f"RCPT TO:{recipient}")
        assert answer.code in codes, answer
        assert answer.enhanced == {501: "5.1.3", 550: "5.7.1"}[answer.code], answer
    nothing_left_the_host(sink, gate)


@pytest.mark.parametrize("how", [OCTETS, 13])
@pytest.mark.parametrize("name", ["R-006-percent", "R-010-quoted-at-literal", "R-013-route",
                                  "R-016-bang-at-name"])
def test_relaying_denied_in_pieces(fake, gateway, name, how):
    server = fake()
    gate = gateway(server)
    sender, recipient = FORMS[name]
    with gate.client() as client:
        client.hello()
        assert client.cmd(f"MAIL FROM:{sender}", how).code == 250
        assert client.cmd(f"RCPT TO:{recipient}", how).is_(550, "5.7.1")
    assert "RCPT" not in server.ended().verbs()


@pytest.mark.parametrize("sender,code", [("s@localhost", None), ("s", 553)])
def test_sender_without_a_domain_R_017(fake, gateway, sender, code):
    server = fake()
    gate = gateway(server)
    with gate.client() as client:
        client.hello()
        answer = client.cmd(f"MAIL FROM:<{sender}>")
        assert answer.code == code or code is None and answer.code in (250, 451, 550, 553), answer
        answer = client.cmd("RCPT TO:<r@evil.example>")
        assert answer.code in (503, 550), answer
    assert "RCPT" not in server.ended().verbs()


LOCAL = {
    "R-019-trailing-dot": ("<otto@campus.example.>", b"<otto@campus.example>"),
    "R-020-case": ("<Otto@CAMPUS.Example>", b"<Otto@CAMPUS.Example>"),
    "R-028-postmaster": ("<postmaster>", b"<postmaster>"),
    "R-028-Postmaster": ("<PostMaster>", b"<PostMaster>"),
    "R-034-quotes-not-needed": ('<"otto"@campus.example>', b"<otto@campus.example>"),
    "R-034-quotes-needed": ('<"o tto"@campus.example>', b'<"o tto"@campus.example>'),
    "R-034-route": ("<@mx.campus.example:otto@campus.example>", b"<otto@campus.example>"),
    "below": ("<otto@dept.campus.example>", b"<otto@dept.campus.example>"),
}


@pytest.mark.parametrize("recipient,forwarded", LOCAL.values(), ids=LOCAL.keys())
def test_local_recipient_in_canonical_form(fake, gateway, recipient, forwarded):
    server = fake()
    gate = gateway(server)
    with gate.client() as client:
        client.hello()
        assert client.cmd("MAIL FROM:<s@good.example>").code == 250
        answer = client.cmd(f"RCPT TO:{recipient}")
        assert answer.code == 250, answer
    assert server.ended().commands[2] == b"RCPT TO:" + forwarded + b"\r\n"


@pytest.mark.parametrize("how", [WHOLE, OCTETS])
def test_what_is_forwarded_is_what_was_parsed_R_034(fake, gateway, how):
    server = fake()
    gate = gateway(server)
    with gate.client() as client:
        client.hello()
        assert client.cmd("mail FROM: <s@good.example>   SIZE=10", how).code in (250, 501)
        assert client.cmd("RSET").code == 250
        assert client.cmd("mail from:<s@good.example>  SIZE=10", how).code == 250
        assert client.cmd('rcpt to:<"otto"@campus.example.>   NOTIFY=NEVER', how).code == 250
    assert server.ended().commands[-2:] == [
        b"MAIL FROM:<s@good.example> SIZE=10\r\n",
        b"RCPT TO:<otto@campus.example> NOTIFY=NEVER\r\n"]


CONFUSABLE = {
    "greek-o": ("<u@l\u03bfcal.example>", " SMTPUTF8", (550, 501)),
    "greek-o-in-campus": ("<u@campus.ex\u0430mple>", " SMTPUTF8", (550, 501)),
    "ideographic-stop": ("<u@evil\u3002campus.example>", " SMTPUTF8", (501,)),
    "full-width-stop": ("<u@evil\uff0ecampus.example>", " SMTPUTF8", (501,)),
    "half-width-stop": ("<u@evil\uff61campus.example>", " SMTPUTF8", (501,)),
    "full-width-at": ("<u\uff20evil.example@campus.example>", " SMTPUTF8", (501, 550)),
    "full-width-percent": ("<u\uff05evil.example@campus.example>", " SMTPUTF8", (501, 550)),
    "not-asked-for": ("<\u00fc@campus.example>", "", (553,)),
}


@pytest.mark.parametrize("recipient,parameter,codes", CONFUSABLE.values(), ids=CONFUSABLE.keys())
def test_looks_like_something_else_R_025(fake, gateway, recipient, parameter, codes):
    server = fake()
    gate = gateway(server)
    with gate.client() as client:
        client.hello()
        assert client.cmd(f"MAIL FROM:<s@good.example>{parameter}").code == 250
        answer = client.cmd(f"RCPT TO:{recipient}")
        assert answer.code in codes, answer
        if answer.code == 553:
            assert answer.enhanced == "5.6.7"
    assert "RCPT" not in server.ended().verbs()


@pytest.mark.parametrize("domain", ["münchen.example", "xn--mnchen-3ya.example", "MÜNCHEN.example"])
def test_local_domain_with_an_umlaut_R_025(fake, gateway, domain):
    gate = gateway(fake(), smtp={"relay": {"local_domains": ["münchen.example"]}})
    with gate.client() as client:
        client.hello()
        assert client.cmd("MAIL FROM:<s@good.example> SMTPUTF8").code == 250
        assert client.cmd(f"RCPT TO:<u@{domain}>").code == 250
        assert client.cmd("RCPT TO:<u@campus.example>").code == 550


def test_enormous_address_R_029(fake, gateway):
    server = fake()
    gate = gateway(server)
    with gate.client() as client:
        client.hello()
        assert client.cmd("MAIL FROM:<s@good.example>").code == 250
        assert client.cmd("RCPT TO:<" + "u" * 63 * 1024 + "@campus.example>").code in (500, 501)
        assert client.cmd("RCPT TO:<" + "u" * 3000 + "@campus.example>").code == 501
        assert client.cmd("RCPT TO:<otto@campus.example>").code == 250


def test_only_this_servers_235_counts_R_032(fake, gateway):
    server = fake(ehlo=(*EHLO, "AUTH PLAIN"), replies={"NOOP": b"235 2.7.0 fooled you\r\n"})
    gate = gateway(server)
    with gate.client() as client:
        client.hello()
        client.cmd("NOOP")
        assert client.cmd("MAIL FROM:<s@good.example>").code == 250
        assert client.cmd("RCPT TO:<r@evil.example>").is_(550, "5.7.1")
        assert client.cmd("RSET").code == 250
        assert client.cmd("AUTH PLAIN AGFubmEAeA==").code == 235
        client.envelope("s@good.example", "r@evil.example")


def test_refused_authentication_R_032(fake, gateway):
    server = fake(ehlo=(*EHLO, "AUTH PLAIN"), replies={"AUTH": b"535 5.7.8 no\r\n"})
    gate = gateway(server)
    with gate.client() as client:
        client.hello()
        assert client.cmd("AUTH PLAIN AGFubmEAeA==").code == 535
        assert client.cmd("MAIL FROM:<s@good.example>").code == 250
        assert client.cmd("RCPT TO:<r@evil.example>").is_(550, "5.7.1")


def test_authentication_that_does_not_count(fake, gateway):
    server = fake(ehlo=(*EHLO, "AUTH PLAIN"))
    gate = gateway(server, smtp={"relay": {"authenticated": False}})
    with gate.client() as client:
        client.hello()
        assert client.cmd("AUTH PLAIN AGFubmEAeA==").code == 235
        assert client.cmd("MAIL FROM:<s@good.example>").code == 250
        assert client.cmd("RCPT TO:<r@evil.example>").is_(550, "5.7.1")


@pytest.mark.parametrize("how", [WHOLE, OCTETS])
def test_mixed_recipients_pipelined_R_033(open_relay, gateway, how):
    postfix, sink = open_relay
    gate = gateway(postfix)
    with gate.client() as client:
        client.hello()
        client.send("MAIL FROM:<s@good.example>\r\nRCPT TO:<one@campus.example>\r\n"
                    "RCPT TO:<r@evil.example>\r\nRCPT TO:<two@campus.example>\r\nDATA\r\n", how)
        assert [client.reply().code for _ in range(5)] == [250, 250, 550, 250, 354]
        client.send("Subject: mixed\r\n\r\nx\r\n.\r\n", how)
        assert client.reply().code == 250
    wait_for(lambda: len(sink.mails) == 2, what="two mails")
    assert sorted(m.recipients[0] for m in sink.mails) == ["one@campus.example",
                                                           "two@campus.example"]


def test_no_recipient_left_R_033(fake, gateway):
    server = fake()
    gate = gateway(server)
    with gate.client() as client:
        client.hello()
        client.send("MAIL FROM:<s@good.example>\r\nRCPT TO:<r@evil.example>\r\nDATA\r\n")
        assert [client.reply().code for _ in range(2)] == [250, 550]
        answer = client.reply()
        assert answer.is_(554, "5.5.1") or answer.is_(503, "5.5.1"), answer
        assert client.cmd("NOOP").code == 250
    assert "DATA" not in server.ended().verbs()


def test_null_sender_with_two_recipients_R_035(fake, gateway):
    gate = gateway(fake(), smtp={"multi_recipient_bounce": "refuse"})
    with gate.client() as client:
        client.hello()
        assert client.cmd("MAIL FROM:<>").code == 250
        assert client.cmd("RCPT TO:<one@campus.example>").code == 250
        assert client.cmd("RCPT TO:<two@campus.example>").is_(550, "5.5.3")


@pytest.mark.parametrize("line,codes", [("VRFY r@evil.example", (252,)), ("EXPN staff", (502,)),
                                        ("ETRN evil.example", (458, 502))])
def test_questions_from_outside_R_036(fake, gateway, line, codes):
    server = fake(ehlo=(*EHLO, "EXPN"))
    gate = gateway(server)
    with gate.client() as client:
        client.hello()
        assert client.cmd(line).code in codes
    assert set(server.ended().verbs()) <= {"EHLO", "QUIT"}
    with gate.client(L.CLIENT_INSIDE) as client:  # our own people may ask
        client.hello()
        assert client.cmd(line).code == 250
    assert line.split()[0] in server.ended(1).verbs()


def test_inside_may_send_anywhere(open_relay, gateway):
    postfix, sink = open_relay
    gate = gateway(postfix)
    with gate.client(L.CLIENT_INSIDE) as client:
        client.hello()
        client.envelope("s@good.example", "r@evil.example")
        assert client.data(b"Subject: out\r\n\r\nx\r\n.\r\n").code == 250
    wait_for(lambda: sink.mails, what="the mail")


def test_local_by_mx(open_relay, gateway):
    """A domain that nobody listed, but whose MX is this very server."""
    postfix, sink = open_relay
    gate = gateway(postfix)
    with gate.client() as client:
        client.hello()
        client.envelope("s@good.example", "u@dept.example")
        assert client.cmd("RCPT TO:<u@hosted.example>").is_(550, "5.7.1")
        assert client.cmd("RCPT TO:<u@servfail.example>").is_(451, "4.4.3")
        assert client.cmd("RCPT TO:<u%evil.example@dept.example>").is_(550, "5.7.1")


def test_local_by_mx_off(fake, gateway):
    gate = gateway(fake(), smtp={"relay": {"by_mx": False}})
    with gate.client() as client:
        client.hello()
        assert client.cmd("MAIL FROM:<s@good.example>").code == 250
        assert client.cmd("RCPT TO:<u@hosted.example>").is_(550, "5.7.1")


def test_by_mx_finds_the_second_mx(fake, gateway):
    gate = gateway(fake())  # FAKE is the lower of two MX of hosted.example
    with gate.client() as client:
        client.hello()
        client.envelope("s@good.example", "u@hosted.example")


@pytest.mark.parametrize("settings", [{"exempt": [L.CLIENT + "/32"]},
                                      {"exempt_servers": [L.FAKE + "/32"]}, {"check": "off"}],
                         ids=["exempt", "exempt_servers", "off"])
def test_exempt(fake, gateway, settings):
    gate = gateway(fake(), smtp={"relay": settings})
    with gate.client() as client:
        client.hello()
        client.envelope("s@good.example", "r@evil.example")


def test_exempt_is_for_that_client_only(fake, gateway):
    gate = gateway(fake(), smtp={"relay": {"exempt": [L.CLIENT + "/32"]}})
    with gate.client(L.CLIENT_OTHER) as client:
        client.hello()
        assert client.cmd("MAIL FROM:<s@good.example>").code == 250
        assert client.cmd("RCPT TO:<r@evil.example>").is_(550, "5.7.1")


def test_report_lets_pass_and_says_so_L16(fake, gateway):
    gate = gateway(fake(), smtp={"relay": {"check": "report"}})
    with gate.client() as client:
        client.hello()
        client.envelope("s@good.example", "r@evil.example")
        assert client.data(b"Subject: x\r\n\r\nx\r\n.\r\n").code == 250
    record = gate.record("smtp")
    assert record["verdict"]["rule"] == "relay"
    assert record["verdict"]["action"] != "refuse"
    assert "550 5.7.1" in record["verdict"]["reply"]


def test_host_that_is_no_mail_server_P4(fake, gateway):
    gate = gateway(fake(), smtp={"servers": [L.MX]})
    with gate.client() as client:
        client.hello()
        assert client.cmd("MAIL FROM:<s@good.example>").code == 250
        assert client.cmd("RCPT TO:<otto@campus.example>").is_(550, "5.7.1")
    record = gate.record("smtp")
    assert record["verdict"]["rule"] == "servers"


def test_transit_is_recorded_and_not_judged(fake, gateway, mode):
    server = fake()
    outside = {"inside": ["10.26.0.0/16"]} if mode == "tproxy" else \
        {"forward": {"mx": {"outside": True}}}
    gate = gateway(server, **outside)
    with gate.client() as client:
        client.hello()
        client.envelope("s@good.example", "r@evil.example")
        assert client.data(b"Subject: x\r\n\r\nx\r\n.\r\n").code == 250
    gate.record("smtp", lambda r: "r@evil.example" in str(r["smtp"]["rcpt_to"]))
