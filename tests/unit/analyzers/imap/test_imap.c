#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "../../alloc.h"
#include "core/buf.h"
#include "imap/imap.h"

#define nitems(a) (sizeof(a) / sizeof((a)[0]))
#define OUT_MAX	  (1u << 20)
#define STEPS_MAX 12

#define C(octets)                                                                                  \
	{                                                                                          \
		AN_C2S, (octets), sizeof(octets) - 1                                               \
	}
#define S(octets)                                                                                  \
	{                                                                                          \
		AN_S2C, (octets), sizeof(octets) - 1                                               \
	}
#define HELLO	  S("* OK hi\r\n")	/* 9 octets */
#define HOME	  S("* PREAUTH hi\r\n") /* 14 octets */
#define ABLE	  S("* PREAUTH [CAPABILITY BINARY CATENATE MULTIAPPEND REPLACE] hi\r\n")
#define ABLE_WANT "{BINARY CATENATE MULTIAPPEND REPLACE}*PREAUTH@0 "

/*
 * A dialogue as a watcher sees it, who answers nothing himself. What comes out, per direction:
 *   "LOGIN@9 "      a command and where it begins; "UID FETCH@9 "; "?!VERB_UNKNOWN@9 " with a
 * fault; "APPEND~@9 " a literal follows "more@9 ", "more~@9 "  its text behind a literal, and
 * another literal follows
 *   "<octets>"      of a literal; "(octets)" secret ones; "[octets]" of a message, closed by its
 * end "LOGIN:OK@4 "   a tagged reply; "?:OK@4 " to nothing; "+@4 ", "?+@4 "
 *   "*OK@0 ", "*3=2@0 "  status; data: kind and number; "{A B}" capabilities in front of it
 *   "FETCH1( "      and "FLAGS=(\Seen) ", "UID=5 ", "BODY[1]:5 " (what content), "X=NIL ", ") "
 *   "'text'"        a piece of something longer, "'text'. " the last one
 *   "{name}"        what is odd about the next one; "anomaly@3 "
 *   "|octets|"      behind STARTTLS
 */
struct row {
	const char *name;
	struct step {
		enum an_dir dir;
		const char *octets;
		size_t n;
	} steps[STEPS_MAX];
	const char *want[2];
	enum imap_plus plus;
};

