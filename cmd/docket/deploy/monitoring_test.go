package deploy

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/promql/parser"
	"go.yaml.in/yaml/v3"

	"github.com/seed-53cf897a/docket/client/wire"
	"github.com/seed-53cf897a/docket/cmd/docket/internal/standby"
	"github.com/seed-53cf897a/docket/cmd/docket/internal/witnessnode"
	"github.com/seed-53cf897a/docket/ledger"
	"github.com/seed-53cf897a/docket/ledger/auditors"
	"github.com/seed-53cf897a/docket/ledger/pebblestore"
	"github.com/seed-53cf897a/docket/ledger/proof"
	"github.com/seed-53cf897a/docket/ledger/public"
	"github.com/seed-53cf897a/docket/ledger/register"
	"github.com/seed-53cf897a/docket/ledger/register/registertest"
	"github.com/seed-53cf897a/docket/server"
	"github.com/seed-53cf897a/docket/witness"
)

// series are the metrics that there are, with the labels of each; Prometheus adds instance
// and job to all.
type series map[string]map[string]bool

// exported are the metrics of a ledger with witnesses, whose log keys rotate and which has
// answered something, of a replica that has sent something on, and of a witness that has
// cosigned: all that the three can export.
func exported(t *testing.T) series {
	t.Helper()
	all := series{"up": {"instance": true, "job": true}} // Prometheus's own
	ofLedger, ofReplica := ledgerMetrics(t)
	all.add(t, ofLedger)
	all.add(t, ofReplica)
	all.add(t, witnessMetrics(t))
	return all
}

