"""Series, and queries over them that use everything which is simulated."""

SERIES = {
    'up{job="api", instance="a:1"}': "1x20 0x30",
    'up{job="api", instance="b:1"}': "1x50",
    'up{job="web", instance="c:1"}': "1x10 _x5 1x5 stale 1x20",
    'requests_total{job="api", code="200", path="/"}': "0+60x50",
    'requests_total{job="api", code="500", path="/"}': "0+3x20 0+5x30",
    'requests_total{job="api", code="200", path="/x"}': "10+6.5x18 _x4 200+7x40",
    'requests_total{job="web", code="200", path="/"}': "1e3-2x5 5 7 9 1 3+1x40",
    'requests_total{job="web", code="404", path="/y"}': "_x28 3 4 _ 9 9 9 12 _x4 20x20",
    'limits{job="api"}': "2x60",
    'limits{job="web", team="shop"}': "-3.5x60",
    'memory_bytes{job="api", instance="a:1", pod="p-1"}': "100 120 90 NaN 110 Inf 100 95 87+3x50",
    'memory_bytes{job="api", instance="b:1", pod="p-2"}': "-1 -2 -0 0 1e300 -Inf 5x50",
    'memory_bytes{job="web", instance="c:1", pod="p-10"}': "1.5 2.5 -1.5 0.5 1x60",
    'info{job="api", instance="a:1", version="1.2", team="core"}': "1x60",
    'info{job="api", instance="b:1", version="1.3", team="core"}': "1x60",
    'latency_bucket{job="api", le="0.1"}': "0+10x60",
    'latency_bucket{job="api", le="0.5"}': "0+15x60",
    'latency_bucket{job="api", le="1"}': "0+14x60",
    'latency_bucket{job="api", le="+Inf"}': "0+20x60",
    'latency_bucket{job="web", le="-1"}': "0+1x60",
    'latency_bucket{job="web", le="2"}': "0+2x60",
    'latency_bucket{job="web", le="+Inf"}': "0+2x60",
    'latency_bucket{job="odd", le="abc"}': "0+2x60",
    'latency_bucket{job="half", le="1"}': "0+2x60",
    'times{at="a"}': "1700000000+86399x60",
    'times{at="b"}': "-1e9+1e7x60",
    'flag{a="x\\ny", b="2"}': "1x60",
    'flag{a="", c="3"}': "0x60",
    "lonely": "42x3",
}

