// What the fuzzers of the coder share: chance, damage, and rounds until time is up.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <random>

#include "range_coder.h"

namespace isp_meta::payload {

inline std::mt19937_64 random_bits(1);

inline std::int64_t below(std::int64_t end) {
  return static_cast<std::int64_t>(random_bits() % end);
}

inline void require(bool holds, const char* what) {
  if (holds) return;
  std::fprintf(stderr, "broken: %s\n", what);
  std::abort();
}

// Some bytes changed, half of the times among the first ones alone, and now and then the end lost.
inline Bytes damage(Bytes bytes, std::size_t head) {
  const std::size_t end = below(2) ? std::min(head, bytes.size()) : bytes.size();
  for (std::int64_t edits = 1 + below(6); edits > 0; --edits) {
    bytes[below(static_cast<std::int64_t>(end))] = static_cast<std::uint8_t>(below(256));
  }
  if (below(8) == 0) bytes.resize(below(static_cast<std::int64_t>(bytes.size())));
  return bytes;
}

template <class Decode>
bool survives(Decode decode) {
  try {
    decode();
    return true;
  } catch (const CorruptStream&) {
    return false;
  }
}

// Runs `round` for as many seconds as the first argument says; each tells how many of `tries`
// damaged streams were decoded.
template <class Round>
void repeat(int count, char** arguments, long tries, Round round) {
  using Clock = std::chrono::steady_clock;
  const auto end = Clock::now() + std::chrono::seconds(count > 1 ? std::atoi(arguments[1]) : 10);
  long rounds = 0, decoded = 0;
  for (; Clock::now() < end; ++rounds) decoded += round();
  std::printf("%ld rounds came back; of %ld damaged streams %ld were decoded\n", rounds,
              tries * rounds, decoded);
}

}  // namespace isp_meta::payload
