#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include <cap-ng.h>
#include <errno.h>
#include <event2/buffer.h>
#include <event2/event.h>
#include <event2/http.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/seccomp.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/evp.h>
#include <pwd.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/shm.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "dns_server.h"
#include "ipc.h"
#include "record.h"
#include "resolver.h"
#include "sandbox.h"

#if defined(__SANITIZE_ADDRESS__)
#define SANITIZED
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SANITIZED
#endif
#endif

#define ANYBODY	 "nobody" /* every Debian has it; as another user than root it is not looked at */
#define RETURNED 42	  /* exit code of a child whose call came back */
#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

/*
 * A check inside of a child, whose asserts nobody would see: it ends, and says where.
 */
#define MUST(what)                                                                                 \
	do {                                                                                       \
		if (!(what)) {                                                                     \
			fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #what);                 \
			_exit(1);                                                                  \
		}                                                                                  \
	} while (0)

/* Runs run(arg) in a child; returns the status of its end, 0 where run() comes back. */
static int
in_child(void (*run)(const void *arg), const void *arg)
{
	pid_t pid = fork();
	int status;

	assert_true(pid >= 0);
	if (pid == 0) {
		run(arg);
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return status;
}

static void
drop(void)
{
	const char *why = "";

	if (!sandbox_drop(ANYBODY, &why)) {
		fprintf(stderr, "%s\n", why);
		_exit(1);
	}
}

static void
close_sandbox(enum sandbox_role role)
{
	const char *why = "";

	drop();
	if (!sandbox_close(role, &why)) {
		fprintf(stderr, "%s\n", why);
		_exit(1);
	}
}

/* ---- V-002: what a process that was taken over would try ---- */

#define W	   (1u << SANDBOX_WORKER)
#define L	   (1u << SANDBOX_LOGGER)
#define S	   (1u << SANDBOX_STATUS)
#define ALL	   (W | L | S)
#define P(pointer) ((long)(uintptr_t)(pointer))

/* The arguments do no harm should the call be let through. */
struct attempt {
	const char *name;
	unsigned roles; /* to which it is forbidden */
	long number, args[6];
};

static char page[4096] __attribute__((aligned(4096)));
static char *no_words[] = {NULL};

static const struct attempt attempts[] = {
/* A sanitizer itself reads files, starts a thread and traces with it: not to be asked there. */
#ifndef SANITIZED
#ifdef SYS_open
    {"open to read", ALL, SYS_open, {P("/etc/passwd"), O_RDONLY}},
#endif
    {"openat to read", ALL, SYS_openat, {AT_FDCWD, P("/etc/passwd"), O_RDONLY}},
#ifdef SYS_fork
    {"fork", ALL, SYS_fork, {0}},
#endif
    {"clone", ALL, SYS_clone, {SIGCHLD}},
    {"ptrace", ALL, SYS_ptrace, {PTRACE_TRACEME}},
    {"prctl", ALL, SYS_prctl, {PR_SET_DUMPABLE, 1}},
    {"prlimit64", ALL, SYS_prlimit64, {0, RLIMIT_NOFILE}},
#ifdef SYS_stat
    {"stat", ALL, SYS_stat, {P("/etc/passwd"), P(page)}},
#endif
#ifdef SYS_newfstatat
    {"newfstatat", ALL, SYS_newfstatat, {AT_FDCWD, P("/etc/passwd"), P(page)}},
#endif
    {"readlinkat", ALL, SYS_readlinkat, {AT_FDCWD, P("/proc/self/exe"), P(page), 64}},
    {"getdents64", ALL, SYS_getdents64, {0, P(page), sizeof(page)}},
    {"dup", ALL, SYS_dup, {0}},
#endif
#ifdef SYS_open
    {"open to write", ALL, SYS_open, {P("/tmp"), O_WRONLY}},
    {"open to create", ALL, SYS_open, {P("/"), O_CREAT, 0600}},
    {"creat", ALL, SYS_creat, {P("/"), 0600}},
    {"mkdir", ALL, SYS_mkdir, {P("/"), 0700}},
    {"unlink", ALL, SYS_unlink, {P("/")}},
#endif
    {"openat to create", ALL, SYS_openat, {AT_FDCWD, P("/"), O_RDWR | O_CREAT, 0600}},
    {"openat2", ALL, SYS_openat2, {AT_FDCWD, P("/etc/passwd"), P(page), 24}},
    {"open_by_handle_at", ALL, SYS_open_by_handle_at, {AT_FDCWD, P(page), 0}},
    {"mkdirat", ALL, SYS_mkdirat, {AT_FDCWD, P("/"), 0700}},
    {"unlinkat", ALL, SYS_unlinkat, {AT_FDCWD, P("/"), 0}},
    {"linkat", ALL, SYS_linkat, {AT_FDCWD, P("/"), AT_FDCWD, P("/")}},
    {"renameat2", ALL, SYS_renameat2, {AT_FDCWD, P("/"), AT_FDCWD, P("/")}},
    {"truncate", ALL, SYS_truncate, {P("/"), 0}},
    {"fchmod", ALL, SYS_fchmod, {-1, 0777}},
    {"execve", ALL, SYS_execve, {P("/bin/true"), P(no_words), P(no_words)}},
    {"execveat", ALL, SYS_execveat, {AT_FDCWD, P("/bin/true"), P(no_words), P(no_words)}},
    {"memfd_create", ALL, SYS_memfd_create, {P("x"), 0}},
    {"clone3", ALL, SYS_clone3, {P(page), 64}},

    {"mmap to execute", ALL, SYS_mmap,
	{0, sizeof(page), PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0}},
    {"mprotect to execute", ALL, SYS_mprotect, {P(page), sizeof(page), PROT_READ | PROT_EXEC}},
    {"mprotect to write and execute", ALL, SYS_mprotect,
	{P(page), sizeof(page), PROT_READ | PROT_WRITE | PROT_EXEC}},
    {"pkey_mprotect", ALL, SYS_pkey_mprotect, {P(page), sizeof(page), PROT_EXEC, -1}},
    {"shmat", ALL, SYS_shmat, {-1, 0, SHM_EXEC}},
    {"personality", ALL, SYS_personality, {0x0400000 /* READ_IMPLIES_EXEC */}},
    {"userfaultfd", ALL, SYS_userfaultfd, {0}},

    {"socket AF_PACKET", ALL, SYS_socket, {AF_PACKET, SOCK_RAW, 0}},
    {"socket AF_NETLINK", ALL, SYS_socket, {AF_NETLINK, SOCK_RAW, 0}},
    {"socket AF_UNIX", ALL, SYS_socket, {AF_UNIX, SOCK_STREAM, 0}},
    {"socket AF_ALG", ALL, SYS_socket, {AF_ALG, SOCK_SEQPACKET, 0}},
    {"socket AF_VSOCK", ALL, SYS_socket, {AF_VSOCK, SOCK_STREAM, 0}},
    {"socket raw IP", ALL, SYS_socket, {AF_INET, SOCK_RAW, IPPROTO_TCP}},
    {"socket raw IPv6", ALL, SYS_socket, {AF_INET6, SOCK_RAW, IPPROTO_ICMPV6}},
    {"socket ping", ALL, SYS_socket, {AF_INET, SOCK_DGRAM, IPPROTO_ICMP}},
    {"socket SCTP", ALL, SYS_socket, {AF_INET, SOCK_STREAM, IPPROTO_SCTP}},
    {"socket MPTCP", ALL, SYS_socket, {AF_INET, SOCK_STREAM, 262}},
    {"socket TCP", L | S, SYS_socket, {AF_INET, SOCK_STREAM, 0}},
    {"socket UDP over IPv6", L | S, SYS_socket, {AF_INET6, SOCK_DGRAM, 0}},
    {"socketpair", ALL, SYS_socketpair, {AF_UNIX, SOCK_STREAM, 0, P(page)}},
    {"connect", L | S, SYS_connect, {-1, P(page), 16}},
    {"bind", L | S, SYS_bind, {-1, P(page), 16}},
    {"listen", ALL, SYS_listen, {-1, 1}},
    {"accept4", L, SYS_accept4, {-1, 0, 0, 0}},
    {"setsockopt", L | S, SYS_setsockopt, {-1, SOL_SOCKET, SO_KEEPALIVE, P(page), 4}},
    {"a socket's filter", ALL, SYS_setsockopt, {-1, SOL_SOCKET, SO_ATTACH_FILTER, P(page), 16}},
    {"a socket's device", ALL, SYS_setsockopt, {-1, SOL_SOCKET, SO_BINDTODEVICE, P("lo"), 3}},
    {"TCP_ULP", ALL, SYS_setsockopt, {-1, IPPROTO_TCP, TCP_ULP, P("tls"), 3}},
    {"tables of netfilter", ALL, SYS_setsockopt, {-1, IPPROTO_IP, 64, P(page), 64}},
    {"splice", L | S, SYS_splice, {-1, 0, -1, 0, 1, 0}},
    {"tee", ALL, SYS_tee, {-1, -1, 1, 0}},
    {"vmsplice", ALL, SYS_vmsplice, {-1, P(page), 0, 0}},
    {"ioctl TIOCSTI", ALL, SYS_ioctl, {-1, TIOCSTI, P("x")}},
    {"ioctl SIOCGIFCONF", ALL, SYS_ioctl, {-1, 0x8912, P(page)}},
    {"fcntl F_SETOWN", ALL, SYS_fcntl, {-1, F_SETOWN, 1}},
    {"fcntl F_SETLEASE", ALL, SYS_fcntl, {-1, 1024, 0}},

    {"kill of another", ALL, SYS_kill, {1, 0}},
    {"tkill", ALL, SYS_tkill, {1, 0}},
    {"tgkill of another", ALL, SYS_tgkill, {1, 1, 0}},
    {"rt_sigqueueinfo", ALL, SYS_rt_sigqueueinfo, {1, 0, P(page)}},
    {"pidfd_open", ALL, SYS_pidfd_open, {1, 0}},
    {"pidfd_send_signal", ALL, SYS_pidfd_send_signal, {-1, 0, 0, 0}},
    {"pidfd_getfd", ALL, SYS_pidfd_getfd, {-1, 0, 0}},
    {"process_vm_readv", ALL, SYS_process_vm_readv, {1, P(page), 0, P(page), 0, 0}},
    {"process_vm_writev", ALL, SYS_process_vm_writev, {1, P(page), 0, P(page), 0, 0}},
    {"setpriority", ALL, SYS_setpriority, {PRIO_PROCESS, 0, 0}},

    {"setuid", ALL, SYS_setuid, {0}},
    {"setresuid", ALL, SYS_setresuid, {0, 0, 0}},
    {"setgid", ALL, SYS_setgid, {0}},
    {"setgroups", ALL, SYS_setgroups, {0, 0}},
    {"capset", ALL, SYS_capset, {0, 0}},
    {"mount", ALL, SYS_mount, {P("x"), P("/nowhere"), P("tmpfs"), 0, 0}},
    {"umount2", ALL, SYS_umount2, {P("/nowhere"), 0}},
    {"open_tree", ALL, SYS_open_tree, {AT_FDCWD, P("/nowhere"), 0}},
    {"fsopen", ALL, SYS_fsopen, {P("nothing"), 0}},
    {"chroot", ALL, SYS_chroot, {P("/nowhere")}},
    {"pivot_root", ALL, SYS_pivot_root, {P("/nowhere"), P("/nowhere")}},
    {"unshare", ALL, SYS_unshare, {CLONE_NEWUSER}},
    {"setns", ALL, SYS_setns, {-1, 0}},
    {"bpf", ALL, SYS_bpf, {0, P(page), 0}},
    {"perf_event_open", ALL, SYS_perf_event_open, {P(page), 0, -1, -1, 0}},
    {"io_uring_setup", ALL, SYS_io_uring_setup, {1, P(page)}},
    {"keyctl", ALL, SYS_keyctl, {0, -3, 0}},
    {"add_key", ALL, SYS_add_key, {P("user"), P("x"), P("x"), 1, -3}},
    {"seccomp", ALL, SYS_seccomp, {SECCOMP_GET_ACTION_AVAIL, 0, P(page)}},
    {"reboot", ALL, SYS_reboot, {0, 0, 0, 0}},
    {"kexec_load", ALL, SYS_kexec_load, {0, 0, 0, 0}},
    {"init_module", ALL, SYS_init_module, {0, 0, P("")}},
    {"finit_module", ALL, SYS_finit_module, {-1, P(""), 0}},
    {"swapon", ALL, SYS_swapon, {P("/nowhere"), 0}},
    {"sethostname", ALL, SYS_sethostname, {P("x"), -1}},
    {"settimeofday", ALL, SYS_settimeofday, {0, 0}},
    {"clock_settime", ALL, SYS_clock_settime, {-1, 0}},
    {"syslog", ALL, SYS_syslog, {10, 0, 0}},
    {"acct", ALL, SYS_acct, {P("/nowhere")}},
    {"quotactl", ALL, SYS_quotactl, {0, 0, 0, 0}},
    {"name_to_handle_at", ALL, SYS_name_to_handle_at, {AT_FDCWD, P("/"), P(page), P(page), 0}},
    {"inotify_init1", ALL, SYS_inotify_init1, {0}},
    {"fanotify_init", ALL, SYS_fanotify_init, {0, 0}},
    {"a call that does not exist", ALL, 100000, {0}},
#ifdef __x86_64__
    {"x32's getpid", ALL, 0x40000000 | SYS_getpid, {0}},
#endif
};

struct trial {
	enum sandbox_role role;
	const struct attempt *attempt;
};

static void
try(const void *arg)
{
	const struct trial *t = arg;
	const long *a = t->attempt->args;

	close_sandbox(t->role);
	syscall(t->attempt->number, a[0], a[1], a[2], a[3], a[4], a[5]);
	_exit(RETURNED);
}

static unsigned
assert_all_killed(enum sandbox_role role)
{
	unsigned n = 0, bad = 0;

	for (size_t i = 0; i < COUNT(attempts); i++) {
		struct trial t = {role, &attempts[i]};
		int status;

		if ((attempts[i].roles & 1u << role) == 0)
			continue;
		n++;
		status = in_child(try, &t);
		if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGSYS) {
			print_error("%s: status %#x\n", attempts[i].name, (unsigned)status);
			bad++;
		}
	}
	assert_int_equal(bad, 0);
	return n;
}

