package backup

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/seed-53cf897a/docket/client"
	"github.com/seed-53cf897a/docket/client/wire"
	"github.com/seed-53cf897a/docket/cmd/docket/internal/node"
	"github.com/seed-53cf897a/docket/ledger"
	"github.com/seed-53cf897a/docket/ledger/auditors"
	"github.com/seed-53cf897a/docket/ledger/disk"
	"github.com/seed-53cf897a/docket/ledger/pebblestore"
	"github.com/seed-53cf897a/docket/ledger/proof"
	"github.com/seed-53cf897a/docket/ledger/public"
	"github.com/seed-53cf897a/docket/ledger/record"
	"github.com/seed-53cf897a/docket/ledger/register"
)

// Restore says what to make a ledger's directory of.
type Restore struct {
	Files            vfs.FS
	Backup, To       string
	With             []string          // URLs and directories: mirrors, copies, other backups
	WithoutWitnesses bool              // those who do not answer are gone for ever
	Transport        http.RoundTripper // to witnesses and URLs; nil is http.DefaultTransport
	Fatal            func(reason string)
	Progress         func(reached, size uint64)       // may be nil
	Room             func(entries uint64) error       // whether so many have room; may be nil
	Warn             func(format string, args ...any) // what to know, and no reason to stop
}

// RestoreReport is what was made.
type RestoreReport struct {
	Origin    string
	Ledger    record.ID
	Size      uint64 // entries
	Root      proof.Hash
	Backup    uint64 // how many of them the backup says it holds
	Published uint64 // size of the checkpoint that is published; 0 without one
	Unsigned  uint64 // entries at the end that were committed, and over which no signature of the log's was found
	Archived  uint64 // checkpoints kept of earlier times
	HasKeys   bool
	Quorum    string // whose word it is that there is no more: the policy's quorum, "none" without one
}

var (
	// ErrInTheWay: the directory to be made holds a ledger, or a part of one.
	ErrInTheWay = errors.New("it is not empty")

	// ErrUnopened: a source cannot be opened.
	ErrUnopened = errors.New("it cannot be read")

	// ErrNoQuorum: too few of the witnesses say how far the log goes.
	ErrNoQuorum = errors.New("too few witnesses say how far the log goes")
)

// Range is a run of entries, [Start, End).
type Range struct{ Start, End uint64 }

func (r Range) String() string { return fmt.Sprintf("[%d, %d)", r.Start, r.End) }

// MissingError says which entries nobody has who was asked.
type MissingError struct {
	Ranges    []Range
	Signed    proof.Tree // which the log has signed, and which has them
	ShownBy   []string   // who shows that
	Silent    []string   // sources that did not answer, and may have them
	Unwatched bool       // there are no witnesses
}

func (e *MissingError) Error() string {
	var all []string
	for _, r := range e.Ranges[:min(len(e.Ranges), maxRanges)] {
		all = append(all, r.String())
	}
	if more := len(e.Ranges) - maxRanges; more > 0 {
		all = append(all, fmt.Sprintf("and %d more", more))
	}
	return fmt.Sprintf("nobody has the entries %s: the log signed a tree of %d, as %s shows", strings.Join(all, ", "), e.Signed.Size, strings.Join(e.ShownBy, ", "))
}

// maxRanges is how many ranges are listed.
const maxRanges = 50

// ForkError says that the log signed two histories.
type ForkError struct {
	Smaller, Larger           proof.Tree
	SmallerShown, LargerShown []string
	Notes                     [][]byte
}

func (e *ForkError) Error() string {
	return fmt.Sprintf("the log signed two histories: %s shows size %d with root %s, and %s size %d, which does not begin with it", strings.Join(e.SmallerShown, ", "), e.Smaller.Size, e.Smaller.Root, strings.Join(e.LargerShown, ", "), e.Larger.Size)
}

