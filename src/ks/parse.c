/* SPDX-License-Identifier: Apache-2.0 */
/* Lines, sections and includes. */
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/xalloc.h"
#include "ks/doc.h"
#include "ks/text.h"

#define TEXT_MAX_BYTES (64 * MIB) /* of all files together */
#define DEPTH_MAX      16
#define INCLUDES_MAX   1000

/* One text being read.  The chain of parents is the chain of includes. */
struct input {
	const struct input *parent;
	const char *name; /* kept by the document */
	const char *p, *end;
	unsigned line; /* of the last line read, from 1 */
	unsigned depth;
	dev_t dev; /* with ino: the file; both 0 for text that is none */
	ino_t ino;
};

/* The section whose body is being read. */
struct section {
	bool open;
	const struct ks_command *grammar; /* NULL: an unknown one, whose body is dropped */
	struct ks_cmd *header;            /* the document's */
	char *header_text;                /* as written, of a raw one */
	struct strbuf body;
	const char *file;
	unsigned line;
};

struct parser {
	struct ks_doc *doc;
	const struct ks_options *options;
	struct section section;
	size_t bytes; /* read so far */
	unsigned includes;
	const struct input *input;
};

static bool section_has_content(const struct section *s)
{
	const char *text = s->body.data ? s->body.data : "";
	const char *end = text + s->body.len;

	return ks_skip_space(text, end) < end;
}

static void add_script(struct ks_doc *doc, struct section *s, enum ks_script_kind kind)
{
	const struct ks_cmd *h = s->header;
	const char *log = ks_str(h, "log");

	if (!section_has_content(s))
		return;
	KS_GROW(doc->scripts, doc->script_count, doc->script_room);
	size_t body_len = s->body.len;
	doc->scripts[doc->script_count++] = (struct ks_script){
		.kind = kind,
		.interpreter = xstrdup(ks_text(h, "interpreter")),
		.log = log ? xstrdup(log) : NULL,
		.body = strbuf_take(&s->body),
		.body_len = body_len,
		.erroronfail = ks_flag(h, "erroronfail"),
		.nochroot = kind == KS_POST && ks_flag(h, "nochroot"),
		.file = s->file,
		.line = s->line,
	};
}

static void add_certificate(struct ks_doc *doc, struct section *s)
{
	const char *dir = ks_str(s->header, "dir"), *type = ks_str(s->header, "type");

	if (!section_has_content(s)) {
		ks_error(doc, s->file, s->line, "%%certificate: there is no certificate");
		return;
	}
	KS_GROW(doc->certificates, doc->certificate_count, doc->certificate_room);
	doc->certificates[doc->certificate_count++] = (struct ks_certificate){
		.filename = xstrdup(ks_text(s->header, "filename")),
		.dir = dir ? xstrdup(dir) : NULL,
		.type = type ? xstrdup(type) : NULL,
		.body = strbuf_take(&s->body),
		.file = s->file,
		.line = s->line,
	};
}

static void add_addon(struct ks_doc *doc, struct section *s)
{
	char *header = take_ptr(s->header_text);

	KS_GROW(doc->addons, doc->addon_count, doc->addon_room);
	doc->addons[doc->addon_count++] = (struct ks_addon){
		.header = header,
		.body = strbuf_take(&s->body),
		.file = s->file,
		.line = s->line,
	};
}

static void section_fini(struct section *s)
{
	free(s->header_text);
	strbuf_fini(&s->body);
	*s = (struct section){0};
}

static void close_section(struct parser *ps)
{
	struct section *s = &ps->section;
	const char *name = s->grammar ? s->grammar->name : "";

	for (enum ks_script_kind k = KS_PRE; k <= KS_TRACEBACK; k++)
		if (str_eq(name, ks_script_name(k)))
			add_script(ps->doc, s, k);
	if (str_eq(name, "%certificate"))
		add_certificate(ps->doc, s);
	else if (s->grammar && s->grammar->raw)
		add_addon(ps->doc, s);
	section_fini(s);
}