/* V-002 */
static void
test_worker_is_killed(void **state)
{
	(void)state;
	assert_true(assert_all_killed(SANDBOX_WORKER) > 80);
}

/* V-002, V-003: neither has a network, and there is no path that Landlock could be asked about. */
static void
test_logger_is_killed(void **state)
{
	(void)state;
	assert_true(assert_all_killed(SANDBOX_LOGGER) > 80);
}

static void
test_status_is_killed(void **state)
{
	(void)state;
	assert_true(assert_all_killed(SANDBOX_STATUS) > 80);
}

#ifdef __x86_64__
/* getpid() by the gate of 32-bit programs, where other numbers count. */
static void
call_as_i386(const void *arg)
{
	long result = 20;

	close_sandbox(*(const enum sandbox_role *)arg);
	__asm__ volatile("int $0x80" : "+a"(result) : : "memory", "r8", "r9", "r10", "r11");
	_exit(RETURNED);
}

/* V-002: SIGSEGV where the kernel has no such gate at all. */
static void
test_other_architecture(void **state)
{
	(void)state;
	for (enum sandbox_role role = 0; role < SANDBOX_ROLE_COUNT; role++) {
		int status = in_child(call_as_i386, &role);

		assert_true(WIFSIGNALED(status));
		assert_true(WTERMSIG(status) == SIGSYS || WTERMSIG(status) == SIGSEGV);
	}
}
#endif

