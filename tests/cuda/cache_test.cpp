// The cubin cache: round trip, corruption, bounds, folders that cannot be written; and what is read from the
// assembler's report.
#include <doctest/doctest.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>
#include <fstream>
#include <thread>

#include "jit/cache/cubin_cache.hpp"
#include "jit/compile/compiler.hpp"
#include "jit/compile_only.hpp"
#include "jit/cuda_launch.hpp"
#include "jit/host.hpp"

using namespace tare::jit;
namespace fs = std::filesystem;

namespace {

struct Folder {
  fs::path path = fs::temp_directory_path() / ("tare_cache_test_" + std::to_string(::getpid()));
  Folder() { fs::remove_all(path); }
  ~Folder() { fs::remove_all(path); }
};

CompiledKernel kernel(size_t bytes, const std::string& symbol = "_Z5stripv") {
  CompiledKernel k;
  k.cubin.assign(bytes, 0x5a);
  k.symbol = symbol;
  k.resources = {168, 16, 8, 4, true};
  k.ptx_hash = std::string(32, 'f'), k.compiler = "13.0.88";
  return k;
}
const std::string kKey(32, 'a'), kOther(32, 'b');

}  // namespace

TEST_CASE("what is stored is found again, with everything") {
  const Folder folder;
  const CubinCache cache(folder.path.string(), 1 << 20);
  CHECK_FALSE(cache.find(kKey).has_value());
  REQUIRE(cache.store(kKey, kernel(1000)).ok());
  const auto found = cache.find(kKey);
  REQUIRE(found.has_value());
  CHECK(found->cubin == kernel(1000).cubin);
  CHECK(found->symbol == "_Z5stripv");
  CHECK(found->resources.registers == 168);
  CHECK(found->resources.spill_load_bytes == 4);
  CHECK(found->resources.serialized_wgmma);
  CHECK(found->ptx_hash == std::string(32, 'f'));
  CHECK(found->compiler == "13.0.88");
  CHECK(found->from_cache);
  CHECK_FALSE(cache.find(kOther).has_value());
}

TEST_CASE("a device that only compiles counts kernels and refuses what the real one would") {
  tare::DeviceInfo info;
  info.id = "cuda:0", info.kind = "cuda", info.units = 108;
  CHECK(make_compile_only_device(info).status().message() ==
        "cuda:0 has no architecture to compile for among its features, expected one such as sm_90a");
  info.features = {"sm_80"};
  const auto device = make_compile_only_device(info);
  REQUIRE(device.ok());
  auto* launcher = static_cast<CudaLaunch*>((*device)->query(CudaLaunch::kInterface));
  REQUIRE(launcher != nullptr);
  CHECK(launcher->architecture() == "sm_80");
  CompiledKernel one = kernel(1000), other = kernel(500, "_Z4widev");
  other.from_cache = true;
  for (const CompiledKernel* k : {&one, &other, &one}) CHECK(launcher->load(*k, 163 << 10).ok());
  CHECK_FALSE(launcher->load(one, (163 << 10) + 1).ok());
  const CompiledCount count = (*device)->compiled();
  CHECK(count.kernels == 2);
  CHECK(count.fresh == 1);
  CHECK(count.cubin_bytes == 1500);
  // Memory has addresses that do not meet; what is read from it is zero.
  const auto a = (*device)->allocate(5 << 20, tare::Purpose::weights, "a");
  const auto b = (*device)->allocate(1, tare::Purpose::weights, "b");
  REQUIRE((a.ok() && b.ok()));
  CHECK(static_cast<char*>((*b)->data()) >= static_cast<char*>((*a)->data()) + (5 << 20));
  auto stream = (*device)->create_stream();
  REQUIRE(stream.ok());
  int number = 7;
  CHECK((*device)->copy_out(**stream, &number, (*a)->data(), sizeof number).ok());
  CHECK(number == 0);
}

TEST_CASE("PTX says which compiler made it") {
  CHECK(
      compiler_of("//\n// Compiler Build ID: CL-1\n// Cuda compilation tools, release 13.0, V13.0.88\n// Based on\n") ==
      "13.0.88");
  CHECK(compiler_of("// Cuda compilation tools, release 13.2, V13.2.1") == "13.2.1");
  CHECK(compiler_of("// Cuda compilation tools, release 13.0\n, V1.2") == "");
  CHECK(compiler_of(".version 9.0\n.target sm_90a\n") == "");
}

TEST_CASE("a truncated or altered entry is removed and made again") {
  const Folder folder;
  const CubinCache cache(folder.path.string(), 1 << 20);
  for (const bool truncate : {true, false}) {
    REQUIRE(cache.store(kKey, kernel(1000)).ok());
    const fs::path file = folder.path / (kKey + ".kernel");
    if (truncate) {
      fs::resize_file(file, 500);
    } else {
      std::fstream(file, std::ios::in | std::ios::out | std::ios::binary).seekp(700).put('x');
    }
    CHECK_FALSE(cache.find(kKey).has_value());
    CHECK_FALSE(fs::exists(file));
    REQUIRE(cache.store(kKey, kernel(1000)).ok());
    CHECK(cache.find(kKey).has_value());
  }
}

