// Work on a picture's stripes by several threads; its result does not depend on how many.
#pragma once

#include <atomic>
#include <cstdint>
#include <exception>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

namespace isp_meta::payload {

// Calls work(0), ... work(count - 1), and throws what the first of them to fail threw.
inline void for_each_stripe(std::int64_t count, int threads,
                            const std::function<void(std::int64_t)>& work) {
  std::atomic<std::int64_t> next{0};
  std::exception_ptr failure;
  std::mutex guard;
  const auto run = [&] {
    for (std::int64_t i = next++; i < count; i = next++) {
      try {
        work(i);
      } catch (...) {
        const std::lock_guard lock(guard);
        if (!failure) failure = std::current_exception();
        next = count;
      }
    }
  };
  std::vector<std::jthread> helpers;
  for (std::int64_t i = 1; i < std::min<std::int64_t>(threads, count); ++i) {
    helpers.emplace_back(run);
  }
  run();
  helpers.clear();
  if (failure) std::rethrow_exception(failure);
}

}  // namespace isp_meta::payload
