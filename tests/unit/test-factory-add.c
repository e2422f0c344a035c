/* SPDX-License-Identifier: Apache-2.0 */
/* What later images add to /var, on plain folders. */
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

#include "base/cmd.h"
#include "folder.h"
#include "upgrade/factory-add.h"

/* Root of a node of this name: $f is its factory tree, the working folder its /var. */
static int make_node(const char *name, const char *script)
{
	autofree char *path = xasprintf("%s/%s", folder, name);
	struct err e = {0};
	autocmd c = {.cwd = folder};

	cmd_add(&c, "sh", "-euc", NULL);
	cmd_addf(&c,
		"umask 022; mkdir -p %1$s/usr/share/factory/var %1$s/var\n"
		"f=%2$s/usr/share/factory/var; cd %1$s/var\n%3$s",
		name, path, script);
	assert_ok(cmd_run(&c, &e), e);
	int fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	assert_true(fd >= 0);
	return fd;
}

static void assert_looks(const char *name, const char *script, const char *want)
{
	autofree char *out = NULL;
	autofree char *cwd = xasprintf("%s/%s/var", folder, name);
	autocmd c = {.cwd = cwd};
	struct err e = {0};

	cmd_add(&c, "sh", "-euc", script, NULL);
	assert_ok(cmd_output(&c, &out, &e), e);
	assert_string_equal(out, want);
}

/* want: what was added, one a line. */
static void assert_adds(int fd, const char *layer, const char *want)
{
	autostrv added = {0};
	autostrbuf got = {0};
	struct err e = {0};

	assert_ok(factory_add(fd, layer, &added, &e), e);
	for (size_t i = 0; i < added.count; i++)
		strbuf_printf(&got, "%s\n", added.items[i]);
	autofree char *text = strbuf_take(&got);
	assert_string_equal(text, want);
}

static void what_is_missing_is_added_as_it_is(void **state)
{
	if (geteuid() != 0)
		skip();
	(void)state;
	autofd int fd = make_node("add",
		"mkdir -p $f/lib/new/deep $f/lib/old; cd $f/lib; echo 1 >new/deep/file\n"
		"ln new/deep/file new/other; ln -s ../old new/link; mkfifo new/pipe\n"
		"chown 12:34 new/deep/file new; chmod 4751 new/deep/file; chmod 2770 new\n"
		"setfattr -n user.a -v b new/deep/file; touch -d @1000 new/deep/file new\n"
		"echo 2 >old/more; chown 5:6 old/more; chown 7 old; chmod 0700 old; ln -s x old/l\n"
		"cd -; mkdir -p lib/old; echo mine >lib/old/kept; chmod 0711 lib/old\n"
		"touch -d @2000 lib");

	assert_adds(fd, "n-2+1", "/var/lib/new\n/var/lib/old/l\n/var/lib/old/more\n");
	assert_looks("add",
		"stat -c '%n %a %u:%g %h' lib/new/deep/file lib/old/more; stat -c '%a %u:%g %Y' "
		"lib/new; stat -c '%a %u:%g' lib/old; stat -c %Y lib/new/deep/file; readlink lib/new/link; "
		"test -p lib/new/pipe; getfattr --only-values -n user.a lib/new/deep/file; "
		"cat lib/old/kept lib/new/other; find . -name '.bed*'; ls lib/old lib/bedplate",
		"lib/new/deep/file 4751 12:34 2\nlib/old/more 644 5:6 1\n2770 12:34 1000\n711 0:0\n"
		"1000\n../old\nbmine\n1\nlib/bedplate:\nfactory-added\n\nlib/old:\nkept\nl\nmore\n");
	assert_looks("add", "cat lib/bedplate/factory-added",
		"layer n-2+1\nlib\nlib/new\nlib/new/deep\nlib/new/deep/file\nlib/new/link\n"
		"lib/new/other\nlib/new/pipe\nlib/old\nlib/old/l\nlib/old/more\n");
}

static void nothing_is_overwritten(void **state)
{
	(void)state;
	autofd int fd = make_node("keep",
		"mkdir -p $f/a/b $f/c $f/d; echo vendor >$f/file; echo vendor >$f/a/b/in\n"
		"echo vendor >$f/c/in; ln -s vendor $f/link; echo vendor >$f/d/in\n"
		"echo mine >file; echo file >a; ln -s ../elsewhere c; mkdir ../elsewhere link d d/in\n");

	assert_adds(fd, "n-2+1", "");
	assert_looks("keep", "cat file a; readlink c; ls ../elsewhere link d/in",
		"mine\nfile\n../elsewhere\n../elsewhere:\n\nd/in:\n\nlink:\n");
}

