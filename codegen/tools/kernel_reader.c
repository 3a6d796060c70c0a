/* The kernel reader: turns the kernel library into the tables of codegen/kernels.h, while sinter is
 * being built.
 *
 *   kernel_reader DIR              DIR is runtime/kernels; the tables go to standard output,
 * complaints to standard error kernel_reader DIR --list       the contracts, one line per kernel
 * and unit, instead
 *
 * Method.  libclang parses one file per ISA (`units` below), which includes that ISA's kernel
 * files, as the target's compiler would.  Every declaration at file scope that stands in a file
 * below DIR is an *entity*, and so is every object-like macro.  What an entity needs is the union
 * of
 *
 *   - what the cursors inside it refer to: both the declaration found and its definition,
 *   - which of our macros are expanded inside its text (expansions stand at file scope in the
 * preprocessing record),
 *   - for a macro, identifiers in its own text that name an entity.
 *
 * An enumerator, or a struct inside a typedef, belongs to the entity whose range holds it. Entities
 * are sorted by the way the compiler came to them (the #include offsets from the main file down,
 * then their own), so every use follows its declaration.  Texts are cut by tokens: libclang's own
 * comment ranges know neither macros nor plain comments.
 *
 * Works with libclang 14 to 19 and gives the same bytes with each.  A parse with errors still
 * prints plausible text, so any error ends the run.  So does a breach of the rules at the top of
 * kernel.h, as far as they can be seen here. A short-lived program: memory is not given back. */
#include <clang-c/Index.h>
#include <ctype.h>
#include <limits.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_ISAS = 6, MAX_ARGS = 4, MAX_DEPTH = 8 };

/* One row per ISA: a new one is a row here, a unit file and its kernel files. */
static const struct UnitSource {
    const char *file;
    const char *isas[MAX_ISAS]; /* best first; the first names the unit */
    const char *args[MAX_ARGS];
} units[] = {
    { "portable.c", { "portable" }, { "--target=x86_64-linux-gnu" } },
    { "x86_64_v3.c", { "avx2", "portable" }, { "--target=x86_64-linux-gnu", "-march=x86-64-v3" } },
    { "x86_64_avxvnni.c",
      { "avxvnni", "avx2", "portable" },
      { "--target=x86_64-linux-gnu", "-march=x86-64-v3", "-mavxvnni" } },
    { "x86_64_v4.c",
      { "avx512vnni", "portable" },
      { "--target=x86_64-linux-gnu", "-march=x86-64-v4", "-mavx512vnni" } },
    { "x86_64_amx.c",
      { "amx", "avx512vnni", "portable" },
      { "--target=x86_64-linux-gnu", "-march=x86-64-v4", "-mavx512vnni" } },
    { "aarch64.c", { "neon", "portable" }, { "--target=aarch64-linux-gnu" } },
    { "aarch64_dotprod.c",
      { "dotprod", "neon", "portable" },
      { "--target=aarch64-linux-gnu", "-march=armv8.2-a+dotprod" } },
    { "aarch64_i8mm.c",
      { "i8mm", "dotprod", "neon", "portable" },
      { "--target=aarch64-linux-gnu", "-march=armv8.2-a+dotprod+i8mm" } },
    { "aarch64_sve.c",
      { "sve", "i8mm", "dotprod", "neon", "portable" },
      { "--target=aarch64-linux-gnu", "-march=armv8.2-a+dotprod+i8mm+sve" } },
    { "riscv64_v.c", { "rvv", "portable" }, { "--target=riscv64-linux-gnu", "-march=rv64gcv" } },
    { "armv7em_dsp.c",
      { "dsp", "portable" },
      { "--target=thumbv7em-none-eabi", "-mcpu=cortex-m4", "-ffreestanding" } },
    { "wasm32.c", { "simd128", "portable" }, { "--target=wasm32-wasi", "-msimd128" } },
    { "armv81m_mve.c",
      { "mve", "portable" },
      { "--target=thumbv8.1m.main-none-eabi", "-march=armv8.1-m.main+mve.fp+fp.dp", "-mfloat-abi=hard" } },
};
enum { N_UNITS = sizeof units / sizeof units[0] };

