/* SPDX-License-Identifier: Apache-2.0 */
/* Account files of an old image, a node and a new image, merged. */
#include "accounts-rules.h"
#include "test.h"

struct scene {
	const char *name;
	struct account_set old, node, new, want; /* want: NULL is not looked at */
	const char *users, *groups;              /* the map: "6>999 7>8" */
	const char *note;                        /* in one of the notes; NULL: there is none */
};

#define T(s) ((char[]){s})

static const struct scene scenes[] = {
	{
		.name = "what the predecessor gave the same id twice",
		.old.text = {[ACC_PASSWD] = T("sh:x:6:6:::\n"), [ACC_GROUP] = T("sh:x:6:\n")},
		.node.text = {[ACC_PASSWD] = T("sh:x:6:6:::\n"), [ACC_GROUP] = T("sh:x:6:\n")},
		.new.text = {[ACC_PASSWD] = T("b:x:7:7:::\na:x:6:6:::\n"),
			[ACC_GROUP] = T("b:x:7:\na:x:6:\n")},
		.want.text = {[ACC_PASSWD] = T("sh:x:6:6:::\nb:x:7:7:::\na:x:999:999:::\n"),
			[ACC_GROUP] = T("sh:x:6:\nb:x:7:\na:x:999:\n")},
		.users = "6>999",
		.groups = "6>999",
		.note = "user 'a' of the new image gets id 999, because 6 is that of 'sh' here",
	},
	{
		.name = "ids of the node win",
		.old.text = {[ACC_PASSWD] = T("a:x:110:110:::\nb:x:111:111:::\n")},
		.node.text = {[ACC_PASSWD] = T("a:x:110:110:::\nb:x:111:111:::\n")},
		.new.text = {[ACC_PASSWD] = T("a:x:111:111:::\nb:x:110:110:::\nc:x:112:5:::\n")},
		.want.text = {[ACC_PASSWD] = T("a:x:110:110:::\nb:x:111:111:::\nc:x:112:5:::\n")},
		.users = "110>111 111>110",
		.groups = "",
	},
	{
		.name = "fields go one by one",
		.old.text = {[ACC_PASSWD] = T("a:x:5:5:A:/a:/bin/sh\nb:x:6:6:B:/b:/bin/sh\n")},
		.node.text = {[ACC_PASSWD] = T("a:x:5:5:A:/a:/bin/zsh\nb:x:6:6:B:/bb:/bin/sh\n")},
		.new.text = {[ACC_PASSWD] = T(
				     "a:x:5:5:AA:/a2:/sbin/nologin\nb:x:6:6:BB:/b:/bin/dash\n")},
		.want.text = {[ACC_PASSWD] = T(
				      "a:x:5:5:AA:/a2:/bin/zsh\nb:x:6:6:BB:/bb:/bin/dash\n")},
		.users = "",
		.groups = "",
	},
	{
		.name = "passwords of the node stay, with their date",
		.old.text = {[ACC_PASSWD] = T("root:x:0:0:::\nd:x:1:1:::\n"),
			[ACC_SHADOW] = T("root:!:10:0:99999:7:::\nd:*:10:0:99999:7:::\n")},
		.node.text = {[ACC_PASSWD] = T("root:x:0:0:::\nd:x:1:1:::\n"),
			[ACC_SHADOW] = T("root:$y$h:10:0:99999:7:::\nd:*:10:0:99999:7:::\n")},
		.new.text = {[ACC_PASSWD] = T("root:x:0:0:::\nd:x:1:1:::\n"),
			[ACC_SHADOW] = T("root:!:20:0:99999:7:::\nd:!*:20:0:99999:7:::\n")},
		.want.text = {[ACC_SHADOW] = T(
				      "root:$y$h:10:0:99999:7:::\nd:!*:20:0:99999:7:::\n")},
		.users = "",
		.groups = "",
	},
	{
		.name = "a line that shadow has not is locked, a stale one goes",
		.old.text = {[ACC_PASSWD] = T("a:x:5:5:::\n"), [ACC_SHADOW] = T("a:h0:::::::\n")},
		.node.text =
			{[ACC_PASSWD] = T("a:x:5:5:::\n"), [ACC_SHADOW] = T("new:evil:::::::\n")},
		.new.text = {[ACC_PASSWD] = T("a:x:5:5:::\nnew:x:7:5:::\n"),
			[ACC_SHADOW] = T("a:h1:::::::\nnew:!:1::::::\n")},
		.want.text = {[ACC_SHADOW] = T("a:!*:::::::\nnew:!:1::::::\n")},
		.users = "",
		.groups = "",
		.note = "/etc/shadow of the node has a line for 'new' that is no user: left out",
	},
	{
		.name = "members: what either side did",
		.old.text = {[ACC_PASSWD] = T("v:x:8:8:::\nw:x:9:9:::\n"),
			[ACC_GROUP] = T("kvm:x:50:v,w\n"),
			[ACC_GSHADOW] = T("kvm:!::v,w\n")},
		.node.text = {[ACC_PASSWD] = T("v:x:8:8:::\nw:x:9:9:::\nme:x:1000:1000:::\n"),
			[ACC_GROUP] = T("kvm:x:50:w,me\n"),
			[ACC_GSHADOW] = T("kvm:!:me:w,me\n")},
		.new.text = {[ACC_PASSWD] = T("v:x:8:8:::\nw:x:9:9:::\nn:x:10:10:::\n"),
			[ACC_GROUP] = T("kvm:x:51:v,n\n"),
			[ACC_GSHADOW] = T("kvm:!::v,n\n")},
		.want.text =
			{[ACC_GROUP] = T("kvm:x:50:me,n\n"), [ACC_GSHADOW] = T("kvm:!:me:me,n\n")},
		.users = "",
		.groups = "51>50",
	},
	{
		.name = "deleted here: people stay away, what packages need is back",
		.old.text = {[ACC_PASSWD] = T(
				     "d:x:33:33:::\nopc:x:1000:1000:::\nnobody:x:65534:65534:::\n"),
			[ACC_SHADOW] = T("d:*:::::::\nopc:h:::::::\nnobody:*:::::::\n"),
			[ACC_GROUP] = T(
				"d:x:33:\nopc:x:1000:\nsudo:x:27:opc,d\nnobody:x:65534:\n")},
		.node.text = {[ACC_PASSWD] = T(""),
			[ACC_SHADOW] = T(""),
			[ACC_GROUP] = T("sudo:x:27:\n")},
		.new.text = {[ACC_PASSWD] = T(
				     "d:x:33:33:::\nopc:x:1000:1000:::\nnobody:x:65534:65534:::\n"),
			[ACC_SHADOW] = T("d:*:::::::\nopc:h:::::::\nnobody:*:::::::\n"),
			[ACC_GROUP] = T(
				"d:x:33:\nopc:x:1000:\nsudo:x:27:opc,d\nnobody:x:65534:\nvid:x:44:opc,d\n")},
		.want.text = {[ACC_PASSWD] = T("d:x:33:33:::\nnobody:x:65534:65534:::\n"),
			[ACC_SHADOW] = T("d:*:::::::\nnobody:*:::::::\n"),
			[ACC_GROUP] = T("sudo:x:27:d\nd:x:33:\nnobody:x:65534:\nvid:x:44:d\n")},
		.users = "",
		.groups = "",
		.note = "user 'd' was deleted here and is back: the image needs it",
	},
	{
		.name = "a deleted group is back with the user that needs it",
		.old.text = {[ACC_GROUP] = T("data:x:2000:\n")},
		.new.text =
			{[ACC_PASSWD] = T("u:x:300:2000:::\n"), [ACC_GROUP] = T("data:x:2000:\n")},
		.node.text =
			{[ACC_PASSWD] = T("me:x:2000:2000:::\n"), [ACC_GROUP] = T("me:x:2000:\n")},
		.want.text = {[ACC_PASSWD] = T("me:x:2000:2000:::\nu:x:300:1000:::\n"),
			[ACC_GROUP] = T("me:x:2000:\ndata:x:1000:\n")},
		.users = "",
		.groups = "2000>1000",
		.note = "group 'data' was deleted here and is back: the image needs it",
	},
	{
		.name = "not in the new image any more",
		.old.text = {[ACC_PASSWD] = T("d:x:33:33:::\n"), [ACC_GROUP] = T("kvm:x:9:d\n")},
		.node.text = {[ACC_PASSWD] = T("d:x:33:33:::\n"), [ACC_GROUP] = T("kvm:x:9:d\n")},
		.new.text = {[ACC_PASSWD] = T(""), [ACC_GROUP] = T("kvm:x:9:\n")},
		.want.text = {[ACC_PASSWD] = T("d:x:33:33:::\n"), [ACC_GROUP] = T("kvm:x:9:d\n")},
		.users = "",
		.groups = "",
		.note = "user 'd' is not in the new image any more and stays",
	},
	{
		.name = "an administrator with root's id keeps it, root is not moved",
		.old.text = {[ACC_PASSWD] = T("root:x:0:0:::\nd:x:33:33:::\n")},
		.node.text = {[ACC_PASSWD] = T("boss:x:0:0:::\ntoor:x:0:0:::\nd:x:0:33:::\n")},
		.new.text = {[ACC_PASSWD] = T("root:x:0:0:::\nd:x:33:33:::\n")},
		.want.text = {[ACC_PASSWD] = T("boss:x:0:0:::\ntoor:x:0:0:::\nd:x:0:33:::\n")},
		.users = "",
		.groups = "",
		.note = "user 'root' of the new image is left out: id 0 is in use here",
	},
	{
		.name = "no id of the image goes to another name",
		.node.text = {[ACC_PASSWD] = T("x:x:6:6:::\na:x:5:5:::\n")},
		.new.text = {[ACC_PASSWD] = T("b:x:6:6:::\na:x:999:5:::\n")},
		.want.text = {[ACC_PASSWD] = T("x:x:6:6:::\na:x:5:5:::\nb:x:998:6:::\n")},
		.users = "6>998 999>5",
		.groups = "",
	},
	{
		.name = "a user keeps the number of its own group",
		.node.text = {[ACC_PASSWD] = T("o:x:300:300:::\n"),
			[ACC_GROUP] = T("o:x:300:\nz:x:999:\n")},
		.new.text = {[ACC_PASSWD] = T("u:x:300:300:::\n"), [ACC_GROUP] = T("u:x:300:\n")},
		.want.text = {[ACC_PASSWD] = T("o:x:300:300:::\nu:x:998:998:::\n"),
			[ACC_GROUP] = T("o:x:300:\nz:x:999:\nu:x:998:\n")},
		.users = "300>998",
		.groups = "300>998",
	},
	{
		.name = "two names for one id in the image",
		.new.text =
			{[ACC_PASSWD] = T("a:x:7:7:::\nb:x:7:7:::\n"), [ACC_GROUP] = T("a:x:7:\n")},
		.node.text = {[ACC_PASSWD] = T(""), [ACC_GROUP] = T("other:x:7:\n")},
		.want.text = {[ACC_PASSWD] = T("a:x:7:999:::\nb:x:999:999:::\n")},
		.users = "",
		.groups = "7>999",
	},
	{
		.name = "a first group without a name does not make a member of another",
		.node.text =
			{[ACC_PASSWD] = T("me:x:1000:400:::\n"), [ACC_GROUP] = T("secret:x:70:\n")},
		.new.text = {[ACC_PASSWD] = T("u:x:300:70:::\n"), [ACC_GROUP] = T("g:x:400:\n")},
		.want.text = {[ACC_PASSWD] = T("me:x:1000:400:::\nu:x:300:65534:::\n"),
			[ACC_GROUP] = T("secret:x:70:\ng:x:999:\n")},
		.users = "",
		.groups = "400>999",
	},
	{
		.name = "ranges do not meet",
		.node.text = {[ACC_PASSWD] = T("me:x:1000:1000:::\n"),
			[ACC_SUBUID] = T("me:100000:65536\nme:300000:10\nldap:165536:65536\n")},
		.new.text = {[ACC_PASSWD] = T(
				     "u:x:1001:1000:::\nv:x:300005:1000:::\nme:x:1000:1000:::\n"),
			[ACC_SUBUID] = T(
				"u:100000:65536\nv:500000:5\nme:7000000:1\nno:900000:1\n")},
		.want.text =
			{[ACC_PASSWD] = T(
				 "me:x:1000:1000:::\nu:x:1001:1000:::\nv:x:1002:1000:::\n"),
				[ACC_SUBUID] =
					T("me:100000:65536\nme:300000:10\nldap:165536:65536\n"
					  "u:231072:65536\nv:500000:5\n")},
		.users = "300005>1002",
		.groups = "",
	},
	{
		.name = "lines that make no sense",
		.node.text = {[ACC_PASSWD] = T("# mine\n\nroot:x:0:0:root:/root\r\nx\nb:x:x:1:::\n"
					       "a:x:-1:1:::\nb:x:4294967295:1:::\nroot:x:5:5:::\n"
					       "+@lab\n:x:1:1:::\nc d:x:2:2:::\ne:x:3:3:::::\n"
					       "ok:x:07:7:g:h:s")},
		.new.text = {[ACC_PASSWD] = T(
				     "# theirs\nroot:x:0:0:root:/root:/bin/sh\n+@theirs\nzz\n")},
		.want.text =
			{[ACC_PASSWD] = T(
				 "root:x:0:0:root:/root:\nok:x:07:7:g:h:s\n# mine\n+@lab\n+@theirs\n")},
		.users = "",
		.groups = "",
		.note = "/etc/passwd:4 of the node is left out: too few fields",
	},
	{
		.name = "subordinate ids that make no sense",
		.node.text = {[ACC_SUBUID] = T(
				      "a:1\na:1:0\na:4294967295:2\na:x:1\na:1:1:1\n+a:9:1\n")},
		.want.text = {[ACC_SUBUID] = T("+a:9:1\n")},
		.users = "",
		.groups = "",
		.note = "/etc/subuid:3 of the node is left out: bad range of ids",
	},
	{
		.name = "without shadow files",
		.node.text = {[ACC_PASSWD] = T("a:$6$h:5:5:::\n")},
		.new.text = {[ACC_PASSWD] = T("a:x:5:5:::\nb:x:6:6:::\n"),
			[ACC_SHADOW] = T("a:!:::::::\nb:!:::::::\n")},
		.old.text = {[ACC_PASSWD] = T("a:x:5:5:::\n"), [ACC_SHADOW] = T("a:!:::::::\n")},
		.want.text = {[ACC_PASSWD] = T("a:$6$h:5:5:::\nb:x:6:6:::\n"),
			[ACC_SHADOW] = T("b:!:::::::\n")},
		.users = "",
		.groups = "",
	},
};

