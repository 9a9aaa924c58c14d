# Postern: one Makefile, not recursive. "make help" says what can be made.

CC       = gcc
SAN     ?=
FUZZ    ?=
BUILD   ?= build$(if $(SAN),/san)$(if $(FUZZ),/fuzz)
PREFIX  ?= /usr
DESTDIR ?=
UNITDIR ?= $(PREFIX)/lib/systemd/system
CASES   ?=
PYTHON  ?= /usr/bin/python3
VERSION := 0.1

# Every package comes from Debian 12. deps: what the build needs. deps-test: what checks it.
DEPS      := gcc libc6-dev make pkg-config libssl-dev libidn2-dev libevent-dev libconfuse-dev \
	libjansson-dev libunbound-dev libnftnl-dev libmnl-dev libseccomp-dev libcap-ng-dev file \
	libmagic-dev libarchive-dev zlib1g-dev libpcap-dev
DEPS_TEST := libcmocka-dev clang libclang-rt-dev clang-format clang-tidy cppcheck shellcheck \
	mandoc python3 python3-pytest python3-pytest-xdist systemd logrotate valgrind strace
# deps-bench: what is measured beside ours. deps-deb: what makes the package. deps-root: what makes and
# boots a bare Debian.
DEPS_BENCH := haproxy libgmime-3.0-dev openssl nginx libnginx-mod-mail libnginx-mod-stream sslsplit tshark tcpflow \
	ftp-proxy
DEPS_DEB  := debhelper dpkg-dev lintian
DEPS_ROOT := git debootstrap systemd-container util-linux

PKGS_ANALYZERS := libcrypto libmagic libarchive zlib
PKGS_RULES     := $(PKGS_ANALYZERS) libidn2 libnftnl libmnl
PKGS_PROXY     := $(PKGS_RULES) libevent libconfuse jansson libssl libunbound libseccomp libcap-ng libpcap

comma := ,
WARN := -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wsign-conversion -Wstrict-prototypes \
	-Wmissing-prototypes -Wold-style-definition -Wpointer-arith -Wcast-qual -Wcast-align \
	-Wwrite-strings -Wundef -Wvla -Wformat=2 -Wswitch-enum -Werror
SANITIZE := $(if $(SAN)$(FUZZ),-fsanitize=address$(comma)undefined -fno-sanitize-recover=all)
OPT      := $(if $(SANITIZE),-O1 -fno-omit-frame-pointer,-O2)
# takes: the options, where this compiler has them for this machine (clang 14 wants two of them for one)
takes = $(shell echo 'int x;' | $(CC) -Werror $(1) -x c -c -o /dev/null - 2>/dev/null && echo '$(1)')
ZERO     := -ftrivial-auto-var-init=zero
HARD     := -fstack-protector-strong -fPIE $(if $(SANITIZE),,-U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=3 \
	$(call takes,-fstack-clash-protection) $(call takes,-fcf-protection) $(or $(call takes,$(ZERO)), \
	$(call takes,$(ZERO) -enable-trivial-auto-var-init-zero-knowing-it-will-be-removed-from-clang)))

# A room sees only the rooms to its left: an include against the arrows does not compile.
SEES = -I. -Ianalyzers -Irules -Iproxy
$(BUILD)/obj/analyzers/%.o: SEES = -Ianalyzers
$(BUILD)/obj/rules/%.o: SEES = -Ianalyzers -Irules

CPPFLAGS += -D_GNU_SOURCE -DPOSTERN_VERSION='"$(VERSION)"'
CFLAGS   += -std=c17 -g $(OPT) $(HARD) $(WARN) $(SANITIZE)
CFLAGS   += $(if $(FUZZ),-fsanitize=fuzzer-no-link)
LDFLAGS  += -pie -Wl,-z,relro,-z,now,-z,noexecstack,--as-needed $(SANITIZE)
libs = $(shell pkg-config --libs $(1))

