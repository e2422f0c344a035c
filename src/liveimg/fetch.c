/* SPDX-License-Identifier: Apache-2.0 */
#include "liveimg/fetch.h"

#include <curl/curl.h>
#include <ifaddrs.h>
#include <inttypes.h>
#include <net/if.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "base/interrupt.h"
#include "base/io.h"
#include "base/log.h"
#include "base/str.h"
#include "base/xalloc.h"

#define CONNECT_SECONDS 30L
#define STALL_SECONDS   30L
#define STALL_BYTES     1L /* a second, over all of STALL_SECONDS */
#define REDIRECTS_MAX   5L
#define ATTEMPTS        5
#define NETWORK_SECONDS 90
#define HASH_BYTES      (256 * KIB)
/* A connection that brought at least this much was no failed attempt. */
#define GOOD_BYTES (1 * MIB)

struct transfer {
	CURL *curl;
	const char *name; /* for messages */
	int fd;           /* -1: into text */
	struct strbuf text;
	uint64_t done, max;
	struct sha256 *hash; /* NULL: no digest wanted */
	struct progress *p;
	bool resumes;   /* this connection was asked for the rest only */
	bool started;   /* its first bytes have come */
	struct err err; /* our own, raised in a callback */
};

static void transfer_fini(struct transfer *t)
{
	curl_easy_cleanup(t->curl);
	strbuf_fini(&t->text);
	sha256_free(t->hash);
}

static void curlu_free_auto(CURLU **u)
{
	curl_url_cleanup(*u);
}

static void curl_text_free_auto(char **text)
{
	curl_free(*text);
}

#define autocurlu    auto_with(curlu_free_auto) CURLU
#define autocurltext auto_with(curl_text_free_auto) char

bool fetch_is_remote(const char *url)
{
	static const char *const schemes[] = {"http://", "https://", "ftp://"};

	for (size_t i = 0; i < ARRAY_LEN(schemes); i++)
		if (strncasecmp(url, schemes[i], strlen(schemes[i])) == 0)
			return true;
	return false;
}

static int parse_url(const char *url, CURLU **out, struct err *e)
{
	CURLU *u = curl_url();
	CURLUcode code = u ? curl_url_set(u, CURLUPART_URL, url, 0) : CURLUE_OUT_OF_MEMORY;

	if (code != CURLUE_OK) {
		curl_url_cleanup(u);
		return err_set(e, EINVAL, "bad URL '%.200s': %s", url, curl_url_strerror(code));
	}
	*out = u;
	return 0;
}

static int take_part(CURLU *u, CURLUPart part, unsigned flags, char **out, struct err *e)
{
	autocurltext *text = NULL;
	CURLUcode code = curl_url_get(u, part, &text, flags);

	if (code != CURLUE_OK)
		return err_set(e, EINVAL, "bad URL: %s", curl_url_strerror(code));
	*out = xstrdup(text);
	return 0;
}

char *fetch_public_name(const char *url)
{
	autocurlu *u = NULL;
	char *name = NULL;

	if (parse_url(url, &u, NULL) < 0)
		return str_printable(url);
	curl_url_set(u, CURLUPART_USER, NULL, 0);
	curl_url_set(u, CURLUPART_PASSWORD, NULL, 0);
	curl_url_set(u, CURLUPART_QUERY, NULL, 0);
	if (take_part(u, CURLUPART_URL, 0, &name, NULL) < 0)
		return str_printable(url);
	return name;
}

int fetch_file_path(const char *url, char **path, struct err *e)
{
	autocurlu *u = NULL;
	autofree char *scheme = NULL;
	int r = parse_url(url, &u, e);

	if (r == 0)
		r = take_part(u, CURLUPART_SCHEME, 0, &scheme, e);
	if (r < 0)
		return r;
	if (!str_eq(scheme, "file"))
		return err_set(
			e, EINVAL, "bad URL '%.200s': expected file, http, https or ftp", url);
	return take_part(u, CURLUPART_PATH, CURLU_URLDECODE, path, e);
}

int fetch_last_component(const char *url, char **out, struct err *e)
{
	autocurlu *u = NULL;
	autofree char *path = NULL;
	int r = parse_url(url, &u, e);

	if (r == 0)
		r = take_part(u, CURLUPART_PATH, CURLU_URLDECODE, &path, e);
	if (r == 0)
		*out = xstrdup(strrchr(path, '/') ? strrchr(path, '/') + 1 : path);
	return r;
}

