#!/usr/bin/python3
"""Writes the hand-made inputs of fuzz_smtp, fuzz_gate and the MIME harnesses to tests/fuzz/corpus.

The first two take records of what happens to a session (see the harnesses); here they are put together
from conversations: "C" is what the client sends, "S" what the server sends.
"""

import pathlib

HERE = pathlib.Path(__file__).parent / "corpus"

GREETING = ("S", b"220 mx.local.example ESMTP\r\n")
EHLO = [
    GREETING,
    ("C", b"EHLO client.example\r\n"),
    (
        "S",
        b"250-mx\r\n250-PIPELINING\r\n250-SIZE 100000\r\n250-8BITMIME\r\n250-SMTPUTF8\r\n250-DSN\r\n"
        b"250-CHUNKING\r\n250-BINARYMIME\r\n250-AUTH PLAIN LOGIN\r\n250-STARTTLS\r\n"
        b"250 ENHANCEDSTATUSCODES\r\n",
    ),
]
OK = ("S", b"250 2.0.0 Ok\r\n")
MAIL = [
    ("C", b"MAIL FROM:<a@b.example> SIZE=100 BODY=8BITMIME\r\n"),
    OK,
    ("C", b"RCPT TO:<u@local.example> NOTIFY=NEVER\r\n"),
    OK,
]
DATA = [("C", b"DATA\r\n"), ("S", b"354 go on\r\n")]
QUIT = [("C", b"QUIT\r\n"), ("S", b"221 bye\r\n")]


def data(body):
    return EHLO + MAIL + DATA + [("C", body), OK] + QUIT


