// Package witnessnode puts one witness together: its keys, its state and its HTTP face,
// in one directory.
//
//	W/keys/witness-ed25519.key, W/keys/witness-mldsa44.key   its signing keys, or
//	W/keys/witness.kms                                       where its one key is kept
//	W/state/                                                 what it has cosigned; without it the keys are of no use
//	W/evidence/                                              what it caught, as files
package witnessnode

import (
	"cmp"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/seed-53cf897a/docket/cmd/docket/internal/keydir"
	"github.com/seed-53cf897a/docket/ledger/proof"
	"github.com/seed-53cf897a/docket/server/front"
	"github.com/seed-53cf897a/docket/witness"
)

// Limits of the HTTP face. A request is small, and a log waits for the answer.
const (
	maxConnections  = 1024
	maxHeader       = 16 << 10
	readTimeout     = 10 * time.Second
	writeTimeout    = 30 * time.Second
	idleTimeout     = 2 * time.Minute
	shutdownTimeout = 10 * time.Second
)

// Server answers for one witness.
type Server struct {
	Witness        *witness.Witness
	TLS            *tls.Config   // with the certificate; nil: plain HTTP
	GossipInterval time.Duration // between two rounds of gossip; 0: no rounds
	Log            *slog.Logger

	Metrics         *prometheus.Registry
	MetricsListener net.Listener // where Metrics are served, at /metrics; nil: nowhere

	MaxConnections int            // 1,024
	MaxPerAddress  int            // an eighth of them
	Proxies        []netip.Prefix // those before the witness, which MaxPerAddress does not bind
}

// Serve answers on l and gossips until ctx ends, then finishes the requests at
// work. It closes l and MetricsListener.
func (s Server) Serve(ctx context.Context, l net.Listener) error {
	defer context.AfterFunc(ctx, s.Witness.GiveUp)()
	rounds, stop := context.WithCancel(ctx)
	gossiped := make(chan struct{})
	go func() {
		defer close(gossiped)
		s.Witness.Run(rounds, s.GossipInterval)
	}()
	defer func() { stop(); <-gossiped }()
	c := front.Config{
		Handler: s.handler(), Probes: []string{"/healthz", "/readyz"}, TLS: s.TLS, Log: s.Log, Proxies: s.Proxies,
		MetricsListener: s.MetricsListener,
		MaxConnections:  cmp.Or(s.MaxConnections, maxConnections), MaxPerAddress: s.MaxPerAddress,
		MaxHeader: maxHeader, ReadTimeout: readTimeout, WriteTimeout: writeTimeout, IdleTimeout: idleTimeout, Grace: shutdownTimeout,
	}
	if s.Metrics != nil {
		c.Metrics = s.Metrics
	}
	return c.Serve(ctx, l)
}

// handler is the witness's face, beside what operators ask.
func (s Server) handler() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("/", s.Witness.Handler())
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "ok\n") })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) {
		if err := s.Witness.Err(); err != nil {
			http.Error(w, err.Error(), http.StatusServiceUnavailable)
			return
		}
		io.WriteString(w, "ok\n")
		for _, d := range s.Witness.Damage() {
			fmt.Fprintln(w, d)
		}
	})
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		front.LetPagesRead(w.Header(), r.Method, "Link, Retry-After")
		mux.ServeHTTP(w, r)
	})
}

var keyFiles = []keydir.File{
	{Name: "witness-ed25519.key", Algorithm: proof.CosignatureEd25519},
	{Name: "witness-mldsa44.key", Algorithm: proof.MLDSA44},
}

// kmsFile says where a witness's key is kept, if not in files.
const kmsFile = "witness.kms"

// kmsKey is what kmsFile holds.
type kmsKey struct {
	Name string `json:"name"`
	URI  string `json:"uri"`
}

