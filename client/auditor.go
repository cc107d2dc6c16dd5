package client

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/seed-53cf897a/docket/client/wire"
	"github.com/seed-53cf897a/docket/ledger/disk"
	"github.com/seed-53cf897a/docket/ledger/proof"
	"github.com/seed-53cf897a/docket/ledger/record"
	"github.com/seed-53cf897a/docket/ledger/register"
)

// Auditor is a key that cosigns what was audited, with what it has cosigned in a directory
// beside it:
//
//	DIR/key                      the vkey whose state this is
//	DIR/lock                     held while the directory is open
//	DIR/<origin hash>/checkpoint the newest checkpoint of a log: durable before it is cosigned,
//	                             and with the cosignature afterwards
//	DIR/<origin hash>/finding    if there: what the log was found to have done; nothing more
//	                             of it is cosigned
//
// A folder of DIR behind any web server answers as tlog-witness, "Monitor Retrieval
// Mechanism", says. One caller uses an Auditor at a time.
type Auditor struct {
	files vfs.FS
	dir   string
	key   *proof.Cosigner
	lock  io.Closer
}

var (
	// ErrNoAuditorState: there is a key, and nothing says what it has cosigned.
	ErrNoAuditorState = errors.New("it is not known what this auditor's key has cosigned")

	// ErrAuditorHalted: the log was found at fault, and no person has decided since.
	ErrAuditorHalted = errors.New("this auditor has found the log at fault, and cosigns nothing more of it")
)

// CreateAuditor makes the directory of a key that was just made and has cosigned nothing. The
// key may be kept, and used, once it returns nil. One of another key is an error.
func CreateAuditor(files vfs.FS, dir string, key proof.Key) error {
	if err := disk.MakeDir(files, dir, 0o755); err != nil {
		return fmt.Errorf("making %s: %w", dir, err)
	}
	return disk.WriteNew(files, files.PathJoin(dir, auditorKeyFile), []byte(key.String()+"\n"), 0o644, disk.SyncNow)
}

const (
	auditorKeyFile = "key"
	findingFile    = "finding"
)

// OpenAuditor opens the directory of a key, which no other process may have open
// ([disk.ErrLocked]). [ErrNoAuditorState] if there is none. The caller closes it.
func OpenAuditor(files vfs.FS, dir string, key *proof.Cosigner) (*Auditor, error) {
	text, err := disk.ReadFile(files, files.PathJoin(dir, auditorKeyFile))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("%w: there is no %s", ErrNoAuditorState, files.PathJoin(dir, auditorKeyFile))
	case err != nil:
		return nil, err
	case string(text) != key.Key().String()+"\n":
		return nil, fmt.Errorf("%w: %s is of another key", ErrNoAuditorState, dir)
	}
	lock, err := disk.Lock(files, files.PathJoin(dir, "lock"))
	if err != nil {
		return nil, err
	}
	return &Auditor{files: files, dir: dir, key: key, lock: lock}, nil
}

// Close releases the directory.
func (a *Auditor) Close() error { return a.lock.Close() }

// File is where the newest checkpoint of a log is, with the auditor's cosignature.
func (a *Auditor) File(origin string) string { return a.path(origin, checkpointFile) }

func (a *Auditor) path(origin, name string) string {
	return a.files.PathJoin(a.dir, wire.OriginHash(origin), name)
}

// Recover takes in what the key itself has cosigned of a ledger, as its note shows, where the
// directory knows less: an old copy of that was brought back, or the key was used elsewhere.
// It reports whether that was so. What does not verify changes nothing.
func (a *Auditor) Recover(r *AuditReport, note []byte) (recovered bool, err error) {
	if r.policies == nil {
		return false, nil
	}
	shown, err := verifyNote(r.policies, note, time.Now())
	if err != nil {
		return false, fmt.Errorf("what is shown as cosigned by %s: %w", a.key.Key().Label(), err)
	}
	if _, err := proof.CosignedBy(note, a.key.Key(), time.Now()); err != nil {
		return false, err
	}
	cp := shown.Checkpoint()
	last, err := a.last(cp.Origin, r.policies)
	if err != nil || last != nil && last.Checkpoint().Size >= cp.Size {
		return false, err
	}
	return true, a.write(cp.Origin, checkpointFile, note)
}

