/*
 * The system calls of each role: rows of calls that are allowed whatever their arguments, and of
 * calls that are allowed, or fail, with certain arguments. What is in no row ends the process.
 */
#include "sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <seccomp.h>
#include <signal.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#if defined(__SANITIZE_ADDRESS__)
#define SANITIZED
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SANITIZED
#endif
#endif

#define FOR(role)  (1u << (role))
#define WORKER	   FOR(SANDBOX_WORKER)
#define LOGGER	   FOR(SANDBOX_LOGGER)
#define STATUS	   FOR(SANDBOX_STATUS)
#define SIGNER	   FOR(SANDBOX_SIGNER)
#define TAP	   FOR(SANDBOX_TAP)
#define EXTRACT	   FOR(SANDBOX_WATCH_EXTRACT)
#define WATCH	   (FOR(SANDBOX_WATCH) | EXTRACT)
#define EVERYBODY  (FOR(SANDBOX_ROLE_COUNT) - 1)
#define COUNT(row) (sizeof(row) / sizeof((row)[0]))

/* ---- calls whatever their arguments ---- */

struct call {
	unsigned roles;
	int number;
};

static const struct call calls[] = {
    /* memory; what makes some of it executable is below */
    {EVERYBODY, SCMP_SYS(brk)},
    {EVERYBODY, SCMP_SYS(munmap)},
    {EVERYBODY, SCMP_SYS(mremap)},
    {EVERYBODY, SCMP_SYS(madvise)},
    /* descriptors that are there */
    {EVERYBODY, SCMP_SYS(read)},
    {EVERYBODY, SCMP_SYS(readv)},
    {EVERYBODY, SCMP_SYS(write)},
    {EVERYBODY, SCMP_SYS(writev)},
    /* how a file ends that another logger has begun; counters of a device */
    {LOGGER | WATCH, SCMP_SYS(pread64)},
    {EVERYBODY, SCMP_SYS(close)},
    {EVERYBODY, SCMP_SYS(recvfrom)},
    {EVERYBODY, SCMP_SYS(recvmsg)},
    {EVERYBODY, SCMP_SYS(sendto)},
    {EVERYBODY, SCMP_SYS(sendmsg)},
    /* waiting */
    {EVERYBODY, SCMP_SYS(poll)},
    {EVERYBODY, SCMP_SYS(ppoll)},
    {EVERYBODY, SCMP_SYS(epoll_create1)},
    {EVERYBODY, SCMP_SYS(epoll_ctl)},
    {EVERYBODY, SCMP_SYS(epoll_wait)},
    {EVERYBODY, SCMP_SYS(epoll_pwait)},
    {EVERYBODY, SCMP_SYS(epoll_pwait2)},
    {EVERYBODY, SCMP_SYS(eventfd2)},
    {EVERYBODY, SCMP_SYS(timerfd_create)},
    {EVERYBODY, SCMP_SYS(timerfd_settime)},
    {EVERYBODY, SCMP_SYS(timerfd_gettime)},
    {EVERYBODY, SCMP_SYS(nanosleep)},
    {EVERYBODY, SCMP_SYS(clock_nanosleep)},
    {EVERYBODY, SCMP_SYS(futex)},
    {EVERYBODY, SCMP_SYS(sched_yield)},
    {EVERYBODY, SCMP_SYS(restart_syscall)},
    /* time, where the kernel does not answer without a call, and chance */
    {EVERYBODY, SCMP_SYS(clock_gettime)},
    {EVERYBODY, SCMP_SYS(clock_getres)},
    {EVERYBODY, SCMP_SYS(gettimeofday)},
    {EVERYBODY, SCMP_SYS(time)},
    {EVERYBODY, SCMP_SYS(getrandom)},
    /* signals, and the ends: exit(), abort(), assert() */
    {EVERYBODY, SCMP_SYS(rt_sigaction)},
    {EVERYBODY, SCMP_SYS(rt_sigprocmask)},
    {EVERYBODY, SCMP_SYS(rt_sigreturn)},
    {EVERYBODY, SCMP_SYS(getpid)},
    {EVERYBODY, SCMP_SYS(gettid)},
    {EVERYBODY, SCMP_SYS(exit)},
    {EVERYBODY, SCMP_SYS(exit_group)},
    /* qsort() asks how much memory there is */
    {EVERYBODY, SCMP_SYS(sysinfo)},
    /* dprintf() asks where in a file it is */
    {EVERYBODY, SCMP_SYS(lseek)},

    /* clients come in over listeners that were handed over */
    {WORKER | STATUS, SCMP_SYS(accept4)},
    {WORKER | STATUS | WATCH, SCMP_SYS(getsockname)},
    {WORKER | STATUS, SCMP_SYS(getpeername)},
    {WORKER | STATUS | WATCH, SCMP_SYS(getsockopt)},
    {WORKER | STATUS, SCMP_SYS(shutdown)},
    /* sessions go out; the kernel says which addresses and ports */
    {WORKER, SCMP_SYS(bind)},
    {WORKER, SCMP_SYS(connect)},
    /* whole files go through without a copy */
    {WORKER, SCMP_SYS(pipe2)},
    {WORKER, SCMP_SYS(splice)},

    {LOGGER, SCMP_SYS(fsync)},
    {LOGGER, SCMP_SYS(fdatasync)},
    {LOGGER | STATUS | TAP | WATCH, SCMP_SYS(fstat)},
    /* which captures there are, and those that must make room */
    {TAP, SCMP_SYS(getdents64)},
    {TAP | EXTRACT, SCMP_SYS(unlinkat)},
    {TAP, SCMP_SYS(ftruncate)},
    {EXTRACT, SCMP_SYS(renameat2)},
    {EXTRACT, SCMP_SYS(linkat)},
    {EXTRACT, SCMP_SYS(newfstatat)},
#ifdef SANITIZED
    /* LeakSanitizer at the end: a thread of its own stops the others and reads what they hold */
    {EVERYBODY, SCMP_SYS(clone)},
    {EVERYBODY, SCMP_SYS(ptrace)},
    {EVERYBODY, SCMP_SYS(prctl)},
    {EVERYBODY, SCMP_SYS(prlimit64)},
    {EVERYBODY, SCMP_SYS(wait4)},
    {EVERYBODY, SCMP_SYS(sigaltstack)},
    {EVERYBODY, SCMP_SYS(sched_getaffinity)},
    {EVERYBODY, SCMP_SYS(getdents)},
    {EVERYBODY, SCMP_SYS(getdents64)},
    {EVERYBODY, SCMP_SYS(getppid)},
    /* reports: which program, which line, where to */
    {EVERYBODY, SCMP_SYS(readlink)},
    {EVERYBODY, SCMP_SYS(readlinkat)},
    {EVERYBODY, SCMP_SYS(stat)},
    {EVERYBODY, SCMP_SYS(fstat)},
    {EVERYBODY, SCMP_SYS(newfstatat)},
    {EVERYBODY, SCMP_SYS(dup)},
#endif
};

