#!/usr/bin/env bash
# Every command once as people type it: human output, --json as exactly one object, exit codes, quiet pipes,
# id columns and formats of predict, lists with filter and order, the life of aliases, tags and packages.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"

cp "$EXAMPLES"/breast_cancer.{csv,yaml} "$EXAMPLES"/two_columns.{csv,yaml} .
fast=(--set train.epochs=8 --set evaluate.bootstrap=50 --set evaluate.importance=false)

echo "== help, completion, schema, doctor"
good help
check "help names every exit code" grep -q '0 done, 1 failed, 2 usage' "$out"
commands=$(sed -n 's/^  aimass \(model [a-z-]*\|key [a-z-]*\|[a-z-]*\) .*/\1/p' "$out")
check "help lists the commands" [ "$(wc -l <<<"$commands")" -ge 25 ]
while read -r name; do
    # shellcheck disable=SC2086
    good help $name
    check "usage of $name" grep -q "^usage: aimass $name" "$out"
    check "help does not need the table engine" grep -q -- --json "$out"
done <<<"$commands"
good train --help
good completion bash
check "bash completion is a valid script" bash -n "$out"
check "and completes" bash -c ". $out; COMP_WORDS=(aimass tr) COMP_CWORD=1; _aimass; [ \"\${COMPREPLY[*]}\" = train ]"
for name in $(sed 's/ .*//' <<<"$commands" | sort -u); do
    check "completion knows $name" grep -qw -- "$name" "$out"
done
good completion zsh
good completion fish
json schema
has '."$schema" | test("json-schema.org")' '.properties.train.properties.epochs' '.properties.data.properties.split'
good schema
check "human schema is JSON too" jq -e .properties "$out"
good schema --markdown
check "keys as a table" grep -q '^| .*train.epochs' "$out"
json doctor
has '.ok' '.checks | length >= 4' 'all(.checks[]; .ok and (.found | length > 0))'
good doctor

echo "== looking at data"
json profile breast_cancer.csv --target diagnosis
has '.rows == 569' '.columns | length == 31' '.columns[0] | .name == "radius_mean" and .type == "number" and .missing == 0' \
    '.columns[0].mean > 14.12 and .columns[0].mean < 14.13' '.columns[30].distinct == 2'
good profile breast_cancer.csv
check "a line of each column" [ "$(grep -c _mean "$out")" -ge 10 ]

echo "== init, plan, train, run"
good init breast_cancer.csv --target diagnosis --output start.yaml
check "starter recipe" grep -q 'target: "\?diagnosis' start.yaml
am init breast_cancer.csv --target diagnosis --output start.yaml
same "never overwrites" 1 "$rc"
json init breast_cancer.csv --target diagnosis --output second.yaml
has '.task == "binary"' '.columns | length == 31' '.recipe | test("version: 1")'
good init breast_cancer.csv --target diagnosis --output -
check "- is stdout" cmp -s start.yaml "$out"
good plan start.yaml
for key in 'seed: 42' 'optimizer:' 'leaks:' 'bootstrap:' 'beta2: 0.999' 'batch_size:' 'checkpoint_every:' 'encoding:' 'duplicates\|task:'; do
    check "plan prints $key" grep -q "$key" "$out"
done
json plan breast_cancer.yaml
has '.split == {train: 341, validation: 114, test: 114, dropped: 0}' '.features == 30' \
    '.parameters == (30 * 16 + 16 + 16 * 8 + 8 + 8 + 1)' '.layers | length > 0' '.recipe.train.beta1 == 0.9' '.memory_bytes > 0'
jq -r .yaml "$out" >resolved.yaml
planned=$(get .dataset)
same "a plan records nothing" "runs 0 models 0 datasets 0" "$(state | cut -d' ' -f1-6)"
json train start.yaml
has '.run | test("^[0-9a-f]{32}$")' '.model == "breast_cancer" or .model == "breast-cancer"' '.version == 1' '.package | startswith("/")' \
    '.metrics | [.train, .validation, .test, .baseline] | all(has("accuracy"))'
check "package is there" test -s "$(get .package)"
json train breast_cancer.yaml
has '.metrics.test.accuracy > 0.93' '[.metrics.test | keys[]] == ["accuracy", "precision", "recall", "roc_auc"]' '.aliases == ["champion"]'
full=$(get .run)
same "the dataset that was planned" "$planned" "$(get .dataset)"
check "a report in one file" [ "$(grep -c 'src="http\|href="http' "$(get .report)")" = 0 ]
json datasets
has '[.datasets[] | .name + "@" + (.version | tostring)] == ["breast_cancer@1"]'
w1=$(weights breast-cancer)
json train resolved.yaml
same "the resolved recipe trains the same" "$w1" "$(weights breast-cancer@2)"
good train breast_cancer.yaml "${fast[@]}" --set name=short
json run two_columns.csv --target species --set name=one-line
has '.version == 1' '.recipe | length > 50'
good run two_columns.csv --target species --set name=one-line
check "report for people" grep -q '^accuracy ' "$out"

