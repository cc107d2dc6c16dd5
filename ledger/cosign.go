package ledger

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/seed-53cf897a/docket/ledger/proof"
)

// CosignFunc asks the witnesses of a policy for their cosignatures and returns once
// they make a quorum, or ctx ends, or every witness has answered. The caller provides
// it: the ledger itself opens no connection.
type CosignFunc func(ctx context.Context, ask CosignRequest) (CosignResponse, error)

// CosignRequest is one checkpoint to be cosigned.
type CosignRequest struct {
	Signed *proof.Signed // with the log's own signatures alone
	Policy *proof.Policy

	// Resubmission says that this checkpoint was published before: it is shown so that a
	// witness who has seen more can say so before anything new is signed.
	Resubmission bool

	// NotBefore is the earliest time of a cosignature that counts, in whole seconds;
	// any if zero. A witness may give again what it gave before, and that says nothing
	// about what it has seen since.
	NotBefore time.Time

	// ConsistencyProof proves that the tree of a smaller size leads up to this one.
	ConsistencyProof func(ctx context.Context, from uint64) ([]proof.Hash, error)

	// OnLate receives responses that arrive after the [CosignFunc] has returned. They
	// are merged into the published checkpoint, because monitors count every witness.
	// It never blocks.
	OnLate func(CosignResponse)
}

// ProbesNewLog reports whether the request asks if the log is new. Its checkpoint is
// then the empty tree; it goes to every witness and to the log's URL; a witness that
// does not cosign it must answer with the size it knows ([Ledger.ProbeNewLog]).
func (a CosignRequest) ProbesNewLog() bool { return a.Tree().Size == 0 }

// Tree is the one to be cosigned.
func (a CosignRequest) Tree() proof.Tree { return a.Signed.Checkpoint().Tree() }

// CosignResponse is what the witnesses said. The ledger verifies all of it: a
// cosignature that does not verify is dropped, and another checkpoint counts only if
// this log signed it.
type CosignResponse struct {
	Cosignatures []proof.Signature

	// Kept are those that witnesses gave for this very checkpoint when it was asked for
	// before and lacked its quorum. They count like the others, and say nothing of the
	// time. There are none where [CosignRequest.Resubmission].
	Kept []proof.Signature

	// Checkpoints are checkpoints of this log, as notes, fetched from witnesses who claim
	// to have cosigned something larger, or something else; and, where [CosignRequest.ProbesNewLog],
	// from the log's URL.
	Checkpoints [][]byte

	// Claims, where [CosignRequest.ProbesNewLog], are what witnesses say who do not
	// cosign the empty tree. Unresponsive are the log's URLs that gave no answer, and
	// why.
	Claims       []SizeClaim
	Unresponsive []error
}

// SizeClaim is a witness's word about the largest checkpoint of this log that it has
// cosigned.
type SizeClaim struct {
	Witness string // its name in the policy
	Size    uint64 // 0: it never cosigned one
}

// RetryAfterError is why a witness was not asked: it wants to be left alone until then.
// A caller that needs the quorum tries again at that time.
type RetryAfterError struct {
	Until time.Time
	Err   error
}

func (e *RetryAfterError) Error() string {
	return fmt.Sprintf("it asked to be left alone for another %s: %v", time.Until(e.Until).Round(time.Second), e.Err)
}

func (e *RetryAfterError) Unwrap() error { return e.Err }

// earliestRetry is the earliest time at which a witness may be asked that an error says was
// not; zero if there is none.
func earliestRetry(err error) (first time.Time) {
	var all []error
	switch e := err.(type) {
	case *RetryAfterError:
		return e.Until
	case interface{ Unwrap() []error }:
		all = e.Unwrap()
	case interface{ Unwrap() error }:
		all = []error{e.Unwrap()}
	}
	for _, err := range all {
		if until := earliestRetry(err); !until.IsZero() && (first.IsZero() || until.Before(first)) {
			first = until
		}
	}
	return first
}

