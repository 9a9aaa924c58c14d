#!/usr/bin/python3
"""Writes the hand-made inputs of fuzz_imap_gate to tests/fuzz/corpus."""

from make_corpus import cut, write

# enum act, and the rows of its tables that are used here
CLIENT, SERVER, CLIENT_SINGLE, SERVER_SINGLE, LINE, REPLY, SERVE, DRAIN, TICK, PEER, SECRET, LOGIN = range(12)
NOOP, CAPABILITY, SELECT, EXAMINE, NAME, FETCH, SLICE, STRUCTURE, APPEND, APPEND_PLUS, MESSAGE, END = range(12)
AGAIN, CATENATE, CLOSED, IDLE, DONE, AUTH, SASL, STAR, DENIED, DENIED_PLUS, COMPRESS, TLS, HELLO, LOGOUT = range(12, 26)
STORE, MOVE, EXPUNGE, CLOSE, UNKNOWN, ID, MANY, OUT, REPLACE, WAITS, HTTP = range(26, 37)
GREETING, DISABLED, PREAUTH, BYE, OFFER, PLUS, EXISTS, EXPUNGED, VANISHED, BODY, TEXT, BRACKET = range(12)
PART, QUOTED, HEADER, BEHIND, PARTS, PARTS_END, FLAGS, LIST, FOUND, SERVER_ID, ENABLED, COPIED, HUGE, STRAY, UIDONLY = range(12, 27)
OK, NO, NEW_OFFER, BAD = range(4)
GO = 8  # with one of those: "+" where the client waits for it

IN = [(LOGIN, 0)]
ANSWERED = [(SERVE, OK)]

