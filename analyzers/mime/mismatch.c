#include "mime/mismatch.h"

#define nitems(a) (sizeof(a) / sizeof((a)[0]))

const char *
content_class_name(enum content_class c)
{
	static const char *const names[CLASSES] = {
	    [CLASS_UNKNOWN] = "unknown",
	    [CLASS_TEXT] = "text",
	    [CLASS_IMAGE] = "image",
	    [CLASS_MEDIA] = "media",
	    [CLASS_MAIL] = "mail",
	    [CLASS_DOCUMENT] = "document",
	    [CLASS_ARCHIVE] = "archive",
	    [CLASS_DISK] = "disk image",
	    [CLASS_HTML] = "html",
	    [CLASS_MACRO] = "document with macros",
	    [CLASS_SCRIPT] = "script",
	    [CLASS_EXECUTABLE] = "executable",
	};

	return names[c];
}

/* ---- types ---- */

struct row {
	struct span text; /* lower case: a whole one, or a prefix that ends in "/" or "." */
	enum content_class class;
};

/* The first row that fits. */
#define TYPE(text, class)                                                                          \
	{                                                                                          \
		{(const uint8_t *)(text), sizeof(text) - 1}, class                                 \
	}
static const struct row types[] = {
    TYPE("application/octet-stream", CLASS_UNKNOWN),
    TYPE("application/x-empty", CLASS_UNKNOWN),
    TYPE("application/x-executable", CLASS_EXECUTABLE),
    TYPE("application/x-pie-executable", CLASS_EXECUTABLE),
    TYPE("application/x-sharedlib", CLASS_EXECUTABLE),
    TYPE("application/x-dosexec", CLASS_EXECUTABLE),
    TYPE("application/x-msdownload", CLASS_EXECUTABLE),
    TYPE("application/x-msdos-program", CLASS_EXECUTABLE),
    TYPE("application/x-mach-binary", CLASS_EXECUTABLE),
    TYPE("application/vnd.microsoft.portable-executable", CLASS_EXECUTABLE),
    TYPE("application/x-ms-shortcut", CLASS_EXECUTABLE),
    TYPE("application/x-java-applet", CLASS_EXECUTABLE),
    TYPE("application/java-archive", CLASS_EXECUTABLE),
    TYPE("application/vnd.android.", CLASS_EXECUTABLE),
    TYPE("application/x-msi", CLASS_EXECUTABLE),
    TYPE("application/vnd.ms-appx", CLASS_EXECUTABLE),
    TYPE("application/x-rpm", CLASS_EXECUTABLE),
    TYPE("application/vnd.debian.binary-package", CLASS_EXECUTABLE),
    TYPE("application/vnd.adobe.flash.movie", CLASS_EXECUTABLE),
    TYPE("application/x-shockwave-flash", CLASS_EXECUTABLE),
    TYPE("application/vnd.ms-htmlhelp", CLASS_EXECUTABLE),
    TYPE("application/wasm", CLASS_EXECUTABLE),
    TYPE("application/x-llvm", CLASS_EXECUTABLE),
    TYPE("application/hta", CLASS_SCRIPT),
    TYPE("application/javascript", CLASS_SCRIPT),
    TYPE("application/x-javascript", CLASS_SCRIPT),
    TYPE("text/javascript", CLASS_SCRIPT),
    TYPE("text/vbscript", CLASS_SCRIPT),
    TYPE("text/x-msdos-batch", CLASS_SCRIPT),
    TYPE("text/x-powershell", CLASS_SCRIPT),
    TYPE("text/x-wsf", CLASS_SCRIPT),
    TYPE("text/x-shellscript", CLASS_SCRIPT),
    TYPE("application/x-sh", CLASS_SCRIPT),
    TYPE("text/x-script", CLASS_SCRIPT),
    TYPE("text/x-script.", CLASS_SCRIPT),
    TYPE("text/x-perl", CLASS_SCRIPT),
    TYPE("text/x-python", CLASS_SCRIPT),
    TYPE("text/x-ruby", CLASS_SCRIPT),
    TYPE("text/x-php", CLASS_SCRIPT),
    TYPE("text/x-ms-regedit", CLASS_SCRIPT),
    TYPE("application/x-mswinurl", CLASS_SCRIPT),
    TYPE("application/x-setupscript", CLASS_SCRIPT),
    TYPE("application/vnd.ms-word.document.macroenabled.12", CLASS_MACRO),
    TYPE("application/vnd.ms-excel.sheet.macroenabled.12", CLASS_MACRO),
    TYPE("application/vnd.ms-powerpoint.presentation.macroenabled.12", CLASS_MACRO),
    TYPE("text/html", CLASS_HTML),
    TYPE("application/xhtml+xml", CLASS_HTML),
    TYPE("application/x-iso9660-image", CLASS_DISK),
    TYPE("application/x-vhd", CLASS_DISK),
    TYPE("application/x-vhdx", CLASS_DISK),
    TYPE("application/x-vmdk", CLASS_DISK),
    TYPE("application/x-qemu-disk", CLASS_DISK),
    TYPE("application/zip", CLASS_ARCHIVE),
    TYPE("application/x-zip-compressed", CLASS_ARCHIVE),
    TYPE("application/x-zip", CLASS_ARCHIVE),
    TYPE("application/gzip", CLASS_ARCHIVE),
    TYPE("application/x-gzip", CLASS_ARCHIVE),
    TYPE("application/x-tar", CLASS_ARCHIVE),
    TYPE("application/x-rar", CLASS_ARCHIVE),
    TYPE("application/vnd.rar", CLASS_ARCHIVE),
    TYPE("application/x-rar-compressed", CLASS_ARCHIVE),
    TYPE("application/x-7z-compressed", CLASS_ARCHIVE),
    TYPE("application/vnd.ms-cab-compressed", CLASS_ARCHIVE),
    TYPE("application/x-bzip2", CLASS_ARCHIVE),
    TYPE("application/x-xz", CLASS_ARCHIVE),
    TYPE("application/zstd", CLASS_ARCHIVE),
    TYPE("application/x-lzma", CLASS_ARCHIVE),
    TYPE("application/x-lzip", CLASS_ARCHIVE),
    TYPE("application/x-lz4", CLASS_ARCHIVE),
    TYPE("application/x-compress", CLASS_ARCHIVE),
    TYPE("application/x-arj", CLASS_ARCHIVE),
    TYPE("application/x-lzh-compressed", CLASS_ARCHIVE),
    TYPE("application/x-ace-compressed", CLASS_ARCHIVE),
    TYPE("application/x-zoo", CLASS_ARCHIVE),
    TYPE("application/x-cpio", CLASS_ARCHIVE),
    TYPE("application/x-xar", CLASS_ARCHIVE),
    TYPE("application/x-archive", CLASS_ARCHIVE),
    TYPE("application/x-ms-wim", CLASS_ARCHIVE),
    TYPE("application/pdf", CLASS_DOCUMENT),
    TYPE("application/postscript", CLASS_DOCUMENT),
    TYPE("application/msword", CLASS_DOCUMENT),
    TYPE("application/rtf", CLASS_DOCUMENT),
    TYPE("text/rtf", CLASS_DOCUMENT),
    TYPE("application/onenote", CLASS_DOCUMENT),
    TYPE("application/x-ole-storage", CLASS_DOCUMENT),
    TYPE("application/encrypted", CLASS_DOCUMENT),
    TYPE("application/epub+zip", CLASS_DOCUMENT),
    TYPE("application/vnd.ms-outlook", CLASS_MAIL),
    TYPE("application/vnd.ms-tnef", CLASS_MAIL),
    TYPE("application/ms-tnef", CLASS_MAIL),
    TYPE("application/vnd.ms-excel", CLASS_DOCUMENT),
    TYPE("application/vnd.ms-powerpoint", CLASS_DOCUMENT),
    TYPE("application/vnd.oasis.opendocument.", CLASS_DOCUMENT),
    TYPE("application/vnd.openxmlformats-officedocument.", CLASS_DOCUMENT),
    TYPE("application/ogg", CLASS_MEDIA),
    TYPE("message/", CLASS_MAIL),
    TYPE("image/", CLASS_IMAGE),
    TYPE("audio/", CLASS_MEDIA),
    TYPE("video/", CLASS_MEDIA),
    TYPE("text/", CLASS_TEXT),
};
#undef TYPE

