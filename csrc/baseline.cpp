// The CPU's loops for what every processor of the architecture has.
#define ISP_META_ISA baseline
#include "aggregate/loops.h"
#include "argmax_pool/loops.h"
#include "associate/loops.h"
#include "associate_features/loops.h"
