package main

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seed-53cf897a/docket/client"
	"github.com/seed-53cf897a/docket/ledger/record"
	"github.com/seed-53cf897a/docket/ledger/record/refusaltest"
)

// transportFunc is a server in the process.
type transportFunc func(*http.Request) (int, error)

func (f transportFunc) RoundTrip(r *http.Request) (*http.Response, error) {
	code, err := f(r)
	if err != nil {
		return nil, err
	}
	return &http.Response{StatusCode: code, Header: http.Header{}, Body: io.NopCloser(strings.NewReader("{}")), Request: r}, nil
}

// submitThrough sends an envelope to it and returns what was said meanwhile.
func submitThrough(t *testing.T, tty bool, server transportFunc) (said string, err error) {
	t.Helper()
	c, err := client.New("http://ledger.example", server)
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	s := &submitCmd{app: &app{err: &out, tty: tty}, wait: 30 * time.Second, server: c}
	_, err = s.send(t.Context(), record.Envelope{PayloadType: record.PayloadType, Payload: []byte("{}"), Signatures: []record.Signature{{Sig: []byte("x")}}})
	return out.String(), err
}

// TestWaitingForWitnesses: after a while it is said whose answer is waited for and, only if the
// server says so, that it waits for the witnesses.
func TestWaitingForWitnesses(t *testing.T) {
	const waiting, committed = "waiting for http://ledger.example\n", "committed, says the server; waiting for the witnesses\n"
	for _, c := range []struct {
		name   string
		tty    bool
		silent time.Duration
		asked  int // what the server says of the receipt meanwhile
		told   string
	}{
		{"witnesses away", true, 10 * time.Second, http.StatusConflict, waiting + committed},
		{"a pipe", false, 10 * time.Second, http.StatusConflict, waiting + committed},
		{"no long silence", true, time.Second, http.StatusConflict, ""},
		{"not even committed", true, 10 * time.Second, http.StatusNotFound, waiting},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				said, err := submitThrough(t, c.tty, func(r *http.Request) (int, error) {
					if r.Method == http.MethodGet {
						return c.asked, nil
					}
					time.Sleep(c.silent)
					return http.StatusAccepted, nil
				})
				if err != nil || said != c.told {
					t.Errorf("said %q, %v; want %q", said, err, c.told)
				}
				if said != "" {
					refusaltest.Words(t, said)
				}
			})
		})
	}
}

// TestUnreachableIsReportedOnce: a server that stays out of reach is one line, however often it is
// tried, and no call as Go prints it.
func TestUnreachableIsReportedOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tries := 0
		said, err := submitThrough(t, false, func(*http.Request) (int, error) {
			tries++
			return 0, syscall.ECONNREFUSED
		})
		if strings.Count(said, "\n") != 1 || tries < 3 || !errors.Is(err, syscall.ECONNREFUSED) {
			t.Errorf("said %q in %d tries, then %v; want one line", said, tries, err)
		}
		refusaltest.Words(t, said)
	})
}
