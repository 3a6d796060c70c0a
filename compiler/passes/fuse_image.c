/* fuse for networks without tokens: which ops are one stage (ir/net.h says which kinds there are).
 *
 * A depthwise convolution and the pointwise one behind it are one stage where nobody else reads what is between them, and the target has kernels for it: it
 * is never whole in memory.
 *
 * A contraction, a pool or a sum takes what follows it as long as that is the only use of its result and a kernel computes it on the way:
 * bias, requantization, an activation function.  What is left and works element by element is taken together from its last op backwards: an
 * op goes along if all its uses do, unless its result is int8: that is what operators hand on, and kernels begin and end with it.
 * Reshapes stay between the stages.  No group has a way around it: each has one result, and all else in it is used inside alone. */
#include "compiler/passes/fuse.h"

#include "codegen/kernels.h"
#include "ir/net.h"

typedef struct {
    Op *const *op;
    int n;
    int *group;
    const Op *end;          /* the return */
} Net;

/* The only op that uses o's result, and its operand; NULL: there are several, or none, or it is a result of the function. */
static int only_user(const Net *z, const Op *o, int *operand)
{
    int user = -1;

    for (int i = 0; i < z->end->n_in; i++)
        if (z->end->in[i] == o->out[0])
            return -1;
    for (int k = 0; k < z->n; k++)
        for (int i = 0; i < z->op[k]->n_in; i++)
            if (z->op[k]->in[i] == o->out[0]) {
                if (user >= 0)
                    return -1;
                user = k;
                *operand = i;
            }
    return user;
}

static bool takes_followers(const Op *o)
{
    return o->kind == OP_conv2d || o->kind == OP_dwconv2d || o->kind == OP_matmul || o->kind == OP_tconv2d || o->kind == OP_avgpool || o->kind == OP_maxpool ||
           o->kind == OP_sum;
}

/* The stage that begins with op i, and what follows. */
static void take_followers(Net *z, int i, int g)
{
    const Op *o = z->op[i];
    NetStage s = { .op = o, .kind = o->kind == OP_sum ? NET_sum : o->kind == OP_avgpool || o->kind == OP_maxpool ? NET_pool : NET_window };
    int operand = 0;

    for (int k; (k = only_user(z, o, &operand)) >= 0 && z->group[k] < 0 && net_may_follow(&s, z->op[k], operand);) {
        if (s.kind == NET_sum && type_n(z->op[k]->out[0]->type) != type_n(o->out[0]->type))
            return;
        o = z->op[k];
        z->group[k] = g;
        if (o->kind == OP_add)
            s.bias = o;
        else
            s.end = o;
    }
}

/* The op that ends the window of int8 that begins with op i, which are all in group g; -1: it is another stage. */
static int window_end(const Net *z, int i, int g)
{
    int last = i, operand = 0;

    if (!net_begins_window(z->op[i]))
        return -1;
    for (int k; (k = only_user(z, z->op[last], &operand)) >= 0 && z->group[k] == g;)
        last = k;
    return net_ends_window(z->op[last]) ? last : -1;
}

static NetWindow window_of(const Op *o)
{
    return net_window(&(NetStage){ .kind = NET_window, .op = o });
}

/* A pointwise convolution that alone reads a depthwise one joins it, if both are windows of int8. */
static void take_pointwise(Net *z, int i, int g)
{
    int last = window_end(z, i, g), operand = 0, k = last >= 0 ? only_user(z, z->op[last], &operand) : -1;
    NetWindow w;

    if (z->op[i]->kind != OP_dwconv2d || k < 0 || z->group[k] >= 0 || operand != 0 || z->op[k]->kind != OP_conv2d || !net_begins_window(z->op[k]))
        return;
    w = window_of(z->op[k]);
    if (!net_is_pointwise(&w) || w.n_images != 1)
        return;
    z->group[k] = g;
    take_followers(z, k, g);
    if (window_end(z, k, g) < 0)
        for (int n = k; n < z->n; n++)          /* it is something else: it stays alone */
            if (z->group[n] == g && n != last)
                z->group[n] = -1;
}

/* Are all uses of o's result in group g? */
static bool used_inside(const Net *z, const Op *o, int g)
{
    for (int i = 0; i < z->end->n_in; i++)
        if (z->end->in[i] == o->out[0])
            return false;
    for (int k = 0; k < z->n; k++)
        for (int i = 0; i < z->op[k]->n_in; i++)
            if (z->op[k]->in[i] == o->out[0] && z->group[k] != g)
                return false;
    return true;
}

static bool of_weights(const Op *o)
{
    for (int i = 0; i < o->n_in; i++)
        if (o->in[i]->kind != VAL_weight)
            return false;
    return true;
}

/* What makes the operands of the map that ends with op i, back to the beginning. */
static void take_makers(Net *z, int i, int g)
{
    int64_t n = type_n(z->op[i]->out[0]->type);

    for (int k = i - 1; k >= 0; k--) {
        const Op *o = z->op[k];

        if (z->group[k] < 0 && net_is_map(o) && format_id(o->out[0]->type.fmt) != FMT_i8 && (type_n(o->out[0]->type) == n || of_weights(o)) &&
            used_inside(z, o, g))
            z->group[k] = g;
    }
}

static const KernelInfo *kernel_for(const KernelUnit *u, const char *isa, const char *op, const char *panel)
{
    for (int i = 0; i < u->n_kernels; i++)
        if (!strcmp(u->kernels[i].isa, isa) && !strcmp(u->kernels[i].op, op) && (!panel || !strcmp(u->kernels[i].panel, panel)))
            return &u->kernels[i];
    return NULL;
}

bool fuse_chains(const Env *env)
{
    const KernelUnit *u = env->n_target == 1 ? kernel_unit(env->target[0]->isa[0]) : NULL;

    for (const char *const *isa = u ? env->target[0]->isa : NULL; isa && *isa; isa++) {
        const KernelInfo *dot = kernel_for(u, *isa, "dot_panel", NULL);

        if (dot)
            return kernel_for(u, *isa, "depthwise_panel", dot->panel) != NULL;
    }
    return env->n_target != 1;      /* plain C has both */
}

int fuse_image(Op *const *op, int n, const Op *end, bool chains, int *group, const char **kind)
{
    Net z = { .op = op, .n = n, .group = group, .end = end };
    int n_group = 0;

    for (int i = 0; i < n; i++)
        if (group[i] < 0 && takes_followers(op[i])) {
            group[i] = n_group;
            take_followers(&z, i, n_group);
            if (chains)
                take_pointwise(&z, i, n_group);
            n_group++;
        }
    for (int i = n - 1; i >= 0; i--)
        if (group[i] < 0) {
            group[i] = n_group++;
            if (net_is_map(op[i]))
                take_makers(&z, i, group[i]);
        }
    for (int i = 0; i < n; i++)
        kind[group[i]] = net_is_stage(op[i]) ? "image" : NULL;
    return n_group;
}