func (s series) add(t *testing.T, text []byte) {
	t.Helper()
	p := expfmt.NewTextParser(model.LegacyValidation)
	families, err := p.TextToMetricFamilies(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	for name, f := range families {
		names := []string{name}
		if f.GetType() == dto.MetricType_HISTOGRAM {
			names = []string{name + "_bucket", name + "_sum", name + "_count"}
		}
		for _, n := range names {
			if s[n] == nil {
				s[n] = map[string]bool{"instance": true, "job": true}
			}
			for _, m := range f.Metric {
				for _, l := range m.Label {
					s[n][l.GetName()] = true
				}
			}
			if strings.HasSuffix(n, "_bucket") {
				s[n]["le"] = true
			}
		}
	}
}

func ledgerMetrics(t *testing.T) (ofLedger, ofReplica []byte) {
	t.Helper()
	const origin = "docket.example/test"
	skey, vkey, err := proof.GenerateKey(proof.Ed25519, origin)
	must(t, err)
	signer, err := proof.ParseSigner(skey)
	must(t, err)
	world := registertest.New(time.Now(), origin, "log "+vkey+"\nquorum none\n")
	files := vfs.NewMem()
	store, err := pebblestore.Open(files, "store", pebblestore.Options{})
	must(t, err)
	defer store.Close()
	reg, err := register.Open(files, "register", registertest.SmallOptions())
	must(t, err)
	defer reg.Close()
	l, err := ledger.Open(t.Context(), store, public.Fold(reg), ledger.Config{Origin: origin, Signers: []*proof.Signer{signer}})
	must(t, err)
	ctx, stop := context.WithCancel(t.Context())
	ran := make(chan error, 1)
	go func() { ran <- l.Run(ctx) }()
	metrics, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	skey, _, err = proof.GenerateKey(proof.CosignatureEd25519, "vigil.example")
	must(t, err)
	vigil, err := proof.ParseCosigner(skey)
	must(t, err)
	words := auditors.New(auditors.Config{
		Files: files, Dir: "auditors", Checkpoint: l.CheckpointOf,
		Named: func() ([]auditors.Named, error) { return []auditors.Named{{Key: vigil.Key()}}, nil },
	})
	s, err := server.New(server.Config{
		Auditors: words, Ledger: l, Register: reg, MetricsListener: metrics,
		Witnesses: func() []server.Witness { return []server.Witness{{Name: "w1", At: time.Now()}} },
		NextKeys: func() server.NextKeys {
			return server.NextKeys{AskedAt: time.Now(), Witnesses: []server.Readiness{{Name: "w1"}}}
		},
		Damage: func() []server.Damage { return []server.Damage{{Database: "store"}} },

		Collectors: []prometheus.Collector{standby.New(nil, standby.Config{}).Metrics()},
	})
	must(t, err)
	submitted := httptest.NewRequest("POST", "/v1/records", bytes.NewReader(world.Charter().Marshal()))
	submitted.Header.Set("Content-Type", "application/json")
	for _, r := range []*http.Request{submitted, httptest.NewRequest("GET", "/v1/nothing", nil)} {
		s.Handler().ServeHTTP(httptest.NewRecorder(), r)
	}
	sig, err := vigil.Cosign(l.Published().Checkpoint())
	must(t, err)
	note, err := proof.AddSignatures(l.Published().Note(), sig)
	must(t, err)
	_, _, err = words.Take(t.Context(), note)
	must(t, err)
	ofLedger = scrape(t, metrics, s.Serve)
	metrics, err = net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	s, err = server.New(server.Config{Register: reg, MetricsListener: metrics, Copy: &server.Copy{Reader: l.Reader, Replica: &server.Replica{
		URL: func() string { return "http://writer.example" }, Send: away, State: func() server.ReplicaState { return server.ReplicaState{} },
	}}})
	must(t, err)
	s.Handler().ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", "/v1/witnesses", nil))
	ofReplica = scrape(t, metrics, s.Serve)
	stop()
	must(t, <-ran)
	return ofLedger, ofReplica
}

// away is the way to a writer that is out of reach.
func away(*http.Request) (*http.Response, error) { return nil, errors.New("out of reach") }

func witnessMetrics(t *testing.T) []byte {
	t.Helper()
	dir := t.TempDir()
	keys, err := witnessnode.Init(t.Context(), dir, "w.example", "", nil)
	must(t, err)
	const origin = "log.example/1"
	skey, vkey, err := proof.GenerateKey(proof.Ed25519, origin)
	must(t, err)
	signer, err := proof.ParseSigner(skey)
	must(t, err)
	logs, err := witness.ParseLogs(fmt.Appendf(nil, "logs/v0\nvkey %s\norigin %s\nqpd 86400\ncontact ops@log.example\n", vkey, origin))
	must(t, err)
	registry := prometheus.NewRegistry()
	w, err := witness.Open(witness.Config{Keys: keys, FS: vfs.Default, Dir: dir, Logs: logs, Metrics: registry})
	must(t, err)
	defer w.Close()
	for _, ask := range []struct {
		old, size uint64
		root      byte
	}{{0, 1, 1}, {1, 2, 2}, {1, 1, 3}} { // one is cosigned, one has no proof, one is a fork
		cp, err := proof.SignCheckpoint(proof.Checkpoint{Origin: origin, Size: ask.size, Root: proof.Hash{ask.root}}, signer)
		must(t, err)
		r := wire.AddCheckpoint{Old: ask.old, Note: cp.Note()}
		w.Handler().ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("POST", "/add-checkpoint", bytes.NewReader(r.Format())))
	}
	metrics, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	node := witnessnode.Server{Witness: w, Metrics: registry, MetricsListener: metrics}
	return scrape(t, metrics, node.Serve)
}

