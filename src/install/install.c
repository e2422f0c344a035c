/* SPDX-License-Identifier: Apache-2.0 */
#include "install/install.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <jansson.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "base/file.h"
#include "base/json.h"
#include "base/log.h"
#include "base/xalloc.h"
#include "boot/loader.h"
#include "install/loader-check.h"
#include "install/run.h"
#include "liveimg/booted.h"
#include "liveimg/memory.h"
#include "storage/lvm.h"
#include "sys/chroot.h"
#include "upgrade/base-view.h"
#include "upgrade/site-lock.h"
#include "upgrade/site.h"

#define REPO_LINK   "/run/install/repo"
#define WORK_BYTES  (192 * MIB)
#define NOT_WITHOUT "nothing was written; add --yes to "

static void install_fini(struct install *in)
{
	target_free(in->target);
	layout_fini(&in->layout);
	inventory_fini(&in->inv);
	liveimg_fini(&in->image);
	install_ks_fini(&in->ks);
	free(in->base);
	free(in->layer);
	free(in->cmd_line);
}

/* For people, on out and into the log. */
PRINTF(2, 3)
static void say(const struct install *in, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	autofree char *text = xvasprintf(fmt, ap);
	va_end(ap);
	if (!in->spec->json) {
		fputs(text, in->out);
		fflush(in->out);
	}
	if (in->log)
		fputs(text, in->log);
}

/* One object, one line. */
static void say_json(const struct install *in, json_t *object)
{
	if (in->spec->json) {
		json_dumpf(object, in->out, JSON_COMPACT | JSON_SORT_KEYS | JSON_ENSURE_ASCII);
		putc('\n', in->out);
		fflush(in->out);
	}
	json_decref(object);
}

static const char *mode_name(enum install_mode mode)
{
	static const char *const names[] = {
		[INSTALL_NEW] = "install",
		[INSTALL_AGAIN] = "reinstall",
		[INSTALL_REMOVE] = "uninstall",
	};

	return names[mode];
}

enum install_end install_end_of(const struct ks_doc *doc)
{
	const struct ks_cmd *c = ks_next(doc, "reboot", NULL);

	if (!c)
		return INSTALL_STAY;
	if (ks_flag(c, "eject") || ks_flag(c, "kexec"))
		log_warning("%s:%u: --eject and --kexec are ignored: the medium is in use until "
			    "the machine is down",
			ks_file(c), ks_line(c));
	if (str_eq(ks_name(c), "halt"))
		return INSTALL_HALT;
	return str_eq(ks_name(c), "reboot") ? INSTALL_REBOOT : INSTALL_POWEROFF;
}

/* Kickstarts know the medium by this name. */
static void link_medium(void)
{
	struct err e = {0};

	if (!file_exists(BOOTED_MEDIUM) || file_exists(REPO_LINK))
		return;
	if (file_make_folder("/run/install", 0755, &e) < 0)
		log_debug("%s", e.msg);
	else if (symlink(BOOTED_MEDIUM, REPO_LINK) < 0 && errno != EEXIST)
		log_debug(REPO_LINK ": %s", strerror(errno));
}

static int load_kickstart(struct install *in, struct err *e)
{
	autobooted booted = {0};
	autostrv words = {0};
	int r = install_ks_load(in->spec->kickstart, in->log_fd, &in->ks, e);

	if (r < 0)
		return r;
	cmd_line_split(in->cmd_line, &words);
	bool from_image = booted_find("", &words, &booted, NULL) == 0;
	return install_ks_check_questions(&in->ks, from_image, e);
}

/* An upper bound: the initramfs is compressed on its way. */
static uint64_t boot_bytes(const struct manifest *m)
{
	uint64_t most = 0;

	for (size_t i = 0; i < m->kernel_count; i++)
		most = MAX(most, m->kernels[i].kernel_bytes + m->kernels[i].initramfs_bytes);
	return most;
}

static int plan(struct install *in, struct err *e)
{
	const struct manifest *m = &in->image.manifest;
	const struct layout_params params = {
		.name = m->name,
		.version = m->version,
		.rootfs_bytes = m->rootfs.size_bytes,
		.boot_bytes = boot_bytes(m),
		.reinstall = in->spec->mode == INSTALL_AGAIN,
	};
	int r = node_precheck(in->ks.doc, image_tree(in->image.img), INSTALL_FOLDER, e);

	if (r < 0)
		return r;
	r = inventory_read(&in->inv, e);
	if (r < 0)
		return err_wrap(e, r, "looking for disks");
	in->base = xasprintf("%s-%s", m->name, m->version);
	in->layer = xasprintf("%s+1", in->base);
	r = layout_plan_here(in->ks.doc, &in->inv, &params, &in->layout, e);
	if (r == 0)
		r = loader_precheck(
			in->ks.doc, &in->layout, in->inv.uefi, image_tree(in->image.img), e);
	return r;
}

