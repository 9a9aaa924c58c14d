"""Where others read a message of the collection otherwise than we do, and why ours is right.

(reason, in what, messages). A message is a file under mime/, or the number of the test in
mime-is-broken. "In what": tree, type of encoding, filename, content: as differences() says.
"""

PADDING = (
    "base64 goes on behind padding (mail programs decode what follows); they stop there, and ours says "
    "ambiguous"
)
LONE = "one character of base64 at the end makes no octet; Python then gives back what it cannot decode"
JUNK = (
    "an encoding with something behind it: decoded by its first word as mail programs do, and ambiguous; "
    "not at all by Python"
)
NOT_CLOSED = (
    "the line end before the end of a multipart that nobody closes is content; Python takes it for a "
    "delimiter's"
)
BLANK_LINE = "a line of blanks is a folded line (RFC 5322 s4.2), said to be ambiguous; to them it ends the header"
MBOX = "an mbox of one message: the empty line at its end is the mbox's (RFC 4155), not the message's"
UUENCODE_AS_IT_IS = (
    "uuencoded and BinHex contents are decoded, or kept with their line ends; stalwart gives them back as "
    "text"
)
NO_BEGIN = "uuencode without its begin line has no content, which is said; Python gives back what it cannot decode"
RAW_8BIT = "a name of raw UTF-8 (RFC 6532) is UTF-8; to Python every octet of it is unknown"
QUOTES = (
    "a quoted string ends at its quote (RFC 2045 s5.1), and what is behind it is an anomaly; they go on "
    "to the semicolon"
)
SPARSE = (
    "sections of RFC 2231 that are not all there make no value by the RFC; every name that some program "
    "would show is listed"
)
NO_PARTS = (
    "a multipart without parts is one text: a close delimiter stands in it, the line end before an outer "
    "delimiter does not; Python ends at the one, and keeps the other"
)
SUBTYPE = "a type without a subtype is shown as it was declared; they show the default"

