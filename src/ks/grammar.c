/* SPDX-License-Identifier: Apache-2.0 */
#include "ks/grammar.h"

#include <assert.h>

#include "ks/check.h"
#include "ks/grammar-words.h"
#include "ks/ks.h"
#include "ks/write.h"

/* clang-format off */
static const struct ks_opt autopart_opts[] = {
	ENCRYPT_OPTS,
	CONST("nolvm", "type", "plain"),
	TYPED("type", KS_AUTOPART_TYPE),
	TEXT("cipher"),
	TEXT("fstype"),
	FLAG("nohome"),
	FLAG("noboot"),
	FLAG("noswap"),
	LUKS_OPTS,
	FLAG("hibernation"),
	{.name = "profile", .choices = "minimal|node", .flags = KS_OURS},
};
static const struct ks_out autopart_out[] = {
	ENCRYPT_OUT,
	PRINT(TEXT, "type"),
	PRINT_IF("encrypted", QUOTED, "cipher"),
	PRINT(TEXT, "fstype"),
	PRINT(FLAG, "nohome"),
	PRINT(FLAG, "noboot"),
	PRINT(FLAG, "noswap"),
	LUKS_OUT,
	PRINT(FLAG, "hibernation"),
	PRINT(TEXT, "profile"),
};

static const struct ks_opt bootc_opts[] = {
	DEFAULT("stateroot", "default"),
	NEEDED("source-imgref"),
	TEXT("target-imgref"),
};
static const struct ks_out bootc_out[] = {
	PRINT(QUOTED, "stateroot"),
	PRINT(QUOTED, "source-imgref"),
	PRINT(QUOTED, "target-imgref"),
};

static const struct ks_opt bootloader_opts[] = {
	TEXT("append"),
	CHOICE("location", "mbr", "mbr|partition|none|boot"),
	DEFAULT_SECRET("password", ""),
	LIST("driveorder"),
	INT("timeout"),
	TEXT("default"),
	FLAG("iscrypted"),
	SECRET("md5pass"),
	DEFAULT("boot-drive", ""),
	FLAG("leavebootorder"),
	FLAG("extlinux"),
	FLAG("disabled"),
	FLAG("nombr"),
	FLAG("sdboot"),
};
static const struct ks_out bootloader_out[] = {
	PRINT(QUOTED, "append"),
	PRINT(TEXT, "location"),
	PRINT(QUOTED, "password"),
	PRINT(QLIST, "driveorder"),
	PRINT(ANY_INT, "timeout"),
	PRINT(TEXT, "default"),
	PRINT(FLAG, "iscrypted"),
	PRINT(TEXT, "boot-drive"),
	PRINT(FLAG, "leavebootorder"),
	PRINT(FLAG, "extlinux"),
	PRINT(FLAG, "nombr"),
	PRINT(FLAG, "sdboot"),
};

static const struct ks_opt clearpart_opts[] = {
	CONST("all", NULL, "all"),
	FLAG("initlabel"),
	CONST("linux", "all", "linux"),
	CONST("none", "all", "none"),
	DEFAULT("disklabel", ""),
	LIST("drives"),
	LIST("list"),
	FLAG("cdl"),
};
static const struct ks_out clearpart_out[] = {
	PRINT(FLAG, "initlabel"),
	PRINT(LIST, "drives"),
	PRINT(LIST, "list"),
	PRINT(TEXT, "disklabel"),
	PRINT(FLAG, "cdl"),
};

static const struct ks_opt displaymode_opts[] = {
	FLAG("non-interactive"),
};

static const struct ks_opt driverdisk_opts[] = {
	TEXT("source"),
	TEXT("biospart"),
};

static const struct ks_opt eula_opts[] = {
	FLAG("agreed|agree|accepted|accept"),
};
static const struct ks_out eula_out[] = {
	PRINT(FLAG, "agreed"),
};

static const struct ks_opt fcoe_opts[] = {
	NEEDED("nic"),
	FLAG("dcb"),
	FLAG("autovlan"),
};
static const struct ks_out fcoe_out[] = {
	PRINT(TEXT, "nic"),
	PRINT(FLAG, "dcb"),
	PRINT(FLAG, "autovlan"),
};

static const struct ks_opt firewall_opts[] = {
	CLEAR("disable|disabled", "enabled"),
	{.name = "enable|enabled", .action = KS_SET, .flags = KS_ON},
	{.name = "port", .type = KS_PORTS},
	APPEND("trust"),
	{.name = "service", .type = KS_COMMAS_ALL},
	ADD("ftp", "service", "ftp"),
	ADD("http", "service", "http"),
	ADD("smtp", "service", "smtp"),
	ADD("ssh", "service", "ssh"),
	{.name = "remove-service", .type = KS_COMMAS_ALL},
	FLAG("use-system-defaults"),
};
static const struct ks_out firewall_out[] = {
	PRINT(LIST, "trust"),
	PRINT(LIST, "service"),
	PRINT(LIST, "remove-service"),
};

static const struct ks_opt firstboot_opts[] = {
	CONST("disable|disabled", NULL, "disable"),
	CONST("enable|enabled", "disable", "enable"),
	CONST("reconfig", "disable", "reconfig"),
};
static const struct ks_out firstboot_out[] = {
	PRINT(CONST, "disable"),
};