CONVERSATIONS = {
    "greeting": [GREETING],
    "helo": [GREETING, ("C", b"HELO c\r\n"), OK] + MAIL + DATA + [("C", b"x\r\n.\r\n"), OK],
    "mail": data(b"Subject: x\r\n\r\ntext\r\n..dot\r\n.\r\n"),
    "empty": data(b".\r\n"),
    "two-mails": EHLO + 2 * (MAIL + DATA + [("C", b"x\r\n.\r\n"), OK]) + QUIT,
    "pipelined": EHLO
    + [
        ("C", b"MAIL FROM:<>\r\nRCPT TO:<u@local.example>\r\nRCPT TO:<x@other.example>\r\nDATA\r\n"),
        ("S", b"250 ok\r\n250 ok\r\n"),
        ("S", b"550 no\r\n354 go\r\n"),
        ("C", b"a\r\n.\r\nQUIT\r\n"),
        ("S", b"250 ok\r\n221 bye\r\n"),
    ],
    "chunks": EHLO
    + MAIL
    + [("C", b"BDAT 5\r\nabc\r\n"), OK, ("C", b"BDAT 3 LAST\r\nx\r\n"), OK, OK]
    + QUIT,
    "chunk-empty-last": EHLO + MAIL + [("C", b"BDAT 2\r\n\r\nBDAT 0 LAST\r\n"), OK, OK] + QUIT,
    "chunk-cut-cr": EHLO + MAIL + [("C", b"BDAT 2\r\na\r"), OK, ("C", b"BDAT 2 LAST\r\n\nb"), OK, OK],
    "chunk-ends-in-cr": EHLO + MAIL + [("C", b"BDAT 2 LAST\r\na\r"), OK, OK],
    "chunk-ends-in-eight-bit": EHLO
    + MAIL
    + [("C", b"RSET\r\nMAIL FROM:<>\r\nRCPT TO:<u@local.example>\r\n"), OK, OK, OK]
    + [("C", b"BDAT 4 LAST\r\na\xe4bc"), OK, OK],
    "chunk-ends-in-sequence": EHLO + MAIL + [("C", b"BDAT 4 LAST\r\na\n.\n"), OK, OK],
    "chunk-refused": EHLO
    + MAIL
    + [("C", b"BDAT 2\r\nabBDAT 2\r\ncdBDAT 1 LAST\r\ne"), ("S", b"452 full\r\n"), OK, OK, OK],
    "chunk-reset": EHLO + MAIL + [("C", b"BDAT 2\r\nabRSET\r\n"), OK, OK] + MAIL,
    "binary": EHLO
    + [("C", b"MAIL FROM:<> BODY=BINARYMIME\r\n"), OK, ("C", b"RCPT TO:<u@local.example>\r\n"), OK]
    + [("C", b"BDAT 6 LAST\r\n\n.\n\0\r\xff"), OK, OK],
    "auth-plain": EHLO + [("C", b"AUTH PLAIN AHVzZXIAd29yZA==\r\n"), ("S", b"235 ok\r\n")] + MAIL,
    "auth-login": EHLO
    + [("C", b"AUTH LOGIN\r\n"), ("S", b"334 VXNlcm5hbWU6\r\n"), ("C", b"dXNlcg==\r\n")]
    + [("S", b"334 UGFzc3dvcmQ6\r\n"), ("C", b"d29yZA==\r\n"), ("S", b"235 ok\r\n")]
    + MAIL,
    "auth-cancelled": EHLO
    + [("C", b"AUTH LOGIN\r\n"), ("S", b"334 \r\n"), ("C", b"*\r\n"), ("S", b"501 no\r\n")],
    "starttls": EHLO
    + [("C", b"STARTTLS\r\n"), ("S", b"220 go\r\n"), ("C", b"\x16\x03\x01\0\x05hello")]
    + [("S", b"\x16\x03\x03\0\x02hi"), ("C", b"\x17more")],
    "starttls-ahead": EHLO + [("C", b"STARTTLS\r\n"), ("S", b"220 go\r\n250 injected\r\n")],
    "starttls-refused": EHLO + [("C", b"STARTTLS\r\n"), ("S", b"454 no\r\n")] + QUIT,
    "smuggling-lf": data(b"a\n.\nMAIL FROM:<x@y.example>\r\n.\r\n"),
    "smuggling-lf-crlf": data(b"a\n.\r\nb\r\n.\r\n"),
    "smuggling-cr": data(b"a\r.\rb\r\n.\r\n"),
    "smuggling-crlf-lf": data(b"a\r\n.\nb\r\n.\r\n"),
    "smuggling-nul": data(b"a\r\n\0.\r\nb\r\n.\r\n"),
    "smuggling-cr-crlf": data(b"a\r\n.\r\r\n\r\n.\r\n"),
    "stuffed": data(b"..\r\n...\r\n.x\r\n.\r.\r\n.\r\n"),
    "eight-bit": [GREETING, ("C", b"HELO c\r\n"), OK] + MAIL + DATA + [("C", b"\xe4\r\n.\r\n"), OK],
    "server-bare-lf": [("S", b"220 mx\n")],
    "server-mixed": [GREETING, ("C", b"NOOP\r\n"), ("S", b"250-a\r\n550 b\r\n")],
    "server-unasked": [GREETING, ("S", b"250 nobody asked\r\n")],
    "server-421": EHLO + [("S", b"421 4.3.2 shutting down\r\n")],
    "http": [GREETING, ("C", b"POST / HTTP/1.1\r\nHost: mx\r\n\r\n")],
    "tls-first": [GREETING, ("C", b"\x16\x03\x01\x02\x00\x01")],
    "bare-cr": [GREETING, ("C", b"NOOP a\rb\r\n")],
    "relay": EHLO
    + [("C", b"MAIL FROM:<a@b.example>\r\n"), OK]
    + [
        ("C", b"RCPT TO:<%s>\r\n" % a)
        for a in (
            b"x@other.example",
            b"x%other.example@local.example",
            b"other.example!x@local.example",
            b'"x@other.example"@local.example',
            b"@local.example:x@other.example",
            b"x@[192.0.2.1]",
            b"x",
            b"postmaster",
        )
    ],
    "commands": EHLO
    + [
        ("C", b"VRFY u\r\nEXPN l\r\nETRN h\r\nHELP\r\nNOOP\r\nRSET\r\nXCLIENT A=b\r\nWHAT\r\n"),
        ("S", b"252 a\r\n502 b\r\n250 c\r\n214 d\r\n250 e\r\n250 f\r\n"),
    ],
}


