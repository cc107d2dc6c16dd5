package client

import (
	"context"
	"errors"
	"fmt"
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
	Source          Source
	Charter         record.ID // the pinned charter; zero takes the log's own, and says so
	Trusted         *proof.Published
	TrustedPolicies Policies        // of the charters that led to Trusted; nil: its own alone
	TrustedTiles    proof.ReadTiles // of the copy that goes to Trusted; nil without one
	RegisterFiles   vfs.FS          // where the audit's own register is built, in Dir
	RegisterDir     string
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
//
// Where the source is several servers, one that is behind what was trusted is left for the next.
func (a Audit) Run(ctx context.Context) (*AuditReport, error) {
	for {
		r, err := a.run(ctx)
		if s, ok := a.Source.(serverSource); err != nil || r.Behind == nil || !ok || !s.c.servers.Leave(r.Behind) {
			return r, err
		}
	}
}

func (a Audit) run(ctx context.Context) (*AuditReport, error) {
	note, err := a.Source.Checkpoint(ctx)
	if err != nil {
		return nil, err
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

// checkCheckpoint holds the checkpoint against the policy of the newest charter
// below its size. Where the source did not hand out the entries that tell which one that is,
// the charters that were trusted before do.
func (a Audit) checkCheckpoint(r *AuditReport, reg *register.Register, note []byte, cp proof.Checkpoint) error {
	if r.RootMismatch && r.Checked < cp.Size {
		policy := a.trustedPolicy(cp.Size)
		if policy == nil {
			r.Notes = append(r.Notes, fmt.Sprintf("the checkpoint of size %d was held against no policy: the charters below it are among the entries that were not handed out as they were signed", cp.Size))
			return nil
		}
		r.holdAgainst(policy, note, cp)
		return nil
	}
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
	r.holdAgainst(policy, note, cp)
	return nil
}

func (r *AuditReport) holdAgainst(policy *proof.Policy, note []byte, cp proof.Checkpoint) {
	r.Notes = append(r.Notes, policy.Warnings()...)
	published, err := policy.Verify(note, time.Now())
	if err != nil {
		r.addFinding("the checkpoint of size %d: %v", cp.Size, err)
		return
	}
	r.Published = published
}

// compareTrusted holds the tree that the checkpoint says, whatever the entries make,
// against a checkpoint that was trusted before.
func (a Audit) compareTrusted(ctx context.Context, r *AuditReport, note []byte, shown proof.Tree) error {
	if a.Trusted == nil {
		return nil
	}
	last := a.Trusted.Checkpoint().Tree()
	if a.TrustedTiles != nil && r.Published != nil {
		if r.Behind, _ = asBehind(ctx, a.TrustedTiles, a.Trusted, r.Published); r.Behind != nil {
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
