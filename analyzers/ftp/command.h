/*
 * command - one command line of FTP: verb, arguments, and what is wrong with it.
 * Sources: RFC 959 s5.3, 854 (TELNET within it).
 */
#ifndef POSTERN_FTP_COMMAND_H
#define POSTERN_FTP_COMMAND_H

#include "core/line.h"
#include "ftp/ftp.h"

/*
 * raw       the line without its end, as it came
 * line      the same without TELNET; telnet: there was some within it
 * Fills in all of *d that belongs to a command, but for synch.
 */
void ftp_command_parse(struct span raw, struct span line, bool telnet, struct line_marks marks,
    size_t line_max, struct ftp_detail *d);

/*
 * The command as it goes to a server: verb as written, one blank, arguments (IAC doubled), CR LF.
 * Empty args: the verb alone. False: no memory, or out is full.
 */
bool ftp_command_write(struct span word, struct span args, struct buf *out);

/*
 * Is this the first word of *args (any case), as some server would read it? Any control octet ends
 * a word there, and quotes and backslashes are no part of it. *args goes on behind it.
 */
bool ftp_args_word_is(struct span *args, struct span word);

/*
 * Would some server take these arguments of MDTM for a time to set, "YYYYMMDDHHMMSS name"? Some
 * (vsftpd) with a fraction of a second behind it, with a zone, or without the time of day.
 */
bool ftp_mdtm_sets_time(struct span args);

#endif
