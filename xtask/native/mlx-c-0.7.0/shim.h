// Included in front of every mlx-c source on Linux.
#pragma once

#include <version>

#if defined(__cpp_lib_format)
#include <format>
#else
// The standard libraries of Debian 12 and Ubuntu 22.04 (GCC 12 and 11) have no <format>. mlx-c fills plain "{}"
// holes in a handful of error texts and uses nothing else of it.
#include <sstream>
#include <string>
#include <string_view>

namespace std {
template <class... Args>
string format(string_view text, const Args&... args) {
  ostringstream out;
  auto put = [&](const auto& value) {
    auto hole = text.find("{}");
    out << text.substr(0, hole) << value;
    text.remove_prefix(hole == text.npos ? text.size() : hole + 2);
  };
  (put(args), ...);
  out << text;
  return out.str();
}
} // namespace std
#endif

#if !defined(__aarch64__)
// mlx-rs links the half-precision functions, which mlx-c leaves out where the architecture has no such C type.
// Sixteen bits is what bindings.rs says they are.
#include <cstdint>

#define HAS_FLOAT16
#define HAS_BFLOAT16
typedef uint16_t float16_t;
typedef uint16_t bfloat16_t;
#endif
