/* Files.  Inputs are mapped, so that a weight is a view and nothing is copied to look at it.  Outputs are made beside their final
 * place and renamed:
 *
 *     model.bin.tmp-4711   --write, write, ...-->   rename   -->   model.bin
 *
 * so that whoever looks at model.bin sees the old content or the new one, whole.  All that is open hangs on the FileSet, in
 * malloc'd nodes: main closes it also after an allocation failure has jumped out of the code that opened the file, and what was
 * not committed is removed then. */
#include "ir/base/base.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <dirent.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

typedef struct Mapping { struct Mapping *next; void *p; size_t n; } Mapping;

struct OutFile {
    OutFile *next;
    FileSet *fs;
    Diag *d;
    FILE *f;
    char *path, *tmp;               /* tmp NULL: written in place (a device or a pipe) */
};

struct OutDir {
    OutDir *next;
    FileSet *fs;
    Diag *d;
    char *path, *tmp;
};

struct FileSet {
    Mapping *maps;
    OutFile *files;
    OutDir *dirs;
};

/* ---- names ------------------------------------------------------------------------------------ */

/* Length without trailing slashes; "/" keeps its one. */
static size_t trimmed(const char *path)
{
    size_t n = strlen(path);

    while (n > 1 && path[n - 1] == '/')
        n--;
    return n;
}

const char *path_base(const char *path)
{
    size_t n = trimmed(path);

    while (n > 0 && path[n - 1] != '/')
        n--;
    return path + n;
}

char *path_stem(Arena *a, const char *path)
{
    const char *base = path_base(path);
    size_t n = trimmed(base), dot = n;

    while (dot > 0 && base[dot - 1] != '.')
        dot--;
    if (dot > 1)                    /* a leading dot is no extension */
        n = dot - 1;
    return str_z(a, (Str){ base, n });
}

char *path_dir(Arena *a, const char *path)
{
    size_t n = (size_t)(path_base(path) - path);

    if (n == 0)
        return str_z(a, STR("."));
    while (n > 1 && path[n - 1] == '/')
        n--;
    return str_z(a, (Str){ path, n });
}

char *path_join(Arena *a, const char *dir, const char *name)
{
    size_t n = strlen(dir);

    if (n == 0 || name[0] == '/')
        return str_printf(a, "%s", name);
    return str_printf(a, "%s%s%s", dir, dir[n - 1] == '/' ? "" : "/", name);
}

/* ---- the set ---------------------------------------------------------------------------------- */

FileSet *files_new(void)
{
    return calloc(1, sizeof(FileSet));
}

static int remove_entry(const char *path, const struct stat *st, int kind, struct FTW *at)
{
    (void)st;
    (void)kind;
    (void)at;
    return remove(path);
}

static void remove_tree(const char *path)
{
    enum { MAX_OPEN = 16 };

    nftw(path, remove_entry, MAX_OPEN, FTW_DEPTH | FTW_PHYS);
}

/* Takes the file out of the set; its temporary name is removed unless it was renamed (tmp NULL then). */
static void outfile_drop(OutFile *o)
{
    OutFile **at = &o->fs->files;

    while (*at != o)
        at = &(*at)->next;
    *at = o->next;
    if (o->f)
        fclose(o->f);
    if (o->tmp)
        remove(o->tmp);
    free(o->path);
    free(o->tmp);
    free(o);
}

static void outdir_drop(OutDir *o)
{
    OutDir **at = &o->fs->dirs;

    while (*at != o)
        at = &(*at)->next;
    *at = o->next;
    if (o->tmp)
        remove_tree(o->tmp);
    free(o->path);
    free(o->tmp);
    free(o);
}

void files_close(FileSet *fs)
{
    if (!fs)
        return;
    while (fs->files)
        outfile_drop(fs->files);
    while (fs->dirs)
        outdir_drop(fs->dirs);
    while (fs->maps) {
        Mapping *m = fs->maps;

        fs->maps = m->next;
        munmap(m->p, m->n);
        free(m);
    }
    free(fs);
}

/* ---- inputs ----------------------------------------------------------------------------------- */

static const char *advice(int error)
{
    switch (error) {
    case ENOENT: return "check the path";
    case EACCES: return "check its permissions";
    case ENOSPC: return "free some space";
    case EROFS: case EPERM: return "choose another place with -o";
    case ENOMEM: return "the machine has too little memory or address space left";
    default: return "the system refused it";
    }
}

