#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <linux/if_packet.h>
#include <linux/seccomp.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/shm.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#include "sandbox_child.h"

#define RETURNED 42 /* exit code of a child whose call came back */

/* ---- V-002: what a process that was taken over would try ---- */

#define W	   (1u << SANDBOX_WORKER)
#define L	   (1u << SANDBOX_LOGGER)
#define S	   (1u << SANDBOX_STATUS)
#define K	   (1u << SANDBOX_SIGNER) /* it has the keys */
#define V	   (1u << SANDBOX_WATCH)
#define X	   (1u << SANDBOX_WATCH_EXTRACT)
#define T	   (1u << SANDBOX_TAP)	   /* it makes files, and removes some */
#define OFFLINE	   (L | S | K | V | X | T) /* without a socket of their own making */
#define ALL	   (W | OFFLINE)
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
    {"open to read", ALL & ~(V | X), SYS_open, {P("/etc/passwd"), O_RDONLY}},
#endif
    {"openat to read", ALL & ~(V | X), SYS_openat, {AT_FDCWD, P("/etc/passwd"), O_RDONLY}},
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
    {"newfstatat", ALL & ~X, SYS_newfstatat, {AT_FDCWD, P("/etc/passwd"), P(page)}},
#endif
    {"readlinkat", ALL, SYS_readlinkat, {AT_FDCWD, P("/proc/self/exe"), P(page), 64}},
    {"getdents64", ALL & ~T, SYS_getdents64, {0, P(page), sizeof(page)}},
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
    {"openat to write", ALL, SYS_openat, {AT_FDCWD, P("/tmp"), O_WRONLY | O_CREAT, 0600}},
    {"openat to truncate", ALL, SYS_openat,
	{AT_FDCWD, P("/tmp"), O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600}},
    {"openat2", ALL, SYS_openat2, {AT_FDCWD, P("/etc/passwd"), P(page), 24}},
    {"open_by_handle_at", ALL, SYS_open_by_handle_at, {AT_FDCWD, P(page), 0}},
    {"mkdirat", ALL, SYS_mkdirat, {AT_FDCWD, P("/"), 0700}},
    {"unlinkat", ALL & ~X & ~T, SYS_unlinkat, {AT_FDCWD, P("/"), 0}},
    {"linkat", ALL & ~X, SYS_linkat, {AT_FDCWD, P("/"), AT_FDCWD, P("/")}},
    {"renameat2", ALL & ~X, SYS_renameat2, {AT_FDCWD, P("/"), AT_FDCWD, P("/")}},
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
    {"socket TCP", OFFLINE, SYS_socket, {AF_INET, SOCK_STREAM, 0}},
    {"socket UDP over IPv6", OFFLINE, SYS_socket, {AF_INET6, SOCK_DGRAM, 0}},
    {"socketpair", ALL, SYS_socketpair, {AF_UNIX, SOCK_STREAM, 0, P(page)}},
    {"connect", OFFLINE, SYS_connect, {-1, P(page), 16}},
    {"bind", OFFLINE, SYS_bind, {-1, P(page), 16}},
    {"listen", ALL, SYS_listen, {-1, 1}},
    {"accept4", L | K | V | X | T, SYS_accept4, {-1, 0, 0, 0}},
    {"setsockopt", OFFLINE, SYS_setsockopt, {-1, SOL_SOCKET, SO_KEEPALIVE, P(page), 4}},
    {"a socket's filter", ALL, SYS_setsockopt, {-1, SOL_SOCKET, SO_ATTACH_FILTER, P(page), 16}},
    {"a socket's device", ALL, SYS_setsockopt, {-1, SOL_SOCKET, SO_BINDTODEVICE, P("lo"), 3}},
    {"TCP_ULP", ALL, SYS_setsockopt, {-1, IPPROTO_TCP, TCP_ULP, P("tls"), 3}},
    {"tables of netfilter", ALL, SYS_setsockopt, {-1, IPPROTO_IP, 64, P(page), 64}},
    {"a socket's mark", ALL, SYS_setsockopt, {-1, SOL_SOCKET, SO_MARK, P(page), 4}},
    {"urgent octets' owner", ALL, SYS_ioctl, {-1, 0x8901 /* FIOSETOWN */, P(page)}},
    {"fcntl F_SETPIPE_SZ", OFFLINE, SYS_fcntl, {-1, F_SETPIPE_SZ, 65536}},
    {"pipe2", OFFLINE, SYS_pipe2, {P(page), O_CLOEXEC}},
    {"splice", OFFLINE, SYS_splice, {-1, 0, -1, 0, 1, 0}},
    {"tee", ALL, SYS_tee, {-1, -1, 1, 0}},
    {"vmsplice", ALL, SYS_vmsplice, {-1, P(page), 0, 0}},
    {"ioctl TIOCSTI", ALL, SYS_ioctl, {-1, TIOCSTI, P("x")}},
    {"fcntl F_ADD_SEALS", ALL, SYS_fcntl, {-1, F_ADD_SEALS, 0}},
    {"ftruncate", ALL & ~T, SYS_ftruncate, {-1, 0}},
    {"pwrite64", ALL, SYS_pwrite64, {-1, P(page), 0, 0}},
    {"pread64", W | S | K | T, SYS_pread64, {-1, P(page), 0, 0}},
    {"fsync", ALL & ~L, SYS_fsync, {-1}},
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

