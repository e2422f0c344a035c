/* SPDX-License-Identifier: Apache-2.0 */
#include "netroot/servers.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <sys/socket.h>
#include <time.h>

#include "base/interrupt.h"
#include "base/macro.h"

#define AWAIT_MS 30000
#define NAP_MS   50

void servers_nbdkit(
	struct cmd *c, const char *images, const char *listen, uint16_t port, const char *user)
{
	cmd_add(c, "nbdkit", "--exit-with-parent", "--readonly", NULL);
	if (listen)
		cmd_add(c, "--ipaddr", listen, NULL);
	if (user)
		cmd_add(c, "--user", user, "--group", SERVERS_GROUP, NULL);
	cmd_add(c, "--port", NULL);
	cmd_addf(c, "%u", port);
	cmd_add(c, "file", NULL);
	cmd_addf(c, "dir=%s", images);
}

/* Only addresses: what is a name today may be another machine tomorrow. */
static int find_address(
	const char *listen, uint16_t port, int type, struct addrinfo **out, struct err *e)
{
	const struct addrinfo hints = {
		.ai_socktype = type, .ai_flags = AI_PASSIVE | AI_NUMERICHOST | AI_NUMERICSERV};
	char text[8];

	snprintf(text, sizeof(text), "%u", port);
	int failed = getaddrinfo(listen, text, &hints, out);
	return failed ? err_set(e, EINVAL, "bad address '%s': %s", listen ? listen : "",
				gai_strerror(failed))
		      : 0;
}

static uint16_t port_of(int fd)
{
	struct sockaddr_storage a = {0};
	socklen_t len = sizeof(a);

	if (getsockname(fd, (struct sockaddr *)&a, &len) < 0)
		return 0;
	return ntohs(a.ss_family == AF_INET6 ? ((struct sockaddr_in6 *)&a)->sin6_port
					     : ((struct sockaddr_in *)&a)->sin_port);
}

int servers_check_port(const char *listen, uint16_t port, int type, uint16_t *out, struct err *e)
{
	const char *kind = type == SOCK_DGRAM ? "UDP" : "TCP";
	struct addrinfo *list = NULL;
	const int on = 1;
	int r = find_address(listen, port, type, &list, e);

	if (r < 0)
		return r;
	autofd int fd = socket(list->ai_family, type | SOCK_CLOEXEC, 0);
	/* A server that has ended leaves connections behind, which do not matter. */
	if (fd < 0 ||
		(type == SOCK_STREAM &&
			setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) < 0))
		r = err_errno(e, "socket");
	else if (bind(fd, list->ai_addr, list->ai_addrlen) < 0)
		r = errno == EADDRINUSE
			? err_set(e, EADDRINUSE, "%s port %u%s%s is in use by another program",
				  kind, port, listen ? " of " : "", listen ? listen : "")
			: err_errno(e, "%s port %u%s%s", kind, port, listen ? " of " : "",
				  listen ? listen : "");
	freeaddrinfo(list);
	if (r == 0 && out)
		*out = port_of(fd);
	return r;
}

static bool answers(const struct addrinfo *a)
{
	autofd int fd = socket(a->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);

	return fd >= 0 && connect(fd, a->ai_addr, a->ai_addrlen) == 0;
}

int servers_await(const struct cmd *c, const char *listen, uint16_t port, struct err *e)
{
	static const struct timespec nap = {.tv_nsec = NAP_MS * 1000000L};
	struct addrinfo *list = NULL;
	int r = find_address(listen ? listen : "127.0.0.1", port, SOCK_STREAM, &list, e);
	bool up = false;

	for (int i = 0; r == 0 && !up && i < AWAIT_MS / NAP_MS; i++) {
		r = interrupt_check(e);
		if (r == 0 && cmd_ended(c))
			r = err_set(e, EPROTO, "%s has ended", c->argv.items[0]);
		up = r == 0 && answers(list);
		if (!up)
			nanosleep(&nap, NULL);
	}
	if (r == 0 && !up)
		r = err_set(e, ETIMEDOUT, "%s does not listen on port %u", c->argv.items[0], port);
	if (list)
		freeaddrinfo(list);
	return r;
}
