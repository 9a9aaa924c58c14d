#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>
#include <magic.h>

#include "mime/detect.h"
#include "mime/types_magic.h"

#define nitems(a)    (sizeof(a) / sizeof((a)[0]))
/* octets with NULs in them, padded with NULs as the files are */
#define OCTETS(text) text, sizeof(text) - 1

static const struct {
	const char *octets;
	size_t n;
	const char *type;
} binaries[] = {
    {OCTETS("MZ\x90\0\3\0\0\0\4\0\0\0\xff\xff\0\0\xb8\0\0\0\0\0\0\0\x40\0\0\0\0\0\0\0"
	    "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x40\0\0\0PE\0\0\x64\x86"),
	"application/vnd.microsoft.portable-executable"},
    {OCTETS("MZ\x90\0\3\0\0\0\4\0\0\0"), "application/x-dosexec"},
    {OCTETS("\x7f\x45LF\2\1\1\0\0\0"), "application/x-executable"},
    {OCTETS("\xcf\xfa\xed\xfe\7\0\0\1"), "application/x-mach-binary"},
    {OCTETS("\xca\xfe\xba\xbe\0\0\0\2\1\0\0\7"), "application/x-mach-binary"},
    {OCTETS("\xca\xfe\xba\xbe\0\0\0\x34\0\x20"), "application/x-java-applet"},
    {OCTETS("dex\n035\0\1\2"), "application/vnd.android.dex"},
    {OCTETS("CWS\x0a\1\2\0\0\x78\x9c"), "application/vnd.adobe.flash.movie"},
    {OCTETS("L\0\0\0\1\x14\2\0\0\0\0\0\xc0\0\0\0\0\0\0\x46\x9b"), "application/x-ms-shortcut"},
    {OCTETS("%PDF-1.4\n%\xe2\xe3\xcf\xd3\n\0"), "application/pdf"},
    {OCTETS("\0\1junk %PDF-1.4\n"), "application/pdf"},
    {OCTETS("%PDF-1.4\nall of it ASCII\n"), "application/pdf"},
    {OCTETS("%!PS-Adobe-3.0\n"), "application/postscript"},
    {OCTETS("{\\rtf1\\ansi x}"), "text/rtf"},
    {OCTETS("\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1\0\0\0\0"), "application/x-ole-storage"},
    {OCTETS("PK\3\4\x14\0\0\0\0\0\0\0\0\0\0\0\0\0\1\0\0\0\1\0\0\0\5\0\0\0a.txtX"),
	"application/zip"},
    {OCTETS("PK\3\4\x14\0\0\0\0\0\0\0\0\0\0\0\0\0\x27\0\0\0\x27\0\0\0\x08\0\0\0"
	    "mimetypeapplication/vnd.oasis.opendocument.text"),
	"application/vnd.oasis.opendocument.text"},
    {OCTETS("PK\3\4\x14\0\0\0\0\0\0\0\0\0\0\0\0\0\1\0\0\0\1\0\0\0\x13\0\0\0[Content_Types].xmlX"
	    "PK\3\4\x14\0\0\0\0\0\0\0\0\0\0\0\0\0\1\0\0\0\1\0\0\0\x0b\0\0\0word/a.xml"),
	"application/vnd.openxmlformats-officedocument.wordprocessingml.document"},
    {OCTETS("PK\3\4\x14\0\0\0\0\0\0\0\0\0\0\0\0\0\1\0\0\0\1\0\0\0\x0b\0\0\0_rels/.relsX"
	    "PK\3\4\x14\0\0\0\0\0\0\0\0\0\0\0\0\0\1\0\0\0\1\0\0\0\x0b\0\0\0xl/book.xml"),
	"application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"},
    {OCTETS("PK\3\4\x14\0\0\0\0\0\0\0\0\0\0\0\0\0\1\0\0\0\1\0\0\0\x14\0\0\0META-INF/MANIFEST.MF"),
	"application/java-archive"},
    {OCTETS("Rar!\x1a\7\1\0\1"), "application/x-rar"},
    {OCTETS("7z\xbc\xaf\x27\x1c\0\4"), "application/x-7z-compressed"},
    {OCTETS("MSCF\0\0\0\0\1\2"), "application/vnd.ms-cab-compressed"},
    {OCTETS("\x1f\x8b\x08\0\0\0\0\0\0\3"), "application/gzip"},
    {OCTETS("BZh91AY&SY\1\2\0"), "application/x-bzip2"},
    {OCTETS("\xfd"
	    "7zXZ\0\0\4"),
	"application/x-xz"},
    {OCTETS("\x28\xb5\x2f\xfd\4\0"), "application/zstd"},
    {OCTETS("\x60\xea\x2b\0\x22\x0b\1\2\x10\0\2"), "application/x-arj"},
    {OCTETS("\x20\x10-lh5-\1\0\0"), "application/x-lzh-compressed"},
    {OCTETS("\x89PNG\r\n\x1a\n\0"), "image/png"},
    {OCTETS("\xff\xd8\xff\xe0\0\x10JFIF"), "image/jpeg"},
    {OCTETS("GIF89a\1\0\1\0"), "image/gif"},
    {OCTETS("BM\x46\0\0\0\0\0\0\0\x36\0\0\0\x28\0\0\0"), "image/bmp"},
    {OCTETS("II*\0\x08\0\0\0"), "image/tiff"},
    {OCTETS("\0\0\1\0\1\0\x10\x10"), "image/vnd.microsoft.icon"},
    {OCTETS("RIFF\1\0\0\0WEBPVP8 "), "image/webp"},
    {OCTETS("RIFF\1\0\0\0WAVEfmt "), "audio/x-wav"},
    {OCTETS("RIFF\1\0\0\0AVI LIST"), "video/x-msvideo"},
    {OCTETS("\0\0\0\x18"
	    "ftypmp42\0\0"),
	"video/mp4"},
    {OCTETS("ID3\4\0\0\0\0"), "audio/mpeg"},
    {OCTETS("\xff\xfb\x90\0\1"), "audio/mpeg"},
    {OCTETS("OggS\0\2\0"), "application/ogg"},
    {OCTETS("\x1a\x45\xdf\xa3\x9f\x42\x86\x81\1matroska"), "video/x-matroska"},
    {OCTETS("\x78\x9f\x3e\x22\1\0"), "application/vnd.ms-tnef"},
    {OCTETS("\x30\x80\x06\x09\x2a\x86\x48\x86\xf7\x0d\1\7\2\xa0\x80"), "application/pkcs7-mime"},
    {OCTETS("\x30\x82\1\2\x06\x09\x2a\x86\x48\x86\xf7\x0d\1\7\3\xa0"), "application/pkcs7-mime"},
    {OCTETS("!<arch>\ndebian-binary   1\0"), "application/vnd.debian.binary-package"},
    {OCTETS("SZDD\x88\xf0\x27\x33\x41\0\1\2"), "application/x-ms-compress-szdd"},
    {OCTETS("!BDN\1\2\3\0"), "application/vnd.ms-outlook-pst"},
    {OCTETS("\1\2\3\4\5\6"), "application/octet-stream"},
    {OCTETS("a text with a \0 in it"), "application/octet-stream"},
    {OCTETS(""), "application/x-empty"},
};

