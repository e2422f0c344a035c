/* SPDX-License-Identifier: Apache-2.0 */
#include "ks/unattended.h"

#include "ks/doc.h"

static bool has(const struct ks_doc *doc, const char *command)
{
	return ks_next(doc, command, NULL) != NULL;
}

static const char *first_arg(const struct ks_cmd *c)
{
	return ks_args(c)->count > 0 ? ks_args(c)->items[0] : "";
}

/* Whether the nth positional of a line of the command is "/". */
static bool mounts_root(const struct ks_doc *doc, const char *command, size_t nth)
{
	for (const struct ks_cmd *c = NULL; (c = ks_next(doc, command, c));)
		if (nth < ks_args(c)->count && str_eq(ks_args(c)->items[nth], "/"))
			return true;
	return false;
}

static void ask_storage(const struct ks_doc *doc, struct ks_question *q)
{
	q->topic = "storage";
	q->answered = true;
	if (has(doc, "autopart"))
		q->reason = "autopart makes the layout";
	else if (mounts_root(doc, "part", 0))
		q->reason = "part makes /";
	else if (mounts_root(doc, "logvol", 0))
		q->reason = "logvol makes /";
	else if (mounts_root(doc, "raid", 0))
		q->reason = "raid makes /";
	else if (mounts_root(doc, "mount", 1))
		q->reason = "mount names the device of /";
	else
		*q = (struct ks_question){q->topic, false,
			"nothing makes /: add autopart, or part or logvol with the mount point /"};
}

static void ask_erase(const struct ks_doc *doc, struct ks_question *q)
{
	const struct ks_cmd *clear = ks_next(doc, "clearpart", NULL);
	bool erases = clear &&
		(ks_flag(clear, "all") || ks_flag(clear, "linux") ||
			ks_list(clear, "list")->count > 0);

	*q = (struct ks_question){.topic = "erasing disks"};
	if (has(doc, "mount") && !has(doc, "part"))
		*q = (struct ks_question){q->topic, true, "mount uses what is there"};
	else if (!erases)
		q->reason = "add clearpart --all, --linux or --list";
	else if (!has(doc, "zerombr"))
		q->reason = "a new disk would raise the question: add zerombr";
	else
		*q = (struct ks_question){q->topic, true, "clearpart and zerombr allow it"};
}

static bool lacks_passphrase(const struct ks_doc *doc, const char *command)
{
	for (const struct ks_cmd *c = NULL; (c = ks_next(doc, command, c));)
		if (ks_flag(c, "encrypted") && ks_text(c, "passphrase")[0] == '\0')
			return true;
	return false;
}

static void ask_encryption(const struct ks_doc *doc, struct ks_question *q)
{
	static const char *const commands[] = {"autopart", "part", "logvol", "raid"};

	*q = (struct ks_question){"encryption", true, "no passphrase is asked for"};
	for (size_t i = 0; i < ARRAY_LEN(commands); i++)
		if (lacks_passphrase(doc, commands[i]))
			*q = (struct ks_question){
				q->topic, false, "add --passphrase where --encrypted is"};
}

static void ask_boot_loader(const struct ks_doc *doc, struct ks_question *q)
{
	const struct ks_cmd *c = ks_next(doc, "bootloader", NULL);

	*q = (struct ks_question){"boot loader", true, "installed with its defaults"};
	if (c && (ks_flag(c, "disabled") || str_eq(ks_text(c, "location"), "none")))
		q->reason = "none is wanted";
	else if (c)
		q->reason = "bootloader says how";
}

static const char *source_command(const struct ks_doc *doc)
{
	static const char *const commands[] = {"liveimg", "url", "nfs", "cdrom", "harddrive"};

	for (size_t i = 0; i < ARRAY_LEN(commands); i++)
		if (has(doc, commands[i]))
			return commands[i];
	return NULL;
}

static void ask_source(const struct ks_doc *doc, struct ks_question *q)
{
	const char *source = source_command(doc);

	*q = (struct ks_question){.topic = "source"};
	if (!source)
		q->reason = "add liveimg --url";
	else if (!str_eq(source, "liveimg") && !ks_packages(doc)->seen)
		q->reason = "add %packages, or liveimg --url";
	else
		*q = (struct ks_question){q->topic, true,
			str_eq(source, "liveimg") ? "liveimg names the image"
						  : "an installation source and %packages"};
}

static bool source_needs_network(const struct ks_doc *doc)
{
	const struct ks_cmd *live = ks_next(doc, "liveimg", NULL);

	if (live)
		return !str_starts(ks_text(live, "url"), "file:") && ks_text(live, "url")[0] != '/';
	return has(doc, "url") || has(doc, "nfs");
}

static void ask_network(const struct ks_doc *doc, struct ks_question *q)
{
	*q = (struct ks_question){"network", true, "the source needs none"};
	if (!source_needs_network(doc))
		return;
	for (const struct ks_cmd *c = NULL; (c = ks_next(doc, "network", c));) {
		if (!ks_given(c, "device") && !ks_given(c, "bootproto") && !ks_given(c, "ip"))
			continue; /* only names the host */
		q->reason = ks_flag(c, "activate") ? "network brings it up"
						   : "network names it, the live system asks for "
						     "its address";
		return;
	}
	*q = (struct ks_question){q->topic, false, "the source needs one: add network --device"};
}

static void ask_timezone(const struct ks_doc *doc, struct ks_question *q)
{
	const struct ks_cmd *c = ks_next(doc, "timezone", NULL);

	*q = (struct ks_question){"time zone", false, "add timezone ZONE"};
	if (c && first_arg(c)[0])
		*q = (struct ks_question){q->topic, true, "timezone names it"};
}