static const struct row rows[] = {
    {"a session",
	{HELLO, C("a LOGIN u p\r\n"), S("a OK [CAPABILITY IMAP4rev1 X] in\r\n"),
	    C("b SELECT INBOX\r\n"), S("* 3 EXISTS\r\n* FLAGS (\\Seen)\r\nb OK [READ-WRITE] y\r\n"),
	    C("c UID FETCH 1 BODY[]\r\n"), S("* 1 FETCH (UID 7 BODY[] {5}\r\nhello)\r\nc OK x\r\n"),
	    C("d LOGOUT\r\n"), S("* BYE x\r\nd OK y\r\n")},
	{"LOGIN@0 SELECT@13 UID FETCH@29 LOGOUT@51 ",
	    "*OK@0 {IMAP4rev1 X}LOGIN:OK@9 *2=3@43 *6=0@55 SELECT:OK@72 "
	    "FETCH1( UID=7 BODY[]:1 [hello]) FETCH:OK@130 *BYE@138 LOGOUT:OK@147 "},
	0},
    {"I-001 literals before login, as large as allowed",
	{HELLO, C("a LOGIN {8192}\r\n"), S("a NO x\r\n")}, {"LOGIN~@0 ", "*OK@0 LOGIN:NO@9 "}, 0},
    {"I-001 one octet more", {HELLO, C("a LOGIN {8193}\r\nb NOOP\r\n")},
	{"LOGIN~!LITERAL_TOO_BIG@0 ", "*OK@0 "}, 0},
    {"I-001 as large as 32 bits hold", {HELLO, C("a LOGIN {4294967295}\r\n")},
	{"LOGIN~!LITERAL_TOO_BIG@0 ", "*OK@0 "}, 0},
    {"I-001 and one more", {HELLO, C("a LOGIN {4294967296}\r\n")},
	{"LOGIN~!LITERAL_TOO_BIG@0 ", "*OK@0 "}, 0},
    {"I-001 more than 63 bits", {HELLO, C("a LOGIN {18446744073709551615}\r\n")},
	{"LOGIN!BAD_LITERAL@0 ", "*OK@0 "}, 0},
    {"I-001 more than 64 bits", {HELLO, C("a LOGIN {99999999999999999999}\r\n")},
	{"LOGIN!BAD_LITERAL@0 ", "*OK@0 "}, 0},
    {"I-002 negative", {HELLO, C("a LOGIN {-1}\r\n")}, {"LOGIN!BAD_LITERAL@0 ", "*OK@0 "}, 0},
    {"I-002 a sign", {HELLO, C("a LOGIN {+5}\r\n")}, {"LOGIN!BAD_LITERAL@0 ", "*OK@0 "}, 0},
    {"I-002 a blank", {HELLO, C("a LOGIN {5 }\r\n")}, {"LOGIN!BAD_LITERAL@0 ", "*OK@0 "}, 0},
    {"I-002 a zero in front", {HELLO, C("a LOGIN {05}\r\n")}, {"LOGIN!BAD_LITERAL@0 ", "*OK@0 "},
	0},
    {"I-002 empty", {HELLO, C("a LOGIN {}\r\n")}, {"LOGIN!BAD_LITERAL@0 ", "*OK@0 "}, 0},
    {"I-002 a minus", {HELLO, C("a LOGIN {5-}\r\n")}, {"LOGIN!BAD_LITERAL@0 ", "*OK@0 "}, 0},
    {"I-002 two plus", {HELLO, C("a LOGIN {5++}\r\n")}, {"LOGIN!BAD_LITERAL@0 ", "*OK@0 "},
	IMAP_PLUS_ANY},
    {"I-002 not closed", {HELLO, C("a LOGIN {5\r\n")}, {"LOGIN!BAD_LITERAL@0 ", "*OK@0 "}, 0},
    {"I-002 a blank behind", {HELLO, C("a LOGIN {5} \r\n")}, {"LOGIN!BAD_LITERAL@0 ", "*OK@0 "}, 0},
    {"I-002 in a word", {HELLO, C("a LOGIN x{5}\r\n")}, {"LOGIN!BAD_LITERAL@0 ", "*OK@0 "}, 0},
    {"I-002 within an open string", {HELLO, C("a LOGIN \"x {5}\r\n")},
	{"LOGIN!BAD_LITERAL@0 ", "*OK@0 "}, 0},
    {"I-002 behind a tag that is none", {HELLO, C("+ NOOP {5}\r\n")},
	{"NOOP~!BAD_LITERAL@0 ", "*OK@0 "}, 0},
    {"a literal of no octets",
	{HELLO, C("a LOGIN {0}\r\n"), S("+ go\r\n"), C(" x\r\nb NOOP\r\n"), S("a OK in\r\n")},
	{"LOGIN~@0 more@13 NOOP@17 ", "*OK@0 LOGIN+@9 LOGIN:OK@15 "}, 0},
    {"I-003 100 MB announced, nothing came",
	{HOME, C("a APPEND INBOX {104857600}\r\n"), S("+ go\r\n"), C("Subject: x\r\n")},
	{"APPEND~@0 [Subject: x\r\n", "*PREAUTH@0 APPEND+@14 "}, 0},
    {"I-004 LITERAL+",
	{HELLO, C("a LOGIN {4+}\r\nuser {4+}\r\npass\r\n"), S("a OK in\r\n"), C("b NOOP\r\n")},
	{"LOGIN~@0 (user)more~@18 (pass)more@29 NOOP@31 ", "*OK@0 LOGIN:OK@9 "}, IMAP_PLUS_ANY},
    {"I-005 LITERAL+ that nobody offered", {HELLO, C("a LOGIN {4+}\r\nuser {4+}\r\npass\r\n")},
	{"LOGIN~!LITERAL_NOT_OFFERED@0 ", "*OK@0 "}, IMAP_PLUS_NONE},
    {"I-006 LITERAL-, the largest", {HELLO, C("a LOGIN {4096+}\r\nxyz")},
	{"LOGIN~@0 (xyz", "*OK@0 "}, IMAP_PLUS_MINUS},
    {"I-006 larger", {HELLO, C("a LOGIN {4097+}\r\nxyz")},
	{"LOGIN~!LITERAL_NOT_OFFERED@0 ", "*OK@0 "}, IMAP_PLUS_MINUS},
    {"I-007 refused: what came ahead is a command",
	{HELLO, C("a LOGIN {6}\r\nb NOOP\r\n"), S("a NO x\r\n")},
	{"LOGIN~@0 NOOP@13 ", "*OK@0 LOGIN:NO@9 "}, 0},
    {"I-007 taken: the same octets are the literal",
	{HELLO, C("a LOGIN {6}\r\nb NOOP\r\n"), S("+ go\r\n")},
	{"LOGIN~@0 (b NOOP)more@19 ", "*OK@0 LOGIN+@9 "}, 0},
    {"I-008 literal8", {HOME, C("a APPEND INBOX ~{5}\r\n"), S("+\r\n"), C("a\0b\r\n\r\n")},
	{"APPEND~@0 [a0b\r\n]more@26 ", "*PREAUTH@0 APPEND+@14 "}, 0},
    {"I-008 MULTIAPPEND",
	{ABLE, C("a APPEND INBOX (\\Seen) {2}\r\n"), S("+ \r\n"),
	    C("ab {3+}\r\ncde\r\nb NOOP\r\n")},
	{"APPEND~@0 [ab]more~@30 [cde]more@40 NOOP@42 ", ABLE_WANT "APPEND+@63 "}, IMAP_PLUS_ANY},
    {"I-008 CATENATE",
	{ABLE, C("a APPEND {5+}\r\nINBOX CATENATE (URL {3+}\r\n/u; TEXT {2+}\r\nab URL \"/v\" TEXT "
		 "{1+}\r\nc)\r\n")},
	{"APPEND~@0 <INBOX>more~@20 </u;>more~@44 [ab]more~@58 [c]more@80 ", ABLE_WANT},
	IMAP_PLUS_ANY},
    {"I-008 REPLACE",
	{ABLE, C("a SELECT x\r\n"), S("a OK x\r\n"), C("b UID REPLACE 4 {1+}\r\nx {2+}\r\nab\r\n")},
	{"SELECT@0 UID REPLACE~@12 <x>more~@35 [ab]more@44 ", ABLE_WANT "SELECT:OK@63 "},
	IMAP_PLUS_ANY},
    {"I-009 a reply within a literal",
	{HOME, C("a SELECT x\r\nb FETCH 1 BODY[1]\r\n"),
	    S("* 1 FETCH (BODY[1] {11}\r\nb OK done\r\n)\r\nb OK x\r\n")},
	{"SELECT@0 FETCH@12 ", "*PREAUTH@0 FETCH1( BODY[1]:5 [b OK done\r\n]) FETCH:OK@53 "}, 0},
    {"I-010 I-011 announced, and nothing comes", {HOME, S("* 1 FETCH (BODY[] {999999999999}\r\nx")},
	{"", "*PREAUTH@0 FETCH1( BODY[]:1 [x"}, 0},
    {"I-014 tags: *", {HELLO, C("* NOOP\r\nb NOOP\r\n")}, {"NOOP!BAD_TAG@0 NOOP@8 ", "*OK@0 "}, 0},
    {"I-014 tags: +", {HELLO, C("+ NOOP\r\nb NOOP\r\n")}, {"NOOP!BAD_TAG@0 NOOP@8 ", "*OK@0 "}, 0},
    {"I-014 tags: none", {HELLO, C(" NOOP\r\n\r\n")}, {"NOOP!BAD_TAG@0 ?!BAD_TAG@7 ", "*OK@0 "}, 0},
    {"I-014 tags: a NUL", {HELLO, C("a\0 NOOP\r\n")}, {"{nul_octet}?!LINE_NUL@9 ", "*OK@0 "}, 0},
    {"I-014 tags: the longest, and longer",
	{HELLO, C("0123456789012345678901234567890123456789012345678901234567890123 NOOP\r\n"
		  "01234567890123456789012345678901234567890123456789012345678901234 NOOP\r\n")},
	{"NOOP@0 NOOP!BAD_TAG@71 ", "*OK@0 "}, 0},
    {"I-014 a tag twice", {HELLO, C("a NOOP\r\na CAPABILITY\r\n"), S("a OK x\r\na OK y\r\n")},
	{"NOOP@0 CAPABILITY@8 ", "*OK@0 NOOP:OK@9 CAPABILITY:OK@17 "}, 0},
    {"answers in another order",
	{HELLO, C("a NOOP\r\nb CAPABILITY\r\n"), S("b OK x\r\na OK y\r\n")},
	{"NOOP@0 CAPABILITY@8 ", "*OK@0 CAPABILITY:OK@9 NOOP:OK@17 "}, 0},
    {"I-016 COMPRESS in every place",
	{S("* OK [CAPABILITY COMPRESS=DEFLATE A] hi\r\n"), C("a CAPABILITY\r\nb LOGIN u p\r\n"),
	    S("* CAPABILITY COMPRESS=DEFLATE B\r\na OK x\r\nb OK [CAPABILITY COMPRESS=DEFLATE] "
	      "y\r\n")},
	{"CAPABILITY@0 LOGIN@14 ",
	    "{COMPRESS=DEFLATE A}*OK@0 {COMPRESS=DEFLATE B}*1=0@41 CAPABILITY:OK@74 "
	    "{COMPRESS=DEFLATE}LOGIN:OK@82 "},
	0},
    {"I-016 I-018 what follows COMPRESS depends on the answer",
	{HOME, C("a COMPRESS DEFLATE\r\nb NOOP\r\n"), S("a NO x\r\n")},
	{"COMPRESS@0 NOOP@20 ", "*PREAUTH@0 COMPRESS:NO@14 "}, 0},
    {"a code that does not end", {S("* OK [CAPABILITY COMPRESS=DEFLATE\r\n")},
	{"", "{invalid_reply}anomaly@35 "}, 0},
    {"I-020 IDLE",
	{HOME, C("a IDLE\r\n"), S("+ idling\r\n* 3 EXISTS\r\n"), C("DO"), C("NE\r\nb NOOP\r\n"),
	    S("a OK x\r\n")},
	{"IDLE@0 more@8 NOOP@14 ", "*PREAUTH@0 IDLE+@14 *2=3@24 IDLE:OK@36 "}, 0},
    {"I-020 something else within IDLE",
	{HOME, C("a IDLE\r\n"), S("+ idling\r\n"), C("b NOOP\r\n")},
	{"IDLE@0 more!NOT_DONE@8 ", "*PREAUTH@0 IDLE+@14 "}, 0},
    {"I-020 IDLE is refused: what follows is a command",
	{HOME, C("a IDLE\r\nb NOOP\r\n"), S("a BAD x\r\n")},
	{"IDLE@0 NOOP@8 ", "*PREAUTH@0 IDLE:BAD@14 "}, 0},
    {"I-021 AUTHENTICATE",
	{HELLO, C("a AUTHENTICATE LOGIN\r\n"), S("+ VXNlcm5hbWU6\r\n"), C("dQ==\r\n"),
	    S("+ UGFzc3dvcmQ6\r\n"), C("*\r\nb NOOP\r\n"), S("a NO cancelled\r\n")},
	{"AUTHENTICATE@0 (dQ==\r\n)(*\r\n)NOOP@31 ",
	    "*OK@0 AUTHENTICATE+@9 AUTHENTICATE+@25 AUTHENTICATE:NO@41 "},
	0},
    {"I-021 an initial response, and an empty one",
	{HELLO, C("a AUTHENTICATE PLAIN =\r\nb NOOP\r\n"), S("a OK in\r\n")},
	{"AUTHENTICATE@0 NOOP@24 ", "*OK@0 AUTHENTICATE:OK@9 "}, 0},
    {"I-022 LOGIN with a literal for the password",
	{HELLO, C("a LOGIN u {3}\r\n"), S("+\r\n"), C("pwd\r\n"), S("a OK x\r\n")},
	{"LOGIN~@0 (pwd)more@18 ", "*OK@0 LOGIN+@9 LOGIN:OK@12 "}, 0},
    {"I-024 an unknown command", {HELLO, C("a XPWN \"x\" (y)\r\nb NOOP\r\n")},
	{"?!VERB_UNKNOWN@0 NOOP@16 ", "*OK@0 "}, 0},
    {"I-025 BYE in the middle", {HOME, C("a NOOP\r\n"), S("* BYE x\r\n"), C("b NOOP\r\n")},
	{"NOOP@0 NOOP!WRONG_PHASE@8 ", "*PREAUTH@0 *BYE@14 "}, 0},
    {"I-026 CR LF in a string", {HELLO, C("a LOGIN \"a\r\nb\" x\r\nc NOOP\r\n"), S("a BAD x\r\n")},
	{"LOGIN!SYNTAX@0 ?!BAD_TAG@12 NOOP@18 ", "*OK@0 LOGIN:BAD@9 "}, 0},
    {"I-026 names of mailboxes", {HOME, C("a SELECT &Jjo-!/../%n\r\n")},
	{"SELECT@0 ", "*PREAUTH@0 "}, 0},
    {"a bare LF", {HELLO, C("a NOOP\nb NOOP\r\n")}, {"{bare_lf}?!LINE_BARE_LF@7 ", "*OK@0 "}, 0},
    {"a bare CR", {HELLO, C("a NO\rOP\r\nb NOOP\r\n")}, {"{bare_cr}?!LINE_BARE_CR@9 ", "*OK@0 "},
	0},
    {"HTTP", {HELLO, C("GET / HTTP/1.1\r\nHost: x\r\n")},
	{"{unknown_protocol}?!VERB_FOREIGN@0 ", "*OK@0 "}, 0},
    {"TLS from the first octet on", {HELLO, C("\x16\x03\x01\x02\n\r\n")},
	{"{unknown_protocol}?!VERB_FOREIGN@1 ", "*OK@0 "}, 0},
    {"a command ahead of the greeting waits", {C("a NOOP\r\n"), HELLO}, {"NOOP@0 ", "*OK@0 "}, 0},
    {"at the wrong time",
	{HELLO, C("a FETCH 1 UID\r\nb LOGIN u p\r\n"), S("b OK x\r\n"),
	    C("c LOGIN u p\r\nd SELECT x\r\ne FETCH 1 UID\r\n"), S("c BAD x\r\n"), S("d NO x\r\n"),
	    C("f CLOSE\r\n")},
	{"FETCH!WRONG_PHASE@0 LOGIN@15 LOGIN!WRONG_PHASE@28 SELECT@41 FETCH@53 "
	 "CLOSE!WRONG_PHASE@68 ",
	    "*OK@0 LOGIN:OK@9 LOGIN:BAD@17 SELECT:NO@26 "},
	0},
    {"brackets too many, too few",
	{HOME, C("a STATUS x (\r\nb STATUS x )\r\nc STATUS x (UIDNEXT)\r\n")},
	{"STATUS!SYNTAX@0 STATUS!SYNTAX@14 STATUS@28 ", "*PREAUTH@0 "}, 0},
    {"a quote within a word", {HELLO, C("a LOGIN u p\"x\"\r\n")}, {"LOGIN!SYNTAX@0 ", "*OK@0 "}, 0},
    {"text right behind a literal", {HELLO, C("a LOGIN {1+}\r\nux p\r\n")},
	{"LOGIN~@0 (u)more!SYNTAX@15 ", "*OK@0 "}, IMAP_PLUS_ANY},
    {"refused in the middle of a literal: what comes is still its rest",
	{HOME, C("a APPEND x {4}\r\n"), S("+\r\n"), C("ab"), S("a NO full\r\n"),
	    C("cd\r\nb NOOP\r\n")},
	{"APPEND~@0 [abcd]more@20 NOOP@22 ", "*PREAUTH@0 APPEND+@14 APPEND:NO@17 "}, 0},
    {"STARTTLS", {HELLO, C("a STARTTLS\r\n"), S("a OK go\r\n"), C("\x16\x03"), S("\x16\x02")},
	{"STARTTLS@0 |\x16\x03", "*OK@0 STARTTLS:OK@9 |\x16\x02"}, 0},
    {"no greeting", {S("a OK x\r\n")}, {"", "{no_server_welcome_message}anomaly@8 "}, 0},
    {"a greeting that is none", {S("* 3 EXISTS\r\n")},
	{"", "{no_server_welcome_message}anomaly@12 "}, 0},
    {"a reply to nothing", {HELLO, S("x OK y\r\n+ z\r\n")},
	{"", "*OK@0 {unable_to_match_reply_with_request}?:OK@9 "
	     "{unable_to_match_reply_with_request}?+@17 "},
	0},
    {"a status that looks like a literal", {HELLO, S("* OK x {5}\r\n")},
	{"", "*OK@0 {invalid_reply}anomaly@21 "}, 0},
    {"literals elsewhere", {HOME, S("* LIST () \"/\" {3}\r\nabc\r\n* 1 RECENT\r\n")},
	{"", "*PREAUTH@0 '* LIST () \"/\" {3}\r\n'<abc>'\r\n'. *3=1@38 "}, 0},
    {"a server that announces as clients do", {HOME, S("* LIST () \"/\" {3+}\r\nabc\r\n")},
	{"", "*PREAUTH@0 {invalid_reply}anomaly@34 "}, 0},
    {"capabilities with a literal", {HOME, S("* CAPABILITY {3}\r\nabc\r\n")},
	{"", "*PREAUTH@0 {invalid_reply}anomaly@32 "}, 0},
    {"items",
	{HOME, S("* 12 FETCH (FLAGS (\\Seen $X)  UID 7 INTERNALDATE \"1 \\\"Jan\" RFC822 NIL "
		 "RFC822.SIZE 9 "
		 "BODY[HEADER.FIELDS (\"A B\" C)] \"x\\\"\\\\y\" BINARY[1.2]<8> ~{1}\r\n\0 "
		 "BODY[1.MIME] {0}\r\n )\r\n")},
	{"", "*PREAUTH@0 FETCH12( FLAGS=(\\Seen $X) UID=7 INTERNALDATE=1 \\\"Jan RFC822=NIL "
	     "RFC822.SIZE=9 "
	     "BODY[HEADER.FIELDS (\"A B\" C)]:2 [x'\\'\"'\\'\\y'\"']BINARY[1.2]<8>:6<8 [0]"
	     "BODY[1.MIME]:4 []) "},
	0},
    {"RFC 9586 UIDFETCH", {HOME, S("* 9 UIDFETCH (FLAGS ())\r\n")},
	{"", "*PREAUTH@0 UIDFETCH9( FLAGS=() ) "}, 0},
    {"an item without a blank in front", {HOME, S("* 1 FETCH (BODY[] {1}\r\nxUID 5)\r\n")},
	{"", "*PREAUTH@0 FETCH1( BODY[]:1 [x]{invalid_reply}anomaly@39 "}, 0},
    {"a content that is neither text nor NIL", {HOME, S("* 1 FETCH (BODY[] 5)\r\n")},
	{"", "*PREAUTH@0 FETCH1( {invalid_reply}anomaly@33 "}, 0},
    {"I-008 a mailbox with the name of a keyword", {HOME, C("a APPEND URL {3+}\r\nabc\r\n")},
	{"APPEND~@0 [abc]more@22 ", "*PREAUTH@0 "}, IMAP_PLUS_ANY},
    {"FETCH without a blank", {HOME, S("* 1 FETCH(UID 5)\r\n")},
	{"", "*PREAUTH@0 {invalid_reply}anomaly@24 "}, 0},
    {"FETCH behind two", {HOME, S("* 1  FETCH (UID 5)\r\n")},
	{"", "*PREAUTH@0 {invalid_reply}anomaly@19 "}, 0},
    {"FETCH behind a tab", {HOME, S("* 1\tFETCH (UID 5)\r\n")},
	{"", "*PREAUTH@0 {invalid_reply}anomaly@18 "}, 0},
    {"FETCH of a message that 64 bits do not number",
	{HOME, S("* 18446744073709551616 FETCH (UID 5)\r\n")},
	{"", "*PREAUTH@0 {invalid_reply}anomaly@37 "}, 0},
    {"a name whose list is not closed",
	{HOME, S("* 1 FETCH (BODY[(] NIL X () BODY[] {1}\r\nx)\r\n")},
	{"", "*PREAUTH@0 FETCH1( {invalid_reply}anomaly@33 "}, 0},
    {"a structure that is one literal",
	{HOME, S("* 1 FETCH (BODY {2}\r\n())\r\n* 1 FETCH (UID 5)\r\n")},
	{"", "*PREAUTH@0 FETCH1( BODY= <()>) FETCH1( UID=5 ) "}, 0},
    {"a literal that is not waited for, where the server expects none",
	{HOME,
	    C("a NAMESPACE {2+}\r\nab\r\nb MOVE 1 {2+}\r\nab\r\nc XPWN {2+}\r\nab\r\nd NOOP "
	      "{2}\r\n"),
	    S("d OK x\r\n")},
	{"NAMESPACE~!LITERAL_UNSAFE@0 <ab>more@20 MOVE~!LITERAL_UNSAFE@22 <ab>more@39 "
	 "?~!LITERAL_UNSAFE@41 (ab)more@56 NOOP~!SYNTAX@58 ",
	    "*PREAUTH@0 NOOP:OK@14 "},
	IMAP_PLUS_ANY},
    {"MULTIAPPEND, CATENATE, literal8, REPLACE that nobody offered",
	{HOME, C("a APPEND x {2+}\r\nab {2+}\r\ncd\r\nb APPEND x CATENATE (TEXT {2+}\r\nab)\r\n"
		 "c APPEND x ~{2+}\r\nab\r\nd REPLACE 1 {2+}\r\nab\r\n")},
	{"APPEND~@0 [ab]more~!LITERAL_UNSAFE@19 [cd]more@28 APPEND~!LITERAL_UNSAFE@30 [ab]more@64 "
	 "APPEND~!LITERAL_UNSAFE@67 [ab]more@87 REPLACE~!LITERAL_UNSAFE@89 <ab>more@109 ",
	    "*PREAUTH@0 "},
	IMAP_PLUS_ANY},
    {"a literal right behind a string, a list, a bracket", {HOME, C("a SEARCH \"x\"{2+}\r\n")},
	{"SEARCH!BAD_LITERAL@0 ", "*PREAUTH@0 "}, IMAP_PLUS_ANY},
    {"a literal right behind a list", {HOME, C("a SEARCH (x){2+}\r\n")},
	{"SEARCH!BAD_LITERAL@0 ", "*PREAUTH@0 "}, IMAP_PLUS_ANY},
    {"a literal right behind a bracket", {HOME, C("a FETCH 1 BODY[{2+}\r\n")},
	{"FETCH!BAD_LITERAL@0 ", "*PREAUTH@0 "}, IMAP_PLUS_ANY},
    {"a literal right behind a literal", {HOME, C("a CREATE {1+}\r\na{2+}\r\n")},
	{"CREATE~@0 <a>more!BAD_LITERAL@16 ", "*PREAUTH@0 "}, IMAP_PLUS_ANY},
    {"FETCH without a list", {HOME, S("* 1 FETCH UID 5\r\n")},
	{"", "*PREAUTH@0 {invalid_reply}anomaly@25 "}, 0},
    {"what follows the last bracket", {HOME, S("* 1 FETCH (UID 5) x\r\n")},
	{"", "*PREAUTH@0 FETCH1( UID=5 {invalid_reply}anomaly@32 "}, 0},
    {"a structure",
	{HOME, S("* 1 FETCH (BODYSTRUCTURE (\"TEXT\" {5}\r\nPLAIN NIL NIL NIL \"7BIT\" 5 1) UID "
		 "5)\r\n")},
	{"", "*PREAUTH@0 FETCH1( BODYSTRUCTURE= <PLAIN>' NIL NIL NIL \"7BIT\" 5 1)'. <1 "
	     "TEXT/PLAIN>UID=5 ) "},
	0},
};

