/* Without words it tests itself.  Otherwise it computes on files of the host, which hold one or more inputs one behind the other:
 *
 *     --in [PORT=]FILE --out [PORT=]FILE      PORT: the name of an input or output, or its number from 0; without it, in their order
 *
 * and says how often it has run. */
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

/* How many inputs the files hold: all of them as many. */
static int32_t n_runs(const Files *f)
{
    intptr_t n = -1;

    for (int i = 0; i < N_INPUTS; i++) {
        intptr_t bytes = f->in[i] < 0 ? -1 : semihost_length(f->in[i]), of_one = (intptr_t)input[i].bytes;

        if (bytes < 0)
            stop("no file for input ", input[i].name);
        if (bytes == 0 || bytes % of_one || (n >= 0 && bytes / of_one != n))
            stop("its file does not hold whole inputs, as many as the others': ", input[i].name);
        n = bytes / of_one;
    }
    return (int32_t)n;
}

static void run_files(const Files *f)
{
    int32_t n = n_runs(f);

    for (int32_t k = 0; k < n; k++) {
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
    semihost_print_number(n);
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
            open_files(&f, words);
            run_files(&f);
            semihost_exit(0);
        }
    }
    if (NAME_selftest(&memory))
        stop("selftest failed", "");
    semihost_print("NAME: selftest passed\n");
    semihost_exit(0);
}
