package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/seed-53cf897a/docket/client"
	"github.com/seed-53cf897a/docket/ledger/disk"
	"github.com/seed-53cf897a/docket/ledger/proof"
	"github.com/seed-53cf897a/docket/ledger/register/view"
)

// cosignedSuffix is that of the directory beside an auditor's key that says what it cosigned.
const cosignedSuffix = ".cosigned"

// cosignerAlgorithms are those of an auditor's key, by the names that keygen has for them.
var cosignerAlgorithms = map[string]proof.Algorithm{"ed25519": proof.CosignatureEd25519, "ml-dsa-44": proof.MLDSA44}

// makeCosigner makes the key of an auditor: out, out.pub with the vkey, and the directory of
// what it has cosigned, first: a key without it is not used.
func (a *app) makeCosigner(out, name, alg string) error {
	word, err := oneOf("alg", alg, []string{"ed25519", "ml-dsa-44"})
	if err != nil {
		return err
	}
	secret, vkey, err := proof.GenerateKey(cosignerAlgorithms[word], name)
	if err != nil {
		return usageError("--cosigner: %w", err)
	}
	key, err := proof.ParseAuditorKey(vkey)
	if err != nil {
		return err
	}
	state := out + cosignedSuffix
	if err := client.CreateAuditor(vfs.Default, state, key); err != nil {
		return refusal("making %s: %w", state, bare(err))
	}
	for _, f := range []struct {
		name, text string
		mode       fs.FileMode
	}{{out, secret, 0o600}, {out + ".pub", vkey, 0o644}} {
		if err := writeNew(f.name, []byte(f.text+"\n"), f.mode); err != nil {
			os.Remove(out)
			os.RemoveAll(state)
			return err
		}
	}
	a.logf("docket: warning: %s is not encrypted; anyone who reads it can sign", out)
	a.warnOfReaders(out)
	a.logf("wrote %s, %s.pub, and %s, which says what this key has cosigned: keep it beside the key", out, out, state)
	a.printf("%s\n", vkey)
	return nil
}

// openAuditor opens the key that --cosign names, with what it has cosigned.
func (a *app) openAuditor(name string) (*client.Auditor, proof.Key, error) {
	text, err := a.readFile(name)
	if err != nil {
		return nil, proof.Key{}, err
	}
	key, err := proof.ParseCosigner(strings.TrimSuffix(string(text), "\n"))
	if err != nil {
		return nil, proof.Key{}, wrongFileError(name, text, "an auditor's key (docket keygen --cosigner NAME)", err)
	}
	a.warnOfReaders(name)
	auditor, err := client.OpenAuditor(vfs.Default, name+cosignedSuffix, key)
	switch {
	case errors.Is(err, client.ErrNoAuditorState):
		return nil, key.Key(), refusal("%w", err).hint("bring back %s, which docket keygen made beside the key; if it is lost for ever, make another key: one that forgets what it cosigned could cosign a fork", name+cosignedSuffix)
	case errors.Is(err, disk.ErrLocked):
		return nil, key.Key(), notYet("%s: another process cosigns by this key: %w", name, err).hint("run the same command again when that has ended")
	}
	return auditor, key.Key(), err
}

// auditorKeys reads what --auditor names: vkeys, or files with one.
func (a *app) auditorKeys(given []string) (keys []proof.Key, err error) {
	for _, text := range given {
		vkey := text
		if !strings.Contains(text, "+") {
			raw, err := a.readFile(text)
			if err != nil {
				return nil, err
			}
			vkey = strings.TrimSpace(string(raw))
		}
		k, err := proof.ParseAuditorKey(vkey)
		if err != nil {
			return nil, usageError("--auditor %.80s: %w", text, err).hint("want an auditor's vkey, NAME+HASH+KEY, or a file with it, as docket keygen --cosigner made it")
		}
		keys = append(keys, k)
	}
	return keys, nil
}

// requireAuditors wants a checkpoint to bear the cosignature of each auditor.
func requireAuditors(p *proof.Published, keys []proof.Key) ([]client.Judged, error) {
	all, err := client.JudgedBy(p, keys)
	var other *client.OtherRoleError
	switch {
	case errors.As(err, &other):
		return nil, usageError("--auditor: %w", err).hint("an auditor has a key of its own; what counts to the quorum states nothing more")
	case errors.Is(err, proof.ErrNotCosigned):
		return nil, refusal("%w: nobody whom you ask for says that everything below was judged", err).hint("docket receipt --refresh --auditor VKEY fetches a receipt against what the auditor has cosigned")
	}
	return all, err
}

