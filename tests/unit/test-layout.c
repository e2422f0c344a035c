/* SPDX-License-Identifier: Apache-2.0 */
#include "storage/layout.h"

#include <errno.h>

#include "base/json.h"
#include "base/log.h"
#include "base/xalloc.h"
#include "ks/ks.h"
#include "storage/lvm.h"
#include "test.h"

#include "layout-scene.h"

#define CLEAR "zerombr\nclearpart --all\n"
#define AUTO  CLEAR "autopart --type=thinp\n"
#define SMALL CLEAR "autopart --type=thinp --profile=minimal\n"
#define PARTS                                                                                      \
	"part biosboot --size=1\npart /boot/efi --size=512\npart /boot --size=1024\n"              \
	"part pv.01 --size=1 --grow\n"
#define GROUP "volgroup vg pv.01\n"
#define POOL  "logvol none --thinpool --name=pool --vgname=vg --size=1000 --grow\n"
#define ROOT  "logvol / --thin --poolname=pool --vgname=vg --name=root --size=2048\n"
#define VAR   "logvol /var --thin --poolname=pool --vgname=vg --name=var --size=1024 --grow\n"
#define LINES CLEAR PARTS GROUP POOL ROOT VAR

static const struct layout_params usual = {
	.name = "node", .version = "1", .rootfs_bytes = 700 * MIB, .boot_bytes = 80 * MIB};

static int plan_with(const char *text, const struct inventory *inv,
	const struct layout_params *params, struct layout *out, struct err *e)
{
	autoptr(ks_doc) doc = NULL;

	assert_ok(ks_parse_text("t.ks", text, strlen(text), NULL, &doc, e), *e);
	for (size_t i = 0; i < ks_problem_count(doc); i++)
		if (!ks_problem_at(doc, i)->is_warning)
			fail_msg("%s", ks_problem_at(doc, i)->text);
	return layout_plan(doc, inv, params, out, e);
}

static int plan(const char *text, const struct inventory *inv, struct layout *out, struct err *e)
{
	return plan_with(text, inv, &usual, out, e);
}

/* ---- what must hold for every layout ---- */

static void check_parts(const struct layout *l)
{
	uint64_t end = 0;

	for (size_t i = 0; i < l->part_count; i++) {
		const struct layout_part *part = &l->parts[i];
		const struct layout_disk *d = &l->disks[part->disk];

		if (i == 0 || l->parts[i - 1].disk != part->disk)
			end = MIB;
		assert_true(part->disk < l->disk_count);
		assert_true(part->start_bytes >= end);
		assert_int_equal(part->start_bytes % MIB, 0);
		assert_int_equal(part->size_bytes % MIB, 0);
		assert_true(part->size_bytes > 0 && part->number > 0);
		end = part->start_bytes + part->size_bytes;
		assert_true(end + d->sector_bytes + 16384 <= d->size_bytes);
		for (size_t j = 0; j < i; j++)
			assert_string_not_equal(l->parts[j].path, part->path);
	}
}

/* Nothing is promised twice: all volumes, the base, and those of the next upgrade. */
static void check_pool(const struct layout *l, uint64_t group, uint64_t next_layer)
{
	uint64_t used = 2 * l->base_bytes;

	for (size_t i = 0; i < l->volume_count; i++) {
		assert_int_equal(l->volumes[i].size_bytes % l->extent_bytes, 0);
		used += l->volumes[i].size_bytes;
	}
	used += next_layer ? next_layer : l->volumes[0].size_bytes;
	assert_true(used <= l->pool_bytes);
	assert_true(l->pool_bytes + 2 * l->pool_metadata_bytes <= group);
	assert_int_equal(l->pool_bytes % l->extent_bytes, 0);
	assert_int_equal(l->pool_metadata_bytes % l->extent_bytes, 0);
	assert_string_equal(l->volumes[0].mount, "/");
	assert_null(l->volumes[0].name);
}

static uint64_t group_bytes(const struct layout *l)
{
	uint64_t bytes = 0;

	for (size_t i = 0; i < l->part_count; i++)
		if (l->parts[i].role == LAYOUT_PV)
			bytes += (l->parts[i].size_bytes - MIB) / l->extent_bytes * l->extent_bytes;
	return bytes;
}

/* "vda1 bios 1+1" a partition, in MiB; then "NAME SIZE" a volume. */
static char *describe(const struct layout *l)
{
	static const char *const roles[] = {"bios", "efi", "boot", "pv", "swap", "data"};
	autostrbuf b = {0};

	for (size_t i = 0; i < l->part_count; i++) {
		const struct layout_part *part = &l->parts[i];

		strbuf_printf(&b, "%s %s %llu+%llu\n", part->path + 5, roles[part->role],
			(unsigned long long)(part->start_bytes / MIB),
			(unsigned long long)(part->size_bytes / MIB));
	}
	strbuf_printf(&b, "%s %llu+%llu/%llu\n", l->pool, (unsigned long long)(l->pool_bytes / MIB),
		(unsigned long long)(l->pool_metadata_bytes / MIB),
		(unsigned long long)(l->pool_chunk_bytes / KIB));
	for (size_t i = 0; i < l->volume_count; i++)
		strbuf_printf(&b, "%s %llu\n", l->volumes[i].name ? l->volumes[i].name : "layer",
			(unsigned long long)(l->volumes[i].size_bytes / MIB));
	return strbuf_take(&b);
}

static void expect_layout(const char *text, const struct inventory *inv, const char *want)
{
	autolayout l = {0};
	struct err e = {0};

	assert_ok(plan(text, inv, &l, &e), e);
	check_parts(&l);
	autofree char *got = describe(&l);
	assert_string_equal(got, want);
}

static void expect_refusal(
	const char *text, const struct inventory *inv, int code, const char *want)
{
	autolayout l = {0};
	struct err e = {0};

	assert_fails(plan(text, inv, &l, &e), code, e, want);
	assert_null(l.disks);
}

/* ---- layouts, to the byte ---- */

static void test_auto(UNUSED void **state)
{
	autoinventory inv = {0};
	autolayout l = {0};
	struct err e = {0};

	scene_disk(&inv, "vda", 64 * GIB);
	expect_layout(AUTO, &inv,
		"vda1 bios 1+1\nvda2 efi 2+512\nvda3 boot 514+1024\nvda4 pv 1538+63997\n"
		"pool00 51196+1000/64\n"
		"layer 4096\nhome 1024\ntmp 1024\nvar 8836\nvar_crash 10240\nvar_log 8192\n"
		"var_log_audit 2048\nvar_tmp 10240\n");

	assert_ok(plan(AUTO, &inv, &l, &e), e);
	check_pool(&l, group_bytes(&l), 0);
	assert_true(l.disks[0].new_table && l.vg_is_new);
	assert_string_equal(l.vg, "bedplate");
	assert_int_equal(l.base_bytes, 700 * MIB);
	assert_string_equal(l.parts[1].label, "bedplate-efi");
	assert_string_equal(l.parts[1].fstype, "vfat");
	assert_string_equal(l.parts[1].fsoptions, "umask=0077,shortname=winnt");
	assert_string_equal(l.parts[2].fsoptions, "defaults");
	assert_string_equal(l.parts[3].label, "bedplate-lvm");
	assert_null(l.parts[3].mount);
	assert_string_equal(l.volumes[3].fsoptions, "defaults,discard");
	assert_int_equal(l.erase_count, 1);
	assert_string_equal(l.erase[0].what, "the whole disk, 64.0 GiB, QEMU");
}