static char *format_pairs(const struct id_pair *pairs, size_t count)
{
	autostrbuf b = {0};

	for (size_t i = 0; i < count; i++)
		strbuf_printf(&b, "%s%u>%u", i > 0 ? " " : "", pairs[i].from, pairs[i].to);
	return strbuf_take(&b);
}

static bool has_note(const struct strv *notes, const char *want)
{
	for (size_t i = 0; i < notes->count; i++)
		if (strstr(notes->items[i], want))
			return true;
	return false;
}

static void merge_scene(const struct scene *s)
{
	autoaccountset out = {0};
	autoidmap map = {0};
	autostrv notes = {0};
	struct err e = {0};

	assert_ok(accounts_merge(&s->old, &s->node, &s->new, &out, &map, &notes, &e), e);
	for (size_t i = 0; i < ACC_FILES; i++)
		if (s->want.text[i]) {
			assert_non_null(out.text[i]);
			assert_string_equal(out.text[i], s->want.text[i]);
		}
	autofree char *users = format_pairs(map.users, map.user_count);
	autofree char *groups = format_pairs(map.groups, map.group_count);
	assert_string_equal(users, s->users);
	assert_string_equal(groups, s->groups);
	if (s->note && !has_note(&notes, s->note)) {
		for (size_t i = 0; i < notes.count; i++)
			print_error("note: %s\n", notes.items[i]);
		fail_msg("no note '%s'", s->note);
	}
	assert_int_equal(check_merge(&s->old, &s->node, &s->new), 0);
}