// collectCosignatures asks for cosignatures and judges what comes back. With [ErrNoQuorum], the
// largest tree is returned that this log signed, that the store holds, and that a
// witness showed; the zero tree if none did.
func (l *Ledger[V]) collectCosignatures(ctx context.Context, request CosignRequest, tree *treeSnapshot) (*proof.Published, proof.Tree, error) {
	var response CosignResponse
	var cosignErr error
	var seen proof.Tree
	if l.config.Cosign != nil && len(request.Policy.Witnesses()) > 0 {
		request.ConsistencyProof = func(ctx context.Context, from uint64) ([]proof.Hash, error) {
			return l.owner.ConsistencyProof(ctx, tree.Snapshot, from, request.Tree().Size)
		}
		request.OnLate = func(a CosignResponse) { l.late.put(request.Tree().Size, a) }
		response, cosignErr = l.config.Cosign(ctx, request)
		for _, note := range response.Checkpoints {
			// The caller's context must not decide a question about the store.
			seenTree, err := l.checkSeen(context.WithoutCancel(ctx), note, request.Policy, tree)
			if err != nil {
				return nil, seen, l.stop(err)
			}
			if seenTree.Size > seen.Size {
				seen = seenTree
			}
		}
	}
	fresh, kept := onlyPolicyWitnesses(request.Policy, response.Cosignatures), onlyPolicyWitnesses(request.Policy, response.Kept)
	published, err := l.verifyCosigned(request, countableAt(slices.Concat(fresh, kept), request.NotBefore, time.Now()))
	telling := published
	if len(kept) > 0 {
		telling = nil
	}
	if clock := l.sampleClock(request, fresh, telling); clock != nil && err != nil {
		return nil, seen, clock
	}
	if quorum := (*proof.QuorumError)(nil); errors.As(err, &quorum) {
		return nil, seen, errors.Join(fmt.Errorf("%w: %w", ErrNoQuorum, err), cosignErr)
	}
	return published, seen, err
}

// onlyPolicyWitnesses leaves only the signatures that claim to be by the policy's
// witnesses: those of unknown keys are ignored (tlog-witness "add-checkpoint"), and a
// signature under the log's name is the log's alone.
func onlyPolicyWitnesses(policy *proof.Policy, sigs []proof.Signature) []proof.Signature {
	// SPEC: tlog-witness add-checkpoint: the client ignores cosignatures by unknown keys
	keys := policy.Witnesses()
	return slices.DeleteFunc(slices.Clone(sigs), func(s proof.Signature) bool {
		return !slices.ContainsFunc(keys, func(w proof.Witness) bool { return w.Key.Name() == s.Name && w.Key.ID() == s.ID })
	})
}

// countableAt leaves only the cosignatures of which the time can count: that are not from
// before the earliest, if there is one, nor of the future.
func countableAt(sigs []proof.Signature, earliest, now time.Time) []proof.Signature {
	least, most := uint64(max(1, earliest.Unix())), uint64(now.Add(proof.MaxClockSkew).Unix())
	return slices.DeleteFunc(slices.Clone(sigs), func(s proof.Signature) bool { return timestampOf(s) < least || timestampOf(s) > most })
}

// timestampOf is the time of a cosignature in seconds since 1970 (tlog-cosignature
// "Format"); 0 if it has none.
func timestampOf(s proof.Signature) uint64 {
	if len(s.Sig) < 8 {
		return 0
	}
	// SPEC: tlog-cosignature Format: a timestamp is at most 2^63 - 1
	if t := binary.BigEndian.Uint64(s.Sig); t <= math.MaxInt64 {
		return t
	}
	return 0
}

// verifyCosigned verifies the note with the cosignatures that came. One that does not
// verify would condemn the note: it is dropped, and its witness named.
func (l *Ledger[V]) verifyCosigned(ask CosignRequest, cosignatures []proof.Signature) (*proof.Published, error) {
	return l.verifyCosignedAt(ask, cosignatures, time.Now())
}

func (l *Ledger[V]) verifyCosignedAt(ask CosignRequest, cosignatures []proof.Signature, now time.Time) (*proof.Published, error) {
	for {
		published, err := ask.Policy.VerifyCosigned(ask.Signed, cosignatures, now)
		bad := (*proof.SignatureError)(nil)
		if !errors.As(err, &bad) {
			return published, err
		}
		rest := slices.DeleteFunc(slices.Clone(cosignatures), func(s proof.Signature) bool { return s.Name == bad.Name && s.ID == bad.ID })
		if len(rest) == len(cosignatures) {
			return nil, err // the log's own
		}
		l.config.Log.Error("a witness's cosignature does not verify; going on without it", "origin", l.config.Origin, "size", ask.Tree().Size, "witness", bad.Name)
		cosignatures = rest
	}
}

