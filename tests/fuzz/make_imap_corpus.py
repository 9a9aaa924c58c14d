#!/usr/bin/python3
"""Writes the hand-made inputs of fuzz_imap and fuzz_imap_structure to tests/fuzz/corpus.

fuzz_imap takes records of what happens to a session; here they are put together from conversations:
"C" is what the client sends, "S" what the server sends.
"""

from make_corpus import smtp_records, write

HELLO = ("S", b"* OK [CAPABILITY IMAP4rev1 LITERAL+ COMPRESS=DEFLATE BINARY CATENATE MULTIAPPEND REPLACE] hi\r\n")
HOME = ("S", b"* PREAUTH hi\r\n")
LOGIN = [HELLO, ("C", b"a LOGIN u p\r\n"), ("S", b"a OK [CAPABILITY IMAP4rev2] in\r\n")]
SELECT = [("C", b"b SELECT INBOX\r\n"), ("S", b"* 3 EXISTS\r\n* FLAGS (\\Seen)\r\nb OK [READ-WRITE] y\r\n")]
QUIT = [("C", b"z LOGOUT\r\n"), ("S", b"* BYE x\r\nz OK y\r\n")]

TEXT = b'("TEXT" "PLAIN" ("CHARSET" "UTF-8") NIL NIL "7BIT" 1152 23)'
PDF = b'("APPLICATION" "PDF" ("NAME" "a.pdf") "<i>" "d" "BASE64" 4 NIL ("attachment" ("filename" "b.pdf")) NIL NIL)'
MIXED = b"(" + TEXT + PDF + b' "MIXED" ("boundary" "x") NIL "en" NIL)'
MESSAGE = b'("MESSAGE" "RFC822" NIL NIL NIL "7BIT" 9 ("d" "s" ((NIL NIL "a" "b")) NIL NIL NIL NIL NIL NIL "<m>") '
STRUCTURES = {
    "text": TEXT,
    "pdf": PDF,
    "mixed": MIXED,
    "message": MESSAGE + TEXT + b" 7)",
    "message-mixed": b"(" + TEXT + MESSAGE + MIXED + b' 7 NIL ("attachment" NIL)) "MIXED")',
    "related": b"(" + MIXED + b"(" + TEXT + TEXT + b' "RELATED") "ALTERNATIVE")',
    "literals": b'({4}\r\nTEXT "PLAIN" ("NAME" ~{7}\r\na\r\n"(\\)) {0}\r\n NIL "7BIT" 1 1)',
    "rfc2231": b'("A" "B" ("name*" "utf-8\'\'%e2%82%ac" "a" NIL "b c" "d") NIL NIL "7BIT" 1)',
    "quoted": b'("A\\"" "\\\\B" NIL NIL NIL NIL 99999999999999999999)',
    "extended": b'("A" "B" NIL NIL NIL NIL 1 NIL NIL NIL NIL (1 (2 "x") NIL) 3)',
    "nil": b"NIL",
    "open": b"(" * 99 + b'"A"',
    "deep": b"(" * 101,
    "behind": TEXT + b" x",
}


def fetch(octets):
    return [HOME, ("S", b"* 1 FETCH (" + octets + b")\r\nx OK\r\n")]


