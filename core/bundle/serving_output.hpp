// Writing a serving bundle: small files as they are, then weights as a device has them in memory. A weight's bytes are
// filled into the mapped file, so that memory of the process does not grow with them. One thread.
#pragma once
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "core/api/model.hpp"
#include "core/bundle/tare_format.hpp"
#include "core/bundle/tare_output.hpp"

namespace tare {

// What lies beside the weights of a model and belongs into any bundle of it: configuration, tokenizer, template.
struct SmallFiles {
  struct File {
    std::string name;
    int64_t bytes = 0;
    std::function<Status(int64_t offset, std::span<std::byte> out)> read;
  };
  std::vector<File> files;
  std::vector<std::string> left_out;                      // shards and their index, what is excluded, large files
  std::vector<std::pair<std::string, std::string>> info;  // what it comes from, as bundles have it
};
// Of a Hugging Face folder, a .gguf file or a .tare bundle. Files above 64 MiB are left out.
Result<SmallFiles> open_small_files(const std::string& path, std::span<const ModelFamily* const> families,
                                    const std::vector<std::string>& exclude);

class ServingOutput {
 public:
  static Result<std::unique_ptr<ServingOutput>> create(const std::string& path);
  Status add_file(const SmallFiles::File& file);
  // Zeros to be filled, until end_weight().
  Result<std::span<std::byte>> begin_weight(int64_t bytes);
  // `weight`: all but where it lies. Uses `threads` (0: all cores).
  Status end_weight(TareTensor weight, int threads);
  // The file appears. Returns its bytes.
  Result<int64_t> finish(std::vector<std::pair<std::string, std::string>> info);

 private:
  ServingOutput() = default;
  void align() noexcept { at_ = (at_ + kTarePage - 1) / kTarePage * kTarePage; }
  Status write_table(TareStream* stream, std::span<const TareStream::Piece> pieces);

  std::unique_ptr<OutputFile> out_;
  std::unique_ptr<OutputFile::Mapped> mapped_;
  TareDirectory directory_;
  int64_t at_ = kTarePage;
};

}  // namespace tare
