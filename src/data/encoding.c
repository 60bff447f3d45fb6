/* Encodings with ICU: the detector chooses between GB18030 and Latin-1 only where neither a mark,
 * nor zero bytes, nor valid UTF-8 decide; converters stop at the first byte that is not valid.
 * Files are read through zlib, which passes plain files through. */
#include "data/encoding.h"

#include <errno.h>
#include <unicode/ucnv.h>
#include <unicode/ucsdet.h>
#include <zlib.h>

#include "base/alloc.h"
#include "base/fs.h"

#define BLOCK ((size_t)1 << 18)

static const char *const names[] = {"utf-8", "utf-16", "utf-16", "gb18030", "latin-1"};
static const char *const converters[] = {"UTF-8", "UTF-16LE", "UTF-16BE", "gb18030",
                                         "windows-1252"};

const char *encoding_found_name(enum encoding_found e)
{
    return names[e];
}

static bool has_mark(struct am_str s, const char *mark, size_t n)
{
    return s.len >= n && memcmp(s.ptr, mark, n) == 0;
}

/* Valid but for a character cut off at the end. */
static bool utf8_so_far(struct am_str s)
{
    for (size_t back = 1; back < 4 && back <= s.len; back++) {
        unsigned char c = (unsigned char)s.ptr[s.len - back];
        if ((c & 0xc0) == 0x80)
            continue; /* looks for the lead byte of the last character */
        size_t want = c >= 0xf0 ? 4 : c >= 0xe0 ? 3 : c >= 0xc2 ? 2 : 1;
        if (want > back && c <= 0xf4)
            s.len -= back;
        break;
    }
    return am_utf8_valid(s);
}

static bool converts(struct am_str s, enum encoding_found e)
{
    struct am_buf out;
    am_buf_init(&out, s.len * 4 + 64);
    bool ok = encoding_convert_head(s, e, &out, NULL) == AM_OK;
    am_buf_clear(&out);
    return ok;
}

static enum am_rc ask_icu(struct am_str head, enum encoding_found *out, struct am_err *err)
{
    UErrorCode status = U_ZERO_ERROR;
    UCharsetDetector *d = ucsdet_open(&status);
    if (U_FAILURE(status))
        return am_fail(err, AM_ENOMEM, "cannot open the encoding detector: %s",
                       u_errorName(status));
    int32_t n = 0;
    ucsdet_setText(d, head.ptr, (int32_t)head.len, &status);
    const UCharsetMatch **matches = ucsdet_detectAll(d, &n, &status);
    *out = ENCODING_LATIN1;
    for (int32_t i = 0; U_SUCCESS(status) && i < n; i++) {
        const char *name = ucsdet_getName(matches[i], &status);
        if (name && strcmp(name, "GB18030") == 0 && converts(head, ENCODING_GB18030)) {
            *out = ENCODING_GB18030;
            break;
        }
        if (name && (strncmp(name, "ISO-8859-1", 10) == 0 || strcmp(name, "windows-1252") == 0))
            break;
    }
    ucsdet_close(d);
    return U_SUCCESS(status)
               ? AM_OK
               : am_fail(err, AM_ENOMEM, "cannot detect the encoding: %s", u_errorName(status));
}

enum am_rc encoding_detect(struct am_str head, enum am_encoding asked, enum encoding_found *out,
                           struct am_err *err)
{
    size_t zeros[2] = {0, 0};
    for (size_t i = 0; i < head.len; i++)
        zeros[i & 1] += head.ptr[i] == '\0';
    bool big =
        has_mark(head, "\xfe\xff", 2) || (!has_mark(head, "\xff\xfe", 2) && zeros[0] > zeros[1]);
    switch (asked) {
    case AM_ENC_UTF8:
        *out = ENCODING_UTF8;
        return AM_OK;
    case AM_ENC_UTF16:
        *out = big ? ENCODING_UTF16BE : ENCODING_UTF16LE;
        return AM_OK;
    case AM_ENC_GB18030:
        *out = ENCODING_GB18030;
        return AM_OK;
    case AM_ENC_LATIN1:
        *out = ENCODING_LATIN1;
        return AM_OK;
    case AM_ENC_AUTO:
        break;
    }
    if (has_mark(head, "\xff\xfe", 2) || has_mark(head, "\xfe\xff", 2) ||
        (head.len >= 8 && (zeros[0] + zeros[1]) * 4 > head.len &&
         (zeros[0] == 0 || zeros[1] == 0))) {
        *out = big ? ENCODING_UTF16BE : ENCODING_UTF16LE;
        return AM_OK;
    }
    if (has_mark(head, "\xef\xbb\xbf", 3) || utf8_so_far(head)) {
        *out = ENCODING_UTF8;
        return AM_OK;
    }
    /* the detector wants whole characters: cut at the last line end */
    struct am_str text = head;
    while (text.len > 0 && text.ptr[text.len - 1] != '\n')
        text.len--;
    return ask_icu(text.len ? text : head, out, err);
}

enum am_rc encoding_read_head(const char *path, struct am_str label, size_t max, struct am_buf *out,
                              bool *whole, bool *gzip, struct am_err *err)
{
    *whole = false;
    gzFile f = gzopen(path, "rb");
    if (!f)
        return am_fail_errno(err, errno ? errno : ENOMEM, "cannot open \"%.*s\"", AM_FMT(label));
    enum am_rc rc = AM_OK;
    while (out->len < max) {
        size_t want = max - out->len < BLOCK ? max - out->len : BLOCK;
        char *to = am_buf_reserve(out, want);
        int got = to ? gzread(f, to, (unsigned)want) : -1;
        if (!to) {
            rc = am_buf_check(out, err);
            break;
        }
        if (got < 0) {
            int code = 0;
            const char *why = gzerror(f, &code);
            rc = code == Z_ERRNO
                     ? am_fail_errno(err, errno, "cannot read \"%.*s\"", AM_FMT(label))
                     : am_fail(err, AM_EINVAL, "\"%.*s\" is damaged gzip: %s", AM_FMT(label), why);
            break;
        }
        am_buf_commit(out, (size_t)got);
        if (got == 0) {
            *whole = true;
            break;
        }
    }
    *gzip = !gzdirect(f);
    gzclose(f);
    return rc;
}

