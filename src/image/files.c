/* SPDX-License-Identifier: Apache-2.0 */
#include "image/files.h"

#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>

#include "base/file.h"
#include "base/str.h"
#include "base/xalloc.h"

#define FILES_HEADER     "bedplate-files 1"
#define FILES_XATTRS_MAX 4096
#define FILES_VALUE_MAX  (64 * KIB)

static const struct {
	char letter;
	uint32_t type;
} types[] = {
	{'f', S_IFREG},
	{'d', S_IFDIR},
	{'l', S_IFLNK},
	{'c', S_IFCHR},
	{'b', S_IFBLK},
	{'p', S_IFIFO},
	{'s', S_IFSOCK},
};

void files_free(struct files *f)
{
	if (!f)
		return;
	for (size_t i = 0; i < f->count; i++) {
		struct files_entry *en = &f->entries[i];

		for (size_t x = 0; x < en->xattr_count; x++) {
			free(en->xattrs[x].name);
			free(en->xattrs[x].value);
		}
		free(en->xattrs);
		free(en->target);
		free(en->path);
	}
	free(f->entries);
	free(f);
}

static struct files_entry *add_entry(struct files *f)
{
	if (f->count == f->room) {
		f->room = MAX(256, 2 * f->room);
		f->entries = xrealloc(f->entries, f->room * sizeof(*f->entries));
	}
	f->entries[f->count] = (struct files_entry){.link_of = f->count};
	return &f->entries[f->count++];
}

static void copy_entry(struct files *f, const struct tree_entry *en)
{
	struct files_entry *to = add_entry(f);

	to->path = xstrdup(en->path);
	to->mode = en->mode;
	to->uid = en->uid;
	to->gid = en->gid;
	to->size_bytes = S_ISREG(en->mode) ? en->size_bytes : 0;
	to->mtime = en->mtime;
	to->target = en->target ? xstrdup(en->target) : NULL;
	to->dev_major = en->dev_major;
	to->dev_minor = en->dev_minor;
	to->link_of = en->link_of;
	to->xattr_count = en->xattr_count;
	to->xattrs = xcalloc(MAX(1, en->xattr_count), sizeof(*to->xattrs));
	for (size_t i = 0; i < en->xattr_count; i++)
		to->xattrs[i] = (struct xattr){
			.name = xstrdup(en->xattrs[i].name),
			.value = xmemdup(en->xattrs[i].value, en->xattrs[i].len),
			.len = en->xattrs[i].len,
		};
}

static int hash_entry(struct tree *t, size_t i, struct files *f, struct err *e)
{
	const struct tree_entry *en = &t->entries[i];
	autoptr(source) s = NULL;

	if (en->link_of != i) {
		memcpy(f->entries[i].sha256, f->entries[en->link_of].sha256, SHA256_BYTES);
		return 0;
	}
	int r = tree_open(t, en, &s, e);
	if (r < 0)
		return r;
	if (s->size_bytes != en->size_bytes)
		return err_set(e, EIO, "'/%s' changed while it was read", en->path);
	r = sha256_source(s, f->entries[i].sha256, e);
	return r < 0 ? err_wrap(e, r, "'/%s'", en->path) : 0;
}

static bool take_known(const struct tree_entry *en, const struct files *known,
	bool (*is_known)(void *ctx, const struct tree_entry *en), void *ctx, struct files_entry *to)
{
	const struct files_entry *old = known && is_known(ctx, en) ? files_find(known, en->path)
								   : NULL;

	if (!old || !S_ISREG(old->mode) || old->size_bytes != en->size_bytes)
		return false;
	memcpy(to->sha256, old->sha256, SHA256_BYTES);
	return true;
}

int files_compute(struct tree *t, struct files **out, struct progress *p, struct err *e)
{
	return files_compute_known(t, NULL, NULL, NULL, out, p, e);
}

int files_compute_known(struct tree *t, const struct files *known,
	bool (*is_known)(void *ctx, const struct tree_entry *en), void *ctx, struct files **out,
	struct progress *p, struct err *e)
{
	autoptr(files) f = xcalloc(1, sizeof(*f));
	uint64_t total = 0, done = 0;
	int r = 0;

	for (size_t i = 0; i < t->count; i++) {
		copy_entry(f, &t->entries[i]);
		total += S_ISREG(t->entries[i].mode) && t->entries[i].link_of == i
			? t->entries[i].size_bytes
			: 0;
	}
	progress_begin(p, "files", total, "bytes");
	for (size_t i = 0; r == 0 && i < t->count; i++) {
		if (!S_ISREG(t->entries[i].mode))
			continue;
		if (!take_known(&t->entries[i], known, is_known, ctx, &f->entries[i]))
			r = hash_entry(t, i, f, e);
		done += t->entries[i].link_of == i ? t->entries[i].size_bytes : 0;
		if (r == 0)
			r = progress_advance(p, done, e);
	}
	progress_end(p);
	if (r == 0)
		*out = take_ptr(f);
	return r;
}

