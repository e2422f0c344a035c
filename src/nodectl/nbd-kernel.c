/* SPDX-License-Identifier: Apache-2.0 */
/* How the kernel is told of a connection, and tells that it has broken: netlink, linux/nbd-netlink.h. */
#include <assert.h>
#include <errno.h>
#include <linux/genetlink.h>
#include <linux/nbd-netlink.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>

#include "base/macro.h"
#include "nodectl/nbd-root.h"

#define REQUEST_SECONDS 30 /* then it is sent again, to whoever is connected */
#define DEAD_SECONDS    (7 * 86400)

/* A netlink message that is being made. */
struct message {
	struct nlmsghdr head;
	struct genlmsghdr genl;
	char attrs[512];
};

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
int nbd_kernel_open(struct nbd_root *r)
{
	const struct sockaddr_nl any = {.nl_family = AF_NETLINK};
	char in[4096];
	struct message m;
	size_t groups_len = 0, group_len = 0;

	r->request_fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_GENERIC);
	r->event_fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_GENERIC);
	if (r->request_fd < 0 || r->event_fd < 0)
		return nbd_because(r, "netlink: %m");
	begin(&m, GENL_ID_CTRL, CTRL_CMD_GETFAMILY);
	add_attr(&m, CTRL_ATTR_FAMILY_NAME, NBD_GENL_FAMILY_NAME, sizeof(NBD_GENL_FAMILY_NAME));
	ssize_t n = ask(r->request_fd, &m, in, sizeof(in));
	if (n < (ssize_t)NLMSG_LENGTH(GENL_HDRLEN))
		return nbd_because(r, "this kernel has no nbd");
	const char *attrs = in + NLMSG_LENGTH(GENL_HDRLEN);
	size_t len = (size_t)n - NLMSG_LENGTH(GENL_HDRLEN);
	r->family = (uint16_t)find_number(attrs, len, CTRL_ATTR_FAMILY_ID, 2);
	const char *groups = find_attr(attrs, len, CTRL_ATTR_MCAST_GROUPS, &groups_len);
	const char *group = groups ? find_attr(groups, groups_len, 1, &group_len) : NULL;
	uint32_t id = group ? find_number(group, group_len, CTRL_ATTR_MCAST_GRP_ID, 4) : 0;
	/* A socket without an address gets nothing that the kernel sends without one. */
	if (bind(r->event_fd, (const struct sockaddr *)&any, sizeof(any)) < 0)
		return nbd_because(r, "netlink: %m");
	if (setsockopt(r->event_fd, SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, &id, sizeof(id)) < 0)
		return nbd_because(r, "netlink: %m");
	return 0;
}

int nbd_kernel_hand_over(const struct nbd_root *r, int sock, uint8_t command)
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

int nbd_kernel_wait(const struct nbd_root *r)
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
