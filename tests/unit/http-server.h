/* SPDX-License-Identifier: Apache-2.0 */
/* A web server with bad habits, on a free port of the loopback interface. */
#pragma once

#include <arpa/inet.h>
#include <assert.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/str.h"
#include "base/xalloc.h"

struct http_server {
	int fd;
	unsigned port;
	pthread_t thread;
	const char *body; /* of /file, /flaky, /busy */
	size_t len;
	bool ignores_range;
	const char *manifest; /* of the image, which is body; NULL: there are none */
	size_t image_breaks;  /* > 0: its first connection ends after so many bytes, others are
				 refused */
	unsigned image_requests;
	unsigned requests, ranges; /* seen so far */
	char proxied[128];         /* request line of the last proxy request */
};

static void http_send(int fd, const char *text, size_t len)
{
	while (len > 0) {
		ssize_t n = send(fd, text, len, MSG_NOSIGNAL);

		if (n <= 0)
			return;
		text += n;
		len -= (size_t)n;
	}
}

static void http_status(int fd, const char *status, const char *header)
{
	autofree char *text = xasprintf(
		"HTTP/1.1 %s\r\n%sContent-Length: 0\r\nConnection: close\r\n\r\n", status, header);

	http_send(fd, text, strlen(text));
}

/* limit: the connection breaks after so many bytes. */
static void http_body(struct http_server *s, int fd, const char *request, size_t limit)
{
	const char *range = strstr(request, "Range: bytes=");
	size_t from = 0;

	if (range) {
		s->ranges++;
		if (!s->ignores_range)
			from = strtoull(range + strlen("Range: bytes="), NULL, 10);
	}
	if (from > 0 && from >= s->len) {
		http_status(fd, "416 Range Not Satisfiable", "");
		return;
	}
	autofree char *head = from > 0
		? xasprintf("HTTP/1.1 206 Partial Content\r\nContent-Range: bytes %zu-%zu/%zu\r\n"
			    "Content-Length: %zu\r\nConnection: close\r\n\r\n",
			  from, s->len - 1, s->len, s->len - from)
		: xasprintf("HTTP/1.1 200 OK\r\nContent-Length: %zu\r\nConnection: close\r\n\r\n",
			  s->len);
	http_send(fd, head, strlen(head));
	http_send(fd, s->body + from, MIN(limit, s->len - from));
}

static void http_image(struct http_server *s, int fd, const char *request)
{
	s->image_requests++;
	if (s->image_breaks == 0)
		http_body(s, fd, request, SIZE_MAX);
	else if (s->image_requests == 1)
		http_body(s, fd, request, s->image_breaks);
	else
		http_status(fd, "403 Forbidden", "");
}

static void http_manifest(const struct http_server *s, int fd)
{
	autofree char *head = xasprintf(
		"HTTP/1.1 200 OK\r\nContent-Length: %zu\r\nConnection: close\r\n\r\n",
		strlen(s->manifest));

	http_send(fd, head, strlen(head));
	http_send(fd, s->manifest, strlen(s->manifest));
}

static void http_answer(struct http_server *s, int fd, const char *request)
{
	const char *path = strchr(request, ' ');

	s->requests++;
	path = path ? path + 1 : "";
	if (str_starts(path, "http://")) {
		snprintf(s->proxied, sizeof(s->proxied), "%.*s", (int)strcspn(path, " "), path);
		http_body(s, fd, request, SIZE_MAX);
	} else if (str_starts(path, "/file ")) {
		http_body(s, fd, request, SIZE_MAX);
	} else if (str_starts(path, "/flaky ")) {
		http_body(s, fd, request, s->requests == 1 ? s->len / 2 : SIZE_MAX);
	} else if (str_starts(path, "/busy ") && s->requests == 1) {
		http_status(fd, "503 Busy", "");
	} else if (str_starts(path, "/busy ")) {
		http_body(s, fd, request, SIZE_MAX);
	} else if (str_starts(path, "/moved ")) {
		http_status(fd, "302 Found", "Location: /file\r\n");
	} else if (str_starts(path, "/loop ")) {
		http_status(fd, "302 Found", "Location: /loop\r\n");
	} else if (str_starts(path, "/out ")) {
		http_status(fd, "302 Found", "Location: file:///etc/passwd\r\n");
	} else if (s->manifest && str_starts(path, "/node-1.manifest.json ")) {
		http_manifest(s, fd);
	} else if (s->manifest && str_starts(path, "/node-1.squashfs.img ")) {
		http_image(s, fd, request);
	} else if (s->manifest && str_starts(path, "/away.manifest.json ")) {
		http_manifest(s, fd);
	} else if (str_starts(path, "/away.squashfs.img ")) {
		http_status(fd, "302 Found", "Location: file:///etc/passwd\r\n");
	} else if (str_starts(path, "/private ")) {
		http_status(fd, "403 Forbidden", "");
	} else {
		http_status(fd, "404 Not Found", "");
	}
}

static void *http_serve(void *ctx)
{
	struct http_server *s = ctx;

	for (;;) {
		char request[4096];
		size_t len = 0;
		int fd = accept(s->fd, NULL, NULL);

		if (fd < 0)
			return NULL;
		do {
			ssize_t n = recv(fd, request + len, sizeof(request) - 1 - len, 0);

			if (n <= 0)
				break;
			len += (size_t)n;
			request[len] = '\0';
		} while (!strstr(request, "\r\n\r\n") && len < sizeof(request) - 1);
		if (len > 0)
			http_answer(s, fd, request);
		shutdown(fd, SHUT_RDWR);
		close(fd);
	}
}

static void http_start(struct http_server *s)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	struct sockaddr *any = (struct sockaddr *)(void *)&a;
	socklen_t len = sizeof(a);

	s->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert(s->fd >= 0 && bind(s->fd, any, sizeof(a)) == 0 && listen(s->fd, 8) == 0);
	assert(getsockname(s->fd, any, &len) == 0);
	s->port = ntohs(a.sin_port);
	assert(pthread_create(&s->thread, NULL, http_serve, s) == 0);
}

static void http_stop(struct http_server *s)
{
	shutdown(s->fd, SHUT_RDWR);
	pthread_join(s->thread, NULL);
	close(s->fd);
}