/* "sudo" or "sudo(27)"; wheel gives nothing on Debian unless somebody has said so. */
static bool is_administrator(const struct ks_cmd *user)
{
	static const char *const names[] = {"sudo", "wheel"};
	const struct strv *groups = ks_list(user, "groups");

	for (size_t i = 0; i < groups->count; i++)
		for (size_t k = 0; k < ARRAY_LEN(names); k++)
			if (str_starts(groups->items[i], names[k]) &&
				strchr("(", groups->items[i][strlen(names[k])]))
				return true;
	return false;
}

static void ask_administrator(const struct ks_doc *doc, struct ks_question *q)
{
	*q = (struct ks_question){"administrator", true, "rootpw says who gets in as root"};
	if (has(doc, "rootpw"))
		return;
	q->reason = "a user of the group sudo or wheel can log in";
	for (const struct ks_cmd *c = NULL; (c = ks_next(doc, "user", c));)
		if (is_administrator(c) && !ks_flag(c, "lock") && ks_text(c, "password")[0])
			return;
	*q = (struct ks_question){q->topic, false,
		"add rootpw, or user --groups=sudo with a password and not locked"};
}

static bool is_text_mode(const struct ks_doc *doc)
{
	const struct ks_cmd *c = ks_next(doc, "text", NULL);

	return c && !str_eq(ks_name(c), "graphical");
}

static void ask_language(const struct ks_doc *doc, struct ks_question *q)
{
	*q = (struct ks_question){"language and keyboard", true, "lang and keyboard name them"};
	if (has(doc, "lang") && has(doc, "keyboard"))
		return;
	if (is_text_mode(doc))
		q->reason = "not asked for in text mode";
	else
		*q = (struct ks_question){q->topic, false, "add lang and keyboard, or text"};
}

static void ask_first_boot(const struct ks_doc *doc, struct ks_question *q)
{
	const struct ks_cmd *c = ks_next(doc, "firstboot", NULL);

	*q = (struct ks_question){"first boot", true, "asks nothing"};
	if (c && (ks_flag(c, "enable") || ks_flag(c, "reconfig")))
		*q = (struct ks_question){
			q->topic, false, "firstboot would ask: use firstboot --disable"};
}

static void ask_end(const struct ks_doc *doc, struct ks_question *q)
{
	*q = (struct ks_question){"end", false, "add reboot, poweroff or halt"};
	if (has(doc, "reboot"))
		*q = (struct ks_question){q->topic, true, ks_name(ks_next(doc, "reboot", NULL))};
	/* Both keep a person busy until they are done. */
	if (has(doc, "mediacheck") || has(doc, "rescue"))
		*q = (struct ks_question){q->topic, false, "mediacheck and rescue need a person"};
}

size_t ks_unattended(const struct ks_doc *doc, struct ks_question out[KS_QUESTIONS])
{
	static void (*const ask[KS_QUESTIONS])(const struct ks_doc *, struct ks_question *) = {
		ask_source,
		ask_network,
		ask_storage,
		ask_erase,
		ask_encryption,
		ask_boot_loader,
		ask_timezone,
		ask_administrator,
		ask_language,
		ask_first_boot,
		ask_end,
	};
	size_t open = 0;

	for (size_t i = 0; i < KS_QUESTIONS; i++) {
		ask[i](doc, &out[i]);
		open += !out[i].answered;
	}
	return open;
}

static bool is_sha256(const char *text)
{
	return strlen(text) == 64 && text[strspn(text, "0123456789abcdefABCDEF")] == '\0';
}

static void warn_of_liveimg(struct ks_doc *doc, const struct ks_cmd *c)
{
	const char *url = ks_text(c, "url"), *sum = ks_text(c, "checksum");
	bool known = str_starts(url, "file:") || str_starts(url, "http:") ||
		str_starts(url, "https:");

	if (!known)
		ks_warning(doc, c->file, c->line, "liveimg: '%.80s' is no file, http or https URL",
			url);
	else if (str_starts(url, "http:"))
		ks_warning(
			doc, c->file, c->line, "liveimg: http can be read and changed on the way");
	if (!sum[0])
		ks_warning(doc, c->file, c->line, "liveimg: without --checksum any image is taken");
	else if (!is_sha256(sum))
		ks_warning(doc, c->file, c->line, "liveimg: --checksum is no SHA-256");
	if (has(doc, "url") || has(doc, "repo") || ks_packages(doc)->seen)
		ks_warning(doc, c->file, c->line,
			"liveimg: url, repo and %%packages are ignored beside it");
}

void ks_add_unattended_warnings(struct ks_doc *doc)
{
	const struct ks_cmd *live = ks_next(doc, "liveimg", NULL);
	const struct ks_cmd *root = ks_next(doc, "rootpw", NULL);
	const struct ks_cmd *clear = ks_next(doc, "clearpart", NULL);

	if (live)
		warn_of_liveimg(doc, live);
	if (root && first_arg(root)[0] && !ks_flag(root, "iscrypted"))
		ks_warning(
			doc, root->file, root->line, "rootpw: the password can be read by anyone");
	if (clear && ks_flag(clear, "all") && ks_list(clear, "drives")->count == 0 &&
		!has(doc, "ignoredisk"))
		ks_warning(doc, clear->file, clear->line,
			"clearpart: every disk is erased; name some with --drives");
}
