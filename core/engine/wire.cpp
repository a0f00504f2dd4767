#include "core/engine/wire.hpp"

#include <bit>
#include <cstring>
#include <optional>
#include <type_traits>
#include <utility>
#include <vector>

namespace tare {
namespace {

static_assert(std::endian::native == std::endian::little, "the byte form is copied as it lies in memory");

enum class Kind : uint8_t { request, cancel, event, step, output };
constexpr std::string_view name(Kind kind) noexcept {
  constexpr std::string_view names[] = {"request", "cancel", "event", "step", "step output"};
  return names[static_cast<size_t>(kind)];
}
constexpr std::string_view kMagic = "TARE";
constexpr size_t kHeaderBytes = kMagic.size() + 2;

template <class T>
concept Number = std::is_arithmetic_v<T> && !std::is_same_v<T, bool>;

// Each message's fields once, for both directions.
template <class Io, class T>
  requires std::is_same_v<std::remove_const_t<T>, SamplingParameters>
void fields(Io& io, T& v) {
  io(v.temperature, v.top_p, v.min_p, v.top_k, v.frequency_penalty, v.presence_penalty, v.repetition_penalty, v.seed,
     v.logprobs, v.logit_bias);
}
template <class Io, class T>
  requires std::is_same_v<std::remove_const_t<T>, GenerateRequest>
void fields(Io& io, T& v) {
  io(v.model, v.prompt, v.sampling, v.choice, v.max_tokens, v.stop, v.stop_ids, v.ignore_eos, v.skip_special,
     v.echo_logprobs);
}
template <class Io, class T>
  requires std::is_same_v<std::remove_const_t<T>, TokenLogprob>
void fields(Io& io, T& v) {
  io(v.id, v.logprob);
}
template <class Io, class T>
  requires std::is_same_v<std::remove_const_t<T>, SampledLogprobs>
void fields(Io& io, T& v) {
  io(v.drawn, v.top);
}
template <class Io, class T>
  requires std::is_same_v<std::remove_const_t<T>, EmittedToken>
void fields(Io& io, T& v) {
  io(v.id, v.logprobs);
}
template <class Io, class T>
  requires std::is_same_v<std::remove_const_t<T>, GenerateEvent>
void fields(Io& io, T& v) {
  io(v.request, v.tokens, v.text, v.finish, v.stop_match, v.error, v.prompt_tokens, v.output_tokens);
}
template <class Io, class T>
  requires std::is_same_v<std::remove_const_t<T>, SamplingInput>
void fields(Io& io, T& v) {
  io(v.temperature, v.top_p, v.min_p, v.top_k, v.frequency_penalty, v.presence_penalty, v.repetition_penalty, v.seed,
     v.choice, v.position, v.logprobs, v.prompt, v.output, v.bias);
}
template <class Io, class T>
  requires std::is_same_v<std::remove_const_t<T>, PageTableInput>
void fields(Io& io, T& v) {
  io(v.stride, v.pages);
}
template <class Io, class T>
  requires std::is_same_v<std::remove_const_t<T>, StepInput>
void fields(Io& io, T& v) {
  io(v.token_ids, v.positions, v.sequence_begin, v.context_lengths, v.logit_row_tokens, v.page_tables, v.sampling);
}
template <class Io, class T>
  requires std::is_same_v<std::remove_const_t<T>, StepOutput>
void fields(Io& io, T& v) {
  io(v.ids, v.logprobs);
}

// The last enumerator of each enum that travels.
constexpr uint8_t last(FinishReason) { return static_cast<uint8_t>(FinishReason::error); }
constexpr uint8_t last(Code) { return static_cast<uint8_t>(Code::internal); }

struct Writer {
  std::string out;
  template <class... T>
  void operator()(const T&... values) {
    (put(values), ...);
  }
  void raw(const void* data, size_t bytes) { out.append(static_cast<const char*>(data), bytes); }
  template <Number T>
  void put(T value) {
    raw(&value, sizeof value);
  }
  void put(bool value) { put(static_cast<uint8_t>(value)); }
  template <class T>
    requires std::is_enum_v<T>
  void put(T value) {
    put(static_cast<uint8_t>(value));
  }
  void put(const std::string& value) {
    put(static_cast<uint64_t>(value.size()));
    raw(value.data(), value.size());
  }
  void put(const Status& value) { (*this)(value.code(), value.message()); }
  template <class T>
  void put(const std::optional<T>& value) {
    put(value.has_value());
    if (value) put(*value);
  }
  template <class A, class B>
  void put(const std::pair<A, B>& value) {
    (*this)(value.first, value.second);
  }
  template <class T>
  void put(const std::vector<T>& values) {
    put(static_cast<uint64_t>(values.size()));
    if constexpr (Number<T>) {
      raw(values.data(), values.size() * sizeof(T));
    } else {
      for (const T& value : values) put(value);
    }
  }
  template <class T>
    requires requires(Writer& w, const T& v) { fields(w, v); }
  void put(const T& value) {
    fields(*this, value);
  }
};

struct Reader {
  std::string_view in;
  Status status;
  template <class... T>
  void operator()(T&... values) {
    (get(values), ...);
  }
  bool take(void* to, uint64_t bytes) {
    if (!status.ok()) return false;
    if (bytes > in.size()) {
      status = invalid("message ends early: ", bytes, " more bytes expected, ", in.size(), " left");
      return false;
    }
    if (bytes != 0) std::memcpy(to, in.data(), bytes);
    in.remove_prefix(bytes);
    return true;
  }
  template <Number T>
  void get(T& value) {
    take(&value, sizeof value);
  }
  void get(bool& value) {
    uint8_t byte = 0;
    get(byte);
    if (status.ok() && byte > 1) status = invalid("message has ", int(byte), " where 0 or 1 was expected");
    value = byte == 1;
  }
  template <class T>
    requires std::is_enum_v<T>
  void get(T& value) {
    uint8_t byte = 0;
    get(byte);
    if (byte > last(value)) {
      if (status.ok()) status = invalid("message has ", int(byte), " where 0 to ", int(last(value)), " was expected");
      return;
    }
    value = static_cast<T>(byte);
  }
  // The count of a list whose elements take `element_bytes` or more.
  uint64_t count(uint64_t element_bytes) {
    uint64_t n = 0;
    get(n);
    if (status.ok() && n > in.size() / element_bytes)
      status = invalid("message names a list of ", n, " elements, but only ", in.size(), " bytes are left");
    return status.ok() ? n : 0;
  }
  void get(std::string& value) {
    value.resize(count(1));
    take(value.data(), value.size());
  }
  void get(Status& value) {
    Code code = Code::ok;
    std::string message;
    (*this)(code, message);
    value = Status(code, std::move(message));
  }
  template <class T>
  void get(std::optional<T>& value) {
    bool present = false;
    get(present);
    if (present) get(value.emplace());
  }
  template <class A, class B>
  void get(std::pair<A, B>& value) {
    (*this)(value.first, value.second);
  }
  template <class T>
  void get(std::vector<T>& values) {
    values.clear();
    if constexpr (Number<T>) {
      values.resize(count(sizeof(T)));
      take(values.data(), values.size() * sizeof(T));
    } else {
      // Elements are appended as they are read: a false count ends at the message's end, not in the allocator.
      for (uint64_t left = count(1); left != 0 && status.ok(); --left) get(values.emplace_back());
    }
  }
  template <class T>
    requires requires(Reader& r, T& v) { fields(r, v); }
  void get(T& value) {
    fields(*this, value);
  }
};

template <class T>
std::string to_bytes(Kind kind, const T& value) {
  Writer writer;
  writer.out = kMagic;
  writer(kWireVersion, static_cast<uint8_t>(kind), value);
  return std::move(writer.out);
}

template <class T>
Result<T> from_bytes(Kind kind, std::string_view bytes) {
  if (bytes.size() < kHeaderBytes || bytes.substr(0, kMagic.size()) != kMagic)
    return invalid("message does not begin with \"", kMagic, "\"");
  const auto version = static_cast<uint8_t>(bytes[kMagic.size()]),
             found = static_cast<uint8_t>(bytes[kMagic.size() + 1]);
  if (version != kWireVersion) return invalid("message has version ", int(version), ", expected ", int(kWireVersion));
  if (found != static_cast<uint8_t>(kind))
    return invalid("message is of kind ", int(found), ", expected ", int(kind), " (", name(kind), ")");
  Reader reader{.in = bytes.substr(kHeaderBytes), .status = {}};
  T value{};
  reader(value);
  TARE_RETURN_IF_ERROR(std::move(reader.status).in(name(kind)));
  if (!reader.in.empty()) return invalid(name(kind), ": ", reader.in.size(), " bytes follow the message's end");
  return value;
}

}  // namespace

std::string encode(const GenerateRequest& request) { return to_bytes(Kind::request, request); }
std::string encode(const GenerateEvent& event) { return to_bytes(Kind::event, event); }
std::string encode(const StepInput& step) { return to_bytes(Kind::step, step); }
std::string encode(const StepOutput& output) { return to_bytes(Kind::output, output); }
std::string encode_cancel(uint64_t request) { return to_bytes(Kind::cancel, request); }

Result<GenerateRequest> decode_request(std::string_view bytes) {
  return from_bytes<GenerateRequest>(Kind::request, bytes);
}
Result<GenerateEvent> decode_event(std::string_view bytes) { return from_bytes<GenerateEvent>(Kind::event, bytes); }
Result<StepInput> decode_step(std::string_view bytes) { return from_bytes<StepInput>(Kind::step, bytes); }
Result<StepOutput> decode_output(std::string_view bytes) { return from_bytes<StepOutput>(Kind::output, bytes); }
Result<uint64_t> decode_cancel(std::string_view bytes) { return from_bytes<uint64_t>(Kind::cancel, bytes); }

}  // namespace tare
