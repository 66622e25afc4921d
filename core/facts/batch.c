#include "core/facts/batch.h"

#include <stdlib.h>

void batch_deinit(struct batch *b)
{
    free(b->text);
    free(b->sets);
    free(b->facts);
    arena_deinit(&b->arena);
    *b = (struct batch){0};
}