static void print_plan(const struct install *in)
{
	const struct manifest *m = &in->image.manifest;
	autofree char *text = layout_text(&in->layout);

	say(in, "Image: %s %s (%s), from %s, %s%s\n", m->name, m->version, m->arch,
		in->image.origin, in->image.signer ? "signed by " : "signature not checked",
		in->image.signer ? in->image.signer : "");
	say(in, "%s%s", text, str_ends(text, "\n") ? "" : "\n");
	say_json(in,
		json_pack("{s:s, s:s, s:{s:s, s:s, s:s, s:o, s:o}, s:s, s:o}", "event", "plan",
			"mode", mode_name(in->spec->mode), "image", "name", m->name, "version",
			m->version, "arch", m->arch, "origin", json_text(in->image.origin),
			"signer", json_text(in->image.signer), "layer", in->layer, "layout",
			layout_json(&in->layout)));
}

/* 0: go on, 1: the plan was all that was wanted. */
static int ask(const struct install *in, struct err *e)
{
	if (in->spec->dry_run) {
		say(in, "Nothing was written.\n");
		return 1;
	}
	if (in->spec->yes)
		return 0;
	return err_set(e, ECANCELED, NOT_WITHOUT "%s", mode_name(in->spec->mode));
}

static char *disk_names(const struct layout *l)
{
	autostrbuf b = {0};

	for (size_t i = 0; i < l->disk_count; i++)
		strbuf_printf(&b, "%s%s", i ? ", " : "", l->disks[i].path);
	return strbuf_take(&b);
}

static json_t *disk_names_json(const struct layout *l)
{
	json_t *array = json_array();

	for (size_t i = 0; i < l->disk_count; i++)
		json_array_append_new(array, json_text(l->disks[i].path));
	return array;
}

/* Up to the plan: whatever is wrong is known then. */
static int check(struct install *in, struct err *e)
{
	int r = load_kickstart(in, e);

	if (r == 0)
		r = memory_check(WORK_BYTES, "the installer", e);
	if (r == 0)
		r = node_bring_up_network(in->ks.doc, in->log_fd, e);
	if (r == 0)
		r = source_image(in->ks.doc, INSTALL_FOLDER, &in->image, in->p, e);
	return r == 0 ? plan(in, e) : r;
}

/* Also when nothing was written yet, but not when nothing was to be. */
static int on_error(const struct install *in, int r)
{
	const struct node_config c = {.doc = in->ks.doc, .log_fd = in->log_fd};

	if (in->ks.doc && in->spec->yes && !in->spec->dry_run)
		node_run_onerror(&c, in->target);
	return r;
}

static int install(struct install *in, enum install_end *end, struct err *e)
{
	struct timespec began, ended;
	int r = check(in, e);

	if (r < 0)
		return on_error(in, r);
	print_plan(in);
	r = ask(in, e);
	if (r != 0)
		return MIN(r, 0);
	in->config = (struct node_config){
		.doc = in->ks.doc,
		.layout = &in->layout,
		.manifest = &in->image.manifest,
		.layer = in->layer,
		.kickstart_text = in->ks.text,
		.origin = in->image.origin,
		.log_fd = in->log_fd,
	};
	clock_gettime(CLOCK_MONOTONIC, &began);
	r = install_write(in, e);
	if (r < 0)
		return on_error(in, r);
	clock_gettime(CLOCK_MONOTONIC, &ended);
	*end = install_end_of(in->ks.doc);
	autofree char *disks = disk_names(&in->layout);
	say(in, "bedplate: installed %s on %s\n", in->base, disks);
	say_json(in,
		json_pack("{s:s, s:b, s:s, s:s, s:o, s:I}", "event", "result", "ok", 1, "mode",
			mode_name(in->spec->mode), "layer", in->layer, "disks",
			disk_names_json(&in->layout), "seconds",
			(json_int_t)(ended.tv_sec - began.tv_sec)));
	return 0;
}

static void print_removed(const struct install *in, const struct strv *removed)
{
	json_t *array = json_array();

	for (size_t i = 0; i < removed->count; i++) {
		say(in, "Remove: %s\n", removed->items[i]);
		json_array_append_new(array, json_text(removed->items[i]));
	}
	say_json(in,
		json_pack(
			"{s:s, s:s, s:o}", "event", "plan", "mode", "uninstall", "remove", array));
}

/* It would lead to a core image that is gone. */
static int drop_boot_code_of(const struct inv_disk *d, const struct inv_part *bios, struct err *e)
{
	autofd int fd = open(d->path, O_RDWR | O_CLOEXEC);

	if (fd < 0)
		return err_errno(e, "'%s'", d->path);
	int r = loader_remove_bios(fd, bios->start_bytes, e);
	return r < 0 ? err_wrap(e, r, "'%s'", d->path) : 0;
}

static void drop_boot_code(const struct inventory *inv)
{
	struct err own = {0};

	for (size_t i = 0; i < inv->disk_count; i++)
		for (size_t j = 0; j < inv->disks[i].part_count; j++) {
			const struct inv_part *part = &inv->disks[i].parts[j];

			if (node_owns_part(inv, LVM_TAG_BIOS, part) &&
				drop_boot_code_of(&inv->disks[i], part, &own) < 0)
				log_warning("boot code stays: %s", own.msg);
		}
}

