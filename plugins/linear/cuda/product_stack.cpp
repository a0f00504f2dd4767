#include <algorithm>

#include "plugins/linear/cuda/expression.hpp"
#include "plugins/linear/cuda/product.hpp"

namespace tare::linear_cuda {
namespace {

int32_t groups_of(const LinearArguments& arguments, const StripConfig& config) {
  return arguments.rows / kStripRows / config.strips;
}

}  // namespace

bool ProductStack::fits(std::span<Product* const> products) noexcept {
  if (products.size() < 2 || products.size() > kMostStacked) return false;
  const Product& first = *products.front();
  return std::holds_alternative<StripConfig>(first.config_) && std::ranges::all_of(products, [&](const Product* p) {
           return p->config_ == first.config_ && p->epilogue_ == Epilogue::kNone &&
                  p->arguments_.columns == first.arguments_.columns;
         });
}

Result<ProductStack> ProductStack::load(const Toolbox& tools, std::vector<Product*> products) {
  ProductStack out;
  const StripConfig config = std::get<StripConfig>(products.front()->config_);
  std::string stacked = expression(config);
  stacked.insert(stacked.find("strip<") + 5, "_stack");
  TARE_ASSIGN_OR_RETURN(const auto compiled, tools.jit.compile({source(products.front()->config_), stacked,
                                                                std::string(tools.launcher.architecture())}));
  TARE_ASSIGN_OR_RETURN(out.kernel_, tools.launcher.load(*compiled, static_cast<uint32_t>(shared_bytes(config))));
  // As few groups a block as the device's multiprocessors allow, so that all blocks have alike to do.
  int32_t rounds = 0, blocks = 0;
  const auto blocks_of = [&](const Product* p) { return (groups_of(p->arguments_, config) + rounds - 1) / rounds; };
  do {
    ++rounds, blocks = 0;
    for (const Product* p : products) blocks += blocks_of(p);
  } while (blocks > tools.launcher.multiprocessors() && rounds < groups_of(products.front()->arguments_, config));
  for (size_t i = 0; i < kMostStacked; ++i) {
    const bool there = i < products.size();
    out.records_[i] = products[there ? i : 0]->records_;
    out.arguments_.first_block[i + 1] = out.arguments_.first_block[i] + (there ? blocks_of(products[i]) : 0);
  }
  out.launcher_ = &tools.launcher, out.products_ = std::move(products);
  return out;
}

Status ProductStack::launch(Stream& stream) {
  for (size_t i = 0; i < products_.size(); ++i) arguments_.part[i] = products_[i]->arguments_;
  jit::LaunchShape shape = products_.front()->shape_;
  shape.grid_x = static_cast<uint32_t>(arguments_.first_block[kMostStacked]);
  void* pointers[] = {&products_.front()->activations_, &records_, &arguments_};
  return launcher_->launch(stream, *kernel_, shape, pointers);
}

}  // namespace tare::linear_cuda
