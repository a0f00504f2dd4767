// TuningDatabase: one user's measured choices in SQLite (WAL: any number of readers beside one writer; what was saved
// survives a kill at any moment). Next to the entries it keeps every candidate that was tried, so that a search goes on
// where it stopped, and for every problem the order of sums that was chosen once. Thread rule: one thread at a time;
// any number of processes.
#pragma once
#include <memory>
#include <optional>
#include <span>
#include <string>

#include "autotune/store/entry.hpp"

namespace tare {

// One candidate that was measured or refused for a key.
struct TriedCandidate {
  TuningKey key;
  std::string kernel, config, hash;
  double us = 0, spread = 0;
  std::string refused;  // why it is out: "other bits than ..."; empty: measured
  std::string date;
  bool operator==(const TriedCandidate&) const = default;
};

class TuningDatabase {
 public:
  struct Opened;
  // Makes the file and its folder when they are missing. A file that is no database, or a damaged one, is kept aside
  // as PATH.corrupt-N and a new one is made: `note` says so. One that cannot be written is opened for reading.
  static Result<Opened> open(const std::string& path);
  // For reading alone; a file that is missing is no failure: null. Costs well under a millisecond.
  static Result<std::unique_ptr<TuningDatabase>> open_to_read(const std::string& path);
  ~TuningDatabase();
  TuningDatabase(const TuningDatabase&) = delete;
  TuningDatabase& operator=(const TuningDatabase&) = delete;

  const std::string& path() const noexcept;
  bool writable() const noexcept;
  // All entries, or one SKU's; sorted by key.
  Result<std::vector<TuningEntry>> entries(const std::string& sku = "") const;
  Result<std::optional<TuningEntry>> entry(const TuningKey& key) const;
  // Each is one transaction: all or nothing, durable when it returns.
  Status put(std::span<const TuningEntry> entries);
  Status erase(std::span<const TuningKey> keys);
  Status put(const TriedCandidate& tried);
  Result<std::vector<TriedCandidate>> tried(const TuningKey& key) const;

  // The order of sums of a problem on a SKU: the first one kept stays; what is kept after the call is the result.
  Result<std::string> keep_numerics(const std::string& sku, const std::string& problem, const std::string& numerics);
  Result<std::string> numerics(const std::string& sku, const std::string& problem) const;  // empty: none yet
  Result<std::vector<KeptNumerics>> kept_numerics() const;                                 // of all SKUs, sorted
  Status renumber(const std::string& sku);  // forgets them: outputs may change

 private:
  struct State;
  explicit TuningDatabase(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};
struct TuningDatabase::Opened {
  std::unique_ptr<TuningDatabase> database;
  std::string note;  // empty: nothing unusual
};

// Held while a device is tuned: a second tuner would disturb the first one's figures. Released by the destructor and
// by the end of the process, however it ends.
class TuningLock {
 public:
  // Refused when another process tunes this SKU with this database: says which process.
  static Result<std::unique_ptr<TuningLock>> take(const std::string& database_path, const std::string& sku);
  ~TuningLock();
  TuningLock(const TuningLock&) = delete;
  TuningLock& operator=(const TuningLock&) = delete;

 private:
  explicit TuningLock(int descriptor) : descriptor_(descriptor) {}
  int descriptor_;
};

}  // namespace tare