/* ---- extensions ---- */

struct extension_row {
	enum content_class class;
	const char *extensions; /* each between blanks */
};

static const struct extension_row extensions[] = {
    {CLASS_EXECUTABLE,
	" exe com scr pif cpl dll sys drv ocx msi msp mst msix appx appinstaller lnk jar "
	"class apk dex elf so run bin app dmg pkg deb rpm swf chm gadget application "
	"xll wll search-ms library-ms settingcontent-ms scf diagcab "},
    {CLASS_SCRIPT,
	" js jse vbs vbe vb wsf wsh wsc sct bat cmd ps1 ps1xml ps2 psc1 psm1 psd1 hta reg inf "
	"url website jnlp msc msh msh1 sh bash zsh csh ksh py pyw pl rb php command "
	"applescript scpt desktop iqy slk theme job "},
    {CLASS_MACRO, " docm dotm xlsm xltm xlsb xlam xla pptm potm ppam ppsm sldm "},
    {CLASS_HTML, " htm html shtml xhtml xht mht mhtml "},
    {CLASS_DISK, " iso img vhd vhdx vmdk udf "},
    {CLASS_ARCHIVE,
	" zip zipx rar r00 7z gz tgz bz2 tbz tbz2 xz txz zst tar cab arj lzh lha ace z arc "
	"zoo cpio wim jpz lz lzma "},
    {CLASS_DOCUMENT,
	" pdf doc dot docx dotx xls xlt xlsx xltx ppt pps pot pptx ppsx potx rtf odt ods "
	"odp odg odf ott ps eps pub vsd vsdx one onepkg epub "},
    {CLASS_MAIL, " eml msg mbox dat "},
    {CLASS_MEDIA,
	" mp3 mp4 m4a m4v wav avi mkv mov mpg mpeg ogg oga ogv flac wma wmv webm amr mid "},
    {CLASS_IMAGE, " png jpg jpeg jpe gif bmp tif tiff webp ico heic heif avif psd svg wmf emf "},
    {CLASS_TEXT, " txt text log csv tsv md ini cfg conf json xml yml yaml asc vcf ics diff patch "},
};