SELECTORS = """
up
up{job="api"}
up{job!="api"}
up{job=~"a.*"}
up{job=~"ap"}
up{job!~"a.*|x"}
up{nothing=""}
up{job=~""}
up{job!~".+"}
flag{a=~"x.y"}
flag{a=~"x[^z]y", b="2"}
{__name__=~"up|limits"}
{job="web"}
lonely
lonely offset 20m
lonely offset -10m
up offset 15m
up @ 600
up @ 900.5 offset 1m
up @ end()
up @ start() offset 5m
rate(requests_total[5m] @ 600)
sum(up{instance=~"[ab]:1"})
up[5m]
up{job="api"}[5m:1m]
"text"
42
-42
0x1F
1e3
NaN
Inf
-Inf
time()
pi()
"""
RANGES = """
{f}(requests_total[5m])
{f}(requests_total[90s])
{f}(requests_total[1m])
{f}(requests_total[10m] offset 3m)
{f}(memory_bytes[7m])
{f}(up[30m])
{f}(lonely[20m])
{f}(requests_total[10m:1m])
{f}(requests_total[10m:90s])
{f}(requests_total[10m:])
{f}(rate(requests_total[2m])[10m:2m])
{f}((requests_total + 0)[6m:2m] offset 1m)
{f}(requests_total[1h])
{f}(vector(time())[10m:1m])
"""
RANGE_FUNCTIONS = """
rate increase delta irate idelta deriv resets changes avg_over_time sum_over_time count_over_time
min_over_time max_over_time stddev_over_time stdvar_over_time present_over_time last_over_time
first_over_time mad_over_time absent_over_time ts_of_max_over_time ts_of_min_over_time
ts_of_last_over_time ts_of_first_over_time
"""
OTHER_RANGES = """
predict_linear(requests_total[10m], 3600)
predict_linear(memory_bytes{job="web"}[10m] offset 5m, 60 * 60)
quantile_over_time(0.9, requests_total[10m])
quantile_over_time(scalar(limits{job="api"}) / 4, memory_bytes[10m])
quantile_over_time(1.5, up[5m])
quantile_over_time(-1, up[5m])
quantile_over_time(NaN, up[5m])
double_exponential_smoothing(requests_total[10m], 0.3, 0.6)
double_exponential_smoothing(requests_total[10m], 0, 0.6)
double_exponential_smoothing(requests_total[10m], 0.3, 1)
absent_over_time(up{job="none", x=~"y"}[5m])
absent_over_time(sum(nothing)[5m:])
max_over_time(max_over_time(up[5m])[10m:1m])
max_over_time((time() - vector(0))[10m:])
sum_over_time(vector(1)[5m:1m])
rate(requests_total[5m:1m] @ 1200)
sum_over_time(up[5m:1m] @ end())
max_over_time(timestamp(up)[5m:1m])
max_over_time(time()[5m:1m])
"""
ELEMENTWISE = """
{f}(memory_bytes)
{f}(requests_total / 7)
{f}(vector(-0.5))
{f}(vector(0))
{f}(vector(1))
{f}(vector(NaN))
{f}(vector(-Inf))
{f}(vector(Inf))
{f}(vector(1e300))
{f}(vector(-1))
{f}(vector(0.25))
{f}(lonely)
"""
ELEMENTWISE_FUNCTIONS = """
abs ceil floor exp sqrt ln log2 log10 sin cos tan asin acos atan sinh cosh tanh asinh acosh atanh
rad deg sgn round timestamp sort sort_desc absent
"""
DATES = """
{f}()
{f}(times)
{f}(vector(1704067199))
{f}(vector(1709210000.9))
{f}(vector(-86400.5))
{f}(timestamp(up))
"""
DATE_FUNCTIONS = "minute hour day_of_week day_of_month day_of_year days_in_month month year"
FUNCTIONS = """
round(memory_bytes, 5)
round(requests_total, 0.1)
round(memory_bytes, 0)
round(memory_bytes, -2)
round(vector(2.5))
round(vector(-2.5))
clamp(memory_bytes, 0, 100)
clamp(memory_bytes, 100, 0)
clamp(memory_bytes, NaN, 5)
clamp_min(memory_bytes, 50)
clamp_max(memory_bytes, scalar(limits{job="api"}))
clamp_max(memory_bytes, NaN)
scalar(up)
scalar(limits{job="api"})
scalar(nothing)
vector(3)
vector(scalar(nothing))
timestamp(up offset 3m)
timestamp(up * 1)
timestamp(lonely @ 100)
absent(up)
absent(nothing{a="1", b!="2", c=~"3"})
absent(nothing{a="1", a="2", b="3"})
absent(sum(nothing))
absent(nothing{a=""})
label_replace(up, "host", "$1", "instance", "(.*):(.*)")
label_replace(up, "host", "${2}x$1", "instance", "(.*):(.*)")
label_replace(up, "host", "$$a", "instance", ".*")
label_replace(up, "host", "$host", "instance", "(?P<host>.*):1")
label_replace(up, "instance", "", "instance", "a.*")
label_replace(up, "instance", "", "instance", ".*")
label_replace(up, "job", "$9", "instance", "(a).*")
label_replace(up, "x", "y", "nothing", "")
label_replace(up, "x", "y", "nothing", ".+")
label_replace(up, "__name__", "$1_copy", "__name__", "(.*)")
label_replace(up, "x", "y", "job", "(")
label_join(up, "both", "-", "job", "instance")
label_join(up, "both", "", "job")
label_join(up, "job", ",", "nothing")
label_join(up, "both", "-")
sort(memory_bytes)
sort_by_label(memory_bytes, "pod")
sort_by_label_desc(memory_bytes, "job", "pod")
histogram_quantile(0.9, latency_bucket)
histogram_quantile(0.5, rate(latency_bucket[5m]))
histogram_quantile(0.5, sum by (le, job) (rate(latency_bucket[5m])))
histogram_quantile(0.5, sum by (le) (rate(latency_bucket[5m])))
histogram_quantile(0, latency_bucket)
histogram_quantile(1, latency_bucket)
histogram_quantile(0.75, latency_bucket)
histogram_quantile(-1, latency_bucket)
histogram_quantile(2, latency_bucket)
histogram_quantile(NaN, latency_bucket)
histogram_quantile(0.9, latency_bucket * 0)
histogram_quantile(0.9, up)
histogram_quantile(0.9, latency_bucket - 30)
-up
+up
-(up == 1)
-1 ^ 2
-limits ^ 2
sum(-{__name__=~"up|limits"})
-{__name__=~"up|info"}
"""
AGGREGATES = """
{f}(up)
{f} by (job) (requests_total)
{f} without (path, code) (requests_total)
{f} by (nothing) (up)
{f} by (job, job) (up)
{f} without () (up)
{f} by (__name__) ({{job="api"}})
{f} by (job) (memory_bytes)
{f}(memory_bytes / 3)
{f}(nothing)
{f}(rate(requests_total[5m])) by (job)
"""
AGGREGATIONS = "sum avg min max count group stddev stdvar"
OTHER_AGGREGATES = """
topk(2, requests_total)
topk(1, memory_bytes) by (job)
topk by (job) (1, requests_total)
topk(0, up)
topk(-3, up)
topk(1.9, requests_total)
topk(NaN, up)
topk(Inf, up)
topk(scalar(limits{job="api"}), requests_total)
bottomk(2, requests_total)
bottomk without (path, code) (1, requests_total)
bottomk(3, memory_bytes)
quantile(0.5, requests_total)
quantile by (job) (0.9, requests_total)
quantile(2, up)
quantile(-0.1, up)
quantile(NaN, up)
quantile(0.5, memory_bytes)
count_values("value", up)
count_values by (job) ("value", up)
count_values without (instance) ("value", up)
count_values("job", up)
count_values("value", memory_bytes / 3)
count_values without (pod, instance) ("job", memory_bytes)
"""
BINARY = """
{l} + {r}
{l} - {r}
{l} * {r}
{l} / {r}
{l} % {r}
{l} ^ {r}
{l} atan2 {r}
{l} == bool {r}
{l} != bool {r}
{l} > bool {r}
{l} < bool {r}
{l} >= bool {r}
{l} <= bool {r}
"""
FILTERS = """
{l} == {r}
{l} != {r}
{l} > {r}
{l} < {r}
{l} >= {r}
{l} <= {r}
"""
SIDES = [
    ("2", "3"), ("-7", "3"), ("7", "0"), ("0", "0"), ("NaN", "NaN"), ("Inf", "-2"), ("-8", "1/3"),
    ("0", "-1"), ("-2", "3"), ("1e200", "2"), ("-1e200", "3"), ("-0.0", "-3"),
]  # fmt: skip
VECTOR_SIDES = [
    ("memory_bytes", "2"), ("3", "memory_bytes"), ("requests_total", "requests_total"),
    ("up", "up offset 5m"), ("limits", "-limits"), ("up", "on (instance) memory_bytes"),
    ("up", "ignoring (pod) memory_bytes"), ("up", "memory_bytes"),
    ("sum by (job) (up)", "on (job) limits"), ("sum by (job) (up)", "limits"),
    ("requests_total", "on (job) group_left limits"),
    ("requests_total", "on (job) group_left (team) limits"),
    ("limits", "on (job) group_right (team) requests_total"),
    ("requests_total", "ignoring (code, path) group_left limits"),
    ("up", "on (job, instance) group_left (version, team) info"),
    ("up", "on (job) limits"), ("limits", "on (job) up"), ("up", "on () group_left lonely"),
    ("requests_total", "on (job) group_left info"), ("up", "nothing"), ("nothing", "up"),
    ("memory_bytes", "memory_bytes"), ("limits", "scalar(limits{job='api'})"),
]  # fmt: skip
SETS = """
up and limits
up and on (job) limits
up and ignoring (instance) limits
up and on () lonely
up or limits
up or on (job) limits
up or vector(0)
vector(0) or up
up unless limits
up unless on (job) limits{job="api"}
up unless on (instance) memory_bytes
up and up == 0
up or ignoring (instance) limits
nothing or vector(7)
(up == 1) or (up == 0)
up == 0 or absent(nothing)
sum(up) and vector(1) unless vector(2)
up and (limits > 0 or on (job) lonely)
{job="api"} and on (job) limits
"""
PRECEDENCE = """
1 + 2 * 3 ^ 2 ^ 0.5
2 * 3 % 4
-2 ^ 2
1 + limits > 1
up == bool 1 + 1
1 == bool 1 == bool 1
up * on (job, instance) memory_bytes > 3 or vector(1) and vector(2)
2 - -2
1 - 1 - 1
8 / 4 / 2
2 ^ 3 ^ 0
vector(1) == 1 or vector(2)
sum(up) / count(up) * 100 < 100
not_there or up > 0 unless up < 1
"""
USUAL = """
sum(rate(requests_total{code=~"5.."}[5m])) / sum(rate(requests_total[5m])) > 0.01
sum by (job) (rate(requests_total{code!~"5.."}[5m])) / sum by (job) (rate(requests_total[5m]))
100 * (1 - avg by (job) (up))
count(up == 0) or vector(0)
max_over_time(up[5m]) < 1
increase(requests_total{code="500"}[10m]) > 5
(time() - timestamp(up)) > 60
predict_linear(memory_bytes[1h], 4 * 3600) < 0
absent(up{job="api"} == 1)
sum by (job) (up) / on (job) group_left () limits
avg_over_time((sum by (job) (up))[30m:5m])
changes(up[1h]) > 0 and up == 1
label_replace(sum by (instance) (up), "node", "$1", "instance", "([^:]+):.*") * on () vector(1)
histogram_quantile(0.99, sum by (le) (rate(latency_bucket{job="api"}[5m]))) > 0.5
sum(up) by (job) > bool 1
min_over_time(up{job="api"}[15m]) == 0 unless on (instance) (memory_bytes > 1e6)
"""
WRONG = """
up{
rate(up)
sum(1)
up + on (job) group_left (job) info
nonsense(up)
1 > 2
up and 1
{}
up{job=~"("}
topk(up, 1)
label_replace(up, "a-b", "", "c", "")
requests_total + on (job) requests_total
limits + on (job) group_left requests_total
sum by (job) (up) + on () up
{__name__=~"up|limits"} * 2
rate({job="api"}[5m])
abs({job="api"})
up offset 1m offset 2m
"""


