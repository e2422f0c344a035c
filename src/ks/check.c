/* SPDX-License-Identifier: Apache-2.0 */
#include "ks/check.h"

#include <errno.h>
#include <strings.h>

#include "base/version.h"
#include "base/xalloc.h"
#include "ks/text.h"

#define VLAN_ID_MAX 4095

static int refuse(struct err *e, const char *text)
{
	return err_set(e, EINVAL, "%s", text);
}

static bool has_text(const struct ks_cmd *c, const char *option)
{
	return ks_text(c, option)[0] != '\0';
}

static const char *first_arg(const struct ks_cmd *c)
{
	return c->args.count > 0 ? c->args.items[0] : "";
}

/* How many of the options (names, then NULL) have a value. */
static unsigned count_used(const struct ks_cmd *c, const char *const *options)
{
	unsigned count = 0;

	for (; *options; options++)
		count += ks_flag(c, *options);
	return count;
}

static int check_pbkdf(const struct ks_cmd *c, struct err *e)
{
	if (ks_number(c, "pbkdf-time") && ks_number(c, "pbkdf-iterations"))
		return refuse(e, "--pbkdf-time and --pbkdf-iterations exclude each other");
	return 0;
}

static int check_mkfsoptions(const struct ks_cmd *c, struct err *e)
{
	if (!has_text(c, "mkfsoptions"))
		return 0;
	if (ks_flag(c, "noformat"))
		return refuse(e, "--mkfsoptions has no effect with --noformat");
	if (has_text(c, "fsprofile"))
		return refuse(e, "--mkfsoptions and --fsprofile exclude each other");
	return 0;
}

/* What part, logvol and raid have in common. */
static int check_device(const struct ks_cmd *c, struct err *e)
{
	int r = check_mkfsoptions(c, e);

	if (r == 0)
		r = check_pbkdf(c, e);
	if (r == 0 && str_eq(ks_text(c, "fstype"), "btrfs"))
		r = refuse(e, "the btrfs file system is not supported");
	return r;
}

int ks_check_autopart(struct ks_entry *en, struct err *e)
{
	const struct ks_cmd *c = en->merged;

	if (str_eq(ks_text(c, "fstype"), "btrfs"))
		return refuse(e, "--fstype=btrfs is not a file system for autopart");
	if (str_eq(ks_text(c, "type"), "btrfs"))
		return refuse(e, "--type=btrfs is not supported");
	if (ks_flag(c, "noswap") && ks_flag(c, "hibernation"))
		return refuse(e, "--noswap and --hibernation exclude each other");
	return check_pbkdf(c, e);
}

int ks_check_bootc(struct ks_entry *en, UNUSED struct err *e)
{
	if (!has_text(en->merged, "target-imgref"))
		ks_set_text(en->merged, "target-imgref", ks_text(en->merged, "source-imgref"));
	return 0;
}

int ks_check_bootloader(struct ks_entry *en, struct err *e)
{
	struct ks_cmd *c = en->merged;

	if (has_text(en->own, "md5pass")) {
		ks_set_text(c, "password", ks_text(en->own, "md5pass"));
		ks_set_flag(c, "iscrypted", true);
	}
	if (strchr(ks_text(c, "boot-drive"), ','))
		return refuse(e, "--boot-drive takes one drive only");
	if (ks_flag(c, "sdboot") && ks_flag(c, "extlinux"))
		return refuse(e, "--sdboot and --extlinux exclude each other");
	return 0;
}

int ks_check_clearpart(struct ks_entry *en, UNUSED struct err *e)
{
	if (ks_list(en->merged, "list")->count > 0)
		ks_set_text(en->merged, "all", "list");
	return 0;
}

int ks_check_displaymode(struct ks_entry *en, struct err *e)
{
	if (str_eq(en->own->name, "cmdline") && ks_flag(en->own, "non-interactive"))
		return refuse(e, "--non-interactive does not go with cmdline");
	return 0;
}

int ks_check_driverdisk(struct ks_entry *en, struct err *e)
{
	static const char *const options[] = {"source", "biospart", NULL};

	if ((en->own->args.count > 0) + count_used(en->own, options) != 1)
		return refuse(e, "expected one of a partition, --source and --biospart");
	return 0;
}

int ks_check_eula(struct ks_entry *en, struct err *e)
{
	return ks_flag(en->own, "agreed") ? 0 : refuse(e, "option --agreed is missing");
}

