package stores

import (
	"errors"
	"net/http"
	"time"

	"github.com/seed-53cf897a/docket/client/wire"
	"github.com/seed-53cf897a/docket/ledger/proof"
)

// killWitness kills a witness, twice. In the life between, which this test alone can reach, it has to
// remember what it has cosigned: the ledger, which has more for it to cosign, would remind it.
func (k *kills) killWitness(p *process) {
	k.t.Helper()
	cosigned := k.shownBy(p)
	p.kill()
	k.killed++
	k.more()
	apart := p.apart()
	apart.start()
	k.wantRemembered(apart, cosigned)
	apart.kill()
	k.killed++
	p.start()
	k.more()
}

// wantRemembered asks a witness to cosign the beginning of the log as one that it has never heard of, which one that
// has forgotten would do. It refuses, and names no smaller tree than it has cosigned; and from then on it
// shows none: what it shows may be older only while it looks up what it has cosigned.
func (k *kills) wantRemembered(p *process, cosigned proof.Tree) {
	k.t.Helper()
	w := must(wire.NewWitness(p.url, k.watch.http.Transport))
	ctx := bounded(k.t)
	for {
		_, err := w.AddCheckpoint(ctx, wire.AddCheckpoint{Note: k.first})
		var busy *wire.StatusError
		var stands *wire.ConflictError
		switch {
		case errors.As(err, &busy) && busy.Code == http.StatusServiceUnavailable && ctx.Err() == nil:
			time.Sleep(10 * time.Millisecond)
			continue
		case !errors.As(err, &stands):
			k.t.Fatalf("%s has cosigned %v, and to the first checkpoint says %v, want a conflict:\n%s", p.name, cosigned, err, p.lastWords())
		case stands.Size < cosigned.Size:
			k.t.Errorf("%s has cosigned %v, and says %v", p.name, cosigned, stands)
		}
		break
	}
	if shown := k.shownBy(p); shown.Size < cosigned.Size {
		k.t.Errorf("%s has cosigned %v, and shows %v", p.name, cosigned, shown)
	}
}

// shownBy is the tree that a witness shows as the last one that it cosigned.
func (k *kills) shownBy(p *process) proof.Tree {
	k.t.Helper()
	note, err := must(wire.NewWitness(p.url, k.watch.http.Transport)).Checkpoint(bounded(k.t), origin)
	if err != nil {
		k.t.Fatalf("%s: %v\n%s", p.name, err, p.lastWords())
	}
	cp, _, err := proof.ParseCheckpoint(note)
	if err != nil {
		k.t.Fatalf("%s shows no checkpoint: %v\n%s", p.name, err, note)
	}
	return cp.Tree()
}