/* Blanks, control characters, the backslash and one more of the caller's become \xHH. */
static void put_escaped(struct strbuf *b, const char *s, char also)
{
	for (; *s; s++) {
		unsigned char c = (unsigned char)*s;

		if (c <= ' ' || c == 0x7f || c == '\\' || c == (unsigned char)also)
			strbuf_printf(b, "\\x%02x", c);
		else
			strbuf_putc(b, *s);
	}
}

static void put_hex(struct strbuf *b, const void *data, size_t len)
{
	const uint8_t *from = data;

	for (size_t i = 0; i < len; i++) {
		char hex[3];

		hex_format(&from[i], 1, hex);
		strbuf_add(b, hex, 2);
	}
}

static char type_letter(uint32_t mode)
{
	for (size_t i = 0; i < ARRAY_LEN(types); i++)
		if (types[i].type == (mode & S_IFMT))
			return types[i].letter;
	return '?';
}

static void put_line(
	struct strbuf *b, const struct files *f, const struct files_entry *en, bool with_time)
{
	size_t index = (size_t)(en - f->entries);

	strbuf_putc(b, '/');
	put_escaped(b, en->path, '\\');
	strbuf_printf(
		b, " %c %o %u:%u ", type_letter(en->mode), en->mode & 07777, en->uid, en->gid);
	if (S_ISREG(en->mode))
		strbuf_printf(b, "%" PRIu64, en->size_bytes);
	else if (S_ISCHR(en->mode) || S_ISBLK(en->mode))
		strbuf_printf(b, "%u:%u", en->dev_major, en->dev_minor);
	else
		strbuf_putc(b, '-');
	if (with_time)
		strbuf_printf(b, " %" PRId64, en->mtime);
	else
		strbuf_puts(b, " -");
	strbuf_putc(b, ' ');
	if (S_ISREG(en->mode))
		put_hex(b, en->sha256, SHA256_BYTES);
	else
		strbuf_putc(b, '-');
	if (en->link_of != index) {
		strbuf_puts(b, " link=/");
		put_escaped(b, f->entries[en->link_of].path, '\\');
	}
	if (S_ISLNK(en->mode)) {
		strbuf_puts(b, " target=");
		put_escaped(b, en->target, '\\');
	}
	for (size_t i = 0; i < en->xattr_count; i++) {
		strbuf_puts(b, " xattr.");
		put_escaped(b, en->xattrs[i].name, '=');
		strbuf_putc(b, '=');
		put_hex(b, en->xattrs[i].value, en->xattrs[i].len);
	}
	strbuf_putc(b, '\n');
}

static char *format(const struct files *f, bool with_time, size_t *len)
{
	autostrbuf b = {0};

	strbuf_puts(&b, FILES_HEADER "\n");
	for (size_t i = 0; i < f->count; i++)
		put_line(&b, f, &f->entries[i], with_time);
	*len = b.len;
	return strbuf_take(&b);
}

char *files_format(const struct files *f, size_t *len)
{
	return format(f, true, len);
}

void files_digest(const struct files *f, uint8_t out[SHA256_BYTES])
{
	size_t len;
	autofree char *text = format(f, false, &len);

	sha256_buffer(text, len, out);
}

