package client

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/seed-53cf897a/docket/client/wire"
	"github.com/seed-53cf897a/docket/ledger/disk"
	"github.com/seed-53cf897a/docket/ledger/proof"
	"github.com/seed-53cf897a/docket/ledger/record"
	"github.com/seed-53cf897a/docket/ledger/register"
)

// Source is a log to be audited: a server ([Client.Source]) or a directory in the
// layout of C2SP tlog-tiles ([Directory]).
type Source interface {
	Checkpoint(ctx context.Context) ([]byte, error)
	Bundle(ctx context.Context, id proof.EntryBundleID) ([][]byte, error)
	Tiles(ctx context.Context, ids []proof.TileID) ([][]byte, error)
}

// Source reads the server's log.
func (c *Client) Source() Source { return serverSource{c.log, c} }

// Directory reads a log from a directory: a synced trust directory is one.
func Directory(files vfs.FS, dir string) Source { return directory{NewTileDir(files, dir)} }

type directory struct{ *TileDir }

func (d directory) Checkpoint(context.Context) ([]byte, error) {
	return disk.ReadFile(d.files, d.path(checkpointFile))
}

// Audit says what to audit, and from where to judge it.
type Audit struct {
	Source        Source
	Charter       record.ID // the pinned charter; zero takes the log's own, and says so
	Trusted       *proof.Published
	TrustedTiles  proof.ReadTiles // of the copy that goes to Trusted; nil without one
	RegisterFiles vfs.FS          // where the audit's own register is built, in Dir
	RegisterDir   string
	// Fatal ends the process after a write there whose outcome is unknown, as disk.Config says.
	Fatal func(reason string)
	// Cosigner is the key that is to cosign what was audited ([Auditor.Cosign]); may be zero.
	Cosigner proof.Key
	// OnProgress is told the size reached and the size to reach; may be nil.
	OnProgress func(reached, size uint64)
	// OnFinding is told each finding as it comes; may be nil.
	OnFinding func(finding string)
}

// AuditReport is what an audit found. Nothing in it is the server's word.
type AuditReport struct {
	Ledger         record.ID           // the charter at index 0
	Tree           proof.Tree          // what the entries make
	Published      *proof.Published    // nil if the checkpoint satisfies no policy
	Checked        uint64              // entries that were judged
	Signatures     uint64              // signatures that verified
	Archived       int                 // checkpoints that the source keeps, held against the admission times
	RootMismatch   bool                // the entries that the source hands out are not what the log signed: what else is found goes back to that
	SourceFindings int                 // findings of what the log did not sign: the fault of the source, or of its disk
	Withheld       *Withheld           // set where the source withholds an entry: from it on nothing was judged, and hashes alone make the tree
	Behind         *BehindError        // set where the source shows what was the newest once, and no more
	Fork           *InconsistencyError // what the log signed against what was trusted; nil if it continues that
	Findings       []string            // what does not add up, the first [MaxFindings]; none is the hoped-for answer
	MoreFindings   int                 // findings beyond those
	Notes          []string            // what to know, and no fault
	LogFault       string              // the finding of an entry that the log signed, and that must not be in it; "" without one

	onFinding func(string)
	judged    bool            // Run came to its end
	cosigner  proof.Key       // as the audit was told
	pinned    bool            // it is the ledger that was pinned
	tiles     proof.ReadTiles // the source's
	policies  charters        // those that the replay met
	keyUse    string          // what else the key that is to cosign is on this ledger; "" if nothing
}

// MaxFindings is how many findings a report holds: a log of which nothing adds up has
// one for each tile.
const MaxFindings = 1000

