/* The table of recipe keys: the one place where a key, its type, its range, its default and its
 * sentence stand. The checker, the resolver, the JSON Schema, docs/RECIPE.md and shell completion
 * read it. Keys of a column's features come from feature/, keys of a model from its learner; they
 * are appended here at first use. Static data; any thread after am_recipe_table() returned once. */
#include "pipeline/recipe_int.h"

#include <pthread.h>
#include <stdio.h>

#include "base/alloc.h"
#include "feature/augment.h"
#include "feature/augment_rows.h"
#include "feature/augment_seq.h"
#include "feature/fit.h"
#include "learn/learn.h"

#define MAP AM_KEY_MAP
#define TEXT AM_KEY_TEXT
#define TEXTS AM_KEY_TEXTS
#define ENUM AM_KEY_ENUM
#define INT AM_KEY_INT
#define NUM AM_KEY_NUMBER
#define BOOL AM_KEY_BOOL
#define NUL AM_KEY_NULL
#define MAPS AM_KEY_MAPS
#define ANY                                                                                        \
    (AM_KEY_BOOL | AM_KEY_INT | AM_KEY_NUMBER | AM_KEY_TEXT | AM_KEY_TEXTS | AM_KEY_MAPS |         \
     AM_KEY_MAP | AM_KEY_NULL)

#define FOLD_KEYS(at)                                                                               \
    {at ".by",                                                                                      \
     ENUM,                                                                                          \
     "auto|random|stratified|group|time",                                                           \
     0,                                                                                             \
     0,                                                                                             \
     "auto",                                                                                        \
     "How rows are drawn; auto is as data.split does. time: a fold is predicted from those "        \
     "before "                                                                                      \
     "it."},                                                                                        \
        {at ".repeats", INT, NULL, 1, 100, "1", "So many drawings of the folds, all measured."},    \
        {at ".seed", INT, NULL, 0, 9e15, NULL, "Seed of the drawing; the default is the split's."}, \
        {at ".group", TEXT, NULL, 0, 0, NULL, "Column whose equal values stay in one fold."},       \
    {                                                                                               \
        at ".time", TEXT, NULL, 0, 0, NULL, "Column that orders the rows in time."                  \
    }

