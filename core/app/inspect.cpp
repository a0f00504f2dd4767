#include "core/app/inspect.hpp"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstdio>
#include <iomanip>
#include <memory>
#include <mutex>
#include <numeric>

#include "core/base/progress.hpp"
#include "core/base/parallel.hpp"
#include "core/bundle/tare_bundle.hpp"

namespace tare {
namespace {

constexpr int64_t kBandBytes = 4 << 20, kBandRows = 64;

// One tensor while its bands are read; its surveys are gone when the last band is.
struct Work {
  const StoredTensor* tensor = nullptr;
  WeightInfo info;
  std::vector<const Layout*> layouts;
  std::vector<std::unique_ptr<LayoutSurvey>> surveys;
  std::once_flag begun;
  Status begin_status;
  std::atomic<int64_t> bands_left = 0;
  TensorFindings findings;
  std::mutex counting;
};
struct Band {
  size_t work = 0;
  int64_t begin = 0, end = 0;
};

class Reader {
 public:
  Reader(const WeightSource& weights, std::span<const Layout* const> layouts, const InspectOptions& options)
      : weights_(weights), options_(options) {
    for (const StoredTensor& tensor : weights.tensors()) {
      auto work = std::make_unique<Work>();
      work->tensor = work->findings.tensor = &tensor;
      const auto laid = weights.laid_out(tensor);
      if (laid) work->findings.codec = laid->layout, work->findings.note = laid->note;
      work->findings.is_measured = tensor.dtype && has_exponent(*tensor.dtype) && tensor.elements() > 0 && !laid;
      if (work->findings.is_measured) {
        plan(*work, layouts);
        cut(*work, works_.size());
      }
      works_.push_back(std::move(work));
    }
  }

  Result<std::vector<TensorFindings>> run() {
    int64_t total = 0;
    for (const auto& work : works_)
      if (work->findings.is_measured) total += work->tensor->bytes();
    Progress progress("inspecting", total, options_.show_progress);
    TARE_RETURN_IF_ERROR(parallel_for(bands_.size(), options_.threads, [&](size_t band) -> Status {
      if (options_.stop && options_.stop()) return {Code::cancelled, "stopped"};
      TARE_ASSIGN_OR_RETURN(const int64_t bytes, read(bands_[band]));
      progress.advance(bytes);
      return {};
    }));
    std::vector<TensorFindings> out;
    for (const auto& work : works_) out.push_back(std::move(work->findings));
    return out;
  }

 private:
  void plan(Work& work, std::span<const Layout* const> layouts) const {
    const StoredTensor& t = *work.tensor;
    if (t.shape.size() != 2) return;
    work.info = {t.name, *t.dtype, {t.shape[0], t.shape[1]}, 1};
    for (const Layout* layout : layouts)
      if ((layout->device_kind().empty() || layout->device_kind() == "cpu") && layout->supports(work.info))
        work.layouts.push_back(layout);
  }
  void cut(Work& work, size_t index) {
    const StoredTensor& t = *work.tensor;
    int64_t granule = t.shape.size() == 2 ? kBandRows : 1;
    for (const Layout* layout : work.layouts) granule = std::lcm(granule, layout->row_granule());
    granule = std::lcm(granule, weights_.row_granule(t));
    const int64_t row_bytes = std::max<int64_t>(1, t.row_elements() * size_of(*t.dtype));
    const int64_t rows = std::max<int64_t>(1, kBandBytes / row_bytes / granule) * granule;
    for (int64_t row = 0; row < t.rows(); row += rows) {
      bands_.push_back({index, row, std::min(t.rows(), row + rows)});
      ++work.bands_left;
    }
  }