// Run checks that the log signed its checkpoint before anything is fetched by the size
// that stands in it, and then replays the whole log: every leaf hashed, every signature verified, every
// record judged by the rules in force at its index, every tile compared, the
// checkpoint held against the policy, admission times against the times of the
// checkpoints published meanwhile. Whatever does not add up is a finding; an
// error means that the audit itself could not go on.
func (a Audit) Run(ctx context.Context) (*AuditReport, error) {
	note, err := a.Source.Checkpoint(ctx)
	if err != nil {
		return nil, asUnpublished(err)
	}
	cp, _, err := proof.ParseCheckpoint(note)
	if err != nil {
		return nil, fmt.Errorf("the checkpoint: %w", err)
	}
	reg, err := register.Open(a.RegisterFiles, a.RegisterDir, registerOptions(a.Fatal))
	if err != nil {
		return nil, err
	}
	defer reg.Close()
	if err := reg.Reset(); err != nil {
		return nil, err
	}
	r := &AuditReport{onFinding: a.OnFinding}
	signer, err := a.findSigner(ctx, note, cp)
	if err != nil {
		return nil, err
	}
	if signer == signerNone {
		r.addSourceFinding("the checkpoint of size %d is signed by no key that the log has by its charters: nothing was fetched by it", cp.Size)
		return r, nil
	}
	if done, err := a.replay(ctx, r, reg, note, cp, signer); err != nil || done {
		return r, err
	}
	if err := a.checkCheckpoint(r, reg, note, cp); err != nil {
		return nil, err
	}
	if err := a.compareTrusted(ctx, r, note, cp.Tree()); err != nil {
		return nil, err
	}
	if err := a.checkAdmissionTimes(ctx, r, reg); err != nil {
		return nil, err
	}
	return r, a.prepareCosigning(r, reg)
}

// prepareCosigning keeps of the register, which goes with the audit, what cosigning takes.
func (a Audit) prepareCosigning(r *AuditReport, reg *register.Register) (err error) {
	r.judged, r.pinned, r.tiles = true, !a.Charter.IsZero() && a.Charter == r.Ledger, a.Source.Tiles
	if a.Cosigner.IsZero() || reg.Size() == 0 {
		return nil
	}
	r.cosigner = a.Cosigner
	if r.policies, err = chartersOfRegister(reg); err != nil {
		return err
	}
	r.keyUse, err = keyUse(reg, r.policies, a.Cosigner)
	return err
}

func (r *AuditReport) addFinding(format string, args ...any) {
	finding := fmt.Sprintf(format, args...)
	if r.onFinding != nil {
		r.onFinding(finding)
	}
	if len(r.Findings) == MaxFindings {
		r.MoreFindings++
		return
	}
	r.Findings = append(r.Findings, finding)
}

// addSourceFinding is find of what the source hands out and the log did not sign.
func (r *AuditReport) addSourceFinding(format string, args ...any) {
	r.SourceFindings++
	r.addFinding(format, args...)
}

// signerStatus is what is known of who signed a checkpoint before the log is read.
type signerStatus int

const (
	signerNone    signerStatus = iota // none of the log's keys did
	signerLog                         // one of them did
	signerUnknown                     // a later charter, which the source shows only among its entries, may name the key
)

// charterSource is a source that shows the chain of a ledger's charters.
type charterSource interface {
	ChainUnverified(ctx context.Context, id record.ID) ([]byte, error)
}

// findSigner looks for the log's key among those of the trusted checkpoint's policy, of
// the charter at index 0, and of the charters after it.
func (a Audit) findSigner(ctx context.Context, note []byte, cp proof.Checkpoint) (signerStatus, error) {
	if a.Trusted != nil {
		if _, err := a.Trusted.Policy().VerifyLog(note); err == nil {
			return signerLog, nil
		}
	}
	if cp.Size == 0 {
		return signerUnknown, nil // there is nothing to fetch
	}
	first, err := firstEntry(ctx, a.Source.Bundle, cp.Size)
	if err != nil {
		return signerNone, err
	}
	e, err := record.ParseEntry(first)
	if err != nil {
		return signerUnknown, nil // the replay says what is wrong with it, and ends there
	}
	id := record.IDOf(e.Envelope.Payload)
	if st, err := record.ParseStatement(e.Envelope.Payload); err == nil {
		if c, ok := st.Predicate.(*record.Charter); ok && signedByCharterKey(note, c) {
			return signerLog, nil
		}
	}
	source, ok := a.Source.(charterSource)
	if !ok {
		return signerUnknown, nil
	}
	raw, err := source.ChainUnverified(ctx, id)
	if err != nil && isTransient(ctx, err) {
		return signerNone, err
	} else if err != nil {
		return signerUnknown, nil // it hands on tiles alone
	}
	known, err := chartersInChain(raw, id, time.Now())
	if err != nil {
		return signerNone, nil
	}
	for _, c := range known {
		if signedByCharterKey(note, c.content) {
			return signerLog, nil
		}
	}
	return signerNone, nil
}

