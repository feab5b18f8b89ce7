// mlx-rs seeds its random numbers from this Apple function, which Linux does not have.
#include <chrono>
#include <cstdint>

extern "C" std::uint64_t mach_approximate_time() {
  return static_cast<std::uint64_t>(std::chrono::steady_clock::now().time_since_epoch().count());
}
