#include "jit/host.hpp"

#include <atomic>
#include <map>
#include <mutex>
#include <thread>

#include "jit/cache/cubin_cache.hpp"
#include "jit/compile/compiler.hpp"
#include "jit/source/hash.hpp"

namespace tare::jit {
namespace {

class HostJit final : public Jit {
 public:
  explicit HostJit(JitOptions options)
      : options_(std::move(options)), cache_(options_.cache_folder, options_.cache_bytes) {}

  Status add_bundle(const SourceBundle& bundle) override {
    const std::lock_guard lock(mutex_);
    for (const SourceBundle& known : bundles_) {
      if (known.name == bundle.name) return invalid("two kernel source bundles are called \"", bundle.name, "\"");
    }
    bundles_.push_back(bundle);
    return {};
  }

  Result<std::shared_ptr<const CompiledKernel>> compile(const KernelRequest& request) override {
    TARE_ASSIGN_OR_RETURN(const auto nvrtc, compiler());
    const std::string name = request.source + '\n' + request.expression + '\n' + request.architecture;
    std::vector<SourceBundle> bundles;
    {
      const std::lock_guard lock(mutex_);
      if (const auto at = kernels_.find(name); at != kernels_.end()) return at->second;
      bundles = bundles_;
    }
    TARE_ASSIGN_OR_RETURN(const auto closure,
                          SourceSet(std::move(bundles), options_.source_tree).closure(request.source));
    std::string key = closure.hash + '\n' + name + '\n' + nvrtc->version();
    for (const std::string& option : compile_options(request.architecture)) key += '\n' + option;
    key = hash_text(key);
    auto found = cache_.find(key);
    if (!found) {
      TARE_ASSIGN_OR_RETURN(found, compile_kernel(*nvrtc, closure, request));
      // A cache that cannot be written costs the next start some seconds, never this one its kernel.
      (void)cache_.store(key, *found);
    }
    auto kernel = std::make_shared<const CompiledKernel>(std::move(*found));
    const std::lock_guard lock(mutex_);
    return kernels_.emplace(name, std::move(kernel)).first->second;
  }

  std::vector<Result<std::shared_ptr<const CompiledKernel>>> compile_all(
      std::span<const KernelRequest> requests) override {
    std::vector<Result<std::shared_ptr<const CompiledKernel>>> out(
        requests.size(), Result<std::shared_ptr<const CompiledKernel>>(failure(tare::Code::internal, "not compiled")));
    std::atomic<size_t> next{0};
    auto work = [&] {
      for (size_t i; (i = next.fetch_add(1)) < requests.size();) out[i] = compile(requests[i]);
    };
    const size_t cores =
        options_.threads > 0 ? static_cast<size_t>(options_.threads) : std::thread::hardware_concurrency();
    std::vector<std::thread> threads;
    for (size_t i = 1; i < std::min(std::max<size_t>(cores, 1), requests.size()); ++i) threads.emplace_back(work);
    work();
    for (std::thread& thread : threads) thread.join();
    return out;
  }

 private:
  Result<std::shared_ptr<const Nvrtc>> compiler() {
    const std::lock_guard lock(mutex_);
    if (!nvrtc_) {
      TARE_ASSIGN_OR_RETURN(nvrtc_, Nvrtc::open(options_.nvrtc_folders));
    }
    return nvrtc_;
  }

  const JitOptions options_;
  const CubinCache cache_;
  std::mutex mutex_;  // guards what follows
  std::vector<SourceBundle> bundles_;
  std::shared_ptr<const Nvrtc> nvrtc_;
  std::map<std::string, std::shared_ptr<const CompiledKernel>> kernels_;
};

}  // namespace

std::unique_ptr<Jit> make_jit(JitOptions options) { return std::make_unique<HostJit>(std::move(options)); }

}  // namespace tare::jit
