package main

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/seed-53cf897a/docket/client"
	"github.com/seed-53cf897a/docket/ledger/disk"
	"github.com/seed-53cf897a/docket/ledger/proof"
	"github.com/seed-53cf897a/docket/ledger/record"
	"github.com/seed-53cf897a/docket/ledger/record/draft"
)

// maxFile bounds what a verb reads of one file named on the command line.
const maxFile = 16 << 20 // bytes

// openFile opens a file named on the command line; "-" is standard input.
func (a *app) openFile(name string) (io.ReadCloser, error) {
	if name == "-" {
		return io.NopCloser(a.in), nil
	}
	return openNamed(name)
}

// readFile reads a file named on the command line; "-" is standard input.
func (a *app) readFile(name string) ([]byte, error) {
	r, err := a.openFile(name)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	data, err := io.ReadAll(io.LimitReader(r, maxFile+1))
	if err != nil {
		return nil, refusal("reading %s: %w", name, err)
	}
	if len(data) > maxFile {
		return nil, usageError("%s: larger than %d bytes; nothing that docket reads is", name, maxFile)
	}
	return data, nil
}

// openNamed opens a file that is named on the command line.
func openNamed(name string) (*os.File, error) {
	f, err := os.Open(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, usageError("%s: no such file", name)
	} else if err != nil {
		return nil, usageError("%w", err)
	}
	if info, err := f.Stat(); err == nil && info.IsDir() {
		f.Close()
		return nil, usageError("%s is a directory; wanted a file", name)
	}
	return f, nil
}

// writeNew writes a file that must not exist with other content: the same
// bytes again are fine, so that a command can be repeated.
func writeNew(name string, data []byte, mode fs.FileMode) error {
	return neverOverwritten(disk.WriteNew(vfs.Default, name, data, mode, disk.SyncNow))
}

func neverOverwritten(err error) error {
	if errors.Is(err, disk.ErrOtherContent) {
		return refusal("%w", err).hint("files are never overwritten: move it away or name another")
	}
	return err
}

// replaceFile puts data in place of whatever name holds, in one step.
func replaceFile(name string, data []byte, mode fs.FileMode) error {
	return disk.WriteFile(vfs.Default, name, data, mode, disk.SyncNow)
}

// diskFull says of an error that there was no room for what was to be written.
func diskFull(err error) bool {
	return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT)
}

// makeRoom says what to do about a full disk: where, and how much of it is free.
func makeRoom(err error) string {
	const next = "which says nothing about the ledger, and nothing is lost: make room and run the same command again"
	var short *client.SpaceError
	if errors.As(err, &short) {
		return "the disk is full, " + next // it says where, and how much
	}
	var at *fs.PathError
	if !errors.As(err, &at) {
		return "the disk is full, " + next
	}
	dir := filepath.Dir(at.Path)
	usage, bad := vfs.Default.GetDiskUsage(dir)
	if bad != nil {
		return fmt.Sprintf("the disk of %s is full, %s", dir, next)
	}
	return fmt.Sprintf("the disk of %s is full (%d bytes are free), %s", dir, usage.AvailBytes, next)
}

// minFreeToOpen is the free space below which no database is opened: Pebble
// preallocates its write-ahead log, and retries endlessly where it cannot.
const minFreeToOpen = 64 << 20 // bytes

// checkFreeSpace looks first: what is opened on a full disk neither starts nor ends. The
// directory may be yet to be made.
func checkFreeSpace(files vfs.FS, dir string) error {
	usage, err := files.GetDiskUsage(dir)
	if above := filepath.Dir(dir); errors.Is(err, fs.ErrNotExist) && above != dir {
		return checkFreeSpace(files, above)
	}
	if err != nil {
		return fmt.Errorf("asking for the free space of %s: %w", dir, err)
	}
	if usage.AvailBytes < minFreeToOpen {
		return refusal("the disk of %s is full: %d MiB are free, and %d are needed to start", dir, usage.AvailBytes>>20, minFreeToOpen>>20).
			hint("free some space; nothing was opened and nothing is lost")
	}
	return nil
}

// What the names of a record's files end in, after its NAME.
const (
	envelopeSuffix  = ".dsse.json"
	statementSuffix = ".statement.json"
	saltsSuffix     = ".salts.json"
	receiptSuffix   = proof.ReceiptSuffix
	refusalSuffix   = record.RefusalSuffix
)

// inputFile is a record in any of the forms in which people have one.
type inputFile struct {
	name     string // of the file, as it was given
	stem     string // NAME, with its folder: what the files beside it begin with
	short    *draft.ShortForm
	envelope *record.Envelope // of an envelope or a bundle; nil with a short form or statement
	isBundle bool
}