// restoring is one run.
type restoring struct {
	Restore
	manifest manifest
	origin   string
	sources  []*source // the backup first
	tails    []*source // what was committed, of those of them that say so; none where they are not of this log
	tailUsed bool

	claims   []claim // what was shown
	signed   map[proof.Tree]*signedTree
	policies []*proof.Policy // whose log keys are this log's
	own      []proof.Key     // the keys in the backup
	chained  [][]byte        // checkpoints of receipts of charters

	store    *pebblestore.Store
	register *register.Register
	fold     ledger.Fold[record.Verified]
	tree     *proof.Appender
	head     ledger.Head
	pending  [][]byte // entries of the tree that are not in the store yet
}

// claim is a checkpoint as somebody shows it.
type claim struct {
	by   string
	note []byte
}

// signedTree is a tree that bears the log's signature.
type signedTree struct {
	by    []string
	notes [][]byte
}

// Make makes a ledger's directory of a backup and of what others hold, up to the largest tree
// that bears the log's own signature and is shown by them or by the witnesses of the newest
// charter, of whom as many as make a quorum must answer. It signs nothing. All entries are
// checked against that tree, and judged by the rules. An error leaves nothing that a ledger
// is opened in: [MissingError], [ForkError], [ErrNoQuorum], [ErrInTheWay], and those of the
// backup: [ErrNone], [ErrLater], [ErrDamaged].
func (o Restore) Make(ctx context.Context) (report *RestoreReport, err error) {
	r := &restoring{Restore: o, signed: make(map[proof.Tree]*signedTree)}
	if r.manifest, err = readManifest(o.Files, o.Backup); err != nil {
		return nil, err
	}
	if r.manifest.Size == 0 {
		return nil, fmt.Errorf("%w: %s: its first backup was not finished", ErrDamaged, o.Backup)
	}
	r.origin = r.manifest.Origin
	if err := r.requireFree(); err != nil {
		return nil, err
	}
	defer func() {
		for _, s := range r.sources {
			if s.close != nil {
				err = errors.Join(err, s.close())
			}
		}
	}()
	if err := r.openSources(ctx); err != nil {
		return nil, err
	}
	_, missing := o.Files.Stat(o.To)
	if err := disk.MakeDir(o.Files, o.To, 0o700); err != nil {
		return nil, err
	}
	lock, err := disk.Lock(o.Files, r.path(lockFile))
	if errors.Is(err, disk.ErrLocked) {
		return nil, fmt.Errorf("%s: %w: %w", o.To, ErrBusy, err)
	} else if err != nil {
		return nil, err
	}
	defer func() {
		err = errors.Join(err, lock.Close())
		if err != nil && missing != nil { // as it was
			o.Files.Remove(r.path(lockFile))
			o.Files.Remove(o.To)
		}
	}()
	for {
		report, err = r.build(ctx)
		if errors.Is(err, errTail) {
			r.warn("what was committed and not published when the backup was made is not what the log went on with; going on without it")
			r.tails = nil
			continue
		}
		return report, err
	}
}

func (r *restoring) path(name string) string { return r.Files.PathJoin(r.To, name) }

func (r *restoring) warn(format string, args ...any) {
	if r.Warn != nil {
		r.Warn(format, args...)
	}
}

// buildDir is where a directory is made, in itself; a rename makes it one.
const buildDir = node.RestoringDir

// requireFree refuses a directory that holds a ledger, or something else. Its keys may be
// there.
func (r *restoring) requireFree() error {
	names, err := r.Files.List(r.To)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	} else if err != nil {
		return err
	}
	cutOff := slices.Contains(names, buildDir) && !slices.Contains(names, "store") // between the last steps of place
	for _, name := range names {
		switch {
		case name == keysDir, name == lockFile, name == buildDir, (name == "register" || name == auditorsDir) && cutOff:
		case cutOff && (name == node.WithheldFile || disk.Unfinished(name, node.WithheldFile)):
		default:
			return fmt.Errorf("%s: %w: there is %s", r.To, ErrInTheWay, name)
		}
	}
	return nil
}

