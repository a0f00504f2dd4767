#include "tests/compile/records.hpp"

#include <boost/json.hpp>
#include <charconv>
#include <fstream>
#include <sstream>

#include "jit/compile/compiler.hpp"

namespace tare::records {
namespace json = boost::json;

Result<std::string> KernelHashes::hash(const std::string& source, const std::string& expression,
                                       const std::string& architecture) {
  const std::string key = source + "\n" + expression + "\n" + architecture;
  if (const auto it = known_.find(key); it != known_.end()) return it->second;
  const auto made = [&]() -> Result<std::string> {
    TARE_ASSIGN_OR_RETURN(const auto closure, sources_.closure(source));
    TARE_ASSIGN_OR_RETURN(const auto kernel, jit::compile_kernel(nvrtc_, closure, {source, expression, architecture}));
    if (kernel.compiler != jit::kPinnedCompiler)
      return failure(Code::unsupported, "NVRTC is ", kernel.compiler, ", hashes in records are of ",
                     jit::kPinnedCompiler);
    return kernel.ptx_hash;
  }();
  known_.emplace(key, made);
  return made;
}

namespace {

Result<std::vector<json::object>> read_lines(const std::string& path) {
  std::ifstream in(path);
  if (!in) return failure(Code::not_found, path, " cannot be read");
  std::vector<json::object> out;
  int number = 0;
  for (std::string line; std::getline(in, line);) {
    ++number;
    boost::system::error_code error;
    json::value value = json::parse(line, error);
    if (error || !value.is_object()) return invalid(path, ":", number, " is no JSON object");
    out.push_back(std::move(value.as_object()));
  }
  return out;
}

std::string string_at(const json::object& object, std::string_view key, std::string_view otherwise = "") {
  const json::value* value = object.if_contains(key);
  return std::string(value != nullptr && value->is_string() ? std::string_view(value->as_string()) : otherwise);
}

bool is_layer(const json::object& line) { return string_at(line, "kind") == "layer"; }

}  // namespace

Result<std::vector<LayerRecord>> read_layers(const std::string& path) {
  TARE_ASSIGN_OR_RETURN(const auto lines, read_lines(path));
  std::vector<LayerRecord> out;
  for (const json::object& line : lines) {
    if (!is_layer(line)) continue;
    LayerRecord record{.device = string_at(line, "device"),
                       .code = string_at(line, "code", "w12"),
                       .architecture = string_at(line, "architecture", kUsual),
                       .kernels = {}};
    const json::value* tokens = line.if_contains("tokens");
    if (tokens == nullptr || !tokens->is_int64()) return invalid(path, ": a layer record without `tokens`");
    record.tokens = static_cast<int>(tokens->as_int64());
    if (const json::value* kernels = line.if_contains("kernels"); kernels != nullptr && kernels->is_array()) {
      for (const json::value& kernel : kernels->as_array()) {
        if (!kernel.is_object())
          return invalid(path, ": `kernels` of a layer record holds something else than objects");
        const json::object& k = kernel.as_object();
        record.kernels.push_back({string_at(k, "source"), string_at(k, "expression"), string_at(k, "ptx")});
      }
    }
    out.push_back(std::move(record));
  }
  return out;
}

Result<int64_t> add_hashes(const std::string& path, KernelHashes& hashes) {
  int64_t others = 0;
  TARE_ASSIGN_OR_RETURN(auto lines, read_lines(path));
  std::ostringstream out;
  for (json::object& line : lines) {
    if (json::value* kernels = is_layer(line) ? line.if_contains("kernels") : nullptr; kernels != nullptr) {
      for (json::value& kernel : kernels->as_array()) {
        json::object& k = kernel.as_object();
        const std::string measured = string_at(k, "ptx");
        const auto hash =
            hashes.hash(string_at(k, "source"), string_at(k, "expression"), string_at(line, "architecture", kUsual));
        if (!measured.empty()) {
          others += !hash.ok() || *hash != measured;
          continue;
        }
        if (!hash.ok()) return hash.status();
        k["ptx"] = *hash;
      }
    }
    out << json::serialize(line) << "\n";
  }
  std::ofstream file(path);
  if (!(file << out.str()).flush()) return failure(Code::unavailable, path, " cannot be written");
  return others;
}

bool is_current(const LayerRecord& record, KernelHashes& hashes) {
  if (record.kernels.empty()) return false;
  for (const Kernel& kernel : record.kernels) {
    if (kernel.ptx.empty()) return false;
    const auto today = hashes.hash(kernel.source, kernel.expression, record.architecture);
    if (!today || *today != kernel.ptx) return false;
  }
  return true;
}

std::multimap<int, std::string> table_rows(const std::string& markdown, const std::string& heading) {
  std::multimap<int, std::string> out;
  std::istringstream in(markdown);
  bool inside = false;
  for (std::string line; std::getline(in, line);) {
    if (line.starts_with("## ")) inside = line.find(heading) != std::string::npos;
    if (line.starts_with("### ")) inside = false;
    if (!inside || !line.starts_with("| ")) continue;
    int tokens = 0;
    if (std::from_chars(line.data() + 2, line.data() + line.size(), tokens).ec == std::errc())
      out.emplace(tokens, line);
  }
  return out;
}

}  // namespace tare::records