// readInput reads a record, statement, envelope or bundle.
func (a *app) readInput(ctx context.Context, name string) (inputFile, error) {
	raw, err := a.readFile(name)
	if err != nil {
		return inputFile{}, err
	}
	m := inputFile{name: name, stem: stemOf(name)}
	switch what := record.DescribeInput(raw); {
	case what == "a damaged or incomplete envelope":
		_, err := record.ParseEnvelope(raw)
		return m, refusal("%s is %s, of %d bytes: %w", name, what, len(raw), err).hint("ask whoever sent it for it again")
	case strings.HasSuffix(what, "byte order mark"):
		return m, wrongFileError(name, raw, "a record (YAML or JSON), a statement, an envelope or a bundle", nil)
	case slices.Contains([]string{"a DSSE envelope", "a Sigstore bundle"}, what):
		env, err := record.ParseEnvelope(raw)
		if err != nil {
			return m, refusal("%s: %w", name, err)
		}
		m.envelope, m.isBundle = &env, what == "a Sigstore bundle"
	case strings.HasPrefix(what, "an unsigned "), strings.HasPrefix(what, "text of a kind"), strings.HasPrefix(what, "JSON that breaks"):
		if m.short, err = draft.ParseShortForm(raw, a.shortEnv(ctx, filepath.Dir(name))); err != nil {
			return m, refusal("%s: %w", name, err).hint("docket new KIND prints a template, docket schema KIND every field")
		}
	default:
		return m, wrongFileError(name, raw, "a record (YAML or JSON), a statement, an envelope or a bundle", nil)
	}
	return m, nil
}

// kind is the kind of the record.
func (m inputFile) kind() (record.Kind, error) {
	if m.envelope == nil {
		return m.short.Statement.Kind, nil
	}
	st, err := record.ParseStatement(m.envelope.Payload)
	if err != nil {
		return "", refusal("%s: %w", m.name, err)
	}
	return st.Kind, nil
}

// compareDocument refuses a record whose document lies beside it and is another one. A short
// form names its document itself, wherever it is, and what only commits to one names none.
func (a *app) compareDocument(m inputFile, st *record.Statement) error {
	if m.envelope == nil && m.name != m.stem+statementSuffix || st.Document == nil {
		return nil
	}
	name := st.Document.Name
	if name == "" || name != filepath.Base(name) || !filepath.IsLocal(name) { // others wrote it
		return nil
	}
	file := filepath.Join(filepath.Dir(m.name), name)
	if info, err := os.Stat(file); err != nil || !info.Mode().IsRegular() {
		return nil
	}
	f, err := os.Open(file)
	if err != nil {
		return refusal("comparing the document: %w", err)
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return refusal("comparing the document %s: %w", file, err)
	}
	if digest := record.ID(h.Sum(nil)); digest != record.ID(st.Subject.SHA256) {
		return refusal("%s is not the document that %s is about: its SHA-256 is %s, the record's %s", file, m.name, digest, record.ID(st.Subject.SHA256)).
			hint("nothing was signed: ask whoever sent the record which document is meant; move that file away if it has nothing to do with it")
	}
	a.logf("  document     %s beside it is the one that the record is about", printable(file))
	return nil
}

// envelopePath is where the envelope of an input goes: an envelope keeps its name, whatever it
// is; anything else becomes NAME.dsse.json.
func (m inputFile) envelopePath() string {
	if m.envelope != nil && !m.isBundle && m.name != "-" {
		return m.name
	}
	return m.stem + envelopeSuffix
}

// stemOf is NAME of NAME.yaml, NAME.dsse.json, NAME.statement.json, …
func stemOf(name string) string {
	if name == "-" {
		return "record"
	}
	for _, suffix := range []string{envelopeSuffix, statementSuffix, receiptSuffix, refusalSuffix, ".sigstore.json", ".bundle.json", ".yaml", ".yml", ".json"} {
		if stem, ok := strings.CutSuffix(name, suffix); ok && filepath.Base(name) != suffix {
			return stem
		}
	}
	return name
}

