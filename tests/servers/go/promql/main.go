// Command promqloracle evaluates PromQL with Prometheus's own engine: a JSON question a line in, a
// JSON answer a line out.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"strconv"
	"testing"
	"time"

	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/promql/promqltest"
	"github.com/prometheus/prometheus/storage"
)

type question struct {
	// Load is promqltest's language: "load 1m" and series.
	Load    string   `json:"load"`
	AtMs    int64    `json:"at_ms"`
	Queries []string `json:"queries"`
}

type sample struct {
	Metric map[string]string `json:"metric"`
	Value  string            `json:"value"`
}

type answer struct {
	Kind    string   `json:"kind"`
	Error   string   `json:"error,omitempty"`
	Samples []sample `json:"samples"`
}

// failing stands in for a test: what would fail it ends the question.
type failing struct{ testing.TB }

func (failing) Errorf(f string, args ...any) { panic(fmt.Sprintf(f, args...)) }
func (failing) FailNow()                     { panic("failed") }
func (failing) Helper()                      {}
func (failing) Cleanup(func())               {}
func (failing) Name() string                 { return "promqloracle" }
func (failing) TempDir() string {
	dir, err := os.MkdirTemp("", "promqloracle")
	if err != nil {
		panic(err)
	}
	return dir
}

func main() {
	engine := promql.NewEngine(promql.EngineOpts{
		MaxSamples: 50_000_000, Timeout: time.Minute, LookbackDelta: 5 * time.Minute,
		NoStepSubqueryIntervalFn: func(int64) int64 { return 60_000 },
		EnableAtModifier:         true, EnableNegativeOffset: true,
		Parser: parser.NewParser(parser.Options{EnableExperimentalFunctions: true}),
	})
	in := bufio.NewReader(os.Stdin)
	out := json.NewEncoder(os.Stdout)
	decoder := json.NewDecoder(in)
	for decoder.More() {
		var asked question
		if err := decoder.Decode(&asked); err != nil {
			panic(err)
		}
		if err := out.Encode(answers(engine, asked)); err != nil {
			panic(err)
		}
	}
}

func answers(engine *promql.Engine, asked question) (all []answer) {
	loaded := promqltest.LoadedStorage(failing{}, asked.Load)
	defer loaded.Close()
	for _, query := range asked.Queries {
		all = append(all, evaluate(engine, loaded, query, time.UnixMilli(asked.AtMs)))
	}
	return all
}

func evaluate(engine *promql.Engine, over storage.Queryable, query string, at time.Time) answer {
	asked, err := engine.NewInstantQuery(context.Background(), over, nil, query, at)
	if err != nil {
		return answer{Error: err.Error()}
	}
	defer asked.Close()
	result := asked.Exec(context.Background())
	if result.Err != nil {
		return answer{Error: result.Err.Error()}
	}
	given := answer{Kind: string(result.Value.Type()), Samples: []sample{}}
	switch value := result.Value.(type) {
	case promql.Scalar:
		given.Samples = append(given.Samples, sample{map[string]string{}, text(value.V)})
	case promql.String:
		given.Samples = append(given.Samples, sample{map[string]string{}, value.V})
	case promql.Vector:
		for _, one := range value {
			given.Samples = append(given.Samples, sample{one.Metric.Map(), text(one.F)})
		}
	}
	return given
}

func text(value float64) string { return strconv.FormatFloat(value, 'g', -1, 64) }
