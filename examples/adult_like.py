"""Makes examples/adult_like.csv: a census-like table, generated, with a known structure. Usage: python3 examples/adult_like.py

Nobody stands behind these rows. The log odds of "high" income are a sum of bends and interactions that no single simple model
has: a hump in age, steps in education that count more for the married, overtime that pays only in some occupations, a rare
group with capital income, regions with offsets of their own. The best possible log loss is printed: the labels are drawn from
the true probabilities.
"""
import csv
import math
import random

N = 2000
OCCUPATIONS = ["clerical", "craft", "executive", "farming", "machine", "other", "professional", "sales", "service", "technical"]
REGIONS = ["r%02d" % i for i in range(12)]
MARRIED = ["married", "single", "divorced", "widowed"]

r = random.Random(5)
rows, best = [], 0.0
offset = {g: r.gauss(0, 0.7) for g in REGIONS}
pay = {o: r.gauss(0, 0.5) for o in OCCUPATIONS}
overtime = {"executive": 1.5, "professional": 1.2, "sales": 1.0, "technical": 0.7}
for _ in range(N):
    age = min(90, max(17, int(r.gauss(39, 14))))
    education = min(16, max(1, int(r.gauss(10, 2.6))))
    married = r.choices(MARRIED, [0.47, 0.33, 0.15, 0.05])[0]
    job = r.choice(OCCUPATIONS)
    hours = min(99, max(1, int(r.gauss(41, 12))))
    capital = int(math.exp(r.gauss(8.3, 1.1))) if r.random() < 0.08 else 0
    region = r.choice(REGIONS)
    noise = [round(r.gauss(0, 1), 3) for _ in range(3)]
    z = -2.3 - ((age - 48) / 14.0) ** 2 * 0.9 + pay[job] + offset[region]
    z += 0.42 * (education - 10) * (1.6 if married == "married" else 0.5) + (1.5 if married == "married" else 0)
    z += overtime.get(job, 0.1) * max(0, hours - 42) / 8.0
    z += 2.6 if capital > 5000 else (-0.3 if capital else 0)
    z += 0.9 if (education > 12) != (hours < 36) else 0
    p = 1 / (1 + math.exp(-1.15 * z))
    high = r.random() < p
    best -= math.log(p if high else 1 - p) / N
    rows.append([age if r.random() > 0.03 else "", education, married, job if r.random() > 0.05 else "", hours, capital, region] +
                noise + ["high" if high else "low"])

with open("examples/adult_like.csv", "w", newline="") as f:
    w = csv.writer(f, lineterminator="\n")
    w.writerow(["age", "education", "marital", "occupation", "hours", "capital_gain", "region", "x1", "x2", "x3", "income"])
    w.writerows(rows)
print("best possible log loss %.4f, high %.3f" % (best, sum(x[-1] == "high" for x in rows) / N))
