// Sends what it reads as JSON, by Prometheus's own client for remote write 2.0 (client_golang/exp/api/remote): its
// symbol table, encoding, headers, retries and its judgement of the answer.
//
//	write_v2_sender URL TOKEN <series.json
//
// It prints what the receiver says it has written, and the client's error, as JSON.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"sort"
	"time"

	"github.com/prometheus/client_golang/exp/api/remote"
	v2 "github.com/prometheus/client_golang/exp/api/remote/genproto/v2"
)

type histogram struct {
	TMs       int64
	Count     uint64
	Sum       float64
	Schema    int32
	ZeroCount uint64
	Offset    int32
	Deltas    []int64
}

type series struct {
	Labels     map[string]string
	Type       string // counter, gauge, histogram
	Unit, Help string
	Samples    [][2]float64 // ms, value
	Histograms []histogram
}

type tokenAdder struct{ token string }

func (t tokenAdder) RoundTrip(r *http.Request) (*http.Response, error) {
	r.Header.Set("Authorization", "Bearer "+t.token)
	return http.DefaultTransport.RoundTrip(r)
}

func encode(all []series) *v2.Request {
	symbols := v2.NewSymbolTable()
	request := &v2.Request{}
	types := map[string]v2.Metadata_MetricType{"counter": v2.Metadata_METRIC_TYPE_COUNTER,
		"gauge": v2.Metadata_METRIC_TYPE_GAUGE, "histogram": v2.Metadata_METRIC_TYPE_HISTOGRAM}
	for _, s := range all {
		names := []string{}
		for name := range s.Labels {
			names = append(names, name)
		}
		sort.Strings(names)
		labels := []string{}
		for _, name := range names {
			labels = append(labels, name, s.Labels[name])
		}
		row := &v2.TimeSeries{LabelsRefs: symbols.SymbolizeLabels(labels, nil), Metadata: &v2.Metadata{
			Type: types[s.Type], HelpRef: symbols.Symbolize(s.Help), UnitRef: symbols.Symbolize(s.Unit)}}
		for _, sample := range s.Samples {
			row.Samples = append(row.Samples, &v2.Sample{Timestamp: int64(sample[0]), Value: sample[1]})
		}
		for _, h := range s.Histograms {
			row.Histograms = append(row.Histograms, &v2.Histogram{
				Count: &v2.Histogram_CountInt{CountInt: h.Count}, Sum: h.Sum, Schema: h.Schema, ZeroThreshold: 1e-128,
				ZeroCount: &v2.Histogram_ZeroCountInt{ZeroCountInt: h.ZeroCount}, Timestamp: h.TMs,
				PositiveSpans:  []*v2.BucketSpan{{Offset: h.Offset, Length: uint32(len(h.Deltas))}},
				PositiveDeltas: h.Deltas})
		}
		request.Timeseries = append(request.Timeseries, row)
	}
	request.Symbols = symbols.Symbols()
	return request
}

func run() error {
	var all []series
	if err := json.NewDecoder(os.Stdin).Decode(&all); err != nil {
		return err
	}
	api, err := remote.NewAPI(os.Args[1], remote.WithAPIHTTPClient(&http.Client{
		Transport: tokenAdder{os.Args[2]}, Timeout: 30 * time.Second}))
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	written, failed := api.Write(ctx, remote.WriteV2MessageType, encode(all))
	said := map[string]any{"samples": written.Samples, "histograms": written.Histograms, "exemplars": written.Exemplars}
	if failed != nil {
		said["error"] = failed.Error()
	}
	return json.NewEncoder(os.Stdout).Encode(said)
}

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
