#include "jit/compile/compiler.hpp"

#include <charconv>
#include <cstring>
#include <sstream>

#include "jit/source/hash.hpp"

namespace tare::jit {
namespace {

// Destroys the program whatever happens.
class Program {
 public:
  Program(const Nvrtc& nvrtc) : nvrtc_(nvrtc) {}
  Program(const Program&) = delete;
  ~Program() {
    if (program != nullptr) nvrtc_.symbols().nvrtcDestroyProgram(&program);
  }
  NvrtcProgram program = nullptr;

 private:
  const Nvrtc& nvrtc_;
};

std::string log_of(const Nvrtc& nvrtc, NvrtcProgram program) {
  size_t bytes = 0;
  if (nvrtc.symbols().nvrtcGetProgramLogSize(program, &bytes) != 0 || bytes <= 1) return {};
  std::string log(bytes, '\0');
  nvrtc.symbols().nvrtcGetProgramLog(program, log.data());
  log.resize(std::strlen(log.c_str()));
  return log;
}

// The lines that say what is wrong and where; a template's instantiation trail is kept, the assembler's statistics are
// not.
std::string errors_of(const std::string& log) {
  std::istringstream lines(log);
  std::string out;
  int kept = 0;
  for (std::string line; std::getline(lines, line) && kept < 40;) {
    if (line.find("ptxas info") != std::string::npos || line.find_first_not_of(" \t") == std::string::npos) continue;
    out += "\n  " + line;
    ++kept;
  }
  return out;
}

int32_t number_before(std::string_view text, std::string_view what) {
  const size_t at = text.find(what);
  if (at == std::string_view::npos) return 0;
  size_t begin = at;
  while (begin > 0 && text[begin - 1] >= '0' && text[begin - 1] <= '9') --begin;
  int32_t value = 0;
  std::from_chars(text.data() + begin, text.data() + at, value);
  return value;
}

struct Compiled {
  std::string symbol, log;
  std::string cubin, ptx;
};

Result<Compiled> run(const Nvrtc& nvrtc, const SourceSet::Closure& closure, const KernelRequest& request) {
  const NvrtcSymbols& s = nvrtc.symbols();
  std::vector<const char*> texts, names;
  for (size_t i = 0; i < closure.paths.size(); ++i) {
    texts.push_back(closure.texts[i].c_str());
    names.push_back(closure.paths[i].c_str());
  }
  const std::string entry = "#include \"" + request.source + "\"\n";
  Program program(nvrtc);
  auto failed = [&](const char* call, NvrtcResult r) {
    return failure(tare::Code::internal, call, " failed for ", request.expression, ": ", s.nvrtcGetErrorString(r));
  };
  if (const auto r = s.nvrtcCreateProgram(&program.program, entry.c_str(), "kernel.cu", static_cast<int>(texts.size()),
                                          texts.data(), names.data());
      r != 0) {
    return failed("nvrtcCreateProgram", r);
  }
  if (const auto r = s.nvrtcAddNameExpression(program.program, request.expression.c_str()); r != 0) {
    return failed("nvrtcAddNameExpression", r);
  }
  const std::vector<std::string> options = compile_options(request.architecture);
  std::vector<const char*> raw;
  for (const std::string& option : options) raw.push_back(option.c_str());
  const NvrtcResult compiled = s.nvrtcCompileProgram(program.program, static_cast<int>(raw.size()), raw.data());
  Compiled out;
  out.log = log_of(nvrtc, program.program);
  constexpr NvrtcResult kInvalidOption = 5;  // the architecture is the one option that is not ours
  if (compiled == kInvalidOption) {
    return failure(tare::Code::unsupported, "NVRTC ", nvrtc.version(), " does not compile for ", request.architecture,
                   ": a GPU that is newer than it needs a newer CUDA run-time compiler");
  }
  if (compiled != 0) {
    return failure(tare::Code::invalid, request.source, " does not compile for ", request.architecture, " as ",
                   request.expression, " (", s.nvrtcGetErrorString(compiled), "):", errors_of(out.log));
  }
  const char* symbol = nullptr;
  if (const auto r = s.nvrtcGetLoweredName(program.program, request.expression.c_str(), &symbol); r != 0) {
    return failed("nvrtcGetLoweredName", r);
  }
  out.symbol = symbol;
  const auto take = [&](auto size, auto get, const char* call, std::string& into) -> Status {
    size_t bytes = 0;
    if (const auto r = size(program.program, &bytes); r != 0) return failed(call, r);
    into.resize(bytes);
    if (const auto r = get(program.program, into.data()); r != 0) return failed(call, r);
    return {};
  };
  TARE_RETURN_IF_ERROR(take(s.nvrtcGetCUBINSize, s.nvrtcGetCUBIN, "nvrtcGetCUBIN", out.cubin));
  TARE_RETURN_IF_ERROR(take(s.nvrtcGetPTXSize, s.nvrtcGetPTX, "nvrtcGetPTX", out.ptx));
  return out;
}

}  // namespace

std::vector<std::string> compile_options(const std::string& architecture) {
  return {"--gpu-architecture=" + architecture, "--std=c++20", "--device-as-default-execution-space",
          "--ptxas-options=--verbose",          "--fmad=true", "--restrict"};
}

std::string compiler_of(std::string_view ptx) {
  constexpr std::string_view kBefore = "Cuda compilation tools, release ";
  const size_t line = ptx.substr(0, 1024).find(kBefore);
  if (line == std::string_view::npos) return {};
  const std::string_view rest = ptx.substr(line, ptx.find('\n', line) - line);
  const size_t at = rest.find(", V");
  if (at == std::string_view::npos) return {};
  const std::string_view version = rest.substr(at + 3);
  return std::string(version.substr(0, version.find_first_not_of("0123456789.")));
}

KernelResources parse_resources(std::string_view log) {
  KernelResources out;
  out.stack_bytes = number_before(log, " bytes stack frame");
  out.spill_store_bytes = number_before(log, " bytes spill stores");
  out.spill_load_bytes = number_before(log, " bytes spill loads");
  out.registers = number_before(log, " registers");
  out.serialized_wgmma = log.find("C7510") != std::string_view::npos || log.find("C7514") != std::string_view::npos ||
                         log.find("C7515") != std::string_view::npos || log.find("C7519") != std::string_view::npos ||
                         log.find("wgmma.mma_async instructions are serialized") != std::string_view::npos;
  return out;
}

Result<CompiledKernel> compile_kernel(const Nvrtc& nvrtc, const SourceSet::Closure& closure,
                                      const KernelRequest& request) {
  TARE_ASSIGN_OR_RETURN(Compiled compiled, run(nvrtc, closure, request));
  CompiledKernel out;
  out.cubin.assign(compiled.cubin.begin(), compiled.cubin.end());
  out.symbol = std::move(compiled.symbol);
  out.resources = parse_resources(compiled.log);
  out.ptx_hash = hash_text(compiled.ptx), out.compiler = compiler_of(compiled.ptx);
  return out;
}

}  // namespace tare::jit