int fetch_sibling(const char *url, const char *name, char **out, struct err *e)
{
	autocurlu *u = NULL;
	autofree char *path = NULL;
	int r = parse_url(url, &u, e);

	if (r == 0)
		r = take_part(u, CURLUPART_PATH, CURLU_URLDECODE, &path, e);
	if (r < 0)
		return r;
	const char *slash = strrchr(path, '/');
	autofree char *beside = xasprintf("%.*s/%s", slash ? (int)(slash - path) : 0, path, name);
	CURLUcode code = curl_url_set(u, CURLUPART_PATH, beside, CURLU_URLENCODE);
	if (code != CURLUE_OK)
		return err_set(e, EINVAL, "bad URL '%.200s': %s", url, curl_url_strerror(code));
	return take_part(u, CURLUPART_URL, 0, out, e);
}

static bool is_loopback_host(const char *url)
{
	autocurlu *u = NULL;
	autofree char *host = NULL;

	if (parse_url(url, &u, NULL) < 0 || take_part(u, CURLUPART_HOST, 0, &host, NULL) < 0)
		return false;
	return str_eq(host, "localhost") || str_starts(host, "127.") || str_eq(host, "[::1]");
}

static bool is_global(const struct sockaddr *a)
{
	if (a && a->sa_family == AF_INET)
		return true;
	if (!a || a->sa_family != AF_INET6)
		return false;
	const struct sockaddr_in6 *six = (const struct sockaddr_in6 *)(const void *)a;
	return !IN6_IS_ADDR_LINKLOCAL(&six->sin6_addr);
}

static bool has_network(void)
{
	struct ifaddrs *list = NULL;
	bool found = false;

	if (getifaddrs(&list) < 0)
		return true; /* whatever is wrong, the request will tell */
	for (const struct ifaddrs *a = list; a && !found; a = a->ifa_next)
		found = (a->ifa_flags & IFF_RUNNING) && !(a->ifa_flags & IFF_LOOPBACK) &&
			is_global(a->ifa_addr);
	freeifaddrs(list);
	return found;
}

static int pause_seconds(unsigned seconds, struct err *e)
{
	const struct timespec tenth = {.tv_nsec = 100 * 1000 * 1000};
	int r = interrupt_check(e);

	for (unsigned i = 0; r == 0 && i < 10 * seconds; i++) {
		nanosleep(&tenth, NULL);
		r = interrupt_check(e);
	}
	return r;
}

static int wait_for_network(const char *url, const char *name, struct err *e)
{
	int r = 0;

	if (is_loopback_host(url) || has_network())
		return 0;
	log_warning("waiting for the network (at most %d s), needed for %s", NETWORK_SECONDS, name);
	for (int i = 0; i < NETWORK_SECONDS; i++) {
		r = pause_seconds(1, e);
		if (r < 0 || has_network())
			return r;
	}
	return err_set(e, ENETUNREACH,
		"%s: no network device got an address in %d s: check cable, DHCP and ip=", name,
		NETWORK_SECONDS);
}

/* The server did not take the range, or the file is new: from the start again. */
static int start_over(struct transfer *t)
{
	t->done = 0;
	t->text.len = 0;
	if (t->hash) {
		sha256_free(t->hash);
		t->hash = sha256_new();
	}
	return t->fd >= 0 && ftruncate(t->fd, 0) < 0 ? err_errno(&t->err, "%s", t->name) : 0;
}

static size_t take_data(char *data, UNUSED size_t one, size_t len, void *ctx)
{
	struct transfer *t = ctx;
	long status = 0;
	int r = 0;

	if (!t->started && t->resumes) {
		curl_easy_getinfo(t->curl, CURLINFO_RESPONSE_CODE, &status);
		if (status == 200)
			r = start_over(t);
	}
	t->started = true;
	if (r == 0 && len > t->max - t->done)
		r = err_set(&t->err, EFBIG, "%s: more than the %" PRIu64 " bytes expected", t->name,
			t->max);
	if (r == 0 && t->fd >= 0)
		r = io_pwrite(t->fd, data, len, t->done, &t->err);
	if (r < 0)
		return 0;
	if (t->fd < 0)
		strbuf_add(&t->text, data, len);
	if (t->hash)
		sha256_add(t->hash, data, len);
	t->done += len;
	return progress_advance(t->p, t->done, &t->err) < 0 ? 0 : len;
}

/* Called about once a second, also when nothing comes. */
static int note_time(void *ctx, UNUSED curl_off_t a, UNUSED curl_off_t b, UNUSED curl_off_t c,
	UNUSED curl_off_t d)
{
	struct transfer *t = ctx;

	return t->err.code == 0 && interrupt_check(&t->err) < 0;
}