// scrape reads /metrics of what serves meanwhile.
func scrape(t *testing.T, metrics net.Listener, serve func(context.Context, net.Listener) error) []byte {
	t.Helper()
	main, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	ctx, stop := context.WithCancel(t.Context())
	served := make(chan error, 1)
	go func() { served <- serve(ctx, main) }()
	answer, err := http.Get("http://" + metrics.Addr().String() + "/metrics")
	must(t, err)
	defer answer.Body.Close()
	var text bytes.Buffer
	_, err = text.ReadFrom(answer.Body)
	must(t, err)
	http.DefaultClient.CloseIdleConnections()
	stop()
	must(t, <-served)
	return text.Bytes()
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

type alert struct {
	Alert, Expr         string
	Labels, Annotations map[string]string
}

func alerts(t *testing.T) (all []alert) {
	t.Helper()
	var file struct {
		Groups []struct{ Rules []alert }
	}
	text, err := os.ReadFile("monitoring/docket.rules.yml")
	must(t, err)
	must(t, yaml.Unmarshal(text, &file))
	for _, g := range file.Groups {
		all = append(all, g.Rules...)
	}
	if len(all) == 0 {
		t.Fatal("no rules")
	}
	return all
}

// selected are the metrics that an expression reads, each with the labels that it is asked
// for; the labels by which results are grouped or matched under "".
func selected(t *testing.T, expr string) series {
	t.Helper()
	e, err := parser.NewParser(parser.Options{}).ParseExpr(expr)
	if err != nil {
		t.Fatalf("%s: %v", expr, err)
	}
	found := series{"": {}}
	parser.Inspect(e, func(n parser.Node, _ []parser.Node) error {
		switch n := n.(type) {
		case *parser.VectorSelector:
			if found[n.Name] == nil {
				found[n.Name] = map[string]bool{}
			}
			for _, m := range n.LabelMatchers {
				if m.Name != model.MetricNameLabel {
					found[n.Name][m.Name] = true
				}
			}
		case *parser.AggregateExpr:
			for _, l := range n.Grouping {
				found[""][l] = true
			}
		case *parser.BinaryExpr:
			if n.VectorMatching != nil {
				for _, l := range slices.Concat(n.VectorMatching.MatchingLabels, n.VectorMatching.Include) {
					found[""][l] = true
				}
			}
		}
		return nil
	})
	return found
}

// missing are the metrics and labels that an expression names and nothing exports; more
// are labels that what is printed of it names.
func (s series) missing(t *testing.T, expr string, more ...string) (faults []string) {
	t.Helper()
	read := selected(t, expr)
	grouped := slices.Concat(slices.Collect(maps.Keys(read[""])), more)
	delete(read, "")
	for name, wanted := range read {
		if s[name] == nil {
			faults = append(faults, "no metric "+name)
			continue
		}
		for l := range wanted {
			if !s[name][l] {
				faults = append(faults, name+" has no label "+l)
			}
		}
	}
	for _, l := range grouped {
		if !slices.ContainsFunc(slices.Collect(maps.Keys(read)), func(name string) bool { return s[name][l] }) {
			faults = append(faults, "nothing that is read has the label "+l)
		}
	}
	return faults
}

var (
	labelInText   = regexp.MustCompile(`\{\{ *\$labels\.(\w+)`)
	labelInLegend = regexp.MustCompile(`\{\{(\w+)\}\}`)
	labelValues   = regexp.MustCompile(`^label_values\((\w+), (\w+)\)$`)
	docketMetric  = regexp.MustCompile("`(docket_\\w+)`")
	runbook       = regexp.MustCompile(`^README\.md#(\w+)(?: "(\w+)")?$`)
)

func names(re *regexp.Regexp, text string) (all []string) {
	for _, m := range re.FindAllStringSubmatch(text, -1) {
		all = append(all, m[1])
	}
	return all
}

// TestRules: each alert reads what is exported, says how grave it is, what it is and what
// to do, and leads to a paragraph that README has.
func TestRules(t *testing.T) {
	all, chapters := exported(t), chapters(t)
	for _, a := range alerts(t) {
		for _, fault := range all.missing(t, a.Expr, names(labelInText, a.Annotations["summary"]+a.Annotations["description"])...) {
			t.Errorf("%s: %s", a.Alert, fault)
		}
		if s := a.Labels["severity"]; s != "critical" && s != "warning" {
			t.Errorf("%s: severity %q", a.Alert, s)
		}
		for _, want := range []string{"summary", "description"} {
			if a.Annotations[want] == "" {
				t.Errorf("%s has no %s", a.Alert, want)
			}
		}
		m := runbook.FindStringSubmatch(a.Annotations["runbook"])
		if m == nil || chapters[m[1]] == "" || m[2] != "" && !strings.Contains(chapters[m[1]], "**"+m[2]+".**") {
			t.Errorf("%s: README has no such paragraph: %s", a.Alert, a.Annotations["runbook"])
		}
	}
}

// TestRulesCoverREADME: what README says to alarm about has an alert, and each metric that
// it names exists.
func TestRulesCoverREADME(t *testing.T) {
	all, chapters := exported(t), chapters(t)
	alarmed := map[string]bool{}
	for _, a := range alerts(t) {
		for name := range selected(t, a.Expr) {
			alarmed[name] = true
		}
	}
	wanted := names(docketMetric, chapters["witness"])
	for line := range strings.Lines(chapters["operate"]) {
		if strings.HasPrefix(line, "| `docket_") && strings.Contains(line, "alarm") {
			wanted = append(wanted, names(docketMetric, line)...)
		}
	}
	if len(wanted) < 9 {
		t.Fatalf("README names only %q", wanted)
	}
	for _, name := range wanted {
		if !alarmed[name] {
			t.Errorf("README says to alarm about %s, and no rule reads it", name)
		}
	}
	for _, name := range names(docketMetric, chapters["operate"]+chapters["witness"]) {
		if all[name] == nil && all[name+"_bucket"] == nil {
			t.Errorf("README names %s, which nothing exports", name)
		}
	}
}

// TestDashboard: each panel and variable reads what is exported; and each metric of
// Docket's own is on a panel.
func TestDashboard(t *testing.T) {
	var board struct {
		Panels []struct {
			ID      int
			Title   string
			Type    string
			Targets []struct{ Expr, LegendFormat string }
		}
		Templating struct {
			List []struct{ Name, Type, Definition string }
		}
	}
	text, err := os.ReadFile("monitoring/docket.dashboard.json")
	must(t, err)
	must(t, json.Unmarshal(text, &board))
	all := exported(t)
	shown, ids := map[string]bool{}, map[int]bool{}
	for _, p := range board.Panels {
		if ids[p.ID] {
			t.Errorf("%s: two panels have the number %d", p.Title, p.ID)
		}
		ids[p.ID] = true
		if p.Type != "row" && len(p.Targets) == 0 {
			t.Errorf("%s shows nothing", p.Title)
		}
		for _, target := range p.Targets {
			for _, fault := range all.missing(t, target.Expr, names(labelInLegend, target.LegendFormat)...) {
				t.Errorf("%s: %s", p.Title, fault)
			}
			for name := range selected(t, target.Expr) {
				shown[name] = true
			}
		}
	}
	for _, v := range board.Templating.List {
		if v.Type != "query" {
			continue
		}
		if m := labelValues.FindStringSubmatch(v.Definition); m == nil || !all[m[1]][m[2]] {
			t.Errorf("variable %s: nothing exports what %s reads", v.Name, v.Definition)
		}
	}
	for name := range all {
		base, isBucket := strings.CutSuffix(name, "_bucket")
		histogram := all[strings.TrimSuffix(strings.TrimSuffix(name, "_sum"), "_count")+"_bucket"] != nil
		if strings.HasPrefix(name, "docket_") && !shown[name] && (isBucket || !histogram) {
			t.Errorf("no panel shows %s", base)
		}
	}
}

// chapters are README's by anchor.
func chapters(t *testing.T) map[string]string {
	t.Helper()
	text, err := os.ReadFile("../../../README.md")
	must(t, err)
	all := map[string]string{}
	for _, c := range strings.Split(string(text), "\n## ")[1:] {
		title, body, _ := strings.Cut(c, "\n")
		all[strings.ReplaceAll(strings.ToLower(title), " ", "-")] = body
	}
	return all
}