static const char *const faults[] = {
#define X(id, reply, ends) #id,
    IMAP_FAULTS(X)
#undef X
};

static const char *const statuses[] = {"?", "OK", "NO", "BAD", "BYE", "PREAUTH"};

/* What a run of octets is closed with; a message is closed by its end alone. */
#define RUN_LITERAL '>'
#define RUN_SECRET  ')'
#define RUN_OPAQUE  '|'

struct watcher {
	struct imap *imap;
	struct buf out[2], rest[2]; /* by direction */
	struct buf sent[2];	    /* all that was fed */
	uint64_t taken[2];
	uint64_t at[2]; /* where the next event begins */
	char run[2];
	bool body[2];
	bool ended[2];
};

static void
close_run(struct watcher *w, enum an_dir dir)
{
	if (w->run[dir] != 0)
		buf_octet(&w->out[dir], (uint8_t)w->run[dir]);
	w->run[dir] = 0;
}

static void
write_run(struct watcher *w, const struct an_event *ev, char open, char run)
{
	if (w->run[ev->dir] != run) {
		close_run(w, ev->dir);
		buf_octet(&w->out[ev->dir], (uint8_t)open);
	}
	w->run[ev->dir] = run;
	buf_add(&w->out[ev->dir], ev->octets);
}

static void
write_body(struct watcher *w, const struct an_event *ev)
{
	if (!w->body[ev->dir])
		buf_str(&w->out[ev->dir], "[");
	w->body[ev->dir] = ev->kind == EV_BODY;
	buf_add(&w->out[ev->dir], ev->octets);
	if (ev->kind == EV_BODY_END)
		buf_str(&w->out[ev->dir], "]");
}

