/*
 * sandbox - what a process of the gateway gives up before it reads a stranger's first octet.
 *
 * Two steps, because a process needs files between them. In this order:
 *
 *	process_follow_parent()
 *	open what only root may open
 *	sandbox_drop()
 *	process_follow_parent()		a changed user makes the kernel forget it
 *	open and load the rest
 *	sandbox_close()
 *
 * Nothing that needs a file works afterwards, so before sandbox_close() belong: record_init(),
 * resolver_new() (which makes libunbound's context final), the event loop with its signals,
 * OPENSSL_init_crypto() and one EVP_MD_fetch() of every digest (providers, openssl.cnf), every
 * iconv_open(), setlocale(), prctl() and process_name(), setrlimit(), user and host names
 * (getpwnam(), getaddrinfo()).
 *
 * if_indextoname() and syslog() make an AF_UNIX socket: never to be called behind it; SIOCGIFNAME
 * on a socket that is there does for the first. getrandom() goes on working.
 *
 * A breach ends the process with SIGSYS, and the kernel's log names the call: "audit: type=1326
 * ... syscall=N" (scmp_sys_resolver N). It dumps no core.
 *
 * Local time is UTC from then on: who asks for it would read /etc/localtime.
 *
 * Landlock would add nothing: no process opens files afterwards, so there are no paths to limit.
 */
#ifndef POSTERN_SANDBOX_H
#define POSTERN_SANDBOX_H

#include <stdbool.h>

/* docs/processes.md says in a table what each may do; sandbox_filter.c says it call by call. */
enum sandbox_role {
	SANDBOX_WORKER, /* TCP and UDP over IP, nothing else that could reach anybody */
	SANDBOX_LOGGER, /* writes to the files that it is handed */
	SANDBOX_STATUS, /* answers on the listeners that it is handed */
	SANDBOX_SIGNER, /* answers on the sockets that it is handed */
	SANDBOX_TAP,	/* makes, writes and removes files in directories that it is handed */
	SANDBOX_WATCH,	/* reads frames from a socket that is open, writes to what is open */
	/* the same, and makes files, names them and removes them; it reads none */
	SANDBOX_WATCH_EXTRACT,
	SANDBOX_ROLE_COUNT
};

/*
 * May root become this user? Not when there is none of that name, when it is root under whatever
 * name, or when its group is root's. For whoever checks before anything starts. *why: one line
 * without an end, good until the next call of a function here.
 */
bool sandbox_check_user(const char *user, const char **why);

/*
 * Started by root: the process becomes the user, with its group and no other, and cannot come
 * back, which is tried. Needs CAP_SETUID, CAP_SETGID and CAP_SETPCAP. Started by somebody else: it
 * stays who it is, and user is not looked at.
 *
 * Then in both cases: no capability in any set (the bounding set can be emptied by root alone; no
 * program that is started can fill others from it any more), no_new_privs, no core dump, not to be
 * traced by others of the same user, umask 077, and / as the working directory.
 *
 * False: *why, as above. The process is then in between, and must end.
 */
bool sandbox_drop(const char *user, const char **why);

/*
 * From here on only the system calls of the role, for all threads. Refuses to run as root, or
 * without sandbox_drop(). False: *why, as above; the process must end.
 *
 * What programs compiled with AddressSanitizer need beyond it is allowed to those only.
 */
bool sandbox_close(enum sandbox_role, const char **why);

#endif