static const struct ks_opt group_opts[] = {
	NEEDED("name"),
	INT("gid"),
};
static const struct ks_out group_out[] = {
	PRINT(TEXT, "name"),
	PRINT(INT, "gid"),
};

static const struct ks_opt harddrive_opts[] = {
	NEEDED("dir"),
	NEEDED("partition"),
};
static const struct ks_out harddrive_out[] = {
	PRINT(QUOTED, "dir"),
	PRINT(TEXT, "partition"),
};

static const struct ks_opt ignoredisk_opts[] = {
	LIST("drives"),
	LIST("only-use"),
};
static const struct ks_out ignoredisk_out[] = {
	PRINT(LIST, "drives"),
	PRINT(LIST, "only-use"),
};

static const struct ks_opt image_opts[] = {
	{.name = "name", .flags = KS_OURS | KS_REQUIRED},
	OUR_TEXT("version"),
	OUR_TEXT("upgrades-from"),
};
static const struct ks_out image_out[] = {
	PRINT(TEXT, "name"),
	PRINT(TEXT, "version"),
	PRINT(TEXT, "upgrades-from"),
};

static const struct ks_opt iscsi_opts[] = {
	TEXT("target"),
	NEEDED("ipaddr"),
	{.name = "port", .type = KS_INT, .value = "3260"},
	TEXT("user"),
	SECRET("password"),
	TEXT("reverse-user"),
	SECRET("reverse-password"),
	TEXT("iface"),
};
static const struct ks_out iscsi_out[] = {
	PRINT(TEXT, "target"),
	PRINT(TEXT, "ipaddr"),
	PRINT(ANY_INT, "port"),
	PRINT(TEXT, "user"),
	PRINT(TEXT, "password"),
	PRINT(TEXT, "reverse-user"),
	PRINT(TEXT, "reverse-password"),
	PRINT(TEXT, "iface"),
};

static const struct ks_opt keyboard_opts[] = {
	DEFAULT("vckeymap", ""),
	LIST("xlayouts"),
	LIST("switch"),
};

static const struct ks_opt lang_opts[] = {
	LIST("addsupport"),
};
static const struct ks_out lang_out[] = {
	PRINT(LIST, "addsupport"),
};

static const struct ks_opt liveimg_opts[] = {
	NEEDED("url"),
	TEXT("proxy"),
	FLAG("noverifyssl"),
	TEXT("checksum"),
};
static const struct ks_out liveimg_out[] = {
	PRINT(QUOTED, "proxy"),
	PRINT(FLAG, "noverifyssl"),
	PRINT(QUOTED, "checksum"),
};

static const struct ks_opt logging_opts[] = {
	TEXT("host"),
	TEXT("port"),
};
static const struct ks_out logging_out[] = {
	PRINT(TEXT, "host"),
	PRINT_IF("host", TEXT, "port"),
};

static const struct ks_opt logvol_opts[] = {
	TEXT("fstype"),
	FLAG("grow"),
	INT("maxsize"),
	NEEDED("name"),
	FLAG("noformat"),
	INT("percent"),
	FLAG("recommended"),
	INT("size"),
	FLAG("useexisting"),
	NEEDED("vgname"),
	TEXT("fsoptions"),
	TEXT("fsprofile"),
	ENCRYPT_OPTS,
	TEXT("label"),
	FLAG("resize"),
	FLAG("hibernation"),
	TEXT("cipher"),
	FLAG("thinpool"),
	FLAG("thin"),
	TEXT("poolname"),
	INT("chunksize"),
	INT("metadatasize"),
	TEXT("profile"),
	INT("cachesize"),
	TEXT("cachemode"),
	LIST("cachepvs"),
	TEXT("mkfsoptions"),
	LUKS_OPTS,
};
static const struct ks_out logvol_out[] = {
	PRINT(QUOTED, "fstype"),
	PRINT(FLAG, "grow"),
	PRINT(INT, "maxsize"),
	PRINT(FLAG, "noformat"),
	PRINT(INT, "percent"),
	PRINT(FLAG, "recommended"),
	PRINT(INT, "size"),
	PRINT(FLAG, "useexisting"),
	PRINT(QUOTED, "fsoptions"),
	PRINT(QUOTED, "fsprofile"),
	ENCRYPT_OUT,
	PRINT(QUOTED, "label"),
	PRINT(FLAG, "resize"),
	PRINT(FLAG, "hibernation"),
	PRINT_IF("encrypted", QUOTED, "cipher"),
	PRINT(FLAG, "thinpool"),
	PRINT_IF("thinpool", INT, "metadatasize"),
	PRINT_IF("thinpool", INT, "chunksize"),
	PRINT(FLAG, "thin"),
	PRINT_IF("thin", TEXT, "poolname"),
	PRINT(TEXT, "profile"),
	PRINT(INT, "cachesize"),
	PRINT(LIST, "cachepvs"),
	PRINT(TEXT, "cachemode"),
	PRINT(QUOTED, "mkfsoptions"),
	LUKS_OUT,
	PRINT(TEXT, "name"),
	PRINT(TEXT, "vgname"),
};

