# The first octets of every type in types.magic, as rows of struct types_begin in C: where, how many, the
# octets, and the bits of each that count. A test that this cannot say ends the build.

function fail(why) {
	printf "%s:%d: %s\n", FILENAME, FNR, why >"/dev/stderr"
	failed = 1
	exit 1
}

function hex(digits,  n, i) {
	n = 0
	for (i = 1; i <= length(digits); i++)
		n = n * 16 + index("0123456789abcdef", tolower(substr(digits, i, 1))) - 1
	return n
}

function number(text) {
	if (text ~ /^0x[0-9a-fA-F]+$/)
		return hex(substr(text, 3))
	if (text !~ /^[0-9]+$/)
		fail("not a number: " text)
	return text + 0
}

# The octet that text begins with; "rest" is what is behind it.
function octet(text,  n) {
	if (substr(text, 1, 1) != "\\") {
		rest = substr(text, 2)
		if (!index(ascii, substr(text, 1, 1)))
			fail("not ASCII, and no escape: " text)
		return index(ascii, substr(text, 1, 1)) + 31
	}
	if (match(text, /^\\x[0-9a-fA-F][0-9a-fA-F]/)) {
		rest = substr(text, 5)
		return hex(substr(text, 3, 2))
	}
	if (match(text, /^\\[0-7]+/)) {
		n = RLENGTH > 4 ? 4 : RLENGTH
		rest = substr(text, n + 1)
		return substr(text, 2, 1) * (n > 2 ? 8 : 1) * (n > 3 ? 8 : 1) + \
		    (n > 2 ? substr(text, 3, 1) * (n > 3 ? 8 : 1) : 0) + (n > 3 ? substr(text, 4, 1) : 0)
	}
	rest = substr(text, 3)
	if (!index("nrt\\", substr(text, 2, 1)))
		fail("not an escape that is known: " text)
	return substr("10130992", index("nrt\\", substr(text, 2, 1)) * 2 - 1, 2) + 0
}

function row(at, n, octets, mask) {
	printf "\t{%d, %d, {%s}, {%s}},\n", at, n, octets, mask
}

function string(at, text,  n, octets, mask) {
	if (text ~ /^[<>!&^~]/ || text == "x")
		fail("not an equality: " text)
	sub(/^=/, "", text)
	for (n = 0; n < 4 && text != ""; n++) {
		octets = octets octet(text) ", "
		mask = mask "255, "
		text = rest
	}
	row(at, n, octets, mask)
}

# size octets of a number, in the order in which they are in a file
function octets_of(value, size, little,  i, o, all) {
	for (i = 0; i < size; i++) {
		o = value % 256 ", "
		value = int(value / 256)
		all = little ? all o : o all
	}
	return all
}

function integer(at, type, value,  size, mask, parts) {
	mask = 4294967295
	if (split(type, parts, "&") == 2)
		mask = number(parts[2])
	type = parts[1]
	sub(/^u/, "", type)
	size = type == "byte" ? 1 : type ~ /short$/ ? 2 : type ~ /long$/ ? 4 : 0
	if (size == 0 || (size > 1 && type !~ /^[bl]e/))
		fail("a type that is not known: " type)
	row(at, size, octets_of(number(value), size, type ~ /^le/), octets_of(mask, size, type ~ /^le/))
}

BEGIN {
	FS = "\t+"
	for (i = 32; i < 127; i++)
		ascii = ascii sprintf("%c", i)
	print "const struct types_begin types_begin[] = {"
}

/^[0-9]/ {
	if ($1 !~ /^[0-9]+$/)
		fail("not an offset: " $1)
	if ($2 == "string/b")
		string($1, $3)
	else
		integer($1, $2, $3)
}

!/^([0-9#>]|!:|$)/ {
	fail("not a line that is known: " $0)
}

END {
	if (!failed)
		print "};\nconst size_t types_begin_n = sizeof(types_begin) / sizeof(types_begin[0]);"
}