/* ---- calls with certain arguments ---- */

struct rule {
	unsigned roles;
	uint32_t action;
	int number;
	struct scmp_arg_cmp when; /* an op of 0: always */
};

#define IS(arg, value)	  arg, SCMP_CMP_EQ, value, 0
#define LACKS(arg, bits)  arg, SCMP_CMP_MASKED_EQ, bits, 0
#define FAILS(with_errno) SCMP_ACT_ERRNO(with_errno)

static const struct rule rules[] = {
    {EVERYBODY, SCMP_ACT_ALLOW, SCMP_SYS(mmap), {LACKS(2, PROT_EXEC)}},
    {EVERYBODY, SCMP_ACT_ALLOW, SCMP_SYS(mprotect), {LACKS(2, PROT_EXEC)}},

    {EVERYBODY, SCMP_ACT_ALLOW, SCMP_SYS(fcntl), {IS(1, F_GETFL)}},
    {EVERYBODY, SCMP_ACT_ALLOW, SCMP_SYS(fcntl), {IS(1, F_SETFL)}},
    {EVERYBODY, SCMP_ACT_ALLOW, SCMP_SYS(fcntl), {IS(1, F_GETFD)}},
    {EVERYBODY, SCMP_ACT_ALLOW, SCMP_SYS(fcntl), {IS(1, F_SETFD)}},
    {WORKER, SCMP_ACT_ALLOW, SCMP_SYS(fcntl), {IS(1, F_SETPIPE_SZ)}},
    /* pages of new workers come in at any time; one that could shrink would be a trap */
    {STATUS, SCMP_ACT_ALLOW, SCMP_SYS(fcntl), {IS(1, F_GET_SEALS)}},
    {WORKER | STATUS, SCMP_ACT_ALLOW, SCMP_SYS(ioctl), {IS(1, FIONREAD)}},
    {WORKER | STATUS, SCMP_ACT_ALLOW, SCMP_SYS(ioctl), {IS(1, FIONBIO)}},
    {WORKER, SCMP_ACT_ALLOW, SCMP_SYS(ioctl), {IS(1, SIOCGIFNAME)}},
    /* stdio asks whether it writes to a terminal */
    {EVERYBODY, FAILS(ENOTTY), SCMP_SYS(ioctl), {IS(1, TCGETS)}},

    /* files are made, and written on to, and never read: extract.c */
    {EXTRACT, SCMP_ACT_ALLOW, SCMP_SYS(openat),
	{IS(2, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC)}},
    {EXTRACT, SCMP_ACT_ALLOW, SCMP_SYS(openat),
	{IS(2, O_WRONLY | O_APPEND | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC)}},
    /* libpcap asks whether a device that went down is there, and gives its buffer back at the end,
       which the kernel does with the socket */
    {WATCH, SCMP_ACT_ALLOW, SCMP_SYS(ioctl), {IS(1, SIOCGIFFLAGS)}},
    {WATCH, SCMP_ACT_ALLOW, SCMP_SYS(ioctl), {IS(1, SIOCGIFINDEX)}},
    {WATCH, SCMP_ACT_ALLOW, SCMP_SYS(ioctl), {IS(1, SIOCGIFNAME)}},
    {WATCH, FAILS(EPERM), SCMP_SYS(setsockopt), {IS(1, SOL_PACKET)}},

    /*
     * These must know how large the files and pages are that they are handed. fstat()
     * is a newfstatat() with an empty path, and the filter cannot see whether it is empty: taken
     * over, they could learn that some file exists, whose it is and how large. In workers and the
     * signer only stdio asks what it writes to, and goes on without an answer.
     */
    {LOGGER | STATUS | TAP | WATCH, SCMP_ACT_ALLOW, SCMP_SYS(newfstatat), {IS(3, AT_EMPTY_PATH)}},
    /* captures: files are made, none that is there is opened; a directory is listed */
    {TAP, SCMP_ACT_ALLOW, SCMP_SYS(openat),
	{IS(2, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC)}},
    {TAP, SCMP_ACT_ALLOW, SCMP_SYS(newfstatat), {IS(3, AT_SYMLINK_NOFOLLOW)}},
    {TAP, SCMP_ACT_ALLOW, SCMP_SYS(fcntl), {IS(1, F_DUPFD_CLOEXEC)}},
#ifndef SANITIZED
    {WORKER | SIGNER, FAILS(EPERM), SCMP_SYS(newfstatat), {IS(3, AT_EMPTY_PATH)}},
    {WORKER | SIGNER, FAILS(EPERM), SCMP_SYS(fstat), {0}},
    /* libpcap would read counters of the device, and does without; see capture_device.c */
    {WATCH, FAILS(EACCES), SCMP_SYS(openat), {IS(2, O_RDONLY)}},
    {WATCH, FAILS(EACCES), SCMP_SYS(openat), {IS(2, O_RDONLY | O_CLOEXEC)}},
    {WATCH, FAILS(EACCES), SCMP_SYS(open), {IS(1, O_RDONLY)}},
#else
    {EVERYBODY, SCMP_ACT_ALLOW, SCMP_SYS(open), {LACKS(1, O_ACCMODE | O_CREAT)}},
    {EVERYBODY, SCMP_ACT_ALLOW, SCMP_SYS(openat), {LACKS(2, O_ACCMODE | O_CREAT)}},
#endif
};

