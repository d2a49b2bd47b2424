#pragma once
// What a node offers by name to others: functions that can be called and processes that can be spawned. C++ cannot ship
// code, so names travel and both sides must have them. Filled by the program, explicitly, before the node starts.
//     troupe::catalogue offers;
//     offers.function("image.resize", resize, "resize(image, width) -> image");
//     offers.process("image.worker", image_worker);
// A function may be plain (`R f(Args…)`), take the process that runs it first (`R f(process&, Args…)`), be a coroutine
// (`task<R> f(process&, Args…)`), and return R, result<R> or nothing. Its *module* is what stands before the last dot.
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <tuple>
#include <vector>

#include <troupe/process.hpp>

namespace troupe {

template <class F>
class function;

struct catalogue_entry {
  enum class kind : std::uint8_t { function, process };
  std::string name;
  kind what = kind::function;
  std::string doc;                     // one line, shown by `troupe functions`
  std::vector<std::string> arguments;  // type names, for the same
  std::string returns;
  // Runs in `self` with a list of arguments. A wrong number or type is errc::bad_argument naming the argument.
  std::function<task<result<value>>(process& self, value arguments)> run;
  // Of a process: looks at the arguments before it is started, and its error is the answer to the spawn. Must not wait.
  std::function<result<void>(const value& arguments)> accepts{};
};

[[nodiscard]] std::string_view module_of(std::string_view function) noexcept;  // "a.b.c" -> "a.b"; "" without a dot

// Filled on one thread, then given to a node, which shares it read-only. errors of filling are programming errors and
// throw std::invalid_argument: a name twice, a bad name (letters, digits, '_', '.', no empty part).
class catalogue {
 public:
  template <class F>
  void function(std::string name, F callable, std::string doc = {});
  template <class F>
  void function(const troupe::function<F>& wrapped, std::string doc = {});  // calls from afar are traced as well
  template <class F>
  void process(std::string name, F body, std::string doc = {});
  void add(catalogue_entry entry);
  void merge(const catalogue& other);

  [[nodiscard]] const catalogue_entry* find(std::string_view name) const noexcept;
  [[nodiscard]] std::vector<const catalogue_entry*> entries(std::string_view prefix = {}) const;  // sorted by name

