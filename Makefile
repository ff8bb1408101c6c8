# Everything a user or a maintainer does with this repository, one target each.
# What takes more than a few lines lives in layer/, one script per artifact.

CARGO    ?= cargo
APP      ?=
BUDGET   ?= 440000

ARCHES   := x86_64 arm64
BINARIES := $(ARCHES:%=dist/lambda-adapter-%)
LAYERS   := $(ARCHES:%=dist/lambda-adapter-layer-%.zip)
IMAGE    := dist/lambda-adapter-image.tar
VERSION  := $(shell sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml)
SOURCES  := $(shell find src -name '*.rs') Cargo.toml Cargo.lock layer/build

.DELETE_ON_ERROR:
.PHONY: help run test lint build reproducible size layer publish image rie clean \
        build-LambdaAdapterLayerX86 build-LambdaAdapterLayerArm64

help: ## Print this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: ## Answer on localhost as Lambda would: the demo app, or APP="node server.js"
	$(CARGO) build --release --features local --bins
	@echo 'open http://127.0.0.1:3000/ or run: curl -i http://127.0.0.1:3000/'
	@$(CARGO) run --quiet --release --features local --bin lambda-local $(if $(APP),-- -- $(APP))

test: ## Run every test that needs nothing but cargo (and python3 for the packages)
	$(CARGO) test --features local
	@if command -v python3 >/dev/null; then python3 -m unittest discover -s tests/layer; \
	else echo 'skipped: tests/layer (no python3)'; fi

lint: ## Check the format and the lints
	$(CARGO) fmt --check
	$(CARGO) clippy --all-targets --features local -- -D warnings

build: $(BINARIES) ## Build the static binaries for both architectures

dist/lambda-adapter-x86_64 dist/lambda-adapter-arm64: dist/lambda-adapter-%: $(SOURCES)
	layer/build $* $@

reproducible: build ## Build again in another folder and compare the bytes
	layer/reproduce $(BINARIES)

size: build ## Print the sizes and check what the binaries are (BUDGET=440000)
	python3 layer/inspect.py --budget $(BUDGET) $(BINARIES)

layer: $(LAYERS) ## Build the layer zips

$(LAYERS): dist/lambda-adapter-layer-%.zip: dist/lambda-adapter-% layer/bootstrap layer/zip.py
	python3 layer/zip.py $@ extensions/lambda-adapter=$< bootstrap=layer/bootstrap

# What `sam build` calls for layer/template.yaml.
build-LambdaAdapterLayerX86: dist/lambda-adapter-x86_64
build-LambdaAdapterLayerArm64: dist/lambda-adapter-arm64
build-LambdaAdapterLayerX86 build-LambdaAdapterLayerArm64:
	install -D -m 0755 $< "$(ARTIFACTS_DIR)/extensions/lambda-adapter"
	install -D -m 0755 layer/bootstrap "$(ARTIFACTS_DIR)/bootstrap"

publish: layer ## Publish the layers to AWS (REGIONS="eu-west-1 us-east-1", default: every one)
	layer/publish $(REGIONS)

image: $(IMAGE) ## Build the multi-arch OCI image archive

$(IMAGE): $(BINARIES) layer/image.py
	python3 layer/image.py $@ $(VERSION) $(BINARIES)

rie: build ## Run the binary in an empty tree under AWS's Runtime Interface Emulator
	layer/rie

clean: ## Remove everything that was built
	rm -rf build dist
	$(CARGO) clean
