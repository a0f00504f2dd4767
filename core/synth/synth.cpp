#include "core/synth/synth.hpp"

#include <fcntl.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <memory>
#include <mutex>
#include <thread>

#include "core/base/file.hpp"
#include "core/base/printable.hpp"
#include "core/base/progress.hpp"
#include "core/synth/distribution.hpp"
#include "core/synth/files.hpp"
#include "core/base/partial_folder.hpp"

namespace tare::synth {
namespace {

constexpr int64_t kBandBytes = 2 << 20;

Status cannot_write(const std::string& path, int error) {
  return failure(error == ENOSPC || error == EFBIG || error == EDQUOT ? Code::exhausted : Code::unavailable, path,
                 ": cannot be written: ", std::strerror(error));
}

// A file of the folder, open for writing by position.
class Output {
 public:
  static Result<std::unique_ptr<Output>> create(const std::string& path) {
    const int descriptor = ::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
    if (descriptor < 0) return cannot_write(path, errno);
    return std::unique_ptr<Output>(new Output(path, descriptor));
  }
  ~Output() { ::close(descriptor_); }
  Output(const Output&) = delete;
  Output& operator=(const Output&) = delete;
  Status write(int64_t offset, const void* data, int64_t bytes) const {
    const char* at = static_cast<const char*>(data);
    while (bytes > 0) {
      const ssize_t n = ::pwrite(descriptor_, at, static_cast<size_t>(bytes), offset);
      if (n < 0 && errno == EINTR) continue;
      if (n <= 0) return cannot_write(path_, n < 0 ? errno : ENOSPC);
      at += n, offset += n, bytes -= n;
    }
    return {};
  }
  Status sync() const { return ::fsync(descriptor_) == 0 ? Status() : cannot_write(path_, errno); }

 private:
  Output(std::string path, int descriptor) : path_(std::move(path)), descriptor_(descriptor) {}
  std::string path_;
  int descriptor_;
};

struct Shard {
  std::string name, head;
  std::vector<size_t> tensors;  // by place in the model
  std::unique_ptr<Output> file;
};
// What one tensor needs while its bands are written; gone when the last is.
struct Work {
  Tensor tensor;
  size_t shard = 0;
  int64_t offset = 0;  // in the shard's file
  std::once_flag made;
  std::unique_ptr<Sampler> sampler;
  std::atomic<int64_t> bands_left = 0;
  ExponentCounts counts;  // under the model's lock
};
struct Band {
  size_t tensor = 0;
  int64_t begin = 0, end = 0;  // rows
};

class Model {
 public:
  Model(const Shape& shape, const std::string& folder, const Options& options)
      : shape_(shape), folder_(folder), options_(options), outliers_(outlier_tensors(shape)) {
    for (Tensor& tensor : tensors_of(shape)) {
      auto work = std::make_unique<Work>();
      work->tensor = std::move(tensor);
      works_.push_back(std::move(work));
    }
    cut_into_shards();
    for (size_t t = 0; t < works_.size(); ++t) {
      const Tensor& tensor = works_[t]->tensor;
      const int64_t rows =
          tensor.is_matrix() ? std::max<int64_t>(1, kBandBytes / (2 * tensor.columns())) : tensor.rows();
      for (int64_t row = 0; row < tensor.rows(); row += rows) {
        bands_.push_back({t, row, std::min(tensor.rows(), row + rows)});
        ++works_[t]->bands_left;
      }
      weight_bytes_ += 2 * tensor.elements();
    }
  }
  int64_t weight_bytes() const noexcept { return weight_bytes_; }
  int64_t shards() const noexcept { return static_cast<int64_t>(shards_.size()); }

  Status write_weights() {
    for (Shard& shard : shards_) {
      TARE_ASSIGN_OR_RETURN(shard.file, Output::create(join_path(folder_, shard.name)));
      TARE_RETURN_IF_ERROR(shard.file->write(0, shard.head.data(), static_cast<int64_t>(shard.head.size())));
    }
    Progress progress("writing", weight_bytes_, options_.show_progress);
    std::atomic<size_t> next = 0;
    std::mutex failing;
    Status failed;
    std::atomic<bool> ends = false;
    const auto run = [&] {
      std::vector<uint16_t> numbers;
      for (size_t b = next++; b < bands_.size() && !ends; b = next++) {
        Status status = options_.stop && options_.stop() ? Status(Code::cancelled, "stopped; nothing was left behind")
                                                         : write_band(bands_[b], numbers);
        if (!status.ok()) {
          const std::lock_guard lock(failing);
          if (failed.ok()) failed = std::move(status);
          ends = true;
        }
        progress.advance(2 * (bands_[b].end - bands_[b].begin) * works_[bands_[b].tensor]->tensor.columns());
      }
    };
    const size_t cores = options_.threads > 0 ? static_cast<size_t>(options_.threads)
                                              : std::max<size_t>(1, std::thread::hardware_concurrency());
    {
      std::vector<std::jthread> threads;
      for (size_t i = 1; i < std::min(cores, bands_.size()); ++i) threads.emplace_back(run);
      run();
    }
    TARE_RETURN_IF_ERROR(std::move(failed));
    for (Shard& shard : shards_) {
      TARE_RETURN_IF_ERROR(shard.file->sync());
      shard.file.reset();
    }
    return {};
  }

  Statistics statistics() const {
    std::vector<MatrixStatistics> matrices;
    for (const auto& work : works_)
      if (work->tensor.is_matrix()) matrices.push_back({work->tensor.name, work->counts});
    return statistics_of(matrices);
  }

