/* Without words it tests itself.  Otherwise it computes on files of the host, which hold one or more inputs one behind the other:
 *
 *     --in [PORT=]FILE --out [PORT=]FILE      PORT: the name of an input or output, or its number from 0; without it, in their order
 *
 * and says how often it has run.  Where there are several and one file is named, it holds all of the first run, then all of the next. */
typedef struct { intptr_t in[N_INPUTS], out[N_OUTPUTS]; } Files;

void fault(void);
void fault(void)
{
    semihost_print("NAME: fault (stack too small? make STACK=N)\n");
    semihost_exit(3);
}

static void stop(const char *what, const char *which)
{
    semihost_print("NAME: ");
    semihost_print(what);
    semihost_print(which);
    semihost_print("\n");
    semihost_exit(1);
}

static bool same(const char *a, const char *b)
{
    for (; *a && *a == *b; a++)
        b++;
    return *a == *b;
}

/* The next word of a line that is cut up; NULL behind the last. */
static char *next_word(char **line)
{
    char *word;

    while (**line == ' ')
        ++*line;
    word = *line;
    while (**line && **line != ' ')
        ++*line;
    if (**line)
        *(*line)++ = 0;
    return *word ? word : NULL;
}

/* Opens [PORT=]FILE for one of n ports, which has none yet. */
static void open_port(const Port *port, intptr_t *file, int n, char *word, const char *mode)
{
    char *equals = word, number[2] = "0";
    int i = 0;

    while (*equals && *equals != '=')
        equals++;
    if (*equals) {
        *equals = 0;
        for (; i < n && !same(port[i].name, word) && !same(number, word); i++)
            number[0]++;
        word = equals + 1;
    } else
        while (i < n && file[i] >= 0)
            i++;
    if (i == n || file[i] >= 0)
        stop("too many files, or no such input or output: ", word);
    file[i] = semihost_open(word, mode);
    if (file[i] < 0)
        stop("cannot open ", word);
}

static void open_files(Files *f, char *words)
{
    for (char *word; (word = next_word(&words)) != NULL;) {
        char *file = next_word(&words);

        if (file && same(word, "--in"))
            open_port(input, f->in, N_INPUTS, file, "rb");
        else if (file && same(word, "--out"))
            open_port(output, f->out, N_OUTPUTS, file, "wb");
        else
            stop("--in [PORT=]FILE and --out [PORT=]FILE are understood, not ", word);
    }
}

/* One file for all of n ports? */
static bool one_file(const intptr_t *file, int n)
{
    for (int i = 1; i < n; i++)
        if (file[i] >= 0)
            return false;
    return file[0] >= 0;
}

/* How many runs a file has inputs for, of so many bytes each. */
static intptr_t n_held(intptr_t file, size_t bytes, const char *name)
{
    intptr_t length = file < 0 ? -1 : semihost_length(file);

    if (length < 0)
        stop("no file for input ", name);
    if (length == 0 || length % (intptr_t)bytes)
        stop("its file does not hold whole inputs: ", name);
    return length / (intptr_t)bytes;
}

/* Files that hold all ports are set for each of them. */
static intptr_t n_runs(Files *f)
{
    size_t bytes = 0;
    intptr_t n;

    for (int i = 0; i < N_INPUTS; i++)
        bytes += input[i].bytes;
    if (one_file(f->out, N_OUTPUTS))
        for (int i = 1; i < N_OUTPUTS; i++)
            f->out[i] = f->out[0];
    if (one_file(f->in, N_INPUTS)) {
        for (int i = 1; i < N_INPUTS; i++)
            f->in[i] = f->in[0];
        return n_held(f->in[0], bytes, input[0].name);
    }
    n = n_held(f->in[0], input[0].bytes, input[0].name);
    for (int i = 1; i < N_INPUTS; i++)
        if (n_held(f->in[i], input[i].bytes, input[i].name) != n)
            stop("its file does not hold as many as the first's: ", input[i].name);
    return n;
}

static void run_files(Files *f)
{
    intptr_t n = n_runs(f);

    for (intptr_t k = 0; k < n; k++) {
        for (int i = 0; i < N_INPUTS; i++)
            if (!semihost_read(f->in[i], input_at(i), input[i].bytes))
                stop("cannot read input ", input[i].name);
        if (NAME_run(&memory))
            stop("the run failed", "");
        for (int i = 0; i < N_OUTPUTS; i++)
            if (f->out[i] >= 0 && !semihost_write(f->out[i], output_at(i), output[i].bytes))
                stop("cannot write output ", output[i].name);
    }
    semihost_print("NAME: runs ");
    semihost_print_number((int32_t)n);
    semihost_print("\n");
}

int main(void)
{
    char line[512], *words = line;
    Files f;

    for (int i = 0; i < N_INPUTS; i++)
        f.in[i] = -1;
    for (int i = 0; i < N_OUTPUTS; i++)
        f.out[i] = -1;
    if (semihost_command_line(line, sizeof line) && next_word(&words)) {    /* the first word is the program's own name */
        while (*words == ' ')
            words++;
        if (*words) {
#ifdef HAS_STATE
            NAME_reset(&memory);
#endif
            open_files(&f, words);
            run_files(&f);
            semihost_exit(0);
        }
    }
#ifdef HAS_SELFTEST
    if (NAME_selftest(&memory))
        stop("selftest failed", "");
    semihost_print("NAME: selftest passed\n");
    semihost_exit(0);
#else
    stop("nothing to do: it was built without a self-test; ", "--in FILE --out FILE");
#endif
}