static void test_auto_options(UNUSED void **state)
{
	autoinventory inv = {0};
	autolayout l = {0};
	autolayout xfs = {0};
	struct err e = {0};

	scene_disk(&inv, "vda", 100 * GIB);
	assert_ok(plan(CLEAR "autopart --nohome\n", &inv, &l, &e), e);
	for (size_t i = 0; i < l.volume_count; i++)
		assert_string_not_equal(l.volumes[i].mount, "/home");
	assert_ok(plan(CLEAR "autopart --fstype=xfs --profile=node\n", &inv, &xfs, &e), e);
	assert_string_equal(xfs.volumes[0].fstype, "ext4");
	assert_string_equal(xfs.volumes[1].fstype, "xfs");
}

/* What has no line is made with and without it; with it nothing is said. */
static void test_reqpart(UNUSED void **state)
{
	static const char rest[] = "part pv.01 --size=1 --grow\n" GROUP POOL ROOT VAR;

	for (unsigned with = 0; with < 2; with++) {
		autofree char *text = xasprintf(
			"%s%s%s", CLEAR, with ? "reqpart --add-boot\n" : "", rest);
		autoinventory inv = {0};
		autolayout l = {0};
		autofree char *said = NULL;
		size_t len = 0;
		struct err e = {0};
		FILE *log = open_memstream(&said, &len);

		scene_disk(&inv, "vda", 64 * GIB);
		log_add_copy(log, LOG_LEVEL_NORMAL);
		assert_ok(plan(text, &inv, &l, &e), e);
		log_drop_copy(log);
		fclose(log);
		assert_int_equal(l.part_count, 4);
		assert_int_equal(l.parts[0].role, LAYOUT_BIOS);
		assert_int_equal(l.parts[1].role, LAYOUT_EFI);
		assert_string_equal(l.parts[2].mount, "/boot");
		assert_int_equal(strstr(said, "warning: ") != NULL, !with);
	}
}

static void test_minimal(UNUSED void **state)
{
	autoinventory inv = {0};
	autolayout l = {0};
	struct err e = {0};

	scene_disk(&inv, "vda", 8 * GIB);
	expect_layout(SMALL, &inv,
		"vda1 bios 1+1\nvda2 efi 2+512\nvda3 boot 514+1024\nvda4 pv 1538+6653\n"
		"pool00 6316+104/64\nlayer 2048\nvar 2356\n");
	assert_ok(plan(SMALL, &inv, &l, &e), e);
	check_pool(&l, group_bytes(&l), 512 * MIB);
}

/* Names of partitions, sectors of 4 KiB, large disks, odd sizes. */
static void test_geometry(UNUSED void **state)
{
	static const struct {
		const char *name;
		uint64_t bytes;
		unsigned sector;
		const char *last;
	} disks[] = {
		{"nvme0n1", 100 * GIB, 4096, "/dev/nvme0n1p4"},
		{"mmcblk0", 64 * GIB, 512, "/dev/mmcblk0p4"},
		{"sda", 3 * 1024 * GIB, 512, "/dev/sda4"},
		{"sdb", 18 * 1024 * GIB, 4096, "/dev/sdb4"},
		{"vda", 64 * GIB + 12345 * 512, 512, "/dev/vda4"},
		{"vda", 64 * GIB + MIB - 512, 512, "/dev/vda4"},
	};

	for (size_t i = 0; i < ARRAY_LEN(disks); i++) {
		autoinventory inv = {0};
		autolayout l = {0};
		struct err e = {0};

		scene_disk(&inv, disks[i].name, disks[i].bytes)->sector_bytes = disks[i].sector;
		assert_ok(plan(AUTO, &inv, &l, &e), e);
		check_parts(&l);
		check_pool(&l, group_bytes(&l), 0);
		assert_string_equal(l.parts[3].path, disks[i].last);
		uint64_t end = l.parts[3].start_bytes + l.parts[3].size_bytes;
		assert_true(disks[i].bytes - end < 2 * MIB + 16384 + 4096);
		/* Every chunk can be mapped. */
		assert_true(l.pool_bytes / l.pool_chunk_bytes * 64 <= l.pool_metadata_bytes);
		if (disks[i].bytes > 66 * GIB)
			assert_true(l.pool_metadata_bytes >= GIB);
	}
}

static void test_two_disks(UNUSED void **state)
{
	autoinventory inv = {0};

	scene_disk(&inv, "vda", 40 * GIB);
	scene_disk(&inv, "vdb", 40 * GIB);
	scene_disk(&inv, "vdc", 40 * GIB);
	/* Each used disk has a physical volume, the first one boots. */
	expect_layout("ignoredisk --only-use=vdb,disk/by-id/virtio-vda\n" AUTO, &inv,
		"vdb1 bios 1+1\nvdb2 efi 2+512\nvdb3 boot 514+1024\nvdb4 pv 1538+39421\n"
		"vda1 pv 1+40958\npool00 64300+1024/64\n"
		"layer 4096\nhome 1024\ntmp 1024\nvar 21940\nvar_crash 10240\nvar_log 8192\n"
		"var_log_audit 2048\nvar_tmp 10240\n");
	/* The boot drive can be another one. */
	autolayout l = {0};
	struct err e = {0};
	assert_ok(plan("ignoredisk --only-use=vda,vdb\nbootloader --boot-drive=/dev/vdb\n" AUTO,
			  &inv, &l, &e),
		e);
	assert_int_equal(l.boot_drive, 1);
	assert_string_equal(l.parts[0].path, "/dev/vda1");
	assert_int_equal(l.parts[0].role, LAYOUT_PV);
	assert_string_equal(l.parts[3].path, "/dev/vdb3");
	assert_int_equal(l.parts[3].role, LAYOUT_BOOT);
	layout_fini(&l);
	/* A glob. */
	assert_ok(plan("ignoredisk --only-use=vd[ac]\n" AUTO, &inv, &l, &e), e);
	assert_int_equal(l.disk_count, 2);
}

