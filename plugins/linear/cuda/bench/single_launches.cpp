#include "plugins/linear/cuda/bench/single_launches.hpp"

#include <algorithm>
#include <charconv>

namespace tare::linear_cuda::bench {
namespace {

struct Wanted {
  std::string product, kernel;
  int32_t tokens = 0;
};

Wanted wanted(const std::string& words) {
  const size_t first = words.find(':'), second = words.find(':', first + 1);
  Wanted out;
  if (second == std::string::npos) throw Lost{invalid("a launch is '", words, "', expected product:rows:kernel")};
  out.product = words.substr(0, first), out.kernel = words.substr(second + 1);
  const char* const end = words.data() + second;
  const auto [at, error] = std::from_chars(words.data() + first + 1, end, out.tokens);
  if (error != std::errc() || at != end || out.tokens < 1 || out.tokens > kMostTokens)
    throw Lost{invalid("the rows of launch '", words, "' are none, expected 1 to ", kMostTokens)};
  return out;
}

Matrix& matrix_of(const std::string& product, const LinearBenchRequest& request, Layer& layer) {
  for (Matrix& m : layer.matrices())
    if (m.spec.name == product) return m;
  for (const LayerProduct& p : request.products) {
    if (p.name != product) continue;
    layer.add(spec_of(p), kind_of(request.weights), 1, kMostTokens, 1, false, code_of(request.code));
    return layer.matrices().back();
  }
  throw Lost{failure(Code::not_found, "shape ", request.shape, " has no product '", product, "'")};
}

}  // namespace

void launch_once(const LinearBenchRequest& request, Lab& lab, VendorProducts* vendor, const DeviceInfo& info) {
  Layer layer(lab, vendor, info.units, std::string(lab.tools().launcher.architecture()));
  for (const std::string& words : request.launches) {
    const Wanted w = wanted(words);
    Matrix& m = matrix_of(w.product, request, layer);
    const auto launch = [&](const Lab::Work& work) {
      must(work(lab.stream(), 0));
      must(lab.stream().synchronize());
      if (request.say) request.say(text("LAUNCHED ", w.product, " M=", w.tokens, " ", w.kernel));
    };
    if (w.kernel == "vendor") {
      if (vendor == nullptr) throw Lost{failure(Code::unavailable, "there is no library of the vendor to launch")};
      must(vendor->prepare({w.tokens, m.spec.rows, m.spec.columns}, 8));
      launch(layer.baseline(m, w.tokens, 0));
      continue;
    }
    std::string known;
    const auto all = candidates(m.packed[0].shape, w.tokens, info.units, layer.architecture());
    const auto found = std::ranges::find(all, w.kernel, [](const AnyConfig& c) { return label(c); });
    for (const AnyConfig& c : all) known += (known.empty() ? "" : ", ") + label(c);
    if (found == all.end())
      throw Lost{failure(Code::not_found, "no kernel of ", w.product, " at ", w.tokens, " rows is called '", w.kernel,
                         "', there are ", known)};
    launch(layer.product(m, *found, w.tokens, false));
  }
}

}  // namespace tare::linear_cuda::bench