  // Bytes that were read.
  Result<int64_t> read(const Band& band) {
    Work& work = *works_[band.work];
    const StoredTensor& t = *work.tensor;
    std::call_once(work.begun, [&] { work.begin_status = begin(work); });
    TARE_RETURN_IF_ERROR(work.begin_status);
    std::vector<std::byte> numbers(static_cast<size_t>((band.end - band.begin) * t.row_elements() * size_of(*t.dtype)));
    TARE_RETURN_IF_ERROR(weights_.read(t, band.begin, band.end, *t.dtype, numbers));
    ExponentCounts counts;
    count_exponents(*t.dtype, numbers, counts);
    for (const auto& survey : work.surveys)
      if (survey != nullptr) TARE_RETURN_IF_ERROR(survey->look(band.begin, band.end, numbers.data()));
    {
      const std::lock_guard lock(work.counting);
      work.findings.counts += counts;
    }
    if (--work.bands_left == 0) TARE_RETURN_IF_ERROR(finish(work));
    return static_cast<int64_t>(numbers.size());
  }
  static Status begin(Work& work) {
    for (const Layout* layout : work.layouts) {
      TARE_ASSIGN_OR_RETURN(auto survey, layout->survey(work.info));
      work.surveys.push_back(std::move(survey));  // null: a code that does not look, such as dense
    }
    return {};
  }
  static Status finish(Work& work) {
    for (size_t i = 0; i < work.surveys.size(); ++i) {
      if (work.surveys[i] == nullptr) continue;
      TARE_ASSIGN_OR_RETURN(const auto plan, work.surveys[i]->finish());
      work.findings.layouts.push_back({std::string(work.layouts[i]->id()), plan->bytes(), plan->pays(), plan->note()});
    }
    work.surveys.clear();
    return {};
  }