def cut(octets, n=255):
    return [octets[i : i + n] for i in range(0, len(octets), n)]


def smtp_records(conversation):
    """1: from the server; what is longer than a record can hold is cut."""
    out = b""
    for who, octets in conversation:
        for piece in cut(octets):
            out += bytes([1 if who == "S" else 0, len(piece)]) + piece
    return out


# enum act of fuzz_gate
CLIENT, SERVER, CLIENT_SINGLE, SERVER_SINGLE, LINE, REPLY, SERVE, DRAIN, TICK, ANSWER, PEER, BULK, SECRET = range(
    13
)
INSIDE, NORMALIZE, SENDER, BY_MX, TLS, SLOW, CONNECT, SMALL, LIMITED, PRESSED, SIZE, TARPIT, CLEAR = (
    1 << i for i in range(13)
)
(
    L_EHLO, L_HELO, L_MAIL, L_MAIL_MX, L_MAIL_BINARY, L_RCPT, L_RCPT_MX, L_RCPT_OTHER, L_PERCENT, L_QUOTED,
    L_POSTMASTER, L_DATA, L_DOT, L_MESSAGE, L_STUFFED, L_SMUGGLED, L_CHUNK, L_CHUNK_LAST, L_CHUNK_CR,
    L_CHUNK_LF, L_CHUNK_END, L_CHUNK_NONE, L_CHUNK_BIG, L_RSET, L_NOOP, L_VRFY, L_ETRN, L_HELP, L_LOGIN,
    L_USER, L_CANCEL, L_STARTTLS, L_TLS, L_QUIT, L_XCLIENT, L_HTTP, L_PIPELINE, L_PIPELINED_CHUNK,
    L_RECEIVED,
) = range(39)
(
    R_GREETING, R_OK, R_EHLO, R_EHLO_CHUNKING, R_GO, R_334, R_235, R_BYE, R_421, R_450, R_550, R_554,
    R_MIXED, R_THREE, R_GO_AHEAD, R_TLS_AHEAD, R_BARE, R_WHAT, R_TLS,
) = range(19)


def gate_records(conversation, single=False):
    out = b""
    for who, octets in conversation:
        for piece in cut(octets):
            out += bytes([(1 if who == "S" else 0) + (2 if single else 0), len(piece)]) + piece
    return out


def options(bits):
    return bits.to_bytes(2, "little")


def script(bits, *steps):
    """A number is a line of the client that the server then answers, a pair is an act."""
    out = options(bits)
    for step in steps:
        out += bytes([LINE, step, SERVE, 0]) if isinstance(step, int) else bytes(step)
    return out


