/* SPDX-License-Identifier: Apache-2.0 */
#include <assert.h>
#include <string.h>

#include "ks/grammar.h"

static int compare_name(const void *name, const void *command)
{
	return strcmp(name, ((const struct ks_command *)command)->name);
}

const struct ks_command *ks_command_find(const char *name)
{
	for (size_t i = 0; i < ks_aliases_count; i++)
		if (str_eq(name, ks_aliases[i].name))
			name = ks_aliases[i].target;
	return bsearch(name, ks_commands, ks_commands_count, sizeof(ks_commands[0]), compare_name);
}

const struct ks_command *ks_section_find(const char *name)
{
	return bsearch(name, ks_sections, ks_sections_count, sizeof(ks_sections[0]), compare_name);
}

size_t ks_command_index(const struct ks_command *g)
{
	assert(g >= ks_commands && g < ks_commands + ks_commands_count);
	return (size_t)(g - ks_commands);
}

unsigned ks_command_used_by(const struct ks_command *g, const char *written)
{
	for (size_t i = 0; i < ks_aliases_count; i++)
		if (ks_aliases[i].unused && str_eq(written, ks_aliases[i].name))
			return 0;
	return g->used_by;
}

/* Whether the first of the alternatives in list is name. */
static bool is_first(const char *list, const char *name, size_t len)
{
	return *list == *name && strncmp(list, name, len) == 0 &&
		(list[len] == '\0' || list[len] == '|');
}

bool ks_alternative(const char *list, const char *name, size_t len)
{
	for (; list; list = strchr(list, '|')) {
		list += *list == '|';
		if (is_first(list, name, len))
			return true;
	}
	return false;
}

size_t ks_opt_find(const struct ks_command *g, const char *name)
{
	size_t i, len = strlen(name);

	/* Nearly every look-up is by the first name, and each line printed makes many. */
	for (i = 0; i < g->opt_count; i++)
		if (is_first(g->opts[i].name, name, len))
			return i;
	for (i = 0; i < g->opt_count; i++)
		if (ks_alternative(g->opts[i].name, name, len))
			break;
	return i;
}

size_t ks_opt_dest(const struct ks_command *g, size_t i)
{
	return g->opts[i].dest ? ks_opt_find(g, g->opts[i].dest) : i;
}