/* ---- V-006, V-008: the drop ---- */

/* The rest of the line that begins with name. */
static const char *
status_line(const char *text, const char *name)
{
	static char line[256];
	const char *at = strstr(text, name);

	MUST(at != NULL);
	at += strlen(name);
	at += strspn(at, " \t");
	snprintf(line, sizeof(line), "%.*s", (int)strcspn(at, "\n"), at);
	return line;
}

static void
read_status(char *text, size_t max)
{
	int fd = open("/proc/self/status", O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, text, max - 1);

	MUST(n > 0);
	text[n] = '\0';
	close(fd);
}

static void
must_be_ids(const char *line, unsigned id)
{
	char want[64];

	snprintf(want, sizeof(want), "%u\t%u\t%u\t%u", id, id, id, id);
	MUST(strcmp(line, want) == 0);
}

/* Something to lose in the two sets that a change of the user leaves as they are. */
static void
raise_ambient(void)
{
	MUST(capng_get_caps_process() == 0);
	MUST(capng_update(CAPNG_ADD, CAPNG_INHERITABLE, CAP_NET_RAW) == 0);
	MUST(capng_apply(CAPNG_SELECT_CAPS) == 0);
	MUST(prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAP_NET_RAW, 0, 0) == 0);
}

static void
must_have_no_capability(const char *text)
{
	static const char none[] = "0000000000000000";

	MUST(strcmp(status_line(text, "\nCapInh:"), none) == 0);
	MUST(strcmp(status_line(text, "\nCapPrm:"), none) == 0);
	MUST(strcmp(status_line(text, "\nCapEff:"), none) == 0);
	MUST(strcmp(status_line(text, "\nCapAmb:"), none) == 0);
}

