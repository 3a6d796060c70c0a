/* The command-line program of a network: raw tensors from files, through the network, to files or to standard output.
 *
 * In front of this stand the tables that say what its inputs and outputs are. */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { EXIT_done = 0, EXIT_failed = 1, EXIT_usage = 2 };

static NAME_Memory memory;

/* A file of an input or output, and what is said about it on the command line. */
typedef struct {
    const Port *port;
    const char *path;           /* NULL: none */
    FILE *file;
} Stream;

static Stream inputs[N_INPUTS + 1], outputs[N_OUTPUTS + 1];

static int complain(const char *path, const char *what)
{
    fprintf(stderr, "NAME: error: %s%s%s\n", path ? path : "", path ? ": " : "", what);
    return EXIT_failed;
}

static int usage(FILE *to)
{
    fprintf(to, "NAME --in [NAME=]FILE ... [--out [NAME=]FILE ...] [--stats json]\n"
                "NAME --selftest\n\n"
                "  --in FILE     an input as it lies in memory, little-endian; - is standard input.  Several, one after another, are several runs\n"
                "  --out FILE    where an output goes, likewise; without any, all of them are printed as numbers\n"
                "  NAME          the name or the number of an input (output); without it FILE has all of them, one after another\n\n");
    for (int i = 0; i < N_INPUTS; i++)
        fprintf(to, "  input %d    %s, %s, %lu bytes\n", i, input_ports[i].name, input_ports[i].shape, (unsigned long)input_ports[i].bytes);
    for (int i = 0; i < N_OUTPUTS; i++)
        fprintf(to, "  output %d   %s, %s, %lu bytes\n", i, output_ports[i].name, output_ports[i].shape, (unsigned long)output_ports[i].bytes);
    return to == stdout ? EXIT_done : EXIT_usage;
}

/* Which of n ports `word` begins with the name or number of, and *file behind its `=`; n: it is a file alone, for all of them. */
static int port_of(const Port *ports, int n, const char *word, const char **file)
{
    for (int i = 0; i < n; i++) {
        char number[16];
        size_t k = strlen(ports[i].name);

        snprintf(number, sizeof number, "%d=", i);
        if (!strncmp(word, ports[i].name, k) && word[k] == '=') {
            *file = word + k + 1;
            return i;
        }
        if (!strncmp(word, number, strlen(number))) {
            *file = word + strlen(number);
            return i;
        }
    }
    *file = word;
    return n;
}

static bool is_dash(const char *path)
{
    return !strcmp(path, "-");
}

/* Opens streams; one path given for all is one file.  false: reported. */
static bool open_streams(Stream *s, int n, const char *mode, FILE *standard)
{
    for (int i = 0; i < n; i++) {
        if (!s[i].path)
            continue;
        for (int k = 0; k < i && !s[i].file; k++)
            if (s[k].path == s[i].path)
                s[i].file = s[k].file;
        if (!s[i].file)
            s[i].file = is_dash(s[i].path) ? standard : fopen(s[i].path, mode);
        if (!s[i].file)
            return complain(s[i].path, *mode == 'r' ? "cannot be opened" : "cannot be created"), false;
    }
    return true;
}

/* Reads all of the next tensors of every input.  1: done; 0: the files are at their end; -1: reported. */
static int read_inputs(void)
{
    for (int i = 0; i < N_INPUTS; i++) {
        size_t n = fread(input_at(&memory, i), 1, inputs[i].port->bytes, inputs[i].file);

        if (n == inputs[i].port->bytes)
            continue;
        if (ferror(inputs[i].file))
            return complain(inputs[i].path, "cannot be read"), -1;
        if (n == 0 && i == 0)
            return 0;
        fprintf(stderr, "NAME: error: %s: ends within a tensor: %s is %s, %lu bytes, and %lu are left\n", inputs[i].path, inputs[i].port->name,
                inputs[i].port->shape, (unsigned long)inputs[i].port->bytes, (unsigned long)n);
        return -1;
    }
    return 1;
}

static void print_output(int i)
{
    const char *p = output_at(&memory, i), *type = output_ports[i].type;
    size_t unit = !strcmp(type, "int8_t") || !strcmp(type, "uint8_t") ? 1 : !strcmp(type, "int16_t") ? 2 : 4;

    printf("%s:", output_ports[i].name);
    for (size_t k = 0; k < output_ports[i].bytes; k += unit) {
        int16_t half;
        int32_t word;
        float real;

        memcpy(&half, p + k, unit == 2 ? 2 : 0);
        memcpy(&word, p + k, unit == 4 ? 4 : 0);
        memcpy(&real, p + k, unit == 4 ? 4 : 0);
        if (!strcmp(type, "float"))
            printf(" %.9g", (double)real);
        else
            printf(" %d", unit == 4 ? (int)word : unit == 2 ? half : !strcmp(type, "int8_t") ? (int)(signed char)p[k] : (int)(unsigned char)p[k]);
    }
    printf("\n");
}