func (r *restoring) openSources(ctx context.Context) error {
	b := openBackup(ctx, r.Files, r.Backup, r.manifest)
	r.sources = []*source{b}
	for _, name := range r.With {
		s, err := openSource(ctx, r.Files, name, r.Transport, r.Fatal)
		if err != nil {
			return err
		}
		r.sources = append(r.sources, s)
	}
	for _, s := range r.sources {
		if s.tail.Size > 0 {
			tail := *s
			r.tails = append(r.tails, &tail)
			if err := tail.settle(ctx, []proof.Tree{s.tail}); err != nil {
				return err
			}
		}
		for _, note := range s.shown {
			r.note(s.name, note)
		}
		if s.silent != nil && s != b {
			r.warn("%s shows no checkpoint: %v; what it holds is compared with what the others show", s.name, s.silent)
		}
	}
	keys, err := readKeys(r.Files, r.Files.PathJoin(r.Backup, keysDir))
	if err != nil {
		return err
	}
	for _, k := range keys {
		if s, err := proof.ParseSigner(strings.TrimSuffix(string(k.data), "\n")); err == nil {
			r.own = append(r.own, s.Key())
		}
	}
	return r.findCharter(ctx)
}

// note takes a checkpoint in that somebody shows.
func (r *restoring) note(by string, note []byte) {
	r.claims = append(r.claims, claim{by, note})
}

// findCharter reads the first charter, which its record ID proves, whoever hands it out.
func (r *restoring) findCharter(ctx context.Context) error {
	var why error
	for _, s := range r.sources {
		for _, width := range []int{1, proof.TileWidth} {
			entries, err := s.log.Bundle(ctx, proof.EntryBundleID{Width: width})
			if err != nil {
				why = errors.Join(why, err)
				continue
			}
			id, c, err := firstCharter(entries[:1])
			if err == nil && id != r.manifest.Ledger {
				err = fmt.Errorf("%w: %s is of another ledger, %s; this one is %s", ErrOther, s.name, id, r.manifest.Ledger)
				if s != r.sources[0] {
					return err
				}
			}
			var policy *proof.Policy
			if err == nil {
				policy, err = proof.ParsePolicy([]byte(c.Policy))
			}
			if err != nil {
				why = errors.Join(why, err)
				break
			}
			if len(r.policies) == 0 {
				r.policies = []*proof.Policy{policy}
			}
			break
		}
	}
	if len(r.policies) == 0 {
		return fmt.Errorf("%w: nobody has the charter at index 0: %w", ErrDamaged, why)
	}
	for _, s := range r.sources {
		if s.chain == nil {
			continue
		}
		raw, err := s.chain(ctx, r.manifest.Ledger)
		if err != nil {
			continue // it hands on tiles alone
		}
		policies, err := client.ChainPolicies(raw, r.manifest.Ledger, time.Now())
		if err != nil {
			r.warn("%s: its chain of charters does not hold, and is not gone by: %v", s.name, err)
			continue
		}
		r.policies = append(r.policies, policies...)
		if chain, err := proof.ParseChain(raw); err == nil {
			for _, receipt := range chain {
				r.chained = append(r.chained, receipt.Checkpoint)
			}
		}
	}
	return nil
}

