/* SPDX-License-Identifier: Apache-2.0 */
/* What a kernel command line asks for, and the kickstart that older arguments become. */
#include "base/log.h"
#include "base/xalloc.h"
#include "install/legacy.h"
#include "install/request.h"
#include "ks/ks.h"
#include "ks/unattended.h"
#include "liveimg/booted.h"
#include "test.h"

#define HASH     "$6$salt$aA0./"
#define PASSWORD " rootpw=" HASH

/* Disks of a machine: two ATA, one on USB, one virtio. */
static void fill(struct inventory *inv)
{
	static const char *const disks[][4] = {
		{"/dev/sda", "sda", "ata", "/dev/disk/by-id/ata-DISK_S1"},
		{"/dev/sdb", "sdb", "ata", "/dev/disk/by-id/ata-DISK_S12"},
		{"/dev/sdc", "sdc", "usb", "/dev/disk/by-id/usb-STICK_U1"},
		{"/dev/vda", "vda", "virtio", "/dev/disk/by-id/virtio-V1"},
	};

	inv->disk_count = ARRAY_LEN(disks);
	inv->disks = xcalloc(inv->disk_count, sizeof(*inv->disks));
	for (size_t i = 0; i < inv->disk_count; i++) {
		inv->disks[i].path = xstrdup(disks[i][0]);
		inv->disks[i].name = xstrdup(disks[i][1]);
		inv->disks[i].bus = xstrdup(disks[i][2]);
		strv_add(&inv->disks[i].links, disks[i][3]);
	}
}

static int translate(const char *cmd_line, char **text, struct err *e)
{
	autoinventory inv = {0};
	autostrv words = {0};

	fill(&inv);
	cmd_line_split(cmd_line, &words);
	return legacy_kickstart(&words, &inv, text, e);
}

/* It parses without an error, and no question is open but the source: that is the medium. */
static void assert_complete(const char *text)
{
	struct ks_question questions[KS_QUESTIONS];
	autoptr(ks_doc) doc = NULL;
	struct err e = {0};

	assert_ok(ks_parse_text("legacy", text, strlen(text), NULL, &doc, &e), e);
	for (size_t i = 0; i < ks_problem_count(doc); i++)
		fail_msg("%s\n%s", ks_problem_at(doc, i)->text, text);
	ks_unattended(doc, questions);
	for (size_t i = 0; i < KS_QUESTIONS; i++)
		if (!questions[i].answered && !str_eq(questions[i].topic, "source"))
			fail_msg("%s: %s\n%s", questions[i].topic, questions[i].reason, text);
}