SRC_ANALYZERS := $(sort $(wildcard analyzers/*/*.c))
SRC_RULES     := $(sort $(wildcard rules/*.c))
SRC_PROXY     := $(sort $(wildcard proxy/*.c))
SRC_UNIT      := $(sort $(wildcard tests/unit/*/test_*.c tests/unit/*/*/test_*.c))
SRC_FUZZ      := $(sort $(wildcard tests/fuzz/fuzz_*.c))
SRC_HELPERS   := $(sort $(wildcard tests/net/*.c tests/captures/*.c))
SRC           := $(SRC_ANALYZERS) $(SRC_RULES) $(SRC_PROXY) $(SRC_UNIT) $(SRC_HELPERS) \
	$(wildcard tests/fuzz/*.c tests/net/preload/*.c tests/unit/*.c tests/bench/*.c \
	tests/counted/*.c tests/vectors/*.c)
HEADERS       := $(sort $(wildcard analyzers/*/*.h rules/*.h proxy/*.h tests/*/*.h tests/*/*/*.h \
	tests/*/*/*/*.h))
SCRIPTS       := $(wildcard .ci/run packaging/*.sh tests/*.sh tests/*/*.sh packaging/debian/postern.p* \
	packaging/postern.bash-completion)

obj = $(patsubst %.c,$(BUILD)/obj/%.o,$(1))
LIB_ANALYZERS := $(BUILD)/libanalyzers.a
LIB_RULES     := $(BUILD)/librules.a
# all of proxy/ but main, so that tests can link it
LIB_PROXY     := $(BUILD)/libproxy.a
UNITS   := $(patsubst tests/unit/%.c,$(BUILD)/unit/%,$(SRC_UNIT))
REPLAYS := $(patsubst tests/fuzz/%.c,$(BUILD)/replay/%,$(SRC_FUZZ))
FUZZERS := $(patsubst tests/fuzz/%.c,$(BUILD)/fuzzer/%,$(SRC_FUZZ))

# Under a make that already shares out its jobs, ours come from there.
JOBS     := $(shell nproc)
PARALLEL  = $(MAKE) --no-print-directory $(if $(filter -j% --jobserver%,$(MAKEFLAGS)),,-j$(JOBS))

# One line a file; V=1 shows the commands.
V ?=
Q := $(if $(V),,@)
say = $(if $(V),,@echo "  $(1) $@")

.DELETE_ON_ERROR:
.SECONDARY:

## all: the gateway, build/postern (SAN=1: under ASan and UBSan, in build/san)
.PHONY: all
all: $(BUILD)/postern

$(BUILD)/postern: $(call obj,proxy/main.c) $(LIB_PROXY) $(LIB_RULES) $(LIB_ANALYZERS)
	$(call say,LD)
	$(Q)$(CC) $(LDFLAGS) -o $@ $^ $(call libs,$(PKGS_PROXY))
$(LIB_ANALYZERS): $(call obj,$(SRC_ANALYZERS)) $(BUILD)/obj/types_magic.o
$(LIB_RULES): $(call obj,$(SRC_RULES))
$(LIB_PROXY): $(call obj,$(filter-out proxy/main.c,$(SRC_PROXY)))
$(BUILD)/%.a:
	@mkdir -p $(@D)
	@rm -f $@
	$(call say,AR)
	$(Q)$(AR) qcs $@ $^

$(BUILD)/obj/%.o: %.c Makefile
	@mkdir -p $(@D)
	$(call say,CC)
	$(Q)$(CC) $(CPPFLAGS) $(SEES) $(CFLAGS) -MMD -MP -c -o $@ $<

# The database of file types: libmagic's compiler makes it, C takes it in, and with it how they begin.
$(BUILD)/types_magic.c: analyzers/mime/types.magic analyzers/mime/types_begin.awk Makefile
	@mkdir -p $(@D)
	$(call say,GEN)
	$(Q)cd $(@D) && file -C -m $(abspath $<)
	$(Q){ echo '#include "mime/types_magic.h"'; echo 'const unsigned char types_magic[] = {'; \
	    od -An -v -tx1 $(@D)/types.magic.mgc | sed 's/ \(..\)/0x\1,/g'; \
	    echo '};'; echo 'const size_t types_magic_n = sizeof(types_magic);'; } >$@
	$(Q)awk -f analyzers/mime/types_begin.awk $< >>$@
$(BUILD)/obj/types_magic.o: $(BUILD)/types_magic.c
	@mkdir -p $(@D)
	$(call say,CC)
	$(Q)$(CC) $(CPPFLAGS) -Ianalyzers $(CFLAGS) -c -o $@ $<

# The tests of a room link nothing from the rooms to its right.
.PHONY: units replays fuzzers
units: $(UNITS)
$(BUILD)/unit/analyzers/%: $(BUILD)/obj/tests/unit/analyzers/%.o $(LIB_ANALYZERS)
	@mkdir -p $(@D)
	$(call say,LD)
	$(Q)$(CC) $(LDFLAGS) -o $@ $^ $(call libs,$(PKGS_ANALYZERS)) -lcmocka
$(BUILD)/unit/rules/%: $(BUILD)/obj/tests/unit/rules/%.o $(LIB_RULES) $(LIB_ANALYZERS)
	@mkdir -p $(@D)
	$(call say,LD)
	$(Q)$(CC) $(LDFLAGS) -o $@ $^ $(call libs,$(PKGS_RULES)) -lcmocka
$(BUILD)/unit/%: $(BUILD)/obj/tests/unit/%.o $(LIB_PROXY) $(LIB_RULES) $(LIB_ANALYZERS)
	@mkdir -p $(@D)
	$(call say,LD)
	$(Q)$(CC) $(LDFLAGS) -o $@ $^ $(call libs,$(PKGS_PROXY)) -lcmocka

# What parses messages and FTP, and what speaks TLS, must survive that memory runs out.
ALLOC_WRAP := -Wl,--wrap=malloc,--wrap=calloc,--wrap=realloc,--wrap=reallocarray
UNITS_ALLOC := $(filter $(addprefix $(BUILD)/unit/analyzers/,mime/% ftp/% pop3/% imap/% smtp/% net/% tcp/%),$(UNITS)) \
	$(BUILD)/unit/analyzers/tls/test_keylog $(addprefix $(BUILD)/unit/proxy/,test_deadlines test_tls_leg test_tls_opening)
$(UNITS_ALLOC): $(BUILD)/obj/tests/unit/alloc.o
$(UNITS_ALLOC): LDFLAGS += $(ALLOC_WRAP)

# What hardly ever fails is made to fail, and calls are counted.
$(BUILD)/unit/proxy/test_data_service: LDFLAGS += -Wl,--wrap=bind,--wrap=listen
$(BUILD)/unit/proxy/test_capture_device: LDFLAGS += -Wl,--wrap=pcap_stats
$(BUILD)/unit/proxy/test_data_pump: LDFLAGS += -Wl,--wrap=recvmsg,--wrap=sendmsg
$(BUILD)/unit/rules/test_firewall: LDFLAGS += -Wl,--wrap=nftnl_table_alloc,--wrap=nftnl_chain_alloc
$(BUILD)/unit/rules/test_firewall: LDFLAGS += -Wl,--wrap=nftnl_rule_alloc,--wrap=nftnl_set_alloc

# What tests in Python drive beside the gateway.
HELPERS := $(SRC_HELPERS:tests/%.c=$(BUILD)/%)
.PHONY: helpers
helpers: $(HELPERS)
$(HELPERS): $(BUILD)/%: $(BUILD)/obj/tests/%.o $(LIB_PROXY) $(LIB_RULES) $(LIB_ANALYZERS)
	@mkdir -p $(@D)
	$(call say,LD)
	$(Q)$(CC) $(LDFLAGS) -o $@ $^ $(call libs,$(PKGS_PROXY))

# What instructions are counted of.
$(BUILD)/counted/%: $(BUILD)/obj/tests/counted/%.o $(LIB_ANALYZERS)
	@mkdir -p $(@D)
	$(call say,LD)
	$(Q)$(CC) $(LDFLAGS) -o $@ $^ $(call libs,$(PKGS_ANALYZERS))

# One harness, two drivers: any compiler replays the corpora, clang's libFuzzer makes new input.
replays: $(REPLAYS)
$(BUILD)/replay/%: $(BUILD)/obj/tests/fuzz/%.o $(BUILD)/obj/tests/fuzz/standalone.o $(LIB_RULES) \
		$(LIB_ANALYZERS)
	@mkdir -p $(@D)
	$(call say,LD)
	$(Q)$(CC) $(LDFLAGS) -o $@ $(GROUP) $(call libs,$(PKGS_PROXY))
fuzzers: $(FUZZERS)
$(BUILD)/fuzzer/%: $(BUILD)/obj/tests/fuzz/%.o $(LIB_RULES) $(LIB_ANALYZERS)
	@mkdir -p $(@D)
	$(call say,LD)
	$(Q)$(CC) $(LDFLAGS) -fsanitize=fuzzer -o $@ $(GROUP) $(call libs,$(PKGS_PROXY))
# the gates are a room further right than the parsers
$(BUILD)/replay/fuzz_gate $(BUILD)/fuzzer/fuzz_gate: $(LIB_PROXY)
$(BUILD)/replay/fuzz_capture $(BUILD)/fuzzer/fuzz_capture: $(LIB_PROXY)
$(BUILD)/replay/fuzz_ftp_gate $(BUILD)/fuzzer/fuzz_ftp_gate: $(LIB_PROXY)
$(BUILD)/replay/fuzz_ftp_observed $(BUILD)/fuzzer/fuzz_ftp_observed: $(LIB_PROXY)
$(BUILD)/replay/fuzz_imap_gate $(BUILD)/fuzzer/fuzz_imap_gate: $(LIB_PROXY)
$(BUILD)/replay/fuzz_mint $(BUILD)/fuzzer/fuzz_mint: $(LIB_PROXY)
$(BUILD)/replay/fuzz_retrieval_seen $(BUILD)/fuzzer/fuzz_retrieval_seen: $(LIB_PROXY)
GROUP = -Wl,--start-group $^ -Wl,--end-group

## bench-decoders: MB/s of the transfer decoders, beside SHA-256
.PHONY: bench-decoders
bench-decoders: $(BUILD)/bench/decoders
	$<
## bench-reassembly: MB/s and packets a second from frames to the octets of their streams
.PHONY: bench-reassembly
bench-reassembly: $(BUILD)/bench/reassembly
	$<
$(BUILD)/bench/%: $(BUILD)/obj/tests/bench/%.o $(LIB_ANALYZERS)
	@mkdir -p $(@D)
	$(call say,LD)
	$(Q)$(CC) $(LDFLAGS) -o $@ $^ $(call libs,$(PKGS_ANALYZERS) libssl)

## bench: beside what others do, in one run (W=mime: messages, against GMime 3 and SHA-256 alone;
## W=ftp: transfers and sessions, also idle ones, against no gateway, ftp-proxy, HAProxy and a bare relay;
## W=smtp, W=pop3, W=imap: messages, latency and idle sessions, against these and nginx; W=tls: the same and
## handshakes under TLS, against a bare relay, HAProxy, nginx and sslsplit; W=captures: postern read, against
## tcpflow and tshark; W=growth: what grows with what; ROUNDS=5, IDLE=9000, QUICK=1: whether it
## works, and no figures).
## All of it, and not QUICK, goes to tests/bench/RESULTS.md
BENCHES := mime ftp smtp pop3 imap tls captures growth
.PHONY: bench $(addprefix bench-,$(BENCHES))
W ?= $(BENCHES)
IDLE ?= $(if $(QUICK),100,9000)
ROUNDS ?= $(if $(QUICK),1,5)
# of nothing less than all of it, five rounds of each
RESULTS = $(if $(or $(QUICK),$(filter-out $(W),$(BENCHES)),$(filter-out 5,$(ROUNDS)),$(filter-out 9000,$(IDLE))),,tests/bench/RESULTS.md)
BENCH = --rounds $(ROUNDS) $(if $(QUICK),--quick)
# one after the other, whatever -j says: each wants the machine for itself
bench:
	+@code=0; for w in $(W); do rm -f "$(BUILD)/bench/$$w.json"; $(MAKE) "bench-$$w" || code=1; done; \
	    $(PYTHON) -B tests/bench/report.py $(if $(RESULTS),--results $(RESULTS)) $(if $(QUICK),--quick) $(BUILD) $(W) || code=1; \
	    exit "$$code"
bench-ftp: deps-bench
	+@$(PARALLEL) all $(addprefix $(BUILD)/bench/,bare_relay ftp_load ftp_sink)
	$(PYTHON) -B tests/bench/bench_ftp.py $(BENCH) --idle $(IDLE) $(BUILD)
$(BUILD)/bench/ftp_load $(BUILD)/bench/ftp_sink: $(BUILD)/obj/tests/bench/ftp_wire.o
bench-pop3 bench-imap: bench-%: deps-bench
	+@$(PARALLEL) all $(addprefix $(BUILD)/bench/,bare_relay mail_load mail_sink)
	$(PYTHON) -B tests/bench/bench_box.py $(BENCH) --idle $(IDLE) $(BUILD) $*
bench-tls: deps-bench
	+@$(PARALLEL) all $(addprefix $(BUILD)/bench/,bare_relay mail_load mail_sink)
	$(PYTHON) -B tests/bench/bench_tls.py $(BENCH) --idle $(IDLE) $(BUILD)
bench-captures: deps-bench
	+@$(PARALLEL) all
	$(PYTHON) -B tests/bench/bench_captures.py $(BENCH) $(BUILD)
bench-growth: deps-bench
	+@$(PARALLEL) all $(addprefix $(BUILD)/bench/,mime_postern ftp_load ftp_sink mail_load mail_sink)
	$(PYTHON) -B tests/bench/bench_growth.py --rounds $(if $(QUICK),1,3) $(if $(QUICK),--quick) $(BUILD)
bench-smtp: deps-bench
	+@$(PARALLEL) all $(addprefix $(BUILD)/bench/,bare_relay mail_load mail_sink)
	$(PYTHON) -B tests/bench/bench_smtp.py $(BENCH) --idle $(IDLE) $(BUILD)
$(BUILD)/bench/mail_load $(BUILD)/bench/mail_sink: $(addprefix $(BUILD)/obj/tests/bench/,mail_wire.o tls_wire.o ftp_wire.o)
bench-mime: deps-bench
	+@$(PARALLEL) $(BUILD)/bench/mime_postern $(BUILD)/bench/gmime
	$(PYTHON) -B tests/bench/bench_mime.py $(BENCH) $(BUILD)
$(BUILD)/bench/mime_postern $(BUILD)/bench/gmime: $(BUILD)/obj/tests/bench/mime_work.o
$(BUILD)/bench/gmime: tests/bench/peers/gmime.c tests/bench/mime_work.h Makefile
	@mkdir -p $(@D)
	$(call say,LD)
	$(Q)$(CC) $(shell pkg-config --cflags gmime-3.0 | sed 's/-I/-isystem /g') $(CFLAGS) $(LDFLAGS) -o $@ \
	    $(filter %.c %.o,$^) $(call libs,gmime-3.0 libcrypto)

# Conversations through the gate, in process.
VECTORS := $(sort $(wildcard tests/vectors/*/*.vec))
.PHONY: vectors
vectors: $(BUILD)/vectors
$(BUILD)/vectors: $(addprefix $(BUILD)/obj/tests/vectors/,cases.o run.o lines.o observed.o seen_data.o fake_data.o) $(LIB_PROXY) $(LIB_RULES) $(LIB_ANALYZERS)
	$(call say,LD)
	$(Q)$(CC) $(LDFLAGS) -o $@ $^ $(call libs,$(PKGS_PROXY))

## test: everything that a change must pass, with all set-up; needs root for packages and namespaces
.PHONY: test
test: deps-test deps-lab
	+@$(PARALLEL) all units replays vectors helpers $(BUILD)/counted/parsers
	+@$(PARALLEL) SAN=1 all units replays vectors
	tests/run --jobs $(JOBS) --summary build/test.summary --check purity --check hardening --check lint \
	    --unit $(foreach b,build build/san,$(UNITS:$(BUILD)/%=$b/%)) \
	    --replay $(foreach b,build build/san,$(REPLAYS:$(BUILD)/%=$b/%)) \
	    --vectors build/vectors build/san/vectors --vector-files $(VECTORS) --pytest tests/net \
	    --pytest tests/mime --pytest tests/captures --pytest tests/packaging --pytest tests/counted

## test-cases: CASES=folder with captures, attacks, messages and dialogues that others made
.PHONY: test-cases
test-cases: deps-test deps-lab
	@test -d "$(CASES)" || { echo "make test-cases CASES=folder: '$(CASES)' is no folder" >&2; exit 2; }
	+@$(PARALLEL) all replays helpers
	+@$(PARALLEL) SAN=1 all replays
	CASES=$(abspath $(CASES)) tests/run --jobs $(JOBS) --summary build/test-cases.summary \
	    --pytest tests/cases

## test-long: what clang makes of it all, ten minutes of every fuzzer (FUZZ_TIME=seconds), a soak
## (SOAK_TIME=seconds), bombs of full size, test-root
FUZZ_TIME ?= 600
SOAK_TIME ?= 600
.PHONY: test-long
test-long: deps-test
	+@$(PARALLEL) --keep-going lint-paths
	+@$(PARALLEL) CC=clang BUILD=build/clang all units replays vectors
	tests/run --jobs $(JOBS) --unit $(UNITS:$(BUILD)/%=build/clang/%)
	+@$(PARALLEL) CC=clang FUZZ=1 fuzzers
	tests/fuzz/long.sh build/fuzz/fuzzer $(FUZZ_TIME) $(JOBS)
	+@$(PARALLEL) all
	SOAK_TIME=$(SOAK_TIME) tests/run --pytest tests/soak
	BOMBS=full tests/run --pytest tests/mime
	+@$(MAKE) --no-print-directory $(BUILD)/unit/analyzers/mime/test_mime_limits
	MIME_SCALE=20 $(BUILD)/unit/analyzers/mime/test_mime_limits
	+@$(MAKE) --no-print-directory test-root

## test-wire: the tests of the gateway once more, each session recorded on the wire: where "postern read"
## says something else than the gateway wrote. To look at, not a gate: its list of tests that one of both
## cannot know (tests/net/wired.py) is not complete; tests/net/test_wire.py is the gate
.PHONY: test-wire
test-wire: deps-test deps-lab
	+@$(PARALLEL) all helpers
	WIRE=1 tests/run --jobs $(JOBS) --pytest tests/net

## test-package: the package on a bare Debian 12 booted by systemd (a minute)
## test-root: that, and README.md's two commands in another (PATTERN=demo: one of them)
.PHONY: test-package test-root
test-package: deps-test deps-root deb
	tests/run --jobs 1 --pytest tests/root
test-root: test-package
	tests/root/readme.sh

## demo: a lab of namespaces with a real mail server behind the gateway; KEEP=1 leaves it up
.PHONY: demo
demo: deps deps-lab
	+@$(PARALLEL) all
	$(PYTHON) tests/demo/demo.py

## purity: what the libraries call and include, against short lists
.PHONY: purity
purity: $(LIB_ANALYZERS) $(LIB_RULES)
	tests/purity.sh $(LIB_ANALYZERS) $(LIB_RULES)

## hardening: what the compiler and the linker put into the binary against its own faults
.PHONY: hardening
hardening: $(BUILD)/postern
	tests/hardening.sh $< $(call obj,proxy/main.c) $(LIB_PROXY) $(LIB_RULES) $(LIB_ANALYZERS)

## lint: clang-format, clang-tidy, cppcheck, shellcheck, mandoc; the tree must be clean
.PHONY: lint lint-all
lint:
	@tests/need.sh clang-format clang-tidy cppcheck shellcheck mandoc
	+@$(PARALLEL) --keep-going --output-sync lint-all
LINTED := $(patsubst %,$(BUILD)/lint/%.ok,$(SRC) $(HEADERS) $(SCRIPTS) $(wildcard packaging/man/*))
lint-all: $(LINTED)
# Named here, so that make believes in the object of a file that nothing else is built from.
$(call obj,$(SRC)): Makefile
# clang has its say here: its warnings are errors as gcc's are
TIDIED = $(CPPFLAGS) -I. -Ianalyzers -Irules -Iproxy -std=c17 $(WARN)
# The object stands for the headers: a file is looked at again when anything that it includes changed.
$(BUILD)/lint/%.c.ok: %.c $(BUILD)/obj/%.o .clang-tidy .clang-format
	@mkdir -p $(@D)
	$(Q)clang-format --dry-run -Werror $<
	$(Q)clang-tidy --quiet --warnings-as-errors='*' $(SHORT) $< -- $(TIDIED) 2>$@.err || { cat $@.err; exit 1; }
	$(Q)cppcheck --quiet --std=c11 --enable=warning,performance,portability --inline-suppr \
	    --error-exitcode=1 --suppress='*:/usr/include/*' -I/usr/include/$$(gcc -print-multiarch) \
	    -I. -Ianalyzers -Irules -Iproxy -D_GNU_SOURCE $<
	@rm -f $@.err; touch $@
# How far the analyzer follows the paths of a function takes nearly all the time that lint takes: there it stops
# at a quarter of what it would, and leaves out the tests; here it does not.
SHORT := $(addprefix --extra-arg=,-Xclang -analyzer-config -Xclang max-nodes=50000)
SRC_TESTS := $(filter tests/%,$(SRC))
$(SRC_TESTS:%=$(BUILD)/lint/%.ok): tests/.clang-tidy
.PHONY: lint-paths $(SRC:%=lint-paths-%)
lint-paths: $(SRC:%=lint-paths-%)
$(SRC:%=lint-paths-%): lint-paths-%: %
	$(Q)clang-tidy --quiet --config-file=.clang-tidy --warnings-as-errors='*' $< -- $(TIDIED)
$(BUILD)/lint/%.h.ok: %.h .clang-format
	@mkdir -p $(@D)
	$(Q)clang-format --dry-run -Werror $<
	@touch $@
$(BUILD)/lint/packaging/man/%.ok: packaging/man/%
	@mkdir -p $(@D)
	$(Q)mandoc -T lint -W warning $<
	@touch $@
$(BUILD)/lint/%.ok: %
	@mkdir -p $(@D)
	$(Q)shellcheck $<
	@touch $@

## format: lays out every C file as .clang-format says
.PHONY: format
format:
	clang-format -i $(SRC) $(HEADERS)

## deps: installs what the build needs (Debian packages) and nothing else
## deps-test: and what checks it; deps-lab: and the clients and servers of the lab
## deps-bench: what make bench measures beside ours
## deps-deb: what makes the package; deps-root: what makes and boots a bare Debian
.PHONY: deps deps-test deps-lab deps-bench deps-deb deps-root
# apt takes one caller at a time, make -j has several
ONE_APT := flock Makefile
deps:
	@$(ONE_APT) tests/deps.sh $(DEPS)
deps-test:
	@$(ONE_APT) tests/deps.sh $(DEPS) $(DEPS_TEST)
deps-lab:
	@$(ONE_APT) tests/deps-lab.sh
deps-bench:
	@$(ONE_APT) tests/deps.sh $(DEPS) $(DEPS_BENCH)
deps-deb:
	@$(ONE_APT) tests/deps.sh $(DEPS) $(DEPS_DEB)
deps-root:
	@$(ONE_APT) tests/deps.sh $(DEPS_ROOT)

## install: binary, man pages, unit, user, sample configuration; never over an existing postern.conf
## uninstall: takes all of that away but the configuration, the records and the user
INSTALLED := $(PREFIX)/sbin/postern $(PREFIX)/share/man/man8/postern.8 $(PREFIX)/share/man/man5/postern.conf.5 \
	$(UNITDIR)/postern.service $(UNITDIR)/postern-guard.service $(PREFIX)/lib/sysusers.d/postern.conf $(PREFIX)/lib/tmpfiles.d/postern.conf \
	$(PREFIX)/share/bash-completion/completions/postern /etc/logrotate.d/postern
DOC := $(DESTDIR)$(PREFIX)/share/doc/postern
# the running system is spoken to only where there is one, and never for a folder that others unpack
LIVE = $(if $(DESTDIR),false,test -d /run/systemd/system)
.PHONY: install uninstall
install: all
	install -D -m 755 $(BUILD)/postern $(DESTDIR)$(PREFIX)/sbin/postern
	install -D -m 644 packaging/man/postern.8 $(DESTDIR)$(PREFIX)/share/man/man8/postern.8
	install -D -m 644 packaging/man/postern.conf.5 $(DESTDIR)$(PREFIX)/share/man/man5/postern.conf.5
	install -d $(DOC)/docs $(DESTDIR)$(UNITDIR)
	install -m 644 packaging/postern.conf README.md LICENSE $(DOC)
	install -m 644 docs/*.md $(DOC)/docs
	for unit in postern.service postern-guard.service; do \
	    sed 's,/usr/sbin/postern,$(PREFIX)/sbin/postern,' packaging/$$unit >$(DESTDIR)$(UNITDIR)/$$unit && \
	    chmod 644 $(DESTDIR)$(UNITDIR)/$$unit || exit 1; done
	install -D -m 644 packaging/sysusers.conf $(DESTDIR)$(PREFIX)/lib/sysusers.d/postern.conf
	install -D -m 644 packaging/tmpfiles.conf $(DESTDIR)$(PREFIX)/lib/tmpfiles.d/postern.conf
	install -D -m 644 packaging/postern.logrotate $(DESTDIR)/etc/logrotate.d/postern
	install -D -m 644 packaging/postern.bash-completion \
	    $(DESTDIR)$(PREFIX)/share/bash-completion/completions/postern
	test -e $(DESTDIR)/etc/postern/postern.conf || \
	    install -D -m 644 packaging/postern.conf $(DESTDIR)/etc/postern/postern.conf
# into a folder: whoever unpacks it makes the user
	$(if $(DESTDIR),,systemd-sysusers $(PREFIX)/lib/sysusers.d/postern.conf)
	$(if $(DESTDIR),,systemd-tmpfiles --create $(PREFIX)/lib/tmpfiles.d/postern.conf)
	$(if $(DESTDIR),,$(PREFIX)/sbin/postern certificate make)
	! $(LIVE) || systemctl daemon-reload
# A gateway that is gone must leave no guard that keeps the ports closed.
uninstall:
	! $(LIVE) || ! systemctl cat postern.service >/dev/null 2>&1 || \
	    systemctl disable --now postern.service postern-guard.service
	$(if $(DESTDIR),,! test -x $(PREFIX)/sbin/postern || $(PREFIX)/sbin/postern release)
	rm -f $(addprefix $(DESTDIR),$(INSTALLED))
	rm -rf $(DOC)
	! $(LIVE) || systemctl daemon-reload

## deb: the Debian package, build/deb/postern_*.deb, checked by lintian
.PHONY: deb
deb: deps-deb
	packaging/deb.sh $(VERSION)

## clean: removes build/
.PHONY: clean
clean:
	rm -rf build

.PHONY: help
help:
	@sed -n 's/^## //p' Makefile

-include $(shell find $(BUILD)/obj -name '*.d' 2>/dev/null)
