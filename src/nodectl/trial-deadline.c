/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The end of a trial boot that comes to none: docs/upgrade.md, "Trial".
 *
 * It is started in the initramfs and lives on in the real root, where storage may hang for good, so
 * it needs nothing but its own locked memory, /proc and /run.  Its root stays that of the initramfs,
 * which is empty by then: what it needs later is opened before.
 */
#include <ctype.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/reboot.h>
#include <sys/wait.h>
#include <time.h>

#include "base/macro.h"
#include "base/str.h"
#include "upgrade/trial-state.h"

#define DEADLINE_SECONDS 900
#define DEADLINE_MAX     (7 * 86400)
#define LOOK_SECONDS     5
#define SYNC_SECONDS     10
#define CMD_LINE_MAX     (64 * KIB)

static bool read_text(int folder_fd, const char *path, char *out, size_t room)
{
	autofd int fd = openat(folder_fd, path, O_RDONLY | O_CLOEXEC);
	size_t len = 0;
	ssize_t n = -1;

	while (fd >= 0 && len < room - 1 && (n = read(fd, out + len, room - 1 - len)) > 0)
		len += (size_t)n;
	out[len] = '\0';
	return fd >= 0 && n >= 0;
}

/* What follows name in the last word that begins with it, as long as the word; NULL: there is none. */
static const char *find_param(const char *cmd_line, const char *name, size_t *len)
{
	const char *found = NULL;

	for (const char *p = cmd_line; *p;) {
		size_t blanks = strspn(p, " \t\n"), word = strcspn(p + blanks, " \t\n");

		p += blanks;
		if (word >= strlen(name) && strncmp(p, name, strlen(name)) == 0) {
			found = p + strlen(name);
			*len = word - strlen(name);
		}
		p += word;
	}
	return found;
}

static bool is_trial(const char *cmd_line)
{
	size_t trial_len = 0, layer_len = 0, rest;
	const char *trial = find_param(cmd_line, "bedplate.trial=", &trial_len);
	const char *layer = find_param(cmd_line, "bedplate.layer=", &layer_len);

	/* Somebody is there, and nothing of it is kept. */
	if (find_param(cmd_line, "bedplate.stateless", &rest))
		return false;
	return trial && layer && trial_len > 0 && trial_len == layer_len &&
		strncmp(trial, layer, trial_len) == 0;
}

/* -1: it is no number. */
static long parse_seconds(const char *text)
{
	long n = 0;

	if (!text || !isdigit((unsigned char)*text))
		return -1;
	for (; isdigit((unsigned char)*text) && n <= DEADLINE_MAX; text++)
		n = n * 10 + (*text - '0');
	return n <= DEADLINE_MAX && (*text == '\0' || isspace((unsigned char)*text)) ? n : -1;
}

/* Seconds since power-on; 0: there is none any more. */
static long deadline(int run_fd, const char *cmd_line)
{
	char text[32];
	size_t len;
	bool found = read_text(run_fd, TRIAL_DEADLINE_NAME, text, sizeof(text));
	long n = found ? parse_seconds(text) : -1;

	if (n < 0)
		n = parse_seconds(find_param(cmd_line, "bedplate.trial_deadline=", &len));
	return n < 0 ? DEADLINE_SECONDS : n;
}

static time_t since_power_on(void)
{
	struct timespec now;

	clock_gettime(CLOCK_BOOTTIME, &now);
	return now.tv_sec;
}

static void nap(time_t seconds)
{
	const struct timespec t = {.tv_sec = seconds};

	nanosleep(&t, NULL);
}

static void say(int kmsg_fd, const char *text)
{
	if (kmsg_fd >= 0 && write(kmsg_fd, text, strlen(text)) < 0)
		return;
}

/* What hangs may be what sync() waits for. */
static void sync_for_a_while(void)
{
	pid_t pid = fork();

	if (pid == 0) {
		sync();
		_exit(0);
	}
	for (int i = 0; pid > 0 && i < SYNC_SECONDS; i++) {
		if (waitpid(pid, NULL, WNOHANG) != 0)
			return;
		nap(1);
	}
}

int main(void)
{
	static char cmd_line[CMD_LINE_MAX];
	const struct sched_param priority = {.sched_priority = 1};
	autofd int run_fd = open(TRIAL_RUN_PATH, O_PATH | O_DIRECTORY | O_CLOEXEC);
	autofd int kmsg_fd = open("/dev/kmsg", O_WRONLY | O_CLOEXEC);
	long end;

	if (!read_text(AT_FDCWD, "/proc/cmdline", cmd_line, sizeof(cmd_line))) {
		perror("/proc/cmdline");
		return 1;
	}
	if (!is_trial(cmd_line))
		return 0;
	/* Both help in a bad moment and are not needed in any other. */
	if (mlockall(MCL_CURRENT) < 0 || sched_setscheduler(0, SCHED_RR, &priority) < 0)
		perror("trial-deadline");
	while ((end = deadline(run_fd, cmd_line)) > 0) {
		time_t now = since_power_on();

		if (now >= end) {
			say(kmsg_fd,
				"<1>bedplate: this trial has not been found good in time, restarting\n");
			sync_for_a_while();
			reboot(RB_AUTOBOOT);
			perror("reboot");
			return 1;
		}
		nap(MIN((time_t)LOOK_SECONDS, end - now));
	}
	return 0;
}
