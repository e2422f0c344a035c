/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Canonical text.  Nothing is escaped but where the reference parser does it, because the text is
 * meant to be compared with its output.
 */
#include "ks/write.h"

#include "base/xalloc.h"
#include "ks/text.h"

static void add_joined(struct strbuf *b, const struct strv *list, const char *separator)
{
	for (size_t i = 0; i < list->count; i++)
		strbuf_printf(b, "%s%s", i > 0 ? separator : "", list->items[i]);
}

static void add_escaped(struct strbuf *b, const char *text)
{
	for (; *text; text++) {
		if (*text == '"')
			strbuf_putc(b, '\\');
		strbuf_putc(b, *text);
	}
}

/* Whether every option in "a+b" has a value. */
static bool all_have_values(const struct ks_cmd *c, const char *options)
{
	autofree char *copy = options ? xstrdup(options) : NULL;
	char *rest = copy;

	for (char *name; copy && (name = str_next_word(&rest, "+"));)
		if (!ks_flag(c, name))
			return false;
	return true;
}

/* Most options of most lines have nothing to print: find that out first. */
static bool has_something(const struct ks_cmd *c, const char *option)
{
	size_t i = ks_opt_dest(c->grammar, ks_opt_find(c->grammar, option));

	return ks_value_find(c, i) || c->grammar->opts[i].value;
}

static bool differs_from_default(const struct ks_cmd *c, const char *option)
{
	const struct ks_opt *o = &c->grammar->opts[ks_opt_find(c->grammar, option)];

	return !o->value || !str_eq(o->value, ks_digits(c, option));
}

static void add_number(const struct ks_cmd *c, const struct ks_out *out, struct strbuf *b)
{
	const char *digits = ks_digits(c, out->name);
	int64_t number = ks_number(c, out->name);
	bool shown = number != 0;

	if (out->form == KS_PRINT_POSITIVE)
		shown = number > 0;
	else if (out->form == KS_PRINT_ANY_INT)
		shown = digits[0] && differs_from_default(c, out->name);
	if (shown)
		strbuf_printf(b, " --%s=%s", out->name, digits);
}

static void add_list(const struct ks_cmd *c, const struct ks_out *out, struct strbuf *b)
{
	const struct strv *list = ks_list(c, out->name);
	const char *quote = out->form == KS_PRINT_QLIST ? "\"" : "";

	if (out->form == KS_PRINT_EACH) {
		for (size_t i = 0; i < list->count; i++)
			strbuf_printf(b, " --%s=\"%s\"", out->name, list->items[i]);
		return;
	}
	if (list->count == 0)
		return;
	strbuf_printf(b, " --%s=%s", out->name, quote);
	add_joined(b, list, ",");
	strbuf_puts(b, quote);
}

static void add_text(const struct ks_cmd *c, const struct ks_out *out, struct strbuf *b)
{
	const char *text = ks_text(c, out->name);
	const char *quote = out->form == KS_PRINT_TEXT ? "" : "\"";

	if (!text[0])
		return;
	strbuf_printf(b, " --%s=%s", out->name, quote);
	if (out->form == KS_PRINT_ESCAPED)
		add_escaped(b, text);
	else
		strbuf_puts(b, text);
	strbuf_puts(b, quote);
}

static void add_option(const struct ks_cmd *c, const struct ks_out *out, struct strbuf *b)
{
	switch (out->form) {
	case KS_PRINT_TEXT:
	case KS_PRINT_QUOTED:
	case KS_PRINT_ESCAPED:
		add_text(c, out, b);
		return;
	case KS_PRINT_INT:
	case KS_PRINT_POSITIVE:
	case KS_PRINT_ANY_INT:
		add_number(c, out, b);
		return;
	case KS_PRINT_LIST:
	case KS_PRINT_QLIST:
	case KS_PRINT_EACH:
		add_list(c, out, b);
		return;
	case KS_PRINT_FLAG:
		if (ks_flag(c, out->name))
			strbuf_printf(b, " --%s", out->name);
		return;
	case KS_PRINT_OFF:
		if (!ks_flag(c, out->name))
			strbuf_printf(b, " --%s=off", out->name);
		return;
	case KS_PRINT_CONST:
		if (ks_text(c, out->name)[0])
			strbuf_printf(b, " --%s", ks_text(c, out->name));
		return;
	}
}

