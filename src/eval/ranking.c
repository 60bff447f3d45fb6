/* Hit rate, precision, recall, NDCG (Jarvelin and Kekalainen 2002), MAP, MRR and AUC of rankings;
 * see ranking.h. */
#include "eval/ranking.h"

#include <math.h>

void am_ranking_init(struct am_ranking *r, size_t k)
{
    *r = (struct am_ranking){.k = k ? k : 1};
}

void am_ranking_add(struct am_ranking *r, const size_t *places, size_t n_held, size_t n_candidates)
{
    size_t hits = 0, most = n_held < r->k ? n_held : r->k;
    double gain = 0, best = 0, precision = 0, below = 0;
    if (n_held == 0)
        return;
    for (size_t i = 0; i < n_held; i++) {
        /* items before this one that are held out, too: i */
        below += (double)(places[i] - i);
        if (places[i] >= r->k)
            continue;
        hits++;
        gain += 1 / log2((double)places[i] + 2);
        precision += (double)hits / (double)(places[i] + 1);
    }
    for (size_t i = 0; i < most; i++)
        best += 1 / log2((double)i + 2);
    const double others = (double)(n_candidates - n_held);
    r->n_users++;
    r->hit_rate += hits > 0;
    r->precision_at_k += (double)hits / (double)r->k;
    r->recall_at_k += (double)hits / (double)most;
    r->ndcg_at_k += gain / best;
    r->map_at_k += precision / (double)most;
    r->mrr += 1 / (double)(places[0] + 1);
    r->ranking_auc += others > 0 ? 1 - below / (others * (double)n_held) : 1;
}

void am_ranking_finish(struct am_ranking *r)
{
    double *all[] = {&r->hit_rate, &r->precision_at_k, &r->recall_at_k, &r->ndcg_at_k, &r->map_at_k,
                     &r->mrr,      &r->ranking_auc};
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
        *all[i] = r->n_users ? *all[i] / (double)r->n_users : (double)NAN;
}
