/* What the report and the explanation page share: style sheet, escaping, numbers, pictures. Shared
 * by the files of eval/ only. Memory that is out sticks in the buffer. Pure; any thread. */
#ifndef AM_EVAL_HTML_INT_H
#define AM_EVAL_HTML_INT_H

#include "eval/report.h"

void am_html_begin(struct am_buf *o, struct am_str title); /* to the heading */
void am_html_end(struct am_buf *o);
void am_html_heading(struct am_buf *o, const char *s); /* translated */
/* The text of a key; a text or a whole number; a number. Escaped. */
void am_html_field(struct am_buf *o, const struct am_node *m, const char *key);
void am_html_node(struct am_buf *o, const struct am_node *n);
void am_html_number(struct am_buf *o, const struct am_node *n);
const struct am_node *am_html_items(const struct am_node *m, const char *key);
/* The key "picture" of m; alt is translated. */
void am_html_image(struct am_buf *o, const struct am_node *m, const char *alt);
/* [{layer, shape, picture}] under a heading (translated); nothing when the list is missing. */
void am_html_layers(struct am_buf *o, const struct am_node *r, const char *key, const char *title);
/* report_anomaly.c: "scores", "threshold", "contamination" and "column_errors" of a report. */
void am_html_anomaly(struct am_buf *o, const struct am_node *r);
/* report_clusters.c: "clusters", "components" and "recommender" of a report. */
void am_html_clusters(struct am_buf *o, const struct am_node *r);
/* report_study.c: "study" of a report. */
void am_html_study(struct am_buf *o, const struct am_node *r);
/* report_auto.c: "leaderboard" and "search" of a report; "parent", the model it replaces. */
void am_html_leaderboard(struct am_buf *o, const struct am_node *r);
void am_html_parent(struct am_buf *o, const struct am_node *r);
/* What occlusion and gradient mean; the method of an entry of "saliency". */
void am_html_saliency_words(struct am_buf *o);
void am_html_method(struct am_buf *o, const struct am_node *m);

#endif
