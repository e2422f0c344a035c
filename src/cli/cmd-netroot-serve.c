/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdio.h>

#include "base/file.h"
#include "base/log.h"
#include "base/xalloc.h"
#include "cli/commands.h"
#include "cli/netroot-options.h"
#include "netroot/serve.h"
#include "netroot/servers.h"

#define HTTP_PORT  8080
#define RUN_FOLDER "/run/bedplate-netroot" /* as --print-config shows it */

struct options {
	const char *tree, *interface, *listen, *dhcp, *range, *nbd;
	uint64_t nbd_port, http_port;
	bool no_tftp, no_http, print_config;
};

static const struct options defaults = {
	.tree = NETROOT_TREE,
	.dhcp = "proxy",
	.nbd = "nbdkit",
	.nbd_port = NBD_PORT,
	.http_port = HTTP_PORT,
};

static const struct cli_opt opts[] = {
	NETROOT_TREE_OPTION(struct options),
	{'i', "interface", "NAME", "serve the network of this interface", OPT_STRING,
		offsetof(struct options, interface)},
	{'l', "listen", "ADDRESS", "serve on this IPv4 address of this machine", OPT_STRING,
		offsetof(struct options, listen)},
	{0, "dhcp", "HOW", "proxy (default), full or none", OPT_STRING,
		offsetof(struct options, dhcp)},
	{0, "range", "FIRST,LAST", "with --dhcp=full: addresses to give away", OPT_STRING,
		offsetof(struct options, range)},
	{0, "nbd", "PROGRAM", "nbdkit (default) or nbd-server", OPT_STRING,
		offsetof(struct options, nbd)},
	{0, "nbd-port", "PORT", "of NBD (default: 10809)", OPT_NUMBER,
		offsetof(struct options, nbd_port)},
	{0, "http-port", "PORT", "of HTTP (default: 8080)", OPT_NUMBER,
		offsetof(struct options, http_port)},
	{0, "no-http", NULL, "no HTTP server", OPT_FLAG, offsetof(struct options, no_http)},
	{0, "no-tftp", NULL, "no TFTP server", OPT_FLAG, offsetof(struct options, no_tftp)},
	{0, "print-config", NULL, "print what would be started, start nothing", OPT_FLAG,
		offsetof(struct options, print_config)},
};

static int find_word(const char *option, const char *value, const char *const *words, size_t count,
	struct err *e)
{
	autostrbuf list = {0};

	for (size_t i = 0; i < count; i++) {
		if (str_eq(words[i], value))
			return (int)i;
		strbuf_printf(&list, "%s%s", i == 0 ? "" : i + 1 < count ? ", " : " or ", words[i]);
	}
	autofree char *shown = str_printable(value);
	err_set(e, EINVAL, "bad value '%.100s' of '%s': %s", shown, option, list.data);
	return -EINVAL;
}

static int check_port(const char *option, uint64_t port, struct err *e)
{
	if (port >= 1 && port <= 65535)
		return 0;
	return err_set(e, EINVAL, "'%s' is not a port: 1 to 65535", option);
}

/* 0 or CLI_WRONG_USE. */
static int read_options(const struct options *o, struct serve_spec *spec, struct err *e)
{
	static const char *const dhcp[] = {"proxy", "full", "none"};
	static const char *const nbd[] = {"nbdkit", "nbd-server"};
	int how = find_word("--dhcp", o->dhcp, dhcp, ARRAY_LEN(dhcp), e);
	int program = how < 0 ? how : find_word("--nbd", o->nbd, nbd, ARRAY_LEN(nbd), e);

	if (program < 0 || check_port("--nbd-port", o->nbd_port, e) < 0 ||
		check_port("--http-port", o->http_port, e) < 0)
		return CLI_WRONG_USE;
	*spec = (struct serve_spec){
		.tree = o->tree,
		.interface = o->interface,
		.listen = o->listen,
		.range = o->range,
		.dhcp = (enum serve_dhcp)how,
		.nbd = (enum serve_nbd)program,
		.nbd_port = (uint16_t)o->nbd_port,
		.http_port = o->no_http ? 0 : (uint16_t)o->http_port,
		.tftp = !o->no_tftp,
	};
	return 0;
}

static void print_plan(const struct serve_plan *plan)
{
	for (size_t i = 0; i < plan->names.count; i++)
		printf("# %s/%s\n%s\n", RUN_FOLDER, plan->names.items[i], plan->texts.items[i]);
	for (size_t i = 0; i < plan->count; i++) {
		autofree char *command = cmd_quoted(&plan->commands[i]);

		puts(command);
	}
}

static void say_ready(const struct serve_spec *spec)
{
	printf("serving '%s'\n", spec->tree);
	fflush(stdout);
}

static int run(
	const void *parsed, char *const args[] UNUSED, struct progress *p UNUSED, struct err *e)
{
	const struct options *o = parsed;
	autoserveplan plan = {0};
	struct serve_spec spec;
	int r = read_options(o, &spec, e);

	if (r != 0)
		return r;
	if (!o->print_config) {
		r = serve_check_access(spec.tree, e);
		if (r == 0)
			r = serve_check_ports(&spec, e);
		if (r == 0)
			r = file_make_temporary(NULL, "bedplate-netroot", &plan.folder, e);
	}
	if (r == 0)
		r = serve_make_plan(&spec, plan.folder ? plan.folder : RUN_FOLDER, &plan, e);
	if (r < 0)
		return r;
	if (o->print_config) {
		print_plan(&plan);
		return 0;
	}
	r = serve_run(&plan, &spec, say_ready, e);
	/* Being told to end is how it ends well. */
	return r == -EINTR ? 0 : r;
}

const struct cli_command cmd_netroot_serve = {
	.name = "netroot serve",
	.args = "",
	.summary = "Serve a tree to diskless machines",
	.details =
		"Starts nbdkit or nbd-server, dnsmasq for TFTP and DHCP, and lighttpd for HTTP,\n"
		"and runs until a signal comes or one of them ends; then all end.  Ports below\n"
		"1024 need root.\n",
	.opts = opts,
	.opt_count = ARRAY_LEN(opts),
	.defaults = &defaults,
	.opts_size = sizeof(struct options),
	.min_args = 0,
	.max_args = 0,
	.run = run,
};