static void
drop_and_look(const void *arg)
{
	const struct passwd *user = getpwnam(ANYBODY);
	struct rlimit core;
	char text[8192];

	(void)arg;
	MUST(user != NULL);
	raise_ambient();
	drop();
	read_status(text, sizeof(text));
	must_be_ids(status_line(text, "\nUid:"), user->pw_uid);
	must_be_ids(status_line(text, "\nGid:"), user->pw_gid);
	MUST(status_line(text, "\nGroups:")[0] == '\0');
	must_have_no_capability(text);
	MUST(strcmp(status_line(text, "\nCapBnd:"), "0000000000000000") == 0);
	MUST(strcmp(status_line(text, "\nNoNewPrivs:"), "1") == 0);
	MUST(getrlimit(RLIMIT_CORE, &core) == 0 && core.rlim_cur == 0 && core.rlim_max == 0);
	MUST(umask(0) == 077);
	MUST(getcwd(text, sizeof(text)) != NULL && strcmp(text, "/") == 0);
}

/* V-008: every id, every group, every set of capabilities. */
static void
test_drop(void **state)
{
	(void)state;
	assert_int_equal(in_child(drop_and_look, NULL), 0);
}

static void
drop_and_return(const void *arg)
{
	(void)arg;
	drop();
	MUST(setuid(0) != 0 && errno == EPERM);
	MUST(setresuid(0, 0, 0) != 0 && errno == EPERM);
	MUST(setgid(0) != 0 && errno == EPERM);
	MUST(setgroups(1, &(gid_t){0}) != 0 && errno == EPERM);
	MUST(open("/etc/shadow", O_RDONLY | O_CLOEXEC) < 0 && errno == EACCES);
}

static void
test_no_way_back(void **state)
{
	(void)state;
	assert_int_equal(in_child(drop_and_return, NULL), 0);
}

/* V-006: what belongs to root cannot be opened or traced by others of the same user. */
static void
drop_and_hide(const void *arg)
{
	struct stat st;

	(void)arg;
	drop();
	MUST(prctl(PR_GET_DUMPABLE, 0, 0, 0, 0) == 0);
	MUST(stat("/proc/self/mem", &st) == 0);
	MUST(st.st_uid == 0);
}

static void
test_not_dumpable(void **state)
{
	(void)state;
	assert_int_equal(in_child(drop_and_hide, NULL), 0);
}

/* V-006: the kernel says whether it wrote a core. */
static void
drop_and_crash(const void *arg)
{
	static const struct rlimit much = {RLIM_INFINITY, RLIM_INFINITY};

	(void)arg;
	setrlimit(RLIMIT_CORE, &much);
	drop();
	signal(SIGQUIT, SIG_DFL);
	raise(SIGQUIT);
}

static void
test_no_core(void **state)
{
	int status;

	(void)state;
	status = in_child(drop_and_crash, NULL);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGQUIT && !WCOREDUMP(status));
}