struct conversion {
    UConverter *from, *to;
    UChar pivot[2048];
    UChar *pivot_source, *pivot_target;
    bool fresh; /* the first call resets the converters */
    bool mark;  /* a byte order mark may come */
};

static void conversion_close(struct conversion *c)
{
    ucnv_close(c->from);
    ucnv_close(c->to);
    c->from = c->to = NULL;
}

static enum am_rc conversion_open(struct conversion *c, enum encoding_found e, struct am_err *err)
{
    UErrorCode status = U_ZERO_ERROR;
    *c = (struct conversion){.fresh = true, .mark = true};
    c->pivot_source = c->pivot_target = c->pivot;
    c->from = ucnv_open(converters[e], &status);
    c->to = ucnv_open("UTF-8", &status);
    if (U_SUCCESS(status))
        ucnv_setToUCallBack(c->from, UCNV_TO_U_CALLBACK_STOP, NULL, NULL, NULL, &status);
    if (U_SUCCESS(status))
        return AM_OK;
    conversion_close(c);
    return am_fail(err, AM_ENOMEM, "cannot open the converter for %s: %s", converters[e],
                   u_errorName(status));
}

/* One block; out is appended. false: not valid in that encoding, *used bytes were. */
static bool conversion_run(struct conversion *c, const char *in, size_t n, bool last,
                           struct am_buf *out, size_t *used)
{
    const char *source = in;
    for (;;) {
        char block[8192], *target = block, *begin = block;
        UErrorCode status = U_ZERO_ERROR;
        ucnv_convertEx(c->to, c->from, &target, block + sizeof block, &source, in + n, c->pivot,
                       &c->pivot_source, &c->pivot_target, c->pivot + 2048, c->fresh, last,
                       &status);
        c->fresh = false;
        if (c->mark && target - block >= 3) {
            if (memcmp(block, "\xef\xbb\xbf", 3) == 0)
                begin += 3;
            c->mark = false;
        }
        am_buf_add(out, begin, (size_t)(target - begin));
        *used = (size_t)(source - in);
        if (status == U_BUFFER_OVERFLOW_ERROR)
            continue;
        return U_SUCCESS(status);
    }
}

enum am_rc encoding_convert_head(struct am_str head, enum encoding_found from, struct am_buf *out,
                                 struct am_err *err)
{
    if (from == ENCODING_UTF8) {
        size_t skip = has_mark(head, "\xef\xbb\xbf", 3) ? 3 : 0;
        am_buf_add(out, head.ptr + skip, head.len - skip);
        return am_buf_check(out, err);
    }
    struct conversion c;
    size_t used = 0;
    enum am_rc rc = conversion_open(&c, from, err);
    if (rc == AM_OK && !conversion_run(&c, head.ptr, head.len, false, out, &used)) {
        rc = am_fail(err, AM_EINVAL, "byte %zu is not valid %s", used, names[from]);
        am_hint(err,
                "Say how the file is encoded: data.encoding: utf-8, utf-16, gb18030 or latin-1.");
    }
    if (rc == AM_OK)
        rc = am_buf_check(out, err);
    conversion_close(&c);
    return rc;
}

enum am_rc encoding_convert_file(const char *path, struct am_str label, enum encoding_found from,
                                 int fd, struct am_err *err)
{
    struct conversion c;
    struct am_buf out;
    char *in = am_alloc(BLOCK);
    gzFile f = gzopen(path, "rb");
    am_buf_init(&out, BLOCK * 8);
    enum am_rc rc = conversion_open(&c, from, err);
    uint64_t n_lines = 1;
    if (rc == AM_OK && !in)
        rc = am_fail_nomem(err, BLOCK);
    if (rc == AM_OK && !f)
        rc = am_fail_errno(err, errno ? errno : ENOMEM, "cannot open \"%.*s\"", AM_FMT(label));
    for (int got = 1; rc == AM_OK && got > 0;) {
        size_t used = 0;
        got = gzread(f, in, (unsigned)BLOCK);
        if (got < 0) {
            rc = am_fail(err, AM_EINVAL, "\"%.*s\" cannot be read to its end", AM_FMT(label));
            break;
        }
        am_buf_reset(&out);
        bool valid = conversion_run(&c, in, (size_t)got, got == 0, &out, &used);
        for (size_t i = 0; i < out.len; i++)
            n_lines += out.ptr[i] == '\n';
        if (!valid) {
            rc = am_fail(err, AM_EINVAL, "\"%.*s\" line %llu is not valid %s", AM_FMT(label),
                         (unsigned long long)n_lines, names[from]);
            am_hint(
                err,
                "Say how the file is encoded: data.encoding: utf-8, utf-16, gb18030 or latin-1.");
            break;
        }
        AM_GO(rc, am_buf_check(&out, err));
        AM_GO(rc, am_fs_write_all(fd, out.ptr ? out.ptr : "", out.len, err));
    }
out:
    if (f)
        gzclose(f);
    conversion_close(&c);
    am_buf_clear(&out);
    am_free(in);
    return rc;
}
