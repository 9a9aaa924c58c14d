/* Messages and what the parser makes of them: whole, cut in two at every octet, octet by octet. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "mime/charset.h"
#include "mime_text.h"
#include "tests/unit/alloc.h"

#define nitems(a)   (sizeof(a) / sizeof((a)[0]))
#define MESSAGE_MAX 8192 /* octets of a row, and of what it gives */

struct row {
	const char *name;
	const char *octets;
	size_t n;
	const char *want;
	bool crlf_only; /* says something else with bare LF */
};

#define M(octets) (octets), sizeof(octets) - 1
#define V	  "MIME-Version: 1.0\r\n"
#define MIXED	  V "Content-Type: multipart/mixed; boundary=B\r\n\r\n"
#define EXE	  "Content-Disposition: attachment; filename=a.exe\r\n"
#define FIELDS_5  "X-A: a\r\nX-B: b\r\nX-C: c\r\nX-D: d\r\nX-E: e\r\n"
#define FIELDS_20 FIELDS_5 FIELDS_5 FIELDS_5 FIELDS_5
#define B64	  "Content-Transfer-Encoding: base64\r\n"

static const struct row rows[] = {
    {"plain", M("From: a@b\r\n\r\nhello\r\n"),
	"1 text/plain [hello\r\n"
	"]\n"
	"|0 /0",
	false},
    {"no header at all", M("hello\r\nworld\r\n"),
	"1 text/plain {mime_broken_header}{ambiguous: a line that is no field begins the body, or: "
	"the header goes on behind it} [hello\r\n"
	"world\r\n"
	"]\n"
	"|0 /0",
	false},
    {"empty", M(""),
	"1 text/plain\n"
	"|0 /0",
	false},
    {"no blank line, no body", M("Subject: x\r\n"),
	"1 text/plain\n"
	"|0 /0",
	false},
    {"preamble, epilogue",
	M(MIXED "pre\r\n--B\r\n\r\nhello\r\n--B\r\n" B64 EXE
		"\r\naGVsbG8=\r\n\r\n--B--\r\nepi\r\n"),
	"multipart/mixed [preepi\r\n]\n"
	"1 text/plain [hello]\n"
	"2 text/plain base64 +a.exe [hello]\n"
	"|0 1 /1 2 /2 /0",
	false},
    {"M-001 two boundaries",
	M(V "Content-Type: multipart/mixed; boundary=X; boundary=Y\r\n\r\n--Y\r\n" EXE
	    "\r\nMZ\r\n--Y--\r\n"),
	"multipart/mixed {ambiguous: parameter twice: the first; or the last}{ambiguous: boundary: "
	"X or: Y}\n"
	"1 text/plain +a.exe [MZ]\n"
	"|0 1 /1 /0",
	false},
    {"M-001 parts of both boundaries",
	M(V "Content-Type: multipart/mixed; boundary=X; "
	    "boundary=Y\r\n\r\n--X\r\n\r\none\r\n--Y\r\n" EXE
	    "\r\nMZ\r\n--Y--\r\nmore\r\n--X--\r\n"),
	"multipart/mixed {ambiguous: parameter twice: the first; or the last}{ambiguous: boundary: "
	"X or: Y}\n"
	"1 text/plain {ambiguous: a delimiter, or text: --Y} [one\r\n"
	"--Y\r\n"
	"Content-Disposition: attachment; filename=a.exe\r\n"
	"\r\n"
	"MZ\r\n"
	"--Y--\r\n"
	"more]\n"
	"~1.1 text/plain +a.exe {ambiguous: a delimiter, or text: --Y--} [MZ]\n"
	"|0 1 2 /2 /1 /0",
	false},
    {"M-001 both boundaries close",
	M(V "Content-Type: multipart/mixed; boundary=X; "
	    "boundary=Y\r\n\r\n--X\r\n\r\none\r\n--Y\r\n" EXE "\r\nMZ\r\n--Y--\r\n--X--\r\n"),
	"multipart/mixed {ambiguous: parameter twice: the first; or the last}{ambiguous: boundary: "
	"X or: Y}\n"
	"1 text/plain {ambiguous: a delimiter, or text: --Y} [one\r\n"
	"--Y\r\n"
	"Content-Disposition: attachment; filename=a.exe\r\n"
	"\r\n"
	"MZ\r\n"
	"--Y--]\n"
	"~1.1 text/plain +a.exe {ambiguous: a delimiter, or text: --Y--} [MZ]\n"
	"|0 1 2 /2 /1 /0",
	false},
    {"M-002 two Content-Type",
	M(V "Content-Type: multipart/mixed; boundary=X\r\nContent-Type: multipart/mixed; "
	    "boundary=Y\r\n\r\n--Y\r\n" EXE "\r\nMZ\r\n--Y--\r\n"),
	"multipart/mixed {ambiguous: boundary: X or: Y}{duplicate_fields}{ambiguous: parameters of "
	"the first Content-Type, or: of the other}\n"
	"1 text/plain +a.exe [MZ]\n"
	"|0 1 /1 /0",
	false},
    {"M-002 text or multipart",
	M(V "Content-Type: text/plain\r\nContent-Type: multipart/mixed; "
	    "boundary=Y\r\n\r\n--Y\r\n" EXE "\r\nMZ\r\n--Y--\r\n"),
	"multipart/mixed {duplicate_fields}{ambiguous: Content-Type: text/plain or: "
	"multipart/mixed}\n"
	"~0.1 text/plain [--Y\r\n"
	"Content-Disposition: attachment; filename=a.exe\r\n"
	"\r\n"
	"MZ\r\n"
	"--Y--\r\n"
	"]\n"
	"1 text/plain +a.exe [MZ]\n"
	"|0 1 2 /2 /1 /0",
	false},
    {"M-003 comment in a field's name",
	M(V "Content-Type(meow): multipart/mixed; boundary=B\r\n\r\n--B\r\nContent-Type (x): "
	    "text/html\r\n\r\nhi\r\n--B--\r\n"),
	"multipart/mixed {mime_invalid_field_name}{ambiguous: a field: Content-Type or: unknown}\n"
	"1 text/html {mime_invalid_field_name}{ambiguous: a field: Content-Type or: unknown} [hi]\n"
	"|0 1 /1 /0",
	false},
    {"M-004 boundary of a disposition",
	M(V "Content-Disposition: attachment; boundary=X\r\nContent-Type: multipart/mixed; "
	    "boundary=Y\r\n\r\n--X\r\n\r\nno\r\n--Y\r\n\r\nyes\r\n--Y--\r\n"),
	"multipart/mixed [--X\r\n\r\nno]\n"
	"1 text/plain [yes]\n"
	"|0 1 /1 /0",
	false},
    {"M-005 RFC 2231 boundary of a disposition",
	M(V "Content-Disposition: attachment; boundary*=utf-8''X\r\nContent-Type: multipart/mixed; "
	    "boundary=Y\r\n\r\n--Y\r\n\r\nyes\r\n--Y--\r\n"),
	"multipart/mixed\n"
	"1 text/plain [yes]\n"
	"|0 1 /1 /0",
	false},
    {"M-006 semicolon in a boundary",
	M(V "Content-Type: multipart/mixed; boundary=\"X;\"\r\n\r\n--X;\r\n\r\nyes\r\n--X;--\r\n"),
	"multipart/mixed\n"
	"1 text/plain [yes]\n"
	"|0 1 /1 /0",
	false},
    {"M-007 blanks before a boundary",
	M(V "Content-Type: multipart/mixed; boundary= Y\r\n\r\n--Y\r\n\r\nyes\r\n--Y--\r\n"),
	"multipart/mixed {mime_invalid_parameter}\n"
	"1 text/plain [yes]\n"
	"|0 1 /1 /0",
	false},
    {"M-007 quoted pair",
	M(V "Content-Type: multipart/mixed; "
	    "boundary=\"a\\b\"\r\n\r\n--ab\r\n\r\none\r\n--ab--\r\n"),
	"multipart/mixed {ambiguous: backslash quotes; or stands for itself}{ambiguous: boundary: "
	"ab or: a\\b}\n"
	"1 text/plain [one]\n"
	"|0 1 /1 /0",
	false},
    {"M-007 quoted pair, not undone",
	M(V "Content-Type: multipart/mixed; "
	    "boundary=\"a\\b\"\r\n\r\n--a\\b\r\n\r\none\r\n--a\\b--\r\n"),
	"multipart/mixed {ambiguous: backslash quotes; or stands for itself}{ambiguous: boundary: "
	"ab or: a\\b}\n"
	"1 text/plain [one]\n"
	"|0 1 /1 /0",
	false},
    {"M-007 unterminated quote",
	M(V "Content-Type: multipart/mixed; boundary=\"ab\r\n\r\n--ab\r\n\r\none\r\n--ab--\r\n"),
	"multipart/mixed {mime_invalid_parameter}\n"
	"1 text/plain [one]\n"
	"|0 1 /1 /0",
	false},
    {"M-008 boundary in sections",
	M(V "Content-Type: multipart/mixed; boundary*0=\"A\"; "
	    "boundary*1=\"B\"\r\n\r\n--AB\r\n\r\none\r\n--AB--\r\n"),
	"multipart/mixed {ambiguous: boundary: AB or: A}\n"
	"1 text/plain [one]\n"
	"|0 1 /1 /0",
	false},
    {"M-008 coded boundary",
	M(V "Content-Type: multipart/mixed; "
	    "boundary*0*=utf-8''%41\r\n\r\n--A\r\n\r\none\r\n--A--\r\n"),
	"multipart/mixed {ambiguous: boundary: A or: utf-8''%41}\n"
	"1 text/plain [one]\n"
	"|0 1 /1 /0",
	false},
    {"M-009 beginning of another boundary",
	M(MIXED
	    "--B\r\nContent-Type: multipart/mixed; "
	    "boundary=B_alt\r\n\r\n--B_alt\r\n\r\none\r\n--B_alt--\r\n--B\r\n\r\ntwo\r\n--B--\r\n"),
	"multipart/mixed\n"
	"1 multipart/mixed\n"
	"1.1 text/plain [one]\n"
	"2 text/plain [two]\n"
	"|0 1 2 /2 /1 3 /3 /0",
	false},
    {"M-009 more behind a boundary",
	M(MIXED "--B\r\n\r\none\r\n--Bextra\r\n" EXE "\r\nMZ\r\n--B--\r\n"),
	"multipart/mixed\n"
	"1 text/plain {ambiguous: a delimiter, or text: --Bextra} [one\r\n"
	"--Bextra\r\n"
	"Content-Disposition: attachment; filename=a.exe\r\n"
	"\r\n"
	"MZ]\n"
	"~1.1 text/plain +a.exe [MZ]\n"
	"|0 1 2 /2 /1 /0",
	false},
    {"M-010 boundary within a line", M(MIXED "--B\r\n\r\nvisit --B for SECRET\r\n--B--\r\n"),
	"multipart/mixed\n"
	"1 text/plain [visit --B for SECRET]\n"
	"|0 1 /1 /0",
	false},
    {"M-012 never there", M(MIXED "text\r\n"),
	"multipart/mixed {mime_unused_boundary} [text\r\n]\n"
	"|0 /0",
	false},
    {"M-012 nothing but a close", M(MIXED "text\r\n--B--\r\nmore\r\n"),
	"multipart/mixed {mime_unused_boundary} [text\r\n--B--\r\nmore\r\n]\n"
	"|0 /0",
	false},
    {"M-012 an inner one never there",
	M(MIXED "--B\r\nContent-Type: multipart/related; boundary=C\r\n\r\ntext\r\n--B--\r\n"),
	"multipart/mixed\n"
	"1 multipart/related {mime_unused_boundary} [text]\n"
	"|0 1 /1 /0",
	false},
    {"M-012 no boundary at all, and text behind the parts",
	M(V "Content-Type: multipart/mixed\r\n\r\n--X\r\n" EXE "\r\nMZ\r\n--X--\r\nmore\r\n"),
	"1 multipart/mixed {mime_no_boundary}{ambiguous: an undeclared boundary, or text: X} "
	"[--X\r\n" EXE "\r\nMZ\r\n--X--\r\nmore\r\n]\n"
	"~1.1 text/plain +a.exe [MZ]\n"
	"|0 1 /1 /0",
	false},
    {"M-012 a boundary of what is no multipart",
	M(V "Content-Type: ultipart/mixed; boundary=X\r\n\r\n--X\r\n" EXE "\r\nMZ\r\n--X--\r\n"),
	"1 ultipart/mixed {ambiguous: an undeclared boundary, or text: X} "
	"[--X\r\n" EXE "\r\nMZ\r\n--X--\r\n]\n"
	"~1.1 text/plain +a.exe [MZ]\n"
	"|0 1 /1 /0",
	false},
    {"M-012 never there, coded",
	M(MIXED "--B\r\nContent-Type: multipart/related; boundary=C\r\n" B64
		"\r\naGVsbG8=\r\n--B--\r\n"),
	"multipart/mixed\n"
	"1 multipart/related base64 {mime_coded_composite}{ambiguous: multipart: as it is or: "
	"decoded}{mime_unused_boundary} [aGVsbG8=]\n"
	"~1.0.1 multipart/related base64 {mime_unused_boundary} [hello]\n"
	"|0 1 2 /2 /1 /0",
	false},
    {"M-012 a header in the preamble",
	M(MIXED "Content-Type: text/html\r\n\r\nhi\r\n--B\r\n\r\none\r\n--B--\r\n"),
	"multipart/mixed [Content-Type: text/html\r\n\r\nhi]\n"
	"~0.1 text/html [hi]\n"
	"1 text/plain [one]\n"
	"|0 1 /1 2 /2 /0",
	false},
    {"M-012 a header in the epilogue",
	M(MIXED "--B\r\n\r\none\r\n--B--\r\nX-A: b\r\n" EXE "\r\nMZ\r\n"),
	"multipart/mixed [X-A: b\r\n" EXE "\r\nMZ\r\n]\n"
	"1 text/plain [one]\n"
	"~0.1 text/plain +a.exe [MZ\r\n]\n"
	"|0 1 /1 2 /2 /0",
	false},
    {"M-012 a header in an epilogue, and parts behind it",
	M(MIXED "--B\r\n\r\none\r\n--B--\r\n" EXE "\r\nMZ\r\n--B\r\n\r\ntwo\r\n--B--\r\n"),
	"multipart/mixed {mime_part_after_close} [" EXE "\r\nMZ]\n"
	"1 text/plain [one]\n"
	"~0.1 text/plain +a.exe [MZ]\n"
	"2 text/plain [two]\n"
	"|0 1 /1 2 /2 3 /3 /0",
	false},
    {"M-012 text in an epilogue is no header",
	M(MIXED "--B\r\n\r\none\r\n--B--\r\n\r\nContent-Type: text/html\r\n\r\nhi\r\n"),
	"multipart/mixed [\r\nContent-Type: text/html\r\n\r\nhi\r\n]\n"
	"1 text/plain [one]\n"
	"|0 1 /1 /0",
	false},
    {"M-012 uuencode in a preamble",
	M(MIXED "begin 644 a.txt\r\n%:&5L;&\\`\r\n`\r\nend\r\n--B\r\n\r\none\r\n--B--\r\n"),
	"multipart/mixed {mime_inline_uuencode} [begin 644 a.txt\r\n%:&5L;&\\`\r\n`\r\nend]\n"
	"~0.1 application/octet-stream x-uuencode +a.txt [hello]\n"
	"1 text/plain [one]\n"
	"|0 1 /1 2 /2 /0",
	false},
    {"M-012 uuencode in an epilogue",
	M(MIXED "--B\r\n\r\none\r\n--B--\r\nbegin 644 a.txt\r\n%:&5L;&\\`\r\n`\r\nend\r\n"),
	"multipart/mixed {mime_inline_uuencode} [begin 644 a.txt\r\n%:&5L;&\\`\r\n`\r\nend\r\n]\n"
	"1 text/plain [one]\n"
	"~0.1 application/octet-stream x-uuencode +a.txt [hello]\n"
	"|0 1 /1 2 /2 /0",
	false},
    {"M-012 not closed", M(MIXED "--B\r\n\r\ntext\r\n"),
	"multipart/mixed {mime_not_closed}\n"
	"1 text/plain [text\r\n"
	"]\n"
	"|0 1 /1 /0",
	false},
    {"M-012 undeclared boundary in the preamble",
	M(MIXED "--X\r\nContent-Type: text/html\r\n\r\nhi\r\n--X\r\n" EXE "\r\nMZ\r\n--X--\r\n"),
	"multipart/mixed {ambiguous: an undeclared boundary, or text: X} [--X\r\n"
	"Content-Type: text/html\r\n\r\nhi]\n"
	"~0.1 text/html [hi]\n"
	"1 text/plain +a.exe [MZ]\n"
	"|0 1 /1 2 /2 /0",
	false},
    {"M-012 undeclared boundary in the epilogue",
	M(MIXED "--B\r\n\r\none\r\n--B--\r\n--X\r\n" EXE "\r\nMZ\r\n--X--\r\n"),
	"multipart/mixed {ambiguous: an undeclared boundary, or text: X} [--X\r\n" EXE "\r\nMZ]\n"
	"1 text/plain [one]\n"
	"~0.1 text/plain +a.exe [MZ]\n"
	"|0 1 /1 2 /2 /0",
	false},
    {"M-012 no boundary at all",
	M(V "Content-Type: multipart/mixed\r\n\r\n--X\r\nContent-Type: "
	    "text/html\r\n\r\nhi\r\n--X--\r\n"),
	"1 multipart/mixed {mime_no_boundary}{ambiguous: an undeclared boundary, or text: X} "
	"[--X\r\n"
	"Content-Type: text/html\r\n"
	"\r\n"
	"hi\r\n"
	"--X--\r\n"
	"]\n"
	"~1.1 text/html [hi]\n"
	"|0 1 /1 /0",
	false},
    {"M-013 parts behind the close",
	M(MIXED "--B\r\n\r\none\r\n--B--\r\n\r\n--B\r\n" EXE "\r\nMZ\r\n--B--\r\n"),
	"multipart/mixed {mime_part_after_close}\n"
	"1 text/plain [one]\n"
	"2 text/plain +a.exe [MZ]\n"
	"|0 1 /1 2 /2 /0",
	false},
    {"M-014 no blank line", M("Subject: x\r\nthis is text\r\nand more\r\n"),
	"1 text/plain {mime_broken_header}{ambiguous: a line that is no field begins the body, or: "
	"the header goes on behind it} [this is text\r\n"
	"and more\r\n"
	"]\n"
	"|0 /0",
	false},
    {"M-014 the header goes on",
	M(V "Subject: x\r\nthis is text\r\nContent-Type: multipart/mixed; "
	    "boundary=B\r\n\r\n--B\r\n" EXE "\r\nMZ\r\n--B--\r\n"),
	"1 text/plain {mime_broken_header}{ambiguous: a line that is no field begins the body, or: "
	"the header goes on behind it} [this is text\r\n"
	"Content-Type: multipart/mixed; boundary=B\r\n"
	"\r\n"
	"--B\r\n"
	"Content-Disposition: attachment; filename=a.exe\r\n"
	"\r\n"
	"MZ\r\n"
	"--B--\r\n"
	"]\n"
	"~1.1 multipart/mixed\n"
	"1.1.1 text/plain +a.exe [MZ]\n"
	"|0 1 2 /2 /1 /0",
	false},
    {"M-014 a line of blanks", M(V "Subject: x\r\n \r\nContent-Type: text/html\r\n\r\nhi\r\n"),
	"1 text/html {ambiguous: a line of blanks continues a field, or: it ends the header} "
	"[hi\r\n"
	"]\n"
	"|0 /0",
	false},
    {"M-014 a line of blanks first, and many fields",
	M(" \r\n" FIELDS_20 "Content-Type: text/html\r\n\r\nhi\r\n"),
	"1 text/plain {mime_broken_header}{ambiguous: a line that is no field begins the body, or: "
	"the header goes on behind it} [ \r\n"
	"X-A: a\r\n"
	"X-B: b\r\n"
	"X-C: c\r\n"
	"X-D: d\r\n"
	"X-E: e\r\n"
	"X-A: a\r\n"
	"X-B: b\r\n"
	"X-C: c\r\n"
	"X-D: d\r\n"
	"X-E: e\r\n"
	"X-A: a\r\n"
	"X-B: b\r\n"
	"X-C: c\r\n"
	"X-D: d\r\n"
	"X-E: e\r\n"
	"X-A: a\r\n"
	"X-B: b\r\n"
	"X-C: c\r\n"
	"X-D: d\r\n"
	"X-E: e\r\n"
	"Content-Type: text/html\r\n"
	"\r\n"
	"hi\r\n"
	"]\n"
	"~1.1 text/html [hi\r\n"
	"]\n"
	"|0 1 /1 /0",
	false},
    {"M-014 an empty line ends it for everybody",
	M("no field\r\nX: 1\r\n\r\nContent-Type: text/html\r\n\r\nhi\r\n"),
	"1 text/plain {mime_broken_header}{ambiguous: a line that is no field begins the body, or: "
	"the header goes on behind it} [no field\r\n"
	"X: 1\r\n"
	"\r\n"
	"Content-Type: text/html\r\n"
	"\r\n"
	"hi\r\n"
	"]\n"
	"|0 /0",
	false},
    {"M-038 CR in front of a part's header", M(MIXED "--B\r\n\r" EXE "\r\nMZ\r\n--B--\r\n"),
	"multipart/mixed\n"
	"1 text/plain {mime_broken_header}{ambiguous: a line that is no field begins the body, or: "
	"the header goes on behind it} [\rContent-Disposition: attachment; filename=a.exe\r\n"
	"\r\n"
	"MZ]\n"
	"~1.1 text/plain +a.exe [MZ]\n"
	"|0 1 2 /2 /1 /0",
	false},
    {"M-009 header that another reading's delimiter ends",
	M(MIXED "--B\r\n\r\none\r\n--Bx\r\n" EXE "--Bx\r\n\r\nMZ\r\n--B--\r\n"),
	"multipart/mixed\n"
	"1 text/plain {ambiguous: a delimiter, or text: --Bx} [one\r\n"
	"--Bx\r\n"
	"Content-Disposition: attachment; filename=a.exe\r\n"
	"--Bx\r\n"
	"\r\n"
	"MZ]\n"
	"~1.1 text/plain +a.exe {ambiguous: a delimiter, or text: --Bx}\n"
	"~1.2 text/plain [MZ]\n"
	"|0 1 2 /2 3 /3 /1 /0",
	false},
    {"M-014 a line of blanks first", M(" \r\nContent-Type: text/html\r\n\r\nhi\r\n"),
	"1 text/plain {mime_broken_header}{ambiguous: a line that is no field begins the body, or: "
	"the header goes on behind it} [ \r\n"
	"Content-Type: text/html\r\n"
	"\r\n"
	"hi\r\n"
	"]\n"
	"~1.1 text/html [hi\r\n"
	"]\n"
	"|0 1 /1 /0",
	false},
    {"M-015 two encodings",
	M(V B64 "Content-Transfer-Encoding: quoted-printable\r\n\r\naGVsbG8=\r\n"),
	"1 text/plain base64 {duplicate_fields}{ambiguous: Content-Transfer-Encoding: base64 or: "
	"quoted-printable} [hello]\n"
	"~1.1 text/plain quoted-printable [aGVsbG8]\n"
	"|0 1 /1 /0",
	false},
    {"M-015 encoding with junk", M(V "Content-Transfer-Encoding: base64 junk\r\n\r\naGVsbG8=\r\n"),
	"1 text/plain base64 {mime_unknown_encoding}{ambiguous: Content-Transfer-Encoding: base64 "
	"or: unknown} [hello]\n"
	"|0 /0",
	false},
    {"M-015 quoted encoding", M(V "Content-Transfer-Encoding: \"base64\"\r\n\r\naGVsbG8=\r\n"),
	"1 text/plain base64 {mime_unknown_encoding}{ambiguous: Content-Transfer-Encoding: base64 "
	"or: unknown} [hello]\n"
	"|0 /0",
	false},
    {"M-015 unknown encoding", M(V "Content-Transfer-Encoding: foo\r\n\r\nx\r\n"),
	"1 text/plain unknown {mime_unknown_encoding} [x\r\n"
	"]\n"
	"|0 /0",
	false},
    {"M-015 x-uue",
	M(V "Content-Type: a/b\r\nContent-Transfer-Encoding: x-uue\r\n\r\nbegin 644 "
	    "a.txt\r\n%:&5L;&\\`\r\n`\r\nend\r\n"),
	"1 a/b x-uuencode [hello]\n"
	"|0 /0",
	false},
    {"M-016 two alphabets", M(V B64 "\r\naGVs--8_\r\naGVsbG8=\r\n"),
	"1 text/plain base64 {mime_invalid_base64}{ambiguous: base64: - and _ skipped; or taken "
	"for + "
	"and /} [\x68\x65\x6c\xf1\xa1\x95\xb1\xb1\xbc] or [hel\xfb\xef\x3fhello]\n"
	"|0 /0",
	false},
    {"M-016 an alphabet of its own", M(V B64 "\r\n-_\r\n"),
	"1 text/plain base64 {mime_invalid_base64}{ambiguous: base64: - and _ skipped; or taken "
	"for + "
	"and /} or [\xfb]\n"
	"|0 /0",
	false},
    {"M-018 coded multipart, as it is",
	M(V "Content-Type: multipart/mixed; boundary=B\r\n" B64 "\r\n--B\r\n\r\none\r\n--B--\r\n"),
	"multipart/mixed base64 {mime_coded_composite}{ambiguous: multipart: as it is or: "
	"decoded}{mime_invalid_base64}{ambiguous: base64: - and _ skipped; or taken for + and /}\n"
	"~0.1 multipart/mixed base64 {mime_unused_boundary} ["
	"\x06\x89\xde]\n"
	"1 text/plain [one]\n"
	"|0 1 2 /2 /1 /0",
	false},
    {"M-018 coded multipart, decoded",
	M(V "Content-Type: multipart/mixed; boundary=B\r\n" B64
	    "\r\nLS1CDQoNCm9uZQ0KLS1CLS0NCg==\r\n"),
	"multipart/mixed base64 {mime_coded_composite}{ambiguous: multipart: as it is or: "
	"decoded}{mime_unused_boundary} ["
	"LS1CDQoNCm9uZQ0KLS1CLS0NCg==\r\n]\n"
	"~0.1 multipart/mixed base64\n"
	"0.1.1 text/plain [one]\n"
	"|0 1 2 /2 /1 /0",
	false},
    {"message/rfc822",
	M(V "Content-Type: message/rfc822\r\n\r\nSubject: y\r\nContent-Type: "
	    "text/html\r\n\r\nhi\r\n"),
	"1 message/rfc822\n"
	"1.1 text/html [hi\r\n"
	"]\n"
	"|0 1 /1 /0",
	false},
    {"message/rfc822 with a multipart",
	M(V "Content-Type: message/rfc822\r\n\r\nContent-Type: multipart/mixed; "
	    "boundary=B\r\n\r\n--B\r\n\r\none\r\n--B--\r\n"),
	"1 message/rfc822\n"
	"1 multipart/mixed\n"
	"1.1 text/plain [one]\n"
	"|0 1 2 /2 /1 /0",
	false},
    {"M-027 coded message",
	M(V "Content-Type: message/rfc822\r\n" B64
	    "\r\nU3ViamVjdDogeQ0KQ29udGVudC1UeXBlOiB0ZXh0L2h0bWwNCg0KaGkNCg==\r\n"),
	"1 message/rfc822 base64 {mime_coded_composite}\n"
	"1.1 text/html [hi\r\n"
	"]\n"
	"|0 1 /1 /0",
	false},
    {"M-028 message/partial",
	M(V "Content-Type: message/partial; number=1; total=2; id=x\r\n\r\nSubject: "
	    "y\r\n\r\nhi\r\n"),
	"1 message/partial {mime_partial} [Subject: y\r\n"
	"\r\n"
	"hi\r\n"
	"]\n"
	"|0 /0",
	false},
    {"M-029 message/external-body",
	M(V "Content-Type: message/external-body; access-type=URL; "
	    "URL=\"http://x\"\r\n\r\nContent-Type: text/plain\r\n\r\n"),
	"1 message/external-body {mime_external_body} [Content-Type: text/plain\r\n"
	"\r\n"
	"]\n"
	"|0 /0",
	false},
    {"delivery status",
	M(MIXED "--B\r\nContent-Type: message/delivery-status\r\n\r\nReporting-MTA: dns; "
		"x\r\n\r\nAction: failed\r\n--B--\r\n"),
	"multipart/mixed\n"
	"1 message/delivery-status [Reporting-MTA: dns; x\r\n"
	"\r\n"
	"Action: failed]\n"
	"|0 1 /1 /0",
	false},
    {"digest",
	M(V "Content-Type: multipart/digest; boundary=B\r\n\r\n--B\r\n\r\nSubject: "
	    "x\r\n\r\none\r\n--B\r\nContent-Type: text/html\r\n\r\nhi\r\n--B--\r\n"),
	"multipart/digest\n"
	"1 message/rfc822\n"
	"1.1 text/plain [one]\n"
	"2 text/html [hi]\n"
	"|0 1 2 /2 /1 3 /3 /0",
	false},
    {"M-031 inline uuencode",
	M("Subject: x\r\n\r\nhello\r\nbegin 644 a.exe\r\n%:&5L;&\\`\r\n`\r\nend\r\nbye\r\n"),
	"1 text/plain {mime_inline_uuencode} [hello\r\n"
	"begin 644 a.exe\r\n"
	"%:&5L;&\\`\r\n"
	"`\r\n"
	"end\r\n"
	"bye\r\n"
	"]\n"
	"~1.1 application/octet-stream x-uuencode +a.exe [hello]\n"
	"|0 1 /1 /0",
	false},
    {"M-031 inline uuencode without end", M("Subject: x\r\n\r\nbegin 644 a.exe\r\n%:&5L;&\\`\r\n"),
	"1 text/plain {mime_inline_uuencode} [begin 644 a.exe\r\n"
	"%:&5L;&\\`\r\n"
	"]\n"
	"~1.1 application/octet-stream x-uuencode +a.exe {mime_invalid_uuencode} [hello]\n"
	"|0 1 /1 /0",
	false},
    {"M-031 begin-base64", M("Subject: x\r\n\r\nbegin-base64 644 a.exe\r\naGVsbG8=\r\n====\r\n"),
	"1 text/plain {mime_inline_uuencode} [begin-base64 644 a.exe\r\n"
	"aGVsbG8=\r\n"
	"====\r\n"
	"]\n"
	"~1.1 application/octet-stream base64 +a.exe [hello]\n"
	"|0 1 /1 /0",
	false},
    {"M-035 header to one, body to another",
	M("Subject: x\r\nX Y: z\r\nContent-Type: text/html\r\n\r\nhi\r\n"),
	"1 text/plain {mime_broken_header}{ambiguous: a line that is no field begins the body, or: "
	"the header goes on behind it} [X Y: z\r\n"
	"Content-Type: text/html\r\n"
	"\r\n"
	"hi\r\n"
	"]\n"
	"~1.1 text/html [hi\r\n"
	"]\n"
	"|0 1 /1 /0",
	false},
    {"M-036 no version", M("Content-Type: text/html\r\n\r\nhi\r\n"),
	"1 text/html {mime_no_version} [hi\r\n"
	"]\n"
	"|0 /0",
	false},
    {"M-037 mailbox line",
	M("From a@b Mon Jan  1 10:00:00 2024\r\nSubject: x\r\n\r\nhi\r\nFrom me\r\n>From you\r\n"),
	"1 text/plain {mime_mbox_line} [hi\r\n"
	"From me\r\n"
	">From you\r\n"
	"]\n"
	"|0 /0",
	false},
    {"M-037 quoted mailbox line",
	M(">From a@b Mon Jan  1 10:00:00 2024\r\nSubject: x\r\n\r\nhi\r\n"),
	"1 text/plain {mime_mbox_line} [hi\r\n"
	"]\n"
	"|0 /0",
	false},
    {"M-038 CR ends a line",
	M(V "Subject: x\rContent-Type: multipart/mixed; "
	    "boundary=B\r\n\r\n--B\r\n\r\none\r\n--B--\r\n"),
	"multipart/mixed {mime_bare_cr}{ambiguous: a CR in Subject, or a line end in front of "
	"Content-Type}\n"
	"1 text/plain [one]\n"
	"|0 1 /1 /0",
	true},
    {"M-038 CR before a boundary", M(MIXED "--B\r\n\r\none\r--B\r\n" EXE "\r\nMZ\r\n--B--\r\n"),
	"multipart/mixed\n"
	"1 text/plain {ambiguous: a delimiter, or text: --B} [one\r--B\r\n"
	"Content-Disposition: attachment; filename=a.exe\r\n"
	"\r\n"
	"MZ]\n"
	"~1.1 text/plain +a.exe [MZ]\n"
	"|0 1 2 /2 /1 /0",
	true},
    {"M-038 CR behind a boundary", M(MIXED "--B\r\n\r\none\r\n--B\r" EXE "\r\nMZ\r\n--B--\r\n"),
	"multipart/mixed\n"
	"1 text/plain {ambiguous: a delimiter, or text: --B} [one\r\n"
	"--B\rContent-Disposition: attachment; filename=a.exe\r\n"
	"\r\n"
	"MZ]\n"
	"~1.1 text/plain +a.exe [MZ]\n"
	"|0 1 2 /2 /1 /0",
	true},
    {"trailing white space", M(MIXED "--B \t \r\n\r\none\r\n--B-- \r\n"),
	"multipart/mixed\n"
	"1 text/plain [one]\n"
	"|0 1 /1 /0",
	false},
    {"empty parts", M(MIXED "--B\r\n--B\r\n\r\n--B\r\n\r\n\r\n--B--\r\n"),
	"multipart/mixed\n"
	"1 text/plain\n"
	"2 text/plain\n"
	"3 text/plain\n"
	"|0 1 /1 2 /2 3 /3 /0",
	false},
    {"empty boundary",
	M(V "Content-Type: multipart/mixed; boundary=\"\"\r\n\r\n--\r\n\r\none\r\n----\r\n"),
	"multipart/mixed\n"
	"1 text/plain [one]\n"
	"|0 1 /1 /0",
	false},
    {"same boundary twice",
	M(MIXED "--B\r\nContent-Type: multipart/mixed; "
		"boundary=B\r\n\r\n--B\r\n\r\none\r\n--B--\r\n--B--\r\n"),
	"multipart/mixed {mime_not_closed}\n"
	"1 multipart/mixed {ambiguous: delimiters of this part, or of an outer one: B}\n"
	"1.1 text/plain [one]\n"
	"|0 1 2 /2 /1 /0",
	false},
    {"outer boundary ends the inner",
	M(MIXED "--B\r\nContent-Type: multipart/mixed; "
		"boundary=C\r\n\r\n--C\r\n\r\none\r\n--B\r\n\r\ntwo\r\n--B--\r\n"),
	"multipart/mixed\n"
	"1 multipart/mixed {mime_not_closed}\n"
	"1.1 text/plain [one]\n"
	"2 text/plain [two]\n"
	"|0 1 2 /2 /1 3 /3 /0",
	false},
    {"boundary in a header", M(MIXED "--B\r\nSubject: x\r\n--B\r\n\r\ntwo\r\n--B--\r\n"),
	"multipart/mixed\n"
	"1 text/plain\n"
	"2 text/plain [two]\n"
	"|0 1 /1 2 /2 /0",
	false},
    {"boundary in a coded body", M(MIXED "--B\r\n" B64 "\r\naGVs\r\n--B\r\n\r\nbG8=\r\n--B--\r\n"),
	"multipart/mixed\n"
	"1 text/plain base64 [hel]\n"
	"2 text/plain [bG8=]\n"
	"|0 1 /1 2 /2 /0",
	false},
    {"folded",
	M("Subject: a\r\n b\r\n\tc\r\nContent-Type: text/html;\r\n charset=\"UTF-8\"\r\n\r\nhi"),
	"1 text/html {mime_no_version} [hi]\n"
	"|0 /0",
	false},
    {"two CR", M("Subject: a\r\r\n\r\r\nhi\r\r\n"),
	"1 text/plain {mime_bare_cr}{ambiguous: a line of nothing but CR ends the header, or: it "
	"is a line of it} [hi\r\r\n"
	"]\n"
	"|0 /0",
	true},
    {"NUL in a name", M(V "Content-\0Type: text/html\r\n\r\nhi\r\n"),
	"1 text/html {mime_invalid_field_name}{ambiguous: a field: Content-Type or: unknown} "
	"[hi\r\n"
	"]\n"
	"|0 /0",
	false},
    {"8-bit header", M("Subject: \344\r\n\r\nhi\r\n"),
	"1 text/plain {mime_undeclared_8bit_header} [hi\r\n"
	"]\n"
	"|0 /0",
	false},
    {"close with more behind", M(MIXED "--B\r\n\r\none\r\n--B--x\r\ntwo\r\n--B--\r\n"),
	"multipart/mixed\n"
	"1 text/plain {ambiguous: a delimiter, or text: --B--x} [one\r\n"
	"--B--x\r\n"
	"two]\n"
	"|0 1 /1 /0",
	false},
    {"dashes", M(MIXED "--B\r\n\r\n--\r\n---\r\n-\r\n--\r\r\n--B--\r\n"),
	"multipart/mixed\n"
	"1 text/plain [--\r\n"
	"---\r\n"
	"-\r\n"
	"--\r]\n"
	"|0 1 /1 /0",
	true},
    {"M-007 blank in a boundary",
	M(V "Content-Type: multipart/mixed; boundary=a b\r\n\r\n--a b\r\n\r\none\r\n--a b--\r\n"),
	"multipart/mixed {mime_invalid_parameter}{ambiguous: parameter to its end; or to the first "
	"delimiter}{ambiguous: boundary: a b or: a}\n"
	"1 text/plain [one]\n"
	"|0 1 /1 /0",
	false},
    {"M-007 blank in a boundary, cut",
	M(V "Content-Type: multipart/mixed; boundary=a b\r\n\r\n--a\r\n\r\none\r\n--a--\r\n"),
	"multipart/mixed {mime_invalid_parameter}{ambiguous: parameter to its end; or to the first "
	"delimiter}{ambiguous: boundary: a b or: a}\n"
	"1 text/plain [one]\n"
	"|0 1 /1 /0",
	false},
    {"M-007 quoted quote",
	M(V "Content-Type: multipart/mixed; "
	    "boundary=\"a\\\"b\"\r\n\r\n--a\"b\r\n\r\none\r\n--a\"b--\r\n"),
	"multipart/mixed\n"
	"1 text/plain [one]\n"
	"|0 1 /1 /0",
	false},
    {"M-031 odd mode and long line", M("\r\nbegin 9999 a.exe\r\nxAAAA\r\nend\r\n"),
	"1 text/plain {mime_inline_uuencode} [begin 9999 a.exe\r\n"
	"xAAAA\r\n"
	"end\r\n"
	"]\n"
	"~1.1 application/octet-stream x-uuencode +a.exe {mime_invalid_uuencode}\n"
	"|0 1 /1 /0",
	false},
    {"uuencode in a coded text", M(B64 "\r\nYmVnaW4gNjQ0IGEuZXhlDQolOiY1TDsmXGANCmANCmVuZA0K\r\n"),
	"1 text/plain base64 {mime_inline_uuencode} [begin 644 a.exe\r\n"
	"%:&5L;&\\`\r\n"
	"`\r\n"
	"end\r\n"
	"]\n"
	"~1.1 application/octet-stream x-uuencode +a.exe [hello]\n"
	"|0 1 /1 /0",
	false},
    {"M-033 binhex",
	M(V "Content-Transfer-Encoding: mac-binhex40\r\n\r\n(This file must be converted)\r\n"),
	"1 text/plain mac-binhex40 [(This file must be converted)\r\n"
	"]\n"
	"|0 /0",
	false},
    {"message/global", M(V "Content-Type: message/global\r\n\r\nSubject: y\r\n\r\nhi\r\n"),
	"1 message/global\n"
	"1.1 text/plain [hi\r\n"
	"]\n"
	"|0 1 /1 /0",
	false},
    {"message in a message",
	M(V "Content-Type: message/rfc822\r\n\r\nContent-Type: message/rfc822\r\n\r\nSubject: "
	    "y\r\n\r\nhi\r\n"),
	"1 message/rfc822\n"
	"1.1 message/rfc822\n"
	"1.1.1 text/plain [hi\r\n"
	"]\n"
	"|0 1 2 /2 /1 /0",
	false},
    {"message ended by a delimiter in its header",
	M(MIXED "--B\r\nContent-Type: message/rfc822\r\n\r\nSubject: x\r\n--B--\r\n"),
	"multipart/mixed\n"
	"1 message/rfc822\n"
	"1.1 text/plain\n"
	"|0 1 2 /2 /1 /0",
	false},
    {"two names of one part",
	M(V "Content-Type: a/b; name=x.txt\r\nContent-Disposition: attachment; "
	    "filename=y.exe\r\n\r\n"),
	"1 a/b +y.exe\n"
	"|0 /0",
	false},
    {"only a field's beginning", M("Subject"),
	"1 text/plain\n"
	"|0 /0",
	false},
    {"colon first", M(": x\r\n\r\nhi\r\n"),
	"1 text/plain {mime_broken_header}{ambiguous: a line that is no field begins the body, or: "
	"the header goes on behind it} [: x\r\n"
	"\r\n"
	"hi\r\n"
	"]\n"
	"|0 /0",
	false},
    {"blank before colon", M(V "Content-Type : text/html\r\n\r\nhi\r\n"),
	"1 text/html {mime_invalid_field_name}{ambiguous: a field: Content-Type or: unknown} "
	"[hi\r\n"
	"]\n"
	"|0 /0",
	false},
    {"decoded twice",
	M(V "Content-Type: message/rfc822\r\nContent-Transfer-Encoding: "
	    "quoted-printable\r\n\r\nContent-Transfer-Encoding: base64\r\n\r\naGVsbG8=3D\r\n"),
	"1 message/rfc822 quoted-printable {mime_coded_composite}\n"
	"1.1 text/plain base64 [hello]\n"
	"|0 1 /1 /0",
	false},
    {"two readings and a part behind the close",
	M(V "Content-Type: message/rfc822\r\nContent-Type: multipart/mixed; "
	    "boundary=B\r\n\r\n--B\r\n\r\none\r\n--B--\r\n--B\r\n\r\ntwo\r\n--B--\r\n"),
	"multipart/mixed {duplicate_fields}{ambiguous: Content-Type: message/rfc822 or: "
	"multipart/mixed}{mime_part_after_close}\n"
	"~0.1 text/plain {mime_broken_header}{ambiguous: a line that is no field begins the body, "
	"or: the header goes on behind it} [--B\r\n"
	"\r\n"
	"one\r\n"
	"--B--\r\n"
	"--B\r\n"
	"\r\n"
	"two\r\n"
	"--B--\r\n"
	"]\n"
	"1 text/plain [one]\n"
	"2 text/plain [two]\n"
	"|0 1 2 /2 3 /3 /1 /0",
	false},
};

