package server

import (
	"cmp"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"runtime"
	"time"

	"github.com/seed-53cf897a/docket/ledger"
	"github.com/seed-53cf897a/docket/ledger/record"
	"github.com/seed-53cf897a/docket/ledger/register"
)

// Config is what a server stands on and how much it bears. Ledger and Register
// are required; the zero value of every other field is the default beside it.
type Config struct {
	Ledger   *ledger.Public
	Register *register.Register
	Log      *slog.Logger // none

	// TLS makes the server speak TLS, and HTTP/2; it brings the certificate. Nil: plain
	// HTTP.
	TLS *tls.Config

	// Witnesses says how the policy's witnesses stand, for /v1/witnesses and the
	// metrics. Nil: nobody is asked.
	Witnesses func() []Witness

	// NextKeys says whether the witnesses are ready for the older of two generations of
	// log keys to go, for the same. Nil: one generation signs.
	NextKeys func() NextKeys

	// MetricsListener is where the metrics are served, at /metrics. Nil: nowhere.
	MetricsListener net.Listener

	// Room says why the store's disk takes nothing more, in a few words for strangers:
	// then records are refused and reads go on. Nil: it is never asked.
	Room func() error

	// Damage says what was found damaged in the databases, for /readyz and the metrics.
	// Nil: nobody is asked.
	Damage func() []Damage

	// PublishWait is how long a submitter is kept waiting for the quorum before
	// the answer is 202.
	PublishWait time.Duration // 10 s

	// PublishInterval is the least time between two publications of the ledger's Run:
	// that an entry waits for so long is nothing to worry about.
	PublishInterval time.Duration

	MaxBody        int // bytes of one submission; record.MaxSubmissionBytes, 256 KiB
	MaxHeader      int // bytes of one request's header; 16 KiB
	MaxConnections int // open at once, and requests at work at once; 4,096
	MaxPerAddress  int // the same of one address that is no proxy's; an eighth, at least 16

	HeaderTimeout time.Duration // 5 s
	ReadTimeout   time.Duration // header and body; 20 s
	WriteTimeout  time.Duration // from the header's end to the answer's; 60 s
	IdleTimeout   time.Duration // between requests of a connection; 2 min
	ShutdownGrace time.Duration // for requests at work when the server stops; 20 s

	// Verifiers is how many submissions are verified at once, VerifyQueue how
	// many may wait for their turn, VerifyWait how long. As many questions to the
	// register are answered at once, and as many bundles of entries made.
	Verifiers   int           // 2 × GOMAXPROCS
	VerifyQueue int           // 1,024
	VerifyWait  time.Duration // 2 s

	// IssuerRate bounds the records of one party that are admitted, its own or
	// others' that it introduces, of which a large one counts once for each 4 KiB; where
	// that is used up, each of its keys has a reserve of a fiftieth. ImporterRate bounds those that it imports from a list; RefusalRate
	// what one address may send that is refused. PerSecond below 0: no bound.
	IssuerRate   Rate // 50 a second, 500 at once
	ImporterRate Rate // 5,000 a second, 20,000 at once
	RefusalRate  Rate // 10 a second, 200 at once

	// Proxies are the addresses or networks (CIDR) of proxies before the server. What
	// they say in X-Forwarded-For is believed, and MaxPerAddress does not bind them;
	// otherwise all clients would share one address.
	Proxies []string

	// QueryBudget is the work that one question to the register may take, whoever asks.
	QueryBudget register.ReadBudget // 10,000 rows, 8 MiB: some 100 ms of one core, and 64 MiB of memory

	// AnswerMemory bounds the answers of more than 80 KiB that are on their way, also
	// to those who read slowly; one address gets an eighth of it.
	AnswerMemory int // bytes; 512 MiB

	// BundleCache is the memory for compressed entry bundles.
	BundleCache int // bytes; 64 MiB
}

// Damage is what was found damaged in one database, with Words for the operator, ""
// where all is well again, and how often it was met since the start.
type Damage struct {
	Database string // of a closed set
	Words    string
	Events   uint64
}

// withDefaults fills the zero fields and refuses what cannot work.
func (c Config) withDefaults() (Config, error) {
	if c.Ledger == nil || c.Register == nil {
		return c, errors.New("server: a ledger and a register are required")
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	c.PublishWait = cmp.Or(c.PublishWait, 10*time.Second)
	c.MaxBody = cmp.Or(c.MaxBody, record.MaxSubmissionBytes)
	c.MaxHeader = cmp.Or(c.MaxHeader, 16<<10)
	c.MaxConnections = cmp.Or(c.MaxConnections, 4096)
	c.HeaderTimeout = cmp.Or(c.HeaderTimeout, 5*time.Second)
	c.ReadTimeout = cmp.Or(c.ReadTimeout, 20*time.Second)
	c.WriteTimeout = cmp.Or(c.WriteTimeout, time.Minute)
	c.IdleTimeout = cmp.Or(c.IdleTimeout, 2*time.Minute)
	c.ShutdownGrace = cmp.Or(c.ShutdownGrace, 20*time.Second)
	c.Verifiers = cmp.Or(c.Verifiers, 2*runtime.GOMAXPROCS(0))
	c.VerifyQueue = cmp.Or(c.VerifyQueue, 1024)
	c.VerifyWait = cmp.Or(c.VerifyWait, 2*time.Second)
	c.IssuerRate = c.IssuerRate.withDefault(Rate{50, 500})
	c.ImporterRate = c.ImporterRate.withDefault(Rate{5_000, 20_000})
	c.RefusalRate = c.RefusalRate.withDefault(Rate{10, 200})
	c.QueryBudget = cmp.Or(c.QueryBudget, register.ReadBudget{Rows: 10_000, Bytes: 8 << 20})
	c.AnswerMemory = cmp.Or(c.AnswerMemory, 512<<20)
	c.BundleCache = cmp.Or(c.BundleCache, 64<<20)

	for name, r := range map[string]Rate{"IssuerRate": c.IssuerRate, "ImporterRate": c.ImporterRate, "RefusalRate": c.RefusalRate} {
		if err := r.Check(); err != nil {
			return c, fmt.Errorf("server: %s: %w", name, err)
		}
	}
	for name, n := range map[string]int{
		"MaxBody": c.MaxBody, "MaxHeader": c.MaxHeader, "MaxConnections": c.MaxConnections, "MaxPerAddress": c.MaxPerAddress,
		"Verifiers": c.Verifiers, "VerifyQueue": c.VerifyQueue, "BundleCache": c.BundleCache, "AnswerMemory": c.AnswerMemory,
	} {
		if n < 0 {
			return c, fmt.Errorf("server: %s is %d; it cannot be negative", name, n)
		}
	}
	if c.MaxBody < record.MaxEntryBytes {
		return c, fmt.Errorf("server: MaxBody is %d bytes; an entry may have %d", c.MaxBody, record.MaxEntryBytes)
	}
	if c.WriteTimeout <= c.PublishWait {
		return c, fmt.Errorf("server: WriteTimeout %s must be longer than PublishWait %s, or answers are cut off", c.WriteTimeout, c.PublishWait)
	}
	return c, nil
}

func (r Rate) withDefault(d Rate) Rate {
	if r == (Rate{}) {
		return d
	}
	if r.Burst == 0 {
		r.Burst = 1
	}
	return r
}
