/* What Numba's code asks of the world around it, beside C's mathematics: memory for temporary arrays. */
#include <stddef.h>
#include <stdlib.h>

/* Numba's record of an allocation, which counts its references; the data follow it. */
typedef struct {
    long long references;
    void *destructor, *destructor_argument, *data;
} Allocation;

enum { LINE = 64 }; /* bytes of alignment */

Allocation *NRT_MemInfo_alloc_aligned(long long size, int alignment) {
    (void)alignment; /* at most LINE */
    size_t whole = (LINE + (size_t)size + LINE - 1) / LINE * LINE;
    Allocation *made = aligned_alloc(LINE, whole);
    *made = (Allocation){1, NULL, NULL, (char *)made + LINE};
    return made;
}

void NRT_MemInfo_call_dtor(Allocation *unused) { free(unused); }
