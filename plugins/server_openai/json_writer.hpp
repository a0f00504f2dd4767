// JsonWriter: JSON text in the order of its calls, commas set by itself. Text that is no UTF-8 becomes U+FFFD, numbers
// that JSON cannot say become null. One thread.
#pragma once
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

namespace tare::server {

class JsonWriter {
 public:
  JsonWriter& begin_object() { return open('{'); }
  JsonWriter& end_object() { return close('}'); }
  JsonWriter& begin_array() { return open('['); }
  JsonWriter& end_array() { return close(']'); }
  JsonWriter& key(std::string_view name);
  JsonWriter& string(std::string_view value);
  JsonWriter& number(int64_t value);
  JsonWriter& number(double value);
  JsonWriter& number(float value);  // as few digits as say this float
  JsonWriter& boolean(bool value);
  JsonWriter& null();
  JsonWriter& raw(std::string_view json);  // a value that is JSON already

  // A member: its name and its value.
  JsonWriter& member(std::string_view name, std::string_view value) { return key(name).string(value); }
  JsonWriter& member(std::string_view name, const char* value) { return key(name).string(value); }
  JsonWriter& member(std::string_view name, int64_t value) { return key(name).number(value); }
  JsonWriter& member_null(std::string_view name) { return key(name).null(); }

  std::string take() { return std::move(out_); }

 private:
  JsonWriter& open(char bracket);
  JsonWriter& close(char bracket);
  void separate();  // puts the comma that is due

  std::string out_;
  bool comma_ = false;
};

}  // namespace tare::server