// signedByCharterKey reports whether one of the log keys that a charter names signed a note.
func signedByCharterKey(note []byte, c *record.Charter) bool {
	policy, err := proof.ParsePolicy([]byte(c.Policy))
	if err != nil {
		return false
	}
	_, err = policy.VerifyLog(note)
	return err == nil
}

// replay folds every entry. The first that must not be in a ledger ends the
// judging, since what follows has no state to be judged by; hashing goes on, if the log
// signed how far. It reports whether there is nothing more to audit.
func (a Audit) replay(ctx context.Context, r *AuditReport, reg *register.Register, note []byte, cp proof.Checkpoint, by signerStatus) (done bool, err error) {
	f := &logReplayer{read: a.Source.Bundle, tree: proof.NewAppender(), register: reg}
	f.write = func(run *entryRun) error {
		full := slices.DeleteFunc(run.tiles, func(t proof.Tile) bool { return t.ID.Width < proof.TileWidth })
		if run.head.Size == cp.Size {
			full = append(full, f.tree.PartialTiles()...)
		}
		return a.compareTiles(ctx, r, run.head, full)
	}
	if a.OnProgress != nil {
		f.progress = func(n uint64) { a.OnProgress(n, cp.Size) }
	}
	_, err = f.replayTo(ctx, cp.Size)
	var bad *register.EntryError
	var old *register.UpgradeError
	var withheld *wire.WithheldError
	switch {
	case errors.As(err, &withheld) && withheld.Index > 0 && withheld.Index < cp.Size:
		return false, a.replayUpToWithheld(ctx, r, reg, cp, withheld)
	case errors.As(err, &old):
		return false, fmt.Errorf("entry %d: %w", old.Index, err)
	case errors.As(err, &bad):
		var again *register.EntryError
		if err := a.replayUpTo(ctx, reg, bad.Index); errors.As(err, &again) {
			r.Ledger, r.Checked, r.RootMismatch = reg.Ledger(), reg.Size(), true
			r.addSourceFinding("entry %d was in order when it was read first, and when it was read again: %v: the source does not hand out the same twice, so that what is wrong with it is no fault of the log", again.Index, again.Err)
			return true, nil
		} else if err != nil {
			return false, err
		}
		r.Ledger, r.Signatures, r.Checked = reg.Ledger(), f.signatures, bad.Index
		must := fmt.Sprintf("entry %d must not be in this ledger: ", bad.Index)
		why := strings.TrimPrefix(bad.Err.Error(), must) // the register says it as well
		if by == signerUnknown {
			if by, err = signerAt(reg, note, bad.Index); err != nil {
				return false, err
			}
		}
		if by != signerLog {
			r.addFinding("%s%s; the %d entries after it were not fetched, since no charter before it names a key that signed the checkpoint", must, why, cp.Size-bad.Index-1)
			return true, nil
		}
		if r.Tree, err = hashAll(ctx, a.Source.Bundle, cp.Size); err != nil {
			return false, err
		}
		if r.RootMismatch = r.Tree.Root != cp.Root; r.RootMismatch {
			r.addSourceFinding("the %d entries make the root %s; the checkpoint says %s: what the source hands out is not what the log signed, so that what is wrong with it is no fault of the log; judged up to entry %d (%s)", cp.Size, r.Tree.Root, cp.Root, bad.Index, why)
		} else {
			r.LogFault = must + why
			r.addFinding("%s; the %d entries after it were hashed, not judged", r.LogFault, cp.Size-bad.Index-1)
		}
	case err != nil:
		return false, err
	default:
		if r.Tree, err = f.tree.Tree(); err != nil {
			return false, err
		}
		r.Ledger, r.Signatures, r.Checked = reg.Ledger(), f.signatures, cp.Size
		if r.RootMismatch = r.Tree.Root != cp.Root; r.RootMismatch {
			r.addSourceFinding("the %d entries make the root %s; the checkpoint says %s: what the source hands out is not what the log signed", cp.Size, r.Tree.Root, cp.Root)
		}
	}
	switch {
	case a.Charter.IsZero():
		r.Notes = append(r.Notes, fmt.Sprintf("no charter was pinned: this is the ledger of whoever wrote charter %s", r.Ledger))
	case a.Charter != r.Ledger && r.Checked > 0:
		r.addFinding("the charter at index 0 is %s; pinned is %s", r.Ledger, a.Charter)
	}
	return false, nil
}