static bool fail_errno(Diag *d, const char *path, const char *doing)
{
    int e = errno;

    return fail(d, AT_FILE(path), "%s: %s (%s)", doing, strerror(e), advice(e));
}

bool file_map(FileSet *fs, Arena *a, Diag *d, const char *path, Mapped *out)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);     /* a named pipe must not block here */
    struct stat st;
    Mapping *m;

    if (fd < 0 && !strcmp(path, "-"))
        return fail(d, AT_FILE(path), "standard input cannot be mapped (save it to a file first)");
    if (fd < 0)
        return fail_errno(d, path, "cannot open");
    if (fstat(fd, &st) != 0) {
        close(fd);
        return fail_errno(d, path, "cannot look at");
    }
    if (!S_ISREG(st.st_mode)) {
        close(fd);
        return S_ISDIR(st.st_mode)
            ? fail(d, AT_FILE(path), "is a folder (name a file in it)")
            : fail(d, AT_FILE(path), "is not a regular file (save it to a file first)");
    }
    *out = (Mapped){ str_copy(a, str_of(path)).p, (const uint8_t *)"", (uint64_t)st.st_size };
    if (st.st_size == 0) {
        close(fd);
        return true;
    }
    m = malloc(sizeof *m);
    if (m) {
        m->n = (size_t)st.st_size;
        m->p = mmap(NULL, m->n, PROT_READ, MAP_PRIVATE, fd, 0);
    }
    if (!m || m->p == MAP_FAILED) {
        fail_errno(d, path, "cannot map");
        free(m);
        close(fd);
        return false;
    }
    close(fd);
    m->next = fs->maps;
    fs->maps = m;
    out->p = m->p;
    return true;
}

/* ---- one output file -------------------------------------------------------------------------- */

/* PATH.tmp-PID or PATH.old-PID, malloc'd; trailing slashes of PATH are left out. */
static char *beside(const char *path, const char *what)
{
    size_t n = trimmed(path) + strlen(what) + 32;
    char *p = malloc(n);

    if (p)
        snprintf(p, n, "%.*s.%s-%ld", (int)trimmed(path), path, what, (long)getpid());
    return p;
}

OutFile *out_open(FileSet *fs, Arena *a, Diag *d, const char *path)
{
    OutFile *o = calloc(1, sizeof *o);
    struct stat st;
    bool in_place = stat(path, &st) == 0 && !S_ISREG(st.st_mode);

    (void)a;
    if (in_place && S_ISDIR(st.st_mode)) {
        free(o);
        fail(d, AT_FILE(path), "is a folder (name a file)");
        return NULL;
    }
    if (o) {
        o->fs = fs;
        o->d = d;
        o->next = fs->files;
        fs->files = o;
        o->path = strdup(path);
        o->tmp = in_place ? NULL : beside(path, "tmp");
    }
    if (!o || !o->path || (!o->tmp && !in_place)) {
        if (o)
            outfile_drop(o);
        errno = ENOMEM;
        fail_errno(d, path, "cannot write");
        return NULL;
    }
    if (o->tmp)
        remove(o->tmp);             /* of a crashed process that had our number */
    o->f = o->tmp ? fopen(o->tmp, "wbx") : fopen(path, "wb");
    if (!o->f) {
        fail_errno(d, path, "cannot write");
        outfile_drop(o);
        return NULL;
    }
    return o;
}

bool out_write(OutFile *o, const void *p, size_t n)
{
    if (n && fwrite(p, 1, n, o->f) != n)
        return fail_errno(o->d, o->path, "cannot write");
    return true;
}

bool out_commit(OutFile *o)
{
    bool ok = !ferror(o->f) && fflush(o->f) == 0;

    ok = fclose(o->f) == 0 && ok;
    o->f = NULL;
    if (ok && o->tmp) {
        ok = rename(o->tmp, o->path) == 0;
        if (ok) {
            free(o->tmp);
            o->tmp = NULL;
        }
    }
    if (!ok)
        fail_errno(o->d, o->path, "cannot write");
    outfile_drop(o);
    return ok;
}

bool file_write(FileSet *fs, Arena *a, Diag *d, const char *path, Str text)
{
    OutFile *o = out_open(fs, a, d, path);

    if (!o)
        return false;
    if (!out_write(o, text.p, text.n)) {
        outfile_drop(o);
        return false;
    }
    return out_commit(o);
}

/* ---- an output folder ------------------------------------------------------------------------- */

