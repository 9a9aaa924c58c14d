"""What is in a message, as Postern says, as others say, and as Python's email package says: one shape.

A part is named by its path as in IMAP; two parts may have the same one (a message/rfc822 and the
multipart that is its body), so parts are told apart by path and type.
"""

import collections
import dataclasses
import email
import email.header
import email.policy
import hashlib
import json
import re
import subprocess

ODD = re.compile(r"\\x[0-9a-f]{2}|[\x00-\x1f\udc80-\udcff]")
UUENCODE = {"x-uuencode", "uuencode", "x-uue", "uue"}
ENCODINGS = {"7bit", "8bit", "binary", "base64", "quoted-printable"}
MESSAGES = {"message/rfc822", "message/global", "message/news"}


@dataclasses.dataclass
class Part:
    """None: not known to who says it."""

    path: str
    type: str
    encoding: str | None = None
    filename: str | None = None
    size: int | None = None
    digests: frozenset = frozenset()  # SHA-256, with every kind of line end that it may have had


class Unread(Exception):
    """A program that gave up on a message."""


# ---- Postern ----


def read(binary, files, timeout):
    """One process for all of them: {file: [email]}, in the order in which they were named."""
    done = subprocess.run([binary, "mime", "--json", *files], capture_output=True, timeout=timeout, check=False)
    if done.returncode != 0:
        raise AssertionError(f"{binary}: {done.returncode}: {done.stderr.decode(errors='replace')[-2000:]}")
    found = collections.defaultdict(list)
    for line in done.stdout.decode().splitlines():
        record = json.loads(line)
        found[record["file"]].append(record["email"])
    return found


def ours(record):
    """The parts that a header made; files within texts, and what a second reading shows, are no parts to others."""
    generated = []
    for p in record["parts"]:
        if p.get("generated"):
            generated.append(p["path"] + ".")
            continue
        if any(p["path"].startswith(above) for above in generated):
            continue
        leaf = "sha256" in p
        yield Part(p["path"], p["mime_type"], encoding_of(p["encoding"]), name_of(p.get("filename")),
                   p["size"] if leaf else None, frozenset([p["sha256"]]) if leaf else frozenset())


# ---- others ----


def name_of(text):
    """What is no text, or a control, is \\xNN to us, and one of these to others."""
    return text and ODD.sub("\N{REPLACEMENT CHARACTER}", text)


def is_leaf(kind):
    """message/external-body and reports hold a header, but no message; Python splits them."""
    return not kind.startswith("multipart/") and kind not in MESSAGES


def encoding_of(text):
    """As the field is read: its first word, in lower case; unknown ones are all alike."""
    word = (text or "7bit").strip().lower()
    if word in UUENCODE:
        return "uuencode"
    return word if word in ENCODINGS else "unknown"


def digests_of(octets):
    with_lf = octets.replace(b"\r\n", b"\n")
    return frozenset(hashlib.sha256(o).hexdigest() for o in (octets, with_lf, with_lf.replace(b"\n", b"\r\n")))


def imap_path(kind, parent):
    """parent: the part and the number in it, or None."""
    multipart = kind.startswith("multipart/")
    if parent is None:
        return "" if multipart else "1"
    above, number = parent
    if above.type in MESSAGES:
        return above.path if multipart else f"{above.path}.1"
    return f"{above.path}.{number}" if above.path else str(number)


def of_oracle(parts, folder):
    """The collection's trees: the message is "1", and every child has its number."""
    made = {}
    for p in parts:
        above, _, number = p["path"].rpartition(".")
        if above and (above not in made or is_leaf(made[above].type)):
            continue
        kind = p["content_type"].lower()
        part = Part(imap_path(kind, (made[above], number) if above else None), kind)
        part.encoding = p.get("cte") and encoding_of(p["cte"])
        part.filename = name_of(p.get("filename"))
        part.size = p.get("size")
        if "body_file" in p:
            part.digests = digests_of((folder / p["body_file"]).read_bytes())
        elif "sha256" in p:
            part.digests = frozenset([p["sha256"]])
        made[p["path"]] = part
        yield part


def decoded_words(text):
    try:
        return str(email.header.make_header(email.header.decode_header(text)))
    except (LookupError, UnicodeError, ValueError):
        return text


def of_python(octets, policy):
    try:
        return list(walk(email.message_from_bytes(octets, policy=policy)))
    except Exception as why:  # pylint: disable=broad-except
        raise Unread(f"{type(why).__name__}: {why}") from why


def walk(root):
    todo = [(root, None)]
    while todo:
        message, parent = todo.pop()
        kind = message.get_content_type()
        name = message.get_filename()
        part = Part(imap_path(kind, parent), kind, encoding_of(str(message.get("Content-Transfer-Encoding", ""))))
        part.filename = name_of(name and decoded_words(name))
        children = message.get_payload() if message.is_multipart() and not is_leaf(kind) else []
        if not message.is_multipart():
            octets = message.get_payload(decode=True) or b""
            part.size, part.digests = len(octets), digests_of(octets)
        yield part
        todo += [(child, (part, n)) for n, child in reversed(list(enumerate(children, 1)))]


# ---- differences ----


def differences(mine, theirs):
    """In what the two trees differ, one word each; empty: they agree in all that both know."""
    mine, theirs = list(mine), list(theirs)
    # a multipart without any part is "1" to who takes it for a leaf
    alone = len(mine) == 1 and len(theirs) == 1
    if [(p.path, p.type) for p in mine] != [(mine[0].path if alone else p.path, p.type) for p in theirs]:
        return {"tree"}
    found = set()
    for one, other in zip(mine, theirs):
        if other.encoding is not None and other.size is not None and one.encoding != other.encoding:
            found.add("encoding")
        if other.filename is not None and one.filename != other.filename:
            found.add("filename")
        if other.digests and one.digests and not one.digests & other.digests:
            found.add("content")
    return found


def is_among_readings(record, theirs):
    """We say that it can be read in two ways, and all that they find is in one of these."""
    parts = record["parts"]
    contents = {p.get("sha256") for p in parts}
    names = {name_of(name) for p in parts for name in (p.get("filename"), *p.get("names", []))}
    return any(p.get("ambiguous") for p in parts) and all(
        (not p.digests or p.digests & contents) and (p.filename is None or p.filename in names) for p in theirs)