static const struct ks_opt mount_opts[] = {
	{.name = "reformat", .flags = KS_MAY_BE_BARE},
	TEXT("mkfsoptions"),
	TEXT("mountoptions"),
};
static const struct ks_out mount_out[] = {
	PRINT(QUOTED, "mkfsoptions"),
	PRINT(QUOTED, "mountoptions"),
};

static const struct ks_opt network_opts[] = {
	CHOICE("bootproto", "dhcp", "dhcp|bootp|static|query|ibft"),
	TEXT("dhcpclass"),
	TEXT("device"),
	TEXT("essid"),
	TEXT("ethtool"),
	TEXT("gateway"),
	TEXT("hostname"),
	TEXT("ip"),
	TEXT("mtu"),
	TEXT("nameserver"),
	TEXT("netmask"),
	FLAG("nodns"),
	{.name = "onboot", .type = KS_BOOL, .flags = KS_ON},
	SECRET("wepkey"),
	FLAG("notksdevice"),
	FLAG("noipv4"),
	FLAG("noipv6"),
	TEXT("ipv6"),
	FLAG_KEPT("activate"),
	FLAG("nodefroute"),
	DEFAULT_SECRET("wpakey", ""),
	DEFAULT("bondslaves", ""),
	DEFAULT("bondopts", ""),
	TEXT("vlanid"),
	DEFAULT("ipv6gateway", ""),
	DEFAULT("interfacename", ""),
	DEFAULT("bridgeslaves", ""),
	DEFAULT("bridgeopts", ""),
	CLEAR("no-activate", "activate"),
	CHOICE("bindto", NULL, "mac"),
	TEXT("ipv4-dns-search"),
	TEXT("ipv6-dns-search"),
	FLAG("ipv4-ignore-auto-dns"),
	FLAG("ipv6-ignore-auto-dns"),
	{.name = "teamslaves", .type = KS_TEAM, .flags = KS_OLD},
	{.name = "teamconfig", .value = "", .flags = KS_OLD},
};
static const struct ks_out network_out[] = {
	PRINT(TEXT, "dhcpclass"),
	PRINT(TEXT, "device"),
	PRINT(QUOTED, "essid"),
	PRINT(QUOTED, "ethtool"),
	PRINT(TEXT, "gateway"),
	PRINT(TEXT, "hostname"),
	PRINT(TEXT, "ip"),
	PRINT(TEXT, "mtu"),
	PRINT(TEXT, "nameserver"),
	PRINT(TEXT, "netmask"),
	PRINT(FLAG, "nodns"),
	PRINT(OFF, "onboot"),
	PRINT(TEXT, "wepkey"),
	PRINT(FLAG, "notksdevice"),
	PRINT(FLAG, "noipv4"),
	PRINT(FLAG, "noipv6"),
	PRINT(TEXT, "ipv6"),
	PRINT(FLAG, "activate"),
	PRINT(FLAG, "nodefroute"),
	PRINT(TEXT, "wpakey"),
	PRINT(TEXT, "bondslaves"),
	PRINT(TEXT, "bondopts"),
	PRINT(TEXT, "vlanid"),
	PRINT(TEXT, "ipv6gateway"),
	PRINT(ESCAPED, "teamslaves"),
	PRINT(ESCAPED, "teamconfig"),
	PRINT(TEXT, "interfacename"),
	PRINT(TEXT, "bridgeslaves"),
	PRINT(TEXT, "bridgeopts"),
	PRINT(FLAG, "no-activate"),
	PRINT(TEXT, "bindto"),
	PRINT(TEXT, "ipv4-dns-search"),
	PRINT(TEXT, "ipv6-dns-search"),
	PRINT(FLAG, "ipv4-ignore-auto-dns"),
	PRINT(FLAG, "ipv6-ignore-auto-dns"),
};

static const struct ks_opt nfs_opts[] = {
	NEEDED("server"),
	NEEDED("dir"),
	TEXT("opts"),
};
static const struct ks_out nfs_out[] = {
	PRINT(TEXT, "server"),
	PRINT(QUOTED, "dir"),
	PRINT(QUOTED, "opts"),
};

static const struct ks_opt ostreecontainer_opts[] = {
	TEXT("stateroot"),
	NEEDED("url"),
	TEXT("transport"),
	TEXT("remote"),
	FLAG("no-signature-verification"),
};
static const struct ks_out ostreecontainer_out[] = {
	PRINT(QUOTED, "stateroot"),
	PRINT(QUOTED, "remote"),
	PRINT(FLAG, "no-signature-verification"),
	PRINT(QUOTED, "transport"),
	PRINT(QUOTED, "url"),
};

static const struct ks_opt ostreesetup_opts[] = {
	NEEDED("osname"),
	TEXT("remote"),
	NEEDED("url"),
	NEEDED("ref"),
	FLAG("nogpg"),
};
static const struct ks_out ostreesetup_out[] = {
	PRINT(QUOTED, "osname"),
	PRINT(QUOTED, "remote"),
	PRINT(QUOTED, "url"),
	PRINT(QUOTED, "ref"),
	PRINT(FLAG, "nogpg"),
};