#define EXTENSION_MAX 18

static enum content_class
class_of_extension(struct span extension)
{
	char word[EXTENSION_MAX + 3] = " ";
	size_t n = extension.n;

	if (n == 0 || n > EXTENSION_MAX)
		return CLASS_UNKNOWN;
	for (size_t i = 0; i < n; i++)
		word[i + 1] = (char)octet_lower(extension.p[i]);
	word[n + 1] = ' ';
	if (memchr(word + 1, ' ', n) != NULL || memchr(word, '\0', n + 1) != NULL)
		return CLASS_UNKNOWN;
	for (size_t i = 0; i < nitems(extensions); i++)
		if (strstr(extensions[i].extensions, word) != NULL)
			return extensions[i].class;
	return CLASS_UNKNOWN;
}

enum content_class
class_of_type(struct span type)
{
	for (size_t i = 0; i < nitems(types); i++) {
		struct span row = types[i].text;
		uint8_t last = row.p[row.n - 1];

		if (last == '/' || last == '.' ? span_istarts(type, row) : span_ieq(type, row))
			return types[i].class;
	}
	return CLASS_UNKNOWN;
}

/* ---- names ---- */

/* What a system makes of it: nothing behind a NUL, no path, no dots and blanks at the end. */
static struct span
base_name(struct span name)
{
	ptrdiff_t nul = span_find(name, '\0'), slash, backslash;

	if (nul >= 0)
		name = span_first(name, (size_t)nul);
	while (name.n > 0 && (name.p[name.n - 1] == '.' || name.p[name.n - 1] <= ' '))
		name.n--;
	slash = span_rfind(name, '/');
	backslash = span_rfind(name, '\\');
	return span_from(name, (size_t)((slash > backslash ? slash : backslash) + 1));
}

