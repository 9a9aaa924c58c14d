/*
 * anomaly - the odd things that analyzers name. An anomaly is not an error: parsing goes on, and
 * the policy decides. Where intrusion detectors have a name for it (Suricata's *-events.rules),
 * it is theirs, so that a team's searches find ours.
 */
#ifndef POSTERN_ANOMALY_H
#define POSTERN_ANOMALY_H

/* X(enumerator, name in records, source) */
#define AN_ANOMALIES(X)                                                                            \
	X(AN_NONE, "none", "")                                                                     \
	X(AN_BARE_LF, "bare_lf", "RFC 5321 s2.3.8")                                                \
	X(AN_BARE_CR, "bare_cr", "RFC 5321 s2.3.8")                                                \
	X(AN_NUL, "nul_octet", "RFC 5321 s4.5.2")                                                  \
	X(AN_SMUGGLING, "smuggling_sequence", "CVE-2023-51764 and its family")                     \
	X(AN_LONG_BODY_LINE, "mime_long_line", "RFC 5321 s4.5.3.1.6")                              \
	X(AN_EIGHT_BIT, "undeclared_8bit", "RFC 6152")                                             \
	X(AN_COMMAND_TOO_LONG, "max_command_line_len_exceeded", "RFC 5321 s4.5.3.1.4")             \
	X(AN_REPLY_LINE_TOO_LONG, "max_reply_line_len_exceeded", "RFC 5321 s4.5.3.1.5")            \
	X(AN_REPLY_TOO_LONG, "max_reply_len_exceeded", "RFC 5321 s4.2")                            \
	X(AN_INVALID_REPLY, "invalid_reply", "RFC 5321 s4.2")                                      \
	X(AN_MIXED_REPLY, "mixed_reply_codes", "RFC 5321 s4.2.1")                                  \
	X(AN_UNMATCHED_REPLY, "unable_to_match_reply_with_request", "RFC 5321 s4.3.1")             \
	X(AN_NO_WELCOME, "no_server_welcome_message", "RFC 5321 s3.1")                             \
	X(AN_PIPELINED, "invalid_pipelined_sequence", "RFC 2920 s3.1")                             \
	X(AN_INVALID_BDAT, "invalid_bdat", "RFC 3030 s2")                                          \
	X(AN_BDAT_TOO_LONG, "bdat_chunk_len_exceeded", "RFC 3030 s2")                              \
	X(AN_TLS_REJECTED, "tls_rejected", "RFC 3207 s4")                                          \
	X(AN_STARTTLS_STRIPPED, "starttls_stripped", "a server that offered TLS until lately")     \
	X(AN_DATA_REJECTED, "data_command_rejected", "RFC 5321 s4.1.1.4")                          \
	X(AN_PLAIN_AHEAD_OF_TLS, "failed_protocol_change", "RFC 3207 s6, CVE-2011-0411")           \
	X(AN_OTHER_PROTOCOL, "unknown_protocol", "cross-protocol requests on a mail port")         \
	X(AN_IMAP_AHEAD_OF_LOGIN, "imap_data_ahead_of_login",                                      \
	    "RFC 9051 s3.1: mailboxes while nobody is logged in")                                  \
	X(AN_IMAP_REFERRAL, "imap_referral", "RFC 2221: sent elsewhere, in the clear")             \
	X(AN_TRUNCATED, "truncated_message", "the stream ended inside a message")                  \
	X(AN_TELNET_EVASION, "evasive_telnet", "RFC 854, within an FTP command")                   \
	X(AN_TELNET_OPTION, "telnet_option", "RFC 1123 s4.1.2.12")                                 \
	X(AN_FTP_BOUNCE, "ftp_bounce", "RFC 2577 s3")                                              \
	X(AN_FTP_FOREIGN_ADDRESS, "ftp_foreign_address", "227 that leads elsewhere")               \
	X(AN_FTP_BAD_DATA_ADDRESS, "ftp_bad_data_address", "227, 229 that cannot be read or used") \
	X(AN_FTP_SPOOFED, "ftp_spoofed_dialogue",                                                  \
	    "a reply from a client, a command from a server")                                      \
	X(AN_FTP_DATA_INTRUDER, "ftp_data_intruder",                                               \
	    "RFC 2577 s6: a data connection from another address")                                 \
	X(AN_FTP_DATA_STRAY, "ftp_data_stray",                                                     \
	    "octets of a data connection that came the wrong way")                                 \
	X(AN_FTP_REUSE_REFUSED, "ftp_session_reuse_refused",                                       \
	    "522: a server that does not take a data connection's TLS for its client's")           \
	X(AN_FTP_NOT_RESUMED, "ftp_data_not_resumed",                                              \
	    "a server whose data connections do not resume their control connection's session")    \
	X(AN_FTP_UNUSED_HOLE, "ftp_data_not_opened", "nobody came to a data connection")           \
	X(AN_FTP_FILE_BEFORE_PORT, "file_before_port", "a transfer without PORT or PASV")          \
	X(AN_FTP_TOO_MANY_PENDING, "too_many_transactions", "commands ahead of their replies")     \
	X(AN_GAP, "stream_gap", "octets that a capture does not have")                             \
	X(AN_JOINED, "midstream", "a capture that begins behind the session")                      \
	X(AN_UNHEARD, "one_sided", "a capture of the client's octets alone")                       \
	X(AN_NOT_FOLLOWED, "not_followed",                                                         \
	    "RFC 4978, XTND XMIT: what a capture's octets are from here on, nobody can tell")      \
	X(AN_CONFLICT, "stream_overlap_different_data",                                            \
	    "Ptacek and Newsham 1998: two copies differ")                                          \
	X(AN_STRAY, "stream_stray_segment", "RFC 9293 s3.10.7.4: what no receiver would take")     \
	X(AN_SYN_DATA, "stream_syn_data", "RFC 7413 s3: octets that the server did not take")      \
	X(AN_URGENT, "stream_urgent", "RFC 6093: octets that some applications read out of line")  \
	X(AN_HOPS, "stream_ttl_changed",                                                           \
	    "Ptacek and Newsham 1998: not meant to arrive, or not the peer's")

enum an_anomaly {
#define X(id, name, source) id,
	AN_ANOMALIES(X)
#undef X
	    AN_ANOMALY_COUNT
};

const char *an_anomaly_name(enum an_anomaly);

#endif
