/*
 * mime_state - inside of the parser: what mime.c, mime_delimiter.c, mime_open.c, mime_queue.c and
 * mime_tap.c share.
 * Not for anybody else.
 *
 * A layer reads octets as lines: the message itself is one, and so is every decoded content that is
 * a message or a multipart again. Its frames are the parts that are open, each within the one
 * below. A tap takes the octets of a frame's body to where they go: through a decoder to the
 * caller, or into another layer. Most frames have none (multiparts) or one (leaves); a body that
 * can be read in several ways has one for each reading, and then those of outer frames go on while
 * inner frames come and go.
 */
#ifndef POSTERN_MIME_STATE_H
#define POSTERN_MIME_STATE_H

#include "mime/mime.h"
#include "mime/mime_boundary.h"
#include "mime/mime_decoder.h"
#include "mime/mime_header.h"
#include "mime/mime_part.h"

#define QUEUE_MAX	128	   /* events of one step */
#define DETAIL_MAX	200	   /* octets of the text of an anomaly, with its NUL */
#define LAYERS_MAX	16	   /* contents that are decoded and parsed, within each other */
#define TAPS_MAX	8	   /* of one layer */
#define TAPS_ALL_MAX	32	   /* of all layers */
#define INNER_HEADER	4	   /* a decoded content's header may have so much less */
#define AMBIGUOUS_MAX	16	   /* anomalies of this kind, of one part, that are told */
#define READINGS_MAX	8	   /* boundaries of one multipart */
#define BLANKS_MAX	256	   /* behind a boundary, that are kept */
#define BOUNDARY_MOST	4096	   /* octets of a boundary, whatever the limits say */
#define COPY_MAX	4096	   /* octets that several taps take at once, and: */
#define COPY_ALONE_MAX	8192	   /* where the order of what they say does not show */
#define KEPT_VALUES_MAX (1u << 20) /* octets of memory, of values of all open parts; then: */
#define KEPT_VALUE_MIN	8192	   /* of each */

struct frame {
	struct mime_part part;
	struct frame *below; /* or the next dead one */
	uint64_t told;	     /* anomalies, one bit each */
	unsigned ambiguous;  /* of this kind, told */
	bool in_header;
	bool soft;	/* began at a line that is a delimiter to some readers only */
	bool multipart; /* has boundaries, or may have undeclared ones */
	bool child;	/* one is open */
	bool opened, closed;
	unsigned reading; /* boundary that opened the child */
	unsigned readings;
	unsigned children, generated; /* begun */
	uint64_t begin, body, body_lines;
	struct mime_said said; /* large, and not zero: the last */
};

struct tap {
	struct frame *frame;  /* whose body it takes */
	struct frame *target; /* whose content comes out: the same, or a generated one */
	unsigned told;	      /* faults */
	bool finished;
	uint8_t *url_safe_out; /* NULL: there is no other reading */
	struct layer *sub;     /* NULL: the caller gets the content */
	bool mute;	       /* nobody gets it: it would be decoded too deep */
	bool outside; /* a multipart's own octets: to its first delimiter, or its epilogue */
	struct mime_uu *scan; /* files in a text; or NULL */
	struct span scan_left;
	bool scanning;	    /* it may have more to say */
	struct frame *file; /* that is open */
	unsigned scan_told;
	bool scan_finished;
	/* large, and not zero: the last */
	struct mime_decoder decoder;
	struct mime_base64 url_safe; /* the other reading */
};

enum layer_state {
	L_HEADER,
	L_BODY,
	L_DELIMITER, /* behind the boundary, in its line */
	L_DELIMITER_LF,
	L_DONE,
};

enum hold {
	HOLD_NONE,
	HOLD_DASH,    /* a line that may be a delimiter */
	HOLD_CONTENT, /* one that may be a header's, where one may go on */
};

enum open_as {
	OPEN_NONE,
	OPEN_SOFT,
	OPEN_CONTENT,
};

struct layer {
	struct tap *source; /* NULL: the message */
	struct frame *root; /* within which its first frame is; NULL: the message */
	struct frame *top;
	enum layer_state state;
	struct span in, again; /* octets to take: those in again first */
	bool eof;
	uint64_t off, lines; /* taken, and their line ends */
	uint64_t base;	     /* of a decoded content: offset of its first octet in the message */

	bool bol, plain; /* at the start of a line; of one that is known to be no delimiter */
	bool empty;	 /* nothing was in the line before it */
	uint8_t eol[2];	 /* the line end before it, which may belong to a delimiter */
	size_t eol_n;
	uint8_t last; /* octet of content */
	enum hold hold;
	uint8_t *held; /* eol, and the line that is looked at */
	size_t held_n, held_eol, held_max;
	bool held_cr;	/* a CR ends it, and is the last octet of held */
	bool held_bare; /* that CR has no LF behind it */

	struct mime_boundaries boundaries;
	struct mime_delimiter delimiter, soft;
	bool held_to_taps;
	bool popping;
	struct frame *keep; /* frames above it go */
	bool keep_inside;   /* and what stood outside of its parts ends */
	enum open_as open;
	unsigned armed; /* lines in which a header that broke may go on, to an empty one */
	uint8_t *guess; /* boundary that nobody declared */
	size_t guess_n;
	bool guessing;

	struct mime_header header;
	uint64_t field_off;
	unsigned fields;
	bool broken;

