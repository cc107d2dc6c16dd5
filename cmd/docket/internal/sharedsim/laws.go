package sharedsim

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/seed-53cf897a/docket/client"
	"github.com/seed-53cf897a/docket/ledger"
	"github.com/seed-53cf897a/docket/ledger/objectstore"
	"github.com/seed-53cf897a/docket/ledger/objectstore/objectstoretest"
	"github.com/seed-53cf897a/docket/ledger/proof"
	"github.com/seed-53cf897a/docket/ledger/public"
	"github.com/seed-53cf897a/docket/ledger/record"
	"github.com/seed-53cf897a/docket/ledger/register"
	"github.com/seed-53cf897a/docket/ledger/register/registertest"
)

// laws is somebody who reads the store by a link that never fails, and remembers all that was
// ever there, signed or handed out.
type laws struct {
	sim       *simulation
	store     *objectstore.Store
	entries   [][]byte
	grown     *proof.Appender
	roots     []proof.Hash         // by size: of the first so many entries, hashed anew
	index     map[record.ID]uint64 // where each record stands
	acked     map[record.ID]uint64 // which have a receipt, and what it says
	published uint64               // the largest size that was seen published
	public    uint64               // likewise in the public part of the bucket

	checks int // how often they were checked

	mu       sync.Mutex // guards what follows
	signed   []signed
	proven   int     // of those, how many were of the one history
	breaches []error // that a process has met
}

// signed is a checkpoint that a machine has signed and shown to the witnesses.
type signed struct {
	by   string
	tree proof.Tree
	note []byte // without a cosignature
}

func newLaws(sim *simulation) *laws {
	l := &laws{sim: sim, grown: proof.NewAppender(), index: map[record.ID]uint64{}, acked: map[record.ID]uint64{}}
	empty, err := l.grown.Tree()
	must(err)
	l.roots = []proof.Hash{empty.Root}
	l.reopen()
	return l
}

// reopen goes on with a handle that has read nothing yet.
func (l *laws) reopen() {
	c := objectstoretest.Config(objectstoretest.NewLink(l.sim.bucket))
	c.Manual = true
	var err error
	l.store, err = objectstore.Open(l.sim.ctx, c)
	must(err)
}

func (l *laws) noteSigned(by string, s *proof.Signed) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.signed = append(l.signed, signed{by, s.Checkpoint().Tree(), s.Note()})
}

// newestSigned is the largest checkpoint that a machine has signed, which no quorum has cosigned.
func (l *laws) newestSigned() []byte {
	l.mu.Lock()
	defer l.mu.Unlock()
	newest := l.signed[0]
	for _, s := range l.signed {
		if s.tree.Size >= newest.tree.Size {
			newest = s
		}
	}
	return newest.note
}

// breach says that a process has met what no process may.
func (l *laws) breach(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.breaches = append(l.breaches, err)
}

// checkEvery is how often all entries are read again, which costs most of all.
const checkEvery = 8

// check holds what is there against all that ever was: of the entries mostly what is new.
func (l *laws) check() error {
	if l.checks++; l.checks%checkEvery == 0 {
		return l.checkAll()
	}
	return l.checkFrom(uint64(len(l.entries)))
}

// checkAll is check of all entries.
func (l *laws) checkAll() error { return l.checkFrom(0) }