static void test_lines(UNUSED void **state)
{
	autoinventory inv = {0};

	scene_disk(&inv, "vda", 20 * GIB);
	/* 20480 - 1 - 1538 - 1 */
	expect_layout(LINES, &inv,
		"vda1 bios 1+1\nvda2 efi 2+512\nvda3 boot 514+1024\nvda4 pv 1538+18941\n"
		"pool 18348+296/64\nlayer 2048\nvar 12852\n");
	/* Other sizes, swap, data; in the order of the lines but for what firmware reads. */
	expect_layout(CLEAR "part swap --size=1000 --fstype=swap\npart pv.01 --size=3000 --grow "
			    "--maxsize=12000\n"
			    "part /data --fstype=xfs --size=2000 --grow --fsoptions=noatime\n"
			    "part /boot --size=800\npart /boot/efi --fstype=efi --size=200\n"
			    "part biosboot --fstype=biosboot --size=2\n" GROUP POOL ROOT VAR,
		&inv,
		"vda1 bios 1+2\nvda2 efi 3+200\nvda3 boot 203+800\nvda4 swap 1003+1000\n"
		"vda5 pv 2003+11086\nvda6 data 13089+7390\n"
		"pool 10732+176/64\nlayer 2048\nvar 5236\n");
}

/* What grows takes its share in proportion to its size, up to its limit. */
static void test_growing(UNUSED void **state)
{
	autoinventory inv = {0};

	scene_disk(&inv, "vda", 100 * GIB);
	expect_layout(CLEAR PARTS GROUP
		"logvol none --thinpool --name=pool --vgname=vg --size=40000 --chunksize=256 "
		"--metadatasize=512\n" ROOT
		"logvol /var --thin --poolname=pool --vgname=vg --name=v --size=1000 --grow\n"
		"logvol /srv --thin --poolname=pool --vgname=vg --name=s --size=3000 --grow\n"
		"logvol /opt --thin --poolname=pool --vgname=vg --name=o --size=1000 --grow "
		"--maxsize=2000\n"
		"logvol swap --thin --poolname=pool --vgname=vg --name=swap --fstype=swap "
		"--size=1000\n",
		&inv,
		"vda1 bios 1+1\nvda2 efi 2+512\nvda3 boot 514+1024\nvda4 pv 1538+100861\n"
		"pool 40000+512/256\n"
		"layer 2048\no 2000\ns 23628\nv 7876\nswap 1000\n");
	/* Shares of what the others leave. */
	autolayout l = {0};
	struct err e = {0};
	assert_ok(
		plan(CLEAR PARTS "volgroup vg --reserved-percent=20 --pesize=8192 pv.01\n" POOL ROOT
				 "logvol /var --thin --poolname=pool --vgname=vg --name=v "
				 "--percent=50\n",
			&inv, &l, &e),
		e);
	assert_int_equal(l.extent_bytes, 8 * MIB);
	check_pool(&l, group_bytes(&l), 0);
	assert_true(l.pool_bytes < group_bytes(&l) / 100 * 79);
	assert_true(l.pool_bytes > group_bytes(&l) / 100 * 76);
	assert_true(l.volumes[1].size_bytes < l.pool_bytes / 2);
	assert_true(l.volumes[1].size_bytes > l.pool_bytes / 100 * 45);
}

static void test_part_on_disk(UNUSED void **state)
{
	autoinventory inv = {0};

	scene_disk(&inv, "vda", 20 * GIB);
	scene_disk(&inv, "vdb", 20 * GIB);
	/* The boot drive follows /boot. */
	expect_layout(CLEAR "part /boot --size=1024 --ondisk=vdb\npart pv.01 --size=1 --grow "
			    "--ondisk=vdb\npart pv.02 --size=1 --grow --ondrive=vda\n"
			    "volgroup vg pv.01 pv.02\n" POOL ROOT VAR,
		&inv,
		"vdb1 bios 1+1\nvdb2 efi 2+512\nvdb3 boot 514+1024\nvdb4 pv 1538+18941\n"
		"vda1 pv 1+20478\npool 38184+616/64\nlayer 2048\nvar 32688\n");
}

/* Partitions that stay, and gaps between them. */
static void test_kept(UNUSED void **state)
{
	autoinventory inv = {0};
	autolayout l = {0};
	struct err e = {0};

	scene_disk(&inv, "sda", 40 * GIB);
	scene_part(&inv, "vfat", "EFI", 300 * MIB);
	scene_part(&inv, "ext4", "old", 10 * GIB);
	scene_part(&inv, "ntfs", "win", 5 * GIB);
	inv.disks[0].parts[2].number = 7;
	const char *text = "zerombr\nclearpart --linux\nautopart --profile=minimal\n";

	expect_layout(text, &inv,
		"sda2 bios 301+1\nsda3 efi 302+512\nsda4 boot 814+1024\nsda5 pv 15661+25298\n"
		"pool00 24028+396/64\nlayer 2048\nvar 20068\n");
	assert_ok(plan(text, &inv, &l, &e), e);
	assert_false(l.disks[0].new_table);
	assert_int_equal(l.disks[0].remove_count, 1);
	assert_int_equal(l.disks[0].remove[0], 2);
	assert_int_equal(l.erase_count, 1);
	assert_string_equal(l.erase[0].device, "/dev/sda2");
	assert_string_equal(l.erase[0].what, "ext4 'old', 10.0 GiB");
	layout_fini(&l);
	/* By name. */
	assert_ok(
		plan("clearpart --list=/dev/sda2,sda1\nautopart --profile=minimal\n", &inv, &l, &e),
		e);
	assert_int_equal(l.disks[0].remove_count, 2);
}

/* Of a list the disk is not said twice. */
static void test_listed_elsewhere(UNUSED void **state)
{
	autoinventory inv = {0};
	autolayout l = {0};
	struct err e = {0};

	scene_disk(&inv, "sda", 40 * GIB);
	scene_disk(&inv, "sdb", 40 * GIB);
	scene_part(&inv, "ext4", NULL, GIB);
	scene_part(&inv, "ntfs", NULL, GIB);
	assert_ok(plan("zerombr\nclearpart --drives=sda --list=sdb1\nautopart --profile=minimal\n",
			  &inv, &l, &e),
		e);
	assert_true(l.disks[0].new_table);
	assert_false(l.disks[1].new_table);
	assert_int_equal(l.disks[1].remove_count, 1);
	assert_int_equal(l.disks[1].remove[0], 1);
}

/* A group that goes with its disks is removed, with its volumes. */
static void test_old_group(UNUSED void **state)
{
	autoinventory inv = {0};
	autolayout l = {0};
	struct err e = {0};

	scene_disk(&inv, "vda", 64 * GIB);
	scene_part(&inv, "ext4", NULL, GIB);
	scene_part(&inv, "LVM2_member", NULL, 20 * GIB);
	scene_vg(&inv, "bedplate", "/dev/vda2", NULL, 20 * GIB);
	scene_lv(&inv, "var", NULL, GIB);
	assert_ok(plan(AUTO, &inv, &l, &e), e);
	assert_int_equal(l.remove_vgs.count, 1);
	assert_string_equal(l.remove_vgs.items[0], "bedplate");
	assert_int_equal(l.erase_count, 4);
	assert_string_equal(l.erase[1].what, "ext4, 1.0 GiB");
	assert_string_equal(l.erase[2].what, "LVM physical volume, 20.0 GiB");
	assert_string_equal(l.erase[3].device, "/dev/bedplate/var");
	assert_string_equal(l.erase[3].what, "logical volume, 1.0 GiB");
}

