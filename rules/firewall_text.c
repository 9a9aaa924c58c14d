#include "firewall.h"

#include <netinet/in.h>

static void
hex32(struct buf *out, uint32_t value)
{
	const uint8_t octets[] = {
	    (uint8_t)(value >> 24), (uint8_t)(value >> 16), (uint8_t)(value >> 8), (uint8_t)value};
	char text[8];

	span_hex(span_of(octets, sizeof(octets)), text);
	buf_str(out, "0x");
	buf_add(out, span_of(text, sizeof(text)));
}

/* ---- sets ---- */

static const char *
key_type(enum firewall_key key)
{
	static const char *const types[] = {
	    [FIREWALL_KEY_IP4] = "ipv4_addr",
	    [FIREWALL_KEY_IP6] = "ipv6_addr",
	    [FIREWALL_KEY_PORT] = "inet_service",
	    [FIREWALL_KEY_DEVICE] = "ifname",
	    [FIREWALL_KEY_FLOW4] = "ipv4_addr . ipv4_addr . inet_service",
	    [FIREWALL_KEY_FLOW6] = "ipv6_addr . ipv6_addr . inet_service",
	};

	return types[key];
}

static void
key_text(struct buf *out, enum firewall_key key, const uint8_t octets[16])
{
	char text[IP_TEXT_MAX];
	struct ip ip;

	switch (key) {
	case FIREWALL_KEY_IP4:
		ip = ip_v4(octets);
		buf_str(out, ip_text(&ip, text));
		break;
	case FIREWALL_KEY_IP6: /* made by hand: ip_v6() would fold mapped addresses */
		ip.family = IP_V6;
		memcpy(ip.octets, octets, sizeof(ip.octets));
		buf_str(out, ip_text(&ip, text));
		break;
	case FIREWALL_KEY_PORT:
		buf_u64(out, (uint64_t)octets[0] << 8 | octets[1]);
		break;
	case FIREWALL_KEY_DEVICE:
		buf_octet(out, '"');
		buf_add(out, (struct span){octets, strlen((const char *)octets)});
		buf_octet(out, '"');
		break;
	case FIREWALL_KEY_FLOW4: /* have no elements here */
	case FIREWALL_KEY_FLOW6:
		break;
	}
}

static void
set_text(struct buf *out, const struct firewall_set *set)
{
	buf_str(out, set->map ? "\tmap " : "\tset ");
	buf_str(out, set->name);
	buf_str(out, " {\n\t\ttype ");
	buf_str(out, key_type(set->key));
	buf_str(out, set->map ? " : inet_service\n" : "\n");
	if (set->interval)
		buf_str(out, "\t\tflags interval\n");
	if (set->expires)
		buf_str(out, "\t\tflags timeout\n");
	if (set->counts)
		buf_str(out, "\t\tcounter\n");
	for (size_t i = 0; i < set->n; i++) {
		const struct firewall_element *e = &set->elements[i];

		buf_str(out, i == 0 ? "\t\telements = { " : ",\n\t\t\t");
		key_text(out, set->key, e->first);
		if (memcmp(e->first, e->last, firewall_key_size(set->key)) != 0) {
			buf_octet(out, '-');
			key_text(out, set->key, e->last);
		}
	}
	buf_str(out, set->n > 0 ? " }\n\t}\n" : "\t}\n");
}

/* ---- rules ---- */

static const char *
ip_word(uint32_t family)
{
	return family == 4 ? "ip" : "ip6";
}

static void
protocol_text(struct buf *out, uint32_t protocol)
{
	buf_str(out, "meta l4proto ");
	buf_str(out, protocol == IPPROTO_TCP	? "tcp"
		     : protocol == IPPROTO_ICMP ? "icmp"
						: "ipv6-icmp");
}

static void
flow_text(struct buf *out, uint32_t family)
{
	buf_str(out, ip_word(family));
	buf_str(out, " saddr . ");
	buf_str(out, ip_word(family));
	buf_str(out, " daddr . tcp dport");
}

static void
reply_text(struct buf *out, uint32_t family)
{
	buf_str(out, ip_word(family));
	buf_str(out, " daddr . ");
	buf_str(out, ip_word(family));
	buf_str(out, " saddr . tcp sport");
}

static void
in_set(struct buf *out, const char *what, const struct firewall_set *set)
{
	buf_str(out, what);
	buf_octet(out, '@');
	buf_str(out, set->name);
}

static void
mapped_text(struct buf *out, const struct firewall_term *t)
{
	flow_text(out, t->a);
	in_set(out, " map ", t->set);
}

static void
asked_text(struct buf *out, const struct firewall_term *t)
{
	buf_str(out, ip_word(t->a));
	buf_str(out, " saddr . ct original ");
	buf_str(out, ip_word(t->a));
	buf_str(out, " daddr . ct original proto-dst");
	in_set(out, " map ", t->set);
}

static void
loopback_text(struct buf *out, uint32_t family)
{
	buf_str(out, family == 4 ? "tproxy ip to 127.0.0.1:" : "tproxy ip6 to [::1]:");
}

