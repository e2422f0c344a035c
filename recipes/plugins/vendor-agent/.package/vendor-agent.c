/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An example of a vendor's service: whoever connects to its port gets one line, "vendor-agent SITE STARTS",
 * with the site that the kernel argument vendor-agent.site names and how often it has been started.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define PORT       7411
#define ARGUMENT   "vendor-agent.site="
#define SITE_MAX   64
#define STARTS     "starts" /* in the folder that systemd makes for it */
#define STARTS_NEW "starts.new"

static int fail(const char *what)
{
	fprintf(stderr, "%s: %s\n", what, strerror(errno));
	return EXIT_FAILURE;
}

static void read_site(char site[SITE_MAX])
{
	char text[4096];
	FILE *f = fopen("/proc/cmdline", "re");
	char *rest = NULL;

	snprintf(site, SITE_MAX, "none");
	if (!f)
		return;
	if (!fgets(text, sizeof(text), f))
		*text = '\0';
	fclose(f);
	for (char *word = strtok_r(text, " \n", &rest); word; word = strtok_r(NULL, " \n", &rest))
		if (strncmp(word, ARGUMENT, strlen(ARGUMENT)) == 0)
			snprintf(site, SITE_MAX, "%s", word + strlen(ARGUMENT));
}

/* One more than last time, kept for the next. */
static int count_start(uintmax_t *starts)
{
	FILE *f = fopen(STARTS, "re");
	char text[32] = "";
	int ok;

	if (f && !fgets(text, sizeof(text), f))
		*text = '\0';
	if (f)
		fclose(f);
	*starts = strtoumax(text, NULL, 10) + 1;
	f = fopen(STARTS_NEW, "we");
	if (!f)
		return -1;
	ok = fprintf(f, "%ju\n", *starts) > 0 && fflush(f) == 0 && fsync(fileno(f)) == 0;
	return fclose(f) == 0 && ok && rename(STARTS_NEW, STARTS) == 0 ? 0 : -1;
}

static int listen_on_port(void)
{
	const struct sockaddr_in6 any = {
		.sin6_family = AF_INET6, .sin6_port = htons(PORT), .sin6_addr = in6addr_any};
	const int yes = 1, no = 0;
	int fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes)) < 0 ||
		setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &no, sizeof(no)) < 0 ||
		bind(fd, (const struct sockaddr *)&any, sizeof(any)) < 0 || listen(fd, 16) < 0)
		return -1;
	return fd;
}

int main(void)
{
	const char *folder = getenv("STATE_DIRECTORY");
	char site[SITE_MAX];
	uintmax_t starts;
	int port;

	signal(SIGPIPE, SIG_IGN);
	if (!folder || chdir(folder) < 0)
		return fail("the folder for its state");
	read_site(site);
	if (count_start(&starts) < 0)
		return fail(STARTS);
	port = listen_on_port();
	if (port < 0)
		return fail("the port");
	for (;;) {
		int fd = accept4(port, NULL, NULL, SOCK_CLOEXEC);

		if (fd < 0 && errno != EINTR && errno != ECONNABORTED)
			return fail("accept");
		if (fd >= 0) {
			dprintf(fd, "vendor-agent %s %ju\n", site, starts);
			close(fd);
		}
	}
}
