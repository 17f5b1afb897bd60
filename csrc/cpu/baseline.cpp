// The CPU's loops for what every processor of the architecture has.
#define ISP_META_ISA baseline
#include "cpu/loops.h"