// build makes the directory anew.
func (r *restoring) build(ctx context.Context) (report *RestoreReport, err error) {
	work := r.path(buildDir)
	for _, left := range []string{r.path("register"), work} { // of one that was cut off
		if err := r.Files.RemoveAll(left); err != nil {
			return nil, err
		}
	}
	if err := disk.MakeDir(r.Files, work, 0o700); err != nil {
		return nil, err
	}
	health := disk.NewHealth(disk.Config{Fatal: r.Fatal})
	if r.store, err = pebblestore.Open(r.Files, r.Files.PathJoin(work, "store"), pebblestore.Options{Health: health}); err != nil {
		return nil, err
	}
	closed := false
	defer func() {
		if !closed {
			err = errors.Join(err, r.closeAll())
		}
		if err != nil {
			r.Files.RemoveAll(work)
		}
	}()
	o := client.RegisterOptions()
	o.Health = health
	if err := disk.MakeDir(r.Files, r.Files.PathJoin(work, "register"), 0o755); err != nil {
		return nil, err
	}
	if r.register, err = register.Open(r.Files, r.Files.PathJoin(work, "register", "1"), o); err != nil {
		return nil, err
	}
	r.fold, r.tree, r.head, r.pending, r.tailUsed = public.Fold(r.register), proof.NewAppender(), ledger.Head{Root: proof.EmptyRoot()}, nil, false
	quorum, err := r.complete(ctx)
	if err != nil {
		return nil, err
	}
	report = &RestoreReport{Origin: r.origin, Ledger: r.manifest.Ledger, Size: r.head.Size, Root: r.head.Root, Backup: r.manifest.Size, Quorum: quorum}
	signed := r.largest()
	report.Unsigned = r.head.Size - min(signed.Size, r.head.Size)
	published, err := r.publish(ctx)
	if err != nil {
		return nil, err
	}
	if published != nil {
		report.Published = published.Checkpoint().Size
	}
	if report.Archived, err = r.restoreArchive(ctx, published); err != nil {
		return nil, err
	}
	closed = true
	if err := r.closeAll(); err != nil {
		return nil, err
	}
	report.HasKeys, err = r.place()
	return report, err
}

func (r *restoring) closeAll() error {
	var err error
	if r.register != nil {
		err = r.register.Close()
		r.register = nil
	}
	if r.store != nil {
		err = errors.Join(err, r.store.Close())
		r.store = nil
	}
	return err
}

// place gives what was made its names: the store's is the last, and without it no ledger is
// opened there ([node.ErrRestoring]).
func (r *restoring) place() (hasKeys bool, err error) {
	keys, err := readKeys(r.Files, r.Files.PathJoin(r.Backup, keysDir))
	if err != nil {
		return false, err
	}
	if err := placeKeys(r.Files, r.path(keysDir), keys); err != nil {
		if errors.Is(err, disk.ErrOtherContent) {
			err = fmt.Errorf("%w: %w", ErrInTheWay, err)
		}
		return false, err
	}
	if keys, err = readKeys(r.Files, r.path(keysDir)); err != nil {
		return false, err
	}
	if _, err := node.CopyWithheld(r.Files, r.Backup, r.To); err != nil {
		return false, err
	}
	if _, err := auditors.Copy(r.Files, r.Files.PathJoin(r.Backup, auditorsDir), r.path(auditorsDir)); err != nil {
		return false, err
	}
	work := r.path(buildDir)
	for _, name := range []string{"register", "store"} {
		if err := disk.Rename(r.Files, r.Files.PathJoin(work, name), r.path(name)); err != nil {
			return false, err
		}
	}
	return slices.ContainsFunc(keys, func(f keyFile) bool { return !f.isMark() }), r.Files.RemoveAll(work)
}