/* The message in pieces of so many octets, the first of them "first" long. */
static void
read_in(struct mime_text *t, struct span octets, size_t first, size_t piece)
{
	struct mime *m = mime_new(NULL);

	assert_non_null(m);
	mime_text_init(t);
	assert_true(mime_text_feed(t, m, span_first(octets, first)));
	octets = span_from(octets, first);
	while (octets.n > 0) {
		assert_true(mime_text_feed(t, m, span_first(octets, piece)));
		octets = span_from(octets, piece);
	}
	assert_true(mime_text_finish(t, m));
	mime_free(m);
}

/* CR LF to LF, in place. */
static struct span
without_cr(uint8_t *p, size_t n)
{
	size_t out = 0;

	for (size_t i = 0; i < n; i++)
		if (p[i] != '\r' || i + 1 == n || p[i + 1] != '\n')
			p[out++] = p[i];
	return span_of(p, out);
}

static bool
same_lines(struct span got, struct span want)
{
	static uint8_t a[MESSAGE_MAX], b[MESSAGE_MAX];
	bool same;

	assert_true(got.n <= MESSAGE_MAX && want.n <= MESSAGE_MAX);
	memcpy(a, got.p, got.n);
	memcpy(b, want.p, want.n);
	same = span_eq(without_cr(a, got.n), without_cr(b, want.n));
	return same;
}