int ks_check_firstboot(struct ks_entry *en, UNUSED struct err *e)
{
	/* A bare "firstboot" takes back what an earlier line said. */
	if (en->own->given == 0)
		ks_value_drop(en->merged, ks_opt_find(en->merged->grammar, "disable"));
	return 0;
}

int ks_check_ignoredisk(struct ks_entry *en, struct err *e)
{
	static const char *const options[] = {"drives", "only-use", NULL};

	/* Lines add up, so one line with each is refused too. */
	if (count_used(en->merged, options) != 1)
		return refuse(e, "expected exactly one of --drives and --only-use");
	return 0;
}

/* Names become file names and volume tags. */
static bool is_image_word(const char *text)
{
	static const char allowed[] =
		"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._+~-";

	return text[0] && text[0] != '.' && text[0] != '-' && strlen(text) <= 64 &&
		text[strspn(text, allowed)] == '\0';
}

static int check_upgrades_from(const char *range, struct err *e)
{
	autofree char *min = NULL, *max = NULL;

	version_range_split(range, &min, &max);
	if (!is_image_word(min) || (max && !is_image_word(max)))
		return refuse(
			e, "--upgrades-from must be MIN or MIN..MAX, each a version of an image");
	if (max && version_compare(min, max) > 0)
		return refuse(e, "--upgrades-from: the first version is newer than the last");
	return 0;
}

int ks_check_image(struct ks_entry *en, struct err *e)
{
	static const char *const options[] = {"name", "version", NULL};

	for (size_t i = 0; options[i]; i++) {
		if (ks_given(en->own, options[i]) && !is_image_word(ks_text(en->own, options[i])))
			return err_set(e, EINVAL,
				"--%s must be 1 to 64 letters, digits and '._+~-', not starting "
				"with '.' or '-'",
				options[i]);
	}
	return ks_given(en->own, "upgrades-from")
		? check_upgrades_from(ks_text(en->own, "upgrades-from"), e)
		: 0;
}

int ks_check_keyboard(struct ks_entry *en, struct err *e)
{
	if (en->own->args.count > 0 || has_text(en->merged, "vckeymap") ||
		ks_list(en->merged, "xlayouts")->count > 0)
		return 0;
	return refuse(e, "expected a keyboard, --vckeymap or --xlayouts");
}

int ks_check_logging(struct ks_entry *en, struct err *e)
{
	if (has_text(en->merged, "port") && !has_text(en->merged, "host"))
		return refuse(e, "--port needs --host");
	return 0;
}

static int check_thin(const struct ks_cmd *c, struct err *e)
{
	if (ks_flag(c, "thin") && ks_flag(c, "thinpool"))
		return refuse(e, "--thin and --thinpool exclude each other");
	if (ks_flag(c, "thin") && !has_text(c, "poolname"))
		return refuse(e, "--thin needs --poolname");
	if ((ks_number(c, "chunksize") || ks_number(c, "metadatasize")) && !ks_flag(c, "thinpool"))
		return refuse(e, "--chunksize and --metadatasize are for thin pools only");
	return 0;
}

static int check_cache(const struct ks_cmd *c, struct err *e)
{
	const char *mode = ks_text(c, "cachemode");
	bool has_pvs = ks_list(c, "cachepvs")->count > 0;

	if (!ks_number(c, "cachesize") && !mode[0] && !has_pvs)
		return 0;
	if (ks_flag(c, "useexisting"))
		return refuse(e, "an existing logical volume cannot be given a cache");
	if (ks_flag(c, "thin"))
		return refuse(e, "a thin volume cannot be given a cache");
	if (!has_pvs)
		return refuse(e, "a cache needs --cachepvs");
	if (!ks_number(c, "cachesize"))
		return refuse(e, "a cache needs --cachesize");
	if (mode[0] && !str_eq(mode, "writeback") && !str_eq(mode, "writethrough"))
		return err_set(e, EINVAL, "there is no cache mode '%.80s'", mode);
	return 0;
}

static int check_volume_size(const struct ks_cmd *c, struct err *e)
{
	static const char *const reasons[] = {"useexisting", "recommended", "hibernation", NULL};
	int64_t size = ks_number(c, "size"), percent = ks_number(c, "percent");

	if (ks_flag(c, "resize") && !ks_flag(c, "useexisting"))
		return refuse(e, "--resize needs --useexisting");
	if (ks_flag(c, "resize") && !size)
		return refuse(e, "--resize needs --size");
	if (!size && !percent && count_used(c, reasons) == 0)
		return refuse(e,
			"no size: expected one of --size, --percent, --recommended, --hibernation, "
			"--useexisting and --noformat");
	if (percent < 0 || percent > 100)
		return refuse(e, "--percent must be between 0 and 100");
	if (size && percent)
		return refuse(e, "--size and --percent exclude each other");
	return 0;
}