void ks_write_options(const struct ks_cmd *c, struct strbuf *b)
{
	const struct ks_command *g = c->grammar;

	for (size_t i = 0; i < g->out_count; i++)
		if (has_something(c, g->out[i].name) && all_have_values(c, g->out[i].only_with))
			add_option(c, &g->out[i], b);
}

static const char *arg(const struct ks_cmd *c, size_t i)
{
	return i < c->args.count ? c->args.items[i] : "";
}

/* The last positionals, each behind a blank. */
static void add_args_from(const struct ks_cmd *c, size_t first, struct strbuf *b)
{
	for (size_t i = first; i < c->args.count; i++)
		strbuf_printf(b, " %s", c->args.items[i]);
}

/* A password with a '#' would end the line. */
static void add_password(struct strbuf *b, const char *text)
{
	const char *quote = strchr(text, '#') ? "\"" : "";

	strbuf_printf(b, "%s%s%s", quote, text, quote);
}

void ks_write_authselect(const struct ks_cmd *c, struct strbuf *b)
{
	if (c->rest[0])
		strbuf_printf(b, "authselect %s", c->rest);
}

void ks_write_bootloader(const struct ks_cmd *c, struct strbuf *b)
{
	strbuf_puts(b, "bootloader");
	if (!ks_flag(c, "disabled"))
		ks_write_options(c, b);
	else
		strbuf_printf(b, " --disabled%s", ks_flag(c, "sdboot") ? " --sdboot" : "");
}

void ks_write_clearpart(const struct ks_cmd *c, struct strbuf *b)
{
	const char *type = ks_text(c, "all");

	if (!type[0])
		return;
	strbuf_puts(b, "clearpart");
	if (!str_eq(type, "list"))
		strbuf_printf(b, " --%s", type);
	ks_write_options(c, b);
}

void ks_write_displaymode(const struct ks_cmd *c, struct strbuf *b)
{
	strbuf_puts(b, c->name);
	if (ks_flag(c, "non-interactive"))
		strbuf_puts(b, " --non-interactive");
}

void ks_write_driverdisk(const struct ks_cmd *c, struct strbuf *b)
{
	strbuf_printf(b, "driverdisk %s", arg(c, 0));
	if (arg(c, 0)[0])
		return;
	if (ks_text(c, "source")[0])
		strbuf_printf(b, "--source=%s", ks_text(c, "source"));
	else if (ks_text(c, "biospart")[0])
		strbuf_printf(b, "--biospart=%s", ks_text(c, "biospart"));
}

/* "ssh:tcp" stands for a service, "22:tcp" for a port. */
static bool is_service_port(const char *port)
{
	return ks_alternative("ssh:tcp|telnet:tcp|smtp:tcp|http:tcp|ftp:tcp", port, strlen(port));
}

void ks_write_firewall(const struct ks_cmd *c, struct strbuf *b)
{
	const struct strv *ports = ks_list(c, "port");
	const char *separator = " --port=";

	if (ks_flag(c, "use-system-defaults")) {
		strbuf_puts(b, "firewall --use-system-defaults");
		return;
	}
	if (!ks_flag(c, "enabled")) {
		strbuf_puts(b, "firewall --disabled");
		return;
	}
	strbuf_puts(b, "firewall --enabled");
	for (size_t i = 0; i < ports->count; i++)
		if (is_service_port(ports->items[i]))
			strbuf_printf(
				b, " --%.*s", (int)strcspn(ports->items[i], ":"), ports->items[i]);
	for (size_t i = 0; i < ports->count; i++) {
		if (is_service_port(ports->items[i]))
			continue;
		strbuf_printf(b, "%s%s", separator, ports->items[i]);
		separator = ",";
	}
	ks_write_options(c, b);
}

/* Each item in single quotes. */
static void add_layouts(const struct ks_cmd *c, const char *option, struct strbuf *b)
{
	const struct strv *list = ks_list(c, option);

	for (size_t i = 0; i < list->count; i++) {
		if (i == 0)
			strbuf_printf(b, " --%s=", option);
		strbuf_printf(b, "%s'%s'", i > 0 ? "," : "", list->items[i]);
	}
}