static void each_rule_has_its_scene(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(scenes); i++) {
		print_message("# %s\n", scenes[i].name);
		merge_scene(&scenes[i]);
	}
}

static void nothing_new_says_nothing(void **state)
{
	/* Nor does it put lines in another order. */
	struct account_set set = {.text = {[ACC_PASSWD] = T("root:x:0:0:root:/root:/bin/sh\n"
							    "one:x:1:0::/:/bin/sh\n"),
					  [ACC_SHADOW] = T("one:*:1::::::\nroot:*:1::::::\n"),
					  [ACC_GROUP] = T("root:x:0:\n")}};
	autoaccountset out = {0};
	autoidmap map = {0};
	autostrv notes = {0};
	struct err e = {0};

	(void)state;
	assert_ok(accounts_merge(&set, &set, &set, &out, &map, &notes, &e), e);
	for (size_t i = 0; i < ACC_FILES; i++)
		assert_true(same_text(out.text[i], set.text[i]));
	assert_int_equal(notes.count, 0);
	assert_int_equal(map.user_count + map.group_count, 0);
}

static void no_free_id_is_an_error(void **state)
{
	autoaccountset node = {0};
	const struct account_set none = {0}, new = {.text = {[ACC_PASSWD] = T("new:x:500:5:::\n")}};
	autostrbuf b = {0};
	struct err e = {0};

	(void)state;
	for (unsigned i = 100; i < 1000; i++)
		strbuf_printf(&b, "u%u:x:%u:5:::\n", i, i);
	node.text[ACC_PASSWD] = strbuf_take(&b);
	autoaccountset out = {0};
	autoidmap map = {0};
	assert_int_equal(accounts_merge(&none, &node, &new, &out, &map, NULL, &e), -ENOSPC);
	assert_non_null(strstr(e.msg, "no id is free for user 'new'"));
}