// signerAt is what the charter in force at an index says of who signed a checkpoint.
func signerAt(reg *register.Register, note []byte, index uint64) (signerStatus, error) {
	if reg.Size() == 0 {
		return signerNone, nil
	}
	era, err := reg.PolicyEpochAt(index)
	if err != nil {
		return signerNone, err
	}
	policy, err := proof.ParsePolicy([]byte(era.Policy))
	if err != nil {
		return signerNone, err
	}
	if _, err := policy.VerifyLog(note); err != nil {
		return signerNone, nil
	}
	return signerLog, nil
}

// replayUpTo brings the register to the last entry before one that must not be there:
// the batch in which that stood was not taken in.
func (a Audit) replayUpTo(ctx context.Context, reg *register.Register, size uint64) error {
	if err := reg.Reset(); err != nil {
		return err
	}
	f := &logReplayer{read: a.Source.Bundle, tree: proof.NewAppender(), register: reg}
	_, err := f.replayTo(ctx, size)
	return err
}

// replayUpToWithheld judges what comes before the first entry that the source withholds, and
// makes the tree of the leaf hashes from there on: that they are those of the entries,
// nobody can tell who has not all of these.
func (a Audit) replayUpToWithheld(ctx context.Context, r *AuditReport, reg *register.Register, cp proof.Checkpoint, w *wire.WithheldError) error {
	if err := reg.Reset(); err != nil {
		return err
	}
	for {
		f := &logReplayer{read: a.Source.Bundle, tree: proof.NewAppender(), register: reg}
		_, err := f.replayTo(ctx, w.Index)
		if earlier := (*wire.WithheldError)(nil); errors.As(err, &earlier) && earlier.Index > 0 && earlier.Index < w.Index {
			w = earlier // that of a bundle names the bundle's first
			continue
		}
		if err != nil {
			return err
		}
		r.Ledger, r.Signatures, r.Checked = reg.Ledger(), f.signatures, w.Index
		r.Withheld = &Withheld{Index: w.Index, URL: w.URL, Reason: w.Reason}
		if r.Tree, err = appendLeaves(ctx, f.tree, a.Source.Tiles, cp.Size, nil); err != nil {
			return err
		}
		if r.RootMismatch = r.Tree.Root != cp.Root; r.RootMismatch {
			r.addSourceFinding("the %d entries and the leaf hashes after them make the root %s; the checkpoint says %s: what the source hands out is not what the log signed", w.Index, r.Tree.Root, cp.Root)
		}
		return nil
	}
}

// hashAll makes the root of all entries and judges none.
func hashAll(ctx context.Context, read readBundle, size uint64) (proof.Tree, error) {
	t := proof.NewAppender()
	for id := range proof.EntryBundles(0, size) {
		entries, err := read(ctx, id)
		if err != nil {
			return proof.Tree{}, err
		}
		for _, e := range entries {
			if err := t.Append(proof.LeafHash(e)); err != nil {
				return proof.Tree{}, err
			}
		}
		t.TakeTiles()
	}
	return t.Tree()
}

