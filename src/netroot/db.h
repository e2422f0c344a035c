/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The database of a netroot tree: images, the entries that offer them, hosts.
 *
 * Format: docs/formats/netroot.md.  Text is taken as hostile: every field is checked for type, range and
 * characters before it gets into the struct, because boot loaders read what is made of it.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "base/err.h"
#include "base/hash.h"

#define NETROOT_DB_FILE       "netroot.json"
#define NETROOT_DB_VERSION    1
#define NETROOT_DB_MAX_BYTES  (8 * MIB)
#define NETROOT_IMAGES_MAX    1000
#define NETROOT_HOSTS_MAX     10000
#define NETROOT_CHOICES_MAX   100000 /* of all hosts: each has files with all entries */
#define NETROOT_ID_DIGITS     16
#define NETROOT_LABEL_MAX     64
#define NETROOT_PARAMS_MAX    2000 /* the kernel takes 2048 bytes, PXELINUX and GRUB as many */
#define NETROOT_SERVERS_MAX   8
#define NETROOT_SERVERS_BYTES 255
#define NETROOT_HOST_ID_BYTES 37 /* a UUID with its NUL */

/* With the parameters of bedplate.verity= behind it: "verity:HASH-OFFSET:FEC-OFFSET:FEC-ROOTS". */
#define NETROOT_VERITY "verity:"

struct netroot_file {
	uint64_t size_bytes;
	uint8_t sha256[SHA256_BYTES];
};

/* Data in the tree: images/ID.img and tftp/ID/.  Never changed once it is there. */
struct netroot_image {
	char id[NETROOT_ID_DIGITS + 1];
	char *title;
	bool ours; /* has a manifest */
	struct netroot_file image, kernel, initramfs;
	uint64_t unpacked_bytes; /* of the initramfs */
	char *release;           /* of the kernel, or NULL */
	char *root;              /* "live:UUID=..." for dracut, NETROOT_VERITY for our module */
	char *params;            /* of the image, "" for none */
	char *live_params;       /* behind root= */
	char *root_hash;         /* dm-verity, hexadecimal, or NULL */
};

/* What a client can choose. */
struct netroot_entry {
	char *label, *image; /* image: its id */
	char *previous;      /* id of the image before, which clients may still read, or NULL */
	char *append;        /* "" for none */
	char *server;        /* NULL: the one that the client learned from DHCP */
	bool http; /* the whole image is fetched into memory; false: NBD, block by block */
};

struct netroot_host {
	char id[NETROOT_HOST_ID_BYTES]; /* aa:bb:cc:dd:ee:ff, or a UUID in lower case */
	char *label;
	char *hostname; /* or NULL */
	char *append;   /* "" for none */
	bool has_config;
	struct netroot_file config;
};

/* A boot loader's file right in tftp/. */
struct netroot_loader {
	char *name;
	struct netroot_file file;
};

struct netroot_db {
	char *default_label; /* NULL: none */
	struct netroot_image *images;
	size_t image_count;
	struct netroot_entry *entries; /* sorted by label */
	size_t entry_count;
	struct netroot_host *hosts; /* sorted by id */
	size_t host_count;
	struct netroot_loader *loaders;
	size_t loader_count;
};

void netroot_db_fini(struct netroot_db *db);
#define autonetrootdb auto_with(netroot_db_fini) struct netroot_db

/* Canonical text.  The caller frees it. */
char *netroot_db_format(const struct netroot_db *db) MUST_CHECK;
/* out starts zeroed.  -EBADMSG: not such a database, or a damaged one. */
int netroot_db_parse(const char *text, size_t len, struct netroot_db *out, struct err *e)
	MUST_CHECK;

/* It can be booted by the module of dracut that comes with bedplate. */
bool netroot_image_is_own(const struct netroot_image *img);
/* It is: the module takes any server, and the one of DHCP when the boot loader cannot tell. */
bool netroot_entry_is_own(const struct netroot_db *db, const struct netroot_entry *en);

/* -EINVAL: its servers are none that it can take. */
int netroot_entry_check_server(
	const struct netroot_db *db, const struct netroot_entry *en, struct err *e) MUST_CHECK;

/* NULL when there is none. */
struct netroot_image *netroot_db_image(const struct netroot_db *db, const char *id);
struct netroot_entry *netroot_db_entry(const struct netroot_db *db, const char *label);
struct netroot_host *netroot_db_host(const struct netroot_db *db, const char *id);

/* The files that boot loaders read would not be too large. */
bool netroot_db_fits(const struct netroot_db *db);

/* What an entry boots. */
bool netroot_db_is_offered(const struct netroot_db *db, const char *id);

/* value NULL: it stays; "" for what may be NULL: it is none any more.  true: it has changed. */
bool netroot_set_text(char **field, const char *value);
bool netroot_set_optional(char **field, const char *value);

/* One more, zeroed; what was found before may have moved. */
struct netroot_image *netroot_db_add_image(struct netroot_db *db);
struct netroot_entry *netroot_db_add_entry(struct netroot_db *db);
struct netroot_host *netroot_db_add_host(struct netroot_db *db);
struct netroot_loader *netroot_db_add_loader(struct netroot_db *db);
void netroot_db_sort(struct netroot_db *db);

void netroot_db_drop_image(struct netroot_db *db, struct netroot_image *img);
void netroot_db_drop_entry(struct netroot_db *db, struct netroot_entry *en);
void netroot_db_drop_host(struct netroot_db *db, struct netroot_host *h);

/* -EINVAL: what is wrong with it, for a person. */
int netroot_label_check(const char *label, struct err *e) MUST_CHECK;
int netroot_params_check(const char *params, struct err *e) MUST_CHECK;
/* "HOST[:PORT]", up to NETROOT_SERVERS_MAX of them with ',' between. */
int netroot_server_check(const char *servers, struct err *e) MUST_CHECK;
/* One, without a port: all that dracut's own module takes. */
bool netroot_server_is_plain(const char *servers);
int netroot_hostname_check(const char *name, struct err *e) MUST_CHECK;
/* A MAC address with ':' or '-', or a UUID, in either case, to the form of netroot_host.id. */
int netroot_host_id_parse(const char *text, char out[NETROOT_HOST_ID_BYTES], struct err *e)
	MUST_CHECK;