static void too_large_is_refused(void **state)
{
	autoaccountset node = {0};
	const struct account_set none = {0};
	autostrbuf b = {0};

	(void)state;
	for (size_t i = 0; i < 65537; i++)
		strbuf_puts(&b, "#\n");
	for (size_t i = 0; i < 2; i++) {
		autoaccountset out = {0};
		autoidmap map = {0};
		struct err e = {0};

		free(node.text[ACC_GROUP]);
		node.text[ACC_GROUP] = strbuf_take(&b);
		assert_int_equal(
			accounts_merge(&none, &node, &none, &out, &map, NULL, &e), -EBADMSG);
		assert_non_null(strstr(e.msg, "'/etc/group' of the node is too large"));
		for (size_t k = 0; k <= 4 * MIB; k++)
			strbuf_putc(&b, 'x');
	}
}

/* xorshift: the same triples on every machine. */
static uint32_t random_below(uint32_t *seed, uint32_t max)
{
	*seed ^= *seed << 13;
	*seed ^= *seed >> 17;
	*seed ^= *seed << 5;
	return *seed % max;
}

static const char *pick(uint32_t *seed, const char *const *from, size_t count)
{
	return from[random_below(seed, (uint32_t)count)];
}

#define PICK(seed, list) pick(seed, list, ARRAY_LEN(list))