static void
write_place(struct buf *out, const struct an_event *ev)
{
	buf_str(out, "@");
	buf_u64(out, ev->off);
	buf_str(out, " ");
}

static void
write_command(struct buf *out, const struct an_event *ev)
{
	const struct imap_detail *d = ev->imap;

	if (ev->kind == EV_COMMAND_MORE)
		buf_str(out, "more");
	else {
		buf_str(out, d->uid ? "UID " : "");
		buf_str(out, d->verb->name);
	}
	assert_int_equal(d->last, !d->literal.announced);
	buf_str(out, d->last ? "" : "~");
	if (d->fault != IMAP_OK) {
		buf_str(out, "!");
		buf_str(out, faults[d->fault] + strlen("IMAP_"));
	}
	write_place(out, ev);
}

static void
write_reply(struct buf *out, const struct an_event *ev)
{
	const struct imap_detail *d = ev->imap;

	if (d->capabilities.n > 0) {
		buf_str(out, "{");
		buf_add(out, d->capabilities);
		buf_str(out, "}");
	}
	buf_str(out, d->unasked ? "?" : ev->kind == EV_RESPONSE ? "*" : d->verb->name);
	if (ev->kind == EV_CONTINUE) {
		buf_str(out, "+");
	} else if (ev->kind == EV_RESPONSE && d->kind != IMAP_KIND_STATUS) {
		buf_u64(out, (uint64_t)d->kind);
		buf_str(out, "=");
		buf_u64(out, d->number);
	} else {
		buf_str(out, ev->kind == EV_REPLY ? ":" : "");
		buf_str(out, statuses[d->status]);
	}
	write_place(out, ev);
}