static const struct ks_opt part_opts[] = {
	FLAG("asprimary"),
	TEXT("fstype|type"),
	FLAG("grow"),
	INT("maxsize"),
	FLAG("noformat"),
	TEXT("onbiosdisk"),
	TEXT("ondisk|ondrive"),
	TYPED("onpart|usepart", KS_PARTITION),
	FLAG("recommended"),
	INT("size"),
	TEXT("fsoptions"),
	TEXT("label"),
	TEXT("fsprofile"),
	ENCRYPT_OPTS,
	FLAG("resize"),
	FLAG("hibernation"),
	TEXT("cipher"),
	TEXT("mkfsoptions"),
	LUKS_OPTS,
};
static const struct ks_out part_out[] = {
	PRINT(FLAG, "asprimary"),
	PRINT(QUOTED, "fstype"),
	PRINT(FLAG, "grow"),
	PRINT(POSITIVE, "maxsize"),
	PRINT(FLAG, "noformat"),
	PRINT(TEXT, "onbiosdisk"),
	PRINT(TEXT, "ondisk"),
	PRINT(TEXT, "onpart"),
	PRINT(FLAG, "recommended"),
	PRINT(INT, "size"),
	PRINT(QUOTED, "fsoptions"),
	PRINT(TEXT, "label"),
	PRINT(QUOTED, "fsprofile"),
	ENCRYPT_OUT,
	PRINT(FLAG, "resize"),
	PRINT(FLAG, "hibernation"),
	PRINT_IF("encrypted", QUOTED, "cipher"),
	PRINT(QUOTED, "mkfsoptions"),
	LUKS_OUT,
};

static const struct ks_opt raid_opts[] = {
	NEEDED("device"),
	TEXT("fstype"),
	TYPED("level", KS_LEVEL),
	FLAG("noformat"),
	INT0("spares"),
	FLAG("useexisting"),
	TEXT("fsoptions"),
	TEXT("fsprofile"),
	ENCRYPT_OPTS,
	TEXT("label"),
	TEXT("cipher"),
	TEXT("mkfsoptions"),
	INT("chunksize"),
	LUKS_OPTS,
};
static const struct ks_out raid_out[] = {
	PRINT(TEXT, "device"),
	PRINT(QUOTED, "fstype"),
	PRINT(TEXT, "level"),
	PRINT(FLAG, "noformat"),
	PRINT(INT, "spares"),
	PRINT(FLAG, "useexisting"),
	PRINT(QUOTED, "fsoptions"),
	PRINT(QUOTED, "fsprofile"),
	ENCRYPT_OUT,
	PRINT(TEXT, "label"),
	PRINT_IF("encrypted", QUOTED, "cipher"),
	PRINT(QUOTED, "mkfsoptions"),
	PRINT(INT, "chunksize"),
	LUKS_OUT,
};

static const struct ks_opt rdp_opts[] = {
	TEXT("username"),
	SECRET("password"),
};
static const struct ks_out rdp_out[] = {
	PRINT(TEXT, "username"),
	PRINT(TEXT, "password"),
};

static const struct ks_opt reboot_opts[] = {
	FLAG("eject"),
	FLAG("kexec"),
};
static const struct ks_out reboot_out[] = {
	PRINT(FLAG, "eject"),
	PRINT(FLAG, "kexec"),
};

static const struct ks_opt repo_opts[] = {
	NEEDED("name"),
	TEXT("baseurl"),
	TEXT("mirrorlist"),
	INT("cost"),
	LIST("excludepkgs"),
	LIST("includepkgs"),
	TEXT("proxy"),
	FLAG("noverifyssl"),
	FLAG("install"),
	TEXT("metalink"),
	SSL_OPTS,
	OUR_ARCHIVE_OPTS,
};
static const struct ks_out repo_out[] = {
	PRINT(INT, "cost"),
	PRINT(QLIST, "includepkgs"),
	PRINT(QLIST, "excludepkgs"),
	PRINT(QUOTED, "proxy"),
	PRINT(FLAG, "noverifyssl"),
	PRINT(FLAG, "install"),
	PRINT(TEXT, "metalink"),
	SSL_OUT,
	OUR_ARCHIVE_OUT,
};

static const struct ks_opt reqpart_opts[] = {
	FLAG("add-boot"),
};
static const struct ks_out reqpart_out[] = {
	PRINT(FLAG, "add-boot"),
};

static const struct ks_opt rescue_opts[] = {
	FLAG("nomount"),
	FLAG("romount"),
};
static const struct ks_out rescue_out[] = {
	PRINT(FLAG, "nomount"),
	PRINT(FLAG, "romount"),
};

static const struct ks_opt rhsm_opts[] = {
	NEEDED("organization"),
	{.name = "activation-key", .action = KS_APPEND, .flags = KS_REQUIRED | KS_SECRET},
	FLAG("connect-to-insights"),
	TEXT("proxy"),
	TEXT("server-hostname"),
	TEXT("rhsm-baseurl"),
	TEXT("flatpak-registry-url"),
};
static const struct ks_out rhsm_out[] = {
	PRINT(QUOTED, "organization"),
	PRINT(EACH, "activation-key"),
	PRINT(FLAG, "connect-to-insights"),
	PRINT(QUOTED, "proxy"),
	PRINT(QUOTED, "server-hostname"),
	PRINT(QUOTED, "rhsm-baseurl"),
	PRINT(QUOTED, "flatpak-registry-url"),
};