echo "== predict"
json train two_columns.yaml "${fast[@]}"
good predict two-columns two_columns.csv
same "id column first, then the answer" "flower,prediction,probability_versicolor,probability_virginica" "$(head -n 1 "$out")"
same "a row for each row" 101 "$(wc -l <"$out")"
same "ids pass through" "$(cut -d, -f1 two_columns.csv)" "$(cut -d, -f1 "$out")"
cp "$out" want.csv
good predict two-columns - <two_columns.csv
check "stdin gives the same" cmp -s want.csv "$out"
jq -Rn '[inputs | split(",")] | .[0] as $h | .[1:4] | map([$h, .] | transpose | map({(.[0]): (.[1] | tonumber? // .)}) | add)' two_columns.csv >rows.json
jq -c '.[]' rows.json >rows.jsonl
good predict two-columns rows.json
check "a list for a list" jq -e 'length == 3 and .[0].flower == "f050" and (.[0].probability | length == 2) and (.[0] | has("label"))' "$out"
cp "$out" want.json
good predict two-columns - <rows.json
check "the same from stdin" cmp -s want.json "$out"
good predict two-columns rows.jsonl
same "lines for lines" 3 "$(wc -l <"$out")"
same "the same values" "$(jq -c '.[]' want.json)" "$(jq -c . "$out")"
good predict two-columns - <rows.jsonl
same "lines from stdin" "$(jq -c '.[]' want.json)" "$(jq -c . "$out")"
json predict two-columns rows.json
has '.rows == 3' '.version == 1' '.predictions | length == 3'
json predict two-columns two_columns.csv
has '.rows == 100' '.output | startswith("flower,prediction")'
cut -d, -f1,3,2 two_columns.csv | awk -F, '{ print $3 "," $1 "," $2 }' >few.csv
good predict two-columns few.csv
same "column order and unused columns do not matter" "$(cut -d, -f2- want.csv)" "$(cut -d, -f2- "$out")"

echo "== evaluate, verify"
json evaluate breast-cancer@champion breast_cancer.csv
has '.rows == 569' '.metrics.accuracy > 0.95' '.version == 2'
good evaluate breast-cancer@1 breast_cancer.csv
json verify breast-cancer@1
has '.promise == "bits"' '.equal' '.max_difference == 0' '.profile.then == .profile.now'
good verify short
check "in words" grep -q 'equal bit by bit' "$out"

echo "== lists"
json runs
has '.total >= 6' 'all(.runs[]; .state == "finished")'
json runs --filter "metrics.test.accuracy > 0.5 and name = 'breast-cancer'" --order "metrics.test.accuracy desc"
has '.total == 2' '[.runs[].name] | unique == ["breast-cancer"]'
json runs --filter "params.train.epochs = '8'"
has '.total == 2'
json runs --order "started desc" --limit 1
has '.runs | length == 1' '.total >= 6'
first=$(get '.runs[0].run')
json runs --order "started desc" --limit 1 --offset 1
differs "offset moves on" "$first" "$(get '.runs[0].run')"
json runs --filter "name = 'nobody'"
has '.total == 0'
good runs
json run-show "${full:0:12}"
has ".run == \"$full\"" '.params."train.epochs" == "50"' '.history."train.loss" | length == 50' '.environment.profile' '.artefacts | length > 0' '.recipe | test("epochs: 50")'
good run-show "$full"
json models --order "model asc"
has '[.models[].model] | . == sort' '.models[] | select(.model == "breast-cancer") | .versions == 2 and .aliases.champion == 2' '.total == 5'
json models --order "versions desc, model asc"
has '[.models[].versions] | . == (sort | reverse)' '.models[0].versions == 2'
json models --order "latest" && json models --order "aliases desc" && json models --order "updated desc"
am models --order "version desc"
same "an order that is none is a usage error" 2 "$rc"
check "and says which there are" grep -q 'Did you mean "versions"? There are: model, .*versions, latest' "$err"
for order in name version rows bytes created source; do json datasets --order "$order desc"; done
for order in run name state started seconds metrics.test.accuracy params.train.epochs; do json runs --order "$order"; done
am runs --order test
same "the test column has a key" 2 "$rc"
check "which the hint tells" grep -q 'metrics.KEY' "$err"
good runs --limit 2
check "there is more" grep -q '^2 of [0-9]*; more with --offset 2' "$out"
good runs --limit 2 --offset 2
check "and how to go on" grep -q 'more with --offset 4' "$out"
json models --filter "model = 'short'"
has '.total == 1'
good models
json datasets --filter "rows > 500"
has '.total == 1' '.datasets[0] | .name == "breast_cancer" and .rows == 569 and (.dataset | length == 64)'
good datasets --order "rows desc"
json runs --filter "name = 'short'"
json compare "$full" "$(get '.runs[0].run')"
has '.runs | length == 2' '.params."train.epochs" == ["50", "8"]' '.params | has("train.seed") | not' '.metrics."test.accuracy" | length == 2'
good compare "$full" "$first"

