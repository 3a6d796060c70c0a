#include "codegen/net_map.h"

static NetPlace *place_of(const NetMap *map, const Value *v)
{
    for (int i = 0; i < map->n_place; i++)
        if (map->place[i].v == net_root(v))
            return &map->place[i];
    return NULL;
}

static void add_place(NetMap *map, const Value *v, const char *name, int64_t at, int64_t bytes, int first)
{
    map->place[map->n_place++] = (NetPlace){ name, v, at, bytes, first, first };
}

static int64_t bytes_of(const Value *v)
{
    uint64_t n = 0;

    type_bytes(v->type, &n);
    return (int64_t)n;
}

/* An image of strides {row, column, channel}: from the first byte of its first element to the last one of its last. */
static int64_t extent(const Attr *strides, int64_t h, int64_t w, int64_t c, int64_t element)
{
    return (h - 1) * strides->ints[0] + (w - 1) * strides->ints[1] + (c - 1) * strides->ints[2] + element;
}

/* Windows know how images lie. */
static void measure_images(NetMap *map, const Op *o)
{
    NetStage s = net_stage(o);
    NetWindow w;
    NetPlace *x, *y;

    if ((s.kind != NET_window && s.kind != NET_pool && s.kind != NET_chain) || !op_attr(o, "x") || !op_attr(o, "y"))
        return;
    w = net_window(&s);
    if (w.n_images > 1)
        return;
    x = place_of(map, o->in[net_param(o, s.op->in[0])]);
    y = place_of(map, o->out[0]);
    if (x)
        x->bytes = extent(op_attr(o, "x"), w.in_h, w.in_w, w.in_c, s.op->in[0]->type.fmt->bytes);
    if (y)
        y->bytes = extent(op_attr(o, "y"), w.out_h, w.out_w, net_dim(o->out[0]->type, o->out[0]->type.rank - 1), o->out[0]->type.fmt->bytes);
}

static void add_stage(NetMap *map, const Op *o, Arena *a)
{
    int stage = map->n_stage++;

    map->stage[stage] = o;
    for (int i = 0; i < o->n_in; i++)
        if (net_is_tensor(o->in[i]) && place_of(map, o->in[i]))
            place_of(map, o->in[i])->last = stage;
    for (int i = 0; i < o->n_out; i++)
        add_place(map, o->out[i], o->out[i]->name, op_attr(o, "out")->ints[i], bytes_of(o->out[i]), stage);
    for (int i = 0; i < o->n_attr; i++) {       /* X_at and X_bytes: what this stage alone uses */
        size_t n = strlen(o->attr[i].name);

        if (n > 3 && !strcmp(o->attr[i].name + n - 3, "_at")) {
            const char *what = str_printf(a, "%.*s", (int)(n - 3), o->attr[i].name);

            add_place(map, NULL, what, o->attr[i].i, op_int(o, str_printf(a, "%s_bytes", what), 0), stage);
        }
    }
    measure_images(map, o);
}

NetMap net_map(const Module *m, Arena *a)
{
    const Func *f = m->entry[0].func;
    NetMap map = { 0 };
    int n = f->body->n_param + m->n_state + 1, n_stage = 0;

    for (const Op *o = f->body->first; o; o = net_next(o)) {
        n += o->n_out + o->n_attr;
        n_stage += o->kind == OP_fused;
    }
    map.stage = ARENA_ARRAY(a, const Op *, n_stage + 1);
    map.place = ARENA_ARRAY(a, NetPlace, n);
    for (int i = 0; i < f->body->n_param; i++)
        if (net_is_tensor(f->body->param[i]))
            add_place(&map, f->body->param[i], f->body->param[i]->name, op_attr(f->body->last, "inputs")->ints[i], bytes_of(f->body->param[i]), -1);
    for (const Op *o = f->body->first; o; o = net_next(o)) {
        if (o->kind == OP_fused)
            add_stage(&map, o, a);
        for (int i = 0; o->kind == OP_return && i < o->n_in; i++)
            if (place_of(&map, o->in[i]))
                place_of(&map, o->in[i])->last = n_stage;
    }
    for (int i = 0; i < m->n_state; i++) {
        add_place(&map, m->state[i]->value, m->state[i]->name, op_attr(f->body->last, "states")->ints[i], bytes_of(m->state[i]->value), -1);
        map.place[map.n_place - 1].last = n_stage;
    }
    return map;
}

static bool is_there(const NetPlace *p, int stage)
{
    return p->first <= stage && stage <= p->last;
}

int64_t net_map_bytes(const NetMap *map, int stage)
{
    int64_t sum = 0, at = 0;

    for (;;) {                                  /* from one end of something to the next */
        const NetPlace *next = NULL;

        for (int i = 0; i < map->n_place; i++) {
            const NetPlace *p = &map->place[i];

            if (is_there(p, stage) && p->at + p->bytes > at && (!next || p->at < next->at))
                next = p;
        }
        if (!next)
            return sum;
        sum += next->at + next->bytes - (next->at > at ? next->at : at);
        at = next->at + next->bytes;
    }
}

int net_map_peak(const NetMap *map)
{
    int peak = 0;
    int64_t most = -1;

    for (int s = 0; s < map->n_stage; s++)
        if (net_map_bytes(map, s) > most) {
            most = net_map_bytes(map, s);
            peak = s;
        }
    return peak;
}

const char *net_map_over(const NetMap *map, int stage, Arena *a)
{
    const Op *o = map->stage[stage];
    const NetPlace *y = place_of(map, o->out[0]);

    for (int i = 0; i < o->n_in; i++) {
        const NetPlace *x = net_is_tensor(o->in[i]) ? place_of(map, o->in[i]) : NULL;

        if (x && x->at < y->at + y->bytes && y->at < x->at + x->bytes)
            return str_printf(a, "over %s%s", x->name, !strcmp(op_str(o, "order", ""), "up") ? ", from the last row up" : "");
    }
    return "";
}
