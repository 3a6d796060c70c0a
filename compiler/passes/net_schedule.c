/* schedule for networks without tokens: names of stages, and how many positions a panel has.
 *
 * A stage with a panel runs in groups of positions: so many as fill PANEL_BYTES, whole tiles of the kernel, and whole rows where a row fits; a chain in groups
 * of rows.
 *
 * Leaves on a stage: stage (its name), positions or rows, panel_bytes. */
#include "codegen/emit.h"
#include "codegen/kernels.h"
#include "compiler/passes/net.h"
#include "ir/image_layouts.h"

enum { PANEL_BYTES = 2048 };

/* The part of an op's name before the point: "conv_2d_0" of "conv_2d_0.acc". */
static const char *base_name(Arena *a, const char *name)
{
    return emit_ident(a, (Str){ name, strcspn(name, ".") });
}

static const char *fresh_name(Module *m, const Func *f, const Op *fused)
{
    const char *base = base_name(m->a, fused->out[0]->name), *name = base;

    for (int n = 1;; n++) {
        bool taken = !strcmp(name, "run");

        for (const Op *o = f->body->first; o && o != fused; o = net_next(o))
            taken = taken || (o->kind == OP_fused && !strcmp(op_str(o, "stage", ""), name));
        if (!taken)
            return name;
        name = str_printf(m->a, "%s_%d", base, n);
    }
}

static const KernelInfo *kernel_of(const Module *m, const Env *env, const Op *fused, const char *role)
{
    const char *name = op_str(fused, role, NULL);
    const KernelUnit *u = kernel_unit(env->n_target == 1 ? env->target[0]->isa[0] : "portable");

    (void)m;
    for (int i = 0; name && i < u->n_kernels; i++)
        if (!strcmp(u->kernels[i].name, name))
            return &u->kernels[i];
    return NULL;
}

/* Positions of a group of a stage with panels. */
static int64_t group(const NetWindow *w, const char *panel, int64_t tile)
{
    int64_t k = w->kernel_h * w->kernel_w * w->in_c, all = w->out_h * w->out_w, n = tile, row;

    while (n < all && image_panel_bytes(str_of(panel), k, n + tile) <= PANEL_BYTES)
        n += tile;
    for (row = w->out_w; row + w->out_w <= n || row % tile;)
        if ((row += w->out_w) > n)
            break;
    return n > all ? all : row <= n ? row : n;
}

/* Rows of a group of a chain: as many as fill a panel, with whole tiles if some number of them has. */
static int64_t group_rows(const NetWindow *w, const char *panel, int64_t tile)
{
    int64_t most = 1;

    while (most < w->out_h && image_panel_bytes(str_of(panel), w->in_c, (most + 1) * w->out_w) <= PANEL_BYTES)
        most++;
    for (int64_t rows = most; rows > most / 2; rows--)
        if (rows * w->out_w % tile == 0)
            return rows;
    return most;
}

static void schedule_panel(Module *m, const Env *env, Op *fused, const NetStage *s)
{
    const KernelInfo *dot = kernel_of(m, env, fused, "dot_panel.0");
    int64_t tile = dot && dot->tile_tokens ? dot->tile_tokens : 1, n, k;
    const char *panel = op_str(fused, "panel", "");
    NetStage last = s->kind == NET_chain ? net_part(fused, 1) : *s;
    NetWindow w = net_window(&last);

    k = w.kernel_h * w.kernel_w * w.in_c;
    if (s->kind == NET_chain) {
        n = group_rows(&w, panel, tile);
        op_set_attr(fused, attr_int("rows", n));
        n *= w.out_w;
    } else {
        n = group(&w, panel, tile);
        op_set_attr(fused, attr_int("positions", n));
    }
    op_set_attr(fused, attr_int("panel_bytes", (int64_t)image_panel_bytes(str_of(panel), k, n)));
}

static void schedule_stage(Module *m, const Env *env, Func *f, Op *fused)
{
    NetStage s = net_stage(fused);

    op_set_attr(fused, attr_str("stage", fresh_name(m, f, fused)));
    if (op_attr(fused, "panel"))
        schedule_panel(m, env, fused, &s);
}

bool net_schedule(Module *m, const Env *env, Diag *d)
{
    (void)d;
    for (Func *f = m->first_func; f; f = f->next)
        for (Op *o = f->body->first; o; o = net_next(o))
            if (o->kind == OP_fused)
                schedule_stage(m, env, f, o);
    return true;
}
