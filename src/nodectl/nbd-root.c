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
#include <linux/genetlink.h>
#include <linux/nbd-netlink.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
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

#define SETTINGS     "/run/bedplate/netroot"
#define WHY          "/run/bedplate/netroot.why"
#define CONNECTED    "/sys/block/nbd0/pid"
#define SIZE_FILE    "/sys/block/nbd0/size"
#define DEFAULT_PORT "10809"

#define SERVERS_MAX     8
#define EXPORT_MAX      255
#define LINE_BYTES      300
#define ADDRESSES_MAX   4
#define TALK_SECONDS    10
#define RETRY_SECONDS   2
#define SECTOR_BYTES    512
#define LOST_MS         30000 /* no answer from a server that is switched off */
#define REQUEST_SECONDS 30    /* then it is sent again, to whoever is connected */
#define DEAD_SECONDS    (7 * 86400)

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

struct server {
	char name[LINE_BYTES];
	struct sockaddr_storage addresses[ADDRESSES_MAX];
	socklen_t lens[ADDRESSES_MAX];
	size_t count;
};

struct root {
	char export_name[EXPORT_MAX + 1];
	struct server servers[SERVERS_MAX];
	size_t count, last;  /* last: the one that was connected */
	uint64_t size_bytes; /* 0: not connected yet */
	uint16_t flags;
	int kmsg_fd, why_fd, request_fd, event_fd;
	uint16_t family;
};

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

/* A netlink message that is being made. */
struct message {
	struct nlmsghdr head;
	struct genlmsghdr genl;
	char attrs[512];
};

static void nap(time_t seconds)
{
	const struct timespec t = {.tv_sec = seconds};

	nanosleep(&t, NULL);
}

/* The kernel's log is on the console, and there when nothing can be written. */
static void PRINTF(2, 3) say(const struct root *r, const char *fmt, ...)
{
	char text[512];
	va_list ap;

	va_start(ap, fmt);
	int n = vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (n > 0 && dprintf(r->kmsg_fd, "<5>bedplate: %s\n", text) < 0)
		perror("/dev/kmsg");
}

/* Why there is no connection yet: what mount-root shows when it gives up. */
static int PRINTF(2, 3) because(const struct root *r, const char *fmt, ...)
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

/* Attributes lie at multiples of four in the message. */
static void *add_attr(struct message *m, uint16_t type, const void *data, size_t len)
{
	char *at = (char *)m + NLMSG_ALIGN(m->head.nlmsg_len);
	const struct nlattr attr = {.nla_len = (uint16_t)(NLA_HDRLEN + len), .nla_type = type};

	assert(at + NLA_HDRLEN + len <= (char *)m + sizeof(*m));
	memcpy(at, &attr, sizeof(attr));
	if (len > 0)
		memcpy(at + NLA_HDRLEN, data, len);
	m->head.nlmsg_len = (uint32_t)(NLMSG_ALIGN(m->head.nlmsg_len) + attr.nla_len);
	return at;
}

static void add_u64(struct message *m, uint16_t type, uint64_t value)
{
	add_attr(m, type, &value, sizeof(value));
}

static void begin(struct message *m, uint16_t family, uint8_t command)
{
	*m = (struct message){
		.head = {.nlmsg_len = NLMSG_LENGTH(GENL_HDRLEN),
			.nlmsg_type = family,
			.nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK},
		.genl = {.cmd = command, .version = 1},
	};
}

/* Send, and wait for the answer: into buf when there is one, its length is returned.  Negative errno. */
static ssize_t ask(int fd, const struct message *m, char *buf, size_t room)
{
	ssize_t got = 0;

	if (send(fd, m, m->head.nlmsg_len, 0) < 0)
		return -errno;
	for (;;) {
		_Alignas(struct nlmsghdr) char in[8192];
		ssize_t n = recv(fd, in, sizeof(in), 0);

		if (n < 0)
			return -errno;
		if ((size_t)n < sizeof(struct nlmsghdr))
			return -EPROTO;
		const struct nlmsghdr *h = (const struct nlmsghdr *)(const void *)in;
		if (h->nlmsg_type == NLMSG_ERROR) {
			int code;

			memcpy(&code, in + NLMSG_HDRLEN, sizeof(code));
			return code < 0 ? code : got;
		}
		got = (ssize_t)MIN((size_t)n, room);
		if (buf)
			memcpy(buf, in, (size_t)got);
	}
}

