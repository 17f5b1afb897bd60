// Samples already coded near the next one, for coders that walk the picture block by block.
#pragma once

#include <bit>
#include <cstdint>
#include <vector>

#include "grid.h"

namespace isp_meta::payload {

// Newest sample of each block column, in this row of blocks and in those above it.
// Sample has known (false at first), y and x.
template <class Sample>
class Surroundings {
 public:
  explicit Surroundings(const Grid& grid)
      : side_(grid.side), above_(grid.columns()), current_(grid.columns()) {}

  // Calls visit(neighbor) for those that exist, those likely to be nearest first.
  template <class Visit>
  void each(std::int64_t y, std::int64_t x, Visit visit) {
    enter_row(y / side_);
    const std::int64_t last = static_cast<std::int64_t>(above_.size()) - 1;
    const std::int64_t column = x / side_;
    const auto show = [&](const Sample& other) {
      if (other.known) visit(other);
    };
    show(current_[column]);
    if (column > 0) show(newest(column - 1));
    show(above_[column]);
    if (column < last) show(above_[column + 1]);
    if (column > 0 && current_[column - 1].known) show(above_[column - 1]);
    if (column > 1) show(newest(column - 2));
    if (column + 1 < last) show(above_[column + 2]);
  }

  void remember(const Sample& sample) { current_[sample.x / side_] = sample; }

 private:
  const Sample& newest(std::int64_t column) const {
    return current_[column].known ? current_[column] : above_[column];
  }

  void enter_row(std::int64_t row) {
    if (row == row_) return;
    for (std::size_t i = 0; i < current_.size(); ++i) {
      if (current_[i].known) above_[i] = current_[i];
      current_[i].known = false;
    }
    row_ = row;
  }

  std::int64_t side_, row_ = 0;
  std::vector<Sample> above_, current_;
};

// A length in half octaves: twice its number of binary digits, plus the second-highest digit.
inline int half_octaves(std::int64_t length) {
  const int digits = std::bit_width(static_cast<std::uint64_t>(length));
  return 2 * digits + (digits > 1 ? static_cast<int>(length >> (digits - 2) & 1) : 0);
}

}  // namespace isp_meta::payload