void ks_write_keyboard(const struct ks_cmd *c, struct strbuf *b)
{
	const char *vc = ks_text(c, "vckeymap");

	if (!vc[0] && ks_list(c, "xlayouts")->count == 0) {
		if (arg(c, 0)[0])
			strbuf_printf(b, "keyboard '%s'", arg(c, 0));
		return;
	}
	strbuf_puts(b, "keyboard");
	if (vc[0])
		strbuf_printf(b, " --vckeymap=%s", vc);
	add_layouts(c, "xlayouts", b);
	add_layouts(c, "switch", b);
}

void ks_write_lang(const struct ks_cmd *c, struct strbuf *b)
{
	if (!arg(c, 0)[0])
		return;
	strbuf_printf(b, "lang %s", arg(c, 0));
	ks_write_options(c, b);
}

void ks_write_mount(const struct ks_cmd *c, struct strbuf *b)
{
	const char *format = ks_str(c, "reformat");

	strbuf_printf(b, "mount %s %s", arg(c, 0), arg(c, 1));
	if (ks_given(c, "reformat") && !format)
		strbuf_puts(b, " --reformat");
	else if (format && format[0])
		strbuf_printf(b, " --reformat=%s", format);
	ks_write_options(c, b);
}

void ks_write_network(const struct ks_cmd *c, struct strbuf *b)
{
	strbuf_puts(b, "network ");
	if (!ks_flag(c, "noipv4"))
		strbuf_printf(b, " --bootproto=%s", ks_text(c, "bootproto"));
	ks_write_options(c, b);
}

void ks_write_raid(const struct ks_cmd *c, struct strbuf *b)
{
	strbuf_printf(b, "raid %s", arg(c, 0));
	ks_write_options(c, b);
	add_args_from(c, 1, b);
}

void ks_write_realm(const struct ks_cmd *c, struct strbuf *b)
{
	autostrv words = {0};

	if (ks_shlex(c->rest, strlen(c->rest), false, &words, NULL) < 0)
		return;
	strbuf_puts(b, "realm join");
	for (size_t i = 1; i < words.count; i++) {
		autofree char *quoted = ks_shell_quote(words.items[i]);

		strbuf_printf(b, " %s", quoted);
	}
}

void ks_write_reboot(const struct ks_cmd *c, struct strbuf *b)
{
	strbuf_puts(b, str_eq(c->name, "poweroff") ? "shutdown" : c->name);
	ks_write_options(c, b);
}

void ks_write_repo(const struct ks_cmd *c, struct strbuf *b)
{
	strbuf_printf(b, "repo --name=\"%s\" ", ks_text(c, "name"));
	if (ks_text(c, "baseurl")[0])
		strbuf_printf(b, "--baseurl=%s", ks_text(c, "baseurl"));
	else if (ks_text(c, "mirrorlist")[0])
		strbuf_printf(b, "--mirrorlist=%s", ks_text(c, "mirrorlist"));
	ks_write_options(c, b);
}

void ks_write_rootpw(const struct ks_cmd *c, struct strbuf *b)
{
	const char *password = arg(c, 0);
	bool locked = ks_flag(c, "lock"), crypted = ks_flag(c, "iscrypted");

	if (!password[0] && !locked)
		return;
	strbuf_printf(b, "rootpw%s%s", password[0] && crypted ? " --iscrypted" : "",
		locked ? " --lock" : "");
	if (password[0] && !crypted)
		strbuf_puts(b, " --plaintext");
	if (ks_flag(c, "allow-ssh"))
		strbuf_puts(b, " --allow-ssh");
	if (password[0]) {
		strbuf_putc(b, ' ');
		add_password(b, password);
	}
}

void ks_write_sshkey(const struct ks_cmd *c, struct strbuf *b)
{
	strbuf_printf(b, "sshkey --username=%s \"", ks_text(c, "username"));
	add_escaped(b, arg(c, 0));
	strbuf_putc(b, '"');
}

void ks_write_sshpw(const struct ks_cmd *c, struct strbuf *b)
{
	strbuf_printf(b, "sshpw --username=%s", ks_text(c, "username"));
	if (ks_flag(c, "sshkey"))
		strbuf_puts(b, " --sshkey");
	else
		strbuf_printf(b, "%s%s", ks_flag(c, "lock") ? " --lock" : "",
			ks_flag(c, "iscrypted") ? " --iscrypted" : " --plaintext");
	add_args_from(c, 0, b);
}