/* ---- refusals ---- */

static void test_refused_disks(UNUSED void **state)
{
	autoinventory none = {0};
	autoinventory inv = {0};
	autoinventory one = {0};

	expect_refusal(AUTO, &none, ENODEV, "there is no disk in this machine");
	scene_disk(&inv, "vda", 64 * GIB);
	scene_disk(&inv, "vdb", 64 * GIB);
	expect_refusal(AUTO, &inv, EINVAL,
		"which disk is meant? there are /dev/vda (64.0 GiB, QEMU), /dev/vdb (64.0 GiB, "
		"QEMU): name those to use with ignoredisk --only-use=");
	expect_refusal("ignoredisk --only-use=vdx\n" AUTO, &inv, ENODEV,
		"t.ks:1: ignoredisk: there is no disk 'vdx'; there are: /dev/vda (64.0 GiB, QEMU), "
		"/dev/vdb (64.0 GiB, QEMU)");
	expect_refusal("ignoredisk --only-use=vda,disk/by-id/virtio-vda\n" AUTO, &inv, EINVAL,
		"t.ks:1: ignoredisk: --only-use names the disk /dev/vda twice");
	expect_refusal("ignoredisk --only-use=vda\nclearpart --all --drives=vdb\nautopart\n", &inv,
		EINVAL,
		"t.ks:1: ignoredisk: it keeps /dev/vdb from being used, but another line names "
		"that disk");
	expect_refusal("ignoredisk --only-use=vda\nbootloader --boot-drive=vdb\n" AUTO, &inv,
		EINVAL,
		"t.ks:1: ignoredisk: it keeps /dev/vdb from being used, but another line names "
		"that disk");
	expect_refusal("clearpart --list=vdb1\nautopart\n", &inv, ENODEV,
		"t.ks:1: clearpart: there is no partition 'vdb1'");
	scene_disk(&one, "vda", 64 * GIB);
	one.disks[0].removable = true;
	expect_refusal(AUTO, &one, ENODEV,
		"there is no disk to install on: those that are there are removable, read-only, "
		"ignored or the one this system was started from");
	one.disks[0].live_medium = true;
	expect_refusal("ignoredisk --only-use=vda\n" AUTO, &one, EBUSY,
		"/dev/vda is what this system was started from");
	one.disks[0].live_medium = one.disks[0].removable = false;
	one.disks[0].read_only = true;
	expect_refusal("ignoredisk --only-use=vda\n" AUTO, &one, EBUSY, "/dev/vda is read-only");
	one.disks[0].read_only = false;
	one.disks[0].in_use = xstrdup("/dev/vda1 is mounted on /srv");
	expect_refusal(AUTO, &one, EBUSY, "/dev/vda is in use: /dev/vda1 is mounted on /srv");
}

/* The one disk that nothing excludes is taken. */
static void test_only_candidate(UNUSED void **state)
{
	autoinventory inv = {0};
	autolayout l = {0};
	struct err e = {0};

	scene_disk(&inv, "sda", 4 * GIB)->live_medium = true;
	scene_disk(&inv, "sdb", 64 * GIB)->removable = true;
	scene_disk(&inv, "sdc", 64 * GIB);
	scene_disk(&inv, "sdd", 64 * GIB);
	assert_ok(plan("ignoredisk --drives=sdd\n" AUTO, &inv, &l, &e), e);
	assert_int_equal(l.disk_count, 1);
	assert_string_equal(l.disks[0].path, "/dev/sdc");
	layout_fini(&l);
	/* One that is named may be removable: nodes do live on such. */
	assert_ok(plan("ignoredisk --only-use=sdb\n" AUTO, &inv, &l, &e), e);
	assert_string_equal(l.disks[0].path, "/dev/sdb");
}

static void test_refused_contents(UNUSED void **state)
{
	autoinventory inv = {0};
	autoinventory blank = {0};

	scene_disk(&blank, "vda", 64 * GIB);
	expect_refusal("clearpart --all\nautopart\n", &blank, EBUSY,
		"/dev/vda has no partition table, what is on it is unknown: zerombr lets it be "
		"used");
	blank.disks[0].whole.fstype = xstrdup("LVM2_member");
	expect_refusal("zerombr\nautopart\n", &blank, EBUSY,
		"/dev/vda: LVM physical volume, 64.0 GiB is on the whole disk and not covered by "
		"clearpart");
	blank.disks[0].whole.storage_domain = true;
	expect_refusal(AUTO, &blank, EBUSY, "/dev/vda has a storage domain");

	scene_disk(&inv, "vda", 64 * GIB);
	scene_part(&inv, "ext4", "data", 60 * GIB);
	expect_refusal("zerombr\nautopart\n", &inv, EBUSY,
		"/dev/vda has too little free space: needs 59.5 GiB, has 4.0 GiB, 55.5 GiB more; "
		"clearpart does not cover what else is on it");
	inv.disks[0].parts[0].storage_domain = true;
	expect_refusal("zerombr\nautopart\n", &inv, EBUSY,
		"/dev/vda: /dev/vda1 is a storage domain and not covered by clearpart: let it be "
		"erased, or use another disk");
	expect_refusal(AUTO, &inv, EBUSY, "/dev/vda1 has a storage domain");
	inv.disks[0].parts[0].storage_domain = false;
	inv.disks[0].parts[0].unsearched = xstrdup("ext4: damaged");
	expect_refusal(AUTO, &inv, EBUSY,
		"/dev/vda1 was not searched for a storage domain: ext4: damaged; if nothing on it "
		"is needed: wipefs --all /dev/vda1");
	free(take_ptr(inv.disks[0].parts[0].unsearched));
	free(inv.disks[0].table);
	inv.disks[0].table = xstrdup("dos");
	expect_refusal("zerombr\nclearpart --none\nautopart\n", &inv, EBUSY,
		"/dev/vda: its partition table is not a GPT, and /dev/vda1 (ext4 'data', 60.0 GiB) "
		"is not covered by clearpart");
}

/* Also where there would be room beside it. */
static void test_kept_group_is_refused(UNUSED void **state)
{
	autoinventory inv = {0};

	scene_disk(&inv, "vda", 128 * GIB);
	scene_part(&inv, "ntfs", NULL, GIB);
	scene_part(&inv, "LVM2_member", NULL, GIB);
	expect_refusal("clearpart --list=vda1\nautopart\n", &inv, EBUSY,
		"/dev/vda: /dev/vda2 is an LVM physical volume and not covered by clearpart: let it "
		"be erased, or use another disk");
}