static void
write_structure(struct buf *out, const struct imap_structure *s)
{
	for (size_t i = 0; s != NULL && i < imap_structure_parts(s); i++) {
		const struct imap_part *part = imap_structure_part(s, i);

		buf_str(out, "<");
		buf_str(out, part->path);
		buf_str(out, " ");
		buf_add(out, part->type);
		buf_str(out, "/");
		buf_add(out, part->subtype);
		buf_str(out, ">");
	}
}

static void
write_item(struct buf *out, const struct an_event *ev)
{
	const struct imap_detail *d = ev->imap;

	buf_add(out, d->item);
	if (d->content != IMAP_NO_CONTENT && !d->nil) {
		buf_str(out, ":");
		buf_u64(out, (uint64_t)d->content);
	} else {
		buf_str(out, "=");
		buf_add(out, d->nil ? span_str("NIL") : d->value);
	}
	if (d->sliced) {
		buf_str(out, "<");
		buf_u64(out, d->origin);
	}
	buf_str(out, " ");
	write_structure(out, d->structure);
}

static void
write_text(struct buf *out, const struct an_event *ev)
{
	buf_str(out, "'");
	buf_add(out, ev->octets);
	buf_str(out, "'");
	buf_str(out, ev->imap->last ? ". " : "");
	write_structure(out, ev->imap->structure);
}

