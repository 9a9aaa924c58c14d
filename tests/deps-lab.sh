#!/bin/sh
# Installs what the laboratory needs (network tests and the demo): real servers and real clients.
#
# No daemon is started: a policy-rc.d forbids it for the duration, one that was there is put back,
# and units of packages that are new on this machine are left disabled. A mail server that is not
# Postfix is never replaced. What cannot be installed beside another is only unpacked: Exim into
# build/lab/exim, the FTP servers, each of which would replace the others, into build/lab/ftp, and
# Cyrus, which would replace Dovecot, into build/lab/cyrus.
# Quick and silent when everything is there.
set -eu

packages="postfix nsd unbound swaks libio-socket-inet6-perl curl openssl iproute2 nftables util-linux procps ca-certificates
	python3 python3-pytest python3-pytest-xdist lftp tnftp inetutils-ftp ncftp
	ldnsutils dovecot-imapd dovecot-pop3d fetchmail getmail6 isync offlineimap3 mutt
	testssl.sh python3-cryptography tcpdump tshark wireshark-common tcpflow"
# what the unpacked servers are linked with
packages="$packages libdb5.3 libgnutls-dane0 libnsl2 libpcre2-8-0 libpcre2-posix3 libpam0g libcap2
	libwrap0 libsodium23 libhiredis0.14 libmemcached11 libmemcachedutil2
	libical3 libxapian30 libicu72 libjansson4 libpcre3 libpq5 libldap-2.5-0 libkrb5-3 libxml2
	libsqlite3-0 libsasl2-2 libsasl2-modules libsasl2-modules-db"
policy=/usr/sbin/policy-rc.d
root=$(cd "$(dirname "$0")/.." && pwd)
lab=$root/build/lab

fail()
{
	echo "deps-lab: $*" >&2
	exit 1
}

installed()
{
	[ "$(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null)" = installed ]
}

units_of()
{
	dpkg -L "$1" | sed -nE 's,^(/usr)?/lib/systemd/system/([^/]+[.](service|socket|timer|path))$,\2,p'
}

# Where no systemd is, as in a container, Debian's helper knows of units; it speaks only to what
# looks like a package's own script.
disable() # package unit
{
	if command -v systemctl >/dev/null; then
		systemctl disable --quiet "$2" 2>/dev/null || true
	else
		DPKG_MAINTSCRIPT_PACKAGE=$1 deb-systemd-helper disable "$2" >/dev/null 2>&1 || true
	fi
}

restore_policy()
{
	[ -n "${policy_written-}" ] || return 0
	rm -f "$policy"
	[ ! -e "$policy.before-lab" ] || mv "$policy.before-lab" "$policy"
	policy_written=
}

forbid_daemons()
{
	# a run that was cut off left ours in place and the machine's own beside it
	if [ ! -e "$policy.before-lab" ] && [ -e "$policy" ]; then
		mv "$policy" "$policy.before-lab"
	fi
	policy_written=yes
	printf '#!/bin/sh\nexit 101\n' >"$policy"
	chmod 755 "$policy"
}

missing=
for p in $packages; do
	installed "$p" || missing="$missing $p"
done

if [ -n "$missing" ]; then
	command -v apt-get >/dev/null || fail "this needs Debian's apt-get; install yourself:$missing"
	[ "$(id -u)" = 0 ] || fail "needs root to install:$missing"
	if ! installed postfix; then
		other=$(dpkg-query -W -f '${db:Status-Status} ${Package} ${Provides}\n' 2>/dev/null |
			awk '$1 == "installed" && / mail-transport-agent/ { print $2; exit }')
		[ -z "$other" ] || fail "$other is this machine's mail server, and installing Postfix" \
			"would remove it; run the laboratory in a container or a virtual machine"
	fi
	log=$(mktemp)
	trap 'restore_policy; rm -f "$log"' EXIT
	trap 'exit 1' HUP INT TERM
	forbid_daemons
	export DEBIAN_FRONTEND=noninteractive
	if ! installed postfix; then
		echo "postfix postfix/main_mailer_type select No configuration" | debconf-set-selections
	fi
	apt-get update -qq || echo "deps-lab: apt-get update failed; trying with the lists there are" >&2
	# shellcheck disable=SC2086 # a list of words
	if ! apt-get install -y -qq --no-install-recommends $missing >"$log" 2>&1; then
		cat "$log" >&2
		fail "apt-get could not install:$missing"
	fi
	for p in $missing; do
		for unit in $(units_of "$p"); do
			disable "$p" "$unit"
		done
	done
	restore_policy
fi

unpack() # folder package...
{
	into=$lab/$1
	shift
	command -v apt-get >/dev/null || fail "this needs Debian's apt-get to fetch $*"
	download=$(mktemp -d)
	trap 'rm -rf "$download" "${log-}"' EXIT
	fetch() { (cd "$download" && apt-get download -qq -o APT::Sandbox::User=root "$@"); }
	fetch "$@" || { apt-get update -qq && fetch "$@"; } || fail "cannot download: $*"
	rm -rf "$into.new"
	mkdir -p "$into.new"
	for deb in "$download"/*.deb; do
		dpkg -x "$deb" "$into.new"
	done
	# they are always started by root here and need no right of their own
	find "$into.new" -type f -perm /6000 -exec chmod ug-s {} +
	rm -rf "$into" "$download"
	mv "$into.new" "$into"
}

[ -x "$lab/exim/usr/sbin/exim4" ] || unpack exim exim4-daemon-light libidn12
[ -e "$lab/ftp/usr/lib/proftpd/mod_tls.so" ] || unpack ftp vsftpd pure-ftpd proftpd-core proftpd-mod-crypto
[ -x "$lab/cyrus/usr/lib/cyrus/bin/master" ] || unpack cyrus cyrus-common cyrus-imapd cyrus-pop3d sasl2-bin