static const struct ks_opt rootpw_opts[] = {
	FLAG("iscrypted"),
	FLAG_KEPT("lock"),
	CLEAR("plaintext", "iscrypted"),
	FLAG("allow-ssh"),
};

static const struct ks_opt selinux_opts[] = {
	CONST("disabled", NULL, "disabled"),
	CONST("enforcing", "disabled", "enforcing"),
	CONST("permissive", "disabled", "permissive"),
};
static const struct ks_out selinux_out[] = {
	PRINT(CONST, "disabled"),
};

static const struct ks_opt services_opts[] = {
	LIST("disabled"),
	LIST("enabled"),
};
static const struct ks_out services_out[] = {
	PRINT(QLIST, "disabled"),
	PRINT(QLIST, "enabled"),
};

static const struct ks_opt snapshot_opts[] = {
	NEEDED("name"),
	{.name = "when", .type = KS_WHEN, .flags = KS_REQUIRED},
};
static const struct ks_out snapshot_out[] = {
	PRINT(TEXT, "name"),
	PRINT(TEXT, "when"),
};

static const struct ks_opt sshkey_opts[] = {
	NEEDED("username"),
};

static const struct ks_opt sshpw_opts[] = {
	NEEDED("username"),
	FLAG("iscrypted"),
	CLEAR("plaintext", "iscrypted"),
	FLAG("lock"),
	FLAG("sshkey"),
};

static const struct ks_opt syspurpose_opts[] = {
	TEXT("role"),
	TEXT("sla"),
	TEXT("usage"),
	APPEND("addon"),
};
static const struct ks_out syspurpose_out[] = {
	PRINT(QUOTED, "role"),
	PRINT(QUOTED, "sla"),
	PRINT(QUOTED, "usage"),
	PRINT(EACH, "addon"),
};

static const struct ks_opt timesource_opts[] = {
	TEXT("ntp-server"),
	TEXT("ntp-pool"),
	FLAG("ntp-disable"),
	FLAG("nts"),
};
static const struct ks_out timesource_out[] = {
	PRINT(TEXT, "ntp-server"),
	PRINT(TEXT, "ntp-pool"),
	PRINT(FLAG, "nts"),
	PRINT(FLAG, "ntp-disable"),
};

static const struct ks_opt timezone_opts[] = {
	FLAG("utc"),
};

static const struct ks_opt url_opts[] = {
	TEXT("proxy"),
	FLAG("noverifyssl"),
	TEXT("mirrorlist"),
	TEXT("url"),
	TEXT("metalink"),
	SSL_OPTS,
	OUR_ARCHIVE_OPTS,
};
static const struct ks_out url_out[] = {
	PRINT(QUOTED, "proxy"),
	PRINT(FLAG, "noverifyssl"),
	SSL_OUT,
	OUR_ARCHIVE_OUT,
};

static const struct ks_opt user_opts[] = {
	TEXT("homedir"),
	FLAG("iscrypted"),
	NEEDED("name"),
	SECRET("password"),
	TEXT("shell"),
	INT("uid"),
	FLAG("lock"),
	CLEAR("plaintext", "iscrypted"),
	TEXT("gecos"),
	INT("gid"),
	LIST("groups"),
};

static const struct ks_opt volgroup_opts[] = {
	FLAG("noformat"),
	FLAG("useexisting"),
	INT("reserved-space"),
	INT("reserved-percent"),
	INT("pesize"),
};
static const struct ks_out volgroup_out[] = {
	PRINT(FLAG, "noformat"),
	PRINT(INT, "pesize"),
	PRINT(FLAG, "useexisting"),
	PRINT(INT, "reserved-space"),
	PRINT(INT, "reserved-percent"),
};

static const struct ks_opt xconfig_opts[] = {
	TEXT("defaultdesktop"),
	FLAG("startxonboot"),
};
static const struct ks_out xconfig_out[] = {
	PRINT(TEXT, "defaultdesktop"),
	PRINT(FLAG, "startxonboot"),
};

static const struct ks_opt zfcp_opts[] = {
	NEEDED("devnum"),
	DEFAULT("wwpn", ""),
	DEFAULT("fcplun", ""),
};
static const struct ks_out zfcp_out[] = {
	PRINT(TEXT, "devnum"),
	PRINT(TEXT, "wwpn"),
	PRINT(TEXT, "fcplun"),
};

static const struct ks_opt zipl_opts[] = {
	CONST("secure-boot", NULL, "secure-boot"),
	CONST("force-secure-boot", "secure-boot", "force-secure-boot"),
	CONST("no-secure-boot", "secure-boot", "no-secure-boot"),
};
static const struct ks_out zipl_out[] = {
	PRINT(CONST, "secure-boot"),
};

#define NOT_WITH_AUTOPART "autopart|mount"
#define REMOVED(n) {.name = (n), .status = KS_REMOVED}
#define DEPRECATED(n) {.name = (n), .status = KS_DEPRECATED}

