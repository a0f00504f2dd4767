// Included first by each source that is compiled for several instruction sets: of Highway's list, those that differ
// for our kernels, so that the build stays short.
#undef HWY_DISABLED_TARGETS
#define HWY_DISABLED_TARGETS (HWY_SSSE3 | HWY_AVX3_DL)