HELLO = ((SERVE, 0), L_EHLO)
SENDING = (*HELLO, L_MAIL, L_RCPT)
GATE = {
    "served": script(0, *SENDING, L_DATA, L_MESSAGE, L_QUIT),
    "served-slow": script(SLOW, *SENDING, L_DATA, (BULK, 200), (DRAIN, 4), (DRAIN, 0), L_DOT, L_QUIT),
    "served-never": script(SLOW, (SERVE, 0), *SENDING[1:], L_DATA, (BULK, 255), (BULK, 255), (TICK, 0)),
    "bulk": script(0, *SENDING, L_DATA, (BULK, 255), L_DOT, L_RSET),
    "chunked": script(0, *SENDING, L_CHUNK, L_CHUNK_LAST, L_MAIL, L_RCPT, L_CHUNK, L_CHUNK_END),
    "chunk-cut-in-crlf": script(0, *SENDING, L_CHUNK_CR, L_CHUNK_LF, L_CHUNK_END),
    "chunk-cr-ends": script(0, *SENDING, L_CHUNK_CR, L_CHUNK_END),
    "chunk-cr-ends-normalized": script(NORMALIZE, *SENDING, L_CHUNK_CR, L_CHUNK_END),
    "chunk-failed": script(0, *SENDING, (LINE, L_CHUNK), (LINE, L_CHUNK), (REPLY, R_550), L_CHUNK_LAST),
    "chunk-big": script(0, *SENDING, L_CHUNK_BIG, (BULK, 20), L_CHUNK_END),
    "chunk-reset": script(0, *SENDING, L_CHUNK, L_RSET, L_MAIL, L_RCPT, L_CHUNK_END),
    "pipelined-chunk": script(0, *HELLO, L_PIPELINED_CHUNK, (SERVE, 0), L_MAIL),
    "binary": script(0, *HELLO, L_MAIL_BINARY, L_RCPT, L_CHUNK_LF, L_CHUNK_LAST),
    "smuggled": script(0, *SENDING, L_DATA, L_SMUGGLED, L_MAIL, L_QUIT),
    "smuggled-normalized": script(NORMALIZE, *SENDING, L_DATA, L_SMUGGLED, L_MAIL, L_QUIT),
    "stuffed": script(0, *SENDING, L_DATA, L_STUFFED, L_STUFFED, L_DOT),
    "relay": script(0, *HELLO, L_MAIL, L_RCPT_OTHER, L_PERCENT, L_QUOTED, L_POSTMASTER, L_RCPT_MX, L_DATA),
    "relay-by-mx": script(
        BY_MX, *HELLO, L_MAIL, L_RCPT_MX, (ANSWER, 0), (ANSWER, 0), (SERVE, 0), L_RCPT_OTHER, (ANSWER, 1)
    ),
    "relay-authenticated": script(0, *HELLO, (SECRET, 0), (SERVE, 0), L_MAIL, L_RCPT_OTHER, L_DATA, L_DOT),
    "sender": script(SENDER, *HELLO, L_MAIL, (ANSWER, 0), (SERVE, 0), L_RCPT, L_DATA, L_DOT),
    "sender-missing": script(SENDER, *HELLO, L_MAIL, (ANSWER, 14), (ANSWER, 14), L_RCPT),
    "sender-asked-and-left": script(SENDER, *HELLO, (LINE, L_MAIL), (PEER, 2)),
    "login": script(
        0, *HELLO, (SECRET, 1), (REPLY, R_334), (SECRET, 2), (REPLY, R_235), L_MAIL, L_RCPT_OTHER
    ),
    "login-failed": script(0, *HELLO, (SECRET, 3), (REPLY, R_334), (SECRET, 4), (REPLY, R_550), L_MAIL),
    "login-cancelled": script(0, *HELLO, (LINE, L_LOGIN), (REPLY, R_334), (LINE, L_CANCEL), (REPLY, R_550)),
    "login-needs-tls": script(CLEAR, *HELLO, (SECRET, 0), L_MAIL),
    "starttls": script(TLS, *HELLO, L_STARTTLS, (LINE, L_TLS), (REPLY, R_TLS), (BULK, 9), (PEER, 1)),
    "starttls-plain": script(TLS, *HELLO, L_STARTTLS, L_MAIL),
    "starttls-ahead": script(TLS, *HELLO, (LINE, L_STARTTLS), (REPLY, R_TLS_AHEAD)),
    "data-ahead": script(0, *SENDING, (LINE, L_DATA), (REPLY, R_GO_AHEAD)),
    "data-refused": script(0, *SENDING, (LINE, L_DATA), (REPLY, R_554), L_RSET),
    "server-leaves": script(0, *SENDING, L_DATA, (PEER, 1), L_MESSAGE, L_MAIL),
    "server-leaves-at-end": script(0, *SENDING, L_DATA, (LINE, L_MESSAGE), (PEER, 3)),
    "client-leaves": script(0, *SENDING, L_DATA, (LINE, L_STUFFED), (PEER, 0)),
    "client-leaves-at-end": script(0, *SENDING, L_DATA, (LINE, L_MESSAGE), (PEER, 2), (REPLY, R_OK)),
    "server-421": script(0, *SENDING, (REPLY, R_421)),
    "unreachable": script(CONNECT, (LINE, L_EHLO), (PEER, 3)),
    "connected-late": script(CONNECT, (PEER, 8), *SENDING, L_DATA, L_DOT),
    "timeout-client": script(0, *HELLO, (TICK, 0)),
    "timeout-server": script(0, *SENDING, (LINE, L_DATA), (TICK, 0)),
    "timeout-data": script(0, *SENDING, L_DATA, (TICK, 61), (LINE, L_STUFFED), (TICK, 30), (TICK, 0)),
    "tarpit": script(TARPIT, *HELLO, *8 * (L_RCPT,), (TICK, 0), (TICK, 0), (TICK, 9)),
    "errors": script(SMALL, *HELLO, *9 * (L_XCLIENT,)),
    "junk": script(SMALL, *HELLO, *12 * (L_NOOP,)),
    "limited": script(LIMITED, *SENDING, L_RCPT, L_RCPT, L_DATA, L_MESSAGE, L_MAIL),
    "sizes": script(SIZE, *SENDING, L_DATA, (BULK, 12), L_DOT, L_MAIL),
    "hops": script(SIZE, *SENDING, L_DATA, *4 * (L_RECEIVED,), L_DOT),
    "odd-replies": script(0, *HELLO, (LINE, L_NOOP), (REPLY, R_MIXED), (LINE, L_NOOP), (REPLY, R_WHAT)),
    "three-replies": script(0, *HELLO, (LINE, L_PIPELINE), (REPLY, R_THREE), (REPLY, R_GO), L_MESSAGE),
    "no-pipelining": script(0, (SERVE, 0), (LINE, L_EHLO), (REPLY, R_EHLO_CHUNKING), L_PIPELINED_CHUNK),
    "http": script(0, (SERVE, 0), L_HTTP, L_MAIL),
    "other-commands": script(INSIDE, *HELLO, L_VRFY, L_ETRN, L_HELP, L_NOOP, L_XCLIENT, L_HELO),
}


