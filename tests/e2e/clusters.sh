#!/usr/bin/env bash
# Clusters, components, derived features and recommendations from the recipe to the served answer: the report's parts, chosen
# outputs by command line and over HTTP, lists for users, what each contradiction says.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"

cat >groups.yaml <<Y
name: groups
data: {source: $EXAMPLES/wine.csv, task: clustering, target: cultivar}
model: {type: kmeans}
Y
sed -i "s/cultivar/$(head -n 1 "$EXAMPLES/wine.csv" | tr , '\n' | tail -n 1)/" groups.yaml

echo "== clusters: the count is chosen, labels are measured with, never learned"
json train groups.yaml
has '.metrics.test.clusters == 3' '.metrics.test.adjusted_rand > 0.7' '.metrics.test.nmi > 0.7' '.metrics.test.silhouette > 0.2' \
    '.metrics.baseline == null' '.metrics.test | has("davies_bouldin") and has("calinski_harabasz")'
report=$(get .report)
for words in 'How many clusters' 'Elbow' 'Silhouettes' 'Rows in two dimensions' 'What is special about each cluster'; do
    check "report: $words" grep -q "$words" "$report"
done
good predict groups "$EXAMPLES/wine.csv" --output cluster,distance,distances
same "columns" cluster,distance,distance_0,distance_1,distance_2 "$(head -n 1 "$out")"
check "the nearest is its cluster" awk -F, 'NR > 1 && $2 > $(3 + $1) * 1.0001 {bad = 1} END {exit bad}' "$out"
json evaluate groups "$EXAMPLES/wine.csv"
has '.metrics.clusters == 3' '.metrics.adjusted_rand > 0.7' '.metrics.silhouette > 0.2'
json verify groups@1
has '.equal and .promise == "bits"'
json train groups.yaml --set name=densities --set model='{type: gaussian_mixture, clusters: 3, covariance: diag}'
has '.metrics.test.adjusted_rand > 0.6'
good predict densities "$EXAMPLES/wine.csv"
same "columns" cluster,log_density,membership_0,membership_1,membership_2 "$(head -n 1 "$out")"
json train groups.yaml --set name=dense --set model='{type: dbscan, eps: 2.2, min_points: 4}'
has '.metrics.test.noise_share == null' '.metrics.train.clusters >= 1'
json train groups.yaml --set name=few --set data.task=embedding --set model='{type: pca, components: 2}'
has '.metrics.test | keys == ["reconstruction_error"]' '.metrics.test.reconstruction_error < .metrics.baseline.reconstruction_error'
check "components in the report" grep -q 'How much do the components keep' "$(get .report)"
json init "$EXAMPLES/iris.csv" --task clustering --output start.yaml
has '.task == "clustering"'
json train start.yaml

echo "== as features of another model"
cat >derived.yaml <<Y
name: derived
data: {source: $EXAMPLES/breast_cancer.csv, target: diagnosis}
features: {derived: [{type: kmeans, clusters: 6, of: [radius_mean, texture_mean]}, {type: pca, components: 4}]}
model: {type: logistic}
Y
json train derived.yaml
has '.metrics.test.roc_auc > 0.97'
json verify derived@1
has '.equal and .promise == "bits"'
bad 2 '"nope" is no column' 'used as features' train derived.yaml --set 'features.derived=[{type: pca, of: [nope]}]'
bad 2 'none that makes features' 'kmeans' train derived.yaml --set 'features.derived=[{type: mlp}]'
bad 2 'cluster' 'clusters' train derived.yaml --set 'features.derived=[{type: kmeans, cluster: 3}]'

echo "== recommendations"
awk 'BEGIN { srand(4); print "item,user,stars"; for (u = 0; u < 60; u++) for (i = 0; i < 40; i++) if (rand() < .4)
    printf "i%d,%d,%.1f\n", i, 1000 + u, (u % 4 == i % 4 ? 5 : 2) + int(rand() * 3) / 10 }' >stars.csv
