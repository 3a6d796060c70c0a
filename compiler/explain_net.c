/* explain of networks without tokens: what each stage computes, by which kernels, and where everything lies. */
#include "codegen/emit.h"
#include "codegen/net_map.h"
#include "compiler/explain.h"

/* The windows of a stage: of a chain both. */
static int windows_of(const Op *o, const NetStage *s, NetStage part[2])
{
    part[0] = *s;
    if (s->kind != NET_chain)
        return s->kind == NET_window || s->kind == NET_pool;
    part[0] = net_part(o, 0);
    part[1] = net_part(o, 1);
    return 2;
}

static uint64_t macs_of(const Op *o)
{
    NetStage s = net_stage(o), part[2];
    uint64_t macs = 0;

    if (s.kind == NET_fully)
        return (uint64_t)(type_n(s.op->in[1]->type) * (type_n(s.op->out[0]->type) / net_dim(s.op->in[1]->type, 0)));
    for (int i = 0; s.kind != NET_pool && i < windows_of(o, &s, part); i++) {
        NetWindow w = net_window(&part[i]);

        macs += (uint64_t)(w.n_images * w.out_h * w.out_w * type_n(part[i].op->in[1]->type));
    }
    return macs;
}

/* "dwconv2d 3 x 3 / 2", "add, clamp": what the stage's ops are. */
static const char *what_of(Look *k, const Op *o)
{
    NetStage s = net_stage(o), part[2];
    Buf b = buf_in(k->a);

    for (int i = 0; i < windows_of(o, &s, part); i++) {
        NetWindow w = net_window(&part[i]);

        buf_printf(&b, "%s%s %" PRId64 " x %" PRId64, i ? ", " : "", op_info[part[i].op->kind].name, w.kernel_h, w.kernel_w);
        if (w.stride_h > 1 || w.stride_w > 1)
            buf_printf(&b, " / %" PRId64, w.stride_h > w.stride_w ? w.stride_h : w.stride_w);
    }
    for (const Op *p = b.n ? NULL : o->region[0]->first; p && p->kind != OP_yield; p = p->next)
        buf_printf(&b, "%s%s", b.n ? ", " : "", op_info[p->kind].name);
    return b.n > 40 ? str_printf(k->a, "%.37s...", buf_z(&b)) : buf_z(&b);
}

static const char *kernels_of(Look *k, const Op *o)
{
    Buf b = buf_in(k->a);
    int target;

    for (int i = 0; i < o->n_attr; i++)
        if (explain_kernel_attr(&o->attr[i], &target))
            buf_printf(&b, "%s%s", b.n ? " + " : "", str_show(k->a, o->attr[i].s, 60));
    return b.n ? buf_z(&b) : "plain loops";
}

static const char *range(Look *k, int64_t at, int64_t bytes)
{
    return str_printf(k->a, "%" PRId64 " .. %" PRId64, at, at + bytes - 1);
}

static const NetPlace *made_by(const NetMap *map, int stage)
{
    for (int i = 0; i < map->n_place; i++)
        if (map->place[i].v && map->place[i].first == stage)
            return &map->place[i];
    bug("a stage without a result");
}

/* How its work is cut. */
static const char *groups_of(Look *k, const Op *o)
{
    if (op_int(o, "rows", 0) > 0)
        return str_printf(k->a, "groups of %s", explain_many(k, op_int(o, "rows", 1), "row"));
    if (op_attr(o, "panel"))
        return str_printf(k->a, "groups of %s", explain_many(k, op_int(o, "positions", 1), "position"));
    return "at once";
}

static void print_stages(Look *k, const NetMap *map)
{
    uint64_t all = 0;

    buf_printf(k->out, "\n  %-22s %-30s %13s   %-18s %s\n", "stage", "what it computes", "multiply-adds", "result in bytes", "kernels");
    for (int i = 0; i < map->n_stage; i++) {
        const Op *o = map->stage[i];
        const NetPlace *y = made_by(map, i);
        const char *over = net_map_over(map, i, k->a);

        buf_printf(k->out, "  %-22s %-30s %13s   %-18s %s; %s%s%s\n", explain_stage_name(k, o), what_of(k, o), explain_number(k, macs_of(o)), range(k, y->at, y->bytes),
                   kernels_of(k, o), groups_of(k, o), *over ? "; " : "", explain_show(k, over));
        all += macs_of(o);
    }
    buf_printf(k->out, "  total: %s, %s multiply-adds\n", explain_many(k, map->n_stage, "stage"), explain_number(k, all));
}

static void print_memory(Look *k, const NetMap *map)
{
    int peak = net_map_peak(map);
    int64_t out = module_meta_int(k->m, "channels.left_out", 0);

    buf_printf(k->out, "\n  memory: %s B, inputs and outputs in it\n", explain_number(k, (uint64_t)module_meta_int(k->m, "arena_bytes", 0)));
    if (map->n_stage) {
        buf_printf(k->out, "  most is needed by '%s', %s B:\n", explain_stage_name(k, map->stage[peak]), explain_number(k, (uint64_t)net_map_bytes(map, peak)));
        for (int i = 0; i < map->n_place; i++)
            if (map->place[i].first <= peak && peak <= map->place[i].last)
                buf_printf(k->out, "    %-40s %-18s %10s B\n", explain_show(k, map->place[i].name), range(k, map->place[i].at, map->place[i].bytes),
                           explain_number(k, (uint64_t)map->place[i].bytes));
    }
    buf_printf(k->out, "  weights: %s B, packed for these kernels\n", explain_number(k, (uint64_t)module_meta_int(k->m, "packed_bytes", 0)));
    if (out)
        buf_printf(k->out, "  %s left out, because they never change or nobody needs them\n", explain_many(k, out, "channel"));
}

static void json_place(Look *k, const NetPlace *p, bool first)
{
    buf_printf(k->out, "%s\n    {\"name\": %s, \"at\": %" PRId64 ", \"bytes\": %" PRId64 ", \"first\": %d, \"last\": %d}", first ? "" : ",",
               emit_json(k->a, str_of(p->name)), p->at, p->bytes, p->first, p->last);
}

void explain_net_json(Look *k)
{
    NetMap map = net_map(k->m, k->a);

    buf_printf(k->out, ",\n  \"memory_bytes\": %" PRId64 ", \"packed_bytes\": %" PRId64 ", \"peak_stage\": %d,\n  \"stages\": [",
               module_meta_int(k->m, "arena_bytes", 0), module_meta_int(k->m, "packed_bytes", 0), map.n_stage ? net_map_peak(&map) : -1);
    for (int i = 0; i < map.n_stage; i++)
        buf_printf(k->out, "%s\n    {\"stage\": %s, \"what\": %s, \"multiply_adds\": %" PRIu64 ", \"kernels\": %s, \"groups\": %s, \"bytes\": %" PRId64 "}", i ? "," : "",
                   emit_json(k->a, str_of(op_str(map.stage[i], "stage", "?"))), emit_json(k->a, str_of(what_of(k, map.stage[i]))), macs_of(map.stage[i]),
                   emit_json(k->a, str_of(kernels_of(k, map.stage[i]))), emit_json(k->a, str_of(groups_of(k, map.stage[i]))), net_map_bytes(&map, i));
    buf_puts(k->out, "],\n  \"memory\": [");
    for (int i = 0; i < map.n_place; i++)
        json_place(k, &map.place[i], !i);
    buf_puts(k->out, "]\n}\n");
}

void explain_net_print(Look *k)
{
    NetMap map = net_map(k->m, k->a);

    print_stages(k, &map);
    print_memory(k, &map);
}
