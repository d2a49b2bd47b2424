#pragma once
// What a node knows about itself: the one probe of its machine. Writes crash reports and feeds the traces.
#include <chrono>

#include "observe/trace_engine.hpp"
#include "runtime/core.hpp"

namespace troupe::internal {

// Owner: the core, as a service. Attach it before the first process starts. Thread-safe.
class observer final : public detail::service, public detail::probe {
 public:
  explicit observer(detail::core& home);
  ~observer() override;

  [[nodiscard]] trace_engine& tracing() noexcept { return tracing_; }
  [[nodiscard]] time_point started() const noexcept { return started_; }
  [[nodiscard]] std::uint64_t crash_reports() const noexcept { return crash_reports_.load(std::memory_order_relaxed); }

  void received(process& self, const detail::envelope& e) override { tracing_.received(self, e); }
  void sent(process& self, const address& to, const detail::envelope& e) override { tracing_.sent(self, to, e); }
  void called(process& self, std::string_view function, list arguments) override {
    tracing_.called(self, function, std::move(arguments));
  }
  void returned(process& self, std::string_view function, const value& result) override {
    tracing_.returned(self, function, result);
  }
  void spawned(process& child, pid parent) override { tracing_.spawned(child, parent); }
  void named(process& self, std::string_view name, bool registered) override { tracing_.named(self, name, registered); }
  void exited(process& self, const exit_reason& reason) override;

 private:
  void report_crash(process& self, const exit_reason& reason);

  detail::core& home_;
  trace_engine tracing_;
  const time_point started_;
  std::atomic<std::uint64_t> crash_reports_{0};
};

// Attaches one to `home` and makes it the core's probe.
observer& attach_observer(detail::core& home);

}  // namespace troupe::internal