	struct tap *taps[TAPS_MAX];
	unsigned n_taps;
	struct span run;	   /* octets on their way to them */
	unsigned run_at, run_taps; /* the next, and how many there are */
	uint8_t *copy;		   /* octets that wait to go */
	size_t copied;
	bool flush;    /* all of them, as soon as those on their way have arrived */
	size_t untold; /* octets of a header's line that are still to be collected */
};

struct mime {
	struct mime_limits limits;
	struct layer *layers[LAYERS_MAX];
	unsigned n_layers;
	unsigned n_taps;    /* of all of them */
	struct frame *dead; /* their last event is out, the caller may still look */
	unsigned parts;
	unsigned told;	    /* anomalies */
	unsigned ambiguous; /* of this kind, told */
	size_t kept;	    /* octets of KEPT_VALUES_MAX */
	bool full;	    /* no part begins any more */
	bool finishing, no_memory;

	unsigned queued, taken;
	struct frame *root; /* the message, when it is complete */

	/* not zeroed by mime_new(): written before they are read */
	struct mime_event queue[QUEUE_MAX];
	char details[QUEUE_MAX][DETAIL_MAX];
};

/* ---- mime_queue.c: events and parts; all of them note in m->no_memory what fails ---- */

struct mime_event *queue_event(
    struct mime *, const struct frame *, enum mime_kind, uint64_t off, struct span octets);
/* detail: a constant, or NULL; say_two() makes one of both readings. */
void say(struct mime *, struct frame *, enum mime_anomaly, uint64_t off, const char *detail);
void say_two(struct mime *, struct frame *, uint64_t off, const char *what, struct span one,
    const char * or, struct span other);
/* Those that are new since *told. */
void say_faults(
    struct mime *, struct frame *, const struct mime_faults *, unsigned *told, uint64_t base);
/* Begins a part in the header or (generated) without one. NULL: no memory. */
struct frame *frame_begin(struct mime *, struct frame *parent, uint64_t off, bool generated);
void frame_path(struct frame *, const struct frame *parent);
/* The end of a part: its event, and it is freed once that was seen. */
void frame_end(struct mime *, struct frame *, uint64_t off);
void frame_free(struct mime *, struct frame *);
void frames_bury(struct mime *); /* the dead ones */

/* ---- mime_tap.c: where octets of bodies go ---- */

/* target NULL: the frame's own content. False: too many of them, or no memory. */
struct tap *tap_open(
    struct mime *, struct layer *, struct frame *, struct frame *target, enum mime_encoding);
void tap_free(struct mime *, struct tap *);
/* Looks for uuencoded files in the content. */
void tap_scan(struct mime *, struct tap *);
/* Can the octets go to the taps where they lie? */
bool can_lie(const struct layer *);
/* Octets that may be given to them at once. */
size_t run_limit(const struct layer *, bool lies);
void to_taps(struct layer *, struct span, bool lies);
/* Octets that wait for others to go with. */
void collect(struct layer *, struct span);
void flush_copy(struct layer *);
/* One step of the octets on their way. */
void tap_run(struct mime *, struct layer *);
/* One step of the end of the last tap. */
void tap_close(struct mime *, struct layer *);

/* ---- mime_open.c: parts begin; what their headers make of them ---- */

/* The octets from here on are the header of a part within parent. */
void begin_header(struct mime *, struct layer *, struct frame *parent, bool generated);
/* The header of the part on top is complete: its body is opened, in every reading. */
void end_header(struct mime *, struct layer *);
/* What comes now stands outside of the parts of a multipart. */
void begin_outside(struct mime *, struct layer *, struct frame *);
/* One more boundary of a multipart: octets, as some reader takes it. */
void add_boundary(struct mime *, struct layer *, struct frame *, struct span octets);

/* ---- mime_delimiter.c: lines that may be delimiters, and the parts that begin behind them ---- */

/* The multipart that an undeclared boundary would belong to; NULL: none. */
struct frame *guess_owner(const struct layer *);
/* Is the line that begins here to be looked at before anybody gets it? */
bool may_hold(const struct mime *, const struct layer *, struct span in);
void begin_hold(struct layer *, uint8_t c);
void hold_step(struct mime *, struct layer *);
void end_hold(struct mime *, struct layer *);
/* The rest of a delimiter's line. */
void delimiter_step(struct mime *, struct layer *);
/* Parts that only some readers see begin, once the lines before them have gone their way. */
void open_soft(struct mime *, struct layer *);
void open_content(struct mime *, struct layer *);

/* ---- mime_bound.c: memory ---- */

/* Octets of one header that are kept: of the message itself, or of a decoded content. */
size_t header_room(size_t limit, bool inner);

/* ---- mime.c: layers, and the octets that they take ---- */

struct layer *layer_new(struct mime *, struct frame *root, uint64_t base);
void layer_free(struct mime *, struct layer *);
uint64_t layer_off(const struct layer *, uint64_t off);
/* The octets that are to be taken next, and that some of them are. */
struct span *input(struct layer *);
void take(struct layer *, struct span *in, size_t n);
/* A line that was looked at, and is none of what it might have been. */
void take_again(struct layer *, struct span octets);
/* Octets to the end of the line, with it. */
size_t line_length(struct span);
/* Fields that the end of the header makes complete. */
void finish_header(struct mime *, struct layer *);
/* Frames above keep end. */
void pop_to(struct layer *, struct frame *keep);

#endif