// checkSeen checks a checkpoint that a witness returned, and returns its tree if the
// store leads up to it. A size without this log's signature is only a claim; the zero
// tree is returned then. The error is [ErrRollback]; [ErrConflict], if another writer
// has moved the store on; or the store's.
func (l *Ledger[V]) checkSeen(ctx context.Context, note []byte, policy *proof.Policy, tree *treeSnapshot) (proof.Tree, error) {
	seen, err := proof.VerifyLog(note, l.config.Origin, append(policy.LogKeys(l.config.Origin), l.ownKeys()...)...)
	if err != nil {
		l.config.Log.Error("a checkpoint is shown that this log did not sign; going on without it", "origin", l.config.Origin, "err", err)
		return proof.Tree{}, nil
	}
	cp := seen.Checkpoint()
	if cp.Size > tree.Size {
		head, err := l.store.Head(ctx) // anew: it may not be this process that went on
		if err != nil {
			return proof.Tree{}, fmt.Errorf("reading the head: %w", err)
		}
		if head.Size >= cp.Size {
			return proof.Tree{}, fmt.Errorf("%w: a checkpoint of size %d is signed, and this process had come to %d", ErrConflict, cp.Size, tree.Size)
		}
		return proof.Tree{}, fmt.Errorf("%w: it is of size %d, the store's head of %d", ErrRollback, cp.Size, tree.Size)
	}
	made, err := l.owner.TreeAt(ctx, tree.Snapshot, cp.Size)
	if err != nil {
		return proof.Tree{}, err
	}
	if cp.Root != made.Root {
		return proof.Tree{}, fmt.Errorf("%w: at size %d its root is %s, the store's %s", ErrRollback, cp.Size, cp.Root, made.Root)
	}
	return cp.Tree(), nil
}

// ownKeys are those that the ledger signs with.
func (l *Ledger[V]) ownKeys() (keys []proof.Key) {
	for _, s := range l.config.Signers {
		keys = append(keys, s.Key())
	}
	return keys
}

// ErrUnprovenClaim: a witness claims to have cosigned this log at a size for which no
// signed checkpoint was found. Nothing with entries was signed here. Only the operator
// knows whether the log is new ([Config.NewLog]) or its store was lost.
var ErrUnprovenClaim = errors.New("a witness has cosigned this log before, so it says, and nobody shows what")

// ProbeNewLog asks the policy's witnesses and the log's URL whether this log is as new
// as its store says. The question is a checkpoint of the empty tree, which is a prefix
// of every history: a witness that has cosigned more must answer with that size, and
// cosigning the empty tree cannot create a second history (tlog-witness
// "add-checkpoint"). As many have to answer as make a quorum.
//
// [Ledger.Publish] does it before its first signature over an entry, with the policy in
// force. A caller that is about to commit the first entry can do it before, with the
// policy to come. A ledger that has published, or has had its answer, sends no request.
//
// unresponsive is who did not answer although no other source can tell: where the
// quorum is none, that is the log's URL alone. Errors: [ErrRollback] and
// [ErrUnprovenClaim], which stop the ledger; [ErrNoQuorum] and [ErrClock], after which
// it may be called again. With [Config.NewLog] an ErrUnprovenClaim is an ErrNoQuorum
// too, and stops nothing: the others who answer make no quorum.
func (l *Ledger[V]) ProbeNewLog(ctx context.Context, policy *proof.Policy) (unresponsive []error, err error) {
	l.publishing.Lock()
	defer l.publishing.Unlock()
	if err := errors.Join(ctx.Err(), l.Err()); err != nil {
		return nil, err
	}
	return l.probeNewLog(ctx, policy)
}