func (l *laws) checkFrom(from uint64) error {
	if err := l.checkReplicas(); err != nil { // before what is published is read again
		return err
	}
	head, err := l.store.Head(l.sim.ctx)
	if err != nil {
		return fmt.Errorf("%w: the head cannot be read: %w", errLaw, err)
	}
	known := uint64(len(l.entries))
	if head.Size < known {
		return fmt.Errorf("%w: the head went back from size %d to %d", errLaw, known, head.Size)
	}
	if err := l.grow(known, head.Size); err != nil {
		return err
	}
	if err := l.checkTree("the head", proof.Tree(head)); err != nil {
		return err
	}
	if from < known {
		all, err := l.store.Entries(l.sim.ctx, from, head.Size)
		if err != nil {
			return fmt.Errorf("%w: what is below size %d cannot be read: %w", errLaw, head.Size, err)
		}
		for i := range all {
			if !bytes.Equal(all[i], l.entries[from+uint64(i)]) {
				return fmt.Errorf("%w: entry %d is another one than before", errLaw, from+uint64(i))
			}
		}
	}
	if err := l.checkPublished(); err != nil {
		return err
	}
	for _, c := range l.sim.replicas {
		if c.shown.size > l.published {
			return fmt.Errorf("%w: %s shows size %d, and %d is published", errLaw, c.name, c.shown.size, l.published)
		}
	}
	for id, at := range l.acked {
		if where, there := l.index[id]; !there || where != at {
			return fmt.Errorf("%w: record %.8s was acknowledged at %d, and is at %d (%v)", errLaw, id, at, where, there)
		}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for ; l.proven < len(l.signed); l.proven++ {
		if s := l.signed[l.proven]; s.tree.Size > 0 {
			if err := l.checkTree("what "+s.by+" signed", s.tree); err != nil {
				return err
			}
		}
	}
	return errors.Join(l.breaches...)
}

// checkReplicas wants what each replica shows to be published, as far as that is known, with the very
// entries, and never to go back, whatever it went through.
func (l *laws) checkReplicas() error {
	for _, c := range l.sim.replicas {
		status, note, err := c.get("/checkpoint")
		if err != nil || status != http.StatusOK || bytes.Equal(note, c.shown.note) {
			continue // it is off, or begins, or ends
		}
		p, err := l.sim.policy.Verify(note, time.Now())
		if err != nil {
			return fmt.Errorf("%w: what %s shows does not verify: %w", errLaw, c.name, err)
		}
		tree := p.Checkpoint().Tree()
		if tree.Size < c.shown.size {
			return fmt.Errorf("%w: what %s shows went back from size %d to %d", errLaw, c.name, c.shown.size, tree.Size)
		}
		head := l.size()
		if err := l.grow(uint64(len(l.entries)), head); err != nil {
			return err
		}
		if err := l.checkTree("what "+c.name+" shows", tree); err != nil {
			return err
		}
		c.shown = shownNote{note, tree.Size}
		path := proof.EntryBundleID{Width: int(tree.Size)}.Path()
		status, bundle, err := c.get("/" + path)
		if err != nil || status != http.StatusOK {
			return fmt.Errorf("%w: %s shows size %d, and has no %s: %d %s, %v", errLaw, c.name, tree.Size, path, status, bundle, err)
		}
		want, err := proof.FormatEntryBundle(l.entries[:tree.Size])
		must(err)
		if !bytes.Equal(bundle, want) {
			return fmt.Errorf("%w: the entries that %s shows are not those of the log", errLaw, c.name)
		}
	}
	return nil
}

// epoch is how often the store was taken.
func (l *laws) epoch() uint64 {
	epoch, err := l.store.Epoch(l.sim.ctx)
	must(err)
	return epoch
}

// size is how much is durable now.
func (l *laws) size() uint64 {
	head, err := l.store.Head(l.sim.ctx)
	must(err)
	return head.Size
}

// grow takes in new entries. None is a record that was there before.
func (l *laws) grow(from, to uint64) error {
	if from == to {
		return nil
	}
	entries, err := l.store.Entries(l.sim.ctx, from, to)
	if err != nil {
		return fmt.Errorf("%w: entries [%d, %d) cannot be read: %w", errLaw, from, to, err)
	}
	for _, e := range entries {
		parsed, err := record.ParseEntry(e)
		if err != nil {
			return fmt.Errorf("%w: entry %d: %w", errLaw, len(l.entries), err)
		}
		id := record.IDOf(parsed.Envelope.Payload)
		if at, twice := l.index[id]; twice {
			return fmt.Errorf("%w: entries %d and %d are the same record", errLaw, at, len(l.entries))
		}
		l.index[id] = uint64(len(l.entries))
		l.entries = append(l.entries, e)
		must(l.grown.Append(proof.LeafHash(e)))
		tree, err := l.grown.Tree()
		must(err)
		l.roots = append(l.roots, tree.Root)
	}
	l.grown.TakeTiles()
	return nil
}

// checkTree wants a tree to be of the one history.
func (l *laws) checkTree(what string, tree proof.Tree) error {
	if tree.Size >= uint64(len(l.roots)) {
		return fmt.Errorf("%w: %s is of size %d, and no more than %d entries are durable", errLaw, what, tree.Size, len(l.entries))
	}
	if tree.Root != l.roots[tree.Size] {
		return fmt.Errorf("%w: fork: %s is of size %d with root %s; the entries make %s", errLaw, what, tree.Size, tree.Root, l.roots[tree.Size])
	}
	return nil
}

// checkPublished judges what is published, in both places.
func (l *laws) checkPublished() error {
	note, err := l.store.Published(l.sim.ctx)
	if err != nil {
		return fmt.Errorf("%w: what is published cannot be read: %w", errLaw, err)
	}
	if err := l.checkNote("published", note, &l.published); err != nil {
		return err
	}
	if err := l.checkNote("public", l.sim.bucket.Object(publicCheckpoint), &l.public); err != nil {
		return err
	}
	if l.public > l.published {
		return fmt.Errorf("%w: size %d is public, and %d is published", errLaw, l.public, l.published)
	}
	return nil
}

func (l *laws) checkNote(what string, note []byte, largest *uint64) error {
	if len(note) == 0 {
		return nil
	}
	p, err := l.sim.policy.Verify(note, time.Now())
	if err != nil {
		return fmt.Errorf("%w: what is %s does not verify: %w", errLaw, what, err)
	}
	tree := p.Checkpoint().Tree()
	if tree.Size < *largest {
		return fmt.Errorf("%w: what is %s went back from size %d to %d", errLaw, what, *largest, tree.Size)
	}
	*largest = tree.Size
	return l.checkTree("what is "+what, tree)
}

// noteReceipt takes in a receipt that a client verified. A record has one index for ever.
func (l *laws) noteReceipt(id record.ID, r *client.Receipt) error {
	if at, before := l.acked[id]; before && at != r.Index() {
		return fmt.Errorf("%w: record %.8s was acknowledged at %d, and is now at %d", errLaw, id, at, r.Index())
	}
	l.acked[id] = r.Index()
	if err := l.check(); err != nil {
		return err
	}
	return l.checkTree(fmt.Sprintf("the receipt of %.8s", id), r.Published().Checkpoint().Tree())
}

// checkRegister wants a register made anew from the entries to be that of whoever has one.
func (l *laws) checkRegister(name string, r *register.Register) error {
	o := client.RegisterOptions()
	o.CacheBytes, o.Health = 1<<20, registertest.Health()
	fresh, err := register.Open(vfs.NewMem(), "register", o)
	must(err)
	defer fresh.Close()
	follower, err := ledger.Follow(l.store, public.Fold(fresh), ledger.Config{Origin: origin, Signers: l.sim.keys.Signers})
	if err == nil {
		err = follower.CatchUp(l.sim.ctx)
	}
	if err != nil {
		return fmt.Errorf("%w: the register cannot be made anew: %w", errLaw, err)
	}
	if a, b := digest(fresh), digest(r); a != b {
		return fmt.Errorf("%w: the register of %s, of size %d, is not the one that the entries make, of size %d", errLaw, name, r.Size(), fresh.Size())
	}
	return nil
}

func digest(r *register.Register) [sha256.Size]byte {
	var b bytes.Buffer
	must(r.Dump(&b))
	return sha256.Sum256(b.Bytes())
}