VERSION = b"MIME-Version: 1.0\r\n"
MIXED = VERSION + b"Content-Type: multipart/mixed; boundary=B\r\n\r\n"
BASE64 = b"Content-Transfer-Encoding: base64\r\n"
EXE = b"Content-Disposition: attachment; filename=a.exe\r\n\r\nMZ\r\n"


def multipart(*parts):
    return MIXED + b"".join(b"--B\r\n" + p + b"\r\n" for p in parts) + b"--B--\r\n"


MESSAGES = {
    "text": b"From: a@b\r\nSubject: =?utf-8?Q?x?=\r\n\r\nhello\r\n",
    "mixed": multipart(b"\r\nhello", BASE64 + b"\r\naGVsbG8=\r\n", EXE),
    "nested": multipart(
        b"Content-Type: multipart/alternative; boundary=B_alt\r\n\r\n"
        b"--B_alt\r\n\r\none\r\n--B_alt\r\nContent-Type: text/html\r\n\r\ntwo\r\n--B_alt--\r\n",
        EXE,
    ),
    "two-boundaries": VERSION
    + b"Content-Type: multipart/mixed; boundary=C; boundary=B\r\n\r\n--C\r\n\r\nx\r\n--B\r\n"
    + EXE
    + b"--B--\r\n--C--\r\n",
    "no-parts": VERSION + MIXED + b"Content-Type: text/html\r\n\r\nhi\r\n--B--\r\nmore\r\n",
    "outside": VERSION + MIXED + b"begin 644 a\r\n#86)C\r\n`\r\nend\r\n--B\r\n\r\nx\r\n--B--\r\n" + EXE,
    "two-alphabets": VERSION + BASE64 + b"\r\naGVs--8_\r\naGVsbG8=\r\n",
    "two-types": VERSION + b"Content-Type: text/plain\r\n" + MIXED + b"--B\r\n" + EXE + b"--B--\r\n",
    "two-encodings": BASE64 + b"Content-Transfer-Encoding: quoted-printable\r\n\r\naGVs=3D\r\n",
    "more-behind": multipart(BASE64 + b"\r\naGVs", b"\r\nx\r\n--Bx\r\n" + EXE),
    "bare-cr": multipart(b"\r\none\r--B\r\n" + EXE),
    "coded-multipart": VERSION
    + b"Content-Type: multipart/mixed; boundary=B\r\n"
    + BASE64
    + b"\r\nLS1CDQoNCm9uZQ0KLS1CLS0NCg==\r\n",
    "message": multipart(b"Content-Type: message/rfc822\r\n\r\n" + multipart(b"\r\nx")),
    "coded-message": b"Content-Type: message/rfc822\r\n"
    + BASE64
    + b"\r\nU3ViamVjdDogeQ0KQ29udGVudC1UeXBlOiB0ZXh0L2h0bWwNCg0KaGkNCg==\r\n",
    "qp-message": b"Content-Type: message/rfc822\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n"
    + b"Content-Type: multipart/mixed; boundary=3DB=0D=0A=0D=0A--B\r\n\r\nx\r\n--B--\r\n",
    "digest": VERSION
    + b"Content-Type: multipart/digest; boundary=B\r\n\r\n--B\r\n\r\nSubject: x\r\n\r\ny\r\n--B--\r\n",
    "uuencode": b"Subject: x\r\n\r\nhello\r\nbegin 644 a.exe\r\n%:&5L;&\\`\r\n`\r\nend\r\nbye\r\n",
    "undeclared": VERSION + b"Content-Type: multipart/mixed\r\n\r\n--X\r\n" + EXE + b"--X--\r\n",
    "broken-header": b"Subject: x\r\njunk\r\n" + multipart(EXE),
    "blank-looking": b"Subject: x\r\n \r\n" + multipart(EXE),
    "cr-field": b"Subject: x\rContent-Type: multipart/mixed; boundary=B\r\n\r\n--B\r\n" + EXE,
    "mailbox": b"From a@b Mon Jan  1 10:00:00 2024\r\nSubject: x\r\n\r\nhi\r\n",
    "comment-in-name": b"Content-Type(x): text/html\r\n\r\nhi\r\n",
    "bare-lf": multipart(b"\r\nhello", EXE).replace(b"\r\n", b"\n"),
    "unclosed": MIXED + b"--B\r\n\r\n--B\r\n\r\nx",
    "after-close": multipart(b"\r\nx") + b"--B\r\n" + EXE,
    "long-boundary": VERSION
    + b"Content-Type: multipart/mixed; boundary=" + 300 * b"x" + b"\r\n\r\n--" + 300 * b"x" + b"\r\n\r\ny",
    "sections": VERSION
    + b"Content-Type: multipart/mixed; boundary*1=B; boundary*0=A\r\n\r\n--AB\r\n\r\nx\r\n--AB--\r\n",
}