static void
write_fetch(struct buf *out, const struct an_event *ev)
{
	if (ev->kind == EV_FETCH_END) {
		buf_str(out, ") ");
		return;
	}
	buf_str(out, ev->imap->uid ? "UIDFETCH" : "FETCH");
	buf_u64(out, ev->imap->number);
	buf_str(out, "( ");
}

static void
write_line(struct watcher *w, const struct an_event *ev)
{
	struct buf *out = &w->out[ev->dir];

	if (ev->anomaly != AN_NONE) {
		buf_str(out, "{");
		buf_str(out, an_anomaly_name(ev->anomaly));
		buf_str(out, "}");
	}
	switch ((int)ev->kind) {
	case EV_COMMAND:
	case EV_COMMAND_MORE:
		write_command(out, ev);
		break;
	case EV_CONTINUE:
	case EV_REPLY:
	case EV_RESPONSE:
		write_reply(out, ev);
		break;
	case EV_FETCH:
	case EV_FETCH_END:
		write_fetch(out, ev);
		break;
	case EV_FETCH_ITEM:
		write_item(out, ev);
		break;
	case EV_TEXT:
		write_text(out, ev);
		break;
	case EV_ANOMALY:
		buf_str(out, "anomaly");
		write_place(out, ev);
		break;
	default:
		fail_msg("an event of kind %s", an_kind_name(ev->kind));
	}
}

static void
write_event(struct watcher *w, const struct an_event *ev)
{
	switch ((int)ev->kind) {
	case EV_LITERAL:
		write_run(w, ev, '<', RUN_LITERAL);
		break;
	case EV_SECRET:
		if (ev->imap->verb->verb == IMAP_AUTHENTICATE)
			close_run(w, ev->dir);
		write_run(w, ev, '(', RUN_SECRET);
		break;
	case EV_OPAQUE:
		write_run(w, ev, '|', RUN_OPAQUE);
		break;
	case EV_BODY:
	case EV_BODY_END:
		close_run(w, ev->dir);
		write_body(w, ev);
		break;
	default:
		close_run(w, ev->dir);
		write_line(w, ev);
	}
}

/* Every octet belongs to exactly one event, in order. */
static void
claim_octets(struct watcher *w, const struct an_event *ev)
{
	enum an_dir dir = ev->dir;
	bool client = ev->kind == EV_COMMAND || ev->kind == EV_COMMAND_MORE;

	w->ended[dir] = ev->kind == EV_ANOMALY || (client && imap_fault_ends(ev->imap->fault));
	if (w->ended[dir])
		return;
	assert_true(ev->off == w->at[dir]);
	w->at[dir] += ev->octets.n;
	assert_true(w->at[dir] == w->taken[dir]);
	assert_true(w->at[dir] <= w->sent[dir].n);
	if (ev->octets.n > 0)
		assert_memory_equal(ev->octets.p, w->sent[dir].p + ev->off, ev->octets.n);
}

static enum an_status
step(struct watcher *w, enum an_dir dir)
{
	struct buf *rest = &w->rest[dir];
	struct an_event ev;
	size_t used;
	enum an_status status = imap_feed(w->imap, dir, rest->p, rest->n, &used, &ev);

	assert_true(used <= rest->n);
	assert_true(status != AN_WAIT || used == 0);
	assert_true(status != AN_MORE || used == rest->n);
	w->taken[dir] += used;
	if (status == AN_EVENT) {
		assert_int_equal(ev.dir, dir);
		assert_false(w->ended[dir]);
		claim_octets(w, &ev);
		write_event(w, &ev);
	}
	buf_drop(rest, used);
	return status;
}

/* As long as a direction gets anywhere: what waits may go on when the other one has spoken. */
static enum an_status
feed(struct watcher *w, enum an_dir dir, const char *octets, size_t n)
{
	enum an_status one, other = AN_MORE;

	buf_add(&w->rest[dir], span_of(octets, n));
	buf_add(&w->sent[dir], span_of(octets, n));
	do {
		one = step(w, dir);
		if (one != AN_EVENT && one != AN_NOMEM)
			other = step(w, an_other(dir));
	} while (one != AN_NOMEM && other != AN_NOMEM && (one == AN_EVENT || other == AN_EVENT));
	return one == AN_NOMEM ? one : other;
}

static void
begin(struct watcher *w, const struct imap_limits *limits, enum imap_plus plus)
{
	*w = (struct watcher){.imap = imap_new(limits)};
	for (enum an_dir dir = AN_C2S; dir <= AN_S2C; dir++) {
		buf_init(&w->out[dir], OUT_MAX);
		buf_init(&w->rest[dir], OUT_MAX);
		buf_init(&w->sent[dir], OUT_MAX);
	}
	if (w->imap != NULL)
		imap_offer(w->imap, plus);
}

static void
end(struct watcher *w)
{
	for (enum an_dir dir = AN_C2S; dir <= AN_S2C; dir++) {
		buf_free(&w->out[dir]);
		buf_free(&w->rest[dir]);
		buf_free(&w->sent[dir]);
	}
	imap_free(w->imap);
}

static void
compare(struct watcher *w, const struct row *row, size_t cut)
{
	for (enum an_dir dir = AN_C2S; dir <= AN_S2C; dir++) {
		const char *want = row->want[dir] == NULL ? "" : row->want[dir];

		/* runs that nothing follows stay open, and a NUL is an octet like others */
		for (size_t i = 0; i < w->out[dir].n; i++)
			if (w->out[dir].p[i] == '\0')
				w->out[dir].p[i] = '0';
		if (!span_eq(buf_span(&w->out[dir]), span_str(want)))
			fail_msg("%s, cut %zu:\n want %s\n  got %.*s", row->name, cut, want,
			    (int)w->out[dir].n, (const char *)w->out[dir].p);
	}
}

/* The whole of a row, with a pause behind so many octets; a step of 1: behind each. */
static void
play(const struct row *row, const struct imap_limits *limits, size_t cut, bool octets)
{
	struct watcher w;
	size_t at = 0;

	begin(&w, limits, row->plus);
	assert_non_null(w.imap);
	for (size_t i = 0; i < STEPS_MAX && row->steps[i].octets != NULL; i++) {
		const struct step *s = &row->steps[i];
		size_t first = cut > at && cut - at < s->n ? cut - at : 0;

		if (first > 0)
			assert_int_not_equal(feed(&w, s->dir, s->octets, first), AN_NOMEM);
		for (size_t j = first; j < s->n; j += octets ? 1 : s->n - first)
			assert_int_not_equal(
			    feed(&w, s->dir, s->octets + j, octets ? 1 : s->n - first), AN_NOMEM);
		at += s->n;
	}
	compare(&w, row, octets ? SIZE_MAX : cut);
	end(&w);
}