static void what_was_deleted_stays_so(void **state)
{
	(void)state;
	autofd int fd = make_node("deleted", "mkdir $f/a $f/b; echo >$f/a/file; echo >$f/b/file");

	assert_adds(fd, "n-1+1", "/var/a\n/var/b\n");
	close(make_node("deleted", "rm -r a b/file; echo >$f/a/late; echo >$f/b/late; echo >$f/c"));
	/* Once for each layer. */
	assert_adds(fd, "n-1+1", "");
	assert_adds(fd, "n-2+1", "/var/c\n/var/b/late\n");
	assert_looks("deleted", "ls -d * b/*", "b\nb/late\nc\nlib\n");
	/* And back: an older image's tree has nothing new. */
	close(make_node("deleted", "rm $f/c c; rm b/late"));
	assert_adds(fd, "n-1+1", "");
	close(make_node("deleted", "echo >$f/c"));
	assert_adds(fd, "n-2+1", "");
	assert_looks("deleted", "test ! -e c; find b", "b\n");
}

static void a_new_node_has_been_offered_all(void **state)
{
	struct err e = {0};

	(void)state;
	autofd int fd = make_node("installed", "mkdir $f/a; echo >$f/a/file");
	assert_ok(factory_remember(fd, fd, "n-1+1", &e), e);
	assert_adds(fd, "n-1+1", "");
	assert_adds(fd, "n-1+2", "");
	close(make_node("installed", "echo >$f/b"));
	assert_adds(fd, "n-2+1", "/var/b\n");
	assert_looks("installed", "ls", "b\nlib\n");
}

static void what_was_cut_off_goes_on(void **state)
{
	(void)state;
	autofd int fd = make_node("cut",
		"mkdir -p $f/a $f/done; echo all >$f/a/file; echo >$f/done/file\n"
		"mkdir -p a/.bedplate-factory done/.bedplate-factory\n"
		"echo ha >a/.bedplate-factory/file; echo >done/file");

	assert_adds(fd, "n-1+1", "/var/a/file\n");
	assert_looks("cut", "cat a/file; find . -name '.bed*'", "all\n");
}

static void odd_names_are_remembered(void **state)
{
	(void)state;
	autofd int fd = make_node("odd", "printf x >\"$f/a\nb\"; printf x >\"$f/ c \"");

	assert_adds(fd, "n-1+1", "/var/ c \n/var/a\nb\n");
	close(make_node("odd", "rm ./*c* ./a*"));
	assert_adds(fd, "n-2+1", "");
	assert_looks("odd", "ls", "lib\n");
}

static void no_factory_tree_is_fine(void **state)
{
	(void)state;
	autofd int fd = make_node("none", "rmdir $f; echo >kept");

	assert_adds(fd, "n-1+1", "");
	assert_looks("none", "ls; cat lib/bedplate/factory-added", "kept\nlib\nlayer n-1+1\n");
}

static void a_damaged_list_adds_nothing(void **state)
{
	struct err e = {0};

	(void)state;
	autofd int fd = make_node("damaged",
		"echo >$f/a; mkdir -p lib/bedplate; echo junk >lib/bedplate/factory-added");
	assert_int_equal(factory_add(fd, "n-1+1", NULL, &e), -EBADMSG);
	assert_non_null(strstr(e.msg, "'/var/lib/bedplate/factory-added': expected 'layer NAME'"));
	assert_looks("damaged", "ls", "lib\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_missing_is_added_as_it_is),
		cmocka_unit_test(nothing_is_overwritten),
		cmocka_unit_test(what_was_deleted_stays_so),
		cmocka_unit_test(a_new_node_has_been_offered_all),
		cmocka_unit_test(what_was_cut_off_goes_on),
		cmocka_unit_test(odd_names_are_remembered),
		cmocka_unit_test(no_factory_tree_is_fine),
		cmocka_unit_test(a_damaged_list_adds_nothing),
	};

	return cmocka_run_group_tests(tests, make_folder, drop_folder);
}