static const struct am_recipe_key general[] = {
    {"version", INT, NULL, 0, 0, "1", "Version of the recipe's syntax."},
    {"name", TEXT, NULL, 0, 0, NULL, "Name of the model; the default is the source's file name."},
    {"experiment", TEXT, NULL, 0, 0, NULL,
     "Experiment that the run belongs to; the default is the name."},

    {"data", MAP, NULL, 0, 0, NULL, "Where the rows come from and how they are cleaned and split."},
    {"data.source", TEXT | TEXTS, NULL, 0, 0, NULL,
     "File, glob, list of files, dataset name, or a SQL SELECT over them; or pictures or sounds: a "
     "folder or archive (zip, tar) of class folders, IDX files, CIFAR batches."},
    {"data.pattern", TEXT, NULL, 0, 0, NULL,
     "What the names of picture or sound files say, in place of class folders: "
     "`\"{digit}_{speaker}_*.wav\"` makes columns digit and speaker, `*` is any run of characters; "
     "neither goes over a slash. Files that do not fit are left out."},
    {"data.target", TEXT, NULL, 0, 0, NULL,
     "Column to predict; with task anomaly and clustering the label, if there is one: measured "
     "with, "
     "never learned; with task recommendation the rating, if there is one."},
    {"data.task", ENUM,
     "auto|classification|regression|multilabel|anomaly|embedding|clustering|recommendation", 0, 0,
     "auto",
     "What is predicted; anomaly, embedding and clustering learn the rows themselves and need no "
     "target, recommendation learns which user chose which item."},
    {"data.labels", MAP, NULL, 0, 0, NULL,
     "The target's cells hold any number of labels (task multilabel): an empty one none, at most "
     "24 "
     "different ones in all."},
    {"data.labels.separator", TEXT, NULL, 0, 0, "\";\"",
     "What stands between the labels of a cell."},
    {"data.weight", TEXT, NULL, 0, 0, NULL,
     "Column with a weight for each row, 0 or more: 2 counts like the row twice, in training and "
     "in "
     "metrics. Never a feature."},
    {"data.user", TEXT, NULL, 0, 0, NULL, "Column that names the user (task recommendation)."},
    {"data.item", TEXT, NULL, 0, 0, NULL, "Column that names the item (task recommendation)."},
    {"data.normal", TEXT | INT | NUM | BOOL | TEXTS, NULL, 0, 0, NULL,
     "Labels of normal rows (task anomaly), any other is an anomaly; the default is the most "
     "frequent label."},
    {"data.train_on", ENUM, "all|normal", 0, 0, NULL,
     "normal: rows labelled as anomalies are left out of training and validation and stay in the "
     "test (task anomaly); the default is all."},
    {"data.positive", TEXT | INT | NUM | BOOL, NULL, 0, 0, NULL,
     "The positive class of a two-class target; the default is the second in order."},
    {"data.id", TEXTS, NULL, 0, 0, "[]",
     "Columns that name a row: never features, passed through predict."},
    {"data.types", MAP, NULL, 0, 0, NULL, "Column types that you disagree with."},
    {"data.types.*", ENUM, "number|boolean|category|text|date|image|audio|video", 0, 0, NULL,
     "Type of this column; image, audio and video: the column names files, relative to the table's "
     "file."},
    {"data.encoding", ENUM, "auto|utf-8|utf-16|gb18030|latin-1", 0, 0, "auto",
     "Text encoding of the files."},
    {"data.csv", MAP, NULL, 0, 0, NULL, "How CSV files are written; what is not said is sniffed."},
    {"data.csv.delimiter", TEXT, NULL, 0, 0, NULL, "One character between cells."},
    {"data.csv.quote", TEXT, NULL, 0, 0, NULL, "The quote character."},
    {"data.csv.header", BOOL, NULL, 0, 0, NULL, "Whether the first line holds names."},
    {"data.csv.null", TEXTS, NULL, 0, 0, NULL, "Texts that mean a missing value."},
    {"data.sample", MAP, NULL, 0, 0, NULL, "Use a random part of the rows."},
    {"data.sample.rows", INT, NULL, 1, 1e12, NULL, "How many rows."},
    {"data.sample.share", NUM, NULL, 1e-9, 1, NULL, "Which fraction of the rows."},
    {"data.sample.seed", INT, NULL, 0, 9e15, "42", "Seed of the sample."},
    {"data.clean", MAP, NULL, 0, 0, NULL,
     "Cleaning, in this order: where, invalid, missing, duplicates; after the split outliers and "
     "fills, from training rows."},
    {"data.clean.where", TEXT | TEXTS, NULL, 0, 0, NULL,
     "SQL predicates that a row must satisfy to be kept."},
    {"data.clean.duplicates", ENUM, "keep|drop", 0, 0, "keep",
     "Exact duplicates: keep all, or the first only."},
    {"data.clean.missing", ENUM, "keep|drop", 0, 0, "keep",
     "Rows with a missing feature: keep (transforms impute) or drop."},
    {"data.clean.columns", MAP, NULL, 0, 0, NULL, "Rules for single columns."},
    {"data.clean.columns.*", MAP, NULL, 0, 0, NULL, "Rules of this column."},
    {"data.clean.columns.*.missing", ENUM | MAP, "keep|drop|mean|median|mode|forward", 0, 0, NULL,
     "What to do with a missing value."},
    {"data.clean.columns.*.missing.constant", TEXT | NUM | BOOL, NULL, 0, 0, NULL,
     "Fill with this value."},
    {"data.clean.columns.*.invalid", ENUM, "error|missing|drop", 0, 0, "error",
     "Infinite numbers and texts that are not of the column's type."},
    {"data.clean.columns.*.min", NUM, NULL, 0, 0, NULL, "Smaller values are invalid."},
    {"data.clean.columns.*.max", NUM, NULL, 0, 0, NULL, "Larger values are invalid."},
    {"data.clean.columns.*.outliers", MAP, NULL, 0, 0, NULL,
     "What counts as an outlier, and what happens."},
    {"data.clean.columns.*.outliers.by", ENUM, "sigma|iqr", 0, 0, "iqr",
     "Distance by deviations or quartiles."},
    {"data.clean.columns.*.outliers.limit", NUM, NULL, 0.1, 1000, NULL,
     "Allowed distance: 3 deviations or 1.5 quartile ranges when not said."},
    {"data.clean.columns.*.outliers.action", ENUM, "drop|clip|missing", 0, 0, "drop",
     "What to do with one."},
    {"data.near_duplicates", MAP, NULL, 0, 0, NULL,
     "Rows that say almost the same: told, dropped, or kept on one side of every split."},
    {"data.near_duplicates.by", ENUM, "auto|minhash|phash|key", 0, 0, "auto",
     "Texts by the pieces they share (minhash), a picture by its light (phash), or equal key "
     "columns, whatever their case and spaces (key)."},
    {"data.near_duplicates.columns", TEXT | TEXTS, NULL, 0, 0, NULL,
     "Columns to compare; the default is every text, else the picture."},
    {"data.near_duplicates.similarity", NUM, NULL, 0.5, 1, "0.9",
     "Share that two rows must have in common."},
    {"data.near_duplicates.action", ENUM, "keep|drop|group", 0, 0, "group",
     "keep tells of them, drop keeps the first, group keeps all of them in one part and one fold."},
    {"data.split", MAP, NULL, 0, 0, NULL, "How rows are parted."},
    {"data.split.test", NUM | TEXTS, NULL, 0, 0.95, "0.2",
     "Share of all rows that only the final test sees; with by: group also a list of the groups."},
    {"data.split.validation", NUM | MAP, NULL, 0, 0.95, "0.2",
     "Share of all rows for validation, or a map that says of what."},
    {"data.split.validation.share", NUM, NULL, 0, 0.95, "0.2", "The share."},
    {"data.split.validation.of", ENUM, "all|train", 0, 0, "all",
     "Share of all rows, or of the rows left for training."},
    {"data.split.validation.take", ENUM, "random|last", 0, 0, "random",
     "Random rows, or the last of the training rows."},
    {"data.split.by", ENUM, "auto|random|stratified|group|time|hash|given", 0, 0, "auto",
     "How rows are drawn; auto is stratified for classes and random for numbers. given: a column "
     "says train, validation or test; validation is drawn from the training rows when no row is "
     "given for it."},
    {"data.split.column", TEXT, NULL, 0, 0, NULL,
     "Column that says the part (by: given); the default is split."},
    {"data.split.group", TEXT, NULL, 0, 0, NULL,
     "Column whose equal values stay together (by: group)."},
    {"data.split.time", TEXT, NULL, 0, 0, NULL,
     "Column that orders the rows (by: time): the latest are tested."},
    {"data.split.hash", TEXTS, NULL, 0, 0, NULL, "Columns hashed (by: hash); the default is all."},
    {"data.split.seed", INT, NULL, 0, 9e15, "42", "Seed of the split."},
    {"data.split.leaks", ENUM, "error|warn|ignore|group", 0, 0, "group",
     "Identical rows in train and test: refuse, tell, do nothing, or keep them on one side."},
    {"data.shards", INT | MAP, NULL, 1, 4096, NULL, "Work the rows in this many shards by sample."},
    {"data.shards.n", INT, NULL, 1, 4096, "1", "Number of shards."},
    {"data.shards.key", TEXT, NULL, 0, 0, NULL, "Column whose values name the shards."},

    {"features", MAP, NULL, 0, 0, NULL,
     "Which columns are used and how; say only what you disagree with."},
    {"features.derived", MAPS, NULL, 0, 0, NULL,
     "Numbers made of other features, fitted on the training rows: [{type: kmeans, clusters: 8, "
     "of: "
     "[a, b]}, ..]; types are the learners of clusters and embeddings with their keys, `of` names "
     "columns (all without it). Clusters give distances or memberships, pca and the like their "
     "codes."},
    {"features.only", TEXTS, NULL, 0, 0, NULL, "Use these columns and no others."},
    {"features.drop", TEXTS, NULL, 0, 0, NULL, "Never use these columns."},
    {"features.select", MAP, NULL, 0, 0, NULL,
     "Score columns on the training rows (of each fold anew) and keep the best; say one of keep, "
     "share and threshold, else half of them stay. Texts and media always stay."},
    {"features.select.by", ENUM,
     "variance|correlation|anova|chi2|information_gain|mutual_information|l1|recursive|permutation",
     0, 0, "mutual_information",
     "Filters by what a column alone says; variance drops constant columns; correlation also drops "
     "a column that another one says already; l1, recursive (elimination) and permutation ask "
     "models of all columns."},
    {"features.select.keep", INT, NULL, 1, 65536, NULL, "How many columns stay."},
    {"features.select.share", NUM, NULL, 1e-6, 1, NULL, "Which share of the columns stays."},
    {"features.select.threshold", NUM, NULL, -1e12, 1e12, NULL,
     "Lowest score that stays; with variance it must be exceeded (0); with correlation: the "
     "correlation of two columns above which one of them goes (0.95)."},
    {"features.select.neighbors", INT, NULL, 1, 64, "3", "Of mutual_information."},

    {"model", MAP, NULL, 0, 0, NULL, "The learner and its knobs."},

    {"train", MAP, NULL, 0, 0, NULL, "How the model is trained."},
    {"train.seed", INT, NULL, 0, 9e15, "42", "Seed of weights, shuffles and dropout."},
    {"train.optimizer", ENUM, "sgd|momentum|nesterov|adagrad|rmsprop|adam|adamw", 0, 0, "adam",
     "The update rule."},
    {"train.learning_rate", NUM, NULL, 1e-12, 1000, "0.001", "Step size."},
    {"train.momentum", NUM, NULL, 0, 0.9999, "0.9",
     "Share of the last step that is kept (momentum, nesterov)."},
    {"train.beta1", NUM, NULL, 0, 0.9999, "0.9", "First moment of adam and adamw."},
    {"train.beta2", NUM, NULL, 0, 0.999999, "0.999", "Second moment of adam and adamw."},
    {"train.epsilon", NUM, NULL, 1e-16, 1, "1e-8", "Added to denominators."},
    {"train.rho", NUM, NULL, 0, 0.9999, "0.99", "Decay of rmsprop's average."},
    {"train.weight_decay", NUM, NULL, 0, 100, "0",
     "Decoupled decay (adamw), else added to the gradient."},
    {"train.l1", NUM, NULL, 0, 100, "0", "L1 penalty on the weights."},
    {"train.l2", NUM, NULL, 0, 100, "0", "L2 penalty on the weights; with l1: elastic net."},
    {"train.epochs", INT, NULL, 1, 1000000, "50", "Passes over the training rows."},
    {"train.batch_size", INT, NULL, 1, 1048576, "32", "Rows of a step."},
    {"train.accumulate", INT, NULL, 1, 65536, "1",
     "Batches whose gradients make one step: as a batch so many times as large, in the memory of "
     "one."},
    {"train.kernels", ENUM, "own|dnnl", 0, 0, "own",
     "Who computes convolutions in training: our kernels, or oneDNN, which must be installed; the "
     "weights' bits differ, and the numerics profile says which. In serving the faster one does, "
     "unless AIMASS_DNNL=off or on in the environment says otherwise."},
    {"train.average", ENUM | MAP, "none|ema|swa", 0, 0, "none",
     "Keep an average of the weights as the model: after each step (ema) or each epoch (swa); "
     "batch "
     "norm measures its statistics anew for it."},
    {"train.average.type", ENUM, "none|ema|swa", 0, 0, "ema", "Its kind."},
    {"train.average.decay", NUM, NULL, 1e-6, 0.9999999, "0.999",
     "Share of the old average that stays at each step (ema); less in the first steps."},
    {"train.average.start", INT, NULL, 0, 1000000, NULL,
     "Epochs before averaging begins; ema: 0, swa: three quarters of all epochs."},
    {"train.freeze", TEXT | TEXTS, NULL, 0, 0, NULL,
     "Layers or parameters that stay as they are, by name; `*` is any run of characters."},
    {"train.weights", TEXT | MAP, NULL, 0, 0, NULL,
     "File of weights to begin with, by name: safetensors, .npz, or Keras's .keras and .h5."},
    {"train.weights.file", TEXT, NULL, 0, 0, NULL, "The file; relative to the recipe's folder."},
    {"train.weights.layout", ENUM, "auto|own|pytorch|keras", 0, 0, "auto",
     "Whose names and order: ours, PyTorch's (matrices turned, channels first) or Keras's; auto: "
     "Keras for its files, else ours."},
    {"train.weights.map", MAP, NULL, 0, 0, NULL,
     "What the file calls our layers or parameters; what is not said has the same name there."},
    {"train.weights.map.*", TEXT, NULL, 0, 0, NULL, "Name in the file."},
    {"train.weights.skip", TEXT | TEXTS, NULL, 0, 0, NULL,
     "Layers or parameters that are not loaded, by name."},
    {"train.weights.strict", BOOL, NULL, 0, 0, "false",
     "Refuse a file that lacks a parameter of the model."},
    {"train.learning_rates", MAP, NULL, 0, 0, NULL,
     "Factors of the learning rate by layer or parameter name; the last that fits wins."},
    {"train.learning_rates.*", NUM, NULL, 0, 1000, NULL, "Factor of what this name fits."},
    {"train.augment", MAP, NULL, 0, 0, NULL,
     "Training pictures, sounds, texts or table rows changed anew in each epoch; the settings are "
     "those of the model's only such input, or of a table."},
    {"train.shuffle", BOOL, NULL, 0, 0, "true", "New order of the rows in each epoch."},
    {"train.schedule", ENUM | MAP, "constant|step|exponential|cosine|plateau", 0, 0, "constant",
     "How the learning rate moves."},
    {"train.schedule.type", ENUM, "constant|step|exponential|cosine|plateau", 0, 0, "constant",
     "Its kind."},
    {"train.schedule.step", INT, NULL, 1, 1000000, "10", "Epochs between steps (step)."},
    {"train.schedule.factor", NUM, NULL, 1e-6, 1, NULL,
     "Factor of step and plateau (0.1 when not said) and of exponential (0.95)."},
    {"train.schedule.patience", INT, NULL, 0, 1000000, "10",
     "Epochs without gain before plateau acts."},
    {"train.schedule.min", NUM, NULL, 0, 1000, "0", "Lowest learning rate."},
    {"train.schedule.warmup", INT, NULL, 0, 1000000, "0", "Epochs of linear warm-up."},
    {"train.clip_norm", NUM, NULL, 0, 1e9, "0", "Largest norm of the gradient; 0 = no clipping."},
    {"train.clip_value", NUM, NULL, 0, 1e9, "0", "Largest value in the gradient; 0 = no clipping."},
    {"train.distil", MAP, NULL, 0, 0, NULL,
     "Learn from another model's answers to the training rows, too (`aimass distil`)."},
    {"train.distil.from", TEXT, NULL, 0, 0, NULL, "The teacher: MODEL@VERSION."},
    {"train.distil.alpha", NUM, NULL, 0, 1, "0.7",
     "Share of the teacher's answer in the target; the rest is the truth."},
    {"train.early_stopping", BOOL | MAP, NULL, 0, 0, "false",
     "Stop when validation gains nothing; best weights are restored."},
    {"train.early_stopping.patience", INT, NULL, 1, 1000000, "10", "Epochs without gain."},
    {"train.early_stopping.min_delta", NUM, NULL, 0, 1e9, "0",
     "Smallest change that counts as gain."},
    {"train.recover", BOOL | MAP, NULL, 0, 0, NULL,
     "When training diverges, go back to the best weights and on with a lower learning rate; true "
     "when not said. It stands in the log, the report and the metrics."},
    {"train.recover.times", INT, NULL, 1, 100, "3", "At most so often; then it is an error."},
    {"train.recover.factor", NUM, NULL, 1e-6, 0.999, "0.1", "Of the learning rate, each time."},
    {"train.class_weights", ENUM | MAP, "none|balanced", 0, 0, "none", "Weights of the classes."},
    {"train.class_weights.*", NUM, NULL, 1e-9, 1e9, NULL, "Weight of this class."},
    {"train.balance", ENUM | MAP, "none|over|under|smote", 0, 0, "none",
     "Classes of equal size for training: rows of the smaller ones drawn again, rows of the larger "
     "ones left out, or rows made between neighbours of a class (categories by their majority). "
     "Validation, test and the other folds stay as they are."},
    {"train.balance.type", ENUM, "none|over|under|smote", 0, 0, "over", "Its kind."},
    {"train.balance.ratio", NUM, NULL, 0.001, 1, "1",
     "Rows of the smaller class over those of the larger one, afterwards."},
    {"train.balance.neighbors", INT, NULL, 1, 100, "5", "Neighbours of smote."},
    {"train.label_smoothing", NUM, NULL, 0, 0.5, "0", "Of the cross-entropy."},
    {"train.loss", ENUM, "auto|cross_entropy|mse|mae|huber|hinge", 0, 0, "auto",
     "What is minimised."},
    {"train.huber_delta", NUM, NULL, 1e-9, 1e9, "1",
     "Where the Huber loss turns linear, in deviations of the target."},
    {"train.threads", INT, NULL, 0, 1024, "0", "Threads; 0 = all cores. Never changes the result."},
    {"train.checkpoint_every", INT, NULL, 0, 1000000, "0",
     "Epochs between checkpoints; 0 = as often as every two seconds."},

    {"tune", MAP, NULL, 0, 0, NULL,
     "Search for better settings before training; the best ones are then trained as if the recipe "
     "had said them."},
    {"tune.objective", TEXT | MAPS, NULL, 0, 0, NULL,
     "What the best settings are best at: a metric of the measured rows, latency_us (of one row "
     "alone), size_bytes, parameters or fit_seconds; or a list of several, each a name or {metric: "
     "NAME, direction: minimize|maximize}. The default is the first of evaluate.metrics."},
    {"tune.constraints", TEXT | TEXTS, NULL, 0, 0, NULL,
     "What the best must keep to, for example `latency_us <= 500` or `accuracy >= 0.9`."},
    {"tune.search", ENUM, "auto|grid|random|sobol|bayesian|tpe|genetic|cmaes|nsga2", 0, 0, "auto",
     "Who proposes settings."},
    {"tune.trials", INT, NULL, 1, 1000000, NULL,
     "At most so many trials; the default is 40, or with a budget as many as it lasts for."},
    {"tune.budget", TEXT | NUM, NULL, 0, 0, NULL,
     "Time of the search: 90s, 5m, 2h, or seconds. A trial that runs at its end is cut."},
    {"tune.over", MAP, NULL, 0, 0, NULL, "What is searched: path of a setting, and its space."},
    {"tune.over.*", ANY, NULL, 0, 0, NULL,
     "A list of values, or {log: [1e-4, 0.1]}, {float: [0, 0.5]}, {int: [2, 12]}, {log_int: [16, "
     "512]}, {choice: [..]}, {list: {int: [8, 64]}, length: [1, 3]}; with step: or when: {PATH: "
     "VALUE}."},
    {"tune.over.*.*", ANY, NULL, 0, 0, NULL, "See above."},
    {"tune.over.*.*.*", ANY, NULL, 0, 0, NULL, "See above."},
    {"tune.pruner", ENUM, "none|median|percentile|halving|hyperband", 0, 0, "none",
     "Who ends hopeless trials early."},
    {"tune.parallel", INT, NULL, 1, 256, "4",
     "At most so many trials at once: a trial is proposed from the results of those that are so "
     "many or more before it, so the study is the same however many workers there are."},
    {"tune.workers", INT, NULL, 0, 256, "0",
     "Processes that run trials; 0 = as many as threads, at most tune.parallel. Never changes "
     "which "
     "trials there are."},
    {"tune.folds", INT | MAP, NULL, 0, 100, NULL,
     "Folds of the training and validation rows that trials are measured on; 0 = train on the "
     "training rows and measure on the validation rows. The default is 5 up to 10,000 rows or "
     "without validation rows, else 0."},
    {"tune.folds.n", INT, NULL, 2, 100, "5", "How many folds."},
    FOLD_KEYS("tune.folds"),
    {"tune.seed", INT, NULL, 0, 9e15, "42", "Seed of the search."},

    {"evaluate", MAP, NULL, 0, 0, NULL, "What is measured, and what a good model must reach."},
    {"evaluate.metrics", TEXTS, NULL, 0, 0, NULL, "Metrics by name; the default fits the task."},
    {"evaluate.threshold", NUM | MAP, NULL, 0, 1, "0.5",
     "Decision threshold of a two-class model."},
    {"evaluate.threshold.maximize", TEXT, NULL, 0, 0, NULL,
     "Choose it on the validation rows for this metric."},
    {"evaluate.composite", MAP, NULL, 0, 0, NULL,
     "Metrics of your own, as weighted expressions of others."},
    {"evaluate.composite.*", TEXT, NULL, 0, 0, NULL, "For example `0.7 * f1 + 0.3 * roc_auc`."},
    {"evaluate.bootstrap", INT, NULL, 0, 100000, "1000",
     "Resamples for the confidence intervals; 0 = none."},
    {"evaluate.importance", BOOL, NULL, 0, 0, "true", "Permutation importance of each column."},
    {"evaluate.folds", INT | MAP, NULL, 0, 100, "0",
     "Also cross-validate with this many folds; the predictions of rows by models that had not "
     "seen "
     "them are kept as out_of_fold.csv. With tune the folds are around the whole search."},
    {"evaluate.folds.n", INT, NULL, 2, 100, "5", "How many folds."},
    FOLD_KEYS("evaluate.folds"),
    {"evaluate.accept", TEXT | TEXTS, NULL, 0, 0, NULL,
     "Conditions such as `roc_auc >= 0.95`; the run fails when one does not hold."},
    {"evaluate.retry", MAP, NULL, 0, 0, NULL,
     "Settings to try next when the gate refuses, in order."},
    {"evaluate.retry.*", TEXTS | TEXT, NULL, 0, 0, NULL,
     "Path of a setting, with its next values."},

    {"register", MAP, NULL, 0, 0, NULL, "What becomes of the trained model."},
    {"register.alias", TEXT | TEXTS, NULL, 0, 0, NULL, "Alias that moves to the new version."},
    {"register.if", TEXT, NULL, 0, 0, NULL,
     "Condition such as `roc_auc >= champion.roc_auc`: the alias moves only then."},
    {"register.tags", MAP, NULL, 0, 0, NULL, "Tags of the version."},
    {"register.tags.*", TEXT, NULL, 0, 0, NULL, "Value of this tag."},
};