func (l *Ledger[V]) probeNewLog(ctx context.Context, policy *proof.Policy) (unresponsive []error, err error) {
	if l.probed || l.Published() != nil || l.config.Cosign == nil {
		return nil, nil
	}
	tree := l.tree.Load()
	signed, err := l.sign(proof.Checkpoint{Origin: l.config.Origin, Root: proof.EmptyRoot()})
	if err != nil {
		return nil, err
	}
	ask := CosignRequest{Signed: signed, Policy: policy}
	ask.ConsistencyProof = func(context.Context, uint64) ([]proof.Hash, error) { return nil, nil } // with itself
	ask.OnLate = func(a CosignResponse) { l.late.put(0, a) }
	asked := time.Now()
	answer, cosignErr := l.config.Cosign(ctx, ask)
	if err := ctx.Err(); err != nil {
		return nil, err // not every witness had the time to answer
	}

	held := uint64(0) // of this log, up to here, is a larger size no news
	if l.config.KeysMarked {
		held = tree.Size // these keys have signed for this store before
	}
	for _, note := range answer.Checkpoints {
		seenTree, err := l.checkSeen(ctx, note, policy, tree)
		if err != nil {
			return nil, l.stop(err)
		}
		held = max(held, seenTree.Size)
	}
	all := onlyPolicyWitnesses(policy, answer.Cosignatures)
	answered := l.newCosignersOf(ask, all, asked)
	var unproven []string
	for _, c := range answer.Claims {
		if c.Size <= held {
			answered = append(answered, c.Witness)
		} else { // if that was another log of this name, it cosigns nothing of this one
			unproven = append(unproven, fmt.Sprintf("%s stands at %d", c.Witness, c.Size))
		}
	}
	var claimed error
	if len(unproven) > 0 {
		claimed = fmt.Errorf("%w: %s; the store holds %d entries", ErrUnprovenClaim, strings.Join(unproven, ", "), tree.Size)
		if !l.config.NewLog {
			return nil, l.stop(claimed)
		}
		l.config.Log.Warn("going on, since the operator says that the log is new", "origin", l.config.Origin, "err", claimed)
	}
	if !policy.Satisfied(answered...) {
		if err := l.sampleClock(ask, all, nil); err != nil {
			return nil, err
		}
		return nil, errors.Join(fmt.Errorf("asking whether this log is new: %w", ErrNoQuorum), claimed, cosignErr)
	}
	l.probed = true
	if policy.QuorumIsNone() {
		unresponsive = answer.Unresponsive
	}
	return unresponsive, nil
}

// newCosignersOf returns the policy names of the witnesses that have cosigned the empty
// tree since `asked`. Each of them has never cosigned a larger tree. An older
// cosignature says nothing about today.
func (l *Ledger[V]) newCosignersOf(ask CosignRequest, cosignatures []proof.Signature, asked time.Time) (names []string) {
	for _, s := range countableAt(cosignatures, time.Time{}, time.Now()) {
		_, err := ask.Policy.VerifyCosigned(ask.Signed, []proof.Signature{s}, time.Now())
		short := (*proof.QuorumError)(nil)
		switch {
		case err != nil && !errors.As(err, &short):
			l.config.Log.Error("a witness's cosignature does not verify; going on without it", "origin", l.config.Origin, "size", 0, "witness", s.Name)
		case time.Unix(int64(timestampOf(s)), 0).Before(asked.Add(-proof.MaxClockSkew)):
			l.config.Log.Error("a witness repeats an old cosignature; going on without it", "origin", l.config.Origin, "size", 0, "witness", s.Name)
		default:
			for _, w := range ask.Policy.Witnesses() {
				if w.Key.Name() == s.Name && w.Key.ID() == s.ID {
					names = append(names, w.Name)
				}
			}
		}
	}
	return names
}

// probeBeforeFirstPublication is [Ledger.ProbeNewLog] for a ledger that has entries, none of
// them published.
func (l *Ledger[V]) probeBeforeFirstPublication(ctx context.Context, size uint64) error {
	if size == 0 || l.Published() != nil {
		return nil
	}
	policy, _, err := l.fold.Policy(size) // those before may be gone permanently
	if err != nil {
		return fmt.Errorf("policy for size %d: %w", size, err)
	}
	if !l.CanSign(policy) {
		return nil // nothing can be published, and nothing is signed
	}
	unresponsive, err := l.probeNewLog(ctx, policy)
	for _, s := range unresponsive {
		l.config.Log.Warn("nobody says whether this log is new: there is no witness, and its URL does not answer", "origin", l.config.Origin, "size", size, "err", s)
	}
	return err
}

// sign makes the log's own signatures. Those over entries are made only once the keys
// bear their mark, durably: an empty store beside such keys is a lost one.
func (l *Ledger[V]) sign(cp proof.Checkpoint) (*proof.Signed, error) {
	if cp.Size > 0 && !l.keysMarked && l.config.MarkKeys != nil {
		if err := l.config.MarkKeys(); err != nil {
			return nil, fmt.Errorf("marking the log's keys before their first signature: %w", err)
		}
		l.keysMarked = true
	}
	return proof.SignCheckpoint(cp, l.config.Signers...)
}
