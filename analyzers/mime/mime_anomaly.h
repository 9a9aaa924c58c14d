/*
 * mime_anomaly - the odd things about the structure of messages, by name. An anomaly is not an
 * error: parsing goes on as the common mail programs do. Where an intrusion detector has a name for
 * it (Suricata's smtp-events.rules), it is theirs.
 */
#ifndef POSTERN_MIME_ANOMALY_H
#define POSTERN_MIME_ANOMALY_H

/* X(enumerator, name in records, source) */
#define MIME_ANOMALIES(X)                                                                          \
	X(MIME_ODD_NONE, "none", "")                                                               \
	X(MIME_ODD_AMBIGUOUS, "ambiguous", "two mail programs read it in two ways")                \
	X(MIME_ODD_BASE64, "mime_invalid_base64", "RFC 2045 s6.8")                                 \
	X(MIME_ODD_QP, "mime_invalid_qp", "RFC 2045 s6.7")                                         \
	X(MIME_ODD_UU, "mime_invalid_uuencode", "POSIX uuencode")                                  \
	X(MIME_ODD_LONG_LINE, "mime_long_enc_line", "RFC 2045 s6.7, s6.8: 76 characters")          \
	X(MIME_ODD_CHARSET, "mime_unknown_charset", "RFC 2046 s4.1.2")                             \
	X(MIME_ODD_TEXT, "mime_invalid_text", "octets that are none of the declared charset")      \
	X(MIME_ODD_WORD, "mime_invalid_encoded_word", "RFC 2047 s2, s5")                           \
	X(MIME_ODD_8BIT_HEADER, "mime_undeclared_8bit_header", "RFC 5322 s2.2, RFC 6532")          \
	X(MIME_ODD_NUL, "mime_nul_octet", "RFC 5322 s4")                                           \
	X(MIME_ODD_PARAMETER, "mime_invalid_parameter", "RFC 2045 s5.1, RFC 2231")                 \
	X(MIME_ODD_TOO_MANY_PARAMETERS, "mime_too_many_parameters", "CVE-2026-27859 and its kin")  \
	X(MIME_ODD_ADDRESS, "mime_invalid_address", "RFC 5322 s3.4")                               \
	X(MIME_ODD_ARCHIVE, "archive_damaged", "a program that opens it gives up, or guesses")     \
	X(MIME_ODD_LONG_BOUNDARY, "mime_long_boundary", "RFC 2046 s5.1.1")                         \
	X(MIME_ODD_NO_BOUNDARY, "mime_no_boundary", "RFC 2046 s5.1.1: a multipart names none")     \
	X(MIME_ODD_UNUSED_BOUNDARY, "mime_unused_boundary", "RFC 2046 s5.1: not one part")         \
	X(MIME_ODD_NOT_CLOSED, "mime_not_closed", "RFC 2046 s5.1.1: no closing delimiter")         \
	X(MIME_ODD_AFTER_CLOSE, "mime_part_after_close", "RFC 2046 s5.1.1")                        \
	X(MIME_ODD_BROKEN_HEADER, "mime_broken_header",                                            \
	    "RFC 5322 s2.1: no blank line before a body")                                          \
	X(MIME_ODD_FIELD_NAME, "mime_invalid_field_name", "RFC 5322 s2.2")                         \
	X(MIME_ODD_LONG_HEADER_LINE, "mime_long_header_line", "RFC 5322 s2.1.1")                   \
	X(MIME_ODD_LONG_HEADER, "mime_long_header", "CVE-2024-23185")                              \
	X(MIME_ODD_TOO_MANY_FIELDS, "mime_too_many_fields", "CVE-2024-23185 and its kin")          \
	X(MIME_ODD_DUPLICATE, "duplicate_fields", "RFC 5322 s3.6, RFC 2045 s3")                    \
	X(MIME_ODD_BARE_CR, "mime_bare_cr", "RFC 5322 s2.2")                                       \
	X(MIME_ODD_ENCODING, "mime_unknown_encoding", "RFC 2045 s6")                               \
	X(MIME_ODD_CODED_COMPOSITE, "mime_coded_composite", "RFC 2045 s6.4")                       \
	X(MIME_ODD_NO_VERSION, "mime_no_version", "RFC 2045 s4")                                   \
	X(MIME_ODD_MBOX_LINE, "mime_mbox_line", "RFC 4155")                                        \
	X(MIME_ODD_PARTIAL, "mime_partial", "RFC 2046 s5.2.2; CERT VU#836088")                     \
	X(MIME_ODD_EXTERNAL, "mime_external_body", "RFC 2046 s5.2.3")                              \
	X(MIME_ODD_INLINE_UU, "mime_inline_uuencode", "POSIX uuencode within a text")              \
	X(MIME_ODD_INLINE_CODED, "mime_inline_coded_file", "yEnc 1.3 or RFC 1741 within a text")   \
	X(MIME_ODD_TOO_DEEP, "mime_too_deep", "limit of depth")                                    \
	X(MIME_ODD_TOO_MANY_PARTS, "mime_too_many_parts", "CVE-2020-12100")                        \
	X(MIME_ODD_TOO_MANY_READINGS, "mime_too_many_readings",                                    \
	    "limit of bodies that are read in several ways")                                       \
	X(MIME_ODD_TOO_MANY_ANOMALIES, "mime_too_many_anomalies", "those behind it are not told")

enum mime_anomaly {
#define X(id, name, source) id,
	MIME_ANOMALIES(X)
#undef X
	    MIME_ANOMALY_COUNT
};

const char *mime_anomaly_name(enum mime_anomaly);

#endif