#undef MAP
#undef TEXT
#undef TEXTS
#undef ENUM
#undef INT
#undef NUM
#undef BOOL
#undef NUL
#undef MAPS
#undef ANY

const struct am_recipe_key *am_recipe_general(size_t *n)
{
    *n = sizeof general / sizeof general[0];
    return general;
}

/* ---- the whole table ---- */

static pthread_once_t once = PTHREAD_ONCE_INIT;
static struct am_recipe_key *all; /* owned by the process */
static size_t n_all;

/* What the table's rows point to, pieces of unfinished ones too; owned by the process. */
struct text {
    struct text *next;
    char s[];
};
static struct text *texts;

static const char *joined(const char *a, const char *b)
{
    size_t n = strlen(a) + strlen(b);
    struct text *t = am_xalloc(sizeof *t + n + 1);
    snprintf(t->s, n + 1, "%s%s", a, b);
    t->next = texts;
    texts = t;
    return t->s;
}

static void add(struct am_recipe_key row)
{
    all[n_all++] = row;
}

static void add_features(const char *prefix)
{
    size_t n;
    const struct am_feature_key *k = am_feature_keys(&n);
    for (size_t i = 0; i < n; i++)
        add((struct am_recipe_key){joined(prefix, k[i].name), k[i].types, k[i].choices, k[i].min,
                                   k[i].max, NULL, k[i].doc});
}