ACTS = {
    "login": [(REPLY, GREETING), (SECRET, 0), (SERVE, NEW_OFFER), (LINE, CAPABILITY), (REPLY, OFFER), *ANSWERED],
    "fetch": [*IN, (LINE, FETCH), (REPLY, BODY), (REPLY, TEXT), (REPLY, BRACKET), *ANSWERED, (LINE, LOGOUT), *ANSWERED],
    "items": [*IN, (LINE, FETCH), (REPLY, BODY), (REPLY, TEXT), (REPLY, PART), (REPLY, FLAGS), *ANSWERED],
    "slices": [*IN, (LINE, SLICE), (REPLY, QUOTED), (REPLY, EXPUNGED), (REPLY, QUOTED), *ANSWERED, (LINE, CLOSE)],
    "structure": [*IN, (LINE, STRUCTURE), (REPLY, PARTS), (REPLY, PARTS_END), *ANSWERED, (LINE, SLICE), (REPLY, QUOTED), *ANSWERED],
    "halves": [*IN, (LINE, FETCH), (REPLY, HEADER), (REPLY, BEHIND), (REPLY, HEADER), *ANSWERED, (LINE, IDLE)],
    "append": [*IN, (LINE, APPEND), (REPLY, PLUS), (LINE, MESSAGE), (LINE, END), *ANSWERED],
    "append-not-wanted": [*IN, (LINE, APPEND), (SERVE, OK), (SERVE, NO), (LINE, NOOP), *ANSWERED],
    "append-plus": [*IN, (LINE, APPEND_PLUS), (LINE, MESSAGE), (LINE, AGAIN), (LINE, MESSAGE), (LINE, END), *ANSWERED],
    "append-early-no": [*IN, (LINE, APPEND_PLUS), (SERVE, NO), (LINE, MESSAGE), (LINE, END), (LINE, NOOP), *ANSWERED],
    "catenate": [*IN, (LINE, CATENATE), (LINE, MESSAGE), (LINE, CLOSED), *ANSWERED],
    "replace": [*IN, (LINE, REPLACE), (LINE, MESSAGE), (LINE, END), *ANSWERED],
    "client-goes": [*IN, (LINE, APPEND_PLUS), (LINE, MESSAGE), (PEER, 0)],
    "server-goes": [*IN, (LINE, FETCH), (REPLY, BODY), (PEER, 1)],
    "huge": [*IN, (LINE, FETCH), (REPLY, HUGE), (REPLY, TEXT), (LINE, DENIED), (PEER, 1)],
    "own-answer": [*IN, (LINE, FETCH), (REPLY, BODY), (LINE, DENIED), (REPLY, TEXT), (REPLY, BRACKET), *ANSWERED],
    "discarded": [*IN, (LINE, DENIED_PLUS), (LINE, MESSAGE), (LINE, AGAIN), (LINE, MESSAGE), (LINE, END), (LINE, NOOP)],
    "idle": [*IN, (LINE, IDLE), (SERVE, GO), (REPLY, EXISTS), (TICK, 250), (LINE, DONE), *ANSWERED, (TICK, 0)],
    "not-done": [*IN, (LINE, IDLE), (SERVE, GO), (LINE, NOOP)],
    "authenticate": [(REPLY, DISABLED), (LINE, AUTH), (SERVE, GO), (LINE, SASL), (SERVE, NO), (LINE, AUTH), (SERVE, GO)]
    + [(LINE, STAR), (SERVE, BAD), (SECRET, 0)],
    "compress": [*IN, (LINE, COMPRESS), (LINE, NOOP), *ANSWERED],
    "starttls": [(REPLY, DISABLED), (LINE, TLS), *ANSWERED, (LINE, HELLO), (REPLY, TEXT)],
    "preauth": [(REPLY, PREAUTH), (LINE, SELECT), *ANSWERED, (LINE, OUT), *ANSWERED],
    "literal-name": [*IN, (LINE, EXAMINE), (REPLY, PLUS), (LINE, NAME), *ANSWERED, (REPLY, LIST)],
    "waits": [*IN, (LINE, WAITS), (SERVE, NO), *ANSWERED],
    "many": [*IN, (LINE, MANY), (LINE, STORE), *ANSWERED, (LINE, MOVE), (REPLY, COPIED), *ANSWERED],
    "expunge": [*IN, (LINE, EXPUNGE), (REPLY, EXPUNGED), (REPLY, VANISHED), *ANSWERED],
    "id": [*IN, (LINE, ID), (REPLY, SERVER_ID), *ANSWERED, (REPLY, ENABLED), (REPLY, FOUND), (REPLY, UIDONLY)],
    "errors": [(REPLY, GREETING), (LINE, UNKNOWN), (LINE, UNKNOWN), (LINE, UNKNOWN), (LINE, UNKNOWN)],
    "http": [(REPLY, GREETING), (LINE, HTTP)],
    "stray": [*IN, (REPLY, STRAY)],
    "bye": [*IN, (LINE, NOOP), (REPLY, BYE)],
    "unreachable": [(PEER, 3)],
}
# Options under which each of them is worth a try: see enum option.
OPTIONS = {"": 0, "-content": 8 | 16, "-read-only": 1 | 2, "-small": 64, "-slow": 128 | 16, "-tls": 4 | 32}

CONVERSATIONS = {
    "odd-literals": [("C", b"a CREATE {05}\r\n"), ("C", b"a CREATE {5+}\r\nabcde\r\n")],
    "quotes": [("C", b'a SELECT "a\\"b{5}"\r\n'), ("C", b'b SELECT "a\r\nb"\r\n')],
    "brackets": [("C", b"a SEARCH " + 101 * b"(" + b"\r\n")],
    "server-brackets": [("C", b"a NOOP\r\n"), ("S", b"* 1 FETCH (X " + 101 * b"(" + b"\r\n")],
    "server-bare-lf": [("S", b"* OK a\nb\r\n")],
    "same-tags": [("C", b"a NOOP\r\na CREATE {1}\r\n"), ("S", b"a OK\r\n+ go\r\n"), ("C", b"x\r\n"), ("S", b"a OK\r\n")],
}


def records(conversation):
    out = b""
    for who, octets in conversation:
        for piece in cut(octets):
            out += bytes([SERVER if who == "S" else CLIENT, len(piece)]) + piece
    return out


def main():
    inputs = {}
    for name, acts in ACTS.items():
        for option, value in OPTIONS.items():
            inputs[name + option] = value.to_bytes(2, "little") + bytes(sum(acts, ()))
    for name, conversation in CONVERSATIONS.items():
        inputs[name] = b"\0\0" + bytes(sum(IN, ())) + records(conversation)
    write("imap_gate", inputs)


if __name__ == "__main__":
    main()
