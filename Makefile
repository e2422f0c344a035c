# SPDX-License-Identifier: Apache-2.0
# The front door.  meson does the building, scripts/ and tests/ do the rest.

BUILD     := build
IMAGES    := $(BUILD)/image
DEBS      := $(BUILD)/deb
VMS       := $(BUILD)/vm
BEDPLATE  := $(BUILD)/src/cli/bedplate
NODE      := recipes/node.ks
# Building an image needs root, nothing else does.
AS_ROOT   := $(if $(filter 0,$(shell id -u)),,sudo)
BOOT_WAIT := 900
# The image that plugins are made for; without it the node image is built.
IMAGE     :=
PLUGINS   := $(BUILD)/plugins

.PHONY: all setup programs deb node-image image-install image-build plugins check lint format install clean help

all: programs

help:
	@echo 'make image-install set up, build the node image and its ISO, install it in a VM, log in'
	@echo 'make check         set up, run the tests'
	@echo 'make image-build   set up, build the node image, boot it live in a VM'
	@echo 'make plugins       the plugins of recipes/plugins into $(PLUGINS)/, for IMAGE=FILE'
	@echo 'make               compile the programs into $(BUILD)/'
	@echo 'make deb           Debian packages and their repository in $(DEBS)/'
	@echo 'make install       install the programs and man pages (DESTDIR=, PREFIX=)'
	@echo 'make format        rewrite the sources with clang-format'
	@echo 'make lint          clang-tidy and cppcheck'
	@echo 'make clean         remove what was built (the image cache stays)'

programs: $(BUILD)/build.ninja
	@ninja -C $(BUILD) --quiet

$(BUILD)/build.ninja:
	@meson setup $(BUILD) >$(BUILD).log 2>&1 || \
		{ cat $(BUILD).log; exit 1; }
	@rm -f $(BUILD).log

deb:
	@scripts/setup build
	@scripts/build-deb $(DEBS)

# The node image; its path is in $(IMAGES)/.path.
node-image:
	@scripts/setup build image
	@$(MAKE) --no-print-directory programs
	@scripts/build-deb $(DEBS)
	@mkdir -p $(IMAGES)
	$(AS_ROOT) $(BEDPLATE) image build $(NODE) -o $(IMAGES) >$(IMAGES)/.path

image-install: node-image
	@mkdir -p $(VMS)
	@scripts/install-vm $(BEDPLATE) "$$(cat $(IMAGES)/.path)" $(VMS)

image-build: node-image
	$(BEDPLATE) vm run --expect='login: ' --timeout=$(BOOT_WAIT) "$$(cat $(IMAGES)/.path)"
	@echo 'The image boots to a login prompt. It is here:'
	@realpath "$$(cat $(IMAGES)/.path)"

# Of an image that is there nothing is built, so that it can be any.
plugins: export IMAGE := $(IMAGE)
plugins: $(if $(IMAGE),programs,node-image)
	@scripts/setup build image
	@scripts/build-plugins $(BEDPLATE) "$${IMAGE:-$$(cat $(IMAGES)/.path)}" $(PLUGINS)

check:
	@scripts/setup all
	@tests/run

lint:
	@scripts/setup build test
	@scripts/lint $(BUILD)-asan

format:
	@scripts/setup test
	clang-format -i $$(find src tests -name '*.[ch]')

install: programs
	@$(if $(PREFIX),meson configure $(BUILD) --prefix=$(PREFIX))
	@DESTDIR='$(DESTDIR)' meson install -C $(BUILD) --quiet

# An image folder made by sudo holds root's files.
clean:
	@rm -rf $(BUILD) $(BUILD)-asan 2>/dev/null || $(AS_ROOT) rm -rf $(BUILD) $(BUILD)-asan
