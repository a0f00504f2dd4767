// Kernels and layouts that say what a test needs and run nothing.
#pragma once
#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include "core/program/op_table.hpp"
#include "core/registry/registry.hpp"

namespace tare::fake {

struct KernelFacts {
  std::string id;
  std::vector<std::string> takes;
  std::string numerics = "n";
  std::vector<std::string> layouts{"*"};
  int64_t most_rows = INT64_MAX, scratch = 0;
  bool reference = false;
  std::string tuned_as = {};
};
class Kernel final : public KernelCandidate {
 public:
  explicit Kernel(KernelFacts facts) : facts_(std::move(facts)) {}
  std::string_view id() const noexcept override { return facts_.id; }
  std::string_view device_kind() const noexcept override { return "fake"; }
  std::vector<std::string> takes() const override { return facts_.takes; }
  bool is_reference() const noexcept override { return facts_.reference; }
  Verdict supports(const Problem& p) const noexcept override {
    return p.rows > facts_.most_rows ? Verdict::no(p.rows, " rows, at most ", facts_.most_rows) : Verdict::yes();
  }
  std::string numerics(const Problem&) const override { return facts_.numerics; }
  std::vector<std::string> layouts(const Problem&, size_t, size_t) const override { return facts_.layouts; }
  KernelConfig fallback(const Problem&) const override { return {{"default", true}}; }
  Verdict accepts(const Problem&, const KernelConfig& c) const noexcept override {
    return c.empty() ? Verdict::no("an empty config") : Verdict::yes();
  }
  std::string_view tuned_as() const noexcept override { return facts_.tuned_as; }
  int64_t scratch_bytes(const Problem&, const KernelConfig&) const override { return facts_.scratch; }
  Result<std::unique_ptr<Instance>> instance(Device&, const Problem&, const KernelConfig&) const override {
    return failure(Code::unsupported, "a fake runs nothing");
  }

 private:
  KernelFacts facts_;
};
class PlainLayout final : public Layout {
 public:
  explicit PlainLayout(std::string id) : id_(std::move(id)) {}
  std::string_view id() const noexcept override { return id_; }
  Verdict supports(const WeightInfo&) const noexcept override { return Verdict::yes(); }
  int64_t bytes(const WeightInfo& w) const noexcept override { return w.outputs() * w.inputs() * size_of(w.dtype); }
  Status encode(const WeightInfo&, int64_t, int64_t, const void*, void*) const override { return {}; }
  Status decode(const WeightInfo&, int64_t, int64_t, const void*, void*) const override { return {}; }

 private:
  std::string id_;
};

// A registry of fakes that owns them.
class Set {
 public:
  Set(std::vector<KernelFacts> kernels, std::vector<std::string> layouts = {"dense/rows", "dense/tiles"}) {
    for (auto& k : kernels) kernels_.push_back(std::make_unique<Kernel>(std::move(k)));
    for (auto& l : layouts) layouts_.push_back(std::make_unique<PlainLayout>(std::move(l)));
    std::vector<const KernelCandidate*> k;
    std::vector<const Layout*> l;
    for (const auto& x : kernels_) k.push_back(x.get());
    for (const auto& x : layouts_) l.push_back(x.get());
    registry = Registry(k, l);
  }
  Registry registry;

 private:
  std::vector<std::unique_ptr<Kernel>> kernels_;
  std::vector<std::unique_ptr<PlainLayout>> layouts_;
};

// One kernel for every op that the toy model uses, all named "any.OP".
inline std::vector<KernelFacts> one_each() {
  std::vector<KernelFacts> out;
  for (const char* op : {"embed/1", "norm/1", "rotary/1", "attention/1", "gated/1", "add/1", "concat/1", "logit_rows/1",
                         "sample/1", "linear/1"})
    out.push_back({.id = std::string("any.") + op, .takes = {op}});
  return out;
}

}  // namespace tare::fake