// Cosign cosigns the checkpoint of an audit in which everything added up, and returns its
// note with the cosignature: by this key, everything below that size was replayed and
// judged. What it signs is durable before. It signs nothing smaller than, and nothing that
// does not continue, what it has cosigned of that log: then the error is a *[BehindError]
// or an *[InconsistencyError]. Whatever the error, no cosignature was given out.
func (a *Auditor) Cosign(ctx context.Context, r *AuditReport) ([]byte, error) {
	if err := a.keepFinding(r); err != nil {
		return nil, err
	}
	if err := r.mayBeCosigned(a.key.Key()); err != nil {
		return nil, err
	}
	cp := r.Published.Checkpoint()
	finding, err := disk.ReadFile(a.files, a.path(cp.Origin, findingFile))
	if err == nil {
		return nil, fmt.Errorf("%w: %s says: %.500s", ErrAuditorHalted, a.path(cp.Origin, findingFile), finding)
	} else if !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	last, err := a.last(cp.Origin, r.policies)
	if err != nil {
		return nil, err
	}
	if last != nil {
		if err := a.checkContinues(ctx, last, r); err != nil {
			return nil, err
		}
	}
	// Persist before signing: a cosignature that we forget is a smaller one, or a fork, that
	// we allow.
	if last == nil || last.Checkpoint().Tree() != cp.Tree() {
		note, err := r.Published.WithCosignatureOf(a.key.Key(), r.Published.WithoutCosignatures())
		if err != nil {
			return nil, err
		}
		if err := a.write(cp.Origin, checkpointFile, note); err != nil {
			return nil, err
		}
	}
	sig, err := a.key.Cosign(cp)
	if err != nil {
		return nil, err
	}
	text, err := proof.FormatNote(cp, sig)
	if err != nil {
		return nil, err
	}
	note, err := r.Published.WithCosignatureOf(a.key.Key(), text)
	if err != nil {
		return nil, err
	}
	return note, a.write(cp.Origin, checkpointFile, note)
}

func (a *Auditor) write(origin, name string, data []byte) error {
	file := a.path(origin, name)
	if err := disk.MakeDir(a.files, a.files.PathDir(file), 0o755); err != nil {
		return fmt.Errorf("making %s: %w", a.files.PathDir(file), err)
	}
	return disk.WriteFile(a.files, file, data, 0o644, disk.SyncNow)
}

// last is what was cosigned last of a log, verified, since a spoilt file would let
// a smaller one through; nil if nothing was.
func (a *Auditor) last(origin string, policies charters) (*proof.Published, error) {
	note, err := disk.ReadFile(a.files, a.File(origin))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	} else if err != nil {
		return nil, err
	}
	last, err := verifyNote(policies, note, time.Now())
	if err != nil {
		return nil, fmt.Errorf("what was cosigned last, %s, is no checkpoint of this ledger: %w", a.File(origin), err)
	}
	return last, nil
}

// checkContinues refuses what does not continue the checkpoint that was cosigned last.
func (a *Auditor) checkContinues(ctx context.Context, last *proof.Published, r *AuditReport) error {
	had, shown := last.Checkpoint().Tree(), r.Tree
	if shown.Size < had.Size {
		return &BehindError{Trusted: had, Shown: shown, At: r.Published.LastCosignedAt()}
	}
	begins, err := proof.NewTileReader(r.tiles, -1).At(shown).TreeAt(ctx, had.Size)
	if err != nil {
		return fmt.Errorf("whether size %d continues size %d, which was cosigned before: %w", shown.Size, had.Size, err)
	}
	if begins.Root == had.Root {
		return nil
	}
	fork := newInconsistencyError(ctx, r.tiles, last, r.Published)
	r.Fork = fork
	r.addFinding("%v", fork)
	return errors.Join(fork, a.keepFinding(r))
}

// keepFinding keeps what the log itself is at fault for, before anything else: it could show
// a history without that the next time.
func (a *Auditor) keepFinding(r *AuditReport) error {
	if r.Published == nil || !r.pinned || r.LogFault == "" && r.Fork == nil {
		return nil
	}
	words := r.LogFault
	if r.Fork != nil {
		words = r.Fork.Error()
	}
	text := fmt.Sprintf("%s\nfound %s at size %d, root %s\n", words, time.Now().UTC().Format(time.RFC3339), r.Published.Checkpoint().Size, r.Published.Checkpoint().Root)
	return a.write(r.Published.Checkpoint().Origin, findingFile, []byte(text))
}

// NotCosignedError says why the checkpoint of an audit is not cosigned.
type NotCosignedError struct{ Why string }

func (e *NotCosignedError) Error() string { return "nothing was cosigned: " + e.Why }

