package sim

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/seed-53cf897a/docket/client/wire"
	"github.com/seed-53cf897a/docket/ledger/proof"
	"github.com/seed-53cf897a/docket/ledger/storetest"
)

// stranger has no key, and sends witnesses whatever he has.
const stranger = "stranger.example"

// replay lets the stranger send a witness the honest ledger's notes again, in one way
// or the other: all are genuine, most are old; or the newest alone, many times.
func (tn *town) replay(s *site) {
	w, err := wire.NewWitness(s.url(), tn.net.from(stranger))
	must(err)
	notes := tn.oaths.overheard()
	way := tn.roll(3)
	if way == 2 && len(notes) > 0 {
		tn.repeat(s, notes[len(notes)-1])
		return
	}
	handed := way == 1
	taken := 0
	for _, note := range notes {
		if handed {
			err = w.HandIn(tn.ctx, note)
		} else {
			_, err = w.AddCheckpoint(tn.ctx, wire.AddCheckpoint{Note: note})
		}
		if err == nil {
			taken++
		}
	}
	tn.note("a stranger replays %d checkpoints to %s (handed in: %v), %d are taken", len(notes), s.name, handed, taken)
	if len(notes) > 0 {
		tn.saw("old checkpoints replayed")
	}
}

// repeat lets the stranger ask a witness again and again for one checkpoint, more often
// than a log may save up requests. No witness of ours ever has enough of it.
func (tn *town) repeat(s *site, note []byte) {
	w, err := wire.NewWitness(s.url(), tn.net.from(stranger))
	must(err)
	cp, _, err := proof.ParseCheckpoint(note)
	must(err)
	taken := 0
	for range savedUp + 5 {
		_, err := w.AddCheckpoint(tn.ctx, wire.AddCheckpoint{Old: cp.Size, Note: note})
		var status *wire.Status
		switch {
		case err == nil:
			taken++
		case errors.As(err, &status) && status.Code == http.StatusTooManyRequests && s.own():
			tn.oaths.breach(fmt.Errorf("%s has enough of repetitions, and the ledger's would be among them: %w", s.name, err))
		}
	}
	tn.note("a stranger repeats the checkpoint of %d to %s, %d times of %d with success", cp.Size, s.name, taken, savedUp+5)
	if taken > savedUp {
		tn.saw("newest checkpoint repeated")
	}
}

// pester lets the stranger send nonsense: no log's checkpoint, one of an unknown log,
// one that he signed himself, and evidence of which each checkpoint is genuine.
func (tn *town) pester(s *site) {
	w, err := wire.NewWitness(s.url(), tn.net.from(stranger))
	must(err)
	sign := func(origin string) []byte {
		secret, _, err := proof.GenerateKey(proof.Ed25519, origin)
		must(err)
		signer, err := proof.ParseSigner(secret)
		must(err)
		signed, err := proof.SignCheckpoint(proof.Checkpoint{Origin: origin, Size: uint64(1 + tn.roll(100))}, signer)
		must(err)
		return signed.Note()
	}
	for _, note := range [][]byte{[]byte("nonsense\n"), sign("unknown.example"), sign(origin)} {
		if w.HandIn(tn.ctx, note) == nil && s.own() {
			tn.oaths.breach(fmt.Errorf("%s takes nonsense for a checkpoint:\n%s", s.name, note))
		}
	}
	if notes := tn.oaths.overheard(); len(notes) > 1 {
		e, err := proof.NewEvidence(pick(tn, notes...), pick(tn, notes...), proof.LeafHash(nil))
		must(err)
		file, err := e.Format()
		must(err)
		if w.SendEvidence(tn.ctx, file) == nil && s.own() && !tn.oaths.forked() {
			tn.oaths.breach(fmt.Errorf("%s takes nonsense for evidence:\n%s", s.name, file))
		}
	}
	tn.note("a stranger sends nonsense to %s", s.name)
	tn.saw("nonsense sent to a witness")
}

// flood lets the operator of two histories sign trees that nobody can ever compare,
// more than a witness keeps, so that there is no room for what a client has to say.
func (f *forger) flood(s *site) {
	tn := f.town
	w, err := wire.NewWitness(s.url(), tn.net.from(stranger))
	must(err)
	from, taken := uint64(1)<<(30+tn.roll(20)), 0
	for i := range uint64(70) {
		cp := proof.Checkpoint{Origin: origin, Size: from + i, Root: proof.LeafHash(fmt.Appendf(nil, "%d", from+i))}
		signed, err := proof.SignCheckpoint(cp, tn.ledger.keys.Signers...)
		must(err)
		tn.oaths.signs(cp.Tree())
		if w.HandIn(tn.ctx, signed.Note()) == nil {
			taken++
		}
	}
	tn.note("the operator floods %s with trees that nobody can compare: %d of 70 are taken", s.name, taken)
	tn.saw("log floods a witness")
}

// sluggard is another log that the witnesses serve. It shows its newest checkpoint,
// and says nothing when it is asked for tiles.
type sluggard struct {
	town   *town
	signer *proof.Signer
	log    *storetest.Log
}

const (
	sluggardHost   = "sluggard.example"
	sluggardOrigin = "sluggard.example/log"
	sluggardSize   = 12
)

func newSluggard(tn *town) *sluggard {
	secret, _, err := proof.GenerateKey(proof.Ed25519, sluggardOrigin)
	must(err)
	l := &sluggard{town: tn}
	l.signer, err = proof.ParseSigner(secret)
	must(err)
	var entries [][]byte
	for i := range sluggardSize {
		entries = append(entries, fmt.Appendf(nil, "entry %d", i))
	}
	l.log = storetest.LogOf(entries)
	return l
}

func (l *sluggard) note(size int) []byte {
	head := l.log.Head(size)
	signed, err := proof.SignCheckpoint(proof.Checkpoint{Origin: sluggardOrigin, Size: head.Size, Root: head.Root}, l.signer)
	must(err)
	return signed.Note()
}

func (l *sluggard) morning(life context.Context) {
	l.town.net.up(sluggardHost, life, http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, "/tile/") {
			<-r.Context().Done()
			return
		}
		rw.Write(l.note(sluggardSize))
	}))
}

// bring lets a witness cosign the sluggard's log at some size, if it never did.
func (l *sluggard) bring(s *site) {
	w, err := wire.NewWitness(s.url(), l.town.net.from(sluggardHost))
	must(err)
	size := 1 + l.town.roll(sluggardSize)
	_, err = w.AddCheckpoint(l.town.ctx, wire.AddCheckpoint{Note: l.note(size)})
	l.town.note("another log, which serves no tiles, brings %d entries to %s: %s", size, s.name, brief(err))
	if err == nil && s.own() {
		l.town.saw("witness of two logs")
	}
}

// overheard are the checkpoints that the ledger has asked anybody to cosign while it
// was honest, one of each tree, the smallest first.
func (o *oaths) overheard() (notes [][]byte) {
	o.mu.Lock()
	defer o.mu.Unlock()
	var trees []proof.Tree
	for t := range o.asked {
		trees = append(trees, t)
	}
	slices.SortFunc(trees, compareTrees)
	for _, t := range trees {
		notes = append(notes, o.asked[t])
	}
	return notes
}
