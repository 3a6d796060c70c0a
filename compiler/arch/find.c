/* Tensors of a Model becoming weights of a Module: by name, with the shape that the family says
 * they have.
 *
 * A missing tensor or a wrong shape is reported and the search goes on, so that the user sees all
 * that is wrong with a file. */
#include "compiler/arch/arch.h"

Finder finder_new(Module *m, const Model *model, int file, Diag *d)
{
    return (Finder){ .m = m, .model = model, .d = d, .file = file, .ok = true,
                     .used = ARENA_ARRAY(m->a, bool, model->n_tensor + 1) };
}

static char *shape_text(Arena *a, int rank, const int64_t *dim)
{
    Buf b = buf_in(a);

    buf_putc(&b, '[');
    for (int i = 0; i < rank; i++) {
        if (i)
            buf_puts(&b, ", ");
        if (dim[i] < 0)
            buf_puts(&b, "any");
        else
            buf_printf(&b, "%" PRId64, dim[i]);
    }
    buf_putc(&b, ']');
    return str_z(a, buf_str(&b));
}

/* The tensor of that name if it has that shape (a dimension < 0: any).  NULL otherwise, mostly
 * after a report. */
static const ModelTensor *find(Finder *f, const char *name, int rank, const int64_t *dim,
                               bool required)
{
    const ModelTensor *t = model_tensor(f->model, name);
    Arena *a = f->m->a;
    bool same;

    if (!t) {
        if (required) {
            f->n_missing++;
            f->ok = fail(f->d, AT_WHAT(f->model->file.path, str_printf(a, "tensor '%s'", name)),
                         "is missing; its shape would be %s (conversion incomplete, or another "
                         "architecture?)",
                         shape_text(a, rank, dim));
        }
        return NULL;
    }
    f->used[t - f->model->tensor] = true;
    same = t->rank == rank;
    for (int i = 0; same && i < rank; i++)
        same = dim[i] < 0 || t->dim[i] == dim[i];
    if (!same) {
        f->ok = fail(f->d, model_at_tensor(f->model, t->name),
                     "its shape is %s, but the hyperparameters ask for %s",
                     shape_text(a, t->rank, t->dim), shape_text(a, rank, dim));
        return NULL;
    }
    if (t->fmt->kind == FORMAT_int) {
        f->ok = fail(f->d, model_at_tensor(f->model, t->name),
                     "weights of format %s are not known to this family", t->fmt->name);
        return NULL;
    }
    return t;
}

static WExpr *view(Finder *f, const ModelTensor *t)
{
    Dim dim[MODEL_MAX_RANK];
    WExpr *e;

    for (int i = 0; i < t->rank; i++)
        dim[i] = dim_const(f->m, t->dim[i]);
    e = wexpr_new(f->m, W_view, type_of(t->fmt, t->rank, dim));
    e->file = f->file;
    e->off = t->off;
    return e;
}

Weight *find_matrix(Finder *f, const char *name, int64_t n_out, int64_t n_in)
{
    const ModelTensor *t = find(f, name, 2, (int64_t[]){ n_out, n_in }, true);
    WExpr *e;

    if (!t)
        return NULL;
    e = view(f, t);
    return module_add_weight(f->m, name, e->type, e);
}

Weight *find_vector(Finder *f, const char *name, int64_t n, bool required)
{
    const ModelTensor *t = find(f, name, 1, &n, required);
    const Format *f32 = format_find(STR("f32"));
    WExpr *e;

    if (!t)
        return NULL;
    e = view(f, t);
    if (t->fmt != f32) {
        WExpr *c = wexpr_new(f->m, W_convert, type_1(f->m, f32, t->dim[0]));

        c->a = e;
        e = c;
    }
    return module_add_weight(f->m, name, e->type, e);
}

const ModelTensor *find_tensor(Finder *f, const char *name, int rank, const int64_t *dim)
{
    return find(f, name, rank, dim, true);
}

void find_ignore(Finder *f, const char *name)
{
    const ModelTensor *t = model_tensor(f->model, name);

    if (t)
        f->used[t - f->model->tensor] = true;
}

bool finder_done(Finder *f)
{
    for (uint64_t i = 0; i < f->model->n_tensor; i++)
        if (!f->used[i])
            f->ok = fail(f->d, model_at_tensor(f->model, f->model->tensor[i].name),
                         "this family has no such tensor (a model computed without it would be "
                         "another model; is "
                         "general.architecture right?)");
    return f->ok;
}
