#include "model.h"

#include <stdlib.h>

static struct model_row *row_of(struct model *m, const struct sim_fact *f)
{
    return &m->rows[f->table][f->row];
}

static const struct model_slot *slot_of(const struct model *m, const struct sim_fact *f)
{
    const struct model_row *r = &m->rows[f->table][f->row];
    return f->is_delete ? &r->tombstone : &r->cells[f->column];
}

static void put(struct model_slot *slot, const struct sim_fact *f)
{
    if (slot->has && hlc_cmp(&slot->hlc, &f->hlc) >= 0) return;
    *slot = (struct model_slot){.has = true, .value = f->value, .hlc = f->hlc};
}

void model_take(struct model *m, const struct sim_fact *f)
{
    struct model_row *r = row_of(m, f);
    if (f->is_delete) {
        put(&r->tombstone, f);
        for (size_t i = 0; i < MODEL_COLUMNS; i++) r->cells[i].has = false;
    } else if (!r->tombstone.has) {
        put(&r->cells[f->column], f);
    }
}

bool model_has_current(const struct model *m, const struct sim_fact *f)
{
    const struct model_slot *slot = slot_of(m, f);
    return slot->has && hlc_eq(&slot->hlc, &f->hlc);
}

bool model_knows(const struct model *m, const struct sim_fact *f)
{
    const struct model_slot *slot = slot_of(m, f);
    if (!f->is_delete && m->rows[f->table][f->row].tombstone.has) return true;
    return slot->has && hlc_cmp(&slot->hlc, &f->hlc) >= 0;
}

static int compare_facts(const void *x, const void *y)
{
    const struct sim_fact *a = x, *b = y;
    return hlc_cmp(&a->hlc, &b->hlc);
}

static size_t add(const struct model_slot *slot, const struct hlc *after, struct sim_fact f,
                  struct sim_fact *ret)
{
    if (!slot->has || (after != NULL && hlc_cmp(&slot->hlc, after) <= 0)) return 0;
    *ret = f;
    ret->hlc = slot->hlc;
    ret->value = slot->value;
    return 1;
}

size_t model_list(const struct model *m, const struct hlc *after, struct sim_fact ret[MODEL_FACTS_MAX])
{
    size_t n = 0;
    for (uint32_t t = 0; t < MODEL_TABLES; t++) {
        for (uint32_t r = 0; r < MODEL_ROWS; r++) {
            const struct model_row *row = &m->rows[t][r];
            n += add(&row->tombstone, after, (struct sim_fact){.is_delete = true, .table = t, .row = r},
                     &ret[n]);
            for (uint32_t c = 0; c < MODEL_COLUMNS; c++)
                n +=
                    add(&row->cells[c], after, (struct sim_fact){.table = t, .row = r, .column = c}, &ret[n]);
        }
    }
    qsort(ret, n, sizeof *ret, compare_facts);
    return n;
}

static bool slots_equal(const struct model_slot *a, const struct model_slot *b)
{
    return a->has == b->has && (!a->has || (a->value == b->value && hlc_eq(&a->hlc, &b->hlc)));
}

bool model_equal(const struct model *a, const struct model *b, struct sim_fact *ret)
{
    for (uint32_t t = 0; t < MODEL_TABLES; t++) {
        for (uint32_t r = 0; r < MODEL_ROWS; r++) {
            const struct model_row *x = &a->rows[t][r], *y = &b->rows[t][r];
            *ret = (struct sim_fact){.is_delete = true, .table = t, .row = r};
            if (!slots_equal(&x->tombstone, &y->tombstone)) return false;
            ret->is_delete = false;
            for (ret->column = 0; ret->column < MODEL_COLUMNS; ret->column++)
                if (!slots_equal(&x->cells[ret->column], &y->cells[ret->column])) return false;
        }
    }
    return true;
}