static char *join_words(const struct strv *words)
{
	autostrbuf b = {0};

	for (size_t i = 0; i < words->count; i++)
		strbuf_printf(&b, "%s%s", i > 0 ? " " : "", words->items[i]);
	return strbuf_take(&b);
}

static void warn_of_section(struct ks_doc *doc, const struct section *s)
{
	if (s->grammar->status == KS_DEPRECATED)
		ks_warning(doc, s->file, s->line, "'%s' is deprecated", s->grammar->name);
	else if (s->grammar->used_by == 0)
		ks_warning(doc, s->file, s->line,
			"'%s' is valid kickstart, but nothing here acts on it", s->grammar->name);
}

static void open_section(struct parser *ps, const struct strv *words)
{
	struct section *s = &ps->section;
	struct ks_doc *doc = ps->doc;
	size_t first_run;
	struct err e = {0};
	int r;

	s->grammar = ks_section_find(words->items[0]);
	s->file = ps->input->name;
	s->line = ps->input->line;
	if (!s->grammar) {
		ks_error(doc, s->file, s->line, "unknown section '%.80s'", words->items[0]);
		s->open = !str_eq(words->items[0], "%end");
		return;
	}
	s->open = true;
	if (!ks_allowed(doc, s->grammar->name, NULL, (struct ks_place){s->file, s->line})) {
		s->grammar = NULL;
		return;
	}
	warn_of_section(doc, s);
	if (s->grammar->raw) {
		s->header_text = join_words(words);
		return;
	}

	s->header = ks_cmd_new(s->grammar, s->grammar->name);
	ks_cmd_append(&doc->headers, s->header);
	s->header->file = s->file;
	s->header->line = s->line;
	r = ks_parse_options(doc, s->header, words, &first_run, &e);
	if (r == 0 && str_eq(s->grammar->name, "%packages"))
		r = ks_packages_header(doc, s->header, &e);
	else if (r == 0 && str_eq(s->grammar->name, "%certificate") && !ks_flag(s->header, "dir") &&
		!ks_flag(s->header, "type"))
		r = err_set(&e, EINVAL, "expected --dir or --type");
	if (r < 0)
		ks_error(doc, s->file, s->line, "%s: %s", s->grammar->name, e.msg);
	else
		(void)ks_allowed(
			doc, s->grammar->name, s->header, (struct ks_place){s->file, s->line});
}

static void read_input(struct parser *ps, struct input *in);

/* The reference parser has no line for it, so it is part of the text. */
static void include_error(const struct parser *ps, const char *text)
{
	ks_error(ps->doc, ps->input->name, 0, "line %u: %%include: %s", ps->input->line, text);
}

static char *include_path(const struct input *in, const char *target)
{
	const char *slash = strrchr(in->name, '/');

	if (target[0] == '/' || !slash)
		return xstrdup(target);
	return xasprintf("%.*s/%s", (int)(slash - in->name), in->name, target);
}

static bool is_being_read(const struct input *in, const struct input *candidate)
{
	for (; in; in = in->parent) {
		if (candidate->ino ? in->ino == candidate->ino && in->dev == candidate->dev
				   : in->ino == 0 && str_eq(in->name, candidate->name))
			return true;
	}
	return false;
}

/* Text of a file; child gets its identity. */
static int load_file(
	struct parser *ps, const char *path, struct input *child, char **text, struct err *e)
{
	autofd int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct stat st;
	size_t len;
	int r;

	if (fd < 0)
		return err_errno(e, "'%.200s'", path);
	if (fstat(fd, &st) < 0)
		return err_errno(e, "'%.200s'", path);
	child->dev = st.st_dev;
	child->ino = st.st_ino;
	if (is_being_read(ps->input, child))
		return err_set(e, ELOOP, "'%.200s' includes itself", path);
	r = file_read_fd(fd, TEXT_MAX_BYTES - ps->bytes, text, &len, e);
	if (r < 0)
		return err_wrap(e, r, "'%.200s'", path);
	child->p = *text;
	child->end = *text + len;
	ps->bytes += len;
	return 0;
}