/* The keys of a contract, in the order of KernelInfo's strings; x and kv are the same column. */
enum { OP, LAYOUT, ACT, ISA, FEATURES, ORDER, PANEL, N_FIELDS };

/* Those whose values are numbers, likewise. */
static const char *const numbers[] = { "before", "after", "align", "in_place" };
enum { N_NUMBERS = sizeof numbers / sizeof numbers[0] };

typedef struct {
    CXFile handle;
    char *path;
    char *text; /* NULL unless the file is ours */
    unsigned size;
    CXToken *tokens;
    unsigned n_tokens;
    unsigned at[MAX_DEPTH]; /* offsets of the #includes that lead to it, outermost first */
    int depth;
} File;

typedef struct {
    CXCursor cursor;
    char *name; /* "" for an enum or an assertion without one */
    const char *kind;
    char *contract; /* NULL unless it is a kernel */
    int file;
    unsigned begin, end; /* the bytes to print, comments and `;` included */
    unsigned core;       /* where the declaration itself begins */
    bool *needs;
} Entity;

/* A system header seen from one of our files; or, with header NULL, one of our files (`to`) seen
 * from another. */
typedef struct {
    char *header;
    int to;
    int file;
} Include;

typedef struct {
    const struct UnitSource *source;
    const char *root; /* ours: files below it */
    const char *builtin; /* where the compiler's own headers are; NULL: libclang knows */
    CXTranslationUnit tu;
    File *files;
    int n_files;
    Entity *entities;
    int n_entities;
    Include *includes;
    int n_includes;
    int n_errors;
} Unit;

static void *grow(void *p, int n,
                  size_t size) /* room for one more than n, which is doubled at powers of two */
{
    if ((n & (n - 1)) == 0)
        p = realloc(p, (n ? 2 * (size_t)n : 1) * size);
    if (!p) {
        fputs("kernel_reader: out of memory\n", stderr);
        exit(1);
    }
    return p;
}

static char *take(CXString s) /* a copy that stays */
{
    const char *c = clang_getCString(s);
    char *copy = strdup(c ? c : "");

    clang_disposeString(s);
    if (!copy)
        exit(1);
    return copy;
}

/* ---- places ---- */

static int file_index(Unit *u, CXFile handle)
{
    char *path;
    File *f;

    if (!handle)
        return -1;
    for (int i = 0; i < u->n_files; i++)
        if (u->files[i].handle == handle)
            return i;
    path = take(clang_File_tryGetRealPathName(handle));
    if (!*path)
        path = take(clang_getFileName(handle));
    u->files = grow(u->files, u->n_files, sizeof *u->files);
    f = &u->files[u->n_files];
    *f = (File){ .handle = handle, .path = path };
    if (!strncmp(path, u->root, strlen(u->root)) && path[strlen(u->root)] == '/') {
        size_t size = 0;
        const char *text = clang_getFileContents(u->tu, handle, &size);

        f->text = calloc(size + 1, 1);
        if (!f->text)
            exit(1);
        memcpy(f->text, text ? text : "", text ? size : 0);
        f->size = (unsigned)size;
        clang_tokenize(u->tu,
                       clang_getRange(clang_getLocationForOffset(u->tu, handle, 0),
                                      clang_getLocationForOffset(u->tu, handle, f->size)),
                       &f->tokens, &f->n_tokens);
    }
    return u->n_files++;
}

/* File and byte of a location; what a macro expands to counts as standing where the macro does. */
static int place(Unit *u, CXSourceLocation l, unsigned *offset)
{
    CXFile f;

    clang_getExpansionLocation(l, &f, NULL, NULL, offset);
    return file_index(u, f);
}

static bool ours(const Unit *u, int file)
{
    return file >= 0 && u->files[file].text;
}

static bool complain(Unit *u, int file, unsigned offset, const char *fmt, ...)
{
    const File *f = &u->files[file];
    int line = 1;
    va_list ap;

    for (unsigned i = 0; i < offset && i < f->size; i++)
        line += f->text[i] == '\n';
    fprintf(stderr, "kernel_reader: error: %s:%d: ", f->path, line);
    va_start(ap, fmt);
    vfprintf(stderr, fmt, ap);
    va_end(ap);
    fputc('\n', stderr);
    u->n_errors++;
    return false;
}

