# Everything a user or a maintainer does with this repository, one target each.
# What takes more than a few lines lives in layer/, one script per artifact.

CARGO    ?= cargo
APP      ?=
DIR      :=
ARGS     :=
BUDGET   ?= 291700
SECS     ?= 60
N        ?= 1000000
PLAYWRIGHT := playwright-core@1.65.1

ARCHES   := x86_64 arm64
HOST     := $(if $(filter aarch64 arm64,$(shell uname -m)),arm64,x86_64)
FOREIGN  := $(filter-out $(HOST),$(ARCHES))
QEMU     := qemu-$(FOREIGN:arm64=aarch64)-static
# What qemu's user mode lacks: starting itself through /proc/self/exe, and the set of ignored signals.
UNEMULATED := app_keeps_the_limit_that_the_adapter_was_started_with the_app_does_not_outlive_a_killed_adapter what_was_ignored_at_the_start_stays_ignored
# Tests that read /proc or send their signals by it.
NEED_PROC := lifecycle::entrypoint lifecycle::stdio faults::soak response::streaming
ON_LINUX := $(filter Linux,$(shell uname -s))
BINARIES := $(ARCHES:%=dist/lambda-adapter-%)
LAYERS   := $(ARCHES:%=dist/lambda-adapter-layer-%.zip)
IMAGE    := dist/lambda-adapter-image.tar
VERSION  := $(shell sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml)
SCRIPTS  := .ci/run layer/bootstrap layer/build layer/fetch layer/publish layer/reproduce tests/layer/image.sh tests/servers/apps/app.cgi
TEMPLATES := $(wildcard layer/template.yaml examples/*/template.yaml)
FUZZ     := $(filter-out seeds,$(patsubst %.rs,%,$(notdir $(wildcard tests/fuzz/bins/*.rs))))
SOURCES  := $(shell find src -name "*.rs" -o -name Cargo.toml) Cargo.toml Cargo.lock layer/build layer/link.ld

.DELETE_ON_ERROR:
.PHONY: help run test features macos page pictures examples deploy fuzz differential soak lint build e2e reproducible size layer publish image packages rie servers bench clean \
        build-LambdaAdapterLayerX86 build-LambdaAdapterLayerArm64

help: ## Print this list
	@awk -F ':.*## ' '/^[a-z0-9]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

# One argument for the shell, with the text exactly as it was typed: make does not expand it.
as_typed = '$(subst ','\'',$(value $(1)))'

run: ## Start a local Lambda with the demo app, or with APP="node server.js" DIR=../my-app ARGS="--port 4000"
	@$(CARGO) build --profile quick --features local --bins
	@$(CARGO) run --quiet --profile quick --features local --bin lambda-local -- \
	    $(if $(value DIR),--dir $(call as_typed,DIR)) $(value ARGS) $(if $(value APP),-- sh -c $(call as_typed,APP))

test: ## Run every test that needs nothing but cargo (and python3 for the packages)
	$(CARGO) test --features local $(if $(ON_LINUX),,-- $(NEED_PROC:%=--skip %))
	@if command -v python3 >/dev/null; then python3 -m unittest discover -s tests/layer; \
	else echo 'skipped: tests/layer (no python3)'; fi

fuzz: ## Search for inputs that break a rule, for SECS=60 seconds each target (nightly Rust; gets cargo-fuzz)
	@rustc +nightly --version >/dev/null || { echo "the fuzz targets need nightly Rust: run 'rustup toolchain install nightly'"; exit 1; }
	@$(CARGO) fuzz --version >/dev/null 2>&1 || [ -x build/fuzz/tools/bin/cargo-fuzz ] || \
	    $(CARGO) install --quiet --locked --root build/fuzz/tools --target-dir build/fuzz/target cargo-fuzz
	@PATH="$$PATH:$(CURDIR)/build/fuzz/tools/bin"; for target in $(FUZZ); do \
	    $(CARGO) run --quiet --manifest-path tests/fuzz/Cargo.toml --target-dir build/fuzz/target --bin seeds $$target build/fuzz/$$target && \
	    $(CARGO) +nightly fuzz run --fuzz-dir tests/fuzz --target-dir build/fuzz/target $$target $(CURDIR)/build/fuzz/$$target -- \
	        -dict=$(CURDIR)/tests/fuzz/dictionary -max_total_time=$(SECS) -max_len=4096 || exit 1; \
	done

features: ## Run the tests of the feature sets that docs/install.md names, beside that of `make test`
	$(CARGO) test --no-default-features --lib
	$(CARGO) test --no-default-features --test e2e -- response:: settings::
	$(CARGO) check --all-targets

macos: ## Check the types of everything for macOS, from Linux too (needs rustup's rust-src)
	RUSTC_BOOTSTRAP=1 $(CARGO) check --target aarch64-apple-darwin -Zbuild-std=std,panic_abort \
	    --features local --lib --bins --tests

page: build/page/$(PLAYWRIGHT) ## Click through the page of lambda-local in headless Chromium (needs node and chromium)
	$(CARGO) build --features local --bins
	node --test tests/page/

pictures: build/page/$(PLAYWRIGHT) ## Take the pictures of the page in docs/ again
	$(CARGO) build --features local --bins
	node tests/page/pictures.mjs docs

build/page/$(PLAYWRIGHT):
	npm install --silent --no-audit --no-fund --prefix build/page $(PLAYWRIGHT)
	@touch $@

soak: ## Send N=1000000 invocations to a misbehaving app, and race N/50 requests against closing connections
	RACES=$$(($(N) / 50)) SOAK=$(N) $(CARGO) test --release --features local --test e2e -- --nocapture --test-threads 1 soak:: races::

lint: ## Check the format and the lints
	$(CARGO) fmt --check
	$(CARGO) clippy --all-targets --features local -- -D warnings
	$(CARGO) clippy --all-targets --no-default-features -- -D warnings
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --no-deps --features local --workspace
	@if command -v shellcheck >/dev/null; then shellcheck $(SCRIPTS); else echo 'skipped: shellcheck (not here)'; fi
	@if command -v cfn-lint >/dev/null; then cfn-lint $(TEMPLATES); else echo 'skipped: cfn-lint (not here)'; fi

examples: ## Run the examples in examples/ (ONLY="express flask"; STRICT=1: what is skipped has failed)
	$(CARGO) build --profile $(or $(PROFILE),quick) --features local --bins
	PROFILE=$(or $(PROFILE),quick) examples/run $(if $(STRICT),--strict) $(ONLY)

deploy: ## Check the examples of infrastructure as code with their own tools (ONLY="sam cdk"; gets the tools)
	examples/deploy/check $(if $(STRICT),--strict) $(ONLY)

build: $(BINARIES) ## Build the static binaries for both architectures

dist/lambda-adapter-x86_64 dist/lambda-adapter-arm64: dist/lambda-adapter-%: $(SOURCES)
	layer/build $* $@

# Tests of lambda-local and of the source see no difference between the binaries, those of the
# mapping none between the modes. Under qemu, which is slow, processes and faults are left to
# `make e2e` on that architecture.
ONCE := --skip local:: --skip repository::
MAPPING := --skip golden:: --skip request:: --skip response::

e2e: build ## Run the end-to-end tests against the finished binaries, as extension and as entry point (the foreign one under qemu)
	ADAPTER=$(CURDIR)/dist/lambda-adapter-$(HOST) $(CARGO) test --features local --test e2e -- $(ONCE)
	ADAPTER=$(CURDIR)/dist/lambda-adapter-$(HOST) ADAPTER_MODE=entrypoint $(CARGO) test --features local --test e2e -- $(ONCE) $(MAPPING)
	@if command -v $(QEMU) >/dev/null; then \
	    printf '#!/bin/sh\nexec %s -0 "$$0" "%s" "$$@"\n' "$$(command -v $(QEMU))" "$(CURDIR)/dist/lambda-adapter-$(FOREIGN)" >build/emulated && \
	    chmod +x build/emulated && ADAPTER=$(CURDIR)/build/emulated $(CARGO) test --features local --test e2e -- $(ONCE) --skip faults:: --skip lifecycle::entrypoint $(UNEMULATED:%=--skip %); \
	else echo 'skipped: e2e for $(FOREIGN) (no $(QEMU) here)'; fi

reproducible: build ## Build again in another folder and compare the bytes
	layer/reproduce $(BINARIES)

size: build ## Print the sizes and check what the binaries are (BUDGET=291700)
	python3 layer/check_binary.py --budget $(BUDGET) $(BINARIES)

layer: $(LAYERS) ## Build the layer zips

$(LAYERS): dist/lambda-adapter-layer-%.zip: dist/lambda-adapter-% layer/bootstrap layer/zip.py
	python3 layer/zip.py $@ extensions/lambda-adapter=$< bootstrap=layer/bootstrap

# What `sam build` calls for layer/template.yaml.
build-LambdaAdapterLayerX86: dist/lambda-adapter-x86_64
build-LambdaAdapterLayerArm64: dist/lambda-adapter-arm64
build-LambdaAdapterLayerX86 build-LambdaAdapterLayerArm64:
	mkdir -p "$(ARTIFACTS_DIR)/extensions"
	install -m 0755 $< "$(ARTIFACTS_DIR)/extensions/lambda-adapter"
	install -m 0755 layer/bootstrap "$(ARTIFACTS_DIR)/bootstrap"

publish: layer ## Publish the layers to AWS (REGIONS="eu-west-1 us-east-1", default: every one)
	layer/publish $(REGIONS)

differential: ## Compare with PEER=/path/to/another/adapter over mutated responses of real servers, for SECS=60
	PEER="$(PEER)" SECS=$(SECS) $(CARGO) test --features local --test differential

bench: ## Measure it beside the floor and PEER=/path/to/another/adapter
	$(CARGO) bench --bench bench

image: $(IMAGE) ## Build the multi-arch OCI image archive

$(IMAGE): $(BINARIES) layer/image.py
	python3 layer/image.py $@ $(VERSION) $(BINARIES)

packages: layer image ## Check the finished image with skopeo and buildah
	tests/layer/image.sh $(IMAGE) $(BINARIES)

servers: build ## Run the binary in front of real servers (ONLY="php go"; STRICT=1: what is skipped has failed)
	python3 tests/servers/run.py $(if $(STRICT),--strict) $(or $(ADAPTER),dist/lambda-adapter-$(HOST)) $(ONLY)

rie: build ## Run the binary in an empty tree under AWS's Runtime Interface Emulator
	build/venv/bin/python3 tests/layer/rie.py dist/lambda-adapter-$(HOST)

clean: ## Remove everything that was built
	rm -rf build dist
	$(CARGO) clean
