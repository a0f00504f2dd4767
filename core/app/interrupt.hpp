// Ctrl-C and SIGTERM as a question: while an Interrupt lives, the first signal only sets a flag, a second one ends the
// process as usual. One at a time, in main's thread.
#pragma once
#include <csignal>

namespace tare {

class Interrupt {
 public:
  Interrupt();
  ~Interrupt();
  Interrupt(const Interrupt&) = delete;
  Interrupt& operator=(const Interrupt&) = delete;
  bool asked() const noexcept;
  // Blocks until a signal comes.
  void wait() const noexcept;

 private:
  struct sigaction old_int_ {
  }, old_term_{};
};

}  // namespace tare