void ks_write_timezone(const struct ks_cmd *c, struct strbuf *b)
{
	bool utc = ks_flag(c, "utc");

	if (!arg(c, 0)[0] && !utc)
		return;
	strbuf_puts(b, "timezone");
	if (arg(c, 0)[0])
		strbuf_printf(b, " %s", arg(c, 0));
	if (utc)
		strbuf_puts(b, " --utc");
}

void ks_write_url(const struct ks_cmd *c, struct strbuf *b)
{
	static const char *const sources[] = {"url", "mirrorlist", "metalink"};

	strbuf_puts(b, "url");
	for (size_t i = 0; i < ARRAY_LEN(sources); i++) {
		const char *url = ks_text(c, sources[i]);

		if (!url[0])
			continue;
		strbuf_printf(b, " --%s=\"%s\"", sources[i], url);
		break;
	}
	ks_write_options(c, b);
}

static void add_user_password(const struct ks_cmd *c, struct strbuf *b)
{
	const char *password = ks_text(c, "password");

	if (password[0]) {
		strbuf_puts(b, " --password=");
		add_password(b, password);
	}
	if (ks_flag(c, "iscrypted"))
		strbuf_puts(b, " --iscrypted");
}

void ks_write_user(const struct ks_cmd *c, struct strbuf *b)
{
	/* The password is in the middle and follows a rule of its own. */
	static const struct ks_out before[] = {
		{"groups", KS_PRINT_LIST, NULL},
		{"homedir", KS_PRINT_TEXT, NULL},
		{"name", KS_PRINT_TEXT, NULL},
	};
	static const struct ks_out after[] = {
		{"shell", KS_PRINT_TEXT, NULL},
		{"uid", KS_PRINT_INT, NULL},
		{"lock", KS_PRINT_FLAG, NULL},
		{"gecos", KS_PRINT_QUOTED, NULL},
		{"gid", KS_PRINT_INT, NULL},
	};
	autostrbuf tail = {0};

	for (size_t i = 0; i < ARRAY_LEN(before); i++)
		add_option(c, &before[i], &tail);
	add_user_password(c, &tail);
	for (size_t i = 0; i < ARRAY_LEN(after); i++)
		add_option(c, &after[i], &tail);
	if (tail.len > 0)
		strbuf_printf(b, "user%s", tail.data);
}

void ks_write_volgroup(const struct ks_cmd *c, struct strbuf *b)
{
	strbuf_printf(b, "volgroup %s", arg(c, 0));
	ks_write_options(c, b);
	add_args_from(c, 1, b);
}

/* The text before the options: "$1" is the first positional, "$name" the value of an option. */
static void add_head(const struct ks_cmd *c, struct strbuf *b)
{
	const char *head = c->grammar->head ? c->grammar->head : c->grammar->name;
	const char *dollar = strchr(head, '$');

	if (!dollar) {
		strbuf_puts(b, head);
		return;
	}
	strbuf_add(b, head, (size_t)(dollar - head));
	if (dollar[1] == '1') {
		strbuf_printf(b, "%s%s", arg(c, 0), dollar + 2);
		return;
	}

	size_t len = strspn(dollar + 1, "abcdefghijklmnopqrstuvwxyz-");
	autofree char *option = xstrndup(dollar + 1, len);
	strbuf_printf(b, "%s%s", ks_text(c, option), dollar + 1 + len);
}

static void write_command(const struct ks_cmd *c, struct strbuf *b)
{
	autostrbuf tail = {0};
	size_t before = b->len;

	if (c->grammar->write) {
		c->grammar->write(c, b);
	} else {
		ks_write_options(c, &tail);
		if (c->grammar->tail_needed && tail.len == 0)
			return;
		add_head(c, b);
		strbuf_add(b, tail.data, tail.len);
	}
	if (b->len > before)
		strbuf_putc(b, '\n');
}

static int compare_order(const void *a, const void *b)
{
	const struct ks_command *x = *(const struct ks_command *const *)a;
	const struct ks_command *y = *(const struct ks_command *const *)b;

	return x->priority != y->priority ? x->priority - y->priority : strcmp(x->order, y->order);
}