static unsigned token_begin(Unit *u, const File *f, unsigned i)
{
    unsigned o;

    clang_getExpansionLocation(clang_getRangeStart(clang_getTokenExtent(u->tu, f->tokens[i])), NULL,
                               NULL, NULL, &o);
    return o;
}

static unsigned token_end(Unit *u, const File *f, unsigned i)
{
    unsigned o;

    clang_getExpansionLocation(clang_getRangeEnd(clang_getTokenExtent(u->tu, f->tokens[i])), NULL,
                               NULL, NULL, &o);
    return o;
}

/* ---- the text of an entity ---- */

static int newlines(const File *f, unsigned from, unsigned to)
{
    int n = 0;

    for (; from < to; from++)
        n += f->text[from] == '\n';
    return n;
}

/* The token `;` that ends the declaration in which token i stands; i itself if there is none. */
static unsigned semicolon(Unit *u, const File *f, unsigned i)
{
    int depth = 0;

    for (unsigned k = i; k < f->n_tokens; k++) {
        char c = f->text[token_begin(u, f, k)];

        depth += (c == '(' || c == '{' || c == '[') - (c == ')' || c == '}' || c == ']');
        if (c == ';' && depth <= 0)
            return k;
    }
    return i;
}

/* Widen [begin, end) of a declaration: to the left over comments with no empty line between, to the
 * right to its `;` (trailing attributes lie outside a cursor's range) and over a comment on the
 * same line. */
static void widen(Unit *u, Entity *e)
{
    const File *f = &u->files[e->file];
    bool macro = !strcmp(e->kind, "macro");
    unsigned first = 0;
    unsigned last;

    while (first + 1 < f->n_tokens && token_begin(u, f, first) < e->begin)
        first++;
    for (last = first; last + 1 < f->n_tokens && token_end(u, f, last) < e->end; last++) {
    }
    if (macro && first >= 2)
        first -= 2; /* the tokens # and define */
    if (!macro && (strcmp(e->kind, "function") || f->text[token_end(u, f, last) - 1] != '}'))
        last = semicolon(u, f, last);
    e->core = token_begin(u, f, first);
    for (; first > 0; first--) {
        unsigned p = first - 1;

        if (clang_getTokenKind(f->tokens[p]) != CXToken_Comment ||
            newlines(f, token_end(u, f, p), token_begin(u, f, first)) > 1 ||
            (p > 0 && newlines(f, token_end(u, f, p - 1), token_begin(u, f, p)) == 0))
            break;
    }
    if (last + 1 < f->n_tokens && clang_getTokenKind(f->tokens[last + 1]) == CXToken_Comment &&
        newlines(f, token_end(u, f, last), token_begin(u, f, last + 1)) == 0)
        last++;
    e->begin = token_begin(u, f, first);
    e->end = token_end(u, f, last);
}

/* ---- collecting ---- */

static enum CXChildVisitResult find_annotation(CXCursor c, CXCursor parent, CXClientData data)
{
    (void)parent;
    if (clang_getCursorKind(c) == CXCursor_AnnotateAttr) {
        char *s = take(clang_getCursorSpelling(c));

        if (!strncmp(s, "sn_kernel:", 10))
            *(char **)data = s + 10;
    }
    return CXChildVisit_Continue;
}

static void add_entity(Unit *u, CXCursor c, const char *kind)
{
    CXSourceRange r = clang_getCursorExtent(c);
    Entity e = { .cursor = c, .kind = kind };

    e.file = place(u, clang_getRangeStart(r), &e.begin);
    if (!ours(u, e.file))
        return;
    place(u, clang_getRangeEnd(r), &e.end);
    e.name = take(clang_getCursorSpelling(c));
    if (strchr(e.name, '(')) /* clang 16 and later spell out "(unnamed enum at ...)" */
        e.name[0] = 0;
    if (!strcmp(kind, "macro") && e.end - e.begin == strlen(e.name))
        return; /* an include guard has no body */
    if (!strcmp(kind, "function"))
        clang_visitChildren(c, find_annotation, &e.contract);
    widen(u, &e);
    u->entities = grow(u->entities, u->n_entities, sizeof *u->entities);
    u->entities[u->n_entities++] = e;
}