// compareTiles holds the tiles that are served against those that the entries make: the
// full ones, and at the end the partial ones.
func (a Audit) compareTiles(ctx context.Context, r *AuditReport, head proof.Tree, tiles []proof.Tile) error {
	ids := make([]proof.TileID, len(tiles))
	for i, t := range tiles {
		ids[i] = t.ID
	}
	served, err := a.Source.Tiles(ctx, ids)
	switch {
	case err != nil && isTransient(ctx, err):
		return err
	case err != nil:
		r.addSourceFinding("tiles below size %d: %v", head.Size, err)
		return nil
	}
	for i, t := range tiles {
		if !bytes.Equal(served[i], t.Hashes) {
			r.addSourceFinding("%s is not what the entries make: proofs built from it are wrong", t.ID)
		}
	}
	return nil
}

// checkCheckpoint holds the checkpoint against the policy of the newest charter
// below its size.
func (a Audit) checkCheckpoint(r *AuditReport, reg *register.Register, note []byte, cp proof.Checkpoint) error {
	if reg.Size() == 0 {
		r.addFinding("the checkpoint of size %d has no charter to be judged by", cp.Size)
		return nil
	}
	era, err := reg.PolicyEpochAt(min(cp.Size, reg.Size()))
	if err != nil {
		return err
	}
	policy, err := proof.ParsePolicy([]byte(era.Policy))
	if err != nil {
		return err
	}
	if cp.Origin != era.Origin {
		r.addFinding("the checkpoint is of the log %s; the charter's origin is %s", cp.Origin, era.Origin)
	}
	r.Notes = append(r.Notes, policy.Warnings()...)
	published, err := policy.Verify(note, time.Now())
	if err != nil {
		r.addFinding("the checkpoint of size %d: %v", cp.Size, err)
		return nil
	}
	r.Published = published
	return nil
}

// compareTrusted holds the tree that the checkpoint says, whatever the entries make,
// against a checkpoint that was trusted before.
func (a Audit) compareTrusted(ctx context.Context, r *AuditReport, note []byte, shown proof.Tree) error {
	if a.Trusted == nil {
		return nil
	}
	last := a.Trusted.Checkpoint().Tree()
	if a.TrustedTiles != nil && r.Published != nil {
		if r.Behind = asBehind(ctx, a.TrustedTiles, a.Trusted, r.Published); r.Behind != nil {
			return nil
		}
	}
	if last.Size > shown.Size {
		r.addFinding("rollback: the log has %d entries, and %d (root %s) were trusted before", shown.Size, last.Size, last.Root)
		r.setFork(ctx, a, note)
		return nil
	}
	old, err := proof.NewTileReader(a.Source.Tiles, -1).At(shown).TreeAt(ctx, last.Size)
	if err != nil && isTransient(ctx, err) {
		return err
	}
	if malformed := (*wire.MalformedError)(nil); errors.As(err, &malformed) {
		r.addSourceFinding("consistency with the trusted size %d: %v", last.Size, err)
		return nil
	}
	if err != nil {
		r.addFinding("consistency with the trusted size %d: %v", last.Size, err)
		return nil
	}
	if old.Root != last.Root {
		r.addFinding("fork: at size %d the log's root is %s, and %s was trusted before", last.Size, old.Root, last.Root)
		r.setFork(ctx, a, note)
	}
	return nil
}

