/* The unit of Armv8.1-M with Helium: Cortex-M55 and M85. */
#include "portable.c"
#include "arm/helium.c"
#include "arm/helium_narrow.c"
#include "arm/helium_depthwise.c"
#include "arm/helium_windows.c"
#include "arm/helium_more.c"
#include "arm/helium_tokens.c"