// Init makes a witness in dir: its keys, and the state that says that they have
// cosigned nothing, which is durable first. Keys that are there are kept, if they have
// the same name; their state is never made anew, and a key that is made beside others
// needs it: [witness.ErrNoState]. With a KMS URI it makes no key and notes where it is:
// an Ed25519 key, since no KMS knows ML-DSA-44 yet. What that key has cosigned
// elsewhere is unknown, so the witness will look each log up. fatal is [witness.Config]'s.
func Init(ctx context.Context, dir, name, uri string, fatal func(reason string)) ([]witness.Key, error) {
	if err := keydir.OwnKind(dir, keyFiles); err != nil {
		return nil, err
	}
	if uri != "" {
		return initKMS(ctx, dir, kmsKey{name, uri}, fatal)
	}
	missing, err := keydir.Missing(dir, name, keyFiles)
	if err != nil {
		return nil, err
	}
	if len(missing) > 0 {
		if err := makeKeys(dir, name, missing, fatal); err != nil {
			return nil, err
		}
	}
	return LoadKeys(ctx, dir)
}

// makeKeys makes the keys of some files.
func makeKeys(dir, name string, missing []keydir.File, fatal func(string)) error {
	cfg := witness.Config{FS: vfs.Default, Dir: dir, Fatal: fatal}
	var secrets []string
	for _, f := range missing {
		secret, _, err := proof.GenerateKey(f.Algorithm, name)
		if err != nil {
			return err
		}
		k, err := proof.ParseCosigner(secret)
		if err != nil {
			return err
		}
		secrets, cfg.Keys = append(secrets, secret), append(cfg.Keys, k)
	}
	there := slices.DeleteFunc(slices.Clone(keyFiles), func(f keydir.File) bool { return slices.Contains(missing, f) })
	others, err := load(dir, there)
	if err != nil {
		return err
	}
	var old []proof.Key
	for _, k := range others {
		old = append(old, k.Key())
	}
	if err := witness.CreateState(cfg, old...); err != nil {
		return err
	}
	for i, f := range missing {
		if err := keydir.WriteFile(dir, f.Name, []byte(secrets[i]+"\n")); err != nil {
			return err
		}
	}
	return nil
}

// initKMS notes where a key is kept.
func initKMS(ctx context.Context, dir string, k kmsKey, fatal func(string)) ([]witness.Key, error) {
	keys, err := k.open(ctx)
	if err != nil {
		return nil, err
	}
	text, err := json.Marshal(k)
	if err != nil {
		return nil, err
	}
	if _, err := os.Stat(filepath.Join(dir, "keys", kmsFile)); errors.Is(err, fs.ErrNotExist) {
		if _, err := witness.RecreateState(witness.Config{Keys: keys, FS: vfs.Default, Dir: dir, Fatal: fatal}); err != nil {
			return nil, err
		}
	}
	return keys, keydir.WriteFile(dir, kmsFile, append(text, '\n'))
}

// HasState tells whether there is anything where the witness's state belongs.
func HasState(dir string) bool {
	_, err := os.Stat(filepath.Join(dir, "state"))
	return err == nil
}

// Exists tells whether there is a witness in dir, as far as names go: its state, its keys,
// or a note of where a KMS keeps one.
func Exists(dir string) bool {
	if HasState(dir) {
		return true
	}
	return slices.ContainsFunc(append(slices.Clone(keyFiles), keydir.File{Name: kmsFile}), func(f keydir.File) bool {
		_, err := os.Stat(filepath.Join(dir, "keys", f.Name))
		return err == nil
	})
}

// LoadKeys reads the witness's keys, or reaches the one that a KMS keeps;
// [keydir.ErrNoKeys] if there are none.
func LoadKeys(ctx context.Context, dir string) ([]witness.Key, error) {
	file := filepath.Join(dir, "keys", kmsFile)
	if text, err := os.ReadFile(file); err == nil {
		var k kmsKey
		if err := json.Unmarshal(text, &k); err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
		return k.open(ctx)
	} else if !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	return load(dir, keyFiles)
}

// load reads the keys of some files.
func load(dir string, files []keydir.File) (keys []witness.Key, err error) {
	texts, err := keydir.Load(dir, files)
	if err != nil {
		return nil, err
	}
	for i, text := range texts {
		k, err := proof.ParseCosigner(text)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", files[i].Name, err)
		}
		keys = append(keys, k)
	}
	return keys, nil
}

// open reaches the key.
func (k kmsKey) open(ctx context.Context) ([]witness.Key, error) {
	public, sign, err := keydir.OpenKMS(ctx, k.URI)
	if err != nil {
		return nil, err
	}
	c, err := proof.NewCosigner(k.Name, public, sign)
	if err != nil {
		return nil, err
	}
	return []witness.Key{c}, nil
}