static const char *const names[] = {
	"root", "daemon", "kvm", "a", "b", "c", "d", "toor", "nobody", "me", "you", "qemu"};
static const char *const ids[] = {"0", "1", "2", "6", "7", "33", "107", "998", "999", "1000",
	"1001", "1002", "59999", "60000", "65534", "100005", "4294967294"};
static const char *const odd[] = {"+\n", "+@x\n", "-me\n", "#\n", "\n", "x\n", ":::\n", "a:x:y:z\n",
	"b:x:1:1:::\r\n", "a:", "me:x:1"};
static const char *const words_list[] = {"", "x", "!", "*", "$y$a", "/bin/sh", "/x"};

static void add_members(uint32_t *seed, struct strbuf *b)
{
	for (uint32_t n = random_below(seed, 4); n > 0; n--)
		strbuf_printf(b, "%s%s", PICK(seed, names), n > 1 ? "," : "");
}

static void add_random_line(uint32_t *seed, enum account_file f, struct strbuf *b)
{
	strbuf_printf(b, "%s:", PICK(seed, names));
	switch (f) {
	case ACC_PASSWD:
		strbuf_printf(b, "%s:%s:%s:", random_below(seed, 4) ? "x" : PICK(seed, words_list),
			PICK(seed, ids), PICK(seed, ids));
		strbuf_printf(b, "%s:%s:%s\n", PICK(seed, words_list), PICK(seed, words_list),
			PICK(seed, words_list));
		break;
	case ACC_SHADOW:
		strbuf_printf(b, "%s:%s::::::\n", PICK(seed, words_list), PICK(seed, ids));
		break;
	case ACC_GROUP:
		strbuf_printf(b, "x:%s:", PICK(seed, ids));
		add_members(seed, b);
		strbuf_putc(b, '\n');
		break;
	case ACC_GSHADOW:
		strbuf_printf(b, "%s:", PICK(seed, words_list));
		add_members(seed, b);
		strbuf_putc(b, ':');
		add_members(seed, b);
		strbuf_putc(b, '\n');
		break;
	case ACC_SUBUID:
	case ACC_SUBGID:
		strbuf_printf(b, "%u:%u\n", 100000 + random_below(seed, 9) * 7,
			1 + random_below(seed, 20));
		break;
	case ACC_FILES:
		break;
	}
}

