/* Ogg pages to packets to libvorbis. See ogg.h. */
#include "ogg.h"

#include <ogg/ogg.h>
#include <string.h>
#include <vorbis/codec.h>

#define STEP 65536
#define N_HEADERS 3

struct reader {
    struct am_str left;
    ogg_sync_state sync;
    ogg_stream_state stream;
    bool begun;
};

/* The next page of the one stream. */
static bool next_page(struct reader *r, ogg_page *page)
{
    for (;;) {
        int got = ogg_sync_pageout(&r->sync, page);
        if (got > 0)
            break;
        if (got < 0 || r->left.len == 0)
            return false; /* bytes between pages, a checksum that is wrong, or the end */
        size_t n = r->left.len < STEP ? r->left.len : STEP;
        char *to = ogg_sync_buffer(&r->sync, (long)n);
        if (to == NULL)
            return false;
        memcpy(to, r->left.ptr, n);
        if (ogg_sync_wrote(&r->sync, (long)n) != 0)
            return false;
        r->left = (struct am_str){r->left.ptr + n, r->left.len - n};
    }
    if (!r->begun) {
        r->begun = ogg_stream_init(&r->stream, ogg_page_serialno(page)) == 0;
        if (!r->begun)
            return false;
    }
    return ogg_stream_pagein(&r->stream, page) == 0;
}

static bool next_packet(struct reader *r, ogg_packet *packet)
{
    ogg_page page;
    for (;;) {
        int got = r->begun ? ogg_stream_packetout(&r->stream, packet) : 0;
        if (got != 0)
            return got > 0;
        if (!next_page(r, &page))
            return false;
    }
}

static bool is_vorbis(const ogg_packet *p)
{
    return p->bytes >= 7 && memcmp(p->packet + 1, "vorbis", 6) == 0;
}

bool ogg_headers_good(struct am_str bytes)
{
    struct reader r = {.left = bytes};
    vorbis_info info;
    vorbis_comment comment;
    ogg_packet packet;
    (void)ogg_sync_init(&r.sync);
    bool good = next_packet(&r, &packet);
    if (good && is_vorbis(&packet)) {
        vorbis_info_init(&info);
        vorbis_comment_init(&comment);
        for (int i = 0; i < N_HEADERS && good; i++)
            good = (i == 0 || next_packet(&r, &packet)) &&
                   vorbis_synthesis_headerin(&info, &comment, &packet) == 0;
        vorbis_comment_clear(&comment);
        vorbis_info_clear(&info);
    }
    if (r.begun)
        (void)ogg_stream_clear(&r.stream);
    (void)ogg_sync_clear(&r.sync);
    return good;
}
