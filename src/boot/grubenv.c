/* SPDX-License-Identifier: Apache-2.0 */
#include "boot/grubenv.h"

#include <fcntl.h>
#include <stdbool.h>
#include <unistd.h>

#include "base/file.h"
#include "base/io.h"
#include "base/str.h"
#include "base/xalloc.h"
#include "boot/entry.h"
#include "boot/grubenv-block.h"

#define MARK "# GRUB Environment Block\n"

/* The end of a line: a newline that is not escaped. */
static size_t line_length(const char *line)
{
	size_t n = 0;

	while (line[n] && line[n] != '\n')
		n += line[n] == '\\' && line[n + 1] ? 2 : 1;
	return n;
}

static bool is_whole(const char *lines)
{
	while (*lines) {
		lines += line_length(lines);
		if (*lines++ != '\n')
			return false;
	}
	return true;
}

int grubenv_block_parse(const char *block, size_t len, char **lines, struct err *e)
{
	if (len != GRUBENV_BYTES || memcmp(block, MARK, strlen(MARK)) != 0 ||
		memchr(block, '\0', len))
		return err_set(e, EBADMSG, "not an environment block of GRUB");
	while (block[len - 1] == '#')
		len--;
	autofree char *text = xstrndup(block, len);
	/* What is added would become a part of it. */
	if (!is_whole(text))
		return err_set(e, EBADMSG, "the last line of the environment block is cut off");
	*lines = take_ptr(text);
	return 0;
}

/* The block's text without its fill, as a string; *block_fd is the open file, -1 when missing. */
static int load(int boot_fd, int flags, int *block_fd, char **text, struct err *e)
{
	char block[GRUBENV_BYTES + 1];
	autofd int fd = file_open_beneath(boot_fd, GRUBENV_PATH, flags, e);

	if (fd == -ENOENT) {
		*text = xstrdup(MARK);
		*block_fd = -1;
		return 0;
	}
	if (fd < 0)
		return fd;
	ssize_t n = pread(fd, block, sizeof(block), 0);
	if (n < 0)
		return err_errno(e, "reading");
	int r = grubenv_block_parse(block, (size_t)n, text, e);
	if (r < 0)
		return r;
	*block_fd = take_fd(&fd);
	return 0;
}

static bool is_of(const char *line, const char *name)
{
	size_t len = strlen(name);

	return strncmp(line, name, len) == 0 && line[len] == '=';
}

static char *unescape(const char *value, size_t len)
{
	autostrbuf out = {0};

	for (size_t i = 0; i < len; i++) {
		if (value[i] == '\\' && i + 1 < len)
			i++;
		strbuf_putc(&out, value[i]);
	}
	return strbuf_take(&out);
}

char *grubenv_block_value(const char *lines, const char *name)
{
	char *found = NULL;

	for (const char *line = lines; *line;) {
		size_t len = line_length(line);

		if (is_of(line, name)) {
			size_t skip = strlen(name) + 1;

			free(found);
			found = unescape(line + skip, len - skip);
		}
		line += len + (line[len] == '\n');
	}
	return found;
}

int grubenv_get(int boot_fd, const char *name, char **value, struct err *e)
{
	autofree char *text = NULL;
	autofd int fd = -1;
	int r = load(boot_fd, O_RDONLY, &fd, &text, e);

	if (r < 0)
		return err_wrap(e, r, "'/boot/%s'", GRUBENV_PATH);
	*value = grubenv_block_value(text, name);
	return 0;
}

static bool is_named(const char *line, const char *const names[])
{
	for (size_t i = 0; names[i]; i++)
		if (is_of(line, names[i]))
			return true;
	return false;
}

static void add_value(struct strbuf *out, const char *name, const char *value)
{
	strbuf_printf(out, "%s=", name);
	for (const char *p = value; *p; p++) {
		if (*p == '\\' || *p == '\n')
			strbuf_putc(out, '\\');
		strbuf_putc(out, *p);
	}
	strbuf_putc(out, '\n');
}

int grubenv_block_format(const char *lines, const char *const names[], const char *const values[],
	struct strbuf *out, struct err *e)
{
	for (const char *line = lines; *line;) {
		size_t len = line_length(line);

		len += line[len] == '\n';
		if (!is_named(line, names))
			strbuf_add(out, line, len);
		line += len;
	}
	for (size_t i = 0; names[i]; i++)
		if (values[i])
			add_value(out, names[i], values[i]);
	if (out->len > GRUBENV_BYTES)
		return err_set(e, ENOSPC, "%zu bytes do not fit into GRUB's environment of %d",
			out->len, GRUBENV_BYTES);
	while (out->len < GRUBENV_BYTES)
		strbuf_putc(out, '#');
	return 0;
}

static int create(int boot_fd, const struct strbuf *block, struct err *e)
{
	autofree char *path = xasprintf("/proc/self/fd/%d/" GRUBENV_PATH, boot_fd);
	int r = file_make_folder_in_root(boot_fd, "grub", e);

	if (r == 0)
		r = file_replace(path, block->data, block->len, 0600, e);
	return r == 0 ? boot_sync(boot_fd, e) : r;
}

/*
 * In place: the file keeps its block, so GRUB sees the old or the new content whatever of the file
 * system's journal it does not see.
 */
static int overwrite(int fd, const struct strbuf *block, struct err *e)
{
	int r = io_pwrite(fd, block->data, block->len, 0, e);

	if (r == 0 && fdatasync(fd) < 0)
		r = err_errno(e, "writing");
	return r;
}

int grubenv_set(int boot_fd, const char *const names[], const char *const values[], struct err *e)
{
	autofree char *text = NULL;
	autostrbuf block = {0};
	autofd int fd = -1;
	int r = load(boot_fd, O_RDWR, &fd, &text, e);

	if (r == 0)
		r = grubenv_block_format(text, names, values, &block, e);
	if (r == 0)
		r = fd < 0 ? create(boot_fd, &block, e) : overwrite(fd, &block, e);
	return r < 0 ? err_wrap(e, r, "'/boot/%s'", GRUBENV_PATH) : 0;
}

int grubenv_reset(int boot_fd, struct err *e)
{
	static const char *const none[] = {NULL};
	autostrbuf block = {0};
	int r = grubenv_block_format(MARK, none, none, &block, e);

	if (r == 0)
		r = create(boot_fd, &block, e);
	return r < 0 ? err_wrap(e, r, "'/boot/%s'", GRUBENV_PATH) : 0;
}