/* The same key of several learners stands once; each learner checks its own range. */
static void add_learner_key(const struct am_learner_key *k)
{
    const char *path = joined("model.", k->name);
    for (size_t i = 0; i < n_all; i++)
        if (strcmp(all[i].path, path) == 0) {
            struct am_recipe_key *have = &all[i];
            have->types |= k->types;
            if (k->choices && have->choices && strcmp(k->choices, have->choices) != 0)
                have->choices = joined(have->choices, joined("|", k->choices));
            have->choices = have->choices ? have->choices : k->choices;
            if (k->min < have->min || k->max > have->max) {
                have->min = k->min < have->min ? k->min : have->min;
                have->max = k->max > have->max ? k->max : have->max;
            }
            return;
        }
    add((struct am_recipe_key){path, k->types, k->choices, k->min, k->max, k->otherwise, k->doc});
}

/* Keys of pictures, sounds and tokens; the same name stands once, with both meanings. */
static void add_augment(const struct am_feature_key *k, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        const char *path = joined("train.augment.", k[i].name);
        size_t at = 0;
        while (at < n_all && strcmp(all[at].path, path) != 0)
            at++;
        if (at == n_all) {
            add((struct am_recipe_key){path, k[i].types, k[i].choices, k[i].min, k[i].max, NULL,
                                       k[i].doc});
            continue;
        }
        all[at].max = k[i].max > all[at].max ? k[i].max : all[at].max;
        all[at].doc = joined(all[at].doc, joined(" ", k[i].doc));
    }
}