  std::string index_json() const {
    std::string map;
    for (const auto& work : works_)
      map += (map.empty() ? "" : ",\n") + std::string("    ") + json_string(work->tensor.name) + ": " +
             json_string(shards_[work->shard].name);
    return text("{\n  \"metadata\": {\"total_size\": ", weight_bytes_, "},\n  \"weight_map\": {\n", map, "\n  }\n}\n");
  }

 private:
  void cut_into_shards() {
    int64_t bytes = 0;
    for (size_t t = 0; t < works_.size(); ++t) {
      const int64_t more = 2 * works_[t]->tensor.elements();
      if (shards_.empty() || (bytes > 0 && bytes + more > options_.shard_bytes)) shards_.emplace_back(), bytes = 0;
      shards_.back().tensors.push_back(t);
      bytes += more;
    }
    const auto padded = [](size_t n) {
      const std::string digits = std::to_string(n);
      return std::string(digits.size() < 5 ? 5 - digits.size() : 0, '0') + digits;
    };
    for (size_t s = 0; s < shards_.size(); ++s) {
      Shard& shard = shards_[s];
      shard.name = shards_.size() == 1 ? "model.safetensors"
                                       : "model-" + padded(s + 1) + "-of-" + padded(shards_.size()) + ".safetensors";
      std::vector<Tensor> tensors;
      for (size_t t : shard.tensors) tensors.push_back(works_[t]->tensor);
      shard.head = safetensors_head(tensors);
      auto offset = static_cast<int64_t>(shard.head.size());
      for (size_t t : shard.tensors) {
        works_[t]->shard = s, works_[t]->offset = offset;
        offset += 2 * works_[t]->tensor.elements();
      }
    }
  }

  Status write_band(const Band& band, std::vector<uint16_t>& numbers) {
    Work& work = *works_[band.tensor];
    const Tensor& tensor = work.tensor;
    const int64_t columns = tensor.columns(), count = (band.end - band.begin) * columns;
    numbers.resize(static_cast<size_t>(count));
    if (tensor.is_matrix()) {
      std::call_once(work.made, [&] {
        const bool outlier = std::find(outliers_.begin(), outliers_.end(), tensor.name) != outliers_.end();
        work.sampler = std::make_unique<Sampler>(tensor, spread_of(tensor, options_.seed, outlier),
                                                 rms_of(tensor, shape_), options_.seed);
      });
      for (int64_t row = band.begin; row < band.end; ++row)
        work.sampler->row(row, {numbers.data() + (row - band.begin) * columns, static_cast<size_t>(columns)});
      ExponentCounts counts;
      count_exponents(DType::bf16, std::as_bytes(std::span(numbers)), counts);
      const std::lock_guard lock(counting_);
      work.counts += counts;
    } else {
      norm_weights(tensor, options_.seed, numbers);
    }
    TARE_RETURN_IF_ERROR(
        shards_[work.shard].file->write(work.offset + 2 * band.begin * columns, numbers.data(), 2 * count));
    if (--work.bands_left == 0) work.sampler.reset();
    return {};
  }

  const Shape& shape_;
  const std::string folder_;
  const Options& options_;
  const std::vector<std::string> outliers_;
  std::vector<std::unique_ptr<Work>> works_;
  std::vector<Shard> shards_;
  std::vector<Band> bands_;
  int64_t weight_bytes_ = 0;
  std::mutex counting_;
};

Status check_room(const std::string& folder, int64_t needed, const Options& options) {
  int64_t room = 0;
  if (options.free_bytes) {
    room = *options.free_bytes;
  } else {
    struct statvfs disk {};
    if (::statvfs(folder.c_str(), &disk) != 0) return {};  // writing will tell
    room = static_cast<int64_t>(disk.f_bavail) * static_cast<int64_t>(disk.f_frsize);
  }
  if (room >= needed) return {};
  return failure(Code::exhausted, folder, ": has ", human_bytes(room), " free, the model takes ", human_bytes(needed));
}

}  // namespace

Result<Written> write_model(const Shape& shape, const std::string& folder, const Options& options) {
  const auto start = std::chrono::steady_clock::now();
  TARE_ASSIGN_OR_RETURN(const auto partial, PartialFolder::create(folder));
  Model model(shape, partial->path(), options);
  const std::string tokenizer = tokenizer_json(shape);
  TARE_RETURN_IF_ERROR(check_room(folder_name(partial->path()),
                                  model.weight_bytes() + static_cast<int64_t>(tokenizer.size()) + (1 << 20), options));
  TARE_RETURN_IF_ERROR(model.write_weights());
  Written out;
  out.statistics = model.statistics();
  out.weight_bytes = model.weight_bytes(), out.shards = model.shards();
  TARE_RETURN_IF_ERROR(check(out.statistics, outlier_tensors(shape)).in(shape.name));
  std::vector<std::pair<const char*, std::string>> files{
      {"config.json", config_json(shape)},
      {"generation_config.json", generation_config_json(shape)},
      {"tokenizer.json", tokenizer},
      {"tokenizer_config.json", tokenizer_config_json(shape)},
      {"synth.json", record_json(shape, options.seed, out.statistics)}};
  if (model.shards() > 1) files.emplace_back("model.safetensors.index.json", model.index_json());
  for (const auto& [name, content] : files) {
    TARE_ASSIGN_OR_RETURN(const auto file, Output::create(join_path(partial->path(), name)));
    TARE_RETURN_IF_ERROR(file->write(0, content.data(), static_cast<int64_t>(content.size())));
    TARE_RETURN_IF_ERROR(file->sync());
  }
  TARE_RETURN_IF_ERROR(partial->finish());
  out.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  return out;
}

}  // namespace tare::synth