static void test_refused_groups(UNUSED void **state)
{
	autoinventory inv = {0};

	scene_disk(&inv, "vda", 64 * GIB);
	scene_part(&inv, "LVM2_member", NULL, 20 * GIB);
	scene_disk(&inv, "vdb", 64 * GIB);
	scene_part(&inv, "LVM2_member", NULL, 20 * GIB);
	struct inv_vg *vg = scene_vg(&inv, "data", "/dev/vda1", "/dev/vdb1", 40 * GIB);
	const char *first = "ignoredisk --only-use=vda\n" AUTO;

	expect_refusal(first, &inv, EBUSY,
		"/dev/vda1 belongs to volume group 'data', which is on /dev/vdb1 too, and that is "
		"not to be erased");
	vg->storage_domain = true;
	expect_refusal("ignoredisk --only-use=vda,vdb\n" AUTO, &inv, EBUSY,
		"/dev/vdb1 belongs to volume group 'data', which is or has a storage domain");
	vg->storage_domain = false;
	free(vg->pvs.items[1]);
	vg->pvs.items[1] = xstrdup("[unknown]");
	expect_refusal(first, &inv, EBUSY,
		"/dev/vda1 belongs to volume group 'data', of which a disk is missing");
	free(vg->pvs.items[0]);
	vg->pvs.items[0] = xstrdup("/dev/vdb1");
	strv_add(&vg->tags, LVM_TAG_VG);
	expect_refusal(first, &inv, EBUSY,
		"there is a node on /dev/vdb1 already (volume group 'data'): reinstall or "
		"uninstall it, or let clearpart erase it");
	free(vg->name);
	vg->name = xstrdup("bedplate");
	expect_refusal(first, &inv, EBUSY,
		"there is another volume group 'bedplate' on /dev/vdb1: rename it, or let "
		"clearpart erase it");
	free(vg->pvs.items[1]);
	vg->pvs.items[1] = xstrdup("/dev/vda1");
	struct inv_lv *lv = scene_lv(&inv, "x", NULL, GIB);
	lv->in_use = xstrdup("mounted on /x");
	expect_refusal("ignoredisk --only-use=vda,vdb\n" AUTO, &inv, EBUSY,
		"/dev/bedplate/x is in use: mounted on /x");
	free(take_ptr(lv->in_use));
	lv->unsearched = xstrdup("it is not active");
	lv->idle = true;
	expect_refusal("ignoredisk --only-use=vda,vdb\n" AUTO, &inv, EBUSY,
		"/dev/bedplate/x was not searched for a storage domain: it is not active; if "
		"nothing of volume group 'bedplate' is needed: wipefs --all /dev/vdb1 /dev/vda1");
	lv->idle = false;
	free(take_ptr(lv->unsearched));
	lv->unsearched = xstrdup("ext4: damaged");
	expect_refusal("ignoredisk --only-use=vda,vdb\n" AUTO, &inv, EBUSY,
		"/dev/bedplate/x was not searched for a storage domain: ext4: damaged; if nothing on "
		"it is needed: wipefs --all /dev/bedplate/x");
}

/* In a group with a name that LVM does not make nothing is activated, so what is idle there stays unknown. */
static void test_group_that_is_not_searched(UNUSED void **state)
{
	autoinventory inv = {0};
	autoptr(ks_doc) doc = NULL;
	autolayout l = {0};
	struct err e = {0};

	scene_disk(&inv, "vda", 64 * GIB);
	scene_part(&inv, "LVM2_member", NULL, 20 * GIB);
	scene_vg(&inv, "san", "/dev/vda1", NULL, 20 * GIB);
	struct inv_lv *lv = scene_lv(&inv, "domain", NULL, GIB);
	lv->unsearched = xstrdup("it is not active");
	lv->idle = true;
	scene_lv(&inv, "data_rimage_1", NULL, GIB);
	assert_ok(ks_parse_text("t.ks", AUTO, strlen(AUTO), NULL, &doc, &e), e);
	assert_int_equal(layout_plan_here(doc, &inv, &usual, &l, &e), -EBUSY);
	assert_string_equal(e.msg,
		"/dev/san/domain was not searched for a storage domain: it is not active; if "
		"nothing of volume group 'san' is needed: wipefs --all /dev/vda1");
	assert_int_equal(l.disk_count, 0);
}

/* LVM shows one of two paths to a disk only, so the other one is in no group. */
static void test_second_path_is_refused(UNUSED void **state)
{
	autoinventory inv = {0};

	scene_disk(&inv, "sda", 64 * GIB);
	scene_part(&inv, "LVM2_member", NULL, 20 * GIB);
	scene_disk(&inv, "sdb", 64 * GIB);
	scene_part(&inv, "LVM2_member", NULL, 20 * GIB);
	inv.disks[0].parts[0].uuid = xstrdup("one");
	inv.disks[1].parts[0].uuid = xstrdup("one");
	scene_vg(&inv, "domain", "/dev/sda1", NULL, 20 * GIB)->storage_domain = true;
	expect_refusal("ignoredisk --only-use=sdb\n" AUTO, &inv, EBUSY,
		"/dev/sdb1 and /dev/sda1 have the same LVM physical volume: they are one disk, or a "
		"disk and its copy; if nothing on them is needed: wipefs --all /dev/sdb1");
}

static void test_mixed_sectors(UNUSED void **state)
{
	autoinventory inv = {0};
	autolayout l = {0};
	struct err e = {0};

	scene_disk(&inv, "vda", 64 * GIB);
	scene_disk(&inv, "vdb", 64 * GIB)->sector_bytes = 4096;
	expect_refusal("ignoredisk --only-use=vda,vdb\n" AUTO, &inv, EINVAL,
		"/dev/vda has sectors of 512 bytes and /dev/vdb of 4096, which LVM does not take "
		"into one volume group: leave one of them out");
	/* Only what is in the group counts. */
	assert_ok(plan("ignoredisk --only-use=vda,vdb\n" CLEAR
		       "part /srv --size=100 --ondisk=vdb\npart /boot --size=1000 --ondisk=vda\n"
		       "part pv.01 --size=1 --grow --ondisk=vda\n" GROUP POOL ROOT VAR,
			  &inv, &l, &e),
		e);
}

static void test_too_small(UNUSED void **state)
{
	autoinventory inv = {0};

	scene_disk(&inv, "vda", 20 * GIB);
	expect_refusal(AUTO, &inv, ENOSPC,
		"/dev/vda is too small: needs 59.5 GiB, has 20.0 GiB, 39.5 GiB more (autopart "
		"--profile=minimal needs less)");
	inv.disks[0].size_bytes = 6 * GIB;
	expect_refusal(SMALL, &inv, ENOSPC,
		"/dev/vda is too small: needs 7.7 GiB, has 6.0 GiB, 1.7 GiB more");
	inv.disks[0].size_bytes = MIB;
	expect_refusal(LINES, &inv, ENOSPC,
		"/dev/vda is too small: needs 2.0 MiB, has 1.0 MiB, 1.0 MiB more");
	inv.disks[0].size_bytes = 5 * GIB;
	expect_refusal(LINES, &inv, ENOSPC,
		"thin pool 'pool' is too small: with 2.7 GiB for the base and layer of the next "
		"upgrade it needs 6.4 GiB, has 3.4 GiB, 3.0 GiB more");
	expect_refusal(CLEAR PARTS GROUP
		"logvol none --thinpool --name=pool --vgname=vg --size=9000\n" ROOT VAR,
		&inv, ENOSPC,
		"volume group 'vg' is too small: thin pool and metadata: it needs 8.9 GiB, has 3.5 "
		"GiB, 5.4 GiB more");
	inv.disks[0].size_bytes = 64 * GIB;
	expect_refusal(CLEAR
		"part /boot --size=100\npart pv.01 --size=1 --grow\n" GROUP POOL ROOT VAR,
		&inv, ENOSPC,
		"/dev/vda3 (/boot) is too small: needs 205.0 MiB, has 100.0 MiB, 105.0 MiB more");
	inv.disks[0].sector_bytes = 4096;
	expect_refusal(CLEAR
		"part /boot/efi --size=100\npart pv.01 --size=1 --grow\n" GROUP POOL ROOT VAR,
		&inv, ENOSPC,
		"/dev/vda2 (/boot/efi) is too small: needs 258.0 MiB, has 100.0 MiB, 158.0 MiB "
		"more");
}

