/* SPDX-License-Identifier: Apache-2.0 */
#include "vm/machine.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>

#include "base/file.h"
#include "base/log.h"
#include "base/xalloc.h"

#define END_SECONDS  10
#define QEMU_LOG_MAX (1 * MIB)
#define VARS_FILE    "uefi-vars.fd"
#define LOG_FILE     "qemu.log"

struct machine {
	struct machine_params params;
	char *folder;
	char *kept_vars; /* NULL: none are */
	bool forget_vars;
	struct cmd qemu;
	int log_fd, console_fd;
};

const char *machine_temporary_folder(void)
{
	const char *folder = getenv("TMPDIR");

	return folder && *folder ? folder : "/var/tmp";
}

void machine_free(struct machine *m)
{
	struct err e = {0};

	if (!m)
		return;
	cmd_fini(&m->qemu);
	close_auto(&m->console_fd);
	close_auto(&m->log_fd);
	if (!m->params.dry_run && file_remove_tree(m->folder, &e) < 0)
		log_warning("%s", e.msg);
	free(m->folder);
	free(m->kept_vars);
	free(m);
}

int machine_new(const struct machine_params *params, struct machine **out, struct err *e)
{
	autofree char *folder = xasprintf("%s/bedplate-vm.XXXXXX", machine_temporary_folder());
	struct machine *m;

	if (params->firmware != VM_FIRMWARE_BIOS) {
		const char *code, *vars;
		int r = vm_find_firmware(params->firmware, &code, &vars, e);

		if (r < 0)
			return r;
	}
	if (!params->dry_run && !mkdtemp(folder))
		return err_errno(e, "%s", folder);
	m = xcalloc(1, sizeof(*m));
	m->params = *params;
	m->folder = take_ptr(folder);
	m->log_fd = m->console_fd = -1;
	*out = m;
	return 0;
}

char *machine_file(const struct machine *m, const char *name)
{
	return xasprintf("%s/%s", m->folder, name);
}

int machine_create_file(struct machine *m, const char *name, struct err *e)
{
	autofree char *path = machine_file(m, name);
	int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

	return fd < 0 ? err_errno(e, "%s", path) : fd;
}

void machine_use_vars(struct machine *m, const char *path, bool forget)
{
	free(m->kept_vars);
	m->kept_vars = xstrdup(path);
	m->forget_vars = forget;
}

/* The firmware writes its variables, so each machine has its own. */
static int make_vars(const struct machine *m, const char *template, char **out, struct err *e)
{
	bool known = m->kept_vars && file_exists(m->kept_vars);
	bool keep = m->kept_vars && !m->forget_vars;
	autofree char *vars = keep ? xstrdup(m->kept_vars) : machine_file(m, VARS_FILE);
	int r = 0;

	if (!m->params.dry_run && !(keep && known))
		r = vm_copy_vars(known ? m->kept_vars : template, vars, e);
	if (r == 0)
		*out = take_ptr(vars);
	return r;
}

static int find_firmware(const struct machine *m, struct vm_spec *spec, char **vars, struct err *e)
{
	const char *template;
	int r;

	if (spec->firmware == VM_FIRMWARE_BIOS)
		return 0;
	r = vm_find_firmware(spec->firmware, &spec->firmware_code, &template, e);
	if (r == 0)
		r = make_vars(m, template, vars, e);
	if (r == 0)
		spec->firmware_vars = *vars;
	return r;
}

int machine_prepare(struct machine *m, const struct vm_spec *given, struct err *e)
{
	const struct machine_params *p = &m->params;
	size_t more = p->disks ? p->disks->count : 0;
	autofree struct vm_disk *disks = xcalloc(given->disk_count + more, sizeof(*disks));
	autofree char *vars = NULL;
	autostrv serials = {0};
	struct vm_spec spec = *given;
	int r;

	spec.name = "bedplate";
	spec.accel = p->accel;
	spec.memory_bytes = p->memory_bytes;
	spec.cpus = p->cpus;
	spec.network = p->network;
	spec.disks = disks;
	for (size_t i = 0; i < given->disk_count; i++)
		disks[i] = given->disks[i];
	for (size_t i = 0; i < more; i++) {
		strv_take(&serials, xasprintf("disk%zu", i));
		disks[spec.disk_count++] = (struct vm_disk){
			.path = p->disks->items[i], .serial = serials.items[i]};
	}
	spec.firmware = p->firmware;
	r = find_firmware(m, &spec, &vars, e);
	return r < 0 ? r : vm_command(&spec, &m->qemu, e);
}

char *machine_command(const struct machine *m)
{
	return cmd_quoted(&m->qemu);
}

int machine_start(struct machine *m, struct err *e)
{
	int ends[2];
	int r;

	m->log_fd = machine_create_file(m, LOG_FILE, e);
	if (m->log_fd < 0)
		return m->log_fd;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) < 0)
		return err_errno(e, "socketpair");
	m->console_fd = ends[0];

	autofd int theirs = ends[1];
	m->qemu.stdin_fd = theirs;
	m->qemu.log_fd = m->log_fd;
	r = cmd_start(&m->qemu, e);
	if (r == -ENOENT)
		return err_wrap(e, r, "the package 'qemu-system-x86' is missing");
	return r < 0 ? r : m->console_fd;
}

/* What QEMU said last, NULL when it said nothing. */
static char *last_words(const struct machine *m)
{
	autofree char *path = machine_file(m, LOG_FILE);
	autofree char *text = NULL;
	const char *last = NULL;
	char *rest;

	if (file_read(path, QEMU_LOG_MAX, &text, NULL, NULL) < 0)
		return NULL;
	rest = text;
	for (const char *line; (line = str_next_word(&rest, "\r\n"));)
		last = line;
	return last ? xstrdup(last) : NULL;
}

int machine_wait(struct machine *m, struct err *e)
{
	struct err ended = {0};
	int r;

	m->qemu.timeout_seconds = END_SECONDS;
	r = cmd_wait(&m->qemu, &ended);
	if (r == 0)
		return 0;
	autofree char *words = last_words(m);
	return err_set(e, ended.code, "%s%s%s", ended.msg, words ? ": " : "", words ? words : "");
}