static void see(Unit *u, int file, char *header, int to)
{
    for (int i = 0; i < u->n_includes; i++)
        if (u->includes[i].file == file && u->includes[i].to == to)
            return;
    u->includes = grow(u->includes, u->n_includes, sizeof *u->includes);
    u->includes[u->n_includes++] = (Include){ header, to, file };
}

static void add_include(Unit *u, CXCursor c)
{
    unsigned offset;
    int from = place(u, clang_getCursorLocation(c), &offset);
    CXFile handle = clang_getIncludedFile(c);
    int to = handle ? file_index(u, handle) : -1;

    if (to >= 0 && ours(u, from))
        see(u, from, ours(u, to) ? NULL : take(clang_getCursorSpelling(c)), to);
}

/* A file also sees what the files that it includes see: row i sees j, j sees h. */
static void spread_includes(Unit *u)
{
    for (int i = 0; i < u->n_includes;
         i++) /* n_includes grows meanwhile: new rows are looked at too */
        for (int j = 0; j < u->n_includes; j++) {
            Include a = u->includes[i], b = u->includes[j];

            if (!a.header && a.to == b.file)
                see(u, a.file, b.header, b.to);
            if (!b.header && b.to == a.file)
                see(u, b.file, a.header, a.to);
        }
}

static enum CXChildVisitResult visit_top(CXCursor c, CXCursor parent, CXClientData data)
{
    Unit *u = data;
    unsigned offset;
    int file;

    (void)parent;
    switch (clang_getCursorKind(c)) {
    case CXCursor_InclusionDirective:
        add_include(u, c);
        break;
    case CXCursor_FunctionDecl:
        add_entity(u, c, "function");
        break;
    case CXCursor_VarDecl:
        add_entity(u, c, "table");
        break;
    case CXCursor_TypedefDecl:
        add_entity(u, c, "typedef");
        break;
    case CXCursor_StructDecl:
    case CXCursor_UnionDecl:
        add_entity(u, c, "struct");
        break;
    case CXCursor_EnumDecl:
        add_entity(u, c, "enum");
        break;
    case CXCursor_StaticAssert:
        add_entity(u, c, "assert");
        break;
    case CXCursor_MacroDefinition:
        file = place(u, clang_getCursorLocation(c), &offset);
        if (!clang_Cursor_isMacroFunctionLike(c))
            add_entity(u, c, "macro");
        else if (ours(u, file) && strcmp(take(clang_getCursorSpelling(c)), "SN_KERNEL"))
            complain(u, file, offset, "a function-like macro (write a static inline function)");
        break;
    default:
        break;
    }
    return CXChildVisit_Continue;
}

/* clang_getInclusions: stack[0] is the innermost #include on the way to the file. */
static void visit_inclusion(CXFile handle, CXSourceLocation *stack, unsigned n, CXClientData data)
{
    Unit *u = data;
    int file = file_index(u, handle);

    if (!ours(u, file))
        return;
    u->files[file].depth = (int)n;
    for (unsigned i = 0; i < n && i < MAX_DEPTH; i++)
        place(u, stack[i], &u->files[file].at[n - 1 - i]);
    if (n > MAX_DEPTH)
        complain(u, file, 0, "included more than %d files deep", MAX_DEPTH);
}

static const Unit *sorting; /* qsort hands nothing through */

/* By the way from the main file; of two that begin together the longer one first (a typedef before
 * its struct). */
static int by_place(const void *a, const void *b)
{
    const Entity *x = a, *y = b;
    const File *f = &sorting->files[x->file], *g = &sorting->files[y->file];

    for (int i = 0;; i++) {
        unsigned p = i < f->depth ? f->at[i] : x->core;
        unsigned q = i < g->depth ? g->at[i] : y->core;

        if (p != q)
            return p < q ? -1 : 1;
        if (i >= f->depth || i >= g->depth)
            break;
    }
    return x->end != y->end ? (x->end > y->end ? -1 : 1) : 0;
}