echo "== model: show, alias, tag, export, import"
json model show breast-cancer
has '.model == "breast-cancer"' '.versions == 2'
json model show breast-cancer@champion
has '.version == 2'
good model show breast-cancer@1
json model alias breast-cancer@1 champion
has '.from == 2' '.to == 1'
json model show breast-cancer@champion
has '.version == 1'
json model alias breast-cancer champion --undo
has '.from == 1' '.to == 2'
good model alias breast-cancer@1 old
json model alias breast-cancer old --remove
has '.to == null'
am model show breast-cancer@old
same "a removed alias is unknown" 1 "$rc"
json model tag breast-cancer@1 team red
json models --filter "tags.team = 'red'"
json model tag breast-cancer@1 team
has '.tags == {}'
good model tag breast-cancer owner 'Grüße 你好'
json model show breast-cancer
has '.tags.owner == "Grüße 你好"'
good model export breast-cancer@champion bc.aim
check "a package is a zip archive" unzip -tq bc.aim
json predict bc.aim breast_cancer.csv
has '.version == null' '.rows == 569'
json model import bc.aim --name copy
has '.model == "copy"' '.version == 1'
same "the same weights" "$w1" "$(weights copy)"
good model export copy copy.aim
check "and the same bytes" cmp -s bc.aim copy.aim
AIMASS_WORKSPACE=$W/other good model import bc.aim
AIMASS_WORKSPACE=$W/other good predict breast-cancer breast_cancer.csv
good predict copy breast_cancer.csv --workspace "$W/ws"

echo "== rm and gc"
am rm "$full"
same "a run of a version stays" 1 "$rc"
check "and says why" grep -q 'used by breast-cancer' "$err"
am rm breast-cancer@2
same "a version with an alias stays" 1 "$rc"
am rm breast_cancer@1
same "a dataset of a run stays" 1 "$rc"
json model alias breast-cancer champion --remove
json rm breast-cancer@2
has '.kind == "version"'
good model alias short champion --remove
good rm short@1
json models --filter "model = 'short'"
has '.total == 0'
json model show short
has '.versions == 0' '[.history[].action] == ["remove", "set"]'
good model import bc.aim --name short
json model show short
has '.latest == 2' '.list | length == 1'
good rm short
am rm short
same "a model that is gone cannot be removed" 1 "$rc"
json gc --dry-run
has '.mode == "dry run"' '.blobs == 0 or .blobs > 0'
json gc
good gc
good predict breast-cancer breast_cancer.csv

echo "== serve"
serve
check "health" curl -fsS "$url/healthz"
check "loopback" grep -q '127.0.0.1\|localhost\|::1' <<<"$url"
kill -TERM "$server"
wait "$server"
same "a told server ends well" 0 $?

echo "== usage errors"
usage() {
    am "$@"
    same "exit code 2 of: aimass $*" 2 "$rc"
    check "says so on stderr" test -s "$err"
    am "$@" --json
    same "exit code 2 with --json" 2 "$rc"
    check "an error object" jq -es 'length == 1 and (.[0].error | .code == "EUSAGE" and (.message | length > 0) and (.hint | length > 0))' "$out"
    check "nothing on stderr" test ! -s "$err"
}
usage trian x.yaml
check "nearest command" grep -q 'Did you mean \\"train\\"' "$out"
usage train
usage train a b
usage train --nonsense breast_cancer.yaml
usage train breast_cancer.yaml --set nonsense
usage train breast_cancer.yaml --threads 0
usage train breast_cancer.yaml --memory 5
usage init breast_cancer.csv
usage run breast_cancer.csv
usage completion tcsh
usage compare "$full"
usage runs --limit none
usage runs --filter 'metrics.test.accuracy >'
usage serve --port 99999
usage serve --host 0.0.0.0
usage predict copy breast_cancer.csv --format xml
usage model alias copy@1 champion --undo
am train breast_cancer.yaml --set
same "an option without its value" 2 "$rc"
am
same "no arguments: help" 0 "$rc"
finish