/* ---- sockets of a worker ---- */

static const struct {
	int type, protocol;
} sockets[] = {
    /* of AF_INET and AF_INET6 */
    {SOCK_STREAM, 0},
    {SOCK_STREAM, IPPROTO_TCP},
    {SOCK_DGRAM, 0},
    {SOCK_DGRAM, IPPROTO_UDP},
};

/* One by one, for behind some of the others there is much of the kernel (filters, TCP_ULP). */
static const struct {
	int level, name;
} options[] = {
    {SOL_SOCKET, SO_KEEPALIVE},
    {SOL_SOCKET, SO_LINGER},
    {SOL_SOCKET, SO_OOBINLINE},
    {SOL_SOCKET, SO_PRIORITY},
    {SOL_SOCKET, SO_RCVBUF},
    {SOL_SOCKET, SO_RCVBUFFORCE},
    {SOL_SOCKET, SO_RCVLOWAT},
    {SOL_SOCKET, SO_REUSEADDR},
    {SOL_SOCKET, SO_REUSEPORT},
    {SOL_SOCKET, SO_SNDBUF},
    {SOL_SOCKET, SO_SNDBUFFORCE},
    {IPPROTO_TCP, TCP_CORK},
    {IPPROTO_TCP, TCP_FASTOPEN_CONNECT},
    {IPPROTO_TCP, TCP_KEEPCNT},
    {IPPROTO_TCP, TCP_KEEPIDLE},
    {IPPROTO_TCP, TCP_KEEPINTVL},
    {IPPROTO_TCP, TCP_MAXSEG},
    {IPPROTO_TCP, TCP_NODELAY},
    {IPPROTO_TCP, TCP_NOTSENT_LOWAT},
    {IPPROTO_TCP, TCP_QUICKACK},
    {IPPROTO_TCP, TCP_SYNCNT},
    {IPPROTO_TCP, TCP_USER_TIMEOUT},
    {IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT},
    {IPPROTO_IP, IP_FREEBIND},
    {IPPROTO_IP, IP_MTU_DISCOVER},
    {IPPROTO_IP, IP_PKTINFO},
    {IPPROTO_IP, IP_TOS},
    {IPPROTO_IP, IP_TRANSPARENT},
    {IPPROTO_IPV6, IPV6_FREEBIND},
    {IPPROTO_IPV6, IPV6_MTU},
    {IPPROTO_IPV6, IPV6_MTU_DISCOVER},
    {IPPROTO_IPV6, IPV6_RECVPKTINFO},
    {IPPROTO_IPV6, IPV6_TCLASS},
    {IPPROTO_IPV6, IPV6_TRANSPARENT},
    {IPPROTO_IPV6, IPV6_V6ONLY},
};

