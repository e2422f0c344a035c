/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What target.sh calls of src/install: target-driver VERB IMAGE ROOT-HASH HASH-OFFSET KICKSTART.
 *
 * The disks are made by the script: group "node" with base "n-1" and layer "n-1+1", /boot on
 * /dev/ubdb, EFI system partition on /dev/ubdc.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cmd.h"
#include "base/file.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/xalloc.h"
#include "install/configure-node.h"
#include "install/target.h"
#include "ks/ks.h"
#include "liveimg/base-write.h"
#include "sys/chroot.h"

#define BASE_DEVICE "/dev/node/n-1"
#define LOG_PATH    "/run/target-driver.log"

struct lab {
	struct image *img;
	struct manifest manifest;
	struct layout layout;
	struct base_verity verity;
	struct ks_doc *doc;
	char *kickstart;
	int log_fd;
};

static struct layout_part parts[] = {
	{.role = LAYOUT_BOOT,
		.path = (char[]){"/dev/ubdb"},
		.mount = (char[]){"/boot"},
		.fstype = (char[]){"ext4"}},
	{.role = LAYOUT_EFI,
		.path = (char[]){"/dev/ubdc"},
		.mount = (char[]){"/boot/efi"},
		.fstype = (char[]){"vfat"}},
};
static struct layout_volume volumes[] = {
	{.mount = (char[]){"/"}, .fstype = (char[]){"ext4"}},
	/* Not in the order of mounting. */
	{.name = (char[]){"var_log"}, .mount = (char[]){"/var/log"}, .fstype = (char[]){"ext4"}},
	{.name = (char[]){"var"}, .mount = (char[]){"/var"}, .fstype = (char[]){"ext4"}},
	{.name = (char[]){"home"}, .mount = (char[]){"/home"}, .fstype = (char[]){"ext4"}},
};
static struct layout_disk disks[] = {{.path = (char[]){"/dev/ubda"}}};

static int load(struct lab *lab, char *const args[], struct err *e)
{
	int r = image_open(args[0], &lab->img, e);

	if (r == 0)
		r = hex_parse(args[1], lab->manifest.verity.root_hash, SHA256_BYTES, e);
	if (r == 0)
		r = file_read(args[3], MIB, &lab->kickstart, NULL, e);
	if (r == 0)
		r = ks_parse_text(
			"t.ks", lab->kickstart, strlen(lab->kickstart), NULL, &lab->doc, e);
	if (r < 0)
		return r;
	lab->verity.hash_offset = strtoull(args[2], NULL, 10);
	lab->manifest.name = (char[]){"n"};
	lab->manifest.version = (char[]){"1"};
	lab->manifest.arch = (char[]){"x86_64"};
	lab->manifest.rootfs.size_bytes = image_rootfs(lab->img)->size_bytes;
	lab->manifest.verity.data_bytes = lab->verity.hash_offset;
	lab->layout = (struct layout){
		.disks = disks,
		.disk_count = 1,
		.parts = parts,
		.part_count = ARRAY_LEN(parts),
		.vg = (char[]){"node"},
		.pool = (char[]){"p"},
		.volumes = volumes,
		.volume_count = ARRAY_LEN(volumes),
	};
	lab->log_fd = open(LOG_PATH, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0600);
	return lab->log_fd < 0 ? err_errno(e, LOG_PATH) : chroot_enter_namespace(e);
}

static int verify(struct lab *lab, struct err *e)
{
	struct err ignored;
	int r = base_open("node", "n-1", &lab->verity, lab->manifest.verity.root_hash, "lab", e);

	if (r < 0)
		return r;
	int fd = open("/dev/mapper/lab", O_RDONLY | O_CLOEXEC);
	r = fd < 0 ? err_errno(e, "/dev/mapper/lab")
		   : base_read_verified(fd, lab->verity.hash_offset, NULL, e);
	close_auto(&fd);
	return base_close("node", "n-1", "lab", r < 0 ? &ignored : e) < 0 && r == 0 ? -EIO : r;
}

