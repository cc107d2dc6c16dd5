// Package snapshot carries a register to another machine, so that a new replica need not
// replay a large log before it answers: the files of a register's database, and a manifest that
// a node key of the operator's signs, bound to the log, its size and root there, the rules and the
// form of the rows.
//
// A snapshot is the word of whoever signed it. It promises that the files are those that were
// signed; whoever says that they are right replays the log, and compares. It opens no database.
package snapshot

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"

	"github.com/seed-53cf897a/docket/ledger/proof"
)

// header is the first line of each manifest: what a node key signs is nothing else's. No
// checkpoint has it, since the second line of one is a number (C2SP tlog-checkpoint).
const header = "docket-register-snapshot/v1"

// Bounds of a snapshot.
const (
	MaxManifestBytes = 1 << 20
	MaxFiles         = 8192
	MaxBytes         = 1 << 42 // of all files: 4 TiB
	maxName          = 64      // bytes
)

// Manifest says what a snapshot is of, and which files it has.
type Manifest struct {
	Origin string     // of the log
	Tree   proof.Tree // up to which the register was folded
	Rules  uint64     // version of the rules by which
	Rows   uint64     // version of the form of the rows
	Files  []File     // in order of their names
}

// File is one of a snapshot's files.
type File struct {
	Name   string
	Bytes  uint64
	SHA256 [sha256.Size]byte
}

// Bytes is how many all files have.
func (m Manifest) Bytes() (n uint64) {
	for _, f := range m.Files {
		n += f.Bytes
	}
	return n
}

// Text is what is signed: a line each,
//
//	docket-register-snapshot/v1
//	ORIGIN
//	SIZE
//	ROOT                      (base64)
//	rules VERSION
//	rows VERSION
//	NAME BYTES SHA-256        (hexadecimal; of each file, in order of the names)
func (m Manifest) Text() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n%s\n%d\n%s\nrules %d\nrows %d\n", header, m.Origin, m.Tree.Size, base64.StdEncoding.EncodeToString(m.Tree.Root[:]), m.Rules, m.Rows)
	for _, f := range m.Files {
		fmt.Fprintf(&b, "%s %d %x\n", f.Name, f.Bytes, f.SHA256)
	}
	return b.String()
}

// parse reads what Text wrote, and nothing else.
func parse(text string) (m Manifest, err error) {
	lines := strings.Split(strings.TrimSuffix(text, "\n"), "\n")
	if len(lines) < 7 || lines[0] != header {
		return m, fmt.Errorf("no snapshot of a register: want %q and what it is of", header)
	}
	m.Origin = lines[1]
	if m.Tree.Size, err = strconv.ParseUint(lines[2], 10, 63); err != nil {
		return m, fmt.Errorf("the size: %w", err)
	}
	root, err := base64.StdEncoding.Strict().DecodeString(lines[3])
	if err != nil || len(root) != len(m.Tree.Root) {
		return m, errors.New("the root is none")
	}
	copy(m.Tree.Root[:], root)
	for i, to := range []*uint64{&m.Rules, &m.Rows} {
		if *to, err = strconv.ParseUint(strings.TrimPrefix(lines[4+i], []string{"rules ", "rows "}[i]), 10, 32); err != nil {
			return m, fmt.Errorf("line %d: %w", 5+i, err)
		}
	}
	if len(lines)-6 > MaxFiles {
		return m, fmt.Errorf("%d files, and there may be %d", len(lines)-6, MaxFiles)
	}
	for _, line := range lines[6:] {
		fields := strings.Split(line, " ")
		if len(fields) != 3 {
			return m, fmt.Errorf("%.100q is no file's line", line)
		}
		f := File{Name: fields[0]}
		sum, err := hex.DecodeString(fields[2])
		if err != nil || len(sum) != sha256.Size {
			return m, fmt.Errorf("%.100q has no SHA-256", line)
		}
		copy(f.SHA256[:], sum)
		if f.Bytes, err = strconv.ParseUint(fields[1], 10, 63); err != nil || f.Bytes > MaxBytes {
			return m, fmt.Errorf("%.100q has no size that a file may have", line)
		}
		m.Files = append(m.Files, f)
	}
	if err := m.check(); err != nil {
		return m, err
	}
	if m.Text() != text {
		return m, errors.New("it is not written as a manifest is")
	}
	return m, nil
}

