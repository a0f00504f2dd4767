#include "autotune/store/tuning_folder.hpp"

#include <algorithm>
#include <filesystem>
#include <map>

#include "autotune/store/problem_text.hpp"
#include "core/base/file.hpp"

namespace tare {
namespace {

std::vector<std::string> names_in(const std::string& folder, bool folders) {
  std::vector<std::string> out;
  std::error_code error;
  for (std::filesystem::directory_iterator at(folder, error), end; !error && at != end; at.increment(error))
    if (std::error_code ignored; at->is_directory(ignored) == folders) out.push_back(at->path().filename().string());
  std::ranges::sort(out);
  return out;
}

}  // namespace

TuningFolder read_tuning_folder(const std::string& folder, const std::string& architecture) {
  TuningFolder out;
  if (const std::string table = join_path(folder, "skus.toml"); is_file(table)) {
    auto content = read_file(table, 1 << 20);
    auto skus = content.ok() ? parse_sku_table(*content, table)
                             : Result<std::vector<SkuDescription>>(std::move(content).status());
    if (skus.ok())
      out.skus = std::move(*skus);
    else
      out.problems.push_back(skus.status().message());
  }
  for (const std::string& arch : names_in(folder, true)) {
    if (!architecture.empty() && arch != architecture) continue;
    for (const std::string& sku : names_in(join_path(folder, arch), true))
      for (const std::string& name : names_in(join_path(join_path(folder, arch), sku), false)) {
        if (!name.ends_with(".toml")) continue;
        const std::string path = join_path(join_path(join_path(folder, arch), sku), name);
        auto file = read_tuning_file(path, sku);
        if (!file.ok())
          out.problems.push_back(file.status().message());
        else if (file->architecture != arch)
          out.problems.push_back(
              text(path, " is for the architecture '", file->architecture, "', expected '", arch, "'"));
        else
          out.files.push_back(std::move(*file));
      }
  }
  return out;
}

Result<std::vector<std::string>> write_tuning_files(const std::string& folder, const DeviceInfo& device,
                                                    std::span<const TuningEntry> entries) {
  std::map<std::string, TuningFile> files;
  for (const TuningEntry& e : entries) {
    if (e.key.sku != device.sku) continue;
    const std::string op = op_of(e.key.problem);
    TuningFile& file = files[op];
    file.architecture = device.architecture, file.sku = device.sku, file.op = op;
    file.device = device.name, file.units = device.units;
    file.entries.push_back(e);
  }
  const std::string home = join_path(join_path(folder, device.architecture), device.sku);
  std::error_code error;
  std::filesystem::create_directories(home, error);
  if (error) return failure(Code::unavailable, home, ": ", error.message());
  std::vector<std::string> out;
  for (const auto& [op, file] : files) {
    out.push_back(join_path(home, op + ".toml"));
    TARE_RETURN_IF_ERROR(write_file_atomically(out.back(), print_tuning_file(file)));
  }
  return out;
}

}  // namespace tare
