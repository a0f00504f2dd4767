// A layout's promise: the numbers survive bit for bit, whatever they are, in any pieces, inside the bytes it asked for.
#include <algorithm>
#include <cstring>
#include <utility>

#include "core/plugin/check_parts.hpp"

namespace tare {
namespace {

constexpr size_t kGuardBytes = 256;
constexpr std::byte kGuard{0xa5};

enum class Content { random, zeros, ones, weights };
constexpr std::string_view kContentNames[] = {"random bits", "zeros", "ones", "numbers like weights"};

std::vector<std::byte> make_plain(Content content, DType dtype, size_t bytes) {
  if (content == Content::weights) return numbers_like_weights(dtype, bytes);
  std::vector<std::byte> out(bytes, content == Content::ones ? std::byte{0xff} : std::byte{0});
  if (content == Content::zeros || content == Content::ones) return out;
  uint64_t state = 42;
  for (std::byte& b : out) b = static_cast<std::byte>(next_bits(state));
  return out;
}

struct Guarded {
  std::vector<std::byte> bytes;
  explicit Guarded(size_t size) : bytes(size + kGuardBytes, std::byte{0}) {
    std::fill(bytes.end() - kGuardBytes, bytes.end(), kGuard);
  }
  bool intact() const {
    return std::all_of(bytes.end() - kGuardBytes, bytes.end(), [](std::byte b) { return b == kGuard; });
  }
};

// Calls use(begin, end) for pieces of `step` rows; the first failure.
template <class Use>
Status in_pieces(int64_t rows, int64_t step, const Use& use) {
  for (int64_t begin = 0; begin < rows; begin += step) TARE_RETURN_IF_ERROR(use(begin, std::min(rows, begin + step)));
  return {};
}

// Encodes in pieces of `step` rows, in two passes where the layout has them and `surveyed` is set, and decodes in
// pieces of `decode_step`; the first thing that goes wrong, or "".
std::string round_trip(const Layout& layout, const WeightInfo& weight, Content content, int64_t step,
                       int64_t decode_step, bool surveyed) {
  const int64_t row_bytes = weight.inputs() * size_of(weight.dtype), rows = weight.outputs();
  const std::vector<std::byte> plain = make_plain(content, weight.dtype, static_cast<size_t>(rows * row_bytes));
  int64_t bytes = layout.bytes(weight);
  std::unique_ptr<LayoutPlan> plan;
  if (surveyed) {
    auto survey = layout.survey(weight);
    if (!survey.ok()) return text("survey() failed: ", survey.status().message());
    if (*survey == nullptr) return "";
    const Status status = in_pieces(rows, step, [&](int64_t begin, int64_t end) {
      return (*survey)->look(begin, end, plain.data() + begin * row_bytes);
    });
    if (!status.ok()) return text("look() failed: ", status.message());
    auto finished = (*survey)->finish();
    if (!finished.ok()) return text("finish() failed: ", finished.status().message());
    plan = std::move(*finished);
    if (plan == nullptr) return "finish() gave no plan";
    if (plan->bytes() <= 0 || plan->bytes() > bytes)
      return text("the plan's bytes() is ", plan->bytes(), ", expected 1 to the layout's ", bytes);
    bytes = plan->bytes();
  }
  Guarded laid_out(static_cast<size_t>(bytes)), back(plain.size());
  const Status encoded = in_pieces(rows, step, [&](int64_t begin, int64_t end) {
    const std::byte* const from = plain.data() + begin * row_bytes;
    return plan != nullptr ? plan->encode(begin, end, from, laid_out.bytes.data())
                           : layout.encode(weight, begin, end, from, laid_out.bytes.data());
  });
  if (!encoded.ok()) return text("encode() failed: ", encoded.message());
  if (!laid_out.intact()) return text("encode() wrote behind the ", bytes, " bytes that bytes() gave");
  for (int64_t begin = 0; begin < rows; begin += decode_step) {
    const Status status = layout.decode(weight, begin, std::min(rows, begin + decode_step), laid_out.bytes.data(),
                                        back.bytes.data() + begin * row_bytes);
    if (!status.ok()) return text("decode() failed: ", status.message());
  }
  if (!back.intact()) return "decode() wrote behind the last row";
  for (size_t i = 0; i < plain.size(); ++i)
    if (back.bytes[i] != plain[i])
      return text("row ", static_cast<int64_t>(i) / row_bytes, ", byte ", static_cast<int64_t>(i) % row_bytes, " is ",
                  static_cast<int>(back.bytes[i]), " after decode(), expected ", static_cast<int>(plain[i]));
  return "";
}

}  // namespace

void check_layout(const Layout& layout, CheckSink& sink) {
  const std::string what = text("layout '", layout.id(), "'");
  constexpr int64_t kShapes[][2] = {{1, 1},   {1, 16},   {3, 5},     {16, 16},   {31, 33},
                                    {64, 64}, {33, 100}, {128, 256}, {257, 512}, {96, 1024}};
  size_t trips = 0;
  for (const auto& [rows, columns] : kShapes)
    for (DType dtype : {DType::bf16, DType::f32, DType::f16, DType::u8}) {
      const WeightInfo weight{.name = "weight", .dtype = dtype, .shape = {rows, columns}, .input_dims = 1};
      const std::string which = text(name(dtype), " [", rows, ", ", columns, "]");
      sink.begin(text(what, ": supports() of ", which));
      if (!layout.supports(weight)) continue;
      if (layout.bytes(weight) <= 0)
        return sink.failed(what, text(which, ": bytes() is ", layout.bytes(weight), ", expected more than 0"));
      for (Content content : {Content::random, Content::zeros, Content::ones, Content::weights})
        for (const auto& [step, decode_step] : {std::pair(rows, rows), std::pair(layout.row_granule(), int64_t{3})}) {
          const std::string how = text(which, ", ", kContentNames[static_cast<size_t>(content)], ", ", step,
                                       " rows at once, ", decode_step, " back");
          sink.begin(text(what, ": encode() and decode() of ", how));
          for (const bool surveyed : {false, true})
            if (const std::string wrong = round_trip(layout, weight, content, step, decode_step, surveyed);
                !wrong.empty())
              return sink.failed(what, text(how, surveyed ? ", surveyed" : "", ": ", wrong));
          ++trips;
        }
    }
  if (trips == 0) return sink.warning(what, "supports none of the shapes that were tried");
  sink.begin(text(what, ": check() of damaged bytes"));
  const LayoutDamage damage = damage_layout(layout);
  if (!damage.wrong.empty()) return sink.failed(what, damage.wrong);
  sink.ok(what, text(trips, " round trips, every bit the same; ",
                     damage.is_checked ? text("of ", damage.tried, " damaged copies check() refused ", damage.refused)
                                       : "check() says no, so that no bundle can hold it"));
}

}  // namespace tare