/* Put entities in order and drop those inside another (the struct of a typedef). */
static void sort_entities(Unit *u)
{
    int n = 0;

    sorting = u;
    qsort(u->entities, (size_t)u->n_entities, sizeof *u->entities, by_place);
    for (int i = 0; i < u->n_entities; i++) {
        const Entity *e = &u->entities[i];

        if (n > 0 && u->entities[n - 1].file == e->file && e->core < u->entities[n - 1].end) {
            if (e->end == u->entities[n - 1].end && strcmp(e->kind, "struct") &&
                strcmp(e->kind, "enum"))
                complain(u, e->file, e->core,
                         "'%s' shares its declaration with another name (write one declarator "
                         "per declaration)",
                         e->name);
            continue;
        }
        u->entities[n++] = *e;
    }
    u->n_entities = n;
}

/* ---- what needs what ---- */

static int entity_at(const Unit *u, int file, unsigned offset)
{
    for (int i = 0; i < u->n_entities; i++)
        if (u->entities[i].file == file && u->entities[i].core <= offset &&
            offset < u->entities[i].end)
            return i;
    return -1;
}

typedef struct {
    Unit *u;
    int entity;
} Inside;

static void need(Unit *u, int entity, CXCursor target)
{
    unsigned offset;
    int file = place(u, clang_getCursorLocation(target), &offset);
    int i = ours(u, file) ? entity_at(u, file, offset) : -1;
    char *name;

    if (i < 0 || i == entity)
        return;
    name = take(clang_getCursorSpelling(target));
    if (strncmp(name, "__builtin_",
                10)) /* a builtin claims to be declared where it is first used */
        u->entities[entity].needs[i] = true;
    free(name);
}

static enum CXChildVisitResult visit_inside(CXCursor c, CXCursor parent, CXClientData data)
{
    const Inside *in = data;
    CXCursor r = clang_getCursorReferenced(c);

    (void)parent;
    if (!clang_Cursor_isNull(r) && !clang_equalCursors(r, c)) {
        CXCursor definition = clang_getCursorDefinition(r);

        need(in->u, in->entity, r);
        if (!clang_Cursor_isNull(definition)) /* it may come after its first use */
            need(in->u, in->entity, definition);
    }
    return CXChildVisit_Recurse;
}

static enum CXChildVisitResult visit_expansion(CXCursor c, CXCursor parent, CXClientData data)
{
    Unit *u = data;
    unsigned offset;
    int file, i;

    (void)parent;
    if (clang_getCursorKind(c) != CXCursor_MacroExpansion)
        return CXChildVisit_Continue;
    file = place(u, clang_getCursorLocation(c), &offset);
    i = ours(u, file) ? entity_at(u, file, offset) : -1;
    if (i >= 0) {
        CXCursor definition = clang_getCursorReferenced(c);

        if (!clang_Cursor_isNull(definition))
            need(u, i, definition);
    }
    return CXChildVisit_Continue;
}

/* Identifiers in a macro's text: no cursors stand there. */
static void need_by_name(Unit *u, int entity)
{
    Entity *e = &u->entities[entity];
    const File *f = &u->files[e->file];

    for (unsigned i = 0; i < f->n_tokens; i++) {
        if (token_begin(u, f, i) < e->core || token_end(u, f, i) > e->end)
            continue;
        char *s = take(clang_getTokenSpelling(u->tu, f->tokens[i]));

        for (int k = 0; k < u->n_entities; k++)
            if (k != entity && !strcmp(u->entities[k].name, s))
                e->needs[k] = true;
        free(s);
    }
}

static void find_needs(Unit *u)
{
    for (int i = 0; i < u->n_entities; i++) {
        u->entities[i].needs = calloc((size_t)u->n_entities, sizeof(bool));
        if (!u->entities[i].needs)
            exit(1);
    }
    clang_visitChildren(clang_getTranslationUnitCursor(u->tu), visit_expansion, u);
    for (int i = 0; i < u->n_entities; i++) {
        Inside in = { u, i };

        if (!strcmp(u->entities[i].kind, "macro"))
            need_by_name(u, i);
        else
            clang_visitChildren(u->entities[i].cursor, visit_inside, &in);
    }
}

/* #if, #ifdef ... inside an entity would be cut without what it depends on. */
static void refuse_conditions(Unit *u)
{
    for (int i = 0; i < u->n_entities; i++) {
        const Entity *e = &u->entities[i];
        const File *f = &u->files[e->file];

        for (unsigned k = 0; k + 1 < f->n_tokens; k++) {
            unsigned at = token_begin(u, f, k);

            if (at <= e->core || at >= e->end || f->text[at] != '#')
                continue;
            if (!strncmp(f->text + token_begin(u, f, k + 1), "if", 2))
                complain(u, e->file, at, "a condition inside '%s' (write two functions)", e->name);
        }
    }
}