  const WeightSource& weights_;
  const InspectOptions& options_;
  std::vector<std::unique_ptr<Work>> works_;
  std::vector<Band> bands_;
};

void add_up(Findings& f) {
  double numbers = 0;
  for (const TensorFindings& t : f.tensors) {
    f.plain_bytes += t.tensor->bytes();
    f.least_bytes += t.least_bytes();
    for (const auto& laid : t.layouts) f.layouts[laid.layout];
    if (!t.is_measured || !t.is_matrix() || t.tensor->dtype != DType::bf16) continue;
    ++f.num_matrices;
    f.matrices += t.counts;
    const auto n = static_cast<double>(t.counts.total());
    numbers += n;
    f.entropy += n * t.counts.entropy();
    f.outside_7 += n * t.counts.outside(7), f.outside_15 += n * t.counts.outside(15);
  }
  if (numbers > 0) f.entropy /= numbers, f.outside_7 /= numbers, f.outside_15 /= numbers;
  for (auto& [layout, totals] : f.layouts)
    for (const TensorFindings& t : f.tensors) {
      const auto laid =
          std::find_if(t.layouts.begin(), t.layouts.end(), [&](const auto& l) { return l.layout == layout; });
      totals.bytes += laid == t.layouts.end() ? t.tensor->bytes() : laid->bytes;
      if (laid == t.layouts.end()) continue;
      ++totals.taken;
      // Denser codes fall to less dense ones before they give up; the note says so.
      totals.fell_back += !laid->pays || laid->note.find("does not pay") != std::string::npos;
    }
}

std::string code_of(const std::string& layout) { return layout.substr(0, layout.find('/')); }
double share(int64_t part, int64_t whole) {
  return whole == 0 ? 0 : static_cast<double>(part) / static_cast<double>(whole);
}
std::string fixed(double value, int digits) {
  char out[64];
  std::snprintf(out, sizeof out, "%.*f", digits, value);
  return out;
}

}  // namespace

std::string percent_text(double value, int digits) { return fixed(100 * value, digits) + " %"; }

int64_t TensorFindings::least_bytes() const noexcept {
  if (!is_measured) return tensor->bytes();
  const double bits = counts.entropy() + other_bits(*tensor->dtype);
  return static_cast<int64_t>(std::ceil(static_cast<double>(counts.total()) * bits / 8));
}

Result<Findings> inspect_weights(const WeightSource& weights, std::span<const Layout* const> layouts,
                                 const InspectOptions& options) {
  Reader reader(weights, layouts, options);
  Findings out;
  TARE_ASSIGN_OR_RETURN(out.tensors, reader.run());
  add_up(out);
  return out;
}

Status add_codecs(const std::string& bundle_path, Findings& findings) {
  TARE_ASSIGN_OR_RETURN(const auto bundle, TareBundle::open(bundle_path));
  std::map<std::string_view, const TareTensor*> by_name;
  for (const TareTensor& t : bundle->directory().tensors) by_name.emplace(t.name, &t);
  for (TensorFindings& t : findings.tensors) {
    const auto at = by_name.find(t.tensor->name);
    if (at == by_name.end()) continue;
    if (at->second->codec == TareTensor::Codec::exp_ans) t.codec = "exp-ans";
    if (at->second->codec == TareTensor::Codec::raw) t.codec = "raw";
    ++findings.codecs[t.codec];
    findings.bundle_bytes += t.tensor->stored_bytes;
  }
  return {};
}

void print_findings(const Findings& f, bool every_tensor, std::ostream& out) {
  const auto line = [&](const std::string& what, int64_t bytes, const std::string& more) {
    out << "  " << std::left << std::setw(26) << what << std::right << std::setw(10) << human_bytes(bytes) << "  "
        << std::setw(8) << percent_text(share(bytes, f.plain_bytes), 2) << more << '\n';
  };
  if (f.num_matrices > 0)
    out << "  exponents of " << f.num_matrices << " BF16 matrices: " << fixed(f.entropy, 3) << " bits of entropy, "
        << percent_text(f.outside_7, 2) << " outside the best 7, " << percent_text(f.outside_15, 3)
        << " outside the best 15 (means by size)\n";
  line("plain", f.plain_bytes, "");
  for (const auto& [layout, totals] : f.layouts)
    line("served as " + code_of(layout), totals.bytes,
         totals.fell_back == 0 ? "" : text("  (", totals.fell_back, " of ", totals.taken, " matrices fall back)"));
  if (f.bundle_bytes > 0) {
    std::string codecs;
    for (const auto& [codec, tensors] : f.codecs) codecs += text(codecs.empty() ? "  (" : ", ", tensors, " ", codec);
    line("in this bundle", f.bundle_bytes, codecs.empty() ? "" : codecs + ")");
  }
  line("limit of the entropy", f.least_bytes, "");
  for (const TensorFindings& t : f.tensors)
    for (const auto& laid : t.layouts)
      if (const size_t why = laid.note.find(": "); why != std::string::npos)
        out << "  " << t.tensor->name << " as " << code_of(laid.layout) << ": " << laid.note << '\n';
  for (const TensorFindings& t : f.tensors)
    if (t.is_outlier())
      out << "  outlier tensor: " << t.tensor->name << ", " << percent_text(t.counts.outside(7), 1)
          << " outside its best 7 exponents\n";
  if (!every_tensor) return;
  size_t width = 4;
  for (const TensorFindings& t : f.tensors) width = std::max(width, t.tensor->name.size());
  out << "  " << std::left << std::setw(static_cast<int>(width)) << "tensor" << std::right
      << "  type        bytes  entropy  outside 7  outside 15     saves  " << (f.bundle_bytes > 0 ? "codec" : "")
      << '\n';
  for (const TensorFindings& t : f.tensors) {
    const bool m = t.is_measured;
    const int64_t now = f.bundle_bytes > 0 ? t.tensor->stored_bytes : t.least_bytes();
    out << "  " << std::left << std::setw(static_cast<int>(width)) << t.tensor->name << std::right << "  " << std::left
        << std::setw(5) << t.tensor->stored << std::right << std::setw(11) << human_bytes(t.tensor->bytes())
        << std::setw(9) << (m ? fixed(t.counts.entropy(), 3) : "-") << std::setw(11)
        << (m ? percent_text(t.counts.outside(7), 2) : "-") << std::setw(12)
        << (m ? percent_text(t.counts.outside(15), 3) : "-") << std::setw(10)
        << human_bytes(std::max<int64_t>(0, t.tensor->bytes() - now)) << "  " << t.codec
        << (t.note.empty() ? "" : ", " + t.note) << '\n';
  }
}

}  // namespace tare
