#!/usr/bin/python3
"""Writes the hand-made inputs of fuzz_smtp and fuzz_gate to tests/fuzz/corpus/smtp and .../gate.

Both take records of what happens to a session (see the harnesses); here they are put together
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


if __name__ == "__main__":
    main()