static bool parse(Unit *u, CXIndex index, const char *dir)
{
    const char *args[MAX_ARGS + 8] = { "-std=gnu11", "-ffreestanding", "-nostdlibinc",
                                       "-DSN_READER" };
    int n_args = 4;
    char path[PATH_MAX];
    bool missing = false;

    if (u->builtin) {
        args[n_args++] = "-isystem";
        args[n_args++] = u->builtin;
    }
    for (int i = 0; i < MAX_ARGS && u->source->args[i]; i++)
        args[n_args++] = u->source->args[i];
    snprintf(path, sizeof path, "%s/%s", dir, u->source->file);
    if (clang_parseTranslationUnit2(index, path, args, n_args, NULL, 0,
                                    CXTranslationUnit_DetailedPreprocessingRecord, &u->tu) ||
        !u->tu) {
        fprintf(stderr, "kernel_reader: error: %s: cannot be read\n", path);
        return false;
    }
    for (unsigned i = 0; i < clang_getNumDiagnostics(u->tu); i++) {
        CXDiagnostic d = clang_getDiagnostic(u->tu, i);

        if (clang_getDiagnosticSeverity(d) >= CXDiagnostic_Error) {
            char *text = take(clang_formatDiagnostic(d, clang_defaultDiagnosticDisplayOptions()));

            fprintf(stderr, "kernel_reader: %s\n", text);
            missing = missing || (strstr(text, "file not found") && !strstr(text, dir));
            u->n_errors++;
        }
    }
    if (u->n_errors)
        fprintf(stderr, "kernel_reader: error: %s does not parse with %s%s\n", path,
                take(clang_getClangVersion()),
                missing ? " (are its own headers installed? on Debian: libclang-common-NN-dev)"
                        : "");
    return u->n_errors == 0;
}

/* The folder of the compiler's own headers, from a unit that was read: some targets of libclang (WebAssembly's) do not look
 * there by themselves. */
static const char *builtin_headers(const Unit *u)
{
    for (int i = 0; i < u->n_files; i++) {
        const char *name = strrchr(u->files[i].path, '/');
        char *dir;

        if (!name || strcmp(name, "/stdint.h"))
            continue;
        dir = strdup(u->files[i].path);
        if (!dir)
            exit(1);
        dir[name - u->files[i].path] = 0;
        return dir;
    }
    return NULL;
}

static bool read_unit(Unit *u, CXIndex index, const char *dir)
{
    if (!parse(u, index, dir))
        return false;
    clang_visitChildren(clang_getTranslationUnitCursor(u->tu), visit_top, u);
    clang_getInclusions(u->tu, visit_inclusion, u);
    spread_includes(u);
    sort_entities(u);
    find_needs(u);
    refuse_conditions(u);
    return u->n_errors == 0;
}

/* ---- contracts ---- */

typedef struct {
    char *field[N_FIELDS];
    int rows, tokens;
    int number[N_NUMBERS];
} Contract;

static int field_of(const char *key)
{
    static const struct {
        const char *key;
        int field;
    } names[] = {
        { "op", OP },   { "layout", LAYOUT },     { "x", ACT },       { "kv", ACT },
        { "isa", ISA }, { "features", FEATURES }, { "order", ORDER },
        { "panel", PANEL },
        { "panel", PANEL },
    };

    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (!strcmp(names[i].key, key))
            return names[i].field;
    return -1;
}

static int number_of(const char *key)
{
    for (int i = 0; i < N_NUMBERS; i++)
        if (!strcmp(numbers[i], key))
            return i;
    return -1;
}

static bool known_isa(const Unit *u, const char *isa)
{
    for (int i = 0; i < MAX_ISAS && u->source->isas[i]; i++)
        if (!strcmp(u->source->isas[i], isa))
            return true;
    return false;
}

