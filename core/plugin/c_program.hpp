// CProgram: a plugin written in pure C (abi_kind 2), which turns config.json's text into Program text. Holds its
// library. Thread rule: const; the contract asks `program` to be callable from any thread. [any thread]
#pragma once
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "core/api/status.hpp"
#include "core/plugin/library.hpp"

namespace tare {

class CProgram {
 public:
  CProgram(std::string id, std::string file, std::shared_ptr<const Library> library)
      : id_(std::move(id)), file_(std::move(file)), library_(std::move(library)) {}
  const std::string& id() const noexcept { return id_; }
  const std::string& file() const noexcept { return file_; }

  // The Program text for this config.json, copied; what the plugin returned is released before this returns. Failures:
  // the plugin's own reason in one sentence; a result without text; a text that is too long to be one.
  Result<std::string> program(std::string_view config_json) const;

 private:
  std::string id_, file_;
  std::shared_ptr<const Library> library_;
};

}  // namespace tare
