// Makes tests/vectors/names/{metrics,labels}.tsv: what Prometheus's own translator makes of names that games and
// their runtimes send, and of random ones. In an empty folder:
//
//	go mod init names && go get github.com/prometheus/otlptranslator@v1.0.0 && go run …/make_names.go …/names
package main

import (
	"fmt"
	"math/rand"
	"os"
	"path/filepath"
	"strings"

	"github.com/prometheus/otlptranslator"
)

var metrics = []string{
	"game.logins", "game.players.online", "game.tick.time", "game.tick.time.seconds", "game_matches_total", "total.damage",
	"total", "total.total", "game.win.ratio", "ratio", "ratio.of.wins", "http.server.request.duration", "process.cpu.time",
	"process.cpu.utilization", "system.memory.usage", "system.memory.usage_bytes", "system.network.io", "jvm.gc.duration",
	"go.memory.used", "kafka.consumer.lag", "rpc.server.duration", "per.second", "requests.per.second", "bytes", "seconds",
	"a", "A", "_", "__", "_a", "a_", "__a__b__", "a..b", "a.-.b", "1", "1a", "9.lives", ":a", "a:b", "a::b:", "job:x:rate5m",
	"café.visits", "ゲーム.logins", "naïve", "a b", "a/b", "a%b", "@", "@#$%", ".", "..", "-", "a.@.b", "hit%", "x.milliseconds",
	"x_milliseconds_total", "queue.depth.min", "game.ping.rtt", "unreal.frame.time", "net.rx.packets", "shard.0.load",
	"UPPER.Case", "camelCase.metric", "trailing.", ".leading", "tab\u00a0space", "temperature.celsius", "days.uptime",
}
var units = []string{
	"", "1", "s", "ms", "us", "ns", "min", "h", "d", "By", "KiBy", "MiBy", "GiBy", "TiBy", "KBy", "MBy", "GBy", "TBy", "m",
	"V", "A", "J", "W", "g", "Cel", "Hz", "%", "{login}", "{packet}/s", "By/s", "1/s", "s/By", "m/s", "By/m", "By/h", "By/d",
	"By/w", "By/mo", "By/y", "/s", "s/", "/", " s ", "s / By", "{a}/{b}", "By/{b}", "a{b}", "}", "unknown", "un known",
	"un@known#unit", "__", "_x_", "x/y/z", "s/unknown", "per", "seconds", "total", "ratio", "é", "1/1", "%/s", "42", "m/42",
}
var labels = []string{
	"region", "http.method", "cloud.availability_zone", "k8s.pod.name", "service.instance.id", "_private", "__reserved__",
	"__", "_", "___", "_1", "__1", "1", "1a", "9lives", "a..b", "a.-b", "a-b", "a b", "a:b", ":a", "é", "été", "ゲーム", "aé",
	"UPPER", "camelCase", ".a", "-a", "..a", "...", "a.", "a__b", "a%", "%a", "@type", "shard_id", "le", "quantile", "_a_",
	".1", ".é", "é1", "_é", "\u00a0a",
}

const alphabet = "abz019_:.-/%{} é"

func random(r *rand.Rand) string {
	letters := []rune(alphabet)
	n := 1 + r.Intn(9)
	out := make([]rune, n)
	for i := range out {
		out[i] = letters[r.Intn(len(letters))]
	}
	return string(out)
}

var types = []struct {
	name string
	kind otlptranslator.MetricType
}{
	{"counter", otlptranslator.MetricTypeMonotonicCounter},
	{"gauge", otlptranslator.MetricTypeGauge},
	{"other", otlptranslator.MetricTypeHistogram},
}

// An empty third field: refused.
func metric(out *strings.Builder, name, unit string, i int) {
	namer := otlptranslator.MetricNamer{WithMetricSuffixes: true}
	t := types[i%len(types)]
	built, err := namer.Build(otlptranslator.Metric{Name: name, Unit: unit, Type: t.kind})
	if err != nil {
		built = ""
	}
	fmt.Fprintf(out, "%s\t%s\t%s\t%s\n", t.name, name, unit, built)
}

func label(out *strings.Builder, name string) {
	namer := otlptranslator.LabelNamer{UnderscoreLabelSanitization: true, PreserveMultipleUnderscores: true}
	built, err := namer.Build(name)
	if err != nil {
		built = ""
	}
	fmt.Fprintf(out, "%s\t%s\n", name, built)
}

func main() {
	var m, l strings.Builder
	r := rand.New(rand.NewSource(1))
	for i, name := range metrics {
		for k := 0; k < 3; k++ {
			metric(&m, name, units[(i*3+k*7)%len(units)], k)
		}
	}
	for i, unit := range units {
		metric(&m, metrics[i%8], unit, 0)
		metric(&m, metrics[i%8], unit, 1)
	}
	for i := 0; i < 300; i++ {
		metric(&m, random(r), random(r), i)
		label(&l, random(r))
	}
	for _, name := range labels {
		label(&l, name)
	}
	for name, text := range map[string]string{"metrics.tsv": m.String(), "labels.tsv": l.String()} {
		if err := os.WriteFile(filepath.Join(os.Args[1], name), []byte(text), 0o644); err != nil {
			panic(err)
		}
	}
}