static bool read_contract(Unit *u, const Entity *e, Contract *c)
{
    char *text = strdup(e->contract);
    char *rest = text;
    char *pair;

    *c = (Contract){ .field = { "", "", "", "", "", "", "" } };
    while (text && (pair = strtok_r(rest, ", ", &rest)) != NULL) {
        char *value = strchr(pair, '=');
        int n = 0;

        if (!value || !value[1])
            return complain(u, e->file, e->core, "'%s' is not key=value", pair);
        *value++ = 0;
        if (!strcmp(pair, "tile")) {
            if (sscanf(value, "%dx%d%n", &c->rows, &c->tokens, &n) != 2 || value[n] ||
                c->rows < 1 || c->tokens < 1)
                return complain(u, e->file, e->core, "tile '%s' is not ROWSxTOKENS", value);
        } else if (number_of(pair) >= 0) {
            if (sscanf(value, "%d%n", &c->number[number_of(pair)], &n) != 1 || value[n] || c->number[number_of(pair)] < 0)
                return complain(u, e->file, e->core, "%s '%s' is not a number", pair, value);
        } else if (field_of(pair) < 0)
            return complain(u, e->file, e->core, "a contract has no key '%s'", pair);
        else
            c->field[field_of(pair)] = value;
    }
    if (!*c->field[OP] || !*c->field[ORDER])
        return complain(u, e->file, e->core, "the contract of '%s' lacks op or order", e->name);
    if (!known_isa(u, c->field[ISA]))
        return complain(u, e->file, e->core, "isa '%s' of '%s' is not one of this unit",
                        c->field[ISA], e->name);
    return true;
}

/* ---- printing ---- */

/* n bytes as a C string literal, a line each. */
static void print_literal(const char *p, size_t n)
{
    fputs("\n        \"", stdout);
    for (size_t i = 0; i < n; i++) {
        unsigned char ch = (unsigned char)p[i];

        if (ch == '\n')
            fputs(i + 1 < n ? "\\n\"\n        \"" : "\\n", stdout);
        else if (ch == '"' || ch == '\\' || ch == '?')
            printf("\\%c", ch);
        else if (isprint(ch))
            putchar(ch);
        else
            printf("\\%03o", ch);
    }
    putchar('"');
}

static void print_text(const Unit *u, const Entity *e)
{
    const char *text = u->files[e->file].text;
    const char *note = e->contract ? strstr(text + e->core, "SN_KERNEL") : NULL;
    size_t n = e->end - e->begin;
    char *out = malloc(n + 1);
    size_t kept = 0;

    if (!out)
        exit(1);
    if (note && note < text + e->end) { /* it has been read; the emitted code has no use for it */
        int depth = 0;

        kept = (size_t)(note - (text + e->begin));
        memcpy(out, text + e->begin, kept);
        for (; *note; note++) {
            depth += *note == '(';
            if (*note == ')' && --depth == 0)
                break;
        }
        for (note += *note == ')'; *note == '\n' || *note == ' '; note++) {
        }
    } else
        note = text + e->begin;
    memcpy(out + kept, note, (size_t)(text + e->end - note));
    kept += (size_t)(text + e->end - note);
    print_literal(out, kept);
    free(out);
}

static void print_entities(const Unit *u, int nr, const int *file_nr)
{
    for (int i = 0; i < u->n_entities; i++) {
        int n = 0;

        for (int k = 0; k < u->n_entities; k++)
            if (u->entities[i].needs[k]) {
                if (n++ == 0)
                    printf("static const int needs_%d_%d[] = { %d", nr, i, k);
                else
                    printf(", %d", k);
            }
        if (n)
            fputs(" };\n", stdout);
    }
    printf("static const KernelEntity entities_%d[] = {\n", nr);
    for (int i = 0; i < u->n_entities; i++) {
        const Entity *e = &u->entities[i];
        int n = 0;

        for (int k = 0; k < u->n_entities; k++)
            n += e->needs[k];
        printf("    { \"%s\", \"%s\",", e->name, e->kind);
        print_text(u, e);
        if (n)
            printf(",\n      needs_%d_%d, %d, %d },\n", nr, i, n, file_nr[e->file]);
        else
            printf(",\n      NULL, 0, %d },\n", file_nr[e->file]);
    }
    fputs("};\n", stdout);
}

