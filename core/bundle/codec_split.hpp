// Elements as byte planes and back (codec_planes.hpp says which bits a plane has), with the widest vectors that
// `loops` allows. Planes and elements may not overlap. [any thread]
#pragma once
#include "core/bundle/codec_rans.hpp"

namespace tare {

// `planes`: `width` of them (1, 2 or 4), each of `count` bytes.
void split_planes(int width, const uint8_t* elements, size_t count, uint8_t* const* planes, rans::Loops loops);
void join_planes(int width, const uint8_t* const* planes, size_t count, uint8_t* elements, rans::Loops loops);

// Does every byte occur in `counts`? With the plain loops: false when that is not quick to say.
bool all_occur(const uint8_t* bytes, size_t count, const rans::Histogram& counts, rans::Loops loops);
// How often each byte occurs, added to `counts`.
void count_bytes(const uint8_t* bytes, size_t count, rans::Histogram* counts);

}  // namespace tare