static int uninstall(struct install *in, enum install_end *end, struct err *e)
{
	autostrv removed = {0};
	struct err own = {0};
	int r = 0;

	if (in->spec->kickstart) {
		r = install_ks_peek(in->spec->kickstart, &in->ks, e);
		if (r < 0)
			return r;
	}
	r = inventory_read(&in->inv, e);
	if (r == 0)
		r = node_remove(&in->inv, true, true, &removed, in->p, e);
	if (r < 0)
		return r;
	print_removed(in, &removed);
	r = ask(in, e);
	if (r != 0)
		return MIN(r, 0);
	r = node_remove(&in->inv, true, false, NULL, in->p, e);
	if (r < 0)
		return r;
	drop_boot_code(&in->inv);
	if (in->inv.uefi && loader_remove_efi_entry(&own) < 0)
		log_warning("the firmware's boot entry stays: %s", own.msg);
	if (in->ks.doc)
		*end = install_end_of(in->ks.doc);
	say(in, "bedplate: uninstalled\n");
	say_json(in, json_pack("{s:s, s:b, s:s}", "event", "result", "ok", 1, "mode", "uninstall"));
	return 0;
}

/* Two installers at once would be the end of both, and so would an upgrade meanwhile. */
static int lock(int *out, struct err *e)
{
	int fd = site_lock(SITE_LOCK_PATH, e);

	if (fd < 0)
		return fd;
	*out = fd;
	return file_make_folder(INSTALL_FOLDER, 0700, e);
}

static int open_log(struct install *in, struct err *e)
{
	if (!in->spec->log_path)
		return 0;
	autofd int fd = open(in->spec->log_path,
		O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return err_errno(e, "'%s'", in->spec->log_path);
	in->log = fdopen(fd, "a");
	if (!in->log)
		return err_errno(e, "'%s'", in->spec->log_path);
	in->log_fd = take_fd(&fd);
	/* Scripts write to the same descriptor, so nothing may wait in a buffer. */
	setvbuf(in->log, NULL, _IOLBF, 0);
	log_add_copy(in->log, MAX(LOG_LEVEL_NORMAL, log_get_level()));
	return 0;
}

static void close_log(struct install *in)
{
	if (!in->log)
		return;
	log_drop_copy(in->log);
	fclose(in->log);
}

/* Progress for whoever watches, and a line a stage for the log. */
struct tee {
	struct progress p;
	struct progress *watcher;
	FILE *log;
};

static void show_both(struct progress *p, enum progress_event event)
{
	struct tee *tee = (struct tee *)(void *)p;
	struct progress *w = tee->watcher;

	if (event == PROGRESS_END && tee->log)
		fprintf(tee->log, "%s: %" PRIu64 " %s in %.1f s\n", p->stage, p->done, p->unit,
			p->seconds);
	if (!w)
		return;
	if (event == PROGRESS_BEGIN) {
		progress_begin(w, p->stage, p->total, p->unit);
		return;
	}
	w->done = p->done;
	w->total = p->total;
	w->seconds = p->seconds;
	w->show(w, event);
	fflush(w->out);
}

static int run_mode(struct install *in, enum install_end *end, struct err *e)
{
	int r = chroot_enter_namespace(e);

	if (r == 0)
		r = target_drop_leftovers(e);
	/* Also of an upgrade: what has a base open is in the way of its removal. */
	base_view_drop_leftovers();
	if (r == 0)
		r = cmd_line_read(&in->cmd_line, e);
	if (r < 0)
		return r;
	link_medium();
	return in->spec->mode == INSTALL_REMOVE ? uninstall(in, end, e) : install(in, end, e);
}

int install_run(
	const struct install_spec *spec, struct progress *p, enum install_end *end, struct err *e)
{
	struct install in = {.spec = spec, .out = spec->out ? spec->out : stdout, .log_fd = -1};
	struct err own = {0};
	autofd int lock_fd = -1;
	int r;

	*end = INSTALL_STAY;
	if (geteuid() != 0)
		return err_set(e, EPERM, "%s needs root", mode_name(spec->mode));
	r = lock(&lock_fd, e);
	if (r == 0)
		r = open_log(&in, e);
	if (r < 0)
		return r;
	struct tee tee = {
		.p = {.show = show_both, .out = in.log ? in.log : stderr},
		.watcher = p,
		.log = in.log,
	};
	in.p = &tee.p;
	r = run_mode(&in, end, &own);
	if (r < 0 && in.log)
		fprintf(in.log, "%s failed: %s\n", mode_name(spec->mode), own.msg);
	if (r < 0)
		say_json(&in,
			json_pack("{s:s, s:b, s:s, s:o}", "event", "result", "ok", 0, "mode",
				mode_name(spec->mode), "error", json_text(own.msg)));
	install_fini(&in);
	close_log(&in);
	return r < 0 ? err_set(e, -r, "%s", own.msg) : 0;
}
