# Writes a C++ table of kernels and the hashes of the sources that they are made of: cmake -DOUT=.. -DFOLDER=..
# -DCOMPILER=.. -DCOMMON=a.cpp,b.hpp -DKERNELS=id=x.cpp,y.cpp|id2=.. -P HashKernels.cmake
function(hash_of out files)
  set(all "${COMPILER}")
  string(REPLACE "," ";" files "${files}")
  foreach(file IN LISTS files)
    file(SHA256 ${FOLDER}/${file} hash)
    string(APPEND all "${hash}")
  endforeach()
  string(SHA256 hash "${all}")
  string(SUBSTRING ${hash} 0 16 hash)
  set(${out} ${hash} PARENT_SCOPE)
endfunction()
string(REPLACE "|" ";" KERNELS "${KERNELS}")
set(rows "")
foreach(kernel IN LISTS KERNELS)
  string(REGEX MATCH "^([^=]*)=(.*)$" matched "${kernel}")
  set(id ${CMAKE_MATCH_1})
  hash_of(hash "${COMMON},${CMAKE_MATCH_2}")
  string(APPEND rows "    {\"${id}\", \"${hash}\"},\n")
endforeach()
file(WRITE ${OUT}.new "// Made by cmake/HashKernels.cmake.
#include \"plugins/linear/kernel_hash.hpp\"

namespace tare::linear {
namespace {
constexpr std::string_view kHashes[][2] = {
${rows}};
}  // namespace

std::string_view kernel_hash(std::string_view kernel) noexcept {
  for (const auto& row : kHashes)
    if (row[0] == kernel) return row[1];
  return {};
}

}  // namespace tare::linear
")
file(COPY_FILE ${OUT}.new ${OUT} ONLY_IF_DIFFERENT)