/* T-016: nothing that could send a key away but answers to workers. */
static void
test_signer_is_killed(void **state)
{
	(void)state;
	assert_true(assert_all_killed(SANDBOX_SIGNER) > 80);
}

static void
test_watch_is_killed(void **state)
{
	(void)state;
	assert_true(assert_all_killed(SANDBOX_WATCH) > 80);
}

static void
test_watch_that_extracts_is_killed(void **state)
{
	(void)state;
	assert_true(assert_all_killed(SANDBOX_WATCH_EXTRACT) > 80);
}

#ifndef SANITIZED
/* libpcap tries, and goes on without; whoever extracts makes files, and reads none either. */
static void
read_a_file(const void *arg)
{
	close_sandbox(*(const enum sandbox_role *)arg);
	MUST(open("/etc/passwd", O_RDONLY) < 0 && errno == EACCES);
	MUST(open("/etc/passwd", O_RDONLY | O_CLOEXEC) < 0 && errno == EACCES);
	MUST(setsockopt(0, SOL_PACKET, PACKET_RX_RING, page, 16) < 0 && errno == EPERM);
}

static void
test_watch_reads_no_files(void **state)
{
	static const enum sandbox_role roles[] = {SANDBOX_WATCH, SANDBOX_WATCH_EXTRACT};

	(void)state;
	for (size_t i = 0; i < COUNT(roles); i++)
		assert_int_equal(in_child(read_a_file, &roles[i]), 0);
}
#endif

/* of files it may make new ones, and read none. */
static void
test_capture_is_killed(void **state)
{
	(void)state;
	assert_true(assert_all_killed(SANDBOX_TAP) > 80);
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

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_worker_is_killed),
	    cmocka_unit_test(test_logger_is_killed),
	    cmocka_unit_test(test_status_is_killed),
	    cmocka_unit_test(test_signer_is_killed),
	    cmocka_unit_test(test_capture_is_killed),
	    cmocka_unit_test(test_watch_is_killed),
	    cmocka_unit_test(test_watch_that_extracts_is_killed),
#ifndef SANITIZED
	    cmocka_unit_test(test_watch_reads_no_files),
#endif
#ifdef __x86_64__
	    cmocka_unit_test(test_other_architecture),
#endif
	};

	return cmocka_run_group_tests_name("sandbox filter", tests, NULL, NULL);
}
