/* SPDX-License-Identifier: Apache-2.0 */
#include "vm/install.h"

#include <errno.h>
#include <inttypes.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cmd.h"
#include "base/file.h"
#include "base/log.h"
#include "base/xalloc.h"
#include "image/image.h"
#include "ks/ks.h"
#include "ks/unattended.h"
#include "media/media.h"
#include "vm/disk.h"

#define MEDIUM_FILE    "medium.iso"
#define MEDIUM_ENTRY   "install-serial"
#define MEDIUM_SECONDS 1
/* To the menu of a medium of ours, once it shows that entry: the first, the next, go. */
#define MENU_TITLE         "Install (serial console)"
#define MENU_KEYS          "\x01\x0e\r"
#define KICKSTART_FILE     "ks.cfg"
#define KICKSTART_VOLUME   "oemdrv.img"
#define KICKSTART_LABEL    "OEMDRV" /* where installers look for one that is not on their medium */
#define KICKSTART_MAX      (8 * MIB)
#define VOLUME_SECTORS     "32768" /* of 512 bytes */
#define DISK_MIN           (1 * GIB)
#define DISK_DEFAULT       (20 * GIB)
#define END_SECONDS        300
#define VERDICT            "bedplate: install"
#define VERDICT_GOOD       "ed "
#define VERDICT_GOOD_PLACE " on "
#define VERDICT_BAD        " failed: "

struct vm_install {
	struct vm_install_spec spec;
	enum disk_kind kind;
	bool new_disk;
	bool drop_disk, drop_vars; /* they were made here, and nothing has come of it yet */
	char *medium, *volume;     /* what is attached; volume may be NULL */
	char *vars;                /* of UEFI firmware, or NULL */
	struct machine *m;
};

void vm_install_free(struct vm_install *i)
{
	if (!i)
		return;
	machine_free(i->m);
	if (i->drop_vars)
		unlink(i->vars);
	if (i->drop_disk)
		disk_drop(i->spec.disk);
	free(i->vars);
	free(i->medium);
	free(i->volume);
	free(i);
}

struct machine *vm_install_machine(struct vm_install *i)
{
	return i->m;
}

static bool has_pre_script(const struct ks_doc *doc)
{
	for (size_t i = 0; i < ks_script_count(doc); i++)
		if (ks_script_at(doc, i)->kind == KS_PRE)
			return true;
	return false;
}

/* The medium has an image, whatever the kickstart says of one. */
static bool is_open(const struct ks_question *q)
{
	return !q->answered && !str_eq(q->topic, "source");
}

/* A %pre script may answer questions: then they are the installer's to ask. */
static int check_questions(const char *path, const struct ks_doc *doc, struct err *e)
{
	struct ks_question questions[KS_QUESTIONS];
	const struct ks_question *first = NULL;
	size_t open = 0;

	if (ks_unattended(doc, questions) == 0 || has_pre_script(doc))
		return 0;
	for (size_t i = ARRAY_LEN(questions); i-- > 0;)
		if (is_open(&questions[i])) {
			first = &questions[i];
			open++;
		}
	if (!first)
		return 0;
	return err_set(e, EINVAL, "%s leaves %zu question%s open, the first: %s: %s", path, open,
		open == 1 ? "" : "s", first->topic, first->reason);
}

/* Minutes before the installer would say the same. */
static int check_kickstart(const char *path, struct err *e)
{
	/* A %pre script may still write what is included. */
	const struct ks_options options = {.missing_include_ok = true};
	autoptr(ks_doc) doc = NULL;
	int r = ks_parse_file(path, &options, &doc, e);

	if (r < 0)
		return r;
	for (size_t i = 0; i < ks_problem_count(doc); i++) {
		const struct ks_problem *problem = ks_problem_at(doc, i);

		if (!problem->is_warning)
			return err_set(e, EINVAL, "%s:%u: %s", problem->file, problem->line,
				problem->text);
	}
	return check_questions(path, doc, e);
}

/* Before minutes are spent on the medium.  An empty file is as good as none. */
static int check_new_disk(const struct vm_install_spec *spec, bool is_there, struct err *e)
{
	autofree char *folder = file_parent(spec->disk);

	if (spec->size_bytes < DISK_MIN)
		return err_set(e, EINVAL, "a disk of %" PRIu64 " bytes is too small for a node",
			spec->size_bytes);
	if (is_there)
		return disk_check(spec->disk, e);
	return access(folder, W_OK | X_OK) < 0 ? err_errno(e, "%s", spec->disk) : 0;
}

