package client

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seed-53cf897a/docket/ledger/proof"
	"github.com/seed-53cf897a/docket/ledger/record"
	"github.com/seed-53cf897a/docket/ledger/register/registertest"
)

// archiveSource is a log that keeps the checkpoints that it published.
type archiveSource struct {
	Source
	archived []*proof.Published                                                    // oldest first
	cosign   func(cp proof.Checkpoint, others ...proof.Signature) *proof.Published // by the third witness beside others, if there are any
	asked    atomic.Int64                                                          // an audit asks from several goroutines
}

func (s *archiveSource) CheckpointAt(_ context.Context, t time.Time) ([]byte, error) {
	s.asked.Add(1)
	var note []byte
	for _, p := range s.archived {
		if !p.ExistedBy().After(t) {
			note = p.Note()
		}
	}
	if note == nil {
		return nil, errNotArchived
	}
	return note, nil
}

func (s *archiveSource) Checkpoint(context.Context) ([]byte, error) {
	return s.archived[len(s.archived)-1].Note(), nil
}

// A ledger whose clock is forged is caught by the times of the checkpoints that it
// published meanwhile, whichever way it lies; a clock that is a little off is not.
func TestAuditTimes(t *testing.T) {
	const real = 0 * time.Second
	for _, c := range []struct {
		name   string
		offset [4]time.Duration // of the ledger's clock, at each of four designations an hour and a half apart
		want   []string
	}{
		{"true", [4]time.Duration{real, real, real, real}, nil},
		{"a little behind", [4]time.Duration{real, real, -50 * time.Minute, real}, nil},
		{"a little ahead", [4]time.Duration{real, real, 4 * time.Minute, real}, nil},
		{"set back", [4]time.Duration{real, real, -80 * time.Minute, real}, []string{"entry 5: its admission time 2000-01-01T03:40:00Z is more than 1 h before a quorum cosigned the checkpoint of size 5, which does not hold it, at 2000-01-01T04:50:00Z"}},
		{"set ahead", [4]time.Duration{real, 30 * time.Minute, real, real}, []string{"entry 4: its admission time 2000-01-01T04:00:00Z is after a quorum cosigned the checkpoint of size 5, which holds it, at 2000-01-01T03:30:00Z"}},
		{"back for long", [4]time.Duration{real, real, -80 * time.Minute, -160 * time.Minute}, []string{"entry 5", "entry 6"}},
		{"ahead at the end", [4]time.Duration{real, real, real, time.Hour}, []string{"entry 6: its admission time 2000-01-01T07:30:00Z is after"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				source, ledger := forgedClock(t, c.offset)
				r := runAudit(t, Audit{Source: source, Charter: ledger})
				if len(r.Findings) != len(c.want) {
					t.Fatalf("findings %q, want %d", r.Findings, len(c.want))
				}
				for i, want := range c.want {
					if !strings.Contains(r.Findings[i], want) {
						t.Errorf("finding %q, want …%s…", r.Findings[i], want)
					}
				}
				if r.Archived < len(source.archived)-1 || source.asked.Load() > int64(3*len(source.archived)+parallelWalks) {
					t.Errorf("compared %d kept checkpoints of %d, asking %d times", r.Archived, len(source.archived), source.asked.Load())
				}
			})
		})
	}
}

// forgedClock is a log of three records at midnight and four designations, one every
// 90 minutes from 2 o'clock, each admitted by a clock that is off by so much. Two of
// three witnesses, whose clocks are right, cosign after each, and again 80 minutes later;
// the third is out of the ledger's reach.
func forgedClock(t *testing.T, offset [4]time.Duration) (*archiveSource, record.ID) {
	t.Helper()
	text := "log " + logKey().Key().String() + "\n"
	var cosigners []*proof.Cosigner
	for i := range 3 {
		skey, _, err := proof.GenerateKey(proof.CosignatureEd25519, fmt.Sprintf("w%d.example", i))
		must(t, err)
		c, err := proof.ParseCosigner(skey)
		must(t, err)
		cosigners = append(cosigners, c)
		text += fmt.Sprintf("witness w%d %s\n", i, c.Key())
	}
	text += "group two 2 w0 w1 w2\nquorum two\n"
	policy, err := proof.ParsePolicy([]byte(text))
	must(t, err)
	b := &registertest.Fixture{World: registertest.New(time.Now(), origin, text)}
	full := registertest.NewFixture(time.Now())
	must(t, full.Register.Reset())
	b.Register = full.Register
	defer b.Register.Close()
	b.Must(b.Charter())
	b.Must(b.Authority())
	b.Must(b.Provider("acme-cloud"))
	source := &archiveSource{}
	source.cosign = func(cp proof.Checkpoint, others ...proof.Signature) *proof.Published {
		t.Helper()
		signed, err := proof.SignCheckpoint(cp, logKey())
		must(t, err)
		_, sigs, err := proof.ParseCheckpoint(signed.Note())
		must(t, err)
		by := cosigners[:2]
		if len(others) > 0 {
			sigs, by = append(sigs, others...), cosigners[2:]
		}
		for _, c := range by {
			sig, err := c.Cosign(cp)
			must(t, err)
			sigs = append(sigs, sig)
		}
		note, err := proof.FormatNote(cp, sigs...)
		must(t, err)
		p, err := policy.Verify(note, time.Now())
		must(t, err)
		return p
	}
	cosign := func() {
		t.Helper()
		source.Source = sourceOf(t, b.Entries)
		note, err := source.Source.Checkpoint(t.Context())
		must(t, err)
		cp, _, err := proof.ParseCheckpoint(note)
		must(t, err)
		source.archived = append(source.archived, source.cosign(cp))
	}
	cosign()
	time.Sleep(2 * time.Hour)
	for i, off := range offset {
		b.Now = time.Now().Add(off)
		name := fmt.Sprintf("2000-%03d", i)
		b.Must(b.Designate(name, b.NewDesignation("Kestrel Hosting")))
		cosign()
		time.Sleep(80 * time.Minute)
		cosign()
		time.Sleep(10 * time.Minute)
	}
	return source, b.Ledger
}

