/* SPDX-License-Identifier: Apache-2.0 */
#include "vm/domain.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <libvirt/libvirt.h>
#include <libvirt/virterror.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/xalloc.h"
#include "vm/disk.h"

#define NAME_MAX_BYTES  255
#define SESSION_PATH    "/session"
#define DEFAULT_NETWORK "default"

/* The bytes of the UTF-8 character at s; 0 when it is none, or one that XML 1.0 cannot hold. */
static size_t character(const char *s)
{
	unsigned char c = (unsigned char)s[0];
	size_t len = c < 0x80 ? 1 : c >= 0xf0 ? 4 : c >= 0xe0 ? 3 : 2;
	uint32_t code = len == 1 ? c : c & (0xffU >> (len + 1));
	static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};

	if ((c >= 0x80 && c < 0xc2) || c > 0xf4 || c < ' ' || c == 0x7f)
		return 0;
	for (size_t i = 1; i < len; i++) {
		if (((unsigned char)s[i] & 0xc0) != 0x80)
			return 0;
		code = code << 6 | ((unsigned char)s[i] & 0x3f);
	}
	if (code < least[len] || code > 0x10ffff || (code >= 0xd800 && code < 0xe000))
		return 0;
	return (code & 0xfffe) == 0xfffe ? 0 : len;
}

static int check_text(const char *what, const char *text, struct err *e)
{
	for (size_t len; *text; text += len) {
		len = character(text);
		if (len == 0)
			return err_set(e, EINVAL,
				"%s has a control character or is not UTF-8, "
				"which libvirt cannot hold",
				what);
	}
	return 0;
}

static int check(const struct domain_spec *spec, struct err *e)
{
	int r = check_text("the name", spec->name, e);

	if (r < 0)
		return r;
	if (!*spec->name || strchr(spec->name, '/') || strlen(spec->name) > NAME_MAX_BYTES)
		return err_set(e, EINVAL, "bad name '%.100s': 1 to %d bytes without '/' are needed",
			spec->name, NAME_MAX_BYTES);
	return vm_check_size(spec->memory_bytes, spec->cpus, e);
}

/* Text for an element or an attribute in single quotes; it was checked. */
static void put_text(struct strbuf *b, const char *text)
{
	for (; *text; text++) {
		if (*text == '&')
			strbuf_puts(b, "&amp;");
		else if (*text == '<')
			strbuf_puts(b, "&lt;");
		else if (*text == '>')
			strbuf_puts(b, "&gt;");
		else if (*text == '\'')
			strbuf_puts(b, "&apos;");
		else
			strbuf_putc(b, *text);
	}
}

static void put_attribute(struct strbuf *b, const char *before, const char *text, const char *after)
{
	strbuf_puts(b, before);
	put_text(b, text);
	strbuf_puts(b, after);
}

static void put_os(
	struct strbuf *b, const struct domain_spec *spec, const char *code, const char *vars)
{
	bool secure = spec->firmware == VM_FIRMWARE_SECURE_BOOT;

	strbuf_puts(b, "  <os>\n    <type arch='x86_64' machine='q35'>hvm</type>\n");
	if (code) {
		strbuf_printf(b, "    <loader readonly='yes'%s type='pflash'>",
			secure ? " secure='yes'" : "");
		put_attribute(b, "", code, "</loader>\n    <nvram>");
		put_attribute(b, "", vars, "</nvram>\n");
	}
	strbuf_puts(b, "    <boot dev='hd'/>\n  </os>\n");
	strbuf_printf(b, "  <features>\n    <acpi/>\n    <apic/>\n%s  </features>\n",
		secure ? "    <smm state='on'/>\n" : "");
}

/* What sys/vm.c gives QEMU, in libvirt's words. */
static void put_cpu(struct strbuf *b, const struct domain_spec *spec)
{
	if (spec->accel == VM_ACCEL_KVM) {
		strbuf_puts(b, "  <cpu mode='host-passthrough'/>\n");
		return;
	}
	strbuf_puts(b,
		"  <cpu mode='maximum'>\n    <feature policy='disable' name='erms'/>\n"
		"    <feature policy='disable' name='fsrm'/>\n  </cpu>\n");
}

static void put_devices(struct strbuf *b, const char *disk, bool is_block, bool is_session)
{
	strbuf_printf(b,
		"  <devices>\n    <disk type='%s' device='disk'>\n"
		"      <driver name='qemu' type='%s' discard='unmap'/>\n",
		is_block ? "block" : "file", vm_disk_format(disk));
	put_attribute(b, is_block ? "      <source dev='" : "      <source file='", disk, "'/>\n");
	strbuf_puts(b,
		"      <target dev='vda' bus='virtio'/>\n      <serial>disk</serial>\n"
		"    </disk>\n");
	/* Only the system's libvirt has networks of its own. */
	strbuf_puts(b,
		is_session ? "    <interface type='user'>\n"
			   : "    <interface type='network'>\n"
			     "      <source network='" DEFAULT_NETWORK "'/>\n");
	strbuf_puts(b,
		"      <model type='virtio'/>\n    </interface>\n"
		"    <serial type='pty'/>\n"
		"    <console type='pty'>\n      <target type='serial'/>\n    </console>\n"
		"    <rng model='virtio'>\n"
		"      <backend model='random'>/dev/urandom</backend>\n    </rng>\n"
		"  </devices>\n");
}

