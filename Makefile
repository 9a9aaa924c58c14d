# Postern: one Makefile, not recursive. "make help" says what can be made.
#
#   make            build/postern
#   make SAN=1      the same under AddressSanitizer and UBSan, in build/san
#   make CC=clang   the other compiler; give it a BUILD= of its own

CC       = gcc
SAN     ?=
BUILD   ?= build$(if $(SAN),/san)
PREFIX  ?= /usr
DESTDIR ?=
CASES   ?=
VERSION := 0.1

PKGS_CORE  := libcrypto
PKGS_RULES := libidn2
PKGS_PROXY := libevent libconfuse jansson libssl libunbound
PKGS       := $(PKGS_CORE) $(PKGS_RULES) $(PKGS_PROXY)

WARN := -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wsign-conversion -Wstrict-prototypes \
	-Wmissing-prototypes -Wold-style-definition -Wpointer-arith -Wcast-qual -Wcast-align \
	-Wwrite-strings -Wundef -Wvla -Wformat=2 -Wswitch-enum -Werror
OPT  := $(if $(SAN),-O1 -fsanitize=address$(comma)undefined -fno-sanitize-recover=all -fno-omit-frame-pointer,-O2)
HARD := $(if $(SAN),,-U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2) -fstack-protector-strong -fPIE
comma := ,

CPPFLAGS += -D_GNU_SOURCE -DPOSTERN_VERSION='"$(VERSION)"' -Ianalyzers -Irules -Iproxy
CFLAGS   += -std=c17 -g $(OPT) $(HARD) $(WARN)
LDFLAGS  += -pie -Wl,-z,relro,-z,now $(if $(SAN),-fsanitize=address$(comma)undefined)
LDLIBS    = $(shell pkg-config --libs $(PKGS))

SRC_ANALYZERS := $(sort $(wildcard analyzers/*/*.c))
SRC_RULES     := $(sort $(wildcard rules/*.c))
SRC_PROXY     := $(sort $(wildcard proxy/*.c))
SRC_UNIT      := $(sort $(wildcard tests/unit/*/*.c tests/unit/*/*/*.c))
SRC_FUZZ      := $(sort $(wildcard tests/fuzz/fuzz_*.c))

obj = $(patsubst %.c,$(BUILD)/obj/%.o,$(1))
LIB_ANALYZERS := $(BUILD)/libanalyzers.a
LIB_RULES     := $(BUILD)/librules.a
# all of proxy/ but main, so that tests can link it
LIB_PROXY     := $(BUILD)/libproxy.a
UNITS := $(patsubst tests/unit/%.c,$(BUILD)/unit/%,$(SRC_UNIT))

.PHONY: all
all: $(BUILD)/postern

$(BUILD)/postern: $(call obj,proxy/main.c) $(LIB_PROXY) $(LIB_RULES) $(LIB_ANALYZERS)
	$(CC) $(LDFLAGS) -o $@ $^ $(LDLIBS)
$(LIB_ANALYZERS): $(call obj,$(SRC_ANALYZERS))
$(LIB_RULES): $(call obj,$(SRC_RULES))
$(LIB_PROXY): $(call obj,$(filter-out proxy/main.c,$(SRC_PROXY)))
$(BUILD)/%.a:
	@rm -f $@
	$(AR) rcs $@ $^

$(BUILD)/obj/%.o: %.c Makefile
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS) $(CFLAGS) -MMD -MP -c -o $@ $<

$(BUILD)/unit/%: $(BUILD)/obj/tests/unit/%.o $(LIB_PROXY) $(LIB_RULES) $(LIB_ANALYZERS)
	@mkdir -p $(@D)
	$(CC) $(LDFLAGS) -o $@ $^ $(LDLIBS) -lcmocka

.PHONY: units
units: $(UNITS)

-include $(shell find $(BUILD)/obj -name '*.d' 2>/dev/null)