/* Started as a user that was given a capability: it stays that user, and loses it. */
static void
drop_without_root(const void *arg)
{
	char text[8192];

	(void)arg;
	MUST(prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) == 0);
	MUST(setresgid(1, 1, 1) == 0 && setresuid(1, 1, 1) == 0);
	raise_ambient();
	drop();
	read_status(text, sizeof(text));
	must_be_ids(status_line(text, "\nUid:"), 1);
	must_have_no_capability(text);
	MUST(strcmp(status_line(text, "\nNoNewPrivs:"), "1") == 0);
}

static void
test_drop_without_root(void **state)
{
	(void)state;
	assert_int_equal(in_child(drop_without_root, NULL), 0);
}

/* Another /etc/passwd, for this process alone. */
static void
see_users(const char *passwd)
{
	char name[] = P_tmpdir "/postern-passwd-XXXXXX";
	int fd = mkstemp(name);

	MUST(fd >= 0 && write(fd, passwd, strlen(passwd)) == (ssize_t)strlen(passwd));
	MUST(fchmod(fd, 0644) == 0);
	close(fd);
	MUST(unshare(CLONE_NEWNS) == 0);
	MUST(mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0);
	MUST(mount(name, "/etc/passwd", NULL, MS_BIND, NULL) == 0);
	MUST(unlink(name) == 0);
}

struct refused {
	const char *user, *why;
};

static void
try_user(const void *arg)
{
	const struct refused *r = arg;
	const char *why = NULL;

	see_users("root:x:0:0::/:/bin/sh\ntoor:x:0:7::/:/bin/sh\nops:x:7:0::/:/bin/sh\n");
	MUST(!sandbox_check_user(r->user, &why));
	MUST(strcmp(why, r->why) == 0);
	why = NULL;
	MUST(!sandbox_drop(r->user, &why));
	MUST(strcmp(why, r->why) == 0);
}

/* V-008: as root without somebody to become. */
static void
test_users_refused(void **state)
{
	static const struct refused refused[] = {
	    {"root", "user \"root\" is root: name one that may do nothing"},
	    {"toor", "user \"toor\" is root: name one that may do nothing"},
	    {"ops", "user \"ops\" is of the group of root: give it its own"},
	    {"nobody-like-this", "user \"nobody-like-this\" does not exist"},
	    {"", "user \"\" does not exist"},
	};
	const char *why = NULL;

	(void)state;
	for (size_t i = 0; i < COUNT(refused); i++)
		assert_int_equal(in_child(try_user, &refused[i]), 0);
	assert_true(sandbox_check_user(ANYBODY, &why));
}

static void
close_undropped(const void *arg)
{
	const char *why = NULL;

	(void)arg;
	MUST(!sandbox_close(SANDBOX_WORKER, &why) && why != NULL); /* as root */
	MUST(setresuid(1, 1, 1) == 0);
	why = NULL;
	MUST(!sandbox_close(SANDBOX_WORKER, &why) && why != NULL);
	MUST(open("/etc/passwd", O_RDONLY | O_CLOEXEC) >= 0);
}

/* V-008 */
static void
test_close_needs_drop(void **state)
{
	(void)state;
	assert_int_equal(in_child(close_undropped, NULL), 0);
}

/* ---- what each must still be able to do ---- */

static int
tcp_listener(struct sockaddr_in *at)
{
	socklen_t n = sizeof(*at);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	*at =
	    (struct sockaddr_in){.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	MUST(fd >= 0 && bind(fd, (struct sockaddr *)at, n) == 0 && listen(fd, 8) == 0);
	MUST(getsockname(fd, (struct sockaddr *)at, &n) == 0);
	return fd;
}

struct round {
	struct event_base *base;
	struct event *client, *server;
	unsigned accepted, echoed, ticks, signals;
};

static void
on_echo(evutil_socket_t fd, short what, void *arg)
{
	char in[16];
	struct round *r = arg;

	(void)what;
	MUST(recv(fd, in, sizeof(in), 0) == 4 && memcmp(in, "ping", 4) == 0);
	r->echoed++;
}

static void
on_ping(evutil_socket_t fd, short what, void *arg)
{
	char in[16];

	(void)what;
	(void)arg;
	MUST(recv(fd, in, sizeof(in), 0) == 4 && send(fd, in, 4, MSG_NOSIGNAL) == 4);
}

static void
on_client(evutil_socket_t fd, short what, void *arg)
{
	struct round *r = arg;
	int on = 1, session = accept4(fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	(void)what;
	MUST(session >= 0);
	MUST(setsockopt(session, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)) == 0);
	MUST(setsockopt(session, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on)) == 0);
	MUST(setsockopt(session, SOL_SOCKET, SO_LINGER, &(struct linger){1, 0},
		 sizeof(struct linger)) == 0);
	r->accepted++;
	r->server = event_new(r->base, session, EV_READ | EV_PERSIST, on_ping, r);
	MUST(r->server != NULL && event_add(r->server, NULL) == 0);
}

static void
on_tick(evutil_socket_t fd, short what, void *arg)
{
	struct round *r = arg;

	(void)fd;
	(void)what;
	if (++r->ticks == 1)
		raise(SIGTERM);
	if (r->ticks == 50)
		event_base_loopbreak(r->base);
}

static void
on_term(evutil_socket_t fd, short what, void *arg)
{
	struct round *r = arg;

	(void)fd;
	(void)what;
	r->signals++;
}