/* Ours: a manifest.json that names sinter within its first 4 KiB. */
static bool has_our_manifest(const char *path)
{
    char text[4097], name[4096];
    size_t n;
    FILE *f;

    if (snprintf(name, sizeof name, "%s/manifest.json", path) >= (int)sizeof name)
        return false;
    f = fopen(name, "rb");
    if (!f)
        return false;
    n = fread(text, 1, sizeof text - 1, f);
    fclose(f);
    text[n] = 0;
    return strstr(text, "\"sinter") != NULL;
}

static bool is_empty_dir(const char *path)
{
    DIR *dir = opendir(path);
    bool empty = dir != NULL;

    for (struct dirent *e; dir && (e = readdir(dir)) != NULL; )
        if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
            empty = false;
    if (dir)
        closedir(dir);
    return empty;
}

/* May PATH be replaced?  Reports why not. */
static bool replaceable(Diag *d, const char *path, bool *exists)
{
    struct stat st;

    *exists = lstat(path, &st) == 0;
    if (!*exists)
        return errno == ENOENT ? true : fail_errno(d, path, "cannot look at");
    if (stat(path, &st) != 0 || !S_ISDIR(st.st_mode))
        return fail(d, AT_FILE(path), "exists and is not a folder (choose another name with -o)");
    if (!is_empty_dir(path) && !has_our_manifest(path))
        return fail(d, AT_FILE(path), "exists, is not empty and was not written by sinter "
                    "(it would be replaced: choose another folder with -o, or remove it)");
    return true;
}

bool file_make_parents(Arena *a, Diag *d, const char *path)
{
    char *dir = path_dir(a, path);

    for (char *c = dir + 1; ; c++) {
        char kept = *c;

        if (kept != '/' && kept != 0)
            continue;
        *c = 0;
        if (mkdir(dir, 0777) != 0 && errno != EEXIST)
            return fail_errno(d, dir, "cannot make the folder");
        *c = kept;
        if (!kept)
            return true;
    }
}

OutDir *outdir_open(FileSet *fs, Arena *a, Diag *d, const char *path)
{
    OutDir *o;
    bool exists;

    if (!*path) {
        fail(d, NOWHERE, "the output folder has an empty name (give one with -o)");
        return NULL;
    }
    if (!replaceable(d, path, &exists) || !file_make_parents(a, d, path))
        return NULL;
    o = calloc(1, sizeof *o);
    if (o) {
        o->fs = fs;
        o->d = d;
        o->next = fs->dirs;
        fs->dirs = o;
        o->path = strdup(path);
        o->tmp = beside(path, "tmp");
    }
    if (!o || !o->path || !o->tmp) {
        if (o)
            outdir_drop(o);
        errno = ENOMEM;
        fail_errno(d, path, "cannot make the folder");
        return NULL;
    }
    o->path[trimmed(path)] = 0;
    remove_tree(o->tmp);            /* of a crashed process that had our number */
    if (mkdir(o->tmp, 0777) != 0) {
        fail_errno(d, path, "cannot make the folder");
        outdir_drop(o);
        return NULL;
    }
    return o;
}

const char *outdir_path(OutDir *o)
{
    return o->tmp;
}

/* Puts tmp where path is and removes what path was.  Where the kernel can exchange two names at once, there is no moment without
 * a folder of that name. */
static bool replace_dir(const char *tmp, const char *path)
{
    char *old;
    bool ok;

#ifdef RENAME_EXCHANGE
    if (renameat2(AT_FDCWD, tmp, AT_FDCWD, path, RENAME_EXCHANGE) == 0) {
        remove_tree(tmp);
        return true;
    }
#endif
    old = beside(path, "old");
    if (!old)
        return false;
    ok = rename(path, old) == 0;
    if (ok && rename(tmp, path) != 0) {
        int e = errno;

        ok = false;
        rename(old, path);
        errno = e;
    }
    if (ok)
        remove_tree(old);
    free(old);
    return ok;
}

bool outdir_commit(OutDir *o)
{
    bool exists, ok = replaceable(o->d, o->path, &exists);

    if (ok) {
        ok = exists ? replace_dir(o->tmp, o->path) : rename(o->tmp, o->path) == 0;
        if (ok) {
            free(o->tmp);
            o->tmp = NULL;
        } else {
            fail_errno(o->d, o->path, "cannot put the folder in place");
        }
    }
    outdir_drop(o);
    return ok;
}
