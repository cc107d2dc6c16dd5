package pgstore_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/seed-53cf897a/docket/ledger"
	"github.com/seed-53cf897a/docket/ledger/pgstore"
	"github.com/seed-53cf897a/docket/ledger/pgstore/pgstoretest"
	"github.com/seed-53cf897a/docket/ledger/storetest"
)

// A server that may lose what it has confirmed is refused, with what to do; what a session
// sets itself is whatever the server and the role say.
func TestRefusals(t *testing.T) {
	server := pgstoretest.Start(t)
	good := server.URL()
	probed := func(url string) (kept []string, broken string, err error) {
		err = pgstore.Probe(t.Context(), pgstore.Config{URL: url}, func(promise string, err error) {
			if err != nil {
				broken = promise
			} else {
				kept = append(kept, promise)
			}
		})
		return kept, broken, err
	}
	promises := []string{pgstore.ServerKeeps, pgstore.SessionWaits, pgstore.OwnSessions, pgstore.AtomicSwap}
	accept := func(what, url string) {
		t.Helper()
		if kept, broken, err := probed(url); err != nil || !slices.Equal(kept, promises) {
			t.Errorf("%s: kept %q, not %q: %v", what, kept, broken, err)
		}
		s, err := pgstore.Open(t.Context(), pgstore.Config{URL: url})
		if err != nil {
			t.Errorf("%s: %v", what, err)
			return
		}
		if err := errors.Join(s.Take(t.Context()), s.Close()); err != nil {
			t.Errorf("%s: %v", what, err)
		}
	}
	refuse := func(what, url, promise, word string) {
		t.Helper()
		check := func(err error) {
			t.Helper()
			if !errors.Is(err, pgstore.ErrUnsafe) || !strings.Contains(err.Error(), word) {
				t.Errorf("%s: %v, want ErrUnsafe with %q", what, err, word)
			}
		}
		_, broken, err := probed(url)
		if check(err); broken != promise {
			t.Errorf("%s: broken is %q, want %q", what, broken, promise)
		}
		_, err = pgstore.Open(t.Context(), pgstore.Config{URL: url})
		check(err)
	}
	accept("as it is", good)
	refuse("synchronous_commit=off in the URL", good+"&synchronous_commit=off", pgstore.SessionWaits, "synchronous_commit is off")
	refuse("synchronous_commit=local in the URL", good+"&synchronous_commit=local", pgstore.SessionWaits, "synchronous_commit is local")
	accept("synchronous_commit=remote_apply in the URL", good+"&synchronous_commit=remote_apply")
	server.SQL(`ALTER ROLE docket SET synchronous_commit = off; ALTER ROLE docket SET client_min_messages = error; ALTER ROLE docket SET statement_timeout = 1;
		ALTER ROLE docket SET default_transaction_isolation = serializable; ALTER ROLE docket SET search_path = elsewhere`)
	accept("a role with other defaults", good)
	server.SQL(`ALTER ROLE docket RESET ALL`)

	// What is turned off while the store is open is noticed by the next write.
	s, err := pgstore.Open(t.Context(), pgstore.Config{URL: good})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	log := &storetest.ReferenceLog{}
	if err := errors.Join(s.Take(t.Context()), s.Extend(t.Context(), log.Grow(3))); err != nil {
		t.Fatal(err)
	}
	for _, setting := range []string{"fsync", "full_page_writes"} {
		server.Reload(setting + " = off")
		server.Await("SHOW "+setting, "off")
		refuse(setting, good, pgstore.ServerKeeps, setting+" is off")
		if err := s.Extend(t.Context(), log.Clone().Grow(3)); !errors.Is(err, pgstore.ErrUnsafe) {
			t.Errorf("%s turned off: %v", setting, err)
		}
		server.Reload(setting + " = on")
		server.Await("SHOW "+setting, "on")
	}
	if got := server.SQL(`SELECT count(*) FROM pg_tables WHERE tablename LIKE 'probe%'`); got != "0" {
		t.Errorf("%s tables of probes were left behind", got)
	}
}

// Of a server that cannot be reached nothing is known.
func TestProbeOfNoServer(t *testing.T) {
	err := pgstore.Probe(t.Context(), pgstore.Config{URL: "postgres://docket@127.0.0.1:1/docket"}, nil)
	if err == nil || errors.Is(err, pgstore.ErrUnsafe) || !strings.Contains(err.Error(), "connecting") {
		t.Errorf("%v, want that it could not connect", err)
	}
}

// A head that was there and is missing is a loss, and no beginning; a format to come is left alone.
func TestLoss(t *testing.T) {
	server := pgstoretest.Start(t)
	for name, c := range map[string]struct {
		sql  string
		want error
	}{
		"nohead": {"DROP TABLE %s.head", ledger.ErrCorrupt}, "norow": {"DELETE FROM %s.head", ledger.ErrCorrupt},
		"later": {"UPDATE %s.head SET format = 999", pgstore.ErrLaterVersion},
	} {
		url := server.URL() + "&schema=" + name
		s := takenStore(t, url)
		if err := s.Extend(t.Context(), (&storetest.ReferenceLog{}).Grow(3)); err != nil {
			t.Fatal(err)
		}
		server.SQL(fmt.Sprintf(c.sql, name))
		s, err := pgstore.Open(t.Context(), pgstore.Config{URL: url})
		if err == nil {
			err = errors.Join(s.Take(t.Context()), s.Close())
		}
		if !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}
}

// TestURL: what an address may say.
func TestURL(t *testing.T) {
	for url, word := range map[string]string{
		"s3://bucket/prefix":                             "postgres://",
		"postgres://docket@127.0.0.1/d?standby=maybe":    "standby=none",
		"postgres://docket@127.0.0.1/d?sslmode=nonsense": "sslmode",
		"postgres://docket:secret@127.0.0.1:1/d":         "127.0.0.1:1",
	} {
		_, err := pgstore.Open(t.Context(), pgstore.Config{URL: url})
		if err == nil || !strings.Contains(err.Error(), word) || strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: %v, want %q in it", url, err, word)
		}
	}
}

// What a server says of an error is judged whatever it says, nothing included.
func TestPasses(t *testing.T) {
	for code, want := range map[string]bool{"": false, "5": false, "57P01": true, "08006": true, "25006": true, "25001": false, "42P01": false} {
		if got := pgstore.Passes(&pgconn.PgError{Code: code}); got != want {
			t.Errorf("%q passes: %v", code, got)
		}
	}
}