// shortEnv reads what a short form names; file names are relative to its folder.
func (a *app) shortEnv(ctx context.Context, dir string) draft.ShortFormResolver {
	at := func(name string) string {
		if filepath.IsAbs(name) {
			return name
		}
		return filepath.Join(dir, name)
	}
	return draft.ShortFormResolver{
		Document: func(name string) (draft.DocumentFile, error) {
			if name == "" {
				return draft.DocumentFile{}, errors.New("names no file: write one, as {file: order.pdf}")
			}
			data, err := a.readFile(at(name))
			if err != nil {
				return draft.DocumentFile{}, err
			}
			return draft.DocumentFile{Name: filepath.Base(name), MediaType: mediaType(name, data), Bytes: int64(len(data)), SHA256: sha256.Sum256(data)}, nil
		},
		Key: func(name string) (record.PEM, error) {
			key, err := a.readPublicKey(at(name))
			if err != nil {
				return "", err
			}
			return key.PEM(), nil
		},
		Salts: func(name string) ([]record.Opening, error) { return a.loadSalts(at(name)) },
		Policy: func(name string) (string, error) {
			text, _, err := a.readPolicyText(at(name))
			return text, err
		},
		KMS: func(uri string) (record.PEM, error) {
			s, err := draft.LoadKMSSigner(ctx, uri)
			if err != nil {
				return "", err
			}
			return s.Key().PEM(), nil
		},
	}
}

// readPublicKey reads a key's public half. Of a private key nothing is said but that it is one.
func (a *app) readPublicKey(name string) (*record.Key, error) {
	text, err := a.readFile(name)
	if err != nil {
		return nil, err
	}
	key, err := record.ParseKey(text)
	switch what := record.DescribeInput(text); {
	case err == nil:
		return key, nil
	case what == "a PEM private key":
		return nil, usageError("%s is a private key; wanted the public one, as in %s.pub", name, name).hint("docket keygen writes it beside; the private key was not used")
	case what != "a PEM public key":
		return nil, usageError("%s is %s; wanted a PEM public key", name, what)
	}
	return nil, usageError("%s: %w", name, err)
}

// readPolicyText reads a policy file, and the text in it.
func (a *app) readPolicyText(name string) (string, *proof.Policy, error) {
	text, err := a.readFile(name)
	if err != nil {
		return "", nil, err
	}
	policy, err := proof.ParsePolicy(text)
	if strings.HasPrefix(record.DescribeInput(text), "a PEM ") {
		return "", nil, wrongFileError(name, text, "a tlog-policy", nil) // nothing of a key is quoted
	} else if err != nil {
		return "", nil, wrongFileError(name, text, "a tlog-policy", err)
	}
	return string(text), policy, nil
}

// mediaTypes are those of the documents that authorities and providers publish.
// The host's own table is not asked: the same file gives the same record anywhere.
var mediaTypes = map[string]string{
	".pdf": "application/pdf", ".csv": "text/csv", ".md": "text/markdown", ".json": "application/json",
	".docx": "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
	".odt":  "application/vnd.oasis.opendocument.text",
}

func mediaType(name string, data []byte) string {
	if t, ok := mediaTypes[strings.ToLower(filepath.Ext(name))]; ok {
		return t
	}
	return http.DetectContentType(data)
}

// refuseOtherLedger refuses files of another ledger beside the record, usually of an
// earlier demo: each would be refused later, for a less clear reason.
func refuseOtherLedger(stem string, ours record.ID) error {
	var all []string
	var theirs record.ID
	for _, suffix := range []string{envelopeSuffix, statementSuffix, receiptSuffix} {
		if l := readLedgerID(stem + suffix); !l.IsZero() && l != ours {
			all, theirs = append(all, stem+suffix), l
		}
	}
	if len(all) == 0 || ours.IsZero() {
		return nil
	}
	first := all[0]
	if _, err := os.Lstat(stem + saltsSuffix); err == nil && readLedgerID(stem+envelopeSuffix) != ours {
		all = append(all, stem+saltsSuffix) // they open what the others hold
	}
	return refusal("%s is of another ledger (%.8s…, this is %.8s…)", first, theirs, ours).hint("move %s away; or name the trust directory of that ledger with --trust", joinWords(all, "and"))
}

// readLedgerID is the ledger that a statement, an envelope or a receipt is written for;
// zero where the file, or its ledger, cannot be told.
func readLedgerID(name string) record.ID {
	st, payload := statementOfFile(name)
	switch {
	case st == nil:
		return record.ID{}
	case st.Kind == record.KindCharter && st.Ledger.IsZero():
		return record.IDOf(payload) // it opens its ledger, and names it
	}
	return st.Ledger
}

// statementOfFile is the statement that a file holds, which may be an envelope or a receipt of
// it, unverified; nil where there is none.
func statementOfFile(name string) (*record.Statement, []byte) {
	payload, err := os.ReadFile(name)
	if err != nil {
		return nil, nil
	}
	if chain, err := proof.ParseChain(payload); err == nil {
		e, err := record.ParseEntry(chain[len(chain)-1].Entry)
		if err != nil {
			return nil, nil
		}
		payload = e.Envelope.Payload
	} else if env, err := record.ParseEnvelope(payload); err == nil {
		payload = env.Payload
	}
	st, err := record.ParseStatement(payload)
	if err != nil {
		return nil, nil
	}
	return st, payload
}