/* ---- the filter ---- */

/* All functions here return 0 or a negative errno, as libseccomp does. */
static int
add(scmp_filter_ctx filter, uint32_t action, int number, unsigned n,
    const struct scmp_arg_cmp *when)
{
	int fault = seccomp_rule_add_array(filter, action, number, n, when);

	return fault == -EEXIST ? 0 : fault; /* two rows say the same of a role */
}

static int
add_sockets(scmp_filter_ctx filter)
{
	static const scmp_datum_t families[] = {AF_INET, AF_INET6};
	int fault = 0;

	for (size_t i = 0; fault == 0 && i < 2 * COUNT(sockets); i++) {
		struct scmp_arg_cmp when[] = {{IS(0, families[i % 2])},
		    {1, SCMP_CMP_MASKED_EQ, ~(scmp_datum_t)(SOCK_NONBLOCK | SOCK_CLOEXEC),
			(scmp_datum_t)sockets[i / 2].type},
		    {IS(2, (scmp_datum_t)sockets[i / 2].protocol)}};

		fault = add(filter, SCMP_ACT_ALLOW, SCMP_SYS(socket), COUNT(when), when);
	}
	for (size_t i = 0; fault == 0 && i < COUNT(options); i++) {
		struct scmp_arg_cmp when[] = {{IS(1, (scmp_datum_t)options[i].level)},
		    {IS(2, (scmp_datum_t)options[i].name)}};

		fault = add(filter, SCMP_ACT_ALLOW, SCMP_SYS(setsockopt), COUNT(when), when);
	}
	return fault;
}

/* To itself alone: abort() and raise(). */
static int
add_tgkill(scmp_filter_ctx filter)
{
	struct scmp_arg_cmp self = {IS(0, (scmp_datum_t)getpid())};

	return add(filter, SCMP_ACT_ALLOW, SCMP_SYS(tgkill), 1, &self);
}

static int
add_role(scmp_filter_ctx filter, enum sandbox_role role)
{
	int fault = add_tgkill(filter);

	for (size_t i = 0; fault == 0 && i < COUNT(calls); i++)
		if ((calls[i].roles & FOR(role)) != 0)
			fault = add(filter, SCMP_ACT_ALLOW, calls[i].number, 0, NULL);
	for (size_t i = 0; fault == 0 && i < COUNT(rules); i++)
		if ((rules[i].roles & FOR(role)) != 0)
			fault = add(filter, rules[i].action, rules[i].number, rules[i].when.op != 0,
			    &rules[i].when);
	return fault == 0 && role == SANDBOX_WORKER ? add_sockets(filter) : fault;
}

static int
load(enum sandbox_role role)
{
	scmp_filter_ctx filter = seccomp_init(SCMP_ACT_KILL_PROCESS);
	int fault = -ENOMEM;

	if (filter == NULL)
		return fault;
	fault = seccomp_attr_set(filter, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS);
	if (fault == 0)
		fault = seccomp_attr_set(filter, SCMP_FLTATR_CTL_TSYNC, 1);
	if (fault == 0)
		fault = add_role(filter, role);
	if (fault == 0)
		fault = seccomp_load(filter);
	seccomp_release(filter);
	return fault;
}

bool
sandbox_close(enum sandbox_role role, const char **why)
{
	if (geteuid() == 0 || prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) != 1) {
		*why = "the sandbox cannot be closed by a process that kept its privileges";
		return false;
	}
	/* mktime() looks at /etc/localtime each time that it is called, and libraries call it for
	 * the dates in archives: not where TZ says it */
	if (setenv("TZ", "UTC0", 1) != 0) {
		*why = "the sandbox cannot be closed: no memory";
		return false;
	}
	tzset();
	if (load(role) != 0) {
		*why = "the sandbox cannot be closed: the kernel takes no seccomp filter";
		return false;
	}
	return true;
}