static bool
check(const struct row *row, struct span octets, size_t first, size_t piece)
{
	struct mime_text t;
	struct span got;
	bool same;

	read_in(&t, octets, first, piece);
	got = mime_text_all(&t);
	same = octets.n == row->n ? span_eq(got, span_str(row->want))
				  : same_lines(got, span_str(row->want));
	if (!same)
		print_error(
		    "%s, cut at %zu, then every %zu:\n%.*s\n-- where this was expected:\n%s\n",
		    row->name, first, piece, (int)got.n, (const char *)got.p, row->want);
	mime_text_free(&t);
	return same;
}

static bool
check_cuts(const struct row *row, struct span octets)
{
	bool same = check(row, octets, octets.n, 1);

	for (size_t cut = 0; cut < octets.n && same; cut++)
		same = check(row, octets, cut, octets.n);
	return same && check(row, octets, 0, 1);
}

static void
test_every_cut(void **state)
{
	bool same = true;

	(void)state;
	for (size_t i = 0; i < nitems(rows); i++)
		same = check_cuts(&rows[i], span_of(rows[i].octets, rows[i].n)) && same;
	assert_true(same);
}

/* As a file has it: the same parts with the same lines. */
static void
test_bare_lf(void **state)
{
	bool same = true;

	(void)state;
	for (size_t i = 0; i < nitems(rows); i++) {
		static uint8_t octets[MESSAGE_MAX];

		assert_true(rows[i].n <= MESSAGE_MAX);
		memcpy(octets, rows[i].octets, rows[i].n);
		if (!rows[i].crlf_only)
			same = check_cuts(&rows[i], without_cr(octets, rows[i].n)) && same;
	}
	assert_true(same);
}

/* Every request for memory fails once: it is said so, nothing is lost, nothing is used after. */
static bool
read_without_memory(struct span octets)
{
	struct mime *m = mime_new(NULL);
	struct mime_text t;
	bool whole;

	if (m == NULL)
		return false;
	mime_text_init(&t);
	whole = mime_text_feed(&t, m, octets) && mime_text_finish(&t, m);
	mime_free(m);
	mime_text_free(&t);
	return whole;
}

static void
test_no_memory(void **state)
{
	(void)state;
	for (size_t i = 0; i < nitems(rows); i++) {
		struct span octets = span_of(rows[i].octets, rows[i].n);
		unsigned n = 1;

		for (bool whole = false; !whole; n++) {
			bool said;

			alloc_fail_at(n);
			said = !read_without_memory(octets);
			whole = !alloc_failed();
			assert_true(!said || !whole);
		}
		assert_true(n > 5);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_every_cut),
	    cmocka_unit_test(test_bare_lf),
	    cmocka_unit_test(test_no_memory),
	};
	int failed;

	if (!charset_init())
		return 1;
	failed = cmocka_run_group_tests_name("mime", tests, NULL, NULL);
	charset_close();
	return failed;
}
