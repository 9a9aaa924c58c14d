#!/usr/bin/python3
"""Writes the hand-made inputs of fuzz_pop3 to tests/fuzz/corpus.

They are put together from conversations: "C" is what the client sends, "S" what the server sends.
"""

from make_corpus import write
from make_ftp_corpus import records

HELLO = ("S", b"+OK ready <1896.697170952@dbc.example>\r\n")
LOGIN = [HELLO, ("C", b"USER u\r\nPASS p\r\n"), ("S", b"+OK\r\n"), ("S", b"+OK in\r\n")]
QUIT = [("C", b"QUIT\r\n"), ("S", b"+OK bye\r\n")]
RETR = ("C", b"RETR 1\r\n")

CONVERSATIONS = {
    "session": LOGIN
    + [("C", b"STAT\r\n"), ("S", b"+OK 1 10\r\n"), RETR, ("S", b"+OK\r\nA: b\r\n\r\nx\r\n.\r\n")]
    + [("C", b"DELE 1\r\n"), ("S", b"+OK\r\n"), *QUIT],
    "pipelined": LOGIN
    + [("C", b"RETR 1\r\nLIST\r\nLIST 1\r\nUIDL\r\nTOP 1 0\r\nDELE 1\r\nQUIT\r\n")]
    + [("S", b"+OK\r\na\r\n.\r\n+OK\r\n1 10\r\n.\r\n+OK 1 10\r\n-ERR\r\n+OK\r\nb\r\n.\r\n+OK\r\n+OK\r\n")],
    "dots": LOGIN + [RETR, ("S", b"+OK\r\n..\r\n...a\r\n.b\r\n.\r\n")],
    "strays": LOGIN + [RETR, ("S", b"+OK\r\na\n.\n\r.\r\n.\r\r\n.\rx\r\n\0.\0\r\n.\r\n")],
    "empty": LOGIN + [RETR, ("S", b"+OK\r\n.\r\n"), ("C", b"UIDL\r\n"), ("S", b"+OK\r\n.\r\n")],
    "capa": [HELLO, ("C", b"CAPA\r\n"), ("S", b"+OK\r\nTOP\r\nSASL PLAIN\r\nSTLS\r\n.\r\n")],
    "auth": [HELLO, ("C", b"AUTH LOGIN\r\n"), ("S", b"+ VXNlcm5hbWU6\r\n"), ("C", b"YQ==\r\n"), ("S", b"+\r\n")]
    + [("C", b"=\r\n"), ("S", b"+OK\r\n")],
    "auth-initial": [HELLO, ("C", b"AUTH PLAIN AGEAYg==\r\n"), ("S", b"-ERR [AUTH] no\r\n")],
    "auth-list": [HELLO, ("C", b"AUTH\r\n"), ("S", b"+OK\r\nPLAIN\r\n.\r\n")],
    "apop": [HELLO, ("C", b"APOP u c4c9334bac560ecc979e58001b3e22fb\r\n"), ("S", b"+OK\r\n")],
    "stls": [HELLO, ("C", b"STLS\r\n"), ("S", b"+OK\r\n"), ("C", b"\x16\x03\x01"), ("S", b"\x16\x03")],
    "utf8": [HELLO, ("C", b"UTF8\r\nLANG\r\nUSER \xc3\xbc\r\n"), ("S", b"+OK\r\n+OK\r\nde x\r\n.\r\n+OK\r\n")],
    "unasked": LOGIN + [("S", b"-ERR timeout\r\n+OK\r\n")],
    "more-lines": LOGIN + [("C", b"STAT\r\n"), ("S", b"+OK 1 1\r\n1 1\r\n.\r\n")],
    "list-lf": LOGIN + [("C", b"LIST\r\n"), ("S", b"+OK\r\n1 1\n.\n")],
    "http": [HELLO, ("C", b"POST / HTTP/1.1\r\nHost: x\r\n\r\n")],
    "redis": [HELLO, ("C", b"AUTH s3cr3t\r\n"), ("S", b"-ERR\r\n"), ("C", b"SET x y\r\n")],
    "handshake": [HELLO, ("C", b"\x16\x03\x01\0\x05hello")],
    "odd-lines": LOGIN + [("C", b"  STAT\r\nSTAT\t\r\nLIST \r\nFOO\r\n\r\nNO\rOP\r\nNOOP\n")],
    "refused": [("S", b"-ERR busy\r\n")],
    "no-welcome": [("S", b"220 mx\r\n")],
}


def main():
    inputs = {k: b"\0\0" + records(c) for k, c in CONVERSATIONS.items()}
    inputs.update({"gate-" + k: b"\2\x2a" + records(CONVERSATIONS[k]) for k in ("session", "pipelined", "auth")})
    # (5 << 1): the octets 40 times
    inputs["long-command"] = b"\1\0" + records([HELLO]) + b"\x0a\x08" + 8 * b"x" + b"\0\2\r\n"
    inputs["long-auth"] = b"\1\0" + records([HELLO]) + b"\0\x0bAUTH PLAIN " + b"\x0a\x0d" + 13 * b"x" + b"\0\2\r\n"
    inputs["endless"] = b"\1\0" + records([HELLO]) + b"\x0a\x10" + 16 * b"x" + b"\0\2\r\n"
    inputs["many-commands"] = b"\0\0" + records(LOGIN) + 2 * b"\x0a\x06NOOP\r\n" + 2 * b"\x0b\x05+OK\r\n"
    inputs["long-line"] = b"\1\0" + records(LOGIN + [RETR, ("S", b"+OK\r\n")]) + b"\x0b\x04xxxx" + b"\1\5\r\n.\r\n"
    inputs["given-up"] = b"\2\0" + records(LOGIN + [RETR, ("S", b"+OK\r\nabc\r\n")]) + b"\x0c\0" + records(QUIT)
    write("pop3", inputs)


if __name__ == "__main__":
    main()
