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
import subprocess

UUENCODE = {"x-uuencode", "uuencode", "x-uue", "uue"}
ENCODINGS = {"7bit", "8bit", "binary", "base64", "quoted-printable"}
MESSAGES = {"message/rfc822", "message/global"}
LEAF = "leaf"


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
    """The parts that a header made; files within texts are no parts to others."""
    for p in record["parts"]:
        if p.get("generated"):
            continue
        leaf = "sha256" in p
        yield Part(p["path"], p["mime_type"], p["encoding"], p.get("filename"), p["size"] if leaf else None,
                   frozenset([p["sha256"]]) if leaf else frozenset())


# ---- others ----


def encoding_of(text):
    """As the field is read: its first word, in lower case; unknown ones are all alike."""
    word = (text or "7bit").strip().lower()
    if word in UUENCODE:
        return "uuencode"
    return word if word in ENCODINGS else "unknown"


def digests_of(octets):
    with_lf = octets.replace(b"\r\n", b"\n")
    return frozenset(hashlib.sha256(o).hexdigest() for o in (octets, with_lf, with_lf.replace(b"\n", b"\r\n")))


def imap_path(path, kind, parent):
    """path, kind: of the parent, and whether this part is a multipart."""
    if parent is None:
        return "" if kind == "multipart" else "1"
    above, number = parent
    if above.type in MESSAGES:
        return above.path if kind == "multipart" else f"{above.path}.1"
    return f"{above.path}.{number}" if above.path else str(number)


def of_oracle(parts):
    """The collection's trees: the message is "1", and every child has its number."""
    made = {}
    for p in parts:
        above, _, number = p["path"].rpartition(".")
        kind = "multipart" if p.get("children") is not None and p["content_type"] not in MESSAGES else LEAF
        path = imap_path(p["path"], kind, (made[above], number) if above else None)
        made[p["path"]] = Part(path, p["content_type"].lower(), p.get("cte") and encoding_of(p["cte"]),
                               p.get("filename"), p.get("size"),
                               frozenset([p["sha256"]]) if "sha256" in p else frozenset())
        yield made[p["path"]]


def decoded_words(text):
    try:
        return str(email.header.make_header(email.header.decode_header(text)))
    except (LookupError, UnicodeError, ValueError):
        return text


def of_python(octets, policy):
    """Python's email package; it splits message/delivery-status, which is a leaf to us."""
    try:
        root = email.message_from_bytes(octets, policy=policy)
        return list(walk(root))
    except Exception as why:  # pylint: disable=broad-except
        raise Unread(f"{type(why).__name__}: {why}") from why


def walk(root):
    todo = [(root, None)]
    while todo:
        message, parent = todo.pop()
        kind = message.get_content_type()
        children = message.get_payload() if message.is_multipart() and kind != "message/delivery-status" else []
        shape = "multipart" if children and kind not in MESSAGES else LEAF
        part = Part(imap_path(None, shape, parent), kind, encoding_of(str(message.get("Content-Transfer-Encoding", ""))))
        name = message.get_filename()
        part.filename = None if name is None else decoded_words(name)
        if not children and kind != "message/delivery-status":
            octets = message.get_payload(decode=True) or b""
            part.size, part.digests = len(octets), digests_of(octets)
        yield part
        todo += [(child, (part, n)) for n, child in reversed(list(enumerate(children, 1)))]


# ---- differences ----


def differences(mine, theirs):
    """In what the two trees differ, one word each; empty: they agree in all that both know."""
    mine, theirs = list(mine), list(theirs)
    if [(p.path, p.type) for p in mine] != [(p.path, p.type) for p in theirs]:
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
