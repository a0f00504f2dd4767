// The pieces of the validator. A CheckSink takes lines as they come; `begin` says what is about to run, so that a crash
// can be put to its cause. [loader]
#pragma once
#include <functional>
#include <string>

#include "core/plugin/check.hpp"
#include "core/plugin/plugin_host.hpp"

namespace tare {

class CheckSink {
 public:
  virtual ~CheckSink() = default;
  virtual void begin(const std::string& step, Blame blame = Blame::plugin) = 0;
  virtual void line(CheckLine line) = 0;

  void ok(std::string check, std::string detail) { line({CheckOutcome::ok, std::move(check), std::move(detail)}); }
  void warning(std::string check, std::string detail) {
    line({CheckOutcome::warning, std::move(check), std::move(detail)});
  }
  void failed(std::string check, std::string detail) {
    line({CheckOutcome::failed, std::move(check), std::move(detail)});
  }
};

// Runs `body` in a child process and passes its lines on; a signal, an exit or the time limit becomes a failed line.
void check_in_child(int32_t time_limit_ms, CheckSink& sink, const std::function<void(CheckSink&)>& body);

void check_elf(const ElfFile& elf, CheckSink& sink);
void check_kernel(const KernelCandidate& kernel, CheckSink& sink);
void check_layout(const Layout& layout, CheckSink& sink);
// Bytes that a layout wrote, damaged in many ways: what check() lets pass is decoded, from memory that ends at a page
// which nobody may read, so that a read past the end is a signal. Run it in a child.
struct LayoutDamage {
  bool is_checked = false;  // check() takes what encode() wrote
  int64_t tried = 0, refused = 0;
  std::string wrong;  // "" or what went wrong without a signal
};
LayoutDamage damage_layout(const Layout& layout);
// Bits of a splitmix64 sequence: https://prng.di.unimi.it/splitmix64.c
uint64_t next_bits(uint64_t& state) noexcept;
// BF16 or F32 patterns with exponents as trained weights have them, and a few wild ones.
std::vector<std::byte> numbers_like_weights(DType dtype, size_t bytes);

void check_family(const ModelFamily& family, CheckSink& sink);
void check_program(const CProgram& program, CheckSink& sink);

// Problems for a kernel that takes `chain` on `device_kind`: first what it should like, then oddities (the registry
// asks a kernel about its own device and ops only).
struct OddProblem {
  std::string what;
  Problem problem;
};
std::vector<OddProblem> odd_problems(const std::vector<std::string>& chain, std::string_view device_kind);

}  // namespace tare
