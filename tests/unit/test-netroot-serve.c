/* SPDX-License-Identifier: Apache-2.0 */
/* What is started to serve a tree, and ports that are taken. */
#include <arpa/inet.h>
#include <string.h>
#include <sys/socket.h>

#include "base/file.h"
#include "base/xalloc.h"
#include "folder.h"
#include "netroot/netroot.h"
#include "netroot/serve.h"
#include "netroot/servers.h"
#include "test.h"

#define DB                                                                                         \
	"{\"default\":null,\"entries\":[],\"hosts\":[],\"images\":[],\"loaders\":{},\"netroot_version\":1}"

static void make_tree(void)
{
	autofree char *path = xasprintf("%s/netroot.json", folder);
	struct err e = {0};

	assert_ok(file_replace(path, DB, strlen(DB), 0644, &e), e);
}

static struct serve_spec spec_for(const char *tree)
{
	return (struct serve_spec){.tree = tree,
		.listen = "127.0.0.1",
		.dhcp = SERVE_DHCP_NONE,
		.nbd_port = 10809,
		.http_port = 8080,
		.tftp = true};
}

static void assert_command(const struct cmd *c, const char *part)
{
	autofree char *text = cmd_quoted(c);

	if (!strstr(text, part))
		fail_msg("no '%s' in: %s", part, text);
}

static void the_commands(void **state)
{
	struct serve_spec spec = spec_for(folder);
	autoserveplan plan = {0}, full = {0};
	struct err e = {0};

	(void)state;
	make_tree();
	assert_ok(serve_make_plan(&spec, "/run/x", &plan, &e), e);
	assert_int_equal(plan.count, 3);
	assert_command(
		&plan.commands[0], "nbdkit --exit-with-parent --readonly --ipaddr 127.0.0.1 ");
	assert_command(&plan.commands[0], "--port 10809 file dir=");
	assert_command(&plan.commands[1], "--interface=lo --enable-tftp --tftp-root=");
	assert_command(&plan.commands[2], "lighttpd -D -f /run/x/lighttpd.conf");
	assert_non_null(strstr(plan.texts.items[0], "server.bind = \"127.0.0.1\"\n"));
	assert_null(strstr(plan.texts.items[0], "hosts"));

	spec.nbd = SERVE_NBD_SERVER;
	spec.dhcp = SERVE_DHCP_FULL;
	spec.range = "127.0.0.10,127.0.0.20";
	spec.tftp = false;
	spec.http_port = 0;
	assert_ok(serve_make_plan(&spec, "/run/x", &full, &e), e);
	assert_int_equal(full.count, 2);
	assert_command(&full.commands[0], "nbd-server --dont-fork -C /run/x/nbd.conf");
	assert_non_null(strstr(full.texts.items[0], "\tlistenaddr = 127.0.0.1\n"));
	assert_command(&full.commands[1], "--dhcp-range=127.0.0.10,127.0.0.20,255.0.0.0,1h");
	assert_command(&full.commands[1], "--dhcp-boot=tag:ipxe,boot.ipxe");
}

static void bad_input(void **state)
{
	struct serve_spec spec = spec_for(folder);
	autoserveplan plan = {0};
	struct err e = {0};

	(void)state;
	make_tree();
	spec.dhcp = SERVE_DHCP_FULL;
	assert_int_equal(serve_make_plan(&spec, "/run/x", &plan, &e), -EINVAL);
	spec.range = "127.0.0.10";
	assert_int_equal(serve_make_plan(&spec, "/run/x", &plan, &e), -EINVAL);
	spec.range = "127.0.0.10,127.0.0.20\nx";
	assert_int_equal(serve_make_plan(&spec, "/run/x", &plan, &e), -EINVAL);
	spec.dhcp = SERVE_DHCP_NONE;
	assert_int_equal(serve_make_plan(&spec, "/run/x", &plan, &e), -EINVAL);
	spec.range = NULL;
	spec.listen = "192.0.2.77";
	assert_fails(serve_make_plan(&spec, "/run/x", &plan, &e), ENODEV, e,
		"no IPv4 address 192.0.2.77 on this machine");
	spec.listen = NULL;
	spec.dhcp = SERVE_DHCP_PROXY;
	assert_int_equal(serve_make_plan(&spec, "/run/x", &plan, &e), -EINVAL);
	assert_int_equal(plan.count, 0);
}

static void ports(void **state)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof(a);
	autofd int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct err e = {0};
	uint16_t free_one = 0;

	(void)state;
	assert_int_equal(bind(fd, (struct sockaddr *)&a, len), 0);
	assert_int_equal(listen(fd, 1), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&a, &len), 0);
	autofree char *want = xasprintf(
		"TCP port %u of 127.0.0.1 is in use by another program", ntohs(a.sin_port));
	assert_fails(servers_check_port("127.0.0.1", ntohs(a.sin_port), SOCK_STREAM, NULL, &e),
		EADDRINUSE, e, want);
	e = (struct err){0};
	assert_ok(servers_check_port("127.0.0.1", 0, SOCK_STREAM, &free_one, &e), e);
	assert_int_not_equal(free_one, 0);
	assert_int_equal(servers_check_port("a.example", 0, SOCK_STREAM, NULL, &e), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_commands),
		cmocka_unit_test(bad_input),
		cmocka_unit_test(ports),
	};

	return cmocka_run_group_tests(tests, make_folder, drop_folder);
}