// complete brings what is made up to the largest tree that is known to be signed, asks the
// witnesses of the charter that is then the newest, and does so again until neither brings
// anything new. Last come the entries that were committed and not published.
func (r *restoring) complete(ctx context.Context) (quorum string, err error) {
	asked := make(map[string]bool)
	quorum = "none"
	for tailDone := false; ; {
		r.sift()
		if err := r.checkSigned(ctx); err != nil {
			return "", err
		}
		if t := r.largest(); t.Size > r.head.Size {
			if err := r.extend(ctx, t); err != nil {
				return "", err
			}
			continue
		}
		if policy, err := r.policy(r.head.Size); err != nil {
			return "", err
		} else if policy != nil && !asked[policy.Text()] {
			asked[policy.Text()] = true
			if quorum, err = r.hear(ctx, policy); err != nil {
				return "", err
			}
			continue
		}
		if tail := r.longestTail(); tail.Size > r.head.Size && !tailDone {
			tailDone = true
			if err := r.extend(ctx, tail); errors.As(err, new(*MissingError)) {
				r.warn("the entries from %d on, which were committed and not published when the backup was made, cannot be read, and are left out", r.head.Size)
			} else if err != nil {
				return "", err
			}
			continue
		}
		r.sayUnproven()
		return quorum, nil
	}
}

// longestTail is the largest tree that was committed somewhere.
func (r *restoring) longestTail() (longest proof.Tree) {
	for _, s := range r.tails {
		if s.tail.Size > longest.Size {
			longest = s.tail
		}
	}
	return longest
}

// hear asks the witnesses of a policy, and takes in what they show.
func (r *restoring) hear(ctx context.Context, policy *proof.Policy) (quorum string, err error) {
	if policy.QuorumIsNone() && len(policy.Witnesses()) == 0 {
		return "none", nil
	}
	answered, silent := r.askWitnesses(ctx, policy)
	if err := ctx.Err(); err != nil {
		return "", err
	}
	for _, err := range silent {
		r.warn("a witness does not say how far the log goes: %v", err)
	}
	if !policy.Satisfied(answered...) && !r.WithoutWitnesses {
		return "", fmt.Errorf("%w: %d of %d keys' witnesses answer, and the quorum is %s", ErrNoQuorum, len(answered), len(policy.Witnesses()), policy.QuorumName())
	}
	return policy.QuorumName(), nil
}

// policy is the one that holds for a size; nil for none.
func (r *restoring) policy(size uint64) (*proof.Policy, error) {
	if size == 0 {
		return nil, nil
	}
	p, _, err := r.fold.Policy(size)
	return p, err
}

// keys are the log's keys, as far as they are known: each is named by a charter.
func (r *restoring) keys() (keys []proof.Key) {
	for _, p := range r.policies {
		keys = append(keys, p.LogKeys(r.origin)...)
	}
	return append(keys, r.own...)
}

// sift takes from what was shown what bears the log's signature.
func (r *restoring) sift() {
	keys := r.keys()
	r.claims = slices.DeleteFunc(r.claims, func(c claim) bool {
		s, err := proof.VerifyLog(c.note, r.origin, keys...)
		if err != nil || s.Checkpoint().Size == 0 {
			return err == nil
		}
		tree := s.Checkpoint().Tree()
		if r.signed[tree] == nil {
			r.signed[tree] = new(signedTree)
		}
		t := r.signed[tree]
		if !slices.Contains(t.by, c.by) {
			t.by = append(t.by, c.by)
		}
		t.notes = append(t.notes, c.note)
		return true
	})
}

// sayUnproven warns of checkpoints that claim more and bear no signature of the log's.
func (r *restoring) sayUnproven() {
	for _, c := range r.claims {
		cp, _, err := proof.ParseCheckpoint(c.note)
		switch {
		case err != nil:
			r.warn("%s shows a checkpoint that is none: %v", c.by, err)
		case cp.Origin != r.origin:
			r.warn("%s shows a checkpoint of another log, %s", c.by, cp.Origin)
		default:
			r.warn("%s shows a checkpoint of size %d that this log has not signed, as far as its keys are known: it is not gone by", c.by, cp.Size)
		}
	}
}

// largest is the largest tree that bears the log's signature.
func (r *restoring) largest() (largest proof.Tree) {
	for t := range r.signed {
		if t.Size > largest.Size {
			largest = t
		}
	}
	return largest
}