struct span
name_extension(struct span name)
{
	struct span base = base_name(name);
	ptrdiff_t dot = span_rfind(base, '.');

	return dot < 0 ? SPAN_NONE : span_from(base, (size_t)dot + 1);
}

enum content_class
class_of_name(struct span name)
{
	return class_of_extension(name_extension(name));
}

static bool
has(struct span s, const char *text)
{
	return s.n > 0 && memmem(s.p, s.n, text, strlen(text)) != NULL;
}

/* "a.pdf.exe": one extension for the eye and a dangerous one for the system. */
static bool
is_double(struct span base)
{
	ptrdiff_t dot = span_rfind(base, '.');
	struct span front = dot < 0 ? SPAN_NONE : span_rtrim(span_first(base, (size_t)dot));
	enum content_class shown = class_of_name(front);

	return class_of_name(base) >= CLASS_HTML && shown != CLASS_UNKNOWN && shown < CLASS_HTML &&
	       span_find(front, '.') >= 0;
}

/* "a.pdf           .exe": what is behind the blanks is not seen in a list. */
static bool
is_pushed_aside(struct span base)
{
	return has(base, "     ") && class_of_name(base) >= CLASS_HTML;
}

/* U+202A to U+202E, U+2066 to U+2069: they turn the order of what is shown. */
static bool
is_turned(struct span name)
{
	for (size_t i = 0; i + 2 < name.n; i++)
		if (name.p[i] == 0xe2 &&
		    ((name.p[i + 1] == 0x80 && name.p[i + 2] >= 0xaa && name.p[i + 2] <= 0xae) ||
			(name.p[i + 1] == 0x81 && name.p[i + 2] >= 0xa6 && name.p[i + 2] <= 0xa9)))
			return true;
	return false;
}

static bool
has_controls(struct span name)
{
	for (size_t i = 0; i < name.n; i++)
		if (name.p[i] < 0x20 || name.p[i] == 0x7f)
			return true;
	return false;
}

static bool
leads_elsewhere(struct span name)
{
	return span_starts(name, span_str("/")) || span_starts(name, span_str("\\")) ||
	       has(name, "../") || has(name, "..\\") || span_eq(name, span_str("..")) ||
	       (name.n > 1 && octet_is_alpha(name.p[0]) && name.p[1] == ':');
}

/* Dots or blanks that a system drops, before it looks at a dangerous extension. */
static bool
ends_in_nothing(struct span name)
{
	return name.n > 0 && (name.p[name.n - 1] == '.' || name.p[name.n - 1] == ' ') &&
	       class_of_name(name) >= CLASS_HTML;
}

const char *
name_trick(struct span name)
{
	struct span base = base_name(name);

	if (span_find(name, '\0') >= 0)
		return "NUL in a file name";
	if (is_turned(name))
		return "a file name that turns the order of its characters";
	if (is_double(base))
		return "double extension";
	if (is_pushed_aside(base))
		return "blanks before the extension";
	if (ends_in_nothing(name))
		return "dots or blanks behind the extension";
	if (has_controls(name))
		return "control characters in a file name";
	if (leads_elsewhere(name))
		return "a file name that is a path elsewhere";
	return NULL;
}

void
names_worst_first(struct span *names, size_t n)
{
	for (size_t i = 1; i < n; i++) {
		struct span name = names[i];
		enum content_class class = class_of_name(name);
		size_t k = i;

		for (; k > 0 && class_of_name(names[k - 1]) < class; k--)
			names[k] = names[k - 1];
		names[k] = name;
	}
}

/* ---- contradictions ---- */

#define BIT(class)  (1u << (class))
#define ALL	    (BIT(CLASSES) - 1)
#define DANGEROUS   (BIT(CLASS_EXECUTABLE) | BIT(CLASS_SCRIPT))
#define UNDISTURBED (BIT(CLASS_IMAGE) | BIT(CLASS_MEDIA))