/* The content of an attribute of this type, or NULL. */
static const char *find_attr(const char *at, size_t len, uint16_t type, size_t *content_len)
{
	while (len >= NLA_HDRLEN) {
		struct nlattr attr;

		memcpy(&attr, at, sizeof(attr));
		if (attr.nla_len < NLA_HDRLEN || attr.nla_len > len)
			return NULL;
		if ((attr.nla_type & NLA_TYPE_MASK) == type) {
			*content_len = attr.nla_len - NLA_HDRLEN;
			return at + NLA_HDRLEN;
		}
		size_t step = MIN((size_t)NLA_ALIGN(attr.nla_len), len);
		at += step;
		len -= step;
	}
	return NULL;
}

static uint32_t find_number(const char *at, size_t len, uint16_t type, size_t bytes)
{
	size_t there = 0;
	const char *found = find_attr(at, len, type, &there);
	uint32_t n = 0;

	if (found && there >= bytes)
		memcpy(&n, found, bytes);
	return n;
}

/* The kernel has one group in this family: broken connections. */
static int open_netlink(struct root *r)
{
	const struct sockaddr_nl any = {.nl_family = AF_NETLINK};
	char in[4096];
	struct message m;
	size_t groups_len = 0, group_len = 0;

	r->request_fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_GENERIC);
	r->event_fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_GENERIC);
	if (r->request_fd < 0 || r->event_fd < 0)
		return because(r, "netlink: %m");
	begin(&m, GENL_ID_CTRL, CTRL_CMD_GETFAMILY);
	add_attr(&m, CTRL_ATTR_FAMILY_NAME, NBD_GENL_FAMILY_NAME, sizeof(NBD_GENL_FAMILY_NAME));
	ssize_t n = ask(r->request_fd, &m, in, sizeof(in));
	if (n < (ssize_t)NLMSG_LENGTH(GENL_HDRLEN))
		return because(r, "this kernel has no nbd");
	const char *attrs = in + NLMSG_LENGTH(GENL_HDRLEN);
	size_t len = (size_t)n - NLMSG_LENGTH(GENL_HDRLEN);
	r->family = (uint16_t)find_number(attrs, len, CTRL_ATTR_FAMILY_ID, 2);
	const char *groups = find_attr(attrs, len, CTRL_ATTR_MCAST_GROUPS, &groups_len);
	const char *group = groups ? find_attr(groups, groups_len, 1, &group_len) : NULL;
	uint32_t id = group ? find_number(group, group_len, CTRL_ATTR_MCAST_GRP_ID, 4) : 0;
	/* A socket without an address gets nothing that the kernel sends without one. */
	if (bind(r->event_fd, (const struct sockaddr *)&any, sizeof(any)) < 0)
		return because(r, "netlink: %m");
	if (setsockopt(r->event_fd, SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, &id, sizeof(id)) < 0)
		return because(r, "netlink: %m");
	return 0;
}

/* Hand the socket to the kernel: a new device, or a new connection of the one that is there. */
static int hand_over(const struct root *r, int sock, uint8_t command)
{
	const uint32_t index = 0, fd = (uint32_t)sock;
	struct message m;

	begin(&m, r->family, command);
	add_attr(&m, NBD_ATTR_INDEX, &index, sizeof(index));
	if (command == NBD_CMD_CONNECT) {
		add_u64(&m, NBD_ATTR_SIZE_BYTES, r->size_bytes);
		add_u64(&m, NBD_ATTR_BLOCK_SIZE_BYTES, SECTOR_BYTES);
		add_u64(&m, NBD_ATTR_SERVER_FLAGS, r->flags);
		add_u64(&m, NBD_ATTR_CLIENT_FLAGS, 0);
	}
	add_u64(&m, NBD_ATTR_TIMEOUT, REQUEST_SECONDS);
	add_u64(&m, NBD_ATTR_DEAD_CONN_TIMEOUT, DEAD_SECONDS);
	const struct {
		struct nlattr item, fd;
		uint32_t value;
	} item = {
		.item = {sizeof(item), NLA_F_NESTED | NBD_SOCK_ITEM},
		.fd = {sizeof(item.fd) + sizeof(item.value), NBD_SOCK_FD},
		.value = fd,
	};
	add_attr(&m, NLA_F_NESTED | NBD_ATTR_SOCKETS, &item, sizeof(item));
	return (int)ask(r->request_fd, &m, NULL, 0);
}

static bool read_all(int fd, void *buf, size_t len)
{
	return recv(fd, buf, len, MSG_WAITALL) == (ssize_t)len;
}

static bool write_all(int fd, const void *buf, size_t len)
{
	return send(fd, buf, len, MSG_NOSIGNAL) == (ssize_t)len;
}