// sourceWithoutArchive is a server that shows none of the checkpoints it published.
type sourceWithoutArchive struct{ *archiveSource }

func (sourceWithoutArchive) CheckpointAt(context.Context, time.Time) ([]byte, error) {
	return nil, errNotArchived
}

// Where no older checkpoint could be compared, the report says so, and whose doing that
// is: a directory has none, a server was asked and showed none.
func TestAuditNoneKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source, ledger := forgedClock(t, [4]time.Duration{})
		for name, c := range map[string]struct {
			source Source
			want   string
			not    string
		}{
			"server":    {sourceWithoutArchive{source}, "the ledger was asked for the checkpoints that it published before, and showed none that holds", "docket audit URL"},
			"directory": {struct{ Source }{source}, "docket audit URL asks the ledger for them", "showed none"},
		} {
			r := runAudit(t, Audit{Source: c.source, Charter: ledger})
			notes := strings.Join(r.Notes, "\n")
			if len(r.Findings) > 0 || r.Archived > 0 || !strings.Contains(notes, c.want) || strings.Contains(notes, c.not) {
				t.Errorf("%s: findings %q, notes %q", name, r.Findings, r.Notes)
			}
		}
	})
}

// A kept checkpoint of another history is a finding, with evidence; so is one of this
// history that was the newest when it had long ceased to be.
func TestAuditKeptFork(t *testing.T) {
	for _, c := range []struct {
		name string
		root byte // of the checkpoint that is kept too much
		want string
	}{{"another history", 1, "the ledger keeps size 4 with root"}, {"the same history", 0, ""}} {
		synctest.Test(t, func(t *testing.T) {
			source, ledger := forgedClock(t, [4]time.Duration{})
			cp := source.archived[1].Checkpoint()
			cp.Root[0] ^= c.root
			source.archived = append(source.archived, source.cosign(cp))
			time.Sleep(time.Second)
			source.archived = append(source.archived, source.cosign(source.archived[len(source.archived)-2].Checkpoint()))
			r := runAudit(t, Audit{Source: source, Charter: ledger})
			if c.want == "" {
				wantFinding(t, r, "entry 4 (and so on to entry 6): its admission time") // cosigned as the newest long after
				return
			}
			wantFinding(t, r, c.want)
			e, err := proof.ParseEvidence(r.Fork.Evidence)
			must(t, err)
			if _, err := e.Verify(logKey().Key()); err != nil {
				t.Errorf("the evidence: %v", err)
			}
		})
	}
}

// A witness that the ledger does not reach may long stand at an old checkpoint, and stamps
// it anew for anybody who asks. Beside another one's cosignature of the time when it was
// the newest that makes a quorum, and accuses nobody: the quorum as a whole has not
// called it the newest since.
func TestAuditLaggingWitness(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source, ledger := forgedClock(t, [4]time.Duration{})
		old := source.archived[1]
		_, sigs, err := proof.ParseCheckpoint(old.Note())
		must(t, err)
		others := slices.DeleteFunc(sigs, func(s proof.Signature) bool { return s.Name != "w0.example" })
		source.archived = append(source.archived, source.cosign(old.Checkpoint(), others...))
		time.Sleep(time.Second)
		source.archived = append(source.archived, source.cosign(source.archived[len(source.archived)-2].Checkpoint()))
		if r := runAudit(t, Audit{Source: source, Charter: ledger}); len(r.Findings) > 0 || r.Archived < len(source.archived)-1 {
			t.Errorf("%d kept checkpoints, findings %q", r.Archived, r.Findings)
		}
	})
}