static void
test_dialogues_at_every_cut(void **state)
{
	(void)state;
	for (size_t i = 0; i < nitems(rows); i++) {
		size_t n = 0;

		for (size_t j = 0; j < STEPS_MAX && rows[i].steps[j].octets != NULL; j++)
			n += rows[i].steps[j].n;
		for (size_t cut = 0; cut <= n; cut++)
			play(&rows[i], NULL, cut, false);
		play(&rows[i], NULL, 0, true);
	}
}

/* One octet, and all that it gives; AN_NOMEM where there was none. */
static enum an_status
feed_octet(struct imap *imap, enum an_dir dir, const char *octet)
{
	enum an_status status;
	struct an_event ev;
	size_t used, left = 1;

	do {
		status = imap_feed(imap, dir, (const uint8_t *)octet, left, &used, &ev);
		left -= used;
	} while (status == AN_EVENT);
	return status;
}

/* True: the n-th request was refused. */
static bool
play_without_memory(const struct row *row, unsigned n)
{
	enum an_status status = AN_MORE;
	struct imap *imap;
	bool failed;

	alloc_fail_at(n);
	imap = imap_new(NULL);
	if (imap != NULL)
		imap_offer(imap, row->plus);
	for (size_t i = 0; imap != NULL && i < STEPS_MAX && row->steps[i].octets != NULL; i++)
		for (size_t j = 0; status != AN_NOMEM && j < row->steps[i].n; j++)
			status = feed_octet(imap, row->steps[i].dir, row->steps[i].octets + j);
	failed = alloc_failed();
	assert_int_equal(failed, imap == NULL || status == AN_NOMEM);
	imap_free(imap);
	return failed;
}

static void
test_no_memory(void **state)
{
	(void)state;
	for (size_t i = 0; i < nitems(rows); i++)
		for (unsigned n = 1; play_without_memory(&rows[i], n); n++)
			;
}

/* ---- what the caller does ---- */

struct answer {
	const char *name, *client;
	enum imap_plus plus;
	const char *want; /* when the first command is answered by the caller at once */
};

static const struct answer answers[] = {
    {"a command", "a NOOP\r\nb NOOP\r\n", 0, "NOOP@0 NOOP@8 "},
    {"what waits for its reply", "a LOGIN u p\r\nb NOOP\r\n", 0, "LOGIN@0 NOOP@13 "},
    {"a tag that is none", "* NOOP\r\nb NOOP\r\n", 0, "NOOP!BAD_TAG@0 NOOP@8 "},
    {"a synchronising literal: nothing comes", "a LOGIN {5}\r\nb NOOP\r\n", 0, "LOGIN~@0 NOOP@13 "},
    {"I-006 {5+}: it comes, and the rest of the command",
	"a LOGIN {5+}\r\nhello {3+}\r\nabc\r\nb NOOP\r\n", IMAP_PLUS_ANY,
	"LOGIN~@0 <hello {3+}\r\nabc\r\n>NOOP@31 "},
    {"{5+}, then one that waits: nothing more", "a LOGIN {5+}\r\nhello {3}\r\nb NOOP\r\n",
	IMAP_PLUS_ANY, "LOGIN~@0 <hello {3}\r\n>NOOP@25 "},
    {"{5+}, then one that is none", "a LOGIN {5+}\r\nhello {03+}\r\nb NOOP\r\n", IMAP_PLUS_ANY,
	"LOGIN~@0 <hello>more!BAD_LITERAL@19 "},
};

static void
play_answer(const struct answer *row, size_t chunk)
{
	size_t n = strlen(row->client);
	struct watcher w;
	bool answered = false;

	begin(&w, NULL, row->plus);
	assert_int_equal(feed(&w, AN_S2C, "* OK hi\r\n", 9), AN_MORE);
	for (size_t i = 0; i < n; i += chunk) {
		size_t piece = chunk < n - i ? chunk : n - i;

		buf_add(&w.rest[AN_C2S], span_of(row->client + i, piece));
		buf_add(&w.sent[AN_C2S], span_of(row->client + i, piece));
		while (step(&w, AN_C2S) == AN_EVENT)
			if (!answered && w.out[AN_C2S].n > 0) {
				imap_answered(w.imap, IMAP_ST_NO);
				assert_int_equal(imap_waiting(w.imap), 0);
				answered = true;
			}
	}
	if (!span_eq(buf_span(&w.out[AN_C2S]), span_str(row->want)))
		fail_msg("%s, chunks of %zu:\n want %s\n  got %.*s", row->name, chunk, row->want,
		    (int)w.out[AN_C2S].n, (const char *)w.out[AN_C2S].p);
	end(&w);
}

static void
test_answered_by_the_caller(void **state)
{
	(void)state;
	for (size_t i = 0; i < nitems(answers); i++)
		for (size_t chunk = 1; chunk <= strlen(answers[i].client); chunk++)
			play_answer(&answers[i], chunk);
}

static void
test_oldest_is_answered_and_slots_are_known(void **state)
{
	struct watcher w;

	(void)state;
	begin(&w, NULL, 0);
	assert_int_equal(imap_waiting(w.imap), 1);
	feed(&w, AN_S2C, "* OK x\r\n", 8);
	feed(&w, AN_C2S, "tag1 NOOP\r\ntag2 CAPABILITY\r\n", 29);
	assert_int_equal(imap_waiting(w.imap), 2);
	assert_true(span_eq(imap_tag(w.imap, 1), span_str("tag1")));
	assert_int_equal(imap_slot_verb(w.imap, 2)->verb, IMAP_CAPABILITY);
	assert_true(imap_answered_oldest(w.imap, IMAP_ST_BAD));
	assert_int_equal(imap_tag(w.imap, 1).n, 0);
	assert_true(span_eq(imap_tag(w.imap, 2), span_str("tag2")));
	assert_true(imap_answered_oldest(w.imap, IMAP_ST_BAD));
	assert_false(imap_answered_oldest(w.imap, IMAP_ST_BAD));
	assert_int_equal(imap_waiting(w.imap), 0);
	end(&w);
}

/* The caller may speak to the client only between two responses. */
static void
test_inside_of_a_response(void **state)
{
	static const char response[] = "* 1 FETCH (BODY[] {2}\r\nab X (c) )\r\n";
	struct watcher w;

	(void)state;
	begin(&w, NULL, 0);
	feed(&w, AN_S2C, "* PREAUTH x\r\n", 13);
	for (size_t i = 0; i < sizeof(response) - 1; i++) {
		assert_int_equal(imap_in_response(w.imap), i >= strlen("* 1 FETCH ("));
		feed(&w, AN_S2C, response + i, 1);
	}
	assert_false(imap_in_response(w.imap));
	end(&w);
}