/* Lines that cannot be carried out; each is blamed with its place. */
static void test_refused_lines(UNUSED void **state)
{
	static const struct {
		const char *text, *want;
	} cases[] = {
		{"autopart --type=lvm\n",
			"t.ks:1: autopart: --type=lvm is not supported: a node's volumes are thin, "
			"use --type=thinp"},
		{"autopart --type=plain\n",
			"t.ks:1: autopart: --type=plain is not supported: a node's volumes are "
			"thin, use --type=thinp"},
		{"autopart --encrypted --passphrase=x\n",
			"t.ks:1: autopart: --encrypted is not supported by this installer"},
		{"autopart --noboot\n",
			"t.ks:1: autopart: --noboot is not supported by this installer"},
		{"autopart --fstype=vfat\n",
			"t.ks:1: autopart: --fstype=vfat is not supported: use ext4 or xfs"},
		{"zerombr\n",
			"the kickstart has no volume group: use autopart --type=thinp, or part "
			"pv.01, volgroup and logvol"},
		{"raid / --device=md0 --level=1 raid.01 raid.02\n",
			"t.ks:1: raid: it is not supported by this installer: use autopart "
			"--type=thinp"},
		{"mount /dev/vda1 /\n",
			"t.ks:1: mount: it is not supported by this installer: use autopart "
			"--type=thinp"},
		{"part /data --onpart=vda1\n",
			"t.ks:1: part: --onpart is not supported by this installer"},
		{"part /data --size=1 --noformat\n",
			"t.ks:1: part: --noformat is not supported by this installer"},
		{"part /data --size=1 --encrypted\n",
			"t.ks:1: part: --encrypted is not supported by this installer"},
		{"part / --size=1000\n",
			"t.ks:1: part: / of a node is a thin volume: logvol / --thin "
			"--poolname=POOL"},
		{"part /var --size=1000\n",
			"t.ks:1: part: /var of a node is a thin volume: logvol /var --thin "
			"--poolname=POOL"},
		{"part raid.01 --size=1000\n",
			"t.ks:1: part: 'raid.01' is not a mount point: '/' and then letters, "
			"digits and '/_.+-', at most 200"},
		{"part '/a b' --size=1000\n",
			"t.ks:1: part: '/a b' is not a mount point: '/' and then letters, digits "
			"and '/_.+-', at most 200"},
		{"part /usr --size=1000\n", "t.ks:1: part: /usr is part of the image"},
		{"part /data\n", "t.ks:1: part: no size: add --size, --grow or --recommended"},
		{"part /data --size=0\n",
			"t.ks:1: part: --size must be between 1 and 1099511627776"},
		{"part /data --size=-5\n",
			"t.ks:1: part: --size must be between 1 and 1099511627776"},
		{"part /data --size=9999999999999999999999\n",
			"t.ks:1: part: --size must be between 1 and 1099511627776"},
		{"part /data --size=10 --maxsize=5\n",
			"t.ks:1: part: --maxsize is less than --size"},
		{"part /data --size=10 --fstype=zfs\n",
			"t.ks:1: part: --fstype=zfs is not supported for /data: use ext4"},
		{"part /boot --size=1000 --fstype=xfs\n",
			"t.ks:1: part: --fstype=xfs is not supported for /boot: use ext4"},
		{"part /data --size=10 --fsoptions='a b'\n",
			"t.ks:1: part: --fsoptions has a character that fstab does not allow"},
		{"part pv.1 --size=10\npart pv.2 --size=10\nvolgroup vg pv.1\n",
			"t.ks:2: part: no volgroup has 'pv.2'"},
		{"part pv.1 --size=10\nvolgroup vg pv.1 pv.3\n",
			"t.ks:2: volgroup: there is no part 'pv.3'"},
		{"part pv.1 --size=10\nvolgroup vg --useexisting\n",
			"t.ks:2: volgroup: --useexisting is not supported by this installer"},
		{"part pv.1 --size=10\nvolgroup vg pv.1 --pesize=100\n",
			"t.ks:2: volgroup: --pesize must be a power of two between 128 and "
			"1048576"},
		{"part pv.1 --size=10\nvolgroup vg pv.1\n",
			"t.ks:2: volgroup: it has no thin pool: add logvol none --thinpool "
			"--name=pool00 --vgname=vg --size=MIB --grow"},
		{PARTS GROUP "volgroup two pv.01\n" POOL ROOT VAR,
			"t.ks:6: volgroup: a node has one volume group, and that is 'vg'"},
		{PARTS GROUP POOL ROOT,
			"t.ks:5: volgroup: a node needs a thin volume for /var: add logvol /var "
			"--thin"},
		{PARTS GROUP POOL VAR,
			"t.ks:5: volgroup: a node needs a thin volume for /: add logvol / --thin"},
		{PARTS GROUP "logvol / --vgname=vg --name=r --size=100\n",
			"t.ks:6: logvol: a node's volumes are thin: add --thin --poolname=POOL"},
		{PARTS GROUP POOL "logvol / --thin --poolname=p --vgname=vg --name=r --size=9\n",
			"t.ks:7: logvol: there is no thin pool 'p'"},
		{PARTS GROUP "logvol / --thin --poolname=p --vgname=v --name=r --size=9\n",
			"t.ks:6: logvol: there is no volgroup 'v'"},
		{PARTS GROUP POOL
			"logvol /boot --thin --poolname=pool --vgname=vg --name=b --size=9\n",
			"t.ks:7: logvol: /boot must be a partition: part /boot"},
		{PARTS GROUP POOL ROOT VAR
			"logvol /srv --thin --poolname=pool --vgname=vg --name=s --size=100 "
			"--fstype=xfs\n",
			"t.ks:9: logvol: /srv needs at least 300 MiB for xfs"},
		{PARTS GROUP POOL ROOT VAR
			"logvol /srv --thin --poolname=pool --vgname=vg --name=s --size=100 "
			"--fsoptions=nodiscard\n",
			"t.ks:9: logvol: --fsoptions=nodiscard is not supported: the thin pool "
			"would fill up"},
		{PARTS GROUP POOL ROOT VAR
			"logvol /srv --thin --poolname=pool --vgname=vg --name=var --size=100\n",
			"two volumes would have the name 'var'"},
		{PARTS GROUP POOL ROOT VAR
			"logvol /srv --thin --poolname=pool --vgname=vg --name=a_tmeta --size=100\n",
			"'a_tmeta' cannot be the name of a volume: lvm takes letters, digits and "
			"'+_.-', not a dash first, and keeps some words for itself"},
		{PARTS GROUP
			"logvol none --thinpool --name=pool --vgname=vg --size=100 --chunksize=65\n",
			"t.ks:6: logvol: --chunksize must be a multiple of 64, up to 1048576"},
		{"bootloader --location=none\nautopart\n",
			"t.ks:1: bootloader: a node needs its boot loader on the disk: leave out "
			"--location=none and --disabled"},
		{"clearpart --all --disklabel=mbr\nautopart\n",
			"t.ks:1: clearpart: --disklabel=mbr is not supported: use gpt"},
	};
	autoinventory inv = {0};

	scene_disk(&inv, "vda", 64 * GIB);
	inv.disks[0].table = xstrdup("gpt");
	for (size_t i = 0; i < ARRAY_LEN(cases); i++)
		expect_refusal(cases[i].text, &inv, EINVAL, cases[i].want);
}