static const struct {
	const char *octets;
	size_t n;
	const char *type, *charset;
} texts[] = {
    {OCTETS("Dear all,\r\nMZ is no program here.\r\n"), "text/plain", "us-ascii"},
    {OCTETS("MZ is no program"), "text/plain", "us-ascii"},
    {OCTETS("gr\xc3\xbc\xc3\x9f"
	    "e"),
	"text/plain", "utf-8"},
    {OCTETS("\xef\xbb\xbf <html>"), "text/html", "utf-8"},
    {OCTETS("a long text in Latin: gr\xfc\xdf"
	    "e, and more of it"),
	"text/plain", "unknown-8bit"},
    {OCTETS("\xff\xfeh\0i\0"), "text/plain", "utf-16le"},
    {OCTETS("\xfe\xff\0h\0i"), "text/plain", "utf-16be"},
    {OCTETS("\xff\xfe<\0H\0T\0M\0L\0>\0"), "text/html", "utf-16le"},
    {OCTETS("<\0h\0t\0m\0l\0>\0"), "text/html", "utf-16le"},
    {OCTETS(" \r\n<!DOCTYPE HTML PUBLIC"), "text/html", "us-ascii"},
    {OCTETS("<!-- a comment --><a href='x'>"), "text/html", "us-ascii"},
    {OCTETS("Some words\n<script>alert(1)</script>"), "text/html", "us-ascii"},
    {OCTETS("Write to <a@example.org> or <b@example.org>."), "text/plain", "us-ascii"},
    {OCTETS("in HTML the tag is called <p> I think"), "text/plain", "us-ascii"},
    {OCTETS("<htmlx>"), "text/plain", "us-ascii"},
    {OCTETS("<html><head><HTA:APPLICATION id=x>"), "application/hta", "us-ascii"},
    {OCTETS("<?xml version='1.0'?><a/>"), "text/xml", "us-ascii"},
    {OCTETS("<?xml version='1.0'?>\n<svg xmlns='x'>"), "image/svg+xml", "us-ascii"},
    {OCTETS("<?xml version='1.0'?>\n<!DOCTYPE html><html>"), "text/html", "us-ascii"},
    {OCTETS("<svg onload=alert(1)>"), "image/svg+xml", "us-ascii"},
    {OCTETS("<job id=x><script>"), "text/x-wsf", "us-ascii"},
    {OCTETS("#!/bin/sh\nrm x\n"), "text/x-shellscript", "us-ascii"},
    {OCTETS("#! /usr/bin/env -S python3.11\r\n"), "text/x-script.python", "us-ascii"},
    {OCTETS("#!/opt/odd\n"), "text/x-script", "us-ascii"},
    {OCTETS("@ECHO OFF\r\ndel x"), "text/x-msdos-batch", "us-ascii"},
    {OCTETS("var s = new ActiveXObject(\"x\");"), "application/javascript", "us-ascii"},
    {OCTETS("Set s = CreateObject(\"WScript.Shell\")"), "text/vbscript", "us-ascii"},
    {OCTETS("IEX (New-Object Net.WebClient).DownloadString('x')"), "text/x-powershell", "us-ascii"},
    {OCTETS("medieval (old) times"), "text/plain", "us-ascii"},
    {OCTETS("[InternetShortcut]\r\nURL=http://x/"), "application/x-mswinurl", "us-ascii"},
    {OCTETS("Received: from a\r\n"), "message/rfc822", "us-ascii"},
    {OCTETS("-----BEGIN PGP MESSAGE-----\n"), "application/pgp-encrypted", "us-ascii"},
    {OCTETS("(This file must be converted with BinHex 4.0)\n"), "application/mac-binhex40",
	"us-ascii"},
};