/* A session in and out, a timer and a signal in one loop, all sockets but the listener made late.
 */
static void
serve_session(const void *arg)
{
	struct sockaddr_in at;
	struct round r = {.base = event_base_new()};
	int fd, listener = tcp_listener(&at);
	struct event *in = event_new(r.base, listener, EV_READ | EV_PERSIST, on_client, &r);
	struct event *tick = event_new(r.base, -1, EV_PERSIST, on_tick, &r);
	struct event *term = evsignal_new(r.base, SIGTERM, on_term, &r);

	(void)arg;
	MUST(evsignal_add(term, NULL) == 0);
	close_sandbox(SANDBOX_WORKER);
	fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	MUST(fd >= 0 && event_add(in, NULL) == 0);
	MUST(connect(fd, (struct sockaddr *)&at, sizeof(at)) == 0 && send(fd, "ping", 4, 0) == 4);
	r.client = event_new(r.base, fd, EV_READ | EV_PERSIST, on_echo, &r);
	MUST(event_add(r.client, NULL) == 0);
	MUST(event_add(tick, &(struct timeval){.tv_usec = 10000}) == 0);
	MUST(event_base_dispatch(r.base) == 0);
	MUST(r.accepted == 1 && r.echoed == 1 && r.signals == 1);
	MUST(shutdown(fd, SHUT_WR) == 0);
	close(event_get_fd(r.server));
	close(fd);
	event_free(r.client);
	event_free(r.server);
	event_free(in);
	event_free(tick);
	event_free(term);
	event_base_free(r.base);
}

static void
send_datagrams(const void *arg)
{
	static const int families[] = {AF_INET, AF_INET6};

	(void)arg;
	close_sandbox(SANDBOX_WORKER);
	for (size_t i = 0; i < COUNT(families); i++) {
		struct sockaddr_storage at = {.ss_family = (sa_family_t)families[i]};
		socklen_t n = sizeof(at);
		int fd = socket(families[i], SOCK_DGRAM | SOCK_CLOEXEC, IPPROTO_UDP);
		char in[8];

		if (families[i] == AF_INET)
			((struct sockaddr_in *)&at)->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
		else
			((struct sockaddr_in6 *)&at)->sin6_addr = in6addr_loopback;
		MUST(fd >= 0 && bind(fd, (struct sockaddr *)&at, sizeof(at)) == 0);
		MUST(getsockname(fd, (struct sockaddr *)&at, &n) == 0);
		MUST(sendto(fd, "ping", 4, 0, (struct sockaddr *)&at, n) == 4);
		MUST(recvfrom(fd, in, sizeof(in), 0, NULL, NULL) == 4);
		close(fd);
	}
}

/* Where a session came in: proxy/arrival.c asks this way. */
static void
ask_device(const void *arg)
{
	struct ifreq r = {.ifr_ifindex = (int)if_nametoindex("lo")};
	int fd, on = 1, n = 0;

	(void)arg;
	close_sandbox(SANDBOX_WORKER);
	fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, IPPROTO_TCP);
	MUST(fd >= 0 && ioctl(fd, SIOCGIFNAME, &r) == 0 && strcmp(r.ifr_name, "lo") == 0);
	MUST(setsockopt(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, &on, sizeof(on)) == 0);
	MUST(setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on)) == 0);
	MUST(ioctl(fd, FIONBIO, &on) == 0);
	MUST(fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK) == 0);
	MUST(setsockopt(fd, IPPROTO_IPV6, IPV6_TRANSPARENT, &on, sizeof(on)) != 0); /* no right */
	close(fd);
	fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	MUST(setsockopt(fd, IPPROTO_IP, IP_PKTINFO, &on, sizeof(on)) == 0);
	MUST(setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof(on)) == 0);
	MUST(ioctl(fd, FIONREAD, &n) != 0 && errno == EINVAL); /* the kernel's own word */
}

/* FTP's way of passing files on. */
static void
splice_through(const void *arg)
{
	int ends[2], a[2], b[2];
	char in[8];

	(void)arg;
	MUST(socketpair(AF_UNIX, SOCK_STREAM, 0, a) == 0);
	MUST(socketpair(AF_UNIX, SOCK_STREAM, 0, b) == 0);
	close_sandbox(SANDBOX_WORKER);
	MUST(pipe2(ends, O_CLOEXEC | O_NONBLOCK) == 0);
	MUST(fcntl(ends[1], F_SETPIPE_SZ, 65536) == 65536);
	MUST(write(a[0], "file", 4) == 4);
	MUST(splice(a[1], NULL, ends[1], NULL, 4, SPLICE_F_MOVE | SPLICE_F_NONBLOCK) == 4);
	MUST(splice(ends[0], NULL, b[0], NULL, 4, SPLICE_F_MOVE) == 4);
	MUST(read(b[1], in, sizeof(in)) == 4 && memcmp(in, "file", 4) == 0);
}