static void test_names(UNUSED void **state)
{
	static const struct {
		const char *name, *version, *want;
	} cases[] = {
		{"node", "1~rc1",
			"'node-1~rc1' cannot be the name of a volume: lvm takes letters, digits and "
			"'+_.-', not a dash first, and keeps some words for itself"},
		{"snapshot", "1",
			"'snapshot-1' cannot be the name of a volume: lvm takes letters, digits and "
			"'+_.-', not a dash first, and keeps some words for itself"},
		{"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
			"22222222222222222222222222222222222222222",
			"'bedplate/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa-"
			"22222222222222222222222222222222222222222+99999' is too long for lvm by 1"},
	};
	autoinventory inv = {0};

	scene_disk(&inv, "vda", 64 * GIB);
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct layout_params params = usual;
		autolayout l = {0};
		struct err e = {0};

		params.name = cases[i].name;
		params.version = cases[i].version;
		assert_fails(plan_with(AUTO, &inv, &params, &l, &e), EINVAL, e, cases[i].want);
	}
}

/* ---- reinstall ---- */

static void add_node(struct inventory *inv)
{
	scene_disk(inv, "vda", 64 * GIB);
	scene_part(inv, NULL, NULL, MIB);
	scene_part(inv, "vfat", NULL, 512 * MIB);
	scene_part(inv, "ext4", NULL, GIB);
	scene_part(inv, "LVM2_member", NULL, 62 * GIB);
	struct inv_vg *vg = scene_vg(inv, "mine", "/dev/vda4", NULL, 62 * GIB - 4 * MIB);
	vg->free_bytes = 10 * GIB;
	strv_add(&vg->tags, LVM_TAG_VG);
	strv_add(&vg->tags, LVM_TAG_BIOS "00000001-0000-4000-8000-000000000001");
	strv_add(&vg->tags, LVM_TAG_EFI "00000001-0000-4000-8000-000000000002");
	strv_add(&vg->tags, LVM_TAG_BOOT "00000001-0000-4000-8000-000000000003");
	scene_lv(inv, "pool00", LVM_TAG_POOL, 49 * GIB)->metadata_bytes = GIB;
	scene_lv(inv, "old-1", LVM_TAG_BASE, GIB)->pool = xstrdup("pool00");
	scene_lv(inv, "old-1+1", LVM_TAG_LAYER, 4 * GIB)->pool = xstrdup("pool00");
	scene_lv(inv, "var", LVM_TAG_VOLUME, 5 * GIB)->pool = xstrdup("pool00");
	scene_lv(inv, "vms", NULL, GIB);
}

static void test_reinstall(UNUSED void **state)
{
	struct layout_params params = usual;
	autoinventory inv = {0};
	autolayout l = {0};
	struct err e = {0};

	add_node(&inv);
	params.reinstall = true;
	assert_ok(plan_with("autopart\n", &inv, &params, &l, &e), e);
	assert_string_equal(l.vg, "mine");
	assert_false(l.vg_is_new);
	assert_int_equal(l.disk_count, 1);
	assert_false(l.disks[0].new_table);
	assert_int_equal(l.disks[0].remove_count, 0);
	assert_int_equal(l.part_count, 4);
	for (size_t i = 0; i < 4; i++) {
		assert_true(l.parts[i].keep);
		assert_int_equal(l.parts[i].role, i);
	}
	assert_string_equal(l.parts[2].mount, "/boot");
	/* 10 free + 49 + 2 of metadata: 80 % of 61, in extents */
	assert_int_equal(l.pool_bytes, 61 * GIB / 100 * 80 / (4 * MIB) * (4 * MIB));
	check_pool(&l, 61 * GIB, 0);
	assert_int_equal(l.remove_vgs.count, 0);
	assert_int_equal(l.remove_lvs.count, 4);
	assert_string_equal(l.remove_lvs.items[0], "mine/pool00");
	assert_string_equal(l.remove_lvs.items[3], "mine/var");
	assert_int_equal(l.erase_count, 4);
}

static void test_reinstall_says_what_it_ignores(UNUSED void **state)
{
	struct layout_params params = usual;
	autoinventory inv = {0};
	autolayout l = {0};
	autofree char *said = NULL;
	size_t len = 0;
	struct err e = {0};
	FILE *log = open_memstream(&said, &len);

	add_node(&inv);
	params.reinstall = true;
	log_add_copy(log, LOG_LEVEL_NORMAL);
	assert_ok(plan_with("clearpart --all\nzerombr\nbootloader --boot-drive=vdb\nautopart\n",
			  &inv, &params, &l, &e),
		e);
	log_drop_copy(log);
	fclose(log);
	assert_non_null(strstr(said,
		"a reinstall keeps the node's disks and partitions, ignored: "
		"clearpart, zerombr, bootloader --boot-drive\n"));
}

static void test_reinstall_after_cut_off_upgrade(UNUSED void **state)
{
	struct layout_params params = usual;
	autoinventory inv = {0};
	autolayout l = {0};
	struct err e = {0};

	add_node(&inv);
	scene_lv(&inv, "old-2", LVM_TAG_NEW, GIB)->pool = xstrdup("pool00");
	params.reinstall = true;
	assert_ok(plan_with("autopart\n", &inv, &params, &l, &e), e);
	assert_true(strv_has(&l.remove_lvs, "mine/old-2"));
	assert_false(strv_has(&l.remove_lvs, "mine/vms"));
}