/* Whether it is the file path, by whatever name; path may be NULL. */
static bool is_file(const struct stat *st, const char *path)
{
	struct stat other;

	return path && stat(path, &other) == 0 && other.st_dev == st->st_dev &&
		other.st_ino == st->st_ino;
}

static int check_old_disk(const struct vm_install_spec *spec, const char *source,
	const struct stat *st, struct err *e)
{
	int r = disk_check(spec->disk, e);

	if (r < 0)
		return r;
	if (is_file(st, source) || is_file(st, spec->kickstart))
		return err_set(e, EINVAL, "%s is what the node is installed from", spec->disk);
	if (!spec->yes)
		return err_set(e, EEXIST,
			"%s is there already, and what is on it may be erased: --yes allows that",
			spec->disk);
	if (spec->size_bytes)
		return err_set(e, EINVAL, "%s is there already and keeps its size", spec->disk);
	return 0;
}

/* source: the file that the node comes from. */
static int check_disk(struct vm_install *i, const char *source, struct err *e)
{
	struct vm_install_spec *spec = &i->spec;
	bool is_there;
	struct stat st;

	is_there = stat(spec->disk, &st) == 0;
	if (!is_there && errno != ENOENT)
		return err_errno(e, "%s", spec->disk);
	i->new_disk = !is_there || (S_ISREG(st.st_mode) && st.st_size == 0);
	if (!i->new_disk)
		return check_old_disk(spec, source, &st, e);
	if (spec->size_bytes == 0)
		spec->size_bytes = DISK_DEFAULT;
	return check_new_disk(spec, is_there, e);
}

static int check(struct vm_install *i, struct err *e)
{
	const struct vm_install_spec *s = &i->spec;
	autoptr(image) img = NULL;
	bool has_kickstart = false;
	int r = disk_find_kind(s->source, &i->kind, e);

	if (r < 0)
		return r;
	if (i->kind == DISK_DISK)
		return err_set(e, EINVAL, "%s is a disk: an image or an ISO is needed", s->source);
	if (i->kind == DISK_MEDIUM && !media_is_ours(s->source, &has_kickstart))
		return err_set(e, EINVAL,
			"%s is an ISO, but not one that 'bedplate media iso' has made", s->source);
	if (!has_kickstart && !s->kickstart)
		return err_set(e, EINVAL, "%s has no kickstart on it, give one with --kickstart",
			s->source);
	if (s->kickstart)
		r = check_kickstart(s->kickstart, e);
	if (r == 0 && i->kind == DISK_IMAGE)
		r = image_open(s->source, &img, e);
	return r < 0 ? r : check_disk(i, img ? image_path(img) : s->source, e);
}

/* A small FAT volume with the kickstart, for a medium that we do not change. */
static int make_volume(struct vm_install *i, struct err *e)
{
	autofree char *copy = machine_file(i->m, KICKSTART_FILE);
	autofree char *text = NULL;
	autocmd format = {0}, fill = {0};
	size_t len;
	int r = file_read(i->spec.kickstart, KICKSTART_MAX, &text, &len, e);

	if (r == 0)
		r = file_replace(copy, text, len, 0600, e);
	if (r < 0)
		return r;
	cmd_add(&format, "mformat", "-i", i->volume, "-C", "-T", VOLUME_SECTORS, "-h", "64", "-s",
		"32", "-v", KICKSTART_LABEL, "::", NULL);
	cmd_add(&fill, "mcopy", "-i", i->volume, copy, "::/" KICKSTART_FILE, NULL);
	r = cmd_run(&format, e);
	if (r == 0)
		r = cmd_run(&fill, e);
	return r == -ENOENT ? err_wrap(e, r, "the package 'mtools' is missing") : r;
}

static int make_medium(struct vm_install *i, struct progress *p, struct err *e)
{
	const struct media_spec spec = {
		.image = i->spec.source,
		.kickstart = i->spec.kickstart,
		.append = i->spec.machine.accel == VM_ACCEL_TCG ? VM_TCG_PARAM : NULL,
		.default_entry = MEDIUM_ENTRY,
		.timeout_seconds = MEDIUM_SECONDS,
	};

	return media_write_iso(&spec, i->medium, p, e);
}

