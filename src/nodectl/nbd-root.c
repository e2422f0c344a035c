/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Keeps the root of a diskless node connected: docs/netroot.md, "A client of ours".
 *
 * /run/bedplate/netroot names the export and the servers, a line each.  The kernel talks to the server; this
 * program only finds one that has the export, at first and whenever a connection has broken.  Until
 * there is one, whoever reads the root waits.  It is started in the initramfs and lives on in the
 * real root, whose files it must not need: addresses are looked up before the first connection.
 */
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/nbd-netlink.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <time.h>

#include "base/cleanup.h"
#include "base/endian.h"
#include "base/macro.h"
#include "nodectl/nbd-root.h"

#define SETTINGS     "/run/bedplate/netroot"
#define WHY          "/run/bedplate/netroot.why"
#define CONNECTED    "/sys/block/nbd0/pid"
#define SIZE_FILE    "/sys/block/nbd0/size"
#define DEFAULT_PORT "10809"

#define TALK_SECONDS  10
#define RETRY_SECONDS 2
#define LOST_MS       30000 /* no answer from a server that is switched off */

/* https://github.com/NetworkBlockDevice/nbd/blob/master/doc/proto.md */
#define NBD_GREETING       0x4e42444d41474943ULL
#define NBD_OPTION_MAGIC   0x49484156454f5054ULL
#define NBD_REPLY_MAGIC    0x0003e889045565a9ULL
#define NBD_FIXED_NEWSTYLE 1
#define NBD_OPT_GO         7
#define NBD_REP_ACK        1
#define NBD_REP_INFO       3
#define NBD_REP_FIRST_ERR  0x80000000U
#define NBD_REP_ERR_TLS    0x80000005U
#define NBD_REP_ERR_NONE   0x80000006U
#define NBD_INFO_EXPORT    0
#define NBD_REPLY_MAX      4096

struct greeting {
	be64 magic, option_magic;
	be16 flags;
};
static_assert(sizeof(struct greeting) == 18, "as the protocol has it");

struct option {
	be64 magic;
	be32 option, len;
};

struct reply {
	be64 magic;
	be32 option, type, len;
};
static_assert(sizeof(struct reply) == 20, "as the protocol has it");

static void nap(time_t seconds)
{
	const struct timespec t = {.tv_sec = seconds};

	nanosleep(&t, NULL);
}

/* The kernel's log is on the console, and there when nothing can be written. */
static void PRINTF(2, 3) say(const struct nbd_root *r, const char *fmt, ...)
{
	char text[512];
	va_list ap;

	va_start(ap, fmt);
	int n = vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (n > 0 && dprintf(r->kmsg_fd, "<5>bedplate: %s\n", text) < 0)
		perror("/dev/kmsg");
}

int nbd_because(const struct nbd_root *r, const char *fmt, ...)
{
	char text[512];
	va_list ap;

	va_start(ap, fmt);
	int n = vsnprintf(text, sizeof(text) - 1, fmt, ap);
	va_end(ap);
	if (n < 0)
		return -1;
	size_t len = MIN((size_t)n, sizeof(text) - 2);
	text[len++] = '\n';
	if (ftruncate(r->why_fd, 0) < 0 || pwrite(r->why_fd, text, len, 0) < 0)
		perror(WHY);
	return -1;
}

/* For nothing recv() would wait as well, until something comes or the time is up. */
static bool read_all(int fd, void *buf, size_t len)
{
	return len == 0 || recv(fd, buf, len, MSG_WAITALL) == (ssize_t)len;
}

static bool write_all(int fd, const void *buf, size_t len)
{
	return send(fd, buf, len, MSG_NOSIGNAL) == (ssize_t)len;
}