static int
open_types(void **state)
{
	const char *why = NULL;

	(void)state;
	if (detect_global_init(false, &why))
		return 0;
	print_error("%s\n", why);
	return -1;
}

static int
close_types(void **state)
{
	(void)state;
	detect_global_end();
	return 0;
}

static void
assert_type(struct span octets, size_t chunk, const char *type, const char *charset)
{
	struct detect d;
	bool told = false;
	size_t used, fed = 0;

	detect_init(&d);
	for (size_t at = 0; at < octets.n && !told; at += chunk) {
		told = detect_feed(&d, span_first(span_from(octets, at), chunk), &used);
		fed += used;
	}
	if (!told)
		assert_true(detect_finish(&d));
	assert_false(detect_finish(&d));
	if (!span_eq(detect_type(&d), span_str(type)))
		fail_msg("'%s' where '%s' was expected", d.type, type);
	if (charset != NULL)
		assert_string_equal(d.charset, charset);
	assert_int_equal(detect_prefix(&d).n, fed);
	assert_memory_equal(detect_prefix(&d).p, octets.p, fed);
	detect_free(&d);
}

static void
test_binaries(void **state)
{
	(void)state;
	for (size_t i = 0; i < nitems(binaries); i++)
		for (size_t chunk = 1; chunk < 300; chunk *= 2)
			assert_type(span_of(binaries[i].octets, binaries[i].n), chunk,
			    binaries[i].type, NULL);
}

static void
test_texts(void **state)
{
	(void)state;
	for (size_t i = 0; i < nitems(texts); i++)
		for (size_t chunk = 1; chunk < 300; chunk *= 2)
			assert_type(span_of(texts[i].octets, texts[i].n), chunk, texts[i].type,
			    texts[i].charset);
}

static void
put(uint8_t *to, const char *octets, size_t n)
{
	memcpy(to, octets, n);
}

/* The mark of an ISO 9660 image stands behind what decides about everything else. */
static void
test_iso(void **state)
{
	static uint8_t image[40000];

	(void)state;
	put(image + 32769, "CD001", 5);
	for (size_t chunk = 1; chunk < sizeof(image); chunk = chunk * 3 + 1)
		assert_type(
		    span_of(image, sizeof(image)), chunk, "application/x-iso9660-image", NULL);
	assert_type(span_of(image, 32774), 100, "application/x-iso9660-image", NULL);
	assert_type(span_of(image, 32773), 100, "application/octet-stream", NULL);
	image[32769] = 'X';
	assert_type(span_of(image, sizeof(image)), 4096, "application/octet-stream", NULL);
}

static void
test_tar(void **state)
{
	static uint8_t block[1024];

	(void)state;
	put(block, "name", 4);
	put(block + 257, "ustar", 5);
	assert_type(span_of(block, sizeof(block)), 100, "application/x-tar", NULL);
}

/* OLE2 files are told apart by names in their directory, where it is near. */
static void
test_ole(void **state)
{
	static const char name[] = "W\0o\0r\0d\0D\0o\0c\0u\0m\0e\0n\0t\0";
	static uint8_t file[4096];

	(void)state;
	put(file, "\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", 8);
	put(file + 1024 + 128, name, sizeof(name) - 1);
	assert_type(span_of(file, sizeof(file)), 512, "application/msword", NULL);
}