/* Absolute, but not the target of a link: the name says the format, and the variables lie beside it. */
static char *absolute(const char *path)
{
	const char *slash = strrchr(path, '/');
	autofree char *folder = file_parent(path);
	autofree char *real = realpath(folder, NULL);

	return real ? xasprintf("%s/%s", str_eq(real, "/") ? "" : real, slash ? slash + 1 : path)
		    : NULL;
}

/* type: "kvm", "qemu", or what else the hypervisor calls its machines. */
static int describe(const struct domain_spec *spec, const char *type, bool is_session, char **xml,
	struct err *e)
{
	autofree char *disk = NULL, *vars = NULL;
	const char *code = NULL, *template;
	autostrbuf b = {0};
	struct stat st;
	int r = check(spec, e);

	if (r < 0)
		return r;
	if (stat(spec->disk, &st) < 0)
		return err_errno(e, "%s", spec->disk);
	disk = absolute(spec->disk);
	if (!disk)
		return err_errno(e, "%s", spec->disk);
	r = check_text("the path of the disk", disk, e);
	if (r == 0 && spec->firmware != VM_FIRMWARE_BIOS)
		r = vm_find_firmware(spec->firmware, &code, &template, e);
	if (r < 0)
		return r;
	if (code)
		vars = disk_vars_path(disk, spec->firmware);

	put_attribute(&b, "<domain type='", type, "'>\n  <name>");
	put_attribute(&b, "", spec->name, "</name>\n");
	strbuf_printf(&b, "  <memory unit='b'>%" PRIu64 "</memory>\n  <vcpu>%" PRIu64 "</vcpu>\n",
		spec->memory_bytes, spec->cpus);
	put_os(&b, spec, code, vars);
	put_cpu(&b, spec);
	put_devices(&b, disk, S_ISBLK(st.st_mode), is_session);
	strbuf_puts(&b, "</domain>\n");
	*xml = strbuf_take(&b);
	return 0;
}

/* The path of qemu:///session, or of qemu+unix:///session?socket=/run/... */
static bool is_session_uri(const char *uri)
{
	size_t len = strcspn(uri, "?#");

	return len >= strlen(SESSION_PATH) &&
		strncmp(uri + len - strlen(SESSION_PATH), SESSION_PATH, strlen(SESSION_PATH)) == 0;
}

static const char *type_of(enum vm_accel accel)
{
	return accel == VM_ACCEL_KVM ? "kvm" : "qemu";
}

int domain_describe(const struct domain_spec *spec, char **xml, struct err *e)
{
	/* libvirt's own default. */
	bool is_session = spec->uri ? is_session_uri(spec->uri) : geteuid() != 0;

	return describe(spec, type_of(spec->accel), is_session, xml, e);
}

/* libvirt would print its errors otherwise. */
static void keep_quiet(UNUSED void *ctx, UNUSED virErrorPtr error)
{
}

/* libvirt's last error as one line. */
static int refused(struct err *e, int code, const char *what)
{
	const virError *last = virGetLastError();
	autofree char *text = xstrdup(last && last->message ? last->message : "no reason given");

	for (char *p = text; *p; p++)
		if (iscntrl((unsigned char)*p))
			*p = ' ';
	return err_set(e, code, "%s: %s", what, text);
}

static int define(virConnectPtr connection, const struct domain_spec *spec, struct err *e)
{
	const char *driver = virConnectGetType(connection);
	autofree char *uri = virConnectGetURI(connection);
	autofree char *type = NULL, *xml = NULL;
	virDomainPtr domain;
	int r;

	if (!driver || !uri)
		return refused(e, EPROTO, "libvirt");
	domain = virDomainLookupByName(connection, spec->name);
	if (domain) {
		virDomainFree(domain);
		return err_set(e, EEXIST, "%s has a machine '%s' already", uri, spec->name);
	}
	type = xstrdup(str_eq(driver, "QEMU") ? type_of(spec->accel) : driver);
	for (char *p = type; *p; p++)
		*p = (char)tolower((unsigned char)*p);
	r = describe(spec, type, is_session_uri(uri), &xml, e);
	if (r < 0)
		return r;
	domain = virDomainDefineXMLFlags(connection, xml, VIR_DOMAIN_DEFINE_VALIDATE);
	if (!domain)
		return refused(e, EPROTO, uri);
	virDomainFree(domain);
	return 0;
}

/* *made: the caller removes them when nothing comes of the machine. */
static int make_vars(const struct domain_spec *spec, char **made, struct err *e)
{
	autofree char *vars = disk_vars_path(spec->disk, spec->firmware);
	const char *code, *template;
	int r;

	if (!vars || file_exists(vars))
		return 0;
	r = vm_find_firmware(spec->firmware, &code, &template, e);
	if (r == 0)
		r = vm_copy_vars(template, vars, e);
	if (r == 0)
		*made = take_ptr(vars);
	return r;
}

int domain_define(const struct domain_spec *spec, struct err *e)
{
	autofree char *made = NULL;
	virConnectPtr connection;
	int r = check(spec, e);

	if (r < 0)
		return r;
	virSetErrorFunc(NULL, keep_quiet);
	connection = virConnectOpen(spec->uri);
	if (!connection)
		return refused(e, ECONNREFUSED, spec->uri ? spec->uri : "libvirt");
	r = make_vars(spec, &made, e);
	if (r == 0)
		r = define(connection, spec, e);
	if (r < 0 && made)
		unlink(made);
	virConnectClose(connection);
	return r;
}