static void normalise_mount_point(struct ks_cmd *c, size_t arg)
{
	char *path = ks_normalise_path(c->args.items[arg]);

	free(c->args.items[arg]);
	c->args.items[arg] = path;
}

int ks_check_logvol(struct ks_entry *en, struct err *e)
{
	struct ks_cmd *c = en->own;
	int r;

	normalise_mount_point(c, 0);
	if (ks_flag(c, "noformat"))
		ks_set_flag(c, "useexisting", true);
	r = check_volume_size(c, e);
	if (r == 0)
		r = check_thin(c, e);
	if (r == 0)
		r = check_cache(c, e);
	return r == 0 ? check_device(c, e) : r;
}

int ks_check_mount(struct ks_entry *en, struct err *e)
{
	struct ks_cmd *c = en->own;

	normalise_mount_point(c, 1);
	if (c->args.items[1][0] != '/' && strcasecmp(c->args.items[1], "none") != 0)
		return err_set(e, EINVAL, "'%.80s' is not a mount point", c->args.items[1]);
	if (has_text(c, "mkfsoptions") && !ks_given(c, "reformat"))
		return refuse(e, "--mkfsoptions needs --reformat");
	return 0;
}

/* "eth0.171" and "vlan171" carry the number of the VLAN. */
static bool is_vlan_name(const char *name)
{
	const char *dot = strchr(name, '.');
	const char *number = dot ? dot + 1 : str_starts(name, "vlan") ? name + 4 : NULL;
	autofree char *digits = NULL;
	int64_t id = 0;

	if (!number)
		return true;
	if (dot && str_starts(name, "vlan"))
		return false;
	return ks_parse_int(number, &digits, &id, NULL) == 0 && id >= 0 && id <= VLAN_ID_MAX;
}

static int check_bridge(const struct ks_cmd *c, struct err *e)
{
	const char *p = ks_text(c, "bridgeopts");

	if (!*p)
		return 0;
	if (!has_text(c, "bridgeslaves"))
		return refuse(e, "--bridgeopts needs --bridgeslaves");
	for (;;) {
		size_t len = strcspn(p, ",");
		const char *sign = memchr(p, '=', len);

		if (!sign || sign + 1 == p + len ||
			memchr(sign + 1, '=', len - (size_t)(sign + 1 - p)))
			return refuse(e, "--bridgeopts must be KEY=VALUE items between commas");
		if (p[len] == '\0')
			return 0;
		p += len + 1;
	}
}

int ks_check_network(struct ks_entry *en, struct err *e)
{
	static const char *const dns[] = {"ipv4-dns-search", "ipv6-dns-search",
		"ipv4-ignore-auto-dns", "ipv6-ignore-auto-dns", NULL};
	const struct ks_cmd *c = en->own;
	int r = check_bridge(c, e);

	/* The RHEL7 handler refuses them, later ones do not. */
	if (!is_vlan_name(ks_text(c, "interfacename")))
		ks_warning(en->doc, c->file, c->line,
			"network: --interfacename should be NAME.ID or vlanID with an ID up to %d",
			VLAN_ID_MAX);
	if (r < 0)
		return r;
	if (has_text(c, "bindto") && has_text(c, "vlanid") && !has_text(c, "bondopts"))
		return refuse(e, "--bindto=mac does not go with this type of device");
	if (count_used(c, dns) > 0 && !has_text(c, "device"))
		return refuse(e, "the options for DNS need --device");
	return 0;
}

int ks_check_ostreecontainer(struct ks_entry *en, UNUSED struct err *e)
{
	if (!has_text(en->merged, "remote"))
		ks_set_text(en->merged, "remote", ks_text(en->merged, "stateroot"));
	return 0;
}

int ks_check_ostreesetup(struct ks_entry *en, struct err *e)
{
	const char *url = ks_text(en->merged, "url");

	if (!has_text(en->merged, "remote"))
		ks_set_text(en->merged, "remote", ks_text(en->merged, "osname"));
	if (!str_starts(url, "file:") && !str_starts(url, "http:") && !str_starts(url, "https:"))
		return refuse(e, "--url must be a file, http or https URL");
	return 0;
}

