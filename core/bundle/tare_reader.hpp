// A file or tensor of a bundle from its first byte to its last, a piece at a time, checked as it goes. Its buffers are
// used again from piece to piece. [one thread]
#pragma once
#include <memory>

#include "core/bundle/tare_bundle.hpp"

namespace tare {

class TareBundle::Reader {
 public:
  // Both must outlive it. `what` is for messages. Stored bytes of any stream:
  Reader(const TareBundle& bundle, const TareStream& stream, std::string what);
  // Plain bytes of a tensor (as it is stored, if it is laid out):
  Reader(const TareBundle& bundle, const TareTensor& tensor);
  ~Reader();
  Reader(const Reader&) = delete;
  Reader& operator=(const Reader&) = delete;

  // Valid until the next call; empty at the end, where the table of pieces has been checked too.
  Result<std::span<const std::byte>> next();

 private:
  struct State;
  Result<std::span<const std::byte>> next_piece();
  Result<std::span<const std::byte>> next_band();
  const TareBundle& bundle_;
  const TareStream& stream_;
  const TareTensor* tensor_ = nullptr;  // null: stored bytes
  std::string what_;
  std::unique_ptr<State> state_;
};

}  // namespace tare