static void arguments_become_a_kickstart(void **state)
{
	static const struct {
		const char *cmd_line, *line;
	} cases[] = {
		{"storage_init=/dev/vda", "ignoredisk --only-use='vda'\n"},
		{"ovirt_init=/dev/vda", "clearpart --all --initlabel --drives='vda'\n"},
		{"storage_init=usb", "ignoredisk --only-use='sdc'\n"},
		{"storage_init=ata:S1", "ignoredisk --only-use='sda'\n"},
		{"storage_init=ata:DISK_S12", "ignoredisk --only-use='sdb'\n"},
		{"storage_init=ata:ALL", "ignoredisk --only-use='sda,sdb'\n"},
		{"storage_init=usb,/dev/vda,usb:U1", "ignoredisk --only-use='sdc,vda'\n"},
		{"storage_init=usb", "autopart --type=thinp\n"},
		{"storage_init=usb node_storage=minimal",
			"autopart --type=thinp --profile=minimal\n"},
		{"storage_init=usb hostname=n1.example.org", "network --hostname=n1.example.org\n"},
		{"storage_init=usb ip=off", "network --onboot=no --bootproto=dhcp\n"},
		{"storage_init=usb ip=off hostname=n1",
			"network --onboot=no --bootproto=dhcp --hostname=n1\n"},
		{"storage_init=usb BOOTIF=eth0",
			"network --device=eth0 --activate --onboot=yes --bootproto=dhcp\n"},
		{"storage_init=usb BOOTIF=01-52-54-00-12-34-56",
			"network --device=52:54:00:12:34:56 --activate --onboot=yes "
			"--bootproto=dhcp\n"},
		{"storage_init=usb BOOTIF=link ip=192.0.2.5 netmask=24 gateway=192.0.2.1 "
		 "dns=192.0.2.2,192.0.2.3 hostname=n1",
			"network --device=link --activate --onboot=yes --bootproto=static "
			"--ip=192.0.2.5 --netmask=255.255.255.0 --gateway=192.0.2.1 "
			"--nameserver=192.0.2.2,192.0.2.3 --hostname=n1\n"},
		{"storage_init=usb ip=192.0.2.5:192.0.2.9:192.0.2.1:255.255.0.0",
			"--bootproto=static --ip=192.0.2.5 --netmask=255.255.0.0 "
			"--gateway=192.0.2.1\n"},
		{"storage_init=usb ip=192.0.2.5::192.0.2.1:24:n2:ens3:none",
			"network --device=ens3 --activate --onboot=yes --bootproto=static "
			"--ip=192.0.2.5 --netmask=255.255.255.0 --gateway=192.0.2.1 "
			"--hostname=n2\n"},
		{"storage_init=usb ip=ens4:dhcp", "network --device=ens4 "},
		{"storage_init=usb BOOTIF=eth0 vlan=42", " --vlanid=42\n"},
		{"storage_init=usb ip=dhcp vlan=42:eth1", "network --device=eth1 "},
		{"storage_init=usb", "rootpw --iscrypted '" HASH "'\n"},
		{"storage_init=usb", "%post --erroronfail\nchage --lastday 0 root\n%end\n"},
		{"storage_init=usb reboot_delay=30", "%post --nochroot\nsleep 30\n%end\n"},
		{"storage_init=usb hostname=n1 local_boot_trigger=http://x/a?h=@HOSTNAME@&b",
			" -- 'http://x/a?h=''n1''&b'\n%end\n"},
		{"storage_init=usb local_boot_trigger=http://x/@HOSTNAME@/$(id)/'q;",
			" -- 'http://x/'\"$(hostname)\"'/$(id)/'\\''q;'\n%end\n"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		autofree char *cmd_line = xasprintf("%s" PASSWORD, cases[i].cmd_line);
		autofree char *text = NULL;
		struct err e = {0};

		if (translate(cmd_line, &text, &e) < 0)
			fail_msg("%s: %s", cmd_line, e.msg);
		if (!strstr(text, cases[i].line))
			fail_msg("%s: no '%s' in:\n%s", cmd_line, cases[i].line, text);
		assert_complete(text);
	}
}

static void what_is_ignored_is_said(void **state)
{
	autofree char *text = NULL, *said = NULL;
	size_t len = 0;
	struct err e = {0};
	FILE *log = open_memstream(&said, &len);

	(void)state;
	log_add_copy(log, LOG_LEVEL_NORMAL);
	assert_ok(
		translate(
			"storage_init=usb ntp=a syslog=b:1 ssh_pwauth=0 disable_kdump stateless=0 "
			"management_server=m.example.org quiet" PASSWORD,
			&text, &e),
		e);
	log_drop_copy(log);
	fclose(log);
	assert_string_equal(said,
		"warning: ignored of the kernel's arguments: disable_kdump, management_server=, "
		"ntp=, ssh_pwauth=, syslog=: a kickstart can say that, inst.ks=URL\n");
}

static void bad_arguments_are_refused(void **state)
{
	static const struct {
		const char *cmd_line, *msg;
	} cases[] = {
		{"storage_init=ata" PASSWORD,
			"kernel argument storage_init=ata: 2 disks fit: name one, or ata:ALL"},
		{"storage_init=ata:S2" PASSWORD,
			"kernel argument storage_init=ata:S2: no such disk"},
		{"storage_init=/dev/sdz" PASSWORD,
			"kernel argument storage_init=/dev/sdz: no such disk"},
		{"storage_init=cciss" PASSWORD,
			"kernel argument storage_init=cciss: expected /dev/NAME, or ata, scsi, "
			"usb, virtio, nvme or mmc with :SERIAL or :ALL"},
		{"storage_init" PASSWORD,
			"kernel argument storage_init=: expected the disks to install on"},
		{"storage_init=usb;ata" PASSWORD,
			"kernel argument storage_init=usb;ata: expected disks of one volume group: "
			"a second one behind ';' is not supported"},
		{"storage_init=usb",
			"kernel argument rootpw= is missing: nobody could log in to the node"},
		{"storage_init=usb rootpw=secret",
			"kernel argument rootpw=: expected a crypted password, as 'openssl passwd "
			"-6' makes it"},
		{"storage_init=usb rootpw=$6$x'",
			"kernel argument rootpw=: expected a crypted password, as 'openssl passwd "
			"-6' makes it"},
		{"storage_init=usb storage_vol=1:2" PASSWORD,
			"kernel argument storage_vol= is not supported: use a kickstart, "
			"inst.ks=URL"},
		{"storage_init=usb stateless" PASSWORD,
			"kernel argument stateless is not supported: use a kickstart, inst.ks=URL"},
		{"storage_init=usb ovirt_stateless=1" PASSWORD,
			"kernel argument ovirt_stateless= is not supported: use a kickstart, "
			"inst.ks=URL"},
		{"storage_init=usb hostname=\"a reboot\"" PASSWORD,
			"kernel argument hostname=a reboot: expected letters, digits, '.' and "
			"'-'"},
		{"storage_init=usb ip=192.0.2.5" PASSWORD,
			"kernel argument ip=192.0.2.5: netmask= is missing"},
		{"storage_init=usb ip=192.0.2.5 netmask=255.0.255.0" PASSWORD,
			"kernel argument netmask=255.0.255.0: expected 255.255.255.0 or 24"},
		{"storage_init=usb ip=[2001:db8::1]" PASSWORD,
			"kernel argument ip=[2001:db8::1]: expected dhcp, off, ADDRESS, or "
			"ADDRESS:SERVER:GATEWAY:NETMASK"},
		{"storage_init=usb BOOTIF=\"eth0 --noipv4\"" PASSWORD,
			"kernel argument BOOTIF=eth0 --noipv4: expected a MAC address, a device, "
			"or link"},
		{"storage_init=usb ip=dhcp dns=x" PASSWORD,
			"kernel argument dns=x: expected IPv4 addresses between commas"},
		{"storage_init=usb vlan=0" PASSWORD,
			"kernel argument vlan=0: expected a number from 1 to 4094, and :DEVICE"},
		{"storage_init=usb reboot_delay=1;id" PASSWORD,
			"kernel argument reboot_delay=1;id: expected seconds, at most 86400"},
		{"storage_init=usb local_boot_trigger=file:///etc/shadow" PASSWORD,
			"kernel argument local_boot_trigger=file:///etc/shadow: expected an http "
			"or https URL"},
		{"storage_init=usb node_storage=x" PASSWORD,
			"kernel argument node_storage=x: expected minimal"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		autofree char *text = NULL;
		struct err e = {0};

		if (translate(cases[i].cmd_line, &text, &e) == 0)
			fail_msg("'%s' was taken:\n%s", cases[i].cmd_line, text);
		assert_string_equal(e.msg, cases[i].msg);
		assert_null(text);
	}
}

static void the_command_line_says_what_to_do(void **state)
{
	static const struct {
		const char *cmd_line;
		enum request_kind kind;
		const char *kickstart;
	} cases[] = {
		{"root=live:/dev/sr0 quiet", REQUEST_NONE, NULL},
		{"install", REQUEST_INSTALL, NULL},
		{"inst.ks=http://h/a.ks", REQUEST_INSTALL, "http://h/a.ks"},
		{"reinstall inst.ks=medium", REQUEST_REINSTALL, "medium"},
		{"reinstall=0", REQUEST_NONE, NULL},
		{"reinstall=1", REQUEST_REINSTALL, NULL},
		{"firstboot storage_init=/dev/sda", REQUEST_REINSTALL, NULL},
		{"storage_init=/dev/sda", REQUEST_INSTALL, NULL},
		{"storage_init", REQUEST_INSTALL, NULL},
		{"upgrade", REQUEST_UPGRADE, NULL},
		{"storage_init=/dev/sda local_boot", REQUEST_UPGRADE, NULL},
		{"storage_init=/dev/sda ovirt_local_boot=1", REQUEST_UPGRADE, NULL},
		{"storage_init=/dev/sda local_boot_trigger=http://h/", REQUEST_INSTALL, NULL},
		{"uninstall", REQUEST_UNINSTALL, NULL},
		{"rescue inst.ks=x install", REQUEST_NONE, NULL},
		{"bedplate.layer=node-1+1 install", REQUEST_NONE, NULL},
		{"installer noinstall install.x", REQUEST_NONE, NULL},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		autostrv words = {0};
		struct request req;
		struct err e = {0};

		cmd_line_split(cases[i].cmd_line, &words);
		assert_ok(request_parse(&words, &req, &e), e);
		if (req.kind != cases[i].kind)
			fail_msg("'%s' asks for %s", cases[i].cmd_line, request_name(req.kind));
		if (cases[i].kickstart)
			assert_string_equal(req.kickstart, cases[i].kickstart);
		else
			assert_null(req.kickstart);
	}
}

static void two_requests_are_refused(void **state)
{
	autostrv words = {0};
	struct request req;
	struct err e = {0};

	(void)state;
	cmd_line_split("install uninstall", &words);
	assert_fails(request_parse(&words, &req, &e), EINVAL, e,
		"the kernel command line asks for install and for uninstall at once");
}

static void words_are_split_as_the_kernel_does(void **state)
{
	autostrv words = {0};

	(void)state;
	cmd_line_split("  a=1 b=\"x y\" \"c=z w\" a=2\n", &words);
	assert_int_equal(words.count, 4);
	assert_string_equal(words.items[1], "b=x y");
	assert_string_equal(words.items[2], "c=z w");
	assert_string_equal(cmd_line_value(&words, "a"), "2");
	assert_null(cmd_line_value(&words, "x"));
	assert_false(cmd_line_has(&words, "a"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(arguments_become_a_kickstart),
		cmocka_unit_test(what_is_ignored_is_said),
		cmocka_unit_test(bad_arguments_are_refused),
		cmocka_unit_test(the_command_line_says_what_to_do),
		cmocka_unit_test(two_requests_are_refused),
		cmocka_unit_test(words_are_split_as_the_kernel_does),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
