// The build fingerprint: C++ objects cross the door only between builds that agree in it. It covers the compiler's ABI,
// the library's ABI, the language level and the interface headers' hash; never the commit.
#pragma once
#include <array>
#include <string_view>

#if !defined(TARE_API_HASH)
#error "TARE_API_HASH is missing: link the CMake target tare::api, which defines it"
#endif

#define TARE_STRING_INNER_(x) #x
#define TARE_STRING_(x) TARE_STRING_INNER_(x)

namespace tare {
constexpr std::string_view kBuildFingerprint = "api=" TARE_API_HASH " gxx_abi=" TARE_STRING_(__GXX_ABI_VERSION)
#if defined(_LIBCPP_VERSION)
    " lib=libc++"
#elif defined(_GLIBCXX_USE_CXX11_ABI)
    " lib=libstdc++-cxx11abi" TARE_STRING_(_GLIBCXX_USE_CXX11_ABI)
#endif
    " std=" TARE_STRING_(__cplusplus) " bits=" TARE_STRING_(__SIZEOF_POINTER__);
}  // namespace tare
