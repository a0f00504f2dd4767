// Library: one loaded plugin file (Boost.DLL's one home). Local binding, all symbols resolved at load. The handle keeps
// the code mapped; whoever holds an object of the plugin holds this too. [loader]
#pragma once
#include <memory>

#include "core/plugin/descriptor.hpp"
#include "core/plugin/refusal.hpp"

namespace tare {

class Library {
 public:
  // Loads the file that `facts` was read from, finds the descriptor and compares it with the file's.
  static Accepted<std::shared_ptr<const Library>> load(const DescriptorFacts& facts);
  virtual ~Library() = default;
  virtual const PluginDescriptor& descriptor() const noexcept = 0;
};

}  // namespace tare