/* What else the node had keeps its content and comes back into fstab. */
static void test_reinstall_data(UNUSED void **state)
{
	struct layout_params params = usual;
	autoinventory inv = {0};
	autolayout l = {0};
	struct err e = {0};

	add_node(&inv);
	scene_part(&inv, "xfs", NULL, 100 * MIB)->partlabel = xstrdup("bedplate-srv_data");
	scene_part(&inv, "ext4", NULL, 100 * MIB)->partlabel = xstrdup("other");
	params.reinstall = true;
	assert_ok(plan_with(PARTS "part /srv/data --fstype=xfs --size=9 --fsoptions=noatime\n"
				  "part /more --size=9\n" GROUP POOL ROOT VAR,
			  &inv, &params, &l, &e),
		e);
	assert_int_equal(l.part_count, 5);
	assert_true(l.parts[4].keep);
	assert_string_equal(l.parts[4].path, "/dev/vda5");
	assert_string_equal(l.parts[4].mount, "/srv/data");
	assert_string_equal(l.parts[4].fsoptions, "noatime");
}

static int reinstall(const struct inventory *inv, struct err *e)
{
	struct layout_params params = usual;
	autolayout l = {0};

	params.reinstall = true;
	return plan_with("autopart\n", inv, &params, &l, e);
}

static void test_reinstall_refused(UNUSED void **state)
{
	autoinventory none = {0};
	autoinventory inv = {0};
	struct err e = {0};

	assert_fails(
		reinstall(&none, &e), ENOENT, e, "there is no node here to be installed again");
	add_node(&inv);
	struct inv_vg *vg = &inv.vgs[0];
	vg->lvs[3].in_use = xstrdup("mounted on /var");
	assert_fails(reinstall(&inv, &e), EBUSY, e, "/dev/mine/var is in use: mounted on /var");
	free(take_ptr(vg->lvs[3].in_use));
	vg->lvs[3].storage_domain = true;
	assert_fails(reinstall(&inv, &e), EBUSY, e, "/dev/mine/var has a storage domain");
	vg->lvs[3].storage_domain = false;
	vg->lvs[4].pool = xstrdup("pool00");
	assert_fails(reinstall(&inv, &e), EBUSY, e,
		"/dev/mine/vms is not of the node but in its thin pool, which is made anew: move it "
		"away first");
	free(take_ptr(vg->lvs[4].pool));
	free(vg->lvs[4].name);
	vg->lvs[4].name = xstrdup("var_log");
	assert_fails(reinstall(&inv, &e), EBUSY, e,
		"there is a volume 'mine/var_log' that is not of the node");
	free(inv.disks[0].parts[2].partuuid);
	inv.disks[0].parts[2].partuuid = xstrdup("other");
	assert_fails(reinstall(&inv, &e), EBUSY, e,
		"the /boot partition of the node in volume group 'mine' is missing: install anew");
	strv_add(&scene_vg(&inv, "two", "/dev/vdb1", NULL, GIB)->tags, LVM_TAG_VG);
	assert_fails(reinstall(&inv, &e), EBUSY, e,
		"there is more than one node here: volume groups 'mine' and 'two'");
}

/* ---- what people and programs see ---- */

static void test_text(UNUSED void **state)
{
	autoinventory inv = {0};
	autolayout l = {0};
	struct err e = {0};

	scene_disk(&inv, "vda", 8 * GIB);
	scene_part(&inv, "ext4", "a\033b", GIB);
	assert_ok(plan(SMALL, &inv, &l, &e), e);
	autofree char *text = layout_text(&l);
	assert_string_equal(text,
		"THIS IS ERASED:\n"
		"  /dev/vda                     the whole disk, 8.0 GiB, QEMU\n"
		"  /dev/vda1                    ext4 'a\\x1bb', 1.0 GiB\n"
		"\n"
		"/dev/vda, 8.0 GiB, new partition table, boot drive:\n"
		"  /dev/vda1                       1.0 MiB  BIOS boot\n"
		"  /dev/vda2                     512.0 MiB  EFI system, vfat on /boot/efi\n"
		"  /dev/vda3                       1.0 GiB  boot, ext4 on /boot\n"
		"  /dev/vda4                       6.5 GiB  LVM\n"
		"\n"
		"volume group bedplate, new:\n"
		"  pool00                          6.2 GiB  thin pool, 104.0 MiB of metadata, "
		"chunks of 64 KiB\n"
		"  base                          700.0 MiB  the image, read-only\n"
		"  layer                           2.0 GiB  ext4 on /\n"
		"  var                             2.3 GiB  ext4 on /var\n");
}

static void test_json(UNUSED void **state)
{
	autoinventory inv = {0};
	autolayout l = {0};
	struct err e = {0};

	scene_disk(&inv, "vda", 8 * GIB);
	assert_ok(plan(SMALL, &inv, &l, &e), e);
	json_t *j = layout_json(&l);
	assert_non_null(j);
	json_t *parts = json_object_get(j, "partitions");
	json_t *pool = json_object_get(j, "pool");
	assert_int_equal(json_array_size(parts), 4);
	assert_string_equal(
		json_string_value(json_object_get(json_array_get(parts, 3), "role")), "pv");
	assert_true(json_is_null(json_object_get(json_array_get(parts, 3), "mount")));
	assert_int_equal(json_integer_value(json_object_get(pool, "size")), l.pool_bytes);
	assert_int_equal(json_integer_value(json_object_get(j, "base_size")), 700 * MIB);
	assert_int_equal(json_array_size(json_object_get(j, "volumes")), 2);
	assert_int_equal(json_object_size(j), 9);
	json_decref(j);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_auto),
		cmocka_unit_test(test_auto_options),
		cmocka_unit_test(test_reqpart),
		cmocka_unit_test(test_minimal),
		cmocka_unit_test(test_geometry),
		cmocka_unit_test(test_two_disks),
		cmocka_unit_test(test_lines),
		cmocka_unit_test(test_growing),
		cmocka_unit_test(test_part_on_disk),
		cmocka_unit_test(test_kept),
		cmocka_unit_test(test_listed_elsewhere),
		cmocka_unit_test(test_old_group),
		cmocka_unit_test(test_refused_disks),
		cmocka_unit_test(test_only_candidate),
		cmocka_unit_test(test_refused_contents),
		cmocka_unit_test(test_kept_group_is_refused),
		cmocka_unit_test(test_refused_groups),
		cmocka_unit_test(test_group_that_is_not_searched),
		cmocka_unit_test(test_second_path_is_refused),
		cmocka_unit_test(test_mixed_sectors),
		cmocka_unit_test(test_too_small),
		cmocka_unit_test(test_refused_lines),
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_reinstall),
		cmocka_unit_test(test_reinstall_says_what_it_ignores),
		cmocka_unit_test(test_reinstall_after_cut_off_upgrade),
		cmocka_unit_test(test_reinstall_data),
		cmocka_unit_test(test_reinstall_refused),
		cmocka_unit_test(test_text),
		cmocka_unit_test(test_json),
	};

	log_set_level(LOG_LEVEL_QUIET);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