static void
take_sockets(const void *arg)
{
	struct ipc_message m = {.type = IPC_SOCKETS, .a = 4};
	int ends[2], fds[IPC_FDS_MAX], sent;
	const char *why = NULL;
	size_t n;

	(void)arg;
	MUST(ipc_pair(ends));
	close_sandbox(SANDBOX_WORKER);
	sent = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	MUST(ipc_send(ends[0], &m, &sent, 1) == IPC_OK);
	MUST(ipc_receive(ends[1], IPC_FROM_SUPERVISOR_TO_WORKER, &m, fds, &n, &why) == IPC_OK);
	MUST(n == 1 && m.type == IPC_SOCKETS && fds[0] != sent);
}

static void
test_worker_works(void **state)
{
	(void)state;
	assert_int_equal(in_child(serve_session, NULL), 0);
	assert_int_equal(in_child(send_datagrams, NULL), 0);
	assert_int_equal(in_child(ask_device, NULL), 0);
	assert_int_equal(in_child(splice_through, NULL), 0);
	assert_int_equal(in_child(take_sockets, NULL), 0);
}

static void
on_answered(void *base)
{
	event_base_loopbreak(base);
}

static void
must_answer(struct event_base *base, struct resolver *r, const char *name, enum dns_status want)
{
	struct answers *answers = answers_new();
	struct dns_question q;
	enum dns_status status;

	MUST(dns_question_set(&q, DNS_MX, span_str(name)));
	MUST(resolver_ask(r, &q, 1, 5000, answers, on_answered, base) != NULL);
	event_base_dispatch(base);
	MUST(answers_status(answers, DNS_MX, name, &status));
	MUST(status == want);
	answers_free(answers);
}

static void
look_up(const void *arg)
{
	const struct dns_server *server = arg;
	struct event_base *base = event_base_new();
	char text[64], *servers[] = {text, NULL};
	const char *why = NULL;
	struct resolver *r;

	snprintf(text, sizeof(text), "127.0.0.1@%u", server->port);
	r = resolver_new(base, servers, &why);
	MUST(r != NULL);
	close_sandbox(SANDBOX_WORKER);
	must_answer(base, r, "good.zone", DNS_OK);
	must_answer(base, r, "big.zone", DNS_OK); /* by TCP */
	must_answer(base, r, "nx.zone", DNS_NXDOMAIN);
	must_answer(base, r, "servfail.zone", DNS_FAILED);
	must_answer(base, r, "never.zone", DNS_TIMEOUT);
	resolver_free(r);
	event_base_free(base);
}

static void
test_look_up(void **state)
{
	struct dns_server *server = dns_server_start();
	int status = in_child(look_up, server);

	(void)state;
	dns_server_stop(server);
	assert_int_equal(status, 0);
}

static void
write_log(const void *arg)
{
	int null = open("/dev/null", O_WRONLY | O_CLOEXEC);
	char name[] = P_tmpdir "/postern-log-XXXXXX";
	int ends[2], fd = mkstemp(name);
	struct pollfd p = {.events = POLLIN};
	struct stat st;

	(void)arg;
	MUST(fd >= 0 && unlink(name) == 0 && pipe2(ends, O_CLOEXEC) == 0);
	p.fd = ends[0];
	close_sandbox(SANDBOX_LOGGER);
	MUST(poll(&p, 1, 10) == 0);
	MUST(write(ends[1], "line\n", 5) == 5 && poll(&p, 1, 1000) == 1);
	MUST(write(fd, "line\n", 5) == 5 && fsync(fd) == 0 && fdatasync(fd) == 0);
	MUST(fstat(fd, &st) == 0 && st.st_size == 5);
	MUST(dprintf(null, "%d\n", fd) > 0);
	close(fd);
}

static void
test_logger_works(void **state)
{
	(void)state;
	assert_int_equal(in_child(write_log, NULL), 0);
}

/* ---- status: libevent's HTTP server on listeners that were handed over ---- */

static void
on_request(struct evhttp_request *request, void *arg)
{
	struct evbuffer *body = evbuffer_new();
	struct evhttp_connection *from = evhttp_request_get_connection(request);

	(void)arg;
	MUST(from != NULL && body != NULL && evbuffer_add_printf(body, "served\n") == 7);
	evhttp_send_reply(request, 200, "OK", body);
	evbuffer_free(body);
}

struct listeners {
	int unix_fd, tcp_fd;
};

static void
serve_status(const void *arg)
{
	const struct listeners *l = arg;
	struct event_base *base = event_base_new();
	struct evhttp *http = evhttp_new(base);

	evhttp_set_gencb(http, on_request, NULL);
	MUST(evhttp_accept_socket(http, l->unix_fd) == 0);
	MUST(evhttp_accept_socket(http, l->tcp_fd) == 0);
	tzset(); /* for the Date field */
	close_sandbox(SANDBOX_STATUS);
	MUST(event_base_dispatch(base) == 0);
}