static void
test_I_015_many_commands_wait(void **state)
{
	struct watcher w;

	(void)state;
	begin(&w, NULL, 0);
	feed(&w, AN_S2C, "* OK x\r\n", 8);
	for (size_t i = 0; i < IMAP_SLOTS; i++)
		assert_int_equal(feed(&w, AN_C2S, "a NOOP\r\n", 8), AN_MORE);
	assert_int_equal(imap_waiting(w.imap), IMAP_SLOTS);
	feed(&w, AN_C2S, "b NOOP\r\n", 8);
	assert_int_equal(w.rest[AN_C2S].n, 8);
	assert_int_equal(feed(&w, AN_S2C, "a OK x\r\n", 8), AN_MORE);
	assert_int_equal(w.rest[AN_C2S].n, 0);
	assert_int_equal(imap_waiting(w.imap), IMAP_SLOTS);
	end(&w);
}

static void
test_I_019_idle(void **state)
{
	struct watcher w;

	(void)state;
	begin(&w, NULL, 0);
	feed(&w, AN_S2C, "* PREAUTH x\r\n", 13);
	assert_int_equal(imap_phase(w.imap), IMAP_AUTHENTICATED);
	feed(&w, AN_C2S, "a IDLE\r\n", 8);
	assert_false(imap_idles(w.imap));
	feed(&w, AN_S2C, "+ go\r\n", 6);
	assert_true(imap_idles(w.imap));
	feed(&w, AN_C2S, "DONE\r\n", 6);
	assert_false(imap_idles(w.imap));
	end(&w);
}

/* ---- limits ---- */

static const struct imap_limits tight = {.line = 8192,
    .login_literal = 10,
    .literal = 20,
    .message = 30,
    .response = 32,
    .capability = 40};

static const struct row limited[] = {
    {"I-013 untagged data longer than is given whole",
	{HOME, S("* SEARCH 1 2 3 4 5 6 7 8 9 10 11 12\r\n* 1 EXISTS\r\n")},
	{"", "*PREAUTH@0 '* SEARCH 1 2 3 4 5 6 7 8 9 10 11'' 12\r\n'. *2=1@51 "}, 0},
    {"I-013 and as long as that", {HOME, S("* SEARCH 1 2 3 4 5 6 7 8 9 10 \r\n* 1 EXISTS\r\n")},
	{"", "*PREAUTH@0 *9=0@14 *2=1@46 "}, 0},
    {"a value longer than is given whole",
	{HOME, S("* 1 FETCH (X (123456789012345678901234567890) UID 1)\r\n")},
	{"", "*PREAUTH@0 FETCH1( X= '0)'. UID=1 ) "}, 0},
    {"a name without end", {HOME, S("* 1 FETCH (BODY[HEADER.FIELDS (A B C D E F)] NIL)\r\n")},
	{"", "*PREAUTH@0 FETCH1( {invalid_reply}anomaly@57 "}, 0},
    {"capabilities without end",
	{HOME, S("* CAPABILITY A B C D E F G H I J K L M N O P Q R S T\r\n")},
	{"", "*PREAUTH@0 {invalid_reply}anomaly@54 "}, 0},
    {"I-003 a message as large as allowed", {HOME, C("a APPEND x {30}\r\n")},
	{"APPEND~@0 ", "*PREAUTH@0 "}, 0},
    {"I-003 larger", {HOME, C("a APPEND x {31}\r\n")},
	{"APPEND~!MESSAGE_TOO_BIG@0 ", "*PREAUTH@0 "}, 0},
    {"an argument larger than allowed", {HOME, C("a SELECT {21}\r\n")},
	{"SELECT~!LITERAL_TOO_BIG@0 ", "*PREAUTH@0 "}, 0},
};

static void
test_limits_at_every_cut(void **state)
{
	(void)state;
	for (size_t i = 0; i < nitems(limited); i++) {
		size_t n = 0;

		for (size_t j = 0; j < STEPS_MAX && limited[i].steps[j].octets != NULL; j++)
			n += limited[i].steps[j].n;
		for (size_t cut = 0; cut <= n; cut++)
			play(&limited[i], &tight, cut, false);
		play(&limited[i], &tight, 0, true);
	}
}

/* What comes in chunks of n octets of one kind, behind some text. */
static void
expect_flood(
    enum an_dir dir, const char *first, char c, size_t n, const char *last, const char *want)
{
	for (size_t chunk = 1; chunk <= n; chunk = chunk * 61 + 1) {
		char octets[4096];
		struct watcher w;

		memset(octets, c, sizeof(octets));
		begin(&w, NULL, 0);
		feed(&w, AN_S2C, "* PREAUTH x\r\n", 13);
		w.out[AN_S2C].n = 0;
		feed(&w, dir, first, strlen(first));
		for (size_t i = 0; i < n;) {
			size_t piece = chunk < sizeof(octets) ? chunk : sizeof(octets);

			feed(&w, dir, octets, piece < n - i ? piece : n - i);
			i += piece;
		}
		feed(&w, dir, last, strlen(last));
		if (!span_eq(buf_span(&w.out[dir]), span_str(want)))
			fail_msg("%s: chunks of %zu: %.*s", want, chunk, (int)w.out[dir].n,
			    (const char *)w.out[dir].p);
		end(&w);
	}
}

static void
test_I_012_brackets(void **state)
{
	(void)state;
	expect_flood(AN_C2S, "a ID ", '(', 65528, "\r\n", "ID!TOO_DEEP@0 ");
	expect_flood(
	    AN_S2C, "* 1 FETCH (ENVELOPE ", '(', 100000, "", "FETCH1( {invalid_reply}anomaly@133 ");
	expect_flood(AN_S2C, "* X ", '(', 100000, "", "{invalid_reply}anomaly@118 ");
}

static void
test_I_013_lines_without_end(void **state)
{
	(void)state;
	expect_flood(AN_C2S, "a NOOP ", 'x', 200000, "",
	    "{max_command_line_len_exceeded}?!LINE_TOO_LONG@65537 ");
	expect_flood(AN_S2C, "* OK ", 'x', 200000, "", "{invalid_reply}anomaly@65549 ");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_dialogues_at_every_cut),
	    cmocka_unit_test(test_no_memory),
	    cmocka_unit_test(test_answered_by_the_caller),
	    cmocka_unit_test(test_oldest_is_answered_and_slots_are_known),
	    cmocka_unit_test(test_inside_of_a_response),
	    cmocka_unit_test(test_I_015_many_commands_wait),
	    cmocka_unit_test(test_I_019_idle),
	    cmocka_unit_test(test_limits_at_every_cut),
	    cmocka_unit_test(test_I_012_brackets),
	    cmocka_unit_test(test_I_013_lines_without_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