/* -1: the server does not offer the export, or is none. */
static int take_replies(
	const struct nbd_root *r, const char *server, int fd, uint64_t *size, uint16_t *flags)
{
	char data[NBD_REPLY_MAX];
	struct reply head;

	for (;;) {
		if (!read_all(fd, &head, sizeof(head)) || be64_get(head.magic) != NBD_REPLY_MAGIC ||
			be32_get(head.len) > sizeof(data) ||
			!read_all(fd, data, be32_get(head.len)))
			return nbd_because(r, "%s: no answer of an NBD server", server);
		uint32_t type = be32_get(head.type), len = be32_get(head.len);
		if (type == NBD_REP_ACK)
			return *size > 0
				? 0
				: nbd_because(r, "%s: '%s' is empty", server, r->export_name);
		if (type == NBD_REP_ERR_NONE)
			return nbd_because(r, "%s: has no export '%s'", server, r->export_name);
		if (type == NBD_REP_ERR_TLS)
			return nbd_because(
				r, "%s: demands TLS, which is not supported here", server);
		if (type >= NBD_REP_FIRST_ERR)
			return nbd_because(r, "%s: refused '%s' (error %u)", server, r->export_name,
				type - NBD_REP_FIRST_ERR);
		struct {
			be16 type;
			be64 size;
			be16 flags;
		} info;
		static_assert(sizeof(info) == 12, "as the protocol has it");
		if (type != NBD_REP_INFO || len < sizeof(info))
			continue;
		memcpy(&info, data, sizeof(info));
		if (be16_get(info.type) != NBD_INFO_EXPORT)
			continue;
		*size = be64_get(info.size);
		*flags = be16_get(info.flags);
	}
}

static int negotiate(
	const struct nbd_root *r, const char *server, int fd, uint64_t *size, uint16_t *flags)
{
	struct greeting hello;
	uint32_t name_len = (uint32_t)strlen(r->export_name);
	struct option go = {
		be64_put(NBD_OPTION_MAGIC), be32_put(NBD_OPT_GO), be32_put(name_len + 6)};
	be32 client = be32_put(NBD_FIXED_NEWSTYLE), len = be32_put(name_len);
	be16 no_infos = be16_put(0);
	char out[sizeof(client) + sizeof(go) + sizeof(len) + EXPORT_MAX + sizeof(no_infos)];
	size_t at = 0;

	if (!read_all(fd, &hello, sizeof(hello)) || be64_get(hello.magic) != NBD_GREETING ||
		be64_get(hello.option_magic) != NBD_OPTION_MAGIC ||
		!(be16_get(hello.flags) & NBD_FIXED_NEWSTYLE))
		return nbd_because(r, "%s: no answer of an NBD server", server);
	const struct {
		const void *data;
		size_t len;
	} parts[] = {{&client, sizeof(client)}, {&go, sizeof(go)}, {&len, sizeof(len)},
		{r->export_name, name_len}, {&no_infos, sizeof(no_infos)}};
	for (size_t i = 0; i < ARRAY_LEN(parts); i++) {
		memcpy(out + at, parts[i].data, parts[i].len);
		at += parts[i].len;
	}
	if (!write_all(fd, out, at))
		return nbd_because(r, "%s: %m", server);
	return take_replies(r, server, fd, size, flags);
}

static void limit_talk(int fd, time_t seconds)
{
	const struct timeval t = {.tv_sec = seconds};

	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &t, sizeof(t));
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &t, sizeof(t));
}

/* "HOST", "HOST:PORT", "[ADDRESS]:PORT".  The name may be looked up as long as the initramfs is there. */
static int look_up(const struct nbd_root *r, struct server *s)
{
	const struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
	char host[LINE_BYTES];
	const char *port = DEFAULT_PORT;
	struct addrinfo *list;

	memcpy(host, s->name, sizeof(host));
	char *begin_of = host + (*host == '['), *end = strchr(host, *host == '[' ? ']' : ':');
	if (end && *end == ']')
		*end++ = '\0';
	if (end && *end == ':') {
		*end = '\0';
		port = end + 1;
	}
	int failed = getaddrinfo(begin_of, port, &hints, &list);
	if (failed)
		return nbd_because(r, "%s: %s", s->name, gai_strerror(failed));
	s->count = 0;
	for (const struct addrinfo *a = list; a && s->count < ADDRESSES_MAX; a = a->ai_next) {
		memcpy(&s->addresses[s->count], a->ai_addr, a->ai_addrlen);
		s->lens[s->count++] = a->ai_addrlen;
	}
	freeaddrinfo(list);
	return 0;
}

static void set_options(int fd)
{
	const int on = 1, idle = 30, interval = 10, count = 3, lost = LOST_MS;

	limit_talk(fd, 0);
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
	setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle, sizeof(idle));
	setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &interval, sizeof(interval));
	setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &count, sizeof(count));
	setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &lost, sizeof(lost));
}