static void
assert_served(const struct sockaddr *at, socklen_t n)
{
	static const char request[] = "GET / HTTP/1.0\r\n\r\n";
	int fd = socket(at->sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	char in[1024] = "";
	ssize_t got;
	size_t have = 0;

	assert_int_equal(connect(fd, at, n), 0);
	assert_int_equal(send(fd, request, strlen(request), MSG_NOSIGNAL), strlen(request));
	while (have < sizeof(in) - 1 && (got = recv(fd, in + have, sizeof(in) - 1 - have, 0)) > 0)
		have += (size_t)got;
	close(fd);
	assert_int_equal(strncmp(in, "HTTP/1.0 200 OK\r\n", 17), 0);
	assert_non_null(strstr(in, "\r\n\r\nserved\n"));
}

static void
test_status_works(void **state)
{
	struct sockaddr_un path = {.sun_family = AF_UNIX};
	struct sockaddr_in at;
	struct listeners l = {.tcp_fd = tcp_listener(&at)};
	int status;
	pid_t pid;

	(void)state;
	snprintf(path.sun_path + 1, sizeof(path.sun_path) - 1, "postern-test-%d", getpid());
	l.unix_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	assert_int_equal(bind(l.unix_fd, (struct sockaddr *)&path, sizeof(path)), 0);
	assert_int_equal(listen(l.unix_fd, 8), 0);
	pid = fork();
	if (pid == 0) {
		serve_status(&l);
		_exit(0);
	}
	close(l.unix_fd);
	close(l.tcp_fd);
	assert_served((struct sockaddr *)&path, sizeof(path));
	assert_served((struct sockaddr *)&at, sizeof(at));
	assert_int_equal(waitpid(pid, &status, WNOHANG), 0); /* still there */
	assert_int_equal(kill(pid, SIGKILL), 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
}

/* ---- what all of them do ---- */

static void
on_line(void *arg, const char *line, size_t n)
{
	size_t *sum = arg;

	MUST(n > 2 && line[n - 1] == '\n');
	*sum += n;
}

static int
compare(const void *a, const void *b)
{
	return memcmp(a, b, sizeof(uint64_t));
}

static void
use_memory(void)
{
	static uint64_t many[8192];
	volatile uint8_t *p;
	void *block = malloc(64u << 20);

	MUST(block != NULL);
	memset(block, 1, 64u << 20);
	block = realloc(block, 80u << 20);
	p = block;
	MUST(p != NULL && p[(64u << 20) - 1] == 1);
	free(block);
	qsort(many, COUNT(many), sizeof(many[0]), compare);
}

static void
compute(const void *arg)
{
	static const uint8_t empty[] = {0xe3, 0xb0, 0xc4, 0x42};
	EVP_MD *sha256 = EVP_MD_fetch(NULL, "SHA256", NULL);
	uint8_t digest[EVP_MAX_MD_SIZE];
	time_t now = time(NULL);
	char text[64];
	size_t sum = 0;
	struct tm tm;

	MUST(record_init());
	MUST(sha256 != NULL);
	tzset();
	close_sandbox(*(const enum sandbox_role *)arg);
	record_stats("sandbox", 1, "text", on_line, &sum);
	MUST(sum > 0);
	MUST(EVP_Digest("", 0, digest, NULL, sha256, NULL) == 1 && memcmp(digest, empty, 4) == 0);
	EVP_MD_free(sha256);
	use_memory();
	MUST(localtime_r(&now, &tm) != NULL && strftime(text, sizeof(text), "%F %T %Z", &tm) > 0);
	MUST(nanosleep(&(struct timespec){.tv_nsec = 1000}, NULL) == 0);
	MUST(dprintf(STDERR_FILENO, "%s", "") == 0 && fflush(stdout) == 0);
	MUST(fprintf(stdout, "# %s\n", text) > 0 && fflush(stdout) == 0);
}

static void
test_all_compute(void **state)
{
	(void)state;
	for (enum sandbox_role role = 0; role < SANDBOX_ROLE_COUNT; role++)
		assert_int_equal(in_child(compute, &role), 0);
}

static void
end_by_abort(const void *arg)
{
	close_sandbox(*(const enum sandbox_role *)arg);
	abort();
}

static void
end_by_exit(const void *arg)
{
	close_sandbox(*(const enum sandbox_role *)arg);
	exit(7); /* a sanitizer looks for leaks in there */
}

static void
test_all_end(void **state)
{
	(void)state;
	for (enum sandbox_role role = 0; role < SANDBOX_ROLE_COUNT; role++) {
		int status = in_child(end_by_abort, &role);

		assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
		status = in_child(end_by_exit, &role);
		assert_true(WIFEXITED(status));
		assert_int_equal(WEXITSTATUS(status), 7);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_worker_is_killed),
	    cmocka_unit_test(test_logger_is_killed),
	    cmocka_unit_test(test_status_is_killed),
#ifdef __x86_64__
	    cmocka_unit_test(test_other_architecture),
#endif
	    cmocka_unit_test(test_drop),
	    cmocka_unit_test(test_no_way_back),
	    cmocka_unit_test(test_not_dumpable),
	    cmocka_unit_test(test_no_core),
	    cmocka_unit_test(test_drop_without_root),
	    cmocka_unit_test(test_users_refused),
	    cmocka_unit_test(test_close_needs_drop),
	    cmocka_unit_test(test_worker_works),
	    cmocka_unit_test(test_look_up),
	    cmocka_unit_test(test_logger_works),
	    cmocka_unit_test(test_status_works),
	    cmocka_unit_test(test_all_compute),
	    cmocka_unit_test(test_all_end),
	};

	return cmocka_run_group_tests_name("sandbox", tests, NULL, NULL);
}