def _lines(text: str) -> list[str]:
    return [line for line in text.splitlines() if line]


def _filled(text: str, names: str) -> list[str]:
    return [line.format(f=name) for name in names.split() for line in _lines(text)]


def _two_sided(text: str, sides: list[tuple[str, str]]) -> list[str]:
    found = []
    for left, right in sides:
        modifier, _, rest = right.rpartition(") ") if right.startswith(("on", "ign")) else ("",) * 3
        for line in _lines(text):
            operator = line.removeprefix("{l} ").removesuffix(" {r}")
            if modifier and " group_" in right:
                head, _, tail = right.partition(" group_")
                name = tail.rpartition(" ")
                found.append(f"{left} {operator} {head} group_{name[0]} {name[2]}")
            elif modifier:
                found.append(f"{left} {operator} {modifier}) {rest}")
            else:
                found.append(f"{left} {operator} {right}")
    return found


QUERIES: dict[str, list[str]] = {
    "selectors": _lines(SELECTORS),
    "ranges": [*_filled(RANGES, RANGE_FUNCTIONS), *_lines(OTHER_RANGES)],
    "elementwise": _filled(ELEMENTWISE, ELEMENTWISE_FUNCTIONS),
    "dates": _filled(DATES, DATE_FUNCTIONS),
    "functions": _lines(FUNCTIONS),
    "aggregations": [*_filled(AGGREGATES, AGGREGATIONS), *_lines(OTHER_AGGREGATES)],
    "scalars": _two_sided(BINARY, SIDES),
    "vectors": _two_sided(BINARY + FILTERS, VECTOR_SIDES),
    "sets": _lines(SETS),
    "precedence": _lines(PRECEDENCE),
    "usual": _lines(USUAL),
    "wrong": _lines(WRONG),
}