static int set_up(struct transfer *t, const char *url, const struct fetch_options *o, struct err *e)
{
	bool https = strncasecmp(url, "https:", 6) == 0;
	CURL *c = t->curl = curl_easy_init();
	CURLcode code = CURLE_OK;

	if (!c)
		return err_set(e, ENOMEM, "libcurl");
	/* Only what can be refused at all is looked at: the rest are plain stores. */
	code = curl_easy_setopt(c, CURLOPT_URL, url);
	if (code == CURLE_OK)
		code = curl_easy_setopt(c, CURLOPT_PROTOCOLS_STR, "http,https,ftp");
	if (code == CURLE_OK)
		code = curl_easy_setopt(
			c, CURLOPT_REDIR_PROTOCOLS_STR, https ? "https" : "http,https");
	if (code == CURLE_OK && o && o->proxy)
		code = curl_easy_setopt(c, CURLOPT_PROXY, o->proxy);
	if (code != CURLE_OK)
		return err_set(e, EINVAL, "%s: %s", t->name, curl_easy_strerror(code));
	curl_easy_setopt(c, CURLOPT_FOLLOWLOCATION, 1L);
	curl_easy_setopt(c, CURLOPT_MAXREDIRS, REDIRECTS_MAX);
	curl_easy_setopt(c, CURLOPT_FAILONERROR, 1L);
	curl_easy_setopt(c, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(c, CURLOPT_CONNECTTIMEOUT, CONNECT_SECONDS);
	curl_easy_setopt(c, CURLOPT_LOW_SPEED_TIME, STALL_SECONDS);
	curl_easy_setopt(c, CURLOPT_LOW_SPEED_LIMIT, STALL_BYTES);
	curl_easy_setopt(c, CURLOPT_USERAGENT, "bedplate/" BEDPLATE_VERSION);
	curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, take_data);
	curl_easy_setopt(c, CURLOPT_WRITEDATA, t);
	curl_easy_setopt(c, CURLOPT_XFERINFOFUNCTION, note_time);
	curl_easy_setopt(c, CURLOPT_XFERINFODATA, t);
	curl_easy_setopt(c, CURLOPT_NOPROGRESS, 0L);
	if (o && o->insecure) {
		curl_easy_setopt(c, CURLOPT_SSL_VERIFYPEER, 0L);
		curl_easy_setopt(c, CURLOPT_SSL_VERIFYHOST, 0L);
	}
	return 0;
}

static bool is_transient(CURLcode code, long status)
{
	static const CURLcode codes[] = {
		CURLE_COULDNT_RESOLVE_HOST,
		CURLE_COULDNT_RESOLVE_PROXY,
		CURLE_COULDNT_CONNECT,
		CURLE_OPERATION_TIMEDOUT,
		CURLE_PARTIAL_FILE,
		CURLE_GOT_NOTHING,
		CURLE_SEND_ERROR,
		CURLE_RECV_ERROR,
		CURLE_HTTP2,
		CURLE_HTTP2_STREAM,
	};

	if (code == CURLE_HTTP_RETURNED_ERROR)
		return status == 408 || status == 429 || status >= 500;
	for (size_t i = 0; i < ARRAY_LEN(codes); i++)
		if (code == codes[i])
			return true;
	return false;
}

static int error_code(CURLcode code, long status)
{
	static const struct {
		CURLcode curl;
		int code;
	} table[] = {
		{CURLE_REMOTE_FILE_NOT_FOUND, ENOENT},
		{CURLE_OPERATION_TIMEDOUT, ETIMEDOUT},
		{CURLE_TOO_MANY_REDIRECTS, ELOOP},
		{CURLE_PEER_FAILED_VERIFICATION, EKEYREJECTED},
		{CURLE_UNSUPPORTED_PROTOCOL, EPROTONOSUPPORT},
		{CURLE_COULDNT_CONNECT, ECONNREFUSED},
	};

	if (code == CURLE_HTTP_RETURNED_ERROR)
		return status == 404 || status == 410 ? ENOENT : EPROTO;
	for (size_t i = 0; i < ARRAY_LEN(table); i++)
		if (code == table[i].curl)
			return table[i].code;
	return EIO;
}

/* What is there already is not the beginning of what the server has. */
static bool is_beyond_end(const struct transfer *t, CURLcode code, long status)
{
	return t->resumes && code == CURLE_HTTP_RETURNED_ERROR && status == 416;
}

