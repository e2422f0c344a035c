/* SPDX-License-Identifier: Apache-2.0 */
#include <assert.h>
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/io.h"
#include "base/str.h"
#include "base/xalloc.h"
#include "boot/entry.h"
#include "boot/grubenv.h"
#include "boot/loader.h"

#define CONFIG          "grub/grub.cfg"
#define USER_CONFIG     "grub/user.cfg"
#define MODULES         "grub/i386-pc"
#define MODULE_DIR      "/usr/lib/grub/i386-pc"
#define MODULE_MAX      (4 * MIB)
#define DEFAULT_TIMEOUT 5
#define DEFAULT_BAUD    115200
#define SUPERUSER       "root"

#define HASH_PREFIX     "grub.pbkdf2.sha512."
#define HASH_ITERATIONS 10000
#define HASH_BYTES      64

static const char head[] =
	"# The boot menu of this node, written by nodectl.  What you want to add belongs into\n"
	"# custom.cfg beside this file.\n"
	"#\n"
	"# grubenv: \"default\" is the layer that is booted.  As long as \"tries\" is not 0 it is\n"
	"# \"trial\" instead, with one try less each time, and \"trying\" is its name.\n"
	"load_env -f $prefix/grubenv default trial tries\n";

static const char body[] =
	"set trying=\n"
	"export trying\n"
	"set left=\n"
	"if [ \"$tries\" = 1 ]; then set left=0\n"
	"elif [ \"$tries\" = 2 ]; then set left=1\n"
	"elif [ \"$tries\" = 3 ]; then set left=2\n"
	"elif [ \"$tries\" = 4 ]; then set left=3\n"
	"elif [ \"$tries\" = 5 ]; then set left=4\n"
	"elif [ \"$tries\" = 6 ]; then set left=5\n"
	"elif [ \"$tries\" = 7 ]; then set left=6\n"
	"elif [ \"$tries\" = 8 ]; then set left=7\n"
	"elif [ \"$tries\" = 9 ]; then set left=8\n"
	"fi\n"
	"# A try that cannot be counted would be tried forever.\n"
	"if [ -n \"$left\" -a -n \"$trial\" -a -f /$trial/bedplate.cfg ]; then\n"
	"\tset tries=$left\n"
	"\tif save_env -f $prefix/grubenv tries; then\n"
	"\t\tset default=$trial\n"
	"\t\tset trying=$trial\n"
	"\t\techo \"Trying $trial, $left more tries.\"\n"
	"\tfi\n"
	"fi\n"
	"\n"
	"if [ -f $prefix/user.cfg ]; then\n"
	"\tsource $prefix/user.cfg\n"
	"fi\n"
	"\n"
	"# The one that is booted stands at the top.\n"
	"set found=\n"
	"if [ -n \"$default\" -a -f /$default/bedplate.cfg ]; then\n"
	"\tset found=1\n"
	"\tsource /$default/bedplate.cfg\n"
	"fi\n"
	"for config in /*/bedplate.cfg; do\n"
	"\tif [ -f $config -a \"$config\" != \"/$default/bedplate.cfg\" ]; then\n"
	"\t\tset found=1\n"
	"\t\tsource $config\n"
	"\tfi\n"
	"done\n"
	"if [ -z \"$found\" ]; then\n"
	"\techo \"There is no layer on this boot volume.\"\n"
	"fi\n"
	"\n"
	"if [ -f $prefix/custom.cfg ]; then\n"
	"\tsource $prefix/custom.cfg\n"
	"fi\n";

static char *config_text(const struct loader_settings *s)
{
	unsigned baud = s->serial_baud ? s->serial_baud : DEFAULT_BAUD;
	int timeout = s->timeout_seconds < 0 ? DEFAULT_TIMEOUT : s->timeout_seconds;
	autostrbuf text = {0};

	strbuf_puts(&text, head);
	strbuf_printf(&text, "set timeout=%d\n", timeout);
	if (s->serial)
		strbuf_printf(&text,
			"if serial --unit=0 --speed=%u; then\n"
			"\tterminal_input console serial\n"
			"\tterminal_output console serial\n"
			"fi\n",
			baud);
	strbuf_puts(&text, body);
	return strbuf_take(&text);
}

/* A name that is either complete or not there. */
static int write_file(
	int boot_fd, const char *name, const void *data, size_t len, unsigned mode, struct err *e)
{
	autofree char *path = xasprintf("/proc/self/fd/%d/%s", boot_fd, name);
	int r = file_replace(path, data, len, mode, e);

	return r < 0 ? err_wrap(e, r, "'/boot/%s'", name) : 0;
}