// trees are those that bear the log's signature, the largest first.
func (r *restoring) trees() (all []proof.Tree) {
	for t := range r.signed {
		all = append(all, t)
	}
	slices.SortFunc(all, func(a, b proof.Tree) int {
		return cmp.Or(cmp.Compare(b.Size, a.Size), strings.Compare(a.Root.String(), b.Root.String()))
	})
	return all
}

// checkSigned holds what was made against every tree that the log signed and that is not
// larger.
func (r *restoring) checkSigned(ctx context.Context) error {
	made := proof.NewTileReader(r.store.Tiles, 512).At(r.head)
	var good proof.Tree // the largest of those that are of what was made
	var bad []proof.Tree
	for _, t := range r.trees() {
		if t.Size > r.head.Size {
			continue
		}
		begins, err := made.TreeAt(ctx, t.Size)
		switch {
		case err != nil:
			return err
		case begins != t:
			bad = append(bad, t)
		case good.Size == 0:
			good = t
		}
	}
	if len(bad) == 0 {
		return nil
	}
	if r.tailUsed {
		return errTail
	}
	smaller, larger := bad[0], good
	if smaller.Size > larger.Size {
		smaller, larger = larger, smaller
	}
	e := &ForkError{Smaller: smaller, Larger: larger}
	for _, t := range []proof.Tree{smaller, larger} {
		if s := r.signed[t]; s != nil {
			e.Notes = append(e.Notes, s.notes[0])
		}
	}
	if s := r.signed[smaller]; s != nil {
		e.SmallerShown = s.by
	}
	if s := r.signed[larger]; s != nil {
		e.LargerShown = s.by
	}
	return e
}

// errTail: the entries of the backup that were not published are not those that were later.
var errTail = errors.New("the backup's unpublished entries are of another history")

// restoreBatch is how many entries are stored and judged at once.
const restoreBatch = 1024

// extend brings what is made up to a tree.
func (r *restoring) extend(ctx context.Context, to proof.Tree) error {
	if r.Room != nil {
		if err := r.Room(to.Size - r.head.Size); err != nil {
			return err
		}
	}
	trees := r.trees()
	for _, s := range r.sources {
		if err := s.settle(ctx, trees); err != nil {
			return err
		}
	}
	cuts := []uint64{to.Size}
	for _, t := range trees {
		cuts = append(cuts, t.Size)
	}
	slices.Sort(cuts)
	var missing []Range
	for at := r.tree.Size(); at < to.Size; {
		end := min((at/proof.TileWidth+1)*proof.TileWidth, to.Size)
		i, _ := slices.BinarySearch(cuts, at+1)
		end = min(end, cuts[i])
		entries, err := r.find(ctx, at, end)
		if w := (*wire.WithheldError)(nil); errors.As(err, &w) && end-at > 1 && w.Index >= at && w.Index < end {
			end = max(w.Index, at+1) // the others of them may be there
			entries, err = r.find(ctx, at, end)
		}
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case err != nil:
			if n := len(missing); n > 0 && missing[n-1].End == at {
				missing[n-1].End = end
			} else {
				missing = append(missing, Range{at, end})
			}
		case len(missing) == 0:
			if err := r.append(ctx, entries); err != nil {
				return err
			}
		}
		at = end
		if r.Progress != nil {
			r.Progress(at, to.Size)
		}
	}
	r.sayFailed()
	if missing != nil {
		if err := r.flush(ctx); err != nil {
			return err
		}
		e := &MissingError{Ranges: missing, Signed: to}
		if s := r.signed[to]; s != nil {
			e.ShownBy = s.by
		}
		for _, s := range r.sources {
			if unreachable(s.silent) {
				e.Silent = append(e.Silent, s.name)
			}
		}
		return e
	}
	return r.flush(ctx)
}