/*
 * A claim (of a name or a declared type) and a content that contradict each other, by classes, the
 * worst first. Not here, for they do not matter: documents that are archives (all newer ones are)
 * or text (csv as xls), archives of other kinds, source code as text, mail as text.
 */
static const struct {
	unsigned claim, content;
	const char *by_name, *by_type;
} contradictions[] = {
    {ALL & ~DANGEROUS & ~BIT(CLASS_UNKNOWN) & ~BIT(CLASS_MACRO), BIT(CLASS_EXECUTABLE),
	"a program under the name of something else", "a program declared as something else"},
    {ALL & ~DANGEROUS & ~BIT(CLASS_UNKNOWN) & ~BIT(CLASS_HTML) & ~BIT(CLASS_TEXT) &
	    ~BIT(CLASS_MAIL),
	BIT(CLASS_SCRIPT), "a script under the name of something else",
	"a script declared as something else"},
    {UNDISTURBED | BIT(CLASS_DOCUMENT) | BIT(CLASS_ARCHIVE), BIT(CLASS_HTML),
	"html under the name of something else", "html declared as something else"},
    {UNDISTURBED | BIT(CLASS_TEXT) | BIT(CLASS_HTML), BIT(CLASS_ARCHIVE) | BIT(CLASS_DISK),
	"an archive under the name of something else", "an archive declared as something else"},
    {BIT(CLASS_DOCUMENT), BIT(CLASS_DISK), "a disk image under the name of a document",
	"a disk image declared as a document"},
    {UNDISTURBED | BIT(CLASS_TEXT) | BIT(CLASS_HTML), BIT(CLASS_DOCUMENT) | BIT(CLASS_MACRO),
	"a document under the name of something else", "a document declared as something else"},
    {BIT(CLASS_IMAGE), BIT(CLASS_TEXT) | BIT(CLASS_MEDIA), "no image under the name of one",
	"no image, though declared as one"},
};

/* Pairs that belong together all the same. */
static const struct {
	const char *detected, *extension;
} same[] = {
    {"image/svg+xml", "xml"},
    {"application/x-java-applet", "class"},
    {"application/gzip", "svgz"},
    {"application/zip", "kmz"},
    {"application/x-ole-storage", "db"},
    {"text/x-ms-regedit", "txt"},
};

static bool
is_same(struct span detected, struct span name)
{
	for (size_t i = 0; i < nitems(same); i++)
		if (span_ieq(detected, span_str(same[i].detected)) &&
		    span_ieq(name_extension(name), span_str(same[i].extension)))
			return true;
	return false;
}

/* Row number, or nitems(contradictions). */
static size_t
contradiction(enum content_class claim, enum content_class content)
{
	size_t i = 0;

	while (i < nitems(contradictions) && ((contradictions[i].claim & BIT(claim)) == 0 ||
						 (contradictions[i].content & BIT(content)) == 0))
		i++;
	return i;
}

/* A name that is run, declared as what is only looked at: "image/png; name=a.exe". */
static const char *
name_against_type(enum content_class declared, enum content_class name)
{
	if ((BIT(name) & DANGEROUS) != 0 &&
	    (BIT(declared) & (UNDISTURBED | BIT(CLASS_DOCUMENT))) != 0)
		return "a program's name on what is declared as something else";
	return NULL;
}

const char *
mismatch_look(struct span declared, struct span detected, const struct span *names, size_t n_names)
{
	enum content_class content = class_of_type(detected), type = class_of_type(declared);
	size_t worst = nitems(contradictions), by_type = contradiction(type, content);
	const char *trick = NULL, *against = NULL;

	for (size_t i = 0; i < n_names; i++) {
		enum content_class class = class_of_name(names[i]);
		size_t row = is_same(detected, names[i]) ? worst : contradiction(class, content);

		if (row < worst)
			worst = row;
		if (trick == NULL)
			trick = name_trick(names[i]);
		if (against == NULL)
			against = name_against_type(type, class);
	}
	if (worst < nitems(contradictions) && worst <= by_type)
		return contradictions[worst].by_name;
	if (by_type < nitems(contradictions))
		return contradictions[by_type].by_type;
	return trick != NULL ? trick : against;
}
