#include "jit/host.hpp"

#include <atomic>
#include <condition_variable>
#include <map>
#include <mutex>
#include <set>
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
    const std::string name = request.source + '\n' + request.expression + '\n' + request.architecture;
    {
      std::unique_lock lock(mutex_);
      // Another thread may be at it: wait for what it gets.
      done_.wait(lock, [&] { return !busy_.contains(name); });
      if (const auto at = kernels_.find(name); at != kernels_.end()) return at->second;
      busy_.insert(name);
    }
    auto made = make(name, request);
    {
      const std::lock_guard lock(mutex_);
      busy_.erase(name);
      if (made.ok()) kernels_.emplace(name, *made);
    }
    done_.notify_all();
    return made;
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

  Status ready() override {
    const auto nvrtc = compiler();
    return nvrtc.ok() ? Status() : nvrtc.status();
  }

  std::vector<std::string> found() override {
    std::vector<std::string> out;
    const auto nvrtc = compiler();
    out.push_back(nvrtc.ok() ? "NVRTC " + (*nvrtc)->version() + " in " + (*nvrtc)->path() : nvrtc.status().message());
    if (options_.cache_folder.empty()) {
      out.emplace_back("compiled kernels are not kept on disk");
      return out;
    }
    int64_t bytes = 0;
    const auto kept = cache_.list();
    for (const auto& entry : kept) bytes += entry.bytes;
    out.push_back("kernel cache " + options_.cache_folder + ": " + std::to_string(kept.size()) + " kernels, " +
                  std::to_string(bytes / 1024) + " KiB of at most " + std::to_string(options_.cache_bytes >> 20) +
                  " MiB");
    return out;
  }

 private:
  Result<std::shared_ptr<const CompiledKernel>> make(const std::string& name, const KernelRequest& request) {
    TARE_ASSIGN_OR_RETURN(const auto nvrtc, compiler());
    std::vector<SourceBundle> bundles;
    {
      const std::lock_guard lock(mutex_);
      bundles = bundles_;
    }
    TARE_ASSIGN_OR_RETURN(const auto closure,
                          SourceSet(std::move(bundles), options_.source_tree).closure(request.source));
    std::string key = closure.hash + '\n' + name + '\n' + nvrtc->version();
    for (const std::string& option : compile_options(request.architecture)) key += '\n' + option;
    key = hash_text(key);
    auto kept = cache_.find(key);
    if (!kept) {
      TARE_ASSIGN_OR_RETURN(kept, compile_kernel(*nvrtc, closure, request));
      // A cache that cannot be written costs the next start some seconds, never this one its kernel.
      if (const Status stored = cache_.store(key, *kept); !stored.ok() && options_.warn && !warned_.exchange(true))
        options_.warn(stored.message() + "; kernels will be compiled again at the next start");
    }
    return std::make_shared<const CompiledKernel>(std::move(*kept));
  }
  Result<std::shared_ptr<const Nvrtc>> compiler() {
    const std::lock_guard lock(mutex_);
    if (!nvrtc_) {
      TARE_ASSIGN_OR_RETURN(nvrtc_, Nvrtc::open(options_.nvrtc_folders));
    }
    return nvrtc_;
  }

  const JitOptions options_;
  const CubinCache cache_;
  std::atomic<bool> warned_{false};
  std::mutex mutex_;  // guards what follows
  std::condition_variable done_;
  std::set<std::string> busy_;  // being compiled, by name
  std::vector<SourceBundle> bundles_;
  std::shared_ptr<const Nvrtc> nvrtc_;
  std::map<std::string, std::shared_ptr<const CompiledKernel>> kernels_;
};

}  // namespace

std::unique_ptr<Jit> make_jit(JitOptions options) { return std::make_unique<HostJit>(std::move(options)); }

std::vector<std::string> nvrtc_folders(const std::vector<std::string>& fetched) {
  std::vector<std::string> out;
  for (const std::string& folder : fetched)
    for (const std::string& place : nvrtc_folders(folder))
      if (!place.starts_with("/usr/local/cuda")) out.push_back(place);
  for (std::string& place : nvrtc_folders(std::string())) out.push_back(std::move(place));
  return out;
}

std::vector<CachedKernel> cached_kernels(const std::string& folder) {
  std::vector<CachedKernel> out;
  for (auto& e : CubinCache(folder, 0).list())
    out.push_back({std::move(e.key), std::move(e.symbol), e.bytes, e.last_used});
  return out;
}
Result<int64_t> clear_cached_kernels(const std::string& folder) { return CubinCache(folder, 0).clear(); }

}  // namespace tare::jit
