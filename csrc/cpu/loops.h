// Every operator's loops, for the instruction set that ISP_META_ISA names.
#include "adaptive_filter/loops.h"
#include "aggregate/loops.h"
#include "argmax_pool/loops.h"
#include "associate/loops.h"
#include "associate_features/loops.h"
#include "first_guess/loops.h"
#include "local_rbf/loops.h"
#include "superpixel_loss/loops.h"
