#include "core/app/interrupt.hpp"

#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>

namespace tare {
namespace {

// A signal handler can reach nothing but statics: a flag, and where wait() is woken. The signal may be delivered to any
// thread, so the flag alone would not end a wait that has just begun.
volatile std::sig_atomic_t asked_flag = 0;
volatile std::sig_atomic_t wake_descriptor = -1;
void on_signal(int signal) {
  if (asked_flag != 0) {
    std::signal(signal, SIG_DFL);
    std::raise(signal);
  }
  asked_flag = 1;
  const int error = errno;
  const uint64_t one = 1;
  [[maybe_unused]] const auto written = ::write(wake_descriptor, &one, sizeof one);
  errno = error;
}

}  // namespace

Interrupt::Interrupt() {
  asked_flag = 0;
  wake_descriptor = ::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  struct sigaction action {};
  action.sa_handler = on_signal;
  sigemptyset(&action.sa_mask);
  sigaction(SIGINT, &action, &old_int_);
  sigaction(SIGTERM, &action, &old_term_);
}
Interrupt::~Interrupt() {
  sigaction(SIGINT, &old_int_, nullptr);
  sigaction(SIGTERM, &old_term_, nullptr);
  ::close(wake_descriptor);
  wake_descriptor = -1;
}
bool Interrupt::asked() const noexcept { return asked_flag != 0; }
void Interrupt::wait() const noexcept {
  pollfd wake{.fd = wake_descriptor, .events = POLLIN, .revents = 0};
  // Without a descriptor (none were left) the flag is looked at ten times a second.
  while (asked_flag == 0) ::poll(&wake, 1, wake.fd < 0 ? 100 : -1);
}

}  // namespace tare
