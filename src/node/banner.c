/* SPDX-License-Identifier: Apache-2.0 */
#include "node/banner.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <fcntl.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netdb.h>
#include <sys/stat.h>
#include <sys/utsname.h>

#include "base/cmd.h"
#include "base/xalloc.h"

#define CONSOLE_PORT    9090
#define TIMEOUT_SECONDS 5
#define STACK_MAX       4 /* VLAN on a bridge on a bond on a card */

void banner_fini(struct banner *b)
{
	free(b->hostname);
	strv_fini(&b->ipv4);
	strv_fini(&b->ipv6);
	*b = (struct banner){0};
}

static bool has_card(int net_fd, const char *name, unsigned depth)
{
	autofd int fd = openat(net_fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	bool found = false;
	struct stat st;

	if (fd < 0)
		return false;
	if (fstatat(fd, "device", &st, 0) == 0)
		return true;
	DIR *dir = depth < STACK_MAX ? fdopendir(fd) : NULL;
	if (!dir)
		return false;
	take_fd(&fd);
	for (struct dirent *d; !found && (d = readdir(dir));)
		if (str_starts(d->d_name, "lower_"))
			found = has_card(net_fd, d->d_name + strlen("lower_"), depth + 1);
	closedir(dir);
	return found;
}

bool banner_is_real(int net_fd, const char *name)
{
	return has_card(net_fd, name, 0);
}

bool banner_wants(const struct sockaddr *a)
{
	if (a->sa_family == AF_INET) {
		const struct sockaddr_in *in = (const void *)a;
		uint32_t address = ntohl(in->sin_addr.s_addr);

		return address >> 24 != IN_LOOPBACKNET && address >> 16 != 0xa9fe;
	}
	if (a->sa_family == AF_INET6) {
		const struct in6_addr *in6 =
			&((const struct sockaddr_in6 *)(const void *)a)->sin6_addr;

		return !IN6_IS_ADDR_LOOPBACK(in6) && !IN6_IS_ADDR_LINKLOCAL(in6);
	}
	return false;
}

static void take_address(const struct sockaddr *a, struct banner *out)
{
	struct strv *list = a->sa_family == AF_INET ? &out->ipv4 : &out->ipv6;
	socklen_t len = a->sa_family == AF_INET ? sizeof(struct sockaddr_in)
						: sizeof(struct sockaddr_in6);
	char text[NI_MAXHOST];

	if (getnameinfo(a, len, text, sizeof(text), NULL, 0, NI_NUMERICHOST) == 0 &&
		!strv_has(list, text))
		strv_add(list, text);
}

static int take_addresses(struct banner *out, struct err *e)
{
	autofd int net_fd = open("/sys/class/net", O_PATH | O_DIRECTORY | O_CLOEXEC);
	struct ifaddrs *all;

	if (net_fd < 0)
		return err_errno(e, "/sys/class/net");
	if (getifaddrs(&all) < 0)
		return err_errno(e, "reading the network addresses");
	for (const struct ifaddrs *i = all; i; i = i->ifa_next)
		if (i->ifa_addr && banner_wants(i->ifa_addr) && banner_is_real(net_fd, i->ifa_name))
			take_address(i->ifa_addr, out);
	freeifaddrs(all);
	strv_sort(&out->ipv4);
	strv_sort(&out->ipv6);
	return 0;
}

static bool console_enabled(void)
{
	autocmd c = {.timeout_seconds = TIMEOUT_SECONDS};

	cmd_add(&c, "systemctl", "is-enabled", "--quiet", "cockpit.socket", NULL);
	return cmd_run(&c, NULL) == 0;
}

int banner_gather(struct banner *out, struct err *e)
{
	struct utsname names;

	if (uname(&names) < 0)
		return err_errno(e, "uname");
	out->hostname = xstrdup(names.nodename);
	out->has_console = console_enabled();
	return take_addresses(out, e);
}

/* A backslash begins a command of issue(5), and nothing but these belongs into a name. */
static void put_name(struct strbuf *b, const char *name)
{
	static const char plain[] =
		"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-";

	for (; *name; name++)
		strbuf_putc(b, strchr(plain, *name) ? *name : '?');
}

static void put_urls(struct strbuf *b, const struct strv *addresses, const char *open,
	const char *shut, const char **separator)
{
	for (size_t i = 0; i < addresses->count; i++) {
		strbuf_printf(b, "%shttps://%s%s%s:%d/", *separator, open, addresses->items[i],
			shut, CONSOLE_PORT);
		*separator = " or ";
	}
}

static void put_list(struct strbuf *b, const struct strv *addresses)
{
	for (size_t i = 0; i < addresses->count; i++)
		strbuf_printf(b, " %s", addresses->items[i]);
}

char *banner_text(const struct banner *n)
{
	bool has_address = n->ipv4.count + n->ipv6.count > 0;
	autostrbuf b = {0};

	strbuf_puts(&b, "Node: ");
	put_name(&b, n->hostname);
	strbuf_puts(&b, "\nAddresses:");
	put_list(&b, &n->ipv4);
	put_list(&b, &n->ipv6);
	strbuf_puts(&b, has_address ? "\n" : " none\n");
	if (n->has_console && has_address) {
		const char *separator = "Admin Console: ";

		put_urls(&b, &n->ipv4, "", "", &separator);
		put_urls(&b, &n->ipv6, "[", "]", &separator);
		strbuf_putc(&b, '\n');
	}
	strbuf_putc(&b, '\n');
	return strbuf_take(&b);
}