static void build(void)
{
    size_t n_general, n_features, n_learners, n_pictures, n_seq, n_tables, n = 0;
    const struct am_feature_key *pictures = am_augment_keys(&n_pictures);
    const struct am_feature_key *seq = am_augment_seq_keys(&n_seq);
    const struct am_feature_key *tables = am_augment_rows_keys(&n_tables);
    const struct am_recipe_key *rows = am_recipe_general(&n_general);
    const struct am_learner_ops *const *learners = am_learners(&n_learners);
    const char *types = "auto";
    (void)am_feature_keys(&n_features);
    for (size_t i = 0; i < n_learners; i++)
        n += learners[i]->n_keys;
    all = am_xalloc((n_general + 2 * n_features + n_pictures + n_seq + n_tables + n + 8) *
                    sizeof *all);
    for (size_t i = 0; i < n_general; i++)
        add(rows[i]);
    add((struct am_recipe_key){"features.default", AM_KEY_MAP, NULL, 0, 0, NULL,
                               "Settings for every column that they suit."});
    add_features("features.default.");
    add((struct am_recipe_key){"features.*", AM_KEY_MAP, NULL, 0, 0, NULL,
                               "Settings of this column."});
    add_features("features.*.");
    add_augment(pictures, n_pictures);
    add_augment(seq, n_seq);
    add_augment(tables, n_tables);
    for (size_t i = 0; i < n_learners; i++)
        types = joined(types, joined("|", learners[i]->name));
    add((struct am_recipe_key){"model.type", AM_KEY_ENUM, types, 0, 0, NULL,
                               "The learner; the default is logistic for classes, linear for "
                               "numbers, autoencoder where rows are learned."});
    for (size_t i = 0; i < n_learners; i++)
        for (size_t k = 0; k < learners[i]->n_keys; k++)
            add_learner_key(&learners[i]->keys[k]);
}

size_t am_recipe_table(const struct am_recipe_key **out)
{
    pthread_once(&once, build);
    *out = all;
    return n_all;
}