/* Sorted by name. */
const struct ks_command ks_commands[] = {
	REMOVED("auth"),
	REMOVED("authconfig"),
	{.name = "authselect", .order = "F28_Authselect", .raw = true,
		.write = ks_write_authselect},
	{.name = "autopart", .order = "RHEL10_AutoPart", .priority = 100, OPTS(autopart_opts),
		OUTS(autopart_out), .conflicts = "part|raid|volgroup|logvol|reqpart",
		.check = ks_check_autopart, .used_by = KS_FOR_INSTALL},
	REMOVED("autostep"),
	{.name = "bootc", .order = "F43_Bootc", OPTS(bootc_opts), OUTS(bootc_out),
		.conflicts = "ostreesetup|ostreecontainer", .check = ks_check_bootc},
	{.name = "bootloader", .order = "F39_Bootloader", .priority = 10, OPTS(bootloader_opts),
		OUTS(bootloader_out), .check = ks_check_bootloader, .write = ks_write_bootloader,
		.used_by = BOTH,
		.image_options = "append|timeout",
		.install_ignored = "default|extlinux|sdboot"},
	REMOVED("btrfs"),
	{.name = "cdrom", .order = "FC3_Cdrom"},
	{.name = "clearpart", .order = "F28_ClearPart", .priority = 120, OPTS(clearpart_opts),
		OUTS(clearpart_out), .check = ks_check_clearpart, .write = ks_write_clearpart,
		.used_by = KS_FOR_INSTALL},
	REMOVED("device"),
	REMOVED("deviceprobe"),
	REMOVED("dmraid"),
	{.name = "driverdisk", .order = "F14_DriverDisk", .multiple = true,
		ARGS(0, 1, "one partition"), OPTS(driverdisk_opts), .check = ks_check_driverdisk,
		.write = ks_write_driverdisk},
	{.name = "eula", .order = "F20_Eula", OPTS(eula_opts), OUTS(eula_out),
		.check = ks_check_eula},
	{.name = "fcoe", .order = "RHEL10_Fcoe", .priority = 71, .multiple = true, OPTS(fcoe_opts),
		OUTS(fcoe_out), .key = "nic", .key_help = "an FCoE device with the name"},
	{.name = "firewall", .order = "F28_Firewall", OPTS(firewall_opts), OUTS(firewall_out),
		.write = ks_write_firewall, .used_by = BOTH},
	{.name = "firstboot", .order = "FC3_Firstboot", OPTS(firstboot_opts), OUTS(firstboot_out),
		.tail_needed = true, .check = ks_check_firstboot, .used_by = KS_FOR_INSTALL},
	{.name = "group", .order = "F12_Group", .multiple = true, OPTS(group_opts),
		OUTS(group_out), .key = "name", .key_help = "a group with the name",
		.used_by = BOTH},
	{.name = "harddrive", .order = "F33_HardDrive", OPTS(harddrive_opts), OUTS(harddrive_out)},
	{.name = "hmc", .order = "F28_Hmc"},
	{.name = "ignoredisk", .order = "F34_IgnoreDisk", OPTS(ignoredisk_opts),
		OUTS(ignoredisk_out), .check = ks_check_ignoredisk, .used_by = KS_FOR_INSTALL},
	/* Ours: what an image is called. */
	{.name = "image", .order = "Z_Image", OPTS(image_opts), OUTS(image_out),
		.check = ks_check_image, .used_by = KS_FOR_IMAGE},
	REMOVED("install"),
	{.name = "iscsi", .order = "F17_Iscsi", .priority = 71, .multiple = true, OPTS(iscsi_opts),
		OUTS(iscsi_out)},
	{.name = "iscsiname", .order = "FC6_IscsiName", .priority = 70, ARGS(1, 1, "one name"),
		.head = "iscsiname $1"},
	{.name = "keyboard", .order = "F18_Keyboard", ARGS(0, 1, "one keyboard"),
		OPTS(keyboard_opts), .check = ks_check_keyboard, .write = ks_write_keyboard,
		.used_by = BOTH},
	{.name = "lang", .order = "F19_Lang", ARGS(1, 1, "one language"), OPTS(lang_opts),
		OUTS(lang_out), .write = ks_write_lang, .used_by = BOTH},
	{.name = "liveimg", .order = "F19_Liveimg", OPTS(liveimg_opts), OUTS(liveimg_out),
		.head = "liveimg --url=\"$url\"", .used_by = KS_FOR_INSTALL},
	{.name = "logging", .order = "F40_Logging", OPTS(logging_opts), OUTS(logging_out),
		.tail_needed = true, .check = ks_check_logging},
	{.name = "logvol", .order = "RHEL10_LogVol", .priority = 133, .multiple = true,
		ARGS(1, 1, "one mount point"), OPTS(logvol_opts), OUTS(logvol_out),
		.head = "logvol $1", .conflicts = NOT_WITH_AUTOPART, .check = ks_check_logvol,
		.key = "vgname+name", .key_help = "a logical volume with the group and name",
		.used_by = KS_FOR_INSTALL},
	{.name = "mediacheck", .order = "FC4_MediaCheck"},
	REMOVED("method"),
	DEPRECATED("module"),
	{.name = "mount", .order = "F27_Mount", .multiple = true,
		ARGS(2, 2, "a device and a mount point"), OPTS(mount_opts), OUTS(mount_out),
		.conflicts = "autopart|part|raid|volgroup|logvol|reqpart",
		.check = ks_check_mount, .write = ks_write_mount},
	REMOVED("multipath"),
	{.name = "network", .order = "RHEL10_Network", .multiple = true, OPTS(network_opts),
		OUTS(network_out), .check = ks_check_network, .write = ks_write_network,
		.key = "device", .key_help = "a network device with the name", .used_by = BOTH,
		.image_options = "bootproto|dhcpclass|device|ethtool|gateway|hostname|ip|mtu|nameserver|netmask|"
			"nodns|onboot|noipv4|noipv6|ipv6|nodefroute|bondslaves|bondopts|vlanid|"
			"ipv6gateway|interfacename|bridgeslaves|bridgeopts|ipv4-dns-search|"
			"ipv6-dns-search|ipv4-ignore-auto-dns|ipv6-ignore-auto-dns|"
			/* These two make a warning of their own. */
			"essid|teamslaves"},
	{.name = "nfs", .order = "FC6_NFS", OPTS(nfs_opts), OUTS(nfs_out)},
	REMOVED("nvdimm"),
	{.name = "ostreecontainer", .order = "F43_OSTreeContainer", OPTS(ostreecontainer_opts),
		OUTS(ostreecontainer_out), .conflicts = "ostreesetup|bootc",
		.check = ks_check_ostreecontainer},
	{.name = "ostreesetup", .order = "F43_OSTreeSetup", OPTS(ostreesetup_opts),
		OUTS(ostreesetup_out), .conflicts = "ostreecontainer|bootc",
		.check = ks_check_ostreesetup},
	{.name = "part", .order = "RHEL10_Partition", .priority = 130, .multiple = true,
		ARGS(1, 1, "one mount point"), OPTS(part_opts), OUTS(part_out), .head = "part $1",
		.conflicts = NOT_WITH_AUTOPART, .check = ks_check_part, .key = "$1",
		.key_help = "a partition with the mount point", .used_by = BOTH,
		.image_options = "fsoptions|fstype|size",
		.install_ignored = "asprimary"},
	{.name = "raid", .order = "RHEL10_Raid", .priority = 131, .multiple = true,
		ARGS(1, -1, "a mount point"), OPTS(raid_opts), OUTS(raid_out), .head = "raid $1",
		.conflicts = NOT_WITH_AUTOPART, .check = ks_check_raid, .write = ks_write_raid,
		.key = "device", .key_help = "a RAID device with the name"},
	{.name = "rdp", .order = "F43_RDP", OPTS(rdp_opts), OUTS(rdp_out)},
	{.name = "realm", .order = "F19_Realm", .raw = true, .check = ks_check_realm,
		.write = ks_write_realm},
	{.name = "reboot", .order = "F23_Reboot", OPTS(reboot_opts), OUTS(reboot_out),
		.write = ks_write_reboot, .used_by = KS_FOR_INSTALL},
	{.name = "repo", .order = "F40_Repo", .multiple = true, OPTS(repo_opts), OUTS(repo_out),
		.check = ks_check_repo, .write = ks_write_repo, .key = "name",
		.key_help = "a repo with the name", .used_by = KS_FOR_IMAGE,
		.image_options = "name|baseurl|mirrorlist|metalink|cost|excludepkgs|includepkgs|proxy|"
			"noverifyssl|sslcacert|sslclientcert|sslclientkey|suite|components|signedby|"
			"unsigned"},
	{.name = "reqpart", .order = "F23_ReqPart", .priority = 100, OPTS(reqpart_opts),
		OUTS(reqpart_out), .conflicts = NOT_WITH_AUTOPART, .used_by = KS_FOR_INSTALL},
	{.name = "rescue", .order = "F10_Rescue", OPTS(rescue_opts), OUTS(rescue_out),
		.check = ks_check_rescue},
	{.name = "rhsm", .order = "RHEL10_RHSM", OPTS(rhsm_opts), OUTS(rhsm_out),
		.check = ks_check_rhsm},
	{.name = "rootpw", .secret_args = true, .order = "F37_RootPw", ARGS(0, 1, "one password"), OPTS(rootpw_opts),
		.check = ks_check_rootpw, .write = ks_write_rootpw, .used_by = BOTH},
	{.name = "selinux", .order = "FC3_SELinux", OPTS(selinux_opts), OUTS(selinux_out),
		.tail_needed = true, .used_by = BOTH},
	{.name = "services", .order = "FC6_Services", OPTS(services_opts), OUTS(services_out),
		.tail_needed = true, .check = ks_check_services, .used_by = BOTH},
	{.name = "skipx", .order = "FC3_SkipX"},
	{.name = "snapshot", .order = "F26_Snapshot", .priority = 140, .multiple = true,
		ARGS(1, 1, "one VG/LV"), OPTS(snapshot_opts), OUTS(snapshot_out),
		.head = "snapshot $1", .check = ks_check_snapshot},
	{.name = "sshkey", .order = "F22_SshKey", .multiple = true, ARGS(1, 1, "one quoted key"),
		OPTS(sshkey_opts), .write = ks_write_sshkey, .key = "username+$1",
		.key_help = "an SSH key for the user", .used_by = BOTH},
	{.name = "sshpw", .secret_args = true, .order = "F24_SshPw", .multiple = true, ARGS(0, -1, "a password"),
		OPTS(sshpw_opts), .check = ks_check_sshpw, .write = ks_write_sshpw,
		.key = "username", .key_help = "an ssh user with the name"},
	{.name = "syspurpose", .order = "RHEL10_Syspurpose", OPTS(syspurpose_opts),
		OUTS(syspurpose_out), .tail_needed = true},
	{.name = "text", .order = "F26_DisplayMode", OPTS(displaymode_opts),
		.install_ignored = "non-interactive",
		.check = ks_check_displaymode, .write = ks_write_displaymode,
		.used_by = KS_FOR_INSTALL},
	{.name = "timesource", .order = "F33_Timesource", .multiple = true, OPTS(timesource_opts),
		OUTS(timesource_out), .tail_needed = true, .check = ks_check_timesource,
		.used_by = BOTH},
	{.name = "timezone", .order = "RHEL10_Timezone", ARGS(0, 1, "one time zone"),
		.empty_args_reset = true, OPTS(timezone_opts), .check = ks_check_timezone,
		.write = ks_write_timezone, .used_by = BOTH},
	{.name = "updates", .order = "F34_Updates", ARGS(1, 1, "one URL"), .head = "updates $1"},
	{.name = "url", .order = "F30_Url", OPTS(url_opts), OUTS(url_out), .check = ks_check_url,
		.write = ks_write_url, .used_by = KS_FOR_IMAGE},
	{.name = "user", .order = "F24_User", .multiple = true, OPTS(user_opts),
		.write = ks_write_user, .key = "name", .key_help = "a user with the name",
		.used_by = BOTH},
	DEPRECATED("vnc"),
	{.name = "volgroup", .order = "RHEL10_VolGroup", .priority = 132, .multiple = true,
		ARGS(0, -1, "a name and partitions"), OPTS(volgroup_opts), OUTS(volgroup_out),
		.head = "volgroup $1", .conflicts = NOT_WITH_AUTOPART, .check = ks_check_volgroup,
		.write = ks_write_volgroup, .key = "$1",
		.key_help = "a volume group with the name", .used_by = KS_FOR_INSTALL},
	{.name = "xconfig", .order = "F14_XConfig", OPTS(xconfig_opts), OUTS(xconfig_out),
		.head = "xconfig ", .tail_needed = true},
	{.name = "zerombr", .order = "F9_ZeroMbr", .priority = 110, .used_by = KS_FOR_INSTALL},
	{.name = "zfcp", .order = "F37_ZFCP", .priority = 71, .multiple = true, OPTS(zfcp_opts),
		OUTS(zfcp_out), .check = ks_check_zfcp, .key = "devnum+wwpn+fcplun",
		.key_help = "a zFCP device with the numbers"},
	{.name = "zipl", .order = "F32_Zipl", .priority = 10, OPTS(zipl_opts), OUTS(zipl_out),
		.tail_needed = true},
};
const size_t ks_commands_count = ARRAY_LEN(ks_commands);
static_assert(ARRAY_LEN(ks_commands) <= KS_COMMANDS_MAX, "KS_COMMANDS_MAX is too small");