/* A set of its own, or one like another, with lines added. */
static void make_set(uint32_t *seed, const struct account_set *like, struct account_set *out)
{
	for (enum account_file f = 0; f < ACC_FILES; f++) {
		autostrbuf b = {0};

		if (random_below(seed, 12) == 0)
			continue;
		if (like && like->text[f] && random_below(seed, 3) > 0)
			strbuf_puts(&b, like->text[f]);
		for (uint32_t n = random_below(seed, 10); n > 0; n--) {
			if (random_below(seed, 12) == 0)
				strbuf_puts(&b, PICK(seed, odd));
			else
				add_random_line(seed, f, &b);
		}
		out->text[f] = strbuf_take(&b);
	}
}

static void any_three_sets_merge(void **state)
{
	uint32_t seed = 20261121;

	(void)state;
	for (size_t i = 0; i < 3000; i++) {
		autoaccountset old = {0}, node = {0}, new = {0};

		make_set(&seed, NULL, &old);
		make_set(&seed, &old, &node);
		make_set(&seed, &old, &new);
		assert_int_equal(check_merge(&old, &node, &new), 0);
	}
}

/* The same question put to a list of flags. */
static void sets_of_ids_are_right(void **state)
{
	enum { IDS = 64 };
	uint32_t seed = 1;

	(void)state;
	for (size_t round = 0; round < 2000; round++) {
		bool flags[IDS] = {0};
		autoidset s = {0};

		for (uint32_t n = random_below(&seed, 12); n > 0; n--) {
			uint32_t first = random_below(&seed, IDS);
			uint32_t count = 1 + random_below(&seed, MIN(9, IDS - first));

			id_set_add(&s, first, count);
			memset(&flags[first], true, count);
		}
		for (uint32_t first = 0; first < IDS; first++) {
			bool meets = false;
			assert_int_equal(id_set_has(&s, first), flags[first]);
			for (uint32_t count = 1; first + count <= IDS; count++) {
				meets |= flags[first + count - 1];
				assert_int_equal(id_set_meets(&s, first, count), meets);
			}
			uint32_t gap = first, run = 0;
			while (run < 3 && gap + run < IDS) {
				if (flags[gap + run]) {
					gap += run + 1;
					run = 0;
				} else {
					run++;
				}
			}
			assert_int_equal(id_set_gap(&s, first, 3), gap);
		}
		for (size_t i = 1; i < s.count; i++)
			assert_true(s.items[i - 1].end < s.items[i].first);
	}
	autoidset full = {0};
	id_set_add(&full, 0, ID_SET_END - 2);
	assert_true(id_set_gap(&full, 0, 2) == ID_SET_END - 2);
	assert_true(id_set_gap(&full, 0, 3) == ID_SET_END);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_rule_has_its_scene),
		cmocka_unit_test(nothing_new_says_nothing),
		cmocka_unit_test(no_free_id_is_an_error),
		cmocka_unit_test(too_large_is_refused),
		cmocka_unit_test(any_three_sets_merge),
		cmocka_unit_test(sets_of_ids_are_right),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