/* A character that the end of the prefix cuts does not make it another charset. */
static void
test_cut_character(void **state)
{
	static uint8_t text[DETECT_PREFIX + 10];

	(void)state;
	memset(text, 'a', sizeof(text));
	put(text + DETECT_PREFIX - 2, "\xe2\x82\xac", 3);
	assert_type(span_of(text, sizeof(text)), 1000, "text/plain", "utf-8");
	put(text + DETECT_PREFIX - 4, "\xe2\x82", 2);
	assert_type(span_of(text, sizeof(text)), 1000, "text/plain", "unknown-8bit");
}

/* Without a database the own scan answers. */
static void
test_no_database(void **state)
{
	const char *why = NULL;

	(void)state;
	detect_global_end();
	assert_type(span_str("<html>"), 6, "text/html", "us-ascii");
	assert_type(span_of("\x89PNG\r\n\x1a\n\0", 9), 9, "application/octet-stream", NULL);
	assert_true(detect_global_init(true, &why)); /* the system's */
	assert_type(span_of("\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR", 16), 9, "image/png", NULL);
	detect_global_end();
	assert_true(detect_global_init(false, &why));
}

/* Whatever we do not ask libmagic for is nothing that it knows. */
static void
agrees(magic_t all, const uint8_t *octets, size_t n)
{
	char type[DETECT_TYPE_MAX];
	const char *charset;

	if (n == 0)
		return;
	detect_look(span_of(octets, n), type, &charset);
	if (strcmp(type, "application/octet-stream") == 0 ||
	    (strcmp(type, "text/plain") == 0 && strcmp(charset, "unknown-8bit") == 0))
		assert_string_equal(magic_buffer(all, octets, n), "application/octet-stream");
}

/* A sample at each place where a type may begin, cut everywhere, and with each octet another one.
 */
static void
agrees_near(magic_t all, const char *sample, size_t n)
{
	static const size_t places[] = {0, 1, 2, 4, 7, 20, 257};
	uint8_t octets[1024];

	for (size_t p = 0; p < nitems(places); p++) {
		const size_t end = places[p] + n;

		assert_true(end <= sizeof(octets));
		for (size_t i = 0; i < sizeof(octets); i++)
			octets[i] = (uint8_t)(i % 3 == 0 ? 0 : 0x80 + i % 7);
		memcpy(octets + places[p], sample, n);
		for (size_t cut = 0; cut <= end; cut++)
			agrees(all, octets, cut);
		for (size_t i = 0; i < end && i < 16; i++)
			for (unsigned bit = 0; bit < 8; bit++) {
				octets[i] ^= (uint8_t)(1u << bit);
				agrees(all, octets, end);
				agrees(all, octets, sizeof(octets));
				octets[i] ^= (uint8_t)(1u << bit);
			}
	}
}

static void
test_what_libmagic_is_not_asked_for(void **state)
{
	magic_t all = magic_open(MAGIC_MIME_TYPE | MAGIC_NO_CHECK_BUILTIN);
	void *database = malloc(types_magic_n);
	size_t n = types_magic_n;

	(void)state;
	assert_non_null(all);
	assert_non_null(database);
	memcpy(database, types_magic, n);
	assert_int_equal(magic_load_buffers(all, &database, &n, 1), 0);
	for (size_t i = 0; i < nitems(binaries); i++)
		agrees_near(all, binaries[i].octets, binaries[i].n);
	for (size_t i = 0; i < types_begin_n; i++) {
		char begin[TYPES_BEGIN_MAX + 32] = {0};

		memcpy(begin, types_begin[i].octets, TYPES_BEGIN_MAX);
		agrees_near(all, begin, sizeof(begin));
	}
	magic_close(all);
	free(database);
}

static void
test_pdf_behind_something(void **state)
{
	static const char mark[] = {'%', 'P', 'D', 'F', '-', '1', '.'};
	uint8_t octets[2048];
	char type[DETECT_TYPE_MAX];
	const char *charset;

	(void)state;
	for (size_t at = 1; at < 1100; at++) {
		memset(octets, 0, sizeof(octets));
		memcpy(octets + at, mark, sizeof(mark));
		detect_look(span_of(octets, sizeof(octets)), type, &charset);
		assert_string_equal(
		    type, at <= 1024 ? "application/pdf" : "application/octet-stream");
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_binaries),
	    cmocka_unit_test(test_texts),
	    cmocka_unit_test(test_iso),
	    cmocka_unit_test(test_tar),
	    cmocka_unit_test(test_ole),
	    cmocka_unit_test(test_cut_character),
	    cmocka_unit_test(test_what_libmagic_is_not_asked_for),
	    cmocka_unit_test(test_pdf_behind_something),
	    cmocka_unit_test(test_no_database),
	};

	return cmocka_run_group_tests(tests, open_types, close_types);
}