// find asks one source after the other; what was not published is the last to be believed.
func (r *restoring) find(ctx context.Context, start, end uint64) (entries [][]byte, err error) {
	var withheld error // says which of them are there
	for _, s := range r.sources {
		if entries, err = s.entries(ctx, start, end); err == nil || ctx.Err() != nil {
			return entries, err
		}
		if w := (*wire.WithheldError)(nil); errors.As(err, &w) {
			withheld = err
		}
	}
	for _, s := range r.tails {
		if entries, err = s.entries(ctx, start, end); err == nil || ctx.Err() != nil {
			r.tailUsed = true
			return entries, err
		}
	}
	if withheld != nil {
		return nil, withheld
	}
	return nil, err
}

// sayFailed tells once of each source that what it hands out is not what the log signed.
func (r *restoring) sayFailed() {
	for _, s := range r.sources {
		if s.failed != nil {
			r.warn("%s does not hand out all that it should: %v", s.name, s.failed)
			s.failed = nil
		}
	}
}

// append adds entries.
func (r *restoring) append(ctx context.Context, entries [][]byte) error {
	for _, e := range entries {
		if err := r.tree.Append(proof.LeafHash(e)); err != nil {
			return err
		}
	}
	if r.pending = append(r.pending, entries...); len(r.pending) < restoreBatch {
		return nil
	}
	return r.flush(ctx)
}

// flush stores and judges what was added.
func (r *restoring) flush(ctx context.Context) error {
	if len(r.pending) == 0 {
		return nil
	}
	next, err := r.tree.Tree()
	if err != nil {
		return err
	}
	if err := r.fold.Replay(ctx, r.pending, next); err != nil {
		return fmt.Errorf("judging the entries [%d, %d): %w", r.head.Size, next.Size, err)
	}
	if err := r.store.Extend(ctx, ledger.Extension{Old: r.head, New: next, Entries: r.pending, Tiles: r.tree.TakeTiles()}); err != nil {
		return err
	}
	r.head, r.pending = next, nil
	for at := next.Size; at > 0; { // charters among them name keys of the log
		p, since, err := r.fold.Policy(at)
		if err != nil {
			return err
		}
		if !slices.ContainsFunc(r.policies, func(known *proof.Policy) bool { return known.Text() == p.Text() }) {
			r.policies = append(r.policies, p)
		}
		at = since
	}
	return nil
}

// publish stores the largest checkpoint that a quorum has cosigned.
func (r *restoring) publish(ctx context.Context) (*proof.Published, error) {
	for _, t := range r.trees() {
		policy, err := r.policy(t.Size)
		if err != nil {
			return nil, err
		}
		if p := r.signed[t].published(policy); p != nil {
			return p, r.store.Publish(ctx, nil, p.Note())
		}
	}
	return nil, nil
}

// published is the checkpoint with all cosignatures that were found and verify, if those
// make a quorum; nil otherwise.
func (s *signedTree) published(policy *proof.Policy) *proof.Published {
	now := time.Now()
	var base *proof.Signed
	var good []proof.Signature
	for _, note := range s.notes {
		signed, err := policy.VerifyLog(note)
		if err == nil {
			signed, err = policy.VerifyLog(signed.WithoutCosignatures())
		}
		if err == nil {
			base = signed
			break
		}
	}
	if base == nil {
		return nil
	}
	for _, note := range s.notes {
		_, sigs, err := proof.ParseCheckpoint(note)
		if err != nil {
			continue
		}
		for _, sig := range sigs {
			if !slices.ContainsFunc(policy.Witnesses(), func(w proof.Witness) bool { return w.Key.Name() == sig.Name && w.Key.ID() == sig.ID }) {
				continue
			}
			// One that does not verify would condemn the note.
			if _, err := policy.VerifyCosigned(base, []proof.Signature{sig}, now); err == nil || errors.As(err, new(*proof.QuorumError)) {
				good = append(good, sig)
			}
		}
	}
	p, err := policy.VerifyCosigned(base, good, now)
	if err != nil {
		return nil
	}
	return p
}