// mayBeCosigned refuses whatever is less than a whole audit without a finding, of a ledger
// that was pinned, by a key that has another use.
func (r *AuditReport) mayBeCosigned(k proof.Key) error {
	no := func(format string, args ...any) error { return &NotCosignedError{fmt.Sprintf(format, args...)} }
	switch {
	case len(r.Findings) > 0:
		return no("the audit has findings, the first: %s", r.Findings[0])
	case r.Behind != nil:
		return r.Behind
	case r.Published == nil || !r.judged || r.Checked != r.Tree.Size || r.Published.Checkpoint().Tree() != r.Tree:
		return no("the audit did not judge everything below a published checkpoint")
	case r.cosigner.String() != k.String():
		return no("the audit was not made for the key %s", k.Label())
	case !r.pinned:
		return no("no charter was pinned, so that this may be anybody's ledger")
	}
	if r.keyUse != "" {
		return no("the key %s is %s: an auditor cosigns by a key, and under a name, of its own", k.Label(), r.keyUse)
	}
	return nil
}

// Judged is an auditor's word on a checkpoint: by its key, every entry below that size was
// replayed and judged.
type Judged struct {
	Key proof.Key
	At  time.Time // by the auditor's clock
}

// OtherRoleError is a key that was asked for as an auditor's and is a log's or a witness's.
type OtherRoleError struct {
	Key  proof.Key
	Role string
}

func (e *OtherRoleError) Error() string {
	return fmt.Sprintf("the key %s is no auditor's: it is of the %s in the policy", e.Key.Label(), e.Role)
}

// JudgedBy wants a published checkpoint to bear the cosignature of each of these auditors.
// Errors: [proof.ErrNotCosigned], *[proof.SignatureError], *[OtherRoleError].
func JudgedBy(p *proof.Published, keys []proof.Key) (all []Judged, err error) {
	for _, k := range keys {
		if role := p.Policy().InRole(k); role != "" {
			return nil, &OtherRoleError{k, role}
		}
		at, err := proof.CosignedBy(p.Note(), k, time.Now())
		if err != nil {
			return nil, err
		}
		all = append(all, Judged{k, at})
	}
	return all, nil
}

// SubmitCosignature hands a checkpoint with an auditor's cosignature to the ledger.
func (c *Client) SubmitCosignature(ctx context.Context, note []byte) error {
	_, err := c.call(ctx, http.MethodPost, "/v1/auditors", "text/plain; charset=utf-8", note)
	return err
}

// AuditorCheckpoint fetches the newest checkpoint that the ledger keeps of an auditor,
// unverified; nil if it keeps none, or knows of no auditors.
func (c *Client) AuditorCheckpoint(ctx context.Context, by proof.Key) ([]byte, error) {
	body, err := c.GetUnverified(ctx, "/v1/auditors")
	var refused *Problem
	if errors.As(err, &refused) && refused.Status == http.StatusNotFound {
		return nil, nil // a mirror of tiles
	} else if err != nil {
		return nil, err
	}
	var all struct {
		Auditors []struct{ VKey, Checkpoint string }
	}
	if err := json.Unmarshal(body, &all); err != nil {
		return nil, fmt.Errorf("the auditors of %s: %w", c.URL(), err)
	}
	for _, one := range all.Auditors {
		if one.VKey == by.String() && one.Checkpoint != "" {
			return []byte(one.Checkpoint), nil
		}
	}
	return nil, nil
}

// AuditedReceipt fetches a record's receipt against the newest checkpoint that an auditor has
// cosigned, and verifies both. [ErrUnpublished] if the auditor has not come so far.
func (c *Client) AuditedReceipt(ctx context.Context, id record.ID, by proof.Key, p Policies) (*Receipt, error) {
	body, err := c.GetUnverified(ctx, "/v1/records/"+id.String()+"/receipt?auditor="+url.QueryEscape(by.Label()))
	var refused *Problem
	if errors.As(err, &refused) && refused.Status == http.StatusConflict {
		return nil, fmt.Errorf("record %s: %w", id, &NotJudgedError{refused})
	} else if err != nil {
		return nil, err
	}
	r, err := c.verifyReceipt(ctx, body, id, p)
	if err != nil {
		return nil, err
	}
	if _, err := JudgedBy(r.Published(), []proof.Key{by}); err != nil {
		return nil, fmt.Errorf("the server's receipt: %w", err)
	}
	return r, nil
}

// NotJudgedError says that an auditor has not come so far, or that the record is not published.
type NotJudgedError struct{ *Problem }

func (e *NotJudgedError) Unwrap() error { return ErrUnpublished }

// keyUse says what else a cosigner's key, or its name, is on a ledger; "" if nothing.
func keyUse(reg *register.Register, policies charters, k proof.Key) (string, error) {
	for _, c := range policies {
		if role := c.policy.InRole(k); role != "" {
			return fmt.Sprintf("of the %s in the policy of the charter at index %d", role, c.index), nil
		}
	}
	owner, err := reg.OwnerOfNoteKey(k)
	if err != nil || owner == "" {
		return "", err
	}
	return "that of " + owner, nil
}
