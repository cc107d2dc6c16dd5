// Package standby lets another process take a ledger's place when its writer is gone.
//
// The writer renews a lease, a blob in the store that says who writes and where ([Holder]). Who
// stands by watches it ([Watcher]) and brings its register up meanwhile; once the lease has not
// changed for its whole length, by the watcher's own monotonic clock, and a quorum of
// witnesses answers, it takes the store ([Standby]).
//
// Safety never rests on the lease: taking the store does, after which whatever an earlier
// writer still sends conflicts (package ledger, the laws of a Store). A lease that is stale,
// restored, forged or garbage makes a take-over come too early, too late or never; it loses no
// record and makes no second history.
package standby

import (
	"bytes"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"
)

const (
	// DefaultLease is how long a writer must be silent to be taken for dead.
	DefaultLease = 10 * time.Second

	// MinLease and MaxLease are its bounds. A lease that says a longer one is not believed: whoever
	// writes to the store could otherwise keep every standby waiting for ever.
	MinLease = 100 * time.Millisecond
	MaxLease = time.Minute
)

// blobName is where the lease lies in the store.
const blobName = "lease"

// maxLeaseBytes and maxURLBytes bound what is read of one.
const (
	maxLeaseBytes = 4096
	maxURLBytes   = 1024
)

// Lease is what a writer says of itself. It holds no time of day: clocks of two machines agree
// on nothing.
type Lease struct {
	Epoch  uint64 // of the taking of the store by which it writes
	Nonce  string // another one each time
	URL    string // where it takes records; "" if it does not say
	Length time.Duration
	Ended  bool // it has ended, and knows of nothing that it still writes
}

// leaseJSON is the blob.
type leaseJSON struct {
	Format int    `json:"docketLease"`
	Epoch  uint64 `json:"epoch"`
	Nonce  string `json:"nonce"`
	URL    string `json:"url,omitempty"`
	Millis int64  `json:"leaseMillis"`
	Ended  bool   `json:"ended,omitempty"`
}

const leaseFormat = 1

// renewed is the lease with a new nonce.
func (l Lease) renewed() Lease {
	l.Nonce = rand.Text()
	return l
}

// Bytes is the blob.
func (l Lease) Bytes() []byte {
	text, err := json.Marshal(leaseJSON{leaseFormat, l.Epoch, l.Nonce, l.URL, l.Length.Milliseconds(), l.Ended})
	if err != nil {
		panic(err) // strings and numbers
	}
	return append(text, '\n')
}

// ParseLease reads the blob, which anybody may have written who can write to the store.
func ParseLease(blob []byte) (Lease, error) {
	if len(blob) > maxLeaseBytes {
		return Lease{}, fmt.Errorf("a lease of %d bytes, limit %d", len(blob), maxLeaseBytes)
	}
	var j leaseJSON
	if err := json.NewDecoder(bytes.NewReader(blob)).Decode(&j); err != nil {
		return Lease{}, fmt.Errorf("the lease: %w", err)
	}
	l := Lease{Epoch: j.Epoch, Nonce: j.Nonce, URL: j.URL, Length: time.Duration(min(j.Millis, MaxLease.Milliseconds()+1)) * time.Millisecond, Ended: j.Ended}
	switch {
	case j.Format != leaseFormat:
		return Lease{}, fmt.Errorf("the lease is of format %d, want %d", j.Format, leaseFormat)
	case l.Epoch == 0 || l.Nonce == "":
		return Lease{}, errors.New("the lease has no epoch or no nonce")
	case l.Length < MinLease || l.Length > MaxLease:
		return Lease{}, fmt.Errorf("the lease is for %d ms, want %s to %s", j.Millis, MinLease, MaxLease)
	}
	return l, CheckURL(l.URL)
}

// CheckURL refuses a URL that others could not be told: one of http or https, without a
// password, and to which a path can be added; "" is none.
func CheckURL(text string) error {
	if text == "" {
		return nil
	}
	u, err := url.Parse(text)
	if err != nil || len(text) > maxURLBytes || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.User != nil || strings.ContainsAny(text, "?#") {
		return fmt.Errorf("%.80q: want the URL of a server, http:// or https://, without a password, query or fragment", text)
	}
	return nil
}
