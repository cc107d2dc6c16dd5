package demo

import (
	"bytes"
	"context"
	"encoding/base64"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/seed-53cf897a/docket/client"
	"github.com/seed-53cf897a/docket/ledger/proof"
	"github.com/seed-53cf897a/docket/ledger/record"
)

// verifyAndAudit verifies a receipt offline, a spoilt one, and then everything.
func (s *scenario) verifyAndAudit(ctx context.Context) error {
	s.printChapter("auditor")
	t, err := s.openTrust(ctx)
	if err != nil {
		return err
	}
	defer t.Close()
	const name = "response-2026-014-acme-cloud" + proof.ReceiptSuffix
	file, err := os.ReadFile(filepath.Join(s.dir, "receipts", name))
	if err != nil {
		return err
	}
	r, err := client.Verify(ctx, file, t, time.Now())
	if err != nil {
		return err
	}
	if r.Authorship != client.AuthorshipByReplay {
		s.unexpected++
	}
	s.printOutcome("receipt", name, "verified offline")
	who := r.Signers[0]
	s.printDetail("signed by", fmt.Sprintf("%s, holder %s (key %s, enrolled at #%d)", who.Party, who.Holder, who.KeyID[:len("SHA256:")+6]+"…", who.Added))
	cp := r.Published.Checkpoint()
	s.printDetail("on ledger", fmt.Sprintf("%s, index %d of %d", cp.Origin, r.Index, cp.Size))
	k, n := r.Policy.QuorumSize()
	existed := r.Published.ExistedBy()
	s.printDetail("existed by", fmt.Sprintf("%s, said %s (%d of %d needed)", existed.Format("2006-01-02 15:04:05Z"), strings.Join(r.Published.SatisfiedMembers(existed), ", "), k, n))

	_, err = client.Verify(ctx, tamper(file), t, time.Now())
	s.expectRefused("one byte off", "the same file, tampered", err)

	audit, err := s.audit(ctx, t)
	if err != nil {
		return err
	}
	verdict := "consistent; 0 entries that should not be there"
	if len(audit.Findings) > 0 {
		s.unexpected++
		verdict = strings.Join(audit.Findings, "; ")
	}
	root := record.ID(audit.Tree.Root).String()[:4] + "…"
	s.printOutcome("full replay", fmt.Sprintf("%d entries, %d signatures, root %s", audit.Tree.Size, audit.Signatures, root), verdict)
	return t.Close()
}

// audit replays the whole ledger from the server's tiles, into memory.
func (s *scenario) audit(ctx context.Context, t *client.Trust) (*client.AuditReport, error) {
	return client.Audit{
		Source: s.client.Source(), Charter: t.Ledger(), Trusted: t.Checkpoint(), RegisterFiles: vfs.NewMem(), RegisterDir: "audit",
	}.Run(ctx)
}

// tamper changes one digit of the entry inside a receipt: what the record says, and
// nothing of the proof.
func tamper(receipt []byte) []byte {
	lines := bytes.SplitN(receipt, []byte("\n"), 3)
	entry, err := base64.StdEncoding.DecodeString(string(bytes.TrimPrefix(lines[1], []byte("extra "))))
	if err != nil {
		return nil
	}
	at := bytes.Index(entry, []byte(`"admitted":"2`)) + len(`"admitted":"2`)
	entry[at]++
	lines[1] = []byte("extra " + base64.StdEncoding.EncodeToString(entry))
	return bytes.Join(lines, []byte("\n"))
}