 private:
  std::map<std::string, std::shared_ptr<const catalogue_entry>, std::less<>> entries_;
};

namespace detail {

template <class T>
constexpr std::string_view type_name() {
  using type = std::remove_cvref_t<T>;
  if constexpr (std::is_void_v<type> || std::same_as<type, std::monostate>) return "nil";
  else if constexpr (std::same_as<type, bool>) return "boolean";
  else if constexpr (std::is_integral_v<type> || std::is_enum_v<type>) return "integer";
  else if constexpr (std::is_floating_point_v<type>) return "number";
  else if constexpr (std::same_as<type, std::string>) return "text";
  else if constexpr (std::same_as<type, bytes>) return "bytes";
  else if constexpr (std::same_as<type, pid>) return "pid";
  else if constexpr (std::same_as<type, ref>) return "ref";
  else if constexpr (std::same_as<type, value>) return "any";
  else if constexpr (tagged<type>) return type::troupe_tag();
  else if constexpr (has_fields<type>) return "map";
  else if constexpr (requires { typename type::mapped_type; }) return "map";
  else return "list";
}

template <class R>
struct unwrap {
  using type = R;
};
template <class R>
struct unwrap<task<R>> : unwrap<R> {};
template <class R>
struct unwrap<result<R>> : unwrap<R> {};

template <class F>
struct signature;
template <class R, class... A>
struct signature<R (*)(A...)> {
  using returns = R;
  static constexpr bool wants_process = false;
  using arguments = std::tuple<std::remove_cvref_t<A>...>;
};
template <class R, class... A>
struct signature<R (*)(troupe::process&, A...)> {
  using returns = R;
  static constexpr bool wants_process = true;
  using arguments = std::tuple<std::remove_cvref_t<A>...>;
};
template <class R, class C, class... A>
struct signature<R (C::*)(A...) const> : signature<R (*)(A...)> {};
template <class R, class C, class... A>
struct signature<R (C::*)(A...)> : signature<R (*)(A...)> {};
template <class F>
  requires requires { &F::operator(); }
struct signature<F> : signature<decltype(&F::operator())> {};

template <class F>
struct signature<troupe::function<F>> : signature<F> {};

template <class Tuple>
std::vector<std::string> type_names() {
  return []<std::size_t... I>(std::index_sequence<I...>) {
    return std::vector<std::string>{std::string(type_name<std::tuple_element_t<I, Tuple>>())...};
  }(std::make_index_sequence<std::tuple_size_v<Tuple>>{});
}

// {} or the error that names the argument: "argument 2 (integer): text found".
template <class Tuple, std::size_t... I>
result<Tuple> take_arguments(const value& given, std::index_sequence<I...>) {
  const list* items = given.items();
  if (!items || items->size() != sizeof...(I)) {
    return error(errc::bad_argument, std::to_string(sizeof...(I)) + " argument(s) expected, " +
                                         std::to_string(items ? items->size() : 1) + " given");
  }
  Tuple out;
  error why;
  [[maybe_unused]] auto take = [&]<std::size_t N>(std::integral_constant<std::size_t, N>) {
    auto one = from_value<std::tuple_element_t<N, Tuple>>((*items)[N]);
    if (!one) {
      why = error(errc::bad_argument, "argument " + std::to_string(N + 1) + ": " + one.error().text());
      return false;
    }
    std::get<N>(out) = std::move(*one);
    return true;
  };
  if (!(take(std::integral_constant<std::size_t, I>{}) && ...)) return why;
  return result<Tuple>(std::move(out));
}

template <class R>
result<value> as_result(R&& given) {
  using type = std::remove_cvref_t<R>;
  if constexpr (requires {
                  typename type::base;
                  given.has_value();
                  given.error();
                }) {
    if (!given) return given.error();
    if constexpr (std::is_void_v<typename type::value_type>) return value();
    else return as_result(std::move(*given));
  } else if constexpr (tagged<type>) {
    value out;
    auto w = value_writer(out);
    whole<type>::put(*w, given);
    return result<value>(std::move(out));
  } else {
    return result<value>(to_value(given));
  }
}

template <class F>
task<result<value>> run_function(std::shared_ptr<F> callable, troupe::process& self, value given) {
  using shape = signature<F>;
  using arguments = typename shape::arguments;
  auto taken = take_arguments<arguments>(given, std::make_index_sequence<std::tuple_size_v<arguments>>{});
  if (!taken) co_return taken.error();
  auto invoke = [&](auto&... args) {
    if constexpr (shape::wants_process) return (*callable)(self, std::move(args)...);
    else return (*callable)(std::move(args)...);
  };
  if constexpr (is_task<typename shape::returns>) {
    auto running = std::apply(invoke, *taken);
    if constexpr (std::same_as<typename shape::returns, task<>>) {
      co_await std::move(running);
      co_return value();
    } else {
      auto got = co_await std::move(running);
      co_return as_result(std::move(got));
    }
  } else if constexpr (std::is_void_v<typename shape::returns>) {
    std::apply(invoke, *taken);
    co_return value();
  } else {
    co_return as_result(std::apply(invoke, *taken));
  }
}

}  // namespace detail

template <class F>
void catalogue::function(std::string name, F callable, std::string doc) {
  using shape = detail::signature<F>;
  auto kept = std::make_shared<F>(std::move(callable));
  add({std::move(name), catalogue_entry::kind::function, std::move(doc),
       detail::type_names<typename shape::arguments>(),
       std::string(detail::type_name<typename detail::unwrap<typename shape::returns>::type>()),
       [kept](troupe::process& self, value arguments) {
         return detail::run_function(kept, self, std::move(arguments));
       }});
}

template <class F>
void catalogue::function(const troupe::function<F>& wrapped, std::string doc) {
  function(wrapped.name(), wrapped, std::move(doc));
}

template <class F>
void catalogue::process(std::string name, F body, std::string doc) {
  using shape = detail::signature<F>;
  static_assert(shape::wants_process, "a process of the catalogue is a coroutine task<>(process&, Args...)");
  auto kept = std::make_shared<F>(std::move(body));
  add({std::move(name), catalogue_entry::kind::process, std::move(doc), detail::type_names<typename shape::arguments>(),
       "nil", [kept](troupe::process& self, value arguments) {
         return detail::run_function(kept, self, std::move(arguments));
       }});
}

// A function that its author wrapped once so that calls of it inside the program can be traced live, with arguments and
// result; it is offered under the same name.
//     inline const troupe::function push{"exercise.calculator.push", push_number};
//     auto size = co_await push(self, 5.0);        // result of push_number
//     offers.function(push);
namespace detail {
[[nodiscard]] bool calls_traced(process& self) noexcept;
void trace_call(process& self, std::string_view function, list arguments);
void trace_return(process& self, std::string_view function, const value& returned);
}  // namespace detail

template <class F>
class function {
 public:
  using shape = detail::signature<F>;
  static_assert(detail::is_task<typename shape::returns> && shape::wants_process,
                "a wrapped function is a coroutine task<R>(process&, Args...)");
  function(std::string_view name, F callable) : name_(name), callable_(std::move(callable)) {}

  template <class... Args>
  typename shape::returns operator()(process& self, Args... args) const {
    if (!detail::calls_traced(self)) return callable_(self, std::move(args)...);
    return traced(*this, self, std::move(args)...);
  }
  [[nodiscard]] const std::string& name() const noexcept { return name_; }
  [[nodiscard]] const F& callable() const noexcept { return callable_; }

 private:
  template <class... Args>
  static typename shape::returns traced(const function& me, process& self, Args... args) {
    detail::trace_call(self, me.name_, list{to_value(args)...});
    auto running = me.callable_(self, std::move(args)...);
    if constexpr (std::same_as<typename shape::returns, task<>>) {
      co_await std::move(running);
      detail::trace_return(self, me.name_, value());
    } else {
      auto got = co_await std::move(running);
      detail::trace_return(self, me.name_, returned_value(got));
      co_return got;
    }
  }
  template <class R>
  static value returned_value(const R& got) {
    auto shown = detail::as_result(R(got));
    return shown ? std::move(*shown) : map_of({{"error", to_value(shown.error())}});
  }
  std::string name_;
  F callable_;
};
template <class F>
function(std::string_view, F) -> function<F>;

}  // namespace troupe
