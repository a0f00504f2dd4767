// A device whose memory the host could read but does not: what loading sends it is counted, and it may decode tiles.
#pragma once
#include <atomic>
#include <cstring>
#include <functional>
#include <optional>

#include "core/api/tile_decoder.hpp"
#include "core/bundle/codec_planes.hpp"

namespace tare::testing {

class StagingDevice final : public Device, public TileDecoding {
 public:
  bool decodes = true;
  int64_t budget = int64_t{1} << 30;
  std::atomic<int64_t> sent = 0, in_use = 0, largest = 0;
  std::atomic<int64_t> copies = 0;    // to it
  std::function<void()> before_copy;  // may wait
  std::optional<int64_t> flip_at;  // of the bytes that are sent in copies of at least 1 KiB: this one arrives changed

  const DeviceInfo& info() const noexcept override { return info_; }
  Result<std::unique_ptr<Buffer>> allocate(size_t bytes, Purpose, std::string_view label) override {
    if (in_use + static_cast<int64_t>(bytes) > budget)
      return failure(Code::exhausted, label, ": no room for ", bytes, " bytes");
    largest = std::max(largest.load(), static_cast<int64_t>(bytes));
    return std::unique_ptr<Buffer>(std::make_unique<Memory>(*this, bytes));
  }
  Result<std::unique_ptr<Stream>> create_stream() override {
    return std::unique_ptr<Stream>(std::make_unique<Immediate>());
  }
  Status copy_in(Stream&, void* to, const void* from, size_t bytes) override {
    ++copies;
    if (before_copy) before_copy();
    std::memcpy(to, from, bytes);
    const int64_t before = sent.fetch_add(static_cast<int64_t>(bytes));
    if (flip_at && *flip_at >= before && *flip_at < before + static_cast<int64_t>(bytes))
      static_cast<std::byte*>(to)[*flip_at - before] ^= std::byte{0x40};
    return {};
  }
  Status copy_out(Stream&, void* to, const void* from, size_t bytes) override {
    std::memcpy(to, from, bytes);
    return {};
  }
  Status fill(Stream&, void* device, uint8_t value, size_t bytes) override {
    std::memset(device, value, bytes);
    return {};
  }
  bool host_addressable() const noexcept override { return false; }
  void* query(std::string_view interface) noexcept override {
    return decodes && interface == TileDecoding::kInterface ? static_cast<TileDecoding*>(this) : nullptr;
  }
  Result<std::unique_ptr<DeviceTileDecoder>> tile_decoder() override {
    return std::unique_ptr<DeviceTileDecoder>(std::make_unique<Decoder>());
  }

 private:
  class Memory final : public Buffer {
   public:
    Memory(StagingDevice& device, size_t bytes) : device_(device), bytes_(bytes), data_(new std::byte[bytes + 256]) {
      device_.in_use += static_cast<int64_t>(bytes);
    }
    ~Memory() override { device_.in_use -= static_cast<int64_t>(bytes_); }
    void* data() const noexcept override {
      return data_.get() + (256 - reinterpret_cast<uintptr_t>(data_.get()) % 256) % 256;
    }
    size_t bytes() const noexcept override { return bytes_; }

   private:
    StagingDevice& device_;
    const size_t bytes_;
    const std::unique_ptr<std::byte[]> data_;
  };
  class Done final : public Event {
    Status wait() override { return {}; }
  };
  class Immediate final : public Stream {
    Status synchronize() override { return {}; }
    Result<std::unique_ptr<Event>> record() override { return std::unique_ptr<Event>(std::make_unique<Done>()); }
  };
  // As docs/formats/bundle.md has it, with the host's code.
  class Decoder final : public DeviceTileDecoder {
   public:
    Status decode(Stream&, const CodedMatrix& m, std::span<const int64_t> begins, const void* coded,
                  void* plain) override {
      PlaneTables tables;
      tables.width = m.width, tables.coded = m.coded, tables.frequencies = m.frequencies;
      const TileDecoder decoder(tables);
      const TileGrid grid{m.experts, m.rows, m.columns, m.tile_rows, m.tile_columns};
      for (int64_t t = 0; t < m.tiles(); ++t) {
        const TileGrid::Tile tile = grid.tile(t);
        const int64_t begin = begins[static_cast<size_t>(t)], end = begins[static_cast<size_t>(t) + 1];
        const Status status = decoder.decode(
            {static_cast<const std::byte*>(coded) + begin, static_cast<size_t>(end - begin)}, tile.rows, tile.columns,
            static_cast<std::byte*>(plain) + ((tile.expert * m.rows + tile.row) * m.columns + tile.column) * m.width,
            m.columns * m.width);
        if (!status.ok() && !bad_) bad_ = m.first_tile + t;
      }
      return {};
    }
    Status check(Stream&) override {
      return bad_ ? failure(Code::corrupt, "tile ", *bad_, " is damaged: its planes do not end where they must")
                  : Status();
    }

   private:
    std::optional<int64_t> bad_;
  };
  const DeviceInfo info_{"staging:0", "staging", "host memory", "none", "none", {}};
};

}  // namespace tare::testing