TEST_CASE("the folder stays under its bound: the least recently used go first") {
  const Folder folder;
  const CubinCache cache(folder.path.string(), 25000);
  for (int i = 0; i < 5; ++i) {
    const std::string key(32, static_cast<char>('a' + i));
    REQUIRE(cache.store(key, kernel(8000)).ok());
    // entries are ordered by whole seconds of last use: set them apart
    const fs::path file = folder.path / (key + ".kernel");
    fs::last_write_time(file, fs::file_time_type::clock::now() - std::chrono::hours(10 - i));
  }
  const auto left = cache.list();
  CHECK(left.size() == 3);
  CHECK(left.back().key == std::string(32, 'e'));
  CHECK(left.back().symbol == "_Z5stripv");
  CHECK_FALSE(cache.find(std::string(32, 'a')).has_value());
  const auto removed = cache.clear();
  REQUIRE(removed.ok());
  CHECK(*removed == 3);
  CHECK(cache.list().empty());
}

TEST_CASE("a cache that cannot be written says so in one sentence") {
  const Folder folder;
  std::ofstream(folder.path) << "a file where the folder should be";
  const CubinCache cache(folder.path.string(), 1 << 20);
  const auto status = cache.store(kKey, kernel(10));
  CHECK_FALSE(status.ok());
  CHECK(status.message().find("cannot create the kernel cache " + folder.path.string()) == 0);
  CHECK(CubinCache("", 1 << 20).store(kKey, kernel(10)).ok());  // no cache at all is fine
}

TEST_CASE("writers that race all succeed, and the entry is whole") {
  const Folder folder;
  const CubinCache cache(folder.path.string(), 1 << 20);
  std::vector<std::thread> threads;
  for (int i = 0; i < 8; ++i) {
    threads.emplace_back([&] {
      for (int j = 0; j < 20; ++j) (void)cache.store(kKey, kernel(4000));
    });
  }
  for (auto& thread : threads) thread.join();
  REQUIRE(cache.find(kKey).has_value());
  CHECK(cache.list().size() == 1);
}

TEST_CASE("a full disk fails the store with its name, and leaves no half of an entry") {
  const Folder folder;
  const CubinCache cache(folder.path.string(), 1 << 20);
  REQUIRE(cache.store(kOther, kernel(100)).ok());
  const auto old_handler = std::signal(SIGXFSZ, SIG_IGN);
  rlimit old{};
  REQUIRE(::getrlimit(RLIMIT_FSIZE, &old) == 0);
  const rlimit little{2000, old.rlim_max};
  REQUIRE(::setrlimit(RLIMIT_FSIZE, &little) == 0);
  const tare::Status status = cache.store(kKey, kernel(10000));
  REQUIRE(::setrlimit(RLIMIT_FSIZE, &old) == 0);
  std::signal(SIGXFSZ, old_handler);
  CHECK(status.code() == tare::Code::unavailable);
  CHECK(status.message().find("cannot write " + folder.path.string()) == 0);
  CHECK(cache.list().size() == 1);
  size_t files = 0;
  for ([[maybe_unused]] const auto& file : fs::directory_iterator(folder.path)) ++files;
  CHECK(files == 1);
}

TEST_CASE("the assembler's report is understood") {
  const auto r = parse_resources(
      "ptxas info    : Compiling entry function '_Z1kv' for 'sm_90a'\n"
      "ptxas         .     24 bytes stack frame, 44 bytes spill stores, 40 bytes spill loads\n"
      "ptxas info    : Used 168 registers, used 3 barriers\n");
  CHECK(r.registers == 168);
  CHECK(r.stack_bytes == 24);
  CHECK(r.spill_store_bytes == 44);
  CHECK(r.spill_load_bytes == 40);
  CHECK_FALSE(r.serialized_wgmma);
  CHECK(
      parse_resources("ptxas warning : (C7515) Potential Performance Loss: wgmma.mma_async instructions are serialized")
          .serialized_wgmma);
}

TEST_CASE("a machine without NVRTC gets a sentence that says what to do and where was looked") {
  JitOptions options;
  options.nvrtc_folders = {"/nowhere/lib"};
  const auto kernel_or = make_jit(std::move(options))->compile({"a.cuh", "k", "sm_90a"});
  if (kernel_or.ok() || kernel_or.status().code() != tare::Code::not_found) return;  // the loader knows one after all
  const std::string message = kernel_or.status().message();
  const bool about_source = message.find("kernel source") != std::string::npos;
  const bool about_nvrtc =
      message.find(
          "NVRTC, the CUDA run-time compiler, was not found (install a CUDA 13 toolkit or run jit/fetch_nvrtc.sh)") ==
          0 &&
      message.find("not in /nowhere/lib") != std::string::npos;
  CHECK((about_source || about_nvrtc));
}
