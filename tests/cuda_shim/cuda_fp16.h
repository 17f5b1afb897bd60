// In place of the toolkit's header: IEEE 754 binary16, which g++ knows.
#pragma once

using __half = _Float16;
