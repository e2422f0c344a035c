/* SPDX-License-Identifier: Apache-2.0 */
#include "image/boot.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>

#include "base/file.h"
#include "base/log.h"
#include "base/xalloc.h"

#define END_SECONDS    10
#define FIRMWARE_MAX   (64 * MIB)
#define CONF_MAX_BYTES (64 * KIB)
#define QEMU_LOG_MAX   (1 * MIB)
#define LIVE_CMD_LINE                                                                              \
	"root=live:" VM_FIRST_DISK " rd.live.image rd.live.overlay.overlayfs=1"                    \
	" rd.live.overlay.nouserconfirmprompt " VM_CONSOLE_PARAM
#define BARE_CMD_LINE "root=" VM_FIRST_DISK " rw " VM_CONSOLE_PARAM

struct boot {
	char *folder; /* of files that QEMU opens by name; NULL for a dry run */
	char *kernel, *initramfs, *vars, *log;
	char *cmd_line;
	struct cmd qemu;
	int log_fd, console_fd;
};

const char *boot_temporary_folder(void)
{
	const char *folder = getenv("TMPDIR");

	return folder && *folder ? folder : "/var/tmp";
}

void boot_free(struct boot *b)
{
	struct err e = {0};

	if (!b)
		return;
	cmd_fini(&b->qemu);
	close_auto(&b->console_fd);
	close_auto(&b->log_fd);
	if (b->folder && file_remove_tree(b->folder, &e) < 0)
		log_warning("%s", e.msg);
	free(b->folder);
	free(b->kernel);
	free(b->initramfs);
	free(b->vars);
	free(b->log);
	free(b->cmd_line);
	free(b);
}

static int make_folder(struct boot *b, bool dry_run, struct err *e)
{
	autofree char *folder = xasprintf("%s/bedplate-vm.XXXXXX", boot_temporary_folder());

	if (!dry_run) {
		if (!mkdtemp(folder))
			return err_errno(e, "%s", folder);
		b->folder = xstrdup(folder);
	}
	b->kernel = xasprintf("%s/vmlinuz", folder);
	b->initramfs = xasprintf("%s/initramfs.img", folder);
	b->vars = xasprintf("%s/uefi-vars.fd", folder);
	b->log = xasprintf("%s/qemu.log", folder);
	return 0;
}

static int create(const char *path, struct err *e)
{
	int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

	return fd < 0 ? err_errno(e, "%s", path) : fd;
}

static int extract(struct image *img, const struct boot *b, struct err *e)
{
	autofd int kernel_fd = create(b->kernel, e);
	if (kernel_fd < 0)
		return kernel_fd;
	autofd int initramfs_fd = create(b->initramfs, e);
	if (initramfs_fd < 0)
		return initramfs_fd;

	return image_boot_files(img, kernel_fd, initramfs_fd, e);
}

static int find_boot_files(struct image *img, struct err *e)
{
	const struct tree_entry *kernel, *initramfs;
	autofree char *release = NULL;
	int r = image_boot_entries(image_tree(img), &kernel, &initramfs, &release, e);

	if (r == 0 && !initramfs)
		return err_set(e, ENOENT, "no initramfs of kernel %s", release);
	return r;
}

/* The firmware writes its variables, so each machine has its own. */
static int copy_vars(const char *template, const struct boot *b, struct err *e)
{
	autofree char *data = NULL;
	size_t len;
	int r = file_read(template, FIRMWARE_MAX, &data, &len, e);

	return r < 0 ? r : file_replace(b->vars, data, len, 0600, e);
}

/* What follows "append=" in the text of BOOT_CONF_PATH, cut out in place; "" when nothing does. */
static const char *find_append(char *conf)
{
	char *rest = conf;

	for (char *line; (line = str_next_word(&rest, "\n"));)
		if (str_starts(line, "append="))
			return str_trim(line + strlen("append="));
	return "";
}

