#pragma once
// The modes of the terminal, which go back to what they were however this program ends or is stopped: libedit reads
// keys one by one without echo, and a shell that is ended by a signal would leave the next program with that.

namespace troupe::tool {

// Owner: the shell in front of a terminal; one in a program. Signals: SIGTSTP and SIGQUIT act as they would, with the
// terminal given back before; after SIGCONT the keys are ours again. Whoever ends the program calls give_back().
class terminal_guard {
 public:
  terminal_guard();
  ~terminal_guard();
  terminal_guard(const terminal_guard&) = delete;
  terminal_guard& operator=(const terminal_guard&) = delete;

  [[nodiscard]] int fd() const noexcept;  // readable after SIGCONT, when the line must be drawn anew
  void resumed() noexcept;                // takes that

  // Around every change of the modes by the editor. Thread: the editor's.
  class change {
   public:
    explicit change(bool takes_keys) noexcept;
    ~change();
    // After it. False: a signal has given the terminal back meanwhile, so that it must be taken once more.
    [[nodiscard]] bool done() noexcept;
    change(const change&) = delete;
    change& operator=(const change&) = delete;

   private:
    bool takes_keys_;
    unsigned began_;
  };

  // From any thread, before _exit: nobody takes the terminal after that. Without a guard nothing happens.
  static void give_back() noexcept;
};

}  // namespace troupe::tool
