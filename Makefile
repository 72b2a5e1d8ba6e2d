# Everything is in ./dev, which needs no make. `make demo` runs the main job, `make test` the tests.
.PHONY: demo test bench check install clean
demo test bench check install clean:
	@./dev $@
