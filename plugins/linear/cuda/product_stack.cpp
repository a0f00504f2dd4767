#include <algorithm>

#include "plugins/linear/cuda/product.hpp"
#include "plugins/linear/cuda/work.hpp"

namespace tare::linear_cuda {
namespace {

// Bytes of parked sums of a part that has so many blocks.
int64_t partials_of(const AnyConfig& config, const MatrixShape& m, int32_t blocks) {
  if (const auto* stream = std::get_if<StreamConfig>(&config))
    return m.leaves > 1 ? partial_bytes(*stream, blocks, m.leaves) : 0;
  if (const auto* wide = std::get_if<WideConfig>(&config); wide != nullptr && wide->shares > 1)
    return partial_bytes(*wide, blocks / kWideCluster);
  return 0;
}

struct Deal {
  int32_t first_block[kMostStacked + 1] = {};
  int64_t partials[kMostStacked + 1] = {};  // where each part's begin
};
// As few pieces a block as the device's multiprocessors allow, so that all blocks have alike to do. False: the blocks
// are more than can be resident, or park more than the workspace holds.
bool deal(const AnyConfig& config, std::span<const MatrixShape* const> shapes, int32_t tokens, int32_t multiprocessors,
          Deal& out) {
  Work work[kMostStacked];
  int64_t groups = 0;
  for (size_t i = 0; i < shapes.size(); ++i) work[i] = work_of(config, *shapes[i], tokens);
  const int64_t limit = multiprocessors / work[0].blocks;
  const Rounds rounds = fewest_rounds({work, shapes.size()}, limit);
  for (const Work& w : work) groups += groups_for(w, rounds);
  if (work[0].resident && groups > limit) return false;
  out = {};
  for (size_t i = 0; i < kMostStacked; ++i) {
    const auto blocks = static_cast<int32_t>(groups_for(work[i], rounds) * work[0].blocks);
    out.first_block[i + 1] = out.first_block[i] + blocks;
    out.partials[i + 1] = out.partials[i] + (i < shapes.size() ? partials_of(config, *shapes[i], blocks) : 0);
  }
  return out.partials[shapes.size()] <= kPartialBytes;
}

}  // namespace

std::string stacked_expression(const AnyConfig& config, Epilogue epilogue) {
  std::string out = expression(config, epilogue);
  return out.insert(out.find('<'), is_gated(config) ? "_gated" : "_stack");
}

bool ProductStack::fits(std::span<Product* const> products, int32_t tokens, int32_t multiprocessors) noexcept {
  if (products.size() < 2 || products.size() > kMostStacked) return false;
  const Product& first = *products.front();
  if (is_gated(first.config_)) {
    const Product& up = *products.back();
    return products.size() == 2 && up.config_ == first.config_ && first.epilogue_ == Epilogue::kNone &&
           up.epilogue_ > Epilogue::kAdd && up.matrix_.order == first.matrix_.order &&
           up.matrix_.leaves == first.matrix_.leaves;
  }
  if (std::holds_alternative<PortableConfig>(first.config_)) return false;
  // What is cut between all clusters of the device has no share of them.
  if (const auto* wide = std::get_if<WideConfig>(&first.config_); wide != nullptr && wide->cut) return false;
  const MatrixShape* shapes[kMostStacked];
  for (size_t i = 0; i < products.size(); ++i) {
    const Product& p = *products[i];
    if (p.config_ != first.config_ || p.epilogue_ != Epilogue::kNone ||
        p.arguments_.columns != first.arguments_.columns)
      return false;
    shapes[i] = &p.matrix_;
  }
  Deal unused;
  return deal(first.config_, {shapes, products.size()}, tokens, multiprocessors, unused);
}

Result<ProductStack> ProductStack::load(const Toolbox& tools, std::vector<Product*> products) {
  ProductStack out;
  const Product &first = *products.front(), &last = *products.back();
  TARE_ASSIGN_OR_RETURN(const auto compiled,
                        tools.jit.compile({source(first.config_), stacked_expression(first.config_, last.epilogue_),
                                           std::string(tools.launcher.architecture())}));
  TARE_ASSIGN_OR_RETURN(out.kernel_, tools.launcher.load(*compiled, first.shape_.shared_bytes));
  for (size_t i = 0; i < kMostStacked; ++i) out.records_[i] = products[i < products.size() ? i : 0]->records_;
  out.launcher_ = &tools.launcher, out.products_ = std::move(products);
  return out;
}

Status ProductStack::launch(Stream& stream) {
  const Product& first = *products_.front();
  const MatrixShape* shapes[kMostStacked];
  for (size_t i = 0; i < products_.size(); ++i) shapes[i] = &products_[i]->matrix_;
  Deal dealt;
  if (is_gated(first.config_)) {
    dealt.first_block[kMostStacked] = static_cast<int32_t>(first.shape_.grid_x);  // each of them takes both matrices
  } else if (!deal(first.config_, {shapes, products_.size()}, first.arguments_.tokens, launcher_->multiprocessors(),
                   dealt))
    return failure(tare::Code::internal, label(first.config_), ": a stack of ", products_.size(), " products for ",
                   first.arguments_.tokens, " tokens does not fit the device");
  for (size_t i = 0; i < kMostStacked; ++i) {
    const Product& p = *products_[i < products_.size() ? i : 0];
    arguments_.part[i] = p.arguments_, outputs_[i] = p.output_;
    if (arguments_.part[i].partials != nullptr)
      arguments_.part[i].partials += dealt.partials[i] / static_cast<int64_t>(sizeof(float));
  }
  std::ranges::copy(dealt.first_block, arguments_.first_block);
  jit::LaunchShape shape = first.shape_;
  shape.grid_x = static_cast<uint32_t>(dealt.first_block[kMostStacked]);
  jit::TensorMapBytes activations = first.activations_;
  void* with_outputs[] = {&activations, &outputs_, &records_, &arguments_};
  void* without[] = {&activations, &records_, &arguments_};
  return launcher_->launch(stream, *kernel_, shape, first.maps_ == 2 ? with_outputs : without);
}

}  // namespace tare::linear_cuda