static int try_address(struct nbd_root *r, const struct server *s, size_t i)
{
	autofd int fd = socket(s->addresses[i].ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	bool again = r->size_bytes > 0;
	uint64_t size = 0;
	uint16_t flags = 0;

	if (fd < 0)
		return nbd_because(r, "%s: %m", s->name);
	limit_talk(fd, TALK_SECONDS);
	if (connect(fd, (const struct sockaddr *)&s->addresses[i], s->lens[i]) < 0)
		return nbd_because(
			r, "%s: %s", s->name, errno == EINPROGRESS ? "no answer" : strerror(errno));
	if (negotiate(r, s->name, fd, &size, &flags) < 0)
		return -1;
	if (again && size != r->size_bytes)
		return nbd_because(r, "%s: '%s' is another image there", s->name, r->export_name);
	set_options(fd);
	r->size_bytes = size;
	r->flags = flags;
	int result = nbd_kernel_hand_over(r, fd, again ? NBD_CMD_RECONFIGURE : NBD_CMD_CONNECT);
	if (result == 0)
		return 0;
	if (!again)
		r->size_bytes = 0;
	return nbd_because(r, "nbd: %s", strerror(-result));
}

/* All servers in turn, from the one on that was connected. */
static int connect_any(struct nbd_root *r)
{
	for (size_t n = 0; n < r->count; n++) {
		size_t i = (r->last + n) % r->count;
		struct server *s = &r->servers[i];

		if (s->count == 0 && look_up(r, s) < 0)
			continue;
		for (size_t k = 0; k < s->count; k++) {
			if (try_address(r, s, k) < 0)
				continue;
			r->last = i;
			return 0;
		}
	}
	return -1;
}

static bool is_connected(void)
{
	return access(CONNECTED, F_OK) == 0;
}

/* Of a device that another run of this program has connected. */
static uint64_t device_bytes(void)
{
	autofree char *line = NULL;
	size_t room = 0;
	FILE *f = fopen(SIZE_FILE, "re");
	uint64_t n = f && getline(&line, &room, f) > 0 ? strtoumax(line, NULL, 10) : 0;

	if (f)
		fclose(f);
	return n * SECTOR_BYTES;
}

static void take_line(char *out, size_t room, const char *line)
{
	snprintf(out, room, "%.*s", (int)strcspn(line, "\n"), line);
}

static int read_settings(struct nbd_root *r)
{
	autofree char *line = NULL;
	size_t room = 0;
	FILE *f = fopen(SETTINGS, "re");

	if (!f || getline(&line, &room, f) <= 1) {
		perror(SETTINGS);
		return -1;
	}
	take_line(r->export_name, sizeof(r->export_name), line);
	while (r->count < SERVERS_MAX && getline(&line, &room, f) > 1)
		take_line(r->servers[r->count++].name, LINE_BYTES, line);
	fclose(f);
	return r->count > 0 ? 0 : -1;
}

/* Until it works: who reads the root waits as long. */
static void await_server(struct nbd_root *r)
{
	while (connect_any(r) < 0)
		nap(RETRY_SECONDS);
}

static void begin(struct nbd_root *r)
{
	await_server(r);
	say(r, "root is connected to NBD server %s", r->servers[r->last].name);
}

/*
 * Another run of this program may have ended while the connection was broken, and the kernel tells of that only
 * once.  It takes a new one in place of one that is dead, and drops it without a word where none is: so it is
 * offered one in any case.
 */
static void take_over(struct nbd_root *r)
{
	r->size_bytes = device_bytes();
	await_server(r);
	say(r, "NBD server %s has the root, should its connection be broken",
		r->servers[r->last].name);
}

static void reconnect(struct nbd_root *r)
{
	say(r, "the NBD server of the root is gone, reconnecting");
	begin(r);
}

int main(void)
{
	static struct nbd_root r;

	r.kmsg_fd = open("/dev/kmsg", O_WRONLY | O_CLOEXEC);
	r.why_fd = open(WHY, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
	if (read_settings(&r) < 0 || nbd_kernel_open(&r) < 0)
		return 1;
	for (size_t i = 0; i < r.count; i++)
		if (look_up(&r, &r.servers[i]) < 0)
			r.servers[i].count = 0;
	/* Its own file may be in a root that waits for it. */
	if (mlockall(MCL_CURRENT) < 0)
		perror("mlockall");
	if (is_connected())
		take_over(&r);
	else
		begin(&r);
	for (;;)
		if (nbd_kernel_wait(&r))
			reconnect(&r);
}