const struct ks_alias ks_aliases[] = {
	{"cmdline", "text"},
	{"graphical", "text", .unused = true},
	{"halt", "reboot"},
	{"partition", "part"},
	{"poweroff", "reboot"},
	{"shutdown", "reboot"},
};
const size_t ks_aliases_count = ARRAY_LEN(ks_aliases);

#define SCRIPT_OPTS \
	FLAG("erroronfail"), \
	DEFAULT("interpreter", "/bin/sh"), \
	TEXT("log|logfile")
static const struct ks_opt script_opts[] = {
	SCRIPT_OPTS,
};
static const struct ks_opt post_opts[] = {
	SCRIPT_OPTS,
	FLAG("nochroot"),
};
static const struct ks_opt packages_opts[] = {
	FLAG("excludedocs"),
	FLAG("ignoremissing"),
	FLAG("default"),
	FLAG("multilib"),
	FLAG("nocore"),
	INT("timeout"),
	INT("retries"),
	TEXT("inst-langs"),
	FLAG("exclude-weakdeps"),
};
static const struct ks_opt certificate_opts[] = {
	NEEDED("filename"),
	TEXT("dir"),
	TEXT("type"),
};

/* Sorted by name.  Raw ones keep their header as it is. */
const struct ks_command ks_sections[] = {
	{.name = "%addon", .raw = true},
	{.name = "%anaconda", .raw = true},
	{.name = "%certificate", OPTS(certificate_opts)},
	{.name = "%onerror", OPTS(script_opts), .used_by = KS_FOR_INSTALL},
	{.name = "%packages", OPTS(packages_opts), .used_by = KS_FOR_IMAGE,
		.image_options = "excludedocs|ignoremissing|nocore|inst-langs|exclude-weakdeps|timeout|"
			"retries"},
	{.name = "%post", OPTS(post_opts), .used_by = BOTH},
	{.name = "%pre", OPTS(script_opts), .used_by = BOTH},
	{.name = "%pre-install", OPTS(script_opts), .used_by = KS_FOR_INSTALL},
	{.name = "%traceback", .status = KS_DEPRECATED, OPTS(script_opts)},
};
const size_t ks_sections_count = ARRAY_LEN(ks_sections);
/* clang-format on */
