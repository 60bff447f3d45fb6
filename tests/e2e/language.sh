#!/usr/bin/env bash
# The program speaks the person's language: help, training with its report, and errors, in Chinese with
# LANG=zh_CN.UTF-8 (installed on the machine or not) and in English with LANG=C. JSON keys never change.
# shellcheck source=tests/e2e/lib.sh disable=SC2154
. "$(dirname "$0")/lib.sh"
unset LC_ALL

# says WHAT TEXT FILE / silent WHAT REGEX FILE
says() { check "$1: \"$2\"" grep -Fq -- "$2" "$3"; }
silent() { checks=$((checks + 1)); ! grep -Eq -- "$2" "$3" || fail "$1: no /$2/"; }

# display columns where the second word of the table's first two lines ends (Chinese takes two a sign)
ends() {
    sed -n '1,2p' "$1" | python3 -c '
import re, sys, unicodedata
for line in sys.stdin:
    end = list(re.finditer(r"\S+", line))[1].end()
    print(sum(2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in line[:end]))'
}

cp "$EXAMPLES/breast_cancer.yaml" "$EXAMPLES/breast_cancer.csv" .
sed 's/epochs: 50/epochs: 2/' breast_cancer.yaml >short.yaml
sed 's/learning_rate/lerning_rate/' breast_cancer.yaml >wrong.yaml

export LANG=zh_CN.UTF-8
good help
says help "训练、评估、打包并登记模型。" "$out"
says help "退出码：0 完成，1 失败，2 用法或配方错误。" "$out"
silent help 'Train, evaluate|Exit codes' "$out"
good help train
says "help train" "用法：aimass train" "$out"

am train short.yaml
same "training in Chinese" 0 "$rc"
for t in 指标 训练集 验证集 测试集 基线 '95 % 区间' '模型    breast-cancer 版本 1' 报告; do says training "$t" "$out"; done
silent training '^(metric|model|run|report) ' "$out"
same "columns end at the same place" "$(ends "$out" | sed -n 1p)" "$(ends "$out" | sed -n 2p)"
run=$("$AIMASS" runs --json | jq -r '.runs[0].run')
report=$(find "$W" -name '*.html' | head -n 1)
if [ -n "$report" ]; then
    for t in '<html lang=' 混淆矩阵 学习曲线 校准 效果如何？; do says report "$t" "$report"; done
    silent report '>(Confusion matrix|Learning curve|Advice|Calibration)<' "$report"
fi
am plan short.yaml
says plan "任务        binary" "$out"
says plan "特征数" "$out"

am train wrong.yaml
same "exit code" 2 "$rc"
says "unknown key" '未知的键 "lerning_rate"，位于 "train"' "$err"
says "unknown key" '是不是想写 "learning_rate"？' "$err"
am train short.yaml --set train.epochs=many
says "wrong type" '"train.epochs" 必须是整数，实际为 "many"' "$err"
says "wrong type" '遍历训练行的次数。' "$err"
am plan short.yaml --set data.target=nothing
same "exit code" 2 "$rc"
says "no column" '"nothing"' "$err"
silent "no column" 'the data|Did you|Its columns' "$err"
am model show nothing
says "no model" '没有模型 "nothing"' "$err"
am train short.yaml --frob
says "no option" '没有选项 "--frob"' "$err"
am train wrong.yaml --json
has '.error.code == "EUSAGE"' '.error.message | contains("未知的键")'

export LANG=C
good help
says help "Train, evaluate, package and register a model." "$out"
am train short.yaml
same "training in English" 0 "$rc"
for t in metric training validation test baseline '95 % interval' 'model    breast-cancer version 2'; do says training "$t" "$out"; done
silent "plain ASCII" $'[\x80-\xff]' "$out"
am train wrong.yaml
says "unknown key" 'unknown key "lerning_rate" in "train"' "$err"
says "unknown key" 'Did you mean "learning_rate"?' "$err"

# the language changes no result
same "same metrics" "$("$AIMASS" run-show "$run" --json 2>/dev/null | jq -c .metrics)" \
    "$(LANG=zh_CN.UTF-8 "$AIMASS" run-show "$run" --json 2>/dev/null | jq -c .metrics)"
good verify breast-cancer@1
finish