# what stands in a part or in a header field; the first octet is an option of the harness
CAT = b"#0V%T\n"
MIME = {
    "base64": {
        "lines": b"\x4d" + 3 * (19 * b"QUJD" + b"\r\n") + b"QUI=\r\n",
        "one-line": b"\x21" + 60 * b"Zm9v",
        "75-columns": b"\x10" + 3 * (75 * b"Q" + b"\n"),
        "blanks": b"\x03" + 30 * b"Z m 9\tv\r\n",
        "padding-inside": b"\x05Zg==Zm9vYmFyZm9vYmFyZm9vYmFyZm9vYmFyZm8=Zg=Zg==",
        "junk": b"\x20" + 12 * b"Zm9v" + b"!\0\xff#" + 12 * b"Zm9v",
        "url-safe": b"\x01" + 9 * b"Zm-_" + 9 * b"Zm+/",
        "alone": b"\x01Zm9vZ",
    },
    "qp": {
        "text": b"\x40one line of plain text, and then =C3=BC=\r\nanother one=20\r\n",
        "soft-blanks": b"\x01one= \t\r\ntwo=\nthree= ",
        "literal": b"\x02a=ZZ=3=\r=4G==41=",
        "long": b"\x30" + 120 * b"y" + b"\n",
        "many-blanks": b"\x20=" + 300 * b" " + b"\nx",
        "octets": b"\x10\xfc\0=00 \r\n",
    },
    "uu": {
        "file": b"\x07text\nbegin 644 cat.txt\n" + CAT + b"`\nend\nmore\n",
        "two": b"\x01" + 2 * (b"begin 0644 a b\r\n" + CAT + b"end\r\n"),
        "base64": b"\x05begin-base64 644 x\nQ2F0\nQ2E=\n====\nbye",
        "no-end": b"\x05begin 9999 a.exe\n" + CAT + b"begin 644 b\n" + CAT,
        "long-lines": b"\x40begin 644 a\n_" + 84 * b"!" + b"\n" + CAT[:-1] + 1200 * b"x" + b"\nend\n",
        "prose": b"\x01begin 1999 with a song\nand dance\nbegin 644\n",
    },
    "word": {
        "split": b"\0=?utf-8?Q?=C3?=\r\n =?utf-8?B?vA==?= x",
        "charsets": b"\0=?iso-2022-jp*ja?B?GyRCRnxLXBsoQg==?= =?utf-7?Q?+AOQ-?= =?foo?Q?a?= =?big5?Q?=A4=A4?=",
        "broken": b"\0=?utf-8?Q?a b?= =?utf-8?Q?abc =?utf-8?X?x?= a=?latin1?Q?=FC?=b",
        "parameter": b"\3=?utf-8?Q?a.exe?=",
        "addresses": b"\1Ann <a@b>, \"O, A\" <@x,@y:c@d>, Friends: =?utf-8?Q?=C3=BC?= <e@f>;, g@h (Name), root",
        "bad-addresses": b"\1Ann <a@b, <c@d> <e@f>, a@b@c; \"open (",
    },
    "header": {
        "plain": b"\0\6Subject: x\r\nMIME-Version: 1.0\r\nContent-Type: text/html;\r\n charset=UTF-8\r\n\r\nbody",
        "twice": b"\0\2Content-Type: text/plain\nContent-Type: multipart/mixed; boundary=B\n"
                 b"Content-Transfer-Encoding: base64\nContent-Transfer-Encoding: 8bit, x\n\n",
        "mbox": b"\0\3From a@b Mon Jan 1 00:00:00 2026\r\nTo: x\r\n\r\n",
        "obsolete": b"\2\4Subject (c) : x\r\n \r\n more\r\nX\0Y: z\r\r\nContent-ID:<a>\r\n\r\r\n",
        "body": b"\0\5To: x\r\nno field\r\nContent-Disposition: attachment; filename=a.exe\r\n",
        "names": b"\14\7Content-Disposition: attachment; filename*0=a; filename*1=.exe; filename=\"b.txt\"\r\n"
                 b"Content-Type: a/b; name=\"=?utf-8?Q?c?=\"",
        "long": b"\1\x7fSubject: " + 4200 * b"x" + b"\r\nContent-Type: text/html\r\n\r\n",
    },
    "param": {
        "plain": b'\1text/plain; charset="utf-8"; format=flowed',
        "rfc2231": b"\1a/b; name*1*=%BC.exe; x=y; name*0*=utf-8'de'%C3; name=\"plain\"",
        "gap": b"\1a/b; name*0=a; name*2=c; name*2=d; name*00=x; name*x=y",
        "loose": b"\1text / plain (c) charset = us-ascii name=my file.exe; a=b(c); =x; y;; z=\"a\\b\"c",
        "open": b'\1a/b; boundary="abc; x=y',
        "types": b"\1text/html, text/plain; a=b",
        "few": b"\5a/b; a=1; b=2; c=3; d*0=4; d*1=5",
        "words": b'\0attachment; filename="=?utf-8?Q?a=C3?= =?utf-8?Q?=BC.exe?="',
    },
}


