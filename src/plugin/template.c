/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <sys/stat.h>

#include "base/file.h"
#include "base/xalloc.h"
#include "plugin/manifest.h"
#include "plugin/pack.h"
#include "plugin/words.h"

static const char draft_head[] =
	"// What this plugin is, and all that it may change.\n"
	"// Lines that begin with // are comments; unknown keys are errors.\n"
	"{\n"
	"\t// a-z, 0-9 and -: it becomes part of the version of images.\n";

static const char draft_rest[] =
	"\t\"version\": \"1.0\",\n"
	"\t\"vendor\": \"Example Vendor\",\n"
	"\t\"description\": \"What it is good for, in one line\",\n"
	"\n"
	"\t// The images it fits: from this version on (\"from\"), up to, but without, that one\n"
	"\t// (\"before\").  Both may be left out.\n"
	"\t\"images\": [\n"
	"\t\t{\"name\": \"node\", \"from\": \"1.0\"}\n"
	"\t],\n"
	"\n"
	"\t// Every file and folder that its packages and scripts write.  With a / at the end\n"
	"\t// the folder and all below, without it this one path.\n"
	"\t\"writes\": [\n"
	"\t\t// \"/usr/bin/example\",\n"
	"\t\t// \"/etc/example/\"\n"
	"\t],\n"
	"\n"
	"\t// What it keeps below /var through upgrades and rollbacks.\n"
	"\t\"state\": [],\n"
	"\n"
	"\t// The units it enables, and the ports it opens: \"161:udp\", \"5900-5999:tcp\".\n"
	"\t\"services\": [],\n"
	"\t\"ports\": [],\n"
	"\n"
	"\t// Arguments of the kernel that the recipe adds and removes.\n"
	"\t\"kernel_arguments\": {\"add\": [], \"remove\": []},\n"
	"\n"
	"\t// Its kernel modules, with the kernels that they fit:\n"
	"\t// {\"name\": \"example\", \"kernels\": [\"6.12.*\"]}\n"
	"\t\"kernel_modules\": [],\n"
	"\n"
	"\t// Names of plugins that cannot be in the same image.\n"
	"\t\"conflicts\": []\n"
	"}\n";

static const char recipe[] =
	"# What is done with the packages in packages/: a subset of kickstart, see\n"
	"# bedplate-plugin(1).  Whatever is not in the subset is an error.\n"
	"\n"
	"# The root file system in MiB, when the plugin needs more room.\n"
	"#part / --size=4096\n"
	"\n"
	"# Kernel arguments: \"!\" takes one away.  Each stands in plugin.json, too.\n"
	"#bootloader --append=\"!quiet console=ttyS0\"\n"
	"\n"
	"# Units and ports, which stand in plugin.json, too.\n"
	"#services --enabled=example.service\n"
	"#firewall --port=161:udp\n"
	"\n"
	"# Packages by name, each in packages/.  'bedplate plugin pack' makes a repository of them.\n"
	"%packages\n"
	"%end\n"
	"\n"
	"# In the image, before the packages are installed and after.\n"
	"#%pre\n"
	"#%end\n"
	"#%post\n"
	"#%end\n";

static int make_folder(const char *folder, struct err *e)
{
	autostrv names = {0};
	int r = file_make_folder(folder, 0755, e);

	if (r == 0)
		r = file_list(folder, &names, e);
	if (r == 0 && names.count > 0)
		return err_set(e, EEXIST, "'%s' is not empty", folder);
	return r;
}

static int write_file(const char *folder, const char *file, const char *text, struct err *e)
{
	autofree char *path = xasprintf("%s/%s", folder, file);

	return file_replace(path, text, strlen(text), 0644, e);
}

int plugin_new(const char *name, const char *folder, struct err *e)
{
	autofree char *draft = xasprintf("%s\t\"name\": \"%s\",\n%s", draft_head, name, draft_rest);
	autofree char *packages = xasprintf("%s/packages", folder);
	int r;

	if (!plugin_is_name(name))
		return err_set(e, EINVAL,
			"bad name '%s': expected up to 64 of a-z, 0-9 and -, from a letter", name);
	r = make_folder(folder, e);
	if (r == 0)
		r = file_make_folder(packages, 0755, e);
	if (r == 0)
		r = write_file(folder, PLUGIN_RECIPE, recipe, e);
	return r == 0 ? write_file(folder, PLUGIN_DRAFT, draft, e) : r;
}