int ks_check_part(struct ks_entry *en, struct err *e)
{
	struct ks_cmd *c = en->own;

	normalise_mount_point(c, 0);
	if (ks_flag(c, "resize") && !has_text(c, "onpart"))
		return refuse(e, "--resize needs --onpart");
	if (ks_flag(c, "resize") && !ks_number(c, "size"))
		return refuse(e, "--resize needs --size");
	if (str_eq(ks_text(c, "fstype"), "tmpfs") &&
		(ks_flag(c, "grow") || ks_number(c, "maxsize")))
		return refuse(e, "--fstype=tmpfs does not go with --grow and --maxsize");
	if (str_starts(first_arg(c), "btrfs."))
		return refuse(e, "the btrfs file system is not supported");
	return check_device(c, e);
}

static void drop_args(struct ks_entry *en, size_t first, size_t count)
{
	struct strv *args = &en->own->args;

	ks_warning(en->doc, en->own->file, en->own->line,
		"'%.80s' is ignored: members must stand together", args->items[first]);
	for (size_t i = first; i < first + count; i++)
		free(args->items[i]);
	memmove(&args->items[first], &args->items[first + count],
		(args->count - first - count + 1) * sizeof(*args->items));
	args->count -= count;
}

int ks_check_raid(struct ks_entry *en, struct err *e)
{
	struct ks_cmd *c = en->own;

	/* Options between members: the reference parser takes the first group only. */
	if (en->first_run > 1 && c->args.count > en->first_run)
		drop_args(en, en->first_run, c->args.count - en->first_run);
	normalise_mount_point(c, 0);
	if (ks_flag(c, "noformat"))
		ks_set_flag(c, "useexisting", true);

	bool exists = ks_flag(c, "useexisting"), has_members = c->args.count > 1;
	if (!exists && !has_members)
		return refuse(e, "the members of the RAID device are missing");
	if (exists && has_members)
		return refuse(e, "an existing RAID device is given no members");
	if (!exists && !has_text(c, "level"))
		return refuse(e, "option --level is missing");
	if (exists && !has_text(c, "device"))
		return refuse(e, "an existing RAID device needs --device");
	return check_device(c, e);
}

static bool is_realm_option(const char *word, bool *takes_value)
{
	static const char *const with_value[] = {"client-software", "server-software",
		"membership-software", "one-time-password", "computer-ou"};
	size_t len = strcspn(word, "=");
	unsigned matches = 0;

	*takes_value = true;
	for (size_t i = 0; i < ARRAY_LEN(with_value); i++) {
		if (strncmp(with_value[i], word, len) != 0)
			continue;
		if (with_value[i][len] == '\0')
			return true;
		matches++;
	}
	if (strncmp("no-password", word, len) == 0) {
		matches++;
		*takes_value = false;
	}
	return matches == 1;
}

/* Options as getopt(3) reads them, then one realm. */
static int check_join(const struct strv *words, struct err *e)
{
	size_t i = 1;

	for (; i < words->count && words->items[i][0] == '-' && words->items[i][1]; i++) {
		const char *word = words->items[i];
		bool takes_value, has_value = strchr(word, '=');

		if (str_eq(word, "--")) {
			i++;
			break;
		}
		if (!str_starts(word, "--") || !is_realm_option(word + 2, &takes_value))
			return err_set(e, EINVAL, "unknown option '%.80s'", word);
		if (has_value && !takes_value)
			return err_set(e, EINVAL, "option '%.80s' takes no value", word);
		if (takes_value && !has_value && ++i >= words->count)
			return err_set(e, EINVAL, "option '%.80s' needs a value", word);
	}
	return i + 1 == words->count ? 0 : refuse(e, "expected one realm to join");
}

int ks_check_realm(struct ks_entry *en, struct err *e)
{
	autostrv words = {0};
	int r = ks_shlex(en->own->rest, strlen(en->own->rest), false, &words, e);

	if (r < 0)
		return r;
	if (en->merged != en->own)
		return refuse(e, "only one realm can be joined");
	if (words.count == 0)
		return refuse(e, "arguments are missing");
	if (!str_eq(words.items[0], "join"))
		return err_set(e, EINVAL, "unknown action '%.80s', expected join", words.items[0]);
	return check_join(&words, e);
}

int ks_check_repo(struct ks_entry *en, struct err *e)
{
	static const char *const sources[] = {"baseurl", "mirrorlist", "metalink", NULL};

	if (count_used(en->own, sources) > 1)
		return refuse(e, "--baseurl, --mirrorlist and --metalink exclude each other");
	return 0;
}