// setFork keeps what the log signed, if it signed what it shows: by the keys of the
// charter in force there, if the pinned one leads up to it, since those of the trusted
// checkpoint may have retired. Of a rollback without the copy the two notes are all
// there is.
func (r *AuditReport) setFork(ctx context.Context, a Audit, note []byte) {
	var shown signedCheckpoint = r.Published
	if r.Published == nil || r.Ledger != a.Charter {
		s, err := a.Trusted.Policy().VerifyLog(note)
		if err != nil {
			return
		}
		shown = s
	}
	larger := a.Source.Tiles
	if a.TrustedTiles != nil && a.Trusted.Checkpoint().Size > shown.Checkpoint().Size {
		larger = a.TrustedTiles
	}
	r.Fork = newInconsistencyError(ctx, larger, a.Trusted, shown)
}

// isTransient tells an audit that could not go on from a log at fault.
func isTransient(ctx context.Context, err error) bool {
	var gone *wire.UnreachableError
	var busy *wire.StatusError
	var later *Problem
	return ctx.Err() != nil || errors.As(err, &gone) || errors.As(err, &busy) && busy.Retryable() || errors.As(err, &later) && later.Retryable()
}

// MaxDelay is how long before the time of a cosigned checkpoint an entry may have
// been admitted that the checkpoint does not hold yet. It is generous: a ledger
// without a quorum goes on admitting for a while.
const MaxDelay = time.Hour

// admittedInTime refuses an admission time, the ledger's own word, that is after the time
// by which a quorum says that the entry existed: as far as clocks may differ, no entry is
// admitted after witnesses have seen it. Under quorum none no time is proven.
func admittedInTime(admitted time.Time, p *proof.Published) error {
	by := p.ExistedBy()
	if by.IsZero() || !admitted.After(by.Add(proof.MaxClockSkew)) {
		return nil
	}
	return fmt.Errorf("the ledger says that it was admitted at %s, and a quorum had cosigned size %d, which holds it, at %s already: the ledger's clock was wrong, or it tells an untrue time",
		admitted.UTC().Format(time.RFC3339), p.Checkpoint().Size, by.UTC().Format(time.RFC3339))
}

// checkAdmissionTimes holds the admission times, which are the ledger's own word, against the
// quorum times of the checkpoints that were published meanwhile: an entry cannot
// have been admitted long before a checkpoint that does not hold it, nor after one
// that does.
func (a Audit) checkAdmissionTimes(ctx context.Context, r *AuditReport, reg *register.Register) error {
	if r.Published == nil || r.Checked == 0 || r.Published.Checkpoint().Tree() != r.Tree {
		return nil // that is a finding already
	}
	var known []quorumTime
	for _, p := range []*proof.Published{r.Published, a.Trusted} {
		if p != nil && !p.ExistedBy().IsZero() && r.Fork == nil {
			known = append(known, quorumTimeOf(p))
		}
	}
	k, asked := a.Source.(checkpointArchive)
	if asked && len(known) > 0 {
		kept, err := a.fetchArchived(ctx, k, r, reg)
		if err != nil {
			return err
		}
		r.Archived = len(kept)
		known = append(known, kept...)
	}
	switch {
	case r.Archived > 0 || len(known) == 0:
	case asked:
		r.Notes = append(r.Notes, "the ledger was asked for the checkpoints that it published before, and showed none that holds: admission times were held against the newest alone")
	default:
		r.Notes = append(r.Notes, "older checkpoints are not kept here: admission times were held against the newest alone; docket audit URL asks the ledger for them")
	}
	slices.SortFunc(known, func(a, b quorumTime) int { return a.existedBy.Compare(b.existedBy) })
	return compareAdmissionTimes(r, reg, known)
}

