package main

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/seed-53cf897a/docket/ledger/proof"
	"github.com/seed-53cf897a/docket/ledger/record"
)

// What the names of a record's files end in, after its NAME.
const (
	envelopeSuffix  = ".dsse.json"
	statementSuffix = ".statement.json"
	saltsSuffix     = ".salts.json"
	receiptSuffix   = proof.ReceiptSuffix
)

// inputFile is a record in any of the forms in which people have one.
type inputFile struct {
	name     string // of the file, as it was given
	stem     string // NAME, with its folder: what the files beside it begin with
	short    *record.ShortForm
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
	case slices.Contains([]string{"a DSSE envelope", "a Sigstore bundle"}, what):
		env, err := record.ParseEnvelope(raw)
		if err != nil {
			return m, refusal("%s: %w", name, err)
		}
		m.envelope, m.isBundle = &env, what == "a Sigstore bundle"
	case strings.HasPrefix(what, "an unsigned "), strings.HasPrefix(what, "text of a kind"), strings.HasPrefix(what, "JSON that breaks"):
		if m.short, err = record.ParseShortForm(raw, a.shortEnv(ctx, filepath.Dir(name))); err != nil {
			return m, refusal("%s: %w", name, err).hint("docket new KIND prints a template, docket schema KIND every field")
		}
	default:
		return m, wrongFileError(name, raw, "a record (YAML or JSON), a statement, an envelope or a bundle", nil)
	}
	return m, nil
}

// stemOf is NAME of NAME.yaml, NAME.dsse.json, NAME.statement.json, …
func stemOf(name string) string {
	if name == "-" {
		return "record"
	}
	for _, suffix := range []string{envelopeSuffix, statementSuffix, receiptSuffix, ".sigstore.json", ".bundle.json", ".yaml", ".yml", ".json"} {
		if stem, ok := strings.CutSuffix(name, suffix); ok && filepath.Base(name) != suffix {
			return stem
		}
	}
	return name
}

// shortEnv reads what a short form names; file names are relative to its folder.
func (a *app) shortEnv(ctx context.Context, dir string) record.ShortFormResolver {
	at := func(name string) string {
		if filepath.IsAbs(name) {
			return name
		}
		return filepath.Join(dir, name)
	}
	return record.ShortFormResolver{
		Document: func(name string) (record.DocumentFile, error) {
			if name == "" {
				return record.DocumentFile{}, errors.New("names no file: write one, as {file: order.pdf}")
			}
			data, err := a.readFile(at(name))
			if err != nil {
				return record.DocumentFile{}, err
			}
			return record.DocumentFile{Name: filepath.Base(name), MediaType: mediaType(name, data), Bytes: int64(len(data)), SHA256: sha256.Sum256(data)}, nil
		},
		Key: func(name string) (record.PEM, error) {
			text, err := a.readFile(at(name))
			if err != nil {
				return "", err
			}
			key, err := record.ParseKey(text)
			if err != nil {
				return "", err
			}
			return key.PEM(), nil
		},
		KMS: func(uri string) (record.PEM, error) {
			s, err := record.LoadKMSSigner(ctx, uri)
			if err != nil {
				return "", err
			}
			return s.Key().PEM(), nil
		},
	}
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

// readSalts reads NAME.salts.json; there may be none.
func (a *app) readSalts(stem string) []record.Opening {
	raw, err := a.readFile(stem + saltsSuffix)
	if err != nil {
		return nil
	}
	var salts []record.Opening
	if json.Unmarshal(raw, &salts) != nil {
		return nil
	}
	return salts
}

// writeSalts keeps the salts of a record's commitments: without them nobody can
// ever open one, so they are durable before the record is.
func writeSalts(stem string, salts []record.Opening) error {
	if len(salts) == 0 {
		return nil
	}
	text, err := json.MarshalIndent(salts, "", "  ")
	if err != nil {
		return err
	}
	return writeNew(stem+saltsSuffix, append(text, '\n'), 0o600)
}

// refuseOtherLedger refuses to go on among files of another ledger: one of an earlier demo, as
// a rule. Each of them would be refused in its turn, for a reason of its own.
func refuseOtherLedger(stem string, ours record.ID) error {
	var all []string
	var theirs record.ID
	for _, suffix := range []string{envelopeSuffix, statementSuffix, receiptSuffix} {
		if l := ledgerOfFile(stem + suffix); !l.IsZero() && l != ours {
			all, theirs = append(all, stem+suffix), l
		}
	}
	if len(all) == 0 || ours.IsZero() {
		return nil
	}
	first := all[0]
	if _, err := os.Lstat(stem + saltsSuffix); err == nil && ledgerOfFile(stem+envelopeSuffix) != ours {
		all = append(all, stem+saltsSuffix) // they open what the others hold
	}
	return refusal("%s is of another ledger (%.8s…, this is %.8s…)", first, theirs, ours).hint("move %s away; or name the trust directory of that ledger with --trust", joinWords(all, "and"))
}

// ledgerOfFile is the ledger that a statement, an envelope or a receipt is written for;
// zero where the file, or its ledger, cannot be told.
func ledgerOfFile(name string) record.ID {
	raw, err := os.ReadFile(name)
	if err != nil {
		return record.ID{}
	}
	payload := raw
	if chain, err := proof.ParseChain(raw); err == nil {
		e, err := record.ParseEntry(chain[len(chain)-1].Entry)
		if err != nil {
			return record.ID{}
		}
		payload = e.Envelope.Payload
	} else if env, err := record.ParseEnvelope(raw); err == nil {
		payload = env.Payload
	}
	st, err := record.ParseStatement(payload)
	switch {
	case err != nil:
		return record.ID{}
	case st.Kind == record.KindCharter && st.Ledger.IsZero():
		return record.IDOf(payload) // it opens its ledger, and names it
	}
	return st.Ledger
}