static int nibble(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* In place.  False: not something put_escaped() writes. */
static bool unescape(char *s)
{
	char *to = s;

	for (; *s; s++) {
		if (*s != '\\') {
			*to++ = *s;
			continue;
		}
		int hi = s[1] == 'x' ? nibble(s[2]) : -1, lo = hi < 0 ? -1 : nibble(s[3]);
		if (lo < 0 || (hi == 0 && lo == 0))
			return false;
		*to++ = (char)(hi << 4 | lo);
		s += 3;
	}
	*to = '\0';
	return true;
}

static bool parse_number(const char *s, uint64_t base, uint64_t max, uint64_t *out)
{
	uint64_t n = 0;

	if (!*s || (*s == '0' && s[1]))
		return false;
	for (; *s; s++) {
		uint64_t digit = (uint64_t)(*s - '0');

		if (*s < '0' || digit >= base || n > (max - digit) / base)
			return false;
		n = n * base + digit;
	}
	*out = n;
	return true;
}

static bool parse_pair(char *s, uint32_t *a, uint32_t *b)
{
	char *colon = strchr(s, ':');
	uint64_t x, y;

	if (!colon)
		return false;
	*colon = '\0';
	if (!parse_number(s, 10, UINT32_MAX, &x) || !parse_number(colon + 1, 10, UINT32_MAX, &y))
		return false;
	*a = (uint32_t)x;
	*b = (uint32_t)y;
	return true;
}

static bool parse_type(const char *s, struct files_entry *en)
{
	for (size_t i = 0; i < ARRAY_LEN(types); i++) {
		if (s[0] == types[i].letter && !s[1]) {
			en->mode = types[i].type;
			return true;
		}
	}
	return false;
}

static bool parse_size(char *s, struct files_entry *en)
{
	if (S_ISREG(en->mode))
		return parse_number(s, 10, INT64_MAX, &en->size_bytes);
	if (S_ISCHR(en->mode) || S_ISBLK(en->mode))
		return parse_pair(s, &en->dev_major, &en->dev_minor);
	return str_eq(s, "-");
}

static bool parse_time(const char *s, struct files_entry *en)
{
	bool negative = *s == '-';
	uint64_t n;

	if (!parse_number(s + negative, 10, INT64_MAX, &n))
		return false;
	en->mtime = negative ? -(int64_t)n : (int64_t)n;
	return true;
}

static bool parse_link(struct files *f, char *s, struct files_entry *en)
{
	if (s[0] != '/' || !unescape(s + 1))
		return false;
	f->count--; /* the entry itself is not to be found */
	const struct files_entry *first = files_find(f, s + 1);
	f->count++;
	if (!first || first->link_of != (size_t)(first - f->entries) || S_ISDIR(en->mode) ||
		(first->mode & S_IFMT) != (en->mode & S_IFMT))
		return false;
	en->link_of = first->link_of;
	return true;
}

static bool parse_xattr(char *s, struct files_entry *en)
{
	char *value = strchr(s, '=');

	if (!value || en->xattr_count >= FILES_XATTRS_MAX)
		return false;
	*value++ = '\0';
	size_t len = strlen(value) / 2;
	if (!*s || len > FILES_VALUE_MAX || !unescape(s))
		return false;
	/* Sorted, and each name once. */
	if (en->xattr_count > 0 && strcmp(en->xattrs[en->xattr_count - 1].name, s) >= 0)
		return false;
	autofree uint8_t *data = xcalloc(1, len + 1);
	if (hex_parse(value, data, len, NULL) < 0)
		return false;
	en->xattrs = xrealloc(en->xattrs, (en->xattr_count + 1) * sizeof(*en->xattrs));
	en->xattrs[en->xattr_count++] = (struct xattr){
		.name = xstrdup(s), .value = take_ptr(data), .len = len};
	return true;
}

static bool parse_extra(struct files *f, char *word, struct files_entry *en)
{
	if (str_starts(word, "xattr."))
		return parse_xattr(word + strlen("xattr."), en);
	if (str_starts(word, "link=") && en->link_of == f->count - 1)
		return parse_link(f, word + strlen("link="), en);
	if (str_starts(word, "target=") && S_ISLNK(en->mode) && !en->target) {
		char *target = word + strlen("target=");

		if (!unescape(target))
			return false;
		en->target = xstrdup(target);
		return true;
	}
	return false;
}

static bool parse_line(struct files *f, char *line)
{
	struct files_entry *en = add_entry(f);
	char *w[7], *rest = line;
	uint64_t mode;

	for (size_t i = 0; i < ARRAY_LEN(w); i++) {
		w[i] = str_next_word(&rest, " ");
		if (!w[i])
			return false;
	}
	if (w[0][0] != '/' || !unescape(w[0] + 1))
		return false;
	en->path = xstrdup(w[0] + 1);
	if (f->count > 1 && tree_path_compare(f->entries[f->count - 2].path, en->path) >= 0)
		return false;
	if (!parse_type(w[1], en) || !parse_number(w[2], 8, 07777, &mode) ||
		!parse_pair(w[3], &en->uid, &en->gid) || !parse_size(w[4], en) ||
		!parse_time(w[5], en))
		return false;
	en->mode |= (uint32_t)mode;
	if (S_ISREG(en->mode) ? hex_parse(w[6], en->sha256, SHA256_BYTES, NULL) < 0
			      : !str_eq(w[6], "-"))
		return false;
	for (char *word; (word = str_next_word(&rest, " "));)
		if (!parse_extra(f, word, en))
			return false;
	return !S_ISLNK(en->mode) || en->target;
}

int files_parse(char *text, size_t len, struct files **out, struct err *e)
{
	autoptr(files) f = xcalloc(1, sizeof(*f));
	size_t number = 1;
	char *line = text;

	if (len == 0 || strlen(text) != len || text[len - 1] != '\n' ||
		!str_starts(text, FILES_HEADER "\n"))
		return err_set(e, EBADMSG, "not a list of files of this version");
	for (line = strchr(line, '\n') + 1; *line;) {
		char *end = strchr(line, '\n');

		*end = '\0';
		number++;
		if (!parse_line(f, line))
			return err_set(e, EBADMSG, "line %zu is wrong", number);
		line = end + 1;
	}
	*out = take_ptr(f);
	return 0;
}

int files_load(const char *path, struct files **out, struct err *e)
{
	autofree char *text = NULL;
	size_t len;
	int r = file_read(path, FILES_MAX_BYTES, &text, &len, e);

	if (r < 0)
		return r;
	r = files_parse(text, len, out, e);
	return r < 0 ? err_wrap(e, r, "'%s'", path) : 0;
}

static int compare_path(const void *key, const void *entry)
{
	return tree_path_compare(key, ((const struct files_entry *)entry)->path);
}

const struct files_entry *files_find(const struct files *f, const char *path)
{
	if (f->count == 0)
		return NULL;
	return bsearch(path, f->entries, f->count, sizeof(*f->entries), compare_path);
}