// compareAdmissionTimes finds each entry once, with the first checkpoint that shows it.
func compareAdmissionTimes(r *AuditReport, reg *register.Register, known []quorumTime) error {
	size := min(r.Checked, reg.Size())
	var included, late uint64 // entries below were compared
	for _, k := range known {
		// Admission times never go back: those at fault stand together.
		first, last, err := faultySpan(reg, included, min(k.size, size), func(admitted time.Time) bool { return admitted.After(k.existedBy.Add(proof.MaxClockSkew)) }, true)
		if err != nil {
			return err
		}
		if first < last {
			if err := r.addWrongTime(reg, first, last, "is after a quorum cosigned the checkpoint of size %d, which holds it, at %s", k.size, k.existedBy); err != nil {
				return err
			}
		}
		included = max(included, min(k.size, size))

		// One witness of the quorum may have stood there for long when it stamped, and the
		// log gone on with the others: what counts is the stamp that a whole quorum reaches.
		first, last, err = faultySpan(reg, max(k.size, late), size, func(admitted time.Time) bool { return admitted.Before(k.newestSince.Add(-MaxDelay)) }, false)
		if err != nil {
			return err
		}
		if first < last {
			if err := r.addWrongTime(reg, first, last, "is more than 1 h before a quorum cosigned the checkpoint of size %d, which does not hold it, at %s: the ledger's clock was wrong, or it kept the entry back", k.size, k.newestSince); err != nil {
				return err
			}
			late = last
		}
	}
	return nil
}

// faultySpan is the run of entries in [from, to) whose admission time is at fault: it ends
// at to (fromEnd), or begins at from.
func faultySpan(reg *register.Register, from, to uint64, fault func(admitted time.Time) bool, fromEnd bool) (first, last uint64, err error) {
	if from >= to {
		return from, from, nil
	}
	at := func(index uint64) (bool, error) {
		row, err := reg.Record(index)
		if err != nil {
			return false, err
		}
		return fault(row.Admitted), nil
	}
	if fromEnd {
		for first, last = to, to; first > from; first-- {
			if bad, err := at(first - 1); err != nil || !bad {
				return first, last, err
			}
		}
		return first, last, nil
	}
	for first, last = from, from; last < to; last++ {
		if bad, err := at(last); err != nil || !bad {
			return first, last, err
		}
	}
	return first, last, nil
}

func (r *AuditReport) addWrongTime(reg *register.Register, first, last uint64, why string, size uint64, at time.Time) error {
	row, err := reg.Record(first)
	if err != nil {
		return err
	}
	others := ""
	if last-first > 1 {
		others = fmt.Sprintf(" (and so on to entry %d)", last-1)
	}
	r.addFinding("entry %d%s: its admission time %s "+why, first, others, row.Admitted.UTC().Format(time.RFC3339), size, at.UTC().Format(time.RFC3339))
	return nil
}

// fetchArchived fetches the kept checkpoints; what does not add up among them is a
// finding.
func (a Audit) fetchArchived(ctx context.Context, source checkpointArchive, r *AuditReport, reg *register.Register) ([]quorumTime, error) {
	begin, err := reg.Record(0)
	if err != nil {
		return nil, err
	}
	policies, err := chartersOfRegister(reg)
	if err != nil {
		return nil, err
	}
	// Cosignatures are stamped by the second: one of the very first is stamped earlier
	// than the entry that it holds was admitted.
	log := archiveReader{source: source, policies: policies, tiles: a.Source.Tiles, newest: r.Published, limit: 1 << 14}
	kept, faults, err := log.fetchBetween(ctx, quorumTime{existedBy: begin.Admitted.Truncate(time.Second)}, r.Published.ExistedBy())
	if err != nil {
		return nil, err
	}
	for _, fault := range faults {
		if errors.As(fault, &r.Fork) {
			r.addFinding("%v", fault)
			continue
		}
		r.addSourceFinding("%v", fault)
	}
	return kept, nil
}

// chartersOfRegister are the policies of the charters that a replay met.
func chartersOfRegister(reg *register.Register) (charters, error) {
	rows, err := reg.Charters()
	if err != nil {
		return nil, err
	}
	var all charters
	for _, row := range rows {
		era, err := reg.PolicyEpochAt(row.Index + 1)
		if err != nil {
			return nil, err
		}
		policy, err := proof.ParsePolicy([]byte(era.Policy))
		if err != nil {
			return nil, err
		}
		all = append(all, charter{index: row.Index, id: row.ID, policy: policy})
	}
	return all, nil
}