LETTER = MESSAGES["mixed"]
FILES = {
    "empty": b"\0\1",
    "text": b"\0\1hello\r\n",
    "program": b"\0\1MZ\x90\0\3\0\0\0\4\0\0\0\xff\xff",
    "letter": b"\0\7Received: x\r\n" + LETTER,
    "letter-small": b"\1\7Received: x\r\n" + LETTER,
    "eml": b"\2\5" + LETTER,
    "eml-undetected": b"\6\3" + LETTER,
    "eml-html": b'\2\5<html><a href="http://a.example/">x</a>\r\n',
    "piece": b"\x08\2" + LETTER[20:],
    "long": b"\2\0Received: x\r\n" + LETTER + 300 * b"http://a.example/ and more\r\n",
}


def write(name, inputs):
    folder = HERE / name
    folder.mkdir(parents=True, exist_ok=True)
    for key, octets in inputs.items():
        (folder / key).write_bytes(octets)


def main():
    smtp = {k: b"\0\0" + smtp_records(c) for k, c in CONVERSATIONS.items()}
    for key in ("mail", "chunks", "pipelined", "auth-login"):
        smtp["gate-" + key] = b"\4\x24" + smtp_records(CONVERSATIONS[key])
    # (4 << 1): the octets 40 times
    smtp["long-command"] = b"\1\0" + smtp_records([GREETING]) + b"\x08\x20" + 32 * b"x" + b"\0\2\r\n"
    smtp["long-reply"] = b"\1\0" + b"\x09\x10" + b"220-0123456789\r\n"
    smtp["long-body-line"] = (
        b"\1\0" + smtp_records(EHLO + MAIL + DATA) + b"\x08\x20" + 32 * b"y" + b"\0\5\r\n.\r\n"
    )
    smtp["many-commands"] = b"\0\0" + smtp_records(EHLO) + b"\x08\x0c" + 2 * b"NOOP\r\n" + smtp_records(
        12 * [OK]
    )
    # the limit of an endless line is crossed inside a chunk, its end stands behind it
    smtp["endless"] = b"\1\0" + smtp_records([GREETING]) + b"\x08\x35" + 53 * b"z" + b"\0\2\r\n"
    smtp["endless-sasl"] = (
        b"\1\0"
        + smtp_records(EHLO + [("C", b"AUTH LOGIN\r\n"), ("S", b"334 \r\n")])
        + b"\x08\x35"
        + 53 * b"z"
        + b"\0\2\r\n"
    )
    write("smtp", smtp)

    gate = {k: options(0) + gate_records(c) for k, c in CONVERSATIONS.items()}
    for key in ("mail", "chunks", "pipelined", "auth-login", "stuffed", "smuggling-cr-crlf"):
        gate[key + "-single"] = options(0) + gate_records(CONVERSATIONS[key], single=True)
    for key in ("mail", "chunks", "pipelined", "stuffed"):  # messages are looked at, and refused
        gate[key + "-content"] = options(1 << 15) + gate_records(CONVERSATIONS[key])
    gate.update({"acts-" + k: octets for k, octets in GATE.items()})
    write("gate", gate)
    for name, inputs in MIME.items():
        write(name, inputs)

    mime = {k: b"\0\7" + octets for k, octets in MESSAGES.items()}
    mime.update({k + "-small": b"\1\3" + octets for k, octets in MESSAGES.items()})
    write("mime", mime)
    write("file", FILES)


if __name__ == "__main__":
    main()