CONVERSATIONS = {
    "session": LOGIN + SELECT + QUIT,
    "fetch": LOGIN
    + SELECT
    + [("C", b"c UID FETCH 1 BODY[]\r\n"), ("S", b"* 1 FETCH (UID 7 BODY[] {5}\r\nhello)\r\nc OK x\r\n")],
    "slices": fetch(b"UID 1 BODY[1.2]<0> {3}\r\nabc BODY[1.2]<3> {0}\r\n BINARY[1] ~{1}\r\n\0"),
    "quoted": fetch(b'RFC822.SIZE 9 BODY[HEADER.FIELDS ("A" B)] "x\\"\\\\y" RFC822 NIL INTERNALDATE "a \\"b"'),
    "blanks": fetch(b" FLAGS (\\Seen $X)  UID  7  "),
    "envelope": fetch(b'ENVELOPE ("d" {3}\r\na"b ((NIL NIL "x" "y")) NIL)'),
    "uidfetch": [HOME, ("S", b"* 9 UIDFETCH (FLAGS ())\r\n")],
    "append": LOGIN + [("C", b"c APPEND INBOX (\\Seen) {5}\r\n"), ("S", b"+ go\r\n"), ("C", b"hello\r\nd NOOP\r\n")],
    "multiappend": LOGIN + [("C", b"c APPEND {1+}\r\nx {2+}\r\nab ~{3+}\r\ncde\r\nd NOOP\r\n")],
    "catenate": LOGIN + [("C", b'c APPEND x CATENATE (URL "/u" TEXT {2+}\r\nab URL {2+}\r\n/v TEXT {1+}\r\nc)\r\n')],
    "replace": LOGIN + SELECT + [("C", b"c UID REPLACE 4 {1+}\r\nx {2+}\r\nab\r\n")],
    "literals": [HELLO, ("C", b"a LOGIN {4+}\r\nuser {4+}\r\npass\r\n"), ("S", b"a OK x\r\n")],
    "ahead": [HELLO, ("C", b"a LOGIN {6}\r\nb NOOP\r\n"), ("S", b"a NO x\r\nb OK x\r\n")],
    "bad-literals": [HELLO, ("C", b"a LOGIN {05}\r\nb LOGIN {-1}\r\n")],
    "idle": LOGIN + [("C", b"c IDLE\r\n"), ("S", b"+ x\r\n* 4 EXISTS\r\n"), ("C", b"DONE\r\nd NOOP\r\n"), ("S", b"c OK\r\n")],
    "idle-refused": LOGIN + [("C", b"c IDLE\r\nd NOOP\r\n"), ("S", b"c BAD x\r\nd OK\r\n")],
    "sasl": [HELLO, ("C", b"a AUTHENTICATE PLAIN\r\n"), ("S", b"+ \r\n"), ("C", b"AHUAcA==\r\n*\r\n"), ("S", b"a OK x\r\n")],
    "starttls": [HELLO, ("C", b"a STARTTLS\r\n"), ("S", b"a OK go\r\n"), ("C", b"\x16\x03\x01"), ("S", b"\x16\x03")],
    "tags": [HELLO, ("C", b"* NOOP\r\n+ NOOP\r\n NOOP\r\na NOOP\r\na NOOP\r\n"), ("S", b"a OK x\r\na OK y\r\nb OK z\r\n+ x\r\n")],
    "lists": LOGIN
    + [("C", b'c LIST "" *\r\nd SEARCH ALL\r\n')]
    + [("S", b'* LIST (\\A) "/" {3}\r\nabc\r\n* SEARCH 1 2 3\r\n* VANISHED 1:3\r\n* ID ("name" "x")\r\nc OK\r\nd OK\r\n')],
    "capabilities": LOGIN + [("S", b"* CAPABILITY IMAP4rev1 COMPRESS=DEFLATE\r\n* OK [CAPABILITY X] y\r\n")],
    "suspect": LOGIN + [("S", b"* OK x {5}\r\n")],
    "bare-lf": LOGIN + [("C", b"c NOOP\nd NOOP\r\n"), ("S", b"c OK\n")],
    "http": [HELLO, ("C", b"POST / HTTP/1.1\r\nHost: x\r\n\r\n")],
    "handshake": [HELLO, ("C", b"\x16\x03\x01\0\x05hello")],
    "bye": LOGIN + [("S", b"* BYE x\r\n"), ("C", b"c NOOP\r\n")],
    "no-greeting": [("S", b"a OK x\r\n"), ("C", b"a NOOP\r\n")],
    "early": [("C", b"a NOOP\r\n"), HELLO],
}
CONVERSATIONS.update({"structure-" + name: fetch(b"BODYSTRUCTURE " + s) for name, s in STRUCTURES.items()})

# The first octet: see fuzz_imap.c. Literals of any size need not be waited for.
ANY, SMALL, GATE = 8, 1, 2


def main():
    inputs = {name: bytes([ANY, 0]) + smtp_records(c) for name, c in CONVERSATIONS.items()}
    for name in ("append", "catenate", "fetch", "lists", "literals", "replace", "session", "structure-mixed"):
        inputs["small-" + name] = bytes([ANY | SMALL, 0]) + smtp_records(CONVERSATIONS[name])
        inputs["gate-" + name] = bytes([ANY | GATE, 0x5A]) + smtp_records(CONVERSATIONS[name])
    # (5 << 1): the octets 40 times
    inputs["long-command"] = bytes([SMALL, 0]) + smtp_records([HOME]) + b"\x0a\x10" + 16 * b"x"
    inputs["long-response"] = bytes([SMALL, 0]) + smtp_records([HOME, ("S", b"* X ")]) + b"\x0b\x10" + 16 * b"x"
    inputs["many"] = bytes([0, 0]) + smtp_records([HOME]) + 2 * b"\x0a\x08a NOOP\r\n" + b"\x0c\x00\x0b\x08a OK x\r\n"
    inputs["continued"] = bytes([0, 0]) + smtp_records([HOME, ("C", b"a SELECT {1}\r\nx\r\n")]) + b"\x0e\x00"
    write("imap", inputs)
    write("imap_structure", STRUCTURES)


if __name__ == "__main__":
    main()