func (m Manifest) check() error {
	if m.Origin == "" || strings.ContainsAny(m.Origin, "\n\r") || m.Tree.Size == 0 || len(m.Files) == 0 || len(m.Files) > MaxFiles {
		return errors.New("it is of no log, of nothing, or of too much")
	}
	var all uint64
	for i, f := range m.Files {
		if err := CheckName(f.Name); err != nil {
			return err
		}
		if i > 0 && f.Name <= m.Files[i-1].Name {
			return errors.New("the files are not in order, each once")
		}
		if all += f.Bytes; f.Bytes > MaxBytes || all > MaxBytes {
			return fmt.Errorf("its files have more than %d bytes", uint64(MaxBytes))
		}
	}
	return nil
}

// CheckName refuses what is no name of a file in the one directory of a snapshot.
func CheckName(name string) error {
	plain := func(r rune) bool {
		return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '-' || r == '_' || r == '.'
	}
	if name == "" || len(name) > maxName || name[0] == '.' || strings.EqualFold(name, "LOCK") || strings.ContainsFunc(name, func(r rune) bool { return !plain(r) }) {
		return fmt.Errorf("%.100q is no name of a snapshot's file", name)
	}
	return nil
}

// ParseNodeKey reads the vkey of a node, of type 0x01.
func ParseNodeKey(vkey string) (proof.Key, error) {
	k, err := proof.ParseLogKey(vkey)
	if err == nil && k.Algorithm() != proof.Ed25519 {
		err = fmt.Errorf("key %s: %s; a node signs with Ed25519 (type 0x01)", k.Name(), k.Algorithm())
	}
	if err != nil {
		return proof.Key{}, fmt.Errorf("node key: %w", err)
	}
	return k, nil
}

// Signer is the private half of a node key. It signs manifests and nothing else.
type Signer struct {
	key    proof.Key
	signer note.Signer
}

// ParseSigner reads a private key of type 0x01, as proof.GenerateKey makes it.
func ParseSigner(skey string) (*Signer, error) {
	s, err := proof.ParseSigner(skey)
	if err != nil {
		return nil, fmt.Errorf("node key: %w", err)
	}
	key, err := ParseNodeKey(s.Key().String())
	if err != nil {
		return nil, err
	}
	signer, err := note.NewSigner(skey)
	if err != nil {
		return nil, fmt.Errorf("node key: %w", err)
	}
	return &Signer{key, signer}, nil
}

// Key is the public half.
func (s *Signer) Key() proof.Key { return s.key }

// Sign makes a signed note of a manifest.
func (s *Signer) Sign(m Manifest) ([]byte, error) {
	if err := m.check(); err != nil {
		return nil, fmt.Errorf("signing a snapshot: %w", err)
	}
	return note.Sign(&note.Note{Text: m.Text()}, s.signer)
}

// Verified is a manifest that a node key has signed. Only [Verify] makes one.
type Verified struct {
	Manifest
	By   proof.Key
	Note []byte
}

// ErrNotSigned: no key that is trusted for it has signed the manifest.
var ErrNotSigned = errors.New("the snapshot is not signed by a node whose key was given")

// Verify reads a manifest that one of the keys has signed.
func Verify(signed []byte, keys ...proof.Key) (*Verified, error) {
	if len(signed) > MaxManifestBytes {
		return nil, fmt.Errorf("the manifest is longer than %d bytes", MaxManifestBytes)
	}
	var verifiers []note.Verifier
	for _, k := range keys {
		v, err := note.NewVerifier(k.String())
		if err != nil {
			return nil, fmt.Errorf("node key: %w", err)
		}
		verifiers = append(verifiers, v)
	}
	n, err := note.Open(signed, note.VerifierList(verifiers...))
	if unverified := (*note.UnverifiedNoteError)(nil); errors.As(err, &unverified) {
		return nil, ErrNotSigned
	} else if err != nil {
		return nil, fmt.Errorf("the manifest of the snapshot: %w", err)
	}
	m, err := parse(n.Text)
	if err != nil {
		return nil, fmt.Errorf("the manifest of the snapshot: %w", err)
	}
	by := keys[slices.IndexFunc(keys, func(k proof.Key) bool { return k.Name() == n.Sigs[0].Name && k.ID() == n.Sigs[0].Hash })]
	return &Verified{m, by, bytes.Clone(signed)}, nil
}
