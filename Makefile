# The two commands of the README, and the few that a developer types between them.
#   make quickstart   installs what is missing, builds, fetches a small model, packs, tunes and serves it, asks it a
#                     question
#   make test         the same set-up and what tests need, then every test
# Both are safe to repeat.
SHELL := /bin/bash
JOBS ?= $(shell nproc)
BUILD ?= build

.PHONY: quickstart test build unit sanitizers fuzz format clean

quickstart:
	@scripts/setup.sh run
	@if ldconfig -p | grep -q 'libcuda\.so\.1'; then scripts/nvrtc.sh; fi
	@$(MAKE) --no-print-directory build
	@scripts/demo-model.sh
	@scripts/quickstart.sh $(BUILD)

test:
	@scripts/setup.sh test
	@scripts/nvrtc.sh
	@scripts/cuda_headers.sh
	@$(MAKE) --no-print-directory build TESTS=ON
	@scripts/demo-model.sh
	@scripts/test.sh $(BUILD) $(JOBS)

# The release build; TESTS=ON adds the tests.
TESTS ?= OFF
build:
	@source scripts/toolchain.sh && \
	  cmake -S . -B $(BUILD) -G Ninja -DCMAKE_BUILD_TYPE=Release \
	    $$( [ "$(TESTS)" = ON ] && echo -DTARE_BUILD_TESTS=ON || { [ -f $(BUILD)/CMakeCache.txt ] || echo -DTARE_BUILD_TESTS=OFF; } ) \
	    > $(BUILD)-configure.log 2>&1 || { cat $(BUILD)-configure.log; rm -f $(BUILD)-configure.log; exit 1; }; rm -f $(BUILD)-configure.log; \
	  cmake --build $(BUILD) --parallel $(JOBS)

# The fast labels alone.
unit: TESTS=ON
unit: build
	@cd $(BUILD) && ctest --output-on-failure -L 'unit|contract' -j $(JOBS)

sanitizers:
	@scripts/sanitizers.sh $(JOBS)

fuzz:
	@scripts/fuzz.sh $(JOBS)

format:
	@git ls-files '*.cpp' '*.hpp' | xargs clang-format-16 -i

clean:
	rm -rf build build-*
