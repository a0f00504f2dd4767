#define BOOST_DLL_USE_STD_FS
#include "core/plugin/library.hpp"

#include <boost/dll/shared_library.hpp>
#include <cstring>
#include <exception>

namespace tare {
namespace {

class DllLibrary final : public Library {
 public:
  explicit DllLibrary(const std::string& file)
      : library_(file, boost::dll::load_mode::rtld_now | boost::dll::load_mode::rtld_local),
        descriptor_(&library_.get<const PluginDescriptor>(kDescriptorSymbol)) {}
  const PluginDescriptor& descriptor() const noexcept override { return *descriptor_; }

 private:
  boost::dll::shared_library library_;
  const PluginDescriptor* descriptor_;
};

}  // namespace

Accepted<std::shared_ptr<const Library>> Library::load(const DescriptorFacts& facts) try {
  auto library = std::make_shared<const DllLibrary>(facts.file);
  const PluginDescriptor& d = library->descriptor();
  if (std::memcmp(&d, facts.plain_bytes.data(), kPlainDescriptorBytes) != 0)
    return Refusal{facts.file, "the loaded descriptor", "another than the file's", "the same bytes"};
  if (facts.abi_kind == kCppExact && d.register_into == nullptr)
    return Refusal{facts.file, "register_into", "null", "a function"};
  if (facts.abi_kind == kCProgram && (d.program == nullptr || d.release == nullptr))
    return Refusal{facts.file, d.program == nullptr ? "program" : "release", "null", "a function"};
  return std::shared_ptr<const Library>(std::move(library));
} catch (const std::exception& e) {
  return Refusal{facts.file, "the library", text("not to be loaded (", e.what(), ")"),
                 "one that the dynamic loader takes"};
}

}  // namespace tare