int ks_check_rescue(struct ks_entry *en, struct err *e)
{
	if (ks_flag(en->own, "nomount") && ks_flag(en->own, "romount"))
		return refuse(e, "--nomount and --romount exclude each other");
	return 0;
}

int ks_check_rhsm(struct ks_entry *en, struct err *e)
{
	if (strv_has(ks_list(en->own, "activation-key"), ""))
		return refuse(e, "--activation-key must not be empty");
	return 0;
}

int ks_check_rootpw(struct ks_entry *en, struct err *e)
{
	if (!first_arg(en->own)[0] && !ks_flag(en->own, "lock"))
		return refuse(e, "expected a password or --lock");
	return 0;
}

int ks_check_services(struct ks_entry *en, struct err *e)
{
	static const char *const options[] = {"disabled", "enabled", NULL};

	return count_used(en->merged, options) > 0 ? 0
						   : refuse(e, "expected --disabled or --enabled");
}

/* As lvm(8) allows, section "Valid names". */
static bool is_lvm_name(const char *name, size_t len)
{
	static const char allowed[] =
		"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789+_.-";

	if (len == 0 || name[0] == '-' || (len <= 2 && strspn(name, ".") >= len))
		return false;
	return strspn(name, allowed) >= len;
}

int ks_check_snapshot(struct ks_entry *en, struct err *e)
{
	const char *origin = first_arg(en->own), *name = ks_text(en->own, "name");
	const char *slash = strchr(origin, '/');

	if (!slash || !is_lvm_name(origin, (size_t)(slash - origin)) ||
		!is_lvm_name(slash + 1, strlen(slash + 1)))
		return err_set(e, EINVAL, "'%.80s' is not the name of a volume, VG/LV", origin);
	if (!is_lvm_name(name, strlen(name)))
		return err_set(e, EINVAL, "'%.80s' is not a name for a volume", name);
	if (ks_seen_before(en->doc, "snapshot", name))
		return err_set(e, EINVAL, "a snapshot '%.80s' has been defined already", name);
	return 0;
}

int ks_check_sshpw(struct ks_entry *en, struct err *e)
{
	if (en->own->args.count == 0)
		return refuse(e, "the password is missing");
	if (en->own->args.count != en->first_run)
		return err_set(e, EINVAL, "unexpected argument '%.80s'",
			en->own->args.items[en->first_run]);
	return 0;
}

int ks_check_timesource(struct ks_entry *en, struct err *e)
{
	static const char *const options[] = {"ntp-server", "ntp-pool", "ntp-disable", NULL};

	if (count_used(en->own, options) != 1)
		return refuse(e, "expected exactly one of --ntp-server, --ntp-pool, --ntp-disable");
	return 0;
}

int ks_check_timezone(struct ks_entry *en, struct err *e)
{
	if (en->own->args.count == 0 && en->own->given == 0)
		return refuse(e, "expected a time zone or --utc");
	return 0;
}

int ks_check_url(struct ks_entry *en, struct err *e)
{
	static const char *const sources[] = {"url", "mirrorlist", "metalink", NULL};

	if (count_used(en->own, sources) != 1)
		return refuse(e, "expected exactly one of --url, --mirrorlist and --metalink");
	return 0;
}

int ks_check_volgroup(struct ks_entry *en, struct err *e)
{
	struct ks_cmd *c = en->own;
	int64_t percent = ks_number(c, "reserved-percent");

	/* Options between members: the reference parser takes all but the first group. */
	if (en->first_run > 1 && c->args.count > en->first_run)
		drop_args(en, 1, en->first_run - 1);
	if (c->args.count == 0)
		return refuse(e, "the name of the volume group is missing");
	if (ks_flag(c, "noformat"))
		ks_set_flag(c, "useexisting", true);

	bool exists = ks_flag(c, "useexisting"), has_members = c->args.count > 1;
	if (!exists && !has_members)
		return refuse(e, "the members of the volume group are missing");
	if (exists && has_members)
		return refuse(e, "an existing volume group is given no members");
	if (ks_number(c, "reserved-space") < 0)
		return refuse(e, "--reserved-space must not be negative");
	if (ks_given(c, "reserved-percent") && (percent <= 0 || percent >= 100))
		return refuse(e, "--reserved-percent must be between 1 and 99");
	return 0;
}

int ks_check_zfcp(struct ks_entry *en, struct err *e)
{
	if (has_text(en->own, "wwpn") != has_text(en->own, "fcplun"))
		return refuse(e, "--wwpn and --fcplun go together");
	return 0;
}