/* The base, written and read back. */
static int do_write(struct lab *lab, struct err *e)
{
	autofd int fd = open(BASE_DEVICE, O_RDWR | O_CLOEXEC);
	int r = fd < 0 ? err_errno(e, BASE_DEVICE)
		       : base_write(lab->img, &lab->manifest, fd, NULL, e);

	close_auto(&fd);
	fd = -1;
	if (r == 0)
		r = base_protect("node", "n-1", &lab->verity, e);
	return r == 0 ? verify(lab, e) : r;
}

static int open_target(struct lab *lab, struct target **out, struct err *e)
{
	const struct target_spec spec = {
		.layout = &lab->layout,
		.layer = "n-1+1",
		.verity = lab->verity,
		.root_hash = lab->manifest.verity.root_hash,
		.data_bytes = lab->verity.hash_offset,
		.dir = "/run/lab/target",
	};

	return target_open(&spec, out, e);
}

static int do_configure(struct lab *lab, struct err *e)
{
	const struct node_config c = {
		.doc = lab->doc,
		.layout = &lab->layout,
		.manifest = &lab->manifest,
		.layer = "n-1+1",
		.origin = "the lab",
		.kickstart_text = lab->kickstart,
		.log_fd = lab->log_fd,
	};
	autoptr(target) t = NULL;
	int r = open_target(lab, &t, e);

	if (r == 0)
		r = node_run_pre_install(&c, t, e);
	if (r == 0)
		r = node_configure(t, &c, NULL, e);
	if (r == 0)
		r = target_prove(t, NULL, e);
	if (r == 0)
		r = node_run_post(&c, t, e);
	if (r == 0)
		r = node_write_record(t, &c, LOG_PATH, e);
	if (r == 0)
		printf("boot %s\n", target_boot_uuid(t));
	return r == 0 ? target_close(t, e) : r;
}

/* As a process that is killed leaves it. */
static int do_crash(struct lab *lab, struct err *e)
{
	struct target *t = NULL;
	int r = open_target(lab, &t, e);

	if (r == 0)
		_exit(0);
	return r;
}

static int do_look(struct lab *lab, struct err *e)
{
	autoptr(target) t = NULL;
	int r = open_target(lab, &t, e);
	autocmd c = {0};

	if (r < 0)
		return r;
	cmd_add(&c, "sh", "-euc", getenv("LAB_LOOK"), NULL);
	c.cwd = target_path(t);
	autofree char *out = NULL;
	r = cmd_output(&c, &out, e);
	if (r == 0)
		fputs(out, stdout);
	/* Without target_close(): target_free() cleans up, too. */
	return r;
}

/* Beside its use, which is over long before. */
static int do_prove(struct lab *lab, struct err *e)
{
	autoptr(target) t = NULL;
	int r = open_target(lab, &t, e);

	return r == 0 ? target_prove(t, NULL, e) : r;
}

static const struct {
	const char *name;
	int (*run)(struct lab *lab, struct err *e);
} verbs[] = {
	{"write", do_write},
	{"verify", verify},
	{"configure", do_configure},
	{"crash", do_crash},
	{"look", do_look},
	{"prove", do_prove},
};

int main(int argc, char *argv[])
{
	struct lab lab = {.log_fd = -1};
	struct err e = {0};
	int r = -EINVAL;

	log_init("target-driver");
	if (argc != 6)
		return 2;
	for (size_t i = 0; i < ARRAY_LEN(verbs); i++) {
		if (!str_eq(argv[1], verbs[i].name))
			continue;
		r = load(&lab, argv + 2, &e);
		if (r == 0)
			r = verbs[i].run(&lab, &e);
	}
	if (r < 0)
		log_error("%s", e.msg);
	image_free(lab.img);
	ks_doc_free(lab.doc);
	free(lab.kickstart);
	return r < 0 ? 1 : 0;
}