static int print_kernels(Unit *u, int nr)
{
    int n = 0;

    printf("static const KernelInfo kernels_%d[] = {\n", nr);
    for (int i = 0; i < u->n_entities; i++) {
        Contract c;

        if (!u->entities[i].contract || !read_contract(u, &u->entities[i], &c))
            continue;
        printf("    { \"%s\",", u->entities[i].name);
        for (int k = 0; k < N_FIELDS; k++)
            printf(" \"%s\",", c.field[k]);
        for (int k = 0; k < N_NUMBERS; k++)
            printf(" %d,", c.number[k]);
        printf(" %d, %d, %d },\n", c.rows, c.tokens, i);
        n++;
    }
    fputs("};\n", stdout);
    return n;
}

static void print_unit(Unit *u, int nr, int *n_kernels, int *n_includes)
{
    int *file_nr = calloc((size_t)u->n_files, sizeof *file_nr);
    int n = 0;

    if (!file_nr)
        exit(1);
    for (int i = 0; i < u->n_files; i++) /* only ours are numbered: the others depend on the host */
        if (ours(u, i))
            file_nr[i] = n++;
    printf("\n/* ---- %s ---- */\n", u->source->isas[0]);
    print_entities(u, nr, file_nr);
    *n_kernels = print_kernels(u, nr);
    printf("static const char *const isas_%d[] = { ", nr);
    for (int i = 0; i < MAX_ISAS && u->source->isas[i]; i++)
        printf("\"%s\", ", u->source->isas[i]);
    printf("NULL };\nstatic const KernelInclude includes_%d[] = {\n", nr);
    for (int i = 0; i < u->n_includes; i++)
        if (u->includes[i].header) {
            printf("    { \"%s\", %d },\n", u->includes[i].header, file_nr[u->includes[i].file]);
            *n_includes += 1;
        }
    fputs("};\n", stdout);
    free(file_nr);
}

static bool list_unit(Unit *u)
{
    for (int i = 0; i < u->n_entities; i++)
        if (u->entities[i].contract)
            printf("%s %s %s\n", u->source->isas[0], u->entities[i].name, u->entities[i].contract);
    return true;
}

int main(int argc, char **argv)
{
    CXIndex index = clang_createIndex(0, 0);
    bool list = argc == 3 && !strcmp(argv[2], "--list");
    char *root = argc == 2 || list ? realpath(argv[1], NULL) : NULL;
    Unit u[N_UNITS] = { 0 };
    int n_kernels[N_UNITS] = { 0 };
    int n_includes[N_UNITS] = { 0 };
    int n_errors = 0;

    if (!root) {
        fprintf(stderr, argc == 2 || list ? "kernel_reader: error: no such folder\n"
                                          : "usage: kernel_reader DIR [--list]\n");
        return argc == 2 || list ? 1 : 2;
    }
    if (!list)
        fputs("/* Printed by codegen/tools/kernel_reader.c from runtime/kernels. */\n#include "
              "\"codegen/kernels.h\"\n\n"
              "#pragma GCC diagnostic ignored \"-Woverlength-strings\"\n",
              stdout);
    for (int i = 0; i < N_UNITS; i++) {
        u[i].source = &units[i];
        u[i].root = root;
        u[i].builtin = i ? builtin_headers(&u[0]) : NULL;
        if (!read_unit(&u[i], index, argv[1]))
            return 1;
        if (list)
            list_unit(&u[i]);
        else
            print_unit(&u[i], i, &n_kernels[i], &n_includes[i]);
        n_errors += u[i].n_errors;
        clang_disposeTranslationUnit(u[i].tu);
    }
    if (!list) {
        fputs("\nconst KernelUnit kernel_units[] = {\n", stdout);
        for (int i = 0; i < N_UNITS; i++)
            printf("    { \"%s\", isas_%d, kernels_%d, %d, entities_%d, %d, includes_%d, %d },\n",
                   units[i].isas[0], i, i, n_kernels[i], i, u[i].n_entities, i, n_includes[i]);
        fputs("    { NULL, NULL, NULL, 0, NULL, 0, NULL, 0 },\n};\n", stdout);
    }
    clang_disposeIndex(index);
    return n_errors || ferror(stdout) || fflush(stdout) ? 1 : 0;
}
