/* Columns and bytes of a block of 32 rows, for what packs and measures without ir/layouts.c. */
static const struct { const char *name; int columns; size_t bytes; } layouts[] = {
    { "i8g32_r32k4", 32, 1088 }, { "i53g32_r32k4", 32, 1088 }, { "i4g32_r32k4", 32, 576 }, { "i4g32m_r32k4", 32, 640 }, { "i5g32_r32k4", 32, 704 },
    { "i4g32ms_r32k4", 256, 4736 }, { "i5g32ms_r32k4", 256, 5760 }, { "i6g16s_r32k4", 256, 6720 },
    { "i2g256_r32k4", 256, 2112 }, { "t5g256_r32k4", 256, 1728 },
    { "i8g32_rows", 32, 1088 }, { "i4g32_rows", 32, 576 },
    { "f16_r32k1", 1, 64 }, { "bf16_r32k1", 1, 64 }, { "f32_r32k1", 1, 128 },
};

static int layout_index(const char *name)
{
    for (size_t i = 0; i < sizeof layouts / sizeof layouts[0]; i++)
        if (!strcmp(layouts[i].name, name))
            return (int)i;
    printf("  layout %s has no row in the table of tests/kernels/layouts.h\n", name);
    exit(1);
}
