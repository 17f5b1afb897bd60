// The CPU's loops, one row of blocks or cells a call, compiled once for each instruction set.
#pragma once

#include "superpixel_loss/superpixel_loss.h"

namespace isp_meta {

template <class T>
struct SuperpixelLossRows {
  using Row = void (*)(const SuperpixelLoss<T>& of, int64_t batch, int row);
  Row summarize, center, compare, slope, descend;
};

namespace baseline {
template <class T>
const SuperpixelLossRows<T>& superpixel_loss_rows();
}
namespace avx2 {
template <class T>
const SuperpixelLossRows<T>& superpixel_loss_rows();
}

}  // namespace isp_meta