static void
condition_text(struct buf *out, const struct firewall_term *t)
{
	switch ((int)t->kind) {
	case FIREWALL_IS_IP:
		buf_str(out, t->a == 4 ? "meta nfproto ipv4" : "meta nfproto ipv6");
		break;
	case FIREWALL_IS_PROTOCOL:
		protocol_text(out, t->a);
		break;
	case FIREWALL_IS_OPENING:
		buf_str(out, "tcp flags & (fin | syn | rst | ack) == syn");
		break;
	case FIREWALL_IS_NOT_SYN:
		buf_str(out, "tcp flags & (syn | ack) != syn");
		break;
	case FIREWALL_IS_TRANSPARENT:
		buf_str(out, "socket transparent 1");
		break;
	case FIREWALL_IS_LOOPBACK:
		buf_str(out, "iifname \"lo\"");
		break;
	case FIREWALL_IS_NOT_DEVICE:
		in_set(out, "iifname != ", t->set);
		break;
	case FIREWALL_IS_SOURCE:
		buf_str(out, ip_word(t->a));
		in_set(out, " saddr ", t->set);
		break;
	case FIREWALL_IS_DESTINATION:
		buf_str(out, ip_word(t->a));
		in_set(out, " daddr ", t->set);
		break;
	case FIREWALL_IS_PORT:
		in_set(out, "tcp dport ", t->set);
		break;
	case FIREWALL_IS_NOT_PORT:
		in_set(out, "tcp dport != ", t->set);
		break;
	case FIREWALL_IS_FLOW:
		flow_text(out, t->a);
		in_set(out, " ", t->set);
		break;
	case FIREWALL_IS_REPLY:
		reply_text(out, t->a);
		in_set(out, " ", t->set);
		break;
	case FIREWALL_IS_LOCAL:
		buf_str(out, "fib daddr type local");
		break;
	case FIREWALL_IS_TRANSLATED:
		buf_str(out, "ct status & dnat == dnat");
		break;
	case FIREWALL_IS_TO:
		buf_str(out, "tcp dport ");
		buf_u64(out, t->a);
		buf_octet(out, '-');
		buf_u64(out, t->b);
		break;
	case FIREWALL_IS_NOT_MARKED:
		buf_str(out, "meta mark & ");
		hex32(out, t->a);
		buf_str(out, " != ");
		hex32(out, t->b);
		break;
	}
}

static void
action_text(struct buf *out, const struct firewall_term *t)
{
	switch ((int)t->kind) {
	case FIREWALL_MARK:
		buf_str(out, "meta mark set meta mark & ");
		hex32(out, ~t->a);
		buf_str(out, " ^ ");
		hex32(out, t->b);
		break;
	case FIREWALL_TO_SOCKET:
		loopback_text(out, t->a);
		buf_u64(out, t->b);
		break;
	case FIREWALL_TO_MAPPED:
		loopback_text(out, t->a);
		mapped_text(out, t);
		break;
	case FIREWALL_TO_ASKED:
		loopback_text(out, t->a);
		asked_text(out, t);
		break;
	case FIREWALL_REDIRECT_TO:
		buf_str(out, "redirect to :");
		buf_u64(out, t->a);
		break;
	case FIREWALL_REDIRECT_MAPPED:
		buf_str(out, "redirect to :");
		mapped_text(out, t);
		break;
	case FIREWALL_RESET:
		buf_str(out, "reject with tcp reset");
		break;
	case FIREWALL_DROP:
		buf_str(out, "drop");
		break;
	case FIREWALL_RETURN:
		buf_str(out, "return");
		break;
	case FIREWALL_ACCEPT:
		buf_str(out, "accept");
		break;
	}
}

static void
rule_text(struct buf *out, const struct firewall_rule *rule)
{
	buf_str(out, "\t\t# ");
	buf_str(out, rule->what);
	buf_str(out, "\n\t\t");
	for (size_t i = 0; i < rule->n; i++) {
		if (i > 0)
			buf_octet(out, ' ');
		if (rule->terms[i].kind < FIREWALL_MARK)
			condition_text(out, &rule->terms[i]);
		else
			action_text(out, &rule->terms[i]);
	}
	buf_octet(out, '\n');
}

static void
chain_text(struct buf *out, const struct firewall_chain *chain)
{
	buf_str(out, "\tchain ");
	buf_str(out, chain->name);
	buf_str(out, " {\n\t\ttype ");
	buf_str(out, chain->type);
	buf_str(out, chain->hook == FIREWALL_FORWARD ? " hook forward" : " hook prerouting");
	buf_str(out, " priority -");
	buf_u64(out, (uint64_t)-chain->priority);
	buf_str(out, "; policy accept;\n");
	for (size_t i = 0; i < chain->n; i++)
		rule_text(out, &chain->rules[i]);
	buf_str(out, "\t}\n");
}

static void
table_text(struct buf *out, const struct firewall_table *table)
{
	static const char *const before[] = {"table inet ", "delete table inet ", "table inet "};
	static const char *const behind[] = {"\n", "\n", " {\n"};

	buf_str(out,
	    table->owned
		? "# The gateway's own copy of this table belongs to its process (flags owner), is "
		  "gone when that ends,\n# and nobody else can change it. What nft loads belongs "
		  "to nobody.\n"
		: "# Stays when the gateway is gone, and refuses what would go by uninspected: "
		  "intercept.on_exit = block.\n");
	for (size_t i = 0; i < 3; i++) {
		buf_str(out, before[i]);
		buf_str(out, table->name);
		buf_str(out, behind[i]);
	}
	for (size_t i = 0; i < table->n_sets; i++)
		set_text(out, &table->sets[i]);
	for (size_t i = 0; i < table->n_chains; i++)
		chain_text(out, &table->chains[i]);
	buf_str(out, "}\n");
}

bool
firewall_text(const struct firewall *f, struct buf *out)
{
	for (size_t i = 0; i < f->n_tables; i++)
		table_text(out, &f->tables[i]);
	return !out->failed;
}
