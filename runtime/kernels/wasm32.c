/* The unit of WebAssembly with 128-bit vectors. */
#include "portable.c"
#include "wasm32/simd128.c"
#include "wasm32/simd128_planes.c"
#include "wasm32/simd128_ternary.c"
#include "wasm32/simd128_floats.c"