static int load_url(
	struct parser *ps, const char *url, struct input *child, char **text, struct err *e)
{
	size_t len = 0;
	int r;

	if (is_being_read(ps->input, child))
		return err_set(e, ELOOP, "'%.200s' includes itself", url);
	if (!ps->options->fetch)
		return err_set(e, ENOTSUP, "'%.200s': only files can be included here", url);
	r = ps->options->fetch(ps->options->fetch_ctx, url, text, &len, e);
	if (r < 0)
		return r;
	if (len > TEXT_MAX_BYTES - ps->bytes)
		return err_set(e, EFBIG, "'%.200s' is too large", url);
	child->p = *text;
	child->end = *text + len;
	ps->bytes += len;
	return 0;
}

static void include(struct parser *ps, const char *target)
{
	const struct input *in = ps->input;
	const char *local = str_starts(target, "file://") ? target + 7 : target;
	autofree char *path = strstr(local, "://") ? xstrdup(local) : include_path(in, local);
	/* Also what stands beside a kickstart that is at a URL itself. */
	bool is_url = strstr(path, "://") != NULL;
	autofree char *text = NULL;
	struct input child = {.parent = in, .depth = in->depth + 1};
	struct err e = {0};
	int r;

	if (child.depth > DEPTH_MAX || ++ps->includes > INCLUDES_MAX) {
		include_error(ps, "too many files are included, one in another or in all");
		return;
	}
	child.name = ks_keep_name(ps->doc, path);
	r = is_url ? load_url(ps, path, &child, &text, &e) : load_file(ps, path, &child, &text, &e);
	if (r == -ENOENT && ps->options->missing_include_ok)
		return;
	if (r < 0) {
		include_error(ps, e.msg);
		return;
	}
	read_input(ps, &child);
	ps->input = in;
}

static void include_words(struct parser *ps, const struct strv *words)
{
	if (ps->options->no_include)
		ks_error(ps->doc, ps->input->name, ps->input->line,
			"%%include is not possible here");
	else if (words->count < 2 || words->items[1][0] == '\0')
		ks_error(ps->doc, ps->input->name, ps->input->line, "%%include needs a file");
	else
		include(ps, words->items[1]);
}

/* Split a line into words; a failure is reported. */
static bool split(
	const struct parser *ps, const char *line, size_t len, bool comments, struct strv *words)
{
	struct err e = {0};

	if (ks_shlex(line, len, comments, words, &e) == 0)
		return true;
	ks_error(ps->doc, ps->input->name, ps->input->line, "%s", e.msg);
	return false;
}

static void command_line(struct parser *ps, const char *line, size_t len)
{
	const char *first = ks_skip_space(line, line + len);
	autostrv words = {0};

	if (first == line + len || *first == '#')
		return;
	if (!split(ps, line, len, true, &words) || words.count == 0)
		return;
	if (str_eq(words.items[0], "%ksappend")) {
		if (ps->options->no_include)
			ks_error(ps->doc, ps->input->name, ps->input->line,
				"%%ksappend is not possible here");
		return;
	}
	if (str_eq(words.items[0], "%include")) {
		include_words(ps, &words);
		return;
	}
	if (words.items[0][0] == '%') {
		open_section(ps, &words);
		return;
	}

	autofree char *raw = xstrndup(line, len);
	ks_add_command(ps->doc, ps->input->name, ps->input->line, &words, raw);
}

static void unterminated(const struct parser *ps)
{
	const struct section *s = &ps->section;

	ks_error(ps->doc, ps->input->name, ps->input->line, "section %s of line %u has no %%end",
		s->grammar ? s->grammar->name : "", s->line);
}

