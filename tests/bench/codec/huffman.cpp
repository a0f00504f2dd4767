#include "tests/bench/codec/huffman.hpp"

#include <algorithm>
#include <cstring>
#include <numeric>
#include <queue>

namespace tare::bench {

Huffman::Huffman(const rans::Histogram& counts) {
  struct Node {
    int64_t weight;
    int left, right;
  };
  std::vector<Node> nodes;
  std::vector<int> symbol;
  using Entry = std::pair<int64_t, int>;
  std::priority_queue<Entry, std::vector<Entry>, std::greater<>> queue;
  for (int s = 0; s < 256; ++s)
    if (counts[static_cast<size_t>(s)] > 0) {
      symbol.push_back(s);
      queue.emplace(counts[static_cast<size_t>(s)], static_cast<int>(nodes.size()));
      nodes.push_back({counts[static_cast<size_t>(s)], -1, -1});
    }
  while (queue.size() > 1) {
    const auto [wa, a] = queue.top();
    queue.pop();
    const auto [wb, b] = queue.top();
    queue.pop();
    queue.emplace(wa + wb, static_cast<int>(nodes.size()));
    nodes.push_back({wa + wb, a, b});
  }
  std::vector<int> depth(nodes.size(), 0);
  for (size_t i = nodes.size(); i-- > symbol.size();)
    depth[static_cast<size_t>(nodes[i].left)] = depth[static_cast<size_t>(nodes[i].right)] = depth[i] + 1;
  // Codes that are too long are cut to the limit; Kraft's sum is mended by lengthening the rarest of the shorter ones.
  std::vector<size_t> order(symbol.size());
  std::iota(order.begin(), order.end(), 0);
  std::sort(order.begin(), order.end(), [&](size_t a, size_t b) { return nodes[a].weight < nodes[b].weight; });
  int64_t kraft = 0;
  for (size_t i : order) {
    depth[i] = std::clamp(depth[i], 1, kLongest);
    kraft += int64_t{1} << (kLongest - depth[i]);
  }
  for (size_t i = 0; kraft > (1 << kLongest); i = (i + 1) % order.size())
    if (depth[order[i]] < kLongest) kraft -= int64_t{1} << (kLongest - ++depth[order[i]]);
  std::vector<std::pair<int, int>> sorted;  // length, symbol
  for (size_t i = 0; i < symbol.size(); ++i) sorted.emplace_back(depth[i], symbol[i]);
  std::sort(sorted.begin(), sorted.end());
  uint32_t code = 0;
  int before = 0;
  for (const auto& [length, s] : sorted) {
    code <<= length - before;
    before = length;
    uint32_t reversed = 0;
    for (int b = 0; b < length; ++b) reversed |= (code >> b & 1) << (length - 1 - b);
    lengths_[static_cast<size_t>(s)] = static_cast<uint8_t>(length);
    codes_[static_cast<size_t>(s)] = static_cast<uint16_t>(reversed);
    for (uint32_t rest = 0; rest < (1u << (kLongest - length)); ++rest)
      table_[reversed | rest << length] = static_cast<uint16_t>(s | length << 8);
    ++code;
  }
}

double Huffman::bits(const rans::Histogram& counts) const {
  double total = 0;
  for (size_t s = 0; s < 256; ++s) total += static_cast<double>(counts[s]) * lengths_[s];
  return total;
}

void Huffman::encode(std::span<const uint8_t> symbols, std::vector<uint8_t>* out) const {
  const size_t part = (symbols.size() + kStreams - 1) / kStreams, head = out->size();
  out->resize(head + 2 * kStreams + symbols.size() * 2 + 8);
  uint8_t* to = out->data() + head + 2 * kStreams;
  for (size_t s = 0; s < kStreams; ++s) {
    uint8_t* const begin = to;
    uint64_t bits = 0;
    unsigned filled = 0;
    for (size_t i = s * part; i < std::min(symbols.size(), (s + 1) * part); ++i) {
      bits |= uint64_t{codes_[symbols[i]]} << filled;
      filled += lengths_[symbols[i]];
      if (filled >= 32) {
        std::memcpy(to, &bits, 4);
        to += 4, bits >>= 32, filled -= 32;
      }
    }
    std::memcpy(to, &bits, 8);
    to += (filled + 7) / 8;
    const auto length = static_cast<uint16_t>(to - begin);
    std::memcpy(out->data() + head + 2 * s, &length, 2);
  }
  out->resize(static_cast<size_t>(to - out->data()));
}

void Huffman::decode(const uint8_t* in, std::span<uint8_t> symbols) const {
  const size_t part = (symbols.size() + kStreams - 1) / kStreams;
  const uint8_t* from[kStreams];
  uint64_t at[kStreams];
  const uint8_t* next = in + 2 * kStreams;
  for (size_t s = 0; s < kStreams; ++s) {
    uint16_t length;
    std::memcpy(&length, in + 2 * s, 2);
    from[s] = next, at[s] = 0, next += length;
  }
  // Four symbols of each stream a refill: 48 bits of at least 57.
  const size_t last = symbols.size() - std::min(symbols.size(), part * (kStreams - 1));  // the shortest stream
  size_t i = 0;
  for (; i + 4 <= last; i += 4)
    for (size_t s = 0; s < kStreams; ++s) {
      uint64_t bits;
      std::memcpy(&bits, from[s] + (at[s] >> 3), 8);
      bits >>= at[s] & 7;
      unsigned used = 0;
      for (size_t k = 0; k < 4; ++k) {
        const uint16_t entry = table_[bits & ((1 << kLongest) - 1)];
        symbols[s * part + i + k] = static_cast<uint8_t>(entry);
        bits >>= entry >> 8;
        used += entry >> 8;
      }
      at[s] += used;
    }
  for (size_t s = 0; s < kStreams; ++s)
    for (size_t k = i; k < part && s * part + k < symbols.size(); ++k) {
      uint64_t bits;
      std::memcpy(&bits, from[s] + (at[s] >> 3), 8);
      const uint16_t entry = table_[bits >> (at[s] & 7) & ((1 << kLongest) - 1)];
      symbols[s * part + k] = static_cast<uint8_t>(entry);
      at[s] += entry >> 8;
    }
}

}  // namespace tare::bench