DIFFERENCES = [
    (SUBTYPE, {"tree"}, [
        "cpython/msg_14.txt", "flanker/torture.eml", "spamassassin/nice/mime8",
        "mimekit/messages/missing-subtype.txt", "mime4j-mimetools/multi-digest.msg",
        "multipart-basic-singlepart-multipart.noslash-mixedlen",
    ]),
    ("the same boundary within itself: a delimiter belongs to the innermost (RFC 2046 s5.1.2), to Python to "
        "the outermost", {"tree"}, [
        "cpython/msg_15.txt", "cpython/msg_39.txt", "multipart-outer_is_inner-singlepart-b64h-basic-base64-mixedlen",
    ]),
    ("two delimiters in a row have a part between them, which is empty; Python skips it", {"tree"}, [
        "cpython/msg_37.txt", "mime4j-mimetools/2002_06_12_doublebound.msg", "mime4j-mimetools/double-bound.msg",
    ]),
    ("the same, and what follows the closing one is the epilogue, not the part", {"content"}, [
        "mime4j/multipartemptypart.msg",
    ]),
    (RAW_8BIT, {"filename"}, [
        "enmime/mail/mime-bad-8bit-filename.raw",
        "ruby-mail/emails/attachment_emails/attachment_nonascii_filename.eml",
    ]),
    ("the same, and a line of blanks in front of the header, which Python skips; ours has that reading too, "
        "and says so", {"tree"}, [
        "flanker/russian-attachment-yahoo.eml",
    ]),
    ("octets of a charset that nobody named: one U+FFFD for each, not what its half UTF-8 would be", {"filename"}, [
        "flanker/outlook-express.eml",
    ]),
    (LONE, {"content"}, [
        "enmime/mail/mime-bad-content-transfer-encoding.raw", "php-mime-mail-parser/m0018", "rspamd/fname.eml",
        "multipart-basic-singlepart-b64h-basic-base64-junk-1j64+nlnl+real64",
    ]),
    (NOT_CLOSED, {"content"}, [
        "enmime/parts/badboundary.raw", "flanker/missing-final-boundary.eml",
        "ruby-mail/emails/mime_emails/raw_email4.eml", "mimekit/dkim/multipart-no-end-boundary.msg",
        "postfix-mime/mime_garb2.in",
    ]),
    (NO_PARTS, {"content"}, [
        "cpython/msg_42.txt", "mime4j/ending-boundaries.msg", "mime4j/missing-inner-boundary.msg",
        "mime4j/missing-inner-start-boundary.msg", "spamassassin/spam/016", "spamassassin/spam/badmime3.txt",
        "rspamd/alternative-empty-related.eml", "multipart-substr:wsx-singlepart-b64h-basic-base64-mixedlen",
        "multipart-substr:x-singlepart-b64h-basic-base64-mixedlen",
    ]),
    (BLANK_LINE, {"content"}, [
        "multipart-basic-singlepart-b64_HB_delim-tab_nl-mixedlen",
        "multipart-basic-singlepart-b64_HB_delim-space_nl-mixedlen",
        "multipart-basic-singlepart-b64_HB_delim-2x_space_nl-mixedlen",
    ]),
    ("a message in a message begins with an mbox line, which is none of its body", {"content"}, [
        "postfix-mime/mime_garb1.in",
    ]),
    (MBOX, {"content"}, [
        "cpython/msg_25.txt", "nodemailer-mailparser/large_text.eml", "spamassassin/nice/001",
        "spamassassin/nice/mailman_message.txt", "spamassassin/nice/mime6", "spamassassin/spam/002",
        "spamassassin/spam/003", "spamassassin/spam/004", "spamassassin/spam/005", "spamassassin/spam/006",
        "spamassassin/spam/009", "spamassassin/spam/dnsbl.eml", "spamassassin/spam/dnsbl_domsonly.eml",
    ]),
    (UUENCODE_AS_IT_IS, {"content"}, [
        "stalwart/legacy/016.eml", "stalwart/legacy/017.eml", "stalwart/legacy/048.eml",
    ]),
    (NO_BEGIN, {"content"}, [
        "multipart-basic-singlepart-uue", "multipart-basic-singlepart-uuencode",
        "multipart-basic-singlepart-x-uuencode",
    ]),
    ("a boundary beyond 2,048 octets is compared as far as that, and its parts are found as a second reading", {"tree"}, [
        "mime4j/very-very-long-boundary.msg",
    ]),
    ("blanks behind a boundary are padding (RFC 2046 s5.1.1: it ends with none), so that both lines are "
        "delimiters", {"content", "tree"}, [
        "mime4j/weird-boundary.msg",
    ]),
    ("a byte order mark in front of the first field is none of its name; to Python the header ends there", {"tree"}, [
        "mimekit/messages/feedback-report.txt",
    ]),
    ("a name is what it is; policy.default of Python ends it at the slash or the quote", {"filename"}, [
        "php-mime-mail-parser/issue133", "fname-cdisp.nEQx", "fname-cdisp.nQx", "fname-ctype.nE;x",
        "fname-ctype.nEQx", "fname-ctype.nQx",
    ]),
    ("words of RFC 2047 in a parameter (forbidden, but used by all) are decoded, each on its own", {"filename"}, [
        "mime4j-mimetools/multi-2evil.msg",
    ]),
    (QUOTES, {"filename"}, [
        "fname-cdisp.QnQx", "fname-ctype.QnQx", "fname-ctype.QnQxQ",
    ]),
    (SPARSE, {"filename"}, [
        "fname-cdisp.n+rfc2231.*1;*2", "fname-cdisp.n+rfc2231.*2;*1", "fname-cdisp.rfc2231+n.*1*;*0*r",
        "fname-cdisp.rfc2231.*1*;*0*r", "fname-cdisp.rfc2231.*1;*2", "fname-ctype.n+rfc2231.*2;*1",
        "fname-ctype.rfc2231+n.*1*;*0*r", "fname-ctype.rfc2231+n.*1;*2", "fname-ctype.rfc2231.*1*;*0*r",
        "fname-ctype.rfc2231.*1;*2", "fname-ctype.rfc2231.*1nl*0",
    ]),
    (PADDING, {"content"}, [
        "multipart-basic-singlepart-b64_HB_delim-JB=_wsnl-mixedlen",
        "multipart-basic-singlepart-b64h-basic-base64-badeq-tuple0",
        "multipart-basic-singlepart-b64h-basic-base64-badeq-tuple1",
        "multipart-basic-singlepart-b64h-basic-base64-badeq-tuple2",
        "multipart-basic-singlepart-b64h-basic-base64-badeq-tupleE",
        "multipart-basic-singlepart-b64h-basic-base64-split:1=2",
        "multipart-basic-singlepart-b64h-basic-base64-split:1==2",
        "multipart-basic-singlepart-b64h-basic-base64-xtraeq-miss1of2",
        "multipart-basic-singlepart-qph-64qp-qp-allenc-cont",
    ]),
    (JUNK, {"content", "encoding"}, [
        "multipart-basic-singlepart-b64h-64_ws_qp-mixedlen", "multipart-basic-singlepart-b64h-comment-enc-mixedlen",
        "multipart-basic-singlepart-b64h-enc-comma-mixedlen", "multipart-basic-singlepart-b64h-enc-comment-mixedlen",
        "multipart-basic-singlepart-b64h-enc-semicolon-mixedlen", "multipart-basic-singlepart-b64h-quote-mixedlen",
        "multipart-basic-singlepart-qph-64_ws_qp-qp-allenc-cont",
        "multipart-basic-singlepart-qph-qp_ws_64-qp-allenc-cont",
    ]),
    ("a CR in the field's value is not its end, and is said to be there; to Python it ends the header", {"content", "encoding"}, [
        "multipart-basic-singlepart-b64h-cr-mixedlen",
    ]),
    ("words of RFC 2047 have no place in an encoding: unknown, and said so; policy.default of Python decodes "
        "them", {"content", "encoding"}, [
        "multipart-basic-singlepart-b64h-rfc2047b-mixedlen",
    ]),
    ("a vertical tab is no blank (RFC 5322 s2.2.2): unknown, and said so; Python strips it and does not decode "
        "either", {"encoding"}, [
        "multipart-basic-singlepart-b64h-vtab-mixedlen",
    ]),
    ("a folded field is unfolded; Python looks for the encoding in its first line", {"content"}, [
        "multipart-basic-singlepart-b64h-fold-mixedlen",
    ]),
    ("a CR before the type is a blank to us, with both readings told; to Python it ends the header", {"tree"}, [
        "multipart-basic-singlepart-cr-multipart-mixedlen",
    ]),
    ("an = without digits stays as it is, and one before blanks at a line's end is a soft break (RFC 2045 s6.7 "
        "rule 3)", {"content"}, [
        "multipart-basic-singlepart-qph-basic-qp-=_allenc-cont",
        "multipart-basic-singlepart-qph-basic-qp-allenc-cont-space",
        "multipart-basic-singlepart-qph-basic-qp-allenc-cont-tab",
    ]),
    ("comments around a type are none of it (RFC 2045 s5.1)", {"tree"}, [
        "multipart-comment-C_type-singlepart-b64h-basic-base64-mixedlen",
        "multipart-comment-typeC-singlepart-b64h-basic-base64-mixedlen",
    ]),
    ("a CR as the last octet of a boundary: the closing line may be text to us, and is a part of its own to "
        "Python", {"tree"}, [
        "multipart-space_boundary-aftercr-singlepart-b64h-basic-base64-mixedlen",
    ]),
    ("a CR alone is no line end, and the line that begins with it no field; to Python it is an empty line, "
        "which is none of the body", {"content"}, [
        "multipart-basic-singlepart-hdrstart_b64-cr-mixedlen", "multipart-basic-singlepart-b64h-cr-key-mixedlen",
    ]),
    ("the first line that is no field begins the body (RFC 5322 s2.1), and belongs to it; mime4j drops lines "
        "up to an empty one", {"content"}, [
        "mime4j-mimetools/hdr-fakeout.msg", "mime4j/basic-plain-with-bad-header-separator.msg",
        "mime4j/malformedHeader-nocrlfcrlf.msg", "mime4j/malformedHeaderStartsBody-nocrlfcrlf.msg",
    ]),
    ("a name with blanks before its colon is a field (RFC 5322 s4.5); to Python it begins the body", {"content"}, [
        "mime4j/obsolete.msg", "ruby-mail/emails/rfc2822/example13.eml",
        "multipart-hidehdr_key_ws_colon_cont-singlepart-b64h-basic-base64-mixedlen",
    ]),
    ("a message in base64 (RFC 2045 s6.4 forbids it) is decoded and parsed; Python parses it as it is", {"tree"}, [
        "stalwart/rfc/008.eml", "mime4j/base64encoded-rfc822message-nested.msg",
        "message-rfc822-b64:mixedlen-singlepart-b64h-basic-base64-mixedlen",
    ]),
    ("comments within a type are none of it (RFC 2045 s5.1); to Python it is a text", {"tree"}, [
        "postfix-mime/mime_test.in",
    ]),
    ("a boundary without quotes may have = in it, as many programs write it; policy.default of Python does not "
        "see it", {"tree"}, [
        "spamassassin/spam/utf16.eml",
    ]),
    ("base64 with junk in it: ours leaves it out (RFC 2045 s6.8), Python gives back what it cannot decode; and "
        "ours has both readings of a line of blanks in front of the header", {"tree"}, [
        "flanker/enclosed-broken-body.eml",
    ]),
    ("blanks at the end of a line of quoted-printable are none of it (RFC 2045 s6.7 rule 3); mime4j keeps them", {"content"}, [
        "mime4j-mimetools/jt-0498.msg",
    ]),
    ("a delimiter in a header ends it; what then follows the outer close is found by its undeclared boundary; "
        "Python misses the attachment", {"tree"}, [
        "multipart-end_inside_inner_header-singlepart-b64h-basic-base64-mixedlen",
    ]),
    ("NOT EXACT: where a second reading ends its header at the line end in front of a delimiter, the first "
        "reading gets that line end as content", {"content"}, [
        "multipart-outer_in_inner_base64-singlepart-b64h-basic-base64-mixedlen",
    ]),
]