static void write_commands(const struct ks_doc *doc, struct strbuf *b)
{
	const struct ks_command *sorted[KS_COMMANDS_MAX] = {0};
	size_t count = 0;

	for (size_t i = 0; i < ks_commands_count; i++)
		if (doc->commands[i].first)
			sorted[count++] = &ks_commands[i];
	qsort(sorted, count, sizeof(sorted[0]), compare_order);
	for (size_t i = 0; i < count; i++) {
		const struct ks_cmd *c = doc->commands[ks_command_index(sorted[i])].first;

		for (; c; c = c->next)
			write_command(c, b);
		/* The reference parser puts a blank line behind all mounts. */
		if (str_eq(sorted[i]->name, "mount"))
			strbuf_putc(b, '\n');
	}
}

static void write_script(const struct ks_script *s, struct strbuf *b)
{
	strbuf_printf(b, "\n%s", ks_script_name(s->kind));
	if (s->interpreter[0] && !str_eq(s->interpreter, "/bin/sh"))
		strbuf_printf(b, " --interpreter=%s", s->interpreter);
	if (s->nochroot)
		strbuf_puts(b, " --nochroot");
	if (s->log)
		strbuf_printf(b, " --logfile=%s", s->log);
	if (s->erroronfail)
		strbuf_puts(b, " --erroronfail");
	strbuf_putc(b, '\n');
	strbuf_add(b, s->body, s->body_len);
	strbuf_puts(b, s->body_len > 0 && s->body[s->body_len - 1] == '\n' ? "%end\n" : "\n%end\n");
}

static void write_certificate(const struct ks_certificate *cert, struct strbuf *b)
{
	strbuf_printf(b, "\n%%certificate --filename=\"%s\"", cert->filename);
	if (cert->dir && cert->dir[0])
		strbuf_printf(b, " --dir=\"%s\"", cert->dir);
	if (cert->type && cert->type[0])
		strbuf_printf(b, " --type=\"%s\"", cert->type);
	strbuf_printf(b, "\n%s%s%%end\n", cert->body, str_ends(cert->body, "\n") ? "" : "\n");
}

static void add_lines(struct strbuf *b, const char *prefix, const struct strv *list)
{
	for (size_t i = 0; i < list->count; i++)
		strbuf_printf(b, "%s%s\n", prefix, list->items[i]);
}

static void write_packages(const struct ks_packages *p, struct strbuf *b)
{
	if (!p->seen)
		return;
	strbuf_printf(b, "\n%%packages%s%s%s%s", p->default_env ? " --default" : "",
		p->excludedocs ? " --excludedocs" : "", p->nocore ? " --nocore" : "",
		p->ignoremissing ? " --ignoremissing" : "");
	if (p->inst_langs)
		strbuf_printf(b, " --inst-langs=%s", p->inst_langs);
	strbuf_printf(b, "%s%s", p->multilib ? " --multilib" : "",
		p->exclude_weakdeps ? " --exclude-weakdeps" : "");
	if (p->timeout)
		strbuf_printf(b, " --timeout=%s", p->timeout);
	if (p->retries)
		strbuf_printf(b, " --retries=%s", p->retries);
	strbuf_putc(b, '\n');

	if (!p->default_env && p->environment && p->environment[0])
		strbuf_printf(b, "@^%s\n", p->environment);
	for (size_t i = 0; i < p->groups.count; i++)
		strbuf_printf(b, "@%s%s%s\n", p->groups.items[i],
			p->group_details[i].nodefaults ? " --nodefaults" : "",
			p->group_details[i].optional ? " --optional" : "");
	add_lines(b, "", &p->packages);
	add_lines(b, "-@", &p->excluded_groups);
	add_lines(b, "-", &p->excluded);
	strbuf_puts(b, "\n%end\n");
}

char *ks_canonical(const struct ks_doc *doc)
{
	autostrbuf b = {0};

	write_commands(doc, &b);
	for (size_t i = 0; i < doc->script_count; i++)
		write_script(&doc->scripts[i], &b);
	for (size_t i = 0; i < doc->certificate_count; i++)
		write_certificate(&doc->certificates[i], &b);
	for (size_t i = 0; i < doc->addon_count; i++)
		strbuf_printf(&b, "\n%s\n%s%%end\n", doc->addons[i].header, doc->addons[i].body);
	write_packages(&doc->packages, &b);

	/* Blank lines are between the parts, not around the text. */
	while (b.len > 1 && b.data[b.len - 1] == '\n' && b.data[b.len - 2] == '\n')
		b.data[--b.len] = '\0';
	const char *text = b.data ? b.data : "";
	return xstrdup(text + strspn(text, "\n"));
}