static void body_line(struct parser *ps, const char *line, size_t len)
{
	struct section *s = &ps->section;
	const char *first = ks_skip_space(line, line + len);
	struct err e = {0};

	if (!s->grammar)
		return;
	if (!str_eq(s->grammar->name, "%packages")) {
		strbuf_add(&s->body, line, len);
		return;
	}
	if (first == line + len || *first == '#')
		return;
	const struct ks_place place = {.file = ps->input->name, .line = ps->input->line};
	if (ks_packages_line(ps->doc, place, line, len, &e) < 0)
		ks_error(ps->doc, ps->input->name, 0, "line %u: %s", ps->input->line, e.msg);
}

/* A line inside a section: %end, %include, the next section, or body. */
static void section_line(struct parser *ps, const char *line, size_t len)
{
	const char *first = ks_skip_space(line, line + len);
	autofree char *text = NULL;
	autostrv blanks = {0}, words = {0};

	if (first == line + len || *first != '%') {
		body_line(ps, line, len);
		return;
	}
	text = xstrndup(first, len - (size_t)(first - line));
	ks_words(text, &blanks);

	const char *word = blanks.items[0];
	if (str_eq(word, "%end")) {
		if (split(ps, line, len, false, &words))
			close_section(ps);
		else
			section_fini(&ps->section);
	} else if (str_eq(word, "%include")) {
		if (split(ps, line, len, false, &words))
			include_words(ps, &words);
	} else if (ks_section_find(word)) {
		unterminated(ps);
		close_section(ps);
		command_line(ps, line, len);
	} else {
		body_line(ps, line, len);
	}
}

static void read_input(struct parser *ps, struct input *in)
{
	ps->input = in;
	while (in->p < in->end && ps->doc->error_count <= KS_PROBLEMS_MAX) {
		const char *line = in->p;
		size_t len;

		in->p = ks_line_end(line, in->end);
		len = (size_t)(in->p - line);
		in->line++;
		if (memchr(line, '\0', len))
			ks_error(ps->doc, in->name, in->line, "the line holds a NUL byte");
		else if (ps->section.open)
			section_line(ps, line, len);
		else
			command_line(ps, line, len);
	}
}

static void parse(struct ks_doc *doc, struct input *in, const struct ks_options *options)
{
	static const struct ks_options none;
	struct parser ps = {
		.doc = doc,
		.options = options ? options : &none,
		.bytes = (size_t)(in->end - in->p),
	};

	doc->options = ps.options;
	read_input(&ps, in);
	if (ps.section.open && doc->error_count <= KS_PROBLEMS_MAX)
		unterminated(&ps);
	section_fini(&ps.section);
	ks_packages_finish(doc);
	doc->options = NULL;
}

int ks_parse_text(const char *name, const char *text, size_t len, const struct ks_options *options,
	struct ks_doc **out, struct err *e)
{
	struct input in = {.p = text, .end = text + len};

	if (len > TEXT_MAX_BYTES)
		return err_set(e, EFBIG, "'%s' is larger than %llu bytes", name, TEXT_MAX_BYTES);

	struct ks_doc *doc = xcalloc(1, sizeof(*doc));
	in.name = ks_keep_name(doc, name);
	parse(doc, &in, options);
	*out = doc;
	return 0;
}

int ks_parse_file(
	const char *path, const struct ks_options *options, struct ks_doc **out, struct err *e)
{
	bool is_stdin = str_eq(path, "-");
	autofd int fd = is_stdin ? dup(STDIN_FILENO) : open(path, O_RDONLY | O_CLOEXEC);
	autofree char *text = NULL;
	struct input in = {0};
	struct stat st;
	size_t len;
	int r;

	if (fd < 0 || fstat(fd, &st) < 0)
		return err_errno(e, "'%s'", path);
	r = file_read_fd(fd, TEXT_MAX_BYTES, &text, &len, e);
	if (r < 0)
		return err_wrap(e, r, "'%s'", path);

	struct ks_doc *doc = xcalloc(1, sizeof(*doc));
	in.name = ks_keep_name(doc, is_stdin ? "stdin" : path);
	in.p = text;
	in.end = text + len;
	in.dev = st.st_dev;
	in.ino = st.st_ino;
	parse(doc, &in, options);
	*out = doc;
	return 0;
}