awk -F, 'NR == 1 {print "item,user"} NR > 1 && $3 >= 5 {print $1 "," $2}' stars.csv >chosen.csv
cat >stars.yaml <<'Y'
name: stars
data: {source: stars.csv, task: recommendation, user: user, item: item, target: stars}
model: {type: matrix_factorization, factors: 4, regularization: 0.02}
Y
json train stars.yaml
has '.metrics.test.rmse < 0.7' '.metrics.test.hit_rate > .metrics.baseline.hit_rate' '.metrics.test.ndcg_at_k > 0.3'
check "groups of users in the report" grep -q 'Groups of users' "$(get .report)"
json recommend stars --user 1001 --count 3
has '.known' '.items | length == 3' '[.items[].item | ltrimstr("i") | tonumber % 4] | all(. == 1)'
json recommend stars --user nobody
has '.known == false' '.note | test("popular")' '.items | length == 10'
json similar stars --item i6 --count 3
has '[.items[].item | ltrimstr("i") | tonumber % 4] | all(. == 2)'
json similar stars --user 1003 --count 3
has '[.users[].user | tonumber % 4] | all(. == 3)'
bad 1 'never seen the item "x"' 'Names are compared' similar stars --item x
bad 1 'recommends nothing' 'data.task: recommendation' recommend groups --user 1
bad 2 'needs --user' '' recommend stars
sed 's/name: stars/name: chosen/; s/stars.csv/chosen.csv/; s/, target: stars//' stars.yaml >chosen.yaml
for method in '{type: matrix_factorization, factors: 4}' '{type: matrix_factorization, method: bpr, factors: 4}'; do
    json train chosen.yaml --set "model=$method"
    has '.metrics.test.ranking_auc == null' '.metrics.test.hit_rate > 0.5' '.metrics.test.ndcg_at_k > .metrics.baseline.ndcg_at_k'
done
printf 'user,item\n1001,i5\n1001,i6\n' >pairs.csv
good predict stars pairs.csv
check "own group first" awk 'NR == 2 {a = $1} NR == 3 {exit a < $1 + 1}' "$out"

echo "== served"
serve
curl -s "$url/api/v1/models/stars/recommend?user=1001&n=3" >"$out"
has '.model == "stars"' '.version == 1' '.known' '[.items[].item | ltrimstr("i") | tonumber % 4] == [1, 1, 1]'
curl -s "$url/api/v1/models/stars/versions/1/recommend?user=no%20one" >"$out"
has '.user == "no one"' '.known == false' '.items | length == 10'
curl -s "$url/api/v1/models/stars/similar?item=i6&n=2" >"$out"
has '.items | length == 2'
curl -s "$url/api/v1/models/stars/similar?user=1003&n=2" >"$out"
has '[.users[].user | tonumber % 4] == [3, 3]'
for wrong in 'recommend' 'recommend?user=1&n=0' 'recommend?item=i1' 'recommend?user=%zz' 'similar?user=1001&item=i1' 'recommend?x=1'; do
    curl -s "$url/api/v1/models/stars/$wrong" >"$out"
    has '.status == 400'
done
curl -s "$url/api/v1/models/stars/similar?item=zzz" >"$out"
has '.status == 404'
curl -s "$url/api/v1/models/groups/recommend?user=1" >"$out"
has '.status == 400' '.detail | test("recommends nothing")'
row=$(python3 -c "
import csv, json
r = next(csv.DictReader(open('$EXAMPLES/wine.csv')))
print(json.dumps({k: float(v) for k, v in list(r.items())[:-1]}))")
curl -s "$url/api/v1/models/groups/predict" -d "{\"rows\": [$row]}" >"$out"
has '.predictions[0] | (.cluster | type == "number") and (.distances | length == 3) and .distance >= 0'
curl -s "$url/v2/models/densities" >"$out"
has '[.outputs[] | [.name, .datatype, .shape]] == [["cluster", "INT32", [-1]], ["log_density", "FP64", [-1, 1]],
    ["memberships", "FP32", [-1, 3]]]'
curl -s "$url/v2/models/densities/infer" -d "{\"inputs\": [{\"name\": \"input\", \"shape\": [1, 13], \"datatype\": \"FP64\",
    \"data\": $(jq -c '[.[]]' <<<"$row")}]}" >"$out"
has '[.outputs[].name] == ["cluster", "log_density", "memberships"]' '.outputs[0].data[0] >= 0' '.outputs[2].data | add > 0.999'
kill "$server"; wait "$server"

echo "== contradictions"
am train groups.yaml --set model='{type: kmeans, clusters: 5000}' # the rows are counted when the run has begun
same "more clusters than rows" 1 "$rc"
check "it says so" grep -q 'model.clusters is 5000, but there are 106 training rows' "$err"
bad 2 'data.task is clustering, but model.type is logistic' 'kmeans' train groups.yaml --set model='{type: logistic}'
bad 2 'data.task is classification, but model.type is kmeans' 'learns rows' train groups.yaml --set data.task=classification
bad 2 'model.eps is 0' 'above 0' train groups.yaml --set model='{type: dbscan, eps: 0}'
sed 's/ user: user,//' stars.yaml >nobody.yaml
bad 2 'needs data.user and data.item' 'who chose what' train nobody.yaml
bad 2 'the same column' 'users' train stars.yaml --set data.user=item
bad 2 'recommenders only' 'task' train groups.yaml --set data.user=x
bad 2 'does not fit this task' 'silhouette' train groups.yaml --set 'evaluate.metrics=[roc_auc]'
bad 2 'does not fit this task' 'hit_rate' train stars.yaml --set 'evaluate.metrics=[accuracy]'
finish