/* It ends up in a script that GRUB runs. */
int loader_check_hash(const char *hash, struct err *e)
{
	if (!str_starts(hash, HASH_PREFIX))
		return err_set(
			e, EINVAL, "the password of the boot menu is no '%s...'", HASH_PREFIX);
	for (const char *p = hash; *p; p++)
		if (!isalnum((unsigned char)*p) && *p != '.')
			return err_set(e, EINVAL,
				"the password of the boot menu has a character "
				"that no '%s...' has",
				HASH_PREFIX);
	return 0;
}

static int write_user(int boot_fd, const char *hash, struct err *e)
{
	if (!hash) {
		if (unlinkat(boot_fd, USER_CONFIG, 0) < 0 && errno != ENOENT)
			return err_errno(e, "'/boot/" USER_CONFIG "'");
		return 0;
	}
	int r = loader_check_hash(hash, e);
	if (r < 0)
		return r;
	autofree char *text = xasprintf("set superusers=" SUPERUSER "\n"
					"export superusers\n"
					"password_pbkdf2 " SUPERUSER " %s\n",
		hash);
	return write_file(boot_fd, USER_CONFIG, text, strlen(text), 0600, e);
}

/* Not through write_file(): boot_sync() once is enough for some hundred of them. */
static int copy_module(int from_fd, int to_fd, const char *name, struct err *e)
{
	autofree char *data = NULL;
	size_t len = 0;
	autofd int from = file_open_beneath(from_fd, name, O_RDONLY, e);
	int r = from < 0 ? from : file_read_fd(from, MODULE_MAX, &data, &len, e);

	if (r < 0)
		return r;
	autofd int to = openat(
		to_fd, name, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0644);
	if (to < 0)
		return err_errno(e, "'%s'", name);
	r = io_write(to, data, len, e);
	return r < 0 ? err_wrap(e, r, "'%s'", name) : 0;
}

/* For what the administrator's custom.cfg loads; the menu itself needs none of them. */
static int copy_modules(int root_fd, int boot_fd, struct err *e)
{
	autostrv names = {0};
	autofd int from_fd = file_open_in_root(root_fd, MODULE_DIR, O_RDONLY | O_DIRECTORY, 0, e);

	if (from_fd == -ENOENT)
		return 0;
	if (from_fd < 0)
		return from_fd;
	autofree char *path = xasprintf("/proc/self/fd/%d", from_fd);
	int r = file_list(path, &names, e);
	if (r == 0)
		r = file_make_folder_in_root(boot_fd, MODULES, e);
	if (r < 0)
		return r;
	autofd int to_fd = file_open_beneath(boot_fd, MODULES, O_RDONLY | O_DIRECTORY, e);
	if (to_fd < 0)
		return to_fd;
	for (size_t i = 0; r == 0 && i < names.count; i++)
		if (str_ends(names.items[i], ".mod") || str_ends(names.items[i], ".lst"))
			r = copy_module(from_fd, to_fd, names.items[i], e);
	return r < 0 ? err_wrap(e, r, "modules of GRUB") : 0;
}

static int make_environment(int boot_fd, struct err *e)
{
	static const char *const none[] = {NULL};
	struct stat st;

	if (fstatat(boot_fd, GRUBENV_PATH, &st, AT_SYMLINK_NOFOLLOW) == 0)
		return 0;
	return grubenv_set(boot_fd, none, none, e);
}

int loader_write_config(int root_fd, int boot_fd, const struct loader_settings *s, struct err *e)
{
	autofree char *text = config_text(s);
	int r = file_make_folder_in_root(boot_fd, "grub", e);

	if (r == 0)
		r = copy_modules(root_fd, boot_fd, e);
	if (r == 0)
		r = write_user(boot_fd, s->password_hash, e);
	if (r == 0)
		r = make_environment(boot_fd, e);
	if (r == 0)
		r = write_file(boot_fd, CONFIG, text, strlen(text), 0644, e);
	return r == 0 ? boot_sync(boot_fd, e) : r;
}

static void add_hex(struct strbuf *out, const unsigned char *data)
{
	for (size_t i = 0; i < HASH_BYTES; i++)
		strbuf_printf(out, "%02X", data[i]);
}

char *loader_hash_password(const char *plain)
{
	unsigned char salt[HASH_BYTES], hash[HASH_BYTES];
	autostrbuf out = {0};
	int ok = RAND_bytes(salt, sizeof(salt));

	assert(ok == 1);
	ok = PKCS5_PBKDF2_HMAC(plain, (int)strlen(plain), salt, sizeof(salt), HASH_ITERATIONS,
		EVP_sha512(), sizeof(hash), hash);
	assert(ok == 1);
	strbuf_printf(&out, HASH_PREFIX "%d.", HASH_ITERATIONS);
	add_hex(&out, salt);
	strbuf_putc(&out, '.');
	add_hex(&out, hash);
	return strbuf_take(&out);
}