/* -1: the server does not offer the export, or is none. */
static int take_replies(
	const struct root *r, const char *server, int fd, uint64_t *size, uint16_t *flags)
{
	char data[NBD_REPLY_MAX];
	struct reply head;

	for (;;) {
		if (!read_all(fd, &head, sizeof(head)) || be64_get(head.magic) != NBD_REPLY_MAGIC ||
			be32_get(head.len) > sizeof(data) ||
			!read_all(fd, data, be32_get(head.len)))
			return because(r, "%s: no answer of an NBD server", server);
		uint32_t type = be32_get(head.type), len = be32_get(head.len);
		if (type == NBD_REP_ACK)
			return *size > 0 ? 0
					 : because(r, "%s: '%s' is empty", server, r->export_name);
		if (type == NBD_REP_ERR_NONE)
			return because(r, "%s: has no export '%s'", server, r->export_name);
		if (type == NBD_REP_ERR_TLS)
			return because(r, "%s: demands TLS, which is not supported here", server);
		if (type >= NBD_REP_FIRST_ERR)
			return because(r, "%s: refused '%s' (error %u)", server, r->export_name,
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
	const struct root *r, const char *server, int fd, uint64_t *size, uint16_t *flags)
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
		return because(r, "%s: no answer of an NBD server", server);
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
		return because(r, "%s: %m", server);
	return take_replies(r, server, fd, size, flags);
}

static void limit_talk(int fd, time_t seconds)
{
	const struct timeval t = {.tv_sec = seconds};

	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &t, sizeof(t));
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &t, sizeof(t));
}

/* "HOST", "HOST:PORT", "[ADDRESS]:PORT".  The name may be looked up as long as the initramfs is there. */
static int look_up(const struct root *r, struct server *s)
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
		return because(r, "%s: %s", s->name, gai_strerror(failed));
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

static int try_address(struct root *r, const struct server *s, size_t i)
{
	autofd int fd = socket(s->addresses[i].ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	bool again = r->size_bytes > 0;
	uint64_t size = 0;
	uint16_t flags = 0;

	if (fd < 0)
		return because(r, "%s: %m", s->name);
	limit_talk(fd, TALK_SECONDS);
	if (connect(fd, (const struct sockaddr *)&s->addresses[i], s->lens[i]) < 0)
		return because(
			r, "%s: %s", s->name, errno == EINPROGRESS ? "no answer" : strerror(errno));
	if (negotiate(r, s->name, fd, &size, &flags) < 0)
		return -1;
	if (again && size != r->size_bytes)
		return because(r, "%s: '%s' is another image there", s->name, r->export_name);
	set_options(fd);
	r->size_bytes = size;
	r->flags = flags;
	int result = hand_over(r, fd, again ? NBD_CMD_RECONFIGURE : NBD_CMD_CONNECT);
	if (result == 0)
		return 0;
	if (!again)
		r->size_bytes = 0;
	return because(r, "nbd: %s", strerror(-result));
}

/* All servers in turn, from the one on that was connected. */
static int connect_any(struct root *r)
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
			say(r, "root is connected to NBD server %s", s->name);
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

/* 1: the connection has broken; 0: not as far as the kernel has said. */
static int wait_for_event(const struct root *r)
{
	struct pollfd p = {.fd = r->event_fd, .events = POLLIN};
	char in[4096];

	if (poll(&p, 1, -1) <= 0)
		return 0;
	ssize_t n = recv(r->event_fd, in, sizeof(in), 0);
	if (n < (ssize_t)NLMSG_LENGTH(GENL_HDRLEN))
		return n < 0 && errno == ENOBUFS;
	return ((const struct genlmsghdr *)(const void *)(in + NLMSG_HDRLEN))->cmd ==
		NBD_CMD_LINK_DEAD;
}

static void take_line(char *out, size_t room, const char *line)
{
	snprintf(out, room, "%.*s", (int)strcspn(line, "\n"), line);
}

static int read_settings(struct root *r)
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
static void reconnect(struct root *r)
{
	say(r, "the NBD server of the root is gone, reconnecting");
	while (connect_any(r) < 0)
		nap(RETRY_SECONDS);
}

int main(void)
{
	static struct root r;

	r.kmsg_fd = open("/dev/kmsg", O_WRONLY | O_CLOEXEC);
	r.why_fd = open(WHY, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
	if (read_settings(&r) < 0 || open_netlink(&r) < 0)
		return 1;
	for (size_t i = 0; i < r.count; i++)
		if (look_up(&r, &r.servers[i]) < 0)
			r.servers[i].count = 0;
	if (is_connected())
		r.size_bytes = device_bytes();
	else
		while (connect_any(&r) < 0)
			nap(RETRY_SECONDS);
	if (mlockall(MCL_CURRENT) < 0)
		perror("mlockall");
	for (;;)
		if (wait_for_event(&r))
			reconnect(&r);
}