/* false: reported. */
static bool write_outputs(void)
{
    bool any = false;

    for (int i = 0; i < N_OUTPUTS; i++) {
        any = any || outputs[i].path;
        if (outputs[i].path && fwrite(output_at(&memory, i), 1, outputs[i].port->bytes, outputs[i].file) != outputs[i].port->bytes)
            return complain(outputs[i].path, "cannot be written"), false;
    }
    for (int i = 0; !any && i < N_OUTPUTS; i++)
        print_output(i);
    return true;
}

static bool open_all(void)
{
    for (int i = 0; i < N_INPUTS; i++) {
        if (!inputs[i].path) {
            fprintf(stderr, "NAME: error: input %d, %s, has no file (--in %s=FILE)\n", i, input_ports[i].name, input_ports[i].name);
            return false;
        }
    }
    return open_streams(inputs, N_INPUTS, "rb", stdin) && open_streams(outputs, N_OUTPUTS, "wb", stdout);
}

#ifdef NAME_TRACE
static FILE *trace_file;       /* NULL: nobody asks */

/* A line with the stage's name and how many bytes it has written, and these. */
void NAME_trace(const char *stage, const void *p, uint32_t bytes)
{
    if (trace_file) {
        fprintf(trace_file, "%s %lu\n", stage, (unsigned long)bytes);
        fwrite(p, 1, bytes, trace_file);
        fflush(trace_file);
    }
}
#endif

static int run_all(bool stats)
{
    unsigned long n = 0;
    clock_t ticks = 0;
    int more = 1;

    if (!open_all())
        return EXIT_failed;
    while ((N_INPUTS > 0 || n == 0) && (more = read_inputs()) > 0) {
        clock_t begun = clock();

        if (NAME_run(&memory) != NAME_OK)
            return complain(NULL, "the network has failed");
        ticks += clock() - begun;
        n++;
        if (!write_outputs())
            return EXIT_failed;
    }
    if (more < 0)
        return EXIT_failed;
    if (n == 0)
        return complain(inputs[0].path, "is empty");
    for (int i = 0; i < N_OUTPUTS; i++)
        if (outputs[i].path && fflush(outputs[i].file))
            return complain(outputs[i].path, "cannot be written");
    if (stats)
        fprintf(stderr, "{\"runs\": %lu, \"run_ms\": %.6f, \"memory_bytes\": %lu}\n", n, 1e3 * (double)ticks / CLOCKS_PER_SEC / (double)n,
                (unsigned long)NAME_MEMORY_BYTES);
    return fflush(stdout) ? complain(NULL, "standard output cannot be written") : EXIT_done;
}

static int selftest(void)
{
#ifdef HAS_SELFTEST
    bool ok = NAME_selftest(&memory) == NAME_OK;

    printf("selftest: %s\n", ok ? "passed" : "FAILED");
    return ok ? EXIT_done : EXIT_failed;
#else
    return complain(NULL, "it was built without a recorded input (from a .sir whose weights were not at hand)");
#endif
}

int main(int argc, char **argv)
{
    bool stats = false;

#ifdef HAS_STATE
    NAME_reset(&memory);
#endif
    for (int i = 0; i < N_INPUTS; i++)
        inputs[i].port = &input_ports[i];
    for (int i = 0; i < N_OUTPUTS; i++)
        outputs[i].port = &output_ports[i];
    for (int i = 1; i < argc; i++) {
        bool in = !strcmp(argv[i], "--in"), out = !strcmp(argv[i], "--out");
        const char *file;
        int port;
        int n;

        if (!strcmp(argv[i], "--help") || !strcmp(argv[i], "-h"))
            return usage(stdout);
        if (!strcmp(argv[i], "--selftest"))
            return selftest();
        if (!strcmp(argv[i], "--stats") && i + 1 < argc && !strcmp(argv[i + 1], "json")) {
            stats = true;
            i++;
            continue;
        }
#ifdef NAME_TRACE
        if (!strcmp(argv[i], "--trace") && i + 1 < argc) {
            trace_file = fopen(argv[++i], "wb");
            if (!trace_file)
                return complain(argv[i], "cannot be created");
            continue;
        }
#endif
        if ((!in && !out) || i + 1 == argc) {
            fprintf(stderr, "NAME: error: '%s' is not an option, or lacks its value (--help shows them)\n", argv[i]);
            return EXIT_usage;
        }
        n = in ? N_INPUTS : N_OUTPUTS;
        port = port_of(in ? input_ports : output_ports, n, argv[++i], &file);
        for (int k = 0; k < n; k++)
            if (port == n || k == port)
                (in ? inputs : outputs)[k].path = file;
    }
    return argc == 1 ? usage(stderr) : run_all(stats);
}
