/* The unit of Armv7E-M and Armv8-M with the DSP extension. */
#include "portable.c"
#include "arm/dsp.c"
#include "arm/dsp_depthwise.c"
#include "arm/dsp_image.c"
#include "arm/dsp_tokens.c"