/* One connection.  Fills *e; *again when another attempt may do better. */
static int attempt(struct transfer *t, bool *again, struct err *e)
{
	char reason[CURL_ERROR_SIZE] = "", range[32];
	long status = 0;

	snprintf(range, sizeof(range), "%" PRIu64 "-", t->done);
	t->resumes = t->done > 0;
	t->started = false;
	curl_easy_setopt(t->curl, CURLOPT_RANGE, t->resumes ? range : NULL);
	curl_easy_setopt(t->curl, CURLOPT_ERRORBUFFER, reason);
	CURLcode code = curl_easy_perform(t->curl);
	curl_easy_setopt(t->curl, CURLOPT_ERRORBUFFER, NULL);
	*again = false;
	if (t->err.code)
		return err_set(e, t->err.code, "%s", t->err.msg);
	if (code == CURLE_OK)
		return 0;
	curl_easy_getinfo(t->curl, CURLINFO_RESPONSE_CODE, &status);
	*again = is_transient(code, status);
	if (is_beyond_end(t, code, status)) {
		*again = true;
		if (start_over(t) < 0)
			return err_set(e, t->err.code, "%s", t->err.msg);
	}
	autofree char *text = str_printable(reason[0] ? reason : curl_easy_strerror(code));
	return err_set(e, error_code(code, status), "%s: %s", t->name, text);
}

static int transfer(
	struct transfer *t, const char *url, const struct fetch_options *o, struct err *e)
{
	struct err own = {0};
	bool again;
	int r = wait_for_network(url, t->name, e);

	if (r == 0)
		r = set_up(t, url, o, e);
	if (r < 0)
		return r;
	for (unsigned n = 1;; n++) {
		uint64_t before = t->done;

		r = attempt(t, &again, &own);
		if (t->done > before && t->done - before >= GOOD_BYTES)
			n = 1;
		if (r == 0 || !again || n >= ATTEMPTS)
			break;
		unsigned seconds = 1U << (n - 1);
		log_warning(
			"%s; trying again in %u s (%u of %d)", own.msg, seconds, n + 1, ATTEMPTS);
		r = pause_seconds(seconds, e);
		if (r < 0)
			return r;
	}
	return r < 0 ? err_set(e, -r, "%s", own.msg) : 0;
}

int fetch_text(const char *url, const struct fetch_options *o, size_t max_bytes, char **text,
	size_t *len, struct err *e)
{
	autofree char *name = fetch_public_name(url);
	auto_with(transfer_fini) struct transfer t = {.name = name, .fd = -1, .max = max_bytes};
	int r = transfer(&t, url, o, e);

	if (r < 0)
		return r;
	if (len)
		*len = t.text.len;
	*text = strbuf_take(&t.text);
	return 0;
}

int fetch_stream(
	const char *url, const struct fetch_options *o, uint64_t max_bytes, int fd, struct err *e)
{
	autofree char *name = fetch_public_name(url);
	auto_with(transfer_fini) struct transfer t = {.name = name, .fd = fd, .max = max_bytes};

	return transfer(&t, url, o, e);
}

/* Take what fd has for the beginning. */
static int take_up(struct transfer *t, struct err *e)
{
	autofree char *buf = xcalloc(1, HASH_BYTES);
	struct stat st;
	int r = 0;

	if (fstat(t->fd, &st) < 0)
		return err_errno(e, "%s", t->name);
	uint64_t size = (uint64_t)st.st_size;
	if (size > t->max)
		return start_over(t) < 0 ? err_set(e, t->err.code, "%s", t->err.msg) : 0;
	while (r == 0 && t->done < size) {
		ssize_t n = pread(t->fd, buf, HASH_BYTES, (off_t)t->done);

		if (n <= 0)
			return err_set(e, EIO, "%s: reading what is there of it: %s", t->name,
				n < 0 ? strerror(errno) : "it ends");
		sha256_add(t->hash, buf, (size_t)n);
		t->done += (uint64_t)n;
		r = progress_advance(t->p, t->done, e);
	}
	return r;
}

int fetch_file(const char *url, const struct fetch_options *o, int fd, uint64_t size_bytes,
	uint8_t sha256[SHA256_BYTES], struct progress *p, struct err *e)
{
	autofree char *name = fetch_public_name(url);
	auto_with(transfer_fini) struct transfer t = {
		.name = name, .fd = fd, .max = size_bytes, .hash = sha256_new(), .p = p};

	progress_begin(p, "download", size_bytes, "bytes");
	int r = take_up(&t, e);
	if (r == 0 && (t.done < size_bytes || size_bytes == 0))
		r = transfer(&t, url, o, e);
	progress_end(p);
	if (r < 0)
		return r == -EFBIG
			? err_set(e, EBADMSG,
				  "%s is larger than the %" PRIu64 " bytes of its manifest", name,
				  size_bytes)
			: r;
	if (t.done != size_bytes)
		return err_set(e, EBADMSG, "%s is %" PRIu64 " bytes, its manifest has %" PRIu64,
			name, t.done, size_bytes);
	sha256_end(t.hash, sha256);
	return 0;
}