static int make_files(struct vm_install *i, struct progress *p, struct err *e)
{
	int r = 0;

	if (i->kind == DISK_IMAGE)
		r = make_medium(i, p, e);
	else if (i->volume)
		r = make_volume(i, e);
	if (r == 0 && i->new_disk) {
		r = disk_create(i->spec.disk, i->spec.size_bytes, e);
		i->drop_disk = r == 0;
	}
	return r;
}

/* The disk is the guest's first, whatever else is attached. */
static int prepare(struct vm_install *i, struct err *e)
{
	const struct vm_disk disks[] = {
		{.path = i->spec.disk, .serial = "disk"},
		{.path = i->volume, .serial = "kickstart", .use = VM_DISK_READ_ONLY},
	};
	const struct vm_spec spec = {
		.disks = disks,
		.disk_count = i->volume ? 2 : 1,
		.cdrom = i->medium,
		.ends_at_reset = true,
	};

	i->vars = disk_vars_path(i->spec.disk, i->spec.machine.firmware);
	i->drop_vars = i->vars && !i->spec.machine.dry_run && !file_exists(i->vars);
	if (i->vars)
		machine_use_vars(i->m, i->vars, false);
	return machine_prepare(i->m, &spec, e);
}

int vm_install_new(const struct vm_install_spec *spec, struct progress *p, struct vm_install **out,
	struct err *e)
{
	autoptr(vm_install) i = xcalloc(1, sizeof(*i));
	int r;

	i->spec = *spec;
	r = check(i, e);
	if (r < 0)
		return r;
	r = machine_new(&spec->machine, &i->m, e);
	if (r < 0)
		return r;
	if (i->kind == DISK_IMAGE)
		i->medium = machine_file(i->m, MEDIUM_FILE);
	else
		i->medium = xstrdup(spec->source);
	if (i->kind == DISK_MEDIUM && spec->kickstart)
		i->volume = machine_file(i->m, KICKSTART_VOLUME);
	if (!spec->machine.dry_run)
		r = make_files(i, p, e);
	if (r == 0)
		r = prepare(i, e);
	if (r == 0)
		*out = take_ptr(i);
	return r;
}

char *vm_install_commands(const struct vm_install *i)
{
	autofree char *qemu = machine_command(i->m);
	autocmd create = {0};

	if (!i->new_disk)
		return take_ptr(qemu);
	disk_create_command(i->spec.disk, i->spec.size_bytes, &create);
	autofree char *first = cmd_quoted(&create);
	return xasprintf("%s\n%s", first, qemu);
}

/* "ed NAME-VERSION on /dev/vda", what follows VERDICT: NAME-VERSION, or all of it. */
static char *installed_name(const char *said)
{
	autofree char *name = str_printable(said + strlen(VERDICT_GOOD));
	char *end = strstr(name, VERDICT_GOOD_PLACE);

	if (end)
		*end = '\0';
	return take_ptr(name);
}

static int wait_verdict(struct console *c, char **name, struct err *e)
{
	for (;;) {
		autofree char *said = NULL;
		int r = console_expect(c, VERDICT, e);

		if (r == 0)
			r = console_read_line(c, &said, e);
		if (r < 0)
			return r;
		if (str_starts(said, VERDICT_GOOD)) {
			*name = installed_name(said);
			return 0;
		}
		if (str_starts(said, VERDICT_BAD)) {
			autofree char *why = str_printable(said + strlen(VERDICT_BAD));

			return err_set(e, EPROTO, "the install failed: %s", why);
		}
	}
}

/* A medium that was made elsewhere starts something else by itself. */
static int choose_entry(struct console *c, struct err *e)
{
	int r = console_expect(c, MENU_TITLE, e);

	return r < 0 ? r : console_send(c, MENU_KEYS, e);
}

int vm_install_follow(struct vm_install *i, struct console *c, char **name, struct err *e)
{
	autofree char *found = NULL;
	int r = i->kind == DISK_MEDIUM ? choose_entry(c, e) : 0;

	if (r == 0)
		r = wait_verdict(c, &found, e);
	if (r < 0)
		return r;
	/* The kickstart may want the machine to stay on: all is on the disk by now. */
	console_set_timeout(c, END_SECONDS);
	r = console_wait_end(c, e);
	if (r == 0)
		r = machine_wait(i->m, e);
	if (r < 0 && r != -ETIMEDOUT)
		return r;
	i->drop_disk = i->drop_vars = false;
	*name = take_ptr(found);
	return 0;
}