// assessedAuditors are the keys that assessments in the copy name; none without a copy.
func assessedAuditors(ctx context.Context, trust *client.Trust) ([]view.AuditorKey, error) {
	if trust == nil || trust.CoveredSize() == 0 {
		return nil, nil
	}
	v, err := trust.ViewAt(trust.CoveredSize())
	if err != nil {
		return nil, nil // the copy cannot be read, which is said where it would have been needed
	}
	return v.AuditorKeys(func(index uint64) ([]byte, error) { return trust.Entry(ctx, index) })
}

// assessedLines say which of them have cosigned the checkpoint, and what that states: nobody
// asked for their word, and it is shown where it stands.
func (p verifyOutput) assessedLines() (lines []string) {
	for _, a := range p.assessed {
		key, err := proof.ParseAuditorKey(a.VKey)
		if err != nil || slices.ContainsFunc(p.judged, func(j client.Judged) bool { return j.Key.String() == a.VKey }) {
			continue
		}
		all, err := client.JudgedBy(p.report.Published, []proof.Key{key})
		if err != nil {
			continue // it is not on this checkpoint, or a witness's by now
		}
		lines = append(lines, factLine("auditor", "%s (%s) at %s: %q, as its assessment says (#%d)", a.Party, key.Name(), formatTime(all[0].At), a.Statement, a.Index))
	}
	return lines
}

// cosign cosigns what was audited, and hands that to the ledger if it is to.
func (u *auditCmd) cosign(ctx context.Context, auditor *client.Auditor, r *client.AuditReport) (*cosignedJSON, error) {
	u.recover(ctx, auditor, r)
	note, err := auditor.Cosign(ctx, r)
	var not *client.NotCosignedError
	var behind *client.BehindError
	switch {
	case errors.As(err, &not), len(r.Findings) > 0:
		return nil, refusal("%w", err)
	case errors.Is(err, client.ErrAuditorHalted):
		return nil, refusal("%w", err).hint("whoever has looked into it removes that file; until then nothing more of this log is cosigned")
	case errors.As(err, &behind) && r.Behind == nil:
		return nil, notYet("nothing was cosigned: %w", err).hint("this key has cosigned more, and cosigns nothing less any more; audit the ledger as it is now, or another server or mirror of it")
	case err != nil:
		return nil, fmt.Errorf("nothing was cosigned: %w", err)
	}
	cp := r.Published.Checkpoint()
	out := &cosignedJSON{Auditor: u.auditor.String(), Size: cp.Size, File: auditor.File(cp.Origin)}
	if !u.submit {
		return out, nil
	}
	server, err := u.submitTo()
	if err != nil {
		return out, err
	}
	if err := server.SubmitCosignature(ctx, note); err != nil {
		return out, fmt.Errorf("%s is cosigned, and was not taken by %s: %w", out.File, server.URL(), err)
	}
	out.SubmittedTo = server.URL()
	return out, nil
}

// recover asks the ledger what it has of this key: more than lies beside the key, if an old
// copy of that was brought back. A ledger that says nothing keeps nothing from being signed.
func (u *auditCmd) recover(ctx context.Context, auditor *client.Auditor, r *client.AuditReport) {
	server, err := u.submitTo()
	if err != nil {
		return // a folder
	}
	note, err := server.AuditorCheckpoint(ctx, u.auditor)
	recovered := false
	if err == nil && note != nil {
		recovered, err = auditor.Recover(r, note)
	}
	switch {
	case err != nil:
		u.app.logf("docket: warning: what the ledger has of this key is not known: %v", err)
	case recovered:
		u.app.logf("docket: warning: this key has cosigned more than %s knew: an old copy of it was brought back, or the key was used elsewhere", u.key+cosignedSuffix)
	}
}

// submitTo is the ledger that gets the cosignature.
func (u *auditCmd) submitTo() (*client.Client, error) {
	urls := u.trust.ledgers
	if strings.Contains(u.targets[0], "://") && !u.trust.given("ledger") {
		urls = u.targets
	}
	if len(urls) == 0 {
		return nil, usageError("--submit: to which ledger?").hint("name its URL with --ledger, beside the directory that is audited")
	}
	return u.app.connect(0, urls...)
}

// cosignedJSON is what audit prints of a cosignature.
type cosignedJSON struct {
	Auditor     string `json:"auditor"` // vkey
	Size        uint64 `json:"size"`
	File        string `json:"file"`
	SubmittedTo string `json:"submittedTo,omitempty"`
}