/* The image's own parameters first: the last root= and the last console= count. */
static int make_cmd_line(struct boot *b, struct image *img, const char *more, struct err *e)
{
	const char *how = image_kind(img) == IMAGE_EXT4 ? BARE_CMD_LINE : LIVE_CMD_LINE;
	autofree char *conf = NULL;
	int r = image_read(image_tree(img), BOOT_CONF_PATH, CONF_MAX_BYTES, &conf, NULL, e);

	if (r < 0 && r != -ENOENT)
		return r;
	const char *words = conf ? find_append(conf) : "";
	b->cmd_line = xasprintf(
		"%s%s%s%s%s", words, *words ? " " : "", how, more ? " " : "", more ? more : "");
	return 0;
}

static int find_firmware(
	const struct boot *b, const struct boot_params *p, struct vm_spec *spec, struct err *e)
{
	const char *template;
	int r = vm_find_firmware(&spec->firmware_code, &template, e);

	if (r < 0)
		return r;
	spec->firmware_vars = b->vars;
	return p->dry_run ? 0 : copy_vars(template, b, e);
}

static int make_command(
	struct boot *b, struct image *img, const struct boot_params *p, struct err *e)
{
	struct vm_spec spec = {
		.name = "bedplate",
		.accel = p->accel,
		.memory_bytes = p->memory_bytes,
		.cpus = (unsigned)MIN(p->cpus, VM_CPUS_MAX + 1),
		.network = p->network,
		.kernel = b->kernel,
		.initramfs = b->initramfs,
		.cmd_line = b->cmd_line,
		.image = image_path(img),
		.image_is_scratch = image_kind(img) == IMAGE_EXT4,
		.disks = p->disks,
	};
	int r = p->uefi ? find_firmware(b, p, &spec, e) : 0;

	return r < 0 ? r : vm_command(&spec, &b->qemu, e);
}

int boot_new(struct image *img, const struct boot_params *p, struct boot **out, struct err *e)
{
	autoptr(boot) b = xcalloc(1, sizeof(*b));
	int r;

	b->log_fd = b->console_fd = -1;
	r = find_boot_files(img, e);
	if (r < 0)
		return err_wrap(e, r, "%s", image_path(img));
	r = make_cmd_line(b, img, p->append, e);
	if (r < 0)
		return r;
	r = make_folder(b, p->dry_run, e);
	if (r < 0)
		return r;
	r = make_command(b, img, p, e);
	if (r < 0)
		return r;
	if (!p->dry_run) {
		r = extract(img, b, e);
		if (r < 0)
			return err_wrap(e, r, "taking the kernel out of %s", image_path(img));
	}
	*out = take_ptr(b);
	return 0;
}

char *boot_command(const struct boot *b)
{
	return cmd_quoted(&b->qemu);
}

int boot_start(struct boot *b, struct err *e)
{
	int ends[2];
	int r;

	b->log_fd = create(b->log, e);
	if (b->log_fd < 0)
		return b->log_fd;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) < 0)
		return err_errno(e, "socketpair");
	b->console_fd = ends[0];

	autofd int theirs = ends[1];
	b->qemu.stdin_fd = theirs;
	b->qemu.log_fd = b->log_fd;
	r = cmd_start(&b->qemu, e);
	if (r == -ENOENT)
		return err_wrap(e, r, "the package 'qemu-system-x86' is missing");
	return r < 0 ? r : b->console_fd;
}

/* What QEMU said last, NULL when it said nothing. */
static char *last_words(const struct boot *b)
{
	autofree char *text = NULL;
	const char *last = NULL;
	char *rest;

	if (file_read(b->log, QEMU_LOG_MAX, &text, NULL, NULL) < 0)
		return NULL;
	rest = text;
	for (const char *line; (line = str_next_word(&rest, "\r\n"));)
		last = line;
	return last ? xstrdup(last) : NULL;
}

int boot_wait(struct boot *b, struct err *e)
{
	struct err ended = {0};
	int r;

	b->qemu.timeout_seconds = END_SECONDS;
	r = cmd_wait(&b->qemu, &ended);
	if (r == 0)
		return 0;
	autofree char *words = last_words(b);
	return err_set(e, ended.code, "%s%s%s", ended.msg, words ? ": " : "", words ? words : "");
}
